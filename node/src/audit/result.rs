//! What an audit found, as it is written with `--json` and as reports read it.
//!
//! Why: the verdict has one shape for every reader. Hashes and ids are lower-case hexadecimal, times whole Unix seconds,
//! months `YYYY-MM`. In scope: the data. Out of scope: how it comes about (`verify`), how it is shown.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::daemon::{LaggingStatus, OwingStatus};

/// The result of one `audit verify`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditResult {
    /// The network id that was pinned.
    pub network: String,
    /// The verifier's time: its clock, or what it was told with `--at`.
    pub verified_at: u64,
    /// Whether nothing failed: no finding of severity `fail`.
    pub holds: bool,
    /// The rosters of the chain that verify, oldest first.
    pub rosters: Vec<RosterResult>,
    /// The logs that a roster names, by origin.
    pub logs: Vec<LogResult>,
    /// Who gave which classes to whom, as far as the auditor was given openings; none if it was given no openings.
    #[serde(default)]
    pub disclosures: Option<DisclosuresResult>,
    /// What each centre said of entries, in sums, as far as openings were given.
    #[serde(default)]
    pub voices: Vec<VoicesResult>,
    /// Who has not applied or acknowledged retractions, as centres say.
    #[serde(default)]
    pub delivery: Vec<DeliveryResult>,
    /// What was found, by log and place; at most [`super::verify::FINDINGS_PER_LOG`] of one log.
    pub findings: Vec<FindingLine>,
    /// Findings beyond that number.
    pub findings_left_out: u64,
}

/// Numbers of holds below this are not told: a small one would say that there is one.
pub const SMALL_CELL: u64 = 5;

/// What one centre said of entries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoicesResult {
    /// The log that seals it.
    pub origin: String,
    /// The centre.
    pub centre: String,
    /// Attestations.
    pub attestations: u64,
    /// Disputes that it raised, by reason.
    pub disputes: BTreeMap<String, u64>,
    /// Those of them that it took back.
    pub disputes_withdrawn: u64,
    /// Those of them that their origin answered.
    pub disputes_answered: u64,
    /// Votes of its members that entries are what they say.
    pub feedback_affirmative: u64,
    /// Votes of its members that they are not.
    pub feedback_negative: u64,
    /// Votes that the origin answered.
    pub feedback_answered: u64,
    /// Answers by which it accepted what it was told.
    pub accepted: u64,
    /// Answers by which it declined it.
    pub declined: u64,
    /// Reasons of retractions that it gave.
    pub reasons: BTreeMap<String, u64>,
    /// Holds; none below [`SMALL_CELL`].
    pub holds: Option<u64>,
    /// Holds that were ended before their time; none below [`SMALL_CELL`].
    pub lifts: Option<u64>,
    /// Logs, or classes of them, that it takes on their origin's assessment.
    pub opt_ins: u64,
    /// Days on which it released more than its cap.
    pub surges: u64,
}

/// Who has not applied a centre's retractions, as that centre says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeliveryResult {
    /// The network id.
    pub network: String,
    /// The centre.
    pub centre: String,
    /// When it said so.
    pub at: u64,
    /// Centres.
    pub lagging: Vec<LaggingStatus>,
    /// Its members.
    pub members: Vec<OwingStatus>,
}

/// One roster of the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RosterResult {
    /// From 1.
    pub version: u64,
    /// SHA-256 of its payload.
    pub hash: String,
    /// When it was made.
    pub issued_at: u64,
    /// The first second in which it is expired.
    pub expires_at: u64,
    /// Whether its network only demonstrates.
    pub demo: bool,
    /// Ids of the centres.
    pub centres: Vec<String>,
    /// Names of the auditors.
    pub auditors: Vec<String>,
    /// Names of the further witnesses.
    pub witnesses: Vec<String>,
}

/// One log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogResult {
    /// The origin line.
    pub origin: String,
    /// The centre's id.
    pub centre: String,
    /// The centre's jurisdiction.
    pub jurisdiction: String,
    /// Findings of severity `fail` in it; 0 if it holds.
    pub failures: u64,
    /// Leaves under the newest checkpoint; 0 without one.
    pub size: u64,
    /// Root of the newest checkpoint.
    pub root: Option<String>,
    /// Deltas that were read.
    pub deltas: u64,
    /// Records that the origin signed for, over all deltas.
    pub records: u64,
    /// Retractions that the origin signed for.
    pub retractions: u64,
    /// Classes defined.
    pub classes: u64,
    /// The roster version that the log logged last.
    pub roster_version: Option<u64>,
    /// Counts by the month in which headers were issued, oldest first.
    pub months: Vec<MonthResult>,
    /// When the first header was issued.
    pub first_delta_at: Option<u64>,
    /// When the last header was issued.
    pub last_delta_at: Option<u64>,
    /// Witnessed notes in the history.
    pub notes: u64,
    /// The newest of them, oldest first; at most [`super::verify::NOTES_PER_LOG`].
    pub newest_notes: Vec<NoteResult>,
    /// How each witness did over the whole history, by name.
    pub witnesses: Vec<WitnessResult>,
    /// The newest checkpoint.
    pub checkpoint: Option<NoteResult>,
    /// Mirrors' receipts on the newest checkpoint.
    pub mirrors: Vec<CosignedResult>,
    /// Mirrors that gave none on it.
    pub mirrors_missing: Vec<String>,
    /// Whether a fork proof lies beside the log: its origin is then frozen.
    pub fork: bool,
    /// Bodies, if they were to be verified.
    pub bodies: Option<BodiesResult>,
    /// Its policy documents, in order; the newest [`super::verify::POLICIES_PER_LOG`] of them.
    #[serde(default)]
    pub policies: Vec<PolicyResult>,
    /// Its sealed records.
    #[serde(default)]
    pub sealed: SealedResult,
}

/// One policy document in a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyResult {
    /// Its leaf.
    pub leaf: u64,
    /// From 1; none if it cannot be read.
    pub version: Option<u64>,
    /// When it was issued.
    pub issued_at: u64,
    /// The profile's name and law; none if it does not hold, and then it denies everything.
    pub profile: Option<ProfileResult>,
}

/// What a policy document says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileResult {
    /// Its name.
    pub name: String,
    /// The law that it is written for.
    pub jurisdiction: String,
    /// Policies in it.
    pub policies: u64,
    /// Legal bases with dates in it.
    pub grants: u64,
    /// Whether counsel signed it off.
    pub signed_off: bool,
}

/// Records of a log that say nothing to whom they were not opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedResult {
    /// Disclosure records.
    pub disclosures: u64,
    /// Commitments of other objects: recalls and acknowledgements, what is said of entries, orders.
    pub commitments: u64,
    /// Match session records.
    #[serde(default)]
    pub sessions: u64,
    /// Orders of two people among what was opened: holds, lifts, opt-ins, surges. Not for publication.
    #[serde(default)]
    pub orders: u64,
    /// Opened.
    pub opened: u64,
    /// Not opened, although the auditor was given openings of this piece of the log.
    pub unopened: u64,
    /// Beyond the openings that were given; all of them where none were given is 0.
    pub beyond: u64,
}

/// Disclosures that were opened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisclosuresResult {
    /// Transfer statements that were judged.
    pub statements: u64,
    /// Questions that were written for the `cedar` command line, if they were to be.
    #[serde(default)]
    pub questions: Option<u64>,
    /// By log, giver, taker, class and purpose; at most [`super::verify::GIFTS`].
    pub given: Vec<GivenResult>,
    /// Rows beyond that number.
    pub left_out: u64,
}

/// What one centre gave another of one class for one purpose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenResult {
    /// The log that the entries are of.
    pub origin: String,
    /// Who gave.
    pub from: String,
    /// Who took.
    pub to: String,
    /// The class.
    pub class: u64,
    /// Its labels in short, as its origin defined them; none if it is not defined.
    pub labels: Option<LabelsResult>,
    /// What for.
    pub purpose: String,
    /// Statements.
    pub statements: u64,
    /// Deltas in them.
    pub deltas: u64,
    /// Records, as their origin counted them.
    pub records: u64,
    /// The most transfers before one of these: 0 from the origin.
    pub hops: u64,
    /// Time of the first statement.
    pub first: u64,
    /// Time of the last statement.
    pub last: u64,
    /// Statements of which something failed.
    pub failed: u64,
}

/// What a reader wants to know of a class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelsResult {
    /// `suspected` or `assessed`, and so on.
    pub state: String,
    /// What it could be of.
    pub content: Vec<String>,
    /// On what basis it is held.
    pub legal_basis: String,
    /// How far it may go on.
    pub hops: u64,
}

/// What was issued in one month.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonthResult {
    /// `YYYY-MM`, UTC.
    pub month: String,
    /// Deltas.
    pub deltas: u64,
    /// Records.
    pub records: u64,
    /// Retractions.
    pub retractions: u64,
}

/// One checkpoint and who cosigned it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoteResult {
    /// Leaves.
    pub size: u64,
    /// The roster version under which it was judged.
    pub roster_version: u64,
    /// When the newest header below the size was issued; none if there is none.
    pub issued_at: Option<u64>,
    /// Whether as many witnesses cosigned as must.
    pub witnessed: bool,
    /// The newest time that a whole quorum has reached.
    pub witnessed_at: Option<u64>,
    /// How many must.
    pub quorum: u64,
    /// Who cosigned, and when; by name.
    pub cosigned: Vec<CosignedResult>,
    /// Witnesses that did not; by name.
    pub missing: Vec<String>,
}

/// One cosignature or receipt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CosignedResult {
    /// A centre's id, or the name of an auditor or witness.
    pub holder: String,
    /// The time that the cosignature states.
    pub at: u64,
}

/// How one witness did over the whole history. Latency: its time on a note less that of the newest header below the size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WitnessResult {
    /// A centre's id, or the name of an auditor or witness.
    pub holder: String,
    /// Notes that it cosigned.
    pub cosigned: u64,
    /// Notes that it could have cosigned and did not.
    pub missed: u64,
    /// Median latency in seconds, within an eighth.
    pub latency_median_s: Option<u64>,
    /// Latency in seconds that 95 of 100 do not exceed, within an eighth.
    pub latency_p95_s: Option<u64>,
    /// Largest latency in seconds, exact.
    pub latency_max_s: Option<u64>,
}

/// The bodies of one log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BodiesResult {
    /// Bodies that verify.
    pub verified: u64,
    /// Bodies that do not.
    pub refused: u64,
    /// Deltas whose body is not in the folder.
    pub absent: u64,
    /// Bytes of the bodies that verify.
    pub bytes: u64,
    /// Records disclosed in them.
    pub records: u64,
    /// Records withheld in them, as their origin counted them.
    pub withheld: u64,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingLine {
    /// What it means for the verdict.
    pub severity: SeverityName,
    /// The log, if it is of one.
    pub log: Option<String>,
    /// Which kind of place: `roster`, `log`, `checkpoint`, `history`, `leaf`, `file`.
    pub place_kind: String,
    /// Where in it: `leaf 17 (delta 4)`, `checkpoint of size 9`, `tile/0/000.p/9`.
    pub place: String,
    /// The leaf, if it is of one.
    pub leaf: Option<u64>,
    /// The delta, if it is of one.
    pub seq: Option<u64>,
    /// The finding's name, stable for programs.
    pub kind: String,
    /// The finding in words.
    pub text: String,
}

/// What a finding means for the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SeverityName {
    /// The network's records do not verify.
    Fail,
    /// Worth knowing; nothing is contradicted.
    Warn,
}
