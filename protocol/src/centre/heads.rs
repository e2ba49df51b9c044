//! What peers say their logs are.
//!
//! A smaller log from its own centre is a rollback; from a relay it is merely stale. A log of equal size with another root,
//! or one whose earlier root is not ours, is a fork. A larger one is an offer, and becomes true only when its leaves verify.

use std::collections::BTreeMap;

use hashpact_keys::{CentreId, Origin, Timestamp};
use rand_core::CryptoRng;

use super::{Centre, Event, Output, Reason, later};
use crate::Hash;
use crate::limits;
use crate::log::{CheckpointError, SignedCheckpoint, root_at};
use crate::view::View;
use crate::wire::{Frame, Message};

impl Centre {
    pub(super) fn on_received(
        &mut self,
        peer: &CentreId,
        frame: &Frame,
        now: Timestamp,
        rng: &mut impl CryptoRng,
        view: &impl View,
        out: &mut Vec<Output>,
    ) {
        let Some(state) = self.peers.get_mut(peer) else {
            return;
        };
        let (session, counter, notes) = match Message::from_bytes(&frame.0) {
            Ok(Message::Heads {
                session,
                counter,
                notes,
            }) => (session, counter, notes),
            Ok(Message::Fork(proof)) => return self.on_fork_proof(peer, &proof, now, view, out),
            Ok(Message::Propose(proposal)) => {
                return self.on_proposal(peer, &proposal, now, rng, view, out);
            }
            Ok(Message::Terms { ask, offer, chain }) => {
                return self.on_terms(peer, (ask, &offer, &chain), now, rng, view, out);
            }
            Ok(Message::Agreed(signed)) => {
                return self.on_agreed(peer, &signed, now, rng, view, out);
            }
            Ok(Message::Recall(signed)) => return self.on_recall(peer, &signed, now, view, out),
            Ok(Message::Acknowledged(signed)) => {
                return self.on_acknowledged(peer, &signed, now, rng, view, out);
            }
            Ok(Message::Evidence(objects)) => {
                return self.on_evidence(peer, &objects, now, view, out);
            }
            Ok(Message::Heard(hashes)) => return self.on_heard(peer, &hashes, out),
            Ok(Message::Applied { origin, below }) => {
                return self.on_applied(peer, (&origin, below), now, out);
            }
            Ok(Message::Logged(hash)) => return self.on_logged(peer, hash, now),
            Ok(Message::Declined {
                ask,
                statement,
                why,
            }) => return self.on_declined(peer, (ask, statement, why), now, view, out),
            Err(error) => return drop_peer(peer, Reason::Malformed(error), out),
        };
        // Streams may overtake each other: an older message must not look like a rollback.
        if (session, counter) <= state.newest {
            return;
        }
        // Started again while its end went unnoticed here: it waits to hear what we hold.
        let began = session > state.newest.0 && state.newest.0 > 0;
        state.newest = (session, counter);
        if began {
            self.on_undelivered(peer, view, out);
        }
        let taken = match self.on_heads(peer, &notes, now, view, out) {
            Ok(taken) => taken,
            Err(reason) => return drop_peer(peer, reason, out),
        };
        let (own, held) = (self.origin.clone(), self.own.size);
        let claimed = notes
            .iter()
            .filter_map(|note| SignedCheckpoint::from_store(note).ok());
        let claimed = claimed.filter(|head| head.checkpoint().origin == own);
        let claimed = claimed.map(|head| head.checkpoint().size).max();
        let taken = taken.get(&own).copied();
        // What was not taken may be under a key that only a newer roster holds: it says nothing, least of all that no more
        // was seen. Whoever shows nothing of our log has seen nothing of it.
        if claimed > taken.max(Some(held)) {
            return;
        }
        let seen = taken.map_or(0, |seen| seen.min(held));
        let reported = self.reports.get(peer.as_str()).copied().unwrap_or(0);
        self.on_report(peer.as_str(), seen.max(reported), now, view, out);
    }

    fn on_heads(
        &mut self,
        peer: &CentreId,
        notes: &[Vec<u8>],
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) -> Result<BTreeMap<Origin, u64>, Reason> {
        // Two heads a log, the witnessed one and the pending one: each costs signature checks and perhaps reads of the tree.
        let mut logs: BTreeMap<Origin, u8> = BTreeMap::new();
        let mut shown: BTreeMap<Origin, u64> = BTreeMap::new();
        for note in notes {
            let origin = SignedCheckpoint::claimed_origin(note).map_err(Reason::Checkpoint)?;
            let seen = logs.entry(origin.clone()).or_default();
            *seen = seen.saturating_add(1);
            if *seen > 2 {
                continue;
            }
            if let Some(size) = self.on_head(peer, note, now, view, out)? {
                let largest = shown.entry(origin).or_default();
                *largest = size.max(*largest);
            }
        }
        if let Some((origin, size)) = shown.iter().find(|(origin, _)| origin.centre() == peer) {
            self.on_reached(peer, origin, *size, now, out)?;
        }
        Ok(shown)
    }

    /// Verifies one head and takes what is new in it; its size, if it counts.
    fn on_head(
        &mut self,
        peer: &CentreId,
        note: &[u8],
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) -> Result<Option<u64>, Reason> {
        let origin = SignedCheckpoint::claimed_origin(note).map_err(Reason::Checkpoint)?;
        // A peer with a newer roster may know logs that we do not.
        let Some(centre) = self.roster().by_origin(&origin) else {
            return Ok(None);
        };
        let (head, key) = match SignedCheckpoint::open(note, centre, now) {
            Ok(opened) => opened,
            // Keys come and go with the roster, and the other side may hold another version.
            Err(CheckpointError::NoKey { .. }) => return Ok(None),
            Err(error) => return Err(Reason::Checkpoint(error)),
        };
        let revoked = self.roster().revoked_from(&key, &origin);
        let shown = head.checkpoint().size;
        if revoked.is_some_and(|size| shown > size) {
            // A relay with an older roster cannot know it.
            return Ok(None);
        }
        if origin == self.origin {
            self.on_own_head(peer, &head, now, view, out);
            return Ok(Some(shown));
        }
        match self.root_of(&origin, shown, view) {
            Some(root) if root != head.checkpoint().root => {
                // Nobody is parted from for it: a relay shows what its origin told it, and who told it must say where they part.
                self.on_fork(peer, &head, view, out);
                return Ok(None);
            }
            Some(_) => self.on_lines(&head, now, view, out),
            None => {}
        }
        if let Some(mirror) = self.mirrors.get_mut(&origin)
            && shown > mirror.state.size
        {
            mirror.offers.insert(peer.clone(), head.clone());
            self.promise(&head, now);
            self.look_for_forgotten(&head, view, out);
        }
        Ok(Some(shown))
    }

    /// A centre shows how long its own log is. Shorter than before is a rollback, or a disk that is an old copy: it is told,
    /// and parted from if it goes on.
    fn on_reached(
        &mut self,
        peer: &CentreId,
        origin: &Origin,
        shown: u64,
        now: Timestamp,
        out: &mut Vec<Output>,
    ) -> Result<(), Reason> {
        let Some(state) = self.peers.get_mut(peer) else {
            return Ok(());
        };
        // A relay may have brought what is newer than a message of the origin's that was still on its way.
        let held = state.reached;
        if shown >= held {
            (state.reached, state.rolled_back) = (shown, None);
            return Ok(());
        }
        let origin = origin.clone();
        out.push(Output::Emit(Event::Rollback {
            origin,
            held,
            shown,
        }));
        let since = *state.rolled_back.get_or_insert(now);
        if since > now || later(since, limits::ROLLBACK_S) <= now {
            return Err(Reason::Rollback { held, shown });
        }
        self.tell.insert(peer.clone());
        Ok(())
    }

    /// The root that we know a log to have at a size: that is where a fork shows without fetching anything.
    pub(super) fn root_of(&self, origin: &Origin, size: u64, view: &impl View) -> Option<Hash> {
        let state = &self.mirrors.get(origin)?.state;
        let same_size = state
            .head
            .as_ref()
            .filter(|held| held.checkpoint().size == size);
        if let Some(held) = same_size {
            return Some(held.checkpoint().root);
        }
        if size > state.size {
            return None;
        }
        let files = |path: &str| view.log_file(origin, path);
        root_at(&files, state.size, size).ok()
    }

    /// Whether a head that was taken under an earlier roster would be taken under this one.
    pub(super) fn still_counts(&self, head: &SignedCheckpoint, now: Timestamp) -> bool {
        let origin = &head.checkpoint().origin;
        let Some(centre) = self.roster().by_origin(origin) else {
            return false;
        };
        let opened = SignedCheckpoint::open(head.note(), centre, now);
        opened.is_ok_and(|(head, key)| {
            let revoked = self.roster().revoked_from(&key, origin);
            revoked.is_none_or(|size| head.checkpoint().size <= size)
        })
    }

    /// Someone shows our own log, under our own signature. More of it than we hold means that our disk is an old one.
    fn on_own_head(
        &mut self,
        peer: &CentreId,
        head: &SignedCheckpoint,
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) {
        let held = self
            .mirrors
            .get(&self.origin)
            .map_or(self.own.size, |own| own.state.size);
        let seen = head.checkpoint().size;
        if seen > held {
            self.on_report(peer.as_str(), seen, now, view, out);
            return self.offer_own(peer, head);
        }
        let files = |path: &str| view.log_file(&self.origin, path);
        match root_at(&files, held, seen) {
            Ok(root) if root != head.checkpoint().root => self.on_fork(peer, head, view, out),
            Ok(_) if !self.is_behind() => self.on_own_lines(head, now, view, out),
            Ok(_) | Err(_) => {}
        }
    }
}

pub(super) fn drop_peer(peer: &CentreId, reason: Reason, out: &mut Vec<Output>) {
    out.push(Output::Drop(peer.clone(), reason));
}
