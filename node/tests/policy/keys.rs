//! The keys of the people who sign, and how they come to the roster without coming to the node.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use crate::common::{Network, Node, Over, Said, hashpact, text};

/// A passphrase in a file that only its owner may read.
fn passphrase(folder: &Path, name: &str) -> Result<String> {
    let file = folder.join(name);
    fs::write(&file, format!("correct horse of {name}\n"))?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
    Ok(text(&file))
}

#[test]
fn keys_of_two_people_reach_the_roster_and_never_the_node() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let eu = Node::init(folder.path(), "eu", Over::Tcp)?;
    let enrolment = text(&eu.home.enrolment());
    let mut public = Vec::new();
    let mut people = Vec::new();
    for name in ["alice", "bob"] {
        let (key, secret) = (
            text(&folder.path().join(name)),
            passphrase(folder.path(), &format!("{name}-secret"))?,
        );
        let made =
            hashpact(["--passphrase-file", &secret, "policy", "key", "new", &key])?.ends(0)?;
        ensure!(
            !fs::read_to_string(&key)
                .unwrap_or_default()
                .contains("hashpact-key-v1"),
            "plain"
        );
        ensure!(fs::metadata(&key)?.permissions().mode() & 0o777 == 0o600);
        public.push(made["public"].as_str().context("a key")?.to_owned());
        people.push((key, secret));
    }
    let sign = |person: usize| -> Result<Said> {
        let (key, secret) = &people[person];
        hashpact([
            "--passphrase-file",
            secret,
            "policy",
            "key",
            "enrol",
            &enrolment,
            "--key",
            key,
        ])
    };
    sign(0)?.refuses(2, &["does not list key"])?;
    let args = [
        "enrol",
        "--policy-key",
        &public[0],
        "--policy-key",
        &public[1],
    ];
    let answer = eu.run(&args)?.ends(0)?;
    ensure!(
        answer["missing"].as_array().map(Vec::len) == Some(2),
        "{answer}"
    );

    // Until both have signed, no roster takes it.
    let answer = sign(0)?.ends(0)?;
    ensure!(
        answer["missing"].as_array().map(Vec::len) == Some(1),
        "{answer}"
    );
    sign(0)?.refuses(1, &["has signed already"])?;
    ensure!(
        Network::sign(folder.path(), &[&eu], &["--demo"]).is_err(),
        "half an enrolment"
    );
    fs::remove_file(folder.path().join("root.key"))?;
    let answer = sign(1)?.ends(0)?;
    ensure!(answer["missing"] == json!([]), "{answer}");
    let network = Network::sign(folder.path(), &[&eu], &["--demo"])?;
    ensure!(network.rosters.len() == 1);

    // An enrolment that forgets them would end them: it says so.
    let said = eu.run(&["enrol"])?;
    said.ends(0)?;
    for key in &public {
        ensure!(
            said.err.contains(&format!("--policy-key {key}")),
            "{said:?}"
        );
    }
    Ok(())
}

#[test]
fn what_is_no_policy_key_is_refused_and_none_is_overwritten() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let eu = Node::init(folder.path(), "eu", Over::Tcp)?;
    let key = text(&folder.path().join("a.key"));
    let new = ["policy", "key", "new", "--plain", &key];
    let made = hashpact(new)?.ends(0)?;
    let before = fs::read(&key)?;
    hashpact(new)?.refuses(1, &[&key, "never overwritten"])?;
    ensure!(fs::read(&key)? == before);
    let shown = hashpact(["policy", "key", "show", &key])?.ends(0)?;
    ensure!(shown == made, "{shown}");
    // A key of the node's own is for another use.
    let log = text(&eu.home.path().join("keys/log.key"));
    hashpact(["policy", "key", "show", &log])?.refuses(2, &[&log, "not a policy key"])?;
    eu.run(&["enrol", "--policy-key", &log])?
        .refuses(2, &["not a policy key"])?;
    eu.run(&["enrol", "--policy-key", "nobody"])?
        .refuses(2, &["neither a file nor a public key"])?;
    // Sealing needs a passphrase, and without one nothing is left behind.
    let sealed = text(&folder.path().join("b.key"));
    hashpact(["policy", "key", "new", &sealed])?.refuses(2, &["--passphrase-file"])?;
    ensure!(!Path::new(&sealed).exists());
    Ok(())
}

#[test]
fn a_sealed_policy_key_opens_with_its_passphrase_only() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (right, wrong) = (
        passphrase(folder.path(), "right")?,
        passphrase(folder.path(), "wrong")?,
    );
    let key = text(&folder.path().join("alice"));
    let made = hashpact(["--passphrase-file", &right, "policy", "key", "new", &key])?.ends(0)?;
    let show =
        |secret: &str| hashpact(["--passphrase-file", secret, "policy", "key", "show", &key]);
    ensure!(show(&right)?.ends(0)? == made);
    show(&wrong)?.refuses(2, &["wrong passphrase"])?;
    hashpact(["--passphrase-file", &right, "policy", "key", "new", &key])?
        .refuses(1, &["never overwritten"])?;
    Ok(())
}
