//! Recalls: a giver asks classes back from one taker, who says once they are gone.
//!
//! Why: who loses access must drop what it has, and the giver must know that it did. Nothing is said of why: nothing need be
//! wrong with the records, and the reason may be confidential. Spec: `docs/protocol.md`, "Recall". In scope: bytes and
//! signatures. Out of scope: when one is made and what it makes a taker do (`centre`).

use hashpact_keys::canonical::{Written, encode};
use hashpact_keys::cose::{CoseError, Sign1, sign1};
use hashpact_keys::reader::{ReadError, Reader, ShapeError};
use hashpact_keys::roster::KeyLookupError;
use hashpact_keys::{CentreId, Context, KeyUse, NetworkId, Origin, Roster, Signer, Timestamp};
use sha2::{Digest as _, Sha256};

use crate::Hash;
use crate::labels::ClassId;
use crate::limits;

/// What a giver asks back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recall {
    /// The network.
    pub network: NetworkId,
    /// The log that the classes are of.
    pub origin: Origin,
    /// Who gave them.
    pub from: CentreId,
    /// Who is to drop them.
    pub to: CentreId,
    /// Number among the recalls of this giver to this taker, from 1.
    pub number: u64,
    /// The classes, ascending.
    pub classes: Vec<ClassId>,
    /// When it was signed.
    pub time: Timestamp,
}

/// That what was recalled is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The network.
    pub network: NetworkId,
    /// SHA-256 of the recall's bytes.
    pub recall: Hash,
    /// Who dropped it.
    pub from: CentreId,
    /// When.
    pub time: Timestamp,
}

/// Why bytes are no recall or acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecallError {
    /// The envelope or its signature.
    #[error("recall: {0}")]
    Cose(#[from] CoseError),
    /// The payload is not canonical or not of this format.
    #[error("recall: {0}")]
    Read(#[from] ReadError),
    /// A value that the format does not allow.
    #[error("recall: {expected}")]
    Value {
        /// What is allowed.
        expected: &'static str,
    },
    /// Of another network.
    #[error("recall: of network {got}, expected {expected}")]
    Network {
        /// Ours.
        expected: NetworkId,
        /// Its network.
        got: NetworkId,
    },
    /// Signed by somebody that the roster does not name.
    #[error("recall: {0} is not on the roster")]
    NotOnRoster(CentreId),
    /// A key that was revoked.
    #[error("recall: a key of {0} is revoked")]
    Revoked(CentreId),
    /// A key that may not sign it.
    #[error("recall: {0}")]
    Key(#[from] KeyLookupError),
}

impl Recall {
    /// The recall under the giver's `delta` key.
    #[must_use]
    pub fn sign(&self, giver: &Signer) -> Vec<u8> {
        let payload = encode(|e| {
            e.array(8)?
                .u8(1)?
                .bytes(self.network.as_bytes())?
                .str(self.origin.as_str())?
                .str(self.from.as_str())?
                .str(self.to.as_str())?
                .u64(self.number)?
                .array(self.classes.len() as u64)?;
            self.classes
                .iter()
                .try_for_each(|class| -> Written { e.u16(class.0)?.ok() })?;
            e.u64(self.time.get())?.ok()
        });
        sign1(giver, Context::Recall, &payload)
    }

    /// What a recall is known by: SHA-256 of its bytes.
    #[must_use]
    pub fn hash(signed: &[u8]) -> Hash {
        Sha256::digest(signed).into()
    }

    /// Opens a recall.
    ///
    /// # Errors
    /// [`RecallError`].
    pub fn open(bytes: &[u8], roster: &Roster) -> Result<Self, RecallError> {
        let envelope = Sign1::parse(bytes, Context::Recall)?;
        let recall = read_recall(envelope.peek())?;
        check_signer(
            &envelope,
            roster,
            recall.network,
            (&recall.from, recall.time),
        )?;
        Ok(recall)
    }

    /// Reads a recall of our own store, whose signature was checked when it came.
    ///
    /// # Errors
    /// [`RecallError`] if it is damaged.
    pub fn read_unverified(bytes: &[u8]) -> Result<Self, RecallError> {
        read_recall(Sign1::parse(bytes, Context::Recall)?.peek())
    }
}

impl Acknowledgement {
    /// The acknowledgement under the taker's `delta` key.
    #[must_use]
    pub fn sign(&self, taker: &Signer) -> Vec<u8> {
        let payload = encode(|e| {
            e.array(5)?
                .u8(1)?
                .bytes(self.network.as_bytes())?
                .bytes(&self.recall)?
                .str(self.from.as_str())?
                .u64(self.time.get())?
                .ok()
        });
        sign1(taker, Context::Acknowledgement, &payload)
    }

    /// Opens an acknowledgement.
    ///
    /// # Errors
    /// [`RecallError`].
    pub fn open(bytes: &[u8], roster: &Roster) -> Result<Self, RecallError> {
        let envelope = Sign1::parse(bytes, Context::Acknowledgement)?;
        let said = Self::read(envelope.peek())?;
        check_signer(&envelope, roster, said.network, (&said.from, said.time))?;
        Ok(said)
    }

    /// Reads an acknowledgement whose signature is not checked.
    ///
    /// # Errors
    /// [`RecallError`] if it is damaged.
    pub fn read_unverified(bytes: &[u8]) -> Result<Self, RecallError> {
        Self::read(Sign1::parse(bytes, Context::Acknowledgement)?.peek())
    }

    fn read(payload: &[u8]) -> Result<Self, RecallError> {
        let mut reader = Reader::new(payload).map_err(ReadError::from)?;
        Ok(Self {
            network: head(&mut reader, 5)?,
            recall: *reader.fixed().map_err(ReadError::from)?,
            from: name(&mut reader)?,
            time: Timestamp::new(reader.u64().map_err(ReadError::from)?),
        })
    }
}

fn read_recall(payload: &[u8]) -> Result<Recall, RecallError> {
    let value = |expected| RecallError::Value { expected };
    let shape = |error: ShapeError| RecallError::from(ReadError::from(error));
    let mut reader = Reader::new(payload).map_err(ReadError::from)?;
    let network = head(&mut reader, 8)?;
    let origin = reader.text().map_err(shape)?.parse();
    let origin: Origin = origin.map_err(|_| value("an origin line"))?;
    let (from, to) = (name(&mut reader)?, name(&mut reader)?);
    let number = reader.u64().map_err(shape)?;
    let mut classes: Vec<ClassId> = Vec::new();
    for _ in 0..reader.list(limits::CLASSES_PER_RECALL).map_err(shape)? {
        classes.push(ClassId(reader.u16().map_err(shape)?));
    }
    if classes.is_empty() || classes.windows(2).any(|pair| pair[0] >= pair[1]) {
        return Err(value("classes, ascending"));
    }
    Ok(Recall {
        network,
        origin,
        from,
        to,
        number,
        classes,
        time: Timestamp::new(reader.u64().map_err(shape)?),
    })
}

fn head(reader: &mut Reader<'_>, parts: u64) -> Result<NetworkId, RecallError> {
    reader.array(parts).map_err(ReadError::from)?;
    if reader.u8().map_err(ReadError::from)? != 1 {
        let expected = "the format is 1";
        return Err(RecallError::Value { expected });
    }
    Ok(NetworkId::new(*reader.fixed().map_err(ReadError::from)?))
}

fn name(reader: &mut Reader<'_>) -> Result<CentreId, RecallError> {
    let expected = "a centre";
    let name = reader.text().map_err(ReadError::from)?.parse();
    name.map_err(|_| RecallError::Value { expected })
}

fn check_signer(
    envelope: &Sign1<'_>,
    roster: &Roster,
    got: NetworkId,
    (by, at): (&CentreId, Timestamp),
) -> Result<(), RecallError> {
    let expected = roster.network;
    if got != expected {
        return Err(RecallError::Network { expected, got });
    }
    let centre = roster.centre(by);
    let centre = centre.ok_or_else(|| RecallError::NotOnRoster(by.clone()))?;
    let key = centre.key(KeyUse::Delta, envelope.kid(), at)?;
    // A cut-off counts in leaves, and a recall has none.
    if roster
        .revoked_from(&envelope.kid(), &centre.origin)
        .is_some()
    {
        return Err(RecallError::Revoked(by.clone()));
    }
    envelope.verify(key)?;
    Ok(())
}
