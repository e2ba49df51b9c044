//! Objects beside deltas: what this centre says, what it keeps of what others say, and to whom it passes that on.
//!
//! A centre passes a new object on to the origin's centre and to every centre that it gave the class to; where no policies
//! speak, to every centre. So an object reaches whoever holds the record by the ways on which the record came, and nobody
//! else learns of it. It is sent again until it was heard. Every object that this centre makes is logged sealed. Spec:
//! `docs/protocol.md`, "Objects beside deltas".
//!
//! | file | answers |
//! |---|---|
//! | `evidence` | what is said and ordered here, and what is kept |
//! | `carry` | to whom an object goes, and whether it was heard |
//! | `sweep` | who lacks an object since it may have it, and which objects count no more |
//! | `errors` | whose entries share a fingerprint with an error |
//! | `applied` | who has applied our retractions |

mod applied;
mod carry;
mod errors;
mod sweep;

use std::collections::{BTreeMap, BTreeSet};

use hashpact_keys::{CentreId, Origin, Timestamp};
use rand_core::CryptoRng;

use super::{Centre, CommandError, Event, Outcome, Output, later};
use crate::Hash;
use crate::evidence::rows::{self, Holding};
use crate::evidence::tally::Tally;
use crate::evidence::{self, By, Changed, DAY_S, Draft, EvidenceError, Kind, Object};
use crate::limits;
use crate::log::Leaf;
use crate::transfer::{Salt, commitment};
use crate::view::{Batch, View, Write};

use applied::Applied;
pub use applied::RetractionLag;
use carry::Owed;
use errors::Errors;
use sweep::Sweep;

/// What is known of objects, as far as memory goes.
#[derive(Default)]
pub(super) struct Carriage {
    /// What is on its way to whom.
    owed: BTreeMap<CentreId, Owed>,
    /// Holds and opt-ins, by when they end.
    ends: BTreeMap<(Timestamp, Hash), Holding>,
    /// Objects about records that are not here, so that it is not known whom they concern.
    unplaced: BTreeMap<CentreId, BTreeSet<Hash>>,
    sweep: Sweep,
    errors: Errors,
    applied: Applied,
}

/// Objects that are about to be kept.
#[derive(Default)]
struct Taken {
    rows: Vec<Write>,
    leaves: Vec<Vec<u8>>,
    known: BTreeSet<Hash>,
    tally: Tally,
    /// Under what the votes stand that are among them.
    votes: BTreeSet<Vec<u8>>,
    /// Votes that stand no more.
    replaced: Vec<Hash>,
    ends: Vec<Holding>,
    owed: Vec<(CentreId, Hash)>,
    unplaced: Vec<(CentreId, Hash)>,
    /// Whether others may name one of them.
    is_named: bool,
    errors: Vec<Hash>,
    changed: Changed,
    events: Vec<Event>,
}

impl Taken {
    /// The rows of what is about to be kept, with its counts.
    fn take_rows(&mut self) -> Vec<Write> {
        let mut rows = std::mem::take(&mut self.rows);
        rows.extend(std::mem::take(&mut self.tally).into_rows());
        rows
    }
}

impl Centre {
    /// Reads what rests of objects.
    pub(super) fn load_evidence(&mut self, view: &impl View) {
        let mut known = Carriage::default();
        for (to, hash) in rows::all_owed(view) {
            known.owed.entry(to).or_default().insert(hash);
        }
        let ends = rows::holding(view).into_iter();
        known.ends = ends.map(|it| ((it.until, it.hash), it)).collect();
        known.errors.look_at(rows::errors(view));
        known.sweep.begin();
        known.applied = Applied::load(&self.origin, view);
        self.evidence = known;
    }

    /// Signs, logs and sends what this centre says.
    pub(super) fn issue(
        &mut self,
        drafts: Vec<Draft>,
        now: Timestamp,
        rng: &mut impl CryptoRng,
        view: &impl View,
        out: &mut Vec<Output>,
    ) -> Result<Outcome, CommandError> {
        let got = drafts.len();
        if got == 0 || got > limits::DRAFTS_AT_ONCE {
            return Err(CommandError::Drafts { got });
        }
        let country = self.own_entry()?.jurisdiction.clone();
        let day = u32::try_from(now.get() / DAY_S).unwrap_or(limits::DAYS);
        let mut taken = Taken::default();
        let mut hashes = Vec::with_capacity(got);
        for draft in drafts {
            let by = By {
                network: self.roster().network,
                centre: self.id.clone(),
                country: country.clone(),
                day,
            };
            let named = |hash: &Hash| rows::read(hash, view);
            let signed = draft.sign(by, &self.origin, named, &self.keys.attest)?;
            hashes.push(self.say(&signed, &mut taken, now, rng, view)?);
        }
        self.log_said(taken, now, view, out)?;
        Ok(Outcome::Issued { hashes })
    }

    /// Logs and sends an order of two people of this centre.
    pub(super) fn order(
        &mut self,
        signed: Vec<u8>,
        now: Timestamp,
        rng: &mut impl CryptoRng,
        view: &impl View,
        out: &mut Vec<Output>,
    ) -> Result<Outcome, CommandError> {
        let object = Object::open(&signed, self.roster(), now)?;
        if !object.kind().is_order() {
            return Err(EvidenceError::Kind.into());
        }
        let centre = object.centre().clone();
        if centre != self.id {
            return Err(EvidenceError::Centre { centre }.into());
        }
        if let Object::Lift(lift) = &object {
            let hold = rows::read(&lift.hold, view);
            let may_end = |it: &Object| matches!(it.kind(), Kind::Hold | Kind::OptIn);
            let is_ours = hold.is_some_and(|it| may_end(&it) && it.centre() == &centre);
            if !is_ours {
                return Err(EvidenceError::Unknown.into());
            }
        }
        let mut taken = Taken::default();
        let hashes = vec![self.say(&signed, &mut taken, now, rng, view)?];
        self.log_said(taken, now, view, out)?;
        Ok(Outcome::Issued { hashes })
    }

    /// One object of ours, opened as its receivers will.
    fn say(
        &self,
        signed: &[u8],
        taken: &mut Taken,
        now: Timestamp,
        rng: &mut impl CryptoRng,
        view: &impl View,
    ) -> Result<Hash, EvidenceError> {
        let hash = evidence::hash(signed);
        if taken.known.contains(&hash) || rows::signed(&hash, view).is_some() {
            return Ok(hash);
        }
        let object = Object::open(signed, self.roster(), now)?;
        let mut salt: Salt = [0; 16];
        rng.fill_bytes(&mut salt);
        match self.take_object(&object, (hash, signed, Some(salt)), taken, now, view) {
            Ok(()) => {}
            // Of one day the negative vote is the member's word.
            Err(EvidenceError::Stands { of }) => return Ok(of),
            Err(error) => return Err(error),
        }
        let leaf = Leaf::Commitment {
            commitment: commitment(&salt, signed),
        };
        taken.leaves.extend(leaf.to_bytes());
        Ok(hash)
    }

    fn log_said(
        &mut self,
        mut taken: Taken,
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) -> Result<(), CommandError> {
        if taken.leaves.is_empty() {
            // All of it was said before.
            return Ok(());
        }
        let leaves = std::mem::take(&mut taken.leaves);
        let rows = taken.take_rows();
        self.log_leaves(leaves, rows, now, view, out)?;
        self.note_taken(taken, out);
        Ok(())
    }

    /// What keeping an object means: its rows, who is to hear of it, what changes. Nothing happens yet.
    fn take_object(
        &self,
        object: &Object,
        (hash, signed, salt): (Hash, &[u8], Option<Salt>),
        taken: &mut Taken,
        now: Timestamp,
        view: &impl View,
    ) -> Result<(), EvidenceError> {
        let centre = object.centre().clone();
        self.may_matter(object, now, view)?;
        let concerned = self.concerned(object, view);
        if !concerned.is_placed {
            self.is_room_to_wait(&centre, taken)?;
        }
        let replaced = replaced_by(object, &hash, taken, view)?;
        self.is_room(object, replaced.is_some(), taken, now, view)?;
        if let Some((of, old)) = replaced {
            self.replace(of, &old, taken, view);
        }
        if let Object::Feedback(it) = object {
            taken.votes.insert(rows::vote_key(it));
        }
        taken.tally.add(object, view);
        taken.rows.push(rows::keep(&hash, salt, signed));
        taken.rows.extend(rows::marks(&hash, object, true));
        if !concerned.is_placed {
            taken.unplaced.push((centre.clone(), hash));
        }
        taken.is_named |= matches!(object.kind(), Kind::Hold | Kind::Dispute | Kind::Feedback);
        for to in concerned.centres {
            taken.rows.push(rows::owed(&to, &hash, true));
            taken.owed.push((to, hash));
        }
        match object {
            Object::Reason(reason) if reason.code.travels() => taken.errors.push(hash),
            Object::Hold(it) => taken.ends.push(Holding {
                until: it.until,
                hash,
                named: it.named() as u64,
                centre: centre.clone(),
            }),
            Object::OptIn(it) => taken.ends.push(Holding {
                until: it.until,
                hash,
                named: 0,
                centre: centre.clone(),
            }),
            Object::Attestation(_)
            | Object::Dispute(_)
            | Object::Withdrawal(_)
            | Object::Feedback(_)
            | Object::Answer(_)
            | Object::Reason(_)
            | Object::Lift(_)
            | Object::Surge(_) => {}
        }
        taken.changed.extend(changed(object, view));
        taken.known.insert(hash);
        let about = object.entry();
        taken.events.push(Event::EvidenceTaken {
            kind: object.kind(),
            by: centre,
            hash,
            about: about.map(|(origin, entry, _)| (origin.clone(), entry)),
        });
        Ok(())
    }

    /// Whether an object can have an effect here: its logs are known, its time is not over, it is its centre's to say.
    fn may_matter(
        &self,
        object: &Object,
        now: Timestamp,
        view: &impl View,
    ) -> Result<(), EvidenceError> {
        if is_over(object, now) {
            return Err(EvidenceError::Over);
        }
        let known = |origin: &Origin| {
            let mut listed = self.roster().centres.iter();
            listed.any(|it| it.origin == *origin) || self.mirrors.contains_key(origin)
        };
        let mut named: Vec<&Origin> = Vec::new();
        named.extend(object.entry().map(|(origin, ..)| origin));
        match object {
            Object::Hold(it) => named.extend(it.entries.keys()),
            Object::Lift(it) => {
                let of = rows::read(&it.hold, view);
                let centre = &it.by.centre;
                if of.is_some_and(|of| of.centre() != centre) {
                    let centre = centre.clone();
                    return Err(EvidenceError::NotTheMaker { centre });
                }
                if !rows::lifts_of(&it.hold, centre, view).is_empty() {
                    let centre = centre.clone();
                    return Err(EvidenceError::TooMany { centre });
                }
            }
            Object::Attestation(_)
            | Object::Dispute(_)
            | Object::Withdrawal(_)
            | Object::Feedback(_)
            | Object::Answer(_)
            | Object::Reason(_)
            | Object::OptIn(_)
            | Object::Surge(_) => {}
        }
        // A roster that is still to come may name it.
        match named.into_iter().all(known) {
            true => Ok(()),
            false => Err(EvidenceError::Unknown),
        }
    }

    /// Whether one more object about what is not here is kept of a centre. Else it is not heard, and comes again.
    fn is_room_to_wait(&self, centre: &CentreId, taken: &Taken) -> Result<(), EvidenceError> {
        let kept = self.evidence.unplaced.get(centre);
        let new = taken.unplaced.iter().filter(|(it, _)| it == centre);
        let wait = kept.map_or(0, BTreeSet::len) + new.count();
        match *centre != self.id && wait >= limits::UNPLACED_PER_CENTRE {
            true => Err(EvidenceError::Unknown),
            false => Ok(()),
        }
    }

    /// Whether one more object of its centre is kept, in all, about one entry, and of what it holds back.
    fn is_room(
        &self,
        object: &Object,
        replaces: bool,
        taken: &mut Taken,
        now: Timestamp,
        view: &impl View,
    ) -> Result<(), EvidenceError> {
        let centre = object.centre();
        let too_many = || EvidenceError::TooMany {
            centre: centre.clone(),
        };
        if !replaces && !taken.tally.has_room(object, view) {
            return Err(too_many());
        }
        if let Object::Hold(hold) = object {
            let kept = self.evidence.ends.values();
            let held = kept.chain(&taken.ends);
            let held = held.filter(|it| it.centre == *centre && it.until > now);
            let held: u64 = held.map(|it| it.named).sum();
            if held + hold.named() as u64 > limits::HELD_PER_CENTRE as u64 {
                return Err(too_many());
            }
        }
        Ok(())
    }

    /// A vote stands no more: nothing leads to it. Of our own the bytes stay, for whoever audits the leaf.
    fn replace(&self, of: Hash, old: &Object, taken: &mut Taken, view: &impl View) {
        taken.tally.take(old, view);
        taken.rows.extend(rows::marks(&of, old, false));
        if *old.centre() != self.id {
            taken.rows.push(rows::forget(&of));
        }
        let owed = self.evidence.owed.iter();
        let to = owed.filter(|(_, owed)| owed.contains(&of));
        taken
            .rows
            .extend(to.map(|(to, _)| rows::owed(to, &of, false)));
        taken.replaced.push(of);
    }

    /// What was kept is on its way, and people hear of it.
    fn note_taken(&mut self, taken: Taken, out: &mut Vec<Output>) {
        for of in taken.replaced {
            for owed in self.evidence.owed.values_mut() {
                owed.remove(&of);
            }
        }
        for (to, hash) in taken.owed {
            self.evidence.owed.entry(to).or_default().insert(hash);
        }
        let ends = taken.ends.into_iter();
        let ends = ends.map(|it| ((it.until, it.hash), it));
        self.evidence.ends.extend(ends);
        for (centre, hash) in taken.unplaced {
            let waiting = self.evidence.unplaced.entry(centre).or_default();
            waiting.insert(hash);
        }
        if taken.is_named {
            self.evidence.sweep.look_for();
        }
        self.evidence.errors.look_at(taken.errors);
        out.extend(taken.events.into_iter().map(Output::Emit));
        if !taken.changed.is_empty() {
            out.push(Output::EvidenceChanged(taken.changed));
        }
    }

    /// Everything about objects that a step does besides what it was told: what ended, what is sent, who is looked for.
    pub(super) fn carry_evidence(
        &mut self,
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) {
        self.end_orders(now, view, out);
        self.sweep_evidence(now, view, out);
        self.flag_sharers(now, view, out);
        self.send_evidence(now, view, out);
        self.tell_applied(now, out);
    }

    /// When something of an object is due next.
    pub(super) fn evidence_wakes(&self) -> impl Iterator<Item = Timestamp> + '_ {
        let ends = self.evidence.ends.keys().next().map(|(until, _)| *until);
        let sends = self.evidence_sends();
        let looks = self.evidence.sweep.next().into_iter();
        looks
            .chain(ends)
            .chain(sends)
            .chain(self.evidence.errors.next())
            .chain(self.applied_wakes())
    }

    /// Holds lapse by themselves, and so do opt-ins.
    fn end_orders(&mut self, now: Timestamp, view: &impl View, out: &mut Vec<Output>) {
        let mut batch = Batch::default();
        let (mut all, mut events) = (Changed::default(), Vec::new());
        let mut tally = Tally::default();
        while let Some(end) = self.evidence.ends.first_entry() {
            if end.key().0 > now {
                break;
            }
            let Holding {
                until,
                hash,
                centre,
                ..
            } = end.remove();
            batch.push(rows::ended(until, &hash));
            let Some((signed, is_ours)) = rows::signed(&hash, view) else {
                continue;
            };
            let Ok(object) = Object::from_store(&signed) else {
                continue;
            };
            all.extend(changed(&object, view));
            let gone = (&hash, &object, is_ours);
            drop_object(gone, &mut self.evidence.owed, &mut tally, &mut batch, view);
            for lift in rows::lifts_of(&hash, &centre, view) {
                if let Some(it) = rows::read(&lift, view) {
                    let gone = (&lift, &it, is_ours);
                    drop_object(gone, &mut self.evidence.owed, &mut tally, &mut batch, view);
                }
            }
            events.push(Output::Emit(Event::OrderEnded {
                kind: object.kind(),
                by: centre,
                hash,
            }));
        }
        if !batch.is_empty() {
            batch.extend(tally.into_rows());
            out.push(Output::Commit(batch));
            out.extend(events);
            out.push(Output::EvidenceChanged(all));
        }
    }
}

/// Whether an order changes nothing any more.
fn is_over(object: &Object, now: Timestamp) -> bool {
    match object {
        Object::Hold(it) => it.until <= now,
        Object::OptIn(it) => it.until <= now,
        // Whatever it lifts has ended by itself.
        Object::Lift(it) => later(it.by.time, limits::LIFT_S) <= now,
        Object::Attestation(_)
        | Object::Dispute(_)
        | Object::Withdrawal(_)
        | Object::Feedback(_)
        | Object::Answer(_)
        | Object::Reason(_)
        | Object::Surge(_) => false,
    }
}

/// The standing vote of the same member that a vote takes the place of. Of one day the negative one stands, and of two that
/// are alike the one with the greater hash: every centre keeps the same, in whatever order they come.
fn replaced_by(
    object: &Object,
    hash: &Hash,
    taken: &Taken,
    view: &impl View,
) -> Result<Option<(Hash, Object)>, EvidenceError> {
    let Object::Feedback(new) = object else {
        return Ok(None);
    };
    // Another of this member is about to be kept: this one comes again.
    if taken.votes.contains(&rows::vote_key(new)) {
        return Err(EvidenceError::Unknown);
    }
    let of = rows::standing(new, view);
    let old = of.and_then(|of| Some((of, rows::read(&of, view)?)));
    let Some((of, Object::Feedback(old))) = old else {
        return Ok(None);
    };
    match (new.by.day, new.vote, hash) > (old.by.day, old.vote, &of) {
        true => Ok(Some((of, Object::Feedback(old)))),
        false => Err(EvidenceError::Stands { of }),
    }
}

/// Nothing leads to an object any more; its bytes stay if they are ours, for whoever audits the leaf.
fn drop_object(
    (hash, object, is_ours): (&Hash, &Object, bool),
    owed: &mut BTreeMap<CentreId, Owed>,
    tally: &mut Tally,
    batch: &mut Batch,
    view: &impl View,
) {
    tally.take(object, view);
    batch.extend(rows::marks(hash, object, false));
    if !is_ours {
        batch.push(rows::forget(hash));
    }
    for (to, owed) in owed {
        if owed.remove(hash) {
            batch.push(rows::owed(to, hash, false));
        }
    }
}

/// Of which entries something else is known once an object is kept, or has ended.
fn changed(object: &Object, view: &impl View) -> Changed {
    let mut changed = Changed::default();
    let of_hold = |hold: &evidence::Hold| Changed {
        entries: hold
            .entries
            .iter()
            .flat_map(|(origin, list)| list.iter().map(|entry| (origin.clone(), *entry)))
            .collect(),
        series: hold.series.clone(),
        logs: Vec::new(),
    };
    match object {
        Object::Hold(it) => return of_hold(it),
        Object::Lift(it) => match rows::read(&it.hold, view) {
            Some(Object::Hold(hold)) => return of_hold(&hold),
            Some(Object::OptIn(of)) => changed.logs.push(of.origin),
            Some(_) | None => {}
        },
        Object::OptIn(it) => changed.logs.push(it.origin.clone()),
        Object::Surge(it) => changed.logs.push(it.origin.clone()),
        // It changes nothing but what its maker hears.
        Object::Answer(_) => {}
        Object::Attestation(_)
        | Object::Dispute(_)
        | Object::Withdrawal(_)
        | Object::Feedback(_)
        | Object::Reason(_) => {
            let about = object.entry();
            let about = about.map(|(origin, entry, _)| (origin.clone(), entry));
            changed.entries.extend(about);
        }
    }
    changed
}
