//! Which classes are matched together, under which numbers, and which manifests of them are logged.

use std::collections::{BTreeMap, BTreeSet};

use hashpact_keys::KeyUse;
use hashpact_protocol::assess::EntryFacts;
use hashpact_protocol::centre::{Command, CommandError, MatchGroups, Member};
use hashpact_protocol::labels::{ClassId, Labels, Purpose};
use hashpact_protocol::lists::{ClosedList as _, Set};
use hashpact_protocol::policy::{Action, ClassFacts, MatchMode, Principal, Query};
use hashpact_protocol::psi::GroupId;
use hashpact_protocol::testing::policies::varied;
use hashpact_protocol::testing::sim::Sim;
use hashpact_protocol::verify::LeafFault;
use hashpact_protocol::view::View as _;
use proptest::prelude::*;

use crate::network::*;

fn sets(groups: &MatchGroups) -> Vec<(u32, Vec<u16>)> {
    let groups = groups.groups.iter();
    let numbers = |classes: &[ClassId]| classes.iter().map(|class| class.0).collect();
    groups
        .map(|group| (group.id.0, numbers(&group.classes)))
        .collect()
}

#[test]
fn classes_of_one_row_are_one_group_and_keep_its_number() -> Done {
    let mut sim = matching()?;
    let groups = numbered(&mut sim);
    // Members may match the first alone; the last is suspected, which no profile releases to them.
    assert_eq!(sets(&groups), [(0, vec![0]), (1, vec![1, 2])]);
    // A member like the one that is there changes nothing.
    must(&mut sim, Command::AdmitMember(member("bolt", "US")));
    assert_eq!(numbered(&mut sim).groups, groups.groups);
    // So does a restart.
    sim.crash(0)?;
    sim.restart(0)?;
    sim.connect_all()?;
    sim.run_for(10)?;
    assert_eq!(numbered(&mut sim).groups, groups.groups);
    // One under a law that no grant names may match nothing, and changes nothing.
    must(&mut sim, Command::AdmitMember(member("cove", "CA")));
    assert_eq!(numbered(&mut sim).groups, groups.groups);
    Ok(())
}

#[test]
fn a_set_of_classes_that_changes_has_a_number_that_nobody_had() -> Done {
    let mut sim = matching()?;
    let first = numbered(&mut sim);
    let forbid = r#"forbid (principal is Centre, action == Action::"match", resource) when { resource.state == "suspected" };"#;
    govern(&mut sim, &grants("2036-01-01"), &[("less", forbid)])?;
    let second = numbered(&mut sim);
    assert_eq!(sets(&second), [(0, vec![0]), (2, vec![1])]);
    // What it was before is what it was before.
    govern(&mut sim, &grants("2036-01-01"), &[])?;
    assert_eq!(numbered(&mut sim).groups, first.groups);
    // A new class that is like another one joins it, and so is another set.
    let [base, ..] = labels();
    let like = Labels {
        hops: base.hops + 1,
        ..base
    };
    must(&mut sim, Command::Define(vec![like]));
    assert_eq!(
        sets(&numbered(&mut sim)),
        [(1, vec![1, 2]), (3, vec![0, 3])]
    );
    Ok(())
}

#[test]
fn a_number_is_given_before_anything_is_made_under_it() -> Done {
    let mut sim = matching()?;
    let forbid = r#"forbid (principal, action == Action::"match", resource) when { resource.state == "suspected" };"#;
    govern(&mut sim, &grants("2036-01-01"), &[("less", forbid)])?;
    let groups = numbered(&mut sim);
    let manifest = manifest(&sim, &groups, 0);
    let mut other = manifest.clone();
    other.groups[0].group = GroupId(7);
    other.groups.sort_by_key(|group| group.group);
    let mut wider = manifest.clone();
    wider.groups[1].classes = vec![ClassId(1), ClassId(2)];
    for (wrong, group) in [(other, GroupId(7)), (wider, GroupId(2))] {
        let manifest = wrong.sign(&sim.setup(0).signer(KeyUse::Manifest)).unwrap();
        let error = refused(&mut sim, Command::MatchEpoch { manifest });
        assert_eq!(error, CommandError::MatchGroup { group });
    }
    log_manifest(&mut sim, &manifest)
}

#[test]
fn a_manifest_that_receivers_would_refuse_is_not_logged() -> Done {
    let mut sim = matching()?;
    let size = sim.memory(0).log(&sim.setup(0).origin).size;
    let groups = numbered(&mut sim);
    let manifest = manifest(&sim, &groups, 1);
    let mut again = manifest.clone();
    again.number = 0;
    let manifest_key = sim.setup(0).signer(KeyUse::Manifest);
    let delta_key = sim.setup(0).signer(KeyUse::Delta);
    let refusal = |sim: &mut Sim, manifest: Vec<u8>| {
        let error = refused(sim, Command::MatchEpoch { manifest });
        let CommandError::ManifestLeaf(fault) = error else {
            panic!("{error}");
        };
        *fault
    };
    let fault = refusal(&mut sim, again.sign(&manifest_key).unwrap());
    let (expected, got) = (1, 0);
    assert_eq!(fault, LeafFault::ManifestNumber { expected, got });
    let fault = refusal(&mut sim, manifest.sign(&delta_key).unwrap());
    assert!(matches!(fault, LeafFault::Manifest(_)), "{fault:?}");
    assert_eq!(sim.memory(0).log(&sim.setup(0).origin).size, size);
    Ok(())
}

/// Who may do what with each class, decided one question at a time.
type Naive = BTreeMap<ClassId, BTreeSet<(String, Purpose, Set<MatchMode>)>>;

fn naive(sim: &Sim, labels: &[Labels]) -> Naive {
    let centre = sim.centre(0).unwrap();
    let law = centre.law(&sim.setup(0).origin, sim.now());
    let members = centre.members().map(Member::principal);
    let centres = centre
        .roster()
        .centres
        .iter()
        .filter(|it| it.id != sim.setup(0).id);
    let centres = centres.map(|it| Principal::Centre {
        id: it.id.clone(),
        jurisdiction: it.jurisdiction.clone(),
    });
    let principals: Vec<_> = members.chain(centres).collect();
    let mut rows = Naive::new();
    for (class, labels) in (0..).map(ClassId).zip(labels) {
        let row = rows.entry(class).or_default();
        for principal in &principals {
            for (purpose, _) in Purpose::VALUES {
                let terms = law.match_terms(principal, *purpose, sim.now());
                let may = |action| {
                    let query = Query {
                        action,
                        principal,
                        class: ClassFacts {
                            origin: &sim.setup(0).id,
                            jurisdiction: &sim.setup(0).jurisdiction,
                            class,
                            labels,
                        },
                        purpose: *purpose,
                        now: sim.now(),
                        entry: Some(EntryFacts {
                            state: labels.state,
                            quorum: false,
                            baseline: false,
                            hold: false,
                        }),
                    };
                    law.decide(&query).allowed
                };
                let mut modes = terms.modes;
                if !may(Action::Match) || !may(Action::Reveal) {
                    modes = Set::empty();
                }
                if !modes.is_empty() {
                    row.insert((format!("{principal:?}"), *purpose, modes));
                }
            }
        }
    }
    rows
}

const RULES: [&str; 6] = [
    r#"forbid (principal is Member, action == Action::"reveal", resource) when { principal.sector == "search" };"#,
    r#"forbid (principal, action == Action::"match", resource) unless { resource.granted.residency.contains(principal.jurisdiction) };"#,
    r#"forbid (principal, action == Action::"match", resource) unless { resource.granted.purposes.contains(context.purpose) };"#,
    r#"forbid (principal is Member, action == Action::"reveal", resource) when { principal.id == "acme" && resource.maybe.depiction.containsAny(["virtual_drawn"]) };"#,
    r#"permit (principal is Member, action in [Action::"match", Action::"reveal"], resource) when { principal.sector == "search" };"#,
    r#"forbid (principal is Centre, action == Action::"reveal", resource) when { context has entry && context.entry.state != "assessed" };"#,
];

fn labelled(n: u16) -> Labels {
    let mut labels = varied(n);
    labels.residency.insert("EU".parse().unwrap());
    labels
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Whatever the policy, the classes and the members: two classes are in one group exactly if everybody may do the same
    /// with both, asked one question at a time.
    #[test]
    fn classes_with_equal_rows_share_a_group_and_others_never(
        rules in proptest::sample::subsequence(&RULES[..], 0..=6),
        classes in proptest::collection::btree_set(0..512_u16, 1..12),
        sectors in proptest::collection::vec((0..2_usize, 0..3_usize), 0..5),
    ) {
        let mut sim = Sim::governed(3, 3).unwrap();
        sim.connect_all().unwrap();
        sim.run_for(10).unwrap();
        let names = ["a", "b", "c", "d", "e", "f"];
        let more: Vec<_> = names.iter().copied().zip(rules).collect();
        govern(&mut sim, &grants("2036-01-01"), &more).unwrap();
        let labels: Vec<_> = classes.into_iter().map(labelled).collect();
        must(&mut sim, Command::Define(labels.clone()));
        for (n, (sector, law)) in sectors.into_iter().enumerate() {
            let id = if n == 0 { "acme".to_owned() } else { format!("m{n}") };
            let law = ["US", "EU", "CA"][law];
            let sector = ["search", "hosting"][sector].to_owned();
            must(&mut sim, Command::AdmitMember(Member { sector, ..member(&id, law) }));
        }
        let rows = naive(&sim, &labels);
        let groups = numbered(&mut sim);
        let of: BTreeMap<ClassId, GroupId> = groups.groups.iter()
            .flat_map(|group| group.classes.iter().map(|class| (*class, group.id)))
            .collect();
        for (a, row) in &rows {
            prop_assert_eq!(of.contains_key(a), !row.is_empty(), "class {:?}: {:?}", a, row);
            for (b, other) in rows.iter().filter(|(_, row)| !row.is_empty()) {
                let shared = of.get(a).is_some_and(|group| of.get(b) == Some(group));
                prop_assert_eq!(shared, row == other, "classes {:?} and {:?}: {:?} {:?}", a, b, row, other);
            }
        }
    }
}
