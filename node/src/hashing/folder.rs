//! The files that lie under some paths.
//!
//! Links are not followed: what a link within the folder points to is found at its own place, and what one out of it points
//! to was not asked for. So no loop of links has no end. A path that is named itself may be a link. What is no plain file, such
//! as a pipe, is not opened: reading it might never end. Names are told to the person who gave the path, and to nobody else.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

/// Folders below each other, at most: deeper ones are made to exhaust whoever walks them.
const DEPTH_MAX: usize = 256;

/// One thing that was met.
#[derive(Debug)]
pub enum Met {
    /// A plain file.
    File(PathBuf),
    /// A link, which is not followed, or a pipe, a socket or a device, which is not opened.
    Passed(PathBuf),
    /// It cannot be read.
    Fault(PathBuf, io::Error),
}

/// Walks a path to its end, names in order in each folder.
pub fn walk(path: &Path) -> impl Iterator<Item = Met> + use<> {
    let walk = WalkDir::new(path).follow_links(false).max_depth(DEPTH_MAX);
    let root = path.to_owned();
    walk.sort_by_file_name()
        .into_iter()
        .filter_map(move |item| {
            let item = match item {
                Ok(item) => item,
                Err(error) => {
                    let path = error.path().unwrap_or(&root).to_owned();
                    return Some(Met::Fault(path, error.into()));
                }
            };
            let path = item.path().to_owned();
            let kind = item.file_type();
            if item.depth() == 0 && item.path_is_symlink() {
                return match fs::metadata(&path) {
                    Ok(behind) if behind.is_file() => Some(Met::File(path)),
                    Ok(behind) if behind.is_dir() => None,
                    Ok(_) => Some(Met::Passed(path)),
                    Err(error) => Some(Met::Fault(path, error)),
                };
            }
            match (kind.is_file(), kind.is_dir()) {
                (true, _) => Some(Met::File(path)),
                (_, true) if item.depth() == DEPTH_MAX => Some(Met::Fault(
                    path,
                    io::Error::other("folders nested more than 256 deep"),
                )),
                (_, true) => None,
                (false, false) => Some(Met::Passed(path)),
            }
        })
}

/// Opens a plain file, with its bytes.
///
/// # Errors
/// Those of opening; [`io::ErrorKind::InvalidInput`] if it is no plain file.
pub fn open(path: &Path) -> io::Result<(File, u64)> {
    let check = |metadata: fs::Metadata| match metadata.is_file() {
        true => Ok(metadata.len()),
        false => Err(io::Error::from(io::ErrorKind::InvalidInput)),
    };
    // Before it is opened as well: opening a pipe waits for a writer.
    check(fs::metadata(path)?)?;
    let file = File::open(path)?;
    let bytes = check(file.metadata()?)?;
    Ok((file, bytes))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(path: &Path) -> (Vec<String>, Vec<String>) {
        let name = |path: PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
        let (mut files, mut passed) = (Vec::new(), Vec::new());
        for met in walk(path) {
            match met {
                Met::File(path) => files.push(name(path)),
                Met::Passed(path) => passed.push(name(path)),
                Met::Fault(path, error) => panic!("{}: {error}", path.display()),
            }
        }
        (files, passed)
    }

    #[test]
    fn links_out_of_the_folder_and_loops_of_links_are_not_followed() {
        let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(outside.path().join("secret"), "x").unwrap();
        fs::create_dir(folder.path().join("below")).unwrap();
        fs::write(folder.path().join("below/b"), "x").unwrap();
        fs::write(folder.path().join("a"), "x").unwrap();
        symlink(outside.path(), folder.path().join("out")).unwrap();
        symlink(
            outside.path().join("secret"),
            folder.path().join("out-file"),
        )
        .unwrap();
        symlink(folder.path(), folder.path().join("below/loop")).unwrap();
        let (files, passed) = names(folder.path());
        assert_eq!(files, ["a", "b"]);
        assert_eq!(passed, ["loop", "out", "out-file"]);
    }

    #[test]
    fn a_link_that_is_named_itself_is_followed_once() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("real")).unwrap();
        fs::write(folder.path().join("real/a"), "x").unwrap();
        symlink(folder.path().join("real"), folder.path().join("link")).unwrap();
        assert_eq!(names(&folder.path().join("link")).0, ["a"]);
        symlink(folder.path().join("real/a"), folder.path().join("file")).unwrap();
        assert_eq!(names(&folder.path().join("file")).0, ["file"]);
    }

    #[test]
    fn sockets_are_not_opened_and_missing_paths_are_faults() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert_eq!(names(folder.path()).1, ["socket"]);
        let error = open(&socket).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        let missing: Vec<Met> = walk(&folder.path().join("none")).collect();
        assert!(
            matches!(&missing[..], [Met::Fault(_, error)] if error.kind() == io::ErrorKind::NotFound)
        );
    }
}
