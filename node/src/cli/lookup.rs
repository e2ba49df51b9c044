//! `hashpact lookup`: which entries have a fingerprint, or each of a list.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use clap::Args;
use hashpact_protocol::fingerprint::Algorithm;
use serde_json::{Value, json};

use super::ask::said;
use super::{Answer, Failure};
use crate::control::client::{Ahead, Client};
use crate::control::{Found, LOOKUPS_MAX, Line, Request};
use crate::home::Home;
use crate::matching::client::list::{LineFault, Lines};

/// Hits that a person is shown; `--json` has all.
const HITS_SHOWN: usize = 1_000;

#[derive(Args)]
#[command(
    after_help = "Each entry is listed, also one that is RETRACTED, VOID (its log is forked and frozen, and it stands beyond the common part)\nor PENDING (this centre's own, not witnessed yet). Those that are retracted or void are no match.\n\nEach fingerprint counts against the day's quota of whoever asks (`[lookup] per_person_day`), and each request leaves a line\nwithout it in data/audit.\n\nExit code 1: no entry has it, or only such as are no match; or the quota is used up.\n\nExamples:\n  hashpact lookup sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n  hashpact lookup --file suspects.txt --json"
)]
pub(super) struct LookupArgs {
    /// ALGORITHM:VALUE, such as md5:… or pdq:…; - reads it from standard input, where no other user sees it.
    #[arg(required_unless_present = "file")]
    fingerprint: Option<String>,
    /// Look up each line of this file: ALGORITHM:VALUE, or a bare value of --type, or a bare md5, sha1 or sha256.
    #[arg(long, value_name = "LIST", conflicts_with = "fingerprint")]
    file: Option<PathBuf>,
    /// The type of values without a name.
    #[arg(long = "type", value_name = "TYPE", requires = "file", value_parser = super::matching::kind)]
    kind: Option<Algorithm>,
}

pub(super) fn lookup(home: &Home, args: &LookupArgs) -> Result<Answer, Failure> {
    if let Some(file) = &args.file {
        return many(home, file, args.kind.as_ref());
    }
    let mut fingerprint = args.fingerprint.clone().unwrap_or_default();
    if fingerprint == "-" {
        fingerprint.clear();
        std::io::stdin()
            .read_line(&mut fingerprint)
            .map_err(Failure::failed)?;
    }
    let (algorithm, value) = fingerprint
        .trim()
        .split_once(':')
        .ok_or_else(|| Failure::input("give ALGORITHM:VALUE, such as md5:… or sha256:…"))?;
    let (algorithm, value) = (algorithm.to_owned(), value.to_owned());
    let json = Client::connect(home)?.ask(&Request::Lookup { algorithm, value }, |_| {})?;
    let entries = json["entries"].as_array().cloned().unwrap_or_default();
    if entries.iter().any(|entry| entry["match"] == json!(true)) {
        let text = entries.iter().map(describe_entry).collect();
        return Ok(Answer::new(json, text));
    }
    let text = no_match(&entries);
    Ok(Answer {
        json,
        text,
        code: 1,
    })
}

/// Looks up a list as it is read: the next requests are on their way while one is answered.
fn many(home: &Home, file: &Path, kind: Option<&Algorithm>) -> Result<Answer, Failure> {
    let opened = File::open(file);
    let opened = opened.map_err(|error| Failure::input(format!("{}: {error}", file.display())))?;
    let requests = Requests {
        lines: Lines::new(BufReader::new(opened)),
        kind,
        ended: false,
    };
    let mut client = Client::connect(home)?;
    let (mut asked, mut matched, mut hits) = (0, 0, Vec::new());
    let each = |numbers: &Vec<u32>, line: Line| match line {
        Line::Report(value) => {
            let Ok(found) = serde_json::from_value::<Found>(value) else {
                return;
            };
            hits.extend(found.hits.into_iter().map(|hit| {
                let line = numbers.get(hit.number as usize).copied();
                let mut json = json!(hit);
                if let Some(fields) = json.as_object_mut() {
                    fields.remove("number");
                    fields.insert("line".to_owned(), json!(line));
                }
                json
            }));
        }
        Line::Done(value) => {
            asked += value["asked"].as_u64().unwrap_or(0);
            matched += value["matched"].as_u64().unwrap_or(0);
        }
        Line::Progress(_) | Line::Match(_) | Line::Error(_) => {}
    };
    match client.ask_ahead(requests, each) {
        Ok(()) => {}
        Err(Ahead::Client(error)) => return Err(error.into()),
        Err(Ahead::Source(text)) => return Err(Failure::input(text)),
    }
    let mut text = format!("{matched} of {asked} match.\n");
    for hit in hits.iter().take(HITS_SHOWN) {
        text.push_str(&describe_hit(hit));
    }
    if hits.len() > HITS_SHOWN {
        let more = hits.len() - HITS_SHOWN;
        text.push_str(&format!("… and {more} more: --json has all of them\n"));
    }
    Ok(Answer {
        json: json!({ "asked": asked, "matched": matched, "hits": hits }),
        text,
        code: u8::from(matched == 0),
    })
}

/// The requests of a list, each with the lines that its fingerprints stand on.
struct Requests<'a, R> {
    lines: Lines<R>,
    kind: Option<&'a Algorithm>,
    ended: bool,
}

impl<R: BufRead> Iterator for Requests<'_, R> {
    type Item = Result<(Request, Vec<u32>), String>;

    fn next(&mut self) -> Option<Self::Item> {
        let (mut fingerprints, mut numbers) = (Vec::new(), Vec::new());
        while !self.ended && fingerprints.len() < LOOKUPS_MAX {
            match self.lines.next(self.kind) {
                Ok(None) => self.ended = true,
                Ok(Some((_, Ok(None)))) => {}
                Ok(Some((number, Ok(Some(print))))) => {
                    let (name, value) = (print.algorithm().name(), hex::encode(print.bytes()));
                    fingerprints.push(format!("{name}:{value}"));
                    numbers.push(number);
                }
                // Nobody can have it, so it is no match.
                Ok(Some((_, Err(fault)))) if fault.is_guarded() => {}
                Ok(Some((number, Err(fault)))) => {
                    self.ended = true;
                    return Some(Err(told(number, &fault)));
                }
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error.to_string()));
                }
            }
        }
        (!fingerprints.is_empty()).then_some(Ok((Request::LookupMany { fingerprints }, numbers)))
    }
}

fn told(number: u32, fault: &LineFault) -> String {
    format!("line {number}: {fault}; the lines before the request that has it were looked up")
}

fn describe_hit(hit: &Value) -> String {
    let text = |key: &str| hit[key].as_str().unwrap_or_default();
    let mark = match (hit["retracted"] == json!(true), text("standing")) {
        (true, _) => " RETRACTED",
        (false, "void") => " VOID",
        (false, "pending") => " PENDING",
        (false, _) => "",
    };
    let (line, revision, class) = (&hit["line"], &hit["revision"], &hit["class"]);
    let (origin, entry, state) = (text("origin"), text("entry"), text("state"));
    format!("line {line}: {origin} {entry} revision {revision}{mark}, class {class}, {state}\n")
}

/// Why none of these entries is a match, each reason once.
fn no_match(entries: &[Value]) -> String {
    let mut reasons: Vec<String> = Vec::new();
    for entry in entries {
        let reason = if entry["retracted"] == json!(true) {
            "retracted".to_owned()
        } else {
            let log = entry["origin"].as_str().unwrap_or_default();
            let size = &entry["frozen"];
            format!("void, as {log} is forked and frozen at size {size}")
        };
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    match reasons.is_empty() {
        true => "no known match".to_owned(),
        false => format!("no known match: {}", reasons.join("; ")),
    }
}

fn describe_entry(entry: &Value) -> String {
    let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
    let locals = entry["local_labels"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let locals: Vec<String> = locals
        .iter()
        .map(|label| {
            let part = |key: &str| label[key].as_str().unwrap_or_default();
            format!("{} = {}", part("scheme"), part("value"))
        })
        .collect();
    let mut marks = String::new();
    if entry["retracted"] == json!(true) {
        marks.push_str(" RETRACTED");
    }
    match text("standing").as_str() {
        "void" => marks.push_str(&format!(
            " VOID: its log is forked and frozen at size {}",
            entry["frozen"]
        )),
        "pending" => marks.push_str(" PENDING: not witnessed yet"),
        _ => {}
    }
    format!(
        "{} {} revision {}{marks}\n  state {}, TLP:{}, {}\n{}",
        text("origin"),
        text("entry"),
        entry["revision"],
        text("state"),
        text("tlp"),
        locals.join(", "),
        said::of_entry(entry),
    )
}
