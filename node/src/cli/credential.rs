//! `hashpact member credential`: who may read at this centre's gateway, and for how long.

use std::num::NonZeroU32;

use clap::{Args, Subcommand};
use comfy_table::{Table, presets};
use ipnet::IpNet;
use serde_json::Value;

use super::{Answer, Failure};
use crate::control::Request;
use crate::control::client::Client;
use crate::control::credentials::CredentialAsk;
use crate::gateway::Terms;
use crate::gateway::token::CredentialId;
use crate::home::Home;
use crate::page::format::day;

#[derive(Subcommand)]
pub(super) enum CredentialCommand {
    /// Issue a credential: its token is shown once and kept nowhere.
    #[command(
        after_help = "The member's program sends it as `Authorization: Bearer TOKEN`, or as Basic with the member's name and the token.\nGive it to the member by a way that you would trust with a password.\n\nExample:\n  hashpact --home us member credential issue acme --expires 90 --network 203.0.113.0/24 --json"
    )]
    Issue(IssueArgs),
    /// The credentials in force, without their secrets.
    #[command(after_help = "Example:\n  hashpact --home us member credential list acme")]
    List {
        /// The member; all without it.
        member: Option<String>,
    },
    /// Issue new ones on the same terms; the old ones end within a day.
    #[command(after_help = "Example:\n  hashpact --home us member credential rotate acme")]
    Rotate(WhichArgs),
    /// End credentials at once: requests under way are cut.
    #[command(
        after_help = "Example:\n  hashpact --home us member credential revoke acme --credential 1f00b3c9"
    )]
    Revoke(WhichArgs),
}

#[derive(Args)]
pub(super) struct IssueArgs {
    /// The member.
    member: String,
    /// Days until it ends [default: 365].
    #[arg(long, value_name = "DAYS")]
    expires: Option<u64>,
    /// A network that it is good from, as 203.0.113.0/24; may be given again. Without one it is good from everywhere.
    #[arg(long, value_name = "CIDR")]
    network: Vec<IpNet>,
    /// It may also look fingerprints up, one by one.
    #[arg(long)]
    lookup: bool,
    /// Requests a second [default: 50].
    #[arg(long, value_name = "N")]
    rate: Option<NonZeroU32>,
    /// Requests and looked-up fingerprints a day [default: 1000000].
    #[arg(long, value_name = "N")]
    quota: Option<u64>,
}

#[derive(Args)]
pub(super) struct WhichArgs {
    /// The member.
    member: String,
    /// One of its credentials, by its 8 digits; all without it.
    #[arg(long, value_name = "ID")]
    credential: Option<CredentialId>,
}

pub(super) fn credential(home: &Home, command: &CredentialCommand) -> Result<Answer, Failure> {
    let ask = match command {
        CredentialCommand::Issue(args) => CredentialAsk::Issue {
            member: args.member.clone(),
            terms: Terms {
                expires_days: args.expires,
                networks: args.network.clone(),
                lookup: args.lookup,
                rate: args.rate,
                quota: args.quota,
            },
        },
        CredentialCommand::List { member } => CredentialAsk::List {
            member: member.clone(),
        },
        CredentialCommand::Rotate(args) => CredentialAsk::Rotate {
            member: args.member.clone(),
            credential: args.credential,
        },
        CredentialCommand::Revoke(args) => CredentialAsk::Revoke {
            member: args.member.clone(),
            credential: args.credential,
        },
    };
    let json = Client::connect(home)?.ask(&Request::Credential(ask), |_| {})?;
    let text = match command {
        CredentialCommand::Issue(_) => shown(std::slice::from_ref(&json)),
        CredentialCommand::List { .. } => table(list(&json)),
        CredentialCommand::Rotate(_) => {
            let fresh = shown(list(&json));
            format!("{fresh}\nThe credentials before end within a day.")
        }
        CredentialCommand::Revoke(_) => format!("Revoked: {}.", json["revoked"]),
    };
    Ok(Answer::new(json, text))
}

fn list(json: &Value) -> &[Value] {
    json["credentials"].as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn ends(one: &Value) -> String {
    one["expires"].as_u64().map_or_else(String::new, day)
}

/// With tokens: each once.
fn shown(fresh: &[Value]) -> String {
    let lines = fresh.iter().map(|one| {
        let (id, member, token) = (
            text(&one["credential"]),
            text(&one["member"]),
            text(&one["token"]),
        );
        format!(
            "Credential {id} of {member}, until {}. Its token, shown this once:\n{token}",
            ends(one)
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn table(all: &[Value]) -> String {
    if all.is_empty() {
        return "No credentials.".to_owned();
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "credential",
        "member",
        "until",
        "networks",
        "look-up",
        "rate/s",
        "used today",
    ]);
    for one in all {
        let networks = one["networks"].as_array().map(Vec::as_slice);
        let networks: Vec<&str> = networks.unwrap_or_default().iter().map(text).collect();
        let lookup = one["lookup"].as_bool().unwrap_or_default();
        table.add_row([
            text(&one["credential"]).to_owned(),
            text(&one["member"]).to_owned(),
            ends(one),
            networks.join(" "),
            if lookup { "yes" } else { "no" }.to_owned(),
            one["rate"].to_string(),
            format!("{} of {}", one["used"], one["quota"]),
        ]);
    }
    table.to_string()
}
