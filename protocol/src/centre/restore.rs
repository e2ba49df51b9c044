//! A disk may be an old copy, and only the others know.
//!
//! So a centre that starts signs nothing before enough of its log's witnesses have said how much of it they have seen: as many
//! as share an honest one with every quorum ([`reports_of`](crate::log::reports_of)). If they have seen more, its own log is fetched from them
//! like anybody else's, bodies too, and signing goes on where it ended. What it cosigned of others' logs since the copy was
//! made it cannot know, so its witness and mirror keys are retired: it cosigns again with new ones.
//! In scope: when signing may go on. Out of scope: the fetching (`logs`, `bodies`).

use hashpact_keys::{CentreId, Origin, Timestamp};

use super::{Centre, CommandError, Event, Mirror, Output};
use crate::labels::ClassId;
use crate::log::{SignatureKind, SignedCheckpoint, VerifierKey, reports_of, witness_name};
use crate::view::{Batch, View, Write};

impl Centre {
    /// Size of our own log that others have seen, while it is more than we hold.
    #[must_use]
    pub fn behind(&self) -> Option<u64> {
        self.behind
    }

    pub(super) fn is_behind(&self) -> bool {
        self.behind.is_some()
    }

    /// Witnesses that said how much of our log they have seen, and how many must before anything is signed; none once
    /// enough did.
    #[must_use]
    pub fn unconfirmed(&self) -> Option<(usize, usize)> {
        if self.confirmed {
            return None;
        }
        let roles = self.roles(&self.origin);
        let witnesses = &roles.witnesses;
        let needed = reports_of(witnesses.len());
        let agrees = |holder: &str| {
            self.reports
                .get(holder)
                .is_some_and(|seen| *seen <= self.own.size)
        };
        let have = witnesses
            .iter()
            .filter(|witness| agrees(&witness.holder))
            .count();
        (have < needed).then_some((have, needed))
    }

    /// Whether anything may be signed: our disk is not an old copy, and our log is not forked.
    pub(super) fn may_sign(&self) -> Result<(), CommandError> {
        if let Some(size) = self.own.frozen {
            return Err(CommandError::Frozen { size });
        }
        if let Some(seen) = self.behind {
            let held = self.own.size;
            return Err(CommandError::Behind { held, seen });
        }
        match self.unconfirmed() {
            Some((have, needed)) => Err(CommandError::Unconfirmed { have, needed }),
            None => Ok(()),
        }
    }

    /// Whether this node must not cosign with the keys that it has: its memory of what it cosigned was an old one.
    #[must_use]
    pub fn is_retired(&self) -> bool {
        !self.retired.is_empty()
    }

    /// Never cosigns with these keys again: what they signed since the disk was copied is not known here.
    pub(super) fn retire(&mut self, view: &impl View, out: &mut Vec<Output>) {
        let keys = [&self.keys.witness, &self.keys.mirror].map(|key| key.public().key_id());
        let mut batch = Batch::default();
        for key in keys {
            if self.retired.insert(key) && !view.is_retired(&key) {
                batch.push(Write::Retire(key));
            }
        }
        if !batch.is_empty() {
            out.push(Output::Commit(batch));
            out.push(Output::Emit(Event::KeysRetired));
        }
    }

    /// Another shows our own cosignature under a head that we do not hold: our disk is an old copy, whatever our own log.
    pub(super) fn look_for_forgotten(
        &mut self,
        shown: &SignedCheckpoint,
        view: &impl View,
        out: &mut Vec<Output>,
    ) {
        let Ok(note) = shown.signed_note() else {
            return;
        };
        let name = witness_name(&self.origin);
        let key = VerifierKey::new(&name, SignatureKind::Cosigner, self.keys.witness.public());
        if note.signed_by(&key).is_ok() {
            self.retire(view, out);
        }
    }

    /// The operator says that this disk is the newest there is.
    pub fn trust_disk(&mut self) {
        self.confirmed = true;
    }

    /// A witness has seen so much of our log.
    pub(super) fn on_report(
        &mut self,
        holder: &str,
        seen: u64,
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) {
        self.reports.insert(holder.to_owned(), seen);
        let held = self.own.size;
        // Of a log that is forked and frozen nobody needs more: it may be another's who has our keys.
        let wanted = self.own.frozen.is_none();
        if wanted && seen > held && self.behind.is_none_or(|known| known < seen) {
            self.fall_behind(seen, view, out);
        }
        if self.behind.is_some() {
            return self.regain(now, view, out);
        }
        // From here on what is in memory is newer than what anybody else knows.
        if !self.confirmed && self.unconfirmed().is_none() {
            self.confirmed = true;
            self.log_rosters(now, view, out);
            self.announce(None);
        }
    }

    fn fall_behind(&mut self, seen: u64, view: &impl View, out: &mut Vec<Output>) {
        let held = self.own.size;
        let is_news = self.behind.is_none();
        self.behind = Some(seen);
        self.confirmed = false;
        out.push(Output::Emit(Event::OwnLogBehind { held, seen }));
        if !is_news {
            return;
        }
        self.retire(view, out);
        self.gathering = super::Gathering::default();
        let state = self.own.clone();
        self.mirrors.insert(
            self.origin.clone(),
            Mirror {
                state,
                ..Mirror::default()
            },
        );
    }

    /// A larger head of our own log, while we lack it: where it can be fetched.
    pub(super) fn offer_own(&mut self, peer: &CentreId, head: &SignedCheckpoint) {
        let Some(mirror) = self.mirrors.get_mut(&self.origin) else {
            return;
        };
        if head.checkpoint().size > mirror.state.size {
            mirror.offers.insert(peer.clone(), head.clone());
        }
    }

    /// Goes on signing, once all that anybody has seen of our log is here and enough have said what they have seen.
    pub(super) fn regain(&mut self, now: Timestamp, view: &impl View, out: &mut Vec<Output>) {
        let (Some(seen), Some(mirror)) = (self.behind, self.mirrors.get(&self.origin)) else {
            return;
        };
        let state = &mirror.state;
        let is_whole = state.size >= seen && state.applied == state.next_seq;
        if !is_whole || state.head_size() != state.size || mirror.fetching.is_some() {
            return;
        }
        let before = std::mem::replace(&mut self.own, state.clone());
        if self.unconfirmed().is_some() {
            self.own = before;
            return;
        }
        self.mirrors.remove(&self.origin);
        (self.behind, self.confirmed) = (None, true);
        self.load_classes(view);
        let size = self.own.size;
        out.push(Output::Emit(Event::OwnLogRegained { size }));
        self.propose(now);
    }

    /// The classes that our own log defines.
    pub(super) fn load_classes(&mut self, view: &impl View) {
        let classes = (0..self.own.next_class)
            .filter_map(|n| u16::try_from(n).ok())
            .map(ClassId);
        let defined = |class| {
            view.class(&self.origin, class)
                .map(|labels| (labels, class))
        };
        self.own_classes = classes.filter_map(defined).collect();
    }

    /// Whom a body of a log can be had from: its origin, or for our own lost ones whoever is there.
    pub(super) fn body_source(&self, origin: &Origin) -> Option<CentreId> {
        if *origin != self.origin {
            let centre = self.roster().by_origin(origin)?;
            return self
                .peers
                .contains_key(&centre.id)
                .then(|| centre.id.clone());
        }
        // Each failure turns to the next.
        let failures = self.mirrors.get(origin)?.body_pace.failures;
        let turn = usize::try_from(failures).unwrap_or(0) % self.peers.len().max(1);
        self.peers.keys().nth(turn).cloned()
    }
}
