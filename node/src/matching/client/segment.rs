//! Segments as they come and as they rest: nothing of one counts before its root is that of the manifest.
//!
//! At rest a segment is its chunks, each after its length (`u32`, big-endian). A file that does not hold what its name says
//! is removed, so that the next check fetches it again. In scope: reading. Out of scope: the format (`psi`), comparing.

use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use hashpact_protocol::limits;
use hashpact_protocol::psi::{
    Chunk, Label, SealedLabel, SegmentError, SegmentLabels, SegmentPlace, SegmentRow, SegmentTags,
    SessionId, Side, Space, Tag, TagBits,
};

/// Why a segment is of no use.
#[derive(Debug, thiserror::Error)]
pub enum SegmentFault {
    /// It is not what the manifest lists.
    #[error("a segment of the centre: {0}")]
    Format(#[from] SegmentError),
    /// A chunk out of turn.
    #[error("a segment of the centre: chunk {got}, expected {expected}")]
    Index {
        /// The next one.
        expected: u32,
        /// The one that came.
        got: u32,
    },
    /// Fewer labels than tags.
    #[error("a segment of the centre has too few labels")]
    Label,
    /// Its file.
    #[error("{}: {source}: repeat the command, and it is fetched again", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// The fault.
        #[source]
        source: io::Error,
    },
}

/// Checks the chunks of a segment as they come, tags or labels.
pub(super) enum Rooted {
    Tags(SegmentTags, Vec<Tag>),
    Labels(SegmentLabels),
}

impl Rooted {
    pub(super) fn new(space: &Space, bits: TagBits, row: &SegmentRow, labels: bool) -> Self {
        let place = SegmentPlace::new(space, None, row.number);
        match labels {
            true => Self::Labels(SegmentLabels::new(&place, row)),
            false => Self::Tags(SegmentTags::new(&place, bits, row), Vec::new()),
        }
    }

    /// Number of the next chunk.
    pub(super) fn next_chunk(&self) -> u32 {
        match self {
            Self::Tags(segment, _) => segment.next_chunk(),
            Self::Labels(segment) => segment.next_chunk(),
        }
    }

    pub(super) fn take(&mut self, chunk: &Chunk) -> Result<(), SegmentFault> {
        let (expected, got) = (self.next_chunk(), chunk.index);
        if expected != got {
            return Err(SegmentFault::Index { expected, got });
        }
        match self {
            Self::Tags(segment, tags) => segment.chunk(&chunk.bytes, tags).map(drop)?,
            Self::Labels(segment) => segment.chunk(&chunk.bytes).map(drop)?,
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<(), SegmentFault> {
        match self {
            Self::Tags(segment, _) => Ok(segment.finish()?),
            Self::Labels(segment) => Ok(segment.finish()?),
        }
    }
}

/// One tag of a segment.
pub(super) struct Mention {
    pub(super) tag: Tag,
    /// Which of the added ones it is; none if it is removed.
    pub(super) added: Option<u64>,
}

/// The tags of a segment at rest. What it yields counts once it has ended without a fault.
pub(super) struct SegmentFile {
    chunks: ChunkFile,
    segment: Option<SegmentTags>,
    tags: Vec<Tag>,
    at: usize,
    side: Side,
    added: u64,
}

impl SegmentFile {
    pub(super) fn open(
        path: &Path,
        space: &Space,
        bits: TagBits,
        row: &SegmentRow,
    ) -> Result<Self, SegmentFault> {
        let place = SegmentPlace::new(space, None, row.number);
        Ok(Self {
            chunks: ChunkFile::open(path)?,
            segment: Some(SegmentTags::new(&place, bits, row)),
            tags: Vec::new(),
            at: 0,
            side: Side::Removed,
            added: 0,
        })
    }

    /// The next tag; none at the end, when the root was right.
    pub(super) fn next(&mut self) -> Result<Option<Mention>, SegmentFault> {
        loop {
            if let Some(tag) = self.tags.get(self.at).copied() {
                self.at += 1;
                let added = (self.side == Side::Added).then_some(self.added);
                self.added += u64::from(self.side == Side::Added);
                return Ok(Some(Mention { tag, added }));
            }
            let Some(segment) = &mut self.segment else {
                return Ok(None);
            };
            match self.chunks.next()? {
                Some(chunk) => {
                    let read = segment.chunk(&chunk, &mut self.tags);
                    self.side = read.map_err(|error| self.chunks.spoiled(error))?;
                    self.at = 0;
                }
                None => {
                    self.tags.clear();
                    let finished = self.segment.take().map_or(Ok(()), SegmentTags::finish);
                    finished.map_err(|error| self.chunks.spoiled(error))?;
                }
            }
        }
    }
}

/// The labels of a segment at rest, asked for in ascending order.
pub(super) struct LabelFile {
    chunks: ChunkFile,
    place: SegmentPlace,
    segment: SegmentLabels,
    labels: Vec<SealedLabel>,
    /// Number of the first one in `labels`.
    first: u64,
}

impl LabelFile {
    pub(super) fn open(path: &Path, space: &Space, row: &SegmentRow) -> Result<Self, SegmentFault> {
        let place = SegmentPlace::new(space, None, row.number);
        Ok(Self {
            chunks: ChunkFile::open(path)?,
            segment: SegmentLabels::new(&place, row),
            place,
            labels: Vec::new(),
            first: 0,
        })
    }

    /// Opens the label of the `index`th added tag. That it opens is a proof by itself, so no root is waited for. `None` if it
    /// does not: its tag met by chance, or it was sealed for another item.
    pub(super) fn open_label(
        &mut self,
        index: u64,
        tag: Tag,
        doubled: &[u8; 32],
    ) -> Result<Option<Label>, SegmentFault> {
        loop {
            let at = usize::try_from(index.saturating_sub(self.first)).unwrap_or(usize::MAX);
            if let Some(label) = self.labels.get(at) {
                return Ok(Label::open(label, &self.place, tag, doubled).ok());
            }
            let chunk = self.chunks.next()?.ok_or(SegmentFault::Label)?;
            self.first += self.labels.len() as u64;
            let read = self.segment.chunk(&chunk);
            self.labels = read.map_err(|error| self.chunks.spoiled(error))?;
        }
    }
}

/// A session's artifact that streams by.
pub(super) struct SegmentStream {
    segment: SegmentTags,
    tags: Vec<Tag>,
}

impl SegmentStream {
    pub(super) fn new(
        space: &Space,
        session: Option<&SessionId>,
        bits: TagBits,
        row: &SegmentRow,
    ) -> Self {
        let place = SegmentPlace::new(space, session, row.number);
        Self {
            segment: SegmentTags::new(&place, bits, row),
            tags: Vec::new(),
        }
    }

    /// The tags of the next chunk, which must be added ones.
    pub(super) fn take(&mut self, chunk: &Chunk) -> Result<&[Tag], SegmentFault> {
        let (expected, got) = (self.segment.next_chunk(), chunk.index);
        if expected != got {
            return Err(SegmentFault::Index { expected, got });
        }
        match self.segment.chunk(&chunk.bytes, &mut self.tags)? {
            Side::Added => Ok(&self.tags),
            Side::Removed => Ok(&[]),
        }
    }

    pub(super) fn finish(self) -> Result<(), SegmentFault> {
        Ok(self.segment.finish()?)
    }
}

/// The next chunk of a file, after its length; none at the end.
pub(super) fn read_chunk(read: &mut impl io::Read) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    match read.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let length = u32::from_be_bytes(length) as usize;
    if length > limits::MATCH_CHUNK_BYTES {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut chunk = vec![0; length];
    read.read_exact(&mut chunk)?;
    Ok(Some(chunk))
}

/// A file of chunks.
struct ChunkFile {
    file: BufReader<File>,
    path: PathBuf,
}

impl ChunkFile {
    fn open(path: &Path) -> Result<Self, SegmentFault> {
        let file = File::open(path).map_err(|source| SegmentFault::File {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            file: BufReader::with_capacity(2 * limits::MATCH_CHUNK_BYTES, file),
            path: path.to_owned(),
        })
    }

    fn next(&mut self) -> Result<Option<Vec<u8>>, SegmentFault> {
        let read = read_chunk(&mut self.file);
        read.map_err(|source| self.spoiled(source))
    }

    /// The fault of a file that does not hold what it should; it is removed.
    fn spoiled(&self, fault: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> SegmentFault {
        // One that cannot be removed either is told of again.
        let _ = fs::remove_file(&self.path);
        SegmentFault::File {
            path: self.path.clone(),
            source: io::Error::new(io::ErrorKind::InvalidData, fault),
        }
    }
}
