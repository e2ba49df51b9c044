//! The answer to a check, in words: what matched, against what, at which cost, and what it does not mean.

use std::fmt::Write as _;
use std::path::Path;

use crate::audit::at::At;
use crate::matching::check::CheckReport;
use crate::matching::client::{Checked, Found};
use crate::page::text::counted;
use hashpact_keys::Timestamp;

/// Line numbers that a terminal is shown for one group; the rest is in `--out` and `--json`.
const LINES_SHOWN: usize = 40;

/// The whole answer.
pub(super) fn text(report: &CheckReport, found: &[Found], out: Option<&Path>) -> String {
    let mut text = String::new();
    let matches: u64 = report.checks.iter().map(|check| check.matches).sum();
    let _ = writeln!(
        text,
        "{} of {} values are held by {}, in the classes that it lets you match for {}.",
        number(matches),
        number(report.list.values),
        report.centre,
        report.purpose,
    );
    for check in &report.checks {
        one(&mut text, check, found);
    }
    let list = &report.list;
    if list.blank > 0 {
        let _ = writeln!(text, "{} blank lines.", number(list.blank.into()));
    }
    if list.guarded > 0 {
        let _ = writeln!(
            text,
            "{} lines hold values that no list may hold, such as the digest of the empty file, and were not asked about: {}.",
            number(list.guarded.into()),
            lines(&list.guarded_lines, list.guarded as usize),
        );
    }
    if let Some(out) = out {
        let _ = writeln!(text, "Written: {}", out.display());
    }
    text.push('\n');
    text.push_str(&meaning(report));
    text
}

fn one(text: &mut String, check: &Checked, found: &[Found]) {
    let witnessed = match check.witnessed_at {
        Some(at) => format!("witnessed {}", At(Timestamp::new(at))),
        None => "not witnessed: a demonstration".to_owned(),
    };
    let _ = writeln!(
        text,
        "\n{}: {} of {} match.  {}, epoch {}, manifest {} (leaf {}), {witnessed}",
        check.kind,
        number(check.matches),
        number(check.values),
        check.origin,
        check.epoch,
        check.manifest,
        check.leaf,
    );
    for group in &check.groups {
        let matches = group.matches.map_or_else(String::new, |matches| {
            format!(": {} match", number(matches))
        });
        let _ = writeln!(
            text,
            "  group {} ({}, {} held){matches}",
            group.group,
            counted(group.classes, "class|classes"),
            number(group.held),
        );
        if group.unopened > 0 {
            let _ = writeln!(
                text,
                "    warning: {} labels do not open and are no match here: report it to {}",
                number(group.unopened),
                check.centre,
            );
        }
        let of_group = |piece: &&Found| piece.kind == check.kind && piece.group == group.group;
        let mut labels: Vec<Option<&str>> = Vec::new();
        for piece in found.iter().filter(of_group) {
            if !labels.contains(&piece.label.as_deref()) {
                labels.push(piece.label.as_deref());
            }
        }
        for label in labels {
            let pieces = found.iter().filter(of_group);
            let pieces = pieces.filter(|piece| piece.label.as_deref() == label);
            let all: Vec<u32> = pieces
                .flat_map(|piece| piece.lines.iter().copied())
                .collect();
            let label = label.map_or_else(String::new, |label| format!("{label}: "));
            let _ = writeln!(text, "    {label}lines {}", lines(&all, all.len()));
        }
    }
    match &check.session {
        Some(session) => {
            let random = match session.random {
                0 => String::new(),
                random => format!(", {} of them random", number(random)),
            };
            let _ = writeln!(
                text,
                "  charged {}{random}; {} of {} used today (session {})",
                number(session.charged),
                number(session.used),
                number(session.per_day),
                session.id,
            );
        }
        None => text.push_str("  nothing charged: all of it was asked before in this epoch\n"),
    }
}

/// The first of some line numbers.
fn lines(all: &[u32], count: usize) -> String {
    let shown: Vec<String> = all.iter().take(LINES_SHOWN).map(u32::to_string).collect();
    let more = match count.saturating_sub(shown.len()) {
        0 => String::new(),
        more => format!(" and {} more (--out, --json)", number(more as u64)),
    };
    format!("{}{more}", shown.join(", "))
}

fn meaning(report: &CheckReport) -> String {
    let mut text = "What this does not mean:\n".to_owned();
    text.push_str(
        "- No known match is not \"clean\": only equal values match, so a changed file has another fingerprint, and only what this\n  centre holds itself, in classes that it lets you match, was compared.\n",
    );
    if report
        .checks
        .iter()
        .any(|check| check.kind == "pdq" || check.kind == "photodna")
    {
        text.push_str(
            "- Perceptual hashes were compared for equality alone: near matches are not found this way.\n",
        );
    }
    match report.mode.as_str() {
        "count" => text.push_str(
            "- A count is what the centre let come out: in this mode it is trusted to follow the protocol.\n",
        ),
        _ => text.push_str(
            "- A match errs with at most one in 2^40 for each value. It says that the centre holds the value, not that you may see\n  its record, and not what is in your file: a person assesses it.\n",
        ),
    }
    text.push_str(
        "- The centre has learnt how many values you asked about, when and what for; both sides have logged it, sealed.\n",
    );
    text
}

/// Digits in threes.
pub(in super::super) fn number(number: u64) -> String {
    indicatif::HumanCount(number).to_string()
}

#[cfg(test)]
mod tests;
