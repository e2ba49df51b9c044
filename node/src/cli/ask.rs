//! Commands that ask the running node: `status`, `ingest`, `retract`.

pub(super) mod said;
mod witnessing;

use std::fs::File;
use std::io::{BufWriter, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use comfy_table::{Table, presets};
use hashpact_keys::Timestamp;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::{Answer, Failure};
use crate::audit::at::At;
use crate::clock;
use crate::control::client::Client;
use crate::control::{Line, Request};
use crate::daemon::{IngestPhase, IngestProgress, LogStatus, Status};
use crate::home::Home;
use crate::ingest::{EXAMPLE, Profile};
use crate::page::text::counted;

/// Entries in one request: their ids stay well below the length of a line.
const RETRACTED_AT_ONCE: usize = 20_000;
/// Report lines that a person is shown; the rest is in the report file.
const LINES_SHOWN: u64 = 20;
const DELTAS: &str = "delta|deltas";

#[derive(Args)]
#[command(
    after_help = "Exit codes: 0 all rows taken or known, 1 some rows refused, 2 the file refused.\n\nExamples:\n  hashpact ingest list.csv --profile list.toml\n  hashpact ingest list.csv --profile list.toml --report list.report.jsonl --accept-bad 12"
)]
pub(super) struct IngestArgs {
    /// The list: CSV with a header, or md5sum/sha256sum text.
    file: PathBuf,
    /// How to read it.
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
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

#[derive(Args)]
#[command(
    after_help = "The retraction goes to every centre at once and says nothing but that the entry ended. The reason follows it to those who may\nhold the entry; adult, not_csam and collision also flag every other centre's entry that shares a cryptographic fingerprint.\nOf an entry that is retracted already the reason alone is given.\n\nReasons: adult, age_undetermined, not_csam, wrong_depiction, collision, rights_request, other_law, superseded.\n\nExamples:\n  hashpact retract 0f5e2c9a77d14b0d8e2f6a1b3c4d5e6f --reason not_csam\n  hashpact retract --from wrong.txt --reason adult"
)]
pub(super) struct RetractArgs {
    /// Entry ids, as `lookup` prints them.
    entries: Vec<String>,
    /// Read more entry ids from a file, one a line.
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Why, for those who may know.
    #[arg(long)]
    reason: Option<String>,
}

pub(super) fn status(home: &Home) -> Result<Answer, Failure> {
    let json = Client::connect(home)?.ask(&Request::Status, |_| {})?;
    let status: Status = serde_json::from_value(json.clone()).map_err(Failure::failed)?;
    Ok(Answer::new(json, describe(&status)))
}

fn describe(status: &Status) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "log",
        "leaves",
        "deltas applied",
        "entries",
        "retracted",
        "peer",
        "in",
        "out",
    ]);
    let logs = std::iter::once(&status.own).chain(&status.mirrored);
    for log in logs {
        let peer = status.peers.iter().find(|peer| peer.centre == log.centre);
        let up = peer.map_or("this node", |peer| if peer.up { "up" } else { "down" });
        let bytes = |pick: fn(&crate::daemon::PeerStatus) -> u64| {
            peer.map(pick)
                .map(|bytes| indicatif::HumanBytes(bytes).to_string())
                .unwrap_or_default()
        };
        table.add_row([
            log.origin.clone(),
            leaves(log),
            format!("{} of {}", log.applied, log.deltas),
            log.held.to_string(),
            log.retracted.to_string(),
            up.to_owned(),
            bytes(|peer| peer.bytes_in),
            bytes(|peer| peer.bytes_out),
        ]);
    }
    let mut text = format!(
        "Centre {} on roster {} of network {}{}\n{table}\n",
        status.centre,
        status.roster_version,
        status.network,
        if status.demo { " (demo)" } else { "" },
    );
    if let Some(seen) = status.behind {
        text.push_str(&format!(
            "STOPPED SIGNING: peers hold {} of this centre's log. This disk is an old copy.\n",
            counted(seen, "leaf|leaves")
        ));
    }
    text.push_str(&witnessing::lines(status));
    text.push_str(&witnessing::policies(status));
    text.push_str(&witnessing::recalls(status));
    text.push_str(&said::open(&status.open));
    text.push_str(&witnessing::matching(status));
    text.push_str(&witnessing::gateway(status));
    if status.roster_expires_at <= clock::now().get() {
        text.push_str(
            "The roster has expired: retractions act, records wait. Apply its successor.\n",
        );
    }
    if status.ingesting {
        text.push_str("A file is being ingested.\n");
    }
    for seen in status.events.iter().filter(|seen| seen.is_alarm()) {
        text.push_str(&format!("{}  {}\n", when(seen.at), seen.text));
    }
    text
}

/// A time that came as Unix seconds.
fn when(at: u64) -> At {
    At(Timestamp::new(at))
}

fn leaves(log: &LogStatus) -> String {
    if log.size == log.head {
        log.size.to_string()
    } else {
        format!("{} of {}", log.size, log.head)
    }
}

pub(super) fn ingest(home: &Home, args: &IngestArgs, json: bool) -> Result<Answer, Failure> {
    let Some(profile) = &args.profile else {
        return Err(Failure::input(format!(
            "a list is read by a profile: say which columns it has, and state every label. Save this as list.toml, change it, and give --profile list.toml\n\n{EXAMPLE}"
        )));
    };
    let profile_path = profile.display().to_string();
    let text = std::fs::read_to_string(profile)
        .map_err(|error| Failure::input(format!("{profile_path}: {error}")))?;
    Profile::from_toml(&text, &profile_path).map_err(Failure::input)?;
    let file = std::path::absolute(&args.file).map_err(Failure::input)?;
    let request = Request::Ingest {
        file,
        profile: text,
        profile_path,
        strict: args.strict,
        accept_bad: args.accept_bad,
    };
    let mut client = Client::connect(home)?;
    let mut screen = Screen::new(args, json)?;
    let answer = client.ask(&request, |line| screen.show(line));
    let shown = screen.finish()?;
    let answer = answer?;
    let summary = &answer["summary"];
    let count = |key: &str| summary[key].as_u64().unwrap_or(0);
    let refused = count("refused") + count("retracted");
    let text = format!(
        "{}: {} new in {}, {} unchanged, {} retracted before and not re-added, {} refused{}",
        counted(count("rows"), "row|rows"),
        count("accepted"),
        counted(answer["deltas"].as_u64().unwrap_or(0), DELTAS),
        count("unchanged"),
        count("retracted"),
        count("refused"),
        if shown > LINES_SHOWN && args.report.is_none() {
            "\nGive --report FILE for the whole report."
        } else {
            ""
        },
    );
    Ok(Answer {
        json: answer,
        text,
        code: u8::from(refused > 0),
    })
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

pub(super) fn retract(home: &Home, args: &RetractArgs) -> Result<Answer, Failure> {
    let mut entries = args.entries.clone();
    if let Some(file) = &args.from {
        let text = std::fs::read_to_string(file)
            .map_err(|error| Failure::input(format!("{}: {error}", file.display())))?;
        entries.extend(text.split_whitespace().map(str::to_owned));
    }
    if entries.is_empty() {
        return Err(Failure::input(
            "give entry ids, as `lookup` prints them, or --from FILE",
        ));
    }
    let mut client = Client::connect(home)?;
    let (mut retracted, mut reasons, mut deltas) = (0, 0, Vec::new());
    for part in entries.chunks(RETRACTED_AT_ONCE) {
        let answer = client.ask(
            &Request::Retract {
                entries: part.to_vec(),
                reason: args.reason.clone(),
            },
            |_| {},
        )?;
        retracted += answer["retracted"].as_u64().unwrap_or(0);
        reasons += answer["reasons"].as_u64().unwrap_or(0);
        deltas.extend(Some(answer["delta"].clone()).filter(|delta| !delta.is_null()));
    }
    let parts = counted(deltas.len() as u64, DELTAS);
    let mut text = format!("{retracted} retracted in {parts}.");
    let mut json = json!({ "retracted": retracted, "deltas": deltas });
    if args.reason.is_some() {
        json["reasons"] = json!(reasons);
        let given = counted(reasons, "reason is|reasons are");
        text.push_str(&format!(" {given} on the way to those who may know."));
    }
    Ok(Answer::new(json, text))
}
