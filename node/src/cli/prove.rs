//! `hashpact audit prove`: proofs as files that verify offline.
//!
//! | file | proves |
//! |---|---|
//! | `<delta>.tlog-proof` | that a leaf stands in a log (C2SP tlog-proof) |
//! | `<delta>.leaf` | nothing by itself: the leaf's bytes, which a verifier hashes |
//! | `<delta>.receipt` | the same to tools that speak COSE (RFC 9942) |
//! | `<entry>.record-proof` | that the origin signed for one record of the delta |
//!
//! A leaf out of a mirror has the name `leaf-<index>`. In scope: files. Out of scope: checking them (`check`), making the
//! proofs (`store`, `hashpact-protocol`).

mod check;

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use clap::Args;
use hashpact_keys::Origin;
use hashpact_protocol::delta::RecordProof;
use hashpact_protocol::log::{Checkpoint, SignedCheckpoint};
use serde_json::{Value, json};

use super::{Answer, Failure};
use crate::control::Request;
use crate::control::client::Client;
use crate::home::Home;
use crate::page::text::counted;
use crate::store::{LeafProofError, LoggedLeaf, prove_leaf};

const LEAVES: &str = "leaf|leaves";

pub(super) use check::{CheckArgs, RosterSource, check, check_leaf};

/// Bytes of a file of a log that is read: the largest is a bundle of 256 leaves.
pub(super) const LOG_FILE_MAX: u64 = 256 * (64 * 1024 + 2);

#[derive(Args)]
#[command(
    after_help = "Examples:\n  hashpact audit prove 0f5e2c9a77d14b0d8e2f6a1b3c4d5e6f --out proofs --receipt\n  hashpact audit prove --mirror logs --log eu.example/eu/1 --leaf 17 --out proofs"
)]
pub(super) struct ProveArgs {
    /// An entry id, as `lookup` prints it; the running node of --home is asked.
    #[arg(required_unless_present = "mirror", conflicts_with = "mirror")]
    entry: Option<String>,
    /// The log that the entry is of; this centre's own without it.
    #[arg(long, value_name = "ORIGIN", conflicts_with = "mirror")]
    origin: Option<String>,
    /// Prove a leaf out of a folder of mirrored logs, without a node.
    #[arg(long, value_name = "DIR", requires = "log", requires = "leaf")]
    mirror: Option<PathBuf>,
    /// The log that the leaf is of.
    #[arg(long, value_name = "ORIGIN", requires = "mirror")]
    log: Option<Origin>,
    /// The leaf, counted from 0.
    #[arg(long, value_name = "N", requires = "mirror")]
    leaf: Option<u64>,
    /// The folder to write the proofs to; it is made if it is not there.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Issue a COSE receipt as well, which needs the log's key: of this centre's own log only.
    #[arg(long, conflicts_with = "mirror")]
    receipt: bool,
}

pub(super) fn prove(home: &Home, args: &ProveArgs) -> Result<Answer, Failure> {
    match (&args.entry, &args.mirror, &args.log, args.leaf) {
        (Some(entry), None, ..) => prove_entry(home, args, entry),
        (None, Some(mirror), Some(log), Some(leaf)) => prove_mirrored(args, mirror, log, leaf),
        (..) => Err(Failure::input(
            "give an entry id, or --mirror DIR with --log ORIGIN and --leaf N",
        )),
    }
}

/// Asks the running node, which alone can unseal the body.
fn prove_entry(home: &Home, args: &ProveArgs, entry: &str) -> Result<Answer, Failure> {
    let request = Request::Prove {
        entry: entry.to_owned(),
        origin: args.origin.clone(),
        receipt: args.receipt,
    };
    let told = Client::connect(home)?.ask(&request, |_| {})?;
    let form = || Failure::failed("the node answered in a form that this version does not know");
    let text = |key: &str| told[key].as_str().ok_or_else(form);
    let bytes = |key: &str| BASE64.decode(text(key)?).map_err(|_| form());
    let (delta, leaf) = (told["delta"].as_u64(), told["leaf"].as_u64());
    let (delta, leaf) = (delta.ok_or_else(form)?, leaf.ok_or_else(form)?);
    // Read again, so that no other file than a proof is written whatever answered.
    let record = RecordProof::from_bytes(&bytes("record_proof")?).map_err(Failure::failed)?;
    let (stem, entry) = (delta.to_string(), text("entry")?);
    let folder = Folder::make(&args.out)?;
    let mut written = folder.logged(&stem, &bytes("leaf_bytes")?, text("tlog_proof")?)?;
    let name = format!("{entry}.record-proof");
    written.push(folder.write(&name, &record.to_bytes(), Access::Owner)?);
    if args.receipt {
        let name = format!("{stem}.receipt");
        written.push(folder.write(&name, &bytes("receipt")?, Access::All)?);
    }
    let mut lines = vec![format!(
        "{} of {}: delta {delta}, leaf {leaf}, proven to a checkpoint of {}",
        entry,
        text("origin")?,
        counted(told["size"].as_u64().unwrap_or(0), LEAVES),
    )];
    let retracted = told["retracted"] == json!(true);
    if retracted {
        lines.push("The entry has been retracted since.".to_owned());
    }
    lines.push("The record proof holds the record with its fingerprints: pass it on to whoever may see them.".to_owned());
    Ok(answer(
        json!({
            "origin": told["origin"], "entry": told["entry"], "delta": delta, "leaf": leaf,
            "size": told["size"], "retracted": retracted,
        }),
        lines,
        &written,
    ))
}

/// Reads a mirror's files.
fn prove_mirrored(
    args: &ProveArgs,
    mirror: &Path,
    log: &Origin,
    index: u64,
) -> Result<Answer, Failure> {
    let logged = read_mirror(mirror, log, index)?;
    let folder = Folder::make(&args.out)?;
    let stem = format!("leaf-{index}");
    let written = folder.logged(&stem, &logged.leaf, &logged.proof.to_text())?;
    let size = logged.checkpoint.size;
    let line = format!(
        "Leaf {index} of {log}, proven to a checkpoint of {}",
        counted(size, LEAVES)
    );
    let json = json!({ "origin": log.to_string(), "leaf": index, "size": size });
    Ok(answer(json, vec![line], &written))
}

/// Proves a leaf out of a folder of logs.
pub(super) fn read_mirror(mirror: &Path, log: &Origin, index: u64) -> Result<LoggedLeaf, Failure> {
    let folder = mirror.join(log.as_str().replace('/', "_"));
    let head = folder.join("checkpoint");
    let named = |error: io::Error| Failure::input(format!("{}: {error}", head.display()));
    let note = read_bounded(&head, LOG_FILE_MAX).map_err(named)?;
    let checkpoint = SignedCheckpoint::from_store(&note).map_err(Failure::no)?;
    let Checkpoint { origin, size, .. } = checkpoint.checkpoint();
    if origin != log {
        let head = head.display();
        return Err(Failure::no(format!("{head} is of {origin}, not of {log}")));
    }
    // Whatever else is wrong with a file, a proof is not made of it.
    let files = |path: &str| read_bounded(&folder.join(path), LOG_FILE_MAX).ok();
    prove_leaf(&files, *size, &note, index).map_err(|error| match error {
        LeafProofError::Beyond { .. } => Failure::input(error),
        LeafProofError::Io { .. }
        | LeafProofError::Unpublished { .. }
        | LeafProofError::Checkpoint(_)
        | LeafProofError::Behind { .. }
        | LeafProofError::Tree(_)
        | LeafProofError::Proof(_)
        | LeafProofError::Root { .. } => Failure::no(error),
    })
}

fn answer(mut json: Value, mut lines: Vec<String>, written: &[PathBuf]) -> Answer {
    lines.extend(written.iter().map(|path| path.display().to_string()));
    json["files"] = json!(written);
    Answer::new(json, lines.join("\n"))
}

/// The whole of a file that is not longer than `max` bytes.
pub(super) fn read_bounded(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    use io::Read as _;
    let mut bytes = Vec::new();
    let file = fs::File::open(path)?;
    if file.take(max + 1).read_to_end(&mut bytes)? as u64 > max {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

/// Who may read a file.
#[derive(Clone, Copy)]
enum Access {
    /// It tells no fingerprint.
    All,
    /// It holds a record.
    Owner,
}

/// The folder that proofs are written to.
struct Folder<'a>(&'a Path);

impl<'a> Folder<'a> {
    fn make(path: &'a Path) -> Result<Self, Failure> {
        let named = |error: io::Error| Failure::input(format!("{}: {error}", path.display()));
        fs::create_dir_all(path).map_err(named)?;
        Ok(Self(path))
    }

    /// Writes a leaf and its proof. A leaf that is another one of the same name is left as it is.
    fn logged(&self, stem: &str, leaf: &[u8], proof: &str) -> Result<Vec<PathBuf>, Failure> {
        let name = format!("{stem}.leaf");
        let path = self.0.join(&name);
        match read_bounded(&path, LOG_FILE_MAX) {
            Ok(there) if there != leaf => {
                return Err(Failure::input(format!(
                    "{} is another log's leaf: choose another folder",
                    path.display()
                )));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Failure::input(format!("{}: {error}", path.display()))),
        }
        let leaf = self.write(&name, leaf, Access::All)?;
        let proof = self.write(&format!("{stem}.tlog-proof"), proof.as_bytes(), Access::All)?;
        Ok(vec![proof, leaf])
    }

    fn write(&self, name: &str, bytes: &[u8], access: Access) -> Result<PathBuf, Failure> {
        let mode = match access {
            Access::All => 0o644,
            Access::Owner => 0o600,
        };
        let path = self.0.join(name);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(mode);
        let written = options
            .open(&path)
            .and_then(|mut file| file.write_all(bytes));
        written.map_err(|error| Failure::failed(format!("{}: {error}", path.display())))?;
        Ok(path)
    }
}
