//! What an audit found, as it is written with `--json` and as reports read it.
//!
//! Why: the verdict has one shape for every reader. Hashes and ids are lower-case hexadecimal, times whole Unix seconds,
//! months `YYYY-MM`. In scope: the data. Out of scope: how it comes about (`verify`), how it is shown.

use serde::{Deserialize, Serialize};

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
    /// What was found, by log and place; at most [`super::verify::FINDINGS_PER_LOG`] of one log.
    pub findings: Vec<FindingLine>,
    /// Findings beyond that number.
    pub findings_left_out: u64,
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
