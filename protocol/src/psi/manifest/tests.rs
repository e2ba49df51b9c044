use super::*;
use crate::testing::keys::{CentreSetup, START};

fn centre() -> CentreEntry {
    CentreSetup::numbered(0).entry_with(&[KeyUse::Manifest, KeyUse::Delta])
}

fn signer() -> Signer {
    CentreSetup::numbered(0).signer(KeyUse::Manifest)
}

fn row(number: u32, added: u64, removed: u64) -> SegmentRow {
    SegmentRow {
        number,
        added,
        removed,
        bytes: 6 * (added + removed),
        chunks: 1,
        root: [u8::try_from(number).unwrap(); 32],
        label_root: None,
    }
}

fn labelled(number: u32, added: u64, removed: u64) -> SegmentRow {
    SegmentRow {
        label_root: (added > 0).then_some([7; 32]),
        ..row(number, added, removed)
    }
}

fn manifest() -> Manifest {
    let artifact = |key, mode, segments| Artifact {
        kind: 3,
        mode,
        key: [key; 32],
        items: 12,
        segments,
    };
    Manifest {
        network: NetworkId::new([1; 32]),
        origin: "eu.example/eu/1".parse().unwrap(),
        number: 4,
        epoch: Epoch(2),
        log_size: 90,
        issued_at: START,
        from: START,
        until: Timestamp::new(START.get() + limits::MATCH_EPOCH_S),
        bits: TagBits::of(12),
        groups: vec![
            Group {
                group: GroupId(1),
                classes: vec![ClassId(0), ClassId(4)],
                artifacts: vec![
                    artifact(1, MatchMode::Items, vec![row(0, 10, 0), row(1, 3, 1)]),
                    artifact(
                        2,
                        MatchMode::Labels,
                        vec![labelled(0, 13, 0), labelled(5, 0, 1)],
                    ),
                ],
            },
            Group {
                group: GroupId(3),
                classes: vec![ClassId(2)],
                artifacts: vec![artifact(3, MatchMode::Items, vec![row(2, 12, 0)])],
            },
        ],
    }
}

/// What a centre could sign that does not go through [`Manifest::sign`].
fn forged(manifest: &Manifest) -> Vec<u8> {
    cose::sign1(&signer(), Context::Manifest, &manifest.payload())
}

/// Why the manifest with this change is refused; it is not signed either.
fn refused(change: impl FnOnce(&mut Manifest)) -> ManifestError {
    let mut changed = manifest();
    change(&mut changed);
    let error = Manifest::open(&forged(&changed), &centre()).unwrap_err();
    assert_eq!(changed.sign(&signer()), Err(error.clone()));
    error
}

fn value(expected: &'static str) -> ManifestError {
    ManifestError::Value { expected }
}

#[test]
fn what_is_signed_opens_and_finds_its_artifacts() {
    let signed = manifest().sign(&signer()).unwrap();
    let opened = Manifest::open(&signed, &centre()).unwrap();
    assert_eq!(opened, manifest());
    assert_eq!(Manifest::signer(&signed), Ok(signer().public().key_id()));
    let artifact = opened.artifact(GroupId(1), 3, MatchMode::Labels).unwrap();
    assert_eq!(artifact.key, [2; 32]);
    assert_eq!(opened.artifact(GroupId(1), 1, MatchMode::Items), None);
    assert_eq!(opened.artifact(GroupId(2), 3, MatchMode::Items), None);
    let space = opened.space(GroupId(3), 3, MatchMode::Items);
    assert_eq!((space.epoch, space.group), (Epoch(2), GroupId(3)));
}

#[test]
fn manifest_with_a_repeated_group_is_refused() {
    let group = GroupId(1);
    let repeated = refused(|m| m.groups[1].group = group);
    assert_eq!(repeated, ManifestError::Group { group });
    let out_of_order = refused(|m| m.groups.swap(0, 1));
    assert_eq!(out_of_order, ManifestError::Group { group });
    let all = refused(|m| m.groups[1].group = GroupId::ALL);
    let group = GroupId::ALL;
    assert_eq!(all, ManifestError::Group { group });
}

#[test]
fn class_in_two_groups_is_refused() {
    let class = ClassId(4);
    let twice = refused(|m| m.groups[1].classes = vec![class]);
    assert_eq!(twice, ManifestError::Class { class });
    let class = ClassId(0);
    let order = refused(|m| m.groups[0].classes.swap(0, 1));
    assert_eq!(order, ManifestError::Class { class });
    let none = refused(|m| m.groups[0].classes.clear());
    assert_eq!(none, value("a class in each group"));
}

#[test]
fn key_of_two_artifacts_is_refused() {
    let group = GroupId(3);
    let error = refused(|m| m.groups[1].artifacts[0].key = [1; 32]);
    assert_eq!(error, ManifestError::RepeatedKey { group });
}

#[test]
fn segments_that_do_not_come_to_the_items_are_refused() {
    let group = GroupId(1);
    let items = |expected: &str, got| ManifestError::Items {
        group,
        expected: expected.to_owned(),
        got,
    };
    let short = refused(|m| m.groups[0].artifacts[0].items = 11);
    assert_eq!(short, items("12", 11));
    let negative = refused(|m| m.groups[0].artifacts[0].segments[1].removed = 40);
    assert_eq!(negative, items("fewer than none", 12));
    let first = refused(|m| m.groups[0].artifacts[0].segments[0].removed = 1);
    assert_eq!(first, value("a first segment that removes nothing"));
    let order = refused(|m| m.groups[0].artifacts[0].segments[1].number = 0);
    assert_eq!(order, value("segments by number, each once"));
}

#[test]
fn tags_so_short_that_everything_matches_are_refused() {
    let short = refused(|m| m.bits = TagBits::new(1).unwrap());
    let (least, got, items) = (45, 1, 24);
    assert_eq!(short, ManifestError::ShortTags { least, got, items });
}

#[test]
fn artifacts_of_a_wrong_form_are_refused() {
    let labels = value("labels in mode labels, where a segment adds tags");
    let with = refused(|m| m.groups[1].artifacts[0].segments[0].label_root = Some([0; 32]));
    let without = refused(|m| m.groups[0].artifacts[1].segments[0].label_root = None);
    assert_eq!((with, without), (labels.clone(), labels));
    let count = refused(|m| m.groups[1].artifacts[0].mode = MatchMode::Count);
    assert_eq!(count, value("an artifact of mode items or labels"));
    let kind = refused(|m| m.groups[1].artifacts[0].kind = 7);
    assert_eq!(kind, value("a known fingerprint type"));
    let order = refused(|m| m.groups[0].artifacts.swap(0, 1));
    assert_eq!(order, value("artifacts by type and mode, each once"));
    let epoch = refused(|m| m.until = m.from);
    assert_eq!(epoch, value("an epoch that ends after it begins"));
}

#[test]
fn manifest_of_another_log_key_or_context_is_refused() {
    let expected = centre().origin;
    let other: Origin = "us.example/us/1".parse().unwrap();
    let moved = Manifest {
        origin: other.clone(),
        ..manifest()
    };
    let got = other;
    assert_eq!(
        Manifest::open(&forged(&moved), &centre()),
        Err(ManifestError::Origin { expected, got })
    );
    let delta = CentreSetup::numbered(0).signer(KeyUse::Delta);
    let wrong_use = manifest().sign(&delta).unwrap();
    assert!(matches!(
        Manifest::open(&wrong_use, &centre()),
        Err(ManifestError::Key(_))
    ));
    let moved = cose::sign1(&signer(), Context::Grant, &manifest().payload());
    assert!(matches!(
        Manifest::open(&moved, &centre()),
        Err(ManifestError::Cose(CoseError::ContentType { .. }))
    ));
    let mut changed = manifest().sign(&signer()).unwrap();
    let last = changed.len() - 1;
    changed[last] ^= 1;
    assert!(matches!(
        Manifest::open(&changed, &centre()),
        Err(ManifestError::Cose(CoseError::Signature { .. }))
    ));
}

#[test]
fn manifest_that_fits_no_leaf_is_not_signed() {
    let mut large = manifest();
    let mut row = large.groups[0].clone();
    row.group = GroupId(9);
    let classes = 10_000..10_000 + u16::try_from(limits::MATCH_CLASSES).unwrap();
    row.classes = classes.map(ClassId).collect();
    row.artifacts = (1..=6_u8)
        .flat_map(|kind| [(kind, MatchMode::Items), (kind, MatchMode::Labels)])
        .zip(100..)
        .map(|((kind, mode), key)| Artifact {
            kind,
            mode,
            key: [key; 32],
            items: 32,
            segments: (0..32)
                .map(|number| match mode {
                    MatchMode::Labels => labelled(number, 1, 0),
                    MatchMode::Items | MatchMode::Count => self::row(number, 1, 0),
                })
                .collect(),
        })
        .collect();
    large.groups.push(row);
    assert!(matches!(
        large.sign(&signer()),
        Err(ManifestError::TooLarge { got }) if got > limits::MANIFEST_BYTES
    ));
}
