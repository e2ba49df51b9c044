//! `hashpact key`: a node's own keys, plain or sealed. Root keys are made by `hashpact roster key`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use comfy_table::{Table, presets};
use hashpact_keys::KeyUse;
use serde_json::{Value, json};

use super::init::{enrolment, home_failure, seed};
use super::{Answer, Failure};
use crate::config::Config;
use crate::control::Request;
use crate::control::client::Client;
use crate::home::{Home, NodeKeys, PassphraseSource};
use crate::witness::begin_node_state;

/// What `key renew` renews. The node key is the identity that other centres' connections are admitted by, and a renewed
/// storage key would open no body that is on the disk.
const RENEWABLE: [KeyUse; 6] = [
    KeyUse::Delta,
    KeyUse::Log,
    KeyUse::Witness,
    KeyUse::Mirror,
    KeyUse::Manifest,
    KeyUse::Attest,
];

#[derive(Subcommand)]
pub(super) enum KeyCommand {
    /// List the node's keys: use, public key and key id, as a roster names them.
    #[command(after_help = "Example:\n  hashpact --home eu key list --json")]
    List,
    /// Seal plain key files into one file under a passphrase, and remove them.
    #[command(
        after_help = "A network that is not flagged demo runs on sealed keys only. The passphrase has at least 12 characters and is kept\nnowhere: without it the keys, and every body that this node holds, are lost. Backups, snapshots and the spare blocks of a\ndisk may still hold the plain files: where that matters, renew the keys and have the roster revoke the old ones.\nRun again after an interruption, with the same passphrase, it finishes what it began.\n\nExamples:\n  hashpact --home eu key seal\n  hashpact --home eu --passphrase-file eu.passphrase key seal"
    )]
    Seal,
    /// Change the passphrase of sealed keys.
    #[command(
        after_help = "Old copies of the file still open with the old passphrase.\n\nExamples:\n  hashpact --home eu key passphrase\n  hashpact --home eu --passphrase-file old key passphrase --new-passphrase-file new"
    )]
    Passphrase(PassphraseArgs),
    /// Make new keys for these uses, and a new enrolment.
    #[command(
        after_help = "The old keys are gone: until a roster with the new enrolment is in force, this node signs nothing with the renewed ones.\nThe uses are delta, log, witness, mirror, manifest and attest.\n\nExample:\n  hashpact --home eu key renew delta log"
    )]
    Renew(RenewArgs),
    /// Have the running node begin a new match epoch, with new keys.
    #[command(
        after_help = "An epoch ends by itself after 30 days, and when a member was removed. Its keys are served for 48 hours more, and then destroyed;\nthose of the epoch before it are destroyed at once. Clients ask about their lists again.\n\nExample:\n  hashpact --home eu key epoch"
    )]
    Epoch,
}

#[derive(Args)]
pub(super) struct PassphraseArgs {
    /// Read the new passphrase from the first line of this file, which only its owner may read.
    #[arg(long, value_name = "FILE")]
    new_passphrase_file: Option<PathBuf>,
}

#[derive(Args)]
pub(super) struct RenewArgs {
    /// The uses.
    #[arg(required = true, value_name = "USE")]
    uses: Vec<KeyUse>,
}

pub(super) fn key(
    home: &Home,
    source: &PassphraseSource,
    command: &KeyCommand,
) -> Result<Answer, Failure> {
    home.check_made().map_err(home_failure)?;
    match command {
        KeyCommand::List => list(home, source),
        KeyCommand::Epoch => epoch(home),
        KeyCommand::Seal => seal(home, source),
        KeyCommand::Passphrase(args) => passphrase(home, source, args),
        KeyCommand::Renew(args) => renew(home, source, &args.uses),
    }
}

fn epoch(home: &Home) -> Result<Answer, Failure> {
    let json = Client::connect(home)?.ask(&Request::MatchRotate, |_| {})?;
    let text = "A new match epoch begins as soon as the one before stands in the log: `hashpact status` says which is served.";
    Ok(Answer::new(json, text.to_owned()))
}

/// Reads only, so the node may run meanwhile.
fn list(home: &Home, source: &PassphraseSource) -> Result<Answer, Failure> {
    let keys = home.unlock(source).map_err(home_failure)?;
    let rows = rows(&keys)?;
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["use", "public key", "key id"]);
    for [use_, public, id] in &rows {
        table.add_row([use_, public, id]);
    }
    let rest = match keys.is_sealed() {
        true => "Sealed.",
        false => "Plain files, which serve a demo network only: `hashpact key seal` seals them.",
    };
    let json = json!({ "sealed": keys.is_sealed(), "keys": json_of(&rows) });
    Ok(Answer::new(json, format!("{table}\n{rest}")))
}

fn seal(home: &Home, source: &PassphraseSource) -> Result<Answer, Failure> {
    let _lock = home.lock().map_err(home_failure)?;
    if home.is_sealed() && !home.has_plain_keys() {
        return Err(Failure::no("the keys are sealed already"));
    }
    let passphrase = match home.is_sealed() {
        // An earlier run made the file: its passphrase is in use.
        true => source.read(home.path()),
        false => source.read_first(home.path()),
    };
    let passphrase = passphrase.map_err(Failure::input)?;
    let keys = home.seal(&passphrase).map_err(home_failure)?;
    let file = home.sealed_keys();
    let text = format!(
        "The keys are sealed in {}; the plain files were overwritten and removed. Copies of them in backups are as good as the keys.",
        file.display()
    );
    let json = json!({ "sealed": keys.is_sealed(), "file": file });
    Ok(Answer::new(json, text))
}

fn passphrase(
    home: &Home,
    source: &PassphraseSource,
    args: &PassphraseArgs,
) -> Result<Answer, Failure> {
    let _lock = home.lock().map_err(home_failure)?;
    must_be_sealed(home)?;
    let old = source.read(home.path()).map_err(Failure::input)?;
    let keys = home.unseal(&old).map_err(home_failure)?;
    let new = source
        .read_next(args.new_passphrase_file.as_deref(), home.path())
        .map_err(Failure::input)?;
    home.reseal(&keys, &new).map_err(home_failure)?;
    let file = home.sealed_keys();
    let text = format!(
        "{} opens with the new passphrase. Old copies of it open with the old one.",
        file.display()
    );
    Ok(Answer::new(json!({ "sealed": true, "file": file }), text))
}

fn renew(home: &Home, source: &PassphraseSource, uses: &[KeyUse]) -> Result<Answer, Failure> {
    if let Some(use_) = uses.iter().find(|use_| !RENEWABLE.contains(use_)) {
        let named = RENEWABLE.map(KeyUse::name).join(", ");
        return Err(Failure::input(format!(
            "the {use_} key is not renewed here; {named} are"
        )));
    }
    let _lock = home.lock().map_err(home_failure)?;
    // One file, replaced as a whole: plain ones would be renewed one after the other.
    must_be_sealed(home)?;
    let checked = Config::read(&home.config()).map_err(Failure::input)?;
    let passphrase = source.read(home.path()).map_err(Failure::input)?;
    let mut keys = home.unseal(&passphrase).map_err(home_failure)?;
    keys.renew(uses, seed).map_err(Failure::failed)?;
    home.reseal(&keys, &passphrase).map_err(home_failure)?;
    if uses.contains(&KeyUse::Witness) {
        // A new key has cosigned nothing, whatever became of the memory of the one before.
        let key = keys.signer(KeyUse::Witness).map_err(home_failure)?.public();
        begin_node_state(&home.data(), &checked.origin, key).map_err(Failure::failed)?;
    }
    let mut answer = enrolment(home, checked, &keys)?;
    let mut rows = rows(&keys)?;
    rows.retain(|[name, ..]| uses.iter().any(|use_| use_.name() == name));
    if let Some(object) = answer.json.as_object_mut() {
        object.insert("renewed".to_owned(), json_of(&rows));
    }
    eprintln!(
        "Nothing is signed with the new keys until a roster with this enrolment is in force. It goes to whoever makes the roster:"
    );
    Ok(answer)
}

fn must_be_sealed(home: &Home) -> Result<(), Failure> {
    match home.is_sealed() {
        true => Ok(()),
        false => Err(Failure::no(
            "the keys are plain files: run `hashpact key seal` first",
        )),
    }
}

/// Use, public key and key id.
fn rows(keys: &NodeKeys) -> Result<Vec<[String; 3]>, Failure> {
    let signers = keys.signers().map_err(home_failure)?;
    let row = |(use_, signer): &(KeyUse, hashpact_keys::Signer)| {
        let public = signer.public();
        [
            use_.to_string(),
            public.to_string(),
            public.key_id().to_string(),
        ]
    };
    Ok(signers.iter().map(row).collect())
}

fn json_of(rows: &[[String; 3]]) -> Value {
    rows.iter()
        .map(|[use_, public, id]| json!({ "use": use_, "public": public, "key_id": id }))
        .collect()
}
