//! A node's home folder.
//!
//! ```text
//! <home>/
//!   hashpact.toml      configuration
//!   enrolment.txt      what `init` printed, to be sent to the roster's makers
//!   keys.sealed        every key in one file under a passphrase, mode 0600; or else, for demonstrations:
//!   keys/<use>.key     signing keys, mode 0600
//!   keys/storage.key   seals bodies and keys the index; losing it loses every body
//!   data/              the store
//!   control.sock       the daemon's control socket, mode 0600
//!   lock               held while a process uses the home
//! ```
//!
//! | file | answers |
//! |---|---|
//! | `keys` | all keys of the node, plain or sealed |
//! | `passphrase` | where the passphrase comes from |

mod keys;
mod passphrase;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use hashpact_keys::KeyUse;
use hashpact_keys::sealed::{KeySetError, Passphrase, ReadSealedError, SealError, UnsealError};
use hashpact_keys::store::KeyFileError;
use zeroize::Zeroizing;

pub use keys::NodeKeys;
pub use passphrase::{CREDENTIAL, PassphraseError, PassphraseSource};

/// The uses of the keys that a node holds. Root and policy keys are held by people.
pub const NODE_KEYS: [KeyUse; 7] = [
    KeyUse::Delta,
    KeyUse::Log,
    KeyUse::Witness,
    KeyUse::Mirror,
    KeyUse::Manifest,
    KeyUse::Attest,
    KeyUse::Node,
];

/// A home folder.
#[derive(Clone, Debug)]
pub struct Home {
    path: PathBuf,
}

/// Holds a home for one process; released when dropped, also by the end of the process.
pub struct Lock {
    _file: File,
}

/// Why a home cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// Another process uses it.
    #[error("{path} is used by another process: stop it first, or give another --home", path = path.display())]
    Locked {
        /// The home.
        path: PathBuf,
    },
    /// It holds a node already.
    #[error("{path} holds a node already", path = path.display())]
    Exists {
        /// The home.
        path: PathBuf,
    },
    /// It holds no node.
    #[error("{path} holds no node: run `hashpact init` first, or give another --home", path = path.display())]
    Missing {
        /// The home.
        path: PathBuf,
    },
    /// A key file.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// The storage key.
    #[error("{path}: not a storage key that only its owner may read", path = path.display())]
    StorageKey {
        /// The file.
        path: PathBuf,
    },
    /// Keys that are sealed, before they are opened.
    #[error(transparent)]
    ReadSealed(#[from] ReadSealedError),
    /// Keys that do not open.
    #[error(transparent)]
    Unseal(#[from] UnsealError),
    /// Keys that cannot be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The passphrase.
    #[error(transparent)]
    Passphrase(#[from] PassphraseError),
    /// The set is not a node's.
    #[error(transparent)]
    KeySet(#[from] KeySetError),
    /// A node has no key for this use.
    #[error("a node holds no {use_} key")]
    NoKey {
        /// The use.
        use_: KeyUse,
    },
    /// Sealing ended half-way, or somebody put a plain key back.
    #[error("{path} lies in plain beside the sealed keys: `hashpact key seal` removes it", path = path.display())]
    PlainBeside {
        /// The plain file.
        path: PathBuf,
    },
    /// A plain key and the sealed one for the same use differ.
    #[error(
        "{path} is another key than the sealed one: put one of the two aside, nothing was removed", path = path.display()
    )]
    OtherKey {
        /// The plain file.
        path: PathBuf,
    },
    /// The machine.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The fault.
        source: io::Error,
    },
}

impl Home {
    /// A home at this path.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The configuration file.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.path.join("hashpact.toml")
    }

    /// The enrolment file.
    #[must_use]
    pub fn enrolment(&self) -> PathBuf {
        self.path.join("enrolment.txt")
    }

    /// There once this node's log has begun: data that is missing beside it was lost.
    #[must_use]
    pub fn begun(&self) -> PathBuf {
        self.path.join("begun")
    }

    /// The store's folder.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    /// The folder of what is kept between two checks of lists against other centres.
    #[must_use]
    pub fn match_cache(&self) -> PathBuf {
        self.data().join("matching").join("cache")
    }

    /// The control socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.path.join("control.sock")
    }

    /// Makes the folder with fresh keys in plain files. `seed` fills 32 random bytes.
    ///
    /// # Errors
    /// [`HomeError::Exists`] if a node is there.
    pub fn create(
        &self,
        config: &str,
        seed: impl FnMut() -> io::Result<Zeroizing<[u8; 32]>>,
    ) -> Result<NodeKeys, HomeError> {
        self.create_with(config, || self.make_plain_keys(seed))
    }

    /// As [`Home::create`], with keys that are sealed from the first: no plain file is ever written.
    ///
    /// # Errors
    /// As [`Home::create`]; [`HomeError::Seal`] if the passphrase is too short.
    pub fn create_sealed(
        &self,
        config: &str,
        seed: impl FnMut() -> io::Result<Zeroizing<[u8; 32]>>,
        passphrase: &Passphrase,
    ) -> Result<NodeKeys, HomeError> {
        self.check_free()?;
        // Before the folder is made: a refused passphrase leaves nothing.
        passphrase.check_length().map_err(SealError::from)?;
        self.create_with(config, || self.make_sealed_keys(seed, passphrase))
    }

    fn create_with(
        &self,
        config: &str,
        make: impl FnOnce() -> Result<NodeKeys, HomeError>,
    ) -> Result<NodeKeys, HomeError> {
        self.check_free()?;
        fs::create_dir_all(&self.path).map_err(|source| self.io(&self.path, source))?;
        let only_owner = fs::Permissions::from_mode(0o700);
        fs::set_permissions(&self.path, only_owner)
            .map_err(|source| self.io(&self.path, source))?;
        let keys = make()?;
        let file = self.config();
        fs::write(&file, config).map_err(|source| self.io(&file, source))?;
        Ok(keys)
    }

    /// Checks that no node is here.
    ///
    /// # Errors
    /// [`HomeError::Exists`].
    pub fn check_free(&self) -> Result<(), HomeError> {
        match self.config().exists() {
            true => Err(HomeError::Exists {
                path: self.path.clone(),
            }),
            false => Ok(()),
        }
    }

    /// Checks that a node is here.
    ///
    /// # Errors
    /// [`HomeError::Missing`].
    pub fn check_made(&self) -> Result<(), HomeError> {
        match self.config().exists() {
            true => Ok(()),
            false => Err(HomeError::Missing {
                path: self.path.clone(),
            }),
        }
    }

    /// Takes the home for this process.
    ///
    /// # Errors
    /// [`HomeError::Missing`] or [`HomeError::Locked`].
    pub fn lock(&self) -> Result<Lock, HomeError> {
        self.check_made()?;
        let path = self.path.join("lock");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let file = options
            .open(&path)
            .map_err(|source| self.io(&path, source))?;
        match file.try_lock() {
            Ok(()) => Ok(Lock { _file: file }),
            Err(fs::TryLockError::WouldBlock) => Err(HomeError::Locked {
                path: self.path.clone(),
            }),
            Err(fs::TryLockError::Error(source)) => Err(self.io(&path, source)),
        }
    }

    fn io(&self, path: &Path, source: io::Error) -> HomeError {
        HomeError::Io {
            path: path.to_owned(),
            source,
        }
    }
}
