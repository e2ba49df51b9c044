//! How a segment is made: from sorted tags to chunks and their row.

use super::super::label::{LABELS_PER_CHUNK, SealedLabel};
use super::super::manifest::SegmentRow;
use super::super::rice::{Writer, cost, parameter};
use super::super::tag::{Tag, TagBits};
use super::{Chunks, Part, SegmentPlace, Side};
use crate::limits;

/// A segment that was made.
#[derive(Clone, PartialEq, Eq)]
pub struct Segment {
    /// Its tag chunks.
    pub chunks: Vec<Vec<u8>>,
    /// Its label chunks.
    pub label_chunks: Vec<Vec<u8>>,
    /// What the manifest says of it.
    pub row: SegmentRow,
}

impl std::fmt::Debug for Segment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Segment({:?})", self.row)
    }
}

/// Why no segment is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A tag below the one before, or removed tags behind added ones.
    #[error("tag {at} is not above the one before it")]
    Unsorted {
        /// Its place among all tags, from 0.
        at: u64,
    },
    /// A tag twice.
    #[error("tag {at} is the one before it once more")]
    Repeated {
        /// Its place among all tags, from 0.
        at: u64,
    },
    /// A tag that has more bits than tags have.
    #[error("tag {at} has more than {bits} bits")]
    TooLarge {
        /// Its place among all tags, from 0.
        at: u64,
        /// Bits of a tag.
        bits: u8,
    },
    /// No tags at all, or other numbers of them than were announced.
    #[error("{got:?} tags added and removed, expected {expected:?} and not none")]
    Counts {
        /// Those announced.
        expected: [u64; 2],
        /// Those that came.
        got: [u64; 2],
    },
    /// Tags that were added without a label, in a segment that has labels.
    #[error("{got} labels for {expected} added tags")]
    Labels {
        /// Tags that were added.
        expected: u64,
        /// Labels.
        got: u64,
    },
}

/// Makes a segment in one pass: tags that it removes, then tags that it adds, each list ascending. Memory for one chunk.
pub struct SegmentWriter {
    bits: TagBits,
    counts: [u64; 2],
    written: [u64; 2],
    chunks: Chunks,
    labels: Option<LabelWriter>,
    open: Option<Open>,
}

/// How a segment ends.
#[derive(Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its last tag chunk.
    pub chunk: Vec<u8>,
    /// Its last label chunk.
    pub label_chunk: Option<Vec<u8>>,
    /// What the manifest says of it.
    pub row: SegmentRow,
}

impl std::fmt::Debug for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ended({:?})", self.row)
    }
}

/// The chunk that is being written.
struct Open {
    side: Side,
    k: u8,
    count: u32,
    last: u128,
    writer: Writer,
}

struct LabelWriter {
    chunks: Chunks,
    open: Vec<u8>,
    count: u64,
}

impl SegmentWriter {
    /// A segment that will add and remove so many tags.
    #[must_use]
    pub fn new(place: &SegmentPlace, bits: TagBits, added: u64, removed: u64) -> Self {
        Self {
            bits,
            counts: [added, removed],
            written: [0; 2],
            chunks: Chunks::new(place, Part::Tags),
            labels: None,
            open: None,
        }
    }

    /// The same with a label for each tag that it adds.
    #[must_use]
    pub fn labelled(place: &SegmentPlace, bits: TagBits, added: u64, removed: u64) -> Self {
        let chunks = Chunks::new(place, Part::Labels);
        let open = Vec::new();
        Self {
            labels: Some(LabelWriter {
                chunks,
                open,
                count: 0,
            }),
            ..Self::new(place, bits, added, removed)
        }
    }

    /// Writes the next tag; a chunk that it did not fit any more is handed out.
    ///
    /// # Errors
    /// [`EncodeError`].
    pub fn tag(&mut self, side: Side, tag: Tag) -> Result<Option<Vec<u8>>, EncodeError> {
        let at = self.written[0] + self.written[1];
        let bits = self.bits.get();
        if tag.0 >> bits != 0 {
            return Err(EncodeError::TooLarge { at, bits });
        }
        let (which, expected) = match side {
            Side::Added => (0, self.counts),
            Side::Removed => (1, self.counts),
        };
        self.written[which] += 1;
        if self.written[which] > expected[which] {
            let got = self.written;
            return Err(EncodeError::Counts { expected, got });
        }
        let Some(open) = self.open.as_mut() else {
            self.begin(side, tag);
            return Ok(None);
        };
        if open.side > side {
            return Err(EncodeError::Unsorted { at });
        }
        if open.side < side {
            let whole = self.close();
            self.begin(side, tag);
            return Ok(whole);
        }
        if tag.0 <= open.last {
            return Err(match tag.0 == open.last {
                true => EncodeError::Repeated { at },
                false => EncodeError::Unsorted { at },
            });
        }
        let gap = tag.0 - open.last - 1;
        let room = (limits::MATCH_CHUNK_BYTES * 8 - open.writer.len()) as u128;
        if cost(gap, open.k) > room {
            let whole = self.close();
            self.begin(side, tag);
            return Ok(whole);
        }
        open.writer.number(gap, open.k);
        (open.last, open.count) = (tag.0, open.count + 1);
        Ok(None)
    }

    /// Writes the label of the tag that was added last; a chunk of labels that is full is handed out.
    pub fn label(&mut self, label: &SealedLabel) -> Option<Vec<u8>> {
        let labels = self.labels.as_mut()?;
        labels.open.extend_from_slice(&label.0);
        labels.count += 1;
        if labels.open.len() < LABELS_PER_CHUNK * SealedLabel::LEN {
            return None;
        }
        labels.close()
    }

    /// Ends the segment: its last chunk of tags, its last chunk of labels, and its row.
    ///
    /// # Errors
    /// [`EncodeError::Counts`] or [`EncodeError::Labels`].
    pub fn finish(mut self) -> Result<Ended, EncodeError> {
        let (expected, got) = (self.counts, self.written);
        let counts = EncodeError::Counts { expected, got };
        if got != expected {
            return Err(counts);
        }
        if let Some(labels) = self.labels.as_ref().filter(|labels| labels.count != got[0]) {
            let (expected, got) = (got[0], labels.count);
            return Err(EncodeError::Labels { expected, got });
        }
        let last = self.close().ok_or(counts)?;
        let last_labels = self.labels.as_mut().and_then(LabelWriter::close);
        let label_root = self.labels.and_then(|mut labels| labels.chunks.root());
        let row = SegmentRow {
            number: self.chunks.place.number,
            added: got[0],
            removed: got[1],
            bytes: self.chunks.bytes(),
            chunks: self.chunks.next(),
            root: self.chunks.root().ok_or(counts)?,
            label_root,
        };
        Ok(Ended {
            chunk: last,
            label_chunk: last_labels,
            row,
        })
    }

    fn begin(&mut self, side: Side, tag: Tag) {
        let of_side = match side {
            Side::Added => self.counts[0],
            Side::Removed => self.counts[1],
        };
        let k = parameter(of_side, self.bits);
        let mut bytes = Vec::with_capacity(limits::MATCH_CHUNK_BYTES);
        bytes.extend_from_slice(&[side as u8, k, 0, 0, 0, 0]);
        bytes.extend_from_slice(&tag.0.to_be_bytes()[6..]);
        self.open = Some(Open {
            side,
            k,
            count: 1,
            last: tag.0,
            writer: Writer::behind(bytes),
        });
    }

    fn close(&mut self) -> Option<Vec<u8>> {
        let open = self.open.take()?;
        let mut bytes = open.writer.finish();
        bytes[2..6].copy_from_slice(&open.count.to_be_bytes());
        self.chunks.push(&bytes);
        Some(bytes)
    }
}

impl LabelWriter {
    fn close(&mut self) -> Option<Vec<u8>> {
        if self.open.is_empty() {
            return None;
        }
        let chunk = std::mem::take(&mut self.open);
        self.chunks.push(&chunk);
        Some(chunk)
    }
}

/// A segment of tags, each list sorted and without repetition.
///
/// # Errors
/// [`EncodeError`].
pub fn encode(
    place: &SegmentPlace,
    bits: TagBits,
    added: &[Tag],
    removed: &[Tag],
) -> Result<Segment, EncodeError> {
    let (add, remove) = (added.len() as u64, removed.len() as u64);
    let mut writer = SegmentWriter::new(place, bits, add, remove);
    let removed = removed.iter().map(|tag| (Side::Removed, *tag, None));
    let added = added.iter().map(|tag| (Side::Added, *tag, None));
    write_all(&mut writer, removed.chain(added)).and_then(|parts| end(writer, parts))
}

/// A segment of mode `labels`: each tag that it adds with its label.
///
/// # Errors
/// [`EncodeError`].
pub fn encode_labelled(
    place: &SegmentPlace,
    bits: TagBits,
    added: &[(Tag, SealedLabel)],
    removed: &[Tag],
) -> Result<Segment, EncodeError> {
    let (add, remove) = (added.len() as u64, removed.len() as u64);
    let mut writer = SegmentWriter::labelled(place, bits, add, remove);
    let removed = removed.iter().map(|tag| (Side::Removed, *tag, None));
    let added = added
        .iter()
        .map(|(tag, label)| (Side::Added, *tag, Some(*label)));
    write_all(&mut writer, removed.chain(added)).and_then(|parts| end(writer, parts))
}

type Parts = (Vec<Vec<u8>>, Vec<Vec<u8>>);

fn write_all(
    writer: &mut SegmentWriter,
    tags: impl Iterator<Item = (Side, Tag, Option<SealedLabel>)>,
) -> Result<Parts, EncodeError> {
    let (mut chunks, mut label_chunks) = Parts::default();
    for (side, tag, label) in tags {
        chunks.extend(writer.tag(side, tag)?);
        label_chunks.extend(label.and_then(|label| writer.label(&label)));
    }
    Ok((chunks, label_chunks))
}

fn end(
    writer: SegmentWriter,
    (mut chunks, mut label_chunks): Parts,
) -> Result<Segment, EncodeError> {
    let Ended {
        chunk,
        label_chunk,
        row,
    } = writer.finish()?;
    chunks.push(chunk);
    label_chunks.extend(label_chunk);
    Ok(Segment {
        chunks,
        label_chunks,
        row,
    })
}
