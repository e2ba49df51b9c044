//! What may be shared and admitted between centres, released to members, matched and revealed.
//!
//! Why: centres live under different law, and what differs between them must be data that others can read, not code. A
//! centre's profile is a set of files, facts in TOML and policies in Cedar, which it signs and logs verbatim. Every decision
//! is one evaluation per class and recipient; the default is no, and so is every error.
//! Spec: `docs/protocol.md`, "Policy documents"; how to write one: `docs/policy.md`.
//!
//! | module | answers |
//! |---|---|
//! | `query` | what is asked and answered |
//! | `document` | who signed which files |
//! | `profile`, `facts`, `grant`, `terms` | what a document says |
//! | `load`, `forms`, `words`, `fault` | is it safe to rely on, and else what is wrong and where |
//! | `engine` | the bridge to Cedar |
//! | `hearing`, `facets` | many decisions about the same classes and peers |
//! | `floor` | what no profile can allow |
//! | `in_force` | which documents of a log must allow |
//!
//! In scope: the decision. Out of scope: what is done with it (`centre`). Retractions are not subject to policy.

mod document;
mod engine;
mod facets;
mod facts;
mod fault;
mod floor;
mod forms;
mod grant;
mod hearing;
mod in_force;
mod load;
mod profile;
mod query;
mod terms;
mod words;

pub use document::{PolicyDocument, PolicyDocumentError};
pub use engine::{Ask, EngineError, Replay, SCHEMA, Subjects};
pub use facts::{Counsel, Fact, Mark, Topic};
pub use fault::{FaultKind, FormFault, PolicyFault};
pub use floor::FLOOR;
pub use grant::{Grant, With};
pub use hearing::{Hearing, Likeness};
pub use in_force::{Fallback, Heard, InForce, Logged, Ruling, open};
pub use profile::{Basis, Profile};
pub use query::{Action, ClassFacts, Decision, Principal, Query};
pub use terms::{Asker, MatchMode, MatchTerms};

use hashpact_keys::{Origin, Roster, Timestamp};

use std::collections::BTreeSet;

use crate::delta::{Body, Expected, Retraction, Section, Seq};
use crate::labels::ClassId;
use crate::view::AdmittedBody;

/// The rule in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Every class between centres of the roster.
    DemoOpen,
    /// Nothing, and why.
    Closed(Closed),
}

/// Why nothing opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Closed {
    /// The roster expired.
    #[error("the roster has expired: apply its successor")]
    RosterExpired,
    /// The network is not a demonstration or policies stand in its logs, and this centre has logged none.
    #[error("no policy of this centre is in its log, so nothing is shared or admitted")]
    NoPolicy,
}

/// A body that its origin's signature covers; whether it may be stored is not decided.
#[derive(Debug)]
pub struct VerifiedBody {
    pub(crate) origin: Origin,
    pub(crate) seq: Seq,
    pub(crate) body: Body,
}

impl VerifiedBody {
    /// Whether a class of it is withheld.
    pub(crate) fn withholds(&self) -> bool {
        self.body.withholds()
    }

    /// The classes of which a record is disclosed.
    pub(crate) fn disclosed(&self) -> impl Iterator<Item = ClassId> + '_ {
        let sections = self.body.sections().iter();
        sections
            .filter(|section| section.held() > 0)
            .map(|section| section.class)
    }

    /// Its classes.
    pub(crate) fn sections(&self) -> &[Section] {
        self.body.sections()
    }

    /// This body with these classes withheld.
    pub(crate) fn without(self, gone: &BTreeSet<ClassId>) -> Self {
        let Self { origin, seq, body } = self;
        let body = body.without(gone);
        Self { origin, seq, body }
    }

    /// A body of which nothing is disclosed but its retractions, which were verified.
    pub(crate) fn withheld(expected: &Expected, list: Vec<Retraction>) -> Self {
        Self {
            origin: expected.origin.clone(),
            seq: expected.seq,
            body: Body::withheld(expected, list),
        }
    }

    /// The body as it may be stored: whoever calls this has decided it, or it is of our own log, which we had before and lost.
    pub(crate) fn admitted(self) -> AdmittedBody {
        let Self { origin, seq, body } = self;
        AdmittedBody { origin, seq, body }
    }
}

impl Policy {
    /// The rule in force under a roster.
    #[must_use]
    pub fn in_force(roster: &Roster, now: Timestamp) -> Self {
        if roster.is_expired(now) {
            Self::Closed(Closed::RosterExpired)
        } else if roster.demo {
            Self::DemoOpen
        } else {
            Self::Closed(Closed::NoPolicy)
        }
    }

    /// Whether anything may open.
    #[must_use]
    pub fn is_open(self) -> bool {
        self == Self::DemoOpen
    }

    /// Decides whether a verified body may be stored here.
    ///
    /// # Errors
    /// [`Closed`]: why not.
    pub fn admit(self, verified: VerifiedBody) -> Result<AdmittedBody, Closed> {
        match self {
            Self::DemoOpen => {
                let VerifiedBody { origin, seq, body } = verified;
                Ok(AdmittedBody { origin, seq, body })
            }
            Self::Closed(why) => Err(why),
        }
    }
}

#[cfg(test)]
mod tests;
