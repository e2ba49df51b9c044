//! Reports as files.
//!
//! In scope: paths and flags. Out of scope: what is in the files.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::{JSON_BYTES_MAX, Language, ReadResultError, html, json, read_json};
use crate::audit::result::AuditResult;
use crate::page::file::{WriteError, replace};

/// Where a report goes: a part of a command's flags.
#[derive(Clone, Debug, clap::Args)]
pub struct Outputs {
    /// Write the result as one page, for a browser or a printer.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Write the result as JSON, for programs.
    #[arg(long = "json-file", value_name = "FILE")]
    pub json_file: Option<PathBuf>,
    /// The language in which the page opens; it holds both.
    #[arg(long, value_enum, default_value = "en")]
    pub language: Language,
}

/// Why a report was not written, or a result not read.
#[derive(Debug, thiserror::Error)]
pub enum ReportFileError {
    /// The disk's fault.
    #[error("{}", .path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// The file holds something else.
    #[error("{}", .path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        source: ReadResultError,
    },
    /// The result has no JSON.
    #[error("the result has no form as JSON")]
    Json(#[source] serde_json::Error),
}

impl Outputs {
    /// Writes what is asked for.
    ///
    /// # Errors
    /// [`ReportFileError::Io`] with the file that cannot be written; files named before it are written.
    pub fn write(&self, result: &AuditResult) -> Result<(), ReportFileError> {
        let io = |WriteError { path, source }| ReportFileError::Io { path, source };
        if let Some(path) = &self.json_file {
            let text = json(result).map_err(ReportFileError::Json)?;
            replace(path, &text).map_err(io)?;
        }
        if let Some(path) = &self.html {
            replace(path, &html(result, self.language)).map_err(io)?;
        }
        Ok(())
    }
}

/// The result in a file that [`Outputs::write`] or `audit verify --json` wrote.
///
/// # Errors
/// [`ReportFileError::Io`] if the file cannot be read, [`ReportFileError::Read`] if it is too long or no result.
pub fn read_result(path: &Path) -> Result<AuditResult, ReportFileError> {
    let io = |source| ReportFileError::Io {
        path: path.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    let most = u64::try_from(JSON_BYTES_MAX).unwrap_or(u64::MAX);
    // One byte more than allowed tells a file that is too long from one that just fits.
    File::open(path)
        .and_then(|file| file.take(most.saturating_add(1)).read_to_end(&mut bytes))
        .map_err(io)?;
    read_json(&bytes).map_err(|source| ReportFileError::Read {
        path: path.to_owned(),
        source,
    })
}
