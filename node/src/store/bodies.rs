//! Open bodies, and one record out of a body.
//!
//! Why: an index row names a body and an offset. Opening a body costs reading and authenticating
//! its table, so the last few stay open, and a record costs one block. In scope: reading. Out of
//! scope: which rows there are (`lookup`), writing (`commit`).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashpact_keys::{Origin, canonical};
use hashpact_protocol::delta::{ClassSection, RETRACTION_SECTION, Seq};
use hashpact_protocol::labels::ClassId;
use hashpact_protocol::record::{Record, RecordError};
use hashpact_protocol::view::Holding;
use zeroize::Zeroizing;

use super::Store;
use super::control::{ClassContents, Contents};
use super::layout::{BodyKind, Layout};
use super::sealed::{BLOCK_LEN, BodyFile, BodyIdentity, SealKey, SealedError};
use super::sections::holding;

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

/// The most recently used bodies, open.
#[derive(Default)]
pub(super) struct OpenBodies {
    open: Mutex<Recent>,
}

#[derive(Default)]
struct Recent {
    files: BTreeMap<(Origin, Seq), OpenBody>,
    clock: u64,
}

struct OpenBody {
    file: Arc<BodyFile>,
    version: u32,
    used: u64,
}

impl Store {
    /// A stored body, as it is in force when this returns or was when it was called.
    pub(super) fn open_body(
        &self,
        origin: &Origin,
        seq: Seq,
    ) -> Result<Arc<BodyFile>, SealedError> {
        loop {
            let version = self.version(origin, seq);
            if let Some(file) = self.open_bodies.touch(origin, seq, version) {
                return Ok(file);
            }
            // Not under the lock: others' look-ups go on meanwhile.
            let kind = BodyKind::Body(version);
            let opened = open(&self.layout, &self.keys.seal, origin, seq, kind);
            // A file that was rewritten meanwhile is gone.
            if self.version(origin, seq) == version {
                let file = Arc::new(opened?);
                self.open_bodies.keep(origin, seq, version, &file);
                return Ok(file);
            }
        }
    }

    /// How often a stored body was rewritten.
    pub(super) fn version(&self, origin: &Origin, seq: Seq) -> u32 {
        let place = (origin.clone(), seq);
        self.live().versions.get(&place).copied().unwrap_or(0)
    }
}

impl OpenBodies {
    /// Closes a body that was rewritten, once its new version is in force.
    pub(super) fn forget(&self, origin: &Origin, seq: Seq) {
        self.recent().files.remove(&(origin.clone(), seq));
    }

    fn touch(&self, origin: &Origin, seq: Seq, version: u32) -> Option<Arc<BodyFile>> {
        let mut recent = self.recent();
        recent.clock += 1;
        let clock = recent.clock;
        let open = recent.files.get_mut(&(origin.clone(), seq))?;
        open.used = clock;
        (open.version == version).then(|| Arc::clone(&open.file))
    }

    fn keep(&self, origin: &Origin, seq: Seq, version: u32, file: &Arc<BodyFile>) {
        let mut recent = self.recent();
        if recent.files.len() >= OPEN_MAX {
            let oldest = recent.files.iter().min_by_key(|(_, open)| open.used);
            if let Some(oldest) = oldest.map(|(place, _)| place.clone()) {
                recent.files.remove(&oldest);
            }
        }
        let open = OpenBody {
            file: Arc::clone(file),
            version,
            used: recent.clock,
        };
        recent.files.insert((origin.clone(), seq), open);
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        // Whoever panicked left a map that is whole.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
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

/// What a body holds of which no table says so: it was stored by an earlier version. Reads and hashes all of it.
pub(super) fn contents_of(
    file: &BodyFile,
    origin: &Origin,
    seq: Seq,
) -> Result<Contents, BodyFault> {
    let mut contents = Contents::default();
    for info in file.sections() {
        let class = info.class;
        if class == RETRACTION_SECTION {
            continue;
        }
        let section = file.read_section(class)?;
        let malformed = || BodyFault::Section { class };
        let Holding { held, .. } = holding(&section).ok_or_else(malformed)?;
        let signed = ClassSection::read(&section).and_then(|s| s.signed(origin, seq));
        let signed = signed.map_err(|_| malformed())?;
        contents.classes.push(ClassContents { signed, held });
    }
    Ok(contents)
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

    /// The record that begins at `offset` of the body's bytes, and its class; `None` if its section has gone from there.
    pub(super) fn record(&mut self, offset: u32) -> Result<Option<(ClassId, Record)>, BodyFault> {
        let missing = || BodyFault::NoRecord { offset };
        let Some(info) = self.file.section_at(offset)? else {
            return Ok(None);
        };
        let class = ClassId(u16::try_from(info.class).map_err(|_| missing())?);
        let at = u64::from(offset);
        let within = u64::from(offset - info.offset);
        let rest = u64::from(info.len) - within;
        let block = u64::from(BLOCK_LEN) - within % u64::from(BLOCK_LEN);
        // A record that crosses the end of its block is read once more, with room for the longest.
        for want in [block, Record::BYTES_MAX as u64] {
            if let Some(record) = self.cached(offset)? {
                return Ok(Some((class, record)));
            }
            let bytes = self.file.read_range(info.class, within, want.min(rest))?;
            self.read = Some(Piece { from: at, bytes });
        }
        let record = self.cached(offset)?.ok_or_else(missing)?;
        Ok(Some((class, record)))
    }

    /// The record at `offset`, if it lies within what was read last.
    fn cached(&self, offset: u32) -> Result<Option<Record>, BodyFault> {
        let piece = self.read.as_ref();
        let bytes = piece.and_then(|piece| piece.record_at(offset.into()));
        let record = bytes.map(Record::from_bytes).transpose();
        record.map_err(|source| BodyFault::Record { offset, source })
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
