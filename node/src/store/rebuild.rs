//! The index and the counts from the bodies alone.
//!
//! Why: the index is derived, so that losing it loses nothing. All retractions are read first, then
//! every record meets them as it would in a commit: the same rows, by the same code (`places`). One
//! body is in memory at a time. The result takes the place of what was in one transaction; a crash
//! before it leaves files that the next open removes. In scope: reading every stored body.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashpact_keys::Origin;
use hashpact_protocol::delta::{RETRACTION_SECTION, Retraction, Seq};
use hashpact_protocol::labels::ClassId;

use super::Store;
use super::bodies::{self, BodyFault, DamagedBody};
use super::control::{ControlError, Family, SegmentEntry, Tally};
use super::index::keys::labels_digest;
use super::index::row::ValueError;
use super::index::{Index, Key, MergeError, Row, SnapshotError, WriteSegmentError, merge};
use super::layout::BodyKind;
use super::lines::Lines;
use super::places::{DeltaPlace, RowBuilder, RowsError};
use super::sealed::BodyFile;
use super::sections::{cut, decode_retractions, records_within};

/// Rows held before they become a segment: 32 MiB.
const ROWS_HELD: usize = 1 << 20;

/// How far a rebuild is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bodies read, each of which is read twice.
    pub done: u64,
    /// How many readings there are.
    pub total: u64,
}

/// Why the index cannot be rebuilt. What was in force stays.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// A stored body.
    #[error(transparent)]
    Body(#[from] DamagedBody),
    /// The class of a stored record has no labels.
    #[error("class {class:?} of {origin} has no definition")]
    Class {
        /// The log.
        origin: Origin,
        /// The class.
        class: ClassId,
    },
    /// A number that the index cannot hold.
    #[error("delta {seq} of {origin}: the index numbers deltas up to 2^32")]
    Bound {
        /// The log.
        origin: Origin,
        /// The delta.
        seq: Seq,
    },
    /// Reading what was just written.
    #[error("reading the index")]
    Index(#[from] std::io::Error),
    /// A row cannot be encoded or decoded.
    #[error("index row")]
    Row(#[from] ValueError),
    /// Writing a segment.
    #[error(transparent)]
    Segment(#[from] WriteSegmentError),
    /// Merging segments.
    #[error(transparent)]
    Merge(#[from] MergeError),
    /// A segment id was given twice.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The control database.
    #[error(transparent)]
    Control(#[from] ControlError),
}

/// One family of a new index, which no table names yet.
struct Growing<'a> {
    store: &'a Store,
    family: Family,
    index: Index,
    rows: Vec<Row>,
}

/// A file in force.
struct Stored {
    origin: Origin,
    number: u16,
    seq: Seq,
    kind: BodyKind,
}

impl Store {
    /// Builds index and counts again from the stored bodies. Commits wait meanwhile; look-ups go on
    /// with the old index.
    ///
    /// # Errors
    /// [`RebuildError`].
    pub fn rebuild_index(&self, progress: &mut dyn FnMut(Progress)) -> Result<(), RebuildError> {
        let _upkeep = Self::lock(&self.upkeep);
        let _writer = Self::lock(&self.writer);
        let stored = self.stored()?;
        let mut at = Progress {
            done: 0,
            total: stored.len() as u64 * 2,
        };
        let mut step = || {
            at.done += 1;
            progress(at);
        };
        let lines = self.lines();
        let mut retracted = Growing::new(self, Family::Retracted);
        for file in &stored {
            let list = self.retractions_of(file)?;
            let place = file.place()?;
            let mut rows = RowBuilder::new(&self.keys.index, &retracted.index, &lines);
            let list = list.into_iter().map(|retraction| (place, retraction));
            rows.retract(list).map_err(|error| file.fault(error))?;
            let rows = rows.ends;
            retracted.add(rows)?;
            step();
        }
        let retracted = retracted.finish()?;
        let mut places = Growing::new(self, Family::Places);
        let mut tallies = BTreeMap::new();
        for file in &stored {
            if matches!(file.kind, BodyKind::Body(_)) {
                let rows = self.rows_of(file, &retracted, &lines)?;
                let tally: &mut Tally = tallies.entry(file.origin.clone()).or_default();
                for added in rows.tallies.values() {
                    tally.stored += added.stored;
                    tally.retracted += added.retracted;
                }
                let rows = rows.places;
                places.add(rows)?;
            }
            step();
        }
        self.replace_index(places.finish()?, retracted, tallies)
    }

    /// Every file of a body that is in force, by origin and delta.
    fn stored(&self) -> Result<Vec<Stored>, ControlError> {
        let origins = self.live().origins.clone();
        let mut stored = Vec::new();
        for (number, origin) in (0..).zip(&origins) {
            let mut from = 0;
            while let Some(folder) = self.control.next_folder(origin, from)? {
                let files = folder.files.into_iter();
                let file = |(seq, kind)| Stored {
                    origin: origin.clone(),
                    number,
                    seq,
                    kind,
                };
                stored.extend(files.map(file));
                from = folder.number + 1;
            }
        }
        Ok(stored)
    }

    fn lines(&self) -> Lines {
        let live = self.live();
        let numbers = live.numbers.iter();
        Lines::new(numbers.map(|(origin, number)| (origin, *number)))
    }

    fn open_stored(&self, file: &Stored) -> Result<BodyFile, RebuildError> {
        let opened = bodies::open(
            &self.layout,
            &self.keys.seal,
            &file.origin,
            file.seq,
            file.kind,
        );
        opened.map_err(|fault| file.damaged(BodyFault::Sealed(fault)))
    }

    fn retractions_of(&self, file: &Stored) -> Result<Vec<Retraction>, RebuildError> {
        let class = RETRACTION_SECTION;
        let section = self.open_stored(file)?.read_section(class);
        let section = section.map_err(|fault| file.damaged(BodyFault::Sealed(fault)))?;
        decode_retractions(&section).ok_or_else(|| file.damaged(BodyFault::Section { class }))
    }

    /// The rows of a stored body.
    fn rows_of<'a>(
        &'a self,
        file: &Stored,
        retracted: &'a Index,
        lines: &'a Lines,
    ) -> Result<RowBuilder<'a>, RebuildError> {
        let body = self.open_stored(file)?;
        let mut rows = RowBuilder::new(&self.keys.index, retracted, lines);
        for info in body.sections() {
            let Ok(class) = u16::try_from(info.class).map(ClassId) else {
                break;
            };
            let section = body.read_section(info.class);
            let section = section.map_err(|fault| file.damaged(BodyFault::Sealed(fault)))?;
            let malformed = || file.damaged(BodyFault::Section { class: info.class });
            let within = records_within(&section).ok_or_else(malformed)?;
            let offset = info.offset as usize + within.start;
            let items: Option<Vec<_>> = cut(&section[within.clone()]).collect();
            let items = items.ok_or_else(malformed)?;
            if !items.is_empty() {
                let labels = BTreeMap::from([(class, self.digest(&file.origin, class)?)]);
                let records = items
                    .into_iter()
                    .map(|(at, bytes)| (class, offset + at, bytes));
                let put = rows.put(file.place()?, &labels, records);
                put.map_err(|error| file.fault(error))?;
            }
        }
        Ok(rows)
    }

    fn digest(&self, origin: &Origin, class: ClassId) -> Result<Key, RebuildError> {
        let labels = self.control.class(origin, class)?;
        let labels = labels.ok_or_else(|| RebuildError::Class {
            origin: origin.clone(),
            class,
        })?;
        Ok(labels_digest(&self.keys.index, &labels))
    }

    fn replace_index(
        &self,
        places: Index,
        retracted: Index,
        tallies: BTreeMap<Origin, Tally>,
    ) -> Result<(), RebuildError> {
        let entries = |index: &Index, family| {
            let metas = index.metas().into_iter();
            metas.map(move |meta| SegmentEntry {
                id: meta.id,
                family,
                rows: meta.rows,
            })
        };
        let segments: Vec<_> = entries(&places, Family::Places)
            .chain(entries(&retracted, Family::Retracted))
            .collect();
        self.control.replace_index(&segments, &tallies)?;
        let old: Vec<_> = {
            let mut live = self.live_mut();
            let old = live
                .places
                .metas()
                .into_iter()
                .chain(live.retracted.metas());
            let old = old.map(|meta| meta.id).collect();
            (live.places, live.retracted, live.tallies) = (places, retracted, tallies);
            old
        };
        self.remove_segments(&old);
        Ok(())
    }
}

impl<'a> Growing<'a> {
    fn new(store: &'a Store, family: Family) -> Self {
        Self {
            store,
            family,
            index: Index::default(),
            rows: Vec::new(),
        }
    }

    fn add(&mut self, rows: Vec<Row>) -> Result<(), RebuildError> {
        self.rows.extend(rows);
        if self.rows.len() >= ROWS_HELD {
            self.flush()
        } else {
            Ok(())
        }
    }

    fn flush(&mut self) -> Result<(), RebuildError> {
        let rows = std::mem::take(&mut self.rows);
        let Some((entry, segment)) = self.store.write_segment(self.family, rows)? else {
            return Ok(());
        };
        self.index = self.index.with(entry.id, segment)?;
        while let Some(old) = merge::plan(&self.index.metas()) {
            let id = self.store.new_segment();
            let path = self.store.layout.segment(id);
            let merged = self.index.merge(&old, &path, &self.store.steps)?;
            self.index = self.index.replace(&old, id, Arc::new(merged))?;
            self.store.remove_segments(&old);
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Index, RebuildError> {
        self.flush()?;
        Ok(self.index)
    }
}

impl Stored {
    fn place(&self) -> Result<DeltaPlace, RebuildError> {
        let seq = u32::try_from(self.seq.0);
        let bound = || RebuildError::Bound {
            origin: self.origin.clone(),
            seq: self.seq,
        };
        Ok(DeltaPlace {
            origin: self.number,
            seq: seq.map_err(|_| bound())?,
        })
    }

    fn damaged(&self, fault: BodyFault) -> RebuildError {
        DamagedBody {
            origin: self.origin.clone(),
            seq: self.seq,
            fault,
        }
        .into()
    }

    fn fault(&self, error: RowsError) -> RebuildError {
        match error {
            RowsError::Index(error) => RebuildError::Index(error),
            RowsError::Value(error) => RebuildError::Row(error),
            RowsError::Record(source) => self.damaged(BodyFault::Record { offset: 0, source }),
            RowsError::Undefined(class) => RebuildError::Class {
                origin: self.origin.clone(),
                class,
            },
            RowsError::Offset => RebuildError::Bound {
                origin: self.origin.clone(),
                seq: self.seq,
            },
        }
    }
}
