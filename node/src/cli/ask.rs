//! Commands that ask the running node: `status`, `retract`.

pub(super) mod said;
mod witnessing;

use std::path::PathBuf;

use clap::Args;
use comfy_table::{Table, presets};
use hashpact_keys::Timestamp;
use serde_json::json;

use super::{Answer, Failure};
use crate::audit::at::At;
use crate::clock;
use crate::control::Request;
use crate::control::client::Client;
use crate::daemon::{LogStatus, Status};
use crate::home::Home;
use crate::page::text::counted;

/// Entries in one request: their ids stay well below the length of a line.
const RETRACTED_AT_ONCE: usize = 20_000;
const DELTAS: &str = "delta|deltas";

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
