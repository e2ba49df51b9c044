//! Redaction by sequences of cuts, and by attack: what is disclosed is what was kept, and no seed covers what was not.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::delta::opening::{Opening, StreamError};

/// The seeds that lead from a class seed to a leaf, the leaf's own among them.
fn path_to(seed: [u8; 32], place: usize, leaves: usize) -> Vec<[u8; 32]> {
    let mut path = vec![seed];
    let (mut seed, mut place, mut leaves) = (seed, place, leaves);
    while leaves > 1 {
        let split = salts::split(leaves);
        let (left, right) = salts::children(&seed);
        (seed, place, leaves) = match place < split {
            true => (left, place, split),
            false => (right, place - split, leaves - split),
        };
        path.push(seed);
    }
    path
}

fn seed_of(body: &Body, index: usize) -> [u8; 32] {
    let section = &body.bytes()[body.sections()[index].range.clone()];
    match ClassSection::read(section).unwrap().form {
        section::Form::Disclosed { seed, .. } => *seed,
        section::Form::Withheld { .. } | section::Form::Partial { .. } => panic!("disclosed"),
    }
}

fn entry_of(record: &[u8]) -> EntryId {
    Record::from_bytes(record).unwrap().entry
}

fn contains(bytes: &[u8], secret: &[u8]) -> bool {
    bytes.windows(secret.len()).any(|window| window == secret)
}

fn puncture(expected: &Expected, body: &Body, gone: &BTreeSet<EntryId>) -> Vec<u8> {
    body.punctured(&expected.origin, expected.seq, gone)
}

fn stream_of(section: &[u8]) -> Vec<u8> {
    match ClassSection::read(section).unwrap().form {
        section::Form::Partial { stream, .. } => stream.to_vec(),
        section::Form::Disclosed { .. } | section::Form::Withheld { .. } => panic!("partial"),
    }
}

/// One class of seven records of which the third is withheld, cut into the parts of its section.
fn punctured() -> (Expected, Body, Vec<u8>, Vec<Vec<u8>>) {
    let (expected, body) = sealed(&[7], Vec::new());
    let records: Vec<_> = body.records().map(|(_, _, r)| r.to_vec()).collect();
    let cut = puncture(&expected, &body, &BTreeSet::from([entry_of(&records[2])]));
    let cut = Body::verify(cut, &expected).unwrap();
    let section = cut.bytes()[cut.sections()[0].range.clone()].to_vec();
    let stream = stream_of(&section);
    (expected, body, stream, records)
}

/// A body of one class, partly withheld, whatever its parts say.
fn forged(count: u64, stream: &[u8], records: &[&[u8]]) -> Vec<u8> {
    let mut e = minicbor::Encoder::new(Vec::new());
    e.array(5).unwrap().u16(0).unwrap().u8(2).unwrap();
    e.u64(count).unwrap().bytes(stream).unwrap();
    e.bytes(&records.concat()).unwrap();
    [e.into_writer(), section::retraction_section(&[])].concat()
}

fn stream_fault(source: StreamError) -> BodyError {
    let class = ClassId(0);
    BodyError::Stream { class, source }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_sequence_of_cuts_discloses_what_was_kept_and_no_seed_of_the_rest(
        counts in prop::collection::vec(1_u64..20, 1..5),
        cuts in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<prop::sample::Index>(), 1..6)), 1..6),
    ) {
        let (expected, origin) = sealed(&counts, vec![retraction(1)]);
        let all: Vec<_> = origin.records().map(|(class, _, r)| (class, entry_of(r))).collect();
        let (mut body, mut narrowed, mut gone) = (Body::verify(origin.bytes().to_vec(), &expected).unwrap(), BTreeSet::new(), BTreeSet::new());
        for (whole, picks) in cuts {
            let bytes = if whole {
                let class = all[picks[0].index(all.len())].0;
                narrowed.insert(class);
                body.narrowed(&|of| of != class)
            } else {
                let picked: BTreeSet<_> = picks.iter().map(|pick| all[pick.index(all.len())].1).collect();
                gone.extend(picked.iter().copied());
                puncture(&expected, &body, &picked)
            };
            body = Body::verify(bytes, &expected).unwrap();
            let kept: Vec<_> = all.iter().copied().filter(|(class, entry)| !narrowed.contains(class) && !gone.contains(entry)).collect();
            let shown: Vec<_> = body.records().map(|(class, _, r)| (class, entry_of(r))).collect();
            prop_assert_eq!(&shown, &kept);
            let held: u64 = body.sections().iter().map(Section::held).sum();
            prop_assert_eq!(held, kept.len() as u64);
            prop_assert_eq!(body.withholds(), kept.len() < all.len());
            // No seed above a record that is not kept, and no salt of one, is left anywhere in the bytes.
            let mut place = BTreeMap::new();
            for (class, entry) in &all {
                let index = usize::from(class.0 / 3);
                let at = place.entry(*class).or_insert(0_usize);
                let path = path_to(seed_of(&origin, index), *at, usize::try_from(counts[index]).unwrap());
                *at += 1;
                if !kept.contains(&(*class, *entry)) {
                    prop_assert!(path.iter().all(|seed| !contains(body.bytes(), seed)));
                    prop_assert!(!contains(body.bytes(), &path[path.len() - 1][..16]));
                }
            }
        }
        // One set of withheld records has one form, whatever the order of the cuts.
        let once = puncture(&expected, &origin, &gone);
        let once = Body::verify(once, &expected).unwrap().narrowed(&|class| !narrowed.contains(&class));
        prop_assert_eq!(once, body.bytes());
    }

    #[test]
    fn two_narrowed_bodies_put_together_hold_what_either_holds(
        counts in prop::collection::vec(1_u64..6, 1..6), one in any::<u8>(), two in any::<u8>(),
    ) {
        let (expected, body) = sealed(&counts, Vec::new());
        let of = |mask: u8| {
            let keep = |class: ClassId| mask & (1 << (class.0 / 3)) != 0;
            Body::verify(body.narrowed(&keep), &expected).unwrap()
        };
        let both = of(one | two);
        prop_assert_eq!(of(one).widened(&of(two)), both.bytes());
    }
}

#[test]
fn what_was_purged_does_not_come_back_with_a_wider_body() {
    let (expected, body, ..) = punctured();
    let gone = BTreeSet::from([entry_of(body.records().nth(4).unwrap().2)]);
    let cut = Body::verify(puncture(&expected, &body, &gone), &expected).unwrap();
    assert_eq!(cut.widened(&body), cut.bytes());
}

#[test]
fn a_class_whose_last_record_is_purged_is_withheld() {
    let (expected, body) = sealed(&[3, 1], Vec::new());
    let gone: BTreeSet<_> = body.records().map(|(_, _, r)| entry_of(r)).collect();
    let cut = puncture(&expected, &body, &gone);
    assert_eq!(cut, body.narrowed(&|_| false));
    assert!(Body::verify(cut, &expected).is_ok());
}

#[test]
fn any_other_bit_of_a_punctured_class_is_refused() {
    let (expected, body) = sealed(&[6, 2], vec![retraction(9)]);
    let entries: Vec<_> = body.records().map(|(_, _, r)| entry_of(r)).collect();
    let gone = [entries[0], entries[3], entries[7]].into();
    let whole = puncture(&expected, &body, &gone);
    assert!(Body::verify(whole.clone(), &expected).is_ok());
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << bit;
            let read = Body::verify(bytes, &expected);
            assert!(read.is_err(), "byte {at}, bit {bit}");
        }
        let cut = whole[..at].to_vec();
        assert!(Body::verify(cut, &expected).is_err(), "cut at {at}");
    }
}

#[test]
fn a_stream_in_another_than_its_one_form_is_refused() {
    // Three leaves: [[0, 1], 2]. N is 0, S 1, H 2.
    let (seed, salt, hash) = ([1; 33], [1; 17], [2; 33]);
    let split = [0_u8];
    let streams: [(&[&[u8]], StreamError); 9] = [
        (&[&split, &hash, &hash], StreamError::BothHidden { at: 0 }),
        (
            &[&split, &split, &hash, &hash, &salt],
            StreamError::BothHidden { at: 1 },
        ),
        (&[&split, &seed, &salt], StreamError::BothOpen { at: 0 }),
        (
            &[&split, &split, &salt, &salt, &hash],
            StreamError::BothOpen { at: 1 },
        ),
        (&[&hash], StreamError::Root),
        (&[&seed], StreamError::Root),
        (
            &[&split, &hash, &split],
            StreamError::Mark { at: 34, got: 0 },
        ),
        (
            &[&split, &seed, &hash, &split],
            StreamError::Trailing { got: 1 },
        ),
        (&[&split, &seed, &hash[..32]], StreamError::Short { at: 66 }),
    ];
    for (parts, fault) in streams {
        assert_eq!(Opening::read(&parts.concat(), 3).err(), Some(fault));
    }
    let unknown = StreamError::Mark { at: 0, got: 3 };
    assert_eq!(Opening::read(&[3], 3).err(), Some(unknown));
    assert_eq!(
        Opening::read(&[], 3).err(),
        Some(StreamError::Short { at: 0 })
    );
}

#[test]
fn a_withheld_class_that_says_it_is_cut_and_one_that_opens_all_are_refused() {
    let (expected, body, _, records) = punctured();
    let items: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
    let seed = seed_of(&body, 0);
    let tree = opening::tree_root(&seed, &items);
    let hidden = forged(7, &[&[2], &tree[..]].concat(), &[]);
    assert_eq!(refused(hidden, &expected), stream_fault(StreamError::Root));
    let open = forged(7, &[&[1], &seed[..]].concat(), &items);
    assert_eq!(refused(open, &expected), stream_fault(StreamError::Root));
    // The two halves of the root are hashed under their own seeds: true, and not the form of anything.
    let (left, right) = salts::children(&seed);
    let halves = [&[0, 1], &left[..], &[1], &right[..]].concat();
    let both = forged(7, &halves, &items);
    let fault = stream_fault(StreamError::BothOpen { at: 0 });
    assert_eq!(refused(both, &expected), fault);
}

#[test]
fn a_punctured_class_with_more_or_fewer_records_than_it_opens_is_refused() {
    let (expected, _, stream, records) = punctured();
    let items: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
    let kept: Vec<&[u8]> = [&items[..2], &items[3..]].concat();
    assert!(Body::verify(forged(7, &stream, &kept), &expected).is_ok());
    let opened = |got| BodyError::Opened {
        class: ClassId(0),
        expected: 6,
        got,
    };
    assert_eq!(refused(forged(7, &stream, &items), &expected), opened(7));
    assert_eq!(
        refused(forged(7, &stream, &kept[..5]), &expected),
        opened(5)
    );
    let count = BodyError::Count {
        class: ClassId(0),
        expected: 7,
        got: 6,
    };
    assert_eq!(refused(forged(6, &stream, &kept), &expected), count);
}

#[test]
fn a_purged_record_does_not_come_back_under_another_salt() {
    let (expected, body, _, records) = punctured();
    let items: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
    let leaf = |place: usize| {
        let salt = path_to(seed_of(&body, 0), place, 7).pop().unwrap();
        record_leaf(salt[..16].try_into().unwrap(), items[place])
    };
    // Leaves 2 and 3 are purged and stand as one H, which is opened again at leaf 3.
    let gone = [2, 3].map(|place: usize| entry_of(items[place])).into();
    let cut = Body::verify(puncture(&expected, &body, &gone), &expected).unwrap();
    let section = &cut.bytes()[cut.sections()[0].range.clone()];
    let stream = stream_of(section);
    let hidden = b3::NODE.hash(&[&leaf(2), &leaf(3)]);
    let hidden = [&[2], &hidden[..]].concat();
    let at = stream.windows(33).position(|window| window == hidden);
    let (before, behind) = (&stream[..at.unwrap()], &stream[at.unwrap() + 33..]);
    let kept = [&items[..2], &items[3..]].concat();
    let back = |salt: &[u8]| {
        let stream = [before, &[0, 2], &leaf(2), &[1], salt, behind].concat();
        Body::verify(forged(7, &stream, &kept), &expected)
    };
    let own = path_to(seed_of(&body, 0), 3, 7).pop().unwrap();
    assert!(back(&own[..16]).is_ok());
    let root = BodyError::Root { class: ClassId(0) };
    assert_eq!(back(&[7; 16]), Err(root));
}

#[test]
fn a_seed_opens_no_other_class_and_a_record_stands_in_no_other() {
    let (expected, body) = sealed(&[4, 4], Vec::new());
    let class = |index: usize| {
        let section = &body.bytes()[body.sections()[index].range.clone()];
        let read = ClassSection::read(section).unwrap();
        section[read.records()].to_vec()
    };
    let last = &body.bytes()[body.retraction_range()];
    let (one, two) = (class(0), class(1));
    let of = |class: u16, seed: [u8; 32], records: &[u8]| {
        let class = ClassId(class);
        let head = section::disclosed_section_head(class, 4, &seed, records.len());
        [&head[..], records].concat()
    };
    let [s_one, s_two] = [0, 1].map(|index| seed_of(&body, index));
    let swapped = [&of(0, s_two, &one)[..], &of(3, s_two, &two), last].concat();
    let root = BodyError::Root { class: ClassId(0) };
    assert_eq!(refused(swapped, &expected), root);
    let moved = [&of(0, s_one, &two)[..], &of(3, s_two, &two), last].concat();
    assert_eq!(refused(moved, &expected), root);
    // The same class under another header: its root is bound to its place.
    let gone = [entry_of(body.records().next().unwrap().2)].into();
    let cut = puncture(&expected, &body, &gone);
    let elsewhere = Expected {
        seq: Seq(5),
        ..expected
    };
    assert_eq!(refused(cut, &elsewhere), root);
}

#[test]
fn a_withheld_class_costs_40_bytes_and_a_purged_record_its_path() {
    let (expected, body) = sealed(&[1_000, 1_000], Vec::new());
    let withheld = body.narrowed(&|class| class == ClassId(0));
    let kept = body.sections()[0].range.len() + body.retraction_range().len();
    // Array, class, form, count of 3, root of 34.
    assert_eq!(withheld.len() - kept, 1 + 1 + 1 + 3 + 34);
    let record = body.records().nth(500).unwrap().2;
    let cut = puncture(&expected, &body, &[entry_of(record)].into());
    // The co-path of one leaf in 1,000: ten levels of N, nine seeds, a salt and a hash instead of the class seed.
    let (stream, head) = (10 + 9 * 33 + 17 + 33, 34);
    assert_eq!(
        cut.len() + record.len() + head,
        body.bytes().len() + 3 + stream
    );
}
