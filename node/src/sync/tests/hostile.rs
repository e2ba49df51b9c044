//! A hostile server: nothing counts that its origin, or the serving centre where it is its to say, did not sign.

use hashpact_keys::{KeyUse, Timestamp};
use hashpact_protocol::delta::TablePath;
use hashpact_protocol::labels::{ClassDefinitions, Tlp};
use hashpact_protocol::log::Leaf;
use hashpact_protocol::subset::{ManifestError, PackError};
use hashpact_protocol::testing::keys::next_roster;

use super::scene::Scene;
use super::world::*;
use super::*;

#[test]
fn changed_section_is_refused_wherever_it_is_changed() {
    let scene = Scene::new();
    let more = scene.world.delta(1, &records(20..23), &[]);
    let section = more.section(&[]);
    for at in (0..section.len()).step_by(29) {
        let mut changed = section.clone();
        changed[at] ^= 1;
        let items = [more.head_item(), more.pack_item(&changed), end("B", false)];
        let error = scene.says(&items);
        assert!(matches!(error, SyncError::Verify(_)), "byte {at}: {error}");
    }
}

#[test]
fn pack_of_another_delta_class_origin_or_network_is_refused() {
    let scene = Scene::new();
    let Scene { world, first, .. } = &scene;
    let more = world.delta(1, &records(20..23), &[]);
    // The section of one delta under the header of another.
    let wrong = pack_item(
        (&more.origin, more.seq),
        3,
        &more.path(),
        &first.section(&[]),
    );
    let error = scene.says(&[more.head_item(), wrong, end("B", false)]);
    assert!(
        matches!(error, SyncError::Verify(VerifyError::Pack { .. })),
        "{error}"
    );
    // A header of one number for another.
    let head = head_item(
        &more.origin,
        hashpact_protocol::delta::Seq(5),
        &more.header,
        9,
    );
    let error = scene.says(&[head, end("B", false)]);
    assert!(
        matches!(error, SyncError::Verify(VerifyError::Place { .. })),
        "{error}"
    );
    // Another centre's log.
    let other = &world.centres[2].origin;
    let head = head_item(other, more.seq, &more.header, more.index);
    let error = scene.says(&[head, end("B", false)]);
    assert!(
        matches!(error, SyncError::Verify(VerifyError::Place { .. })),
        "{error}"
    );
    // A header for another network, although eu's key signed it.
    let foreign = world.delta_with(1, &records(20..23), &[], |header| {
        header.network = hashpact_keys::NetworkId::new([1; 32]);
    });
    let error = scene.says(&[foreign.items(world), end("B", false)]);
    let is_network = |error: &SyncError| {
        matches!(
            error,
            SyncError::Verify(VerifyError::Pack {
                source: PackError::Network,
                ..
            })
        )
    };
    assert!(is_network(&error), "{error}");
    // More records said than signed.
    let path = more.path();
    let wrong = pack_item((&more.origin, more.seq), 4, &path, &more.section(&[]));
    let error = scene.says(&[more.head_item(), wrong, end("B", false)]);
    assert!(
        matches!(
            error,
            SyncError::Verify(VerifyError::Count {
                got: 4,
                expected: 3,
                ..
            })
        ),
        "{error}"
    );
    // The way of the retractions for the way of the class.
    let path = TablePath::of_retractions(&more.sealed.table);
    let wrong = pack_item((&more.origin, more.seq), 3, &path, &more.section(&[]));
    let error = scene.says(&[more.head_item(), wrong, end("B", false)]);
    assert!(
        matches!(
            error,
            SyncError::Verify(VerifyError::Pack {
                source: PackError::Root,
                ..
            })
        ),
        "{error}"
    );
}

#[test]
fn header_that_its_origin_did_not_sign_is_refused() {
    let scene = Scene::new();
    let more = scene.world.delta(1, &records(20..23), &[]);
    let mut forged = more.header.clone();
    *forged.last_mut().unwrap() ^= 1;
    let head = head_item(&more.origin, more.seq, &forged, more.index);
    let error = scene.says(&[head, end("B", false)]);
    assert!(
        matches!(
            error,
            SyncError::Verify(VerifyError::Pack {
                source: PackError::Header(_),
                ..
            })
        ),
        "{error}"
    );
    // What is not told before is not looked for elsewhere.
    let error = scene.says(&[more.pack_item(&more.section(&[])), end("B", false)]);
    assert!(
        matches!(error, SyncError::Untold { what: "a delta" }),
        "{error}"
    );
    // Dated two days ahead.
    let ahead = scene.world.delta_with(1, &records(20..23), &[], |header| {
        header.issued_at = Timestamp::new(NOW + 2 * 86_400);
    });
    let error = scene.says(&[ahead.items(&scene.world), end("B", false)]);
    assert!(
        matches!(error, SyncError::Verify(VerifyError::Future { .. })),
        "{error}"
    );
    // Under a roster that this home does not have.
    let newer = scene.world.delta_with(1, &records(20..23), &[], |header| {
        header.roster_version = hashpact_keys::RosterVersion::new(2);
    });
    let error = scene.says(&[newer.items(&scene.world), end("B", false)]);
    assert!(
        matches!(error, SyncError::Verify(VerifyError::RosterAhead { .. })),
        "{error}"
    );
    assert!(error.to_string().contains("member rosters"));
}

#[test]
fn header_of_a_revoked_key_is_refused_from_the_cut_off_on_and_no_index_below_its_number_is_believed()
 {
    let scene = Scene::new();
    let Scene { world, .. } = &scene;
    let more = world.delta(6, &records(20..23), &[]);
    let revoked = next_roster(&world.signed, Timestamp::new(NOW), |draft| {
        draft.revocations.push(hashpact_keys::roster::Revocation {
            key: world.origin().signer(KeyUse::Delta).public().key_id(),
            origin: world.origin().origin.clone(),
            size: 5,
        });
    });
    let manifest = world.manifest(2, 13);
    for (index, is_early) in [(8, false), (5, true), (2, true)] {
        let head = head_item(&more.origin, more.seq, &more.header, index);
        let items = [head, more.pack_item(&more.section(&[])), end("B", false)].concat();
        scene.server.goes_on(world, &manifest, "A", items);
        let judge = (revoked.roster(), NOW, Steps::default());
        let error = pass_with(world, &scene.server, scene.dir.path(), judge).unwrap_err();
        let is_refused = match is_early && index < 5 {
            true => matches!(
                error,
                SyncError::Verify(VerifyError::Index { index: 2, .. })
            ),
            false => matches!(
                error,
                SyncError::Verify(VerifyError::Pack {
                    source: PackError::Revoked { .. },
                    ..
                })
            ),
        };
        assert!(is_refused, "{index}: {error}");
        scene.is_as_before();
    }
}

#[test]
fn class_that_its_origin_did_not_define_or_defined_otherwise_is_refused() {
    let scene = Scene::new();
    let Scene { world, first, .. } = &scene;
    let by_other = world.definition(&world.centres[2], world.labels());
    let definitions = ClassDefinitions {
        network: world.roster().network,
        origin: first.origin.clone(),
        classes: vec![(CLASS, world.labels())],
    };
    let signer = world.centres[2].signer(KeyUse::Delta);
    let definitions = definitions.sign(&signer);
    let by_other_for_eu = Leaf::Classes { definitions }.to_bytes().unwrap();
    for leaf in [by_other, by_other_for_eu] {
        let error = scene.says(&[class_item(&first.origin, &leaf), end("B", false)]);
        let fault = matches!(
            error,
            SyncError::Verify(VerifyError::Class {
                source: ClassFault::Key,
                ..
            })
        );
        assert!(fault, "{error}");
    }
    let mut labels = world.labels();
    labels.tlp = Tlp::Red;
    let twice = world.definition(world.origin(), labels);
    let error = scene.says(&[class_item(&first.origin, &twice), end("B", false)]);
    let redefined = matches!(
        error,
        SyncError::Folder(FolderError::Copy(CopyError::Redefined { .. }))
    );
    assert!(redefined, "{error}");
}

#[test]
fn retraction_that_its_origin_did_not_sign_ends_nothing() {
    let scene = Scene::new();
    let Scene { world, list, .. } = &scene;
    // A list of another delta, which retracts what is here, under the header of one that retracts something else.
    let other = world.delta(1, &[], &[(list[0].entry, 1)]);
    let signed = world.delta(1, &[], &[(list[1].entry, 9)]);
    let body = &other.sealed.body;
    let forged = &body.bytes()[body.retraction_range()];
    let error = scene.says(&[
        signed.head_item(),
        signed.ended_item(forged),
        end("B", false),
    ]);
    assert!(
        matches!(
            error,
            SyncError::Verify(VerifyError::Pack {
                source: PackError::Root,
                ..
            })
        ),
        "{error}"
    );
    let error = scene.says(&[
        signed.head_item(),
        signed.ended_item(b"\x80"),
        end("B", false),
    ]);
    assert!(
        matches!(
            error,
            SyncError::Verify(VerifyError::Pack {
                source: PackError::Retractions,
                ..
            })
        ),
        "{error}"
    );
}

#[test]
fn two_deltas_of_one_number_are_kept_as_the_proof_of_a_fork() {
    let scene = Scene::new();
    let fork = scene.world.delta(0, &records(20..23), &[]);
    let error = scene.says(&[fork.items(&scene.world), end("B", false)]);
    let SyncError::Fork { folder, .. } = &error else {
        panic!("{error}");
    };
    let proof = |n: u8| std::fs::read(folder.join(format!("eu-0-{n}.cose"))).unwrap();
    assert_eq!(
        (proof(1), proof(2)),
        (scene.first.header.clone(), fork.header)
    );
}

#[test]
fn manifest_of_another_member_centre_key_or_time_is_refused() {
    let scene = Scene::new();
    let Scene {
        world, server, dir, ..
    } = &scene;
    let sign = |manifest: &hashpact_protocol::subset::Manifest| world.signed(manifest);
    let mut other = world.manifest(2, 10);
    other.member = "other".to_owned();
    let mut stale = world.manifest(2, 10);
    stale.issued_at = Timestamp::new(NOW - verify::FRESH_S - 1);
    let mut forged = sign(&world.manifest(2, 10));
    *forged.last_mut().unwrap() ^= 1;
    let mut served = world.manifest(2, 10);
    served.serving = world.origin().origin.clone();
    let by_eu = served
        .sign(&world.origin().signer(KeyUse::Manifest))
        .unwrap();
    for (signed, what) in [
        (sign(&other), 0),
        (sign(&stale), 1),
        (forged, 2),
        (by_eu, 3),
    ] {
        server.says().signed = signed;
        // What the JSON beside it says makes no difference.
        server.says().member = "other".to_owned();
        let error = refused(world, server, dir.path());
        let SyncError::Verify(fault) = &error else {
            panic!("{error}");
        };
        let is_it = match what {
            0 => matches!(fault, VerifyError::Manifest(ManifestError::Member { .. })),
            1 => matches!(fault, VerifyError::NotFresh { .. }),
            2 => matches!(fault, VerifyError::Manifest(ManifestError::Cose(_))),
            _ => matches!(fault, VerifyError::Centre { .. }),
        };
        assert!(is_it, "{error}");
        scene.is_as_before();
    }
}

#[test]
fn replayed_older_manifest_is_refused() {
    let scene = Scene::new();
    let Scene {
        world, server, dir, ..
    } = &scene;
    server.goes_on(world, &world.manifest(5, 10), "A", end("B", false));
    pass(world, server, dir.path()).unwrap();
    server.says().signed = world.signed(&world.manifest(4, 10));
    let error = refused(world, server, dir.path());
    assert!(
        matches!(
            error,
            SyncError::Verify(VerifyError::Replayed { got: 4, seen: 5 })
        ),
        "{error}"
    );
    let mut earlier = world.manifest(6, 10);
    earlier.issued_at = Timestamp::new(NOW - 1);
    earlier.ledger = [9; 8];
    server.says().signed = world.signed(&earlier);
    let error = refused(world, server, dir.path());
    assert!(
        matches!(error, SyncError::Verify(VerifyError::Replayed { .. })),
        "{error}"
    );
}

#[test]
fn records_left_out_against_the_signed_manifest_are_noticed() {
    let scene = Scene::new();
    let Scene {
        world, server, dir, ..
    } = &scene;
    server.goes_on(world, &world.manifest(2, 12), "A", end("B", false));
    let error = refused(world, server, dir.path());
    assert!(
        matches!(
            error,
            SyncError::Counts {
                expected: 12,
                got: 10,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(server.says().acks, ["A"]);
}
