//! Sessions that are opened, charged and refused.

use hashpact_protocol::centre::{Command, Event, MatchRefusal, MatchRequest};
use hashpact_protocol::fingerprint::Algorithm;
use hashpact_protocol::labels::Purpose;
use hashpact_protocol::limits;
use hashpact_protocol::policy::{Asker, MatchMode};
use hashpact_protocol::psi::{Epoch, GroupId, SessionId};
use hashpact_protocol::testing::sim::{Fuse, Sim};

use crate::network::*;

const DAY_S: u64 = 86_400;

fn sized(n: u8, principal: Asker, items: u64) -> MatchRequest {
    MatchRequest {
        items,
        ..request(n, principal)
    }
}

/// How often it was told that somebody was refused for this.
fn told(sim: &Sim, alike: impl Fn(&MatchRefusal) -> bool) -> usize {
    let events = sim.events().iter();
    let refused =
        events.filter(|(_, event)| matches!(event, Event::MatchRefused { why, .. } if alike(why)));
    refused.count()
}

#[test]
fn what_policy_allows_is_opened_and_charged() -> Done {
    let mut sim = matching()?;
    let grant = ask(&mut sim, request(1, acme())).unwrap();
    assert_eq!(grant.groups, [GroupId(0)]);
    assert_eq!((grant.used, grant.per_day), (1_000, MEMBER_DAY));
    let grant = ask(&mut sim, request(1, us())).unwrap();
    // Other principals and types are counted apart.
    assert_eq!(grant.groups, [GroupId(0), GroupId(1)]);
    assert_eq!((grant.used, grant.per_day), (1_000, CENTRE_DAY));
    let count = MatchRequest {
        mode: MatchMode::Count,
        ..request(2, acme())
    };
    assert_eq!(ask(&mut sim, count).unwrap().used, 2_000);
    // Of this type nothing is published.
    let md5 = MatchRequest {
        kind: Algorithm::Md5,
        ..request(3, acme())
    };
    assert_eq!(ask(&mut sim, md5), Err(MatchRefusal::NoGroup));
    let other = MatchRequest {
        kind: Algorithm::Other("tmk".to_owned()),
        ..request(3, acme())
    };
    assert_eq!(ask(&mut sim, other), Err(MatchRefusal::Type));
    Ok(())
}

#[test]
fn a_mode_or_a_purpose_that_no_grant_names_opens_nothing() -> Done {
    let mut sim = matching()?;
    let labels = MatchRequest {
        mode: MatchMode::Labels,
        ..request(1, acme())
    };
    assert_eq!(ask(&mut sim, labels.clone()), Err(MatchRefusal::NoGroup));
    let remove = MatchRequest {
        purpose: Purpose::Remove,
        ..request(1, acme())
    };
    assert_eq!(ask(&mut sim, remove.clone()), Err(MatchRefusal::NoGroup));
    for request in [labels, remove] {
        let principal = us();
        assert!(
            ask(
                &mut sim,
                MatchRequest {
                    principal,
                    session: SessionId([request.purpose as u8; 16]),
                    ..request
                }
            )
            .is_ok()
        );
    }
    // A centre without a grant, the centre itself, and nobody.
    let ca = Asker::Centre("ca".parse().unwrap());
    assert_eq!(ask(&mut sim, request(1, ca)), Err(MatchRefusal::NoGroup));
    for principal in [
        Asker::Centre("eu".parse().unwrap()),
        Asker::Centre("zz".parse().unwrap()),
        Asker::Member("us".to_owned()),
    ] {
        let answer = ask(&mut sim, request(1, principal));
        assert_eq!(answer, Err(MatchRefusal::NotAPrincipal));
    }
    Ok(())
}

#[test]
fn one_item_list_is_refused() -> Done {
    let mut sim = matching()?;
    let min = limits::MATCH_ITEMS_MIN;
    for got in [0, 1, min - 1] {
        let answer = ask(&mut sim, sized(1, acme(), got));
        assert_eq!(answer, Err(MatchRefusal::TooFew { min, got }));
    }
    let min = limits::MATCH_ITEMS_MIN_COUNT;
    let count = MatchRequest {
        mode: MatchMode::Count,
        ..sized(1, acme(), min - 1)
    };
    let got = min - 1;
    assert_eq!(ask(&mut sim, count), Err(MatchRefusal::TooFew { min, got }));
    let (max, got) = (limits::MATCH_ITEMS, limits::MATCH_ITEMS + 1);
    let answer = ask(&mut sim, sized(1, acme(), got));
    assert_eq!(answer, Err(MatchRefusal::TooMany { max, got }));
    // Nothing was charged for any of them.
    assert_eq!(ask(&mut sim, sized(2, acme(), 100)).unwrap().used, 100);
    Ok(())
}

#[test]
fn over_quota_is_refused_and_logged_once() -> Done {
    let mut sim = matching()?;
    assert_eq!(ask(&mut sim, sized(1, acme(), 2_500)).unwrap().used, 2_500);
    let over = MatchRefusal::OverQuota {
        used: 2_500,
        per_day: MEMBER_DAY,
        got: 501,
    };
    let sealed = crate::records::sealed(&sim);
    for n in 2..6 {
        assert_eq!(ask(&mut sim, sized(n, acme(), 501)), Err(over));
    }
    assert_eq!(told(&sim, |why| *why == over), 1);
    assert_eq!(crate::records::sealed(&sim), sealed + 1);
    // What is left is left, for this principal; and the others have theirs.
    assert_eq!(
        ask(&mut sim, sized(7, acme(), 500)).unwrap().used,
        MEMBER_DAY
    );
    assert!(ask(&mut sim, sized(7, us(), 1_000)).is_ok());
    // So it is after a restart: neither is the quota new, nor is the refusal logged again.
    sim.crash(0)?;
    sim.restart(0)?;
    sim.connect_all()?;
    sim.run_for(10)?;
    let sealed = crate::records::sealed(&sim);
    let answer = ask(&mut sim, sized(8, acme(), 100));
    assert!(
        matches!(answer, Err(MatchRefusal::OverQuota { .. })),
        "{answer:?}"
    );
    assert_eq!(crate::records::sealed(&sim), sealed);
    // The next day has a quota and a refusal of its own.
    sim.advance(DAY_S)?;
    sim.run_for(60)?;
    assert_eq!(ask(&mut sim, sized(9, acme(), 3_000)).unwrap().used, 3_000);
    assert!(ask(&mut sim, sized(10, acme(), 100)).is_err());
    assert_eq!(crate::records::sealed(&sim), sealed + 1);
    Ok(())
}

#[test]
fn a_clock_that_went_back_gives_no_new_quota() -> Done {
    let mut sim = matching()?;
    sim.advance(DAY_S)?;
    sim.run_for(60)?;
    assert_eq!(ask(&mut sim, sized(1, acme(), 2_900)).unwrap().used, 2_900);
    // Its own clock says yesterday, on which nothing was used.
    let back = i64::try_from(DAY_S).unwrap();
    for back in [back, 3 * back] {
        sim.skew(0, -back);
        let answer = ask(&mut sim, sized(2, acme(), 101));
        assert!(
            matches!(answer, Err(MatchRefusal::OverQuota { used: 2_900, .. })),
            "{answer:?}"
        );
    }
    // Nor does one that was ahead for a moment, without anybody who says what time it is.
    sim.skew(0, 17 * 3_600);
    assert_eq!(ask(&mut sim, sized(3, acme(), 3_000)).unwrap().used, 3_000);
    sim.skew(0, 0);
    let answer = ask(&mut sim, sized(4, acme(), 100));
    assert!(matches!(
        answer,
        Err(MatchRefusal::OverQuota { used: 3_000, .. })
    ));
    Ok(())
}

#[test]
fn a_session_that_resumes_is_charged_once() -> Done {
    let mut sim = matching()?;
    let first = ask(&mut sim, request(1, acme())).unwrap();
    assert!(!first.resumed);
    for _ in 0..5 {
        let again = ask(&mut sim, request(1, acme())).unwrap();
        assert!(again.resumed);
        assert_eq!((&again.groups, again.used), (&first.groups, 1_000));
    }
    // Its name is no way to ask for more, or for something else.
    for other in [
        sized(1, acme(), 1_001),
        MatchRequest {
            mode: MatchMode::Count,
            ..request(1, acme())
        },
    ] {
        assert_eq!(ask(&mut sim, other), Err(MatchRefusal::Taken));
    }
    // Another's session of that name is another session.
    assert!(!ask(&mut sim, request(1, us())).unwrap().resumed);
    // A day later it is over.
    sim.advance(DAY_S)?;
    sim.run_for(60)?;
    assert_eq!(ask(&mut sim, request(1, acme())), Err(MatchRefusal::Taken));
    Ok(())
}

#[test]
fn probing_by_many_sessions_is_refused() -> Done {
    let mut sim = matching()?;
    govern(
        &mut sim,
        &grants("2036-01-01").replace("per_day = 3000", "per_day = 16000000"),
        &[],
    )?;
    let max = limits::MATCH_SESSIONS_DAY;
    for n in 0..u8::try_from(max).unwrap() {
        assert!(ask(&mut sim, sized(n, acme(), 100)).is_ok(), "{n}");
    }
    let many = MatchRefusal::TooManySessions {
        max,
        got: max,
        count: false,
    };
    assert!(many.is_alarm());
    assert_eq!(ask(&mut sim, sized(200, acme(), 100)), Err(many));
    assert_eq!(told(&sim, |why| *why == many), 1);
    Ok(())
}

#[test]
fn two_counts_that_differ_in_one_item_are_few() -> Done {
    let mut sim = matching()?;
    govern(
        &mut sim,
        &grants("2036-01-01").replace("per_day = 3000", "per_day = 16000000"),
        &[],
    )?;
    let count = |n: u8, epoch| MatchRequest {
        mode: MatchMode::Count,
        epoch: Epoch(epoch),
        ..sized(n, acme(), 1_000 + u64::from(n))
    };
    let max = limits::COUNT_SESSIONS_EPOCH;
    for n in 0..u8::try_from(max).unwrap() {
        assert!(ask(&mut sim, count(n, 0)).is_ok(), "{n}");
    }
    let many = MatchRefusal::TooManySessions {
        max,
        got: max,
        count: true,
    };
    assert_eq!(ask(&mut sim, count(9, 0)), Err(many));
    // Nor on the next day: only another epoch has another key.
    sim.advance(DAY_S)?;
    sim.run_for(60)?;
    assert_eq!(ask(&mut sim, count(10, 0)), Err(many));
    log_epoch(&mut sim, 1)?;
    assert!(ask(&mut sim, count(11, 1)).is_ok());
    // The one before is still served; what was counted there is not forgotten.
    assert_eq!(ask(&mut sim, count(12, 0)), Err(many));
    Ok(())
}

#[test]
fn a_class_that_policy_took_away_is_not_matched_although_its_artifact_stands() -> Done {
    let mut sim = matching()?;
    assert_eq!(
        ask(&mut sim, request(1, us())).unwrap().groups,
        [GroupId(0), GroupId(1)]
    );
    // One class of the second group is taken away, and with it the group: one key opens all of it.
    let forbid = r#"forbid (principal is Centre, action == Action::"match", resource) when { resource.state == "suspected" };"#;
    govern(&mut sim, &grants("2036-01-01"), &[("less", forbid)])?;
    assert_eq!(
        ask(&mut sim, request(2, us())).unwrap().groups,
        [GroupId(0)]
    );
    // So for the session that was open.
    assert_eq!(
        ask(&mut sim, request(1, us())).unwrap().groups,
        [GroupId(0)]
    );
    let nothing = r#"forbid (principal is Centre, action == Action::"reveal", resource);"#;
    govern(&mut sim, &grants("2036-01-01"), &[("nothing", nothing)])?;
    for n in [1, 3] {
        assert_eq!(ask(&mut sim, request(n, us())), Err(MatchRefusal::NoGroup));
    }
    // Nor is anything counted: who does not keep to the protocol finds with a count which items match.
    let count = MatchRequest {
        mode: MatchMode::Count,
        ..request(4, us())
    };
    assert_eq!(ask(&mut sim, count), Err(MatchRefusal::NoGroup));
    Ok(())
}

#[test]
fn an_expired_grant_ends_matching_by_itself() -> Done {
    // The test begins on 15 January 2027, and a grant is closed a day before its last.
    let mut sim = matching_until("2027-01-18")?;
    assert!(ask(&mut sim, request(1, acme())).is_ok());
    let groups = numbered(&mut sim);
    assert!(
        groups
            .until
            .is_some_and(|until| until.get() <= sim.now().get() + 2 * DAY_S)
    );
    for _ in 0..48 {
        sim.advance(3_600)?;
        sim.run_for(60)?;
    }
    assert_eq!(
        ask(&mut sim, request(2, acme())),
        Err(MatchRefusal::NoGroup)
    );
    assert!(ask(&mut sim, request(2, us())).is_ok());
    Ok(())
}

#[test]
fn nothing_is_matched_without_a_fresh_quorum() -> Done {
    let mut sim = matching()?;
    for peer in 1..4 {
        sim.crash(peer)?;
    }
    sim.advance(limits::COSIGNATURE_FRESH_S - 600)?;
    sim.run_for(60)?;
    assert!(ask(&mut sim, request(1, us())).is_ok());
    sim.advance(1_200)?;
    sim.run_for(60)?;
    for n in [1, 2] {
        assert_eq!(ask(&mut sim, request(n, us())), Err(MatchRefusal::Stale));
    }
    for peer in 1..4 {
        sim.restart(peer)?;
    }
    sim.connect_all()?;
    sim.run_for(120)?;
    assert!(ask(&mut sim, request(3, us())).is_ok());
    Ok(())
}

#[test]
fn a_manifest_that_nobody_witnessed_is_not_matched_by() -> Done {
    let mut sim = matching()?;
    for peer in 1..4 {
        sim.crash(peer)?;
    }
    let groups = numbered(&mut sim);
    let next = manifest(&sim, &groups, 1);
    log_manifest(&mut sim, &next)?;
    let of = |n, epoch| MatchRequest {
        epoch: Epoch(epoch),
        ..request(n, us())
    };
    let stale = |got| MatchRefusal::StaleEpoch {
        newest: Some(Epoch(0)),
        got: Epoch(got),
    };
    assert_eq!(ask(&mut sim, of(1, 1)), Err(stale(1)));
    assert!(ask(&mut sim, of(2, 0)).is_ok());
    Ok(())
}

#[test]
fn an_epoch_is_served_for_two_days_after_the_next_one_began() -> Done {
    let mut sim = matching()?;
    log_epoch(&mut sim, 1)?;
    let of = |n, epoch| MatchRequest {
        epoch: Epoch(epoch),
        ..request(n, us())
    };
    assert!(ask(&mut sim, of(1, 0)).is_ok());
    assert!(ask(&mut sim, of(2, 1)).is_ok());
    // However many manifests of the new one came since.
    for _ in 0..10 {
        log_epoch(&mut sim, 1)?;
    }
    assert!(ask(&mut sim, of(3, 0)).is_ok());
    for _ in 0..49 {
        sim.advance(3_600)?;
        sim.run_for(60)?;
    }
    let stale = MatchRefusal::StaleEpoch {
        newest: Some(Epoch(1)),
        got: Epoch(0),
    };
    assert_eq!(ask(&mut sim, of(4, 0)), Err(stale));
    assert!(ask(&mut sim, of(5, 1)).is_ok());
    Ok(())
}

#[test]
fn of_three_epochs_the_first_is_not_served_however_young_it_is() -> Done {
    let mut sim = matching()?;
    log_epoch(&mut sim, 1)?;
    log_epoch(&mut sim, 2)?;
    let of = |n, epoch| MatchRequest {
        epoch: Epoch(epoch),
        ..request(n, us())
    };
    let stale = MatchRefusal::StaleEpoch {
        newest: Some(Epoch(2)),
        got: Epoch(0),
    };
    assert_eq!(ask(&mut sim, of(1, 0)), Err(stale));
    assert!(ask(&mut sim, of(2, 1)).is_ok());
    assert!(ask(&mut sim, of(3, 2)).is_ok());
    Ok(())
}

#[test]
fn a_crash_between_charge_and_answer_charges_once_or_more_but_never_less() -> Done {
    let mut sim = matching()?;
    // Before it is durable nothing was answered, and nothing is charged.
    sim.arm(0, Fuse::BeforeCommit);
    assert!(
        sim.command(0, Command::MatchOpen(request(1, acme())))?
            .is_none()
    );
    back(&mut sim)?;
    let grant = ask(&mut sim, request(1, acme())).unwrap();
    assert_eq!((grant.used, grant.resumed), (1_000, false));
    // Once it is, it counts, whether the answer left or not.
    sim.arm(0, Fuse::AfterCommit);
    assert!(
        sim.command(0, Command::MatchOpen(request(2, acme())))?
            .is_none()
    );
    back(&mut sim)?;
    let grant = ask(&mut sim, request(2, acme())).unwrap();
    assert_eq!((grant.used, grant.resumed), (3_000, false));
    Ok(())
}

fn back(sim: &mut Sim) -> Done {
    sim.restart(0)?;
    sim.connect_all()?;
    sim.run_for(10)
}

#[test]
fn under_an_expired_roster_nothing_is_opened() -> Done {
    let mut sim = matching()?;
    for _ in 0..32 {
        sim.advance(DAY_S - 600)?;
        sim.run_for(60)?;
    }
    assert_eq!(ask(&mut sim, request(1, us())), Err(MatchRefusal::Closed));
    Ok(())
}
