//! The main job, step by step: four centres ingest and exchange their lists under the eyes of their witnesses, one retracts,
//! a fifth joins, an auditor verifies all logs, three attacks fail, and a log with two faces is frozen.
//!
//! | file | answers |
//! |---|---|
//! | `network` | how lists travel, and how a centre joins |
//! | `equal` | whether centres hold the same |
//! | `witness` | whether each log is witnessed, and what goes on without the auditor |
//! | `audit` | what another process verifies with nothing but the logs |
//! | `flip` | which bit is flipped for it, and where it must find that |
//! | `fork` | what becomes of attacks, and of a log with two faces |

mod audit;
mod equal;
mod flip;
mod fork;
mod network;
mod witness;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Result;

use crate::cluster::{Auditor, Cluster};
use crate::governed::Governed;
use crate::lists::{self, List};
use crate::outcome::{CentreOutcome, Outcome};
use crate::watching::Watch;

/// The founding peers.
const CENTRES: [(&str, &str); 4] = [("eu", "EU"), ("us", "US"), ("ca", "CA"), ("au", "AU")];
/// The one that joins.
const NEWCOMER: (&str, &str) = ("nz", "NZ");
/// Who witnesses and is no centre.
const AUDITOR: &str = "auditor.example/w1";
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
    /// Chooses the bit that is flipped in the auditor's copy.
    pub seed: u64,
    /// Whether the homes stay.
    pub keep: bool,
    /// Whether only the network under four laws runs.
    pub policy: bool,
    /// Whether only private matching in that network runs.
    pub matching: bool,
    /// Whether only a provider's copy in that network runs.
    pub subset: bool,
}

struct Run<'a> {
    plan: &'a Plan,
    cluster: Cluster,
    lists: BTreeMap<String, List>,
    watch: Watch,
    outcome: Outcome,
}

/// Runs it all: the network on which everybody may have everything, then the one under four laws.
///
/// # Errors
/// Fails if something could not be carried out; a check that does not hold is no error but part of the outcome.
pub fn run(plan: &Plan) -> Result<Outcome> {
    let folder = tempfile::Builder::new().prefix("hashpact-").tempdir()?;
    let (mut watch, mut outcome) = (Watch::default(), Outcome::default());
    let mut kept = Vec::new();
    let mut done = Ok(());
    if !plan.policy && !plan.matching && !plan.subset {
        let cluster;
        (cluster, watch, outcome, done) = open_network(plan, folder.path(), watch)?;
        kept.push(cluster);
    }
    if done.is_ok() {
        let cluster;
        (cluster, done) = four_laws(plan, folder.path(), &mut watch, &mut outcome)?;
        kept.push(cluster);
    }
    let logs = log_tails(&kept, &done);
    if plan.keep {
        let folder = folder.keep();
        for cluster in &kept {
            say_what_is_kept(&folder, cluster, &mut watch);
        }
    }
    done.map_err(|error| error.context(logs))?;
    Ok(outcome)
}

/// What is left of a network's run: its cluster, and whether it could be carried out.
type Left = (Cluster, Watch, Outcome, Result<()>);

fn open_network(plan: &Plan, folder: &Path, mut watch: Watch) -> Result<Left> {
    watch.say(&format!(
        "Making four centres and an auditor in {}",
        folder.display()
    ));
    let auditor = Auditor::init(folder, AUDITOR)?;
    let cluster = Cluster::create(folder, &CENTRES, vec![auditor])?;
    let mut run = Run {
        plan,
        cluster,
        lists: BTreeMap::new(),
        watch,
        outcome: Outcome::default(),
    };
    let done = run.steps();
    let Run {
        cluster,
        watch,
        outcome,
        ..
    } = run;
    Ok((cluster, watch, outcome, done))
}

fn four_laws(
    plan: &Plan,
    folder: &Path,
    watch: &mut Watch,
    outcome: &mut Outcome,
) -> Result<(Cluster, Result<()>)> {
    let folder = folder.join("laws");
    watch.say(&format!(
        "Making four centres under four laws, and three auditors, in {}",
        folder.display()
    ));
    let mut governed = Governed::create(&folder, &CENTRES, plan.seed, watch, outcome)?;
    let done = match (plan.matching, plan.subset) {
        (true, _) => governed.matching_steps(),
        (_, true) => governed.subset_steps(),
        (false, false) => governed.steps(),
    };
    Ok((governed.into_cluster(), done))
}

fn say_what_is_kept(folder: &Path, cluster: &Cluster, watch: &mut Watch) {
    watch.say(&format!("Kept in {}. For example:", folder.display()));
    for node in &cluster.nodes {
        watch.say(&format!(
            "  hashpact-testnet node --home {} run",
            node.home.path().display()
        ));
    }
    watch.say("and in another terminal `status`, `lookup` or `retract` with the same --home.");
    let paths = audit::Paths::below(&cluster.folder);
    watch.say(&format!("The network's hash: {}", cluster.pin));
    for (what, path) in [
        ("The auditor's copy of all logs", &paths.logs),
        ("The same with one bit flipped", &paths.flipped),
        ("The same after nz's log was forked", &paths.forked),
        ("The report as a page", &paths.html),
        ("The report as JSON", &paths.json),
    ] {
        if path.exists() {
            watch.say(&format!("{what}: {}", path.display()));
        }
    }
    for node in &cluster.nodes {
        let logs = node.home.data().join("logs");
        watch.say(&format!(
            "The logs that {} serves: {}",
            node.id,
            logs.display()
        ));
    }
}

fn seconds(since: SystemTime, to: SystemTime) -> f64 {
    // What happened before counts as no time.
    to.duration_since(since).unwrap_or_default().as_secs_f64()
}

impl Run<'_> {
    fn steps(&mut self) -> Result<()> {
        self.cluster.start()?;
        let ended = self.ingest_all()?;
        let mut witnessed = vec![self.quorum(ended)];
        self.converge(ended);
        witnessed.push(self.receipts(ended));
        self.cluster.auditor_mut()?.stop()?;
        self.retract()?;
        witnessed.push(self.quorum_without_auditor());
        self.cluster.auditor_mut()?.start()?;
        self.check_all("quorum_reached", witnessed);
        self.join()?;
        self.audit()?;
        self.attacks_and_fork()?;
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

    /// Records a check that holds if everything was seen, in the words of each, or of the first that was not.
    fn check_all(&mut self, name: &'static str, seen: Vec<Result<String>>) {
        let all: Result<Vec<String>> = seen.into_iter().collect();
        match all {
            Ok(details) => self.outcome.check(name, true, details.join("; ")),
            Err(error) => self.outcome.check(name, false, format!("{error:#}")),
        }
    }
}

/// The end of each process's log, for a run that could not be carried out.
fn log_tails<T>(clusters: &[Cluster], done: &Result<T>) -> String {
    if done.is_ok() {
        return String::new();
    }
    let tail = |(name, file): (&str, PathBuf)| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let last = lines[lines.len().saturating_sub(12)..].join("\n    ");
        format!("{name} said last:\n    {last}")
    };
    let Some(cluster) = clusters.last() else {
        return String::new();
    };
    let nodes = cluster.nodes.iter();
    let nodes = nodes.map(|node| (node.id.as_str(), node.log_file()));
    let auditors = cluster.auditors.iter();
    let auditors = auditors.map(|auditor| (auditor.name.as_str(), auditor.log_file()));
    let tails: Vec<String> = nodes.chain(auditors).map(tail).collect();
    tails.join("\n")
}
