//! What is wrong with a checkpoint, its history or its cosignatures.

use hashpact_keys::{KeyId, RosterVersion, Timestamp};

use super::Severity;
use super::words::{hex, short};
use crate::audit::history::HistoryFault;
use crate::b3::Hash;
use crate::limits;
use crate::log::CheckpointError;

/// A note of a log: its key, its order, its root, its quorum.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointFault {
    /// A note that is no checkpoint of this log, or that no log key signed.
    #[error(transparent)]
    Note(CheckpointError),
    /// The key that signed a checkpoint had left the roster.
    #[error("signed by log key {key}, which is on roster {last} and on none that counts here")]
    LogKeyLeft {
        /// The key.
        key: KeyId,
        /// The last roster that lists it.
        last: RosterVersion,
    },
    /// The key that signed a checkpoint is revoked below its size.
    #[error("signed by log key {key}, which is revoked above log size {cut}")]
    LogKeyRevoked {
        /// The key.
        key: KeyId,
        /// The cut-off.
        cut: u64,
    },
    /// A checkpoint that does not grow the log.
    #[error("size {got} does not follow size {last}: a checkpoint that goes back")]
    Back {
        /// Size of the one before it.
        last: u64,
        /// Its size.
        got: u64,
    },
    /// A note above the newest checkpoint.
    #[error("size {got} lies above the newest checkpoint of size {checkpoint}")]
    Beyond {
        /// Size of the newest checkpoint.
        checkpoint: u64,
        /// Its size.
        got: u64,
    },
    /// The newest checkpoint is not in the history.
    #[error("the history ends at size {last}, the newest checkpoint has size {checkpoint}")]
    HistoryEnds {
        /// Size of the last note; 0 without one.
        last: u64,
        /// Size of the newest checkpoint.
        checkpoint: u64,
    },
    /// The history cannot be cut into notes.
    #[error(transparent)]
    History(HistoryFault),
    /// A checkpoint's root is not that of the leaves.
    #[error("the root over {size} leaves is {}, the checkpoint says {}", short(.got), short(.expected))]
    Root {
        /// Leaves.
        size: u64,
        /// What the checkpoint says.
        expected: Hash,
        /// What the leaves make.
        got: Hash,
    },
    /// Fewer cosignatures than make a checkpoint witnessed.
    #[error("{got} of {expected} witnesses cosigned it")]
    Quorum {
        /// How many must.
        expected: usize,
        /// How many did.
        got: usize,
    },
    /// A cosignature that does not verify.
    #[error("the cosignature of {holder} does not verify")]
    Cosignature {
        /// Whose key the line names.
        holder: String,
    },
    /// A cosignature by a key that was not valid at its time, or that is revoked below this size.
    #[error("{holder} cosigned at {at} with a key that does not count then and there")]
    CosignatureVoid {
        /// Whose key it is.
        holder: String,
        /// The time that the cosignature states.
        at: Timestamp,
    },
    /// A cosignature of somebody who had left the roster.
    #[error("cosigned by {holder}, whose key is on roster {last} and on none that counts here")]
    CosignerLeft {
        /// Whose key it was.
        holder: String,
        /// The last roster that lists it.
        last: RosterVersion,
    },
    /// A cosignature that its holder made when a roster had dropped its key. It counts as none. By itself it contradicts
    /// nothing: a witness may have cosigned before it heard of that roster.
    #[error(
        "{holder} cosigned at {at}, after roster {roster} of {issued_at} had dropped its key: it counts as missing"
    )]
    CosignedAfterLeaving {
        /// Whose key it was.
        holder: String,
        /// The time that the cosignature states.
        at: Timestamp,
        /// The first roster that does not list the key any more.
        roster: RosterVersion,
        /// When that roster was issued.
        issued_at: Timestamp,
    },
    /// The newest witnessed checkpoint is old: nobody says what the log is since.
    #[error(
        "witnessed at {witnessed_at}, more than {} s before {now}: later entries may be withheld here",
        limits::COSIGNATURE_FRESH_S
    )]
    Stale {
        /// The newest time that a whole quorum has reached.
        witnessed_at: Timestamp,
        /// The verifier's time.
        now: Timestamp,
    },
    /// A cosignature from the future.
    #[error("{holder} cosigned at {at}, more than a day after {now}")]
    CosignedAhead {
        /// Whose key it is.
        holder: String,
        /// The time that the cosignature states.
        at: Timestamp,
        /// The verifier's time.
        now: Timestamp,
    },
    /// A line of a key that no roster lists.
    #[error("signature line {line} is of key {}, which no roster lists for a cosigner of this log", hex(.key_id))]
    UnknownKey {
        /// Its place among the lines, from 0.
        line: usize,
        /// The key id of the note format.
        key_id: [u8; 4],
    },
    /// A second line of one key.
    #[error("signature line {line} is a second one of key {}", hex(.key_id))]
    RepeatedKey {
        /// Its place among the lines, from 0.
        line: usize,
        /// The key id of the note format.
        key_id: [u8; 4],
    },
}

impl CheckpointFault {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "whatever is not listed as harmless fails"
    )]
    pub(super) fn severity(&self) -> Severity {
        match self {
            Self::Stale { .. } | Self::CosignedAfterLeaving { .. } => Severity::Warn,
            _ => Severity::Fail,
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Note(_) => "note",
            Self::LogKeyLeft { .. } => "log-key-left",
            Self::LogKeyRevoked { .. } => "log-key-revoked",
            Self::Back { .. } => "back",
            Self::Beyond { .. } => "beyond",
            Self::HistoryEnds { .. } => "history-ends",
            Self::History(_) => "history",
            Self::Root { .. } => "root",
            Self::Quorum { .. } => "quorum",
            Self::Cosignature { .. } => "cosignature",
            Self::CosignatureVoid { .. } => "cosignature-void",
            Self::CosignerLeft { .. } => "cosigner-left",
            Self::CosignedAfterLeaving { .. } => "cosigned-after-leaving",
            Self::Stale { .. } => "stale",
            Self::CosignedAhead { .. } => "cosigned-ahead",
            Self::UnknownKey { .. } => "unknown-key",
            Self::RepeatedKey { .. } => "repeated-key",
        }
    }
}
