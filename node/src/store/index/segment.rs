//! One immutable file of sorted rows.
//!
//! What: a header of 64 bytes (magic, count, smallest and largest key), the rows, and a BLAKE3
//! checksum. A key is found by interpolation: keyed hashes are uniform, so the first guess is off
//! by about the square root of the count and the second lands in its window of 4 KiB. Rows laid out
//! by an adversary cost a bisection instead.
//!
//! Layout, integers big-endian: `"HPIX1\0"`, 2 zero bytes, rows u64, smallest key 16, largest key
//! 16, 16 zero bytes; the rows of 32 bytes, strictly ascending; BLAKE3 of the rows followed by the
//! header. Opening checks header, length and the two outermost rows; only [`Segment::verify`] and a
//! merge read everything against the checksum.
//!
//! In scope: writing, opening, finding, reading in order. Out of scope: what rows mean (`row`),
//! several segments (`Index`).

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::row::{Key, ROW_LEN, Row, array_at};
use super::rows::{Rows, first_not_below};
use crate::store::durable::{Steps, Writer};

/// How many values a look-up returns at most, so that a fingerprint repeated a million times costs
/// a page and not the memory.
pub const MAX_HITS: usize = 4096;

const MAGIC: &[u8; 8] = b"HPIX1\0\0\0";
const HEADER_LEN: usize = 64;
const CHECKSUM_LEN: usize = blake3::OUT_LEN;
/// Rows read at a guess: 4 KiB.
pub(super) const WINDOW_ROWS: usize = 128;
/// Rows read at once in sequence: 1 MiB.
pub(super) const READ_AHEAD_ROWS: usize = 32_768;
/// Rows held back before a write: 256 KiB.
const WRITE_BUFFER: usize = 8192 * ROW_LEN;
/// Guesses by interpolation before bisection takes over; uniform keys need two or three.
const INTERPOLATIONS: u32 = 4;

/// Why a segment file is refused.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// The disk failed.
    #[error("segment file")]
    Io(#[from] io::Error),
    /// The first 64 bytes are no header of this version.
    #[error("segment header is malformed")]
    Header,
    /// The file is not as long as its header says.
    #[error("segment length: expected {expected} bytes, got {got}")]
    Length {
        /// Header, rows and checksum; the shortest possible file where there is not even a header.
        expected: u64,
        /// Bytes in the file.
        got: u64,
    },
    /// The first or last row is not the smallest or largest key of the header.
    #[error("segment bounds differ from its rows")]
    Bounds,
    /// The bytes are not those that were written.
    #[error("segment checksum differs")]
    Checksum,
}

/// Why rows do not make a segment.
#[derive(Debug, thiserror::Error)]
pub enum WriteSegmentError {
    /// The disk failed, or a segment that is read meanwhile is corrupt (then with a
    /// [`SegmentError`] inside).
    #[error("writing a segment")]
    Io(#[from] io::Error),
    /// A row sorts before the one pushed before it.
    #[error("row {row} sorts before its predecessor")]
    Unsorted {
        /// Which row, from 0.
        row: u64,
    },
    /// A row equals the one pushed before it.
    #[error("row {row} equals its predecessor")]
    Equal {
        /// Which row, from 0.
        row: u64,
    },
    /// No row at all: such a segment is no file.
    #[error("a segment needs at least one row")]
    Empty,
}

/// The values found under a key, in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hits {
    /// Encoded values, at most [`MAX_HITS`].
    pub values: Vec<[u8; 16]>,
    /// Whether these are all. Retractions sort last, so a cut result must not be taken for a full
    /// one.
    pub complete: bool,
}

/// An open segment. Reads are positioned, so threads may share it.
pub struct Segment {
    file: File,
    rows: u64,
    header: [u8; HEADER_LEN],
}

impl std::fmt::Debug for Segment {
    // The header holds keys, which stay out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Segment")
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}

impl Segment {
    /// Opens the file that a [`SegmentWriter`] wrote at `path`.
    ///
    /// # Errors
    /// [`SegmentError`], any but `Checksum`, which only [`Segment::verify`] tells.
    pub fn open(path: &Path) -> Result<Self, SegmentError> {
        let file = File::open(path)?;
        let got = file.metadata()?.len();
        let shortest = (HEADER_LEN + ROW_LEN + CHECKSUM_LEN) as u64;
        if got < shortest {
            return Err(SegmentError::Length {
                expected: shortest,
                got,
            });
        }
        let mut header = [0; HEADER_LEN];
        file.read_exact_at(&mut header, 0)?;
        if !header.starts_with(MAGIC) || header[48..] != [0; 16] {
            return Err(SegmentError::Header);
        }
        let rows = u64::from_be_bytes(array_at(&header, 8));
        let expected = rows
            .checked_mul(ROW_LEN as u64)
            .and_then(|len| len.checked_add((HEADER_LEN + CHECKSUM_LEN) as u64))
            .ok_or(SegmentError::Header)?;
        if rows == 0 {
            return Err(SegmentError::Header);
        }
        if got != expected {
            return Err(SegmentError::Length { expected, got });
        }
        let segment = Self { file, rows, header };
        let outermost = (segment.row(0)?.key, segment.row(rows - 1)?.key);
        if outermost != (segment.min(), segment.max()) {
            return Err(SegmentError::Bounds);
        }
        Ok(segment)
    }

    /// How many rows there are: at least one.
    #[expect(clippy::len_without_is_empty, reason = "a segment is never empty")]
    #[must_use]
    pub fn len(&self) -> u64 {
        self.rows
    }

    /// The values under `key`, in order. Two or three reads of 4 KiB as a rule, O(log n) at worst.
    ///
    /// # Errors
    /// Those of reading the file.
    pub fn find(&self, key: &Key) -> io::Result<Hits> {
        let mut hits = Hits {
            values: Vec::new(),
            complete: true,
        };
        for row in Rows::of_key(self, key)? {
            let row = row?;
            if row.key != *key {
                break;
            }
            if hits.values.len() == MAX_HITS {
                hits.complete = false;
                break;
            }
            hits.values.push(row.value);
        }
        Ok(hits)
    }

    /// All rows in order, read 1 MiB at a time.
    #[must_use]
    pub fn iter(self: &Arc<Self>) -> Rows<Arc<Self>> {
        Rows::all(Arc::clone(self), READ_AHEAD_ROWS)
    }

    /// Reads the whole file against its checksum.
    ///
    /// # Errors
    /// [`SegmentError::Checksum`], or [`SegmentError::Io`].
    pub fn verify(&self) -> Result<(), SegmentError> {
        let mut hasher = blake3::Hasher::new();
        let mut buffer = Vec::new();
        let mut next = 0;
        while next < self.rows {
            self.read_rows(next, READ_AHEAD_ROWS, &mut buffer)?;
            hasher.update(&buffer);
            next += (buffer.len() / ROW_LEN) as u64;
        }
        self.check(hasher)
    }

    /// Ends a hash over all rows and compares it with the footer.
    pub(super) fn check(&self, mut hasher: blake3::Hasher) -> Result<(), SegmentError> {
        let mut footer = [0; CHECKSUM_LEN];
        self.file.read_exact_at(&mut footer, offset_of(self.rows))?;
        hasher.update(&self.header);
        if hasher.finalize() == blake3::Hash::from_bytes(footer) {
            Ok(())
        } else {
            Err(SegmentError::Checksum)
        }
    }

    fn min(&self) -> Key {
        array_at(&self.header, 16)
    }

    fn max(&self) -> Key {
        array_at(&self.header, 32)
    }

    fn row(&self, index: u64) -> io::Result<Row> {
        let mut bytes = [0; ROW_LEN];
        self.file.read_exact_at(&mut bytes, offset_of(index))?;
        Ok(Row::from_bytes(&bytes))
    }

    /// Fills `buffer` with up to `count` rows from row `start`; fewer only at the end.
    pub(super) fn read_rows(
        &self,
        start: u64,
        count: usize,
        buffer: &mut Vec<u8>,
    ) -> io::Result<()> {
        let left = usize::try_from(self.rows.saturating_sub(start)).unwrap_or(usize::MAX);
        buffer.resize(left.min(count) * ROW_LEN, 0);
        self.file.read_exact_at(buffer, offset_of(start))
    }

    /// The first row whose key is not below `key`, with the rows after it that were read anyway.
    pub(super) fn locate(&self, key: &Key) -> io::Result<Located> {
        let mut found = Located {
            next: self.rows,
            window: Vec::new(),
            at: 0,
            reads: 0,
        };
        if *key < self.min() || *key > self.max() {
            return Ok(found);
        }
        // Rows below `low.row` are below the key; the row `high.row`, and each after it, is not.
        let mut low = Anchor {
            row: 0,
            key: self.min(),
        };
        let mut high = Anchor {
            row: self.rows,
            key: self.max(),
        };
        while low.row < high.row {
            let guess = match found.reads {
                0..INTERPOLATIONS => interpolate(&low, &high, key),
                INTERPOLATIONS.. => low.row + (high.row - low.row) / 2,
            };
            let latest = high.row.saturating_sub(WINDOW_ROWS as u64).max(low.row);
            let start = guess
                .saturating_sub(WINDOW_ROWS as u64 / 2)
                .clamp(low.row, latest);
            self.read_rows(start, WINDOW_ROWS, &mut found.window)?;
            found.reads += 1;
            found.next = start + (found.window.len() / ROW_LEN) as u64;
            let (first, last) = (key_at(&found.window, 0), last_key(&found.window));
            if first >= *key && start > low.row {
                high = Anchor {
                    row: start,
                    key: first,
                };
            } else if last < *key {
                low = Anchor {
                    row: found.next,
                    key: last,
                };
            } else {
                found.at = first_not_below(&found.window, 0, key);
                return Ok(found);
            }
        }
        // The key, if it is there at all, begins exactly where a window ended.
        self.read_rows(high.row, WINDOW_ROWS, &mut found.window)?;
        found.reads += 1;
        found.next = high.row + (found.window.len() / ROW_LEN) as u64;
        Ok(found)
    }
}

/// A row found, and the window it was found in.
pub(super) struct Located {
    /// The row after the window.
    pub(super) next: u64,
    pub(super) window: Vec<u8>,
    /// Where in the window the row begins, in bytes; the window's length if there is no such row.
    pub(super) at: usize,
    reads: u32,
}

struct Anchor {
    row: u64,
    key: Key,
}

/// Where `key` would be if keys were spread evenly between the anchors.
fn interpolate(low: &Anchor, high: &Anchor, key: &Key) -> u64 {
    let base = u128::from_be_bytes(low.key);
    let span = u128::from_be_bytes(high.key).saturating_sub(base);
    let part = u128::from_be_bytes(*key).saturating_sub(base);
    // Both shrink to 64 bits together, so that the product fits.
    let shift = 64_u32.saturating_sub(span.leading_zeros());
    let rows = u128::from(high.row - low.row);
    let ahead = ((part >> shift) * rows)
        .checked_div(span >> shift)
        .unwrap_or(0)
        .min(rows);
    low.row + u64::try_from(ahead).unwrap_or(0)
}

fn offset_of(row: u64) -> u64 {
    HEADER_LEN as u64 + row * ROW_LEN as u64
}

pub(super) fn key_at(rows: &[u8], at: usize) -> Key {
    array_at(rows, at)
}

fn last_key(rows: &[u8]) -> Key {
    key_at(rows, rows.len() - ROW_LEN)
}

/// Writes a segment from rows in strictly ascending order, holding 256 KiB of them.
///
/// Until [`SegmentWriter::finish`] returns, no file of the name exists; dropped before that,
/// nothing stays.
pub struct SegmentWriter {
    writer: Writer,
    path: PathBuf,
    hasher: blake3::Hasher,
    buffer: Vec<u8>,
    rows: u64,
    first: Option<Row>,
    last: Option<Row>,
}

impl SegmentWriter {
    /// Begins the segment `path`, whose folder must exist.
    ///
    /// # Errors
    /// As [`Writer::create`].
    pub fn create(path: &Path, steps: &Steps) -> io::Result<Self> {
        let mut writer = Writer::create(path, steps)?;
        writer.write_all(&[0; HEADER_LEN])?;
        Ok(Self {
            writer,
            path: path.to_owned(),
            hasher: blake3::Hasher::new(),
            buffer: Vec::with_capacity(WRITE_BUFFER),
            rows: 0,
            first: None,
            last: None,
        })
    }

    /// Appends `row`.
    ///
    /// # Errors
    /// [`WriteSegmentError::Unsorted`] or [`WriteSegmentError::Equal`] against the row before; else
    /// those of writing.
    pub fn push(&mut self, row: &Row) -> Result<(), WriteSegmentError> {
        match self.last.map(|last| last.cmp(row)) {
            None | Some(std::cmp::Ordering::Less) => {}
            Some(std::cmp::Ordering::Equal) => {
                return Err(WriteSegmentError::Equal { row: self.rows });
            }
            Some(std::cmp::Ordering::Greater) => {
                return Err(WriteSegmentError::Unsorted { row: self.rows });
            }
        }
        if self.buffer.len() == WRITE_BUFFER {
            self.flush()?;
        }
        self.buffer.extend_from_slice(&row.to_bytes());
        self.first.get_or_insert(*row);
        self.last = Some(*row);
        self.rows += 1;
        Ok(())
    }

    /// Makes the segment durable under its name and opens it.
    ///
    /// # Errors
    /// [`WriteSegmentError::Empty`] without a row; else those of writing.
    pub fn finish(mut self) -> Result<Segment, WriteSegmentError> {
        let (Some(first), Some(last)) = (self.first, self.last) else {
            return Err(WriteSegmentError::Empty);
        };
        self.flush()?;
        let mut header = [0; HEADER_LEN];
        header[..8].copy_from_slice(MAGIC);
        header[8..16].copy_from_slice(&self.rows.to_be_bytes());
        header[16..32].copy_from_slice(&first.key);
        header[32..48].copy_from_slice(&last.key);
        self.hasher.update(&header);
        self.writer.write_all(self.hasher.finalize().as_bytes())?;
        self.writer.write_at(0, &header)?;
        self.writer.finish()?;
        Segment::open(&self.path).map_err(|error| match error {
            SegmentError::Io(error) => error.into(),
            error @ (SegmentError::Header
            | SegmentError::Length { .. }
            | SegmentError::Bounds
            | SegmentError::Checksum) => io::Error::new(io::ErrorKind::InvalidData, error).into(),
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.hasher.update(&self.buffer);
        self.writer.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

/// Sorts `rows`, drops repetitions, and writes them as the segment `path`.
///
/// # Errors
/// As [`SegmentWriter::create`] and [`SegmentWriter::finish`].
pub fn write_sorted(
    path: &Path,
    rows: &mut Vec<Row>,
    steps: &Steps,
) -> Result<Segment, WriteSegmentError> {
    rows.sort_unstable();
    rows.dedup();
    let mut writer = SegmentWriter::create(path, steps)?;
    for row in rows {
        writer.push(row)?;
    }
    writer.finish()
}

#[cfg(test)]
mod tests;
