//! A node's own keys: sealed, listed, renewed, and never found in plain where they are sealed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use hashpact_keys::KeyUse;
use hashpact_keys::enrolment::Enrolment;
use hashpact_node::armor::Kind;
use hashpact_node::config::Config;
use hashpact_node::home::{CREDENTIAL, NODE_KEYS, PassphraseSource};
use serde_json::{Value, json};

use crate::common::{List, Network, Node, Over, Said, text, until};
use crate::one;

const RIGHT: &str = "correct horse battery";

/// A file whose first line is a passphrase.
fn passphrase(folder: &Path, name: &str, line: &str) -> Result<String> {
    let path = folder.join(name);
    fs::write(&path, format!("{line}\n"))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    Ok(text(&path))
}

/// A home whose keys were never plain, and its passphrase file.
fn sealed(folder: &Path) -> Result<(Node, String)> {
    // A plain home gives way to it: only its place and its free port are wanted.
    let node = Node::init(folder, "eu", Over::Tcp)?;
    let listen = Config::read(&node.home.config())?.listen[0].to_string();
    fs::remove_dir_all(node.home.path())?;
    let file = passphrase(folder, "passphrase", RIGHT)?;
    init_sealed(&node, &listen, &file)?.ends(0)?;
    Ok((node, file))
}

fn init_sealed(node: &Node, listen: &str, file: &str) -> Result<Said> {
    let args = ["init", "--centre", "eu", "--jurisdiction", "EU"];
    let more = ["--domain", "eu.example", "--listen", listen, "--seal"];
    node.run(&[&args[..], &more, &["--passphrase-file", file]].concat())
}

/// Puts this centre alone on a roster that is in force.
fn found(folder: &Path, node: &Node, file: &str, more: &[&str]) -> Result<Network> {
    let network = Network::sign(folder, &[node], more)?;
    let (roster, pin) = (text(&network.rosters[0]), &network.pin);
    let args = ["roster", "apply", &roster, "--pin", pin];
    node.run(&[&args[..], &["--passphrase-file", file]].concat())?
        .ends(0)?;
    Ok(network)
}

/// Starts a sealed node and waits until it answers.
fn start(node: &mut Node, file: &str) -> Result<()> {
    node.spawn(&["--log", "info", "--passphrase-file", file])?;
    until("the node answers", || {
        if let Some(status) = node.ended()? {
            bail!("ended with {status}:\n{}", node.log()?);
        }
        Ok(node.status().ok())
    })?;
    Ok(())
}

/// Every file below a folder, but for sockets.
fn files(folder: &Path, into: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            files(&entry.path(), into)?;
        } else if kind.is_file() {
            into.push(entry.path());
        }
    }
    Ok(())
}

/// Fails if a file of the home holds one of these secrets, as bytes or as digits.
fn holds_none_of(home: &Path, secrets: &[Vec<u8>]) -> Result<()> {
    let mut all = Vec::new();
    files(home, &mut all)?;
    ensure!(all.len() > 4, "too few files for a home: {all:?}");
    let has = |bytes: &[u8], part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
    for file in all {
        let bytes = fs::read(&file)?;
        for secret in secrets {
            let digits = hex::encode(secret);
            ensure!(
                !has(&bytes, secret)
                    && !has(&bytes, digits.as_bytes())
                    && !has(&bytes, digits.to_uppercase().as_bytes()),
                "{} holds a secret",
                file.display()
            );
        }
        ensure!(
            !has(&bytes, RIGHT.as_bytes()),
            "{} holds the passphrase",
            file.display()
        );
    }
    Ok(())
}

/// The secrets in the plain key files of a home.
fn plain_secrets(home: &Path) -> Result<Vec<Vec<u8>>> {
    let mut paths = Vec::new();
    files(&home.join("keys"), &mut paths)?;
    let secret = |path: &PathBuf| -> Result<Vec<u8>> {
        let text = fs::read_to_string(path)?;
        let digits = text.trim_end().rsplit(' ').next().context("no digits")?;
        Ok(hex::decode(digits)?)
    };
    let secrets: Vec<_> = paths.iter().map(secret).collect::<Result<_>>()?;
    ensure!(secrets.len() == NODE_KEYS.len() + 1, "{paths:?}");
    Ok(secrets)
}

/// The public keys by use, in the order that they are listed in.
fn listed(node: &Node, file: &str) -> Result<Vec<(String, String)>> {
    let answer = node
        .run(&["key", "list", "--passphrase-file", file])?
        .ends(0)?;
    let keys = answer["keys"].as_array().context("no `keys`")?;
    let word = |row: &Value, key: &str| Some(row[key].as_str()?.to_owned());
    keys.iter()
        .map(|row| Some((word(row, "use")?, word(row, "public")?)))
        .collect::<Option<_>>()
        .with_context(|| format!("{answer}"))
}

#[test]
fn home_sealed_from_the_first_runs_without_a_demo_flag_and_holds_no_plain_secret() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (mut node, file) = sealed(folder.path())?;
    let home = node.home.path().to_owned();
    ensure!(
        !home.join("keys").exists(),
        "there is a folder of plain keys"
    );
    let mode = fs::metadata(node.home.sealed_keys())?.permissions().mode();
    ensure!(mode & 0o7777 == 0o600, "{mode:o}");
    found(folder.path(), &node, &file, &[])?;
    start(&mut node, &file)?;
    ensure!(!node.status()?.demo, "this was to be no demonstration");
    ensure!(node.log()?.contains("keys unsealed"), "{}", node.log()?);
    node.stop()?;
    let keys = node.home.unlock(&PassphraseSource::file(file.into()))?;
    ensure!(keys.is_sealed());
    let node_seed = keys.node_seed()?.to_vec();
    holds_none_of(&home, &[node_seed])
}

#[test]
fn run_without_the_right_passphrase_says_what_to_do() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (node, file) = sealed(folder.path())?;
    found(folder.path(), &node, &file, &["--demo"])?;
    let ways = ["--passphrase-file", CREDENTIAL, "terminal"];
    node.run(&["run"])?.refuses(2, &ways)?;
    node.run(&["key", "list"])?.refuses(2, &ways)?;
    node.run(&["enrol"])?.refuses(2, &ways)?;

    let wrong = passphrase(folder.path(), "wrong", "correct horse batterx")?;
    let said = node.run(&["run", "--passphrase-file", &wrong])?;
    said.refuses(2, &["keys.sealed", "wrong passphrase or damaged file"])?;
    fs::set_permissions(&wrong, fs::Permissions::from_mode(0o640))?;
    node.run(&["run", "--passphrase-file", &wrong])?
        .refuses(2, &[&wrong, "640", "must be 600"])?;
    let none = text(&folder.path().join("none"));
    node.run(&["run", "--passphrase-file", &none])?
        .refuses(2, &[&none])?;

    let keys = node.home.sealed_keys();
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o644))?;
    node.run(&["run", "--passphrase-file", &file])?
        .refuses(3, &[&text(&keys), "644"])?;
    Ok(())
}

#[test]
fn service_finds_its_passphrase_in_its_credentials_or_its_environment() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (node, file) = sealed(folder.path())?;
    let credentials = folder.path().join("credentials");
    fs::create_dir(&credentials)?;
    passphrase(&credentials, CREDENTIAL, RIGHT)?;
    for (name, value) in [
        ("CREDENTIALS_DIRECTORY", text(&credentials)),
        ("HASHPACT_PASSPHRASE_FILE", file),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hashpact"));
        command.args(["--json", "key", "list", "--home"]);
        let output = command.arg(node.home.path()).env(name, value).output()?;
        let answer = Said::of(output)?.ends(0)?;
        ensure!(answer["sealed"] == json!(true), "{name}: {answer}");
    }
    Ok(())
}

#[test]
fn network_that_is_no_demonstration_runs_once_the_keys_are_sealed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut node = Node::init(folder.path(), "eu", Over::Tcp)?;
    let file = passphrase(folder.path(), "passphrase", RIGHT)?;
    // Plain keys need no passphrase, and get none.
    found(folder.path(), &node, "/nowhere", &[])?;
    node.run(&["run"])?
        .refuses(1, &["plain files", "demo", "hashpact key seal"])?;
    let secrets = plain_secrets(node.home.path())?;
    let before = listed(&node, "/nowhere")?;
    let answer = node
        .run(&["key", "seal", "--passphrase-file", &file])?
        .ends(0)?;
    let keys = node.home.sealed_keys();
    ensure!(
        answer == json!({ "sealed": true, "file": keys }),
        "{answer}"
    );
    ensure!(!node.home.path().join("keys").exists());
    ensure!(listed(&node, &file)? == before, "other keys were sealed");
    start(&mut node, &file)?;
    let list = List::write(folder.path(), "list", 4)?;
    node.ingest(&list, &[])?.ends(0)?;
    node.stop()?;
    holds_none_of(node.home.path(), &secrets)?;
    node.run(&["key", "seal", "--passphrase-file", &file])?
        .refuses(1, &["sealed already"])?;
    Ok(())
}

#[test]
fn sealing_that_was_cut_short_is_finished_and_never_loses_another_key() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (node, _network) = one(folder.path())?;
    let file = passphrase(folder.path(), "passphrase", RIGHT)?;
    let copy = node.copy_to(&folder.path().join("copy"))?;
    let seal = ["key", "seal", "--passphrase-file", &file];
    node.run(&seal)?.ends(0)?;
    // As if it had ended before the last files were removed, one of them overwritten already.
    let keys = node.home.path().join("keys");
    fs::create_dir(&keys)?;
    for name in ["log.key", "storage.key"] {
        fs::copy(copy.home.path().join("keys").join(name), keys.join(name))?;
    }
    fs::write(keys.join("node.key"), [0; 81])?;
    let run = ["run", "--passphrase-file", &file];
    node.run(&run)?
        .refuses(1, &["log.key", "in plain beside", "hashpact key seal"])?;
    let wrong = passphrase(folder.path(), "wrong", "correct horse batterx")?;
    node.run(&["key", "seal", "--passphrase-file", &wrong])?
        .refuses(2, &["wrong passphrase"])?;
    ensure!(keys.join("log.key").exists(), "removed without a proof");
    node.run(&seal)?.ends(0)?;
    ensure!(!keys.exists(), "the plain keys stayed");

    fs::create_dir(&keys)?;
    let other = Node::init(&folder.path().join("other"), "eu", Over::Tcp)?;
    for name in ["log.key", "storage.key"] {
        let from = other.home.path().join("keys").join(name);
        fs::copy(&from, keys.join(name))?;
        node.run(&seal)?.refuses(1, &[name, "another key"])?;
        ensure!(fs::read(keys.join(name))? == fs::read(&from)?, "{name}");
        fs::remove_file(keys.join(name))?;
    }
    Ok(())
}

#[test]
fn passphrase_is_changed_and_the_old_one_opens_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (node, old) = sealed(folder.path())?;
    let before = listed(&node, &old)?;
    let short = passphrase(folder.path(), "short", "elevenchars")?;
    let change = |new: &str| {
        let args = ["key", "passphrase", "--passphrase-file", &old];
        node.run(&[&args[..], &["--new-passphrase-file", new]].concat())
    };
    let sealed = fs::read(node.home.sealed_keys())?;
    change(&short)?.refuses(2, &["at least 12 characters"])?;
    ensure!(fs::read(node.home.sealed_keys())? == sealed);
    node.run(&["key", "passphrase", "--passphrase-file", &old])?
        .refuses(2, &["--new-passphrase-file"])?;
    let new = passphrase(folder.path(), "new", "another horse battery")?;
    change(&new)?.ends(0)?;
    ensure!(listed(&node, &new)? == before, "the keys changed");
    node.run(&["key", "list", "--passphrase-file", &old])?
        .refuses(2, &["wrong passphrase"])?;
    Ok(())
}

#[test]
fn refused_passphrase_leaves_no_home() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let node = Node::init(folder.path(), "eu", Over::Tcp)?;
    fs::remove_dir_all(node.home.path())?;
    let listen = "/ip4/127.0.0.1/tcp/1";
    let short = passphrase(folder.path(), "short", "elevenchars")?;
    init_sealed(&node, listen, &short)?.refuses(2, &["at least 12 characters"])?;
    let empty = passphrase(folder.path(), "empty", "")?;
    init_sealed(&node, listen, &empty)?.refuses(2, &[&empty, "empty"])?;
    ensure!(!node.home.path().exists(), "a refused init left a home");
    Ok(())
}

#[test]
fn renewed_keys_sign_once_a_roster_holds_them() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (mut node, file) = sealed(folder.path())?;
    let mut network = found(folder.path(), &node, &file, &["--demo"])?;
    let before = listed(&node, &file)?;
    for (use_, part) in [("node", "not renewed"), ("root", "not renewed")] {
        node.run(&["key", "renew", use_, "--passphrase-file", &file])?
            .refuses(2, &[use_, part])?;
    }
    ensure!(listed(&node, &file)? == before, "a refused renewal renewed");
    let renew = ["key", "renew", "delta", "log", "--passphrase-file", &file];
    let answer = node.run(&renew)?.ends(0)?;
    let after = listed(&node, &file)?;
    for (old, new) in before.iter().zip(&after) {
        let renewed = ["delta", "log"].contains(&old.0.as_str());
        ensure!(
            old.0 == new.0 && (old.1 != new.1) == renewed,
            "{old:?} {new:?}"
        );
    }
    let named = answer["renewed"].as_array().context("no `renewed`")?;
    ensure!(
        named.len() == 2 && named[0]["public"] == json!(after[0].1),
        "{answer}"
    );
    let armor = fs::read_to_string(node.home.enrolment())?;
    let enrolment = Enrolment::open(&Kind::Enrolment.unwrap(&armor)?)?;
    let enrolled = enrolment.keys.iter().find(|key| key.0 == KeyUse::Delta);
    ensure!(enrolled.context("no delta key")?.1.to_string() == after[0].1);

    start(&mut node, &file)?;
    let list = List::write(folder.path(), "list", 4)?;
    node.ingest(&list, &[])?
        .refuses(1, &["not on the roster"])?;
    let next = network.next(&[&node])?;
    node.run(&["roster", "apply", &next])?.ends(0)?;
    node.ingest(&list, &[])?.ends(0)?;
    node.stop()
}

#[test]
fn keys_are_listed_as_a_table_and_plain_ones_are_not_renewed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (node, _network) = one(folder.path())?;
    let answer = node.run(&["key", "list"])?.ends(0)?;
    ensure!(answer["sealed"] == json!(false), "{answer}");
    let keys = answer["keys"].as_array().context("no `keys`")?;
    ensure!(keys.len() == NODE_KEYS.len(), "{answer}");
    let shown = node.read(&["key", "list"])?;
    ensure!(
        shown.code == 0 && shown.out.contains("hashpact key seal"),
        "{shown:?}"
    );
    for key in keys {
        for part in ["use", "public", "key_id"] {
            let word = key[part].as_str().context("not a text")?;
            ensure!(shown.out.contains(word), "{word} is not in {shown:?}");
        }
    }
    for secret in plain_secrets(node.home.path())? {
        ensure!(
            !shown.out.contains(&hex::encode(secret)),
            "a secret is shown"
        );
    }
    let before = fs::read(node.home.path().join("keys/delta.key"))?;
    node.run(&["key", "renew", "delta"])?
        .refuses(1, &["plain files", "hashpact key seal"])?;
    node.run(&["key", "passphrase"])?
        .refuses(1, &["plain files"])?;
    ensure!(fs::read(node.home.path().join("keys/delta.key"))? == before);
    Ok(())
}
