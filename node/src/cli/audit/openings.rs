//! `hashpact audit export-openings`: what opens the sealed records of this centre's log, for an auditor.
//!
//! Why by hand: who gives what to whom stands in the log as salted hashes, and whoever may know more is told by people. The
//! running node is asked; if none runs, its store is read. In scope: one file, for its owner only. Out of scope: judging it
//! (`audit verify --openings`).

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use hashpact_protocol::audit::Bundle;
use serde_json::Value;

use super::super::init::home_failure;
use super::super::{Answer, Failure};
use super::open_stopped;
use crate::control::client::{Client, ClientError};
use crate::control::openings::{Pieces, described, export};
use crate::control::{FaultKind, Request};
use crate::home::{Home, PassphraseSource};
use crate::page::text::counted;

#[derive(Args)]
#[command(
    after_help = "The file says to whom this centre gave which classes, when and how many records; it holds no hash of a picture. Whoever\nhas it can open those records in every copy of the log: give it to the auditor alone.\n\nExamples:\n  hashpact --home eu audit export-openings --out eu.openings\n  hashpact --home eu audit export-openings --from 4821 --out eu-2.openings\n  hashpact audit verify logs --pin <the network's hash> --openings eu.openings us.openings"
)]
pub(in super::super) struct OpeningsArgs {
    /// The file to write; it must not be there.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The first leaf that is of interest: what an earlier file ends before.
    #[arg(long, value_name = "LEAF", default_value_t = 0)]
    from: u64,
}

pub(in super::super) fn run(
    home: &Home,
    source: &PassphraseSource,
    args: &OpeningsArgs,
) -> Result<Answer, Failure> {
    let (bundle, told) = match Client::connect(home) {
        Ok(client) => asked(client, args.from)?,
        Err(ClientError::NotRunning { .. }) => read(home, source, args.from)?,
        Err(error) => return Err(error.into()),
    };
    write(&args.out, &bundle.to_bytes())?;
    Ok(answer(&args.out, &bundle, told))
}

/// From the running node.
fn asked(mut client: Client, from: u64) -> Result<(Bundle, Value), Failure> {
    let mut pieces = Pieces::default();
    let told = client.ask(&Request::ExportOpenings { from }, |line| pieces.take(&line))?;
    // Read again, so that nothing but openings is written whatever answered.
    let bundle = pieces.bundle().map_err(Failure::failed)?;
    Ok((bundle, told))
}

/// From the store of a node that does not run.
fn read(home: &Home, source: &PassphraseSource, from: u64) -> Result<(Bundle, Value), Failure> {
    let lock = home.lock().map_err(home_failure)?;
    let (checked, store) = open_stopped(home, source, &lock)?;
    let made = export(&store, &checked.origin, from).map_err(|fault| match fault.kind {
        FaultKind::Input => Failure::input(fault.text),
        FaultKind::No | FaultKind::Failed => Failure::failed(fault.text),
    })?;
    let told = described(&made);
    Ok((made.bundle, told))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(|error| {
        let path = path.display();
        let text = match error.kind() == io::ErrorKind::AlreadyExists {
            true => format!("{path}: there is a file already: choose another name"),
            false => format!("{path}: {error}"),
        };
        let theirs = [io::ErrorKind::AlreadyExists, io::ErrorKind::NotFound];
        if theirs.contains(&error.kind()) {
            Failure::input(text)
        } else {
            Failure::failed(text)
        }
    })
}

fn answer(path: &Path, bundle: &Bundle, mut told: Value) -> Answer {
    let (from, to) = (bundle.leaves.start, bundle.leaves.end);
    let missing = told["missing"].as_array().map_or(0, Vec::len);
    let mut text = format!(
        "Leaves {from} up to {to} of {}: {} opened in {}.",
        bundle.origin,
        counted(
            bundle.opened.len() as u64,
            "sealed record is|sealed records are"
        ),
        path.display(),
    );
    if missing > 0 {
        text.push_str(&format!(
            "\n{} not be opened: what would open them is not here, and an audit will name them.",
            counted(missing as u64, "sealed record can|sealed records can")
        ));
    }
    if told["size"].as_u64() > Some(to) {
        text.push_str(&format!(
            "\nThe log goes on: write the rest with --from {to} into another file."
        ));
    }
    text.push_str("\nIt says who was given what. Give it to the auditor alone.");
    told["file"] = Value::String(path.display().to_string());
    Answer {
        json: told,
        text,
        code: u8::from(missing > 0),
    }
}
