//! What two people order: holds that lapse by themselves and stop nothing for long, opt-ins, surges.

use hashpact_keys::{KeyUse, Timestamp};
use hashpact_protocol::assess::{EntryFacts, ReleaseRule, Stated};
use hashpact_protocol::centre::{Command, CommandError, Event, Reason};
use hashpact_protocol::evidence::{
    About, EvidenceError, Hold, Lift, OptIn, Order, Surge, known, opted_in, surge,
};
use hashpact_protocol::labels::ClassId;
use hashpact_protocol::limits;
use hashpact_protocol::record::EntryId;
use hashpact_protocol::testing::documents;
use hashpact_protocol::testing::sim::Sim;
use hashpact_protocol::wire::Message;

use super::network::{
    Done, FIRST, by, by_two, entries, events, hold, kept, open, order, origin, refused, rule,
    ruled, subject, what,
};

const DAY: u64 = 86_400;
const NOT_AU: &str = "forbid (principal == Centre::\"au\", action == Action::\"share\", resource);";

#[test]
fn a_hold_of_two_people_is_honoured_by_every_holder_and_lapses_by_itself() -> Done {
    let mut sim = open(31, 3)?;
    sim.append(0, 2, &[1])?;
    sim.settle()?;
    let all = entries(&sim, 0);
    let placed = Order::Hold(hold(&sim, 1, 0, &all[..1], 3));
    order(&mut sim, 1, &placed)?;
    sim.run_for(10)?;
    for n in 0..3 {
        assert!(what(&sim, n, 0, all[0]).hold);
        assert!(!what(&sim, n, 0, all[1]).hold);
    }
    let before = sim.changed().len();
    sim.advance(3 * DAY)?;
    sim.run_for(5)?;
    for n in 0..3 {
        assert!(!what(&sim, n, 0, all[0]).hold);
        let told = sim.changed()[before..].iter().filter(|(at, _)| *at == n);
        let told = told.filter(|(_, it)| it.entries == [(origin(&sim, 0), all[0])]);
        assert_eq!(
            told.count(),
            1,
            "whoever keeps facts is told once, at the end"
        );
    }
    let ended = |event: &Event| matches!(event, Event::OrderEnded { .. });
    assert_eq!(events(&sim, ended).len(), 3);
    Ok(())
}

#[test]
fn a_hold_that_ended_while_a_node_was_down_is_told_of_when_it_starts() -> Done {
    let mut sim = open(32, 3)?;
    sim.append(0, 1, &[1])?;
    sim.settle()?;
    let all = entries(&sim, 0);
    let placed = Order::Hold(hold(&sim, 1, 0, &all, 1));
    order(&mut sim, 1, &placed)?;
    sim.run_for(10)?;
    sim.crash(2)?;
    sim.advance(2 * DAY)?;
    let before = sim.changed().len();
    sim.restart(2)?;
    assert!(
        sim.changed()[before..]
            .iter()
            .any(|(n, it)| *n == 2 && it.entries.len() == 1)
    );
    assert!(!what(&sim, 2, 0, all[0]).hold);
    Ok(())
}

#[test]
fn a_hold_of_one_person_is_no_hold() -> Done {
    let mut sim = open(33, 3)?;
    sim.append(0, 1, &[1])?;
    sim.settle()?;
    sim.expect_faults();
    let all = entries(&sim, 0);
    let placed = Order::Hold(hold(&sim, 1, 0, &all, 3));
    let [a, b] = documents::signers(sim.setup(1));
    let attest = sim.setup(1).signer(KeyUse::Attest);
    let one = placed.sign(&[&a]).unwrap_or_default();
    // One person, and one with a key that is for something else.
    let other = placed.sign(&[&a, &attest]).unwrap_or_default();
    for signed in [one.clone(), other] {
        let error = refused(
            &mut sim,
            1,
            Command::Order {
                signed: signed.clone(),
            },
        )?;
        assert!(matches!(
            error,
            CommandError::Evidence(EvidenceError::Signatures { got: 1 } | EvidenceError::Key(_))
        ));
        sim.inject(1, 0, &Message::Evidence(vec![signed]));
        sim.run_for(3)?;
        assert!(!what(&sim, 0, 0, all[0]).hold);
        assert_eq!(kept(&sim, 0), 0);
    }
    assert!(sim.drops().iter().any(|(_, _, reason)| {
        matches!(
            reason,
            Reason::Evidence(EvidenceError::Signatures { got: 1 })
        )
    }));
    // The second person's signature makes it one.
    let signed = Order::add_signature(&one, &b).unwrap_or_default();
    assert_eq!(signed, by_two(&sim, 1, &placed));
    Ok(())
}

#[test]
fn no_hold_is_longer_than_thirty_days_or_made_for_later_or_of_nothing() -> Done {
    let mut sim = open(34, 2)?;
    sim.append(0, 1, &[1])?;
    sim.settle()?;
    let all = entries(&sim, 0);
    let [a, b] = documents::signers(sim.setup(0));
    let of = |change: fn(&mut Hold)| {
        let mut placed = hold(&sim, 0, 0, &all, 30);
        change(&mut placed);
        Order::Hold(placed).sign(&[&a, &b]).err()
    };
    assert_eq!(of(|_| {}), None);
    let second = |hold: &mut Hold| hold.until = Timestamp::new(hold.until.get() + 1);
    let seconds = limits::HOLD_S + 1;
    assert_eq!(of(second), Some(EvidenceError::HoldTooLong { seconds }));
    let later = |hold: &mut Hold| {
        hold.from = Timestamp::new(hold.from.get() + DAY + 1);
        hold.until = Timestamp::new(hold.from.get() + DAY);
    };
    assert!(matches!(of(later), Some(EvidenceError::Value { .. })));
    let ended = |hold: &mut Hold| hold.until = hold.from;
    assert!(matches!(of(ended), Some(EvidenceError::Value { .. })));
    let nothing = |hold: &mut Hold| hold.entries.clear();
    assert_eq!(of(nothing), Some(EvidenceError::HoldNamed { got: 0 }));
    let twice = |hold: &mut Hold| {
        let lists = hold.entries.values_mut();
        lists.for_each(|list| list.push(list[0]));
    };
    assert!(matches!(of(twice), Some(EvidenceError::Value { .. })));
    let many = |hold: &mut Hold| {
        hold.series = (0..=limits::HOLD_NAMED).map(series).collect();
        hold.entries.clear();
    };
    let got = limits::HOLD_NAMED + 1;
    assert_eq!(of(many), Some(EvidenceError::HoldNamed { got }));
    Ok(())
}

fn series(n: usize) -> [u8; 16] {
    let mut id = [1; 16];
    id[..8].copy_from_slice(&(n as u64).to_be_bytes());
    id
}

#[test]
fn one_centre_holds_so_much_at_a_time_and_room_comes_back() -> Done {
    let mut sim = open(35, 2)?;
    let mut n = 0;
    let mut next = |sim: &Sim| {
        let of = (n..n + limits::HOLD_NAMED).map(series).collect();
        n += limits::HOLD_NAMED;
        let mut placed = hold(sim, 0, 0, &[EntryId([1; 16])], 10);
        placed.entries.clear();
        placed.series = of;
        Order::Hold(placed)
    };
    for _ in 0..limits::HELD_PER_CENTRE / limits::HOLD_NAMED {
        let placed = next(&sim);
        order(&mut sim, 0, &placed)?;
        sim.run_for(1)?;
    }
    let more = next(&sim);
    let signed = by_two(&sim, 0, &more);
    let centre = sim.setup(0).id.clone();
    let error = refused(&mut sim, 0, Command::Order { signed })?;
    assert_eq!(error, EvidenceError::TooMany { centre }.into());
    sim.advance(11 * DAY)?;
    sim.run_for(5)?;
    let more = next(&sim);
    order(&mut sim, 0, &more)?;
    Ok(())
}

#[test]
fn a_hold_of_a_series_covers_its_records_and_a_lift_of_its_own_centre_ends_it() -> Done {
    let mut sim = open(36, 3)?;
    let mut placed = hold(&sim, 1, 0, &[EntryId([1; 16])], 10);
    placed.entries.clear();
    placed.series = vec![series(7)];
    let of = order(&mut sim, 1, &Order::Hold(placed))?;
    sim.run_for(5)?;
    let held = |sim: &Sim, n: usize, series: Option<[u8; 16]>| {
        let log = origin(sim, 0);
        let about = About {
            origin: &log,
            entry: EntryId([9; 16]),
            revision: FIRST,
            series,
        };
        known(sim.memory(n), &about, sim.now()).hold
    };
    for n in 0..3 {
        assert!(held(&sim, n, Some(series(7))));
        assert!(!held(&sim, n, Some(series(8))) && !held(&sim, n, None));
    }
    // Another centre cannot lift it.
    let lift = Order::Lift(Lift {
        by: by(&sim, 2),
        hold: of,
    });
    let signed = by_two(&sim, 2, &lift);
    let error = refused(
        &mut sim,
        2,
        Command::Order {
            signed: signed.clone(),
        },
    )?;
    assert_eq!(error, EvidenceError::Unknown.into());
    sim.inject(2, 0, &Message::Evidence(vec![signed]));
    sim.run_for(3)?;
    assert!(held(&sim, 0, Some(series(7))));
    let lift = Order::Lift(Lift {
        by: by(&sim, 1),
        hold: of,
    });
    order(&mut sim, 1, &lift)?;
    sim.run_for(5)?;
    for n in 0..3 {
        assert!(!held(&sim, n, Some(series(7))));
        let told = sim.changed().iter().filter(|(at, _)| *at == n);
        assert!(told.filter(|(_, it)| it.series == [series(7)]).count() >= 2);
    }
    Ok(())
}

#[test]
fn a_hold_goes_to_nobody_who_has_no_record_of_it() -> Done {
    let mut sim = ruled(37, 4)?;
    rule(&mut sim, 0, NOT_AU)?;
    sim.run_for(10)?;
    sim.append(0, 2, &[1])?;
    sim.settle()?;
    let all = entries(&sim, 0);
    let placed = Order::Hold(hold(&sim, 1, 0, &all, 3));
    order(&mut sim, 1, &placed)?;
    sim.run_for(120)?;
    for n in 0..3 {
        assert!(what(&sim, n, 0, all[0]).hold);
    }
    assert_eq!(kept(&sim, 3), 0);
    Ok(())
}

#[test]
fn a_hold_changes_no_other_fact_and_no_event_names_what_it_holds() -> Done {
    let mut sim = open(38, 2)?;
    sim.append(0, 1, &[1])?;
    sim.settle()?;
    let entry = entries(&sim, 0)[0];
    let before = what(&sim, 1, 0, entry);
    let placed = Order::Hold(hold(&sim, 0, 0, &[entry], 3));
    order(&mut sim, 0, &placed)?;
    sim.run_for(5)?;
    let mut after = what(&sim, 1, 0, entry);
    assert!(after.hold);
    after.hold = false;
    assert_eq!(
        before, after,
        "a hold is no dispute, no flag, and shown as nothing else"
    );
    let named = |event: &Event| matches!(event, Event::EvidenceTaken { about: Some(_), .. });
    assert!(events(&sim, named).is_empty());
    Ok(())
}

#[test]
fn an_opt_in_takes_an_origins_assessment_for_its_classes_and_its_time() -> Done {
    let mut sim = open(39, 2)?;
    sim.append(0, 1, &[1])?;
    sim.settle()?;
    let (log, now) = (origin(&sim, 0), sim.now());
    let order_in = Order::OptIn(OptIn {
        by: by(&sim, 1),
        origin: log.clone(),
        classes: Some(vec![ClassId(0)]),
        until: Timestamp::new(now.get() + 10 * DAY),
    });
    order(&mut sim, 1, &order_in)?;
    sim.run_for(5)?;
    let now = sim.now();
    assert!(opted_in(sim.memory(1), &log, ClassId(0), now));
    assert!(!opted_in(sim.memory(1), &log, ClassId(1), now));
    assert!(!opted_in(sim.memory(1), &origin(&sim, 1), ClassId(0), now));
    assert!(
        !opted_in(sim.memory(0), &log, ClassId(0), now),
        "it stays where it was ordered"
    );
    assert_eq!(kept(&sim, 0), 0);
    // What it changes: the origin's assessment is enough, where two centres had to look.
    let (entry, labels) = (entries(&sim, 0)[0], hashpact_protocol::testing::labels());
    let subject = subject(&sim, 0, entry, FIRST);
    let record = hashpact_protocol::testing::record(1);
    let stated = Stated {
        subject: &subject,
        labels: &labels,
        fields: &record.fields,
    };
    let of = |opted| {
        let rule = ReleaseRule::of(
            &sim.setup(1).jurisdiction,
            &sim.setup(0).jurisdiction,
            opted,
        );
        EntryFacts::at_release(&stated, &what(&sim, 1, 0, entry), rule).quorum
    };
    assert_eq!([of(true), of(false)], [true, false]);
    sim.advance(10 * DAY)?;
    sim.run_for(5)?;
    assert!(!opted_in(sim.memory(1), &log, ClassId(0), sim.now()));
    let told = sim
        .changed()
        .iter()
        .filter(|(n, it)| *n == 1 && it.logs == [log.clone()]);
    assert_eq!(told.count(), 2, "when it was ordered, and when it ended");
    Ok(())
}

#[test]
fn a_surge_is_for_its_day_and_its_origin() -> Done {
    let mut sim = open(40, 2)?;
    let today = u32::try_from(sim.now().get() / DAY).unwrap_or(0);
    for up_to in [70_000, 90_000] {
        let more = Order::Surge(Surge {
            by: by(&sim, 1),
            origin: origin(&sim, 0),
            day: today,
            up_to,
        });
        order(&mut sim, 1, &more)?;
    }
    let log = origin(&sim, 0);
    assert_eq!(surge(sim.memory(1), &log, today), Some(90_000));
    assert_eq!(surge(sim.memory(1), &log, today + 1), None);
    assert_eq!(surge(sim.memory(1), &origin(&sim, 1), today), None);
    let late = Order::Surge(Surge {
        by: by(&sim, 1),
        origin: log,
        day: today - 1,
        up_to: 1,
    });
    let [a, b] = documents::signers(sim.setup(1));
    assert!(matches!(
        late.sign(&[&a, &b]),
        Err(EvidenceError::Value { .. })
    ));
    Ok(())
}
