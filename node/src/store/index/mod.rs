//! Where a fingerprint or an entry id stands: immutable sorted segments, and a snapshot of which
//! are in force.
//!
//! What: rows of 32 bytes ([`row`]) in files ([`segment`]), one per batch, merged by tiers
//! ([`merge`]); a batch is joined against them in one pass ([`join`]) after an external sort
//! ([`spill`]). Why not a B-tree: at 50 million entries with four fingerprints each it loads a
//! hundred times slower than sorted files. Derived: losing it loses nothing, it is built again from
//! the bodies. Spec: `docs/architecture.md`, storage.
//!
//! Invariant: a segment file never changes; a snapshot never changes; there is no lock. The store
//! holds the snapshot in force. In scope: look-ups. Out of scope: which rows to write, which
//! segment ids are in use, removing files (the store).

pub mod join;
pub mod keys;
pub mod merge;
pub mod row;
pub mod rows;
pub mod segment;
pub mod spill;

use std::io;
use std::path::Path;
use std::sync::Arc;

pub use join::{Join, Probe};
pub use merge::SegmentMeta;
pub use row::{IndexKey, Key, Row, RowKind, Value};
pub use rows::Rows;
pub use segment::{Hits, MAX_HITS, Segment, SegmentError, SegmentWriter, WriteSegmentError};
pub use spill::{SortedProbes, SpillRuns};

use crate::store::durable::Steps;

/// Names a segment; the store hands them out and never twice. Displayed as 16 hex digits, which
/// suits a file name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SegmentId(pub u64);

impl std::fmt::Display for SegmentId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// An id given to [`Index`] is not what the snapshot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// The snapshot has no such segment.
    #[error("segment {id} is not in the snapshot")]
    Unknown {
        /// The id asked for.
        id: SegmentId,
    },
    /// The snapshot has such a segment already.
    #[error("segment {id} is in the snapshot already")]
    Taken {
        /// The id to be added.
        id: SegmentId,
    },
}

/// A segment of a snapshot, and what takes its place, if anything does.
pub(super) type Replaced = (SegmentId, Option<(SegmentId, Arc<Segment>)>);

/// Why segments of a snapshot could not be merged.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// An id is not in the snapshot.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// Reading or writing failed.
    #[error(transparent)]
    Write(#[from] WriteSegmentError),
}

/// A snapshot of the segments in force. Cheap to clone; readers keep theirs while the store makes
/// the next.
#[derive(Clone, Debug, Default)]
pub struct Index {
    segments: Arc<[(SegmentId, Arc<Segment>)]>,
}

impl Index {
    /// This snapshot and one segment more.
    ///
    /// # Errors
    /// [`SnapshotError::Taken`] if it has a segment `id`.
    pub fn with(&self, id: SegmentId, segment: Arc<Segment>) -> Result<Self, SnapshotError> {
        self.replace(&[], id, segment)
    }

    /// This snapshot without the segments `old`, each replaced by what is given with it, if anything.
    ///
    /// # Errors
    /// As [`Index::replace`].
    pub(super) fn replace_each(&self, old: &[Replaced]) -> Result<Self, SnapshotError> {
        let gone: Vec<_> = old.iter().map(|(id, _)| *id).collect();
        self.select(&gone)?;
        let mut next = Self {
            segments: self.without(&gone).into(),
        };
        for (id, segment) in old.iter().filter_map(|(_, new)| new.as_ref()) {
            next = next.with(*id, Arc::clone(segment))?;
        }
        Ok(next)
    }

    fn without(&self, old: &[SegmentId]) -> Vec<(SegmentId, Arc<Segment>)> {
        let kept = self.segments.iter();
        kept.filter(|(kept, _)| !old.contains(kept))
            .cloned()
            .collect()
    }

    /// The segments, each under its id.
    pub(super) fn segments(&self) -> &[(SegmentId, Arc<Segment>)] {
        &self.segments
    }

    /// This snapshot with `new` in place of the segments `old`, which it was merged from.
    ///
    /// # Errors
    /// [`SnapshotError::Unknown`] if one of `old` is not there, [`SnapshotError::Taken`] if `id`
    /// stays beside the new one.
    pub fn replace(
        &self,
        old: &[SegmentId],
        id: SegmentId,
        new: Arc<Segment>,
    ) -> Result<Self, SnapshotError> {
        self.select(old)?;
        let mut segments = self.without(old);
        if segments.iter().any(|(kept, _)| *kept == id) {
            return Err(SnapshotError::Taken { id });
        }
        segments.push((id, new));
        Ok(Self {
            segments: segments.into(),
        })
    }

    /// Id and size of each segment, for [`merge::plan`].
    #[must_use]
    pub fn metas(&self) -> Vec<SegmentMeta> {
        self.segments
            .iter()
            .map(|(id, segment)| SegmentMeta {
                id: *id,
                rows: segment.len(),
            })
            .collect()
    }

    /// The distinct values under `key` in all segments, in order.
    ///
    /// # Errors
    /// Those of reading the files.
    pub fn find(&self, key: &Key) -> io::Result<Hits> {
        let mut all = Hits {
            values: Vec::new(),
            complete: true,
        };
        for (_, segment) in &*self.segments {
            let hits = segment.find(key)?;
            all.complete &= hits.complete;
            all.values.extend(hits.values);
        }
        all.values.sort_unstable();
        all.values.dedup();
        all.complete &= all.values.len() <= MAX_HITS;
        all.values.truncate(MAX_HITS);
        Ok(all)
    }

    /// Joins `count` probes, ascending by key, against all segments; see [`join::join`].
    pub fn join<P: Iterator<Item = io::Result<Probe>>>(&self, probes: P, count: u64) -> Join<P> {
        let segments = self
            .segments
            .iter()
            .map(|(_, segment)| Arc::clone(segment))
            .collect();
        join::join(segments, probes, count)
    }

    /// Merges the segments `ids` into the file `path`. The snapshot stays; [`Index::replace`] makes
    /// the next.
    ///
    /// # Errors
    /// [`MergeError::Snapshot`] for an id that is not there, else those of [`merge::merge`].
    pub fn merge(
        &self,
        ids: &[SegmentId],
        path: &Path,
        steps: &Steps,
    ) -> Result<Segment, MergeError> {
        Ok(merge::merge(&self.select(ids)?, path, steps)?)
    }

    fn select(&self, ids: &[SegmentId]) -> Result<Vec<Arc<Segment>>, SnapshotError> {
        ids.iter()
            .map(|id| {
                let found = self.segments.iter().find(|(kept, _)| kept == id);
                found
                    .map(|(_, segment)| Arc::clone(segment))
                    .ok_or(SnapshotError::Unknown { id: *id })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
