//! What an audit finds: where, and what was expected. Why: a verdict that does not name the entry helps nobody.
//! In scope: the data and its words. Out of scope: how it is printed.

use hashpact_keys::chain::RosterError;
use hashpact_keys::{CentreId, Jurisdiction, KeyId, Origin, RosterVersion, Timestamp};

use super::bundle::BundleError;
use super::history::HistoryFault;
use super::place::Place;
use crate::b3::Hash;
use crate::delta::{BodyError, Seq};
use crate::labels::ClassId;
use crate::limits;
use crate::lists::ClosedList as _;
use crate::log::{CheckpointError, ForkError};
use crate::policy::{Action, PolicyDocumentError, PolicyFault};
use crate::transfer::{ChainError, RecallError, StatementError};
use crate::verify::LeafFault;

/// One thing that an audit found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The log; none if it is of a roster.
    pub log: Option<Origin>,
    /// Where.
    pub place: Place,
    /// What.
    pub what: FindingKind,
}

/// What a finding means for the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Something does not verify.
    Fail,
    /// Worth knowing; nothing is contradicted.
    Warn,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FindingKind {
    /// A roster is not the one that follows.
    #[error("{}", caused(.0))]
    Roster(RosterError),
    /// The newest roster has expired at the verifier's time: whoever knows a newer one keeps it back, or there is none.
    #[error("the newest roster expired at {expires_at}")]
    RosterExpired {
        /// When.
        expires_at: Timestamp,
    },
    /// The roster that the auditor holds is not the one of that version in the folder.
    #[error("this is not the roster of that version that was given")]
    RosterDiffers,
    /// The folder ends before the roster that the auditor holds.
    #[error("the roster that was given is missing here")]
    RosterMissing,

    /// A roster names the log, and it has no checkpoint.
    #[error("there is no checkpoint")]
    NoCheckpoint,
    /// A log of an older roster that is not in the folder.
    #[error("this log was closed by a later roster, and nothing of it is here: it is not verified")]
    ClosedLogMissing,
    /// A fork proof that holds lies beside the log.
    #[error("a fork proof lies beside this log: its origin is frozen; in common are {}", leaves(.common))]
    ForkProof {
        /// Leaves that both branches are shown to have in common; none if the proof knows no sizes.
        common: Option<u64>,
    },
    /// What lies beside the log as a fork proof is none.
    #[error("what lies beside this log as a fork proof is none: {0}")]
    NoForkProof(ForkError),
    /// A mirror kept a note that does not fit the log.
    #[error("a source showed a checkpoint of size {size} that this log does not continue")]
    Fork {
        /// Its size.
        size: u64,
    },
    /// A mirror was shown an older checkpoint than it held.
    #[error("a source showed an older checkpoint, of size {size}")]
    RolledBack {
        /// Its size.
        size: u64,
    },
    /// A folder that is no log of a roster.
    #[error("no roster names this log")]
    UnknownLog,

    /// A note that is no checkpoint of this log, or that no log key signed.
    #[error(transparent)]
    Note(CheckpointError),
    /// The key that signed a checkpoint had left the roster.
    #[error("signed by log key {key}, which is on roster {last} and on none that counts here")]
    LogKeyLeft {
        /// The key.
        key: KeyId,
        /// The last roster that lists it.
        last: RosterVersion,
    },
    /// The key that signed a checkpoint is revoked below its size.
    #[error("signed by log key {key}, which is revoked above log size {cut}")]
    LogKeyRevoked {
        /// The key.
        key: KeyId,
        /// The cut-off.
        cut: u64,
    },
    /// A checkpoint that does not grow the log.
    #[error("size {got} does not follow size {last}: a checkpoint that goes back")]
    Back {
        /// Size of the one before it.
        last: u64,
        /// Its size.
        got: u64,
    },
    /// A note above the newest checkpoint.
    #[error("size {got} lies above the newest checkpoint of size {checkpoint}")]
    Beyond {
        /// Size of the newest checkpoint.
        checkpoint: u64,
        /// Its size.
        got: u64,
    },
    /// The newest checkpoint is not in the history.
    #[error("the history ends at size {last}, the newest checkpoint has size {checkpoint}")]
    HistoryEnds {
        /// Size of the last note; 0 without one.
        last: u64,
        /// Size of the newest checkpoint.
        checkpoint: u64,
    },
    /// The history cannot be cut into notes.
    #[error(transparent)]
    History(HistoryFault),
    /// A checkpoint's root is not that of the leaves.
    #[error("the root over {size} leaves is {}, the checkpoint says {}", short(.got), short(.expected))]
    Root {
        /// Leaves.
        size: u64,
        /// What the checkpoint says.
        expected: Hash,
        /// What the leaves make.
        got: Hash,
    },
    /// Fewer cosignatures than make a checkpoint witnessed.
    #[error("{got} of {expected} witnesses cosigned it")]
    Quorum {
        /// How many must.
        expected: usize,
        /// How many did.
        got: usize,
    },
    /// A cosignature that does not verify.
    #[error("the cosignature of {holder} does not verify")]
    Cosignature {
        /// Whose key the line names.
        holder: String,
    },
    /// A cosignature by a key that was not valid at its time, or that is revoked below this size.
    #[error("{holder} cosigned at {at} with a key that does not count then and there")]
    CosignatureVoid {
        /// Whose key it is.
        holder: String,
        /// The time that the cosignature states.
        at: Timestamp,
    },
    /// A cosignature of somebody who had left the roster.
    #[error("cosigned by {holder}, whose key is on roster {last} and on none that counts here")]
    CosignerLeft {
        /// Whose key it was.
        holder: String,
        /// The last roster that lists it.
        last: RosterVersion,
    },
    /// A cosignature that its holder made when a roster had dropped its key. It counts as none. By itself it contradicts
    /// nothing: a witness may have cosigned before it heard of that roster.
    #[error(
        "{holder} cosigned at {at}, after roster {roster} of {issued_at} had dropped its key: it counts as missing"
    )]
    CosignedAfterLeaving {
        /// Whose key it was.
        holder: String,
        /// The time that the cosignature states.
        at: Timestamp,
        /// The first roster that does not list the key any more.
        roster: RosterVersion,
        /// When that roster was issued.
        issued_at: Timestamp,
    },
    /// The newest witnessed checkpoint is old: nobody says what the log is since.
    #[error(
        "witnessed at {witnessed_at}, more than {} s before {now}: later entries may be withheld here",
        limits::COSIGNATURE_FRESH_S
    )]
    Stale {
        /// The newest time that a whole quorum has reached.
        witnessed_at: Timestamp,
        /// The verifier's time.
        now: Timestamp,
    },
    /// A cosignature from the future.
    #[error("{holder} cosigned at {at}, more than a day after {now}")]
    CosignedAhead {
        /// Whose key it is.
        holder: String,
        /// The time that the cosignature states.
        at: Timestamp,
        /// The verifier's time.
        now: Timestamp,
    },
    /// A line of a key that no roster lists.
    #[error("signature line {line} is of key {}, which no roster lists for a cosigner of this log", hex(.key_id))]
    UnknownKey {
        /// Its place among the lines, from 0.
        line: usize,
        /// The key id of the note format.
        key_id: [u8; 4],
    },
    /// A second line of one key.
    #[error("signature line {line} is a second one of key {}", hex(.key_id))]
    RepeatedKey {
        /// Its place among the lines, from 0.
        line: usize,
        /// The key id of the note format.
        key_id: [u8; 4],
    },

    /// A file that the size of the log calls for.
    #[error("the file is missing, is no plain file, or cannot be read")]
    FileMissing,
    /// Files that the size of the log does not call for. Nothing is said about their content.
    #[error("the log of this size has no such file, nor {others} more like it")]
    Stray {
        /// How many there are besides.
        others: u64,
    },
    /// A tile of the wrong width: 32 bytes a hash.
    #[error("{got} bytes, a tile of this width has {expected}")]
    TileWidth {
        /// Bytes that it must have.
        expected: usize,
        /// Bytes that it has.
        got: usize,
    },
    /// A hash that is not that of what lies below it.
    #[error("hash {at} is not that of what lies below it")]
    TileHash {
        /// Its place in the tile, from 0.
        at: usize,
    },
    /// A bundle that is not made of as many whole leaves.
    #[error("not {expected} whole leaves")]
    Bundle {
        /// Leaves that it must hold.
        expected: u64,
    },
    /// Too many files in a row are missing.
    #[error("leaves {from} to {size} are not here: reading ends")]
    Unread {
        /// The first leaf that was not read.
        from: u64,
        /// The size of the log.
        size: u64,
    },

    /// A leaf's bytes are not those that the tree holds.
    #[error("the leaf is not the one that the tree commits to")]
    LeafHash,
    /// A rule that centres check as well.
    #[error("{0}")]
    Leaf(LeafFault),
    /// A header names a roster that is not in the chain.
    #[error("signed under roster {got}, the chain has 1 to {newest}")]
    RosterNotInChain {
        /// The newest of the chain.
        newest: RosterVersion,
        /// What the header names.
        got: RosterVersion,
    },
    /// A header names another roster than the log's own last one.
    #[error("signed under roster {got}, the log had logged roster {logged}")]
    RosterNotLogged {
        /// The version that the log logged last; 0 for none.
        logged: RosterVersion,
        /// What the header names.
        got: RosterVersion,
    },
    /// The roster that an entry is judged under does not name its centre.
    #[error("roster {version} does not name this log")]
    NotOnRoster {
        /// The version.
        version: RosterVersion,
    },
    /// A roster entry out of order.
    #[error("logs roster {got}, expected {expected}")]
    RosterOrder {
        /// The version that comes next.
        expected: RosterVersion,
        /// The version that it logs.
        got: RosterVersion,
    },
    /// A roster entry with the hash of another roster.
    #[error("logs a roster {version} that is not the one of the chain")]
    RosterHash {
        /// The version.
        version: RosterVersion,
    },
    /// A header names as its policy what is no policy.
    #[error("names leaf {got} as its policy, which is none")]
    NotPolicy {
        /// The leaf that it names.
        got: u64,
    },
    /// A policy document that is not one of this centre under two of its policy keys.
    #[error("{}", caused(.0))]
    Policy(PolicyDocumentError),
    /// A policy document that does not come next.
    #[error("policy document {got}, expected {expected}")]
    PolicyVersion {
        /// The version that comes next.
        expected: u64,
        /// Its version.
        got: u64,
    },
    /// A policy document that cannot be read: it denies everything.
    #[error("the policy document denies everything, it has {} faults: {first}", more + 1)]
    PolicyFault {
        /// The first of its faults.
        first: PolicyFault,
        /// How many there are besides.
        more: usize,
    },
    /// A policy document for another law than its centre's.
    #[error(
        "the policy document is written for the law of {got}, its centre is under that of {expected}: it denies everything"
    )]
    PolicyLaw {
        /// The centre's.
        expected: Jurisdiction,
        /// The document's.
        got: Jurisdiction,
    },
    /// A policy document that counsel did not sign off, on a network that is no demonstration.
    #[error(
        "counsel has not signed this policy document off, and the network is no demonstration: it denies everything"
    )]
    PolicyNotSignedOff,
    /// A header names another policy than the one in force.
    #[error("released under the policy at {}, in force was the one at {}", or_none(*.got), or_none(*.expected))]
    PolicyNotInForce {
        /// The newest policy before it.
        expected: Option<u64>,
        /// What it names.
        got: Option<u64>,
    },
    /// The first leaf of a log whose centre had an earlier line does not say that it takes that one's place.
    #[error("begins without taking the place of {origin}, an earlier log of its centre")]
    NotResumed {
        /// The newest of the earlier lines.
        origin: Origin,
    },
    /// A log says that it takes the place of one that no earlier roster names.
    #[error("takes the place of {origin}, which no earlier roster names")]
    ResumesUnlisted {
        /// The line that it names.
        origin: Origin,
    },
    /// A log takes the place of one beside which there is no fork proof.
    #[error("takes the place of {origin}, beside which there is no fork proof")]
    ResumedWithoutFork {
        /// The line that it names.
        origin: Origin,
    },
    /// A log takes the place of one whose fork proof does not hold.
    #[error("takes the place of {origin}, whose fork proof does not hold: {error}")]
    ResumedNoFork {
        /// The line that it names.
        origin: Origin,
        /// Why not.
        error: ForkError,
    },
    /// A log goes on from leaves that only one branch of the old one has.
    #[error(
        "goes on from {size} leaves of the log before it, whose branches have {common} in common"
    )]
    ResumedBeyond {
        /// Leaves that it goes on from.
        size: u64,
        /// Leaves that the branches have in common at most.
        common: u64,
    },
    /// A log goes on from more leaves than the fork proof here shows to be common; it does not show where the branches part.
    #[error(
        "goes on from {size} leaves of the log before it, of which the fork proof here shows {common} to be common"
    )]
    ResumedNotShown {
        /// Leaves that it goes on from.
        size: u64,
        /// Leaves that the fork proof shows to be common.
        common: u64,
    },
    /// A log says another root of the old one than that has.
    #[error(
        "the log before it has the root {} at size {size}, the leaf says {}",
        short(.got),
        short(.expected)
    )]
    ResumedRoot {
        /// Leaves that it goes on from.
        size: u64,
        /// What the leaf says.
        expected: Hash,
        /// What the old log has.
        got: Hash,
    },
    /// The old log is here, and not up to where the new one goes on from.
    #[error(
        "goes on from {size} leaves of {origin}; of its {held} leaves here the root at that size cannot be computed"
    )]
    ResumedUnread {
        /// The line that it names.
        origin: Origin,
        /// Leaves that it goes on from.
        size: u64,
        /// Leaves under the old log's checkpoint here; 0 without one.
        held: u64,
    },
    /// A log names another fork proof than the one beside the old log. Several may hold.
    #[error("names another fork proof than the one beside {origin}")]
    ResumedOtherProof {
        /// The line that it names.
        origin: Origin,
    },
    /// A delta's body.
    #[error(transparent)]
    Body(BodyError),

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

impl FindingKind {
    /// What it means for the verdict.
    #[must_use]
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "whatever is not listed as harmless fails"
    )]
    pub fn severity(&self) -> Severity {
        match self {
            Self::RolledBack { .. }
            | Self::Stray { .. }
            | Self::ClosedLogMissing
            | Self::Stale { .. }
            | Self::CosignedAfterLeaving { .. }
            | Self::ResumedNotShown { .. }
            | Self::ResumedOtherProof { .. }
            | Self::OpeningsEnd { .. }
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

    /// Whether it is what a refused note was kept for.
    pub(super) fn is_of_evidence(&self) -> bool {
        matches!(self, Self::Fork { .. } | Self::RolledBack { .. })
    }

    /// Its name, stable for programs.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "one line for each kind")]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Roster(_) => "roster",
            Self::RosterExpired { .. } => "roster-expired",
            Self::RosterDiffers => "roster-differs",
            Self::RosterMissing => "roster-missing",
            Self::NoCheckpoint => "no-checkpoint",
            Self::ClosedLogMissing => "closed-log-missing",
            Self::ForkProof { .. } => "fork-proof",
            Self::NoForkProof(_) => "no-fork-proof",
            Self::Fork { .. } => "fork",
            Self::RolledBack { .. } => "rolled-back",
            Self::UnknownLog => "unknown-log",
            Self::Note(_) => "note",
            Self::LogKeyLeft { .. } => "log-key-left",
            Self::LogKeyRevoked { .. } => "log-key-revoked",
            Self::Back { .. } => "back",
            Self::Beyond { .. } => "beyond",
            Self::HistoryEnds { .. } => "history-ends",
            Self::History(_) => "history",
            Self::Root { .. } => "root",
            Self::Quorum { .. } => "quorum",
            Self::Cosignature { .. } => "cosignature",
            Self::CosignatureVoid { .. } => "cosignature-void",
            Self::CosignerLeft { .. } => "cosigner-left",
            Self::CosignedAfterLeaving { .. } => "cosigned-after-leaving",
            Self::Stale { .. } => "stale",
            Self::CosignedAhead { .. } => "cosigned-ahead",
            Self::UnknownKey { .. } => "unknown-key",
            Self::RepeatedKey { .. } => "repeated-key",
            Self::FileMissing => "file-missing",
            Self::Stray { .. } => "stray",
            Self::TileWidth { .. } => "tile-width",
            Self::TileHash { .. } => "tile-hash",
            Self::Bundle { .. } => "bundle",
            Self::Unread { .. } => "unread",
            Self::LeafHash => "leaf-hash",
            Self::Leaf(_) => "leaf",
            Self::RosterNotInChain { .. } => "roster-not-in-chain",
            Self::RosterNotLogged { .. } => "roster-not-logged",
            Self::NotOnRoster { .. } => "not-on-roster",
            Self::RosterOrder { .. } => "roster-order",
            Self::RosterHash { .. } => "roster-hash",
            Self::NotPolicy { .. } => "not-policy",
            Self::Policy(_) => "policy",
            Self::PolicyVersion { .. } => "policy-version",
            Self::PolicyFault { .. } => "policy-fault",
            Self::PolicyLaw { .. } => "policy-law",
            Self::PolicyNotSignedOff => "policy-not-signed-off",
            Self::PolicyNotInForce { .. } => "policy-not-in-force",
            Self::NotResumed { .. } => "not-resumed",
            Self::ResumesUnlisted { .. } => "resumes-unlisted",
            Self::ResumedWithoutFork { .. } => "resumed-without-fork",
            Self::ResumedNoFork { .. } => "resumed-no-fork",
            Self::ResumedBeyond { .. } => "resumed-beyond",
            Self::ResumedNotShown { .. } => "resumed-not-shown",
            Self::ResumedRoot { .. } => "resumed-root",
            Self::ResumedUnread { .. } => "resumed-unread",
            Self::ResumedOtherProof { .. } => "resumed-other-proof",
            Self::Body(_) => "body",
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

/// An error with what caused it, which its own words leave out.
fn caused(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn short(hash: &Hash) -> String {
    hex(&hash[..8])
}

fn leaves(common: &Option<u64>) -> String {
    common.map_or_else(
        || "an unknown number of leaves".to_owned(),
        |common| format!("{common} leaves"),
    )
}

fn between(after: Option<Timestamp>, before: Option<Timestamp>) -> String {
    let after = after.map(|at| format!("its log stood without it at {at}"));
    let before = before.map(|at| format!("it was witnessed at {at}"));
    let all: Vec<_> = after.into_iter().chain(before).collect();
    all.join(", ")
}

/// Who forbids, and what went wrong.
fn by(policies: &[String], errors: usize) -> String {
    let mut text = match policies {
        [] => ", which permits it nowhere".to_owned(),
        ids => format!(", {}", ids.join(", ")),
    };
    if errors > 0 {
        text.push_str(&format!(", {errors} errors"));
    }
    text
}

fn or_none(index: Option<u64>) -> String {
    index.map_or_else(|| "none".to_owned(), |index| format!("leaf {index}"))
}
