//! What the log folder shows of a log beside its tiles: `checkpoint`, `history`, `fork`, and the rosters.
//!
//! Why after the commit: these files repeat what the control database holds, so that an auditor's tools find it; a crash
//! before they are written is made good at the next open. `checkpoint` is never ahead of the tiles: it is the newest note
//! that a quorum cosigned, over leaves that are stored. `history` gets one note for each size that became witnessed, as the
//! first quorum left it, and is only ever appended to: what it ends with decides whether a note is missing, in a commit as
//! at an open.
//! In scope: these files. Out of scope: tiles and bundles, which the commit writes.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use hashpact_keys::Origin;
use hashpact_protocol::limits;
use hashpact_protocol::log::{LogFile, SignedCheckpoint, edge};
use hashpact_protocol::view::{LogState, View as _};

use super::Store;
use super::commit::Plan;
use super::durable::write_many;

/// What parts two notes in `history`: each ends in one newline already.
const PART: &[u8] = b"\n";

/// What a line of signature begins with.
const DASH: &[u8] = "\u{2014} ".as_bytes();

/// Bytes of a note and what follows it, at most.
const NOTE_LEN: u64 = (limits::NOTE_BYTES + PART.len()) as u64;

/// The note that `checkpoint` holds: the newest that is witnessed, over leaves that are stored.
pub(super) fn publishable(state: &LogState) -> Option<&[u8]> {
    let head = state.witnessed.as_ref()?;
    (head.checkpoint().size <= state.size).then_some(head.note())
}

impl Store {
    /// Publishes what a commit changed.
    pub(super) fn publish(&self, plan: &Plan) -> io::Result<()> {
        for (origin, note) in &plan.checkpoints {
            self.write_edge(origin, note)?;
        }
        let checkpoints = plan.checkpoints.iter();
        let mut files: Vec<(PathBuf, &[u8])> = checkpoints
            .map(|(origin, note)| (self.layout.checkpoint(origin), &note[..]))
            .collect();
        let forks = plan.change.forks.iter();
        files.extend(forks.map(|(origin, proof)| (self.layout.fork(origin), &proof[..])));
        let rosters = plan.change.rosters.iter();
        files.extend(
            rosters.map(|(version, bytes)| (self.layout.roster(version.get()), &bytes[..])),
        );
        write_many(&self.layout.staging(), &files, &self.steps)?;
        // After the checkpoint: a reader never finds a history that is ahead of it.
        let mut checkpoints = plan.checkpoints.iter();
        checkpoints.try_for_each(|(origin, note)| self.keep_history(origin, note))
    }

    /// Puts right whatever a crash left behind the control database.
    pub(super) fn publish_all(&self) -> Result<(), super::OpenError> {
        let logs = self.live().logs.clone();
        let notes = logs
            .iter()
            .filter_map(|(origin, state)| Some((origin, publishable(state)?)));
        let mut wanted: Vec<(PathBuf, Vec<u8>)> = notes
            .clone()
            .map(|(origin, note)| (self.layout.checkpoint(origin), note.to_vec()))
            .collect();
        let forks = self.control.forks()?.into_iter();
        wanted.extend(forks.map(|(origin, proof)| (self.layout.fork(&origin), proof)));
        let rosters = self.control.rosters()?.into_iter();
        wanted.extend(rosters.map(|(version, bytes)| (self.layout.roster(version), bytes)));
        let mut stale = Vec::new();
        for (path, bytes) in &wanted {
            if read(path)?.as_ref() != Some(bytes) {
                stale.push((path.clone(), &bytes[..]));
            }
        }
        for (origin, note) in notes.clone() {
            // A log whose tiles are damaged is found out by whoever reads it; the others are served.
            if let Err(error) = self.write_edge(origin, note) {
                tracing::error!(%origin, %error, "the tiles of the published checkpoint are not complete");
            }
        }
        write_many(&self.layout.staging(), &stale, &self.steps)?;
        for (origin, note) in notes {
            self.keep_history(origin, note)?;
        }
        Ok(())
    }

    /// The folders of logs whose `checkpoint` is of a smaller size than what is stored.
    pub(super) fn folders_behind(&self) -> Vec<PathBuf> {
        let live = self.live();
        let logs = live.logs.iter();
        let behind = logs.filter(|(_, state)| {
            let published = publishable(state).and_then(size_of);
            published.is_some_and(|published| published < state.size)
        });
        let folder = |origin| self.layout.checkpoint(origin).parent().map(Path::to_owned);
        behind.filter_map(|(origin, _)| folder(origin)).collect()
    }

    /// Writes the partial tiles that a checkpoint calls for where a log grew past it at once: what is published beside a
    /// `checkpoint` is of its size. Before it, so that no reader finds one without the other.
    fn write_edge(&self, origin: &Origin, note: &[u8]) -> io::Result<()> {
        let (size, at) = (self.log(origin).size, size_of(note).unwrap_or(0));
        if at == 0 || at >= size {
            return Ok(());
        }
        let files = |path: &str| self.log_file(origin, path);
        let edge = edge(&files, size, at).map_err(io::Error::other)?;
        let mut missing = Vec::new();
        for LogFile { path, bytes } in edge {
            let path = self.layout.tile(origin, &path);
            let path = path.ok_or_else(|| io::Error::other("a tile's path"))?;
            if !path.exists() {
                missing.push((path, bytes));
            }
        }
        let missing: Vec<_> = missing
            .iter()
            .map(|(path, bytes)| (path.clone(), &bytes[..]))
            .collect();
        write_many(&self.layout.staging(), &missing, &self.steps)
    }

    /// Appends a note to a log's history, if it has none of this size or above; before that cuts off the note at its end
    /// that a crash left half written.
    fn keep_history(&self, origin: &Origin, note: &[u8]) -> io::Result<()> {
        let path = self.layout.history(origin);
        let Some(end) = read_end(&path)? else {
            return self.begin_history(&path, note);
        };
        if end.torn > NOTE_LEN {
            // No crash leaves that much. It may be evidence, and what is true does not depend on it.
            tracing::error!(%origin, "the history of this log is damaged: it is left as it is");
            return Ok(());
        }
        if end.torn > 0 {
            self.steps.pass("mend history")?;
            let file = OpenOptions::new().write(true).open(&path)?;
            file.set_len(end.whole)?;
            file.sync_all()?;
        }
        if end.last < size_of(note) {
            self.steps.pass("append history")?;
            let mut file = OpenOptions::new().append(true).open(&path)?;
            file.write_all(&[note, PART].concat())?;
            self.steps.pass("fsync history")?;
            file.sync_data()?;
        }
        Ok(())
    }

    fn begin_history(&self, path: &Path, note: &[u8]) -> io::Result<()> {
        write_many(
            &self.layout.staging(),
            &[(path.to_owned(), &[note, PART].concat())],
            &self.steps,
        )
    }
}

/// How a history ends.
struct End {
    /// Bytes up to and with its last whole note.
    whole: u64,
    /// Bytes behind it.
    torn: u64,
    /// Size of the last whole note; nothing if there is none.
    last: Option<u64>,
}

/// Reads the end of a history; nothing if there is none.
fn read_end(path: &Path) -> io::Result<Option<End>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let len = file.seek(SeekFrom::End(0))?;
    // The last whole note, the end of the one before it, and a torn one.
    let from = len.saturating_sub(3 * NOTE_LEN);
    file.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    file.take(3 * NOTE_LEN).read_to_end(&mut tail)?;
    let [before, whole] = last_ends(&tail);
    Ok(Some(End {
        whole: from + whole as u64,
        torn: (tail.len() - whole) as u64,
        last: size_of(tail[before..whole].strip_suffix(PART).unwrap_or_default()),
    }))
}

/// Where the last whole note but one and the last one end, with the empty lines behind them; 0 for one that is not there.
fn last_ends(tail: &[u8]) -> [usize; 2] {
    let mut ends = [0, 0];
    for (at, pair) in tail.windows(2).enumerate() {
        // A note has an empty line of its own, before its signatures: what ends it follows a line of signature.
        let line = || tail[..at].rsplit(|byte| *byte == b'\n').next();
        if pair == b"\n\n" && line().is_some_and(|line| line.starts_with(DASH)) {
            ends = [ends[1], at + 2];
        }
    }
    ends
}

/// Leaves that a note counts; nothing if it is none.
fn size_of(note: &[u8]) -> Option<u64> {
    let head = SignedCheckpoint::from_store(note).ok()?;
    Some(head.checkpoint().size)
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
