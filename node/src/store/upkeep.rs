//! Merging segments, so that a look-up asks few.
//!
//! Why apart from commits: a merge reads and writes much and changes nothing that is known, so it
//! runs beside them, in a blocking task. In scope: one merge after the other, each swapped in by a
//! transaction of its own. Out of scope: which segments (`index::merge`).

use std::sync::Arc;

use super::Store;
use super::control::{ControlError, Family, SegmentEntry};
use super::index::row::ValueError;
use super::index::{MergeError, SegmentId, SnapshotError, WriteSegmentError, merge};

/// Why segments were not merged. Those that were stay in force.
#[derive(Debug, thiserror::Error)]
pub enum UpkeepError {
    /// Reading or writing segments. An input that is corrupt shows here: rebuild the index then.
    #[error("merging segments")]
    Merge(#[from] MergeError),
    /// Reading or writing a segment, some of whose rows lead to nothing any more.
    #[error("leaving out rows that lead to nothing")]
    Filter(#[from] WriteSegmentError),
    /// A row that does not decode: rebuild the index then.
    #[error("index row")]
    Row(#[from] ValueError),
    /// A segment id was given twice.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The control database.
    #[error(transparent)]
    Control(#[from] ControlError),
}

impl Store {
    /// Leaves out rows that lead to nothing any more, and merges segments until none need be; how many of these steps there
    /// were. Call it after commits, in a blocking task. Commits and reads go on meanwhile; a second caller waits.
    ///
    /// # Errors
    /// [`UpkeepError`].
    pub fn maintain(&self) -> Result<u64, UpkeepError> {
        let _upkeep = Self::lock(&self.upkeep);
        let mut merges = self.close_holes()?;
        for family in [Family::Places, Family::Retracted] {
            while self.merge_once(family)? {
                merges += 1;
            }
        }
        Ok(merges)
    }

    fn merge_once(&self, family: Family) -> Result<bool, UpkeepError> {
        let index = {
            let live = self.live();
            match family {
                Family::Places => live.places.clone(),
                Family::Retracted => live.retracted.clone(),
            }
        };
        let Some(old) = merge::plan(&index.metas()) else {
            return Ok(false);
        };
        let id = self.new_segment();
        let segment = Arc::new(index.merge(&old, &self.layout.segment(id), &self.steps)?);
        self.control.swap(
            &old,
            SegmentEntry {
                id,
                family,
                rows: segment.len(),
            },
        )?;
        {
            let mut live = self.live_mut();
            let index = live.index_mut(family);
            *index = index.replace(&old, id, segment)?;
        }
        self.remove_segments(&old);
        Ok(true)
    }

    /// Unlinks segments that are not in force. Readers of an older snapshot keep them open; what
    /// cannot be removed is swept at the next open.
    pub(super) fn remove_segments(&self, ids: &[SegmentId]) {
        if self.steps.pass("remove segments").is_ok() {
            for id in ids {
                let _ = std::fs::remove_file(self.layout.segment(*id));
            }
        }
    }
}
