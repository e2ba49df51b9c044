//! That a leaf is in a tree, and what a proof stands for.
//!
//! Why: an offline proof names one leaf, and a fork proof has to say which older root a newer tree has, not only that it is
//! not ours. Spec: RFC 6962 section 2.1; RFC 9162 sections 2.1.3.2 (inclusion) and 2.1.4.2 (consistency).
//! In scope: hashes. Out of scope: who signed the roots (`checkpoint`), growing a tree (`tree`).

use tlog_tiles::{check_record, node_hash, prove_record};

use super::tree::{LogFiles, TreeError, hashes};
use crate::b3::Hash;
use crate::limits;

/// Hashes of one proof at most: a tree of 2^63 leaves needs no more.
pub(super) const PROOF_HASHES: usize = 63;

/// Why a leaf is not shown to be in a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InclusionError {
    /// The tree has no such leaf, or is larger than a log may be.
    #[error("inclusion: there is no leaf {index} in a tree of {size}")]
    Index {
        /// The leaf, from 0.
        index: u64,
        /// Leaves of the tree.
        size: u64,
    },
    /// The proof does not lead from the leaf to the root.
    #[error("inclusion: leaf {index} is not shown to be in the tree of {size}")]
    Root {
        /// The leaf, from 0.
        index: u64,
        /// Leaves of the tree.
        size: u64,
    },
}

/// The hash of a leaf: SHA-256 of a zero byte and the leaf (RFC 6962 section 2.1).
#[must_use]
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    tlog_tiles::record_hash(leaf).0
}

/// Proves that leaf `index` is in the tree of the first `at_size` leaves of a stored log of `size`. From the leaf's sibling
/// to the root's child, O(log size) hashes.
///
/// # Errors
/// [`TreeError::Sizes`] unless `index < at_size <= size`; [`TreeError::Tile`].
pub fn inclusion_proof<F: LogFiles>(
    files: &F,
    size: u64,
    index: u64,
    at_size: u64,
) -> Result<Vec<Hash>, TreeError> {
    if index >= at_size || at_size > size {
        let (from, to) = (index, at_size);
        return Err(TreeError::Sizes { from, to });
    }
    let proof = prove_record(at_size, index, &hashes(files, size));
    let proof = proof.map_err(|_| TreeError::Tile { size })?;
    Ok(proof.into_iter().map(|hash| hash.0).collect())
}

/// Checks that a leaf with this hash is leaf `index` of the tree of `size` leaves with this root.
///
/// # Errors
/// [`InclusionError`].
pub fn check_inclusion(
    proof: &[Hash],
    index: u64,
    size: u64,
    leaf_hash: &Hash,
    root: &Hash,
) -> Result<(), InclusionError> {
    if index >= size || size > limits::LOG_LEAVES {
        return Err(InclusionError::Index { index, size });
    }
    let missing = InclusionError::Root { index, size };
    if proof.len() > PROOF_HASHES {
        return Err(missing);
    }
    let proof = proof.iter().map(|hash| tlog_tiles::Hash(*hash)).collect();
    let (leaf, root) = (tlog_tiles::Hash(*leaf_hash), tlog_tiles::Hash(*root));
    check_record(&proof, size, root, index, leaf).map_err(|_| missing)
}

/// The root that an inclusion proof stands for; none if the proof has not the length that `index` and `size` call for.
/// Source: RFC 9162 section 2.1.3.2.
#[must_use]
pub fn inclusion_root(proof: &[Hash], index: u64, size: u64, leaf_hash: &Hash) -> Option<Hash> {
    if index >= size || size > limits::LOG_LEAVES || proof.len() > PROOF_HASHES {
        return None;
    }
    let (mut at, mut last, mut root) = (index, size - 1, *leaf_hash);
    for hash in proof {
        if last == 0 {
            return None;
        }
        if at & 1 == 1 || at == last {
            root = node(hash, &root);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            root = node(&root, hash);
        }
        at >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(root)
}

/// The two roots that a consistency proof stands for: at `from` leaves and at `to`. None if the proof has not the shape that
/// the sizes call for. Source: RFC 9162 section 2.1.4.2.
///
/// Whoever knows that the second root is the tree's at `to` knows then that the first is the same tree's at `from`, since no
/// other hashes lead there. Where `from` is a power of two, or equals `to`, the first root is not in the proof: `from_root` is
/// taken, and bound by the second. Elsewhere `from_root` is not looked at.
#[must_use]
pub fn consistency_roots(
    proof: &[Hash],
    from: u64,
    to: u64,
    from_root: Option<&Hash>,
) -> Option<(Hash, Hash)> {
    if from == 0 || from > to || to > limits::LOG_LEAVES || proof.len() > PROOF_HASHES {
        return None;
    }
    if from == to {
        let root = *from_root?;
        return proof.is_empty().then_some((root, root));
    }
    let (first, rest) = if from.is_power_of_two() {
        (from_root?, proof)
    } else {
        proof.split_first()?
    };
    let (mut at, mut last) = (from - 1, to - 1);
    while at & 1 == 1 {
        at >>= 1;
        last >>= 1;
    }
    let (mut old, mut new) = (*first, *first);
    for hash in rest {
        if last == 0 {
            return None;
        }
        if at & 1 == 1 || at == last {
            old = node(hash, &old);
            new = node(hash, &new);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            new = node(&new, hash);
        }
        at >>= 1;
        last >>= 1;
    }
    (last == 0).then_some((old, new))
}

fn node(left: &Hash, right: &Hash) -> Hash {
    node_hash(tlog_tiles::Hash(*left), tlog_tiles::Hash(*right)).0
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::log::{check_consistency, consistency_proof, grow, root_at};

    /// A log of these leaves as files.
    pub(crate) fn disk(leaves: &[Vec<u8>]) -> impl Fn(&str) -> Option<Vec<u8>> + use<> {
        let files = grow(&|_: &str| None, 0, leaves).unwrap().files;
        let files: BTreeMap<_, _> = files.into_iter().map(|f| (f.path, f.bytes)).collect();
        move |path: &str| files.get(path).cloned()
    }

    pub(crate) fn leaves(n: u64) -> Vec<Vec<u8>> {
        (0..n).map(|n| n.to_be_bytes().to_vec()).collect()
    }

    const MAX: u64 = 200;

    /// Every inner hash in memory, as `tlog_tiles` numbers them.
    struct Hashes(Vec<tlog_tiles::Hash>);

    impl tlog_tiles::HashReader for Hashes {
        fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, tlog_tiles::Error> {
            let read = |index: &u64| self.0[usize::try_from(*index).unwrap()];
            Ok(indexes.iter().map(read).collect())
        }
    }

    #[test]
    fn a_consistency_proof_stands_for_the_roots_of_its_tree_at_every_pair_of_sizes() {
        let mut hashes = Hashes(Vec::new());
        for (n, leaf) in (0..).zip(leaves(MAX)) {
            let new = tlog_tiles::stored_hashes(n, &leaf, &hashes).unwrap();
            hashes.0.extend(new);
        }
        let root = |at: u64| tlog_tiles::tree_hash(at, &hashes).unwrap();
        for to in 1..=MAX {
            for from in 1..=to {
                let theirs = tlog_tiles::prove_tree(to, from, &hashes).unwrap();
                let (old, new) = (root(from), root(to));
                let judged = tlog_tiles::check_tree(&theirs, to, new, from, old);
                assert!(judged.is_ok());
                let proof: Vec<Hash> = theirs.iter().map(|hash| hash.0).collect();
                let known = from.is_power_of_two() || from == to;
                let given = known.then_some(&old.0);
                let computed = consistency_roots(&proof, from, to, given);
                assert_eq!(computed, Some((old.0, new.0)), "{from} {to}");
                // Given or not, it is looked at only where it is not in the proof.
                let otherwise = if known { None } else { Some(&[9; 32]) };
                let expected = computed.filter(|_| !known);
                let computed = consistency_roots(&proof, from, to, otherwise);
                assert_eq!(computed, expected, "{from} {to}");
            }
        }
    }

    proptest! {
        /// What the two roots are is judged by `tlog_tiles`, which walks the proof from the other end.
        #[test]
        fn a_proof_stands_for_exactly_the_roots_that_it_proves(
            from in 1..=MAX, more in 0..=MAX, given: Hash,
            proof in prop::collection::vec(any::<Hash>(), 0..10),
        ) {
            let to = from + more;
            let roots = consistency_roots(&proof, from, to, Some(&given));
            if let Some((old, new)) = roots {
                prop_assert_eq!(check_consistency(&proof, (from, &old), (to, &new)), Ok(()));
            }
            // Any root fits a proof of the right length, and none fits another length.
            let disk = disk(&leaves(to));
            let right = consistency_proof(&disk, to, from, to).unwrap().len();
            prop_assert_eq!(roots.is_some(), proof.len() == right);
        }

        #[test]
        fn an_inclusion_proof_leads_from_its_leaf_to_its_root_and_no_other(
            size in 1..=300_u64, seed: u64, bent: u8, more in 0..40_u64,
        ) {
            let (index, stored) = (seed % size, size + more);
            let disk = disk(&leaves(stored));
            let proof = inclusion_proof(&disk, stored, index, size).unwrap();
            let root = root_at(&disk, stored, size).unwrap();
            let leaf = leaf_hash(&index.to_be_bytes());
            prop_assert_eq!(check_inclusion(&proof, index, size, &leaf, &root), Ok(()));
            prop_assert_eq!(inclusion_root(&proof, index, size, &leaf), Some(root));
            let missing = Err(InclusionError::Root { index, size });
            let other = leaf_hash(&size.to_be_bytes());
            prop_assert_eq!(check_inclusion(&proof, index, size, &other, &root), missing);
            let mut longer = proof.clone();
            longer.push(root);
            prop_assert_eq!(check_inclusion(&longer, index, size, &leaf, &root), missing);
            prop_assert_eq!(inclusion_root(&longer, index, size, &leaf), None);
            if !proof.is_empty() {
                let mut wrong = proof.clone();
                let at = usize::from(bent) % proof.len();
                wrong[at][0] ^= 1;
                prop_assert_eq!(check_inclusion(&wrong, index, size, &leaf, &root), missing);
                prop_assert_ne!(inclusion_root(&wrong, index, size, &leaf), Some(root));
                prop_assert_eq!(inclusion_root(&proof[1..], index, size, &leaf), None);
            }
        }
    }

    #[test]
    fn an_inner_node_is_no_leaf() {
        let disk = disk(&leaves(2));
        let (root, pair) = (root_at(&disk, 2, 2).unwrap(), disk("tile/0/000.p/2"));
        let forged = [&[1], pair.unwrap().as_slice()].concat();
        let missing = Err(InclusionError::Root { index: 0, size: 1 });
        let hash = leaf_hash(&forged[1..]);
        assert_eq!(check_inclusion(&[], 0, 1, &hash, &root), missing);
    }

    #[test]
    fn absurd_sizes_are_refused_without_work() {
        let disk = disk(&leaves(3));
        let sizes = |from, to| Err(TreeError::Sizes { from, to });
        assert_eq!(inclusion_proof(&disk, 3, 3, 3), sizes(3, 3));
        assert_eq!(inclusion_proof(&disk, 3, 0, 4), sizes(0, 4));
        let (index, size) = (5, u64::MAX);
        assert_eq!(
            check_inclusion(&[], index, size, &[0; 32], &[0; 32]),
            Err(InclusionError::Index { index, size })
        );
        assert_eq!(
            check_inclusion(&[[0; 32]; 64], 0, 4, &[0; 32], &[0; 32]),
            Err(InclusionError::Root { index: 0, size: 4 })
        );
        assert_eq!(inclusion_root(&[], u64::MAX, u64::MAX, &[0; 32]), None);
        assert_eq!(consistency_roots(&[], 0, 4, Some(&[0; 32])), None);
        assert_eq!(consistency_roots(&[], 5, 4, Some(&[0; 32])), None);
        assert_eq!(consistency_roots(&[], 1, u64::MAX, Some(&[0; 32])), None);
    }
}
