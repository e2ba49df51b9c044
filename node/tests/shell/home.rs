//! Homes, keys, starting and stopping.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::common::{List, Network, Node, Over, Said, hashpact, text, until};
use crate::{one, running, summary};

fn mode(path: &Path) -> Result<u32> {
    Ok(fs::metadata(path)?.permissions().mode() & 0o7777)
}

#[test]
fn init_says_where_it_put_what_and_never_overwrites_a_home() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let node = Node::init(folder.path(), "eu", Over::Both)?;
    let key = node.home.path().join("keys/delta.key");
    let before = fs::read(&key)?;
    let args = [
        "init",
        "--centre",
        "eu",
        "--jurisdiction",
        "EU",
        "--domain",
        "eu.example",
    ];
    let listen = ["--listen", "/ip4/127.0.0.1/tcp/1"];
    let again = node.run(&[&args[..], &listen].concat())?;
    again.refuses(1, &["holds a node already"])?;
    ensure!(fs::read(&key)? == before, "the key was overwritten");

    let home = text(&folder.path().join("other"));
    let said = hashpact(["--home", &home].iter().chain(&args).chain(&listen))?;
    let json = said.ends(0)?;
    ensure!(
        json["centre"] == json!("eu") && json["origin"] == json!("eu.example/eu/1"),
        "{json}"
    );
    let enrolment = json["enrolment"].as_str().context("no `enrolment`")?;
    ensure!(Path::new(enrolment).is_file(), "{json}");

    let name = [
        "init",
        "--centre",
        "E U",
        "--jurisdiction",
        "EU",
        "--domain",
        "eu.example",
    ];
    let third = text(&folder.path().join("third"));
    let said = hashpact(["--home", &third].iter().chain(&name).chain(&listen))?;
    said.refuses(2, &["centre"])?;
    ensure!(!Path::new(&third).exists(), "a refused init left a home");
    Ok(())
}

#[test]
fn commands_for_a_running_node_say_so_if_none_runs() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (node, _network) = one(folder.path())?;
    let list = List::write(folder.path(), "list", 4)?;
    for args in [
        &["status"][..],
        &["lookup", "md5:00112233445566778899aabbccddeeff"],
    ] {
        node.run(args)?
            .refuses(3, &["no node runs in", "hashpact run"])?;
    }
    node.ingest(&list, &[])?.refuses(3, &["no node runs in"])?;
    let usage = node.run(&["frobnicate"])?;
    ensure!(
        usage.code == 2 && usage.out.is_empty() && usage.err.contains("frobnicate"),
        "{usage:?}"
    );
    let nowhere = folder.path().join("nowhere");
    hashpact(["--home", &text(&nowhere), "run"])?
        .refuses(2, &["holds no node", "hashpact init"])?;
    ensure!(!nowhere.exists(), "asking for a home made one");
    Ok(())
}

#[test]
fn second_process_on_a_home_is_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (mut node, network) = running(folder.path())?;
    node.run(&["run"])?
        .refuses(3, &["used by another process", &text(node.home.path())])?;
    ensure!(
        node.ended()?.is_none() && node.status().is_ok(),
        "the first one was disturbed"
    );
    // The running one is asked, so that the home has one writer; one that is only starting cannot be.
    let next = text(&network.rosters[0]);
    node.run(&["roster", "apply", &next])?.refuses(1, &[])?;
    node.stop()?;
    let lock = fs::File::open(node.home.path().join("lock"))?;
    lock.try_lock()?;
    let said = node.run(&["roster", "apply", &next])?;
    said.refuses(3, &["used by another process"])?;
    Ok(())
}

#[test]
fn unknown_key_of_the_configuration_is_refused_with_its_line() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (node, _network) = one(folder.path())?;
    let config = fs::read_to_string(node.home.config())?;
    fs::write(node.home.config(), format!("{config}lisen = []\n"))?;
    let line = format!("line {}", config.lines().count() + 1);
    node.run(&["run"])?
        .refuses(2, &["hashpact.toml", &line, "lisen"])?;
    fs::write(
        node.home.config(),
        config.replace("eu.example/eu/1", "us.example/us/1"),
    )?;
    node.run(&["run"])?
        .refuses(2, &["origin", "names centre us"])?;
    Ok(())
}

#[test]
fn network_that_is_no_demonstration_does_not_run_on_plain_keys() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let node = Node::init(folder.path(), "eu", Over::Tcp)?;
    let network = Network::sign(folder.path(), &[&node], &[])?;
    let roster = text(&network.rosters[0]);
    node.run(&["roster", "apply", &roster, "--pin", &network.pin])?
        .ends(0)?;
    node.run(&["run"])?.refuses(1, &["plain files", "demo"])?;
    Ok(())
}

#[test]
fn key_files_that_others_may_read_are_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (node, network) = one(folder.path())?;
    let keys = node.home.path().join("keys");
    ensure!(mode(&keys)? == 0o700, "{:o}", mode(&keys)?);
    for name in ["delta", "log", "node", "storage"] {
        let file = keys.join(format!("{name}.key"));
        ensure!(mode(&file)? == 0o600, "{name}: {:o}", mode(&file)?);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644))?;
        node.run(&["run"])?.refuses(3, &[&text(&file)])?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
    }
    fs::set_permissions(&network.root, fs::Permissions::from_mode(0o640))?;
    let roster = text(&network.rosters[0]);
    let root = text(&network.root);
    node.run(&["roster", "sign", &roster, "--root", &root])?
        .refuses(2, &[&root, "600"])?;
    Ok(())
}

#[test]
fn home_and_socket_are_private_and_interrupt_stops_cleanly() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (mut node, _network) = running(folder.path())?;
    let socket = node.home.socket();
    ensure!(
        mode(node.home.path())? == 0o700,
        "home: {:o}",
        mode(node.home.path())?
    );
    ensure!(mode(&socket)? == 0o600, "socket: {:o}", mode(&socket)?);
    node.stop()?;
    ensure!(!socket.exists(), "the socket stayed");
    let out: Value = serde_json::from_str(&node.out()?)?;
    ensure!(out == json!({ "stopped": true, "centre": "eu" }), "{out}");
    // A socket that a dead process left is no obstacle.
    node.start()?;
    node.kill()?;
    ensure!(socket.exists(), "a killed process removed its socket");
    node.run(&["status"])?.refuses(3, &["no node runs in"])?;
    node.start()?;
    ensure!(mode(&socket)? == 0o600, "socket: {:o}", mode(&socket)?);
    node.stop()
}

#[test]
fn interrupt_while_a_list_is_read_stops_the_node_and_loses_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (mut node, _network) = running(folder.path())?;
    let list = List::write(folder.path(), "list", 30_000)?;
    let (file, profile) = (text(&list.file), text(&list.profile));
    let ingest = node.begin(&["ingest", &file, "--profile", &profile])?;
    until("the ingest is under way", || {
        Ok(node.status()?.ingesting.then_some(()))
    })?;
    node.stop()?;
    let said = Said::of(ingest.wait_with_output()?)?;
    said.refuses(3, &[])?;
    node.start()?;
    let held = node.status()?.own.held;
    let answer = node.ingest(&list, &[])?.ends(0)?;
    ensure!(
        summary(&answer)? == [30_000, 30_000 - held, held, 0, 0],
        "{answer}"
    );
    Ok(())
}

/// One line to the socket, and the line that comes back.
fn converse(stream: &mut UnixStream, line: &[u8]) -> Result<Value> {
    stream.write_all(line)?;
    let mut answer = String::new();
    BufReader::new(&*stream).read_line(&mut answer)?;
    Ok(serde_json::from_str(&answer)?)
}

#[test]
fn connections_that_are_held_open_keep_no_node_from_stopping() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (mut node, _network) = running(folder.path())?;
    let mut held = Vec::new();
    // As many as are served at once, each known to be served.
    for _ in 0..32 {
        let mut stream = UnixStream::connect(node.home.socket())?;
        let answer = converse(&mut stream, b"{\"ask\":\"status\"}\n")?;
        ensure!(answer["done"]["centre"] == json!("eu"), "{answer}");
        held.push(stream);
    }
    held.push(UnixStream::connect(node.home.socket())?);
    node.stop()
}

#[test]
fn socket_refuses_what_is_no_request_and_serves_the_next_one() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (node, _network) = running(folder.path())?;
    let mut stream = UnixStream::connect(node.home.socket())?;
    let cases: [(&[u8], &str); 4] = [
        (b"status\n", "expected"),
        (b"{\"ask\":\"erase\"}\n", "unknown variant"),
        (
            b"{\"ask\":\"lookup\",\"algorithm\":\"md5\"}\n",
            "missing field",
        ),
        (
            b"{\"ask\":\"retract\",\"entries\":[],\"force\":true}\n",
            "unknown field",
        ),
    ];
    for (line, part) in cases {
        let answer = converse(&mut stream, line)?;
        let text = answer["error"]["text"].as_str().context("no error")?;
        ensure!(
            answer["error"]["kind"] == json!("input") && text.contains(part),
            "{answer}"
        );
    }
    let mut long = vec![b' '; hashpact_node::control::LINE_MAX];
    long.push(b'\n');
    let answer = converse(&mut stream, &long)?;
    let text = answer["error"]["text"].as_str().context("no error")?;
    ensure!(text.contains("longer than a line may be"), "{answer}");
    let answer = converse(&mut stream, b"{\"ask\":\"status\"}\n")?;
    ensure!(answer["done"]["centre"] == json!("eu"), "{answer}");
    Ok(())
}
