//! Where in a network's published bytes something is. In scope: the places and their words. Out of scope: what is there
//! (`finding`).

use std::fmt;

use hashpact_keys::RosterVersion;

use crate::delta::Seq;

/// Where something was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A roster file.
    Roster(RosterVersion),
    /// A log as a whole.
    Log,
    /// The newest checkpoint; its size if it can be read.
    Checkpoint {
        /// Leaves.
        size: Option<u64>,
    },
    /// A note of the history, from 0; its size if it can be read.
    History {
        /// Its place in the file.
        number: u64,
        /// Leaves.
        size: Option<u64>,
    },
    /// A leaf, and its delta if it has one.
    Leaf {
        /// Its index in the log, from 0.
        index: u64,
        /// The number that its header claims.
        seq: Option<Seq>,
    },
    /// A file, by its path below the log's folder.
    File(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Roster(version) => write!(f, "roster {version}"),
            Self::Log => f.write_str("log"),
            Self::Checkpoint { size: Some(size) } => write!(f, "checkpoint of size {size}"),
            Self::Checkpoint { size: None } => f.write_str("checkpoint"),
            Self::History {
                number,
                size: Some(size),
            } => write!(f, "history note {number} of size {size}"),
            Self::History { number, size: None } => write!(f, "history note {number}"),
            Self::Leaf {
                index,
                seq: Some(seq),
            } => write!(f, "leaf {index} (delta {seq})"),
            Self::Leaf { index, seq: None } => write!(f, "leaf {index}"),
            Self::File(path) => f.write_str(path),
        }
    }
}
