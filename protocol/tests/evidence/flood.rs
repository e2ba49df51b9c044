//! One centre says more than anybody could read: what it fills is its own room, and nobody else's time.

use hashpact_protocol::centre::{Command, CommandError};
use hashpact_protocol::evidence::{Code, Draft, EvidenceError, Lift, Member, Order, Vote};
use hashpact_protocol::fingerprint::Algorithm;
use hashpact_protocol::limits;
use hashpact_protocol::record::{EntryId, Revision};
use hashpact_protocol::testing::sim::Sim;
use hashpact_protocol::transfer::Opening;
use hashpact_protocol::view::{Shelf, View as _};
use hashpact_protocol::wire::Message;

use super::network::{
    Done, FIRST, by, by_two, dispute, entries, hold, issue, kept, open, order, refused, say,
    subject, what,
};

const DAY: u64 = 86_400;

fn too_many(sim: &Sim, n: usize) -> CommandError {
    let centre = sim.setup(n).id.clone();
    EvidenceError::TooMany { centre }.into()
}

#[test]
fn naming_revisions_that_do_not_exist_makes_no_room_for_more_words_about_one_entry() -> Done {
    let mut sim = open(101, 3)?;
    sim.append(0, 1, &[1])?;
    sim.settle()?;
    let entry = entries(&sim, 0)[0];
    let most = u32::try_from(limits::EVIDENCE_PER_ENTRY).unwrap_or(0);
    let of = |sim: &Sim, n| dispute(subject(sim, 0, entry, Revision(n)));
    let drafts = (1..=most).map(|n| of(&sim, n)).collect();
    issue(&mut sim, 1, drafts)?;
    let more = Command::Issue(vec![of(&sim, most + 1)]);
    let error = refused(&mut sim, 1, more)?;
    assert_eq!(error, too_many(&sim, 1));
    Ok(())
}

#[test]
fn holds_that_are_over_and_holds_in_heaps_rest_nowhere() -> Done {
    let mut sim = open(102, 3)?;
    sim.append(0, 1, &[1])?;
    sim.settle()?;
    let all = entries(&sim, 0);
    let late = by_two(&sim, 1, &Order::Hold(hold(&sim, 1, 0, &all, 1)));
    for days in 2..2 + limits::HOLDS_PER_ENTRY {
        let placed = Order::Hold(hold(&sim, 1, 0, &all, days));
        order(&mut sim, 1, &placed)?;
    }
    let more = by_two(&sim, 1, &Order::Hold(hold(&sim, 1, 0, &all, 9)));
    let error = refused(&mut sim, 1, Command::Order { signed: more })?;
    assert_eq!(error, too_many(&sim, 1));
    sim.run_for(10)?;
    assert!(what(&sim, 2, 0, all[0]).hold);
    sim.advance(8 * DAY)?;
    sim.run_for(30)?;
    // From another as well as from its own people.
    sim.inject(2, 0, &Message::Evidence(vec![late.clone()]));
    sim.run_for(3)?;
    let error = refused(&mut sim, 1, Command::Order { signed: late })?;
    assert_eq!(error, EvidenceError::Over.into());
    for n in 0..3 {
        assert!(sim.memory(n).shelf(Shelf::Mark, b"E").is_empty());
        assert!(sim.memory(n).shelf(Shelf::Mark, b"H").is_empty());
    }
    assert_eq!((kept(&sim, 0), kept(&sim, 2)), (0, 0));
    // And there is room again.
    let again = Order::Hold(hold(&sim, 1, 0, &all, 1));
    order(&mut sim, 1, &again)?;
    Ok(())
}

#[test]
fn one_member_has_one_standing_vote_and_votes_take_no_room_from_disputes_and_reasons() -> Done {
    let mut sim = open(103, 2)?;
    sim.append(0, 1, &[1])?;
    sim.settle()?;
    let entry = entries(&sim, 0)[0];
    let subject = subject(&sim, 0, entry, FIRST);
    let vote = |member: u64, code, algorithm| Draft::Feedback {
        subject: subject.clone(),
        member: Member((u128::from(member) + 1).to_be_bytes()),
        vote: Vote::Negative,
        code: Some(code),
        algorithm,
    };
    for code in [Code::Adult, Code::NotCsam, Code::Collision] {
        for algorithm in [None, Some(Algorithm::Md5), Some(Algorithm::Pdq)] {
            say(&mut sim, 1, vote(0, code, algorithm))?;
        }
    }
    sim.run_for(10)?;
    assert_eq!(kept(&sim, 0), 1);
    assert_eq!(what(&sim, 0, 0, entry).feedback.negative, 1);
    for n in 1..limits::WORDS_PER_ENTRY {
        say(&mut sim, 1, vote(n, Code::Adult, None))?;
    }
    let more = vec![vote(limits::WORDS_PER_ENTRY, Code::Adult, None)];
    let error = refused(&mut sim, 1, Command::Issue(more))?;
    assert_eq!(error, too_many(&sim, 1));
    say(&mut sim, 1, dispute(subject.clone()))?;
    sim.run_for(30)?;
    assert_eq!(what(&sim, 0, 0, entry).disputes.len(), 1);
    Ok(())
}

#[test]
fn words_about_entries_that_do_not_exist_take_little_room_and_come_again() -> Done {
    let mut sim = open(104, 2)?;
    let most = limits::UNPLACED_PER_CENTRE;
    let drafts: Vec<_> = (0..=most as u128)
        .map(|n| dispute(subject(&sim, 0, EntryId((n + 1).to_be_bytes()), FIRST)))
        .collect();
    for drafts in drafts.chunks(limits::DRAFTS_AT_ONCE) {
        issue(&mut sim, 1, drafts.to_vec())?;
        sim.run_for(5)?;
    }
    sim.run_for(60)?;
    assert_eq!(kept(&sim, 0), most);
    // About a log that no roster names nothing is kept at all.
    let mut other = subject(&sim, 0, EntryId([1; 16]), FIRST);
    other.origin = hashpact_protocol::testing::keys::CentreSetup::numbered(7).origin;
    let error = refused(&mut sim, 1, Command::Issue(vec![dispute(other)]))?;
    assert_eq!(error, EvidenceError::Unknown.into());
    Ok(())
}

#[test]
fn a_lift_that_comes_before_its_hold_is_passed_on_with_it() -> Done {
    let mut sim = open(105, 4)?;
    sim.append(0, 1, &[1])?;
    sim.settle()?;
    for n in [0, 2, 3] {
        sim.disconnect(1, n)?;
    }
    sim.disconnect(2, 3)?;
    let all = entries(&sim, 0);
    let placed = Order::Hold(hold(&sim, 1, 0, &all, 3));
    let of = order(&mut sim, 1, &placed)?;
    let lift = Lift {
        by: by(&sim, 1),
        hold: of,
    };
    let lift = order(&mut sim, 1, &Order::Lift(lift))?;
    for hash in [lift, of] {
        let row = sim.memory(1).kept(Shelf::Evidence, &hash);
        let signed = row.and_then(|row| Opening::from_bytes(&row).ok());
        let signed = signed.map(|it| it.signed).unwrap_or_default();
        sim.inject(2, 0, &Message::Evidence(vec![signed]));
        sim.run_for(3)?;
    }
    sim.run_for(60)?;
    assert_eq!(kept(&sim, 3), 2);
    assert!(!what(&sim, 3, 0, all[0]).hold);
    Ok(())
}
