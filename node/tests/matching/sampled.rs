//! What an auditor who may see hashes finds out of the matched set, by sample.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hashpact_node::control::client::Client as Control;
use hashpact_node::control::sampling::ArtifactAsk;
use hashpact_node::control::{Line, Request};
use hashpact_node::matching::sample::draw;
use hashpact_protocol::policy::MatchMode;
use hashpact_protocol::psi::{GroupId, Manifest, MatchSample, manifest_hash};
use serde_json::{Value, json};

use crate::common::{Said, copy_folder, hashpact, text};
use crate::served::Served;

const SEED: [u8; 32] = [0x5e; 32];
const DRAWS: usize = 10;
/// SHA-256 hashes of 40 rows that may be matched.
const HELD: u64 = 30;

/// A centre with a list, and a copy of its log.
struct Audited {
    served: Served,
    folder: PathBuf,
    pin: String,
}

impl Audited {
    fn start(folder: &Path) -> Result<Self> {
        let served = Served::start(folder, 40)?;
        let pin = served.eu.node.status()?.network;
        let audited = Self {
            served,
            folder: folder.to_owned(),
            pin,
        };
        audited.mirror("logs")?;
        Ok(audited)
    }

    fn mirror(&self, name: &str) -> Result<()> {
        let logs = self.served.eu.node.home.data().join("logs");
        copy_folder(&logs, &self.folder.join(name))
    }

    fn place(&self, name: &str) -> String {
        text(&self.folder.join(name))
    }

    fn make(&self, out: &str, draws: usize, more: &[&str]) -> Result<Said> {
        let (out, seed, draws) = (self.place(out), hex::encode(SEED), draws.to_string());
        let args = ["audit", "match-sample", "make", "--group", "0", "--type"];
        let how = ["sha256", "--draws", &draws, "--seed", &seed, "--out", &out];
        self.served.eu.node.run(&[&args[..], &how, more].concat())
    }

    fn check(&self, made: &str, logs: &str, seed: [u8; 32], draws: usize) -> Result<Said> {
        let (made, logs, seed) = (self.place(made), self.place(logs), hex::encode(seed));
        let draws = draws.to_string();
        hashpact([
            "audit",
            "match-sample",
            "check",
            &made,
            "--logs",
            &logs,
            "--pin",
            &self.pin,
            "--seed",
            &seed,
            "--draws",
            &draws,
        ])
    }

    fn sample(&self, made: &str) -> PathBuf {
        self.folder.join(made).join("sample")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_of_an_honest_centre_holds_without_its_node() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut audited = Audited::start(folder.path())?;
    let made = audited.make("made", DRAWS, &[])?.ends(0)?;
    ensure!(
        made["draws"] == json!(DRAWS) && made["items"] == json!(HELD),
        "{made}"
    );
    let mode = fs::metadata(audited.sample("made"))?.permissions().mode();
    ensure!(mode & 0o777 == 0o600, "{mode:o}");
    ensure!(!made.to_string().contains(&audited.served.list.sha256(0)));
    audited.served.eu.node.stop()?;
    let checked = audited.check("made", "logs", SEED, DRAWS)?.ends(0)?;
    ensure!(
        checked["leaf"] == made["leaf"] && checked["items"] == json!(HELD),
        "{checked}"
    );
    ensure!(checked["origin"] == json!("eu.example/eu/1") && checked["deltas"] == json!(1));
    let below = checked["strangers_below"].as_f64().context("no share")?;
    // Ten draws: 1 - 0.05^(1/10).
    ensure!((0.258..0.259).contains(&below), "{below}");
    ensure!(!checked.to_string().contains(&audited.served.list.sha256(0)));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swapped_record_another_seed_and_a_changed_segment_are_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let audited = Audited::start(folder.path())?;
    audited.make("made", DRAWS, &[])?.ends(0)?;
    let other = "not that of the record that was opened for it";
    audited
        .check("made", "logs", [7; 32], DRAWS)?
        .refuses(1, &[other])?;
    audited
        .check("made", "logs", SEED, DRAWS + 1)?
        .refuses(1, &["10 tags opened, expected 11"])?;

    let file = audited.sample("made");
    let good = fs::read(&file)?;
    let mut sample = MatchSample::from_bytes(&good)?;
    sample.opened.swap(2, 3);
    fs::write(&file, sample.to_bytes())?;
    audited
        .check("made", "logs", SEED, DRAWS)?
        .refuses(1, &["proof"])?;
    fs::write(&file, &good)?;

    let segment = audited.folder.join("made/segment-0.tags");
    let mut changed = fs::read(&segment)?;
    *changed.last_mut().context("empty")? ^= 1;
    fs::write(&segment, changed)?;
    audited
        .check("made", "logs", SEED, DRAWS)?
        .refuses(1, &["segment-0.tags"])?;
    Ok(())
}

/// Other tags than the drawn ones, opened: what a centre would do whose drawn tags are strangers.
fn opened_instead(audited: &Audited, seed: [u8; 32]) -> Result<Vec<u8>> {
    let mut control = Control::connect(&audited.served.eu.node.home)?;
    let of = ArtifactAsk {
        group: 0,
        kind: "sha256".to_owned(),
        mode: "items".to_owned(),
        leaf: None,
    };
    let told = control.ask(&Request::MatchSegments(of.clone()), |_| {})?;
    let signed = BASE64.decode(told["manifest"].as_str().context("no manifest")?)?;
    let (place, hash) = ((GroupId(0), 3, MatchMode::Items), manifest_hash(&signed));
    let manifest = Manifest::read_unverified(&signed)?;
    let folder = audited.folder.join("made");
    let drawn = draw(&folder, &manifest, &hash, place, &seed, DRAWS)?;
    let tags = drawn
        .tags
        .iter()
        .map(|tag| format!("{:x}", tag.0))
        .collect();
    let mut bytes = Vec::new();
    control.ask(&Request::MatchSample { of, tags }, |line| {
        if let Line::Report(Value::String(piece)) = line {
            bytes.extend(BASE64.decode(piece).unwrap_or_default());
        }
    })?;
    Ok(bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_centre_that_opens_other_items_than_the_drawn_ones_is_found_out() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let audited = Audited::start(folder.path())?;
    audited.make("made", DRAWS, &[])?.ends(0)?;
    let file = audited.sample("made");
    fs::write(&file, opened_instead(&audited, SEED)?)?;
    audited.check("made", "logs", SEED, DRAWS)?.ends(0)?;
    // Its records are logged and its proof is good, but they are of other tags.
    fs::write(&file, opened_instead(&audited, [9; 32])?)?;
    let other = "not that of the record that was opened for it";
    audited
        .check("made", "logs", SEED, DRAWS)?
        .refuses(1, &[other])?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_without_a_record_is_named_by_the_centre_and_a_newer_manifest_by_the_check()
-> Result<()> {
    let folder = tempfile::tempdir()?;
    let audited = Audited::start(folder.path())?;
    let eu = &audited.served.eu.node;
    let old = audited.make("old", DRAWS, &[])?.ends(0)?["leaf"]
        .as_u64()
        .context("no leaf")?;
    let entry = eu.entry(&audited.served.list.sha256(0))?;
    eu.run(&["retract", &entry])?.ends(0)?;
    audited.served.builds(2 * HELD - 2)?;

    // The tag stands in the older manifest, and no record that counts has it.
    let leaf = old.to_string();
    audited
        .make("none", 300, &["--leaf", &leaf])?
        .refuses(1, &["1 of 30 drawn tags", "strangers"])?;
    let new = audited.make("new", 300, &[])?.ends(0)?;
    ensure!(
        new["items"] == json!(HELD - 1) && new["draws"] == json!(HELD - 1),
        "{new}"
    );

    // The copy was made before: the auditor's seed might have been known.
    audited
        .check("new", "logs", SEED, 300)?
        .refuses(1, &["choose a new seed"])?;
    audited.mirror("later")?;
    let whole = audited.check("new", "later", SEED, 300)?.ends(0)?;
    ensure!(whole["strangers_below"] == json!(0.0), "{whole}");
    let older = audited.check("old", "later", SEED, DRAWS)?.ends(0)?;
    ensure!(
        older["newest"] == new["leaf"] && older["leaf"] == json!(old),
        "{older}"
    );
    Ok(())
}

/// Makes the first item of a file of points one that no record has (layout: `node/src/matching/points.rs`).
fn plant_stranger(run: &Path) -> Result<()> {
    const HEAD: usize = 16;
    const ID: usize = 16;
    let mut bytes = fs::read(run)?;
    // Ids are uniform: the last byte of one decides no order.
    bytes[HEAD + ID - 1] ^= 1;
    let end = bytes.len() - 32;
    let hash = blake3::hash(&bytes[..end]);
    bytes[end..].copy_from_slice(hash.as_bytes());
    Ok(fs::write(run, bytes)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_among_the_points_cannot_be_opened() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut audited = Audited::start(folder.path())?;
    let eu = &mut audited.served.eu.node;
    eu.stop()?;
    let points = eu.home.data().join("matching/0/0-3-items");
    let files = fs::read_dir(points)?.map(|file| Ok(file?.path()));
    let files = files.collect::<Result<Vec<PathBuf>>>()?;
    let is_run = |file: &&PathBuf| file.extension().is_some_and(|name| name == "run");
    plant_stranger(files.iter().find(is_run).context("no points")?)?;
    eu.start()?;
    audited.served.builds(2 * HELD)?;
    let refused = "1 of 30 drawn tags are of no record";
    audited.make("made", 300, &[])?.refuses(1, &[refused])?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_artifact_or_no_seed_is_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let audited = Audited::start(folder.path())?;
    let eu = &audited.served.eu.node;
    let out = audited.place("made");
    let seed = hex::encode(SEED);
    let make = |group: &str, kind: &str, seed: &str| -> Result<Said> {
        let args = ["audit", "match-sample", "make", "--group", group, "--type"];
        let how = [kind, "--seed", seed, "--out", &out];
        let said = eu.run(&[&args[..], &how].concat());
        // Whatever is refused leaves no folder behind.
        ensure!(!Path::new(&out).exists());
        said
    };
    make("7", "sha256", &seed)?.refuses(1, &["no sha256 of group 7"])?;
    make("0", "tmk", &seed)?.refuses(2, &["no such type"])?;
    ensure!(make("0", "sha256", "5e5e")?.code == 2);
    Ok(())
}
