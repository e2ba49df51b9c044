//! Reading and checking walk one schema: they take and refuse the same bytes, with the same error.

use hashpact_keys::canonical::{self, CanonicalError};
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::fingerprint::{Algorithm, Fingerprint};
use crate::limits;
use crate::lists::{ClosedList, Set};
use crate::record::decode::Checked;
use crate::record::{
    AgeBasis, Classifier, Confidence, Derivation, DisabledReason, EntryId, Fields, Flag,
    LocalLabel, Print, PrintValue, Priority, Record, RecordError, Retention, Revision,
};

/// Any value of a list, its default among them: what states a default is refused, and so is tried as well.
fn one<T: ClosedList + std::fmt::Debug>() -> impl Strategy<Value = T> {
    (0..T::VALUES.len()).prop_map(|at| T::VALUES[at].0)
}

fn set<T: ClosedList>() -> impl Strategy<Value = Set<T>> {
    let values = |bits: u8| Set::from_bits(u64::from(bits)).unwrap_or(Set::full());
    prop_oneof![Just(Set::full()), (0..8_u8).prop_map(values)]
}

fn print() -> impl Strategy<Value = Print> {
    let known = (1..7_u64, any::<u8>()).prop_map(|(code, fill)| {
        let algorithm = Algorithm::from_code(code).unwrap();
        let bytes: Vec<_> = (0..algorithm.length().unwrap())
            .map(|at| if at == 0 { fill } else { 0b0101_0101 })
            .collect();
        PrintValue::Inline(Fingerprint::new(algorithm, &bytes).unwrap())
    });
    let other = prop::collection::vec(1..9_u8, 1..40).prop_map(|bytes| {
        PrintValue::Inline(Fingerprint::new(Algorithm::Other("tmk".to_owned()), &bytes).unwrap())
    });
    let apart = (1_000..1_100_u32, any::<u8>()).prop_map(|(length, fill)| PrintValue::Apart {
        algorithm: Algorithm::Other("vpdq".to_owned()),
        length,
        sha256: [fill; 32],
    });
    let extras = (
        prop::option::weighted(0.2, 0..=101_u8),
        prop::option::weighted(0.2, one::<DisabledReason>()),
    );
    (prop_oneof![4 => known, 1 => other, 1 => apart], extras).prop_map(
        |(value, (quality, disabled))| Print {
            value,
            quality,
            disabled,
        },
    )
}

fn token() -> impl Strategy<Value = String> {
    prop_oneof![8 => "[a-z0-9-]{1,12}", 1 => "[a-zA-Zé]{0,4}"]
}

fn label() -> impl Strategy<Value = LocalLabel> {
    let value =
        prop_oneof![4 => "[ -~]{1,30}", 1 => "\\PC{0,20}", 1 => "[\\x00-\\x20é\u{80}-\u{a0}]{1,4}"];
    (token(), "[0-9.]{1,4}", token(), value).prop_map(|(scheme, version, issuer, value)| {
        LocalLabel {
            scheme,
            version,
            issuer,
            value,
        }
    })
}

fn fields() -> impl Strategy<Value = Fields> {
    let lists = (
        prop::collection::vec(print(), 1..5),
        prop::collection::vec(label(), 1..4),
        prop::collection::btree_map(any::<[u8; 16]>(), one::<Derivation>(), 0..4),
        prop::array::uniform7(one::<Flag>()),
    );
    let sets = (set(), set(), set(), set(), set());
    let ones = (
        one::<AgeBasis>(),
        one::<Confidence>(),
        one::<Priority>(),
        one::<Retention>(),
    );
    let day = || prop::option::of(prop_oneof![9 => 0..100_000_u32, 1 => any::<u32>()]);
    let rest = (
        prop::option::of(any::<u64>()),
        prop::option::of(any::<[u8; 16]>()),
        prop::option::of((token(), "[0-9.]{1,4}", 0..10_002_u16)),
        [day(), day(), day()],
    );
    (lists, sets, ones, rest).prop_map(|(lists, sets, ones, rest)| Fields {
        prints: lists.0,
        local_labels: lists.1,
        derived_from: lists
            .2
            .into_iter()
            .map(|(id, how)| (EntryId(id), how))
            .collect(),
        features: lists.3,
        activity_form: sets.0,
        age_depicted: sets.1,
        pubertal_stage: sets.2,
        source_context: sets.3,
        victim_status: sets.4,
        age_basis: ones.0,
        age_confidence: ones.1,
        priority: ones.2,
        retention: ones.3,
        byte_length: rest.0,
        series_id: rest.1,
        classifier: rest.2.map(|(id, version, score)| Classifier {
            id,
            version,
            score,
            threshold: score,
        }),
        entered_on: rest.3[0],
        assessed_on: rest.3[1],
        review_on: rest.3[2],
    })
}

fn record() -> impl Strategy<Value = Record> {
    (any::<[u8; 16]>(), 0..400_u32, fields()).prop_map(|(entry, revision, fields)| Record {
        entry: EntryId(entry),
        revision: Revision(revision),
        fields,
    })
}

/// What an adversary does to bytes.
#[derive(Clone, Debug)]
enum Change {
    Set(Index, u8),
    Add(Index, i8),
    Insert(Index, u8),
    Remove(Index),
    Cut(Index),
    Copy(Index, Index, usize),
}

fn change() -> impl Strategy<Value = Change> {
    // Heads around every rule of form and of the schema, beside any byte.
    let byte = prop_oneof![
        any::<u8>(),
        select(
            [
                0x00, 0x01, 0x13, 0x14, 0x18, 0x19, 0x1b, 0x20, 0x40, 0x50, 0x58, 0x60, 0x61, 0x80,
                0x82, 0x83, 0x84, 0x87, 0x9f, 0xa0, 0xa3, 0xbf, 0xc0, 0xf4, 0xf6, 0xf7, 0xf9, 0xff,
            ]
            .as_slice()
        )
    ];
    prop_oneof![
        (any::<Index>(), byte.clone()).prop_map(|(at, byte)| Change::Set(at, byte)),
        (any::<Index>(), -2..3_i8).prop_map(|(at, by)| Change::Add(at, by)),
        (any::<Index>(), byte).prop_map(|(at, byte)| Change::Insert(at, byte)),
        any::<Index>().prop_map(Change::Remove),
        any::<Index>().prop_map(Change::Cut),
        (any::<Index>(), any::<Index>(), 1..40_usize)
            .prop_map(|(from, to, len)| Change::Copy(from, to, len)),
    ]
}

fn changed(mut bytes: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        if bytes.is_empty() {
            break;
        }
        let place = |at: &Index| at.index(bytes.len());
        match change {
            Change::Set(at, byte) => {
                let at = place(at);
                bytes[at] = *byte;
            }
            Change::Add(at, by) => {
                let at = place(at);
                bytes[at] = bytes[at].wrapping_add_signed(*by);
            }
            Change::Insert(at, byte) => bytes.insert(place(at), *byte),
            Change::Remove(at) => drop(bytes.remove(place(at))),
            Change::Cut(at) => bytes.truncate(place(at)),
            Change::Copy(from, to, len) => {
                let (from, to) = (place(from), place(to));
                let piece = bytes[from..bytes.len().min(from + len)].to_vec();
                bytes.splice(to..to, piece);
            }
        }
    }
    bytes
}

/// What holds of any bytes, whoever made them.
fn reading_and_checking_agree(bytes: &[u8]) {
    let read = Record::from_bytes(bytes);
    if bytes.len() > limits::RECORD_BYTES {
        assert_eq!(read, Err(RecordError::TooLarge { got: bytes.len() }));
    } else if let Err(fault) = canonical::check(bytes) {
        assert_eq!(read, Err(RecordError::Canonical(fault)), "form comes first");
    }
    if let Ok(record) = &read {
        assert_eq!(record.to_bytes(), bytes, "one meaning has one encoding");
        let checked = Record::check_first(bytes).unwrap();
        assert_eq!((checked.entry, checked.len), (record.entry, bytes.len()));
    }
    let first = match canonical::item_len(bytes) {
        Ok(len) => Record::from_bytes(&bytes[..len]).map(|record| Checked {
            entry: record.entry,
            len,
            is_classified: record.fields.classifier.is_some(),
        }),
        Err(fault) => Err(RecordError::Canonical(fault)),
    };
    assert_eq!(Record::check_first(bytes), first);
}

/// A record is its id, its revision and its fields, whose bytes stand alone in ingest.
fn fields_alone_agree(bytes: &[u8]) {
    let fields = Fields::from_bytes(bytes);
    let whole = Record::assemble(EntryId([1; 16]), Revision(1), bytes);
    if let Err(fault) = canonical::check(bytes) {
        assert_eq!(fields, Err(RecordError::Canonical(fault)));
    } else if whole.len() <= limits::RECORD_BYTES && canonical::check(&whole).is_ok() {
        let read = Record::from_bytes(&whole).map(|record| record.fields);
        assert_eq!(fields, read);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_024))]

    #[test]
    fn a_record_and_what_is_made_of_it_are_read_and_checked_alike(
        record in record(), changes in prop::collection::vec(change(), 0..4), tail in any::<[u8; 3]>(),
    ) {
        let bytes = changed(record.to_bytes(), &changes);
        reading_and_checking_agree(&bytes);
        reading_and_checking_agree(&[&bytes[..], &tail].concat());
        fields_alone_agree(&changed(record.fields.to_bytes(), &changes));
    }

    #[test]
    fn any_bytes_are_read_and_checked_alike(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        reading_and_checking_agree(&bytes);
        fields_alone_agree(&bytes);
        let tail = [&[0x83, 0x50][..], &[7; 16], &[0x01], &bytes].concat();
        reading_and_checking_agree(&tail);
    }
}

/// Bytes with a fault of the schema at the left and one of form behind it: the latter is told, as it always was.
#[test]
fn a_fault_of_form_behind_a_fault_of_the_schema_is_told_first() {
    let mut bytes = crate::testing::record(1).to_bytes();
    let (revision, at) = (18, bytes.len() - 1);
    assert_eq!(bytes[revision], 1);
    bytes[revision] = 0;
    assert_eq!(Record::from_bytes(&bytes), Err(RecordError::Revision));
    assert_eq!(Record::check_first(&bytes), Err(RecordError::Revision));
    bytes[at] = 0xff;
    let fault = canonical::check(&bytes).unwrap_err();
    assert_eq!(
        Record::from_bytes(&bytes),
        Err(RecordError::Canonical(fault))
    );
    assert_eq!(
        Record::check_first(&bytes),
        Err(RecordError::Canonical(fault))
    );
}

#[test]
fn a_key_twice_or_below_the_one_before_it_is_refused() {
    let sample = crate::testing::record(1).to_bytes();
    let map = sample.iter().position(|b| *b == 0xa3).unwrap();
    let at = sample.len() + 2;
    // Day of entry 1, then the byte length 5 or the same day again.
    for (more, fault) in [
        ([0x10, 0x01, 0x02, 0x05], CanonicalError::KeyOrder { at }),
        ([0x10, 0x01, 0x10, 0x01], CanonicalError::KeyRepeated { at }),
    ] {
        let mut bytes = sample.clone();
        bytes[map] = 0xa5;
        bytes.extend(more);
        let fault = RecordError::Canonical(fault);
        assert_eq!(Record::check_first(&bytes), Err(fault.clone()));
        assert_eq!(Record::from_bytes(&bytes), Err(fault));
    }
}

#[test]
fn an_item_longer_than_a_record_is_too_large_only_if_its_form_is_right() {
    let mut record = crate::testing::record(1);
    record.fields.local_labels[0].value = "a".repeat(limits::RECORD_BYTES);
    let mut bytes = record.to_bytes();
    let got = bytes.len();
    let too_large = Err(RecordError::TooLarge { got });
    assert_eq!(Record::check_first(&bytes), too_large);
    *bytes.last_mut().unwrap() = 0xff;
    let fault = canonical::check(&bytes).unwrap_err();
    assert_eq!(
        Record::check_first(&bytes),
        Err(RecordError::Canonical(fault))
    );
}
