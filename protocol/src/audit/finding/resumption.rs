//! What is wrong with a log that takes the place of an earlier one of its centre.

use hashpact_keys::Origin;

use super::Severity;
use super::words::short;
use crate::b3::Hash;
use crate::log::ForkError;

/// A log that takes the place of another.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResumptionFault {
    /// The first leaf of a log whose centre had an earlier line does not say that it takes that one's place.
    #[error("begins without taking the place of {origin}, an earlier log of its centre")]
    NotResumed {
        /// The newest of the earlier lines.
        origin: Origin,
    },
    /// A log says that it takes the place of one that no earlier roster names.
    #[error("takes the place of {origin}, which no earlier roster names")]
    ResumesUnlisted {
        /// The line that it names.
        origin: Origin,
    },
    /// A log takes the place of one beside which there is no fork proof.
    #[error("takes the place of {origin}, beside which there is no fork proof")]
    ResumedWithoutFork {
        /// The line that it names.
        origin: Origin,
    },
    /// A log takes the place of one whose fork proof does not hold.
    #[error("takes the place of {origin}, whose fork proof does not hold: {error}")]
    ResumedNoFork {
        /// The line that it names.
        origin: Origin,
        /// Why not.
        error: ForkError,
    },
    /// A log goes on from leaves that only one branch of the old one has.
    #[error(
        "goes on from {size} leaves of the log before it, whose branches have {common} in common"
    )]
    ResumedBeyond {
        /// Leaves that it goes on from.
        size: u64,
        /// Leaves that the branches have in common at most.
        common: u64,
    },
    /// A log goes on from more leaves than the fork proof here shows to be common; it does not show where the branches part.
    #[error(
        "goes on from {size} leaves of the log before it, of which the fork proof here shows {common} to be common"
    )]
    ResumedNotShown {
        /// Leaves that it goes on from.
        size: u64,
        /// Leaves that the fork proof shows to be common.
        common: u64,
    },
    /// A log says another root of the old one than that has.
    #[error(
        "the log before it has the root {} at size {size}, the leaf says {}",
        short(.got),
        short(.expected)
    )]
    ResumedRoot {
        /// Leaves that it goes on from.
        size: u64,
        /// What the leaf says.
        expected: Hash,
        /// What the old log has.
        got: Hash,
    },
    /// The old log is here, and not up to where the new one goes on from.
    #[error(
        "goes on from {size} leaves of {origin}; of its {held} leaves here the root at that size cannot be computed"
    )]
    ResumedUnread {
        /// The line that it names.
        origin: Origin,
        /// Leaves that it goes on from.
        size: u64,
        /// Leaves under the old log's checkpoint here; 0 without one.
        held: u64,
    },
    /// A log names another fork proof than the one beside the old log. Several may hold.
    #[error("names another fork proof than the one beside {origin}")]
    ResumedOtherProof {
        /// The line that it names.
        origin: Origin,
    },
}

impl ResumptionFault {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "whatever is not listed as harmless fails"
    )]
    pub(super) fn severity(&self) -> Severity {
        match self {
            Self::ResumedNotShown { .. } | Self::ResumedOtherProof { .. } => Severity::Warn,
            _ => Severity::Fail,
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::NotResumed { .. } => "not-resumed",
            Self::ResumesUnlisted { .. } => "resumes-unlisted",
            Self::ResumedWithoutFork { .. } => "resumed-without-fork",
            Self::ResumedNoFork { .. } => "resumed-no-fork",
            Self::ResumedBeyond { .. } => "resumed-beyond",
            Self::ResumedNotShown { .. } => "resumed-not-shown",
            Self::ResumedRoot { .. } => "resumed-root",
            Self::ResumedUnread { .. } => "resumed-unread",
            Self::ResumedOtherProof { .. } => "resumed-other-proof",
        }
    }
}
