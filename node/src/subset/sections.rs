//! Sections of stored bodies, and deltas' headers, as they are needed again and again.
//!
//! Why: reading records one by one would unseal a block for each. A section is unsealed once and kept for a while, and a
//! page is made of whole sections, so that a snapshot is read at the speed of the disk. In scope: a bounded memory of what was read.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use hashpact_keys::Origin;
use hashpact_protocol::delta::{ClassSection, ClassTable, Seq};
use hashpact_protocol::labels::{ClassDefinitions, ClassId};
use hashpact_protocol::log::{Leaf, read_delta, read_leaves};
use hashpact_protocol::record::{EntryId, Record};
use hashpact_protocol::view::View as _;

use crate::store::sealed::SealedError;
use crate::store::{BodyFault, DamagedBody, LookupError, Store};

/// Bytes of sections that are kept.
const KEPT_BYTES: usize = 48 << 20;
/// Leaves that are looked through for definitions in one go: one bundle.
const LEAVES_AT_ONCE: u64 = 256;
/// Deltas whose header and table are kept.
const KEPT_DELTAS: usize = 512;

/// A section as it is on the wire. No Debug: it holds records.
pub(super) struct Section {
    pub(super) bytes: Arc<Vec<u8>>,
    /// How often its body was rewritten when it was read.
    version: u32,
    places: OnceLock<Vec<(EntryId, Range<usize>)>>,
}

/// What the log says of a delta.
pub(super) struct Delta {
    pub(super) header: Arc<Vec<u8>>,
    pub(super) table: ClassTable,
    pub(super) index: u64,
}

/// A log, a delta of it, and a section of that: a class, or 65536 for the retractions.
type Key = (Origin, Seq, u32);

/// The definitions of a log's classes, as far as its leaves were looked through.
#[derive(Default)]
struct Definitions {
    leaves: u64,
    classes: BTreeMap<ClassId, (u64, Arc<Vec<u8>>)>,
}

#[derive(Default)]
struct Kept {
    sections: BTreeMap<Key, (Arc<Section>, u64)>,
    bytes: usize,
    deltas: BTreeMap<(Origin, Seq), (Arc<Delta>, u64)>,
    clock: u64,
}

/// Whether a stored body does not read, and will not before people have looked after it: the disk did not merely fail.
pub(super) fn is_damaged(error: &LookupError) -> bool {
    let LookupError::Body(DamagedBody { fault, .. }) = error else {
        return false;
    };
    match fault {
        BodyFault::Sealed(SealedError::Io(error)) => error.kind() == std::io::ErrorKind::NotFound,
        BodyFault::Sealed(_)
        | BodyFault::NoRecord { .. }
        | BodyFault::Record { .. }
        | BodyFault::Section { .. } => true,
    }
}

/// What was read of a store lately.
pub(super) struct Sections {
    store: Arc<Store>,
    kept: Mutex<Kept>,
    definitions: Mutex<BTreeMap<Origin, Definitions>>,
}

impl Section {
    /// Where the records lie, by entry.
    pub(super) fn places(&self) -> &[(EntryId, Range<usize>)] {
        self.places.get_or_init(|| {
            let section = ClassSection::read(&self.bytes);
            let entries =
                section.and_then(|section| Ok((section.records().start, section.entries()?)));
            let Ok((mut at, entries)) = entries else {
                return Vec::new();
            };
            let places = entries.into_iter().map(|(entry, record)| {
                let place = at..at + record.len();
                at = place.end;
                (entry, place)
            });
            places.collect()
        })
    }

    /// The record of an entry; nothing if it is not here.
    pub(super) fn record(&self, entry: EntryId) -> Option<Record> {
        let places = self.places();
        let at = places.binary_search_by_key(&entry, |(entry, _)| *entry);
        let (_, place) = places.get(at.ok()?)?;
        Record::from_bytes(self.bytes.get(place.clone())?).ok()
    }
}

impl Sections {
    pub(super) fn new(store: Arc<Store>) -> Self {
        Self {
            store,
            kept: Mutex::default(),
            definitions: Mutex::default(),
        }
    }

    /// A section of a stored body; nothing if it is not stored.
    pub(super) fn section(
        &self,
        origin: &Origin,
        seq: Seq,
        class: u32,
    ) -> Result<Option<Arc<Section>>, LookupError> {
        let key = (origin.clone(), seq, class);
        let version = self.store.body_version(origin, seq);
        if let Some(section) = self.kept().touch(&key, version) {
            return Ok(Some(section));
        }
        let Some(body) = self.store.served_body(origin, seq)? else {
            return Ok(None);
        };
        if !body.sections().contains(&class) {
            return Ok(None);
        }
        let bytes = self.store.section_of(origin, seq, &body, class)?;
        let section = Arc::new(Section {
            bytes: Arc::new(bytes),
            version,
            places: OnceLock::new(),
        });
        // One that was rewritten meanwhile is not kept.
        if self.store.body_version(origin, seq) == version {
            self.kept().keep(key, &section);
        }
        Ok(Some(section))
    }

    /// What the log says of a delta; nothing if it is not there.
    pub(super) fn delta(&self, origin: &Origin, seq: Seq) -> Option<Arc<Delta>> {
        let key = (origin.clone(), seq);
        let mut kept = self.kept();
        kept.clock += 1;
        let clock = kept.clock;
        if let Some((delta, used)) = kept.deltas.get_mut(&key) {
            *used = clock;
            return Some(Arc::clone(delta));
        }
        drop(kept);
        let index = self.store.delta_index(origin, seq)?;
        let files = |path: &str| self.store.log_file(origin, path);
        let size = self.store.log(origin).size;
        let (header, table) = read_delta(&files, size, index)?;
        let header = Arc::new(header);
        let delta = Arc::new(Delta {
            header,
            table,
            index,
        });
        let mut kept = self.kept();
        if kept.deltas.len() >= KEPT_DELTAS {
            let oldest = kept.deltas.iter().min_by_key(|(_, (_, used))| *used);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                kept.deltas.remove(&oldest);
            }
        }
        kept.deltas.insert(key, (Arc::clone(&delta), clock));
        Some(delta)
    }

    /// The leaf that defines a class, and its index. The first to ask looks through the log, once.
    pub(super) fn definition(
        &self,
        origin: &Origin,
        class: ClassId,
    ) -> Option<(u64, Arc<Vec<u8>>)> {
        let all = self.definitions.lock();
        let mut all = all.unwrap_or_else(PoisonError::into_inner);
        let known = all.entry(origin.clone()).or_default();
        let size = self.store.log(origin).size;
        let files = |path: &str| self.store.log_file(origin, path);
        while !known.classes.contains_key(&class) && known.leaves < size {
            let to = size.min(known.leaves + LEAVES_AT_ONCE);
            let leaves = read_leaves(&files, size, known.leaves, to).ok()?;
            for (index, leaf) in (known.leaves..).zip(leaves) {
                known.add(index, leaf);
            }
            known.leaves = to;
        }
        known.classes.get(&class).cloned()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Whoever panicked left maps that are whole.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Definitions {
    fn add(&mut self, index: u64, leaf: Vec<u8>) {
        let Ok(Leaf::Classes { definitions }) = Leaf::from_bytes(&leaf) else {
            return;
        };
        let envelope = ClassDefinitions::envelope(&definitions);
        let read = envelope.and_then(|it| ClassDefinitions::from_payload(it.peek()));
        let Ok(read) = read else { return };
        let leaf = Arc::new(leaf);
        for (class, _) in read.classes {
            self.classes.insert(class, (index, Arc::clone(&leaf)));
        }
    }
}

impl Kept {
    fn touch(&mut self, key: &Key, version: u32) -> Option<Arc<Section>> {
        self.clock += 1;
        let clock = self.clock;
        let (section, used) = self.sections.get_mut(key)?;
        *used = clock;
        (section.version == version).then(|| Arc::clone(section))
    }

    fn keep(&mut self, key: Key, section: &Arc<Section>) {
        let len = section.bytes.len();
        if len > KEPT_BYTES {
            return;
        }
        self.bytes += len;
        if let Some((old, _)) = self.sections.insert(key, (Arc::clone(section), self.clock)) {
            self.bytes -= old.bytes.len();
        }
        while self.bytes > KEPT_BYTES {
            let oldest = self.sections.iter().min_by_key(|(_, (_, used))| *used);
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else {
                break;
            };
            if let Some((old, _)) = self.sections.remove(&oldest) {
                self.bytes -= old.bytes.len();
            }
        }
    }
}
