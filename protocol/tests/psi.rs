//! Private matching as a whole, in memory: blind, evaluate, check, tag, pack and compare give what a plain intersection gives.
#![expect(
    clippy::unwrap_used,
    reason = "what a test builds on is right or the test is wrong"
)]

use std::collections::BTreeSet;

use hashpact_protocol::fingerprint::{Algorithm, Fingerprint};
use hashpact_protocol::policy::MatchMode;
use hashpact_protocol::psi::oprf::{Blinds, CountBlind, ServerKey, Verifier};
use hashpact_protocol::psi::{
    Answer, Ask, Batch, Epoch, GroupId, Points, Query, SegmentPlace, SegmentTags, SessionId, Side,
    Space, Tag, TagBits, Tagger, encode, input,
};
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;

fn space(mode: MatchMode) -> Space {
    Space {
        origin: "eu.example/eu/1".parse().unwrap(),
        epoch: Epoch(1),
        group: GroupId(0),
        kind: 3,
        mode,
    }
}

/// The bytes that are hashed to the group for item number `n` of a synthetic list.
fn item(n: u8) -> Vec<u8> {
    let bytes = blake3::hash(&[n]);
    let fingerprint = Fingerprint::new(Algorithm::Sha256, bytes.as_bytes()).unwrap();
    input(&fingerprint).unwrap()
}

fn items(of: &BTreeSet<u8>) -> Vec<Vec<u8>> {
    of.iter().copied().map(item).collect()
}

/// What a client holds of an artifact once it has read its segments.
fn published(
    space: &Space,
    session: Option<&SessionId>,
    bits: TagBits,
    segments: &[(Vec<Tag>, Vec<Tag>)],
) -> BTreeSet<Tag> {
    let mut set = BTreeSet::new();
    let mut tags = Vec::new();
    for (number, (added, removed)) in (0..).zip(segments) {
        if added.is_empty() && removed.is_empty() {
            continue;
        }
        let place = SegmentPlace::new(space, session, number);
        let made = encode(&place, bits, added, removed).unwrap();
        let mut reader = SegmentTags::new(&place, bits, &made.row);
        for chunk in &made.chunks {
            match reader.chunk(chunk, &mut tags).unwrap() {
                Side::Added => set.extend(&tags),
                Side::Removed => set.retain(|tag| !tags.contains(tag)),
            }
        }
        reader.finish().unwrap();
    }
    set
}

fn sorted(mut tags: Vec<Tag>) -> Vec<Tag> {
    tags.sort_unstable();
    tags
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]
    #[test]
    fn matching_finds_exactly_the_plain_intersection(
        held in prop::collection::btree_set(0..40_u8, 0..7),
        gone in prop::collection::btree_set(0..40_u8, 0..3),
        asked in prop::collection::btree_set(0..40_u8, 1..7),
        seed in any::<[u8; 32]>(),
    ) {
        let space = space(MatchMode::Items);
        let bits = TagBits::of(1);
        let session = SessionId([seed[0]; 16]);
        let key = ServerKey::derive(&seed, b"test");
        let mut rng = ChaCha20Rng::from_seed(seed);
        // The server: what it held, then what left it.
        let mut tagger = Tagger::new(&space, None, bits);
        let mut tags = |of: &BTreeSet<u8>| -> Vec<Tag> {
            let inputs = items(of);
            let items = key.items(inputs.iter().map(Vec::as_slice));
            sorted(items.iter().map(|item| tagger.tag(&item.doubled)).collect())
        };
        let left: BTreeSet<u8> = held.intersection(&gone).copied().collect();
        let set = published(&space, None, bits, &[(tags(&held), Vec::new()), (Vec::new(), tags(&left))]);
        // The client blinds, and both sides speak in frames.
        let inputs = items(&asked);
        let blinds = Blinds::draw(inputs.iter().map(Vec::as_slice), &mut rng);
        let batch = Ask::Batch(Batch { first: 0, points: Points(blinds.points().to_vec()) });
        let Ok(Ask::Batch(batch)) = Ask::from_bytes(&batch.to_bytes()) else {
            return Err(TestCaseError::fail("another message"));
        };
        let mut query = Query::new(&session, asked.len() as u64);
        query.take(&batch).unwrap();
        query.finish(&query.hash()).unwrap();
        let evaluation = key.evaluate_proven(&batch.points.0, &mut rng).unwrap();
        let answer = Answer::Evaluated {
            first: 0,
            group: GroupId(0),
            points: Points(evaluation.points.clone()),
            proof: evaluation.proof.0,
        };
        prop_assert_eq!(Answer::from_bytes(&answer.to_bytes()), Ok(answer));
        let doubled = Verifier::new(&key.public()).finish(&blinds, &evaluation).unwrap();
        let found: BTreeSet<u8> = asked
            .iter()
            .zip(&doubled)
            .filter(|(_, doubled)| set.contains(&Tagger::new(&space, None, bits).tag(doubled)))
            .map(|(n, _)| *n)
            .collect();
        let live: BTreeSet<u8> = held.difference(&gone).copied().collect();
        prop_assert_eq!(found, live.intersection(&asked).copied().collect());
        // A key that is not the artifact's finds nothing.
        let other = ServerKey::derive(&seed, b"another");
        let stray = other.items(inputs.iter().map(Vec::as_slice));
        let strays = stray.iter().filter(|item| set.contains(&Tagger::new(&space, None, bits).tag(&item.doubled)));
        prop_assert_eq!(strays.count(), 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn count_is_the_size_of_the_plain_intersection_in_any_order(
        held in prop::collection::btree_set(0..40_u8, 1..7),
        asked in prop::collection::btree_set(0..40_u8, 1..7),
        seed in any::<[u8; 32]>(),
    ) {
        let space = Space { group: GroupId::ALL, ..space(MatchMode::Count) };
        let (bits, session) = (TagBits::of(1), SessionId([seed[0]; 16]));
        let mut rng = ChaCha20Rng::from_seed(seed);
        let (key, for_session) = (ServerKey::derive(&seed, b"test"), ServerKey::generate(&mut rng));
        let inputs = items(&held);
        let points: Vec<_> = key.items(inputs.iter().map(Vec::as_slice)).iter().map(|item| item.point).collect();
        let moved = key.ratio_to(&for_session).apply(&points).unwrap();
        let mut tagger = Tagger::new(&space, Some(&session), bits);
        let tags = sorted(moved.iter().map(|item| tagger.tag(&item.doubled)).collect());
        let set = published(&space, Some(&session), bits, &[(tags, Vec::new())]);
        let inputs = items(&asked);
        let blind = CountBlind::draw(&mut rng);
        let mut evaluated = for_session.evaluate(&blind.blind(inputs.iter().map(Vec::as_slice))).unwrap();
        evaluated.sort_unstable();
        let doubled = blind.unblind(&evaluated).unwrap();
        let count = doubled.iter().filter(|doubled| set.contains(&tagger.tag(doubled))).count();
        prop_assert_eq!(count, held.intersection(&asked).count());
    }
}
