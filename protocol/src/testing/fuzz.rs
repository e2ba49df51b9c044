//! What must hold of every format of a log, whatever the bytes: they are read and written again as they were, or refused
//! with a typed error, and nothing panics.
//!
//! Each function takes bytes and says whether they were read. Three drivers call them: the committed corpus and random and
//! bent bytes (`tests/fuzz.rs`, on stable), and `fuzz/` where cargo-fuzz runs. In scope: readers. Out of scope: which error,
//! which the tests beside each reader ask for.

use std::sync::LazyLock;

use hashpact_keys::{KeyUse, SignedRoster};

use super::keys::{CentreSetup, START, network};
use crate::log::{
    AddCheckpoint, Branches, Checkpoint, ForkProof, LogProof, Receipt, ReceiptEnvelope,
    SignedCheckpoint, SignedNote, VerifierKey, WitnessPolicy, consistency_proof, decode_bundle,
    encode_bundle, inclusion_proof, log_key, root_at,
};

/// The network whose first centre signs what the corpus holds.
static NETWORK: LazyLock<(SignedRoster, Vec<CentreSetup>)> = LazyLock::new(|| network(2, false));

/// A reader under test: says whether the bytes were read.
pub type Target = fn(&[u8]) -> bool;

/// Every target by its name, which is that of its folder in the corpus.
pub const TARGETS: [(&str, Target); 10] = [
    ("note", note),
    ("checkpoint", checkpoint),
    ("log_proof", log_proof),
    ("policy_file", policy_file),
    ("fork_proof", fork_proof),
    ("receipt", receipt),
    ("verifier_key", verifier_key),
    ("bundle", bundle),
    ("tile", tile),
    ("add_checkpoint", add_checkpoint),
];

/// The key of the log that the corpus is about.
fn key() -> VerifierKey {
    let centre = &NETWORK.1[0];
    log_key(&centre.origin, centre.signer(KeyUse::Log).public())
}

/// A signed note.
///
/// # Panics
/// If it is written otherwise than it was read.
#[must_use]
pub fn note(bytes: &[u8]) -> bool {
    let Ok(note) = SignedNote::parse(bytes) else {
        return false;
    };
    assert_eq!(note.to_bytes(), bytes);
    assert!(bytes.starts_with(note.text().as_bytes()));
    let key = key();
    let only = note.clone().only([&key]);
    assert_eq!(only.signed_by(&key), note.signed_by(&key));
    true
}

/// A signed checkpoint.
///
/// # Panics
/// If it is written otherwise than it was read, or opens as another.
#[must_use]
pub fn checkpoint(bytes: &[u8]) -> bool {
    let Ok(head) = SignedCheckpoint::from_store(bytes) else {
        return false;
    };
    assert_eq!(head.note(), bytes);
    let text = head.checkpoint().text();
    assert!(bytes.starts_with(text.as_bytes()));
    assert_eq!(Checkpoint::from_text(&text).as_ref(), Ok(head.checkpoint()));
    let claimed = SignedCheckpoint::claimed_origin(bytes);
    assert_eq!(claimed.as_ref(), Ok(&head.checkpoint().origin));
    if let Some(centre) = NETWORK.0.roster().by_origin(&head.checkpoint().origin)
        && let Ok((opened, _)) = SignedCheckpoint::open(bytes, centre, START)
    {
        assert_eq!(opened, head);
    }
    true
}

/// A C2SP log proof, verified for the leaf `0` of the corpus.
///
/// # Panics
/// If it is written otherwise than it was read, or verifies for another log.
#[must_use]
pub fn log_proof(bytes: &[u8]) -> bool {
    let Ok(proof) = LogProof::from_text(bytes) else {
        return false;
    };
    assert_eq!(proof.to_text().as_bytes(), bytes);
    assert!(checkpoint(proof.checkpoint()));
    if let Ok(checkpoint) = proof.verify(&[0], &key()) {
        assert_eq!(checkpoint.origin.as_str(), key().name());
        assert!(proof.index() < checkpoint.size);
    }
    true
}

/// A C2SP policy. Comments and white space are not kept, so what is written is read once more.
///
/// # Panics
/// If what it writes is another policy, or is written otherwise.
#[must_use]
pub fn policy_file(bytes: &[u8]) -> bool {
    let Ok(policy) = WitnessPolicy::parse(bytes) else {
        return false;
    };
    let written = policy.to_bytes();
    let again = WitnessPolicy::parse(&written);
    assert_eq!(again.as_ref(), Ok(&policy));
    assert!(again.is_ok_and(|again| again.to_bytes() == written));
    let centre = &NETWORK.1[0];
    let unwitnessed = SignedNote::sign("x\n", "x", &centre.signer(KeyUse::Node));
    let met = policy.is_met(&unwitnessed);
    // Nobody whom a policy could list has signed this, unless it asks for nobody.
    let asks_nobody = written.ends_with(b"quorum none\n") && policy.logs().is_empty();
    assert!(met.is_err() || met == Ok(asks_nobody) || policy.logs().iter().any(of_node));
    true
}

/// Whether a fuzzer wrote down the one key that signs here.
fn of_node(log: &crate::log::PolicyLog) -> bool {
    *log.key.key() == NETWORK.1[0].signer(KeyUse::Node).public()
}

/// A fork proof, verified under the corpus's roster.
///
/// # Panics
/// If it is written otherwise than it was read, or holds for two branches that are one.
#[must_use]
pub fn fork_proof(bytes: &[u8]) -> bool {
    let Ok(proof) = ForkProof::from_text(bytes) else {
        return false;
    };
    assert_eq!(proof.to_text().as_bytes(), bytes);
    if let Ok(fact) = proof.verify(NETWORK.0.roster(), START) {
        assert_eq!(fact.origin, *proof.origin());
        match fact.branches {
            Branches::Checkpoints { a, b } => {
                assert!(a < b && fact.common.is_some_and(|common| common <= a.0));
            }
            Branches::Headers { a, b, .. } => assert!(a != b && fact.common.is_none()),
        }
    }
    true
}

/// A COSE receipt, verified for the leaf `0` of the corpus.
///
/// # Panics
/// If it is written otherwise than it was read, or shows a leaf beyond its tree.
#[must_use]
pub fn receipt(bytes: &[u8]) -> bool {
    if let Ok(shown) = Receipt::verify(bytes, &[0], key().key()) {
        assert!(shown.index < shown.size);
    }
    let Ok(envelope) = ReceiptEnvelope::parse(bytes) else {
        return false;
    };
    assert_eq!(envelope.to_bytes(), bytes);
    true
}

/// A verifier key.
///
/// # Panics
/// If it is written otherwise than it was read.
#[must_use]
pub fn verifier_key(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let Ok(key) = text.parse::<VerifierKey>() else {
        return false;
    };
    assert_eq!(key.to_string(), text);
    true
}

/// An entry bundle.
///
/// # Panics
/// If it is written otherwise than it was read.
#[must_use]
pub fn bundle(bytes: &[u8]) -> bool {
    let Some(leaves) = decode_bundle(bytes) else {
        return false;
    };
    assert_eq!(encode_bundle(&leaves), bytes);
    true
}

/// A tile of hashes: the bottom one of a log of as many leaves as it has hashes, at most 256.
///
/// # Panics
/// If a tile of another length than its width calls for is read, or one is read in part.
#[must_use]
pub fn tile(bytes: &[u8]) -> bool {
    let size = (bytes.len() as u64 / 32).clamp(1, 256);
    let path = |path: &str| path.starts_with("tile/0/000").then(|| bytes.to_vec());
    // The upper tiles of a full one are made of it, and are not here.
    let size = size.min(255);
    let root = root_at(&path, size, size);
    let fits = bytes.len() as u64 == size * 32;
    assert_eq!(root.is_ok(), fits);
    for at in [1, size / 2, size - 1] {
        let within = at > 0 && at < size;
        assert!(!within || consistency_proof(&path, size, at, size).is_ok() == fits);
        assert!(!within || inclusion_proof(&path, size, at, size).is_ok() == fits);
    }
    fits
}

/// A request to a witness.
///
/// # Panics
/// If it is written otherwise than it was read.
#[must_use]
pub fn add_checkpoint(bytes: &[u8]) -> bool {
    let Ok(request) = AddCheckpoint::from_bytes(bytes) else {
        return false;
    };
    assert_eq!(request.to_bytes(), bytes);
    true
}
