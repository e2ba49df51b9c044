//! Signed bytes: COSE_Sign1 for one signer, COSE_Sign for several.
//!
//! Why: tools that know nothing of this project must be able to verify what it signs. Spec: RFC 9052 sections 4.1, 4.2 and
//! 4.4, untagged, external_aad empty, unprotected headers empty, one exact shape. Domain separation is the content
//! type (`context`). In scope: envelope and signature. Out of scope: payloads, and which key may sign what (`roster`).
//!
//! Algorithm -8 (EdDSA) is written because tools in the field refuse -19 (Ed25519, RFC 9864); both are read.

mod header;
mod multi;
mod sign1;

use crate::canonical::CanonicalError;
use crate::context::Context;
use crate::id::KeyId;
use crate::reader::{Reader, ShapeError};
use crate::signer::SIGNATURE_LEN;

pub use multi::{MultiSigned, sign_multi};
pub use sign1::{Sign1, sign1};

/// Bytes of a COSE_Sign1 at most: it must fit a leaf of the log.
pub const MAX_SIGNED: usize = 65_535;
/// Bytes of a COSE_Sign at most.
pub const MAX_MULTI_SIGNED: usize = 256 * 1024;
/// Signatures in a COSE_Sign at most.
pub const MAX_SIGNATURES: usize = 64;

/// Why a signed object is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CoseError {
    /// More bytes than a signed object of this kind may have.
    #[error("at most {max} bytes are allowed, got {got}")]
    TooLong {
        /// The limit.
        max: usize,
        /// The length.
        got: usize,
    },
    /// The envelope is not canonical CBOR.
    #[error("the envelope is not canonical CBOR")]
    Canonical(#[from] CanonicalError),
    /// The envelope has another shape.
    #[error("the envelope is not of this format")]
    Shape(#[from] ShapeError),
    /// A protected header is not canonical CBOR. Offsets count from the start of the header.
    #[error("a protected header is not canonical CBOR")]
    ProtectedCanonical(#[source] CanonicalError),
    /// A protected header has another shape. Offsets count from the start of the header.
    #[error("a protected header is not of this format")]
    ProtectedShape(#[source] ShapeError),
    /// The algorithm is neither -8 nor -19.
    #[error("expected algorithm -8 or -19, got {got}")]
    Algorithm {
        /// The number in the header.
        got: i64,
    },
    /// The object is signed for another use.
    #[error("expected content type {expected}")]
    ContentType {
        /// The content type of the context that was asked for.
        expected: &'static str,
    },
    /// An unprotected header is not empty: nobody signed it.
    #[error("an unprotected header is not empty")]
    Unprotected,
    /// A signature has a wrong length.
    #[error("expected a signature of 64 bytes, got {got}")]
    SignatureLength {
        /// Bytes found.
        got: usize,
    },
    /// The object names another key.
    #[error("expected a signature by key {expected}, got one by key {got}")]
    KeyId {
        /// The id of the key at hand.
        expected: KeyId,
        /// The id in the header.
        got: KeyId,
    },
    /// A signature does not verify.
    #[error("the signature by key {kid} does not verify")]
    Signature {
        /// The id of the key.
        kid: KeyId,
    },
    /// There is no signature by this key.
    #[error("there is no signature by key {kid}")]
    NotSignedBy {
        /// The id of the key.
        kid: KeyId,
    },
    /// Signatures are not sorted by key id.
    #[error("the signature by key {kid} is out of order")]
    SignatureOrder {
        /// The id of the key that sorts below the one before.
        kid: KeyId,
    },
    /// A key signed twice.
    #[error("there are two signatures by key {kid}")]
    RepeatedSigner {
        /// The id of the key.
        kid: KeyId,
    },
    /// More signatures than are allowed.
    #[error("at most {max} signatures are allowed, got {got}")]
    TooManySignatures {
        /// The limit.
        max: usize,
        /// The number.
        got: usize,
    },
    /// Nobody signed.
    #[error("there is no signature")]
    NoSignatures,
}

/// The use that an envelope claims to be signed for, where several are expected. Nothing else of it is checked: parse it under
/// this context.
#[must_use]
pub fn claimed_context(bytes: &[u8]) -> Option<Context> {
    let mut reader = open(bytes, MAX_MULTI_SIGNED).ok()?;
    reader.array(4).ok()?;
    header::claimed_context(reader.bytes().ok()?)
}

fn open(bytes: &[u8], max: usize) -> Result<Reader<'_>, CoseError> {
    if bytes.len() > max {
        return Err(CoseError::TooLong {
            max,
            got: bytes.len(),
        });
    }
    Ok(Reader::new(bytes)?)
}

fn empty_unprotected(reader: &mut Reader<'_>) -> Result<(), CoseError> {
    reader.map(0).map_err(|_| CoseError::Unprotected)
}

fn signature<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8; SIGNATURE_LEN], CoseError> {
    let bytes = reader.bytes()?;
    bytes
        .try_into()
        .map_err(|_| CoseError::SignatureLength { got: bytes.len() })
}
