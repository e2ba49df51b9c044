//! What a person meets at the shell: exit codes, what an error says, and that `--json` is one object.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use common::{List, Network, Node, Over, hashpact, text, two, until};
use serde_json::{Value, json};

/// A centre that is alone on its roster, not started.
fn one(folder: &Path) -> Result<(Node, Network)> {
    let node = Node::init(folder, "eu", Over::Tcp)?;
    let network = Network::found(folder, &[&node])?;
    Ok((node, network))
}

/// As [`one`], running.
fn running(folder: &Path) -> Result<(Node, Network)> {
    let (mut node, network) = one(folder)?;
    node.start()?;
    Ok((node, network))
}

fn summary(answer: &Value) -> Result<[u64; 5]> {
    let count = |key: &str| answer["summary"][key].as_u64().with_context(|| format!("{answer}"));
    Ok([count("rows")?, count("accepted")?, count("unchanged")?, count("retracted")?, count("refused")?])
}

fn mode(path: &Path) -> Result<u32> {
    Ok(fs::metadata(path)?.permissions().mode() & 0o7777)
}

#[test]
fn init_says_where_it_put_what_and_never_overwrites_a_home() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let node = Node::init(folder.path(), "eu", Over::Both)?;
    let key = node.home.path().join("keys/delta.key");
    let before = fs::read(&key)?;
    let args = ["init", "--centre", "eu", "--jurisdiction", "EU", "--domain", "eu.example"];
    let listen = ["--listen", "/ip4/127.0.0.1/tcp/1"];
    let again = node.run(&[&args[..], &listen].concat())?;
    again.refuses(1, &["holds a node already"])?;
    ensure!(fs::read(&key)? == before, "the key was overwritten");

    let home = text(&folder.path().join("other"));
    let said = hashpact(["--home", &home].iter().chain(&args).chain(&listen))?;
    let json = said.ends(0)?;
    ensure!(json["centre"] == json!("eu") && json["origin"] == json!("eu.example/eu/1"), "{json}");
    let enrolment = json["enrolment"].as_str().context("no `enrolment`")?;
    ensure!(Path::new(enrolment).is_file(), "{json}");

    let name = ["init", "--centre", "E U", "--jurisdiction", "EU", "--domain", "eu.example"];
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
    for args in [&["status"][..], &["lookup", "md5:00112233445566778899aabbccddeeff"]] {
        node.run(args)?.refuses(3, &["no node runs in", "hashpact run"])?;
    }
    node.ingest(&list, &[])?.refuses(3, &["no node runs in"])?;
    let usage = node.run(&["frobnicate"])?;
    ensure!(usage.code == 2 && usage.out.is_empty() && usage.err.contains("frobnicate"), "{usage:?}");
    let nowhere = folder.path().join("nowhere");
    hashpact(["--home", &text(&nowhere), "run"])?.refuses(3, &["holds no node", "hashpact init"])?;
    ensure!(!nowhere.exists(), "asking for a home made one");
    Ok(())
}

#[test]
fn centre_that_moves_enrols_again_with_its_old_keys() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (mut eu, us, mut network) = two(folder.path(), Over::Tcp)?;
    eu.stop()?;
    let config = fs::read_to_string(eu.home.config())?;
    let moved = Node::init(&folder.path().join("moved"), "eu", Over::Tcp)?;
    let new = fs::read_to_string(moved.home.config())?;
    let addresses = |text: &str| -> Result<String> {
        let line = text.lines().find_map(|line| line.strip_prefix("addresses = "));
        Ok(line.context("no addresses")?.to_owned())
    };
    ensure!(addresses(&config)? != addresses(&new)?, "the same port twice");
    fs::write(eu.home.config(), &new)?;
    let before = fs::read(eu.home.enrolment())?;
    let answer = eu.run(&["enrol"])?.ends(0)?;
    ensure!(answer["enrolment"] == json!(eu.home.enrolment()), "{answer}");
    ensure!(fs::read(eu.home.enrolment())? != before, "the enrolment is the old one");
    let next = network.next(&[&eu])?;
    let shown = us.run(&["roster", "show", &next])?.ends(0)?;
    ensure!(shown["centres"][0]["addresses"].to_string() == addresses(&new)?.replace(", ", ","), "{shown}");
    for node in [&eu, &us] {
        node.run(&["roster", "apply", &next])?.ends(0)?;
    }
    eu.start()?;
    let list = List::write(folder.path(), "list", 4)?;
    eu.ingest(&list, &[])?.ends(0)?;
    us.catches_up_with(&eu)
}

#[test]
fn second_process_on_a_home_is_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (mut node, network) = running(folder.path())?;
    node.run(&["run"])?.refuses(3, &["used by another process", &text(node.home.path())])?;
    ensure!(node.ended()?.is_none() && node.status().is_ok(), "the first one was disturbed");
    // The running one is asked, so that the home has one writer.
    let next = text(&network.rosters[0]);
    node.run(&["roster", "apply", &next])?.refuses(1, &[])?;
    Ok(())
}

#[test]
fn unknown_key_of_the_configuration_is_refused_with_its_line() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (node, _network) = one(folder.path())?;
    let config = fs::read_to_string(node.home.config())?;
    fs::write(node.home.config(), format!("{config}lisen = []\n"))?;
    let line = format!("line {}", config.lines().count() + 1);
    node.run(&["run"])?.refuses(2, &["hashpact.toml", &line, "lisen"])?;
    fs::write(node.home.config(), config.replace("eu.example/eu/1", "us.example/us/1"))?;
    node.run(&["run"])?.refuses(2, &["origin", "names centre us"])?;
    Ok(())
}

#[test]
fn first_roster_needs_its_pin_and_a_node_needs_a_roster() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let node = Node::init(folder.path(), "eu", Over::Tcp)?;
    let network = Network::sign(folder.path(), &[&node], &["--demo"])?;
    node.run(&["run"])?.refuses(2, &["no roster", "roster apply", "--pin"])?;
    let roster = text(&network.rosters[0]);
    node.run(&["roster", "apply", &roster])?.refuses(2, &["--pin", "out of band"])?;
    let other = "0".repeat(64);
    let wrong = node.run(&["roster", "apply", &roster, "--pin", &other])?;
    wrong.refuses(1, &[&other, &network.pin])?;
    node.run(&["roster", "apply", &roster, "--pin", "zz"])?.refuses(2, &[])?;
    node.run(&["run"])?.refuses(2, &["no roster"])?;
    let applied = node.run(&["roster", "apply", &roster, "--pin", &network.pin])?.ends(0)?;
    ensure!(applied == json!({ "roster_version": 1 }), "{applied}");
    let shown = node.run(&["roster", "show", &roster])?.ends(0)?;
    ensure!(shown["network"] == json!(network.pin) && shown["demo"] == json!(true), "{shown}");
    Ok(())
}

#[test]
fn centre_that_is_not_on_the_roster_is_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (eu, us) =
        (Node::init(folder.path(), "eu", Over::Tcp)?, Node::init(folder.path(), "us", Over::Tcp)?);
    let network = Network::found(folder.path(), &[&eu])?;
    let roster = text(&network.rosters[0]);
    let said = us.run(&["roster", "apply", &roster, "--pin", &network.pin])?;
    said.refuses(2, &["us", "not on the roster"])?;
    us.run(&["run"])?.refuses(2, &["no roster"])?;
    Ok(())
}

#[test]
fn network_that_is_no_demonstration_does_not_run_on_plain_keys() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let node = Node::init(folder.path(), "eu", Over::Tcp)?;
    let network = Network::sign(folder.path(), &[&node], &[])?;
    let roster = text(&network.rosters[0]);
    node.run(&["roster", "apply", &roster, "--pin", &network.pin])?.ends(0)?;
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
    node.run(&["roster", "sign", &roster, "--root", &root])?.refuses(2, &[&root, "600"])?;
    Ok(())
}

#[test]
fn home_and_socket_are_private_and_interrupt_stops_cleanly() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (mut node, _network) = running(folder.path())?;
    let socket = node.home.socket();
    ensure!(mode(node.home.path())? == 0o700, "home: {:o}", mode(node.home.path())?);
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
fn status_tells_what_a_script_needs() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (eu, us, network) = two(folder.path(), Over::Both)?;
    let list = List::write(folder.path(), "list", 40)?;
    ensure!(summary(&eu.ingest(&list, &[])?.ends(0)?)? == [40, 40, 0, 0, 0]);
    us.catches_up_with(&eu)?;
    let status = us.run(&["status"])?.ends(0)?;
    let keys: Vec<&str> = status.as_object().context("an object")?.keys().map(String::as_str).collect();
    let expected = [
        "behind", "centre", "demo", "events", "ingesting", "mirrored", "network", "own", "peers",
        "roster_expires_at", "roster_version",
    ];
    ensure!(keys == expected, "{keys:?}");
    ensure!(status["centre"] == json!("us") && status["demo"] == json!(true), "{status}");
    ensure!(status["network"] == json!(network.pin) && status["behind"].is_null(), "{status}");
    ensure!(status["roster_version"] == json!(1) && status["ingesting"] == json!(false), "{status}");
    let log = json!({
        "centre": "eu", "origin": "eu.example/eu/1", "size": 3, "head": 3, "deltas": 1,
        "applied": 1, "held": 40, "retracted": 0,
    });
    ensure!(status["mirrored"] == json!([log]), "{status}");
    ensure!(status["own"]["centre"] == json!("us") && status["own"]["held"] == json!(0), "{status}");
    let peer = &status["peers"][0];
    ensure!(peer["centre"] == json!("eu") && peer["up"] == json!(true), "{status}");
    ensure!(peer["bytes_in"].as_u64() > Some(40 * 48), "40 entries came in less: {peer}");
    let kinds: Vec<&Value> =
        status["events"].as_array().context("events")?.iter().map(|seen| &seen["kind"]).collect();
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
    ensure!(said.code == 0 && said.out.starts_with("8 rows: 8 new in 1 deltas"), "{said:?}");
    ensure!(said.err.contains("signing: 8 of 8"), "{said:?}");
    let said = node.read(&["status"])?;
    ensure!(said.code == 0 && said.err.is_empty() && said.out.contains("eu.example/eu/1"), "{said:?}");
    let said = node.read(&["lookup", &format!("md5:{}", list.md5(0))])?;
    ensure!(said.code == 0 && said.out.contains("state assessed, TLP:AMBER"), "{said:?}");
    let said = node.read(&["lookup", "md5:ffeeddccbbaa99887766554433221100"])?;
    ensure!(said.code == 1 && said.out == "no known match\n", "{said:?}");
    let said = node.read(&["retract", "xyz"])?;
    ensure!(said.code == 2 && said.out.is_empty(), "{said:?}");
    ensure!(said.err == "hashpact: xyz: not an entry id\n", "{said:?}");
    Ok(())
}

#[test]
fn list_without_a_profile_gets_an_example_that_is_one() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (node, _network) = running(folder.path())?;
    let list = List::write(folder.path(), "list", 4)?;
    let json = node.run(&["ingest", &text(&list.file)])?.refuses(2, &["--profile", "[labels]"])?;
    let error = json["error"].as_str().context("no `error`")?;
    let (_, example) = error.split_once("\n\n").context("no example")?;
    hashpact_node::ingest::Profile::from_toml(example, "example")?;

    fs::write(&list.profile, common::PROFILE.replace("hops = 1", "hops = 9"))?;
    let line = common::PROFILE.lines().take_while(|line| !line.starts_with("hops")).count() + 1;
    node.ingest(&list, &[])?.refuses(2, &[&format!("list.toml:{line}: hops")])?;
    fs::write(&list.profile, common::PROFILE.replace("hops = 1\n", ""))?;
    node.ingest(&list, &[])?.refuses(2, &["does not state hops"])?;
    ensure!(node.status()?.own.held == 0);
    Ok(())
}

/// A list of 300 rows of which two are bad, by their numbers from 1.
fn two_bad_rows(folder: &Path) -> Result<List> {
    let list = List::write(folder, "list", 300)?;
    let mut rows: Vec<String> = (0..300).map(|row| list.row(row)).collect();
    rows[6] = rows[6].replacen(&list.sha256(6), &list.sha256(6)[..63], 1);
    rows[9] = rows[9].replacen(&list.md5(9), &list.md5(9).replacen(|_: char| true, "x", 1), 1);
    list.rewrite(&rows)?;
    Ok(list)
}

/// Row, column, code and action of a report line.
type Reported<'a> = (Option<u64>, Option<&'a str>, Option<&'a str>, Option<&'a str>);

fn reported(lines: &[Value]) -> Vec<Reported<'_>> {
    let mut out = Vec::new();
    for line in lines {
        let word = |key: &str| line[key].as_str();
        out.push((line["row"].as_u64(), word("column"), word("code"), word("action")));
    }
    out
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
    ensure!(strict.code == 2 && reported(&lines) == expected, "{strict:?}");
    ensure!(last["error"].as_str().is_some_and(|error| error.contains("strict")), "{last}");
    ensure!(last["detail"]["stopped"] == json!("strict"), "{last}");
    ensure!(node.status()?.own.held == 0, "a strict ingest took something");

    let report = folder.path().join("report.jsonl");
    let said = node.ingest(&list, &["--report", &text(&report)])?;
    let answer = said.ends(1)?;
    ensure!(summary(&answer)? == [300, 298, 0, 0, 2] && answer["deltas"] == json!(1), "{answer}");
    let lines: Vec<Value> = fs::read_to_string(&report)?
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    ensure!(reported(&lines) == expected, "{lines:?}");
    ensure!(lines.iter().all(|line| line["file"] == json!("list.csv")), "{lines:?}");
    ensure!(node.status()?.own.held == 298);
    ensure!(node.lookup(&list.sha256(9))?.is_empty(), "half of a bad row was taken");

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
    let lines: Vec<String> =
        fs::read_to_string(&list.file)?.lines().skip(1).take(199).map(str::to_owned).collect();
    list.rewrite(&lines)?;
    let (lines, last) = node.ingest(&list, &[])?.lines()?;
    ensure!(lines.len() == 2, "{lines:?}");
    let error = last["error"].as_str().context("no `error`")?;
    ensure!(error.contains("2 of 199 rows") && error.contains("confirm"), "{error}");
    ensure!(last["detail"]["stopped"] == json!("too_many_bad"), "{last}");
    let said = node.ingest(&list, &["--accept-bad", "1"])?;
    ensure!(said.code == 2 && node.status()?.own.held == 0, "one confirmed, two bad: {said:?}");
    let said = node.ingest(&list, &["--accept-bad", "2"])?;
    ensure!(said.code == 1 && summary(&said.lines()?.1)? == [199, 197, 0, 0, 2], "{said:?}");
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
        ("bad_encoding", [good.as_bytes(), b"\xff\xfe,,image\n"].concat()),
        ("media_content", format!("{good}{content},,image\n").into()),
    ];
    for (code, bytes) in cases {
        fs::write(&list.file, bytes)?;
        let said = node.ingest(&list, &[])?;
        let (lines, last) = said.lines()?;
        ensure!(said.code == 2 && last["detail"]["stopped"] == json!(code), "{code}: {said:?}");
        let line = lines.last().context("no report line")?;
        let refused = line["code"] == json!(code) && line["action"] == json!("file refused");
        ensure!(refused && last["error"].as_str().is_some_and(|e| e.contains(code)), "{said:?}");
        ensure!(node.status()?.own.held == 0, "{code}: something was taken");
    }
    fs::remove_file(&list.file)?;
    node.ingest(&list, &[])?.refuses(2, &["list.csv"])?;
    Ok(())
}

#[test]
fn list_is_taken_once_retracted_for_good_and_never_contradicted() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (node, _network) = running(folder.path())?;
    let list = List::write(folder.path(), "list", 8)?;
    let answer = node.ingest(&list, &[])?.ends(0)?;
    ensure!(summary(&answer)? == [8, 8, 0, 0, 0] && answer["deltas"] == json!(1), "{answer}");
    let size = node.status()?.own.size;
    let again = node.ingest(&list, &[])?.ends(0)?;
    ensure!(summary(&again)? == [8, 0, 8, 0, 0] && again["deltas"] == json!(0), "{again}");
    ensure!(node.status()?.own.size == size, "an unchanged list grew the log");

    let entry = node.entry(&list.sha256(3))?;
    let retracted = node.run(&["retract", &entry])?.ends(0)?;
    ensure!(retracted == json!({ "retracted": 1, "deltas": [1] }), "{retracted}");
    node.run(&["retract", &entry])?.refuses(1, &[&entry, "retracted already"])?;
    let report = text(&folder.path().join("report"));
    let answer = node.ingest(&list, &["--report", &report])?.ends(1)?;
    ensure!(summary(&answer)? == [8, 0, 7, 1, 0] && answer["deltas"] == json!(0), "{answer}");
    let line: Value = serde_json::from_str(&fs::read_to_string(&report)?)?;
    ensure!(reported(&[line.clone()])[0].2 == Some("retracted"), "{line}");
    ensure!(line["row"] == json!(4) && line["action"] == json!("not re-added"), "{line}");

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

#[test]
fn retract_refuses_what_it_cannot_end() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (eu, us, _network) = two(folder.path(), Over::Both)?;
    let list = List::write(folder.path(), "list", 8)?;
    eu.ingest(&list, &[])?.ends(0)?;
    let unknown = "0".repeat(32);
    eu.run(&["retract", &unknown])?.refuses(1, &[&unknown, "no entry of this centre"])?;
    eu.run(&["retract", "xyz"])?.refuses(2, &["not an entry id"])?;
    eu.run(&["retract"])?.refuses(2, &["give entry ids"])?;
    us.catches_up_with(&eu)?;
    let entry = us.entry(&list.sha256(0))?;
    us.run(&["retract", &entry])?.refuses(1, &["no entry of this centre"])?;

    // One bad id among good ones retracts none.
    let good = eu.entry(&list.sha256(1))?;
    eu.run(&["retract", &good, &unknown])?.refuses(1, &[&unknown])?;
    ensure!(eu.status()?.own.retracted == 0);
    let ids = folder.path().join("ids");
    fs::write(&ids, format!("{entry}\n{good}\n"))?;
    let answer = eu.run(&["retract", &good, "--from", &text(&ids)])?.ends(0)?;
    ensure!(answer == json!({ "retracted": 2, "deltas": [1] }), "{answer}");
    us.catches_up_with(&eu)?;
    us.run(&["lookup", &format!("sha256:{}", list.sha256(0))])?.ends(1)?;
    Ok(())
}

#[test]
fn lookup_tells_hits_from_misses_by_its_exit_code() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (eu, us, _network) = two(folder.path(), Over::Both)?;
    let (list, other) = (List::write(folder.path(), "list", 8)?, List::write(folder.path(), "other", 8)?);
    eu.ingest(&list, &[])?.ends(0)?;
    us.catches_up_with(&eu)?;
    for (node, by) in [(&eu, format!("md5:{}", list.md5(2))), (&us, format!("sha256:{}", list.sha256(2)))] {
        let answer = node.run(&["lookup", &by])?.ends(0)?;
        let entries = answer["entries"].as_array().context("no `entries`")?;
        ensure!(entries.len() == 1 && entries[0]["centre"] == json!("eu"), "{answer}");
        ensure!(entries[0]["algorithms"] == json!(["md5", "sha256"]), "{answer}");
        ensure!(entries[0]["media_kind"] == json!(["audio"]), "{answer}");
        ensure!(entries[0]["retracted"] == json!(false), "{answer}");
    }
    let miss = eu.run(&["lookup", &format!("sha256:{}", other.sha256(2))])?.ends(1)?;
    ensure!(miss == json!({ "entries": [] }), "{miss}");
    // Two centres may state the same fingerprint: two entries, of which one may end.
    us.ingest(&list, &[])?.ends(0)?;
    eu.catches_up_with(&us)?;
    let by = format!("sha256:{}", list.sha256(2));
    let answer = eu.run(&["lookup", &by])?.ends(0)?;
    let entries = answer["entries"].as_array().context("no `entries`")?;
    let own = entries.iter().find(|entry| entry["centre"] == json!("eu"));
    let own = own.and_then(|entry| entry["entry"].as_str()).context("eu's entry")?;
    ensure!(entries.len() == 2, "{answer}");
    eu.run(&["retract", own])?.ends(0)?;
    ensure!(eu.run(&["lookup", &by])?.ends(0)?["entries"][1].is_object(), "us still states it");
    for (text, part) in [("md5", "ALGORITHM:VALUE"), ("md4:00", "unknown algorithm"), ("md5:00", "expected 32")] {
        eu.run(&["lookup", text])?.refuses(2, &[part])?;
    }
    Ok(())
}

#[test]
fn centre_joins_while_the_others_run() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (mut eu, mut us, mut network) = two(folder.path(), Over::Both)?;
    let list = List::write(folder.path(), "list", 8)?;
    eu.ingest(&list, &[])?.ends(0)?;
    let mut ca = Node::init(folder.path(), "ca", Over::Both)?;
    let next = network.next(&[&ca])?;
    for node in [&eu, &us] {
        let applied = node.run(&["roster", "apply", &next])?.ends(0)?;
        ensure!(applied == json!({ "roster_version": 2 }), "{applied}");
    }
    // The newcomer needs every version, and pins the first.
    let first = text(&network.rosters[0]);
    ca.run(&["roster", "apply", &next, "--pin", &network.pin])?.refuses(1, &[])?;
    ca.run(&["roster", "apply", &first, &next, "--pin", &network.pin])?.ends(0)?;
    ca.start()?;
    ca.catches_up_with(&eu)?;
    ca.catches_up_with(&us)?;
    let other = List::write(folder.path(), "other", 8)?;
    ca.ingest(&other, &[])?.ends(0)?;
    for node in [&eu, &us] {
        node.catches_up_with(&ca)?;
        ensure!(node.lookup(&other.sha256(7))?.len() == 1);
    }
    ensure!(eu.ended()?.is_none() && us.ended()?.is_none(), "a node ended");

    // And leaves: its connections close.
    let third = folder.path().join("roster-3.txt");
    let (from, root, out) = (next, text(&network.root), text(&third));
    let args = ["roster", "new", "--from", &from, "--root", &root, "--remove", "ca", "--out", &out];
    hashpact(args)?.ends(0)?;
    for node in [&eu, &us] {
        node.run(&["roster", "apply", &out])?.ends(0)?;
        let centres: Vec<String> =
            node.status()?.peers.into_iter().map(|peer| peer.centre).collect();
        ensure!(!centres.contains(&"ca".to_owned()), "{centres:?}");
    }
    until("ca is alone", || {
        Ok(ca.status()?.peers.iter().all(|peer| !peer.up).then_some(()))
    })
}

#[test]
fn roster_that_does_not_follow_is_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (mut node, mut network) = running(folder.path())?;
    let first = text(&network.rosters[0]);
    let second = network.next(&[])?;
    let third = network.next(&[])?;
    let expected = |at: u64, got: u64| format!("expected roster version {at}, got {got}");
    node.run(&["roster", "apply", &third])?.refuses(1, &[&expected(2, 3)])?;
    node.run(&["roster", "apply", &first])?.refuses(1, &[&expected(2, 1)])?;
    // Another root key than the network's.
    let strange = tempfile::tempdir()?;
    let other = Network::sign(strange.path(), &[&node], &["--demo"])?;
    let forged = text(&strange.path().join("forged.txt"));
    let root = text(&other.root);
    hashpact(["roster", "new", "--from", &first, "--root", &root, "--out", &forged])?.ends(0)?;
    node.run(&["roster", "apply", &forged])?.refuses(1, &["signatures"])?;
    let garbage = folder.path().join("garbage.txt");
    fs::write(&garbage, "not a roster\n")?;
    node.run(&["roster", "apply", &text(&garbage)])?.refuses(2, &["garbage.txt"])?;
    ensure!(node.status()?.roster_version == 1);
    node.run(&["roster", "apply", &second])?.ends(0)?;
    // The stopped node keeps the same rules.
    node.stop()?;
    node.run(&["roster", "apply", &second])?.refuses(1, &[&expected(3, 2)])?;
    let applied = node.run(&["roster", "apply", &third])?.ends(0)?;
    ensure!(applied == json!({ "roster_version": 3 }), "{applied}");
    node.start()?;
    ensure!(node.status()?.roster_version == 3);
    Ok(())
}

#[test]
fn roster_that_would_never_be_valid_is_not_made() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (node, network) = one(folder.path())?;
    let (from, root) = (text(&network.rosters[0]), text(&network.root));
    let out = text(&folder.path().join("next.txt"));
    let args = ["roster", "new", "--from", &from, "--root", &root, "--out", &out];
    node.run(&[&args[..], &["--days", "0"]].concat())?.refuses(2, &["not before its end"])?;
    node.run(&[&args[..], &["--remove", "eu"]].concat())?.refuses(2, &["centres is empty"])?;
    ensure!(!Path::new(&out).exists(), "a refused roster was written");
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
    list.rewrite(&[format!("{},{},text", list.md5(301), list.sha256(5)), "data:image/png;,,".to_owned()])?;
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
    let printed = [eu.log()?, eu.said(), eu.out()?, us.log()?, us.said(), us.out()?].concat();
    ensure!(printed.contains("kind=\"delta_applied\"") && printed.contains("TRACE"), "no log");
    let printed = printed.to_lowercase();
    for row in 0..=301 {
        for hash in [list.sha256(row), list.md5(row)] {
            // Half of one is as telling.
            ensure!(!printed.contains(&hash[..24]), "row {row} was printed");
        }
    }
    Ok(())
}
