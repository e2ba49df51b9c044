//! The main job, step by step: four centres ingest and exchange their lists, one retracts, a fifth joins, three attacks fail.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use hashpact_node::daemon::Status;
use serde_json::{Value, json};

use crate::adversary::{Adversary, Attack};
use crate::cluster::Cluster;
use crate::lists::{self, List};
use crate::outcome::{CentreOutcome, Outcome};
use crate::watching::Watch;

/// The founding peers.
const CENTRES: [(&str, &str); 4] = [("eu", "EU"), ("us", "US"), ("ca", "CA"), ("au", "AU")];
/// The one that joins.
const NEWCOMER: (&str, &str) = ("nz", "NZ");
/// How long centres on one machine may take to hold the same.
const CONVERGE: Duration = Duration::from_secs(300);
/// How long a retraction, or the answer to an attack, may take.
const REACT: Duration = Duration::from_secs(60);

/// Whether a centre of this name ingests a list.
#[must_use]
pub fn has_list(centre: &str) -> bool {
    CENTRES
        .iter()
        .chain([&NEWCOMER])
        .any(|(id, _)| *id == centre)
}

/// What a person asked for.
#[derive(Debug, Default)]
pub struct Plan {
    /// One's own lists by centre.
    pub lists: BTreeMap<String, PathBuf>,
    /// Synthetic entries a centre.
    pub entries: Option<u64>,
    /// Whether the homes stay.
    pub keep: bool,
    /// Whether standard output is somebody's JSON.
    pub quiet: bool,
}

struct Run<'a> {
    plan: &'a Plan,
    cluster: Cluster,
    lists: BTreeMap<String, List>,
    watch: Watch,
    outcome: Outcome,
}

/// Runs it all.
///
/// # Errors
/// Fails if something could not be carried out; a check that does not hold is no error but part of the outcome.
pub fn run(plan: &Plan) -> Result<Outcome> {
    let folder = tempfile::Builder::new().prefix("hashpact-").tempdir()?;
    let mut watch = Watch::default();
    watch.say(&format!(
        "Making four centres in {}",
        folder.path().display()
    ));
    let cluster = Cluster::create(folder.path(), &CENTRES)?;
    let mut run = Run {
        plan,
        cluster,
        lists: BTreeMap::new(),
        watch,
        outcome: Outcome::default(),
    };
    let done = run.steps();
    let logs = run.log_tails(&done);
    let Run {
        cluster,
        outcome,
        mut watch,
        ..
    } = run;
    if plan.keep {
        let kept = folder.keep();
        watch.say(&format!("Kept in {}. For example:", kept.display()));
        for node in &cluster.nodes {
            watch.say(&format!(
                "  hashpact-testnet node --home {} run",
                node.home.path().display()
            ));
        }
        watch.say("and in another terminal `status`, `lookup` or `retract` with the same --home.");
    }
    done.map_err(|error| error.context(logs))?;
    Ok(outcome)
}

impl Run<'_> {
    fn steps(&mut self) -> Result<()> {
        self.cluster.start()?;
        self.ingest_all()?;
        self.converge("converged")?;
        self.retract()?;
        self.join()?;
        self.attacks()?;
        let statuses = self.cluster.statuses()?;
        self.outcome.centres = statuses.iter().map(CentreOutcome::from).collect();
        self.watch.say("Stopping");
        self.cluster.stop()
    }

    fn list(&self, centre: &str, jurisdiction: &str) -> Result<List> {
        let folder = &self.cluster.folder;
        if let Some(file) = self.plan.lists.get(centre) {
            return Ok(lists::own(file)?);
        }
        Ok(match self.plan.entries {
            Some(entries) => lists::synthetic(centre, jurisdiction, entries, folder)?,
            None => lists::carried(centre, folder)?,
        })
    }

    fn ingest_all(&mut self) -> Result<()> {
        self.watch.say("Each centre ingests its own list");
        for (centre, jurisdiction) in CENTRES {
            let list = self.list(centre, jurisdiction)?;
            self.lists.insert(centre.to_owned(), list);
        }
        let (cluster, lists) = (&self.cluster, &self.lists);
        let started = Instant::now();
        let answers: Vec<Result<(String, Value)>> = std::thread::scope(|scope| {
            let ingest = |node: &'_ crate::cluster::Node| -> Result<(String, Value)> {
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
        for answer in answers {
            let (centre, json) = answer?;
            let accepted = json["summary"]["accepted"].as_f64().unwrap_or(0.0);
            self.outcome
                .figure(format!("ingested_{centre}"), accepted, "entries");
        }
        self.outcome
            .figure("ingest_all", started.elapsed().as_secs_f64(), "s");
        Ok(())
    }

    /// Waits until every centre holds what the rule of a demonstration allows: everything.
    fn converge(&mut self, check: &'static str) -> Result<()> {
        self.watch
            .say("Signed deltas travel until every centre holds what it may hold");
        let started = Instant::now();
        let waited = self.watch.until(&self.cluster, CONVERGE, check, all_equal);
        let (ok, detail) = match &waited {
            Ok(statuses) => (true, holdings(statuses)),
            Err(error) => (false, error.to_string()),
        };
        self.outcome.figure(
            format!("{check}_after"),
            started.elapsed().as_secs_f64(),
            "s",
        );
        self.outcome.check(check, ok, detail);
        Ok(())
    }

    fn retract(&mut self) -> Result<()> {
        let list = self.lists.get("eu").context("a list of eu")?;
        let fingerprint = lists::first_fingerprint(list)?;
        let found = self.cluster.node("eu")?.lookup(&fingerprint)?;
        let own = found.iter().find(|entry| entry["centre"] == json!("eu"));
        let entry = own
            .and_then(|entry| entry["entry"].as_str())
            .context("eu holds its own list")?;
        self.watch.say(&format!("eu retracts entry {entry}"));
        let started = Instant::now();
        self.cluster.node("eu")?.shell_ok(&["retract", entry])?;
        let gone = |node: &crate::cluster::Node| -> Result<bool> {
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
        self.outcome.figure(
            "retraction_everywhere",
            started.elapsed().as_secs_f64() * 1e3,
            "ms",
        );
        self.outcome.check("retraction_arrived", ok, detail);
        Ok(())
    }

    fn join(&mut self) -> Result<()> {
        let (id, jurisdiction) = NEWCOMER;
        self.watch
            .say("A fifth centre, nz, joins while the four run");
        let list = self.list(id, jurisdiction)?;
        let started = Instant::now();
        self.cluster.join(id, jurisdiction)?;
        let expected: u64 = self.cluster.node("eu")?.status()?.own.held;
        let caught_up = self
            .watch
            .until(&self.cluster, CONVERGE, "nz catches up", |all| {
                all.last().is_some_and(|nz| held_of(nz, "eu") == expected) && all_equal(all)
            });
        let seconds = started.elapsed().as_secs_f64();
        let caught_up = caught_up.map(|_| ()).and_then(|()| {
            self.cluster.node(id)?.ingest(&list)?;
            self.watch
                .until(&self.cluster, CONVERGE, "nz's list arrives", all_equal)
        });
        let (ok, detail) = match &caught_up {
            Ok(statuses) => (true, holdings(statuses)),
            Err(error) => (false, error.to_string()),
        };
        self.outcome
            .figure("fifth_centre_caught_up_after", seconds, "s");
        self.outcome.check("fifth_centre_joined", ok, detail);
        Ok(())
    }

    fn attacks(&mut self) -> Result<()> {
        self.watch
            .say("An adversary has nz's keys, and tries three attacks");
        self.cluster.node_mut("nz")?.stop()?;
        let adversary = Adversary::with_keys_of(&self.cluster)?;
        let nz = self.cluster.nodes.pop();
        for attack in Attack::ALL {
            let target = self.cluster.node(attack.target())?;
            let before = target.status()?;
            let after = adversary.run(attack, target, REACT);
            let (ok, detail) = match after {
                Ok(after) => attack.judge(&before, &after),
                Err(error) => (false, format!("{error:#}")),
            };
            self.outcome.check(attack.check(), ok, detail);
        }
        drop(nz);
        Ok(())
    }

    /// The end of each node's log, for a run that could not be carried out.
    fn log_tails<T>(&self, done: &Result<T>) -> String {
        if done.is_ok() {
            return String::new();
        }
        let tail = |node: &crate::cluster::Node| {
            let text = std::fs::read_to_string(node.log_file()).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            let last = lines[lines.len().saturating_sub(12)..].join("\n    ");
            format!("{} said last:\n    {last}", node.id)
        };
        self.cluster
            .nodes
            .iter()
            .map(tail)
            .collect::<Vec<_>>()
            .join("\n")
    }
}

fn held_of(status: &Status, centre: &str) -> u64 {
    let logs = std::iter::once(&status.own).chain(&status.mirrored);
    logs.filter(|log| log.centre == centre)
        .map(|log| log.held)
        .sum()
}

/// Whether every centre mirrors every log to its end, has applied every delta, and holds as many entries of each origin as
/// the origin does.
fn all_equal(statuses: &[Status]) -> bool {
    statuses.iter().all(|origin| {
        let own = &origin.own;
        let others = statuses
            .iter()
            .filter(|status| status.centre != origin.centre);
        own.size > 1
            && others.into_iter().all(|status| {
                status.mirrored.iter().any(|log| {
                    log.origin == own.origin
                        && (log.size, log.applied, log.held, log.retracted)
                            == (own.size, own.applied, own.held, own.retracted)
                })
            })
    })
}

fn holdings(statuses: &[Status]) -> String {
    let one = |status: &Status| {
        let logs = std::iter::once(&status.own).chain(&status.mirrored);
        format!(
            "{} {}",
            status.centre,
            logs.map(|log| log.held).sum::<u64>()
        )
    };
    format!(
        "entries held: {}",
        statuses.iter().map(one).collect::<Vec<_>>().join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::tests::{log, status};

    /// Two centres that hold the same.
    fn equal() -> [Status; 2] {
        [
            status(log("eu", 4), vec![log("us", 6)]),
            status(log("us", 6), vec![log("eu", 4)]),
        ]
    }

    #[test]
    fn centres_that_hold_the_same_are_equal() {
        assert!(all_equal(&equal()));
        // What is on its way to be signed or seen does not count, nor what a mirror believes is still to come.
        let mut more = equal();
        more[0].mirrored[0].head += 1;
        assert!(all_equal(&more));
    }

    #[test]
    fn any_difference_is_noticed() {
        type Change = fn(&mut [Status; 2]);
        let changes: [(&str, Change); 10] = [
            ("a log mirrored in part", |all| all[0].mirrored[0].size -= 1),
            ("a delta not applied", |all| all[1].mirrored[0].applied -= 1),
            ("an entry not held", |all| all[1].mirrored[0].held -= 1),
            ("an entry too many", |all| all[1].mirrored[0].held += 1),
            ("a retraction not applied", |all| all[0].own.retracted += 1),
            ("a log not mirrored", |all| all[0].mirrored.clear()),
            ("another log of that centre", |all| {
                all[0].mirrored[0].origin.push('0')
            }),
            ("an origin that grew", |all| all[1].own.size += 1),
            ("an origin without a list", |all| {
                all[0].own = log("eu", 1);
                all[1].mirrored[0] = log("eu", 1);
            }),
            ("an origin that shrank", |all| all[0].own.size -= 1),
        ];
        for (what, change) in changes {
            let mut all = equal();
            change(&mut all);
            assert!(!all_equal(&all), "{what}");
        }
    }

    #[test]
    fn every_pair_counts() {
        let of =
            |own: &str, others: [&str; 2]| status(log(own, 3), others.map(|id| log(id, 3)).into());
        let mut all = [
            of("ca", ["eu", "us"]),
            of("eu", ["ca", "us"]),
            of("us", ["ca", "eu"]),
        ];
        assert!(all_equal(&all));
        all[2].mirrored[1].held -= 1;
        assert!(!all_equal(&all));
        assert_eq!(holdings(&all), "entries held: ca 6, eu 6, us 5");
    }

    #[test]
    fn holdings_are_counted_by_origin() {
        let [eu, us] = equal();
        assert_eq!(
            (held_of(&eu, "eu"), held_of(&eu, "us"), held_of(&us, "nz")),
            (3, 5, 0)
        );
    }
}
