//! Key files on a real file system.
#![cfg(feature = "store")]
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use hashpact_keys::Signer;
use hashpact_keys::roster::KeyUse;
use hashpact_keys::store::{KeyDir, KeyFile, KeyFileError};

const SEED: [u8; 32] = [0xa5; 32];

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// A file with this content and mode 0600.
fn private_file(dir: &Path, content: &str) -> std::path::PathBuf {
    let path = dir.join("some.key");
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    path
}

#[test]
fn a_key_is_written_privately_and_loads_for_its_use() {
    let home = tempfile::tempdir().unwrap();
    let keys = KeyDir::new(home.path().join("keys"));
    keys.make().unwrap();
    let made = keys.create(KeyUse::Delta, &SEED).unwrap();
    let path = keys.path_of(KeyUse::Delta);
    assert_eq!(path, home.path().join("keys/delta.key"));
    assert_eq!(
        (mode(&home.path().join("keys")), mode(&path)),
        (0o700, 0o600)
    );
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        format!("hashpact-key-v1 delta {}\n", "a5".repeat(32))
    );
    let loaded = keys.load(KeyUse::Delta).unwrap();
    assert_eq!(
        (loaded.public(), made.public()),
        (Signer::from_seed(&SEED).public(), loaded.public())
    );
}

#[test]
fn a_key_is_never_overwritten() {
    let home = tempfile::tempdir().unwrap();
    let keys = KeyDir::new(home.path());
    keys.create(KeyUse::Log, &SEED).unwrap();
    let error = keys.create(KeyUse::Log, &[1; 32]).unwrap_err();
    assert!(matches!(error, KeyFileError::Exists { path } if path == keys.path_of(KeyUse::Log)));
    assert_eq!(
        keys.load(KeyUse::Log).unwrap().public(),
        Signer::from_seed(&SEED).public()
    );
    // A dangling link is a name too: the key is not written to where it points.
    let aside = home.path().join("aside");
    symlink(&aside, keys.path_of(KeyUse::Node)).unwrap();
    assert!(matches!(
        keys.create(KeyUse::Node, &SEED).unwrap_err(),
        KeyFileError::Exists { .. }
    ));
    assert!(!aside.exists());
}

#[test]
fn a_key_that_others_may_touch_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let keys = KeyDir::new(home.path());
    keys.create(KeyUse::Log, &SEED).unwrap();
    let path = keys.path_of(KeyUse::Log);
    for open in [0o640, 0o604, 0o620, 0o602, 0o610, 0o601] {
        fs::set_permissions(&path, Permissions::from_mode(open)).unwrap();
        assert!(
            matches!(keys.load(KeyUse::Log).unwrap_err(), KeyFileError::Mode { mode, .. } if mode == open),
            "{open:o}"
        );
    }
    fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
    assert!(keys.load(KeyUse::Log).is_ok());
}

#[test]
fn a_key_for_another_use_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("delta.key");
    KeyFile::create(&path, KeyUse::Log, &SEED).unwrap();
    let error = KeyFile::load(&path, KeyUse::Delta).unwrap_err();
    assert!(matches!(
        error,
        KeyFileError::Use {
            expected: KeyUse::Delta,
            got: KeyUse::Log,
            ..
        }
    ));
    assert!(matches!(
        KeyFile::load_node_seed(&path).unwrap_err(),
        KeyFileError::Use {
            expected: KeyUse::Node,
            ..
        }
    ));
}

#[test]
fn only_a_node_key_hands_out_its_seed() {
    let home = tempfile::tempdir().unwrap();
    let keys = KeyDir::new(home.path());
    keys.create(KeyUse::Node, &SEED).unwrap();
    assert_eq!(
        *KeyFile::load_node_seed(&keys.path_of(KeyUse::Node)).unwrap(),
        SEED
    );
}

#[test]
fn malformed_files_are_refused_and_not_quoted() {
    let home = tempfile::tempdir().unwrap();
    let digits = "a5".repeat(32);
    for content in [
        String::new(),
        format!("hashpact-key-v1 log {digits}"),
        format!("hashpact-key-v1 log {digits}\n\n"),
        format!("hashpact-key-v1 log {digits}\r\n"),
        format!("hashpact-key-v1 log {digits} \n"),
        format!("hashpact-key-v1  log {digits}\n"),
        format!("hashpact-key-v2 log {digits}\n"),
        format!("hashpact-key-v1 logs {digits}\n"),
        format!("hashpact-key-v1 log {}\n", digits.to_uppercase()),
        format!("hashpact-key-v1 log {}\n", &digits[1..]),
        format!("hashpact-key-v1 log {digits}{digits}{digits}\n"),
    ] {
        let error = KeyFile::load(&private_file(home.path(), &content), KeyUse::Log).unwrap_err();
        assert!(
            matches!(
                error,
                KeyFileError::Format { .. } | KeyFileError::Seed { .. }
            ),
            "{content:?}: {error:?}"
        );
        assert!(!format!("{error} {error:?}").contains("a5a5"), "{error:?}");
    }
}

#[test]
fn what_is_no_file_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let missing = KeyFile::load(&home.path().join("log.key"), KeyUse::Log).unwrap_err();
    assert!(matches!(missing, KeyFileError::Io { action: "open", .. }));
    let folder = KeyFile::load(home.path(), KeyUse::Log).unwrap_err();
    assert!(matches!(folder, KeyFileError::NotAFile { .. }));
}
