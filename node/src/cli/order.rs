//! `hashpact order`: what takes two people: holds, lifts, opt-ins, surges.
//!
//! An order is drafted at the node's home, travels to two people who sign it with keys that are not on the node, as policy
//! documents do, and comes back to the running node, which logs it. In scope: files and words. Out of scope: what an order
//! may say (`hashpact_protocol::evidence`).

mod draft;

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use comfy_table::{Table, presets};
use hashpact_keys::Timestamp;
use hashpact_protocol::evidence::{Object, Order};
use hashpact_protocol::limits;
use serde_json::{Value, json};

use super::policy::key::key_failure;
use super::{Answer, Failure};
use crate::armor::Kind;
use crate::audit::at::At;
use crate::control::Request;
use crate::control::client::Client;
use crate::control::evidence::{Ask, order_json};
use crate::home::{Home, PassphraseSource};
use crate::page::text::counted;
use crate::policy::key::load;

/// Bytes of an armored order that are read: base64 of the largest, and its lines.
const FILE_LEN: u64 = 2 * limits::EVIDENCE_BYTES as u64;

#[derive(Subcommand)]
pub(super) enum OrderCommand {
    /// Draft an order.
    #[command(subcommand)]
    New(draft::NewCommand),
    /// Add a person's signature to an order; the file is rewritten.
    #[command(
        after_help = "Read `order show` first: the signature says that you did.\n\nExample:\n  hashpact order sign hold.txt --key bob.key"
    )]
    Sign(SignArgs),
    /// Say what an order is and who is said to have signed it.
    #[command(
        after_help = "No signature is checked here: the node does that at `order apply`, against its roster.\n\nExample:\n  hashpact order show hold.txt"
    )]
    Show {
        /// The order.
        file: PathBuf,
    },
    /// Hand an order to the running node, which logs it and sends it to whom it concerns.
    #[command(after_help = "Example:\n  hashpact --home ca order apply hold.txt")]
    Apply {
        /// The order, with two signatures.
        file: PathBuf,
    },
    /// The orders that are in force here, other centres' holds among them.
    #[command(after_help = "Example:\n  hashpact --home ca order list --json")]
    List,
}

#[derive(Args)]
pub(super) struct SignArgs {
    /// The order; it is rewritten in place.
    file: PathBuf,
    /// A policy key's file.
    #[arg(long, required = true, value_name = "FILE")]
    key: Vec<PathBuf>,
}

pub(super) fn order(
    home: &Home,
    source: &PassphraseSource,
    command: &OrderCommand,
) -> Result<Answer, Failure> {
    match command {
        OrderCommand::New(command) => draft::new(home, source, command),
        OrderCommand::Sign(args) => {
            let bytes = read(&args.file)?;
            let signed = sign(&args.file, bytes, &args.key, source)?;
            write(&args.file, &signed)?;
            described(&args.file, &signed)
        }
        OrderCommand::Show { file } => described(file, &read(file)?),
        OrderCommand::Apply { file } => apply(home, file),
        OrderCommand::List => list(home),
    }
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let named = |why: &dyn std::fmt::Display| Failure::input(format!("{}: {why}", file.display()));
    let mut text = String::new();
    let opened = File::open(file).and_then(|it| it.take(FILE_LEN).read_to_string(&mut text));
    opened.map_err(|error| named(&error))?;
    let bytes = Kind::Order.unwrap(&text).map_err(|error| named(&error))?;
    Order::read_unverified(&bytes).map_err(|error| named(&error))?;
    Ok(bytes)
}

fn write(file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let written = fs::write(file, Kind::Order.wrap(bytes));
    written.map_err(|error| Failure::failed(format!("{}: {error}", file.display())))
}

/// The order with the signatures of these keys as well.
fn sign(
    file: &Path,
    mut bytes: Vec<u8>,
    keys: &[PathBuf],
    source: &PassphraseSource,
) -> Result<Vec<u8>, Failure> {
    for key in keys {
        let signer = load(key, source).map_err(key_failure)?;
        let id = signer.public().key_id();
        if Order::signers(&bytes).contains(&id) {
            return Err(Failure::no(format!(
                "{}: key {id} has signed already: another person signs with a key of their own",
                file.display()
            )));
        }
        bytes = Order::add_signature(&bytes, &signer).map_err(Failure::no)?;
    }
    Ok(bytes)
}

fn apply(home: &Home, file: &Path) -> Result<Answer, Failure> {
    let bytes = read(file)?;
    let got = Order::signers(&bytes).len();
    let needed = limits::POLICY_SIGNATURES;
    if got < needed {
        let file = file.display();
        return Err(Failure::no(format!(
            "{file} has {got} of {needed} signatures: another person signs it with `hashpact order sign {file} --key FILE`"
        )));
    }
    let order = Kind::Order.wrap(&bytes);
    let request = Request::Evidence(Ask::Order { order });
    let json = Client::connect(home)?.ask(&request, |_| {})?;
    let hash = json["order"].as_str().unwrap_or_default();
    let text = format!("Order {hash} is logged and in force.");
    Ok(Answer::new(json, text))
}

fn list(home: &Home) -> Result<Answer, Failure> {
    let json = Client::connect(home)?.ask(&Request::Evidence(Ask::Orders), |_| {})?;
    let orders = json["orders"].as_array().map_or(&[][..], Vec::as_slice);
    if orders.is_empty() {
        return Ok(Answer::new(json, "No order is in force.".to_owned()));
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["order", "by", "what", "until", "hash"]);
    for order in orders {
        let text = |key: &str| order[key].as_str().unwrap_or_default().to_owned();
        table.add_row([
            text("kind"),
            text("by"),
            sentence(order),
            until(order),
            text("hash"),
        ]);
    }
    let text = table.to_string();
    Ok(Answer::new(json, text))
}

/// What an order says, but for its end.
fn sentence(order: &Value) -> String {
    let text = |key: &str| order[key].as_str().unwrap_or_default();
    match text("kind") {
        "hold" => {
            let named = order["named"].as_u64().unwrap_or(0);
            let named = counted(named, "entry or series|entries and series");
            format!("{named} held: {}", text("reason"))
        }
        "lift" => format!("hold {} ends", text("hold")),
        "opt_in" => match order["classes"].as_array() {
            Some(classes) => format!(
                "{} of {} released on its origin's assessment",
                counted(classes.len() as u64, "class|classes"),
                text("origin")
            ),
            None => format!("{} released on its origin's assessment", text("origin")),
        },
        _ => format!("up to {} entries of {}", order["up_to"], text("origin")),
    }
}

fn until(order: &Value) -> String {
    let end = match (order["until"].as_u64(), order["day"].as_u64()) {
        (Some(until), _) => until,
        (None, Some(day)) => (day + 1).saturating_mul(86_400),
        (None, None) => return String::new(),
    };
    At(Timestamp::new(end)).to_string()
}

/// An order in a file, for a person who is to sign it.
fn described(file: &Path, bytes: &[u8]) -> Result<Answer, Failure> {
    let order = Order::read_unverified(bytes).map_err(Failure::input)?;
    let object = Object::from(order);
    let (network, centre) = (object.network(), object.centre().clone());
    let mut json = order_json(&object).unwrap_or_default();
    let signers = Order::signers(bytes);
    let signers: Vec<String> = signers.iter().map(ToString::to_string).collect();
    let needed = limits::POLICY_SIGNATURES;
    let by = match signers.as_slice() {
        [] => "nobody yet".to_owned(),
        signers => signers.join(", "),
    };
    let mut text = format!(
        "A {} of {centre}, in {}\n  network     {network}\n  says        {}\n",
        json["kind"].as_str().unwrap_or_default(),
        file.display(),
        sentence(&json),
    );
    for (origin, ids) in json["entries"].as_object().into_iter().flatten() {
        for id in ids.as_array().into_iter().flatten() {
            text.push_str(&format!(
                "  entry       {origin} {}\n",
                id.as_str().unwrap_or_default()
            ));
        }
    }
    for id in json["series"].as_array().into_iter().flatten() {
        text.push_str(&format!(
            "  series      {}\n",
            id.as_str().unwrap_or_default()
        ));
    }
    let end = until(&json);
    if !end.is_empty() {
        text.push_str(&format!("  until       {end}\n"));
    }
    text.push_str(&format!(
        "  signatures  {} of {needed} needed: {by}",
        signers.len()
    ));
    json["file"] = json!(file);
    json["centre"] = json!(centre.to_string());
    json["network"] = json!(network.to_string());
    json["signers"] = json!(signers);
    json["needed"] = json!(needed);
    Ok(Answer::new(json, text))
}
