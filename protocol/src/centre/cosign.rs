//! Witnessing: what this centre cosigns of others' logs, and how its own log gathers a quorum.
//!
//! | file | answers |
//! |---|---|
//! | `cosign` | who may cosign what, and what a quorum lets act |
//! | `others` | what this centre cosigns of the logs that it mirrors |
//! | `own` | how its own log gathers a quorum |
//!
//! Lines travel under the notes that heads carry. As a witness a centre holds every leaf, so consistency is checked by
//! having them; its line is durable before it is sent. As a mirror it cosigns with another key once every body that may
//! act is stored: a delivery receipt. As an origin it shows one pending checkpoint at a time, the candidate, until a quorum
//! stands under it; what is appended meanwhile waits for the next one.

mod others;
mod own;

use std::sync::Arc;

use hashpact_keys::{KeyUse, Origin, Roster, Timestamp};

use super::{Centre, Event, Output, later};
use crate::delta::Seq;
use crate::limits;
use crate::log::{Cosigner, Cosigners, SignedCheckpoint, Standing, log_key};
use crate::view::{Batch, LogState, View, Write};

pub(super) use others::OwnLines;
pub(super) use own::Gathering;

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

    /// Whether something new of a log may be published or matched: it is not frozen, and its quorum's cosignatures are
    /// less than a day old.
    #[must_use]
    pub fn is_fresh(&self, origin: &Origin, state: &LogState, now: Timestamp) -> bool {
        let roles = self.roles(origin);
        let Some(head) = state.witnessed.as_ref().filter(|_| state.frozen.is_none()) else {
            return false;
        };
        let at = standing(&roles.witnesses, head).and_then(|standing| standing.witnessed_at());
        let fresh = |at: Timestamp| later(at, limits::COSIGNATURE_FRESH_S) > self.time(now);
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
