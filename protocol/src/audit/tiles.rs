//! Whether the files of a tree are what its leaves make them. Spec: C2SP tlog-tiles.
//!
//! Bundles give leaves, tiles of level 0 their hashes, and higher tiles the roots of 256 hashes below. Everything is
//! computed from the leaves and compared with what is stored; where a bundle is damaged the stored hashes stand in, so that
//! one damaged file spoils neither the roots behind it nor the verdict on them. O(width) memory: 256 leaves, and one tile
//! of each level. In scope: files, hashes, roots. Out of scope: what leaves say (`leaves`).

use super::finding::FindingKind;
use super::frontier::{Frontier, leaf_hash};
use super::log::Out;
use super::place::Place;
use crate::b3::Hash;
use crate::log::{LogFiles, bundle_path, decode_bundle};

/// Leaves of a bundle and hashes of a tile.
const WIDTH: u64 = 256;
const HASH_BYTES: usize = 32;

/// The files of one log, read from left to right.
pub(super) struct Tiles<'a, F> {
    files: &'a F,
    size: u64,
    read: u64,
    /// Over the leaves.
    leaves: Frontier,
    /// Over the stored hashes of level 0, from where they first differ.
    stored: Option<Frontier>,
    /// The tile of each level above 0 that is being read; none if it is missing or damaged.
    upper: Vec<Option<Vec<u8>>>,
    /// Whether a leaf is known by neither its bytes nor its hash: no root can be computed from there on.
    broken: bool,
}

/// What stands for up to 256 leaves.
pub(super) struct Bundle {
    number: u64,
    /// Leaves that there must be.
    pub(super) width: u64,
    leaves: Option<Vec<Vec<u8>>>,
    hashes: Option<Vec<u8>>,
    /// Leaves whose bytes and stored hash differ.
    differ: Vec<u64>,
}

impl Bundle {
    /// Whether nothing of it is there.
    pub(super) fn is_missing(&self) -> bool {
        self.leaves.is_none() && self.hashes.is_none()
    }

    /// One leaf by its place in the bundle, and whether it is what the stored hash says.
    pub(super) fn leaf(&self, at: u64) -> Option<&[u8]> {
        let leaf = self.leaves.as_ref()?.get(place(at))?;
        Some(leaf)
    }

    fn stored(&self, at: u64) -> Option<Hash> {
        let from = place(at) * HASH_BYTES;
        let hash = self.hashes.as_ref()?.get(from..from + HASH_BYTES)?;
        hash.try_into().ok()
    }
}

impl<'a, F: LogFiles> Tiles<'a, F> {
    pub(super) fn new(files: &'a F, size: u64) -> Self {
        Self {
            files,
            size,
            read: 0,
            leaves: Frontier::default(),
            stored: None,
            upper: Vec::new(),
            broken: false,
        }
    }

    /// Reads the bundle of leaves `256 * number` and on, and the hashes of level 0 beside it.
    pub(super) fn bundle(&self, number: u64, out: &mut Out<'_>) -> Bundle {
        let width = (self.size - number * WIDTH).min(WIDTH);
        let path = bundle_path(number, width);
        let leaves = match self.files.log_file(&path) {
            Some(bytes) => {
                let leaves = decode_bundle(&bytes).filter(|leaves| leaves.len() as u64 == width);
                if leaves.is_none() {
                    let kind = FindingKind::Bundle { expected: width };
                    out.found(Place::File(path), kind);
                }
                leaves
            }
            None => {
                out.found(Place::File(path), FindingKind::FileMissing);
                None
            }
        };
        Bundle {
            number,
            width,
            leaves,
            hashes: self.tile(0, number, out),
            differ: Vec::new(),
        }
    }

    /// A tile of the width that the size calls for.
    fn tile(&self, level: usize, number: u64, out: &mut Out<'_>) -> Option<Vec<u8>> {
        let width = (hashes_at(self.size, level) - number * WIDTH).min(WIDTH);
        let path = tile_path(level, number, width);
        let Some(bytes) = self.files.log_file(&path) else {
            out.found(Place::File(path), FindingKind::FileMissing);
            return None;
        };
        let (expected, got) = (place(width) * HASH_BYTES, bytes.len());
        if expected == got {
            return Some(bytes);
        }
        let kind = FindingKind::TileWidth { expected, got };
        out.found(Place::File(path), kind);
        None
    }

    /// Takes the next leaf of a bundle; false if its bytes are not what the stored hash says.
    pub(super) fn push(&mut self, bundle: &mut Bundle, at: u64, out: &mut Out<'_>) -> bool {
        let (leaf, stored) = (bundle.leaf(at).map(leaf_hash), bundle.stored(at));
        let agree = leaf.is_none() || stored.is_none() || leaf == stored;
        if !agree {
            bundle.differ.push(at);
            self.stored.get_or_insert_with(|| self.leaves.clone());
        }
        self.broken |= leaf.is_none() && stored.is_none();
        self.leaves.push(leaf.or(stored).unwrap_or_default());
        if let Some(frontier) = &mut self.stored {
            frontier.push(stored.or(leaf).unwrap_or_default());
        }
        self.read += 1;
        for level in 1..=self.leaves.stored().len() {
            self.check_upper(level, out);
        }
        agree
    }

    /// Compares the newest hash of a level above 0 with its tile.
    fn check_upper(&mut self, level: usize, out: &mut Out<'_>) {
        let index = hashes_at(self.read, level) - 1;
        let (number, at) = (index / WIDTH, place(index % WIDTH));
        if self.upper.len() < level {
            self.upper.resize(level, None);
        }
        if at == 0 {
            self.upper[level - 1] = self.tile(level, number, out);
        }
        let Some(got) = self.upper_hash(level, at) else {
            return;
        };
        let expected = [Some(&self.leaves), self.stored.as_ref()].map(|frontier| {
            let hash = frontier?.stored().get(level - 1);
            hash.copied()
        });
        if !self.broken && !expected.contains(&Some(got)) {
            let width = (hashes_at(self.size, level) - number * WIDTH).min(WIDTH);
            let place = Place::File(tile_path(level, number, width));
            out.found(place, FindingKind::TileHash { at });
        }
    }

    fn upper_hash(&self, level: usize, at: usize) -> Option<Hash> {
        let tile = self.upper.get(level - 1)?.as_ref()?;
        let from = at * HASH_BYTES;
        tile.get(from..from + HASH_BYTES)?.try_into().ok()
    }

    /// Says of each leaf of a read bundle that differs from its stored hash which of the two is wrong: the hash above
    /// decides, at the right edge the root of the newest checkpoint. In doubt it is the leaf.
    pub(super) fn blame(&self, bundle: &Bundle, root: &Hash, out: &mut Out<'_>) {
        if bundle.differ.is_empty() {
            return;
        }
        let above = place(bundle.number % WIDTH);
        let leaf_holds = if bundle.width == WIDTH {
            let computed = self.leaves.stored().first().copied();
            computed.is_some() && computed == self.upper_hash(1, above)
        } else {
            self.leaves.root() == *root
        };
        for at in &bundle.differ {
            if leaf_holds {
                let path = tile_path(0, bundle.number, bundle.width);
                let at = place(*at);
                out.found(Place::File(path), FindingKind::TileHash { at });
            } else {
                let index = bundle.number * WIDTH + at;
                out.found(Place::Leaf { index, seq: None }, FindingKind::LeafHash);
            }
        }
    }

    /// Compares a root with that over the leaves read; damage that was named already does not count twice. None if it holds
    /// or cannot be computed, else the root of the leaves.
    pub(super) fn other_root(&self, root: &Hash) -> Option<Hash> {
        let stored = self.stored.as_ref().map(Frontier::root);
        let got = self.leaves.root();
        let holds = self.broken || got == *root || stored.as_ref() == Some(root);
        (!holds).then_some(got)
    }
}

/// Hashes of a level in a tree of a size.
fn hashes_at(size: u64, level: usize) -> u64 {
    let shift = u32::try_from(level).unwrap_or(8) * 8;
    size.checked_shr(shift).unwrap_or(0)
}

/// Bundles and tiles are numbered alike; only the level stands elsewhere.
fn tile_path(level: usize, number: u64, width: u64) -> String {
    bundle_path(number, width).replacen("entries", &level.to_string(), 1)
}

/// A number below 257 as an index.
fn place(at: u64) -> usize {
    usize::try_from(at).unwrap_or(usize::MAX)
}
