//! How rows of one section become one change: the section, cut to what is told, and what is needed to verify it.

use std::collections::BTreeSet;
use std::sync::Arc;

use hashpact_keys::Origin;
use hashpact_protocol::delta::{ClassSection, RETRACTION_SECTION, Seq, TablePath};
use hashpact_protocol::labels::ClassId;
use hashpact_protocol::record::{EntryId, Revision};
use hashpact_protocol::view::View as _;

use super::changes::{Pager, Places};
use super::feed::{Change, FeedError, Marks};
use super::ledger::Row;
use super::sections::{Delta, Section, is_damaged};

/// What neighbouring rows have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    Pack(Origin, Seq, ClassId),
    Retraction(Origin, Seq),
    Withdrawal,
}

/// Rows that are told as one change.
pub(super) struct Group {
    what: What,
    rows: Vec<(Origin, EntryId, Revision, Option<Marks>)>,
}

impl Group {
    fn of(what: What) -> Self {
        let rows = Vec::new();
        Self { what, rows }
    }

    pub(super) fn pack(origin: Origin, seq: Seq, class: ClassId) -> Self {
        Self::of(What::Pack(origin, seq, class))
    }

    pub(super) fn retraction(origin: Origin, seq: Seq) -> Self {
        Self::of(What::Retraction(origin, seq))
    }

    pub(super) fn withdrawal() -> Self {
        Self::of(What::Withdrawal)
    }

    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.what == other.what
    }

    pub(super) fn is_pack(&self) -> bool {
        match self.what {
            What::Pack(..) => true,
            What::Retraction(..) | What::Withdrawal => false,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn add(&mut self, origin: &Origin, row: &Row) {
        // What is new to everybody has no marks to take back.
        let marks = (row.again || row.marks != Marks::default()).then_some(row.marks);
        self.rows
            .push((origin.clone(), row.entry, row.revision, marks));
    }

    fn places(&self) -> Places {
        let mut places: Places = self
            .rows
            .iter()
            .map(|(_, entry, rev, _)| (*entry, *rev))
            .collect();
        places.sort_unstable();
        places
    }
}

impl Pager<'_> {
    /// Adds what a group comes to.
    pub(super) fn tell(&mut self, group: Group) -> Result<(), FeedError> {
        match group.what.clone() {
            What::Pack(origin, seq, class) => self.tell_pack((&origin, seq, class), &group),
            What::Retraction(origin, seq) => self.tell_retraction(&origin, seq, &group),
            What::Withdrawal => {
                let rows = group.rows.into_iter();
                let entries = rows.map(|(origin, entry, rev, _)| (origin, entry, rev));
                let entries = entries.collect();
                self.changes.push(Change::Withdraw { entries });
                Ok(())
            }
        }
    }

    fn tell_pack(
        &mut self,
        (origin, seq, class): (&Origin, Seq, ClassId),
        group: &Group,
    ) -> Result<(), FeedError> {
        let section = self.section(origin, seq, class.0.into())?;
        let mut places = group.places();
        // What has gone from the store since is withdrawn as soon as the ledger follows.
        let Some((section, count)) = section.and_then(|it| cut(&it, (origin, seq), &mut places))
        else {
            return Ok(());
        };
        let delta = self.tell_delta(origin, seq)?;
        self.tell_class(origin, class);
        let path = TablePath::of_class(&delta.table, class);
        let path = path.ok_or_else(|| missing(origin, seq))?;
        self.bytes += section.len();
        let told: BTreeSet<EntryId> = places.iter().map(|(entry, _)| *entry).collect();
        self.changes.push(Change::Pack {
            origin: origin.clone(),
            seq,
            class,
            count,
            path,
            section,
            places,
        });
        for (_, entry, revision, marks) in &group.rows {
            let Some(Marks { disputed, flagged }) = marks.filter(|_| told.contains(entry)) else {
                continue;
            };
            self.changes.push(Change::Mark {
                origin: origin.clone(),
                entry: *entry,
                revision: *revision,
                disputed,
                flagged,
            });
        }
        Ok(())
    }

    fn tell_retraction(
        &mut self,
        origin: &Origin,
        seq: Seq,
        group: &Group,
    ) -> Result<(), FeedError> {
        let Some(section) = self.section(origin, seq, RETRACTION_SECTION)? else {
            // Without the list that proves it, it is told all the same: the node's word ends an entry.
            let rows = group.rows.iter();
            let entries = rows.map(|(origin, entry, rev, _)| (origin.clone(), *entry, *rev));
            let entries = entries.collect();
            self.changes.push(Change::Withdraw { entries });
            return Ok(());
        };
        let delta = self.tell_delta(origin, seq)?;
        self.bytes += section.bytes.len();
        self.changes.push(Change::Retraction {
            origin: origin.clone(),
            seq,
            path: TablePath::of_retractions(&delta.table),
            list: Arc::clone(&section.bytes),
            gone: group.places(),
        });
        Ok(())
    }

    /// A section; nothing if it is not there, or damaged for good: what comes after it is told all the same.
    fn section(
        &self,
        origin: &Origin,
        seq: Seq,
        class: u32,
    ) -> Result<Option<Arc<Section>>, FeedError> {
        match self.feed.shared.sections.section(origin, seq, class) {
            Err(error) if is_damaged(&error) => {
                tracing::error!(kind = "damaged", %error, class, "a section is told to no member");
                Ok(None)
            }
            section => Ok(section?),
        }
    }

    fn tell_delta(&mut self, origin: &Origin, seq: Seq) -> Result<Arc<Delta>, FeedError> {
        let delta = self.feed.shared.sections.delta(origin, seq);
        let delta = delta.ok_or_else(|| missing(origin, seq))?;
        if self.deltas.insert((origin.clone(), seq)) {
            self.changes.push(Change::Delta {
                origin: origin.clone(),
                seq,
                header: Arc::clone(&delta.header),
                index: delta.index,
            });
        }
        Ok(delta)
    }

    fn tell_class(&mut self, origin: &Origin, class: ClassId) {
        let shared = &self.feed.shared;
        let Some(labels) = shared.store.class(origin, class) else {
            return;
        };
        if self.classes.insert((origin.clone(), class)) {
            self.changes.push(Change::Class {
                origin: origin.clone(),
                class,
                labels: Box::new(labels),
                definition: shared.sections.definition(origin, class),
            });
        }
    }
}

fn missing(origin: &Origin, seq: Seq) -> FeedError {
    let origin = origin.clone();
    FeedError::Delta { origin, seq }
}

/// The section with these entries and no other, and the records that the class has in all; nothing if none of them is here.
/// Entries that are not here are taken out of `places`.
fn cut(
    section: &Section,
    (origin, seq): (&Origin, Seq),
    places: &mut Places,
) -> Option<(Arc<Vec<u8>>, u64)> {
    let read = ClassSection::read(&section.bytes).ok()?;
    let count = read.count();
    if read.held() == Ok(count) && places.len() as u64 == count {
        return Some((Arc::clone(&section.bytes), count));
    }
    let held: BTreeSet<EntryId> = section.places().iter().map(|(entry, _)| *entry).collect();
    places.retain(|(entry, _)| held.contains(entry));
    let told: BTreeSet<EntryId> = places.iter().map(|(entry, _)| *entry).collect();
    let gone: BTreeSet<EntryId> = held.difference(&told).copied().collect();
    if told.is_empty() {
        return None;
    }
    match read.punctured(origin, seq, &gone).ok()? {
        Some(bytes) => Some((Arc::new(bytes), count)),
        None => Some((Arc::clone(&section.bytes), count)),
    }
}
