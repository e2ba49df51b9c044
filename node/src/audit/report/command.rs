//! `audit report`: from a folder of logs, or from an earlier result, to the files of a report.
//!
//! In scope: flags, and which file or folder a fault is of. Out of scope: exit codes and printing (`cli`).

use std::io;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

use hashpact_keys::NetworkId;

use super::files::{Outputs, ReportFileError, read_result};
use crate::audit::at::At;
use crate::audit::delivery;
use crate::audit::result::AuditResult;
use crate::audit::verify::{Trust, VerifyOptions, verify};
use crate::clock;

/// The flags of `audit report`.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Exit code 1: something does not verify. The report is written all the same.\n\nExamples:\n  hashpact audit report logs --pin <the network's hash> --html report.html --json-file result.json\n  hashpact audit report --from result.json --html rapport.html --language fr"
)]
pub struct ReportArgs {
    /// The folder of logs to verify.
    #[arg(
        value_name = "DIR",
        required_unless_present = "from",
        conflicts_with = "from",
        requires = "pin"
    )]
    dir: Option<PathBuf>,
    /// The network's hash, which the auditor has from elsewhere than from the folder.
    #[arg(long, value_name = "HASH", requires = "dir")]
    pin: Option<NetworkId>,
    /// A folder of bodies to verify as well.
    #[arg(long, value_name = "DIR", requires = "dir")]
    bodies: Option<PathBuf>,
    /// What centres gave to open the sealed records of their logs: each disclosure is judged by the policies of its time.
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "dir")]
    openings: Vec<PathBuf>,
    /// What centres say of delivery (`audit export-delivery`): who has not applied their retractions.
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "dir")]
    delivery: Vec<PathBuf>,
    /// Verify as of this time, in place of the clock: Unix seconds, or a date such as 2026-01-31 or 2026-01-31T12:00:00Z.
    #[arg(long, value_name = "TIME", requires = "dir")]
    at: Option<At>,
    /// Verify nothing: report on this result, which an earlier audit wrote as JSON.
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    #[command(flatten)]
    outputs: Outputs,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// Nothing was asked for.
    #[error("say what to write: --html FILE, --json-file FILE, or both")]
    NoOutput,
    /// Neither a folder with its pin nor a result.
    #[error("say what to report on: DIR with --pin HASH, or --from FILE")]
    NoInput,
    /// The folder of logs or of bodies cannot be opened.
    #[error("the logs in {} cannot be verified", .dir.display())]
    Folder {
        /// The folder of logs.
        dir: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// What a centre says of delivery cannot be read.
    #[error(transparent)]
    Delivery(io::Error),
    /// The earlier result cannot be read.
    #[error(transparent)]
    From(ReportFileError),
    /// A file of the report cannot be written.
    #[error("the report cannot be written")]
    Write(#[source] ReportFileError),
}

impl ReportArgs {
    /// Verifies or reads, then writes. `progress` is told of each delta and body that is verified, by any thread.
    ///
    /// # Errors
    /// [`ReportError`]; a log that does not verify is none.
    pub fn run(&self, progress: &(dyn Fn() + Sync)) -> Result<AuditResult, ReportError> {
        if self.outputs.html.is_none() && self.outputs.json_file.is_none() {
            return Err(ReportError::NoOutput);
        }
        let result = match (&self.dir, self.pin, &self.from) {
            (Some(dir), Some(pin), None) => self.verified(dir, pin, progress)?,
            (None, None, Some(from)) => read_result(from).map_err(ReportError::From)?,
            (..) => return Err(ReportError::NoInput),
        };
        self.outputs.write(&result).map_err(ReportError::Write)?;
        Ok(result)
    }

    /// The files that [`ReportArgs::run`] writes.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let files = [&self.outputs.html, &self.outputs.json_file];
        files.into_iter().flatten().map(PathBuf::as_path)
    }

    fn verified(
        &self,
        dir: &Path,
        pin: NetworkId,
        progress: &(dyn Fn() + Sync),
    ) -> Result<AuditResult, ReportError> {
        let options = VerifyOptions {
            trust: Trust::Pin(pin),
            bodies: self.bodies.clone(),
            openings: self.openings.clone(),
            cedar: None,
            jobs: available_parallelism().unwrap_or(NonZero::<usize>::MIN),
            now: self.at.map_or_else(clock::now, |at| at.0),
        };
        let mut result = verify(dir, &options, progress).map_err(|source| ReportError::Folder {
            dir: dir.to_owned(),
            source,
        })?;
        for file in &self.delivery {
            let read = delivery::read(file, &result.network);
            result.delivery.push(read.map_err(ReportError::Delivery)?);
        }
        Ok(result)
    }
}
