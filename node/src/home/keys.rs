//! The keys of a node, loaded once: from plain files, or from the one file that they are sealed in.
//!
//! Why: a passphrase is asked for once, and whatever needs a key is handed it by whoever asked. In scope: which keys a home
//! holds, loading, sealing, replacing. Out of scope: formats (`hashpact_keys::{store, sealed}`).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use hashpact_keys::sealed::{Cost, FRESH_LEN, KeySet, Passphrase, Replace, SealedKeys};
use hashpact_keys::store::KeyDir;
use hashpact_keys::{KeyUse, Signer};
use zeroize::Zeroizing;

use super::passphrase::PassphraseSource;
use super::{Home, HomeError, NODE_KEYS};
use crate::matching::client::CacheKey;
use crate::matching::{EpochSeal, IdKey, MatchKeys};
use crate::store::StoreKeys;
use crate::store::index::IndexKey;
use crate::store::sealed::SealKey;
use crate::subset::CursorKey;

/// Every key of a node. Wiped when dropped; no Debug, no Clone.
pub struct NodeKeys {
    keys: KeySet,
    sealed: bool,
}

impl NodeKeys {
    /// A set that is complete.
    fn new(keys: KeySet, sealed: bool) -> Result<Self, HomeError> {
        keys.require(&NODE_KEYS)?;
        Ok(Self { keys, sealed })
    }

    /// Whether they rest in a sealed file.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.sealed
    }

    /// The key for a use; a node holds those of [`NODE_KEYS`].
    ///
    /// # Errors
    /// [`HomeError::NoKey`] for another use.
    pub fn signer(&self, use_: KeyUse) -> Result<Signer, HomeError> {
        self.keys.signer(use_).ok_or(HomeError::NoKey { use_ })
    }

    /// All of them, in the order of [`NODE_KEYS`].
    ///
    /// # Errors
    /// As [`NodeKeys::signer`].
    pub fn signers(&self) -> Result<Vec<(KeyUse, Signer)>, HomeError> {
        NODE_KEYS
            .into_iter()
            .map(|use_| Ok((use_, self.signer(use_)?)))
            .collect()
    }

    /// The node key's seed, which libp2p makes its identity from.
    ///
    /// # Errors
    /// [`HomeError::NoKey`].
    pub fn node_seed(&self) -> Result<Zeroizing<[u8; 32]>, HomeError> {
        let use_ = KeyUse::Node;
        let seed = self.keys.node_seed().ok_or(HomeError::NoKey { use_ })?;
        Ok(Zeroizing::new(*seed))
    }

    /// The keys that seal bodies and key the index, derived from the storage key.
    #[must_use]
    pub fn store_keys(&self) -> StoreKeys {
        let derived =
            |context| Zeroizing::new(blake3::derive_key(context, self.keys.storage().as_slice()));
        StoreKeys {
            seal: SealKey::new(&derived("hashpact storage seal v1")),
            index: IndexKey::new(&derived("hashpact storage index v1")),
        }
    }

    /// The keys that seal match epochs and hash the ids of match items, derived from the storage key.
    #[must_use]
    pub fn match_keys(&self) -> MatchKeys {
        let derived =
            |context| Zeroizing::new(blake3::derive_key(context, self.keys.storage().as_slice()));
        MatchKeys {
            seal: EpochSeal::new(&derived("hashpact storage match v1")),
            ids: IdKey::new(&derived("hashpact storage match id v1")),
        }
    }

    /// The key of the match caches, derived from the storage key.
    #[must_use]
    pub fn match_cache_key(&self) -> CacheKey {
        CacheKey::derive(self.keys.storage())
    }

    /// The key that authenticates members' cursors, derived from the storage key.
    #[must_use]
    pub fn cursor_key(&self) -> CursorKey {
        let derived =
            blake3::derive_key("hashpact storage cursor v1", self.keys.storage().as_slice());
        CursorKey::new(&Zeroizing::new(derived))
    }

    /// Puts a fresh seed in place of each of these keys; [`Home::reseal`] makes it last.
    ///
    /// # Errors
    /// Of `seed`.
    pub(crate) fn renew(
        &mut self,
        uses: &[KeyUse],
        mut seed: impl FnMut() -> io::Result<Zeroizing<[u8; 32]>>,
    ) -> io::Result<()> {
        for &use_ in uses {
            self.keys.insert(use_, &*seed()?);
        }
        Ok(())
    }
}

impl Home {
    /// The file of sealed keys.
    #[must_use]
    pub fn sealed_keys(&self) -> PathBuf {
        self.path.join("keys.sealed")
    }

    /// Whether the keys are sealed.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        fs::symlink_metadata(self.sealed_keys()).is_ok()
    }

    /// Whether plain key files are there.
    #[must_use]
    pub fn has_plain_keys(&self) -> bool {
        !self.plain_files().is_empty()
    }

    fn plain_keys(&self) -> KeyDir {
        KeyDir::new(self.path.join("keys"))
    }

    fn storage_key(&self) -> PathBuf {
        self.path.join("keys").join("storage.key")
    }

    /// The plain key files that are there.
    fn plain_files(&self) -> Vec<PathBuf> {
        let keys = self.plain_keys();
        NODE_KEYS
            .into_iter()
            .map(|use_| keys.path_of(use_))
            .chain([self.storage_key()])
            .filter(|path| fs::symlink_metadata(path).is_ok())
            .collect()
    }

    /// Makes fresh keys as plain files. `seed` fills 32 random bytes.
    pub(super) fn make_plain_keys(
        &self,
        mut seed: impl FnMut() -> io::Result<Zeroizing<[u8; 32]>>,
    ) -> Result<NodeKeys, HomeError> {
        let mut seed = || seed().map_err(|source| self.io(&self.path, source));
        let plain = self.plain_keys();
        plain.make()?;
        for use_ in NODE_KEYS {
            plain.create(use_, &*seed()?)?;
        }
        self.write_storage_key(&*seed()?)?;
        self.load_plain()
    }

    /// Makes fresh keys that no plain file ever holds. `seed` fills 32 random bytes.
    pub(super) fn make_sealed_keys(
        &self,
        mut seed: impl FnMut() -> io::Result<Zeroizing<[u8; 32]>>,
        passphrase: &Passphrase,
    ) -> Result<NodeKeys, HomeError> {
        let mut seed = || seed().map_err(|source| self.io(&self.path, source));
        let mut keys = KeySet::new(&*seed()?);
        for use_ in NODE_KEYS {
            keys.insert(use_, &*seed()?);
        }
        self.write_sealed(&keys, passphrase, Replace::Never)?;
        NodeKeys::new(keys, true)
    }

    /// Loads every key. A passphrase is read only if they are sealed.
    ///
    /// # Errors
    /// [`HomeError`]; [`HomeError::PlainBeside`] if sealing was not finished.
    pub fn unlock(&self, source: &PassphraseSource) -> Result<NodeKeys, HomeError> {
        if !self.is_sealed() {
            return self.load_plain();
        }
        // Read first: nobody types a passphrase for a file that cannot be opened with any.
        let sealed = self.read_sealed()?;
        let passphrase = source.read(&self.path)?;
        NodeKeys::new(sealed.open(&passphrase, &NODE_KEYS)?, true)
    }

    /// As [`Home::unlock`] for a sealed home, with a passphrase at hand.
    ///
    /// # Errors
    /// [`HomeError`].
    pub fn unseal(&self, passphrase: &Passphrase) -> Result<NodeKeys, HomeError> {
        let sealed = self.read_sealed()?;
        NodeKeys::new(sealed.open(passphrase, &NODE_KEYS)?, true)
    }

    fn read_sealed(&self) -> Result<SealedKeys, HomeError> {
        let sealed = SealedKeys::read(&self.sealed_keys())?;
        match self.plain_files().into_iter().next() {
            Some(path) => Err(HomeError::PlainBeside { path }),
            None => Ok(sealed),
        }
    }

    /// Writes the sealed keys anew: other keys, another passphrase, or both.
    ///
    /// # Errors
    /// [`HomeError`]; the old file then stands.
    pub fn reseal(&self, keys: &NodeKeys, passphrase: &Passphrase) -> Result<(), HomeError> {
        self.write_sealed(&keys.keys, passphrase, Replace::Existing)
    }

    /// Seals plain keys, opens them once as a check, and only then overwrites and removes the plain files. Where an earlier
    /// run ended in between, the same passphrase finishes it.
    ///
    /// # Errors
    /// [`HomeError`]; no plain file is touched before the sealed one is known to open and to hold the same keys.
    pub fn seal(&self, passphrase: &Passphrase) -> Result<NodeKeys, HomeError> {
        if !self.is_sealed() {
            let plain = self.load_plain()?;
            self.write_sealed(&plain.keys, passphrase, Replace::Never)?;
        }
        let sealed = SealedKeys::read(&self.sealed_keys())?;
        let sealed = NodeKeys::new(sealed.open(passphrase, &NODE_KEYS)?, true)?;
        let files = self.plain_files();
        self.check_same(&sealed)?;
        for path in &files {
            wipe(path).map_err(|source| self.io(path, source))?;
        }
        let folder = self.path.join("keys");
        match fs::remove_dir(&folder) {
            Ok(()) => {}
            // Something of the operator's own is in it, or it is gone already.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotFound
                ) => {}
            Err(error) => return Err(self.io(&folder, error)),
        }
        sync(&self.path).map_err(|source| self.io(&self.path, source))?;
        Ok(sealed)
    }

    /// A plain key that differs from the sealed one may be the only copy of what the roster names.
    fn check_same(&self, sealed: &NodeKeys) -> Result<(), HomeError> {
        let plain = self.plain_keys();
        for use_ in NODE_KEYS {
            let path = plain.path_of(use_);
            if self.holds_something(&path)?
                && plain.load(use_)?.public() != sealed.signer(use_)?.public()
            {
                return Err(HomeError::OtherKey { path });
            }
        }
        let path = self.storage_key();
        // Of two secrets of this node's own, compared by their owner: how long it takes tells nobody anything.
        if self.holds_something(&path)? && *self.load_storage_key()? != *sealed.keys.storage() {
            return Err(HomeError::OtherKey { path });
        }
        Ok(())
    }

    /// Whether a file is there and was not overwritten by [`wipe`], which may have ended before it removed it.
    fn holds_something(&self, path: &Path) -> Result<bool, HomeError> {
        if fs::symlink_metadata(path).is_err() {
            return Ok(false);
        }
        let bytes = fs::read(path).map(Zeroizing::new);
        let bytes = bytes.map_err(|source| self.io(path, source))?;
        Ok(bytes.iter().any(|byte| *byte != 0))
    }

    fn load_plain(&self) -> Result<NodeKeys, HomeError> {
        let storage = self.load_storage_key()?;
        let keys = KeySet::load_plain(&storage, &self.plain_keys(), &NODE_KEYS)?;
        NodeKeys::new(keys, false)
    }

    fn write_sealed(
        &self,
        keys: &KeySet,
        passphrase: &Passphrase,
        replace: Replace,
    ) -> Result<(), HomeError> {
        let mut fresh = [0; FRESH_LEN];
        getrandom::fill(&mut fresh).map_err(|error| self.io(&self.path, error.into()))?;
        let path = self.sealed_keys();
        SealedKeys::seal(&path, keys, passphrase, Cost::STANDARD, &fresh, replace)?;
        Ok(())
    }

    fn write_storage_key(&self, secret: &[u8; 32]) -> Result<(), HomeError> {
        let path = self.storage_key();
        let digits = Zeroizing::new(hex::encode(secret));
        let text = Zeroizing::new(format!("hashpact-storage-key-v1 {}\n", *digits));
        let written = (|| {
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })();
        written.map_err(|source| self.io(&path, source))
    }

    fn load_storage_key(&self) -> Result<Zeroizing<[u8; 32]>, HomeError> {
        let path = self.storage_key();
        let fault = || HomeError::StorageKey { path: path.clone() };
        let file = File::open(&path).map_err(|source| self.io(&path, source))?;
        let metadata = file.metadata().map_err(|source| self.io(&path, source))?;
        if metadata.permissions().mode() & 0o077 != 0 {
            return Err(fault());
        }
        let mut text = Zeroizing::new(String::with_capacity(256));
        file.take(128)
            .read_to_string(&mut text)
            .map_err(|source| self.io(&path, source))?;
        let digits = text
            .trim_end()
            .strip_prefix("hashpact-storage-key-v1 ")
            .ok_or_else(fault)?;
        let mut secret = Zeroizing::new([0; 32]);
        hex::decode_to_slice(digits, &mut *secret).map_err(|_| fault())?;
        Ok(secret)
    }
}

/// Overwrites a file and removes it. What a disk keeps of overwritten blocks is beyond a program: the operator is told.
fn wipe(path: &Path) -> io::Result<()> {
    // A link is removed, and what it points at is left alone.
    if fs::symlink_metadata(path)?.is_file() {
        let mut file = OpenOptions::new().write(true).open(path)?;
        let len = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
        file.write_all(&vec![0; len.min(1 << 16)])?;
        file.sync_all()?;
    }
    fs::remove_file(path)?;
    path.parent().map_or(Ok(()), sync)
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
