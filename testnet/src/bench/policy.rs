//! What policy costs.
//!
//! | figure | reference |
//! |---|---|
//! | decisions of 300 classes about 50 centres, 6 actions each | the independent filter: the same laws in plain Rust, for share and admit alone |
//! | bytes that a body and a leaf need beside the records | a seed of 32 bytes a class, and the records themselves, at two sizes |
//! | a body with one class withheld, read for serving | the same body whole |

use std::time::Instant;

use anyhow::{Context as _, Result, anyhow, ensure};
use hashpact_keys::{KeyUse, Origin, Timestamp};
use hashpact_node::config::Config;
use hashpact_node::daemon::open_store;
use hashpact_node::home::PassphraseSource;
use hashpact_node::store::Store;
use hashpact_node::store::durable::Steps;
use hashpact_protocol::delta::{Draft, Seq, withheld_section};
use hashpact_protocol::labels::ClassId;
use hashpact_protocol::log::Leaf;
use hashpact_protocol::record::EntryId;
use hashpact_protocol::serve;
use hashpact_protocol::testing::policies::PolicyBench;
use hashpact_protocol::testing::published::Published;
use hashpact_protocol::testing::{record, rng::Seeded};
use hashpact_protocol::wire::BulkRefusal;

use super::{count, median};
use crate::cluster::Cluster;
use crate::filter::{Laws, Transfer};
use crate::mixed::{Case, Mixed};

/// Classes and centres about which is decided.
const DECIDED: (u16, usize) = (300, 50);
/// The time of the decisions: within the demonstration's grants.
const NOW: Timestamp = Timestamp::new(1_795_000_000);
/// Records of the deltas that are weighed, and their classes.
const RECORDS: [u64; 2] = [1_000, 10_000];
const CLASSES: u16 = 8;
/// Times that each is measured, for a median.
const TIMES: usize = 5;
/// Records of the bodies that are served: all classes but the one that is withheld have as many. That one has few, so that
/// what is saved by not reading it does not hide what withholding it costs.
const SERVED: usize = 2_000;
const WITHHELD: usize = 10;
/// Times that a body is read for one measure.
const READS: u32 = 10;

type Figure<'a> = &'a mut dyn FnMut(&str, f64, &'static str);

/// Measures all of it.
pub(super) fn run(figure: Figure<'_>) -> Result<()> {
    decisions(figure)?;
    for records in RECORDS {
        overhead(records, figure)?;
    }
    serving(figure)
}

fn decisions(figure: Figure<'_>) -> Result<()> {
    let (classes, peers) = DECIDED;
    eprintln!("{classes} classes, {peers} centres, 6 actions");
    let bench = PolicyBench::new(classes, peers)?;
    let (mut took, mut rates, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..TIMES {
        let started = Instant::now();
        let (allowed, errors) = bench.run(NOW)?;
        let seconds = started.elapsed().as_secs_f64();
        let all = bench.decisions();
        let fair = errors == 0 && 0 < allowed && allowed < all;
        ensure!(fair, "{allowed} of {all} allowed, {errors} errors");
        let rate = count(all as u64) / seconds;
        took.push(seconds * 1e3);
        rates.push(rate);
        ratios.push(plain_rust()? / rate);
    }
    figure("policy_decisions_all", median(&mut took), "ms");
    figure("policy_decisions", median(&mut rates), "decisions/s");
    figure("policy_ratio_to_plain_rust", median(&mut ratios), "x");
    Ok(())
}

/// Decisions a second of the independent filter, which explains nothing and knows six laws by heart.
fn plain_rust() -> Result<f64> {
    let centres = ["eu", "us", "ca", "au", "uk", "nz"];
    let laws = Laws::of(centres)?;
    let cases = Mixed::of("eu").cases;
    let started = Instant::now();
    let (mut decisions, mut allowed) = (0, 0);
    for _ in 0..20 {
        for case in &cases {
            for taker in &centres[1..] {
                let transfer = Transfer {
                    origin: "eu",
                    giver: "eu",
                    taker,
                    hop: 0,
                };
                allowed += u64::from(laws.may_flow(case, transfer).is_ok());
                decisions += 2;
            }
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    ensure!(allowed > 0, "the filter allows nothing");
    Ok(count(decisions) / seconds)
}

/// A delta of so many records, spread evenly over the classes.
fn overhead(records: u64, figure: Figure<'_>) -> Result<()> {
    let published = Published::begun();
    let (forge, origin) = (&published.forge, &published.centres[0].origin);
    let all: Vec<(ClassId, EntryId, Vec<u8>)> = (0..records)
        .map(|n| {
            let record = record(n);
            let class = u16::try_from(n % u64::from(CLASSES)).unwrap_or_default();
            (ClassId(class), record.entry, record.to_bytes())
        })
        .collect();
    let bare: usize = all.iter().map(|(_, _, bytes)| bytes.len()).sum();
    let drafted = all
        .iter()
        .map(|(class, entry, bytes)| (*class, *entry, bytes.as_slice()));
    let draft = Draft::new(drafted, Vec::new(), &mut Seeded::new(7))?;
    let sealed = draft.seal(origin, Seq(0))?;
    let header = forge
        .header(&sealed.table)
        .sign(&forge.signer(KeyUse::Delta));
    let body = sealed.body.bytes().len();
    let leaf = Leaf::Delta {
        header,
        table: sealed.table.clone(),
    };
    let leaf = leaf.to_bytes().context("a leaf that fits")?.len();
    let withheld = sealed.body.narrowed(&|class| class != ClassId(0));
    let section = sealed
        .body
        .sections()
        .first()
        .context("a class")?
        .range
        .len();
    let left = section - (body - withheld.len());
    let each = |bytes: usize| count(bytes as u64) / count(records);
    let name = |what: &str| format!("overhead_{what}_{records}");
    figure(&name("record"), each(bare), "B/record");
    figure(&name("body"), each(body - bare), "B/record");
    // One seed a class opens everything: what the design counts on.
    let seeds = each(usize::from(CLASSES) * 32);
    figure(&name("body_ratio_to_seeds"), each(body - bare) / seeds, "x");
    figure(&name("leaf"), each(leaf), "B/record");
    let ratio = each(body - bare + leaf) / each(bare);
    figure(&name("ratio_to_records"), ratio, "x");
    figure(&name("withheld_class"), count(left as u64), "B");
    Ok(())
}

/// A stored body of all classes, read as it is sent: whole, and with the smallest class withheld.
fn serving(figure: Figure<'_>) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut cluster = Cluster::create(folder.path(), &[("eu", "EU")], Vec::new())?;
    cluster.start()?;
    let mut cases: Vec<Case> = Mixed::of("eu").cases;
    cases.retain(|case| case.legal_status.is_empty());
    cases.truncate(usize::from(CLASSES));
    let mut list = Mixed::new("eu", "served", cases, SERVED);
    let smallest = list.cases.last_mut().context("a case")?;
    smallest.entries.truncate(WITHHELD);
    for file in list.write(folder.path())? {
        cluster.node("eu")?.ingest(&file)?;
    }
    cluster.stop()?;
    let home = &cluster.node("eu")?.home;
    let (keys, checked) = (
        home.unlock(&PassphraseSource::none())?,
        Config::read(&home.config())?,
    );
    let store = open_store(home, &keys, &checked, Steps::default())?;
    let bodies = store.stored_bodies(&checked.origin)?;
    let seq = *bodies.first().context("a body")?;
    let table = serve::class_table(&store, &checked.origin, seq).map_err(refused)?;
    let smallest = table.classes.iter().min_by_key(|row| row.count);
    let smallest = smallest.context("a class")?.class;
    ensure!(table.classes.len() == usize::from(CLASSES), "other classes");
    let read = |withheld: Option<ClassId>| read(&store, &checked.origin, seq, withheld);
    let (mut rates, mut ratios) = (Vec::new(), Vec::new());
    for _ in 0..TIMES {
        let (bytes, whole) = read(None)?;
        let (less, narrowed) = read(Some(smallest))?;
        ensure!(less < bytes, "nothing was withheld");
        rates.push(count(bytes) / 1e6 / whole);
        ratios.push(narrowed / whole);
    }
    figure("serve_whole", median(&mut rates), "MB/s");
    figure("serve_withheld_ratio_to_whole", median(&mut ratios), "x");
    Ok(())
}

/// Bytes and seconds of reading a body once for sending, the whole of it or all but one class.
fn read(store: &Store, origin: &Origin, seq: Seq, withheld: Option<ClassId>) -> Result<(u64, f64)> {
    let started = Instant::now();
    let mut bytes = 0;
    for _ in 0..READS {
        let body = store.served_body(origin, seq)?.context("a body")?;
        let mut instead = None;
        if let Some(class) = withheld {
            let table = serve::class_table(store, origin, seq).map_err(refused)?;
            let row = table.class(class).context("its row")?;
            instead = Some((u32::from(class.0), withheld_section(row)));
        }
        for section in body.sections() {
            bytes += match &instead {
                Some((class, bytes)) if *class == section => bytes.len() as u64,
                Some(_) | None => body.section(section)?.len() as u64,
            };
        }
    }
    let seconds = started.elapsed().as_secs_f64() / f64::from(READS);
    Ok((bytes / u64::from(READS), seconds))
}

fn refused(refusal: BulkRefusal) -> anyhow::Error {
    anyhow!("refused: {refusal}")
}
