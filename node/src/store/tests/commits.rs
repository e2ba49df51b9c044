//! What a commit changes, and which batches it refuses.

use super::*;

fn checkpoint_of(dir: &Path) -> Vec<u8> {
    std::fs::read(dir.join("logs/eu.example_eu_1/checkpoint")).unwrap()
}

#[test]
fn what_is_committed_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_classes(dir.path());
    let records: Vec<_> = (0..5)
        .map(|n| (u16::try_from(n % 3).unwrap(), record(n, 1)))
        .collect();
    let mut writes = grown(&store, &eu(), &leaves(3), &[4]);
    writes.push(body(&eu(), 0, &records, &[]));
    commit(&store, writes);
    let (state, found) = (store.log(&eu()), answers(&store, 6));
    assert_eq!((state.size, found.len()), (4, 5));
    drop(store);

    let store = open(dir.path());
    assert_eq!(store.log(&eu()), state);
    assert_eq!(answers(&store, 6), found);
    assert_eq!(store.class(&eu(), ClassId(4)), Some(labels(4)));
    assert_eq!(store.class(&us(), ClassId(4)), None);
    assert_eq!(store.delta_index(&eu(), Seq(0)), Some(1));
    assert_eq!(store.delta_index(&eu(), Seq(1)), None);
    assert_eq!(held_and_retracted(&store, &eu()), (5, 0));
    assert_eq!(checkpoint_of(dir.path()), state.witnessed.unwrap().note());
    let read = |path: &str| store.log_file(&eu(), path);
    let read = hashpact_protocol::log::read_leaves(&read, 4, 1, 4).unwrap();
    assert_eq!(read, leaves(3));
}

#[test]
fn a_batch_built_for_another_size_is_refused_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_classes(dir.path());
    let stale = grown(&store, &eu(), &leaves(2), &[]);
    commit(&store, grown(&store, &eu(), &leaves(3), &[]));
    let before = (store.log(&eu()), files_below(dir.path()));
    let mut writes = stale;
    writes.push(body(&eu(), 0, &[(0, record(1, 1))], &[]));
    match store.commit(testing::batch(writes)) {
        Err(CommitError::Size {
            origin,
            expected: 1,
            got: 4,
        }) => assert_eq!(origin, eu()),
        other => panic!("{other:?}"),
    }
    assert_eq!((store.log(&eu()), files_below(dir.path())), before);
    assert_eq!(answers(&store, 3).len(), 0);
    // A refusal is no failure of the disk: the next batch is taken.
    commit(&store, grown(&store, &eu(), &leaves(1), &[]));
    assert_eq!(store.log(&eu()).size, 5);
}

#[test]
fn a_log_does_not_shrink() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_classes(dir.path());
    let state = LogState::default();
    let refused = store.commit(testing::batch(vec![Write::State {
        origin: eu(),
        state,
    }]));
    assert!(
        matches!(
            refused,
            Err(CommitError::Shrinks {
                stored: 1,
                got: 0,
                ..
            })
        ),
        "{refused:?}"
    );
    assert_eq!(store.log(&eu()).size, 1);
}

#[test]
fn a_log_file_outside_the_tiles_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for path in [
        "../../control.redb",
        "checkpoint",
        "/etc/x",
        "tile/../checkpoint",
    ] {
        let mut writes = grown(&store, &eu(), &leaves(1), &[]);
        if let Write::Log { files, .. } = &mut writes[0] {
            files[0].path = path.to_owned();
        }
        let refused = store.commit(testing::batch(writes));
        assert!(
            matches!(refused, Err(CommitError::Path { .. })),
            "{path}: {refused:?}"
        );
        assert_eq!(store.log_file(&eu(), path), None);
    }
    assert_eq!(store.log(&eu()).size, 0);
}

#[test]
fn a_path_that_names_no_file_is_no_failure_of_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_classes(dir.path());
    for path in ["tile/0", "tile/0/000.p/1/2", "tile/0/999", "tile/entries"] {
        assert_eq!(store.log_file(&eu(), path), None, "{path}");
    }
    commit(&store, grown(&store, &eu(), &leaves(1), &[]));
}

#[test]
fn a_record_of_an_undefined_class_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_classes(dir.path());
    let refused = store.commit(testing::batch(vec![body(
        &eu(),
        0,
        &[(9, record(1, 1))],
        &[],
    )]));
    assert!(matches!(
        refused,
        Err(CommitError::UndefinedClass {
            class: ClassId(9),
            ..
        })
    ));
    // The definition may come in the same batch.
    let mut writes = grown(&store, &eu(), &leaves(1), &[9]);
    writes.push(body(&eu(), 0, &[(9, record(1, 1))], &[]));
    commit(&store, writes);
    assert_eq!(store.lookup(&prints(1)[0]).unwrap()[0].labels, labels(9));
}

#[test]
fn a_body_that_comes_again_counts_once_and_another_one_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_classes(dir.path());
    let records = [(0, record(1, 1)), (1, record(2, 1))];
    commit(
        &store,
        vec![body(&us(), 0, &records, &[]), body(&us(), 0, &records, &[])],
    );
    commit(&store, vec![body(&us(), 0, &records, &[])]);
    assert_eq!(held_and_retracted(&store, &us()), (2, 0));
    let other = store.commit(testing::batch(vec![body(&us(), 0, &records[..1], &[])]));
    assert!(
        matches!(other, Err(CommitError::BodyDiffers { seq: Seq(0), .. })),
        "{other:?}"
    );
    assert_eq!(answers(&store, 4).len(), 2);
}

#[test]
fn a_checkpoint_is_published_only_once_it_is_witnessed_and_its_leaves_are_stored() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_classes(dir.path());
    let first = checkpoint_of(dir.path());
    // A head that is known before its leaves, as when another centre's log is catching up.
    let mut state = store.log(&eu());
    let ahead = head(&eu(), 9, [3; 32]);
    state.head = Some(ahead.clone());
    state.witnessed = Some(ahead);
    commit(
        &store,
        vec![Write::State {
            origin: eu(),
            state,
        }],
    );
    assert_eq!(checkpoint_of(dir.path()), first);
    assert_eq!(store.counts()[&eu()].head_size, 9);
    // Nor is one whose leaves are stored, before its witnesses have cosigned it.
    let mut writes = grown(&store, &eu(), &leaves(1), &[]);
    if let Write::State { state, .. } = &mut writes[1] {
        state.witnessed = None;
    }
    commit(&store, writes);
    assert_eq!(store.log(&eu()).head.unwrap().checkpoint().size, 2);
    assert_eq!(checkpoint_of(dir.path()), first);
}

#[test]
fn partial_tiles_go_once_the_full_one_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let log = dir.path().join("logs/eu.example_eu_1");
    for _ in 0..5 {
        commit(&store, grown(&store, &eu(), &leaves(51), &[]));
    }
    assert!(log.join("tile/0/000.p/255").is_file());
    assert!(log.join("tile/entries/000.p/51").is_file());
    commit(&store, grown(&store, &eu(), &leaves(2), &[]));
    for gone in ["tile/0/000.p", "tile/entries/000.p"] {
        assert!(!log.join(gone).exists(), "{gone}");
    }
    for kept in [
        "tile/0/000",
        "tile/0/001.p/1",
        "tile/1/000.p/1",
        "tile/entries/001.p/1",
    ] {
        assert!(log.join(kept).is_file(), "{kept}");
    }
    let files = |path: &str| store.log_file(&eu(), path);
    let root = hashpact_protocol::log::root_at(&files, 257, 257).unwrap();
    assert_eq!(root, store.log(&eu()).root);
}

#[test]
fn a_failed_disk_ends_all_commits_until_the_store_is_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    drop(with_classes(dir.path()));
    let steps = Steps::default();
    drop(open_with(dir.path(), steps.clone()));
    let store = open_with(dir.path(), Steps::stop_at(steps.taken())).unwrap();
    let writes = grown(&store, &eu(), &leaves(1), &[]);
    assert!(matches!(
        store.commit(testing::batch(writes)),
        Err(CommitError::Io(_))
    ));
    let writes = grown(&store, &eu(), &leaves(1), &[]);
    assert!(matches!(
        store.commit(testing::batch(writes)),
        Err(CommitError::Failed)
    ));
}

#[test]
fn rosters_come_back_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let rosters = [(1, vec![1; 9]), (2, vec![2; 9]), (10, vec![10; 9])];
    let store = open(dir.path());
    assert_eq!(store.rosters().unwrap(), []);
    let of = |(version, bytes): &(u64, Vec<u8>)| {
        (hashpact_keys::RosterVersion::new(*version), bytes.clone())
    };
    let change = control::Change {
        rosters: rosters.iter().rev().map(of).collect(),
        ..Default::default()
    };
    store.control.apply(&change).unwrap();
    assert_eq!(store.rosters().unwrap(), rosters);
}

#[test]
fn a_data_folder_of_a_newer_format_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    {
        let database = redb::Database::create(dir.path().join("control.redb")).unwrap();
        let transaction = database.begin_write().unwrap();
        let meta = redb::TableDefinition::<&str, u64>::new("meta");
        transaction
            .open_table(meta)
            .unwrap()
            .insert("format", FORMAT + 1)
            .unwrap();
        transaction.commit().unwrap();
    }
    let error = open_with(dir.path(), Steps::default()).err().unwrap();
    let newer = FORMAT + 1;
    assert!(
        matches!(error, OpenError::Control(ControlError::Format { got }) if got == newer),
        "{error:?}"
    );
}

#[test]
fn what_was_stored_is_served_as_it_was_on_the_wire() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_classes(dir.path());
    let records: Vec<_> = (0..40)
        .map(|n| (u16::try_from(n % 3).unwrap(), record(n, 1)))
        .collect();
    let admitted = admitted(&us(), 3, &records, &[retraction(90, 1)], &[1]);
    let bytes = admitted.body().bytes().to_vec();
    commit(&store, vec![Write::Body(admitted)]);
    let served = store.served_body(&us(), Seq(3)).unwrap().unwrap();
    assert_eq!(served.sections(), [0, 1, 2, SECTION_OF_RETRACTIONS]);
    let sections = served
        .sections()
        .into_iter()
        .map(|class| served.section(class).unwrap());
    assert_eq!(sections.collect::<Vec<_>>().concat(), bytes);
    // The withheld class is no record held.
    assert_eq!(held_and_retracted(&store, &us()), (27, 0));
    assert!(store.served_body(&us(), Seq(4)).unwrap().is_none());
    assert!(store.served_body(&eu(), Seq(3)).unwrap().is_none());
}

#[test]
fn no_fingerprint_lies_readable_in_any_file() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_classes(dir.path());
    let records: Vec<_> = (0..300)
        .map(|n| (u16::try_from(n % 3).unwrap(), record(n, 1)))
        .collect();
    commit(&store, vec![body(&us(), 0, &records, &[])]);
    let ends = (0..50).map(|n| retraction(n, 1)).collect::<Vec<_>>();
    commit(
        &store,
        vec![Write::Retractions {
            origin: us(),
            seq: Seq(1),
            list: ends,
        }],
    );
    drop(store);
    let prints: Vec<_> = (0..300).flat_map(prints).collect();
    let beginnings: std::collections::BTreeSet<&[u8]> =
        prints.iter().map(|print| &print.bytes()[..16]).collect();
    let mut searched = 0;
    for file in files_below(dir.path()) {
        let bytes = std::fs::read(&file).unwrap();
        searched += bytes.len();
        let found = bytes.windows(16).any(|window| beginnings.contains(window));
        assert!(!found, "in {}", file.display());
    }
    // The search itself finds what is there to be found.
    let plain = record(7, 1).to_bytes();
    assert!(plain.windows(16).any(|window| beginnings.contains(window)));
    assert!(searched > 100_000);
}

#[test]
fn what_a_killed_ingest_had_staged_is_gone_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let staged = open(dir.path()).ingest_dir();
    std::fs::create_dir(&staged).unwrap();
    std::fs::write(staged.join("rows"), b"sealed rows").unwrap();
    assert_eq!(open(dir.path()).ingest_dir(), staged);
    assert!(!staged.exists());
}
