//! Look-ups by people: many at once, the line that each request leaves, and the quota of a day.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::common::{List, Node};
use crate::running;

/// The lines of the audit trail, and its text.
fn trail(node: &Node) -> Result<(Vec<Value>, String)> {
    let mut text = String::new();
    for file in fs::read_dir(node.home.data().join("audit"))? {
        text.push_str(&fs::read_to_string(file?.path())?);
    }
    let lines = text.lines().map(serde_json::from_str);
    Ok((lines.collect::<Result<_, _>>()?, text))
}

#[test]
fn a_list_is_looked_up_by_line_and_leaves_no_fingerprint_in_the_trail() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (node, _network) = running(folder.path())?;
    let list = List::write(folder.path(), "list", 8)?;
    node.ingest(&list, &[])?.ends(0)?;
    let asked = folder.path().join("asked.txt");
    let absent = "ffeeddccbbaa99887766554433221100";
    let lines = format!(
        "{}\n\nmd5:{absent}\nsha256:{}\nd41d8cd98f00b204e9800998ecf8427e\n",
        list.md5(2),
        list.sha256(5)
    );
    fs::write(&asked, lines)?;
    let asked = asked.to_str().context("path")?;
    let answer = node.run(&["lookup", "--file", asked])?.ends(0)?;
    ensure!(
        answer["asked"] == json!(3) && answer["matched"] == json!(2),
        "{answer}"
    );
    let hits = answer["hits"].as_array().context("no `hits`")?;
    let numbers: Vec<_> = hits.iter().map(|hit| hit["line"].as_u64()).collect();
    ensure!(numbers == [Some(1), Some(4)], "{answer}");
    ensure!(
        hits.iter().all(|hit| hit["match"] == json!(true)),
        "{answer}"
    );
    node.run(&["lookup", &format!("md5:{absent}")])?.ends(1)?;
    let (told, text) = trail(&node)?;
    ensure!(told.len() == 2, "{text}");
    ensure!(
        told[0]["asked"] == json!({ "md5": 2, "sha256": 1 }),
        "{text}"
    );
    ensure!(
        told[0]["matched"] == json!(2) && told[1]["matched"] == json!(0),
        "{text}"
    );
    ensure!(
        told[0]["kind"] == json!("lookup") && told[0]["uid"].is_u64(),
        "{text}"
    );
    for value in [absent, &list.md5(2), &list.sha256(5)] {
        ensure!(!text.contains(&value[..12]) && !answer.to_string().contains(&value[..12]));
    }
    Ok(())
}

#[test]
fn a_bad_line_of_a_list_is_named_by_its_number_and_never_repeated() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (node, _network) = running(folder.path())?;
    let asked = folder.path().join("asked.txt");
    fs::write(
        &asked,
        "ffeeddccbbaa99887766554433221100\nnot-a-hash-at-all\n",
    )?;
    let said = node.read(&["lookup", "--file", asked.to_str().context("path")?])?;
    ensure!(said.code == 2 && said.err.contains("line 2: "), "{said:?}");
    ensure!(!said.err.contains("not-a-hash"), "{said:?}");
    Ok(())
}

#[test]
fn look_ups_beyond_the_quota_of_a_person_are_refused_and_told_also_after_a_restart() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (mut node, _network) = running(folder.path())?;
    node.stop()?;
    node.configure("\n[lookup]\nper_person_day = 3\n")?;
    node.start()?;
    let asked = folder.path().join("asked.txt");
    fs::write(
        &asked,
        "ffeeddccbbaa99887766554433221100\nffeeddccbbaa99887766554433221101\n",
    )?;
    let asked = asked.to_str().context("path")?.to_owned();
    node.run(&["lookup", "--file", &asked])?.ends(1)?;
    let refused = node.read(&["lookup", "--file", &asked])?;
    ensure!(
        refused.code == 1 && refused.err.contains("2 of 3 made today"),
        "{refused:?}"
    );
    node.stop()?;
    node.start()?;
    let refused = node.read(&["lookup", "--file", &asked])?;
    ensure!(
        refused.code == 1 && refused.err.contains("2 of 3 made today"),
        "{refused:?}"
    );
    let last = node.read(&["lookup", "md5:ffeeddccbbaa99887766554433221100"])?;
    ensure!(last.out == "no known match\n", "{last:?}");
    let (told, text) = trail(&node)?;
    let kinds: Vec<_> = told
        .iter()
        .filter_map(|line| line["kind"].as_str())
        .collect();
    ensure!(
        kinds == ["lookup", "lookup_refused", "lookup_refused", "lookup"],
        "{text}"
    );
    Ok(())
}
