//! The entries of a roster: centres, auditors, witnesses, keys and revocations.
//!
//! Why: a signature counts only if its key stood here, for this use, at that time. Spec: `docs/protocol.md`, roster.
//! In scope: the data and the look-up of one holder's key. Out of scope: encoding (`wire`) and rules between entries
//! (`roster`).

use crate::id::{CentreId, Jurisdiction, KeyId, Origin, Timestamp, WitnessName};
use crate::signer::PublicKey;

use super::KeyUse;

/// A key, its use and the time in which it may sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyEntry {
    /// What the key is for.
    pub use_: KeyUse,
    /// The public key.
    pub key: PublicKey,
    /// The first second in which the key may sign.
    pub from: Timestamp,
    /// The first second in which it may not sign any more; without it the key has no end.
    pub until: Option<Timestamp>,
}

impl KeyEntry {
    /// Whether the key may sign at this time: `from <= at < until`.
    #[must_use]
    pub fn is_valid_at(&self, at: Timestamp) -> bool {
        self.from <= at && self.until.is_none_or(|until| at < until)
    }
}

/// A centre on the roster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CentreEntry {
    /// Its name.
    pub id: CentreId,
    /// The law that it works under.
    pub jurisdiction: Jurisdiction,
    /// The origin line of the log that it writes.
    pub origin: Origin,
    /// Its keys, at most 64, sorted by use and key.
    pub keys: Vec<KeyEntry>,
    /// Where its node is reached, best first: at most 8, each 1 to 256 bytes of visible ASCII.
    pub addresses: Vec<String>,
}

/// An auditor or another witness on the roster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessEntry {
    /// The name under which it cosigns.
    pub name: WitnessName,
    /// Its keys, at most 64, sorted by use and key.
    pub keys: Vec<KeyEntry>,
}

/// A key whose signatures stopped counting in one log. What the log held before stays valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// The key that is revoked.
    pub key: KeyId,
    /// The log that the cut-off counts in.
    pub origin: Origin,
    /// Leaves of that log that are not affected: a leaf with this index or a higher one is.
    pub size: u64,
}

/// Why a key may not sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyLookupError {
    /// The holder has no such key.
    #[error("the roster lists no key {key} for this holder")]
    Unknown {
        /// The key that was asked for.
        key: KeyId,
    },
    /// The key has another use.
    #[error("key {key} is for {got}, not for {expected}")]
    WrongUse {
        /// The key that was asked for.
        key: KeyId,
        /// The use that was asked for.
        expected: KeyUse,
        /// The use on the roster.
        got: KeyUse,
    },
    /// The time is before the key's first second or from its end on.
    #[error("key {key} was not valid at {at}")]
    NotValidAt {
        /// The key that was asked for.
        key: KeyId,
        /// The time that was asked for.
        at: Timestamp,
    },
}

impl CentreEntry {
    /// The key `key`, if it may be used for `use_` at the time `at`.
    ///
    /// Revocations are not looked at: they count in leaves, see [`Roster::revoked_from`](super::Roster::revoked_from).
    ///
    /// # Errors
    /// One variant of [`KeyLookupError`] for each reason.
    pub fn key(
        &self,
        use_: KeyUse,
        key: KeyId,
        at: Timestamp,
    ) -> Result<&PublicKey, KeyLookupError> {
        find_key(&self.keys, use_, key, at)
    }

    /// All keys with this use, at whatever time they are valid.
    pub fn keys_of(&self, use_: KeyUse) -> impl Iterator<Item = &KeyEntry> {
        self.keys.iter().filter(move |entry| entry.use_ == use_)
    }
}

impl WitnessEntry {
    /// As [`CentreEntry::key`].
    ///
    /// # Errors
    /// One variant of [`KeyLookupError`] for each reason.
    pub fn key(
        &self,
        use_: KeyUse,
        key: KeyId,
        at: Timestamp,
    ) -> Result<&PublicKey, KeyLookupError> {
        find_key(&self.keys, use_, key, at)
    }

    /// As [`CentreEntry::keys_of`].
    pub fn keys_of(&self, use_: KeyUse) -> impl Iterator<Item = &KeyEntry> {
        self.keys.iter().filter(move |entry| entry.use_ == use_)
    }
}

fn find_key(
    keys: &[KeyEntry],
    expected: KeyUse,
    key: KeyId,
    at: Timestamp,
) -> Result<&PublicKey, KeyLookupError> {
    let entry = keys
        .iter()
        .find(|entry| entry.key.key_id() == key)
        .ok_or(KeyLookupError::Unknown { key })?;
    if entry.use_ != expected {
        return Err(KeyLookupError::WrongUse {
            key,
            expected,
            got: entry.use_,
        });
    }
    if !entry.is_valid_at(at) {
        return Err(KeyLookupError::NotValidAt { key, at });
    }
    Ok(&entry.key)
}
