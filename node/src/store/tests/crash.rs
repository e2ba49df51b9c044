//! A process that dies at any step of a commit.

use super::published::published;
use super::*;

/// All that a caller can see.
#[derive(Debug, PartialEq)]
struct Seen {
    states: Vec<LogState>,
    answers: BTreeMap<u64, Vec<(String, u64, u32, bool)>>,
    ended: Vec<usize>,
    counts: BTreeMap<Origin, OriginCounts>,
    deltas: Vec<Option<u64>>,
    classes: Vec<bool>,
    bodies: Vec<Option<Vec<u32>>>,
    /// Files of the log folder that are no tiles.
    published: BTreeMap<PathBuf, Vec<u8>>,
    leaves: Vec<Vec<u8>>,
}

fn seen(store: &Store) -> Seen {
    let states: Vec<_> = [eu(), us()]
        .iter()
        .map(|origin| store.log(origin))
        .collect();
    let files = |path: &str| store.log_file(&eu(), path);
    let size = states[0].size;
    let root = hashpact_protocol::log::root_at(&files, size, size).unwrap();
    assert_eq!(root, states[0].root);
    let bodies = (0..4).map(|seq| {
        store.served_body(&us(), Seq(seq)).unwrap().map(|served| {
            let whole = served.sections().into_iter();
            whole
                .inspect(|class| drop(served.section(*class).unwrap()))
                .collect()
        })
    });
    Seen {
        answers: answers(store, 12),
        ended: (0..12).map(|n| ended_rows(store, n)).collect(),
        counts: store.counts(),
        deltas: (0..4)
            .map(|seq| store.delta_index(&eu(), Seq(seq)))
            .collect(),
        classes: (0..8)
            .map(|class| store.class(&eu(), ClassId(class)).is_some())
            .collect(),
        bodies: bodies.collect(),
        published: published(&store.logs_folder()),
        leaves: hashpact_protocol::log::read_leaves(&files, size, 0, size).unwrap(),
        states,
    }
}

/// A log that grows over a tile's end, a body, and retractions of records old and new.
fn batch(store: &Store) -> Vec<Write> {
    let mut writes = grown(store, &eu(), &leaves(9), &[4, 5]);
    let records: Vec<_> = (3..8)
        .map(|n| (u16::try_from(n % 3).unwrap(), record(n, 1)))
        .collect();
    writes.push(body(
        &us(),
        1,
        &records,
        &[retraction(0, 1), retraction(3, 1)],
    ));
    let list = vec![retraction(1, 1), retraction(4, 1), retraction(40, 1)];
    writes.push(Write::Retractions {
        origin: us(),
        seq: Seq(3),
        list,
    });
    let state = LogState {
        applied: Seq(2),
        retracted: Seq(4),
        ..store.log(&us())
    };
    writes.push(Write::State {
        origin: us(),
        state,
    });
    writes
}

fn prepare(dir: &Path) {
    let store = with_classes(dir);
    commit(&store, grown(&store, &eu(), &leaves(250), &[]));
    commit(
        &store,
        vec![body(
            &us(),
            0,
            &[(0, record(0, 1)), (1, record(1, 1)), (2, record(2, 1))],
            &[],
        )],
    );
    let list = vec![retraction(30, 1)];
    commit(
        &store,
        vec![Write::Retractions {
            origin: us(),
            seq: Seq(1),
            list,
        }],
    );
}

pub(super) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for item in std::fs::read_dir(from).unwrap() {
        let path = item.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

/// Leaves that the published checkpoint counts.
fn counted(dir: &Path) -> u64 {
    let note = std::fs::read(dir.join("logs/eu.example_eu_1/checkpoint")).unwrap();
    SignedCheckpoint::from_store(&note)
        .unwrap()
        .checkpoint()
        .size
}

#[test]
fn a_crash_at_any_step_leaves_the_state_before_or_after_and_the_batch_can_be_repeated() {
    let origin = tempfile::tempdir().unwrap();
    prepare(origin.path());
    let (before, after, opening, all) = {
        let dir = tempfile::tempdir().unwrap();
        copy(origin.path(), dir.path());
        let steps = Steps::default();
        let store = open_with(dir.path(), steps.clone()).unwrap();
        let (before, opening) = (seen(&store), steps.taken());
        commit(&store, batch(&store));
        (before, seen(&store), opening, steps.taken())
    };
    assert_ne!(before, after);
    assert_eq!(after.states[0].size, 260);
    assert!(all - opening > 50, "{}", all - opening);
    let changed = after.published.iter();
    let changed = changed.filter(|(path, bytes)| before.published.get(*path) != Some(bytes));
    assert_eq!(
        changed.map(|(path, _)| path).collect::<Vec<_>>(),
        [
            Path::new("eu.example_eu_1/checkpoint"),
            Path::new("eu.example_eu_1/history"),
        ]
    );

    let mut committed = 0;
    for stop in 0..all {
        let dir = tempfile::tempdir().unwrap();
        copy(origin.path(), dir.path());
        if let Ok(store) = open_with(dir.path(), Steps::stop_at(stop)) {
            let result = store.commit(testing::batch(batch(&store)));
            // The last steps only tidy up, and are not the commit's to fail for.
            assert!(result.is_err() || stop + 1 == all, "step {stop}");
            drop(store);
        }
        let public = counted(dir.path());

        let store = open(dir.path());
        let now = seen(&store);
        assert!(
            public <= now.states[0].size,
            "step {stop}: checkpoint ahead of the state"
        );
        if now == after {
            committed += 1;
        } else {
            assert_eq!(committed, 0, "step {stop}: committed earlier, and not here");
            assert_eq!(now, before, "step {stop}");
            commit(&store, batch(&store));
            assert_eq!(seen(&store), after, "repeated after step {stop}");
        }
        let head = store.log(&eu()).witnessed.unwrap();
        assert_eq!(counted(dir.path()), head.checkpoint().size, "step {stop}");
        let temporary = files_below(dir.path()).into_iter().filter(|path| {
            path.file_name()
                .is_some_and(|name| name.as_encoded_bytes().starts_with(b".tmp-"))
        });
        assert_eq!(temporary.count(), 0, "step {stop}");
    }
    assert!(committed > 2, "{committed}");
}

#[test]
fn another_batch_after_a_crash_writes_over_the_tiles_of_the_lost_one() {
    let dir = tempfile::tempdir().unwrap();
    prepare(dir.path());
    let steps = Steps::default();
    let opening = {
        drop(open_with(dir.path(), steps.clone()).unwrap());
        steps.taken()
    };
    // Dies with every tile written and nothing committed.
    for stop in opening.. {
        let store = open_with(dir.path(), Steps::stop_at(stop)).unwrap();
        let lost = grown(&store, &eu(), &leaves(9), &[]);
        let names_tiles = dir
            .path()
            .join("logs/eu.example_eu_1/tile/0/001.p/4")
            .is_file();
        if names_tiles {
            break;
        }
        store.commit(testing::batch(lost)).unwrap_err();
    }
    let store = open(dir.path());
    let other: Vec<_> = (0..9).map(|n| vec![n, 8]).collect();
    commit(&store, grown(&store, &eu(), &other, &[]));
    let now = seen(&store);
    assert_eq!(now.leaves[251..], other);
}
