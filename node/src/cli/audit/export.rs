//! `hashpact audit export-bodies`: the bodies that a node holds, in plain, for an auditor who may see hashes.
//!
//! Why apart from the mirror: a log shows no hash, and its bodies are nothing but hashes, so that they are handed over by
//! hand. Written as they travel, `<origin with _ for />/<number of the delta>`, which is what `audit verify --bodies` reads.
//! A store is open in one process, so the node must be stopped: the home's lock is held meanwhile. In scope: writing files
//! that only their owner may read. Out of scope: verifying (`verify`), retractions that are here without their delta's body.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use clap::Args;
use hashpact_keys::Origin;
use hashpact_protocol::delta::Seq;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::super::init::home_failure;
use super::super::{Answer, Failure};
use super::open_stopped;
use super::verify::spinner;
use crate::audit::folder::log_name;
use crate::home::{Home, HomeError, PassphraseSource};
use crate::page::text::counted;
use crate::store::Store;

#[derive(Args)]
#[command(
    after_help = "Stop the node first. The files hold hashes: only their owner may read them; remove them when the audit is over.\n\nExample:\n  hashpact --home eu audit export-bodies bodies\n  hashpact audit verify logs --pin <the network's hash> --bodies bodies"
)]
pub(in super::super) struct ExportArgs {
    /// A folder that is empty, or not there.
    dir: PathBuf,
}

pub(in super::super) fn run(
    home: &Home,
    source: &PassphraseSource,
    args: &ExportArgs,
) -> Result<Answer, Failure> {
    let dir = &args.dir;
    check_empty(dir)?;
    let lock = home.lock().map_err(unlocked)?;
    let (_, store) = open_stopped(home, source, &lock)?;
    let bar = spinner("{spinner} {human_pos} bodies  {per_sec}  {elapsed}");
    make_private(dir).map_err(|error| unwritten(dir, error))?;
    let (mut logs, mut bodies, mut bytes) = (Vec::new(), 0_u64, 0_u64);
    for origin in store.counts().into_keys() {
        let seqs = store.stored_bodies(&origin).map_err(Failure::failed)?;
        if seqs.is_empty() {
            continue;
        }
        let folder = dir.join(log_name(&origin));
        make_private(&folder).map_err(|error| unwritten(&folder, error))?;
        let mut of_log = 0;
        for seq in &seqs {
            of_log += export(&store, &origin, *seq, &folder.join(seq.to_string()))?;
            bar.inc(1);
        }
        let count = seqs.len() as u64;
        (bodies, bytes) = (bodies + count, bytes + of_log);
        logs.push(json!({ "origin": origin.to_string(), "bodies": count, "bytes": of_log }));
    }
    bar.finish_and_clear();
    let text = format!(
        "{} of {} written to {}. They hold hashes in plain.",
        counted(bodies, "body|bodies"),
        counted(logs.len() as u64, "log|logs"),
        dir.display()
    );
    let json = json!({ "dir": dir, "bodies": bodies, "bytes": bytes, "logs": Value::Array(logs) });
    Ok(Answer::new(json, text))
}

fn unlocked(error: HomeError) -> Failure {
    if matches!(error, HomeError::Locked { .. }) {
        return Failure::failed(format!(
            "{error}. Bodies are exported from a node that is stopped: its store is open in one process only"
        ));
    }
    home_failure(error)
}

/// What an earlier export left must not pass for a part of this one.
fn check_empty(dir: &Path) -> Result<(), Failure> {
    let is_empty = match fs::read_dir(dir) {
        Ok(mut names) => names.next().is_none(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => true,
        Err(error) => return Err(Failure::input(format!("{}: {error}", dir.display()))),
    };
    match is_empty {
        true => Ok(()),
        false => Err(Failure::input(format!(
            "{}: give a folder that is empty, or not there",
            dir.display()
        ))),
    }
}

fn make_private(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Writes a body as it travels; how many bytes it has.
fn export(store: &Store, origin: &Origin, seq: Seq, path: &Path) -> Result<u64, Failure> {
    let gone = || Failure::failed(format!("delta {seq} of {origin}: its body is not here"));
    let served = store.served_body(origin, seq).map_err(Failure::failed)?;
    let served = served.ok_or_else(gone)?;
    let mut bytes = Zeroizing::new(Vec::new());
    for class in served.sections() {
        let section = Zeroizing::new(served.section(class).map_err(Failure::failed)?);
        bytes.extend_from_slice(&section);
    }
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| file.write_all(&bytes));
    written.map_err(|error| unwritten(path, error))?;
    Ok(bytes.len() as u64)
}

fn unwritten(path: &Path, error: io::Error) -> Failure {
    Failure::failed(format!("{}: {error}", path.display()))
}
