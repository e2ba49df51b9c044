//! Every class and recipient at once: as a table, as JSON, as a page.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::common::{Said, hashpact, text};
use crate::{DAY, POLICIES, profile};

const CLASSES: &str = r#"
[[class]]
name = "pictures"
labels = "state=assessed, media_kind=image|video"

[[class]]
name = "texts <&>"
labels = "state=assessed, media_kind=text"
origin = "ca"
entries = 7
"#;

/// Profiles of three centres, each with a basis with the next, and a file of classes.
fn matrix(folder: &Path, more: &[&str]) -> Result<Vec<String>> {
    for (name, law, with) in [("ca", "CA", "US"), ("us", "US", "CA"), ("nz", "NZ", "US")] {
        profile(folder, name, law, with, POLICIES)?;
    }
    fs::write(folder.join("classes.toml"), CLASSES)?;
    let policies = ["ca", "us", "nz"].map(|id| format!("{id}={}", text(&folder.join(id))));
    let classes = text(&folder.join("classes.toml"));
    let mut args = vec!["policy", "matrix", "--at", DAY, "--classes", &classes];
    for policy in &policies {
        args.extend(["--policy", policy]);
    }
    args.extend(more);
    Ok(args.into_iter().map(str::to_owned).collect())
}

#[test]
fn every_cell_is_asked_and_each_refusal_names_its_policy() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let answer = hashpact(matrix(folder.path(), &[])?)?.ends(0)?;
    let columns: Vec<&str> = answer["columns"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|column| column["centre"].as_str())
        .collect();
    ensure!(columns == ["ca", "nz", "us"], "{answer}");
    let verdicts = |row: &Value| -> Vec<Value> {
        let cells = row["cells"].as_array().into_iter().flatten();
        cells.map(|cell| cell["verdict"].clone()).collect()
    };
    let rows: Vec<_> = answer["rows"].as_array().into_iter().flatten().collect();
    let got: Vec<_> = rows
        .iter()
        .map(|row| (row["origin"].clone(), row["name"].clone(), verdicts(row)))
        .collect();
    let pictures = json!("pictures");
    // nz has a basis with us, and us has none with nz.
    let expected = [
        (
            json!("ca"),
            pictures.clone(),
            vec![json!("own"), json!("denied"), json!("allowed")],
        ),
        (
            json!("ca"),
            json!("texts <&>"),
            vec![json!("own"), json!("denied"), json!("denied")],
        ),
        (
            json!("nz"),
            pictures.clone(),
            vec![json!("denied"), json!("own"), json!("denied")],
        ),
        (
            json!("us"),
            pictures,
            vec![json!("allowed"), json!("denied"), json!("own")],
        ),
    ];
    ensure!(got == expected, "{got:?}");
    let texts = &rows[1]["cells"][2]["steps"];
    ensure!(texts[0]["policies"] == json!(["no-text"]), "{texts}");
    ensure!(texts[0]["reason"] == json!("forbidden"), "{texts}");
    ensure!(texts[1]["reason"] == json!("permitted"), "{texts}");
    ensure!(
        (&answer["allowed"], &answer["asked"]) == (&json!(2), &json!(8)),
        "{answer}"
    );
    ensure!(rows[1]["entries"] == json!(7), "{answer}");
    Ok(())
}

#[test]
fn the_page_and_the_table_show_the_same_signs_without_colour() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let page = folder.path().join("matrix.html");
    let args = matrix(folder.path(), &["--html", &text(&page), "--language", "fr"])?;
    let output = Command::new(env!("CARGO_BIN_EXE_hashpact"))
        .args(args)
        .output()?;
    let said = Said::of(output)?;
    ensure!(said.code == 0, "{said:?}");
    let table = &said.out;
    for sign in ["\u{2713}", "\u{2717} ca+nz", "\u{2717} us", "no-text"] {
        ensure!(table.contains(sign), "{sign}: {table}");
    }
    let page = fs::read_to_string(page)?;
    ensure!(page.contains("<html lang=\"fr\">"), "opens in French");
    ensure!(page.contains("Matrice des politiques") && page.contains("Policy matrix"));
    ensure!(page.contains("texts &lt;&amp;&gt;") && !page.contains("texts <&>"));
    ensure!(
        page.contains("a synthetic law on pictures"),
        "the basis stands in it"
    );
    ensure!(
        page.matches("class=\"mark\"").count() == 8,
        "a sign in each cell"
    );
    Ok(())
}

#[test]
fn what_cannot_be_asked_is_told() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for (more, said) in [
        (&["--from", "zz"][..], "nothing is known of centre zz"),
        (&["--via", "zz"], "nothing is known of centre zz"),
    ] {
        hashpact(matrix(folder.path(), more)?)?.refuses(2, &[said])?;
    }
    for (member, said) in [
        ("hosting:US", "expected SECTOR:LAW:PURPOSE"),
        ("hosting:US:peek", "expected one of detect"),
        (":US:remove", "1 to 64 bytes"),
    ] {
        let refused = hashpact(matrix(folder.path(), &["--member", member])?)?;
        ensure!(
            refused.code == 2 && refused.err.contains(said),
            "{refused:?}"
        );
    }
    let nowhere = text(&folder.path().join("no/page.html"));
    hashpact(matrix(folder.path(), &["--html", &nowhere])?)?.refuses(3, &["page.html"])?;
    let home = text(&folder.path().join("none"));
    hashpact(["--home", &home, "policy", "matrix"])?.refuses(2, &["--classes FILE is needed"])?;
    Ok(())
}
