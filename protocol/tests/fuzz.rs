//! Every reader of a log's formats under bytes that nobody meant: `corpus/<target>/`, random bytes and bent samples.
//!
//! A file `good-*` must be read, a file `bad-*` refused. The files are made by `samples` and by `hostile`; with
//! `HASHPACT_WRITE_VECTORS=1` they are written. What a fuzzer finds is added to `hostile` under the name of the attack.
#![cfg(feature = "testing")]
#![expect(
    clippy::expect_used,
    reason = "a sample that cannot be made is a failure of the test"
)]

#[path = "fuzz/corpus.rs"]
mod corpus;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hashpact_protocol::testing::fuzz::{TARGETS, Target};
use proptest::prelude::*;
use proptest::sample::Index;

type Files = BTreeMap<String, Vec<u8>>;

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/corpus")
        .join(target)
}

#[expect(
    clippy::disallowed_methods,
    reason = "whoever runs the test says whether to write"
)]
fn write_is_asked_for() -> bool {
    std::env::var_os("HASHPACT_WRITE_VECTORS").is_some()
}

#[expect(clippy::disallowed_methods, reason = "only when asked for")]
fn write(target: &str, files: &Files) {
    let folder = folder(target);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder that can be written to");
    for (name, bytes) in files {
        std::fs::write(folder.join(name), bytes).expect("a folder that can be written to");
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the corpus is the data of this test"
)]
fn read(target: &str) -> Files {
    let entries = std::fs::read_dir(folder(target)).expect("a folder that was committed");
    let files = entries.map(|entry| {
        let path = entry.expect("a file that was committed").path();
        let name = path.file_name().expect("a name").to_string_lossy();
        let bytes = std::fs::read(&path).expect("a file that was committed");
        (name.into_owned(), bytes)
    });
    files.collect()
}

#[test]
fn the_corpus_is_read_or_refused_as_its_names_say() {
    for (target, reads) in TARGETS {
        let made = corpus::files(target);
        if write_is_asked_for() {
            write(target, &made);
        }
        let held = read(target);
        assert!(held == made, "{target}: other files than those made here");
        for (name, bytes) in &held {
            assert_eq!(reads(bytes), name.starts_with("good-"), "{target}/{name}");
        }
        let kinds = ["good-", "bad-"];
        let has = |kind: &str| held.keys().any(|name| name.starts_with(kind));
        assert!(kinds.iter().all(|kind| has(kind)), "{target}");
    }
}

/// One way to spoil a file.
#[derive(Debug, Clone)]
enum Bend {
    Flip(Index, u8),
    Cut(Index, Index),
    Repeat(Index, Index),
    Insert(Index, Vec<u8>),
    Splice(Index, Index, Index),
    Truncate(Index),
}

fn bend() -> impl Strategy<Value = Bend> {
    let at = any::<Index>;
    prop_oneof![
        (at(), 0..8_u8).prop_map(|(a, bit)| Bend::Flip(a, bit)),
        (at(), at()).prop_map(|(a, b)| Bend::Cut(a, b)),
        (at(), at()).prop_map(|(a, b)| Bend::Repeat(a, b)),
        (at(), prop::collection::vec(any::<u8>(), 1..8)).prop_map(|(a, new)| Bend::Insert(a, new)),
        (at(), at(), at()).prop_map(|(which, a, b)| Bend::Splice(which, a, b)),
        at().prop_map(Bend::Truncate),
    ]
}

/// What is left of `bytes`, with pieces of other files of the same target.
fn bent(bytes: &[u8], bends: &[Bend], others: &[&Vec<u8>]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    for bend in bends {
        let len = out.len();
        let cut = |at: &Index| at.index(len + 1);
        let between = |a: &Index, b: &Index| cut(a).min(cut(b))..cut(a).max(cut(b));
        match bend {
            Bend::Flip(at, bit) => {
                if let Some(byte) = out.get_mut(cut(at)) {
                    *byte ^= 1 << bit;
                }
            }
            Bend::Cut(a, b) => drop(out.drain(between(a, b))),
            Bend::Repeat(a, b) => {
                let piece = out[between(a, b)].to_vec();
                let at = between(a, b).end;
                out.splice(at..at, piece);
            }
            Bend::Insert(at, new) => drop(out.splice(cut(at)..cut(at), new.iter().copied())),
            Bend::Splice(which, a, b) => {
                let other = others[which.index(others.len())];
                let (from, to) = (cut(a), b.index(other.len() + 1));
                out.splice(from.., other[to..].iter().copied());
            }
            Bend::Truncate(at) => out.truncate(cut(at)),
        }
    }
    out
}

proptest! {
    /// The readers judge themselves: they panic where what they write is not what they read.
    #[test]
    fn random_bytes_are_read_as_they_are_written_or_refused(
        bytes in prop::collection::vec(any::<u8>(), 0..600), text in "[ -~\n\t\u{2014}]{0,300}",
    ) {
        for (target, reads) in TARGETS {
            for bytes in [bytes.as_slice(), text.as_bytes()] {
                // Tiles and bundles have no checksum, keyword or signature: a log's root speaks for them.
                let plain = ["bundle", "tile"].contains(&target);
                prop_assert!(!reads(bytes) || plain, "{target}");
            }
        }
    }

    #[test]
    fn bent_samples_are_read_as_they_are_written_or_refused(
        which in any::<Index>(), file in any::<Index>(), bends in prop::collection::vec(bend(), 1..4),
    ) {
        let (target, reads): (&str, Target) = TARGETS[which.index(TARGETS.len())];
        let files = corpus::files(target);
        let files: Vec<_> = files.values().collect();
        let bytes = bent(files[file.index(files.len())], &bends, &files);
        reads(&bytes);
    }
}
