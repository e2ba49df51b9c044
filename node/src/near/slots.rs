//! Near matching of PDQ hashes: every one at most 31 bits away, and none missed.
//!
//! A hash is cut into 16 slots of 16 bits. Two hashes that differ in at most 31 bits differ in at most one bit of some slot:
//! else each of 16 slots would have two, which makes 32. So the hashes whose slot equals the query's, or is one flip away
//! from it, hold every answer: 17 short lists for each slot, and the distance is counted for what stands in them. For smaller
//! thresholds fewer slots, or fewer with flips, are enough (`Threshold::probes`). Nothing is estimated: recall is 1.
//!
//! Laid out for the cache: the lists of a slot lie one behind the other, in the order of the slot's value, as numbers of 4
//! bytes; the lists of most flips are then neighbours. Half of the bits of a hash are counted first, which is where nearly
//! every candidate ends. Memory: 96 bytes a hash and 4 MiB. Time: at a million hashes that are spread evenly about 4,150
//! candidates a query. Where many hashes agree in a slot a query counts more of them, each at most 16 times: a list that is
//! made to be slow costs what 16 scans cost. Source: Norouzi, Punjani, Fleet, "Fast search in Hamming space with multi-index
//! hashing" (CVPR 2012). In scope: memory. Out of scope: values that come and go (`live`).

use std::fmt;
use std::str::FromStr;

use hashpact_protocol::fingerprint::{Algorithm, Fingerprint};

/// Slots of a hash.
const SLOTS: usize = 16;
/// Values that a slot can have.
const SLOT_VALUES: usize = 1 << 16;
/// Up to so many hashes are compared one by one: that is faster than 272 lists, and needs no directory.
const SCANNED_MAX: usize = 4_096;

/// A distance up to which hashes match: 0 to 31 bits of 256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Threshold(u8);

/// A number that is no threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a threshold is 0 to 31 bits")]
pub struct ThresholdError;

/// A PDQ hash as it is compared.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hash([u64; 4]);

/// Hashes, numbered from 0, and the lists that find them.
#[derive(Default)]
pub struct Slots {
    hashes: Vec<Hash>,
    /// Numbers of hashes: for each slot all of them, in the order of that slot's value. Empty if they are scanned.
    lists: Vec<u32>,
    /// For each slot where the list of each value begins among the slot's, and one more where they end.
    starts: Vec<u32>,
}

impl Threshold {
    /// The largest: near matches are told up to here.
    pub const MAX: Self = Self(31);
    /// Equality.
    pub const ZERO: Self = Self(0);

    /// A threshold of so many bits.
    ///
    /// # Errors
    /// [`ThresholdError`].
    pub fn new(bits: u8) -> Result<Self, ThresholdError> {
        match bits <= Self::MAX.0 {
            true => Ok(Self(bits)),
            false => Err(ThresholdError),
        }
    }

    /// The bits.
    #[must_use]
    pub fn get(self) -> u8 {
        self.0
    }

    /// How many slots are looked at, and in how many of these, from the first on, one bit may differ.
    ///
    /// Up to 15 bits leave one of any (bits + 1) slots untouched. Of more, some of the first (bits - 15) slots has at most
    /// one, or some other none: else they make 2 (bits - 15) + 16 - (bits - 15) = bits + 1.
    fn probes(self) -> (usize, usize) {
        let bits = usize::from(self.0);
        ((bits + 1).min(SLOTS), (bits + 1).saturating_sub(SLOTS))
    }
}

impl FromStr for Threshold {
    type Err = ThresholdError;

    fn from_str(text: &str) -> Result<Self, ThresholdError> {
        Self::new(text.parse().map_err(|_| ThresholdError)?)
    }
}

impl Hash {
    /// The hash with these bytes.
    #[must_use]
    pub fn new(bytes: &[u8; 32]) -> Self {
        let mut words = [0; 4];
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
            *word = u64::from_be_bytes(*bytes);
        }
        Self(words)
    }

    /// Of a PDQ fingerprint; none of any other.
    #[must_use]
    pub fn of(fingerprint: &Fingerprint) -> Option<Self> {
        let bytes = fingerprint.bytes().try_into().ok()?;
        (*fingerprint.algorithm() == Algorithm::Pdq).then(|| Self::new(bytes))
    }

    /// Bits that differ, 0 to 256.
    #[must_use]
    pub fn distance(&self, other: &Self) -> u32 {
        let pairs = self.0.iter().zip(&other.0);
        pairs.map(|(a, b)| (a ^ b).count_ones()).sum()
    }

    /// The distance, if it is at most this.
    fn within(&self, other: &Self, bits: u32) -> Option<u8> {
        let [a, b, c, d] = self.0;
        let [e, f, g, h] = other.0;
        let half = (a ^ e).count_ones() + (b ^ f).count_ones();
        if half > bits {
            return None;
        }
        let all = half + (c ^ g).count_ones() + (d ^ h).count_ones();
        u8::try_from(all).ok().filter(|_| all <= bits)
    }

    fn slots(&self) -> [u16; SLOTS] {
        let mut slots = [0; SLOTS];
        let bytes = self.0.map(u64::to_be_bytes);
        for (slot, pair) in slots.iter_mut().zip(bytes.as_flattened().as_chunks().0) {
            *slot = u16::from_be_bytes(*pair);
        }
        slots
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hash(32 bytes)")
    }
}

impl Slots {
    /// Builds the lists of these hashes, which keep their order as their numbers. Fastest to search if they ascend. O(n).
    ///
    /// At most 2^32 - 1 hashes; the rest is not found, so callers bound their lists (`file::ROWS_MAX`, `live`).
    #[must_use]
    pub fn new(hashes: Vec<Hash>) -> Self {
        let mut slots = Self {
            hashes,
            ..Self::default()
        };
        let count = slots.hashes.len();
        if count <= SCANNED_MAX {
            return slots;
        }
        slots.lists = vec![0; count * SLOTS];
        slots.starts = vec![0; (SLOT_VALUES + 1) * SLOTS];
        let lists = slots.lists.chunks_exact_mut(count);
        let starts = slots.starts.chunks_exact_mut(SLOT_VALUES + 1);
        for (slot, (list, starts)) in lists.zip(starts).enumerate() {
            sort_by_slot(&slots.hashes, slot, list, starts);
        }
        slots
    }

    /// The hashes, by number.
    #[must_use]
    pub fn into_hashes(self) -> Vec<Hash> {
        self.hashes
    }

    /// How many hashes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// The hash with this number.
    #[must_use]
    pub fn hash(&self, number: u32) -> Option<&Hash> {
        self.hashes.get(number as usize)
    }

    /// Bytes of memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.hashes) + size_of_val(&*self.lists) + size_of_val(&*self.starts)
    }

    /// Tells `each` the number and distance of every hash within the threshold, each once, in no order.
    pub fn near(&self, query: &Hash, threshold: Threshold, mut each: impl FnMut(u32, u8)) {
        let bits = u32::from(threshold.0);
        if self.lists.is_empty() {
            for (number, hash) in (0..).zip(&self.hashes) {
                if let Some(distance) = hash.within(query, bits) {
                    each(number, distance);
                }
            }
            return;
        }
        let (looked_at, flipped) = threshold.probes();
        let values = query.slots();
        let lists = self.lists.chunks_exact(self.hashes.len());
        let starts = self.starts.chunks_exact(SLOT_VALUES + 1);
        for (slot, (list, starts)) in lists.zip(starts).enumerate().take(looked_at) {
            let mut visit = |value: u16| {
                let at = usize::from(value);
                let (from, to) = (starts[at] as usize, starts[at + 1] as usize);
                for number in list.get(from..to).unwrap_or_default() {
                    let Some(hash) = self.hashes.get(*number as usize) else {
                        continue;
                    };
                    if let Some(distance) = hash.within(query, bits)
                        && !is_told_before(hash, &values, slot, flipped)
                    {
                        each(*number, distance);
                    }
                }
            };
            visit(values[slot]);
            if slot < flipped {
                (0..16).for_each(|bit| visit(values[slot] ^ (1 << bit)));
            }
        }
    }
}

impl fmt::Debug for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slots({} hashes)", self.hashes.len())
    }
}

/// Whether an earlier slot led to this hash as well: it was told then.
#[cold]
fn is_told_before(hash: &Hash, query: &[u16; SLOTS], slot: usize, flipped: usize) -> bool {
    let pairs = hash.slots().into_iter().zip(query).take(slot).enumerate();
    let mut differences = pairs.map(|(slot, (a, b))| (slot, (a ^ b).count_ones()));
    differences.any(|(slot, bits)| bits <= u32::from(slot < flipped))
}

/// A counting sort of the numbers of hashes by one slot's value; equal ones keep their order.
fn sort_by_slot(hashes: &[Hash], slot: usize, list: &mut [u32], starts: &mut [u32]) {
    let value = |hash: &Hash| usize::from(hash.slots()[slot]);
    for hash in hashes {
        starts[value(hash) + 1] += 1;
    }
    let mut sum = 0;
    for start in starts.iter_mut() {
        sum += *start;
        *start = sum;
    }
    // Each start moves to the end of its list while that is filled, which is where the next begins: shifted back at last.
    for (number, hash) in (0..).zip(hashes) {
        let next = &mut starts[value(hash)];
        list[*next as usize] = number;
        *next += 1;
    }
    starts.copy_within(..SLOT_VALUES, 1);
    starts[0] = 0;
}

#[cfg(test)]
mod tests;
