use std::path::Path;

use super::*;
use crate::store::index::segment::write_sorted;

fn key(n: u64) -> Key {
    *blake3::hash(&n.to_be_bytes())
        .as_bytes()
        .first_chunk()
        .unwrap()
}

fn value(n: u64) -> [u8; 16] {
    u128::from(n).to_be_bytes()
}

fn segment(folder: &Path, id: u64, rows: &[(u64, u64)]) -> Arc<Segment> {
    let mut rows = rows
        .iter()
        .map(|(k, v)| Row {
            key: key(*k),
            value: value(*v),
        })
        .collect();
    let path = folder.join(SegmentId(id).to_string());
    Arc::new(write_sorted(&path, &mut rows, &Steps::default()).unwrap())
}

fn index(folder: &Path) -> Index {
    Index::default()
        .with(SegmentId(1), segment(folder, 1, &[(1, 10), (2, 20)]))
        .and_then(|index| {
            index.with(
                SegmentId(2),
                segment(folder, 2, &[(2, 20), (2, 5), (3, 30)]),
            )
        })
        .and_then(|index| index.with(SegmentId(3), segment(folder, 3, &[(4, 40)])))
        .unwrap()
}

#[test]
fn a_key_in_two_segments_gives_each_distinct_value_once_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let hits = index(folder.path()).find(&key(2)).unwrap();
    assert_eq!(
        hits,
        Hits {
            values: vec![value(5), value(20)],
            complete: true
        }
    );
    assert_eq!(
        index(folder.path()).find(&key(9)).unwrap().values,
        [[0; 16]; 0]
    );
}

#[test]
fn hits_cut_over_several_segments_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let half = MAX_HITS as u64 / 2;
    let rows = |from: u64, to: u64| (from..to).map(|v| (7, v)).collect::<Vec<_>>();
    let full = Index::default()
        .with(SegmentId(1), segment(folder.path(), 1, &rows(0, half)))
        .and_then(|index| {
            index.with(
                SegmentId(2),
                segment(folder.path(), 2, &rows(half, 2 * half)),
            )
        })
        .unwrap();
    let hits = full.find(&key(7)).unwrap();
    assert_eq!((hits.values.len(), hits.complete), (MAX_HITS, true));
    let over = full
        .with(SegmentId(3), segment(folder.path(), 3, &[(7, 2 * half)]))
        .unwrap();
    let hits = over.find(&key(7)).unwrap();
    assert_eq!((hits.values.len(), hits.complete), (MAX_HITS, false));
}

#[test]
fn a_merge_replaces_its_inputs_and_older_snapshots_still_answer() {
    let folder = tempfile::tempdir().unwrap();
    let old = index(folder.path());
    let ids = [SegmentId(1), SegmentId(2)];
    let merged = old
        .merge(&ids, &folder.path().join("merged"), &Steps::default())
        .unwrap();
    let new = old.replace(&ids, SegmentId(4), Arc::new(merged)).unwrap();
    for id in ids {
        std::fs::remove_file(folder.path().join(id.to_string())).unwrap();
    }
    let sizes: Vec<(u64, u64)> = new
        .metas()
        .iter()
        .map(|meta| (meta.id.0, meta.rows))
        .collect();
    assert_eq!(sizes, [(3, 1), (4, 4)]);
    for n in 0..6 {
        assert_eq!(old.find(&key(n)).unwrap(), new.find(&key(n)).unwrap());
    }
    assert_eq!(old.metas().len(), 3);
}

#[test]
fn unknown_and_taken_ids_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let index = index(folder.path());
    let extra = segment(folder.path(), 9, &[(9, 9)]);
    let unknown = index.replace(
        &[SegmentId(1), SegmentId(8)],
        SegmentId(9),
        Arc::clone(&extra),
    );
    assert_eq!(
        unknown.unwrap_err(),
        SnapshotError::Unknown { id: SegmentId(8) }
    );
    let taken = index.with(SegmentId(3), Arc::clone(&extra));
    assert_eq!(
        taken.unwrap_err(),
        SnapshotError::Taken { id: SegmentId(3) }
    );
    // The name of a segment that goes is free for the one that comes.
    assert!(
        index
            .replace(&[SegmentId(3)], SegmentId(3), extra)
            .unwrap()
            .find(&key(4))
            .unwrap()
            .values
            .is_empty()
    );
}

#[test]
fn spilled_probes_join_the_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let mut probes = SpillRuns::new(folder.path(), 64);
    for n in (0..6).rev() {
        probes
            .push(Probe {
                key: key(n),
                tag: n,
            })
            .unwrap();
    }
    let count = probes.len();
    let hits = index(folder.path()).join(probes.finish().unwrap(), count);
    let mut hits: Vec<(u64, [u8; 16])> = hits.map(Result::unwrap).collect();
    hits.sort_unstable();
    let expected = [(1, 10), (2, 5), (2, 20), (3, 30), (4, 40)].map(|(tag, v)| (tag, value(v)));
    assert_eq!(hits, expected);
}
