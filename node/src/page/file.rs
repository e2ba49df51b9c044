//! A page, or what belongs to it, as a file.
//!
//! Why: half a page must not pass for a whole one, so a file appears under its name when it is complete.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// The disk's fault.
#[derive(Debug, thiserror::Error)]
#[error("{}", .path.display())]
pub(crate) struct WriteError {
    /// Which file.
    pub(crate) path: PathBuf,
    /// What happened.
    #[source]
    pub(crate) source: io::Error,
}

/// Writes a file whole, in the place of one that may be there.
pub(crate) fn replace(path: &Path, text: &str) -> Result<(), WriteError> {
    let mut partial: OsString = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let written = File::create(&partial)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())
                .and_then(|()| file.sync_all())
        })
        .and_then(|()| fs::rename(&partial, path));
    written.map_err(|source| WriteError {
        path: path.to_owned(),
        source,
    })
}
