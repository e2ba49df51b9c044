//! A retracted entry comes back under a higher revision and a fresh attestation, and in no other way.

use hashpact_protocol::assess::{Assessor, Basis, EntryFacts, ReleaseRule, Stated};
use hashpact_protocol::evidence::{Code, Draft};
use hashpact_protocol::record::Revision;
use hashpact_protocol::testing::attestations;
use hashpact_protocol::testing::sim::{Sim, Violation};

use super::network::{Done, FIRST, entries, of_revision, open, say, subject};

const SECOND: Revision = Revision(2);

/// An entry of centre 0 that was retracted for this reason, and put again as its second revision.
fn put_again(seed: u64, code: Code) -> Result<Sim, Violation> {
    let mut sim = open(seed, 3)?;
    let mut record = hashpact_protocol::testing::record(1);
    sim.publish(0, vec![record.clone()], Vec::new(), &[1])?;
    sim.settle()?;
    sim.retract(0, &[(record.entry, FIRST)])?;
    let reason = Draft::Reason {
        entry: record.entry,
        revision: FIRST,
        code,
    };
    say(&mut sim, 0, reason)?;
    sim.run_for(10)?;
    record.revision = SECOND;
    sim.publish(0, vec![record], Vec::new(), &[1])?;
    sim.settle()?;
    Ok(sim)
}

/// Whether enough have looked at the second revision, by what a centre knows.
fn is_released(sim: &Sim, n: usize, rule: ReleaseRule) -> bool {
    let entry = hashpact_protocol::testing::record(1).entry;
    let subject = subject(sim, 0, entry, SECOND);
    let mut record = hashpact_protocol::testing::record(1);
    record.fields.pubertal_stage = attestations::values().pubertal_stage;
    let labels = hashpact_protocol::testing::labels();
    let stated = Stated {
        subject: &subject,
        labels: &labels,
        fields: &record.fields,
    };
    let known = of_revision(sim, n, 0, entry, SECOND);
    EntryFacts::at_release(&stated, &known, rule).quorum
}

fn attest(sim: &mut Sim, n: usize, revision: Revision, basis: Basis) -> Done {
    let entry = hashpact_protocol::testing::record(1).entry;
    let draft = Draft::Attestation {
        subject: subject(sim, 0, entry, revision),
        assessor: Some(Assessor([u8::try_from(n + 1).unwrap_or(1); 16])),
        basis,
        values: Box::new(attestations::values()),
    };
    say(sim, n, draft)?;
    sim.run_for(5)
}

#[test]
fn the_same_revision_never_comes_back() -> Done {
    let mut sim = open(61, 3)?;
    let record = hashpact_protocol::testing::record(1);
    sim.publish(0, vec![record.clone()], Vec::new(), &[1])?;
    sim.settle()?;
    sim.retract(0, &[(record.entry, FIRST)])?;
    sim.settle()?;
    sim.publish(0, vec![record], Vec::new(), &[1])?;
    sim.settle()?;
    for n in 0..3 {
        assert!(sim.live(n, 0).is_empty());
    }
    Ok(())
}

#[test]
fn a_retracted_entry_is_released_again_under_a_higher_revision_with_a_fresh_attestation_only()
-> Done {
    let mut sim = put_again(62, Code::NotCsam)?;
    for n in 0..3 {
        assert_eq!(sim.live(n, 0).into_values().collect::<Vec<_>>(), [SECOND]);
        assert!(!is_released(&sim, n, ReleaseRule::Origin), "at home too");
    }
    // Not with an old attestation, and not with one of somebody who did not look.
    attest(&mut sim, 1, FIRST, Basis::Viewed)?;
    attest(&mut sim, 1, SECOND, Basis::MetadataOnly)?;
    assert!(!is_released(&sim, 0, ReleaseRule::Origin));
    attest(&mut sim, 2, SECOND, Basis::Viewed)?;
    for n in 0..3 {
        assert!(is_released(&sim, n, ReleaseRule::Origin));
        assert!(
            !is_released(&sim, n, ReleaseRule::TWO_CENTRES),
            "one has looked"
        );
    }
    attest(&mut sim, 0, SECOND, Basis::Viewed)?;
    assert!(is_released(&sim, 1, ReleaseRule::TWO_CENTRES));
    Ok(())
}

#[test]
fn a_revision_that_supersedes_needs_no_new_look() -> Done {
    let sim = put_again(63, Code::Superseded)?;
    for n in 0..3 {
        assert!(is_released(&sim, n, ReleaseRule::Origin));
    }
    assert_eq!(entries(&sim, 0).len(), 1);
    Ok(())
}

#[test]
fn an_error_is_not_made_good_by_a_later_word_that_it_was_superseded() -> Done {
    let mut sim = put_again(65, Code::Adult)?;
    let reason = Draft::Reason {
        entry: hashpact_protocol::testing::record(1).entry,
        revision: FIRST,
        code: Code::Superseded,
    };
    say(&mut sim, 0, reason)?;
    sim.run_for(10)?;
    for n in 0..3 {
        assert!(!is_released(&sim, n, ReleaseRule::Origin));
    }
    attest(&mut sim, 2, SECOND, Basis::Viewed)?;
    assert!(is_released(&sim, 0, ReleaseRule::Origin));
    Ok(())
}

#[test]
fn a_new_revision_begins_without_the_disputes_of_the_old_one() -> Done {
    let mut sim = put_again(64, Code::WrongDepiction)?;
    let entry = entries(&sim, 0)[0];
    let old = super::network::dispute(subject(&sim, 0, entry, FIRST));
    say(&mut sim, 1, old)?;
    sim.run_for(5)?;
    assert_eq!(of_revision(&sim, 2, 0, entry, FIRST).disputes.len(), 1);
    assert!(of_revision(&sim, 2, 0, entry, SECOND).disputes.is_empty());
    Ok(())
}
