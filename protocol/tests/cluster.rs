//! Whole networks in virtual time: by chance from a seed, and one test for each behaviour.
//!
//! `HASHPACT_SEED=n` replays one schedule, `HASHPACT_CASES=n` runs that many.
#![cfg(feature = "testing")]

use hashpact_protocol::centre::{Command, CommandError, Event, Reason};
use hashpact_protocol::delta::{BodyError, Seq};
use hashpact_protocol::limits;
use hashpact_protocol::log::SignedCheckpoint;
use hashpact_protocol::serve::{self, Answer};
use hashpact_protocol::testing::keys::{CentreSetup, LIFETIME_S};
use hashpact_protocol::testing::memory::Memory;
use hashpact_protocol::testing::sim::{Fuse, Sim, Violation, class_labels};
use hashpact_protocol::verify::SuffixError;
use hashpact_protocol::view::{LogState, View as _};
use hashpact_protocol::wire::{BulkRefusal, BulkRequest, Message};

const ACTIONS: usize = 300;
const CASES: u64 = 40;
/// Witnessed networks sign and verify several times as much.
const WITNESSED_CASES: u64 = 16;

type Done = Result<(), Violation>;

#[expect(
    clippy::disallowed_methods,
    reason = "whoever runs the test says which schedules"
)]
fn env(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs schedules by chance and heals each network.
fn run_by_chance(
    usual: u64,
    network: impl Fn(u64) -> Result<Sim, Violation>,
    prepare: impl Fn(&mut Sim),
) -> Done {
    let (first, cases) = match env("HASHPACT_SEED") {
        Some(seed) => (seed, 1),
        None => (0, env("HASHPACT_CASES").unwrap_or(usual)),
    };
    for seed in first..first + cases {
        let mut sim = network(seed)?;
        prepare(&mut sim);
        if let Err(violation) = by_chance(&mut sim) {
            panic!(
                "HASHPACT_SEED={seed}: {violation}\n{}",
                sim.journal().join("\n")
            );
        }
    }
    Ok(())
}

fn by_chance(sim: &mut Sim) -> Done {
    sim.connect_all()?;
    (0..ACTIONS).try_for_each(|_| sim.act())?;
    sim.heal().map(drop)
}

/// Centre `n`'s own log on the disk of `holder`.
fn log(sim: &Sim, holder: usize, n: usize) -> LogState {
    sim.memory(holder).log(&sim.setup(n).origin)
}

fn note(memory: &Memory, setup: &CentreSetup) -> Vec<u8> {
    let head = memory.log(&setup.origin).head;
    head.as_ref()
        .map_or_else(Vec::new, |head| head.note().to_vec())
}

fn heads(session: u64, counter: u64, notes: Vec<Vec<u8>>) -> Message {
    Message::Heads {
        session,
        counter,
        notes,
    }
}

/// A network in which everybody is connected and centre 0 has published this many deltas, which all have.
fn published(centres: usize, deltas: u64) -> Result<Sim, Violation> {
    let mut sim = Sim::new(1, centres, true)?;
    sim.connect_all()?;
    (0..deltas).try_for_each(|_| sim.append(0, 2, &[1]))?;
    sim.settle()?;
    Ok(sim)
}

#[test]
fn any_schedule_keeps_the_rules_and_heals() -> Done {
    run_by_chance(CASES, |seed| Sim::new(seed, 4, true), Sim::expect_faults)
}

#[test]
fn any_schedule_of_a_witnessed_network_keeps_the_rules_and_heals() -> Done {
    let network = |seed| Sim::witnessed(seed, 4);
    run_by_chance(WITNESSED_CASES, network, Sim::expect_faults)
}

#[test]
fn honest_centres_neither_drop_nor_accuse_each_other() -> Done {
    run_by_chance(CASES, |seed| Sim::new(seed, 4, true), |_| {})
}

#[test]
fn honest_witnesses_neither_drop_nor_accuse_each_other() -> Done {
    run_by_chance(WITNESSED_CASES, |seed| Sim::witnessed(seed, 4), |_| {})
}

/// Whatever happened since a disk was copied, the centre that gets the copy back ends with its own log and forks nothing.
#[test]
fn a_disk_that_is_restored_by_chance_never_forks_its_log() -> Done {
    let (first, cases) = match env("HASHPACT_SEED") {
        Some(seed) => (seed, 1),
        None => (0, env("HASHPACT_CASES").unwrap_or(WITNESSED_CASES)),
    };
    for seed in first..first + cases {
        let mut sim = Sim::witnessed(seed, 4)?;
        sim.expect_faults();
        if let Err(violation) = restored(&mut sim) {
            panic!(
                "HASHPACT_SEED={seed}: {violation}\n{}",
                sim.journal().join("\n")
            );
        }
    }
    Ok(())
}

fn restored(sim: &mut Sim) -> Done {
    sim.connect_all()?;
    (0..ACTIONS / 2).try_for_each(|_| sim.act())?;
    let backup = sim.memory(0).clone();
    (0..ACTIONS / 3).try_for_each(|_| sim.act())?;
    sim.heal()?;
    let whole = log(sim, 0, 0);
    sim.restore(0, backup)?;
    // It is asked to sign while it comes back, and refuses or signs what continues its log.
    for _ in 0..6 {
        let signed = sim.append(0, 1, &[1]);
        if !matches!(signed, Err(Violation::Refused { .. })) {
            signed?;
        }
        sim.connect(0, 1)?;
        sim.round()?;
    }
    // The rosters since then are handed to it again.
    (0..6).try_for_each(|_| sim.apply_roster(0))?;
    sim.connect_all()?;
    sim.run_for(300)?;
    let regained = log(sim, 0, 0);
    let rule = "has not got its own log back";
    if regained.size < whole.size || regained.applied != regained.next_seq {
        return Err(Violation::Rule { centre: 0, rule });
    }
    let forked = |(_, event): &(usize, Event)| matches!(event, Event::Fork { .. });
    let rule = "forked its log";
    if sim.events().iter().any(forked) {
        return Err(Violation::Rule { centre: 0, rule });
    }
    for n in 1..4 {
        let rule = "holds another log than the restored centre";
        if log(sim, n, 0).root != regained.root {
            return Err(Violation::Rule { centre: n, rule });
        }
    }
    Ok(())
}

#[test]
fn the_same_seed_gives_the_same_run() -> Done {
    let run = |seed| {
        let mut sim = Sim::new(seed, 4, true)?;
        sim.expect_faults();
        by_chance(&mut sim)?;
        Ok((
            blake3::hash(sim.journal().join("\n").as_bytes()),
            sim.counts(),
        ))
    };
    assert_eq!(run(3)?, run(3)?);
    assert_ne!(run(3)?, run(4)?);
    Ok(())
}

#[test]
fn rollback_by_the_origin_is_refused_and_drops_the_peer() -> Done {
    let mut sim = published(2, 1)?;
    let backup = sim.memory(0).clone();
    sim.append(0, 1, &[1])?;
    sim.settle()?;
    let (held, shown) = (log(&sim, 0, 0).size, backup.log(&sim.setup(0).origin).size);
    sim.puppet(0, backup.clone())?;
    sim.connect(0, 1)?;
    sim.inject(0, 1, &heads(9, 1, vec![note(&backup, sim.setup(0))]));
    sim.drain()?;
    let origin = sim.setup(0).origin.clone();
    assert_eq!(
        sim.events().last(),
        Some(&(
            1,
            Event::Rollback {
                origin,
                held,
                shown
            }
        ))
    );
    // It may have an old disk, and is told; who shows it still after that is parted from.
    assert_eq!(sim.drops(), []);
    sim.advance(limits::ROLLBACK_S)?;
    sim.inject(0, 1, &heads(9, 2, vec![note(&backup, sim.setup(0))]));
    sim.drain()?;
    let reason = Reason::Rollback { held, shown };
    assert_eq!(sim.drops(), [(1, sim.setup(0).id.clone(), reason)]);
    assert_eq!(log(&sim, 1, 0).size, held);
    Ok(())
}

#[test]
fn a_smaller_head_from_a_relay_is_merely_stale() -> Done {
    let mut sim = published(3, 1)?;
    let old = sim.memory(2).clone();
    sim.append(0, 1, &[1])?;
    sim.settle()?;
    let before = log(&sim, 1, 0);
    sim.puppet(2, old.clone())?;
    sim.connect(1, 2)?;
    sim.inject(2, 1, &heads(9, 1, vec![note(&old, sim.setup(0))]));
    sim.drain()?;
    assert_eq!(sim.drops(), []);
    assert!(sim.is_up(1, 2));
    assert_eq!(log(&sim, 1, 0), before);
    Ok(())
}

#[test]
fn a_message_that_was_overtaken_is_no_rollback() -> Done {
    let mut sim = published(2, 1)?;
    let old = note(sim.memory(0), sim.setup(0));
    sim.append(0, 1, &[1])?;
    sim.settle()?;
    let (disk, new) = (sim.memory(0).clone(), note(sim.memory(0), sim.setup(0)));
    sim.puppet(0, disk)?;
    sim.connect(0, 1)?;
    sim.inject(0, 1, &heads(9, 2, vec![new]));
    sim.inject(0, 1, &heads(9, 1, vec![old.clone()]));
    sim.inject(0, 1, &heads(8, 7, vec![old.clone()]));
    sim.drain()?;
    assert_eq!(sim.drops(), []);
    let accusations = |sim: &Sim| {
        let rollback = |(_, event): &&(usize, Event)| matches!(event, Event::Rollback { .. });
        sim.events().iter().filter(rollback).count()
    };
    assert_eq!(accusations(&sim), 0);
    sim.inject(0, 1, &heads(9, 3, vec![old]));
    sim.drain()?;
    assert_eq!(accusations(&sim), 1);
    Ok(())
}

#[test]
fn a_head_that_a_relay_brought_sooner_makes_no_rollback() -> Done {
    let mut sim = published(3, 1)?;
    let old = note(sim.memory(0), sim.setup(0));
    sim.disconnect(0, 1)?;
    sim.disconnect(0, 2)?;
    sim.append(0, 1, &[1])?;
    let (disk, new) = (sim.memory(0).clone(), note(sim.memory(0), sim.setup(0)));
    let size = disk.log(&sim.setup(0).origin).size;
    sim.puppet(0, disk)?;
    sim.connect(0, 1)?;
    sim.connect(0, 2)?;
    // The old head is on its way to 1 while the new one comes around by 2.
    sim.inject(0, 2, &heads(9, 2, vec![new]));
    sim.drain()?;
    assert_eq!(log(&sim, 1, 0).size, size);
    sim.inject(0, 1, &heads(9, 1, vec![old]));
    sim.drain()?;
    assert_eq!(sim.drops(), []);
    Ok(())
}

#[test]
fn an_old_disk_is_noticed_and_signs_nothing() -> Done {
    let mut sim = published(2, 1)?;
    let backup = sim.memory(0).clone();
    sim.append(0, 1, &[1])?;
    sim.settle()?;
    let (seen, held) = (log(&sim, 0, 0).size, backup.log(&sim.setup(0).origin).size);
    sim.restore(0, backup)?;
    sim.connect(0, 1)?;
    sim.deliver_to(0)?;
    let behind = Event::OwnLogBehind { held, seen };
    assert!(sim.events().contains(&(0, behind)), "{:?}", sim.events());
    let refused = Some(Err(CommandError::Behind { held, seen }));
    let labels = class_labels(sim.setup(0), 7);
    assert_eq!(sim.command(0, Command::Define(vec![labels]))?, refused);
    assert_eq!(
        sim.command(0, Command::Retract(Vec::new()))?
            .map(|reply| reply.is_err()),
        Some(true)
    );
    assert_eq!(log(&sim, 0, 0).size, held);
    Ok(())
}

#[test]
fn a_tampered_body_is_refused_and_nothing_of_it_stored() -> Done {
    let mut sim = Sim::new(1, 2, true)?;
    sim.expect_faults();
    sim.append(0, 3, &[1, 2])?;
    sim.tamper(|_, request, mut bytes| {
        if matches!(request, BulkRequest::Body { .. }) {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        }
        Some(bytes)
    });
    sim.connect_all()?;
    sim.run_for(100)?;
    assert!(
        matches!(sim.drops(), [(1, _, Reason::Body(_))]),
        "{:?}",
        sim.drops()
    );
    assert!(
        sim.events()
            .iter()
            .any(|(_, event)| matches!(event, Event::BodyRefused { seq: Seq(0), .. }))
    );
    assert_eq!(log(&sim, 1, 0).applied, Seq(0));
    assert_eq!(sim.memory(1).body(&sim.setup(0).origin, Seq(0)), None);
    assert_eq!(log(&sim, 1, 0).size, log(&sim, 0, 0).size);
    sim.tamper_no_more();
    sim.heal().map(drop)
}

#[test]
fn a_retraction_does_not_wait_for_a_body_that_cannot_be_had() -> Done {
    let mut sim = published(2, 1)?;
    sim.expect_faults();
    let live: Vec<_> = sim.live(0, 0).into_iter().collect();
    // From here on, no body with records arrives whole; what comes after it retracts what is held.
    sim.tamper(|_, request, bytes| match request {
        BulkRequest::Body { section: 0, .. } => None,
        BulkRequest::Body { .. } | BulkRequest::Suffix { .. } | BulkRequest::Proof { .. } => {
            Some(bytes)
        }
    });
    sim.append(0, 2, &[1])?;
    sim.retract(0, &live[..1])?;
    sim.run_for(300)?;
    assert_eq!(log(&sim, 1, 0).applied, Seq(1));
    assert_eq!(log(&sim, 1, 0).retracted, Seq(3));
    assert_eq!(sim.live(1, 0).len(), live.len() - 1);
    sim.tamper_no_more();
    sim.heal().map(drop)
}

#[test]
fn a_body_that_cannot_be_had_is_asked_for_with_pauses() -> Done {
    let mut sim = published(2, 1)?;
    sim.expect_faults();
    sim.disconnect(0, 1)?;
    for _ in 0..3 {
        sim.append(0, 2, &[1])?;
    }
    // One body fails for ever, and those behind it arrive.
    sim.tamper(|_, request, bytes| match request {
        BulkRequest::Body {
            section: 0,
            seq: Seq(1),
            ..
        } => None,
        BulkRequest::Body { .. } | BulkRequest::Suffix { .. } | BulkRequest::Proof { .. } => {
            Some(bytes)
        }
    });
    sim.connect(0, 1)?;
    let before = sim.counts().jobs;
    sim.run_for(600)?;
    let asked = sim.counts().jobs - before;
    assert!(asked < 40, "{asked} transfers in ten minutes");
    assert_eq!(log(&sim, 1, 0).applied, Seq(1));
    sim.tamper_no_more();
    sim.heal().map(drop)
}

#[test]
fn a_relay_that_fails_does_not_keep_the_origin_from_being_asked() -> Done {
    let mut sim = published(3, 1)?;
    sim.disconnect(1, 0)?;
    sim.append(0, 2, &[1])?;
    sim.run_for(100)?;
    // Centre 2 has it and says so, but its transfers fail; the origin comes back.
    sim.tamper(|server, _, bytes| (server != 2).then_some(bytes));
    sim.connect(1, 0)?;
    sim.run_for(300)?;
    assert_eq!(log(&sim, 1, 0).size, log(&sim, 0, 0).size);
    Ok(())
}

#[test]
fn tampered_retractions_are_refused() -> Done {
    let mut sim = published(2, 1)?;
    sim.expect_faults();
    let live: Vec<_> = sim.live(0, 0).into_iter().collect();
    sim.advance(LIFETIME_S)?;
    sim.disconnect(0, 1)?;
    sim.retract(0, &live[..1])?;
    sim.tamper(|_, request, mut bytes| {
        if matches!(request, BulkRequest::Body { .. }) {
            let last = bytes.len() - 1;
            bytes[last] ^= 2;
        }
        Some(bytes)
    });
    sim.connect(0, 1)?;
    sim.run_for(100)?;
    let reason = Reason::Body(BodyError::RetractionRoot);
    assert_eq!(sim.drops(), [(1, sim.setup(0).id.clone(), reason)]);
    assert_eq!(sim.live(1, 0).len(), 2);
    Ok(())
}

#[test]
fn a_tampered_log_is_refused_and_nothing_of_it_stored() -> Done {
    let mut sim = Sim::new(1, 2, true)?;
    sim.expect_faults();
    sim.append(0, 3, &[1, 2])?;
    sim.tamper(|server, _, mut bytes| {
        if server == 0 {
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
        }
        Some(bytes)
    });
    sim.connect_all()?;
    sim.run_for(30)?;
    assert!(matches!(
        sim.drops(),
        [(1, _, Reason::Suffix(SuffixError::Tree(_)))]
    ));
    assert_eq!(log(&sim, 1, 0), LogState::default());
    Ok(())
}

#[test]
fn an_expired_roster_retracts_and_opens_nothing_until_its_successor() -> Done {
    let mut sim = published(2, 2)?;
    let live: Vec<_> = sim.live(0, 0).into_iter().collect();
    sim.advance(LIFETIME_S)?;
    sim.append(0, 2, &[2])?;
    let new: Vec<_> = sim
        .live(0, 0)
        .into_iter()
        .filter(|entry| !live.contains(entry))
        .collect();
    sim.retract(0, &[live[0], new[0]])?;
    sim.run_for(200)?;
    assert_eq!(log(&sim, 1, 0).applied, Seq(2));
    assert_eq!(log(&sim, 1, 0).retracted, Seq(4));
    assert_eq!(sim.live(1, 0).into_iter().collect::<Vec<_>>(), live[1..]);
    // What was retracted before its put was opened stays retracted.
    sim.heal()?;
    let held: Vec<_> = sim.live(1, 0).into_iter().collect();
    assert_eq!(held.len(), 4);
    assert!(!held.contains(&live[0]) && !held.contains(&new[0]) && held.contains(&new[1]));
    Ok(())
}

#[test]
fn bodies_that_wait_out_of_turn_do_not_hold_up_retractions_when_the_roster_expires() -> Done {
    let mut sim = Sim::new(1, 2, true)?;
    for _ in 0..6 {
        sim.append(0, 1, &[1])?;
    }
    let live: Vec<_> = sim.live(0, 0).into_iter().collect();
    sim.retract(0, &live)?;
    // The first body never comes, so those behind it wait for their turn.
    sim.tamper(|_, request, bytes| match request {
        BulkRequest::Body {
            seq: Seq(0),
            section: 0,
            ..
        } => None,
        BulkRequest::Body { .. } | BulkRequest::Suffix { .. } | BulkRequest::Proof { .. } => {
            Some(bytes)
        }
    });
    sim.connect_all()?;
    sim.run_for(200)?;
    assert_eq!(log(&sim, 1, 0).applied, Seq(0));
    sim.advance(LIFETIME_S)?;
    sim.run_for(200)?;
    assert_eq!(log(&sim, 1, 0).retracted, Seq(7));
    sim.tamper_no_more();
    sim.heal()?;
    assert_eq!(sim.live(1, 0).len(), 0);
    Ok(())
}

#[test]
fn a_network_without_policy_that_is_no_demonstration_opens_nothing() -> Done {
    let mut sim = Sim::new(1, 2, false)?;
    sim.connect_all()?;
    sim.append(0, 2, &[1])?;
    sim.run_for(300)?;
    assert_eq!(log(&sim, 1, 0).size, log(&sim, 0, 0).size);
    assert_eq!(
        (log(&sim, 1, 0).applied, log(&sim, 1, 0).retracted),
        (Seq(0), Seq(1))
    );
    assert_eq!(sim.live(1, 0).len(), 0);
    let (own, asker) = (&sim.setup(0).origin, &sim.setup(1).id);
    let answer = |section| {
        let request = BulkRequest::Body {
            origin: own.clone(),
            seq: Seq(0),
            section,
            offset: 0,
            under: None,
        };
        serve::may_answer(
            &request,
            asker,
            own,
            sim.roster().roster(),
            sim.now(),
            sim.memory(0),
        )
    };
    assert_eq!(answer(0), Err(BulkRefusal::Closed));
    assert_eq!(answer(65_535), Err(BulkRefusal::Closed));
    assert_eq!(answer(65_536), Ok(Answer::Whole));
    Ok(())
}

#[test]
fn strangers_get_nothing_and_bodies_come_from_their_origin_only() -> Done {
    let sim = published(3, 1)?;
    let roster = sim.roster().roster();
    let body = |n: usize| {
        let origin = sim.setup(n).origin.clone();
        BulkRequest::Body {
            origin,
            seq: Seq(0),
            section: 0,
            offset: 0,
            under: None,
        }
    };
    let ask = |request: &BulkRequest, asker: &CentreSetup| {
        serve::may_answer(
            request,
            &asker.id,
            &sim.setup(1).origin,
            roster,
            sim.now(),
            sim.memory(1),
        )
    };
    assert_eq!(ask(&body(0), sim.setup(2)), Err(BulkRefusal::NotOrigin));
    assert_eq!(ask(&body(1), sim.setup(2)), Ok(Answer::Whole));
    assert_eq!(
        ask(&body(1), &CentreSetup::numbered(9)),
        Err(BulkRefusal::NotOnRoster)
    );
    let origin = sim.setup(0).origin.clone();
    let suffix = BulkRequest::Suffix {
        origin,
        from: 0,
        to: 1,
    };
    assert_eq!(ask(&suffix, sim.setup(2)), Ok(Answer::Whole));
    assert_eq!(
        ask(&suffix, &CentreSetup::numbered(9)),
        Err(BulkRefusal::NotOnRoster)
    );
    Ok(())
}

#[test]
fn heads_of_an_unknown_log_are_ignored() -> Done {
    let mut sim = published(3, 1)?;
    let stranger = published(6, 0)?;
    let disk = sim.memory(2).clone();
    sim.puppet(2, disk)?;
    sim.connect(1, 2)?;
    let notes = vec![note(stranger.memory(5), stranger.setup(5))];
    sim.inject(2, 1, &heads(9, 1, notes));
    sim.drain()?;
    assert_eq!(sim.drops(), []);
    assert_eq!(log(&stranger, 5, 5).size, 1);
    assert_eq!(
        sim.memory(1).log(&stranger.setup(5).origin),
        LogState::default()
    );
    Ok(())
}

#[test]
fn a_relay_brings_the_log_and_the_bodies_wait_for_their_origin() -> Done {
    let mut sim = Sim::new(1, 3, true)?;
    sim.connect(0, 1)?;
    sim.connect(1, 2)?;
    sim.append(0, 2, &[1])?;
    sim.run_for(300)?;
    assert_eq!(log(&sim, 2, 0).root, log(&sim, 0, 0).root);
    assert_eq!(log(&sim, 1, 0).applied, Seq(1));
    assert_eq!(log(&sim, 2, 0).applied, Seq(0));
    sim.connect(0, 2)?;
    sim.settle()?;
    assert_eq!(sim.live(2, 0), sim.live(0, 0));
    Ok(())
}

#[test]
fn a_fifth_centre_joins_while_the_others_run_and_catches_up() -> Done {
    let mut sim = published(4, 300)?;
    let fifth = sim.join()?;
    sim.connect_all()?;
    assert!(
        (0..4).all(|n| !sim.is_up(n, fifth)),
        "on nobody's roster yet"
    );
    sim.append(fifth, 3, &[1])?;
    (0..4).try_for_each(|n| sim.apply_roster(n))?;
    sim.connect_all()?;
    let settled = sim.settle()?;
    assert_eq!(sim.live(fifth, 0).len(), 600);
    assert_eq!(sim.live(3, fifth), sim.live(fifth, fifth));
    assert!(settled.rounds < 100, "{settled:?}");
    Ok(())
}

#[test]
fn a_centre_that_leaves_the_roster_is_let_go() -> Done {
    let mut sim = published(3, 1)?;
    let gone = sim.setup(2).id.clone();
    sim.issue_roster(|draft| draft.centres.retain(|centre| centre.id != gone));
    sim.apply_roster(0)?;
    assert!(!sim.is_up(0, 2) && sim.is_up(1, 2));
    sim.connect(0, 2)?;
    assert!(!sim.is_up(0, 2));
    let bytes = sim.roster().bytes().to_vec();
    let reply = sim.command(2, Command::ApplyRoster(bytes))?;
    assert_eq!(reply, Some(Err(CommandError::OwnKeys)));
    Ok(())
}

#[test]
fn a_commit_that_did_not_happen_promised_nothing() -> Done {
    let mut sim = published(2, 1)?;
    let before = (log(&sim, 0, 0), sim.counts().messages);
    sim.arm(0, Fuse::BeforeCommit);
    sim.append(0, 2, &[1])?;
    assert!(sim.centre(0).is_none());
    assert_eq!((log(&sim, 0, 0), sim.counts().messages), before);
    sim.heal().map(drop)
}

#[test]
fn a_commit_that_nobody_heard_of_is_heard_of_after_the_crash() -> Done {
    let mut sim = published(2, 1)?;
    sim.arm(0, Fuse::AfterCommit);
    sim.append(0, 2, &[1])?;
    assert!(sim.centre(0).is_none());
    assert_eq!(
        (log(&sim, 0, 0).next_seq, log(&sim, 1, 0).next_seq),
        (Seq(2), Seq(1))
    );
    sim.restart(0)?;
    sim.connect(0, 1)?;
    sim.settle()?;
    assert_eq!(sim.live(1, 0).len(), 4);
    Ok(())
}

#[test]
fn a_mirror_that_crashes_on_a_commit_fetches_it_again() -> Done {
    for fuse in [Fuse::BeforeCommit, Fuse::AfterCommit] {
        let mut sim = published(2, 1)?;
        sim.append(0, 2, &[1])?;
        sim.arm(1, fuse);
        sim.run_for(200)?;
        assert!(sim.centre(1).is_none());
        sim.restart(1)?;
        sim.connect(0, 1)?;
        sim.settle()?;
        assert_eq!(sim.live(1, 0).len(), 4);
    }
    Ok(())
}

#[test]
fn bodies_in_flight_are_bounded() -> Done {
    let mut sim = Sim::new(1, 4, true)?;
    for n in 0..3 {
        (0..12).try_for_each(|_| sim.append(n, 1, &[1]))?;
    }
    (0..3).try_for_each(|n| sim.connect(n, 3))?;
    let (mut most, mut most_of_one) = (0, 0);
    while sim.round()? {
        let bodies = |origin: &hashpact_keys::Origin| {
            let of = |request: &BulkRequest| matches!(request, BulkRequest::Body { origin: o, .. } if o == origin);
            sim.under_way()
                .filter(|(who, request)| *who == 3 && of(request))
                .count()
        };
        let each: Vec<_> = (0..3).map(|n| bodies(&sim.setup(n).origin)).collect();
        most = most.max(each.iter().sum());
        most_of_one = most_of_one.max(each.into_iter().max().unwrap_or(0));
    }
    assert_eq!(most, limits::BODIES_IN_FLIGHT_ALL);
    assert_eq!(most_of_one, limits::BODIES_IN_FLIGHT);
    Ok(())
}

#[test]
fn a_body_follows_its_log_without_waiting() -> Done {
    let mut sim = published(2, 1)?;
    sim.append(0, 5, &[1])?;
    let settled = sim.settle()?;
    // Head, leaves, body.
    assert_eq!((settled.rounds, settled.waited_s), (3, 0));
    Ok(())
}

#[test]
fn a_delta_costs_four_centres_this_much() -> Done {
    let mut sim = Sim::new(1, 4, true)?;
    sim.connect_all()?;
    sim.append(0, 1, &[1, 2])?;
    sim.settle()?;
    sim.drain()?;
    let before = sim.counts();
    sim.append(0, 100, &[1, 2])?;
    let settled = sim.settle()?;
    sim.drain()?;
    let after = sim.counts();
    assert_eq!(settled.waited_s, 0, "nobody waits for anti-entropy");
    assert!(settled.rounds <= 4, "{settled:?}");
    // One head to each peer of the origin, and one from each mirror to each of its other peers.
    assert_eq!(after.messages - before.messages, 3 + 3 * 2);
    // Leaves and body, once for each mirror: nothing is fetched twice.
    assert_eq!(after.jobs - before.jobs, 3 * 2);
    let body = sim
        .memory(0)
        .body(&sim.setup(0).origin, Seq(1))
        .map_or(0, |body| body.len()) as u64;
    let per_mirror = (after.job_bytes - before.job_bytes) / 3;
    assert!(
        (body..body + 512).contains(&per_mirror),
        "{per_mirror} bytes for a body of {body}"
    );
    Ok(())
}

#[test]
fn the_head_of_an_idle_log_outlives_the_key_that_signed_it() -> Done {
    let mut sim = published(3, 1)?;
    let until = hashpact_keys::Timestamp::new(sim.now().get() + 100);
    let old = sim.setup(0).signer(hashpact_keys::KeyUse::Log).public();
    let new = CentreSetup::numbered(20)
        .signer(hashpact_keys::KeyUse::Log)
        .public();
    sim.issue_roster(|draft| {
        let keys = draft.centres.iter_mut().flat_map(|centre| &mut centre.keys);
        keys.filter(|entry| entry.key == old)
            .for_each(|entry| entry.until = Some(until));
        let of_old = |entry: &hashpact_keys::roster::KeyEntry| entry.key == old;
        let owner = draft
            .centres
            .iter_mut()
            .find(|centre| centre.keys.iter().any(of_old));
        owner.into_iter().for_each(|centre| {
            let entry = centre.keys.iter().find(|entry| entry.key == old).cloned();
            let entry = entry.map(|entry| hashpact_keys::roster::KeyEntry {
                key: new,
                from: until,
                until: None,
                ..entry
            });
            centre.keys.extend(entry);
        });
    });
    (0..3).try_for_each(|n| sim.apply_roster(n))?;
    sim.settle()?;
    sim.run_for(1_000)
}

#[test]
fn a_note_is_no_room_for_a_relay_to_fill() -> Done {
    use base64::Engine as _;
    let mut sim = Sim::new(1, 20, true)?;
    let line = base64::engine::general_purpose::STANDARD.encode(vec![1; 11_000]);
    for n in 1..20 {
        let disk = sim.memory(n).clone();
        let mut padded = note(&disk, sim.setup(n));
        padded.extend(format!("\u{2014} padding {line}\n").into_bytes());
        assert!(SignedCheckpoint::claimed_origin(&padded).is_ok());
        sim.puppet(n, disk)?;
        sim.connect(0, n)?;
        sim.inject(n, 0, &heads(9, 1, vec![padded]));
    }
    sim.drain()?;
    // The message of all heads is checked against the bound of a frame.
    sim.append(0, 1, &[1])
}
