//! What the log folder shows of a log beside its tiles: `checkpoint`, `history`, `fork`, and the rosters.
//!
//! Why after the commit: these files repeat what the control database holds, so that an auditor's tools find it; a crash
//! before they are written is made good at the next open. `checkpoint` is never ahead of the tiles: it is the newest note
//! that a quorum cosigned, over leaves that are stored. `history` gets one note for each size that became witnessed, as the
//! first quorum left it, and is only ever appended to.
//! In scope: these files. Out of scope: tiles and bundles, which the commit writes.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;

use hashpact_keys::Origin;
use hashpact_protocol::limits;
use hashpact_protocol::log::SignedCheckpoint;
use hashpact_protocol::view::LogState;

use super::Store;
use super::commit::Plan;
use super::durable::{create_dirs, sync_dir, write_many};

/// What parts two notes in `history`: each ends in one newline already.
const PART: &[u8] = b"\n";

/// The note that `checkpoint` holds: the newest that is witnessed, over leaves that are stored.
pub(super) fn publishable(state: &LogState) -> Option<&[u8]> {
    let head = state.witnessed.as_ref()?;
    (head.checkpoint().size <= state.size).then_some(head.note())
}

pub(super) fn witnessed_size(state: &LogState) -> Option<u64> {
    state.witnessed.as_ref().map(|head| head.checkpoint().size)
}

impl Store {
    /// Publishes what a commit changed.
    pub(super) fn publish(&self, plan: &Plan) -> io::Result<()> {
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
        plan.witnessed
            .iter()
            .try_for_each(|(origin, note)| self.append_history(origin, note))
    }

    fn append_history(&self, origin: &Origin, note: &[u8]) -> io::Result<()> {
        self.steps.pass("append history")?;
        let path = self.layout.history(origin);
        let is_new = !path.exists();
        let mut file = OpenOptions::new().append(true).create(true).open(&path)?;
        file.write_all(&[note, PART].concat())?;
        file.sync_data()?;
        match path.parent().filter(|_| is_new) {
            Some(folder) => sync_dir(folder, &self.steps),
            None => Ok(()),
        }
    }

    /// Puts right whatever a crash left behind the control database.
    pub(super) fn publish_all(&self) -> Result<(), super::OpenError> {
        let mut wanted = Vec::new();
        let logs = self.live().logs.clone();
        for (origin, state) in &logs {
            let note = publishable(state);
            wanted.extend(note.map(|note| (self.layout.checkpoint(origin), note.to_vec())));
        }
        let forks = self.control.forks()?;
        wanted.extend(
            forks
                .into_iter()
                .map(|(origin, proof)| (self.layout.fork(&origin), proof)),
        );
        let rosters = self.control.rosters()?;
        wanted.extend(
            rosters
                .into_iter()
                .map(|(version, bytes)| (self.layout.roster(version), bytes)),
        );
        let mut stale = Vec::new();
        for (path, bytes) in &wanted {
            if read(path)?.as_ref() != Some(bytes) {
                if let Some(folder) = path.parent() {
                    create_dirs(folder, &self.steps)?;
                }
                stale.push((path.clone(), &bytes[..]));
            }
        }
        write_many(&self.layout.staging(), &stale, &self.steps)?;
        for (origin, state) in &logs {
            self.mend_history(origin, state)?;
        }
        Ok(())
    }

    /// Cuts off what a crash left half written at the end, and appends the newest note if it is missing.
    fn mend_history(&self, origin: &Origin, state: &LogState) -> io::Result<()> {
        let path = self.layout.history(origin);
        let mut last = None;
        if let Some(mut file) = open(&path)? {
            let end = file.seek(SeekFrom::End(0))?;
            let most = 2 * u64::try_from(limits::NOTE_BYTES + PART.len()).unwrap_or(u64::MAX);
            let from = end.saturating_sub(most);
            file.seek(SeekFrom::Start(from))?;
            let mut tail = Vec::new();
            file.read_to_end(&mut tail)?;
            let whole = whole_notes(&tail);
            last = last_size(&tail[..whole]);
            if whole < tail.len() {
                self.steps.pass("mend history")?;
                let file = OpenOptions::new().write(true).open(&path)?;
                file.set_len(from + whole as u64)?;
                file.sync_all()?;
            }
        }
        match (publishable(state), witnessed_size(state)) {
            (Some(note), Some(size)) if last.is_none_or(|last| last < size) => {
                self.append_history(origin, note)
            }
            _ => Ok(()),
        }
    }
}

/// Bytes up to and with the last note that is followed by its empty line.
fn whole_notes(tail: &[u8]) -> usize {
    // A note has an empty line of its own, before its signatures: what ends it is a signature line and an empty one.
    let text = String::from_utf8_lossy(tail);
    let mut at = 0;
    let (mut whole, mut signed) = (0, false);
    for line in text.split_inclusive('\n') {
        at += line.len();
        match line {
            "\n" if signed => (whole, signed) = (at, false),
            line => signed = line.starts_with('\u{2014}') && line.ends_with('\n'),
        }
    }
    // Replaced bytes have other lengths; ours are UTF-8 up to a torn end.
    whole.min(tail.len())
}

/// Size of the last whole note.
fn last_size(notes: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(notes).ok()?;
    let blocks: Vec<&str> = text.trim_end_matches('\n').split("\n\n").collect();
    let [.., body, signatures] = blocks.as_slice() else {
        return None;
    };
    let note = format!("{body}\n\n{signatures}\n");
    let head = SignedCheckpoint::from_store(note.as_bytes()).ok()?;
    Some(head.checkpoint().size)
}

fn open(path: &std::path::Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn read(path: &std::path::Path) -> io::Result<Option<Vec<u8>>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
