//! When something is published, and what a crash leaves.

use hashpact_protocol::evidence::Changed;
use hashpact_protocol::view::LogState;

use super::*;

#[test]
fn new_deltas_wait_and_what_is_taken_back_does_not() {
    let world = World::new();
    let config = SubsetConfig {
        quarantine_s: 3_600,
        ..prompt()
    };
    let mut world = world.again(config, Steps::default());
    let one = records(0..10, 1);
    world.allow("acme", &[(eu(), 0)]);
    world.delta(&eu(), &one, &[]);
    world.round();
    let mut member = Applied::default();
    member.catch_up(&world, ALL).unwrap();
    assert_eq!(member.held.len(), 0);
    // Taken back while it waits: never published.
    world.delta(&eu(), &[], &[ended(&one[0].1)]);
    world.pass(3_599);
    world.round();
    member.catch_up(&world, ALL).unwrap();
    assert_eq!(member.held.len(), 0);
    world.pass(1);
    world.round();
    member.catch_up(&world, ALL).unwrap();
    assert_eq!(member.held.len(), 9);
    world.delta(&eu(), &[], &[ended(&one[1].1)]);
    world.round();
    member.catch_up(&world, ALL).unwrap();
    assert_eq!(member.held.len(), 8);
}

#[test]
fn nothing_new_is_published_or_given_under_an_expired_roster_and_retractions_go_through() {
    let mut world = World::new();
    let one = records(0..10, 2);
    world.allow("acme", &[(eu(), 0)]);
    world.delta(&eu(), &one, &[]);
    world.round();
    let mut member = Applied::default();
    member.catch_up(&world, ALL).unwrap();
    assert_eq!(member.held.len(), 5);
    world.policy.lock().unwrap().expired = true;
    world.allow("acme", &[(eu(), 0), (eu(), 1)]);
    world.delta(&eu(), &records(20..30, 1), &[ended(&one[0].1)]);
    world.round();
    member.catch_up(&world, ALL).unwrap();
    assert_eq!(member.held.len(), 4);
    world.policy.lock().unwrap().expired = false;
    world.signals.change();
    world.round();
    member.catch_up(&world, ALL).unwrap();
    assert_eq!(member.held.len(), 4 + 5 + 10);
}

#[test]
fn what_a_fork_makes_void_is_withdrawn() {
    let mut world = World::new();
    world.allow("acme", &[(eu(), 0)]);
    world.delta(&eu(), &records(0..5, 1), &[]);
    world.delta(&eu(), &records(5..10, 1), &[]);
    world.round();
    let mut member = Applied::default();
    member.catch_up(&world, ALL).unwrap();
    let state = LogState {
        frozen: Some(2),
        witnessed_seq: Seq(1),
        ..world.store.log(&eu())
    };
    let origin = eu();
    commit(&world.store, vec![Write::State { origin, state }]);
    world.round();
    member.catch_up(&world, ALL).unwrap();
    let left: Vec<_> = records(0..5, 1)
        .iter()
        .map(|(_, it)| (eu(), it.entry))
        .collect();
    assert!(left.iter().all(|it| member.held.contains_key(it)));
    assert_eq!(member.held.len(), 5);
}

#[test]
fn what_is_recalled_is_withdrawn_and_what_is_purged_too() {
    let mut world = World::new();
    let one = records(0..12, 3);
    world.allow("acme", &[(eu(), 0), (eu(), 1), (eu(), 2)]);
    world.delta(&eu(), &one, &[]);
    world.round();
    let mut member = Applied::default();
    member.catch_up(&world, ALL).unwrap();
    assert_eq!(member.held.len(), 12);
    let (origin, seq) = (eu(), Seq(0));
    let narrow = Write::Narrow {
        origin: origin.clone(),
        seq,
        classes: vec![ClassId(1)],
    };
    let purge = Write::Purge {
        origin,
        seq,
        entries: vec![one[0].1.entry],
    };
    commit(&world.store, vec![narrow, purge]);
    world.round();
    member.catch_up(&world, ALL).unwrap();
    assert_eq!(member.held.len(), 7);
    let mut fresh = Applied::default();
    fresh.catch_up(&world, ALL).unwrap();
    assert_eq!(fresh.held, member.held);
}

#[test]
fn an_origins_entries_above_the_cap_wait_for_the_next_day_and_own_ones_do_not() {
    let config = SubsetConfig {
        cap_per_origin_day: 6,
        ..prompt()
    };
    let mut world = World::new().again(config, Steps::default());
    world.allow("acme", &[(eu(), 0), (us(), 0)]);
    world.delta(&eu(), &records(0..50, 1), &[]);
    world.round();
    let mut member = Applied::default();
    member.catch_up(&world, ALL).unwrap();
    assert_eq!(member.held.len(), 50);
    // The second centre's word is enough where its law is ours.
    world.publisher.sources.home = CentreSetup::numbered(1).jurisdiction;
    world.delta(&us(), &records(100..110, 1), &[]);
    world.delta(&us(), &records(110..120, 1), &[]);
    for held in [56, 62, 68, 70] {
        for _ in 0..3 {
            world.round();
        }
        member.catch_up(&world, ALL).unwrap();
        assert_eq!(member.held.len(), held);
        world.pass(86_400);
    }
    assert!(member.told.values().all(|told| *told == 1));
}

#[test]
fn what_is_said_of_a_log_has_its_entries_judged_again_once() {
    let mut world = World::new();
    world.allow("acme", &[(eu(), 0)]);
    world.delta(&eu(), &records(0..20, 1), &[]);
    world.round();
    let mut member = Applied::default();
    member.catch_up(&world, ALL).unwrap();
    assert_eq!(member.held.len(), 20);
    let next = world.ledger.read().unwrap().next;
    let changed = || Changed {
        logs: vec![eu()],
        entries: records(0..5, 1)
            .iter()
            .map(|(_, it)| (eu(), it.entry))
            .collect(),
        series: vec![],
    };
    world.signals.judge(changed());
    world.round();
    // Nothing was said that changes anything.
    assert_eq!(world.ledger.read().unwrap().next, next);
    assert_eq!(world.ledger.read().unwrap().waiting(1).unwrap(), []);
    // Its word is not enough any more: all of it goes.
    world.publisher.sources.home = CentreSetup::numbered(3).jurisdiction;
    world.signals.judge(changed());
    world.round();
    member.catch_up(&world, ALL).unwrap();
    assert_eq!(member.held, Held::new());
    world.publisher.sources.home = CentreSetup::numbered(0).jurisdiction;
    world.signals.judge(changed());
    world.round();
    member.catch_up(&world, ALL).unwrap();
    assert_eq!(member.held.len(), 20);
}

#[test]
fn a_crash_at_any_step_loses_nothing_and_publishes_nothing_twice() {
    let mut stop = 1;
    loop {
        let world = World::new();
        let one = records(0..30, 3);
        world.allow("acme", &[(eu(), 0), (eu(), 1)]);
        world.delta(&eu(), &one, &[]);
        world.delta(&eu(), &records(30..40, 2), &[ended(&one[0].1)]);
        let steps = Steps::stop_at(stop);
        let mut world = world.again(prompt(), steps);
        let crashed = world.publisher.round().is_err();
        let mut world = world.again(prompt(), Steps::default());
        world.round();
        let mut member = Applied::default();
        member.catch_up(&world, ALL).unwrap();
        let all = [placed(&eu(), &one), placed(&eu(), &records(30..40, 2))].concat();
        assert_eq!(member.held, world.expected("acme", &all), "step {stop}");
        let reading = world.ledger.read().unwrap();
        let rows = reading.rows(0).unwrap().count();
        assert_eq!(
            rows as u64, reading.next,
            "step {stop}: no number without a row"
        );
        if !crashed {
            break;
        }
        stop += 1;
    }
    assert!(stop > 4, "{stop}");
}

#[test]
fn what_was_taken_back_is_owed_until_it_is_acknowledged() {
    let mut world = World::new();
    let one = records(0..10, 2);
    world.allow("acme", &[(eu(), 0)]);
    world.delta(&eu(), &one, &[]);
    world.round();
    let now = hashpact_keys::Timestamp::new(world.now());
    let first = world.feed.changes(&acme(), None, ALL).unwrap();
    world.feed.acknowledge(&acme(), &first.cursor).unwrap();
    assert_eq!(world.feed.owing(now).unwrap(), []);
    // Of these one was never the member's.
    world.delta(&eu(), &[], &[ended(&one[0].1), ended(&one[1].1)]);
    world.round();
    let owing = world.feed.owing(now).unwrap();
    assert_eq!((owing.len(), owing[0].count), (1, 1));
    let next = world
        .feed
        .changes(&acme(), Some(&first.cursor), ALL)
        .unwrap();
    let said = world.feed.acknowledge(&acme(), &next.cursor).unwrap();
    assert_eq!(world.feed.owing(now).unwrap(), []);
    // What was said before does not count for less.
    assert_eq!(
        world.feed.acknowledge(&acme(), &first.cursor).unwrap(),
        said
    );
    world.allow("acme", &[]);
    world.round();
    assert_eq!(world.feed.owing(now).unwrap()[0].count, 4);
}

/// A bit of a stored body turns.
fn damage(world: &World, body: &str) {
    let path = world.dir.path().join("bodies").join(body);
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    std::fs::write(&path, bytes).unwrap();
}

#[test]
fn a_damaged_body_of_one_log_keeps_no_other_logs_retractions_from_members() {
    let mut world = World::new();
    world.publisher.sources.home = CentreSetup::numbered(1).jurisdiction;
    world.allow("acme", &[(us(), 0)]);
    let one = records(100..104, 1);
    world.delta(&eu(), &records(0..5, 1), &[]);
    world.delta(&us(), &one, &[]);
    world.round();
    let mut member = Applied::default();
    member.catch_up(&world, ALL).unwrap();
    assert_eq!(member.held.len(), 4);
    world.delta(&eu(), &[], &[ended(&record(1, 1))]);
    damage(&world, "eu.example_eu_1/0/1.body");
    world.delta(&us(), &records(104..106, 1), &[ended(&one[1].1)]);
    assert!(world.publisher.round().is_err(), "it is told");
    member.catch_up(&world, ALL).unwrap();
    assert_eq!(member.held.len(), 5);
    assert!(!member.held.contains_key(&(us(), one[1].1.entry)));
}

#[test]
fn a_damaged_section_stops_no_member_behind_it() {
    let mut world = World::new();
    world.allow("acme", &[(eu(), 0)]);
    world.delta(&eu(), &records(0..5, 1), &[]);
    let more = records(5..9, 1);
    world.delta(&eu(), &more, &[]);
    world.round();
    let mut member = Applied::default();
    member.catch_up(&world, ALL).unwrap();
    world.delta(&eu(), &[], &[ended(&more[0].1)]);
    world.round();
    let from = world.now() - 100;
    // Nothing of it is in memory any more.
    let world = world.again(prompt(), Steps::default());
    for body in ["0.body", "2.body"] {
        damage(&world, &format!("eu.example_eu_1/0/{body}"));
    }
    let mut world = world;
    assert!(world.publisher.round().is_err(), "it is told");
    member.catch_up(&world, ALL).unwrap();
    assert_eq!(member.held.len(), 8);
    let mut fresh = Applied::default();
    fresh.catch_up(&world, ALL).unwrap();
    assert_eq!(fresh.held.len(), 3);
    let to = world.now() + 60;
    let window = world
        .feed
        .window_at(&acme(), (from, to), None, 100, world.now());
    assert_eq!(window.unwrap().rows.len(), 9);
}
