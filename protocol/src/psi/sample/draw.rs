//! Which tags of an artifact a sample opens: those at random positions, by the auditor's seed.
//!
//! Why a seed: whoever has it and the published segments computes the same tags, so a centre cannot choose which of its items
//! are looked at. It must be chosen after the manifest was logged. Spec: `docs/protocol.md`, "Match sample". In scope:
//! positions. Out of scope: reading segments (`artifact`).

use std::collections::BTreeSet;

use super::super::space::GroupId;
use crate::b3::{self, Hash};
use crate::lists::ClosedList as _;
use crate::policy::MatchMode;

/// The positions that a seed draws, ascending, each once: `draws` of `0..items`, or all of them if there are no more.
///
/// A position stands for a tag of the artifact: those that its segments come to, ascending as numbers, are counted from 0.
/// The i-th number is the first 128 bits of `B3["match-draw"](seed || manifest || group || kind || mode || i)` modulo `items`,
/// which prefers no position by more than 2^-64; numbers are taken until there are `draws` different ones.
#[must_use]
pub fn positions(
    seed: &[u8; 32],
    manifest: &Hash,
    (group, kind, mode): (GroupId, u8, MatchMode),
    items: u64,
    draws: usize,
) -> BTreeSet<u64> {
    if items <= draws as u64 {
        return (0..items).collect();
    }
    let mut hasher = b3::MATCH_DRAW.hasher();
    let mut drawn = BTreeSet::new();
    let mut number = 0_u64;
    while drawn.len() < draws {
        let hash = hasher.hash(&[
            seed,
            manifest,
            &group.0.to_be_bytes(),
            &[kind, mode.bit()],
            &number.to_be_bytes(),
        ]);
        let mut first = [0; 16];
        first.copy_from_slice(&hash[..16]);
        let position = u128::from_be_bytes(first) % u128::from(items);
        drawn.extend(u64::try_from(position));
        number += 1;
    }
    drawn
}

/// The share of strangers that so many draws without one leave possible with 5 %: `1 - 0.05^(1/draws)`.
#[must_use]
pub fn strangers_below(draws: u64) -> f64 {
    match draws {
        0 => 1.0,
        #[expect(clippy::cast_precision_loss, reason = "at most some thousands")]
        draws => 1.0 - 0.05_f64.powf(1.0 / draws as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COORDS: (GroupId, u8, MatchMode) = (GroupId(0), 3, MatchMode::Items);

    fn of(seed: u8, items: u64, draws: usize) -> BTreeSet<u64> {
        positions(&[seed; 32], &[2; 32], COORDS, items, draws)
    }

    #[test]
    fn positions_follow_from_the_seed_and_the_artifact_alone() {
        let drawn = of(1, 1_000_000, 300);
        assert_eq!(drawn.len(), 300);
        assert_eq!(drawn, of(1, 1_000_000, 300));
        assert!(drawn.iter().all(|position| *position < 1_000_000));
        assert_ne!(drawn, of(3, 1_000_000, 300));
        let with =
            |manifest: u8, coords| positions(&[1; 32], &[manifest; 32], coords, 1_000_000, 300);
        assert_ne!(drawn, with(9, COORDS));
        for other in [
            (GroupId(1), 3, MatchMode::Items),
            (GroupId(0), 4, MatchMode::Items),
            (GroupId(0), 3, MatchMode::Labels),
        ] {
            assert_ne!(drawn, with(2, other));
        }
    }

    #[test]
    fn every_position_is_drawn_about_as_often() {
        let mut counts = [0_u32; 20];
        for seed in 0..200 {
            for position in of(seed, 20, 10) {
                counts[usize::try_from(position).unwrap()] += 1;
            }
        }
        // 100 expected, standard deviation 7.
        assert!(
            counts.iter().all(|count| (65..=135).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn of_few_items_all_are_drawn() {
        assert_eq!(of(1, 0, 300).len(), 0);
        assert!(of(1, 300, 300).into_iter().eq(0..300));
        assert!(of(1, 7, 300).into_iter().eq(0..7));
        assert_eq!(of(1, 301, 300).len(), 300);
    }

    #[test]
    fn three_hundred_draws_say_less_than_one_in_a_hundred() {
        assert!((0.009_9..0.01).contains(&strangers_below(300)));
        assert!((0.002_9..0.003).contains(&strangers_below(1_000)));
        assert!(strangers_below(0) >= 1.0);
    }
}
