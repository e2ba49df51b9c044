//! One file of hashes into rows that a delta can carry.
//!
//! Why two passes: a row is only new if no row before it in the file and nothing in the index has one of its
//! fingerprints, and asking that row by row costs a disk read each. So the first pass reads, checks and encodes every
//! row and spills what is to be looked up; the second joins all of it against the index at once. Nothing is given out
//! before both are through, so a file is taken whole (but for the rows that the report names) or not at all.
//!
//! | file | answers |
//! |---|---|
//! | `profile` | what the operator says about the columns of a list |
//! | `input` | the bytes of the file, counted, bounded and in the right encoding |
//! | `csv`, `sums` | rows out of a container |
//! | `row`, `number` | a row's labels, fields and fingerprints, or what is wrong with it |
//! | `spool` | encoded rows on the disk between the passes, sealed |
//! | `stage` | the first pass |
//! | `admit`, `evidence` | the second pass |
//! | `resolved` | the new rows |
//! | `report` | what the operator reads about it |
//!
//! Memory is bounded whatever the file: rows and look-ups go through the disk. A cell, a hash or a name of the file is
//! never part of an error or a report. Spec: `docs/protocol.md`, "Record" and "Labels". In scope: one file, one index
//! snapshot. Out of scope: classes, entry ids, signing, the network.

mod admit;
mod crosswalk;
mod csv;
mod edition;
mod evidence;
mod guard;
mod input;
mod json;
mod local_file;
mod media;
mod ncmec;
mod number;
mod parts;
mod profile;
mod report;
mod resolved;
mod row;
mod settle;
mod source;
mod spool;
mod stage;
mod stopncii;
mod sums;
mod table;
#[cfg(test)]
mod tests;
mod value;
mod vics;
mod xml;

use std::io;

use crate::store::LookupError;

pub use admit::{Judged, OwnLine, OwnLines};
pub use crosswalk::{Crosswalk, CrosswalkError, Fate};
pub use guard::{GuardError, Guards};
pub use profile::{EXAMPLE, Problem, Profile, ProfileError, Role, example, formats};
pub use report::{Action, Code, ReportLine, Summary};
pub use resolved::{NewRow, NewRows, Resolved, Target};
pub use settle::Held;
pub use source::{SourceError, SourceState};
pub use stage::{FILE_BYTES_MAX, Phase, Progress, StageContext, Staged, Wishes, stage};

/// Why the whole file was refused. Says where and what, never with bytes of the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {detail}")]
pub struct FileFault {
    /// The code of the report.
    pub code: Code,
    /// The row at which it showed, from 1 without the header.
    pub row: Option<u64>,
    /// What is wrong and what to do.
    pub detail: String,
}

/// Why nothing of a file was taken.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The file itself is refused; reported already.
    #[error("the file is refused")]
    File {
        /// What is wrong.
        #[source]
        fault: FileFault,
        /// What was read until then.
        summary: Box<Summary>,
    },
    /// Rows were refused, and the operator said that none may be.
    #[error("{} rows are refused, and strict ingest allows none", .summary.refused)]
    Strict {
        /// What was read.
        summary: Box<Summary>,
    },
    /// More than one row in a hundred was refused, and the operator has not confirmed so many.
    #[error("{} of {} rows are refused; read the report, then confirm this number", .summary.refused, .summary.rows)]
    TooManyBad {
        /// What was read.
        summary: Box<Summary>,
    },
    /// More than one in a hundred entries of the source is missing in this edition, or more than were confirmed.
    #[error(
        "{} of {held} entries of this source are not in this edition; is the file complete? Read the report, then confirm this number", .summary.missing
    )]
    TooManyMissing {
        /// Entries of the source that are in force.
        held: u64,
        /// What was read.
        summary: Box<Summary>,
    },
    /// What this centre holds could not be read.
    #[error(transparent)]
    LookUp(#[from] LookupError),
    /// The staging folder or the index failed.
    #[error("staging and looking up rows")]
    Disk(#[source] io::Error),
    /// The file could not be read.
    #[error("reading the file")]
    Read(#[source] io::Error),
}

impl IngestError {
    /// The summary line of a file that was stopped; `None` where a disk failed, which says nothing about the file.
    #[must_use]
    pub fn summary(&self) -> Option<&Summary> {
        match self {
            Self::File { summary, .. }
            | Self::Strict { summary }
            | Self::TooManyBad { summary }
            | Self::TooManyMissing { summary, .. } => Some(summary),
            Self::LookUp(_) | Self::Disk(_) | Self::Read(_) => None,
        }
    }
}
