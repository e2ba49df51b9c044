//! Private matching against its meaning: over a thousand random instances a session finds what a plain intersection finds, in
//! every group, and counting gives its size. What changes lists is random too: segments that add, remove and add again, and an
//! epoch whose points were turned from those of the last one.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::collections::BTreeSet;

use hashpact_protocol::fingerprint::{Algorithm, Fingerprint};
use hashpact_protocol::policy::MatchMode;
use hashpact_protocol::psi::oprf::{Blinds, CountBlind, Item, ServerKey, Verifier};
use hashpact_protocol::psi::{
    Encoded, Epoch, GroupId, SegmentPlace, SegmentTags, SessionId, Side, Space, Tag, TagBits,
    Tagger, encode, input,
};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};

const INSTANCES: u64 = 1_000;
const TYPES: [Algorithm; 6] = [
    Algorithm::Md5,
    Algorithm::Sha1,
    Algorithm::Sha256,
    Algorithm::Blake3,
    Algorithm::Pdq,
    Algorithm::PhotoDna,
];

type Input = Vec<u8>;

/// One random instance: fingerprints of one type, of which the two sides have some each.
struct Instance {
    rng: ChaCha20Rng,
    kind: u8,
    all: Vec<Input>,
}

impl Instance {
    fn new(number: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(number);
        let kind = &TYPES[usize::try_from(rng.next_u64() % 6).unwrap()];
        let mut all = Vec::new();
        for _ in 0..4 + rng.next_u64() % 20 {
            let mut bytes = vec![0; kind.length().unwrap()];
            rng.fill_bytes(&mut bytes);
            all.push(input(&Fingerprint::new(kind.clone(), &bytes).unwrap()).unwrap());
        }
        let kind = kind.code().unwrap();
        Self { rng, kind, all }
    }

    /// Each with the chance of one in `of`.
    fn some(&mut self, of: u64) -> BTreeSet<Input> {
        let rng = &mut self.rng;
        let chosen = self
            .all
            .iter()
            .filter(|_| rng.next_u64().is_multiple_of(of));
        chosen.cloned().collect()
    }

    fn space(&self, group: u32) -> Space {
        Space {
            origin: "eu.example/eu/1".parse().unwrap(),
            epoch: Epoch(1),
            group: GroupId(group),
            kind: self.kind,
            mode: MatchMode::Items,
        }
    }
}

fn inputs(set: &BTreeSet<Input>) -> impl Iterator<Item = &[u8]> {
    set.iter().map(Vec::as_slice)
}

/// What a server keeps of a list under a key: sometimes turned from the points of the key before.
fn items(instance: &mut Instance, key: &ServerKey, list: &BTreeSet<Input>) -> Vec<Item> {
    if instance.rng.next_u64().is_multiple_of(2) {
        return key.items(inputs(list));
    }
    let before = ServerKey::generate(&mut instance.rng);
    let points: Vec<Encoded> = before
        .items(inputs(list))
        .iter()
        .map(|item| item.point)
        .collect();
    before.ratio_to(key).apply(&points).unwrap()
}

fn sorted(tagger: &mut Tagger, items: &[Item]) -> Vec<Tag> {
    let mut tags: Vec<Tag> = items.iter().map(|item| tagger.tag(&item.doubled)).collect();
    tags.sort_unstable();
    tags
}

/// The tags that segments come to, read as a client reads them: chunk by chunk, the last mention of a tag counts.
fn published(
    space: &Space,
    session: Option<&SessionId>,
    bits: TagBits,
    steps: &[(Vec<Tag>, Vec<Tag>)],
) -> BTreeSet<Tag> {
    let mut there = BTreeSet::new();
    for (number, (added, removed)) in (0..).zip(steps) {
        if added.is_empty() && removed.is_empty() {
            continue;
        }
        let place = SegmentPlace::new(space, session, number);
        let segment = encode(&place, bits, added, removed).unwrap();
        let mut reader = SegmentTags::new(&place, bits, &segment.row);
        let mut tags = Vec::new();
        for chunk in &segment.chunks {
            match reader.chunk(chunk, &mut tags).unwrap() {
                Side::Added => there.extend(tags.iter().copied()),
                Side::Removed => tags.iter().for_each(|tag| {
                    there.remove(tag);
                }),
            }
        }
        reader.finish().unwrap();
    }
    there
}

/// A list as it came to be in a few steps: what each added and removed, and what is in it at the end.
fn history(instance: &mut Instance) -> (Vec<[BTreeSet<Input>; 2]>, BTreeSet<Input>) {
    let (mut steps, mut list) = (Vec::new(), BTreeSet::<Input>::new());
    for _ in 0..1 + instance.rng.next_u64() % 4 {
        let added: BTreeSet<Input> = instance.some(2).difference(&list).cloned().collect();
        let removed: BTreeSet<Input> = instance.some(4).intersection(&list).cloned().collect();
        list = list.difference(&removed).cloned().collect();
        list.extend(added.iter().cloned());
        steps.push([added, removed]);
    }
    (steps, list)
}

#[test]
fn a_match_finds_what_a_plain_intersection_finds_in_a_thousand_random_instances() {
    let bits = TagBits::of(0);
    let (mut found, mut missed) = (0, 0);
    for number in 0..INSTANCES {
        let mut instance = Instance::new(number);
        let mut asked = instance.some(2);
        // Nobody asks about nothing.
        asked.extend(instance.all.first().cloned());
        let blinds = Blinds::draw(inputs(&asked), &mut instance.rng);
        // One batch, evaluated under the key of each group.
        for group in 0..2 {
            let key = ServerKey::generate(&mut instance.rng);
            let (steps, list) = history(&mut instance);
            let space = instance.space(group);
            let mut tagger = Tagger::new(&space, None, bits);
            let steps: Vec<_> = steps
                .iter()
                .map(|step| {
                    let [added, removed] = step;
                    let mut tags = |set| sorted(&mut tagger, &items(&mut instance, &key, set));
                    (tags(added), tags(removed))
                })
                .collect();
            let there = published(&space, None, bits, &steps);
            let evaluation = key
                .evaluate_proven(blinds.points(), &mut instance.rng)
                .unwrap();
            let doubled = Verifier::new(&key.public())
                .finish(&blinds, &evaluation)
                .unwrap();
            let matched: BTreeSet<Input> = asked
                .iter()
                .zip(&doubled)
                .filter(|(_, doubled)| there.contains(&tagger.tag(doubled)))
                .map(|(input, _)| input.clone())
                .collect();
            let plain: BTreeSet<Input> = asked.intersection(&list).cloned().collect();
            assert!(matched == plain, "instance {number}, group {group}");
            (found, missed) = (found + plain.len(), missed + asked.len() - plain.len());
        }
    }
    // Instances that have nothing to find, or nothing to miss, would show little.
    assert!(found > 5_000 && missed > 5_000, "{found} {missed}");
}

#[test]
fn counting_gives_the_size_of_a_plain_intersection_in_a_thousand_random_instances() {
    let bits = TagBits::of(0);
    let mut counted = 0;
    for number in 0..INSTANCES {
        let mut instance = Instance::new(number);
        let (asked, list) = (instance.some(2), instance.some(2));
        let (lasting, of_session) = (
            ServerKey::generate(&mut instance.rng),
            ServerKey::generate(&mut instance.rng),
        );
        let session = SessionId([7; 16]);
        let space = Space {
            group: GroupId::ALL,
            mode: MatchMode::Count,
            ..instance.space(0)
        };
        let mut tagger = Tagger::new(&space, Some(&session), bits);
        let points: Vec<Encoded> = lasting
            .items(inputs(&list))
            .iter()
            .map(|item| item.point)
            .collect();
        let turned = lasting.ratio_to(&of_session).apply(&points).unwrap();
        let there = vec![(sorted(&mut tagger, &turned), Vec::new())];
        let there = published(&space, Some(&session), bits, &there);
        let blind = CountBlind::draw(&mut instance.rng);
        let mut evaluated = of_session.evaluate(&blind.blind(inputs(&asked))).unwrap();
        // The server shuffles: the order of their encodings is none that says whose they are.
        evaluated.sort_unstable();
        let doubled = blind.unblind(&evaluated).unwrap();
        let got = doubled
            .iter()
            .filter(|doubled| there.contains(&tagger.tag(doubled)))
            .count();
        let plain = asked.intersection(&list).count();
        assert_eq!(got, plain, "instance {number}");
        counted += plain;
    }
    assert!(counted > 2_000, "{counted}");
}
