//! `hashpact policy check`.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::super::{Answer, Failure};
use super::table;
use crate::audit::at::At;
use crate::clock;
use crate::page::text::counted;
use crate::policy::check::{Checked, GrantLine, GrantState, MatchLine, SOON_DAYS, Summary, check};
use crate::policy::files::Found;

#[derive(Args)]
#[command(
    after_help = "A profile is a folder with profile.toml (facts, grants) and *.cedar (policies). A folder of profiles is checked one by one;\na file stands for its whole folder, because a document with one fault is refused as a whole; a signed document is checked\nby what is in it. Exit codes: 0 all may be signed, 1 there are faults, 2 no profile is there.\n\nExamples:\n  hashpact policy check profiles/ca\n  hashpact policy check profiles --json\n  hashpact policy check profiles/ca/share.cedar --counsel"
)]
pub(in super::super) struct CheckArgs {
    /// Folders of profiles, files of a profile, or policy documents.
    #[arg(required = true, value_name = "FILE|DIR")]
    paths: Vec<PathBuf>,
    /// List the policies and facts that counsel must still confirm.
    #[arg(long)]
    counsel: bool,
    /// Tell grants as of this time, in place of the clock: a date such as 2027-01-31.
    #[arg(long, value_name = "TIME")]
    at: Option<At>,
}

pub(super) fn run(args: &CheckArgs) -> Result<Answer, Failure> {
    let now = args.at.map_or_else(clock::now, |at| at.0);
    let mut found: Vec<Found> = Vec::new();
    for path in &args.paths {
        found.extend(Found::all(path).map_err(Failure::input)?);
    }
    // Several files of one folder stand for it once.
    found.sort_by(|a, b| a.place.cmp(&b.place));
    found.dedup_by(|a, b| a.place == b.place);
    let checked: Vec<Checked> = found.iter().map(|found| check(found, now)).collect();
    let ok = checked.iter().all(|checked| checked.ok);
    let json = json!({ "ok": ok, "profiles": checked });
    let mut text = String::new();
    for checked in &checked {
        describe(&mut text, checked, args.counsel);
    }
    Ok(Answer {
        json,
        text,
        code: u8::from(!ok),
    })
}

fn describe(text: &mut String, checked: &Checked, counsel: bool) {
    if let Some(profile) = &checked.profile {
        summary(text, &checked.place, profile, counsel);
        return;
    }
    for fault in &checked.faults {
        let _ = writeln!(text, "{}", fault.text);
    }
    let (count, place) = (checked.faults.len(), &checked.place);
    let faults = if count == 1 { "fault" } else { "faults" };
    let _ = writeln!(
        text,
        "{place}: {count} {faults}; a document with a fault is not signed, and a node keeps the policy that it has\n"
    );
}

fn summary(text: &mut String, place: &str, profile: &Summary, counsel: bool) {
    let Summary {
        name,
        jurisdiction,
        purpose,
        policies,
        ..
    } = profile;
    let _ = writeln!(
        text,
        "{place}: ok: profile {name}, law of {jurisdiction}, {policies} policies, asks for {purpose}"
    );
    let _ = writeln!(
        text,
        "  widens      {} h after it is witnessed; narrows at once",
        profile.widen_after_hours
    );
    grants(text, &profile.grants);
    let (confirm, facts) = (profile.confirm.len(), profile.unverified.len());
    let _ = match &profile.signed_off {
        Some(counsel) => writeln!(text, "  counsel     signed off {counsel}"),
        None => writeln!(
            text,
            "  counsel     must confirm {confirm} of {policies} policies, and {facts} facts that nobody verified{}; until then it \
             runs on demonstrations only",
            if counsel {
                ""
            } else {
                " (--counsel lists them)"
            }
        ),
    };
    if counsel {
        to_confirm(text, profile);
    }
    text.push('\n');
}

fn grants(text: &mut String, grants: &[GrantLine]) {
    let count = |state| grants.iter().filter(|it| it.state == state).count();
    let _ = writeln!(
        text,
        "  grants      {} open, {} within {SOON_DAYS} days, {} ahead, {} ended",
        count(GrantState::Open) + count(GrantState::EndsSoon),
        counted(
            count(GrantState::EndsSoon) as u64,
            "of them ends|of them end"
        ),
        count(GrantState::Ahead),
        count(GrantState::Ended)
    );
    for grant in grants.iter().filter(|it| it.state != GrantState::Open) {
        let _ = writeln!(text, "              {}", line(grant));
    }
}

/// A grant in one line.
pub(super) fn line(grant: &GrantLine) -> String {
    let GrantLine {
        id,
        with,
        opens,
        closes,
        ..
    } = grant;
    let when = match (grant.state, grant.days_left) {
        (GrantState::Ahead, _) => format!("opens {opens}, closes {closes}"),
        (GrantState::Ended, _) => format!("closed {closes}"),
        (GrantState::EndsSoon, Some(days)) => {
            format!("open until {closes}, {} left", counted(days, "day|days"))
        }
        (GrantState::Open | GrantState::EndsSoon, _) => format!("open until {closes}"),
    };
    let mut text = format!("{id} with {with} ({}): {when}", grant.basis);
    if let Some(MatchLine { modes, per_day }) = &grant.matching {
        let modes = modes.join(", ");
        text.push_str(&format!("; matches {modes}, {per_day} items a day"));
    } else if grant.actions.contains(&"match") {
        text.push_str("; names no mode of matching, so nothing is matched under it");
    }
    text
}

fn to_confirm(text: &mut String, profile: &Summary) {
    let mut table = table(["to confirm", "stands in", "basis"]);
    for policy in &profile.confirm {
        table.add_row([&policy.id, &policy.at, &policy.basis]);
    }
    for fact in &profile.unverified {
        let basis = format!("{} ({})", fact.says, fact.source);
        table.add_row([fact.topic, "profile.toml", &basis]);
    }
    let _ = writeln!(text, "{table}");
}
