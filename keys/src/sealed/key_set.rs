//! The keys of one node, in memory.
//!
//! Why one buffer: it is what is sealed, it is wiped as a whole, and no key is copied about on its way. Spec: the parent
//! module, `keys`. In scope: which keys, and their form. Out of scope: which uses a node has (the caller's list).

use zeroize::Zeroizing;

use crate::id::KeyId;
use crate::roster::KeyUse;
use crate::signer::{PublicKey, Signer};
use crate::store::{KeyDir, KeyFileError};

const SECRET_LEN: usize = 32;
/// The code of a use, and a seed.
const ROW_LEN: usize = 1 + SECRET_LEN;
/// One row a use.
pub(super) const LEN_MAX: usize = SECRET_LEN + KeyUse::ALL.len() * ROW_LEN;

/// Why decrypted bytes, or a set, are not the keys of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// Bytes are left over or missing.
    #[error("the keys have another length than keys have")]
    Length,
    /// A use has no such code.
    #[error("a key has an unknown use")]
    UnknownUse,
    /// A use occurs twice, or the uses are not sorted.
    #[error("the {use_} key does not sort above the key before it")]
    Order {
        /// The second of the two.
        use_: KeyUse,
    },
    /// A key is missing.
    #[error("there is no {use_} key")]
    Missing {
        /// Its use.
        use_: KeyUse,
    },
    /// A key is there that does not belong there.
    #[error("there is a {use_} key, which no node holds")]
    Unexpected {
        /// Its use.
        use_: KeyUse,
    },
}

/// The storage key of a node and one seed for each of its uses. Wiped when dropped; no Debug, no Clone.
pub struct KeySet(Zeroizing<Vec<u8>>);

impl KeySet {
    /// A set with a storage key only. All seeds here and below must come from a cryptographic random source.
    #[must_use]
    pub fn new(storage: &[u8; 32]) -> Self {
        let mut bytes = room();
        bytes.extend_from_slice(storage);
        Self(bytes)
    }

    /// Loads plain key files for `uses` from a folder.
    ///
    /// # Errors
    /// As [`KeyDir::load`].
    pub fn load_plain(
        storage: &[u8; 32],
        dir: &KeyDir,
        uses: &[KeyUse],
    ) -> Result<Self, KeyFileError> {
        let mut keys = Self::new(storage);
        for &use_ in uses {
            keys.insert(use_, &*dir.load_seed(use_)?);
        }
        Ok(keys)
    }

    /// Puts a seed in, in place of the one for this use.
    pub fn insert(&mut self, use_: KeyUse, seed: &[u8; 32]) {
        let before = self.rows().take_while(|row| row[0] < use_.code()).count();
        let at = SECRET_LEN + before * ROW_LEN;
        if self.0.get(at) != Some(&use_.code()) {
            // The room was reserved at once: nothing is moved to another buffer.
            let end = self.0.len();
            self.0.resize(end + ROW_LEN, 0);
            self.0.copy_within(at..end, at + ROW_LEN);
            self.0[at] = use_.code();
        }
        self.0[at + 1..at + ROW_LEN].copy_from_slice(seed);
    }

    /// The key for this use, if it is there.
    #[must_use]
    pub fn signer(&self, use_: KeyUse) -> Option<Signer> {
        self.seed(use_).map(Signer::from_seed)
    }

    /// The public half of the key for this use and its id, if it is there.
    #[must_use]
    pub fn public(&self, use_: KeyUse) -> Option<(PublicKey, KeyId)> {
        let public = self.signer(use_)?.public();
        Some((public, public.key_id()))
    }

    /// The seed of the `node` key. Only this use hands its seed out: the network library keeps its own key.
    #[must_use]
    pub fn node_seed(&self) -> Option<&[u8; 32]> {
        self.seed(KeyUse::Node)
    }

    /// The storage key.
    #[must_use]
    pub fn storage(&self) -> &[u8; 32] {
        #[expect(
            clippy::expect_used,
            reason = "`new` and `parse` are the only ways to a set, and both begin with the storage key"
        )]
        self.0
            .first_chunk()
            .expect("a set begins with its storage key")
    }

    /// Checks that there is a key for each of `uses` and no other.
    ///
    /// # Errors
    /// [`KeySetError::Missing`] or [`KeySetError::Unexpected`].
    pub fn require(&self, uses: &[KeyUse]) -> Result<(), KeySetError> {
        for use_ in KeyUse::ALL {
            match (self.seed(use_).is_some(), uses.contains(&use_)) {
                (false, true) => return Err(KeySetError::Missing { use_ }),
                (true, false) => return Err(KeySetError::Unexpected { use_ }),
                (true, true) | (false, false) => {}
            }
        }
        Ok(())
    }

    pub(super) fn parse(bytes: Zeroizing<Vec<u8>>) -> Result<Self, KeySetError> {
        if !is_len(bytes.len()) {
            return Err(KeySetError::Length);
        }
        let keys = Self(bytes);
        let mut last = 0;
        for row in keys.rows() {
            let use_ = KeyUse::from_code(row[0]).map_err(|_| KeySetError::UnknownUse)?;
            if row[0] <= last {
                return Err(KeySetError::Order { use_ });
            }
            last = row[0];
        }
        Ok(keys)
    }

    pub(super) fn to_plaintext(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = room();
        bytes.extend_from_slice(&self.0);
        bytes
    }

    fn rows(&self) -> impl Iterator<Item = &[u8]> {
        self.0[SECRET_LEN..].chunks_exact(ROW_LEN)
    }

    fn seed(&self, use_: KeyUse) -> Option<&[u8; 32]> {
        let mut rows = self.rows();
        rows.find(|row| row[0] == use_.code())?[1..].first_chunk()
    }
}

/// A buffer that the longest set fits into: one that grows leaves copies of the secrets behind.
pub(super) fn room() -> Zeroizing<Vec<u8>> {
    Zeroizing::new(Vec::with_capacity(LEN_MAX))
}

/// Whether a set can have this many bytes.
pub(super) fn is_len(len: usize) -> bool {
    len <= LEN_MAX
        && len
            .checked_sub(SECRET_LEN)
            .is_some_and(|rows| rows % ROW_LEN == 0)
}
