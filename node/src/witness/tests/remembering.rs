//! What a folder holds after crashes, damage and loss: a witness that does not know what it cosigned cosigns nothing.

use std::fs;
use std::path::PathBuf;

use hashpact_protocol::log::{Refusal, SignatureKind, VerifierKey, origin_hash};

use super::*;
use crate::store::durable::Stopped;
use crate::witness::StateError;

fn log_file(folder: &Path) -> PathBuf {
    folder.join(hex::encode(origin_hash(ORIGIN)))
}

fn reopened(folder: &Path) -> Result<WitnessState, StateError> {
    WitnessState::open(folder, witness_key(), Steps::default())
}

fn last_size(state: &WitnessState) -> Option<u64> {
    let cosigned = state.cosigned(&origin_hash(ORIGIN)).unwrap();
    cosigned.map(|cosigned| cosigned.head.size)
}

fn is_conflict(refused: Result<LogHead, CosignError>, size: u64) -> bool {
    matches!(refused, Err(CosignError::Refused(Refusal::Conflict { last, .. })) if last == size)
}

#[test]
fn what_was_cosigned_is_remembered_over_a_restart() {
    let (folder, log) = (tempfile::tempdir().unwrap(), Log::new(0));
    let state = made(folder.path());
    cosign(&state, log.request(0, 5), 100).unwrap();
    cosign(&state, log.request(5, 9), 101).unwrap();
    drop(state);
    let state = reopened(folder.path()).unwrap();
    assert_eq!(last_size(&state), Some(9));
    assert!(is_conflict(cosign(&state, log.request(0, 9), 102), 9));
    assert!(is_conflict(cosign(&state, log.request(5, 7), 102), 9));
    cosign(&state, log.request(9, 20), 102).unwrap();
    let cosigned = state.cosigned(&origin_hash(ORIGIN)).unwrap().unwrap();
    let note = SignedNote::parse(&cosigned.note).unwrap();
    assert_eq!(note.signed_by(&witness_key()), Ok(Some(at(102))));
    assert_eq!(note.signed_by(&log_vkey()), Ok(None));
}

#[test]
fn witness_that_lost_its_state_refuses_to_start_empty() {
    let (folder, log) = (tempfile::tempdir().unwrap(), Log::new(0));
    let path = folder.path().join("state");
    drop(made(&path));
    // The whole folder, everything in it, or only the marker.
    for lose in [
        (|path| fs::remove_dir_all(path).unwrap()) as fn(&Path),
        |path| {
            fs::remove_dir_all(path).unwrap();
            fs::create_dir(path).unwrap();
        },
        |path| fs::remove_file(path.join("witness-state")).unwrap(),
    ] {
        let _ = fs::remove_dir_all(&path);
        cosign(&made(&path), log.request(0, 5), 100).unwrap();
        lose(&path);
        let error = reopened(&path).unwrap_err();
        assert!(matches!(error, StateError::Lost { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("must not cosign again") && text.contains("make a new home"));
    }
}

#[test]
fn state_of_another_key_or_name_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(made(folder.path()));
    let key = signer(2).public();
    let (other, kind) = (signer(3).public(), SignatureKind::Cosigner);
    for key in [
        VerifierKey::new(NAME, kind, other),
        VerifierKey::new("witness.example/w2", kind, key),
    ] {
        let error = WitnessState::open(folder.path(), key, Steps::default()).unwrap_err();
        assert!(matches!(error, StateError::OtherKey { .. }), "{error}");
    }
    let marker = folder.path().join("witness-state");
    let text = fs::read_to_string(&marker).unwrap();
    for damaged in [
        "",
        "\n",
        text.trim_end(),
        &format!("{text}zz\n"),
        &text[1..],
    ] {
        fs::write(&marker, damaged).unwrap();
        let error = reopened(folder.path()).unwrap_err();
        assert!(matches!(error, StateError::Marker { .. }), "{damaged:?}");
    }
}

#[test]
fn state_is_never_made_over_one_that_is_there_and_used_by_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let state = made(folder.path());
    let again = WitnessState::make(folder.path(), &witness_key(), &Steps::default());
    assert!(matches!(again, Err(StateError::Exists { .. })));
    let second = reopened(folder.path()).unwrap_err();
    assert!(matches!(second, StateError::Locked { .. }), "{second}");
    drop(state);
    reopened(folder.path()).unwrap();
}

#[test]
fn log_whose_file_is_missing_or_damaged_is_not_cosigned() {
    let log = Log::new(0);
    for damage in [
        (|file| fs::remove_file(file).unwrap()) as fn(&Path),
        |file| fs::write(file, "").unwrap(),
        |file| {
            let text = fs::read_to_string(file).unwrap();
            fs::write(file, text.replace("\n5\n", "\n4\n")).unwrap();
        },
        |file| {
            // Without the witness's own line.
            let text = fs::read_to_string(file).unwrap();
            let end = text.trim_end().rfind('\n').unwrap();
            fs::write(file, &text[..=end]).unwrap();
        },
    ] {
        let folder = tempfile::tempdir().unwrap();
        cosign(&made(folder.path()), log.request(0, 5), 100).unwrap();
        damage(&log_file(folder.path()));
        let state = reopened(folder.path()).unwrap();
        for request in [log.request(0, 5), log.request(5, 6), log.request(4, 5)] {
            let error = cosign(&state, request, 101).unwrap_err();
            assert!(matches!(error, CosignError::Unknown), "{error}");
            assert_eq!(error.status(), 503);
        }
        assert!(state.cosigned(&origin_hash(ORIGIN)).is_err());
        let report = WitnessState::report(folder.path(), &witness_key()).unwrap();
        assert_eq!(report[0].cosigned, None);
    }
}

#[test]
fn clock_that_goes_back_gives_no_cosignature() {
    let (folder, log) = (tempfile::tempdir().unwrap(), Log::new(0));
    let state = made(folder.path());
    cosign(&state, log.request(0, 5), 100).unwrap();
    let error = cosign(&state, log.request(5, 6), 99).unwrap_err();
    assert!(
        matches!(error, CosignError::ClockBack { last, now } if (last, now) == (at(100), at(99))),
        "{error}"
    );
    assert_eq!((error.status(), last_size(&state)), (503, Some(5)));
    // In the same second it goes on, and at an unchanged size the time is renewed.
    cosign(&state, log.request(5, 6), 100).unwrap();
    cosign(&state, log.request(6, 6), 150).unwrap();
    let cosigned = state.cosigned(&origin_hash(ORIGIN)).unwrap().unwrap();
    assert_eq!((cosigned.head.size, cosigned.at), (6, at(150)));
    // A clock that was never set dates nothing.
    let other = tempfile::tempdir().unwrap();
    let error = cosign(&made(other.path()), log.request(0, 5), 0).unwrap_err();
    assert_eq!(error.status(), 503);
}

/// Whatever step a crash comes before, an answer that left is remembered and no history is forked.
#[test]
fn crash_at_any_step_forgets_nothing_that_was_answered() {
    let log = Log::new(0);
    let run = |folder: &Path, steps: Steps| -> (Option<u64>, Option<Stopped>) {
        let state = match WitnessState::open(folder, witness_key(), steps) {
            Ok(state) => state,
            Err(StateError::Io { source, .. }) => return (None, Stopped::of(&source)),
            Err(other) => panic!("{other}"),
        };
        let mut answered = None;
        for (old, size) in [(0, 5), (5, 9), (9, 12)] {
            match cosign(&state, log.request(old, size), 100) {
                Ok(head) => answered = Some(head.size),
                Err(CosignError::Io(error)) => return (answered, Stopped::of(&error)),
                Err(other) => panic!("{other}"),
            }
        }
        (answered, None)
    };
    let make = |folder: &Path| {
        WitnessState::make(folder, &witness_key(), &Steps::default()).unwrap();
    };
    let counted = Steps::default();
    let folder = tempfile::tempdir().unwrap();
    make(folder.path());
    assert_eq!(run(folder.path(), counted.clone()), (Some(12), None));
    let mut stopped_at = 0;
    for stop in 0..counted.taken() {
        let folder = tempfile::tempdir().unwrap();
        make(folder.path());
        let (answered, stopped) = run(folder.path(), Steps::stop_at(stop));
        assert_eq!(stopped.unwrap().index, stop);
        let state = reopened(folder.path()).unwrap();
        let held = last_size(&state);
        assert!(held >= answered, "step {stop}: {held:?} after {answered:?}");
        stopped_at += 1;
        // And it goes on from there.
        let old = held.unwrap_or(0);
        cosign(&state, log.request(old, 20), 101).unwrap();
        drop(state);
        assert_eq!(last_size(&reopened(folder.path()).unwrap()), Some(20));
    }
    assert!(stopped_at > 10, "{stopped_at} steps");
}

#[test]
fn after_a_failed_write_nothing_more_is_cosigned_until_the_folder_is_opened_again() {
    let (folder, log) = (tempfile::tempdir().unwrap(), Log::new(0));
    drop(made(folder.path()));
    let state = WitnessState::open(folder.path(), witness_key(), Steps::stop_at(2)).unwrap();
    let failed = cosign(&state, log.request(0, 5), 100).unwrap_err();
    assert!(matches!(failed, CosignError::Io(_)), "{failed}");
    let error = cosign(&state, log.request(0, 7), 100).unwrap_err();
    assert!(matches!(error, CosignError::Unknown), "{error}");
    drop(state);
    cosign(&reopened(folder.path()).unwrap(), log.request(0, 7), 100).unwrap();
}

#[test]
fn forks_and_failing_proofs_are_kept_with_what_they_contradict() {
    let (folder, log, fork) = (tempfile::tempdir().unwrap(), Log::new(0), Log::new(1));
    let state = made(folder.path());
    cosign(&state, log.request(0, 9), 100).unwrap();
    let report = || WitnessState::report(folder.path(), &witness_key()).unwrap()[0].clone();
    let kept = |kind: &str, n: u32| {
        let name = format!("{}.{kind}-{n}", hex::encode(origin_hash(ORIGIN)));
        let request = fs::read(folder.path().join(&name)).unwrap();
        let held = fs::read(folder.path().join(format!("{name}.cosigned"))).unwrap();
        (AddCheckpoint::from_bytes(&request).unwrap(), held)
    };
    // The same size with another root, twice; then beside another old size.
    for request in [fork.request(9, 9), fork.request(9, 9), fork.request(3, 9)] {
        assert!(cosign(&state, request, 101).is_err());
    }
    assert_eq!((report().forks, report().refused), (1, 0));
    let (request, held) = kept("fork", 1);
    assert_eq!(request.note, fork.note(9));
    let held = SignedNote::parse(&held).unwrap();
    assert_eq!(held.text(), SignedNote::parse(&log.note(9)).unwrap().text());
    assert_eq!(held.signed_by(&log_vkey()), Ok(None));
    // Each further size of the other history is kept once, whatever is sent beside it, as long as there is room.
    assert!(cosign(&state, fork.request(9, 12), 101).is_err());
    let mut wrong = fork.request(9, 12);
    wrong.proof.push([7; 32]);
    assert!(cosign(&state, wrong, 101).is_err());
    assert_eq!((report().forks, report().refused), (1, 1));
    assert_eq!(kept("refused", 1).0, fork.request(9, 12));
    // An old request and a conflict say nothing about the log.
    assert!(cosign(&state, log.request(3, 5), 101).is_err());
    assert_eq!((report().forks, report().refused), (1, 1));
    // The room is bounded, and over a restart too.
    drop(state);
    let state = reopened(folder.path()).unwrap();
    assert!(cosign(&state, fork.request(9, 12), 101).is_err());
    for tag in 2..90 {
        assert!(cosign(&state, Log::new(tag).request(9, 10), 101).is_err());
    }
    assert_eq!((report().forks, report().refused), (1, 64));
    assert!(cosign(&state, Log::new(99).request(9, 9), 101).is_err());
    assert_eq!((report().forks, report().refused), (2, 64));
    cosign(&state, log.request(9, 10), 101).unwrap();
}
