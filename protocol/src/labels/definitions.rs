//! What an origin signs about its class numbers, before their first use and write-once.

use hashpact_keys::cose::{self, Sign1};
use hashpact_keys::{Context, NetworkId, Origin, Signer, canonical};
use minicbor::{Decoder, Encoder};

use super::{ClassId, Labels, LabelsError};
use crate::limits;

/// Class definitions as the origin signs them: what its class numbers mean, write-once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassDefinitions {
    /// The network.
    pub network: NetworkId,
    /// The log that the definitions stand in.
    pub origin: Origin,
    /// 1 to [`limits::DEFINITIONS_PER_LEAF`] definitions, sorted by number.
    pub classes: Vec<(ClassId, Labels)>,
}

impl ClassDefinitions {
    /// Signs the definitions: COSE_Sign1 with content type `application/hashpact-classes+cbor`.
    #[must_use]
    pub fn sign(&self, signer: &Signer) -> Vec<u8> {
        let mut e = Encoder::new(Vec::new());
        let _ = self.encode_into(&mut e);
        cose::sign1(signer, Context::ClassDefinitions, &e.into_writer())
    }

    fn encode_into(
        &self,
        e: &mut Encoder<Vec<u8>>,
    ) -> Result<(), minicbor::encode::Error<std::convert::Infallible>> {
        e.array(4)?
            .u8(1)?
            .bytes(self.network.as_bytes())?
            .str(self.origin.as_str())?;
        e.array(self.classes.len() as u64)?;
        for (id, labels) in &self.classes {
            e.array(2)?.u16(id.0)?;
            labels.encode_into(e)?;
        }
        Ok(())
    }

    /// Reads the payload of a COSE_Sign1 whose signature is the caller's to check first.
    ///
    /// # Errors
    /// [`LabelsError`] for anything but the canonical form.
    pub fn from_payload(payload: &[u8]) -> Result<Self, LabelsError> {
        canonical::check(payload).map_err(|_| LabelsError::Shape)?;
        let mut d = Decoder::new(payload);
        let shape = |_| LabelsError::Shape;
        if d.array().map_err(shape)? != Some(4) || d.u64().map_err(shape)? != 1 {
            return Err(LabelsError::Shape);
        }
        let network = d
            .bytes()
            .map_err(shape)?
            .try_into()
            .map_err(|_| LabelsError::Shape)?;
        let network = NetworkId::new(network);
        let origin = d
            .str()
            .map_err(shape)?
            .parse()
            .map_err(|_| LabelsError::Shape)?;
        let n = d.array().map_err(shape)?.ok_or(LabelsError::Shape)?;
        if n == 0 || n > limits::DEFINITIONS_PER_LEAF as u64 {
            return Err(LabelsError::Shape);
        }
        let mut classes: Vec<(ClassId, Labels)> = Vec::new();
        for _ in 0..n {
            if d.array().map_err(shape)? != Some(2) {
                return Err(LabelsError::Shape);
            }
            let id = ClassId(d.u16().map_err(shape)?);
            if classes.last().is_some_and(|(last, _)| *last >= id) {
                return Err(LabelsError::Shape);
            }
            classes.push((id, Labels::decode(&mut d)?));
        }
        Ok(Self {
            network,
            origin,
            classes,
        })
    }

    /// Parses the COSE_Sign1 without checking who signed.
    ///
    /// # Errors
    /// [`LabelsError::Shape`] if the envelope is not a COSE_Sign1 of this content type.
    pub fn envelope(signed: &[u8]) -> Result<Sign1<'_>, LabelsError> {
        Sign1::parse(signed, Context::ClassDefinitions).map_err(|_| LabelsError::Shape)
    }
}
