//! Look-ups: where a fingerprint or an entry stands, whether it is retracted, and whether it counts.
//!
//! The index names a body and an offset; the record is read from there and must hold what was asked
//! for, so that a wrong row is an error and never a wrong answer. A record counts by where its log
//! stands, which the index does not know: a log may be frozen long after its records were stored.
//! What is void or pending is answered and said to be so. In scope: what is stored here.
//! Out of scope: who may ask, and what may be shown to whom.

mod many;
mod updates;

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use hashpact_keys::Origin;
use hashpact_protocol::delta::Seq;
use hashpact_protocol::evidence::is_cryptographic;
use hashpact_protocol::fingerprint::Fingerprint;
use hashpact_protocol::labels::{ClassId, Labels};
use hashpact_protocol::limits;
use hashpact_protocol::record::{EntryId, Record, Revision};
use hashpact_protocol::view::{LogState, View as _};

use super::Store;
use super::bodies::{DamagedBody, RecordReader};
use super::control::ControlError;
use super::index::keys::{entry_key, fingerprint_key};
use super::index::row::ValueError;
use super::index::{Index, Key, Probe, RowKind, Value};
use super::lines::continues;
use super::places::revision_of;

/// Whether a stored record counts, whatever retractions say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It counts. So do the records of a log that has left the roster.
    InForce,
    /// It is this node's own, and its delta waits for a quorum of witnesses: no other centre acts on it yet.
    Pending,
    /// Its log was shown to be forked, and its delta stands beyond what both branches share: it is no match.
    Void {
        /// The size at which the log is frozen.
        frozen: u64,
    },
}

impl Standing {
    /// Of a delta of a log that stands so; `is_own` if this node writes the log.
    pub(super) fn of(seq: Seq, state: &LogState, is_own: bool) -> Self {
        match (seq < state.witnessed_seq, state.frozen) {
            (true, _) => Self::InForce,
            (false, Some(frozen)) => Self::Void { frozen },
            (false, None) if is_own => Self::Pending,
            // Others' deltas are applied once they are witnessed.
            (false, None) => Self::InForce,
        }
    }
}

/// A stored record. No derived Debug: a record holds fingerprints.
#[derive(Clone, PartialEq, Eq)]
pub struct FoundEntry {
    /// The log.
    pub origin: Origin,
    /// The delta.
    pub seq: Seq,
    /// The class.
    pub class: ClassId,
    /// Its labels.
    pub labels: Labels,
    /// The record, with entry id and revision.
    pub record: Record,
    /// Whether a retraction has ended it.
    pub retracted: bool,
    /// Whether it counts.
    pub standing: Standing,
}

impl FoundEntry {
    /// Whether this is a known match: neither retracted nor void.
    #[must_use]
    pub fn is_match(&self) -> bool {
        !self.retracted
            && match self.standing {
                Standing::InForce | Standing::Pending => true,
                Standing::Void { .. } => false,
            }
    }
}

impl std::fmt::Debug for FoundEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FoundEntry")
            .field("origin", &self.origin)
            .field("seq", &self.seq)
            .field("entry", &self.record.entry)
            .field("revision", &self.record.revision)
            .field("retracted", &self.retracted)
            .field("standing", &self.standing)
            .finish_non_exhaustive()
    }
}

/// Why a look-up has no answer. The store is damaged or the disk failed. Never shows what was
/// asked.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// The index could not be read.
    #[error("reading the index")]
    Index(#[from] io::Error),
    /// A row of the index does not decode.
    #[error("reading the index")]
    Row(#[from] ValueError),
    /// A row of the index names an origin that the store has not met.
    #[error("the index names origin {number}, which the store does not have")]
    Origin {
        /// Its number.
        number: u16,
    },
    /// A row of the index leads to a record about something else.
    #[error("the index leads to another record, in delta {seq} of {origin}: rebuild it")]
    OtherRecord {
        /// The log.
        origin: Origin,
        /// The delta.
        seq: Seq,
    },
    /// A body.
    #[error(transparent)]
    Body(#[from] DamagedBody),
    /// The control database.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The class of a stored record has no labels.
    #[error("class {class:?} of {origin} has no definition")]
    Class {
        /// The log.
        origin: Origin,
        /// The class.
        class: ClassId,
    },
}

impl Store {
    /// The stored records that hold a fingerprint and may be matched by it: of each log the oldest 64 that match, and then,
    /// if there is room, those that ended. A log that repeats a fingerprint hides no other log's entry. None for an
    /// algorithm that is never matched.
    ///
    /// # Errors
    /// [`LookupError`].
    pub fn lookup(&self, fingerprint: &Fingerprint) -> Result<Vec<FoundEntry>, LookupError> {
        let Some(key) = fingerprint_key(&self.keys.index, fingerprint) else {
            return Ok(Vec::new());
        };
        self.settled(|places, retracted| self.matches(fingerprint, &key, places, retracted))
    }

    fn matches(
        &self,
        fingerprint: &Fingerprint,
        key: &Key,
        places: &Index,
        retracted: &Index,
    ) -> Result<Vec<FoundEntry>, LookupError> {
        let mut found: Vec<FoundEntry> = Vec::new();
        let mut of_log = (0, 0);
        for value in places_of(places, key)? {
            if of_log.0 != value.origin {
                of_log = (value.origin, 0);
            }
            if of_log.1 == PLACES_PER_LOG {
                continue;
            }
            let Some(entry) = self.read_entry(&value, retracted)? else {
                continue;
            };
            let holds = entry
                .record
                .fields
                .matchable()
                .any(|print| print == fingerprint);
            if !holds {
                let (origin, seq) = (entry.origin, entry.seq);
                return Err(LookupError::OtherRecord { origin, seq });
            }
            found.push(entry);
            of_log.1 += 1;
        }
        Ok(found)
    }

    /// The newest stored revision of an entry of a log; of equal ones the first.
    ///
    /// # Errors
    /// [`LookupError`].
    pub fn lookup_entry(
        &self,
        origin: &Origin,
        entry: EntryId,
    ) -> Result<Option<FoundEntry>, LookupError> {
        let Some(key) = self.entry_key(origin, entry) else {
            return Ok(None);
        };
        self.settled(|places, retracted| {
            self.newest_of((origin, entry), None, &key, places, retracted)
        })
    }

    /// A stored revision of an entry, or the newest.
    fn newest_of(
        &self,
        (origin, entry): (&Origin, EntryId),
        revision: Option<Revision>,
        key: &Key,
        places: &Index,
        retracted: &Index,
    ) -> Result<Option<FoundEntry>, LookupError> {
        let mut values = Vec::new();
        each_value(places, key, |value| {
            let is_asked = revision.is_none_or(|it| u64::from(it.0) == value.extra);
            if value.kind == RowKind::Entry && is_asked {
                values.push(value);
            }
        })?;
        // Stable: of equal revisions the first.
        values.sort_by_key(|value| std::cmp::Reverse(value.extra));
        for value in values {
            let Some(found) = self.read_entry(&value, retracted)? else {
                continue;
            };
            let is_asked = found.record.entry == entry && found.origin == *origin;
            if !is_asked || u64::from(found.record.revision.0) != value.extra {
                let (origin, seq) = (found.origin, found.seq);
                return Err(LookupError::OtherRecord { origin, seq });
            }
            return Ok(Some(found));
        }
        Ok(None)
    }

    /// The delta and the class in which a revision of an entry stands here, retracted or not; without a revision the newest
    /// one's.
    ///
    /// # Errors
    /// [`LookupError`].
    pub(super) fn lookup_place(
        &self,
        origin: &Origin,
        entry: EntryId,
        revision: Option<Revision>,
    ) -> Result<Option<(Seq, ClassId)>, LookupError> {
        let Some(key) = self.entry_key(origin, entry) else {
            return Ok(None);
        };
        let found = self.settled(|places, retracted| {
            let asked = (origin, entry);
            self.newest_of(asked, revision, &key, places, retracted)
        })?;
        Ok(found.map(|found| (found.seq, found.class)))
    }

    /// The entries of other centres that match and share a cryptographic fingerprint with an entry which was retracted up
    /// to a revision, with their revisions: at most [`limits::SHARERS`]. None unless that entry is held, and retracted.
    ///
    /// # Errors
    /// [`LookupError`].
    pub fn sharers(
        &self,
        origin: &Origin,
        entry: EntryId,
        revision: Revision,
    ) -> Result<Vec<(Origin, EntryId, Revision)>, LookupError> {
        let error = self.lookup_entry(origin, entry)?;
        let error = error.filter(|it| it.retracted && it.record.revision <= revision);
        let Some(error) = error else {
            return Ok(Vec::new());
        };
        let mut sharers = BTreeMap::new();
        let prints = error.record.fields.matchable();
        for print in prints.filter(|print| is_cryptographic(print)) {
            for found in self.lookup(print)? {
                if found.is_match() && found.origin.centre() != origin.centre() {
                    let place = (found.origin, found.record.entry);
                    sharers.insert(place, found.record.revision);
                }
            }
        }
        let sharers = sharers.into_iter().take(limits::SHARERS);
        let sharers = sharers.map(|((origin, entry), revision)| (origin, entry, revision));
        Ok(sharers.collect())
    }

    /// The newest stored revision of an entry of this node's centre: of its log, or else of the newest earlier line that
    /// has the entry.
    ///
    /// # Errors
    /// [`LookupError`].
    pub fn lookup_own_entry(&self, entry: EntryId) -> Result<Option<FoundEntry>, LookupError> {
        let mut lines: Vec<Origin> = {
            let live = self.live();
            let earlier = live.origins.iter();
            let earlier = earlier.filter(|origin| continues(&self.own, origin));
            earlier.cloned().collect()
        };
        lines.sort_unstable_by_key(|line| std::cmp::Reverse(line.epoch()));
        for line in lines {
            let found = self.lookup_entry(&line, entry)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Whether a retraction has ended a revision of an entry of a log, stored here or not.
    ///
    /// # Errors
    /// [`LookupError`].
    pub fn is_retracted(
        &self,
        origin: &Origin,
        entry: EntryId,
        revision: Revision,
    ) -> Result<bool, LookupError> {
        let retracted = self.live().retracted.clone();
        Ok(self.retracted_upto(&retracted, origin, entry)? >= revision.0)
    }

    /// The last revision of an entry of a log that is retracted, there or in a later line of its centre; 0 if none is, as
    /// revisions count from 1.
    fn retracted_upto(
        &self,
        retracted: &Index,
        origin: &Origin,
        entry: EntryId,
    ) -> Result<u32, LookupError> {
        let lines: Vec<u16> = {
            let live = self.live();
            let later = live.numbers.iter();
            let later = later.filter(|(later, _)| continues(later, origin));
            later.map(|(_, number)| *number).collect()
        };
        let mut upto = 0;
        for line in lines {
            let key = entry_key(&self.keys.index, line, entry);
            each_value(retracted, &key, |value| {
                upto = upto.max(revision_of(&value))
            })?;
        }
        Ok(upto)
    }

    /// The key of an entry; `None` if the store has not met the origin.
    pub(super) fn entry_key(&self, origin: &Origin, entry: EntryId) -> Option<Key> {
        let number = self.live().numbers.get(origin).copied()?;
        Some(entry_key(&self.keys.index, number, entry))
    }

    /// What `read` finds in an index that led to what is in force all the while: a body that is rewritten meanwhile may
    /// have moved what the index led to, and the index may have followed it.
    pub(super) fn settled<T>(
        &self,
        read: impl Fn(&Index, &Index) -> Result<T, LookupError>,
    ) -> Result<T, LookupError> {
        loop {
            let (places, retracted, rewrites) = {
                let live = self.live();
                (live.places.clone(), live.retracted.clone(), live.rewrites)
            };
            let found = read(&places, &retracted);
            if self.live().rewrites == rewrites {
                return found;
            }
        }
    }

    /// The record at a place, with what is known about it; `None` if it has gone from there.
    pub(super) fn read_entry(
        &self,
        value: &Value,
        retracted: &Index,
    ) -> Result<Option<FoundEntry>, LookupError> {
        let number = value.origin;
        let origin = self.origin(number).ok_or(LookupError::Origin { number })?;
        let seq = Seq(u64::from(value.seq));
        let read = || RecordReader::new(self.open_body(&origin, seq)?).record(value.offset);
        let damaged = |fault| {
            let origin = origin.clone();
            DamagedBody { origin, seq, fault }
        };
        let Some((class, record)) = read().map_err(damaged)? else {
            return Ok(None);
        };
        let labels = self.control.class(&origin, class)?;
        let labels = labels.ok_or_else(|| LookupError::Class {
            origin: origin.clone(),
            class,
        })?;
        let upto = self.retracted_upto(retracted, &origin, record.entry)?;
        let retracted = upto >= record.revision.0;
        let standing = Standing::of(seq, &self.log(&origin), origin == self.own);
        Ok(Some(FoundEntry {
            origin,
            seq,
            class,
            labels,
            record,
            retracted,
            standing,
        }))
    }
}

/// Places read for one fingerprint in one log: an honest log has one, and each costs reading a record.
const PLACES_PER_LOG: usize = 64;

/// Places of a fingerprint, log by log: first those that did not end, then those that did.
pub(super) fn places_of(places: &Index, key: &Key) -> Result<Vec<Value>, LookupError> {
    let place = |value: &Value| (value.origin, value.seq, value.offset);
    let (mut all, mut ended) = (BTreeSet::new(), BTreeSet::new());
    let mut values = Vec::new();
    each_value(places, key, |value| match value.kind {
        RowKind::Fingerprint if all.insert(place(&value)) => values.push(value),
        RowKind::Ended => {
            ended.insert(place(&value));
        }
        RowKind::Fingerprint | RowKind::Entry | RowKind::Retracted => {}
    })?;
    values.sort_unstable_by_key(|value| {
        (
            value.origin,
            ended.contains(&place(value)),
            value.seq,
            value.offset,
        )
    });
    Ok(values)
}

/// Every value under a key in order, however many there are: the last may be the one that counts.
pub(super) fn each_value(
    index: &Index,
    key: &Key,
    mut take: impl FnMut(Value),
) -> Result<(), LookupError> {
    let hits = index.find(key)?;
    if hits.complete {
        for value in hits.values {
            take(Value::decode(&value)?);
        }
        return Ok(());
    }
    for hit in index.join(std::iter::once(Ok(Probe { key: *key, tag: 0 })), 1) {
        take(Value::decode(&hit?.1)?);
    }
    Ok(())
}
