//! Reading a folder of logs: bounded, no symbolic links, nothing outside.
//!
//! ```text
//! rosters/<version>       signed rosters, from 1
//! <log>/checkpoint        the newest witnessed note; <log> is the origin line with _ for /
//! <log>/history           every witnessed note, oldest first, each followed by an empty line
//! <log>/tile/...          tiles and bundles
//! <log>/fork              a fork proof, if there is one
//! <log>/refused           notes that a mirror was shown and did not take, as in a history
//! mirror.toml             what a mirror says about itself
//! ```
//!
//! A node's published folder has the same shape. Why the care: the folder is the input of an audit and may come from
//! anybody. In scope: bytes of files, and which files there are. Out of scope: what they say (`verify`).

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use hashpact_keys::Origin;
use hashpact_protocol::log::{LogFiles, bundle_path, decode_bundle, encode_bundle};

/// Leaves of a full bundle, hashes of a full tile.
const WIDTH: u64 = 256;
/// Bytes of a full tile.
const TILE_LEN: u64 = 32 * WIDTH;
/// Bytes of a full bundle: 256 leaves of 65,535 bytes with their lengths.
const BUNDLE_LEN: u64 = 65_537 * WIDTH;
/// Bytes of a roster that are read: what `keys` believes of one.
pub(super) const ROSTER_LEN: u64 = 256 * 1024;
/// Bytes of a checkpoint that are read.
pub(super) const NOTE_LEN: u64 = 64 * 1024;
/// Bytes of a fork proof that are read.
pub(super) const FORK_LEN: u64 = 1024 * 1024;
/// Bytes of a history that are read at once.
const PIECE_LEN: u64 = 64 * 1024;
/// Folders inside one another in a tile's path: a number of 48 bits has five groups of digits.
const DEPTH: usize = 8;

/// A folder of logs.
#[derive(Clone, Debug)]
pub struct Folder {
    root: PathBuf,
}

/// The folder's name of a log.
#[must_use]
pub fn log_name(origin: &Origin) -> String {
    origin.as_str().replace('/', "_")
}

/// A tile or bundle, read from its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TileName {
    /// None for a bundle.
    pub(super) level: Option<u32>,
    pub(super) number: u64,
    pub(super) width: u64,
}

impl TileName {
    /// Reads `tile/...`; only the one text of each is one.
    pub(super) fn parse(path: &str) -> Option<Self> {
        let rest = path.strip_prefix("tile/")?;
        let (level, mut index) = rest.split_once('/')?;
        let level = match level {
            "entries" => None,
            level => Some(level.parse().ok()?),
        };
        let mut width = WIDTH;
        if let Some((full, partial)) = index.split_once(".p/") {
            (index, width) = (full, partial.parse().ok()?);
        }
        let mut number = 0_u64;
        for group in index.split('/') {
            let group: u64 = group.trim_start_matches('x').parse().ok()?;
            number = number.checked_mul(1_000)?.checked_add(group)?;
        }
        let name = Self {
            level,
            number,
            width,
        };
        let is_one = (1..=WIDTH).contains(&width) && name.path() == path;
        is_one.then_some(name)
    }

    /// Bundles and tiles are numbered alike; only the level stands elsewhere.
    pub(super) fn path(&self) -> String {
        let path = bundle_path(self.number, self.width);
        match self.level {
            None => path,
            Some(level) => path.replacen("entries", &level.to_string(), 1),
        }
    }

    /// Whether all of it is full.
    pub(super) fn is_full(&self) -> bool {
        self.width == WIDTH
    }

    /// How many of its items a log of a size has.
    pub(super) fn items(&self, size: u64) -> u64 {
        let level = self.level.unwrap_or(0);
        let all = level.checked_mul(8).and_then(|bits| size.checked_shr(bits));
        let before = self.number.saturating_mul(WIDTH);
        all.unwrap_or(0).saturating_sub(before).min(WIDTH)
    }

    fn len_max(&self) -> u64 {
        match self.level {
            None => BUNDLE_LEN,
            Some(_) => TILE_LEN,
        }
    }

    /// The first `width` items of a wider one; none if it is damaged.
    pub(super) fn cut(&self, wider: &[u8]) -> Option<Vec<u8>> {
        let width = usize::try_from(self.width).ok()?;
        match self.level {
            Some(_) => Some(wider.get(..width * 32)?.to_vec()),
            None => Some(encode_bundle(decode_bundle(wider)?.get(..width)?)),
        }
    }
}

/// A file of a log, if need be cut from the wider one that took its place: C2SP tlog-tiles lets a log drop a partial tile
/// once the full one is there.
pub(super) fn tile(
    path: &str,
    read: impl Fn(&str, u64) -> io::Result<Option<Vec<u8>>>,
) -> io::Result<Option<Vec<u8>>> {
    let Some(name) = TileName::parse(path) else {
        return Ok(None);
    };
    let found = read(path, name.len_max())?;
    if found.is_some() || name.is_full() {
        return Ok(found);
    }
    let full = TileName {
        width: WIDTH,
        ..name
    };
    let wider = read(&full.path(), name.len_max())?;
    Ok(wider.and_then(|wider| name.cut(&wider)))
}

impl Folder {
    /// A folder that is there.
    ///
    /// # Errors
    /// Those of looking at it; [`ErrorKind::NotADirectory`] if it is none.
    pub fn open(root: &Path) -> io::Result<Self> {
        let root = fs::canonicalize(root)?;
        if !root.is_dir() {
            return Err(ErrorKind::NotADirectory.into());
        }
        Ok(Self { root })
    }

    /// Where a file is.
    #[must_use]
    pub fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// Opens a file; nothing if there is none. A symbolic link on the way, or anything but a file at its end, is an error.
    fn file(&self, relative: &str) -> io::Result<Option<File>> {
        let mut path = self.root.clone();
        let mut parts = relative.split('/').peekable();
        while let Some(part) = parts.next() {
            if part.is_empty() || part == "." || part == ".." {
                return Err(ErrorKind::InvalidInput.into());
            }
            path.push(part);
            let kind = match fs::symlink_metadata(&path) {
                Ok(metadata) => metadata.file_type(),
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            };
            let is_as_expected = match parts.peek() {
                Some(_) => kind.is_dir(),
                None => kind.is_file(),
            };
            if !is_as_expected {
                return Err(ErrorKind::InvalidData.into());
            }
        }
        File::open(&path).map(Some)
    }

    /// The first bytes of a file, at most one more than `max`, so that a reader sees that there are more.
    ///
    /// # Errors
    /// Those of reading; a symbolic link and what is no file are errors too.
    pub fn read(&self, relative: &str, max: u64) -> io::Result<Option<Vec<u8>>> {
        self.read_from(relative, 0, max.saturating_add(1))
    }

    /// At most `max` bytes of a file from a place on.
    ///
    /// # Errors
    /// As [`Folder::read`].
    pub fn read_from(&self, relative: &str, from: u64, max: u64) -> io::Result<Option<Vec<u8>>> {
        let Some(mut file) = self.file(relative)? else {
            return Ok(None);
        };
        if from > 0 {
            file.seek(SeekFrom::Start(from))?;
        }
        let mut bytes = Vec::new();
        file.take(max).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// Bytes of a file; 0 without one.
    pub(super) fn read_len(&self, relative: &str) -> u64 {
        let file = self.file(relative).ok().flatten();
        let metadata = file.and_then(|file| file.metadata().ok());
        metadata.map_or(0, |metadata| metadata.len())
    }

    /// A file in pieces; it ends at the first error, which leaves the last note without its end.
    pub(super) fn pieces(&self, relative: &str) -> impl Iterator<Item = Vec<u8>> + use<> {
        let mut file = self.file(relative).ok().flatten();
        std::iter::from_fn(move || {
            let mut piece = Vec::new();
            let read = file.as_mut()?.take(PIECE_LEN).read_to_end(&mut piece);
            (read.is_ok() && !piece.is_empty()).then_some(piece)
        })
    }

    /// Names in a folder and whether each is a folder itself; sorted. None if there is no such folder.
    pub(super) fn names(&self, relative: &str) -> io::Result<Vec<(String, bool)>> {
        let entries = match fs::read_dir(self.root.join(relative)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry?;
            // A name that is no UTF-8 is told in its nearest form; nothing is opened by it.
            let name = entry.file_name().to_string_lossy().into_owned();
            names.push((name, entry.file_type()?.is_dir()));
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Every file below a folder, by its path below `root`.
    pub(super) fn walk(
        &self,
        root: &str,
        below: &str,
        depth: usize,
        file: &mut impl FnMut(&str),
    ) -> io::Result<()> {
        for (name, is_folder) in self.names(&format!("{root}/{below}"))? {
            let path = format!("{below}/{name}");
            if is_folder && depth < DEPTH {
                self.walk(root, &path, depth + 1, file)?;
            } else {
                file(&path);
            }
        }
        Ok(())
    }

    /// The rosters, from version 1 to the first that is missing.
    pub(super) fn rosters(&self) -> impl Iterator<Item = Vec<u8>> + '_ {
        (1_u64..).map_while(|version| {
            let path = format!("rosters/{version}");
            // One that cannot be read is no roster, and is told as one that is none.
            match self.read(&path, ROSTER_LEN) {
                Ok(bytes) => bytes,
                Err(_) => Some(Vec::new()),
            }
        })
    }
}

/// The tiles and bundles of one log in a folder.
#[derive(Clone, Debug)]
pub struct LogFolder {
    folder: Folder,
    name: String,
}

impl LogFolder {
    /// The log of this folder's name.
    #[must_use]
    pub fn new(folder: &Folder, name: &str) -> Self {
        Self {
            folder: folder.clone(),
            name: name.to_owned(),
        }
    }
}

impl LogFiles for LogFolder {
    fn log_file(&self, path: &str) -> Option<Vec<u8>> {
        let read = |path: &str, max| self.folder.read(&format!("{}/{path}", self.name), max);
        tile(path, read).ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tile_has_one_name() {
        for path in [
            "tile/entries/000",
            "tile/0/255.p/17",
            "tile/2/x001/x234/067",
        ] {
            assert_eq!(TileName::parse(path).unwrap().path(), path);
        }
        for path in [
            "tile/0/0",
            "tile/00/000",
            "tile/0/x000/001",
            "tile/0/001/002",
            "tile/0/000.p/256",
            "tile/0/000.p/0",
            "tile/0/000.p/01",
            "tile/0/000.p/1.p/1",
            "tile/entries",
            "checkpoint",
        ] {
            assert_eq!(TileName::parse(path), None, "{path}");
        }
        let name = TileName::parse("tile/1/000.p/3").unwrap();
        assert_eq!(
            [767, 768, 1_024, 1 << 40].map(|size| name.items(size)),
            [2, 3, 4, 256]
        );
    }

    #[test]
    fn a_symbolic_link_leads_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("secret"), "x").unwrap();
        fs::create_dir(dir.path().join("logs")).unwrap();
        let root = dir.path().join("logs");
        std::os::unix::fs::symlink("../secret", root.join("checkpoint")).unwrap();
        std::os::unix::fs::symlink("..", root.join("up")).unwrap();
        let folder = Folder::open(&root).unwrap();
        for path in [
            "checkpoint",
            "up/secret",
            "../secret",
            "./checkpoint",
            "/etc/hostname",
        ] {
            assert!(folder.read(path, 10).is_err(), "{path}");
        }
        assert_eq!(folder.read("absent", 10).unwrap(), None);
    }
}
