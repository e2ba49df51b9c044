//! Bodies that change after they were stored: classes that join, classes that become withheld, single records that go.

use hashpact_protocol::delta::Body;
use hashpact_protocol::view::{Held, Holding};

use super::*;

/// Records 0 to 11, three in each of the classes 0 to 3.
fn records() -> Vec<(u16, Record)> {
    (0..12)
        .map(|n| (u16::try_from(n % 4).unwrap(), record(n, 1)))
        .collect()
}

fn retractions() -> Vec<Retraction> {
    vec![retraction(5, 1), retraction(77, 1)]
}

fn later(withheld: &[u16]) -> Write {
    Write::Widen(admitted(&us(), 0, &records(), &retractions(), withheld))
}

fn narrow(classes: &[u16]) -> Write {
    Write::Narrow {
        origin: us(),
        seq: Seq(0),
        classes: classes.iter().map(|class| ClassId(*class)).collect(),
    }
}

fn purge(entries: &[u64]) -> Write {
    Write::Purge {
        origin: us(),
        seq: Seq(0),
        entries: entries.iter().map(|n| entry(*n)).collect(),
    }
}

/// Delta 0 of us with these classes withheld, and the same fingerprints as 1 and 2 in delta 0 of eu.
fn stored(dir: &Path, withheld: &[u16]) -> Store {
    let store = with_classes(dir);
    let body_of_us = admitted(&us(), 0, &records(), &retractions(), withheld);
    let of_eu: Vec<_> = [1, 2].map(|n| (0, record(n, 1))).into();
    commit(&store, vec![Write::Body(body_of_us)]);
    commit(&store, vec![body(&eu(), 0, &of_eu, &[])]);
    store
}

/// The records of us that are found by fingerprint and by entry, both agreeing.
fn found(store: &Store) -> Vec<u64> {
    let answers = answers(store, 12);
    let of_us = |n: &u64| {
        let places = answers.get(n).into_iter().flatten();
        let places: Vec<_> = places.filter(|place| place.0 == us().to_string()).collect();
        assert!(places.len() < 2, "record {n} is found twice");
        let entry = store.lookup_entry(&us(), entry(*n)).unwrap();
        assert_eq!(entry.is_some(), places.len() == 1, "record {n}");
        if let (Some(entry), Some(place)) = (entry, places.first()) {
            assert_eq!(entry.retracted, place.3);
            assert_eq!(entry.class, ClassId(u16::try_from(n % 4).unwrap()));
            assert_eq!(entry.record, record(*n, 1));
        }
        places.len() == 1
    };
    (0..12).filter(of_us).collect()
}

fn held(store: &Store) -> Vec<Held> {
    let holdings = store.holdings(&us(), Seq(0)).unwrap();
    let expected = (0..4).map(|class| (ClassId(class), 3));
    assert!(holdings.iter().map(|h| (h.class, h.count)).eq(expected));
    holdings.iter().map(|Holding { held, .. }| *held).collect()
}

/// The stored body, verified against what its origin signed.
fn verified(store: &Store) -> Body {
    let served = store.served_body(&us(), Seq(0)).unwrap().unwrap();
    let sections = served.sections().into_iter();
    let bytes = sections.flat_map(|class| served.section(class).unwrap());
    let expected = Expected {
        origin: us(),
        seq: Seq(0),
        table: sealed(&us(), 0, &records(), &retractions()).table,
        suspected: BTreeSet::new(),
    };
    Body::verify(bytes.collect(), &expected).unwrap()
}

/// How many rows of the index stand under the fingerprints of a record, whatever they lead to, for us.
fn rows_of(store: &Store, n: u64) -> usize {
    let number = store.live().numbers[&us()];
    let mut keys: Vec<_> = prints(n)
        .iter()
        .map(|print| index::keys::fingerprint_key(store.index_key(), print).unwrap())
        .collect();
    keys.push(store.entry_key(&us(), entry(n)).unwrap());
    let values = keys
        .iter()
        .flat_map(|key| store.index().find(key).unwrap().values);
    let values = values.map(|value| index::Value::decode(&value).unwrap());
    values.filter(|value| value.origin == number).count()
}

fn bodies_of_us(dir: &Path) -> Vec<String> {
    let files = files_below(&dir.join("bodies/us.example_us_1")).into_iter();
    let name = |path: PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    files.map(name).collect()
}

const ALL: [Held; 4] = [Held::All; 4];

fn retracted_of_us(store: &Store) -> (u64, u64) {
    held_and_retracted(store, &us())
}

/// The same answers at once, after upkeep, after a restart and from a rebuilt index.
fn in_every_way(dir: &Path, store: Store, check: impl Fn(&Store)) -> Store {
    check(&store);
    store.maintain().unwrap();
    check(&store);
    drop(store);
    let store = open(dir);
    check(&store);
    store.rebuild_index(&mut |_| {}).unwrap();
    check(&store);
    drop(store);
    std::fs::remove_dir_all(dir.join("index")).unwrap();
    let store = open(dir);
    check(&store);
    store
}

#[test]
fn a_class_that_becomes_withheld_is_found_no_more_and_the_others_are() {
    let dir = tempfile::tempdir().unwrap();
    let store = stored(dir.path(), &[]);
    assert_eq!((found(&store).len(), held(&store)), (12, ALL.to_vec()));
    assert_eq!(retracted_of_us(&store), (11, 1));
    commit(&store, vec![narrow(&[1, 2])]);
    let store = in_every_way(dir.path(), store, |store| {
        assert_eq!(found(store), [0, 3, 4, 7, 8, 11]);
        assert_eq!(held(store), [Held::All, Held::None, Held::None, Held::All]);
        assert_eq!(retracted_of_us(store), (6, 0));
        assert_eq!(held_and_retracted(store, &eu()), (2, 0));
        let body = verified(store);
        assert_eq!(body.retractions(), retractions());
        assert_eq!(body.records().count(), 6);
        assert_eq!(bodies_of_us(dir.path()), ["0.1.body"]);
    });
    for n in [1, 2, 5, 6, 9, 10] {
        assert_eq!(rows_of(&store, n), 0, "record {n}");
    }
    assert_eq!(
        answers(&store, 12)[&1].len(),
        1,
        "another log's entry stays"
    );
}

#[test]
fn a_class_that_is_offered_later_joins_those_that_are_held() {
    let dir = tempfile::tempdir().unwrap();
    let store = stored(dir.path(), &[1, 2]);
    assert_eq!(retracted_of_us(&store), (6, 0));
    commit(&store, vec![later(&[0, 2, 3])]);
    let store = in_every_way(dir.path(), store, |store| {
        assert_eq!(found(store), [0, 1, 3, 4, 5, 7, 8, 9, 11]);
        assert_eq!(held(store), [Held::All, Held::All, Held::None, Held::All]);
        assert_eq!(retracted_of_us(store), (8, 1));
        assert_eq!(verified(store).records().count(), 9);
    });
    commit(&store, vec![narrow(&[1]), later(&[])]);
    in_every_way(dir.path(), store, |store| {
        assert_eq!((found(store).len(), held(store)), (12, ALL.to_vec()));
        assert_eq!(retracted_of_us(store), (11, 1));
        assert_eq!(bodies_of_us(dir.path()), ["0.2.body"]);
    });
}

#[test]
fn a_purged_record_is_gone_its_neighbours_verify_and_no_later_body_brings_it_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = stored(dir.path(), &[3]);
    commit(&store, vec![purge(&[4, 1, 5, 9, 7])]);
    let check = |store: &Store| {
        assert_eq!(found(store), [0, 2, 6, 8, 10]);
        assert_eq!(held(store), [Held::Some, Held::None, Held::All, Held::None]);
        assert_eq!(retracted_of_us(store), (5, 0));
        assert_eq!(verified(store).records().count(), 5);
    };
    let store = in_every_way(dir.path(), store, check);
    for n in [1, 4, 5, 7, 9] {
        assert_eq!(rows_of(&store, n), 0, "record {n}");
    }
    // Class 3 was not here when 7 was purged, and class 1 is withheld since all of it was.
    commit(&store, vec![narrow(&[0])]);
    commit(&store, vec![later(&[])]);
    in_every_way(dir.path(), store, |store| {
        assert_eq!(found(store), [0, 2, 3, 6, 8, 10, 11]);
        assert_eq!(held(store), [Held::Some, Held::None, Held::All, Held::Some]);
        assert_eq!(verified(store).records().count(), 7);
    });
}

#[test]
fn a_record_that_is_retracted_while_its_class_goes_counts_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let store = stored(dir.path(), &[]);
    let list = vec![retraction(1, 1), retraction(0, 1), retraction(9, 1)];
    let ends = Write::Retractions {
        origin: us(),
        seq: Seq(4),
        list,
    };
    commit(&store, vec![narrow(&[1]), ends, purge(&[4])]);
    let store = in_every_way(dir.path(), store, |store| {
        assert_eq!(retracted_of_us(store), (7, 1));
        assert_eq!(found(store), [0, 2, 3, 6, 7, 8, 10, 11]);
        assert!(store.lookup(&prints(0)[0]).unwrap()[0].retracted);
        assert!(ended_rows(store, 0) >= prints(0).len());
    });
    assert_eq!(ended_rows(&store, 0), prints(0).len());
}

#[test]
fn what_changes_nothing_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = stored(dir.path(), &[2]);
    let files = files_below(dir.path());
    for change in [narrow(&[2]), narrow(&[]), later(&[2]), purge(&[])] {
        commit(&store, vec![change]);
        assert_eq!(files_below(dir.path()), files);
    }
    // An entry that is not here is remembered, and a second time it is known.
    commit(&store, vec![purge(&[500])]);
    commit(&store, vec![purge(&[500])]);
    assert_eq!(files_below(dir.path()), files);
    commit(&store, vec![narrow(&[3])]);
    let narrowed = files_below(dir.path());
    commit(&store, vec![narrow(&[3])]);
    assert_eq!(files_below(dir.path()), narrowed);
}

#[test]
fn a_change_of_what_is_not_stored_or_of_another_delta_is_refused_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = stored(dir.path(), &[2]);
    let refuse = |write: Write| {
        let before = (answers(&store, 12), held(&store), files_below(dir.path()));
        let error = store.commit(testing::batch(vec![write])).unwrap_err();
        assert_eq!(
            before,
            (answers(&store, 12), held(&store), files_below(dir.path()))
        );
        error
    };
    let elsewhere = |origin: Origin, seq| {
        let classes = vec![ClassId(0)];
        Write::Narrow {
            origin,
            seq: Seq(seq),
            classes,
        }
    };
    let unknown = "ca.example/ca/1".parse().unwrap();
    for (origin, seq) in [(us(), 1), (eu(), 3), (unknown, 0)] {
        let error = refuse(elsewhere(origin, seq));
        assert!(matches!(error, CommitError::NotStored { seq: got, .. } if got == Seq(seq)));
    }
    let purge_of_none = Write::Purge {
        origin: us(),
        seq: Seq(8),
        entries: vec![entry(1)],
    };
    assert!(matches!(
        refuse(purge_of_none),
        CommitError::NotStored { seq: Seq(8), .. }
    ));
    let with_its_body = vec![
        body(&us(), 1, &[(0, record(50, 1))], &[]),
        elsewhere(us(), 1),
    ];
    let error = store.commit(testing::batch(with_its_body)).unwrap_err();
    assert!(matches!(error, CommitError::NotStored { seq: Seq(1), .. }));
    assert!(store.holdings(&us(), Seq(1)).is_none());
    assert!(matches!(
        refuse(narrow(&[0, 9])),
        CommitError::NoClass {
            class: ClassId(9),
            ..
        }
    ));
    // Each verifies against a table of its own, which is not the one that is held.
    let mut less = records();
    less.pop();
    let mut moved = records();
    moved[0].0 = 3;
    let mut changed = records();
    changed[2].1.revision = Revision(2);
    let with = |records: &[(u16, Record)], retractions: &[Retraction]| {
        Write::Widen(admitted(&us(), 0, records, retractions, &[]))
    };
    for other in [
        with(&less, &retractions()),
        with(&moved, &retractions()),
        with(&changed, &retractions()),
        with(&records(), &[]),
    ] {
        assert!(matches!(
            refuse(other),
            CommitError::OtherBody { seq: Seq(0), .. }
        ));
    }
}

/// Everything that a caller can see of delta 0 of us.
fn seen(store: &Store) -> (Vec<u64>, Vec<Held>, (u64, u64), Vec<u8>) {
    let body = verified(store).bytes().to_vec();
    (found(store), held(store), retracted_of_us(store), body)
}

#[test]
fn a_crash_at_any_step_of_a_change_leaves_the_body_before_or_after_and_nothing_of_what_went() {
    let home = tempfile::tempdir().unwrap();
    drop(stored(home.path(), &[3]));
    let change = || vec![narrow(&[1]), purge(&[4]), later(&[1])];
    let (before, after, opening, all) = {
        let dir = tempfile::tempdir().unwrap();
        crash::copy(home.path(), dir.path());
        let steps = Steps::default();
        let store = open_with(dir.path(), steps.clone()).unwrap();
        let (before, opening) = (seen(&store), steps.taken());
        commit(&store, change());
        store.maintain().unwrap();
        (before, seen(&store), opening, steps.taken())
    };
    assert_ne!(before, after);
    assert_eq!(after.0, [0, 2, 3, 6, 7, 8, 10, 11]);
    let secret = wrapped_keys(&home.path().join("bodies/us.example_us_1/0/0.body"));

    let (mut committed, mut shredded) = (0, 0);
    for stop in opening..all {
        let dir = tempfile::tempdir().unwrap();
        crash::copy(home.path(), dir.path());
        let store = open_with(dir.path(), Steps::stop_at(stop)).unwrap();
        let outcome = store.commit(testing::batch(change()));
        if outcome.is_ok() {
            shredded += 1;
            // The segments may wait; what is answered does not.
            drop(store.maintain());
        }
        drop(store);

        let store = open(dir.path());
        let now = seen(&store);
        if now == after {
            committed += 1;
            assert_eq!(bodies_of_us(dir.path()), ["0.1.body"], "step {stop}");
            for path in files_below(dir.path()) {
                let bytes = std::fs::read(&path).unwrap();
                let holds = bytes.windows(secret.len()).any(|window| window == secret);
                assert!(
                    !holds,
                    "step {stop}: {} holds a key of the old file",
                    path.display()
                );
            }
            for n in [1, 4, 5, 9] {
                assert_eq!(rows_of(&store, n), 0, "step {stop}: record {n}");
            }
        } else {
            assert_eq!((committed, &now), (0, &before), "step {stop}");
            assert_eq!(bodies_of_us(dir.path()), ["0.body"], "step {stop}");
            commit(&store, change());
            assert_eq!(seen(&store), after, "repeated after step {stop}");
        }
    }
    assert!(
        committed > shredded && shredded > 3,
        "{committed} {shredded}"
    );
}

/// The wrapped data key of the first section of a body file.
fn wrapped_keys(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()[8 + 40..][..32].to_vec()
}

#[test]
fn a_body_that_others_read_while_it_is_rewritten_is_served_to_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let store = stored(dir.path(), &[]);
    let begun = store.served_body(&us(), Seq(0)).unwrap().unwrap();
    let first = begun.section(0).unwrap();
    commit(&store, vec![narrow(&[0, 1, 2, 3])]);
    assert_eq!(begun.section(0).unwrap(), first);
    assert!(begun.section(2).unwrap().len() > 100);
    let now = store.served_body(&us(), Seq(0)).unwrap().unwrap();
    assert!(now.section(2).unwrap().len() < 45);
}

#[test]
fn look_ups_beside_changes_find_what_stays_every_time() {
    let dir = tempfile::tempdir().unwrap();
    let store = stored(dir.path(), &[]);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..15 {
                // Class 0 moves with each purge of a record of it, and class 1 comes and goes.
                commit(&store, vec![narrow(&[1, 0])]);
                commit(&store, vec![later(&[])]);
                commit(&store, vec![purge(&[1000 + n])]);
                store.maintain().unwrap();
            }
            done.store(true, Ordering::Relaxed);
        });
        let mut looked = 0;
        while !done.load(Ordering::Relaxed) || looked == 0 {
            for n in [2, 3, 6, 7, 10, 11] {
                let of_us = |found: &FoundEntry| found.origin == us();
                let found = store.lookup(&prints(n)[0]).unwrap();
                assert_eq!(found.into_iter().filter(of_us).count(), 1, "record {n}");
                assert!(store.lookup_entry(&us(), entry(n)).unwrap().is_some());
            }
            for n in [0, 1, 4, 5] {
                assert!(store.lookup(&prints(n)[1]).unwrap().len() <= 2);
            }
            looked += 1;
        }
    });
    assert_eq!(found(&store).len(), 12);
}

#[test]
fn a_body_stored_before_holdings_were_kept_is_changed_and_served_narrowed() {
    let dir = tempfile::tempdir().unwrap();
    let store = stored(dir.path(), &[3]);
    store.control.forget_contents().unwrap();
    let keep = BTreeSet::from([ClassId(0), ClassId(3)]);
    let served = store.serve_body(&us(), Seq(0), &keep).unwrap().unwrap();
    let sizes: Vec<_> = [0, 1, 2, 3, SECTION_OF_RETRACTIONS]
        .map(|class| served.section(class).unwrap().len())
        .into();
    assert!(sizes[0] > 100 && sizes[1..4].iter().all(|size| *size < 45));
    assert_eq!(held(&store), [Held::All, Held::All, Held::All, Held::None]);
    commit(&store, vec![narrow(&[0]), purge(&[1]), later(&[])]);
    in_every_way(dir.path(), store, |store| {
        assert_eq!(held(store), [Held::All, Held::Some, Held::All, Held::All]);
        assert_eq!(found(store).len(), 11);
        assert_eq!(verified(store).records().count(), 11);
    });
}

#[test]
fn what_is_served_narrowed_verifies_and_holds_the_classes_that_were_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = stored(dir.path(), &[3]);
    commit(&store, vec![purge(&[1])]);
    for keep in [&[0, 1][..], &[1], &[], &[0, 1, 2, 3], &[7]] {
        let keep: BTreeSet<_> = keep.iter().map(|class| ClassId(*class)).collect();
        let served = store.serve_body(&us(), Seq(0), &keep).unwrap().unwrap();
        let sections = served.sections().into_iter();
        let bytes = sections.flat_map(|class| served.section(class).unwrap());
        let sealed = sealed(&us(), 0, &records(), &retractions());
        let expected = Expected {
            origin: us(),
            seq: Seq(0),
            table: sealed.table,
            suspected: BTreeSet::new(),
        };
        let body = Body::verify(bytes.collect(), &expected).unwrap();
        for section in body.sections() {
            let here = match section.class.0 {
                0 | 2 => 3,
                1 => 2,
                _ => 0,
            };
            let expected = if keep.contains(&section.class) {
                here
            } else {
                0
            };
            assert_eq!(section.held(), expected);
        }
    }
    assert!(
        store
            .serve_body(&us(), Seq(1), &BTreeSet::new())
            .unwrap()
            .is_none()
    );
}
