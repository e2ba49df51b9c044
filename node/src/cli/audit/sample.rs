//! `hashpact audit match-sample`: is what a centre lets others match what it has logged?
//!
//! `make` is run at the centre, by the auditor's seed; `check` wherever the auditor is, with a copy of the logs that was made
//! before the seed was told. In scope: the folder that passes between them. Out of scope: drawing (`matching::sample`),
//! finding records (the node), the format (`hashpact_protocol::psi`).

mod check;

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use clap::{Args, Subcommand};
use hashpact_protocol::limits;
use hashpact_protocol::psi::{Manifest, MatchSample, manifest_hash};
use serde_json::{Value, json};

use super::super::{Answer, Failure};
use crate::control::client::Client;
use crate::control::sampling::ArtifactAsk;
use crate::control::{Line, Request};
use crate::home::Home;
use crate::matching::sample::{Drawn, Place, draw, write_segment};
use crate::page::text::counted;

/// The file with the records, beside the segments.
const SAMPLE: &str = "sample";

#[derive(Subcommand)]
pub(in super::super) enum SampleCommand {
    /// At the centre: open tags that the auditor's seed draws from what is published. The folder holds hashes.
    Make(MakeArgs),
    /// At the auditor: check such a folder against a copy of the logs.
    Check(check::CheckArgs),
}

/// 32 bytes that an auditor chose at random.
#[derive(Clone)]
struct Seed([u8; 32]);

impl FromStr for Seed {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut seed = [0; 32];
        let read = hex::decode_to_slice(text, &mut seed);
        read.map_err(|_| "a seed is 64 hexadecimal digits: `openssl rand -hex 32`")?;
        Ok(Self(seed))
    }
}

/// A number of draws that one sample holds.
fn draws(text: &str) -> Result<usize, String> {
    let most = limits::MATCH_SAMPLE_TAGS;
    let number = text
        .parse()
        .ok()
        .filter(|number| (1..=most).contains(number));
    number.ok_or_else(|| format!("1 to {most} tags are drawn"))
}

#[derive(Args)]
#[command(
    after_help = "The auditor copies the logs first, then chooses the seed: a manifest that was logged before cannot be made to fit it.\nThe folder holds records with their fingerprints: give it to an auditor who may see them, and to nobody else.\n\nExample:\n  hashpact --home us audit match-sample make --group 0 --type sha256 --draws 300 --seed $(cat auditor.seed) --out us-sample"
)]
pub(in super::super) struct MakeArgs {
    /// The match group, as the manifest numbers it.
    #[arg(long, value_name = "GROUP")]
    group: u32,
    /// The fingerprint type.
    #[arg(long = "type", value_name = "TYPE")]
    kind: String,
    /// `items` or `labels`.
    #[arg(long, value_name = "MODE", default_value = "items")]
    mode: String,
    /// Tags to draw.
    #[arg(long, value_name = "N", default_value = "300", value_parser = draws)]
    draws: usize,
    /// The auditor's 32 random bytes, hexadecimal.
    #[arg(long, value_name = "HEX")]
    seed: Seed,
    /// The leaf of the manifest; the newest without it.
    #[arg(long, value_name = "LEAF")]
    leaf: Option<u64>,
    /// The folder to make; it must not be there.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

pub(in super::super) fn run(home: &Home, command: &SampleCommand) -> Result<Answer, Failure> {
    match command {
        SampleCommand::Make(args) => make(home, args),
        SampleCommand::Check(args) => check::run(args),
    }
}

fn make(home: &Home, args: &MakeArgs) -> Result<Answer, Failure> {
    let ask = ArtifactAsk {
        group: args.group,
        kind: args.kind.clone(),
        mode: args.mode.clone(),
        leaf: args.leaf,
    };
    let place = ask.place().map_err(|text| Failure::input(text.as_str()))?;
    let mut client = Client::connect(home)?;
    DirBuilder::new()
        .mode(0o700)
        .create(&args.out)
        .map_err(|error| Failure::input(format!("{}: {error}", args.out.display())))?;
    let filled = fill(&mut client, ask, place, args);
    if filled.is_err() {
        // It was made here and is of no use.
        let _ = fs::remove_dir_all(&args.out);
    }
    filled
}

/// Fills the folder.
fn fill(
    client: &mut Client,
    mut ask: ArtifactAsk,
    place: Place,
    args: &MakeArgs,
) -> Result<Answer, Failure> {
    let (leaf, signed) = segments(client, &ask, &args.out)?;
    ask.leaf = Some(leaf);
    let manifest = Manifest::read_unverified(&signed).map_err(Failure::failed)?;
    let hash = manifest_hash(&signed);
    let drawn = draw(&args.out, &manifest, &hash, place, &args.seed.0, args.draws);
    let Drawn { tags, of } = drawn.map_err(Failure::failed)?;
    if tags.is_empty() {
        return Err(Failure::no("the artifact has no item to draw"));
    }
    let request = Request::MatchSample {
        of: ask,
        tags: tags.iter().map(|tag| format!("{:x}", tag.0)).collect(),
    };
    let mut pieces = Vec::new();
    client.ask(&request, |line| {
        if let Line::Report(Value::String(piece)) = line {
            pieces.push(piece);
        }
    })?;
    // Read again, so that nothing but a sample is written whatever answered.
    let sample = MatchSample::from_bytes(&pieces_of(&pieces)?).map_err(Failure::failed)?;
    let file = args.out.join(SAMPLE);
    write_private(&file, &sample.to_bytes())
        .map_err(|error| Failure::failed(format!("{}: {error}", file.display())))?;
    let text = format!(
        "{} of {of} drawn from the manifest in leaf {leaf} and opened in {}.\nIt holds records with their fingerprints: give it to an auditor who may see them, and to nobody else.",
        counted(tags.len() as u64, "tag|tags"),
        args.out.display(),
    );
    let json = json!({ "leaf": leaf, "draws": tags.len(), "items": of, "out": args.out });
    Ok(Answer::new(json, text))
}

/// The bytes of pieces that were encoded one by one.
fn pieces_of(pieces: &[String]) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    for piece in pieces {
        bytes.extend(BASE64.decode(piece).map_err(Failure::failed)?);
    }
    Ok(bytes)
}

/// Writes the segments of an artifact into the folder; the manifest and its leaf.
fn segments(
    client: &mut Client,
    ask: &ArtifactAsk,
    folder: &Path,
) -> Result<(u64, Vec<u8>), Failure> {
    let form = || Failure::failed("the node answered in a form that this version does not know");
    let mut taken = Segments {
        folder,
        number: None,
        chunks: Vec::new(),
        fault: None,
    };
    let told = client.ask(&Request::MatchSegments(ask.clone()), |line| {
        if let Line::Report(line) = line {
            taken.take(&line);
        }
    })?;
    taken.end();
    if let Some(error) = taken.fault {
        return Err(Failure::failed(format!("{}: {error}", folder.display())));
    }
    let signed = told["manifest"].as_str().map(|text| BASE64.decode(text));
    let signed = signed.and_then(Result::ok).ok_or_else(form)?;
    Ok((told["leaf"].as_u64().ok_or_else(form)?, signed))
}

/// Segments as they come, each written when the next one begins.
struct Segments<'a> {
    folder: &'a Path,
    number: Option<u32>,
    chunks: Vec<Vec<u8>>,
    fault: Option<io::Error>,
}

impl Segments<'_> {
    fn take(&mut self, line: &Value) {
        let number = line["segment"]
            .as_u64()
            .and_then(|it| u32::try_from(it).ok());
        let chunk = line["chunk"].as_str().map(|text| BASE64.decode(text));
        let (Some(number), Some(Ok(chunk))) = (number, chunk) else {
            self.fault = Some(io::ErrorKind::InvalidData.into());
            return;
        };
        if self.number != Some(number) {
            self.end();
            self.number = Some(number);
        }
        self.chunks.push(chunk);
    }

    fn end(&mut self) {
        if let Some(number) = self.number.take() {
            let written = write_segment(self.folder, number, &self.chunks);
            self.fault = self.fault.take().or(written.err());
        }
        self.chunks.clear();
    }
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// A sample out of its folder.
fn read(folder: &Path) -> Result<MatchSample, Failure> {
    use io::Read as _;
    let path = folder.join(SAMPLE);
    let named = |error: io::Error| Failure::input(format!("{}: {error}", path.display()));
    let mut bytes = Vec::new();
    let file = fs::File::open(&path).map_err(named)?;
    let most = limits::MATCH_SAMPLE_BYTES as u64 + 1;
    file.take(most).read_to_end(&mut bytes).map_err(named)?;
    let named = |error| Failure::no(format!("{}: {error}", path.display()));
    MatchSample::from_bytes(&bytes).map_err(named)
}
