//! Faults with their places, and what a profile says of itself.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use crate::common::{hashpact, text};
use crate::{DAY, POLICIES, profile};

#[test]
fn a_typo_is_told_with_file_line_and_column() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let typo = POLICIES.replace("media_kind", "media_kin");
    profile(folder.path(), "ca", "CA", "US", &typo)?;
    let place = text(&folder.path().join("ca"));
    let answer = hashpact(["policy", "check", &place])?.ends(1)?;
    ensure!(answer["ok"] == json!(false), "{answer}");
    let fault = &answer["profiles"][0]["faults"][0];
    let line = 1 + POLICIES
        .lines()
        .position(|line| line.contains("media_kind"))
        .context("the line")?;
    ensure!(fault["file"] == json!("rules.cedar"), "{answer}");
    ensure!(fault["line"] == json!(line), "{answer}");
    ensure!(
        fault["column"].as_u64() > Some(1),
        "not the policy but the place in it: {answer}"
    );
    let message = fault["message"].as_str().context("a message")?;
    ensure!(
        message.contains("media_kin") && message.contains("media_kind"),
        "{message}"
    );

    // A person reads the path that opens the file, and what follows from the fault.
    let said = read(&["policy", "check", &place])?;
    ensure!(said.code == 1, "{said:?}");
    let begins = format!("{place}/rules.cedar:{line}:{}: ", fault["column"]);
    ensure!(said.out.starts_with(&begins), "{said:?}");
    ensure!(
        said.out
            .contains("1 fault; a document with a fault is not signed"),
        "{said:?}"
    );
    Ok(())
}

fn read(args: &[&str]) -> Result<crate::common::Said> {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_hashpact"));
    crate::common::Said::of(command.args(args).output()?)
}

#[test]
fn every_fault_of_every_profile_is_told_at_once() -> Result<()> {
    let folder = tempfile::tempdir()?;
    profile(folder.path(), "ca", "CA", "US", "permit (principal);\n")?;
    profile(folder.path(), "us", "US", "CA", POLICIES)?;
    let nz = POLICIES.replace("@basis(\"a synthetic treaty\")\n", "");
    profile(folder.path(), "nz", "NZ", "CA", &nz)?;
    let facts = folder.path().join("nz/profile.toml");
    let broken = fs::read_to_string(&facts)?.replace("\"triage\",", "\"traige\",");
    fs::write(&facts, broken)?;
    let answer = hashpact(["policy", "check", &text(folder.path())])?.ends(1)?;
    let ok: Vec<_> = (0..3).map(|n| &answer["profiles"][n]["ok"]).collect();
    ensure!(
        ok == [&json!(false), &json!(false), &json!(true)],
        "{answer}"
    );
    let places: Vec<_> = (0..2)
        .map(|n| {
            let fault = &answer["profiles"][1]["faults"][n];
            (fault["file"].clone(), fault["line"].clone())
        })
        .collect();
    let expected = [
        (json!("profile.toml"), json!(11)),
        (json!("rules.cedar"), json!(3)),
    ];
    ensure!(places == expected, "{answer}");
    Ok(())
}

#[test]
fn what_counsel_must_confirm_and_what_ends_soon_is_told() -> Result<()> {
    let folder = tempfile::tempdir()?;
    profile(folder.path(), "ca", "CA", "US", POLICIES)?;
    let file = text(&folder.path().join("ca/rules.cedar"));
    let answer = hashpact(["policy", "check", &file, "--at", DAY])?.ends(0)?;
    let profile = &answer["profiles"][0]["profile"];
    ensure!(
        profile["name"] == json!("ca") && profile["policies"] == json!(2),
        "{answer}"
    );
    ensure!(
        profile["confirm"][0]["id"] == json!("with-basis"),
        "{answer}"
    );
    ensure!(
        profile["confirm"][0]["at"] == json!("rules.cedar:3"),
        "{answer}"
    );
    ensure!(profile["confirm"][1].is_null(), "{answer}");
    let grant = &profile["grants"][0];
    // 2026-12-31, a day before the end that is written, and 39 days from then.
    ensure!(grant["state"] == json!("ends_soon"), "{answer}");
    ensure!(grant["closes"] == json!("2026-12-31"), "{answer}");
    ensure!(grant["days_left"] == json!(39), "{answer}");
    for (at, state) in [
        ("2026-01-01", "ahead"),
        ("2026-06-01", "open"),
        ("2026-12-31", "ended"),
    ] {
        let answer = hashpact(["policy", "check", &file, "--at", at])?.ends(0)?;
        let grant = &answer["profiles"][0]["profile"]["grants"][0];
        ensure!(grant["state"] == json!(state), "{at}: {grant}");
    }
    Ok(())
}

#[test]
fn a_place_without_a_profile_is_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let empty = text(folder.path());
    hashpact(["policy", "check", &empty])?.refuses(2, &[&empty, "holds no profile"])?;
    let other = text(&folder.path().join("notes.txt"));
    fs::write(&other, "no document\n")?;
    hashpact(["policy", "check", &other])?.refuses(2, &[&other, "nor a policy document"])?;
    let missing = text(&folder.path().join("missing"));
    hashpact(["policy", "check", &missing])?.refuses(2, &[&missing])?;
    Ok(())
}

/// 10 MB where 56 KiB are allowed: read no further than needed to refuse it.
#[test]
fn a_profile_of_ten_megabytes_is_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    profile(folder.path(), "ca", "CA", "US", &" ".repeat(10 << 20))?;
    let answer = hashpact(["policy", "check", &text(folder.path())])?.ends(1)?;
    let message = answer["profiles"][0]["faults"][0]["message"].as_str();
    let message = message.context("a message")?;
    ensure!(message.contains("at most 57344 bytes"), "{message}");
    Ok(())
}
