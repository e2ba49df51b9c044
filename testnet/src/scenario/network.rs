//! How lists travel: taken in at each centre, mirrored, taken back, and caught up on by a centre that joins.

use std::time::{Instant, SystemTime};

use anyhow::{Context as _, Result, anyhow};
use serde_json::{Value, json};

use super::equal::{all_equal, held_of, holdings};
use super::witness::is_witnessed;
use super::{CENTRES, CONVERGE, NEWCOMER, REACT, Run, seconds};
use crate::cluster::Node;
use crate::lists;

impl Run<'_> {
    /// Takes every list in, side by side; when the last one was.
    pub(super) fn ingest_all(&mut self) -> Result<SystemTime> {
        self.watch.say("Each centre ingests its own list");
        for (centre, jurisdiction) in CENTRES {
            let list = self.list(centre, jurisdiction)?;
            self.lists.insert(centre.to_owned(), list);
        }
        let (cluster, lists) = (&self.cluster, &self.lists);
        let started = Instant::now();
        let answers: Vec<Result<(String, Value)>> = std::thread::scope(|scope| {
            let ingest = |node: &'_ Node| -> Result<(String, Value)> {
                let list = lists.get(&node.id).context("a list for every centre")?;
                Ok((node.id.clone(), node.ingest(list)?))
            };
            let threads: Vec<_> = cluster
                .nodes
                .iter()
                .map(|node| scope.spawn(move || ingest(node)))
                .collect();
            let joined = threads.into_iter().map(|thread| thread.join());
            joined
                .map(|done| done.unwrap_or_else(|_| Err(anyhow!("a thread failed"))))
                .collect()
        });
        let (ended, seconds) = (SystemTime::now(), started.elapsed().as_secs_f64());
        for answer in answers {
            let (centre, json) = answer?;
            let accepted = json["summary"]["accepted"].as_f64().unwrap_or(0.0);
            self.outcome
                .figure(format!("ingested_{centre}"), accepted, "entries");
        }
        self.outcome.figure("ingest_all", seconds, "s");
        Ok(ended)
    }

    /// Waits until every centre holds what the rule of a demonstration allows: everything.
    pub(super) fn converge(&mut self, since: SystemTime) {
        self.watch
            .say("Signed deltas travel until every centre holds what it may hold");
        let waited = self
            .watch
            .until(&self.cluster, CONVERGE, "converged", all_equal);
        let seconds = seconds(since, SystemTime::now());
        self.outcome.figure("converged_after", seconds, "s");
        self.check_all("converged", vec![waited.map(|all| holdings(&all))]);
    }

    pub(super) fn retract(&mut self) -> Result<()> {
        let list = self.lists.get("eu").context("a list of eu")?;
        let fingerprint = lists::first_fingerprint(list)?;
        let found = self.cluster.node("eu")?.own_entry(&fingerprint)?;
        let entry = found["entry"].as_str().context("an entry has an id")?;
        self.watch.say(&format!(
            "eu retracts entry {entry}; the auditor's witness is away meanwhile"
        ));
        let started = Instant::now();
        self.cluster.node("eu")?.shell_ok(&["retract", entry])?;
        let gone = |node: &Node| -> Result<bool> {
            let entries = node.lookup(&fingerprint)?;
            Ok(entries
                .iter()
                .any(|found| found["entry"] == json!(entry) && found["retracted"] == json!(true)))
        };
        let mut waiting: Vec<_> = self.cluster.nodes.iter().collect();
        while !waiting.is_empty() && started.elapsed() < REACT {
            let mut still = Vec::new();
            for node in waiting {
                if !gone(node)? {
                    still.push(node);
                }
            }
            waiting = still;
        }
        let ok = waiting.is_empty();
        let names: Vec<&str> = waiting.iter().map(|node| node.id.as_str()).collect();
        let detail = if ok {
            format!("retracted at all {} centres", self.cluster.nodes.len())
        } else {
            format!("still matching at {}", names.join(", "))
        };
        let milliseconds = started.elapsed().as_secs_f64() * 1e3;
        self.outcome
            .figure("retraction_everywhere", milliseconds, "ms");
        self.outcome.check("retraction_arrived", ok, detail);
        Ok(())
    }

    pub(super) fn join(&mut self) -> Result<()> {
        let (id, jurisdiction) = NEWCOMER;
        self.watch
            .say("A fifth centre, nz, joins while the four run, and witnesses with them");
        let list = self.list(id, jurisdiction)?;
        self.lists.insert(id.to_owned(), list.clone());
        let started = Instant::now();
        self.cluster.join(id, jurisdiction)?;
        let expected: u64 = self.cluster.node("eu")?.status()?.own.held;
        let caught_up = self
            .watch
            .until(&self.cluster, CONVERGE, "nz catches up", |all| {
                all.last().is_some_and(|nz| held_of(nz, "eu") == expected) && all_equal(all)
            });
        let seconds = started.elapsed().as_secs_f64();
        let joined = caught_up.and_then(|_| {
            self.cluster.node(id)?.ingest(&list)?;
            let done = |all: &[_]| all_equal(all) && is_witnessed(all);
            let what = "nz's list arrives, and each log has its new quorum";
            let all = self.watch.until(&self.cluster, CONVERGE, what, done)?;
            let quorum = all.last().map_or(0, |nz| nz.own.quorum);
            let holdings = holdings(&all);
            Ok(format!(
                "{holdings}; each log is witnessed by the new quorum of {quorum}"
            ))
        });
        self.outcome
            .figure("fifth_centre_caught_up_after", seconds, "s");
        self.check_all("fifth_centre_joined", vec![joined]);
        Ok(())
    }
}
