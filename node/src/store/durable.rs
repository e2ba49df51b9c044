//! Files that are on the disk whole or not at all, and the steps at which a crash test stops.
//!
//! What: a file is written under a temporary name in its own folder, fsynced, renamed, and the
//! folder fsynced. A crash leaves what stood there before or the complete new file, and at worst a
//! temporary name that [`sweep_temporary`] removes.
//!
//! Why the steps: "survives a crash" is only worth what a test of it shows. Each durable step
//! passes through a [`Steps`], which a test tells to stop at the n-th. In production it costs one
//! atomic increment a step.
//!
//! In scope: one file, one folder. Out of scope: what refers to a file (the store's transactions),
//! power-loss of a disk that lies about fsync.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What each temporary name begins with. No finished file may be called so.
pub const TEMPORARY_PREFIX: &str = ".tmp-";

/// Counts durable steps and, in a crash test, stops at one of them. Clones share the count.
#[derive(Clone, Debug, Default)]
pub struct Steps(Arc<Counter>);

#[derive(Debug, Default)]
struct Counter {
    taken: AtomicU64,
    stop_at: Option<u64>,
}

/// The error of a step that a crash test forbade, carried inside an [`io::Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stopped before durable step {index} ({name})")]
pub struct Stopped {
    /// What the step would have done, as its caller named it.
    pub name: &'static str,
    /// Which step it was, counted from 0.
    pub index: u64,
}

impl Stopped {
    /// The stop inside `error`, if that is what it is.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }
}

impl Steps {
    /// Lets steps `0..n` through; step `n` and each later one is refused, as if the process had
    /// died before step `n`.
    #[must_use]
    pub fn stop_at(n: u64) -> Self {
        Self(Arc::new(Counter {
            taken: AtomicU64::new(0),
            stop_at: Some(n),
        }))
    }

    /// Announces the step `name`; the caller takes it only after `Ok`.
    ///
    /// # Errors
    /// An [`io::Error`] holding [`Stopped`], from the forbidden step on; never with
    /// `Steps::default()`.
    pub fn pass(&self, name: &'static str) -> io::Result<()> {
        let index = self.0.taken.fetch_add(1, Ordering::Relaxed);
        match self.0.stop_at {
            Some(stop) if index >= stop => Err(io::Error::other(Stopped { name, index })),
            Some(_) | None => Ok(()),
        }
    }

    /// How many steps were announced so far, the refused ones included.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.0.taken.load(Ordering::Relaxed)
    }

    fn stopped(&self) -> bool {
        self.0.stop_at.is_some_and(|stop| self.taken() > stop)
    }
}

/// A file in the making. It takes its name only in [`Writer::finish`]; dropped before that, its
/// bytes are removed.
///
/// Unbuffered: each call is one write to the file and one step, so give it large pieces.
#[derive(Debug)]
pub struct Writer {
    file: File,
    temporary: PathBuf,
    target: PathBuf,
    steps: Steps,
    renamed: bool,
}

impl Writer {
    /// Begins the file `target`, whose folder must exist. A file of that name stands untouched
    /// until [`Writer::finish`].
    ///
    /// # Errors
    /// Those of creating a file; [`io::ErrorKind::InvalidInput`] if `target` names none or has a
    /// temporary name.
    pub fn create(target: &Path, steps: &Steps) -> io::Result<Self> {
        Self::create_in(folder_of(target), target, steps)
    }

    /// As [`Writer::create`], with the temporary name in `folder` of the same file system: what is
    /// served from the target's folder then never shows one.
    ///
    /// # Errors
    /// As [`Writer::create`].
    pub fn create_in(folder: &Path, target: &Path, steps: &Steps) -> io::Result<Self> {
        let name = target.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        if is_temporary(name) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let temporary = folder.join(format!("{TEMPORARY_PREFIX}{:016x}", random_u64()?));
        steps.pass("create")?;
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&temporary)?;
        Ok(Self {
            file,
            temporary,
            target: target.to_owned(),
            steps: steps.clone(),
            renamed: false,
        })
    }

    /// Appends `bytes`.
    ///
    /// # Errors
    /// Those of writing to a file.
    pub fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.steps.pass("write")?;
        self.file.write_all(bytes)
    }

    /// Overwrites what was written at `offset`, for a header whose content is known last. Appending
    /// goes on at the end.
    ///
    /// # Errors
    /// Those of writing to a file.
    pub fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.steps.pass("write")?;
        self.file.write_all_at(bytes, offset)
    }

    /// Makes the bytes durable, gives the file its name in place of any file that had it, and makes
    /// the name durable.
    ///
    /// # Errors
    /// Those of fsync and rename. After an error from the last step the new name may stand but not
    /// outlive a power loss.
    pub fn finish(self) -> io::Result<()> {
        let (target, steps) = (self.target.clone(), self.steps.clone());
        self.rename()?;
        sync_dir(folder_of(&target), &steps)
    }

    /// As [`Writer::finish`], but the name is durable only once the caller has synced its folder.
    ///
    /// # Errors
    /// Those of fsync and rename.
    pub fn rename(mut self) -> io::Result<()> {
        self.steps.pass("fsync")?;
        self.file.sync_all()?;
        self.steps.pass("rename")?;
        fs::rename(&self.temporary, &self.target)?;
        self.renamed = true;
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // A crash would leave the temporary file, so a pretended one leaves it as well.
        if !self.renamed && !self.steps.stopped() {
            // An error leaves a temporary name, which the next start sweeps.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Writes `parts`, one after the other, as the whole content of `path`: durable when it returns, in
/// place of what was there.
///
/// # Errors
/// As [`Writer::create`], [`Writer::write_all`] and [`Writer::finish`].
pub fn write_new(path: &Path, parts: &[&[u8]], steps: &Steps) -> io::Result<()> {
    let mut writer = Writer::create(path, steps)?;
    for part in parts {
        writer.write_all(part)?;
    }
    writer.finish()
}

/// Writes many files under temporary names in `staging`, then renames each into place; each folder
/// that gains a name is made, if need be, and synced once. Durable when it returns.
///
/// # Errors
/// As [`write_new`]. Some files may then have their names and some not.
pub fn write_many(staging: &Path, files: &[(PathBuf, &[u8])], steps: &Steps) -> io::Result<()> {
    let folders: BTreeSet<&Path> = files.iter().map(|(path, _)| folder_of(path)).collect();
    for folder in &folders {
        create_dirs(folder, steps)?;
    }
    for (path, bytes) in files {
        let mut writer = Writer::create_in(staging, path, steps)?;
        writer.write_all(bytes)?;
        writer.rename()?;
    }
    folders
        .iter()
        .try_for_each(|folder| sync_dir(folder, steps))
}

/// Makes the folder `dir` and each missing one above it, durably.
///
/// # Errors
/// Those of making and syncing a folder.
pub fn create_dirs(dir: &Path, steps: &Steps) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let above = folder_of(dir);
    create_dirs(above, steps)?;
    steps.pass("create dir")?;
    match fs::create_dir(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    sync_dir(above, steps)
}

/// Makes the names in folder `dir` durable: what was created, renamed or removed in it.
///
/// # Errors
/// Those of opening and syncing a folder.
pub fn sync_dir(dir: &Path, steps: &Steps) -> io::Result<()> {
    steps.pass("fsync dir")?;
    File::open(dir)?.sync_all()
}

/// Removes what unfinished writers left in folder `dir` (not in folders below it); how many files
/// that were.
///
/// For the start of the process only: a running writer would lose its file.
///
/// # Errors
/// Those of reading a folder and removing files.
pub fn sweep_temporary(dir: &Path) -> io::Result<u64> {
    let mut swept = 0;
    for item in fs::read_dir(dir)? {
        let item = item?;
        if is_temporary(&item.file_name()) && item.file_type()?.is_file() {
            fs::remove_file(item.path())?;
            swept += 1;
        }
    }
    Ok(swept)
}

fn is_temporary(name: &OsStr) -> bool {
    name.as_encoded_bytes()
        .starts_with(TEMPORARY_PREFIX.as_bytes())
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    }
}

/// A process id is no unique name across restarts in a container, so temporary names are random.
pub(crate) fn random_u64() -> io::Result<u64> {
    getrandom::u64().map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|item| item.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_crash_at_any_step_leaves_the_old_file_or_the_new_one() {
        let counted = Steps::default();
        let folder = tempfile::tempdir().unwrap();
        write_new(
            &folder.path().join("file"),
            &[b"new ", b"content"],
            &counted,
        )
        .unwrap();
        assert_eq!(counted.taken(), 6);

        let mut seen_new = 0;
        for stop in 0..counted.taken() {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("file");
            fs::write(&path, b"old").unwrap();
            let steps = Steps::stop_at(stop);
            let error = write_new(&path, &[b"new ", b"content"], &steps).unwrap_err();
            assert_eq!(Stopped::of(&error).unwrap().index, stop);
            match fs::read(&path).unwrap().as_slice() {
                b"old" => assert_eq!(seen_new, 0, "the old content came back at step {stop}"),
                b"new content" => seen_new += 1,
                other => panic!("torn file of {} bytes at step {stop}", other.len()),
            }
            // Between create and rename the crash leaves exactly one temporary file.
            let left = u64::from((1..5).contains(&stop));
            assert_eq!(sweep_temporary(folder.path()).unwrap(), left, "step {stop}");
            assert_eq!(names(folder.path()), ["file"]);
        }
        assert_eq!(seen_new, 1, "only the last step comes after the rename");
    }

    #[test]
    fn many_files_show_no_temporary_name_in_their_folders_at_any_crash() {
        let files = |home: &Path| {
            ["a/b/1", "a/b/2", "c"]
                .map(|name| (home.join(name), &b"content"[..]))
                .to_vec()
        };
        let (home, staging) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let counted = Steps::default();
        write_many(staging.path(), &files(home.path()), &counted).unwrap();
        assert_eq!(fs::read(home.path().join("a/b/2")).unwrap(), b"content");
        for stop in 0..counted.taken() {
            let (home, staging) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let stopped = write_many(staging.path(), &files(home.path()), &Steps::stop_at(stop));
            stopped.unwrap_err();
            for folder in [home.path().to_owned(), home.path().join("a/b")] {
                if folder.is_dir() {
                    assert_eq!(sweep_temporary(&folder).unwrap(), 0, "step {stop}");
                }
            }
            write_many(staging.path(), &files(home.path()), &Steps::default()).unwrap();
            assert_eq!(fs::read(home.path().join("a/b/1")).unwrap(), b"content");
        }
    }

    #[test]
    fn a_stop_is_remembered_by_every_clone() {
        let steps = Steps::stop_at(1);
        let clone = steps.clone();
        clone.pass("first").unwrap();
        let error = steps.pass("second").unwrap_err();
        assert_eq!(
            Stopped::of(&error),
            Some(Stopped {
                name: "second",
                index: 1
            })
        );
        assert!(clone.pass("third").is_err());
        assert_eq!(steps.taken(), 3);
        assert_eq!(Stopped::of(&io::Error::other("disk full")), None);
    }

    #[test]
    fn an_abandoned_writer_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::create(&folder.path().join("file"), &Steps::default()).unwrap();
        writer.write_all(b"half").unwrap();
        assert_eq!(names(folder.path()).len(), 1);
        drop(writer);
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn a_header_written_last_does_not_move_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let mut writer = Writer::create(&path, &Steps::default()).unwrap();
        writer.write_all(b"????rows").unwrap();
        writer.write_at(0, b"head").unwrap();
        writer.write_all(b"foot").unwrap();
        writer.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"headrowsfoot");
    }

    #[test]
    fn sweeping_spares_finished_files_and_folders() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("body"), b"x").unwrap();
        fs::write(folder.path().join(".tmp-1"), b"x").unwrap();
        fs::create_dir(folder.path().join(".tmp-folder")).unwrap();
        assert_eq!(sweep_temporary(folder.path()).unwrap(), 1);
        assert_eq!(names(folder.path()), [".tmp-folder", "body"]);
    }

    #[test]
    fn a_finished_file_cannot_take_a_temporary_name() {
        let folder = tempfile::tempdir().unwrap();
        let error = Writer::create(&folder.path().join(".tmp-x"), &Steps::default()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}
