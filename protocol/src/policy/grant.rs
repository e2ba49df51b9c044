//! Grants: the dates and documents of a legal basis. Why: a basis ends by itself, with nobody's help, and a clock that is
//! off by the allowed skew neither opens nor prolongs one. Spec: `docs/protocol.md`, "Policy documents".

use hashpact_keys::{CentreId, Jurisdiction, Timestamp};

use super::query::{Action, Principal};
use super::terms::MatchTerms;
use crate::labels::{LegalBasis, Purpose};
use crate::limits;
use crate::lists::Set;

/// With whom a grant is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum With {
    /// One centre.
    Centre(CentreId),
    /// One member.
    Member(String),
    /// Everyone who works under this law.
    Jurisdiction(Jurisdiction),
}

/// One legal basis for giving to, or taking from, somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Its id, which policies name: `[a-z0-9-]`.
    pub id: String,
    /// With whom.
    pub with: With,
    /// For which actions.
    pub actions: Set<Action>,
    /// For which purposes.
    pub purposes: Set<Purpose>,
    /// What kind of basis.
    pub basis: LegalBasis,
    /// The document that it rests on.
    pub document: String,
    /// Who issued that.
    pub issuer: String,
    /// The first second of its first day.
    pub from: Timestamp,
    /// The first second of the day on which it has ended.
    pub until: Timestamp,
    /// On which terms lists are matched under it; without them in no mode.
    pub matching: Option<MatchTerms>,
}

impl Grant {
    /// Whether it is with this principal, for this action and purpose; at any time.
    #[must_use]
    pub fn covers(&self, action: Action, principal: &Principal, purpose: Purpose) -> bool {
        let with = match (&self.with, principal) {
            (With::Centre(id), Principal::Centre { id: got, .. }) => id == got,
            (With::Member(id), Principal::Member { id: got, .. }) => id == got,
            (With::Jurisdiction(law), _) => law == principal.jurisdiction(),
            (With::Centre(_), Principal::Member { .. } | Principal::Auditor { .. })
            | (With::Member(_), Principal::Centre { .. } | Principal::Auditor { .. }) => false,
        };
        with && self.actions.contains(action) && self.purposes.contains(purpose)
    }

    /// The first second in which it is open: `from` and the skew.
    #[must_use]
    pub fn opens(&self) -> Timestamp {
        Timestamp::new(self.from.get().saturating_add(limits::CLOCK_SKEW_S))
    }

    /// The first second in which it is closed again: the skew before `until`.
    #[must_use]
    pub fn closes(&self) -> Timestamp {
        Timestamp::new(self.until.get().saturating_sub(limits::CLOCK_SKEW_S))
    }

    /// Whether it is open.
    #[must_use]
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.opens() <= now && now < self.closes()
    }

    /// When that changes next; nothing after its end.
    #[must_use]
    pub fn changes(&self, now: Timestamp) -> Option<Timestamp> {
        [self.opens(), self.closes()]
            .into_iter()
            .find(|boundary| now < *boundary)
    }
}
