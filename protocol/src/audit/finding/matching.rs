//! What is wrong with match manifests and match sessions.

use crate::psi::{Epoch, GroupId, SessionId};

/// What an audit found of private matching.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MatchFault {
    /// A group number that stood for other classes before.
    #[error("match group {group} was another set of classes before")]
    Group {
        /// The group.
        group: GroupId,
    },
    /// A key that changed within its epoch, or outlived it.
    #[error("a key of match group {group} changed within its epoch, or is that of an earlier one")]
    Key {
        /// The group.
        group: GroupId,
    },
    /// A segment whose root changed.
    #[error("segment {number} of match group {group} had another root before")]
    Segment {
        /// The group.
        group: GroupId,
        /// The segment.
        number: u32,
    },
    /// Tags that became shorter or longer within an epoch.
    #[error("tags of epoch {epoch} had another length before")]
    TagBits {
        /// The epoch.
        epoch: Epoch,
    },
    /// A session record in a log that is neither side's.
    #[error("match session {session}: recorded in a log that is not that of its side")]
    SessionLog {
        /// The session.
        session: SessionId,
    },
    /// A session record of another network.
    #[error("match session {session}: recorded for another network")]
    SessionNetwork {
        /// The session.
        session: SessionId,
    },
    /// The two sides do not say the same.
    #[error("match session {session}: the two sides do not say the same of its {field}")]
    SessionDiffers {
        /// The session.
        session: SessionId,
        /// What they say differently.
        field: &'static str,
    },
    /// A session that names a manifest which its centre's log does not hold there, or not with this epoch and these groups.
    #[error("match session {session}: leaf {leaf} is no manifest of its epoch and groups")]
    SessionManifest {
        /// The session.
        session: SessionId,
        /// The leaf that it names.
        leaf: u64,
    },
    /// Two records of one side of one session.
    #[error("match session {session}: one side recorded it twice")]
    SessionTwice {
        /// The session.
        session: SessionId,
    },
    /// A centre answered, or charged, beyond the quota that it says it had.
    #[error("match session {session}: {used} items were charged, of {per_day} a day")]
    SessionQuota {
        /// The session.
        session: SessionId,
        /// Items charged.
        used: u64,
        /// Items of a day.
        per_day: u64,
    },
}

impl MatchFault {
    /// Its name, stable for programs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Group { .. } => "match-group",
            Self::Key { .. } => "match-key",
            Self::Segment { .. } => "match-segment",
            Self::TagBits { .. } => "match-tag-bits",
            Self::SessionLog { .. } => "match-session-log",
            Self::SessionNetwork { .. } => "match-session-network",
            Self::SessionDiffers { .. } => "match-session-differs",
            Self::SessionManifest { .. } => "match-session-manifest",
            Self::SessionTwice { .. } => "match-session-twice",
            Self::SessionQuota { .. } => "match-session-quota",
        }
    }
}
