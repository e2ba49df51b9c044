//! The signed header of a delta.
//!
//! COSE_Sign1, content type `application/hashpact-delta+cbor`; the payload is an array of 10. Its bytes are kept as they
//! were received: the next header commits to their SHA-256.

use hashpact_keys::cose::{self, Sign1};
use hashpact_keys::roster::{CentreEntry, KeyLookupError};
use hashpact_keys::{
    Context, KeyId, KeyUse, NetworkId, Origin, RosterVersion, Signer, Timestamp, canonical,
};
use minicbor::{Decoder, Encoder};
use sha2::{Digest as _, Sha256};

use crate::b3::Hash;

/// Number of a delta at its origin, from 0, without gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Seq(pub u64);

impl std::fmt::Display for Seq {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// What the origin signs of a delta.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The network.
    pub network: NetworkId,
    /// The log that the delta stands in.
    pub origin: Origin,
    /// The roster in force when it was signed.
    pub roster_version: RosterVersion,
    /// Its number.
    pub seq: Seq,
    /// SHA-256 of the header before it, COSE bytes and all; zeros at 0.
    pub prev: Hash,
    /// Root of the class table.
    pub table: Hash,
    /// Records over all classes.
    pub total: u64,
    /// When it was signed.
    pub issued_at: Timestamp,
    /// Log index of the policy that it was released under; none until the first policy is logged.
    pub policy_ref: Option<u64>,
}

/// Why a header is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Not a COSE_Sign1 of this content type, or its payload is not the expected array.
    #[error("header: not the expected shape")]
    Shape,
    /// No acceptable key of the origin's signed it.
    #[error("header: {0}")]
    Key(#[from] KeyLookupError),
    /// The signature does not verify.
    #[error("header: the signature does not verify")]
    Signature,
}

impl Header {
    /// Signs the header: the COSE_Sign1 bytes.
    #[must_use]
    pub fn sign(&self, signer: &Signer) -> Vec<u8> {
        let mut e = Encoder::new(Vec::with_capacity(256));
        // Writing to a Vec cannot fail.
        let _ = self.encode(&mut e);
        cose::sign1(signer, Context::DeltaHeader, &e.into_writer())
    }

    fn encode(
        &self,
        e: &mut Encoder<Vec<u8>>,
    ) -> Result<(), minicbor::encode::Error<std::convert::Infallible>> {
        e.array(10)?
            .u8(1)?
            .bytes(self.network.as_bytes())?
            .str(self.origin.as_str())?
            .u64(self.roster_version.get())?
            .u64(self.seq.0)?
            .bytes(&self.prev)?
            .bytes(&self.table)?
            .u64(self.total)?
            .u64(self.issued_at.get())?;
        match self.policy_ref {
            Some(index) => e.u64(index)?,
            None => e.null()?,
        };
        Ok(())
    }

    /// Verifies that a delta key of `centre`, valid when the header says that it was issued, signed `signed`.
    ///
    /// # Errors
    /// [`HeaderError`]; nothing of the payload is returned unless the signature verifies.
    pub fn open(signed: &[u8], centre: &CentreEntry) -> Result<Self, HeaderError> {
        let envelope =
            Sign1::parse(signed, Context::DeltaHeader).map_err(|_| HeaderError::Shape)?;
        // The time decides which key may have signed, so it is read before the signature is checked.
        let claimed = Self::decode(envelope.peek())?;
        let key = centre.key(KeyUse::Delta, envelope.kid(), claimed.issued_at)?;
        envelope.verify(key).map_err(|_| HeaderError::Signature)?;
        Ok(claimed)
    }

    fn decode(payload: &[u8]) -> Result<Self, HeaderError> {
        canonical::check(payload).map_err(|_| HeaderError::Shape)?;
        let mut d = Decoder::new(payload);
        let shape = |_| HeaderError::Shape;
        if d.array().map_err(shape)? != Some(10) || d.u64().map_err(shape)? != 1 {
            return Err(HeaderError::Shape);
        }
        let network = NetworkId::new(fixed(&mut d)?);
        let origin = d
            .str()
            .map_err(shape)?
            .parse()
            .map_err(|_| HeaderError::Shape)?;
        let roster_version = RosterVersion::new(d.u64().map_err(shape)?);
        let seq = Seq(d.u64().map_err(shape)?);
        let (prev, table) = (fixed(&mut d)?, fixed(&mut d)?);
        let total = d.u64().map_err(shape)?;
        let issued_at = Timestamp::new(d.u64().map_err(shape)?);
        let policy_ref = if d.datatype().map_err(shape)? == minicbor::data::Type::Null {
            None
        } else {
            Some(d.u64().map_err(shape)?)
        };
        Ok(Self {
            network,
            origin,
            roster_version,
            seq,
            prev,
            table,
            total,
            issued_at,
            policy_ref,
        })
    }

    /// The roster version that a header claims, before anything is checked: a newer one than ours can only make us wait.
    ///
    /// # Errors
    /// [`HeaderError::Shape`] if it is no header.
    pub fn claimed_roster(signed: &[u8]) -> Result<RosterVersion, HeaderError> {
        let envelope = Sign1::parse(signed, Context::DeltaHeader);
        let envelope = envelope.map_err(|_| HeaderError::Shape)?;
        Ok(Self::decode(envelope.peek())?.roster_version)
    }

    /// What a header says, before its signature is checked: an auditor goes on behind a bad one from there, and whoever reads
    /// its own disk checked it before.
    ///
    /// # Errors
    /// [`HeaderError::Shape`] if it is no header.
    pub fn claimed(signed: &[u8]) -> Result<Self, HeaderError> {
        let envelope = Sign1::parse(signed, Context::DeltaHeader);
        Self::decode(envelope.map_err(|_| HeaderError::Shape)?.peek())
    }

    /// The key that a header names as its signer's.
    ///
    /// # Errors
    /// [`HeaderError::Shape`] if it is no COSE_Sign1 of this content type.
    pub fn signer(signed: &[u8]) -> Result<KeyId, HeaderError> {
        let envelope = Sign1::parse(signed, Context::DeltaHeader);
        envelope
            .map(|envelope| envelope.kid())
            .map_err(|_| HeaderError::Shape)
    }

    /// What the next header's `prev` must be: SHA-256 of these COSE_Sign1 bytes.
    #[must_use]
    pub fn chain_hash(signed: &[u8]) -> Hash {
        Sha256::digest(signed).into()
    }
}

fn fixed(d: &mut Decoder<'_>) -> Result<Hash, HeaderError> {
    d.bytes()
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(HeaderError::Shape)
}
