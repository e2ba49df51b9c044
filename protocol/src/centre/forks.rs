//! A log with two faces: how the proof is gathered, and what it brings about.
//!
//! Two checkpoints that exclude one another are compared first, size by size, with whoever showed the other branch: where
//! they part is the last common size, and the proof shows it. Then the log is frozen there, the proof is durable, and every
//! peer gets it, who does the same. Beyond that size nothing of the log acts but retractions; nothing of it is cosigned.
//! A proof that shows where the branches part stands above one that does not; of several of those the smallest size counts,
//! of several others the largest, so that all centres end at the same and nobody can lower it by leaving evidence out.
//! In scope: the search, the freeze, the alarm. Out of scope: the file (`log::fork`), the new origin line (`commands`).

use hashpact_keys::{CentreId, Origin, Timestamp};

use super::cosign::deltas_below;
use super::heads::drop_peer;
use super::{Centre, Event, Job, JobId, JobResult, Output, Reason};
use crate::Hash;
use crate::delta::Seq;
use crate::log::{
    CheckpointError, Common, ForkError, ForkProof, Leaf, Parts, SignedCheckpoint, TreeError,
    check_consistency, consistency_proof, read_delta, root_at,
};
use crate::verify::{LeafFault, SuffixError};
use crate::view::{Batch, LogState, View, Write};
use crate::wire::{BulkRequest, Message, RootProof, Suffix};

/// Two checkpoints of one log, and what is known of where they part.
pub(super) struct Dispute {
    /// One whose leaves are on our disk.
    ours: SignedCheckpoint,
    theirs: SignedCheckpoint,
    /// Who showed it.
    peer: CentreId,
    /// Where theirs is larger: their root at our size, with its proof. Shows that there is a fork at all.
    bridge: Option<RootProof>,
    /// The largest size known to be common, with their proof of it.
    low: (u64, RootProof),
    /// The smallest size at which the roots are known to differ, with their proof of it.
    high: Option<(u64, RootProof)>,
    asked: Option<(JobId, u64)>,
    is_over: bool,
}

impl Dispute {
    /// The size whose root is asked for next; none when there is nothing left to ask.
    fn next(&self) -> Option<u64> {
        let Some((high, _)) = self.high else {
            return Some(self.ours.checkpoint().size);
        };
        (high - self.low.0 > 1).then(|| self.low.0 + (high - self.low.0) / 2)
    }
}

impl Centre {
    /// A peer showed a checkpoint that excludes what we hold.
    pub(super) fn on_fork(
        &mut self,
        peer: &CentreId,
        theirs: &SignedCheckpoint,
        view: &impl View,
        out: &mut Vec<Output>,
    ) {
        let origin = theirs.checkpoint().origin.clone();
        let state = self.state_of(&origin);
        let is_known = state.frozen.is_some() && self.is_tight(&origin, view);
        if is_known || self.disputes.contains_key(&origin) {
            return;
        }
        let size = theirs.checkpoint().size;
        // Evidence needs a signed checkpoint whose leaves are here.
        let whole = state
            .head
            .iter()
            .filter(|head| head.checkpoint().size == state.size);
        let ours = whole.chain(&state.witnessed).next().cloned();
        let Some(ours) = ours.filter(|ours| ours.checkpoint().size > 0) else {
            return;
        };
        let known = ours.checkpoint().size >= size;
        let known = known
            .then(|| root_of(&origin, &state, size, view))
            .flatten();
        let high = known
            .filter(|root| *root != theirs.checkpoint().root)
            .map(|_| (size, whole_proof(theirs)));
        match &high {
            Some(_) => self.tell_fork(theirs, peer, out),
            None if ours.checkpoint().size >= size => return,
            // Nothing is said of the log before it is known that there are two.
            None => {}
        }
        let nothing = RootProof {
            root: crate::log::empty_root(),
            proof: Vec::new(),
        };
        let dispute = Dispute {
            ours,
            theirs: theirs.clone(),
            peer: peer.clone(),
            bridge: None,
            low: (0, nothing),
            high,
            asked: None,
            is_over: false,
        };
        self.disputes.insert(origin, dispute);
    }

    /// A piece of a log was refused: perhaps because there are two logs, or two headers of one number.
    pub(super) fn look_for_fork(
        &mut self,
        (peer, target, bytes): (&CentreId, &SignedCheckpoint, &[u8]),
        error: &SuffixError,
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) {
        match error {
            SuffixError::Tree(TreeError::Inconsistent { .. }) => {
                self.on_fork(peer, target, view, out);
            }
            SuffixError::Leaf {
                index,
                source: LeafFault::Sequence { expected, got },
            } if got < expected => {
                let origin = target.checkpoint().origin.clone();
                let theirs = Suffix::from_bytes(bytes).ok().and_then(|piece| {
                    let at = usize::try_from(index.checked_sub(piece.from)?).ok()?;
                    piece.leaves.into_iter().nth(at)
                });
                let ours = self.header_of(&origin, *got, view);
                let theirs = theirs.and_then(|leaf| Some(Leaf::from_bytes(&leaf).ok()?.delta()?.0));
                let (Some(ours), Some(theirs)) = (ours, theirs) else {
                    return;
                };
                if let Ok(proof) = ForkProof::headers(origin, &ours, &theirs) {
                    self.take_proof(&proof, None, now, view, out);
                }
            }
            SuffixError::Wire(_)
            | SuffixError::From { .. }
            | SuffixError::Past { .. }
            | SuffixError::Tree(_)
            | SuffixError::Leaf { .. } => {}
        }
    }

    /// Asks on where disputes stand open, and closes those of which all is known.
    pub(super) fn settle_disputes(
        &mut self,
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) {
        let origins: Vec<Origin> = self.disputes.keys().cloned().collect();
        for origin in origins {
            let id = JobId(self.next_job + 1);
            let Some(dispute) = self.disputes.get_mut(&origin) else {
                continue;
            };
            if dispute.asked.is_some() {
                continue;
            }
            let gone = !self.peers.contains_key(&dispute.peer);
            match dispute.next().filter(|_| !dispute.is_over && !gone) {
                Some(from) => {
                    self.next_job += 1;
                    dispute.asked = Some((id, from));
                    let to = dispute.theirs.checkpoint().size;
                    let peer = dispute.peer.clone();
                    let request = BulkRequest::Proof { origin, from, to };
                    out.push(Output::Spawn(id, Job::CompareRoots { peer, request }));
                }
                None => self.close(&origin, now, view, out),
            }
        }
    }

    /// The log of which a job compares two branches.
    pub(super) fn compared(&self, id: JobId) -> Option<Origin> {
        let mut disputes = self.disputes.iter();
        disputes
            .find(|(_, dispute)| dispute.asked.is_some_and(|(job, _)| job == id))
            .map(|(origin, _)| origin.clone())
    }

    pub(super) fn on_compared(
        &mut self,
        origin: &Origin,
        result: JobResult,
        view: &impl View,
        out: &mut Vec<Output>,
    ) {
        let state = self.state_of(origin);
        let Some(dispute) = self.disputes.get_mut(origin) else {
            return;
        };
        let Some((_, from)) = dispute.asked.take() else {
            return;
        };
        let failed = matches!(result, JobResult::Failed);
        let answer = match result {
            JobResult::Roots(bytes) => RootProof::from_bytes(&bytes).ok(),
            JobResult::Suffix(_)
            | JobResult::Body(_)
            | JobResult::Retractions(_)
            | JobResult::Cosigned(_)
            | JobResult::Ahead(_)
            | JobResult::Sharers(_)
            | JobResult::Failed
            | JobResult::Bad(_) => None,
        };
        let theirs = dispute.theirs.clone();
        let to = (theirs.checkpoint().size, &theirs.checkpoint().root);
        let holds =
            |answer: &RootProof| check_consistency(&answer.proof, (from, &answer.root), to).is_ok();
        let peer = dispute.peer.clone();
        let Some(answer) = answer.filter(holds) else {
            // Whoever shows a branch and does not stand by it leaves us with what is known.
            dispute.is_over = true;
            if !failed {
                drop_peer(&peer, Reason::Fork, out);
            }
            return;
        };
        let ours = root_of(origin, &state, from, view);
        let same = ours == Some(answer.root);
        match &mut dispute.high {
            // One log after all: the leaves that did not fit were not what the checkpoint stands for.
            high @ None if same || ours.is_none() => {
                (*high, dispute.is_over) = (None, true);
                drop_peer(&peer, Reason::Fork, out);
            }
            high @ None => {
                (*high, dispute.bridge) = (Some((from, answer.clone())), Some(answer));
                self.tell_fork(&theirs, &peer, out);
            }
            Some(_) if same => dispute.low = (from, answer),
            high @ Some(_) => *high = Some((from, answer)),
        }
    }

    fn tell_fork(&self, theirs: &SignedCheckpoint, peer: &CentreId, out: &mut Vec<Output>) {
        let (origin, size) = (theirs.checkpoint().origin.clone(), theirs.checkpoint().size);
        let shown_by = peer.clone();
        out.push(Output::Emit(Event::Fork {
            origin,
            size,
            shown_by,
        }));
    }

    /// Whether the proof that we hold shows where the branches part.
    fn is_tight(&self, origin: &Origin, view: &impl View) -> bool {
        let held = view
            .fork(origin)
            .and_then(|text| ForkProof::from_text(&text).ok());
        held.is_some_and(|held| held.shows_parts())
    }

    /// Makes the proof of what is known, if it is one.
    fn close(&mut self, origin: &Origin, now: Timestamp, view: &impl View, out: &mut Vec<Output>) {
        let state = self.state_of(origin);
        let Some(dispute) = self.disputes.remove(origin) else {
            return;
        };
        if let Some(proof) = evidence(origin, &state, dispute, view) {
            self.take_proof(&proof, None, now, view, out);
        }
    }

    /// A peer sends a proof.
    pub(super) fn on_fork_proof(
        &mut self,
        peer: &CentreId,
        bytes: &[u8],
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) {
        match ForkProof::from_text(bytes) {
            Ok(proof) => self.take_proof(&proof, Some(peer), now, view, out),
            Err(error) => drop_peer(peer, Reason::ForkProof(error), out),
        }
    }

    /// Freezes a log where a proof shows that it parts, and passes the proof on.
    fn take_proof(
        &mut self,
        proof: &ForkProof,
        from: Option<&CentreId>,
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) {
        let fact = match proof.verify(self.roster(), now) {
            Ok(fact) => fact,
            // The other side may hold another roster.
            Err(
                ForkError::UnknownLog { .. }
                | ForkError::Checkpoint(CheckpointError::NoKey { .. })
                | ForkError::Revoked { .. },
            ) => return,
            Err(error) => {
                if let Some(peer) = from {
                    drop_peer(peer, Reason::ForkProof(error), out);
                }
                return;
            }
        };
        let origin = fact.origin;
        let mut state = self.state_of(&origin);
        let common = fact.common.unwrap_or_else(|| match fact.branches {
            // Both headers may stand in one log: what is before the first of them is not in doubt.
            crate::log::Branches::Headers { seq, .. } => {
                view.delta_index(&origin, seq).unwrap_or(state.size)
            }
            crate::log::Branches::Checkpoints { .. } => 0,
        });
        let is_news = match (state.frozen, fact.is_tight, self.is_tight(&origin, view)) {
            (None, ..) | (Some(_), true, false) => true,
            (Some(held), true, true) => common < held,
            (Some(held), false, false) => common > held,
            (Some(_), false, true) => false,
        };
        if !is_news {
            return;
        }
        let witnessed = state
            .witnessed
            .as_ref()
            .map_or(0, |head| head.checkpoint().size);
        let acts_to = if origin == self.origin {
            common
        } else {
            common.min(witnessed)
        };
        state.witnessed_seq = deltas_below(&origin, &state, acts_to, view);
        state.frozen = Some(common);
        self.disputes.remove(&origin);
        // The log that takes its place was measured by what was known before.
        let next = self.mirrors.iter_mut();
        next.filter(|(log, _)| log.previous_epoch().as_ref() == Some(&origin))
            .for_each(|(_, mirror)| mirror.refused_at = None);
        let bytes = proof.to_text().into_bytes();
        let mut batch = Batch::default();
        batch.push(Write::Fork {
            origin: origin.clone(),
            proof: bytes.clone(),
        });
        batch.push(Write::State {
            origin: origin.clone(),
            state: state.clone(),
        });
        out.push(Output::Commit(batch));
        if origin == self.origin {
            self.own = state;
            self.mirrors.remove(&origin);
        } else if let Some(mirror) = self.mirrors.get_mut(&origin) {
            mirror.state = state;
            mirror.ready.clear();
        }
        let size = common;
        out.push(Output::Emit(Event::Frozen { origin, size }));
        let others = self.peers.keys().filter(|peer| Some(*peer) != from);
        let tell = others.map(|peer| Output::Send(peer.clone(), Message::Fork(bytes.clone())));
        out.extend(tell);
    }

    /// Tells a peer of every log that is frozen: it may have been away when the alarm went round.
    pub(super) fn tell_forks(&self, peer: &CentreId, view: &impl View, out: &mut Vec<Output>) {
        let mirrored = self
            .mirrors
            .iter()
            .map(|(origin, mirror)| (origin, &mirror.state));
        let logs = mirrored.chain([(&self.origin, &self.own)]);
        let proofs = logs
            .filter(|(_, state)| state.frozen.is_some())
            .filter_map(|(origin, _)| view.fork(origin));
        out.extend(proofs.map(|proof| Output::Send(peer.clone(), Message::Fork(proof))));
    }

    fn state_of(&self, origin: &Origin) -> LogState {
        let mirrored = self.mirrors.get(origin).map(|mirror| mirror.state.clone());
        if *origin == self.origin {
            return mirrored.unwrap_or_else(|| self.own.clone());
        }
        mirrored.unwrap_or_default()
    }

    /// A delta's header as it stands in our copy of a log.
    fn header_of(&self, origin: &Origin, seq: Seq, view: &impl View) -> Option<Vec<u8>> {
        let index = view.delta_index(origin, seq)?;
        let size = self.mirrors.get(origin)?.state.size;
        let files = |path: &str| view.log_file(origin, path);
        read_delta(&files, size, index).map(|(header, _)| header)
    }
}

/// The root that our copy of a log has at a size.
fn root_of(origin: &Origin, state: &LogState, size: u64, view: &impl View) -> Option<Hash> {
    let files = |path: &str| view.log_file(origin, path);
    (size <= state.size)
        .then(|| root_at(&files, state.size, size).ok())
        .flatten()
}

/// The proof of what a dispute found out; none if it found nothing.
fn evidence(
    origin: &Origin,
    state: &LogState,
    dispute: Dispute,
    view: &impl View,
) -> Option<ForkProof> {
    let (parts_at, theirs_there) = dispute.high?;
    let files = |path: &str| view.log_file(origin, path);
    let prove = |from: u64, to: u64| consistency_proof(&files, state.size, from, to).ok();
    let (ours, theirs) = (dispute.ours.checkpoint(), dispute.theirs.checkpoint());
    let (a_to_b, root) = if ours.size > theirs.size {
        (
            prove(theirs.size, ours.size)?,
            root_of(origin, state, theirs.size, view),
        )
    } else {
        dispute.bridge.map_or((Vec::new(), None), |bridge| {
            (bridge.proof, Some(bridge.root))
        })
    };
    // The proof holds the root itself, but where the smaller tree is a whole subtree of the larger.
    let smaller = ours.size.min(theirs.size);
    let root = root.filter(|_| ours.size != theirs.size && smaller.is_power_of_two());
    let (size, proof) = dispute.low;
    let common = if size > 0 {
        let (mut to_a, mut to_b) = (prove(size, ours.size)?, proof.proof);
        if ours.size > theirs.size {
            std::mem::swap(&mut to_a, &mut to_b);
        }
        let root = proof.root;
        Some(Common {
            size,
            root,
            to_a,
            to_b,
        })
    } else {
        None
    };
    let mut parts = Parts {
        a: (
            root_of(origin, state, parts_at, view)?,
            prove(parts_at, ours.size)?,
        ),
        b: (theirs_there.root, theirs_there.proof),
    };
    let (mut a, mut b) = (dispute.ours.note(), dispute.theirs.note());
    if ours.size > theirs.size {
        std::mem::swap(&mut a, &mut b);
        std::mem::swap(&mut parts.a, &mut parts.b);
    }
    let proof = ForkProof::checkpoints(a, b, a_to_b, root, common).ok()?;
    if parts_at > size + 1 {
        return Some(proof);
    }
    proof.with_parts(a, parts).ok()
}

/// A head as its own proof of the root at its size.
fn whole_proof(head: &SignedCheckpoint) -> RootProof {
    RootProof {
        root: head.checkpoint().root,
        proof: Vec::new(),
    }
}
