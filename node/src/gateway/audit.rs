//! One line for each request and each look-up by a person: `data/audit/<day>.jsonl`.
//!
//! Why: whoever answers for the list must be able to say who asked how much and when, and the lines must not be a list
//! themselves: no fingerprint, no value of a query. A node that cannot write them answers nobody. In scope: the files, one a
//! UTC day, mode 0600. Out of scope: how long they are kept, which is the operator's duty of the law.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use hashpact_keys::Timestamp;
use serde::Serialize;

use super::allowance::DAY;
use crate::page::format::day as date;

/// Where lines are written; clones share it.
#[derive(Clone)]
pub(crate) struct AuditLog {
    inner: Arc<Inner>,
}

struct Inner {
    folder: PathBuf,
    open: Mutex<Option<(u64, File)>>,
    failed: AtomicBool,
}

impl AuditLog {
    /// Writes below `folder`, which is made at the first line.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self {
            inner: Arc::new(Inner {
                folder,
                open: Mutex::default(),
                failed: AtomicBool::new(false),
            }),
        }
    }

    /// Writes a line. `line` must hold no fingerprint and no secret. A fault is logged once and stops what asks
    /// [`AuditLog::is_writable`].
    pub(crate) fn write(&self, now: Timestamp, line: &impl Serialize) {
        let written = self.try_write(now, line);
        let failed = written.is_err();
        let before = self.inner.failed.swap(failed, Ordering::AcqRel);
        if let (Err(error), false) = (written, before) {
            tracing::error!(kind = ?error.kind(), "the audit log cannot be written: members get no answer");
        }
    }

    /// Whether a line can be written: if the last one could not, one is tried now.
    pub(crate) fn is_writable(&self, now: Timestamp) -> bool {
        if !self.inner.failed.load(Ordering::Acquire) {
            return true;
        }
        #[derive(Serialize)]
        struct Again {
            at: u64,
            gap: bool,
        }
        let at = now.get();
        self.write(now, &Again { at, gap: true });
        !self.inner.failed.load(Ordering::Acquire)
    }

    fn try_write(&self, now: Timestamp, line: &impl Serialize) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        let day = now.get() / DAY;
        let mut open = self
            .inner
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if open.as_ref().is_none_or(|(of, _)| *of != day) {
            *open = Some((day, self.open(day)?));
        }
        let Some((_, file)) = open.as_mut() else {
            return Err(io::ErrorKind::NotFound.into());
        };
        // One write a line: a line of another process is not torn.
        let written = file.write_all(&bytes);
        if written.is_err() {
            *open = None;
        }
        written
    }

    fn open(&self, day: u64) -> io::Result<File> {
        fs::create_dir_all(&self.inner.folder)?;
        let path = self.inner.folder.join(format!("{}.jsonl", date(day * DAY)));
        let mut options = OpenOptions::new();
        options.create(true).append(true).mode(0o600).open(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_goes_to_the_file_of_its_day_and_only_the_owner_reads_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let log = AuditLog::new(folder.path().join("audit"));
        log.write(Timestamp::new(1), &"first");
        log.write(Timestamp::new(2), &"second");
        log.write(Timestamp::new(DAY), &"next day");
        let path = folder.path().join("audit/1970-01-01.jsonl");
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            "\"first\"\n\"second\"\n"
        );
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let next = fs::read_to_string(folder.path().join("audit/1970-01-02.jsonl"));
        assert_eq!(next.unwrap(), "\"next day\"\n");
    }

    #[test]
    fn a_log_that_cannot_be_written_says_so_until_it_can() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("audit");
        fs::write(&place, b"a file in its place").unwrap();
        let log = AuditLog::new(place.clone());
        let now = Timestamp::new(7);
        assert!(log.is_writable(now));
        log.write(now, &"lost");
        assert!(!log.is_writable(now));
        fs::remove_file(&place).unwrap();
        assert!(log.is_writable(now));
        let text = fs::read_to_string(place.join("1970-01-01.jsonl")).unwrap();
        assert_eq!(text, "{\"at\":7,\"gap\":true}\n");
    }
}
