//! `hashpact audit verify`: does a folder of logs hold, offline.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::num::NonZero;
use std::path::PathBuf;
use std::thread::available_parallelism;

use clap::Args;
use hashpact_keys::NetworkId;
use indicatif::{ProgressBar, ProgressStyle};

use super::super::roster::read_roster;
use super::super::{Answer, Failure};
use crate::audit::at::At;
use crate::audit::result::{AuditResult, FindingLine, LogResult, SeverityName};
use crate::audit::verify::{Trust, VerifyOptions, verify};
use crate::clock;
use crate::page::text::counted;

const RECORDS: &str = "record|records";

#[derive(Args)]
#[command(
    after_help = "One line for each finding, beginning with FAIL or WARN. A newest roster that has expired fails; checkpoints that nobody cosigned\nfor a day are a warning. Exit codes: 0 nothing fails, 1 something fails, 2 the folder or\na file cannot be opened, 3 the machine failed.\n\nExamples:\n  hashpact audit verify logs --pin <the network's hash>\n  hashpact audit verify logs --roster roster-3.txt --bodies bodies --jobs 2 --json\n  hashpact audit verify shelf --pin <the network's hash> --at 2026-01-31"
)]
pub(in super::super) struct VerifyArgs {
    /// The folder: a copy that `audit mirror` made, or a node's data/logs.
    dir: PathBuf,
    /// The network's hash, which the auditor has from elsewhere than from the folder.
    #[arg(
        long,
        value_name = "HASH",
        required_unless_present = "roster",
        conflicts_with = "roster"
    )]
    pin: Option<NetworkId>,
    /// A roster file that the auditor has from elsewhere, in place of the hash: the folder's rosters must lead to it.
    #[arg(long, value_name = "FILE")]
    roster: Option<PathBuf>,
    /// Verify bodies as well: <log>/<number of the delta> in this folder, as they travel. They hold hashes.
    #[arg(long, value_name = "DIR")]
    bodies: Option<PathBuf>,
    /// What centres gave to open the sealed records of their logs (`audit export-openings`): each disclosure is judged by the
    /// policies of its time.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    openings: Vec<PathBuf>,
    /// Write the questions behind each disclosure into this folder, which is made, so that the stock `cedar` command line
    /// answers them again: its script `replay` asks them all.
    #[arg(long, value_name = "DIR", requires = "openings")]
    cedar_out: Option<PathBuf>,
    /// Verify as of this time, in place of the clock: Unix seconds, or a date such as 2026-01-31 or 2026-01-31T12:00:00Z. For a
    /// copy that was laid aside, whose newest roster has expired since.
    #[arg(long, value_name = "TIME")]
    at: Option<At>,
    /// Threads [default: as many as processors].
    #[arg(long, value_name = "N")]
    jobs: Option<NonZero<usize>>,
}

pub(in super::super) fn run(args: &VerifyArgs) -> Result<Answer, Failure> {
    let trust = match (&args.pin, &args.roster) {
        (Some(pin), _) => Trust::Pin(*pin),
        (None, Some(file)) => Trust::Roster(Box::new(read_roster(file)?.1)),
        (None, None) => return Err(Failure::input("--pin HASH or --roster FILE is needed")),
    };
    let options = VerifyOptions {
        trust,
        bodies: args.bodies.clone(),
        openings: args.openings.clone(),
        cedar: args.cedar_out.clone(),
        jobs: args.jobs.unwrap_or_else(processors),
        now: args.at.map_or_else(clock::now, |at| at.0),
    };
    let bar = spinner("{spinner} {human_pos} deltas and bodies  {per_sec}  {elapsed}");
    let result = verify(&args.dir, &options, &|| bar.inc(1)).map_err(Failure::input)?;
    bar.finish_and_clear();
    let json = serde_json::to_value(&result).map_err(Failure::failed)?;
    Ok(Answer {
        json,
        text: describe(&result, args.at),
        code: u8::from(!result.holds),
    })
}

fn processors() -> NonZero<usize> {
    available_parallelism().unwrap_or(NonZero::<usize>::MIN)
}

/// A bar without an end, on a terminal; nothing elsewhere.
pub(super) fn spinner(template: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(template);
    ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn describe(result: &AuditResult, at: Option<At>) -> String {
    let mut text = String::new();
    for finding in &result.findings {
        let _ = writeln!(text, "{}", finding_line(finding));
    }
    if result.findings_left_out > 0 {
        let _ = writeln!(text, "and {} findings more", result.findings_left_out);
    }
    let newest = result.rosters.last().map_or(0, |roster| roster.version);
    let _ = writeln!(text, "network {}, rosters to {newest}", result.network);
    for log in &result.logs {
        let _ = writeln!(text, "{}", log_line(log));
    }
    if let Some(At(at)) = at {
        let _ = writeln!(text, "As of {at}, as --at says; not as of today.");
    }
    let verdict = if result.holds {
        "Everything here verifies."
    } else {
        "Not everything here verifies."
    };
    text + verdict
}

fn finding_line(finding: &FindingLine) -> String {
    let severity = match finding.severity {
        SeverityName::Fail => "FAIL",
        SeverityName::Warn => "WARN",
    };
    let log = finding
        .log
        .as_deref()
        .map_or(String::new(), |log| format!("{log} "));
    format!("{severity} {log}{}: {}", finding.place, finding.text)
}

fn log_line(log: &LogResult) -> String {
    let mut line = format!(
        "{} ({}): {}, {} of {} and {}, {}, {}",
        log.origin,
        log.jurisdiction,
        counted(log.size, "leaf|leaves"),
        counted(log.deltas, "delta|deltas"),
        counted(log.records, RECORDS),
        counted(log.retractions, "retraction|retractions"),
        counted(log.classes, "class|classes"),
        counted(log.notes, "witnessed checkpoint|witnessed checkpoints"),
    );
    if let Some(checkpoint) = &log.checkpoint {
        let (cosigned, quorum) = (checkpoint.cosigned.len(), checkpoint.quorum);
        let _ = write!(
            line,
            ", the newest cosigned by {cosigned} where {quorum} must"
        );
    }
    if let Some(bodies) = &log.bodies {
        let _ = write!(
            line,
            "; bodies: {} verified, {} refused, {} absent, {} disclosed and {} withheld",
            bodies.verified,
            bodies.refused,
            bodies.absent,
            counted(bodies.records, RECORDS),
            bodies.withheld
        );
    }
    match log.failures {
        0 => line + "; holds",
        failures => format!("{line}; {}", counted(failures, "failure|failures")),
    }
}
