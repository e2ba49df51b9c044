//! The root of a tree that is read once, from left to right, in O(log size) memory. Spec: RFC 6962 section 2.1.
//!
//! The perfect subtrees over what was read, largest first, are a binary counter: a leaf that completes one merges it into
//! the next. In scope: hashes. Out of scope: where they come from (`tiles`).

use sha2::{Digest as _, Sha256};

use crate::b3::Hash;
use crate::log::empty_root;

/// Heights of a tile: every eighth level of the tree is stored.
const TILE_HEIGHT: u32 = 8;

/// What was read so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Frontier {
    /// Perfect subtrees from left to right, each lower than the one before.
    perfect: Vec<(u32, Hash)>,
    /// Roots of stored height that the last leaf completed, lowest first.
    stored: Vec<Hash>,
}

/// SHA-256(0x00 || leaf).
pub(super) fn leaf_hash(leaf: &[u8]) -> Hash {
    let hash = Sha256::new().chain_update([0]).chain_update(leaf);
    hash.finalize().into()
}

/// SHA-256(0x01 || left || right).
fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let hash = Sha256::new().chain_update([1]).chain_update(left);
    hash.chain_update(right).finalize().into()
}

impl Frontier {
    /// Adds the hash of the next leaf.
    pub(super) fn push(&mut self, leaf: Hash) {
        self.stored.clear();
        let (mut height, mut hash) = (0, leaf);
        while let Some((_, left)) = self.perfect.pop_if(|(top, _)| *top == height) {
            hash = node_hash(&left, &hash);
            height += 1;
            if height % TILE_HEIGHT == 0 {
                self.stored.push(hash);
            }
        }
        self.perfect.push((height, hash));
    }

    /// Roots of the subtrees of heights 8, 16, ... that the last leaf completed.
    pub(super) fn stored(&self) -> &[Hash] {
        &self.stored
    }

    /// Root over all leaves read.
    pub(super) fn root(&self) -> Hash {
        let mut right_to_left = self.perfect.iter().rev().map(|(_, hash)| *hash);
        let Some(last) = right_to_left.next() else {
            return empty_root();
        };
        right_to_left.fold(last, |right, left| node_hash(&left, &right))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::log::grow;

    #[test]
    fn the_root_after_each_leaf_is_that_of_the_log() {
        let mut files = BTreeMap::<String, Vec<u8>>::new();
        let mut frontier = Frontier::default();
        assert_eq!(frontier.root(), empty_root());
        for n in 0..600_u64 {
            let leaf = n.to_be_bytes().to_vec();
            frontier.push(leaf_hash(&leaf));
            let grown = grow(&|path: &str| files.get(path).cloned(), n, &[leaf]).unwrap();
            assert_eq!(frontier.root(), grown.root, "{n}");
            assert_eq!(frontier.stored().len(), usize::from(n % 256 == 255), "{n}");
            files.extend(grown.files.into_iter().map(|file| (file.path, file.bytes)));
        }
        assert_eq!(files["tile/1/000.p/2"][32..], frontier_of(256..512).root());
    }

    fn frontier_of(leaves: std::ops::Range<u64>) -> Frontier {
        let mut frontier = Frontier::default();
        leaves.for_each(|n| frontier.push(leaf_hash(&n.to_be_bytes())));
        frontier
    }
}
