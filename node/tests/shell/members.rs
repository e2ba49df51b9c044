//! The register of members, as an operator meets it.

use anyhow::{Result, ensure};
use hashpact_keys::Signer;
use serde_json::json;

use crate::common::Node;
use crate::{one, running};

fn key(name: &str) -> String {
    let seed = blake3::hash(format!("synthetic member {name}").as_bytes());
    Signer::from_seed(seed.as_bytes()).public().to_string()
}

fn add(node: &Node, name: &str, key: &str) -> Result<crate::common::Said> {
    node.run(&[
        "member",
        "add",
        name,
        "--key",
        key,
        "--jurisdiction",
        "US",
        "--sector",
        "hosting",
    ])
}

#[test]
fn members_are_entered_listed_and_removed_while_the_node_runs() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (mut node, _) = running(folder.path())?;
    let said = node.run(&["member", "list"])?.ends(0)?;
    ensure!(said == json!({ "members": [] }), "{said}");
    let acme = json!({
        "name": "acme", "jurisdiction": "US", "sector": "hosting", "key": key("acme"),
    });
    let said = add(&node, "acme", &key("acme"))?.ends(0)?;
    ensure!(said == acme, "{said}");
    // Said again it is the same.
    add(&node, "acme", &key("acme"))?.ends(0)?;
    add(&node, "acme", &key("other"))?.refuses(1, &["acme", "remove it first"])?;
    add(&node, "bolt", &key("acme"))?.refuses(1, &["acme has this key"])?;
    node.stop()?;
    node.start()?;
    let said = node.run(&["member", "list"])?.ends(0)?;
    ensure!(said == json!({ "members": [acme] }), "{said}");
    let shown = node.read(&["member", "list"])?;
    ensure!(
        shown.out.contains("acme") && shown.out.contains(&key("acme")),
        "{}",
        shown.out
    );
    let matching = node.status()?.matching;
    ensure!(
        matching.members == 1 && matching.epoch.is_none(),
        "{matching:?}"
    );
    node.run(&["member", "remove", "acme"])?.ends(0)?;
    node.run(&["member", "remove", "acme"])?
        .refuses(1, &["no acme"])?;
    let said = node.run(&["member", "list"])?.ends(0)?;
    ensure!(said == json!({ "members": [] }), "{said}");
    let events = node.status()?.events;
    let seen = events.iter().find(|seen| seen.kind == "member_removed");
    ensure!(seen.is_some_and(|seen| !seen.is_alarm()), "{events:?}");
    Ok(())
}

#[test]
fn a_member_that_no_centre_could_know_is_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (node, _) = running(folder.path())?;
    add(&node, "Acme", &key("acme"))?.refuses(1, &["a-z"])?;
    for weak in ["zz", &"0".repeat(64)] {
        ensure!(add(&node, "acme", weak)?.code == 2);
    }
    // Its own node's key: it would speak as this centre.
    let keys = node.run(&["key", "list"])?.ends(0)?;
    let keys = keys["keys"].as_array().into_iter().flatten();
    let own: Vec<_> = keys.filter_map(|key| key["public"].as_str()).collect();
    ensure!(!own.is_empty());
    for own in own {
        add(&node, "acme", own)?.refuses(1, &["on the roster", "eu"])?;
    }
    Ok(())
}

#[test]
fn the_register_needs_a_running_node() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (node, _) = one(folder.path())?;
    node.run(&["member", "list"])?
        .refuses(3, &["no node runs"])?;
    Ok(())
}
