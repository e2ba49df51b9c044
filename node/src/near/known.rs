//! What a synced list says of a file's fingerprints: in which tier each matches, and how far away.
//!
//! | tier | what it is |
//! |---|---|
//! | T1 | the same file, by a digest; `weak` if MD5 or SHA-1 alone say so, as files can be made to share one |
//! | T2 | the same perceptual hash |
//! | T3 | a PDQ hash some bits away: a person looks before anybody reports it |
//!
//! Source: domain table 2.2. In scope: one file at a time. Out of scope: hashing (`hashing`), words (`cli`).

use hashpact_protocol::fingerprint::{Algorithm, Fingerprint};

use super::file::{Hit, Index};
use super::slots::{Hash, Slots, Threshold};

/// Matches told of one fingerprint, at most: the nearest. Who lists a thousand hashes alike tells no more with them.
pub const MATCHES_MAX: usize = 64;

/// A list, ready to be asked.
pub struct Known {
    index: Index,
    near: Option<Near>,
}

struct Near {
    threshold: Threshold,
    slots: Slots,
    /// Of each PDQ hash, by its number.
    entries: Vec<u32>,
}

/// How a fingerprint matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// The same digest.
    T1,
    /// The same perceptual hash.
    T2,
    /// A near one.
    T3,
}

/// One match of one fingerprint.
#[derive(Clone, Copy, Debug)]
pub struct Match<'a> {
    /// In which tier.
    pub tier: Tier,
    /// Bits that differ.
    pub distance: u8,
    /// What it matches.
    pub hit: Hit<'a>,
    /// The quality that the list gives for its PDQ hash, where it was found by nearness.
    pub quality: Option<u8>,
}

impl Tier {
    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::T1 => "T1",
            Self::T2 => "T2",
            Self::T3 => "T3",
        }
    }

    /// Of an equal value of this algorithm.
    #[must_use]
    pub fn exact(algorithm: &Algorithm) -> Self {
        match algorithm {
            Algorithm::Md5 | Algorithm::Sha1 | Algorithm::Sha256 | Algorithm::Blake3 => Self::T1,
            Algorithm::Pdq | Algorithm::PhotoDna | Algorithm::Other(_) => Self::T2,
        }
    }
}

/// Whether a match by this algorithm alone is weak: different files can be made to share it.
#[must_use]
pub fn is_weak(algorithm: &Algorithm) -> bool {
    match algorithm {
        Algorithm::Md5 | Algorithm::Sha1 => true,
        Algorithm::Sha256
        | Algorithm::Blake3
        | Algorithm::Pdq
        | Algorithm::PhotoDna
        | Algorithm::Other(_) => false,
    }
}

impl Known {
    /// This list; PDQ hashes are matched within `near`, or else exactly.
    #[must_use]
    pub fn new(index: Index, near: Option<Threshold>) -> Self {
        let near = near.map(|threshold| {
            let pairs = index.pdq().map(|(bytes, entry)| (Hash::new(bytes), entry));
            let (hashes, entries) = pairs.unzip();
            Near {
                threshold,
                slots: Slots::new(hashes),
                entries,
            }
        });
        Self { index, near }
    }

    /// The list.
    #[must_use]
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The matches of a fingerprint, nearest first, at most [`MATCHES_MAX`].
    #[must_use]
    pub fn matches(&self, fingerprint: &Fingerprint) -> Vec<Match<'_>> {
        if let (Some(near), Some(hash)) = (&self.near, Hash::of(fingerprint)) {
            return self.near(near, &hash);
        }
        let tier = Tier::exact(fingerprint.algorithm());
        let hits = self.index.find(fingerprint).iter();
        let hits = hits.filter_map(|ordinal| self.index.hit(*ordinal));
        let one = |hit| Match {
            tier,
            distance: 0,
            hit,
            quality: None,
        };
        hits.map(one).take(MATCHES_MAX).collect()
    }

    fn near(&self, near: &Near, hash: &Hash) -> Vec<Match<'_>> {
        let mut found: Vec<(u8, u32)> = Vec::new();
        near.slots.near(hash, near.threshold, |number, distance| {
            found.push((distance, number));
            // Kept short while it is gathered: a list may hold any number of hashes alike.
            if found.len() == 2 * MATCHES_MAX {
                found.sort_unstable();
                found.truncate(MATCHES_MAX);
            }
        });
        found.sort_unstable();
        let found = found.into_iter().filter_map(|(distance, number)| {
            let number = number as usize;
            Some(Match {
                tier: if distance == 0 { Tier::T2 } else { Tier::T3 },
                distance,
                hit: self.index.hit(*near.entries.get(number)?)?,
                quality: self.index.quality(number),
            })
        });
        found.take(MATCHES_MAX).collect()
    }
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Known")
            .field("index", &self.index)
            .finish_non_exhaustive()
    }
}
