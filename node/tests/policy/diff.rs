//! What a change would give, take back and withhold.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::common::{Said, hashpact, text};
use crate::{DAY, POLICIES, profile};

const CLASSES: &str = r#"[[class]]
labels = "state=assessed, media_kind=image, hops=1"
entries = 100

[[class]]
labels = "state=assessed, media_kind=text"
entries = 20

[[class]]
origin = "us"
labels = "state=assessed, media_kind=image, hops=1"
entries = 3
"#;

fn diff(folder: &Path, more: &[&str]) -> Result<Said> {
    let path = |name: &str| text(&folder.join(name));
    let (us, classes) = (format!("us={}", path("us")), path("classes.toml"));
    let (old, new) = (path("old"), path("new"));
    let base = [
        "policy",
        "diff",
        &old,
        &new,
        "--as",
        "ca",
        "--at",
        DAY,
        "--classes",
        &classes,
        "--policy",
        &us,
    ];
    hashpact([&base, more].concat())
}

/// ca has a basis with everyone under a law, before and after.
fn set(folder: &Path, old: (&str, &str), new: (&str, &str)) -> Result<()> {
    fs::write(folder.join("classes.toml"), CLASSES)?;
    profile(folder, "us", "US", "CA", POLICIES)?;
    profile(folder, "old", "CA", old.0, old.1)?;
    profile(folder, "new", "CA", new.0, new.1)
}

fn sums(diff: &Value) -> Result<[u64; 6]> {
    let count = |key: &str| diff[key].as_u64().with_context(|| format!("{key}: {diff}"));
    Ok([
        count("newly_shared")?,
        count("recalled")?,
        count("newly_admitted")?,
        count("withheld")?,
        count("go_on")?,
        count("stay")?,
    ])
}

#[test]
fn narrowing_recalls_from_the_peer_and_withholds_here() -> Result<()> {
    let folder = tempfile::tempdir()?;
    set(folder.path(), ("US", POLICIES), ("NZ", POLICIES))?;
    let answer = diff(folder.path(), &[])?.ends(0)?;
    // Texts went nowhere before either.
    ensure!(sums(&answer)? == [0, 100, 0, 3, 0, 20], "{answer}");
    let changes: Vec<_> = answer["changes"].as_array().into_iter().flatten().collect();
    let told: Vec<_> = changes
        .iter()
        .map(|it| (&it["change"], &it["origin"], &it["peer"], &it["by"]))
        .collect();
    let (share, admit) = (
        json!("ca at share: nothing permits it"),
        json!("ca at admit: nothing permits it"),
    );
    let expected = [
        (&json!("recalled"), &json!("ca"), &json!("us"), &share),
        (&json!("withheld"), &json!("us"), &json!("us"), &admit),
    ];
    ensure!(told == expected, "{answer}");
    Ok(())
}

#[test]
fn widening_shares_only_what_the_peer_admits() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let wide = POLICIES.replace("\"text\"", "\"audio\"");
    set(folder.path(), ("US", POLICIES), ("US", &wide))?;
    let answer = diff(folder.path(), &[])?.ends(0)?;
    ensure!(sums(&answer)? == [20, 0, 0, 0, 103, 0], "{answer}");
    ensure!(
        answer["changes"][0]["by"] == json!("ca at share: no-text"),
        "{answer}"
    );
    // A peer that takes none of it makes it no change.
    profile(folder.path(), "us", "US", "NZ", POLICIES)?;
    let answer = diff(folder.path(), &[])?.ends(0)?;
    ensure!(sums(&answer)?[0] == 0, "{answer}");
    Ok(())
}

#[test]
fn a_peer_whose_policy_is_not_known_says_yes_and_is_named() -> Result<()> {
    let folder = tempfile::tempdir()?;
    set(folder.path(), ("US", POLICIES), ("NZ", POLICIES))?;
    let nz = ["--centre", "nz=NZ", "--purpose", "triage"];
    let answer = diff(folder.path(), &nz)?.ends(0)?;
    ensure!(answer["unknown"] == json!(["nz"]), "{answer}");
    // Ours, and those of us that may go one step on.
    let [shared, recalled, ..] = sums(&answer)?;
    ensure!((shared, recalled) == (100, 100), "{answer}");
    diff(folder.path(), &["--centre", "nz=NZ"])?.refuses(2, &["--purpose is needed"])?;
    Ok(())
}

#[test]
fn the_same_profile_changes_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    set(folder.path(), ("US", POLICIES), ("US", POLICIES))?;
    let answer = diff(folder.path(), &[])?.ends(0)?;
    ensure!(sums(&answer)? == [0, 0, 0, 0, 103, 20], "{answer}");
    ensure!(answer["changes"] == json!([]), "{answer}");
    Ok(())
}

#[test]
fn a_mistake_in_the_classes_is_told_with_its_line() -> Result<()> {
    let folder = tempfile::tempdir()?;
    set(folder.path(), ("US", POLICIES), ("US", POLICIES))?;
    let file = folder.path().join("classes.toml");
    for (from, to, parts) in [
        (
            "media_kind=text",
            "media_kind=txt",
            &[":6: ", "media_kind=txt: expected image"][..],
        ),
        (
            "origin = \"us\"",
            "origin = \"au\"",
            &[":11: ", "--centre au="],
        ),
        ("entries = 20", "entrys = 20", &[":7: ", "entrys"]),
        ("entries = 3", "entries = -3", &[":12: "]),
        (
            "entries = 100\n",
            "",
            &["class 1", "each class states `entries`"],
        ),
    ] {
        fs::write(&file, CLASSES.replace(from, to))?;
        diff(folder.path(), &[])?.refuses(2, parts)?;
    }
    Ok(())
}
