//! Recall is 1 at every threshold, against a scan.

use proptest::prelude::*;

use super::*;

fn random(seed: u64) -> Hash {
    Hash::new(blake3::hash(&seed.to_le_bytes()).as_bytes())
}

/// The same hash with these bits changed.
fn flipped(hash: &Hash, bits: impl IntoIterator<Item = usize>) -> Hash {
    let mut words = hash.0;
    for bit in bits {
        words[bit / 64] ^= 1 << (63 - bit % 64);
    }
    Hash(words)
}

fn told(slots: &Slots, query: &Hash, threshold: u8) -> Vec<(u32, u8)> {
    let mut told = Vec::new();
    let threshold = Threshold::new(threshold).unwrap();
    slots.near(query, threshold, |number, distance| {
        told.push((number, distance))
    });
    told.sort_unstable();
    told
}

fn by_scan(hashes: &[Hash], query: &Hash, threshold: u8) -> Vec<(u32, u8)> {
    let all = (0..)
        .zip(hashes)
        .map(|(number, hash)| (number, hash.distance(query)));
    let near = all.filter(|(_, distance)| *distance <= u32::from(threshold));
    near.map(|(number, distance)| (number, u8::try_from(distance).unwrap()))
        .collect()
}

/// Enough hashes that lists are used, with `close` behind them.
fn many(close: impl IntoIterator<Item = Hash>) -> Vec<Hash> {
    let far = (0..=SCANNED_MAX as u64).map(random);
    far.chain(close).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Hashes at every distance from 0 to 40 around a query, in a crowd.
    #[test]
    fn recall_is_one_at_every_threshold(
        seed in 1_u64 << 40..,
        orders in proptest::collection::vec(Just((0..256).collect::<Vec<usize>>()).prop_shuffle(), 41),
    ) {
        let query = random(seed);
        let at = |(distance, order): (usize, &Vec<usize>)| {
            flipped(&query, order[..distance].iter().copied())
        };
        let hashes = many(orders.iter().enumerate().map(at));
        let slots = Slots::new(hashes.clone());
        for threshold in 0..=31 {
            let told = told(&slots, &query, threshold);
            prop_assert_eq!(told.len(), usize::from(threshold) + 1);
            prop_assert_eq!(told, by_scan(&hashes, &query, threshold), "{}", threshold);
        }
    }
}

/// The worst for slots: the bits that differ are spread over them as evenly as can be, from any slot on.
#[test]
fn bits_that_are_spread_over_all_slots_hide_nothing() {
    let query = random(u64::MAX);
    for threshold in 0..=31_u8 {
        let spread = |first: usize| {
            let bit = |n: usize| (first + n) % 16 * 16 + n / 16;
            flipped(&query, (0..usize::from(threshold)).map(bit))
        };
        let hashes = many((0..16).map(spread));
        let slots = Slots::new(hashes.clone());
        let told = told(&slots, &query, threshold);
        assert_eq!(told.len(), 16, "{threshold}");
        assert_eq!(told, by_scan(&hashes, &query, threshold));
    }
}

#[test]
fn one_bit_beyond_the_threshold_is_no_match() {
    let query = random(u64::MAX);
    let slots = Slots::new(many((0..=64).map(|bits| flipped(&query, 100..100 + bits))));
    for threshold in 0..=31 {
        let told = told(&slots, &query, threshold);
        let furthest = told.iter().map(|(_, distance)| *distance).max();
        assert_eq!(furthest, Some(threshold));
    }
}

#[test]
fn equal_hashes_are_all_told_and_each_once() {
    let query = random(u64::MAX);
    let slots = Slots::new(many(std::iter::repeat_n(query, 3_000)));
    assert_eq!(told(&slots, &query, 31).len(), 3_000);
    assert_eq!(told(&slots, &query, 0).len(), 3_000);
}

/// A list that is made to be slow: every hash in every list that the query looks at.
#[test]
fn hashes_that_agree_in_every_slot_are_told_once_each() {
    let query = random(u64::MAX);
    let hashes: Vec<Hash> = (0..6_000).map(|bit| flipped(&query, [bit % 256])).collect();
    let slots = Slots::new(hashes.clone());
    for threshold in [0, 1, 15, 16, 31] {
        assert_eq!(
            told(&slots, &query, threshold),
            by_scan(&hashes, &query, threshold)
        );
    }
}

#[test]
fn few_hashes_are_scanned_with_the_same_answer() {
    let hashes: Vec<Hash> = (0..100).map(random).collect();
    let slots = Slots::new(hashes.clone());
    assert!(slots.lists.is_empty());
    for threshold in 0..=31 {
        let query = flipped(&hashes[7], 40..40 + usize::from(threshold));
        assert_eq!(
            told(&slots, &query, threshold),
            by_scan(&hashes, &query, threshold)
        );
    }
    assert!(told(&Slots::new(Vec::new()), &random(0), 31).is_empty());
}

#[test]
fn threshold_beyond_31_is_refused() {
    assert_eq!(Threshold::new(32), Err(ThresholdError));
    assert_eq!("31".parse(), Ok(Threshold::MAX));
    for text in ["32", "-1", "", "300", "1.5"] {
        assert_eq!(text.parse::<Threshold>(), Err(ThresholdError), "{text}");
    }
}

#[test]
fn debug_shows_no_bit() {
    let slots = Slots::new(vec![random(1)]);
    assert_eq!(
        format!("{slots:?} {:?}", random(1)),
        "Slots(1 hashes) Hash(32 bytes)"
    );
}
