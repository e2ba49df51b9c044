//! `hashpact policy new | sign | show | apply`: the documents that are made of profiles.
//!
//! A document is drafted at the node's home, travels to two people who sign it, and comes back to the running node, which
//! logs it.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use hashpact_keys::Signer;
use hashpact_protocol::limits;
use hashpact_protocol::policy::{PolicyDocument, Profile};
use serde_json::{Value, json};

use super::super::init::home_failure;
use super::super::{Answer, Failure};
use super::key::key_failure;
use crate::armor::Kind;
use crate::audit::at::At;
use crate::clock;
use crate::config::Config;
use crate::control::Request;
use crate::control::client::Client;
use crate::home::{Home, PassphraseSource};
use crate::page::text::counted;
use crate::policy::files::{Faults, Found};
use crate::policy::key::load;
use crate::policy::logs::Logs;

#[derive(Args)]
#[command(
    after_help = "The version and the log are taken from --home, whose node may run meanwhile. Each --key signs at once; the other person\nsigns with `policy sign`, and `policy apply` hands the document to the node. What it narrows counts as soon as it is\nlogged; what it widens counts once it is witnessed and its delay is over. `policy diff` says beforehand what changes.\n\nExamples:\n  hashpact --home ca policy new profiles/ca --out policy-2.txt\n  hashpact --home ca policy new profiles/ca --out policy-2.txt --key alice.key"
)]
pub(in super::super) struct NewArgs {
    /// The profile's folder.
    profile: PathBuf,
    /// Where to write the document; a file that is there is not overwritten.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// A policy key's file, of whoever signs now.
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,
}

#[derive(Args)]
#[command(
    after_help = "Read `policy show` first, and `policy diff` against the document before it: the signature says that you did.\n\nExample:\n  hashpact policy sign policy-2.txt --key bob.key"
)]
pub(in super::super) struct SignArgs {
    /// The document; it is rewritten in place.
    file: PathBuf,
    /// A policy key's file.
    #[arg(long, required = true, value_name = "FILE")]
    key: Vec<PathBuf>,
}

#[derive(Args)]
#[command(
    after_help = "No signature is checked here: the node does that at `policy apply`, against its roster.\n\nExamples:\n  hashpact policy show policy-2.txt\n  hashpact policy show policy-2.txt --out policy-2"
)]
pub(in super::super) struct ShowArgs {
    /// The document.
    file: PathBuf,
    /// Write its files into this folder, which is made.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Args)]
#[command(
    after_help = "The node checks it once more, logs it, and asks its witnesses to cosign. `status` says what is in force.\n\nExample:\n  hashpact --home ca policy apply policy-2.txt"
)]
pub(in super::super) struct ApplyArgs {
    /// The document, with two signatures.
    file: PathBuf,
}

pub(super) fn new(
    home: &Home,
    source: &PassphraseSource,
    args: &NewArgs,
) -> Result<Answer, Failure> {
    let found = Found::one(&args.profile).map_err(Failure::input)?;
    let profile = found.profile().map_err(faulty)?;
    home.check_made().map_err(home_failure)?;
    let checked = Config::read(&home.config()).map_err(Failure::input)?;
    let logs = Logs::open(home).map_err(Failure::input)?;
    let roster = logs.roster();
    let centre = roster.centre(&checked.centre).ok_or_else(|| {
        Failure::no(format!(
            "{} is not on roster {}",
            checked.centre, roster.version
        ))
    })?;
    if *profile.jurisdiction() != centre.jurisdiction {
        return Err(Failure::no(format!(
            "profile {} is written for the law of {}, and {} works under {}",
            profile.name(),
            profile.jurisdiction(),
            centre.id,
            centre.jurisdiction
        )));
    }
    if !roster.demo && profile.signed_off().is_none() {
        return Err(Failure::no(
            "this network is no demonstration, and counsel has not signed the profile off: when it has, write [counsel] into profile.toml",
        ));
    }
    let before = logs.book(centre).map_err(Failure::failed)?.newest();
    let document = PolicyDocument {
        network: logs.network(),
        origin: centre.origin.clone(),
        version: before.as_ref().map_or(1, |before| before.version + 1),
        issued_at: clock::now(),
        files: found.files,
    };
    if before.is_some_and(|before| before.files == document.files) {
        return Err(Failure::no(
            "the newest document in the log has the same files: there is nothing to change",
        ));
    }
    let keys = signers(&args.key, source)?;
    let bytes = document.sign(&keys.iter().collect::<Vec<_>>());
    if args.out.exists() {
        let out = args.out.display();
        return Err(Failure::no(format!(
            "{out}: there is a file already: choose another name"
        )));
    }
    write(&args.out, &bytes)?;
    described(&args.out, &bytes, &document)
}

pub(super) fn sign(source: &PassphraseSource, args: &SignArgs) -> Result<Answer, Failure> {
    let (found, mut bytes) = Found::document(&args.file).map_err(Failure::input)?;
    // Nobody is let sign what every node would read as a document that denies everything.
    found.profile().map_err(faulty)?;
    for signer in signers(&args.key, source)? {
        let id = signer.public().key_id();
        if PolicyDocument::signers(&bytes)
            .map_err(Failure::input)?
            .contains(&id)
        {
            return Err(Failure::no(format!(
                "{}: key {id} has signed already: another person signs with a key of their own",
                args.file.display()
            )));
        }
        bytes = PolicyDocument::add_signature(&bytes, &signer).map_err(Failure::no)?;
    }
    write(&args.file, &bytes)?;
    let document = PolicyDocument::read_unverified(&bytes).map_err(Failure::input)?;
    described(&args.file, &bytes, &document)
}

pub(super) fn show(args: &ShowArgs) -> Result<Answer, Failure> {
    let (_, bytes) = Found::document(&args.file).map_err(Failure::input)?;
    let document = PolicyDocument::read_unverified(&bytes).map_err(Failure::input)?;
    if let Some(out) = &args.out {
        let named = |error| Failure::failed(format!("{}: {error}", out.display()));
        fs::create_dir(out).map_err(named)?;
        for (name, text) in &document.files {
            // A name from outside is written only if it is one of a profile's: it leads nowhere else.
            if Profile::is_file_name(name) {
                fs::write(out.join(name), text).map_err(named)?;
            }
        }
    }
    described(&args.file, &bytes, &document)
}

pub(super) fn apply(home: &Home, args: &ApplyArgs) -> Result<Answer, Failure> {
    let (found, bytes) = Found::document(&args.file).map_err(Failure::input)?;
    found.profile().map_err(faulty)?;
    let got = PolicyDocument::signers(&bytes)
        .map_err(Failure::input)?
        .len();
    if got < limits::POLICY_SIGNATURES {
        return Err(Failure::no(format!(
            "{} has {got} of {} signatures: another person signs it with `hashpact policy sign {} --key FILE`",
            args.file.display(),
            limits::POLICY_SIGNATURES,
            args.file.display()
        )));
    }
    let document = Kind::Policy.wrap(&bytes);
    let request = Request::PolicyApply { document };
    let json = Client::connect(home)?.ask(&request, |_| {})?;
    let text = format!(
        "Policy {} is logged, leaf {}. What it narrows counts now; what it widens once it is witnessed and its delay is over.",
        json["version"], json["index"]
    );
    Ok(Answer::new(json, text))
}

fn signers(files: &[PathBuf], source: &PassphraseSource) -> Result<Vec<Signer>, Failure> {
    let keys = files.iter().map(|file| load(file, source));
    keys.collect::<Result<_, _>>().map_err(key_failure)
}

fn faulty(faults: Faults) -> Failure {
    Failure::no(format!(
        "{faults}\n`hashpact policy check` must end with 0 first"
    ))
}

fn write(file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let written = fs::write(file, Kind::Policy.wrap(bytes));
    written.map_err(|error| Failure::failed(format!("{}: {error}", file.display())))
}

fn described(file: &Path, bytes: &[u8], document: &PolicyDocument) -> Result<Answer, Failure> {
    let signers = PolicyDocument::signers(bytes).map_err(Failure::input)?;
    let signers: Vec<String> = signers.iter().map(ToString::to_string).collect();
    let names: Vec<&str> = document
        .files
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    let profile = document.profile().ok();
    let PolicyDocument {
        network,
        origin,
        version,
        issued_at,
        ..
    } = document;
    let needed = limits::POLICY_SIGNATURES;
    let json = json!({
        "file": file,
        "version": version,
        "origin": origin.to_string(),
        "network": network.to_string(),
        "issued_at": issued_at.get(),
        "files": names,
        "signers": signers,
        "needed": needed,
        "profile": profile.as_ref().map_or(Value::Null, |profile| json!({
            "name": profile.name(),
            "jurisdiction": profile.jurisdiction().to_string(),
            "policies": profile.policies().count(),
        })),
    });
    let what = profile.map_or_else(
        || "it has faults: `hashpact policy check` names them".to_owned(),
        |it| {
            let policies = counted(it.policies().count() as u64, "policy|policies");
            format!("{}, law of {}, {policies}", it.name(), it.jurisdiction())
        },
    );
    let by = match signers.as_slice() {
        [] => "nobody yet".to_owned(),
        signers => signers.join(", "),
    };
    let text = format!(
        "Policy {version} of {origin}, in {}\n  network     {network}\n  made        {}\n  profile     {what}\n  files       {}\n  \
         signatures  {} of {needed} needed: {by}",
        file.display(),
        At(*issued_at),
        names.join(", "),
        signers.len(),
    );
    Ok(Answer::new(json, text))
}
