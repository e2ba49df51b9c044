//! What may be shared and admitted between centres.
//!
//! Until a network has logged policies, one rule stands in: on a `demo` roster every class may go between centres; on any
//! other, and under an expired roster, nothing opens. Retractions are not subject to policy. Default is no.
//! In scope: the decision. Out of scope: the profiles per jurisdiction, which take this module's place.

use hashpact_keys::{Origin, Roster, Timestamp};

use crate::delta::{Body, Seq};
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
    /// The network is not a demonstration and has no logged policy.
    #[error(
        "this network is not flagged demo and has no logged policy yet, so nothing is shared or admitted"
    )]
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

    /// A body of our own log, which we had before and lost: no policy is asked.
    pub(crate) fn own(self) -> AdmittedBody {
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
