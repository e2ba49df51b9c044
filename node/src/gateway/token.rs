//! The token that a member's program shows: `hp1_<8 hex>_<43 base64url>`.
//!
//! Why: the prefix lets a leak be found in code and logs, the id names the credential without its secret, and 256 random
//! bits leave nothing to guess. Only the hash of the secret is stored; two hashes are compared in constant time. In scope:
//! the text. Out of scope: whose it is (`credentials`).

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

const PREFIX: &str = "hp1_";
const SECRET_BYTES: usize = 32;
const CONTEXT: &str = "hashpact gateway credential v1";

/// The public name of a credential: 8 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CredentialId(pub u32);

impl fmt::Display for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// Not 8 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the id of a credential has 8 hexadecimal digits, in lower case")]
pub struct CredentialIdError;

impl FromStr for CredentialId {
    type Err = CredentialIdError;

    fn from_str(text: &str) -> Result<Self, CredentialIdError> {
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() != 8 || !text.bytes().all(digit) {
            return Err(CredentialIdError);
        }
        let id = u32::from_str_radix(text, 16);
        id.map(Self).map_err(|_| CredentialIdError)
    }
}

impl Serialize for CredentialId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CredentialId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A token, as it was shown. No Debug and no comparison: it is a secret.
pub(crate) struct Token {
    id: CredentialId,
    secret: Zeroizing<[u8; SECRET_BYTES]>,
}

/// What is kept of a secret. Equality is constant in time.
#[derive(Clone, Copy)]
pub(crate) struct SecretHash(blake3::Hash);

impl SecretHash {
    /// Compared with where there is no credential, so that an unknown id takes as long as a wrong secret.
    pub(crate) const NONE: Self = Self(blake3::Hash::from_bytes([0; 32]));

    /// In constant time.
    pub(crate) fn equals(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    pub(crate) fn to_hex(self) -> String {
        self.0.to_string()
    }

    pub(crate) fn from_hex(text: &str) -> Option<Self> {
        blake3::Hash::from_hex(text).ok().map(Self)
    }
}

impl Token {
    /// A fresh one.
    ///
    /// # Errors
    /// If the machine has no random numbers.
    pub(crate) fn new(id: CredentialId) -> Result<Self, getrandom::Error> {
        let mut secret = Zeroizing::new([0; SECRET_BYTES]);
        getrandom::fill(&mut *secret)?;
        Ok(Self { id, secret })
    }

    /// Reads a token; nothing if it is none.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(secret).ok()?);
        let secret = Zeroizing::new(<[u8; SECRET_BYTES]>::try_from(bytes.as_slice()).ok()?);
        let id = id.parse().ok()?;
        Some(Self { id, secret })
    }

    pub(crate) fn id(&self) -> CredentialId {
        self.id
    }

    pub(crate) fn hash(&self) -> SecretHash {
        SecretHash(blake3::Hash::from_bytes(blake3::derive_key(
            CONTEXT,
            &*self.secret,
        )))
    }

    /// The text, to be shown once.
    pub(crate) fn text(&self) -> Zeroizing<String> {
        let secret = Zeroizing::new(URL_SAFE_NO_PAD.encode(*self.secret));
        Zeroizing::new(format!("{PREFIX}{}_{}", self.id, *secret))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_and_any_other_text_is_none() {
        let token = Token::new(CredentialId(0xab)).unwrap();
        let text = token.text();
        assert_eq!(text.len(), 4 + 8 + 1 + 43);
        let back = Token::read(&text).unwrap();
        assert_eq!(back.id(), CredentialId(0xab));
        assert!(back.hash().equals(&token.hash()));
        assert!(!back.hash().equals(&SecretHash::NONE));
        for wrong in [
            "",
            "hp1_",
            "hp1_000000ab",
            &text[..text.len() - 1],
            &format!("{}=", *text),
            &text.replace("hp1_", "hp2_"),
            &text.replace("000000ab", "000000AB"),
            &text.replace("000000ab", "+00000ab"),
        ] {
            assert!(Token::read(wrong).is_none());
        }
    }

    #[test]
    fn the_hash_of_a_secret_is_not_the_hash_of_another_use() {
        let token = Token::new(CredentialId(1)).unwrap();
        let plain = blake3::hash(&*token.secret);
        assert_ne!(token.hash().to_hex(), plain.to_string());
        let back = SecretHash::from_hex(&token.hash().to_hex()).unwrap();
        assert!(back.equals(&token.hash()));
    }
}
