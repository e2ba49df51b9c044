//! A commit that fails at each of its steps: the process ends, and starting again is all that is needed.

use std::fs;

use anyhow::{Result, bail, ensure};
use serde_json::json;

use crate::common::{List, Network, Node, Over, until};
use crate::ledger::ROWS;
use crate::watcher::Watcher;

#[test]
fn a_commit_that_fails_at_any_step_ends_the_process_and_the_ingest_can_be_repeated() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut prepared = Node::init(folder.path(), "eu", Over::Tcp)?;
    Network::found(folder.path(), &[&prepared])?;
    // Two classes; the list brings two more, so that both kinds of commit are met.
    let first = List::write(folder.path(), "first", 2)?;
    let list = List::write(folder.path(), "list", ROWS)?;
    prepared.start()?;
    ensure!(prepared.ingest(&first, &[])?.code == 0);
    prepared.stop()?;
    let (mut stops, mut before, mut after) = (0, 0, 0);
    for stop in 0.. {
        let home = folder.path().join(format!("s{stop}"));
        let mut node = prepared.copy_to(&home)?;
        let outlived = stopped_at(&mut node, &list, stop)?;
        let mut watcher = Watcher::of(&node)?;
        let shown = watcher.look()?;
        node.start()?;
        let own = node.status()?.own;
        let (held, size) = (own.held, own.size);
        ensure!(
            shown <= size,
            "step {stop}: {shown} leaves were shown, {size} are there"
        );
        watcher.check(size)?;
        match held {
            2 => before += 1,
            402 => after += 1,
            other => bail!("step {stop}: {other} entries held"),
        }
        let answer = node.ingest(&list, &[])?.ends(0)?;
        let known = json!(held - 2);
        ensure!(
            answer["summary"]["unchanged"] == known,
            "step {stop}: {answer}"
        );
        let own = node.status()?.own;
        let counts = (own.size, own.deltas, own.applied, own.held, own.retracted);
        // The roster, twice two classes and a delta.
        ensure!(counts == (5, 2, 2, 402, 0), "step {stop}: {own:?}");
        ensure!(
            node.lookup(&list.sha256(ROWS - 1))?.len() == 1,
            "step {stop}"
        );
        node.stop()?;
        fs::remove_dir_all(home)?;
        if outlived {
            ensure!(
                held == 402,
                "step {stop} was not reached, and the list is not held"
            );
            break;
        }
        stops += 1;
    }
    eprintln!("{stops} stops, {before} without the list and {after} with it");
    ensure!(
        stops > 20 && before > 20 && after > 1,
        "{stops} stops, {before} and {after}"
    );
    Ok(())
}

/// Starts a copy of a home that ends at durable step `stop`, and ingests. Whether the process outlived the ingest.
fn stopped_at(node: &mut Node, list: &List, stop: u64) -> Result<bool> {
    node.spawn(&["--stop-at-step", &stop.to_string()])?;
    let answers = until("the node answers or ends", || {
        Ok(if node.status().is_ok() {
            Some(true)
        } else {
            node.ended()?.map(|_| false)
        })
    })?;
    let said = if answers {
        Some(node.ingest(list, &[])?)
    } else {
        None
    };
    if said.as_ref().is_some_and(|said| said.code == 0) && node.ended()?.is_none() {
        // The last steps only tidy up: their failure shows at the next commit, or never.
        let outlived = said.is_some_and(|said| said.json().is_ok());
        node.kill()?;
        return Ok(outlived);
    }
    let status = until("the node ends by itself", || node.ended())?;
    ensure!(
        status.code() == Some(3),
        "step {stop}: it ended with {status}"
    );
    let log = node.log()?;
    let last = log.lines().last().unwrap_or_default();
    // Tidying up after a commit is allowed to fail: the next commit then meets the stop.
    let says = |step: u64| log.contains(&format!("stopped before durable step {step} "));
    ensure!(
        log.contains("commit failed") || !answers,
        "step {stop}: {last}"
    );
    ensure!(says(stop) || says(stop + 1), "step {stop}: {last}");
    Ok(false)
}
