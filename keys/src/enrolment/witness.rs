//! How the keys of an auditor or a witness reach the roster.
//!
//! Why: as with a centre's enrolment, every key signs, so that nobody enters a key that its holder does not have. Spec:
//! `docs/protocol.md`, enrolment; a COSE_Sign of a context of its own over `[1, name, [[use, key]]]`, keys sorted by use
//! and key. An auditor cosigns with a `witness` key and shows a `node` key when it reads what is for the roster only; no
//! other use is enrolled. In scope: this file. Out of scope: stock witnesses, which sign no enrolment.

use std::collections::BTreeSet;

use crate::canonical;
use crate::context::Context;
use crate::cose::{CoseError, MAX_MULTI_SIGNED, MultiSigned, sign_multi};
use crate::id::{Timestamp, WitnessName};
use crate::reader::Reader;
use crate::roster::{KeyEntry, KeyUse, MAX_KEYS, RosterPayloadError, WitnessEntry};
use crate::roster::{check_sorted, read_list, write_list};
use crate::signer::{PublicKey, Signer};

/// The format number that begins the payload.
pub const WITNESS_ENROLMENT_FORMAT: u64 = 1;

/// What an auditor or a witness asks to be entered as, with proof that it holds the keys.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WitnessEnrolment {
    /// The name under which it cosigns.
    pub name: WitnessName,
    /// Its keys, sorted by use and key, 1 to 64, at least one of them a witness key.
    pub keys: Vec<(KeyUse, PublicKey)>,
}

/// Why an enrolment is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WitnessEnrolmentError {
    /// The envelope, or the signature of a listed key.
    #[error("the signed enrolment is refused")]
    Cose(#[from] CoseError),
    /// The payload breaks the same rules as an entry of a roster would.
    #[error("the payload is no enrolment")]
    Payload(#[from] RosterPayloadError),
    /// A key of a use that only centres have.
    #[error("a witness enrols witness and node keys, got a {use_} key")]
    Use {
        /// The use.
        use_: KeyUse,
    },
    /// It could cosign nothing.
    #[error("there is no witness key")]
    NoWitnessKey,
    /// Keys signed that are not listed.
    #[error("expected {expected} signatures, one by each listed key, got {got}")]
    Signatures {
        /// Listed keys.
        expected: usize,
        /// Signatures.
        got: usize,
    },
}

impl WitnessEnrolment {
    /// Makes an enrolment that each of `keys` signs. Their order does not matter.
    ///
    /// # Errors
    /// [`WitnessEnrolmentError`] if no roster could take it, or if it is too long.
    pub fn sign(
        name: WitnessName,
        keys: &[(KeyUse, &Signer)],
    ) -> Result<Vec<u8>, WitnessEnrolmentError> {
        let mut public: Vec<_> = keys
            .iter()
            .map(|(use_, signer)| (*use_, signer.public()))
            .collect();
        public.sort_unstable();
        let enrolment = Self { name, keys: public };
        enrolment.check()?;
        let signers: Vec<_> = keys.iter().map(|(_, signer)| *signer).collect();
        let bytes = sign_multi(
            &signers,
            Context::WitnessEnrolment,
            &enrolment.payload_bytes(),
        );
        if bytes.len() > MAX_MULTI_SIGNED {
            let (max, got) = (MAX_MULTI_SIGNED, bytes.len());
            return Err(CoseError::TooLong { max, got }.into());
        }
        Ok(bytes)
    }

    /// Opens an enrolment and checks that exactly the listed keys signed it.
    ///
    /// # Errors
    /// [`WitnessEnrolmentError`]: envelope, payload, a key that did not sign, or a signature by one that is not listed.
    pub fn open(bytes: &[u8]) -> Result<Self, WitnessEnrolmentError> {
        let signed = MultiSigned::parse(bytes, Context::WitnessEnrolment)?;
        let enrolment = Self::decode(signed.payload())?;
        enrolment.check()?;
        enrolment
            .keys
            .iter()
            .try_for_each(|(_, key)| signed.verify_by(key))?;
        let (expected, got) = (enrolment.keys.len(), signed.signers().count());
        if got != expected {
            return Err(WitnessEnrolmentError::Signatures { expected, got });
        }
        Ok(enrolment)
    }

    /// The entry for a roster, with every key valid from this time on.
    #[must_use]
    pub fn entry(&self, from: Timestamp) -> WitnessEntry {
        let entry = |&(use_, key): &(KeyUse, PublicKey)| KeyEntry {
            use_,
            key,
            from,
            until: None,
        };
        WitnessEntry {
            name: self.name.clone(),
            keys: self.keys.iter().map(entry).collect(),
        }
    }

    fn payload_bytes(&self) -> Vec<u8> {
        canonical::encode(|e| {
            e.array(3)?.u64(WITNESS_ENROLMENT_FORMAT)?;
            e.str(self.name.as_str())?;
            write_list(e, &self.keys, |e, (use_, key)| {
                e.array(2)?.u8(use_.code())?.bytes(key.as_bytes())?.ok()
            })
        })
    }

    fn decode(payload: &[u8]) -> Result<Self, RosterPayloadError> {
        let mut reader = Reader::new(payload)?;
        let r = &mut reader;
        r.array(3)?;
        let got = r.u64()?;
        if got != WITNESS_ENROLMENT_FORMAT {
            let expected = WITNESS_ENROLMENT_FORMAT;
            return Err(RosterPayloadError::Format { expected, got });
        }
        Ok(Self {
            name: r.text()?.parse()?,
            keys: read_list(r, MAX_KEYS, |r| {
                r.array(2)?;
                let use_ = KeyUse::from_code(r.u8()?)?;
                Ok((use_, PublicKey::from_bytes(r.fixed()?)?))
            })?,
        })
    }

    fn check(&self) -> Result<(), WitnessEnrolmentError> {
        check_sorted("keys", &self.keys, MAX_KEYS, |entry| entry)?;
        let mut seen = BTreeSet::new();
        for (use_, key) in &self.keys {
            if !matches!(use_, KeyUse::Witness | KeyUse::Node) {
                return Err(WitnessEnrolmentError::Use { use_: *use_ });
            }
            let key = key.key_id();
            if !seen.insert(key) {
                return Err(RosterPayloadError::RepeatedKey { key }.into());
            }
        }
        let has_witness_key = self.keys.iter().any(|(use_, _)| *use_ == KeyUse::Witness);
        match has_witness_key {
            true => Ok(()),
            false => Err(WitnessEnrolmentError::NoWitnessKey),
        }
    }
}
