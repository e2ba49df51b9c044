//! The one fake store: a [`View`] in memory that takes a [`Batch`] whole or not at all.
//!
//! It keeps what the core promises of every batch, so that a core that breaks a promise fails in any test: a log grows
//! from the size that is stored, a state says what the writes before it made true, and bodies and retractions come in
//! order. A clone is the disk after a crash.

use std::collections::{BTreeMap, BTreeSet};

use hashpact_keys::{KeyId, Origin, RosterVersion, SignedRoster};

use crate::delta::{Retraction, Seq};
use crate::labels::{ClassId, Labels};
use crate::record::{EntryId, Record, Revision};
use crate::serve;
use crate::view::{AdmittedBody, Batch, LogState, View, Write};
use crate::wire::{BulkRefusal, BulkRequest};

/// A store in memory.
#[derive(Clone, Default)]
pub struct Memory {
    logs: BTreeMap<Origin, Log>,
    rosters: BTreeMap<RosterVersion, SignedRoster>,
    retired: BTreeSet<KeyId>,
}

#[derive(Clone, Default)]
struct Log {
    state: LogState,
    /// Leaves that the files hold.
    size: u64,
    files: BTreeMap<String, Vec<u8>>,
    deltas: BTreeMap<Seq, u64>,
    classes: BTreeMap<ClassId, Labels>,
    bodies: BTreeMap<Seq, StoredBody>,
    put: BTreeMap<EntryId, Revision>,
    ended: BTreeMap<EntryId, Revision>,
    fork: Option<Vec<u8>>,
}

#[derive(Clone)]
struct StoredBody {
    bytes: Vec<u8>,
    /// Where each section begins, the retractions as 65536.
    sections: Vec<(u32, usize)>,
}

/// Why a batch is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MemoryError {
    /// A log does not grow from where it stands.
    #[error("a log of {expected} leaves is written from {got} on")]
    From {
        /// Leaves stored.
        expected: u64,
        /// Leaves that the batch begins at.
        got: u64,
    },
    /// A state counts other leaves than are stored.
    #[error("a state counts {got} leaves where {expected} are stored")]
    Size {
        /// Leaves stored.
        expected: u64,
        /// Leaves in the state.
        got: u64,
    },
    /// A body or retractions out of their turn.
    #[error("delta {got} is stored where {expected} is next")]
    Turn {
        /// The next delta.
        expected: Seq,
        /// The delta of the batch.
        got: Seq,
    },
    /// A cursor moves past what was stored, or back.
    #[error("a state counts deltas to {got} where {expected} are stored")]
    Cursor {
        /// Deltas stored.
        expected: Seq,
        /// Deltas in the state.
        got: Seq,
    },
    /// A body with a record that does not read.
    #[error("an admitted body holds a record that does not read")]
    Record,
}

impl Memory {
    /// Applies a batch.
    ///
    /// # Errors
    /// [`MemoryError`]; nothing is changed then.
    pub fn apply(&mut self, batch: Batch) -> Result<(), MemoryError> {
        let mut next = self.clone();
        batch
            .into_writes()
            .into_iter()
            .try_for_each(|write| next.write(write))?;
        *self = next;
        Ok(())
    }

    fn write(&mut self, write: Write) -> Result<(), MemoryError> {
        match write {
            Write::Log {
                origin,
                from,
                files,
                deltas,
                classes,
            } => {
                let log = self.logs.entry(origin).or_default();
                if from != log.size {
                    return Err(MemoryError::From {
                        expected: log.size,
                        got: from,
                    });
                }
                log.size = files
                    .iter()
                    .filter_map(|file| leaves(&file.path))
                    .max()
                    .unwrap_or(from);
                log.files
                    .extend(files.into_iter().map(|file| (file.path, file.bytes)));
                log.deltas.extend(deltas);
                log.classes.extend(classes);
                Ok(())
            }
            Write::Body(body) => self
                .logs
                .entry(body.origin().clone())
                .or_default()
                .body(&body),
            Write::Retractions { origin, seq, list } => {
                self.logs.entry(origin).or_default().retractions(seq, &list)
            }
            Write::State { origin, state } => self.logs.entry(origin).or_default().state(state),
            Write::Roster(roster) => {
                self.rosters.insert(roster.roster().version, roster);
                Ok(())
            }
            Write::Fork { origin, proof } => {
                self.logs.entry(origin).or_default().fork = Some(proof);
                Ok(())
            }
            Write::Retire(key) => {
                self.retired.insert(key);
                Ok(())
            }
        }
    }

    /// The roster in force.
    #[must_use]
    pub fn roster(&self) -> Option<&SignedRoster> {
        self.rosters.values().last()
    }

    /// The logs that something is stored of.
    pub fn origins(&self) -> impl Iterator<Item = &Origin> {
        self.logs.keys()
    }

    /// Entries of a log that were put and that no retraction ended, whichever of the two came first.
    #[must_use]
    pub fn held(&self, origin: &Origin) -> BTreeSet<EntryId> {
        self.live(origin).into_keys().collect()
    }

    /// As [`Memory::held`], with the revisions.
    #[must_use]
    pub fn live(&self, origin: &Origin) -> BTreeMap<EntryId, Revision> {
        let Some(log) = self.logs.get(origin) else {
            return BTreeMap::new();
        };
        let is_live = |(entry, put): &(&EntryId, &Revision)| {
            log.ended.get(*entry).is_none_or(|ended| ended < *put)
        };
        log.put
            .iter()
            .filter(is_live)
            .map(|(entry, revision)| (*entry, *revision))
            .collect()
    }

    /// The stored body of a delta.
    #[must_use]
    pub fn body(&self, origin: &Origin, seq: Seq) -> Option<&[u8]> {
        Some(&self.logs.get(origin)?.bodies.get(&seq)?.bytes)
    }

    /// What a bulk request asks for, as a node reads it off its disk. Whether it may be answered is not asked here.
    ///
    /// # Errors
    /// [`BulkRefusal`].
    pub fn read(&self, request: &BulkRequest) -> Result<Vec<u8>, BulkRefusal> {
        match request {
            BulkRequest::Suffix { origin, from, to } => serve::suffix(self, origin, *from, *to),
            BulkRequest::Proof { origin, from, to } => serve::proof(self, origin, *from, *to),
            BulkRequest::Body {
                origin,
                seq,
                section,
                offset,
            } => {
                let body = self.logs.get(origin).and_then(|log| log.bodies.get(seq));
                let body = body.ok_or(BulkRefusal::NotFound)?;
                let start = body.sections.iter().find(|(first, _)| first >= section);
                let (_, start) = start.ok_or(BulkRefusal::NotFound)?;
                let at =
                    usize::try_from(*offset).map_or(usize::MAX, |skip| start.saturating_add(skip));
                body.bytes
                    .get(at..)
                    .map(<[u8]>::to_vec)
                    .ok_or(BulkRefusal::NotFound)
            }
        }
    }
}

impl Log {
    fn body(&mut self, body: &AdmittedBody) -> Result<(), MemoryError> {
        let (expected, got) = (Seq(self.bodies.len() as u64), body.seq());
        if got != expected {
            return Err(MemoryError::Turn { expected, got });
        }
        for (_, _, record) in body.body().records() {
            let record = Record::from_bytes(record).map_err(|_| MemoryError::Record)?;
            raise(&mut self.put, record.entry, record.revision);
        }
        let (body, classes) = (body.body(), body.body().sections().iter());
        self.end(body.retractions());
        let sections = classes.map(|section| (u32::from(section.class.0), section.range.start));
        let last = (
            crate::delta::RETRACTION_SECTION,
            body.retraction_range().start,
        );
        let sections = sections.chain([last]).collect();
        self.bodies.insert(
            got,
            StoredBody {
                bytes: body.bytes().to_vec(),
                sections,
            },
        );
        Ok(())
    }

    fn retractions(&mut self, seq: Seq, list: &[Retraction]) -> Result<(), MemoryError> {
        let expected = self.state.retracted;
        if seq != expected {
            return Err(MemoryError::Turn { expected, got: seq });
        }
        self.end(list);
        Ok(())
    }

    fn end(&mut self, list: &[Retraction]) {
        for retraction in list {
            raise(&mut self.ended, retraction.entry, retraction.revision);
        }
    }

    fn state(&mut self, state: LogState) -> Result<(), MemoryError> {
        if state.size != self.size {
            return Err(MemoryError::Size {
                expected: self.size,
                got: state.size,
            });
        }
        let applied = Seq(self.bodies.len() as u64);
        if state.applied != applied {
            return Err(MemoryError::Cursor {
                expected: applied,
                got: state.applied,
            });
        }
        let least = self.state.retracted.max(applied);
        // One list of retractions at a time, and a body brings its own.
        if state.retracted < least || state.retracted.0 > least.0 + 1 {
            return Err(MemoryError::Cursor {
                expected: least,
                got: state.retracted,
            });
        }
        self.state = state;
        Ok(())
    }
}

fn raise(revisions: &mut BTreeMap<EntryId, Revision>, entry: EntryId, revision: Revision) {
    let known = revisions.entry(entry).or_insert(revision);
    *known = revision.max(*known);
}

/// Leaves of a log that has this bundle; none for other files.
fn leaves(path: &str) -> Option<u64> {
    let path = path.strip_prefix("tile/entries/")?;
    let (number, width) = match path.split_once(".p/") {
        Some((number, width)) => (number, width.parse().ok()?),
        None => (path, 256),
    };
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    Some(digits.parse::<u64>().ok()? * 256 + width)
}

impl View for Memory {
    fn log(&self, origin: &Origin) -> LogState {
        self.logs
            .get(origin)
            .map(|log| log.state.clone())
            .unwrap_or_default()
    }

    fn log_file(&self, origin: &Origin, path: &str) -> Option<Vec<u8>> {
        self.logs.get(origin)?.files.get(path).cloned()
    }

    fn delta_index(&self, origin: &Origin, seq: Seq) -> Option<u64> {
        self.logs.get(origin)?.deltas.get(&seq).copied()
    }

    fn class(&self, origin: &Origin, class: ClassId) -> Option<Labels> {
        self.logs.get(origin)?.classes.get(&class).cloned()
    }

    fn roster(&self, version: RosterVersion) -> Option<Vec<u8>> {
        Some(self.rosters.get(&version)?.bytes().to_vec())
    }

    fn fork(&self, origin: &Origin) -> Option<Vec<u8>> {
        self.logs.get(origin)?.fork.clone()
    }

    fn is_retired(&self, key: &KeyId) -> bool {
        self.retired.contains(key)
    }
}
