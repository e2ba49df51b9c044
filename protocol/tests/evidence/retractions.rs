//! Who has applied our retractions: an origin knows it of each centre, over crashes, and is told nothing that is not so.

use hashpact_keys::CentreId;
use hashpact_protocol::centre::{Event, RetractionLag};
use hashpact_protocol::delta::Seq;
use hashpact_protocol::testing::sim::Sim;
use hashpact_protocol::wire::Message;

use super::network::{Done, FIRST, entries, events, open, origin, rule, ruled};

const NOT_AU: &str = "forbid (principal == Centre::\"au\", action == Action::\"share\", resource);";

fn lag(sim: &Sim, n: usize) -> Vec<RetractionLag> {
    let centre = sim.centre(n);
    centre.map(|it| it.retraction_lag()).unwrap_or_default()
}

fn behind(sim: &Sim) -> Vec<CentreId> {
    let behind = lag(sim, 0).into_iter().filter(|it| it.since.is_some());
    behind.map(|it| it.centre).collect()
}

#[test]
fn a_retraction_is_acknowledged_by_every_centre_in_less_than_a_minute() -> Done {
    let mut sim = open(71, 4)?;
    sim.append(0, 3, &[1])?;
    sim.settle()?;
    let all = entries(&sim, 0);
    sim.retract(0, &[(all[0], FIRST)])?;
    assert_eq!(behind(&sim).len(), 3);
    sim.run_for(20)?;
    assert!(behind(&sim).is_empty());
    let said =
        |event: &Event| matches!(event, Event::RetractionsAcknowledged { below: Seq(2), .. });
    assert_eq!(events(&sim, said), [0, 0, 0]);
    // It is durable.
    sim.crash(0)?;
    sim.restart(0)?;
    assert!(behind(&sim).is_empty());
    assert!(
        lag(&sim, 0)
            .iter()
            .all(|it| it.below == Seq(2) && it.heard.is_some())
    );
    Ok(())
}

#[test]
fn who_is_away_is_named_with_the_time_since_when_and_acknowledges_when_it_is_back() -> Done {
    let mut sim = open(72, 3)?;
    sim.append(0, 3, &[1])?;
    sim.settle()?;
    sim.crash(2)?;
    let all = entries(&sim, 0);
    let first = sim.now();
    sim.retract(0, &[(all[0], FIRST)])?;
    sim.run_for(100)?;
    sim.retract(0, &[(all[1], FIRST)])?;
    sim.run_for(100)?;
    let two = lag(&sim, 0).into_iter().find(|it| it.since.is_some());
    let two = two.map(|it| (it.centre, it.behind, it.since));
    assert_eq!(two, Some((sim.setup(2).id.clone(), 2, Some(first))));
    sim.restart(2)?;
    sim.connect_all()?;
    sim.run_for(30)?;
    assert!(behind(&sim).is_empty());
    Ok(())
}

#[test]
fn a_centre_that_may_not_have_the_records_applies_and_acknowledges_their_retractions() -> Done {
    let mut sim = ruled(73, 4)?;
    rule(&mut sim, 0, NOT_AU)?;
    sim.run_for(10)?;
    sim.append(0, 2, &[1])?;
    sim.settle()?;
    let all = entries(&sim, 0);
    sim.retract(0, &[(all[0], FIRST)])?;
    sim.run_for(30)?;
    assert!(behind(&sim).is_empty());
    Ok(())
}

#[test]
fn more_than_there_is_and_of_another_log_is_not_believed() -> Done {
    let mut sim = open(74, 3)?;
    sim.append(0, 2, &[1])?;
    sim.settle()?;
    sim.crash(2)?;
    let all = entries(&sim, 0);
    sim.retract(0, &[(all[0], FIRST)])?;
    let (own, other) = (origin(&sim, 0), origin(&sim, 1));
    let disk = sim.memory(2).clone();
    sim.puppet(2, disk)?;
    sim.connect(0, 2)?;
    for (origin, below) in [(own, Seq(99)), (other, Seq(2))] {
        sim.inject(2, 0, &Message::Applied { origin, below });
        sim.run_for(2)?;
    }
    assert_eq!(behind(&sim), [sim.setup(2).id.clone()]);
    Ok(())
}

#[test]
fn a_lost_acknowledgement_is_said_again() -> Done {
    let mut sim = open(75, 2)?;
    sim.append(0, 2, &[1])?;
    sim.settle()?;
    let all = entries(&sim, 0);
    sim.retract(0, &[(all[0], FIRST)])?;
    sim.lose(|message| matches!(message, Message::Applied { .. }));
    sim.run_for(20)?;
    assert_eq!(behind(&sim).len(), 1);
    sim.lose(|_| false);
    // With the next connection.
    sim.disconnect(0, 1)?;
    sim.connect_all()?;
    sim.run_for(20)?;
    assert!(behind(&sim).is_empty());
    Ok(())
}
