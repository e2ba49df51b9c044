//! What a file of sealed keys refuses.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;
use crate::signer::Signer;

const USES: [KeyUse; 3] = [KeyUse::Delta, KeyUse::Log, KeyUse::Node];
const FRESH: [u8; FRESH_LEN] = [7; FRESH_LEN];
const KEY: [u8; 32] = [9; 32];

fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(Zeroizing::new(text.as_bytes().to_vec()))
}

fn right() -> Passphrase {
    passphrase("correct horse battery")
}

/// Inserted in no order: the set sorts.
fn keys() -> KeySet {
    let mut keys = KeySet::new(&[0xee; 32]);
    for (use_, byte) in [(KeyUse::Node, 3), (KeyUse::Delta, 1), (KeyUse::Log, 2)] {
        keys.insert(use_, &[byte; 32]);
    }
    keys
}

fn seal(path: &Path, replace: Replace) -> Result<(), SealError> {
    SealedKeys::seal(path, &keys(), &right(), Cost::LEAST, &FRESH, replace)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// A private file with these bytes.
fn file(folder: &Path, bytes: &[u8]) -> PathBuf {
    let path = folder.join("keys.sealed");
    fs::write(&path, bytes).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    path
}

#[test]
fn what_was_sealed_opens_and_is_private() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("keys.sealed");
    seal(&path, Replace::Never).unwrap();
    assert_eq!(mode(&path), 0o600);
    let opened = SealedKeys::read(&path)
        .unwrap()
        .open(&right(), &USES)
        .ok()
        .unwrap();
    assert_eq!(opened.storage(), &[0xee; 32]);
    assert_eq!(opened.node_seed(), Some(&[3; 32]));
    for (use_, byte) in [(KeyUse::Delta, 1), (KeyUse::Log, 2), (KeyUse::Node, 3)] {
        let expected = Signer::from_seed(&[byte; 32]).public();
        assert_eq!(opened.signer(use_).unwrap().public(), expected);
    }
    assert!(opened.signer(KeyUse::Attest).is_none());
    let names: Vec<_> = fs::read_dir(home.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["keys.sealed"]);
}

/// Known answer: the layout that the module's page draws, put together here by hand.
#[test]
fn layout_is_the_documented_one() {
    let bytes = seal_bytes(&header(Cost::STANDARD, &FRESH), &KEY, &keys());
    let head: &[&[u8]] = &[
        b"hashpact-sealed-keys-v1\n",
        &[0, 1, 0, 0],
        &[0, 0, 0, 3],
        &[0, 0, 0, 1],
        &[7; 40],
    ];
    assert_eq!(bytes[..HEADER_LEN], head.concat());
    let plain: &[&[u8]] = &[&[0xee; 32], &[3], &[1; 32], &[4], &[2; 32], &[9], &[3; 32]];
    assert_eq!(*open_bytes(&bytes, &KEY).unwrap(), plain.concat());
    assert_eq!(bytes.len(), HEADER_LEN + plain.concat().len() + TAG_LEN);
}

/// The header too, under the very same key: it is authenticated, whatever a changed salt would do to the key.
#[test]
fn every_flipped_byte_and_every_other_length_is_refused() {
    let bytes = seal_bytes(&header(Cost::LEAST, &FRESH), &KEY, &keys());
    assert!(open_bytes(&bytes, &KEY).is_some());
    for at in 0..bytes.len() {
        for bit in [1, 0x80] {
            let mut flipped = bytes.clone();
            flipped[at] ^= bit;
            assert!(open_bytes(&flipped, &KEY).is_none(), "byte {at}");
        }
        assert!(open_bytes(&bytes[..at], &KEY).is_none(), "length {at}");
    }
    assert!(open_bytes(&[&bytes[..], &[0]].concat(), &KEY).is_none());
}

#[test]
fn wrong_passphrase_and_damage_look_the_same() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("keys.sealed");
    seal(&path, Replace::Never).unwrap();
    let refused = |passphrase: &Passphrase| {
        let error = SealedKeys::read(&path).unwrap().open(passphrase, &USES);
        error.err().unwrap().to_string()
    };
    let expected = format!("{}: wrong passphrase or damaged file", path.display());
    assert_eq!(refused(&passphrase("correct horse batterz")), expected);
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, bytes).unwrap();
    assert_eq!(refused(&right()), expected);
}

#[test]
fn salt_and_each_number_of_the_cost_change_the_key() {
    let key = |cost: Cost, salt: &[u8; 16]| *cost.stretch(&right(), salt).unwrap();
    let least = key(Cost::LEAST, &[1; 16]);
    assert_ne!(least, key(Cost::LEAST, &[2; 16]));
    for [memory, passes, lanes] in [[(8 << 10) + 4, 1, 1], [8 << 10, 2, 1], [8 << 10, 1, 2]] {
        let cost = Cost::new(memory, passes, lanes).unwrap();
        assert_ne!(least, key(cost, &[1; 16]), "{cost:?}");
    }
}

/// No passphrase is asked for and no memory taken: `read` has neither.
#[test]
fn absurd_cost_is_refused_before_any_work() {
    let home = tempfile::tempdir().unwrap();
    let good = seal_bytes(&header(Cost::LEAST, &FRESH), &KEY, &keys());
    let cases = [
        (
            0,
            "memory in KiB",
            [0, (8 << 10) - 1, (1 << 20) + 1, u32::MAX],
        ),
        (4, "passes", [0, 17, 1 << 16, u32::MAX]),
        (8, "lanes", [0, 5, 1 << 24, u32::MAX]),
    ];
    for (at, name, numbers) in cases {
        for number in numbers {
            let mut bytes = good.clone();
            bytes[COST_AT + at..COST_AT + at + 4].copy_from_slice(&number.to_be_bytes());
            let error = SealedKeys::read(&file(home.path(), &bytes)).unwrap_err();
            assert!(
                matches!(error, ReadSealedError::Cost { source: CostError { what, got, .. }, .. } if what == name && got == number),
                "{error:?}"
            );
        }
    }
    let cost = SealedKeys::read(&file(home.path(), &good)).unwrap().cost();
    assert_eq!(cost, Cost::LEAST);
    assert!(Cost::new(1 << 20, 16, 4).is_ok() && Cost::LEAST == Cost::new(8 << 10, 1, 1).unwrap());
}

#[test]
fn file_that_others_may_touch_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let good = seal_bytes(&header(Cost::LEAST, &FRESH), &KEY, &keys());
    let path = file(home.path(), &good);
    for open in [0o640, 0o604, 0o620, 0o602, 0o610, 0o601] {
        fs::set_permissions(&path, Permissions::from_mode(open)).unwrap();
        let error = SealedKeys::read(&path).unwrap_err();
        assert!(
            matches!(error, ReadSealedError::Mode { mode, .. } if mode == open),
            "{open:o}"
        );
    }
    fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
    assert!(SealedKeys::read(&path).is_ok());
}

#[test]
fn what_is_no_file_of_sealed_keys_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let good = seal_bytes(&header(Cost::LEAST, &FRESH), &KEY, &keys());
    let other_version = [b"hashpact-sealed-keys-v2\n", &good[MAGIC.len()..]].concat();
    let no_keys = HEADER_LEN + TAG_LEN;
    for bytes in [
        &[][..],
        &good[..MAGIC.len()],
        &good[..HEADER_LEN],
        &good[..no_keys],
        &good[..no_keys + 31],
        &good[..good.len() - 1],
        &[&good[..], &[0]].concat(),
        &other_version,
        b"hashpact-key-v1 log 00\n",
    ] {
        let error = SealedKeys::read(&file(home.path(), bytes)).unwrap_err();
        assert!(matches!(error, ReadSealedError::Format { .. }), "{error:?}");
    }
    let long = [&good[..], &[0; FILE_LEN_MAX]].concat();
    let error = SealedKeys::read(&file(home.path(), &long)).unwrap_err();
    assert!(
        matches!(error, ReadSealedError::TooLong { max, .. } if max == FILE_LEN_MAX),
        "{error:?}"
    );
    let folder = SealedKeys::read(home.path()).unwrap_err();
    assert!(matches!(folder, ReadSealedError::NotAFile { .. }));
    let missing = SealedKeys::read(&home.path().join("none")).unwrap_err();
    assert!(matches!(
        missing,
        ReadSealedError::Io { action: "open", .. }
    ));
}

#[test]
fn keys_that_are_missing_repeated_or_strange_are_refused() {
    let parse = |parts: &[&[u8]]| KeySet::parse(Zeroizing::new(parts.concat()));
    let storage: &[u8] = &[0xee; 32];
    let row = |code: u8| [&[code], &[1; 32][..]].concat();
    let (delta, log, strange) = (row(3), row(4), row(10));
    let refused = |parts: &[&[u8]]| parse(parts).err();
    assert_eq!(refused(&[storage, &delta, &log]), None);
    let order = |use_| Some(KeySetError::Order { use_ });
    assert_eq!(refused(&[storage, &log, &delta]), order(KeyUse::Delta));
    assert_eq!(refused(&[storage, &log, &log]), order(KeyUse::Log));
    assert_eq!(
        refused(&[storage, &log, &strange]),
        Some(KeySetError::UnknownUse)
    );
    for parts in [&[storage, &log[1..]][..], &[&storage[1..]], &[]] {
        assert_eq!(refused(parts), Some(KeySetError::Length));
    }
    assert_eq!(keys().require(&USES), Ok(()));
    assert_eq!(
        keys().require(&[KeyUse::Delta, KeyUse::Log, KeyUse::Mirror, KeyUse::Node]),
        Err(KeySetError::Missing {
            use_: KeyUse::Mirror
        })
    );
    assert_eq!(
        keys().require(&[KeyUse::Delta, KeyUse::Node]),
        Err(KeySetError::Unexpected { use_: KeyUse::Log })
    );
}

#[test]
fn keys_that_are_not_a_nodes_are_refused_though_they_open() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("keys.sealed");
    seal(&path, Replace::Never).unwrap();
    let sealed = SealedKeys::read(&path).unwrap();
    let error = sealed.open(&right(), &[KeyUse::Delta, KeyUse::Log]).err();
    assert!(
        matches!(
            error,
            Some(UnsealError::Keys {
                source: KeySetError::Unexpected { use_: KeyUse::Node },
                ..
            })
        ),
        "{error:?}"
    );
}

#[test]
fn new_seed_takes_the_place_of_the_old_one_in_the_same_buffer() {
    let mut keys = keys();
    let before = keys.storage().as_ptr();
    keys.insert(KeyUse::Log, &[0x55; 32]);
    let expected = Signer::from_seed(&[0x55; 32]).public();
    assert_eq!(
        keys.public(KeyUse::Log),
        Some((expected, expected.key_id()))
    );
    for use_ in KeyUse::ALL {
        keys.insert(use_, &[use_.code(); 32]);
    }
    assert_eq!(keys.storage(), &[0xee; 32]);
    assert_eq!(keys.node_seed(), Some(&[9; 32]));
    assert_eq!(keys.storage().as_ptr(), before, "the secrets were copied");
    assert!(KeySet::parse(keys.to_plaintext()).is_ok());
}

#[test]
fn short_passphrase_seals_nothing() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("keys.sealed");
    let seal = |text: &str| {
        let (cost, fresh, never) = (Cost::LEAST, &FRESH, Replace::Never);
        SealedKeys::seal(&path, &keys(), &passphrase(text), cost, fresh, never)
    };
    // Eleven letters, of two bytes each.
    for text in ["", "elevenchars", "ééééééééééé"] {
        assert!(
            matches!(seal(text), Err(SealError::Short(ShortPassphrase))),
            "{text}"
        );
        assert!(!path.exists());
    }
    assert!(seal("twelve chars").is_ok());
}

#[test]
fn sealed_keys_are_replaced_only_where_that_is_asked_for() {
    let home = tempfile::tempdir().unwrap();
    let path = file(home.path(), b"older");
    let aside = home.path().join("aside");
    // A draft that a dead process left, or that somebody put there to be written through.
    symlink(&aside, home.path().join("keys.sealed.new")).unwrap();
    let refused = seal(&path, Replace::Never);
    assert!(matches!(refused, Err(SealError::Exists { .. })));
    assert_eq!(fs::read(&path).unwrap(), b"older");
    seal(&path, Replace::Existing).unwrap();
    assert!(SealedKeys::read(&path).is_ok());
    assert!(!aside.exists() && !home.path().join("keys.sealed.new").exists());
    assert_eq!(mode(&path), 0o600);
}

#[test]
fn no_error_and_no_debug_shows_a_secret() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("keys.sealed");
    seal(&path, Replace::Never).unwrap();
    let sealed = SealedKeys::read(&path).unwrap();
    let error = sealed.open(&passphrase("wrong but long"), &USES).err();
    let shown = format!("{error:?}");
    assert!(!shown.contains("wrong but long") && !shown.contains("correct horse"));
}

/// Holds at compile time: whoever gives one of these a Debug has to come by here.
#[test]
fn secrets_have_no_debug() {
    struct Shown<T>(std::marker::PhantomData<T>);
    trait Otherwise {
        const IT: bool = false;
    }
    impl<T> Otherwise for Shown<T> {}
    #[expect(
        dead_code,
        reason = "used where the bound holds, which is to be nowhere"
    )]
    impl<T: std::fmt::Debug> Shown<T> {
        const IT: bool = true;
    }
    const { assert!(!Shown::<KeySet>::IT && !Shown::<Passphrase>::IT) };
}
