use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::policy::MatchMode;
use crate::psi::{Epoch, GroupId};

fn space() -> Space {
    Space {
        origin: "eu.example/eu/1".parse().unwrap(),
        epoch: Epoch(2),
        group: GroupId(1),
        kind: 3,
        mode: MatchMode::Items,
    }
}

fn place() -> SegmentPlace {
    SegmentPlace::new(&space(), None, 4)
}

fn bits() -> TagBits {
    TagBits::of(1)
}

/// Tags as they would be of items numbered `from` on, sorted.
fn tags(from: u64, count: u64) -> Vec<Tag> {
    let tags = (from..from + count).map(|n| {
        let hash = blake3::hash(&n.to_le_bytes());
        let first = u128::from_be_bytes(hash.as_bytes()[..16].try_into().unwrap());
        Tag(first >> (128 - u32::from(bits().get())))
    });
    tags.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Everything that a reader yields, once the root holds.
fn decode(
    place: &SegmentPlace,
    row: &SegmentRow,
    chunks: &[Vec<u8>],
) -> Result<(Vec<Tag>, Vec<Tag>), SegmentError> {
    let (mut added, mut removed, mut tags) = (Vec::new(), Vec::new(), Vec::new());
    let mut reader = SegmentTags::new(place, bits(), row);
    for chunk in chunks {
        match reader.chunk(chunk, &mut tags)? {
            Side::Added => added.extend_from_slice(&tags),
            Side::Removed => removed.extend_from_slice(&tags),
        }
    }
    reader.finish()?;
    Ok((added, removed))
}

fn segment() -> Segment {
    encode(&place(), bits(), &tags(0, 30_000), &tags(50_000, 20_000)).unwrap()
}

/// A small segment: one chunk of each list.
fn small() -> Segment {
    encode(&place(), bits(), &tags(0, 9), &tags(20, 5)).unwrap()
}

/// The segment with this done to chunk `at`, under the row that a signer of such chunks would write.
fn bent(at: usize, bend: impl FnOnce(&mut Vec<u8>)) -> (SegmentRow, Vec<Vec<u8>>) {
    let mut segment = small();
    bend(&mut segment.chunks[at]);
    let mut chunks = Chunks::new(&place(), Part::Tags);
    segment.chunks.iter().for_each(|chunk| chunks.push(chunk));
    segment.row.bytes = chunks.bytes();
    segment.row.root = chunks.root().unwrap();
    (segment.row, segment.chunks)
}

/// Why chunk `at` is refused, although root and row are made for it.
fn fault(at: usize, bend: impl FnOnce(&mut Vec<u8>)) -> ChunkFault {
    let (row, chunks) = bent(at, bend);
    match decode(&place(), &row, &chunks) {
        Err(SegmentError::Chunk { chunk, fault }) if chunk as usize == at => fault,
        other => panic!("{other:?}"),
    }
}

#[test]
fn segment_of_many_chunks_round_trips() {
    let Segment { chunks, row, .. } = segment();
    assert!(chunks.len() > 4 && chunks.iter().all(|chunk| chunk.len() <= 65_536));
    assert_eq!(
        (row.number, row.added, row.removed, row.chunks as usize),
        (4, 30_000, 20_000, chunks.len())
    );
    assert_eq!(
        row.bytes,
        chunks.iter().map(|c| c.len() as u64).sum::<u64>()
    );
    let expected = (tags(0, 30_000), tags(50_000, 20_000));
    assert_eq!(decode(&place(), &row, &chunks), Ok(expected));
}

#[test]
fn unsorted_tags_are_not_encoded() {
    let few = [Tag(5), Tag(9), Tag(7)];
    let unsorted = EncodeError::Unsorted { at: 2 };
    assert_eq!(encode(&place(), bits(), &few, &[]), Err(unsorted));
    let mut writer = SegmentWriter::new(&place(), bits(), 1, 1);
    writer.tag(Side::Added, Tag(1)).unwrap();
    let behind = EncodeError::Unsorted { at: 1 };
    assert_eq!(writer.tag(Side::Removed, Tag(2)), Err(behind));
}

#[test]
fn repeated_tag_is_not_encoded() {
    let few = [Tag(5), Tag(9), Tag(9)];
    let repeated = EncodeError::Repeated { at: 2 };
    assert_eq!(encode(&place(), bits(), &few, &[]), Err(repeated));
}

#[test]
fn tags_beyond_their_bits_or_their_announced_number_are_not_encoded() {
    let large = [Tag(1 << 62)];
    let (at, bits_) = (0, 62);
    let refused = EncodeError::TooLarge { at, bits: bits_ };
    assert_eq!(encode(&place(), bits(), &large, &[]), Err(refused));
    let counts = |expected, got| EncodeError::Counts { expected, got };
    let none = encode(&place(), bits(), &[], &[]);
    assert_eq!(none, Err(counts([0, 0], [0, 0])));
    let mut writer = SegmentWriter::new(&place(), bits(), 1, 0);
    writer.tag(Side::Added, Tag(1)).unwrap();
    let more = writer.tag(Side::Added, Tag(2));
    assert_eq!(more, Err(counts([1, 0], [2, 0])));
    let short = SegmentWriter::new(&place(), bits(), 1, 0).finish();
    assert_eq!(short, Err(counts([1, 0], [0, 0])));
    let mut writer = SegmentWriter::labelled(&place(), bits(), 1, 0);
    writer.tag(Side::Added, Tag(1)).unwrap();
    let (expected, got) = (1, 0);
    assert_eq!(writer.finish(), Err(EncodeError::Labels { expected, got }));
}

#[test]
fn unsorted_or_repeated_tags_across_chunks_are_refused() {
    let Segment {
        mut chunks, row, ..
    } = segment();
    let added = chunks.iter().position(|chunk| chunk[0] == 1).unwrap();
    let chunk = u32::try_from(added + 1).unwrap();
    // The first tag of the second chunk becomes that of the first.
    let first: [u8; 10] = chunks[added][6..16].try_into().unwrap();
    chunks[added + 1][6..16].copy_from_slice(&first);
    let fault = ChunkFault::Unsorted;
    let unsorted = SegmentError::Chunk { chunk, fault };
    assert_eq!(decode(&place(), &row, &chunks), Err(unsorted));
    let twice = [chunks[0].clone(), chunks[0].clone()];
    let chunk = 1;
    let repeated = SegmentError::Chunk { chunk, fault };
    assert_eq!(decode(&place(), &row, &twice), Err(repeated));
}

#[test]
fn removed_tags_behind_added_ones_are_refused() {
    let Segment {
        mut chunks, row, ..
    } = small();
    chunks.swap(0, 1);
    let (chunk, fault) = (1, ChunkFault::Order);
    let order = SegmentError::Chunk { chunk, fault };
    assert_eq!(decode(&place(), &row, &chunks), Err(order));
}

#[test]
fn trailing_bits_and_bytes_are_refused() {
    let trailing = ChunkFault::Trailing { count: 9 };
    assert_eq!(fault(1, |chunk| chunk.push(0)), trailing);
    // Nine tags of 62 bits do not fill their last byte.
    assert_eq!(fault(1, |chunk| *chunk.last_mut().unwrap() |= 1), trailing);
    let fewer = fault(1, |chunk| chunk[5] = 8);
    assert_eq!(fewer, ChunkFault::Trailing { count: 8 });
}

#[test]
fn count_that_does_not_match_is_refused() {
    let more = fault(1, |chunk| chunk[5] = 10);
    let (expected, got) = (10, 9);
    assert_eq!(more, ChunkFault::Truncated { expected, got });
    // No count makes a reader ask for memory that the chunk is not worth.
    let huge = fault(1, |chunk| chunk[2..6].fill(0xff));
    let (expected, got) = (u32::MAX, 1);
    assert_eq!(huge, ChunkFault::Truncated { expected, got });
    assert_eq!(fault(1, |chunk| chunk[2..6].fill(0)), ChunkFault::Empty);
    let Segment {
        chunks, mut row, ..
    } = small();
    row.added += 1;
    let (expected, got) = ([10, 5], [9, 5]);
    let counts = SegmentError::Counts { expected, got };
    assert_eq!(decode(&place(), &row, &chunks), Err(counts));
}

#[test]
fn heads_that_no_chunk_has_are_refused() {
    assert_eq!(fault(1, |chunk| chunk[0] = 2), ChunkFault::Side { got: 2 });
    let (bits, got) = (62, 62);
    let parameter = ChunkFault::Parameter { bits, got };
    assert_eq!(fault(1, |chunk| chunk[1] = 62), parameter);
    let large = ChunkFault::TooLarge { at: 0 };
    assert_eq!(fault(1, |chunk| chunk[6] = 1), large);
    let last = ChunkFault::TooLarge { at: 1 };
    let top =
        |chunk: &mut Vec<u8>| chunk[8..16].copy_from_slice(&((1_u64 << 62) - 1).to_be_bytes());
    assert_eq!(fault(1, top), last);
    let got = 15;
    let short = fault(1, |chunk| chunk.truncate(got));
    assert_eq!(short, ChunkFault::Size { got });
    let got = limits::MATCH_CHUNK_BYTES + 1;
    let long = fault(1, |chunk| chunk.resize(got, 0));
    assert_eq!(long, ChunkFault::Size { got });
}

#[test]
fn chunk_of_another_root_is_refused() {
    let Segment { chunks, row, .. } = small();
    let other = encode(&place(), bits(), &tags(100, 9), &tags(20, 5)).unwrap();
    let mixed = [chunks[0].clone(), other.chunks[1].clone()];
    let mut row = row;
    row.bytes = mixed.iter().map(|chunk| chunk.len() as u64).sum();
    assert_eq!(decode(&place(), &row, &mixed), Err(SegmentError::Root));
}

#[test]
fn chunk_in_another_place_is_refused() {
    let Segment { chunks, row, .. } = small();
    let number = SegmentPlace::new(&space(), None, 5);
    let root = Err(SegmentError::Root);
    assert_eq!(decode(&number, &row, &chunks), root);
    let session = SegmentPlace::new(&space(), Some(&SessionId([1; 16])), 4);
    assert_eq!(decode(&session, &row, &chunks), root);
    // The same bytes as another chunk of the same segment.
    let mut hashes = [
        Chunks::new(&place(), Part::Tags),
        Chunks::new(&place(), Part::Tags),
    ];
    hashes[0].push(&chunks[0]);
    hashes[1].next = 1;
    hashes[1].push(&chunks[0]);
    let [first, second] = hashes.map(|mut chunks| chunks.root());
    assert_ne!(first, second);
    let mut labels = Chunks::new(&place(), Part::Labels);
    labels.push(&chunks[0]);
    assert_ne!(labels.root(), first);
}

#[test]
fn chunk_of_another_epoch_is_refused() {
    let Segment { chunks, row, .. } = small();
    let mut later = space();
    later.epoch = Epoch(3);
    let later = SegmentPlace::new(&later, None, 4);
    assert_eq!(decode(&later, &row, &chunks), Err(SegmentError::Root));
}

#[test]
fn segment_that_is_cut_or_goes_on_is_refused() {
    let Segment { chunks, row, .. } = small();
    let (expected, got) = (2, 1);
    let cut = SegmentError::Ends { expected, got };
    assert_eq!(decode(&place(), &row, &chunks[..1]), Err(cut));
    let long = [&chunks[..], &chunks[1..]].concat();
    assert!(matches!(
        decode(&place(), &row, &long),
        Err(SegmentError::TooMuch { chunk: 2, .. })
    ));
    let mut bytes = row.clone();
    bytes.bytes -= 1;
    assert!(matches!(
        decode(&place(), &bytes, &chunks),
        Err(SegmentError::TooMuch { chunk: 1, .. })
    ));
}

fn tag_set(max: usize) -> impl Strategy<Value = BTreeSet<Tag>> {
    prop::collection::btree_set((0..1_u128 << 62).prop_map(Tag), 0..max)
}

proptest! {
    #[test]
    fn any_sets_round_trip(added in tag_set(60), removed in tag_set(60), dense in 0..40_u128) {
        let mut added: Vec<_> = added.into_iter().collect();
        let removed: Vec<_> = removed.into_iter().collect();
        // Neighbours, of which every gap is least.
        added.retain(|tag| tag.0 > 1_000);
        let added: Vec<_> = (0..=dense).map(Tag).chain(added).collect();
        let made = encode(&place(), bits(), &added, &removed).unwrap();
        prop_assert_eq!(decode(&place(), &made.row, &made.chunks), Ok((added, removed)));
    }

    #[test]
    fn every_mutation_of_a_chunk_is_refused_or_changes_the_root(
        which in 0..2_usize,
        at in any::<prop::sample::Index>(),
        flip in 1..=255_u8,
    ) {
        let made = small();
        let mut chunks = made.chunks.clone();
        let at = at.index(chunks[which].len());
        chunks[which][at] ^= flip;
        prop_assert!(decode(&place(), &made.row, &chunks).is_err());
        // Under a row of its own, what is read would be written the same, but for the parameter, which is free.
        let (row, chunks) = bent(which, |chunk| chunk[at] ^= flip);
        prop_assert_ne!(row.root, made.row.root);
        if let Ok((added, removed)) = decode(&place(), &row, &chunks) {
            prop_assert_ne!((&added, &removed), (&tags(0, 9), &tags(20, 5)));
            if at != 1 {
                let again = encode(&place(), bits(), &added, &removed).unwrap();
                prop_assert_eq!(again.chunks, chunks);
            }
        }
    }

    #[test]
    fn any_bytes_are_a_chunk_in_bounds_or_a_fault(bytes in prop::collection::vec(any::<u8>(), 0..60), side in 0..3_u8, k in 0..70_u8) {
        let mut bytes = bytes;
        bytes.splice(0..0, [side, k, 0, 0, 0]);
        let mut tags = Vec::new();
        if read(&bytes, bits(), None, &mut tags).is_ok() {
            prop_assert!(tags.is_sorted_by(|a, b| a < b));
            prop_assert!(tags.last().unwrap().0 < 1 << 62);
        }
    }

    #[test]
    fn segments_in_order_give_the_set(steps in prop::collection::vec((tag_set(12), prop::collection::vec(any::<prop::sample::Index>(), 0..6)), 1..8)) {
        let (mut set, mut held) = (BTreeSet::new(), BTreeSet::new());
        for (number, (added, gone)) in (0..).zip(steps) {
            let all: Vec<Tag> = set.iter().copied().collect();
            let removed: BTreeSet<Tag> = gone.iter().filter(|_| !all.is_empty()).map(|at| all[at.index(all.len())]).collect();
            // Some that leave come back within the same segment.
            let added: BTreeSet<Tag> = added.into_iter().chain(removed.iter().copied().take(1)).collect();
            set.retain(|tag| !removed.contains(tag));
            set.extend(&added);
            let (added, removed): (Vec<_>, Vec<_>) = (added.into_iter().collect(), removed.into_iter().collect());
            if added.is_empty() && removed.is_empty() {
                continue;
            }
            let place = SegmentPlace::new(&space(), None, number);
            let made = encode(&place, bits(), &added, &removed).unwrap();
            let mut reader = SegmentTags::new(&place, bits(), &made.row);
            let mut tags = Vec::new();
            for chunk in &made.chunks {
                match reader.chunk(chunk, &mut tags).unwrap() {
                    Side::Added => held.extend(&tags),
                    Side::Removed => held.retain(|tag| !tags.contains(tag)),
                }
            }
            reader.finish().unwrap();
        }
        prop_assert_eq!(held, set);
    }
}
