//! What each side keeps of a statement: with its salt it opens the disclosure record in the log.
//!
//! Why: a log is mirrored by everybody, and who shares what with whom is not everybody's business. The record is a salted
//! hash; an auditor is given the openings, and a record that nobody opens is a finding.

use hashpact_keys::canonical::encode;
use hashpact_keys::reader::{ReadError, Reader, ShapeError};

use super::StatementError;
use crate::b3::{self, Hash};
use crate::limits;

/// The salt of one commitment.
pub type Salt = [u8; 16];

/// `B3["disclosure"](salt || signed bytes)`: what a disclosure record or a commitment in a log holds.
#[must_use]
pub fn commitment(salt: &Salt, signed: &[u8]) -> Hash {
    b3::DISCLOSURE.hash(&[salt, signed])
}

/// A signed object with the salt under which this centre logged it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// None for an object that stands in no log of ours: a statement that a relay showed.
    pub salt: Option<Salt>,
    /// The statement, recall or acknowledgement.
    pub signed: Vec<u8>,
}

impl Opening {
    /// `[1, salt or null, signed]`.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(|e| {
            e.array(3)?.u8(1)?;
            match &self.salt {
                Some(salt) => e.bytes(salt)?,
                None => e.null()?,
            };
            e.bytes(&self.signed)?.ok()
        })
    }

    /// Reads what [`Opening::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`StatementError::Read`], [`StatementError::Value`] or [`StatementError::TooLarge`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StatementError> {
        let got = bytes.len();
        if got > limits::STATEMENT_BYTES + 64 {
            return Err(StatementError::TooLarge { got });
        }
        let mut reader = Reader::new(bytes).map_err(ReadError::from)?;
        reader.array(3).map_err(ReadError::from)?;
        if reader.u8().map_err(ReadError::from)? != 1 {
            let expected = "the format is 1";
            return Err(StatementError::Value { expected });
        }
        let salt = reader.optional(|reader| reader.fixed().copied());
        let salt = salt.map_err(|error: ShapeError| ReadError::from(error))?;
        let signed = reader.bytes().map_err(ReadError::from)?.to_vec();
        Ok(Self { salt, signed })
    }

    /// What the leaf holds; `None` for what stands in no log of ours.
    #[must_use]
    pub fn commitment(&self) -> Option<Hash> {
        Some(commitment(self.salt.as_ref()?, &self.signed))
    }
}
