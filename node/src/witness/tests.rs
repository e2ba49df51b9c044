//! What a witness remembers, forgets, refuses and answers; and a log that asks hostile ones.
//!
//! | file | answers |
//! |---|---|
//! | `remembering` | what a folder holds after crashes, damage and loss |
//! | `answering` | statuses over HTTP, and many requests at once |
//! | `asking` | what a log makes of a witness's answers |
//! | `listing` | whose checkpoints are cosigned under which roster |

mod answering;
mod asking;
mod listing;
mod remembering;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

use hashpact_keys::{Signer, Timestamp};
use hashpact_protocol::log::{
    AddCheckpoint, LogHead, SignatureKind, SignedNote, VerifierKey, WitnessedLog,
    consistency_proof, grow, root_at,
};

use super::state::{CosignError, WitnessState};
use crate::store::durable::Steps;

const ORIGIN: &str = "log.example/stock";
const NAME: &str = "witness.example/w1";
const LEAVES: u64 = 24;

pub(super) fn signer(seed: u8) -> Signer {
    Signer::from_seed(&[seed; 32])
}

pub(super) fn log_vkey() -> VerifierKey {
    VerifierKey::new(ORIGIN, SignatureKind::Log, signer(1).public())
}

pub(super) fn witness_key() -> VerifierKey {
    VerifierKey::new(NAME, SignatureKind::Cosigner, signer(2).public())
}

pub(super) fn at(seconds: u64) -> Timestamp {
    Timestamp::new(seconds)
}

/// A stock log; two with different tags are two histories under one key.
pub(super) struct Log(RefCell<BTreeMap<String, Vec<u8>>>);

impl Log {
    pub(super) fn new(tag: u8) -> Self {
        let log = Self(RefCell::default());
        for n in 0..LEAVES {
            let read = |path: &str| log.0.borrow().get(path).cloned();
            let grown = grow(&read, n, &[vec![tag, u8::try_from(n).unwrap()]]).unwrap();
            let files = grown.files.into_iter().map(|file| (file.path, file.bytes));
            log.0.borrow_mut().extend(files);
        }
        log
    }

    pub(super) fn root(&self, size: u64) -> [u8; 32] {
        let read = |path: &str| self.0.borrow().get(path).cloned();
        root_at(&read, LEAVES, size).unwrap()
    }

    pub(super) fn note(&self, size: u64) -> Vec<u8> {
        use base64::Engine as _;
        let root = base64::engine::general_purpose::STANDARD.encode(self.root(size));
        let text = format!("{ORIGIN}\n{size}\n{root}\n");
        SignedNote::sign(&text, ORIGIN, &signer(1)).to_bytes()
    }

    pub(super) fn proof(&self, old: u64, size: u64) -> Vec<[u8; 32]> {
        let read = |path: &str| self.0.borrow().get(path).cloned();
        consistency_proof(&read, LEAVES, old, size).unwrap_or_default()
    }

    pub(super) fn request(&self, old: u64, size: u64) -> AddCheckpoint {
        AddCheckpoint {
            old,
            proof: self.proof(old, size),
            note: self.note(size),
        }
    }
}

pub(super) fn made(folder: &Path) -> WitnessState {
    WitnessState::make(folder, &witness_key(), &Steps::default()).unwrap();
    WitnessState::open(folder, witness_key(), Steps::default()).unwrap()
}

pub(super) fn cosign(
    state: &WitnessState,
    request: AddCheckpoint,
    now: u64,
) -> Result<LogHead, CosignError> {
    let log = |origin: &str| {
        (origin == ORIGIN).then(|| WitnessedLog {
            origin: ORIGIN.to_owned(),
            keys: vec![log_vkey()],
        })
    };
    let submitted = request.authenticate(log)?;
    state.cosign(&submitted, &signer(2), at(now))?;
    Ok(submitted.head().clone())
}
