//! Requests of nobody: whoever shows no good credential is counted, and one line a minute tells how many there were.
//!
//! Why: a line each would let anybody fill the disk, and a node with a full disk can take nothing back. In scope: counting
//! and the line. Out of scope: requests of members (`record`).

use std::collections::BTreeMap;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hashpact_keys::Timestamp;
use serde::Serialize;

use super::audit::AuditLog;

/// How often they are told.
pub(super) const EVERY: Duration = Duration::from_secs(60);

/// Counts; clones share it.
#[derive(Clone, Default)]
pub(super) struct Unnamed {
    since: Arc<Mutex<Since>>,
}

/// What came since the last line.
#[derive(Default, Serialize)]
struct Since {
    requests: u64,
    /// Bytes of answers.
    bytes: u64,
    /// By the status of the answer, of which there are few.
    by_status: BTreeMap<u16, u64>,
}

impl Unnamed {
    pub(super) fn count(&self, status: u16, bytes: u64) {
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        since.requests += 1;
        since.bytes = since.bytes.saturating_add(bytes);
        *since.by_status.entry(status).or_default() += 1;
    }

    /// Writes the line, if there is anything to tell.
    pub(super) fn tell(&self, audit: &AuditLog, now: Timestamp) {
        let since = mem::take(&mut *self.since.lock().unwrap_or_else(PoisonError::into_inner));
        if since.requests > 0 {
            audit.write(now, "unnamed_requests", &since);
        }
    }
}
