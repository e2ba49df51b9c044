//! Objects reach whoever has the record, by the ways on which it came, and nobody else; through loss and crashes.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;

use hashpact_protocol::assess::{Assessor, Basis};
use hashpact_protocol::audit::export_openings;
use hashpact_protocol::evidence::Code;
use hashpact_protocol::evidence::{
    Draft, Field, Member, Object, Verdict, Vote, object, objects_of,
};
use hashpact_protocol::labels::State;
use hashpact_protocol::log::{Leaf, read_leaves};
use hashpact_protocol::testing::attestations;
use hashpact_protocol::testing::sim::Fuse;
use hashpact_protocol::transfer::Opening;
use hashpact_protocol::view::{Shelf, View as _};
use hashpact_protocol::wire::Message;

use super::network::{
    Done, FIRST, dispute, entries, far, issue, kept, open, origin, owed, rule, ruled, say, subject,
    what,
};

const NOT_AU: &str = "forbid (principal == Centre::\"au\", action == Action::\"share\", resource);";

#[test]
fn two_centres_of_two_countries_make_an_entry_disputed_and_one_does_not() -> Done {
    let mut sim = open(1, 4)?;
    sim.append(0, 2, &[1])?;
    sim.settle()?;
    let entry = entries(&sim, 0)[0];
    let subject = subject(&sim, 0, entry, FIRST);
    say(&mut sim, 1, dispute(subject.clone()))?;
    sim.run_for(5)?;
    for n in 0..4 {
        assert_eq!(what(&sim, n, 0, entry).disputes.len(), 1);
        assert_eq!(state(&sim, n, entry), State::Assessed);
    }
    // Said twice it is one voice.
    let again = Draft::Dispute {
        subject: subject.clone(),
        field: Field::Entry,
        code: Code::NotCsam,
    };
    say(&mut sim, 1, again)?;
    sim.run_for(5)?;
    assert_eq!(state(&sim, 3, entry), State::Assessed);
    say(&mut sim, 2, dispute(subject))?;
    sim.run_for(5)?;
    for n in 0..4 {
        assert_eq!(state(&sim, n, entry), State::Disputed);
        assert_eq!(owed(&sim, n), 0);
        let changed = sim.changed().iter().filter(|(at, _)| *at == n);
        let entries = changed.flat_map(|(_, changed)| &changed.entries);
        assert_eq!(entries.filter(|(_, it)| *it == entry).count(), 3);
    }
    // And nothing of the other entry.
    assert!(what(&sim, 3, 0, entries(&sim, 0)[1]).disputes.is_empty());
    Ok(())
}

/// The effective state of an assessed entry with what a centre knows of it.
fn state(
    sim: &hashpact_protocol::testing::sim::Sim,
    n: usize,
    entry: hashpact_protocol::record::EntryId,
) -> State {
    use hashpact_protocol::assess::{Stated, effective_state};
    let labels = hashpact_protocol::testing::labels();
    let record = hashpact_protocol::testing::record(1);
    let subject = subject(sim, 0, entry, FIRST);
    let stated = Stated {
        subject: &subject,
        labels: &labels,
        fields: &record.fields,
    };
    effective_state(&stated, &what(sim, n, 0, entry).disputes)
}

#[test]
fn a_dispute_that_is_withdrawn_counts_no_more_and_nobody_else_withdraws_it() -> Done {
    let mut sim = open(2, 3)?;
    sim.append(0, 1, &[1])?;
    sim.settle()?;
    let entry = entries(&sim, 0)[0];
    let subject = subject(&sim, 0, entry, FIRST);
    let of = say(&mut sim, 1, dispute(subject))?;
    sim.run_for(5)?;
    let command = hashpact_protocol::centre::Command::Issue(vec![Draft::Withdrawal { of }]);
    let error = super::network::refused(&mut sim, 2, command)?;
    assert_eq!(
        error,
        hashpact_protocol::evidence::EvidenceError::Unknown.into()
    );
    say(&mut sim, 1, Draft::Withdrawal { of })?;
    sim.run_for(5)?;
    for n in 0..3 {
        assert!(what(&sim, n, 0, entry).disputes.is_empty());
    }
    Ok(())
}

#[test]
fn feedback_of_a_member_reaches_the_origin_alone_and_its_answer_comes_back() -> Done {
    let mut sim = ruled(3, 3)?;
    sim.append(0, 1, &[1])?;
    sim.settle()?;
    let entry = entries(&sim, 0)[0];
    let voted = |vote, code, member| Draft::Feedback {
        subject: subject(&sim, 0, entry, FIRST),
        member: Member([member; 16]),
        vote,
        code,
        algorithm: None,
    };
    let drafts = vec![
        voted(Vote::Affirmative, None, 1),
        voted(Vote::Negative, Some(Code::Adult), 2),
    ];
    let hashes = issue(&mut sim, 1, drafts)?;
    sim.run_for(5)?;
    let votes = what(&sim, 0, 0, entry).feedback;
    assert_eq!((votes.affirmative, votes.negative), (1, 1));
    // A member's word is no dispute, and nobody else's business.
    assert!(what(&sim, 0, 0, entry).disputes.is_empty());
    assert_eq!(kept(&sim, 2), 0);
    let answer = Draft::Answer {
        of: hashes[1],
        verdict: Verdict::Declined,
        code: None,
    };
    let answer = say(&mut sim, 0, answer)?;
    sim.run_for(5)?;
    assert!(
        matches!(object(sim.memory(1), &answer), Some(Object::Answer(it)) if it.of == hashes[1])
    );
    assert_eq!((kept(&sim, 2), owed(&sim, 0), owed(&sim, 1)), (0, 0, 0));
    Ok(())
}

#[test]
fn only_who_was_given_the_class_hears_of_an_object() -> Done {
    let mut sim = ruled(4, 4)?;
    rule(&mut sim, 0, NOT_AU)?;
    sim.run_for(10)?;
    sim.append(0, 2, &[1])?;
    sim.settle()?;
    assert!(sim.live(3, 0).is_empty() && !sim.live(2, 0).is_empty());
    let entry = entries(&sim, 0)[0];
    let subject = subject(&sim, 0, entry, FIRST);
    say(&mut sim, 1, dispute(subject.clone()))?;
    let reason = Draft::Reason {
        entry,
        revision: FIRST,
        code: Code::NotCsam,
    };
    sim.retract(0, &[(entry, FIRST)])?;
    say(&mut sim, 0, reason)?;
    sim.run_for(90)?;
    assert_eq!([kept(&sim, 0), kept(&sim, 1), kept(&sim, 2)], [2, 2, 2]);
    assert_eq!(kept(&sim, 3), 0, "it was never given the class");
    // It is given the class, and with it what is said of it.
    rule(&mut sim, 0, "")?;
    sim.run_for(120)?;
    assert_eq!(kept(&sim, 3), 2);
    Ok(())
}

#[test]
fn objects_reach_everybody_that_has_the_record_by_way_of_a_relay() -> Done {
    let mut sim = ruled(5, 3)?;
    sim.disconnect(0, 2)?;
    let labels = far(&sim, 0);
    let records = vec![hashpact_protocol::testing::record(1)];
    sim.publish_under(0, records, Vec::new(), vec![labels])?;
    sim.run_for(120)?;
    assert_eq!(sim.live(2, 0).len(), 1, "it came by the relay");
    let entry = entries(&sim, 0)[0];
    let subject = subject(&sim, 0, entry, FIRST);
    // Down the line.
    say(&mut sim, 0, dispute(subject.clone()))?;
    sim.run_for(30)?;
    assert_eq!(what(&sim, 2, 0, entry).disputes.len(), 1);
    // And up again, to the origin that is not connected.
    say(&mut sim, 2, dispute(subject))?;
    sim.run_for(30)?;
    for n in 0..3 {
        assert_eq!(what(&sim, n, 0, entry).disputes.len(), 2);
    }
    Ok(())
}

#[test]
fn nothing_is_lost_over_a_crash_at_any_step() -> Done {
    for fuse in [Fuse::BeforeCommit, Fuse::AfterCommit] {
        for dies in [1, 2] {
            let mut sim = open(6, 3)?;
            sim.append(0, 1, &[1])?;
            sim.settle()?;
            let entry = entries(&sim, 0)[0];
            let draft = dispute(subject(&sim, 0, entry, FIRST));
            sim.arm(dies, fuse);
            let command = hashpact_protocol::centre::Command::Issue(vec![draft.clone()]);
            sim.command(1, command)?;
            sim.run_for(5)?;
            sim.restart(dies)?;
            sim.connect_all()?;
            sim.run_for(60)?;
            // What was not durable was not said: it is said again.
            say(&mut sim, 1, draft)?;
            sim.run_for(30)?;
            for n in 0..3 {
                assert_eq!(
                    what(&sim, n, 0, entry).disputes.len(),
                    1,
                    "{fuse:?} {dies} {n}"
                );
                assert_eq!((kept(&sim, n), owed(&sim, n)), (1, 0));
            }
        }
    }
    Ok(())
}

#[test]
fn a_lost_message_is_sent_again_and_a_replayed_one_is_kept_once() -> Done {
    let mut sim = open(7, 3)?;
    sim.append(0, 1, &[1])?;
    sim.settle()?;
    let entry = entries(&sim, 0)[0];
    let lost = Rc::new(Cell::new(0));
    let count = Rc::clone(&lost);
    sim.lose(move |message| {
        let is_ours = matches!(message, Message::Evidence(_) | Message::Heard(_));
        let is_lost = is_ours && count.get() < 3;
        count.set(count.get() + u32::from(is_lost));
        is_lost
    });
    let draft = dispute(subject(&sim, 0, entry, FIRST));
    let hash = say(&mut sim, 1, draft)?;
    sim.run_for(300)?;
    assert_eq!(lost.get(), 3);
    for n in 0..3 {
        assert_eq!((kept(&sim, n), owed(&sim, n)), (1, 0));
    }
    let row = sim.memory(1).kept(Shelf::Evidence, &hash);
    let signed = row.and_then(|row| Opening::from_bytes(&row).ok());
    let signed = signed.map(|it| it.signed).unwrap_or_default();
    for _ in 0..3 {
        sim.inject(
            2,
            0,
            &Message::Evidence(vec![signed.clone(), signed.clone()]),
        );
        sim.run_for(2)?;
    }
    assert_eq!(kept(&sim, 0), 1);
    assert_eq!(what(&sim, 0, 0, entry).disputes.len(), 1);
    Ok(())
}

#[test]
fn who_was_away_hears_of_everything_when_it_is_back() -> Done {
    let mut sim = open(8, 3)?;
    sim.append(0, 90, &[1])?;
    sim.settle()?;
    sim.crash(2)?;
    let all = entries(&sim, 0);
    let drafts = all.iter().map(|entry| Draft::Attestation {
        subject: subject(&sim, 0, *entry, FIRST),
        assessor: Some(Assessor([3; 16])),
        basis: Basis::Viewed,
        values: Box::new(attestations::values()),
    });
    let drafts: Vec<_> = drafts.collect();
    issue(&mut sim, 1, drafts)?;
    sim.run_for(40)?;
    assert_eq!((kept(&sim, 0), owed(&sim, 1)), (90, 90));
    sim.restart(2)?;
    sim.connect_all()?;
    sim.run_for(30)?;
    for entry in all {
        assert_eq!(what(&sim, 2, 0, entry).attestations.len(), 1);
        assert_eq!(objects_of(sim.memory(2), &origin(&sim, 0), entry).len(), 1);
    }
    assert_eq!(owed(&sim, 1), 0);
    Ok(())
}

#[test]
fn every_object_that_a_centre_makes_is_sealed_in_its_log_and_no_others() -> Done {
    let mut sim = open(9, 3)?;
    sim.append(0, 2, &[1])?;
    sim.settle()?;
    let drafts = entries(&sim, 0).into_iter();
    let drafts = drafts.map(|entry| dispute(subject(&sim, 0, entry, FIRST)));
    let drafts: Vec<_> = drafts.collect();
    issue(&mut sim, 1, drafts)?;
    sim.run_for(5)?;
    for (n, sealed) in [(0, 0), (1, 2), (2, 0)] {
        let (memory, own) = (sim.memory(n), origin(&sim, n));
        let size = memory.log(&own).size;
        let files = |path: &str| memory.log_file(&own, path);
        let leaves = read_leaves(&files, size, 0, size).unwrap_or_default();
        let leaves = leaves
            .iter()
            .filter_map(|leaf| match Leaf::from_bytes(leaf) {
                Ok(Leaf::Commitment { commitment }) => Some(commitment),
                _ => None,
            });
        let leaves: BTreeSet<_> = leaves.collect();
        let rows = memory.shelf(Shelf::Evidence, &[]).into_iter();
        let rows = rows.filter_map(|(_, row)| Opening::from_bytes(&row).ok()?.commitment());
        assert_eq!(rows.collect::<BTreeSet<_>>(), leaves);
        assert_eq!(leaves.len(), sealed);
        // An auditor is given what opens them, and nothing of what others said.
        let network = sim.roster().roster().network;
        let export = export_openings(memory, network, &own, 0);
        let opened = export.map(|it| (it.bundle.opened.len(), it.missing.len()));
        assert_eq!(opened, Ok((sealed, 0)));
        assert_eq!(kept(&sim, n), 2);
    }
    Ok(())
}
