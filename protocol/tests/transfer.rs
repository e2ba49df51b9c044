//! Transfers under policy: what reaches whom, what both sides write down, and what a hostile side gains.
#![cfg(feature = "testing")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot read what it checks is wrong"
)]

use std::collections::BTreeSet;

use hashpact_keys::Origin;
use hashpact_protocol::centre::Event;
use hashpact_protocol::delta::Seq;
use hashpact_protocol::labels::ClassId;
use hashpact_protocol::log::{Leaf, read_leaves};
use hashpact_protocol::testing::documents::{self, ALL};
use hashpact_protocol::testing::sim::{Sim, Violation};
use hashpact_protocol::transfer::{Opening, Statement, Withholder};
use hashpact_protocol::view::{Held, Shelf, View as _};

type Done = Result<(), Violation>;
type Rules<'a> = Vec<(&'a str, &'a str)>;

const SHARE: &str = "permit (principal is Centre, action == Action::\"share\", resource);";
const ADMIT: &str = "permit (principal is Centre, action == Action::\"admit\", resource);";
const SHARE_TRIAGE: &str = "permit (principal is Centre, action == Action::\"share\", resource) when { resource.granted.purposes.contains(\"triage\") };";
const SHARE_DETECT: &str = "permit (principal is Centre, action == Action::\"share\", resource) when { resource.granted.purposes.contains(\"detect\") };";
const ADMIT_DETECT: &str = "permit (principal is Centre, action == Action::\"admit\", resource) when { resource.granted.purposes.contains(\"detect\") };";

/// Everybody starts, meets everybody and logs its policy.
fn network(seed: u64, rules: &[Rules<'_>]) -> Result<Sim, Violation> {
    let mut sim = Sim::governed(seed, rules.len())?;
    sim.connect_all()?;
    sim.run_for(10)?;
    for (n, rules) in rules.iter().enumerate() {
        apply(&mut sim, n, rules)?;
    }
    sim.run_for(10)?;
    Ok(sim)
}

fn apply(sim: &mut Sim, n: usize, rules: &Rules<'_>) -> Done {
    let files = documents::files(&sim.setup(n).jurisdiction, "", rules);
    sim.apply_policy(n, files)
}

fn all() -> Rules<'static> {
    vec![("all", ALL)]
}

fn origin(sim: &Sim, n: usize) -> Origin {
    sim.setup(n).origin.clone()
}

/// The statements that a centre keeps and logged, checked against the leaves of its log.
fn logged(sim: &Sim, n: usize) -> Vec<Statement> {
    let memory = sim.memory(n);
    let own = origin(sim, n);
    let size = memory.log(&own).size;
    let files = |path: &str| memory.log_file(&own, path);
    let leaves = read_leaves(&files, size, 0, size).unwrap();
    let mut sealed = BTreeSet::new();
    for leaf in leaves {
        if let Leaf::Disclosure { commitment } = Leaf::from_bytes(&leaf).unwrap() {
            assert!(sealed.insert(commitment), "no commitment stands twice");
        }
    }
    let kept = memory.shelf(Shelf::Statement, &[]);
    let openings = kept
        .iter()
        .map(|(_, kept)| Opening::from_bytes(kept).unwrap());
    let openings: Vec<_> = openings.filter(|opening| opening.salt.is_some()).collect();
    let opened: BTreeSet<_> = openings.iter().filter_map(Opening::commitment).collect();
    assert_eq!(
        opened, sealed,
        "every record has its opening, and every opening its record"
    );
    let roster = sim.roster().roster();
    let open = |opening: &Opening| Statement::open(&opening.signed, roster).unwrap();
    openings.iter().map(open).collect()
}

/// Classes of a log that a centre holds records of.
fn held(sim: &Sim, n: usize, log: usize) -> BTreeSet<u16> {
    let (memory, origin) = (sim.memory(n), origin(sim, log));
    let deltas = (0..memory.log(&origin).applied.0).map(Seq);
    let rows = deltas
        .filter_map(|seq| memory.holdings(&origin, seq))
        .flatten();
    let rows = rows.filter(|row| row.held != Held::None);
    rows.map(|row| row.class.0).collect()
}

/// Every class of every delta that a centre holds of another's log came by a statement that both sides logged.
fn check_disclosures(sim: &Sim) {
    let all: Vec<Vec<Statement>> = (0..sim.len()).map(|n| logged(sim, n)).collect();
    for n in 0..sim.len() {
        for log in (0..sim.len()).filter(|log| *log != n) {
            let origin = origin(sim, log);
            for seq in (0..sim.memory(n).log(&origin).applied.0).map(Seq) {
                for row in sim.memory(n).holdings(&origin, seq).unwrap() {
                    if row.held == Held::None {
                        continue;
                    }
                    let by = |statement: &&Statement| {
                        statement.to == sim.setup(n).id
                            && statement.origin == origin
                            && statement.gives(seq, row.class) == Some(row.count)
                    };
                    let taken = all[n].iter().find(by);
                    let taken = taken.expect("the taker logged what it holds");
                    let giver = (0..sim.len()).find(|giver| sim.setup(*giver).id == taken.from);
                    let given = &all[giver.unwrap()];
                    assert!(given.contains(taken), "the giver logged it too");
                }
            }
        }
    }
}

#[test]
fn what_policy_allows_flows_and_both_sides_log_it() -> Done {
    let mut sim = network(1, &[all(), all(), all()])?;
    sim.append(0, 6, &[1, 2])?;
    sim.append(0, 4, &[2])?;
    sim.settle()?;
    for n in [1, 2] {
        assert_eq!(sim.live(n, 0), sim.live(0, 0));
        assert_eq!(held(&sim, n, 0), BTreeSet::from([0, 1]));
        assert!(!logged(&sim, n).is_empty());
    }
    check_disclosures(&sim);
    Ok(())
}

#[test]
fn without_a_policy_in_any_log_no_statement_is_made() -> Done {
    let mut sim = Sim::governed(1, 3)?;
    sim.connect_all()?;
    sim.run_for(10)?;
    sim.append(0, 6, &[1, 2])?;
    sim.settle()?;
    for n in 0..3 {
        assert_eq!(sim.live(n, 0), sim.live(0, 0));
        assert!(logged(&sim, n).is_empty());
    }
    Ok(())
}

#[test]
fn a_class_that_is_not_shared_or_not_admitted_is_withheld_and_it_is_known_by_whom() -> Done {
    let shares = vec![
        ("admit", ADMIT),
        ("share-triage", SHARE_TRIAGE),
        ("share-detect", SHARE_DETECT),
    ];
    let admits = vec![("share", SHARE), ("admit-detect", ADMIT_DETECT)];
    let mut sim = network(2, &[shares, admits, all()])?;
    // Classes 0, 1 and 2: for statistics, for triage, for detection.
    sim.append(0, 9, &[1, 2, 4])?;
    sim.settle()?;
    assert_eq!(held(&sim, 1, 0), BTreeSet::from([2]));
    assert_eq!(held(&sim, 2, 0), BTreeSet::from([1, 2]));
    let missing = |n: usize| -> Vec<(ClassId, u64, Withholder)> {
        let rows = sim.centre(n).unwrap().missing();
        rows.map(|(_, _, row)| (row.class, row.count, row.by.clone()))
            .collect()
    };
    assert_eq!(
        missing(1),
        [
            (ClassId(0), 3, Withholder::Origin),
            (ClassId(1), 3, Withholder::Own)
        ]
    );
    assert_eq!(missing(2), [(ClassId(0), 3, Withholder::Origin)]);
    let surplus = |(_, event): &&(usize, Event)| matches!(event, Event::SurplusWithheld { .. });
    assert_eq!(sim.events().iter().find(surplus), None);
    check_disclosures(&sim);
    Ok(())
}
