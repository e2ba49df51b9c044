//! To whom an object goes, and whether it was heard.

use std::collections::{BTreeMap, BTreeSet};

use hashpact_keys::{CentreId, Origin, Timestamp};

use super::super::heads::drop_peer;
use super::super::{Centre, Event, Output, Reason, later};
use super::Taken;
use crate::Hash;
use crate::evidence::rows;
use crate::evidence::{self, EvidenceError, Object};
use crate::limits;
use crate::record::{EntryId, Revision};
use crate::transfer::{Opening, Statement, shelf};
use crate::view::{Batch, Shelf, View};
use crate::wire::Message;

/// When an object was sent to somebody who has not said that it was heard.
#[derive(Clone, Copy, Debug)]
struct Sent {
    at: Timestamp,
    tries: u32,
}

impl Sent {
    /// When it is sent next.
    fn next(&self) -> Timestamp {
        let wait = limits::EVIDENCE_AGAIN_S << self.tries.min(7);
        later(self.at, wait.min(3_600))
    }

    fn is_due(&self, now: Timestamp) -> bool {
        // A clock that jumped back must not make the wait longer.
        self.next() <= now || self.at > now
    }
}

/// What is on its way to a centre.
#[derive(Default)]
pub(super) struct Owed {
    /// Not sent on this connection.
    waiting: BTreeSet<Hash>,
    /// Sent and not heard of.
    sent: BTreeMap<Hash, Sent>,
}

impl Owed {
    pub(super) fn insert(&mut self, hash: Hash) {
        if !self.sent.contains_key(&hash) {
            self.waiting.insert(hash);
        }
    }

    pub(super) fn contains(&self, hash: &Hash) -> bool {
        self.waiting.contains(hash) || self.sent.contains_key(hash)
    }

    pub(super) fn remove(&mut self, hash: &Hash) -> bool {
        self.sent.remove(hash).is_some() || self.waiting.remove(hash)
    }

    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.sent.is_empty()
    }

    /// Sends all of it anew.
    fn again(&mut self) {
        self.waiting
            .extend(std::mem::take(&mut self.sent).into_keys());
    }

    /// How many more may be under way. What is not heard of again and again holds up nothing.
    fn room(&self) -> usize {
        let fresh = self.sent.values().filter(|sent| sent.tries < 2);
        limits::EVIDENCE_IN_FLIGHT.saturating_sub(fresh.count())
    }

    /// What is sent now: what was not heard of in time, and new ones as far as there is room.
    fn take(&mut self, now: Timestamp) -> Vec<Hash> {
        let due = self.sent.iter_mut().filter(|(_, sent)| sent.is_due(now));
        let again = due.take(limits::EVIDENCE_IN_FLIGHT).map(|(hash, sent)| {
            (sent.tries, sent.at) = (sent.tries.saturating_add(1), now);
            *hash
        });
        let mut all: Vec<Hash> = again.collect();
        for _ in 0..self.room() {
            let Some(hash) = self.waiting.pop_first() else {
                break;
            };
            self.sent.insert(hash, Sent { at: now, tries: 0 });
            all.push(hash);
        }
        all
    }

    fn next(&self) -> Option<Timestamp> {
        let new = (!self.waiting.is_empty() && self.room() > 0).then_some(Timestamp::new(0));
        new.or_else(|| self.sent.values().map(Sent::next).min())
    }
}

/// Whom an object concerns.
pub(super) struct Concerned {
    pub(super) centres: BTreeSet<CentreId>,
    /// Whether the records that it is about are here; else others may be concerned too.
    pub(super) is_placed: bool,
}

impl Centre {
    /// Who is to hear of an object: those who hold its record, as far as this centre gave it to them, and its origin.
    pub(super) fn concerned(&self, object: &Object, view: &impl View) -> Concerned {
        let mut all = Concerned {
            centres: BTreeSet::new(),
            is_placed: true,
        };
        match object {
            Object::OptIn(_) | Object::Surge(_) => {}
            Object::Feedback(it) => {
                all.centres.insert(it.subject.origin.centre().clone());
            }
            Object::Answer(it) => match rows::read(&it.of, view) {
                // Nobody else heard of the feedback.
                Some(Object::Feedback(of)) => {
                    all.centres.insert(of.by.centre);
                }
                Some(Object::Dispute(_)) => self.holders(&it.entry, &mut all, view),
                Some(_) => {}
                // What it answers may come later.
                None => all.is_placed = false,
            },
            Object::Attestation(_)
            | Object::Dispute(_)
            | Object::Withdrawal(_)
            | Object::Reason(_) => {
                if let Some((origin, entry, revision)) = object.entry() {
                    let of = (origin.clone(), entry, revision);
                    self.holders(&of, &mut all, view);
                }
            }
            Object::Hold(it) => self.holders_of_all(it, &mut all, view),
            Object::Lift(it) => match rows::read(&it.hold, view) {
                Some(Object::Hold(hold)) if hold.by.centre == it.by.centre => {
                    self.holders_of_all(&hold, &mut all, view);
                }
                Some(_) => {}
                // The hold may come later: whoever hears of it is to hear of its end.
                None => all.is_placed = false,
            },
        }
        let roster = self.roster();
        let (own, maker) = (&self.id, object.centre());
        let is_there = |it: &CentreId| roster.centre(it).is_some();
        all.centres
            .retain(|it| it != own && it != maker && is_there(it));
        all
    }

    fn holders(
        &self,
        (origin, entry, revision): &(Origin, EntryId, Revision),
        all: &mut Concerned,
        view: &impl View,
    ) {
        self.holders_in(origin, *entry, Some(*revision), all, view);
    }

    fn holders_of_all(&self, hold: &evidence::Hold, all: &mut Concerned, view: &impl View) {
        for (origin, entries) in &hold.entries {
            for entry in entries {
                self.holders_in(origin, *entry, None, all, view);
            }
        }
        if hold.series.is_empty() {
            return;
        }
        // Which records are of a series only their holders know: whoever has anything from here.
        let given = self.given_to().map(|((to, _), _)| to.clone());
        all.centres.extend(given);
        for origin in self.roster().centres.iter().map(|it| &it.origin) {
            self.ungoverned(origin, all);
        }
    }

    fn holders_in(
        &self,
        origin: &Origin,
        entry: EntryId,
        revision: Option<Revision>,
        all: &mut Concerned,
        view: &impl View,
    ) {
        all.centres.insert(origin.centre().clone());
        self.ungoverned(origin, all);
        let Some((seq, class)) = view.place_of(origin, entry, revision) else {
            all.is_placed = false;
            return;
        };
        let given = self
            .given_to()
            .filter(|((_, of), classes)| of == origin && classes.contains(&class));
        all.centres.extend(given.map(|((to, _), _)| to.clone()));
        // Whoever gave it has it, and others that it was given to beside us.
        let by = shelf::received_by(origin, seq, view);
        let statement = by
            .get(&class)
            .and_then(|it| view.kept(Shelf::Statement, it));
        let opening = statement.and_then(|it| Opening::from_bytes(&it).ok());
        let statement = opening.and_then(|it| Statement::read_unverified(&it.signed).ok());
        all.centres.extend(statement.map(|it| it.from));
    }

    /// Those to whom bodies of a log flow whole.
    fn ungoverned(&self, origin: &Origin, all: &mut Concerned) {
        let centres = self.roster().centres.iter().map(|it| &it.id);
        let free = centres.filter(|it| !self.governed(origin, &self.id, it));
        all.centres.extend(free.cloned());
    }

    /// Sends each centre what it has not heard of.
    pub(super) fn send_evidence(
        &mut self,
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) {
        // What is kept in this step can be read in the next.
        let committed = out.iter().any(|output| matches!(output, Output::Commit(_)));
        if committed {
            return;
        }
        for (to, owed) in &mut self.evidence.owed {
            if !self.peers.contains_key(to) {
                continue;
            }
            let (mut objects, mut bytes): (Vec<Vec<u8>>, usize) = (Vec::new(), 0);
            for hash in owed.take(now) {
                let Some((signed, _)) = rows::signed(&hash, view) else {
                    owed.remove(&hash);
                    continue;
                };
                let is_full = objects.len() >= limits::EVIDENCE_PER_MESSAGE
                    || (!objects.is_empty() && bytes + signed.len() > limits::EVIDENCE_BYTES_CUT);
                if is_full {
                    let objects = std::mem::take(&mut objects);
                    out.push(Output::Send(to.clone(), Message::Evidence(objects)));
                    bytes = 0;
                }
                bytes += signed.len();
                objects.push(signed);
            }
            if !objects.is_empty() {
                out.push(Output::Send(to.clone(), Message::Evidence(objects)));
            }
        }
    }

    /// When something is sent next to whom it can be.
    pub(super) fn evidence_sends(&self) -> Option<Timestamp> {
        let owed = self.evidence.owed.iter();
        let up = owed.filter(|(to, _)| self.peers.contains_key(*to));
        up.filter_map(|(_, owed)| owed.next()).min()
    }

    /// Whoever was away is told at once.
    pub(in super::super) fn evidence_up(&mut self, peer: &CentreId) {
        if let Some(owed) = self.evidence.owed.get_mut(peer) {
            owed.again();
        }
        self.evidence.applied.forget(peer);
    }

    /// A peer passes objects on.
    pub(in super::super) fn on_evidence(
        &mut self,
        peer: &CentreId,
        objects: &[Vec<u8>],
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) {
        let mut taken = Taken::default();
        let mut heard = Vec::new();
        for signed in objects {
            let hash = evidence::hash(signed);
            if taken.known.contains(&hash) || rows::signed(&hash, view).is_some() {
                heard.push(hash);
                continue;
            }
            let opened = Object::open(signed, self.roster(), now);
            let opened = opened.and_then(|object| self.may_pass(object));
            let took = opened.and_then(|object| {
                // Ours, which our disk has lost: it is logged, and its salt is gone.
                if *object.centre() == self.id {
                    return Ok(());
                }
                self.take_object(&object, (hash, signed, None), &mut taken, now, view)
            });
            match took {
                Ok(()) => heard.push(hash),
                Err(error) if error.is_fault() => {
                    return drop_peer(peer, Reason::Evidence(error), out);
                }
                Err(error) => {
                    // Of more than is kept nothing will come; of an unknown key perhaps something, after a roster.
                    if error.is_final() {
                        heard.push(hash);
                    }
                    out.push(Output::Emit(Event::EvidenceRefused {
                        from: peer.clone(),
                        error,
                    }));
                }
            }
        }
        if !taken.rows.is_empty() {
            let mut batch = Batch::default();
            batch.extend(taken.take_rows());
            // It was heard where it came from.
            let known = taken.owed.iter().filter(|(to, _)| to == peer);
            let known: Vec<_> = known.cloned().collect();
            for (to, hash) in known {
                batch.push(rows::owed(&to, &hash, false));
                batch.push(rows::heard(&to, &hash, true));
            }
            taken.owed.retain(|(to, _)| to != peer);
            out.push(Output::Commit(batch));
            self.note_taken(taken, out);
        }
        if !heard.is_empty() {
            out.push(Output::Send(peer.clone(), Message::Heard(heard)));
        }
    }

    fn may_pass(&self, object: Object) -> Result<Object, EvidenceError> {
        if object.kind().stays() {
            let centre = object.centre().clone();
            return Err(EvidenceError::Stays { centre });
        }
        Ok(object)
    }

    /// A peer has heard of objects.
    pub(in super::super) fn on_heard(
        &mut self,
        peer: &CentreId,
        hashes: &[Hash],
        out: &mut Vec<Output>,
    ) {
        let Some(owed) = self.evidence.owed.get_mut(peer) else {
            return;
        };
        let mut batch = Batch::default();
        for hash in hashes {
            // Of what was not sent to it nothing is noted.
            if owed.remove(hash) {
                batch.push(rows::owed(peer, hash, false));
                batch.push(rows::heard(peer, hash, true));
            }
        }
        if owed.is_empty() {
            self.evidence.owed.remove(peer);
        }
        if !batch.is_empty() {
            out.push(Output::Commit(batch));
        }
    }
}
