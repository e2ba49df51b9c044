//! Tags: what of an evaluated item is published, and what a client compares.
//!
//! A tag is the first `f` bits of `B3["tag"](space || enc(2U))`, where `U` is the evaluated item and the space is that of
//! [`Space::hash`]. One block of BLAKE3. Spec: `docs/protocol.md`, "Private matching". In scope: bits. Out of scope: how
//! tags are packed (`rice`), and that no tag is made before its proof verifies (`oprf`).

use std::fmt;

use super::space::{SessionId, Space};
use crate::b3::{self, DomainHasher, Hash};

/// How many bits of a tag are kept: 1 to 80.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TagBits(u8);

/// No tag has so many bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("tags have 1 to {} bits, got {got}", TagBits::MAX)]
pub struct TagBitsError {
    /// The number.
    pub got: u64,
}

impl TagBits {
    /// The most that a chunk's head can carry.
    pub const MAX: u8 = 80;
    /// An artifact is made for this many items at least, so that a small one tells nothing of its growth.
    const ITEMS_MIN: u64 = 1 << 20;

    /// For an artifact of `items` items, with room to grow fourfold in its epoch: `40 + ceil(log2(4 * max(items, 2^20)))`. A
    /// look-up of a foreign item then errs with at most 2^-40, whatever the number of segments.
    #[must_use]
    pub fn of(items: u64) -> Self {
        let items = u128::from(items.max(Self::ITEMS_MIN)) * 4;
        let log = u128::BITS - (items - 1).leading_zeros();
        Self(u8::try_from(40 + log).map_or(Self::MAX, |bits| bits.min(Self::MAX)))
    }

    /// The fewest with which a look-up of a foreign item among so many errs with at most 2^-40: `40 + ceil(log2(items))`.
    #[must_use]
    pub fn least(items: u64) -> Self {
        let log = u64::BITS - items.saturating_sub(1).leading_zeros();
        Self(u8::try_from(40 + log).map_or(Self::MAX, |bits| bits.min(Self::MAX)))
    }

    /// Takes a number of bits.
    ///
    /// # Errors
    /// [`TagBitsError`] outside 1 to 80.
    pub fn new(bits: u64) -> Result<Self, TagBitsError> {
        u8::try_from(bits)
            .ok()
            .filter(|bits| (1..=Self::MAX).contains(bits))
            .map(Self)
            .ok_or(TagBitsError { got: bits })
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> u8 {
        self.0
    }
}

/// The first bits of the hash of an evaluated item, as a number below 2^bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(pub u128);

// It is a pseudonym of a fingerprint for as long as its epoch lasts.
impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tag(..)")
    }
}

/// Makes tags of one space.
pub struct Tagger {
    space: Hash,
    shift: u32,
    hasher: DomainHasher,
}

impl Tagger {
    /// For a space; a session is named where the key is of that session alone.
    #[must_use]
    pub fn new(space: &Space, session: Option<&SessionId>, bits: TagBits) -> Self {
        Self {
            space: space.hash(session),
            shift: u128::BITS - u32::from(bits.get()),
            hasher: b3::TAG.hasher(),
        }
    }

    /// The tag of an evaluated item: of the encoding of `2U`.
    #[must_use]
    pub fn tag(&mut self, doubled: &[u8; 32]) -> Tag {
        let hash = self.hasher.hash(&[&self.space, doubled]);
        let mut first = [0; 16];
        first.copy_from_slice(&hash[..16]);
        Tag(u128::from_be_bytes(first) >> self.shift)
    }
}

impl fmt::Debug for Tagger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tagger(..)")
    }
}

/// One tag; [`Tagger`] for many.
#[must_use]
pub fn tag(space: &Space, session: Option<&SessionId>, doubled: &[u8; 32], bits: TagBits) -> Tag {
    Tagger::new(space, session, bits).tag(doubled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::MatchMode;
    use crate::psi::{Epoch, GroupId};

    #[test]
    fn bits_leave_room_for_fourfold_growth() {
        for (items, bits) in [
            (0, 62),
            (1, 62),
            (1 << 20, 62),
            ((1 << 20) + 1, 63),
            (100_000_000, 69),
            (u64::MAX, 80),
        ] {
            assert_eq!(TagBits::of(items).get(), bits, "{items}");
        }
        let least = [
            (0, 40),
            (1, 40),
            (2, 41),
            (1 << 22, 62),
            ((1 << 22) + 1, 63),
            (u64::MAX, 80),
        ];
        for (items, bits) in least {
            assert_eq!(TagBits::least(items).get(), bits, "{items}");
        }
        assert_eq!(TagBits::new(0), Err(TagBitsError { got: 0 }));
        assert_eq!(TagBits::new(81), Err(TagBitsError { got: 81 }));
        assert_eq!(TagBits::new(80).map(TagBits::get), Ok(80));
    }

    #[test]
    fn tag_is_the_first_bits_of_the_hash_under_its_context() {
        let space = Space {
            origin: "eu.example/eu/1".parse().unwrap(),
            epoch: Epoch(3),
            group: GroupId(1),
            kind: 3,
            mode: MatchMode::Items,
        };
        let mut input = space.hash(None).to_vec();
        input.extend([9; 32]);
        let hash = blake3::derive_key("hashpact tag v1", &input);
        let first = u128::from_be_bytes(hash[..16].try_into().unwrap());
        for bits in [1, 62, 80] {
            let bits = TagBits::new(bits).unwrap();
            let expected = Tag(first >> (128 - u32::from(bits.get())));
            assert_eq!(tag(&space, None, &[9; 32], bits), expected);
            assert_eq!(format!("{expected:?}"), "Tag(..)");
        }
        let session = SessionId([1; 16]);
        let bits = TagBits::new(62).unwrap();
        assert_ne!(
            tag(&space, Some(&session), &[9; 32], bits),
            tag(&space, None, &[9; 32], bits)
        );
    }
}
