//! What of one log is needed to judge disclosures: policies, classes, when it was witnessed, the deltas that statements
//! name; and whether its sealed leaves were opened.
//!
//! Why: disclosures are judged when all logs were read, because each concerns three of them. In scope: collecting while a
//! log is read. Out of scope: what disclosures say (`replay`).

use std::collections::{BTreeMap, BTreeSet};

use hashpact_keys::{Origin, Timestamp};

use super::finding::{DisclosureFault, Finding};
use super::laws::ReadPolicy;
use super::log::Event;
use super::openings::{Object, Openings};
use super::place::Place;
use super::summary::NoteSummary;
use crate::b3::Hash;
use crate::delta::Seq;
use crate::labels::{ClassId, Labels};
use crate::limits;
use crate::log::LeafKind;
use crate::psi::{Epoch, GroupId};

/// A delta that a statement names.
#[derive(Clone, Debug)]
pub(super) struct LoggedDelta {
    pub(super) header: Hash,
    pub(super) issued_at: Timestamp,
    pub(super) classes: BTreeMap<ClassId, u64>,
}

/// How many sealed leaves there are, and how many of them were opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seals {
    /// Disclosure records.
    pub disclosures: u64,
    /// Commitments of other objects.
    pub commitments: u64,
    /// Match session records.
    pub sessions: u64,
    /// Orders of two people among what was opened: holds above all, which nobody but centres and auditors may know of.
    pub orders: u64,
    /// Opened by what the auditor was given.
    pub opened: u64,
    /// Not opened, although the auditor was given openings of these leaves.
    pub unopened: u64,
    /// Beyond the leaves that the openings speak of.
    pub beyond: u64,
}

/// What is kept of one log.
#[derive(Clone, Debug)]
pub struct Ledger {
    pub(super) origin: Origin,
    pub(super) policies: Vec<ReadPolicy>,
    pub(super) classes: BTreeMap<ClassId, Labels>,
    pub(super) deltas: BTreeMap<Seq, LoggedDelta>,
    /// Match manifests, by leaf: their epoch and their groups.
    pub(super) manifests: BTreeMap<u64, (Epoch, BTreeSet<GroupId>)>,
    /// Whether openings of this log were given.
    pub(super) is_opened: bool,
    /// Sealed leaves of which openings were given, and those among them that are opened.
    told: BTreeSet<u64>,
    opened: BTreeSet<u64>,
    seals: Seals,
    heads: Heads,
    /// Documents beyond what is kept.
    policies_left_out: u64,
    /// Leaves of the copy.
    size: u64,
}

impl Ledger {
    /// Nothing of a log yet.
    #[must_use]
    pub fn new(origin: Origin) -> Self {
        Self {
            origin,
            policies: Vec::new(),
            classes: BTreeMap::new(),
            deltas: BTreeMap::new(),
            manifests: BTreeMap::new(),
            is_opened: false,
            told: BTreeSet::new(),
            opened: BTreeSet::new(),
            seals: Seals::default(),
            heads: Heads::default(),
            policies_left_out: 0,
            size: 0,
        }
    }

    /// Its policy documents, in order.
    #[must_use]
    pub fn policies(&self) -> &[ReadPolicy] {
        &self.policies
    }

    /// The labels of a class.
    #[must_use]
    pub fn class(&self, class: ClassId) -> Option<&Labels> {
        self.classes.get(&class)
    }

    /// Whether a leaf seals what was given as its opening.
    pub(super) fn opens(&self, leaf: u64) -> bool {
        self.opened.contains(&leaf)
    }

    /// Whether the copy ends before a leaf.
    pub(super) fn ends_before(&self, leaf: u64) -> bool {
        self.size <= leaf
    }

    /// Its sealed leaves.
    #[must_use]
    pub fn seals(&self) -> Seals {
        self.seals
    }

    /// Takes what an audit tells of the log, in order, and says what is wrong with its openings.
    pub fn take(&mut self, event: &Event, openings: &Openings, emit: &mut dyn FnMut(Finding)) {
        match event {
            Event::Policy(policy) if self.policies.len() < limits::POLICIES_AUDITED => {
                self.policies.push(policy.clone());
            }
            Event::Policy(_) => self.policies_left_out += 1,
            Event::Classes(classes) if !openings.is_empty() => {
                for (class, labels) in classes {
                    // Definitions are write-once: the first counts.
                    self.classes.entry(*class).or_insert_with(|| labels.clone());
                }
            }
            Event::Delta {
                header,
                issued_at,
                expected,
                ..
            } => {
                let named = openings.named.get(&self.origin);
                if named.is_some_and(|named| named.contains(&expected.seq)) {
                    let rows = expected.table.classes.iter();
                    let delta = LoggedDelta {
                        header: *header,
                        issued_at: *issued_at,
                        classes: rows.map(|row| (row.class, row.count)).collect(),
                    };
                    self.deltas.entry(expected.seq).or_insert(delta);
                }
            }
            Event::Manifest { index, manifest } if !openings.is_empty() => {
                let groups = manifest.groups.iter().map(|row| row.group);
                let row = (manifest.epoch, groups.collect());
                self.manifests.insert(*index, row);
            }
            Event::Note(note) if !openings.is_empty() => self.note(note),
            Event::Sealed {
                index,
                kind,
                commitment,
            } => self.sealed((*index, *kind), commitment, openings, emit),
            Event::Classes(_) | Event::Manifest { .. } | Event::Note(_) | Event::Finding(_) => {}
        }
    }

    /// The log was read to its end, `size` leaves: openings that no sealed leaf called for are told.
    pub fn end(&mut self, size: u64, openings: &Openings, emit: &mut dyn FnMut(Finding)) {
        self.heads.sort();
        self.size = size;
        let mut found = |place, what| {
            let log = Some(self.origin.clone());
            emit(Finding { log, place, what });
        };
        if self.policies_left_out > 0 && !openings.is_empty() {
            let got = self.policies_left_out;
            found(Place::Log, DisclosureFault::PoliciesLeftOut { got }.into());
        }
        let Some(of_log) = openings.logs.get(&self.origin) else {
            return;
        };
        self.is_opened = true;
        let mut ahead = 0;
        for index in of_log.opened.keys() {
            if *index >= size {
                ahead += 1;
            } else if !self.told.contains(index) {
                found(leaf(*index), DisclosureFault::OpensNothing.into());
            }
        }
        if ahead > 0 {
            found(
                Place::Log,
                DisclosureFault::OpensAhead { openings: ahead }.into(),
            );
        }
        if self.seals.beyond > 0 {
            let sealed = self.seals.beyond;
            found(Place::Log, DisclosureFault::OpeningsEnd { sealed }.into());
        }
    }

    fn note(&mut self, note: &NoteSummary) {
        if let Some(at) = note.standing.witnessed_at() {
            self.heads.notes.push((note.size, at));
        }
    }

    fn sealed(
        &mut self,
        (index, kind): (u64, LeafKind),
        commitment: &Hash,
        openings: &Openings,
        emit: &mut dyn FnMut(Finding),
    ) {
        let (is_disclosure, is_session) =
            (kind == LeafKind::Disclosure, kind == LeafKind::MatchSession);
        match (is_disclosure, is_session) {
            (true, _) => self.seals.disclosures += 1,
            (_, true) => self.seals.sessions += 1,
            (false, false) => self.seals.commitments += 1,
        }
        let Some(of_log) = openings.logs.get(&self.origin) else {
            return;
        };
        let mut found = |what| {
            let log = Some(self.origin.clone());
            let place = leaf(index);
            emit(Finding { log, place, what });
        };
        let Some(opening) = of_log.opened.get(&index) else {
            if of_log.speaks_of(index) {
                self.seals.unopened += 1;
                found(DisclosureFault::Unopened.into());
            } else {
                self.seals.beyond += 1;
            }
            return;
        };
        // Told here, not as an opening of no leaf.
        self.told.insert(index);
        if opening.commitment != *commitment {
            self.seals.unopened += 1;
            found(DisclosureFault::OpensOther.into());
            return;
        }
        self.seals.opened += 1;
        self.opened.insert(index);
        let fits = match opening.object {
            Object::Statement(_) => is_disclosure,
            Object::Recall(_) | Object::Acknowledgement(_) => !is_disclosure && !is_session,
            Object::Said(kind) => {
                self.seals.orders += u64::from(kind.is_order());
                !is_disclosure && !is_session
            }
            Object::Session => is_session,
            Object::Unknown => true,
        };
        if !fits {
            found(DisclosureFault::OpenedOther.into());
        }
    }

    /// When a quorum had seen a leaf: the earliest time that any head above it was witnessed.
    pub(super) fn witnessed(&self, index: u64) -> Option<Timestamp> {
        self.heads.above(index)
    }

    /// The newest time at which a quorum saw the log without a leaf.
    pub(super) fn witnessed_without(&self, index: u64) -> Option<Timestamp> {
        self.heads.up_to(index)
    }

    /// The size that a quorum had seen by a time.
    pub(super) fn witnessed_by(&self, at: Timestamp) -> u64 {
        self.heads.seen_by(at)
    }
}

/// When which size of a log was witnessed. Cosigners' clocks differ, so that times need not grow with the size.
#[derive(Clone, Debug, Default)]
struct Heads {
    /// As they came.
    notes: Vec<(u64, Timestamp)>,
    /// By size: the newest time up to it, the earliest time from it on.
    by_size: Vec<(u64, Timestamp, Timestamp)>,
    /// By time: the largest size until then.
    by_time: Vec<(Timestamp, u64)>,
}

impl Heads {
    fn sort(&mut self) {
        self.notes.sort_unstable();
        let mut until = Timestamp::new(0);
        let rising = self.notes.iter().map(|(size, at)| {
            until = until.max(*at);
            (*size, until, *at)
        });
        self.by_size = rising.collect();
        let mut from = Timestamp::new(u64::MAX);
        for (_, _, at) in self.by_size.iter_mut().rev() {
            from = from.min(*at);
            *at = from;
        }
        let mut by_time: Vec<_> = self.notes.iter().map(|(size, at)| (*at, *size)).collect();
        by_time.sort_unstable();
        let mut most = 0;
        for (_, size) in &mut by_time {
            most = most.max(*size);
            *size = most;
        }
        self.by_time = by_time;
    }

    fn above(&self, index: u64) -> Option<Timestamp> {
        let at = self.by_size.partition_point(|(size, ..)| *size <= index);
        self.by_size.get(at).map(|(_, _, from)| *from)
    }

    fn up_to(&self, size: u64) -> Option<Timestamp> {
        let at = self.by_size.partition_point(|(of, ..)| *of <= size);
        let at = at.checked_sub(1)?;
        self.by_size.get(at).map(|(_, until, _)| *until)
    }

    fn seen_by(&self, time: Timestamp) -> u64 {
        let at = self.by_time.partition_point(|(of, _)| *of <= time);
        let row = at.checked_sub(1).and_then(|at| self.by_time.get(at));
        row.map_or(0, |(_, size)| *size)
    }
}

pub(super) fn leaf(index: u64) -> Place {
    Place::Leaf { index, seq: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_of_heads_are_found_whichever_clock_was_behind() {
        let mut heads = Heads::default();
        for (size, at) in [(2, 10), (5, 30), (7, 20), (9, 40)] {
            heads.notes.push((size, Timestamp::new(at)));
        }
        heads.sort();
        let above = |index| heads.above(index).map(Timestamp::get);
        assert_eq!(
            [0, 1, 2, 4, 6, 8, 9].map(above),
            [
                Some(10),
                Some(10),
                Some(20),
                Some(20),
                Some(20),
                Some(40),
                None
            ]
        );
        let up_to = |size| heads.up_to(size).map(Timestamp::get);
        assert_eq!(
            [1, 2, 5, 8, 9].map(up_to),
            [None, Some(10), Some(30), Some(30), Some(40)]
        );
        let seen = |at| heads.seen_by(Timestamp::new(at));
        assert_eq!([9, 10, 20, 30, 39, 40].map(seen), [0, 2, 7, 7, 7, 9]);
    }
}
