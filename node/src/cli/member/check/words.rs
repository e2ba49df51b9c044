//! The text of a check, for people. No fingerprint is in it.

use std::fmt::Write as _;

use hashpact_keys::Timestamp;
use serde_json::{Value, json};

use super::Report;
use super::gather::Gathered;
use crate::audit::at::At;
use crate::clock;
use crate::near::known::Known;

/// Rows that a person is shown; `--json` has all.
const ROWS_SHOWN: usize = 1_000;
/// A day: retractions are due at members within it.
const FRESH_S: u64 = 86_400;

/// The error rates that every match is told with.
pub(super) fn declared_error() -> Value {
    json!({
        "list": { "rate": 1.1e-4, "of": "entries found wrong in an audit of one list: 59 of 538,922 (NCMEC, 2023)" },
        "near": { "rate": 8.0e-3, "of": "pairs of different pictures within 31 bits, icon families among them: 59 of 7,381" },
        "weak": "files can be made that share an md5 or a sha1",
    })
}

pub(super) fn text(report: &Report, known: &Known, gathered: &Gathered) -> String {
    let mut text = summary(gathered);
    let _ = writeln!(text, "{} match.", report.matched);
    for row in report.rows.iter().take(ROWS_SHOWN) {
        text.push_str(&line(row));
    }
    let hidden = report.rows.len().saturating_sub(ROWS_SHOWN) as u64 + report.more;
    if hidden > 0 {
        let _ = writeln!(text, "… and {hidden} more: --json has up to 100,000.");
    }
    let list = &known.index().head().list;
    let _ = writeln!(
        text,
        "List: {} entries of {} for {}, at cursor {}, manifest of {}.",
        known.index().len(),
        list.centre,
        list.member,
        list.cursor,
        At(Timestamp::new(list.issued_at))
    );
    if list.issued_at.saturating_add(FRESH_S) < clock::now().get() {
        text.push_str(
            "It is older than a day: run `hashpact member sync` before you act on a match.\n",
        );
    }
    if report.matched > 0 {
        text.push_str(
            "Declared error: 1.1e-4 of a list's entries; for T3 8.0e-3 of pairs of different pictures. A person looks at a T3 first.\n",
        );
    }
    text
}

/// What was read, and what could not be.
pub(super) fn summary(gathered: &Gathered) -> String {
    let mut text = String::new();
    for (path, fault) in &gathered.told {
        let _ = writeln!(text, "{}: {fault}", plain(&path.to_string_lossy()));
    }
    let hidden = gathered.faults.saturating_sub(gathered.told.len() as u64);
    if hidden > 0 {
        let _ = writeln!(text, "… and {hidden} more that cannot be read.");
    }
    match gathered.hashes + gathered.guarded {
        0 => {
            let Gathered {
                files,
                bytes,
                pictures,
                flat,
                passed,
                faults,
                ..
            } = gathered;
            let _ = writeln!(
                text,
                "{files} files, {bytes} bytes; {pictures} pictures with a pdq hash, {flat} too flat for one; {passed} links and special files passed over; {faults} faults."
            );
        }
        _ => {
            let (hashes, guarded) = (gathered.hashes, gathered.guarded);
            let _ = writeln!(text, "{hashes} hashes; {guarded} that no list may hold.");
        }
    }
    text
}

fn line(row: &Value) -> String {
    let word = |key: &str| row[key].as_str().unwrap_or_default();
    let subject = match row["file"].as_str() {
        Some(file) => plain(file),
        None => format!("line {}", row["line"]),
    };
    let mut tier = word("tier").to_owned();
    if row["weak"] == json!(true) {
        tier.push_str(" weak");
    }
    if tier == "T3" {
        tier.push_str(" near");
    }
    let mut marks = String::new();
    for mark in ["disputed", "flagged"] {
        if row[mark] == json!(true) {
            let _ = write!(marks, ", {}", mark.to_uppercase());
        }
    }
    format!(
        "{subject}: {tier} by {} (distance {} of at most {}), {} {} revision {}, class {}{marks}\n",
        word("algorithm"),
        row["distance"],
        row["threshold"],
        word("origin"),
        word("entry"),
        row["revision"],
        row["class"],
    )
}

/// A file's name without characters that would steer a terminal.
pub(super) fn plain(name: &str) -> String {
    let visible = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    name.chars().map(visible).collect()
}
