//! `hashpact member`: the register of those who check their lists with this centre.
//!
//! A member is known to this centre alone. What it may match, the grants of this centre's policy say.

use clap::{Args, Subcommand};
use comfy_table::{Table, presets};
use hashpact_keys::{Jurisdiction, PublicKey};
use serde_json::Value;

use super::{Answer, Failure};
use crate::control::Request;
use crate::control::client::Client;
use crate::home::Home;

#[derive(Subcommand)]
pub(super) enum MemberCommand {
    /// Enter a member into this centre's register: its key may open match sessions here, and nothing else.
    #[command(
        after_help = "What it may match, and how much of it a day, the grants of this centre's policy say: those with its name, or with its\njurisdiction. A key of the roster is refused.\n\nExample:\n  hashpact --home us member add acme --key 6f0c…e1 --jurisdiction US --sector hosting"
    )]
    Add(Box<AddArgs>),
    /// The members, with their keys.
    #[command(after_help = "Example:\n  hashpact --home us member list --json")]
    List,
    /// Take a member out of the register: it opens nothing from now on, and the node begins a new match epoch.
    #[command(after_help = "Example:\n  hashpact --home us member remove acme")]
    Remove {
        /// Its name.
        name: String,
    },
}

#[derive(Args)]
pub(super) struct AddArgs {
    /// Its name: 1 to 64 characters of a-z, 0-9 and '-'.
    name: String,
    /// Its public libp2p key, 64 hexadecimal digits, as the member sent it.
    #[arg(long, value_name = "HEX")]
    key: PublicKey,
    /// The law that it works under: two letters.
    #[arg(long, value_name = "XX")]
    jurisdiction: Jurisdiction,
    /// What it does, which policies may look at: as hosting, search, chat.
    #[arg(long, value_name = "SECTOR")]
    sector: String,
}

pub(super) fn member(home: &Home, command: &MemberCommand) -> Result<Answer, Failure> {
    let request = match command {
        MemberCommand::Add(args) => Request::MemberAdd {
            name: args.name.clone(),
            key: args.key.to_string(),
            jurisdiction: args.jurisdiction.to_string(),
            sector: args.sector.clone(),
        },
        MemberCommand::List => Request::Members,
        MemberCommand::Remove { name } => Request::MemberRemove { name: name.clone() },
    };
    let json = Client::connect(home)?.ask(&request, |_| {})?;
    let text = match command {
        MemberCommand::Add(args) => format!("{} is a member.", args.name),
        MemberCommand::List => table(&json),
        MemberCommand::Remove { name } => format!(
            "{name} is no member any more: it opens nothing, and the node begins a new match epoch."
        ),
    };
    Ok(Answer::new(json, text))
}

fn table(json: &Value) -> String {
    let members = json["members"].as_array();
    let members: Vec<&Value> = members.into_iter().flatten().collect();
    if members.is_empty() {
        return "No members.".to_owned();
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["member", "jurisdiction", "sector", "key"]);
    for member in members {
        let cell = |name: &str| member[name].as_str().unwrap_or_default().to_owned();
        table.add_row(["name", "jurisdiction", "sector", "key"].map(cell));
    }
    table.to_string()
}
