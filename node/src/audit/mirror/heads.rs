//! Checkpoints and histories of a copy: what a source shows, and what is kept of it.
//!
//! A history is as long as its log is old: it is read and written piece by piece, and never held as a whole. In scope: notes,
//! one after the other. Out of scope: leaves (`growth`), who cosigned (`verify`).

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use hashpact_keys::Timestamp;
use hashpact_keys::roster::CentreEntry;
use hashpact_protocol::audit::HistoryNotes;
use hashpact_protocol::log::{CheckpointError, SignedCheckpoint, SignedNote};

use super::super::folder::NOTE_LEN;
use super::super::source::{Source, SourceError};
use super::log::{Log, LogFault};
use super::write;
use crate::store::durable::{Steps, Writer};

/// Bytes of a history that are asked for at once: some 12,000 notes.
const PIECE_LEN: u64 = 8 * 1024 * 1024;
/// Bytes of a history that are written at once.
const WRITE_LEN: usize = 1024 * 1024;
/// Notes of one source's history that may be no larger checkpoints of the log before it is read no further.
const ODD_MAX: usize = 64;
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

    pub(super) fn parsed(&self) -> Option<SignedNote> {
        self.0.signed_note().ok()
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
    let head = Head::open(note, log.centres, log.mirror.now)?;
    let from = log.folder.read_len(&log.path("history"));
    let mut last = None;
    let mut each = |fresh| {
        last = Some(fresh);
        Ok::<_, SourceError>(ControlFlow::Continue(()))
    };
    if each_from(source, log, from, &mut each)? == Found::Unfitting {
        each_from(source, log, 0, &mut each)?;
    }
    match last {
        Some(last) if last.size() != head.size() => Ok(Some(last)),
        Some(_) | None => Ok(Some(head)),
    }
}

/// What a source's history has from a place on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    /// Nothing.
    Nothing,
    /// Bytes that begin with no checkpoint: with other lines of cosigners its notes lie elsewhere.
    Unfitting,
    /// Checkpoints.
    Checkpoints,
}

/// Reads a source's history from a place on, piece by piece, and hands on its checkpoints.
///
/// A history grows with its log, so neither its length nor memory bounds it: what is read is bounded by what the log signed,
/// each checkpoint larger than the one before it.
fn each_from<E: From<SourceError>>(
    source: &dyn Source,
    log: &Log<'_>,
    from: u64,
    each: &mut dyn FnMut(Head) -> Result<ControlFlow<()>, E>,
) -> Result<Found, E> {
    let path = log.path("history");
    let fault = RefCell::new(None);
    let mut notes = HistoryNotes::new(pieces(source, &path, from, &fault));
    let open = |note: Result<Vec<u8>, _>| {
        let head = note.map(|note| Head::open(note, log.centres, log.mirror.now));
        head.ok()?.ok()
    };
    let found = match notes.next() {
        None => Found::Nothing,
        Some(note) => match open(note) {
            None => Found::Unfitting,
            Some(first) => {
                let size = first.size();
                if each(first)?.is_continue() && !each_larger(size, notes.map(open), each)? {
                    return Err(SourceError::History { path }.into());
                }
                Found::Checkpoints
            }
        },
    };
    match fault.take() {
        Some(fault) => Err(fault.into()),
        None => Ok(found),
    }
}

/// Hands on what is larger than all before it; false if too much is not.
fn each_larger<E>(
    mut size: u64,
    heads: impl Iterator<Item = Option<Head>>,
    each: &mut dyn FnMut(Head) -> Result<ControlFlow<()>, E>,
) -> Result<bool, E> {
    let mut odd = 0;
    for head in heads {
        match head.filter(|head| head.size() > size) {
            Some(head) => {
                size = head.size();
                if each(head)?.is_break() {
                    break;
                }
            }
            None => odd += 1,
        }
        if odd > ODD_MAX {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A source's history from a place on; it ends at the first fault, which is laid in `fault`.
fn pieces<'a>(
    source: &'a dyn Source,
    path: &'a str,
    from: u64,
    fault: &'a RefCell<Option<SourceError>>,
) -> impl Iterator<Item = Vec<u8>> {
    let mut next = Some(from);
    std::iter::from_fn(move || {
        let from = next?;
        let piece = match source.get_from(path, from, PIECE_LEN) {
            Ok(piece) => piece.unwrap_or_default(),
            Err(error) => {
                *fault.borrow_mut() = Some(error);
                Vec::new()
            }
        };
        let len = piece.len() as u64;
        // A piece that is not full was the last one.
        next = (len >= PIECE_LEN).then_some(from.saturating_add(len));
        (len > 0).then_some(piece)
    })
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
    let mut tail = Tail::new(log.folder.path(&path), kept);
    let mut each = |head: Head| {
        let size = head.size();
        if size > held.size() {
            return Ok(ControlFlow::Break(()));
        }
        if last.is_some_and(|last| size <= last) {
            return Ok(ControlFlow::Continue(()));
        }
        if log.root(held.size(), size)? == head.root() {
            tail.note(head.note())?;
        } else {
            keep_refused(log, &head)?;
        }
        Ok::<_, LogFault>(ControlFlow::Continue(()))
    };
    let read = match each_from(source, log, kept, &mut each) {
        Ok(Found::Nothing | Found::Unfitting) if kept > 0 => {
            each_from(source, log, 0, &mut each).map(drop)
        }
        read => read.map(drop),
    };
    // What came before a fault is right all the same.
    tail.finish()?;
    read
}

/// The end of the copy's history, while it grows.
struct Tail {
    path: PathBuf,
    /// Bytes before it that stay.
    kept: u64,
    buffer: Vec<u8>,
    out: Option<Out>,
}

/// Where it goes: a file that takes its name when it is whole, or the file that is there.
enum Out {
    New(Writer),
    Held(File),
}

impl Tail {
    fn new(path: PathBuf, kept: u64) -> Self {
        let (buffer, out) = (Vec::new(), None);
        Self {
            path,
            kept,
            buffer,
            out,
        }
    }

    fn note(&mut self, note: &[u8]) -> io::Result<()> {
        self.buffer.extend_from_slice(note);
        self.buffer.push(b'\n');
        if self.buffer.len() < WRITE_LEN {
            return Ok(());
        }
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        let bytes = std::mem::take(&mut self.buffer);
        if self.out.is_none() {
            self.out = Some(Out::open(&self.path, self.kept)?);
        }
        match &mut self.out {
            Some(Out::New(writer)) => writer.write_all(&bytes),
            Some(Out::Held(file)) => file.write_all(&bytes),
            None => Ok(()),
        }
    }

    fn finish(mut self) -> io::Result<()> {
        if !self.buffer.is_empty() {
            self.flush()?;
        }
        match self.out {
            Some(Out::New(writer)) => writer.finish(),
            Some(Out::Held(file)) => file.sync_all(),
            None => Ok(()),
        }
    }
}

impl Out {
    fn open(path: &Path, kept: u64) -> io::Result<Self> {
        if kept == 0 {
            return Ok(Self::New(Writer::create(path, &Steps::default())?));
        }
        // It was read up to there, so it is a plain file; what a stop in the middle of a note left behind goes.
        let mut file = OpenOptions::new().write(true).open(path)?;
        file.set_len(kept)?;
        file.seek(SeekFrom::Start(kept))?;
        Ok(Self::Held(file))
    }
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
