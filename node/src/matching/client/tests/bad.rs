//! Centres that lie. Each is named after what it does; none gets a tag made of what it sent.

use hashpact_protocol::psi::SegmentError;

use super::*;

async fn against(lie: Lie, mode: MatchMode) -> MatchError {
    let bench = Bench::new(centre());
    bench.world.lie(lie);
    let mut order = bench.order(mode, &list(0..9_000));
    order.patience.retries = 0;
    if lie == Lie::Silent {
        order.patience.answer = Duration::from_millis(200);
    }
    let error = bench.run(&order).await.err().unwrap();
    assert!(!error.is_no(), "{error}");
    error
}

fn is_evaluation(error: &MatchError) -> bool {
    matches!(error, MatchError::Session(SessionError::Evaluation { .. }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evaluation_under_another_key_is_refused() {
    let error = against(Lie::WrongKey, MatchMode::Items).await;
    assert!(is_evaluation(&error), "{error}");
    assert_eq!(
        error.to_string(),
        "group 0, items from 0 on: the proof of the evaluation does not hold"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proof_of_another_batch_is_refused() {
    assert!(is_evaluation(
        &against(Lie::OldProof, MatchMode::Items).await
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn points_that_trade_places_are_refused() {
    assert!(is_evaluation(
        &against(Lie::Swapped, MatchMode::Labels).await
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neutral_element_in_an_answer_is_refused() {
    let error = against(Lie::Identity, MatchMode::Items).await;
    assert!(
        is_evaluation(&error) && error.to_string().contains("point 3"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_kept_of_an_evaluation_that_does_not_hold() {
    let bench = Bench::new(centre());
    bench.world.lie(Lie::Swapped);
    let items = list(0..500);
    assert!(is_evaluation(
        &bench.check(MatchMode::Items, &items).await.err().unwrap()
    ));
    bench.world.lie(Lie::None);
    let outcome = bench.check(MatchMode::Items, &items).await.unwrap();
    assert_eq!(outcome.matches, 500);
    assert_eq!(
        bench.world.opened.lock().unwrap().last().unwrap().resume_at,
        0
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answer_for_another_group_is_refused() {
    let error = against(Lie::OtherGroup, MatchMode::Items).await;
    let MatchError::Session(SessionError::Talk(TalkError::Turn { expected })) = error else {
        panic!("{error}")
    };
    assert_eq!(expected, "the evaluation of the next batch");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chunks_of_another_root_are_refused() {
    let error = against(Lie::OtherChunks, MatchMode::Items).await;
    let MatchError::Download(DownloadError::Segment(SegmentFault::Format(fault))) = error else {
        panic!("{error}")
    };
    assert!(!fault.to_string().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chunks_without_end_are_cut_off_at_the_first_too_many() {
    for mode in [MatchMode::Items, MatchMode::Count] {
        let error = against(Lie::Endless, mode).await;
        let text = error.to_string();
        let is_cut = match mode {
            MatchMode::Items | MatchMode::Labels => matches!(
                error,
                MatchError::Download(DownloadError::Segment(SegmentFault::Format(
                    SegmentError::TooMuch { .. },
                )))
            ),
            MatchMode::Count => text.ends_with("expected the end of the session's artifact"),
        };
        assert!(is_cut, "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn centre_that_never_answers_is_given_up() {
    let error = against(Lie::Silent, MatchMode::Items).await;
    assert!(error.is_passing(), "{error}");
    assert!(matches!(
        error,
        MatchError::Session(SessionError::Talk(TalkError::Silent(_)))
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn centre_that_answers_a_little_each_time_is_given_up_all_the_same() {
    let bench = Bench::new(centre());
    bench.world.lie(Lie::Dribbles);
    let mut order = bench.order(MatchMode::Items, &list(0..9_000));
    // No single answer takes as long.
    order.patience.slack = Duration::from_millis(900);
    let error = bench.run(&order).await.err().unwrap();
    let MatchError::Session(SessionError::Talk(TalkError::Slow(_))) = error else {
        panic!("{error}")
    };
}

/// A manifest may be signed, logged and witnessed, and list more than a disk holds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn artifact_that_would_fill_the_disk_is_refused_before_anything_is_fetched_or_charged() {
    let bench = Bench::new(centre());
    for is_long in [true, false] {
        let mut manifest = bench.world.manifest(u64::from(is_long));
        manifest.bits = hashpact_protocol::psi::TagBits::of(1 << 29);
        let artifact = &mut manifest.groups[0].artifacts[0];
        match is_long {
            true => {
                artifact.segments[0].added = 1 << 29;
                artifact.items = (1 << 29) + 200;
            }
            false => {
                (artifact.segments[0].bytes, artifact.segments[0].chunks) = (9 << 30, 150_000);
                artifact.segments[0].added = 150_000;
                artifact.items = 150_200;
            }
        }
        let at = hashpact_keys::Timestamp::new(now().get() - 60);
        let published = bench.world.publish(&manifest, at, 4, true);
        *bench.world.published.lock().unwrap() = published;
        let fresh = Bench {
            world: Arc::clone(&bench.world),
            opener: ToWorld::new(&bench.world),
            folder: tempfile::TempDir::new().unwrap(),
            heard: Arc::default(),
        };
        let error = fresh.check(MatchMode::Items, &list(0..500)).await;
        let error = error.err().unwrap();
        assert!(matches!(error, MatchError::TooLarge { .. }), "{error}");
    }
    assert!(bench.world.fetched.lock().unwrap().is_empty());
    assert!(bench.world.opened.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chunks_left_by_a_lie_are_not_gone_on_with() {
    let held = |range| Held {
        segments: vec![(inputs(range), Vec::new())],
    };
    let groups = vec![held(0..30_000), held(0..400)];
    let bench = Bench::new(World::new(Algorithm::Md5, groups, 0));
    let (root, _) = bench.world.segment_of(0);
    let (_, foreign) = bench.world.segment_of(1);
    let folder = bench.folder.path().join("segments");
    std::fs::create_dir_all(&folder).unwrap();
    let length = u32::try_from(foreign.len()).unwrap().to_be_bytes();
    let left = folder.join(format!("{}.partial", hex::encode(root)));
    std::fs::write(&left, [&length[..], &foreign].concat()).unwrap();
    let error = bench.check(MatchMode::Items, &list(0..100)).await;
    let error = error.err().unwrap();
    assert!(
        matches!(error, MatchError::Download(DownloadError::Segment(_))),
        "{error}"
    );
    let outcome = bench.check(MatchMode::Items, &list(0..100)).await.unwrap();
    assert_eq!(outcome.matches, 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn items_that_were_not_answered_are_not_skipped() {
    for mode in [MatchMode::Items, MatchMode::Count] {
        let error = against(Lie::Skips, mode).await;
        assert!(
            matches!(error, MatchError::Session(SessionError::Opened(_))),
            "{error}"
        );
    }
}

/// A centre that seals one label wrongly must not see by a session that breaks off who asked about its item.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn label_that_opens_for_nobody_is_no_match_and_ends_no_session() {
    let held = Held {
        segments: vec![(inputs(0..600), Vec::new())],
    };
    let world = World::with_wrong_labels(Algorithm::Md5, vec![held], 0, inputs(7..8));
    let bench = Bench::new(world);
    let outcome = bench
        .check(MatchMode::Labels, &list(0..10_000))
        .await
        .unwrap();
    assert!(outcome.session.is_some());
    assert_eq!((outcome.matches, outcome.groups[0].unopened), (599, 1));
    assert!(!matched(&outcome, 0).contains(&7));
    assert_eq!(bench.world.opened.lock().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn count_under_a_key_of_the_manifest_is_refused() {
    let error = against(Lie::ListedKey, MatchMode::Count).await;
    assert!(
        matches!(error, MatchError::Session(SessionError::Opened(_))),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn count_in_which_an_item_comes_back_twice_is_refused() {
    let error = against(Lie::Repeats, MatchMode::Count).await;
    assert!(
        matches!(
            error,
            MatchError::Session(SessionError::Talk(TalkError::Turn { .. }))
        ),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn record_of_other_items_than_were_sent_is_refused() {
    for mode in [MatchMode::Items, MatchMode::Count] {
        let error = against(Lie::OtherRecord, mode).await;
        assert!(
            matches!(error, MatchError::Record("other items")),
            "{error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cached_segment_that_was_changed_on_the_disk_is_noticed_and_fetched_again() {
    let bench = Bench::new(centre());
    let items = list(0..500);
    bench.check(MatchMode::Items, &items).await.unwrap();
    for item in std::fs::read_dir(bench.folder.path().join("segments")).unwrap() {
        let path = item.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 0x80;
        std::fs::write(path, bytes).unwrap();
    }
    let mut errors = 0;
    let outcome = loop {
        match bench.check(MatchMode::Items, &items).await {
            Ok(outcome) => break outcome,
            Err(error) => {
                assert!(
                    matches!(error, MatchError::Segment(SegmentFault::File { .. })),
                    "{error}"
                );
                errors += 1;
                assert!(errors < 9);
            }
        }
    };
    assert!(errors > 0);
    assert_eq!(outcome.matches, 500);
}

/// Without it an older manifest would pass for the newest.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_seen_last_is_not_forgotten_by_spoiling_its_file_or_by_that_of_another_centre() {
    let bench = Bench::new(centre());
    let items = list(0..500);
    bench.check(MatchMode::Items, &items).await.unwrap();
    let seen = bench.folder.path().join("seen");
    let honest = std::fs::read(&seen).unwrap();
    let other = Bench::new(centre());
    other.check(MatchMode::Items, &items).await.unwrap();
    let elsewhere = std::fs::read(other.folder.path().join("seen")).unwrap();
    let mut changed = honest.clone();
    changed[30] ^= 1;
    for spoiled in [changed, honest[..20].to_vec(), Vec::new(), elsewhere] {
        std::fs::write(&seen, spoiled).unwrap();
        let error = bench.check(MatchMode::Items, &items).await.err().unwrap();
        assert!(matches!(error, MatchError::Cache(_)), "{error}");
    }
    std::fs::write(&seen, honest).unwrap();
    bench.check(MatchMode::Items, &items).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cached_items_that_were_changed_on_the_disk_are_asked_again() {
    let bench = Bench::new(centre());
    let items = list(0..500);
    bench.check(MatchMode::Items, &items).await.unwrap();
    let kept = bench.folder.path().join("0").join("0-1-items");
    let mut bytes = std::fs::read(&kept).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&kept, bytes).unwrap();
    let outcome = bench.check(MatchMode::Items, &items).await.unwrap();
    assert_eq!(
        (outcome.matches, outcome.session.unwrap().charged),
        (500, 500)
    );
}
