//! What a node acknowledged survives the end of its process, whenever that comes.
//!
//! `HASHPACT_KILLS=n` kills more often than 20 times, `HASHPACT_SEED=n` repeats the choices of a run; when the kill comes
//! is drawn from the seed, what it hits is up to the machine.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use common::{List, Network, Node, Over, two, until};
use hashpact_keys::Timestamp;
use hashpact_keys::enrolment::Enrolment;
use hashpact_keys::roster::CentreEntry;
use hashpact_node::armor::Kind;
use hashpact_node::clock;
use hashpact_node::control::client::{Client, ClientError};
use hashpact_node::control::{Line, Request};
use hashpact_node::daemon::{IngestPhase, IngestProgress, Status};
use hashpact_node::home::Home;
use hashpact_protocol::log::{Checkpoint, SignedCheckpoint, root_at};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};
use serde_json::json;

const ROWS: u64 = 400;
/// Alarms that a second centre must not raise, whatever happens to the first one.
const FAULTS: [&str; 5] = ["rollback", "fork", "own_log_behind", "body_refused", "leaf_refused"];

fn number(name: &str, default: impl FnOnce() -> Result<u64>) -> Result<u64> {
    match std::env::var(name) {
        Ok(text) => Ok(text.parse()?),
        Err(_) => default(),
    }
}

fn below(rng: &mut ChaCha20Rng, end: u64) -> u64 {
    rng.next_u64() % end.max(1)
}

/// A row of a list, by their numbers.
type Row = (u64, u64);

/// What is asked of the node, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    Ingest,
    Retract(Row),
}

/// What the node has acknowledged.
#[derive(Debug, Default)]
struct Ledger {
    /// Lists below this number are taken in.
    lists: u64,
    /// Rows of the list under way that were reported as signed.
    signed: u64,
    retracted: BTreeSet<Row>,
    /// What was asked and not answered.
    doing: Option<Doing>,
}

impl Ledger {
    fn name(list: u64) -> String {
        format!("list-{list}")
    }

    /// One list, then a handful of retractions, each a leaf of its own.
    fn next(&mut self, rng: &mut ChaCha20Rng) -> Doing {
        let row = (below(rng, self.lists), below(rng, ROWS));
        let retract = self.lists > 0 && below(rng, 5) > 0 && !self.retracted.contains(&row);
        let next = if retract { Doing::Retract(row) } else { Doing::Ingest };
        *self.doing.get_or_insert(next)
    }
}

/// Asks the node for one thing after the other until its process is gone. What was interrupted comes first.
fn work(home: &Home, folder: &Path, ledger: &mut Ledger, rng: &mut ChaCha20Rng) -> Result<()> {
    let mut client = Client::connect(home)?;
    loop {
        let done = match ledger.next(rng) {
            Doing::Ingest => ingest(&mut client, folder, ledger),
            Doing::Retract(row) => retract(&mut client, row, ledger),
        };
        match done.map_err(|error| error.downcast::<ClientError>()) {
            Ok(()) => ledger.doing = None,
            Err(Ok(ClientError::Closed | ClientError::Io(_))) => return Ok(()),
            // A node that is killed may leave half a line.
            Err(Ok(ClientError::Form(error))) if error.is_eof() => return Ok(()),
            Err(Ok(other)) => return Err(other.into()),
            Err(Err(other)) => return Err(other),
        }
    }
}

fn ingest(client: &mut Client, folder: &Path, ledger: &mut Ledger) -> Result<()> {
    let list = List::write(folder, &Ledger::name(ledger.lists), ROWS)?;
    let request = Request::Ingest {
        file: list.file,
        profile: common::PROFILE.to_owned(),
        profile_path: "list.toml".to_owned(),
        strict: true,
        accept_bad: None,
    };
    let (before, mut signed) = (ledger.signed, ledger.signed);
    let answer = client.ask(&request, |line| {
        if let Line::Progress(IngestProgress { phase: IngestPhase::Sign, done, .. }) = line {
            signed = before + done;
        }
    });
    ledger.signed = signed;
    let summary = answer?["summary"].clone();
    let count = |key: &str| summary[key].as_u64().context("a count");
    let (new, known) = (count("accepted")?, count("unchanged")?);
    ensure!(new + known == ROWS, "{summary}");
    ensure!(known >= before, "{before} rows were acknowledged, {known} were known: {summary}");
    (ledger.lists, ledger.signed) = (ledger.lists + 1, 0);
    Ok(())
}

fn look_up(client: &mut Client, (list, row): Row) -> Result<(String, bool)> {
    let value = common::sha256_of(&Ledger::name(list), row);
    let answer = client.ask(&Request::Lookup { algorithm: "sha256".to_owned(), value }, |_| {})?;
    let entries = answer["entries"].as_array().context("no `entries`")?;
    ensure!(entries.len() == 1, "row {row} of list {list} is held {} times", entries.len());
    let entry = entries[0]["entry"].as_str().context("no `entry`")?;
    Ok((entry.to_owned(), entries[0]["retracted"] == json!(true)))
}

fn retract(client: &mut Client, row: Row, ledger: &mut Ledger) -> Result<()> {
    let (entry, retracted) = look_up(client, row)?;
    if !retracted {
        let answer = client.ask(&Request::Retract { entries: vec![entry] }, |_| {})?;
        ensure!(answer["retracted"] == json!(1), "{answer}");
    }
    // Else it was durable when the process ended before it could say so.
    ledger.retracted.insert(row);
    Ok(())
}

/// The public folder of a node's own log, and every checkpoint that was ever seen in it.
struct Watcher {
    folder: PathBuf,
    centre: CentreEntry,
    seen: BTreeMap<u64, Checkpoint>,
}

impl Watcher {
    fn of(node: &Node) -> Result<Self> {
        let enrolment = fs::read_to_string(node.home.enrolment())?;
        let enrolment = Enrolment::open(&Kind::Enrolment.unwrap(&enrolment)?)?;
        let centre = enrolment.centre_entry(Timestamp::new(0), None);
        let folder = node.home.data().join("logs").join(centre.origin.as_str().replace('/', "_"));
        Ok(Self { folder, centre, seen: BTreeMap::new() })
    }

    /// Reads the file as any stranger may, at any moment. It is whole, signed, and never another one of the same size.
    fn look(&mut self) -> Result<u64> {
        let note = fs::read(self.folder.join("checkpoint"))?;
        let (signed, _) = SignedCheckpoint::open(&note, &self.centre, clock::now())?;
        let shown = signed.checkpoint().clone();
        let size = shown.size;
        let newest = self.seen.last_key_value().map_or(0, |(size, _)| *size);
        ensure!(size >= newest, "the checkpoint went from {newest} back to {size} leaves");
        let known = self.seen.entry(size).or_insert_with(|| shown.clone());
        ensure!(*known == shown, "two checkpoints of {size} leaves");
        Ok(size)
    }

    /// Every checkpoint ever seen is one of the log of `size` leaves that lies on the disk.
    fn check(&mut self, size: u64) -> Result<()> {
        ensure!(self.look()? == size, "the public checkpoint is not the log's head");
        let files = |path: &str| fs::read(self.folder.join(path)).ok();
        for (seen, checkpoint) in &self.seen {
            let root = root_at(&files, size, *seen)?;
            ensure!(root == checkpoint.root, "size {seen} was shown, and is no prefix of {size}");
        }
        Ok(())
    }
}

/// Everything acknowledged is there, and nothing that was not asked for.
fn check(node: &Node, ledger: &Ledger, rng: &mut ChaCha20Rng) -> Result<Status> {
    let status = node.status()?;
    ensure!(status.behind.is_none(), "behind: {:?}", status.behind);
    ensure!(!status.ingesting, "an ingest is under way that nobody asked for");
    let own = &status.own;
    let (mut lists, mut ended) = (vec![ledger.lists], vec![ledger.retracted.len() as u64]);
    match ledger.doing {
        Some(Doing::Ingest) if ledger.signed == ROWS => lists = vec![ledger.lists + 1],
        Some(Doing::Ingest) => lists.push(ledger.lists + 1),
        Some(Doing::Retract(_)) => ended.push(ledger.retracted.len() as u64 + 1),
        None => {}
    }
    let stored = own.held + own.retracted;
    ensure!(lists.iter().any(|lists| lists * ROWS == stored), "{own:?} after {lists:?} lists");
    ensure!(ended.contains(&own.retracted), "{own:?} after {ended:?} retractions");
    ensure!(own.applied == own.deltas && own.size == own.head, "{own:?}");
    let mut client = Client::connect(&node.home)?;
    let mut rows: Vec<Row> = ledger.retracted.iter().copied().collect();
    if let Some(newest) = ledger.lists.checked_sub(1) {
        rows.push((newest, below(rng, ROWS)));
        rows.extend((0..8).map(|_| (below(rng, ledger.lists), below(rng, ROWS))));
    }
    for row in rows {
        let (_, retracted) = look_up(&mut client, row)?;
        let asked = ledger.doing == Some(Doing::Retract(row));
        let expected = ledger.retracted.contains(&row);
        ensure!(retracted == expected || asked, "row {row:?}: retracted is {retracted}");
    }
    Ok(status)
}

/// What the second centre must not have seen, by its status and by its log of the whole run.
fn no_fault(node: &Node) -> Result<()> {
    let log = node.log()?;
    for fault in FAULTS {
        let events = node.status()?.events;
        ensure!(events.iter().all(|seen| seen.kind != fault), "{fault}: {events:?}");
        let mark = format!("kind=\"{fault}\"");
        ensure!(!log.contains(&mark), "{} logged {fault}", node.id);
    }
    ensure!(log.contains("kind=\"log_grew\""), "the log does not name events as this test expects");
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
        ensure!(!early, "the node hung up before it was killed:\n{}", eu.log()?);
        watched
    })
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
            ensure!(status.own.size >= size, "{} leaves after {size}", status.own.size);
            size = status.own.size;
            watcher.check(size)
        });
        checked.with_context(|| format!("after kill {kill} of seed {seed}: {ledger:?}"))?;
    }
    ensure!(ledger.lists > 0 && !ledger.retracted.is_empty(), "too little was asked: {ledger:?}");
    until("the centres are connected", || {
        Ok(us.status()?.peers.iter().all(|peer| peer.up).then_some(()))
    })?;
    us.catches_up_with(&eu)?;
    ensure!(eu.status()?.behind.is_none(), "what us shows is more than eu has");
    no_fault(&us)?;
    no_fault_of_its_own(&eu)?;
    eprintln!("{} lists, {} retractions, {size} leaves, {} checkpoints seen",
        ledger.lists, ledger.retracted.len(), watcher.seen.len());
    Ok(())
}

/// What the killed node saw since its last start.
fn no_fault_of_its_own(node: &Node) -> Result<()> {
    let events = node.status()?.events;
    ensure!(events.iter().all(|seen| !FAULTS.contains(&seen.kind.as_str())), "{events:?}");
    Ok(())
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
        ensure!(log.size >= size && log.applied >= applied, "{log:?} after {size} and {applied}");
        (size, applied) = (log.size, log.applied);
        std::thread::sleep(Duration::from_micros(below(&mut rng, 150_000)));
    }
    us.catches_up_with(&eu)?;
    let own = eu.status()?.own;
    ensure!((own.held, own.retracted) == (12 * (ROWS - 2), 24), "{own:?}");
    no_fault(&us)?;
    no_fault_of_its_own(&eu)
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
        .replace("[columns]\nmd5 = \"md5\"\nsha256 = \"sha256\"", "[sums]\nalgorithm = \"sha256\"")
        .replace("{ column = \"kind\" }", "\"image\"");
    let profile_path = "sums.toml".to_owned();
    let request = Request::Ingest { file, profile, profile_path, strict: true, accept_bad: None };
    let mut client = Client::connect(&eu.home)?;
    let (mut signed, mut killed) = (0, None);
    let answer = client.ask(&request, |line| {
        if let Line::Progress(IngestProgress { phase: IngestPhase::Sign, done, .. }) = line {
            signed = done;
            killed.get_or_insert_with(|| eu.kill());
        }
    });
    killed.context("nothing was signed")??;
    ensure!(signed >= hashpact_protocol::limits::RECORDS_PER_DELTA as u64, "{signed} rows");
    // What was sent before the kill may still arrive.
    ensure!(answer.is_err() || signed == rows, "an answer without its last delta: {answer:?}");

    eu.start()?;
    let status = eu.status()?;
    ensure!(status.own.held >= signed, "{signed} acknowledged, {} held", status.own.held);
    let answer = Client::connect(&eu.home)?.ask(&request, |_| {})?;
    let (new, known) = (rows - status.own.held, status.own.held);
    ensure!(answer["summary"]["accepted"] == json!(new), "{answer}");
    ensure!(answer["summary"]["unchanged"] == json!(known), "{answer}");
    let own = eu.status()?.own;
    ensure!((own.held, own.deltas, own.applied) == (rows, 2, 2), "{own:?}");
    Ok(())
}

/// Starts a copy of a home that ends at durable step `stop`, and ingests. Whether the process outlived the ingest.
fn stopped_at(node: &mut Node, list: &List, stop: u64) -> Result<bool> {
    node.spawn(&["--stop-at-step", &stop.to_string()])?;
    let answers = until("the node answers or ends", || {
        Ok(if node.status().is_ok() { Some(true) } else { node.ended()?.map(|_| false) })
    })?;
    let said = if answers { Some(node.ingest(list, &[])?) } else { None };
    if said.as_ref().is_some_and(|said| said.code == 0) && node.ended()?.is_none() {
        // The last steps only tidy up: their failure shows at the next commit, or never.
        let outlived = said.is_some_and(|said| said.json().is_ok());
        node.kill()?;
        return Ok(outlived);
    }
    let status = until("the node ends by itself", || node.ended())?;
    ensure!(status.code() == Some(3), "step {stop}: it ended with {status}");
    let log = node.log()?;
    let last = log.lines().last().unwrap_or_default();
    let says = format!("stopped before durable step {stop}");
    ensure!(log.contains("commit failed") || !answers, "step {stop}: {last}");
    ensure!(log.contains(&says), "step {stop}: {last}");
    Ok(false)
}

#[test]
fn a_commit_that_fails_at_any_step_ends_the_process_and_the_ingest_can_be_repeated() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let origin = Node::init(folder.path(), "eu", Over::Tcp)?;
    Network::found(folder.path(), &[&origin])?;
    let (first, list) = (List::write(folder.path(), "first", 40)?, List::write(folder.path(), "list", ROWS)?);
    let mut prepared = origin;
    prepared.start()?;
    ensure!(prepared.ingest(&first, &[])?.code == 0);
    prepared.stop()?;
    let (mut stops, mut before, mut after) = (0, 0, 0);
    for stop in 0.. {
        let home = folder.path().join(format!("s{stop}"));
        let mut node = prepared.copy_to(&home)?;
        let outlived = stopped_at(&mut node, &list, stop)?;
        node.start()?;
        let held = node.status()?.own.held;
        match held {
            40 => before += 1,
            440 => after += 1,
            other => bail!("step {stop}: {other} entries held"),
        }
        let answer = node.ingest(&list, &[])?.ends(0)?;
        let known = json!(held - 40);
        ensure!(answer["summary"]["unchanged"] == known, "step {stop}: {answer}");
        let own = node.status()?.own;
        let counts = (own.size, own.deltas, own.applied, own.held, own.retracted);
        // The roster, the four classes, two deltas.
        ensure!(counts == (4, 2, 2, 440, 0), "step {stop}: {own:?}");
        ensure!(node.lookup(&list.sha256(ROWS - 1))?.len() == 1, "step {stop}");
        node.stop()?;
        fs::remove_dir_all(home)?;
        if outlived {
            ensure!(held == 440, "step {stop} was not reached, and the list is not held");
            break;
        }
        stops += 1;
    }
    eprintln!("{stops} stops, {before} without the list and {after} with it");
    ensure!(stops > 20 && before > 20 && after > 1, "{stops} stops, {before} and {after}");
    Ok(())
}
