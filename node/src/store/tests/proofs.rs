//! Record proofs out of a store: what is stored is proven as its origin signed it.

use hashpact_protocol::delta::MakeRecordProofError;
use hashpact_protocol::testing::keys::CentreSetup;

use super::*;

/// Delta 0 of eu, signed, in the log and with its body: records 1 to 3 in class 0, 4 in class 2.
fn with_a_delta(dir: &Path, withheld: &[u16]) -> Store {
    let store = with_classes(dir);
    let records: Vec<_> = [(0, 1), (0, 2), (0, 3), (2, 4)]
        .map(|(class, n)| (class, record(n, 1)))
        .into();
    let (seq, origin) = (Seq(0), eu());
    let leaf = delta_leaf(&origin, seq.0, sealed(&origin, seq.0, &records, &[]).table);
    commit(&store, grown(&store, &origin, &[leaf], &[]));
    let body = admitted(&origin, seq.0, &records, &[], withheld);
    commit(&store, vec![Write::Body(body)]);
    store
}

#[test]
fn every_stored_record_is_proven_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_a_delta(dir.path(), &[]);
    let centre = CentreSetup::numbered(0).entry();
    for n in 1..=4 {
        let stored = store.record_proof(&eu(), entry(n)).unwrap().unwrap();
        assert_eq!(
            (stored.seq, stored.index, stored.retracted),
            (Seq(0), 1, false)
        );
        assert_eq!(store.leaf(&eu(), 1).unwrap(), stored.leaf);
        assert_eq!(stored.proof.record(), record(n, 1).to_bytes());
        let proven = stored.proof.verify(&centre).unwrap();
        assert_eq!((proven.entry, proven.revision), (entry(n), Revision(1)));
        assert_eq!((proven.origin, proven.seq), (eu(), Seq(0)));
    }
    assert!(store.record_proof(&eu(), entry(5)).unwrap().is_none());
    assert!(store.record_proof(&us(), entry(1)).unwrap().is_none());
}

#[test]
fn a_retracted_record_is_proven_and_said_to_be_retracted() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_a_delta(dir.path(), &[]);
    commit(&store, vec![body(&eu(), 1, &[], &[retraction(2, 1)])]);
    let stored = store.record_proof(&eu(), entry(2)).unwrap().unwrap();
    assert!(stored.retracted);
    assert!(
        stored
            .proof
            .verify(&CentreSetup::numbered(0).entry())
            .is_ok()
    );
}

#[test]
fn a_withheld_record_is_none_and_a_leaf_beyond_the_log_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_a_delta(dir.path(), &[0]);
    assert!(store.record_proof(&eu(), entry(1)).unwrap().is_none());
    assert!(store.record_proof(&eu(), entry(4)).unwrap().is_some());
    assert_eq!(
        store.leaf(&eu(), 2),
        Err(hashpact_protocol::log::TreeError::Bundle { index: 2 })
    );
}

#[test]
fn a_body_that_its_table_did_not_sign_gives_no_proof() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_a_delta(dir.path(), &[]);
    // Another leaf stands where the control database says that delta 1 does.
    let leaf = store.leaf(&eu(), 1).unwrap();
    let Ok(Leaf::Delta { header, mut table }) = Leaf::from_bytes(&leaf) else {
        panic!("a delta");
    };
    table.classes[0].root[0] ^= 1;
    let leaf = Leaf::Delta { header, table }.to_bytes().unwrap();
    let mut state = store.log(&eu());
    state.next_seq = Seq(1);
    commit(
        &store,
        vec![Write::State {
            origin: eu(),
            state,
        }],
    );
    commit(&store, grown(&store, &eu(), &[leaf], &[]));
    let records: Vec<_> = (7..10).map(|n| (0, record(n, 1))).collect();
    commit(&store, vec![body(&eu(), 1, &records, &[])]);
    match store.record_proof(&eu(), entry(7)) {
        Err(ProveError::Make(error)) => {
            assert_eq!(error, MakeRecordProofError::Root { class: ClassId(0) })
        }
        other => panic!("{other:?}"),
    }
}
