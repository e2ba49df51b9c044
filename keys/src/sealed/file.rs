//! The file of sealed keys on the disk. Why: it is there whole or not at all, and nobody but its owner opens it. In scope:
//! modes, durability, the bound on its length. Out of scope: what it says (the parent module).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::{FILE_LEN_MAX, ReadSealedError, Replace, SealError};
use crate::store::{FILE_MODE, OTHERS, folder_of};

pub(super) fn read(path: &Path) -> Result<Vec<u8>, ReadSealedError> {
    let failed = |action| {
        move |source| ReadSealedError::Io {
            path: path.to_owned(),
            action,
            source,
        }
    };
    let file = File::open(path).map_err(failed("open"))?;
    // The opened file is asked, not the path: what is checked is what is read.
    let metadata = file.metadata().map_err(failed("inspect"))?;
    let path = path.to_owned();
    if !metadata.is_file() {
        return Err(ReadSealedError::NotAFile { path });
    }
    let mode = metadata.mode() & 0o7777;
    if mode & OTHERS != 0 {
        return Err(ReadSealedError::Mode { path, mode });
    }
    let mut bytes = Vec::with_capacity(FILE_LEN_MAX + 1);
    file.take(FILE_LEN_MAX as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| ReadSealedError::Io {
            path: path.clone(),
            action: "read",
            source,
        })?;
    if bytes.len() > FILE_LEN_MAX {
        return Err(ReadSealedError::TooLong {
            path,
            max: FILE_LEN_MAX,
        });
    }
    Ok(bytes)
}

pub(super) fn write(path: &Path, bytes: &[u8], replace: Replace) -> Result<(), SealError> {
    let failed = |action| {
        move |source| SealError::Io {
            path: path.to_owned(),
            action,
            source,
        }
    };
    let draft = draft_of(path);
    match replace {
        // A dangling link is a name too.
        Replace::Never if fs::symlink_metadata(path).is_ok() => {
            return Err(SealError::Exists {
                path: path.to_owned(),
            });
        }
        Replace::Never | Replace::Existing => {}
    }
    // What a process that ended half-way left is no file of anybody's; a link is removed, not followed.
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed("clear the place of")(error));
        }
        Ok(()) | Err(_) => {}
    }
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(&draft)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&draft, path));
    if let Err(error) = written {
        // Nothing more can be done about a draft that stays: it is sealed, and the next writing removes it.
        let _ = fs::remove_file(&draft);
        return Err(failed("write")(error));
    }
    // The name is durable only when its folder is.
    File::open(folder_of(path))
        .and_then(|folder| folder.sync_all())
        .map_err(failed("sync the folder of"))
}

fn draft_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}
