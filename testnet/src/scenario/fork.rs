//! What becomes of three attacks, and of a log with two faces: an adversary has the fifth centre's keys and disk, and after
//! its attacks shows another branch of the log to one centre. Everybody freezes the log where the branches part, the fifth
//! centre's own node too once it runs again, and a proof that anybody can check lies beside the log.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use hashpact_keys::Origin;
use hashpact_node::audit::folder::log_name;
use hashpact_node::clock;
use hashpact_node::daemon::{LogStatus, Seen, Status};
use hashpact_node::http::{HttpClient, HttpClientConfig};
use hashpact_protocol::delta::Retraction;
use hashpact_protocol::log::{Branches, FORK_PROOF_BYTES, ForkProof};
use hashpact_protocol::record::Revision;

use super::audit::{Paths, brief, copy_folder};
use super::{NEWCOMER, REACT, Run};
use crate::adversary::{Adversary, Attack};
use crate::cluster::Node;
use crate::lists;
use crate::outcome::logs;

/// The centre that is shown the other face.
const FORKED: &str = "au";
/// How long a centre may take to serve a file.
const HTTP: Duration = Duration::from_secs(10);

impl Run<'_> {
    pub(super) fn attacks_and_fork(&mut self) -> Result<()> {
        self.watch
            .say("An adversary has nz's keys and disk, and tries three attacks");
        let entry = self.victims_entry()?;
        let mut nz = self.cluster.nodes.pop().context("a fifth centre")?;
        nz.stop()?;
        let adversary = Adversary::with_keys_of(&nz, &self.cluster.folder, vec![entry])?;
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
        self.watch
            .say("Then it shows au another branch of nz's log than everybody else");
        let stolen = Stolen {
            origin: adversary.origin().clone(),
            size: adversary.honest_size(),
        };
        let mut seen = vec![self.fork(&adversary, &stolen)];
        drop(adversary);
        nz.start()?;
        self.cluster.nodes.push(nz);
        seen.push(self.frozen_at_home(&stolen));
        seen.push(self.proofs(&stolen));
        seen.push(self.audit_finds_the_fork(&stolen));
        self.check_all("fork_frozen", seen);
        Ok(())
    }

    /// The first entry of nz's list, as its retraction names it.
    fn victims_entry(&self) -> Result<Retraction> {
        let (id, _) = NEWCOMER;
        let list = self.lists.get(id).context("a list of nz")?;
        let fingerprint = lists::first_fingerprint(list)?;
        let found = self.cluster.node(id)?.own_entry(&fingerprint)?;
        let entry = found["entry"].as_str().context("an entry has an id")?;
        let revision = found["revision"].as_u64().context("and a revision")?;
        Ok(Retraction {
            entry: entry.parse()?,
            revision: Revision(u32::try_from(revision)?),
        })
    }

    /// Waits until au was shown the other face and everybody froze the log; in words.
    fn fork(&mut self, adversary: &Adversary, stolen: &Stolen) -> Result<String> {
        let (origin, size) = (&stolen.origin, stolen.size);
        // What one centre was shown, it passed on to all: they hold, and cosigned, the first face.
        let shown = adversary.shown_size()?;
        let what = "everybody holds the first face of nz's log";
        let holds = |status: &Status| logs(status).any(|log| is(log, origin) && log.size == shown);
        let all_hold = |all: &[Status]| all.iter().all(holds);
        self.watch.until(&self.cluster, REACT, what, all_hold)?;
        let started = Instant::now();
        let target = self.cluster.node(FORKED)?;
        adversary.fork(target, REACT, |status| is_frozen(status, origin, size))?;
        let what = "everybody freezes nz's log";
        let frozen = |all: &[Status]| all.iter().all(|status| is_frozen(status, origin, size));
        self.watch.until(&self.cluster, REACT, what, frozen)?;
        let milliseconds = started.elapsed().as_secs_f64() * 1e3;
        self.outcome
            .figure("fork_frozen_everywhere", milliseconds, "ms");
        Ok(format!("{origin} frozen at size {size} by the other four"))
    }

    /// Waits until the fifth centre's own node has heard, which did nothing of it and signs nothing more.
    fn frozen_at_home(&mut self, stolen: &Stolen) -> Result<String> {
        let Stolen { origin, size } = stolen;
        let what = "nz's own node freezes its log";
        let frozen = |all: &[Status]| all.iter().all(|status| is_frozen(status, origin, *size));
        let all = self.watch.until(&self.cluster, REACT, what, frozen)?;
        let own = all.last().map(|nz| &nz.own).context("a fifth centre")?;
        let is_own = is(own, origin) && own.frozen == Some(*size);
        ensure!(is_own && own.size == *size, "nz's own log goes on: {own:?}");
        Ok("by nz's own node too".to_owned())
    }

    /// Gets the proof from every centre and verifies each under the roster alone.
    fn proofs(&self, stolen: &Stolen) -> Result<String> {
        let client = HttpClient::new(&HttpClientConfig {
            timeout: HTTP,
            identity: None,
            roots: None,
        })?;
        let roster = self.cluster.roster()?;
        let proof = |node: &Node| -> Result<[u64; 2]> {
            let url = format!("{}/{}/fork", node.url()?, log_name(&stolen.origin));
            let answer = client.get(&url, FORK_PROOF_BYTES as u64)?;
            let proof = ForkProof::from_text(&answer.body)?;
            let fact = proof.verify(roster.roster(), clock::now())?;
            let right = fact.origin == stolen.origin && fact.common == Some(stolen.size);
            ensure!(right, "it shows something else: {fact:?}");
            match fact.branches {
                Branches::Checkpoints { a, b } => Ok([a.0, b.0]),
                Branches::Headers { .. } => bail!("it shows no checkpoints"),
            }
        };
        let mut sizes = [0; 2];
        for node in &self.cluster.nodes {
            sizes = proof(node).with_context(|| format!("the proof of {}", node.id))?;
        }
        let centres = self.cluster.nodes.len();
        let [a, b] = sizes;
        Ok(format!(
            "the proof that {centres} centres serve verifies: checkpoints of size {a} and {b} that exclude one another"
        ))
    }

    /// An auditor who copies the logs now is told.
    fn audit_finds_the_fork(&self, stolen: &Stolen) -> Result<String> {
        let logs = Paths::below(&self.cluster.folder).forked;
        copy_folder(&Paths::below(&self.cluster.folder).logs, &logs)?;
        self.mirror(&logs, &self.cluster.nodes[..1])?;
        let said = self.verify(&logs)?;
        let begin = format!("FAIL {} log: a fork proof", stolen.origin);
        let told = said.code == 1 && said.out.lines().any(|line| line.starts_with(&begin));
        ensure!(told, "exit {}: {}", said.code, brief(&said));
        Ok("an audit reports it".to_owned())
    }
}

/// The log that was forked, and what its branches have in common.
struct Stolen {
    origin: Origin,
    size: u64,
}

fn is(log: &LogStatus, origin: &Origin) -> bool {
    log.origin == origin.as_str()
}

/// Whether a centre has frozen a log at a size, and said so to whoever should look.
fn is_frozen(status: &Status, origin: &Origin, size: u64) -> bool {
    let frozen = logs(status).any(|log| is(log, origin) && log.frozen == Some(size));
    let alarm = |seen: &Seen| {
        let about = seen.about.as_deref() == Some(origin.as_str());
        about && seen.kind == "frozen" && seen.is_alarm()
    };
    frozen && status.events.iter().any(alarm)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::tests::{log, status};

    #[test]
    fn frozen_is_who_says_so_at_this_size_and_raised_an_alarm() {
        let origin: Origin = "nz.example/nz/1".parse().unwrap();
        let mut all = status(log("eu", 4), vec![log("us", 6), log("nz", 5)]);
        all.mirrored[1].frozen = Some(4);
        let alarm = |kind: &str, about: &str| Seen {
            at: 7,
            kind: kind.to_owned(),
            about: Some(about.to_owned()),
            text: String::new(),
        };
        assert!(!is_frozen(&all, &origin, 4), "no alarm");
        all.events = vec![
            alarm("frozen", "us.example/us/1"),
            alarm("fork", "nz.example/nz/1"),
        ];
        assert!(!is_frozen(&all, &origin, 4), "another alarm");
        all.events.push(alarm("frozen", "nz.example/nz/1"));
        assert!(is_frozen(&all, &origin, 4));
        assert!(!is_frozen(&all, &origin, 3), "another size");
        all.mirrored.swap(0, 1);
        all.mirrored[0].frozen = None;
        all.mirrored[1].frozen = Some(4);
        assert!(!is_frozen(&all, &origin, 4), "another log");
        // Its own log is one of them.
        let mut own = status(log("nz", 5), Vec::new());
        own.own.frozen = Some(4);
        own.events = all.events;
        assert!(is_frozen(&own, &origin, 4));
    }
}
