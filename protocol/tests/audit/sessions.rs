//! Match manifests and match sessions as an auditor finds them: what is right is told by nobody, and each lie by its name.

use hashpact_keys::Timestamp;
use hashpact_protocol::audit::{DisclosureFault, FindingKind, MatchFault, Place};
use hashpact_protocol::labels::{ClassId, Purpose};
use hashpact_protocol::policy::{Asker, MatchMode};
use hashpact_protocol::psi::{
    Artifact, Epoch, Group, GroupId, Manifest, RefusalCode, Role, SegmentRow, SessionId,
    SessionRecord, TagBits,
};
use hashpact_protocol::testing::disclosed::{Disclosed, after};
use hashpact_protocol::testing::published::leaf;
use hashpact_protocol::verify::LeafFault;

const EU: usize = 0;
const US: usize = 1;
const SESSION: SessionId = SessionId([7; 16]);

fn manifest(network: &Disclosed, number: u64) -> Manifest {
    let log = &network.logs[EU];
    let segment = SegmentRow {
        number: 0,
        added: 3,
        removed: 0,
        bytes: 40,
        chunks: 1,
        root: [5; 32],
        label_root: None,
    };
    let artifact = Artifact {
        kind: 3,
        mode: MatchMode::Items,
        key: [9; 32],
        items: 3,
        segments: vec![segment],
    };
    let group = Group {
        group: GroupId(0),
        classes: vec![ClassId(0)],
        artifacts: vec![artifact],
    };
    Manifest {
        network: log.rosters[0].roster().network,
        origin: log.centres[0].origin.clone(),
        number,
        epoch: Epoch(0),
        log_size: 1,
        issued_at: after(1_000),
        from: after(1_000),
        until: after(90_000),
        bits: TagBits::of(3),
        groups: vec![group],
    }
}

/// A network in which eu has logged a manifest, and its leaf.
fn matching() -> (Disclosed, u64) {
    let mut network = Disclosed::open();
    let manifest = manifest(&network, 0);
    let index = network.publish_manifest(EU, &manifest, after(1_000));
    (network, index)
}

/// What us says of a session in which it asked eu.
fn record(network: &Disclosed, manifest: u64) -> SessionRecord {
    let log = &network.logs[EU];
    SessionRecord {
        network: log.rosters[0].roster().network,
        session: SESSION,
        origin: log.centres[0].origin.clone(),
        asker: Asker::Centre(network.logs[US].centres[0].id.clone()),
        role: Role::Client,
        mode: MatchMode::Items,
        kind: 3,
        groups: vec![GroupId(0)],
        epoch: Epoch(0),
        purpose: Purpose::Detect,
        items: 500,
        received: Some(500),
        matches: Some(2),
        used: 500,
        per_day: 10_000,
        from: after(2_000),
        until: after(2_009),
        query: Some([1; 32]),
        blinds: Some([2; 32]),
        manifest: Some(manifest),
        refusal: None,
    }
}

fn server(network: &Disclosed, manifest: u64) -> SessionRecord {
    SessionRecord {
        role: Role::Server,
        matches: None,
        blinds: None,
        ..record(network, manifest)
    }
}

/// What is found once us says the one and eu the other.
fn said(
    network: &mut Disclosed,
    client: &SessionRecord,
    server: &SessionRecord,
) -> Vec<(Option<usize>, Place, FindingKind)> {
    network.seal_session(US, &client.to_bytes(), after(2_010));
    network.seal_session(EU, &server.to_bytes(), after(2_011));
    network.audit(&[EU, US]).found
}

#[test]
fn session_that_both_sides_say_alike_is_found_by_nobody_and_counted() {
    let (mut network, at) = matching();
    let (client, server) = (record(&network, at), server(&network, at));
    assert_eq!(said(&mut network, &client, &server), []);
    let seals = network.audit(&[EU, US]).seals;
    let counts = [EU, US].map(|n| (seals[n].sessions, seals[n].opened));
    assert_eq!(counts, [(1, 1), (1, 1)]);
    assert_eq!(network.audit(&[]).found, []);
}

#[test]
fn sides_of_a_session_that_differ_are_named_with_the_field() {
    let (mut network, at) = matching();
    let (client, mut server) = (record(&network, at), server(&network, at));
    server.query = Some([9; 32]);
    let field = "query";
    let session = SESSION;
    let fault = MatchFault::SessionDiffers { session, field };
    let found = said(&mut network, &client, &server);
    let found: Vec<_> = found.into_iter().map(|(_, _, kind)| kind).collect();
    assert_eq!(found, [fault.into()]);
}

#[test]
fn record_in_the_log_of_neither_side_is_named() {
    let (mut network, at) = matching();
    let record = server(&network, at);
    let index = network.seal_session(US, &record.to_bytes(), after(2_010));
    let fault = MatchFault::SessionLog { session: SESSION };
    let found = network.audit(&[EU, US]).found;
    assert_eq!(found, [(Some(US), leaf(index), fault.into())]);
}

#[test]
fn session_under_what_is_no_manifest_of_its_epoch_is_named() {
    let (mut network, at) = matching();
    let mut other = server(&network, at);
    other.epoch = Epoch(4);
    let index = network.seal_session(EU, &other.to_bytes(), after(2_010));
    let session = SESSION;
    let fault = MatchFault::SessionManifest { session, leaf: at };
    let found = network.audit(&[EU]).found;
    assert_eq!(found, [(Some(EU), leaf(index), fault.into())]);
}

#[test]
fn quota_that_a_record_says_was_broken_is_named_and_a_refusal_is_not() {
    let (mut network, at) = matching();
    let mut over = server(&network, at);
    over.used = 10_001;
    let refused = SessionRecord {
        refusal: Some(RefusalCode::OverQuota),
        groups: Vec::new(),
        manifest: None,
        received: Some(0),
        query: None,
        ..over.clone()
    };
    network.seal_session(EU, &refused.to_bytes(), after(2_005));
    assert_eq!(network.audit(&[EU]).found, []);
    network.seal_session(EU, &over.to_bytes(), after(2_010));
    let (session, used, per_day) = (SESSION, 10_001, 10_000);
    let fault = MatchFault::SessionQuota {
        session,
        used,
        per_day,
    };
    let found = network.audit(&[EU]).found;
    let found: Vec<_> = found.into_iter().map(|(_, _, kind)| kind).collect();
    assert_eq!(found, [fault.into()]);
}

#[test]
fn session_that_is_kept_sealed_or_opened_as_something_else_is_named() {
    let (mut network, at) = matching();
    let index = network.seal_session(EU, &server(&network, at).to_bytes(), after(2_010));
    let mut kept = network.clone();
    kept.bundles[EU].opened.retain(|one| one.leaf != index);
    let unopened = FindingKind::from(DisclosureFault::Unopened);
    let found = kept.audit(&[EU]).found;
    assert_eq!(found, [(Some(EU), leaf(index), unopened)]);
    // A session record where a transfer should be sealed.
    let bytes = server(&network, at).to_bytes();
    let wrong = network.seal(EU, &bytes, true, after(2_020));
    let other = FindingKind::from(DisclosureFault::OpenedOther);
    let found = network.audit(&[EU]).found;
    assert!(found.contains(&(Some(EU), leaf(wrong), other)), "{found:?}");
}

#[test]
fn manifest_number_skipped_is_named_once_and_reading_goes_on() {
    let (mut network, _) = matching();
    let (skipped, next) = (manifest(&network, 2), manifest(&network, 3));
    let index = network.publish_manifest(EU, &skipped, after(1_100));
    network.publish_manifest(EU, &next, after(1_200));
    let (expected, got) = (1, 2);
    let fault = LeafFault::ManifestNumber { expected, got };
    let found = network.audit(&[EU]).found;
    assert_eq!(found, [(Some(EU), leaf(index), FindingKind::Leaf(fault))]);
}

#[test]
fn manifest_that_contradicts_an_earlier_one_is_named() {
    let (mut network, _) = matching();
    let mut other = manifest(&network, 1);
    other.groups[0].artifacts[0].key = [8; 32];
    other.issued_at = Timestamp::new(other.issued_at.get() + 60);
    let index = network.publish_manifest(EU, &other, after(1_100));
    let group = GroupId(0);
    let fault = FindingKind::from(MatchFault::Key { group });
    let found = network.audit(&[EU]).found;
    assert_eq!(found, [(Some(EU), leaf(index), fault)]);
}
