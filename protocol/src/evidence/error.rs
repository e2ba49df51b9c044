//! Why an object is refused. In scope: the names. Out of scope: what is done about it.

use hashpact_keys::canonical::CanonicalError;
use hashpact_keys::cose::CoseError;
use hashpact_keys::reader::ShapeError;
use hashpact_keys::roster::KeyLookupError;
use hashpact_keys::{CentreId, Jurisdiction, KeyId, NetworkId};

use crate::assess::AttestationError;
use crate::limits;

/// Why an object is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// Longer than [`limits::EVIDENCE_BYTES`].
    #[error("object: {got} bytes, at most {}", limits::EVIDENCE_BYTES)]
    TooLarge {
        /// Its length.
        got: usize,
    },
    /// Of no kind that this version reads.
    #[error("object: of no known kind")]
    Kind,
    /// The envelope, or a signature.
    #[error("object: {0}")]
    Envelope(#[from] CoseError),
    /// The payload is not canonical CBOR.
    #[error("object: the payload is not canonical CBOR")]
    Canonical(#[from] CanonicalError),
    /// The payload has another shape.
    #[error("object: {0}")]
    Shape(#[from] ShapeError),
    /// A value that the format does not allow.
    #[error("object: expected {expected}")]
    Value {
        /// What is allowed.
        expected: &'static str,
    },
    /// An attestation.
    #[error(transparent)]
    Attestation(#[from] AttestationError),
    /// A hold of nothing, or of too much.
    #[error(
        "hold: names {got} entries and series, from 1 to {}",
        limits::HOLD_NAMED
    )]
    HoldNamed {
        /// How many.
        got: usize,
    },
    /// A hold of more than [`limits::HOLD_S`].
    #[error("hold: for {seconds} s, at most {}", limits::HOLD_S)]
    HoldTooLong {
        /// How long.
        seconds: u64,
    },
    /// An order that fewer than two people signed.
    #[error("order: {got} signatures by different policy keys, two are needed")]
    Signatures {
        /// How many.
        got: usize,
    },
    /// Of another network.
    #[error("object: of network {got}, expected {expected}")]
    Network {
        /// Ours.
        expected: NetworkId,
        /// Theirs.
        got: NetworkId,
    },
    /// By nobody on the roster.
    #[error("object: {centre} is not on the roster")]
    Centre {
        /// Who it names.
        centre: CentreId,
    },
    /// An answer, or a reason, by another centre than the origin's.
    #[error("object: {centre} speaks for a log that is not its own")]
    NotTheOrigin {
        /// Who it names.
        centre: CentreId,
    },
    /// Another country than the jurisdiction of its centre.
    #[error("object: of country {got}, its centre's jurisdiction is {expected}")]
    Country {
        /// What the roster says.
        expected: Jurisdiction,
        /// What it says.
        got: Jurisdiction,
    },
    /// No key of the centre that was valid then.
    #[error("object: {0}")]
    Key(#[from] KeyLookupError),
    /// A key is revoked.
    #[error("object: key {key} is revoked")]
    Revoked {
        /// The key.
        key: KeyId,
    },
    /// Dated more than a day ahead of our clock.
    #[error("object: dated more than a day ahead")]
    Future,
    /// It concerns the centre that signed it alone.
    #[error("object: it concerns {centre} alone")]
    Stays {
        /// Who signed it.
        centre: CentreId,
    },
    /// What it names is not here.
    #[error("object: what it names is not here")]
    Unknown,
    /// An order whose time is over.
    #[error("object: its time is over")]
    Over,
    /// A lift of what another centre ordered.
    #[error("object: {centre} lifts what another centre ordered")]
    NotTheMaker {
        /// Who signed it.
        centre: CentreId,
    },
    /// A newer vote of the same member stands.
    #[error("object: a newer vote of this member stands")]
    Stands {
        /// What that one is known by.
        of: crate::Hash,
    },
    /// More of this centre than is kept.
    #[error("object: {centre} has as many as are kept of one centre")]
    TooMany {
        /// Whose.
        centre: CentreId,
    },
}

impl EvidenceError {
    /// Whether a peer that showed it did wrong. Rosters and clocks differ between honest centres; bytes and signatures do
    /// not.
    #[must_use]
    pub(crate) fn is_fault(&self) -> bool {
        match self {
            Self::TooLarge { .. }
            | Self::Kind
            | Self::Envelope(_)
            | Self::Canonical(_)
            | Self::Shape(_)
            | Self::Value { .. }
            | Self::HoldNamed { .. }
            | Self::HoldTooLong { .. }
            | Self::Signatures { .. }
            | Self::NotTheOrigin { .. }
            | Self::Stays { .. }
            | Self::Network { .. } => true,
            Self::Attestation(error) => error.is_fault(),
            Self::Centre { .. }
            | Self::Country { .. }
            | Self::Key(_)
            | Self::Revoked { .. }
            | Self::Future
            | Self::Unknown
            | Self::Over
            | Self::NotTheMaker { .. }
            | Self::Stands { .. }
            | Self::TooMany { .. } => false,
        }
    }

    /// Whether it will be refused again whatever comes, so that nobody need send it again.
    #[must_use]
    pub(crate) const fn is_final(&self) -> bool {
        matches!(
            self,
            Self::TooMany { .. } | Self::Over | Self::NotTheMaker { .. } | Self::Stands { .. }
        )
    }
}
