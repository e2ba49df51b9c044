//! Witnessing: what this centre cosigns of others' logs, and how its own log gathers a quorum.
//!
//! Lines travel under the notes that heads carry. As a witness a centre holds every leaf, so consistency is checked by
//! having them; its line is durable before it is sent. As a mirror it cosigns with another key once every body that may
//! act is stored: a delivery receipt. As an origin it shows one pending checkpoint at a time, the candidate, until a quorum
//! stands under it; what is appended meanwhile waits for the next one.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashpact_keys::{KeyUse, Origin, Roster, Signer, Timestamp};

use super::{Centre, Event, Job, JobId, JobResult, Output, Pace, later};
use crate::delta::Seq;
use crate::limits;
use crate::log::{
    Checkpoint, Cosigner, Cosigners, SignedCheckpoint, Standing, empty_root, log_key, mirror_name,
    witness_name,
};
use crate::view::{Batch, LogState, View, Write};

/// Who may cosign one log, in which role.
#[derive(Debug)]
pub struct Roles {
    /// Who witnesses it.
    pub witnesses: Cosigners,
    /// Who gives delivery receipts for it.
    pub mirrors: Cosigners,
}

impl Roles {
    fn of(roster: &Roster, origin: &Origin) -> Self {
        Self {
            witnesses: Cosigners::witnesses(roster, origin),
            mirrors: Cosigners::mirrors(roster, origin),
        }
    }

    /// Witnesses before mirrors: a receipt must not take the place of a cosignature.
    fn all(&self) -> impl Iterator<Item = &Cosigner> {
        self.witnesses.iter().chain(self.mirrors.iter())
    }
}

/// What we signed under the head of a log that we mirror, so that it is not looked for again at every step.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct OwnLines {
    size: u64,
    cosigned_at: Option<Timestamp>,
    has_receipt: bool,
}

impl OwnLines {
    /// Whether nothing is missing or old.
    fn is_done(&self, state: &LogState, now: Timestamp) -> bool {
        let again = |at: Timestamp| is_due(at, limits::RECOSIGN_S, now);
        let stored = state.applied == state.next_seq;
        let due = self.cosigned_at.is_none_or(again) || (stored && !self.has_receipt);
        self.size == state.head_size() && !due
    }
}

/// The pending checkpoint of our own log.
pub(super) struct Candidate {
    pub(super) head: SignedCheckpoint,
    pub(super) since: Timestamp,
}

/// A witness that is asked over HTTP.
#[derive(Default)]
pub(super) struct Submission {
    job: Option<JobId>,
    pace: Pace,
}

/// What is pending under our own log's witnesses.
#[derive(Default)]
pub(super) struct Gathering {
    pub(super) candidate: Option<Candidate>,
    /// The one before, that a newer one took the place of: witnesses that take longer may still answer it.
    pub(super) previous: Option<SignedCheckpoint>,
    pub(super) submissions: BTreeMap<String, Submission>,
    pub(super) unsaved: Option<Timestamp>,
}

impl Centre {
    /// Who may cosign a log under the roster in force.
    #[must_use]
    pub fn roles(&self, origin: &Origin) -> Arc<Roles> {
        let known = self.roles.get(origin);
        known.map_or_else(|| Arc::new(Roles::of(self.roster(), origin)), Arc::clone)
    }

    /// Reads who may cosign what, once for each roster.
    pub(super) fn load_roles(&mut self) {
        let logs = self.mirrors.keys().chain([&self.origin]);
        let roles = logs.map(|log| (log.clone(), Arc::new(Roles::of(self.roster(), log))));
        self.roles = roles.collect();
    }

    /// The checkpoint of our own log that its witnesses are asked to cosign, and since when.
    #[must_use]
    pub fn candidate(&self) -> Option<(&SignedCheckpoint, Timestamp)> {
        let candidate = self.gathering.candidate.as_ref();
        candidate.map(|candidate| (&candidate.head, candidate.since))
    }

    /// Whether something new of a log may be published or matched: it is not frozen, and its quorum's cosignatures are
    /// less than a day old.
    #[must_use]
    pub fn is_fresh(&self, origin: &Origin, state: &LogState, now: Timestamp) -> bool {
        let roles = self.roles(origin);
        let Some(head) = state.witnessed.as_ref().filter(|_| state.frozen.is_none()) else {
            return false;
        };
        let at = standing(&roles.witnesses, head).and_then(|standing| standing.witnessed_at());
        let fresh = |at: Timestamp| later(at, limits::COSIGNATURE_FRESH_S) > now;
        roles.witnesses.quorum() == 0 || at.is_some_and(fresh)
    }

    /// Keeps of a note that a peer showed the log's line and what cosigners of the roster signed.
    pub(super) fn cleaned(&self, head: SignedCheckpoint, now: Timestamp) -> SignedCheckpoint {
        let origin = head.checkpoint().origin.clone();
        let roles = self.roles(&origin);
        let Some(centre) = self.roster().by_origin(&origin) else {
            return head;
        };
        let Ok(note) = head.signed_note() else {
            return head;
        };
        let keys = centre.keys_of(KeyUse::Log);
        let mut keys = keys.map(|entry| log_key(&origin, entry.key));
        match keys.find(|key| note.signed_by(key).is_ok()) {
            Some(log) => head.cleaned(&log, roles.all(), latest(now)),
            None => head,
        }
    }

    /// Takes over cosignatures from a shown note onto a held one of the same checkpoint; says whether there were new ones.
    pub(super) fn gather(
        &self,
        held: &mut Option<SignedCheckpoint>,
        shown: &SignedCheckpoint,
        now: Timestamp,
    ) -> bool {
        let Some(held) = held else { return false };
        let roles = self.roles(&shown.checkpoint().origin);
        held.take_over(shown, roles.all(), latest(now))
    }

    /// Raises what a log's puts may act on to `head`, if its quorum stands and its leaves are stored. The head's root must
    /// have been compared with ours.
    pub(super) fn raise(
        &self,
        origin: &Origin,
        state: &mut LogState,
        head: &SignedCheckpoint,
        view: &impl View,
    ) -> bool {
        let size = head.checkpoint().size;
        let before = state.witnessed.as_ref().map(|head| head.checkpoint().size);
        if state.frozen.is_some() || size > state.size || before >= Some(size) {
            return false;
        }
        let Some(mut standing) = standing(&self.roles(origin).witnesses, head) else {
            return false;
        };
        if size == state.size {
            // A key that ended long ago could still be made to date a line into its time: nobody cosigned before the
            // newest header was signed.
            let since = state.issued_at.get().saturating_sub(limits::CLOCK_SKEW_S);
            standing.cosigned.retain(|(_, at)| at.get() >= since);
        }
        if !standing.is_witnessed() {
            return false;
        }
        state.witnessed_seq = if size == state.size {
            state.next_seq
        } else {
            deltas_below(origin, state, size, view)
        };
        state.witnessed = Some(head.clone());
        true
    }

    /// Adds our own lines to a complete head of a log that we mirror, where they are missing or old; says whether.
    pub(super) fn add_own_lines(
        &mut self,
        origin: &Origin,
        state: &mut LogState,
        now: Timestamp,
    ) -> bool {
        let Some(head) = state.head.as_ref().filter(|_| state.frozen.is_none()) else {
            return false;
        };
        let size = head.checkpoint().size;
        if size != state.size || *origin == self.origin || self.disputes.contains_key(origin) {
            return false;
        }
        // Until others were heard, our memory of what we cosigned may be an old one.
        if self.is_behind() || self.unconfirmed().is_some() {
            return false;
        }
        let done = self.mirrors.get(origin).map(|mirror| mirror.own_lines);
        if done.is_some_and(|lines| lines.is_done(state, now)) {
            return false;
        }
        let Ok(mut note) = head.signed_note() else {
            return false;
        };
        let roles = self.roles(origin);
        let mut added = false;
        let mut line = |cosigners: &Cosigners, signer: &Signer, name: String, again_s: u64| {
            let public = signer.public();
            let own = cosigners
                .iter()
                .find(|own| own.centre.as_ref() == Some(&self.id))?;
            let at = own.cosigned_at(&note, size);
            let due = at.is_none_or(|at| is_due(at, again_s, now));
            let may =
                own.may_cosign(&public, size, now) && !self.retired.contains(&public.key_id());
            if !due || !may {
                return at;
            }
            let signed = note.cosign(&name, signer, now).is_ok();
            added |= signed;
            if signed { Some(now) } else { at }
        };
        let again = limits::RECOSIGN_S;
        let name = witness_name(&self.origin);
        let cosigned_at = line(&roles.witnesses, &self.keys.witness, name, again);
        // A receipt says what is stored, and does not age.
        let stored = state.applied == state.next_seq;
        let name = mirror_name(&self.origin);
        let mut receipt = || line(&roles.mirrors, &self.keys.mirror, name.clone(), u64::MAX);
        let has_receipt = stored && receipt().is_some();
        if let Some(mirror) = self.mirrors.get_mut(origin) {
            // Who may not cosign looks again when an hour has passed, or a roster has come.
            mirror.own_lines = OwnLines {
                size,
                cosigned_at: cosigned_at.or(Some(now)),
                has_receipt: has_receipt || stored,
            };
        }
        if added {
            let shown = head.clone().with_lines(&note);
            self.gather(&mut state.witnessed, &shown, now);
            state.head = Some(shown);
        }
        added
    }

    /// A peer shows a checkpoint whose root is that of our copy: what may be new is under it.
    pub(super) fn on_lines(
        &mut self,
        shown: &SignedCheckpoint,
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) {
        let origin = &shown.checkpoint().origin;
        let Some(mirror) = self.mirrors.get(origin) else {
            return;
        };
        let mut state = mirror.state.clone();
        let mut changed = self.gather(&mut state.head, shown, now);
        changed |= self.gather(&mut state.witnessed, shown, now);
        let held = state
            .head
            .clone()
            .filter(|head| head.checkpoint() == shown.checkpoint());
        // Heads that are not ours any more may still be the newest that has a quorum.
        let head = held.unwrap_or_else(|| self.cleaned(shown.clone(), now));
        let raised = self.raise(origin, &mut state, &head, view);
        let Some(mirror) = self.mirrors.get_mut(origin).filter(|_| changed || raised) else {
            return;
        };
        mirror.state = state;
        if raised {
            self.save(&origin.clone(), out);
            let (origin, size) = (origin.clone(), shown.checkpoint().size);
            out.push(Output::Emit(Event::Witnessed { origin, size }));
        } else {
            mirror.unsaved = mirror.unsaved.or(Some(now));
        }
    }

    /// Remembers a checkpoint that has its quorum until the leaves under it are here.
    pub(super) fn promise(&mut self, shown: &SignedCheckpoint, now: Timestamp) {
        let Checkpoint { origin, size, .. } = shown.checkpoint();
        let roles = self.roles(origin);
        let before = self.mirrors.get(origin).and_then(|m| m.promised.as_ref());
        let is_news = before.is_none_or(|head| head.checkpoint().size < *size);
        let witnessed = standing(&roles.witnesses, shown).is_some_and(|all| all.is_witnessed());
        if is_news && witnessed {
            let cleaned = self.cleaned(shown.clone(), now);
            if let Some(mirror) = self.mirrors.get_mut(origin) {
                mirror.promised = Some(cleaned);
            }
        }
    }

    /// Takes what was promised of a log, once its leaves are here and it is theirs.
    fn keep_promise(
        &mut self,
        origin: &Origin,
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) {
        let mirror = self.mirrors.get(origin).filter(|_| *origin != self.origin);
        let promised = mirror.and_then(|mirror| {
            let head = mirror.promised.as_ref()?;
            (head.checkpoint().size <= mirror.state.size).then(|| head.clone())
        });
        let Some(head) = promised else { return };
        let Checkpoint { size, root, .. } = head.checkpoint();
        // They may be in the batch of this step.
        let Some(ours) = self.root_of(origin, *size, view) else {
            return;
        };
        if let Some(mirror) = self.mirrors.get_mut(origin) {
            mirror.promised = None;
        }
        if ours == *root && self.still_counts(&head, now) {
            self.on_lines(&head, now, view, out);
        }
    }

    /// A peer, or a witness over HTTP, shows a checkpoint of our own log that is ours.
    pub(super) fn on_own_lines(
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
    pub(super) fn propose(&mut self, now: Timestamp) {
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

    /// Whatever is due by time: our own lines on others' logs, a newer candidate, witnesses over HTTP, unsaved lines.
    pub(super) fn cosign_what_is_due(
        &mut self,
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) {
        let origins: Vec<Origin> = self.mirrors.keys().cloned().collect();
        for origin in origins {
            self.keep_promise(&origin, now, view, out);
            let Some(mirror) = self.mirrors.get(&origin) else {
                continue;
            };
            let gathered = mirror.unsaved.is_some_and(|at| is_gathered(at, now));
            if !gathered && mirror.own_lines.is_done(&mirror.state, now) {
                continue;
            }
            let mut state = mirror.state.clone();
            let added = self.add_own_lines(&origin, &mut state, now);
            if added {
                // Our own line may complete the quorum.
                if let Some(head) = state.head.clone()
                    && self.raise(&origin, &mut state, &head, view)
                {
                    let (origin, size) = (origin.clone(), head.checkpoint().size);
                    out.push(Output::Emit(Event::Witnessed { origin, size }));
                }
                if let Some(mirror) = self.mirrors.get_mut(&origin) {
                    mirror.state = state;
                }
                self.tell.insert(origin.centre().clone());
            }
            if added || gathered {
                self.save(&origin, out);
            }
        }
        self.propose(now);
        self.submit_what_is_due(now, out);
        if self
            .gathering
            .unsaved
            .is_some_and(|at| is_gathered(at, now))
        {
            self.save(&self.origin.clone(), out);
        }
    }

    /// Writes where a log stands.
    pub(super) fn save(&mut self, origin: &Origin, out: &mut Vec<Output>) {
        let state = if *origin == self.origin && !self.is_behind() {
            self.gathering.unsaved = None;
            self.own.clone()
        } else if let Some(mirror) = self.mirrors.get_mut(origin) {
            mirror.unsaved = None;
            mirror.state.clone()
        } else {
            return;
        };
        let mut batch = Batch::default();
        let origin = origin.clone();
        batch.push(Write::State { origin, state });
        out.push(Output::Commit(batch));
    }

    fn submit_what_is_due(&mut self, now: Timestamp, out: &mut Vec<Output>) {
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
    pub(super) fn submitted(&self, id: JobId) -> Option<String> {
        let mut all = self.gathering.submissions.iter();
        all.find(|(_, submission)| submission.job == Some(id))
            .map(|(witness, _)| witness.clone())
    }

    pub(super) fn on_submitted(
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

    /// When something here has to be looked at again.
    pub(super) fn cosign_wakes(&self, now: Timestamp) -> Option<Timestamp> {
        let pending = self.gathering.candidate.as_ref();
        let newer = pending.filter(|candidate| {
            let size = candidate.head.checkpoint().size;
            self.own.head_size() > size
        });
        let candidate = newer.map(|candidate| later(candidate.since, limits::CANDIDATE_S));
        let submissions = self.gathering.submissions.values();
        let submissions = submissions.filter_map(|submission| submission.pace.not_before);
        let mirrors = self.mirrors.values().filter_map(|mirror| mirror.unsaved);
        let unsaved = mirrors.chain(self.gathering.unsaved);
        let unsaved = unsaved.map(|at| later(at, limits::GATHER_S));
        let all = candidate.into_iter().chain(submissions).chain(unsaved);
        all.filter(|at| *at > now).min()
    }
}

/// How a head stands with witnesses; none if its note does not read, which no stored one does.
pub(super) fn standing(witnesses: &Cosigners, head: &SignedCheckpoint) -> Option<Standing> {
    let note = head.signed_note().ok()?;
    Some(witnesses.standing(&note, head.checkpoint().size))
}

/// Whether a line of ours is old; or dated by a clock that was ahead, so that others do not take it.
fn is_due(at: Timestamp, again_s: u64, now: Timestamp) -> bool {
    later(at, again_s) <= now || at > latest(now)
}

/// The latest date that a cosignature may bear: clocks differ, by a day at most.
fn latest(now: Timestamp) -> Timestamp {
    later(now, limits::CLOCK_SKEW_S)
}

fn is_gathered(since: Timestamp, now: Timestamp) -> bool {
    since > now || later(since, limits::GATHER_S) <= now
}

/// Deltas whose headers stand below a size.
pub(super) fn deltas_below(origin: &Origin, state: &LogState, size: u64, view: &impl View) -> Seq {
    let (mut low, mut high) = (0, state.next_seq.0);
    while low < high {
        let middle = low + (high - low) / 2;
        let below = view.delta_index(origin, Seq(middle));
        if below.is_some_and(|index| index < size) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Seq(low)
}
