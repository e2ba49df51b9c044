//! What this centre cosigns of the logs that it mirrors, and what others' cosignatures under their heads let act.

use hashpact_keys::{Origin, Signer, Timestamp};

use super::super::{Centre, Event, Output};
use super::{is_due, standing};
use crate::limits;
use crate::log::{Checkpoint, Cosigners, SignedCheckpoint, mirror_name, witness_name};
use crate::view::{LogState, View};

/// What we signed under the head of a log that we mirror, so that it is not looked for again at every step.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(in super::super) struct OwnLines {
    size: u64,
    cosigned_at: Option<Timestamp>,
    has_receipt: bool,
}

impl OwnLines {
    /// Whether nothing is missing or old.
    pub(super) fn is_done(&self, state: &LogState, now: Timestamp) -> bool {
        let again = |at: Timestamp| is_due(at, limits::RECOSIGN_S, now);
        let stored = state.applied == state.next_seq;
        let due = self.cosigned_at.is_none_or(again) || (stored && !self.has_receipt);
        self.size == state.head_size() && !due
    }
}

impl Centre {
    /// Adds our own lines to a complete head of a log that we mirror, where they are missing or old; says whether.
    pub(in super::super) fn add_own_lines(
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
    pub(in super::super) fn on_lines(
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
    pub(in super::super) fn promise(&mut self, shown: &SignedCheckpoint, now: Timestamp) {
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
    pub(super) fn keep_promise(
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
}
