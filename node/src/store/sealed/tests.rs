use std::collections::BTreeMap;
use std::fs;

use proptest::prelude::*;

use super::table::{PREFIX_LEN, ROW_LEN, SEAL_LEN};
use super::*;
use crate::store::durable::sweep_temporary;

const EU_7: BodyIdentity<'_> = BodyIdentity {
    origin: "eu",
    seq: 7,
};
const EU_8: BodyIdentity<'_> = BodyIdentity {
    origin: "eu",
    seq: 8,
};

const BLOCK: usize = BLOCK_LEN as usize;

fn key() -> SealKey {
    SealKey::new(&[3; 32])
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len)
        .map(|i| u8::try_from((i * 31 + i / 251) % 256).unwrap())
        .collect()
}

fn write(path: &Path, identity: &BodyIdentity<'_>, sections: &[(u32, &[u8])]) {
    write_body(path, &key(), identity, sections, &Steps::default()).unwrap();
}

/// Reads all sections in order, up to the first error.
fn read_all(path: &Path, identity: &BodyIdentity<'_>) -> Result<Vec<(u32, Vec<u8>)>, SealedError> {
    let body = BodyFile::open(path, &key(), identity)?;
    let read = |info: &SectionInfo| Ok((info.class, body.read_section(info.class)?.to_vec()));
    body.sections().iter().map(read).collect()
}

struct Fixture {
    _folder: tempfile::TempDir,
    path: std::path::PathBuf,
}

fn fixture(sections: &[(u32, &[u8])]) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("body");
    write(&path, &EU_7, sections);
    Fixture {
        _folder: folder,
        path,
    }
}

#[test]
fn sections_of_every_awkward_length_come_back() {
    for len in [
        0,
        1,
        BLOCK - 1,
        BLOCK,
        BLOCK + 1,
        65 * BLOCK,
        200 * BLOCK + 3,
    ] {
        let plain = pattern(len);
        let file = fixture(&[(0, &plain), (9, b""), (RETRACTIONS, b"gone")]);
        let expected = vec![(0, plain), (9, Vec::new()), (RETRACTIONS, b"gone".to_vec())];
        assert!(
            read_all(&file.path, &EU_7).unwrap() == expected,
            "{len} bytes"
        );
    }
    assert_eq!(read_all(&fixture(&[]).path, &EU_7).unwrap(), vec![]);
}

#[test]
fn no_plaintext_is_on_the_disk_and_no_two_writes_are_alike() {
    let plain = pattern(500);
    let (one, two) = (fixture(&[(1, &plain)]), fixture(&[(1, &plain)]));
    let (one, two) = (fs::read(one.path).unwrap(), fs::read(two.path).unwrap());
    let end = PREFIX_LEN + ROW_LEN + SEAL_LEN;
    assert!(!one.windows(8).any(|window| window == &plain[..8]));
    assert!(one[end..] != two[end..]);
}

#[test]
fn a_flipped_byte_anywhere_fails_the_section_it_lies_in() {
    let sections: [(u32, &[u8]); 3] = [(2, b"two"), (5, b""), (RETRACTIONS, b"retracted")];
    let file = fixture(&sections);
    let bytes = fs::read(&file.path).unwrap();
    let table = PREFIX_LEN + 3 * ROW_LEN + SEAL_LEN;
    let ends = [table + 3 + TAG_LEN, table + 3 + 2 * TAG_LEN, bytes.len()];
    for at in 0..bytes.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut flipped = bytes.clone();
            flipped[at] ^= flip;
            fs::write(&file.path, &flipped).unwrap();
            let Ok(body) = BodyFile::open(&file.path, &key(), &EU_7) else {
                assert!(at < table, "byte {at} is no matter of the table");
                continue;
            };
            assert!(at >= table, "byte {at} of the table went unnoticed");
            let hurt = ends.iter().position(|end| at < *end).unwrap();
            for (index, (class, plain)) in sections.iter().enumerate() {
                match body.read_section(*class) {
                    Ok(read) => assert!(index != hurt && read.as_slice() == *plain, "byte {at}"),
                    Err(SealedError::Block {
                        class: named,
                        block: 0,
                    }) => {
                        assert_eq!((named, index), (*class, hurt), "byte {at}");
                    }
                    Err(error) => panic!("byte {at}: {error}"),
                }
            }
        }
    }
}

#[test]
fn a_flip_in_a_later_block_names_it_and_spares_the_ranges_beside_it() {
    let plain = pattern(100 * BLOCK);
    let file = fixture(&[(4, &plain)]);
    let mut bytes = fs::read(&file.path).unwrap();
    let blocks = PREFIX_LEN + ROW_LEN + SEAL_LEN;
    bytes[blocks + 70 * SEALED_BLOCK_LEN + 5] ^= 1;
    fs::write(&file.path, &bytes).unwrap();
    let body = BodyFile::open(&file.path, &key(), &EU_7).unwrap();
    assert!(matches!(
        body.read_section(4),
        Err(SealedError::Block {
            class: 4,
            block: 70
        })
    ));
    let len = u64::from(BLOCK_LEN);
    assert!(matches!(
        body.read_range(4, 71 * len - 1, 1),
        Err(SealedError::Block { block: 70, .. })
    ));
    let beside = body.read_range(4, 69 * len, len).unwrap();
    assert!(beside.as_slice() == &plain[69 * BLOCK..70 * BLOCK]);
}

#[test]
fn every_truncation_and_every_addition_is_refused_on_open() {
    let file = fixture(&[(2, b"two"), (5, b"five")]);
    let bytes = fs::read(&file.path).unwrap();
    for len in 0..bytes.len() {
        fs::write(&file.path, &bytes[..len]).unwrap();
        let error = BodyFile::open(&file.path, &key(), &EU_7).err().unwrap();
        assert!(
            matches!(error, SealedError::Length { got, .. } if got == len as u64),
            "{len} bytes"
        );
    }
    fs::write(&file.path, [&bytes[..], b"!"].concat()).unwrap();
    let error = BodyFile::open(&file.path, &key(), &EU_7).err().unwrap();
    assert!(matches!(error, SealedError::Length { .. }));
}

#[test]
fn two_sections_in_each_others_place_are_refused() {
    let file = fixture(&[(2, b"same length"), (5, b"SAME LENGTH")]);
    let bytes = fs::read(&file.path).unwrap();
    let len = b"same length".len() + TAG_LEN;
    let mut swapped = bytes.clone();
    let (one, two) = swapped[PREFIX_LEN + 2 * ROW_LEN + SEAL_LEN..].split_at_mut(len);
    one.swap_with_slice(two);
    fs::write(&file.path, swapped).unwrap();
    let body = BodyFile::open(&file.path, &key(), &EU_7).unwrap();
    assert!(matches!(
        body.read_section(2),
        Err(SealedError::Block { class: 2, block: 0 })
    ));
    assert!(matches!(
        body.read_section(5),
        Err(SealedError::Block { class: 5, block: 0 })
    ));
}

#[test]
fn blocks_reordered_or_cut_with_a_table_to_match_are_refused() {
    let plain = pattern(3 * BLOCK);
    let file = fixture(&[(2, &plain)]);
    let bytes = fs::read(&file.path).unwrap();
    let table = PREFIX_LEN + ROW_LEN + SEAL_LEN;
    let mut swapped = bytes.clone();
    let (one, two) = swapped[table..table + 2 * SEALED_BLOCK_LEN].split_at_mut(SEALED_BLOCK_LEN);
    one.swap_with_slice(two);
    fs::write(&file.path, swapped).unwrap();
    let error = read_all(&file.path, &EU_7).unwrap_err();
    assert!(matches!(error, SealedError::Block { class: 2, block: 0 }));

    let data_key = *BodyFile::open(&file.path, &key(), &EU_7)
        .and_then(|body| body.table.data_key(&key(), &EU_7, 0))
        .unwrap();
    let shorter = [SectionInfo {
        class: 2,
        len: 2 * BLOCK_LEN,
        offset: 0,
    }];
    let forged = seal_table(&key(), &EU_7, &shorter, &[data_key]).unwrap();
    fs::write(
        &file.path,
        [&forged, &bytes[table..table + 2 * SEALED_BLOCK_LEN]].concat(),
    )
    .unwrap();
    let error = read_all(&file.path, &EU_7).unwrap_err();
    assert!(matches!(error, SealedError::Block { class: 2, block: 0 }));
}

#[test]
fn a_body_of_another_seq_origin_or_node_is_refused() {
    let file = fixture(&[(2, b"two")]);
    let others = [
        EU_8,
        BodyIdentity {
            origin: "us",
            seq: 7,
        },
        BodyIdentity { origin: "", seq: 7 },
    ];
    for identity in others {
        assert!(matches!(
            read_all(&file.path, &identity),
            Err(SealedError::Table)
        ));
    }
    let stranger = SealKey::new(&[4; 32]);
    assert!(matches!(
        BodyFile::open(&file.path, &stranger, &EU_7),
        Err(SealedError::Table)
    ));
}

#[test]
fn a_data_key_is_bound_to_its_place_even_in_a_forged_table() {
    let file = fixture(&[(2, b"abc"), (5, b"ABC")]);
    let mut body = BodyFile::open(&file.path, &key(), &EU_7).unwrap();
    let (one, two) = body.table.bytes[PREFIX_LEN..PREFIX_LEN + 2 * ROW_LEN].split_at_mut(ROW_LEN);
    one[16..].swap_with_slice(&mut two[16..]);
    assert!(matches!(
        body.read_section(2),
        Err(SealedError::DataKey { class: 2 })
    ));
    assert!(matches!(
        body.read_section(5),
        Err(SealedError::DataKey { class: 5 })
    ));
}

#[test]
fn what_is_out_of_bounds_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("body");
    let refuse = |sections: &[(u32, &[u8])]| {
        write_body(&path, &key(), &EU_7, sections, &Steps::default()).unwrap_err()
    };
    let many: Vec<(u32, &[u8])> = (0..1026).map(|class| (class, &b""[..])).collect();
    assert!(matches!(
        refuse(&many),
        WriteBodyError::Sections { got: 1026 }
    ));
    let twice = refuse(&[(4, b""), (4, b"")]);
    assert!(matches!(
        twice,
        WriteBodyError::Class { index: 1, class: 4 }
    ));
    let above = refuse(&[(RETRACTIONS + 1, b"")]);
    assert!(matches!(
        above,
        WriteBodyError::Class {
            index: 0,
            class: 65_537
        }
    ));
    let long = vec![0; SECTION_LEN_MAX + 1];
    assert!(matches!(
        refuse(&[(1, &long)]),
        WriteBodyError::Length { class: 1, .. }
    ));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);

    write(&path, &EU_7, &many[..1025]);
    assert_eq!(read_all(&path, &EU_7).unwrap().len(), 1025);
}

#[test]
fn a_range_beyond_its_section_and_a_class_that_is_not_there_are_refused() {
    let file = fixture(&[(2, b"two")]);
    let body = BodyFile::open(&file.path, &key(), &EU_7).unwrap();
    for (offset, len) in [(0, 4), (3, 1), (4, 0), (u64::MAX, 1), (1, u64::MAX)] {
        let error = body.read_range(2, offset, len).unwrap_err();
        assert!(
            matches!(
                error,
                SealedError::Range {
                    class: 2,
                    have: 3,
                    ..
                }
            ),
            "{offset}+{len}"
        );
    }
    assert!(body.read_range(2, 3, 0).unwrap().is_empty());
    assert!(matches!(
        body.read_section(3),
        Err(SealedError::NoSection { class: 3 })
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn a_range_is_that_part_of_the_section(
        len in 0..5 * BLOCK, a in 0..=1000_usize, b in 0..=1000_usize,
    ) {
        let plain = pattern(len);
        let file = fixture(&[(1, b"before"), (2, &plain), (3, b"after")]);
        let body = BodyFile::open(&file.path, &key(), &EU_7).unwrap();
        let at = |thousandths: usize| len * thousandths / 1000;
        let (start, end) = (at(a.min(b)), at(a.max(b)));
        let read = body.read_range(2, start as u64, (end - start) as u64).unwrap();
        prop_assert!(read.as_slice() == &plain[start..end]);
    }
}

fn new_section(offset: u64, bytes: &[u8]) -> NewSection {
    let bytes = Zeroizing::new(bytes.to_vec());
    NewSection { offset, bytes }
}

#[test]
fn a_rewriting_replaces_one_section_and_moves_no_other() {
    let big = pattern(70 * BLOCK);
    let file = fixture(&[(1, b"one"), (2, b"two"), (3, &big)]);
    let body = BodyFile::open(&file.path, &key(), &EU_7).unwrap();
    let old_row = body.table.bytes[PREFIX_LEN + ROW_LEN..PREFIX_LEN + 2 * ROW_LEN].to_vec();
    let before: Vec<_> = body.sections().to_vec();
    let next = file.path.with_extension("next");
    let above = before[2].end();
    let new = BTreeMap::from([(2, new_section(above, b"withheld"))]);
    body.rewrite(&next, &new, &Steps::default()).unwrap();

    let expected = vec![(1, b"one".to_vec()), (2, b"withheld".to_vec()), (3, big)];
    assert!(read_all(&next, &EU_7).unwrap() == expected);
    let rewritten = BodyFile::open(&next, &key(), &EU_7).unwrap();
    let after = rewritten.sections();
    assert_eq!((after[0], after[2]), (before[0], before[2]));
    assert_eq!(u64::from(after[1].offset), above);
    assert_eq!(rewritten.section_at(before[1].offset).unwrap(), None);
    assert_eq!(rewritten.section_at(7).unwrap(), Some(after[2]));
    let beyond = rewritten.section_at(after[1].offset + 8);
    assert!(matches!(beyond, Err(SealedError::Offset { .. })));
    let bytes = fs::read(&next).unwrap();
    assert!(
        !bytes.windows(32).any(|window| window == &old_row[40..72]),
        "the data key is left"
    );
}

#[test]
fn a_section_is_not_put_where_another_stands_nor_in_a_body_without_it() {
    let file = fixture(&[(1, b"one"), (2, b"two"), (3, b"three")]);
    let body = BodyFile::open(&file.path, &key(), &EU_7).unwrap();
    let next = file.path.with_extension("next");
    let refuse = |class, offset| {
        let new = BTreeMap::from([(class, new_section(offset, b"four"))]);
        body.rewrite(&next, &new, &Steps::default()).unwrap_err()
    };
    for offset in [0, 2, 3, 8, OFFSETS - 3] {
        let error = refuse(2, offset);
        let refused = RewriteBodyError::Write(WriteBodyError::Offset { class: 2 });
        assert_eq!(error.to_string(), refused.to_string(), "{offset}");
    }
    assert!(matches!(
        refuse(9, 100),
        RewriteBodyError::Read(SealedError::NoSection { class: 9 })
    ));
    assert!(!next.exists());
    let last = BTreeMap::from([(2, new_section(OFFSETS - 4, b"four"))]);
    body.rewrite(&next, &last, &Steps::default()).unwrap();
    assert_eq!(read_all(&next, &EU_7).unwrap()[1].1, b"four");
}

#[test]
fn a_crash_at_any_step_of_a_rewriting_leaves_the_old_body_alone() {
    let sections: [(u32, &[u8]); 2] = [(1, b"one"), (2, b"two")];
    let old = vec![(1, b"one".to_vec()), (2, b"two".to_vec())];
    for stop in 0.. {
        let file = fixture(&sections);
        let next = file.path.with_extension("next");
        let body = BodyFile::open(&file.path, &key(), &EU_7).unwrap();
        let new = BTreeMap::from([(2, new_section(6, b"2"))]);
        let steps = Steps::stop_at(stop);
        let outcome = body.rewrite(&next, &new, &steps);
        assert!(read_all(&file.path, &EU_7).unwrap() == old, "step {stop}");
        if next.exists() {
            assert_eq!(read_all(&next, &EU_7).unwrap()[1].1, b"2", "step {stop}");
        }
        if outcome.is_ok() {
            // create, table, two sections, fsync, rename, folder.
            assert_eq!((stop, steps.taken()), (7, 7));
            break;
        }
    }
}

#[test]
fn a_shredded_file_leaves_no_wrapped_key_to_whoever_kept_a_link_to_it() {
    let file = fixture(&[(1, b"one"), (2, &pattern(3 * BLOCK))]);
    let kept = file.path.with_extension("kept");
    fs::hard_link(&file.path, &kept).unwrap();
    let before = fs::read(&kept).unwrap();
    let open = BodyFile::open(&file.path, &key(), &EU_7).unwrap();
    shred(&file.path, &Steps::default()).unwrap();
    assert!(!file.path.exists());
    let after = fs::read(&kept).unwrap();
    let table = PREFIX_LEN + 2 * ROW_LEN + SEAL_LEN;
    assert!(after[..table].iter().all(|byte| *byte == 0));
    assert_eq!(after.len(), before.len());
    assert!(matches!(
        BodyFile::open(&kept, &key(), &EU_7),
        Err(SealedError::BadHeader)
    ));
    assert_eq!(open.read_section(2).unwrap().len(), 3 * BLOCK);
    drop(open);
    shred(&file.path, &Steps::default()).unwrap();
}

#[test]
fn a_crash_at_any_step_of_writing_leaves_no_body_or_a_whole_one() {
    let sections: [(u32, &[u8]); 2] = [(1, b"one"), (2, b"two")];
    for stop in 0.. {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("body");
        let steps = Steps::stop_at(stop);
        let outcome = write_body(&path, &key(), &EU_7, &sections, &steps);
        sweep_temporary(folder.path()).unwrap();
        let names = fs::read_dir(folder.path()).unwrap().count();
        match read_all(&path, &EU_7) {
            Ok(read) => assert_eq!((read.len(), names), (2, 1), "step {stop}"),
            Err(SealedError::Io(error)) => {
                assert_eq!(
                    (error.kind(), names),
                    (io::ErrorKind::NotFound, 0),
                    "step {stop}"
                );
            }
            Err(error) => panic!("step {stop}: {error}"),
        }
        if outcome.is_ok() {
            assert_eq!(stop, steps.taken());
            break;
        }
    }
}

/// A body of the first version, with fixed random bytes: what was once written must stay readable.
const FIRST_VERSION: [&str; 6] = [
    "4850424431000002000000020000000300000001d5d57df79e53fea9e0b743d26af8854d863ca1f06142fdb3",
    "f700aaf010e1d91eca6eaf42e4c71691e54d2e0aa683ff4db4480b34f6bc7108b97b8ce7b0b79f13ad5c5b67",
    "08db23a00001000000000009000000015caad1897d3177da3af907d8ca3448d14a0d9e419047ecfc83626f3a",
    "37668e55c24b9408517ded03d2e5ab27c4af38fe4685890baa3c7520e889aa2d76fe07bc313b3d9beef69827",
    "6b4d585be8b8a80e60ad1de806d6898b17527462773dc27aaa17d02146556878ffaef7bdeae7d37f45724eb0",
    "43116bd7c82728db1cf41d7d7ade8aecbce111683fc127611c54d8e44f35cd5bc9b4f71f0268142a",
];

#[test]
fn a_body_written_by_the_first_version_is_read() {
    let file = fixture(&[]);
    fs::write(&file.path, hex::decode(FIRST_VERSION.concat()).unwrap()).unwrap();
    let expected = vec![(2, b"two".to_vec()), (RETRACTIONS, b"retracted".to_vec())];
    assert_eq!(read_all(&file.path, &EU_7).unwrap(), expected);
    let body = BodyFile::open(&file.path, &key(), &EU_7).unwrap();
    let offsets: Vec<_> = body.sections().iter().map(|info| info.offset).collect();
    assert_eq!(offsets, [0, 3]);
    let next = file.path.with_extension("next");
    let new = BTreeMap::from([(2, new_section(12, b"2"))]);
    body.rewrite(&next, &new, &Steps::default()).unwrap();
    let expected = vec![(2, b"2".to_vec()), (RETRACTIONS, b"retracted".to_vec())];
    assert_eq!(read_all(&next, &EU_7).unwrap(), expected);
}

/// A body of the second version that was rewritten once.
const SECOND_VERSION: [&str; 7] = [
    "48504244320000020000000200000001000000010000000c274472cbe485468dcbc58fab8b500a7268ce86f2",
    "cfb27e95a9a1a9613283a0fc178340aafbcd58ee38ea1cdc7bc0c864131ded5cbe7b6c0d9290fcf0d0d52b08",
    "f2c78a2706801e4600010000000000090000000100000003099cfa22898b7d5c02fb20d44c0284a9da8149b0",
    "d1cfa1b09e4eaea5158fd2fd46ec69bfcc697450b80662aae01fb0df647c432e26ec6fd5da3d449765a7d61b",
    "ed83b41b8d897e2b31002180618480664c419018addd1394210e253d8a041755291382251fe6ab4264710cd4",
    "eccfbab48cf9550f5dd1aa9693b6557ea47fcb59af77b524b6b89425d3fb65751a512295258b9b4be673ca35",
    "6fc0",
];

#[test]
fn a_rewritten_body_of_the_second_version_is_read_at_its_offsets() {
    let file = fixture(&[]);
    fs::write(&file.path, hex::decode(SECOND_VERSION.concat()).unwrap()).unwrap();
    let expected = vec![(2, b"2".to_vec()), (RETRACTIONS, b"retracted".to_vec())];
    assert_eq!(read_all(&file.path, &EU_7).unwrap(), expected);
    let body = BodyFile::open(&file.path, &key(), &EU_7).unwrap();
    let offsets: Vec<_> = body.sections().iter().map(|info| info.offset).collect();
    assert_eq!(offsets, [12, 3]);
}
