//! How a mirrored log grows: one piece at a time, each verified against a checkpoint that its origin signed.

use hashpact_keys::{CentreId, Origin, Timestamp};

use super::cosign::OwnLines;
use super::heads::drop_peer;
use super::{Centre, Event, Job, JobResult, Output, Pace, Reason};
use crate::log::{Leaf, SignedCheckpoint, TreeError, root_at};
use crate::verify::{LeafFault, Origins, SuffixError, VerifiedSuffix, suffix};
use crate::view::{Batch, View, Write};
use crate::wire::{BulkRequest, Suffix};

impl Centre {
    /// Starts a transfer for every log that a peer offers more of, one at a time for each log.
    pub(super) fn fetch_logs(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        let mut jobs = Vec::new();
        for (origin, mirror) in &self.mirrors {
            let own = self.roster().by_origin(origin).map(|centre| &centre.id);
            let stuck = mirror.refused_at == Some(mirror.state.size);
            let disputed = self.disputes.contains_key(origin);
            if mirror.fetching.is_some() || mirror.log_pace.is_waiting(now) || stuck || disputed {
                continue;
            }
            let best = mirror
                .offers
                .iter()
                .filter(|(peer, _)| self.peers.contains_key(*peer));
            // Whoever failed last comes last, and among equals the origin itself comes first.
            let best = best.max_by_key(|(peer, head)| {
                let failed = mirror.log_pace.failed_with.as_ref() == Some(*peer);
                (!failed, head.checkpoint().size, own == Some(*peer))
            });
            if let Some((peer, head)) = best {
                jobs.push((origin.clone(), peer.clone(), head.clone()));
            }
        }
        for (origin, peer, head) in jobs {
            let id = self.job();
            let Some(mirror) = self.mirrors.get_mut(&origin) else {
                continue;
            };
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
        let Some(mirror) = self.mirrors.get_mut(origin) else {
            return;
        };
        let Some((_, peer, target)) = mirror.fetching.take() else {
            return;
        };
        let bytes = match result {
            JobResult::Suffix(bytes) => bytes,
            JobResult::Failed => {
                return mirror.log_pace.fail(now, Some(peer));
            }
            JobResult::Body(_)
            | JobResult::Retractions(_)
            | JobResult::Bad(_)
            | JobResult::Cosigned(_)
            | JobResult::Ahead(_)
            | JobResult::Sharers(_)
            | JobResult::Roots(_) => return,
        };
        let (roster, state) = (self.roster.roster(), mirror.state.clone());
        let Some(centre) = roster.by_origin(origin) else {
            return;
        };
        let files = |path: &str| view.log_file(origin, path);
        let origins = Origins {
            roster,
            centre,
            now,
        };
        let piece = suffix(&bytes, &files, &state, target.checkpoint(), &origins);
        let piece = piece.and_then(|piece| {
            if state.size == 0 {
                self.check_resumption(origin, &bytes, view)?;
            }
            Ok(piece)
        });
        match piece {
            Ok(piece) => self.grow_mirror(origin, &peer, target, piece, now, view, out),
            Err(error) => {
                let received = (&peer, &target, bytes.as_slice());
                self.look_for_fork(received, &error, now, view, out);
                self.refuse_suffix(origin, &peer, error, now, out);
            }
        }
    }

    /// A log that takes the place of one that we hold must begin with what we know of it: else a centre could close a log
    /// and say that nothing of it stands.
    fn check_resumption(
        &self,
        origin: &Origin,
        piece: &[u8],
        view: &impl View,
    ) -> Result<(), SuffixError> {
        let Some(old) = origin.previous_epoch() else {
            return Ok(());
        };
        let held = view.log(&old);
        let Some(expected) = held.frozen.filter(|size| *size <= held.size) else {
            return Ok(());
        };
        let files = |path: &str| view.log_file(&old, path);
        let root = root_at(&files, held.size, expected)?;
        let first = Suffix::from_bytes(piece)?.leaves.into_iter().next();
        let first = first.and_then(|leaf| Leaf::from_bytes(&leaf).ok());
        let says = |leaf: &Leaf| {
            matches!(leaf, Leaf::Resumed { origin, size, root: shown, .. }
                if *origin == old && *size == expected && *shown == root)
        };
        if first.as_ref().is_some_and(says) {
            return Ok(());
        }
        let source = LeafFault::Resumption { old, expected };
        Err(SuffixError::Leaf { index: 0, source })
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the piece, its target and who sent it, and the three of every step"
    )]
    fn grow_mirror(
        &mut self,
        origin: &Origin,
        peer: &CentreId,
        target: SignedCheckpoint,
        piece: VerifiedSuffix,
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) {
        let VerifiedSuffix {
            files,
            deltas,
            classes,
            policies,
            manifests,
            mut state,
        } = piece;
        let head = target.checkpoint().size;
        // A relay may hold less than what the log is known to have.
        if head >= state.head_size() {
            state.head = Some(self.cleaned(target, now));
        }
        // More lines may have come while it was under way.
        let offers = self.mirrors.get(origin).map(|mirror| &mirror.offers);
        for offer in offers.into_iter().flat_map(|offers| offers.values()) {
            self.gather(&mut state.head, offer, now);
        }
        // Cosigned in the batch that stores the leaves: what a witness says is durable before it is sent.
        let cosigned = self.add_own_lines(origin, &mut state, now);
        let witnessed = state.head.clone().is_some_and(|head| {
            head.checkpoint().size == state.size && self.raise(origin, &mut state, &head, view)
        });
        let Some(mirror) = self.mirrors.get_mut(origin) else {
            return;
        };
        let from = mirror.state.size;
        mirror.state = state.clone();
        let size = state.size;
        mirror
            .offers
            .retain(|_, offer| offer.checkpoint().size > size);
        (mirror.refused_at, mirror.log_pace, mirror.unsaved) = (None, Pace::default(), None);
        let mut batch = Batch::default();
        let origin = origin.clone();
        batch.push(Write::Log {
            origin: origin.clone(),
            from,
            files,
            deltas,
            classes,
            policies,
            manifests,
        });
        batch.push(Write::State {
            origin: origin.clone(),
            state,
        });
        out.push(Output::Commit(batch));
        let grew = origin.clone();
        out.push(Output::Emit(Event::LogGrew {
            origin: grew,
            size,
            head,
        }));
        if witnessed {
            out.push(Output::Emit(Event::Witnessed { origin, size }));
        }
        if size == head {
            // Who sent it knows it, but for our cosignature.
            self.announce(Some(peer).filter(|_| !cosigned));
        }
        self.regain(now, view, out);
    }

    fn refuse_suffix(
        &mut self,
        origin: &Origin,
        peer: &CentreId,
        error: SuffixError,
        now: Timestamp,
        out: &mut Vec<Output>,
    ) {
        let Some(mirror) = self.mirrors.get_mut(origin) else {
            return;
        };
        let from_origin = self
            .roster
            .roster()
            .by_origin(origin)
            .is_some_and(|centre| centre.id == *peer);
        mirror.offers.remove(peer);
        let SuffixError::Leaf { source, .. } = &error else {
            mirror.log_pace.fail(now, Some(peer.clone()));
            // A relay that brings another branch than ours, and a disk of ours that fails, are no fault of the peer's.
            let of_peer = from_origin || !matches!(error, SuffixError::Tree(_));
            let own_disk = matches!(
                error,
                SuffixError::Tree(TreeError::Tile { .. } | TreeError::Bundle { .. })
            );
            let (target, from) = (origin.clone(), peer.clone());
            out.push(Output::Emit(Event::SuffixRefused {
                origin: target.clone(),
                from,
                error: error.clone(),
            }));
            // Who shows another branch is asked where it parts from ours.
            let disputed = self.disputes.contains_key(&target);
            if of_peer && !own_disk && !disputed {
                drop_peer(peer, Reason::Suffix(error), out);
            }
            return;
        };
        // Time and an older roster pass by themselves; anything else the origin has committed to for ever.
        let may_pass = matches!(
            source,
            LeafFault::Future { .. } | LeafFault::RosterAhead { .. }
        );
        if may_pass {
            mirror.log_pace.fail(now, None);
        } else {
            mirror.refused_at = Some(mirror.state.size);
        }
        out.push(Output::Emit(Event::LeafRefused {
            origin: origin.clone(),
            error: error.clone(),
        }));
        if from_origin && !may_pass {
            drop_peer(peer, Reason::Suffix(error), out);
        }
    }

    /// Forgets what a roster change makes moot, and tries again what it may have mended.
    pub(super) fn reset_mirrors(&mut self, now: Timestamp, view: &impl View) {
        let roster = self.roster.roster();
        self.mirrors
            .retain(|origin, _| roster.by_origin(origin).is_some());
        self.disputes
            .retain(|origin, _| roster.by_origin(origin).is_some());
        self.peers.retain(|peer, _| roster.centre(peer).is_some());
        for mirror in self.mirrors.values_mut() {
            mirror.refused_at = None;
            (mirror.log_pace, mirror.body_pace) = (Pace::default(), Pace::default());
            mirror.own_lines = OwnLines::default();
            // Its head may be one that a revoked key signed; the answer to a job that is forgotten is not heard.
            mirror.fetching = None;
        }
        let offers = self
            .mirrors
            .values()
            .flat_map(|mirror| mirror.offers.values());
        let void: Vec<Vec<u8>> = offers
            .filter(|head| !self.still_counts(head, now))
            .map(|head| head.note().to_vec())
            .collect();
        for mirror in self.mirrors.values_mut() {
            mirror
                .offers
                .retain(|_, head| !void.iter().any(|note| note == head.note()));
        }
        self.load_mirrors(view);
        // A centre may write another log than before.
        for (peer, state) in &mut self.peers {
            let mirror = self.mirrors.iter().find(|(log, _)| log.centre() == peer);
            state.reached = mirror.map_or(0, |(_, mirror)| mirror.state.head_size());
        }
    }
}
