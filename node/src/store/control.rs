//! The control database: what is in force, changed in one transaction.
//!
//! Why: a file proves nothing by being there. A body, a segment, a head is in force exactly when a
//! table names it, and one two-phase commit with immediate durability changes all of them together.
//! Tables are keyed by the origin's line. In scope: tables, one transaction a [`Change`]. Out of
//! scope: the files that tables name.

mod tables;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use hashpact_keys::{KeyId, Origin, RosterVersion};
use hashpact_protocol::delta::{ClassEntry, Seq};
use hashpact_protocol::labels::{ClassId, Labels};
use hashpact_protocol::record::EntryId;
use hashpact_protocol::view::{Held, Holding, LogState, Shelf};
use redb::{
    Builder, Database, Durability, ReadableDatabase, ReadableTable, TableDefinition,
    WriteTransaction,
};

use super::durable::Steps;
use super::index::SegmentId;
use super::layout::{BodyKind, FOLDER_WIDTH};
use tables::{
    BODIES, CLASSES, CONTENTS, COUNTS, DELTAS, ENDS, FORKS, HOLES, KEPT, LOGS, MANIFESTS, META,
    META_FORMAT, META_NEXT_SEGMENT, ORIGINS, POLICIES, PURGED, RETIRED, ROSTERS, SEGMENTS,
    check_sizes, decode_contents, open_all, write_bodies, write_logs, write_segments,
    write_tallies,
};

/// Version of the tables and of the files that they name.
pub const FORMAT: u64 = 2;

/// The version before, whose files this one reads as they are: bodies that nothing rewrote.
const FORMAT_BEFORE: u64 = 1;

/// Memory for pages: state is small, and what is looked up often is held by the store itself.
const CACHE_BYTES: usize = 32 << 20;

/// Which rows a segment holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Family {
    /// Where fingerprints and entries are, and which places ended.
    Places,
    /// What is retracted: few rows, asked for each record that arrives.
    Retracted,
}

impl Family {
    fn code(self) -> u8 {
        match self {
            Self::Places => 0,
            Self::Retracted => 1,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        [Self::Places, Self::Retracted]
            .into_iter()
            .find(|family| family.code() == code)
    }
}

/// A segment that is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentEntry {
    pub(super) id: SegmentId,
    pub(super) family: Family,
    pub(super) rows: u64,
}

/// Records of one log that are stored here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// All of them, retracted or not.
    pub(super) stored: u64,
    /// Those that a retraction ended.
    pub(super) retracted: u64,
}

/// A body that is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BodyEntry {
    pub(super) records: u64,
    pub(super) bytes: u64,
}

/// What a body that is in force holds, and in which file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    /// How often the file was rewritten.
    pub(super) version: u32,
    /// Ascending.
    pub(super) classes: Vec<ClassContents>,
}

/// One class of a body: what its origin signed for, and how much of it is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ClassContents {
    pub(super) signed: ClassEntry,
    pub(super) held: Held,
}

impl Contents {
    pub(super) fn holdings(&self) -> Vec<Holding> {
        let classes = self.classes.iter();
        classes
            .map(|ClassContents { signed, held }| Holding {
                class: signed.class,
                count: signed.count,
                held: *held,
            })
            .collect()
    }
}

/// Offsets of a body that a section has left, while the index still leads there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Hole {
    pub(super) start: u32,
    /// Exclusive.
    pub(super) end: u64,
}

/// Holes of all bodies, by log and delta.
pub(super) type Holes = BTreeMap<(Origin, Seq), Vec<Hole>>;

/// Why the control database fails. The disk's fault, or another version's.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The database.
    #[error("control database")]
    Database(#[source] Box<redb::Error>),
    /// Written by another version.
    #[error("the data folder has format {got}, this version reads {FORMAT}")]
    Format {
        /// Its format.
        got: u64,
    },
    /// A row is not what was written.
    #[error("control database: a row of table {table} is damaged")]
    Row {
        /// Which table.
        table: &'static str,
    },
    /// A crash test stopped here.
    #[error("control database")]
    Stopped(#[from] std::io::Error),
}

macro_rules! from_redb {
    ($($error:ident),+) => {
        $(impl From<redb::$error> for ControlError {
            fn from(error: redb::$error) -> Self {
                Self::Database(Box::new(error.into()))
            }
        })+
    };
}

from_redb!(
    DatabaseError,
    TransactionError,
    TableError,
    StorageError,
    CommitError,
    SetDurabilityError
);

/// What one transaction sets.
#[derive(Default)]
pub(super) struct Change {
    /// Sizes that logs must have before.
    pub(super) from: BTreeMap<Origin, u64>,
    pub(super) origins: Vec<(Origin, u16)>,
    pub(super) logs: BTreeMap<Origin, LogState>,
    pub(super) deltas: Vec<(Origin, Seq, u64)>,
    pub(super) classes: BTreeMap<(Origin, ClassId), Labels>,
    pub(super) rosters: Vec<(RosterVersion, Vec<u8>)>,
    pub(super) bodies: Vec<(Origin, Seq, BodyEntry)>,
    pub(super) contents: Vec<(Origin, Seq, Contents)>,
    pub(super) holes: Vec<(Origin, Seq, Hole)>,
    pub(super) purged: Vec<(Origin, Seq, EntryId)>,
    pub(super) ends: Vec<(Origin, Seq, u64)>,
    pub(super) segments: Vec<SegmentEntry>,
    pub(super) tallies: BTreeMap<Origin, Tally>,
    pub(super) forks: Vec<(Origin, Vec<u8>)>,
    pub(super) retired: Vec<KeyId>,
    pub(super) policies: Vec<(Origin, u64, Vec<u8>)>,
    pub(super) manifests: Vec<(Origin, u64, Vec<u8>)>,
    pub(super) kept: Vec<(Shelf, Vec<u8>, Option<Vec<u8>>)>,
}

/// Keys and bytes of what is kept, by key.
type Kept = Vec<(Vec<u8>, Vec<u8>)>;

/// A log is not as long as a change expects.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApplyError {
    #[error(transparent)]
    Control(#[from] ControlError),
    #[error("the log does not have the expected size")]
    Size {
        origin: Origin,
        expected: u64,
        got: u64,
    },
}

/// What is read once, at open.
#[derive(Default)]
pub(super) struct Loaded {
    /// By their numbers.
    pub(super) origins: Vec<Origin>,
    pub(super) logs: BTreeMap<Origin, LogState>,
    pub(super) tallies: BTreeMap<Origin, Tally>,
    pub(super) segments: Vec<SegmentEntry>,
    pub(super) next_segment: u64,
    /// Of the bodies that were rewritten.
    pub(super) versions: BTreeMap<(Origin, Seq), u32>,
}

/// What must be in one folder of bodies.
pub(super) struct Folder {
    pub(super) number: u64,
    /// Ascending.
    pub(super) files: Vec<(Seq, BodyKind)>,
}

pub(super) struct Control {
    database: Database,
    steps: Steps,
}

impl Control {
    /// Opens or makes the database, and gives `own` a number if it has none.
    pub(super) fn open(path: &Path, own: &Origin, steps: &Steps) -> Result<Self, ControlError> {
        let database = Builder::new().set_cache_size(CACHE_BYTES).create(path)?;
        let control = Self {
            database,
            steps: steps.clone(),
        };
        let transaction = control.begin()?;
        {
            let mut meta = transaction.open_table(META)?;
            let format = meta.get(META_FORMAT)?.map(|row| row.value());
            match format {
                None | Some(FORMAT_BEFORE) => drop(meta.insert(META_FORMAT, FORMAT)?),
                Some(FORMAT) => {}
                Some(got) => return Err(ControlError::Format { got }),
            }
            open_all(&transaction)?;
            let mut origins = transaction.open_table(ORIGINS)?;
            let known = origins.get(own.as_str())?.is_some();
            if !known {
                let next = u16::try_from(redb::ReadableTableMetadata::len(&origins)?);
                let next = next.map_err(|_| ControlError::Row { table: "origins" })?;
                origins.insert(own.as_str(), next)?;
            }
        }
        control.commit(transaction, "open control")?;
        Ok(control)
    }

    fn begin(&self) -> Result<WriteTransaction, ControlError> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_two_phase_commit(true);
        transaction.set_durability(Durability::Immediate)?;
        Ok(transaction)
    }

    fn commit(
        &self,
        transaction: WriteTransaction,
        step: &'static str,
    ) -> Result<(), ControlError> {
        // Dropped instead, the transaction leaves nothing.
        self.steps.pass(step)?;
        Ok(transaction.commit()?)
    }

    /// Sets everything that `change` names, if all logs have the sizes that it expects.
    pub(super) fn apply(&self, change: &Change) -> Result<(), ApplyError> {
        let transaction = self.begin()?;
        check_sizes(&transaction, &change.from)?;
        write_logs(&transaction, change)?;
        write_bodies(&transaction, change)?;
        write_segments(&transaction, &[], &change.segments)?;
        Ok(self.commit(transaction, "commit")?)
    }

    /// Puts the segment `new` in the place of `old`.
    pub(super) fn swap(&self, old: &[SegmentId], new: SegmentEntry) -> Result<(), ControlError> {
        let transaction = self.begin()?;
        write_segments(&transaction, old, &[new])?;
        self.commit(transaction, "swap segments")
    }

    /// Puts the segments `new` in the place of `old`, which led to `holes`: nothing does any more.
    pub(super) fn close_holes(
        &self,
        holes: &Holes,
        old: &[SegmentId],
        new: &[SegmentEntry],
    ) -> Result<(), ControlError> {
        let transaction = self.begin()?;
        write_segments(&transaction, old, new)?;
        {
            let mut table = transaction.open_table(HOLES)?;
            for ((origin, seq), holes) in holes {
                for hole in holes {
                    table.remove((origin.as_str(), seq.0, hole.start))?;
                }
            }
        }
        self.commit(transaction, "close holes")
    }

    /// Puts a rebuilt index and its tallies in the place of all that were.
    pub(super) fn replace_index(
        &self,
        segments: &[SegmentEntry],
        tallies: &BTreeMap<Origin, Tally>,
    ) -> Result<(), ControlError> {
        let transaction = self.begin()?;
        transaction.delete_table(SEGMENTS)?;
        transaction.delete_table(COUNTS)?;
        // What was just built leads to what is there only.
        transaction.delete_table(HOLES)?;
        transaction.open_table(HOLES)?;
        write_segments(&transaction, &[], segments)?;
        write_tallies(&transaction, tallies)?;
        self.commit(transaction, "replace index")
    }

    pub(super) fn load(&self) -> Result<Loaded, ControlError> {
        let transaction = self.database.begin_read()?;
        let mut loaded = Loaded::default();
        let mut numbers = BTreeMap::new();
        for row in transaction.open_table(ORIGINS)?.iter()? {
            let (line, number) = row?;
            numbers.insert(number.value(), origin(line.value(), "origins")?);
        }
        if !numbers.keys().copied().eq((0..).take(numbers.len())) {
            return Err(ControlError::Row { table: "origins" });
        }
        loaded.origins = numbers.into_values().collect();
        for row in transaction.open_table(LOGS)?.iter()? {
            let (line, state) = row?;
            let state = LogState::from_bytes(state.value());
            let state = state.ok_or(ControlError::Row { table: "logs" })?;
            loaded.logs.insert(origin(line.value(), "logs")?, state);
        }
        for row in transaction.open_table(COUNTS)?.iter()? {
            let (line, counts) = row?;
            let (stored, retracted) = counts.value();
            loaded
                .tallies
                .insert(origin(line.value(), "counts")?, Tally { stored, retracted });
        }
        for row in transaction.open_table(SEGMENTS)?.iter()? {
            let (id, entry) = row?;
            let (family, rows) = entry.value();
            let family =
                Family::from_code(family).ok_or(ControlError::Row { table: "segments" })?;
            loaded.segments.push(SegmentEntry {
                id: SegmentId(id.value()),
                family,
                rows,
            });
        }
        for row in transaction.open_table(CONTENTS)?.iter()? {
            let (key, bytes) = row?;
            let (line, seq) = key.value();
            let version = decode_contents(bytes.value())?.version;
            if version > 0 {
                let place = (origin(line, "contents")?, Seq(seq));
                loaded.versions.insert(place, version);
            }
        }
        let next = transaction.open_table(META)?.get(META_NEXT_SEGMENT)?;
        loaded.next_segment = next.map_or(0, |next| next.value());
        Ok(loaded)
    }

    pub(super) fn delta(&self, origin: &Origin, seq: Seq) -> Result<Option<u64>, ControlError> {
        let table = self.database.begin_read()?.open_table(DELTAS)?;
        Ok(table.get((origin.as_str(), seq.0))?.map(|row| row.value()))
    }

    pub(super) fn class(
        &self,
        origin: &Origin,
        class: ClassId,
    ) -> Result<Option<Labels>, ControlError> {
        let table = self.database.begin_read()?.open_table(CLASSES)?;
        let Some(row) = table.get((origin.as_str(), class.0))? else {
            return Ok(None);
        };
        let labels = Labels::from_bytes(row.value());
        Ok(Some(
            labels.map_err(|_| ControlError::Row { table: "classes" })?,
        ))
    }

    pub(super) fn fork(&self, origin: &Origin) -> Result<Option<Vec<u8>>, ControlError> {
        let table = self.database.begin_read()?.open_table(FORKS)?;
        Ok(table.get(origin.as_str())?.map(|row| row.value().to_vec()))
    }

    pub(super) fn forks(&self) -> Result<Vec<(Origin, Vec<u8>)>, ControlError> {
        let table = self.database.begin_read()?.open_table(FORKS)?;
        let rows = table.iter()?.map(|row| {
            let (line, proof) = row?;
            Ok((origin(line.value(), "forks")?, proof.value().to_vec()))
        });
        rows.collect()
    }

    pub(super) fn is_retired(&self, key: &KeyId) -> Result<bool, ControlError> {
        let table = self.database.begin_read()?.open_table(RETIRED)?;
        Ok(table.get(&key.as_bytes()[..])?.is_some())
    }

    pub(super) fn policies(
        &self,
        origin: &Origin,
        newest: usize,
    ) -> Result<Vec<(u64, Vec<u8>)>, ControlError> {
        self.signed(POLICIES, origin, newest)
    }

    pub(super) fn manifests(
        &self,
        origin: &Origin,
        newest: usize,
    ) -> Result<Vec<(u64, Vec<u8>)>, ControlError> {
        self.signed(MANIFESTS, origin, newest)
    }

    /// The newest rows of a log in a table of signed documents by log index, ascending.
    fn signed(
        &self,
        table: TableDefinition<(&str, u64), &[u8]>,
        origin: &Origin,
        newest: usize,
    ) -> Result<Vec<(u64, Vec<u8>)>, ControlError> {
        let table = self.database.begin_read()?.open_table(table)?;
        let line = origin.as_str();
        let rows = table.range((line, 0)..=(line, u64::MAX))?;
        let rows = rows.rev().take(newest).map(|row| {
            let (key, document) = row?;
            Ok((key.value().1, document.value().to_vec()))
        });
        let mut rows = rows.collect::<Result<Vec<_>, ControlError>>()?;
        rows.reverse();
        Ok(rows)
    }

    pub(super) fn kept(&self, shelf: Shelf, key: &[u8]) -> Result<Option<Vec<u8>>, ControlError> {
        let table = self.database.begin_read()?.open_table(KEPT)?;
        let row = table.get((shelf as u8, key))?;
        Ok(row.map(|row| row.value().to_vec()))
    }

    pub(super) fn shelf(&self, shelf: Shelf, prefix: &[u8]) -> Result<Kept, ControlError> {
        let table = self.database.begin_read()?.open_table(KEPT)?;
        let mut kept = Vec::new();
        for row in table.range((shelf as u8, prefix)..)? {
            let (key, value) = row?;
            let (at, key) = key.value();
            if at != shelf as u8 || !key.starts_with(prefix) {
                break;
            }
            kept.push((key.to_vec(), value.value().to_vec()));
        }
        Ok(kept)
    }

    pub(super) fn roster(&self, version: RosterVersion) -> Result<Option<Vec<u8>>, ControlError> {
        let table = self.database.begin_read()?.open_table(ROSTERS)?;
        Ok(table.get(version.get())?.map(|row| row.value().to_vec()))
    }

    pub(super) fn rosters(&self) -> Result<Vec<(u64, Vec<u8>)>, ControlError> {
        let table = self.database.begin_read()?.open_table(ROSTERS)?;
        let rows = table.iter()?.map(|row| {
            let (version, bytes) = row?;
            Ok((version.value(), bytes.value().to_vec()))
        });
        rows.collect()
    }

    pub(super) fn body(
        &self,
        origin: &Origin,
        seq: Seq,
    ) -> Result<Option<BodyEntry>, ControlError> {
        let table = self.database.begin_read()?.open_table(BODIES)?;
        let row = table.get((origin.as_str(), seq.0))?.map(|row| row.value());
        Ok(row.map(|(records, bytes)| BodyEntry { records, bytes }))
    }

    /// What a body holds; `None` if it is not stored, or was by a version that did not say.
    pub(super) fn contents(
        &self,
        origin: &Origin,
        seq: Seq,
    ) -> Result<Option<Contents>, ControlError> {
        let table = self.database.begin_read()?.open_table(CONTENTS)?;
        let row = table.get((origin.as_str(), seq.0))?;
        row.map(|row| decode_contents(row.value())).transpose()
    }

    /// As an earlier version left the data folder: no table says what bodies hold.
    #[cfg(test)]
    pub(super) fn forget_contents(&self) -> Result<(), ControlError> {
        let transaction = self.begin()?;
        transaction.delete_table(CONTENTS)?;
        transaction.open_table(CONTENTS)?;
        self.commit(transaction, "forget contents")
    }

    /// The holes of one body.
    pub(super) fn holes_of(&self, origin: &Origin, seq: Seq) -> Result<Vec<Hole>, ControlError> {
        let table = self.database.begin_read()?.open_table(HOLES)?;
        let line = origin.as_str();
        let rows = table.range((line, seq.0, 0)..=(line, seq.0, u32::MAX))?;
        let holes = rows.map(|row| {
            let (key, end) = row?;
            let (start, end) = (key.value().2, end.value());
            Ok(Hole { start, end })
        });
        holes.collect()
    }

    /// The entries of a delta whose records were purged, or are to be whenever they come.
    pub(super) fn purged(
        &self,
        origin: &Origin,
        seq: Seq,
    ) -> Result<BTreeSet<EntryId>, ControlError> {
        let table = self.database.begin_read()?.open_table(PURGED)?;
        let line = origin.as_str();
        let all = (line, seq.0, [0; 16])..=(line, seq.0, [0xff; 16]);
        let rows = table.range(all)?;
        rows.map(|row| Ok(EntryId(row?.0.value().2))).collect()
    }

    /// Every hole.
    pub(super) fn holes(&self) -> Result<Holes, ControlError> {
        let table = self.database.begin_read()?.open_table(HOLES)?;
        let mut holes = Holes::new();
        for row in table.iter()? {
            let (key, end) = row?;
            let (line, seq, start) = key.value();
            let end = end.value();
            let place = (origin(line, "holes")?, Seq(seq));
            holes.entry(place).or_default().push(Hole { start, end });
        }
        Ok(holes)
    }

    pub(super) fn has_ends(&self, origin: &Origin, seq: Seq) -> Result<bool, ControlError> {
        let table = self.database.begin_read()?.open_table(ENDS)?;
        Ok(table.get((origin.as_str(), seq.0))?.is_some())
    }

    /// The first folder from number `from` on that has a file in force.
    pub(super) fn next_folder(
        &self,
        origin: &Origin,
        from: u64,
    ) -> Result<Option<Folder>, ControlError> {
        let transaction = self.database.begin_read()?;
        let (bodies, ends) = (
            transaction.open_table(BODIES)?,
            transaction.open_table(ENDS)?,
        );
        let line = origin.as_str();
        let rest = (line, from.saturating_mul(FOLDER_WIDTH))..=(line, u64::MAX);
        let first = [
            bodies
                .range(rest.clone())?
                .next()
                .transpose()?
                .map(|(key, _)| key.value().1),
            ends.range(rest)?
                .next()
                .transpose()?
                .map(|(key, _)| key.value().1),
        ];
        let Some(first) = first.into_iter().flatten().min() else {
            return Ok(None);
        };
        let folder = first / FOLDER_WIDTH;
        let last = first.saturating_add(FOLDER_WIDTH - 1 - first % FOLDER_WIDTH);
        let range = (line, first)..=(line, last);
        let mut files = Vec::new();
        let contents = transaction.open_table(CONTENTS)?;
        for row in bodies.range(range.clone())? {
            let seq = row?.0.value().1;
            let version = match contents.get((line, seq))? {
                Some(row) => decode_contents(row.value())?.version,
                None => 0,
            };
            files.push((Seq(seq), BodyKind::Body(version)));
        }
        for row in ends.range(range)? {
            files.push((Seq(row?.0.value().1), BodyKind::Ends));
        }
        files.sort_unstable();
        Ok(Some(Folder {
            number: folder,
            files,
        }))
    }
}

fn origin(line: &str, table: &'static str) -> Result<Origin, ControlError> {
    line.parse().map_err(|_| ControlError::Row { table })
}
