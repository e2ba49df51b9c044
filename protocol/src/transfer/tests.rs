use hashpact_keys::{KeyUse, SignedRoster};

use super::*;
use crate::testing::keys::{CentreSetup, START, network};

fn sample(roster: &Roster, from: &CentreSetup, to: &CentreSetup) -> Statement {
    Statement {
        network: roster.network,
        origin: "eu.example/eu/1".parse().unwrap(),
        from: from.id.clone(),
        to: to.id.clone(),
        hop: 0,
        purpose: Purpose::Detect,
        from_policy: Some(4),
        origin_policy: Some(4),
        to_policy: None,
        deltas: vec![Given {
            seq: Seq(2),
            header: [7; 32],
            classes: vec![(ClassId(0), 3), (ClassId(5), 9)],
        }],
        time: START,
        nonce: [1; 16],
        parents: Vec::new(),
    }
}

fn both(statement: &Statement, from: &CentreSetup, to: &CentreSetup) -> Vec<u8> {
    let offer = statement.offer(&from.signer(KeyUse::Delta));
    Statement::agree(&offer, &to.signer(KeyUse::Delta)).unwrap()
}

fn four() -> (SignedRoster, Vec<CentreSetup>) {
    network(4, false)
}

#[test]
fn statement_is_signed_by_both_and_by_nobody_else() {
    let (roster, c) = four();
    let roster = roster.roster();
    let statement = sample(roster, &c[0], &c[1]);
    let offer = statement.offer(&c[0].signer(KeyUse::Delta));
    assert_eq!(Statement::open_offer(&offer, roster), Ok(statement.clone()));
    let signers = |side: &CentreSetup| Err(StatementError::Signers(side.id.clone()));
    assert_eq!(Statement::open(&offer, roster), signers(&c[1]));
    let signed = both(&statement, &c[0], &c[1]);
    assert_eq!(Statement::open(&signed, roster), Ok(statement.clone()));
    assert_eq!(Statement::open_offer(&signed, roster), signers(&c[1]));
    let other = Statement::agree(&offer, &c[2].signer(KeyUse::Delta)).unwrap();
    assert_eq!(Statement::open(&other, roster), signers(&c[1]));
    let log_key = Statement::agree(&offer, &c[1].signer(KeyUse::Log)).unwrap();
    assert_eq!(Statement::open(&log_key, roster), signers(&c[1]));
    let third = Statement::agree(&signed, &c[2].signer(KeyUse::Delta)).unwrap();
    assert_eq!(Statement::open(&third, roster), signers(&c[1]));
}

#[test]
fn any_flipped_byte_of_a_statement_is_refused() {
    let (roster, c) = four();
    let signed = both(&sample(roster.roster(), &c[0], &c[1]), &c[0], &c[1]);
    for at in 0..signed.len() {
        let mut bad = signed.clone();
        bad[at] ^= 1;
        assert!(Statement::open(&bad, roster.roster()).is_err(), "byte {at}");
    }
}

#[test]
fn statements_that_say_nothing_or_something_twice_are_refused() {
    let (roster, c) = four();
    let roster = roster.roster();
    let refused = |change: &dyn Fn(&mut Statement)| {
        let mut statement = sample(roster, &c[0], &c[1]);
        change(&mut statement);
        let offer = statement.offer(&c[0].signer(KeyUse::Delta));
        assert!(
            matches!(
                Statement::open_offer(&offer, roster),
                Err(StatementError::Value { .. })
            ),
            "{statement:?}"
        );
    };
    refused(&|it| it.deltas.clear());
    refused(&|it| it.deltas[0].classes.clear());
    refused(&|it| it.deltas[0].classes[1].0 = ClassId(0));
    refused(&|it| it.deltas[0].classes[1].1 = 0);
    refused(&|it| it.deltas.push(it.deltas[0].clone()));
    refused(&|it| it.to = it.from.clone());
    refused(&|it| it.hop = 1);
    refused(&|it| it.hop = 4);
    refused(&|it| it.parents = vec![[1; 32]]);
    refused(&|it| it.origin = "us.example/us/1".parse().unwrap());
}

/// eu gives to us, us to ca, ca to au.
struct Line {
    roster: SignedRoster,
    centres: Vec<CentreSetup>,
    statements: Vec<(Statement, Vec<u8>)>,
}

fn line() -> Line {
    let (roster, centres) = four();
    let mut statements: Vec<(Statement, Vec<u8>)> = Vec::new();
    for hop in 0..3 {
        let (from, to) = (&centres[hop], &centres[hop + 1]);
        let mut statement = sample(roster.roster(), from, to);
        statement.hop = u8::try_from(hop).unwrap();
        let parent = statements.last().map(|(_, signed)| Statement::hash(signed));
        statement.parents.extend(parent);
        let signed = both(&statement, from, to);
        statements.push((statement, signed));
    }
    Line {
        roster,
        centres,
        statements,
    }
}

impl Line {
    fn check(&self, last: &Statement, shown: &[Vec<u8>], hops: u8) -> Result<(), ChainError> {
        Chain::open(shown, self.roster.roster())?.check(last, &|_| hops)
    }

    fn shown(&self) -> Vec<Vec<u8>> {
        let before = self.statements.iter().take(2);
        before.map(|(_, signed)| signed.clone()).collect()
    }

    fn last(&self) -> Statement {
        self.statements[2].0.clone()
    }
}

#[test]
fn a_chain_without_a_gap_is_taken_and_one_hop_too_many_is_not() {
    let line = line();
    assert_eq!(line.check(&line.last(), &line.shown(), 2), Ok(()));
    let too_far = ChainError::Hops {
        class: ClassId(0),
        got: 2,
        max: 1,
    };
    assert_eq!(line.check(&line.last(), &line.shown(), 1), Err(too_far));
    let (first, _) = &line.statements[0];
    assert_eq!(line.check(first, &[], 0), Ok(()));
}

#[test]
fn a_chain_with_a_gap_or_with_more_than_it_needs_is_refused() {
    let line = line();
    let shown = line.shown();
    assert_eq!(
        line.check(&line.last(), &shown[1..], 3),
        Err(ChainError::Gap)
    );
    assert_eq!(
        line.check(&line.last(), &shown[..1], 3),
        Err(ChainError::Gap)
    );
    let (first, _) = &line.statements[0];
    assert_eq!(line.check(first, &shown[1..], 3), Err(ChainError::Unused));
}

#[test]
fn a_relay_gives_no_class_no_delta_and_no_count_that_it_did_not_get() {
    let line = line();
    let refused = |change: &dyn Fn(&mut Statement), expected: ChainError| {
        let mut last = line.last();
        change(&mut last);
        assert_eq!(line.check(&last, &line.shown(), 3), Err(expected));
    };
    let unproven = |seq, class| ChainError::Unproven {
        seq: Seq(seq),
        class: ClassId(class),
        to: line.centres[2].id.clone(),
    };
    refused(
        &|it| it.deltas[0].classes.push((ClassId(6), 1)),
        unproven(2, 6),
    );
    refused(&|it| it.deltas[0].classes[0].1 += 1, unproven(2, 0));
    refused(&|it| it.deltas[0].seq = Seq(3), unproven(3, 0));
    refused(&|it| it.deltas[0].header = [8; 32], unproven(2, 0));
    // A statement of another taker, and one that stands still.
    refused(
        &|it| it.from = line.centres[3].id.clone(),
        ChainError::Parent,
    );
    refused(&|it| it.hop = 1, ChainError::Parent);
}

#[test]
fn openings_round_trip_and_their_commitments_hide_what_they_seal() {
    let opening = Opening {
        salt: Some([3; 16]),
        signed: vec![1, 2, 3],
    };
    assert_eq!(
        Opening::from_bytes(&opening.to_bytes()),
        Ok(opening.clone())
    );
    let shown = Opening {
        salt: None,
        ..opening.clone()
    };
    assert_eq!(Opening::from_bytes(&shown.to_bytes()), Ok(shown.clone()));
    assert_eq!(shown.commitment(), None);
    let other = commitment(&[4; 16], &opening.signed);
    assert_ne!(opening.commitment(), Some(other));
}

#[test]
fn recall_and_acknowledgement_are_signed_by_who_says_so() {
    let (roster, c) = four();
    let roster = roster.roster();
    let recall = Recall {
        network: roster.network,
        origin: c[0].origin.clone(),
        from: c[0].id.clone(),
        to: c[1].id.clone(),
        number: 1,
        classes: vec![ClassId(1), ClassId(4)],
        time: START,
    };
    let signed = recall.sign(&c[0].signer(KeyUse::Delta));
    assert_eq!(Recall::open(&signed, roster), Ok(recall.clone()));
    let forged = recall.sign(&c[1].signer(KeyUse::Delta));
    assert!(matches!(
        Recall::open(&forged, roster),
        Err(RecallError::Key(_))
    ));
    let said = Acknowledgement {
        network: roster.network,
        recall: Recall::hash(&signed),
        from: c[1].id.clone(),
        time: START,
    };
    let bytes = said.sign(&c[1].signer(KeyUse::Delta));
    assert_eq!(Acknowledgement::open(&bytes, roster), Ok(said.clone()));
    let forged = said.sign(&c[2].signer(KeyUse::Delta));
    assert!(Acknowledgement::open(&forged, roster).is_err());
    assert!(Recall::open(&bytes, roster).is_err());
    let unsorted = Recall {
        classes: vec![ClassId(4), ClassId(1)],
        ..recall
    };
    let signed = unsorted.sign(&c[0].signer(KeyUse::Delta));
    assert!(matches!(
        Recall::open(&signed, roster),
        Err(RecallError::Value { .. })
    ));
}
