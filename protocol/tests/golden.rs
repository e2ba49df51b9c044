//! Logs as files, for readers that are not ours: `golden/<name>/`, made from code and committed.
//!
//! Why: `.ci/third-party` verifies these files with tools that share nothing with this crate, so what this test pins is
//! what others have read. With `HASHPACT_WRITE_VECTORS=1` the files are written, which is a change of format.
//!
//! | file | holds |
//! |---|---|
//! | `log/checkpoint`, `log/history`, `log/tile/...` | what a node publishes of a log |
//! | `fork` | a head of the same size with another root, signed by the log: what an equivocating origin shows |
//! | `proofs/middle.*` | the middle leaf, its C2SP tlog-proof and its RFC 9942 receipt |
//! | `roster` | the network's roster as text; its pin stands in `pin` |
//! | `log.vkey`, `policy` | the log's key as a C2SP vkey; who must have cosigned, as a C2SP tlog-policy |
#![cfg(feature = "testing")]
#![expect(
    clippy::expect_used,
    reason = "a golden log that cannot be made is a failure of the test"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hashpact_keys::roster::{KeyEntry, Roster, RosterDraft, WitnessEntry};
use hashpact_keys::{KeyUse, RosterVersion, SignedRoster, Signer, Timestamp};
use hashpact_protocol::delta::{Draft, Seq};
use hashpact_protocol::labels::ClassId;
use hashpact_protocol::log::{
    Cosigners, Leaf, LogProof, Receipt, SignedNote, VerifierKey, grow, inclusion_proof, log_key,
    mirror_name, root_at, witness_name,
};
use hashpact_protocol::testing::forge::Forge;
use hashpact_protocol::testing::keys::{self, CentreSetup, LIFETIME_S, START};
use hashpact_protocol::testing::{self, rng::Seeded, sim::class_labels};
use hashpact_protocol::view::View as _;

/// Classes that every golden log defines.
const CLASSES: u8 = 2;
/// Leaves before the first delta: the roster and the class definitions.
const PREAMBLE: u64 = 2;
/// The cosigner that is no centre.
const AUDITOR: &str = "auditor.example/w1";
/// The centre that cosigns nothing, so that every quorum of three of four is met exactly.
const ABSENT: &str = "ca";

/// A golden log: its name, and the sizes at which its head was signed. The last one is its size.
const LOGS: [(&str, &[u64]); 2] = [
    ("three", &[1, 2, 3]),
    ("three-hundred", &[1, 2, 255, 256, 257, 300]),
];

type Files = BTreeMap<String, Vec<u8>>;

/// Everything that one golden folder holds.
fn make(sizes: &[u64]) -> Files {
    let (roster, centres) = network();
    let setup = &centres[0];
    let (leaves, heads) = write(setup, &roster, sizes);
    let grown = grow(&|_: &str| None, 0, &leaves).expect("leaves that fit a log");
    let tiles = grown.files.into_iter();
    let mut files: Files = tiles
        .map(|file| (format!("log/{}", file.path), file.bytes))
        .collect();
    let cosigners = Cosigners::witnesses(roster.roster(), &setup.origin);
    let notes: Vec<_> = heads
        .iter()
        .zip(START.get()..)
        .map(|(head, time)| cosigned(head, &centres[1..], Timestamp::new(time)))
        .collect();
    for (note, size) in notes.iter().zip(sizes) {
        let standing = cosigners.standing(note, *size);
        assert_eq!(standing.missing, [ABSENT]);
        assert!(standing.is_witnessed());
    }
    let notes: Vec<_> = notes.iter().map(SignedNote::to_bytes).collect();
    let newest = notes.last().expect("a log has a head").clone();
    files.insert("log/checkpoint".to_owned(), newest);
    files.extend(proofs(setup, &leaves, &files["log/checkpoint"]));
    let fork = fork(setup, &roster, leaves);
    files.insert("fork".to_owned(), fork);
    let history = notes
        .into_iter()
        .flat_map(|note| [note, vec![b'\n']].concat());
    files.insert("log/history".to_owned(), history.collect());
    let key = log_key(&setup.origin, setup.signer(KeyUse::Log).public());
    files.insert("log.vkey".to_owned(), format!("{key}\n").into_bytes());
    files.insert("policy".to_owned(), policy(&key, &cosigners).into_bytes());
    files.insert("roster".to_owned(), armored(roster.bytes()).into_bytes());
    let pin = format!("{}\n", hex::encode(roster.hash()));
    files.insert("pin".to_owned(), pin.into_bytes());
    files
}

/// The middle leaf with its proofs, as `hashpact audit prove` writes them.
fn proofs(setup: &CentreSetup, leaves: &[Vec<u8>], note: &[u8]) -> Files {
    let size = leaves.len() as u64;
    let grown = grow(&|_: &str| None, 0, leaves).expect("leaves that fit a log");
    let tiles: Files = grown
        .files
        .into_iter()
        .map(|file| (file.path, file.bytes))
        .collect();
    let tiles = |path: &str| tiles.get(path).cloned();
    let index = size / 2;
    let path = inclusion_proof(&tiles, size, index, size).expect("a leaf of the log");
    let signer = setup.signer(KeyUse::Log);
    let receipt = Receipt::sign(&grown.root, size, index, &path, &signer);
    let proof = LogProof::new(None, index, path, note).expect("a proof");
    let leaf = leaves[usize::try_from(index).expect("few leaves")].clone();
    let parts = [
        ("leaf", leaf),
        ("tlog-proof", proof.to_text().into_bytes()),
        ("receipt", receipt),
    ];
    let named = parts.map(|(kind, bytes)| (format!("proofs/middle.{kind}"), bytes));
    named.into_iter().collect()
}

/// Four centres with a witness and a mirror key each, and an auditor with a witness key.
fn network() -> (SignedRoster, Vec<CentreSetup>) {
    let centres: Vec<_> = (0..4).map(CentreSetup::numbered).collect();
    let entries = centres.iter().map(|setup| {
        let mut entry = setup.entry();
        entry
            .keys
            .retain(|held| !matches!(held.use_, KeyUse::Witness | KeyUse::Mirror));
        let cosigning = [KeyUse::Witness, KeyUse::Mirror];
        entry
            .keys
            .extend(cosigning.map(|use_| held(use_, &setup.signer(use_))));
        entry
    });
    let auditor = WitnessEntry {
        name: AUDITOR.parse().expect("a name"),
        keys: vec![held(KeyUse::Witness, &auditor())],
    };
    let draft = RosterDraft {
        version: RosterVersion::FIRST,
        network: None,
        issued_at: Timestamp::new(START.get() - 3_600),
        expires_at: Timestamp::new(START.get() + LIFETIME_S),
        demo: true,
        threshold: 2,
        root_keys: (0..3).map(|n| keys::root(n).public()).collect(),
        centres: entries.collect(),
        auditors: vec![auditor],
        witnesses: Vec::new(),
        revocations: Vec::new(),
    };
    let roster = Roster::from_draft(draft).expect("a roster");
    let signed = keys::sign(&roster, &[0, 1]);
    let signed = SignedRoster::open_first(&signed, &roster.network).expect("our own");
    (signed, centres)
}

fn held(use_: KeyUse, signer: &Signer) -> KeyEntry {
    KeyEntry {
        use_,
        key: signer.public(),
        from: Timestamp::new(START.get() - 3_600),
        until: None,
    }
}

fn auditor() -> Signer {
    Signer::from_seed(blake3::hash(b"synthetic key auditor 5").as_bytes())
}

/// The leaves of a log, and its signed head at each of these sizes: a roster, class definitions, then deltas of one
/// record each.
fn write(
    setup: &CentreSetup,
    roster: &SignedRoster,
    sizes: &[u64],
) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let mut forge = Forge::new(setup, roster);
    let version = roster.roster().version;
    let hash = roster.hash();
    let first = Leaf::Roster { version, hash }
        .to_bytes()
        .expect("a roster leaf");
    let labels: Vec<_> = (0..CLASSES).map(|n| class_labels(setup, n)).collect();
    let definitions = forge.definitions(0, &labels);
    let second = forge.define(&definitions, &forge.signer(KeyUse::Delta));
    let (mut leaves, mut heads) = (Vec::new(), Vec::new());
    for size in 1..=*sizes.last().expect("a size") {
        let leaf = match size {
            1 => first.clone(),
            2 => second.clone(),
            _ => delta(setup, &forge, size - PREAMBLE - 1),
        };
        let head = forge.extend(std::slice::from_ref(&leaf));
        leaves.push(leaf);
        if sizes.contains(&size) {
            heads.push(head.note().to_vec());
        }
    }
    let size = forge.memory().log(&setup.origin).size;
    assert_eq!(size, leaves.len() as u64);
    (leaves, heads)
}

/// The head of another history of the same length, under the log's own key: what no witness may cosign.
fn fork(setup: &CentreSetup, roster: &SignedRoster, mut leaves: Vec<Vec<u8>>) -> Vec<u8> {
    leaves.swap(0, 1);
    let other = grow(&|_: &str| None, 0, &leaves).expect("leaves that fit a log");
    let head = Forge::new(setup, roster).sign(other.size, other.root);
    head.note().to_vec()
}

/// Delta number `n`: one record, in the classes by turns.
fn delta(setup: &CentreSetup, forge: &Forge, n: u64) -> Vec<u8> {
    let record = testing::record(n);
    let bytes = record.to_bytes();
    let class =
        ClassId(u16::try_from(n % u64::from(CLASSES)).expect("below the number of classes"));
    let records = [(class, record.entry, bytes.as_slice())];
    let draft = Draft::new(records, Vec::new(), &mut Seeded::new(n)).expect("a draft");
    let table = draft.seal(&setup.origin, Seq(n)).expect("a delta").table;
    let mut header = forge.header(&table);
    header.issued_at = Timestamp::new(START.get() + n * 60);
    forge.delta(&header, &table)
}

/// The head with its cosignatures: of every witness but the absent one, and of the first mirror.
fn cosigned(head: &[u8], others: &[CentreSetup], at: Timestamp) -> SignedNote {
    let mut note = SignedNote::parse(head).expect("our own");
    for centre in others.iter().filter(|centre| centre.id.as_str() != ABSENT) {
        let name = witness_name(&centre.origin);
        let signed = note.cosign(&name, &centre.signer(KeyUse::Witness), at);
        signed.expect("room for a line");
    }
    note.cosign(AUDITOR, &auditor(), at)
        .expect("room for a line");
    let mirror = &others[0];
    let signed = note.cosign(
        &mirror_name(&mirror.origin),
        &mirror.signer(KeyUse::Mirror),
        at,
    );
    signed.expect("room for a line");
    note
}

/// Who must have cosigned, in the words of C2SP tlog-policy.
fn policy(log: &VerifierKey, cosigners: &Cosigners) -> String {
    let mut text = format!("log {log}\n\n");
    let mut group = format!("group witnesses {}", cosigners.quorum());
    for cosigner in cosigners.iter() {
        for key in cosigner.keys() {
            text.push_str(&format!("witness {} {key}\n", cosigner.holder));
        }
        group.push_str(&format!(" {}", cosigner.holder));
    }
    text + &format!("{group}\nquorum witnesses\n")
}

/// A roster as people exchange it.
fn armored(bytes: &[u8]) -> String {
    let encoded = BASE64.encode(bytes);
    let lines = encoded
        .as_bytes()
        .chunks(64)
        .map(|line| String::from_utf8_lossy(line) + "\n");
    let body: String = lines.collect();
    format!("-----BEGIN HASHPACT ROSTER-----\n{body}-----END HASHPACT ROSTER-----\n")
}

#[expect(
    clippy::disallowed_methods,
    reason = "whoever runs the test says whether to write"
)]
fn write_is_asked_for() -> bool {
    std::env::var_os("HASHPACT_WRITE_VECTORS").is_some()
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name)
}

/// Replaces what stands in a golden folder.
#[expect(clippy::disallowed_methods, reason = "only when asked for")]
fn write_files(name: &str, files: &Files) {
    let _ = std::fs::remove_dir_all(folder(name));
    for (path, bytes) in files {
        let path = folder(name).join(path);
        std::fs::create_dir_all(path.parent().expect("a file has a folder"))
            .expect("a folder that can be written to");
        std::fs::write(path, bytes).expect("a folder that can be written to");
    }
}

/// What stands in a golden folder.
#[expect(
    clippy::disallowed_methods,
    reason = "the golden files are data of this test"
)]
fn read_files(folder: &Path) -> Files {
    let mut files = Files::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).expect("a folder that was committed") {
            let path = entry.expect("a folder that was committed").path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let name = path
                .strip_prefix(folder)
                .expect("below it")
                .to_string_lossy()
                .into_owned();
            files.insert(
                name,
                std::fs::read(&path).expect("a file that was committed"),
            );
        }
    }
    files
}

#[test]
fn golden_logs_are_those_that_this_code_makes() {
    for (name, sizes) in LOGS {
        let made = make(sizes);
        if write_is_asked_for() {
            write_files(name, &made);
            continue;
        }
        let held = read_files(&folder(name));
        let paths = |files: &Files| files.keys().cloned().collect::<Vec<_>>();
        assert_eq!(paths(&held), paths(&made), "{name}: other files");
        for (path, bytes) in &made {
            assert!(held[path] == *bytes, "{name}/{path}: the format changed");
        }
    }
}

#[test]
fn golden_history_says_the_roots_that_the_tiles_have() {
    for (name, sizes) in LOGS {
        let files = make(sizes);
        let tile = |path: &str| files.get(&format!("log/{path}")).cloned();
        let newest = *sizes.last().expect("a size");
        let history = String::from_utf8_lossy(&files["log/history"]).into_owned();
        // A text, an empty line, signatures, an empty line, the next text.
        let texts: Vec<_> = history.split("\n\n").step_by(2).collect();
        assert_eq!(
            texts.len(),
            sizes.len() + 1,
            "{name}: nothing behind the last"
        );
        for (size, text) in sizes.iter().zip(texts) {
            let root = root_at(&tile, newest, *size).expect("tiles that hold the tree");
            let said = format!("eu.example/eu/1\n{size}\n{}", BASE64.encode(root));
            assert_eq!(text, said, "{name}");
        }
    }
}
