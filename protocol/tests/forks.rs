//! Logs with two faces: what becomes of them, whoever shows which, and how a centre goes on after it.
#![cfg(feature = "testing")]

use hashpact_keys::KeyUse;
use hashpact_protocol::centre::{Command, CommandError, Event, Reason};
use hashpact_protocol::delta::{ClassTable, RetractionEntry, Seq};
use hashpact_protocol::labels::ClassId;
use hashpact_protocol::log::{Branches, ForkProof, Leaf, SignedCheckpoint, read_leaves, root_at};
use hashpact_protocol::testing::forge::Forge;
use hashpact_protocol::testing::keys;
use hashpact_protocol::testing::sim::{Sim, Violation, class_labels};
use hashpact_protocol::view::View as _;
use hashpact_protocol::wire::{BulkRequest, Message};

type Done = Result<(), Violation>;

/// A leaf of a kind that this version does not read.
fn leaf(n: u8) -> Vec<u8> {
    vec![0x82, 0x06, n % 20]
}

/// A log of centre 0 with `common` leaves that both branches share, and then these many of its own in each branch.
fn branches(sim: &Sim, common: u8, ours: u8, theirs: u8) -> (Forge, Forge) {
    let mut forge = Forge::new(sim.setup(0), sim.roster());
    if common > 0 {
        forge.extend(&(0..common).map(leaf).collect::<Vec<_>>());
    }
    let mut other = forge.clone();
    forge.extend(
        &(0..ours)
            .map(|n| vec![0x82, 0x07, n % 20])
            .collect::<Vec<_>>(),
    );
    other.extend(&(0..theirs).map(leaf).collect::<Vec<_>>());
    (forge, other)
}

fn head(sim: &Sim, forge: &Forge) -> Vec<u8> {
    let head = forge.memory().log(&sim.setup(0).origin).head;
    head.map_or_else(Vec::new, |head| head.note().to_vec())
}

/// The disk of `by` becomes this branch, and it shows it to centre 1.
fn show(sim: &mut Sim, forge: &Forge, by: usize, counter: u64) -> Done {
    sim.puppet(by, forge.memory().clone())?;
    sim.connect(by, 1)?;
    let notes = vec![head(sim, forge)];
    sim.inject(
        by,
        1,
        &Message::Heads {
            session: 9,
            counter,
            notes,
        },
    );
    sim.drain().map(drop)
}

fn frozen(sim: &Sim, n: usize) -> Option<u64> {
    sim.memory(n).log(&sim.setup(0).origin).frozen
}

#[test]
fn the_last_common_size_is_found_whatever_the_sizes() -> Done {
    for (common, ours, theirs) in [
        (0, 1, 1),
        (1, 1, 1),
        (5, 3, 9),
        (5, 9, 3),
        (8, 8, 1),
        (8, 1, 8),
        (31, 2, 70),
        (64, 64, 1),
    ] {
        let mut sim = Sim::new(1, 4, true)?;
        let (forge, other) = branches(&sim, common, ours, theirs);
        sim.expect_faults();
        (2..4).try_for_each(|n| sim.connect(1, n))?;
        show(&mut sim, &forge, 0, 1)?;
        // Only centre 1 sees the other branch.
        sim.disconnect(0, 1)?;
        show(&mut sim, &other, 0, 2)?;
        sim.run_for(5)?;
        let case = format!("{common} {ours} {theirs}");
        let origin = sim.setup(0).origin.clone();
        for n in 1..4 {
            assert_eq!(
                frozen(&sim, n),
                Some(u64::from(common)),
                "{case}: centre {n}"
            );
            let text = sim.memory(n).fork(&origin).unwrap();
            let proof = ForkProof::from_text(&text).unwrap();
            let fact = proof.verify(sim.roster().roster(), sim.now()).unwrap();
            assert_eq!(
                (fact.origin, fact.common, fact.is_tight),
                (origin.clone(), Some(u64::from(common)), true),
                "{case}"
            );
        }
        assert_eq!(sim.drops(), [], "{case}");
    }
    Ok(())
}

#[test]
fn a_relay_that_brings_the_other_branch_is_not_parted_from() -> Done {
    let mut sim = Sim::new(1, 3, true)?;
    let (forge, other) = branches(&sim, 4, 2, 2);
    show(&mut sim, &forge, 0, 1)?;
    show(&mut sim, &other, 2, 1)?;
    sim.run_for(5)?;
    assert_eq!(frozen(&sim, 1), Some(4));
    assert_eq!(sim.drops(), []);
    let origin = sim.setup(0).origin.clone();
    assert_eq!(
        sim.memory(1).log(&origin).root,
        forge.memory().log(&origin).root
    );
    Ok(())
}

#[test]
fn an_origin_that_does_not_stand_by_its_other_face_is_frozen_at_nothing() -> Done {
    let mut sim = Sim::new(1, 3, true)?;
    let (forge, other) = branches(&sim, 4, 2, 2);
    show(&mut sim, &forge, 0, 1)?;
    sim.tamper(|_, request, bytes| {
        (!matches!(request, BulkRequest::Proof { .. })).then_some(bytes)
    });
    show(&mut sim, &other, 0, 2)?;
    sim.run_for(5)?;
    assert_eq!(frozen(&sim, 1), Some(0));
    // Whoever answers wrongly is parted from, whoever does not answer may only have been cut off.
    assert_eq!(sim.drops(), []);
    // As soon as somebody stands by it, it is known where the branches part.
    sim.tamper_no_more();
    sim.connect(1, 2)?;
    show(&mut sim, &other, 2, 1)?;
    sim.run_for(5)?;
    assert_eq!(frozen(&sim, 1), Some(4));
    Ok(())
}

/// What shows a larger common size can be left out of a proof, and the rest still holds.
#[test]
fn a_proof_without_its_evidence_lowers_nothing() -> Done {
    let mut sim = Sim::new(1, 3, true)?;
    let (forge, other) = branches(&sim, 6, 3, 3);
    sim.expect_faults();
    sim.connect(1, 2)?;
    show(&mut sim, &forge, 0, 1)?;
    sim.disconnect(0, 1)?;
    show(&mut sim, &other, 0, 2)?;
    sim.run_for(5)?;
    assert_eq!([frozen(&sim, 1), frozen(&sim, 2)], [Some(6), Some(6)]);
    let text = sim.memory(1).fork(&sim.setup(0).origin).unwrap();
    let text = String::from_utf8(text).unwrap();
    let keep = |line: &&str| !line.starts_with("common-") && !line.starts_with("parts-");
    let bare: Vec<&str> = text.split('\n').filter(keep).collect();
    let bare = bare.join("\n").replace("common 6", "common 0");
    let fact = ForkProof::from_text(bare.as_bytes()).unwrap();
    let fact = fact.verify(sim.roster().roster(), sim.now()).unwrap();
    assert_eq!((fact.common, fact.is_tight), (Some(0), false));
    sim.inject(2, 1, &Message::Fork(bare.clone().into_bytes()));
    sim.run_for(5)?;
    assert_eq!(frozen(&sim, 1), Some(6));
    // Whoever hears the bare one first ends where all others do.
    let (mut late, _) = (Sim::new(1, 3, true)?, ());
    late.expect_faults();
    late.connect(1, 2)?;
    show(&mut late, &forge, 0, 1)?;
    late.inject(2, 1, &Message::Fork(bare.into_bytes()));
    late.run_for(5)?;
    assert_eq!(frozen(&late, 1), Some(0));
    late.inject(2, 1, &Message::Fork(text.into_bytes()));
    late.run_for(5)?;
    assert_eq!(frozen(&late, 1), Some(6));
    Ok(())
}

/// A relay answers with leaves that an honest checkpoint does not continue: that is no fork of the log.
#[test]
fn a_relay_that_lies_about_an_honest_log_is_parted_from_and_accuses_nobody() -> Done {
    let mut sim = Sim::new(1, 3, true)?;
    let (forge, _) = branches(&sim, 4, 2, 2);
    show(&mut sim, &forge, 0, 1)?;
    let mut longer = forge.clone();
    longer.extend(&[leaf(7), leaf(8)]);
    sim.tamper(|_, request, mut bytes| {
        if matches!(request, BulkRequest::Suffix { .. }) {
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
        }
        Some(bytes)
    });
    show(&mut sim, &longer, 2, 1)?;
    sim.run_for(5)?;
    let accused =
        |(_, event): &(usize, Event)| matches!(event, Event::Fork { .. } | Event::Frozen { .. });
    assert!(!sim.events().iter().any(accused), "{:?}", sim.events());
    let relay = sim.setup(2).id.clone();
    assert!(
        matches!(sim.drops(), [(1, dropped, Reason::Fork)] if *dropped == relay),
        "{:?}",
        sim.drops()
    );
    Ok(())
}

#[test]
fn a_branch_that_is_larger_and_turns_out_to_be_garbage_freezes_nobody() -> Done {
    let mut sim = Sim::new(1, 3, true)?;
    let (forge, _) = branches(&sim, 4, 2, 2);
    show(&mut sim, &forge, 0, 1)?;
    // A relay answers with leaves that the checkpoint, which is honest, does not continue.
    let mut longer = forge.clone();
    longer.extend(&[leaf(7), leaf(8)]);
    sim.tamper(|_, request, mut bytes| {
        if matches!(request, BulkRequest::Suffix { .. }) {
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
        }
        Some(bytes)
    });
    show(&mut sim, &longer, 2, 1)?;
    sim.run_for(5)?;
    assert_eq!(frozen(&sim, 1), None);
    sim.tamper_no_more();
    sim.connect(1, 2)?;
    let notes = vec![head(&sim, &longer)];
    sim.inject(
        2,
        1,
        &Message::Heads {
            session: 9,
            counter: 2,
            notes,
        },
    );
    sim.run_for(200)?;
    let origin = sim.setup(0).origin.clone();
    assert_eq!(sim.memory(1).log(&origin).size, 8);
    Ok(())
}

#[test]
fn a_proof_that_proves_nothing_freezes_nobody_and_parts_from_its_sender() -> Done {
    let mut sim = Sim::new(1, 3, true)?;
    let (forge, _) = branches(&sim, 4, 2, 2);
    sim.expect_faults();
    sim.connect(1, 2)?;
    sim.drain()?;
    sim.inject(
        2,
        1,
        &Message::Fork(b"hashpact fork proof v1\nkind checkpoints\n".to_vec()),
    );
    sim.drain()?;
    assert!(matches!(sim.drops(), [(1, _, Reason::ForkProof(_))]));
    // Two heads of one history under the right signatures.
    let origin = sim.setup(0).origin.clone();
    let old = forge.clone();
    let mut new = forge;
    new.extend(&[leaf(9)]);
    let size = new.memory().log(&origin).size;
    let files = |path: &str| new.memory().log_file(&origin, path);
    let path = hashpact_protocol::log::consistency_proof(&files, size, size - 1, size).unwrap();
    let proof =
        ForkProof::checkpoints(&head(&sim, &old), &head(&sim, &new), path, None, None).unwrap();
    sim.connect(1, 2)?;
    sim.drain()?;
    sim.inject(2, 1, &Message::Fork(proof.to_text().into_bytes()));
    sim.drain()?;
    assert_eq!(sim.drops().len(), 2);
    assert_eq!(frozen(&sim, 1), None);
    Ok(())
}

#[test]
fn two_headers_of_one_number_freeze_the_log_before_the_first() -> Done {
    let mut sim = Sim::new(1, 3, true)?;
    let mut forge = Forge::new(sim.setup(0), sim.roster());
    sim.expect_faults();
    (1..3).try_for_each(|n| sim.connect(n, (n + 1) % 3))?;
    let labels = vec![class_labels(sim.setup(0), 1)];
    let definitions = forge.definitions(0, &labels);
    let classes = forge.define(&definitions, &forge.signer(KeyUse::Delta));
    let table = |count| ClassTable {
        classes: vec![hashpact_protocol::delta::ClassEntry {
            class: ClassId(0),
            count,
            root: [1; 32],
        }],
        retractions: RetractionEntry {
            count: 0,
            root: [2; 32],
        },
    };
    let first = forge.delta(&forge.header(&table(1)), &table(1));
    let again = forge.delta(&forge.header(&table(2)), &table(2));
    forge.extend(&[classes, first]);
    sim.connect(0, 2)?;
    show(&mut sim, &forge, 0, 1)?;
    sim.drain()?;
    forge.extend(&[again]);
    show(&mut sim, &forge, 0, 2)?;
    sim.run_for(5)?;
    // Leaf 1 is the first of the two.
    assert_eq!([frozen(&sim, 1), frozen(&sim, 2)], [Some(1), Some(1)]);
    let text = sim.memory(2).fork(&sim.setup(0).origin).unwrap();
    let fact = ForkProof::from_text(&text)
        .unwrap()
        .verify(sim.roster().roster(), sim.now())
        .unwrap();
    assert!(matches!(
        fact.branches,
        Branches::Headers { seq: Seq(0), .. }
    ));
    Ok(())
}

/// A witnessed network in which everybody has one delta of centre 0, and centre 0 then shows centre 1 another past.
fn forked() -> Result<Sim, Violation> {
    let mut sim = Sim::witnessed(1, 4)?;
    sim.connect_all()?;
    sim.drain()?;
    sim.append(0, 3, &[1])?;
    sim.settle()?;
    let backup = sim.memory(0).clone();
    sim.append(0, 2, &[1])?;
    sim.run_for(60)?;
    // The same keys sign another delta of the same number on another machine.
    let mut twin = Sim::witnessed(1, 4)?;
    twin.restore(0, backup)?;
    twin.connect(0, 1)?;
    let mut evil = Forge::of(sim.setup(0), sim.roster(), twin.memory(0));
    evil.extend(&[leaf(1), leaf(2), leaf(3)]);
    sim.expect_faults();
    sim.inject(
        2,
        1,
        &Message::Heads {
            session: u64::MAX,
            counter: 1,
            notes: vec![head(&sim, &evil)],
        },
    );
    let disk = evil.memory().clone();
    sim.answer_from(2, &sim.setup(0).origin.clone(), disk);
    sim.run_for(30)?;
    Ok(sim)
}

#[test]
fn a_forked_log_is_frozen_everywhere_signs_no_more_and_still_retracts() -> Done {
    let mut sim = forked()?;
    let origin = sim.setup(0).origin.clone();
    let common = frozen(&sim, 1).unwrap();
    for n in 0..4 {
        assert_eq!(frozen(&sim, n), Some(common), "centre {n}");
    }
    let state = sim.memory(2).log(&origin);
    assert!(
        common > 0 && common < state.size,
        "{common} of {}",
        state.size
    );
    // Delta 0 stands before the fork, delta 1 behind it.
    assert_eq!((state.witnessed_seq, state.applied), (Seq(1), Seq(2)));
    let refused = sim.command(0, Command::Define(vec![class_labels(sim.setup(0), 9)]))?;
    assert_eq!(refused, Some(Err(CommandError::Frozen { size: common })));
    // A witness says nothing about it any more, however long it waits.
    let cosigned = |sim: &Sim| {
        let state = sim.memory(2).log(&origin);
        let note = state.head.as_ref().unwrap().signed_note().unwrap();
        let roles = sim.centre(1).unwrap().roles(&origin);
        let own = roles.witnesses.iter().find(|one| one.holder == "ca");
        own.and_then(|own| own.cosigned_at(&note, state.size))
    };
    let before = cosigned(&sim);
    assert!(before.is_some());
    sim.run_for(8_000)?;
    assert_eq!(cosigned(&sim), before);
    assert!(
        !sim.centre(2)
            .unwrap()
            .is_fresh(&origin, &sim.memory(2).log(&origin), sim.now())
    );
    Ok(())
}

#[test]
fn who_was_away_hears_of_the_fork_when_it_comes_back() -> Done {
    let mut sim = Sim::new(1, 3, true)?;
    let (forge, other) = branches(&sim, 4, 2, 2);
    show(&mut sim, &forge, 0, 1)?;
    sim.disconnect(0, 1)?;
    show(&mut sim, &other, 0, 2)?;
    sim.run_for(5)?;
    assert_eq!(frozen(&sim, 2), None);
    sim.crash(1)?;
    sim.restart(1)?;
    sim.connect(1, 2)?;
    sim.run_for(5)?;
    assert_eq!(frozen(&sim, 2), Some(4));
    let told = Event::Frozen {
        origin: sim.setup(0).origin.clone(),
        size: 4,
    };
    assert!(sim.events().contains(&(2, told)));
    Ok(())
}

#[test]
fn a_roster_gives_the_centre_a_new_line_that_commits_to_the_old_one() -> Done {
    let mut sim = forked()?;
    let old = sim.setup(0).origin.clone();
    let common = frozen(&sim, 0).unwrap();
    let next: hashpact_keys::Origin = old.as_str().replace("/1", "/2").parse().unwrap();
    let line = next.clone();
    sim.issue_roster(move |draft| {
        let centres = draft.centres.iter_mut();
        centres
            .filter(|centre| centre.origin == old)
            .for_each(|centre| centre.origin = line.clone());
    });
    sim.set_origin(0, next.clone());
    (0..4).try_for_each(|n| sim.apply_roster(n))?;
    sim.run_for(120)?;
    let state = sim.memory(0).log(&next);
    let files = |path: &str| sim.memory(0).log_file(&next, path);
    let leaves = read_leaves(&files, state.size, 0, 1).unwrap();
    let Ok(Leaf::Resumed { size, origin, .. }) = Leaf::from_bytes(&leaves[0]) else {
        panic!("the first leaf resumes");
    };
    assert_eq!((size, origin.epoch()), (common, 1));
    assert_eq!(
        state.witnessed.as_ref().map(SignedCheckpoint::checkpoint),
        state.head.as_ref().map(SignedCheckpoint::checkpoint)
    );
    sim.append(0, 2, &[1])?;
    sim.run_for(60)?;
    for n in 1..4 {
        assert_eq!(sim.memory(n).live(&next).len(), 2, "centre {n}");
        // What the old line put and nobody disputes is held on.
        assert!(
            !sim.memory(n)
                .live(&keys::CentreSetup::numbered(0).origin)
                .is_empty()
        );
    }
    Ok(())
}

/// A centre whose log was closed may not say that less of it stands than its receivers know.
#[test]
fn a_resumption_that_drops_history_is_not_taken() -> Done {
    for shown in [None, Some(1_u64), Some(0)] {
        let mut sim = forked()?;
        let old = sim.setup(0).origin.clone();
        let common = frozen(&sim, 1).unwrap();
        let next = old.next_epoch().unwrap();
        let line = next.clone();
        let of_old = old.clone();
        sim.issue_roster(move |draft| {
            let centres = draft.centres.iter_mut();
            let closed = centres.filter(|centre| centre.origin == of_old);
            closed.for_each(|centre| centre.origin = line.clone());
        });
        (1..4).try_for_each(|n| sim.apply_roster(n))?;
        sim.set_origin(0, next.clone());
        let mut forge = Forge::new(sim.setup(0), sim.roster());
        let root = |size| {
            let files = |path: &str| sim.memory(1).log_file(&old, path);
            root_at(&files, sim.memory(1).log(&old).size, size).unwrap()
        };
        let first = match shown {
            None => leaf(1),
            Some(size) => Leaf::Resumed {
                origin: old.clone(),
                size,
                root: root(size),
                proof: [1; 32],
            }
            .to_bytes()
            .unwrap(),
        };
        assert!(common > 1);
        forge.extend(&[first]);
        sim.puppet(0, forge.memory().clone())?;
        sim.connect(0, 1)?;
        let head = forge.memory().log(&next).head.unwrap();
        let notes = vec![head.note().to_vec()];
        let (session, counter) = (u64::MAX, 1);
        sim.inject(
            0,
            1,
            &Message::Heads {
                session,
                counter,
                notes,
            },
        );
        sim.run_for(20)?;
        assert_eq!(sim.memory(1).log(&next).size, 0, "{shown:?}");
    }
    Ok(())
}
