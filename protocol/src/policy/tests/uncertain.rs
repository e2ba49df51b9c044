//! Uncertain labels against a second meaning of policies: each condition is also evaluated on one value per label, in every
//! world that the labels leave open. Allowed means that every world has a permit and no world has a forbid.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::{annotated, ask, centre, files, list, profile};
use crate::labels::{Labels, State, Tlp};
use crate::lists::{ClosedList, Set};
use crate::policy::{Action, FaultKind, FormFault, Profile};

/// Name and values of every uncertain label.
fn labels_of_schema() -> [(&'static str, Vec<&'static str>); 5] {
    fn names<T: ClosedList>() -> Vec<&'static str> {
        T::VALUES.iter().map(|(_, name)| *name).collect()
    }
    use crate::labels::{AgeClaim, ContentClass, Depiction, MediaKind, SelfGenerated};
    [
        ("media_kind", names::<MediaKind>()),
        ("content_class", names::<ContentClass>()),
        ("depiction", names::<Depiction>()),
        ("age_claim", names::<AgeClaim>()),
        ("self_generated", names::<SelfGenerated>()),
    ]
}

/// One value of each uncertain label, as its number.
type World = [usize; 5];

#[derive(Clone, Debug)]
enum Condition {
    /// The label, by number, is one of the values with a bit.
    Among(usize, u16),
    Hops(u8),
    Assessed,
    Not(Box<Condition>),
    And(Box<Condition>, Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
}

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    All,
    Any,
}

impl Mode {
    fn other(self) -> Self {
        if self == Self::All {
            Self::Any
        } else {
            Self::All
        }
    }
}

impl Condition {
    /// In one world, where nothing is uncertain.
    fn holds(&self, world: &World, labels: &Labels) -> bool {
        match self {
            Self::Among(label, set) => set >> world[*label] & 1 == 1,
            Self::Hops(least) => labels.hops >= *least,
            Self::Assessed => labels.state == State::Assessed,
            Self::Not(inner) => !inner.holds(world, labels),
            Self::And(a, b) => a.holds(world, labels) && b.holds(world, labels),
            Self::Or(a, b) => a.holds(world, labels) || b.holds(world, labels),
        }
    }

    /// As docs/policy.md says that it is written.
    fn text(&self, mode: Mode) -> String {
        match self {
            Self::Among(label, set) => {
                let (name, values) = &labels_of_schema()[*label];
                let mut texts = String::new();
                for (bit, value) in values.iter().enumerate() {
                    if set >> bit & 1 == 1 {
                        write!(
                            texts,
                            "{}{value:?}",
                            if texts.is_empty() { "" } else { ", " }
                        )
                        .unwrap();
                    }
                }
                match mode {
                    Mode::All => format!("[{texts}].containsAll(resource.maybe.{name})"),
                    Mode::Any => format!("resource.maybe.{name}.containsAny([{texts}])"),
                }
            }
            Self::Hops(least) => format!("resource.hops >= {least}"),
            Self::Assessed => r#"resource.state == "assessed""#.to_owned(),
            Self::Not(inner) => format!("!({})", inner.text(mode.other())),
            Self::And(a, b) => format!("({} && {})", a.text(mode), b.text(mode)),
            Self::Or(a, b) => format!("({} || {})", a.text(mode), b.text(mode)),
        }
    }

    fn asks_uncertain(&self) -> bool {
        match self {
            Self::Among(..) => true,
            Self::Hops(_) | Self::Assessed => false,
            Self::Not(inner) => inner.asks_uncertain(),
            Self::And(a, b) | Self::Or(a, b) => a.asks_uncertain() || b.asks_uncertain(),
        }
    }
}

/// A policy and whether its condition stands behind `unless`.
#[derive(Clone, Debug)]
struct Rule {
    permits: bool,
    unless: bool,
    condition: Condition,
}

impl Rule {
    fn mode(&self) -> Mode {
        if self.permits != self.unless {
            Mode::All
        } else {
            Mode::Any
        }
    }

    fn text(&self, mode: Mode) -> String {
        let effect = if self.permits { "permit" } else { "forbid" };
        let word = if self.unless { "unless" } else { "when" };
        format!(
            "{effect} (principal, action, resource) {word} {{ {} }};",
            self.condition.text(mode)
        )
    }

    fn applies(&self, world: &World, labels: &Labels) -> bool {
        self.condition.holds(world, labels) != self.unless
    }
}

fn loaded(rules: &[Rule]) -> Profile {
    let cedar: Vec<_> = rules
        .iter()
        .enumerate()
        .map(|(n, rule)| annotated(&format!("rule-{n}"), &rule.text(rule.mode())))
        .collect();
    profile(&cedar.join("\n"))
}

fn allowed(rules: &[Rule], labels: &Labels) -> bool {
    let decision = ask(&loaded(rules), Action::Share, &centre("ca"), labels);
    assert_eq!(decision.errors, [""; 0]);
    decision.allowed
}

/// Every way that the labels could be.
fn worlds(labels: &Labels) -> Vec<World> {
    let sets = [
        labels.media_kind.bits(),
        labels.content_class.bits(),
        labels.depiction.bits(),
        labels.age_claim.bits(),
        labels.self_generated.bits(),
    ];
    let mut worlds = vec![[0; 5]];
    for (label, set) in sets.into_iter().enumerate() {
        worlds = worlds
            .into_iter()
            .flat_map(|world| {
                (0..16)
                    .filter(move |value| set >> value & 1 == 1)
                    .map(move |value| {
                        let mut world = world;
                        world[label] = value;
                        world
                    })
            })
            .collect();
    }
    worlds
}

fn allowed_in_every_world(rules: &[Rule], labels: &Labels) -> bool {
    worlds(labels).iter().all(|world| {
        let applies = |permits| {
            rules
                .iter()
                .any(|rule| rule.permits == permits && rule.applies(world, labels))
        };
        applies(true) && !applies(false)
    })
}

fn some<T: ClosedList>() -> impl Strategy<Value = Set<T>> {
    let full = Set::<T>::full().bits();
    (1..=full).prop_map(|bits| Set::from_bits(u64::from(bits)).unwrap())
}

/// Labels that differ in all that these conditions ask.
fn labels() -> impl Strategy<Value = Labels> {
    let sets = (some(), some(), some(), some(), some());
    (sets, 0_u8..4, any::<bool>()).prop_map(|(sets, hops, assessed)| Labels {
        media_kind: sets.0,
        content_class: sets.1,
        depiction: sets.2,
        age_claim: sets.3,
        self_generated: sets.4,
        hops,
        state: if assessed {
            State::Assessed
        } else {
            State::Disputed
        },
        tlp: Tlp::Amber,
        ..crate::testing::labels()
    })
}

fn among(label: usize) -> impl Strategy<Value = Condition> {
    let full = (1_u16 << labels_of_schema()[label].1.len()) - 1;
    (1..=full).prop_map(move |set| Condition::Among(label, set))
}

/// Any condition.
fn condition() -> impl Strategy<Value = Condition> {
    let leaf = prop_oneof![
        4 => (0_usize..5).prop_flat_map(among),
        1 => (0_u8..4).prop_map(Condition::Hops),
        1 => Just(Condition::Assessed),
    ];
    leaf.prop_recursive(3, 8, 2, |inner| {
        prop_oneof![
            inner
                .clone()
                .prop_map(|inner| Condition::Not(Box::new(inner))),
            (inner.clone(), inner.clone())
                .prop_map(|(a, b)| Condition::And(Box::new(a), Box::new(b))),
            (inner.clone(), inner).prop_map(|(a, b)| Condition::Or(Box::new(a), Box::new(b))),
        ]
    })
}

/// A condition that asks each uncertain label at most once.
fn read_once() -> impl Strategy<Value = Condition> {
    let order = Just([0_usize, 1, 2, 3, 4]).prop_shuffle();
    let leaves = (among(0), among(1), among(2), among(3), among(4));
    let joints = prop::collection::vec((any::<bool>(), any::<bool>()), 0..5);
    (order, leaves, joints, 0_u8..4).prop_map(|(order, leaves, joints, hops)| {
        let leaves = [leaves.0, leaves.1, leaves.2, leaves.3, leaves.4];
        let mut made = Condition::Or(
            Box::new(Condition::Hops(hops)),
            Box::new(leaves[order[0]].clone()),
        );
        for (label, (and, not)) in order[1..].iter().zip(joints) {
            let next = Box::new(leaves[*label].clone());
            made = if and {
                Condition::And(Box::new(made), next)
            } else {
                Condition::Or(next, Box::new(made))
            };
            if not {
                made = Condition::Not(Box::new(made));
            }
        }
        made
    })
}

fn rule(permits: bool, condition: impl Strategy<Value = Condition>) -> impl Strategy<Value = Rule> {
    (any::<bool>(), condition).prop_map(move |(unless, condition)| Rule {
        permits,
        unless,
        condition,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// With one permit, and each label asked at most once in a policy, the sets say exactly what all worlds say.
    #[test]
    fn uncertain_labels_decide_as_scalars_do_in_every_world(
        permit in rule(true, read_once()),
        forbids in prop::collection::vec(rule(false, read_once()), 0..3),
        labels in labels(),
    ) {
        let mut rules = forbids;
        rules.push(permit);
        prop_assert_eq!(allowed(&rules, &labels), allowed_in_every_world(&rules, &labels));
    }

    /// However policies are written, what they allow is allowed in every world.
    #[test]
    fn nothing_is_allowed_that_some_world_would_deny(
        permits in prop::collection::vec(rule(true, condition()), 1..4),
        forbids in prop::collection::vec(rule(false, condition()), 0..3),
        labels in labels(),
    ) {
        let rules = [permits, forbids].concat();
        if allowed(&rules, &labels) {
            prop_assert!(allowed_in_every_world(&rules, &labels));
        }
    }

    /// A condition that is written as if it stood in the other place is refused, where it stands.
    #[test]
    fn a_condition_in_the_wrong_form_is_refused(permits in any::<bool>(), unless in any::<bool>(), condition in condition()) {
        let rule = Rule { permits, unless, condition };
        prop_assume!(rule.condition.asks_uncertain());
        let text = annotated("wrong", &rule.text(rule.mode().other()));
        let faults = crate::policy::Profile::from_files(&files(&text)).expect_err("the wrong form");
        for fault in &faults {
            let form = matches!(fault.kind, FaultKind::Form(FormFault::All | FormFault::Any));
            prop_assert!(form, "{}", list(&faults));
            prop_assert_eq!((fault.file.as_str(), fault.line), ("share.cedar", 4));
        }
    }
}

#[test]
fn a_label_that_could_be_anything_meets_no_permit_and_every_forbid() {
    let unknown = Labels {
        depiction: Set::full(),
        ..crate::testing::labels()
    };
    let drawn = Condition::Among(2, 0b1000);
    let real = Condition::Among(2, 0b0001);
    let permit = |condition| Rule {
        permits: true,
        unless: false,
        condition,
    };
    assert!(!allowed(&[permit(real.clone())], &unknown));
    let everything = permit(Condition::Hops(0));
    assert!(allowed(std::slice::from_ref(&everything), &unknown));
    for condition in [drawn, real] {
        let forbid = Rule {
            permits: false,
            unless: false,
            condition,
        };
        assert!(!allowed(&[everything.clone(), forbid], &unknown));
    }
}
