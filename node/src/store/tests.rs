//! What the tests of the store share: a data folder, and a centre that grows logs and makes bodies.

mod changes;
mod commits;
mod crash;
mod ending;
mod families;
mod look_ups;
mod model;
mod own;
mod proofs;
mod published;
mod rebuilding;
mod sharing;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use hashpact_keys::Signer;
use hashpact_protocol::delta::{ClassTable, Draft, Expected, Header, Retraction, Sealed};
use hashpact_protocol::fingerprint::Fingerprint;
use hashpact_protocol::labels::{ClassId, Labels};
use hashpact_protocol::log::{Checkpoint, Leaf, SignedCheckpoint, grow};
use hashpact_protocol::policy::Policy;
use hashpact_protocol::record::{EntryId, Record, Revision};
use hashpact_protocol::testing;
use hashpact_protocol::testing::keys::{CentreSetup, START, network};
use hashpact_protocol::verify::ReceivedBody;
use hashpact_protocol::view::{AdmittedBody, View as _, Write};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

use super::*;

const SECTION_OF_RETRACTIONS: u32 = 65_536;

pub(crate) fn eu() -> Origin {
    "eu.example/eu/1".parse().unwrap()
}

pub(crate) fn us() -> Origin {
    "us.example/us/1".parse().unwrap()
}

pub(crate) fn open(dir: &Path) -> Store {
    open_with(dir, Steps::default()).unwrap()
}

fn open_with(dir: &Path, steps: Steps) -> Result<Store, OpenError> {
    let keys = StoreKeys {
        seal: SealKey::new(&[1; 32]),
        index: IndexKey::new(&[2; 32]),
    };
    Store::open(dir, keys, eu(), steps)
}

pub(crate) fn commit(store: &Store, writes: Vec<Write>) {
    store.commit(testing::batch(writes)).unwrap();
}

/// Labels that differ by class.
pub(crate) fn labels(class: u16) -> Labels {
    Labels {
        hops: u8::try_from(class % 4).unwrap(),
        ..testing::labels()
    }
}

/// The log grows by `leaves` and defines `classes`; its new head is witnessed.
pub(crate) fn grown(
    store: &Store,
    origin: &Origin,
    leaves: &[Vec<u8>],
    classes: &[u16],
) -> Vec<Write> {
    let before = store.log(origin);
    let files = |path: &str| store.log_file(origin, path);
    let appended = grow(&files, before.size, leaves).unwrap();
    let head = head(origin, appended.size, appended.root);
    let state = LogState {
        size: appended.size,
        root: appended.root,
        head: Some(head.clone()),
        witnessed: Some(head),
        ..before.clone()
    };
    let classes = classes
        .iter()
        .map(|class| (ClassId(*class), labels(*class)))
        .collect();
    let (from, deltas) = (before.size, vec![(before.next_seq, before.size)]);
    let files = appended.files;
    vec![
        Write::Log {
            origin: origin.clone(),
            from,
            files,
            deltas,
            classes,
            policies: Vec::new(),
            manifests: Vec::new(),
        },
        Write::State {
            origin: origin.clone(),
            state,
        },
    ]
}

fn head(origin: &Origin, size: u64, root: [u8; 32]) -> SignedCheckpoint {
    Checkpoint {
        origin: origin.clone(),
        size,
        root,
    }
    .sign(&Signer::from_seed(&[5; 32]))
}

pub(crate) fn leaves(n: u8) -> Vec<Vec<u8>> {
    (0..n).map(|n| vec![n, 7]).collect()
}

/// A record whose fingerprints follow from `n`, at a revision.
pub(crate) fn record(n: u64, revision: u32) -> Record {
    Record {
        revision: Revision(revision),
        ..testing::record(n)
    }
}

pub(crate) fn retraction(n: u64, revision: u32) -> Retraction {
    Retraction {
        entry: testing::record(n).entry,
        revision: Revision(revision),
    }
}

/// The MD5 and the SHA-256 of record `n`.
pub(crate) fn prints(n: u64) -> Vec<Fingerprint> {
    testing::record(n).fields.matchable().cloned().collect()
}

pub(crate) fn entry(n: u64) -> EntryId {
    testing::record(n).entry
}

/// A body as a peer would send it, verified and admitted.
pub(crate) fn body(
    origin: &Origin,
    seq: u64,
    records: &[(u16, Record)],
    retractions: &[Retraction],
) -> Write {
    Write::Body(admitted(origin, seq, records, retractions, &[]))
}

pub(crate) fn admitted(
    origin: &Origin,
    seq: u64,
    records: &[(u16, Record)],
    retractions: &[Retraction],
    withheld: &[u16],
) -> AdmittedBody {
    let Sealed { body, table } = sealed(origin, seq, records, retractions);
    let bytes = body.narrowed(&|class| !withheld.contains(&class.0));
    admit(origin, seq, table, bytes)
}

/// A delta whose salts follow from its number: the same content has one table.
pub(crate) fn sealed(
    origin: &Origin,
    seq: u64,
    records: &[(u16, Record)],
    retractions: &[Retraction],
) -> Sealed {
    let encoded: Vec<_> = records
        .iter()
        .map(|(class, record)| (ClassId(*class), record.entry, record.to_bytes()))
        .collect();
    let items = encoded
        .iter()
        .map(|(class, entry, bytes)| (*class, *entry, &bytes[..]));
    let mut rng = ChaCha20Rng::seed_from_u64(seq);
    let draft = Draft::new(items, retractions.to_vec(), &mut rng).unwrap();
    draft.seal(origin, Seq(seq)).unwrap()
}

/// The leaf of a delta, signed by the first centre.
pub(crate) fn delta_leaf(origin: &Origin, seq: u64, table: ClassTable) -> Vec<u8> {
    let setup = CentreSetup::numbered(0);
    let header = Header {
        network: network(1, true).0.roster().network,
        origin: origin.clone(),
        roster_version: hashpact_keys::RosterVersion::FIRST,
        seq: Seq(seq),
        prev: [0; 32],
        table: table.root(),
        total: table.records(),
        issued_at: START,
        policy_ref: None,
    };
    let header = header.sign(&setup.signer(hashpact_keys::KeyUse::Delta));
    Leaf::Delta { header, table }.to_bytes().unwrap()
}

pub(crate) fn admit(origin: &Origin, seq: u64, table: ClassTable, bytes: Vec<u8>) -> AdmittedBody {
    let expected = Expected {
        origin: origin.clone(),
        seq: Seq(seq),
        table,
        suspected: BTreeSet::new(),
    };
    Policy::DemoOpen
        .admit(ReceivedBody(bytes).verify(&expected).unwrap())
        .unwrap()
}

/// A store whose logs define classes 0 to 3.
pub(crate) fn with_classes(dir: &Path) -> Store {
    let store = open(dir);
    for origin in [eu(), us()] {
        commit(&store, grown(&store, &origin, &leaves(1), &[0, 1, 2, 3]));
    }
    store
}

fn held_and_retracted(store: &Store, origin: &Origin) -> (u64, u64) {
    let counts = store.counts()[origin];
    (counts.held, counts.retracted)
}

/// Which records of `0..n` are found by every fingerprint of theirs: place and whether retracted.
fn answers(store: &Store, n: u64) -> BTreeMap<u64, Vec<(String, u64, u32, bool)>> {
    let mut answers = BTreeMap::new();
    for n in 0..n {
        let mut per_print = prints(n).into_iter().map(|print| {
            let found = store.lookup(&print).unwrap();
            let mut found: Vec<_> = found
                .into_iter()
                .map(|e| {
                    (
                        e.origin.to_string(),
                        e.seq.0,
                        e.record.revision.0,
                        e.retracted,
                    )
                })
                .collect();
            found.sort();
            found
        });
        let first = per_print.next().unwrap();
        assert!(
            per_print.all(|other| other == first),
            "prints of {n} disagree"
        );
        if !first.is_empty() {
            answers.insert(n, first);
        }
    }
    answers
}

/// Ended rows under the fingerprints of record `n`, which ingest goes by.
fn ended_rows(store: &Store, n: u64) -> usize {
    let keys = prints(n).into_iter();
    let keys = keys.map(|print| index::keys::fingerprint_key(store.index_key(), &print).unwrap());
    keys.map(|key| {
        let values = store.index().find(&key).unwrap().values;
        let values: Vec<_> = values
            .iter()
            .map(|v| index::Value::decode(v).unwrap())
            .collect();
        let ended = values
            .iter()
            .filter(|value| value.kind == index::RowKind::Ended);
        ended
            .filter(|ended| {
                values.iter().any(|value| {
                    value.kind == index::RowKind::Fingerprint
                        && (value.origin, value.seq, value.offset)
                            == (ended.origin, ended.seq, ended.offset)
                })
            })
            .count()
    })
    .sum()
}

/// Every file below a folder.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for item in std::fs::read_dir(folder).unwrap() {
        let path = item.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}
