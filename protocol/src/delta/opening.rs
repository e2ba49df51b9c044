//! Which leaves of a class are opened: its tree of salts and records, cut where everything below is withheld.
//!
//! Why: a purged record leaves its leaf hash behind, and the rest of its class must still verify. Whoever withholds single
//! records destroys the class seed and every seed above them, and keeps the co-path: the seeds of the largest subtrees
//! without one of them (Goldreich, Goldwasser and Micali, 1986). A class wholly opened is one seed; one that is opened in
//! part is a stream, its tree in preorder:
//!
//! ```text
//! 0              N: a node of which some leaves are opened and some not; its left subtree follows, then its right one
//! 1 seed (32)    S: every leaf below is opened; at a leaf, its salt (16)
//! 2 hash (32)    H: no leaf below is opened
//! ```
//!
//! The shape follows from the count. One set of withheld leaves has one stream: two H under one N are one H, and two S under
//! one N were one S before anything was withheld, so both are refused, and the root is an N. Spec: `docs/protocol.md`,
//! "Body". In scope: reading, hashing and puncturing. Out of scope: what a section says beside its stream (`section`).

use zeroize::Zeroizing;

use super::{record_leaf, salts};
use crate::b3::{self, Hash};

const SPLIT: u8 = 0;
const OPEN: u8 = 1;
const HIDDEN: u8 = 2;

/// A node of a class's tree, and how much of it is opened. No Debug: it holds seeds.
pub(super) enum Opening {
    /// All leaves below, of which there are at least two, or one where the class has one.
    Seed(Zeroizing<[u8; 32]>),
    /// One leaf.
    Salt(Zeroizing<[u8; 16]>),
    /// No leaf below.
    Hidden(Hash),
    /// Some leaves below.
    Split(Box<[Opening; 2]>),
}

/// Why the stream of a partly withheld class is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// The stream ends within the tree.
    #[error("the stream ends at byte {at}, within the tree")]
    Short {
        /// Its length.
        at: usize,
    },
    /// A mark that is none, or that of an inner node at a leaf.
    #[error("byte {at} of the stream is {got}, which is no mark of a node there")]
    Mark {
        /// Where, in bytes.
        at: usize,
        /// What is there.
        got: u8,
    },
    /// Both halves of a node are withheld: that is the node withheld.
    #[error("both halves of the node at byte {at} of the stream are withheld")]
    BothHidden {
        /// Where, in bytes.
        at: usize,
    },
    /// Both halves of a node are opened: nobody destroys a seed that covers no withheld record.
    #[error("both halves of the node at byte {at} of the stream are opened")]
    BothOpen {
        /// Where, in bytes.
        at: usize,
    },
    /// The root is opened or withheld: such a class is disclosed, or withheld.
    #[error("the root of the stream is not cut")]
    Root,
    /// Bytes behind the tree.
    #[error("{got} bytes behind the tree of the stream")]
    Trailing {
        /// How many.
        got: usize,
    },
}

impl Opening {
    /// All of a class under its seed.
    pub(super) fn whole(seed: &[u8; 32]) -> Self {
        Self::Seed(Zeroizing::new(*seed))
    }

    /// Reads the stream of a class of `leaves` records. O(bytes); recursion is as deep as the tree, 16 at most.
    ///
    /// # Errors
    /// [`StreamError`].
    pub(super) fn read(stream: &[u8], leaves: usize) -> Result<Self, StreamError> {
        let mut at = 0;
        let root = Self::read_node(stream, &mut at, leaves)?;
        match root {
            Self::Split(_) if at == stream.len() => Ok(root),
            Self::Split(_) => Err(StreamError::Trailing {
                got: stream.len() - at,
            }),
            Self::Seed(_) | Self::Salt(_) | Self::Hidden(_) => Err(StreamError::Root),
        }
    }

    fn read_node(stream: &[u8], at: &mut usize, leaves: usize) -> Result<Self, StreamError> {
        let start = *at;
        let [mark] = take(stream, at)?;
        match (mark, leaves) {
            (SPLIT, 2..) => {
                let split = salts::split(leaves);
                let left = Self::read_node(stream, at, split)?;
                let right = Self::read_node(stream, at, leaves - split)?;
                match (&left, &right) {
                    (Self::Hidden(_), Self::Hidden(_)) => {
                        Err(StreamError::BothHidden { at: start })
                    }
                    (Self::Seed(_) | Self::Salt(_), Self::Seed(_) | Self::Salt(_)) => {
                        Err(StreamError::BothOpen { at: start })
                    }
                    (_, _) => Ok(Self::Split(Box::new([left, right]))),
                }
            }
            (OPEN, 1) => Ok(Self::Salt(Zeroizing::new(take(stream, at)?))),
            (OPEN, _) => Ok(Self::Seed(Zeroizing::new(take(stream, at)?))),
            (HIDDEN, _) => Ok(Self::Hidden(take(stream, at)?)),
            (got, _) => Err(StreamError::Mark { at: start, got }),
        }
    }

    /// Appends the stream.
    pub(super) fn write(&self, stream: &mut Vec<u8>) {
        match self {
            Self::Seed(seed) => {
                stream.push(OPEN);
                stream.extend_from_slice(&seed[..]);
            }
            Self::Salt(salt) => {
                stream.push(OPEN);
                stream.extend_from_slice(&salt[..]);
            }
            Self::Hidden(hash) => {
                stream.push(HIDDEN);
                stream.extend_from_slice(hash);
            }
            Self::Split(halves) => {
                stream.push(SPLIT);
                halves.iter().for_each(|half| half.write(stream));
            }
        }
    }

    /// How many of `leaves` are opened.
    pub(super) fn opened(&self, leaves: usize) -> usize {
        match self {
            Self::Seed(_) | Self::Salt(_) => leaves,
            Self::Hidden(_) => 0,
            Self::Split(halves) => {
                let split = salts::split(leaves);
                halves[0].opened(split) + halves[1].opened(leaves - split)
            }
        }
    }

    /// Calls `each` with place and salt of every opened leaf in order. The places begin at `first`.
    pub(super) fn for_each_salt(
        &self,
        first: usize,
        leaves: usize,
        each: &mut impl FnMut(usize, [u8; 16]),
    ) {
        match self {
            Self::Seed(seed) => {
                salts::for_each_salt(seed, leaves, |index, salt| each(first + index, salt));
            }
            Self::Salt(salt) => each(first, **salt),
            Self::Hidden(_) => {}
            Self::Split(halves) => {
                let split = salts::split(leaves);
                halves[0].for_each_salt(first, split, each);
                halves[1].for_each_salt(first + split, leaves - split, each);
            }
        }
    }

    /// Root over the class: `items` are the records of the opened leaves in order, as many as [`Opening::opened`] says.
    pub(super) fn root(&self, items: &[&[u8]], leaves: usize) -> Hash {
        match self {
            Self::Seed(seed) => tree_root(seed, items),
            Self::Salt(salt) => items
                .first()
                .map_or(Hash::default(), |item| record_leaf(salt, item)),
            Self::Hidden(hash) => *hash,
            Self::Split(halves) => {
                let split = salts::split(leaves);
                let here = halves[0].opened(split).min(items.len());
                let (left, right) = items.split_at(here);
                let left = halves[0].root(left, split);
                let right = halves[1].root(right, leaves - split);
                b3::NODE.hash(&[&left, &right])
            }
        }
    }

    /// Withholds single records: `records` are those of the opened leaves in order, each with whether it goes.
    ///
    /// Every seed above one that goes is dropped, and what stays is the co-path.
    pub(super) fn puncture(self, records: &[(&[u8], bool)], leaves: usize) -> Self {
        if records.iter().all(|(_, goes)| !goes) {
            return self;
        }
        let halves = match self {
            Self::Hidden(_) => return self,
            Self::Salt(salt) => return Self::hide(&salt, records),
            Self::Seed(seed) if leaves == 1 => return Self::hide(&leaf_salt(&seed), records),
            Self::Seed(seed) => {
                let (left, right) = salts::children(&seed);
                let split = salts::split(leaves);
                [Self::below(left, split), Self::below(right, leaves - split)]
            }
            Self::Split(halves) => *halves,
        };
        let [left, right] = halves;
        let split = salts::split(leaves);
        let (before, behind) = records.split_at(left.opened(split).min(records.len()));
        let left = left.puncture(before, split);
        let right = right.puncture(behind, leaves - split);
        match (&left, &right) {
            (Self::Hidden(left), Self::Hidden(right)) => {
                Self::Hidden(b3::NODE.hash(&[left, right]))
            }
            (_, _) => Self::Split(Box::new([left, right])),
        }
    }

    fn hide(salt: &[u8; 16], records: &[(&[u8], bool)]) -> Self {
        let record = records.first().map_or(&[][..], |(record, _)| record);
        Self::Hidden(record_leaf(salt, record))
    }

    fn below(seed: [u8; 32], leaves: usize) -> Self {
        let seed = Zeroizing::new(seed);
        match leaves {
            1 => Self::Salt(Zeroizing::new(leaf_salt(&seed))),
            _ => Self::Seed(seed),
        }
    }
}

fn leaf_salt(seed: &[u8; 32]) -> [u8; 16] {
    let mut salt = [0; 16];
    salt.copy_from_slice(&seed[..16]);
    salt
}

fn take<const N: usize>(stream: &[u8], at: &mut usize) -> Result<[u8; N], StreamError> {
    let short = StreamError::Short { at: stream.len() };
    let (head, _) = stream
        .get(*at..)
        .and_then(|rest| rest.split_first_chunk::<N>())
        .ok_or(short)?;
    *at += N;
    Ok(*head)
}

/// Root over the salted records under one seed; `items` is not empty.
pub(super) fn tree_root(seed: &[u8; 32], items: &[&[u8]]) -> Hash {
    let mut leaves = Vec::with_capacity(items.len());
    // As `record_leaf`, with one hasher for all.
    let mut leaf = b3::LEAF.hasher();
    salts::for_each_salt(seed, items.len(), |index, salt| {
        leaves.push(leaf.hash(&[&salt, items[index]]));
    });
    b3::merkle_root(&b3::NODE, leaves).unwrap_or_default()
}
