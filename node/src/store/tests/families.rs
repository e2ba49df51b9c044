//! A centre whose log was closed goes on in a new line: what its retractions end there.

use super::*;

fn line(origin: &Origin, epoch: u32) -> Origin {
    let (stem, _) = origin.as_str().rsplit_once('/').unwrap();
    format!("{stem}/{epoch}").parse().unwrap()
}

/// A store whose logs define classes 0 to 3: three lines of us, met in this order, and eu's one.
fn with_lines(dir: &Path, epochs: [u32; 3]) -> Store {
    let store = open(dir);
    let lines = epochs.map(|epoch| line(&us(), epoch));
    for origin in lines.iter().chain([&eu()]) {
        commit(&store, grown(&store, origin, &leaves(1), &[0, 1, 2, 3]));
    }
    store
}

fn put(epoch: u32, records: &[Record]) -> Write {
    let records: Vec<_> = records.iter().map(|record| (0, record.clone())).collect();
    body(&line(&us(), epoch), 0, &records, &[])
}

fn ends(epoch: u32, seq: u64, list: &[Retraction]) -> Write {
    Write::Retractions {
        origin: line(&us(), epoch),
        seq: Seq(seq),
        list: list.to_vec(),
    }
}

/// Which revision of record 1 stands in which line of us, and whether it is retracted: by its fingerprints, by its id, by
/// the rows that ingest goes by, and by the counts.
fn ended(store: &Store) -> Vec<(u32, u32, bool)> {
    let found = answers(store, 2).remove(&1).unwrap_or_default();
    let mut ended = Vec::new();
    for (origin, _, revision, retracted) in found {
        let origin: Origin = origin.parse().unwrap();
        if *origin.centre() == *us().centre() {
            ended.push((origin.epoch(), revision, retracted));
        }
        let asked = store.is_retracted(&origin, entry(1), Revision(revision));
        assert_eq!(asked.unwrap(), retracted, "{origin}");
        let newest = store.lookup_entry(&origin, entry(1)).unwrap().unwrap();
        assert_eq!(newest.retracted, retracted, "{origin}");
        let (held, gone) = held_and_retracted(store, &origin);
        assert_eq!(
            (held, gone),
            if retracted { (0, 1) } else { (1, 0) },
            "{origin}"
        );
    }
    let count = ended.iter().filter(|(.., retracted)| *retracted).count();
    assert_eq!(ended_rows(store, 1), 2 * count);
    ended
}

/// As it is, after it was opened again, and with an index that was built again.
fn ended_for_good(store: Store, dir: &Path) -> Vec<(u32, u32, bool)> {
    let now = ended(&store);
    drop(store);
    let store = open(dir);
    assert_eq!(ended(&store), now, "opened again");
    store.rebuild_index(&mut |_| {}).unwrap();
    assert_eq!(ended(&store), now, "built again");
    now
}

#[test]
fn a_retraction_in_a_later_line_ends_entries_of_every_earlier_one_in_any_order() {
    // Whichever line is met first, and whatever comes first.
    for epochs in [[1, 2, 3], [3, 2, 1], [2, 3, 1]] {
        let (put_1, put_3) = (|| put(1, &[record(1, 1)]), || put(3, &[record(1, 1)]));
        let end_2 = || ends(2, 5, &[retraction(1, 1)]);
        let orders: [Vec<Vec<Write>>; 5] = [
            vec![vec![put_1()], vec![put_3()], vec![end_2()]],
            vec![vec![end_2()], vec![put_1()], vec![put_3()]],
            vec![vec![put_3()], vec![end_2()], vec![put_1()]],
            vec![vec![put_1(), end_2(), put_3()]],
            vec![vec![end_2(), put_3(), put_1()]],
        ];
        for (order, batches) in orders.into_iter().enumerate() {
            let dir = tempfile::tempdir().unwrap();
            let store = with_lines(dir.path(), epochs);
            for batch in batches {
                commit(&store, batch);
            }
            // What stands in a line after it does not end.
            let expected = [(1, 1, true), (3, 1, false)];
            let now = ended_for_good(store, dir.path());
            assert_eq!(now, expected, "lines met as {epochs:?}, order {order}");
        }
    }
}

#[test]
fn a_retraction_stored_before_the_earlier_line_was_met_ends_its_entries_too() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    commit(
        &store,
        vec![ends(2, 0, &[retraction(1, 1), retraction(2, 1)])],
    );
    assert!(!store.live().numbers.contains_key(&us()));
    assert!(store.is_retracted(&us(), entry(1), Revision(1)).unwrap());
    // Met with the batch that has the record.
    let mut writes = grown(&store, &us(), &leaves(1), &[0]);
    writes.push(put(1, &[record(1, 1)]));
    commit(&store, writes);
    assert_eq!(ended_for_good(store, dir.path()), [(1, 1, true)]);
}

#[test]
fn a_retraction_whose_batch_makes_the_later_line_known_ends_what_is_stored() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_classes(dir.path());
    commit(&store, vec![put(1, &[record(1, 1)])]);
    commit(&store, vec![ends(2, 0, &[retraction(1, 1)])]);
    assert_eq!(ended_for_good(store, dir.path()), [(1, 1, true)]);
}

#[test]
fn a_closed_line_ends_nothing_of_the_line_after_it() {
    for order in 0..2 {
        let dir = tempfile::tempdir().unwrap();
        let store = with_lines(dir.path(), [1, 2, 3]);
        let mut writes = vec![put(2, &[record(1, 1)]), ends(1, 5, &[retraction(1, 9)])];
        if order == 1 {
            writes.reverse();
        }
        writes
            .into_iter()
            .for_each(|write| commit(&store, vec![write]));
        assert_eq!(
            ended_for_good(store, dir.path()),
            [(2, 1, false)],
            "order {order}"
        );
    }
}

#[test]
fn another_centres_entry_of_the_same_id_is_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_lines(dir.path(), [1, 2, 3]);
    let same_name: Origin = "other.example/us/1".parse().unwrap();
    commit(&store, grown(&store, &same_name, &leaves(1), &[0]));
    for origin in [eu(), same_name.clone(), us()] {
        commit(&store, vec![body(&origin, 0, &[(0, record(1, 1))], &[])]);
    }
    commit(&store, vec![ends(2, 5, &[retraction(1, 9)])]);
    let expected = [(eu(), false), (same_name, false), (us(), true)];
    let expected = expected.map(|(origin, ended)| (origin.to_string(), 0, 1, ended));
    assert_eq!(answers(&store, 2)[&1], expected);
    assert_eq!(held_and_retracted(&store, &eu()), (1, 0));
    store.rebuild_index(&mut |_| {}).unwrap();
    assert_eq!(answers(&store, 2)[&1], expected);
}

#[test]
fn what_several_lines_retract_counts_once_up_to_the_highest_revision() {
    // Retractions of one entry, by line and revision, each alone and all at once.
    let lists: [&[(u32, u32)]; 4] = [
        &[(1, 1), (2, 1)],
        &[(2, 1), (1, 1), (3, 1)],
        &[(1, 1), (3, 2), (2, 1)],
        &[(3, 1), (2, 2), (1, 1)],
    ];
    for list in lists {
        for at_once in [false, true] {
            for record_first in [false, true] {
                let dir = tempfile::tempdir().unwrap();
                let store = with_lines(dir.path(), [2, 1, 3]);
                let put = || put(1, &[record(1, 1), record(2, 1)]);
                if record_first {
                    commit(&store, vec![put()]);
                }
                let end =
                    |(epoch, revision): &(u32, u32)| ends(*epoch, 5, &[retraction(1, *revision)]);
                let all: Vec<_> = list.iter().map(end).collect();
                if at_once {
                    commit(&store, all);
                } else {
                    all.into_iter()
                        .for_each(|write| commit(&store, vec![write]));
                }
                if !record_first {
                    commit(&store, vec![put()]);
                }
                let at = format!("{list:?}, at once {at_once}, record first {record_first}");
                let upto = list.iter().map(|(_, revision)| *revision).max().unwrap();
                for again in [false, true] {
                    if again {
                        store.rebuild_index(&mut |_| {}).unwrap();
                    }
                    assert_eq!(held_and_retracted(&store, &us()), (1, 1), "{at}");
                    assert_eq!(
                        (ended_rows(&store, 1), ended_rows(&store, 2)),
                        (2, 0),
                        "{at}"
                    );
                    let ended = |revision| {
                        let asked = store.is_retracted(&us(), entry(1), Revision(revision));
                        asked.unwrap()
                    };
                    assert!(ended(upto) && !ended(upto + 1), "{at}");
                }
            }
        }
    }
}

#[test]
fn a_centres_own_entry_is_found_in_its_newest_line_and_then_in_the_closed_ones() {
    let dir = tempfile::tempdir().unwrap();
    let later = line(&eu(), 2);
    let keys = || StoreKeys {
        seal: SealKey::new(&[1; 32]),
        index: IndexKey::new(&[2; 32]),
    };
    let store = Store::open(dir.path(), keys(), later.clone(), Steps::default()).unwrap();
    for origin in [eu(), later.clone(), line(&eu(), 3), us()] {
        commit(&store, grown(&store, &origin, &leaves(1), &[0]));
    }
    let one = |n| [(0, record(n, 1))];
    commit(
        &store,
        vec![body(&eu(), 0, &[one(1), one(2)].concat(), &[])],
    );
    commit(&store, vec![body(&later, 0, &one(2), &[])]);
    commit(&store, vec![body(&line(&eu(), 3), 0, &one(3), &[])]);
    commit(&store, vec![body(&us(), 0, &one(4), &[])]);
    let found = |n| store.lookup_own_entry(entry(n)).unwrap();
    assert_eq!(found(1).unwrap().origin, eu());
    assert_eq!(found(2).unwrap().origin, later);
    // Neither in a line after it nor in another centre's.
    assert_eq!((found(3), found(4)), (None, None));
}
