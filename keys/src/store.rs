//! Key files: one secret key in one file that only its owner may read.
//!
//! Why: a key that lies open, or that is loaded for another use than its own, is no key. Spec: one line
//! `hashpact-key-v1 <use> <64 hexadecimal digits of the seed>` and a line feed, mode 0600. In scope: writing, reading and
//! refusing. Out of scope: making seeds (the caller's random source), encryption at rest (`sealed`), hardware keys.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::hex_text::{self, HexError};
use crate::roster::KeyUse;
use crate::signer::Signer;

const MAGIC: &str = "hashpact-key-v1";
pub(crate) const FILE_MODE: u32 = 0o600;
const DIR_MODE: u32 = 0o700;
/// Every bit that lets anybody but the owner at the file.
pub(crate) const OTHERS: u32 = 0o077;
/// Longer than any key file: the magic, a use, 64 digits, two spaces and a line feed.
const FILE_LEN_MAX: u64 = 128;

/// Why a key file is not written or not loaded. No variant holds what the file says.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The system refused.
    #[error("{path}: cannot {action} the key file", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// There is a file of this name: a key is never overwritten.
    #[error("{path}: there is a key file already", path = path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// It is a folder, a device or the like.
    #[error("{path}: not a regular file", path = path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// Group or others may read, write or run the file.
    #[error("{path}: mode {mode:o} lets others at the key; it must be 600", path = path.display())]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file does not hold the one line of a key file.
    #[error("{path}: not a key file", path = path.display())]
    Format {
        /// The file.
        path: PathBuf,
    },
    /// The seed is not 64 lower-case hexadecimal digits.
    #[error("{path}: the seed is malformed", path = path.display())]
    Seed {
        /// The file.
        path: PathBuf,
        /// Where.
        #[source]
        source: HexError,
    },
    /// The key is for another use.
    #[error("{path}: expected a {expected} key, got a {got} key", path = path.display())]
    Use {
        /// The file.
        path: PathBuf,
        /// The use that was asked for.
        expected: KeyUse,
        /// The use in the file.
        got: KeyUse,
    },
}

/// One key file.
#[derive(Debug)]
pub struct KeyFile;

impl KeyFile {
    /// Writes a new key file and returns its key. The file is private from its first moment and durable when this returns.
    ///
    /// `seed` must come from a cryptographic random source. A file of this name is never overwritten.
    ///
    /// # Errors
    /// [`KeyFileError::Exists`], or [`KeyFileError::Io`]; a file whose writing failed half-way is refused by
    /// [`KeyFile::load`].
    pub fn create(path: &Path, use_: KeyUse, seed: &[u8; 32]) -> Result<Signer, KeyFileError> {
        let failed = |action| {
            move |source| KeyFileError::Io {
                path: path.to_owned(),
                action,
                source,
            }
        };
        let mut file = match OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(FILE_MODE)
            .open(path)
        {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(KeyFileError::Exists {
                    path: path.to_owned(),
                });
            }
            Err(error) => return Err(failed("create")(error)),
        };
        file.write_all(&key_line(use_, seed))
            .map_err(failed("write"))?;
        file.sync_all().map_err(failed("sync"))?;
        // The name is durable only when its folder is.
        File::open(folder_of(path))
            .and_then(|folder| folder.sync_all())
            .map_err(failed("sync the folder of"))?;
        Ok(Signer::from_seed(seed))
    }

    /// Loads the key for `expected` use.
    ///
    /// # Errors
    /// [`KeyFileError`]: unreadable, open to others, malformed, or a key for another use.
    pub fn load(path: &Path, expected: KeyUse) -> Result<Signer, KeyFileError> {
        Ok(Signer::from_seed(&*load_seed(path, expected)?))
    }

    /// Loads the seed of a `node` key. Only this use hands its seed out: the network library keeps its own key.
    ///
    /// # Errors
    /// As [`KeyFile::load`].
    pub fn load_node_seed(path: &Path) -> Result<Zeroizing<[u8; 32]>, KeyFileError> {
        load_seed(path, KeyUse::Node)
    }
}

/// A folder with one key file a use, `<use>.key`.
#[derive(Debug, Clone)]
pub struct KeyDir {
    path: PathBuf,
}

impl KeyDir {
    /// The folder at `path`, which need not be there yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Makes the folder, open to its owner only, unless it is there.
    ///
    /// # Errors
    /// [`KeyFileError::Io`].
    pub fn make(&self) -> Result<(), KeyFileError> {
        let made = DirBuilder::new()
            .recursive(true)
            .mode(DIR_MODE)
            .create(&self.path);
        made.map_err(|source| KeyFileError::Io {
            path: self.path.clone(),
            action: "make the folder of",
            source,
        })
    }

    /// Where the key for this use lies.
    #[must_use]
    pub fn path_of(&self, use_: KeyUse) -> PathBuf {
        self.path.join(format!("{use_}.key"))
    }

    /// As [`KeyFile::create`].
    ///
    /// # Errors
    /// As [`KeyFile::create`].
    pub fn create(&self, use_: KeyUse, seed: &[u8; 32]) -> Result<Signer, KeyFileError> {
        KeyFile::create(&self.path_of(use_), use_, seed)
    }

    /// As [`KeyFile::load`].
    ///
    /// # Errors
    /// As [`KeyFile::load`].
    pub fn load(&self, use_: KeyUse) -> Result<Signer, KeyFileError> {
        KeyFile::load(&self.path_of(use_), use_)
    }

    pub(crate) fn load_seed(&self, use_: KeyUse) -> Result<Zeroizing<[u8; 32]>, KeyFileError> {
        load_seed(&self.path_of(use_), use_)
    }
}

/// The folder that a file's name is in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// The one line of a key file. Its room is reserved at once: a buffer that grows leaves copies of the secret behind.
fn key_line(use_: KeyUse, seed: &[u8; 32]) -> Zeroizing<Vec<u8>> {
    let mut line = Zeroizing::new(Vec::with_capacity(256));
    line.extend_from_slice(MAGIC.as_bytes());
    line.push(b' ');
    line.extend_from_slice(use_.name().as_bytes());
    line.push(b' ');
    for byte in seed {
        line.push(hex_text::DIGITS[usize::from(byte >> 4)]);
        line.push(hex_text::DIGITS[usize::from(byte & 0xf)]);
    }
    line.push(b'\n');
    line
}

fn load_seed(path: &Path, expected: KeyUse) -> Result<Zeroizing<[u8; 32]>, KeyFileError> {
    let failed = |action| {
        move |source| KeyFileError::Io {
            path: path.to_owned(),
            action,
            source,
        }
    };
    let file = File::open(path).map_err(failed("open"))?;
    // The opened file is asked, not the path: what is checked is what is read.
    let metadata = file.metadata().map_err(failed("inspect"))?;
    if !metadata.is_file() {
        return Err(KeyFileError::NotAFile {
            path: path.to_owned(),
        });
    }
    let mode = metadata.mode() & 0o7777;
    if mode & OTHERS != 0 {
        return Err(KeyFileError::Mode {
            path: path.to_owned(),
            mode,
        });
    }
    let mut line = Zeroizing::new(Vec::with_capacity(256));
    file.take(FILE_LEN_MAX)
        .read_to_end(&mut line)
        .map_err(failed("read"))?;
    parse_line(path, &line, expected)
}

fn parse_line(
    path: &Path,
    line: &[u8],
    expected: KeyUse,
) -> Result<Zeroizing<[u8; 32]>, KeyFileError> {
    let malformed = || KeyFileError::Format {
        path: path.to_owned(),
    };
    let text = line
        .strip_suffix(b"\n")
        .and_then(|line| std::str::from_utf8(line).ok())
        .ok_or_else(malformed)?;
    let mut words = text.split(' ');
    let (Some(MAGIC), Some(use_), Some(digits), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(malformed());
    };
    let got: KeyUse = use_.parse().map_err(|_| malformed())?;
    if got != expected {
        return Err(KeyFileError::Use {
            path: path.to_owned(),
            expected,
            got,
        });
    }
    let mut seed = Zeroizing::new([0; 32]);
    hex_text::decode_into(digits.as_bytes(), &mut *seed).map_err(|source| KeyFileError::Seed {
        path: path.to_owned(),
        source,
    })?;
    Ok(seed)
}
