//! How this centre's own log gathers a quorum: one pending checkpoint at a time, from peers and from witnesses over HTTP.

use std::collections::BTreeMap;

use hashpact_keys::Timestamp;

use super::super::{Centre, Event, Job, JobId, JobResult, Output, Pace, later};
use super::latest;
use crate::limits;
use crate::log::{Checkpoint, SignedCheckpoint, empty_root};
use crate::view::View;

/// The pending checkpoint of our own log.
pub(in super::super) struct Candidate {
    pub(in super::super) head: SignedCheckpoint,
    pub(in super::super) since: Timestamp,
}

/// A witness that is asked over HTTP.
#[derive(Default)]
pub(in super::super) struct Submission {
    job: Option<JobId>,
    pub(super) pace: Pace,
}

/// What is pending under our own log's witnesses.
#[derive(Default)]
pub(in super::super) struct Gathering {
    pub(in super::super) candidate: Option<Candidate>,
    /// The one before, that a newer one took the place of: witnesses that take longer may still answer it.
    pub(in super::super) previous: Option<SignedCheckpoint>,
    pub(in super::super) submissions: BTreeMap<String, Submission>,
    pub(in super::super) unsaved: Option<Timestamp>,
}

impl Centre {
    /// The checkpoint of our own log that its witnesses are asked to cosign, and since when.
    #[must_use]
    pub fn candidate(&self) -> Option<(&SignedCheckpoint, Timestamp)> {
        let candidate = self.gathering.candidate.as_ref();
        candidate.map(|candidate| (&candidate.head, candidate.since))
    }

    /// A peer, or a witness over HTTP, shows a checkpoint of our own log that is ours.
    pub(in super::super) fn on_own_lines(
        &mut self,
        shown: &SignedCheckpoint,
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) {
        let mut previous = self.gathering.previous.take();
        let answers_previous = self.gather(&mut previous, shown, now);
        self.gathering.previous = previous;
        let mut candidate = self.gathering.candidate.take();
        let mut head = candidate.as_ref().map(|candidate| candidate.head.clone());
        let mut own = self.own.clone();
        let mut changed = self.gather(&mut head, shown, now);
        changed |= self.gather(&mut own.witnessed, shown, now);
        changed |= self.gather(&mut own.head, shown, now);
        if let (Some(candidate), Some(head)) = (&mut candidate, head) {
            candidate.head = head;
        }
        self.gathering.candidate = candidate;
        if !changed && !answers_previous {
            return;
        }
        self.own = own;
        self.gathering.unsaved = self.gathering.unsaved.or(Some(now));
        self.settle_candidate(now, view, out);
    }

    /// If a quorum stands under the candidate, what it covers acts and the next one takes its place.
    fn settle_candidate(&mut self, now: Timestamp, view: &impl View, out: &mut Vec<Output>) {
        let candidate = self
            .gathering
            .candidate
            .iter()
            .map(|candidate| &candidate.head);
        let heads: Vec<_> = candidate.chain(&self.gathering.previous).cloned().collect();
        let mut own = self.own.clone();
        let raised = |head: &SignedCheckpoint| self.raise(&self.origin, &mut own, head, view);
        let Some(head) = heads.into_iter().find(raised) else {
            return;
        };
        self.own = own;
        let origin = self.origin.clone();
        self.save(&origin, out);
        let size = head.checkpoint().size;
        out.push(Output::Emit(Event::Witnessed { origin, size }));
        self.propose(now);
        self.announce(None);
    }

    /// Shows the newest checkpoint of our own log to its witnesses, unless the one before is still under way.
    pub(in super::super) fn propose(&mut self, now: Timestamp) {
        let Some(head) = &self.own.head else { return };
        let witnessed = self.own.witnessed.as_ref();
        let size_of = |head: &SignedCheckpoint| head.checkpoint().size;
        if let Some(candidate) = &self.gathering.candidate {
            let settled = witnessed.map(size_of) >= Some(size_of(&candidate.head));
            // A clock that jumped back must not keep it for ever.
            let waits = candidate.since <= now && later(candidate.since, limits::CANDIDATE_S) > now;
            if size_of(&candidate.head) == size_of(head) || (waits && !settled) {
                return;
            }
        }
        let (head, before) = (head.clone(), self.gathering.candidate.take());
        self.gathering.previous = before.map(|before| before.head);
        self.gathering.candidate = Some(Candidate { head, since: now });
        self.announce(None);
    }

    pub(super) fn submit_what_is_due(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        let roles = self.roles(&self.origin);
        if roles
            .witnesses
            .iter()
            .all(|witness| witness.centre.is_some())
        {
            return;
        }
        let Some(head) = self.shown_to_witnesses() else {
            return;
        };
        let (Ok(note), size) = (head.signed_note(), head.checkpoint().size) else {
            return;
        };
        for witness in roles
            .witnesses
            .iter()
            .filter(|witness| witness.centre.is_none())
        {
            let signed = witness.cosigned_at(&note, size);
            let fresh = signed.is_some_and(|at| later(at, limits::RECOSIGN_S) > now);
            let heard = self.confirmed || self.reports.contains_key(&witness.holder);
            let submission = self.gathering.submissions.get(&witness.holder);
            let waits = submission.is_some_and(|submission| {
                submission.job.is_some() || submission.pace.is_waiting(now)
            });
            if (heard && (fresh || size == 0)) || waits || self.is_behind() {
                continue;
            }
            self.next_job += 1;
            let id = JobId(self.next_job);
            let (witness, head) = (witness.holder.clone(), head.clone());
            let submission = self
                .gathering
                .submissions
                .entry(witness.clone())
                .or_default();
            submission.job = Some(id);
            out.push(Output::Spawn(id, Job::Submit { witness, head }));
        }
    }

    /// The checkpoint that witnesses over HTTP are asked to cosign. Before a log begins it is that of the empty log: whoever
    /// cosigns it has seen nothing of ours, and whoever has seen more says so. Every log continues it.
    fn shown_to_witnesses(&self) -> Option<SignedCheckpoint> {
        let candidate = self.gathering.candidate.as_ref();
        let head = candidate.map(|candidate| candidate.head.clone());
        let begins = self.own.size == 0 && self.unconfirmed().is_some();
        head.or_else(|| {
            let empty = Checkpoint {
                origin: self.origin.clone(),
                size: 0,
                root: empty_root(),
            };
            begins.then(|| empty.sign(&self.keys.log))
        })
    }

    /// The witness whose answer a job brings.
    pub(in super::super) fn submitted(&self, id: JobId) -> Option<String> {
        let mut all = self.gathering.submissions.iter();
        all.find(|(_, submission)| submission.job == Some(id))
            .map(|(witness, _)| witness.clone())
    }

    pub(in super::super) fn on_submitted(
        &mut self,
        witness: &str,
        result: JobResult,
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) {
        let Some(submission) = self.gathering.submissions.get_mut(witness) else {
            return;
        };
        // Unless it gave what was asked for, it is not asked again at once.
        submission.job = None;
        submission.pace.fail(now, None);
        match result {
            JobResult::Cosigned(note) => {
                let shown = SignedCheckpoint::from_store(&note).ok();
                let Some((shown, at)) = shown.and_then(|shown| {
                    let at = self.cosigned_by(witness, &shown, now)?;
                    Some((shown, at))
                }) else {
                    return;
                };
                // What it signed long ago does not say that it has seen no more since.
                if later(at, limits::RECOSIGN_S) > now {
                    if let Some(submission) = self.gathering.submissions.get_mut(witness) {
                        submission.pace = Pace::default();
                    }
                    let size = shown.checkpoint().size;
                    self.on_report(witness, size, now, view, out);
                }
                self.on_own_lines(&shown, now, view, out);
            }
            JobResult::Ahead(note) => {
                // A number alone anybody could say, and we would stop for it: more of our log has our signature.
                let shown = SignedCheckpoint::from_store(&note).ok();
                let own = shown.filter(|shown| shown.checkpoint().origin == self.origin);
                if let Some(shown) = own.filter(|shown| self.still_counts(shown, now)) {
                    self.on_report(witness, shown.checkpoint().size, now, view, out);
                }
            }
            JobResult::Failed
            | JobResult::Suffix(_)
            | JobResult::Roots(_)
            | JobResult::Body(_)
            | JobResult::Retractions(_)
            | JobResult::Sharers(_)
            | JobResult::Bad(_) => {}
        }
    }

    /// When a witness cosigned what is shown of our own log; none if its line does not verify or is from the far future.
    fn cosigned_by(
        &self,
        witness: &str,
        shown: &SignedCheckpoint,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let Checkpoint { origin, size, .. } = shown.checkpoint();
        let roles = self.roles(&self.origin);
        let mut witnesses = roles.witnesses.iter();
        let holder = witnesses.find(|holder| holder.holder == witness)?;
        let at = holder.cosigned_at(&shown.signed_note().ok()?, *size)?;
        (*origin == self.origin && at <= latest(now)).then_some(at)
    }
}
