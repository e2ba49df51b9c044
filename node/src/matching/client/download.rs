//! Segments of artifacts, brought here once: checked against the manifest's roots before anything is compared with them.
//!
//! A segment travels in chunks and rests as it came, each chunk after its length. It gets its name when its last chunk is
//! there and its root is the one of the manifest; until then it rests beside its place, and a later attempt asks for the
//! chunks that are missing. In scope: chunks of one segment. Out of scope: tags (`segment`).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use hashpact_protocol::psi::{
    Answer, Ask, Chunk, SegmentAsk, SegmentLabels, SegmentRow, Space, TagBits,
};
use hashpact_protocol::{Hash, limits};
use tokio::task::block_in_place;

use super::cache::{Cache, CacheError};
use super::segment::{Rooted, SegmentFault, read_chunk};
use super::talk::{self, Opener, Patience, TalkError};

/// How the name of a segment ends of which chunks are missing.
pub(super) const PARTIAL: &str = "partial";

/// Why a segment is not there.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The exchange.
    #[error(transparent)]
    Talk(#[from] TalkError),
    /// It is not what the manifest lists.
    #[error(transparent)]
    Segment(#[from] SegmentFault),
    /// The disk.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

/// A segment of a manifest: its tags, or its labels.
pub(super) struct Wanted<'a> {
    pub(super) space: &'a Space,
    pub(super) bits: TagBits,
    pub(super) row: &'a SegmentRow,
    pub(super) labels: bool,
}

impl Wanted<'_> {
    /// What checks its chunks.
    fn rooted(&self) -> Rooted {
        Rooted::new(self.space, self.bits, self.row, self.labels)
    }

    /// How many chunks it has.
    fn chunks(&self) -> u32 {
        match self.labels {
            true => SegmentLabels::chunks_of(self.row),
            false => self.row.chunks,
        }
    }

    /// The root that its chunks must have; none for labels where there are none.
    fn root(&self) -> Option<Hash> {
        match self.labels {
            true => self.row.label_root,
            false => Some(self.row.root),
        }
    }
}

/// Brings a segment here unless it is; returns its file. `hear` is told of bytes.
pub(super) async fn fetch<O: Opener>(
    opener: &O,
    patience: &Patience,
    cache: &Cache,
    wanted: &Wanted<'_>,
    hear: &(dyn Fn(u64) + Send + Sync),
) -> Result<Option<PathBuf>, DownloadError> {
    let Some(root) = wanted.root() else {
        return Ok(None);
    };
    let path = cache.segment(&root);
    if path.exists() {
        return Ok(Some(path));
    }
    // What a run before left may be much to read: other tasks of this thread move elsewhere meanwhile.
    let mut download = block_in_place(|| Download::resume(&path, wanted))?;
    let fetched = match download.rooted.next_chunk() < wanted.chunks() {
        true => download.receive(opener, patience, wanted, hear).await,
        false => Ok(()),
    };
    match fetched.and_then(|()| download.finish()) {
        Ok(()) => Ok(Some(path)),
        // Chunks that are not the root's must not be gone on with.
        Err(error @ DownloadError::Segment(_)) => {
            remove(&path.with_extension(PARTIAL))?;
            Err(error)
        }
        Err(error @ (DownloadError::Talk(_) | DownloadError::Cache(_))) => Err(error),
    }
}

/// A segment in the making: what came of it rests beside its place, and is gone on with.
struct Download {
    file: io::BufWriter<File>,
    rooted: Rooted,
    path: PathBuf,
}

impl Download {
    /// Takes up what an attempt before left: whole chunks that can be the segment's. Whether they are, its root tells.
    fn resume(path: &Path, wanted: &Wanted<'_>) -> Result<Self, CacheError> {
        let partial = path.with_extension(PARTIAL);
        let failed = |source| CacheError {
            path: partial.clone(),
            source,
        };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).mode(0o600);
        let mut file = options.truncate(false).open(&partial).map_err(failed)?;
        // Two that write into one file would spoil each other's work.
        file.try_lock().map_err(|error| failed(error.into()))?;
        let (rooted, end) = match taken(&file, wanted) {
            Some(taken) => taken,
            None => (wanted.rooted(), 0),
        };
        file.set_len(end).map_err(failed)?;
        file.seek(SeekFrom::Start(end)).map_err(failed)?;
        Ok(Self {
            file: io::BufWriter::with_capacity(2 * limits::MATCH_CHUNK_BYTES, file),
            rooted,
            path: path.to_owned(),
        })
    }

    /// Asks for the chunks that are missing, and takes them.
    async fn receive<O: Opener>(
        &mut self,
        opener: &O,
        patience: &Patience,
        wanted: &Wanted<'_>,
        hear: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<(), DownloadError> {
        let (mut speaker, mut hearer) = talk::open(opener, patience).await?;
        speaker
            .say(&Ask::Segment(SegmentAsk {
                epoch: wanted.space.epoch,
                group: wanted.space.group,
                kind: wanted.space.kind,
                mode: wanted.space.mode,
                segment: wanted.row.root,
                labels: wanted.labels,
                from_chunk: self.rooted.next_chunk(),
            }))
            .await?;
        loop {
            match hearer.hear().await? {
                Answer::Chunk(chunk) => {
                    // Bounds first: a centre that never ends is cut off at the chunk after the last.
                    self.rooted.take(&chunk)?;
                    self.write(&chunk.bytes)?;
                    hear(chunk.bytes.len() as u64);
                }
                Answer::End => return Ok(()),
                Answer::Manifest { .. }
                | Answer::Opened(_)
                | Answer::Refused { .. }
                | Answer::Evaluated { .. }
                | Answer::Shuffled { .. }
                | Answer::Artifact(_)
                | Answer::Closed { .. } => {
                    let expected = "the next chunk of a segment";
                    return Err(TalkError::Turn { expected }.into());
                }
            }
        }
    }

    fn write(&mut self, chunk: &[u8]) -> Result<(), CacheError> {
        let length = u32::try_from(chunk.len()).unwrap_or(u32::MAX);
        let written = self.file.write_all(&length.to_be_bytes());
        written
            .and_then(|()| self.file.write_all(chunk))
            .map_err(|source| self.failed(source))
    }

    /// Gives the segment its name, if it is the one of its root.
    fn finish(mut self) -> Result<(), DownloadError> {
        let finished = self.file.flush();
        finished.map_err(|source| self.failed(source))?;
        self.rooted.finish()?;
        // A file that a loss of power tore has another root, and is noticed when it is read.
        let named = fs::rename(self.path.with_extension(PARTIAL), &self.path);
        let path = self.path;
        Ok(named.map_err(|source| CacheError { path, source })?)
    }

    fn failed(&self, source: io::Error) -> CacheError {
        CacheError {
            path: self.path.clone(),
            source,
        }
    }
}

/// The whole chunks of a file, and where they end; none if one of them is no chunk of the segment.
fn taken(file: &File, wanted: &Wanted<'_>) -> Option<(Rooted, u64)> {
    let mut read = io::BufReader::with_capacity(2 * limits::MATCH_CHUNK_BYTES, file);
    let (mut rooted, mut end) = (wanted.rooted(), 0);
    loop {
        let bytes = match read_chunk(&mut read) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Some((rooted, end)),
            // The last one was being written.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Some((rooted, end));
            }
            Err(_) => return None,
        };
        end += 4 + bytes.len() as u64;
        let index = rooted.next_chunk();
        rooted.take(&Chunk { index, bytes }).ok()?;
    }
}

fn remove(path: &Path) -> Result<(), CacheError> {
    let path_of = || path.to_owned();
    fs::remove_file(path).map_err(|source| CacheError {
        path: path_of(),
        source,
    })
}
