//! Policy documents that their centre logged and that do not hold: each is found, and denies everything.

use hashpact_keys::roster::Revocation;
use hashpact_keys::{NetworkId, Signer, Timestamp};
use hashpact_protocol::audit::FindingKind;
use hashpact_protocol::limits;
use hashpact_protocol::log::Leaf;
use hashpact_protocol::policy::{PolicyDocument, PolicyDocumentError};
use hashpact_protocol::testing::documents;
use hashpact_protocol::testing::keys::START;
use hashpact_protocol::testing::published::{NOW, Published, leaf};
use hashpact_protocol::verify::LeafFault;

fn signed(document: &PolicyDocument, signers: &[&Signer]) -> Vec<u8> {
    let document = document.sign(signers);
    Leaf::Policy { document }.to_bytes().unwrap()
}

/// The log after one good document and these leaves, a good document of the next version behind them.
fn audited(
    mut published: Published,
    bad: &[Vec<u8>],
    next: u64,
) -> (Vec<(u64, FindingKind)>, Vec<bool>) {
    let good =
        |published: &Published, v| documents::leaf(&published.centres[0], &published.document(v));
    let first = good(&published, 1);
    published.append(&[first]);
    published.append(bad);
    let last = good(&published, next);
    published.append(&[last]);
    published.publish();
    let audit = published.audit();
    let found = audit.found().into_iter().map(|(place, kind)| {
        let at = (0..9).find(|at| leaf(*at) == place).unwrap();
        (at, kind)
    });
    let stands = audit.policies.iter();
    (
        found.collect(),
        stands
            .map(|policy| policy.logged.profile.is_some())
            .collect(),
    )
}

#[test]
fn documents_that_hold_are_read_in_order() {
    let published = Published::begun();
    let (found, stands) = audited(published, &[], 2);
    assert_eq!((found, stands), (Vec::new(), vec![true, true]));
}

#[test]
fn a_policy_under_one_key_or_a_strangers_key_is_named_and_denies() {
    let published = Published::begun();
    let [a, _] = documents::signers(&published.centres[0]);
    let [stranger, _] = documents::signers(&published.centres[1]);
    let second = published.document(2);
    let one = signed(&second, &[&a]);
    let (found, stands) = audited(published.clone(), &[one], 3);
    let few = PolicyDocumentError::Signatures { got: 1 };
    assert_eq!(found, [(3, FindingKind::Policy(few))]);
    assert_eq!(stands, [true, false, true]);
    let forged = signed(&second, &[&a, &stranger]);
    let (found, stands) = audited(published, &[forged], 3);
    assert!(
        matches!(
            &found[..],
            [(3, FindingKind::Policy(PolicyDocumentError::Key(_)))]
        ),
        "{found:?}"
    );
    assert_eq!(stands, [true, false, true]);
}

#[test]
fn a_policy_out_of_order_is_named() {
    let published = Published::begun();
    for (version, next) in [(3, 4), (1, 2)] {
        let bad = documents::leaf(&published.centres[0], &published.document(version));
        let (found, _) = audited(published.clone(), &[bad], next);
        let kind = FindingKind::PolicyVersion {
            expected: 2,
            got: version,
        };
        assert_eq!(found, [(3, kind)]);
    }
}

#[test]
fn a_policy_of_another_network_another_log_or_the_future_is_named() {
    let published = Published::begun();
    let setup = &published.centres[0];
    let expected = published.rosters[0].roster().network;
    let got = NetworkId::new([7; 32]);
    let mut other = published.document(2);
    other.network = got;
    let (found, _) = audited(published.clone(), &[documents::leaf(setup, &other)], 3);
    let network = FindingKind::Leaf(LeafFault::Network { expected, got });
    assert_eq!(found, [(3, network)]);
    let mut other = published.document(2);
    other.origin = published.centres[1].origin.clone();
    let (found, _) = audited(published.clone(), &[documents::leaf(setup, &other)], 3);
    let kind = &found[0].1;
    assert!(
        matches!(
            kind,
            FindingKind::Policy(PolicyDocumentError::Origin { .. })
        ),
        "{found:?}"
    );
    let mut other = published.document(2);
    let got = Timestamp::new(NOW.get() + limits::CLOCK_SKEW_S + 1);
    other.issued_at = got;
    let (found, _) = audited(published.clone(), &[documents::leaf(setup, &other)], 3);
    let now = NOW;
    assert_eq!(
        found,
        [(3, FindingKind::Leaf(LeafFault::Future { now, got }))]
    );
}

#[test]
fn a_policy_that_does_not_parse_is_named_with_file_and_line_and_denies() {
    let published = Published::begun();
    let mut bad = published.document(2);
    bad.files[0].1.push_str("\npermit (principal");
    let (found, stands) = audited(
        published.clone(),
        &[documents::leaf(&published.centres[0], &bad)],
        3,
    );
    let [(3, kind @ FindingKind::PolicyFault { .. })] = &found[..] else {
        panic!("{found:?}");
    };
    assert!(kind.to_string().contains("policy.cedar:"), "{kind}");
    assert_eq!(stands, [true, false, true]);
}

#[test]
fn a_policy_for_another_law_is_named_and_denies() {
    let published = Published::begun();
    let mut other = published.document(2);
    let law = "US".parse().unwrap();
    other.files = documents::files(&law, "", &[("all", documents::ALL)]);
    let bad = documents::leaf(&published.centres[0], &other);
    let (found, stands) = audited(published, &[bad], 3);
    let expected = "EU".parse().unwrap();
    let kind = FindingKind::PolicyLaw { expected, got: law };
    assert_eq!(found, [(3, kind)]);
    assert_eq!(stands, [true, false, true]);
}

#[test]
fn a_policy_by_a_key_that_was_revoked_below_it_is_named() {
    let mut published = Published::begun();
    let [revoked, _] = documents::signers(&published.centres[0]);
    let origin = published.centres[0].origin.clone();
    let key = revoked.public().key_id();
    published.next_roster(|draft| {
        let centre = draft
            .centres
            .iter_mut()
            .find(|centre| centre.origin == origin);
        let keys = &mut centre.unwrap().keys;
        keys.retain(|entry| entry.key.key_id() != key);
        draft.revocations.push(Revocation {
            key,
            origin: origin.clone(),
            size: 3,
        });
    });
    let second = documents::leaf(&published.centres[0], &published.document(2));
    published.append(&[documents::leaf(
        &published.centres[0],
        &published.document(1),
    )]);
    published.append(&[second]);
    published.publish();
    let found = published.audit().found();
    let fault = LeafFault::Revoked { key, from: 3 };
    assert_eq!(found, [(leaf(3), FindingKind::Leaf(fault))]);
    assert!(START < NOW);
}
