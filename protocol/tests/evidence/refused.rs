//! Objects that no honest centre makes or passes on, and how much is kept of one centre.

use hashpact_keys::KeyUse;
use hashpact_keys::cose::{Sign1, sign1};
use hashpact_keys::roster::Revocation;
use hashpact_protocol::centre::{Command, CommandError, Event, Reason};
use hashpact_protocol::evidence::{Code, Draft, EvidenceError, Field, Kind, Order, Surge};
use hashpact_protocol::limits;
use hashpact_protocol::testing::keys::CentreSetup;
use hashpact_protocol::testing::sim::Sim;
use hashpact_protocol::transfer::Opening;
use hashpact_protocol::view::{Shelf, View as _};
use hashpact_protocol::wire::Message;

use super::network::{
    Done, FIRST, by, by_two, dispute, entries, events, hold, kept, open, origin, refused, say,
    subject, what,
};

/// A dispute as centre 1 of another network of the same shape signed it.
#[expect(clippy::expect_used, reason = "what was said is there")]
fn signed(sim: &mut Sim, n: usize) -> Result<Vec<u8>, hashpact_protocol::testing::sim::Violation> {
    let entry = entries(sim, 0)[0];
    let draft = dispute(subject(sim, 0, entry, FIRST));
    let hash = say(sim, n, draft)?;
    let row = sim.memory(n).kept(Shelf::Evidence, &hash).expect("a row");
    Ok(Opening::from_bytes(&row).expect("an opening").signed)
}

/// A network with an entry of centre 0, and an object that centre 1 made and nobody else has.
fn apart(seed: u64) -> Result<(Sim, Vec<u8>), hashpact_protocol::testing::sim::Violation> {
    let mut sim = open(seed, 3)?;
    sim.append(0, 1, &[1])?;
    sim.settle()?;
    sim.expect_faults();
    for n in [0, 2] {
        sim.disconnect(1, n)?;
    }
    let signed = signed(&mut sim, 1)?;
    sim.run_for(5)?;
    assert_eq!((kept(&sim, 0), kept(&sim, 2)), (0, 0));
    Ok((sim, signed))
}

fn pass(sim: &mut Sim, objects: Vec<Vec<u8>>) -> Done {
    sim.inject(2, 0, &Message::Evidence(objects));
    sim.run_for(3)
}

fn dropped(sim: &Sim) -> Vec<&EvidenceError> {
    let mut dropped = Vec::new();
    for (_, _, reason) in sim.drops() {
        if let Reason::Evidence(error) = reason {
            dropped.push(error);
        }
    }
    dropped
}

#[test]
fn a_forged_object_is_not_kept_and_who_passes_it_on_is_dropped() -> Done {
    let (mut sim, signed) = apart(11)?;
    let mut forged = signed.clone();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    // Beside a good one: nothing of the message is kept.
    pass(&mut sim, vec![signed, forged])?;
    assert!(matches!(dropped(&sim)[..], [EvidenceError::Envelope(_)]));
    assert_eq!(kept(&sim, 0), 0);
    Ok(())
}

#[test]
fn an_object_moved_to_another_kind_is_refused() -> Done {
    let (mut sim, signed) = apart(12)?;
    let envelope = Sign1::parse(&signed, Kind::Dispute.context());
    let payload = envelope.map(|it| it.peek().to_vec()).unwrap_or_default();
    let key = sim.setup(1).signer(KeyUse::Attest);
    // The same payload under the same key as something else.
    let moved = sign1(&key, Kind::Withdrawal.context(), &payload);
    pass(&mut sim, vec![moved])?;
    assert!(matches!(dropped(&sim)[..], [EvidenceError::Shape(_)]));
    assert_eq!(kept(&sim, 0), 0);
    Ok(())
}

#[test]
fn an_object_signed_with_another_key_of_its_centre_is_refused() -> Done {
    let (mut sim, signed) = apart(13)?;
    let envelope = Sign1::parse(&signed, Kind::Dispute.context());
    let payload = envelope.map(|it| it.peek().to_vec()).unwrap_or_default();
    let delta = sim.setup(1).signer(KeyUse::Delta);
    pass(
        &mut sim,
        vec![sign1(&delta, Kind::Dispute.context(), &payload)],
    )?;
    // A key that this roster does not give that use another may: it is not kept, and nobody is dropped.
    assert!(dropped(&sim).is_empty());
    let refused = |event: &Event| {
        matches!(
            event,
            Event::EvidenceRefused {
                error: EvidenceError::Key(_),
                ..
            }
        )
    };
    assert_eq!(events(&sim, refused), [0]);
    assert_eq!(kept(&sim, 0), 0);
    Ok(())
}

#[test]
fn a_strangers_object_is_not_kept() -> Done {
    let (mut sim, signed) = apart(14)?;
    let stranger = CentreSetup::numbered(7);
    let envelope = Sign1::parse(&signed, Kind::Dispute.context());
    let mut payload = envelope.map(|it| it.peek().to_vec()).unwrap_or_default();
    let at = payload.windows(3).position(|it| it == b"\x62us");
    if let Some(at) = at {
        payload[at + 1..at + 3].copy_from_slice(b"x7");
    }
    let key = stranger.signer(KeyUse::Attest);
    pass(
        &mut sim,
        vec![sign1(&key, Kind::Dispute.context(), &payload)],
    )?;
    let refused = |event: &Event| {
        matches!(
            event,
            Event::EvidenceRefused {
                error: EvidenceError::Centre { .. },
                ..
            }
        )
    };
    assert_eq!(events(&sim, refused), [0]);
    assert_eq!(kept(&sim, 0), 0);
    Ok(())
}

#[test]
fn an_object_of_another_network_is_refused() -> Done {
    let (mut sim, _) = apart(15)?;
    let mut other = Sim::witnessed(16, 3)?;
    other.connect_all()?;
    let network = other.roster().roster().network;
    let order = Order::Hold(hashpact_protocol::evidence::Hold {
        by: hashpact_protocol::evidence::OrderBy {
            network,
            ..by(&sim, 1)
        },
        ..hold(&sim, 1, 0, &entries(&sim, 0), 3)
    });
    let signed = by_two(&sim, 1, &order);
    pass(&mut sim, vec![signed])?;
    assert!(matches!(dropped(&sim)[..], [EvidenceError::Network { .. }]));
    assert_eq!(kept(&sim, 0), 0);
    Ok(())
}

#[test]
fn an_oversized_object_is_refused_before_it_is_read() -> Done {
    let (mut sim, _) = apart(17)?;
    pass(&mut sim, vec![vec![0; limits::EVIDENCE_BYTES + 1]])?;
    assert!(
        sim.drops()
            .iter()
            .any(|(_, _, reason)| matches!(reason, Reason::Malformed(_)))
    );
    assert_eq!(kept(&sim, 0), 0);
    Ok(())
}

#[test]
fn what_concerns_its_maker_alone_is_nobody_elses() -> Done {
    let (mut sim, _) = apart(18)?;
    let surge = Order::Surge(Surge {
        by: by(&sim, 1),
        origin: origin(&sim, 0),
        day: u32::try_from(sim.now().get() / 86_400).unwrap_or(0),
        up_to: 1_000_000,
    });
    let signed = by_two(&sim, 1, &surge);
    pass(&mut sim, vec![signed])?;
    assert!(matches!(dropped(&sim)[..], [EvidenceError::Stays { .. }]));
    assert_eq!(kept(&sim, 0), 0);
    Ok(())
}

#[test]
fn nobody_gives_the_reason_of_a_retraction_but_its_origin() -> Done {
    let (mut sim, signed) = apart(19)?;
    let entry = entries(&sim, 0)[0];
    // Centre 1 for an entry of centre 0: its own log is what its core writes, so the bytes are made here.
    let reason = Draft::Reason {
        entry,
        revision: FIRST,
        code: Code::NotCsam,
    };
    let hash = say(&mut sim, 1, reason)?;
    let row = sim
        .memory(1)
        .kept(Shelf::Evidence, &hash)
        .unwrap_or_default();
    let own = Opening::from_bytes(&row)
        .map(|it| it.signed)
        .unwrap_or_default();
    let envelope = Sign1::parse(&own, Kind::Reason.context());
    let payload = envelope.map(|it| it.peek().to_vec()).unwrap_or_default();
    let text = String::from_utf8_lossy(&payload).into_owned();
    assert!(text.contains("us.example/us/1"));
    let (from, to) = (b"us.example/us/1", b"eu.example/eu/1");
    let at = payload.windows(from.len()).position(|it| it == from);
    let mut payload = payload;
    if let Some(at) = at {
        payload[at..at + to.len()].copy_from_slice(to);
    }
    let key = sim.setup(1).signer(KeyUse::Attest);
    pass(
        &mut sim,
        vec![signed, sign1(&key, Kind::Reason.context(), &payload)],
    )?;
    assert!(matches!(
        dropped(&sim)[..],
        [EvidenceError::NotTheOrigin { .. }]
    ));
    assert_eq!(kept(&sim, 0), 0);
    Ok(())
}

#[test]
fn a_dispute_as_superseded_and_no_drafts_and_too_many_are_refused() -> Done {
    let (mut sim, _) = apart(20)?;
    let entry = entries(&sim, 0)[0];
    let draft = Draft::Dispute {
        subject: subject(&sim, 0, entry, FIRST),
        field: Field::Entry,
        code: Code::Superseded,
    };
    let error = refused(&mut sim, 1, Command::Issue(vec![draft.clone()]))?;
    assert!(matches!(
        error,
        CommandError::Evidence(EvidenceError::Value { .. })
    ));
    for got in [0, limits::DRAFTS_AT_ONCE + 1] {
        let drafts = vec![draft.clone(); got];
        let error = refused(&mut sim, 1, Command::Issue(drafts))?;
        assert_eq!(error, CommandError::Drafts { got });
    }
    Ok(())
}

#[test]
fn one_centre_fills_nobodys_disk_with_words_about_one_record() -> Done {
    let mut sim = open(21, 3)?;
    sim.append(0, 1, &[1])?;
    sim.settle()?;
    let entry = entries(&sim, 0)[0];
    let subject = subject(&sim, 0, entry, FIRST);
    let said = |n: u64| Draft::Attestation {
        subject: subject.clone(),
        assessor: Some(hashpact_protocol::assess::Assessor(
            u128::from(n).to_be_bytes(),
        )),
        basis: hashpact_protocol::assess::Basis::Viewed,
        values: Box::new(hashpact_protocol::testing::attestations::values()),
    };
    let most = limits::WORDS_PER_ENTRY;
    let drafts: Vec<_> = (1..=most).map(said).collect();
    super::network::issue(&mut sim, 1, drafts)?;
    let more = Command::Issue(vec![said(most + 1)]);
    let centre = sim.setup(1).id.clone();
    let error = refused(&mut sim, 1, more)?;
    assert_eq!(error, EvidenceError::TooMany { centre }.into());
    sim.run_for(10)?;
    assert_eq!(kept(&sim, 2) as u64, most);
    // Others are heard as before.
    say(&mut sim, 2, dispute(subject))?;
    sim.run_for(10)?;
    assert_eq!(what(&sim, 0, 0, entry).disputes.len(), 1);
    Ok(())
}

#[test]
fn what_a_revoked_key_signed_counts_no_more() -> Done {
    let mut sim = open(22, 3)?;
    sim.append(0, 1, &[1])?;
    sim.settle()?;
    let entry = entries(&sim, 0)[0];
    let draft = dispute(subject(&sim, 0, entry, FIRST));
    say(&mut sim, 1, draft)?;
    sim.run_for(10)?;
    assert_eq!(what(&sim, 2, 0, entry).disputes.len(), 1);
    let (key, log) = (
        sim.setup(1).signer(KeyUse::Attest).public(),
        origin(&sim, 1),
    );
    sim.issue_roster(|draft| {
        draft.revocations.push(Revocation {
            key: key.key_id(),
            origin: log,
            size: 1,
        });
    });
    for n in 0..3 {
        sim.apply_roster(n)?;
    }
    sim.run_for(60)?;
    for n in [0, 2] {
        assert!(what(&sim, n, 0, entry).disputes.is_empty());
        assert_eq!(kept(&sim, n), 0);
    }
    // Its maker keeps the bytes, for whoever audits the leaf.
    assert_eq!(kept(&sim, 1), 1);
    assert!(what(&sim, 1, 0, entry).disputes.is_empty());
    // And says so once, however often it looks again.
    let told = |sim: &Sim| sim.changed().iter().filter(|(at, _)| *at == 1).count();
    let before = told(&sim);
    sim.issue_roster(|_| {});
    for n in 0..3 {
        sim.apply_roster(n)?;
    }
    sim.run_for(60)?;
    assert_eq!(told(&sim), before);
    Ok(())
}
