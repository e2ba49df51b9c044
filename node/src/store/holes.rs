//! Rows of the index that lead to where a section was: found and left out.
//!
//! Why not in the commit that makes a hole: a hole is no answer from that moment on, and the rows that lead there lie all
//! over the index, as keys are hashes; leaving them out means reading every segment. They must go, though: a row holds a
//! keyed hash of a fingerprint that was purged. So the control database names the holes until one transaction puts in force
//! segments without such rows and forgets the holes. In scope: segments of places. Out of scope: rows of retractions,
//! which lead to no offset.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Store;
use super::control::{Family, Hole, Holes, SegmentEntry};
use super::index::row::ValueError;
use super::index::{Index, Replaced, Row, Value, WriteSegmentError, merge};
use super::upkeep::UpkeepError;

/// The holes of all bodies, by number of the log and delta.
struct Leaving(BTreeMap<(u16, u64), Vec<Hole>>);

impl Store {
    /// Leaves out all rows that lead into holes; how many segments that took. The caller holds `upkeep`.
    pub(super) fn close_holes(&self) -> Result<u64, UpkeepError> {
        let (holes, places) = {
            // Between a commit's transaction and its index nobody looks: the holes would be known and their rows not.
            let _writer = Self::lock(&self.writer);
            (self.control.holes()?, self.live().places.clone())
        };
        if holes.is_empty() {
            return Ok(0);
        }
        let filtered = self.filter(&places, &self.leaving(&holes))?;
        let old: Vec<_> = filtered.iter().map(|(id, _)| *id).collect();
        let new = filtered.iter().filter_map(|(_, new)| new.as_ref());
        let new: Vec<_> = new
            .map(|(id, segment)| SegmentEntry {
                id: *id,
                family: Family::Places,
                rows: segment.len(),
            })
            .collect();
        {
            // No commit uses an offset again of which it reads that nothing leads there, while the index is behind.
            let _writer = Self::lock(&self.writer);
            self.control.close_holes(&holes, &old, &new)?;
            let mut live = self.live_mut();
            live.places = live.places.replace_each(&filtered)?;
        }
        self.remove_segments(&old);
        Ok(filtered.len() as u64)
    }

    fn filter(&self, places: &Index, leaving: &Leaving) -> Result<Vec<Replaced>, UpkeepError> {
        let mut filtered = Vec::new();
        for (old, segment) in places.segments() {
            let mut leads = false;
            for row in segment.iter() {
                if leaving.has(&row.map_err(WriteSegmentError::from)?)? {
                    leads = true;
                    break;
                }
            }
            if leads {
                let id = self.new_segment();
                let path = self.layout.segment(id);
                // A row that does not decode stays, and is found when it is read.
                let keep = |row: &Row| !leaving.has(row).unwrap_or(false);
                let new = match merge::filter(segment, &path, &self.steps, keep) {
                    Ok(new) => Some((id, Arc::new(new))),
                    Err(WriteSegmentError::Empty) => None,
                    Err(error) => return Err(error.into()),
                };
                filtered.push((*old, new));
            }
        }
        Ok(filtered)
    }

    fn leaving(&self, holes: &Holes) -> Leaving {
        let live = self.live();
        let numbered = holes.iter().filter_map(|((origin, seq), holes)| {
            let number = live.numbers.get(origin)?;
            Some(((*number, seq.0), holes.clone()))
        });
        Leaving(numbered.collect())
    }
}

impl Leaving {
    fn has(&self, row: &Row) -> Result<bool, ValueError> {
        let value = Value::decode(&row.value)?;
        let place = (value.origin, u64::from(value.seq));
        let at = u64::from(value.offset);
        let holes = self.0.get(&place);
        Ok(holes.is_some_and(|holes| {
            holes
                .iter()
                .any(|hole| value.offset >= hole.start && at < hole.end)
        }))
    }
}
