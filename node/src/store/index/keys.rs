//! What is hashed to a key of the index, and the content check: one definition for those who write
//! rows (the store) and those who look for them (ingest, look-ups).
//!
//! Why a content check: a list that is ingested again repeats what is there. Forty bits over labels
//! and fields say whether a row repeats an entry or contradicts it, without reading the record; two
//! that differ agree by chance once in 2^40. In scope: domains and parts. Out of scope: rows
//! (`row`).

use hashpact_protocol::fingerprint::Fingerprint;
use hashpact_protocol::labels::Labels;
use hashpact_protocol::record::EntryId;

use super::row::{IndexKey, Key};

/// Domain of fingerprints.
const FINGERPRINT: u8 = 1;
/// Domain of entry ids.
const ENTRY: u8 = 2;
/// Domain of the labels half of a content check.
const LABELS: u8 = 3;
/// Domain of a content check.
const CONTENT: u8 = 4;
/// Domain of the names that a source has for its things.
const REFERENCE: u8 = 5;
/// Domain of the names that a source has for series.
const SERIES: u8 = 6;

/// The key of a fingerprint; `None` for an algorithm without a code, which is never matched.
#[must_use]
pub fn fingerprint_key(key: &IndexKey, fingerprint: &Fingerprint) -> Option<Key> {
    let code = fingerprint.algorithm().code()?;
    Some(key.key(FINGERPRINT, &[&[code], fingerprint.bytes()]))
}

/// The key of an entry of the log that the store numbers `origin`, for its places and its
/// retractions alike: their rows differ in kind and stand in segments of their own.
#[must_use]
pub fn entry_key(key: &IndexKey, origin: u16, entry: EntryId) -> Key {
    key.key(ENTRY, &[&origin.to_be_bytes(), &entry.0])
}

/// The labels half of a content check, to be hashed once for all records of a class.
#[must_use]
pub fn labels_digest(key: &IndexKey, labels: &Labels) -> Key {
    key.key(LABELS, &[&labels.to_bytes()])
}

/// 40 bits over a [`labels_digest`] and the encoded fields of a record: equal exactly when a
/// repeated row says the same. Goes into [`Value::extra`](super::Value::extra) of fingerprint rows.
#[must_use]
pub fn content_check(key: &IndexKey, labels: &Key, fields: &[u8]) -> u64 {
    let [a, b, c, d, e, ..] = key.key(CONTENT, &[labels, fields]);
    u64::from_be_bytes([0, 0, 0, a, b, c, d, e])
}

/// What a thing is known by here that its source names: the id of its entry. Meaningless without the key, and nothing of it
/// comes from a fingerprint.
#[must_use]
pub fn reference_key(key: &IndexKey, issuer: &[u8], name: &[u8]) -> Key {
    key.key(REFERENCE, &[issuer, name])
}

/// What a series is known by that a source names.
#[must_use]
pub fn series_key(key: &IndexKey, issuer: &[u8], name: &[u8]) -> Key {
    key.key(SERIES, &[issuer, name])
}

#[cfg(test)]
mod tests {
    use hashpact_protocol::fingerprint::Algorithm;
    use hashpact_protocol::testing::{labels, record};

    use super::*;

    #[test]
    fn one_entry_id_of_two_origins_has_two_keys() {
        let key = IndexKey::new(&[1; 32]);
        let entry = EntryId([7; 16]);
        assert!(entry_key(&key, 0, entry) != entry_key(&key, 1, entry));
    }

    #[test]
    fn equal_bytes_of_two_algorithms_have_two_keys() {
        let key = IndexKey::new(&[1; 32]);
        let of = |algorithm| {
            fingerprint_key(&key, &Fingerprint::new(algorithm, &[0x5a; 32]).unwrap()).unwrap()
        };
        assert!(of(Algorithm::Sha256) != of(Algorithm::Blake3));
    }

    #[test]
    fn an_unknown_algorithm_has_no_key() {
        let key = IndexKey::new(&[1; 32]);
        let algorithm = Algorithm::Other("something".to_owned());
        let fingerprint = Fingerprint::new(algorithm, &[5; 9]).unwrap();
        assert!(fingerprint_key(&key, &fingerprint).is_none());
    }

    #[test]
    fn a_content_check_is_40_bits_that_change_with_labels_and_fields() {
        let key = IndexKey::new(&[1; 32]);
        let mut other = labels();
        other.hops += 1;
        let (ours, others) = (labels_digest(&key, &labels()), labels_digest(&key, &other));
        let fields = record(1).fields.to_bytes();
        let check = content_check(&key, &ours, &fields);
        assert!(check < 1 << 40);
        assert_ne!(check, content_check(&key, &others, &fields));
        assert_ne!(
            check,
            content_check(&key, &ours, &record(2).fields.to_bytes())
        );
    }
}
