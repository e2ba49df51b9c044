//! COSE_Sign: one payload, several signers (RFC 9052 section 4.1). Why, scope and limits: see the parent module.

use std::collections::BTreeMap;
use std::fmt;

use crate::canonical::{Written, encode};
use crate::context::Context;
use crate::id::KeyId;
use crate::reader::Reader;
use crate::signer::{PublicKey, SIGNATURE_LEN, Signer};

use super::header::{ALG, CONTENT_TYPE, EDDSA, KID, body_header, signer_header};
use super::{CoseError, MAX_MULTI_SIGNED, MAX_SIGNATURES, empty_unprotected, open, signature};

/// Signs `payload` by each of `signers` as one COSE_Sign. Deterministic; a signer that occurs twice signs once.
///
/// With no signers it is a draft, which only [`MultiSigned::parse_draft`] reads. An object beyond [`MAX_SIGNATURES`] or
/// [`MAX_MULTI_SIGNED`] is refused by [`MultiSigned::parse`].
#[must_use]
pub fn sign_multi(signers: &[&Signer], context: Context, payload: &[u8]) -> Vec<u8> {
    let body_protected = encode(|e| {
        e.map(1)?
            .i64(CONTENT_TYPE)?
            .str(context.content_type())?
            .ok()
    });
    let made: Vec<_> = signers
        .iter()
        .map(|signer| OwnSignature::make(signer, &body_protected, payload))
        .collect();
    let signatures = made.iter().map(|own| (own.kid, own.as_part())).collect();
    write_multi(&body_protected, payload, &signatures)
}

/// A COSE_Sign of the right shape and context whose signatures are not checked yet.
#[derive(Clone)]
pub struct MultiSigned<'a> {
    body_protected: &'a [u8],
    payload: &'a [u8],
    signatures: BTreeMap<KeyId, Part<'a>>,
}

impl fmt::Debug for MultiSigned<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "MultiSigned({:?}, {} bytes)",
            self.signatures.keys(),
            self.payload.len()
        )
    }
}

impl<'a> MultiSigned<'a> {
    /// Reads an object with 1 to [`MAX_SIGNATURES`] signatures and checks everything but them.
    ///
    /// # Errors
    /// [`CoseError`]: too long, not canonical, another shape, algorithm or context, or signatures that are unsorted,
    /// repeated, too many or none.
    pub fn parse(bytes: &'a [u8], context: Context) -> Result<Self, CoseError> {
        let signed = Self::parse_draft(bytes, context)?;
        if signed.signatures.is_empty() {
            return Err(CoseError::NoSignatures);
        }
        Ok(signed)
    }

    /// As [`MultiSigned::parse`], for a file on its way from signer to signer: nobody need have signed.
    ///
    /// # Errors
    /// As [`MultiSigned::parse`], without [`CoseError::NoSignatures`].
    pub fn parse_draft(bytes: &'a [u8], context: Context) -> Result<Self, CoseError> {
        let mut reader = open(bytes, MAX_MULTI_SIGNED)?;
        reader.array(4)?;
        let body_protected = reader.bytes()?;
        empty_unprotected(&mut reader)?;
        let payload = reader.bytes()?;
        body_header(body_protected, context)?;
        let count = reader.list(MAX_MULTI_SIGNED)?;
        if count > MAX_SIGNATURES {
            return Err(CoseError::TooManySignatures {
                max: MAX_SIGNATURES,
                got: count,
            });
        }
        let mut signatures = BTreeMap::new();
        for _ in 0..count {
            let (kid, part) = Part::read(&mut reader)?;
            match signatures.last_key_value() {
                Some((&last, _)) if kid == last => return Err(CoseError::RepeatedSigner { kid }),
                Some((&last, _)) if kid < last => return Err(CoseError::SignatureOrder { kid }),
                Some(_) | None => signatures.insert(kid, part),
            };
        }
        Ok(Self {
            body_protected,
            payload,
            signatures,
        })
    }

    /// The same object with one more signature, as bytes. Those that are there stay as they are, unchecked.
    ///
    /// # Errors
    /// [`CoseError::RepeatedSigner`] if this key has signed, [`CoseError::TooManySignatures`] or [`CoseError::TooLong`]
    /// if there is no room.
    pub fn add_signature(&self, signer: &Signer) -> Result<Vec<u8>, CoseError> {
        let own = OwnSignature::make(signer, self.body_protected, self.payload);
        let mut signatures = self.signatures.clone();
        if signatures.insert(own.kid, own.as_part()).is_some() {
            return Err(CoseError::RepeatedSigner { kid: own.kid });
        }
        if signatures.len() > MAX_SIGNATURES {
            return Err(CoseError::TooManySignatures {
                max: MAX_SIGNATURES,
                got: signatures.len(),
            });
        }
        let bytes = write_multi(self.body_protected, self.payload, &signatures);
        if bytes.len() > MAX_MULTI_SIGNED {
            return Err(CoseError::TooLong {
                max: MAX_MULTI_SIGNED,
                got: bytes.len(),
            });
        }
        Ok(bytes)
    }

    /// The payload. No signature over it is checked by reading it: see [`MultiSigned::verify_by`].
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// The ids of the keys that are said to have signed, in order.
    pub fn signers(&self) -> impl Iterator<Item = KeyId> {
        self.signatures.keys().copied()
    }

    /// Checks that `key` signed the payload.
    ///
    /// # Errors
    /// [`CoseError::NotSignedBy`] or [`CoseError::Signature`].
    pub fn verify_by(&self, key: &PublicKey) -> Result<(), CoseError> {
        let kid = key.key_id();
        let part = self
            .signatures
            .get(&kid)
            .ok_or(CoseError::NotSignedBy { kid })?;
        let structure = sign_structure(self.body_protected, part.protected, self.payload);
        key.verify(&structure, part.signature)
            .map_err(|_| CoseError::Signature { kid })
    }
}

/// One COSE_Signature as it was received.
#[derive(Clone, Copy)]
struct Part<'a> {
    protected: &'a [u8],
    signature: &'a [u8; SIGNATURE_LEN],
}

impl<'a> Part<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<(KeyId, Self), CoseError> {
        reader.array(3)?;
        let protected = reader.bytes()?;
        empty_unprotected(reader)?;
        let signature = signature(reader)?;
        Ok((
            signer_header(protected)?,
            Self {
                protected,
                signature,
            },
        ))
    }
}

/// One COSE_Signature that is made here.
struct OwnSignature {
    kid: KeyId,
    protected: Vec<u8>,
    signature: [u8; SIGNATURE_LEN],
}

impl OwnSignature {
    fn make(signer: &Signer, body_protected: &[u8], payload: &[u8]) -> Self {
        let kid = signer.public().key_id();
        let protected = encode(|e| {
            e.map(2)?
                .i64(ALG)?
                .i64(EDDSA)?
                .i64(KID)?
                .bytes(kid.as_bytes())?
                .ok()
        });
        let signature = signer.sign(&sign_structure(body_protected, &protected, payload));
        Self {
            kid,
            protected,
            signature,
        }
    }

    fn as_part(&self) -> Part<'_> {
        Part {
            protected: &self.protected,
            signature: &self.signature,
        }
    }
}

fn write_multi(
    body_protected: &[u8],
    payload: &[u8],
    signatures: &BTreeMap<KeyId, Part<'_>>,
) -> Vec<u8> {
    encode(|e| {
        e.array(4)?.bytes(body_protected)?.map(0)?.bytes(payload)?;
        e.array(signatures.len() as u64)?;
        signatures.values().try_for_each(|part| -> Written {
            e.array(3)?
                .bytes(part.protected)?
                .map(0)?
                .bytes(part.signature)?
                .ok()
        })
    })
}

/// `Sig_structure` of one signature in a COSE_Sign (RFC 9052 section 4.4).
fn sign_structure(body_protected: &[u8], sign_protected: &[u8], payload: &[u8]) -> Vec<u8> {
    encode(|e| {
        e.array(5)?
            .str("Signature")?
            .bytes(body_protected)?
            .bytes(sign_protected)?;
        e.bytes(&[])?.bytes(payload)?.ok()
    })
}
