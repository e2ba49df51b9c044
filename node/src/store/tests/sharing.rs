//! Who shares a fingerprint with an error, and where an entry stands.

use hashpact_protocol::fingerprint::Algorithm;
use hashpact_protocol::record::Print;
use hashpact_protocol::view::View as _;

use super::*;

/// The file of record `of` as another entry.
fn same(of: u64, n: u64, revision: u32) -> Record {
    let mut other = record(n, revision);
    other.fields.prints = vec![Print::plain(prints(of)[1].clone())];
    other
}

#[test]
fn live_entries_of_other_centres_with_the_file_of_an_error_are_found_and_no_others() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_classes(dir.path());
    commit(
        &store,
        vec![body(
            &eu(),
            0,
            &[(0, record(1, 1)), (1, same(1, 2, 1))],
            &[],
        )],
    );
    commit(
        &store,
        vec![body(
            &us(),
            0,
            &[(0, same(1, 3, 4)), (0, record(4, 1)), (1, same(1, 5, 1))],
            &[],
        )],
    );
    let sharers = |revision| store.sharers(&eu(), entry(1), Revision(revision)).unwrap();
    assert!(sharers(1).is_empty(), "nothing is retracted");
    commit(&store, vec![body(&us(), 1, &[], &[retraction(5, 1)])]);
    commit(&store, vec![body(&eu(), 1, &[], &[retraction(1, 1)])]);
    assert_eq!(sharers(1), [(us(), entry(3), Revision(4))]);
    // The error is of another revision, or of an entry that is not here.
    assert!(sharers(0).is_empty());
    assert!(
        store
            .sharers(&eu(), entry(77), Revision(1))
            .unwrap()
            .is_empty()
    );
    // It was issued again.
    commit(&store, vec![body(&eu(), 2, &[(0, record(1, 2))], &[])]);
    assert!(sharers(1).is_empty());
}

#[test]
fn a_perceptual_fingerprint_makes_no_sharer() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_classes(dir.path());
    let pdq = Print::plain(Fingerprint::new(Algorithm::Pdq, &[0x5a; 32]).unwrap());
    let with = |n| {
        let mut record = record(n, 1);
        record.fields.prints.push(pdq.clone());
        record
    };
    commit(&store, vec![body(&eu(), 0, &[(0, with(1))], &[])]);
    commit(&store, vec![body(&us(), 0, &[(0, with(2))], &[])]);
    commit(&store, vec![body(&eu(), 1, &[], &[retraction(1, 1)])]);
    assert!(
        store
            .sharers(&eu(), entry(1), Revision(1))
            .unwrap()
            .is_empty()
    );
}

#[test]
fn an_entry_stands_where_its_revision_was_put_retracted_or_not() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_classes(dir.path());
    commit(&store, vec![body(&us(), 0, &[(0, record(1, 1))], &[])]);
    commit(
        &store,
        vec![body(&us(), 1, &[(3, record(1, 2))], &[retraction(1, 1)])],
    );
    let place = |revision: Option<u32>| store.place_of(&us(), entry(1), revision.map(Revision));
    assert_eq!(place(Some(1)), Some((Seq(0), ClassId(0))));
    assert_eq!(place(Some(2)), Some((Seq(1), ClassId(3))));
    assert_eq!(place(None), Some((Seq(1), ClassId(3))));
    assert_eq!(place(Some(3)), None);
    assert_eq!(store.place_of(&eu(), entry(1), None), None);
    assert_eq!(store.place_of(&us(), entry(2), None), None);
}
