//! What a refused checkpoint leaves behind.
//!
//! Why: two roots of one size under a log's key prove a fork to anybody, and the state keeps only what was cosigned last. So
//! the refused request and the note that it contradicts are kept side by side:
//!
//! ```text
//! <origin hash>.<fork|refused>-<n>            the request: old size, proof, note with the log's own lines
//! <origin hash>.<fork|refused>-<n>.cosigned   the note that was cosigned last
//! ```
//!
//! A failing proof may be the sender's mistake, and anybody can send one beside a published checkpoint. Hence its own small
//! room, in which each checkpoint has one place: strangers cannot crowd a fork out. In scope: keeping. Out of scope: judging.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use hashpact_protocol::log::{AddCheckpoint, Submitted, Suspicion};

use crate::store::durable::{self, Steps};

/// Files of each kind for one log at most: the first few prove all that there is to prove.
pub(super) const FILES_MAX: u32 = 64;

/// What is kept about one log; read from the folder when it is first needed.
#[derive(Debug, Default)]
pub(super) struct Kept {
    texts: Option<BTreeSet<[u8; 32]>>,
}

impl Kept {
    /// Keeps a refused request once, with the note that it contradicts. `base` is the log's file in the state's folder.
    pub(super) fn keep(
        &mut self,
        base: &Path,
        suspicion: Suspicion,
        submitted: &Submitted,
        cosigned: Option<&[u8]>,
        steps: &Steps,
    ) -> io::Result<()> {
        let kind = match suspicion {
            Suspicion::None => return Ok(()),
            Suspicion::Unproven => "refused",
            Suspicion::Forked => "fork",
        };
        let texts = self.texts.get_or_insert_with(|| read_texts(base));
        let text = blake3::hash(&submitted.note().to_bytes());
        if texts.contains(text.as_bytes()) {
            return Ok(());
        }
        let free = (1..=FILES_MAX).map(|n| place(base, kind, n));
        let Some(place) = free.into_iter().find(|place| !place.exists()) else {
            return Ok(());
        };
        if let Some(note) = cosigned {
            durable::write_new(&with(&place, ".cosigned"), &[note], steps)?;
        }
        durable::write_new(&place, &[&submitted.to_request().to_bytes()], steps)?;
        texts.insert(*text.as_bytes());
        Ok(())
    }
}

/// How many requests are kept about a log: those that prove a fork, and those with a failing proof.
pub(super) fn count(base: &Path) -> (u32, u32) {
    let count = |kind| {
        let places = (1..=FILES_MAX).map(|n| place(base, kind, n));
        places.fold(0, |count, place| count + u32::from(place.exists()))
    };
    (count("fork"), count("refused"))
}

fn read_texts(base: &Path) -> BTreeSet<[u8; 32]> {
    let kinds = ["fork", "refused"].into_iter();
    let places = kinds.flat_map(|kind| (1..=FILES_MAX).map(move |n| (kind, n)));
    // A file that is damaged is one that a second copy does not hurt.
    let texts = places.filter_map(|(kind, n)| {
        let bytes = std::fs::read(place(base, kind, n)).ok()?;
        let request = AddCheckpoint::from_bytes(&bytes).ok()?;
        Some(*blake3::hash(&request.note).as_bytes())
    });
    texts.collect()
}

fn place(base: &Path, kind: &str, n: u32) -> PathBuf {
    with(base, &format!(".{kind}-{n}"))
}

fn with(path: &Path, end: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(end);
    path.into()
}
