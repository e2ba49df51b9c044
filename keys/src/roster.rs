//! The roster: who holds which key, for which use, and when.
//!
//! Why: it is the one place that says whom a network consists of; everything else is checked against it. Spec:
//! `docs/protocol.md`, roster. In scope: one version, its rules and look-ups. Out of scope: who signed it and what it
//! follows (`chain`).
//!
//! A [`RosterDraft`] is what a person puts together. A [`Roster`] has passed every rule and is built by decoding only, so
//! that a draft cannot be more lenient than what a peer sends.

mod entry;
mod key_use;
mod rules;
mod wire;

use sha2::{Digest, Sha256};

use crate::canonical::CanonicalError;
use crate::id::{
    CentreId, CentreIdError, JurisdictionError, KeyId, NetworkId, Origin, OriginError,
    RosterVersion, Timestamp,
};
use crate::id::{WitnessName, WitnessNameError};
use crate::reader::ShapeError;
use crate::signer::{PublicKey, PublicKeyError};

pub use entry::{CentreEntry, KeyEntry, KeyLookupError, Revocation, WitnessEntry};
pub use key_use::{KeyUse, KeyUseError};
pub(crate) use rules::{check_addresses, check_sorted};
pub(crate) use wire::{read_addresses, read_list, write_list};

/// The format number that begins the payload.
pub const ROSTER_FORMAT: u64 = 1;
/// Centres at most.
pub const MAX_CENTRES: usize = 64;
/// Auditors at most, and witnesses at most.
pub const MAX_WITNESSES: usize = 64;
/// Root keys at most.
pub const MAX_ROOT_KEYS: usize = 16;
/// Keys of one holder at most.
pub const MAX_KEYS: usize = 64;
/// Addresses of one centre at most.
pub const MAX_ADDRESSES: usize = 8;
/// Bytes of an address at most.
pub const ADDRESS_LEN_MAX: usize = 256;
/// Revocations at most.
pub const MAX_REVOCATIONS: usize = 1024;

/// One version of the roster, within every rule. Whether its root keys signed it is `chain`'s question.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Roster {
    /// From 1.
    pub version: RosterVersion,
    /// The network: the hash of version 1's payload.
    pub network: NetworkId,
    /// When it was made.
    pub issued_at: Timestamp,
    /// The first second in which it is expired.
    pub expires_at: Timestamp,
    /// Whether this network only demonstrates: profiles without sign-off run nowhere else.
    pub demo: bool,
    /// Root keys that must sign the next version, from 1.
    pub threshold: u8,
    /// The root keys, sorted, 1 to 16.
    pub root_keys: Vec<PublicKey>,
    /// The centres, sorted by id, 1 to 64.
    pub centres: Vec<CentreEntry>,
    /// The auditors, sorted by name.
    pub auditors: Vec<WitnessEntry>,
    /// Witnesses that are neither centres nor auditors, sorted by name.
    pub witnesses: Vec<WitnessEntry>,
    /// The revocations, sorted by key and origin.
    pub revocations: Vec<Revocation>,
}

/// What a person puts together for the next version. Order does not matter: [`Roster::from_draft`] sorts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterDraft {
    /// From 1.
    pub version: RosterVersion,
    /// Nothing in version 1, which makes the network; the network's id in every later one.
    pub network: Option<NetworkId>,
    /// When it was made.
    pub issued_at: Timestamp,
    /// The first second in which it is expired.
    pub expires_at: Timestamp,
    /// Whether this network only demonstrates.
    pub demo: bool,
    /// Root keys that must sign the next version.
    pub threshold: u8,
    /// The root keys.
    pub root_keys: Vec<PublicKey>,
    /// The centres.
    pub centres: Vec<CentreEntry>,
    /// The auditors.
    pub auditors: Vec<WitnessEntry>,
    /// Witnesses that are neither centres nor auditors.
    pub witnesses: Vec<WitnessEntry>,
    /// The revocations.
    pub revocations: Vec<Revocation>,
}

/// Why a payload or a draft is no roster.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RosterPayloadError {
    /// Not canonical CBOR.
    #[error("the payload is not canonical CBOR")]
    Canonical(#[from] CanonicalError),
    /// Another shape, or a list beyond its limit.
    #[error("the payload is not of this format")]
    Shape(#[from] ShapeError),
    /// Another format number.
    #[error("expected format {expected}, got {got}")]
    Format {
        /// The number of this format.
        expected: u64,
        /// The number found.
        got: u64,
    },
    /// Version 0.
    #[error("roster versions count from 1")]
    VersionZero,
    /// Version 1 names a network, which it cannot know, or a later one names none.
    #[error(
        "version 1 names no network and every later one does: version {version} departs from that"
    )]
    NetworkField {
        /// The version found.
        version: RosterVersion,
    },
    /// A centre has no proper name.
    #[error("a centre id is malformed")]
    CentreId(#[from] CentreIdError),
    /// A jurisdiction is malformed.
    #[error("a jurisdiction is malformed")]
    Jurisdiction(#[from] JurisdictionError),
    /// An origin is malformed.
    #[error("an origin is malformed")]
    Origin(#[from] OriginError),
    /// A witness has no proper name.
    #[error("a witness name is malformed")]
    WitnessName(#[from] WitnessNameError),
    /// A key is not usable.
    #[error("a public key is not usable")]
    PublicKey(#[from] PublicKeyError),
    /// A key's use is unknown.
    #[error("a key has an unknown use")]
    KeyUse(#[from] KeyUseError),
    /// Fewer items than there must be.
    #[error("{list} is empty")]
    Empty {
        /// The list.
        list: &'static str,
    },
    /// More items than are allowed.
    #[error("{list}: at most {max}, got {got}")]
    TooMany {
        /// The list.
        list: &'static str,
        /// The limit.
        max: usize,
        /// The number.
        got: usize,
    },
    /// A list is not sorted, or holds an item twice.
    #[error("{list}: item {index} does not sort above the one before it")]
    Order {
        /// The list.
        list: &'static str,
        /// The position from 0.
        index: usize,
    },
    /// The threshold is 0 or above the number of root keys.
    #[error("the threshold must be 1 to {root_keys}, got {threshold}")]
    Threshold {
        /// The threshold found.
        threshold: u8,
        /// The number of root keys.
        root_keys: usize,
    },
    /// The roster expires before it begins.
    #[error("issued at {issued_at}, which is not before its end at {expires_at}")]
    Lifetime {
        /// When it says it was made.
        issued_at: Timestamp,
        /// When it says it ends.
        expires_at: Timestamp,
    },
    /// A key ends before it begins.
    #[error("key {key} is valid for no time at all")]
    KeyLifetime {
        /// The key.
        key: KeyId,
    },
    /// A key, or another with the same id, stands in two places.
    #[error("key {key} occurs twice")]
    RepeatedKey {
        /// The id of both.
        key: KeyId,
    },
    /// A root key stands with a holder: root keys have their own list.
    #[error("root key {key} stands outside the list of root keys")]
    RootKeyOfHolder {
        /// The key.
        key: KeyId,
    },
    /// A witness has the name of another, or of a log.
    #[error("item {index} of {list} uses a name that is taken")]
    RepeatedName {
        /// The list.
        list: &'static str,
        /// The position from 0.
        index: usize,
    },
    /// A centre's origin names another centre.
    #[error("the origin of {expected} names {got}")]
    OriginOfOther {
        /// The centre of the entry.
        expected: CentreId,
        /// The centre in the origin line.
        got: CentreId,
    },
    /// An address is empty, too long, repeated or not visible ASCII.
    #[error(
        "address {index} is empty, repeated, longer than {ADDRESS_LEN_MAX} bytes or not visible ASCII"
    )]
    Address {
        /// The position from 0.
        index: usize,
    },
}

impl Roster {
    /// Reads a payload. O(length).
    ///
    /// # Errors
    /// The first rule that it breaks, as [`RosterPayloadError`].
    pub fn decode(payload: &[u8]) -> Result<Self, RosterPayloadError> {
        let draft = wire::decode(payload)?;
        rules::check(&draft)?;
        // Version 1 cannot hold its own hash: its payload makes the name.
        let network = draft
            .network
            .unwrap_or_else(|| NetworkId::new(payload_hash(payload)));
        Ok(Self {
            version: draft.version,
            network,
            issued_at: draft.issued_at,
            expires_at: draft.expires_at,
            demo: draft.demo,
            threshold: draft.threshold,
            root_keys: draft.root_keys,
            centres: draft.centres,
            auditors: draft.auditors,
            witnesses: draft.witnesses,
            revocations: draft.revocations,
        })
    }

    /// Sorts a draft and checks it as if it had come from a peer.
    ///
    /// # Errors
    /// As [`Roster::decode`].
    pub fn from_draft(mut draft: RosterDraft) -> Result<Self, RosterPayloadError> {
        draft.sort();
        // Checked before it is encoded too: the rules name a list that is too long, the reader only its offset.
        rules::check(&draft)?;
        Self::decode(&wire::encode(&draft))
    }

    /// The canonical bytes that the root keys sign: what it was decoded from, byte for byte.
    #[must_use]
    pub fn payload_bytes(&self) -> Vec<u8> {
        wire::encode(&self.as_draft())
    }

    /// A draft of the version that follows, with everything else as it is. Nothing after the last `u64`.
    #[must_use]
    pub fn next_draft(&self, issued_at: Timestamp, expires_at: Timestamp) -> Option<RosterDraft> {
        let version = self.version.next()?;
        Some(RosterDraft {
            version,
            network: Some(self.network),
            issued_at,
            expires_at,
            ..self.as_draft()
        })
    }

    /// The centre with this id.
    #[must_use]
    pub fn centre(&self, id: &CentreId) -> Option<&CentreEntry> {
        self.centres.iter().find(|centre| centre.id == *id)
    }

    /// The centre that writes this log.
    #[must_use]
    pub fn by_origin(&self, origin: &Origin) -> Option<&CentreEntry> {
        self.centres.iter().find(|centre| centre.origin == *origin)
    }

    /// The centre whose node has this identity, at whatever time the key is valid: ask [`CentreEntry::key`] with
    /// [`KeyUse::Node`] before a connection is opened.
    #[must_use]
    pub fn by_node_key(&self, key: &PublicKey) -> Option<&CentreEntry> {
        self.centres
            .iter()
            .find(|centre| centre.keys_of(KeyUse::Node).any(|entry| entry.key == *key))
    }

    /// The auditor or witness with this name.
    #[must_use]
    pub fn witness(&self, name: &WitnessName) -> Option<&WitnessEntry> {
        self.auditors
            .iter()
            .chain(&self.witnesses)
            .find(|witness| witness.name == *name)
    }

    /// The size of this log from which on the key's signatures are void: leaves with a lower index stay valid.
    #[must_use]
    pub fn revoked_from(&self, key: &KeyId, origin: &Origin) -> Option<u64> {
        self.revocations
            .iter()
            .find(|entry| entry.key == *key && entry.origin == *origin)
            .map(|entry| entry.size)
    }

    /// Whether the roster is expired at this time: it then opens nothing new.
    #[must_use]
    pub fn is_expired(&self, at: Timestamp) -> bool {
        at >= self.expires_at
    }

    fn as_draft(&self) -> RosterDraft {
        RosterDraft {
            version: self.version,
            network: (self.version != RosterVersion::FIRST).then_some(self.network),
            issued_at: self.issued_at,
            expires_at: self.expires_at,
            demo: self.demo,
            threshold: self.threshold,
            root_keys: self.root_keys.clone(),
            centres: self.centres.clone(),
            auditors: self.auditors.clone(),
            witnesses: self.witnesses.clone(),
            revocations: self.revocations.clone(),
        }
    }
}

impl RosterDraft {
    /// Puts every list into the one order that the payload has. Addresses keep theirs: it is a preference.
    fn sort(&mut self) {
        self.root_keys.sort_unstable();
        self.centres.sort_by(|a, b| a.id.cmp(&b.id));
        self.centres
            .iter_mut()
            .for_each(|centre| centre.keys.sort_by_key(rules::key_order));
        for list in [&mut self.auditors, &mut self.witnesses] {
            list.sort_by(|a, b| a.name.cmp(&b.name));
            list.iter_mut()
                .for_each(|witness| witness.keys.sort_by_key(rules::key_order));
        }
        self.revocations
            .sort_by(|a, b| rules::revocation_order(a).cmp(&rules::revocation_order(b)));
    }
}

/// SHA-256 of a roster's payload.
pub(crate) fn payload_hash(payload: &[u8]) -> [u8; 32] {
    Sha256::digest(payload).into()
}
