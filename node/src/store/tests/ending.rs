//! Retractions, whatever comes first, and how often.

use super::*;

fn retract(store: &Store, seq: u64, list: &[Retraction]) {
    let list = list.to_vec();
    commit(
        store,
        vec![Write::Retractions {
            origin: us(),
            seq: Seq(seq),
            list,
        }],
    );
}

#[test]
fn a_retraction_ends_the_entry_whether_it_comes_before_with_or_after_the_record() {
    let orders: [fn(&Store); 4] = [
        |store| {
            commit(
                store,
                vec![body(&us(), 0, &[(0, record(1, 1)), (1, record(2, 1))], &[])],
            );
            retract(store, 1, &[retraction(1, 1)]);
        },
        |store| {
            retract(store, 1, &[retraction(1, 1)]);
            commit(
                store,
                vec![body(&us(), 0, &[(0, record(1, 1)), (1, record(2, 1))], &[])],
            );
        },
        |store| {
            let list = vec![retraction(1, 1)];
            let ends = Write::Retractions {
                origin: us(),
                seq: Seq(1),
                list,
            };
            let put = body(&us(), 0, &[(0, record(1, 1)), (1, record(2, 1))], &[]);
            commit(store, vec![put, ends]);
        },
        |store| {
            let records = [(0, record(1, 1)), (1, record(2, 1))];
            commit(store, vec![body(&us(), 0, &records, &[retraction(1, 1)])]);
        },
    ];
    for (order, run) in orders.into_iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        let store = with_classes(dir.path());
        run(&store);
        let expected = BTreeMap::from([
            (1, vec![(us().to_string(), 0, 1, true)]),
            (2, vec![(us().to_string(), 0, 1, false)]),
        ]);
        assert_eq!(answers(&store, 4), expected, "order {order}");
        assert_eq!(held_and_retracted(&store, &us()), (1, 1), "order {order}");
        assert_eq!(
            (ended_rows(&store, 1), ended_rows(&store, 2)),
            (2, 0),
            "order {order}"
        );
        assert!(store.is_retracted(&us(), entry(1), Revision(1)).unwrap());
        assert!(!store.is_retracted(&us(), entry(1), Revision(2)).unwrap());
        assert!(!store.is_retracted(&us(), entry(2), Revision(1)).unwrap());
    }
}

#[test]
fn a_retraction_repeated_counts_once_and_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_classes(dir.path());
    commit(
        &store,
        vec![body(&us(), 0, &[(0, record(1, 1)), (1, record(2, 1))], &[])],
    );
    retract(&store, 1, &[retraction(1, 1)]);
    let segments = files_below(&dir.path().join("index"));
    retract(&store, 1, &[retraction(1, 1)]);
    retract(&store, 2, &[retraction(1, 1)]);
    assert_eq!(held_and_retracted(&store, &us()), (1, 1));
    assert_eq!(files_below(&dir.path().join("index")), segments);
    // Nor when both come at once.
    let twice = |seq| Write::Retractions {
        origin: us(),
        seq: Seq(seq),
        list: vec![retraction(2, 1)],
    };
    commit(&store, vec![twice(3), twice(4)]);
    assert_eq!(held_and_retracted(&store, &us()), (0, 2));
    assert_eq!(ended_rows(&store, 2), 2);
}

#[test]
fn a_retraction_ends_the_revisions_up_to_its_own_and_none_above() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_classes(dir.path());
    commit(&store, vec![body(&us(), 0, &[(0, record(1, 1))], &[])]);
    // The entry moves to another class: the old revision ends, the next one stands.
    commit(
        &store,
        vec![body(&us(), 1, &[(1, record(1, 2))], &[retraction(1, 1)])],
    );
    let of_one = |store: &Store| answers(store, 2)[&1].clone();
    let places = |ended: [bool; 2]| {
        vec![
            (us().to_string(), 0, 1, ended[0]),
            (us().to_string(), 1, 2, ended[1]),
        ]
    };
    assert_eq!(of_one(&store), places([true, false]));
    assert_eq!(held_and_retracted(&store, &us()), (1, 1));
    let newest = store.lookup_entry(&us(), entry(1)).unwrap().unwrap();
    assert_eq!(
        (newest.record.revision, newest.class),
        (Revision(2), ClassId(1))
    );
    assert!(!newest.retracted);
    retract(&store, 2, &[retraction(1, 5)]);
    assert_eq!(of_one(&store), places([true, true]));
    assert_eq!(held_and_retracted(&store, &us()), (0, 2));
    // The higher one has ended revision 5 before it came.
    commit(
        &store,
        vec![body(&us(), 3, &[(1, record(1, 5)), (0, record(7, 1))], &[])],
    );
    assert!(
        store
            .lookup_entry(&us(), entry(1))
            .unwrap()
            .unwrap()
            .retracted
    );
    commit(&store, vec![body(&us(), 4, &[(1, record(1, 6))], &[])]);
    assert!(
        !store
            .lookup_entry(&us(), entry(1))
            .unwrap()
            .unwrap()
            .retracted
    );
    assert_eq!(held_and_retracted(&store, &us()), (2, 3));
}

#[test]
fn the_last_of_thousands_of_retractions_of_one_entry_still_counts() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_classes(dir.path());
    let last = u32::try_from(index::MAX_HITS).unwrap() + 9;
    let rows = (1..=last).map(|revision| {
        let value = index::Value {
            kind: index::RowKind::Retracted,
            origin: store.live().numbers[&us()],
            seq: revision,
            offset: 0,
            extra: u64::from(revision),
        };
        let key = store.entry_key(&us(), entry(1)).unwrap();
        index::Row {
            key,
            value: value.encode().unwrap(),
        }
    });
    let (segment, file) = store
        .write_segment(Family::Retracted, rows.collect())
        .unwrap()
        .unwrap();
    {
        let mut live = store.live_mut();
        let retracted = live.retracted.with(segment.id, file).unwrap();
        live.retracted = retracted;
    }
    assert!(store.is_retracted(&us(), entry(1), Revision(last)).unwrap());
    assert!(
        !store
            .is_retracted(&us(), entry(1), Revision(last + 1))
            .unwrap()
    );
    commit(&store, vec![body(&us(), 0, &[(0, record(1, last))], &[])]);
    assert!(
        store
            .lookup_entry(&us(), entry(1))
            .unwrap()
            .unwrap()
            .retracted
    );
    assert_eq!(held_and_retracted(&store, &us()), (0, 1));
}

#[test]
fn a_retraction_ends_nothing_of_another_origin() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_classes(dir.path());
    commit(&store, vec![body(&us(), 0, &[(0, record(1, 1))], &[])]);
    commit(&store, vec![body(&eu(), 0, &[(0, record(1, 1))], &[])]);
    retract(&store, 1, &[retraction(1, 9)]);
    let found = answers(&store, 2)[&1].clone();
    let expected = [
        (eu().to_string(), 0, 1, false),
        (us().to_string(), 0, 1, true),
    ];
    assert_eq!(found, expected);
    assert_eq!(held_and_retracted(&store, &eu()), (1, 0));
}

#[test]
fn a_retraction_of_an_entry_that_is_not_here_is_kept_for_when_it_comes() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_classes(dir.path());
    retract(&store, 1, &[retraction(1, 1)]);
    assert_eq!(held_and_retracted(&store, &us()), (0, 0));
    drop(store);
    let store = open(dir.path());
    assert!(store.is_retracted(&us(), entry(1), Revision(1)).unwrap());
    assert!(store.lookup_entry(&us(), entry(1)).unwrap().is_none());
    commit(&store, vec![body(&us(), 0, &[(0, record(1, 1))], &[])]);
    assert!(
        store
            .lookup_entry(&us(), entry(1))
            .unwrap()
            .unwrap()
            .retracted
    );
}

#[test]
fn the_body_takes_the_place_of_its_retractions() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_classes(dir.path());
    let list = [retraction(1, 1), retraction(2, 1)];
    let whole = admitted(&us(), 4, &[(0, record(3, 1))], &list, &[]);
    let section = whole.body().bytes()[whole.body().retraction_range()].to_vec();
    retract(&store, 4, whole.body().retractions());
    let alone = store.served_body(&us(), Seq(4)).unwrap().unwrap();
    assert_eq!(alone.sections(), [SECTION_OF_RETRACTIONS]);
    assert_eq!(alone.section(SECTION_OF_RETRACTIONS).unwrap(), section);
    commit(&store, vec![Write::Body(whole)]);
    let names: Vec<_> = files_below(&dir.path().join("bodies"))
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["4.body"]);
    // Nothing in force names the file that is gone.
    drop(store);
    let store = open(dir.path());
    let whole = store.served_body(&us(), Seq(4)).unwrap().unwrap();
    assert_eq!(whole.sections(), [0, SECTION_OF_RETRACTIONS]);
}

#[test]
fn many_retractions_over_many_blocks_end_exactly_their_entries() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_classes(dir.path());
    let records =
        |range: std::ops::Range<u64>| -> Vec<_> { range.map(|n| (0, record(n, 1))).collect() };
    let bodies = vec![
        body(&us(), 0, &records(0..300), &[]),
        body(&us(), 1, &records(300..400), &[]),
    ];
    commit(&store, bodies);
    let list: Vec<_> = (0..400)
        .filter(|n| n % 4 == 1)
        .map(|n| retraction(n, 1))
        .collect();
    retract(&store, 2, &list);
    for n in 0..400 {
        let ended = n % 4 == 1;
        assert_eq!(
            ended_rows(&store, n),
            if ended { 2 } else { 0 },
            "record {n}"
        );
        let found = store.lookup_entry(&us(), entry(n)).unwrap().unwrap();
        assert_eq!(
            (found.record, found.retracted),
            (record(n, 1), ended),
            "record {n}"
        );
    }
    assert_eq!(held_and_retracted(&store, &us()), (300, 100));
}
