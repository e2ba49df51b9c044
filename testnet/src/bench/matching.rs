//! Private matching from end to end: a member against a centre, each a process with one core of its own.
//!
//! | figure | what is timed |
//! |---|---|
//! | `match_build` | from the member's admission until the manifest with the whole list is logged and witnessed |
//! | `match_download` | a check of 100 that has to fetch the artifact: bytes |
//! | `match_session` | a check that has the artifact: reading the list to the last comparison |
//! | `match_delta` | the same list again after the centre took in 1,000 entries more: no question is asked |
//!
//! No reference here: `protocol/examples/psi_speed.rs` has that of the arithmetic, `testnet/peers` the programs of others. In
//! scope: the network on loopback, the disk, both processes' memory.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use hashpact_protocol::policy::MatchMode;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{count, peak_memory, peak_memory_of};
use crate::cluster::{Auditor, Cluster, Node, ProfileFiles};
use crate::member::{Member, Tape, read_list};
use crate::mixed::{Case, Mixed};
use hashpact_keys::SignedRoster;
use hashpact_node::armor::Kind;

const CENTRE: &str = "us";
const NAME: &str = "shop";
/// Entries that the centre has, items that the member asks about.
const SIZES: [(usize, usize); 2] = [(100_000, 10_000), (1_000_000, 100_000)];
/// The least that a check may ask.
const FEW: usize = 100;
/// Entries of the delta.
const MORE: usize = 1_000;
/// Cores of the two processes.
const CENTRE_CORE: &str = "0";
const MEMBER_CORE: &str = "1";
/// How long an artifact may take to be built.
const BUILT: Duration = Duration::from_secs(1_200);

/// What the member's process is told, as a file.
#[derive(Serialize, Deserialize)]
struct Task {
    seed: String,
    folder: PathBuf,
    roster: PathBuf,
    pin: String,
    list: PathBuf,
}

/// What it says, as one line.
#[derive(Debug, Serialize, Deserialize)]
struct Said {
    seconds: f64,
    out: u64,
    back: u64,
    matches: u64,
    charged: u64,
    memory_mib: f64,
}

/// The member's process: one check.
pub(super) fn member(task: &Path) -> Result<()> {
    let task: Task = serde_json::from_slice(&std::fs::read(task)?)?;
    let mut seed = [0; 32];
    hex::decode_to_slice(&task.seed, &mut seed)?;
    let member = Member::again(seed, task.folder);
    let roster = Kind::Roster.unwrap(&std::fs::read_to_string(&task.roster)?)?;
    let roster = SignedRoster::open_first(&roster, &task.pin.parse()?)?;
    let connected = member.connect(CENTRE, roster.roster())?;
    let tape = Tape::counting();
    let started = Instant::now();
    let items = read_list(&std::fs::read(&task.list)?)?;
    let outcome = connected.check(&items, MatchMode::Items, "cache", &tape)??;
    let seconds = started.elapsed().as_secs_f64();
    let (out, back) = tape.bytes();
    let said = Said {
        seconds,
        out,
        back,
        matches: outcome.matches,
        charged: outcome.session.map_or(0, |session| session.charged),
        memory_mib: peak_memory_of("self")?,
    };
    drop(connected);
    eprintln!("{}", serde_json::to_string(&said)?);
    Ok(())
}

/// Measures every size.
pub(super) fn run(figure: &mut impl FnMut(&str, f64, &'static str)) -> Result<()> {
    for (held, asked) in SIZES {
        one_size(held, asked, figure)?;
    }
    Ok(())
}

/// A network of one centre and one witness, and a member.
struct Bench {
    cluster: Cluster,
    member: Member,
    folder: PathBuf,
}

fn one_size(
    held: usize,
    asked: usize,
    figure: &mut impl FnMut(&str, f64, &'static str),
) -> Result<()> {
    let dir = tempfile::Builder::new()
        .prefix("hashpact-bench-")
        .tempdir()?;
    eprintln!("a member with {asked} against a centre with {held}");
    let (mut bench, list) = Bench::new(dir.path(), held)?;
    let mut figure = |name: &str, value, unit| figure(&format!("{name}_{held}"), value, unit);

    let seconds = bench.built(held)?;
    figure("match_build", count(held as u64) / seconds, "items/s");
    let centre = bench.cluster.node(CENTRE)?;
    figure("match_build_centre_memory", peak_memory(centre)?, "MiB");
    // A fresh process: its memory is that of serving.
    let centre = bench.cluster.node_mut(CENTRE)?;
    centre.stop()?;
    centre.start_pinned(CENTRE_CORE)?;

    let few = bench.check(&strangers("few", FEW))?;
    figure("match_download", count(few.back) / 1e6, "MB");
    figure(
        "match_download_bytes",
        count(few.back) / count(held as u64),
        "B/item",
    );
    let lines = mixed(&list, asked);
    let cpu = cpu_seconds(bench.cluster.node(CENTRE)?)?;
    let session = bench.check(&lines)?;
    ensure!(
        session.matches == (asked / 100) as u64,
        "{} matched",
        session.matches
    );
    ensure!(
        session.charged == asked as u64,
        "{} were charged",
        session.charged
    );
    figure("match_session", session.seconds, "s");
    let rate = session.seconds * 1e6 / count(asked as u64);
    figure("match_session_per_item", rate, "us");
    let centre = bench.cluster.node(CENTRE)?;
    let cpu = (cpu_seconds(centre)? - cpu) * 1e6 / count(asked as u64);
    figure("match_session_centre_cpu_per_item", cpu, "us");
    figure(
        "match_session_out",
        count(session.out) / count(asked as u64),
        "B/item",
    );
    figure(
        "match_session_back",
        count(session.back) / count(asked as u64),
        "B/item",
    );
    figure("match_session_member_memory", session.memory_mib, "MiB");
    figure("match_session_centre_memory", peak_memory(centre)?, "MiB");

    bench.more(held)?;
    let delta = bench.check(&lines)?;
    ensure!(
        delta.charged == 0,
        "a delta cost {} questions",
        delta.charged
    );
    ensure!(
        delta.matches == session.matches,
        "{} matched",
        delta.matches
    );
    figure("match_delta", delta.seconds * 1e3, "ms");
    figure("match_delta_bytes", count(delta.out + delta.back), "B");
    bench.cluster.stop()
}

impl Bench {
    /// The centre holds the list; its entries come back too.
    fn new(folder: &Path, held: usize) -> Result<(Self, Vec<String>)> {
        let auditor = Auditor::init(folder, "auditor.example/w1")?;
        let mut cluster = Cluster::governed(folder, &[(CENTRE, "US")], vec![auditor])?;
        cluster.auditor_mut()?.start()?;
        cluster.node_mut(CENTRE)?.start_pinned(CENTRE_CORE)?;
        let node = cluster.node(CENTRE)?;
        ProfileFiles::of(CENTRE)?.log(node)?;
        let list = ingest(node, "held", held, folder)?;
        let member = Member::admit(NAME, node, folder.join(NAME))?;
        let folder = folder.to_owned();
        let bench = Self {
            cluster,
            member,
            folder,
        };
        Ok((bench, list))
    }

    /// Seconds until everything is published.
    fn built(&self, items: usize) -> Result<f64> {
        let started = Instant::now();
        let roster = self.cluster.roster()?;
        let connected = self.member.connect(CENTRE, roster.roster())?;
        connected.wait_for_items(items as u64, Duration::from_millis(100), BUILT)?;
        Ok(started.elapsed().as_secs_f64())
    }

    /// The centre takes in some more, and publishes them.
    fn more(&self, held: usize) -> Result<()> {
        ingest(self.cluster.node(CENTRE)?, "more", MORE, &self.folder)?;
        self.built(held + MORE)?;
        Ok(())
    }

    /// One check by a process of the member's own.
    fn check(&self, lines: &[String]) -> Result<Said> {
        let list = self.folder.join("list.txt");
        std::fs::write(&list, lines.join("\n"))?;
        let task = Task {
            seed: hex::encode(self.member.seed()),
            folder: self.folder.join(NAME),
            roster: self.cluster.newest_roster()?,
            pin: self.cluster.pin.clone(),
            list,
        };
        let file = self.folder.join("task.json");
        std::fs::write(&file, serde_json::to_vec(&task)?)?;
        let output = Command::new("taskset")
            .args(["-c", MEMBER_CORE])
            .arg(std::env::current_exe()?)
            .args(["bench", "--match-member"])
            .arg(&file)
            .stdin(Stdio::null())
            .output()
            .context("taskset")?;
        let text = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "the member's check failed: {}",
            text.trim()
        );
        Ok(serde_json::from_str(
            text.lines().last().unwrap_or_default(),
        )?)
    }
}

/// Has a centre take in so many entries that providers may match. The entries.
fn ingest(node: &Node, name: &str, rows: usize, folder: &Path) -> Result<Vec<String>> {
    let mut case = Case::plain("for providers alone");
    case.recipients = ["provider"].into();
    let list = Mixed::new(CENTRE, name, vec![case], rows);
    for file in list.write(folder)? {
        node.ingest(&file)?;
    }
    Ok(list
        .cases
        .into_iter()
        .flat_map(|case| case.entries)
        .collect())
}

/// Hashes that the centre does not have.
fn strangers(name: &str, many: usize) -> Vec<String> {
    let line = |n| {
        format!(
            "sha256:{}",
            hex::encode(Sha256::digest(format!("hashpact {name} {n}")))
        )
    };
    (0..many).map(line).collect()
}

/// A list of which the centre has one in a hundred.
fn mixed(held: &[String], many: usize) -> Vec<String> {
    let mut lines = strangers("member", many);
    for (line, known) in lines.iter_mut().step_by(100).zip(held) {
        line.clone_from(known);
    }
    lines
}

/// User and system time of a process so far, in seconds.
fn cpu_seconds(node: &Node) -> Result<f64> {
    let pid = node.pid().context("the node runs")?;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // Behind the name, which may hold spaces: state is field 3, user and system time are 14 and 15, in hundredths.
    let fields = stat.rsplit_once(") ").context("a name")?.1;
    let mut fields = fields.split(' ').skip(11);
    let mut next = || -> Result<f64> { Ok(fields.next().context("a time")?.parse()?) };
    Ok((next()? + next()?) / 100.0)
}
