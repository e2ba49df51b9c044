//! The register of members.

use hashpact_keys::KeyUse;
use hashpact_protocol::centre::{Command, CommandError, Event, MatchRefusal, Member, MemberError};
use hashpact_protocol::limits;
use hashpact_protocol::testing::sim::Sim;

use crate::network::*;

fn fault(sim: &mut Sim, member: Member) -> MemberError {
    let error = refused(sim, Command::AdmitMember(member));
    let CommandError::Member(fault) = error else {
        panic!("{error}");
    };
    fault
}

#[test]
fn a_key_of_the_network_is_no_members_key() -> Done {
    let mut sim = matching()?;
    for use_ in [KeyUse::Node, KeyUse::Delta, KeyUse::Witness] {
        let node_key = Some(sim.setup(2).signer(use_).public());
        let holder = sim.setup(2).id.to_string();
        let error = fault(
            &mut sim,
            Member {
                node_key,
                ..member("bolt", "US")
            },
        );
        assert_eq!(error, MemberError::RosterKey { holder });
    }
    let node_key = Some(key("acme"));
    let error = fault(
        &mut sim,
        Member {
            node_key,
            ..member("bolt", "US")
        },
    );
    let taken = "acme".to_owned();
    assert_eq!(error, MemberError::MemberKey { member: taken });
    Ok(())
}

#[test]
fn a_name_stands_for_one_member() -> Done {
    let mut sim = matching()?;
    // Said again, as the answer may have been lost.
    must(&mut sim, Command::AdmitMember(member("acme", "US")));
    let id = "acme".to_owned();
    let error = fault(&mut sim, member("acme", "CA"));
    assert_eq!(error, MemberError::Known { id });
    for id in [
        "",
        "Acme",
        "a b",
        "!",
        &"a".repeat(limits::MEMBER_BYTES + 1),
    ] {
        let error = fault(
            &mut sim,
            Member {
                id: id.to_owned(),
                ..member("bolt", "US")
            },
        );
        assert!(matches!(error, MemberError::Value { .. }), "{id}: {error}");
    }
    let sector = "Hosting".to_owned();
    let error = fault(
        &mut sim,
        Member {
            sector,
            ..member("bolt", "US")
        },
    );
    assert!(matches!(error, MemberError::Value { .. }));
    Ok(())
}

#[test]
fn members_over_http_alone_need_no_key_and_outlive_a_crash() -> Done {
    let mut sim = matching()?;
    let keyless = |id: &str| Member {
        node_key: None,
        ..member(id, "US")
    };
    // Two without a key do not stand for each other.
    must(&mut sim, Command::AdmitMember(keyless("bolt")));
    must(&mut sim, Command::AdmitMember(keyless("cove")));
    let error = fault(&mut sim, member("bolt", "US"));
    let id = "bolt".to_owned();
    assert_eq!(error, MemberError::Known { id });
    sim.crash(0)?;
    sim.restart(0)?;
    let members: Vec<_> = sim.centre(0).unwrap().members().cloned().collect();
    assert_eq!(
        members,
        [member("acme", "US"), keyless("bolt"), keyless("cove")]
    );
    Ok(())
}

#[test]
fn a_member_outlives_a_crash() -> Done {
    let mut sim = matching()?;
    sim.crash(0)?;
    sim.restart(0)?;
    let members: Vec<_> = sim.centre(0).unwrap().members().cloned().collect();
    assert_eq!(members, [member("acme", "US")]);
    Ok(())
}

#[test]
fn a_member_that_was_removed_opens_nothing() -> Done {
    let mut sim = matching()?;
    assert!(ask(&mut sim, request(1, acme())).is_ok());
    assert!(!numbered(&mut sim).renew);
    must(&mut sim, Command::RemoveMember("acme".to_owned()));
    // Neither a new session nor the one that it had begun.
    for n in [1, 2] {
        let answer = ask(&mut sim, request(n, acme()));
        assert_eq!(answer, Err(MatchRefusal::NotAPrincipal));
    }
    // What was evaluated for it ends with the next epoch, which it asks for until that is logged; so after a restart.
    sim.crash(0)?;
    sim.restart(0)?;
    sim.connect_all()?;
    sim.run_for(10)?;
    assert!(numbered(&mut sim).renew);
    log_epoch(&mut sim, 1)?;
    assert!(!numbered(&mut sim).renew);
    let id = "acme".to_owned();
    let error = refused(&mut sim, Command::RemoveMember(id.clone()));
    assert_eq!(
        error,
        CommandError::Member(MemberError::Unknown { id: id.clone() })
    );
    let told = sim
        .events()
        .iter()
        .filter(|(_, event)| *event == Event::MemberRemoved { id: id.clone() });
    assert_eq!(told.count(), 1);
    Ok(())
}

#[test]
fn a_member_of_another_law_than_its_grant_opens_nothing() -> Done {
    let mut sim = matching()?;
    must(&mut sim, Command::AdmitMember(member("cove", "CA")));
    let cove = hashpact_protocol::policy::Asker::Member("cove".to_owned());
    assert_eq!(ask(&mut sim, request(1, cove)), Err(MatchRefusal::NoGroup));
    Ok(())
}

#[test]
fn a_member_that_comes_back_under_another_law_is_decided_anew() -> Done {
    let mut sim = matching()?;
    assert!(ask(&mut sim, request(1, acme())).is_ok());
    must(&mut sim, Command::RemoveMember("acme".to_owned()));
    must(&mut sim, Command::AdmitMember(member("acme", "CA")));
    for n in [1, 2] {
        let answer = ask(&mut sim, request(n, acme()));
        assert_eq!(answer, Err(MatchRefusal::NoGroup));
    }
    must(&mut sim, Command::RemoveMember("acme".to_owned()));
    must(&mut sim, Command::AdmitMember(member("acme", "US")));
    assert!(ask(&mut sim, request(2, acme())).is_ok());
    Ok(())
}
