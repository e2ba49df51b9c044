//! How the cache is sealed: XChaCha20-Poly1305 under a key of the home, with a random nonce before each text.

use std::io;

use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use super::Name;

const NONCE: usize = 24;
/// Bytes that sealing adds: nonce and tag.
pub(super) const OVERHEAD: usize = NONCE + 16;

/// The key of the match caches of a home. Wiped when dropped; no Debug, no Clone.
pub struct CacheKey(Zeroizing<[u8; 32]>);

impl CacheKey {
    /// Derives it from a secret of the home that is uniform: the storage key, or a member's node key.
    #[must_use]
    pub fn derive(secret: &[u8; 32]) -> Self {
        Self(Zeroizing::new(blake3::derive_key(
            "hashpact match cache v1",
            secret,
        )))
    }
}

/// Seals, opens and names.
pub(super) struct Vault {
    cipher: XChaCha20Poly1305,
    names: Zeroizing<[u8; 32]>,
}

impl Vault {
    pub(super) fn new(key: &CacheKey) -> Self {
        let derived = |context| Zeroizing::new(blake3::derive_key(context, &*key.0));
        let seal = derived("hashpact match cache seal v1");
        Self {
            cipher: XChaCha20Poly1305::new((&*seal).into()),
            names: derived("hashpact match cache name v1"),
        }
    }

    pub(super) fn seal(&self, what: &[u8], plain: &[u8]) -> io::Result<Vec<u8>> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(io::Error::other)?;
        let payload = Payload {
            msg: plain,
            aad: what,
        };
        let sealed = self.cipher.encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok([&nonce[..], &sealed].concat())
    }

    /// `None` if it is not what was sealed here as `what`.
    pub(super) fn open(&self, what: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE>()?;
        let payload = Payload {
            msg: sealed,
            aad: what,
        };
        let plain = self.cipher.decrypt(&XNonce::from(*nonce), payload).ok()?;
        Some(Zeroizing::new(plain))
    }

    pub(super) fn name(&self, input: &[u8]) -> Name {
        let mut name = [0; 16];
        name.copy_from_slice(&blake3::keyed_hash(&self.names, input).as_bytes()[..16]);
        name
    }
}
