//! Segments: tags that come and go together, sorted, coded and cut into chunks that are checked against one root.
//!
//! A segment names the tags that it removes, then those that it adds, each list ascending. A chunk stands for itself: one
//! byte of list (0 removed, 1 added), the Rice parameter, the number of tags (`u32`), the first tag (80 bits), then each
//! gap less one, Golomb-Rice coded (`rice`); zeros fill the last byte. Segments of an artifact are applied in order, and the
//! last mention of a tag counts. Spec: `docs/protocol.md`, "Private matching". In scope: bytes, bounds, the root. Out of
//! scope: which tags (`tag`), the manifest that names the root.

mod write;

use std::fmt;

use super::manifest::SegmentRow;
use super::rice::{Fault, Reader};
use super::space::{SessionId, Space};
use super::tag::{Tag, TagBits};
use crate::b3::{self, DomainHasher, Growing, Hash};
use crate::limits;

pub use write::{EncodeError, Ended, Segment, SegmentWriter, encode, encode_labelled};

/// Bytes of a chunk's head.
const HEAD: usize = 16;

/// Where a segment stands: every hash of it begins with this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentPlace {
    pub(super) space: Hash,
    pub(super) number: u32,
}

impl SegmentPlace {
    /// The segment of this number in a space; a session is named where the artifact is of that session alone.
    #[must_use]
    pub fn new(space: &Space, session: Option<&SessionId>, number: u32) -> Self {
        Self {
            space: space.hash(session),
            number,
        }
    }
}

/// Which of the two lists of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// Tags that are there no more.
    Removed = 0,
    /// Tags that are there from this segment on.
    Added = 1,
}

/// Which chunks of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Tags = 0,
    Labels = 1,
}

/// Hashes the chunks of one segment in order.
pub(super) struct Chunks {
    place: SegmentPlace,
    part: Part,
    hasher: DomainHasher,
    tree: Growing,
    next: u32,
    bytes: u64,
}

impl Chunks {
    pub(super) fn new(place: &SegmentPlace, part: Part) -> Self {
        Self {
            place: place.clone(),
            part,
            hasher: b3::MATCH_CHUNK.hasher(),
            tree: Growing::new(&b3::MATCH_NODE),
            next: 0,
            bytes: 0,
        }
    }

    pub(super) fn push(&mut self, chunk: &[u8]) {
        let hash = self.hasher.hash(&[
            &self.place.space,
            &self.place.number.to_be_bytes(),
            &[self.part as u8],
            &self.next.to_be_bytes(),
            chunk,
        ]);
        self.tree.push(hash);
        self.next = self.next.saturating_add(1);
        self.bytes = self.bytes.saturating_add(chunk.len() as u64);
    }

    pub(super) fn next(&self) -> u32 {
        self.next
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn root(&mut self) -> Option<Hash> {
        self.tree.root()
    }
}

/// What is wrong with one chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChunkFault {
    /// Longer than a chunk, or shorter than its head.
    #[error("{got} bytes, expected {HEAD} to {}", limits::MATCH_CHUNK_BYTES)]
    Size {
        /// Its length.
        got: usize,
    },
    /// Neither of the two lists.
    #[error("list {got} is neither removed nor added tags")]
    Side {
        /// The number.
        got: u8,
    },
    /// Removed tags behind added ones.
    #[error("removed tags behind added ones")]
    Order,
    /// A parameter that no tag of these bits can have.
    #[error("Rice parameter {got} for tags of {bits} bits")]
    Parameter {
        /// Bits of a tag.
        bits: u8,
        /// The parameter.
        got: u8,
    },
    /// More tags than its bits hold.
    #[error("the bits end after {got} of {expected} tags")]
    Truncated {
        /// What its head says.
        expected: u32,
        /// What was there.
        got: u32,
    },
    /// A tag that has more bits than tags have.
    #[error("tag {at} is above every tag")]
    TooLarge {
        /// Its place in the chunk.
        at: u32,
    },
    /// The first tag is that of the chunk before, or below it.
    #[error("the first tag does not follow the last one of the chunk before")]
    Unsorted,
    /// Bits or bytes behind the last tag.
    #[error("there is more behind the last of {count} tags")]
    Trailing {
        /// Tags in the chunk.
        count: u32,
    },
    /// No tags.
    #[error("no tags")]
    Empty,
    /// A chunk of labels that is not as long as its labels.
    #[error("{got} bytes of labels, expected {expected}")]
    Labels {
        /// What the segment calls for.
        expected: usize,
        /// Its length.
        got: usize,
    },
}

/// Why a segment is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SegmentError {
    /// A chunk.
    #[error("chunk {chunk}: {fault}")]
    Chunk {
        /// Which one.
        chunk: u32,
        /// What is wrong with it.
        fault: ChunkFault,
    },
    /// More chunks than the segment has, or more bytes in them.
    #[error("chunk {chunk}: the segment has {chunks} chunks of {bytes} bytes in all")]
    TooMuch {
        /// Which chunk went beyond.
        chunk: u32,
        /// Chunks of the segment.
        chunks: u32,
        /// Their bytes.
        bytes: u64,
    },
    /// Fewer chunks, or fewer bytes in them.
    #[error("the segment ends after {got} of {expected} chunks, or bytes are missing in them")]
    Ends {
        /// Chunks of the segment.
        expected: u32,
        /// Those that came.
        got: u32,
    },
    /// Other numbers of tags than the manifest says.
    #[error("{got:?} tags added and removed, expected {expected:?}")]
    Counts {
        /// Those of the manifest.
        expected: [u64; 2],
        /// Those that came.
        got: [u64; 2],
    },
    /// The chunks are not those that the root is of: of another segment, epoch or place, or changed.
    #[error("the chunks are not those of the root")]
    Root,
}

/// Reads a segment chunk by chunk. What it yields counts only once [`SegmentTags::finish`] has compared the root.
pub struct SegmentTags {
    bits: TagBits,
    row: SegmentRow,
    chunks: Chunks,
    last: Option<(Side, Tag)>,
    added: u64,
    removed: u64,
}

impl fmt::Debug for SegmentTags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "SegmentTags({} of {} chunks)",
            self.chunks.next(),
            self.row.chunks
        )
    }
}

impl SegmentTags {
    /// For the segment that a row of a manifest, or of a count, describes.
    #[must_use]
    pub fn new(place: &SegmentPlace, bits: TagBits, row: &SegmentRow) -> Self {
        Self {
            bits,
            row: row.clone(),
            chunks: Chunks::new(place, Part::Tags),
            last: None,
            added: 0,
            removed: 0,
        }
    }

    /// Number of the next chunk.
    #[must_use]
    pub fn next_chunk(&self) -> u32 {
        self.chunks.next()
    }

    /// Reads the next chunk: its tags take the place of what `tags` holds, ascending, behind those of the chunk before.
    ///
    /// # Errors
    /// [`SegmentError::Chunk`] or [`SegmentError::TooMuch`]; the segment is of no use then.
    pub fn chunk(&mut self, bytes: &[u8], tags: &mut Vec<Tag>) -> Result<Side, SegmentError> {
        let chunk = self.chunks.next();
        let total = self.chunks.bytes().saturating_add(bytes.len() as u64);
        if chunk >= self.row.chunks || total > self.row.bytes {
            let (chunks, bytes) = (self.row.chunks, self.row.bytes);
            return Err(SegmentError::TooMuch {
                chunk,
                chunks,
                bytes,
            });
        }
        let side = read(bytes, self.bits, self.last, tags);
        let side = side.map_err(|fault| SegmentError::Chunk { chunk, fault })?;
        self.chunks.push(bytes);
        self.last = tags.last().map(|tag| (side, *tag));
        let count = tags.len() as u64;
        match side {
            Side::Added => self.added = self.added.saturating_add(count),
            Side::Removed => self.removed = self.removed.saturating_add(count),
        }
        Ok(side)
    }

    /// Every chunk came: compares counts and root.
    ///
    /// # Errors
    /// [`SegmentError::Ends`], [`SegmentError::Counts`] or [`SegmentError::Root`].
    pub fn finish(mut self) -> Result<(), SegmentError> {
        let (expected, got) = (self.row.chunks, self.chunks.next());
        if got != expected || self.chunks.bytes() != self.row.bytes {
            return Err(SegmentError::Ends { expected, got });
        }
        let expected = [self.row.added, self.row.removed];
        let got = [self.added, self.removed];
        if got != expected {
            return Err(SegmentError::Counts { expected, got });
        }
        if self.chunks.root() != Some(self.row.root) {
            return Err(SegmentError::Root);
        }
        Ok(())
    }
}

/// Reads one chunk.
fn read(
    bytes: &[u8],
    bits: TagBits,
    last: Option<(Side, Tag)>,
    tags: &mut Vec<Tag>,
) -> Result<Side, ChunkFault> {
    tags.clear();
    let size = ChunkFault::Size { got: bytes.len() };
    let (head, rest) = bytes.split_first_chunk::<HEAD>().ok_or(size)?;
    if bytes.len() > limits::MATCH_CHUNK_BYTES {
        return Err(size);
    }
    let side = match head[0] {
        0 => Side::Removed,
        1 => Side::Added,
        got => return Err(ChunkFault::Side { got }),
    };
    let k = head[1];
    if k >= bits.get() {
        let (bits, got) = (bits.get(), k);
        return Err(ChunkFault::Parameter { bits, got });
    }
    let count = u32::from_be_bytes([head[2], head[3], head[4], head[5]]);
    let mut first = [0; 16];
    first[6..].copy_from_slice(&head[6..]);
    let mut tag = u128::from_be_bytes(first);
    let top = (1 << bits.get()) - 1;
    if tag > top {
        return Err(ChunkFault::TooLarge { at: 0 });
    }
    match last {
        Some((before, _)) if before > side => return Err(ChunkFault::Order),
        Some((before, last)) if before == side && last.0 >= tag => {
            return Err(ChunkFault::Unsorted);
        }
        Some(_) | None => {}
    }
    if count == 0 {
        return Err(ChunkFault::Empty);
    }
    // Every further tag takes a bit at least, so that a count cannot ask for more memory than the chunk is worth.
    if (count - 1) as usize > rest.len() * 8 {
        let (expected, got) = (count, 1);
        return Err(ChunkFault::Truncated { expected, got });
    }
    tags.reserve(count as usize);
    tags.push(Tag(tag));
    let mut reader = Reader::new(rest);
    for at in 1..count {
        if tag == top {
            return Err(ChunkFault::TooLarge { at });
        }
        let gap = reader
            .number(k, top - tag - 1)
            .map_err(|fault| match fault {
                Fault::Truncated => ChunkFault::Truncated {
                    expected: count,
                    got: at,
                },
                Fault::TooLarge => ChunkFault::TooLarge { at },
            })?;
        tag += gap + 1;
        tags.push(Tag(tag));
    }
    if !reader.is_at_end() {
        return Err(ChunkFault::Trailing { count });
    }
    Ok(side)
}

#[cfg(test)]
mod tests;
