//! Two running centres under policy: what one may give and the other may take comes over, the rest is withheld and told, and
//! both have logged it before.

use anyhow::{Result, ensure};
use hashpact_node::daemon::WithheldStatus;

use crate::common::{List, Node, until};
use crate::document::two;
use crate::{POLICIES, profile};

/// Transfers of eu's log to us that a node logged.
fn transfers(node: &Node) -> Result<usize> {
    let events = node.status()?.events;
    let logged = events
        .iter()
        .filter(|seen| seen.kind == "transfer_logged" && seen.text.contains("eu gives us"));
    Ok(logged.count())
}

#[test]
fn what_policy_allows_comes_over_and_what_it_does_not_is_withheld_and_told() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (eu, us) = two(folder.path())?;
    profile(folder.path(), "eu-1", "EU", "US", POLICIES)?;
    profile(folder.path(), "us-1", "US", "EU", POLICIES)?;
    eu.apply(folder.path(), "eu-1")?;
    us.apply(folder.path(), "us-1")?;
    let list = List::write(folder.path(), "list", 40)?;
    eu.node.ingest(&list, &[])?.ends(0)?;
    until("us applied what eu logged", || {
        let log = us.node.mirrored("eu")?;
        Ok((log.applied == 1 && log.held == 30).then_some(()))
    })?;

    // Pictures, videos and sounds come over; text is what eu's policy does not share.
    for row in 0..40 {
        let found = us.node.lookup(&list.sha256(row))?.len();
        ensure!(found == usize::from(row % 4 != 3), "row {row}: {found}");
    }
    let withheld: Vec<WithheldStatus> = us.node.status()?.withheld;
    let [text] = withheld.as_slice() else {
        anyhow::bail!("{withheld:?}");
    };
    ensure!(text.records == 10 && text.by == "origin", "{text:?}");
    ensure!(eu.node.status()?.withheld.is_empty());
    for node in [&eu.node, &us.node] {
        ensure!(transfers(node)? == 1, "{}", node.id);
        let seen = node.status()?.events;
        // Between the two documents there was one side without: that is told, and over.
        let alarms = seen.iter().filter(|seen| seen.kind != "closed");
        let alarms: Vec<_> = alarms.filter(|seen| seen.is_alarm()).collect();
        ensure!(alarms.is_empty(), "{}: {alarms:?}", node.id);
    }

    // A retraction reaches who was not given the record.
    let text = eu.node.entry(&list.sha256(3))?;
    eu.node.run(&["retract", &text])?.ends(0)?;
    until("us applied the retraction", || {
        Ok((us.node.mirrored("eu")?.applied == 2).then_some(()))
    })?;

    // What is allowed later comes later.
    let wider = POLICIES.replace("containsAny([\"text\"])", "containsAny([\"audio\"])");
    let wider = wider.replace(
        "forbid (principal, action == Action::\"share\"",
        "forbid (principal, action == Action::\"publish\"",
    );
    profile(folder.path(), "eu-2", "EU", "US", &wider)?;
    eu.apply(folder.path(), "eu-2")?;
    until("us has what was withheld", || {
        Ok(us.node.status()?.withheld.is_empty().then_some(()))
    })?;
    ensure!(us.node.lookup(&list.sha256(7))?.len() == 1);
    // It was put after it was retracted here, and stays retracted.
    let ended = us.node.lookup(&list.sha256(3))?;
    ensure!(
        ended
            .iter()
            .all(|entry| entry["retracted"] == serde_json::json!(true)),
        "{ended:?}"
    );
    Ok(())
}
