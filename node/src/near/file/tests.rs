//! What the index refuses, and that what it holds is found.

use std::path::PathBuf;

use hashpact_protocol::fingerprint::Fingerprint;
use hashpact_protocol::record::{Fields, Print, Record};

use super::*;
use crate::store::durable::Steps;

fn list() -> ListVersion {
    ListVersion {
        network: "n".to_owned(),
        centre: "us".to_owned(),
        member: "acme".to_owned(),
        ledger: "0011223344556677".to_owned(),
        cursor: "abc".to_owned(),
        issued_at: 1_790_000_000,
    }
}

fn origin(centre: &str) -> Origin {
    format!("{centre}.example/{centre}/1").parse().unwrap()
}

fn labels(state: &str) -> ClassLabels {
    ClassLabels::from([("state".to_owned(), serde_json::json!(state))])
}

fn bytes_of(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let mut hasher = blake3::Hasher::new();
    hasher
        .update(&seed.to_le_bytes())
        .finalize_xof()
        .fill(&mut bytes);
    bytes
}

/// A value that passes the guard: half of a PDQ hash's bits are set.
fn value(algorithm: Algorithm, seed: u64) -> Fingerprint {
    let mut bytes = bytes_of(seed, algorithm.length().unwrap());
    if algorithm == Algorithm::Pdq {
        for at in 16..32 {
            bytes[at] = !bytes[at - 16];
        }
    }
    Fingerprint::new(algorithm, &bytes).unwrap()
}

const KINDS: [Algorithm; 6] = [
    Algorithm::Md5,
    Algorithm::Sha1,
    Algorithm::Sha256,
    Algorithm::Blake3,
    Algorithm::Pdq,
    Algorithm::PhotoDna,
];

fn fields(seed: u64) -> Fields {
    let mut fields: Fields = hashpact_protocol::testing::record(seed).fields;
    fields.prints = KINDS
        .into_iter()
        .map(|kind| Print::plain(value(kind, seed)))
        .collect();
    fields.prints[4].quality = seed.is_multiple_of(2).then_some(80);
    fields
}

fn entry(seed: u64) -> EntryId {
    EntryId(bytes_of(seed, 16).try_into().unwrap())
}

struct Made {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl Made {
    fn bytes(&self) -> Vec<u8> {
        std::fs::read(&self.path).unwrap()
    }
}

/// Entries of two logs, in this order.
fn make(order: impl Iterator<Item = u64>, swapped: bool) -> Made {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE_NAME);
    let mut writer = IndexWriter::new(list());
    let mut classes = [("eu", 3), ("us", 1), ("eu", 1)];
    if swapped {
        classes.reverse();
    }
    for (centre, class) in classes {
        let labels = labels(&format!("{centre}{class}"));
        writer
            .class(&origin(centre), ClassId(class), labels)
            .unwrap();
    }
    for seed in order {
        let (centre, class) = [("eu", 3), ("us", 1), ("eu", 1)][(seed % 3) as usize];
        let marks = Marks {
            disputed: seed.is_multiple_of(5),
            flagged: seed.is_multiple_of(7),
        };
        writer
            .push(
                (&origin(centre), ClassId(class)),
                (entry(seed), Revision(2)),
                marks,
                &fields(seed),
            )
            .unwrap();
    }
    writer.finish(&path, &Steps::default()).unwrap();
    Made {
        _folder: folder,
        path,
    }
}

fn read(bytes: &[u8]) -> Result<Index, ReadIndexError> {
    Index::read(bytes, bytes.len() as u64)
}

/// Changes bytes and puts the checksum right: what a careful forger or a wrong writer would make.
fn forged(made: &Made, change: impl FnOnce(&mut Vec<u8>)) -> Result<Index, ReadIndexError> {
    let mut bytes = made.bytes();
    bytes.truncate(bytes.len() - CHECKSUM_BYTES);
    change(&mut bytes);
    let checksum = blake3::hash(&bytes);
    bytes.extend_from_slice(checksum.as_bytes());
    read(&bytes)
}

#[test]
fn what_was_written_is_found_with_origin_class_and_marks() {
    let made = make(0..60, false);
    let index = Index::open(&made.path).unwrap();
    assert_eq!((index.len(), index.head().list.clone()), (60, list()));
    for seed in 0..60 {
        for kind in KINDS {
            let found = index.find(&value(kind, seed));
            let [ordinal] = found else {
                panic!("{found:?}")
            };
            let hit = index.hit(*ordinal).unwrap();
            let (centre, class) = [("eu", 3), ("us", 1), ("eu", 1)][(seed % 3) as usize];
            assert_eq!(hit.origin, origin(centre).to_string());
            assert_eq!(hit.class.class, class);
            assert_eq!(hit.class.labels, labels(&format!("{centre}{class}")));
            assert_eq!(
                (hit.entry.entry, hit.entry.revision),
                (entry(seed), Revision(2))
            );
            assert_eq!(hit.entry.marks.disputed, seed.is_multiple_of(5));
            assert_eq!(hit.entry.marks.flagged, seed.is_multiple_of(7));
        }
    }
    for (number, (hash, _)) in index.pdq().enumerate() {
        let seed = (0..60).find(|seed| value(Algorithm::Pdq, *seed).bytes() == hash);
        let expected = seed.unwrap().is_multiple_of(2).then_some(80);
        assert_eq!(index.quality(number), expected);
    }
    assert!(index.find(&value(Algorithm::Md5, 60)).is_empty());
}

#[test]
fn the_same_list_gives_the_same_bytes_in_whatever_order_it_was_told() {
    assert_eq!(
        make(0..40, false).bytes(),
        make((0..40).rev(), true).bytes()
    );
}

#[test]
fn a_list_without_entries_is_written_and_read() {
    let made = make(0..0, false);
    assert!(Index::open(&made.path).unwrap().is_empty());
}

#[test]
fn file_that_was_cut_anywhere_is_refused() {
    let made = make(0..4, false);
    let bytes = made.bytes();
    for length in 0..bytes.len() {
        assert!(read(&bytes[..length]).is_err(), "{length} bytes");
    }
    let longer = [bytes, vec![0]].concat();
    assert!(matches!(
        read(&longer),
        Err(ReadIndexError::Header { what: "length" })
    ));
}

#[test]
fn any_flipped_bit_is_found() {
    let mut bytes = make(0..3, false).bytes();
    for bit in 0..bytes.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(read(&bytes).is_err(), "bit {bit}");
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    read(&bytes).unwrap();
}

#[test]
fn rows_out_of_order_or_twice_are_refused() {
    let made = make(0..6, false);
    let row = |number: usize| HEADER_BYTES + number * ROW_BYTES;
    let swapped = forged(&made, |bytes| {
        let first = bytes[row(0)..row(1)].to_vec();
        bytes.copy_within(row(1)..row(2), row(0));
        bytes[row(1)..row(2)].copy_from_slice(&first);
    });
    assert!(matches!(
        swapped,
        Err(ReadIndexError::Row {
            number: 1,
            what: "not in order"
        })
    ));
    let twice = forged(&made, |bytes| bytes.copy_within(row(0)..row(1), row(1)));
    assert!(matches!(
        twice,
        Err(ReadIndexError::Row {
            number: 1,
            what: "not in order"
        })
    ));
}

#[test]
fn entries_out_of_order_or_of_another_logs_class_are_refused() {
    let made = make(0..6, false);
    let at = |number: usize| HEADER_BYTES + 36 * ROW_BYTES + number * ENTRY_BYTES;
    let twice = forged(&made, |bytes| bytes.copy_within(at(0)..at(1), at(1)));
    assert!(matches!(
        twice,
        Err(ReadIndexError::Entry {
            number: 1,
            what: "not in order"
        })
    ));
    let moved = forged(&made, |bytes| bytes[at(0) + 2] = 2);
    assert!(matches!(
        moved,
        Err(ReadIndexError::Entry { number: 0, .. })
    ));
    let nowhere = forged(&made, |bytes| bytes[at(0) + 2] = 9);
    assert!(matches!(
        nowhere,
        Err(ReadIndexError::Entry { number: 0, .. })
    ));
}

#[test]
fn counts_beyond_the_file_are_refused_before_anything_is_allocated() {
    let made = make(0..3, false);
    for at in [24, 28, 32] {
        let huge = forged(&made, |bytes| bytes[at..at + 4].fill(0xff));
        assert!(matches!(huge, Err(ReadIndexError::TooMany { .. })), "{at}");
        let more = forged(&made, |bytes| bytes[at] += 8);
        assert!(matches!(more, Err(ReadIndexError::Header { .. })), "{at}");
    }
}

#[test]
fn rows_that_lie_about_algorithm_padding_entry_or_quality_are_refused() {
    let made = make(0..2, false);
    let faults: [(usize, u8); 6] = [(0, 9), (0, 2), (1, 80), (2, 1), (4, 200), (39, 1)];
    for (at, byte) in faults {
        let wrong = forged(&made, |bytes| bytes[HEADER_BYTES + at] = byte);
        assert!(matches!(wrong, Err(ReadIndexError::Row { .. })), "{at}");
    }
}

#[test]
fn another_version_or_file_is_named() {
    let made = make(0..1, false);
    assert!(matches!(
        forged(&made, |bytes| bytes[8] = 2),
        Err(ReadIndexError::Version { got: 2 })
    ));
    assert!(matches!(
        forged(&made, |bytes| bytes[0] = b'X'),
        Err(ReadIndexError::Magic)
    ));
}

#[test]
fn head_with_an_unknown_key_is_refused() {
    let made = make(0..1, false);
    let wrong = forged(&made, |bytes| {
        let at = bytes
            .windows(9)
            .position(|it| it == b"\"network\"")
            .unwrap();
        bytes[at + 1] = b'N';
    });
    assert!(matches!(wrong, Err(ReadIndexError::Head { .. })));
}

#[test]
fn an_entry_twice_or_of_an_untold_class_is_refused() {
    let record: Record = hashpact_protocol::testing::record(1);
    let mut writer = IndexWriter::new(list());
    let (eu, class) = (origin("eu"), ClassId(1));
    let push = |writer: &mut IndexWriter| {
        let of = (record.entry, record.revision);
        writer.push((&eu, class), of, Marks::default(), &record.fields)
    };
    assert!(matches!(
        push(&mut writer),
        Err(WriteIndexError::Class { .. })
    ));
    writer.class(&eu, class, labels("a")).unwrap();
    push(&mut writer).unwrap();
    push(&mut writer).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE_NAME);
    let done = writer.finish(&path, &Steps::default());
    assert!(matches!(done, Err(WriteIndexError::Twice { .. })));
    assert!(!path.exists());
}

#[test]
fn debug_shows_no_value() {
    let made = make(0..2, false);
    let shown = format!("{:?}", Index::open(&made.path).unwrap());
    let hex: String = bytes_of(0, 16)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert!(!shown.contains(&hex[..8]), "{shown}");
}
