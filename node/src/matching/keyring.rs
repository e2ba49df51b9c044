//! The seed of an epoch's keys, sealed at rest, one file an epoch: `epoch-<n>.key`.
//!
//! Why a seed: every key of an epoch follows from it (RFC 9497, `DeriveKeyPair`, with the space as
//! `info`), so that destroying one file destroys them all. Layout, integers big-endian:
//! ```text
//! "HPMK1\0"  epoch u64  nonce 24  sealed seed 32 + 16
//! ```
//! Sealed with XChaCha20-Poly1305 under a key derived from the storage key ("hashpact storage match
//! v1"); associated: magic, epoch, the origin's bytes. In scope: files. Out of scope: who uses a key
//! (`evaluator`), when it ends (`build`). What a disk keeps of overwritten blocks is beyond a
//! program: `docs/operating.md` says so.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use hashpact_keys::Origin;
use hashpact_protocol::psi::Epoch;
use zeroize::Zeroizing;

use crate::store::durable::{Steps, sync_dir, write_new};

const MAGIC: &[u8; 6] = b"HPMK1\0";
const NONCE: usize = 24;
const HEAD: usize = 14 + NONCE;
const LENGTH: usize = HEAD + 32 + 16;

/// The key that seals epoch keys. Zeroized on drop; no Debug, no Clone.
pub struct EpochSeal(Zeroizing<[u8; 32]>);

impl EpochSeal {
    /// Takes a copy of `bytes`, which must be uniform and secret; the caller wipes its own.
    #[must_use]
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(Zeroizing::new(*bytes))
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.0).into())
    }
}

/// The seed of an epoch's keys. Boxed, so that it leaves no copy where it is moved from; zeroized on drop; no Debug, no Clone.
pub(super) struct EpochSeed(Box<Zeroizing<[u8; 32]>>);

impl EpochSeed {
    /// A fresh one.
    pub(super) fn random() -> io::Result<Self> {
        let mut seed = Box::new(Zeroizing::new([0; 32]));
        getrandom::fill(&mut **seed).map_err(io::Error::other)?;
        Ok(Self(seed))
    }

    pub(super) fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Why an epoch's key cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// The disk.
    #[error("the file of a match key")]
    Io(#[from] io::Error),
    /// Not what this node wrote for this epoch of this log.
    #[error("the key file of match epoch {epoch} is damaged, or not of this node and log")]
    Damaged {
        /// The epoch.
        epoch: Epoch,
    },
}

/// The folder of key files, of one log.
pub(super) struct Keyring {
    folder: PathBuf,
    origin: Origin,
    seal: EpochSeal,
    steps: Steps,
}

impl Keyring {
    pub(super) fn new(folder: &Path, origin: Origin, seal: EpochSeal, steps: Steps) -> Self {
        Self {
            folder: folder.to_owned(),
            origin,
            seal,
            steps,
        }
    }

    fn path(&self, epoch: Epoch) -> PathBuf {
        self.folder.join(format!("epoch-{epoch}.key"))
    }

    fn associated(&self, epoch: Epoch) -> Vec<u8> {
        [
            &MAGIC[..],
            &epoch.0.to_be_bytes(),
            self.origin.as_str().as_bytes(),
        ]
        .concat()
    }

    /// Seals a seed: durable when it returns.
    pub(super) fn write(&self, epoch: Epoch, seed: &EpochSeed) -> io::Result<()> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(io::Error::other)?;
        let payload = Payload {
            msg: seed.expose(),
            aad: &self.associated(epoch),
        };
        let sealed = self.seal.cipher().encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.map_err(|_| io::ErrorKind::InvalidInput)?;
        let parts = [&MAGIC[..], &epoch.0.to_be_bytes(), &nonce, &sealed];
        write_new(&self.path(epoch), &parts, &self.steps)
    }

    /// Opens the seed of an epoch; `None` if it was destroyed or never made.
    pub(super) fn read(&self, epoch: Epoch) -> Result<Option<EpochSeed>, KeyringError> {
        let bytes = match fs::read(self.path(epoch)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let damaged = KeyringError::Damaged { epoch };
        if bytes.len() != LENGTH || bytes[..14] != self.associated(epoch)[..14] {
            return Err(damaged);
        }
        let (head, sealed) = bytes.split_at(HEAD);
        let mut nonce = [0; NONCE];
        nonce.copy_from_slice(&head[14..]);
        let payload = Payload {
            msg: sealed,
            aad: &self.associated(epoch),
        };
        let opened = self.seal.cipher().decrypt(&XNonce::from(nonce), payload);
        let opened = opened.map(Zeroizing::new).map_err(|_| damaged)?;
        let mut seed = Box::new(Zeroizing::new([0; 32]));
        if opened.len() != seed.len() {
            return Err(KeyringError::Damaged { epoch });
        }
        seed.copy_from_slice(&opened);
        Ok(Some(EpochSeed(seed)))
    }

    /// Overwrites and removes the key file of an epoch, if there is one: durable when it returns.
    pub(super) fn destroy(&self, epoch: Epoch) -> io::Result<()> {
        let path = self.path(epoch);
        let mut file = match OpenOptions::new().write(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        self.steps.pass("overwrite key")?;
        file.write_all(&[0; LENGTH])?;
        file.sync_all()?;
        self.steps.pass("remove key")?;
        fs::remove_file(&path)?;
        sync_dir(&self.folder, &self.steps)
    }

    /// The epochs that have a key file, ascending.
    pub(super) fn epochs(&self) -> io::Result<Vec<Epoch>> {
        let mut epochs = Vec::new();
        for item in fs::read_dir(&self.folder)? {
            let name = item?.file_name();
            let number = name.to_str().and_then(|name| {
                let number = name.strip_prefix("epoch-")?.strip_suffix(".key")?;
                number.parse().ok()
            });
            epochs.extend(number.map(Epoch));
        }
        epochs.sort_unstable();
        Ok(epochs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyring(folder: &Path, origin: &str, key: u8) -> Keyring {
        let origin = origin.parse().unwrap();
        Keyring::new(folder, origin, EpochSeal::new(&[key; 32]), Steps::default())
    }

    #[test]
    fn a_seed_comes_back_for_its_own_epoch_log_and_node_alone() {
        let dir = tempfile::tempdir().unwrap();
        let own = keyring(dir.path(), "eu.example/eu/1", 1);
        let seed = EpochSeed::random().unwrap();
        own.write(Epoch(3), &seed).unwrap();
        let read = own.read(Epoch(3)).unwrap().unwrap();
        assert!(read.expose() == seed.expose());
        assert!(own.read(Epoch(4)).unwrap().is_none());
        let others = [
            keyring(dir.path(), "eu.example/eu/2", 1),
            keyring(dir.path(), "eu.example/eu/1", 2),
        ];
        for other in others {
            assert!(other.read(Epoch(3)).is_err());
        }
        fs::copy(own.path(Epoch(3)), own.path(Epoch(4))).unwrap();
        assert!(own.read(Epoch(4)).is_err());
    }

    #[test]
    fn the_seed_does_not_lie_readable_in_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let own = keyring(dir.path(), "eu.example/eu/1", 1);
        let seed = EpochSeed::random().unwrap();
        own.write(Epoch(0), &seed).unwrap();
        let bytes = fs::read(own.path(Epoch(0))).unwrap();
        assert_eq!(bytes.len(), LENGTH);
        assert!(!bytes.windows(8).any(|part| part == &seed.expose()[..8]));
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            fs::write(own.path(Epoch(0)), &bad).unwrap();
            assert!(own.read(Epoch(0)).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_destroyed_key_is_overwritten_and_gone_at_whatever_step_it_crashes_before() {
        let dir = tempfile::tempdir().unwrap();
        let seed = EpochSeed::random().unwrap();
        for stop in 0..3 {
            keyring(dir.path(), "eu.example/eu/1", 1)
                .write(Epoch(1), &seed)
                .unwrap();
            let mut crashing = keyring(dir.path(), "eu.example/eu/1", 1);
            crashing.steps = Steps::stop_at(stop);
            crashing.destroy(Epoch(1)).unwrap_err();
            let own = keyring(dir.path(), "eu.example/eu/1", 1);
            // Overwritten, it is damaged; either way it is destroyed when it is tried again.
            assert_eq!(
                own.read(Epoch(1)).is_ok_and(|seed| seed.is_some()),
                stop == 0
            );
            own.destroy(Epoch(1)).unwrap();
            assert!(own.epochs().unwrap().is_empty());
            assert!(own.read(Epoch(1)).unwrap().is_none());
        }
        keyring(dir.path(), "eu.example/eu/1", 1)
            .destroy(Epoch(9))
            .unwrap();
    }
}
