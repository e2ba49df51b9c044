//! A node's home folder.
//!
//! ```text
//! <home>/
//!   hashpact.toml      configuration
//!   enrolment.txt      what `init` printed, to be sent to the roster's makers
//!   keys/<use>.key     signing keys, mode 0600
//!   keys/storage.key   seals bodies and keys the index; losing it loses every body
//!   data/              the store
//!   control.sock       the daemon's control socket, mode 0600
//!   lock               held while a process uses the home
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use hashpact_keys::store::{KeyDir, KeyFile, KeyFileError};
use hashpact_keys::{KeyUse, Signer};
use zeroize::Zeroizing;

use crate::store::StoreKeys;
use crate::store::index::IndexKey;
use crate::store::sealed::SealKey;

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

    /// The store's folder.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    /// The control socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.path.join("control.sock")
    }

    fn keys(&self) -> KeyDir {
        KeyDir::new(self.path.join("keys"))
    }

    fn storage_key(&self) -> PathBuf {
        self.path.join("keys").join("storage.key")
    }

    /// Makes the folder with fresh keys. `seed` fills 32 random bytes.
    ///
    /// # Errors
    /// [`HomeError::Exists`] if a node is there.
    pub fn create(
        &self,
        config: &str,
        mut seed: impl FnMut() -> io::Result<Zeroizing<[u8; 32]>>,
    ) -> Result<Vec<(KeyUse, Signer)>, HomeError> {
        if self.config().exists() {
            return Err(HomeError::Exists {
                path: self.path.clone(),
            });
        }
        fs::create_dir_all(&self.path).map_err(|source| self.io(&self.path, source))?;
        let only_owner = fs::Permissions::from_mode(0o700);
        fs::set_permissions(&self.path, only_owner)
            .map_err(|source| self.io(&self.path, source))?;
        let keys = self.keys();
        keys.make()?;
        let mut seed = || seed().map_err(|source| self.io(&self.path, source));
        let mut signers = Vec::new();
        for use_ in NODE_KEYS {
            signers.push((use_, keys.create(use_, &*seed()?)?));
        }
        self.write_secret(&self.storage_key(), &*seed()?)?;
        let file = self.config();
        fs::write(&file, config).map_err(|source| self.io(&file, source))?;
        Ok(signers)
    }

    fn write_secret(&self, path: &Path, secret: &[u8; 32]) -> Result<(), HomeError> {
        let text = Zeroizing::new(format!("hashpact-storage-key-v1 {}\n", hex::encode(secret)));
        let written = (|| {
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })();
        written.map_err(|source| self.io(path, source))
    }

    /// Takes the home for this process.
    ///
    /// # Errors
    /// [`HomeError::Missing`] or [`HomeError::Locked`].
    pub fn lock(&self) -> Result<Lock, HomeError> {
        if !self.config().exists() {
            return Err(HomeError::Missing {
                path: self.path.clone(),
            });
        }
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

    /// Loads a signing key.
    ///
    /// # Errors
    /// [`HomeError::Key`].
    pub fn signer(&self, use_: KeyUse) -> Result<Signer, HomeError> {
        Ok(self.keys().load(use_)?)
    }

    /// Loads the node key's seed, which libp2p makes its identity from.
    ///
    /// # Errors
    /// [`HomeError::Key`].
    pub fn node_seed(&self) -> Result<Zeroizing<[u8; 32]>, HomeError> {
        Ok(KeyFile::load_node_seed(&self.keys().path_of(KeyUse::Node))?)
    }

    /// Loads the storage key and derives from it the keys that seal bodies and key the index.
    ///
    /// # Errors
    /// [`HomeError::StorageKey`] if the file is not what `create` wrote, or others may read it.
    pub fn store_keys(&self) -> Result<StoreKeys, HomeError> {
        let path = self.storage_key();
        let fault = || HomeError::StorageKey { path: path.clone() };
        let mut file = File::open(&path).map_err(|source| self.io(&path, source))?;
        let mode = file
            .metadata()
            .map_err(|source| self.io(&path, source))?
            .permissions()
            .mode();
        if mode & 0o077 != 0 {
            return Err(fault());
        }
        let mut text = Zeroizing::new(String::new());
        file.read_to_string(&mut text)
            .map_err(|source| self.io(&path, source))?;
        let hex_text = text
            .trim_end()
            .strip_prefix("hashpact-storage-key-v1 ")
            .ok_or_else(fault)?;
        let mut secret = Zeroizing::new([0; 32]);
        hex::decode_to_slice(hex_text, &mut *secret).map_err(|_| fault())?;
        Ok(StoreKeys {
            seal: SealKey::new(&blake3::derive_key("hashpact storage seal v1", &*secret)),
            index: IndexKey::new(&blake3::derive_key("hashpact storage index v1", &*secret)),
        })
    }

    fn io(&self, path: &Path, source: io::Error) -> HomeError {
        HomeError::Io {
            path: path.to_owned(),
            source,
        }
    }
}
