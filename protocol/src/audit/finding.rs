//! What an audit finds: where, and what was expected. Why: a verdict that does not name the entry helps nobody.
//! In scope: the data and its words. Out of scope: how it is printed.
//!
//! | file | answers |
//! |---|---|
//! | here | what is wrong with rosters, the files of a log, and its leaves |
//! | `checkpoint` | with a checkpoint, its history, its cosignatures |
//! | `resumption` | with a log that takes the place of another |
//! | `disclosure` | with what was opened, and what it says was disclosed |
//! | `matching` | with match manifests and match sessions |
//! | `words` | what their messages have in common |

mod checkpoint;
mod disclosure;
mod matching;
mod resumption;
mod words;

use hashpact_keys::chain::RosterError;
use hashpact_keys::{Jurisdiction, Origin, RosterVersion, Timestamp};

use super::place::Place;
use crate::delta::BodyError;
use crate::log::ForkError;
use crate::policy::{PolicyDocumentError, PolicyFault};
use crate::verify::LeafFault;
use words::{caused, leaves, or_none};

pub use checkpoint::CheckpointFault;
pub use disclosure::DisclosureFault;
pub use matching::MatchFault;
pub use resumption::ResumptionFault;

/// One thing that an audit found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The log; none if it is of a roster.
    pub log: Option<Origin>,
    /// Where.
    pub place: Place,
    /// What.
    pub what: FindingKind,
}

/// What a finding means for the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Something does not verify.
    Fail,
    /// Worth knowing; nothing is contradicted.
    Warn,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FindingKind {
    /// A roster is not the one that follows.
    #[error("{}", caused(.0))]
    Roster(RosterError),
    /// The newest roster has expired at the verifier's time: whoever knows a newer one keeps it back, or there is none.
    #[error("the newest roster expired at {expires_at}")]
    RosterExpired {
        /// When.
        expires_at: Timestamp,
    },
    /// The roster that the auditor holds is not the one of that version in the folder.
    #[error("this is not the roster of that version that was given")]
    RosterDiffers,
    /// The folder ends before the roster that the auditor holds.
    #[error("the roster that was given is missing here")]
    RosterMissing,

    /// A roster names the log, and it has no checkpoint.
    #[error("there is no checkpoint")]
    NoCheckpoint,
    /// A log of an older roster that is not in the folder.
    #[error("this log was closed by a later roster, and nothing of it is here: it is not verified")]
    ClosedLogMissing,
    /// A fork proof that holds lies beside the log.
    #[error("a fork proof lies beside this log: its origin is frozen; in common are {}", leaves(.common))]
    ForkProof {
        /// Leaves that both branches are shown to have in common; none if the proof knows no sizes.
        common: Option<u64>,
    },
    /// What lies beside the log as a fork proof is none.
    #[error("what lies beside this log as a fork proof is none: {0}")]
    NoForkProof(ForkError),
    /// A mirror kept a note that does not fit the log.
    #[error("a source showed a checkpoint of size {size} that this log does not continue")]
    Fork {
        /// Its size.
        size: u64,
    },
    /// A mirror was shown an older checkpoint than it held.
    #[error("a source showed an older checkpoint, of size {size}")]
    RolledBack {
        /// Its size.
        size: u64,
    },
    /// A folder that is no log of a roster.
    #[error("no roster names this log")]
    UnknownLog,

    /// A checkpoint, its history or its cosignatures.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointFault),

    /// A file that the size of the log calls for.
    #[error("the file is missing, is no plain file, or cannot be read")]
    FileMissing,
    /// Files that the size of the log does not call for. Nothing is said about their content.
    #[error("the log of this size has no such file, nor {others} more like it")]
    Stray {
        /// How many there are besides.
        others: u64,
    },
    /// A tile of the wrong width: 32 bytes a hash.
    #[error("{got} bytes, a tile of this width has {expected}")]
    TileWidth {
        /// Bytes that it must have.
        expected: usize,
        /// Bytes that it has.
        got: usize,
    },
    /// A hash that is not that of what lies below it.
    #[error("hash {at} is not that of what lies below it")]
    TileHash {
        /// Its place in the tile, from 0.
        at: usize,
    },
    /// A bundle that is not made of as many whole leaves.
    #[error("not {expected} whole leaves")]
    Bundle {
        /// Leaves that it must hold.
        expected: u64,
    },
    /// Too many files in a row are missing.
    #[error("leaves {from} to {size} are not here: reading ends")]
    Unread {
        /// The first leaf that was not read.
        from: u64,
        /// The size of the log.
        size: u64,
    },

    /// A leaf's bytes are not those that the tree holds.
    #[error("the leaf is not the one that the tree commits to")]
    LeafHash,
    /// A rule that centres check as well.
    #[error("{0}")]
    Leaf(LeafFault),
    /// A header names a roster that is not in the chain.
    #[error("signed under roster {got}, the chain has 1 to {newest}")]
    RosterNotInChain {
        /// The newest of the chain.
        newest: RosterVersion,
        /// What the header names.
        got: RosterVersion,
    },
    /// A header names another roster than the log's own last one.
    #[error("signed under roster {got}, the log had logged roster {logged}")]
    RosterNotLogged {
        /// The version that the log logged last; 0 for none.
        logged: RosterVersion,
        /// What the header names.
        got: RosterVersion,
    },
    /// The roster that an entry is judged under does not name its centre.
    #[error("roster {version} does not name this log")]
    NotOnRoster {
        /// The version.
        version: RosterVersion,
    },
    /// A roster entry out of order.
    #[error("logs roster {got}, expected {expected}")]
    RosterOrder {
        /// The version that comes next.
        expected: RosterVersion,
        /// The version that it logs.
        got: RosterVersion,
    },
    /// A roster entry with the hash of another roster.
    #[error("logs a roster {version} that is not the one of the chain")]
    RosterHash {
        /// The version.
        version: RosterVersion,
    },
    /// A header names as its policy what is no policy.
    #[error("names leaf {got} as its policy, which is none")]
    NotPolicy {
        /// The leaf that it names.
        got: u64,
    },
    /// A policy document that is not one of this centre under two of its policy keys.
    #[error("{}", caused(.0))]
    Policy(PolicyDocumentError),
    /// A policy document that does not come next.
    #[error("policy document {got}, expected {expected}")]
    PolicyVersion {
        /// The version that comes next.
        expected: u64,
        /// Its version.
        got: u64,
    },
    /// A policy document that cannot be read: it denies everything.
    #[error("the policy document denies everything, it has {} faults: {first}", more + 1)]
    PolicyFault {
        /// The first of its faults.
        first: PolicyFault,
        /// How many there are besides.
        more: usize,
    },
    /// A policy document for another law than its centre's.
    #[error(
        "the policy document is written for the law of {got}, its centre is under that of {expected}: it denies everything"
    )]
    PolicyLaw {
        /// The centre's.
        expected: Jurisdiction,
        /// The document's.
        got: Jurisdiction,
    },
    /// A policy document that counsel did not sign off, on a network that is no demonstration.
    #[error(
        "counsel has not signed this policy document off, and the network is no demonstration: it denies everything"
    )]
    PolicyNotSignedOff,
    /// A header names another policy than the one in force.
    #[error("released under the policy at {}, in force was the one at {}", or_none(*.got), or_none(*.expected))]
    PolicyNotInForce {
        /// The newest policy before it.
        expected: Option<u64>,
        /// What it names.
        got: Option<u64>,
    },
    /// A log that takes the place of another.
    #[error(transparent)]
    Resumption(#[from] ResumptionFault),
    /// A delta's body.
    #[error(transparent)]
    Body(BodyError),

    /// What was opened, or what it says was disclosed.
    #[error(transparent)]
    Disclosure(#[from] DisclosureFault),
    /// Match manifests and match sessions.
    #[error(transparent)]
    Match(#[from] MatchFault),
}

impl FindingKind {
    /// What it means for the verdict.
    #[must_use]
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "whatever is not listed as harmless fails"
    )]
    pub fn severity(&self) -> Severity {
        match self {
            Self::RolledBack { .. } | Self::Stray { .. } | Self::ClosedLogMissing => Severity::Warn,
            Self::Checkpoint(fault) => fault.severity(),
            Self::Resumption(fault) => fault.severity(),
            Self::Disclosure(fault) => fault.severity(),
            _ => Severity::Fail,
        }
    }

    /// Whether it is what a refused note was kept for.
    pub(super) fn is_of_evidence(&self) -> bool {
        matches!(self, Self::Fork { .. } | Self::RolledBack { .. })
    }

    /// Its name, stable for programs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Roster(_) => "roster",
            Self::RosterExpired { .. } => "roster-expired",
            Self::RosterDiffers => "roster-differs",
            Self::RosterMissing => "roster-missing",
            Self::NoCheckpoint => "no-checkpoint",
            Self::ClosedLogMissing => "closed-log-missing",
            Self::ForkProof { .. } => "fork-proof",
            Self::NoForkProof(_) => "no-fork-proof",
            Self::Fork { .. } => "fork",
            Self::RolledBack { .. } => "rolled-back",
            Self::UnknownLog => "unknown-log",
            Self::Checkpoint(fault) => fault.name(),
            Self::FileMissing => "file-missing",
            Self::Stray { .. } => "stray",
            Self::TileWidth { .. } => "tile-width",
            Self::TileHash { .. } => "tile-hash",
            Self::Bundle { .. } => "bundle",
            Self::Unread { .. } => "unread",
            Self::LeafHash => "leaf-hash",
            Self::Leaf(_) => "leaf",
            Self::RosterNotInChain { .. } => "roster-not-in-chain",
            Self::RosterNotLogged { .. } => "roster-not-logged",
            Self::NotOnRoster { .. } => "not-on-roster",
            Self::RosterOrder { .. } => "roster-order",
            Self::RosterHash { .. } => "roster-hash",
            Self::NotPolicy { .. } => "not-policy",
            Self::Policy(_) => "policy",
            Self::PolicyVersion { .. } => "policy-version",
            Self::PolicyFault { .. } => "policy-fault",
            Self::PolicyLaw { .. } => "policy-law",
            Self::PolicyNotSignedOff => "policy-not-signed-off",
            Self::PolicyNotInForce { .. } => "policy-not-in-force",
            Self::Resumption(fault) => fault.name(),
            Self::Body(_) => "body",
            Self::Disclosure(fault) => fault.name(),
            Self::Match(fault) => fault.name(),
        }
    }
}
