//! Which rows of the index follow from records and retractions.
//!
//! Why one place: a commit and a rebuild must agree on every row. The rule does not depend on what
//! arrives first: a record is retracted exactly if some retraction of its entry, in its own log or
//! a later line of the same centre (`lines`), names its revision or a higher one. Then each of its
//! fingerprint rows has an ended row beside it. Rows are keyed by the log that they stand in; which
//! other logs count is asked when they are read, since the lines may be met in any order.
//!
//! | rows | key | extra |
//! |---|---|---|
//! | entry | entry id | revision |
//! | fingerprint | fingerprint | content check |
//! | ended | fingerprint | 0 |
//! | retracted | entry id | last revision that ends |
//!
//! In scope: rows in memory. Out of scope: segments on the disk (`commit`, `rebuild`).

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;

use hashpact_protocol::delta::Retraction;
use hashpact_protocol::labels::ClassId;
use hashpact_protocol::record::{EntryId, Record, RecordError};
use minicbor::Decoder;

use super::control::Tally;
use super::index::keys::{content_check, entry_key, fingerprint_key};
use super::index::row::ValueError;
use super::index::{Index, IndexKey, Key, Probe, Row, RowKind, Value};
use super::lines::Lines;

/// The store's number of an origin, and a delta of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct DeltaPlace {
    pub(super) origin: u16,
    pub(super) seq: u32,
}

/// Why rows cannot be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum RowsError {
    #[error("reading the index")]
    Index(#[from] io::Error),
    #[error(transparent)]
    Value(#[from] ValueError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error("a class without labels")]
    Undefined(ClassId),
    #[error("an offset beyond 2^32")]
    Offset,
}

/// What a retraction ends in one line, beyond those before it.
struct Fresh {
    key: Key,
    entry: EntryId,
    /// The line whose records end.
    line: u16,
    /// Where the retraction stands: in this line or a later one.
    place: DeltaPlace,
    /// Revisions up to this one ended before.
    before: u32,
    upto: u32,
}

/// Rows in the making.
pub(super) struct RowBuilder<'a> {
    key: &'a IndexKey,
    /// Retracted rows in force.
    retracted: &'a Index,
    lines: &'a Lines,
    /// Sorted by key, each key once.
    fresh: Vec<Fresh>,
    pub(super) places: Vec<Row>,
    pub(super) ends: Vec<Row>,
    /// What is added to the tallies, by number of origin.
    pub(super) tallies: BTreeMap<u16, Tally>,
}

/// A record of the body at hand.
struct Placed {
    key: Key,
    entry: EntryId,
    revision: u32,
    /// Its fingerprint rows among the places.
    rows: Range<usize>,
}

impl<'a> RowBuilder<'a> {
    pub(super) fn new(key: &'a IndexKey, retracted: &'a Index, lines: &'a Lines) -> Self {
        let (places, ends) = (Vec::new(), Vec::new());
        Self {
            key,
            retracted,
            lines,
            fresh: Vec::new(),
            places,
            ends,
            tallies: BTreeMap::new(),
        }
    }

    /// Takes retractions. Those that end nothing new leave no row.
    pub(super) fn retract(
        &mut self,
        list: impl Iterator<Item = (DeltaPlace, Retraction)>,
    ) -> Result<(), RowsError> {
        for (place, Retraction { entry, revision }) in list {
            let lines = self.lines.upto(&place.origin).iter();
            self.fresh.extend(lines.map(|line| Fresh {
                key: entry_key(self.key, *line, entry),
                entry,
                line: *line,
                place,
                before: 0,
                upto: revision.0,
            }));
        }
        // The highest revision first, so that it is the one that stays.
        self.fresh
            .sort_unstable_by_key(|f| (f.key, std::cmp::Reverse(f.upto), f.place));
        self.fresh.dedup_by_key(|f| f.key);
        let mut before = vec![0; self.fresh.len()];
        let ended = self.fresh.iter().map(|f| (f.key, f.line, f.entry));
        for hit in self.retractions(self.bearing_on(ended)) {
            let (tag, value) = hit?;
            if let Some(before) = usize::try_from(tag)
                .ok()
                .and_then(|tag| before.get_mut(tag))
            {
                *before = revision_of(&Value::decode(&value)?).max(*before);
            }
        }
        for (fresh, before) in self.fresh.iter_mut().zip(before) {
            fresh.before = before;
        }
        self.fresh.retain(|f| f.before < f.upto);
        // Of one that ends records of earlier lines as well there is one row, in its own.
        for f in self.fresh.iter().filter(|f| f.place.origin == f.line) {
            let value = value(RowKind::Retracted, f.place, 0, u64::from(f.upto))?;
            self.ends.push(Row { key: f.key, value });
        }
        Ok(())
    }

    /// The places of records in `index` that end with the retractions taken, in order.
    pub(super) fn ending(&self, index: &Index) -> Result<Vec<Value>, RowsError> {
        let mut ending = Vec::new();
        for hit in index.join(self.probes(), self.fresh.len() as u64) {
            let (tag, bytes) = hit?;
            let fresh = usize::try_from(tag)
                .ok()
                .and_then(|tag| self.fresh.get(tag));
            let value = Value::decode(&bytes)?;
            let ends =
                |f: &Fresh| value.extra > u64::from(f.before) && value.extra <= u64::from(f.upto);
            if value.kind == RowKind::Entry && fresh.is_some_and(ends) {
                ending.push(value);
            }
        }
        ending.sort_unstable_by_key(|value| (value.origin, value.seq, value.offset));
        Ok(ending)
    }

    /// Ends the record that stands at a place which [`RowBuilder::ending`] gave.
    pub(super) fn end(&mut self, at: &Value, record: &Record) -> Result<(), RowsError> {
        let place = DeltaPlace {
            origin: at.origin,
            seq: at.seq,
        };
        let ended = value(RowKind::Ended, place, at.offset, 0)?;
        for fingerprint in record.fields.matchable() {
            if let Some(key) = fingerprint_key(self.key, fingerprint) {
                self.places.push(Row { key, value: ended });
            }
        }
        self.tallies.entry(at.origin).or_default().retracted += 1;
        Ok(())
    }

    /// Takes the records of a body: class, offset within the body's bytes, bytes. `labels` are the
    /// digests of the classes.
    pub(super) fn put<'r>(
        &mut self,
        place: DeltaPlace,
        labels: &BTreeMap<ClassId, Key>,
        records: impl Iterator<Item = (ClassId, usize, &'r [u8])>,
    ) -> Result<(), RowsError> {
        let mut placed = Vec::new();
        for (class, offset, bytes) in records {
            let labels = labels.get(&class).ok_or(RowsError::Undefined(class))?;
            let offset = u32::try_from(offset).map_err(|_| RowsError::Offset)?;
            let record = Record::from_bytes(bytes)?;
            let check = content_check(self.key, labels, fields_of(bytes));
            let (entry, revision) = (record.entry, record.revision.0);
            let start = self.places.len();
            let fingerprint = value(RowKind::Fingerprint, place, offset, check)?;
            for print in record.fields.matchable() {
                if let Some(key) = fingerprint_key(self.key, print) {
                    self.places.push(Row {
                        key,
                        value: fingerprint,
                    });
                }
            }
            let rows = start..self.places.len();
            let key = entry_key(self.key, place.origin, entry);
            let value = value(RowKind::Entry, place, offset, u64::from(revision))?;
            self.places.push(Row { key, value });
            placed.push(Placed {
                key,
                entry,
                revision,
                rows,
            });
        }
        self.end_placed(place, placed)
    }

    /// Ends those of the records just put that retractions have named already.
    fn end_placed(&mut self, place: DeltaPlace, mut placed: Vec<Placed>) -> Result<(), RowsError> {
        let tally = self.tallies.entry(place.origin).or_default();
        tally.stored += placed.len() as u64;
        if self.fresh.is_empty() && self.retracted.metas().is_empty() {
            return Ok(());
        }
        placed.sort_unstable_by_key(|record| record.key);
        let mut ended: Vec<bool> = placed
            .iter()
            .map(|record| self.ends_fresh(record))
            .collect();
        let records = placed.iter().map(|r| (r.key, place.origin, r.entry));
        for hit in self.retractions(self.bearing_on(records)) {
            let (tag, value) = hit?;
            let tag = usize::try_from(tag).unwrap_or(usize::MAX);
            if let (Some(record), Some(ended)) = (placed.get(tag), ended.get_mut(tag)) {
                *ended |= revision_of(&Value::decode(&value)?) >= record.revision;
            }
        }
        let mut count = 0;
        for (record, _) in placed.iter().zip(ended).filter(|(_, ended)| *ended) {
            count += 1;
            for at in record.rows.clone() {
                let row = self.places[at];
                let offset = Value::decode(&row.value)?.offset;
                let value = value(RowKind::Ended, place, offset, 0)?;
                self.places.push(Row {
                    key: row.key,
                    value,
                });
            }
        }
        self.tallies.entry(place.origin).or_default().retracted += count;
        Ok(())
    }

    fn probes(&self) -> impl Iterator<Item = io::Result<Probe>> {
        let keys = self.fresh.iter().map(|fresh| fresh.key);
        (0..).zip(keys).map(|(tag, key)| Ok(Probe { key, tag }))
    }

    /// The keys of retractions that end entries of a line, each given with its key: those of that line and of every later
    /// one. Their tags number the entries.
    fn bearing_on(&self, entries: impl Iterator<Item = (Key, u16, EntryId)>) -> Vec<Probe> {
        let mut probes = Vec::new();
        for (tag, (key, line, entry)) in (0..).zip(entries) {
            probes.extend(self.lines.from(&line).iter().map(|from| {
                // Most centres have one line, whose key is there.
                let key = match *from == line {
                    true => key,
                    false => entry_key(self.key, *from, entry),
                };
                Probe { key, tag }
            }));
        }
        probes.sort_unstable();
        probes
    }

    /// The retracted rows in force.
    fn retractions(
        &self,
        probes: Vec<Probe>,
    ) -> impl Iterator<Item = io::Result<(u64, [u8; 16])>> + use<> {
        let count = probes.len() as u64;
        self.retracted.join(probes.into_iter().map(Ok), count)
    }

    fn ends_fresh(&self, record: &Placed) -> bool {
        let found = self.fresh.binary_search_by_key(&record.key, |f| f.key);
        found.is_ok_and(|at| self.fresh[at].upto >= record.revision)
    }
}

/// The revision up to which a retracted row ends its entry; 0 for a row of another kind.
pub(super) fn revision_of(value: &Value) -> u32 {
    match value.kind {
        // Revisions are 32 bits, so only another writer's row could be larger.
        RowKind::Retracted => u32::try_from(value.extra).unwrap_or(u32::MAX),
        RowKind::Fingerprint | RowKind::Entry | RowKind::Ended => 0,
    }
}

fn value(
    kind: RowKind,
    place: DeltaPlace,
    offset: u32,
    extra: u64,
) -> Result<[u8; 16], ValueError> {
    Value {
        kind,
        origin: place.origin,
        seq: place.seq,
        offset,
        extra,
    }
    .encode()
}

/// The third element of a record that parses: what the content check covers.
fn fields_of(record: &[u8]) -> &[u8] {
    let mut d = Decoder::new(record);
    let head = d
        .array()
        .and_then(|_| d.bytes().map(drop))
        .and_then(|()| d.u32());
    match head {
        Ok(_) => &record[d.position()..],
        Err(_) => &[],
    }
}
