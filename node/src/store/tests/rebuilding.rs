//! The index from the bodies, merged segments, and files that do not belong.

use super::*;

const RECORDS: u64 = 60;

/// Records of two centres, some retracted before, with and after their bodies.
fn filled(dir: &Path) -> Store {
    let store = with_classes(dir);
    let records = |range: std::ops::Range<u64>, revision| -> Vec<_> {
        range
            .map(|n| (u16::try_from(n % 4).unwrap(), record(n, revision)))
            .collect()
    };
    let ends = |seq, list| Write::Retractions {
        origin: us(),
        seq: Seq(seq),
        list,
    };
    commit(
        &store,
        vec![ends(3, vec![retraction(5, 1), retraction(999, 4)])],
    );
    commit(&store, vec![body(&us(), 0, &records(0..20, 1), &[])]);
    commit(
        &store,
        vec![body(
            &us(),
            1,
            &records(10..12, 2),
            &[retraction(10, 1), retraction(11, 1)],
        )],
    );
    commit(
        &store,
        vec![body(
            &eu(),
            1000,
            &records(0..RECORDS, 1),
            &[retraction(1, 1)],
        )],
    );
    let withheld = admitted(&us(), 2001, &records(30..40, 1), &[retraction(12, 9)], &[2]);
    commit(&store, vec![Write::Body(withheld)]);
    commit(
        &store,
        vec![
            ends(4, vec![retraction(6, 1)]),
            ends(5, vec![retraction(7, 1)]),
        ],
    );
    store
}

type Answers = BTreeMap<u64, Vec<(String, u64, u32, bool)>>;

fn everything(
    store: &Store,
) -> (
    Answers,
    Vec<usize>,
    BTreeMap<Origin, OriginCounts>,
    Vec<bool>,
) {
    let ended = (0..RECORDS).map(|n| ended_rows(store, n)).collect();
    let ends = [(5, 1), (999, 4), (999, 5), (12, 9)];
    let ends = ends.map(|(n, rev)| store.is_retracted(&us(), entry(n), Revision(rev)).unwrap());
    (
        answers(store, RECORDS),
        ended,
        store.counts(),
        ends.to_vec(),
    )
}

#[test]
fn a_lost_index_is_built_again_with_the_same_answers() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path());
    let before = everything(&store);
    assert_eq!(before.3, [true, true, false, true]);
    assert_eq!(held_and_retracted(&store, &us()), (23, 6));
    drop(store);
    let index = dir.path().join("index");
    let damages: [&dyn Fn(); 3] = [
        &|| std::fs::remove_dir_all(&index).unwrap(),
        &|| std::fs::remove_file(&files_below(&index)[0]).unwrap(),
        &|| {
            let path = &files_below(&index)[0];
            let bytes = std::fs::read(path).unwrap();
            std::fs::write(path, &bytes[..bytes.len() - 1]).unwrap();
        },
    ];
    for damage in damages {
        damage();
        let mut heard = Vec::new();
        let keys = StoreKeys {
            seal: SealKey::new(&[1; 32]),
            index: IndexKey::new(&[2; 32]),
        };
        let hear = &mut |progress| heard.push(progress);
        let store = Store::open_with(dir.path(), keys, eu(), Steps::default(), hear).unwrap();
        assert_eq!(everything(&store), before);
        assert_eq!(
            heard.last(),
            Some(&Progress {
                done: 14,
                total: 14
            })
        );
        drop(store);
        assert_eq!(everything(&open(dir.path())), before);
    }
}

#[test]
fn a_rebuild_that_dies_anywhere_is_done_at_the_next_open() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path());
    let before = everything(&store);
    drop(store);
    let index = dir.path().join("index");
    std::fs::remove_dir_all(&index).unwrap();
    let mut died = 0;
    for stop in 0.. {
        let Err(error) = open_with(dir.path(), Steps::stop_at(stop)).map(drop) else {
            break;
        };
        drop(error);
        died += 1;
    }
    assert!(died > 10, "{died}");
    assert_eq!(everything(&open(dir.path())), before);
}

#[test]
fn a_rebuild_of_a_running_store_changes_no_answer() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path());
    let before = everything(&store);
    store.rebuild_index(&mut |_| {}).unwrap();
    assert_eq!(everything(&store), before);
    assert_eq!(files_below(&dir.path().join("index")).len(), 2);
    commit(
        &store,
        vec![body(&us(), 9, &[(0, record(RECORDS + 1, 1))], &[])],
    );
    assert_eq!(store.lookup(&prints(RECORDS + 1)[0]).unwrap().len(), 1);
}

#[test]
fn merging_changes_no_answer_and_removes_what_it_merged() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_classes(dir.path());
    for n in 0..20 {
        let list = if n > 3 {
            vec![retraction(n - 3, 1)]
        } else {
            Vec::new()
        };
        commit(&store, vec![body(&us(), n, &[(0, record(n, 1))], &list)]);
    }
    let before = (answers(&store, 20), store.counts());
    let old = store.index();
    assert!(store.maintain().unwrap() >= 2);
    assert_eq!((answers(&store, 20), store.counts()), before);
    assert!(old.metas().len() > store.index().metas().len());
    // Whoever began with the old segments goes on with them.
    let key = index::keys::fingerprint_key(store.index_key(), &prints(1)[0]).unwrap();
    assert_eq!(old.find(&key).unwrap(), store.index().find(&key).unwrap());
    let live = store.live().places.metas().len() + store.live().retracted.metas().len();
    assert_eq!(files_below(&dir.path().join("index")).len(), live);
    assert_eq!(store.maintain().unwrap(), 0);
    drop(store);
    let store = open(dir.path());
    assert_eq!((answers(&store, 20), store.counts()), before);
}

#[test]
fn a_merge_that_dies_anywhere_leaves_all_answers() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_classes(dir.path());
    for n in 0..9 {
        commit(&store, vec![body(&us(), n, &[(0, record(n, 1))], &[])]);
    }
    let before = answers(&store, 10);
    drop(store);
    let opening = Steps::default();
    drop(open_with(dir.path(), opening.clone()));
    for stop in opening.taken().. {
        let store = open_with(dir.path(), Steps::stop_at(stop)).unwrap();
        let merged = store.maintain();
        assert_eq!(answers(&store, 10), before, "stop at {stop}");
        drop(store);
        let store = open(dir.path());
        assert_eq!(
            answers(&store, 10),
            before,
            "reopened after a stop at {stop}"
        );
        if merged.is_ok() {
            assert!(store.index().metas().len() < 9);
            break;
        }
    }
}

#[test]
fn files_that_nothing_names_are_swept() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(dir.path()));
    let before = files_below(dir.path());
    let bodies = dir.path().join("bodies");
    let strays = [
        bodies.join("us.example_us_1/0/77.body"),
        bodies.join("us.example_us_1/0/0.ends"),
        bodies.join("us.example_us_1/5/5000.body"),
        bodies.join("ca.example_ca_1/0/0.body"),
        bodies.join("us.example_us_1/0/.tmp-1"),
        dir.path().join("index/00000000000000ff.seg"),
        dir.path().join("index/.tmp-2"),
        dir.path().join("staging/.tmp-3"),
    ];
    for stray in &strays {
        std::fs::create_dir_all(stray.parent().unwrap()).unwrap();
        std::fs::write(stray, b"stray").unwrap();
    }
    // What somebody else put there is not ours to remove.
    let note = bodies.join("us.example_us_1/0/README.txt");
    std::fs::write(&note, b"by hand").unwrap();
    drop(open(dir.path()));
    std::fs::remove_file(note).unwrap();
    assert_eq!(files_below(dir.path()), before);
}

#[test]
fn a_missing_body_is_named_at_open() {
    for (file, seq) in [
        ("us.example_us_1/2/2001.body", 2001),
        ("us.example_us_1/0/4.ends", 4),
    ] {
        let dir = tempfile::tempdir().unwrap();
        drop(filled(dir.path()));
        std::fs::remove_file(dir.path().join("bodies").join(file)).unwrap();
        match open_with(dir.path(), Steps::default()).err() {
            Some(OpenError::MissingBody { origin, seq: got }) => {
                assert_eq!((origin, got), (us(), Seq(seq)));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_body_in_the_place_of_another_does_not_pass_a_rebuild() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(dir.path()));
    let folder = dir.path().join("bodies/us.example_us_1/0");
    std::fs::copy(folder.join("1.body"), folder.join("0.body")).unwrap();
    std::fs::remove_dir_all(dir.path().join("index")).unwrap();
    match open_with(dir.path(), Steps::default()).err() {
        Some(OpenError::Rebuild(RebuildError::Body(body))) => assert_eq!(body.seq, Seq(0)),
        other => panic!("{other:?}"),
    }
}
