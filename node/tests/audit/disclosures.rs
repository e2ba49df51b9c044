//! Disclosures in copies on the disk: verified with what opens them, by the library and by the command.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use hashpact_node::audit::report;
use hashpact_node::audit::verify::{VerifyOptions, verify};
use hashpact_protocol::audit::Bundle;
use hashpact_protocol::testing::disclosed::{Disclosed, after};
use hashpact_protocol::testing::documents::ALL;

use crate::common::said::program;
use crate::common::{Network, Node, Over, hashpact, text};
use crate::{options, put};

/// eu gives to us and us passes on to ca; with `rule` as a further policy of us.
fn written(
    rule: Option<(&'static str, &'static str)>,
) -> Result<(tempfile::TempDir, Disclosed, Vec<PathBuf>)> {
    let mut network = Disclosed::begun(|n| {
        let mut rules = vec![("all", ALL)];
        rules.extend(rule.filter(|_| n == 1));
        (String::new(), rules)
    });
    let first = network.give(&network.statement(0, 1, after(2_000)));
    let mut on = network.statement(1, 2, after(3_000));
    on.parents = vec![hashpact_protocol::transfer::Statement::hash(&first)];
    network.give(&on);
    let dir = tempfile::tempdir()?;
    let mut files = Vec::new();
    for (n, log) in network.logs.iter().enumerate() {
        for (path, bytes) in log.folder() {
            put(&dir.path().join("logs").join(path), &bytes)?;
        }
        let file = dir.path().join(format!("{n}.openings"));
        put(&file, &network.bundles[n].to_bytes())?;
        files.push(file);
    }
    Ok((dir, network, files))
}

fn with(network: &Disclosed, openings: Vec<PathBuf>) -> Result<VerifyOptions> {
    Ok(VerifyOptions {
        openings,
        now: network.now,
        ..options(&network.logs[0], None, 2)?
    })
}

#[test]
fn disclosures_in_a_copy_are_judged_and_told_by_giver_taker_and_class() -> Result<()> {
    let (dir, network, files) = written(None)?;
    let logs = dir.path().join("logs");
    let closed = verify(&logs, &with(&network, Vec::new())?, &|| ())?;
    ensure!(closed.holds && closed.disclosures.is_none(), "{closed:?}");
    let result = verify(&logs, &with(&network, files)?, &|| ())?;
    ensure!(
        result.holds && result.findings.is_empty(),
        "{:?}",
        result.findings
    );
    let given = result.disclosures.as_ref().context("no disclosures")?;
    let rows: Vec<_> = given
        .given
        .iter()
        .map(|row| (&row.from[..], &row.to[..], row.class, row.records, row.hops))
        .collect();
    ensure!(
        rows == [("eu", "us", 0, 3, 0), ("us", "ca", 0, 3, 1)],
        "{rows:?}"
    );
    let sealed: Vec<_> = result.logs.iter().map(|log| log.sealed.opened).collect();
    // au, ca, eu, us
    ensure!(sealed == [0, 1, 1, 2], "{sealed:?}");
    let policies = result.logs.iter().map(|log| log.policies.len());
    ensure!(policies.eq([1; 4]));
    // What is told holds no salt and no hash of a statement.
    let told = report::json(&result)?;
    for bundle in &network.bundles {
        for opened in &bundle.opened {
            ensure!(!told.contains(&hex::encode(opened.salt)));
        }
    }
    ensure!(report::read_json(told.as_bytes())? == result);
    Ok(())
}

#[test]
fn a_relay_that_passed_on_what_its_policy_forbids_fails_the_command() -> Result<()> {
    let not_on = "forbid (principal, action == Action::\"reshare\", resource);";
    let (dir, network, files) = written(Some(("not-on", not_on)))?;
    let logs = dir.path().join("logs");
    let (pin, at) = (network.bundles[0].network.to_string(), network.now.get());
    let (logs, at) = (text(&logs), at.to_string());
    let run = |openings: &[PathBuf]| {
        let mut args = vec!["audit", "verify", &logs, "--pin", &pin, "--at", &at];
        let openings: Vec<_> = openings.iter().map(|file| text(file)).collect();
        if !openings.is_empty() {
            args.push("--openings");
            args.extend(openings.iter().map(String::as_str));
        }
        hashpact(args)
    };
    let said = run(&files)?.ends(1)?;
    let findings = said["findings"].as_array().context("no findings")?;
    ensure!(findings.len() == 1, "{findings:?}");
    let finding = &findings[0];
    ensure!(
        finding["log"] == "us.example/us/1" && finding["leaf"] == 4,
        "{finding}"
    );
    ensure!(finding["kind"] == "not-allowed", "{finding}");
    let words = finding["text"].as_str().context("no text")?;
    for part in [
        "class 0 was disclosed, and us did not allow to reshare",
        "policy at leaf 2, not-on",
    ] {
        ensure!(words.contains(part), "{words}");
    }
    // Sealed, nobody can tell.
    run(&[])?.ends(0)?;
    // A file that is not there is wrong input.
    run(&[dir.path().join("absent")])?.refuses(2, &["absent"])?;
    Ok(())
}

/// Set `CEDAR` to the stock command line, and it is asked as well.
#[test]
fn every_decision_is_written_down_for_the_cedar_command_line() -> Result<()> {
    let not_on = "forbid (principal, action == Action::\"reshare\", resource);";
    let (dir, network, files) = written(Some(("not-on", not_on)))?;
    let questions = dir.path().join("questions");
    let options = VerifyOptions {
        cedar: Some(questions.clone()),
        ..with(&network, files)?
    };
    let result = verify(&dir.path().join("logs"), &options, &|| ())?;
    let given = result.disclosures.context("no disclosures")?;
    ensure!(given.questions == Some(5), "{given:?}");
    let script = std::fs::read_to_string(questions.join("replay"))?;
    let asked: Vec<_> = script
        .lines()
        .filter_map(|line| line.strip_prefix("ask "))
        .collect();
    let expected = [
        "eu.example_eu_1-4/0-eu.example_eu_1-2-share eu.example_eu_1-2 ALLOW \"all\"",
        "eu.example_eu_1-4/0-us.example_us_1-2-admit us.example_us_1-2 ALLOW \"all\"",
        "us.example_us_1-4/0-eu.example_eu_1-2-share eu.example_eu_1-2 ALLOW \"all\"",
        "us.example_us_1-4/0-us.example_us_1-2-reshare us.example_us_1-2 DENY \"not-on\"",
        "us.example_us_1-4/0-ca.example_ca_1-2-admit ca.example_ca_1-2 ALLOW \"all\"",
    ];
    let sorted = |mut lines: Vec<&str>| {
        lines.sort_unstable();
        lines.join("\n")
    };
    ensure!(sorted(asked) == sorted(expected.to_vec()), "{script}");
    for line in expected {
        let name = line.split(' ').next().context("a name")?;
        for kind in ["entities", "request"] {
            let text = std::fs::read_to_string(questions.join(format!("{name}.{kind}.json")))?;
            serde_json::from_str::<serde_json::Value>(&text)?;
        }
    }
    let policies = std::fs::read_to_string(questions.join("policies/us.example_us_1-2.cedar"))?;
    ensure!(policies.contains(not_on), "{policies}");
    if std::env::var_os("CEDAR").is_some() {
        let said = program(&mut Command::new(questions.join("replay")))?;
        ensure!(said.code == 0 && said.out.lines().count() == 5, "{said:?}");
    }
    Ok(())
}

#[test]
fn openings_are_exported_from_a_node_that_runs_and_from_one_that_does_not() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut node = Node::init(folder.path(), "eu", Over::Tcp)?;
    let network = Network::found(folder.path(), &[&node])?;
    node.start()?;
    let file = |name: &str| text(&folder.path().join(name));
    let (running, stopped) = (file("running"), file("stopped"));
    let said = node
        .run(&["audit", "export-openings", "--out", &running])?
        .ends(0)?;
    ensure!(
        said["origin"] == "eu.example/eu/1" && said["opened"] == 0,
        "{said}"
    );
    // What is there is not written over.
    node.run(&["audit", "export-openings", "--out", &running])?
        .refuses(2, &["running"])?;
    node.stop()?;
    node.run(&["audit", "export-openings", "--out", &stopped])?
        .ends(0)?;
    let (a, b) = (std::fs::read(&running)?, std::fs::read(&stopped)?);
    ensure!(a == b, "the same log, the same openings");
    let mode = std::fs::metadata(&running)?.permissions().mode();
    ensure!(mode & 0o077 == 0, "others could read it: {mode:o}");
    let bundle = Bundle::from_bytes(&a)?;
    ensure!(bundle.network.to_string() == network.pin, "{bundle:?}");
    Ok(())
}
