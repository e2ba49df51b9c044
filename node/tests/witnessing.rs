//! Witnessing between real processes: quorums that come late, disks that are old copies or gone, witnesses that answer
//! wrongly, and logs outside the network.

mod common;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use common::{
    Evil, Hostile, List, Network, Node, Over, StockLog, ask, audited, copy_folder, text, two, until,
};
use hashpact_keys::{Signer, Timestamp};
use hashpact_node::audit::at::At;
use hashpact_node::clock;
use hashpact_protocol::log::{SignatureKind, SignedNote, VerifierKey, cosignatures_from_answer};
use serde_json::json;

/// What nobody may report although nobody lied.
const ACCUSATIONS: [&str; 6] = [
    "fork",
    "frozen",
    "rollback",
    "suffix_refused",
    "leaf_refused",
    "peer_dropped",
];

fn nobody_accuses(nodes: &[&Node]) -> Result<()> {
    for node in nodes {
        for seen in node.status()?.events {
            let is_one = ACCUSATIONS.contains(&seen.kind.as_str());
            ensure!(!is_one, "{} reports {seen:?}", node.id);
        }
    }
    Ok(())
}

/// What an operator reads as JSON of the node's own log, once nobody is missing any more.
fn is_complete(node: &Node, others: &[&Node]) -> Result<()> {
    let mut last = json!(null);
    let done = until("everybody cosigned and gave a receipt", || {
        let own = node.run(&["status"])?.ends(0)?["own"].take();
        last = own.clone();
        let size = own["size"].as_u64().context("no size")?;
        let is_done = own["witnessed"] == json!(size)
            && own["missing"] == json!([])
            && own["receipts_missing"] == json!([])
            && own["pending_since"].is_null();
        Ok(is_done.then_some(()))
    });
    done.with_context(|| {
        let held = others.iter().map(|other| other.mirrored(&node.id));
        let held: Vec<_> = held.collect();
        let words: Vec<_> = others
            .iter()
            .chain([&node])
            .map(|n| n.last_words())
            .collect();
        format!("{last}, and others hold {held:?}\n{}", words.join("\n"))
    })
}

fn start(nodes: &mut [Node]) -> Result<()> {
    nodes.iter_mut().try_for_each(Node::start)?;
    nodes.iter().try_for_each(Node::is_sure)
}

/// The text under the checkpoint that a node shows of eu's log: origin, size and root.
fn shown(node: &Node) -> Result<String> {
    let logs = node.home.data().join("logs");
    let note = fs::read(logs.join("eu.example_eu_1").join("checkpoint"))?;
    Ok(SignedNote::parse(&note)?.text().to_owned())
}

fn events_of(node: &Node, kind: &str) -> Result<usize> {
    let events = node.status()?.events;
    Ok(events.iter().filter(|seen| seen.kind == kind).count())
}

#[test]
fn what_is_put_waits_for_its_quorum_and_what_is_retracted_does_not() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (mut nodes, mut auditor, _network) = audited(folder.path(), Over::Both)?;
    start(&mut nodes)?;
    let [eu, us, ca] = &mut nodes;
    let first = List::write(folder.path(), "first", 12)?;
    eu.ingest(&first, &[])?.ends(0)?;
    is_complete(eu, &[us, ca])?;
    us.catches_up_with(eu)?;

    ca.stop()?;
    auditor.stop()?;
    let before = clock::now().get();
    let second = List::write(folder.path(), "second", 12)?;
    eu.ingest(&second, &[])?.ends(0)?;
    eu.run(&["retract", &eu.entry(&first.sha256(3))?])?
        .ends(0)?;
    let log = until("the retraction acts", || {
        let log = us.mirrored("eu")?;
        Ok((log.retracted == 1).then_some(log))
    })?;
    ensure!((log.deltas, log.applied, log.held) == (3, 1, 11), "{log:?}");
    ensure!(us.lookup(&second.sha256(0))?.is_empty(), "a pending record");
    ensure!(us.lookup(&first.sha256(3))?[0]["retracted"] == json!(true));
    let own = until("the newest checkpoint is shown to the witnesses", || {
        let own = eu.status()?.own;
        Ok((own.missing.len() == 2 && own.head == own.size).then_some(own))
    })?;
    ensure!(
        own.missing == [auditor.name.as_str(), "ca"] && own.quorum == 2,
        "{own:?}"
    );
    ensure!(own.witnessed < own.size, "{own:?}");
    let since = own.pending_since.context("not pending")?;
    ensure!(
        (before..=clock::now().get()).contains(&since),
        "{before} and {since}"
    );
    let read = eu.read(&["status"])?;
    ensure!(
        read.out
            .contains(&format!("PENDING since {},", At(Timestamp::new(since))))
            && read
                .out
                .contains(&format!("not cosigned by {}, ca", auditor.name)),
        "{read:?}"
    );

    ca.start()?;
    us.catches_up_with(eu)?;
    ca.catches_up_with(eu)?;
    ensure!(us.lookup(&second.sha256(0))?.len() == 1);
    auditor.start()?;
    is_complete(eu, &[us, ca])?;
    nobody_accuses(&[eu, us, ca])
}

/// Seals a node's keys: plain ones are not renewed. The passphrase's file.
fn seal(node: &Node, folder: &Path) -> Result<String> {
    use std::os::unix::fs::PermissionsExt as _;
    node.run(&["key", "renew", "witness", "mirror"])?
        .refuses(1, &["key seal"])?;
    let file = folder.join("passphrase");
    fs::write(&file, "correct horse battery staple\n")?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
    let file = text(&file);
    node.run(&["--passphrase-file", &file, "key", "seal"])?
        .ends(0)?;
    Ok(file)
}

/// Keys that are retired are renewed, and a roster with the new ones comes into force everywhere.
fn renew(eu: &mut Node, others: &[&Node], network: &mut Network, folder: &Path) -> Result<()> {
    eu.stop()?;
    let file = seal(eu, folder)?;
    let sealed = ["--passphrase-file", file.as_str()];
    let renewed = eu.run(&[&sealed[..], &["key", "renew", "witness", "mirror"]].concat())?;
    let renewed = renewed.ends(0)?["renewed"].take();
    ensure!(renewed.as_array().map(Vec::len) == Some(2), "{renewed}");
    eu.spawn(&sealed)?;
    until("eu answers", || Ok(eu.status().ok()))?;
    let next = network.next(&[eu])?;
    for node in others.iter().copied().chain([&*eu]) {
        node.run(&["roster", "apply", &next])?.ends(0)?;
    }
    Ok(())
}

#[test]
fn centre_that_is_restored_from_an_old_backup_gets_its_log_back_and_forks_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (mut nodes, _auditor, mut network) = audited(folder.path(), Over::Both)?;
    start(&mut nodes)?;
    let [eu, us, ca] = &mut nodes;
    let lists = ["first", "second", "third"].map(|name| List::write(folder.path(), name, 12));
    let [first, second, third] = lists;
    let (first, second, third) = (first?, second?, third?);
    eu.ingest(&first, &[])?.ends(0)?;
    is_complete(eu, &[us, ca])?;
    eu.stop()?;
    let backup = folder.path().join("backup");
    copy_folder(&eu.home.data(), &backup)?;
    eu.start()?;
    eu.ingest(&second, &[])?.ends(0)?;
    eu.run(&["retract", &eu.entry(&first.sha256(3))?])?
        .ends(0)?;
    is_complete(eu, &[us, ca])?;
    us.catches_up_with(eu)?;
    let (own, root) = (eu.status()?.own, shown(eu)?);
    for node in [&mut *eu, &mut *us, &mut *ca] {
        node.stop()?;
    }
    fs::remove_dir_all(eu.home.data())?;
    copy_folder(&backup, &eu.home.data())?;

    // The auditor alone can show how much of the log there is.
    eu.start()?;
    let status = until("eu learns that its disk is old", || {
        let status = eu.status()?;
        Ok(status.behind.is_some().then_some(status))
    })?;
    ensure!(
        status.behind == Some(own.size) && status.own.size < own.size,
        "{status:?}"
    );
    eu.ingest(&third, &[])?
        .refuses(1, &["its disk is an old copy"])?;
    us.start()?;
    ca.start()?;
    let status = until("eu has its log back", || {
        let status = eu.status()?;
        Ok((status.behind.is_none() && status.unconfirmed.is_none()).then_some(status))
    })?;
    let counts = |log: &hashpact_node::daemon::LogStatus| {
        let deltas = (log.deltas, log.applied);
        (log.size, log.head, deltas, log.held, log.retracted)
    };
    ensure!(counts(&status.own) == counts(&own), "{status:?}");
    ensure!(
        status.retired && events_of(eu, "own_log_regained")? == 1,
        "{status:?}"
    );
    until("eu shows the same root", || {
        Ok((shown(eu)? == root).then_some(()))
    })?;
    ensure!(eu.lookup(&first.sha256(3))?[0]["retracted"] == json!(true));
    eu.ingest(&third, &[])?.ends(0)?;
    us.catches_up_with(eu)?;
    ca.catches_up_with(eu)?;
    ensure!(ca.lookup(&third.sha256(0))?.len() == 1);
    nobody_accuses(&[eu, us, ca])?;

    // What it cosigned since the backup it does not know: the others do without it, until it has new keys.
    us.ingest(&List::write(folder.path(), "fourth", 4)?, &[])?
        .ends(0)?;
    let own = us.is_witnessed()?;
    ca.catches_up_with(us)?;
    let own = match own.missing.as_slice() {
        [only] if only == "eu" => own,
        _ => until("only eu is missing", || {
            let own = us.status()?.own;
            Ok((own.missing == ["eu"]).then_some(own))
        })?,
    };
    ensure!(
        own.receipts_missing.contains(&"eu".to_owned()),
        "{:?}",
        own.receipts_missing
    );
    renew(eu, &[us, ca], &mut network, folder.path())?;
    ensure!(!eu.status()?.retired, "new keys are not retired");
    is_complete(us, &[eu, ca])
}

#[test]
fn centre_whose_data_is_lost_applies_its_rosters_again_and_gets_its_log_back() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (mut nodes, _auditor, mut network) = audited(folder.path(), Over::Both)?;
    start(&mut nodes)?;
    let [eu, us, ca] = &mut nodes;
    let (first, second) = (
        List::write(folder.path(), "first", 12)?,
        List::write(folder.path(), "second", 12)?,
    );
    eu.ingest(&first, &[])?.ends(0)?;
    // A later roster stands in the middle of the log.
    let next = network.next(&[])?;
    for node in [&*eu, &*us, &*ca] {
        node.run(&["roster", "apply", &next])?.ends(0)?;
    }
    eu.ingest(&second, &[])?.ends(0)?;
    eu.run(&["retract", &eu.entry(&first.sha256(3))?])?
        .ends(0)?;
    is_complete(eu, &[us, ca])?;
    us.catches_up_with(eu)?;
    ca.catches_up_with(eu)?;
    let (own, root) = (eu.status()?.own, shown(eu)?);
    eu.stop()?;
    fs::remove_dir_all(eu.home.data())?;
    eu.run(&["run"])?.refuses(2, &["no roster"])?;
    let rosters = [text(&network.rosters[0]), next];
    let pin = network.pin.clone();
    eu.run(&["roster", "apply", &rosters[0], &rosters[1], "--pin", &pin])?
        .ends(0)?;
    eu.start()?;
    until("eu has its log back", || {
        let log = eu.status()?.own;
        let same = (log.size, log.applied, log.held, log.retracted)
            == (own.size, own.applied, own.held, own.retracted);
        Ok((same && eu.status()?.behind.is_none()).then_some(()))
    })?;
    until("eu shows the same root", || {
        Ok((shown(eu)? == root).then_some(()))
    })?;
    ensure!(eu.status()?.retired, "it forgot what it cosigned");
    ensure!(eu.lookup(&second.sha256(0))?.len() == 1);
    eu.is_sure()?;
    let third = List::write(folder.path(), "third", 12)?;
    eu.ingest(&third, &[])?.ends(0)?;
    us.catches_up_with(eu)?;
    eu.catches_up_with(us)?;
    nobody_accuses(&[eu, us, ca])
}

#[test]
fn witnesses_that_answer_wrongly_count_for_nothing_and_hold_up_nobody() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let evils = [
        Evil::Drip,
        Evil::Huge,
        Evil::Status("500 Internal Server Error"),
        Evil::Status("302 Found\r\nlocation: http://127.0.0.1:1/"),
        Evil::Garbage,
        Evil::OtherKey,
        Evil::Ahead,
    ];
    let hostile = (1..).zip(evils);
    let hostile: Vec<Hostile> = hostile
        .map(|(number, evil)| Hostile::start(number, evil))
        .collect::<Result<_>>()?;
    let mut eu = Node::init(folder.path(), "eu", Over::Both)?;
    let mut us = Node::init(folder.path(), "us", Over::Both)?;
    let mut network = Network::found(folder.path(), &[&eu, &us])?;
    for witness in &hostile {
        eu.configure(&witness.section())?;
    }
    eu.start()?;
    us.start()?;
    let first = List::write(folder.path(), "first", 12)?;
    eu.ingest(&first, &[])?.ends(0)?;
    us.catches_up_with(&eu)?;
    let witnessed = eu.is_witnessed()?.witnessed;

    let mut more = Vec::new();
    for witness in &hostile {
        more.extend(["--witness".to_owned(), witness.vkey()]);
    }
    let more: Vec<&str> = more.iter().map(String::as_str).collect();
    let next = network.next_with(&[], &more)?;
    for node in [&eu, &us] {
        node.run(&["roster", "apply", &next])?.ends(0)?;
    }
    let second = List::write(folder.path(), "second", 12)?;
    eu.ingest(&second, &[])?.ends(0)?;
    // The slowest is given up after ten seconds; each is asked again.
    until("each was asked twice", || {
        eu.lookup(&first.sha256(0))?;
        let all = hostile.iter().all(|witness| witness.asked() > 1);
        Ok(all.then_some(()))
    })
    .with_context(|| {
        let asked = hostile
            .iter()
            .map(|w| format!("{:?}: {}", w.evil, w.asked()));
        asked.collect::<Vec<_>>().join(", ")
    })?;
    eu.run(&["retract", &eu.entry(&first.sha256(3))?])?
        .ends(0)?;
    until("the retraction acts", || {
        Ok((us.mirrored("eu")?.retracted == 1).then_some(()))
    })?;
    let own = until("us cosigned", || {
        let own = eu.status()?.own;
        Ok((!own.missing.contains(&"us".to_owned())).then_some(own))
    })?;
    let names: Vec<&str> = hostile
        .iter()
        .map(|witness| witness.name.as_str())
        .collect();
    ensure!(own.missing == names && own.quorum == 6, "{own:?}");
    ensure!(
        own.witnessed == witnessed && own.pending_since.is_some(),
        "{own:?}"
    );
    ensure!(us.lookup(&second.sha256(0))?.is_empty(), "it acts");
    // One that claims to know more of the log, and shows nothing of it, is not believed.
    let status = eu.status()?;
    ensure!(status.behind.is_none() && !status.retired, "{status:?}");
    // Who is never answered well is not asked without end either.
    for witness in &hostile {
        ensure!(
            witness.asked() < 60,
            "{:?}: {} times",
            witness.evil,
            witness.asked()
        );
    }
    nobody_accuses(&[&eu, &us])?;
    eu.stop()
}

/// A log outside the network, and the lines that make a node cosign it.
fn stock() -> Result<(StockLog, String)> {
    let log = StockLog::new("stock.example/log/1", Signer::from_seed(&[7; 32]))?;
    let lines = format!(
        "\n[http]\nlisten = \"127.0.0.1:0\"\n\n[[witnessed_log]]\nvkey = \"{}\"\n",
        log.vkey()?
    );
    Ok((log, lines))
}

/// Submits a checkpoint of a stock log to a node.
fn submit(node: &Node, log: &StockLog, old: u64, size: u64) -> Result<(u16, Vec<u8>)> {
    let address = node.status()?.http.context("no HTTP")?;
    let request = log.request(old, size)?.to_bytes();
    ask(&address, "POST", "/witness/add-checkpoint", &request)
}

/// Fails unless the answer is a cosignature under the node's witness key.
fn is_cosigned(log: &StockLog, (old, size): (u64, u64), answer: &[u8], key: &str) -> Result<()> {
    let name = "eu.example/eu/witness";
    let vkey = VerifierKey::new(name, SignatureKind::Cosigner, key.parse()?);
    let note = SignedNote::parse(&log.request(old, size)?.note)?;
    let cosigned = cosignatures_from_answer(&note, answer)?;
    ensure!(cosigned.signed_by(&vkey)?.is_some(), "no time");
    Ok(())
}

/// The node's witness key, as a list of keys names it.
fn witness_key(node: &Node, more: &[&str]) -> Result<String> {
    let listed = node.run(&[more, &["key", "list"]].concat())?.ends(0)?;
    let keys = listed["keys"].as_array().context("no keys")?;
    let key = keys.iter().find(|key| key["use"] == json!("witness"));
    let public = key.and_then(|key| key["public"].as_str());
    Ok(public.context("no witness key")?.to_owned())
}

#[test]
fn node_cosigns_a_stock_log_and_never_from_an_empty_memory() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (log, lines) = stock()?;
    let mut eu = Node::init(folder.path(), "eu", Over::Both)?;
    let network = Network::found(folder.path(), &[&eu])?;
    eu.configure(&lines)?;
    eu.start()?;
    let (status, answer) = submit(&eu, &log, 0, 5)?;
    ensure!(
        status == 200,
        "{status}: {}",
        String::from_utf8_lossy(&answer)
    );
    is_cosigned(&log, (0, 5), &answer, &witness_key(&eu, &[])?)?;
    ensure!(submit(&eu, &log, 0, 7)? == (409, b"5\n".to_vec()));
    eu.stop()?;
    eu.start()?;
    ensure!(submit(&eu, &log, 5, 9)?.0 == 200);
    eu.stop()?;

    fs::remove_dir_all(eu.home.data())?;
    let roster = text(&network.rosters[0]);
    eu.run(&["roster", "apply", &roster, "--pin", &network.pin])?
        .ends(0)?;
    eu.start()?;
    ensure!(events_of(&eu, "witness_state_lost")? == 1);
    // Another history of the same log.
    for (old, size) in [(0, 5), (9, 12), (0, 0)] {
        let (status, answer) = submit(&eu, &log, old, size)?;
        ensure!(status == 404, "{status}: {answer:?}");
    }
    // A new key has signed nothing.
    eu.stop()?;
    let sealed = seal(&eu, folder.path())?;
    let sealed = ["--passphrase-file", sealed.as_str()];
    eu.run(&[&sealed[..], &["key", "renew", "witness", "mirror"]].concat())?
        .ends(0)?;
    eu.spawn(&sealed)?;
    until("eu answers", || Ok(eu.status().ok()))?;
    let (status, answer) = submit(&eu, &log, 0, 12)?;
    ensure!(
        status == 200,
        "{status}: {}",
        String::from_utf8_lossy(&answer)
    );
    is_cosigned(&log, (0, 12), &answer, &witness_key(&eu, &sealed)?)?;
    ensure!(events_of(&eu, "witness_state_lost")? == 0);
    eu.stop()
}

#[test]
fn node_with_an_old_disk_cosigns_no_stock_log() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (log, lines) = stock()?;
    let (mut eu, mut us, _network) = two(folder.path(), Over::Both)?;
    eu.stop()?;
    eu.configure(&lines)?;
    eu.start()?;
    eu.is_sure()?;
    ensure!(submit(&eu, &log, 0, 5)?.0 == 200);
    eu.stop()?;
    let backup = folder.path().join("backup");
    copy_folder(&eu.home.data(), &backup)?;
    eu.start()?;
    eu.is_sure()?;
    ensure!(submit(&eu, &log, 5, 9)?.0 == 200);
    eu.ingest(&List::write(folder.path(), "list", 4)?, &[])?
        .ends(0)?;
    us.catches_up_with(&eu)?;
    us.stop()?;
    eu.stop()?;
    fs::remove_dir_all(eu.home.data())?;
    copy_folder(&backup, &eu.home.data())?;
    // Nobody has said yet how old its disk is.
    eu.start()?;
    let (status, answer) = submit(&eu, &log, 5, 7)?;
    ensure!(status == 503, "{status}: {answer:?}");
    us.start()?;
    eu.is_sure()?;
    ensure!(eu.status()?.retired);
    let (status, answer) = submit(&eu, &log, 5, 7)?;
    ensure!(status == 503, "{status}: {answer:?}");
    Ok(())
}
