//! Many keys at once: a merge join of sorted probes against all segments.
//!
//! Why: deduplicating a batch by a look-up a row costs a read or two each; in key order the whole
//! index passes by once, sequentially. A segment that is large against the probes is asked key by
//! key instead. Memory is bounded whatever the data: a read-ahead a segment and [`MAX_HITS`]
//! values; a key with more is streamed again for each of its probes. In scope: tag and value of
//! each match. Out of scope: sorting the probes (`spill`), judging values (the store).

use std::io;
use std::sync::Arc;

use super::merge::{Distinct, Merged, read_ahead_among};
use super::row::{Key, Row};
use super::rows::Rows;
use super::segment::{MAX_HITS, Segment};

/// A segment with more rows than this many a probe is asked key by key.
const ROWS_PER_PROBE: u64 = 64;

/// A key to look for, and what the caller calls it. Ordered by key, then tag. No derived Debug, as
/// for rows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// The index key.
    pub key: Key,
    /// Given back with each hit.
    pub tag: u64,
}

impl Probe {
    fn order(&self) -> (u128, u64) {
        (u128::from_be_bytes(self.key), self.tag)
    }
}

impl Ord for Probe {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}

impl PartialOrd for Probe {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl std::fmt::Debug for Probe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Probe")
            .field("tag", &self.tag)
            .finish_non_exhaustive()
    }
}

/// The probes given to a join do not ascend by key. Found inside an [`io::Error`] of kind
/// `InvalidInput`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("probes are not sorted by key")]
pub struct UnsortedProbes;

/// Yields `(tag, value)` for each probe and each distinct value under its key, in the order of the
/// probes.
///
/// After an error it yields no more.
pub struct Join<P> {
    probes: P,
    segments: Vec<Arc<Segment>>,
    sides: Vec<Side>,
    /// The key that `values` are for.
    key: Option<Key>,
    values: Vec<[u8; 16]>,
    /// More values than are kept: they are read again for each probe.
    wide: bool,
    pending: Pending,
    failed: bool,
}

/// How a segment takes part.
enum Side {
    Sequence(Rows<Arc<Segment>>),
    LookUp(Arc<Segment>),
}

type Stream = Distinct<Merged<Row, Rows<Arc<Segment>>>>;

/// What is left to yield for one probe.
enum Pending {
    Kept {
        tag: u64,
        from: usize,
    },
    Streamed {
        tag: u64,
        key: Key,
        rows: Box<Stream>,
    },
}

/// Joins `count` probes, ascending by key, against `segments`. `count` only chooses the way, so an
/// estimate will do.
pub fn join<P>(segments: Vec<Arc<Segment>>, probes: P, count: u64) -> Join<P>
where
    P: Iterator<Item = io::Result<Probe>>,
{
    let chunk = read_ahead_among(segments.len());
    let side = |segment: &Arc<Segment>| {
        if count < segment.len() / ROWS_PER_PROBE {
            Side::LookUp(Arc::clone(segment))
        } else {
            Side::Sequence(Rows::all(Arc::clone(segment), chunk))
        }
    };
    Join {
        probes,
        sides: segments.iter().map(side).collect(),
        segments,
        key: None,
        values: Vec::new(),
        wide: false,
        pending: Pending::Kept { tag: 0, from: 0 },
        failed: false,
    }
}

impl<P: Iterator<Item = io::Result<Probe>>> Join<P> {
    fn step(&mut self) -> io::Result<Option<(u64, [u8; 16])>> {
        loop {
            match &mut self.pending {
                Pending::Kept { tag, from } => {
                    if let Some(value) = self.values.get(*from) {
                        *from += 1;
                        return Ok(Some((*tag, *value)));
                    }
                }
                Pending::Streamed { tag, key, rows } => {
                    if let Some(row) = rows.next().transpose()?.filter(|row| row.key == *key) {
                        return Ok(Some((*tag, row.value)));
                    }
                }
            }
            let Some(probe) = self.probes.next().transpose()? else {
                return Ok(None);
            };
            if self.key.is_none_or(|key| key < probe.key) {
                self.load(&probe.key)?;
            } else if self.key != Some(probe.key) {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, UnsortedProbes));
            }
            self.pending = if self.wide {
                Pending::Streamed {
                    tag: probe.tag,
                    key: probe.key,
                    rows: self.stream(&probe.key)?,
                }
            } else {
                Pending::Kept {
                    tag: probe.tag,
                    from: 0,
                }
            };
        }
    }

    /// Collects the values under `key`, which is above each key before.
    fn load(&mut self, key: &Key) -> io::Result<()> {
        self.key = Some(*key);
        self.values.clear();
        self.wide = false;
        for side in &mut self.sides {
            self.wide = match side {
                Side::Sequence(rows) => {
                    rows.skip_to(key)?;
                    collect(rows, key, &mut self.values)?
                }
                Side::LookUp(segment) => collect(
                    &mut Rows::of_key(Arc::clone(segment), key)?,
                    key,
                    &mut self.values,
                )?,
            };
            if self.wide {
                self.values.clear();
                return Ok(());
            }
        }
        self.values.sort_unstable();
        self.values.dedup();
        Ok(())
    }

    fn stream(&self, key: &Key) -> io::Result<Box<Stream>> {
        let rows: io::Result<Vec<_>> = self
            .segments
            .iter()
            .map(|segment| Rows::of_key(Arc::clone(segment), key))
            .collect();
        Ok(Box::new(Distinct::new(Merged::new(rows?)?)))
    }
}

/// Appends the values of `key` to `values`; true when they are more than may be kept.
fn collect(
    rows: &mut Rows<Arc<Segment>>,
    key: &Key,
    values: &mut Vec<[u8; 16]>,
) -> io::Result<bool> {
    while let Some(row) = rows.next_of(key)? {
        if values.len() == MAX_HITS {
            return Ok(true);
        }
        values.push(row.value);
    }
    Ok(false)
}

impl<P: Iterator<Item = io::Result<Probe>>> Iterator for Join<P> {
    type Item = io::Result<(u64, [u8; 16])>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let step = self.step();
        self.failed = step.is_err();
        step.transpose()
    }
}

#[cfg(test)]
mod tests;
