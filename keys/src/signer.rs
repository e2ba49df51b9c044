//! One Ed25519 key and its public half.
//!
//! Why: the checks that make a signature mean one key and one message stand in one place. Spec: RFC 8032; verification is
//! `verify_strict`. In scope: raw signatures. Out of scope: what is signed (`cose`), where keys rest (`store`).

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

use crate::hex_text::{self, Hex, HexError};
use crate::id::KeyId;

/// The bytes of an Ed25519 signature.
pub const SIGNATURE_LEN: usize = 64;

/// An Ed25519 public key that is safe to verify with: canonical, and free of small-order parts.
///
/// Equality, order and hash are those of its 32 bytes.
#[derive(Clone, Copy)]
pub struct PublicKey(VerifyingKey);

/// Why 32 bytes are no public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublicKeyError {
    /// The bytes are no point of the curve.
    #[error("the bytes are no point of the curve")]
    Point,
    /// The point has a shorter encoding: a second name for the same key.
    #[error("the point is not encoded canonically")]
    NotCanonical,
    /// The point has small order: it verifies signatures on almost every message.
    #[error("the key is weak: its point has small order")]
    Weak,
    /// The point has a part of small order, over which verifiers disagree.
    #[error("the point is outside the prime-order group")]
    MixedOrder,
}

/// Why a text is no public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParsePublicKeyError {
    /// The text is not 64 hexadecimal digits.
    #[error("not the hexadecimal form of a key")]
    Hex(#[from] HexError),
    /// The bytes are no key.
    #[error("not a usable key")]
    Key(#[from] PublicKeyError),
}

/// The signature is not of this key over this message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not verify")]
pub struct SignatureError;

impl PublicKey {
    /// Reads a key of 32 bytes (RFC 8032 section 5.1.5).
    ///
    /// The checks go beyond RFC 8032 section 5.1.7: with a torsion-free key every signature that is accepted here is also
    /// accepted by verifiers that multiply by the cofactor, so that no two tools disagree on the same log.
    ///
    /// # Errors
    /// One variant of [`PublicKeyError`] for each check.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, PublicKeyError> {
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| PublicKeyError::Point)?;
        if key.is_weak() {
            return Err(PublicKeyError::Weak);
        }
        let point = key.to_edwards();
        if point.compress().as_bytes() != bytes {
            return Err(PublicKeyError::NotCanonical);
        }
        if !point.is_torsion_free() {
            return Err(PublicKeyError::MixedOrder);
        }
        Ok(Self(key))
    }

    /// The 32 bytes of the key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// The first 8 bytes of SHA-256 of the key.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        let hash: [u8; 32] = Sha256::digest(self.as_bytes()).into();
        let [a, b, c, d, e, f, g, h, ..] = hash;
        KeyId::new([a, b, c, d, e, f, g, h])
    }

    /// Checks that `signature` is this key's over `message`, by the strict rules.
    ///
    /// # Errors
    /// [`SignatureError`], without a reason: an attacker learns nothing from which check failed.
    pub fn verify(
        &self,
        message: &[u8],
        signature: &[u8; SIGNATURE_LEN],
    ) -> Result<(), SignatureError> {
        self.0
            .verify_strict(message, &Signature::from_bytes(signature))
            .map_err(|_| SignatureError)
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for PublicKey {}

impl PartialOrd for PublicKey {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for PublicKey {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl std::hash::Hash for PublicKey {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hex(self.as_bytes()).fmt(f)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", Hex(&self.as_bytes()[..4]))
    }
}

impl FromStr for PublicKey {
    type Err = ParsePublicKeyError;

    fn from_str(text: &str) -> Result<Self, ParsePublicKeyError> {
        Ok(Self::from_bytes(&hex_text::decode(text)?)?)
    }
}

/// An Ed25519 key that can sign.
///
/// It is not `Clone`, its Debug shows the public half only, and the secret is wiped from memory when it is dropped.
pub struct Signer {
    key: SigningKey,
    public: PublicKey,
}

impl Signer {
    /// The key of a 32-byte seed (RFC 8032 section 5.1.5, step 1). The seed must come from a cryptographic random source.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let key = SigningKey::from_bytes(seed);
        // A clamped scalar times the base point is canonical, torsion-free and never of small order: no check can fail.
        let public = PublicKey(key.verifying_key());
        Self { key, public }
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// Signs `message` (RFC 8032 section 5.1.6, deterministic).
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_LEN] {
        self.key.sign(message).to_bytes()
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({:?})", self.public)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8032 section 7.1, test 2.
    #[test]
    fn the_vector_of_the_rfc_signs_and_verifies() {
        let seed =
            hex_text::decode("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
                .unwrap();
        let signer = Signer::from_seed(&seed);
        assert_eq!(
            signer.public().to_string(),
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
        );
        let signature = signer.sign(&[0x72]);
        assert_eq!(
            Hex(&signature).to_string(),
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
             085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        );
        assert_eq!(signer.public().verify(&[0x72], &signature), Ok(()));
        assert_eq!(
            signer.public().verify(&[0x73], &signature),
            Err(SignatureError)
        );
    }

    /// Adding the group order to the scalar makes a second signature of the same message.
    #[test]
    fn a_malleated_signature_is_refused() {
        let order = hex_text::decode::<32>(
            "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010",
        )
        .unwrap();
        let signer = Signer::from_seed(&[1; 32]);
        let mut signature = signer.sign(b"m");
        let mut carry = 0;
        for (byte, add) in signature[32..].iter_mut().zip(order) {
            let sum = u16::from(*byte) + u16::from(add) + carry;
            *byte = sum.to_le_bytes()[0];
            carry = sum >> 8;
        }
        assert_eq!(
            signer.public().verify(b"m", &signature),
            Err(SignatureError)
        );
    }

    #[test]
    fn weak_keys_are_refused() {
        for text in [
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0100000000000000000000000000000000000000000000000000000000000000",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        ] {
            assert_eq!(
                text.parse::<PublicKey>(),
                Err(ParsePublicKeyError::Key(PublicKeyError::Weak)),
                "{text}"
            );
        }
    }

    #[test]
    fn a_second_encoding_of_a_key_is_refused() {
        let mut seen = 0;
        for low in 0xed..=0xff {
            for high in [0x7f, 0xff] {
                let mut bytes = [0xff; 32];
                (bytes[0], bytes[31]) = (low, high);
                let error = PublicKey::from_bytes(&bytes).unwrap_err();
                seen += usize::from(error == PublicKeyError::NotCanonical);
            }
        }
        assert!(
            seen > 0,
            "no encoding above the field's prime reached the check"
        );
    }

    #[test]
    fn a_key_with_a_small_order_part_is_refused() {
        let torsion =
            hex_text::decode("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")
                .unwrap();
        let torsion = VerifyingKey::from_bytes(&torsion).unwrap().to_edwards();
        let mixed = (Signer::from_seed(&[1; 32]).public().0.to_edwards() + torsion).compress();
        assert_eq!(
            PublicKey::from_bytes(mixed.as_bytes()),
            Err(PublicKeyError::MixedOrder)
        );
    }

    #[test]
    fn what_is_no_point_is_refused() {
        let mut bytes = [0; 32];
        bytes[0] = 2;
        assert_eq!(PublicKey::from_bytes(&bytes), Err(PublicKeyError::Point));
    }

    #[test]
    fn own_keys_pass_the_checks_for_others() {
        for seed in 0..16 {
            let public = Signer::from_seed(&[seed; 32]).public();
            assert_eq!(PublicKey::from_bytes(public.as_bytes()), Ok(public));
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let signer = Signer::from_seed(&[0xab; 32]);
        let shown = format!("{signer:?}");
        assert_eq!(
            shown,
            format!(
                "Signer(PublicKey({}))",
                Hex(&signer.public().as_bytes()[..4])
            )
        );
        assert!(!shown.contains("abab"));
    }

    /// Holds at compile time: without the feature `zeroize` of the library this does not build.
    #[test]
    fn the_secret_is_wiped_on_drop() {
        fn wiped<T: zeroize::ZeroizeOnDrop>(_: &T) {}
        wiped(&Signer::from_seed(&[1; 32]).key);
    }
}
