//! The local audit trail: who used this node for what, one JSON line a use, one file a UTC day.
//!
//! ```text
//! data/audit/2026-11-22.jsonl    {"at":"2026-11-22T19:40:07Z","kind":"lookup",...}
//! ```
//!
//! Why: a look-up by a person tells that person what is detectable, so each leaves a trace that the operator's reviewers
//! read; a gateway's requests stand in the same file. A line holds no fingerprint: callers give counts and names. It is with
//! the operating system before the answer leaves, so a killed process loses none; a power loss may. A line that cannot be
//! written refuses the use that it tells of. In scope: the files. Out of scope: what is told (`control`, `gateway`), how
//! long files are kept (the operator's law says).

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use hashpact_keys::Timestamp;
use serde::Serialize;

use crate::page::format::day;

/// Bytes of a line at most: names and counts. A longer one is a mistake of ours, or somebody's attempt to fill the disk.
pub const LINE_BYTES_MAX: usize = 4_096;

/// Writes the trail of one node. Clones share it.
#[derive(Clone, Debug)]
pub struct AuditTrail(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    open: Mutex<Option<(String, File)>>,
}

/// A line as it is written.
#[derive(Serialize)]
struct Line<'a, T> {
    at: String,
    kind: &'a str,
    #[serde(flatten)]
    what: &'a T,
}

impl AuditTrail {
    /// The trail in this folder, which is made with its first line.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        let open = Mutex::default();
        Self(Arc::new(Inner { folder, open }))
    }

    /// Appends one line: time, kind, and the fields of `what`, which must be a struct or a map. Blocks for one write.
    ///
    /// # Errors
    /// Those of the disk; [`io::ErrorKind::InvalidInput`] for a line beyond [`LINE_BYTES_MAX`].
    pub fn write(&self, now: Timestamp, kind: &str, what: &impl Serialize) -> io::Result<()> {
        let at = instant(now);
        let mut line = serde_json::to_vec(&Line { at, kind, what })?;
        line.push(b'\n');
        if line.len() > LINE_BYTES_MAX {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let today = day(now.get());
        let mut open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        let mut file = match open.take() {
            Some((day, file)) if day == today => file,
            Some(_) | None => self.begin(&today)?,
        };
        // One write of a whole line, at the end: lines of two writers do not mix. After a fault the file is opened anew.
        file.write_all(&line)?;
        *open = Some((today, file));
        Ok(())
    }

    /// The lines of the day of `now`, oldest first, each without its end. A line that is too long, or was cut, is passed over.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn lines(&self, now: Timestamp, mut each: impl FnMut(&[u8])) -> io::Result<()> {
        let file = match File::open(self.path(&day(now.get()))) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        let mut read = BufReader::new(file);
        let mut line = Vec::new();
        loop {
            line.clear();
            let bound = LINE_BYTES_MAX as u64 + 1;
            if (&mut read).take(bound).read_until(b'\n', &mut line)? == 0 {
                return Ok(());
            }
            if let Some(whole) = line.strip_suffix(b"\n") {
                each(whole);
            }
        }
    }

    fn path(&self, day: &str) -> PathBuf {
        self.0.folder.join(format!("{day}.jsonl"))
    }

    fn begin(&self, day: &str) -> io::Result<File> {
        let mut folder = fs::DirBuilder::new();
        folder.recursive(true).mode(0o700).create(&self.0.folder)?;
        let mut options = OpenOptions::new();
        let file = options.append(true).create(true).read(true).mode(0o600);
        let mut file = file.open(self.path(day))?;
        if ends_amid_a_line(&file)? {
            file.write_all(b"\n")?;
        }
        Ok(file)
    }
}

/// Whether a power loss cut the last line: the next one begins on a line of its own.
fn ends_amid_a_line(file: &File) -> io::Result<bool> {
    let length = file.metadata()?.len();
    let mut last = [b'\n'];
    if let Some(at) = length.checked_sub(1) {
        file.read_exact_at(&mut last, at)?;
    }
    Ok(last != [b'\n'])
}

/// RFC 3339, in whole seconds, UTC.
fn instant(now: Timestamp) -> String {
    let seconds = now.get() % 86_400;
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{}T{hour:02}:{minute:02}:{second:02}Z", day(now.get()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// 2026-11-22T19:40:07Z.
    const NOW: Timestamp = Timestamp::new(1_795_376_407);

    fn read(trail: &AuditTrail, now: Timestamp) -> Vec<Value> {
        let mut lines = Vec::new();
        let each = |line: &[u8]| lines.push(serde_json::from_slice(line).unwrap());
        trail.lines(now, each).unwrap();
        lines
    }

    #[test]
    fn each_day_has_its_file_and_only_the_owner_reads_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let trail = AuditTrail::new(folder.path().join("audit"));
        let tomorrow = Timestamp::new(NOW.get() + 86_400);
        trail.write(NOW, "lookup", &json!({ "uid": 7 })).unwrap();
        trail
            .write(tomorrow, "lookup", &json!({ "uid": 8 }))
            .unwrap();
        trail.write(NOW, "request", &json!({ "uid": 9 })).unwrap();
        let today = [
            json!({ "at": "2026-11-22T19:40:07Z", "kind": "lookup", "uid": 7 }),
            json!({ "at": "2026-11-22T19:40:07Z", "kind": "request", "uid": 9 }),
        ];
        assert_eq!(read(&trail, NOW), today);
        assert_eq!(read(&trail, tomorrow).len(), 1);
        let file = folder.path().join("audit/2026-11-22.jsonl");
        let mode =
            |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
    }

    #[test]
    fn line_that_was_cut_spoils_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("2026-11-22.jsonl");
        fs::write(&file, "{\"at\":\"2026").unwrap();
        let trail = AuditTrail::new(folder.path().to_owned());
        trail.write(NOW, "lookup", &json!({ "uid": 7 })).unwrap();
        let mut lines = Vec::new();
        trail.lines(NOW, |line| lines.push(line.to_vec())).unwrap();
        assert_eq!(lines.len(), 2);
        let last: Value = serde_json::from_slice(&lines[1]).unwrap();
        assert_eq!(last["uid"], 7);
    }

    #[test]
    fn line_beyond_the_bound_is_refused_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let trail = AuditTrail::new(folder.path().to_owned());
        let long = json!({ "path": "x".repeat(LINE_BYTES_MAX) });
        let error = trail.write(NOW, "request", &long).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(read(&trail, NOW).is_empty());
    }

    #[test]
    fn threads_that_write_at_once_leave_whole_lines() {
        let folder = tempfile::tempdir().unwrap();
        let trail = AuditTrail::new(folder.path().to_owned());
        std::thread::scope(|scope| {
            for uid in 0..4 {
                let trail = trail.clone();
                scope.spawn(move || {
                    for _ in 0..200 {
                        trail.write(NOW, "lookup", &json!({ "uid": uid })).unwrap();
                    }
                });
            }
        });
        assert_eq!(read(&trail, NOW).len(), 800);
    }
}
