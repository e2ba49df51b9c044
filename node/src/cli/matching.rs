//! `hashpact match`: which values of a list a centre holds and may not share, without either list being shown.
//!
//! In a centre's home the running node does it; in a member's home this process does, by itself.

mod screen;
mod words;

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use clap::Args;
use hashpact_keys::CentreId;
use hashpact_protocol::fingerprint::Algorithm;
use hashpact_protocol::labels::Purpose;
use hashpact_protocol::lists::ClosedList;
use hashpact_protocol::policy::MatchMode;
use serde_json::{Value, json};

use super::{Answer, Failure};
use crate::control::client::{Client, ClientError};
use crate::control::matching::{MatchAsk, fault};
use crate::control::{Line, Request};
use crate::home::Home;
use crate::matching::check::{CheckOrder, CheckReport, Checker};
use crate::matching::client::list::List;
use crate::matching::client::{Found, Hear};
use crate::matching::member::{MemberError, MemberHome};
use screen::Screen;

/// How a member's process waits for threads that are still at work.
const STRAGGLERS: std::time::Duration = std::time::Duration::from_secs(1);

#[derive(Args)]
#[command(
    after_help = "The list has one fingerprint a line: TYPE:VALUE, or a bare value of --type, or a bare md5, sha1 or sha256 by its length.\nBlank lines are skipped; a line that is no fingerprint refuses the list. Each type is a session of its own.\n\nA session has at least 100 values, a count at least 1,000, and every value is charged to the quota of the day. What was\nasked in this epoch is not asked, and not charged, again; a command that was cut goes on when it is repeated.\n\nExit codes: 0 checked, whatever matched; 1 refused, by policy, quota or rule; 2 the list is refused; 3 failed: repeat it.\n\nExamples:\n  hashpact --home ca match --with eu --list suspects.txt\n  hashpact --home ca match --with eu --list hashes.txt --type pdq --mode count --json\n  hashpact --home member match --list uploads.txt --mode labels --purpose remove --out matched.csv"
)]
pub(super) struct MatchArgs {
    /// The centre to check against; a member has one.
    #[arg(long, value_name = "CENTRE")]
    with: Option<CentreId>,
    /// The list.
    #[arg(long, value_name = "FILE")]
    list: PathBuf,
    /// What is to be learnt: items (which lines match), labels (and what is known of them), count (how many).
    #[arg(long, default_value = "items", value_parser = word::<MatchMode>)]
    mode: MatchMode,
    /// The type of values without a name: md5, sha1, sha256, blake3, pdq or photodna.
    #[arg(long = "type", value_name = "TYPE", value_parser = kind)]
    kind: Option<Algorithm>,
    /// What a match will be used for; policy decides by it.
    #[arg(long, default_value = "detect", value_parser = word::<Purpose>)]
    purpose: Purpose,
    /// Fill a list that is too short up with random values. They are charged too.
    #[arg(long)]
    pad: bool,
    /// Write the lines that match, with type, group and labels, as CSV to this file.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// A word of a closed list, in lower case as files have it.
pub(super) fn word<T: ClosedList>(text: &str) -> Result<T, String> {
    T::from_name(text).ok_or_else(|| {
        let names: Vec<&str> = T::VALUES.iter().map(|(_, name)| *name).collect();
        format!("expected {}", names.join(", "))
    })
}

pub(super) fn kind(text: &str) -> Result<Algorithm, String> {
    let kind = Algorithm::from_name(text).filter(|kind| kind.code().is_some());
    kind.ok_or_else(|| "expected md5, sha1, sha256, blake3, pdq or photodna".to_owned())
}

pub(super) fn run(home: &Home, args: &MatchArgs) -> Result<Answer, Failure> {
    if args.out.as_deref() == Some(&args.list) {
        return Err(Failure::input("--out would overwrite the list"));
    }
    let member = MemberHome::new(home.path());
    let (value, found) = match member.is_made() {
        true => {
            let order = |centre: &CentreId| ask(args, centre)?.order().map_err(Failure::input);
            by_itself(&member, args.with.as_ref(), order, None)?
        }
        false => by_the_node(home, args)?,
    };
    let report: CheckReport = serde_json::from_value(value.clone()).map_err(Failure::failed)?;
    let mut json = value;
    json["found"] = json!(found);
    if let Some(out) = &args.out {
        write_found(out, &found)
            .map_err(|error| Failure::failed(format!("{}: {error}", out.display())))?;
    }
    let text = words::text(&report, &found, args.out.as_deref());
    Ok(Answer::new(json, text))
}

fn ask(args: &MatchArgs, with: &CentreId) -> Result<MatchAsk, Failure> {
    Ok(MatchAsk {
        with: with.to_string(),
        file: std::path::absolute(&args.list).map_err(Failure::input)?,
        kind: args.kind.as_ref().map(|kind| kind.name().to_owned()),
        mode: args.mode.name().to_owned(),
        purpose: args.purpose.name().to_owned(),
        pad: args.pad,
    })
}

/// Asks the running node of a centre.
fn by_the_node(home: &Home, args: &MatchArgs) -> Result<(Value, Vec<Found>), Failure> {
    let with = args.with.as_ref();
    let with = with.ok_or_else(|| Failure::input("say whom to ask: --with CENTRE"))?;
    let request = Request::Match(ask(args, with)?);
    let mut screen = Screen::new();
    let mut found = Vec::new();
    let answer = Client::connect(home)?.ask(&request, |line| match line {
        Line::Match(step) => screen.show(&step),
        Line::Report(piece) => found.extend(serde_json::from_value::<Found>(piece).ok()),
        Line::Progress(_) | Line::Done(_) | Line::Error(_) => {}
    });
    screen.finish();
    Ok((answer?, found))
}

/// Does it in this process, for a member: with this list, or else the one in the order's file.
pub(super) fn by_itself(
    home: &MemberHome,
    with: Option<&CentreId>,
    order: impl FnOnce(&CentreId) -> Result<CheckOrder, Failure>,
    list: Option<List>,
) -> Result<(Value, Vec<Found>), Failure> {
    let member = home.open().map_err(member_failure)?;
    if with.is_some_and(|with| *with != member.centre) {
        let own = &member.centre;
        return Err(Failure::input(format!(
            "this home is a member's of {own}, and of no other centre"
        )));
    }
    let order = order(&member.centre)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(Failure::failed)?;
    let screen = Arc::new(Mutex::new(Screen::new()));
    let shown = Arc::clone(&screen);
    let hear: Hear = Arc::new(move |step| {
        shown
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .show(&step);
    });
    let mut found = Vec::new();
    let checked = runtime.block_on(async {
        let opener = member.connect().await.map_err(member_failure)?;
        let checker = Checker {
            opener: &opener,
            roster: Arc::new(member.roster.roster().clone()),
            caches: &member.caches,
            node: None,
            hear,
        };
        let mut take = |piece| found.push(piece);
        let checked = match list {
            Some(list) => checker.check_list(&order, list, &mut take).await,
            None => checker.check(&order, &mut take).await,
        };
        opener.net.shutdown().await;
        checked.map_err(|error| Failure::from(ClientError::Fault(fault(&error))))
    });
    runtime.shutdown_timeout(STRAGGLERS);
    screen
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .finish();
    let report = serde_json::to_value(checked?).map_err(Failure::failed)?;
    Ok((report, found))
}

pub(super) fn member_failure(error: MemberError) -> Failure {
    match error {
        MemberError::Exists(_) | MemberError::Roster { .. } => Failure::no(error),
        MemberError::Missing(_)
        | MemberError::NoRoster
        | MemberError::NoCentre { .. }
        | MemberError::Config(_) => Failure::input(error),
        MemberError::Locked(_)
        | MemberError::Key(_)
        | MemberError::Net(_)
        | MemberError::Unreachable { .. }
        | MemberError::Io { .. } => Failure::failed(error),
    }
}

/// One row for each line and group. It names lines and labels, and no fingerprint.
fn write_found(path: &Path, found: &[Found]) -> std::io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    writeln!(file, "line,type,group,label")?;
    let mut rows: Vec<_> = found
        .iter()
        .flat_map(|piece| piece.lines.iter().map(move |line| (*line, piece)))
        .collect();
    rows.sort_by_key(|(line, piece)| (*line, piece.group));
    for (line, piece) in rows {
        let label = piece.label.as_deref().unwrap_or_default();
        writeln!(file, "{line},{},{},\"{label}\"", piece.kind, piece.group)?;
    }
    file.flush()
}
