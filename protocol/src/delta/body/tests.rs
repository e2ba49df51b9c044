//! Bodies that only an origin who signs anything could make: one entry in two classes.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::super::opening::tree_root;
use super::super::section::{disclosed_section_head, retraction_section, withheld_section};
use super::super::{ClassEntry, class_root, retraction_root};
use super::*;
use crate::testing;

/// A body whose class `n` holds the records of these numbers, signed for as they are.
fn signed(classes: &[Vec<u64>]) -> (Vec<u8>, Expected) {
    let (origin, seq, seed): (Origin, _, _) = ("eu.example/eu/1".parse().unwrap(), Seq(4), [5; 32]);
    let (mut bytes, mut rows) = (Vec::new(), Vec::new());
    for (class, numbers) in (0..).map(ClassId).zip(classes) {
        let mut records: Vec<_> = numbers
            .iter()
            .map(|n| testing::record(*n).to_bytes())
            .collect();
        records.sort_unstable();
        records.dedup();
        let items: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
        let count = items.len() as u64;
        let root = class_root(&origin, seq, class, count, &tree_root(&seed, &items));
        rows.push(ClassEntry { class, count, root });
        let records = records.concat();
        bytes.extend(disclosed_section_head(class, count, &seed, records.len()));
        bytes.extend(records);
    }
    bytes.extend(retraction_section(&[]));
    let root = retraction_root(&origin, seq, &[]);
    let table = ClassTable {
        classes: rows,
        retractions: crate::delta::RetractionEntry { count: 0, root },
    };
    let expected = Expected {
        origin,
        seq,
        table,
        suspected: BTreeSet::new(),
    };
    (bytes, expected)
}

#[test]
fn an_entry_that_its_origin_signed_in_two_classes_is_refused() {
    let (bytes, expected) = signed(&[vec![1, 2, 3], vec![4], vec![5, 6, 2]]);
    assert_eq!(
        Body::verify(bytes, &expected),
        Err(BodyError::RepeatedEntry)
    );
}

#[test]
fn what_is_wrong_with_the_bytes_is_told_before_what_they_repeat() {
    let (mut bytes, expected) = signed(&[vec![1], vec![1]]);
    bytes.push(0);
    assert_eq!(
        Body::verify(bytes, &expected),
        Err(BodyError::Trailing { got: 1 })
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn an_entry_is_refused_exactly_if_two_classes_disclose_it(
        classes in prop::collection::vec(prop::collection::btree_set(0..60_u64, 1..6), 1..6),
        withheld in any::<u8>(),
    ) {
        let lists: Vec<Vec<u64>> = classes.iter().map(|class| class.iter().copied().collect()).collect();
        let (bytes, expected) = signed(&lists);
        let hidden = |index: usize| withheld & (1 << index) != 0;
        let (mut shown, mut at) = (Vec::new(), 0);
        for (index, entry) in expected.table.classes.iter().enumerate() {
            let len = canonical::item_len(&bytes[at..]).unwrap();
            if hidden(index) {
                shown.extend(withheld_section(entry));
            } else {
                shown.extend_from_slice(&bytes[at..at + len]);
            }
            at += len;
        }
        shown.extend_from_slice(&bytes[at..]);
        let disclosed = (0..lists.len()).filter(|index| !hidden(*index));
        let mut ids: Vec<u64> = disclosed.flat_map(|index| lists[index].clone()).collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        let refused = Body::verify(shown, &expected).err();
        prop_assert_eq!(refused, (ids.len() < all).then_some(BodyError::RepeatedEntry));
    }
}

#[test]
fn a_body_without_some_classes_is_what_a_receiver_would_read() {
    let (bytes, expected) = signed(&[vec![1, 2], vec![4], vec![5, 6]]);
    let body = || Body::verify(bytes.clone(), &expected).unwrap();
    for gone in [vec![], vec![0], vec![1], vec![0, 2], vec![0, 1, 2]] {
        let gone: BTreeSet<_> = gone.into_iter().map(ClassId).collect();
        let without = body().without(&gone);
        let read = Body::verify(without.bytes().to_vec(), &expected).unwrap();
        assert!(read == without, "{gone:?}");
    }
    let all = expected
        .table
        .classes
        .iter()
        .map(|entry| entry.class)
        .collect();
    assert!(Body::withheld(&expected, Vec::new()) == body().without(&all));
}
