//! `hashpact policy key`: keys of the people who sign policy documents.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use hashpact_keys::Signer;
use hashpact_keys::enrolment::Enrolment;
use serde_json::json;

use super::super::init::seed;
use super::super::roster::read as read_armored;
use super::super::{Answer, Failure};
use crate::armor::Kind;
use crate::home::PassphraseSource;
use crate::policy::key::{PolicyKeyError, load, make_plain, make_sealed};

#[derive(Subcommand)]
pub(in super::super) enum PolicyKeyCommand {
    /// Make a policy key for one person.
    #[command(
        after_help = "A policy document needs the signatures of two different policy keys of its centre's, so two people each make one, on\nmachines of their own, and keep it there. Each gives its public half to the node's operator, who enrols both:\n`hashpact --home ca enrol --policy-key PUBLIC --policy-key PUBLIC`; then each signs that enrolment with `policy key enrol`.\n\nExamples:\n  hashpact policy key new alice.key\n  hashpact --passphrase-file alice.passphrase policy key new alice.key\n  hashpact policy key new --plain demo.key"
    )]
    New(NewArgs),
    /// Say the public half and the id of a policy key.
    Show {
        /// The key's file.
        file: PathBuf,
    },
    /// Sign an enrolment that lists this policy key: proof that somebody holds it. The file is rewritten.
    #[command(after_help = "Example:\n  hashpact policy key enrol enrolment.txt --key alice.key")]
    Enrol {
        /// The enrolment.
        enrolment: PathBuf,
        /// The policy key's file.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
}

#[derive(Args)]
pub(in super::super) struct NewArgs {
    /// The file to make.
    file: PathBuf,
    /// Do not seal it under a passphrase: for demonstrations.
    #[arg(long)]
    plain: bool,
}

pub(super) fn run(
    source: &PassphraseSource,
    command: &PolicyKeyCommand,
) -> Result<Answer, Failure> {
    match command {
        PolicyKeyCommand::New(args) => new(source, args),
        PolicyKeyCommand::Show { file } => {
            let signer = load(file, source).map_err(key_failure)?;
            let text = format!("{}\nkey id {}", signer.public(), signer.public().key_id());
            Ok(told(file, &signer, text))
        }
        PolicyKeyCommand::Enrol { enrolment, key } => enrol(source, enrolment, key),
    }
}

fn new(source: &PassphraseSource, args: &NewArgs) -> Result<Answer, Failure> {
    let file = &args.file;
    let signer = match args.plain {
        true => make_plain(file, seed),
        false => {
            let passphrase = source.read_first(file).map_err(Failure::input)?;
            make_sealed(file, seed, &passphrase)
        }
    };
    let signer = signer.map_err(key_failure)?;
    let rests = match args.plain {
        true => "in plain, which is for demonstrations only",
        false => "sealed; without its passphrase it is lost",
    };
    let public = signer.public();
    let text = format!(
        "Policy key {public} in {}, {rests}.\nThe node's operator enrols it: `hashpact --home HOME enrol --policy-key {public}`.",
        file.display()
    );
    Ok(told(file, &signer, text))
}

fn told(file: &Path, signer: &Signer, text: String) -> Answer {
    let (public, id) = (signer.public(), signer.public().key_id());
    let json = json!({ "file": file, "public": public.to_string(), "key_id": id.to_string() });
    Answer::new(json, text)
}

fn enrol(source: &PassphraseSource, file: &Path, key: &Path) -> Result<Answer, Failure> {
    let named =
        |error: &dyn std::error::Error| Failure::input(format!("{}: {error}", file.display()));
    let bytes = read_armored(file, Kind::Enrolment)?;
    let (enrolment, missing) = Enrolment::read_draft(&bytes).map_err(|error| named(&error))?;
    let signer = load(key, source).map_err(key_failure)?;
    let id = signer.public().key_id();
    let is_listed = enrolment.keys.iter().any(|(_, key)| key.key_id() == id);
    if is_listed && !missing.contains(&id) {
        let file = file.display();
        return Err(Failure::no(format!("{file}: key {id} has signed already")));
    }
    let signed = Enrolment::add_signature(&bytes, &signer).map_err(|error| named(&error))?;
    std::fs::write(file, Kind::Enrolment.wrap(&signed)).map_err(Failure::failed)?;
    let (_, missing) = Enrolment::read_draft(&signed).map_err(|error| named(&error))?;
    let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
    let rest = match missing.as_slice() {
        [] => "All have signed: it goes to whoever makes the roster.".to_owned(),
        missing => format!("Keys that have not signed yet: {}.", missing.join(", ")),
    };
    let centre = enrolment.id.to_string();
    let text = format!("{}: signed for {centre}. {rest}", file.display());
    let json = json!({ "enrolment": file, "centre": centre, "missing": missing });
    Ok(Answer::new(json, text))
}

pub(in super::super) fn key_failure(error: PolicyKeyError) -> Failure {
    match error {
        PolicyKeyError::Exists { .. } => Failure::no(error),
        PolicyKeyError::Other { .. }
        | PolicyKeyError::Plain(_)
        | PolicyKeyError::Read(_)
        | PolicyKeyError::Unseal(_)
        | PolicyKeyError::Seal(_)
        | PolicyKeyError::Passphrase(_) => Failure::input(error),
        PolicyKeyError::Random(_) => Failure::failed(error),
    }
}
