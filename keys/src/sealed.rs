//! All keys of a node in one file, sealed under a passphrase.
//!
//! Why: a stolen disk or backup must not speak for a centre. Spec: ADR 0011. Layout, integers big-endian:
//!
//! ```text
//! header      "hashpact-sealed-keys-v1\n"  memory in KiB u32  passes u32  lanes u32  salt 16  nonce 24
//! ciphertext  XChaCha20-Poly1305 of the keys under Argon2id(passphrase, salt), the header as associated data
//! tag 16
//! keys        storage key 32, then for each key: code of its use u8, seed 32; codes ascend
//! ```
//!
//! Whatever can be refused without the passphrase is refused by [`SealedKeys::read`], before any work is done for the file:
//! what it asks for is bounded by [`Cost`]. In scope: the format, writing and reading the file. Out of scope: where the
//! passphrase comes from (`hashpact-node`), random numbers (the caller's), hardware keys, memory that is swapped out.

mod file;
mod key_set;
mod stretch;
#[cfg(test)]
mod tests;

use std::collections::TryReserveError;
use std::io;
use std::path::{Path, PathBuf};

use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::{AeadInOut, KeyInit, Tag, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use crate::roster::KeyUse;

pub use key_set::{KeySet, KeySetError};
pub use stretch::{Cost, CostError, PASSPHRASE_CHARS_MIN, Passphrase, ShortPassphrase};

const MAGIC: &[u8; 24] = b"hashpact-sealed-keys-v1\n";
const SALT_LEN: usize = 16;
const NONCE_LEN: usize = 24;
const TAG_LEN: usize = 16;
const COST_AT: usize = MAGIC.len();
const SALT_AT: usize = COST_AT + 3 * 4;
const NONCE_AT: usize = SALT_AT + SALT_LEN;
const HEADER_LEN: usize = NONCE_AT + NONCE_LEN;
const FILE_LEN_MAX: usize = HEADER_LEN + key_set::LEN_MAX + TAG_LEN;

/// Random bytes that one sealing uses up: a salt and a nonce.
pub const FRESH_LEN: usize = SALT_LEN + NONCE_LEN;

/// Why a file is not taken for sealed keys. No variant holds what the file says, but for its numbers.
#[derive(Debug, thiserror::Error)]
pub enum ReadSealedError {
    /// The system refused.
    #[error("{path}: cannot {action} the sealed keys", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// It is a folder, a device or the like.
    #[error("{path}: not a regular file", path = path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// Group or others may read, write or run the file.
    #[error("{path}: mode {mode:o} lets others at the sealed keys; it must be 600", path = path.display())]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is longer than sealed keys can be.
    #[error("{path}: longer than {max} bytes, so no file of sealed keys", path = path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The longest that there is.
        max: usize,
    },
    /// The first line or the length is another.
    #[error("{path}: not a file of sealed keys", path = path.display())]
    Format {
        /// The file.
        path: PathBuf,
    },
    /// It asks for more work than is done for any file, or for too little to protect anything.
    #[error("{path}: the sealed keys ask for unreasonable work", path = path.display())]
    Cost {
        /// The file.
        path: PathBuf,
        /// What it asks for.
        #[source]
        source: CostError,
    },
}

/// Why sealed keys do not open.
#[derive(Debug, thiserror::Error)]
pub enum UnsealError {
    /// Either: they look the same, and nobody but the passphrase's owner could tell.
    #[error("{path}: wrong passphrase or damaged file", path = path.display())]
    Passphrase {
        /// The file.
        path: PathBuf,
    },
    /// The memory that the file asks for is not there.
    #[error("no memory to derive the sealing key")]
    Memory(#[from] TryReserveError),
    /// The file opened, and holds other keys than a node has.
    #[error("{path}: the sealed keys are not a node's", path = path.display())]
    Keys {
        /// The file.
        path: PathBuf,
        /// Which.
        #[source]
        source: KeySetError,
    },
}

/// Why keys are not sealed. What was at the path before is still there, except after a failed last sync.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The passphrase could be guessed whatever the work for each guess.
    #[error(transparent)]
    Short(#[from] ShortPassphrase),
    /// The memory for the work is not there.
    #[error("no memory to derive the sealing key")]
    Memory(#[from] TryReserveError),
    /// There is a file of this name, and it was not to be replaced.
    #[error("{path}: there is a file already", path = path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The system refused.
    #[error("{path}: cannot {action} the sealed keys", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
}

/// Whether a file of the name may be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replace {
    /// It may not.
    Never,
    /// It is replaced, at once and as a whole.
    Existing,
}

/// A file of sealed keys: well-formed, private and modest, not yet opened.
#[derive(Debug)]
pub struct SealedKeys {
    path: PathBuf,
    cost: Cost,
    /// Header, ciphertext and tag.
    bytes: Vec<u8>,
}

impl SealedKeys {
    /// Seals `keys` under `passphrase` into the file at `path`: mode 0600 from its first moment, whole or not at all, and
    /// durable when this returns. It is written beside its place under the name `<path>.new`.
    ///
    /// `fresh` must come from a cryptographic random source and be used once.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn seal(
        path: &Path,
        keys: &KeySet,
        passphrase: &Passphrase,
        cost: Cost,
        fresh: &[u8; FRESH_LEN],
        replace: Replace,
    ) -> Result<(), SealError> {
        passphrase.check_length()?;
        let header = header(cost, fresh);
        let key = cost.stretch(passphrase, salt(&header))?;
        file::write(path, &seal_bytes(&header, &key, keys), replace)
    }

    /// Reads a file and checks all that can be checked without its passphrase.
    ///
    /// # Errors
    /// [`ReadSealedError`].
    pub fn read(path: &Path) -> Result<Self, ReadSealedError> {
        let bytes = file::read(path)?;
        let is_ours = bytes.starts_with(MAGIC)
            && bytes
                .len()
                .checked_sub(HEADER_LEN + TAG_LEN)
                .is_some_and(key_set::is_len);
        if !is_ours {
            return Err(ReadSealedError::Format {
                path: path.to_owned(),
            });
        }
        let cost = Cost::new(
            number(&bytes, COST_AT),
            number(&bytes, COST_AT + 4),
            number(&bytes, COST_AT + 8),
        );
        let cost = cost.map_err(|source| ReadSealedError::Cost {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            path: path.to_owned(),
            cost,
            bytes,
        })
    }

    /// What opening costs, as the file says.
    #[must_use]
    pub fn cost(&self) -> Cost {
        self.cost
    }

    /// Opens the file, which must hold a key for each of `uses` and no other.
    ///
    /// # Errors
    /// [`UnsealError`].
    pub fn open(&self, passphrase: &Passphrase, uses: &[KeyUse]) -> Result<KeySet, UnsealError> {
        let key = self.cost.stretch(passphrase, salt(&self.bytes))?;
        let keys = open_bytes(&self.bytes, &key).ok_or_else(|| UnsealError::Passphrase {
            path: self.path.clone(),
        })?;
        let of_node = KeySet::parse(keys).and_then(|keys| keys.require(uses).map(|()| keys));
        of_node.map_err(|source| UnsealError::Keys {
            path: self.path.clone(),
            source,
        })
    }
}

fn header(cost: Cost, fresh: &[u8; FRESH_LEN]) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    header[..COST_AT].copy_from_slice(MAGIC);
    for (at, number) in (COST_AT..).step_by(4).zip(cost.numbers()) {
        header[at..at + 4].copy_from_slice(&number.to_be_bytes());
    }
    header[SALT_AT..].copy_from_slice(fresh);
    header
}

/// Callers have checked that a whole header is there.
fn number(bytes: &[u8], at: usize) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[at..at + 4]);
    u32::from_be_bytes(number)
}

fn salt(bytes: &[u8]) -> &[u8] {
    &bytes[SALT_AT..NONCE_AT]
}

fn nonce(bytes: &[u8]) -> XNonce {
    let mut nonce = [0; NONCE_LEN];
    nonce.copy_from_slice(&bytes[NONCE_AT..HEADER_LEN]);
    XNonce::from(nonce)
}

fn seal_bytes(header: &[u8; HEADER_LEN], key: &[u8; 32], keys: &KeySet) -> Vec<u8> {
    let mut keys = keys.to_plaintext();
    let cipher = XChaCha20Poly1305::new(key.into());
    let buffer = InOutBuf::from(&mut keys[..]);
    let sealed = cipher.encrypt_inout_detached(&nonce(header), header, buffer);
    #[expect(
        clippy::expect_used,
        reason = "the cipher refuses 256 GiB and more, and a key set has a few hundred bytes"
    )]
    let tag = sealed.expect("a key set is short");
    [&header[..], &keys, &tag].concat()
}

/// Opens in place: the keys are in one buffer, which is wiped.
fn open_bytes(bytes: &[u8], key: &[u8; 32]) -> Option<Zeroizing<Vec<u8>>> {
    let (header, sealed) = bytes.split_at_checked(HEADER_LEN)?;
    let (ciphertext, tag) = sealed.split_at_checked(sealed.len().checked_sub(TAG_LEN)?)?;
    let tag = <[u8; TAG_LEN]>::try_from(tag).ok()?;
    let mut keys = key_set::room();
    keys.extend_from_slice(ciphertext);
    let cipher = XChaCha20Poly1305::new(key.into());
    let buffer = InOutBuf::from(&mut keys[..]);
    let opened = cipher.decrypt_inout_detached(&nonce(header), header, buffer, &Tag::from(tag));
    opened.ok().map(|()| keys)
}
