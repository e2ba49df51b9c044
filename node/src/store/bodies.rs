//! Open bodies, and one record out of a body.
//!
//! Why: an index row names a body and an offset. Opening a body costs reading and authenticating
//! its table, so the last few stay open, and a record costs one block. In scope: reading. Out of
//! scope: which rows there are (`lookup`), writing (`commit`).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use hashpact_keys::{Origin, canonical};
use hashpact_protocol::delta::Seq;
use hashpact_protocol::labels::ClassId;
use hashpact_protocol::record::{Record, RecordError};
use zeroize::Zeroizing;

use super::layout::{BodyKind, Layout};
use super::sealed::{BLOCK_LEN, BodyFile, BodyIdentity, SealKey, SealedError};

/// Bodies kept open: each is a file handle and a table of a few hundred bytes.
const OPEN_MAX: usize = 256;

/// What is wrong with a stored body.
#[derive(Debug, thiserror::Error)]
pub enum BodyFault {
    /// Its file.
    #[error(transparent)]
    Sealed(#[from] SealedError),
    /// No record begins where the index says.
    #[error("no record at offset {offset}")]
    NoRecord {
        /// The offset within the body's bytes.
        offset: u32,
    },
    /// A record that was good when it was stored.
    #[error("the record at offset {offset} is refused")]
    Record {
        /// The offset within the body's bytes.
        offset: u32,
        /// Why.
        source: RecordError,
    },
    /// A section that was good when it was stored.
    #[error("the section of class {class} is malformed")]
    Section {
        /// Which, 65536 for the retractions.
        class: u32,
    },
}

/// A stored body is not what was stored.
#[derive(Debug, thiserror::Error)]
#[error("the stored body of delta {seq} of {origin} is missing or damaged")]
pub struct DamagedBody {
    /// The log.
    pub origin: Origin,
    /// The delta.
    pub seq: Seq,
    /// What is wrong.
    #[source]
    pub fault: BodyFault,
}

/// Opens bodies, and keeps the most recently used ones open.
#[derive(Default)]
pub(super) struct OpenBodies {
    open: Mutex<Recent>,
}

#[derive(Default)]
struct Recent {
    files: BTreeMap<(Origin, Seq), (u64, Arc<BodyFile>)>,
    clock: u64,
}

impl OpenBodies {
    pub(super) fn open(
        &self,
        layout: &Layout,
        key: &SealKey,
        origin: &Origin,
        seq: Seq,
    ) -> Result<Arc<BodyFile>, SealedError> {
        let place = (origin.clone(), seq);
        if let Some(file) = self.recent().touch(&place) {
            return Ok(file);
        }
        // Not under the lock: others' look-ups go on meanwhile.
        let file = Arc::new(open(layout, key, origin, seq, BodyKind::Body)?);
        self.recent().keep(place, &file);
        Ok(file)
    }

    fn recent(&self) -> std::sync::MutexGuard<'_, Recent> {
        // Whoever panicked left a map that is whole.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recent {
    fn touch(&mut self, place: &(Origin, Seq)) -> Option<Arc<BodyFile>> {
        self.clock += 1;
        let (used, file) = self.files.get_mut(place)?;
        *used = self.clock;
        Some(Arc::clone(file))
    }

    fn keep(&mut self, place: (Origin, Seq), file: &Arc<BodyFile>) {
        if self.files.len() >= OPEN_MAX {
            let oldest = self.files.iter().min_by_key(|(_, (used, _))| *used);
            if let Some(oldest) = oldest.map(|(place, _)| place.clone()) {
                self.files.remove(&oldest);
            }
        }
        self.files.insert(place, (self.clock, Arc::clone(file)));
    }
}

pub(super) fn open(
    layout: &Layout,
    key: &SealKey,
    origin: &Origin,
    seq: Seq,
    kind: BodyKind,
) -> Result<BodyFile, SealedError> {
    let identity = BodyIdentity {
        origin: origin.as_str(),
        seq: seq.0,
    };
    BodyFile::open(&layout.body(origin, seq, kind), key, &identity)
}

/// Reads records of one body by their offsets; those that lie in the block read last cost nothing.
pub(super) struct RecordReader {
    file: Arc<BodyFile>,
    read: Option<Piece>,
}

/// Plaintext of a section, from an offset of the body on.
struct Piece {
    from: u64,
    bytes: Zeroizing<Vec<u8>>,
}

impl RecordReader {
    pub(super) fn new(file: Arc<BodyFile>) -> Self {
        Self { file, read: None }
    }

    /// The record that begins at `offset` of the body's bytes, and its class.
    pub(super) fn record(&mut self, offset: u32) -> Result<(ClassId, Record), BodyFault> {
        let missing = || BodyFault::NoRecord { offset };
        let at = u64::from(offset);
        let (class, start, len) = self.section_at(at).ok_or_else(missing)?;
        let class_id = ClassId(u16::try_from(class).map_err(|_| missing())?);
        let within = at - start;
        let rest = len - within;
        let block = u64::from(BLOCK_LEN) - within % u64::from(BLOCK_LEN);
        // A record that crosses the end of its block is read once more, with room for the longest.
        for want in [block, Record::BYTES_MAX as u64] {
            let cached = self.read.as_ref().and_then(|piece| piece.record_at(at));
            if let Some(bytes) = cached {
                let record = Record::from_bytes(bytes);
                let record = record.map_err(|source| BodyFault::Record { offset, source })?;
                return Ok((class_id, record));
            }
            let bytes = self.file.read_range(class, within, want.min(rest))?;
            self.read = Some(Piece { from: at, bytes });
        }
        let bytes = self
            .read
            .as_ref()
            .and_then(|piece| piece.record_at(at))
            .ok_or_else(missing)?;
        let record = Record::from_bytes(bytes);
        Ok((
            class_id,
            record.map_err(|source| BodyFault::Record { offset, source })?,
        ))
    }

    /// Class, first offset and length of the section in which `at` lies.
    fn section_at(&self, at: u64) -> Option<(u32, u64, u64)> {
        let mut start = 0;
        for info in self.file.sections() {
            let len = u64::from(info.len);
            if at < start + len {
                return Some((info.class, start, len));
            }
            start += len;
        }
        None
    }
}

impl Piece {
    /// The whole item at `at`, if it lies within.
    fn record_at(&self, at: u64) -> Option<&[u8]> {
        let skip = usize::try_from(at.checked_sub(self.from)?).ok()?;
        let rest = self.bytes.get(skip..).filter(|rest| !rest.is_empty())?;
        let len = canonical::item_len(rest).ok()?;
        rest.get(..len)
    }
}
