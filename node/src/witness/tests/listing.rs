//! Whose checkpoints are cosigned under which roster.

use hashpact_keys::roster::Revocation;
use hashpact_keys::{KeyUse, Roster};
use hashpact_protocol::log::log_key;
use hashpact_protocol::testing::keys::{CentreSetup, START, network, next_roster};

use super::*;
use crate::witness::{
    Logs, LogsError, NodeWitnessError, StateError, begin_node_state, node_routes,
};

fn keys_of(logs: &Logs, origin: &str, now: Timestamp) -> Option<Vec<VerifierKey>> {
    logs.find(origin, now).map(|log| log.keys)
}

fn of_roster(roster: &Roster) -> Logs {
    Logs::of_witness(Some(roster.clone()), Vec::new()).unwrap()
}

#[test]
fn logs_of_a_roster_are_known_by_its_log_keys() {
    let (first, centres) = network(2, true);
    let eu = &centres[0];
    let key = log_key(&eu.origin, eu.signer(KeyUse::Log).public());
    let logs = of_roster(first.roster());
    let origin = eu.origin.as_str();
    assert_eq!(keys_of(&logs, origin, START), Some(vec![key]));
    // Not before its first second, and no other log.
    let before = Timestamp::new(START.get() - 3_601);
    assert_eq!(keys_of(&logs, origin, before), Some(Vec::new()));
    assert_eq!(keys_of(&logs, "eu.example/eu/2", START), None);
    assert_eq!(keys_of(&logs, ORIGIN, START), None);
    assert_eq!(logs.origins(), ["eu.example/eu/1", "us.example/us/1"]);
}

#[test]
fn revoked_log_key_is_cosigned_no_more_and_one_that_ended_is() {
    let (first, centres) = network(2, true);
    let origin = &centres[0].origin;
    let old = centres[0].signer(KeyUse::Log).public();
    let (new, at_2) = (signer(7).public(), Timestamp::new(START.get() + 5));
    let second = next_roster(&first, START, |draft| {
        let eu = &mut draft.centres[0];
        let entry = eu.keys.iter_mut().find(|key| key.key == old).unwrap();
        entry.until = Some(at_2);
        let mut added = entry.clone();
        (added.key, added.from, added.until) = (new, at_2, None);
        eu.keys.push(added);
    });
    let keys = |roster: &Roster, at: Timestamp| {
        let keys = keys_of(&of_roster(roster), origin.as_str(), at).unwrap();
        let mut keys: Vec<_> = keys.iter().map(|key| *key.key()).collect();
        keys.sort_unstable();
        keys
    };
    assert_eq!(keys(second.roster(), START), [old]);
    let mut both = [old, new];
    both.sort_unstable();
    assert_eq!(keys(second.roster(), at_2), both);
    let third = next_roster(&second, at_2, |draft| {
        draft.revocations.push(Revocation {
            key: old.key_id(),
            origin: origin.clone(),
            size: 4,
        });
    });
    assert_eq!(keys(third.roster(), at_2), [new]);
}

#[test]
fn stock_log_is_named_by_its_key_and_never_one_of_the_roster() {
    let (first, centres) = network(2, true);
    let roster = || Some(first.roster().clone());
    let logs = Logs::of_witness(roster(), vec![log_vkey()]).unwrap();
    assert_eq!(keys_of(&logs, ORIGIN, START), Some(vec![log_vkey()]));
    let cosigner = Logs::of_witness(None, vec![witness_key()]).unwrap_err();
    assert!(matches!(cosigner, LogsError::NotALog { .. }), "{cosigner}");
    let own = log_key(&centres[0].origin, signer(7).public());
    let listed = Logs::of_witness(roster(), vec![own.clone()]).unwrap_err();
    assert!(matches!(listed, LogsError::OfRoster { .. }), "{listed}");
    let listed = Logs::of_node(first.roster().clone(), vec![own]).unwrap_err();
    assert!(matches!(listed, LogsError::OfRoster { .. }), "{listed}");
    assert_eq!(
        Logs::of_witness(None, Vec::new()).unwrap_err(),
        LogsError::None
    );
}

#[test]
fn node_leaves_the_logs_of_its_roster_to_the_core() {
    let (first, _) = network(2, true);
    let logs = Logs::of_node(first.roster().clone(), vec![log_vkey()]).unwrap();
    assert_eq!(keys_of(&logs, "eu.example/eu/1", START), None);
    assert_eq!(keys_of(&logs, ORIGIN, START), Some(vec![log_vkey()]));
    assert_eq!(logs.origins(), [ORIGIN]);
}

#[test]
fn node_whose_witness_key_has_no_state_does_not_begin_one() {
    let (first, _) = network(2, true);
    let eu = CentreSetup::numbered(0);
    let data = tempfile::tempdir().unwrap();
    let open = |seed: u8| {
        let (roster, logs) = (first.roster().clone(), vec![log_vkey()]);
        node_routes(data.path(), &eu.origin, signer(seed), roster, logs)
    };
    let lost = open(2).err().unwrap();
    assert!(
        matches!(lost, NodeWitnessError::State(StateError::Lost { .. })),
        "{lost}"
    );
    begin_node_state(data.path(), &eu.origin, signer(2).public()).unwrap();
    let (service, _routes) = open(2).unwrap();
    assert_eq!(service.key().name(), "eu.example/eu/witness");
    let log = Log::new(0);
    let answer = service.add_checkpoint(&log.request(0, 5).to_bytes(), START);
    assert!(answer.is_ok(), "{answer:?}");
    // A renewed key begins with a state of its own.
    assert!(open(3).is_err());
    begin_node_state(data.path(), &eu.origin, signer(3).public()).unwrap();
    assert!(open(3).is_ok());
    let again = begin_node_state(data.path(), &eu.origin, signer(2).public());
    assert!(matches!(again, Err(StateError::Exists { .. })), "{again:?}");
}
