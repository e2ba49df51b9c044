//! A log as its centre would publish it: rosters, files, witnessed notes; and its audit.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use hashpact_keys::roster::{KeyEntry, Roster, RosterDraft, WitnessEntry};
use hashpact_keys::{KeyUse, RosterVersion, SignedRoster, Signer, Timestamp};
use hashpact_protocol::audit::{
    Chain, Event, Finding, FindingKind, HistoryNotes, LogInput, LogSummary, NoteSummary, Place,
    verify_log,
};
use hashpact_protocol::delta::{ClassEntry, ClassTable, Expected, RetractionEntry, Seq};
use hashpact_protocol::labels::ClassId;
use hashpact_protocol::log::{
    Leaf, SignedNote, empty_root, grow, mirror_name, root_at, witness_name,
};
use hashpact_protocol::testing::forge::Forge;
use hashpact_protocol::testing::keys::{self, CentreSetup, START};
use hashpact_protocol::testing::labels;

/// The auditor's name.
pub(crate) const AUDITOR: &str = "auditor.example/1";
/// When an audit takes place here.
pub(crate) const NOW: Timestamp = Timestamp::new(START.get() + 1_000);

pub(crate) fn auditor() -> Signer {
    Signer::from_seed(&[77; 32])
}

fn held(use_: KeyUse, signer: &Signer) -> KeyEntry {
    KeyEntry {
        use_,
        key: signer.public(),
        from: Timestamp::new(START.get() - 3_600),
        until: None,
    }
}

/// A network of four centres and an auditor, all of which witness: 3 of 4 must.
fn network() -> (SignedRoster, Vec<CentreSetup>) {
    let (plain, centres) = keys::network(4, true);
    let mut draft = RosterDraft {
        version: RosterVersion::FIRST,
        network: None,
        ..plain
            .roster()
            .next_draft(START, plain.roster().expires_at)
            .unwrap()
    };
    for (entry, setup) in draft.centres.iter_mut().map(|entry| {
        let setup = centres.iter().find(|setup| setup.id == entry.id).unwrap();
        (entry, setup)
    }) {
        entry
            .keys
            .retain(|key| ![KeyUse::Witness, KeyUse::Mirror].contains(&key.use_));
        for use_ in [KeyUse::Witness, KeyUse::Mirror] {
            entry.keys.push(held(use_, &setup.signer(use_)));
        }
    }
    draft.auditors = vec![WitnessEntry {
        name: AUDITOR.parse().unwrap(),
        keys: vec![held(KeyUse::Witness, &auditor())],
    }];
    draft.witnesses.clear();
    let roster = Roster::from_draft(draft).unwrap();
    let bytes = keys::sign(&roster, &[0, 1]);
    let first = SignedRoster::open_first(&bytes, &roster.network).unwrap();
    (first, centres)
}

/// The published log of the first centre.
#[derive(Clone)]
pub(crate) struct Published {
    pub(crate) rosters: Vec<SignedRoster>,
    /// As they are in the folder: what a test damages.
    pub(crate) roster_files: Vec<Vec<u8>>,
    pub(crate) centres: Vec<CentreSetup>,
    pub(crate) forge: Forge,
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) size: u64,
    pub(crate) checkpoint: Option<Vec<u8>>,
    pub(crate) history: Vec<u8>,
    pub(crate) refused: Vec<Vec<u8>>,
    pub(crate) fork: Option<Vec<u8>>,
}

/// What an audit said.
pub(crate) struct Audit {
    pub(crate) findings: Vec<Finding>,
    pub(crate) notes: Vec<NoteSummary>,
    pub(crate) deltas: Vec<(u64, Seq)>,
    pub(crate) summary: Option<LogSummary>,
    /// Files that it read.
    pub(crate) read: BTreeSet<String>,
}

impl Audit {
    /// Place and kind of every finding.
    pub(crate) fn found(&self) -> Vec<(Place, FindingKind)> {
        let parts = |finding: &Finding| (finding.place.clone(), finding.what.clone());
        self.findings.iter().map(parts).collect()
    }
}

pub(crate) fn leaf(index: u64) -> Place {
    Place::Leaf { index, seq: None }
}

pub(crate) fn delta(index: u64, seq: u64) -> Place {
    let seq = Some(Seq(seq));
    Place::Leaf { index, seq }
}

pub(crate) fn file(path: &str) -> Place {
    Place::File(path.to_owned())
}

pub(crate) fn at_history(number: u64, size: u64) -> Place {
    let size = Some(size);
    Place::History { number, size }
}

pub(crate) fn at_checkpoint(size: u64) -> Place {
    Place::Checkpoint { size: Some(size) }
}

/// A table of one class with so many records and retractions; its roots are those of nothing.
pub(crate) fn table(records: u64, retractions: u64) -> ClassTable {
    let class = ClassEntry {
        class: ClassId(0),
        count: records,
        root: [1; 32],
    };
    ClassTable {
        classes: (records > 0).then_some(class).into_iter().collect(),
        retractions: RetractionEntry {
            count: retractions,
            root: [2; 32],
        },
    }
}

impl Published {
    /// Leaf 0: roster 1. Leaf 1: a class. A witnessed note over both.
    pub(crate) fn new() -> Self {
        let (roster, centres) = network();
        let forge = Forge::new(&centres[0], &roster);
        let mut published = Self {
            roster_files: vec![roster.bytes().to_vec()],
            rosters: vec![roster],
            centres,
            forge,
            files: BTreeMap::new(),
            size: 0,
            checkpoint: None,
            history: Vec::new(),
            refused: Vec::new(),
            fork: None,
        };
        let roster = published.roster_leaf(0);
        let definitions = published.forge.definitions(0, &[labels()]);
        let signer = published.forge.signer(KeyUse::Delta);
        let classes = published.forge.define(&definitions, &signer);
        published.append(&[roster, classes]);
        published.publish();
        published
    }

    /// One with `n` deltas of 3 records and a retraction behind its first two leaves, a note behind the first and the last.
    pub(crate) fn with_deltas(n: u64) -> Self {
        let mut published = Self::new();
        for at in 0..n {
            let leaf = published.next_delta();
            published.append(&[leaf]);
            if at == 0 || at + 1 == n {
                published.publish();
            }
        }
        published
    }

    /// The leaf of a roster of the chain, from 0.
    pub(crate) fn roster_leaf(&self, at: usize) -> Vec<u8> {
        let roster = &self.rosters[at];
        let (version, hash) = (roster.roster().version, roster.hash());
        Leaf::Roster { version, hash }.to_bytes().unwrap()
    }

    /// The next roster of the chain.
    pub(crate) fn next_roster(&mut self, change: impl FnOnce(&mut RosterDraft)) {
        let next = keys::next_roster(self.rosters.last().unwrap(), START, change);
        self.roster_files.push(next.bytes().to_vec());
        self.rosters.push(next);
    }

    pub(crate) fn next_delta(&self) -> Vec<u8> {
        let table = table(3, 1);
        self.forge.delta(&self.forge.header(&table), &table)
    }

    /// Appends leaves, whatever they say. Partial tiles that are outgrown stay, as on a node's disk.
    pub(crate) fn append(&mut self, leaves: &[Vec<u8>]) {
        let files = |path: &str| self.files.get(path).cloned();
        let grown = grow(&files, self.size, leaves).unwrap();
        self.size = grown.size;
        self.files
            .extend(grown.files.into_iter().map(|file| (file.path, file.bytes)));
        self.forge.extend(leaves);
    }

    pub(crate) fn root(&self) -> [u8; 32] {
        if self.size == 0 {
            return empty_root();
        }
        root_at(
            &|path: &str| self.files.get(path).cloned(),
            self.size,
            self.size,
        )
        .unwrap()
    }

    /// The head as the log's key signs it.
    pub(crate) fn head(&self) -> SignedNote {
        SignedNote::parse(self.forge.sign(self.size, self.root()).note()).unwrap()
    }

    /// Cosigns as centres (by number) and perhaps the auditor would.
    pub(crate) fn cosign(&self, note: &mut SignedNote, centres: &[usize], with_auditor: bool) {
        for n in centres {
            let setup = &self.centres[*n];
            let name = witness_name(&setup.origin);
            note.cosign(&name, &setup.signer(KeyUse::Witness), at(*n))
                .unwrap();
        }
        if with_auditor {
            note.cosign(AUDITOR, &auditor(), at(9)).unwrap();
        }
    }

    /// Adds a mirror's receipt.
    pub(crate) fn receive(&self, note: &mut SignedNote, centre: usize) {
        let setup = &self.centres[centre];
        let name = mirror_name(&setup.origin);
        note.cosign(&name, &setup.signer(KeyUse::Mirror), at(centre))
            .unwrap();
    }

    /// Publishes the head with everybody's cosignature.
    pub(crate) fn publish(&mut self) {
        let mut note = self.head();
        self.cosign(&mut note, &[1, 2, 3], true);
        self.receive(&mut note, 1);
        self.publish_note(&note.to_bytes());
    }

    pub(crate) fn publish_note(&mut self, note: &[u8]) {
        self.history.extend_from_slice(note);
        self.history.push(b'\n');
        self.checkpoint = Some(note.to_vec());
    }

    pub(crate) fn audit(&self) -> Audit {
        let mut findings = Vec::new();
        let pin = self.rosters[0].roster().network;
        let versions = self.roster_files.iter().cloned();
        let chain = Chain::open(&pin, versions, NOW, |finding| findings.push(finding));
        let mut audit = Audit {
            findings,
            notes: Vec::new(),
            deltas: Vec::new(),
            summary: None,
            read: BTreeSet::new(),
        };
        let Some(chain) = chain else {
            return audit;
        };
        let read = RefCell::new(BTreeSet::new());
        let files = |path: &str| {
            read.borrow_mut().insert(path.to_owned());
            self.files.get(path).cloned()
        };
        let centre = chain.logs()[&self.centres[0].origin].clone();
        let input = LogInput {
            centre: &centre,
            files: &files,
            checkpoint: self.checkpoint.clone(),
            history: HistoryNotes::new(self.history.chunks(1_000).map(<[u8]>::to_vec)),
            refused: self.refused.clone(),
            fork: self.fork.clone(),
        };
        let summary = verify_log(&chain, input, NOW, &mut |event| match event {
            Event::Finding(finding) => audit.findings.push(finding),
            Event::Note(note) => audit.notes.push(note),
            Event::Delta {
                index,
                expected: Expected { seq, .. },
            } => audit.deltas.push((index, seq)),
        });
        audit.summary = Some(summary);
        audit.read = read.into_inner();
        audit
    }
}

/// When centre number `n` cosigns here; 9 is the auditor.
pub(crate) fn at(n: usize) -> Timestamp {
    Timestamp::new(START.get() + 10 + u64::try_from(n).unwrap())
}
