//! Many questions at once against each of them alone.

use super::*;
use crate::centre::Command;
use crate::testing::documents::{self, ALL};
use crate::testing::policies::{profile_files, varied};
use crate::testing::sim::{Sim, Violation};

const CLASSES: u16 = 12;

/// One looks at the class, one at who asks, one at both.
const TRIAGE: &str = "permit (principal is Centre, action in [Action::\"reshare\", Action::\"admit\"], resource) when { resource.granted.purposes.contains(\"triage\") };";
const NOT_US: &str = "forbid (principal == Centre::\"us\", action == Action::\"share\", resource);";
const US_DETECTS: &str = "permit (principal == Centre::\"us\", action == Action::\"admit\", resource) when { resource.granted.purposes.contains(\"detect\") };";

/// The files of a centre's policy: the first two of the tests, the rest as they come with the program.
fn files(sim: &Sim, n: usize) -> Vec<(String, String)> {
    let rules = match n {
        0 => [("all", ALL), ("not-us", NOT_US)],
        1 => [("triage", TRIAGE), ("us", US_DETECTS)],
        _ => return profile_files(sim.setup(n).id.as_str()),
    };
    documents::files(&sim.setup(n).jurisdiction, "", &rules)
}

/// Four centres of which two have defined classes, and these have logged policies.
fn network(ruled: &[usize]) -> Result<Sim, Violation> {
    let mut sim = Sim::governed(1, 4)?;
    sim.connect_all()?;
    sim.run_for(10)?;
    for n in ruled {
        sim.apply_policy(*n, files(&sim, *n))?;
    }
    for n in [0, 2] {
        let labels = (0..CLASSES).map(|class| {
            let mut labels = varied(class * 37);
            labels.residency.insert(sim.setup(n).jurisdiction.clone());
            labels
        });
        let labels: Vec<Labels> = labels.collect();
        sim.command(n, Command::Define(labels))?.unwrap().unwrap();
    }
    sim.run_for(120)?;
    Ok(sim)
}

/// Every class of every log on every way, as each centre sees it: how many flow, and how many do not.
fn compare(sim: &Sim) -> (usize, usize) {
    let mut ids: Vec<CentreId> = (0..sim.len()).map(|n| sim.setup(n).id.clone()).collect();
    ids.push("nobody".parse().unwrap());
    let mut ways: Vec<Way<'_>> = Vec::new();
    for purpose in [Purpose::Triage, Purpose::Statistics] {
        for from in &ids {
            ways.extend(ids.iter().map(|to| Way { from, to, purpose }));
        }
    }
    // The last one is not defined.
    let classes: Vec<ClassId> = (0..=CLASSES).map(ClassId).collect();
    let (mut yes, mut no) = (0, 0);
    for n in [0, 3] {
        let (centre, view, now) = (sim.centre(n).unwrap(), sim.memory(n), sim.now());
        for log in 0..sim.len() {
            let origin = &sim.setup(log).origin;
            let mut places = 0;
            centre.may_flow_all(origin, &classes, &ways, now, view, |place, flows| {
                assert_eq!((place, flows.len()), (places, classes.len()));
                places += 1;
                let Way { from, to, purpose } = ways[place];
                for (class, flow) in classes.iter().zip(flows) {
                    let alone = centre.may_flow(origin, *class, from, to, purpose, now, view);
                    assert_eq!(flow, alone, "{class:?} of {origin}: {:?}", ways[place]);
                    *if flow.allowed { &mut yes } else { &mut no } += 1;
                }
            });
            assert_eq!(places, ways.len());
        }
    }
    (yes, no)
}

#[test]
fn many_flows_are_those_of_each_alone() -> Result<(), Violation> {
    let mut sim = network(&[0, 1, 2])?;
    let (yes, no) = compare(&sim);
    assert!(yes > 0 && no > 0, "{yes} and {no}");
    // Past the end of the roster.
    sim.advance(60 * 86_400)?;
    assert_eq!(compare(&sim).0, 0);
    Ok(())
}

#[test]
fn many_flows_where_some_or_all_have_no_policy_are_those_of_each_alone() -> Result<(), Violation> {
    let (yes, no) = compare(&network(&[1])?);
    assert!(yes > 0 && no > 0, "{yes} and {no}");
    assert!(compare(&network(&[])?).0 > yes);
    Ok(())
}

#[test]
fn a_question_that_cannot_be_put_with_others_is_put_alone() -> Result<(), Violation> {
    let sim = network(&[0, 1])?;
    let (centre, view, now) = (sim.centre(0).unwrap(), sim.memory(0), sim.now());
    let (origin, to) = (&sim.setup(0).origin, &sim.setup(1).id);
    let (from, purpose) = (&sim.setup(0).id, Purpose::Triage);
    // The same class twice is no question that the engine takes.
    let twice = [ClassId(0), ClassId(1), ClassId(0)];
    let way = Way { from, to, purpose };
    let mut flows = Vec::new();
    centre.may_flow_all(origin, &twice, &[way], now, view, |_, all| flows.push(all));
    let alone = twice.map(|class| centre.may_flow(origin, class, from, to, purpose, now, view));
    assert_eq!(flows, [alone.to_vec()]);
    Ok(())
}
