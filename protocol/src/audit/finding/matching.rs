//! What is wrong with match manifests and match sessions.

use super::Severity;
use crate::psi::{Epoch, GroupId};

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
}

impl MatchFault {
    /// What it means for the verdict.
    #[must_use]
    pub fn severity(&self) -> Severity {
        match self {
            Self::Group { .. } | Self::Key { .. } | Self::Segment { .. } | Self::TagBits { .. } => {
                Severity::Fail
            }
        }
    }

    /// Its name, stable for programs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Group { .. } => "match-group",
            Self::Key { .. } => "match-key",
            Self::Segment { .. } => "match-segment",
            Self::TagBits { .. } => "match-tag-bits",
        }
    }
}
