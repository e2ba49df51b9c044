//! How a mirrored log grows: one piece at a time, each verified against a checkpoint that its origin signed.

use hashpact_keys::{CentreId, Origin, Timestamp};

use super::heads::drop_peer;
use super::{Centre, Event, Job, JobResult, Output, Reason};
use crate::log::SignedCheckpoint;
use crate::verify::{LeafFault, Origins, SuffixError, VerifiedSuffix, suffix};
use crate::view::{Batch, View, Write};
use crate::wire::BulkRequest;

impl Centre {
    /// Starts a transfer for every log that a peer offers more of, one at a time for each log.
    pub(super) fn fetch_logs(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        let mut jobs = Vec::new();
        for (origin, mirror) in &self.mirrors {
            let stuck = mirror.refused_at == Some(mirror.state.size);
            if mirror.fetching.is_some() || mirror.is_waiting(now) || stuck {
                continue;
            }
            let best = mirror.offers.iter().filter(|(peer, _)| self.peers.contains_key(*peer));
            let best = best.max_by_key(|(_, head)| head.checkpoint().size);
            if let Some((peer, head)) = best {
                jobs.push((origin.clone(), peer.clone(), head.clone()));
            }
        }
        for (origin, peer, head) in jobs {
            let id = self.job();
            let Some(mirror) = self.mirrors.get_mut(&origin) else { continue };
            let (from, to) = (mirror.state.size, head.checkpoint().size);
            mirror.fetching = Some((id, peer.clone(), head));
            let request = BulkRequest::Suffix { origin, from, to };
            out.push(Output::Spawn(id, Job::FetchSuffix { peer, request }));
        }
    }

    pub(super) fn on_suffix(
        &mut self,
        origin: &Origin,
        result: JobResult,
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) {
        let Some(mirror) = self.mirrors.get_mut(origin) else { return };
        let Some((_, peer, target)) = mirror.fetching.take() else { return };
        let bytes = match result {
            JobResult::Suffix(bytes) => bytes,
            JobResult::Failed => {
                return self.retry_later(origin, now);
            }
            JobResult::Body(_) | JobResult::Retractions(_) | JobResult::Bad(_) => return,
        };
        let (roster, state) = (self.roster.roster(), mirror.state.clone());
        let Some(centre) = roster.by_origin(origin) else { return };
        let files = |path: &str| view.log_file(origin, path);
        let origins = Origins { roster, centre, now };
        match suffix(&bytes, &files, &state, target.checkpoint(), &origins) {
            Ok(piece) => self.grow_mirror(origin, &peer, target, piece, out),
            Err(error) => self.refuse_suffix(origin, &peer, error, now, out),
        }
    }

    fn grow_mirror(
        &mut self,
        origin: &Origin,
        peer: &CentreId,
        target: SignedCheckpoint,
        piece: VerifiedSuffix,
        out: &mut Vec<Output>,
    ) {
        let Some(mirror) = self.mirrors.get_mut(origin) else { return };
        let from = mirror.state.size;
        let head = target.checkpoint().size;
        let VerifiedSuffix { files, deltas, classes, state } = piece;
        mirror.state = state;
        // A relay may hold less than what the log is known to have.
        if head >= mirror.state.head_size() {
            mirror.state.head = Some(target);
        }
        let size = mirror.state.size;
        mirror.offers.retain(|_, offer| offer.checkpoint().size > size);
        (mirror.refused_at, mirror.not_before, mirror.failures) = (None, None, 0);
        let mut batch = Batch::default();
        let origin = origin.clone();
        batch.push(Write::Log { origin: origin.clone(), from, files, deltas, classes });
        batch.push(Write::State { origin: origin.clone(), state: mirror.state.clone() });
        out.push(Output::Commit(batch));
        out.push(Output::Emit(Event::LogGrew { origin, size, head }));
        if size == head {
            self.announce(Some(peer), out);
        }
    }

    fn refuse_suffix(
        &mut self,
        origin: &Origin,
        peer: &CentreId,
        error: SuffixError,
        now: Timestamp,
        out: &mut Vec<Output>,
    ) {
        let Some(mirror) = self.mirrors.get_mut(origin) else { return };
        let from_origin =
            self.roster.roster().by_origin(origin).is_some_and(|centre| centre.id == *peer);
        mirror.offers.remove(peer);
        let SuffixError::Leaf { source, .. } = &error else {
            // What does not hash to the signed root says nothing of the origin unless the origin sent it.
            self.retry_later(origin, now);
            return drop_peer(peer, Reason::Suffix(error), out);
        };
        // Time and an older roster pass by themselves; anything else the origin has committed to for ever.
        let may_pass = matches!(source, LeafFault::Future { .. } | LeafFault::RosterAhead { .. });
        if may_pass {
            self.retry_later(origin, now);
        } else {
            mirror.refused_at = Some(mirror.state.size);
        }
        out.push(Output::Emit(Event::LeafRefused { origin: origin.clone(), error: error.clone() }));
        if from_origin && !may_pass {
            drop_peer(peer, Reason::Suffix(error), out);
        }
    }

    /// Forgets what a roster change makes moot, and tries again what it may have mended.
    pub(super) fn reset_mirrors(&mut self, view: &impl View) {
        let roster = self.roster.roster();
        self.mirrors.retain(|origin, _| roster.by_origin(origin).is_some());
        self.peers.retain(|peer, _| roster.centre(peer).is_some());
        for mirror in self.mirrors.values_mut() {
            (mirror.refused_at, mirror.not_before, mirror.failures) = (None, None, 0);
        }
        self.load_mirrors(view);
    }
}
