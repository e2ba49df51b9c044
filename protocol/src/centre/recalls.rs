//! Recalls: what was given and may not be there any more is asked back, and what a giver asks back is destroyed.
//!
//! Whoever gave classes asks policy again whenever that or time changes what it says, and asks back what it denies. A holder
//! obeys at once, asks back in turn whatever it gave on, and says so; until it has, it is asked again. Recalls give no
//! reason. Both sides log salted hashes of what they signed. Spec: `docs/protocol.md`, "Recall".
//!
//! | file | answers |
//! |---|---|
//! | `recalls` | what is asked back, and what of it is not acknowledged |
//! | `obey` | what becomes of what a giver asks back |

mod obey;

use std::collections::{BTreeMap, BTreeSet};

use hashpact_keys::{CentreId, Origin, Timestamp};
use rand_core::CryptoRng;

use super::law::{LawMark, Way, earliest};
use super::{Centre, Event, Output, later};
use crate::Hash;
use crate::labels::{ClassId, Purpose};
use crate::limits;
use crate::log::Leaf;
use crate::transfer::recalls::{self, Row};
use crate::transfer::{
    Acknowledgement, Opening, Recall, RecallError, Salt, Statement, commitment, shelf,
};
use crate::view::View;
use crate::wire::Message;

/// Why a recall or an acknowledgement is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecallFault {
    /// Its bytes or its signature.
    #[error(transparent)]
    Recall(#[from] RecallError),
    /// Between others than who sent it and us, or of our own log.
    #[error("recall: not between its sender and this centre")]
    Parties,
    /// Signed at a time that is more than a day ahead of ours.
    #[error("recall: signed more than a day ahead of now")]
    Time,
    /// A class that its sender never gave us.
    #[error("recall: class {class} was never given by its sender")]
    NotGiven {
        /// The class.
        class: ClassId,
    },
    /// Of a recall that we never made, or made to somebody else.
    #[error("acknowledgement: of no recall to its sender")]
    NotAsked,
}

/// Who has what.
pub(super) type Holder = (CentreId, Origin);

/// A holder of classes of a log, and what it may have them for.
type Held<'a> = (&'a Holder, &'a BTreeSet<ClassId>, Purpose);

/// What is known of recalls, as far as memory goes.
#[derive(Default)]
pub(super) struct Recalls {
    /// Classes that were given and not asked back.
    given: BTreeMap<Holder, BTreeSet<ClassId>>,
    /// Those of them that are to be asked back.
    due: BTreeMap<Holder, BTreeSet<ClassId>>,
    /// What the last look at all of them rested on, and until when it holds.
    mark: Option<LawMark>,
    until: Option<Timestamp>,
    /// Asked back and not acknowledged.
    open: BTreeMap<Hash, Asked>,
    /// The newest number for each holder.
    numbers: BTreeMap<CentreId, u64>,
    /// Obeyed and not said so.
    owed: BTreeMap<Hash, CentreId>,
}

/// A recall of ours that is not acknowledged.
struct Asked {
    recall: Recall,
    signed: Vec<u8>,
    sent_at: Option<Timestamp>,
    tries: u32,
}

impl Asked {
    /// When it is sent next.
    fn next(&self) -> Timestamp {
        let wait = limits::RECALL_AGAIN_S << self.tries.min(6);
        let at = self.sent_at.map(|at| later(at, wait.min(3_600)));
        at.unwrap_or(Timestamp::new(0))
    }
}

impl Centre {
    /// Recalls of ours that their holders have not acknowledged.
    pub fn unacknowledged(&self) -> impl Iterator<Item = &Recall> {
        self.recalls.open.values().map(|asked| &asked.recall)
    }

    /// Reads the rows of recalls.
    pub(super) fn load_recalls(&mut self, view: &impl View) {
        let mut known = Recalls::default();
        for (to, origin, class, is_lost) in shelf::all_given(view) {
            let holder = (to, origin);
            if is_lost {
                known.due.entry(holder.clone()).or_default().insert(class);
            }
            known.given.entry(holder).or_default().insert(class);
        }
        for (hash, recall, signed, is_answered) in recalls::ours(view) {
            let newest = known.numbers.entry(recall.to.clone()).or_default();
            *newest = recall.number.max(*newest);
            if !is_answered {
                let asked = Asked {
                    recall,
                    signed,
                    sent_at: None,
                    tries: 0,
                };
                known.open.insert(hash, asked);
            }
        }
        let unsaid = recalls::theirs(view).into_iter();
        let unsaid = unsaid.filter(|(.., is_said)| !is_said);
        known.owed = unsaid
            .map(|(hash, recall, _)| (hash, recall.from))
            .collect();
        self.recalls = known;
    }

    /// The classes that each centre was given of each log and that were not asked back.
    pub(super) fn given_to(&self) -> impl Iterator<Item = (&Holder, &BTreeSet<ClassId>)> {
        self.recalls.given.iter()
    }

    /// Classes were given: policy is asked again at this time at the latest.
    pub(super) fn note_given(&mut self, to: &CentreId, statement: &Statement, until: Timestamp) {
        let holder = (to.clone(), statement.origin.clone());
        let classes = self.recalls.given.entry(holder).or_default();
        classes.extend(statement.by_class().into_keys());
        self.evidence_is_stale();
        self.recalls.until = Some(self.recalls.until.map_or(until, |at| at.min(until)));
    }

    /// Whoever was away is asked again at once.
    pub(super) fn recalls_up(&mut self, peer: &CentreId) {
        let open = self.recalls.open.values_mut();
        for asked in open.filter(|asked| asked.recall.to == *peer) {
            (asked.sent_at, asked.tries) = (None, 0);
        }
    }

    /// Asks back what may not be where it was given, says what was given back, and asks again who has not answered.
    pub(super) fn recall_what_is_due(
        &mut self,
        now: Timestamp,
        rng: &mut impl CryptoRng,
        view: &impl View,
        out: &mut Vec<Output>,
    ) {
        self.send_recalls(now, out);
        // One leaf a step, on what is durable: the next step comes at once.
        let committed = out.iter().any(|output| matches!(output, Output::Commit(_)));
        if committed || self.may_sign().is_err() {
            return;
        }
        self.look_again(now, view);
        if let Some((recall, to)) = self.recalls.owed.pop_first() {
            return self.acknowledge(recall, to, now, rng, view, out);
        }
        let on_roster = |(to, _): &Holder| self.roster().centre(to).is_some();
        let holder = self.recalls.due.keys().find(|holder| on_roster(holder));
        if let Some(holder) = holder.cloned() {
            self.ask_back(&holder, now, rng, view, out);
        }
    }

    /// When something of a recall is due next.
    pub(super) fn recall_wakes(&self) -> impl Iterator<Item = Timestamp> + '_ {
        let open = self.recalls.open.values();
        let open = open.filter(|asked| self.peers.contains_key(&asked.recall.to));
        open.map(Asked::next).chain(self.recalls.until)
    }

    /// Asks policy again about all that was given, once what it rests on has changed.
    fn look_again(&mut self, now: Timestamp, view: &impl View) {
        let Some(mark) = self.law_mark() else {
            return;
        };
        let is_over = self
            .recalls
            .until
            .is_some_and(|until| until <= self.time(now));
        if self.recalls.mark.as_ref() == Some(&mark) && !is_over {
            return;
        }
        let mut until: Option<Timestamp> = None;
        let mut due: Vec<(Holder, ClassId)> = Vec::new();
        let mut logs: BTreeMap<&Origin, Vec<Held<'_>>> = BTreeMap::new();
        for (holder, classes) in &self.recalls.given {
            if let Some(purpose) = self.asks_for(holder, now) {
                let rows = logs.entry(&holder.1).or_default();
                rows.push((holder, classes, purpose));
            }
        }
        for (origin, rows) in logs {
            let classes: BTreeSet<ClassId> =
                rows.iter().flat_map(|(_, it, _)| *it).copied().collect();
            let classes: Vec<ClassId> = classes.into_iter().collect();
            let ways = rows.iter().map(|((to, _), _, purpose)| Way {
                from: &self.id,
                to,
                purpose: *purpose,
            });
            let ways: Vec<Way<'_>> = ways.collect();
            self.may_flow_all(origin, &classes, &ways, now, view, |place, flows| {
                let Some((holder, given, _)) = rows.get(place) else {
                    return;
                };
                let flows = classes.iter().zip(flows);
                for (class, flow) in flows.filter(|(class, _)| given.contains(class)) {
                    until = earliest(until, flow.valid_until);
                    // Where nobody's policy denies it, it is the roster that stands in the way: that takes nothing back.
                    if !flow.allowed && flow.by.is_some() {
                        due.push(((*holder).clone(), *class));
                    }
                }
            });
        }
        for (holder, class) in due {
            self.recalls.due.entry(holder).or_default().insert(class);
        }
        (self.recalls.mark, self.recalls.until) = (Some(mark), until);
    }

    /// What a holder has a log's classes for; none while nothing of it is to be decided.
    fn asks_for(&self, (to, origin): &Holder, now: Timestamp) -> Option<Purpose> {
        let is_there = self.roster().centre(to).is_some() && !self.roster().is_expired(now);
        if !is_there || !self.governed(origin, &self.id, to) {
            return None;
        }
        // Without a document of its own it asks for nothing: what is decided then is denied by whoever lacks one.
        let none = Purpose::Statistics;
        Some(self.purpose_of(to, now).unwrap_or(none))
    }

    /// Signs, logs and sends a recall of what is due of one holder.
    fn ask_back(
        &mut self,
        holder: &Holder,
        now: Timestamp,
        rng: &mut impl CryptoRng,
        view: &impl View,
        out: &mut Vec<Output>,
    ) {
        let (to, origin) = holder;
        let due = self.recalls.due.remove(holder).unwrap_or_default();
        let mut due = due.into_iter();
        let classes: Vec<ClassId> = due.by_ref().take(limits::CLASSES_PER_RECALL).collect();
        let rest: BTreeSet<ClassId> = due.collect();
        if !rest.is_empty() {
            self.recalls.due.insert(holder.clone(), rest);
        }
        let number = self.recalls.numbers.get(to).map_or(1, |number| number + 1);
        // A clock that went back must not put it before what it asks back.
        let given = obey::logged(origin, view).filter(|(_, it)| it.from == self.id && it.to == *to);
        let time = given.map(|(_, it)| it.time).max().max(Some(now));
        let time = time.unwrap_or(now);
        let recall = Recall {
            network: self.roster().network,
            origin: origin.clone(),
            from: self.id.clone(),
            to: to.clone(),
            number,
            classes: classes.clone(),
            time,
        };
        let signed = recall.sign(&self.keys.delta);
        let hash = Recall::hash(&signed);
        let (leaf, opening) = sealed(&signed, rng);
        let mut rows = vec![recalls::keep(Row::Ours, &hash, opening)];
        let gone = classes.iter();
        rows.extend(gone.map(|class| shelf::asked_back(to, origin, *class)));
        rows.extend(self.stop_serving(to, origin, &classes, view));
        if self.log_leaf(&leaf, rows, now, view, out).is_err() {
            let due = self.recalls.due.entry(holder.clone()).or_default();
            due.extend(classes);
            return;
        }
        if let Some(given) = self.recalls.given.get_mut(holder) {
            given.retain(|class| !classes.contains(class));
        }
        self.recalls.numbers.insert(to.clone(), number);
        out.push(Output::Emit(Event::Recalled {
            origin: origin.clone(),
            to: to.clone(),
            classes: classes.len() as u64,
        }));
        let asked = Asked {
            recall,
            signed,
            sent_at: None,
            tries: 0,
        };
        self.recalls.open.insert(hash, asked);
        self.send_recalls(now, out);
    }

    fn send_recalls(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        for asked in self.recalls.open.values_mut() {
            let to = &asked.recall.to;
            // A clock that jumped back must not make the wait longer.
            let is_ahead = asked.sent_at.is_some_and(|at| at > now);
            if self.peers.contains_key(to) && (asked.next() <= now || is_ahead) {
                asked.tries += u32::from(asked.sent_at.is_some());
                asked.sent_at = Some(now);
                out.push(Output::Send(
                    to.clone(),
                    Message::Recall(asked.signed.clone()),
                ));
            }
        }
    }

    /// A holder says that what we asked back is gone.
    pub(super) fn on_acknowledged(
        &mut self,
        peer: &CentreId,
        signed: &[u8],
        now: Timestamp,
        rng: &mut impl CryptoRng,
        view: &impl View,
        out: &mut Vec<Output>,
    ) {
        match self.check_acknowledgement(peer, signed, view) {
            Ok(Some(hash)) => {
                let (leaf, opening) = sealed(signed, rng);
                let rows = vec![recalls::keep(Row::Answered, &hash, opening)];
                // Where nothing can be signed now, it is asked again and answered again.
                if self.log_leaf(&leaf, rows, now, view, out).is_err() {
                    return;
                }
                if let Some(asked) = self.recalls.open.remove(&hash) {
                    out.push(Output::Emit(Event::RecallAcknowledged {
                        origin: asked.recall.origin,
                        by: peer.clone(),
                        classes: asked.recall.classes.len() as u64,
                    }));
                }
            }
            Ok(None) => {}
            Err(error) => out.push(Output::Emit(Event::RecallRefused {
                from: peer.clone(),
                error,
            })),
        }
    }

    /// Which recall is acknowledged; none if it was before.
    fn check_acknowledgement(
        &self,
        peer: &CentreId,
        signed: &[u8],
        view: &impl View,
    ) -> Result<Option<Hash>, RecallFault> {
        let said = Acknowledgement::open(signed, self.roster())?;
        if said.from != *peer {
            return Err(RecallFault::Parties);
        }
        match self.recalls.open.get(&said.recall) {
            Some(asked) if asked.recall.to == *peer => Ok(Some(said.recall)),
            None if recalls::kept(Row::Answered, &said.recall, view).is_some() => Ok(None),
            Some(_) | None => Err(RecallFault::NotAsked),
        }
    }
}

/// The leaf that seals something signed, and what opens it.
fn sealed(signed: &[u8], rng: &mut impl CryptoRng) -> (Leaf, Vec<u8>) {
    let mut salt: Salt = [0; 16];
    rng.fill_bytes(&mut salt);
    let leaf = Leaf::Commitment {
        commitment: commitment(&salt, signed),
    };
    let opening = Opening {
        salt: Some(salt),
        signed: signed.to_vec(),
    };
    (leaf, opening.to_bytes())
}
