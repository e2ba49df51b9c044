//! Witnessing in virtual time: quorums, receipts, what waits for them and what does not; and a disk that is an old copy.
#![cfg(feature = "testing")]

use hashpact_keys::{KeyUse, Timestamp};
use hashpact_protocol::centre::{Command, CommandError, Event};
use hashpact_protocol::delta::{RETRACTION_SECTION, Seq, withheld_section};
use hashpact_protocol::limits;
use hashpact_protocol::log::{
    Cosigners, Leaf, SignedCheckpoint, SignedNote, Standing, read_leaves,
};
use hashpact_protocol::testing::keys;
use hashpact_protocol::testing::sim::{Lie, Sim, Violation, class_labels};
use hashpact_protocol::view::{LogState, View as _};
use hashpact_protocol::wire::{BulkRequest, Message};

type Done = Result<(), Violation>;

/// Centre `n`'s own log on the disk of `holder`.
fn log(sim: &Sim, holder: usize, n: usize) -> LogState {
    sim.memory(holder).log(&sim.setup(n).origin)
}

fn size_of(head: Option<&SignedCheckpoint>) -> u64 {
    head.map_or(0, |head| head.checkpoint().size)
}

/// Four centres and an auditor, all connected; centre 0 has published one delta.
fn published() -> Result<Sim, Violation> {
    let mut sim = Sim::witnessed(1, 4)?;
    sim.connect_all()?;
    sim.drain()?;
    sim.append(0, 2, &[1])?;
    sim.settle()?;
    sim.run_for(10)?;
    Ok(sim)
}

/// How the newest witnessed checkpoint of centre 0 stands with its witnesses, and with its mirrors.
#[expect(clippy::unwrap_used, reason = "what is published has a checkpoint")]
fn standing(sim: &Sim, state: &LogState) -> (Standing, Standing) {
    let origin = &sim.setup(0).origin;
    let head = state.witnessed.as_ref().unwrap();
    let note = head.signed_note().unwrap();
    let roster = sim.roster().roster();
    let of = |cosigners: Cosigners| cosigners.standing(&note, head.checkpoint().size);
    (
        of(Cosigners::witnesses(roster, origin)),
        of(Cosigners::mirrors(roster, origin)),
    )
}

#[test]
fn a_checkpoint_gathers_its_quorum_and_every_receipt() -> Done {
    let sim = published()?;
    let own = log(&sim, 0, 0);
    assert_eq!(size_of(own.witnessed.as_ref()), own.size);
    let (witnesses, mirrors) = standing(&sim, &own);
    let names: Vec<_> = witnesses
        .cosigned
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(names, ["au", keys::AUDITOR, "ca", "us"]);
    assert_eq!((witnesses.quorum, witnesses.missing), (3, Vec::new()));
    assert_eq!(mirrors.missing, Vec::<String>::new());
    // Everybody knows it.
    for n in 1..4 {
        assert_eq!(
            size_of(log(&sim, n, 0).witnessed.as_ref()),
            own.size,
            "centre {n}"
        );
    }
    Ok(())
}

#[test]
fn a_delta_is_pending_while_one_cosignature_is_missing() -> Done {
    let mut sim = published()?;
    sim.crash(3)?;
    sim.auditor_away(true);
    let before = sim.live(1, 0);
    sim.append(0, 2, &[1])?;
    sim.run_for(300)?;
    // Two of four cosigned: the log travels, what it puts does not act.
    let own = log(&sim, 0, 0);
    assert!(size_of(own.witnessed.as_ref()) < own.size);
    assert_eq!(log(&sim, 1, 0).size, own.size);
    assert_eq!(sim.live(1, 0), before);
    let candidate = sim.centre(0).and_then(|centre| centre.candidate());
    let head = candidate.map(|(head, _)| head.clone()).unwrap();
    let witnesses = sim.centre(0).unwrap().roles(&sim.setup(0).origin);
    let standing = witnesses
        .witnesses
        .standing(&head.signed_note().unwrap(), own.size);
    assert_eq!(
        standing.missing,
        ["au".to_owned(), keys::AUDITOR.to_owned()]
    );
    assert!(!standing.is_witnessed());
    sim.auditor_away(false);
    sim.run_for(120)?;
    assert_eq!(sim.live(1, 0).len(), before.len() + 2);
    Ok(())
}

/// What is witnessed is shown together with what is pending behind it, and both are fetched at once.
#[test]
fn a_centre_that_was_away_knows_at_once_what_of_a_pending_log_is_witnessed() -> Done {
    let mut sim = published()?;
    sim.crash(3)?;
    sim.append(0, 2, &[1])?;
    sim.run_for(10)?;
    let witnessed = log(&sim, 0, 0);
    assert_eq!(size_of(witnessed.witnessed.as_ref()), witnessed.size);
    let acting = sim.live(0, 0);
    // Centre 2 alone is left, and then only centre 3 comes back.
    sim.crash(1)?;
    sim.auditor_away(true);
    sim.append(0, 2, &[1])?;
    sim.run_for(10)?;
    let pending = log(&sim, 0, 0);
    assert_eq!(size_of(pending.witnessed.as_ref()), witnessed.size);
    sim.restart(3)?;
    sim.connect(3, 2)?;
    sim.connect(3, 0)?;
    sim.run_for(10)?;
    let held = log(&sim, 3, 0);
    assert_eq!(
        (held.size, size_of(held.witnessed.as_ref())),
        (pending.size, witnessed.size)
    );
    assert_eq!(sim.live(3, 0), acting);
    Ok(())
}

#[test]
fn a_retraction_acts_without_a_quorum_and_over_pending_deltas() -> Done {
    let mut sim = published()?;
    let live: Vec<_> = sim.live(0, 0).into_iter().collect();
    sim.crash(3)?;
    sim.auditor_away(true);
    sim.append(0, 2, &[1])?;
    sim.append(0, 1, &[2])?;
    sim.retract(0, &live[..1])?;
    sim.run_for(10)?;
    let held: Vec<_> = sim.live(1, 0).into_iter().collect();
    assert_eq!(held, live[1..]);
    let state = log(&sim, 1, 0);
    assert_eq!((state.applied, state.retracted), (Seq(1), Seq(4)));
    // The bodies come when the quorum does.
    sim.auditor_away(false);
    sim.run_for(120)?;
    assert_eq!(sim.live(1, 0), sim.live(0, 0));
    assert_eq!(log(&sim, 1, 0).applied, Seq(4));
    Ok(())
}

#[test]
fn pending_deltas_that_retract_nothing_cost_no_transfer() -> Done {
    let mut sim = published()?;
    sim.crash(3)?;
    sim.auditor_away(true);
    for _ in 0..5 {
        sim.append(0, 2, &[1])?;
    }
    sim.run_for(5)?;
    let before = sim.counts().jobs;
    sim.run_for(50)?;
    // The auditor is asked again, with longer and longer pauses; nothing else is.
    assert!(
        sim.counts().jobs - before <= 8,
        "{}",
        sim.counts().jobs - before
    );
    assert_eq!(log(&sim, 1, 0).retracted, Seq(1));
    Ok(())
}

#[test]
fn its_own_line_never_counts() -> Done {
    let mut sim = published()?;
    (1..4).try_for_each(|n| sim.crash(n))?;
    sim.append(0, 1, &[1])?;
    sim.run_for(10)?;
    let own = log(&sim, 0, 0);
    let origin = sim.setup(0).origin.clone();
    let mut note = own.head.as_ref().unwrap().signed_note().unwrap();
    let name = hashpact_protocol::log::witness_name(&origin);
    note.cosign(&name, &sim.setup(0).signer(KeyUse::Witness), sim.now())
        .unwrap();
    let witnesses = Cosigners::witnesses(sim.roster().roster(), &origin);
    assert_eq!(
        witnesses.standing(&note, own.size).cosigned.len(),
        1,
        "the auditor's"
    );
    assert!(size_of(own.witnessed.as_ref()) < own.size);
    Ok(())
}

#[test]
fn a_burst_of_deltas_costs_a_few_rounds_of_cosigning() -> Done {
    let mut sim = published()?;
    let signatures = |sim: &Sim| {
        let witnessed =
            |(who, event): &&(usize, Event)| *who == 0 && matches!(event, Event::Witnessed { .. });
        sim.events().iter().filter(witnessed).count()
    };
    let before = signatures(&sim);
    for _ in 0..50 {
        sim.append(0, 1, &[1])?;
    }
    sim.settle()?;
    let own = log(&sim, 0, 0);
    assert_eq!(size_of(own.witnessed.as_ref()), own.size);
    assert!(
        signatures(&sim) - before <= 3,
        "{}",
        signatures(&sim) - before
    );
    Ok(())
}

#[test]
fn an_idle_log_is_cosigned_again_every_hour() -> Done {
    let mut sim = published()?;
    let first = standing(&sim, &log(&sim, 0, 0)).0.witnessed_at().unwrap();
    sim.run_for(2 * limits::RECOSIGN_S + 200)?;
    let own = log(&sim, 0, 0);
    let last = standing(&sim, &own).0.witnessed_at().unwrap();
    let age = sim.now().get() - last.get();
    assert!(
        last > first && age <= limits::RECOSIGN_S + 200,
        "{age} s old"
    );
    let centre = sim.centre(0).unwrap();
    assert!(centre.is_fresh(&sim.setup(0).origin, &own, sim.now()));
    let late = Timestamp::new(last.get() + limits::COSIGNATURE_FRESH_S);
    assert!(!centre.is_fresh(&sim.setup(0).origin, &own, late));
    Ok(())
}

#[test]
fn a_witness_that_was_removed_does_not_count() -> Done {
    let mut sim = published()?;
    let own = log(&sim, 0, 0);
    let note = own.witnessed.as_ref().unwrap().signed_note().unwrap();
    let origin = sim.setup(0).origin.clone();
    sim.issue_roster(|draft| draft.auditors.clear());
    let witnesses = Cosigners::witnesses(sim.roster().roster(), &origin);
    let standing = witnesses.standing(&note, own.size);
    assert_eq!((standing.cosigned.len(), standing.quorum), (3, 2));
    let cut = own.size - 1;
    let key = sim.setup(1).signer(KeyUse::Witness).public().key_id();
    sim.issue_roster(|draft| {
        draft.revocations.push(hashpact_keys::roster::Revocation {
            key,
            origin: origin.clone(),
            size: cut,
        });
    });
    let witnesses = Cosigners::witnesses(sim.roster().roster(), &origin);
    let holders: Vec<_> = witnesses
        .standing(&note, own.size)
        .cosigned
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(holders, ["au", "ca"]);
    // What was witnessed before stays valid.
    assert_eq!(witnesses.standing(&note, cut).cosigned.len(), 3);
    Ok(())
}

#[test]
fn a_line_that_does_not_verify_is_not_taken_over() -> Done {
    let mut sim = published()?;
    sim.crash(3)?;
    sim.auditor_away(true);
    sim.append(0, 1, &[1])?;
    sim.run_for(5)?;
    let own = log(&sim, 0, 0);
    let mut forged = own.head.as_ref().unwrap().signed_note().unwrap();
    let name = hashpact_protocol::log::witness_name(&sim.setup(3).origin);
    forged
        .cosign(&name, &sim.setup(3).signer(KeyUse::Witness), sim.now())
        .unwrap();
    let bytes = String::from_utf8(forged.to_bytes()).unwrap();
    // The last character before the padding carries bits of the signature.
    let at = bytes.trim_end().len() - 6;
    let other = if &bytes[at..=at] == "A" { "B" } else { "A" };
    let bytes = format!("{}{other}{}", &bytes[..at], &bytes[at + 1..]);
    assert!(SignedNote::parse(bytes.as_bytes()).is_ok());
    let message = |counter, note: Vec<u8>| Message::Heads {
        session: u64::MAX,
        counter,
        notes: vec![note],
    };
    sim.expect_faults();
    sim.inject(1, 0, &message(1, bytes.into_bytes()));
    sim.drain()?;
    assert!(size_of(log(&sim, 0, 0).witnessed.as_ref()) < own.size);
    sim.inject(1, 0, &message(2, forged.to_bytes()));
    sim.drain()?;
    assert_eq!(size_of(log(&sim, 0, 0).witnessed.as_ref()), own.size);
    Ok(())
}

#[test]
fn a_cosignature_from_the_far_future_is_not_taken_over() -> Done {
    let mut sim = published()?;
    sim.crash(3)?;
    sim.auditor_away(true);
    sim.append(0, 1, &[1])?;
    sim.run_for(5)?;
    let own = log(&sim, 0, 0);
    let name = hashpact_protocol::log::witness_name(&sim.setup(3).origin);
    let signer = sim.setup(3).signer(KeyUse::Witness);
    sim.expect_faults();
    let show = |sim: &mut Sim, counter, ahead_s| {
        let mut note = own.head.as_ref().unwrap().signed_note().unwrap();
        let at = Timestamp::new(sim.now().get() + ahead_s);
        note.cosign(&name, &signer, at).unwrap();
        let notes = vec![note.to_bytes()];
        let session = u64::MAX;
        let message = Message::Heads {
            session,
            counter,
            notes,
        };
        sim.inject(1, 0, &message);
        sim.drain().map(drop)
    };
    // Dated like this it would be fresh for ever, and nothing newer could take its place.
    show(&mut sim, 1, 100 * limits::CLOCK_SKEW_S)?;
    assert!(size_of(log(&sim, 0, 0).witnessed.as_ref()) < own.size);
    show(&mut sim, 2, 60)?;
    assert_eq!(size_of(log(&sim, 0, 0).witnessed.as_ref()), own.size);
    Ok(())
}

#[test]
fn after_a_start_nothing_is_signed_before_enough_others_were_heard() -> Done {
    let mut sim = published()?;
    sim.auditor_away(true);
    sim.crash(0)?;
    sim.restart(0)?;
    let labels = || vec![class_labels(sim.setup(0), 9)];
    let define = Command::Define(labels());
    let again = Command::Define(labels());
    let last = Command::Define(labels());
    let unconfirmed = |have| Some(Err(CommandError::Unconfirmed { have, needed: 3 }));
    assert_eq!(sim.command(0, define)?, unconfirmed(0));
    sim.connect(0, 1)?;
    sim.drain()?;
    sim.connect(0, 2)?;
    sim.drain()?;
    assert_eq!(sim.command(0, again)?, unconfirmed(2));
    sim.connect(0, 3)?;
    sim.drain()?;
    assert!(matches!(sim.command(0, last)?, Some(Ok(_))));
    Ok(())
}

#[test]
fn a_restored_centre_gets_its_log_back_and_never_forks() -> Done {
    let mut sim = published()?;
    let backup = sim.memory(0).clone();
    let live: Vec<_> = sim.live(0, 0).into_iter().collect();
    sim.append(0, 3, &[1, 2])?;
    sim.retract(0, &live[..1])?;
    sim.append(1, 2, &[1])?;
    sim.settle()?;
    let (held, seen) = (log(&sim, 0, 0), log(&sim, 1, 0));
    sim.restore(0, backup.clone())?;
    assert!(log(&sim, 0, 0).size < held.size);
    sim.connect_all()?;
    sim.deliver_to(0)?;
    let labels = class_labels(sim.setup(0), 11);
    let refused = sim.command(0, Command::Define(vec![labels]))?;
    assert!(
        matches!(refused, Some(Err(CommandError::Behind { .. }))),
        "{refused:?}"
    );
    sim.run_for(120)?;
    let regained = log(&sim, 0, 0);
    assert_eq!((regained.size, regained.root), (seen.size, seen.root));
    assert_eq!(sim.live(0, 0), sim.live(1, 0));
    assert_eq!(sim.drops(), []);
    sim.is_honest_again(0);
    sim.append(0, 1, &[1])?;
    sim.run_for(60)?;
    assert_eq!(sim.live(2, 0), sim.live(0, 0));
    assert_eq!(log(&sim, 2, 0).root, log(&sim, 0, 0).root);
    // What it cosigned since the backup it cannot know: its keys for that are retired.
    for use_ in [KeyUse::Witness, KeyUse::Mirror] {
        let key = sim.setup(0).signer(use_).public().key_id();
        assert!(sim.memory(0).is_retired(&key));
    }
    let before = sim.now();
    sim.append(1, 1, &[1])?;
    sim.run_for(60)?;
    let state = log(&sim, 1, 1);
    let witnesses = Cosigners::witnesses(sim.roster().roster(), &sim.setup(1).origin);
    let note = state.witnessed.as_ref().unwrap().signed_note().unwrap();
    let standing = witnesses.standing(&note, state.size);
    assert!(standing.is_witnessed() && standing.witnessed_at() >= Some(before));
    assert_eq!(standing.missing, ["eu"]);
    Ok(())
}

#[test]
fn a_centre_that_lost_everything_but_its_keys_gets_its_log_back() -> Done {
    let mut sim = published()?;
    // A later roster stands in the middle of its log, and is put in force again while there is no log yet.
    sim.issue_roster(|_| {});
    (0..4).try_for_each(|n| sim.apply_roster(n))?;
    sim.append(0, 2, &[1])?;
    sim.settle()?;
    let empty = hashpact_protocol::testing::memory::Memory::default();
    let seen = log(&sim, 1, 0);
    sim.restore(0, empty)?;
    sim.apply_roster(0)?;
    assert_eq!(log(&sim, 0, 0).size, 0);
    sim.connect_all()?;
    sim.run_for(120)?;
    let regained = log(&sim, 0, 0);
    assert_eq!((regained.size, regained.root), (seen.size, seen.root));
    assert_eq!(sim.live(0, 0), sim.live(1, 0));
    assert!(sim.centre(0).unwrap().is_retired());
    let alarm = |event: &Event| matches!(event, Event::Fork { .. } | Event::Frozen { .. });
    assert!(!sim.events().iter().any(|(_, event)| alarm(event)));
    sim.is_honest_again(0);
    sim.append(0, 1, &[1])?;
    sim.run_for(60)?;
    assert_eq!(sim.live(2, 0), sim.live(0, 0));
    Ok(())
}

/// Over QUIC nobody is told that a process died: what is shown to the new one must not wait for the old connection's end.
#[test]
fn a_centre_that_starts_again_unnoticed_is_told_at_once_and_once() -> Done {
    let mut sim = published()?;
    let tell = |sim: &mut Sim, counter| {
        let (session, notes) = (u64::MAX, Vec::new());
        let message = Message::Heads {
            session,
            counter,
            notes,
        };
        let before = sim.counts().messages;
        sim.inject(0, 1, &message);
        sim.deliver_to(1)?;
        Ok::<_, Violation>(sim.counts().messages - before)
    };
    // Its heads, and how far it is with retractions.
    assert_eq!(tell(&mut sim, 1)?, 2);
    assert_eq!(tell(&mut sim, 2)?, 0);
    Ok(())
}

/// One witness over HTTP, or whoever stands in the way to it, cannot stop a centre or make it throw its keys away.
#[test]
fn a_witness_that_claims_to_have_seen_more_must_show_it() -> Done {
    for with_note in [false, true] {
        let mut sim = published()?;
        let mut note = Vec::new();
        if with_note {
            // Signed by a key of its own.
            let signer = hashpact_keys::Signer::from_seed(&[5; 32]);
            let (origin, root) = (sim.setup(0).origin.clone(), [1; 32]);
            let forged = hashpact_protocol::log::Checkpoint {
                origin,
                size: 9_000,
                root,
            };
            note = forged.sign(&signer).note().to_vec();
        }
        sim.auditor_lies(Some(Lie::Ahead(note)));
        sim.append(0, 1, &[1])?;
        sim.run_for(60)?;
        assert!(sim.counts().submissions > 1);
        assert_eq!(sim.centre(0).unwrap().behind(), None);
        assert!(!sim.centre(0).unwrap().is_retired());
        let own = log(&sim, 0, 0);
        assert_eq!(size_of(own.witnessed.as_ref()), own.size);
    }
    Ok(())
}

#[test]
fn a_witness_that_shows_more_of_our_log_under_our_signature_is_believed() -> Done {
    let mut sim = published()?;
    let backup = sim.memory(0).clone();
    sim.append(0, 3, &[1])?;
    sim.settle()?;
    sim.run_for(10)?;
    let seen = log(&sim, 0, 0).size;
    // Nobody else is there.
    (1..4).try_for_each(|n| sim.crash(n))?;
    sim.restore(0, backup)?;
    sim.run_for(10)?;
    assert_eq!(sim.centre(0).unwrap().behind(), Some(seen));
    Ok(())
}

/// An answer that holds nothing of the witness's own is no word of the witness's, and is no reason to ask again at once.
#[test]
fn an_answer_without_the_cosignature_that_was_asked_for_counts_for_nothing() -> Done {
    for lie in [Lie::OtherKey, Lie::Old(2 * limits::RECOSIGN_S)] {
        let mut sim = published()?;
        // Keys are as old as the network.
        sim.advance(3 * limits::RECOSIGN_S)?;
        sim.auditor_lies(Some(lie.clone()));
        sim.append(0, 1, &[1])?;
        let before = sim.counts().submissions;
        sim.run_for(60)?;
        let asked = sim.counts().submissions - before;
        // Four centres, each of whom waits twice as long after each time.
        assert!((2..32).contains(&asked), "{lie:?}: asked {asked} times");
        let own = log(&sim, 0, 0);
        let (witnesses, _) = standing(&sim, &own);
        let missing = witnesses.missing.iter().any(|name| name == keys::AUDITOR);
        assert_eq!(missing, lie == Lie::OtherKey);
    }
    // Nor does it say how much of our log the witness has seen.
    for lie in [Lie::OtherKey, Lie::Old(2 * limits::RECOSIGN_S)] {
        let mut sim = published()?;
        sim.advance(3 * limits::RECOSIGN_S)?;
        sim.auditor_lies(Some(lie));
        sim.crash(0)?;
        sim.restart(0)?;
        sim.run_for(10)?;
        assert_eq!(sim.centre(0).unwrap().unconfirmed(), Some((0, 3)));
    }
    Ok(())
}

/// A liar that says nothing and a laggard that knows nothing newer must not be enough to let an old disk sign.
#[test]
fn one_liar_and_one_laggard_do_not_make_a_restored_disk_sign() -> Done {
    let mut sim = published()?;
    let backup = sim.memory(0).clone();
    sim.crash(3)?;
    sim.append(0, 3, &[1])?;
    sim.run_for(30)?;
    let own = log(&sim, 0, 0);
    assert_eq!(
        size_of(own.witnessed.as_ref()),
        own.size,
        "us, ca and the auditor"
    );
    sim.auditor_away(true);
    sim.restore(0, backup)?;
    sim.restart(3)?;
    sim.crash(2)?;
    sim.connect(0, 3)?;
    sim.puppet(1, hashpact_protocol::testing::memory::Memory::default())?;
    sim.connect(0, 1)?;
    let silence = Message::Heads {
        session: u64::MAX,
        counter: 1,
        notes: Vec::new(),
    };
    sim.inject(1, 0, &silence);
    sim.run_for(30)?;
    let labels = class_labels(sim.setup(0), 9);
    let refused = sim.command(0, Command::Define(vec![labels]))?;
    let unconfirmed = CommandError::Unconfirmed { have: 2, needed: 3 };
    assert_eq!(refused, Some(Err(unconfirmed)));
    Ok(())
}

/// The key that signed since may be one that only a newer roster holds: then nobody has said that no more was seen.
#[test]
fn a_larger_head_of_ours_under_an_unknown_key_is_no_agreement() -> Done {
    let mut sim = published()?;
    let own = log(&sim, 0, 0);
    sim.crash(0)?;
    sim.restart(0)?;
    sim.expect_faults();
    sim.auditor_away(true);
    let newer = hashpact_protocol::log::Checkpoint {
        origin: sim.setup(0).origin.clone(),
        size: own.size + 9,
        root: [1; 32],
    };
    let newer = newer.sign(&sim.setup(1).signer(KeyUse::Log));
    for n in 1..4 {
        let disk = sim.memory(n).clone();
        sim.puppet(n, disk)?;
        sim.connect(0, n)?;
        let notes = vec![newer.note().to_vec()];
        let (session, counter) = (u64::MAX, 1);
        sim.inject(
            n,
            0,
            &Message::Heads {
                session,
                counter,
                notes,
            },
        );
    }
    sim.drain()?;
    assert_eq!(sim.centre(0).unwrap().unconfirmed(), Some((0, 3)));
    Ok(())
}

/// A relay that repeats the log's own line leaves no room for anybody else's.
#[test]
fn copies_of_the_logs_line_do_not_keep_cosignatures_out() -> Done {
    let mut sim = published()?;
    (1..4).try_for_each(|n| sim.disconnect(0, n))?;
    sim.append(0, 1, &[1])?;
    let own = log(&sim, 0, 0);
    let note = String::from_utf8(own.head.as_ref().unwrap().note().to_vec()).unwrap();
    let line = note
        .lines()
        .find(|line| line.starts_with('\u{2014}'))
        .unwrap();
    let full = format!("{note}{}", format!("{line}\n").repeat(60));
    assert!(SignedNote::parse(full.as_bytes()).is_ok());
    sim.expect_faults();
    let disk = sim.memory(0).clone();
    sim.answer_from(2, &sim.setup(0).origin.clone(), disk);
    let notes = vec![full.into_bytes()];
    let (session, counter) = (u64::MAX, 1);
    sim.inject(
        2,
        1,
        &Message::Heads {
            session,
            counter,
            notes,
        },
    );
    sim.run_for(5)?;
    let held = log(&sim, 1, 0).head.unwrap();
    assert_eq!(held.checkpoint().size, own.size);
    let roles = sim.centre(2).unwrap().roles(&sim.setup(0).origin);
    let standing = roles
        .witnesses
        .standing(&held.signed_note().unwrap(), own.size);
    assert!(
        standing.cosigned.iter().any(|(holder, _)| holder == "us"),
        "{standing:?}"
    );
    Ok(())
}

#[test]
fn a_peer_that_withholds_our_own_records_is_not_what_we_get_back() -> Done {
    let mut sim = published()?;
    let live = sim.live(0, 0);
    sim.restore(0, hashpact_protocol::testing::memory::Memory::default())?;
    // The last peer that is asked withholds: every class by its root, and the retractions as they are.
    let origin = sim.setup(0).origin.clone();
    let disk = sim.memory(1).clone();
    let files = {
        let (disk, origin) = (disk.clone(), origin.clone());
        move |path: &str| disk.log_file(&origin, path)
    };
    let size = disk.log(&origin).size;
    sim.tamper(move |server, request, bytes| {
        let BulkRequest::Body {
            origin: of,
            seq,
            section,
            ..
        } = request
        else {
            return Some(bytes);
        };
        if of != &origin || server != 1 || *section > 0 {
            return Some(bytes);
        }
        let index = disk.delta_index(&origin, *seq)?;
        let leaf = read_leaves(&files, size, index, index + 1).ok()?;
        let Ok(Leaf::Delta { table, .. }) = Leaf::from_bytes(leaf.first()?) else {
            return Some(bytes);
        };
        let retractions = BulkRequest::Body {
            origin: origin.clone(),
            seq: *seq,
            section: RETRACTION_SECTION,
            offset: 0,
            under: None,
        };
        let withheld = table.classes.iter().flat_map(withheld_section);
        Some(withheld.chain(disk.read(&retractions).ok()?).collect())
    });
    sim.connect_all()?;
    sim.run_for(300)?;
    assert_eq!(sim.live(0, 0), live);
    Ok(())
}

/// Of a log without a leaf there is nothing to cosign, and yet it must be known that nobody has seen one.
#[test]
fn a_log_begins_where_only_an_auditor_can_say_that_nobody_has_seen_it() -> Done {
    let mut sim = Sim::witnessed(1, 1)?;
    sim.run_for(10)?;
    let own = log(&sim, 0, 0);
    assert_eq!((own.size, size_of(own.witnessed.as_ref())), (1, 1));
    sim.append(0, 2, &[1])?;
    sim.run_for(10)?;
    let seen = log(&sim, 0, 0);
    assert_eq!(size_of(seen.witnessed.as_ref()), seen.size);
    // Lost, it does not begin a second time: the auditor has seen more.
    sim.restore(0, hashpact_protocol::testing::memory::Memory::default())?;
    sim.run_for(10)?;
    assert_eq!(log(&sim, 0, 0).size, 0);
    assert_eq!(sim.centre(0).unwrap().behind(), Some(seen.size));
    Ok(())
}

#[test]
fn a_log_does_not_begin_while_the_only_witness_is_away() -> Done {
    let mut sim = Sim::witnessed(1, 1)?;
    sim.auditor_away(true);
    sim.crash(0)?;
    sim.restart(0)?;
    sim.run_for(60)?;
    assert!(sim.counts().submissions == 0 && log(&sim, 0, 0).size == 0);
    sim.auditor_away(false);
    sim.run_for(60)?;
    assert_eq!(log(&sim, 0, 0).size, 1);
    Ok(())
}
