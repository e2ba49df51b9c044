//! The row of the index: 16 bytes of keyed hash, 16 bytes that say where the thing is.
//!
//! Why a keyed hash: a stolen disk must be no hash list, and rows of one size with uniform keys can
//! be found by interpolation. In scope: the layout, its strict decoding, and the key. Out of scope:
//! what is hashed (the caller's domains and parts).

use zeroize::Zeroizing;

/// Bytes of a row in a segment.
pub const ROW_LEN: usize = 32;

/// The first 16 bytes of a keyed hash: uniform, and meaningless without the [`IndexKey`].
pub type Key = [u8; 16];

/// One row: a key and the 16 bytes of a [`Value`]. Ordered by key, then value, both bytewise.
///
/// No derived Debug: a row is shown as `Row(..)`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Keyed hash of what the row is about.
    pub key: Key,
    /// An encoded [`Value`].
    pub value: [u8; 16],
}

impl Row {
    /// Key, then value.
    #[must_use]
    pub fn to_bytes(self) -> [u8; ROW_LEN] {
        let mut bytes = [0; ROW_LEN];
        bytes[..16].copy_from_slice(&self.key);
        bytes[16..].copy_from_slice(&self.value);
        bytes
    }

    /// The row that [`Row::to_bytes`] wrote; the value stays undecoded.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; ROW_LEN]) -> Self {
        Self {
            key: array_at(bytes, 0),
            value: array_at(bytes, 16),
        }
    }

    // Two integer comparisons, which a sort of millions of rows notices.
    fn order(&self) -> (u128, u128) {
        (
            u128::from_be_bytes(self.key),
            u128::from_be_bytes(self.value),
        )
    }
}

impl Ord for Row {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}

impl PartialOrd for Row {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Row(..)")
    }
}

/// What a row says about its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum RowKind {
    /// A fingerprint stands at this place.
    Fingerprint = 1,
    /// An entry id stands at this place.
    Entry = 2,
    /// This fingerprint's place was retracted.
    Ended = 3,
    /// An entry id is retracted up to a revision.
    Retracted = 4,
}

/// A place in a delta, packed big-endian in 16 bytes: kind 1, origin 2, seq 4, offset 4, extra 5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Value {
    /// What the row says.
    pub kind: RowKind,
    /// The store's number of the centre whose log holds the delta.
    pub origin: u16,
    /// The delta's sequence number in that log.
    pub seq: u32,
    /// Where in the delta's body bytes the record begins: reading it needs no table of records.
    pub offset: u32,
    /// Whatever the kind needs besides, such as a revision: below 2^40.
    pub extra: u64,
}

/// Why a [`Value`] cannot be written or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// `extra` needs more than 40 bits.
    #[error("extra: at most {max}, got {got}")]
    Extra {
        /// The largest that fits.
        max: u64,
        /// The one given.
        got: u64,
    },
    /// The first byte is no [`RowKind`].
    #[error("row kind: expected 1 to 4, got {got}")]
    Kind {
        /// The byte found.
        got: u8,
    },
}

impl Value {
    /// The largest `extra`.
    pub const EXTRA_MAX: u64 = (1 << 40) - 1;

    /// The 16 bytes of this value, in the order of its fields.
    ///
    /// # Errors
    /// [`ValueError::Extra`] if `extra` is above [`Value::EXTRA_MAX`].
    pub fn encode(&self) -> Result<[u8; 16], ValueError> {
        if self.extra > Self::EXTRA_MAX {
            return Err(ValueError::Extra {
                max: Self::EXTRA_MAX,
                got: self.extra,
            });
        }
        let mut bytes = [0; 16];
        bytes[0] = self.kind as u8;
        bytes[1..3].copy_from_slice(&self.origin.to_be_bytes());
        bytes[3..7].copy_from_slice(&self.seq.to_be_bytes());
        bytes[7..11].copy_from_slice(&self.offset.to_be_bytes());
        bytes[11..].copy_from_slice(&self.extra.to_be_bytes()[3..]);
        Ok(bytes)
    }

    /// The value that [`Value::encode`] wrote.
    ///
    /// # Errors
    /// [`ValueError::Kind`] if the first byte is none of the four kinds.
    pub fn decode(bytes: &[u8; 16]) -> Result<Self, ValueError> {
        let kind = match bytes[0] {
            1 => RowKind::Fingerprint,
            2 => RowKind::Entry,
            3 => RowKind::Ended,
            4 => RowKind::Retracted,
            got => return Err(ValueError::Kind { got }),
        };
        let mut extra = [0; 8];
        extra[3..].copy_from_slice(&bytes[11..]);
        Ok(Self {
            kind,
            origin: u16::from_be_bytes(array_at(bytes, 1)),
            seq: u32::from_be_bytes(array_at(bytes, 3)),
            offset: u32::from_be_bytes(array_at(bytes, 7)),
            extra: u64::from_be_bytes(extra),
        })
    }
}

/// The secret under which index keys are hashed. Zeroized on drop; no Debug, no Clone.
pub struct IndexKey(Zeroizing<[u8; 32]>);

impl IndexKey {
    /// Takes a copy of `bytes`, which must be uniform and secret; the caller wipes its own.
    #[must_use]
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(Zeroizing::new(*bytes))
    }

    /// The first 16 bytes of BLAKE3 in keyed mode over `domain`, then each part with its length
    /// (u64, big-endian) before it.
    ///
    /// The lengths keep `["ab", "c"]` apart from `["a", "bc"]`; `domain` keeps fingerprints apart
    /// from entry ids.
    #[must_use]
    pub fn key(&self, domain: u8, parts: &[&[u8]]) -> Key {
        let mut stack = [0; 256];
        let hash = match frame(&mut stack, domain, parts) {
            Some(framed) => blake3::keyed_hash(&self.0, framed),
            None => self.hash_long(domain, parts),
        };
        array_at(hash.as_bytes(), 0)
    }

    fn hash_long(&self, domain: u8, parts: &[&[u8]]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(&[domain]);
        for part in parts {
            hasher
                .update(&(part.len() as u64).to_be_bytes())
                .update(part);
        }
        hasher.finalize()
    }
}

/// Lays the hashed bytes out in `buffer`, if they fit: one call of the hash is several times faster
/// than a hasher fed bit by bit.
fn frame<'b>(buffer: &'b mut [u8; 256], domain: u8, parts: &[&[u8]]) -> Option<&'b [u8]> {
    buffer[0] = domain;
    let mut at = 1;
    for part in parts {
        let rest = buffer.get_mut(at..)?;
        rest.get_mut(..8)?
            .copy_from_slice(&(part.len() as u64).to_be_bytes());
        rest.get_mut(8..)?
            .get_mut(..part.len())?
            .copy_from_slice(part);
        at += 8 + part.len();
    }
    buffer.get(..at)
}

/// `N` bytes of `bytes` from `at`, for offsets that the caller's types bound.
pub(super) fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_value_lies_in_the_order_of_its_fields() {
        let value = Value {
            kind: RowKind::Ended,
            origin: 0x0102,
            seq: 0x0304_0506,
            offset: 0x0708_090a,
            extra: 0x0b_0c0d_0e0f,
        };
        let bytes = value.encode().unwrap();
        assert_eq!(
            bytes,
            [3, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]
        );
        assert_eq!(Value::decode(&bytes).unwrap(), value);
    }

    #[test]
    fn an_extra_of_41_bits_is_refused_and_not_cut() {
        let value = Value {
            kind: RowKind::Retracted,
            origin: 0,
            seq: 0,
            offset: 0,
            extra: 1 << 40,
        };
        let expected = ValueError::Extra {
            max: (1 << 40) - 1,
            got: 1 << 40,
        };
        assert_eq!(value.encode(), Err(expected));
    }

    proptest! {
        #[test]
        fn every_16_bytes_decode_to_one_value_or_name_their_kind(bytes: [u8; 16]) {
            match Value::decode(&bytes) {
                Ok(value) => prop_assert_eq!(value.encode().unwrap(), bytes),
                Err(error) => {
                    prop_assert!(!(1..=4).contains(&bytes[0]));
                    prop_assert_eq!(error, ValueError::Kind { got: bytes[0] });
                }
            }
        }

        #[test]
        fn rows_are_ordered_as_their_bytes(a: [u8; 32], b: [u8; 32]) {
            let (x, y) = (Row::from_bytes(&a), Row::from_bytes(&b));
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
            prop_assert_eq!(x.to_bytes(), a);
        }

        #[test]
        fn the_stack_path_hashes_what_the_long_path_hashes(
            secret: [u8; 32], domain: u8, parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..150), 0..4),
        ) {
            let key = IndexKey::new(&secret);
            let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            let long = key.hash_long(domain, &parts);
            prop_assert_eq!(&key.key(domain, &parts)[..], &long.as_bytes()[..16]);
        }
    }

    #[test]
    fn moving_a_byte_between_parts_domain_or_secret_changes_the_key() {
        let key = IndexKey::new(&[7; 32]);
        let keys = [
            key.key(1, &[b"ab", b"c"]),
            key.key(1, &[b"a", b"bc"]),
            key.key(1, &[b"abc"]),
            key.key(2, &[b"abc"]),
            key.key(1, &[b"abc", b""]),
            IndexKey::new(&[8; 32]).key(1, &[b"abc"]),
        ];
        for (i, a) in keys.iter().enumerate() {
            for b in &keys[i + 1..] {
                assert!(a != b);
            }
        }
    }

    #[test]
    fn parts_that_just_miss_the_stack_buffer_are_still_hashed() {
        let key = IndexKey::new(&[7; 32]);
        for len in 240..260 {
            let part = vec![5; len];
            let long = key.hash_long(9, &[&part]);
            assert!(key.key(9, &[&part]) == long.as_bytes()[..16], "{len} bytes");
        }
    }

    #[test]
    fn debug_shows_no_key() {
        let row = Row {
            key: [0xab; 16],
            value: [0xcd; 16],
        };
        assert_eq!(format!("{row:?}"), "Row(..)");
    }
}
