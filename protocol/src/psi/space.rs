//! What is matched: the coordinates of a key, of its tags and of its segments.
//!
//! Why: a value of one epoch, group, type or mode must never stand for one of another, so every hash of private matching
//! begins with these coordinates. Spec: `docs/protocol.md`, "Private matching".

use std::fmt;

use hashpact_keys::Origin;
use hashpact_keys::canonical::encode;

use crate::b3::{self, Hash};
use crate::fingerprint::Fingerprint;
use crate::lists::ClosedList as _;
use crate::policy::MatchMode;

/// Number of a match epoch of one log, from 0: the life of its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Number of a match group of one log; never used again for another set of classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct GroupId(pub u32);

impl GroupId {
    /// All groups of a session together: what a count is of. No group of a manifest has this number.
    pub const ALL: Self = Self(u32::MAX);
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// 16 random bytes that the asking side gives a session.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub [u8; 16]);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({self})")
    }
}

/// Where a key, its tags and its segments stand.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Space {
    /// The log of the centre that holds the items.
    pub origin: Origin,
    /// The epoch.
    pub epoch: Epoch,
    /// The group; [`GroupId::ALL`] for a count.
    pub group: GroupId,
    /// Code of the fingerprint type.
    pub kind: u8,
    /// What the two sides learn: each mode has keys of its own.
    pub mode: MatchMode,
}

impl Space {
    /// What stands for the space in every hash: `B3["match-space"](cbor[origin, epoch, group, kind, mode, session or null])`.
    /// A session is named where its key is of that session alone (count).
    #[must_use]
    pub fn hash(&self, session: Option<&SessionId>) -> Hash {
        b3::MATCH_SPACE.hash(&[&encode(|e| {
            e.array(6)?
                .str(self.origin.as_str())?
                .u64(self.epoch.0)?
                .u32(self.group.0)?
                .u8(self.kind)?
                .u8(self.mode.bit())?;
            match session {
                Some(session) => e.bytes(&session.0)?.ok(),
                None => e.null()?.ok(),
            }
        })])
    }
}

/// The bytes that are hashed to the group for a fingerprint: the code of its type, then its bytes. `None` for an algorithm
/// that goes by name, which is never matched.
#[must_use]
pub fn input(fingerprint: &Fingerprint) -> Option<Vec<u8>> {
    let mut bytes = vec![fingerprint.algorithm().code()?];
    bytes.extend_from_slice(fingerprint.bytes());
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fingerprint::Algorithm;

    fn space() -> Space {
        Space {
            origin: "eu.example/eu/1".parse().unwrap(),
            epoch: Epoch(3),
            group: GroupId(1),
            kind: 3,
            mode: MatchMode::Items,
        }
    }

    #[test]
    fn no_two_places_have_one_hash() {
        let session = SessionId([7; 16]);
        let mut all = vec![space().hash(None), space().hash(Some(&session))];
        let mut with = |change: fn(&mut Space)| {
            let mut space = space();
            change(&mut space);
            all.push(space.hash(None));
        };
        with(|space| space.origin = "eu.example/eu/2".parse().unwrap());
        with(|space| space.epoch = Epoch(4));
        with(|space| space.group = GroupId::ALL);
        with(|space| space.kind = 1);
        with(|space| space.mode = MatchMode::Labels);
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn equal_bytes_of_two_types_are_two_inputs() {
        let bytes: Vec<u8> = (1..=32).map(|n| n * 7).collect();
        let of = |algorithm| input(&Fingerprint::new(algorithm, &bytes).unwrap());
        let (sha256, blake3) = (
            of(Algorithm::Sha256).unwrap(),
            of(Algorithm::Blake3).unwrap(),
        );
        assert_eq!((sha256[0], blake3[0]), (3, 4));
        assert_eq!(sha256[1..], blake3[1..]);
        assert_eq!(of(Algorithm::Other("tmk".to_owned())), None);
    }
}
