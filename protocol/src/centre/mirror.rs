//! One mirrored log as far as memory goes, and how long to wait after a transfer that failed.

use std::collections::BTreeMap;

use hashpact_keys::{CentreId, Timestamp};

use super::JobId;
use super::cosign::OwnLines;
use super::transfers::Arrived;
use crate::Hash;
use crate::delta::Seq;
use crate::limits;
use crate::log::SignedCheckpoint;
use crate::view::LogState;

/// A body job under way.
pub(super) struct Fetch {
    pub(super) job: JobId,
    pub(super) from: CentreId,
    pub(super) what: Fetched,
}

/// What a body job brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fetched {
    /// A whole body, without a statement.
    Whole,
    /// Retractions alone; the records wait.
    Ends,
    /// Retractions alone, which is all that may come of the delta.
    Empty,
    /// What the statement with this hash gives.
    Under(Hash),
}

/// A log that this node mirrors, as far as memory goes.
#[derive(Default)]
pub(super) struct Mirror {
    pub(super) state: LogState,
    /// Larger checkpoints that peers offer.
    pub(super) offers: BTreeMap<CentreId, SignedCheckpoint>,
    /// The largest checkpoint beyond our copy that was shown with a quorum under it: what is fetched may be shown without.
    pub(super) promised: Option<SignedCheckpoint>,
    /// Log job under way, with the checkpoint that it goes for.
    pub(super) fetching: Option<(JobId, CentreId, SignedCheckpoint)>,
    /// A size whose next leaf was refused: asked for again only when the roster changes.
    pub(super) refused_at: Option<u64>,
    /// Body jobs under way.
    pub(super) body_jobs: BTreeMap<Seq, Fetch>,
    /// Bodies that arrived before their turn.
    pub(super) ready: BTreeMap<Seq, Arrived>,
    /// When the log is asked for again.
    pub(super) log_pace: Pace,
    /// When bodies are asked for again.
    pub(super) body_pace: Pace,
    /// A body could not be had: retractions are fetched alone, so that they do not wait for it.
    pub(super) body_stuck: bool,
    /// Pending deltas below this number, from `state.retracted` on, hold no retraction.
    pub(super) quiet_to: Seq,
    /// What we signed under its head.
    pub(super) own_lines: OwnLines,
    /// Since when there are cosignatures that are not written.
    pub(super) unsaved: Option<Timestamp>,
}

impl Mirror {
    /// Goes on with retractions alone. Bodies that are ready out of turn would stand in their way.
    pub(super) fn stick(&mut self) {
        self.body_stuck = true;
        self.ready.clear();
    }
}

/// Waiting between failed transfers: twice as long after each in a row, at most about a minute.
#[derive(Default)]
pub(super) struct Pace {
    pub(super) not_before: Option<Timestamp>,
    pub(super) failures: u32,
    pub(super) failed_with: Option<CentreId>,
}

impl Pace {
    pub(super) fn is_waiting(&self, now: Timestamp) -> bool {
        // A clock that jumped back must not make the wait longer than it ever is.
        self.not_before
            .is_some_and(|at| at > now && at <= later(now, limits::RETRY_S << 5))
    }

    pub(super) fn fail(&mut self, now: Timestamp, with: Option<CentreId>) {
        self.not_before = Some(later(now, limits::RETRY_S << self.failures.min(5)));
        self.failures = self.failures.saturating_add(1);
        self.failed_with = with;
    }
}

pub(super) fn later(now: Timestamp, seconds: u64) -> Timestamp {
    Timestamp::new(now.get().saturating_add(seconds))
}
