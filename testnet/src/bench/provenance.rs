//! What an auditor waits for.
//!
//! | figure | reference |
//! |---|---|
//! | records verified with their bodies, on one core and two | BLAKE3 over the same bytes, a piece a record; and all hashes that the format has: salt, leaf and node |
//! | leaves verified | the Ed25519 verifications among it: a header each |
//! | a leaf and a record proven | none: bytes and milliseconds |
//!
//! The logs are synthetic and as large as the figure says. What an origin pays is in `witnessing`.

use std::fs;
use std::num::NonZero;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use hashpact_keys::{KeyUse, Signer};
use hashpact_node::audit::verify::{Trust, VerifyOptions, verify};
use hashpact_protocol::delta::{ClassTable, Header, Seq};
use hashpact_protocol::log::Leaf;
use hashpact_protocol::testing::keys::CentreSetup;
use hashpact_protocol::testing::proofs::Sample;
use hashpact_protocol::testing::published::{NOW, Published, table};

use super::{count, median};

/// Deltas and records a delta whose bodies are verified.
const BODIES: (u64, u64) = (100, 10_000);
/// Leaves of the logs whose leaves are verified: two sizes, to see that memory does not grow.
const LEAVES: [u64; 2] = [10_000, 100_000];
/// How often each proof is made and checked.
const PROOFS: u32 = 1_000;

type Figure<'a> = &'a mut dyn FnMut(&str, f64, &'static str);

/// Measures all of it.
pub(super) fn run(figure: Figure<'_>) -> Result<()> {
    bodies(figure)?;
    for leaves in LEAVES {
        many_leaves(leaves, figure)?;
    }
    proofs(figure);
    Ok(())
}

/// A network's log in a folder, as an auditor mirrors it.
fn write(published: &Published, folder: &Path) -> Result<()> {
    for (path, bytes) in published.folder() {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().context("a folder")?)?;
        fs::write(path, bytes)?;
    }
    Ok(())
}

fn options(
    published: &Published,
    folder: &Path,
    jobs: usize,
    bodies: bool,
) -> Result<VerifyOptions> {
    Ok(VerifyOptions {
        trust: Trust::Pin(published.rosters[0].roster().network),
        bodies: bodies.then(|| folder.join("bodies")),
        openings: Vec::new(),
        cedar: None,
        jobs: NonZero::new(jobs).context("threads")?,
        now: NOW,
    })
}

/// Seconds to verify the folder; its one log must hold.
fn seconds(logs: &Path, options: &VerifyOptions, origin: &str) -> Result<f64> {
    let started = Instant::now();
    let result = verify(logs, options, &|| ())?;
    let seconds = started.elapsed().as_secs_f64();
    let of_log = |finding: &&hashpact_node::audit::result::FindingLine| {
        finding.log.as_deref() == Some(origin)
    };
    let found = result.findings.iter().find(of_log);
    ensure!(found.is_none(), "the log must hold: {found:?}");
    Ok(seconds)
}

fn bodies(figure: Figure<'_>) -> Result<()> {
    let (deltas, each) = BODIES;
    let records = count(deltas * each);
    eprintln!("{deltas} deltas of {each} records, verified with their bodies");
    let folder = tempfile::tempdir()?;
    let logs = folder.path().join("logs");
    let mut published = Published::begun();
    for n in 0..deltas {
        published.append_records(n * each..(n + 1) * each);
    }
    published.publish();
    write(&published, &logs)?;
    let origin = published.centres[0].origin.to_string();
    let of_log = folder.path().join("bodies").join(origin.replace('/', "_"));
    fs::create_dir_all(&of_log)?;
    for (seq, body) in &published.bodies {
        fs::write(of_log.join(seq.to_string()), body)?;
    }
    for cores in [1, 2] {
        let options = options(&published, folder.path(), cores, true)?;
        let (mut rates, mut to_bytes, mut to_format) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..3 {
            let bytes = hash_all(&published, cores, hash_bytes);
            let format = hash_all(&published, cores, hash_as_the_format_does);
            let verifying = seconds(&logs, &options, &origin)?;
            rates.push(records / verifying);
            to_bytes.push(verifying / bytes);
            to_format.push(verifying / format);
        }
        let name = |what: &str| format!("audit_bodies_{what}_{cores}_cores");
        figure(&name("records"), median(&mut rates), "records/s");
        figure(
            &name("time_to_hashing_the_bytes"),
            median(&mut to_bytes),
            "x",
        );
        figure(
            &name("time_to_the_formats_hashes"),
            median(&mut to_format),
            "x",
        );
    }
    let work = published.bodies.values().map(Vec::len).sum::<usize>();
    figure("audit_bodies_bytes", count(work as u64) / 1e6, "MB");
    Ok(())
}

/// Seconds to hash every body, cut into as many pieces as it has records.
fn hash_all(published: &Published, cores: usize, hash: fn(&[u8])) -> f64 {
    let (_, each) = BODIES;
    let bodies: Vec<&Vec<u8>> = published.bodies.values().collect();
    let started = Instant::now();
    std::thread::scope(|scope| {
        for part in bodies.chunks(bodies.len().div_ceil(cores)) {
            scope.spawn(move || {
                for body in part {
                    let record = body.len() / usize::try_from(each).unwrap_or(1);
                    body.chunks_exact(record.max(1)).for_each(hash);
                }
            });
        }
    });
    started.elapsed().as_secs_f64()
}

fn hash_bytes(record: &[u8]) {
    std::hint::black_box(blake3::hash(record));
}

/// A salt, a leaf and a node: what each record of a class costs at least.
fn hash_as_the_format_does(record: &[u8]) {
    let key = std::hint::black_box([7; 32]);
    let mut seeds = [0; 64];
    let mut salt = blake3::Hasher::new_keyed(&key);
    salt.update(b"G").finalize_xof().fill(&mut seeds);
    let mut leaf = blake3::Hasher::new_keyed(&key);
    let leaf = leaf.update(&seeds[..16]).update(record).finalize();
    let mut node = blake3::Hasher::new_keyed(&key);
    let node = node.update(leaf.as_bytes()).update(&key).finalize();
    std::hint::black_box(node);
}

/// A log of so many leaves, nearly all of them headers.
fn long_log(leaves: u64) -> Published {
    let mut published = Published::begun();
    let table = table(3, 1);
    let signer = published.forge.signer(KeyUse::Delta);
    let mut header = published.forge.header(&table);
    let mut all = Vec::new();
    for seq in 0..leaves - published.size {
        header.seq = Seq(seq);
        let (leaf, hash) = signed(&header, &table, &signer);
        header.prev = hash;
        all.push(leaf);
    }
    published.append(&all);
    published.publish();
    published
}

fn signed(header: &Header, table: &ClassTable, signer: &Signer) -> (Vec<u8>, [u8; 32]) {
    let header = header.sign(signer);
    let hash = Header::chain_hash(&header);
    let table = table.clone();
    let leaf = Leaf::Delta { header, table }.to_bytes();
    (leaf.unwrap_or_default(), hash)
}

fn many_leaves(leaves: u64, figure: Figure<'_>) -> Result<()> {
    eprintln!("{leaves} leaves");
    let folder = tempfile::tempdir()?;
    let published = long_log(leaves);
    write(&published, folder.path())?;
    let origin = published.centres[0].origin.to_string();
    let options = options(&published, folder.path(), 1, false)?;
    let (mut rates, mut ratios) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let reference = signatures(leaves);
        let took = seconds(folder.path(), &options, &origin)?;
        rates.push(count(leaves) / took);
        ratios.push(took / reference);
    }
    let name = |what: &str| format!("audit_leaves_{what}_{leaves}");
    figure(&name("rate"), median(&mut rates), "leaves/s");
    figure(&name("time_to_signatures_alone"), median(&mut ratios), "x");
    let pin = published.rosters[0].roster().network.to_string();
    figure(
        &name("peak_memory"),
        peak_of_verify(folder.path(), &pin)?,
        "MiB",
    );
    Ok(())
}

/// Seconds to verify as many Ed25519 signatures over messages as long as a header's.
fn signatures(n: u64) -> f64 {
    let signer = CentreSetup::numbered(0).signer(KeyUse::Delta);
    let message = [7; 220];
    let (signature, key) = (signer.sign(&message), signer.public());
    let started = Instant::now();
    for _ in 0..n {
        let _ = std::hint::black_box(key.verify(std::hint::black_box(&message), &signature));
    }
    started.elapsed().as_secs_f64()
}

/// The most memory that a process which verifies the folder has, in MiB: read until it ends.
fn peak_of_verify(logs: &Path, pin: &str) -> Result<f64> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["node", "audit", "verify", "--pin", pin, "--jobs", "1"])
        .arg(logs)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let path = format!("/proc/{}/status", child.id());
    let mut most = 0.0_f64;
    while child.try_wait()?.is_none() {
        let status = fs::read_to_string(&path).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|kib| kib.trim().trim_end_matches(" kB").parse().ok());
        most = most.max(kib.unwrap_or(0.0));
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    Ok(most / 1024.0)
}

fn proofs(figure: Figure<'_>) {
    eprintln!("proofs out of 10,000 leaves and 10,000 records");
    let sample = Sample::new(10_000, 10_000, 4);
    let leaf = sample.prove_leaf();
    let prover = sample.prover();
    figure("proof_leaf_size", count(leaf.to_text().len() as u64), "B");
    figure("proof_leaf_make", each(|| sample.prove_leaf()), "ms");
    figure("proof_leaf_check", each(|| sample.verify_leaf(&leaf)), "ms");
    let entry = sample.entry();
    if let Ok(record) = prover.prove(entry) {
        figure(
            "proof_record_size",
            count(record.to_bytes().len() as u64),
            "B",
        );
        figure("proof_record_make", each(|| prover.prove(entry)), "ms");
        figure(
            "proof_record_check",
            each(|| sample.verify_record(&record)),
            "ms",
        );
    }
}

/// Milliseconds of one.
fn each<T>(work: impl Fn() -> T) -> f64 {
    let started = Instant::now();
    for _ in 0..PROOFS {
        std::hint::black_box(work());
    }
    started.elapsed().as_secs_f64() * 1e3 / f64::from(PROOFS)
}
