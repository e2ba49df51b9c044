//! What others say of an entry, and what becomes of it.

use hashpact_protocol::assess::Subject;
use hashpact_protocol::evidence::{Changed, Dispute, Field, Hold, HoldCode, OptIn, Surge};
use hashpact_protocol::labels::State as Assessment;
use hashpact_protocol::lists::ClosedList as _;

use super::*;

#[test]
fn an_entry_that_is_disputed_is_marked_and_one_that_two_countries_dispute_goes() {
    let mut world = World::new();
    let one = records(0..4, 1);
    world.allow("acme", &[(eu(), 0)]);
    world.delta(&eu(), &one, &[]);
    world.round();
    let mut member = Applied::default();
    member.catch_up(&world, ALL).unwrap();
    assert!(member.marks.is_empty());
    let contested = &one[2].1;
    let dispute = |by| {
        Object::Dispute(Dispute {
            by,
            subject: Subject {
                origin: eu(),
                entry: contested.entry,
                revision: contested.revision,
                leaf: [1; 32],
            },
            field: Field::ContentClass,
            code: Code::NotCsam,
        })
    };
    let changed = || Changed {
        entries: vec![(eu(), contested.entry)],
        ..Changed::default()
    };
    world.say(&dispute(by(1)), 1);
    world.signals.judge(changed());
    world.round();
    member.catch_up(&world, ALL).unwrap();
    assert_eq!(member.held.len(), 4);
    assert_eq!(
        member.marks,
        BTreeMap::from([(contested.entry, (true, false))])
    );
    world.say(&dispute(by(2)), 2);
    world.signals.judge(changed());
    world.round();
    member.catch_up(&world, ALL).unwrap();
    assert_eq!(member.held.len(), 3);
    assert!(!member.held.contains_key(&(eu(), contested.entry)));
}

#[test]
fn a_held_entry_is_not_there_and_comes_back_when_the_hold_is_over() {
    let mut world = World::new();
    let one = records(0..4, 1);
    world.allow("acme", &[(eu(), 0)]);
    world.delta(&eu(), &one, &[]);
    world.round();
    let mut member = Applied::default();
    member.catch_up(&world, ALL).unwrap();
    let (from, until) = (world.now() - 10, world.now() + 1_000);
    let hold = ordered(&Order::Hold(Hold {
        by: by_order(from),
        entries: BTreeMap::from([(eu(), vec![one[1].1.entry])]),
        series: vec![],
        code: HoldCode::VALUES[0].0,
        from: Timestamp::new(from),
        until: Timestamp::new(until),
    }));
    commit(&world.store, evidence::kept(&hold).unwrap());
    let changed = || Changed {
        entries: vec![(eu(), one[1].1.entry)],
        ..Changed::default()
    };
    world.signals.judge(changed());
    world.round();
    member.catch_up(&world, ALL).unwrap();
    assert_eq!(member.held.len(), 3);
    let mut fresh = Applied::default();
    fresh.catch_up(&world, ALL).unwrap();
    assert_eq!(fresh.held, member.held);
    world.pass(2_000);
    world.signals.judge(changed());
    world.round();
    member.catch_up(&world, ALL).unwrap();
    assert_eq!(member.held.len(), 4);
}

#[test]
fn entries_from_abroad_come_with_an_opt_in_go_with_its_end_and_exceed_the_cap_by_order_only() {
    let config = SubsetConfig {
        cap_per_origin_day: 6,
        ..prompt()
    };
    let mut world = World::new().again(config, Steps::default());
    world.allow("acme", &[(us(), 0), (us(), 1)]);
    world.delta(&us(), &records(0..20, 2), &[]);
    world.round();
    let mut member = Applied::default();
    member.catch_up(&world, ALL).unwrap();
    assert_eq!(member.held.len(), 0);
    let changed = || Changed {
        logs: vec![us()],
        ..Changed::default()
    };
    let now = world.now();
    let opt_in = ordered(&Order::OptIn(OptIn {
        by: by_order(now),
        origin: us(),
        classes: Some(vec![ClassId(0)]),
        until: Timestamp::new(now + 5_000),
    }));
    commit(&world.store, evidence::kept(&opt_in).unwrap());
    world.signals.judge(changed());
    world.round();
    member.catch_up(&world, ALL).unwrap();
    assert_eq!(member.held.len(), 6);
    let surge = ordered(&Order::Surge(Surge {
        by: by_order(now),
        origin: us(),
        day: u32::try_from(now / 86_400).unwrap(),
        up_to: 8,
    }));
    commit(&world.store, evidence::kept(&surge).unwrap());
    world.round();
    member.catch_up(&world, ALL).unwrap();
    assert_eq!(member.held.len(), 8);
    world.pass(5_001);
    world.signals.judge(changed());
    world.round();
    member.catch_up(&world, ALL).unwrap();
    assert_eq!(member.held, Held::new());
}

#[test]
fn an_entry_that_its_origin_downgrades_to_disputed_does_not_stay_published_as_it_was() {
    let mut world = World::new();
    let mut writes = grown(&world.store, &eu(), &[vec![9, 9]], &[4]);
    for write in &mut writes {
        if let Write::Log { classes, .. } = write {
            let stated = classes.iter_mut().map(|(_, labels)| labels);
            stated.for_each(|labels| labels.state = Assessment::Disputed);
        }
    }
    commit(&world.store, writes);
    let one = records(0..4, 1);
    world.allow("acme", &[(eu(), 0)]);
    world.delta(&eu(), &one, &[]);
    world.round();
    let mut member = Applied::default();
    member.catch_up(&world, ALL).unwrap();
    assert_eq!(member.held.len(), 4);
    // Nothing is retracted: the next revision says less.
    world.delta(&eu(), &[(4, record(2, 2))], &[]);
    world.round();
    member.catch_up(&world, ALL).unwrap();
    assert_eq!(member.held.len(), 3);
    assert!(!member.held.contains_key(&(eu(), one[2].1.entry)));
    // Nor does the first revision come back when all is judged again, not for a moment.
    let next = world.ledger.read().unwrap().next;
    let mut world = world.again(prompt(), Steps::default());
    world.round();
    assert_eq!(world.ledger.read().unwrap().next, next);
    let mut fresh = Applied::default();
    fresh.catch_up(&world, ALL).unwrap();
    assert_eq!(fresh.held, member.held);
}

#[test]
fn a_hold_that_was_told_to_nobody_before_a_kill_takes_its_entry_away_after_it() {
    let mut world = World::new();
    let one = records(0..4, 1);
    world.allow("acme", &[(eu(), 0)]);
    world.delta(&eu(), &one, &[]);
    world.round();
    let mut member = Applied::default();
    member.catch_up(&world, ALL).unwrap();
    let from = world.now() - 10;
    let until = world.now() + 1_000;
    let hold = ordered(&Order::Hold(Hold {
        by: by_order(from),
        entries: BTreeMap::from([(eu(), vec![one[1].1.entry])]),
        series: vec![],
        code: HoldCode::VALUES[0].0,
        from: Timestamp::new(from),
        until: Timestamp::new(until),
    }));
    commit(&world.store, evidence::kept(&hold).unwrap());
    let mut world = world.again(prompt(), Steps::default());
    world.round();
    member.catch_up(&world, ALL).unwrap();
    assert_eq!(member.held.len(), 3);
    // The mirror case: it ends while nothing runs.
    let mut world = world.again(prompt(), Steps::default());
    world.pass(2_000);
    world.round();
    member.catch_up(&world, ALL).unwrap();
    assert_eq!(member.held.len(), 4);
}

#[test]
fn a_feed_change_switches_no_entry_off_and_an_error_that_comes_back_is_not_published() {
    let mut world = World::new();
    world.allow("acme", &[(eu(), 0)]);
    let first = records(0..5, 1);
    world.delta(&eu(), &first, &[]);
    world.round();
    let mut member = Applied::default();
    // Changed twice, as ingest does it: the revision that ends and the one that takes its place in one delta.
    for revision in [2, 3] {
        world.delta(
            &eu(),
            &[(0, record(0, revision))],
            &[ended(&record(0, revision - 1))],
        );
        world.round();
        member.catch_up(&world, ALL).unwrap();
        let held = member.held.get(&(eu(), first[0].1.entry));
        assert_eq!(held, Some(&Revision(revision)));
    }
    // Taken back as errors, and brought back: later, with its end said again, and with a change on top.
    let ends: Vec<_> = (1..4).map(|n| ended(&record(n, 1))).collect();
    world.delta(&eu(), &[], &ends);
    world.delta(&eu(), &[(0, record(1, 2)), (0, record(3, 2))], &[]);
    world.delta(&eu(), &[(0, record(2, 2))], &[ended(&record(2, 1))]);
    world.delta(&eu(), &[(0, record(3, 3))], &[ended(&record(3, 2))]);
    world.round();
    member.catch_up(&world, ALL).unwrap();
    let held: Vec<_> = member.held.keys().cloned().collect();
    let left = [0, 4].map(|n: usize| (eu(), first[n].1.entry));
    assert_eq!(held.len(), left.len());
    assert!(left.iter().all(|it| member.held.contains_key(it)));
}
