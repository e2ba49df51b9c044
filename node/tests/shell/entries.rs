//! Looking entries up, retracting them, status, and what is never printed.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::common::{List, Over, text, two, until};
use crate::{running, summary, two_bad_rows};

/// What `status --json` has, in the order of the alphabet.
const STATUS_KEYS: [&str; 19] = [
    "behind",
    "centre",
    "demo",
    "events",
    "gateway",
    "http",
    "ingesting",
    "matching",
    "mirrored",
    "network",
    "open",
    "own",
    "peers",
    "recalls",
    "retired",
    "roster_expires_at",
    "roster_version",
    "unconfirmed",
    "withheld",
];

fn keys(object: &Value) -> Result<Vec<&str>> {
    let object = object.as_object().context("an object")?;
    let mut keys: Vec<&str> = object.keys().map(String::as_str).collect();
    keys.sort_unstable();
    Ok(keys)
}

#[test]
fn status_tells_what_a_script_needs() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (eu, us, network) = two(folder.path(), Over::Both)?;
    let list = List::write(folder.path(), "list", 40)?;
    ensure!(summary(&eu.ingest(&list, &[])?.ends(0)?)? == [40, 40, 0, 0, 0]);
    us.catches_up_with(&eu)?;
    let mut status = us.run(&["status"])?.ends(0)?;
    let keys = keys(&status)?;
    ensure!(keys == STATUS_KEYS, "{keys:?}");
    ensure!(
        status["centre"] == json!("us") && status["demo"] == json!(true),
        "{status}"
    );
    ensure!(
        status["network"] == json!(network.pin) && status["behind"].is_null(),
        "{status}"
    );
    ensure!(
        status["roster_version"] == json!(1) && status["ingesting"] == json!(false),
        "{status}"
    );
    let at = status["mirrored"][0]["witnessed_at"].take();
    ensure!(at.as_u64() > Some(1_700_000_000), "{status}");
    let log = json!({
        "centre": "eu", "origin": "eu.example/eu/1", "size": 3, "head": 3, "witnessed": 3,
        "witnessed_at": null, "fresh": true, "quorum": 1, "missing": [], "pending_since": null,
        "receipts_missing": [], "frozen": null, "deltas": 1, "applied": 1, "held": 40,
        "retracted": 0,
        "policy": { "in_force": [], "matures": null, "unreadable": [], "closed": false },
    });
    ensure!(
        status["recalls"] == json!([]) && status["withheld"] == json!([]),
        "{status}"
    );
    ensure!(status["mirrored"] == json!([log]), "{status}");
    ensure!(
        status["own"]["centre"] == json!("us") && status["own"]["held"] == json!(0),
        "{status}"
    );
    ensure!(
        status["unconfirmed"].is_null() && status["retired"] == json!(false),
        "{status}"
    );
    let peer = &status["peers"][0];
    ensure!(
        peer["centre"] == json!("eu") && peer["up"] == json!(true),
        "{status}"
    );
    ensure!(
        peer["bytes_in"].as_u64() > Some(40 * 48),
        "40 entries came in less: {peer}"
    );
    let kinds: Vec<&Value> = status["events"]
        .as_array()
        .context("events")?
        .iter()
        .map(|seen| &seen["kind"])
        .collect();
    ensure!(kinds.contains(&&json!("log_grew")), "{kinds:?}");
    ensure!(kinds.contains(&&json!("delta_applied")), "{kinds:?}");
    Ok(())
}

#[test]
fn person_reads_answers_on_standard_output_and_faults_on_standard_error() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (node, _network) = running(folder.path())?;
    let list = List::write(folder.path(), "list", 8)?;
    let (file, profile) = (text(&list.file), text(&list.profile));
    let said = node.read(&["ingest", &file, "--profile", &profile])?;
    ensure!(
        said.code == 0 && said.out.starts_with("8 rows: 8 new in 1 delta,"),
        "{said:?}"
    );
    ensure!(said.err.contains("signing: 8 of 8"), "{said:?}");
    let said = node.read(&["status"])?;
    ensure!(
        said.code == 0 && said.err.is_empty() && said.out.contains("eu.example/eu/1"),
        "{said:?}"
    );
    let said = node.read(&["lookup", &format!("md5:{}", list.md5(0))])?;
    ensure!(
        said.code == 0 && said.out.contains("state assessed, TLP:AMBER"),
        "{said:?}"
    );
    let said = node.read(&["lookup", "md5:ffeeddccbbaa99887766554433221100"])?;
    ensure!(said.code == 1 && said.out == "no known match\n", "{said:?}");
    let said = node.read(&["retract", "xyz"])?;
    ensure!(said.code == 2 && said.out.is_empty(), "{said:?}");
    ensure!(
        said.err == "hashpact: number 1 of the list is not an entry id\n",
        "{said:?}"
    );
    Ok(())
}

#[test]
fn lookup_tells_hits_from_misses_by_its_exit_code() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (eu, us, _network) = two(folder.path(), Over::Both)?;
    let (list, other) = (
        List::write(folder.path(), "list", 8)?,
        List::write(folder.path(), "other", 8)?,
    );
    eu.ingest(&list, &[])?.ends(0)?;
    us.catches_up_with(&eu)?;
    for (node, by) in [
        (&eu, format!("md5:{}", list.md5(2))),
        (&us, format!("sha256:{}", list.sha256(2))),
    ] {
        let answer = node.run(&["lookup", &by])?.ends(0)?;
        let entries = answer["entries"].as_array().context("no `entries`")?;
        ensure!(
            entries.len() == 1 && entries[0]["centre"] == json!("eu"),
            "{answer}"
        );
        ensure!(
            entries[0]["algorithms"] == json!(["md5", "sha256"]),
            "{answer}"
        );
        ensure!(entries[0]["media_kind"] == json!(["audio"]), "{answer}");
        ensure!(entries[0]["retracted"] == json!(false), "{answer}");
    }
    let miss = eu
        .run(&["lookup", &format!("sha256:{}", other.sha256(2))])?
        .ends(1)?;
    ensure!(miss == json!({ "entries": [] }), "{miss}");
    // Other users of the machine see arguments, and not what is read.
    let by = format!("sha256:{}\n", list.sha256(2));
    let read = us.feed(&["lookup", "-"], &by)?.ends(0)?;
    ensure!(
        read["entries"].as_array().map(Vec::len) == Some(1),
        "{read}"
    );
    // Two centres may state the same fingerprint: two entries, of which one may end.
    us.ingest(&list, &[])?.ends(0)?;
    eu.catches_up_with(&us)?;
    let by = format!("sha256:{}", list.sha256(2));
    let answer = eu.run(&["lookup", &by])?.ends(0)?;
    let entries = answer["entries"].as_array().context("no `entries`")?;
    let own = entries.iter().find(|entry| entry["centre"] == json!("eu"));
    let own = own
        .and_then(|entry| entry["entry"].as_str())
        .context("eu's entry")?;
    ensure!(entries.len() == 2, "{answer}");
    eu.run(&["retract", own])?.ends(0)?;
    ensure!(
        eu.run(&["lookup", &by])?.ends(0)?["entries"][1].is_object(),
        "us still states it"
    );
    for (text, part) in [
        ("md5", "ALGORITHM:VALUE"),
        ("md4:00", "unknown algorithm"),
        ("md5:00", "expected 32"),
    ] {
        eu.run(&["lookup", text])?.refuses(2, &[part])?;
    }
    Ok(())
}

#[test]
fn retract_refuses_what_it_cannot_end() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (eu, us, _network) = two(folder.path(), Over::Both)?;
    let list = List::write(folder.path(), "list", 8)?;
    eu.ingest(&list, &[])?.ends(0)?;
    let unknown = "0".repeat(32);
    eu.run(&["retract", &unknown])?
        .refuses(1, &[&unknown, "no entry of this centre"])?;
    eu.run(&["retract", "xyz"])?
        .refuses(2, &["not an entry id"])?;
    eu.run(&["retract"])?.refuses(2, &["give entry ids"])?;
    us.catches_up_with(&eu)?;
    let entry = us.entry(&list.sha256(0))?;
    us.run(&["retract", &entry])?
        .refuses(1, &["no entry of this centre"])?;

    // One bad id among good ones retracts none.
    let good = eu.entry(&list.sha256(1))?;
    eu.run(&["retract", &good, &unknown])?
        .refuses(1, &[&unknown])?;
    ensure!(eu.status()?.own.retracted == 0);
    let ids = folder.path().join("ids");
    fs::write(&ids, format!("{entry}\n{good}\n"))?;
    let answer = eu
        .run(&["retract", &good, "--from", &text(&ids)])?
        .ends(0)?;
    ensure!(
        answer == json!({ "retracted": 2, "deltas": [1] }),
        "{answer}"
    );
    us.catches_up_with(&eu)?;
    us.run(&["lookup", &format!("sha256:{}", list.sha256(0))])?
        .ends(1)?;
    Ok(())
}

/// Some fingerprints invert to a picture, so none may stand in a log, a report or an answer, at any level.
#[test]
fn no_fingerprint_is_ever_printed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (mut eu, mut us, _network) = two(folder.path(), Over::Both)?;
    eu.stop()?;
    us.stop()?;
    for node in [&mut eu, &mut us] {
        node.spawn(&["--log", "trace"])?;
        until("the node answers", || Ok(node.status().ok()))?;
    }
    let list = two_bad_rows(folder.path())?;
    ensure!(eu.ingest(&list, &[])?.code == 1);
    us.catches_up_with(&eu)?;
    ensure!(eu.ingest(&list, &[])?.code == 1);
    list.rewrite(&[
        format!("{},{},text", list.md5(301), list.sha256(5)),
        "data:image/png;,,".to_owned(),
    ])?;
    eu.ingest(&list, &["--strict"])?.lines()?;
    for row in [0, 6, 8] {
        let by = format!("sha256:{}", list.sha256(row));
        eu.run(&["lookup", &by])?;
        us.run(&["lookup", &by[..70]])?;
    }
    let entry = eu.entry(&list.sha256(8))?;
    eu.run(&["retract", &entry])?.ends(0)?;
    us.catches_up_with(&eu)?;
    eu.run(&["status"])?.ends(0)?;
    eu.stop()?;
    us.stop()?;
    let printed = [
        eu.log()?,
        eu.said(),
        eu.out()?,
        us.log()?,
        us.said(),
        us.out()?,
    ]
    .concat();
    ensure!(
        printed.contains("kind=\"delta_applied\"") && printed.contains("TRACE"),
        "no log"
    );
    let printed = printed.to_lowercase();
    for row in 0..=301 {
        for hash in [list.sha256(row), list.md5(row)] {
            // Half of one is as telling.
            ensure!(!printed.contains(&hash[..24]), "row {row} was printed");
        }
    }
    Ok(())
}
