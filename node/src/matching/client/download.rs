//! Segments of artifacts, brought here once: checked against the manifest's roots before anything is compared with them.
//!
//! A segment travels in chunks and rests as it came, each chunk after its length. It gets its name when its last chunk is
//! there and its root is the one of the manifest. What was cut begins again: a segment is at most some 5 bytes an item. In
//! scope: chunks of one segment. Out of scope: tags (`segment`).

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use hashpact_protocol::psi::{Answer, Ask, SegmentAsk, SegmentRow, Space, TagBits};
use hashpact_protocol::{Hash, limits};

use super::cache::{Cache, CacheError};
use super::segment::{Rooted, SegmentFault};
use super::talk::{self, Opener, Patience, TalkError};

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
    let (mut speaker, mut hearer) = talk::open(opener, patience).await?;
    speaker
        .say(&Ask::Segment(SegmentAsk {
            epoch: wanted.space.epoch,
            group: wanted.space.group,
            kind: wanted.space.kind,
            mode: wanted.space.mode,
            segment: wanted.row.root,
            labels: wanted.labels,
            from_chunk: 0,
        }))
        .await?;
    let mut download = Download::new(&path)?;
    let mut rooted = Rooted::new(wanted.space, wanted.bits, wanted.row, wanted.labels);
    loop {
        match hearer.hear().await? {
            Answer::Chunk(chunk) => {
                // Bounds first: a centre that never ends is cut off at the chunk after the last.
                rooted.take(&chunk)?;
                download.write(&chunk.bytes)?;
                hear(chunk.bytes.len() as u64);
            }
            Answer::End => break,
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
    rooted.finish()?;
    download.finish()?;
    Ok(Some(path))
}

/// A file in the making: it is removed unless it is finished.
struct Download {
    file: io::BufWriter<File>,
    partial: PathBuf,
    path: PathBuf,
}

impl Download {
    fn new(path: &Path) -> Result<Self, CacheError> {
        let partial = path.with_extension("partial");
        let file = File::create(&partial).map_err(|source| CacheError {
            path: partial.clone(),
            source,
        })?;
        Ok(Self {
            file: io::BufWriter::with_capacity(2 * limits::MATCH_CHUNK_BYTES, file),
            partial,
            path: path.to_owned(),
        })
    }

    fn write(&mut self, chunk: &[u8]) -> Result<(), CacheError> {
        let length = u32::try_from(chunk.len()).unwrap_or(u32::MAX);
        let written = self.file.write_all(&length.to_be_bytes());
        written
            .and_then(|()| self.file.write_all(chunk))
            .map_err(|source| self.failed(source))
    }

    fn finish(mut self) -> Result<(), CacheError> {
        let finished = self.file.flush();
        // A file that a loss of power tore has another root, and is noticed when it is read.
        finished
            .and_then(|()| fs::rename(&self.partial, &self.path))
            .map_err(|source| self.failed(source))
    }

    fn failed(&self, source: io::Error) -> CacheError {
        CacheError {
            path: self.path.clone(),
            source,
        }
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        // Finished, it has another name by now.
        let _ = fs::remove_file(&self.partial);
    }
}
