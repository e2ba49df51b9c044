//! `canonical::check` against generated values, systematic mutations of them, and another CBOR implementation.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use coset::cbor;
use hashpact_keys::canonical::{CanonicalError, MAX_DEPTH, check, item_len};
use minicbor::Encoder;
use proptest::prelude::*;

/// A CBOR value within the profile, and how deep its arrays and maps go.
#[derive(Debug, Clone)]
enum Value {
    Unsigned(u64),
    /// `-1 - n`.
    Negative(u64),
    Bytes(Vec<u8>),
    Text(String),
    Bool(bool),
    Null,
    Array(Vec<Value>),
    /// Made by [`Value::map`] from any number of entries.
    Map(Vec<(Value, Value)>),
}

/// Canonical bytes, and where each item begins.
#[derive(Default)]
struct Encoded {
    bytes: Vec<u8>,
    heads: Vec<usize>,
}

impl Value {
    fn encode(&self) -> Encoded {
        let mut out = Encoded::default();
        self.write(&mut out);
        out
    }

    /// A map with its entries in canonical order, and of equal keys the first.
    fn map(mut entries: Vec<(Self, Self)>) -> Self {
        entries.sort_by_cached_key(|(key, _)| key.encode().bytes);
        entries.dedup_by_key(|(key, _)| key.encode().bytes);
        Self::Map(entries)
    }

    fn write(&self, out: &mut Encoded) {
        out.heads.push(out.bytes.len());
        let mut e = Encoder::new(&mut out.bytes);
        match self {
            Self::Unsigned(n) => drop(e.u64(*n).unwrap()),
            Self::Negative(n) => drop(
                e.int(minicbor::data::Int::try_from(-1 - i128::from(*n)).unwrap())
                    .unwrap(),
            ),
            Self::Bytes(bytes) => drop(e.bytes(bytes).unwrap()),
            Self::Text(text) => drop(e.str(text).unwrap()),
            Self::Bool(value) => drop(e.bool(*value).unwrap()),
            Self::Null => drop(e.null().unwrap()),
            Self::Array(items) => {
                e.array(items.len() as u64).unwrap();
                items.iter().for_each(|item| item.write(out));
            }
            Self::Map(entries) => {
                e.map(entries.len() as u64).unwrap();
                for (key, value) in entries {
                    key.write(out);
                    value.write(out);
                }
            }
        }
    }

    fn depth(&self) -> usize {
        match self {
            Self::Array(items) => 1 + items.iter().map(Self::depth).max().unwrap_or(0),
            Self::Map(entries) => {
                1 + entries
                    .iter()
                    .map(|(k, v)| k.depth().max(v.depth()))
                    .max()
                    .unwrap_or(0)
            }
            Self::Unsigned(_)
            | Self::Negative(_)
            | Self::Bytes(_)
            | Self::Text(_)
            | Self::Bool(_)
            | Self::Null => 0,
        }
    }
}

/// Numbers around every change of length, and any other.
fn number() -> impl Strategy<Value = u64> {
    let edges = [
        0,
        23,
        24,
        255,
        256,
        65_535,
        65_536,
        0xffff_ffff,
        0x1_0000_0000,
        u64::MAX,
    ];
    prop_oneof![
        prop::sample::select(edges.to_vec()),
        any::<u64>(),
        0u64..70_000
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        number().prop_map(Value::Unsigned),
        number().prop_map(Value::Negative),
        prop::collection::vec(any::<u8>(), 0..300).prop_map(Value::Bytes),
        "\\PC{0,30}".prop_map(Value::Text),
        any::<bool>().prop_map(Value::Bool),
        Just(Value::Null),
    ];
    leaf.prop_recursive(5, 60, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::vec((inner.clone(), inner), 0..6).prop_map(Value::map),
        ]
    })
}

/// The head at `at` with its argument one size longer, or nothing where there is no longer form.
fn longer_head(bytes: &[u8], at: usize) -> Option<Vec<u8>> {
    let (major, info) = (bytes[at] & 0xe0, bytes[at] & 0x1f);
    let (old_len, new_len): (usize, usize) = match info {
        _ if major == 0xe0 => return None,
        0..=23 => (0, 1),
        24 => (1, 2),
        25 => (2, 4),
        26 => (4, 8),
        _ => return None,
    };
    let mut argument = if old_len == 0 {
        vec![info]
    } else {
        bytes[at + 1..at + 1 + old_len].to_vec()
    };
    let mut head = vec![major | (24 + u8::try_from(new_len.ilog2()).unwrap())];
    head.resize(1 + new_len - argument.len(), 0);
    head.append(&mut argument);
    Some([&bytes[..at], &head, &bytes[at + 1 + old_len..]].concat())
}

proptest! {
    #[test]
    fn what_is_encoded_canonically_is_accepted(value in value()) {
        let bytes = value.encode().bytes;
        prop_assert_eq!(check(&bytes), Ok(()));
        let sequence = [bytes.as_slice(), &[0xff]].concat();
        prop_assert_eq!(item_len(&sequence), Ok(bytes.len()));
    }

    #[test]
    fn a_longer_form_is_refused_wherever_it_stands(value in value()) {
        let Encoded { bytes, heads } = value.encode();
        for at in heads {
            if let Some(mutated) = longer_head(&bytes, at) {
                prop_assert_eq!(check(&mutated), Err(CanonicalError::NotShortest { at }));
            }
        }
    }

    #[test]
    fn an_indefinite_length_is_refused_wherever_it_stands(value in value()) {
        let Encoded { bytes, heads } = value.encode();
        for at in heads {
            let mut mutated = bytes.clone();
            mutated[at] |= 0x1f;
            // Integers have no indefinite length and major type 7 makes a break of it: neither is definite.
            prop_assert_eq!(check(&mutated), Err(CanonicalError::Indefinite { at }));
        }
    }

    #[test]
    fn a_tag_is_refused_wherever_it_stands(value in value(), tag in prop::sample::select(vec![0xc0, 0xc2, 0xd2])) {
        let Encoded { bytes, heads } = value.encode();
        for at in heads {
            let mutated = [&bytes[..at], &[tag], &bytes[at..]].concat();
            prop_assert_eq!(check(&mutated), Err(CanonicalError::Tag { at }));
        }
    }

    #[test]
    fn every_truncation_and_every_trailing_byte_is_refused(value in value(), extra: u8) {
        let mut bytes = value.encode().bytes;
        for end in 0..bytes.len() {
            prop_assert!(matches!(check(&bytes[..end]), Err(CanonicalError::Truncated { .. })), "cut at {}", end);
        }
        let at = bytes.len();
        bytes.push(extra);
        prop_assert_eq!(check(&bytes), Err(CanonicalError::Trailing { at }));
    }

    #[test]
    fn depth_9_is_refused_and_depth_8_is_not(value in value(), maps in prop::collection::vec(any::<bool>(), MAX_DEPTH)) {
        let mut wrapped = value.clone();
        for is_map in &maps[..MAX_DEPTH - value.depth()] {
            wrapped = if *is_map { Value::Map(vec![(Value::Null, wrapped)]) } else { Value::Array(vec![wrapped]) };
        }
        prop_assert_eq!(wrapped.depth(), MAX_DEPTH);
        prop_assert_eq!(check(&wrapped.encode().bytes), Ok(()));
        let too_deep = Value::Array(vec![wrapped]).encode().bytes;
        let refused = matches!(check(&too_deep), Err(CanonicalError::Depth { .. }));
        prop_assert!(refused, "{:?}", check(&too_deep));
    }

    #[test]
    fn map_keys_out_of_order_or_repeated_are_refused(a in value(), b in value(), of_a in number(), of_b in number()) {
        prop_assume!(a.depth() < MAX_DEPTH && b.depth() < MAX_DEPTH);
        let [mut low, mut high] = [(a, of_a), (b, of_b)]
            .map(|(key, of_key)| (key.encode().bytes, Value::Unsigned(of_key).encode().bytes));
        prop_assume!(low.0 != high.0);
        if low.0 > high.0 {
            std::mem::swap(&mut low, &mut high);
        }
        let map = |first: &(Vec<u8>, Vec<u8>), second: &(Vec<u8>, Vec<u8>)| {
            [&[0xa2], first.0.as_slice(), &first.1, &second.0, &second.1].concat()
        };
        prop_assert_eq!(check(&map(&low, &high)), Ok(()));
        let at = 1 + high.0.len() + high.1.len();
        prop_assert_eq!(check(&map(&high, &low)), Err(CanonicalError::KeyOrder { at }));
        prop_assert_eq!(check(&map(&high, &high)), Err(CanonicalError::KeyRepeated { at }));
    }

    /// Whatever is accepted, another implementation reads and writes back as the very same bytes.
    #[test]
    fn nothing_is_accepted_that_another_implementation_would_write_otherwise(
        value in value(), flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
    ) {
        let mut bytes = value.encode().bytes;
        for (index, byte) in flips {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(len) = item_len(&bytes) {
            let read: cbor::Value = cbor::de::from_reader(&bytes[..len]).unwrap();
            let mut written = Vec::new();
            cbor::ser::into_writer(&read, &mut written).unwrap();
            prop_assert_eq!(written, &bytes[..len]);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(len) = item_len(&bytes) {
            prop_assert_eq!(check(&bytes[..len]), Ok(()));
        }
    }
}

#[test]
fn named_faults_have_their_own_error() {
    use CanonicalError::{
        Depth, Float, Indefinite, KeyOrder, NotShortest, Reserved, Simple, Trailing, Truncated,
        Utf8,
    };
    let cases: &[(&str, &[u8], CanonicalError)] = &[
        ("empty", b"", Truncated { at: 0 }),
        ("half precision", b"\x81\xf9\x3c\x00", Float { at: 1 }),
        ("single precision", b"\xfa\x00\x00\x00\x00", Float { at: 0 }),
        (
            "double precision",
            b"\xfb\x00\x00\x00\x00\x00\x00\x00\x00",
            Float { at: 0 },
        ),
        ("undefined", b"\xf7", Simple { at: 0 }),
        ("simple 0", b"\xe0", Simple { at: 0 }),
        ("false in two bytes", b"\xf8\x14", Simple { at: 0 }),
        ("break", b"\xff", Indefinite { at: 0 }),
        ("reserved 28", b"\x1c", Reserved { at: 0 }),
        ("reserved 30 of major 7", b"\xfe", Reserved { at: 0 }),
        ("overlong UTF-8", b"\x62\xc0\x80", Utf8 { at: 0 }),
        ("surrogate", b"\x63\xed\xa0\x80", Utf8 { at: 0 }),
        (
            "array claims 2^64-1 items",
            b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff\x00",
            Truncated { at: 0 },
        ),
        (
            "map claims 2^63 pairs",
            b"\xbb\x80\x00\x00\x00\x00\x00\x00\x00\x00",
            Truncated { at: 0 },
        ),
        (
            "bytes claim 2^64-1",
            b"\x5b\xff\xff\xff\xff\xff\xff\xff\xff\x00",
            Truncated { at: 0 },
        ),
        (
            "length of 0 in two bytes",
            b"\x58\x00",
            NotShortest { at: 0 },
        ),
        (
            "nine empty arrays",
            b"\x81\x81\x81\x81\x81\x81\x81\x81\x80",
            Depth { at: 8 },
        ),
        (
            "shorter key after longer",
            b"\xa2\x61b\x00\x0a\x00",
            KeyOrder { at: 4 },
        ),
        ("second item", b"\x00\x00", Trailing { at: 1 }),
    ];
    for (name, bytes, error) in cases {
        assert_eq!(check(bytes), Err(*error), "{name}");
    }
}

/// RFC 8949 section 4.2.1 sorts keys by their bytes, not by length first as RFC 7049 did.
#[test]
fn the_example_order_of_the_rfc_is_accepted() {
    // 10, 100, -1, "z", "aa", [100], [-1], false.
    let map =
        b"\xa8\x0a\x00\x18\x64\x00\x20\x00\x61z\x00\x62aa\x00\x81\x18\x64\x00\x81\x20\x00\xf4\x00";
    assert_eq!(check(map), Ok(()));
}
