//! Objects beside deltas as an auditor finds them under their seals: a hold of one person, or for too long, is told.

use std::collections::BTreeMap;

use hashpact_keys::Timestamp;
use hashpact_keys::cose::{MultiSigned, sign_multi};
use hashpact_protocol::audit::{DisclosureFault, FindingKind};
use hashpact_protocol::evidence::{EvidenceError, Hold, HoldCode, Kind, Order, OrderBy};
use hashpact_protocol::limits;
use hashpact_protocol::record::EntryId;
use hashpact_protocol::testing::disclosed::{Disclosed, after};
use hashpact_protocol::testing::documents;

const EU: usize = 0;
const US: usize = 1;

fn hold(network: &Disclosed, by: usize) -> Hold {
    let log = &network.logs[by];
    Hold {
        by: OrderBy {
            network: log.rosters[0].roster().network,
            centre: log.centres[0].id.clone(),
            time: after(2_000),
        },
        entries: BTreeMap::from([(
            network.logs[EU].centres[0].origin.clone(),
            vec![EntryId([4; 16])],
        )]),
        series: Vec::new(),
        code: HoldCode::Investigation,
        from: after(2_000),
        until: Timestamp::new(after(2_000).get() + limits::HOLD_S),
    }
}

#[expect(clippy::expect_used, reason = "a test that orders nonsense is wrong")]
fn signed(network: &Disclosed, hold: &Hold, people: usize) -> Vec<u8> {
    let signers = documents::signers(&network.logs[US].centres[0]);
    let signers: Vec<_> = signers.iter().take(people).collect();
    Order::Hold(hold.clone()).sign(&signers).expect("an order")
}

/// What is found once us sealed this in its log and opened it.
fn found(network: &mut Disclosed, signed: &[u8]) -> Vec<FindingKind> {
    network.seal(US, signed, false, after(2_010));
    let found = network.audit(&[EU, US]).found;
    found.into_iter().map(|(_, _, what)| what).collect()
}

#[test]
fn a_hold_of_two_people_is_seen_by_the_auditor_and_no_fault() {
    let mut network = Disclosed::open();
    let order = signed(&network, &hold(&network, US), 2);
    network.seal(US, &order, false, after(2_010));
    let verdict = network.audit(&[EU, US]);
    assert_eq!(verdict.found, []);
    assert_eq!(
        (verdict.seals[US].orders, verdict.seals[US].commitments),
        (1, 1)
    );
}

#[test]
fn a_hold_of_one_person_is_a_finding() {
    let mut network = Disclosed::open();
    let order = signed(&network, &hold(&network, US), 1);
    let fault = DisclosureFault::Said(EvidenceError::Signatures { got: 1 });
    assert_eq!(found(&mut network, &order), [fault.into()]);
}

#[test]
fn a_hold_of_more_than_thirty_days_is_a_finding() {
    let mut network = Disclosed::open();
    let order = signed(&network, &hold(&network, US), 2);
    let envelope = MultiSigned::parse(&order, Kind::Hold.context()).expect("an envelope");
    // A day more, as a core that does not look would sign it.
    let mut payload = envelope.payload().to_vec();
    let until = hold(&network, US).until.get();
    let at = payload.len() - 4;
    assert_eq!(
        payload[at..],
        u32::try_from(until).expect("32 bits").to_be_bytes()
    );
    let longer = u32::try_from(until + 86_400)
        .expect("32 bits")
        .to_be_bytes();
    payload[at..].copy_from_slice(&longer);
    let signers = documents::signers(&network.logs[US].centres[0]);
    let order = sign_multi(&[&signers[0], &signers[1]], Kind::Hold.context(), &payload);
    let seconds = limits::HOLD_S + 86_400;
    let fault = DisclosureFault::Said(EvidenceError::HoldTooLong { seconds });
    assert_eq!(found(&mut network, &order), [fault.into()]);
}

#[test]
fn what_another_centre_said_is_not_this_logs_to_seal() {
    let mut network = Disclosed::open();
    let order = signed(&network, &hold(&network, US), 2);
    network.seal(EU, &order, false, after(2_010));
    let verdict = network.audit(&[EU, US]);
    let centre = network.logs[US].centres[0].id.clone();
    let fault = DisclosureFault::SaidByOther { centre };
    let found: Vec<_> = verdict.found.into_iter().map(|(_, _, what)| what).collect();
    assert_eq!(found, [fault.into()]);
}

#[test]
fn a_hold_that_is_sealed_as_a_disclosure_is_a_finding() {
    let mut network = Disclosed::open();
    let order = signed(&network, &hold(&network, US), 2);
    network.seal(US, &order, true, after(2_010));
    let verdict = network.audit(&[EU, US]);
    let found: Vec<_> = verdict.found.into_iter().map(|(_, _, what)| what).collect();
    assert_eq!(found, [DisclosureFault::OpenedOther.into()]);
}
