//! Heavy work beside the loop: transfers, and the hashing that verifies them.

use std::sync::Arc;
use std::time::Duration;

use hashpact_keys::CentreId;
use hashpact_protocol::centre::{Job, JobId, JobResult};
use hashpact_protocol::delta::{BodyError, Expected, Retraction};
use hashpact_protocol::limits;
use hashpact_protocol::policy::VerifiedBody;
use hashpact_protocol::verify::ReceivedBody;
use hashpact_protocol::wire::{BulkRefusal, BulkRequest, RootProof, Suffix};
use tokio::task::spawn_blocking;

use super::{Ask, Daemon};
use crate::net::{FetchError, Net, PeerId};

/// How long a piece of a log may take: at most 4 MiB, of which a slow line brings 70 KiB a second.
const LOG_DEADLINE: Duration = Duration::from_secs(60);
/// Records that a slow line brings in a second, at the least: some 15 KiB of them.
const RECORDS_A_SECOND: u64 = 128;

impl Daemon {
    pub(super) fn spawn(&self, id: JobId, job: Job) {
        let (net, asks) = (self.net.clone(), self.handle.asks.clone());
        if let Job::Submit { witness, head } = job {
            let submissions = Arc::clone(&self.submissions);
            tokio::spawn(async move {
                let asked = spawn_blocking(move || submissions.submit(&witness, &head)).await;
                let result = asked.unwrap_or(JobResult::Failed);
                let _ = asks.send(Ask::JobDone(id, result)).await;
            });
            return;
        }
        if let Job::FlagSharers {
            origin,
            entry,
            revision,
        } = job
        {
            let store = Arc::clone(&self.store);
            tokio::spawn(async move {
                let look = move || store.sharers(&origin, entry, revision);
                let result = match spawn_blocking(look).await {
                    Ok(Ok(sharers)) => JobResult::Sharers(sharers),
                    Ok(Err(error)) => {
                        tracing::error!(%error, "who shares a fingerprint with an error cannot be looked up");
                        JobResult::Failed
                    }
                    Err(_) => JobResult::Failed,
                };
                let _ = asks.send(Ask::JobDone(id, result)).await;
            });
            return;
        }
        let peer = centre_of(&job).and_then(|peer| self.directory.peer(peer));
        tokio::spawn(async move {
            let result = match peer {
                Some(peer) => run(&net, peer, job).await,
                None => JobResult::Failed,
            };
            // The loop has ended; so has the process, soon.
            let _ = asks.send(Ask::JobDone(id, result)).await;
        });
    }
}

fn centre_of(job: &Job) -> Option<&CentreId> {
    match job {
        Job::FetchSuffix { peer, .. }
        | Job::CompareRoots { peer, .. }
        | Job::FetchBody { peer, .. }
        | Job::FetchRetractions { peer, .. } => Some(peer),
        Job::Submit { .. } | Job::FlagSharers { .. } => None,
    }
}

async fn run(net: &Net, peer: PeerId, job: Job) -> JobResult {
    match job {
        Job::FetchSuffix { request, .. } => {
            let bytes = fetch_soon(net, peer, &request, Suffix::BYTES_MAX).await;
            bytes.map_or(JobResult::Failed, JobResult::Suffix)
        }
        Job::CompareRoots { request, .. } => {
            let bytes = fetch_soon(net, peer, &request, RootProof::BYTES_MAX).await;
            bytes.map_or(JobResult::Failed, JobResult::Roots)
        }
        // Asked over HTTP, or of our own store, and not of a peer.
        Job::Submit { .. } | Job::FlagSharers { .. } => JobResult::Failed,
        Job::FetchBody {
            request, expected, ..
        } => {
            let verify = |body: ReceivedBody, expected: Expected| body.verify(&expected);
            fetch_and(net, peer, &request, expected, verify, body_result).await
        }
        Job::FetchRetractions {
            request, expected, ..
        } => {
            let verify =
                |body: ReceivedBody, expected: Expected| body.verify_retractions(&expected);
            fetch_and(net, peer, &request, expected, verify, retractions_result).await
        }
    }
}

fn body_result(verified: Result<VerifiedBody, BodyError>) -> JobResult {
    verified.map_or_else(JobResult::Bad, JobResult::Body)
}

fn retractions_result(verified: Result<Vec<Retraction>, BodyError>) -> JobResult {
    verified.map_or_else(JobResult::Bad, JobResult::Retractions)
}

/// Fetches a body and verifies it on a thread of its own.
async fn fetch_and<T: Send + 'static>(
    net: &Net,
    peer: PeerId,
    request: &BulkRequest,
    expected: Expected,
    verify: fn(ReceivedBody, Expected) -> T,
    result: fn(T) -> JobResult,
) -> JobResult {
    let fetched = fetch(net, peer, request, limits::BODY_BYTES);
    let Ok(fetched) = tokio::time::timeout(body_deadline(&expected), fetched).await else {
        tracing::info!("a body took too long and will be asked for again");
        return JobResult::Failed;
    };
    let Some(bytes) = fetched else {
        return JobResult::Failed;
    };
    let verified = spawn_blocking(move || verify(ReceivedBody(bytes), expected)).await;
    verified.map_or(JobResult::Failed, result)
}

/// How long a body may take: whoever drips it must not hold up what else a log waits for, retractions above all.
fn body_deadline(expected: &Expected) -> Duration {
    let records = expected.table.classes.iter().map(|entry| entry.count);
    let records = records.fold(0, u64::saturating_add);
    LOG_DEADLINE.saturating_add(Duration::from_secs(records / RECORDS_A_SECOND))
}

/// As [`fetch`], of what a log waits for: one at a time, so that a peer which sends just fast enough must not hold it up.
async fn fetch_soon(
    net: &Net,
    peer: PeerId,
    request: &BulkRequest,
    limit: usize,
) -> Option<Vec<u8>> {
    let fetched = tokio::time::timeout(LOG_DEADLINE, fetch(net, peer, request, limit)).await;
    fetched.unwrap_or_else(|_| {
        tracing::info!("a piece of a log took too long and will be asked of another");
        None
    })
}

async fn fetch(net: &Net, peer: PeerId, request: &BulkRequest, limit: usize) -> Option<Vec<u8>> {
    match net.fetch(peer, request.to_bytes(), limit).await {
        Ok(bytes) => Some(bytes),
        Err(FetchError::Refused(code)) => {
            let refusal = BulkRefusal::from_code(code);
            tracing::info!(?refusal, code, "a bulk request was refused");
            None
        }
        Err(error) => {
            tracing::info!(%error, "a transfer failed and will be tried again");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use hashpact_protocol::delta::{ClassEntry, ClassTable, RetractionEntry, Seq};
    use hashpact_protocol::labels::ClassId;

    use super::*;

    #[test]
    fn a_body_that_drips_is_given_up_after_a_time_that_its_records_need() {
        let of = |counts: &[u64]| {
            let rows = (0..).zip(counts).map(|(class, count)| ClassEntry {
                class: ClassId(class),
                count: *count,
                root: [0; 32],
            });
            let table = ClassTable {
                classes: rows.collect(),
                retractions: RetractionEntry {
                    count: 0,
                    root: [0; 32],
                },
            };
            body_deadline(&Expected {
                origin: "eu.example/eu/1".parse().expect("an origin"),
                seq: Seq(0),
                table,
                suspected: BTreeSet::new(),
            })
        };
        assert_eq!(of(&[]), LOG_DEADLINE);
        assert_eq!(of(&[64, 64]), LOG_DEADLINE + Duration::from_secs(1));
        assert_eq!(of(&[10_000]), LOG_DEADLINE + Duration::from_secs(78));
        assert_eq!(of(&[u64::MAX, 1]), of(&[u64::MAX]));
    }
}
