//! How one roster follows another.
//!
//! Why: whoever can change the roster can change everything, so each version is vouched for by the one before it and by
//! itself, back to a first one that is pinned out of band. Spec: the root rules of The Update Framework (TUF 1.0.33,
//! section 5.3), `docs/protocol.md`. In scope: signatures, versions, and what may not change from one to the next.
//! Out of scope: rules within one version (`roster`), fetching, storing.
//!
//! A [`SignedRoster`] is built here only: by [`SignedRoster::open_first`] and then one [`SignedRoster::succeed`] for each
//! version. An [`UnsignedRoster`] is a file on its way from signer to signer and proves nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::context::Context;
use crate::cose::{CoseError, MultiSigned, sign_multi};
use crate::id::{CentreId, KeyId, NetworkId, Origin, RosterVersion, Timestamp, WitnessName};
use crate::roster::{KeyEntry, KeyUse, Roster, RosterPayloadError, payload_hash};
use crate::signer::{PublicKey, Signer};

/// Why a signed roster is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RosterError {
    /// The envelope, or a signature of a root key.
    #[error("the signed roster is refused")]
    Cose(#[from] CoseError),
    /// The payload is no roster.
    #[error("the payload is no roster")]
    Payload(#[from] RosterPayloadError),
    /// The first roster is not the one that was pinned.
    #[error("expected the first roster of network {expected}, got that of {got}")]
    Pin {
        /// The network that was pinned.
        expected: NetworkId,
        /// The hash of the payload.
        got: NetworkId,
    },
    /// The version is not the one that comes next.
    #[error("expected roster version {expected}, got {got}")]
    Version {
        /// The version that comes next.
        expected: RosterVersion,
        /// The version found.
        got: RosterVersion,
    },
    /// No version can follow.
    #[error("roster version {last} is the last that there can be")]
    LastVersion {
        /// The version in force.
        last: RosterVersion,
    },
    /// The roster belongs to another network.
    #[error("expected network {expected}, got {got}")]
    Network {
        /// The network of the version in force.
        expected: NetworkId,
        /// The network found.
        got: NetworkId,
    },
    /// Too few root keys of this version signed.
    #[error("expected {expected} signatures by root keys of version {version}, got {got}")]
    Threshold {
        /// The version whose root keys are counted.
        version: RosterVersion,
        /// Its threshold.
        expected: u8,
        /// Root keys of it that signed.
        got: usize,
    },
    /// Somebody signed who is no root key of either version.
    #[error("key {kid} signed and is no root key")]
    Stranger {
        /// The id of the key.
        kid: KeyId,
    },
    /// A centre that stays got another log.
    #[error("the origin of a centre that stays must be {expected} or its next epoch, got {got}")]
    OriginChanged {
        /// The origin in the version in force.
        expected: Origin,
        /// The origin found.
        got: Origin,
    },
    /// A key got another use or another holder.
    #[error("key {key} changed its use or its holder")]
    KeyMoved {
        /// The key.
        key: KeyId,
    },
}

/// A roster that its chain vouches for, with the bytes that prove it. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct SignedRoster {
    bytes: Arc<[u8]>,
    roster: Arc<Roster>,
    hash: [u8; 32],
}

impl SignedRoster {
    /// Opens the first version of the network `pin`, a COSE_Sign.
    ///
    /// The pin is compared before anything is decoded. Whether the roster is expired is not looked at: an old first version
    /// is where every chain begins.
    ///
    /// # Errors
    /// [`RosterError::Cose`], [`RosterError::Pin`], [`RosterError::Payload`], [`RosterError::Version`] unless it is 1,
    /// [`RosterError::Threshold`] of its own root keys, [`RosterError::Stranger`].
    pub fn open_first(bytes: &[u8], pin: &NetworkId) -> Result<Self, RosterError> {
        let signed = MultiSigned::parse(bytes, Context::Roster)?;
        let hash = payload_hash(signed.payload());
        let got = NetworkId::new(hash);
        if got != *pin {
            return Err(RosterError::Pin {
                expected: *pin,
                got,
            });
        }
        let roster = Roster::decode(signed.payload())?;
        if roster.version != RosterVersion::FIRST {
            return Err(RosterError::Version {
                expected: RosterVersion::FIRST,
                got: roster.version,
            });
        }
        check_threshold(&signed, &roster)?;
        check_strangers(&signed, &[&roster])?;
        Ok(Self {
            bytes: bytes.into(),
            roster: Arc::new(roster),
            hash,
        })
    }

    /// Opens a first version that this node pinned and stored before: everything is checked again but the pin, which is its
    /// own hash.
    ///
    /// # Errors
    /// As [`SignedRoster::open_first`].
    pub fn from_store(bytes: &[u8]) -> Result<Self, RosterError> {
        let signed = MultiSigned::parse(bytes, Context::Roster)?;
        Self::open_first(bytes, &NetworkId::new(payload_hash(signed.payload())))
    }

    /// The hash of a roster that was verified before and stored: SHA-256 of its payload. Nothing is verified.
    ///
    /// # Errors
    /// [`RosterError`] if the stored bytes are no COSE_Sign any more.
    pub fn hash_from_store(bytes: &[u8]) -> Result<[u8; 32], RosterError> {
        let signed = MultiSigned::parse(bytes, Context::Roster)?;
        Ok(payload_hash(signed.payload()))
    }

    /// Opens the version that follows this one, a COSE_Sign.
    ///
    /// The threshold of this version is checked before anything is decoded. Expiry is not looked at: an expired roster is
    /// replaced by its successor, and every version between is fetched.
    ///
    /// # Errors
    /// [`RosterError`]: a threshold that is missed (this version's or the new one's own), a version that is not exactly one
    /// higher, another network, a stranger's signature, an origin or a key that moved.
    pub fn succeed(&self, bytes: &[u8]) -> Result<Self, RosterError> {
        let signed = MultiSigned::parse(bytes, Context::Roster)?;
        check_threshold(&signed, &self.roster)?;
        let next = Roster::decode(signed.payload())?;
        let last = self.roster.version;
        let expected = last.next().ok_or(RosterError::LastVersion { last })?;
        if next.version != expected {
            return Err(RosterError::Version {
                expected,
                got: next.version,
            });
        }
        if next.network != self.roster.network {
            return Err(RosterError::Network {
                expected: self.roster.network,
                got: next.network,
            });
        }
        check_threshold(&signed, &next)?;
        check_strangers(&signed, &[&self.roster, &next])?;
        check_origins(&self.roster, &next)?;
        check_holders(&self.roster, &next)?;
        Ok(Self {
            bytes: bytes.into(),
            hash: payload_hash(signed.payload()),
            roster: Arc::new(next),
        })
    }

    /// The roster.
    #[must_use]
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// The COSE_Sign as it was received.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// SHA-256 of the payload.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// Whether the roster is expired at this time: it then opens nothing new.
    #[must_use]
    pub fn is_expired(&self, at: Timestamp) -> bool {
        self.roster.is_expired(at)
    }
}

/// A roster with any number of signatures, none of them checked: what a signer is shown before signing.
#[derive(Debug, Clone)]
pub struct UnsignedRoster {
    roster: Roster,
    signers: Vec<KeyId>,
}

impl UnsignedRoster {
    /// Reads a draft or a partly signed roster.
    ///
    /// # Errors
    /// [`RosterError::Cose`] and [`RosterError::Payload`]: it is as strict as a roster in force, but for the signatures.
    pub fn parse(bytes: &[u8]) -> Result<Self, RosterError> {
        let draft = MultiSigned::parse_draft(bytes, Context::Roster)?;
        Ok(Self {
            roster: Roster::decode(draft.payload())?,
            signers: draft.signers().collect(),
        })
    }

    /// What is to be signed.
    #[must_use]
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// The ids of the keys that are said to have signed, in order.
    #[must_use]
    pub fn signers(&self) -> &[KeyId] {
        &self.signers
    }
}

/// A roster as a COSE_Sign that nobody has signed yet.
#[must_use]
pub fn draft_bytes(roster: &Roster) -> Vec<u8> {
    sign_multi(&[], Context::Roster, &roster.payload_bytes())
}

/// Adds one signature to a draft or a partly signed roster. The payload is read first: nobody signs what is no roster.
///
/// Whether the key is a root key is not asked: in a rotation it may be one of the version before only.
///
/// # Errors
/// As [`UnsignedRoster::parse`], and [`RosterError::Cose`] if this key has signed already or there is no room.
pub fn sign_roster(bytes: &[u8], signer: &Signer) -> Result<Vec<u8>, RosterError> {
    let draft = MultiSigned::parse_draft(bytes, Context::Roster)?;
    Roster::decode(draft.payload())?;
    Ok(draft.add_signature(signer)?)
}

/// Counts the root keys of `roster` that signed. One that is listed and does not verify spoils the whole object.
fn check_threshold(signed: &MultiSigned<'_>, roster: &Roster) -> Result<(), RosterError> {
    let mut got = 0;
    for key in &roster.root_keys {
        match signed.verify_by(key) {
            Ok(()) => got += 1,
            Err(CoseError::NotSignedBy { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if got < usize::from(roster.threshold) {
        return Err(RosterError::Threshold {
            version: roster.version,
            expected: roster.threshold,
            got,
        });
    }
    Ok(())
}

fn check_strangers(signed: &MultiSigned<'_>, rosters: &[&Roster]) -> Result<(), RosterError> {
    let roots: Vec<KeyId> = rosters
        .iter()
        .flat_map(|roster| &roster.root_keys)
        .map(PublicKey::key_id)
        .collect();
    match signed.signers().find(|kid| !roots.contains(kid)) {
        Some(kid) => Err(RosterError::Stranger { kid }),
        None => Ok(()),
    }
}

/// A centre that could change its origin could leave a history behind that it does not like. The roots may close a log that
/// was forked: they give the centre the next epoch of the same line, and only that.
fn check_origins(last: &Roster, next: &Roster) -> Result<(), RosterError> {
    for old in &last.centres {
        let follows =
            |new: &Origin| *new == old.origin || old.origin.next_epoch() == Some(new.clone());
        if let Some(new) = next.centre(&old.id).filter(|new| !follows(&new.origin)) {
            return Err(RosterError::OriginChanged {
                expected: old.origin.clone(),
                got: new.origin.clone(),
            });
        }
    }
    Ok(())
}

/// Who answers for a key.
#[derive(PartialEq, Eq)]
enum Holder<'a> {
    Roots,
    Centre(&'a CentreId),
    Witness(&'a WitnessName),
}

/// A key that moved could be answered for by two parties, or for two uses.
fn check_holders(last: &Roster, next: &Roster) -> Result<(), RosterError> {
    let before = holders(last);
    let moved = holders(next)
        .into_iter()
        .find(|(key, now)| before.get(key).is_some_and(|then| then != now));
    match moved {
        Some((key, _)) => Err(RosterError::KeyMoved { key }),
        None => Ok(()),
    }
}

fn holders(roster: &Roster) -> BTreeMap<KeyId, (KeyUse, Holder<'_>)> {
    let roots = roster
        .root_keys
        .iter()
        .map(|key| (key.key_id(), (KeyUse::Root, Holder::Roots)));
    let centres = roster
        .centres
        .iter()
        .flat_map(|centre| held(&centre.keys, || Holder::Centre(&centre.id)));
    let others = roster.auditors.iter().chain(&roster.witnesses);
    let witnesses =
        others.flat_map(|witness| held(&witness.keys, || Holder::Witness(&witness.name)));
    roots.chain(centres).chain(witnesses).collect()
}

fn held<'a>(
    keys: &[KeyEntry],
    holder: impl Fn() -> Holder<'a>,
) -> impl Iterator<Item = (KeyId, (KeyUse, Holder<'a>))> {
    keys.iter()
        .map(move |entry| (entry.key.key_id(), (entry.use_, holder())))
}
