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

use super::{Centre, CommandError, Event, Outcome, Output};
use crate::Hash;
use crate::evidence::rows::{self, Holding};
use crate::evidence::{self, By, Changed, DAY_S, Draft, EvidenceError, Kind, Object};
use crate::limits;
use crate::log::Leaf;
use crate::record::{EntryId, Revision};
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
    unplaced: BTreeSet<Hash>,
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
    /// New ones of a centre, about a revision of an entry.
    said: BTreeMap<(CentreId, Origin, EntryId, Revision), usize>,
    /// How many objects of a centre there are.
    counts: BTreeMap<CentreId, u64>,
    ends: Vec<Holding>,
    owed: Vec<(CentreId, Hash)>,
    unplaced: Vec<Hash>,
    errors: Vec<Hash>,
    changed: Changed,
    events: Vec<Event>,
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
            let is_ours = hold.is_some_and(|it| it.kind() == Kind::Hold && it.centre() == &centre);
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
        self.take_object(&object, (hash, signed, Some(salt)), taken, now, view)?;
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
        let rows = std::mem::take(&mut taken.rows);
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
        self.is_room(object, taken, now, view)?;
        let count = taken.counts.entry(centre.clone());
        let count = count.or_insert_with(|| rows::count(&centre, view));
        *count += 1;
        taken.rows.push(rows::counted(&centre, *count));
        taken.rows.push(rows::keep(&hash, salt, signed));
        taken.rows.extend(rows::marks(&hash, object, true));
        let concerned = self.concerned(object, view);
        if !concerned.is_placed {
            taken.unplaced.push(hash);
        }
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

    /// Whether one more object of its centre is kept, in all, about one record, and of what it holds back.
    fn is_room(
        &self,
        object: &Object,
        taken: &mut Taken,
        now: Timestamp,
        view: &impl View,
    ) -> Result<(), EvidenceError> {
        let centre = object.centre();
        let too_many = || EvidenceError::TooMany {
            centre: centre.clone(),
        };
        let known = taken.counts.get(centre).copied();
        let count = known.unwrap_or_else(|| rows::count(centre, view));
        if count >= limits::EVIDENCE_PER_CENTRE {
            return Err(too_many());
        }
        if let Some((origin, entry, revision)) = object.entry() {
            let place = (centre.clone(), origin.clone(), entry, revision);
            let said = taken.said.entry(place).or_insert_with(|| {
                let rows = rows::said(origin, entry, view).into_iter();
                let theirs = rows.filter(|it| it.revision == revision);
                let maker = centre.as_str().as_bytes();
                theirs.filter(|it| it.centre == maker).count()
            });
            // What takes a dispute back finds room beyond.
            let takes_back = object.kind() == Kind::Withdrawal;
            let most = limits::EVIDENCE_PER_ENTRY << u8::from(takes_back);
            if *said >= most {
                return Err(too_many());
            }
            *said += 1;
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

    /// What was kept is on its way, and people hear of it.
    fn note_taken(&mut self, taken: Taken, out: &mut Vec<Output>) {
        for (to, hash) in taken.owed {
            self.evidence.owed.entry(to).or_default().insert(hash);
        }
        let ends = taken.ends.into_iter();
        let ends = ends.map(|it| ((it.until, it.hash), it));
        self.evidence.ends.extend(ends);
        self.evidence.unplaced.extend(taken.unplaced);
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
            let Some(object) = rows::read(&hash, view) else {
                continue;
            };
            all.extend(changed(&object, view));
            events.push(Output::Emit(Event::OrderEnded {
                kind: object.kind(),
                by: centre,
                hash,
            }));
        }
        if !batch.is_empty() {
            out.push(Output::Commit(batch));
            out.extend(events);
            out.push(Output::EvidenceChanged(all));
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
        Object::Lift(it) => {
            if let Some(Object::Hold(hold)) = rows::read(&it.hold, view) {
                return of_hold(&hold);
            }
        }
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
