//! Proofs as files: a centre makes them, and whoever has the pin and the roster checks them without a node.

#[path = "common/mod.rs"]
mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use common::{List, Network, Node, Over, Said, hashpact, text, two};

/// A running centre that is alone on its roster and has taken in 40 rows.
fn one(folder: &Path) -> Result<(Node, Network, List)> {
    let mut node = Node::init(folder, "eu", Over::Tcp)?;
    let network = Network::found(folder, &[&node])?;
    node.start()?;
    let list = List::write(folder, "list", 40)?;
    node.ingest(&list, &[])?.ends(0)?;
    Ok((node, network, list))
}

fn check(files: &[PathBuf], network: &Network) -> Result<Said> {
    let mut args = vec!["audit".to_owned(), "check".to_owned()];
    args.extend(files.iter().map(|file| text(file)));
    args.extend(["--pin".to_owned(), network.pin.clone()]);
    for roster in &network.rosters {
        args.extend(["--roster".to_owned(), text(roster)]);
    }
    hashpact(args)
}

/// The files that a command says it wrote.
fn written(answer: &Value) -> Result<Vec<PathBuf>> {
    let files = answer["files"].as_array().context("no `files`")?;
    let file = |file: &Value| Ok(PathBuf::from(file.as_str().context("no path")?));
    files.iter().map(file).collect()
}

fn proven(answer: &Value, kind: &str) -> Result<String> {
    let files = answer["files"].as_array().context("no `files`")?;
    let file = files.iter().find(|file| file["kind"] == json!(kind));
    let file = file.with_context(|| format!("no {kind}: {answer}"))?;
    ensure!(file["proven"] == json!(true), "{file}");
    Ok(file["text"].as_str().context("no `text`")?.to_owned())
}

/// The file with this ending.
fn ending<'a>(files: &'a [PathBuf], end: &str) -> Result<&'a PathBuf> {
    let has = |file: &&PathBuf| file.extension().is_some_and(|name| name == end);
    files.iter().find(has).with_context(|| format!("no .{end}"))
}

#[test]
fn an_entry_is_proven_and_the_proofs_hold_without_the_node() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (mut eu, network, list) = one(folder.path())?;
    let entry = eu.entry(&list.sha256(7))?;
    let out = text(&folder.path().join("proofs"));
    let args = ["audit", "prove", &entry, "--out", &out, "--receipt"];
    let answer = eu.run(&args)?.ends(0)?;
    ensure!(answer["retracted"] == json!(false), "{answer}");
    eu.stop()?;
    let files = written(&answer)?;
    let mut names: Vec<_> = files
        .iter()
        .filter_map(|file| file.file_name()?.to_str())
        .collect();
    names.sort_unstable();
    let record = format!("{entry}.record-proof");
    let mut expected = vec!["0.leaf", "0.receipt", "0.tlog-proof", &record];
    expected.sort_unstable();
    ensure!(names == expected, "{names:?}");
    // It holds fingerprints; nothing that was printed does.
    let mode = fs::metadata(ending(&files, "record-proof")?)?
        .permissions()
        .mode();
    ensure!(mode & 0o777 == 0o600, "{mode:o}");
    ensure!(!answer.to_string().contains(&list.sha256(7)));
    let checked = check(&files, &network)?.ends(0)?;
    ensure!(checked["proven"] == json!(true), "{checked}");
    let (leaf, size) = (answer["leaf"].clone(), answer["size"].clone());
    let log = proven(&checked, "tlog-proof")?;
    ensure!(
        log.starts_with(&format!(
            "leaf {leaf} (delta 0 of 40 records) of eu.example/eu/1"
        )),
        "{log}"
    );
    let record = proven(&checked, "record-proof")?;
    ensure!(record.contains(&entry), "{record}");
    ensure!(
        record.ends_with(&format!("which is leaf {leaf} of its log")),
        "{record}"
    );
    let receipt = proven(&checked, "receipt")?;
    ensure!(
        receipt.ends_with(&format!(
            "its root is that of the checkpoint of {size} leaves"
        )),
        "{receipt}"
    );
    Ok(())
}

#[test]
fn a_changed_proof_leaf_or_pin_is_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (eu, network, list) = one(folder.path())?;
    let entry = eu.entry(&list.sha256(3))?;
    let out = text(&folder.path().join("proofs"));
    let args = ["audit", "prove", &entry, "--out", &out, "--receipt"];
    let files = written(&eu.run(&args)?.ends(0)?)?;
    for (end, shown_by) in [
        ("tlog-proof", "tlog-proof"),
        ("record-proof", "record-proof"),
        ("receipt", "receipt"),
        ("leaf", "tlog-proof"),
        ("leaf", "receipt"),
    ] {
        let (file, shown_by) = (ending(&files, end)?, ending(&files, shown_by)?);
        let good = fs::read(file)?;
        // Of a receipt the place is not signed, so only its ends are bent here.
        let places = [0, 1, good.len() / 2, good.len() - 2, good.len() - 1];
        for at in places {
            if end == "receipt" && at == good.len() / 2 {
                continue;
            }
            let mut bent = good.clone();
            bent[at] ^= 1;
            fs::write(file, bent)?;
            let said = check(std::slice::from_ref(shown_by), &network)?.ends(1)?;
            ensure!(said["proven"] == json!(false), "{end} {at}: {said}");
        }
        fs::write(file, good)?;
        check(std::slice::from_ref(shown_by), &network)?.ends(0)?;
    }
    // A person reads which file it is.
    let file = ending(&files, "record-proof")?;
    let mut bent = fs::read(file)?;
    let last = bent.len() - 1;
    bent[last] ^= 1;
    fs::write(file, bent)?;
    let roster = text(&network.rosters[0]);
    let args = [
        "audit",
        "check",
        &text(file),
        "--pin",
        &network.pin,
        "--roster",
        &roster,
    ];
    let said = eu.read(&args)?;
    ensure!(
        said.code == 1 && said.out.contains("NOT PROVEN"),
        "{said:?}"
    );
    let stranger = Network {
        root: network.root.clone(),
        rosters: network.rosters.clone(),
        pin: "ab".repeat(32),
    };
    check(&files, &stranger)?.refuses(1, &["roster-1.txt"])?;
    Ok(())
}

#[test]
fn a_leaf_is_proven_out_of_the_published_files_alone() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (mut eu, network, _) = one(folder.path())?;
    let size = eu.status()?.own.size;
    eu.stop()?;
    let logs = text(&eu.home.data().join("logs"));
    let out = folder.path().join("proofs");
    let prove = |leaf: u64| {
        let (leaf, out) = (leaf.to_string(), text(&out));
        let mut args = vec!["audit", "prove", "--mirror", &logs, "--out", &out];
        args.extend(["--log", "eu.example/eu/1", "--leaf", &leaf]);
        hashpact(args)
    };
    let mut files = Vec::new();
    for leaf in 0..size {
        files.extend(written(&prove(leaf)?.ends(0)?)?);
    }
    check(&files, &network)?.ends(0)?;
    prove(size)?.refuses(2, &[&format!("leaf {size} is beyond")])?;
    // Another leaf of the same name is never written over.
    fs::write(out.join("leaf-0.leaf"), "another")?;
    prove(0)?.refuses(2, &["leaf-0.leaf"])?;
    Ok(())
}

#[test]
fn another_centre_proves_what_it_mirrors_and_issues_no_receipt_of_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (eu, us, network) = two(folder.path(), Over::Tcp)?;
    let list = List::write(folder.path(), "list", 8)?;
    eu.ingest(&list, &[])?.ends(0)?;
    us.catches_up_with(&eu)?;
    let entry = us.entry(&list.sha256(5))?;
    let out = text(&folder.path().join("proofs"));
    let own = ["audit", "prove", &entry, "--out", &out];
    us.run(&own)?.refuses(1, &[&entry, "us.example/us/1"])?;
    let of_eu = [&own[..], &["--origin", "eu.example/eu/1"]].concat();
    let files = written(&us.run(&of_eu)?.ends(0)?)?;
    let record = ending(&files, "record-proof")?.clone();
    let said = check(&[record], &network)?.ends(0)?;
    ensure!(
        proven(&said, "record-proof")?.contains("eu.example/eu/1 signed"),
        "{said}"
    );
    let receipt = [&of_eu[..], &["--receipt"]].concat();
    us.run(&receipt)?.refuses(1, &["only eu has"])?;
    // A fingerprint that was typed in the place of an entry id is not repeated.
    let print = list.sha256(5);
    let said = eu.run(&["audit", "prove", &print, "--out", &out])?;
    said.refuses(2, &["32 hexadecimal digits"])?;
    ensure!(!said.err.contains(&print) && !said.out.contains(&print));
    Ok(())
}

#[test]
fn a_retracted_entry_is_proven_and_told_as_retracted() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (eu, network, list) = one(folder.path())?;
    let entry = eu.entry(&list.sha256(1))?;
    eu.run(&["retract", &entry])?.ends(0)?;
    let out = text(&folder.path().join("proofs"));
    let answer = eu
        .run(&["audit", "prove", &entry, "--out", &out])?
        .ends(0)?;
    ensure!(answer["retracted"] == json!(true), "{answer}");
    check(&written(&answer)?, &network)?.ends(0)?;
    Ok(())
}
