use hashpact_keys::roster::{KeyEntry, Revocation, RosterDraft, WitnessEntry};
use hashpact_keys::{SignedRoster, Signer, Timestamp};

use super::*;
use crate::log::{Checkpoint, witness_name};
use crate::testing::keys::{CentreSetup, START, network, next_roster};

fn signer(n: u8) -> Signer {
    Signer::from_seed(&[n; 32])
}

fn witness(n: u8) -> VerifierKey {
    VerifierKey::new(
        &format!("w{n}.example"),
        SignatureKind::Cosigner,
        signer(n).public(),
    )
}

fn held(use_: KeyUse, signer: &Signer) -> KeyEntry {
    let (from, until) = (Timestamp::new(START.get() - 3_600), None);
    let key = signer.public();
    KeyEntry {
        use_,
        key,
        from,
        until,
    }
}

fn log() -> VerifierKey {
    log_key(&"eu.example/eu/1".parse().unwrap(), signer(100).public())
}

/// The example of the specification.
fn example() -> String {
    let mut text = format!("# An example\n\nlog {}\n", log());
    for (n, name) in (1..).zip(["X1", "X2", "X3", "Y1", "Y2", "Y3"]) {
        text.push_str(&format!("witness {name} {}\n", witness(n)));
    }
    text.push_str("group X-witnesses 2 X1 X2 X3\n");
    text.push_str("\tgroup  Y-witnesses any Y1 Y2 Y3 \n");
    text + "group X-and-Y all X-witnesses Y-witnesses\nquorum X-and-Y\n"
}

fn note(by: &[u8]) -> SignedNote {
    let origin = "eu.example/eu/1".parse().unwrap();
    let (size, root) = (3, [1; 32]);
    let head = Checkpoint { origin, size, root }.sign(&signer(100));
    let mut note = SignedNote::parse(head.note()).unwrap();
    for n in by {
        let (name, signer) = (format!("w{n}.example"), signer(*n));
        note.cosign(&name, &signer, START).unwrap();
    }
    note
}

#[test]
fn the_example_of_the_specification_is_met_by_two_of_x_and_one_of_y() {
    let policy = WitnessPolicy::parse(example().as_bytes()).unwrap();
    for (by, met) in [
        (&[1, 2, 4][..], true),
        (&[1, 3, 6], true),
        (&[1, 2, 3, 4, 5, 6], true),
        (&[1, 2, 3], false),
        (&[1, 4, 5, 6], false),
        (&[1, 1, 4], false),
        (&[], false),
    ] {
        assert_eq!(policy.is_met(&note(by)), Ok(met), "{by:?}");
    }
}

#[test]
fn a_checkpoint_that_no_listed_log_signed_is_not_acceptable() {
    let policy = WitnessPolicy::parse(example().as_bytes()).unwrap();
    let unsigned = note(&[1, 2, 4]).only([&witness(1), &witness(2), &witness(4)]);
    assert_eq!(policy.is_met(&unsigned), Ok(false));
    // Signed by the log's key, and of another log.
    let other = SignedNote::sign("eu.example/eu/2\n3\n", "eu.example/eu/1", &signer(100));
    let none = WitnessPolicy::parse(format!("log {}\nquorum none\n", log()).as_bytes()).unwrap();
    assert_eq!(none.is_met(&other), Ok(false));
    assert_eq!(none.is_met(&note(&[])), Ok(true));
    let open = WitnessPolicy::parse(b"quorum none\n").unwrap();
    assert_eq!(open.is_met(&unsigned), Ok(true));
}

#[test]
fn a_bad_line_of_a_listed_witness_refuses_the_note() {
    let policy = WitnessPolicy::parse(example().as_bytes()).unwrap();
    let text = note(&[1, 2, 4]).to_bytes();
    let later = SignedNote::sign("x\n", "w9.example", &signer(9));
    assert_eq!(policy.is_met(&later), Ok(false));
    let text = String::from_utf8(text)
        .unwrap()
        .replacen("\n3\n", "\n4\n", 1);
    let bent = SignedNote::parse(text.as_bytes()).unwrap();
    assert_eq!(policy.is_met(&bent), Err(NoteError::Signature));
}

#[test]
fn what_was_read_is_written_without_comments_and_reads_back() {
    let policy = WitnessPolicy::parse(example().as_bytes()).unwrap();
    let written = policy.to_bytes();
    assert!(!written.starts_with(b"#"));
    let again = WitnessPolicy::parse(&written).unwrap();
    assert_eq!(again, policy);
    assert_eq!(again.to_bytes(), written);
    let (log, w) = (log(), witness(1));
    let urls =
        format!("log {log} https://l\nwitness \u{212a} {w} https://w\u{e9}\nquorum \u{212a}\n");
    let policy = WitnessPolicy::parse(urls.as_bytes()).unwrap();
    assert_eq!(policy.to_bytes(), urls.as_bytes());
    assert_eq!(policy.logs()[0].url.as_deref(), Some(&b"https://l"[..]));
    assert_eq!(policy.witnesses()[0].name, "\u{212a}".as_bytes());
}

#[test]
fn each_rule_of_the_format_has_its_refusal() {
    type E = PolicyFileError;
    let (a, b) = (format!("witness a {}", witness(1)), witness(2));
    let (log, other) = (log(), witness(3));
    let renamed = VerifierKey::new("z.example", SignatureKind::Cosigner, *witness(1).key());
    for (text, error) in [
        (format!("{a}\n"), E::Quorum { got: 0 }),
        (format!("{a}\nquorum a\nquorum a\n"), E::Quorum { got: 2 }),
        (format!("quorum a\n{a}\n"), E::UnknownName { line: 1 }),
        (format!("{a}\nquorum a"), E::Characters),
        (format!("{a}\r\nquorum a\n"), E::Characters),
        (format!("{a}\nquorum a a\n"), E::Line { line: 2 }),
        (format!("{a} u v\nquorum a\n"), E::Line { line: 1 }),
        (format!("Quorum none\n{a}\n"), E::Line { line: 1 }),
        (format!("witness none {b}\n"), E::RepeatedName { line: 1 }),
        (format!("{a}\nwitness a {b}\n"), E::RepeatedName { line: 2 }),
        (format!("{a}\ngroup a any a\n"), E::RepeatedName { line: 2 }),
        ("group g any g\n".to_owned(), E::UnknownName { line: 1 }),
        ("group g any none\n".to_owned(), E::UnknownName { line: 1 }),
        (
            format!("{a}\ngroup g any a a\n"),
            E::RepeatedMember { line: 2 },
        ),
        (
            format!("{a}\ngroup g any a\ngroup h any a\n"),
            E::RepeatedMember { line: 3 },
        ),
        (
            format!("{a}\ngroup g 2 a\n"),
            E::Threshold {
                line: 2,
                members: 1,
            },
        ),
        (
            format!("{a}\ngroup g 0 a\n"),
            E::Threshold {
                line: 2,
                members: 1,
            },
        ),
        (
            "group g all\n".to_owned(),
            E::Threshold {
                line: 1,
                members: 0,
            },
        ),
        (format!("{a}\ngroup g 01 a\n"), E::Line { line: 2 }),
        (format!("{a}\ngroup g +1 a\n"), E::Line { line: 2 }),
        (
            format!("{a}\nwitness b {renamed}\n"),
            E::RepeatedKey { line: 2 },
        ),
        (
            format!("log {log}\nlog {log}\n"),
            E::RepeatedKey { line: 2 },
        ),
        (format!("witness l {log}\n"), E::Kind { line: 1 }),
        (
            format!("log {}\n", other.to_string().replace("w3", "w4")),
            E::Key {
                line: 1,
                source: VerifierKeyError::KeyId,
            },
        ),
    ] {
        assert_eq!(
            WitnessPolicy::parse(text.as_bytes()),
            Err(error),
            "{text:?}"
        );
    }
}

#[test]
fn each_bound_holds_one_over() {
    let line = |n: usize| {
        let n = u8::try_from(n).unwrap();
        format!("witness w{n} {}\n", witness(n))
    };
    let at = |n: usize| (0..n).map(line).collect::<String>() + "quorum none\n";
    assert!(WitnessPolicy::parse(at(POLICY_ITEMS).as_bytes()).is_ok());
    let line = POLICY_ITEMS + 1;
    assert_eq!(
        WitnessPolicy::parse(at(line).as_bytes()),
        Err(PolicyFileError::TooMany { line })
    );
    let got = POLICY_BYTES + 1;
    assert_eq!(
        WitnessPolicy::parse(&vec![b'\n'; got]),
        Err(PolicyFileError::TooLarge { got })
    );
}

/// Four centres with a witness key each, one of them two, and an auditor.
fn witnessed(change: impl FnOnce(&mut RosterDraft)) -> (SignedRoster, Vec<CentreSetup>) {
    let (first, centres) = network(4, false);
    let roster = next_roster(&first, START, |draft| {
        for (centre, n) in draft.centres.iter_mut().zip(10..) {
            centre.keys.retain(|key| key.use_ != KeyUse::Witness);
            centre.keys.push(held(KeyUse::Witness, &signer(n)));
        }
        let us = draft.centres.iter_mut().find(|c| c.id.as_str() == "us");
        us.unwrap().keys.push(held(KeyUse::Witness, &signer(20)));
        draft.auditors.push(WitnessEntry {
            name: "audit.example/w1".parse().unwrap(),
            keys: vec![held(KeyUse::Witness, &signer(30))],
        });
        change(draft);
    });
    (roster, centres)
}

/// A head of `eu`, cosigned under each of these keys by whom the roster says holds it.
fn head_of(eu: &CentreSetup, roster: &Roster, by: &BTreeSet<u8>) -> SignedNote {
    let (size, root) = (3, [1; 32]);
    let origin = eu.origin.clone();
    let head = Checkpoint { origin, size, root }.sign(&eu.signer(KeyUse::Log));
    let mut note = SignedNote::parse(head.note()).unwrap();
    for n in by {
        let signer = signer(*n);
        let cosigners = Cosigners::witnesses(roster, &eu.origin);
        let name = cosigners.keys().find(|key| *key.key() == signer.public());
        let name = name.map_or("stranger.example", VerifierKey::name);
        note.cosign(name, &signer, START).unwrap();
    }
    note
}

#[test]
fn the_policy_of_a_log_groups_the_keys_of_one_witness() {
    let (roster, centres) = witnessed(|_| {});
    let policy = WitnessPolicy::of_log(roster.roster(), &centres[0].origin).unwrap();
    let text = String::from_utf8(policy.to_bytes()).unwrap();
    let us = witness_name(&centres[1].origin);
    let kinds: Vec<_> = text.lines().map(|line| line.split(' ').next()).collect();
    let mut expected = vec![Some("log")];
    expected.extend([Some("witness"); 5]);
    expected.extend([Some("group"), Some("group"), Some("quorum")]);
    assert_eq!(kinds, expected);
    assert!(text.contains(&format!("\ngroup {us} 1 {us}+")));
    assert!(text.contains("\ngroup quorum 3 "));
    assert!(text.ends_with("\nquorum quorum\n"));
    assert!(!text.contains(&witness_name(&centres[0].origin)));
}

#[test]
fn the_policy_of_a_log_and_its_roster_judge_every_note_alike() {
    let (roster, centres) = witnessed(|_| {});
    let (roster, eu) = (roster.roster(), &centres[0]);
    let cosigners = Cosigners::witnesses(roster, &eu.origin);
    let policy = WitnessPolicy::of_log(roster, &eu.origin).unwrap();
    let mut met = 0;
    // The log's own centre is 10, `us` has 11 and 20, and 99 is a stranger.
    for chosen in 0..128_u32 {
        let keys = (0..).zip([10, 11, 12, 13, 20, 30, 99]);
        let by = keys.filter(|(bit, _)| chosen >> bit & 1 == 1);
        let note = head_of(eu, roster, &by.map(|(_, key)| key).collect());
        let standing = cosigners.standing(&note, 3);
        assert_eq!(
            policy.is_met(&note),
            Ok(standing.is_witnessed()),
            "{chosen}"
        );
        met += u32::from(standing.is_witnessed());
    }
    // 3 of 4 witnesses: 1 of 3 ways for each key of `us`, and all the ways for the two that count nothing.
    assert_eq!(met, 4 * (3 * 4 + 1));
}

#[test]
fn a_revoked_key_is_not_in_the_policy_of_a_log() {
    let revoke = |n: u8| {
        move |draft: &mut RosterDraft| {
            draft.revocations.push(Revocation {
                key: signer(n).public().key_id(),
                origin: "eu.example/eu/1".parse().unwrap(),
                size: 2,
            });
        }
    };
    let (roster, centres) = witnessed(revoke(20));
    let policy = WitnessPolicy::of_log(roster.roster(), &centres[0].origin).unwrap();
    let listed = |n: u8| {
        let mut held = policy.witnesses().iter();
        held.any(|witness| *witness.key.key() == signer(n).public())
    };
    assert!(!listed(20) && listed(30));
    let (roster, _) = witnessed(|draft| {
        (10..14).for_each(|n| revoke(n)(draft));
        [20, 30].into_iter().for_each(|n| revoke(n)(draft));
    });
    assert!(matches!(
        WitnessPolicy::of_log(roster.roster(), &centres[0].origin),
        Err(PolicyFileError::Threshold { members: 0, .. })
    ));
}

#[test]
fn a_demonstration_without_witnesses_asks_for_none() {
    let (roster, centres) = network(1, true);
    let policy = WitnessPolicy::of_log(roster.roster(), &centres[0].origin).unwrap();
    assert!(policy.to_bytes().ends_with(b"quorum none\n"));
    let note = head_of(&centres[0], roster.roster(), &BTreeSet::new());
    assert_eq!(policy.is_met(&note), Ok(true));
}
