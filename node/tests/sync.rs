//! What one centre logs, the others come to hold: over both transports, after absences, past a relay, and not under an
//! expired roster.

mod common;

use std::fs;

use anyhow::{Context as _, Result, ensure};
use common::{List, Network, Node, Over, audited, text, two, until};
use hashpact_keys::chain::{UnsignedRoster, draft_bytes, sign_roster};
use hashpact_keys::store::KeyFile;
use hashpact_keys::{KeyUse, Roster, Timestamp};
use hashpact_node::armor::Kind;
use hashpact_node::clock;
use serde_json::json;

/// Both ingest and retract, and each ends with what the other has.
fn both_ways(eu: &Node, us: &Node, folder: &std::path::Path) -> Result<()> {
    for (node, other, name) in [(eu, us, "one"), (us, eu, "two")] {
        let list = List::write(folder, name, 40)?;
        node.ingest(&list, &[])?.ends(0)?;
        other.catches_up_with(node)?;
        ensure!(other.lookup(&list.sha256(39))?.len() == 1, "{name}");
        node.run(&["retract", &node.entry(&list.sha256(39))?])?
            .ends(0)?;
        other.catches_up_with(node)?;
        let entries = other.lookup(&list.sha256(39))?;
        ensure!(
            entries[0]["retracted"] == json!(true),
            "{name}: {entries:?}"
        );
    }
    for node in [eu, us] {
        let alarms: Vec<_> = node
            .status()?
            .events
            .into_iter()
            .filter(|seen| seen.is_alarm())
            .collect();
        ensure!(alarms.is_empty(), "{}: {alarms:?}", node.id);
    }
    Ok(())
}

#[test]
fn two_nodes_sync_over_tcp_alone() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (eu, us, _network) = two(folder.path(), Over::Tcp)?;
    both_ways(&eu, &us, folder.path())
}

#[test]
fn two_nodes_sync_over_quic_alone() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (eu, us, _network) = two(folder.path(), Over::Quic)?;
    both_ways(&eu, &us, folder.path())
}

#[test]
fn two_nodes_sync_if_each_can_dial_what_the_other_listens_on() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut eu = Node::init(folder.path(), "eu", Over::Quic)?;
    let mut us = Node::init(folder.path(), "us", Over::Tcp)?;
    let _network = Network::found(folder.path(), &[&eu, &us])?;
    eu.start()?;
    us.start()?;
    both_ways(&eu, &us, folder.path())
}

#[test]
fn node_that_was_offline_catches_up() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (eu, mut us, _network) = two(folder.path(), Over::Both)?;
    let first = List::write(folder.path(), "first", 40)?;
    eu.ingest(&first, &[])?.ends(0)?;
    us.catches_up_with(&eu)?;
    us.stop()?;
    until("eu notices", || {
        Ok((!eu.status()?.peers[0].up).then_some(()))
    })?;
    for name in ["second", "third", "fourth"] {
        let list = List::write(folder.path(), name, 40)?;
        eu.ingest(&list, &[])?.ends(0)?;
        eu.run(&["retract", &eu.entry(&list.sha256(1))?])?.ends(0)?;
    }
    eu.run(&["retract", &eu.entry(&first.sha256(1))?])?
        .ends(0)?;
    us.start()?;
    us.catches_up_with(&eu)?;
    let log = us.mirrored("eu")?;
    ensure!(
        (log.held, log.retracted, log.applied) == (156, 4, 8),
        "{log:?}"
    );
    us.run(&["lookup", &format!("sha256:{}", first.sha256(1))])?
        .ends(1)?;
    Ok(())
}

/// Over QUIC nobody is told of the end of a process: the old connection must time out, and must not stand in the way.
#[test]
fn node_that_was_killed_is_heard_again_over_quic() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (mut eu, us, _network) = two(folder.path(), Over::Quic)?;
    until("us hears eu", || Ok(us.status()?.peers[0].up.then_some(())))?;
    eu.kill()?;
    eu.start()?;
    let list = List::write(folder.path(), "list", 4)?;
    eu.ingest(&list, &[])?.ends(0)?;
    us.catches_up_with(&eu)
}

#[test]
fn log_comes_past_a_relay_and_bodies_from_their_origin_alone() -> Result<()> {
    let folder = tempfile::tempdir()?;
    // With an auditor, two centres have their quorum without the third.
    let ([mut eu, mut us, mut ca], _auditor, _network) = audited(folder.path(), Over::Both)?;
    eu.start()?;
    us.start()?;
    let list = List::write(folder.path(), "list", 40)?;
    eu.ingest(&list, &[])?.ends(0)?;
    us.catches_up_with(&eu)?;
    let own = eu.status()?.own;
    eu.stop()?;
    ca.start()?;
    let log = until("us passes eu's log on", || {
        let log = ca.mirrored("eu")?;
        Ok((log.size == own.size).then_some(log))
    })?;
    ensure!(
        (log.head, log.deltas, log.applied, log.held) == (own.size, 1, 0, 0),
        "{log:?}"
    );
    ensure!(us.mirrored("eu")?.held == 40 && ca.lookup(&list.sha256(0))?.is_empty());
    eu.start()?;
    ca.catches_up_with(&eu)?;
    ensure!(ca.lookup(&list.sha256(0))?.len() == 1);
    Ok(())
}

/// The version that follows, expired: the shell makes none such, a centre that was long away may meet one.
fn expired(network: &mut Network) -> Result<String> {
    let last = network.rosters.last().context("no roster")?.clone();
    let bytes = Kind::Roster.unwrap(&fs::read_to_string(&last)?)?;
    let now = clock::now().get();
    let parsed = UnsignedRoster::parse(&bytes)?;
    let draft = parsed
        .roster()
        .next_draft(Timestamp::new(now - 20), Timestamp::new(now - 10));
    let roster = Roster::from_draft(draft.context("the last version")?)?;
    let root = KeyFile::load(&network.root, KeyUse::Root)?;
    let file = last.with_file_name("expired.txt");
    fs::write(
        &file,
        Kind::Roster.wrap(&sign_roster(&draft_bytes(&roster), &root)?),
    )?;
    network.rosters.push(file.clone());
    Ok(text(&file))
}

#[test]
fn under_an_expired_roster_retractions_act_and_records_wait() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (eu, us, mut network) = two(folder.path(), Over::Both)?;
    let (list, other) = (
        List::write(folder.path(), "list", 40)?,
        List::write(folder.path(), "other", 40)?,
    );
    eu.ingest(&list, &[])?.ends(0)?;
    us.catches_up_with(&eu)?;
    let old = expired(&mut network)?;
    for node in [&eu, &us] {
        node.run(&["roster", "apply", &old])?.ends(0)?;
    }
    eu.ingest(&other, &[])?.ends(0)?;
    eu.run(&["retract", &eu.entry(&list.sha256(3))?])?.ends(0)?;
    let log = until("the retraction acts", || {
        let log = us.mirrored("eu")?;
        Ok((log.retracted == 1).then_some(log))
    })?;
    ensure!((log.deltas, log.applied, log.held) == (3, 1, 39), "{log:?}");
    us.run(&["lookup", &format!("sha256:{}", list.sha256(3))])?
        .ends(1)?;
    ensure!(
        us.lookup(&other.sha256(0))?.is_empty(),
        "a record was opened"
    );
    let told = us.read(&["status"])?;
    ensure!(
        told.code == 0
            && told.out.contains("The roster has expired: retractions act")
            && told
                .out
                .contains("  the roster has expired: apply its successor"),
        "{told:?}"
    );

    let next = network.next(&[])?;
    for node in [&eu, &us] {
        node.run(&["roster", "apply", &next])?.ends(0)?;
    }
    us.catches_up_with(&eu)?;
    ensure!(us.lookup(&other.sha256(0))?.len() == 1);
    let told = us.read(&["status"])?;
    // It is still told as something that was seen.
    ensure!(
        told.code == 0 && !told.out.contains("The roster has expired"),
        "{told:?}"
    );
    us.run(&["lookup", &format!("sha256:{}", list.sha256(3))])?
        .ends(1)?;
    Ok(())
}
