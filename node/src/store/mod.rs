//! What a node keeps on its disk, in three kinds with one direction of truth.
//!
//! Why three: what is signed must be servable and checkable as it was received (files); what refers
//! to it must change in one transaction (the control database); what makes it quick to look up may
//! be lost without loss (the index). Truth flows from the first to the last: files are durable
//! before a transaction names them, and the index is built from both.
//!
//! | file | answers |
//! |---|---|
//! | [`durable`] | how a file comes to be on the disk whole or not at all |
//! | [`sealed`] | a delta's body at rest, each class section under a data key of its own |
//! | [`index`] | fingerprint -> places and entry id -> place, as sorted segments of fixed rows |
//! | `layout` | where each file is |
//! | `control` | the control database: what is in force |
//! | `places`, `lines` | which rows of the index follow from records and retractions, and whose retractions they are |
//! | `commit`, `published` | the one write order, and what the log folder shows of it |
//! | `commit/change` | a stored body with more or less in it |
//! | `view`, `served` | what the core reads, and what other centres are sent |
//! | `lookup`, `bodies` | look-ups, and one record out of a body |
//! | `own` | what this node's own log puts and ends, delta by delta |
//! | `proving` | proofs of a record and of a leaf |
//! | `upkeep`, `holes` | merging segments, and rows that lead to nothing |
//! | `rebuild`, `sections` | the index from the bodies |
//! | `sweep` | files that nothing names, and names without a file |
//!
//! **Invariant:** what a reader can reach was committed; `checkpoint` is never ahead of the control
//! database. Spec: `docs/architecture.md`, storage. In scope: bytes at rest. Out of scope: what may
//! be stored (`hashpact-protocol`), the lock that keeps a second process out (the daemon).

mod bodies;
mod commit;
mod control;
pub mod durable;
mod holes;
pub mod index;
mod layout;
mod lines;
mod lookup;
mod own;
mod places;
mod proving;
mod published;
mod rebuild;
pub mod sealed;
mod sections;
mod served;
mod sweep;
#[cfg(test)]
pub(crate) mod tests;
mod upkeep;
mod view;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use hashpact_keys::Origin;
use hashpact_protocol::delta::Seq;
use hashpact_protocol::view::LogState;

pub use bodies::{BodyFault, DamagedBody};
pub use commit::CommitError;
pub use control::{ControlError, FORMAT};
pub use lookup::{FoundEntry, LookupError, Standing};
pub use own::OwnRecord;
pub use proving::{LeafProofError, LoggedLeaf, ProveError, StoredProof, prove_leaf};
pub use rebuild::{Progress, RebuildError};
pub use served::{ServedBody, ServingCost};
pub use upkeep::UpkeepError;

use crate::ingest::OwnLine;
use bodies::OpenBodies;
use control::{Control, Family, Loaded, SegmentEntry, Tally};
use durable::{Steps, create_dirs, sync_dir};
use index::{Index, IndexKey, Segment, SegmentId};
use layout::Layout;
use sealed::SealKey;

/// The secrets of a store.
pub struct StoreKeys {
    /// Seals bodies.
    pub seal: SealKey,
    /// Hashes index keys.
    pub index: IndexKey,
}

/// What a node keeps on its disk. Shared behind an [`Arc`]; reads run beside a commit.
///
/// Lock order: `upkeep`, `writer`, `live`; `live` is held for moments only, never over I/O.
pub struct Store {
    layout: Layout,
    control: Control,
    keys: StoreKeys,
    steps: Steps,
    own: Origin,
    /// What is in force, as the control database has it.
    live: RwLock<Live>,
    /// Held by whoever commits.
    writer: Mutex<()>,
    /// Held by whoever merges or rebuilds segments.
    upkeep: Mutex<()>,
    /// Set once the disk failed: nothing is committed after that.
    failed: AtomicBool,
    next_segment: AtomicU64,
    open_bodies: OpenBodies,
}

/// What is in force, in memory.
#[derive(Default)]
struct Live {
    /// By their numbers in index rows.
    origins: Vec<Origin>,
    numbers: BTreeMap<Origin, u16>,
    logs: BTreeMap<Origin, LogState>,
    tallies: BTreeMap<Origin, Tally>,
    places: Index,
    retracted: Index,
    /// Of the bodies that were rewritten: how often.
    versions: BTreeMap<(Origin, Seq), u32>,
    /// Commits that rewrote bodies: an index that was looked at before one may lead to where a section was.
    rewrites: u64,
}

/// Why a data folder cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The disk failed.
    #[error("opening the data folder")]
    Io(#[from] io::Error),
    /// The control database.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// A body that is in force has no file.
    #[error("the stored body of delta {seq} of {origin} is missing")]
    MissingBody {
        /// The log.
        origin: Origin,
        /// The delta.
        seq: Seq,
    },
    /// Rows of the index that lead to nothing could not be left out.
    #[error(transparent)]
    Upkeep(#[from] UpkeepError),
    /// The index was missing or damaged and cannot be built again.
    #[error("rebuilding the index")]
    Rebuild(#[from] RebuildError),
}

/// How many records of a log are stored here, and where the log stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OriginCounts {
    /// Records stored that no retraction has ended.
    pub held: u64,
    /// Records stored that a retraction has ended.
    pub retracted: u64,
    /// Leaves stored.
    pub size: u64,
    /// Leaves that the newest checkpoint counts.
    pub head_size: u64,
    /// Bodies below this number are applied.
    pub applied: Seq,
}

impl Store {
    /// Opens the data folder `dir`, or makes it. Removes what no commit named, and puts right each
    /// `checkpoint` that a crash left behind. A missing or damaged index is rebuilt.
    ///
    /// The caller keeps other processes out. `own` is the log that this node writes.
    ///
    /// # Errors
    /// [`OpenError`]. Bodies are checked for being there, not read.
    pub fn open(dir: &Path, keys: StoreKeys, own: Origin, steps: Steps) -> Result<Self, OpenError> {
        Self::open_with(dir, keys, own, steps, &mut |_| {})
    }

    /// As [`Store::open`]; `progress` hears how far a rebuild of the index is.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_with(
        dir: &Path,
        keys: StoreKeys,
        own: Origin,
        steps: Steps,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Self, OpenError> {
        let layout = Layout::new(dir);
        for folder in [
            layout.logs(),
            layout.bodies(),
            layout.index(),
            layout.staging(),
        ] {
            create_dirs(&folder, &steps)?;
        }
        let control = Control::open(&layout.control(), &own, &steps)?;
        // The name of the database, if it was just made.
        sync_dir(dir, &steps)?;
        let Loaded {
            origins,
            logs,
            tallies,
            segments,
            next_segment,
            versions,
        } = control.load()?;
        let numbers = (0..)
            .zip(&origins)
            .map(|(number, origin)| (origin.clone(), number))
            .collect();
        let live = Live {
            origins,
            numbers,
            logs,
            tallies,
            versions,
            ..Live::default()
        };
        let store = Self {
            layout,
            control,
            keys,
            steps,
            own,
            live: RwLock::new(live),
            writer: Mutex::default(),
            upkeep: Mutex::default(),
            failed: AtomicBool::new(false),
            next_segment: AtomicU64::new(next_segment),
            open_bodies: OpenBodies::default(),
        };
        store.sweep(&segments)?;
        match store.open_segments(&segments) {
            Some((places, retracted)) => {
                let mut live = store.live_mut();
                (live.places, live.retracted) = (places, retracted);
                drop(live);
                // Before anything is answered: a commit may have made them and died.
                store.close_holes()?;
            }
            None => store.rebuild_index(progress)?,
        }
        store.publish_all()?;
        Ok(store)
    }

    /// Opens the segments in force; `None` if one is missing or not what was written.
    fn open_segments(&self, segments: &[SegmentEntry]) -> Option<(Index, Index)> {
        let (mut places, mut retracted) = (Index::default(), Index::default());
        for entry in segments {
            let segment = Segment::open(&self.layout.segment(entry.id)).ok()?;
            (segment.len() == entry.rows).then_some(())?;
            let index = match entry.family {
                Family::Places => &mut places,
                Family::Retracted => &mut retracted,
            };
            *index = index.with(entry.id, Arc::new(segment)).ok()?;
        }
        Some((places, retracted))
    }

    /// The index of places in force: what ingest joins its rows against.
    #[must_use]
    pub fn index(&self) -> Index {
        self.live().places.clone()
    }

    /// The secret under which index keys are hashed.
    #[must_use]
    pub fn index_key(&self) -> &IndexKey {
        &self.keys.index
    }

    /// The logs that this node's centre has written: its own, and those that were closed before it.
    #[must_use]
    pub fn own_lines(&self) -> Vec<OwnLine> {
        let live = self.live();
        let lines = live.numbers.iter();
        let own = lines.filter(|(line, _)| lines::continues(&self.own, line));
        own.map(|(line, number)| {
            let closed = live.logs.get(line).filter(|state| state.frozen.is_some());
            OwnLine {
                number: *number,
                void_from: closed.map(|state| state.witnessed_seq.0),
            }
        })
        .collect()
    }

    /// The folder in which an ingest stages its rows; whoever ingests makes it, and opening removes what was left.
    #[must_use]
    pub fn ingest_dir(&self) -> std::path::PathBuf {
        self.layout.staging().join("ingest")
    }

    /// The folder of warninglists that an operator put there.
    #[must_use]
    pub fn guards_dir(&self) -> std::path::PathBuf {
        self.layout.guards()
    }

    /// The folder of what is remembered of sources of lists.
    #[must_use]
    pub fn sources_dir(&self) -> std::path::PathBuf {
        self.layout.sources()
    }

    /// The folder that a log server serves: `<origin with _ for />/checkpoint` and `tile/`.
    #[must_use]
    pub fn logs_folder(&self) -> std::path::PathBuf {
        self.layout.logs()
    }

    /// What is stored of each log that the store has met.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<Origin, OriginCounts> {
        let live = self.live();
        let count = |origin: &Origin| {
            let tally = live.tallies.get(origin).copied().unwrap_or_default();
            let state = live.logs.get(origin).cloned().unwrap_or_default();
            OriginCounts {
                held: tally.stored - tally.retracted.min(tally.stored),
                retracted: tally.retracted,
                size: state.size,
                head_size: state.head_size(),
                applied: state.applied,
            }
        };
        live.origins
            .iter()
            .map(|origin| (origin.clone(), count(origin)))
            .collect()
    }

    /// The rosters that were in force, oldest first: version and signed bytes.
    ///
    /// # Errors
    /// [`OpenError::Control`].
    pub fn rosters(&self) -> Result<Vec<(u64, Vec<u8>)>, OpenError> {
        Ok(self.control.rosters()?)
    }

    fn new_segment(&self) -> SegmentId {
        SegmentId(self.next_segment.fetch_add(1, Ordering::Relaxed))
    }

    // No holder of these locks leaves a state that is half changed, so a panic of one is its own.
    fn live(&self) -> RwLockReadGuard<'_, Live> {
        self.live.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn live_mut(&self) -> RwLockWriteGuard<'_, Live> {
        self.live.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(mutex: &Mutex<()>) -> MutexGuard<'_, ()> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for OriginCounts {
    /// A log that the store has not met.
    fn default() -> Self {
        Self {
            held: 0,
            retracted: 0,
            size: 0,
            head_size: 0,
            applied: Seq(0),
        }
    }
}

impl Live {
    fn index_mut(&mut self, family: Family) -> &mut Index {
        match family {
            Family::Places => &mut self.places,
            Family::Retracted => &mut self.retracted,
        }
    }
}
