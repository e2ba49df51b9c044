//! What the own log puts and ends, as private matching reads it.

use super::*;

/// The own log's deltas below `seq` are witnessed.
fn witnessed(store: &Store, seq: u64) {
    let state = LogState {
        witnessed_seq: Seq(seq),
        ..store.log(&eu())
    };
    let origin = eu();
    commit(store, vec![Write::State { origin, state }]);
}

fn classes_of(store: &Store, seq: u64) -> Vec<(u16, Vec<Fingerprint>)> {
    let records = store.own_records(Seq(seq)).unwrap();
    let pairs = records.into_iter().map(|r| (r.class.0, r.fingerprints));
    pairs.collect()
}

fn classes_holding(store: &Store, print: &Fingerprint) -> BTreeSet<ClassId> {
    let holders = store.own_holders(print).unwrap();
    holders.iter().map(|found| found.class).collect()
}

/// Record `n` with the fingerprints of record `like`.
fn with_prints_of(n: u64, like: u64, revision: u32) -> Record {
    let mut record = record(n, revision);
    record.fields = testing::record(like).fields;
    record
}

#[test]
fn own_records_count_once_they_are_witnessed_and_until_they_are_retracted() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_classes(dir.path());
    let put = body(&eu(), 0, &[(0, record(1, 1)), (1, record(2, 1))], &[]);
    commit(&store, vec![put]);
    assert_eq!(classes_of(&store, 0), []);
    assert!(classes_holding(&store, &prints(1)[0]).is_empty());
    witnessed(&store, 1);
    assert_eq!(classes_of(&store, 0), [(0, prints(1)), (1, prints(2))]);
    assert_eq!(classes_holding(&store, &prints(1)[0]), [ClassId(0)].into());
    // A retraction acts before its delta is witnessed.
    commit(&store, vec![body(&eu(), 1, &[], &[retraction(1, 1)])]);
    assert_eq!(classes_of(&store, 0), [(1, prints(2))]);
    assert!(classes_holding(&store, &prints(1)[0]).is_empty());
    assert_eq!(
        store.own_ended(Seq(1)).unwrap(),
        prints(1).into_iter().collect()
    );
    assert!(store.own_ended(Seq(0)).unwrap().is_empty());
    assert!(store.own_ended(Seq(9)).unwrap().is_empty());
}

#[test]
fn a_fingerprint_that_another_own_record_still_holds_keeps_that_records_class() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_classes(dir.path());
    let records = [(0, record(1, 1)), (2, with_prints_of(5, 1, 1))];
    commit(
        &store,
        vec![
            body(&eu(), 0, &records, &[]),
            body(&us(), 0, &[(3, record(1, 1))], &[]),
            body(&eu(), 1, &[], &[retraction(1, 1)]),
        ],
    );
    witnessed(&store, 2);
    assert_eq!(
        store.own_ended(Seq(1)).unwrap(),
        prints(1).into_iter().collect()
    );
    // Not class 3: that is another centre's.
    assert_eq!(classes_holding(&store, &prints(1)[1]), [ClassId(2)].into());
}

#[test]
fn a_retraction_ends_the_fingerprints_of_the_revisions_that_it_names() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_classes(dir.path());
    let next = with_prints_of(1, 7, 2);
    commit(
        &store,
        vec![
            body(&eu(), 0, &[(0, record(1, 1))], &[]),
            body(&eu(), 1, &[(3, next)], &[retraction(1, 1)]),
        ],
    );
    witnessed(&store, 2);
    assert_eq!(
        store.own_ended(Seq(1)).unwrap(),
        prints(1).into_iter().collect()
    );
    assert_eq!(classes_of(&store, 1), [(3, prints(7))]);
    assert_eq!(classes_holding(&store, &prints(7)[0]), [ClassId(3)].into());
}
