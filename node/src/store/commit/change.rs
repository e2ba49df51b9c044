//! A stored body with more or less in it: classes that join, classes that become withheld, single records that go.
//!
//! Why the whole file is written again: a class that goes must leave no byte and no key behind, and a crash must leave
//! the body as it was or as it will be. The new version stands beside the old one until the transaction names it. A section
//! that takes another's place gets offsets at which nothing stands and nothing leads any more; where it stood before is a
//! hole, which `holes` closes. What was purged is remembered, so that no later body brings it back. In scope: which sections
//! a batch changes, and what follows for index and counts. Out of scope: who decided so (the core).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hashpact_keys::Origin;
use hashpact_protocol::delta::{
    ClassSection, Disclosure, RETRACTION_SECTION, Seq, withheld_section,
};
use hashpact_protocol::labels::ClassId;
use hashpact_protocol::record::EntryId;
use hashpact_protocol::view::{AdmittedBody, Held};
use zeroize::Zeroizing;

use super::super::Store;
use super::super::bodies::{BodyFault, DamagedBody, contents_of};
use super::super::control::{BodyEntry, Contents, Hole};
use super::super::index::Key;
use super::super::places::{DeltaPlace, RowBuilder};
use super::super::sealed::{BodyFile, NewSection, OFFSETS};
use super::super::sections::{cut, records_within};
use super::{CommitError, Plan};

/// One change of a stored body.
pub(super) enum BodyChange {
    Widen(AdmittedBody),
    Narrow(Origin, Seq, Vec<ClassId>),
    Purge(Origin, Seq, Vec<EntryId>),
}

/// A stored body while a batch changes it.
pub(in crate::store) struct ChangedBody {
    place: DeltaPlace,
    file: Arc<BodyFile>,
    entry: BodyEntry,
    contents: Contents,
    /// Those that take the place of the file's.
    sections: BTreeMap<ClassId, Zeroizing<Vec<u8>>>,
    purged: BTreeSet<EntryId>,
    newly_purged: Vec<EntryId>,
}

/// A body file to be written again.
pub(in crate::store) struct Rewrite {
    pub(in crate::store) origin: Origin,
    pub(in crate::store) seq: Seq,
    pub(in crate::store) file: Arc<BodyFile>,
    /// Of the new file.
    pub(in crate::store) version: u32,
    pub(in crate::store) new: BTreeMap<u32, NewSection>,
    place: DeltaPlace,
    /// The sections that go.
    old: BTreeMap<u32, Zeroizing<Vec<u8>>>,
    labels: BTreeMap<ClassId, Key>,
}

/// A record with its class and its offset.
type Placed<'s> = (ClassId, usize, &'s [u8]);

impl BodyChange {
    fn place(&self) -> (Origin, Seq) {
        match self {
            Self::Widen(body) => (body.origin().clone(), body.seq()),
            Self::Narrow(origin, seq, _) | Self::Purge(origin, seq, _) => (origin.clone(), *seq),
        }
    }
}

impl Store {
    /// Takes one change of a body that is stored already; nothing is written.
    pub(super) fn plan_change(
        &self,
        plan: &mut Plan,
        change: BodyChange,
    ) -> Result<(), CommitError> {
        let (origin, seq) = change.place();
        let body = match plan.changed.remove(&(origin.clone(), seq)) {
            Some(body) => body,
            None => self.unchanged(&origin, seq)?,
        };
        let changed = match change {
            BodyChange::Widen(admitted) => body.widen(&admitted),
            BodyChange::Narrow(_, _, classes) => body.narrow(&origin, seq, &classes),
            BodyChange::Purge(_, _, entries) => body.purge(&origin, seq, entries),
        }?;
        plan.changed.insert((origin, seq), changed);
        Ok(())
    }

    fn unchanged(&self, origin: &Origin, seq: Seq) -> Result<ChangedBody, CommitError> {
        let not_stored = || CommitError::NotStored {
            origin: origin.clone(),
            seq,
        };
        let entry = self.control.body(origin, seq)?.ok_or_else(not_stored)?;
        let number = self.live().numbers.get(origin).copied();
        let place = super::plan::delta_place(number.ok_or_else(not_stored)?, origin, seq)?;
        let file = self.open_body(origin, seq);
        let file = file.map_err(|fault| damaged(origin, seq, BodyFault::Sealed(fault)))?;
        let contents = match self.control.contents(origin, seq)? {
            Some(contents) => contents,
            None => contents_of(&file, origin, seq).map_err(|fault| damaged(origin, seq, fault))?,
        };
        Ok(ChangedBody {
            place,
            file,
            entry,
            contents,
            sections: BTreeMap::new(),
            purged: self.control.purged(origin, seq)?,
            newly_purged: Vec::new(),
        })
    }

    /// What the changes of a batch make of each body: its sections, offsets and holes.
    pub(super) fn plan_rewrites(&self, plan: &mut Plan) -> Result<(), CommitError> {
        for ((origin, seq), mut body) in std::mem::take(&mut plan.changed) {
            let purged = std::mem::take(&mut body.newly_purged).into_iter();
            let purged = purged.map(|entry| (origin.clone(), seq, entry));
            plan.change.purged.extend(purged);
            if body.sections.is_empty() {
                continue;
            }
            let holes = self.control.holes_of(&origin, seq)?;
            let rewrite = self.rewrite_of(plan, (&origin, seq), body, &holes)?;
            plan.rewrites.push(rewrite);
        }
        Ok(())
    }

    fn rewrite_of(
        &self,
        plan: &mut Plan,
        (origin, seq): (&Origin, Seq),
        mut body: ChangedBody,
        holes: &[Hole],
    ) -> Result<Rewrite, CommitError> {
        let malformed = |class| damaged(origin, seq, BodyFault::Section { class });
        let (mut old, mut labels) = (BTreeMap::new(), BTreeMap::new());
        let BodyEntry { mut records, bytes } = body.entry;
        let mut bytes = bytes;
        for info in body.file.sections() {
            let Ok(class) = u16::try_from(info.class).map(ClassId) else {
                continue;
            };
            let Some(new) = body.sections.get(&class) else {
                continue;
            };
            let before = body.file.read_section(info.class);
            let before = before.map_err(|fault| damaged(origin, seq, BodyFault::Sealed(fault)))?;
            let count = |section| count_records(section).ok_or_else(|| malformed(info.class));
            let (went, came) = (count(&before)?, count(new)?);
            records = (records + came).saturating_sub(went);
            bytes = (bytes + new.len() as u64).saturating_sub(before.len() as u64);
            if went > 0 {
                let hole = Hole {
                    start: info.offset,
                    end: info.end(),
                };
                plan.change.holes.push((origin.clone(), seq, hole));
            }
            if went + came > 0 {
                labels.insert(class, self.labels_of(plan, origin, class)?);
            }
            old.insert(info.class, before);
        }
        let no_room = || CommitError::NoRoom {
            origin: origin.clone(),
            seq,
        };
        let version = body.contents.version.checked_add(1).ok_or_else(no_room)?;
        body.contents.version = version;
        let new = lay_out(&body.file, holes, body.sections).ok_or_else(no_room)?;
        let entry = BodyEntry { records, bytes };
        plan.change.bodies.push((origin.clone(), seq, entry));
        plan.change
            .contents
            .push((origin.clone(), seq, body.contents));
        Ok(Rewrite {
            origin: origin.clone(),
            seq,
            file: body.file,
            version,
            new,
            place: body.place,
            old,
            labels,
        })
    }
}

impl ChangedBody {
    /// Classes that are disclosed in `admitted` and not held here join. What was purged does not.
    fn widen(mut self, admitted: &AdmittedBody) -> Result<Self, CommitError> {
        let (origin, seq, body) = (admitted.origin(), admitted.seq(), admitted.body());
        let other = || CommitError::OtherBody {
            origin: origin.clone(),
            seq,
        };
        let sealed = |fault| damaged(origin, seq, BodyFault::Sealed(fault));
        let retractions = self.file.read_section(RETRACTION_SECTION).map_err(sealed)?;
        let same_classes = body.sections().iter().map(|section| section.signed());
        let same_classes = same_classes.eq(self.contents.classes.iter().map(|c| c.signed.clone()));
        if !same_classes || *retractions != body.bytes()[body.retraction_range()] {
            return Err(other());
        }
        for (stored, section) in self.contents.classes.iter_mut().zip(body.sections()) {
            if stored.held != Held::None || section.disclosure == Disclosure::Withheld {
                continue;
            }
            let bytes = &body.bytes()[section.range.clone()];
            let mut bytes = Zeroizing::new(bytes.to_vec());
            let mut held = match section.disclosure {
                Disclosure::Partial { .. } => Held::Some,
                Disclosure::Disclosed(_) | Disclosure::Withheld => Held::All,
            };
            if !self.purged.is_empty() {
                let read = ClassSection::read(&bytes).map_err(|_| other())?;
                let cut = read.punctured(origin, seq, &self.purged);
                if let Some(cut) = cut.map_err(|_| other())? {
                    held = held_of_punctured(&cut).ok_or_else(other)?;
                    bytes = Zeroizing::new(cut);
                }
            }
            if held != Held::None {
                stored.held = held;
                self.sections.insert(section.class, bytes);
            }
        }
        Ok(self)
    }

    /// Classes become withheld; those that are stay so.
    fn narrow(
        mut self,
        origin: &Origin,
        seq: Seq,
        classes: &[ClassId],
    ) -> Result<Self, CommitError> {
        for class in classes {
            let mut stored = self.contents.classes.iter_mut();
            let stored = stored.find(|stored| stored.signed.class == *class);
            let stored = stored.ok_or_else(|| CommitError::NoClass {
                origin: origin.clone(),
                seq,
                class: *class,
            })?;
            if stored.held != Held::None {
                stored.held = Held::None;
                let section = Zeroizing::new(withheld_section(&stored.signed));
                self.sections.insert(*class, section);
            }
        }
        Ok(self)
    }

    /// Single records go, wherever they stand; an entry that is not here is remembered, as its class may come later.
    fn purge(
        mut self,
        origin: &Origin,
        seq: Seq,
        entries: Vec<EntryId>,
    ) -> Result<Self, CommitError> {
        let fresh = entries.into_iter();
        let fresh: BTreeSet<EntryId> = fresh.filter(|e| !self.purged.contains(e)).collect();
        if fresh.is_empty() {
            return Ok(self);
        }
        for stored in &mut self.contents.classes {
            let class = stored.signed.class;
            if stored.held == Held::None {
                continue;
            }
            let number = u32::from(class.0);
            let malformed = || damaged(origin, seq, BodyFault::Section { class: number });
            let section = match self.sections.remove(&class) {
                Some(section) => section,
                None => {
                    let read = self.file.read_section(number);
                    read.map_err(|fault| damaged(origin, seq, BodyFault::Sealed(fault)))?
                }
            };
            let read = ClassSection::read(&section).map_err(|_| malformed())?;
            let cut = read.punctured(origin, seq, &fresh);
            if let Some(cut) = cut.map_err(|_| malformed())? {
                stored.held = held_of_punctured(&cut).ok_or_else(malformed)?;
                self.sections.insert(class, Zeroizing::new(cut));
            }
        }
        self.newly_purged.extend(fresh.iter().copied());
        self.purged.extend(fresh);
        Ok(self)
    }
}

impl Rewrite {
    /// Adds the rows of the sections that come to `rows`, and those of the sections that go to `gone`.
    pub(super) fn rows(
        &self,
        rows: &mut RowBuilder<'_>,
        gone: &mut RowBuilder<'_>,
    ) -> Result<(), CommitError> {
        let fault = |error| CommitError::from_rows(error, &self.origin, self.seq);
        for (class, section) in &self.old {
            let records = self.records(*class, 0, section)?;
            gone.put(self.place, &self.labels, records.into_iter())
                .map_err(fault)?;
        }
        for (class, NewSection { offset, bytes }) in &self.new {
            let records = self.records(*class, *offset, bytes)?;
            rows.put(self.place, &self.labels, records.into_iter())
                .map_err(fault)?;
        }
        Ok(())
    }

    fn records<'s>(
        &self,
        class: u32,
        offset: u64,
        section: &'s [u8],
    ) -> Result<Vec<Placed<'s>>, CommitError> {
        let malformed = || damaged(&self.origin, self.seq, BodyFault::Section { class });
        let id = ClassId(u16::try_from(class).map_err(|_| malformed())?);
        let within = records_within(section).ok_or_else(malformed)?;
        let offset = usize::try_from(offset).map_err(|_| malformed())? + within.start;
        let records = cut(&section[within]);
        let records = records.map(|item| item.map(|(at, bytes)| (id, offset + at, bytes)));
        records.collect::<Option<_>>().ok_or_else(malformed)
    }
}

fn damaged(origin: &Origin, seq: Seq, fault: BodyFault) -> CommitError {
    let origin = origin.clone();
    DamagedBody { origin, seq, fault }.into()
}

/// Of a section of which single records were just withheld.
fn held_of_punctured(section: &[u8]) -> Option<Held> {
    let section = ClassSection::read(section).ok()?;
    Some(match section.is_withheld() {
        true => Held::None,
        false => Held::Some,
    })
}

fn count_records(section: &[u8]) -> Option<u64> {
    let records = cut(&section[records_within(section)?]);
    records
        .map(|item| item.map(drop))
        .try_fold(0, |n, item| item.map(|()| n + 1))
}

/// Gives sections offsets above all that stand in `file` and all holes, or, once those are used up, between them.
fn lay_out(
    file: &BodyFile,
    holes: &[Hole],
    sections: BTreeMap<ClassId, Zeroizing<Vec<u8>>>,
) -> Option<BTreeMap<u32, NewSection>> {
    let stand = file.sections().iter();
    let stand = stand.map(|info| (u64::from(info.offset), info.end()));
    let holes = holes.iter().map(|hole| (u64::from(hole.start), hole.end));
    let mut taken: Vec<(u64, u64)> = stand.chain(holes).collect();
    let mut laid = BTreeMap::new();
    for (class, bytes) in sections {
        let offset = room(&mut taken, bytes.len() as u64)?;
        laid.insert(class.0.into(), NewSection { offset, bytes });
    }
    Some(laid)
}

/// Takes `len` offsets that nothing in `taken` has.
fn room(taken: &mut Vec<(u64, u64)>, len: u64) -> Option<u64> {
    taken.sort_unstable();
    let top = taken.iter().map(|(_, end)| *end).max().unwrap_or(0);
    let offset = if top + len <= OFFSETS {
        top
    } else {
        let mut free_from = 0;
        let gap = taken.iter().find_map(|(start, end)| {
            let fits = free_from + len <= *start;
            let found = fits.then_some(free_from);
            free_from = free_from.max(*end);
            found
        });
        gap?
    };
    taken.push((offset, offset + len));
    Some(offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_used_again_only_when_none_are_left_above() {
        let mut taken = vec![(0, 10), (40, 50)];
        assert_eq!(room(&mut taken, 20), Some(50));
        let mut full = vec![(0, 10), (40, 50), (60, OFFSETS - 5)];
        assert_eq!(room(&mut full, 5), Some(OFFSETS - 5));
        assert_eq!(room(&mut full, 20), Some(10));
        assert_eq!(room(&mut full, 10), Some(30));
        assert_eq!(room(&mut full, 11), None);
        assert_eq!(room(&mut full, 10), Some(50));
        assert_eq!(room(&mut full, 1), None);
    }
}
