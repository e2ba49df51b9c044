//! Which entries a centre publishes to which of its members: as policy says, and to nobody where there is none.
#![cfg(feature = "testing")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::collections::BTreeSet;

use hashpact_keys::Timestamp;
use hashpact_protocol::assess::EntryFacts;
use hashpact_protocol::centre::{Command, Member, PublishAccess, Released, Unpublished};
use hashpact_protocol::labels::{ClassId, Labels, Purpose, Recipient, State, Tlp};
use hashpact_protocol::lists::{ClosedList as _, Set};
use hashpact_protocol::policy::{Action, ClassFacts, Query};
use hashpact_protocol::testing::documents::{self, ALL};
use hashpact_protocol::testing::policies::varied;
use hashpact_protocol::testing::sim::{Sim, Violation};
use proptest::prelude::*;

type Done = Result<(), Violation>;

const MEMBERS: &str = r#"permit (principal is Member, action == Action::"publish", resource) when { context has entry && context.bases.contains("us-members") && resource.tlp == "AMBER" };"#;

/// What is granted to members under the law of the US, until a day.
fn grants(until: &str) -> String {
    format!(
        r#"
[[grant]]
id = "us-members"
with = {{ jurisdiction = "US" }}
actions = ["publish"]
purposes = ["detect", "remove"]
basis = "statutory"
document = "synthetic"
issuer = "synthetic"
from = 2026-01-01
until = {until}
"#
    )
}

fn labels(tlp: Tlp, state: State) -> Labels {
    Labels {
        state,
        tlp,
        purposes: Set::full(),
        recipients: Set::of(&[Recipient::Centre, Recipient::Provider]),
        ..hashpact_protocol::testing::labels()
    }
}

fn govern(sim: &mut Sim, grants: &str, more: &[(&str, &str)]) -> Done {
    let policies = [("all", ALL), ("members", MEMBERS)];
    let policies: Vec<_> = policies.iter().chain(more).copied().collect();
    let files = documents::files(&sim.setup(0).jurisdiction, grants, &policies);
    sim.apply_policy(0, files)?;
    sim.run_for(10)
}

fn must(sim: &mut Sim, command: Command) {
    let answer = sim.command(0, command).unwrap().expect("it is up");
    answer.unwrap_or_else(|error| panic!("{error}"));
}

fn member(id: &str, law: &str, sector: &str) -> Member {
    Member {
        id: id.to_owned(),
        jurisdiction: law.parse().unwrap(),
        sector: sector.to_owned(),
        node_key: None,
    }
}

fn connected(seed: u64) -> Result<Sim, Violation> {
    let mut sim = Sim::governed(seed, 3)?;
    sim.connect_all()?;
    sim.run_for(10)?;
    Ok(sim)
}

fn access(sim: &Sim) -> PublishAccess {
    access_at(sim, sim.now())
}

fn access_at(sim: &Sim, now: Timestamp) -> PublishAccess {
    let centre = sim.centre(0).unwrap();
    centre.publish_access_of_all(now, sim.memory(0)).unwrap()
}

fn classes(access: &PublishAccess, member: &str) -> BTreeSet<u16> {
    let released = access.members.get(member).cloned().unwrap_or_default();
    released.iter().map(|it| it.class.0).collect()
}

#[test]
fn members_get_what_policy_grants_them_until_the_grant_ends() -> Done {
    let mut sim = connected(5)?;
    must(
        &mut sim,
        Command::AdmitMember(member("acme", "US", "hosting")),
    );
    must(
        &mut sim,
        Command::AdmitMember(member("bolt", "AU", "hosting")),
    );
    let all = [
        (Tlp::Amber, State::Assessed),
        (Tlp::Red, State::Assessed),
        (Tlp::Amber, State::Suspected),
    ];
    must(
        &mut sim,
        Command::Define(all.map(|(tlp, state)| labels(tlp, state)).to_vec()),
    );
    govern(&mut sim, &grants("2036-01-01"), &[])?;
    let now = access(&sim);
    assert_eq!(classes(&now, "acme"), BTreeSet::from([0]));
    assert_eq!(classes(&now, "bolt"), BTreeSet::new());
    assert_eq!((now.closed, now.expired), (None, false));
    let until = now.until.expect("the grant ends, and the roster");
    assert!(until > sim.now());
    // 2036-01-01, less the skew.
    let over = access_at(&sim, Timestamp::new(2_082_758_400));
    assert_eq!(classes(&over, "acme"), BTreeSet::new());
    assert!(over.expired);
    must(&mut sim, Command::RemoveMember("acme".to_owned()));
    assert!(!access(&sim).members.contains_key("acme"));
    Ok(())
}

#[test]
fn without_a_document_of_this_centre_nobody_gets_anything_and_is_told_what_to_do() -> Done {
    let mut sim = connected(6)?;
    must(
        &mut sim,
        Command::AdmitMember(member("acme", "US", "hosting")),
    );
    must(
        &mut sim,
        Command::Define(vec![labels(Tlp::Amber, State::Assessed)]),
    );
    let now = access(&sim);
    assert_eq!(now.closed, Some(Unpublished::NoPolicy));
    assert_eq!(classes(&now, "acme"), BTreeSet::new());
    let said = Unpublished::NoPolicy.to_string();
    assert!(said.contains("log one"), "{said}");
    Ok(())
}

const RULES: [&str; 6] = [
    r#"forbid (principal is Member, action == Action::"publish", resource) when { principal.sector == "search" };"#,
    r#"forbid (principal, action == Action::"publish", resource) unless { resource.granted.residency.contains(principal.jurisdiction) };"#,
    r#"forbid (principal, action == Action::"publish", resource) unless { resource.granted.purposes.contains(context.purpose) };"#,
    r#"forbid (principal is Member, action == Action::"publish", resource) when { context has entry && !context.entry.baseline };"#,
    r#"permit (principal is Member, action == Action::"publish", resource) when { principal.id == "acme" };"#,
    r#"permit (principal is Member, action == Action::"publish", resource) when { context has entry && context.entry.baseline };"#,
];

/// Labels of a centre in the EU that differ by number.
fn labelled(n: u16) -> Labels {
    let mut labels = varied(n);
    labels.residency.insert("EU".parse().unwrap());
    labels
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    /// Asked one question at a time, with every combination of facts: what is not in the answer is allowed with none.
    #[test]
    fn access_is_that_of_every_question_alone(
        rules in proptest::sample::subsequence(&RULES[..], 0..=6),
        numbers in proptest::collection::btree_set(0..512_u16, 1..8),
        members in proptest::collection::vec((0..2_usize, 0..3_usize), 1..5),
    ) {
        let mut sim = connected(3).unwrap();
        let names = ["a", "b", "c", "d", "e", "f"];
        let more: Vec<_> = names.iter().copied().zip(rules).collect();
        govern(&mut sim, &grants("2036-01-01"), &more).unwrap();
        let labels: Vec<Labels> = numbers.into_iter().map(labelled).collect();
        must(&mut sim, Command::Define(labels.clone()));
        for (n, (sector, law)) in members.into_iter().enumerate() {
            let id = if n == 0 { "acme".to_owned() } else { format!("m{n}") };
            let (law, sector) = (["US", "EU", "CA"][law], ["search", "hosting"][sector]);
            must(&mut sim, Command::AdmitMember(member(&id, law, sector)));
        }
        let got = access(&sim);
        let centre = sim.centre(0).unwrap();
        let law = centre.law(&sim.setup(0).origin, sim.now());
        for member in centre.members() {
            let principal = member.principal();
            let mut expected = BTreeSet::new();
            for (class, labels) in (0..).map(ClassId).zip(&labels) {
                let facts = State::VALUES.iter().flat_map(|(state, _)| {
                    (0..8_u8).map(|bits| EntryFacts {
                        state: *state,
                        quorum: bits & 1 != 0,
                        baseline: bits & 2 != 0,
                        hold: bits & 4 != 0,
                    })
                });
                // Nothing is released of a class that is not assessed, and nothing that is held: before policy is asked.
                let facts = facts.filter(|it| !it.hold && labels.state == State::Assessed);
                for (entry, purpose) in facts.flat_map(|it| Purpose::VALUES.iter().map(move |(p, _)| (it, *p))) {
                    let query = Query {
                        action: Action::Publish,
                        principal: &principal,
                        class: ClassFacts {
                            origin: &sim.setup(0).id,
                            jurisdiction: &sim.setup(0).jurisdiction,
                            class,
                            labels,
                        },
                        purpose,
                        now: sim.now(),
                        entry: Some(entry),
                    };
                    if law.decide(&query).allowed {
                        prop_assert!(entry.quorum && entry.state == State::Assessed);
                        let origin = sim.setup(0).origin.clone();
                        expected.insert(Released { origin, class, baseline: entry.baseline });
                    }
                }
            }
            prop_assert_eq!(&*got.members[&member.id], &expected, "{}", member.id);
        }
    }
}
