use std::collections::BTreeSet;
use std::fs;

use proptest::prelude::*;

use super::*;
use crate::store::durable::sweep_temporary;
use crate::store::index::segment::{SegmentError, write_sorted};

fn row(n: u32) -> Row {
    let key = blake3::hash(&(n / 3).to_be_bytes());
    Row {
        key: *key.as_bytes().first_chunk().unwrap(),
        value: u128::from(n).to_be_bytes(),
    }
}

fn segments(folder: &Path, sets: &[BTreeSet<Row>]) -> Vec<Arc<Segment>> {
    let write = |(i, set): (usize, &BTreeSet<Row>)| {
        let path = folder.join(format!("in-{i}"));
        Arc::new(
            write_sorted(&path, &mut set.iter().copied().collect(), &Steps::default()).unwrap(),
        )
    };
    sets.iter().enumerate().map(write).collect()
}

fn all(segment: Segment) -> Vec<Row> {
    Arc::new(segment).iter().map(Result::unwrap).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn a_merge_is_the_sorted_union(
        sets in prop::collection::vec(prop::collection::btree_set((0..400_u32).prop_map(row), 1..200), 1..9),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let merged = merge(&segments(folder.path(), &sets), &folder.path().join("out"), &Steps::default()).unwrap();
        merged.verify().unwrap();
        let union: BTreeSet<Row> = sets.into_iter().flatten().collect();
        prop_assert!(all(merged).into_iter().eq(union));
    }

    #[test]
    fn planning_until_it_rests_keeps_every_row_and_the_bound(sizes in prop::collection::vec(1_u64..1 << 40, 0..300)) {
        let mut metas: Vec<SegmentMeta> =
            (0..).zip(&sizes).map(|(id, rows)| SegmentMeta { id: SegmentId(id), rows: *rows }).collect();
        let mut next = sizes.len() as u64;
        while let Some(ids) = plan(&metas) {
            prop_assert!(ids.len() >= 2);
            let (old, kept): (Vec<_>, Vec<_>) = metas.iter().partition(|meta| ids.contains(&meta.id));
            prop_assert_eq!(old.len(), ids.len());
            metas = kept;
            metas.push(SegmentMeta { id: SegmentId(next), rows: old.iter().map(|meta| meta.rows).sum() });
            next += 1;
        }
        prop_assert!(metas.len() <= MAX_SEGMENTS);
        prop_assert_eq!(metas.iter().map(|meta| meta.rows).sum::<u64>(), sizes.iter().sum::<u64>());
    }
}

#[test]
fn tiers_are_powers_of_eight_with_the_borders_half_way() {
    // 65,536 * 8^(1/2), rounded up; each further border is eight times the exact one.
    let borders = [
        (185_364, 0),
        (1_482_911, 1),
        (11_863_284, 2),
        (94_906_266, 3),
    ];
    for (border, below) in borders {
        assert_eq!((tier(border - 1), tier(border)), (below, below + 1));
        assert_eq!(tier(65_536 << (3 * below)), below);
    }
    assert_eq!((tier(0), tier(1)), (0, 0));
}

#[test]
fn eight_of_a_tier_are_planned_and_seven_are_not() {
    let meta = |id, rows| SegmentMeta {
        id: SegmentId(id),
        rows,
    };
    let mut metas: Vec<SegmentMeta> = (0..7).map(|id| meta(id, 40_000 + id)).collect();
    metas.extend((7..14).map(|id| meta(id, 500_000 + id)));
    assert_eq!(plan(&metas), None);
    metas.push(meta(14, 500_000));
    let planned: Vec<u64> = plan(&metas).unwrap().into_iter().map(|id| id.0).collect();
    assert_eq!(planned, [14, 7, 8, 9, 10, 11, 12, 13]);
}

#[test]
fn too_many_segments_are_merged_smallest_first_whatever_their_tiers() {
    // Ten tiers of seven: no tier is full.
    let metas: Vec<SegmentMeta> = (0..70)
        .map(|id| SegmentMeta {
            id: SegmentId(id),
            rows: 65_536 << (3 * (id / 7)),
        })
        .collect();
    let planned: Vec<u64> = plan(&metas).unwrap().into_iter().map(|id| id.0).collect();
    assert_eq!(planned, [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(plan(&metas[..64]), None);
}

#[test]
fn a_corrupt_input_does_not_come_out_with_a_fresh_checksum() {
    let folder = tempfile::tempdir().unwrap();
    // One value a key: whatever a value becomes, the rows stay sorted.
    let sets = [
        (0..30).map(|n| row(3 * n)).collect(),
        (20..60).map(|n| row(3 * n)).collect(),
    ];
    drop(segments(folder.path(), &sets));
    let path = folder.path().join("in-1");
    let mut bytes = fs::read(&path).unwrap();
    bytes[64 + 32 * 12 + 16] ^= 1;
    fs::write(&path, bytes).unwrap();
    let inputs: Vec<_> = (0..2)
        .map(|i| Arc::new(Segment::open(&folder.path().join(format!("in-{i}"))).unwrap()))
        .collect();
    let out = folder.path().join("out");
    let WriteSegmentError::Io(error) = merge(&inputs, &out, &Steps::default()).unwrap_err() else {
        panic!("the corruption was not found while reading");
    };
    let inner = error
        .into_inner()
        .unwrap()
        .downcast::<SegmentError>()
        .unwrap();
    assert!(matches!(*inner, SegmentError::Checksum));
    assert!(!out.exists());
}

#[test]
fn a_crash_at_any_step_of_a_merge_spares_its_inputs() {
    let sets = [
        (0..30).map(row).collect(),
        (20..60).map(row).collect::<BTreeSet<Row>>(),
    ];
    let union: Vec<Row> = sets[0].union(&sets[1]).copied().collect();
    for stop in 0.. {
        let folder = tempfile::tempdir().unwrap();
        let inputs = segments(folder.path(), &sets);
        let out = folder.path().join("out");
        let outcome = merge(&inputs, &out, &Steps::stop_at(stop));
        for input in &inputs {
            input.verify().unwrap();
        }
        sweep_temporary(folder.path()).unwrap();
        if out.exists() {
            assert!(all(Segment::open(&out).unwrap()) == union, "step {stop}");
        }
        if outcome.is_ok() {
            assert!(out.exists());
            break;
        }
    }
}
