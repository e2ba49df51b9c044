//! SIGKILL at random moments, at the origin and at a mirror.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use hashpact_node::control::client::Client;
use hashpact_node::control::{Line, Request};
use hashpact_node::daemon::{IngestMore, IngestPhase, IngestProgress, Status};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};
use serde_json::json;

use crate::common::{self, List, Network, Node, Over, two, until};
use crate::ledger::{Doing, Ledger, ROWS, Row, below, look_up, work};
use crate::watcher::Watcher;

/// Alarms that a second centre must not raise, whatever happens to the first one.
const FAULTS: [&str; 5] = [
    "rollback",
    "fork",
    "own_log_behind",
    "body_refused",
    "leaf_refused",
];

fn number(name: &str, default: impl FnOnce() -> Result<u64>) -> Result<u64> {
    match std::env::var(name) {
        Ok(text) => Ok(text.parse()?),
        Err(_) => default(),
    }
}

#[test]
fn what_was_acknowledged_survives_sigkill_at_random_moments() -> Result<()> {
    let kills = number("HASHPACT_KILLS", || Ok(20))?;
    let seed = number("HASHPACT_SEED", || Ok(getrandom::u64()?))?;
    eprintln!("HASHPACT_SEED={seed} HASHPACT_KILLS={kills}");
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let folder = tempfile::tempdir()?;
    let (mut eu, us, _network) = two(folder.path(), Over::Tcp)?;
    let mut watcher = Watcher::of(&eu)?;
    // From here on there is a checkpoint for strangers.
    eu.is_witnessed()?;
    let (mut ledger, mut size) = (Ledger::default(), 0);
    for kill in 0..kills {
        round(&mut eu, folder.path(), &mut watcher, &mut ledger, &mut rng)
            .with_context(|| format!("kill {kill} of seed {seed}"))?;
        if kill % 4 == 0 {
            // The next kill comes while it starts.
            eu.spawn(&[])?;
            std::thread::sleep(Duration::from_micros(below(&mut rng, 60_000)));
            eu.kill()?;
        }
        eu.start()?;
        let checked = check(&eu, &ledger, &mut rng).and_then(|status| {
            ensure!(
                status.own.size >= size,
                "{} leaves after {size}",
                status.own.size
            );
            size = status.own.size;
            // Strangers see what us has cosigned, and us must be heard before more is signed.
            eu.is_witnessed()?;
            watcher.check(size)
        });
        checked.with_context(|| format!("after kill {kill} of seed {seed}: {ledger:?}"))?;
    }
    ensure!(
        ledger.lists > 0 && !ledger.retracted.is_empty(),
        "too little was asked: {ledger:?}"
    );
    until("the centres are connected", || {
        Ok(us.status()?.peers.iter().all(|peer| peer.up).then_some(()))
    })?;
    us.catches_up_with(&eu)?;
    ensure!(
        eu.status()?.behind.is_none(),
        "what us shows is more than eu has"
    );
    watcher.check_all(size)?;
    let mut client = Client::connect(&eu.home)?;
    for row in &ledger.retracted {
        ensure!(look_up(&mut client, *row)?.1, "row {row:?} came back");
    }
    no_fault(&us)?;
    no_fault_of_its_own(&eu)?;
    eprintln!(
        "{} lists, {} retractions, {size} leaves, {} checkpoints seen",
        ledger.lists,
        ledger.retracted.len(),
        watcher.seen()
    );
    Ok(())
}

/// Lets the node work until a random moment, kills it, and returns when nothing of it runs.
fn round(
    eu: &mut Node,
    folder: &Path,
    watcher: &mut Watcher,
    ledger: &mut Ledger,
    rng: &mut ChaCha20Rng,
) -> Result<()> {
    let (home, mut choices) = (eu.home.clone(), ChaCha20Rng::seed_from_u64(rng.next_u64()));
    let kill_at = Instant::now() + Duration::from_micros(below(rng, 700_000));
    let gone = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let done = work(&home, folder, ledger, &mut choices);
            gone.store(true, Ordering::Release);
            done
        });
        let mut watched = Ok(());
        // A worker that ends before the kill has met a fault.
        while Instant::now() < kill_at && !gone.load(Ordering::Acquire) && watched.is_ok() {
            watched = watcher.look().map(|_| ());
            std::thread::sleep(Duration::from_micros(below(rng, 4_000)));
        }
        let early = gone.load(Ordering::Acquire);
        eu.kill()?;
        match worker.join() {
            Ok(done) => done?,
            Err(_) => bail!("the worker panicked"),
        }
        ensure!(
            !early,
            "the node hung up before it was killed:\n{}",
            eu.log()?
        );
        watched
    })
}

/// Everything acknowledged is there, and nothing that was not asked for.
fn check(node: &Node, ledger: &Ledger, rng: &mut ChaCha20Rng) -> Result<Status> {
    let status = node.status()?;
    ensure!(status.behind.is_none(), "behind: {:?}", status.behind);
    ensure!(
        !status.ingesting,
        "an ingest is under way that nobody asked for"
    );
    let own = &status.own;
    let (mut lists, mut ended) = (vec![ledger.lists], vec![ledger.retracted.len() as u64]);
    match ledger.doing {
        Some(Doing::Ingest) if ledger.signed == ROWS => lists = vec![ledger.lists + 1],
        Some(Doing::Ingest) => lists.push(ledger.lists + 1),
        Some(Doing::Retract(_)) => ended.push(ledger.retracted.len() as u64 + 1),
        None => {}
    }
    let stored = own.held + own.retracted;
    ensure!(
        lists.iter().any(|lists| lists * ROWS == stored),
        "{own:?} after {lists:?} lists"
    );
    ensure!(
        ended.contains(&own.retracted),
        "{own:?} after {ended:?} retractions"
    );
    ensure!(own.applied == own.deltas && own.size == own.head, "{own:?}");
    let mut client = Client::connect(&node.home)?;
    let mut rows: Vec<Row> = ledger.retracted.iter().copied().collect();
    // All of them would make the cost of many kills quadratic.
    while rows.len() > 40 {
        rows.swap_remove(usize::try_from(below(rng, rows.len() as u64))?);
    }
    rows.extend(ledger.newest);
    if let Some(newest) = ledger.lists.checked_sub(1) {
        rows.push((newest, below(rng, ROWS)));
        rows.extend((0..8).map(|_| (below(rng, ledger.lists), below(rng, ROWS))));
    }
    for row in rows {
        let (_, retracted) = look_up(&mut client, row)?;
        let asked = ledger.doing == Some(Doing::Retract(row));
        let expected = ledger.retracted.contains(&row);
        ensure!(
            retracted == expected || asked,
            "row {row:?}: retracted is {retracted}"
        );
    }
    Ok(status)
}

#[test]
fn mirror_that_is_killed_while_it_catches_up_ends_with_the_same() -> Result<()> {
    let seed = number("HASHPACT_SEED", || Ok(getrandom::u64()?))?;
    eprintln!("HASHPACT_SEED={seed}");
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let folder = tempfile::tempdir()?;
    let (eu, mut us, _network) = two(folder.path(), Over::Tcp)?;
    let (mut size, mut applied) = (0, 0);
    for round in 0..12 {
        us.kill()?;
        let list = List::write(folder.path(), &format!("list-{round}"), ROWS)?;
        eu.ingest(&list, &[])?.ends(0)?;
        let entries = [eu.entry(&list.sha256(1))?, eu.entry(&list.sha256(2))?];
        for entry in &entries {
            eu.run(&["retract", entry])?.ends(0)?;
        }
        us.start()?;
        let log = us.mirrored("eu")?;
        ensure!(
            log.size >= size && log.applied >= applied,
            "{log:?} after {size} and {applied}"
        );
        (size, applied) = (log.size, log.applied);
        std::thread::sleep(Duration::from_micros(below(&mut rng, 300_000)));
    }
    us.catches_up_with(&eu)?;
    let own = eu.status()?.own;
    ensure!(
        (own.held, own.retracted) == (12 * (ROWS - 2), 24),
        "{own:?}"
    );
    no_fault(&us)?;
    no_fault_of_its_own(&eu)
}

/// What the second centre must not have seen, by its status and by its log of the whole run.
fn no_fault(node: &Node) -> Result<()> {
    let log = node.log()?;
    for fault in FAULTS {
        let events = node.status()?.events;
        ensure!(
            events.iter().all(|seen| seen.kind != fault),
            "{fault}: {events:?}"
        );
        let mark = format!("kind=\"{fault}\"");
        ensure!(!log.contains(&mark), "{} logged {fault}", node.id);
    }
    ensure!(
        log.contains("kind=\"log_grew\""),
        "the log does not name events as this test expects"
    );
    Ok(())
}

/// What the killed node saw since its last start.
fn no_fault_of_its_own(node: &Node) -> Result<()> {
    let events = node.status()?.events;
    ensure!(
        events
            .iter()
            .all(|seen| !FAULTS.contains(&seen.kind.as_str())),
        "{events:?}"
    );
    Ok(())
}

/// A delta that was reported as signed is durable, also if the next one of the same list is under way.
#[test]
fn a_kill_between_two_deltas_of_one_list_loses_none_that_was_acknowledged() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut eu = Node::init(folder.path(), "eu", Over::Tcp)?;
    Network::found(folder.path(), &[&eu])?;
    eu.start()?;
    let rows = hashpact_protocol::limits::RECORDS_PER_DELTA as u64 + 5_000;
    let file = folder.path().join("sums");
    let lines = (0..rows).map(|row| format!("{}  -\n", common::sha256_of("sums", row)));
    fs::write(&file, lines.collect::<String>())?;
    let profile = common::PROFILE
        .replace("format = \"csv\"", "format = \"sums\"")
        .replace(
            "[columns]\nmd5 = \"md5\"\nsha256 = \"sha256\"",
            "[sums]\nalgorithm = \"sha256\"",
        )
        .replace("{ column = \"kind\" }", "\"image\"");
    let profile_path = "sums.toml".to_owned();
    let request = Request::Ingest {
        file,
        profile,
        profile_path,
        strict: true,
        accept_bad: None,
        more: IngestMore::default(),
    };
    let mut client = Client::connect(&eu.home)?;
    let (mut signed, mut killed) = (0, None);
    let answer = client.ask(&request, |line| {
        if let Line::Progress(IngestProgress {
            phase: IngestPhase::Sign,
            done,
            ..
        }) = line
        {
            signed = done;
            killed.get_or_insert_with(|| eu.kill());
        }
    });
    killed.context("nothing was signed")??;
    ensure!(
        signed >= hashpact_protocol::limits::RECORDS_PER_DELTA as u64,
        "{signed} rows"
    );
    // What was sent before the kill may still arrive.
    ensure!(
        answer.is_err() || signed == rows,
        "an answer without its last delta: {answer:?}"
    );

    eu.start()?;
    let status = eu.status()?;
    ensure!(
        status.own.held >= signed,
        "{signed} acknowledged, {} held",
        status.own.held
    );
    let answer = Client::connect(&eu.home)?.ask(&request, |_| {})?;
    let (new, known) = (rows - status.own.held, status.own.held);
    ensure!(answer["summary"]["accepted"] == json!(new), "{answer}");
    ensure!(answer["summary"]["unchanged"] == json!(known), "{answer}");
    let own = eu.status()?.own;
    ensure!(
        (own.held, own.deltas, own.applied) == (rows, 2, 2),
        "{own:?}"
    );
    Ok(())
}
