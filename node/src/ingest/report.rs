//! What the operator reads about a file: a line for each row that was not taken, and a summary.
//!
//! Why so terse: reports are copied into mails and tickets, so a line says where and what kind of fault, with lengths
//! and counts, and never shows a hash, a cell or a name out of the file. One JSON object a line. In scope: the lines.
//! Out of scope: where they are printed.

use std::collections::BTreeMap;
use std::fmt;

use hashpact_protocol::fingerprint::FingerprintError;
use serde::{Serialize, Serializer};

macro_rules! codes {
    ($($(#[$doc:meta])* $code:ident = $name:literal),+ $(,)?) => {
        /// What is wrong, by a stable name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code { $($(#[$doc])* $code),+ }

        impl Code {
            /// The stable name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$code => $name),+ }
            }

            #[cfg(test)]
            pub(super) const ALL: &'static [Self] = &[$(Self::$code),+];
        }
    };
}

codes! {
    /// File: the header lacks a column of the profile, repeats one, or is not there.
    BadHeader = "bad_header",
    /// File: not UTF-8.
    BadEncoding = "bad_encoding",
    /// File: it ends within a quoted cell or a character.
    Truncated = "truncated",
    /// File: larger than allowed, or a row is.
    TooLarge = "too_large",
    /// File: a cell holds what can only be a file's content.
    MediaContent = "media_content",
    /// File: more different label tuples than a delta can hold classes.
    TooManyClasses = "too_many_classes",
    /// Row: not as many cells as the header, or a line without digest and name.
    BadRow = "bad_row",
    /// Row: a hash of the wrong length.
    BadLength = "bad_length",
    /// Row: a hash with characters that are none of its alphabet.
    BadAlphabet = "bad_alphabet",
    /// Row: only hashes of an unknown algorithm, or of another one than the profile states.
    UnknownType = "unknown_type",
    /// Row: no hash at all.
    NoHash = "no_hash",
    /// Row: a hash that must never be shared.
    Guarded = "guarded",
    /// Row: a perceptual hash that says almost nothing.
    LowInformation = "low_information",
    /// Row: no local label.
    NoLabel = "no_label",
    /// Row: a handling label that is none of ours.
    TlpUnknown = "tlp_unknown",
    /// Row: not a day.
    BadTime = "bad_time",
    /// Row: a value outside its closed list or range.
    BadValue = "bad_value",
    /// Row: a hash that an earlier row, or an entry of ours, has with other content.
    DuplicateConflict = "duplicate_conflict",
    /// Row: its entry was retracted; a file does not bring it back.
    Retracted = "retracted",
    /// Row: the crosswalk says that entries with its label are not listed.
    NotListed = "not_listed",
    /// Entry: it is not in the new edition of its source.
    Missing = "missing",
    /// File: an edition or a page that is older than one that was taken.
    OutOfOrder = "out_of_order",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl From<&FingerprintError> for Code {
    fn from(error: &FingerprintError) -> Self {
        match error {
            FingerprintError::Length { .. } | FingerprintError::TextLength { .. } => {
                Self::BadLength
            }
            FingerprintError::Alphabet { .. } => Self::BadAlphabet,
            FingerprintError::Guarded { .. } => Self::Guarded,
            FingerprintError::LowInformation { .. } => Self::LowInformation,
        }
    }
}

/// What became of the row or the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Action {
    /// The row was left out.
    #[serde(rename = "refused")]
    Refused,
    /// The row says nothing that is listed here.
    #[serde(rename = "left out")]
    LeftOut,
    /// A retraction is proposed.
    #[serde(rename = "retraction proposed")]
    Proposed,
    /// The entry was retracted.
    #[serde(rename = "retracted")]
    Withdrawn,
    /// The row stays retracted.
    #[serde(rename = "not re-added")]
    NotReAdded,
    /// Nothing of the file was taken.
    #[serde(rename = "file refused")]
    FileRefused,
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReportLine<'a> {
    /// The file's name, as the caller gave it.
    pub file: &'a str,
    /// Which row, from 1 without the header; `None` where it is about no row.
    pub row: Option<u64>,
    /// Which column, by the profile's name for it.
    pub column: Option<&'a str>,
    /// What is wrong.
    pub code: Code,
    /// Lengths and counts.
    pub detail: &'a str,
    /// What became of it.
    pub action: Action,
}

impl ReportLine<'_> {
    /// The line as JSON, without its line feed.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Strings and numbers only: nothing here can fail to be JSON.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Counts over one file. Each row is counted once among accepted, updated, reissued, removed, unchanged, retracted, left out
/// and refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Rows read.
    pub rows: u64,
    /// Rows that become entries.
    pub accepted: u64,
    /// Rows that say what an entry of ours, or an earlier row, says already.
    pub unchanged: u64,
    /// Rows whose entries were retracted.
    pub retracted: u64,
    /// Rows that become a new revision of an entry of the same source.
    pub updated: u64,
    /// Rows that bring a retracted entry back under a higher revision, as the operator said.
    pub reissued: u64,
    /// Rows by which the source takes entries back.
    pub removed: u64,
    /// Rows whose label is not listed, as the crosswalk says.
    pub left_out: u64,
    /// Rows left out for a fault.
    pub refused: u64,
    /// Rows taken whose label the crosswalk does not know: it stays local.
    pub unmapped: u64,
    /// Entries that a new edition does not have any more.
    pub missing: u64,
    /// Entries retracted: those that rows took back, and missing ones that the operator confirmed.
    pub withdrawn: u64,
    /// What was dropped at parse and how often, by the format's own names.
    pub dropped: BTreeMap<&'static str, u64>,
    /// Columns of the file that its format does not have.
    pub ignored_columns: Vec<String>,
    /// Report lines by code.
    pub by_code: BTreeMap<Code, u64>,
    /// Why nothing was taken, if so: `strict`, `too_many_bad`, `too_many_missing` or the file's code.
    pub stopped: Option<&'static str>,
}

impl Summary {
    /// The summary line as JSON, without its line feed.
    #[must_use]
    pub fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct Line<'a> {
            summary: &'a Summary,
        }
        serde_json::to_string(&Line { summary: self }).unwrap_or_default()
    }

    pub(super) fn count(&mut self, code: Code) {
        *self.by_code.entry(code).or_default() += 1;
    }

    /// More than one row in a hundred, once there are a hundred: below that a single slip would stop a list.
    pub(super) fn is_mostly_bad(&self) -> bool {
        self.rows >= 100 && self.refused.saturating_mul(100) > self.rows
    }
}
