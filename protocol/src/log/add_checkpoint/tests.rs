//! Every status of the specification, and requests and answers that are none.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::*;
use crate::log::{consistency_proof, grow, root_at};

const ORIGIN: &str = "log.example/stock log";

fn signer(seed: u8) -> Signer {
    Signer::from_seed(&[seed; 32])
}

fn key() -> VerifierKey {
    VerifierKey::new("log.example/key", SignatureKind::Log, signer(1).public())
}

fn known(origin: &str) -> Option<WitnessedLog> {
    (origin == ORIGIN).then(|| WitnessedLog {
        origin: ORIGIN.to_owned(),
        keys: vec![key()],
    })
}

fn text(size: u64, root: Hash) -> String {
    format!(
        "{ORIGIN}\n{size}\n{}\nextension line\n",
        BASE64.encode(root)
    )
}

fn note(size: u64, root: Hash) -> Vec<u8> {
    SignedNote::sign(&text(size, root), "log.example/key", &signer(1)).to_bytes()
}

/// A log of 20 leaves whose every size can be asked for.
struct Log(RefCell<BTreeMap<String, Vec<u8>>>);

impl Log {
    fn new() -> Self {
        let log = Self(RefCell::default());
        for n in 0..20_u64 {
            let read = |path: &str| log.0.borrow().get(path).cloned();
            let grown = grow(&read, n, &[n.to_be_bytes().to_vec()]).unwrap();
            let files = grown.files.into_iter().map(|file| (file.path, file.bytes));
            log.0.borrow_mut().extend(files);
        }
        log
    }

    fn read(&self) -> impl Fn(&str) -> Option<Vec<u8>> {
        |path| self.0.borrow().get(path).cloned()
    }

    fn root(&self, size: u64) -> Hash {
        root_at(&self.read(), 20, size).unwrap()
    }

    fn last(&self, size: u64) -> Option<(u64, Hash)> {
        Some((size, self.root(size)))
    }

    fn request(&self, old: u64, size: u64) -> AddCheckpoint {
        let proof = consistency_proof(&self.read(), 20, old, size).unwrap_or_default();
        AddCheckpoint {
            old,
            proof,
            note: note(size, self.root(size)),
        }
    }
}

fn judge(request: AddCheckpoint, last: Option<(u64, Hash)>) -> Result<Accepted, Refusal> {
    request.authenticate(known)?.continues(last)
}

fn refused(request: AddCheckpoint, last: Option<(u64, Hash)>) -> (Refusal, u16) {
    let refusal = judge(request, last).unwrap_err();
    let status = refusal.status();
    (refusal, status)
}

/// The example of the specification.
const EXAMPLE: &str = "old 20852014
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=
5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=
/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=

example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

\u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
\u{2014} example.com/behind-the-sofa opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=
";

#[test]
fn the_request_of_the_specification_reads_and_writes() {
    let request = AddCheckpoint::from_bytes(EXAMPLE.as_bytes()).unwrap();
    assert_eq!((request.old, request.proof.len()), (20_852_014, 4));
    assert_eq!(request.to_bytes(), EXAMPLE.as_bytes());
    let note = SignedNote::parse(&request.note).unwrap();
    let head = LogHead::from_text(note.text()).unwrap();
    assert_eq!(
        (head.origin.as_str(), head.size),
        ("example.com/behind-the-sofa", 20_852_163)
    );
}

#[test]
fn malformed_requests_are_refused() {
    for bad in [
        EXAMPLE.replace("old 2", "old 02"),
        EXAMPLE.replace("old 2", "old +2"),
        EXAMPLE.replace("old 20852014", "old 9223372036854775808"),
        EXAMPLE.replace("old 20852014", "old"),
        EXAMPLE.replace("old ", "new "),
        EXAMPLE.replace("PlRN", "PlR"),
        EXAMPLE.replace("pkaw=", "pkax="),
        EXAMPLE.replace("pkaw=\n", "pkaw=\r\n"),
        EXAMPLE.replace("\n\n", "\n"),
        String::new(),
    ] {
        let refused = AddCheckpoint::from_bytes(bad.as_bytes());
        assert_eq!(refused, Err(AddCheckpointError::Shape), "{bad:?}");
    }
    let huge = vec![b'a'; REQUEST_BYTES + 1];
    let got = huge.len();
    let too_large = Err(AddCheckpointError::TooLarge { got });
    assert_eq!(AddCheckpoint::from_bytes(&huge), too_large);
}

#[test]
fn a_proof_of_64_lines_is_refused_and_one_of_63_is_read() {
    let mut request = Log::new().request(0, 3);
    request.proof = vec![[1; 32]; 63];
    let read = AddCheckpoint::from_bytes(&request.to_bytes()).unwrap();
    assert_eq!(read, request);
    request.proof.push([1; 32]);
    let refused = AddCheckpoint::from_bytes(&request.to_bytes()).unwrap_err();
    assert_eq!(refused, AddCheckpointError::ProofLines { got: 64 });
    assert_eq!(Refusal::from(refused).status(), 400);
}

#[test]
fn a_note_that_is_no_checkpoint_is_refused() {
    let root = BASE64.encode([7; 32]);
    for bad in [
        format!("{ORIGIN}\n1\n"),
        format!("{ORIGIN}\n01\n{root}\n"),
        format!("{ORIGIN}\n9223372036854775808\n{root}\n"),
        format!("{ORIGIN}\n1\n{}\n", BASE64.encode([7; 31])),
        format!("{ORIGIN}\n1\n{root}\n\nafter an empty line\n"),
        format!("\n1\n{root}\n"),
    ] {
        let note = SignedNote::sign(&bad, "log.example/key", &signer(1)).to_bytes();
        let (old, proof) = (0, Vec::new());
        let refused = refused(AddCheckpoint { old, proof, note }, None);
        let expected = Refusal::Malformed(AddCheckpointError::Checkpoint);
        assert_eq!(refused, (expected, 400), "{bad:?}");
    }
    let largest = format!("{ORIGIN}\n9223372036854775807\n{root}\n");
    assert_eq!(LogHead::from_text(&largest).unwrap().size, (1 << 63) - 1);
}

#[test]
fn every_step_from_nothing_is_accepted() {
    let log = Log::new();
    for (old, size) in [
        (0, 0),
        (0, 1),
        (0, 20),
        (1, 1),
        (1, 2),
        (3, 20),
        (8, 13),
        (20, 20),
    ] {
        let bytes = log.request(old, size).to_bytes();
        let request = AddCheckpoint::from_bytes(&bytes).unwrap();
        let last = if old == 0 { None } else { log.last(old) };
        let accepted = judge(request, last).unwrap();
        assert_eq!(
            (accepted.head.size, accepted.head.root),
            (size, log.root(size))
        );
        assert_eq!(accepted.note.text(), text(size, log.root(size)));
    }
}

#[test]
fn a_log_that_is_not_known_is_404() {
    let log = Log::new();
    let mut request = log.request(0, 3);
    request.note = SignedNote::sign("x\n3\n", "x", &signer(1)).to_bytes();
    assert_eq!(refused(request, None).1, 400);
    let mut request = log.request(0, 3);
    let text = text(3, log.root(3)).replace(ORIGIN, "other.example");
    request.note = SignedNote::sign(&text, "log.example/key", &signer(1)).to_bytes();
    assert_eq!(refused(request, None), (Refusal::UnknownLog, 404));
}

#[test]
fn a_note_with_a_wrong_key_is_403() {
    let log = Log::new();
    let mut request = log.request(0, 3);
    let text = text(3, log.root(3));
    // Another key under the log's name, and the log's key under another name.
    for (name, seed) in [("log.example/key", 2), (ORIGIN.trim_end_matches(" log"), 1)] {
        request.note = SignedNote::sign(&text, name, &signer(seed)).to_bytes();
        assert_eq!(refused(request.clone(), None), (Refusal::Unsigned, 403));
    }
    // The log's name and key id above a signature of another text.
    let forged = String::from_utf8(log.request(0, 3).note).unwrap();
    request.note = forged.replacen("extension", "Extension", 1).into_bytes();
    assert_eq!(refused(request, None), (Refusal::Signature, 403));
}

#[test]
fn one_bad_line_of_a_known_key_spoils_a_note_with_a_good_one() {
    let log = Log::new();
    let mut request = log.request(0, 3);
    let other = String::from_utf8(log.request(0, 4).note).unwrap();
    let bad_line = other.lines().last().unwrap();
    request
        .note
        .extend_from_slice(format!("{bad_line}\n").as_bytes());
    assert_eq!(refused(request, None), (Refusal::Signature, 403));
}

#[test]
fn lines_of_strangers_are_neither_believed_nor_kept() {
    let log = Log::new();
    let mut request = log.request(0, 3);
    let line = format!("\u{2014} stranger.example {}\n", BASE64.encode([9; 68]));
    request.note.extend_from_slice(line.as_bytes());
    let submitted = request.authenticate(known).unwrap();
    assert_eq!(submitted.to_request(), log.request(0, 3));
    let accepted = submitted.continues(None).unwrap();
    assert_eq!(accepted.note.to_bytes(), log.request(0, 3).note);
}

#[test]
fn an_old_size_above_the_checkpoint_is_400() {
    let log = Log::new();
    let mut request = log.request(0, 3);
    request.old = 4;
    let expected = Refusal::Old { old: 4, size: 3 };
    assert_eq!(refused(request, log.last(4)), (expected, 400));
}

#[test]
fn a_checkpoint_that_goes_back_is_409_with_the_size_cosigned_last() {
    let log = Log::new();
    let conflict = |old, last, forked| (Refusal::Conflict { old, last, forked }, 409);
    let back = refused(log.request(2, 5), log.last(9));
    assert_eq!(back, conflict(2, 9, false));
    assert_eq!(back.0.suspicion(), Suspicion::None);
    assert_eq!(refused(log.request(9, 12), None), conflict(9, 0, false));
    // Another root at the size cosigned last is told from an old request.
    let mut forked = log.request(2, 9);
    forked.note = note(9, [7; 32]);
    let forked = refused(forked, log.last(9));
    assert_eq!(forked, conflict(2, 9, true));
    assert_eq!(forked.0.suspicion(), Suspicion::Forked);
    assert_eq!(
        refused(log.request(2, 9), log.last(9)),
        conflict(2, 9, false)
    );
}

#[test]
fn size_0_with_another_root_than_that_of_the_empty_tree_is_422() {
    let request = AddCheckpoint {
        old: 0,
        proof: Vec::new(),
        note: note(0, [7; 32]),
    };
    assert_eq!(refused(request, None), (Refusal::EmptyRoot, 422));
}

#[test]
fn a_proof_from_nothing_is_422() {
    let log = Log::new();
    let mut request = log.request(0, 3);
    request.proof = vec![[1; 32]];
    let expected = Refusal::Inconsistent { from: 0, to: 3 };
    assert_eq!(refused(request, None), (expected, 422));
}

#[test]
fn a_proof_that_does_not_hold_is_422() {
    let log = Log::new();
    let inconsistent = (Refusal::Inconsistent { from: 3, to: 9 }, 422);
    let good = log.request(3, 9);
    for at in 0..good.proof.len() {
        let mut request = good.clone();
        request.proof[at][0] ^= 1;
        assert_eq!(refused(request, log.last(3)), inconsistent);
    }
    let mut short = good.clone();
    short.proof.pop();
    assert_eq!(refused(short, log.last(3)), inconsistent);
    let mut long = good;
    long.proof.push([1; 32]);
    let (refusal, status) = refused(long, log.last(3));
    assert_eq!((refusal.suspicion(), status), (Suspicion::Unproven, 422));
}

#[test]
fn two_roots_of_one_size_are_422_and_a_fork() {
    let log = Log::new();
    let mut request = log.request(9, 9);
    request.note = note(9, [7; 32]);
    let (refusal, status) = refused(request, log.last(9));
    assert_eq!((&refusal, status), (&Refusal::Forked { size: 9 }, 422));
    assert_eq!(refusal.suspicion(), Suspicion::Forked);
}

#[test]
fn an_absurd_size_is_refused_without_work() {
    let request = AddCheckpoint {
        old: 0,
        proof: Vec::new(),
        note: note((1 << 63) - 1, [7; 32]),
    };
    assert_eq!(refused(request, None).1, 422);
}

#[test]
fn the_answer_is_a_cosignature_that_the_log_takes_over() {
    let log = Log::new();
    let accepted = judge(log.request(0, 3), None).unwrap();
    let at = Timestamp::new(1_700_000_000);
    let mut answer = cosignature_line(&accepted.note, "w.example/1", &signer(5), at);
    let witness = VerifierKey::new("w.example/1", SignatureKind::Cosigner, signer(5).public());
    // A line that nobody asked for is left behind.
    let stranger = signer(6);
    answer.extend(cosignature_line(
        &accepted.note,
        "w.example/2",
        &stranger,
        at,
    ));
    let answered = cosignatures_from_answer(&accepted.note, &answer).unwrap();
    let mut own = SignedNote::parse(&log.request(0, 3).note).unwrap();
    assert_eq!(
        own.take_over(&answered, &witness, Timestamp::new(u64::MAX)),
        Ok(true)
    );
    assert_eq!(own.signed_by(&witness), Ok(Some(at)));
    let other = VerifierKey::new("w.example/2", SignatureKind::Cosigner, stranger.public());
    assert_eq!(own.signed_by(&other), Err(NoteError::Unsigned));
}

#[test]
fn an_answer_of_anything_but_signature_lines_is_refused() {
    let log = Log::new();
    let own = SignedNote::parse(&log.request(0, 3).note).unwrap();
    let line = cosignature_line(&own, "w.example/1", &signer(5), Timestamp::new(9));
    let line = String::from_utf8(line).unwrap();
    for bad in [
        String::new(),
        "\n".to_owned(),
        "cosigned\n".to_owned(),
        line.trim_end().to_owned(),
        format!("more text\n\n{line}"),
        format!("{line}\n"),
        format!("\n{line}"),
    ] {
        let refused = cosignatures_from_answer(&own, bad.as_bytes());
        assert_eq!(refused, Err(AnswerError::Shape), "{bad:?}");
    }
    let huge = vec![b'a'; ANSWER_BYTES + 1];
    let got = huge.len();
    let refused = cosignatures_from_answer(&own, &huge);
    assert_eq!(refused, Err(AnswerError::TooLarge { got }));
}
