//! A network in which eu signs lists and us serves them to the member acme.

use std::collections::BTreeMap;

use hashpact_keys::{KeyUse, Origin, Roster, SignedRoster, Timestamp};
use hashpact_protocol::delta::{ClassSection, Draft, Header, Retraction, Sealed, Seq, TablePath};
use hashpact_protocol::labels::{ClassDefinitions, ClassId, Labels};
use hashpact_protocol::log::Leaf;
use hashpact_protocol::record::{EntryId, Record, Revision};
use hashpact_protocol::subset::{Manifest, ManifestClass, ManifestWithheld};
use hashpact_protocol::testing::keys::{CentreSetup, START, governed_network};
use hashpact_protocol::testing::rng::Seeded;
use hashpact_protocol::testing::{labels, record};
use minicbor::Encoder;

/// The time of every test: a minute after the network began.
pub(super) const NOW: u64 = START.get() + 60;
pub(super) const MEMBER: &str = "acme";
pub(super) const LEDGER: [u8; 8] = [7; 8];
pub(super) const CLASS: ClassId = ClassId(0);

/// The network.
pub(super) struct World {
    pub(super) signed: SignedRoster,
    pub(super) centres: Vec<CentreSetup>,
}

/// A delta that eu signed.
pub(super) struct Delta {
    pub(super) origin: Origin,
    pub(super) seq: Seq,
    pub(super) index: u64,
    pub(super) header: Vec<u8>,
    pub(super) sealed: Sealed,
}

impl World {
    pub(super) fn new() -> Self {
        let (signed, centres) = governed_network(3, true);
        Self { signed, centres }
    }

    pub(super) fn roster(&self) -> &Roster {
        self.signed.roster()
    }

    pub(super) fn origin(&self) -> &CentreSetup {
        &self.centres[0]
    }

    pub(super) fn serving(&self) -> &CentreSetup {
        &self.centres[1]
    }

    pub(super) fn labels(&self) -> Labels {
        labels()
    }

    /// The leaf that defines the first class, of this centre's log.
    pub(super) fn definition(&self, by: &CentreSetup, labels: Labels) -> Vec<u8> {
        let definitions = ClassDefinitions {
            network: self.roster().network,
            origin: by.origin.clone(),
            classes: vec![(CLASS, labels)],
        };
        let definitions = definitions.sign(&by.signer(KeyUse::Delta));
        Leaf::Classes { definitions }.to_bytes().unwrap()
    }

    /// A delta of eu's with these records and retractions.
    pub(super) fn delta(&self, seq: u64, records: &[Record], ended: &[(EntryId, u32)]) -> Delta {
        self.delta_with(seq, records, ended, |_| {})
    }

    /// The same with a header that a test bends before eu signs it.
    pub(super) fn delta_with(
        &self,
        seq: u64,
        records: &[Record],
        ended: &[(EntryId, u32)],
        bend: impl FnOnce(&mut Header),
    ) -> Delta {
        let origin = self.origin().origin.clone();
        let items: Vec<_> = records.iter().map(|r| (r.entry, r.to_bytes())).collect();
        let items = items
            .iter()
            .map(|(entry, bytes)| (CLASS, *entry, &bytes[..]));
        let ended = ended.iter().map(|(entry, revision)| Retraction {
            entry: *entry,
            revision: Revision(*revision),
        });
        let draft = Draft::new(items, ended.collect(), &mut Seeded::new(seq)).unwrap();
        let sealed = draft.seal(&origin, Seq(seq)).unwrap();
        let mut header = Header {
            network: self.roster().network,
            origin: origin.clone(),
            roster_version: self.roster().version,
            seq: Seq(seq),
            prev: [0; 32],
            table: sealed.table.root(),
            total: sealed.table.records(),
            issued_at: START,
            policy_ref: None,
        };
        bend(&mut header);
        Delta {
            origin,
            seq: Seq(seq),
            index: seq + 2,
            header: header.sign(&self.origin().signer(KeyUse::Delta)),
            sealed,
        }
    }

    /// A manifest of us for the member, at a position of the ledger, with so many entries of eu's first class.
    pub(super) fn manifest(&self, n: u64, entries: u64) -> Manifest {
        let class = ManifestClass {
            origin: self.origin().origin.clone(),
            class: CLASS,
            entries,
        };
        Manifest {
            network: self.roster().network,
            serving: self.serving().origin.clone(),
            member: MEMBER.to_owned(),
            ledger: LEDGER,
            n,
            issued_at: Timestamp::new(NOW),
            policy: Some(2),
            classes: (entries > 0).then_some(class).into_iter().collect(),
            logs: Vec::new(),
            withheld: vec![ManifestWithheld {
                origin: self.origin().origin.clone(),
                entries: 40,
            }],
        }
    }

    pub(super) fn signed(&self, manifest: &Manifest) -> Vec<u8> {
        let signer = self.serving().signer(KeyUse::Manifest);
        manifest.sign(&signer).unwrap()
    }
}

impl Delta {
    /// The section of its records, or of what is left without these.
    pub(super) fn section(&self, without: &[EntryId]) -> Vec<u8> {
        let body = &self.sealed.body;
        let whole = &body.bytes()[body.sections()[0].range.clone()];
        let gone = without.iter().copied().collect();
        let read = ClassSection::read(whole).unwrap();
        let cut = read.punctured(&self.origin, self.seq, &gone).unwrap();
        cut.unwrap_or_else(|| whole.to_vec())
    }

    pub(super) fn path(&self) -> TablePath {
        TablePath::of_class(&self.sealed.table, CLASS).unwrap()
    }

    /// The items that carry its records.
    pub(super) fn items(&self, world: &World) -> Vec<u8> {
        [
            self.head_item(),
            class_item(
                &self.origin,
                &world.definition(world.origin(), world.labels()),
            ),
            self.pack_item(&self.section(&[])),
        ]
        .concat()
    }

    pub(super) fn head_item(&self) -> Vec<u8> {
        head_item(&self.origin, self.seq, &self.header, self.index)
    }

    pub(super) fn pack_item(&self, section: &[u8]) -> Vec<u8> {
        pack_item(
            (&self.origin, self.seq),
            self.sealed.table.records(),
            &self.path(),
            section,
        )
    }

    /// The items that carry its retractions.
    pub(super) fn ended_items(&self) -> Vec<u8> {
        let body = &self.sealed.body;
        let list = &body.bytes()[body.retraction_range()];
        [self.head_item(), self.ended_item(list)].concat()
    }

    pub(super) fn ended_item(&self, list: &[u8]) -> Vec<u8> {
        let path = TablePath::of_retractions(&self.sealed.table);
        map(&[
            ("kind", text("retraction")),
            ("origin", text(self.origin.as_str())),
            ("seq", number(self.seq.0)),
            ("path", steps(&path)),
            ("list", bytes(list)),
            ("gone", vec![0x80]),
        ])
    }
}

pub(super) fn head_item(origin: &Origin, seq: Seq, header: &[u8], index: u64) -> Vec<u8> {
    map(&[
        ("kind", text("delta")),
        ("origin", text(origin.as_str())),
        ("seq", number(seq.0)),
        ("header", bytes(header)),
        ("index", number(index)),
    ])
}

pub(super) fn class_item(origin: &Origin, leaf: &[u8]) -> Vec<u8> {
    map(&[
        ("kind", text("class")),
        ("origin", text(origin.as_str())),
        ("class", number(u64::from(CLASS.0))),
        ("definition", bytes(leaf)),
        ("index", number(1)),
    ])
}

pub(super) fn pack_item(
    (origin, seq): (&Origin, Seq),
    count: u64,
    path: &TablePath,
    section: &[u8],
) -> Vec<u8> {
    map(&[
        ("kind", text("pack")),
        ("origin", text(origin.as_str())),
        ("seq", number(seq.0)),
        ("class", number(u64::from(CLASS.0))),
        ("count", number(count)),
        ("path", steps(path)),
        ("section", bytes(section)),
    ])
}

pub(super) fn withdraw_item(origin: &Origin, entries: &[(EntryId, u32)]) -> Vec<u8> {
    let mut e = Encoder::new(Vec::new());
    e.array(entries.len() as u64).unwrap();
    for (entry, revision) in entries {
        let one = map(&[
            ("origin", text(origin.as_str())),
            ("entry", bytes(&entry.0)),
            ("rev", number(u64::from(*revision))),
        ]);
        e.writer_mut().extend_from_slice(&one);
    }
    map(&[("kind", text("withdraw")), ("entries", e.into_writer())])
}

pub(super) fn mark_item(origin: &Origin, entry: EntryId, disputed: bool) -> Vec<u8> {
    map(&[
        ("kind", text("mark")),
        ("origin", text(origin.as_str())),
        ("entry", bytes(&entry.0)),
        ("rev", number(1)),
        ("disputed", vec![if disputed { 0xf5 } else { 0xf4 }]),
        ("flagged", vec![0xf4]),
    ])
}

pub(super) fn at(cursor: &str) -> Vec<u8> {
    map(&[("kind", text("at")), ("cursor", text(cursor))])
}

pub(super) fn end(cursor: &str, more: bool) -> Vec<u8> {
    let more = vec![if more { 0xf5 } else { 0xf4 }];
    map(&[
        ("kind", text("end")),
        ("cursor", text(cursor)),
        ("more", more),
    ])
}

pub(super) fn records(range: std::ops::Range<u64>) -> Vec<Record> {
    range.map(record).collect()
}

/// The positions of these records.
pub(super) fn all(records: &[Record]) -> std::collections::BTreeSet<usize> {
    (0..records.len()).collect()
}

fn map(fields: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut e = Encoder::new(Vec::new());
    e.map(fields.len() as u64).unwrap();
    for (name, value) in fields {
        e.str(name).unwrap();
        e.writer_mut().extend_from_slice(value);
    }
    e.into_writer()
}

fn text(text: &str) -> Vec<u8> {
    let mut e = Encoder::new(Vec::new());
    e.str(text).unwrap();
    e.into_writer()
}

fn bytes(bytes: &[u8]) -> Vec<u8> {
    let mut e = Encoder::new(Vec::new());
    e.bytes(bytes).unwrap();
    e.into_writer()
}

fn number(number: u64) -> Vec<u8> {
    let mut e = Encoder::new(Vec::new());
    e.u64(number).unwrap();
    e.into_writer()
}

fn steps(path: &TablePath) -> Vec<u8> {
    let mut e = Encoder::new(Vec::new());
    e.array(path.steps().len() as u64).unwrap();
    for step in path.steps() {
        e.bytes(&step).unwrap();
    }
    e.into_writer()
}

/// What a stream begins with, by the cursor that it goes on behind.
pub(super) type Streams = BTreeMap<Option<String>, Vec<u8>>;
