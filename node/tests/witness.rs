//! `hashpact witness` as an auditor runs it: it cosigns a centre's log live over HTTP, remembers over restarts, and refuses to
//! start once it has forgotten.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::thread;

use anyhow::{Context as _, Result, bail, ensure};
use common::{Network, Node, Over, StockLog, Witness, ask, hashpact, text, until};
use hashpact_keys::store::KeyFile;
use hashpact_keys::{KeyUse, SignedRoster, Signer};
use hashpact_node::http::{HttpClient, HttpClientConfig, Identity};
use hashpact_protocol::log::{
    AddCheckpoint, SignedNote, VerifierKey, cosignatures_from_answer, log_key, origin_hash,
};
use serde_json::Value;

const ORIGIN: &str = "eu.example/eu/1";
const LEAVES: u64 = StockLog::LEAVES;

/// A log of the centre eu that never was, under its log key.
fn log_of(eu: &Node) -> Result<StockLog> {
    let key = eu.home.path().join("keys").join("log.key");
    StockLog::new(ORIGIN, KeyFile::load(&key, KeyUse::Log)?)
}

fn add(address: &str, request: &AddCheckpoint) -> Result<(u16, Vec<u8>)> {
    ask(address, "POST", "/add-checkpoint", &request.to_bytes())
}

/// The centre eu, an auditor's witness on its demonstration's roster, and the roster.
fn network(folder: &Path) -> Result<(Node, Witness, Network)> {
    let eu = Node::init(folder, "eu", Over::Tcp)?;
    let witness = Witness::init(folder, "w1", &[])?;
    let enrolment = witness.enrolment();
    let network = Network::sign(folder, &[&eu], &["--demo", "--auditor", &enrolment])?;
    let roster = text(&network.rosters[0]);
    witness
        .run(&["roster", "apply", &roster])?
        .refuses(2, &["--pin", "out of band"])?;
    let other = "0".repeat(64);
    witness
        .run(&["roster", "apply", &roster, "--pin", &other])?
        .refuses(1, &[&other])?;
    witness
        .run(&["roster", "apply", &roster, "--pin", &network.pin])?
        .ends(0)?;
    Ok((eu, witness, network))
}

#[test]
fn auditor_cosigns_live_remembers_and_refuses_to_go_back() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (eu, mut witness, _network) = network(folder.path())?;
    let (log, vkey) = (log_of(&eu)?, witness.vkey()?);
    let address = witness.start()?;
    let first = log.request(0, 5)?;
    let (status, answer) = add(&address, &first)?;
    ensure!(status == 200, "{status}");
    let note = SignedNote::parse(&first.note)?;
    let cosigned = cosignatures_from_answer(&note, &answer)?;
    ensure!(cosigned.signed_by(&vkey)?.is_some(), "no time");
    ensure!(add(&address, &log.request(5, 9)?)?.0 == 200);
    // Back, beside what was cosigned, and from a state that never was.
    for (old, size) in [(0, 5), (5, 7), (0, 9), (7, 12)] {
        let refused = add(&address, &log.request(old, size)?)?;
        ensure!(refused == (409, b"9\n".to_vec()), "{refused:?}");
    }
    witness.stop()?;
    let log_text = witness.log()?;
    ensure!(!log_text.contains("127.0.0.1:0"), "{log_text}");

    let address = witness.start()?;
    let refused = add(&address, &log.request(5, 7)?)?;
    ensure!(refused == (409, b"9\n".to_vec()), "{refused:?}");
    ensure!(add(&address, &log.request(9, LEAVES)?)?.0 == 200);
    let path = format!("/{}/checkpoint", hex::encode(origin_hash(ORIGIN)));
    let (status, held) = ask(&address, "GET", &path, b"")?;
    let held = SignedNote::parse(&held)?;
    ensure!(status == 200 && held.signed_by(&vkey)?.is_some());
    ensure!(held.signed_by(&log_key(&ORIGIN.parse()?, log.signer.public())) == Ok(None));
    let said = witness.run(&["status"])?.ends(0)?;
    ensure!(
        said["listed"] == true && said["roster_version"] == 1,
        "{said}"
    );
    ensure!(said["logs"][0]["origin"] == ORIGIN && said["logs"][0]["size"] == LEAVES);
    ensure!(said["logs"][0]["cosigned_at"].as_u64() > Some(1_700_000_000));
    Ok(())
}

#[test]
fn witness_that_lost_its_state_does_not_start() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (eu, mut witness, _network) = network(folder.path())?;
    let address = witness.start()?;
    ensure!(add(&address, &log_of(&eu)?.request(0, 5)?)?.0 == 200);
    witness.stop()?;
    fs::remove_dir_all(witness.home.join("state"))?;
    let listen = ["run", "--listen", "127.0.0.1:0"];
    let said = ["state is lost", "must not cosign again", "make a new home"];
    witness.run(&listen)?.refuses(1, &said)?;
    fs::create_dir(witness.home.join("state"))?;
    witness.run(&listen)?.refuses(1, &said)?;
    witness.run(&["status"])?.refuses(1, &said)?;
    // The state of another witness is no substitute.
    let other = Witness::init(folder.path(), "w2", &[])?;
    fs::remove_dir(witness.home.join("state"))?;
    fs::rename(other.home.join("state"), witness.home.join("state"))?;
    witness.run(&listen)?.refuses(1, &["auditor.example/w2"])?;
    Ok(())
}

/// The race of the specification, with processes: whoever loses is told where the log is.
#[test]
fn of_two_requests_at_once_one_is_cosigned() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (eu, mut witness, _network) = network(folder.path())?;
    let log = log_of(&eu)?;
    let address = witness.start()?;
    let mut last = 0;
    while last + 2 <= LEAVES {
        let rivals = [log.request(last, last + 2)?, log.request(last, last + 1)?];
        let answers: Vec<_> = thread::scope(|scope| {
            let asked = rivals.iter().map(|r| scope.spawn(|| add(&address, r)));
            let asked: Vec<_> = asked.collect();
            asked.into_iter().map(|asked| asked.join()).collect()
        });
        let mut sizes = Vec::new();
        for (answer, size) in answers.into_iter().zip([last + 2, last + 1]) {
            let (status, body) = answer.map_err(|_| anyhow::anyhow!("panicked"))??;
            match status {
                200 => sizes.push(size),
                409 => ensure!(body != format!("{last}\n").into_bytes(), "{body:?}"),
                other => bail!("status {other}"),
            }
        }
        ensure!(sizes.len() == 1, "{sizes:?}");
        last = sizes[0];
    }
    Ok(())
}

#[test]
fn rosters_are_taken_while_a_witness_runs() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (eu, mut witness, network) = network(folder.path())?;
    let log = log_of(&eu)?;
    let address = witness.start()?;
    ensure!(add(&address, &log.request(0, 5)?)?.0 == 200);
    // The log's key is revoked.
    let key = log.signer.public().key_id();
    let next = text(&folder.path().join("next.txt"));
    let (from, root) = (text(&network.rosters[0]), text(&network.root));
    let cut = format!("{key}@{ORIGIN}:5");
    let new = [
        "roster", "new", "--from", &from, "--root", &root, "--out", &next,
    ];
    hashpact([&new[..], &["--revoke", &cut]].concat())?.ends(0)?;
    witness.run(&["roster", "apply", &next])?.ends(0)?;
    witness.signal("-HUP")?;
    until("the witness takes the roster", || {
        Ok((add(&address, &log.request(5, 5)?)?.0 == 403).then_some(()))
    })
}

#[test]
fn witness_is_open_to_this_machine_only_and_knows_its_network() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let witness = Witness::init(folder.path(), "w1", &[])?;
    let listen = |address| ["run", "--listen", address];
    witness
        .run(&listen("0.0.0.0:0"))?
        .refuses(2, &["open to others", "proxy"])?;
    witness
        .run(&listen("127.0.0.1:0"))?
        .refuses(2, &["no log to witness"])?;
    witness
        .run(&["init", "--name", "auditor.example/w1"])?
        .refuses(1, &["holds a home already"])?;
    let other = text(&folder.path().join("none"));
    hashpact(["--home", &other, "witness", "status"])?.refuses(2, &["holds no witness"])?;
    // Plain keys are for demonstrations.
    let eu = Node::init(folder.path(), "eu", Over::Tcp)?;
    let enrolment = witness.enrolment();
    let network = Network::sign(folder.path(), &[&eu], &["--auditor", &enrolment])?;
    let roster = text(&network.rosters[0]);
    witness
        .run(&["roster", "apply", &roster, "--pin", &network.pin])?
        .ends(0)?;
    witness
        .run(&listen("127.0.0.1:0"))?
        .refuses(1, &["plain files", "--seal"])?;
    Ok(())
}

#[test]
fn witness_with_sealed_keys_serves_a_network_that_is_no_demonstration() -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir()?;
    let passphrase = folder.path().join("passphrase");
    fs::write(&passphrase, "correct horse battery staple\n")?;
    fs::set_permissions(&passphrase, fs::Permissions::from_mode(0o600))?;
    let home = text(&folder.path().join("w1"));
    let (file, name) = (text(&passphrase), "auditor.example/w1");
    let global = ["--home", &home, "--passphrase-file", &file, "witness"];
    let run = |args: &[&str]| hashpact(global.iter().chain(args));
    run(&["init", "--seal", "--name", name])?.ends(0)?;
    ensure!(!Path::new(&home).join("keys").exists(), "plain keys");
    let eu = Node::init(folder.path(), "eu", Over::Tcp)?;
    let enrolment = text(&Path::new(&home).join("enrolment.txt"));
    let network = Network::sign(folder.path(), &[&eu], &["--auditor", &enrolment])?;
    let roster = text(&network.rosters[0]);
    run(&["roster", "apply", &roster, "--pin", &network.pin])?.ends(0)?;
    fs::write(&passphrase, "another horse battery staple\n")?;
    run(&["run", "--listen", "127.0.0.1:0"])?.refuses(2, &["wrong passphrase"])?;
    Ok(())
}

#[test]
fn auditors_and_stock_witnesses_reach_a_roster_and_leave_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (eu, witness, network) = network(folder.path())?;
    let (root, mut last) = (text(&network.root), text(&network.rosters[0]));
    let shown = hashpact(["roster", "show", &last])?.ends(0)?;
    ensure!(
        shown["auditors"][0]["name"] == "auditor.example/w1",
        "{shown}"
    );
    let out = |n: u32| text(&folder.path().join(format!("next-{n}.txt")));
    let new = |from: &str, n: u32, args: &[&str]| {
        let out = out(n);
        let new = [
            "roster", "new", "--from", from, "--root", &root, "--out", &out,
        ];
        hashpact([&new[..], args].concat())
    };
    let stock = Witness::init(folder.path(), "stock", &[])?.vkey()?;
    let made = new(&last, 2, &["--witness", &stock.to_string()])?.ends(0)?;
    ensure!(made["witnesses"][0]["name"] == stock.name(), "{made}");
    last = out(2);
    // A new key takes the old one's place, and the old one stays listed with its end.
    let (name, signer) = (stock.name(), Signer::from_seed(&[9; 32]));
    let renewed = VerifierKey::new(name, stock.kind(), signer.public());
    let made = new(&last, 3, &["--witness", &renewed.to_string()])?.ends(0)?;
    let keys = made["witnesses"][0]["keys"].as_array().context("no keys")?;
    let ended = |key: &&Value| !key["until"].is_null();
    ensure!(
        keys.len() == 2 && keys.iter().filter(ended).count() == 1,
        "{made}"
    );
    last = out(3);
    let log = log_key(&ORIGIN.parse()?, signer.public()).to_string();
    new(&last, 4, &["--witness", &log])?.refuses(2, &["key of a log"])?;
    new(&last, 4, &["--witness", "a+b"])?.refuses(2, &["verifier key"])?;
    let enrolment = text(&eu.home.enrolment());
    new(&last, 4, &["--auditor", &enrolment])?.refuses(2, &["WITNESS ENROLMENT"])?;
    let key = witness.vkey()?.key().key_id();
    for (revoke, refusal) in [
        (format!("{key}@{ORIGIN}"), "not <key id>@<origin>:<size>"),
        (format!("{key}@{ORIGIN}:-1"), "not <key id>@<origin>:<size>"),
        (
            format!("0000000000000000@{ORIGIN}:1"),
            "no key on the roster",
        ),
    ] {
        new(&last, 4, &["--revoke", &revoke])?.refuses(2, &[refusal])?;
    }
    new(&last, 4, &["--drop-witness", "none.example"])?.refuses(2, &["none.example"])?;
    let (name, cut) = ("auditor.example/w1", format!("{key}@{ORIGIN}:7"));
    let made = new(&last, 4, &["--drop-witness", name, "--revoke", &cut])?.ends(0)?;
    ensure!(made["auditors"] == Value::Array(Vec::new()), "{made}");
    ensure!(made["revocations"][0]["size"] == 7, "{made}");
    last = out(4);
    // A cut-off goes down and never up.
    let lower = format!("{}@{ORIGIN}:7", renewed.key().key_id());
    let made = new(&last, 5, &["--revoke", &lower, "--drop-centre", "us"])?.ends(0)?;
    ensure!(
        made["revocations"].as_array().map(Vec::len) == Some(2),
        "{made}"
    );
    let (up, down) = (lower.replace(":7", ":8"), lower.replace(":7", ":6"));
    new(&out(5), 6, &["--revoke", &up])?.refuses(2, &["only ever goes down"])?;
    new(&out(5), 6, &["--revoke", &down])?.ends(0)?;
    Ok(())
}

/// The auditor's certificate is around the key that the roster names, for nobody else's eyes, and opens a node's logs.
#[test]
fn auditors_certificate_opens_the_logs_that_a_node_serves_over_tls() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (mut eu, witness, network) = network(folder.path())?;
    let file = folder.path().join("auditor");
    let made = witness.run(&["certificate", &text(&file)])?.ends(0)?;
    ensure!(made["key"] == text(&file.with_extension("key")), "{made}");
    witness
        .run(&["certificate", &text(&file)])?
        .refuses(3, &["auditor.key"])?;
    let mode = fs::metadata(file.with_extension("key"))?
        .permissions()
        .mode();
    ensure!(mode & 0o077 == 0, "{mode:o}");
    // A server's certificate of its own, which the auditor trusts.
    let server = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let http = eu.home.path().join("http");
    fs::create_dir(&http)?;
    fs::write(http.join("certificate.pem"), server.cert.pem())?;
    fs::write(http.join("key.pem"), server.signing_key.serialize_pem())?;
    let config = eu.home.path().join("hashpact.toml");
    let section = "[http]\nlisten = \"127.0.0.1:0\"\ncertificate = \"http/certificate.pem\"\nkey = \"http/key.pem\"\n";
    fs::write(
        &config,
        format!("{}\n{section}", fs::read_to_string(&config)?),
    )?;
    let roster = text(&network.rosters[0]);
    eu.run(&["roster", "apply", &roster, "--pin", &network.pin])?
        .ends(0)?;
    eu.start()?;
    let address = eu.status()?.http.context("an address")?;
    let url = format!(
        "https://{}/rosters/1",
        address.replace("127.0.0.1", "localhost")
    );
    let read = |identity: Option<Identity>| -> Result<_> {
        let client = HttpClient::new(&HttpClientConfig {
            timeout: std::time::Duration::from_secs(10),
            identity,
            roots: Some(http.join("certificate.pem")),
        })?;
        Ok(client.get(&url, 65_536))
    };
    let identity = Identity {
        certificate_pem: fs::read_to_string(file.with_extension("pem"))?,
        key_pem: zeroize::Zeroizing::new(fs::read_to_string(file.with_extension("key"))?),
    };
    let roster = read(Some(identity))??;
    ensure!(
        SignedRoster::open_first(&roster.body, &network.pin.parse()?).is_ok(),
        "the roster that the node has"
    );
    ensure!(
        read(None)?.is_err(),
        "nobody without a key of the roster reads"
    );
    Ok(())
}
