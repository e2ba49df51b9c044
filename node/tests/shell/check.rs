//! Checking files and hashes against the index of a synced list.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use hashpact_keys::Origin;
use hashpact_node::hashing::file::hash;
use hashpact_node::near::file::{ClassLabels, FILE_NAME, IndexWriter, ListVersion, Marks};
use hashpact_node::store::durable::Steps;
use hashpact_protocol::fingerprint::{Algorithm, Fingerprint};
use hashpact_protocol::labels::ClassId;
use hashpact_protocol::record::{Print, Revision};
use hashpact_protocol::testing;
use image::{ImageFormat, RgbImage};
use serde_json::{Value, json};

use crate::common::Said;
use crate::common::said::program;

const CLASS: ClassId = ClassId(3);

/// A folder with the index of a list that has these files: `known.txt` by all its digests, `weak.txt` by its MD5 alone, and
/// `picture.png` by its PDQ hash alone, disputed.
struct Synced {
    folder: tempfile::TempDir,
}

impl Synced {
    fn make() -> Result<Self> {
        let made = Self {
            folder: tempfile::tempdir()?,
        };
        let files = made.path("files");
        fs::create_dir(&files)?;
        fs::write(files.join("known.txt"), "known")?;
        fs::write(files.join("weak.txt"), "weak")?;
        fs::write(files.join("other.txt"), "other")?;
        picture(&files.join("picture.png"), 0)?;
        let mut writer = IndexWriter::new(ListVersion {
            network: "n".to_owned(),
            centre: "us".to_owned(),
            member: "acme".to_owned(),
            ledger: "0011223344556677".to_owned(),
            cursor: "cursor-7".to_owned(),
            issued_at: 1_795_376_407,
        });
        let origin: Origin = "eu.example/eu/1".parse()?;
        let labels = ClassLabels::from([("state".to_owned(), json!("assessed"))]);
        writer.class(&origin, CLASS, labels)?;
        let of = |name: &str, kinds: &[Algorithm]| -> Result<Vec<Fingerprint>> {
            let mut all = hash(&files.join(name), |_| true)?.fingerprints;
            all.retain(|print| kinds.contains(print.algorithm()));
            Ok(all)
        };
        let digests = [Algorithm::Md5, Algorithm::Sha1, Algorithm::Sha256];
        let entries = [
            (of("known.txt", &digests)?, false),
            (of("weak.txt", &[Algorithm::Md5])?, false),
            (of("picture.png", &[Algorithm::Pdq])?, true),
        ];
        for (n, (prints, disputed)) in (1..).zip(entries) {
            ensure!(!prints.is_empty());
            let mut record = testing::record(n);
            record.fields.prints = prints.into_iter().map(Print::plain).collect();
            let marks = Marks {
                disputed,
                flagged: false,
            };
            let entry = (record.entry, Revision(2));
            writer.push((&origin, CLASS), entry, marks, &record.fields)?;
        }
        writer.finish(&made.path(FILE_NAME), &Steps::default())?;
        Ok(made)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn check(&self, args: &[&str]) -> Result<Said> {
        let folder = self.folder.path().to_str().context("path")?;
        let mut all = vec!["member", "check", "--dir", folder];
        all.extend(args);
        program(Command::new(env!("CARGO_BIN_EXE_hashpact")).args(all))
    }

    fn json(&self, args: &[&str], code: i32) -> Result<(Value, String)> {
        let said = self.check(&[args, &["--json"]].concat())?;
        ensure!(said.code == code, "{said:?}");
        Ok((serde_json::from_str(&said.out)?, said.out))
    }
}

/// A picture with something on it; `change` alters a few of its pixels.
fn picture(path: &Path, change: u32) -> Result<()> {
    let wave = |x: u32, y: u32| u8::try_from((x * 5 + y * y / 9 + x * y / 31) % 256).unwrap_or(0);
    let mut picture = RgbImage::from_fn(180, 150, |x, y| {
        image::Rgb([wave(x, y), wave(y, x / 3), wave(x / 2, y)])
    });
    for x in 0..change {
        for y in 0..change {
            picture.put_pixel(60 + x, 60 + y, image::Rgb([255, 0, 0]));
        }
    }
    Ok(picture.save_with_format(path, ImageFormat::Png)?)
}

fn rows<'a>(json: &'a Value, name: &str) -> Vec<&'a Value> {
    let rows = json["matches"].as_array().into_iter().flatten();
    let is_of = |row: &&Value| {
        row["file"]
            .as_str()
            .is_some_and(|file| file.ends_with(name))
    };
    rows.filter(is_of).collect()
}

#[test]
fn a_folder_is_checked_with_tier_origin_class_distance_and_list_version() -> Result<()> {
    let synced = Synced::make()?;
    let files = synced.path("files");
    picture(&files.join("changed.png"), 14)?;
    let folder = files.to_str().context("path")?;
    let (json, text) = synced.json(&["--near", "31", folder], 0)?;
    ensure!(
        json["matched"] == json!(4) && json["files"] == json!(5),
        "{text}"
    );
    let known = rows(&json, "known.txt");
    ensure!(
        known.len() == 3 && known.iter().all(|row| row["tier"] == json!("T1")),
        "{text}"
    );
    ensure!(
        known.iter().all(|row| row["weak"] == json!(false)),
        "a sha256 matches too: {text}"
    );
    let weak = rows(&json, "weak.txt");
    ensure!(weak.len() == 1 && weak[0]["weak"] == json!(true), "{text}");
    let same = rows(&json, "picture.png");
    ensure!(same.len() == 1 && same[0]["tier"] == json!("T2"), "{text}");
    ensure!(
        same[0]["disputed"] == json!(true) && same[0]["distance"] == json!(0),
        "{text}"
    );
    let near = rows(&json, "changed.png");
    ensure!(near.len() == 1 && near[0]["tier"] == json!("T3"), "{text}");
    let distance = near[0]["distance"].as_u64().context("distance")?;
    ensure!(
        (1..=31).contains(&distance) && near[0]["threshold"] == json!(31),
        "{text}"
    );
    ensure!(
        near[0]["origin"] == json!("eu.example/eu/1") && near[0]["class"] == json!(3),
        "{text}"
    );
    ensure!(near[0]["labels"]["state"] == json!("assessed"), "{text}");
    ensure!(json["list"]["cursor"] == json!("cursor-7"), "{text}");
    ensure!(json["declared_error"]["list"]["rate"].is_f64(), "{text}");
    // Without --near only the same hash matches.
    let (exact, text) = synced.json(&[folder], 0)?;
    ensure!(
        exact["matched"] == json!(3) && rows(&exact, "changed.png").is_empty(),
        "{text}"
    );
    let said = synced.check(&["--near", "31", folder])?;
    ensure!(
        said.code == 0 && said.out.contains("T3 near by pdq"),
        "{said:?}"
    );
    for name in ["known.txt", "picture.png", "changed.png"] {
        for print in hash(&files.join(name), |_| true)?.fingerprints {
            let value = hex::encode(print.bytes());
            ensure!(!said.out.contains(&value[..12]) && !text.contains(&value[..12]));
        }
    }
    Ok(())
}

#[test]
fn what_cannot_be_read_is_told_and_stops_nothing() -> Result<()> {
    let synced = Synced::make()?;
    let files = synced.path("files");
    let png = fs::read(files.join("picture.png"))?;
    fs::write(files.join("broken.png"), &png[..png.len() / 3])?;
    fs::create_dir(files.join("below"))?;
    std::os::unix::fs::symlink(&files, files.join("below/loop"))?;
    fs::copy(files.join("known.txt"), files.join("below/again.txt"))?;
    let missing = synced.path("missing");
    let (folder, missing) = (
        files.to_str().context("path")?,
        missing.to_str().context("path")?,
    );
    let (json, text) = synced.json(&[missing, folder], 0)?;
    ensure!(
        json["unreadable"] == json!(2) && json["links_passed"] == json!(1),
        "{text}"
    );
    ensure!(
        rows(&json, "again.txt").len() == 3 && json["files"] == json!(6),
        "{text}"
    );
    // Nothing matches, but not everything was looked at: that is no "no".
    let only = files.join("other.txt");
    let only = only.to_str().context("path")?;
    synced.json(&[only, missing], 3)?;
    synced.json(&[only], 1)?;
    Ok(())
}

#[test]
fn hashes_are_matched_by_line_and_bad_ones_refused_by_number() -> Result<()> {
    let synced = Synced::make()?;
    let prints = hash(&synced.path("files").join("known.txt"), |_| true)?.fingerprints;
    let list = synced.path("hashes.txt");
    let lines = format!(
        "ffeeddccbbaa99887766554433221100\n{}\nd41d8cd98f00b204e9800998ecf8427e\n",
        hex::encode(prints[0].bytes())
    );
    fs::write(&list, lines)?;
    let path = list.to_str().context("path")?;
    let (json, text) = synced.json(&["--hashes", path], 0)?;
    ensure!(
        json["hashes"] == json!(2) && json["guarded"] == json!(1),
        "{text}"
    );
    let row = &json["matches"][0];
    ensure!(
        row["line"] == json!(2) && row["weak"] == json!(true),
        "{text}"
    );
    fs::write(&list, "ffeeddccbbaa99887766554433221100\n")?;
    synced.json(&["--hashes", path], 1)?;
    fs::write(&list, "ffeeddccbbaa99887766554433221100\nzz-secret\n")?;
    let said = synced.check(&["--hashes", path])?;
    ensure!(said.code == 2 && said.err.contains("line 2"), "{said:?}");
    ensure!(!said.err.contains("zz-secret"), "{said:?}");
    Ok(())
}

#[test]
fn without_a_whole_index_nothing_is_checked() -> Result<()> {
    let synced = Synced::make()?;
    let index = synced.path(FILE_NAME);
    let file = synced.path("files/known.txt");
    let file = file.to_str().context("path")?;
    let mut bytes = fs::read(&index)?;
    bytes[200] ^= 1;
    fs::write(&index, &bytes)?;
    let said = synced.check(&[file])?;
    ensure!(said.code == 3 && said.out.is_empty(), "{said:?}");
    fs::remove_file(&index)?;
    let said = synced.check(&[file])?;
    ensure!(
        said.code == 3 && said.err.contains("hashpact member sync"),
        "{said:?}"
    );
    Ok(())
}
