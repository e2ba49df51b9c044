//! Opening files of the log folder, and no others.
//!
//! Why: the path is checked already (`path`); this is the second wall, against what lies in the folder itself. In scope:
//! symbolic links, files that are none, files larger than their kind can be. Out of scope: content, which the store wrote.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::path::{Item, ROSTERS, is_log, is_version};

/// Names in a list at most. A network has a few logs, and a roster changes a few times a year.
const NAMES_MAX: usize = 65_536;

/// The folder of the logs: `<root>/<log>/{checkpoint,history,fork,tile/...}` and `<root>/rosters/<version>`.
#[derive(Clone, Debug)]
pub struct LogFolder {
    /// Where it is. Nothing beside it is ever served.
    pub root: PathBuf,
}

impl LogFolder {
    /// Opens a file with its length in bytes; nothing if it is not there.
    pub(super) fn open(&self, item: &Item) -> io::Result<Option<(File, u64)>> {
        absent_is_none(self.open_present(item)).map(Option::flatten)
    }

    fn open_present(&self, item: &Item) -> io::Result<Option<(File, u64)>> {
        let path = fs::canonicalize(&self.root)?.join(item.path());
        // Equal only if no part below the root is a symbolic link.
        let is_plain = fs::canonicalize(&path)? == path && fs::symlink_metadata(&path)?.is_file();
        if !is_plain {
            return Ok(None);
        }
        let file = File::open(&path)?;
        let len = file.metadata()?.len();
        if item.kind.len_max().is_some_and(|max| len > max) {
            return Err(ErrorKind::FileTooLarge.into());
        }
        Ok(Some((file, len)))
    }

    /// The names of the logs' folders, sorted.
    pub(super) fn logs(&self) -> io::Result<Vec<String>> {
        let is_folder = |kind: fs::FileType| kind.is_dir();
        let mut names = names(&self.root, is_folder, is_log)?;
        names.sort_unstable();
        Ok(names)
    }

    /// The versions of the rosters, ascending.
    pub(super) fn rosters(&self) -> io::Result<Vec<String>> {
        let is_file = |kind: fs::FileType| kind.is_file();
        let mut names = names(&self.root.join(ROSTERS), is_file, is_version)?;
        // Canonical numbers: the shorter is the smaller.
        names.sort_unstable_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
        Ok(names)
    }
}

fn names(
    folder: &Path,
    is_kind: impl Fn(fs::FileType) -> bool,
    is_name: impl Fn(&str) -> bool,
) -> io::Result<Vec<String>> {
    let Some(entries) = absent_is_none(fs::read_dir(folder))? else {
        return Ok(Vec::new());
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        // A symbolic link is neither a folder nor a file here.
        if !is_kind(entry.file_type()?) {
            continue;
        }
        let name = entry.file_name().into_string().ok();
        names.extend(name.filter(|name| is_name(name)));
        if names.len() > NAMES_MAX {
            return Err(ErrorKind::FileTooLarge.into());
        }
    }
    Ok(names)
}

fn absent_is_none<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
