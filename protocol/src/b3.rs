//! BLAKE3 under named contexts: `B3[x]` of the delta format.
//!
//! Why: every use of the hash has its own derive-key context `hashpact <x> v1`, so no value of one use can stand in for
//! another. Spec: `docs/protocol.md`, "Delta"; BLAKE3 paper section 2.3. In scope: the contexts. Out of scope: trees.

use std::sync::LazyLock;

use blake3::hazmat::{ContextKey, HasherExt, hash_derive_key_context};

/// A 32-byte hash.
pub type Hash = [u8; 32];

/// One context, prepared once.
pub(crate) struct Domain(LazyLock<ContextKey>);

impl Domain {
    /// `B3[x]` of the concatenation of the parts.
    pub(crate) fn hash(&self, parts: &[&[u8]]) -> Hash {
        self.hasher().hash(parts)
    }

    /// A hasher for many hashes in a row: setting one up costs a tenth of a short hash.
    pub(crate) fn hasher(&self) -> DomainHasher {
        DomainHasher(blake3::Hasher::new_from_context_key(&self.0))
    }

    /// A hash of an input that comes in pieces.
    pub(crate) fn running(&self) -> Running {
        Running(blake3::Hasher::new_from_context_key(&self.0))
    }
}

/// Hashes one input, piece by piece, under one context.
#[derive(Clone)]
pub(crate) struct Running(blake3::Hasher);

impl Running {
    pub(crate) fn update(&mut self, part: &[u8]) {
        self.0.update(part);
    }

    pub(crate) fn finish(&self) -> Hash {
        *self.0.finalize().as_bytes()
    }
}

/// Hashes one input after the other under one context.
pub(crate) struct DomainHasher(blake3::Hasher);

impl DomainHasher {
    /// As [`Domain::hash`].
    pub(crate) fn hash(&mut self, parts: &[&[u8]]) -> Hash {
        self.0.reset();
        for part in parts {
            self.0.update(part);
        }
        *self.0.finalize().as_bytes()
    }
}

macro_rules! domains {
    ($($(#[$doc:meta])* $name:ident = $context:literal;)+) => {
        $($(#[$doc])* pub(crate) static $name: Domain =
            Domain(LazyLock::new(|| hash_derive_key_context($context)));)+
        #[cfg(test)]
        const CONTEXTS: &[&str] = &[$($context),+];
    };
}

domains! {
    /// A salted record.
    LEAF = "hashpact leaf v1";
    /// An inner node over records.
    NODE = "hashpact node v1";
    /// A class root, bound to its place.
    CLASS = "hashpact class v1";
    /// A retraction list, bound to its place.
    RETRACTIONS = "hashpact retractions v1";
    /// A row of a class table.
    TABLE_LEAF = "hashpact table-leaf v1";
    /// An inner node over a class table.
    TABLE_NODE = "hashpact table-node v1";
    /// A signed object that a log holds sealed.
    DISCLOSURE = "hashpact disclosure v1";
    /// What is matched, and where: the place of tags.
    MATCH_SPACE = "hashpact match-space v1";
    /// What a principal may do with a class, and all that may be done with it.
    MATCH_ROW = "hashpact match-row v1";
    /// A tag of private matching.
    TAG = "hashpact tag v1";
    /// A chunk of a match segment.
    MATCH_CHUNK = "hashpact match-chunk v1";
    /// An inner node over chunks.
    MATCH_NODE = "hashpact match-node v1";
    /// The key of one sealed label.
    MATCH_LABEL = "hashpact match-label v1";
    /// The blinded points of a session, in order.
    MATCH_QUERY = "hashpact match-query v1";
    /// Which tags an auditor's sample opens.
    MATCH_DRAW = "hashpact match-draw v1";
    /// The seed of a session's blinds.
    MATCH_BLINDS = "hashpact match-blinds v1";
}

/// Root of the Merkle tree over `leaves` in the shape of RFC 6962 section 2.1 (each inner node splits at the largest power
/// of two below its size). `None` for no leaves. O(n) hashes, O(log n) memory beside the input.
pub(crate) fn merkle_root(node: &Domain, leaves: impl IntoIterator<Item = Hash>) -> Option<Hash> {
    let mut tree = Growing::new(node);
    leaves.into_iter().for_each(|leaf| tree.push(leaf));
    tree.root()
}

/// The tree of [`merkle_root`] while its leaves come one by one.
pub(crate) struct Growing {
    node: DomainHasher,
    /// Perfect subtrees from left to right, each smaller than the one before: a binary counter.
    perfect: Vec<(u32, Hash)>,
}

impl Growing {
    pub(crate) fn new(node: &Domain) -> Self {
        Self {
            node: node.hasher(),
            perfect: Vec::with_capacity(33),
        }
    }

    pub(crate) fn push(&mut self, leaf: Hash) {
        let (mut height, mut hash) = (0, leaf);
        while let Some((top, left)) = self.perfect.last().copied()
            && top == height
        {
            self.perfect.pop();
            hash = self.node.hash(&[&left, &hash]);
            height += 1;
        }
        self.perfect.push((height, hash));
    }

    /// The root over what was pushed; nothing without a leaf.
    pub(crate) fn root(&mut self) -> Option<Hash> {
        let (_, mut root) = self.perfect.pop()?;
        while let Some((_, left)) = self.perfect.pop() {
            root = self.node.hash(&[&left, &root]);
        }
        Some(root)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 6962 section 2.1, as written there: recursion on the split.
    fn by_definition(leaves: &[Hash]) -> Hash {
        if let [leaf] = leaves {
            return *leaf;
        }
        let split = 1 << (usize::BITS - 1 - (leaves.len() - 1).leading_zeros());
        let (left, right) = (
            by_definition(&leaves[..split]),
            by_definition(&leaves[split..]),
        );
        NODE.hash(&[&left, &right])
    }

    proptest! {
        #[test]
        fn root_has_the_shape_of_the_definition(leaves in prop::collection::vec(any::<[u8; 32]>(), 1..70)) {
            prop_assert_eq!(merkle_root(&NODE, leaves.clone()), Some(by_definition(&leaves)));
        }
    }

    #[test]
    fn contexts_are_distinct() {
        let mut sorted = CONTEXTS.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), CONTEXTS.len());
        assert_ne!(LEAF.hash(&[b"x"]), NODE.hash(&[b"x"]));
    }

    #[test]
    fn domain_is_derive_key_mode() {
        assert_eq!(
            LEAF.hash(&[b"ab", b"c"]),
            blake3::derive_key("hashpact leaf v1", b"abc")
        );
    }
}
