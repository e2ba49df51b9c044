//! `hashpact member`: the register of those who check their lists with this centre, and a member's own home.
//!
//! A member is known to this centre alone. What it may match, the grants of this centre's policy say.

mod check;
mod export;
mod sync;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use comfy_table::{Table, presets};
use hashpact_keys::{CentreId, Jurisdiction, NetworkId, PublicKey};
use serde_json::{Value, json};

use super::credential::{CredentialCommand, credential};
use super::init::seed;
use super::matching::member_failure;
use super::roster::read;
use super::{Answer, Failure};
use crate::armor::Kind;
use crate::control::Request;
use crate::control::client::Client;
use crate::home::Home;
use crate::matching::member::MemberHome;

#[derive(Subcommand)]
pub(super) enum MemberCommand {
    /// Make a member's home, on the member's machine, and print the key that the centre is to admit.
    #[command(
        after_help = "The home holds one key, the network's rosters and a cache; `hashpact match` uses it. Compare the pin out of band: it is the\nhash that `roster new` printed when the network was made. Send the key to the centre, which admits it with\n`hashpact member add NAME --key HEX`.\n\nExample:\n  hashpact --home member member init --roster roster-1.txt --roster roster-2.txt --pin HASH --centre us"
    )]
    Init(InitArgs),
    /// Take the network's next rosters into a member's home.
    #[command(
        after_help = "Example:\n  hashpact --home member member rosters roster-2.txt roster-3.txt"
    )]
    Rosters {
        /// The rosters, each the successor of the one before.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Keep a verified local copy of what this member may have, over its centre's gateway.
    Sync(Box<sync::SyncArgs>),
    /// Write the synchronised list as CSV, as a ThreatExchange local_file, or as a binary index.
    Export(export::ExportArgs),
    /// Enter a member into this centre's register. Its key may open match sessions here; without one it reads over HTTP only.
    #[command(
        after_help = "What it may match and read, and how much of it a day, the grants of this centre's policy say: those with its name, or\nwith its jurisdiction. A key of the roster is refused. `hashpact member credential issue` opens the gateway to it.\n\nExample:\n  hashpact --home us member add acme --key 6f0c…e1 --jurisdiction US --sector hosting"
    )]
    Add(Box<AddArgs>),
    /// The members, with their keys.
    #[command(after_help = "Example:\n  hashpact --home us member list --json")]
    List,
    /// Check files, or hashes, against the synced copy of a subset; or privately against a centre.
    Check(Box<check::CheckArgs>),
    /// Open, change and close this centre's gateway to a member.
    #[command(subcommand)]
    Credential(CredentialCommand),
    /// Take a member out of the register: it opens nothing from now on, its credentials end, and the node begins a new match
    /// epoch.
    #[command(after_help = "Example:\n  hashpact --home us member remove acme")]
    Remove {
        /// Its name.
        name: String,
    },
}

#[derive(Args)]
pub(super) struct InitArgs {
    /// The rosters of the network from the first on.
    #[arg(long, required = true, value_name = "FILE")]
    roster: Vec<PathBuf>,
    /// The network: the hash of its first roster, compared out of band.
    #[arg(long, value_name = "HASH")]
    pin: NetworkId,
    /// The centre to check lists with.
    #[arg(long, value_name = "CENTRE")]
    centre: CentreId,
}

#[derive(Args)]
pub(super) struct AddArgs {
    /// Its name: 1 to 64 characters of a-z, 0-9 and '-'.
    name: String,
    /// Its public libp2p key, 64 hexadecimal digits, as the member sent it. Without it the member reads over HTTP only.
    #[arg(long, value_name = "HEX")]
    key: Option<PublicKey>,
    /// The law that it works under: two letters.
    #[arg(long, value_name = "XX")]
    jurisdiction: Jurisdiction,
    /// What it does, which policies may look at: as hosting, search, chat.
    #[arg(long, value_name = "SECTOR")]
    sector: String,
}

pub(super) fn member(
    home: &Home,
    command: &MemberCommand,
    as_json: bool,
) -> Result<Answer, Failure> {
    let request = match command {
        MemberCommand::Init(args) => return init(home, args),
        MemberCommand::Rosters { files } => return rosters(home, files),
        MemberCommand::Sync(args) => return sync::sync(home, args, as_json),
        MemberCommand::Export(args) => return export::export(args),
        MemberCommand::Add(args) => Request::MemberAdd {
            name: args.name.clone(),
            key: args.key.map(|key| key.to_string()),
            jurisdiction: args.jurisdiction.to_string(),
            sector: args.sector.clone(),
        },
        MemberCommand::Check(args) => return check::check(home, args),
        MemberCommand::Credential(command) => return credential(home, command),
        MemberCommand::List => Request::Members,
        MemberCommand::Remove { name } => Request::MemberRemove { name: name.clone() },
    };
    let json = Client::connect(home)?.ask(&request, |_| {})?;
    let text = match command {
        MemberCommand::Init(_)
        | MemberCommand::Rosters { .. }
        | MemberCommand::Sync(_)
        | MemberCommand::Export(_)
        | MemberCommand::Check(_)
        | MemberCommand::Credential(_) => String::new(),
        MemberCommand::Add(args) => format!("{} is a member.", args.name),
        MemberCommand::List => table(&json),
        MemberCommand::Remove { name } => format!(
            "{name} is no member any more: it opens nothing, and the node begins a new match epoch."
        ),
    };
    Ok(Answer::new(json, text))
}

fn init(home: &Home, args: &InitArgs) -> Result<Answer, Failure> {
    let made = MemberHome::new(home.path());
    let rosters = read_rosters(&args.roster)?;
    let seed = seed().map_err(Failure::failed)?;
    let key = made.init(&rosters, &args.pin, &args.centre, &seed);
    let key = key.map_err(member_failure)?;
    let (folder, centre) = (home.path().display(), &args.centre);
    let text = format!(
        "Made {folder}. Send this key to {centre}, which admits it with `hashpact member add NAME --key {key} ...`; then\n`hashpact --home {folder} match --list FILE` checks a list. With a token of {centre}'s gateway it needs\nno key: `hashpact --home {folder} member sync DIR --from URL --token-file FILE`."
    );
    let json = json!({ "home": home.path(), "centre": centre.to_string(), "key": key.to_string() });
    Ok(Answer::new(json, text))
}

fn rosters(home: &Home, files: &[PathBuf]) -> Result<Answer, Failure> {
    let made = MemberHome::new(home.path());
    let version = made.add_rosters(&read_rosters(files)?);
    let version = version.map_err(member_failure)?.get();
    let text = format!("Roster version {version} is in force here.");
    Ok(Answer::new(json!({ "roster_version": version }), text))
}

fn read_rosters(files: &[PathBuf]) -> Result<Vec<Vec<u8>>, Failure> {
    files.iter().map(|file| read(file, Kind::Roster)).collect()
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
