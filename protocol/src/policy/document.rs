//! Signed policy documents: the files of a profile, verbatim, under two `policy` keys.
//!
//! Spec: `docs/protocol.md`, "Policy documents". In scope: bytes and signatures. Out of scope: what the files say
//! (`profile`), and whether a key was revoked below the leaf's index, which the reader of the log knows.

use hashpact_keys::canonical::{Written, encode};
use hashpact_keys::cose::{CoseError, MultiSigned, sign_multi};
use hashpact_keys::reader::{ReadError, Reader, ShapeError};
use hashpact_keys::roster::{CentreEntry, KeyLookupError};
use hashpact_keys::{Context, KeyId, KeyUse, NetworkId, Origin, Signer, Timestamp};

use super::fault::PolicyFault;
use super::profile::Profile;
use crate::limits;

/// What a centre's policy is, from some version on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyDocument {
    /// The network.
    pub network: NetworkId,
    /// The log that it stands in.
    pub origin: Origin,
    /// From 1, each one more than the one before it in the log.
    pub version: u64,
    /// When it was made.
    pub issued_at: Timestamp,
    /// Name and text, sorted by name.
    pub files: Vec<(String, String)>,
}

/// Why signed bytes are no policy document of this centre.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyDocumentError {
    /// The envelope, or a signature in it.
    #[error("policy document")]
    Cose(#[from] CoseError),
    /// The payload is not canonical or not of this format.
    #[error("policy document")]
    Read(#[from] ReadError),
    /// A value that the format does not allow.
    #[error("policy document: {expected}")]
    Value {
        /// What is allowed.
        expected: &'static str,
    },
    /// More bytes of files than a document may have.
    #[error("a policy document has at most {max} bytes of files, this one has {got}")]
    TooLong {
        /// The limit.
        max: usize,
        /// The number.
        got: usize,
    },
    /// It is for another log.
    #[error("the document is for the log {got}, expected {expected}")]
    Origin {
        /// The centre's log.
        expected: Origin,
        /// The one in the document.
        got: Origin,
    },
    /// A signature by a key that may not sign policies.
    #[error("policy document")]
    Key(#[from] KeyLookupError),
    /// Too few signatures.
    #[error(
        "a policy document needs {} signatures by different policy keys, this one has {got}",
        limits::POLICY_SIGNATURES
    )]
    Signatures {
        /// The number.
        got: usize,
    },
}

impl PolicyDocument {
    /// The document as COSE_Sign, signed by each of these keys; with fewer than two it is a draft.
    #[must_use]
    pub fn sign(&self, signers: &[&Signer]) -> Vec<u8> {
        let payload = encode(|e| {
            e.array(6)?
                .u8(1)?
                .bytes(self.network.as_bytes())?
                .str(self.origin.as_str())?
                .u64(self.version)?
                .u64(self.issued_at.get())?
                .array(self.files.len() as u64)?;
            self.files
                .iter()
                .try_for_each(|(name, text)| -> Written { e.array(2)?.str(name)?.str(text)?.ok() })
        });
        sign_multi(signers, Context::Policy, &payload)
    }

    /// The same draft or document with one more signature.
    ///
    /// # Errors
    /// [`PolicyDocumentError`] if it is no document, or this key has signed it.
    pub fn add_signature(bytes: &[u8], signer: &Signer) -> Result<Vec<u8>, PolicyDocumentError> {
        let (_, signed) = Self::draft(bytes)?;
        Ok(signed.add_signature(signer)?)
    }

    /// Reads a document whose signatures are not checked: a draft, or one that is only shown.
    ///
    /// # Errors
    /// [`PolicyDocumentError`] for anything but the one form.
    pub fn read_unverified(bytes: &[u8]) -> Result<Self, PolicyDocumentError> {
        Self::draft(bytes).map(|(document, _)| document)
    }

    /// Opens a document of a centre: every signature is by one of its `policy` keys, valid when the document was issued,
    /// and there are two or more.
    ///
    /// Revocations count in leaves, so they are the caller's: see [`PolicyDocument::signers`].
    ///
    /// # Errors
    /// [`PolicyDocumentError`].
    pub fn open(bytes: &[u8], centre: &CentreEntry) -> Result<Self, PolicyDocumentError> {
        let (document, signed) = Self::draft(bytes)?;
        if document.origin != centre.origin {
            return Err(PolicyDocumentError::Origin {
                expected: centre.origin.clone(),
                got: document.origin,
            });
        }
        let mut got = 0;
        for kid in signed.signers() {
            let key = centre.key(KeyUse::Policy, kid, document.issued_at)?;
            signed.verify_by(key)?;
            got += 1;
        }
        if got < limits::POLICY_SIGNATURES {
            return Err(PolicyDocumentError::Signatures { got });
        }
        Ok(document)
    }

    /// The ids of the keys that are said to have signed, sorted.
    ///
    /// # Errors
    /// [`PolicyDocumentError`] if it is no document.
    pub fn signers(bytes: &[u8]) -> Result<Vec<KeyId>, PolicyDocumentError> {
        Self::draft(bytes).map(|(_, signed)| signed.signers().collect())
    }

    /// Reads and checks the files.
    ///
    /// # Errors
    /// Every fault, as [`Profile::from_files`].
    pub fn profile(&self) -> Result<Profile, Vec<PolicyFault>> {
        Profile::from_files(&self.files)
    }

    fn draft(bytes: &[u8]) -> Result<(Self, MultiSigned<'_>), PolicyDocumentError> {
        let signed = MultiSigned::parse_draft(bytes, Context::Policy)?;
        let mut reader = Reader::new(signed.payload()).map_err(ReadError::from)?;
        let document = read(&mut reader)?;
        document.check()?;
        Ok((document, signed))
    }

    fn check(&self) -> Result<(), PolicyDocumentError> {
        let value = |expected| Err(PolicyDocumentError::Value { expected });
        if self.version == 0 {
            return value("versions count from 1");
        }
        if self.files.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
            return value("files are sorted by name, each name once");
        }
        let got = self
            .files
            .iter()
            .map(|(name, text)| name.len() + text.len());
        let (got, max) = (got.sum(), limits::POLICY_BYTES);
        if got > max {
            return Err(PolicyDocumentError::TooLong { max, got });
        }
        Ok(())
    }
}

fn read(reader: &mut Reader<'_>) -> Result<PolicyDocument, PolicyDocumentError> {
    let shape = |error: ShapeError| ReadError::from(error);
    let value = |expected| PolicyDocumentError::Value { expected };
    reader.array(6).map_err(shape)?;
    if reader.u8().map_err(shape)? != 1 {
        return Err(value("the format is 1"));
    }
    let network = NetworkId::new(*reader.fixed().map_err(shape)?);
    let origin = reader.text().map_err(shape)?.parse();
    let origin = origin.map_err(|_| value("an origin line"))?;
    let version = reader.u64().map_err(shape)?;
    let issued_at = Timestamp::new(reader.u64().map_err(shape)?);
    let mut files = Vec::new();
    for _ in 0..reader.list(limits::POLICY_FILES).map_err(shape)? {
        reader.array(2).map_err(shape)?;
        let name = reader.text().map_err(shape)?.to_owned();
        files.push((name, reader.text().map_err(shape)?.to_owned()));
    }
    Ok(PolicyDocument {
        network,
        origin,
        version,
        issued_at,
        files,
    })
}
