//! `hashpact attest`: what an assessor of this centre says of entries, signed by the centre.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::{Answer, Failure};
use crate::control::Request;
use crate::control::client::Client;
use crate::control::evidence::{Ask, Stated};
use crate::home::Home;
use crate::page::text::counted;

/// Entries in one request: their ids stay well below the length of a line.
const AT_ONCE: usize = 4_096;

#[derive(Args)]
#[command(
    after_help = "An assessor is 16 random bytes under which this centre alone knows one of its people. State at least one value, and only\nwhat was assessed: what is not stated is not attested. Lists of values say what it could be. One entry that cannot be\nattested refuses its request of up to 4,096; what was signed before is not signed twice.\n\nExamples:\n  hashpact attest --new-assessor alice.id\n  hashpact attest 0f5e2c9a77d14b0d8e2f6a1b3c4d5e6f --assessor alice.id --basis viewed --content-class csam --minor-certain yes\n  hashpact attest --list seen.txt --origin us.example/us/1 --assessor alice.id --basis viewed --depiction real --age 0-6 --age 7-10\n  hashpact attest --list old.txt --basis legacy_import --content-class csam"
)]
pub(super) struct AttestArgs {
    /// Entry ids, as `lookup` prints them.
    #[arg(value_name = "ENTRY")]
    entries: Vec<String>,
    /// Read more entry ids from a file, one a line.
    #[arg(long, value_name = "FILE")]
    list: Option<PathBuf>,
    /// The log that the entries are of; found by their ids without it.
    #[arg(long, value_name = "LOG")]
    origin: Option<String>,
    /// Who attests: an assessor's file, or its 32 hexadecimal digits.
    #[arg(long, value_name = "FILE|ID")]
    assessor: Option<String>,
    /// Make an assessor, attest nothing.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["entries", "list", "assessor", "basis"])]
    new_assessor: Option<PathBuf>,
    /// What it rests on: viewed, metadata_only or legacy_import.
    #[arg(long, required_unless_present = "new_assessor")]
    basis: Option<String>,
    /// A kind of material that it could be.
    #[arg(long, value_name = "VALUE", value_delimiter = ',')]
    content_class: Vec<String>,
    /// What could be depicted.
    #[arg(long, value_name = "VALUE", value_delimiter = ',')]
    depiction: Vec<String>,
    /// Whether the youngest person depicted is certainly a minor.
    #[arg(long, value_name = "yes|no", value_parser = yes_or_no)]
    minor_certain: Option<bool>,
    /// An age that the youngest child could have.
    #[arg(long, value_name = "VALUE", value_delimiter = ',')]
    age: Vec<String>,
    /// A pubertal stage that it could have.
    #[arg(long, value_name = "VALUE", value_delimiter = ',')]
    stage: Vec<String>,
    /// A feature and whether it is there.
    #[arg(long, value_name = "NAME=yes|no", value_delimiter = ',', value_parser = feature)]
    feature: Vec<(String, bool)>,
}

fn yes_or_no(text: &str) -> Result<bool, String> {
    match text {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err("yes or no".to_owned()),
    }
}

fn feature(text: &str) -> Result<(String, bool), String> {
    let (name, is) = text.split_once('=').ok_or("NAME=yes or NAME=no")?;
    Ok((name.to_owned(), yes_or_no(is)?))
}

pub(super) fn run(home: &Home, args: &AttestArgs) -> Result<Answer, Failure> {
    if let Some(file) = &args.new_assessor {
        return new_assessor(file);
    }
    let entries = entries(&args.entries, args.list.as_deref())?;
    let assessor = args.assessor.as_deref().map(assessor).transpose()?;
    let values = Stated {
        content_class: args.content_class.clone(),
        depiction: args.depiction.clone(),
        minor_certain: args.minor_certain,
        age_depicted: args.age.clone(),
        pubertal_stage: args.stage.clone(),
        features: args.feature.clone(),
    };
    let mut client = Client::connect(home)?;
    let (mut attested, mut objects) = (0, Vec::new());
    for part in entries.chunks(AT_ONCE) {
        let ask = Ask::Attest {
            entries: part.to_vec(),
            origin: args.origin.clone(),
            assessor: assessor.clone(),
            basis: args.basis.clone().unwrap_or_default(),
            values: values.clone(),
        };
        let answer = client.ask(&Request::Evidence(ask), |_| {});
        let answer = answer.map_err(|error| {
            let Failure { code, text, detail } = Failure::from(error);
            let text = match attested {
                0 => text,
                before => format!("after {before} were attested: {text}"),
            };
            Failure { code, text, detail }
        })?;
        attested += answer["attested"].as_u64().unwrap_or(0);
        let hashes = answer["objects"].as_array().cloned();
        objects.extend(hashes.unwrap_or_default());
    }
    let text = format!(
        "{} attested, and on the way to whoever holds them.",
        counted(attested, "entry is|entries are")
    );
    let json = json!({ "attested": attested, "objects": objects });
    Ok(Answer::new(json, text))
}

/// Entry ids that were typed, and those of a file.
fn entries(typed: &[String], list: Option<&Path>) -> Result<Vec<String>, Failure> {
    let mut entries = typed.to_vec();
    if let Some(file) = list {
        let text = fs::read_to_string(file)
            .map_err(|error| Failure::input(format!("{}: {error}", file.display())))?;
        entries.extend(text.split_whitespace().map(str::to_owned));
    }
    match entries.is_empty() {
        true => Err(Failure::input(
            "give entry ids, as `lookup` prints them, or --list FILE",
        )),
        false => Ok(entries),
    }
}

/// The id that is given, or that a file holds.
fn assessor(text: &str) -> Result<String, Failure> {
    let is_id = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_id {
        return Ok(text.to_owned());
    }
    let held = fs::read_to_string(text).map_err(|error| {
        Failure::input(format!(
            "{text}: {error}: an assessor is a file that `hashpact attest --new-assessor` made, or 32 hexadecimal digits"
        ))
    })?;
    Ok(held.trim().to_owned())
}

fn new_assessor(file: &Path) -> Result<Answer, Failure> {
    let mut id = [0; 16];
    getrandom::fill(&mut id)
        .map_err(|error| Failure::failed(format!("no random numbers: {error}")))?;
    let id = hex::encode(id);
    let mut options = OpenOptions::new();
    let made = options.write(true).create_new(true).mode(0o600).open(file);
    let written = made.and_then(|mut made| {
        writeln!(made, "{id}")?;
        made.sync_all()
    });
    written.map_err(|error| {
        let file = file.display();
        match error.kind() == io::ErrorKind::AlreadyExists {
            true => Failure::no(format!(
                "{file}: there is a file already: choose another name"
            )),
            false => Failure::failed(format!("{file}: {error}")),
        }
    })?;
    let text = format!(
        "{} is an assessor. Only this centre knows who that is: note it where you keep such things.",
        file.display()
    );
    Ok(Answer::new(json!({ "assessor": id, "file": file }), text))
}
