//! How a centre's keys reach the roster.
//!
//! Why: whoever writes a roster must know that a centre holds the keys it names, so an enrolment is signed by every one of
//! them (proof of possession). Spec: `docs/protocol.md`, enrolment; a COSE_Sign over `[1, id, jurisdiction, origin,
//! [[use, key]], [address]]`, keys sorted by use and key. In scope: this file. Out of scope: whether the centre is who it
//! says it is: people settle that when they compare key ids. Auditors and witnesses have their own, in `witness`.

mod witness;

use std::collections::BTreeSet;

use crate::canonical;
use crate::context::Context;
use crate::cose::{CoseError, MAX_MULTI_SIGNED, MultiSigned, sign_multi};
use crate::id::{CentreId, Jurisdiction, KeyId, Origin, Timestamp};
use crate::reader::Reader;
use crate::roster::{CentreEntry, KeyEntry, KeyUse, MAX_KEYS, RosterPayloadError};
use crate::roster::{check_addresses, check_sorted, read_addresses, read_list, write_list};
use crate::signer::{PublicKey, Signer};

pub use witness::{WITNESS_ENROLMENT_FORMAT, WitnessEnrolment, WitnessEnrolmentError};

/// The format number that begins the payload.
pub const ENROLMENT_FORMAT: u64 = 1;

/// What a centre asks to be entered as, with proof that it holds the keys.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Enrolment {
    /// The name of the centre.
    pub id: CentreId,
    /// The law that it works under.
    pub jurisdiction: Jurisdiction,
    /// The origin line of the log that it will write.
    pub origin: Origin,
    /// Its keys, sorted by use and key, 1 to 64.
    pub keys: Vec<(KeyUse, PublicKey)>,
    /// Where its node is reached, best first.
    pub addresses: Vec<String>,
}

/// Why an enrolment is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnrolmentError {
    /// The envelope, or the signature of a listed key.
    #[error("the signed enrolment is refused")]
    Cose(#[from] CoseError),
    /// The payload breaks the same rules as an entry of a roster would.
    #[error("the payload is no enrolment")]
    Payload(#[from] RosterPayloadError),
    /// Keys signed that are not listed.
    #[error("expected {expected} signatures, one by each listed key, got {got}")]
    Signatures {
        /// Listed keys.
        expected: usize,
        /// Signatures.
        got: usize,
    },
    /// A key that is asked to sign and is not listed.
    #[error("the enrolment does not list key {key}")]
    NotListed {
        /// The key.
        key: KeyId,
    },
}

impl Enrolment {
    /// Makes an enrolment that each of `keys` signs. Their order does not matter.
    ///
    /// # Errors
    /// [`EnrolmentError::Payload`] if no roster could take it, [`EnrolmentError::Cose`] if it is too long.
    pub fn sign(
        id: CentreId,
        jurisdiction: Jurisdiction,
        origin: Origin,
        addresses: Vec<String>,
        keys: &[(KeyUse, &Signer)],
    ) -> Result<Vec<u8>, EnrolmentError> {
        Self::draft(id, jurisdiction, origin, addresses, keys, &[])
    }

    /// As [`Enrolment::sign`], with keys of `others` listed too, who sign with [`Enrolment::add_signature`]: until all of
    /// them have, [`Enrolment::open`] refuses it.
    ///
    /// # Errors
    /// As [`Enrolment::sign`].
    pub fn draft(
        id: CentreId,
        jurisdiction: Jurisdiction,
        origin: Origin,
        addresses: Vec<String>,
        keys: &[(KeyUse, &Signer)],
        others: &[(KeyUse, PublicKey)],
    ) -> Result<Vec<u8>, EnrolmentError> {
        let mut public: Vec<_> = keys
            .iter()
            .map(|(use_, signer)| (*use_, signer.public()))
            .chain(others.iter().copied())
            .collect();
        public.sort_unstable();
        let enrolment = Self {
            id,
            jurisdiction,
            origin,
            keys: public,
            addresses,
        };
        enrolment.check()?;
        let signers: Vec<_> = keys.iter().map(|(_, signer)| *signer).collect();
        let bytes = sign_multi(&signers, Context::Enrolment, &enrolment.payload_bytes());
        if bytes.len() > MAX_MULTI_SIGNED {
            return Err(CoseError::TooLong {
                max: MAX_MULTI_SIGNED,
                got: bytes.len(),
            }
            .into());
        }
        Ok(bytes)
    }

    /// The same draft with one more signature, by a key that it lists.
    ///
    /// # Errors
    /// [`EnrolmentError`] if it is no enrolment, does not list the key, or is signed by it.
    pub fn add_signature(bytes: &[u8], signer: &Signer) -> Result<Vec<u8>, EnrolmentError> {
        let (enrolment, _) = Self::read_draft(bytes)?;
        let key = signer.public();
        if !enrolment.keys.iter().any(|(_, listed)| *listed == key) {
            let key = key.key_id();
            return Err(EnrolmentError::NotListed { key });
        }
        let signed = MultiSigned::parse_draft(bytes, Context::Enrolment)?;
        Ok(signed.add_signature(signer)?)
    }

    /// Reads an enrolment that not everybody need have signed: what it says, and the ids of the listed keys that have not.
    /// No signature is checked.
    ///
    /// # Errors
    /// [`EnrolmentError`]: envelope or payload.
    pub fn read_draft(bytes: &[u8]) -> Result<(Self, Vec<KeyId>), EnrolmentError> {
        let signed = MultiSigned::parse_draft(bytes, Context::Enrolment)?;
        let enrolment = Self::decode(signed.payload())?;
        enrolment.check()?;
        let has_signed = |id: &KeyId| signed.signers().any(|signer| signer == *id);
        let listed = enrolment.keys.iter().map(|(_, key)| key.key_id());
        let missing = listed.filter(|id| !has_signed(id)).collect();
        Ok((enrolment, missing))
    }

    /// Opens an enrolment and checks that exactly the listed keys signed it.
    ///
    /// # Errors
    /// [`EnrolmentError`]: envelope, payload, a key that did not sign, or a signature by one that is not listed.
    pub fn open(bytes: &[u8]) -> Result<Self, EnrolmentError> {
        let signed = MultiSigned::parse(bytes, Context::Enrolment)?;
        let enrolment = Self::decode(signed.payload())?;
        enrolment.check()?;
        enrolment
            .keys
            .iter()
            .try_for_each(|(_, key)| signed.verify_by(key))?;
        let got = signed.signers().count();
        if got != enrolment.keys.len() {
            return Err(EnrolmentError::Signatures {
                expected: enrolment.keys.len(),
                got,
            });
        }
        Ok(enrolment)
    }

    /// The entry for the next roster of a centre that is on one: addresses are replaced, keys that stay keep their validity,
    /// and keys that are not enrolled any more end at `at` but stay listed, since what they signed stays valid.
    #[must_use]
    pub fn renew(&self, entry: &CentreEntry, at: Timestamp) -> CentreEntry {
        let mut renewed = self.centre_entry(at, None);
        for old in &entry.keys {
            match renewed
                .keys
                .iter_mut()
                .find(|key| key.key == old.key && key.use_ == old.use_)
            {
                Some(key) => (key.from, key.until) = (old.from, old.until),
                None => {
                    let ends = old.until.map_or(at, |until| until.min(at));
                    let until = Some(ends.max(Timestamp::new(old.from.get() + 1)));
                    renewed.keys.push(KeyEntry {
                        until,
                        ..old.clone()
                    });
                }
            }
        }
        renewed
    }

    /// The entry for a roster, with every key but the root keys valid in the same time.
    #[must_use]
    pub fn centre_entry(&self, from: Timestamp, until: Option<Timestamp>) -> CentreEntry {
        let of_centre = self.keys.iter().filter(|(use_, _)| *use_ != KeyUse::Root);
        CentreEntry {
            id: self.id.clone(),
            jurisdiction: self.jurisdiction.clone(),
            origin: self.origin.clone(),
            keys: of_centre
                .map(|&(use_, key)| KeyEntry {
                    use_,
                    key,
                    from,
                    until,
                })
                .collect(),
            addresses: self.addresses.clone(),
        }
    }

    /// The root keys among the keys: they belong in the roster's own list.
    pub fn root_keys(&self) -> impl Iterator<Item = PublicKey> {
        self.keys
            .iter()
            .filter(|(use_, _)| *use_ == KeyUse::Root)
            .map(|(_, key)| *key)
    }

    fn payload_bytes(&self) -> Vec<u8> {
        canonical::encode(|e| {
            e.array(6)?.u64(ENROLMENT_FORMAT)?;
            e.str(self.id.as_str())?
                .str(self.jurisdiction.as_str())?
                .str(self.origin.as_str())?;
            write_list(e, &self.keys, |e, (use_, key)| {
                e.array(2)?.u8(use_.code())?.bytes(key.as_bytes())?.ok()
            })?;
            write_list(e, &self.addresses, |e, address| e.str(address)?.ok())
        })
    }

    fn decode(payload: &[u8]) -> Result<Self, RosterPayloadError> {
        let mut reader = Reader::new(payload)?;
        let r = &mut reader;
        r.array(6)?;
        let format = r.u64()?;
        if format != ENROLMENT_FORMAT {
            return Err(RosterPayloadError::Format {
                expected: ENROLMENT_FORMAT,
                got: format,
            });
        }
        Ok(Self {
            id: r.text()?.parse()?,
            jurisdiction: r.text()?.parse()?,
            origin: r.text()?.parse()?,
            keys: read_list(r, MAX_KEYS, |r| {
                r.array(2)?;
                Ok((
                    KeyUse::from_code(r.u8()?)?,
                    PublicKey::from_bytes(r.fixed()?)?,
                ))
            })?,
            addresses: read_addresses(r)?,
        })
    }

    fn check(&self) -> Result<(), RosterPayloadError> {
        if self.keys.is_empty() {
            return Err(RosterPayloadError::Empty { list: "keys" });
        }
        check_sorted("keys", &self.keys, MAX_KEYS, |entry| entry)?;
        let mut seen = BTreeSet::new();
        if let Some(key) = self
            .keys
            .iter()
            .map(|(_, key)| key.key_id())
            .find(|id| !seen.insert(*id))
        {
            return Err(RosterPayloadError::RepeatedKey { key });
        }
        if *self.origin.centre() != self.id {
            let (expected, got) = (self.id.clone(), self.origin.centre().clone());
            return Err(RosterPayloadError::OriginOfOther { expected, got });
        }
        check_addresses(&self.addresses)
    }
}
