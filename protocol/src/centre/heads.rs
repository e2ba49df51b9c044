//! What peers say their logs are.
//!
//! A smaller log from its own centre is a rollback; from a relay it is merely stale. A log of equal size with another root,
//! or one whose earlier root is not ours, is a fork. A larger one is an offer, and becomes true only when its leaves verify.

use std::collections::BTreeSet;

use hashpact_keys::{CentreId, Origin, Timestamp};

use super::{Centre, Event, Output, Reason};
use crate::log::{CheckpointError, SignedCheckpoint, root_at};
use crate::view::View;
use crate::wire::{Frame, Message};

impl Centre {
    pub(super) fn on_received(
        &mut self,
        peer: &CentreId,
        frame: &Frame,
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) {
        let Some(state) = self.peers.get_mut(peer) else {
            return;
        };
        let Message::Heads {
            session,
            counter,
            notes,
        } = match Message::from_bytes(&frame.0) {
            Ok(message) => message,
            Err(error) => return drop_peer(peer, Reason::Malformed(error), out),
        };
        // Streams may overtake each other: an older message must not look like a rollback.
        if (session, counter) <= state.newest {
            return;
        }
        state.newest = (session, counter);
        // One head a log: each costs a signature check and perhaps reads of the tree.
        let mut logs = BTreeSet::new();
        for note in &notes {
            if SignedCheckpoint::claimed_origin(note).is_ok_and(|origin| !logs.insert(origin)) {
                continue;
            }
            if let Err(reason) = self.on_head(peer, note, now, view, out) {
                return drop_peer(peer, reason, out);
            }
        }
    }

    fn on_head(
        &mut self,
        peer: &CentreId,
        note: &[u8],
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) -> Result<(), Reason> {
        let origin = SignedCheckpoint::claimed_origin(note).map_err(Reason::Checkpoint)?;
        // A peer with a newer roster may know logs that we do not.
        let Some(centre) = self.roster().by_origin(&origin) else {
            return Ok(());
        };
        let from_origin = centre.id == *peer;
        let (head, key) = match SignedCheckpoint::open(note, centre, now) {
            Ok(opened) => opened,
            // Keys come and go with the roster, and the other side may hold another version.
            Err(CheckpointError::NoKey { .. }) => return Ok(()),
            Err(error) => return Err(Reason::Checkpoint(error)),
        };
        let revoked = self.roster().revoked_from(&key, &origin);
        if revoked.is_some_and(|size| head.checkpoint().size > size) {
            // A relay with an older roster cannot know it.
            return Ok(());
        }
        if origin == self.origin {
            self.on_own_head(peer, &head, view, out);
            return Ok(());
        }
        if self.forks(&origin, &head, view) {
            let (size, shown_by) = (head.checkpoint().size, peer.clone());
            out.push(Output::Emit(Event::Fork {
                origin,
                size,
                shown_by,
            }));
            // A relay shows what its origin told it: two honest centres must not fall out over somebody's two faces.
            return if from_origin {
                Err(Reason::Fork)
            } else {
                Ok(())
            };
        }
        let Some(mirror) = self.mirrors.get_mut(&origin) else {
            return Ok(());
        };
        let shown = head.checkpoint().size;
        if shown > mirror.state.size {
            mirror.offers.insert(peer.clone(), head);
        }
        let Some(state) = self.peers.get_mut(peer).filter(|_| from_origin) else {
            return Ok(());
        };
        // A relay may have brought what is newer than a message of the origin's that was still on its way.
        let held = state.reached;
        if shown < held {
            out.push(Output::Emit(Event::Rollback {
                origin,
                held,
                shown,
            }));
            return Err(Reason::Rollback { held, shown });
        }
        state.reached = shown;
        Ok(())
    }

    /// Compares roots where both are known: that is where a fork shows without fetching anything.
    fn forks(&self, origin: &Origin, head: &SignedCheckpoint, view: &impl View) -> bool {
        let Some(mirror) = self.mirrors.get(origin) else {
            return false;
        };
        let shown = head.checkpoint();
        let state = &mirror.state;
        let same_size = state
            .head
            .as_ref()
            .filter(|held| held.checkpoint().size == shown.size);
        let known = if let Some(held) = same_size {
            Some(held.checkpoint().root)
        } else if shown.size <= state.size {
            let files = |path: &str| view.log_file(origin, path);
            root_at(&files, state.size, shown.size).ok()
        } else {
            None
        };
        known.is_some_and(|root| root != shown.root)
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
        view: &impl View,
        out: &mut Vec<Output>,
    ) {
        let (seen, held) = (head.checkpoint().size, self.own.size);
        if seen > held {
            if self.behind.is_none_or(|size| size < seen) {
                self.behind = Some(seen);
                out.push(Output::Emit(Event::OwnLogBehind { held, seen }));
            }
            return;
        }
        let files = |path: &str| view.log_file(&self.origin, path);
        let root = root_at(&files, held, seen).ok();
        if root.is_some_and(|root| root != head.checkpoint().root) {
            self.behind = Some(seen);
            let (origin, shown_by) = (self.origin.clone(), peer.clone());
            out.push(Output::Emit(Event::Fork {
                origin,
                size: seen,
                shown_by,
            }));
        }
    }
}

pub(super) fn drop_peer(peer: &CentreId, reason: Reason, out: &mut Vec<Output>) {
    out.push(Output::Drop(peer.clone(), reason));
}
