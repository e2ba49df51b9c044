//! The ciphersuite ristretto255-SHA512: its strings and hashes.
//!
//! Spec: RFC 9497 sections 3.1, 3.2.1 and 4.1; RFC 9380 section 5.3.1 (`expand_message_xmd`) and appendix B. In scope: bytes
//! to 64 uniform bytes. Out of scope: points (`group`).

use sha2::{Digest as _, Sha512};

/// The modes of RFC 9497 that are spoken here (section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Without a proof.
    Oprf,
    /// With a proof that one key was used.
    Voprf,
}

/// `contextString`, after the `tag` of a use.
fn domain(tag: &str, mode: Mode) -> Vec<u8> {
    let id: &[u8] = match mode {
        Mode::Oprf => b"OPRFV1-\x00-ristretto255-SHA512",
        Mode::Voprf => b"OPRFV1-\x01-ristretto255-SHA512",
    };
    [tag.as_bytes(), id].concat()
}

/// `expand_message_xmd` with SHA-512 to 64 bytes, prepared for one domain.
pub(super) struct Expander {
    /// After the block of zeros that every message begins with.
    begun: Sha512,
    /// `I2OSP(64, 2) || I2OSP(0, 1) || DST_prime`.
    tail: Vec<u8>,
}

impl Expander {
    fn new(tag: &str, mode: Mode) -> Self {
        let domain = domain(tag, mode);
        let length = u8::try_from(domain.len()).unwrap_or(u8::MAX);
        let mut tail = vec![0, 64, 0];
        tail.extend_from_slice(&domain);
        tail.push(length);
        Self {
            begun: Sha512::new().chain_update([0; 128]),
            tail,
        }
    }

    /// For `HashToGroup`.
    pub(super) fn to_group(mode: Mode) -> Self {
        Self::new("HashToGroup-", mode)
    }

    /// For `HashToScalar`.
    pub(super) fn to_scalar(mode: Mode) -> Self {
        Self::new("HashToScalar-", mode)
    }

    /// For `DeriveKeyPair`.
    pub(super) fn to_key(mode: Mode) -> Self {
        Self::new("DeriveKeyPair", mode)
    }

    /// 64 uniform bytes of the concatenation of the parts.
    pub(super) fn expand(&self, parts: &[&[u8]]) -> [u8; 64] {
        let mut first = self.begun.clone();
        for part in parts {
            first.update(part);
        }
        first.update(&self.tail);
        Sha512::new()
            .chain_update(first.finalize())
            .chain_update([1])
            .chain_update(&self.tail[3..])
            .finalize()
            .into()
    }
}

/// `seed` of the composites of a proof (section 2.2.1).
pub(super) fn composite_seed(mode: Mode, public: &[u8; 32]) -> [u8; 64] {
    let domain = domain("Seed-", mode);
    let length = u16::try_from(domain.len()).unwrap_or(u16::MAX);
    Sha512::new()
        .chain_update(32_u16.to_be_bytes())
        .chain_update(public)
        .chain_update(length.to_be_bytes())
        .chain_update(domain)
        .finalize()
        .into()
}

/// What `Finalize` returns (section 3.3.1), for the RFC's test vectors: a tag is made of the point itself.
#[cfg(test)]
pub(super) fn output(input: &[u8], element: &[u8; 32]) -> [u8; 64] {
    let length = u16::try_from(input.len()).expect("short");
    Sha512::new()
        .chain_update(length.to_be_bytes())
        .chain_update(input)
        .chain_update(32_u16.to_be_bytes())
        .chain_update(element)
        .chain_update(b"Finalize")
        .finalize()
        .into()
}
