//! An honest centre: what it gives is here, what it takes back is gone.

use hashpact_protocol::record::Revision;

use super::world::*;
use super::*;
use crate::sync::folder::GOOD_FOR_S;

#[test]
fn list_is_here_verified_and_acknowledged_and_what_is_withheld_is_told() {
    for zstd in [false, true] {
        let (world, dir) = (World::new(), folder());
        let list = records(0..40);
        let (first, second) = (
            world.delta(0, &list[..30], &[]),
            world.delta(1, &list[30..], &[]),
        );
        let items = [
            first.items(&world),
            at("A"),
            second.items(&world),
            end("B", false),
        ];
        let server = Server::start(&world, &world.manifest(9, 40), items.concat());
        server.says().zstd = zstd;
        let report = pass(&world, &server, dir.path()).unwrap();
        assert_eq!((report.entries, report.change.added), (40, 40));
        assert!(report.compared && report.acknowledged && report.indexed && report.snapshot);
        assert_eq!(report.withheld[0].entries, 40);
        assert_eq!(indexed(dir.path(), &list), all(&list));
        assert_eq!(server.says().acks, ["B"]);
        // Nothing new: nothing is written, nothing is said twice.
        let again = pass(&world, &server, dir.path()).unwrap();
        assert_eq!((again.entries, again.change), (40, Change::default()));
        assert!(again.compared && !again.indexed && !again.snapshot);
        assert_eq!(server.says().acks, ["B"]);
    }
}

#[test]
fn retraction_and_withdrawal_leave_no_byte_of_what_went() {
    let (world, dir) = (World::new(), folder());
    let list = records(0..20);
    let first = world.delta(0, &list, &[]);
    let items = [first.items(&world), end("A", false)].concat();
    let server = Server::start(&world, &world.manifest(1, 20), items);
    pass(&world, &server, dir.path()).unwrap();
    let needle = |n: usize| print(&list[n]).bytes().to_vec();
    assert!(holds(dir.path(), &needle(3)) && holds(dir.path(), &needle(7)));

    let ended = world.delta(1, &[], &[(list[3].entry, 1)]);
    let withdrawn = withdraw_item(&first.origin, &[(list[7].entry, 1), (list[8].entry, 1)]);
    let items = [ended.ended_items(), withdrawn, end("B", false)].concat();
    server.goes_on(&world, &world.manifest(2, 17), "A", items);
    let report = pass(&world, &server, dir.path()).unwrap();
    assert_eq!((report.change.retracted, report.change.withdrawn), (1, 2));
    assert_eq!(report.entries, 17);
    for n in [3, 7, 8] {
        assert!(!indexed(dir.path(), &list).contains(&n));
        assert!(!holds(dir.path(), &needle(n)), "{n} is still there");
    }
    assert!(holds(dir.path(), &needle(4)));
    assert_eq!(server.says().acks, ["A", "B"]);

    // What was withdrawn may come back; what was retracted does not, but under a later revision.
    let mut later = list[3].clone();
    later.revision = Revision(2);
    let reissued = world.delta(2, std::slice::from_ref(&later), &[]);
    let back = first.pack_item(&first.section(&[list[8].entry]));
    let items = [first.head_item(), back, end("C", false)].concat();
    server.goes_on(&world, &world.manifest(3, 18), "B", items);
    let report = pass(&world, &server, dir.path()).unwrap();
    assert_eq!((report.change.added, report.change.refused), (1, 1));
    assert!(indexed(dir.path(), &list).contains(&7));
    assert!(!indexed(dir.path(), &list).contains(&3));
    let items = [reissued.items(&world), end("D", false)].concat();
    server.goes_on(&world, &world.manifest(4, 19), "C", items);
    let report = pass(&world, &server, dir.path()).unwrap();
    assert_eq!(report.change.added, 1);
    assert!(indexed(dir.path(), &list).contains(&3));
}

#[test]
fn later_revision_takes_the_place_of_the_earlier_one_whose_bytes_go() {
    let (world, dir) = (World::new(), folder());
    let list = records(0..5);
    let first = world.delta(0, &list, &[]);
    let items = [first.items(&world), end("A", false)].concat();
    let server = Server::start(&world, &world.manifest(1, 5), items);
    pass(&world, &server, dir.path()).unwrap();
    let mut other = records(90..91).remove(0);
    (other.entry, other.revision) = (list[2].entry, Revision(2));
    let second = world.delta(1, std::slice::from_ref(&other), &[]);
    let items = [second.items(&world), end("B", false)].concat();
    server.goes_on(&world, &world.manifest(2, 5), "A", items);
    let report = pass(&world, &server, dir.path()).unwrap();
    assert_eq!((report.change.revised, report.entries), (1, 5));
    assert!(!holds(dir.path(), print(&list[2]).bytes()));
    assert_eq!(indexed(dir.path(), &[other]).len(), 1);
}

#[test]
fn marks_of_a_live_entry_are_in_the_index() {
    let (world, dir) = (World::new(), folder());
    let list = records(0..3);
    let first = world.delta(0, &list, &[]);
    let mark = mark_item(&first.origin, list[1].entry, true);
    let items = [first.items(&world), mark, end("A", false)].concat();
    let server = Server::start(&world, &world.manifest(1, 3), items);
    pass(&world, &server, dir.path()).unwrap();
    let index = Index::open(&dir.path().join(FILE_NAME)).unwrap();
    let disputed = |n: usize| {
        let ordinal = index.find(print(&list[n]))[0];
        index.hit(ordinal).unwrap().entry.marks.disputed
    };
    assert_eq!(
        [disputed(0), disputed(1), disputed(2)],
        [false, true, false]
    );
}

#[test]
fn stream_that_is_cut_goes_on_behind_what_is_whole() {
    let (world, dir) = (World::new(), folder());
    let list = records(0..60);
    let deltas: Vec<_> = (0..)
        .zip(list.chunks(10))
        .map(|(n, records)| world.delta(n, records, &[]))
        .collect();
    let names = ["A", "B", "C", "D", "E"];
    let stream = |from: usize| {
        let mut items = Vec::new();
        for (n, delta) in deltas.iter().enumerate().skip(from) {
            items.extend(delta.items(&world));
            items.extend(
                names
                    .get(n)
                    .map_or_else(|| end("F", false), |name| at(name)),
            );
        }
        items
    };
    let server = Server::start(&world, &world.manifest(6, 60), stream(0));
    for (n, name) in names.iter().enumerate() {
        let snapshot = stream(n + 1);
        server
            .says()
            .snapshots
            .insert(Some((*name).to_owned()), snapshot);
    }
    let whole = stream(0).len();
    for cut in [whole / 3, whole / 2, whole - 3] {
        let dir = dir.path().join(cut.to_string());
        server.says().asked.clear();
        server.says().cut = Some(cut);
        let report = pass(&world, &server, &dir).unwrap();
        assert_eq!(report.entries, 60);
        assert!(report.compared);
        assert_eq!(indexed(&dir, &list), all(&list));
        let asked = server.says().asked.clone();
        let snapshots = asked.iter().filter(|path| path.contains("snapshot"));
        assert_eq!(snapshots.count(), 2, "{asked:?}");
    }
}

#[test]
fn another_ledger_is_a_new_copy_beside_the_old_one_and_remembers_what_was_retracted() {
    let (world, dir) = (World::new(), folder());
    let list = records(0..10);
    let first = world.delta(0, &list, &[]);
    let items = [first.items(&world), end("A", false)].concat();
    let server = Server::start(&world, &world.manifest(50, 10), items.clone());
    pass(&world, &server, dir.path()).unwrap();
    let ended = world.delta(1, &[], &[(list[0].entry, 1)]);
    let gone = [ended.ended_items(), end("B", false)].concat();
    server.goes_on(&world, &world.manifest(51, 9), "A", gone);
    pass(&world, &server, dir.path()).unwrap();
    // The ledger is built again, positions begin anew, and the snapshot holds what was retracted.
    let mut manifest = world.manifest(3, 9);
    manifest.ledger = [8; 8];
    server.says().signed = world.signed(&manifest);
    let report = pass(&world, &server, dir.path()).unwrap();
    assert!(report.snapshot && report.compared);
    assert_eq!((report.entries, report.change.refused), (9, 1));
    assert!(!indexed(dir.path(), &list).contains(&0));
    let copies = std::fs::read_dir(dir.path()).unwrap().flatten();
    let copies = copies.filter(|item| item.file_name().to_string_lossy().starts_with("copy-"));
    assert_eq!(copies.count(), 1);
}

#[test]
fn gone_means_a_snapshot_once_and_not_again_and_again() {
    let (world, dir) = (World::new(), folder());
    let list = records(0..4);
    let items = [world.delta(0, &list, &[]).items(&world), end("A", false)].concat();
    let server = Server::start(&world, &world.manifest(1, 4), items);
    pass(&world, &server, dir.path()).unwrap();
    server.says().status = Some((410, "ledger"));
    let error = refused(&world, &server, dir.path());
    assert!(matches!(error, SyncError::Api(ApiError::Ledger)), "{error}");
    assert_eq!(indexed(dir.path(), &list), all(&list));
}

#[test]
fn grant_that_lapses_stops_matching_at_once_and_comes_back_with_a_sync() {
    let (world, dir) = (World::new(), folder());
    let list = records(0..4);
    let items = [world.delta(0, &list, &[]).items(&world), end("A", false)].concat();
    let server = Server::start(&world, &world.manifest(1, 4), items);
    pass(&world, &server, dir.path()).unwrap();
    // A credential that is used from elsewhere says nothing of the grant.
    server.says().status = Some((403, "network"));
    let error = refused(&world, &server, dir.path());
    assert!(
        matches!(error, SyncError::Api(ApiError::Refused { status: 403, .. })),
        "{error}"
    );
    assert!(!error.to_string().contains('\u{1b}'));
    assert_eq!(indexed(dir.path(), &list), all(&list));
    server.says().status = Some((403, "unpublished"));
    let error = refused(&world, &server, dir.path());
    assert!(matches!(error, SyncError::Lapsed { .. }), "{error}");
    assert!(!dir.path().join(FILE_NAME).exists());
    assert_eq!(
        Folder::existing(dir.path()).unwrap().standing(),
        Standing::Lapsed
    );
    server.says().status = None;
    pass(&world, &server, dir.path()).unwrap();
    assert_eq!(indexed(dir.path(), &list), all(&list));
}

#[test]
fn proxy_that_answers_403_in_the_gateways_place_takes_no_list_out_of_force() {
    let (world, dir) = (World::new(), folder());
    let list = records(0..4);
    let items = [world.delta(0, &list, &[]).items(&world), end("A", false)].concat();
    let server = Server::start(&world, &world.manifest(1, 4), items);
    pass(&world, &server, dir.path()).unwrap();
    for kind in [super::server::A_PROXY, "", "x:unpublished", "unpublished:x"] {
        server.says().status = Some((403, kind));
        let error = refused(&world, &server, dir.path());
        assert!(
            matches!(error, SyncError::Api(ApiError::Refused { status: 403, .. })),
            "{kind}: {error}"
        );
        assert_eq!(indexed(dir.path(), &list), all(&list));
    }
}

/// What policy gives a member changes where the ledger does not: the stream may be of the one decision, the manifest of the
/// other.
#[test]
fn change_of_policy_between_stream_and_manifest_accuses_no_honest_centre() {
    let (world, dir) = (World::new(), folder());
    let list = records(0..4);
    let server = Server::start(&world, &world.manifest(1, 4), end("A", false));
    let items = world.delta(0, &list, &[]).items(&world);
    let late = server.clone();
    let more = [items, end("B", false)].concat();
    let opens = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(500));
        late.says().changes.insert(Some("A".to_owned()), more);
    });
    let report = pass(&world, &server, dir.path()).unwrap();
    opens.join().unwrap();
    assert!(report.compared);
    assert_eq!(indexed(dir.path(), &list), all(&list));
}

#[test]
fn centre_that_is_not_heard_for_a_week_stops_matching() {
    let (world, dir) = (World::new(), folder());
    let list = records(0..4);
    let items = [world.delta(0, &list, &[]).items(&world), end("A", false)].concat();
    let server = Server::start(&world, &world.manifest(1, 4), items);
    pass(&world, &server, dir.path()).unwrap();
    server.says().status = Some((401, "credential"));
    let later = |seconds| {
        let judge = (world.roster(), NOW + seconds, Steps::default());
        pass_with(&world, &server, dir.path(), judge).unwrap_err()
    };
    assert!(matches!(
        later(GOOD_FOR_S),
        SyncError::Api(ApiError::Credential)
    ));
    assert_eq!(indexed(dir.path(), &list), all(&list));
    assert!(matches!(later(GOOD_FOR_S + 1), SyncError::Unheard { .. }));
    assert!(!dir.path().join(FILE_NAME).exists());
}

#[test]
fn under_an_expired_roster_what_ends_ends_and_nothing_is_taken() {
    let (world, dir) = (World::new(), folder());
    let list = records(0..8);
    let first = world.delta(0, &list[..4], &[]);
    let items = [first.items(&world), end("A", false)].concat();
    let server = Server::start(&world, &world.manifest(1, 4), items);
    pass(&world, &server, dir.path()).unwrap();
    let second = world.delta(1, &list[4..], &[(list[0].entry, 1)]);
    let items = [second.items(&world), second.ended_items(), end("B", false)].concat();
    let after = world.roster().expires_at.get();
    let mut manifest = world.manifest(2, 7);
    manifest.issued_at = hashpact_keys::Timestamp::new(after);
    server.goes_on(&world, &manifest, "A", items);
    let judge = (world.roster(), after, Steps::default());
    let error = pass_with(&world, &server, dir.path(), judge).unwrap_err();
    assert!(
        matches!(error, SyncError::RosterExpired { ended: 1, .. }),
        "{error}"
    );
    assert_eq!(indexed(dir.path(), &list), [1, 2, 3].into());
    assert_eq!(server.says().acks, ["A"]);
    // With the roster's successor the rest follows.
    let next = hashpact_protocol::testing::keys::next_roster(
        &world.signed,
        hashpact_keys::Timestamp::new(after),
        |_| {},
    );
    let judge = (next.roster(), after, Steps::default());
    let report = pass_with(&world, &server, dir.path(), judge).unwrap();
    assert_eq!((report.entries, report.change.added), (7, 4));
    assert_eq!(server.says().acks, ["A", "B"]);
}
