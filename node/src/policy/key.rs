//! Policy keys: held by people, not by the node, one file each.
//!
//! Why sealed: two of them change what a centre shares, so neither may lie open on a desk. In scope: the file. Out of scope:
//! who may hold one (the roster), what is signed (`hashpact_protocol::policy`).

use std::io;
use std::path::{Path, PathBuf};

use hashpact_keys::sealed::{
    Cost, FRESH_LEN, KeySet, Passphrase, ReadSealedError, Replace, SealError, SealedKeys,
    UnsealError,
};
use hashpact_keys::store::{KeyFile, KeyFileError};
use hashpact_keys::{KeyUse, Signer};
use zeroize::Zeroizing;

use crate::home::{PassphraseError, PassphraseSource};

/// A seed from a cryptographic random source.
pub type Seed = fn() -> io::Result<Zeroizing<[u8; 32]>>;

/// Why there is no policy key.
#[derive(Debug, thiserror::Error)]
pub enum PolicyKeyError {
    /// There is a file of this name: a key is never overwritten.
    #[error("{path}: there is a file already, and a key is never overwritten: choose another name", path = path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The file is neither a sealed nor a plain policy key.
    #[error("{path}: not a policy key: `hashpact policy key new` makes one", path = path.display())]
    Other {
        /// The file.
        path: PathBuf,
    },
    /// A plain file.
    #[error(transparent)]
    Plain(#[from] KeyFileError),
    /// Sealing.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A sealed file, before it is opened.
    #[error(transparent)]
    Read(#[from] ReadSealedError),
    /// A sealed file that does not open.
    #[error(transparent)]
    Unseal(#[from] UnsealError),
    /// The passphrase.
    #[error(transparent)]
    Passphrase(#[from] PassphraseError),
    /// The source of randomness.
    #[error("no random numbers: {0}")]
    Random(#[from] io::Error),
}

/// Makes a plain file, for demonstrations.
///
/// # Errors
/// [`PolicyKeyError`].
pub fn make_plain(path: &Path, seed: Seed) -> Result<Signer, PolicyKeyError> {
    match KeyFile::create(path, KeyUse::Policy, &*seed()?) {
        Err(KeyFileError::Exists { path }) => Err(PolicyKeyError::Exists { path }),
        made => Ok(made?),
    }
}

/// Makes a file that is sealed from the first, in the form of a node's sealed keys.
///
/// # Errors
/// [`PolicyKeyError`].
pub fn make_sealed(
    path: &Path,
    seed: Seed,
    passphrase: &Passphrase,
) -> Result<Signer, PolicyKeyError> {
    let secret = seed()?;
    // The form begins with a storage key, which nothing rests under here.
    let mut keys = KeySet::new(&*seed()?);
    keys.insert(KeyUse::Policy, &secret);
    let mut fresh = [0; FRESH_LEN];
    getrandom::fill(&mut fresh).map_err(io::Error::other)?;
    match SealedKeys::seal(
        path,
        &keys,
        passphrase,
        Cost::STANDARD,
        &fresh,
        Replace::Never,
    ) {
        Err(SealError::Exists { path }) => Err(PolicyKeyError::Exists { path }),
        sealed => Ok(sealed.map(|()| Signer::from_seed(&secret))?),
    }
}

/// Loads a policy key; a passphrase is asked for only if it is sealed.
///
/// # Errors
/// [`PolicyKeyError`].
pub fn load(path: &Path, source: &PassphraseSource) -> Result<Signer, PolicyKeyError> {
    let other = || PolicyKeyError::Other {
        path: path.to_owned(),
    };
    let sealed = match SealedKeys::read(path) {
        Ok(sealed) => sealed,
        Err(ReadSealedError::Format { .. }) => {
            return match KeyFile::load(path, KeyUse::Policy) {
                Err(KeyFileError::Format { .. } | KeyFileError::Use { .. }) => Err(other()),
                loaded => Ok(loaded?),
            };
        }
        Err(error) => return Err(error.into()),
    };
    let passphrase = source.read(path)?;
    match sealed.open(&passphrase, &[KeyUse::Policy]) {
        // A node's own keys are sealed in the same form.
        Err(UnsealError::Keys { .. }) => Err(other()),
        opened => opened?.signer(KeyUse::Policy).ok_or_else(other),
    }
}
