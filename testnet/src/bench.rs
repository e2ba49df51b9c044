//! How fast it is: each figure beside a named reference that is measured in the same run, on the same machine.
//!
//! | figure | reference |
//! |---|---|
//! | ingest, durable | writing the same list to a plain file, with one fsync at the end |
//! | catch-up of a new centre, verified and durable | raw libp2p streams between two processes, over QUIC |
//! | look-up on a running node, one connection | an echo of lines of the same length over a Unix socket |
//! | what auditing and witnessing cost | see `provenance` and `witnessing` |
//! | what policy costs | see `policy` |
//! | private matching from end to end | see `matching` |
//!
//! No figure is asserted anywhere; `docs/benchmarks.md` keeps what was measured.

mod matching;
mod policy;
mod provenance;
mod reference;
pub mod serving;
mod stream;
mod witnessing;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use hashpact_node::control::client::{Ahead, Client};
use hashpact_node::control::{LOOKUPS_MAX, Line, Request};
use sha2::{Digest as _, Sha256};

use crate::cluster::{Cluster, Node};
use crate::lists;
use crate::outcome::Outcome;

/// Look-ups that are timed.
const LOOKUPS: u64 = 20_000;
/// Requests of many look-ups.
const LOOKUP_REQUESTS: u64 = 48;
/// How long a catch-up may take.
const CATCH_UP: Duration = Duration::from_secs(1_200);

/// What to measure.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  cargo run --release -p hashpact-testnet -- bench --entries 1000000 --entries 5000000"
)]
pub struct BenchArgs {
    /// Entries of the list; give it twice to see how cost grows.
    #[arg(long, value_name = "N", default_values_t = [1_000_000, 5_000_000])]
    entries: Vec<u64>,
    /// Only what auditing and witnessing cost.
    #[arg(long)]
    provenance: bool,
    /// Only what policy costs.
    #[arg(long, conflicts_with = "provenance")]
    policy: bool,
    /// Only private matching, from end to end; never measured without this.
    #[arg(long, conflicts_with_all = ["provenance", "policy"])]
    matching: bool,
    /// One check of the matching figures, in a process of its own.
    #[arg(long, hide = true, value_name = "TASK")]
    match_member: Option<std::path::PathBuf>,
    /// One end of the raw stream reference.
    #[arg(long, hide = true, value_name = "END")]
    stream: Option<stream::End>,
}

/// Measures everything at every size.
///
/// # Errors
/// Fails if something could not be carried out.
pub fn run(args: &BenchArgs) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    if let Some(end) = &args.stream {
        stream::run(end)?;
        return Ok(outcome);
    }
    if let Some(task) = &args.match_member {
        matching::member(task)?;
        return Ok(outcome);
    }
    if args.matching {
        matching::run(&mut |name: &str, value, unit| {
            eprintln!("  {name:<52} {value:>14.3} {unit}");
            outcome.figure(name, value, unit);
        })?;
        return Ok(outcome);
    }
    if !args.provenance && !args.policy {
        for entries in &args.entries {
            one_size(*entries, &mut outcome)?;
        }
    }
    let mut figure = |name: &str, value: f64, unit: &'static str| {
        eprintln!("  {name:<52} {value:>14.3} {unit}");
        outcome.figure(name, value, unit);
    };
    if !args.policy {
        witnessing::run(&mut figure)?;
        provenance::run(&mut figure)?;
    }
    if !args.provenance {
        policy::run(&mut figure)?;
    }
    Ok(outcome)
}

fn one_size(entries: u64, outcome: &mut Outcome) -> Result<()> {
    let folder = tempfile::Builder::new()
        .prefix("hashpact-bench-")
        .tempdir()?;
    let mut figure = |name: &str, value: f64, unit: &'static str| {
        eprintln!("  {name:<40} {value:>14.2} {unit}");
        outcome.figure(format!("{name}_{entries}"), value, unit);
    };
    eprintln!("{entries} synthetic entries, md5 and sha256 each");
    let list = lists::synthetic("eu", "EU", entries, folder.path())?;
    let mut cluster = Cluster::create(folder.path(), &[("eu", "EU"), ("us", "US")], Vec::new())?;
    let count = count(entries);

    let plain = reference::plain_write(&list.file, &folder.path().join("plain"))?;
    cluster.node_mut("eu")?.start_alone()?;
    let started = Instant::now();
    let answer = cluster.node("eu")?.ingest(&list)?;
    let seconds = started.elapsed().as_secs_f64();
    ensure!(
        answer["summary"]["accepted"] == serde_json::json!(entries),
        "not all was accepted"
    );
    let eu = cluster.node("eu")?;
    figure("ingest", count / seconds, "entries/s");
    figure("ingest_plain_write", count / plain, "entries/s");
    figure("ingest_ratio_to_plain_write", plain / seconds, "x");
    figure("ingest_peak_memory", peak_memory(eu)?, "MiB");
    figure("data_folder", folder_size(&eu.home.data())? / 1e6, "MB");
    let again = Instant::now();
    let answer = eu.ingest(&list)?;
    ensure!(
        answer["summary"]["unchanged"] == serde_json::json!(entries),
        "not all is unchanged"
    );
    figure(
        "ingest_again_unchanged",
        count / again.elapsed().as_secs_f64(),
        "entries/s",
    );

    lookups(&mut cluster, entries, &mut figure)?;
    catch_up(&mut cluster, entries, &mut figure)?;
    cluster.stop()
}

fn lookups(
    cluster: &mut Cluster,
    entries: u64,
    figure: &mut impl FnMut(&str, f64, &'static str),
) -> Result<()> {
    let eu = cluster.node_mut("eu")?;
    eu.stop()?;
    let cold = Instant::now();
    eu.start_alone()?;
    let mut client = Client::connect(&eu.home)?;
    ensure!(ask(&mut client, 0)? == 1, "the first entry is found");
    figure(
        "cold_start_to_first_answer",
        cold.elapsed().as_secs_f64() * 1e3,
        "ms",
    );
    let started = Instant::now();
    let mut hits = 0;
    for n in 0..LOOKUPS {
        // Spread over the list; every other one is not in it.
        let within = n * (entries / LOOKUPS).max(1) % entries;
        hits += ask(&mut client, if n % 2 == 0 { within } else { entries + n })?;
    }
    ensure!(
        hits == LOOKUPS / 2,
        "{hits} look-ups found something, {} should",
        LOOKUPS / 2
    );
    let rate = count(LOOKUPS) / started.elapsed().as_secs_f64();
    let echo = reference::echo(LOOKUPS)?;
    figure("lookup", rate, "answers/s");
    figure("lookup_echo", echo, "answers/s");
    figure("lookup_ratio_to_echo", rate / echo, "x");
    let many = lookups_ahead(&mut client, entries)?;
    figure("lookup_many", many, "answers/s");
    figure("lookup_many_ratio_to_echo", many / echo, "x");
    Ok(())
}

/// Look-ups a second, many in a request and requests sent ahead, as `hashpact lookup --file` does.
fn lookups_ahead(client: &mut Client, entries: u64) -> Result<f64> {
    let batch = LOOKUPS_MAX as u64;
    let fingerprints = |first: u64| {
        let each = (first..first + batch).map(|n| {
            let within = n * 7_919 % entries;
            let n = if n % 2 == 0 { within } else { entries + n };
            let hash = Sha256::digest(format!("hashpact synthetic eu {n}"));
            format!("sha256:{}", hex::encode(hash))
        });
        each.collect::<Vec<String>>()
    };
    // Made before the clock starts: hashing is the asker's work.
    let requests: Vec<Vec<String>> = (0..LOOKUP_REQUESTS)
        .map(|number| fingerprints(number * batch))
        .collect();
    let requests = requests.into_iter();
    let requests =
        requests.map(|fingerprints| anyhow::Ok((Request::LookupMany { fingerprints }, ())));
    let mut matched = 0;
    let started = Instant::now();
    let done = client.ask_ahead(requests, |(), line| {
        if let Line::Done(value) = line {
            matched += value["matched"].as_u64().unwrap_or(0);
        }
    });
    match done {
        Ok(()) => {}
        Err(Ahead::Client(error)) => return Err(error.into()),
        Err(Ahead::Source(error)) => return Err(error),
    }
    let asked = LOOKUP_REQUESTS * batch;
    ensure!(matched == asked / 2, "{matched} of {asked} found");
    Ok(count(asked) / started.elapsed().as_secs_f64())
}

fn ask(client: &mut Client, n: u64) -> Result<u64> {
    let hash = Sha256::digest(format!("hashpact synthetic eu {n}"));
    let request = Request::Lookup {
        algorithm: "sha256".to_owned(),
        value: hex::encode(hash),
    };
    let answer = client.ask(&request, |_| {})?;
    Ok(answer["entries"]
        .as_array()
        .map_or(0, |entries| entries.len() as u64))
}

fn catch_up(
    cluster: &mut Cluster,
    entries: u64,
    figure: &mut impl FnMut(&str, f64, &'static str),
) -> Result<()> {
    let raw = stream::throughput()?;
    let us = cluster.node_mut("us")?;
    us.start()?;
    // From the first answer on: the connection, the log and every body are still to come.
    let started = Instant::now();
    let status = loop {
        let status = us.status()?;
        let held: u64 = status.mirrored.iter().map(|log| log.held).sum();
        if held == entries {
            break status;
        }
        ensure!(
            started.elapsed() < CATCH_UP,
            "caught up with {held} entries only"
        );
        std::thread::sleep(Duration::from_millis(10));
    };
    let seconds = started.elapsed().as_secs_f64();
    let bytes: u64 = status.peers.iter().map(|peer| peer.bytes_in).sum();
    let rate = count(bytes) / 1e6 / seconds;
    figure("catch_up", count(entries) / seconds, "entries/s");
    figure("catch_up_bytes", rate, "MB/s");
    figure("catch_up_raw_stream", raw, "MB/s");
    figure("catch_up_ratio_to_raw_stream", rate / raw, "x");
    figure("catch_up_peak_memory", peak_memory(us)?, "MiB");
    Ok(())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "figures have four digits at most"
)]
fn count(n: u64) -> f64 {
    n as f64
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The most memory that a node's process has had, in MiB.
fn peak_memory(node: &Node) -> Result<f64> {
    peak_memory_of(&node.pid().context("the node runs")?.to_string())
}

/// As [`peak_memory`], of a process by its id, or of `self`.
fn peak_memory_of(process: &str) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .context("VmHWM")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib / 1024.0)
}

fn folder_size(folder: &Path) -> Result<f64> {
    let mut bytes = 0.0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        bytes += if meta.is_dir() {
            folder_size(&entry.path())?
        } else {
            count(meta.len())
        };
    }
    Ok(bytes)
}
