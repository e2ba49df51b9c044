//! What is wrong with what was opened: openings, statements, recalls; and which disclosures no policy allowed.

use hashpact_keys::{CentreId, Origin, Timestamp};

use super::words::{between, by, or_none, short};
use super::{FindingKind, Severity};
use crate::audit::bundle::BundleError;
use crate::b3::Hash;
use crate::delta::Seq;
use crate::evidence::EvidenceError;
use crate::labels::ClassId;
use crate::limits;
use crate::lists::ClosedList as _;
use crate::policy::Action;
use crate::transfer::{ChainError, RecallError, StatementError};

/// What was opened, and what it says was disclosed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DisclosureFault {
    /// A file that was given as openings.
    #[error(transparent)]
    Openings(BundleError),
    /// A sealed leaf that its centre did not open.
    #[error("this record is sealed, and its centre did not open it")]
    Unopened,
    /// Sealed leaves that no openings speak of.
    #[error("the openings of this log end before {sealed} of its sealed records: ask for the rest")]
    OpeningsEnd {
        /// How many.
        sealed: u64,
    },
    /// An opening that does not give the leaf's commitment.
    #[error("what was given as the opening of this record does not open it")]
    OpensOther,
    /// An opening of a leaf that seals nothing.
    #[error("an opening was given of this leaf, which is no sealed record")]
    OpensNothing,
    /// Openings of leaves beyond the newest checkpoint here.
    #[error("{openings} openings are of leaves beyond this copy of the log: copy it again")]
    OpensAhead {
        /// How many.
        openings: u64,
    },
    /// Two openings of one leaf.
    #[error("two openings were given of this record, and they differ")]
    OpenedTwice,
    /// What was opened is nothing that may stand there.
    #[error("what was opened is nothing that a record of this kind seals")]
    OpenedOther,
    /// A transfer statement does not hold.
    #[error(transparent)]
    Statement(StatementError),
    /// A recall or an acknowledgement does not hold.
    #[error(transparent)]
    Recall(RecallError),
    /// What a centre said of an entry, or what it ordered, does not hold: a hold of one person, or of more than 30 days.
    #[error(transparent)]
    Said(EvidenceError),
    /// What another centre said, sealed in this log.
    #[error("what {centre} said is sealed in the log of another centre")]
    SaidByOther {
        /// Who said it.
        centre: CentreId,
    },
    /// An object in the log of a centre that is no side of it.
    #[error("what leaf {index} seals is between {from} and {to}, and stands in the log of neither")]
    NotASide {
        /// Who gave.
        from: CentreId,
        /// Who took.
        to: CentreId,
        /// The leaf.
        index: u64,
    },
    /// A statement that one side logged and the other did not, although its openings were given.
    #[error("statement {}: {centre} did not log it, or did not open it", short(.statement))]
    OneSided {
        /// The statement.
        statement: Hash,
        /// The side that is silent.
        centre: CentreId,
        /// Whether it is the one that took: it logs first, so that without it nothing flowed by right. A giver that did not
        /// log may not have given.
        is_taker: bool,
    },
    /// A statement of a log that is not here.
    #[error("disclosed under the log {origin}, which is not here")]
    GivenOfUnknownLog {
        /// The log.
        origin: Origin,
    },
    /// A statement names a delta that the log does not have so.
    #[error("the statement names delta {seq} with a header that the log does not have")]
    GivenDelta {
        /// The delta.
        seq: Seq,
    },
    /// A statement counts other records than the class table.
    #[error("the statement gives {got} records of class {class} of delta {seq}, the header counts {}", expected.unwrap_or(0))]
    GivenCount {
        /// The delta.
        seq: Seq,
        /// The class.
        class: ClassId,
        /// What the table counts; none if it does not have the class.
        expected: Option<u64>,
        /// What the statement says.
        got: u64,
    },
    /// A class that no definition defines.
    #[error("class {class} was disclosed and is not defined")]
    GivenUndefined {
        /// The class.
        class: ClassId,
    },
    /// A statement that does not lead back to its origin, or farther than a class may go.
    #[error("statement {}: {error}", short(.statement))]
    StatementChain {
        /// The statement.
        statement: Hash,
        /// Why.
        error: ChainError,
    },
    /// A relay's statement whose parents nobody opened.
    #[error("statement {}: a statement that it rests on was not opened, so nothing shows how the relay came by it", short(.statement))]
    ParentUnopened {
        /// The statement.
        statement: Hash,
    },
    /// A statement whose time is not between what witnesses saw before and after it.
    #[error("the statement is dated {got}; {}", between(*.after, *.before))]
    StatementDate {
        /// Its time.
        got: Timestamp,
        /// When the log was witnessed without it, or what it gives was issued.
        after: Option<Timestamp>,
        /// When it was witnessed.
        before: Option<Timestamp>,
    },
    /// A side went by an older policy than it had to.
    #[error("statement {}: it names the policy of {centre} at {}, and the one at {} was known by then", short(.statement), or_none(*.got), or_none(*.expected))]
    OlderPolicy {
        /// The statement.
        statement: Hash,
        /// Whose policy.
        centre: CentreId,
        /// The newest that had to be known.
        expected: Option<u64>,
        /// What it names.
        got: Option<u64>,
    },
    /// A disclosure that a policy in force did not allow.
    #[error("statement {}: class {class} was disclosed, and {centre} did not allow to {}: policy at {}{}", short(.statement), action.name(), or_none(*.policy), by(.policies, *.errors))]
    NotAllowed {
        /// The statement.
        statement: Hash,
        /// The class.
        class: ClassId,
        /// Whose policy denies.
        centre: CentreId,
        /// What it denies.
        action: Action,
        /// Log index of the document that denies; none where none is in force.
        policy: Option<u64>,
        /// `@id` of the policies that forbid it; none if none permits it.
        policies: Vec<String>,
        /// Errors while deciding, each of which denies.
        errors: usize,
    },
    /// A disclosure that was allowed within the time by which two clocks may differ, and not at its own.
    #[error("statement {}: class {class}: {centre} allowed to {} within an hour of it, and not at its time", short(.statement), action.name())]
    BarelyAllowed {
        /// The statement.
        statement: Hash,
        /// The class.
        class: ClassId,
        /// Whose policy.
        centre: CentreId,
        /// What it allowed.
        action: Action,
    },
    /// More policy documents than an audit keeps.
    #[error(
        "{got} policy documents beyond the first {} were not used to judge disclosures",
        limits::POLICIES_AUDITED
    )]
    PoliciesLeftOut {
        /// How many.
        got: u64,
    },
    /// A recall that nobody acknowledged.
    #[error("{to} has not acknowledged this recall")]
    Unacknowledged {
        /// Who was to drop it.
        to: CentreId,
    },
    /// An acknowledgement of a recall that nobody opened.
    #[error("acknowledges a recall that was not opened")]
    RecallUnopened,
    /// An acknowledgement by another centre than the recall asks.
    #[error("acknowledges a recall that went to another centre")]
    AcknowledgedByOther,
}

impl From<DisclosureFault> for Box<FindingKind> {
    fn from(fault: DisclosureFault) -> Self {
        Self::new(fault.into())
    }
}

impl DisclosureFault {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "whatever is not listed as harmless fails"
    )]
    pub(super) fn severity(&self) -> Severity {
        match self {
            Self::OpeningsEnd { .. }
            | Self::OpensAhead { .. }
            | Self::ParentUnopened { .. }
            | Self::BarelyAllowed { .. }
            | Self::Unacknowledged { .. }
            | Self::RecallUnopened
            | Self::OneSided {
                is_taker: false, ..
            } => Severity::Warn,
            _ => Severity::Fail,
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Openings(_) => "openings",
            Self::Unopened => "unopened",
            Self::OpeningsEnd { .. } => "openings-end",
            Self::OpensOther => "opens-other",
            Self::OpensNothing => "opens-nothing",
            Self::OpensAhead { .. } => "opens-ahead",
            Self::OpenedTwice => "opened-twice",
            Self::OpenedOther => "opened-other",
            Self::Statement(_) => "statement",
            Self::Recall(_) => "recall",
            Self::Said(_) => "said",
            Self::SaidByOther { .. } => "said-by-other",
            Self::NotASide { .. } => "not-a-side",
            Self::OneSided { .. } => "one-sided",
            Self::GivenOfUnknownLog { .. } => "given-of-unknown-log",
            Self::GivenDelta { .. } => "given-delta",
            Self::GivenCount { .. } => "given-count",
            Self::GivenUndefined { .. } => "given-undefined",
            Self::StatementChain { .. } => "statement-chain",
            Self::ParentUnopened { .. } => "parent-unopened",
            Self::StatementDate { .. } => "statement-date",
            Self::OlderPolicy { .. } => "older-policy",
            Self::NotAllowed { .. } => "not-allowed",
            Self::BarelyAllowed { .. } => "barely-allowed",
            Self::PoliciesLeftOut { .. } => "policies-left-out",
            Self::Unacknowledged { .. } => "unacknowledged",
            Self::RecallUnopened => "recall-unopened",
            Self::AcknowledgedByOther => "acknowledged-by-other",
        }
    }
}
