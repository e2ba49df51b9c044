//! Many sorted streams into one, and the plan that says when.
//!
//! Why tiers: each row is rewritten once a tier, so a load of n rows costs n log8(n) writes and a
//! look-up asks a few dozen segments at most. A merge reads its inputs against their checksums:
//! corruption must not come out with a fresh one. In scope: merging, planning. Out of scope: when
//! to run it, and swapping the snapshot (the store).

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::SegmentId;
use super::row::Row;
use super::rows::Rows;
use super::segment::{READ_AHEAD_ROWS, Segment, SegmentWriter, WriteSegmentError};
use crate::store::durable::Steps;

/// Segments of a tier that become one of the next.
pub const TIER_WIDTH: usize = 8;

/// Above so many segments the smallest are merged whatever their tiers: each is an open file and a
/// read a look-up.
pub const MAX_SEGMENTS: usize = 64;

/// What the plan needs to know of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentMeta {
    /// Which segment.
    pub id: SegmentId,
    /// How many rows it has.
    pub rows: u64,
}

/// Which segments to merge into one next, smallest first, or `None` when all is well. Ask again
/// after each merge.
#[must_use]
pub fn plan(metas: &[SegmentMeta]) -> Option<Vec<SegmentId>> {
    let mut sorted = metas.to_vec();
    sorted.sort_unstable_by_key(|meta| (meta.rows, meta.id));
    let same_tier = sorted
        .chunk_by(|a, b| tier(a.rows) == tier(b.rows))
        .find(|tier| tier.len() >= TIER_WIDTH)
        .map(|tier| &tier[..TIER_WIDTH]);
    let surplus = sorted.len().saturating_sub(MAX_SEGMENTS);
    let chosen = match (same_tier, surplus) {
        (Some(tier), _) => tier,
        (None, 0) => return None,
        (None, surplus) => &sorted[..=surplus],
    };
    Some(chosen.iter().map(|meta| meta.id).collect())
}

/// log8 of rows / 65,536, rounded; 0 below that.
fn tier(rows: u64) -> u32 {
    // Tier t ends where rows^2 reaches 2^(32 + 3(2t + 1)): the square keeps the rounding in
    // integers.
    let squared = u128::from(rows).pow(2);
    squared.checked_ilog2().unwrap_or(0).saturating_sub(29) / 6
}

/// Merges `segments` into the segment `path`; identical rows become one. Streams, holding at most
/// 16 MiB or so.
///
/// # Errors
/// [`WriteSegmentError::Io`] from any of the files, with a `SegmentError` inside if an input is
/// corrupt; [`WriteSegmentError::Empty`] without segments.
pub fn merge(
    segments: &[Arc<Segment>],
    path: &Path,
    steps: &Steps,
) -> Result<Segment, WriteSegmentError> {
    let chunk = read_ahead_among(segments.len());
    let sources = segments
        .iter()
        .map(|segment| Rows::checked(Arc::clone(segment), chunk))
        .collect();
    let mut writer = SegmentWriter::create(path, steps)?;
    for row in Distinct::new(Merged::new(sources)?) {
        writer.push(&row?)?;
    }
    writer.finish()
}

/// Writes `segment` anew as the segment `path`, with the rows that `keep` keeps.
///
/// # Errors
/// As [`merge`]; [`WriteSegmentError::Empty`] if no row is kept.
pub(in crate::store) fn filter(
    segment: &Arc<Segment>,
    path: &Path,
    steps: &Steps,
    keep: impl Fn(&Row) -> bool,
) -> Result<Segment, WriteSegmentError> {
    let mut writer = SegmentWriter::create(path, steps)?;
    for row in Rows::checked(Arc::clone(segment), READ_AHEAD_ROWS) {
        let row = row?;
        if keep(&row) {
            writer.push(&row)?;
        }
    }
    writer.finish()
}

/// Rows to read ahead on each of `streams` read side by side: 16 MiB shared, within 128 KiB and 1
/// MiB each.
pub(super) fn read_ahead_among(streams: usize) -> usize {
    (16 * READ_AHEAD_ROWS / streams.max(1)).clamp(READ_AHEAD_ROWS / 8, READ_AHEAD_ROWS)
}

/// One ascending stream from several. After an error it yields no more.
#[derive(Debug)]
pub(super) struct Merged<T: Ord, I> {
    heap: BinaryHeap<Reverse<(T, usize)>>,
    sources: Vec<I>,
}

impl<T: Ord + Copy, I: Iterator<Item = io::Result<T>>> Merged<T, I> {
    pub(super) fn new(mut sources: Vec<I>) -> io::Result<Self> {
        let mut heap = BinaryHeap::with_capacity(sources.len());
        for (index, source) in sources.iter_mut().enumerate() {
            if let Some(first) = source.next() {
                heap.push(Reverse((first?, index)));
            }
        }
        Ok(Self { heap, sources })
    }
}

impl<T: Ord + Copy, I: Iterator<Item = io::Result<T>>> Iterator for Merged<T, I> {
    type Item = io::Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut top = self.heap.peek_mut()?;
        let Reverse((item, index)) = *top;
        match self.sources[index].next() {
            // In place, so that the heap is sifted once and not twice.
            Some(Ok(following)) => *top = Reverse((following, index)),
            None => {
                PeekMut::pop(top);
            }
            Some(Err(error)) => {
                drop(top);
                self.heap.clear();
                return Some(Err(error));
            }
        }
        Some(Ok(item))
    }
}

/// An ascending stream of rows without its repetitions.
#[derive(Debug)]
pub(super) struct Distinct<I> {
    rows: I,
    last: Option<Row>,
}

impl<I: Iterator<Item = io::Result<Row>>> Distinct<I> {
    pub(super) fn new(rows: I) -> Self {
        Self { rows, last: None }
    }
}

impl<I: Iterator<Item = io::Result<Row>>> Iterator for Distinct<I> {
    type Item = io::Result<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.rows.next()? {
                Ok(row) if self.last == Some(row) => {}
                Ok(row) => {
                    self.last = Some(row);
                    return Some(Ok(row));
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

#[cfg(test)]
mod tests;
