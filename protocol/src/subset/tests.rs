//! What a member refuses.

use std::collections::BTreeSet;

use hashpact_keys::{KeyUse, Origin, Roster, RosterVersion, SignedRoster, Timestamp};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

use super::*;
use crate::delta::{
    ClassSection, ClassTable, Draft, Header, Retraction, Sealed, Seq, TablePath, withheld_section,
};
use crate::labels::{ClassId, Labels, State};
use crate::record::{EntryId, Record, Revision};
use crate::testing::keys::{CentreSetup, START, governed_network};
use crate::testing::{classified, labels, record};

const CLASSES: u16 = 5;

/// A delta of a centre, and all that is beside it.
struct Made {
    roster: SignedRoster,
    setup: CentreSetup,
    table: ClassTable,
    body: Vec<u8>,
    sections: Vec<std::ops::Range<usize>>,
    ends: std::ops::Range<usize>,
    header: Vec<u8>,
}

impl Made {
    fn new(records: &[(u16, Record)]) -> Self {
        let (roster, setups) = governed_network(2, true);
        let setup = setups[0].clone();
        let encoded: Vec<_> = records
            .iter()
            .map(|(class, record)| (ClassId(*class), record.entry, record.to_bytes()))
            .collect();
        let items = encoded
            .iter()
            .map(|(class, entry, bytes)| (*class, *entry, &bytes[..]));
        let ends = vec![Retraction {
            entry: EntryId([9; 16]),
            revision: Revision(2),
        }];
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let draft = Draft::new(items, ends, &mut rng).unwrap();
        let Sealed { body, table } = draft.seal(&setup.origin, Seq(4)).unwrap();
        let header = Header {
            network: roster.roster().network,
            origin: setup.origin.clone(),
            roster_version: RosterVersion::FIRST,
            seq: Seq(4),
            prev: [0; 32],
            table: table.root(),
            total: table.records(),
            issued_at: START,
            policy_ref: None,
        };
        let header = header.sign(&setup.signer(KeyUse::Delta));
        Self {
            sections: body.sections().iter().map(|it| it.range.clone()).collect(),
            ends: body.retraction_range(),
            body: body.bytes().to_vec(),
            roster,
            setup,
            table,
            header,
        }
    }

    fn usual() -> Self {
        let records = (0..50).map(|n| (u16::try_from(n % u64::from(CLASSES)).unwrap(), record(n)));
        Self::new(&records.collect::<Vec<_>>())
    }

    fn roster(&self) -> &Roster {
        self.roster.roster()
    }

    fn delta(&self) -> SignedDelta {
        SignedDelta::open(&self.header, 7, self.roster()).unwrap()
    }

    fn section(&self, class: u16) -> &[u8] {
        &self.body[self.sections[usize::from(class)].clone()]
    }

    fn path(&self, class: u16) -> TablePath {
        TablePath::of_class(&self.table, ClassId(class)).unwrap()
    }

    fn verify(&self, class: u16, section: &[u8]) -> Result<VerifiedPack, PackError> {
        let path = self.path(class);
        self.delta()
            .verify_pack((ClassId(class), &labels()), &path, section)
    }
}

#[test]
fn a_pack_is_read_whole_and_cut_and_holds_what_was_left_in_it() {
    let made = Made::usual();
    for class in 0..CLASSES {
        let whole = made.verify(class, made.section(class)).unwrap();
        assert_eq!((whole.count, whole.records.len()), (10, 10));
        let gone: BTreeSet<EntryId> = whole.records[..4].iter().map(|it| it.entry).collect();
        let section = ClassSection::read(made.section(class)).unwrap();
        let cut = section
            .punctured(&made.setup.origin, Seq(4), &gone)
            .unwrap()
            .unwrap();
        let part = made.verify(class, &cut).unwrap();
        assert_eq!(part.records, whole.records[4..]);
        assert_eq!(part.count, 10);
    }
}

#[test]
fn a_pack_of_another_class_delta_or_record_is_refused() {
    let made = Made::usual();
    let path = made.path(1);
    let labels = labels();
    let of = |class: u16, section: &[u8]| {
        made.delta()
            .verify_pack((ClassId(class), &labels), &path, section)
    };
    of(1, made.section(1)).unwrap();
    let other = of(1, made.section(2));
    assert!(matches!(other, Err(PackError::Class { .. })));
    // The way of another row.
    assert_eq!(of(2, made.section(2)), Err(PackError::Root));
    let mut changed = made.section(1).to_vec();
    for at in 0..changed.len() {
        changed[at] ^= 1;
        assert!(of(1, &changed).is_err(), "byte {at}");
        changed[at] ^= 1;
    }
    let withheld = withheld_section(&made.table.classes[1]);
    assert!(matches!(of(1, &withheld), Err(PackError::Count { .. })));
    assert!(matches!(of(1, &[]), Err(PackError::Section(_))));
}

#[test]
fn a_classifiers_opinion_stands_in_a_suspected_class_only() {
    let made = Made::new(&[(0, classified(1)), (1, record(2))]);
    let path = made.path(0);
    let verify = |state| {
        let labels = Labels { state, ..labels() };
        made.delta()
            .verify_pack((ClassId(0), &labels), &path, made.section(0))
    };
    assert_eq!(verify(State::Suspected).unwrap().records.len(), 1);
    let refused = verify(State::Assessed);
    assert_eq!(refused, Err(PackError::Classifier { index: 0 }));
}

#[test]
fn retractions_are_those_that_were_signed() {
    let made = Made::usual();
    let path = TablePath::of_retractions(&made.table);
    let list = &made.body[made.ends.clone()];
    let read = made.delta().verify_retractions(&path, list).unwrap();
    assert_eq!(read.len(), 1);
    let mut changed = list.to_vec();
    for at in 0..changed.len() {
        changed[at] ^= 1;
        assert!(
            made.delta().verify_retractions(&path, &changed).is_err(),
            "byte {at}"
        );
        changed[at] ^= 1;
    }
    // The row of a class is none of retractions.
    let refused = made.delta().verify_retractions(&made.path(0), list);
    assert_eq!(refused, Err(PackError::Root));
}

#[test]
fn a_header_of_nobody_of_another_network_or_under_a_revoked_key_opens_nothing() {
    let made = Made::usual();
    let mut forged = made.header.clone();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    let refused = SignedDelta::open(&forged, 7, made.roster());
    assert!(matches!(refused, Err(PackError::Header(_))));
    let mut roster = made.roster().clone();
    roster.network = hashpact_keys::NetworkId::new([1; 32]);
    let refused = SignedDelta::open(&made.header, 7, &roster);
    assert_eq!(refused, Err(PackError::Network));
    let mut roster = made.roster().clone();
    roster.centres.retain(|centre| centre.id != made.setup.id);
    let refused = SignedDelta::open(&made.header, 7, &roster);
    assert!(matches!(refused, Err(PackError::Origin { .. })));
    let mut roster = made.roster().clone();
    let key = made.setup.signer(KeyUse::Delta).public().key_id();
    let origin = made.setup.origin.clone();
    let size = 7;
    roster.revocations = vec![hashpact_keys::roster::Revocation { key, origin, size }];
    SignedDelta::open(&made.header, 6, &roster).unwrap();
    let refused = SignedDelta::open(&made.header, 7, &roster);
    assert_eq!(refused, Err(PackError::Revoked { key, from: 7 }));
}

fn manifest(made: &Made) -> Manifest {
    let origin: Origin = made.setup.origin.clone();
    Manifest {
        network: made.roster().network,
        serving: origin.clone(),
        member: "acme".to_owned(),
        ledger: [1; 8],
        n: 77,
        issued_at: START,
        policy: Some(3),
        classes: (0..3)
            .map(|class| ManifestClass {
                origin: origin.clone(),
                class: ClassId(class),
                entries: 5,
            })
            .collect(),
        logs: vec![ManifestLog {
            origin: origin.clone(),
            size: 9,
            root: [2; 32],
        }],
        withheld: vec![ManifestWithheld { origin, entries: 4 }],
    }
}

#[test]
fn a_manifest_is_its_members_alone_and_its_centres() {
    let made = Made::usual();
    let signer = made.setup.signer(KeyUse::Manifest);
    let manifest = manifest(&made);
    let signed = manifest.sign(&signer).unwrap();
    let open = |signed: &[u8], member| Manifest::open(signed, made.roster(), member);
    assert_eq!(open(&signed, "acme").unwrap(), manifest);
    assert_eq!(manifest.entries(), 15);
    assert!(matches!(
        open(&signed, "bolt"),
        Err(ManifestError::Member { .. })
    ));
    for at in 0..signed.len() {
        let mut changed = signed.clone();
        changed[at] ^= 1;
        assert!(open(&changed, "acme").is_err(), "byte {at}");
    }
    let other = manifest.sign(&made.setup.signer(KeyUse::Delta)).unwrap();
    assert!(matches!(open(&other, "acme"), Err(ManifestError::Key(_))));
    let early = Manifest {
        issued_at: Timestamp::new(1),
        ..manifest.clone()
    };
    let early = early.sign(&signer).unwrap();
    assert!(matches!(open(&early, "acme"), Err(ManifestError::Key(_))));
    // One of matching is none of a subset: they share a context.
    assert!(crate::psi::Manifest::read_unverified(&signed).is_err());
}

#[test]
fn a_manifest_whose_rows_are_out_of_order_or_empty_is_not_signed() {
    let made = Made::usual();
    let signer = made.setup.signer(KeyUse::Manifest);
    let spoil: [fn(&mut Manifest); 5] = [
        |it| it.classes.swap(0, 1),
        |it| it.classes[1].class = it.classes[0].class,
        |it| it.classes[2].entries = 0,
        |it| it.logs.push(it.logs[0].clone()),
        |it| it.member = "Acme!".to_owned(),
    ];
    for spoil in spoil {
        let mut spoiled = manifest(&made);
        spoil(&mut spoiled);
        let refused = spoiled.sign(&signer);
        assert!(matches!(refused, Err(ManifestError::Value { .. })));
    }
}
