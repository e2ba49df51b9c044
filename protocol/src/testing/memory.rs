//! The one fake store: a [`View`] in memory that takes a [`Batch`] whole or not at all.
//!
//! It keeps what the core promises of every batch, so that a core that breaks a promise fails in any test: a log grows
//! from the size that is stored, a state says what the writes before it made true, and bodies and retractions come in
//! order. A clone is the disk after a crash.

use std::collections::{BTreeMap, BTreeSet};

use hashpact_keys::{KeyId, Origin, RosterVersion, SignedRoster};

use crate::delta::{
    ClassEntry, ClassSection, ClassTable, Disclosure, Retraction, Section, Seq, withheld_section,
};
use crate::evidence::is_cryptographic;
use crate::fingerprint::Fingerprint;
use crate::labels::{ClassId, Labels};
use crate::limits;
use crate::log::read_delta;
use crate::record::{EntryId, Record, Revision};
use crate::serve::{self, Answer};
use crate::view::{AdmittedBody, Batch, Held, Holding, LogState, Shelf, View, Write};
use crate::wire::{BulkRefusal, BulkRequest};

/// A store in memory.
#[derive(Clone, Default)]
pub struct Memory {
    logs: BTreeMap<Origin, Log>,
    rosters: BTreeMap<RosterVersion, SignedRoster>,
    retired: BTreeSet<KeyId>,
    kept: BTreeMap<(Shelf, Vec<u8>), Vec<u8>>,
}

#[derive(Clone, Default)]
struct Log {
    state: LogState,
    /// Leaves that the files hold.
    size: u64,
    files: BTreeMap<String, Vec<u8>>,
    deltas: BTreeMap<Seq, u64>,
    classes: BTreeMap<ClassId, Labels>,
    policies: BTreeMap<u64, Vec<u8>>,
    manifests: BTreeMap<u64, Vec<u8>>,
    bodies: BTreeMap<Seq, StoredBody>,
    ended: BTreeMap<EntryId, Revision>,
    fork: Option<Vec<u8>>,
}

#[derive(Clone)]
struct StoredBody {
    classes: Vec<StoredClass>,
    retractions: Vec<u8>,
    /// Entries that do not come back.
    purged: BTreeSet<EntryId>,
}

/// One class of a body: its section, and what it puts.
#[derive(Clone)]
struct StoredClass {
    entry: ClassEntry,
    section: Vec<u8>,
    held: Held,
    puts: Vec<(EntryId, Revision)>,
    /// What may be matched, by entry.
    prints: Vec<(EntryId, Fingerprint)>,
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
    /// A stored body changes that is not stored, or in a class that it does not have.
    #[error("delta {got} of which nothing is stored is changed")]
    Change {
        /// The delta.
        got: Seq,
    },
    /// A later body of a delta is of another one.
    #[error("delta {got} is stored with other classes or retractions")]
    Other {
        /// The delta.
        got: Seq,
    },
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
                policies,
                manifests,
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
                log.policies.extend(policies);
                log.manifests.extend(manifests);
                while log.manifests.len() > limits::MANIFESTS_KEPT {
                    log.manifests.pop_first();
                }
                Ok(())
            }
            Write::Body(body) => self
                .logs
                .entry(body.origin().clone())
                .or_default()
                .body(&body),
            Write::Widen(body) => self
                .logs
                .entry(body.origin().clone())
                .or_default()
                .widen(&body),
            Write::Narrow {
                origin,
                seq,
                classes,
            } => self.logs.entry(origin).or_default().narrow(seq, &classes),
            Write::Purge {
                origin,
                seq,
                entries,
            } => {
                let log = self.logs.entry(origin.clone()).or_default();
                log.purge(&origin, seq, entries)
            }
            Write::Keep { shelf, key, value } => {
                match value {
                    Some(value) => self.kept.insert((shelf, key), value),
                    None => self.kept.remove(&(shelf, key)),
                };
                Ok(())
            }
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
        let mut put = BTreeMap::new();
        let held = log.bodies.values().flat_map(|body| &body.classes);
        for (entry, revision) in held.flat_map(|class| &class.puts) {
            raise(&mut put, *entry, *revision);
        }
        put.iter()
            .filter(is_live)
            .map(|(entry, revision)| (*entry, *revision))
            .collect()
    }

    /// The entries of other centres that are alive here and share a cryptographic fingerprint with an entry that was
    /// retracted up to a revision, as a node looks them up.
    #[must_use]
    pub fn sharers(
        &self,
        origin: &Origin,
        entry: EntryId,
        revision: Revision,
    ) -> Vec<(Origin, EntryId, Revision)> {
        let Some(log) = self.logs.get(origin) else {
            return Vec::new();
        };
        let is_ended = log
            .ended
            .get(&entry)
            .is_some_and(|ended| *ended >= revision);
        if !is_ended || self.live(origin).contains_key(&entry) {
            return Vec::new();
        }
        let prints = |log: &Log| {
            let classes = log.bodies.values().flat_map(|body| &body.classes);
            let prints = classes.flat_map(|stored| stored.prints.clone());
            prints.collect::<Vec<_>>()
        };
        let theirs = prints(log).into_iter();
        let theirs = theirs.filter(|(id, print)| *id == entry && is_cryptographic(print));
        let theirs: Vec<Fingerprint> = theirs.map(|(_, print)| print).collect();
        let others = self.logs.iter();
        let others = others.filter(|(other, _)| other.centre() != origin.centre());
        let mut sharers = BTreeMap::new();
        for (other, log) in others {
            let live = self.live(other);
            for (id, print) in prints(log) {
                if let Some(at) = live.get(&id).filter(|_| theirs.contains(&print)) {
                    sharers.insert((other.clone(), id), *at);
                }
            }
        }
        let sharers = sharers.into_iter();
        sharers.map(|((origin, id), at)| (origin, id, at)).collect()
    }

    /// Entries that stand in a class of a log here, retracted or not.
    #[must_use]
    pub fn in_class(&self, origin: &Origin, class: ClassId) -> BTreeSet<EntryId> {
        let bodies = self.logs.get(origin).into_iter();
        bodies
            .flat_map(|log| log.bodies.values())
            .flat_map(|body| &body.classes)
            .filter(|stored| stored.entry.class == class)
            .flat_map(|stored| stored.puts.iter().map(|(entry, _)| *entry))
            .collect()
    }

    /// The stored body of a delta.
    #[must_use]
    pub fn body(&self, origin: &Origin, seq: Seq) -> Option<Vec<u8>> {
        Some(
            self.logs
                .get(origin)?
                .bodies
                .get(&seq)?
                .bytes_from(0, &Answer::Whole),
        )
    }

    /// What a bulk request asks for, as a node reads it off its disk. Whether it may be answered, and how much of it, is not
    /// asked here.
    ///
    /// # Errors
    /// [`BulkRefusal`].
    pub fn read(&self, request: &BulkRequest) -> Result<Vec<u8>, BulkRefusal> {
        self.read_part(request, &Answer::Whole)
    }

    /// As [`Memory::read`], as much of it as may be answered.
    ///
    /// # Errors
    /// [`BulkRefusal`].
    pub fn read_part(
        &self,
        request: &BulkRequest,
        answer: &Answer,
    ) -> Result<Vec<u8>, BulkRefusal> {
        match request {
            BulkRequest::Suffix { origin, from, to } => serve::suffix(self, origin, *from, *to),
            BulkRequest::Proof { origin, from, to } => serve::proof(self, origin, *from, *to),
            BulkRequest::Body {
                origin,
                seq,
                section,
                offset,
                ..
            } => {
                let body = self.logs.get(origin).and_then(|log| log.bodies.get(seq));
                let body = body.ok_or(BulkRefusal::NotFound)?;
                let bytes = body.bytes_from(*section, answer);
                let skip = usize::try_from(*offset).unwrap_or(usize::MAX);
                bytes
                    .get(skip..)
                    .map(<[u8]>::to_vec)
                    .ok_or(BulkRefusal::NotFound)
            }
        }
    }
}

impl StoredBody {
    /// The body from a section on, as much of it as may be answered.
    fn bytes_from(&self, first: u32, answer: &Answer) -> Vec<u8> {
        let classes = self.classes.iter();
        let wanted = classes.filter(|stored| u32::from(stored.entry.class.0) >= first);
        let mut bytes: Vec<u8> = wanted
            .flat_map(|stored| match answer.has(stored.entry.class) {
                true => stored.section.clone(),
                false => withheld_section(&stored.entry),
            })
            .collect();
        bytes.extend(&self.retractions);
        bytes
    }
}

impl StoredClass {
    fn of(body: &AdmittedBody, entry: ClassEntry, section: &Section) -> Result<Self, MemoryError> {
        let (body, range) = (body.body(), section.range.clone());
        let records = body.records();
        let mine = records.filter(|(class, ..)| *class == section.class);
        let (mut puts, mut prints) = (Vec::new(), Vec::new());
        for (_, _, record) in mine {
            let record = Record::from_bytes(record).map_err(|_| MemoryError::Record)?;
            puts.push((record.entry, record.revision));
            let matchable = record.fields.matchable();
            prints.extend(matchable.map(|print| (record.entry, print.clone())));
        }
        Ok(Self {
            entry,
            section: body.bytes()[range].to_vec(),
            held: match section.disclosure {
                Disclosure::Disclosed(_) => Held::All,
                Disclosure::Partial { .. } => Held::Some,
                Disclosure::Withheld => Held::None,
            },
            puts,
            prints,
        })
    }

    /// Without the records of these entries.
    fn without(
        &mut self,
        origin: &Origin,
        seq: Seq,
        gone: &BTreeSet<EntryId>,
    ) -> Result<(), MemoryError> {
        let cut = ClassSection::read(&self.section).and_then(|s| s.punctured(origin, seq, gone));
        if let Some(cut) = cut.map_err(|_| MemoryError::Record)? {
            self.puts.retain(|(entry, _)| !gone.contains(entry));
            self.prints.retain(|(entry, _)| !gone.contains(entry));
            self.held = match self.puts.is_empty() {
                true => Held::None,
                false => Held::Some,
            };
            self.section = cut;
        }
        Ok(())
    }
}

impl Log {
    fn body(&mut self, body: &AdmittedBody) -> Result<(), MemoryError> {
        let (expected, got) = (Seq(self.bodies.len() as u64), body.seq());
        if got != expected {
            return Err(MemoryError::Turn { expected, got });
        }
        let sections = body.body().sections().iter();
        let table = self.table(got).ok_or(MemoryError::Change { got })?;
        let classes = table.classes.into_iter().zip(sections);
        let classes = classes.map(|(entry, section)| StoredClass::of(body, entry, section));
        let classes = classes.collect::<Result<_, _>>()?;
        let retractions = body.body().bytes()[body.body().retraction_range()].to_vec();
        self.end(body.body().retractions());
        self.bodies.insert(
            got,
            StoredBody {
                classes,
                retractions,
                purged: BTreeSet::new(),
            },
        );
        Ok(())
    }

    /// What the log says that a delta's classes are.
    fn table(&self, seq: Seq) -> Option<ClassTable> {
        let index = *self.deltas.get(&seq)?;
        let files = |path: &str| self.files.get(path).cloned();
        read_delta(&files, self.size, index).map(|(_, table)| table)
    }

    fn widen(&mut self, body: &AdmittedBody) -> Result<(), MemoryError> {
        let got = body.seq();
        let stored = self.bodies.get_mut(&got);
        let stored = stored.ok_or(MemoryError::Change { got })?;
        let (sections, classes) = (body.body().sections(), stored.classes.iter());
        let is_same = classes.map(|class| &class.entry).cloned();
        let is_same = is_same.eq(sections.iter().map(Section::signed));
        if !is_same || stored.retractions != body.body().bytes()[body.body().retraction_range()] {
            return Err(MemoryError::Other { got });
        }
        for (class, section) in stored.classes.iter_mut().zip(sections) {
            if class.held == Held::None && section.disclosure != Disclosure::Withheld {
                *class = StoredClass::of(body, class.entry.clone(), section)?;
                class.without(body.origin(), got, &stored.purged)?;
            }
        }
        Ok(())
    }

    fn purge(
        &mut self,
        origin: &Origin,
        got: Seq,
        entries: Vec<EntryId>,
    ) -> Result<(), MemoryError> {
        let stored = self.bodies.get_mut(&got);
        let stored = stored.ok_or(MemoryError::Change { got })?;
        stored.purged.extend(entries);
        for class in &mut stored.classes {
            class.without(origin, got, &stored.purged)?;
        }
        Ok(())
    }

    fn narrow(&mut self, got: Seq, classes: &[ClassId]) -> Result<(), MemoryError> {
        let stored = self.bodies.get_mut(&got);
        let stored = stored.ok_or(MemoryError::Change { got })?;
        for class in classes {
            let mut known = stored.classes.iter_mut();
            let known = known.find(|known| known.entry.class == *class);
            let known = known.ok_or(MemoryError::Change { got })?;
            known.section = withheld_section(&known.entry);
            known.held = Held::None;
            known.puts.clear();
            known.prints.clear();
        }
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

    fn policies(&self, origin: &Origin, newest: usize) -> Vec<(u64, Vec<u8>)> {
        let log = self.logs.get(origin).into_iter();
        let rows = log.flat_map(|log| {
            let skipped = log.policies.len().saturating_sub(newest);
            log.policies.iter().skip(skipped)
        });
        rows.map(|(index, bytes)| (*index, bytes.clone())).collect()
    }

    fn manifests(&self, origin: &Origin, newest: usize) -> Vec<(u64, Vec<u8>)> {
        let log = self.logs.get(origin).into_iter();
        let rows = log.flat_map(|log| {
            let skipped = log.manifests.len().saturating_sub(newest);
            log.manifests.iter().skip(skipped)
        });
        rows.map(|(index, bytes)| (*index, bytes.clone())).collect()
    }

    fn holdings(&self, origin: &Origin, seq: Seq) -> Option<Vec<Holding>> {
        let body = self.logs.get(origin)?.bodies.get(&seq)?;
        let holding = |stored: &StoredClass| Holding {
            class: stored.entry.class,
            count: stored.entry.count,
            held: stored.held,
        };
        Some(body.classes.iter().map(holding).collect())
    }

    fn place_of(
        &self,
        origin: &Origin,
        entry: EntryId,
        revision: Option<Revision>,
    ) -> Option<(Seq, ClassId)> {
        let bodies = self.logs.get(origin)?.bodies.iter();
        let classes = bodies.flat_map(|(seq, body)| body.classes.iter().map(|it| (*seq, it)));
        let places = classes.flat_map(|(seq, stored)| {
            let puts = stored.puts.iter();
            puts.map(move |(id, at)| (*id, *at, (seq, stored.entry.class)))
        });
        let is_asked = |(id, at, _): &(EntryId, Revision, (Seq, ClassId))| {
            *id == entry && revision.is_none_or(|it| it == *at)
        };
        let newest = places.filter(is_asked).max_by_key(|(_, at, _)| *at);
        newest.map(|(.., place)| place)
    }

    fn kept(&self, shelf: Shelf, key: &[u8]) -> Option<Vec<u8>> {
        self.kept.get(&(shelf, key.to_vec())).cloned()
    }

    fn shelf(&self, shelf: Shelf, prefix: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let from = (shelf, prefix.to_vec());
        let rows = self.kept.range(from..);
        rows.take_while(|((at, key), _)| *at == shelf && key.starts_with(prefix))
            .map(|((_, key), value)| (key.clone(), value.clone()))
            .collect()
    }
}
