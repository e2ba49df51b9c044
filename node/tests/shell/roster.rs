//! Who may be on the network, and what a change of the roster does to nodes that run.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use hashpact_keys::KeyUse;
use hashpact_keys::store::KeyFile;
use hashpact_protocol::log::{Checkpoint, ForkProof};
use serde_json::{Value, json};

use crate::common::{List, Network, Node, Over, hashpact, text, two, until};
use crate::{one, running};

#[test]
fn first_roster_needs_its_pin_and_a_node_needs_a_roster() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let node = Node::init(folder.path(), "eu", Over::Tcp)?;
    let network = Network::sign(folder.path(), &[&node], &["--demo"])?;
    node.run(&["run"])?
        .refuses(2, &["no roster", "roster apply", "--pin"])?;
    let roster = text(&network.rosters[0]);
    node.run(&["roster", "apply", &roster])?
        .refuses(2, &["--pin", "out of band"])?;
    let other = "0".repeat(64);
    let wrong = node.run(&["roster", "apply", &roster, "--pin", &other])?;
    wrong.refuses(1, &[&other, &network.pin])?;
    node.run(&["roster", "apply", &roster, "--pin", "zz"])?
        .refuses(2, &[])?;
    node.run(&["run"])?.refuses(2, &["no roster"])?;
    let applied = node
        .run(&["roster", "apply", &roster, "--pin", &network.pin])?
        .ends(0)?;
    ensure!(applied == json!({ "roster_version": 1 }), "{applied}");
    let shown = node.run(&["roster", "show", &roster])?.ends(0)?;
    ensure!(
        shown["network"] == json!(network.pin) && shown["demo"] == json!(true),
        "{shown}"
    );
    Ok(())
}

#[test]
fn centre_that_is_not_on_the_roster_is_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (eu, us) = (
        Node::init(folder.path(), "eu", Over::Tcp)?,
        Node::init(folder.path(), "us", Over::Tcp)?,
    );
    let network = Network::found(folder.path(), &[&eu])?;
    let roster = text(&network.rosters[0]);
    let said = us.run(&["roster", "apply", &roster, "--pin", &network.pin])?;
    said.refuses(2, &["us", "not on the roster"])?;
    us.run(&["run"])?.refuses(2, &["no roster"])?;
    Ok(())
}

#[test]
fn centre_joins_while_the_others_run() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (mut eu, mut us, mut network) = two(folder.path(), Over::Both)?;
    let list = List::write(folder.path(), "list", 8)?;
    eu.ingest(&list, &[])?.ends(0)?;
    let mut ca = Node::init(folder.path(), "ca", Over::Both)?;
    let next = network.next(&[&ca])?;
    for node in [&eu, &us] {
        let applied = node.run(&["roster", "apply", &next])?.ends(0)?;
        ensure!(applied == json!({ "roster_version": 2 }), "{applied}");
    }
    // The newcomer needs every version, and pins the first.
    let first = text(&network.rosters[0]);
    ca.run(&["roster", "apply", &next, "--pin", &network.pin])?
        .refuses(1, &[])?;
    ca.run(&["roster", "apply", &first, &next, "--pin", &network.pin])?
        .ends(0)?;
    ca.start()?;
    ca.catches_up_with(&eu)?;
    ca.catches_up_with(&us)?;
    let other = List::write(folder.path(), "other", 8)?;
    ca.ingest(&other, &[])?.ends(0)?;
    for node in [&eu, &us] {
        node.catches_up_with(&ca)?;
        ensure!(node.lookup(&other.sha256(7))?.len() == 1);
    }
    ensure!(
        eu.ended()?.is_none() && us.ended()?.is_none(),
        "a node ended"
    );

    // And leaves: its connections close.
    let third = folder.path().join("roster-3.txt");
    let (from, root, out) = (next, text(&network.root), text(&third));
    let args = [
        "roster", "new", "--from", &from, "--root", &root, "--remove", "ca", "--out", &out,
    ];
    hashpact(args)?.ends(0)?;
    for node in [&eu, &us] {
        node.run(&["roster", "apply", &out])?.ends(0)?;
        let centres: Vec<String> = node
            .status()?
            .peers
            .into_iter()
            .map(|peer| peer.centre)
            .collect();
        ensure!(!centres.contains(&"ca".to_owned()), "{centres:?}");
    }
    until("ca is alone", || {
        Ok(ca.status()?.peers.iter().all(|peer| !peer.up).then_some(()))
    })
}

#[test]
fn centre_that_moves_enrols_again_with_its_old_keys() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (mut eu, us, mut network) = two(folder.path(), Over::Tcp)?;
    eu.stop()?;
    let config = fs::read_to_string(eu.home.config())?;
    let moved = Node::init(&folder.path().join("moved"), "eu", Over::Tcp)?;
    let new = fs::read_to_string(moved.home.config())?;
    let addresses = |text: &str| -> Result<Value> {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("addresses = "));
        Ok(serde_json::from_str(line.context("no addresses")?)?)
    };
    ensure!(
        addresses(&config)? != addresses(&new)?,
        "the same port twice"
    );
    fs::write(eu.home.config(), &new)?;
    let before = fs::read(eu.home.enrolment())?;
    let answer = eu.run(&["enrol"])?.ends(0)?;
    ensure!(
        answer["enrolment"] == json!(eu.home.enrolment()),
        "{answer}"
    );
    ensure!(
        fs::read(eu.home.enrolment())? != before,
        "the enrolment is the old one"
    );
    let next = network.next(&[&eu])?;
    let shown = us.run(&["roster", "show", &next])?.ends(0)?;
    ensure!(
        shown["centres"][0]["addresses"] == addresses(&new)?,
        "{shown}"
    );
    for node in [&eu, &us] {
        node.run(&["roster", "apply", &next])?.ends(0)?;
    }
    eu.start()?;
    let list = List::write(folder.path(), "list", 4)?;
    eu.ingest(&list, &[])?.ends(0)?;
    us.catches_up_with(&eu)
}

#[test]
fn roster_that_does_not_follow_is_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (mut node, mut network) = running(folder.path())?;
    let first = text(&network.rosters[0]);
    let second = network.next(&[])?;
    let third = network.next(&[])?;
    let expected = |at: u64, got: u64| format!("expected roster version {at}, got {got}");
    node.run(&["roster", "apply", &third])?
        .refuses(1, &[&expected(2, 3)])?;
    node.run(&["roster", "apply", &first])?
        .refuses(1, &[&expected(2, 1)])?;
    // Another root key than the network's.
    let strange = tempfile::tempdir()?;
    let other = Network::sign(strange.path(), &[&node], &["--demo"])?;
    let forged = text(&strange.path().join("forged.txt"));
    let root = text(&other.root);
    hashpact([
        "roster", "new", "--from", &first, "--root", &root, "--out", &forged,
    ])?
    .ends(0)?;
    node.run(&["roster", "apply", &forged])?
        .refuses(1, &["signatures"])?;
    let garbage = folder.path().join("garbage.txt");
    fs::write(&garbage, "not a roster\n")?;
    node.run(&["roster", "apply", &text(&garbage)])?
        .refuses(2, &["garbage.txt"])?;
    ensure!(node.status()?.roster_version == 1);
    node.run(&["roster", "apply", &second])?.ends(0)?;
    // The stopped node keeps the same rules.
    node.stop()?;
    node.run(&["roster", "apply", &second])?
        .refuses(1, &[&expected(3, 2)])?;
    let applied = node.run(&["roster", "apply", &third])?.ends(0)?;
    ensure!(applied == json!({ "roster_version": 3 }), "{applied}");
    node.start()?;
    ensure!(node.status()?.roster_version == 3);
    Ok(())
}

#[test]
fn roster_that_would_never_be_valid_is_not_made() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (node, network) = one(folder.path())?;
    let (from, root) = (text(&network.rosters[0]), text(&network.root));
    let out = text(&folder.path().join("next.txt"));
    let args = [
        "roster", "new", "--from", &from, "--root", &root, "--out", &out,
    ];
    node.run(&[&args[..], &["--days", "0"]].concat())?
        .refuses(2, &["not before its end"])?;
    node.run(&[&args[..], &["--remove", "eu"]].concat())?
        .refuses(2, &["centres is empty"])?;
    ensure!(!Path::new(&out).exists(), "a refused roster was written");
    Ok(())
}

/// A centre that could change its line in passing could leave a history behind that it does not like.
#[test]
fn a_line_changes_for_a_fork_proof_and_for_nothing_else() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (eu, us) = (
        Node::init(folder.path(), "eu", Over::Tcp)?,
        Node::init(folder.path(), "us", Over::Tcp)?,
    );
    let network = Network::found(folder.path(), &[&eu, &us])?;
    let (root, from) = (
        text(&folder.path().join("root.key")),
        text(&network.rosters[0]),
    );
    let out = text(&folder.path().join("roster-2.txt"));
    let new = |more: &[&str]| {
        let base = [
            "roster", "new", "--from", &from, "--root", &root, "--out", &out,
        ];
        hashpact([&base[..], more].concat())
    };
    // An enrolment that names the next epoch.
    let config = eu.home.path().join("hashpact.toml");
    let written = fs::read_to_string(&config)?;
    fs::write(
        &config,
        written.replace("eu.example/eu/1", "eu.example/eu/2"),
    )?;
    eu.run(&["enrol"])?.ends(0)?;
    fs::write(&config, written)?;
    let enrolment = text(&eu.home.path().join("enrolment.txt"));
    new(&["--enrol", &enrolment])?.refuses(1, &["eu.example/eu/2", "--resume"])?;
    // Two heads of one size under its log key, and one that is none of another size.
    let signer = KeyFile::load(&eu.home.path().join("keys/log.key"), KeyUse::Log)?;
    let head = |size, root| {
        let origin = "eu.example/eu/1".parse()?;
        anyhow::Ok(
            Checkpoint { origin, size, root }
                .sign(&signer)
                .note()
                .to_vec(),
        )
    };
    let proof = ForkProof::checkpoints(&head(1, [1; 32])?, &head(1, [2; 32])?, vec![], None, None)?;
    let file = folder.path().join("fork");
    fs::write(&file, proof.to_text())?;
    let made = new(&["--resume", &text(&file)])?.ends(0)?;
    ensure!(
        made["centres"][0]["origin"] == json!("eu.example/eu/2"),
        "{made}"
    );
    ensure!(
        made["centres"][1]["origin"] == json!("us.example/us/1"),
        "{made}"
    );
    let bent = proof.to_text().replacen("common 0", "common 1", 1);
    fs::write(&file, bent)?;
    new(&["--resume", &text(&file)])?.refuses(1, &["fork proof"])?;
    Ok(())
}
