//! `hashpact ingest`: a list is handed to the running node, and what becomes of it is shown.
//!
//! In scope: the command line, progress, the report. Out of scope: reading the list (`ingest`), which the node does.

use std::fs::File;
use std::io::{BufWriter, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use super::{Answer, Failure};
use crate::control::client::Client;
use crate::control::{Line, Request};
use crate::daemon::{IngestMore, IngestPhase, IngestProgress};
use crate::home::Home;
use crate::ingest::{Crosswalk, Profile, example, formats};
use crate::page::text::counted;

/// Report lines that a person is shown; the rest is in the report file.
const LINES_SHOWN: u64 = 20;
const DELTAS: &str = "delta|deltas";

const AFTER: &str = "\
Formats, which the profile names: csv, sums, local_file, iwf, icse, vics, stopncii, ncmec. `--format NAME` alone prints an
annotated profile of one to begin from.

Exit codes: 0 all rows taken or known, 1 some rows refused or left out, 2 the file refused, 3 the node failed.

Examples:
  hashpact ingest list.csv --profile list.toml
  hashpact ingest list.csv --profile list.toml --report list.report.jsonl --accept-bad 12
  hashpact ingest --format vics
  hashpact ingest set.json --profile vics.toml --edition 2026-11
  hashpact ingest set.json --profile vics.toml --edition 2026-11 --confirm-missing 31
  hashpact ingest reply.json --profile stopncii.toml
  hashpact ingest list.csv --profile list.toml --crosswalk hotline-x.toml --edition 2026-11";

#[derive(Args)]
#[command(after_help = AFTER)]
pub(super) struct IngestArgs {
    /// The list.
    file: Option<PathBuf>,
    /// How to read it.
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// The format that the profile must name; without a profile, print an annotated one.
    #[arg(long, value_name = "NAME")]
    format: Option<String>,
    /// What the local labels mean, in place of the crosswalk that comes with the program.
    #[arg(long, value_name = "FILE")]
    crosswalk: Option<PathBuf>,
    /// The file is all that its source has, under this name of the edition: entries of the source that are not in it are
    /// proposed for retraction, and rows that say something new of an entry raise its revision.
    #[arg(long, value_name = "NAME")]
    edition: Option<String>,
    /// Retract what the edition does not have any more, if it is at most this many entries.
    #[arg(long, value_name = "N", requires = "edition")]
    confirm_missing: Option<u64>,
    /// Bring back what this centre retracted, under a higher revision.
    #[arg(long)]
    reissue: bool,
    /// Any bad row stops the file.
    #[arg(long)]
    strict: bool,
    /// Confirm this many bad rows where more than one in a hundred is bad.
    #[arg(long, value_name = "N")]
    accept_bad: Option<u64>,
    /// Write the report, one JSON line for each refused row, to this file.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

pub(super) fn ingest(home: &Home, args: &IngestArgs, json: bool) -> Result<Answer, Failure> {
    let (Some(profile), Some(list)) = (&args.profile, &args.file) else {
        return Err(explain(args));
    };
    let request = request(args, list, profile)?;
    let mut client = Client::connect(home)?;
    let mut screen = Screen::new(args, json)?;
    let answer = client.ask(&request, |line| screen.show(line));
    let shown = screen.finish()?;
    let answer = answer?;
    let code = code(&answer["summary"]);
    let mut text = describe(&answer);
    if shown > LINES_SHOWN && args.report.is_none() {
        text.push_str("\nGive --report FILE for the whole report.");
    }
    Ok(Answer {
        json: answer,
        text,
        code,
    })
}

/// What to write, for whoever has no profile yet.
fn explain(args: &IngestArgs) -> Failure {
    let format = args.format.as_deref().unwrap_or("csv");
    let Some(example) = example(format) else {
        let formats = formats().join(", ");
        return Failure::input(format!("no such format; there are {formats}"));
    };
    Failure::input(format!(
        "a list is read by a profile: say which columns it has, and state every label. Save this as list.toml, change it, and give --profile list.toml\n\n{example}"
    ))
}

fn request(
    args: &IngestArgs,
    list: &std::path::Path,
    profile: &std::path::Path,
) -> Result<Request, Failure> {
    let read = |path: &std::path::Path| {
        let shown = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Ok((shown, text)),
            Err(error) => Err(Failure::input(format!("{shown}: {error}"))),
        }
    };
    let (profile_path, text) = read(profile)?;
    let crosswalk = args.crosswalk.as_deref().map(read).transpose()?;
    let walk = crosswalk
        .as_ref()
        .map(|(path, text)| Crosswalk::from_toml(text, path));
    let walk = walk.transpose().map_err(Failure::input)?;
    let compiled = Profile::with_crosswalk(&text, &profile_path, walk).map_err(Failure::input)?;
    if let Some(format) = args
        .format
        .as_deref()
        .filter(|format| *format != compiled.format_name())
    {
        let got = compiled.format_name();
        return Err(Failure::input(format!(
            "{profile_path} is for {got}, not for {format}"
        )));
    }
    Ok(Request::Ingest {
        file: std::path::absolute(list).map_err(Failure::input)?,
        profile: text,
        profile_path,
        strict: args.strict,
        accept_bad: args.accept_bad,
        more: IngestMore {
            crosswalk,
            edition: args.edition.clone(),
            confirm_missing: args.confirm_missing,
            reissue: args.reissue,
        },
    })
}

/// 1 if a row was not taken.
fn code(summary: &Value) -> u8 {
    let keys = ["refused", "retracted", "left_out"];
    let any = keys.iter().any(|key| summary[*key].as_u64() != Some(0));
    u8::from(any)
}

fn describe(answer: &Value) -> String {
    let summary = &answer["summary"];
    let count = |key: &str| summary[key].as_u64().unwrap_or(0);
    let mut text = format!(
        "{}: {} new in {}, {} unchanged, {} retracted before and not re-added, {} refused",
        counted(count("rows"), "row|rows"),
        count("accepted"),
        counted(answer["deltas"].as_u64().unwrap_or(0), DELTAS),
        count("unchanged"),
        count("retracted"),
        count("refused"),
    );
    for (key, words) in [
        ("updated", "new revisions"),
        ("reissued", "brought back"),
        ("left_out", "left out by the crosswalk"),
        ("unmapped", "with a label that the crosswalk does not know"),
    ] {
        if count(key) > 0 {
            text.push_str(&format!(", {} {words}", count(key)));
        }
    }
    if count("withdrawn") > 0 {
        text.push_str(&format!(
            "\n{} retracted",
            counted(count("withdrawn"), "entry|entries")
        ));
    }
    let missing = count("missing");
    if missing > 0 && count("withdrawn") == 0 {
        text.push_str(&format!(
            "\n{} not in this edition; `--confirm-missing {missing}` retracts",
            counted(missing, "entry is|entries are"),
        ));
    }
    for (what, count) in summary["dropped"].as_object().into_iter().flatten() {
        text.push_str(&format!("\ndropped {what}: {count}"));
    }
    if let Some(columns) = summary["ignored_columns"]
        .as_array()
        .filter(|list| !list.is_empty())
    {
        let names: Vec<&str> = columns.iter().filter_map(Value::as_str).collect();
        text.push_str(&format!("\nignored columns: {}", names.join(", ")));
    }
    text
}

/// What an operator sees while a file is taken in.
struct Screen {
    bar: Option<ProgressBar>,
    phase: Option<IngestPhase>,
    last_line: Instant,
    report: Option<BufWriter<File>>,
    json: bool,
    lines: u64,
    fault: Option<std::io::Error>,
}

impl Screen {
    fn new(args: &IngestArgs, json: bool) -> Result<Self, Failure> {
        let report = args
            .report
            .as_ref()
            .map(File::create)
            .transpose()
            .map_err(Failure::input)?;
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = "{msg:9} {wide_bar} {human_pos} of {human_len}  {per_sec}  {eta}";
            let bar = ProgressBar::new(0);
            bar.with_style(
                ProgressStyle::with_template(style)
                    .unwrap_or_else(|_| ProgressStyle::default_bar()),
            )
        });
        Ok(Self {
            bar,
            phase: None,
            last_line: Instant::now(),
            report: report.map(BufWriter::new),
            json,
            lines: 0,
            fault: None,
        })
    }

    fn show(&mut self, line: Line) {
        match line {
            Line::Progress(step) => self.progress(step),
            Line::Report(line) => self.report(&line),
            // The client keeps these for itself.
            Line::Match(_) | Line::Done(_) | Line::Error(_) => {}
        }
    }

    fn progress(&mut self, step: IngestProgress) {
        let name = match step.phase {
            IngestPhase::Read => "reading",
            IngestPhase::LookUp => "matching",
            IngestPhase::Decide => "deciding",
            IngestPhase::Sign => "signing",
        };
        let new_phase = self.phase.replace(step.phase) != Some(step.phase);
        if let Some(bar) = &self.bar {
            bar.set_message(name);
            bar.set_length(step.total.unwrap_or(step.done));
            bar.set_position(step.done);
        } else if new_phase || self.last_line.elapsed() > Duration::from_secs(5) {
            self.last_line = Instant::now();
            let of = step
                .total
                .map(|total| format!(" of {total}"))
                .unwrap_or_default();
            eprintln!("{name}: {}{of}", step.done);
        }
    }

    fn report(&mut self, line: &Value) {
        self.lines += 1;
        if let Some(report) = &mut self.report {
            let written = writeln!(report, "{line}");
            self.fault = self.fault.take().or(written.err());
        } else if self.json {
            println!("{line}");
        } else if self.lines <= LINES_SHOWN {
            eprintln!("{line}");
        }
    }

    fn finish(self) -> Result<u64, Failure> {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
        let flushed = self.report.map_or(Ok(()), |mut report| report.flush());
        match self.fault.map_or(flushed, Err) {
            Ok(()) => Ok(self.lines),
            Err(error) => Err(Failure::failed(format!(
                "the report could not be written: {error}"
            ))),
        }
    }
}
