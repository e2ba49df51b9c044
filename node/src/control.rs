//! The control socket: how a person at a shell speaks with the running node.
//!
//! A Unix socket in the home, mode 0600. Each line is one JSON object, at most [`LINE_MAX`] bytes; a request is answered by
//! any number of `progress` and `report` lines and one `done` or `error` line, and then the next request may follow on the
//! same connection. Requests carry fingerprints, answers do not go to any log.

pub mod client;
pub mod credentials;
pub mod evidence;
mod lookups;
pub mod matching;
mod members;
pub mod openings;
mod overlap;
mod proving;
mod retract;
pub mod sampling;
mod server;

use serde::{Deserialize, Serialize};

pub use lookups::{Found, Hit, LOOKUPS_MAX};
pub use server::serve;

/// Bytes of one line: a roster is the largest thing that travels.
pub const LINE_MAX: usize = 1024 * 1024;

/// What may be asked.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// One picture of the node.
    Status,
    /// Which entries have this fingerprint, each with whether it is a match, and if not, why.
    Lookup {
        /// `md5`, `sha1`, `sha256`, `blake3`, `pdq` or `photodna`.
        algorithm: String,
        /// Hexadecimal, or base64 for PhotoDNA.
        value: String,
    },
    /// The same for many: `report` lines of [`Found`], and then how many were asked. Requests may be sent ahead.
    LookupMany {
        /// Each `algorithm:value`, at most [`LOOKUPS_MAX`].
        fingerprints: Vec<String>,
    },
    /// Take a list in.
    Ingest {
        /// Absolute path.
        file: std::path::PathBuf,
        /// The profile's text.
        profile: String,
        /// Its path, for messages.
        profile_path: String,
        /// Whether one bad row stops the file.
        strict: bool,
        /// How many bad rows are confirmed.
        accept_bad: Option<u64>,
        /// What is asked besides.
        #[serde(default)]
        more: crate::daemon::IngestMore,
    },
    /// Retract entries of this centre's own.
    Retract {
        /// Entry ids in hexadecimal.
        entries: Vec<String>,
        /// Why, which follows under policy.
        #[serde(default)]
        reason: Option<String>,
    },
    /// Attest, contest, answer, order.
    Evidence(evidence::Ask),
    /// Prove the record of an entry, and that its delta was logged.
    Prove {
        /// The entry id in hexadecimal.
        entry: String,
        /// The log; this centre's own without it.
        origin: Option<String>,
        /// Whether to sign a receipt as well.
        receipt: bool,
    },
    /// Write down what opens the sealed records of this centre's log: `report` lines of base64, then a description.
    ExportOpenings {
        /// The first leaf that is of interest.
        from: u64,
    },
    /// Check a list against another centre's, without either being shown: `report` lines of what matched.
    Match(matching::MatchAsk),
    /// The segments of one of this centre's own artifacts: `report` lines, each with a chunk.
    MatchSegments(sampling::ArtifactAsk),
    /// Open drawn tags of one for an auditor who may see hashes: `report` lines of base64.
    MatchSample {
        /// The artifact.
        of: sampling::ArtifactAsk,
        /// The tags, hexadecimal.
        tags: Vec<String>,
    },
    /// Count this centre's own values of one type against every other centre.
    Overlap {
        /// The type.
        #[serde(rename = "type")]
        kind: String,
        /// What for.
        purpose: String,
        /// Whether a list that is too short is filled up with random values.
        pad: bool,
    },
    /// Take the next roster.
    RosterApply {
        /// The armored document.
        roster: String,
    },
    /// Enter a member into this centre's register.
    MemberAdd {
        /// Its name.
        name: String,
        /// Its public libp2p key in hexadecimal; none for a member over HTTP only.
        key: Option<String>,
        /// The law that it works under.
        jurisdiction: String,
        /// What it does.
        sector: String,
    },
    /// The members.
    Members,
    /// Open, change or close the gateway to a member.
    Credential(credentials::CredentialAsk),
    /// Begin a new match epoch.
    MatchRotate,
    /// Take a member out of the register.
    MemberRemove {
        /// Its name.
        name: String,
    },
    /// Log a signed policy document.
    PolicyApply {
        /// The armored document.
        document: String,
    },
}

/// One line of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// How far it is.
    Progress(crate::daemon::IngestProgress),
    /// How far a check of a list is.
    Match(crate::matching::client::Progress),
    /// One line of an ingest's report, or of what matched.
    Report(serde_json::Value),
    /// It is done, and this is the answer.
    Done(serde_json::Value),
    /// It is not done, and this is why.
    Error(Fault),
}

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Whose fault it is, which decides the exit code.
    pub kind: FaultKind,
    /// What is wrong and what to do.
    pub text: String,
    /// What the command counted until then, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<serde_json::Value>,
}

/// Whose fault something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The answer is no: exit code 1.
    No,
    /// The input: exit code 2.
    Input,
    /// The node or its machine: exit code 3.
    Failed,
}

/// An error with what caused it, in one line for a person.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}
