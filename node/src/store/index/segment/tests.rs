use std::collections::BTreeSet;
use std::fs;

use proptest::prelude::*;

use super::*;
use crate::store::durable::sweep_temporary;

fn row(key: u128, value: u128) -> Row {
    Row {
        key: key.to_be_bytes(),
        value: value.to_be_bytes(),
    }
}

fn segment(folder: &Path, rows: &BTreeSet<Row>) -> Segment {
    write_sorted(
        &folder.join("segment"),
        &mut rows.iter().copied().collect(),
        &Steps::default(),
    )
    .unwrap()
}

fn uniform(n: u64) -> u128 {
    let hash = blake3::hash(&n.to_be_bytes());
    u128::from_be_bytes(*hash.as_bytes().first_chunk().unwrap())
}

/// Finds each key of `rows` and its neighbours, against the set itself; the most reads that one
/// took.
fn find_all(segment: &Segment, rows: &BTreeSet<Row>) -> u32 {
    let mut reads_most = 0;
    let keys: BTreeSet<u128> = rows
        .iter()
        .map(|row| u128::from_be_bytes(row.key))
        .collect();
    let around = |key: &u128| [key.wrapping_sub(1), *key, key.wrapping_add(1)];
    for key in keys.iter().flat_map(around).chain([0, u128::MAX]) {
        let range = rows.range(row(key, 0)..=row(key, u128::MAX));
        let expected: Vec<[u8; 16]> = range.map(|row| row.value).collect();
        let hits = segment.find(&key.to_be_bytes()).unwrap();
        assert!(hits.values == expected && hits.complete);
        reads_most = reads_most.max(segment.locate(&key.to_be_bytes()).unwrap().reads);
    }
    reads_most
}

#[derive(Debug, Clone)]
enum Shape {
    Uniform(u64),
    Cluster(u128, u16),
    Repeated(u64, u16),
}

fn shapes() -> impl Strategy<Value = Vec<Shape>> {
    let shape = prop_oneof![
        any::<u64>().prop_map(Shape::Uniform),
        (any::<u128>(), 0..300_u16).prop_map(|(base, n)| Shape::Cluster(base, n)),
        (any::<u64>(), 0..300_u16).prop_map(|(key, n)| Shape::Repeated(key, n)),
    ];
    prop::collection::vec(shape, 1..20)
}

fn rows_of(shapes: &[Shape]) -> BTreeSet<Row> {
    let rows = |shape: &Shape| -> Vec<Row> {
        match *shape {
            Shape::Uniform(n) => vec![row(uniform(n), n.into())],
            Shape::Cluster(base, n) => (0..=n.into())
                .map(|i| row(base.wrapping_add(i), 1))
                .collect(),
            Shape::Repeated(key, n) => (0..=n.into()).map(|i| row(uniform(key), i)).collect(),
        }
    };
    shapes.iter().flat_map(rows).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn uniform_clustered_and_repeated_keys_are_found_as_in_a_set(shapes in shapes()) {
        let rows = rows_of(&shapes);
        let folder = tempfile::tempdir().unwrap();
        let segment = segment(folder.path(), &rows);
        prop_assert_eq!(segment.len(), rows.len() as u64);
        find_all(&segment, &rows);
        prop_assert!(Rows::all(&segment, 3).map(Result::unwrap).eq(rows.iter().copied()));
        segment.verify().unwrap();
    }
}

#[test]
fn uniform_keys_take_two_or_three_reads() {
    let rows: BTreeSet<Row> = (0..200_000).map(|n| row(uniform(n), 1)).collect();
    let folder = tempfile::tempdir().unwrap();
    let segment = segment(folder.path(), &rows);
    let keys: Vec<Key> = rows.iter().step_by(97).map(|row| row.key).collect();
    let reads: u32 = keys
        .iter()
        .map(|key| segment.locate(key).unwrap().reads)
        .sum();
    let mean = f64::from(reads) / keys.len() as f64;
    assert!(mean < 2.1, "{mean} reads a look-up");
}

#[test]
fn keys_laid_out_by_an_adversary_take_logarithmically_many_reads() {
    // Exponentially growing keys, so that each interpolation lands beside one end; then each half
    // once more within itself.
    let mut rows = BTreeSet::new();
    for exponent in 0..128_u32 {
        for i in 0..60 {
            rows.insert(row((1_u128 << exponent).wrapping_add(i), 0));
            rows.insert(row(u128::MAX - (1_u128 << exponent).wrapping_add(i), 0));
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let segment = segment(folder.path(), &rows);
    let bound = 7 + (rows.len() / WINDOW_ROWS).ilog2() + 3;
    let most = find_all(&segment, &rows);
    assert!(most <= bound, "{most} reads, at most {bound} expected");
}

#[test]
fn more_hits_than_the_bound_are_cut_and_the_cut_is_told() {
    let values = |count: usize| {
        (0..count as u128)
            .map(|value| row(5, value))
            .chain([row(6, 0)])
    };
    for (count, complete) in [(MAX_HITS, true), (MAX_HITS + 1, false)] {
        let folder = tempfile::tempdir().unwrap();
        let segment = segment(folder.path(), &values(count).collect());
        let hits = segment.find(&5_u128.to_be_bytes()).unwrap();
        assert_eq!((hits.values.len(), hits.complete), (MAX_HITS, complete));
        assert!(hits.values[MAX_HITS - 1] == (MAX_HITS as u128 - 1).to_be_bytes());
    }
}

#[test]
fn a_file_cut_or_lengthened_by_any_byte_is_refused_on_open() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("segment");
    segment(folder.path(), &(0..5).map(|n| row(uniform(n), 1)).collect());
    let bytes = fs::read(&path).unwrap();
    assert_eq!(bytes.len(), 64 + 5 * 32 + 32);
    for len in 0..bytes.len() {
        fs::write(&path, &bytes[..len]).unwrap();
        let error = Segment::open(&path).unwrap_err();
        assert!(
            matches!(error, SegmentError::Length { got, .. } if got == len as u64),
            "{len} bytes"
        );
    }
    fs::write(&path, [&bytes[..], b"x"].concat()).unwrap();
    let expected = bytes.len() as u64;
    let error = Segment::open(&path).unwrap_err();
    assert!(
        matches!(error, SegmentError::Length { expected: e, got } if e == expected && got == e + 1)
    );
}

#[test]
fn a_flipped_byte_anywhere_is_refused_on_open_or_found_by_verify_and_by_a_checked_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("segment");
    segment(folder.path(), &(0..9).map(|n| row(uniform(n), 1)).collect());
    let bytes = fs::read(&path).unwrap();
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x10;
        fs::write(&path, flipped).unwrap();
        match Segment::open(&path) {
            // Magic, zeros, count, and the keys that are written twice.
            Err(SegmentError::Header) => assert!(at < 16 || (48..64).contains(&at), "byte {at}"),
            Err(SegmentError::Length { .. }) => assert!((8..16).contains(&at), "byte {at}"),
            Err(SegmentError::Bounds) => {
                assert!(
                    (16..48).contains(&at) || (64..80).contains(&at) || (320..336).contains(&at),
                    "byte {at}"
                );
            }
            Err(error) => panic!("byte {at}: {error}"),
            Ok(segment) => {
                assert!(
                    matches!(segment.verify(), Err(SegmentError::Checksum)),
                    "byte {at}"
                );
                let last = Rows::checked(&segment, 4).last().unwrap();
                assert_eq!(
                    last.unwrap_err().kind(),
                    io::ErrorKind::InvalidData,
                    "byte {at}"
                );
            }
        }
    }
}

#[test]
fn the_file_is_laid_out_as_documented() {
    let folder = tempfile::tempdir().unwrap();
    segment(folder.path(), &[row(3, 1), row(9, 2), row(9, 1)].into());
    let bytes = fs::read(folder.path().join("segment")).unwrap();
    let header = [
        &b"HPIX1\0\0\0"[..],
        &3_u64.to_be_bytes(),
        &3_u128.to_be_bytes(),
        &9_u128.to_be_bytes(),
        &[0; 16],
    ]
    .concat();
    let rows = [[3_u128, 1], [9, 1], [9, 2]].concat();
    let rows: Vec<u8> = rows.into_iter().flat_map(u128::to_be_bytes).collect();
    let checksum = blake3::hash(&[&rows[..], &header].concat());
    assert!(bytes == [&header[..], &rows, checksum.as_bytes()].concat());
}

#[test]
fn a_count_that_overflows_the_length_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("segment");
    segment(folder.path(), &[row(1, 1)].into());
    let mut bytes = fs::read(&path).unwrap();
    // 2^59 + 1 rows of 32 bytes are 32 bytes again in 64 bits.
    bytes[8..16].copy_from_slice(&((1_u64 << 59) + 1).to_be_bytes());
    fs::write(&path, &bytes).unwrap();
    assert!(matches!(Segment::open(&path), Err(SegmentError::Header)));
}

#[test]
fn unsorted_equal_and_no_rows_are_refused_and_leave_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let write = |rows: &[Row]| -> Result<Segment, WriteSegmentError> {
        let mut writer = SegmentWriter::create(&folder.path().join("segment"), &Steps::default())?;
        for row in rows {
            writer.push(row)?;
        }
        writer.finish()
    };
    let unsorted = write(&[row(2, 0), row(1, 9)]).unwrap_err();
    assert!(matches!(unsorted, WriteSegmentError::Unsorted { row: 1 }));
    let by_value = write(&[row(1, 0), row(2, 2), row(2, 1)]).unwrap_err();
    assert!(matches!(by_value, WriteSegmentError::Unsorted { row: 2 }));
    let equal = write(&[row(1, 0), row(1, 0)]).unwrap_err();
    assert!(matches!(equal, WriteSegmentError::Equal { row: 1 }));
    assert!(matches!(write(&[]).unwrap_err(), WriteSegmentError::Empty));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_crash_at_any_step_leaves_no_segment_or_a_whole_one() {
    // Two buffers and a bit, so that writes are among the steps.
    let rows: Vec<Row> = (0..20_000).map(|n| row(n, 1)).collect();
    for stop in 0.. {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("segment");
        let outcome = write_sorted(&path, &mut rows.clone(), &Steps::stop_at(stop));
        sweep_temporary(folder.path()).unwrap();
        match Segment::open(&path) {
            Ok(segment) => {
                segment.verify().unwrap();
                assert_eq!(segment.len(), 20_000);
            }
            Err(SegmentError::Io(error)) => assert_eq!(error.kind(), io::ErrorKind::NotFound),
            Err(error) => panic!("step {stop}: {error}"),
        }
        if outcome.is_ok() {
            // create, header, 3 buffers, checksum, header, fsync, rename, fsync dir
            assert_eq!(stop, 10);
            break;
        }
    }
}

#[test]
fn a_reader_in_sequence_skips_to_keys_as_a_set_does() {
    let rows: BTreeSet<Row> = (0..5000)
        .map(|n| row(uniform(n % 4000), n.into()))
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let segment = segment(folder.path(), &rows);
    for stride in [1, 7, 300] {
        let mut reader = Rows::all(&segment, 100);
        let keys: BTreeSet<u128> = (3000..6000).step_by(stride).map(uniform).collect();
        for key in keys {
            reader.skip_to(&key.to_be_bytes()).unwrap();
            let expected = rows.range(row(key, 0)..=row(key, u128::MAX));
            let got = std::iter::from_fn(|| reader.next_of(&key.to_be_bytes()).unwrap());
            assert!(got.eq(expected.copied()));
        }
    }
}
