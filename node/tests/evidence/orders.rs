//! What takes two people: no one person orders anything, and what is ordered ends.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::all_say;
use crate::common::{List, hashpact, ruled_two, text, until};

fn in_seconds(seconds: u64) -> Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    Ok((now + seconds).to_string())
}

fn held(is: bool) -> impl Fn(&Value) -> bool {
    move |entry| entry["hold"] == json!(is)
}

#[test]
fn an_order_takes_two_people_and_a_hold_is_known_at_every_holder_and_lapses() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (eu, us) = ruled_two(folder.path())?;
    let list = List::write(folder.path(), "list", 2)?;
    eu.node.ingest(&list, &[])?.ends(0)?;
    us.node.catches_up_with(&eu.node)?;
    let sha = list.sha256(0);
    let entry = format!("eu.example/eu/1:{}", eu.node.entry(&sha)?);
    let out = text(&folder.path().join("hold.txt"));
    let new = |until: &str, key: &str| {
        let args = [
            "order", "new", "hold", "--entry", &entry, "--reason", "review", "--until", until,
            "--out", &out, "--key", key,
        ];
        eu.node.run(&args)
    };
    new(&in_seconds(40 * 86_400)?, &eu.keys[0])?.refuses(2, &["hold: for"])?;
    let drafted = new(&in_seconds(20)?, &eu.keys[0])?.ends(0)?;
    ensure!(
        drafted["named"] == json!(1) && drafted["signers"].as_array().map(Vec::len) == Some(1),
        "{drafted}"
    );
    let apply = ["order", "apply", out.as_str()];
    eu.node.run(&apply)?.refuses(1, &["1 of 2 signatures"])?;

    // One person twice is one person; a stranger is nobody.
    let sign = |file: &str, key: &str| hashpact(["order", "sign", file, "--key", key]);
    sign(&out, &eu.keys[0])?.refuses(1, &["has signed already"])?;
    let copy = text(&folder.path().join("copy.txt"));
    std::fs::copy(&out, &copy)?;
    sign(&copy, &us.keys[0])?.ends(0)?;
    eu.node
        .run(&["order", "apply", &copy])?
        .refuses(1, &["no key"])?;
    all_say("nothing is held", &[&eu.node, &us.node], &sha, held(false))?;

    sign(&out, &eu.keys[1])?.ends(0)?;
    us.node.run(&apply)?.refuses(1, &["eu"])?;
    let done = eu.node.run(&apply)?.ends(0)?;
    all_say("it is held", &[&eu.node, &us.node], &sha, held(true))?;
    let orders = us.node.run(&["order", "list"])?.ends(0)?;
    ensure!(orders["orders"][0]["hash"] == done["order"], "{orders}");
    ensure!(orders["orders"][0]["ours"] == json!(false), "{orders}");
    ensure!(eu.node.status()?.open.orders.len() == 1);
    // The other entry is not.
    all_say(
        "the other is free",
        &[&us.node],
        &list.sha256(1),
        held(false),
    )?;

    all_say("it lapses", &[&eu.node, &us.node], &sha, held(false))?;
    let orders = us.node.run(&["order", "list"])?.ends(0)?;
    ensure!(orders["orders"] == json!([]), "{orders}");
    Ok(())
}

#[test]
fn a_hold_ends_before_its_time_only_by_an_order_of_the_same_centre() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (eu, us) = ruled_two(folder.path())?;
    let list = List::write(folder.path(), "list", 1)?;
    eu.node.ingest(&list, &[])?.ends(0)?;
    us.node.catches_up_with(&eu.node)?;
    let sha = list.sha256(0);
    let entry = format!("eu.example/eu/1:{}", eu.node.entry(&sha)?);
    let path = |name: &str| text(&folder.path().join(name));
    let both = |keys: &[String; 2]| {
        let [a, b] = keys.clone();
        ["--key".to_owned(), a, "--key".to_owned(), b]
    };
    let ordered = |ruled: &crate::common::Ruled, name: &str, what: &[&str]| -> Result<_> {
        let (out, keys) = (path(name), both(&ruled.keys));
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let new = [&["order", "new"], what, &["--out", &out], &keys].concat();
        ruled.node.run(&new)?.ends(0)?;
        ruled.node.run(&["order", "apply", &out])
    };
    let hold = [
        "hold",
        "--entry",
        &entry,
        "--reason",
        "investigation",
        "--days",
        "7",
    ];
    let hash = ordered(&us, "hold.txt", &hold)?.ends(0)?;
    let hash = hash["order"].as_str().context("no hash")?.to_owned();
    all_say("us holds it", &[&eu.node, &us.node], &sha, held(true))?;
    ordered(&eu, "theirs.txt", &["lift", &hash])?.refuses(1, &["not here"])?;
    ordered(&us, "lift.txt", &["lift", &hash])?.ends(0)?;
    all_say("it is lifted", &[&eu.node, &us.node], &sha, held(false))?;

    // What concerns a centre alone stays there.
    let opt_in = ["opt-in", "us.example/us/1", "--until", &in_seconds(3_600)?];
    ordered(&eu, "opt-in.txt", &opt_in)?.ends(0)?;
    ordered(
        &eu,
        "surge.txt",
        &["surge", "us.example/us/1", "--up-to", "90000"],
    )?
    .ends(0)?;
    until("both are in force at eu", || {
        let orders = eu.node.status()?.open.orders;
        let kinds: Vec<&str> = orders.iter().map(|order| order.kind.as_str()).collect();
        Ok((kinds == ["opt_in", "surge"]).then_some(()))
    })?;
    ensure!(us.node.status()?.open.orders.is_empty());
    Ok(())
}
