//! The model check: no way leads from a machine's opinion to anything releasable that a person did not attest.

use std::collections::BTreeSet;

use hashpact_protocol::assess::{Basis, baseline};
use hashpact_protocol::assess::{
    Cause, Count, EntryFacts, Evidence, Life, OpenDispute, Quorum, TRANSITIONS, count,
    effective_state,
};
use hashpact_protocol::labels::State;
use hashpact_protocol::lists::ClosedList;
use hashpact_protocol::testing::classified;

use super::{Entry, by, centre, opened};

/// States that are reached from `from` by causes that hold.
fn reached(from: Life, holds: impl Fn(Cause) -> bool) -> BTreeSet<Life> {
    let mut reached = BTreeSet::from([from]);
    loop {
        let steps = TRANSITIONS.iter().filter(|(_, cause, _)| holds(*cause));
        let next: Vec<_> = steps.filter(|(from, ..)| reached.contains(from)).collect();
        let before = reached.len();
        reached.extend(next.iter().map(|(.., to)| *to));
        if reached.len() == before {
            return reached;
        }
    }
}

#[test]
fn without_a_person_nothing_releasable_is_reached_from_anywhere_but_where_it_was() {
    let starts = [
        Life::Unlisted,
        Life::Suspected,
        Life::Disputed,
        Life::Retracted,
        Life::Purged,
    ];
    for start in starts {
        let reached = reached(start, |cause| !cause.is_attested());
        assert!(
            !reached.iter().any(|life| life.is_releasable()),
            "{start:?}: {reached:?}"
        );
    }
    let by_machines = reached(Life::Unlisted, |cause| cause == Cause::Classifier);
    assert_eq!(
        by_machines,
        BTreeSet::from([Life::Unlisted, Life::Suspected])
    );
}

#[test]
fn every_path_to_a_releasable_state_has_a_human_attestation_behind_its_last_doubt() {
    // All paths of up to 8 steps, with whether a person attested since the entry was last not releasable.
    let mut paths = vec![(Life::Unlisted, false)];
    let mut released = 0;
    for _ in 0..8 {
        let mut next = Vec::new();
        for (at, attested) in paths {
            for (_, cause, to) in TRANSITIONS.iter().filter(|(from, ..)| *from == at) {
                let attested = cause.is_attested() || attested && at.is_releasable();
                if to.is_releasable() {
                    assert!(attested, "{at:?} {cause:?} {to:?}");
                    released += 1;
                }
                next.push((*to, attested));
            }
        }
        paths = next;
    }
    assert!(released > 100, "{released}");
}

#[test]
fn the_table_is_the_one_of_the_domain() {
    let reachable: BTreeSet<_> = reached(Life::Unlisted, |_| true);
    assert_eq!(
        reachable.len(),
        Life::VALUES.len(),
        "every state has a way to it"
    );
    let from = |life: Life| -> BTreeSet<_> {
        let steps = TRANSITIONS
            .iter()
            .filter(move |(from, _, to)| *from == life && *to != life);
        steps.map(|(.., to)| *to).collect()
    };
    let expected = [
        (Life::Suspected, vec![Life::Assessed, Life::Retracted]),
        (Life::Assessed, vec![Life::Disputed, Life::Retracted]),
        (Life::Disputed, vec![Life::Assessed, Life::Retracted]),
        (Life::Retracted, vec![Life::Assessed, Life::Purged]),
        (Life::Purged, vec![]),
    ];
    for (life, to) in expected {
        assert_eq!(from(life), to.into_iter().collect(), "{life:?}");
    }
    let causes: BTreeSet<_> = TRANSITIONS
        .iter()
        .map(|(from, cause, _)| (*from, *cause))
        .collect();
    assert_eq!(
        causes.len(),
        TRANSITIONS.len(),
        "one cause leads from a state to one other"
    );
    let used: BTreeSet<_> = TRANSITIONS.iter().map(|(_, cause, _)| *cause).collect();
    assert_eq!(used.len(), Cause::VALUES.len(), "no cause without effect");
}

#[test]
fn two_centres_of_two_countries_dispute_an_assessment_and_nobody_else_does() {
    // eu, us, ca, and x4, which is in the EU as well.
    let raised = [0, 1, 2, 4].map(|n| OpenDispute {
        centre: centre(n).id.clone(),
        country: centre(n).jurisdiction.clone(),
    });
    let mut entry = Entry::of_the_baseline();
    for subset in 0..1_u8 << raised.len() {
        let holds = |n: usize| subset & (1 << n) != 0;
        let mut open: Vec<_> = (0..4)
            .filter(|n| holds(*n))
            .map(|n| raised[n].clone())
            .collect();
        open.extend(open.clone());
        let [eu, us, ca, x4] = [0, 1, 2, 3].map(holds);
        let contested = us && ca || (eu || x4) && (us || ca);
        for state in [State::Suspected, State::Assessed, State::Disputed] {
            entry.labels.state = state;
            let expected = match state {
                State::Assessed if contested => State::Disputed,
                State::Suspected | State::Assessed | State::Disputed => state,
            };
            assert_eq!(
                effective_state(&entry.stated(), &open),
                expected,
                "{subset:04b}"
            );
        }
    }
}

#[test]
fn an_entry_that_only_a_machine_speaks_for_is_never_assessed_has_no_quorum_and_no_baseline() {
    let attested = [opened(&by(0, 1)), opened(&by(1, 1))];
    let imported = [1, 2].map(|n| {
        let mut import = by(n, 1);
        (import.assessor, import.basis) = (None, Basis::LegacyImport);
        opened(&import)
    });
    let quorum = Quorum::TWO_OF_TWO;
    for state in [State::Suspected, State::Assessed, State::Disputed] {
        for (hold, attestations) in [(false, &imported[..]), (true, &imported[..]), (false, &[])] {
            let mut entry = Entry::of_the_baseline();
            entry.labels.state = state;
            let evidence = Evidence {
                attestations,
                disputes: &[],
                hold,
                quorum,
            };
            let facts = EntryFacts::of(&entry.stated(), &evidence);
            let expected = EntryFacts {
                state,
                quorum: false,
                baseline: false,
                hold,
            };
            assert_eq!(facts, expected, "imports are nobody");
        }
        // Even if people attest it: its origin says that a machine did, and must issue it again.
        let mut entry = Entry::of_the_baseline();
        entry.labels.state = state;
        entry.fields.classifier = classified(1).fields.classifier;
        let evidence = Evidence {
            attestations: &attested,
            disputes: &[],
            hold: false,
            quorum,
        };
        let facts = EntryFacts::of(&entry.stated(), &evidence);
        assert_eq!((facts.state, facts.baseline), (State::Suspected, false));
        assert!(!baseline(&entry.stated(), facts.state, &attested));
    }
    let entry = Entry::of_the_baseline();
    let evidence = Evidence {
        attestations: &attested,
        disputes: &[],
        hold: false,
        quorum,
    };
    let facts = EntryFacts::of(&entry.stated(), &evidence);
    let expected = EntryFacts {
        state: State::Assessed,
        quorum: true,
        baseline: true,
        hold: false,
    };
    assert_eq!(facts, expected, "people are");
    let two = Count {
        assessors: 2,
        centres: 2,
        countries: 2,
    };
    assert_eq!(count(&entry.stated(), &attested), two);
}
