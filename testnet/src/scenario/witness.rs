//! Whether each log is witnessed: a quorum of the other centres and the auditor cosigned it to its end, its centre and every
//! mirror know it, and every mirror gave its receipt. And whether that goes on while the auditor is away.

use std::time::SystemTime;

use anyhow::Result;
use hashpact_node::daemon::{LogStatus, Status};
use hashpact_protocol::log::quorum_of;

use super::{AUDITOR, CONVERGE, REACT, Run, seconds};
use crate::cluster::AUDITORS;
use crate::outcome::{cosigned, receipts};

impl Run<'_> {
    /// Waits until each log is witnessed after an ingest that ended at `since`.
    pub(super) fn quorum(&mut self, since: SystemTime) -> Result<String> {
        self.watch
            .say("The other centres and the auditor cosign what each signed");
        let what = "a quorum for every log";
        let all = self
            .watch
            .until(&self.cluster, CONVERGE, what, is_witnessed)?;
        let seconds = seconds(since, self.published_at()?);
        self.outcome.figure("quorum_after_ingest", seconds, "s");
        Ok(counts("cosignatures", &all, |status| {
            format!("{}/{}", cosigned(status), status.own.quorum)
        }))
    }

    /// When the last centre published the last log's newest checkpoint that a quorum cosigned. The time of the file says it
    /// better than the node, which is busy with bodies and answers late.
    fn published_at(&self) -> Result<SystemTime> {
        let mut last = SystemTime::UNIX_EPOCH;
        for node in &self.cluster.nodes {
            for log in std::fs::read_dir(node.home.data().join("logs"))? {
                let history = log?.path().join("history");
                if history.exists() {
                    last = last.max(history.metadata()?.modified()?);
                }
            }
        }
        Ok(last)
    }

    /// Waits until every mirror stated that it has stored all of each log, and the slowest witness has cosigned.
    pub(super) fn receipts(&mut self, since: SystemTime) -> Result<String> {
        let what = "a receipt of every mirror for every log";
        let done = |all: &[Status]| is_witnessed(all) && is_complete(all);
        let all = self.watch.until(&self.cluster, REACT, what, done)?;
        let seconds = seconds(since, SystemTime::now());
        self.outcome.figure("receipts_after_ingest", seconds, "s");
        Ok(counts("receipts", &all, |status| {
            format!("{}/{}", receipts(status), status.peers.len())
        }))
    }

    /// Waits until each log is witnessed though the auditor is away, whose cosignature eu's new head lacks.
    pub(super) fn quorum_without_auditor(&mut self) -> Result<String> {
        let what = "a quorum for every log without the auditor";
        let done = |all: &[Status]| {
            is_witnessed(all) && all.iter().any(|status| status.own.missing == [AUDITOR])
        };
        let all = self.watch.until(&self.cluster, REACT, what, done)?;
        Ok(counts("with the auditor away", &all[..1], |status| {
            format!("{}/{}", cosigned(status), status.own.quorum)
        }))
    }
}

fn counts(what: &str, statuses: &[Status], count: impl Fn(&Status) -> String) -> String {
    let one = |status: &Status| format!("{} {}", status.centre, count(status));
    let all: Vec<String> = statuses.iter().map(one).collect();
    format!("{what}: {}", all.join(", "))
}

/// Whether a quorum cosigned each log to its end, as its centre and every other one knows it.
pub(super) fn is_witnessed(statuses: &[Status]) -> bool {
    statuses.iter().all(|origin| {
        let own = &origin.own;
        let quorum = quorum_of(origin.peers.len() + AUDITORS) as u64;
        let holds = |log: &LogStatus| {
            let whole = log.size == own.size && log.witnessed == own.size;
            whole && log.quorum == quorum && log.fresh && log.frozen.is_none()
        };
        let mut others = statuses
            .iter()
            .filter(|status| status.centre != origin.centre);
        let at_origin = holds(own) && own.pending_since.is_none() && cosigned(origin) >= quorum;
        own.size > 1
            && at_origin
            && others.all(|status| {
                let mut logs = status.mirrored.iter();
                logs.any(|log| log.origin == own.origin && holds(log))
            })
    })
}

/// Whether nobody's cosignature and nobody's receipt is missing from any centre's own log.
pub(super) fn is_complete(statuses: &[Status]) -> bool {
    let mut own = statuses.iter().map(|status| &status.own);
    own.all(|log| log.missing.is_empty() && log.receipts_missing.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::tests::{log, peer, status};

    /// Two centres and an auditor: two of two witnesses must cosign each log.
    fn witnessed() -> [Status; 2] {
        let mut all = [
            status(log("eu", 4), vec![log("us", 6)]),
            status(log("us", 6), vec![log("eu", 4)]),
        ];
        for (status, other) in all.iter_mut().zip(["us", "eu"]) {
            status.peers = vec![peer(other, true)];
            (status.own.quorum, status.mirrored[0].quorum) = (2, 2);
        }
        all
    }

    #[test]
    fn logs_that_a_quorum_cosigned_everywhere_are_witnessed() {
        assert!(is_witnessed(&witnessed()) && is_complete(&witnessed()));
        // A receipt is another thing than a cosignature.
        let mut all = witnessed();
        all[0].own.receipts_missing = vec!["us".to_owned()];
        assert!(is_witnessed(&all) && !is_complete(&all));
    }

    #[test]
    fn whatever_is_missing_is_noticed() {
        type Change = fn(&mut [Status; 2]);
        let changes: [(&str, Change); 11] = [
            ("the last leaf at its centre", |all| {
                all[0].own.witnessed -= 1;
            }),
            ("the last leaf in a mirror", |all| {
                all[0].mirrored[0].witnessed -= 1;
            }),
            ("a leaf in a mirror", |all| all[1].mirrored[0].size -= 1),
            ("a mirror", |all| all[1].mirrored.clear()),
            ("a cosignature of two", |all| {
                all[0].own.missing = vec![AUDITOR.to_owned()];
            }),
            ("a quorum as large as it must be", |all| {
                all[0].own.quorum = 1;
            }),
            ("the new quorum in a mirror", |all| {
                all[1].mirrored[0].quorum = 1;
            }),
            ("time", |all| all[1].own.pending_since = Some(7)),
            ("a fresh cosignature", |all| all[1].own.fresh = false),
            ("its one history", |all| all[1].own.frozen = Some(3)),
            ("a log that has begun", |all| {
                (all[0].own.size, all[0].own.witnessed) = (0, 0);
            }),
        ];
        for (what, change) in changes {
            let mut all = witnessed();
            change(&mut all);
            assert!(!is_witnessed(&all), "{what}");
        }
    }
}
