//! The truth table of the INTERPOL baseline: every state, depiction, stage, activity and close-up that an origin can state,
//! against everything that two people can attest of them.

use hashpact_protocol::assess::{
    Attestation, Attested, Basis, EntryFacts, Evidence, Quorum, baseline,
};
use hashpact_protocol::labels::{Depiction, State};
use hashpact_protocol::lists::{ClosedList, Set};
use hashpact_protocol::record::{AgeBand, Flag, PubertalStage};

use super::{Entry, by, opened};

const ACTIVITY: usize = 0;
const FOCUS: usize = 4;

/// What the formula looks at: bits of depiction and stage, the two features.
type Row = (u16, u16, Flag, Flag);

/// Every non-empty set of a list, by its bits.
fn sets<T: ClosedList>() -> impl Iterator<Item = u16> + Clone {
    1..=Set::<T>::full().bits()
}

fn set<T: ClosedList>(bits: u16) -> Set<T> {
    Set::from_bits(u64::from(bits)).expect("bits of the list")
}

/// Every row with these depictions.
fn rows(depictions: impl Iterator<Item = u16> + Clone) -> Vec<Row> {
    let flags = [Flag::Yes, Flag::No, Flag::Unknown];
    let mut rows = Vec::new();
    for depiction in depictions {
        for stage in sets::<PubertalStage>() {
            for activity in flags {
                rows.extend(flags.map(|focus| (depiction, stage, activity, focus)));
            }
        }
    }
    rows
}

fn stated(state: State, (depiction, stage, activity, focus): Row) -> Entry {
    let mut entry = Entry::of_the_baseline();
    entry.labels.state = state;
    entry.labels.depiction = set(depiction);
    entry.fields.pubertal_stage = set(stage);
    (
        entry.fields.features[ACTIVITY],
        entry.fields.features[FOCUS],
    ) = (activity, focus);
    entry
}

fn attests(n: usize, (depiction, stage, activity, focus): Row) -> Attestation {
    let mut one = by(n, 1);
    one.values.depiction = set(depiction);
    one.values.pubertal_stage = set(stage);
    (one.values.features[ACTIVITY], one.values.features[FOCUS]) = (activity, focus);
    one
}

/// The words of domain 2.2, one by one, where two people of two countries attest the same row.
fn expected(state: State, origin: Row, people: Row) -> bool {
    const REAL: u16 = 1;
    const PREPUBERTAL: u16 = 1;
    const FIRST_SIGNS: u16 = 2;
    const PUBERTAL: u16 = 4;
    let young = |(_, stage, ..): Row| stage & PUBERTAL == 0;
    let agree = |a: Flag, b: Flag| a == Flag::Yes && b == Flag::Yes;
    let contradict = |a: Flag, b: Flag| a != b && a != Flag::Unknown && b != Flag::Unknown;
    let stages = origin.1 & people.1;
    state == State::Assessed
        && origin.0 == REAL
        && people.0 == REAL
        && young(origin)
        && young(people)
        && (stages & PREPUBERTAL != 0 || stages & FIRST_SIGNS != 0)
        && (agree(origin.2, people.2) || agree(origin.3, people.3))
        && !contradict(origin.2, people.2)
        && !contradict(origin.3, people.3)
}

#[test]
fn the_baseline_has_the_truth_table_of_the_domain() {
    let bits = |depictions: &[Depiction]| Set::of(depictions).bits();
    let real = bits(&[Depiction::Real]);
    // All that an origin can state, and for people the depictions that differ from each other: real, perhaps real, another.
    let origins = rows(sets::<Depiction>());
    let people = rows(
        [
            real,
            bits(&[Depiction::Real, Depiction::Manipulated]),
            15,
            8,
        ]
        .into_iter(),
    );
    let mut holds = 0;
    for row in people {
        let attested = [0, 2].map(|n| opened(&attests(n, row)));
        for origin in &origins {
            // Another depiction than real decides alone, whatever is attested: one row of people shows it.
            if origin.0 != real && row != (real, 1, Flag::Yes, Flag::Yes) {
                continue;
            }
            for (state, _) in State::VALUES {
                let entry = stated(*state, *origin);
                let is = baseline(&entry.stated(), *state, &attested);
                assert_eq!(
                    is,
                    expected(*state, *origin, row),
                    "{state:?} {origin:?} by {row:?}"
                );
                holds += usize::from(is);
            }
        }
    }
    // 7 pairs of young stages that overlap; of 9 x 9 pairs of features 7 x 7 contradict in none, and in 6 x 6 of those none agrees.
    assert_eq!(holds, 7 * (49 - 36));
}

#[test]
fn what_one_attests_and_another_does_not_is_not_attested_by_two() {
    let origin = (1, 3, Flag::Yes, Flag::Yes);
    let entry = stated(State::Assessed, origin);
    let of = |first: Row, second: Row| {
        let attested = [opened(&attests(0, first)), opened(&attests(1, second))];
        baseline(&entry.stated(), State::Assessed, &attested)
    };
    use Flag::{Unknown, Yes};
    assert!(
        of((1, 1, Yes, Unknown), (1, 3, Yes, Yes)),
        "they agree on a stage and a feature"
    );
    assert!(
        !of((1, 1, Yes, Yes), (1, 2, Yes, Yes)),
        "another stage each"
    );
    assert!(
        !of((1, 1, Yes, Unknown), (1, 1, Unknown, Yes)),
        "another feature each"
    );
    assert!(
        !of((1, 1, Yes, Yes), (3, 1, Yes, Yes)),
        "one is not sure that it is real"
    );
    assert!(
        !of((1, 1, Yes, Yes), (1, 5, Yes, Yes)),
        "one is not sure of the stage"
    );
}

#[test]
fn the_baseline_needs_two_assessors_of_two_centres_in_two_countries() {
    let imported = |n: usize| {
        let mut import = by(n, 1);
        (import.assessor, import.basis) = (None, Basis::LegacyImport);
        import
    };
    let metadata = |n: usize| Attestation {
        basis: Basis::MetadataOnly,
        ..by(n, 1)
    };
    // (is a person, centre, country); x4 is in the EU.
    let all = [
        (true, "eu", "EU", by(0, 1)),
        (true, "eu", "EU", by(0, 2)),
        (true, "x4", "EU", by(4, 1)),
        (true, "us", "US", metadata(1)),
        (false, "ca", "CA", imported(2)),
        (false, "au", "AU", imported(3)),
    ];
    let attested = all.each_ref().map(|row| opened(&row.3));
    let entry = Entry::of_the_baseline();
    for subset in 0..1_u8 << all.len() {
        let chosen: Vec<_> = (0..all.len()).filter(|n| subset & (1 << n) != 0).collect();
        let people: Vec<_> = chosen.iter().filter(|n| all[**n].0).collect();
        let us = people.iter().any(|n| all[**n].2 == "US");
        let eu = people.iter().any(|n| all[**n].2 == "EU");
        let given: Vec<Attested> = chosen.iter().map(|n| attested[*n].clone()).collect();
        let is = baseline(&entry.stated(), State::Assessed, &given);
        assert_eq!(
            is,
            us && eu,
            "{subset:06b}: only the US and the EU have people here"
        );
        let evidence = Evidence {
            attestations: &given,
            disputes: &[],
            hold: false,
            quorum: Quorum::TWO_OF_TWO,
        };
        assert_eq!(EntryFacts::of(&entry.stated(), &evidence).baseline, is);
    }
}

#[test]
fn no_age_makes_or_unmakes_a_baseline() {
    let attested = [opened(&by(0, 1)), opened(&by(1, 1))];
    for bits in sets::<AgeBand>() {
        let mut entry = Entry::of_the_baseline();
        entry.fields.age_depicted = set(bits);
        assert!(
            baseline(&entry.stated(), State::Assessed, &attested),
            "{bits:05b}"
        );
        entry.fields.pubertal_stage = Set::full();
        assert!(
            !baseline(&entry.stated(), State::Assessed, &attested),
            "{bits:05b}"
        );
    }
}
