//! What witnessing costs an origin: how many leaves a second it appends, signs and publishes, and how long its pending
//! checkpoint waits for a quorum of four centres and an auditor on one machine.
//!
//! Each append is durable before the next, and its checkpoint published. The reference writes as many bytes to one file and
//! syncs it after each. Waiting is read off the files: from the last tile of the append to the line in `history`.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, bail, ensure};
use hashpact_node::config::Config;
use hashpact_node::daemon::{centre_keys, command_offline, open_store, roster_in_force};
use hashpact_node::home::PassphraseSource;
use hashpact_node::store::durable::Steps;
use hashpact_protocol::centre::{Centre, Command, Outcome};
use hashpact_protocol::delta::Draft;
use hashpact_protocol::testing::{record, rng::Seeded};
use hashpact_protocol::view::View as _;

use super::count;
use crate::cluster::{Auditor, Cluster};
use crate::lists;

/// Deltas of one record that are appended.
const APPENDS: u64 = 500;
/// Ingests whose way to a quorum is timed.
const ROUNDS: u64 = 100;
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(30);

type Figure<'a> = &'a mut dyn FnMut(&str, f64, &'static str);

/// Measures both.
pub(super) fn run(figure: Figure<'_>) -> Result<()> {
    appends(figure)?;
    quorums(figure)
}

fn appends(figure: Figure<'_>) -> Result<()> {
    eprintln!("{APPENDS} deltas of one record, each appended, signed, durable and published");
    let folder = tempfile::tempdir()?;
    let cluster = Cluster::create(folder.path(), &[("eu", "EU")], Vec::new())?;
    let home = &cluster.node("eu")?.home;
    let keys = home.unlock(&PassphraseSource::none())?;
    let checked = Config::read(&home.config())?;
    let store = open_store(home, &keys, &checked, Steps::default())?;
    let roster = roster_in_force(&store)?;
    let mut centre = Centre::new(checked.centre, centre_keys(&keys)?, roster, 1, &store)?;
    let mut labels = hashpact_protocol::testing::labels();
    labels.residency.insert(checked.jurisdiction);
    let defined = command_offline(&mut centre, &store, Command::Define(vec![labels]))??;
    let Outcome::Classes(classes) = defined else {
        bail!("a definition gives a class");
    };
    let class = *classes.first().context("a class")?;
    let mut rng = Seeded::new(1);
    let started = Instant::now();
    for n in 0..APPENDS {
        let record = record(n);
        let bytes = record.to_bytes();
        let draft = Draft::new([(class, record.entry, &bytes[..])], Vec::new(), &mut rng)?;
        command_offline(&mut centre, &store, Command::Append(draft))??;
    }
    let seconds = started.elapsed().as_secs_f64();
    let (origin, state) = centre.own_log();
    let witnessed = store.log(origin).witnessed;
    ensure!(
        witnessed.is_some_and(|head| head.checkpoint().size == state.size),
        "all is published"
    );
    let reference = synced_writes(&folder.path().join("plain"))?;
    figure("append_sign_publish", count(APPENDS) / seconds, "leaves/s");
    figure("append_time_to_synced_writes", seconds / reference, "x");
    Ok(())
}

/// Seconds to append as many small pieces to a file, each synced.
fn synced_writes(path: &Path) -> Result<f64> {
    let mut file = File::create(path)?;
    let started = Instant::now();
    for _ in 0..APPENDS {
        file.write_all(&[7; 1_024])?;
        file.sync_data()?;
    }
    Ok(started.elapsed().as_secs_f64())
}

fn quorums(figure: Figure<'_>) -> Result<()> {
    eprintln!("{ROUNDS} ingests, each until 3 of its 4 witnesses cosigned it");
    let folder = tempfile::tempdir()?;
    let auditor = Auditor::init(folder.path(), "auditor.example/w1")?;
    let centres = [("eu", "EU"), ("us", "US"), ("ca", "CA"), ("au", "AU")];
    let mut cluster = Cluster::create(folder.path(), &centres, vec![auditor])?;
    cluster.start()?;
    let log = cluster.node("eu")?.home.data().join("logs");
    let log = log.join(cluster.node("eu")?.status()?.own.origin.replace('/', "_"));
    let mut waits = Vec::new();
    for n in 0..ROUNDS {
        let name = format!("list-{n}");
        let folder = folder.path().join(&name);
        fs::create_dir(&folder)?;
        let list = lists::synthetic(&name, "EU", 1, &folder)?;
        let eu = cluster.node("eu")?;
        eu.ingest(&list)?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let own = eu.status()?.own;
            if own.witnessed == own.size {
                break;
            }
            ensure!(Instant::now() < deadline, "no quorum: {own:?}");
            std::thread::sleep(Duration::from_millis(2));
        }
        let appended = newest(&log.join("tile/entries"))?;
        let witnessed = fs::metadata(log.join("history"))?.modified()?;
        let wait = witnessed.duration_since(appended).unwrap_or_default();
        waits.push(wait.as_secs_f64() * 1e3);
    }
    cluster.stop()?;
    waits.sort_by(f64::total_cmp);
    let at = |hundredth: usize| waits.get(waits.len() * hundredth / 100).copied();
    figure("quorum_wait_median", at(50).unwrap_or(f64::NAN), "ms");
    figure("quorum_wait_p99", at(99).unwrap_or(f64::NAN), "ms");
    Ok(())
}

/// When the newest file below a folder was written.
fn newest(folder: &Path) -> Result<SystemTime> {
    let mut last = SystemTime::UNIX_EPOCH;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        last = last.max(match entry.metadata()?.is_dir() {
            true => newest(&entry.path())?,
            false => entry.metadata()?.modified()?,
        });
    }
    Ok(last)
}
