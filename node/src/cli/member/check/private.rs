//! `--private`: the same files or hashes asked of a centre, which learns how many there are.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use hashpact_keys::CentreId;
use hashpact_protocol::fingerprint::Fingerprint;
use hashpact_protocol::policy::MatchMode;
use serde_json::{Value, json};

use super::super::super::matching::by_itself;
use super::{Answer, CheckArgs, Failure, Home, code, gather, words};
use crate::matching::check::CheckOrder;
use crate::matching::client::list::List;
use crate::matching::member::MemberHome;
use crate::near::known::{Tier, is_weak};

/// Where a value came from.
struct Source {
    path: Option<PathBuf>,
    line: Option<u32>,
}

pub(super) fn check(home: &Home, args: &CheckArgs) -> Result<Answer, Failure> {
    let member = MemberHome::new(home.path());
    if !member.is_made() {
        return Err(Failure::input(
            "--private asks from a member's home: `hashpact member init` makes one; a centre uses `hashpact match`",
        ));
    }
    let mut values: Vec<Fingerprint> = Vec::new();
    let mut sources: Vec<Source> = Vec::new();
    let gathered = gather(args, &mut |subject| {
        for fingerprint in subject.fingerprints {
            if fingerprint.algorithm().code().is_some() {
                values.push(fingerprint);
                sources.push(Source {
                    path: subject.path.clone(),
                    line: subject.line,
                });
            }
        }
    })?;
    let list = List::of_values(values.into_iter()).map_err(Failure::input)?;
    let order = |centre: &CentreId| {
        Ok(CheckOrder {
            centre: centre.clone(),
            file: PathBuf::new(),
            bare: None,
            mode: MatchMode::Items,
            purpose: args.purpose,
            pad: args.pad,
        })
    };
    let (report, found) = by_itself(&member, args.with.as_ref(), order, Some(list))?;
    let mut rows: BTreeMap<(u32, u32), Value> = BTreeMap::new();
    for piece in &found {
        for number in &piece.lines {
            let source = sources.get((*number as usize).saturating_sub(1));
            if let Some(source) = source {
                rows.insert(
                    (*number, piece.group),
                    row(source, &piece.kind, piece.group),
                );
            }
        }
    }
    let is_of = |source: &Source| (source.path.clone(), source.line);
    let matched = rows.keys().filter_map(|(number, _)| {
        let source = sources.get((*number as usize).saturating_sub(1));
        source.map(is_of)
    });
    let matched = matched.collect::<std::collections::BTreeSet<_>>().len() as u64;
    let rows: Vec<Value> = rows.into_values().collect();
    let mut text = words::summary(&gathered);
    let _ = writeln!(
        text,
        "{matched} match at {}.",
        report["centre"].as_str().unwrap_or_default()
    );
    for row in &rows {
        text.push_str(&line(row));
    }
    let mut json = gathered.json();
    json["private"] = report;
    json["matched"] = json!(matched);
    json["matches"] = json!(rows);
    json["declared_error"] = words::declared_error();
    Ok(Answer {
        json,
        text,
        code: code(matched, &gathered),
    })
}

fn row(source: &Source, kind: &str, group: u32) -> Value {
    let algorithm = hashpact_protocol::fingerprint::Algorithm::from_name(kind);
    json!({
        "file": source.path.as_ref().map(|path| path.to_string_lossy()),
        "line": source.line,
        "tier": algorithm.as_ref().map(|it| Tier::exact(it).name()),
        "weak": algorithm.as_ref().is_some_and(is_weak),
        "algorithm": kind,
        "distance": 0,
        "threshold": 0,
        "group": group,
    })
}

fn line(row: &Value) -> String {
    let subject = match row["file"].as_str() {
        Some(file) => words::plain(file),
        None => format!("line {}", row["line"]),
    };
    let word = |key: &str| row[key].as_str().unwrap_or_default();
    let weak = if row["weak"] == json!(true) {
        " weak"
    } else {
        ""
    };
    let (tier, algorithm, group) = (word("tier"), word("algorithm"), &row["group"]);
    format!("{subject}: {tier}{weak} by {algorithm}, group {group}\n")
}
