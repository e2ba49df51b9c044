//! A log with two faces. (Filled in below.)

use hashpact_keys::{CentreId, Origin, Timestamp};

use super::{Centre, Event, JobId, JobResult, Output};
use crate::log::SignedCheckpoint;
use crate::verify::SuffixError;
use crate::view::View;

/// Two checkpoints of one log that do not continue each other.
pub(super) struct Dispute;

impl Centre {
    pub(super) fn on_fork(
        &mut self,
        peer: &CentreId,
        head: &SignedCheckpoint,
        view: &impl View,
        out: &mut Vec<Output>,
    ) {
        let _ = view;
        let (origin, size) = (head.checkpoint().origin.clone(), head.checkpoint().size);
        let shown_by = peer.clone();
        out.push(Output::Emit(Event::Fork {
            origin,
            size,
            shown_by,
        }));
    }
    #[expect(clippy::too_many_arguments, reason = "x")]
    pub(super) fn look_for_fork(
        &mut self,
        _origin: &Origin,
        _peer: &CentreId,
        _target: &SignedCheckpoint,
        _bytes: &[u8],
        _error: &SuffixError,
        _view: &impl View,
        _out: &mut Vec<Output>,
    ) {
    }
    pub(super) fn on_fork_proof(
        &mut self,
        _peer: &CentreId,
        _proof: &[u8],
        _now: Timestamp,
        _view: &impl View,
        _out: &mut Vec<Output>,
    ) {
    }
    pub(super) fn tell_forks(&mut self, _peer: &CentreId, _view: &impl View, _out: &mut Vec<Output>) {}
    pub(super) fn settle_disputes(&mut self, _out: &mut Vec<Output>) {}
    pub(super) fn compared(&self, _id: JobId) -> Option<Origin> {
        None
    }
    pub(super) fn on_compared(
        &mut self,
        _origin: &Origin,
        _result: JobResult,
        _now: Timestamp,
        _view: &impl View,
        _out: &mut Vec<Output>,
    ) {
    }
}
