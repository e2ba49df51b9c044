//! Near matching over entries that come and go, as a gateway holds them for a member.
//!
//! New hashes are compared one by one until there are enough of them to build the lists of [`Slots`] anew; removed ones are
//! marked and dropped then. So a change costs little at once and a part of a build, O(n / 4,096), on average. In scope:
//! one list in memory, one owner. Out of scope: locks, who may ask, where entries come from (`subset`).

use std::collections::BinaryHeap;
use std::ops::Range;

use super::slots::{Hash, Slots, Threshold};

/// New hashes that are compared one by one: some 20 µs a query.
const RECENT_MAX: usize = 4_096;

/// PDQ hashes under keys, each of which may have several. A key is what the caller knows an entry by.
#[derive(Debug)]
pub struct Live<K> {
    bound: usize,
    settled: Slots,
    /// Of each settled hash, by its number.
    keys: Vec<K>,
    /// Whether it is still there, by its number.
    kept: Vec<bool>,
    removed: usize,
    /// Numbers of settled hashes in the order of their keys.
    by_key: Vec<u32>,
    /// Ascending.
    recent: Vec<(K, Hash)>,
}

/// A list that holds as many hashes as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the near index holds {bound} hashes, which is its bound")]
pub struct Full {
    /// How many.
    pub bound: usize,
}

/// One match.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NearMatch<K> {
    /// Bits that differ.
    pub distance: u8,
    /// Whose hash it is.
    pub key: K,
}

impl<K: Ord + Clone> Live<K> {
    /// An empty list of at most `bound` hashes: about 150 bytes each for keys of 24.
    #[must_use]
    pub fn new(bound: usize) -> Self {
        Self {
            bound: bound.min(u32::MAX as usize),
            settled: Slots::default(),
            keys: Vec::new(),
            kept: Vec::new(),
            removed: 0,
            by_key: Vec::new(),
            recent: Vec::new(),
        }
    }

    /// A list of these, built at once.
    ///
    /// # Errors
    /// [`Full`].
    pub fn of(hashes: impl IntoIterator<Item = (K, Hash)>, bound: usize) -> Result<Self, Full> {
        let mut live = Self::new(bound);
        let mut all = Vec::new();
        for pair in hashes {
            if all.len() == live.bound {
                return Err(Full { bound: live.bound });
            }
            all.push(pair);
        }
        live.build(all);
        Ok(live)
    }

    /// How many hashes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len() - self.removed + self.recent.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let keys = size_of_val(&*self.keys) + size_of_val(&*self.by_key) + self.kept.len();
        self.settled.bytes() + keys + size_of_val(&*self.recent)
    }

    /// Adds a hash under a key. What is there already stays as it is.
    ///
    /// # Errors
    /// [`Full`].
    pub fn put(&mut self, key: K, hash: Hash) -> Result<(), Full> {
        let mut settled = self.by_key[self.settled_of(&key)].iter();
        if settled.any(|it| self.kept[*it as usize] && self.settled.hash(*it) == Some(&hash)) {
            return Ok(());
        }
        let pair = (key, hash);
        let Err(place) = self.recent.binary_search(&pair) else {
            return Ok(());
        };
        if self.len() >= self.bound {
            return Err(Full { bound: self.bound });
        }
        self.recent.insert(place, pair);
        if self.recent.len() > RECENT_MAX {
            self.settle();
        }
        Ok(())
    }

    /// Takes every hash of a key out; how many that were.
    pub fn remove(&mut self, key: &K) -> usize {
        let before = self.len();
        for number in &self.by_key[self.settled_of(key)] {
            let kept = &mut self.kept[*number as usize];
            self.removed += usize::from(*kept);
            *kept = false;
        }
        let first = self.recent.partition_point(|(it, _)| it < key);
        let last = self.recent.partition_point(|(it, _)| it <= key);
        self.recent.drain(first..last);
        let gone = before - self.len();
        if self.removed > RECENT_MAX.max(self.keys.len() / 2) {
            self.settle();
        }
        gone
    }

    /// The nearest matches within the threshold, nearest first, at most `most`; and whether there are more.
    #[must_use]
    pub fn near(
        &self,
        query: &Hash,
        threshold: Threshold,
        most: usize,
    ) -> (Vec<NearMatch<K>>, bool) {
        let mut nearest = Nearest::new(most);
        self.settled.near(query, threshold, |number, distance| {
            let number = number as usize;
            if self.kept[number] {
                nearest.take(distance, &self.keys[number]);
            }
        });
        for (key, hash) in &self.recent {
            if let Ok(distance) = u8::try_from(hash.distance(query))
                && distance <= threshold.get()
            {
                nearest.take(distance, key);
            }
        }
        nearest.finish()
    }

    /// Where the settled hashes of a key stand in the order of keys, removed ones among them.
    fn settled_of(&self, key: &K) -> Range<usize> {
        let key_of = |number: &u32| &self.keys[*number as usize];
        let first = self.by_key.partition_point(|it| key_of(it) < key);
        let rest = &self.by_key[first..];
        first..first + rest.partition_point(|it| key_of(it) <= key)
    }

    /// Builds the lists anew of what is there.
    fn settle(&mut self) {
        let keys = std::mem::take(&mut self.keys).into_iter();
        let kept = keys.zip(std::mem::take(&mut self.kept));
        let settled = std::mem::take(&mut self.settled).into_hashes();
        let mut all: Vec<(K, Hash)> = kept
            .zip(settled)
            .filter_map(|((key, kept), hash)| kept.then_some((key, hash)))
            .collect();
        all.append(&mut self.recent);
        self.build(all);
    }

    fn build(&mut self, mut all: Vec<(K, Hash)>) {
        // Ascending hashes are the fastest to search.
        all.sort_unstable_by(|(a, x), (b, y)| (x, a).cmp(&(y, b)));
        all.dedup();
        let (keys, hashes): (Vec<K>, Vec<Hash>) = all.into_iter().unzip();
        let mut by_key: Vec<u32> = (0..).zip(&keys).map(|(number, _)| number).collect();
        by_key.sort_by(|a, b| keys[*a as usize].cmp(&keys[*b as usize]));
        self.settled = Slots::new(hashes);
        self.kept = vec![true; keys.len()];
        self.removed = 0;
        self.keys = keys;
        self.by_key = by_key;
    }
}

/// The nearest of the matches seen so far.
struct Nearest<K> {
    most: usize,
    seen: usize,
    /// A heap, the furthest on top.
    matches: BinaryHeap<NearMatch<K>>,
}

impl<K: Ord + Clone> Nearest<K> {
    fn new(most: usize) -> Self {
        let matches = BinaryHeap::new();
        Self {
            most,
            seen: 0,
            matches,
        }
    }

    fn take(&mut self, distance: u8, key: &K) {
        self.seen += 1;
        let is_full = self.matches.len() == self.most;
        let furthest = self.matches.peek();
        if is_full && furthest.is_none_or(|it| (it.distance, &it.key) <= (distance, key)) {
            return;
        }
        if is_full {
            self.matches.pop();
        }
        let key = key.clone();
        self.matches.push(NearMatch { distance, key });
    }

    fn finish(self) -> (Vec<NearMatch<K>>, bool) {
        let more = self.seen > self.matches.len();
        (self.matches.into_sorted_vec(), more)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn hash(seed: u64) -> Hash {
        Hash::new(blake3::hash(&seed.to_le_bytes()).as_bytes())
    }

    /// A hash some bits away.
    fn close(seed: u64, bits: usize) -> Hash {
        let mut bytes = *blake3::hash(&seed.to_le_bytes()).as_bytes();
        (0..bits).for_each(|bit| bytes[bit * 7 % 32] ^= 1 << (bit / 32));
        Hash::new(&bytes)
    }

    fn keys(live: &Live<u64>, query: &Hash) -> Vec<(u8, u64)> {
        let (matches, more) = live.near(query, Threshold::MAX, 100);
        assert!(!more);
        matches
            .into_iter()
            .map(|it| (it.distance, it.key))
            .collect()
    }

    #[test]
    fn what_is_put_is_found_and_what_is_removed_is_not_across_builds() {
        let mut live = Live::new(usize::MAX);
        let count = 3 * RECENT_MAX as u64;
        for key in 0..count {
            live.put(key, hash(key)).unwrap();
        }
        assert!(live.settled.len() > RECENT_MAX && !live.recent.is_empty());
        for key in (0..count).step_by(2) {
            assert_eq!(live.remove(&key), 1);
            assert_eq!(live.remove(&key), 0);
        }
        assert_eq!(live.len() as u64, count / 2);
        for key in (0..count).step_by(97) {
            let expected = if key % 2 == 0 { vec![] } else { vec![(9, key)] };
            assert_eq!(keys(&live, &close(key, 9)), expected, "{key}");
        }
    }

    #[test]
    fn a_hash_that_is_put_again_after_it_was_removed_is_found_once() {
        let all = (0..2 * RECENT_MAX as u64).map(|key| (key, hash(key)));
        let mut live = Live::of(all, usize::MAX).unwrap();
        let before = live.len();
        live.put(7, hash(7)).unwrap();
        assert_eq!(live.len(), before);
        assert_eq!(live.remove(&7), 1);
        assert!(keys(&live, &hash(7)).is_empty());
        live.put(7, hash(7)).unwrap();
        live.put(7, hash(7)).unwrap();
        assert_eq!(keys(&live, &hash(7)), [(0, 7)]);
        assert_eq!(live.len(), before);
    }

    #[test]
    fn the_bound_is_kept_and_room_made_by_a_removal_is_used() {
        let mut live = Live::new(2);
        live.put(1, hash(1)).unwrap();
        live.put(2, hash(2)).unwrap();
        assert_eq!(live.put(3, hash(3)), Err(Full { bound: 2 }));
        live.put(2, hash(2)).unwrap();
        live.remove(&1);
        live.put(3, hash(3)).unwrap();
        assert_eq!(live.len(), 2);
        assert!(Live::of((0..3).map(|key| (key, hash(key))), 2).is_err());
    }

    #[test]
    fn the_nearest_are_told_first_and_that_there_are_more() {
        let all = (0..20).map(|bits| (bits as u64, close(1, bits)));
        let live = Live::of(all, usize::MAX).unwrap();
        let (matches, more) = live.near(&hash(1), Threshold::MAX, 5);
        let distances: Vec<u8> = matches.iter().map(|it| it.distance).collect();
        assert_eq!((distances, more), (vec![0, 1, 2, 3, 4], true));
        let (none, more) = live.near(&hash(1), Threshold::MAX, 0);
        assert!(none.is_empty() && more);
    }

    proptest! {
        /// Against a plain map, with several hashes a key.
        #[test]
        fn agrees_with_a_map(steps in proptest::collection::vec((0_u64..6, 0_usize..4, any::<bool>()), 1..60)) {
            let mut live = Live::new(usize::MAX);
            let mut map: BTreeMap<u64, Vec<Hash>> = BTreeMap::new();
            for (number, (key, bits, is_put)) in steps.into_iter().enumerate() {
                if is_put {
                    live.put(key, close(1, bits)).unwrap();
                    let hashes = map.entry(key).or_default();
                    if !hashes.contains(&close(1, bits)) {
                        hashes.push(close(1, bits));
                    }
                } else {
                    let gone = map.remove(&key).map_or(0, |it| it.len());
                    prop_assert_eq!(live.remove(&key), gone);
                }
                if number % 7 == 0 {
                    live.settle();
                }
                let expected = map.iter().flat_map(|(key, hashes)| hashes.iter().map(|hash| {
                    (u8::try_from(hash.distance(&hash_of_query())).unwrap(), *key)
                }));
                let mut expected: Vec<_> = expected.collect();
                expected.sort_unstable();
                prop_assert_eq!(keys(&live, &hash_of_query()), expected);
            }
        }
    }

    fn hash_of_query() -> Hash {
        hash(1)
    }
}
