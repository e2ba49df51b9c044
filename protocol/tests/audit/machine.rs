//! Centres that run, audited: what honest machines give each other is found by nobody, whatever way it took.

use std::collections::BTreeMap;

use hashpact_keys::Origin;
use hashpact_protocol::audit::{
    Chain, Disclosures, Finding, HistoryNotes, Ledger, LogInput, Openings, export_openings, replay,
    verify_log,
};
use hashpact_protocol::testing::documents::{self, ALL};
use hashpact_protocol::testing::sim::{Sim, Violation};
use hashpact_protocol::view::View as _;

const NOT_AU: &str = "forbid (principal, action == Action::\"share\", resource) when { principal.jurisdiction == \"AU\" };";

/// The witnessed notes of every log, as they came to be.
#[derive(Default)]
struct Watch(BTreeMap<Origin, Vec<(u64, Vec<u8>)>>);

impl Watch {
    /// Time passes, a second at a time.
    fn run(&mut self, sim: &mut Sim, seconds: u64) -> Result<(), Violation> {
        for _ in 0..seconds {
            sim.run_for(1)?;
            for n in 0..sim.len() {
                let origin = sim.setup(n).origin.clone();
                let Some(head) = sim.memory(n).log(&origin).witnessed else {
                    continue;
                };
                let notes = self.0.entry(origin).or_default();
                let size = head.checkpoint().size;
                if notes.last().is_none_or(|(last, _)| *last < size) {
                    notes.push((size, head.note().to_vec()));
                }
            }
        }
        Ok(())
    }

    /// All logs, with what opens them; and how many sealed records are no disclosures.
    fn audit(&self, sim: &Sim) -> (Vec<Finding>, Disclosures, u64) {
        let mut findings = Vec::new();
        let pin = sim.roster().roster().network;
        let rosters = [sim.roster().bytes().to_vec()];
        let chain = Chain::open(&pin, rosters, sim.now(), |it| findings.push(it)).unwrap();
        let bundles: Vec<Vec<u8>> = (0..sim.len())
            .map(|n| {
                let origin = &sim.setup(n).origin;
                let export = export_openings(sim.memory(n), pin, origin, 0).unwrap();
                assert_eq!(export.missing, <Vec<u64>>::new());
                export.bundle.to_bytes()
            })
            .collect();
        let files = bundles.iter().map(|bytes| ("openings", &bytes[..]));
        let openings = Openings::open(files, &chain, &mut |it| findings.push(it));
        let mut ledgers = BTreeMap::new();
        for (n, (origin, centre)) in (0..sim.len()).map(|n| {
            let origin = sim.setup(n).origin.clone();
            let centre = chain.logs()[&origin].clone();
            (n, (origin, centre))
        }) {
            let notes = &self.0[&origin];
            let history = notes
                .iter()
                .flat_map(|(_, note)| [note.clone(), b"\n".to_vec()]);
            let files = |path: &str| sim.memory(n).log_file(&origin, path);
            let input = LogInput {
                centre: &centre,
                files: &files,
                checkpoint: notes.last().map(|(_, note)| note.clone()),
                history: HistoryNotes::new(history),
                refused: Vec::new(),
                fork: None,
                is_here: true,
                others: &|_| None,
            };
            let mut ledger = Ledger::new(origin.clone());
            let mut events = Vec::new();
            let summary = verify_log(&chain, input, sim.now(), &mut |event| events.push(event));
            for event in &events {
                if let hashpact_protocol::audit::Event::Finding(finding) = event {
                    findings.push(finding.clone());
                }
                ledger.take(event, &openings, &mut |it| findings.push(it));
            }
            ledger.end(summary.size, &openings, &mut |it| findings.push(it));
            ledgers.insert(origin, ledger);
        }
        let sums = replay(&chain, &ledgers, &openings, None, &mut |it| {
            findings.push(it)
        });
        let others = ledgers.values().map(|ledger| ledger.seals().commitments);
        let others = others.sum();
        (findings, sums, others)
    }
}

fn rule(sim: &mut Sim, n: usize, rules: &[(&str, &str)]) -> Result<(), Violation> {
    let files = documents::files(&sim.setup(n).jurisdiction, "", rules);
    sim.apply_policy(n, files)
}

#[test]
fn what_honest_centres_gave_each_other_is_allowed_when_it_is_decided_again() -> Result<(), Violation>
{
    let mut sim = Sim::governed(5, 4)?;
    let mut watch = Watch::default();
    sim.connect_all()?;
    watch.run(&mut sim, 10)?;
    for n in 0..4 {
        rule(&mut sim, n, &[("all", ALL)])?;
    }
    watch.run(&mut sim, 10)?;
    // The third centre can have what the first publishes by way of others alone.
    sim.disconnect(0, 2)?;
    sim.append(0, 6, &[1, 2])?;
    sim.append(1, 5, &[2])?;
    watch.run(&mut sim, 300)?;
    // A policy that narrows, by which the fourth must give back what it has; and one more delta under it.
    rule(&mut sim, 0, &[("all", ALL), ("not-au", NOT_AU)])?;
    watch.run(&mut sim, 10)?;
    sim.append(0, 4, &[1])?;
    watch.run(&mut sim, 300)?;
    let (findings, sums, others) = watch.audit(&sim);
    assert_eq!(findings, []);
    let ways: Vec<_> = sums
        .given
        .iter()
        .map(|(gift, sum)| (gift.origin.centre().as_str(), gift.to.as_str(), sum.hops))
        .collect();
    assert!(ways.contains(&("eu", "us", 0)), "{ways:?}");
    assert!(ways.contains(&("eu", "ca", 1)), "{ways:?}");
    assert!(ways.contains(&("eu", "au", 0)), "{ways:?}");
    // The recall and its acknowledgement are sealed as well, and opened.
    assert!(others >= 2, "{others}");
    Ok(())
}
