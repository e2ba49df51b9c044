//! By windows of seconds: exactly once, for ever.

use proptest::prelude::*;

use super::super::feed::{What, WindowKey};
use super::super::ledger::{ROWS_A_SECOND, State};
use super::*;

/// A client of windows: it reads up to the clock and goes on from there.
#[derive(Default)]
struct Client {
    from: u64,
    held: Held,
    times: BTreeMap<(Origin, EntryId), u64>,
}

impl Client {
    fn read(&mut self, world: &World, to: u64, size: usize) {
        let mut after: Option<WindowKey> = None;
        loop {
            let window = (self.from, to);
            let page = world
                .feed
                .window_at(&acme(), window, after, size, world.now());
            let page = page.unwrap();
            assert!(page.rows.len() <= size);
            for row in page.rows {
                assert!((self.from..to).contains(&row.second));
                let key = (origin_of(&row.origin), row.entry);
                *self.times.entry(key.clone()).or_default() += 1;
                match row.what {
                    What::Live(found) => {
                        assert_eq!(found.record.entry, row.entry);
                        self.held.insert(key, row.revision);
                    }
                    What::Gone => drop(self.held.remove(&key)),
                }
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        self.from = to;
    }
}

fn origin_of(centre: &hashpact_keys::CentreId) -> Origin {
    [eu(), us()]
        .into_iter()
        .find(|it| it.centre() == centre)
        .unwrap()
}

#[test]
fn a_window_in_the_future_is_refused_and_empty_ones_are_cheap_and_empty() {
    let mut world = World::new();
    world.allow("acme", &[(eu(), 0)]);
    world.delta(&eu(), &records(0..10, 1), &[]);
    world.round();
    let now = world.now();
    let window = |from, to| world.feed.window_at(&acme(), (from, to), None, 100, now);
    let refused = window(now, now + 61);
    assert!(matches!(refused, Err(FeedError::Future { .. })));
    assert_eq!(window(0, now - 500).unwrap().rows.len(), 0);
    assert_eq!(window(now + 5, now + 5).unwrap().rows.len(), 0);
    assert_eq!(window(now + 9, now).unwrap().rows.len(), 0);
    assert_eq!(window(now - 5, now + 1).unwrap().rows.len(), 10);
}

#[test]
fn no_row_comes_into_a_window_that_was_answered() {
    let mut world = World::new();
    world.allow("acme", &[(eu(), 0), (eu(), 1)]);
    world.round();
    let mut client = Client::default();
    let now = world.now();
    // As far ahead as is allowed, and the clock stands still.
    client.read(&world, now + 60, 10);
    world.delta(&eu(), &records(0..10, 2), &[]);
    world.allow("acme", &[(eu(), 0), (eu(), 1), (eu(), 2)]);
    world.round();
    let before = world.feed.window_at(&acme(), (0, now + 60), None, 100, now);
    assert_eq!(before.unwrap().rows.len(), 0);
    world.pass(60);
    client.read(&world, now + 120, 3);
    assert_eq!(client.held.len(), 10);
}

#[test]
fn no_deletion_falls_into_a_window_that_was_answered_before_a_restart() {
    let mut world = World::new();
    let one = records(0..10, 1);
    world.allow("acme", &[(eu(), 0)]);
    world.delta(&eu(), &one, &[]);
    world.round();
    world.pass(100);
    let mut client = Client::default();
    // The clock of this client is fast.
    client.read(&world, world.now() + 25, 100);
    assert_eq!(client.held.len(), 10);
    let mut world = world.again(prompt(), Steps::default());
    world.pass(3);
    world.delta(&eu(), &[], &[ended(&one[4].1)]);
    world.round();
    world.pass(200);
    client.read(&world, world.now(), 100);
    assert_eq!(client.held.len(), 9);
    // The clock goes back over a restart, and nothing was written since the answer.
    let before = world.now();
    let mut world = world.again(prompt(), Steps::default());
    world.clock.store(before - 100, Ordering::SeqCst);
    world.delta(&eu(), &[], &[ended(&one[5].1)]);
    world.round();
    world.clock.store(before + 200, Ordering::SeqCst);
    client.read(&world, world.now(), 100);
    assert_eq!(client.held.len(), 8);
}

#[test]
fn seconds_never_go_back_and_no_more_than_a_thousand_rows_share_one() {
    let mut world = World::new();
    world.allow("acme", &[(eu(), 0)]);
    let many = records(0..2_500, 1);
    world.delta(&eu(), &many, &[]);
    world.round();
    let ends: Vec<_> = many[..600].iter().map(|(_, it)| ended(it)).collect();
    world.delta(&eu(), &[], &ends);
    world.round();
    // A clock that goes back.
    world.clock.fetch_sub(500, Ordering::SeqCst);
    let mut world = world.again(prompt(), Steps::default());
    world.delta(&eu(), &records(3_000..3_010, 1), &[]);
    world.round();
    let reading = world.ledger.read().unwrap();
    let mut seconds: BTreeMap<u64, u64> = BTreeMap::new();
    let (mut puts, mut gone) = (0, 0);
    for item in reading.rows(0).unwrap() {
        let (_, row) = item.unwrap();
        *seconds.entry(row.second).or_default() += 1;
        let last = match row.state {
            State::Live => &mut puts,
            State::Retracted | State::Withdrawn => &mut gone,
        };
        assert!(row.second >= *last);
        *last = row.second;
    }
    assert!(seconds.values().all(|rows| *rows <= ROWS_A_SECOND));
    assert!(seconds.len() > 2);
    // What is taken back does not queue behind what was put.
    assert!(gone < puts);
}

#[test]
fn access_to_a_large_class_is_told_over_many_seconds() {
    let mut world = World::new();
    world.allow("acme", &[]);
    world.delta(&eu(), &records(0..2_500, 1), &[]);
    world.round();
    world.pass(1_000);
    world.allow("acme", &[(eu(), 0)]);
    world.round();
    let mut client = Client::default();
    client.read(&world, world.now(), 500);
    assert_eq!(client.held.len(), 0);
    world.pass(10);
    client.read(&world, world.now() - 9, 500);
    assert_eq!(client.held.len(), 1_000);
    client.read(&world, world.now(), 500);
    assert_eq!(client.held.len(), 2_500);
    assert!(client.times.values().all(|times| *times == 1));
}

#[test]
fn what_is_retracted_before_access_is_lost_is_told_after_it_too() {
    let mut world = World::new();
    world.allow("acme", &[(eu(), 0)]);
    let list = records(0..10, 1);
    world.delta(&eu(), &list, &[]);
    world.round();
    world.pass(100);
    let mut client = Client::default();
    client.read(&world, world.now(), 500);
    assert_eq!(client.held.len(), 10);
    // All of this happens before the client asks again.
    world.pass(100);
    world.delta(&eu(), &[], &[ended(&list[0].1), ended(&list[1].1)]);
    world.round();
    world.pass(100);
    world.allow("acme", &[]);
    world.round();
    world.pass(100);
    client.read(&world, world.now(), 500);
    assert_eq!(client.held.len(), 0);
}

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    Put(u64, u16),
    Again(u64, u16),
    End(u64),
    Allow(Vec<u16>),
    Pass(u64),
    Read(u64, usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0_u64..30, 0_u16..3).prop_map(|(n, class)| Step::Put(n, class)),
        (0_u64..30, 0_u16..3).prop_map(|(n, class)| Step::Again(n, class)),
        (0_u64..30).prop_map(Step::End),
        prop::collection::vec(0_u16..3, 0..3).prop_map(Step::Allow),
        (1_u64..90).prop_map(Step::Pass),
        (0_u64..60, 1_usize..5).prop_map(|(ahead, size)| Step::Read(ahead, size)),
    ];
    prop::collection::vec(step, 1..25)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]
    #[test]
    fn a_client_of_windows_and_one_of_cursors_end_with_what_the_filter_says(steps in steps()) {
        let mut world = World::new();
        let mut all: Vec<(Origin, u16, Record)> = Vec::new();
        let (mut client, mut member) = (Client::default(), Applied::default());
        world.round();
        for step in steps {
            match step {
                Step::Put(n, class) | Step::Again(n, class) => {
                    let last = all.iter().filter(|(_, _, it)| it.entry == record(n, 1).entry).map(|it| it.2.revision.0).max();
                    let next = record(n, last.unwrap_or(0) + 1);
                    if last.is_some() {
                        world.supersede(&next);
                    }
                    world.delta(&eu(), &[(class, next.clone())], &[]);
                    // A record that changes class takes the place of the earlier revision.
                    all.retain(|(_, _, it)| it.entry != next.entry);
                    all.push((eu(), class, next));
                }
                Step::End(n) => {
                    let last = all.iter().find(|(_, _, it)| it.entry == record(n, 1).entry).cloned();
                    if let Some((_, _, last)) = last {
                        world.delta(&eu(), &[], &[ended(&last)]);
                    }
                }
                Step::Allow(classes) => {
                    let classes: Vec<_> = classes.iter().map(|class| (eu(), *class)).collect();
                    world.allow("acme", &classes);
                }
                Step::Pass(seconds) => world.pass(seconds),
                Step::Read(ahead, size) => {
                    let to = (world.now() + ahead).max(client.from);
                    client.read(&world, to, size);
                    let bound = Bound { records: size, bytes: usize::MAX };
                    member.page(&world, &acme(), bound).unwrap();
                }
            }
            world.round();
        }
        world.pass(200);
        client.read(&world, world.now(), 3);
        member.catch_up(&world, ALL).unwrap();
        let expected = world.expected("acme", &all);
        prop_assert_eq!(&client.held, &expected);
        prop_assert_eq!(&member.held, &expected);
    }
}
