//! Checkpoints and histories of a copy: what a source shows, and what is kept of it.
//!
//! In scope: notes, one after the other. Out of scope: leaves (`growth`), who cosigned (`verify`).

use std::io;

use hashpact_keys::Timestamp;
use hashpact_keys::roster::CentreEntry;
use hashpact_protocol::audit::HistoryNotes;
use hashpact_protocol::log::{CheckpointError, SignedCheckpoint};

use super::super::folder::NOTE_LEN;
use super::super::source::{Source, SourceError};
use super::log::{Log, LogFault};
use super::write;

/// Bytes of a history that are asked for at once: some 400,000 notes.
const HISTORY_LEN: u64 = 256 * 1024 * 1024;
/// Notes of one log that are kept without being taken.
const REFUSED_MAX: usize = 64;

/// A checkpoint that a log key of the centre signed.
#[derive(Clone, Debug)]
pub(super) struct Head(SignedCheckpoint);

/// How a head stands to the one held.
pub(super) enum Standing {
    /// Larger: to be shown to continue it.
    Further,
    /// Of the same size and root.
    Same,
    /// Smaller, and what was held at that size.
    Behind,
    /// Not what is held at that size.
    Aside,
}

impl Head {
    /// Opens a note under the centre as any roster has it, newest first.
    pub(super) fn open(
        note: Vec<u8>,
        centres: &[CentreEntry],
        now: Timestamp,
    ) -> Result<Self, CheckpointError> {
        let mut last = CheckpointError::Shape;
        for centre in centres {
            match SignedCheckpoint::open(&note, centre, now) {
                Ok((head, _)) => return Ok(Self(head)),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    pub(super) fn size(&self) -> u64 {
        self.0.checkpoint().size
    }

    pub(super) fn root(&self) -> [u8; 32] {
        self.0.checkpoint().root
    }

    pub(super) fn note(&self) -> &[u8] {
        self.0.note()
    }
}

/// Why what a source shows as a checkpoint is none.
#[derive(Debug, thiserror::Error)]
pub(super) enum HeadFault {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("its checkpoint: {0}")]
    Checkpoint(#[from] CheckpointError),
}

/// The newest witnessed note of a source: its checkpoint, or the last of its history if the checkpoint runs ahead of it.
pub(super) fn of_source(source: &dyn Source, log: &Log<'_>) -> Result<Option<Head>, HeadFault> {
    let Some(note) = source.get(&log.path("checkpoint"), NOTE_LEN)? else {
        return Ok(None);
    };
    let open = |note| Head::open(note, log.centres, log.mirror.now);
    let head = open(note)?;
    let path = log.path("history");
    let from = log.folder.read_len(&path);
    let Some(history) = source.get_from(&path, from, HISTORY_LEN)? else {
        return Ok(Some(head));
    };
    let last = notes(history).last();
    match last.map(open).transpose()? {
        Some(last) if last.size() != head.size() => Ok(Some(last)),
        Some(_) | None => Ok(Some(head)),
    }
}

/// The whole notes of a piece of history.
fn notes(history: Vec<u8>) -> impl Iterator<Item = Vec<u8>> {
    HistoryNotes::new(std::iter::once(history)).map_while(Result::ok)
}

/// Appends to the copy's history what a source's has beyond it, up to the checkpoint held.
pub(super) fn extend_history(
    source: &dyn Source,
    log: &Log<'_>,
    held: &Head,
) -> Result<(), LogFault> {
    let path = log.path("history");
    let pieces = log.folder.pieces(&path);
    let (mut kept, mut last) = (0_u64, None);
    for note in HistoryNotes::new(pieces).map_while(Result::ok) {
        // What a stop in the middle of a note left behind is written again.
        kept += note.len() as u64 + 1;
        let head = SignedCheckpoint::from_store(&note);
        last = head.ok().map(|head| head.checkpoint().size).or(last);
    }
    if last.is_some_and(|last| last >= held.size()) {
        return Ok(());
    }
    let fresh = fresh(source, log, held, kept, last)?;
    if fresh.is_empty() {
        return Ok(());
    }
    let mut bytes = log.folder.read_from(&path, 0, kept)?.unwrap_or_default();
    bytes.extend_from_slice(&fresh);
    write(&log.folder.path(&path), &bytes)?;
    Ok(())
}

/// The notes of a source's history above what is held of it, as bytes. If it does not go on where the copy's ends, which
/// lines of cosigners make it do, it is read from its beginning.
fn fresh(
    source: &dyn Source,
    log: &Log<'_>,
    held: &Head,
    kept: u64,
    last: Option<u64>,
) -> Result<Vec<u8>, LogFault> {
    let path = log.path("history");
    for from in [kept, 0] {
        let Some(piece) = source.get_from(&path, from, HISTORY_LEN)? else {
            return Ok(Vec::new());
        };
        let fits = match notes(piece.clone()).next() {
            Some(first) => Head::open(first, log.centres, log.mirror.now).is_ok(),
            None => false,
        };
        if fits {
            return chosen(log, held, piece, last);
        }
    }
    Ok(Vec::new())
}

/// Those notes that go on from `last` to the checkpoint held and say what the copy says.
fn chosen(
    log: &Log<'_>,
    held: &Head,
    piece: Vec<u8>,
    mut last: Option<u64>,
) -> Result<Vec<u8>, LogFault> {
    let mut bytes = Vec::new();
    for note in notes(piece) {
        let Ok(head) = Head::open(note, log.centres, log.mirror.now) else {
            continue;
        };
        let size = head.size();
        if size > held.size() || last.is_some_and(|last| size <= last) {
            continue;
        }
        if log.root(held.size(), size)? != head.root() {
            keep_refused(log, &head)?;
            continue;
        }
        last = Some(size);
        bytes.extend_from_slice(head.note());
        bytes.push(b'\n');
    }
    Ok(bytes)
}

/// Keeps a note that is not taken, once: it is evidence.
pub(super) fn keep_refused(log: &Log<'_>, head: &Head) -> io::Result<()> {
    let path = log.path("refused");
    let known: Vec<Vec<u8>> = HistoryNotes::new(log.folder.pieces(&path))
        .map_while(Result::ok)
        .collect();
    let is_known = known.iter().any(|note| note == head.note());
    if is_known || known.len() >= REFUSED_MAX {
        return Ok(());
    }
    let mut bytes = Vec::new();
    for note in known.iter().map(Vec::as_slice).chain([head.note()]) {
        bytes.extend_from_slice(note);
        bytes.push(b'\n');
    }
    write(&log.folder.path(&path), &bytes)
}
