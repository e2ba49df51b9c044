//! By cursor: everything once, nothing passed over, whatever happens between pages.

use hashpact_protocol::evidence::Changed;

use super::*;

const SMALL: Bound = Bound {
    records: 7,
    bytes: usize::MAX,
};

#[test]
fn a_snapshot_equals_an_independent_filter_and_tells_every_live_entry_once() {
    let mut world = World::new();
    let (one, two) = (records(0..40, 3), records(40..90, 4));
    world.allow("acme", &[(eu(), 0), (eu(), 2), (eu(), 3)]);
    world.delta(&eu(), &one, &[]);
    world.delta(&eu(), &two, &[ended(&one[0].1), ended(&one[1].1)]);
    // Of another law, which nobody has attested: not published.
    world.delta(&us(), &records(200..220, 2), &[]);
    world.allow("bolt", &[(us(), 0)]);
    world.round();
    let all = [placed(&eu(), &one), placed(&eu(), &two)].concat();
    for bound in [ALL, SMALL] {
        let mut member = Applied::default();
        member.catch_up(&world, bound).unwrap();
        assert_eq!(member.held, world.expected("acme", &all));
        assert!(member.told.values().all(|told| *told == 1));
        assert!(member.held.len() > 40);
    }
}

#[test]
fn a_retraction_ends_what_was_told_and_what_is_issued_again_comes_under_a_higher_revision_only() {
    let mut world = World::new();
    let one = records(0..20, 2);
    world.allow("acme", &[(eu(), 0)]);
    world.delta(&eu(), &one, &[]);
    world.round();
    let mut member = Applied::default();
    member.catch_up(&world, ALL).unwrap();
    assert_eq!(member.held.len(), 10);
    world.delta(&eu(), &[], &[ended(&one[0].1), ended(&one[2].1)]);
    world.round();
    member.catch_up(&world, ALL).unwrap();
    assert_eq!(member.held.len(), 8);
    // One that began later never hears of them.
    let mut late = Applied::default();
    late.catch_up(&world, ALL).unwrap();
    assert_eq!(late.held, member.held);
    // The same revision again is nothing, and the next one too, unless it took the place of the first or was looked at afresh.
    let next = record(2, 2);
    world.delta(&eu(), &[(0, one[0].1.clone()), (0, next.clone())], &[]);
    world.round();
    member.catch_up(&world, ALL).unwrap();
    assert_eq!(member.held.len(), 8);
    world.supersede(&next);
    world.signals.judge(Changed {
        entries: vec![(eu(), next.entry), (eu(), one[0].1.entry)],
        ..Changed::default()
    });
    world.round();
    member.catch_up(&world, ALL).unwrap();
    assert_eq!(member.held.len(), 9);
    assert_eq!(member.held[&(eu(), one[2].1.entry)], Revision(2));
}

#[test]
fn what_is_written_between_two_pages_is_neither_passed_over_nor_left_behind() {
    let mut world = World::new();
    let mut all = Vec::new();
    world.allow("acme", &[(eu(), 0), (eu(), 1)]);
    for n in 0..8 {
        let some = records(n * 10..n * 10 + 10, 4);
        world.delta(&eu(), &some, &[]);
        all.extend(placed(&eu(), &some));
    }
    world.round();
    let mut member = Applied::default();
    let mut turn = 0;
    let tiny = Bound {
        records: 1,
        bytes: usize::MAX,
    };
    while member.page(&world, &acme(), tiny).unwrap() {
        // Between pages: something goes, something comes again, access comes and goes.
        let old = all[turn].2.clone();
        let next = Record {
            revision: Revision(2),
            ..all[turn + 40].2.clone()
        };
        let class = all[turn + 40].1;
        world.supersede(&next);
        world.delta(&eu(), &[(class, next.clone())], &[ended(&old)]);
        all.push((eu(), class, next));
        let classes: &[u16] = match turn % 4 {
            0 => &[0],
            1 => &[0, 1, 2],
            2 => &[1, 2, 3],
            _ => &[0, 1],
        };
        let classes: Vec<_> = classes.iter().map(|class| (eu(), *class)).collect();
        world.allow("acme", &classes);
        world.round();
        turn += 1;
        if turn == 25 {
            break;
        }
    }
    assert!(turn > 5);
    member.catch_up(&world, tiny).unwrap();
    assert_eq!(member.held, world.expected("acme", &all));
}

#[test]
fn access_that_is_lost_withdraws_all_and_nothing_else_and_access_that_is_gained_brings_it() {
    let mut world = World::new();
    let one = records(0..60, 3);
    let all = placed(&eu(), &one);
    world.allow("acme", &[(eu(), 0), (eu(), 1)]);
    world.delta(&eu(), &one, &[]);
    world.round();
    let mut member = Applied::default();
    member.catch_up(&world, ALL).unwrap();
    for classes in [&[1, 2][..], &[], &[0, 1, 2], &[2]] {
        let classes: Vec<_> = classes.iter().map(|class| (eu(), *class)).collect();
        world.allow("acme", &classes);
        world.round();
        member.catch_up(&world, SMALL).unwrap();
        assert_eq!(member.held, world.expected("acme", &all));
        let mut fresh = Applied::default();
        fresh.catch_up(&world, SMALL).unwrap();
        assert_eq!(fresh.held, member.held);
        assert!(fresh.told.values().all(|told| *told == 1));
    }
}

#[test]
fn an_entry_that_changes_while_its_class_is_lost_does_not_stay() {
    let mut world = World::new();
    let one = records(0..4, 1);
    world.allow("acme", &[(eu(), 0)]);
    world.delta(&eu(), &one, &[]);
    world.round();
    let mut member = Applied::default();
    member.catch_up(&world, ALL).unwrap();
    // The entry has a later row when the loss is met, and the loss tells earlier rows only.
    world.allow("acme", &[]);
    world.supersede(&record(1, 2));
    world.delta(&eu(), &[(0, record(1, 2))], &[]);
    world.round();
    member.catch_up(&world, ALL).unwrap();
    assert_eq!(member.held, Held::new());
}

#[test]
fn a_cursor_of_another_member_or_of_an_earlier_ledger_is_refused() {
    let mut world = World::new();
    world.admit_member("bolt");
    world.allow("acme", &[(eu(), 0)]);
    world.delta(&eu(), &records(0..4, 1), &[]);
    world.round();
    let bolt: MemberId = "bolt".parse().unwrap();
    let cursor = world.feed.changes(&acme(), None, ALL).unwrap().cursor;
    let foreign = world.feed.changes(&bolt, Some(&cursor), ALL);
    assert!(matches!(foreign, Err(FeedError::Cursor)));
    let nobody = world.feed.changes(&"cove".parse().unwrap(), None, ALL);
    assert!(matches!(nobody, Err(FeedError::Member)));
    // The ledger is lost, and another one takes its place.
    let (dir, policy, _) = world.close();
    std::fs::remove_file(dir.path().join("subset.redb")).unwrap();
    let store = Arc::new(crate::store::tests::open(dir.path()));
    let path = dir.path().join("subset.redb");
    let ledger = Ledger::open(&path, [8; 8], &Steps::default()).unwrap();
    let mut world = World::with(dir, store, Arc::new(ledger), prompt(), policy);
    world.round();
    let old = world.feed.changes(&acme(), Some(&cursor), ALL);
    assert!(matches!(old, Err(FeedError::Ledger)));
    let mut member = Applied::default();
    member.catch_up(&world, ALL).unwrap();
    assert_eq!(member.held.len(), 4);
}

#[test]
fn a_member_that_was_removed_gets_nothing_more_in_the_middle_of_a_download() {
    let mut world = World::new();
    world.allow("acme", &[(eu(), 0)]);
    for n in 0..5 {
        world.delta(&eu(), &records(n * 10..n * 10 + 10, 1), &[]);
    }
    world.round();
    let mut member = Applied::default();
    assert!(member.page(&world, &acme(), SMALL).unwrap());
    world.keep("acme", None);
    let refused = member.page(&world, &acme(), SMALL);
    assert!(matches!(refused, Err(FeedError::Member)));
    // One who comes back under the name starts with what is allowed then.
    world.policy.lock().unwrap().members.clear();
    world.signals.change();
    world.round();
    world.admit_member("acme");
    world.round();
    member.catch_up(&world, SMALL).unwrap();
    assert_eq!(member.held, Held::new());
}
