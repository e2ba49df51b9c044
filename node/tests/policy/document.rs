//! From a profile to a document of two people, to a running node's log, and to what is in force there.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

pub(crate) use crate::common::ruled_two as two;
use crate::common::{List, Node, Ruled, hashpact, text, until};
use crate::{POLICIES, profile};

#[test]
fn a_document_needs_two_people_and_the_next_one_counts_on() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (eu, us) = two(folder.path())?;
    let place = folder.path();
    profile(place, "first", "EU", "US", POLICIES)?;
    let (first, out) = (text(&place.join("first")), text(&place.join("1.txt")));
    let new = ["policy", "new", &first, "--out", &out, "--key", &eu.keys[0]];
    let made = eu.node.run(&new)?.ends(0)?;
    ensure!(made["version"] == json!(1), "{made}");
    ensure!(made["origin"] == json!("eu.example/eu/1"), "{made}");
    ensure!(
        made["signers"].as_array().map(Vec::len) == Some(1),
        "{made}"
    );
    eu.node
        .run(&new)?
        .refuses(1, &[&out, "there is a file already"])?;
    let apply = ["policy", "apply", &out];
    eu.node
        .run(&apply)?
        .refuses(1, &["1 of 2 signatures", "policy sign"])?;
    let sign = |key: &str| hashpact(["policy", "sign", &out, "--key", key]);
    sign(&eu.keys[0])?.refuses(1, &["has signed already"])?;

    // Somebody else's key signs, and the node finds out.
    let copy = text(&place.join("copy.txt"));
    fs::copy(&out, &copy)?;
    hashpact(["policy", "sign", &copy, "--key", &us.keys[0]])?.ends(0)?;
    eu.node
        .run(&["policy", "apply", &copy])?
        .refuses(1, &["no key", "enrol --policy-key"])?;

    sign(&eu.keys[1])?.ends(0)?;
    let shown = hashpact(["policy", "show", &out])?.ends(0)?;
    ensure!(
        shown["signers"].as_array().map(Vec::len) == Some(2),
        "{shown}"
    );
    ensure!(shown["profile"]["policies"] == json!(2), "{shown}");
    let logged = eu.node.run(&apply)?.ends(0)?;
    ensure!(logged["version"] == json!(1), "{logged}");
    eu.node
        .run(&apply)?
        .refuses(1, &["version 1 is logged already", "policy new"])?;
    us.node.run(&apply)?.refuses(1, &[])?;

    // What it says comes back out of it, byte for byte.
    let files = place.join("files");
    hashpact(["policy", "show", &out, "--out", &text(&files)])?.ends(0)?;
    for name in ["profile.toml", "rules.cedar"] {
        ensure!(
            fs::read(files.join(name))? == fs::read(place.join("first").join(name))?,
            "{name}"
        );
    }

    let next = text(&place.join("2.txt"));
    let new = |from: &str| eu.node.run(&["policy", "new", from, "--out", &next]);
    new(&first)?.refuses(1, &["nothing to change"])?;
    profile(place, "second", "EU", "CA", POLICIES)?;
    let made = new(&text(&place.join("second")))?.ends(0)?;
    ensure!(
        made["version"] == json!(2) && made["signers"] == json!([]),
        "{made}"
    );
    Ok(())
}

#[test]
fn a_faulty_or_foreign_profile_is_neither_drafted_nor_signed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (eu, _us) = two(folder.path())?;
    let place = folder.path();
    profile(
        place,
        "bad",
        "EU",
        "US",
        &POLICIES.replace("permit (", "permitt ("),
    )?;
    profile(place, "foreign", "CA", "US", POLICIES)?;
    let out = text(&place.join("out.txt"));
    let new = |name: &str| {
        let from = text(&place.join(name));
        eu.node.run(&["policy", "new", &from, "--out", &out])
    };
    new("bad")?.refuses(1, &["bad/rules.cedar:6:1: ", "policy check"])?;
    new("foreign")?.refuses(1, &["law of CA", "eu works under EU"])?;
    ensure!(!Path::new(&out).exists());
    let nobody = text(&place.join("nobody"));
    let foreign = text(&place.join("foreign"));
    hashpact(["--home", &nobody, "policy", "new", &foreign, "--out", &out])?
        .refuses(2, &[&nobody])?;
    Ok(())
}

/// What a node's home says of its own class going to us.
fn explain(node: &Node, more: &[&str]) -> Result<Value> {
    let ask = [
        "policy",
        "explain",
        "--from",
        "eu",
        "--to",
        "us",
        "--purpose",
        "statistics",
    ];
    let said = node.run(&[&ask, more].concat())?;
    ensure!(said.code < 2, "{said:?}");
    said.json()
}

/// eu and us with a profile each in force, and eu with eight entries in four classes, of which one is texts.
fn in_force(folder: &Path) -> Result<(Ruled, Ruled, List, u64)> {
    let (eu, us) = two(folder)?;
    let list = List::write(folder, "list", 8)?;
    eu.node.ingest(&list, &[])?.ends(0)?;
    profile(folder, "eu-1", "EU", "US", POLICIES)?;
    profile(folder, "us-1", "US", "EU", POLICIES)?;
    let index = eu.apply(folder, "eu-1")?;
    us.apply(folder, "us-1")?;
    let policy = |of: &str| -> Result<bool> {
        let status = eu.node.status()?;
        let mut logs = std::iter::once(&status.own).chain(&status.mirrored);
        let log = logs.find(|log| log.centre == of).context("no such log")?;
        Ok(!log.policy.in_force.is_empty() && !log.policy.closed)
    };
    until("both policies are in force at eu", || {
        Ok((policy("eu")? && policy("us")?).then_some(()))
    })?;
    Ok((eu, us, list, index))
}

#[test]
fn a_centre_without_a_document_denies_once_another_has_one() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (eu, _us) = two(folder.path())?;
    let list = List::write(folder.path(), "list", 8)?;
    eu.node.ingest(&list, &[])?.ends(0)?;
    let answer = explain(&eu.node, &["--class-id", "0"])?;
    ensure!(answer["allowed"] == json!(true), "{answer}");
    let because = answer["steps"][0]["because"].as_str().unwrap_or_default();
    ensure!(because.contains("a demonstration"), "{answer}");
    profile(folder.path(), "eu-1", "EU", "US", POLICIES)?;
    eu.apply(folder.path(), "eu-1")?;
    let answer = explain(&eu.node, &["--class-id", "0", "--action", "admit"])?;
    ensure!(answer["denied_by"]["centre"] == json!("us"), "{answer}");
    eu.node
        .run(&[
            "policy",
            "explain",
            "--from",
            "eu",
            "--to",
            "us",
            "--class-id",
            "99",
        ])?
        .refuses(2, &["eu has no class 99"])?;
    let entry = "0".repeat(32);
    let ask = ["policy", "explain", "--from", "eu", "--to", "us"];
    eu.node
        .run(&[&ask[..], &["--entry", &entry]].concat())?
        .refuses(2, &["no record of eu.example/eu/1"])?;
    eu.node
        .run(&ask)?
        .refuses(2, &["--class LABELS", "--class-id", "--entry"])?;
    Ok(())
}

#[test]
fn a_home_explains_what_is_in_force_in_its_logs() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (eu, _us, list, index) = in_force(folder.path())?;
    let classes: Vec<Value> = (0..4)
        .map(|id| explain(&eu.node, &["--class-id", &id.to_string()]))
        .collect::<Result<_>>()?;
    for answer in &classes {
        let labels = answer["class"].as_str().context("labels")?;
        let is_text = labels.contains("media_kind=text");
        ensure!(answer["allowed"] == json!(!is_text), "{answer}");
        ensure!(answer["steps"][0]["index"] == json!(index), "{answer}");
        let policy = if is_text { "no-text" } else { "with-basis" };
        let said = &answer["steps"][0]["policies"][0]["id"];
        ensure!(*said == json!(policy), "{answer}");
    }
    let denied = classes.iter().filter(|it| it["allowed"] == json!(false));
    ensure!(denied.count() == 1, "{classes:?}");
    let entry = eu.node.entry(&list.sha256(0))?;
    let of_entry = explain(&eu.node, &["--entry", &entry])?;
    let mut same = classes.iter().map(|answer| &answer["class"]);
    ensure!(same.any(|class| *class == of_entry["class"]), "{of_entry}");
    shown(&eu.node, folder.path(), &classes, &entry, &of_entry)
}

#[test]
fn a_home_shows_every_class_and_what_a_change_would_take_back() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (eu, _us, _list, _index) = in_force(folder.path())?;
    let matrix = eu
        .node
        .run(&["policy", "matrix", "--purpose", "statistics"])?;
    let matrix = matrix.ends(0)?;
    let rows: Vec<_> = matrix["rows"].as_array().into_iter().flatten().collect();
    let entries: u64 = rows.iter().filter_map(|row| row["entries"].as_u64()).sum();
    ensure!(rows.len() == 4 && entries == 8, "{matrix}");
    ensure!(
        matrix["allowed"] == json!(3),
        "all but texts, to us: {matrix}"
    );

    profile(folder.path(), "eu-2", "EU", "CA", POLICIES)?;
    let path = |name: &str| text(&folder.path().join(name));
    let diff = ["policy", "diff", &path("eu-1.txt"), &path("eu-2")];
    let diff = eu.node.run(&diff)?.ends(0)?;
    ensure!(
        diff["recalled"] == json!(6) && diff["stay"] == json!(2),
        "{diff}"
    );
    ensure!(diff["newly_shared"] == json!(0), "{diff}");
    let changes = diff["changes"].as_array().map(Vec::len);
    ensure!(changes == Some(3), "{diff}");

    // What is narrowed counts as soon as it is logged, witnessed or not.
    let share = ["--class-id", "0", "--action", "share"];
    ensure!(explain(&eu.node, &share)?["allowed"] == json!(true));
    eu.apply(folder.path(), "eu-2")?;
    ensure!(explain(&eu.node, &share)?["allowed"] == json!(false));
    Ok(())
}

/// The matrix of the same home says the same of every class, and nobody attested the entry, so no member gets it.
fn shown(
    node: &Node,
    folder: &Path,
    classes: &[Value],
    entry: &str,
    of_entry: &Value,
) -> Result<()> {
    let page = text(&folder.join("matrix.html"));
    let ask = ["policy", "matrix", "--purpose", "statistics"];
    let matrix = node
        .run(&[&ask[..], &["--html", &page]].concat())?
        .ends(0)?;
    ensure!(matrix["columns"][1]["centre"] == json!("us"), "{matrix}");
    for (class, explained) in classes.iter().enumerate() {
        let row = &matrix["rows"][class];
        let verdict = match explained["allowed"] == json!(true) {
            true => "allowed",
            false => "denied",
        };
        ensure!(row["labels"] == explained["class"], "{row}");
        ensure!(row["cells"][0]["verdict"] == json!("own"), "{row}");
        ensure!(row["cells"][1]["verdict"] == json!(verdict), "{row}");
        let index = &row["cells"][1]["steps"][0]["index"];
        ensure!(*index == explained["steps"][0]["index"], "{row}");
    }
    ensure!(
        fs::read_to_string(&page)?.contains("no-text"),
        "no policy in the page"
    );

    let one = [
        "--from",
        "eu",
        "--entry",
        entry,
        "--member",
        "hosting:EU:remove",
    ];
    let matrix = node.run(&[&ask[..], &one[..]].concat())?.ends(0)?;
    ensure!(
        matrix["rows"].as_array().map(Vec::len) == Some(1),
        "{matrix}"
    );
    ensure!(matrix["known"] == of_entry["entry"], "{matrix}");
    ensure!(matrix["known"]["quorum"] == json!(false), "{matrix}");
    ensure!(matrix["known"]["assessors"] == json!(0), "{matrix}");
    for cell in 2..5 {
        let verdict = &matrix["rows"][0]["cells"][cell]["verdict"];
        ensure!(*verdict == json!("denied"), "{matrix}");
    }
    let file = text(&folder.join("eu-1.txt"));
    let wrong = [&ask[..], &one[..4], &["--attestation", &file]].concat();
    node.run(&wrong)?.refuses(2, &["HASHPACT ATTESTATION"])?;
    Ok(())
}
