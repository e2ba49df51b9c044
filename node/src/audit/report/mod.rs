//! The result of an audit as a page for people and as JSON for programs.
//!
//! Why: auditors hand their result to lawyers and boards, who read it years later on any machine. So it is one file that needs
//! no network, no font and no program, in English and French, and says what was not checked as plainly as what was.
//! What pages share is in `crate::page`. In scope: a page and JSON from a result, a result from JSON. Out of scope: how a result comes about (`verify`).
//!
//! | file | answers |
//! |---|---|
//! | `page`, `judgement`, `disclosures`, `centre`, `witnesses` | what stands where |
//! | `voices` | what was said of entries, and who has not applied retractions |
//! | `words`, `voices_words`, `findings` | in which words, in both languages |
//! | `timeline`, `chart`, `bars` | what is drawn, and how |
//! | `files`, `command` | how both come to the disk, and what is typed for it |

mod bars;
mod centre;
mod chart;
mod command;
mod disclosures;
mod files;
mod findings;
mod judgement;
mod page;
mod timeline;
mod voices;
mod voices_words;
mod witnesses;
mod words;

#[cfg(test)]
mod tests;

pub use crate::page::text::Language;
pub use command::{ReportArgs, ReportError};
pub use files::{Outputs, ReportFileError, read_result};

use super::result::AuditResult;
use crate::page::{format, html};

/// Bytes of a JSON result that are read: a result of a hundred logs with all their notes and findings is smaller.
pub const JSON_BYTES_MAX: usize = 256 << 20;

/// SHA-256 of the style sheet in base64, for the page's Content Security Policy.
const STYLE_SHA256: &str = "YYmsFy6Qf4c187YUi4kjDqf8n/qvL5ZTNK6OgN2nlis=";

/// Why a JSON result cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadResultError {
    /// More than [`JSON_BYTES_MAX`].
    #[error("{got} bytes, a result has at most {expected}")]
    Length {
        /// The most.
        expected: usize,
        /// How many there are.
        got: usize,
    },
    /// Not a result.
    #[error("not the result of an audit")]
    Form(#[source] serde_json::Error),
}

/// The result as one HTML page that opens in `language`; the reader can switch.
#[must_use]
pub fn html(result: &AuditResult, language: Language) -> String {
    page::page(result, language)
}

/// Whether something was checked and nothing in the result says that it failed. One that contradicts itself does not hold.
#[must_use]
pub fn holds(result: &AuditResult) -> bool {
    judgement::holds(result)
}

/// The result as JSON, indented, with a line's end.
///
/// # Errors
/// None arises from a result: its fields are numbers, texts and lists. `serde_json` cannot say so in its types.
pub fn json(result: &AuditResult) -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string_pretty(result)?;
    text.push('\n');
    Ok(text)
}

/// Reads what [`json`] wrote.
///
/// # Errors
/// [`ReadResultError::Length`] above [`JSON_BYTES_MAX`], [`ReadResultError::Form`] if it is no result.
pub fn read_json(bytes: &[u8]) -> Result<AuditResult, ReadResultError> {
    if bytes.len() > JSON_BYTES_MAX {
        return Err(ReadResultError::Length {
            expected: JSON_BYTES_MAX,
            got: bytes.len(),
        });
    }
    serde_json::from_slice(bytes).map_err(ReadResultError::Form)
}
