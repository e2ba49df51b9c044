//! Redaction: what is withheld changes nothing of what is signed, and nothing else passes.

mod redaction;

use std::collections::BTreeSet;

use hashpact_keys::Origin;
use proptest::prelude::*;

use super::*;
use crate::limits;
use crate::record::{EntryId, Record, RecordError, Revision};
use crate::testing::{self, rng::Seeded};

fn origin() -> Origin {
    "eu.example/eu/1".parse().unwrap()
}

fn retraction(n: u8) -> Retraction {
    Retraction {
        entry: EntryId([n; 16]),
        revision: Revision(1),
    }
}

/// A delta of classes with these counts, classes numbered 0, 3, 6 and so on, and what to check its body against.
fn sealed(counts: &[u64], retractions: Vec<Retraction>) -> (Expected, Body) {
    let mut records = Vec::new();
    for (class, count) in (0..).step_by(3).map(ClassId).zip(counts) {
        let first = records.len() as u64;
        records.extend((first..first + count).map(|n| (class, testing::record(n))));
    }
    let bytes: Vec<_> = records
        .iter()
        .map(|(_, record)| record.to_bytes())
        .collect();
    let items = records.iter().zip(&bytes);
    let items = items.map(|((class, record), bytes)| (*class, record.entry, bytes.as_slice()));
    let draft = Draft::new(items, retractions, &mut Seeded::new(1)).unwrap();
    let Sealed { table, body } = draft.seal(&origin(), Seq(4)).unwrap();
    (
        Expected {
            origin: origin(),
            seq: Seq(4),
            table,
            suspected: BTreeSet::new(),
        },
        body,
    )
}

/// The body with these classes withheld, section by section, as a relay would cut it.
fn redacted(expected: &Expected, body: &Body, withheld: impl Fn(usize) -> bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (index, (section, entry)) in body
        .sections()
        .iter()
        .zip(&expected.table.classes)
        .enumerate()
    {
        if withheld(index) {
            bytes.extend(withheld_section(entry));
        } else {
            bytes.extend_from_slice(&body.bytes()[section.range.clone()]);
        }
    }
    bytes.extend_from_slice(&body.bytes()[body.retraction_range()]);
    bytes
}

fn refused(bytes: Vec<u8>, expected: &Expected) -> BodyError {
    Body::verify(bytes, expected).unwrap_err()
}

/// One class with these record bytes in this order, signed for as they are.
fn class_of(items: &[&[u8]]) -> (Expected, Vec<u8>) {
    let (seed, class, count) = ([5; 32], ClassId(0), items.len() as u64);
    let root = class_root(
        &origin(),
        Seq(4),
        class,
        count,
        &opening::tree_root(&seed, items),
    );
    let classes = vec![ClassEntry { class, count, root }];
    let root = retraction_root(&origin(), Seq(4), &[]);
    let table = ClassTable {
        classes,
        retractions: RetractionEntry { count: 0, root },
    };
    let records = items.concat();
    let mut bytes = section::disclosed_section_head(class, count, &seed, records.len());
    bytes.extend(records);
    bytes.extend(section::retraction_section(&[]));
    (
        Expected {
            origin: origin(),
            seq: Seq(4),
            table,
            suspected: BTreeSet::new(),
        },
        bytes,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_classes_may_be_withheld(
        counts in prop::collection::vec(1_u64..9, 1..7),
        mask in any::<u8>(),
        ended in 0_u8..4,
    ) {
        let (expected, body) = sealed(&counts, (0..ended).map(retraction).collect());
        let withheld = |index: usize| mask & (1 << index) != 0;
        let cut = Body::verify(redacted(&expected, &body, withheld), &expected).unwrap();
        let index = |class: ClassId| usize::from(class.0 / 3);
        let disclosed: Vec<_> = cut.records().map(|(class, _, record)| (class, record)).collect();
        let wanted: Vec<_> = body
            .records()
            .filter(|(class, ..)| !withheld(index(*class)))
            .map(|(class, _, record)| (class, record))
            .collect();
        prop_assert_eq!(disclosed, wanted);
        let counted: Vec<_> = cut.sections().iter().map(|section| section.count).collect();
        prop_assert_eq!(counted, counts.clone());
        prop_assert_eq!(cut.retractions(), body.retractions());
        let withholds = (0..counts.len()).any(withheld);
        prop_assert_eq!(cut.withholds(), withholds);
    }

    #[test]
    fn a_relay_can_only_narrow(counts in prop::collection::vec(1_u64..5, 2..6), first in any::<u8>(), then in any::<u8>()) {
        let (expected, body) = sealed(&counts, Vec::new());
        let once = |index: usize| first & (1 << index) != 0;
        let twice = |index: usize| (first | then) & (1 << index) != 0;
        let cut = Body::verify(redacted(&expected, &body, once), &expected).unwrap();
        let narrowed = redacted(&expected, &cut, |index| then & (1 << index) != 0);
        prop_assert_eq!(narrowed, redacted(&expected, &body, twice));
    }
}

#[test]
fn any_other_byte_in_a_body_is_refused() {
    let (expected, body) = sealed(&[2, 1, 2], vec![retraction(9)]);
    let whole = redacted(&expected, &body, |index| index == 1);
    assert!(Body::verify(whole.clone(), &expected).is_ok());
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << bit;
            assert!(
                Body::verify(bytes, &expected).is_err(),
                "byte {at}, bit {bit}"
            );
        }
        assert!(
            Body::verify(whole[..at].to_vec(), &expected).is_err(),
            "cut at {at}"
        );
    }
}

#[test]
fn a_body_of_another_place_is_refused() {
    let (expected, body) = sealed(&[3], Vec::new());
    let class = ClassId(0);
    let elsewhere = Expected {
        seq: Seq(5),
        ..expected.clone()
    };
    assert_eq!(
        refused(body.bytes().to_vec(), &elsewhere),
        BodyError::Root { class }
    );
    let elsewhere = Expected {
        origin: "us.example/us/1".parse().unwrap(),
        ..expected
    };
    assert_eq!(
        refused(body.bytes().to_vec(), &elsewhere),
        BodyError::Root { class }
    );
}

#[test]
fn retractions_of_another_place_are_refused() {
    let (expected, body) = sealed(&[], vec![retraction(1)]);
    let section = &body.bytes()[body.retraction_range()];
    assert_eq!(
        verify_retractions(section, &expected),
        Ok(vec![retraction(1)])
    );
    let elsewhere = Expected {
        seq: Seq(5),
        ..expected
    };
    assert_eq!(
        verify_retractions(section, &elsewhere),
        Err(BodyError::RetractionRoot)
    );
}

#[test]
fn a_class_that_counts_other_than_its_table_is_refused() {
    let (mut expected, body) = sealed(&[3, 2], Vec::new());
    let class = ClassId(3);
    expected.table.classes[1].count = 3;
    let error = BodyError::Count {
        class,
        expected: 3,
        got: 2,
    };
    assert_eq!(refused(body.bytes().to_vec(), &expected), error);
    let withheld = redacted(&sealed(&[3, 2], Vec::new()).0, &body, |_| true);
    assert_eq!(refused(withheld, &expected), error);
}

#[test]
fn a_section_that_counts_right_and_holds_more_or_less_is_refused() {
    let class = ClassId(0);
    let bytes: Vec<_> = (0..3).map(|n| testing::record(n).to_bytes()).collect();
    let mut items: Vec<&[u8]> = bytes.iter().map(Vec::as_slice).collect();
    items.sort_unstable();
    for (held, got) in [(2, 2), (3, 4)] {
        let (mut expected, _) = class_of(&items);
        let records = if held == 2 {
            items[..2].concat()
        } else {
            [&items.concat(), items[2]].concat()
        };
        let mut body = section::disclosed_section_head(class, 3, &[5; 32], records.len());
        body.extend(records);
        body.extend(section::retraction_section(&[]));
        expected.table.classes[0].count = 3;
        assert_eq!(
            refused(body, &expected),
            BodyError::Count {
                class,
                expected: 3,
                got
            }
        );
    }
}

#[test]
fn bytes_behind_the_last_section_are_refused() {
    let (expected, body) = sealed(&[1], vec![retraction(1)]);
    let bytes = [body.bytes(), &[0x80][..]].concat();
    assert_eq!(refused(bytes, &expected), BodyError::Trailing { got: 1 });
    let section = [&body.bytes()[body.retraction_range()], &[0x80, 0x80][..]].concat();
    assert_eq!(
        verify_retractions(&section, &expected),
        Err(BodyError::Trailing { got: 2 })
    );
}

#[test]
fn sections_out_of_order_or_left_out_are_refused() {
    let (expected, body) = sealed(&[1, 1], Vec::new());
    let section = |index: usize| &body.bytes()[body.sections()[index].range.clone()];
    let last = &body.bytes()[body.retraction_range()];
    let swapped = [section(1), section(0), last].concat();
    assert_eq!(
        refused(swapped, &expected),
        BodyError::Class {
            section: 0,
            expected: 0,
            got: 3
        }
    );
    let short = [section(0), last].concat();
    assert_eq!(
        refused(short, &expected),
        BodyError::Class {
            section: 1,
            expected: 3,
            got: 65_536
        }
    );
    let unended = [section(0), section(1)].concat();
    assert_eq!(refused(unended, &expected), BodyError::Shape { section: 2 });
}

#[test]
fn records_that_their_origin_signed_out_of_order_or_twice_are_refused() {
    let bytes: Vec<_> = (0..2).map(|n| testing::record(n).to_bytes()).collect();
    let (mut low, mut high) = (bytes[0].as_slice(), bytes[1].as_slice());
    if low > high {
        (low, high) = (high, low);
    }
    let (expected, good) = class_of(&[low, high]);
    assert!(Body::verify(good, &expected).is_ok());
    for items in [[high, low], [low, low]] {
        let (expected, bytes) = class_of(&items);
        let error = BodyError::RecordOrder {
            class: ClassId(0),
            index: 1,
        };
        assert_eq!(refused(bytes, &expected), error);
    }
}

#[test]
fn a_bad_record_is_refused_although_its_origin_signed_it() {
    let mut record = testing::record(1);
    record.revision = Revision(0);
    let (expected, bytes) = class_of(&[&record.to_bytes()]);
    let error = BodyError::Record {
        class: ClassId(0),
        index: 0,
        source: RecordError::Revision,
    };
    assert_eq!(refused(bytes, &expected), error);
}

#[test]
fn retractions_that_their_origin_signed_out_of_order_or_twice_are_refused() {
    for list in [
        [retraction(2), retraction(1)],
        [retraction(1), retraction(1)],
    ] {
        let root = retraction_root(&origin(), Seq(4), &list);
        let table = ClassTable {
            classes: vec![],
            retractions: RetractionEntry { count: 2, root },
        };
        let expected = Expected {
            origin: origin(),
            seq: Seq(4),
            table,
            suspected: BTreeSet::new(),
        };
        let bytes = section::retraction_section(&list);
        assert_eq!(
            refused(bytes, &expected),
            BodyError::RetractionOrder { index: 1 }
        );
    }
}

#[test]
fn a_classifiers_opinion_outside_the_suspected_classes_is_refused_although_its_origin_signed_it() {
    let (one, two) = (testing::record(1), testing::classified(2));
    let mut records = [one, two];
    records.sort_by_key(|record| record.entry);
    let index = usize::from(records[0].fields.classifier.is_none());
    let bytes = records.map(|record| record.to_bytes());
    let (mut expected, body) = class_of(&[&bytes[0], &bytes[1]]);
    let class = ClassId(0);
    let refusal = BodyError::Classifier { class, index };
    assert_eq!(refused(body.clone(), &expected), refusal);
    expected.suspected = BTreeSet::from([ClassId(1)]);
    assert_eq!(refused(body.clone(), &expected), refusal, "another class");
    expected.suspected = BTreeSet::from([class]);
    assert!(Body::verify(body, &expected).is_ok_and(|body| body.records().count() == 2));
}

#[test]
fn nobody_can_draft_what_nobody_would_take() {
    let record = testing::record(1);
    let bytes = record.to_bytes();
    let twice = [(ClassId(0), record.entry, bytes.as_slice()); 2];
    let draft = |items: &[_], list| Draft::new(items.iter().copied(), list, &mut Seeded::new(1));
    assert_eq!(draft(&twice, vec![]).err(), Some(DraftError::RepeatedEntry));
    let mut zero = retraction(1);
    zero.revision = Revision(0);
    assert_eq!(draft(&[], vec![zero]).err(), Some(DraftError::Revision));
    let nothing = draft(&[], vec![]).unwrap().seal(&origin(), Seq(0));
    assert_eq!(nothing.err(), Some(DraftError::Table(TableError::Nothing)));
}

#[test]
fn what_an_origin_seals_its_receivers_take() {
    let (expected, body) = sealed(&[1, 7, 30], vec![retraction(3), retraction(1)]);
    let read = Body::verify(body.bytes().to_vec(), &expected).unwrap();
    assert_eq!(read, body);
    assert_eq!(read.retractions(), [retraction(1), retraction(3)]);
}

#[test]
fn an_entry_retracted_twice_in_one_draft_is_no_delta() {
    let list = vec![
        retraction(1),
        Retraction {
            revision: Revision(2),
            ..retraction(1)
        },
    ];
    let draft = Draft::new([], list, &mut Seeded::new(1));
    let sealed = draft.and_then(|draft| draft.seal(&origin(), Seq(4)));
    assert!(
        sealed.is_err(),
        "receivers refuse the body of such a delta, which then stays in the log for ever"
    );
}

#[test]
fn disclosing_costs_a_seed_and_withholding_a_root() {
    let (expected, body) = sealed(&[1_000, 1], Vec::new());
    let records: usize = body.records().map(|(_, _, record)| record.len()).sum();
    let retractions = body.retraction_range().len();
    // A seed of 32 bytes with its head, per class, and the heads of class, form, count and bytes.
    let cost = body.bytes().len() - records - retractions;
    assert!(
        (2 * 34..2 * 34 + 18).contains(&cost),
        "{cost} bytes beside the records"
    );
    for entry in &expected.table.classes {
        assert!(withheld_section(entry).len() < 48);
    }
    let widest = ClassEntry {
        class: ClassId(u16::MAX),
        count: 65_536,
        root: [1; 32],
    };
    assert_eq!(withheld_section(&widest).len(), 1 + 3 + 1 + 5 + 34);
}

#[test]
fn a_body_of_one_byte_too_many_is_refused_before_it_is_read() {
    let (expected, _) = sealed(&[1], Vec::new());
    let got = limits::BODY_BYTES + 1;
    assert_eq!(
        refused(vec![0; got], &expected),
        BodyError::TooLarge { got }
    );
}

#[test]
fn debug_of_a_body_shows_no_record() {
    let record = testing::record(0);
    let shown = format!("{:?}", sealed(&[1], Vec::new()).1);
    assert!(
        !shown.contains(&hex::encode(&record.entry.0[..4])),
        "{shown}"
    );
    assert_eq!(Record::from_bytes(&record.to_bytes()), Ok(record));
}
