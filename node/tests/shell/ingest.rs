//! What becomes of a list: taken, reported, refused, or known already.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::common::{self, List, text};
use crate::{running, summary, two_bad_rows};

/// Row, column, code and action of a report line.
type Reported<'a> = (
    Option<u64>,
    Option<&'a str>,
    Option<&'a str>,
    Option<&'a str>,
);

fn reported(lines: &[Value]) -> Vec<Reported<'_>> {
    let mut out = Vec::new();
    for line in lines {
        let word = |key: &str| line[key].as_str();
        out.push((
            line["row"].as_u64(),
            word("column"),
            word("code"),
            word("action"),
        ));
    }
    out
}

#[test]
fn list_without_a_profile_gets_an_example_that_is_one() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (node, _network) = running(folder.path())?;
    let list = List::write(folder.path(), "list", 4)?;
    let json = node
        .run(&["ingest", &text(&list.file)])?
        .refuses(2, &["--profile", "[labels]"])?;
    let error = json["error"].as_str().context("no `error`")?;
    let (_, example) = error.split_once("\n\n").context("no example")?;
    hashpact_node::ingest::Profile::from_toml(example, "example")?;

    fs::write(
        &list.profile,
        common::PROFILE.replace("hops = 1", "hops = 9"),
    )?;
    let line = common::PROFILE
        .lines()
        .take_while(|line| !line.starts_with("hops"))
        .count()
        + 1;
    node.ingest(&list, &[])?
        .refuses(2, &[&format!("list.toml:{line}: hops")])?;
    fs::write(&list.profile, common::PROFILE.replace("hops = 1\n", ""))?;
    node.ingest(&list, &[])?
        .refuses(2, &["does not state hops"])?;
    ensure!(node.status()?.own.held == 0);
    Ok(())
}

#[test]
fn bad_rows_are_reported_and_the_others_taken() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (node, _network) = running(folder.path())?;
    let list = two_bad_rows(folder.path())?;
    let expected = [
        (Some(7), Some("sha256"), Some("bad_length"), Some("refused")),
        (Some(10), Some("md5"), Some("bad_alphabet"), Some("refused")),
    ];

    let strict = node.ingest(&list, &["--strict"])?;
    let (lines, last) = strict.lines()?;
    ensure!(
        strict.code == 2 && reported(&lines) == expected,
        "{strict:?}"
    );
    ensure!(
        last["error"]
            .as_str()
            .is_some_and(|error| error.contains("strict")),
        "{last}"
    );
    ensure!(last["detail"]["stopped"] == json!("strict"), "{last}");
    ensure!(
        node.status()?.own.held == 0,
        "a strict ingest took something"
    );

    let report = folder.path().join("report.jsonl");
    let said = node.ingest(&list, &["--report", &text(&report)])?;
    let answer = said.ends(1)?;
    ensure!(
        summary(&answer)? == [300, 298, 0, 0, 2] && answer["deltas"] == json!(1),
        "{answer}"
    );
    let lines: Vec<Value> = fs::read_to_string(&report)?
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    ensure!(reported(&lines) == expected, "{lines:?}");
    ensure!(
        lines.iter().all(|line| line["file"] == json!("list.csv")),
        "{lines:?}"
    );
    ensure!(node.status()?.own.held == 298);
    ensure!(
        node.lookup(&list.sha256(9))?.is_empty(),
        "half of a bad row was taken"
    );

    // Without --report the lines come before the answer.
    let (lines, answer) = node.ingest(&list, &[])?.lines()?;
    ensure!(reported(&lines) == expected, "{lines:?}");
    ensure!(summary(&answer)? == [300, 0, 298, 0, 2], "{answer}");
    Ok(())
}

#[test]
fn more_than_one_bad_row_in_a_hundred_stops_until_confirmed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (node, _network) = running(folder.path())?;
    let list = two_bad_rows(folder.path())?;
    let lines: Vec<String> = fs::read_to_string(&list.file)?
        .lines()
        .skip(1)
        .take(199)
        .map(str::to_owned)
        .collect();
    list.rewrite(&lines)?;
    let (lines, last) = node.ingest(&list, &[])?.lines()?;
    ensure!(lines.len() == 2, "{lines:?}");
    let error = last["error"].as_str().context("no `error`")?;
    ensure!(
        error.contains("2 of 199 rows") && error.contains("confirm"),
        "{error}"
    );
    ensure!(last["detail"]["stopped"] == json!("too_many_bad"), "{last}");
    let said = node.ingest(&list, &["--accept-bad", "1"])?;
    ensure!(
        said.code == 2 && node.status()?.own.held == 0,
        "one confirmed, two bad: {said:?}"
    );
    let said = node.ingest(&list, &["--accept-bad", "2"])?;
    ensure!(
        said.code == 1 && summary(&said.lines()?.1)? == [199, 197, 0, 0, 2],
        "{said:?}"
    );
    Ok(())
}

#[test]
fn file_that_is_no_such_list_is_refused_whole() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (node, _network) = running(folder.path())?;
    let list = List::write(folder.path(), "list", 200)?;
    let good = fs::read_to_string(&list.file)?;
    let content = format!("data:image/png;base64,{}", "A".repeat(2_000));
    let cases: [(&str, Vec<u8>); 4] = [
        ("bad_header", good.replacen("sha256", "sha-256", 1).into()),
        ("truncated", format!("{good}\"{}", list.md5(1)).into()),
        (
            "bad_encoding",
            [good.as_bytes(), b"\xff\xfe,,image\n"].concat(),
        ),
        ("media_content", format!("{good}{content},,image\n").into()),
    ];
    for (code, bytes) in cases {
        fs::write(&list.file, bytes)?;
        let said = node.ingest(&list, &[])?;
        let (lines, last) = said.lines()?;
        ensure!(
            said.code == 2 && last["detail"]["stopped"] == json!(code),
            "{code}: {said:?}"
        );
        let line = lines.last().context("no report line")?;
        let refused = line["code"] == json!(code) && line["action"] == json!("file refused");
        ensure!(
            refused && last["error"].as_str().is_some_and(|e| e.contains(code)),
            "{said:?}"
        );
        ensure!(node.status()?.own.held == 0, "{code}: something was taken");
    }
    fs::remove_file(&list.file)?;
    node.ingest(&list, &[])?.refuses(2, &["list.csv"])?;
    fs::create_dir(&list.file)?;
    node.ingest(&list, &[])?
        .refuses(2, &["list.csv", "not a regular file"])?;
    Ok(())
}

#[test]
fn list_is_taken_once_retracted_for_good_and_never_contradicted() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (node, _network) = running(folder.path())?;
    let list = List::write(folder.path(), "list", 8)?;
    let answer = node.ingest(&list, &[])?.ends(0)?;
    ensure!(
        summary(&answer)? == [8, 8, 0, 0, 0] && answer["deltas"] == json!(1),
        "{answer}"
    );
    let size = node.status()?.own.size;
    let again = node.ingest(&list, &[])?.ends(0)?;
    ensure!(
        summary(&again)? == [8, 0, 8, 0, 0] && again["deltas"] == json!(0),
        "{again}"
    );
    ensure!(
        node.status()?.own.size == size,
        "an unchanged list grew the log"
    );

    let entry = node.entry(&list.sha256(3))?;
    let retracted = node.run(&["retract", &entry])?.ends(0)?;
    ensure!(
        retracted == json!({ "retracted": 1, "deltas": [1] }),
        "{retracted}"
    );
    node.run(&["retract", &entry])?
        .refuses(1, &[&entry, "retracted already"])?;
    let report = text(&folder.path().join("report"));
    let answer = node.ingest(&list, &["--report", &report])?.ends(1)?;
    ensure!(
        summary(&answer)? == [8, 0, 7, 1, 0] && answer["deltas"] == json!(0),
        "{answer}"
    );
    let line: Value = serde_json::from_str(&fs::read_to_string(&report)?)?;
    ensure!(
        reported(std::slice::from_ref(&line))[0].2 == Some("retracted"),
        "{line}"
    );
    ensure!(
        line["row"] == json!(4) && line["action"] == json!("not re-added"),
        "{line}"
    );

    // The same SHA-256 beside another MD5.
    list.rewrite(&[format!("{},{},text", list.md5(99), list.sha256(5))])?;
    let answer = node.ingest(&list, &["--report", &report])?.ends(1)?;
    ensure!(summary(&answer)? == [1, 0, 0, 0, 1], "{answer}");
    let line: Value = serde_json::from_str(&fs::read_to_string(&report)?)?;
    ensure!(line["code"] == json!("duplicate_conflict"), "{line}");
    let own = node.status()?.own;
    ensure!((own.held, own.retracted) == (7, 1), "{own:?}");
    Ok(())
}
