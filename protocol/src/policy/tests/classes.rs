//! A class is exactly what a policy can look at: what differs for some policy has two numbers, and nothing else does.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{NOW, annotated, ask, centre, profile};
use crate::assess::EntryFacts;
use crate::centre::{Command, Outcome};
use crate::labels::*;
use crate::lists::{ClosedList, Set};
use crate::policy::*;
use crate::testing::policies::{profile as shipped, varied};
use crate::testing::sim::Sim;

const CODES: [&str; 4] = ["CA", "EU", "NZ", "US"];

/// One permit for everything that can be told apart: which of them determine an allowed decision is all that a policy can
/// find out about a class.
fn probes() -> Profile {
    probes_where("true")
}

/// As [`probes`], where this holds too.
fn probes_where(also: &str) -> Profile {
    let mut conditions = Vec::new();
    macro_rules! each {
        ($list:ty, $form:literal) => {
            let names = <$list>::VALUES.iter().map(|(_, name)| name);
            conditions.extend(names.map(|name| $form.replace("{value}", name)));
        };
    }
    each!(
        MediaKind,
        "!resource.maybe.media_kind.containsAny([\"{value}\"])"
    );
    each!(
        ContentClass,
        "!resource.maybe.content_class.containsAny([\"{value}\"])"
    );
    each!(
        Depiction,
        "!resource.maybe.depiction.containsAny([\"{value}\"])"
    );
    each!(
        AgeClaim,
        "!resource.maybe.age_claim.containsAny([\"{value}\"])"
    );
    each!(
        SelfGenerated,
        "!resource.maybe.self_generated.containsAny([\"{value}\"])"
    );
    each!(State, "resource.state == \"{value}\"");
    each!(ContextFlag, "resource.context_flags.contains(\"{value}\")");
    each!(LegalBasis, "resource.legal_basis == \"{value}\"");
    each!(Tlp, "resource.tlp == \"{value}\"");
    each!(
        Recipient,
        "resource.granted.recipients.contains(\"{value}\")"
    );
    each!(Purpose, "resource.granted.purposes.contains(\"{value}\")");
    for code in CODES {
        for set in [
            "illegal_in",
            "not_illegal_in",
            "applicable_law",
            "granted.residency",
        ] {
            conditions.push(format!("resource.{set}.contains(\"{code}\")"));
        }
    }
    conditions.extend((0..4).map(|hops| format!("resource.hops == {hops}")));
    conditions.push("resource.minor_certain".to_owned());
    let cedar: Vec<_> = conditions
        .iter()
        .enumerate()
        .map(|(n, condition)| {
            let policy =
                format!("permit (principal, action, resource) when {{ {condition} && {also} }};");
            annotated(&format!("probe-{n}"), &policy)
        })
        .collect();
    profile(&cedar.join("\n"))
}

fn seen(probes: &Profile, labels: &Labels) -> Vec<String> {
    let decision = ask(probes, Action::Share, &centre("ca"), labels);
    assert_eq!(decision.errors, [""; 0]);
    decision.policies
}

fn set<T: ClosedList>(least: u16) -> impl Strategy<Value = Set<T>> {
    (least..=Set::<T>::full().bits()).prop_map(|bits| Set::from_bits(u64::from(bits)).unwrap())
}

fn one<T: ClosedList + std::fmt::Debug>() -> impl Strategy<Value = T> {
    (0..T::VALUES.len()).prop_map(|at| T::VALUES[at].0)
}

fn codes() -> impl Strategy<Value = BTreeSet<hashpact_keys::Jurisdiction>> {
    prop::collection::vec(0..CODES.len(), 0..4).prop_map(|list| {
        list.into_iter()
            .map(|at| CODES[at].parse().unwrap())
            .collect()
    })
}

fn statuses() -> impl Strategy<Value = Vec<LegalStatus>> {
    prop::collection::btree_map(0..CODES.len(), (any::<bool>(), any::<bool>()), 0..3).prop_map(
        |list| {
            let status = |(at, (illegal, body)): (usize, (bool, bool))| LegalStatus {
                jurisdiction: CODES[at].parse().unwrap(),
                illegal,
                body: if body { "synthetic" } else { "other" }.to_owned(),
            };
            list.into_iter().map(status).collect()
        },
    )
}

fn labels() -> impl Strategy<Value = Labels> {
    let sets = (
        set(1),
        set(1),
        set(1),
        set(1),
        set(1),
        set(0),
        set(0),
        set(0),
    );
    let ones = (one(), any::<bool>(), one(), one(), 0_u8..4);
    (sets, ones, statuses(), codes(), codes()).prop_map(
        |(sets, ones, legal_status, residency, applicable_law)| Labels {
            media_kind: sets.0,
            content_class: sets.1,
            depiction: sets.2,
            age_claim: sets.3,
            self_generated: sets.4,
            context_flags: sets.5,
            recipients: sets.6,
            purposes: sets.7,
            state: ones.0,
            minor_certain: ones.1,
            legal_basis: ones.2,
            tlp: ones.3,
            hops: ones.4,
            legal_status,
            residency,
            applicable_law,
        },
    )
}

/// `a` with one field of `b`.
fn with_field(a: &Labels, b: Labels, field: usize) -> Labels {
    let mut mixed = a.clone();
    match field {
        0 => mixed.media_kind = b.media_kind,
        1 => mixed.content_class = b.content_class,
        2 => mixed.state = b.state,
        3 => mixed.depiction = b.depiction,
        4 => mixed.minor_certain = b.minor_certain,
        5 => mixed.age_claim = b.age_claim,
        6 => mixed.self_generated = b.self_generated,
        7 => mixed.context_flags = b.context_flags,
        8 => mixed.legal_basis = b.legal_basis,
        9 => mixed.legal_status = b.legal_status,
        10 => mixed.residency = b.residency,
        11 => mixed.applicable_law = b.applicable_law,
        12 => mixed.tlp = b.tlp,
        13 => mixed.hops = b.hops,
        14 => mixed.recipients = b.recipients,
        _ => mixed.purposes = b.purposes,
    }
    mixed
}

/// Without the name of who states what the law says, which is kept for the record.
fn unnamed(labels: &Labels) -> Labels {
    let mut labels = labels.clone();
    for status in &mut labels.legal_status {
        status.body = "x".to_owned();
    }
    labels
}

/// The number that a centre gives to each of these.
fn numbers(wanted: &[Labels]) -> Vec<ClassId> {
    let mut sim = Sim::new(1, 1, true).unwrap();
    let home = sim.setup(0).jurisdiction.clone();
    let wanted = wanted.iter().cloned().map(|mut labels| {
        labels.residency.insert(home.clone());
        labels
    });
    match sim.command(0, Command::Define(wanted.collect())).unwrap() {
        Some(Ok(Outcome::Classes(classes))) => classes,
        other => panic!("{other:?}"),
    }
}

#[test]
fn entries_that_some_policy_could_treat_differently_never_share_a_class() {
    let probes = probes();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(96));
    let pairs = (labels(), labels(), 0_usize..16);
    runner
        .run(&pairs, |(a, b, field)| {
            let b = with_field(&a, b, field);
            let differ = seen(&probes, &a) != seen(&probes, &b);
            // The bytes that the origin signs tell them apart, and nothing else does but a name.
            prop_assert_eq!(differ, unnamed(&a).to_bytes() != unnamed(&b).to_bytes());
            Ok(())
        })
        .unwrap();
}

/// Labels that differ from the first ones in one field each.
fn one_field_each() -> Vec<Labels> {
    let base = crate::testing::labels();
    let other = Labels {
        media_kind: Set::of(&[MediaKind::Image]),
        content_class: Set::of(&[ContentClass::Csam]),
        state: State::Disputed,
        depiction: Set::full(),
        minor_certain: true,
        age_claim: Set::full(),
        self_generated: Set::of(&[SelfGenerated::Sextortion]),
        context_flags: Set::full(),
        legal_basis: LegalBasis::Order,
        legal_status: Vec::new(),
        residency: BTreeSet::from(["NZ".parse().unwrap()]),
        applicable_law: BTreeSet::from(["NZ".parse().unwrap()]),
        tlp: Tlp::Red,
        hops: 3,
        recipients: Set::of(&[Recipient::Le]),
        purposes: Set::of(&[Purpose::Block]),
    };
    let mut wanted = vec![base.clone()];
    wanted.extend((0..16).map(|field| with_field(&base, other.clone(), field)));
    wanted
}

#[test]
fn a_centre_gives_one_number_to_each_tuple_of_labels() {
    let mut wanted = one_field_each();
    wanted.extend(wanted.clone());
    let probes = probes();
    let mut by_number: BTreeMap<ClassId, BTreeSet<Vec<String>>> = BTreeMap::new();
    for (class, labels) in numbers(&wanted).into_iter().zip(&wanted) {
        by_number
            .entry(class)
            .or_default()
            .insert(seen(&probes, labels));
    }
    assert_eq!(
        by_number.len(),
        17,
        "the second of each gets the number of the first"
    );
    assert!(by_number.values().all(|seen| seen.len() == 1));
}

/// What is evaluated once for many is what is evaluated for each.
#[test]
fn a_hearing_decides_as_each_question_alone() {
    let origin = "eu".parse().unwrap();
    let jurisdiction = "EU".parse().unwrap();
    let labels: Vec<Labels> = (0..48).map(|n| varied(n * 5)).collect();
    let classes: Vec<_> = (0_u16..)
        .zip(&labels)
        .map(|(n, labels)| ClassFacts {
            origin: &origin,
            jurisdiction: &jurisdiction,
            class: ClassId(n),
            labels,
        })
        .collect();
    let principals = [
        centre("ca"),
        centre("zz"),
        Principal::Member {
            id: "host".to_owned(),
            jurisdiction: "CA".parse().unwrap(),
            sector: "hosting".to_owned(),
        },
        Principal::Auditor {
            id: "auditor".to_owned(),
            jurisdiction: "CA".parse().unwrap(),
        },
    ];
    let subjects = Subjects::new(&principals, classes.iter().copied()).unwrap();
    let entry = Some(EntryFacts {
        state: State::Assessed,
        quorum: true,
        baseline: false,
        hold: false,
    });
    let overflows = annotated(
        "overflows",
        "forbid (principal, action, resource) when { resource.hops + 9223372036854775807 > 0 };",
    );
    let erring = profile(
        &[
            annotated("all", "permit (principal, action, resource);"),
            overflows,
        ]
        .join("\n"),
    );
    let open = profile(&annotated("all", "permit (principal, action, resource);"));
    let (mut allowed, mut erred) = (0, 0);
    for profile in [&shipped("eu"), &shipped("ca"), &open, &erring] {
        let hearing = profile.hear(&subjects).unwrap();
        for (index, principal) in principals.iter().enumerate() {
            for (action, _) in Action::VALUES {
                let ask = Ask {
                    action: *action,
                    principal: index,
                    purpose: Purpose::Remove,
                    now: NOW,
                    entry: entry.filter(|_| *action > Action::Admit),
                };
                let alone = classes.iter().map(|class| {
                    profile.decide(&Query {
                        action: *action,
                        principal,
                        class: *class,
                        purpose: ask.purpose,
                        now: NOW,
                        entry: ask.entry,
                    })
                });
                let alone: Vec<_> = alone.collect();
                assert_eq!(hearing.decide(&ask), alone, "{} {action:?}", profile.name());
                allowed += alone.iter().filter(|it| it.allowed).count();
                erred += alone.iter().filter(|it| !it.errors.is_empty()).count();
            }
        }
    }
    assert!(allowed > 0 && erred > 0);
}

/// Classes that are alike in what a policy reads are evaluated once, and no others.
#[test]
fn classes_that_differ_in_what_a_policy_reads_are_heard_apart() {
    let mut labels = one_field_each();
    let mut lawful = labels[0].clone();
    lawful.legal_status[0].illegal = false;
    labels.push(lawful);
    let origins: [hashpact_keys::CentreId; 2] = ["eu", "ca"].map(|name| name.parse().unwrap());
    let laws: [hashpact_keys::Jurisdiction; 2] = ["EU", "CA"].map(|code| code.parse().unwrap());
    let mut classes = Vec::new();
    for ((origin, jurisdiction), first) in origins.iter().zip(&laws).zip([0, 100]) {
        classes.extend((first..).zip(&labels).map(|(n, labels)| ClassFacts {
            origin,
            jurisdiction,
            class: ClassId(n),
            labels,
        }));
    }
    let principal = centre("ca");
    let subjects = Subjects::new([&principal], classes.iter().copied()).unwrap();
    // What reads both sides: the labels, the law of the origin and its name.
    let mixed = |condition: &str| {
        let policy = format!("permit (principal, action, resource) when {{ {condition} }};");
        profile(&annotated("mixed", &policy))
    };
    for profile in [
        probes_where(r#"principal.id == "ca""#),
        mixed("resource.jurisdiction == principal.jurisdiction"),
        mixed("resource.origin == principal.id"),
        mixed("resource.origin == principal.id && resource.hops > 0"),
    ] {
        let ask = Ask {
            action: Action::Share,
            principal: 0,
            purpose: Purpose::Remove,
            now: NOW,
            entry: None,
        };
        let alone = classes.iter().map(|class| {
            profile.decide(&Query {
                action: ask.action,
                principal: &principal,
                class: *class,
                purpose: ask.purpose,
                now: NOW,
                entry: None,
            })
        });
        let alone: Vec<_> = alone.collect();
        assert!(alone.iter().any(|decision| *decision != alone[0]));
        assert_eq!(profile.hear(&subjects).unwrap().decide(&ask), alone);
    }
}
