//! What policy is asked and what it answers.

use hashpact_keys::{CentreId, Jurisdiction, Timestamp};

use crate::assess::EntryFacts;
use crate::labels::{ClassId, Labels, Purpose};
use crate::lists::closed_list;

closed_list! {
    /// What would be done with the entries of a class.
    Action {
        /// The origin gives them to another centre.
        Share = "share",
        /// A centre that has them of another one gives them on.
        Reshare = "reshare",
        /// A centre takes them from another one.
        Admit = "admit",
        /// They go into a member's subset.
        Publish = "publish",
        /// They are matched with a list, which stays hidden.
        Match = "match",
        /// What a match found is told.
        Reveal = "reveal",
    }
}

/// Whom a decision is about: for share and reshare who would receive, for admit who would give, else whom it is done for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Principal {
    /// A centre of the roster.
    Centre {
        /// Its name.
        id: CentreId,
        /// The law that it works under.
        jurisdiction: Jurisdiction,
    },
    /// A provider or another member of a centre.
    Member {
        /// Its name at that centre.
        id: String,
        /// The law that it works under.
        jurisdiction: Jurisdiction,
        /// What it does, as its centre registered it.
        sector: String,
    },
    /// An auditor.
    Auditor {
        /// Its name.
        id: String,
        /// The law that it works under.
        jurisdiction: Jurisdiction,
    },
}

impl Principal {
    /// The name.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Centre { id, .. } => id.as_str(),
            Self::Member { id, .. } | Self::Auditor { id, .. } => id,
        }
    }

    /// The law that it works under.
    #[must_use]
    pub fn jurisdiction(&self) -> &Jurisdiction {
        match self {
            Self::Centre { jurisdiction, .. }
            | Self::Member { jurisdiction, .. }
            | Self::Auditor { jurisdiction, .. } => jurisdiction,
        }
    }
}

/// A class as policy sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClassFacts<'a> {
    /// The centre that made the entries.
    pub origin: &'a CentreId,
    /// The law that it works under.
    pub jurisdiction: &'a Jurisdiction,
    /// The number of the class there.
    pub class: ClassId,
    /// Its labels, as its origin defined them.
    pub labels: &'a Labels,
}

/// One question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query<'a> {
    /// What would be done.
    pub action: Action,
    /// With whom.
    pub principal: &'a Principal,
    /// With what.
    pub class: ClassFacts<'a>,
    /// For which purpose.
    pub purpose: Purpose,
    /// When: the later of the local clock and the newest quorum-median cosignature time.
    pub now: Timestamp,
    /// What is computed of the entry, where the decision is about one. Without it a profile can release nothing.
    pub entry: Option<EntryFacts>,
}

/// One answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// Whether it may be done.
    pub allowed: bool,
    /// `@id` of the policies that determined it, sorted; empty if none permitted.
    pub policies: Vec<String>,
    /// The first second at which a grant that was looked at opens or ends: ask again then.
    pub valid_until: Option<Timestamp>,
    /// What went wrong while deciding. Anything here denies, and is an alarm.
    pub errors: Vec<String>,
}
