//! `hashpact audit`: what whoever does not trust a centre can verify.

mod delivery;
mod export;
mod mirror;
mod openings;
mod sample;
mod verify;

use clap::Subcommand;
use indicatif::ProgressBar;
use serde_json::json;

use super::init::home_failure;
use super::prove::{CheckArgs, ProveArgs, check, prove};
use super::run::run_failure;
use super::{Answer, Failure};
use crate::audit::report::{self, ReportArgs, ReportError};
use crate::config::{Checked, Config};
use crate::daemon::open_store;
use crate::home::{Home, Lock, PassphraseSource};
use crate::store::Store;
use crate::store::durable::Steps;

#[derive(Subcommand)]
pub(super) enum AuditCommand {
    /// Copy all logs of a network into a folder, or what is new of them.
    Mirror(mirror::MirrorArgs),
    /// Verify a folder of logs offline: signatures, consistency, witnesses, every entry.
    Verify(verify::VerifyArgs),
    /// Write the bodies that a stopped node holds, in plain, for `audit verify --bodies`. They hold hashes.
    ExportBodies(export::ExportArgs),
    /// Write what opens the sealed records of this centre's log, for `audit verify --openings`: who was given what.
    ExportOpenings(openings::OpeningsArgs),
    /// Write who has not applied this centre's retractions, for `audit report --delivery`.
    ExportDelivery(delivery::DeliveryArgs),
    /// Check by sample that what a centre lets others match is what it logged.
    #[command(subcommand)]
    MatchSample(sample::SampleCommand),
    /// Write proofs of one entry, or of one leaf of a log, that verify offline.
    Prove(ProveArgs),
    /// Say what proofs show, offline.
    Check(CheckArgs),
    /// Verify a folder of logs and write the result as a page for people, as JSON, or both.
    Report(ReportArgs),
}

pub(super) fn audit(
    home: &Home,
    source: &PassphraseSource,
    command: &AuditCommand,
) -> Result<Answer, Failure> {
    match command {
        AuditCommand::Mirror(args) => mirror::run(args),
        AuditCommand::Verify(args) => verify::run(args),
        AuditCommand::ExportBodies(args) => export::run(home, source, args),
        AuditCommand::ExportOpenings(args) => openings::run(home, source, args),
        AuditCommand::ExportDelivery(args) => delivery::run(home, args),
        AuditCommand::MatchSample(command) => sample::run(home, command),
        AuditCommand::Prove(args) => prove(home, args),
        AuditCommand::Check(args) => check(args),
        AuditCommand::Report(args) => write_report(args),
    }
}

/// The configuration and the store of a node that does not run: whoever holds its lock keeps it so.
fn open_stopped(
    home: &Home,
    source: &PassphraseSource,
    _held: &Lock,
) -> Result<(Checked, Store), Failure> {
    if !home.data().is_dir() {
        let home = home.path().display();
        return Err(Failure::input(format!("{home} holds no data")));
    }
    let checked = Config::read(&home.config()).map_err(Failure::input)?;
    let keys = home.unlock(source).map_err(home_failure)?;
    let store = open_store(home, &keys, &checked, Steps::default()).map_err(run_failure)?;
    Ok((checked, store))
}

fn write_report(args: &ReportArgs) -> Result<Answer, Failure> {
    let bar = ProgressBar::new_spinner();
    let result = args.run(&|| bar.inc(1));
    bar.finish_and_clear();
    let result = result.map_err(|error| match error {
        ReportError::Write(_) => Failure::failed(error),
        ReportError::NoOutput
        | ReportError::NoInput
        | ReportError::Folder { .. }
        | ReportError::Delivery(_)
        | ReportError::From(_) => Failure::input(error),
    })?;
    let holds = report::holds(&result);
    let files: Vec<String> = args
        .files()
        .map(|file| file.display().to_string())
        .collect();
    let text = format!(
        "{} Written: {}",
        if holds {
            "All that was checked verifies."
        } else {
            "Not all verifies: see the findings."
        },
        files.join(", "),
    );
    let json = json!({ "holds": holds, "findings": result.findings.len(), "files": files });
    Ok(Answer {
        json,
        text,
        code: u8::from(!holds),
    })
}
