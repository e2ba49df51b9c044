//! What one synchronisation did, for people and programs.

use serde::{Deserialize, Serialize};

use super::copy::Tally;

/// Numbers of a pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Entries that are new.
    pub added: u64,
    /// Entries of which a later revision came.
    pub revised: u64,
    /// Entries that their origin retracted.
    pub retracted: u64,
    /// Entries that this member may not have any more.
    pub withdrawn: u64,
    /// Entries whose marks changed.
    pub marked: u64,
    /// Records that came although their origin had retracted them before: none was taken.
    pub refused: u64,
}

impl From<Tally> for Change {
    fn from(tally: Tally) -> Self {
        Self {
            added: tally.added,
            revised: tally.revised,
            retracted: tally.retracted,
            withdrawn: tally.withdrawn,
            marked: tally.marked,
            refused: tally.refused,
        }
    }
}

/// Live entries of one class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassCount {
    /// The log.
    pub origin: String,
    /// The class.
    pub class: u16,
    /// How many.
    pub entries: u64,
}

/// Entries of a log that are published here and not to this member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withheld {
    /// The log.
    pub origin: String,
    /// How many.
    pub entries: u64,
}

/// A log as the manifest names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogSeen {
    /// The log.
    pub origin: String,
    /// Leaves of the checkpoint.
    pub size: u64,
    /// When a quorum of witnesses had seen it, Unix seconds; nothing if that was not shown.
    pub witnessed_at: Option<u64>,
}

/// What a pass did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The centre that serves.
    pub centre: String,
    /// The member.
    pub member: String,
    /// Whether this was a snapshot: the first one, or one of another ledger.
    pub snapshot: bool,
    /// What changed.
    pub change: Change,
    /// Live entries.
    pub entries: u64,
    /// By class.
    pub classes: Vec<ClassCount>,
    /// What the centre withholds, by log, as its manifest says.
    pub withheld: Vec<Withheld>,
    /// The logs that the subset is of.
    pub logs: Vec<LogSeen>,
    /// Log index and version of the policy that decided.
    pub policy: Option<(u64, Option<u64>)>,
    /// Whether the copy was compared with the manifest, class by class, and is the same. False only while the centre
    /// publishes faster than it is read.
    pub compared: bool,
    /// Whether the centre was told that all of it is applied.
    pub acknowledged: bool,
    /// Whether the index was written anew.
    pub indexed: bool,
    /// Bytes of items that came, unpacked.
    pub bytes: u64,
}
