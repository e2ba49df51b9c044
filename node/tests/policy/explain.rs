//! Who denies, at which step, on what basis, and until when an answer holds.

use std::path::Path;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::common::{Said, hashpact, text};
use crate::{DAY, POLICIES, profile};

/// Profiles of three centres: each has a basis with the next.
fn three(folder: &Path) -> Result<()> {
    profile(folder, "ca", "CA", "US", POLICIES)?;
    profile(folder, "us", "US", "CA", POLICIES)?;
    profile(folder, "nz", "NZ", "US", POLICIES)
}

fn explain(folder: &Path, more: &[&str]) -> Result<Said> {
    let policies = ["ca", "us", "nz"].map(|id| format!("{id}={}", text(&folder.join(id))));
    let mut args = vec!["policy", "explain", "--at", DAY];
    for policy in &policies {
        args.extend(["--policy", policy]);
    }
    args.extend(more);
    hashpact(args)
}

const PICTURES: &str = "state=assessed, media_kind=image|video";

#[test]
fn transfer_that_both_ends_allow_is_told_with_policies_bases_and_its_end() -> Result<()> {
    let folder = tempfile::tempdir()?;
    three(folder.path())?;
    let ask = ["--from", "ca", "--to", "us", "--class", PICTURES];
    let answer = explain(folder.path(), &ask)?.ends(0)?;
    ensure!(
        answer["allowed"] == json!(true) && answer["denied_by"].is_null(),
        "{answer}"
    );
    ensure!(
        answer["purpose"] == json!("triage"),
        "the taker's own: {answer}"
    );
    ensure!(answer["valid_until"] == json!("2026-12-31"), "{answer}");
    let steps: Vec<_> = answer["steps"].as_array().into_iter().flatten().collect();
    let who: Vec<_> = steps
        .iter()
        .map(|step| (&step["centre"], &step["action"], &step["principal"]))
        .collect();
    let expected = [
        (&json!("ca"), &json!("share"), &json!("us")),
        (&json!("us"), &json!("admit"), &json!("ca")),
    ];
    ensure!(who == expected, "{answer}");
    let said = &steps[0]["policies"][0];
    let expected = json!({
        "id": "with-basis", "basis": "a synthetic treaty", "at": "rules.cedar:3", "confirmed": false,
    });
    ensure!(*said == expected, "{answer}");
    ensure!(
        steps[0]["grants"][0]["id"] == json!("agreement"),
        "{answer}"
    );
    Ok(())
}

#[test]
fn the_step_that_denies_is_named() -> Result<()> {
    let folder = tempfile::tempdir()?;
    three(folder.path())?;
    let denied = |more: &[&str]| -> Result<Value> {
        Ok(explain(folder.path(), more)?.ends(1)?["denied_by"].take())
    };
    // An uncertain label counts for all that it could be: without media_kind it could be text.
    let by = denied(&["--from", "ca", "--to", "us", "--class", "state=assessed"])?;
    ensure!(by == json!({ "centre": "ca", "action": "share" }), "{by}");
    // nz has a basis with us, and us has none with nz.
    let by = denied(&["--from", "nz", "--to", "us", "--class", PICTURES])?;
    ensure!(by == json!({ "centre": "us", "action": "admit" }), "{by}");
    // The relay's word counts too, and it is asked about the taker.
    let relay = [
        "--origin", "ca", "--from", "nz", "--to", "us", "--class", PICTURES,
    ];
    let answer = explain(folder.path(), &relay)?.ends(1)?;
    let steps: Vec<_> = answer["steps"].as_array().into_iter().flatten().collect();
    let who: Vec<_> = steps
        .iter()
        .map(|step| {
            (
                step["centre"].clone(),
                step["action"].clone(),
                step["allowed"].clone(),
            )
        })
        .collect();
    let expected = [
        (json!("ca"), json!("share"), json!(true)),
        (json!("nz"), json!("reshare"), json!(true)),
        (json!("us"), json!("admit"), json!(false)),
    ];
    ensure!(who == expected, "{answer}");
    ensure!(answer["denied_by"]["centre"] == json!("us"), "{answer}");
    Ok(())
}

#[test]
fn a_grant_ends_by_itself_a_day_before_its_date() -> Result<()> {
    let folder = tempfile::tempdir()?;
    three(folder.path())?;
    let ask = ["--from", "ca", "--to", "us", "--class", PICTURES, "--at"];
    let at = |at: &str| -> Result<i32> {
        let policies = ["ca", "us"].map(|id| format!("{id}={}", text(&folder.path().join(id))));
        let mut args = vec![
            "policy",
            "explain",
            "--policy",
            &policies[0],
            "--policy",
            &policies[1],
        ];
        args.extend(ask);
        args.push(at);
        Ok(hashpact(args)?.code)
    };
    ensure!(
        at("2026-01-01T23:59:59Z")? == 1,
        "opened before from and the skew"
    );
    ensure!(at("2026-01-02")? == 0);
    ensure!(at("2026-12-30T23:59:59Z")? == 0);
    ensure!(at("2026-12-31")? == 1, "open after until and the skew");
    Ok(())
}

#[test]
fn the_default_is_no_and_a_person_reads_that() -> Result<()> {
    let folder = tempfile::tempdir()?;
    three(folder.path())?;
    let ca = format!("ca={}", text(&folder.path().join("ca")));
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_hashpact"));
    let output = command
        .args(["policy", "explain", "--policy", &ca, "--centre", "zz=ZZ"])
        .args(["--from", "ca", "--to", "zz", "--class", PICTURES])
        .args(["--action", "share", "--purpose", "triage", "--at", DAY])
        .output()?;
    let said = Said::of(output)?;
    ensure!(said.code == 1, "{said:?}");
    for part in [
        "DENIED by ca at share",
        "no policy permits it, and the default is no",
        "no grant is with zz for share and this purpose",
        "class state=assessed, media_kind=image|video",
    ] {
        ensure!(said.out.contains(part), "{part}: {said:?}");
    }
    Ok(())
}

#[test]
fn a_question_that_cannot_be_put_says_what_is_missing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    three(folder.path())?;
    let refused = |more: &[&str], parts: &[&str]| -> Result<()> {
        explain(folder.path(), more)?.refuses(2, parts).map(drop)
    };
    let base = ["--class", PICTURES, "--from", "ca"];
    let with = |more: &[&'static str]| [&base[..], more].concat();
    refused(&with(&["--to", "au"]), &["centre au", "--policy au=DIR"])?;
    refused(
        &with(&["--to", "au", "--centre", "au=AU", "--purpose", "triage"]),
        &["admit is au's to decide", "--policy au=DIR"],
    )?;
    refused(
        &with(&["--to", "au", "--centre", "au=AU", "--action", "share"]),
        &["--purpose is needed"],
    )?;
    refused(
        &with(&["--to", "member:acme:US:hosting", "--action", "share"]),
        &["share is between centres"],
    )?;
    refused(
        &with(&["--to", "us", "--action", "publish"]),
        &["publish is for members"],
    )?;
    // What clap refuses has no JSON.
    for (more, part) in [
        (&["--action", "sell"][..], "share, reshare, admit"),
        (&["--class", "tlp=GREEN"], "tlp=GREEN: expected RED"),
        (&["--policy", "ca"], "expected CENTRE=VALUE"),
    ] {
        let said = explain(
            folder.path(),
            &[&["--from", "ca", "--to", "us"], more].concat(),
        )?;
        ensure!(said.code == 2 && said.err.contains(part), "{said:?}");
    }
    Ok(())
}

#[test]
fn terms_of_matching_stand_beside_the_dates_of_their_grant() -> Result<()> {
    let profiles = Path::new(env!("CARGO_MANIFEST_DIR")).join("../profiles/us");
    let policy = format!("us={}", text(&profiles));
    let mut ask = vec!["policy", "explain", "--policy", &policy, "--from", "us"];
    ask.extend(["--to", "member:acme:US:hosting", "--action", "match"]);
    ask.extend(["--purpose", "detect", "--at", DAY, "--class", PICTURES]);
    let answer = hashpact(ask)?.ends(1)?;
    let grants = &answer["steps"][0]["grants"];
    let expected = json!({ "modes": ["items", "count"], "per_day": 1_000_000 });
    ensure!(grants[0]["match"] == expected, "{answer}");
    Ok(())
}
