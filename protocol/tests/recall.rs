//! Recalls: what policy does not allow any more comes back from everybody who has it, and from nobody else; what it allows
//! again is given again.
#![cfg(feature = "testing")]

use std::collections::BTreeSet;

use hashpact_keys::{NetworkId, Origin};
use hashpact_protocol::centre::{Event, RecallFault};
use hashpact_protocol::delta::Seq;
use hashpact_protocol::labels::{ClassId, Labels};
use hashpact_protocol::log::{Leaf, read_leaves};
use hashpact_protocol::serve::{self, Answer};
use hashpact_protocol::testing::batch;
use hashpact_protocol::testing::documents::{self, ALL};
use hashpact_protocol::testing::rng::Seeded;
use hashpact_protocol::testing::sim::{Sim, Violation, class_labels};
use hashpact_protocol::transfer::{Acknowledgement, Opening, Recall, RecallError, Statement};
use hashpact_protocol::view::{Shelf, View as _, Write};
use hashpact_protocol::wire::{BulkRefusal, BulkRequest, Message};

type Done = Result<(), Violation>;

const NOT_US: &str = "forbid (principal == Centre::\"us\", action == Action::\"share\", resource);";
const NOT_AU: &str = "forbid (principal == Centre::\"au\", action == Action::\"share\", resource);";
const NOT_CA: &str = "forbid (principal == Centre::\"ca\", action == Action::\"share\", resource);";
const NOT_ON_TO_CA: &str =
    "forbid (principal == Centre::\"ca\", action == Action::\"reshare\", resource);";
const STATISTICS: &str = "permit (principal is Centre, action == Action::\"share\", resource) when { resource.granted.purposes.contains(\"statistics\") };";
const NOT_SHARE: &str =
    "permit (principal is Centre, action in [Action::\"reshare\", Action::\"admit\"], resource);";
const BASES: &str = "permit (principal is Centre, action in [Action::\"share\", Action::\"reshare\", Action::\"admit\"], resource) when { context.bases.contains(\"all\") };";

/// Centres 0 to n - 1 (eu, us, ca, au), everybody with everybody, each with a policy that allows everything.
fn network(seed: u64, n: usize) -> Result<Sim, Violation> {
    let mut sim = Sim::governed(seed, n)?;
    sim.connect_all()?;
    sim.run_for(10)?;
    for n in 0..n {
        rule(&mut sim, n, &[("all", ALL)], "")?;
    }
    sim.run_for(10)?;
    Ok(sim)
}

fn rule(sim: &mut Sim, n: usize, rules: &[(&str, &str)], grants: &str) -> Done {
    let files = documents::files(&sim.setup(n).jurisdiction, grants, rules);
    sim.apply_policy(n, files)
}

/// A centre's policy allows everything but this.
fn narrow(sim: &mut Sim, n: usize, but: &str) -> Done {
    rule(sim, n, &[("all", ALL), ("but", but)], "")
}

/// It shares what is for statistics and nothing else: class 0 of the tests, and not class 1.
fn statistics_only(sim: &mut Sim, n: usize) -> Done {
    rule(sim, n, &[("rest", NOT_SHARE), ("share", STATISTICS)], "")
}

fn origin(sim: &Sim, n: usize) -> Origin {
    sim.setup(n).origin.clone()
}

fn unacknowledged(sim: &Sim, n: usize) -> usize {
    let centre = sim.centre(n);
    centre.map_or(0, |centre| centre.unacknowledged().count())
}

fn events(sim: &Sim, wanted: impl Fn(&Event) -> bool) -> Vec<usize> {
    let events = sim.events().iter();
    let events = events.filter(|(_, event)| wanted(event));
    events.map(|(n, _)| *n).collect()
}

/// Every object that a centre sealed in a commitment stands in its log, and nothing else does; how many there are.
#[expect(clippy::unwrap_used, reason = "what a store holds was read before")]
fn sealed(sim: &Sim, n: usize) -> usize {
    let (memory, own) = (sim.memory(n), origin(sim, n));
    let size = memory.log(&own).size;
    let files = |path: &str| memory.log_file(&own, path);
    let leaves = read_leaves(&files, size, 0, size).unwrap();
    let leaves = leaves.iter().filter_map(|leaf| {
        let Leaf::Commitment { commitment } = Leaf::from_bytes(leaf).unwrap() else {
            return None;
        };
        Some(commitment)
    });
    let leaves: BTreeSet<_> = leaves.collect();
    let rows = memory.shelf(Shelf::Recall, &[]).into_iter();
    let rows = rows.filter(|(key, _)| key[0] != b'R');
    let opened = rows.filter_map(|(_, row)| Opening::from_bytes(&row).unwrap().commitment());
    assert_eq!(opened.collect::<BTreeSet<_>>(), leaves);
    leaves.len()
}

#[test]
fn a_class_that_is_shared_no_more_is_destroyed_and_acknowledged() -> Done {
    let mut sim = network(1, 3)?;
    // Class 0 for statistics, class 1 for triage.
    sim.append(0, 6, &[1, 2])?;
    sim.append(0, 2, &[2])?;
    sim.settle()?;
    assert_eq!(sim.held(1, 0), BTreeSet::from([0, 1]));
    statistics_only(&mut sim, 0)?;
    sim.run_for(30)?;
    for n in [1, 2] {
        assert_eq!(sim.held(n, 0), BTreeSet::from([0]));
        // Not one record of it is left, in whatever delta.
        assert!(
            sim.memory(n)
                .in_class(&origin(&sim, 0), ClassId(1))
                .is_empty()
        );
        assert_eq!(sealed(&sim, n), 1);
    }
    assert_eq!(unacknowledged(&sim, 0), 0);
    assert_eq!(sealed(&sim, 0), 4, "two recalls, two acknowledgements");
    let acknowledged = |event: &Event| matches!(event, Event::RecallAcknowledged { .. });
    assert_eq!(events(&sim, acknowledged), [0, 0]);
    // The origin has it still.
    assert_eq!(sim.live(0, 0).len(), 8);
    Ok(())
}

#[test]
fn what_is_shared_again_is_given_again() -> Done {
    let mut sim = network(2, 3)?;
    sim.append(0, 6, &[1, 2])?;
    sim.settle()?;
    statistics_only(&mut sim, 0)?;
    sim.run_for(30)?;
    assert_eq!(sim.held(1, 0), BTreeSet::from([0]));
    rule(&mut sim, 0, &[("all", ALL)], "")?;
    sim.run_for(60)?;
    for n in [1, 2] {
        assert_eq!(sim.live(n, 0), sim.live(0, 0));
    }
    // And asked back once more.
    statistics_only(&mut sim, 0)?;
    sim.run_for(30)?;
    assert_eq!(sim.held(1, 0), BTreeSet::from([0]));
    assert_eq!(unacknowledged(&sim, 0), 0);
    Ok(())
}

#[test]
fn who_is_away_is_asked_until_it_answers() -> Done {
    let mut sim = network(3, 3)?;
    sim.append(0, 6, &[1, 2])?;
    sim.settle()?;
    sim.crash(1)?;
    statistics_only(&mut sim, 0)?;
    sim.run_for(300)?;
    assert_eq!(unacknowledged(&sim, 0), 1);
    let asked: Vec<_> = sim.centre(0).unwrap().unacknowledged().collect();
    assert_eq!((asked[0].to.as_str(), asked[0].number), ("us", 1));
    // The giver forgets nothing in a crash of its own.
    sim.crash(0)?;
    sim.restart(0)?;
    assert_eq!(unacknowledged(&sim, 0), 1);
    sim.restart(1)?;
    sim.connect_all()?;
    sim.run_for(60)?;
    assert_eq!(unacknowledged(&sim, 0), 0);
    assert_eq!(sim.held(1, 0), BTreeSet::from([0]));
    Ok(())
}

/// Centre 2 has what it has from centre 1.
fn relayed(seed: u64) -> Result<Sim, Violation> {
    let mut sim = network(seed, 4)?;
    sim.disconnect(0, 2)?;
    sim.append(0, 6, &[1])?;
    sim.run_for(120)?;
    assert_eq!(sim.live(2, 0), sim.live(0, 0));
    Ok(sim)
}

#[test]
fn a_relay_that_loses_a_class_asks_it_back_of_whom_it_gave_it_to() -> Done {
    let mut sim = relayed(4)?;
    sim.disconnect(2, 3)?;
    // Centre 2 might still have it, but not from centre 1, and nobody else is there.
    narrow(&mut sim, 0, NOT_US)?;
    sim.run_for(30)?;
    assert_eq!(sim.held(1, 0), BTreeSet::new());
    assert_eq!(sim.held(2, 0), BTreeSet::new());
    let recalled = |event: &Event| matches!(event, Event::Recalled { .. });
    assert!(events(&sim, recalled).contains(&1));
    assert_eq!((unacknowledged(&sim, 0), unacknowledged(&sim, 1)), (0, 0));
    // Once it meets somebody who may give it, it has it again.
    sim.connect(0, 2)?;
    sim.run_for(60)?;
    assert_eq!(sim.live(2, 0), sim.live(0, 0));
    assert_eq!(sim.held(1, 0), BTreeSet::new());
    Ok(())
}

/// The clock of a relay that must ask a class back is wrong for a while: what it cannot log then it still ends later.
#[test]
fn a_relay_that_could_not_log_its_recall_serves_the_class_on_no_more_once_it_can() -> Done {
    let mut sim = network(12, 4)?;
    // In a line: what centre 3 has came from 0 by way of 1 and 2.
    for (a, b) in [(0, 2), (0, 3), (1, 3), (2, 3)] {
        sim.disconnect(a, b)?;
    }
    let far = Labels {
        hops: 2,
        ..class_labels(sim.setup(0), 1)
    };
    let records = (1..7).map(hashpact_protocol::testing::record).collect();
    sim.publish_under(0, records, Vec::new(), vec![far])?;
    sim.run_for(120)?;
    sim.connect(2, 3)?;
    sim.run_for(120)?;
    assert_eq!(sim.live(3, 0), sim.live(0, 0));
    let request = BulkRequest::Body {
        origin: origin(&sim, 0),
        seq: Seq(0),
        section: 0,
        offset: 0,
        under: Some(given_on(&sim, 2, 3)),
    };
    let answer = |sim: &Sim| {
        let (own, roster) = (origin(sim, 2), sim.roster().roster());
        let asker = &sim.setup(3).id;
        serve::may_answer(&request, asker, &own, roster, sim.now(), sim.memory(2))
    };
    let classes = BTreeSet::from([ClassId(0)]);
    assert_eq!(answer(&sim), Ok(Answer::Classes(classes)));
    // No leaf is signed before the newest delta of its log.
    sim.append(2, 1, &[1])?;
    narrow(&mut sim, 1, NOT_ON_TO_CA)?;
    while sealed(&sim, 2) == 0 {
        sim.round()?;
        sim.advance(u64::from(sealed(&sim, 2) == 0))?;
    }
    // It has said that the class is gone, and has yet to ask it back.
    sim.skew(2, -3_600);
    sim.run_for(60)?;
    assert_eq!(sim.held(2, 0), BTreeSet::new());
    let recalled = |event: &Event| matches!(event, Event::Recalled { .. });
    assert_eq!(events(&sim, recalled), [1], "it can log none of its own");
    sim.skew(2, 0);
    sim.run_for(60)?;
    assert_eq!(events(&sim, recalled), [1, 2]);
    assert_eq!(sim.held(3, 0), BTreeSet::new());
    // No policy that the statement rests on has changed: that it was asked back is all that ends it.
    assert_eq!(answer(&sim), Err(BulkRefusal::Statement));
    Ok(())
}

/// The statement under which one centre gave another a class of centre 0's.
#[expect(clippy::unwrap_used, reason = "what a store holds was read before")]
fn given_on(sim: &Sim, from: usize, to: usize) -> [u8; 32] {
    let kept = sim.memory(to).shelf(Shelf::Statement, &[]).into_iter();
    let given = kept.filter(|(_, kept)| {
        let opening = Opening::from_bytes(kept).unwrap();
        let statement = Statement::read_unverified(&opening.signed).unwrap();
        statement.from == sim.setup(from).id
            && statement.to == sim.setup(to).id
            && statement.origin == origin(sim, 0)
    });
    let given: Vec<_> = given.collect();
    assert_eq!(given.len(), 1);
    given[0].0.clone().try_into().unwrap()
}

/// Centre 2 has a class of centre 0's from one relay, and as well a statement of the other that gives it.
#[test]
fn what_another_giver_may_still_give_stays() -> Done {
    let mut sim = relayed(11)?;
    let kept = sim.memory(2).shelf(Shelf::Statement, &[]).into_iter();
    let kept = kept.map(|(_, kept)| Opening::from_bytes(&kept).unwrap());
    let taken = kept
        .filter(|opening| opening.salt.is_some())
        .map(|opening| Statement::read_unverified(&opening.signed).unwrap())
        .find(|statement| statement.origin == origin(&sim, 0))
        .unwrap();
    let first = (0..4).find(|n| sim.setup(*n).id == taken.from).unwrap();
    let other = 4 - first;
    let again = Statement {
        from: sim.setup(other).id.clone(),
        nonce: [9; 16],
        ..taken
    };
    let again = Statement::agree(&again.offer(&key(&sim, other)), &key(&sim, 2)).unwrap();
    let opening = Opening {
        salt: Some([3; 16]),
        signed: again.clone(),
    };
    let mut disk = sim.memory(2).clone();
    let row = Write::Keep {
        shelf: Shelf::Statement,
        key: Statement::hash(&again).to_vec(),
        value: Some(opening.to_bytes()),
    };
    disk.apply(batch(vec![row])).unwrap();
    sim.restore(2, disk)?;
    sim.connect(1, 2)?;
    sim.connect(2, 3)?;
    sim.run_for(60)?;
    let denied = [NOT_US, "", NOT_AU][first - 1];
    narrow(&mut sim, 0, denied)?;
    sim.run_for(60)?;
    assert_eq!(sim.held(first, 0), BTreeSet::new());
    assert_eq!(sim.live(2, 0), sim.live(0, 0));
    assert_eq!(unacknowledged(&sim, first), 0);
    let stays = |event: &Event| {
        matches!(
            event,
            Event::RecallObeyed {
                kept: 6,
                records: 0,
                ..
            }
        )
    };
    assert_eq!(events(&sim, stays), [2]);
    Ok(())
}

#[test]
fn a_taker_whom_the_origin_denies_loses_what_a_relay_gave() -> Done {
    let mut sim = relayed(5)?;
    narrow(&mut sim, 0, NOT_CA)?;
    sim.run_for(60)?;
    assert_eq!(sim.held(2, 0), BTreeSet::new());
    assert_eq!(sim.live(1, 0), sim.live(0, 0));
    assert_eq!(unacknowledged(&sim, 1), 0);
    Ok(())
}

#[test]
fn retractions_reach_those_too_who_may_not_have_the_records() -> Done {
    let mut sim = network(6, 3)?;
    sim.append(0, 6, &[1, 2])?;
    sim.settle()?;
    narrow(&mut sim, 0, NOT_US)?;
    sim.run_for(30)?;
    assert_eq!(sim.held(1, 0), BTreeSet::new());
    let ends: Vec<_> = sim.live(0, 0).into_iter().take(2).collect();
    sim.retract(0, &ends)?;
    sim.append(0, 3, &[1])?;
    sim.run_for(60)?;
    let origin = origin(&sim, 0);
    let (own, theirs) = (sim.memory(0).log(&origin), sim.memory(1).log(&origin));
    assert_eq!(theirs.retracted, own.next_seq);
    assert!(sim.live(1, 0).is_empty());
    // Given again, what was retracted meanwhile does not come to life.
    rule(&mut sim, 0, &[("all", ALL)], "")?;
    sim.run_for(60)?;
    assert_eq!(sim.live(1, 0), sim.live(0, 0));
    Ok(())
}

/// A recall that centre `from` might make of class 0 of centre 0's log, to centre 1.
fn recall(sim: &Sim, from: usize) -> Recall {
    Recall {
        network: sim.roster().roster().network,
        origin: origin(sim, 0),
        from: sim.setup(from).id.clone(),
        to: sim.setup(1).id.clone(),
        number: 1,
        classes: vec![ClassId(0)],
        time: sim.now(),
    }
}

/// What centre 1 says of a recall that centre `by` sends it, and whether it still has what it had.
fn sent(by: usize, make: impl FnOnce(&Sim) -> Vec<u8>) -> Result<RecallFault, Violation> {
    let mut sim = network(7, 3)?;
    sim.append(0, 6, &[1])?;
    sim.settle()?;
    sim.expect_faults();
    let signed = make(&sim);
    sim.inject(by, 1, &Message::Recall(signed));
    sim.run_for(30)?;
    assert_eq!(sim.live(1, 0), sim.live(0, 0), "nothing is destroyed");
    assert_eq!(sealed(&sim, 1), 0);
    refused(&sim, 1)
}

fn refused(sim: &Sim, at: usize) -> Result<RecallFault, Violation> {
    let found = sim.events().iter().find_map(|(n, event)| {
        let Event::RecallRefused { error, .. } = event else {
            return None;
        };
        (*n == at).then(|| error.clone())
    });
    found.ok_or(Violation::Rule {
        centre: at,
        rule: "refused nothing",
    })
}

fn key(sim: &Sim, n: usize) -> hashpact_keys::Signer {
    sim.setup(n).signer(hashpact_keys::KeyUse::Delta)
}

#[test]
fn a_recall_of_what_its_sender_never_gave_is_refused() -> Done {
    let got = sent(2, |sim| recall(sim, 2).sign(&key(sim, 2)))?;
    assert_eq!(got, RecallFault::NotGiven { class: ClassId(0) });
    let got = sent(0, |sim| {
        let classes = vec![ClassId(0), ClassId(7)];
        Recall {
            classes,
            ..recall(sim, 0)
        }
        .sign(&key(sim, 0))
    })?;
    assert_eq!(got, RecallFault::NotGiven { class: ClassId(7) });
    Ok(())
}

#[test]
fn recalls_beyond_sixty_a_minute_are_not_heard() -> Done {
    let mut sim = network(22, 3)?;
    sim.append(0, 6, &[1])?;
    sim.settle()?;
    sim.expect_faults();
    for number in 1..=100 {
        let asked = Recall {
            number,
            ..recall(&sim, 2)
        };
        let signed = asked.sign(&key(&sim, 2));
        sim.inject(2, 1, &Message::Recall(signed));
    }
    sim.run_for(30)?;
    let refusals = |event: &Event| matches!(event, Event::RecallRefused { .. });
    assert_eq!(events(&sim, refusals).len(), 60);
    Ok(())
}

#[test]
fn a_recall_of_a_giver_whose_clock_went_back_is_obeyed_all_the_same() -> Done {
    let mut sim = network(21, 3)?;
    sim.disconnect(0, 2)?;
    // The relay gives an hour ahead of everybody, and asks back when its clock is right.
    sim.skew(1, 3_600);
    sim.append(0, 6, &[1])?;
    sim.run_for(120)?;
    assert_eq!(sim.held(2, 0), BTreeSet::from([0]));
    sim.skew(1, 0);
    narrow(&mut sim, 1, NOT_ON_TO_CA)?;
    sim.run_for(60)?;
    assert_eq!(sim.held(2, 0), BTreeSet::new());
    assert_eq!(unacknowledged(&sim, 1), 0);
    Ok(())
}

#[test]
fn a_recall_in_anothers_name_is_refused() -> Done {
    // Under its own key.
    let got = sent(2, |sim| recall(sim, 0).sign(&key(sim, 2)))?;
    assert!(
        matches!(got, RecallFault::Recall(RecallError::Key(_))),
        "{got:?}"
    );
    // The giver's own, passed on by another.
    let got = sent(2, |sim| recall(sim, 0).sign(&key(sim, 0)))?;
    assert_eq!(got, RecallFault::Parties);
    // For another taker.
    let got = sent(0, |sim| {
        let to = sim.setup(2).id.clone();
        Recall {
            to,
            ..recall(sim, 0)
        }
        .sign(&key(sim, 0))
    })?;
    assert_eq!(got, RecallFault::Parties);
    Ok(())
}

#[test]
fn a_recall_of_another_network_is_refused() -> Done {
    let other = NetworkId::new([7; 32]);
    let got = sent(0, |sim| {
        Recall {
            network: other,
            ..recall(sim, 0)
        }
        .sign(&key(sim, 0))
    })?;
    assert!(
        matches!(got, RecallFault::Recall(RecallError::Network { got, .. }) if got == other),
        "{got:?}"
    );
    Ok(())
}

#[test]
fn an_acknowledgement_of_anothers_recall_is_refused() -> Done {
    let mut sim = network(8, 3)?;
    sim.append(0, 6, &[1])?;
    sim.settle()?;
    sim.crash(1)?;
    narrow(&mut sim, 0, NOT_US)?;
    sim.run_for(30)?;
    sim.expect_faults();
    let asked = sim.centre(0).unwrap().unacknowledged().next().cloned();
    let asked = asked.unwrap().sign(&key(&sim, 0));
    let forged = Acknowledgement {
        network: sim.roster().roster().network,
        recall: Recall::hash(&asked),
        from: sim.setup(2).id.clone(),
        time: sim.now(),
    };
    let forged = forged.sign(&key(&sim, 2));
    sim.inject(2, 0, &Message::Acknowledged(forged));
    sim.run_for(5)?;
    assert_eq!(refused(&sim, 0)?, RecallFault::NotAsked);
    assert_eq!(unacknowledged(&sim, 0), 1);
    Ok(())
}

/// The grant of every centre with every other: from 2026-12-01 to 2027-01-21, so that it is open until a day before that.
fn grants() -> String {
    let laws = ["EU", "US", "CA", "AU"];
    let of = |law: &str| {
        let id = law.to_ascii_lowercase();
        format!(
            "[[grant]]\nid = \"all-{id}\"\nwith = {{ jurisdiction = \"{law}\" }}\nactions = [\"share\", \"reshare\", \"admit\"]\npurposes = [\"detect\"]\nbasis = \"agreement\"\ndocument = \"synthetic\"\nissuer = \"synthetic\"\nfrom = 2026-12-01\nuntil = 2027-01-21\n"
        )
    };
    laws.map(of).concat()
}

/// The first second in which the grants are closed again.
const CLOSED: u64 = 20_838 * 86_400;

/// Three centres whose policies rest on grants; the clock of one of them is off.
fn with_grants(skew_s: i64) -> Result<Sim, Violation> {
    let mut sim = Sim::governed(9, 3)?;
    sim.connect_all()?;
    sim.run_for(10)?;
    sim.advance(26 * 3_600)?;
    sim.skew(1, skew_s);
    sim.run_for(10)?;
    let when = "[\"all-eu\", \"all-us\", \"all-ca\", \"all-au\"]";
    let permit = BASES.replace(
        "context.bases.contains(\"all\")",
        &format!("context.bases.containsAny({when})"),
    );
    for n in 0..3 {
        rule(&mut sim, n, &[("grants", &permit)], &grants())?;
    }
    sim.run_for(120)?;
    Ok(sim)
}

#[test]
fn a_grant_ends_at_its_date_without_anyone_acting() -> Done {
    let mut sim = with_grants(0)?;
    sim.append(0, 6, &[1])?;
    sim.settle()?;
    assert_eq!(sim.held(1, 0), BTreeSet::from([0]));
    sim.advance(CLOSED - sim.now().get() - 3_600)?;
    sim.run_for(3_599)?;
    assert_eq!(sim.held(1, 0), BTreeSet::from([0]), "its last second");
    sim.run_for(30)?;
    for n in [1, 2] {
        assert_eq!(sim.held(n, 0), BTreeSet::new());
    }
    assert_eq!(unacknowledged(&sim, 0), 0);
    Ok(())
}

/// A clock that is a day ahead or a day behind: within the grant everything flows and nothing is asked back; and at its last
/// second by a clock that is right nobody has anything any more.
#[test]
fn a_clock_that_is_off_by_a_day_neither_opens_nor_loses_anything() -> Done {
    for skew in [86_400, -86_400] {
        let mut sim = with_grants(skew)?;
        for n in 0..3 {
            sim.append(n, 6, &[1])?;
        }
        sim.run_for(300)?;
        for (n, log) in (0..3).flat_map(|n| (0..3).map(move |log| (n, log))) {
            assert_eq!(sim.live(n, log), sim.live(log, log), "{n} of {log}, {skew}");
        }
        let recalled = |event: &Event| matches!(event, Event::Recalled { .. });
        sim.advance(12 * 3_600)?;
        sim.run_for(300)?;
        assert_eq!(events(&sim, recalled), <Vec<usize>>::new());
        sim.advance(CLOSED + 86_400 - 1 - 600 - sim.now().get())?;
        sim.run_for(600)?;
        for (n, log) in (0..3).flat_map(|n| (0..3).map(move |log| (n, log))) {
            if n != log {
                assert_eq!(sim.held(n, log), BTreeSet::new(), "{n} of {log}, {skew}");
            }
        }
        for n in 0..3 {
            assert_eq!(unacknowledged(&sim, n), 0);
        }
    }
    Ok(())
}

/// What a centre shares: with everybody but one, or what is for statistics only.
#[derive(Clone, Copy)]
struct Shares {
    not_with: Option<usize>,
    statistics_only: bool,
}

impl Shares {
    /// Which classes centre `to` may have, said without the code under test.
    fn with(self, to: usize) -> BTreeSet<u16> {
        match (self.not_with == Some(to), self.statistics_only) {
            (true, _) => BTreeSet::new(),
            (false, true) => BTreeSet::from([0]),
            (false, false) => BTreeSet::from([0, 1]),
        }
    }

    fn log(self, sim: &mut Sim, n: usize) -> Done {
        let ids = ["eu", "us", "ca", "au"];
        let forbid = self.not_with.map(|to| {
            let id = ids[to];
            format!(
                "forbid (principal == Centre::\"{id}\", action == Action::\"share\", resource);"
            )
        });
        let mut rules = vec![("rest", NOT_SHARE)];
        rules.push(match self.statistics_only {
            true => ("share", STATISTICS),
            false => ("share", ALL),
        });
        rules.extend(forbid.as_deref().map(|forbid| ("but", forbid)));
        rule(sim, n, &rules, "")
    }
}

/// Whatever changes in whatever order: in the end everybody holds what the newest policies allow, and nothing else.
#[test]
fn after_any_changes_everybody_holds_what_the_newest_policies_allow() -> Done {
    for seed in 0..3 {
        let mut rng = Seeded::new(seed);
        let mut pick = |n: usize| rng.below(n);
        let mut sim = network(seed, 4)?;
        let mut shares = [Shares {
            not_with: None,
            statistics_only: false,
        }; 4];
        for n in 0..4 {
            sim.append(n, 4, &[1, 2])?;
        }
        sim.run_for(20)?;
        for _ in 0..25 {
            let n = pick(4);
            match pick(6) {
                0 | 1 if sim.centre(n).is_some() => {
                    let not_with = Some(pick(4)).filter(|to| *to != n);
                    let statistics_only = pick(2) == 0;
                    let next = Shares {
                        not_with,
                        statistics_only,
                    };
                    let before = sim.memory(n).log(&origin(&sim, n)).next_policy;
                    next.log(&mut sim, n)?;
                    // Just after a start nothing is signed.
                    if sim.memory(n).log(&origin(&sim, n)).next_policy > before {
                        shares[n] = next;
                    }
                }
                2 => sim.append(n, 2, &[1, 2])?,
                3 => {
                    let to = pick(4);
                    if to != n && sim.is_up(n, to) {
                        sim.disconnect(n, to)?;
                    } else if to != n {
                        sim.connect(n, to)?;
                    }
                }
                4 => {
                    sim.crash(n)?;
                    sim.restart(n)?;
                }
                _ => sim.connect_all()?,
            }
            sim.run_for(pick(40) as u64)?;
        }
        sim.connect_all()?;
        sim.run_for(300)?;
        for (n, log) in (0..4).flat_map(|n| (0..4).map(move |log| (n, log))) {
            if n != log {
                let expected = shares[log].with(n);
                assert_eq!(sim.held(n, log), expected, "{n} of {log}, seed {seed}");
            }
        }
        for n in 0..4 {
            assert_eq!(unacknowledged(&sim, n), 0, "seed {seed}");
            sealed(&sim, n);
        }
    }
    Ok(())
}
