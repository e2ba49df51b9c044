//! What happens to a centre, what it answers, and what people should know: the whole vocabulary of the core.

use hashpact_keys::{CentreId, Origin, Timestamp};

use super::{
    CommandError, MatchGrant, MatchGroups, MatchRefusal, MatchRequest, Member, RecallFault,
    TermsError,
};
use crate::Hash;
use crate::delta::{BodyError, Draft, Expected, Retraction, Seq};
use crate::evidence::{self, EvidenceError};
use crate::labels::{ClassId, Labels};
use crate::log::{CheckpointError, ForkError, SignedCheckpoint};
use crate::policy::{Asker, Closed, MatchMode, VerifiedBody};
use crate::psi::{Epoch, SessionRecord};
use crate::record::{EntryId, Revision};
use crate::verify::SuffixError;
use crate::view::Batch;
use crate::wire::{BulkRequest, Frame, Message, WireError};

/// Number of a job, unique within a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct JobId(pub u64);

/// Number of a command, given by whoever asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CommandId(pub u64);

/// What happens to a centre.
pub enum Input {
    /// A connection to a centre of the roster opened.
    PeerUp(CentreId),
    /// The last connection to it closed.
    PeerDown(CentreId),
    /// What was sent to it was lost, and it is still connected.
    Undelivered(CentreId),
    /// It sent a control message.
    Received(CentreId, Frame),
    /// The operator asks for something.
    Command(CommandId, Command),
    /// A job ended.
    JobDone(JobId, JobResult),
    /// The time asked for came.
    Wake,
}

/// What an operator may ask.
pub enum Command {
    /// Give these label tuples class numbers, logging definitions for the new ones.
    Define(Vec<Labels>),
    /// Sign a draft and log it.
    Append(Draft),
    /// Retract entries.
    Retract(Vec<Retraction>),
    /// Begin a log: every roster from the pinned first one to the one in force, as signed bytes.
    Begin(Vec<Vec<u8>>),
    /// Go on with a log that this centre began and lost with its disk: every roster as for [`Command::Begin`]. Nothing is
    /// logged, the log is fetched back from whoever holds it, and the witness and mirror keys are retired.
    Regain(Vec<Vec<u8>>),
    /// Take the next roster.
    ApplyRoster(Vec<u8>),
    /// Log a signed policy document: what it narrows counts at once.
    Policy {
        /// The COSE_Sign bytes.
        document: Vec<u8>,
    },
    /// Enter a member into this centre's register.
    AdmitMember(Member),
    /// Take a member out of it: it opens nothing from now on, and a new match epoch is asked for.
    RemoveMember(String),
    /// Number the match groups as policy has them now, for ever.
    MatchGroups,
    /// Log a signed match manifest, of groups that were numbered.
    MatchEpoch {
        /// The COSE_Sign1 bytes.
        manifest: Vec<u8>,
    },
    /// Open a match session, or go on with one: it is charged before it is answered.
    MatchOpen(MatchRequest),
    /// Log a record of a match session that ended: answered here, or asked of another centre.
    MatchClose(SessionRecord),
    /// Sign objects beside deltas, log them sealed and send them to whom they concern: from 1 to
    /// [`DRAFTS_AT_ONCE`](crate::limits::DRAFTS_AT_ONCE), all or none.
    Issue(Vec<evidence::Draft>),
    /// Log an order of two people, and send it to whom it concerns.
    Order {
        /// The COSE_Sign bytes.
        signed: Vec<u8>,
    },
}

/// How a command ended well.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The class numbers, in the order asked.
    Classes(Vec<ClassId>),
    /// The delta is durable under this number.
    Appended(Seq),
    /// The roster is in force.
    RosterApplied,
    /// The policy document is logged.
    PolicyLogged {
        /// Its version.
        version: u64,
        /// The index of its leaf.
        index: u64,
    },
    /// The register of members is as it was asked for.
    MembersChanged,
    /// The match groups, each with its number.
    MatchGroups(MatchGroups),
    /// The match manifest is logged.
    MatchEpochLogged {
        /// The index of its leaf.
        index: u64,
    },
    /// The match session is open, and charged.
    MatchOpened(MatchGrant),
    /// The objects are logged, and on their way; or they were before.
    Issued {
        /// What each is known by, in the order asked.
        hashes: Vec<Hash>,
    },
    /// The record of the match session is logged.
    MatchClosed {
        /// The index of its leaf; none if it was logged before.
        index: Option<u64>,
        /// The record as it is logged.
        record: Vec<u8>,
    },
}

/// Heavy work for the node.
#[derive(Debug)]
pub enum Job {
    /// Fetch the next piece of a log from a peer.
    FetchSuffix {
        /// From whom.
        peer: CentreId,
        /// What to ask.
        request: BulkRequest,
    },
    /// Fetch a body from its origin and verify it.
    FetchBody {
        /// From whom.
        peer: CentreId,
        /// What to ask.
        request: BulkRequest,
        /// What to verify it against.
        expected: Expected,
    },
    /// Fetch the root of a log at a size from a peer, with its proof: where two branches part.
    CompareRoots {
        /// From whom.
        peer: CentreId,
        /// What to ask.
        request: BulkRequest,
    },
    /// Have our newest checkpoint cosigned by a witness that is asked over HTTP (C2SP tlog-witness).
    Submit {
        /// The witness's name on the roster.
        witness: String,
        /// The checkpoint; its log is our own.
        head: SignedCheckpoint,
    },
    /// Look up the entries of other centres that are alive here and share a cryptographic fingerprint with an entry that
    /// was retracted as an error, at most [`SHARERS`](crate::limits::SHARERS). None where the entry, up to this revision,
    /// is not retracted here or not held.
    FlagSharers {
        /// The log of the error.
        origin: Origin,
        /// The entry.
        entry: EntryId,
        /// The revision up to which it ended.
        revision: Revision,
    },
    /// Fetch a delta's retractions alone and verify them.
    FetchRetractions {
        /// From whom.
        peer: CentreId,
        /// What to ask.
        request: BulkRequest,
        /// What to verify them against.
        expected: Expected,
    },
}

/// How a job ended.
#[derive(Debug)]
pub enum JobResult {
    /// Bytes of a piece of a log, not checked.
    Suffix(Vec<u8>),
    /// A body that its origin's signature covers.
    Body(VerifiedBody),
    /// Retractions that their origin's signature covers.
    Retractions(Vec<Retraction>),
    /// Bytes of a root proof, not checked.
    Roots(Vec<u8>),
    /// What the witness answered under the checkpoint's text, and nothing beside it, not checked.
    Cosigned(Vec<u8>),
    /// The witness says that it cosigned a larger log than ours, and shows this note of it, not checked.
    Ahead(Vec<u8>),
    /// Entries that share a fingerprint with an error, with their live revisions.
    Sharers(Vec<(Origin, EntryId, Revision)>),
    /// The transfer failed; nothing is said of the peer's honesty.
    Failed,
    /// The bytes are not what the origin signed.
    Bad(BodyError),
}

/// What the node does after a step, in order.
#[derive(Debug)]
pub enum Output {
    /// Make durable, whole, before anything behind it.
    Commit(Batch),
    /// Send a control message.
    Send(CentreId, Message),
    /// Start a job.
    Spawn(JobId, Job),
    /// Tell whoever watches.
    Emit(Event),
    /// Come back with [`Input::Wake`] at this time.
    WakeAt(Timestamp),
    /// Close the connection.
    Drop(CentreId, Reason),
    /// Answer a command.
    Reply(CommandId, Result<Outcome, CommandError>),
    /// The roster changed: open and close connections.
    RosterChanged,
    /// The register of members changed: admit and close their connections.
    MembersChanged,
    /// Something else is known of entries: whoever keeps facts of them asks again. After a start, of all of them.
    EvidenceChanged(evidence::Changed),
}

/// Something that people should know. Nothing here holds a fingerprint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A mirrored log grew.
    LogGrew {
        /// The log.
        origin: Origin,
        /// Leaves.
        size: u64,
        /// Leaves of the checkpoint that it is going for.
        head: u64,
    },
    /// A delta's body is stored and acts.
    DeltaApplied {
        /// The log.
        origin: Origin,
        /// The delta.
        seq: Seq,
        /// Records disclosed.
        records: u64,
        /// Records withheld.
        withheld: u64,
        /// Retractions.
        retractions: u64,
    },
    /// Retractions act although their delta's records may not be opened.
    RetractionsApplied {
        /// The log.
        origin: Origin,
        /// The delta.
        seq: Seq,
        /// How many.
        retractions: u64,
    },
    /// A centre showed a smaller log of its own than before.
    Rollback {
        /// The log.
        origin: Origin,
        /// Leaves that it showed before.
        held: u64,
        /// Leaves that it shows.
        shown: u64,
    },
    /// Two checkpoints of one log do not continue each other.
    Fork {
        /// The log.
        origin: Origin,
        /// Leaves of the smaller.
        size: u64,
        /// Who showed the other one.
        shown_by: CentreId,
    },
    /// A log was shown to be forked: beyond this size nothing of it acts but retractions.
    Frozen {
        /// The log.
        origin: Origin,
        /// Leaves that both branches share.
        size: u64,
    },
    /// A quorum of witnesses cosigned a log up to here: what it puts may act.
    Witnessed {
        /// The log.
        origin: Origin,
        /// Leaves.
        size: u64,
    },
    /// Our disk was an old copy: with the witness and mirror keys that we have nothing is cosigned any more.
    KeysRetired,
    /// We hold as much of our own log as anybody has seen: signing goes on.
    OwnLogRegained {
        /// Leaves.
        size: u64,
    },
    /// Peers have seen more of our own log than we hold: signing has stopped.
    OwnLogBehind {
        /// Leaves held.
        held: u64,
        /// Leaves seen.
        seen: u64,
    },
    /// A centre committed to a leaf that is not acceptable; its log is mirrored no further.
    LeafRefused {
        /// The log.
        origin: Origin,
        /// Why.
        error: SuffixError,
    },
    /// A piece of a log does not continue what is held.
    SuffixRefused {
        /// The log.
        origin: Origin,
        /// Who sent it.
        from: CentreId,
        /// Why.
        error: SuffixError,
    },
    /// A body is not what its origin signed.
    BodyRefused {
        /// The log.
        origin: Origin,
        /// The delta.
        seq: Seq,
        /// Who sent it.
        from: CentreId,
        /// Why.
        error: BodyError,
    },
    /// A transfer statement under both signatures is logged here, as giver or as taker.
    TransferLogged {
        /// The log.
        origin: Origin,
        /// Who gives.
        from: CentreId,
        /// Who takes.
        to: CentreId,
        /// Deltas in it.
        deltas: u64,
        /// Records in it.
        records: u64,
    },
    /// Classes of a delta that was applied without them are stored now.
    DeltaWidened {
        /// The log.
        origin: Origin,
        /// The delta.
        seq: Seq,
        /// Records that are here now.
        records: u64,
        /// Records that are not.
        withheld: u64,
    },
    /// What a giver offered or sent is refused; nothing of it is stored.
    TransferRefused {
        /// The log.
        origin: Origin,
        /// The giver.
        from: CentreId,
        /// Why.
        error: TermsError,
    },
    /// A log's origin does not give what the policies of all sides allow, by our own reading of them; or a giver signed that
    /// it gives it, and did not.
    SurplusWithheld {
        /// The log.
        origin: Origin,
        /// The class.
        class: ClassId,
        /// Records.
        count: u64,
        /// The giver.
        from: CentreId,
    },
    /// Classes that were given are asked back.
    Recalled {
        /// The log that they are of.
        origin: Origin,
        /// Of whom.
        to: CentreId,
        /// How many classes.
        classes: u64,
    },
    /// What was asked back is gone there, as its holder says.
    RecallAcknowledged {
        /// The log.
        origin: Origin,
        /// Who says it.
        by: CentreId,
        /// How many classes.
        classes: u64,
    },
    /// Classes that a giver asked back are destroyed here.
    RecallObeyed {
        /// The log.
        origin: Origin,
        /// Who asked them back.
        from: CentreId,
        /// Records that are gone.
        records: u64,
        /// Records that stay, as another gave them too and may.
        kept: u64,
    },
    /// A recall or an acknowledgement is refused; nothing comes of it.
    RecallRefused {
        /// Who sent it.
        from: CentreId,
        /// Why.
        error: RecallFault,
    },
    /// Bodies wait because nothing may be opened.
    Closed {
        /// Why.
        why: Closed,
    },
    /// Nothing keeps bodies waiting any more, after something did.
    Opened,
    /// A log holds a new policy document: what it narrows counts from now on.
    PolicyLogged {
        /// The log.
        origin: Origin,
        /// The index of its leaf.
        index: u64,
        /// Whether it could be read; one that could not denies everything.
        readable: bool,
    },
    /// A roster came into force.
    RosterApplied {
        /// Its version.
        version: u64,
    },
    /// A member was entered into the register.
    MemberAdmitted {
        /// Its name.
        id: String,
    },
    /// A member was taken out of it.
    MemberRemoved {
        /// Its name.
        id: String,
    },
    /// A match manifest is in our log.
    MatchEpochLogged {
        /// Its number.
        number: u64,
        /// Its epoch.
        epoch: Epoch,
        /// Its groups.
        groups: u64,
    },
    /// Policy divides the classes into more sets than can be matched: these are left out.
    MatchGroupsLeftOut {
        /// How many.
        sets: u64,
    },
    /// A match session was opened here, and charged.
    MatchOpened {
        /// For whom.
        by: Asker,
        /// What it learns.
        mode: MatchMode,
        /// Items of it.
        items: u64,
        /// Items of this type charged on this day.
        used: u64,
        /// Items of a day.
        per_day: u64,
    },
    /// A match session was refused; told once for each principal, reason and day.
    MatchRefused {
        /// To whom.
        by: Asker,
        /// Why.
        why: MatchRefusal,
    },
    /// An object beside deltas is kept here: made here, or heard of.
    EvidenceTaken {
        /// What it is.
        kind: evidence::Kind,
        /// Who made it.
        by: CentreId,
        /// What it is known by.
        hash: Hash,
        /// The log and the entry that it is about, if it is one.
        about: Option<(Origin, EntryId)>,
    },
    /// An object is refused; nothing comes of it.
    EvidenceRefused {
        /// Who sent it.
        from: CentreId,
        /// Why.
        error: EvidenceError,
    },
    /// A hold has lapsed, or an opt-in.
    OrderEnded {
        /// Which.
        kind: evidence::Kind,
        /// Who ordered it.
        by: CentreId,
        /// What it is known by.
        hash: Hash,
    },
    /// Entries of others are flagged here: they share a fingerprint with an error.
    SharersFlagged {
        /// The log of the error.
        origin: Origin,
        /// Its entry.
        entry: EntryId,
        /// How many were flagged.
        flagged: u64,
    },
    /// A centre has applied retractions of ours that it had not before.
    RetractionsAcknowledged {
        /// Who.
        by: CentreId,
        /// It has applied those below this delta.
        below: Seq,
    },
}

/// Why a connection is closed: the peer's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// A frame that is no message.
    #[error("malformed message: {0}")]
    Malformed(WireError),
    /// A checkpoint that does not verify.
    #[error("bad checkpoint: {0}")]
    Checkpoint(CheckpointError),
    /// A smaller log of its own.
    #[error("rolled its own log back from {held} to {shown} leaves")]
    Rollback {
        /// Leaves that it showed before.
        held: u64,
        /// Leaves that it shows.
        shown: u64,
    },
    /// Its own log has two faces, and it does not stand by the one that it showed.
    #[error("showed a log that does not continue the one held, and does not say where they part")]
    Fork,
    /// A fork proof that proves none.
    #[error("bad fork proof: {0}")]
    ForkProof(ForkError),
    /// A piece of a log that does not verify.
    #[error("bad suffix: {0}")]
    Suffix(SuffixError),
    /// A body that its signature does not cover.
    #[error("bad body: {0}")]
    Body(BodyError),
    /// An object beside deltas that no honest centre passes on.
    #[error("bad object: {0}")]
    Evidence(EvidenceError),
    /// It offers or gives what it may not.
    #[error("bad transfer: {0}")]
    Transfer(TermsError),
}
