//! What the log folder shows of a log beside its tiles.

use hashpact_keys::Timestamp;

use super::crash::copy;
use super::*;

const NOTE_BYTES: usize = hashpact_protocol::limits::NOTE_BYTES;

/// Files of a log folder that are no tiles, by their path below it.
pub(super) fn published(logs: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = files_below(logs).into_iter();
    let files = files.filter(|path| !path.components().any(|part| part.as_os_str() == "tile"));
    files
        .map(|path| {
            let bytes = std::fs::read(&path).unwrap();
            (path.strip_prefix(logs).unwrap().to_owned(), bytes)
        })
        .collect()
}

fn file(dir: &Path, name: &str) -> Vec<u8> {
    std::fs::read(dir.join("logs/eu.example_eu_1").join(name)).unwrap()
}

fn write_history(dir: &Path, bytes: &[u8]) {
    std::fs::write(dir.join("logs/eu.example_eu_1/history"), bytes).unwrap();
}

/// The sizes in a history, as an auditor reads it; no byte may be left.
fn sizes(history: &[u8]) -> Vec<u64> {
    let notes = hashpact_protocol::audit::HistoryNotes::new(std::iter::once(history.to_vec()));
    notes
        .map(|note| SignedCheckpoint::from_store(&note.unwrap()).unwrap())
        .map(|note| note.checkpoint().size)
        .collect()
}

/// The log's newest witnessed note, with one line more.
fn cosigned(store: &Store, seed: u8) -> SignedCheckpoint {
    let head = store.log(&eu()).witnessed.unwrap();
    let mut note = head.signed_note().unwrap();
    let (name, signer) = (
        format!("witness-{seed}.example"),
        Signer::from_seed(&[seed; 32]),
    );
    note.cosign(&name, &signer, Timestamp::new(1_790_000_000))
        .unwrap();
    head.with_lines(&note)
}

fn stand(store: &Store, change: impl FnOnce(&mut LogState)) {
    let mut state = store.log(&eu());
    change(&mut state);
    commit(
        store,
        vec![Write::State {
            origin: eu(),
            state,
        }],
    );
}

/// A log of three witnessed sizes, the notes with more lines than one.
fn three_sizes(dir: &Path) -> Store {
    let store = open(dir);
    for n in 1..4 {
        let mut writes = grown(&store, &eu(), &leaves(n), &[]);
        if let Write::State { state, .. } = &mut writes[1] {
            let head = state.witnessed.take().unwrap();
            let mut note = head.signed_note().unwrap();
            let signer = Signer::from_seed(&[9; 32]);
            note.cosign("witness.example", &signer, Timestamp::new(1_790_000_000))
                .unwrap();
            state.witnessed = Some(head.with_lines(&note));
        }
        commit(&store, writes);
    }
    store
}

#[test]
fn history_gets_one_note_for_each_witnessed_size_and_keeps_its_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut before = Vec::new();
    for (n, expected) in [(1, &[1][..]), (2, &[1, 3]), (3, &[1, 3, 6])] {
        commit(&store, grown(&store, &eu(), &leaves(n), &[]));
        let history = file(dir.path(), "history");
        assert!(history.starts_with(&before));
        assert_eq!(sizes(&history), expected);
        let added = [&file(dir.path(), "checkpoint")[..], b"\n"].concat();
        assert_eq!(history[before.len()..], added);
        before = history;
    }
    // A size that nobody witnessed is in neither.
    let mut writes = grown(&store, &eu(), &leaves(1), &[]);
    let witnessed = store.log(&eu()).witnessed;
    if let Write::State { state, .. } = &mut writes[1] {
        state.witnessed.clone_from(&witnessed);
    }
    commit(&store, writes);
    assert_eq!(file(dir.path(), "history"), before);
    assert_eq!(file(dir.path(), "checkpoint"), witnessed.unwrap().note());
}

#[test]
fn a_note_with_other_lines_at_the_same_size_is_a_new_checkpoint_and_no_new_history() {
    let dir = tempfile::tempdir().unwrap();
    let store = three_sizes(dir.path());
    let before = file(dir.path(), "history");
    let note = cosigned(&store, 7);
    assert_ne!(note.note(), file(dir.path(), "checkpoint"));
    stand(&store, |state| state.witnessed = Some(note.clone()));
    assert_eq!(file(dir.path(), "checkpoint"), note.note());
    assert_eq!(file(dir.path(), "history"), before);
    drop(store);
    drop(open(dir.path()));
    assert_eq!(file(dir.path(), "checkpoint"), note.note());
    assert_eq!(file(dir.path(), "history"), before);
}

#[test]
fn a_history_torn_anywhere_in_its_last_note_is_whole_again_at_the_next_open() {
    let dir = tempfile::tempdir().unwrap();
    drop(three_sizes(dir.path()));
    let whole = file(dir.path(), "history");
    let last = whole.len() - file(dir.path(), "checkpoint").len() - 1;
    assert_eq!(sizes(&whole), [1, 3, 6]);
    let near_the_end = whole.len() - 4;
    for cut in (last..whole.len()).filter(|cut| cut % 4 == 0 || *cut > near_the_end) {
        write_history(dir.path(), &whole[..cut]);
        drop(open(dir.path()));
        assert_eq!(file(dir.path(), "history"), whole, "cut at {cut}");
    }
    // A disk may have made room that it did not fill, or have written half a letter.
    for torn in [
        &[0; 300][..],
        b"eu.example/eu/1\n6\n\n\xe2\x80",
        b"\xff\n\n\xff\n\n",
    ] {
        write_history(dir.path(), &[&whole[..last], torn].concat());
        drop(open(dir.path()));
        assert_eq!(file(dir.path(), "history"), whole, "{torn:?}");
    }
}

#[test]
fn a_history_whose_only_note_is_torn_or_that_is_lost_begins_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    commit(&store, grown(&store, &eu(), &leaves(2), &[]));
    drop(store);
    let whole = file(dir.path(), "history");
    for cut in [0, 1, whole.len() / 2, whole.len() - 1] {
        write_history(dir.path(), &whole[..cut]);
        drop(open(dir.path()));
        assert_eq!(file(dir.path(), "history"), whole, "cut at {cut}");
    }
    std::fs::remove_dir_all(dir.path().join("logs/eu.example_eu_1")).unwrap();
    drop(open(dir.path()));
    assert_eq!(file(dir.path(), "history"), whole);
}

#[test]
fn a_history_that_is_ahead_of_the_database_is_never_appended_to_with_less() {
    let dir = tempfile::tempdir().unwrap();
    let store = three_sizes(dir.path());
    let ahead = [
        &file(dir.path(), "history")[..],
        head(&eu(), 9, [3; 32]).note(),
        b"\n",
    ]
    .concat();
    write_history(dir.path(), &ahead);
    commit(&store, grown(&store, &eu(), &leaves(1), &[]));
    drop(store);
    let store = open(dir.path());
    assert_eq!(file(dir.path(), "history"), ahead);
    // It goes on where the log is longer than what it ends with.
    commit(&store, grown(&store, &eu(), &leaves(3), &[]));
    let history = file(dir.path(), "history");
    assert!(history.starts_with(&ahead));
    assert_eq!(sizes(&history), [1, 3, 6, 9, 10]);
}

#[test]
fn the_end_of_a_long_history_is_found_without_its_beginning() {
    let dir = tempfile::tempdir().unwrap();
    let store = three_sizes(dir.path());
    let (mut long, whole) = (Vec::new(), file(dir.path(), "history"));
    drop(store);
    while long.len() < 5 * NOTE_BYTES {
        let part = [head(&eu(), 5, [3; 32]).note(), b"\n"].concat();
        long.extend(part);
    }
    // The tail that is read begins at another byte of a note each time.
    for pad in 0..80 {
        let padded = [&vec![b'x'; pad][..], &long[..]].concat();
        write_history(dir.path(), &[&padded[..], &whole[..9]].concat());
        drop(open(dir.path()));
        let added = [&file(dir.path(), "checkpoint")[..], b"\n"].concat();
        let history = file(dir.path(), "history");
        assert!(history == [&padded[..], &added[..]].concat(), "pad {pad}");
    }
}

#[test]
fn a_history_damaged_beyond_what_a_crash_leaves_is_left_as_evidence() {
    let dir = tempfile::tempdir().unwrap();
    drop(three_sizes(dir.path()));
    let whole = file(dir.path(), "history");
    for len in [NOTE_BYTES + 2, 4 * NOTE_BYTES] {
        let damaged = [&whole[..], &vec![b'x'; len][..]].concat();
        write_history(dir.path(), &damaged);
        let store = open(dir.path());
        commit(&store, grown(&store, &eu(), &leaves(1), &[]));
        assert!(file(dir.path(), "history") == damaged, "{len}");
        let state = store.log(&eu());
        assert_eq!(
            file(dir.path(), "checkpoint"),
            state.witnessed.unwrap().note()
        );
    }
}

#[test]
fn forks_and_rosters_that_are_lost_or_changed_are_put_right_at_the_next_open() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (roster, _) = testing::keys::network(3, true);
    let proof = b"two heads".to_vec();
    // Neither of the two folders is there yet.
    let (origin, fork) = (us(), proof.clone());
    commit(
        &store,
        vec![
            Write::Roster(roster.clone()),
            Write::Fork {
                origin,
                proof: fork,
            },
        ],
    );
    drop(store);
    let logs = dir.path().join("logs");
    let expected = BTreeMap::from([
        (PathBuf::from("rosters/1"), roster.bytes().to_vec()),
        (PathBuf::from("us.example_us_1/fork"), proof),
    ]);
    assert_eq!(published(&logs), expected);
    let damages: [&dyn Fn(); 3] = [
        &|| std::fs::remove_dir_all(logs.join("rosters")).unwrap(),
        &|| std::fs::remove_dir_all(logs.join("us.example_us_1")).unwrap(),
        &|| std::fs::write(logs.join("rosters/1"), b"half").unwrap(),
    ];
    for damage in damages {
        damage();
        assert_ne!(published(&logs), expected);
        drop(open(dir.path()));
        assert_eq!(published(&logs), expected);
    }
}

/// The log is witnessed further, twice; another one is shown to be forked; a roster comes into force.
fn alarming(store: &Store) -> Vec<Write> {
    let mut state = store.log(&eu());
    state.witnessed.clone_from(&state.head);
    let (roster, _) = testing::keys::network(3, true);
    let (origin, proof) = (us(), b"two heads".to_vec());
    vec![
        Write::State {
            origin: eu(),
            state,
        },
        Write::Roster(roster),
        Write::Fork { origin, proof },
    ]
}

#[test]
fn what_a_crash_at_any_step_left_unpublished_is_published_at_the_next_open() {
    let origin = tempfile::tempdir().unwrap();
    {
        let store = three_sizes(origin.path());
        let mut writes = grown(&store, &eu(), &leaves(2), &[]);
        if let Write::State { state, .. } = &mut writes[1] {
            state.witnessed = store.log(&eu()).witnessed;
        }
        commit(&store, writes);
    }
    let show = |dir: &Path| published(&dir.join("logs"));
    let before = show(origin.path());
    let (after, opening, all) = {
        let dir = tempfile::tempdir().unwrap();
        copy(origin.path(), dir.path());
        let steps = Steps::default();
        let store = open_with(dir.path(), steps.clone()).unwrap();
        let opening = steps.taken();
        commit(&store, alarming(&store));
        (show(dir.path()), opening, steps.taken())
    };
    let changed = after
        .iter()
        .filter(|(path, bytes)| before.get(*path) != Some(bytes));
    assert_eq!(
        changed.map(|(path, _)| path).collect::<Vec<_>>(),
        [
            Path::new("eu.example_eu_1/checkpoint"),
            Path::new("eu.example_eu_1/history"),
            Path::new("rosters/1"),
            Path::new("us.example_us_1/fork"),
        ]
    );
    let history = Path::new("eu.example_eu_1/history");
    assert_eq!(sizes(&after[history]), [1, 3, 6, 8]);
    // How many steps left some of it unpublished.
    let mut partly = 0;
    for stop in opening..all {
        let dir = tempfile::tempdir().unwrap();
        copy(origin.path(), dir.path());
        let store = open_with(dir.path(), Steps::stop_at(stop)).unwrap();
        let result = store.commit(testing::batch(alarming(&store)));
        assert!(result.is_err() || stop + 1 == all, "step {stop}");
        drop(store);
        let left = show(dir.path());
        assert!(after[history].starts_with(&left[history]), "step {stop}");
        let ahead = sizes(&left[history]).last() > Some(&counted(&left));
        assert!(
            !ahead,
            "step {stop}: the history is ahead of the checkpoint"
        );
        let store = open(dir.path());
        let is_in_force = !store.rosters().unwrap().is_empty();
        let now = show(dir.path());
        assert!(
            now == *if is_in_force { &after } else { &before },
            "step {stop}"
        );
        partly += usize::from(now != left);
        drop(store);
        // Nor does dying while it is put right change what comes of it.
        for again in 0.. {
            std::fs::remove_dir_all(dir.path().join("logs")).unwrap();
            for (path, bytes) in &left {
                let path = dir.path().join("logs").join(path);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, bytes).unwrap();
            }
            let died = open_with(dir.path(), Steps::stop_at(again)).is_err();
            drop(open(dir.path()));
            assert!(show(dir.path()) == now, "steps {stop} and {again}");
            if !died {
                break;
            }
        }
    }
    assert!(partly > 10, "{partly}");
}

/// Leaves that the checkpoint counts.
fn counted(files: &BTreeMap<PathBuf, Vec<u8>>) -> u64 {
    let note = &files[Path::new("eu.example_eu_1/checkpoint")];
    SignedCheckpoint::from_store(note)
        .unwrap()
        .checkpoint()
        .size
}

/// A checkpoint is published of a size that the log grew past at once: what auditors' tools fetch for it is there, and stays
/// while the log grows over full tiles.
#[test]
fn a_checkpoint_behind_the_log_has_the_tiles_of_its_own_size() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let leaves = leaves(200);
    let mut writes = grown(&store, &eu(), &leaves, &[]);
    let early = hashpact_protocol::log::root_at(&FilesOf(&writes), 200, 90).unwrap();
    for write in &mut writes {
        if let Write::State { state, .. } = write {
            state.witnessed = Some(head(&eu(), 90, early));
        }
    }
    commit(&store, writes);
    let tile = |width: &str| {
        dir.path()
            .join("logs/eu.example_eu_1/tile/0/000.p")
            .join(width)
    };
    let bundle = |width: &str| {
        dir.path()
            .join("logs/eu.example_eu_1/tile/entries/000.p")
            .join(width)
    };
    assert_eq!(std::fs::read(tile("90")).unwrap().len(), 90 * 32);
    assert!(bundle("90").exists());
    // 300 leaves: the first tile is full, and what is published is still of 90.
    let leaves = super::leaves(100);
    let witnessed = store.log(&eu()).witnessed;
    let mut writes = grown(&store, &eu(), &leaves, &[]);
    for write in &mut writes {
        if let Write::State { state, .. } = write {
            state.witnessed = witnessed.clone();
        }
    }
    commit(&store, writes);
    assert!(tile("90").exists() && bundle("90").exists());
    drop(store);
    std::fs::remove_file(tile("90")).unwrap();
    let store = open(dir.path());
    assert_eq!(std::fs::read(tile("90")).unwrap().len(), 90 * 32);
    // Once all is published, the full tile is enough.
    let writes = grown(&store, &eu(), &super::leaves(1), &[]);
    commit(&store, writes);
    assert!(dir.path().join("logs/eu.example_eu_1/tile/0/000").exists());
}

/// The tiles that a batch writes.
struct FilesOf<'a>(&'a [Write]);

impl hashpact_protocol::log::LogFiles for FilesOf<'_> {
    fn log_file(&self, path: &str) -> Option<Vec<u8>> {
        self.0.iter().find_map(|write| {
            let Write::Log { files, .. } = write else {
                return None;
            };
            let found = files.iter().find(|file| file.path == path);
            found.map(|file| file.bytes.clone())
        })
    }
}
