//! The segments of one artifact in a folder, and the tags that an auditor's seed draws of them.
//!
//! Why a folder: a centre writes it and an auditor reads it, each computes the drawn tags from it by itself, and chunk roots in
//! the logged manifest say that it holds what was published. 16 bytes of memory a tag. In scope: files, drawing. Out of
//! scope: opening what was drawn (`open`), judging it (`hashpact_protocol::psi::MatchSample`).

mod open;

use std::io;
use std::path::{Path, PathBuf};

use hashpact_protocol::policy::MatchMode;
use hashpact_protocol::psi::{
    GroupId, Manifest, SegmentError, SegmentPlace, SegmentRow, SegmentTags, Side, Tag,
    sample_positions,
};

use super::chunks::{ChunkFile, write_chunks};
use crate::store::durable::Steps;

pub(crate) use open::{Logged, OpenError};

pub(crate) use super::chunks::ChunkFile as SegmentChunks;

/// Which artifact of a manifest: group, code of the fingerprint type, mode.
pub type Place = (GroupId, u8, MatchMode);

/// Why nothing is drawn from a folder.
#[derive(Debug, thiserror::Error)]
pub enum DrawError {
    /// The manifest has no such artifact.
    #[error("the manifest has no such artifact")]
    Artifact,
    /// The disk, or a file that is none of chunks.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that is not the segment that the manifest names.
    #[error("{}: {source}", path.display())]
    Segment {
        /// The file.
        path: PathBuf,
        /// Why.
        source: SegmentError,
    },
}

/// Writes a segment's chunks into a folder; durable when it returns.
///
/// # Errors
/// Those of writing.
pub fn write_segment(folder: &Path, number: u32, chunks: &[Vec<u8>]) -> io::Result<()> {
    write_chunks(&file(folder, number), chunks, &Steps::default())
}

fn file(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("segment-{number}.tags"))
}

/// What was drawn.
pub struct Drawn {
    /// The drawn tags, ascending.
    pub tags: Vec<Tag>,
    /// How many tags the artifact has.
    pub of: u64,
}

/// The tags that a seed draws of an artifact, whose segments are in the folder; each is compared with its root.
/// `hash` is the SHA-256 of the signed manifest.
///
/// # Errors
/// [`DrawError`].
pub fn draw(
    folder: &Path,
    manifest: &Manifest,
    hash: &[u8; 32],
    place: Place,
    seed: &[u8; 32],
    draws: usize,
) -> Result<Drawn, DrawError> {
    let (group, kind, mode) = place;
    let artifact = manifest.artifact(group, kind, mode);
    let artifact = artifact.ok_or(DrawError::Artifact)?;
    let space = manifest.space(group, kind, mode);
    let mut held = Vec::new();
    for row in &artifact.segments {
        let at = SegmentPlace::new(&space, None, row.number);
        let reader = SegmentTags::new(&at, manifest.bits, row);
        let [removed, mut added] = read(&file(folder, row.number), row, reader)?;
        held.retain(|tag| removed.binary_search(tag).is_err());
        held.append(&mut added);
        // Stable sorting merges the two runs that there are.
        held.sort();
        held.dedup();
    }
    let of = held.len() as u64;
    let positions = sample_positions(seed, hash, place, of, draws);
    let at = |position| usize::try_from(position).ok().and_then(|at| held.get(at));
    let tags = positions.into_iter().filter_map(at).copied().collect();
    Ok(Drawn { tags, of })
}

/// What a segment removes and adds, each ascending.
fn read(
    path: &Path,
    row: &SegmentRow,
    mut reader: SegmentTags,
) -> Result<[Vec<Tag>; 2], DrawError> {
    let named = |source| DrawError::Io {
        path: path.to_owned(),
        source,
    };
    let wrong = |source| DrawError::Segment {
        path: path.to_owned(),
        source,
    };
    let file = ChunkFile::open(path).map_err(named)?;
    let (mut removed, mut added, mut tags) = (Vec::new(), Vec::new(), Vec::new());
    for index in 0..file.len() {
        let chunk = file.chunk(index).map_err(named)?.unwrap_or_default();
        match reader.chunk(&chunk, &mut tags).map_err(wrong)? {
            Side::Removed => removed.append(&mut tags),
            Side::Added => added.append(&mut tags),
        }
        if added.len() as u64 > row.added || removed.len() as u64 > row.removed {
            break;
        }
    }
    reader.finish().map_err(wrong)?;
    Ok([removed, added])
}
