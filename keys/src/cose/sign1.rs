//! COSE_Sign1: one payload, one signer (RFC 9052 section 4.2). Why, scope and limits: see the parent module.

use std::fmt;

use crate::canonical::encode;
use crate::context::Context;
use crate::id::KeyId;
use crate::signer::{PublicKey, SIGNATURE_LEN, Signer};

use super::header::{ALG, CONTENT_TYPE, EDDSA, KID, sign1_header};
use super::{CoseError, MAX_SIGNED, empty_unprotected, open, signature};

/// Signs `payload` as a COSE_Sign1. Deterministic.
///
/// An object longer than [`MAX_SIGNED`] is refused by [`Sign1::parse`]: bound the payload before.
#[must_use]
pub fn sign1(signer: &Signer, context: Context, payload: &[u8]) -> Vec<u8> {
    let protected = encode(|e| {
        e.map(3)?;
        e.i64(ALG)?.i64(EDDSA)?;
        e.i64(CONTENT_TYPE)?.str(context.content_type())?;
        e.i64(KID)?.bytes(signer.public().key_id().as_bytes())?.ok()
    });
    let signature = signer.sign(&sign1_structure(&protected, payload));
    encode(|e| {
        e.array(4)?
            .bytes(&protected)?
            .map(0)?
            .bytes(payload)?
            .bytes(&signature)?
            .ok()
    })
}

/// A COSE_Sign1 of the right shape and context whose signature is not checked yet.
#[derive(Clone, Copy)]
pub struct Sign1<'a> {
    protected: &'a [u8],
    payload: &'a [u8],
    kid: KeyId,
    signature: &'a [u8; SIGNATURE_LEN],
}

// Payloads may hold what must not be shown: only their length is.
impl fmt::Debug for Sign1<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sign1({:?}, {} bytes)", self.kid, self.payload.len())
    }
}

impl<'a> Sign1<'a> {
    /// Reads the envelope and checks everything but the signature.
    ///
    /// # Errors
    /// [`CoseError`]: too long, not canonical, another shape, another algorithm or another context.
    pub fn parse(bytes: &'a [u8], context: Context) -> Result<Self, CoseError> {
        let mut reader = open(bytes, MAX_SIGNED)?;
        reader.array(4)?;
        let protected = reader.bytes()?;
        empty_unprotected(&mut reader)?;
        let payload = reader.bytes()?;
        let signature = signature(&mut reader)?;
        let kid = sign1_header(protected, context)?;
        Ok(Self {
            protected,
            payload,
            kid,
            signature,
        })
    }

    /// The id of the key that the object says it is signed by.
    #[must_use]
    pub fn kid(&self) -> KeyId {
        self.kid
    }

    /// The payload **before** its signature is checked.
    ///
    /// Use it only to find the key to verify with, such as by the origin it names; act on what [`Sign1::verify`] returns.
    #[must_use]
    pub fn peek(&self) -> &'a [u8] {
        self.payload
    }

    /// Checks that `key` is the one that is named and that it signed, and returns the payload.
    ///
    /// # Errors
    /// [`CoseError::KeyId`] or [`CoseError::Signature`].
    pub fn verify(&self, key: &PublicKey) -> Result<&'a [u8], CoseError> {
        let expected = key.key_id();
        if self.kid != expected {
            return Err(CoseError::KeyId {
                expected,
                got: self.kid,
            });
        }
        key.verify(
            &sign1_structure(self.protected, self.payload),
            self.signature,
        )
        .map_err(|_| CoseError::Signature { kid: self.kid })?;
        Ok(self.payload)
    }
}

/// `Sig_structure` of a COSE_Sign1 (RFC 9052 section 4.4).
fn sign1_structure(protected: &[u8], payload: &[u8]) -> Vec<u8> {
    encode(|e| {
        e.array(4)?
            .str("Signature1")?
            .bytes(protected)?
            .bytes(&[])?
            .bytes(payload)?
            .ok()
    })
}
