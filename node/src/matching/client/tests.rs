//! The asking side against a centre that really evaluates, honest and not.

mod bad;
mod manifests;
mod world;

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hashpact_protocol::fingerprint::Algorithm;
use hashpact_protocol::labels::Purpose;
use hashpact_protocol::policy::MatchMode;
use hashpact_protocol::psi::GroupId;
use hashpact_protocol::testing::keys::CentreSetup;
use tempfile::TempDir;

use super::list::{Items, List};
use super::question::Question;
use super::*;
use world::{Held, Lie, ToWorld, World, label, now};

/// The `n`th value of the tests.
fn value(n: u32) -> String {
    blake3::hash(&n.to_be_bytes()).to_hex()[..32].to_owned()
}

fn input(n: u32) -> Vec<u8> {
    [vec![1], hex::decode(value(n)).unwrap()].concat()
}

fn inputs(range: std::ops::Range<u32>) -> Vec<Vec<u8>> {
    range.map(input).collect()
}

/// A list of these values, one a line.
fn list(values: impl IntoIterator<Item = u32>) -> Arc<Items> {
    let lines: Vec<String> = values.into_iter().map(value).collect();
    let list = List::read(lines.join("\n").as_bytes(), None, &mut |_| true).unwrap();
    Arc::new(list.into_types().next().unwrap())
}

/// A centre of two groups: 0 holds 0..600, and 1 holds 500..1,000 without 700..750.
fn centre() -> World {
    let first = Held {
        segments: vec![(inputs(0..400), Vec::new()), (inputs(400..600), Vec::new())],
    };
    let second = Held {
        segments: vec![
            (inputs(500..1_000), Vec::new()),
            (Vec::new(), inputs(700..760)),
            (inputs(750..760), Vec::new()),
        ],
    };
    World::new(Algorithm::Md5, vec![first, second], 0)
}

struct Bench {
    world: Arc<World>,
    opener: ToWorld,
    folder: TempDir,
    heard: Arc<Mutex<Vec<Progress>>>,
}

impl Bench {
    fn new(world: World) -> Self {
        let world = Arc::new(world);
        Self {
            opener: ToWorld::new(&world),
            world,
            folder: TempDir::new().unwrap(),
            heard: Arc::default(),
        }
    }

    fn order(&self, mode: MatchMode, items: &Arc<Items>) -> Order {
        Order {
            roster: Arc::new(self.world.roster.roster().clone()),
            centre: self.world.setup.id.clone(),
            asker: Some(CentreSetup::numbered(2).id),
            mode,
            purpose: Purpose::Detect,
            items: Arc::clone(items),
            pad: false,
            patience: Patience {
                answer: Duration::from_secs(25),
                artifact: Duration::from_secs(25),
                write: Duration::from_secs(25),
                slack: Duration::from_secs(25),
                pause: Duration::from_millis(1),
                retries: 2,
            },
            clock: now,
            lanes: 2,
        }
    }

    async fn run(&self, order: &Order) -> Result<Outcome, MatchError> {
        let key = CacheKey::derive(&[5; 32]);
        let cache = Arc::new(Cache::open(self.folder.path(), &key).unwrap());
        let heard = Arc::clone(&self.heard);
        let hear: Hear = Arc::new(move |step| heard.lock().unwrap().push(step));
        run(&self.opener, &cache, order, &hear).await
    }

    async fn check(&self, mode: MatchMode, items: &Arc<Items>) -> Result<Outcome, MatchError> {
        self.run(&self.order(mode, items)).await
    }

    fn evaluated(&self) -> u64 {
        self.world.evaluated.load(Ordering::Relaxed)
    }

    fn charged(&self) -> u64 {
        self.world.charged.load(Ordering::Relaxed)
    }
}

fn matched(outcome: &Outcome, group: u32) -> Vec<u32> {
    let group = outcome
        .groups
        .iter()
        .find(|found| found.id == GroupId(group));
    group
        .unwrap()
        .matched
        .iter()
        .map(|(item, _)| *item)
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn items_finds_exactly_what_each_group_holds() {
    let bench = Bench::new(centre());
    // Line n + 1 is value n + 450.
    let items = list(450..5_050);
    let outcome = bench.check(MatchMode::Items, &items).await.unwrap();
    assert_eq!(matched(&outcome, 0), (0..150).collect::<Vec<u32>>());
    let second: Vec<u32> = (500..1_000)
        .filter(|n| !(700..750).contains(n))
        .map(|n| n - 450)
        .collect();
    assert_eq!(matched(&outcome, 1), second);
    assert_eq!((outcome.matches, outcome.items), (500, 4_600));
    let session = outcome.session.as_ref().unwrap();
    assert_eq!(
        (session.charged, session.pads, session.used),
        (4_600, 0, 4_600)
    );
    let pieces = Found::pieces(&outcome, &items);
    assert_eq!(pieces.len(), 2);
    assert_eq!(pieces[0].lines, (1..151).collect::<Vec<u32>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn labels_come_with_each_match_and_open_for_nothing_else() {
    let bench = Bench::new(centre());
    let items = list((0..100).chain(900..1_100));
    let outcome = bench.check(MatchMode::Labels, &items).await.unwrap();
    assert_eq!(matched(&outcome, 0), (0..100).collect::<Vec<u32>>());
    assert_eq!(matched(&outcome, 1), (100..200).collect::<Vec<u32>>());
    for group in &outcome.groups {
        let expected = Some(label(group.id));
        assert!(group.matched.iter().all(|(_, label)| *label == expected));
    }
    let pieces = Found::pieces(&outcome, &items);
    let label = pieces[0].label.as_deref().unwrap();
    assert!(label.starts_with("state=assessed severity="), "{label}");
    assert!(label.ends_with("depiction=real minor=certain"), "{label}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn count_is_that_of_the_union_of_the_groups() {
    let bench = Bench::new(centre());
    let items = list(450..5_050);
    let outcome = bench.check(MatchMode::Count, &items).await.unwrap();
    assert_eq!(outcome.matches, 500);
    assert!(outcome.groups.iter().all(|group| group.matched.is_empty()));
    assert!(Found::pieces(&outcome, &items).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_evaluated_in_the_epoch_is_neither_asked_nor_charged_again() {
    let bench = Bench::new(centre());
    let items = list(0..1_000);
    let first = bench.check(MatchMode::Items, &items).await.unwrap();
    let (evaluated, charged) = (bench.evaluated(), bench.charged());
    let again = bench.check(MatchMode::Items, &items).await.unwrap();
    assert!(again.session.is_none());
    assert_eq!((bench.evaluated(), bench.charged()), (evaluated, charged));
    for group in [0, 1] {
        assert_eq!(matched(&again, group), matched(&first, group));
    }
    // A longer list asks about what is new in it alone.
    let longer = bench
        .check(MatchMode::Items, &list(0..1_200))
        .await
        .unwrap();
    assert_eq!(longer.session.unwrap().charged, 200);
    assert_eq!(longer.matches, first.matches);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_segment_is_matched_without_a_new_evaluation() {
    let old = centre();
    let mut groups = old.groups.clone();
    groups[0]
        .segments
        .push((inputs(2_000..2_050), inputs(0..10)));
    let mut bench = Bench::new(old);
    let items = list((0..100).chain(2_000..2_100));
    let before = bench.check(MatchMode::Items, &items).await.unwrap();
    assert_eq!(matched(&before, 0).len(), 100);
    let newer = World::new(Algorithm::Md5, groups, 1);
    bench.world = Arc::new(newer);
    bench.opener = ToWorld::new(&bench.world);
    let after = bench.check(MatchMode::Items, &items).await.unwrap();
    assert_eq!(bench.evaluated(), 0);
    let expected: Vec<u32> = (10..150).collect();
    assert_eq!(matched(&after, 0), expected);
    // One of the five segments that the manifest lists is new.
    let fetched: u64 = after.groups.iter().map(|group| group.held).sum();
    assert_eq!((after.manifest, fetched), (1, 640 + 450));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_was_cut_goes_on_in_the_same_run() {
    let bench = Bench::new(centre());
    bench.world.lie(Lie::CutAfter(1));
    let items = list(0..10_000);
    let outcome = bench.check(MatchMode::Items, &items).await.unwrap();
    assert_eq!((outcome.matches, bench.charged()), (950, 10_000));
    let opened = bench.world.opened.lock().unwrap().clone();
    assert_eq!(opened.len(), 2);
    assert_eq!(opened[0].session, opened[1].session);
    assert_eq!(opened[1].resume_at, 4_096);
    let retried = bench
        .heard
        .lock()
        .unwrap()
        .iter()
        .any(|step| step.phase == Phase::Retry);
    assert!(retried);
}

/// Whoever knows the list, or that it is sorted, must not learn from the place of a point which item it is.
#[test]
fn order_of_the_list_is_not_the_order_of_what_is_asked() {
    let items = list(0..5_000);
    let ask = |seed: u8| -> Vec<Vec<u8>> {
        let picks = (0..5_000).collect();
        let question = Question::new(Arc::clone(&items), picks, 500, [seed; 32].into());
        let batches = 0..question.batches();
        let inputs = batches.flat_map(|batch| {
            question.with_inputs(batch, |inputs| {
                inputs.map(<[u8]>::to_vec).collect::<Vec<_>>()
            })
        });
        inputs.collect()
    };
    let asked = ask(1);
    let listed: BTreeSet<Vec<u8>> = inputs(0..5_000).into_iter().collect();
    let places = asked.iter().zip(inputs(0..5_000));
    assert!(places.filter(|(asked, listed)| *asked == listed).count() < 20);
    // Random items among them, and each item once.
    let distinct: BTreeSet<&Vec<u8>> = asked.iter().collect();
    assert_eq!((asked.len(), distinct.len()), (5_500, 5_500));
    assert!(listed.iter().all(|input| distinct.contains(input)));
    let random = asked[..2_750]
        .iter()
        .filter(|input| !listed.contains(*input));
    assert!((150..350).contains(&random.count()));
    // A session that was cut goes on with the same points; another one has another order.
    assert_eq!(ask(1), asked);
    let same = ask(2).iter().zip(&asked).filter(|(a, b)| a == b).count();
    assert!(same < 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_that_was_cut_goes_on_behind_what_came() {
    let held = Held {
        segments: vec![(inputs(0..30_000), Vec::new())],
    };
    // Gone on with in the same run, and by another one.
    for retries in [2, 0] {
        let bench = Bench::new(World::new(Algorithm::Md5, vec![held.clone()], 0));
        bench.world.lie(Lie::CutChunks(1));
        let items = list(0..100);
        let mut order = bench.order(MatchMode::Items, &items);
        order.patience.retries = retries;
        if retries == 0 {
            let cut = bench.run(&order).await.err().unwrap();
            assert!(cut.is_passing(), "{cut}");
        }
        let outcome = bench.run(&order).await.unwrap();
        assert_eq!((outcome.matches, bench.charged()), (100, 100));
        assert_eq!(*bench.world.fetched.lock().unwrap(), [0, 1]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_was_cut_goes_on_when_it_is_repeated_and_is_not_charged_again() {
    let bench = Bench::new(centre());
    bench.world.lie(Lie::CutAfter(2));
    let items = list(0..10_000);
    let mut order = bench.order(MatchMode::Items, &items);
    order.patience.retries = 0;
    let cut = bench.run(&order).await.err().unwrap();
    assert!(cut.is_passing() && !cut.is_no(), "{cut}");
    let before = bench.evaluated();
    let outcome = bench.run(&order).await.unwrap();
    assert_eq!((outcome.matches, bench.charged()), (950, 10_000));
    let opened = bench.world.opened.lock().unwrap().clone();
    assert_eq!(opened[0].session, opened[1].session);
    assert_eq!(opened[1].resume_at, 8_192);
    // 1,808 items were left, for two groups.
    assert_eq!(bench.evaluated() - before, 2 * 1_808);
    assert_eq!(outcome.session.unwrap().charged, 10_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_count_that_was_cut_goes_on_behind_what_arrived_and_is_not_charged_again() {
    // Cut within the items and at their end; gone on with in the same run, and by another one.
    for (lie, retries) in [
        (Lie::CutAfter(1), 2),
        (Lie::CutAtFinish, 2),
        (Lie::CutAfter(2), 0),
        (Lie::CutAtFinish, 0),
    ] {
        let bench = Bench::new(centre());
        bench.world.lie(lie);
        let items = list(0..10_000);
        let mut order = bench.order(MatchMode::Count, &items);
        order.patience.retries = retries;
        if retries == 0 {
            let cut = bench.run(&order).await.err().unwrap();
            assert!(cut.is_passing(), "{cut}");
        }
        let outcome = bench.run(&order).await.unwrap();
        assert_eq!((outcome.matches, bench.charged()), (950, 10_000), "{lie:?}");
        let opened = bench.world.opened.lock().unwrap().clone();
        assert_eq!(opened.len(), 2);
        assert_eq!(opened[0].session, opened[1].session);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_the_centre_forgot_is_begun_anew_and_not_clung_to() {
    let bench = Bench::new(centre());
    let items = list(0..5_000);
    for mode in [MatchMode::Items, MatchMode::Count] {
        bench.world.lie(Lie::CutAfter(1));
        let mut order = bench.order(mode, &items);
        order.patience.retries = 0;
        assert!(bench.run(&order).await.err().unwrap().is_passing());
        bench.world.lie(Lie::Forgets);
        let gone = bench.run(&order).await.err().unwrap();
        assert!(gone.to_string().contains("begin a new one"), "{gone}");
        assert_eq!(bench.run(&order).await.unwrap().matches, 950);
    }
    let opened = bench.world.opened.lock().unwrap().clone();
    let sessions: Vec<_> = opened.iter().map(|ask| ask.session).collect();
    assert_eq!((sessions[0], sessions[3]), (sessions[1], sessions[4]));
    assert!(sessions[1] != sessions[2] && sessions[4] != sessions[5]);
    assert_eq!((opened[2].resume_at, opened[5].resume_at), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_short_list_is_refused_here_or_filled_up_with_random_items() {
    let bench = Bench::new(centre());
    let items = list(0..7);
    let short = bench.check(MatchMode::Items, &items).await.err().unwrap();
    assert!(
        matches!(short, MatchError::TooFew { new: 7, min: 100 }),
        "{short}"
    );
    assert!(short.is_no());
    assert_eq!(bench.charged(), 0);
    let mut order = bench.order(MatchMode::Items, &items);
    order.pad = true;
    let outcome = bench.run(&order).await.unwrap();
    let session = outcome.session.unwrap();
    assert_eq!(
        (session.charged, session.pads, outcome.matches),
        (100, 93, 7)
    );
    order.mode = MatchMode::Count;
    let counted = bench.run(&order).await.unwrap();
    assert_eq!(
        (counted.matches, counted.session.unwrap().charged),
        (7, 1_000)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_quota_is_told_in_the_words_of_the_centre() {
    let mut world = centre();
    world.per_day = 1_000;
    let bench = Bench::new(world);
    let refused = bench
        .check(MatchMode::Items, &list(0..2_000))
        .await
        .err()
        .unwrap();
    assert!(refused.is_no() && !refused.is_passing());
    let text = refused.to_string();
    assert!(
        text.contains("1,000 of 1,000 are used") && !text.contains('\u{1b}'),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_fingerprint_is_in_what_travels_or_in_the_cache() {
    let bench = Bench::new(centre());
    let items = list(0..300);
    for mode in [MatchMode::Items, MatchMode::Labels] {
        bench.check(mode, &items).await.unwrap();
    }
    let mut seen = bench.opener.tap.lock().unwrap().clone();
    assert!(seen.len() > 100_000);
    let mut folders = vec![bench.folder.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for item in std::fs::read_dir(folder).unwrap() {
            let path = item.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => seen.extend(std::fs::read(path).unwrap()),
            }
        }
    }
    let windows: BTreeSet<&[u8]> = seen.windows(16).collect();
    for n in 0..300 {
        let raw = hex::decode(value(n)).unwrap();
        assert!(!windows.contains(&raw[..]) && !windows.contains(&value(n).as_bytes()[..16]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_chance_it_agrees_with_a_plain_intersection() {
    let mut seed = 1_u64;
    let mut random = move |below: u64| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        u32::try_from((seed >> 33) % below).unwrap()
    };
    for _ in 0..12 {
        let mut held: BTreeSet<u32> = (0..random(300)).map(|_| random(500)).collect();
        held.insert(501);
        let asked: BTreeSet<u32> = (0..150 + random(200))
            .map(|_| random(500))
            .chain(600..700)
            .collect();
        let world = World::new(
            Algorithm::Md5,
            vec![Held {
                segments: vec![(held.iter().copied().map(input).collect(), Vec::new())],
            }],
            0,
        );
        let bench = Bench::new(world);
        let items = list(asked.iter().copied());
        let outcome = bench.check(MatchMode::Items, &items).await.unwrap();
        let expected: Vec<u32> = (0..)
            .zip(&asked)
            .filter(|(_, n)| held.contains(n))
            .map(|(at, _)| at)
            .collect();
        assert_eq!(matched(&outcome, 0), expected);
        let mut order = bench.order(MatchMode::Count, &items);
        order.pad = true;
        let counted = bench.run(&order).await.unwrap();
        assert_eq!(counted.matches, expected.len() as u64);
    }
}
