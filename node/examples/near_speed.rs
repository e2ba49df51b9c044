//! How fast the index of a synced list answers: exact look-ups and near matches, on one core.
//!
//! Called by `testnet/peers/near`, which measures other programs on the same values in the same run:
//!
//! ```text
//! near_speed HASHES QUERIES THRESHOLD ANSWERS
//! ```
//!
//! HASHES and QUERIES hold 32 bytes each, one after the other. Every hash becomes an entry with that PDQ hash and an MD5 made of
//! it; the file is written, read and asked. ANSWERS gets a row of three little-endian u32 for each near match: query, hash,
//! distance. Figures go to standard output as one JSON object; times are
//! processor time.

#![expect(clippy::print_stdout, reason = "figures are its output")]

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use hashpact_keys::Origin;
use hashpact_node::near::file::{ClassLabels, Index, IndexWriter, ListVersion, Marks};
use hashpact_node::near::live::Live;
use hashpact_node::near::slots::{Hash, Slots, Threshold};
use hashpact_node::store::durable::Steps;
use hashpact_protocol::fingerprint::{Algorithm, Fingerprint};
use hashpact_protocol::labels::ClassId;
use hashpact_protocol::record::{EntryId, Fields, Print, Revision};
use hashpact_protocol::testing;
use serde_json::json;

type Failure = Box<dyn std::error::Error>;

/// Exact look-ups, of which every other one is in the list.
const EXACT: usize = 1_000_000;
/// How often the queries are asked.
const ROUNDS: u32 = 5;
/// Changes of the list that comes and goes.
const CHANGES: usize = 20_000;

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [hashes, queries, threshold, answers] = args.as_slice() else {
        return Err("near_speed HASHES QUERIES THRESHOLD ANSWERS".into());
    };
    let (hashes, queries) = (read(hashes)?, read(queries)?);
    let threshold: Threshold = threshold.parse()?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("subset.idx");
    let begun = Spent::now()?;
    write(&path, &hashes)?;
    let written = begun.elapsed()?;
    let begun = Spent::now()?;
    let index = Index::open(&path)?;
    let opened = begun.elapsed()?;
    let (exact, hits) = exact(&index, &hashes)?;
    let file = std::fs::metadata(&path)?.len();
    let bytes = index.bytes();
    drop(index);

    let before = resident()?;
    let begun = Spent::now()?;
    let slots = Slots::new(hashes.iter().map(Hash::new).collect());
    let built = begun.elapsed()?;
    let grown = resident()?.saturating_sub(before);
    let queries: Vec<Hash> = queries.iter().map(Hash::new).collect();
    let mut found = Vec::new();
    let begun = Spent::now()?;
    for (number, query) in (0_u32..).zip(&queries) {
        slots.near(query, threshold, |hash, distance| {
            found.push([number, hash, u32::from(distance)]);
        });
    }
    for query in (1..ROUNDS).flat_map(|_| &queries) {
        let mut told = 0_u32;
        slots.near(query, threshold, |_, _| told += 1);
        std::hint::black_box(told);
    }
    let near = begun.elapsed()? / ROUNDS;
    let rows: Vec<u8> = found
        .iter()
        .flatten()
        .flat_map(|it| it.to_le_bytes())
        .collect();
    std::fs::File::create(answers)?.write_all(&rows)?;
    let near_bytes = slots.bytes();
    drop(slots);
    let change = changes(&hashes)?;

    let figures = json!({
        "values": hashes.len(),
        "file_bytes": file,
        "write_s": written.as_secs_f64(),
        "open_s": opened.as_secs_f64(),
        "exact_per_s": rate(EXACT, exact),
        "exact_hits": hits,
        "exact_bytes": bytes,
        "near_build_s": built.as_secs_f64(),
        "near_per_s": rate(queries.len(), near),
        "near_bytes": near_bytes,
        "near_resident_bytes": grown,
        "live_changes_per_s": rate(CHANGES, change),
    });
    println!("{figures}");
    Ok(())
}

fn rate(count: usize, time: Duration) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / time.as_secs_f64()
}

fn read(path: &str) -> Result<Vec<[u8; 32]>, Failure> {
    let bytes = std::fs::read(path)?;
    let (chunks, rest) = bytes.as_chunks();
    match rest.is_empty() {
        true => Ok(chunks.to_vec()),
        false => Err("no multiple of 32 bytes".into()),
    }
}

/// Processor time of this thread: other programs on the machine do not count.
struct Spent(Duration);

impl Spent {
    fn now() -> Result<Self, Failure> {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
        let nanoseconds = text.split(' ').next().ok_or("schedstat")?;
        Ok(Self(Duration::from_nanos(nanoseconds.parse()?)))
    }

    fn elapsed(&self) -> Result<Duration, Failure> {
        Ok(Self::now()?.0.saturating_sub(self.0))
    }
}

/// Bytes that this process has in memory.
fn resident() -> Result<u64, Failure> {
    let text = std::fs::read_to_string("/proc/self/statm")?;
    let pages = text.split(' ').nth(1).ok_or("statm")?;
    Ok(pages.parse::<u64>()? * 4096)
}

fn md5_of(hash: &[u8; 32]) -> Result<Fingerprint, Failure> {
    let digest = blake3::hash(hash);
    Ok(Fingerprint::new(Algorithm::Md5, &digest.as_bytes()[..16])?)
}

fn write(path: &Path, hashes: &[[u8; 32]]) -> Result<(), Failure> {
    let mut writer = IndexWriter::new(ListVersion {
        network: String::new(),
        centre: "eu".to_owned(),
        member: "acme".to_owned(),
        ledger: String::new(),
        cursor: String::new(),
        issued_at: 0,
    });
    let origin: Origin = "eu.example/eu/1".parse()?;
    writer.class(&origin, ClassId(0), ClassLabels::new())?;
    let mut fields: Fields = testing::record(0).fields;
    for (number, hash) in (0_u128..).zip(hashes) {
        fields.prints.clear();
        // A random value may be refused as a PDQ hash, once in 22,500: it then stands by its MD5 alone.
        if let Ok(pdq) = Fingerprint::new(Algorithm::Pdq, hash) {
            fields.prints.push(Print::plain(pdq));
        }
        fields.prints.push(Print::plain(md5_of(hash)?));
        let entry = (EntryId(number.to_be_bytes()), Revision(1));
        writer.push((&origin, ClassId(0)), entry, Marks::default(), &fields)?;
    }
    Ok(writer.finish(path, &Steps::default())?)
}

fn exact(index: &Index, hashes: &[[u8; 32]]) -> Result<(Duration, usize), Failure> {
    let mut asked = Vec::with_capacity(EXACT);
    for number in 0..EXACT {
        // Spread over the list, in no order of it.
        let mut hash = hashes[number * 7_919 % hashes.len()];
        hash[0] ^= u8::from(number % 2 == 1);
        asked.push(md5_of(&hash)?);
    }
    let begun = Spent::now()?;
    let hits = asked.iter().filter(|it| !index.find(it).is_empty()).count();
    Ok((begun.elapsed()?, hits))
}

/// Entries that go and come again, one after the other.
fn changes(hashes: &[[u8; 32]]) -> Result<Duration, Failure> {
    let pairs = (0_u32..).zip(hashes.iter().map(Hash::new));
    let mut live = Live::of(pairs, usize::MAX)?;
    let begun = Spent::now()?;
    for number in 0..CHANGES / 2 {
        let at = number * 7_919 % hashes.len();
        let key = u32::try_from(at)?;
        live.remove(&key);
        live.put(key, Hash::new(&hashes[at]))?;
    }
    begun.elapsed()
}
