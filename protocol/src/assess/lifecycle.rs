//! The life of an entry: which state follows which, and what makes it so.
//!
//! Why: what is released must have been seen by a person, so no edge leads from a machine's opinion to assessed. Spec: domain
//! 2.2. In scope: the table, and the state that disputes make of it. Out of scope: who signs which step (`delta`: an origin
//! changes a state by a retraction and a put in another class), releasing (`policy`).

use std::collections::BTreeSet;

use hashpact_keys::{CentreId, Jurisdiction};

use super::Stated;
use crate::labels::State;
use crate::lists::closed_list;

closed_list! {
    /// Where an entry stands, over its whole life.
    Life {
        /// Nobody lists it.
        Unlisted = "unlisted",
        /// Listed, and nobody has assessed it.
        Suspected = "suspected",
        /// A person has assessed it. The only state in which anything is released.
        Assessed = "assessed",
        /// Its assessment is contested.
        Disputed = "disputed",
        /// Its origin took it back.
        Retracted = "retracted",
        /// Record and salt are destroyed. Final.
        Purged = "purged",
    }
}

impl Life {
    /// Whether entries in this state may be released at all.
    #[must_use]
    pub const fn is_releasable(self) -> bool {
        match self {
            Self::Assessed => true,
            Self::Unlisted | Self::Suspected | Self::Disputed | Self::Retracted | Self::Purged => {
                false
            }
        }
    }
}

closed_list! {
    /// What makes an entry change its state.
    Cause {
        /// A classifier holds it for likely.
        Classifier = "classifier",
        /// Somebody reported it.
        Report = "report",
        /// A person assessed it and attests it.
        Attestation = "attestation",
        /// Its origin takes it for contested, or two centres of two countries contest it.
        Dispute = "dispute",
        /// Its origin takes it back.
        Retraction = "retraction",
        /// Its origin issues it again, under a higher revision and a fresh attestation.
        Reissue = "reissue",
        /// Its origin destroys it.
        Purge = "purge",
    }
}

impl Cause {
    /// Whether a person attests it afresh.
    #[must_use]
    pub const fn is_attested(self) -> bool {
        match self {
            Self::Attestation | Self::Reissue => true,
            Self::Classifier | Self::Report | Self::Dispute | Self::Retraction | Self::Purge => {
                false
            }
        }
    }
}

/// Every step that there is: from, cause, to. What is not here does not happen.
pub const TRANSITIONS: [(Life, Cause, Life); 12] = [
    (Life::Unlisted, Cause::Classifier, Life::Suspected),
    (Life::Unlisted, Cause::Report, Life::Suspected),
    (Life::Unlisted, Cause::Attestation, Life::Assessed),
    (Life::Suspected, Cause::Classifier, Life::Suspected),
    (Life::Suspected, Cause::Attestation, Life::Assessed),
    (Life::Suspected, Cause::Retraction, Life::Retracted),
    (Life::Assessed, Cause::Dispute, Life::Disputed),
    (Life::Assessed, Cause::Retraction, Life::Retracted),
    (Life::Disputed, Cause::Attestation, Life::Assessed),
    (Life::Disputed, Cause::Retraction, Life::Retracted),
    (Life::Retracted, Cause::Reissue, Life::Assessed),
    (Life::Retracted, Cause::Purge, Life::Purged),
];

/// A dispute of one entry that is not settled, by who raised it. Opened and verified elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OpenDispute {
    /// The centre.
    pub centre: CentreId,
    /// Its jurisdiction.
    pub country: Jurisdiction,
}

/// The strictest of the origin's state and of what open disputes make it: two centres of two countries contest an
/// assessment, one alone does not, or a rogue member could switch entries off. A classifier's opinion stays a suspicion
/// whatever the class says.
#[must_use]
pub fn effective_state(stated: &Stated<'_>, disputes: &[OpenDispute]) -> State {
    let centres: BTreeSet<_> = disputes.iter().map(|one| &one.centre).collect();
    let countries: BTreeSet<_> = disputes.iter().map(|one| &one.country).collect();
    let is_contested = centres.len() >= 2 && countries.len() >= 2;
    match stated.labels.state {
        _ if stated.fields.classifier.is_some() => State::Suspected,
        State::Suspected => State::Suspected,
        State::Assessed if is_contested => State::Disputed,
        State::Assessed => State::Assessed,
        State::Disputed => State::Disputed,
    }
}
