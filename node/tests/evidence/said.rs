//! Attestations, disputes, feedback, and their answers.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::common::{Node, text};
use crate::{all_say, looked_up, three};

/// What waits for an answer at a node.
fn waiting(node: &Node) -> Result<Vec<Value>> {
    let answer = node.run(&["feedback", "list"])?.ends(0)?;
    answer["cases"].as_array().cloned().context("no `cases`")
}

fn disputed(by: &[&str], state: &str) -> impl Fn(&Value) -> bool {
    let (by, state) = (json!(by), json!(state));
    move |entry| entry["disputed"]["by"] == by && entry["effective_state"] == state
}

#[test]
fn a_dispute_made_at_one_centre_marks_the_entry_at_every_holder_until_it_is_withdrawn() -> Result<()>
{
    let folder = tempfile::tempdir()?;
    let ([eu, us, ca], list) = three(folder.path())?;
    let sha = list.sha256(0);
    let entry = us.entry(&sha)?;
    let dispute = ["dispute", entry.as_str(), "--field", "age", "--reason"];
    let with = |reason: &'static str| [&dispute[..], &[reason]].concat();
    us.run(&with("tired"))?
        .refuses(2, &["no such reason", "not_csam"])?;
    us.run(&with("superseded"))?
        .refuses(2, &["of retractions alone"])?;
    eu.run(&with("adult"))?.refuses(1, &["this centre's own"])?;
    let made = us.run(&with("adult"))?.ends(0)?;
    all_say(
        "us contests it",
        &[&eu, &us, &ca],
        &sha,
        disputed(&["us"], "assessed"),
    )?;

    // One centre alone makes nothing disputed; two of two countries do.
    ca.run(&with("collision"))?.ends(0)?;
    let both = disputed(&["ca", "us"], "disputed");
    all_say("us and ca contest it", &[&eu, &us, &ca], &sha, both)?;
    let cases = waiting(&eu)?;
    ensure!(
        cases.len() == 2 && eu.status()?.open.disputes == 2,
        "{cases:?}"
    );
    ensure!(waiting(&us)?.is_empty(), "us is not the origin");

    // The answer is the origin's word, and settles no dispute.
    let of_us = made["dispute"].as_str().context("no hash")?;
    us.run(&["feedback", "answer", of_us, "declined"])?
        .refuses(1, &["about an entry of this centre"])?;
    eu.run(&["feedback", "answer", of_us, "declined"])?
        .ends(0)?;
    ensure!(waiting(&eu)?.len() == 1 && eu.status()?.open.disputes == 1);
    ensure!(disputed(&["ca", "us"], "disputed")(&looked_up(&eu, &sha)?));

    us.run(&["dispute", "withdraw", &entry])?.ends(0)?;
    let one = disputed(&["ca"], "assessed");
    all_say("ca alone contests it", &[&eu, &us, &ca], &sha, one)?;
    us.run(&["dispute", "withdraw", &entry])?
        .refuses(1, &["no such dispute"])?;
    let shown = eu.read(&["lookup", &format!("sha256:{sha}")])?;
    ensure!(
        shown.out.contains("DISPUTED by ca: 1 centre in 1 country"),
        "{shown:?}"
    );
    Ok(())
}

#[test]
fn assessors_of_two_centres_are_a_quorum_at_every_holder() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let ([eu, us, ca], list) = three(folder.path())?;
    let all: Vec<String> = (0..list.rows)
        .map(|row| us.entry(&list.sha256(row)))
        .collect::<Result<_>>()?;
    let ids = text(&folder.path().join("ids.txt"));
    std::fs::write(&ids, all.join("\n"))?;
    let attest = |node: &Node, person: &str| -> Result<Value> {
        let person = text(&folder.path().join(person));
        node.run(&["attest", "--new-assessor", &person])?.ends(0)?;
        let args = [
            "attest",
            "--list",
            &ids,
            "--assessor",
            &person,
            "--basis",
            "viewed",
        ];
        node.run(&args)?.refuses(2, &["nothing is attested"])?;
        let stated = [&args[..], &["--depiction", "real", "--age", "0-6,7-10"]].concat();
        let done = node.run(&stated)?.ends(0)?;
        // The same again is what it was.
        ensure!(node.run(&stated)?.ends(0)? == done);
        Ok(done)
    };
    let done = attest(&us, "alice.id")?;
    ensure!(done["attested"] == json!(4), "{done}");
    let counts = |assessors: u64, quorum: bool| {
        let attested =
            json!({ "assessors": assessors, "centres": assessors, "countries": assessors });
        move |entry: &Value| entry["attested"] == attested && entry["quorum"] == json!(quorum)
    };
    let sha = list.sha256(3);
    all_say("one attests", &[&eu, &us, &ca], &sha, counts(1, false))?;
    attest(&ca, "bob.id")?;
    all_say("two attest", &[&eu, &us, &ca], &sha, counts(2, true))?;
    let nobody = [
        "attest",
        &all[0],
        "--basis",
        "viewed",
        "--minor-certain",
        "yes",
    ];
    us.run(&nobody)?.refuses(2, &["names one"])?;
    let unknown = "0".repeat(32);
    let unknown = [
        "attest",
        &unknown,
        "--basis",
        "legacy_import",
        "--minor-certain",
        "yes",
    ];
    us.run(&unknown)?
        .refuses(1, &["no record with this id is here"])?;
    Ok(())
}

#[test]
fn feedback_of_a_member_reaches_the_origin_is_answered_and_counted() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let ([eu, us, ca], list) = three(folder.path())?;
    let sha = list.sha256(1);
    let entry = us.entry(&sha)?;
    let give = |vote: &[&'static str]| {
        let args = ["feedback", "give", &entry, "--member", "acme", "--vote"];
        us.run(&[&args[..], vote].concat())
    };
    give(&["affirmative"])?.refuses(1, &["no member"])?;
    us.run(&[
        "member",
        "add",
        "acme",
        "--jurisdiction",
        "US",
        "--sector",
        "hosting",
    ])?
    .ends(0)?;
    give(&["negative"])?.refuses(2, &["has a reason"])?;
    give(&["negative", "--reason", "not_csam", "--algorithm", "sha256"])?.ends(0)?;
    let counts = |yes: u64, no: u64| {
        let feedback = json!({ "affirmative": yes, "negative": no });
        move |entry: &Value| entry["feedback"] == feedback
    };
    all_say("one says no", &[&eu], &sha, counts(0, 1))?;
    ensure!(counts(0, 0)(&looked_up(&ca, &sha)?), "it is for the origin");
    let cases = waiting(&eu)?;
    ensure!(
        cases.len() == 1 && cases[0]["by"] == json!("us"),
        "{cases:?}"
    );
    ensure!(
        !cases[0].to_string().contains("acme"),
        "a name left its centre"
    );
    ensure!(eu.status()?.open.feedback == 1);

    let hash = cases[0]["hash"].as_str().context("no hash")?;
    eu.run(&[
        "feedback",
        "answer",
        hash,
        "declined",
        "--reason",
        "age_undetermined",
    ])?
    .ends(0)?;
    ensure!(waiting(&eu)?.is_empty() && eu.status()?.open.feedback == 0);
    report(&eu, &us, folder.path())
}

/// An auditor with both centres' openings counts the vote and its answer.
fn report(eu: &Node, us: &Node, folder: &std::path::Path) -> Result<()> {
    for node in [eu, us] {
        node.is_witnessed()?;
        let out = text(&folder.join(format!("{}.openings", node.id)));
        node.run(&["audit", "export-openings", "--out", &out])?
            .ends(0)?;
    }
    let path = |name: &str| text(&folder.join(name));
    let logs = text(&eu.home.data().join("logs"));
    let network = eu.status()?.network;
    let (json_file, page) = (path("result.json"), path("report.html"));
    crate::common::until("the mirror of us is whole at eu", || {
        let there = us.status()?.own;
        Ok((eu.mirrored("us")?.witnessed == there.size).then_some(()))
    })?;
    let (a, b) = (path("eu.openings"), path("us.openings"));
    let args = [
        "audit",
        "report",
        &logs,
        "--pin",
        &network,
        "--json-file",
        &json_file,
        "--html",
        &page,
        "--openings",
        &a,
        &b,
    ];
    eu.run(&args)?.ends(0)?;
    let result: Value = serde_json::from_str(&std::fs::read_to_string(&json_file)?)?;
    let voices = result["voices"].as_array().context("no `voices`")?;
    let of = |centre: &str| {
        let mut rows = voices.iter();
        rows.find(|row| row["centre"] == json!(centre))
            .context("no row")
    };
    ensure!(of("us")?["feedback_negative"] == json!(1), "{voices:?}");
    ensure!(of("us")?["feedback_answered"] == json!(1), "{voices:?}");
    ensure!(of("eu")?["declined"] == json!(1), "{voices:?}");
    let page = std::fs::read_to_string(&page)?;
    ensure!(page.contains("id=\"voices\""), "no section");
    Ok(())
}
