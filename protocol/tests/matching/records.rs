//! What is logged of sessions and of refusals.

use hashpact_keys::Timestamp;
use hashpact_protocol::audit::export_openings;
use hashpact_protocol::centre::{Command, CommandError, MatchRefusal, Outcome};
use hashpact_protocol::log::{Leaf, read_leaves};
use hashpact_protocol::policy::{Asker, MatchMode};
use hashpact_protocol::psi::{
    Epoch, GroupId, RecordError, RefusalCode, Role, SessionId, SessionRecord,
};
use hashpact_protocol::testing::sim::Sim;
use hashpact_protocol::view::View as _;

use crate::network::*;

/// Sealed records of matching in the log of centre 0.
pub(crate) fn sealed(sim: &Sim) -> usize {
    sealed_at(sim, 0)
}

fn sealed_at(sim: &Sim, n: usize) -> usize {
    let origin = &sim.setup(n).origin;
    let size = sim.memory(n).log(origin).size;
    let files = |path: &str| sim.memory(n).log_file(origin, path);
    let leaves = read_leaves(&files, size, 0, size).unwrap();
    let leaves = leaves.iter().map(|leaf| Leaf::from_bytes(leaf).unwrap());
    leaves
        .filter(|leaf| matches!(leaf, Leaf::MatchSession { .. }))
        .count()
}

/// What an auditor gets of a centre: every record, opened.
fn opened(sim: &mut Sim, n: usize) -> Vec<SessionRecord> {
    sim.run_for(10).unwrap();
    let network = sim.roster().roster().network;
    let origin = sim.setup(n).origin.clone();
    let export = export_openings(sim.memory(n), network, &origin, 0).unwrap();
    assert_eq!(export.missing, <Vec<u64>>::new());
    let opened = export.bundle.opened.iter();
    let records: Vec<_> = opened
        .filter_map(|opened| SessionRecord::from_bytes(&opened.signed).ok())
        .collect();
    assert_eq!(records.len(), sealed_at(sim, n));
    records
}

/// A record of a session as who answered might write it, in words that claim more than is so.
fn claimed(sim: &Sim, n: u8, principal: Asker) -> SessionRecord {
    let request = request(n, principal);
    SessionRecord {
        network: sim.roster().roster().network,
        session: request.session,
        origin: sim.setup(0).origin.clone(),
        asker: request.principal,
        role: Role::Server,
        mode: MatchMode::Labels,
        kind: 1,
        groups: vec![GroupId(9)],
        epoch: Epoch(9),
        purpose: hashpact_protocol::labels::Purpose::Remove,
        items: 7,
        received: Some(1_000),
        matches: None,
        used: 7,
        per_day: 7,
        from: Timestamp::new(7),
        until: sim.now(),
        query: Some([5; 32]),
        blinds: None,
        manifest: Some(0),
        refusal: None,
    }
}

fn close(sim: &mut Sim, record: SessionRecord) -> (Option<u64>, Vec<u8>) {
    let outcome = must(sim, Command::MatchClose(record));
    let Outcome::MatchClosed { index, record } = outcome else {
        panic!("{outcome:?}");
    };
    (index, record)
}

#[test]
fn a_session_leaves_one_record_of_what_it_was() -> Done {
    let mut sim = matching()?;
    let grant = ask(&mut sim, request(1, acme())).unwrap();
    let began = sim.now();
    sim.run_for(30)?;
    let record = claimed(&sim, 1, acme());
    let (index, bytes) = close(&mut sim, record.clone());
    assert_eq!(
        index,
        Some(sim.memory(0).log(&sim.setup(0).origin).size - 1)
    );
    // Said again it is logged once.
    let (again, same) = close(&mut sim, record);
    assert_eq!((again, &same), (None, &bytes));
    let records = opened(&mut sim, 0);
    let [record] = records.as_slice() else {
        panic!("{records:?}");
    };
    assert_eq!(record.to_bytes(), bytes);
    let asked = request(1, acme());
    assert_eq!(
        (record.mode, record.kind, record.epoch),
        (asked.mode, 3, Epoch(0))
    );
    assert_eq!((record.items, record.received), (1_000, Some(1_000)));
    assert_eq!((record.used, record.per_day), (1_000, MEMBER_DAY));
    assert_eq!((&record.groups, record.from), (&grant.groups, began));
    assert_eq!((record.query, record.refusal), (Some([5; 32]), None));
    // It is over.
    assert_eq!(ask(&mut sim, asked), Err(MatchRefusal::Taken));
    Ok(())
}

#[test]
fn a_record_of_a_session_that_nobody_opened_is_refused() -> Done {
    let mut sim = matching()?;
    let size = sim.memory(0).log(&sim.setup(0).origin).size;
    let record = claimed(&sim, 1, acme());
    let error = refused(&mut sim, Command::MatchClose(record));
    assert_eq!(error, CommandError::Match(MatchRefusal::Taken));
    // Nor one that says what cannot be.
    ask(&mut sim, request(1, acme())).unwrap();
    let received = Some(1_001);
    let record = SessionRecord {
        received,
        ..claimed(&sim, 1, acme())
    };
    let error = refused(&mut sim, Command::MatchClose(record));
    let value = matches!(error, CommandError::MatchRecord(RecordError::Value { .. }));
    assert!(value, "{error}");
    assert_eq!(sim.memory(0).log(&sim.setup(0).origin).size, size);
    Ok(())
}

#[test]
fn who_asked_logs_a_record_of_its_own() -> Done {
    let mut sim = matching()?;
    let record = SessionRecord {
        role: Role::Client,
        kind: 3,
        items: 1_000,
        matches: Some(137),
        blinds: Some([6; 32]),
        ..claimed(&sim, 1, us())
    };
    let at_us = |sim: &mut Sim, record: SessionRecord| {
        sim.command(1, Command::MatchClose(record))
            .unwrap()
            .unwrap()
    };
    for other in [
        SessionRecord {
            asker: acme(),
            ..record.clone()
        },
        SessionRecord {
            origin: sim.setup(1).origin.clone(),
            ..record.clone()
        },
    ] {
        let error = at_us(&mut sim, other).unwrap_err();
        assert!(matches!(error, CommandError::MatchRecord(_)), "{error}");
    }
    assert!(at_us(&mut sim, record.clone()).is_ok());
    assert!(at_us(&mut sim, record.clone()).is_ok());
    assert_eq!(opened(&mut sim, 1), [record]);
    Ok(())
}

#[test]
fn a_session_that_a_crash_cut_off_leaves_a_record_too() -> Done {
    let mut sim = matching()?;
    for n in 1..4 {
        ask(&mut sim, sized(n)).unwrap();
    }
    sim.crash(0)?;
    sim.restart(0)?;
    sim.connect_all()?;
    sim.run_for(60)?;
    let records = opened(&mut sim, 0);
    assert_eq!(records.len(), 3);
    for (n, record) in (1..).zip(records) {
        assert_eq!(record.session, SessionId([n; 16]));
        assert_eq!((record.items, record.received), (100, None));
        assert_eq!(record.refusal, Some(RefusalCode::Failed));
    }
    // It is no session any more: its name is charged anew, and has a record of its own.
    let grant = ask(&mut sim, sized(1)).unwrap();
    assert_eq!((grant.used, grant.resumed), (400, false));
    let record = SessionRecord {
        received: Some(100),
        ..claimed(&sim, 1, acme())
    };
    assert!(close(&mut sim, record).0.is_some());
    sim.crash(0)?;
    sim.restart(0)?;
    sim.connect_all()?;
    sim.run_for(60)?;
    assert_eq!(opened(&mut sim, 0).len(), 4);
    Ok(())
}

fn sized(n: u8) -> hashpact_protocol::centre::MatchRequest {
    hashpact_protocol::centre::MatchRequest {
        items: 100,
        ..request(n, acme())
    }
}

#[test]
fn a_refusal_leaves_a_record_for_each_principal_and_reason() -> Done {
    let mut sim = matching()?;
    for n in 0..3 {
        let mut few = request(n, acme());
        few.items = 1;
        assert!(ask(&mut sim, few.clone()).is_err());
        few.principal = us();
        assert!(ask(&mut sim, few).is_err());
        let mut over = request(n, acme());
        over.items = MEMBER_DAY + 1;
        assert!(ask(&mut sim, over).is_err());
        // Of nobody whom it knows it logs nothing.
        assert!(ask(&mut sim, request(n, Asker::Member(format!("m{n}")))).is_err());
    }
    let said: Vec<_> = opened(&mut sim, 0)
        .into_iter()
        .map(|record| (record.asker, record.items, record.refusal))
        .collect();
    let (few, over) = (Some(RefusalCode::TooFew), Some(RefusalCode::OverQuota));
    assert_eq!(
        said,
        [
            (acme(), 1, few),
            (us(), 1, few),
            (acme(), MEMBER_DAY + 1, over)
        ]
    );
    Ok(())
}
