//! Deltas, retractions, new epochs, keys that are gone, and a node that is killed while it builds.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use hashpact_protocol::policy::MatchMode;
use hashpact_protocol::psi::{Answer, Ask, Epoch, RefusalCode};

use crate::common::{List, until};
use crate::served::{Client, ITEMS, Served, ask, blind, matched, strangers};

/// A file of a node's match data.
fn file(served: &Served, name: &str) -> PathBuf {
    served.eu.node.home.data().join("matching").join(name)
}

/// Asks for a new epoch, and waits until it is served.
fn rotate(served: &Served, epoch: u64) -> Result<()> {
    served.eu.node.run(&["key", "epoch"])?.ends(0)?;
    until("the new epoch is served", || {
        let status = served.eu.node.status()?.matching;
        if let Some(fault) = &status.served.fault {
            bail!("matching failed: {fault}");
        }
        Ok((status.epoch == Some(epoch)).then_some(()))
    })
}

/// Which rows of a list are found, among strangers.
async fn rows(client: &Client, session: u8, list: &List, rows: u64) -> Result<Vec<u64>> {
    let mut items = strangers(ITEMS)?;
    for row in 0..rows {
        items.push(crate::served::input(&hex::decode(list.sha256(row))?)?);
    }
    let found = matched(client, session, &items).await?;
    let found = found.into_iter().map(|at| at as u64);
    ensure!(found.clone().all(|at| at >= ITEMS), "a stranger matched");
    Ok(found.map(|at| at - ITEMS).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delta_adds_a_segment_and_a_retraction_takes_its_items_away() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let served = Served::start(folder.path(), 8)?;
    let client = served.client(1).await?;
    ensure!(rows(&client, 1, &served.list, 8).await? == [0, 1, 2, 4, 5, 6]);
    let before = client.manifest().await?;

    let more = List::write(folder.path(), "more", 4)?;
    served.eu.node.ingest(&more, &[])?.ends(0)?;
    served.builds(18)?;
    let after = client.manifest().await?;
    ensure!(after.number > before.number && after.epoch == before.epoch);
    // What was published stays as it was, so that a client fetches the new segment alone.
    for (old, new) in before.groups.iter().zip(&after.groups) {
        for (old, new) in old.artifacts.iter().zip(&new.artifacts) {
            ensure!(new.key == old.key && new.segments.starts_with(&old.segments));
            ensure!(new.segments.len() == old.segments.len() + 1);
        }
    }
    ensure!(rows(&client, 2, &more, 4).await? == [0, 1, 2]);

    let entry = served.eu.node.entry(&served.list.sha256(1))?;
    served.eu.node.run(&["retract", &entry])?.ends(0)?;
    served.builds(16)?;
    ensure!(rows(&client, 3, &served.list, 8).await? == [0, 2, 4, 5, 6]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_epoch_takes_the_points_over_and_the_one_before_the_last_is_destroyed() -> Result<()>
{
    let folder = tempfile::tempdir()?;
    let mut served = Served::start(folder.path(), 8)?;
    let client = served.client(1).await?;
    let first = client.manifest().await?;
    rotate(&served, 1)?;
    let second = client.manifest().await?;
    ensure!(second.epoch == Epoch(1));
    let keys = |manifest: &hashpact_protocol::psi::Manifest| -> Vec<[u8; 32]> {
        let artifacts = manifest.groups.iter().flat_map(|group| &group.artifacts);
        artifacts.map(|artifact| artifact.key).collect()
    };
    let (old, new) = (keys(&first), keys(&second));
    ensure!(old.len() == new.len() && !old.iter().any(|key| new.contains(key)));
    ensure!(rows(&client, 1, &served.list, 8).await? == [0, 1, 2, 4, 5, 6]);

    // The epoch before is still served: its segments, and sessions under its keys.
    for group in &first.groups {
        client.tags(&first, group.group, MatchMode::Items).await?;
    }
    let asked = ask(&first, 2, MatchMode::Items, ITEMS);
    let mut talk = client.open().await?;
    talk.begin(asked).await?;
    let blinded = blind(&asked, &strangers(ITEMS)?)?;
    talk.say(&Ask::Batch(blinded.batches[0].1.clone())).await?;
    ensure!(matches!(talk.hear().await?, Answer::Evaluated { .. }));
    ensure!(file(&served, "epoch-0.key").exists());

    // Of three there are two: the first is gone with its keys, its points and its count.
    rotate(&served, 2)?;
    for name in ["epoch-0.key", "epoch-0.count", "0"] {
        ensure!(!file(&served, name).exists(), "{name} is still there");
    }
    for name in ["epoch-1.key", "epoch-2.key", "1", "2"] {
        ensure!(file(&served, name).exists(), "{name} is gone");
    }
    let mut talk = client.open().await?;
    talk.say(&Ask::Open(ask(&first, 3, MatchMode::Items, ITEMS)))
        .await?;
    ensure!(talk.refusal().await? == RefusalCode::StaleEpoch);

    // What was built is there after a start, under the same keys.
    let third = keys(&client.manifest().await?);
    drop(client);
    served.eu.node.stop()?;
    served.eu.node.start()?;
    served.eu.node.is_sure()?;
    let client = served.client(1).await?;
    ensure!(keys(&client.manifest().await?) == third);
    ensure!(rows(&client, 4, &served.list, 8).await? == [0, 1, 2, 4, 5, 6]);

    // A member's removal begins an epoch whose keys it was never evaluated under.
    served.member("bolt", 2)?;
    served.eu.node.run(&["member", "remove", "bolt"])?.ends(0)?;
    until("the epoch after the removal", || {
        let status = served.eu.node.status()?.matching;
        Ok((status.epoch == Some(3)).then_some(()))
    })?;
    ensure!(served.client(2).await.is_err(), "it is still admitted");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_killed_while_it_builds_loses_nothing_and_publishes_what_is_there()
-> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut served = Served::start(folder.path(), 4)?;
    for round in 0..4_u64 {
        let list = List::write(folder.path(), &format!("list-{round}"), 400)?;
        served.eu.node.ingest(&list, &[])?.ends(0)?;
        tokio::time::sleep(Duration::from_millis(400 + 150 * round)).await;
        served.eu.node.kill()?;
        served.eu.node.start()?;
        served.eu.node.is_sure()?;
    }
    served.builds(6 + 4 * 600)?;
    let client = served.client(1).await?;
    let manifest = client.manifest().await?;
    for group in &manifest.groups {
        // Every segment is there, and is what the manifest says.
        client
            .tags(&manifest, group.group, MatchMode::Items)
            .await?;
    }
    let list = List::write(folder.path(), "list-2", 400)?;
    let expected: Vec<u64> = (0..40).filter(|row| row % 4 != 3).collect();
    ensure!(rows(&client, 1, &list, 40).await? == expected);
    Ok(())
}
