//! Why an attestation is refused. In scope: the names. Out of scope: what is done about it.

use hashpact_keys::canonical::CanonicalError;
use hashpact_keys::cose::CoseError;
use hashpact_keys::reader::ShapeError;
use hashpact_keys::roster::KeyLookupError;
use hashpact_keys::{CentreId, Jurisdiction, KeyId, NetworkId};

use crate::limits;

/// Why an attestation is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttestationError {
    /// Longer than [`limits::ATTESTATION_BYTES`].
    #[error("attestation: {got} bytes, at most {}", limits::ATTESTATION_BYTES)]
    TooLarge {
        /// Its length.
        got: usize,
    },
    /// The envelope, or the signature.
    #[error("attestation: {0}")]
    Envelope(#[from] CoseError),
    /// The payload is not canonical CBOR.
    #[error("attestation: the payload is not canonical CBOR")]
    Canonical(#[from] CanonicalError),
    /// The payload has another shape. Offsets count from its start.
    #[error("attestation: {0}")]
    Shape(#[from] ShapeError),
    /// Of another format.
    #[error("attestation: format {got}, expected 1")]
    Format {
        /// What it says.
        got: u64,
    },
    /// A value outside its closed list, or an attested set of nothing.
    #[error("attestation: attested field {field} has a value that is not allowed")]
    Value {
        /// Number of the field among those attested, from 0.
        field: u8,
    },
    /// A field that attests nothing has one encoding only: null.
    #[error("attestation: attested field {field} says that it could be anything, which is null")]
    Default {
        /// Number of the field among those attested, from 0.
        field: u8,
    },
    /// A basis that the closed list does not have.
    #[error("attestation: basis {got} is not in the list")]
    Basis {
        /// What it says.
        got: u64,
    },
    /// A legacy import has no assessor, and everything else has one, which is not 16 zero bytes.
    #[error("attestation: exactly a legacy import has no assessor")]
    Assessor,
    /// Revision 0, or a day that is none.
    #[error("attestation: revisions count from 1, and days go up to 99,999")]
    Range,
    /// It attests no field.
    #[error("attestation: attests nothing")]
    Nothing,
    /// The age band and whether a minor is certain contradict each other.
    #[error("attestation: a minor is certain exactly if no adult is possible")]
    Contradiction,
    /// Of another network.
    #[error("attestation: of network {got}, expected {expected}")]
    Network {
        /// Ours.
        expected: NetworkId,
        /// Theirs.
        got: NetworkId,
    },
    /// By nobody on the roster.
    #[error("attestation: {centre} is not on the roster")]
    Centre {
        /// Who it names.
        centre: CentreId,
    },
    /// Another country than the jurisdiction of its centre.
    #[error("attestation: of country {got}, its centre's jurisdiction is {expected}")]
    Country {
        /// What the roster says.
        expected: Jurisdiction,
        /// What it says.
        got: Jurisdiction,
    },
    /// No `attest` key of the centre that was valid on that day.
    #[error("attestation: {0}")]
    Key(#[from] KeyLookupError),
    /// The key is revoked.
    #[error("attestation: key {key} is revoked")]
    Revoked {
        /// The key.
        key: KeyId,
    },
    /// Dated more than a day ahead of our clock.
    #[error("attestation: day {day} is more than a day ahead")]
    Future {
        /// The day.
        day: u32,
    },
}

impl AttestationError {
    /// Whether a peer that showed it did wrong: rosters and clocks differ between honest centres, bytes do not.
    pub(crate) fn is_fault(&self) -> bool {
        match self {
            Self::Centre { .. }
            | Self::Country { .. }
            | Self::Key(_)
            | Self::Revoked { .. }
            | Self::Future { .. } => false,
            Self::TooLarge { .. }
            | Self::Envelope(_)
            | Self::Canonical(_)
            | Self::Shape(_)
            | Self::Format { .. }
            | Self::Value { .. }
            | Self::Default { .. }
            | Self::Basis { .. }
            | Self::Assessor
            | Self::Range
            | Self::Nothing
            | Self::Contradiction
            | Self::Network { .. } => true,
        }
    }
}
