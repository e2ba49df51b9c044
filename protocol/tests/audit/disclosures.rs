//! Centres that give more than policy allows, or say otherwise than their logs: each is found, and what is right is not.

use std::collections::BTreeMap;

use hashpact_keys::{KeyUse, Timestamp};
use hashpact_protocol::audit::{
    BundleError, DisclosureFault, Disclosures, FindingKind, Place, Severity,
};
use hashpact_protocol::delta::Seq;
use hashpact_protocol::labels::ClassId;
use hashpact_protocol::policy::Action;
use hashpact_protocol::testing::disclosed::{DAY_S, Disclosed, Verdict, after};
use hashpact_protocol::testing::documents::ALL;
use hashpact_protocol::testing::published::leaf;
use hashpact_protocol::transfer::{Acknowledgement, ChainError, Recall, Statement, StatementError};

const EU: usize = 0;
const US: usize = 1;
const CA: usize = 2;

/// Nothing between centres but where a grant is open.
const GRANTED: &str = "permit (principal is Centre, action in [Action::\"share\", Action::\"reshare\", Action::\"admit\"], resource) when { context.bases.contains(\"agreement\") };";
const NOT_US: &str = "forbid (principal, action == Action::\"share\", resource) when { principal.jurisdiction == \"US\" };";
const NOT_FROM_EU: &str = "forbid (principal, action == Action::\"admit\", resource) when { principal.jurisdiction == \"EU\" };";
const NOT_ON: &str = "forbid (principal, action == Action::\"reshare\", resource);";

fn fails(verdict: &Verdict) -> Vec<(Option<usize>, Place, FindingKind)> {
    let fails = verdict.found.iter();
    let fails = fails.filter(|(_, _, kind)| kind.severity() == Severity::Fail);
    fails.cloned().collect()
}

fn kinds(verdict: &Verdict) -> Vec<&'static str> {
    verdict
        .found
        .iter()
        .map(|(_, _, kind)| kind.name())
        .collect()
}

fn failing(verdict: &Verdict) -> Vec<&'static str> {
    fails(verdict)
        .iter()
        .map(|(_, _, kind)| kind.name())
        .collect()
}

fn hash(network: &Disclosed, statement: &Statement) -> [u8; 32] {
    Statement::hash(&network.sign(statement))
}

/// Everyone allows all, but for what is said of a centre.
fn ruled(centre: usize, id: &'static str, rule: &'static str) -> Disclosed {
    Disclosed::begun(|n| {
        let mut rules = vec![("all", ALL)];
        rules.extend((n == centre).then_some((id, rule)));
        (String::new(), rules)
    })
}

/// eu gives class 0 to us.
fn given(network: &mut Disclosed) -> Statement {
    let statement = network.statement(EU, US, after(2_000));
    network.give(&statement);
    statement
}

#[test]
fn a_disclosure_that_every_policy_allows_is_found_by_nobody_and_counted() {
    let mut network = Disclosed::open();
    let statement = given(&mut network);
    let verdict = network.audit(&[EU, US, CA]);
    assert_eq!(verdict.found, []);
    let Disclosures { statements, given } = &verdict.sums;
    assert_eq!(*statements, 1);
    let rows: Vec<_> = given
        .iter()
        .map(|(gift, sum)| {
            (
                gift.from.as_str(),
                gift.to.as_str(),
                gift.class,
                sum.records,
            )
        })
        .collect();
    assert_eq!(rows, [("eu", "us", ClassId(0), 3)]);
    let seals = verdict.seals[EU];
    assert_eq!((seals.disclosures, seals.opened), (1, 1));
    // Without any openings nothing is said of sealed leaves.
    assert_eq!(network.audit(&[]).found, []);
    assert_eq!(statement.hop, 0);
}

#[test]
fn a_class_that_the_origin_forbids_to_share_is_named_with_centre_action_and_policy() {
    let mut network = ruled(EU, "not-us", NOT_US);
    let statement = given(&mut network);
    let verdict = network.audit(&[EU, US]);
    let kind = FindingKind::Disclosure(DisclosureFault::NotAllowed {
        statement: hash(&network, &statement),
        class: ClassId(0),
        centre: "eu".parse().unwrap(),
        action: Action::Share,
        policy: Some(2),
        policies: vec!["not-us".to_owned()],
        errors: 0,
    });
    let text = kind.to_string();
    assert_eq!(verdict.found, [(Some(EU), leaf(4), kind)]);
    for part in ["class 0", "eu did not allow to share", "leaf 2", "not-us"] {
        assert!(text.contains(part), "{text}");
    }
    assert!(verdict.sums.given.values().all(|sum| sum.failed == 1));
}

#[test]
fn a_class_that_the_taker_may_not_admit_is_named_although_both_signed() {
    let mut network = ruled(US, "not-eu", NOT_FROM_EU);
    given(&mut network);
    let [
        (
            Some(EU),
            _,
            FindingKind::Disclosure(DisclosureFault::NotAllowed {
                centre,
                action,
                policies,
                ..
            }),
        ),
    ] = &network.audit(&[EU, US]).found[..]
    else {
        panic!("{:?}", network.audit(&[EU, US]).found);
    };
    assert_eq!((centre.as_str(), *action), ("us", Action::Admit));
    assert_eq!(policies, &["not-eu"]);
}

#[test]
fn a_relay_that_may_not_pass_on_is_named_and_one_that_may_is_not() {
    for (rule, expected) in [(None, 0), (Some(("not-on", NOT_ON)), 1)] {
        let mut network = match rule {
            Some((id, rule)) => ruled(US, id, rule),
            None => Disclosed::open(),
        };
        let first = given(&mut network);
        let mut on = network.statement(US, CA, after(3_000));
        on.parents = vec![hash(&network, &first)];
        network.give(&on);
        let verdict = network.audit(&[EU, US, CA]);
        let denied = verdict.found.iter().filter(|(_, _, kind)| {
            matches!(
                kind,
                FindingKind::Disclosure(DisclosureFault::NotAllowed {
                    action: Action::Reshare,
                    ..
                })
            )
        });
        assert_eq!(denied.count(), expected, "{:?}", verdict.found);
        assert_eq!(verdict.found.len(), expected, "{:?}", verdict.found);
    }
}

#[test]
fn a_relay_whose_chain_has_a_gap_or_a_hop_too_many_is_named() {
    let mut network = Disclosed::open();
    let first = given(&mut network);
    let mut on = network.statement(US, CA, after(3_000));
    on.parents = vec![[9; 32]];
    network.give(&on);
    let statement = hash(&network, &on);
    let verdict = network.audit(&[EU, US, CA]);
    let gap = FindingKind::Disclosure(DisclosureFault::ParentUnopened { statement });
    assert_eq!(verdict.found, [(Some(US), leaf(4), gap)]);
    // Class 0 may go on once.
    let mut network = Disclosed::open();
    given(&mut network);
    let mut on = network.statement(US, CA, after(3_000));
    on.parents = vec![hash(&network, &first)];
    network.give(&on);
    let mut far = network.statement(CA, 3, after(4_000));
    far.hop = 2;
    far.parents = vec![hash(&network, &on)];
    network.give(&far);
    let verdict = network.audit(&[EU, US, CA, 3]);
    let error = ChainError::Hops {
        class: ClassId(0),
        got: 2,
        max: 1,
    };
    let statement = hash(&network, &far);
    let too_far = FindingKind::Disclosure(DisclosureFault::StatementChain { statement, error });
    assert_eq!(verdict.found, [(Some(CA), leaf(4), too_far)]);
    // A relay that gives a class of which it shows no statement.
    let mut network = Disclosed::open();
    let mut other = network.statement(EU, US, after(2_000));
    other.deltas[0].header = [5; 32];
    network.give(&other);
    let mut on = network.statement(US, CA, after(3_000));
    on.parents = vec![hash(&network, &other)];
    network.give(&on);
    assert!(kinds(&network.audit(&[EU, US, CA])).contains(&"statement-chain"));
}

#[test]
fn a_disclosure_after_the_end_of_its_grant_is_named_and_dating_it_back_is_too() {
    let granted = |with: &'static str| {
        move |n: usize| {
            let grants = format!(
                "[[grant]]\nid = \"agreement\"\nwith = {{ jurisdiction = \"{}\" }}\nactions = [\"share\", \"admit\"]\npurposes = [\"triage\"]\nbasis = \"agreement\"\ndocument = \"synthetic 1\"\nissuer = \"synthetic\"\nfrom = 2026-01-01\nuntil = {with}\n",
                if n == EU { "US" } else { "EU" }
            );
            (grants, vec![("granted", GRANTED)])
        }
    };
    // Everything here begins on 2027-01-15; a grant ends a day before its last date.
    let until = "2027-01-19";
    let mut network = Disclosed::begun(granted(until));
    network.now = after(9 * DAY_S);
    let good = network.statement(EU, US, after(2 * DAY_S));
    network.give(&good);
    assert_eq!(fails(&network.audit(&[EU, US])), []);
    let mut late = network.statement(EU, US, after(8 * DAY_S));
    late.nonce = [8; 16];
    network.give(&late);
    let verdict = network.audit(&[EU, US]);
    let named = |(_, place, kind): &(_, Place, FindingKind)| {
        let FindingKind::Disclosure(DisclosureFault::NotAllowed {
            statement,
            policies,
            action,
            ..
        }) = kind
        else {
            panic!("{kind}");
        };
        assert!(policies.is_empty(), "{kind}");
        (place.clone(), *statement, *action)
    };
    let found: Vec<_> = fails(&verdict).iter().map(named).collect();
    let statement = hash(&network, &late);
    assert_eq!(
        found,
        [
            (leaf(5), statement, Action::Share),
            (leaf(5), statement, Action::Admit)
        ]
    );
    // The same on a date before the end, while witnesses saw the log without it for days after.
    let mut network = Disclosed::begun(granted(until));
    network.now = after(9 * DAY_S);
    for log in [EU, US] {
        network.grow(log, after(8 * DAY_S));
    }
    let back = network.statement(EU, US, after(2 * DAY_S));
    let signed = network.sign(&back);
    for log in [US, EU] {
        network.seal(log, &signed, true, after(8 * DAY_S));
    }
    let found = failing(&network.audit(&[EU, US]));
    assert_eq!(found, ["statement-date", "not-allowed", "not-allowed"]);
    // Put back by less than two clocks may differ, it is judged by what witnesses saw.
    let mut network = Disclosed::begun(granted(until));
    network.now = after(9 * DAY_S);
    for log in [EU, US] {
        network.grow(log, after(7 * DAY_S / 2));
    }
    let back = network.statement(EU, US, after(13 * DAY_S / 5));
    let signed = network.sign(&back);
    for log in [US, EU] {
        network.seal(log, &signed, true, after(7 * DAY_S / 2 + 1));
    }
    let found = failing(&network.audit(&[EU, US]));
    assert_eq!(found, ["not-allowed", "not-allowed"]);
}

#[test]
fn a_statement_that_cites_an_older_policy_than_its_side_knew_is_named() {
    let mut network = Disclosed::open();
    let newer = network.rule(EU, &[("all", ALL)], after(1_000));
    let statement = given(&mut network);
    let verdict = network.audit(&[EU, US]);
    let kind = FindingKind::Disclosure(DisclosureFault::OlderPolicy {
        statement: hash(&network, &statement),
        centre: "eu".parse().unwrap(),
        expected: Some(newer),
        got: Some(2),
    });
    assert!(verdict.found.contains(&(Some(EU), leaf(5), kind)));
    // One that is narrower is obeyed whatever the statement cites.
    let mut network = Disclosed::open();
    network.rule(EU, &[("all", ALL), ("not-us", NOT_US)], after(1_000));
    given(&mut network);
    let found = kinds(&network.audit(&[EU, US]));
    assert!(found.contains(&"not-allowed"), "{found:?}");
    // And one that names a leaf that is no policy.
    let mut network = Disclosed::open();
    let mut statement = network.statement(EU, US, after(2_000));
    (statement.from_policy, statement.origin_policy) = (Some(1), Some(1));
    network.give(&statement);
    assert!(kinds(&network.audit(&[EU, US])).contains(&"not-policy"));
}

#[test]
fn a_wider_policy_excuses_nothing_that_was_given_before_it() {
    let mut network = Disclosed::begun(|n| {
        let rules = match n {
            EU => Vec::new(),
            _ => vec![("all", ALL)],
        };
        (String::new(), rules)
    });
    given(&mut network);
    network.rule(EU, &[("all", ALL)], after(3_000));
    assert_eq!(kinds(&network.audit(&[EU, US])), ["not-allowed"]);
}

#[test]
fn counts_classes_and_headers_that_are_not_the_logs_are_named() {
    let with = |change: &dyn Fn(&mut Statement)| {
        let mut network = Disclosed::open();
        let mut statement = network.statement(EU, US, after(2_000));
        change(&mut statement);
        network.give(&statement);
        let found = network.audit(&[EU, US]).found;
        found
            .into_iter()
            .map(|(_, _, kind)| kind)
            .collect::<Vec<_>>()
    };
    let count = |class, expected, got| {
        FindingKind::Disclosure(DisclosureFault::GivenCount {
            seq: Seq(0),
            class: ClassId(class),
            expected,
            got,
        })
    };
    assert_eq!(
        with(&|it| it.deltas[0].classes[0].1 = 2),
        [count(0, Some(3), 2)]
    );
    let undefined = FindingKind::Disclosure(DisclosureFault::GivenUndefined { class: ClassId(4) });
    assert_eq!(
        with(&|it| it.deltas[0].classes.push((ClassId(4), 1))),
        [count(4, None, 1), undefined]
    );
    let unknown = FindingKind::Disclosure(DisclosureFault::GivenDelta { seq: Seq(0) });
    assert_eq!(with(&|it| it.deltas[0].header = [1; 32]), [unknown]);
    let unknown = FindingKind::Disclosure(DisclosureFault::GivenDelta { seq: Seq(7) });
    assert_eq!(with(&|it| it.deltas[0].seq = Seq(7)), [unknown]);
}

#[test]
fn a_record_that_is_kept_sealed_or_opened_to_something_else_is_named() {
    let mut network = Disclosed::open();
    given(&mut network);
    let honest = network.clone();
    let opened = network.bundles[EU].opened.pop().unwrap();
    assert_eq!(
        network.audit(&[EU]).found,
        [(
            Some(EU),
            leaf(4),
            FindingKind::Disclosure(DisclosureFault::Unopened)
        )]
    );
    // Another statement for the leaf than the one that it commits to.
    let mut other = network.statement(EU, US, after(2_000));
    other.deltas[0].classes[0].1 = 1;
    let mut lie = opened.clone();
    lie.signed = network.sign(&other);
    network.bundles[EU].opened.push(lie);
    let found = network.audit(&[EU]).found;
    assert!(found.contains(&(
        Some(EU),
        leaf(4),
        FindingKind::Disclosure(DisclosureFault::OpensOther)
    )));
    // Another salt.
    let mut network = honest.clone();
    network.bundles[EU].opened[0].salt = [9; 16];
    assert!(network.audit(&[EU]).found.contains(&(
        Some(EU),
        leaf(4),
        FindingKind::Disclosure(DisclosureFault::OpensOther)
    )));
    // An opening of a leaf that seals nothing, and one of a leaf that this copy does not have yet.
    let ahead = FindingKind::Disclosure(DisclosureFault::OpensAhead { openings: 1 });
    assert_eq!(ahead.severity(), Severity::Warn);
    for (index, place, kind) in [
        (
            2,
            leaf(2),
            FindingKind::Disclosure(DisclosureFault::OpensNothing),
        ),
        (40, Place::Log, ahead),
    ] {
        let mut network = honest.clone();
        let mut stray = opened.clone();
        stray.leaf = index;
        let bundle = &mut network.bundles[EU];
        bundle.opened.push(stray);
        bundle.opened.sort_by_key(|opened| opened.leaf);
        bundle.leaves.end = 41;
        let found = network.audit(&[EU]).found;
        assert_eq!(found, [(Some(EU), place, kind)]);
    }
    // Openings that end before the newest record are no lie, and told.
    let mut network = honest;
    network.bundles[EU].leaves.end = 4;
    network.bundles[EU].opened.clear();
    let end = FindingKind::Disclosure(DisclosureFault::OpeningsEnd { sealed: 1 });
    assert_eq!(end.severity(), Severity::Warn);
    assert_eq!(network.audit(&[EU]).found, [(Some(EU), Place::Log, end)]);
}

#[test]
fn a_copy_that_is_older_than_the_openings_accuses_nobody() {
    let mut network = Disclosed::open();
    let mut older = network.clone();
    given(&mut network);
    older.bundles = network.bundles.clone();
    assert_eq!(kinds(&older.audit(&[EU, US])), ["opens-ahead"; 2]);
}

#[test]
fn a_statement_that_only_one_side_logged_is_named() {
    for (silent, is_taker, severity) in [(US, true, Severity::Fail), (EU, false, Severity::Warn)] {
        let mut network = Disclosed::open();
        let statement = network.statement(EU, US, after(2_000));
        let signed = network.sign(&statement);
        network.seal(EU + US - silent, &signed, true, after(2_001));
        let kind = FindingKind::Disclosure(DisclosureFault::OneSided {
            statement: Statement::hash(&signed),
            centre: statement_side(&statement, is_taker),
            is_taker,
        });
        assert_eq!(kind.severity(), severity);
        let verdict = network.audit(&[EU, US]);
        assert_eq!(
            verdict.found,
            [(
                Some(EU + US - silent),
                leaf(if silent == US { 4 } else { 3 }),
                kind
            )]
        );
        // Of a side that gave no openings nothing can be said.
        assert_eq!(network.audit(&[EU + US - silent]).found, []);
    }
}

fn statement_side(statement: &Statement, taker: bool) -> hashpact_keys::CentreId {
    match taker {
        true => statement.to.clone(),
        false => statement.from.clone(),
    }
}

#[test]
fn a_statement_that_the_taker_did_not_sign_or_that_stands_elsewhere_is_named() {
    let mut network = Disclosed::open();
    let statement = network.statement(EU, US, after(2_000));
    let alone = statement.offer(&network.logs[EU].centres[0].signer(KeyUse::Delta));
    network.seal(EU, &alone, true, after(2_001));
    let signers = StatementError::Signers("us".parse().unwrap());
    assert_eq!(
        network.audit(&[EU]).found,
        [(
            Some(EU),
            leaf(4),
            FindingKind::Disclosure(DisclosureFault::Statement(signers))
        )]
    );
    let mut network = Disclosed::open();
    let signed = network.sign(&network.statement(EU, US, after(2_000)));
    network.seal(CA, &signed, true, after(2_001));
    assert!(kinds(&network.audit(&[CA])).contains(&"not-a-side"));
    // A statement under the seal of another kind of record.
    let mut network = Disclosed::open();
    let signed = network.sign(&network.statement(EU, US, after(2_000)));
    network.seal(EU, &signed, false, after(2_001));
    assert!(kinds(&network.audit(&[EU])).contains(&"opened-other"));
}

#[test]
fn a_recall_without_an_answer_is_told_and_a_forged_one_is_named() {
    let mut network = Disclosed::open();
    let setup = |network: &Disclosed, n: usize| network.logs[n].centres[0].clone();
    let (eu, us) = (setup(&network, EU), setup(&network, US));
    let recall = Recall {
        network: network.logs[EU].rosters[0].roster().network,
        origin: eu.origin.clone(),
        from: eu.id.clone(),
        to: us.id.clone(),
        number: 1,
        classes: vec![ClassId(0)],
        time: after(3_000),
    };
    let signed = recall.sign(&eu.signer(KeyUse::Delta));
    for log in [EU, US] {
        network.seal(log, &signed, false, after(3_001));
    }
    let told = kinds(&network.audit(&[EU, US]));
    assert_eq!(told, ["unacknowledged"]);
    let said = Acknowledgement {
        network: recall.network,
        recall: Recall::hash(&signed),
        from: us.id.clone(),
        time: after(3_100),
    };
    let answer = said.sign(&us.signer(KeyUse::Delta));
    for log in [EU, US] {
        network.seal(log, &answer, false, after(3_101));
    }
    assert_eq!(network.audit(&[EU, US]).found, []);
    let forged = said.sign(&eu.signer(KeyUse::Delta));
    network.seal(EU, &forged, false, after(3_200));
    assert_eq!(kinds(&network.audit(&[EU, US])), ["recall"]);
}

#[test]
fn what_is_no_bundle_of_this_network_is_named_and_the_others_are_read() {
    let mut network = Disclosed::open();
    given(&mut network);
    let good = network.bundles[EU].to_bytes();
    let mut foreign = network.bundles[US].clone();
    foreign.origin = "xx.example/xx/1".parse().unwrap();
    let bad = [vec![1, 2, 3], foreign.to_bytes(), good];
    let verdict = network.audit_with(&bad);
    assert_eq!(kinds(&verdict), ["openings", "openings"]);
    assert!(matches!(
        verdict.found[1].2,
        FindingKind::Disclosure(DisclosureFault::Openings(BundleError::Value { .. }))
    ));
    assert_eq!(verdict.sums.statements, 1);
}

#[test]
fn an_audit_without_openings_says_nothing_of_what_is_sealed() {
    let mut network = ruled(EU, "not-us", NOT_US);
    given(&mut network);
    let verdict = network.audit(&[]);
    assert_eq!(verdict.found, []);
    assert_eq!(verdict.sums.given, BTreeMap::new());
    assert_eq!(verdict.seals[EU].disclosures, 1);
    assert!(after(0) < Timestamp::new(u64::MAX));
}
