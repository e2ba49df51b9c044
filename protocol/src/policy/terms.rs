//! How a list may be matched, and how much of it a day.
//!
//! Why: whether somebody may match is decided by policies; what a match may tell and how many items may be asked about are
//! terms of the legal basis, so they stand in the grant beside its dates. Without them a grant gives no mode. Spec:
//! `docs/policy.md`, "Matching". In scope: terms of one profile and of several. Out of scope: what is charged (`centre`).

use std::fmt;

use hashpact_keys::CentreId;

use crate::lists::{Set, closed_list};

closed_list! {
    /// What a match tells whom.
    MatchMode {
        /// The client learns which of its own items match.
        Items = "items",
        /// It learns short labels of them too.
        Labels = "labels",
        /// It learns how many match, and which if it does not keep to the protocol.
        Count = "count",
    }
}

/// The terms of one grant, or of all that are open together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MatchTerms {
    /// In which modes.
    pub modes: Set<MatchMode>,
    /// Items of one fingerprint type in a UTC day.
    pub per_day: u64,
}

impl MatchTerms {
    /// Terms under which nothing is matched.
    pub const NONE: Self = Self {
        modes: Set::empty(),
        per_day: 0,
    };

    /// What two grants that are open at once give: every mode of either, and the larger quota.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            modes: self.modes.union(other.modes),
            per_day: self.per_day.max(other.per_day),
        }
    }

    /// What two documents that are in force at once give: the modes of both, and the smaller quota.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            modes: self.modes.intersection(other.modes),
            per_day: self.per_day.min(other.per_day),
        }
    }
}

impl Default for MatchTerms {
    fn default() -> Self {
        Self::NONE
    }
}

/// Who asks to match: a centre of the roster, or a member of the centre that is asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Asker {
    /// A centre.
    Centre(CentreId),
    /// A member, by its name in that centre's register.
    Member(String),
}

impl Asker {
    /// Its name; a centre and a member may have the same.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Centre(id) => id.as_str(),
            Self::Member(id) => id,
        }
    }
}

impl fmt::Display for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Centre(id) => write!(f, "centre {id}"),
            Self::Member(id) => write!(f, "member {id}"),
        }
    }
}
