use std::collections::BTreeSet;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::store::durable::Steps;
use crate::store::index::segment::write_sorted;

fn key(n: u64) -> Key {
    *blake3::hash(&n.to_be_bytes())
        .as_bytes()
        .first_chunk()
        .unwrap()
}

fn row(n: u64, value: u64) -> Row {
    Row {
        key: key(n),
        value: u128::from(value).to_be_bytes(),
    }
}

fn segments(folder: &Path, sets: &[BTreeSet<Row>]) -> Vec<Arc<Segment>> {
    let write = |(i, set): (usize, &BTreeSet<Row>)| {
        let path = folder.join(format!("{i}"));
        Arc::new(
            write_sorted(&path, &mut set.iter().copied().collect(), &Steps::default()).unwrap(),
        )
    };
    sets.iter().enumerate().map(write).collect()
}

fn sorted(mut probes: Vec<Probe>) -> Vec<Probe> {
    probes.sort_unstable();
    probes
}

fn joined(segments: &[Arc<Segment>], probes: &[Probe], count: u64) -> Vec<(u64, [u8; 16])> {
    join(segments.to_vec(), probes.iter().copied().map(Ok), count)
        .map(Result::unwrap)
        .collect()
}

fn naive(sets: &[BTreeSet<Row>], probes: &[Probe]) -> Vec<(u64, [u8; 16])> {
    let union: BTreeSet<Row> = sets.iter().flatten().copied().collect();
    let hits = |probe: &Probe| {
        let (key, tag) = (probe.key, probe.tag);
        let matching: Vec<_> = union.iter().filter(move |row| row.key == key).collect();
        matching.into_iter().map(move |row| (tag, row.value))
    };
    probes.iter().flat_map(hits).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn in_sequence_and_by_look_up_a_join_is_the_naive_one(
        sets in prop::collection::vec(
            prop::collection::btree_set((0..60_u64, 0..6_u64).prop_map(|(n, v)| row(n, v)), 1..150), 0..6),
        probes in prop::collection::vec((0..80_u64, 0..9_u64).prop_map(|(n, tag)| Probe { key: key(n), tag }), 0..80),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let segments = segments(folder.path(), &sets);
        let probes = sorted(probes);
        let expected = naive(&sets, &probes);
        prop_assert!(joined(&segments, &probes, u64::MAX) == expected);
        prop_assert!(joined(&segments, &probes, 0) == expected);
    }
}

#[test]
fn only_segments_large_against_the_probes_are_asked_key_by_key() {
    let folder = tempfile::tempdir().unwrap();
    let sets = [
        (0..640).map(|n| row(n, 0)).collect(),
        (0..639).map(|n| row(n, 1)).collect(),
    ];
    let segments = segments(folder.path(), &sets);
    let probes: Vec<io::Result<Probe>> = Vec::new();
    let join = join(segments, probes.into_iter(), 9);
    let look_ups: Vec<bool> = join
        .sides
        .iter()
        .map(|side| matches!(side, Side::LookUp(_)))
        .collect();
    assert_eq!(look_ups, [true, false]);
}

#[test]
fn a_key_with_more_values_than_are_kept_yields_them_all_to_each_probe() {
    let folder = tempfile::tempdir().unwrap();
    let many = MAX_HITS as u64 + 500;
    let wide = |values: std::ops::Range<u64>| values.map(|value| row(1, value));
    let around = || [row(0, 0), row(2, 0), row(3, 0)];
    let sets = [
        wide(0..3000).chain(around()).collect::<BTreeSet<Row>>(),
        wide(2900..many).chain(around()).collect(),
    ];
    let segments = segments(folder.path(), &sets);
    let probes = [(0, 10), (1, 11), (1, 12), (2, 13), (3, 14)];
    let probes = sorted(probes.map(|(n, tag)| Probe { key: key(n), tag }).to_vec());
    let expected = naive(&sets, &probes);
    assert_eq!(expected.len() as u64, 3 + 2 * many);
    assert!(joined(&segments, &probes, u64::MAX) == expected);
    assert!(joined(&segments, &probes, 0) == expected);
}

#[test]
fn unsorted_probes_are_an_error_and_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let segments = segments(folder.path(), &[(0..9).map(|n| row(n, n)).collect()]);
    let mut probes = sorted(
        (0..9)
            .map(|n| Probe {
                key: key(n),
                tag: n,
            })
            .collect(),
    );
    probes.swap(3, 4);
    let mut join = join(segments, probes.into_iter().map(Ok), 9);
    let error = join.by_ref().nth(4).unwrap().unwrap_err();
    assert!(error.get_ref().unwrap().is::<UnsortedProbes>());
    assert!(join.next().is_none());
}

#[test]
fn debug_of_a_probe_shows_no_key() {
    let probe = Probe {
        key: [0xab; 16],
        tag: 5,
    };
    assert_eq!(format!("{probe:?}"), "Probe { tag: 5, .. }");
}
