//! A process that dies before any durable step: the next one goes on, and nothing false was ever said or matched with.

use super::world::*;
use super::*;
use crate::store::durable::Stopped;

/// What stops a pass in these tests, and nothing else may.
fn is_stopped(error: &SyncError) -> bool {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        let io = error.downcast_ref::<std::io::Error>();
        if io.is_some_and(|io| Stopped::of(io).is_some()) {
            return true;
        }
        source = error.source();
    }
    false
}

#[test]
fn a_crash_before_any_step_of_a_first_sync_leaves_no_half_index_and_the_next_pass_completes_it() {
    let world = World::new();
    let list = records(0..12);
    let (first, second) = (
        world.delta(0, &list[..6], &[]),
        world.delta(1, &list[6..], &[]),
    );
    let items = [
        first.items(&world),
        at("A"),
        second.items(&world),
        end("B", false),
    ]
    .concat();
    let server = Server::start(&world, &world.manifest(2, 12), items);
    let mut stops = 0;
    for stop in 0.. {
        let dir = folder();
        server.says().acks.clear();
        let judge = (world.roster(), NOW, Steps::stop_at(stop));
        match pass_with(&world, &server, dir.path(), judge) {
            Ok(_) => break,
            Err(error) => assert!(is_stopped(&error), "step {stop}: {error}"),
        }
        stops += 1;
        let half = indexed(dir.path(), &list);
        assert!(
            half.is_empty() || half == all(&list),
            "step {stop}: {half:?}"
        );
        if !server.says().acks.is_empty() {
            assert_eq!(half, all(&list), "acknowledged before step {stop}");
        }
        let report = pass(&world, &server, dir.path()).unwrap();
        assert_eq!(report.entries, 12, "step {stop}");
        assert_eq!(indexed(dir.path(), &list), all(&list), "step {stop}");
    }
    assert!(stops > 20, "{stops}");
}

#[test]
fn a_crash_before_any_step_of_a_retraction_says_nothing_false_and_leaves_nothing_of_what_went() {
    let world = World::new();
    let list = records(0..12);
    let first = world.delta(0, &list, &[]);
    let snapshot = [first.items(&world), end("A", false)].concat();
    let ended = world.delta(1, &[], &[(list[5].entry, 1)]);
    let withdrawn = withdraw_item(&first.origin, &[(list[6].entry, 1)]);
    let more = records(12..14);
    let second = world.delta(2, &more, &[]);
    let changes = [
        ended.ended_items(),
        withdrawn,
        at("B"),
        second.items(&world),
        end("C", false),
    ]
    .concat();
    let rest: std::collections::BTreeSet<_> = (0..12).filter(|n| *n != 5 && *n != 6).collect();
    let server = Server::start(&world, &world.manifest(1, 12), snapshot);
    let begun = folder();
    pass(&world, &server, begun.path()).unwrap();
    server.goes_on(&world, &world.manifest(3, 12), "A", changes);
    let mut stops = 0;
    for stop in 0.. {
        let dir = copied(begun.path());
        server.says().acks.clear();
        let judge = (world.roster(), NOW, Steps::stop_at(stop));
        match pass_with(&world, &server, dir.path(), judge) {
            Ok(_) => break,
            Err(error) => assert!(is_stopped(&error), "step {stop}: {error}"),
        }
        stops += 1;
        let seen = indexed(dir.path(), &list);
        assert!(seen == all(&list) || seen == rest, "step {stop}: {seen:?}");
        if !server.says().acks.is_empty() {
            assert_eq!(seen, rest, "acknowledged before step {stop}");
        }
        pass(&world, &server, dir.path()).unwrap();
        assert_eq!(indexed(dir.path(), &list), rest, "step {stop}");
        assert_eq!(indexed(dir.path(), &more), all(&more), "step {stop}");
        for n in [5, 6] {
            let needle = print(&list[n]).bytes();
            assert!(
                !holds(dir.path(), needle),
                "step {stop}: {n} is still there"
            );
        }
        assert_eq!(server.says().acks.last().map(String::as_str), Some("C"));
    }
    assert!(stops > 20, "{stops}");
}

#[test]
fn a_crash_before_any_step_of_a_lapse_stops_matching_all_the_same() {
    let (world, server, list, begun) = synced();
    server.says().status = Some((403, "unpublished"));
    assert_eq!(indexed(begun.path(), &list), all(&list));
    let mut stops = 0;
    for stop in 0.. {
        let dir = copied(begun.path());
        let judge = (world.roster(), NOW, Steps::stop_at(stop));
        match pass_with(&world, &server, dir.path(), judge) {
            Err(SyncError::Lapsed { .. }) => break,
            Err(error) => assert!(is_stopped(&error), "step {stop}: {error}"),
            Ok(report) => panic!("step {stop}: {report:?}"),
        }
        stops += 1;
        let done = pass(&world, &server, dir.path());
        assert!(matches!(done, Err(SyncError::Lapsed { .. })), "step {stop}");
        assert!(!dir.path().join(FILE_NAME).exists(), "step {stop}");
    }
    assert!(stops > 5, "{stops}");
}

#[test]
fn a_crash_before_any_step_of_a_new_ledger_leaves_the_old_copy_or_the_new_one() {
    let (world, server, list, begun) = synced();
    let mut other = world.manifest(1, 6);
    other.ledger = [9; 8];
    server.says().signed = world.signed(&other);
    let mut stops = 0;
    for stop in 0.. {
        let dir = copied(begun.path());
        let judge = (world.roster(), NOW, Steps::stop_at(stop));
        match pass_with(&world, &server, dir.path(), judge) {
            Ok(_) => break,
            Err(error) => assert!(is_stopped(&error), "step {stop}: {error}"),
        }
        stops += 1;
        assert_eq!(indexed(dir.path(), &list), all(&list), "step {stop}");
        let report = pass(&world, &server, dir.path()).unwrap();
        assert_eq!(report.entries, 6, "step {stop}");
        assert_eq!(indexed(dir.path(), &list), all(&list), "step {stop}");
    }
    assert!(stops > 20, "{stops}");
}

/// A member that synchronised six entries.
fn synced() -> (World, Server, Vec<Record>, tempfile::TempDir) {
    let world = World::new();
    let list = records(0..6);
    let items = [world.delta(0, &list, &[]).items(&world), end("A", false)].concat();
    let server = Server::start(&world, &world.manifest(1, 6), items);
    let begun = folder();
    pass(&world, &server, begun.path()).unwrap();
    (world, server, list, begun)
}
