//! Entries that their origin signed and that are wrong: each is found once, and reading goes on behind it.

use hashpact_keys::roster::Revocation;
use hashpact_keys::{KeyUse, RosterVersion, Signer, Timestamp};
use hashpact_protocol::audit::{FindingKind, verify_body};
use hashpact_protocol::delta::{BodyError, Header, Seq};
use hashpact_protocol::labels::{ClassId, Labels, State};
use hashpact_protocol::log::{Leaf, LeafError};
use hashpact_protocol::testing::keys::START;
use hashpact_protocol::testing::{classified, documents, labels};
use hashpact_protocol::verify::LeafFault;

use hashpact_protocol::testing::published::{Published, delta, leaf, table};

/// A log of one good delta, then a delta whose header is bent, then two good ones behind it: what is found.
fn bent(bend: impl FnOnce(&mut Header)) -> Vec<(hashpact_protocol::audit::Place, FindingKind)> {
    let mut published = Published::with_deltas(1);
    let table = table(3, 1);
    let mut header = published.forge.header(&table);
    bend(&mut header);
    let bad = published.forge.delta(&header, &table);
    published.append(&[bad]);
    for _ in 0..2 {
        let mut next = published.forge.header(&table);
        // Later headers go on from what the bent one says.
        next.seq = Seq(next.seq.0 + header.seq.0 - 1);
        next.issued_at = header.issued_at.max(START);
        let leaf = published.forge.delta(&next, &table);
        published.append(&[leaf]);
    }
    published.publish();
    published.audit().found()
}

fn fault(fault: LeafFault) -> FindingKind {
    FindingKind::Leaf(fault)
}

#[test]
fn a_sequence_gap_and_a_repetition_are_named_once() {
    for (seq, got) in [(5, Seq(5)), (0, Seq(0))] {
        let mut published = Published::with_deltas(1);
        let table = table(3, 1);
        let mut header = published.forge.header(&table);
        header.seq = got;
        let bad = published.forge.delta(&header, &table);
        published.append(&[bad]);
        published.publish();
        let expected = Seq(1);
        let kind = fault(LeafFault::Sequence { expected, got });
        assert_eq!(published.audit().found(), [(delta(3, seq), kind)]);
    }
    let expected = Seq(1);
    let kind = fault(LeafFault::Sequence {
        expected,
        got: Seq(4),
    });
    assert_eq!(bent(|header| header.seq = Seq(4)), [(delta(3, 4), kind)]);
}

#[test]
fn counts_that_do_not_sum_are_named() {
    let kind = fault(LeafFault::Total {
        expected: 4,
        got: 3,
    });
    assert_eq!(bent(|header| header.total = 4), [(delta(3, 1), kind)]);
}

#[test]
fn a_header_that_breaks_the_chain_of_headers_or_the_table_is_named() {
    let found = bent(|header| header.prev = [7; 32]);
    assert_eq!(found, [(delta(3, 1), fault(LeafFault::Prev))]);
    let found = bent(|header| header.table = [7; 32]);
    assert_eq!(found, [(delta(3, 1), fault(LeafFault::Table))]);
}

#[test]
fn a_header_dated_back_is_named_and_later_ones_are_not() {
    let got = Timestamp::new(START.get() - 1);
    let kind = fault(LeafFault::Backdated { last: START, got });
    let found = bent(|header| header.issued_at = got);
    assert_eq!(found, [(delta(3, 1), kind)]);
}

#[test]
fn a_header_by_a_strangers_key_is_named() {
    let mut published = Published::with_deltas(1);
    let table = table(3, 1);
    let header = published.forge.header(&table);
    let header = header.sign(&Signer::from_seed(&[5; 32]));
    let bad = Leaf::Delta { header, table }.to_bytes().unwrap();
    published.append(&[bad]);
    let good = published.next_delta();
    published.append(&[good]);
    published.publish();
    let found = published.audit().found();
    let [(place, FindingKind::Leaf(LeafFault::Header(_)))] = &found[..] else {
        panic!("{found:?}");
    };
    assert_eq!(*place, delta(3, 1));
}

#[test]
fn a_class_that_is_undefined_or_defined_twice_is_named() {
    let mut published = Published::with_deltas(1);
    let mut table = table(3, 1);
    table.classes[0].class = ClassId(1);
    let bad = published
        .forge
        .delta(&published.forge.header(&table), &table);
    let signer = published.forge.signer(KeyUse::Delta);
    let again = published
        .forge
        .define(&published.forge.definitions(0, &[labels()]), &signer);
    let right = published
        .forge
        .define(&published.forge.definitions(1, &[labels()]), &signer);
    published.append(&[bad, again, right]);
    let good = published.next_delta();
    published.append(&[good]);
    published.publish();
    let audit = published.audit();
    let undefined = fault(LeafFault::UndefinedClass { class: ClassId(1) });
    let order = fault(LeafFault::ClassOrder {
        expected: 1,
        got: 0,
    });
    assert_eq!(audit.found(), [(delta(3, 1), undefined), (leaf(4), order)]);
    assert_eq!(audit.summary.unwrap().classes, 2);
}

#[test]
fn a_leaf_of_no_kind_is_named_and_nothing_behind_it() {
    let mut published = Published::with_deltas(1);
    published.append(&[vec![0x82, 0x0b, 0x01]]);
    let good = published.next_delta();
    published.append(&[good]);
    published.publish();
    let kind = fault(LeafFault::Leaf(LeafError::Kind { got: 11 }));
    assert_eq!(published.audit().found(), [(leaf(3), kind)]);
}

fn policy(published: &Published, version: u64) -> Vec<u8> {
    documents::leaf(&published.centres[0], &published.document(version))
}

#[test]
fn a_policy_must_exist_before_the_header_and_be_the_newest() {
    // None is logged: none may be named, neither a leaf of another kind nor one to come.
    let not_policy = FindingKind::NotPolicy { got: 1 };
    let found = bent(|header| header.policy_ref = Some(1));
    assert_eq!(found, [(delta(3, 1), not_policy)]);
    let ahead = fault(LeafFault::PolicyRef { at: 3, got: 3 });
    let found = bent(|header| header.policy_ref = Some(3));
    assert_eq!(found, [(delta(3, 1), ahead)]);
    // Two are logged, at 3 and 4: only the newer is in force.
    for (named, kind) in [
        (Some(4), None),
        (
            Some(3),
            Some(FindingKind::PolicyNotInForce {
                expected: Some(4),
                got: Some(3),
            }),
        ),
        (
            None,
            Some(FindingKind::PolicyNotInForce {
                expected: Some(4),
                got: None,
            }),
        ),
        (Some(2), Some(FindingKind::NotPolicy { got: 2 })),
    ] {
        let mut published = Published::with_deltas(1);
        let policies = [1, 2].map(|version| policy(&published, version));
        published.append(&policies);
        let table = table(3, 1);
        let mut header = published.forge.header(&table);
        header.policy_ref = named;
        let leaf = published.forge.delta(&header, &table);
        published.append(&[leaf]);
        published.publish();
        let expected: Vec<_> = kind.into_iter().map(|kind| (delta(5, 1), kind)).collect();
        assert_eq!(published.audit().found(), expected, "{named:?}");
    }
}

#[test]
fn rosters_are_logged_one_by_one_and_are_those_of_the_chain() {
    let mut published = Published::with_deltas(1);
    published.next_roster(|_| {});
    published.next_roster(|_| {});
    let (second, third) = (published.roster_leaf(1), published.roster_leaf(2));
    let version = RosterVersion::new(3);
    let other = Leaf::Roster {
        version,
        hash: [8; 32],
    };
    let other = other.to_bytes().unwrap();
    let beyond = RosterVersion::new(4);
    let unknown = Leaf::Roster {
        version: beyond,
        hash: [8; 32],
    };
    let unknown = unknown.to_bytes().unwrap();
    published.append(&[third.clone(), second, other, third, unknown]);
    published.publish();
    let order = |expected, got| FindingKind::RosterOrder {
        expected: RosterVersion::new(expected),
        got: RosterVersion::new(got),
    };
    let newest = version;
    assert_eq!(
        published.audit().found(),
        [
            (leaf(3), order(2, 3)),
            (leaf(4), order(4, 2)),
            (leaf(5), order(4, 3)),
            (leaf(5), FindingKind::RosterHash { version }),
            (leaf(6), order(4, 3)),
            (
                leaf(7),
                FindingKind::RosterNotInChain {
                    newest,
                    got: beyond
                }
            ),
        ]
    );
}

#[test]
fn a_header_names_the_roster_that_its_log_had_logged() {
    let got = RosterVersion::new(2);
    let kind = FindingKind::RosterNotInChain {
        newest: RosterVersion::FIRST,
        got,
    };
    let found = bent(|header| header.roster_version = got);
    assert!(found.contains(&(delta(3, 1), kind)), "{found:?}");
    // A roster that was logged is not left behind again.
    let mut published = Published::with_deltas(1);
    published.next_roster(|_| {});
    let roster = published.roster_leaf(1);
    published.append(&[roster]);
    let stale = published.next_delta();
    published.append(&[stale]);
    published.publish();
    let kind = FindingKind::RosterNotLogged {
        logged: RosterVersion::new(2),
        got: RosterVersion::FIRST,
    };
    assert_eq!(published.audit().found(), [(delta(4, 1), kind)]);
}

#[test]
fn entries_of_a_key_that_has_left_since_hold_and_later_ones_do_not() {
    let mut published = Published::with_deltas(3);
    let eu = published.centres[0].id.clone();
    published.next_roster(|draft| {
        let centre = draft.centres.iter_mut().find(|centre| centre.id == eu);
        centre.unwrap().keys.retain(|key| key.use_ != KeyUse::Delta);
    });
    assert_eq!(published.audit().found(), []);
    let roster = published.roster_leaf(1);
    let table = table(3, 1);
    published.append(&[roster]);
    // Naming the roster that still had the key helps nobody.
    for version in [1, 2] {
        let mut header = published.forge.header(&table);
        header.roster_version = RosterVersion::new(version);
        let leaf = published.forge.delta(&header, &table);
        published.append(&[leaf]);
    }
    published.publish();
    let found = published.audit().found();
    let headers = |index, seq| {
        let here = |(place, kind): &&(_, FindingKind)| {
            *place == delta(index, seq) && matches!(kind, FindingKind::Leaf(LeafFault::Header(_)))
        };
        found.iter().filter(here).count()
    };
    assert_eq!((headers(6, 3), headers(7, 4)), (1, 1), "{found:?}");
}

#[test]
fn a_revocation_of_a_later_roster_voids_what_stands_above_its_cut() {
    let mut published = Published::with_deltas(3);
    let key = published.forge.signer(KeyUse::Delta).public().key_id();
    let origin = published.centres[0].origin.clone();
    published.next_roster(|draft| {
        draft.revocations.push(Revocation {
            key,
            origin,
            size: 3,
        });
    });
    let kind = fault(LeafFault::Revoked { key, from: 3 });
    let expected = [(delta(3, 1), kind.clone()), (delta(4, 2), kind)];
    assert_eq!(published.audit().found(), expected);
}

#[test]
fn a_classifiers_opinion_in_an_assessed_class_is_found_by_an_auditor_who_sees_bodies() {
    let mut published = Published::begun();
    let suspected = Labels {
        state: State::Suspected,
        ..labels()
    };
    let definitions = published.forge.definitions(1, &[suspected]);
    let signer = published.forge.signer(KeyUse::Delta);
    let definitions = published.forge.define(&definitions, &signer);
    published.append(&[definitions]);
    for class in [0, 1].map(ClassId) {
        published.append_delta(class, &[classified(1)]);
    }
    published.publish();
    let audit = published.audit();
    assert_eq!(audit.found(), []);
    let verdicts = audit.expected.iter().map(|expected| {
        let body = published.bodies[&expected.seq].clone();
        verify_body(body, expected).map(|body| body.records)
    });
    let class = ClassId(0);
    let refused = Err(BodyError::Classifier { class, index: 0 });
    assert_eq!(verdicts.collect::<Vec<_>>(), [refused, Ok(1)]);
}
