//! What people say of an entry, and what is computed from it: labels of kind X, which nobody may state.
//!
//! Why: whether an entry is of the INTERPOL baseline, has a quorum or is disputed depends on other centres, so no class can
//! hold it; whoever publishes, matches or reveals computes it for each entry. Machines only suspect: nothing that is
//! computed here is true without a person. Spec: `docs/protocol.md`, "Attestations" and "Computed labels"; domain 2.2 and
//! 2.3. In scope: signed attestations, facts of one entry. Out of scope: deciding on them (`policy`), how they travel.
//!
//! | file | answers |
//! |---|---|
//! | `attestation` | what an assessor attests, signed by the centre |
//! | `count` | how many people, centres and countries agree with the origin; is it a quorum |
//! | `baseline` | is it of the INTERPOL baseline |
//! | `severity` | which severity tiers could it have |
//! | `release` | how many must have looked before a release |
//! | `lifecycle` | which state follows which, and what makes it so |

mod attestation;
mod baseline;
mod count;
mod lifecycle;
mod release;
mod severity;

pub(crate) use attestation::key_of_day;
pub use attestation::{Assessor, Attestation, AttestationError, Attested, Basis, Subject, Values};
pub use baseline::baseline;
pub use count::{Count, Quorum, count};
pub use lifecycle::{Cause, Life, OpenDispute, TRANSITIONS, effective_state};
pub use release::ReleaseRule;
pub use severity::{Severity, severity};

use crate::evidence::Known;
use crate::labels::{Labels, State};
use crate::lists::{ClosedList, closed_list};
use crate::record::{Fields, Flag};

closed_list! {
    /// What the features of a record are, in their order.
    Feature {
        /// A sexual activity.
        Activity = "activity",
        /// Penetration.
        Penetrative = "penetrative",
        /// An animal.
        Animal = "animal",
        /// Violence.
        Violence = "violence",
        /// A close-up of the genital or anal area.
        Focus = "focus",
        /// A sexual pose.
        Pose = "pose",
        /// Nudity.
        Nudity = "nudity",
    }
}

impl Feature {
    /// What is stated of this feature.
    #[must_use]
    pub fn of(self, features: &[Flag; 7]) -> Flag {
        features[usize::from(self.bit())]
    }
}

/// What the origin states of an entry.
#[derive(Clone, Copy, Debug)]
pub struct Stated<'a> {
    /// Which record it is.
    pub subject: &'a Subject,
    /// The labels of its class.
    pub labels: &'a Labels,
    /// The fields of its record.
    pub fields: &'a Fields,
}

/// What others say of it, as far as it is known here.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// Attestations that were opened; those about other records are passed over.
    pub attestations: &'a [Attested],
    /// Disputes of this entry that are not settled.
    pub disputes: &'a [OpenDispute],
    /// Whether it is held back for an investigation.
    pub hold: bool,
    /// How many must agree.
    pub quorum: Quorum,
}

/// What is computed of one entry, for the decisions that are taken for each: publish, match, reveal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryFacts {
    /// The effective state: the strictest of the origin's and of what open disputes make it.
    pub state: State,
    /// Whether enough assessors of enough centres and countries attested.
    pub quorum: bool,
    /// Whether it is of the INTERPOL baseline.
    pub baseline: bool,
    /// Whether it is held back for an investigation.
    pub hold: bool,
}

impl EntryFacts {
    /// As [`EntryFacts::of`], for a release to providers: whether enough have looked is what the rule says.
    #[must_use]
    pub fn at_release(stated: &Stated<'_>, known: &Known, rule: ReleaseRule) -> Self {
        let state = effective_state(stated, &known.disputes);
        Self {
            state,
            quorum: rule.is_met(stated, &known.attestations, known.reissued),
            baseline: baseline(stated, state, &known.attestations),
            hold: known.hold,
        }
    }

    /// Computes the facts of an entry. O(attestations log attestations).
    #[must_use]
    pub fn of(stated: &Stated<'_>, evidence: &Evidence<'_>) -> Self {
        let state = effective_state(stated, evidence.disputes);
        Self {
            state,
            quorum: evidence
                .quorum
                .is_met_by(count(stated, evidence.attestations)),
            baseline: baseline(stated, state, evidence.attestations),
            hold: evidence.hold,
        }
    }
}
