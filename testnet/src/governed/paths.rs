//! Whether a restricted class gets around by other ways: in each round a list spreads along a path of centres of which two
//! are there at a time, so that whoever comes later has only a relay to take it from. At the end all are there, and every
//! entry of every list is looked up everywhere.

use anyhow::{Context as _, Result, ensure};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};

use super::Governed;
use crate::filter::Laws;
use crate::mixed::{Case, Mixed, Words};

/// Paths that are tried.
const ROUNDS: usize = 3;
/// Entries of a case.
const ROWS: usize = 2;

impl Governed<'_> {
    pub(super) fn paths(&mut self) {
        self.watch
            .say("Lists spread along random paths, two centres at a time: relays pass on what they may and nothing else");
        let seen = self.all_paths();
        self.check("restricted_class_never_left", seen);
    }

    fn all_paths(&mut self) -> Result<String> {
        let mut rng = ChaCha20Rng::seed_from_u64(self.seed);
        let (mut relayed, mut described) = (0, Vec::new());
        for round in 0..ROUNDS {
            let path = self.choose(round, &mut rng)?;
            let name = path.join(" → ");
            self.watch.say(&format!("  {name}"));
            relayed += self.path(round, &path).with_context(|| name.clone())?;
            described.push(name);
        }
        let centres: Vec<&str> = self
            .cluster
            .nodes
            .iter()
            .map(|node| node.id.as_str())
            .collect();
        let (all, restricted) = self.stock.count(&centres);
        ensure!(relayed > 0 && restricted > 0, "nothing was put to the test");
        Ok(format!(
            "paths {}; {relayed} entries came by a relay; of {all} entries {restricted} may not be everywhere, and none is where it may not",
            described.join(", ")
        ))
    }

    /// A random path; in the first round one on which the filter lets a relay pass something on.
    fn choose(&self, round: usize, rng: &mut ChaCha20Rng) -> Result<Vec<String>> {
        for _ in 0..1_000 {
            let mut path: Vec<String> = self
                .cluster
                .nodes
                .iter()
                .map(|node| node.id.clone())
                .collect();
            for last in (1..path.len()).rev() {
                let other = usize::try_from(rng.next_u64() % (last as u64 + 1))?;
                path.swap(last, other);
            }
            if round > 0 || relays(&self.laws, &path) {
                return Ok(path);
            }
        }
        anyhow::bail!("no path has a relay that may pass anything on")
    }

    /// Lets a list of the first centre of a path spread along it; how many entries came by a relay.
    fn path(&mut self, round: usize, path: &[String]) -> Result<usize> {
        let first = self.stock.items.len();
        for id in &path[2..] {
            self.cluster.node_mut(id)?.stop()?;
        }
        self.ingest(list(round, path))?;
        self.settle()?;
        for pair in path.windows(3) {
            let [gone, _, next] = pair else { continue };
            self.cluster.node_mut(gone)?.stop()?;
            self.cluster.node_mut(next)?.start_alone()?;
            self.settle()
                .with_context(|| format!("when {next} came and {gone} was gone"))?;
        }
        let relayed = self.stock.items[first..].iter();
        let by_relay = |item: &super::stock::Item| {
            let others = item.holders.iter().filter(|(id, _)| **id != item.origin);
            let times = others.filter(|(_, hop)| **hop > 0).count();
            times * item.case.entries.len()
        };
        let relayed = relayed.map(by_relay).sum();
        for id in &path[..path.len() - 2] {
            self.cluster.node_mut(id)?.start_alone()?;
        }
        self.settle().context("when all were there again")?;
        Ok(relayed)
    }
}

/// Whether the third of a path may have anything from the second.
fn relays(laws: &Laws, path: &[String]) -> bool {
    let mut holders = std::collections::BTreeMap::new();
    for pair in path.windows(2) {
        let up: Vec<&str> = pair.iter().map(String::as_str).collect();
        laws.spread(&Case::plain("plain"), &path[0], &up, &mut holders);
    }
    path.get(2).is_some_and(|third| holders.contains_key(third))
}

/// What a path is tried with: one case that may go everywhere, and each kind of restriction.
fn list(round: usize, path: &[String]) -> Mixed {
    type Change<'a> = &'a dyn Fn(&mut Case);
    let restricted: [(&str, Change<'_>); 11] = [
        ("plain", &|_| ()),
        ("no onward", &|case| case.hops = 0),
        ("1 hop", &|case| case.hops = 1),
        ("2 hops", &|case| case.hops = 2),
        ("AMBER+STRICT", &|case| case.tlp = "AMBER+STRICT"),
        ("RED", &|case| case.tlp = "RED"),
        ("drawn", &|case| case.depiction = ["virtual_drawn"].into()),
        ("text", &|case| case.media_kind = ["text"].into()),
        ("for providers", &|case| {
            case.recipients = ["provider"].into()
        }),
        ("rests in CA and AU", &|case| {
            case.residency = ["CA", "AU"].into()
        }),
        ("rests at home", &|case| case.residency = Words::new()),
    ];
    let cases = restricted.map(|(name, change)| {
        let mut case = Case::plain(name);
        change(&mut case);
        case
    });
    Mixed::new(&path[0], &format!("path-{round}"), cases.into(), ROWS)
}
