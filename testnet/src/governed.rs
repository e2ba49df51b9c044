//! The second network of a run: four centres under four laws. Each logs its profile, signed twice; mixed lists are taken in; and
//! what every centre holds is compared, entry by entry, with a filter that does not use the policy engine.
//!
//! Why a second network: the first one shows the ground on which everybody may have everything, so that a difference is a
//! fault; here a difference is the point.
//!
//! | file | answers |
//! |---|---|
//! | `stock` | who should hold what, and who does |
//! | `matrix` | what went where and why |
//! | `paths` | whether a restricted class gets around by other ways |
//! | `newcomer` | whether a fifth jurisdiction needs more than files |
//! | `recall` | what happens when a profile narrows, and when it widens again |
//! | `provider` | what a provider finds that checks its list, and what of it gets out |
//! | `subset` | what a provider gets that keeps a copy, and what it finds in a folder with it |
//! | `replay` | what an auditor finds in the logs and their openings |

mod matrix;
mod newcomer;
mod paths;
mod provider;
mod recall;
mod replay;
mod stock;
mod subset;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use hashpact_node::daemon::LogStatus;

use crate::cluster::{Auditor, Cluster, Node};
use crate::filter::Laws;
use crate::mixed::Mixed;
use crate::outcome::Outcome;
use crate::watching::Watch;
use stock::Stock;

/// Auditors whose witnesses cosign, so many that a quorum is there when only two of the four centres are.
const AUDITORS: [&str; 3] = [
    "auditor.example/w1",
    "auditor.example/w2",
    "auditor.example/w3",
];
/// How long centres may take until each holds what it may hold.
const SETTLE: Duration = Duration::from_secs(180);

/// The four centres, and what is known of them.
pub(crate) struct Governed<'a> {
    seed: u64,
    cluster: Cluster,
    laws: Laws,
    stock: Stock,
    watch: &'a mut Watch,
    outcome: &'a mut Outcome,
}

impl<'a> Governed<'a> {
    /// Makes the network in `folder`.
    ///
    /// # Errors
    /// Fails if a step does.
    pub(crate) fn create(
        folder: &Path,
        centres: &[(&str, &str)],
        seed: u64,
        watch: &'a mut Watch,
        outcome: &'a mut Outcome,
    ) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let auditors = AUDITORS.map(|name| Auditor::init(folder, name));
        let auditors = auditors.into_iter().collect::<Result<_>>()?;
        let cluster = Cluster::governed(folder, centres, auditors)?;
        Ok(Self {
            seed,
            cluster,
            laws: Laws::of(centres.iter().map(|(id, _)| *id))?,
            stock: Stock::default(),
            watch,
            outcome,
        })
    }

    /// The cluster, for whoever keeps it.
    pub(crate) fn into_cluster(self) -> Cluster {
        self.cluster
    }

    /// Everything, in order.
    ///
    /// # Errors
    /// Fails if something could not be carried out; a check that does not hold is no error but part of the outcome.
    pub(crate) fn steps(&mut self) -> Result<()> {
        self.cluster.start()?;
        self.log_profiles()?;
        self.matrix()?;
        self.all_up()?;
        self.paths();
        self.all_up()?;
        self.newcomer();
        self.recall();
        self.provider();
        self.subset();
        self.replay();
        self.watch.say("Stopping");
        self.cluster.stop()
    }

    /// Private matching alone.
    ///
    /// # Errors
    /// As [`Governed::steps`].
    pub(crate) fn matching_steps(&mut self) -> Result<()> {
        self.cluster.start()?;
        self.log_profiles()?;
        self.provider();
        self.watch.say("Stopping");
        self.cluster.stop()
    }

    /// A provider's copy alone.
    ///
    /// # Errors
    /// As [`Governed::steps`].
    pub(crate) fn subset_steps(&mut self) -> Result<()> {
        self.cluster.start()?;
        self.log_profiles()?;
        self.subset();
        self.watch.say("Stopping");
        self.cluster.stop()
    }

    /// Starts whoever a check that failed has left stopped.
    fn all_up(&mut self) -> Result<()> {
        let nodes = self.cluster.nodes.iter_mut();
        let mut stopped = nodes.filter(|node| !node.is_up());
        stopped.try_for_each(Node::start_alone)
    }

    /// Each centre logs its profile.
    fn log_profiles(&mut self) -> Result<()> {
        self.watch
            .say("Each centre logs the profile of its jurisdiction, signed by two keys");
        let started = Instant::now();
        each(&self.cluster.nodes, |node| node.profile()?.log(node))?;
        let seconds = started.elapsed().as_secs_f64();
        self.outcome.figure("profiles_logged", seconds, "s");
        let all = self.cluster.nodes.len();
        let in_force = |log: &LogStatus| !log.policy.closed && log.policy.unreadable.is_empty();
        let what = "everybody knows every profile, and it is witnessed";
        self.watch.until(&self.cluster, SETTLE, what, |statuses| {
            statuses.iter().all(|status| {
                let others = status.mirrored.iter().filter(|log| in_force(log));
                in_force(&status.own) && others.count() == all - 1
            })
        })?;
        Ok(())
    }

    /// Takes a list in at its centre, and writes down who holds it: the centre.
    fn ingest(&mut self, list: Mixed) -> Result<()> {
        take_in(&self.cluster, &list)?;
        self.stock.add(list);
        Ok(())
    }

    /// Lets everything spread among those that are up, in the filter and in the network, until both say the same.
    fn settle(&mut self) -> Result<String> {
        let nodes: Vec<&Node> = self
            .cluster
            .nodes
            .iter()
            .filter(|node| node.is_up())
            .collect();
        let up: Vec<&str> = nodes.iter().map(|node| node.id.as_str()).collect();
        self.stock.spread(&self.laws, &up);
        self.stock.until_equal(&nodes, SETTLE)
    }

    /// Records a check under its name.
    fn check(&mut self, name: &'static str, seen: Result<String>) {
        match seen {
            Ok(detail) => self.outcome.check(name, true, detail),
            Err(error) => self.outcome.check(name, false, format!("{error:#}")),
        }
    }
}

fn take_in(cluster: &Cluster, list: &Mixed) -> Result<()> {
    let node = cluster.node(&list.centre)?;
    for file in list.write(&cluster.folder)? {
        node.ingest(&file)?;
    }
    Ok(())
}

/// Does something at every node side by side.
fn each(nodes: &[Node], task: impl Fn(&Node) -> Result<()> + Sync) -> Result<()> {
    std::thread::scope(|scope| {
        let task = &task;
        let threads: Vec<_> = nodes
            .iter()
            .map(|node| scope.spawn(move || task(node)))
            .collect();
        let mut joined = threads.into_iter().map(|thread| thread.join());
        joined.try_for_each(|done| done.unwrap_or_else(|_| Err(anyhow!("a thread failed"))))
    })
}
