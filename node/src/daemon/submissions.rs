//! Witnesses that are asked over HTTP: where each is, and what it was known to have cosigned last.
//!
//! A roster names a witness and its key; where it is reached is each centre's own business and stands in `hashpact.toml`.
//! In scope: one request at a time, blocking. Out of scope: the protocol (`witness::submit`), when to ask (the core).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use hashpact_keys::Origin;
use hashpact_protocol::centre::JobResult;
use hashpact_protocol::limits;
use hashpact_protocol::log::{SignedCheckpoint, consistency_proof, origin_hash};
use hashpact_protocol::view::View as _;

use crate::http::HttpClient;
use crate::store::Store;
use crate::witness::{SubmitOutcome, over_http, submit};

/// How witnesses are reached.
pub(super) struct Submissions {
    store: Arc<Store>,
    client: HttpClient,
    urls: BTreeMap<String, String>,
    /// What each cosigned last, as far as this run knows.
    last: Mutex<BTreeMap<String, u64>>,
}

impl Submissions {
    pub(super) fn new(
        store: Arc<Store>,
        client: HttpClient,
        urls: BTreeMap<String, String>,
    ) -> Self {
        let last = Mutex::default();
        Self {
            store,
            client,
            urls,
            last,
        }
    }

    /// Asks a witness to cosign a checkpoint of our own log. Blocks, for as long as the client's timeout at most three times.
    pub(super) fn submit(&self, witness: &str, head: &SignedCheckpoint) -> JobResult {
        let Some(url) = self.urls.get(witness) else {
            tracing::warn!(%witness, "the roster names this witness, and hashpact.toml does not say where it is");
            return JobResult::Failed;
        };
        let last = || self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let known = last().get(witness).copied().unwrap_or(0);
        let checkpoint = head.checkpoint();
        let (origin, size) = (&checkpoint.origin, checkpoint.size);
        let files = |path: &str| self.store.log_file(origin, path);
        let held = self.store.log(origin).size;
        let proof = |old| consistency_proof(&files, held, old, size).ok();
        match submit(&over_http(&self.client), url, head.note(), known, proof) {
            Ok(SubmitOutcome::Cosigned(note)) => {
                last().insert(witness.to_owned(), size);
                JobResult::Cosigned(note.to_bytes())
            }
            Ok(SubmitOutcome::Ahead { size }) => {
                tracing::warn!(%witness, size, "a witness says that it cosigned more of this centre's log than is held here");
                self.shown(url, origin)
            }
            Ok(SubmitOutcome::Conflict { size }) => {
                last().insert(witness.to_owned(), size);
                JobResult::Failed
            }
            Err(error) => {
                tracing::warn!(%witness, %error, "no cosignature; the witness is asked again later");
                JobResult::Failed
            }
        }
    }

    /// What a witness shows to everybody as the newest that it cosigned of a log.
    fn shown(&self, url: &str, origin: &Origin) -> JobResult {
        let hash = hex::encode(origin_hash(origin.as_str()));
        let url = format!("{}/{hash}/checkpoint", url.trim_end_matches('/'));
        match self.client.get(&url, limits::NOTE_BYTES as u64) {
            Ok(response) => JobResult::Ahead(response.body),
            Err(error) => {
                tracing::warn!(%error, "the witness does not show it, so nothing follows from what it says");
                JobResult::Failed
            }
        }
    }
}
