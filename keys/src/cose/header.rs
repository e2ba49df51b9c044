//! The protected headers: algorithm, content type and key id, each in the one order that canonical form allows. Why: what
//! is protected is all that is believed. Spec: RFC 9052 section 3.1. Out of scope: signatures.

use crate::context::Context;
use crate::id::KeyId;
use crate::reader::Reader;

use super::CoseError;

pub(super) const ALG: i64 = 1;
pub(super) const CONTENT_TYPE: i64 = 3;
pub(super) const KID: i64 = 4;
pub(super) const EDDSA: i64 = -8;
const ED25519: i64 = -19;

pub(super) fn sign1_header(protected: &[u8], context: Context) -> Result<KeyId, CoseError> {
    let mut header = Header::open(protected, 3)?;
    header.algorithm()?;
    header.content_type(context)?;
    header.kid()
}

pub(super) fn body_header(protected: &[u8], context: Context) -> Result<(), CoseError> {
    Header::open(protected, 1)?.content_type(context)
}

pub(super) fn signer_header(protected: &[u8]) -> Result<KeyId, CoseError> {
    let mut header = Header::open(protected, 2)?;
    header.algorithm()?;
    header.kid()
}

/// The content type of either envelope: that of one signer says its algorithm before it.
pub(super) fn claimed_context(protected: &[u8]) -> Option<Context> {
    let of = |pairs: u64| {
        let mut header = Header::open(protected, pairs).ok()?;
        if pairs == 3 {
            header.algorithm().ok()?;
        }
        header.label(CONTENT_TYPE).ok()?;
        let named = header.0.text().ok()?;
        let mut contexts = Context::ALL.into_iter();
        contexts.find(|context| context.content_type() == named)
    };
    of(3).or_else(|| of(1))
}

/// A protected header, read in the only order that canonical form allows.
struct Header<'a>(Reader<'a>);

impl<'a> Header<'a> {
    fn open(protected: &'a [u8], pairs: u64) -> Result<Self, CoseError> {
        let mut reader = Reader::new(protected).map_err(CoseError::ProtectedCanonical)?;
        reader.map(pairs).map_err(CoseError::ProtectedShape)?;
        Ok(Self(reader))
    }

    fn label(&mut self, label: i64) -> Result<(), CoseError> {
        let at = self.0.position();
        match self.0.i64() {
            Ok(got) if got == label => Ok(()),
            Ok(_) => Err(CoseError::ProtectedShape(Reader::refuse(
                at,
                "another header label",
            ))),
            Err(error) => Err(CoseError::ProtectedShape(error)),
        }
    }

    fn algorithm(&mut self) -> Result<(), CoseError> {
        self.label(ALG)?;
        match self.0.i64().map_err(CoseError::ProtectedShape)? {
            EDDSA | ED25519 => Ok(()),
            got => Err(CoseError::Algorithm { got }),
        }
    }

    fn content_type(&mut self, context: Context) -> Result<(), CoseError> {
        self.label(CONTENT_TYPE)?;
        let expected = context.content_type();
        match self.0.text().map_err(CoseError::ProtectedShape)? {
            got if got == expected => Ok(()),
            _ => Err(CoseError::ContentType { expected }),
        }
    }

    fn kid(&mut self) -> Result<KeyId, CoseError> {
        self.label(KID)?;
        self.0
            .fixed()
            .copied()
            .map(KeyId::new)
            .map_err(CoseError::ProtectedShape)
    }
}
