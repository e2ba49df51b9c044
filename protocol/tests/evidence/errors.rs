//! Errors travel: what was retracted as no such material flags the entries of others with the same file.

use hashpact_protocol::assess::OpenDispute;
use hashpact_protocol::evidence::{Code, Draft};
use hashpact_protocol::fingerprint::{Algorithm, Fingerprint};
use hashpact_protocol::record::{EntryId, Print, Record, Revision};
use hashpact_protocol::testing::{self, sim::Sim};

use super::network::{Done, FIRST, entries, of_revision, open, origin, rule, ruled, say, what};

const NOT_AU: &str = "forbid (principal == Centre::\"au\", action == Action::\"share\", resource);";

/// The same file in the list of another centre.
fn same(record: &Record, id: u8) -> Record {
    let mut other = testing::record(900 + u64::from(id));
    other.fields.prints.truncate(1);
    other.fields.prints[0] = record.fields.prints[1].clone();
    other.entry = EntryId([id; 16]);
    other
}

/// Centres 0, 1 and 2 list one file, and centre 1 another one besides.
fn network(mut sim: Sim) -> Result<Sim, hashpact_protocol::testing::sim::Violation> {
    let record = testing::record(1);
    sim.publish(0, vec![record.clone()], Vec::new(), &[1])?;
    sim.publish(
        1,
        vec![same(&record, 1), testing::record(2)],
        Vec::new(),
        &[1],
    )?;
    sim.publish(2, vec![same(&record, 2)], Vec::new(), &[1])?;
    sim.settle()?;
    Ok(sim)
}

fn retract(sim: &mut Sim, n: usize, entry: EntryId, code: Code) -> Done {
    sim.retract(n, &[(entry, FIRST)])?;
    let reason = Draft::Reason {
        entry,
        revision: FIRST,
        code,
    };
    say(sim, n, reason)?;
    sim.run_for(40)
}

#[test]
fn a_retraction_as_an_error_flags_every_others_entry_of_the_file_at_every_holder() -> Done {
    for code in [Code::Adult, Code::NotCsam, Code::Collision] {
        let mut sim = network(open(51, 4)?)?;
        let entry = entries(&sim, 0)[0];
        retract(&mut sim, 0, entry, code)?;
        let by = sim.setup(0).clone();
        let voice = OpenDispute {
            centre: by.id.clone(),
            country: by.jurisdiction.clone(),
        };
        for n in 0..4 {
            for (log, entry) in [(1, EntryId([1; 16])), (2, EntryId([2; 16]))] {
                let known = what(&sim, n, log, entry);
                assert_eq!(known.flagged, [(by.id.clone(), code)], "{n} {log}");
                assert_eq!(known.disputes, std::slice::from_ref(&voice));
            }
            let other = what(&sim, n, 1, testing::record(2).entry);
            assert!(other.flagged.is_empty() && other.disputes.is_empty());
            // And each was told to ask again.
            let told = sim.changed().iter().filter(|(at, _)| *at == n);
            let told = told.flat_map(|(_, it)| &it.entries);
            assert!(told.filter(|(log, _)| *log == origin(&sim, 2)).count() == 1);
        }
    }
    Ok(())
}

#[test]
fn a_retraction_for_another_reason_flags_nobody() -> Done {
    for code in [
        Code::Superseded,
        Code::AgeUndetermined,
        Code::WrongDepiction,
        Code::RightsRequest,
        Code::OtherLaw,
    ] {
        let mut sim = network(open(52, 3)?)?;
        let entry = entries(&sim, 0)[0];
        retract(&mut sim, 0, entry, code)?;
        for n in 0..3 {
            assert!(what(&sim, n, 1, EntryId([1; 16])).flagged.is_empty());
        }
    }
    Ok(())
}

#[test]
fn a_reason_without_a_retraction_flags_nobody() -> Done {
    let mut sim = network(open(53, 3)?)?;
    let reason = Draft::Reason {
        entry: entries(&sim, 0)[0],
        revision: FIRST,
        code: Code::Collision,
    };
    say(&mut sim, 0, reason)?;
    sim.run_for(40)?;
    for n in 0..3 {
        assert!(what(&sim, n, 1, EntryId([1; 16])).flagged.is_empty());
    }
    Ok(())
}

#[test]
fn an_entry_of_the_file_that_comes_later_is_flagged_too_and_flags_survive_a_crash() -> Done {
    let mut sim = network(open(54, 4)?)?;
    let entry = entries(&sim, 0)[0];
    retract(&mut sim, 0, entry, Code::Collision)?;
    sim.crash(2)?;
    sim.publish(3, vec![same(&testing::record(1), 3)], Vec::new(), &[1])?;
    sim.run_for(40)?;
    sim.restart(2)?;
    sim.connect_all()?;
    sim.settle()?;
    sim.run_for(40)?;
    for n in 0..4 {
        for (log, id) in [(1, 1), (2, 2), (3, 3)] {
            assert_eq!(
                what(&sim, n, log, EntryId([id; 16])).flagged.len(),
                1,
                "{n} {log}"
            );
        }
    }
    Ok(())
}

#[test]
fn whoever_looks_again_and_issues_a_new_revision_is_not_flagged_for_the_same_error() -> Done {
    let mut sim = network(open(55, 3)?)?;
    let entry = entries(&sim, 0)[0];
    retract(&mut sim, 0, entry, Code::Collision)?;
    let mut again = same(&testing::record(1), 1);
    again.revision = Revision(2);
    let ended = hashpact_protocol::delta::Retraction {
        entry: again.entry,
        revision: FIRST,
    };
    sim.publish(1, vec![again], vec![ended], &[1])?;
    sim.run_for(60)?;
    for n in 0..3 {
        let known = of_revision(&sim, n, 1, EntryId([1; 16]), Revision(2));
        assert!(known.flagged.is_empty());
        assert_eq!(what(&sim, n, 1, EntryId([1; 16])).flagged.len(), 1);
    }
    Ok(())
}

#[test]
fn a_perceptual_fingerprint_carries_no_error() -> Done {
    let mut sim = open(56, 3)?;
    let pdq = Fingerprint::new(Algorithm::Pdq, &[0x5a; 32]);
    let Ok(pdq) = pdq.map(Print::plain) else {
        unreachable!("32 bytes")
    };
    let of = |n: u64| {
        let mut record = testing::record(n);
        record.fields.prints.push(pdq.clone());
        record
    };
    sim.publish(0, vec![of(1)], Vec::new(), &[1])?;
    sim.publish(1, vec![of(2)], Vec::new(), &[1])?;
    sim.settle()?;
    let entry = entries(&sim, 0)[0];
    retract(&mut sim, 0, entry, Code::Collision)?;
    assert!(
        what(&sim, 2, 1, testing::record(2).entry)
            .flagged
            .is_empty()
    );
    Ok(())
}

#[test]
fn who_may_not_have_the_class_learns_of_no_error_in_it() -> Done {
    let mut sim = ruled(57, 4)?;
    rule(&mut sim, 0, NOT_AU)?;
    sim.run_for(10)?;
    let mut sim = network(sim)?;
    let entry = entries(&sim, 0)[0];
    retract(&mut sim, 0, entry, Code::NotCsam)?;
    sim.run_for(60)?;
    assert_eq!(what(&sim, 2, 1, EntryId([1; 16])).flagged.len(), 1);
    assert!(what(&sim, 3, 1, EntryId([1; 16])).flagged.is_empty());
    Ok(())
}
