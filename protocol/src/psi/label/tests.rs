use proptest::prelude::*;

use super::*;
use crate::lists::ClosedList;
use crate::policy::MatchMode;
use crate::psi::{Epoch, GroupId, Space, TagBits, encode_labelled};

fn place(epoch: u64, number: u32) -> SegmentPlace {
    let space = Space {
        origin: "eu.example/eu/1".parse().unwrap(),
        epoch: Epoch(epoch),
        group: GroupId(1),
        kind: 3,
        mode: MatchMode::Labels,
    };
    SegmentPlace::new(&space, None, number)
}

fn label() -> Label {
    Label {
        severity: Set::of(&[Severity::S1, Severity::S2]),
        depiction: Set::of(&[Depiction::Real]),
        state: Set::of(&[State::Assessed, State::Disputed]),
        minor_certain: true,
    }
}

const ITEM: [u8; 32] = [9; 32];

#[test]
fn label_opens_with_its_item_alone() {
    let (place_, tag) = (place(1, 2), Tag(77));
    let sealed = label().seal(&place_, tag, &ITEM);
    assert_eq!(Label::open(&sealed, &place_, tag, &ITEM), Ok(label()));
    let elsewhere = [
        Label::open(&sealed, &place_, tag, &[8; 32]),
        Label::open(&sealed, &place_, Tag(78), &ITEM),
        Label::open(&sealed, &place(2, 2), tag, &ITEM),
        Label::open(&sealed, &place(1, 3), tag, &ITEM),
    ];
    assert_eq!(elsewhere, [Err(LabelError); 4]);
    for at in 0..SealedLabel::LEN {
        let mut changed = sealed;
        changed.0[at] ^= 1;
        assert_eq!(Label::open(&changed, &place_, tag, &ITEM), Err(LabelError));
    }
}

#[test]
fn the_same_item_in_two_segments_has_two_keys() {
    let (first, second) = (place(1, 2), place(1, 3));
    let sealed = [&first, &second].map(|place| label().seal(place, Tag(1), &ITEM));
    assert_ne!(sealed[0].0[..PLAIN], sealed[1].0[..PLAIN]);
}

#[test]
fn unknown_version_and_values_are_refused() {
    let good = label().to_bytes();
    assert_eq!(good, [1, 0b0110, 0b0001, 0b1000_0110]);
    assert_eq!(Label::from_bytes(good), Some(label()));
    for bad in [[2, 0, 0, 0], [1, 16, 0, 0], [1, 0, 16, 0], [1, 0, 0, 8]] {
        assert_eq!(Label::from_bytes(bad), None);
    }
    let all = [
        Severity::VALUES.len(),
        Depiction::VALUES.len(),
        State::VALUES.len(),
    ];
    assert!(
        all.into_iter().all(|values| values <= 7),
        "bits that the bytes have"
    );
}

fn labelled(count: u64) -> crate::psi::Segment {
    let place = place(1, 2);
    let added: Vec<_> = (0..count)
        .map(|n| {
            (
                Tag(u128::from(n) * 1_000),
                label().seal(&place, Tag(u128::from(n) * 1_000), &ITEM),
            )
        })
        .collect();
    encode_labelled(&place, TagBits::of(count), &added, &[]).unwrap()
}

fn read(row: &SegmentRow, chunks: &[Vec<u8>]) -> Result<Vec<SealedLabel>, SegmentError> {
    let mut reader = SegmentLabels::new(&place(1, 2), row);
    let mut all = Vec::new();
    for chunk in chunks {
        all.extend(reader.chunk(chunk)?);
    }
    reader.finish()?;
    Ok(all)
}

#[test]
fn labels_stand_in_the_order_of_the_added_tags() {
    let per_chunk = LABELS_PER_CHUNK as u64;
    for count in [1, per_chunk, per_chunk + 1] {
        let made = labelled(count);
        let chunks = made.label_chunks.len();
        assert_eq!(u64::try_from(chunks).unwrap(), count.div_ceil(per_chunk));
        assert_eq!(SegmentLabels::chunks_of(&made.row) as usize, chunks);
        let labels = read(&made.row, &made.label_chunks).unwrap();
        assert_eq!(labels.len() as u64, count);
        let (last, sealed) = (Tag(u128::from(count - 1) * 1_000), labels.last().unwrap());
        assert_eq!(Label::open(sealed, &place(1, 2), last, &ITEM), Ok(label()));
    }
}

#[test]
fn label_chunks_that_are_cut_changed_or_too_many_are_refused() {
    let made = labelled(3);
    let (row, chunk) = (&made.row, &made.label_chunks[0]);
    let fault = |got| {
        let fault = ChunkFault::Labels { expected: 60, got };
        Err(SegmentError::Chunk { chunk: 0, fault })
    };
    assert_eq!(read(row, &[chunk[..40].to_vec()]), fault(40));
    assert_eq!(read(row, &[chunk[..59].to_vec()]), fault(59));
    let (expected, got) = (1, 0);
    assert_eq!(read(row, &[]), Err(SegmentError::Ends { expected, got }));
    let mut changed = chunk.clone();
    changed[5] ^= 1;
    assert_eq!(read(row, &[changed]), Err(SegmentError::Root));
    let twice = read(row, &[chunk.clone(), chunk.clone()]);
    let (expected, got) = (0, 60);
    let fault = ChunkFault::Labels { expected, got };
    assert_eq!(twice, Err(SegmentError::Chunk { chunk: 1, fault }));
}

proptest! {
    #[test]
    fn any_label_round_trips(bytes in any::<[u8; PLAIN]>()) {
        if let Some(label) = Label::from_bytes(bytes) {
            prop_assert_eq!(label.to_bytes(), bytes);
        }
    }
}
