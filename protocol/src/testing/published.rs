//! A log as its centre would publish it: rosters, files, witnessed notes, bodies; and its audit.
//!
//! Why: what an auditor reads is the same for the core, the node and the report, and so is what somebody may damage of it.
//! In scope: its bytes. Out of scope: a centre that runs (`sim`), leaves that are wrong (`forge`).

#![expect(
    clippy::unwrap_used,
    reason = "what a test builds on is right or the test is wrong"
)]

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use crate::audit::{
    Chain, Event, Finding, FindingKind, HistoryNotes, LogInput, LogSummary, NoteSummary, OtherLog,
    Place, ReadPolicy, verify_log,
};
use crate::delta::{ClassEntry, ClassTable, Draft, Expected, RetractionEntry, Seq};
use crate::labels::ClassId;
use crate::log::{
    Common, ForkProof, Leaf, Parts, SignedNote, consistency_proof, empty_root, grow, mirror_name,
    read_leaves, root_at, witness_name,
};
use crate::policy::PolicyDocument;
use crate::testing::forge::Forge;
use crate::testing::keys::{self, CentreSetup, START};
use crate::testing::{documents, labels};
use crate::view::View as _;
use hashpact_keys::roster::{CentreEntry, KeyEntry, Roster, RosterDraft, WitnessEntry};
use hashpact_keys::{KeyUse, RosterVersion, SignedRoster, Signer, Timestamp};
use sha2::{Digest as _, Sha256};

/// The auditor's name.
pub const AUDITOR: &str = "auditor.example/1";
/// When an audit takes place here.
pub const NOW: Timestamp = Timestamp::new(START.get() + 1_000);

/// When further rosters are issued here.
pub const ISSUED: Timestamp = Timestamp::new(START.get() + 100);

/// The auditor's witness key.
#[must_use]
pub fn auditor() -> Signer {
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
        documents::list_keys(entry, setup);
        let matching = setup.entry_with(&[KeyUse::Manifest]).keys;
        entry.keys.extend(matching);
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
pub struct Published {
    /// The chain.
    pub rosters: Vec<SignedRoster>,
    /// As they are in the folder: what a test damages.
    pub roster_files: Vec<Vec<u8>>,
    /// The centres; the log is the first one's.
    pub centres: Vec<CentreSetup>,
    /// What signs its leaves and heads.
    pub forge: Forge,
    /// Tiles and bundles.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Leaves.
    pub size: u64,
    /// The newest note.
    pub checkpoint: Option<Vec<u8>>,
    /// Every note.
    pub history: Vec<u8>,
    /// Notes that a mirror did not take.
    pub refused: Vec<Vec<u8>>,
    /// A fork proof.
    pub fork: Option<Vec<u8>>,
    /// Bodies of the deltas that have one.
    pub bodies: BTreeMap<Seq, Vec<u8>>,
    /// The log whose place it takes, if that is published too.
    pub earlier: Option<Box<Published>>,
}

/// What an audit said.
pub struct Audit {
    /// Findings, as they came.
    pub findings: Vec<Finding>,
    /// Notes of the history, as they were judged.
    pub notes: Vec<NoteSummary>,
    /// Leaf and number of each delta.
    pub deltas: Vec<(u64, Seq)>,
    /// What the body of each delta is checked against.
    pub expected: Vec<Expected>,
    /// The policy documents, as they were read.
    pub policies: Vec<ReadPolicy>,
    /// Everything that it told, as it came.
    pub events: Vec<Event>,
    /// The sums; none if the pin did not fit.
    pub summary: Option<LogSummary>,
    /// Files that it read.
    pub read: BTreeSet<String>,
}

impl Audit {
    /// Place and kind of every finding.
    #[must_use]
    pub fn found(&self) -> Vec<(Place, FindingKind)> {
        let parts = |finding: &Finding| (finding.place.clone(), finding.what.clone());
        self.findings.iter().map(parts).collect()
    }
}

/// A leaf that is no delta, or whose number is not told.
#[must_use]
pub fn leaf(index: u64) -> Place {
    Place::Leaf { index, seq: None }
}

/// The leaf of a delta.
#[must_use]
pub fn delta(index: u64, seq: u64) -> Place {
    let seq = Some(Seq(seq));
    Place::Leaf { index, seq }
}

/// A file.
#[must_use]
pub fn file(path: &str) -> Place {
    Place::File(path.to_owned())
}

/// A note of the history.
#[must_use]
pub fn at_history(number: u64, size: u64) -> Place {
    let size = Some(size);
    Place::History { number, size }
}

/// The newest checkpoint.
#[must_use]
pub fn at_checkpoint(size: u64) -> Place {
    Place::Checkpoint { size: Some(size) }
}

/// A table of one class with so many records and retractions; its roots are those of nothing.
pub fn table(records: u64, retractions: u64) -> ClassTable {
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
    #[must_use]
    pub fn begun() -> Self {
        Self::begun_by(0)
    }

    /// As [`Published::begun`], the log of another centre of the same network, which comes to stand first in `centres`.
    #[must_use]
    pub fn begun_by(centre: usize) -> Self {
        let (roster, mut centres) = network();
        centres.swap(0, centre);
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
            bodies: BTreeMap::new(),
            earlier: None,
        };
        let roster = published.roster_leaf(0);
        let mut labels = labels();
        let law = published.centres[0].jurisdiction.clone();
        labels.residency.insert(law);
        let definitions = published.forge.definitions(0, &[labels]);
        let signer = published.forge.signer(KeyUse::Delta);
        let classes = published.forge.define(&definitions, &signer);
        published.append(&[roster, classes]);
        published.publish();
        published
    }

    /// One with `n` deltas of 3 records and a retraction behind its first two leaves, a note behind the first and the last.
    pub fn with_deltas(n: u64) -> Self {
        let mut published = Self::begun();
        for at in 0..n {
            let leaf = published.next_delta();
            published.append(&[leaf]);
            if at == 0 || at + 1 == n {
                published.publish();
            }
        }
        published
    }

    /// The document of the log's centre with this version, which allows everything between centres.
    #[must_use]
    pub fn document(&self, version: u64) -> PolicyDocument {
        let network = self.rosters[0].roster().network;
        documents::document(
            &self.centres[0],
            network,
            version,
            &[("all", documents::ALL)],
        )
    }

    /// The leaf of a roster of the chain, from 0.
    pub fn roster_leaf(&self, at: usize) -> Vec<u8> {
        let roster = &self.rosters[at];
        let (version, hash) = (roster.roster().version, roster.hash());
        Leaf::Roster { version, hash }.to_bytes().unwrap()
    }

    /// The next roster of the chain, issued after everybody has cosigned here.
    pub fn next_roster(&mut self, change: impl FnOnce(&mut RosterDraft)) {
        self.next_roster_at(ISSUED, change);
    }

    /// The next roster of the chain.
    pub fn next_roster_at(&mut self, issued_at: Timestamp, change: impl FnOnce(&mut RosterDraft)) {
        let last = self.rosters.last().unwrap();
        let next = keys::next_roster(last, issued_at, change);
        self.roster_files.push(next.bytes().to_vec());
        self.rosters.push(next);
    }

    /// The next delta of 3 records and a retraction, without a body.
    #[must_use]
    pub fn next_delta(&self) -> Vec<u8> {
        let table = table(3, 1);
        self.forge.delta(&self.forge.header(&table), &table)
    }

    /// Appends a delta of these synthetic records, all of class 0, and keeps its body.
    ///
    /// # Panics
    /// If it is more than a delta holds.
    pub fn append_records(&mut self, records: std::ops::Range<u64>) {
        let records: Vec<_> = records.map(super::record).collect();
        self.append_delta(ClassId(0), &records);
    }

    /// As [`Published::append_records`], of records made elsewhere and any class, whether they may stand in it or not.
    ///
    /// # Panics
    /// If it is more than a delta holds.
    pub fn append_delta(&mut self, class: ClassId, records: &[super::Record]) {
        let bytes: Vec<_> = records.iter().map(super::Record::to_bytes).collect();
        let items = records.iter().zip(&bytes);
        let items = items.map(|(record, bytes)| (class, record.entry, &bytes[..]));
        let mut rng = super::rng::Seeded::new(self.size);
        let draft = Draft::new(items, Vec::new(), &mut rng).unwrap();
        let seq = self.forge.header(&table(1, 0)).seq;
        let sealed = draft.seal(&self.centres[0].origin, seq).unwrap();
        let leaf = self
            .forge
            .delta(&self.forge.header(&sealed.table), &sealed.table);
        self.append(&[leaf]);
        self.bodies.insert(seq, sealed.body.bytes().to_vec());
    }

    /// The log that takes this one's place after a fork, in which `common` leaves were common: a roster gives the centre its
    /// next line, whose log begins with that and the roster, witnessed. This log is published beside it, with the proof.
    #[must_use]
    pub fn resumed(&self, common: u64) -> Self {
        self.resumed_by(common, |old| vec![old.resumption(common)])
    }

    /// As [`Published::resumed`], with these leaves before that of the roster.
    #[must_use]
    pub fn resumed_by(&self, common: u64, leaves: impl FnOnce(&Self) -> Vec<Vec<u8>>) -> Self {
        let mut old = self.clone();
        old.fork = Some(self.fork_proof(common));
        let next = old.centres[0].origin.next_epoch().unwrap();
        let line = next.clone();
        old.next_roster(|draft| {
            let centre = |centre: &&mut CentreEntry| centre.origin.centre() == line.centre();
            draft.centres.iter_mut().find(centre).unwrap().origin = line.clone();
        });
        let mut setup = old.centres[0].clone();
        setup.origin = next;
        let mut leaves = leaves(&old);
        let mut new = Self {
            forge: Forge::new(&setup, old.rosters.last().unwrap()),
            files: BTreeMap::new(),
            size: 0,
            checkpoint: None,
            history: Vec::new(),
            refused: Vec::new(),
            fork: None,
            bodies: BTreeMap::new(),
            ..old.clone()
        };
        new.centres[0] = setup;
        new.earlier = Some(Box::new(old));
        leaves.push(new.roster_leaf(new.rosters.len() - 1));
        new.append(&leaves);
        new.publish_at(&[1, 2, 3], Timestamp::new(ISSUED.get() + 10));
        new
    }

    /// The leaf that takes this log's place from this size on, naming the fork proof beside it.
    #[must_use]
    pub fn resumption(&self, size: u64) -> Vec<u8> {
        let files = |path: &str| self.files.get(path).cloned();
        let root = match size {
            0 => empty_root(),
            _ => root_at(&files, self.size, size).unwrap(),
        };
        let proof = Sha256::digest(self.fork.as_deref().unwrap()).into();
        let origin = self.centres[0].origin.clone();
        let leaf = Leaf::Resumed {
            origin,
            size,
            root,
            proof,
        };
        leaf.to_bytes().unwrap()
    }

    /// A fork proof of this log: two branches that have its first `common` leaves in common, and nothing more.
    #[must_use]
    pub fn fork_proof(&self, common: u64) -> Vec<u8> {
        let files = |path: &str| self.files.get(path).cloned();
        let leaves = read_leaves(&files, self.size, 0, common).unwrap();
        let branch = |last: u8| {
            let mut forge = Forge::new(&self.centres[0], &self.rosters[0]);
            forge.extend(&leaves);
            let head = forge.extend(&[vec![0x82, 0x06, last]]);
            let memory = forge.memory().clone();
            let origin = self.centres[0].origin.clone();
            (head, move |path: &str| memory.log_file(&origin, path))
        };
        let ((a, of_a), (b, of_b)) = (branch(1), branch(2));
        let size = common + 1;
        let shown = (common > 0).then(|| Common {
            size: common,
            root: root_at(&files, self.size, common).unwrap(),
            to_a: consistency_proof(&of_a, size, common, size).unwrap(),
            to_b: consistency_proof(&of_b, size, common, size).unwrap(),
        });
        let proof = ForkProof::checkpoints(a.note(), b.note(), Vec::new(), None, shown).unwrap();
        // Both heads end where the branches part.
        let parts = Parts {
            a: (a.checkpoint().root, Vec::new()),
            b: (b.checkpoint().root, Vec::new()),
        };
        let proof = proof.with_parts(a.note(), parts).unwrap();
        proof.to_text().into_bytes()
    }

    /// Everything as files of a folder, by path below it.
    #[must_use]
    pub fn folder(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = match &self.earlier {
            Some(earlier) => earlier.folder(),
            None => BTreeMap::new(),
        };
        files.extend(self.log_folder());
        files
    }

    fn log_folder(&self) -> BTreeMap<String, Vec<u8>> {
        let name = self.centres[0].origin.as_str().replace('/', "_");
        let rosters = (1..).zip(&self.roster_files);
        let mut files: BTreeMap<_, _> = rosters
            .map(|(version, bytes)| (format!("rosters/{version}"), bytes.clone()))
            .collect();
        let tiles = self.files.iter();
        files.extend(tiles.map(|(path, bytes)| (format!("{name}/{path}"), bytes.clone())));
        let note = self.checkpoint.iter();
        files.extend(note.map(|note| (format!("{name}/checkpoint"), note.clone())));
        files.insert(format!("{name}/history"), self.history.clone());
        let fork = self.fork.iter();
        files.extend(fork.map(|fork| (format!("{name}/fork"), fork.clone())));
        files
    }

    /// Appends leaves, whatever they say. Partial tiles that are outgrown stay, as on a node's disk.
    pub fn append(&mut self, leaves: &[Vec<u8>]) {
        let files = |path: &str| self.files.get(path).cloned();
        let grown = grow(&files, self.size, leaves).unwrap();
        self.size = grown.size;
        self.files
            .extend(grown.files.into_iter().map(|file| (file.path, file.bytes)));
        self.forge.extend(leaves);
    }

    /// Root over all leaves.
    ///
    /// # Panics
    /// If a test damaged a tile before it asked.
    #[must_use]
    pub fn root(&self) -> [u8; 32] {
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
    pub fn head(&self) -> SignedNote {
        SignedNote::parse(self.forge.sign(self.size, self.root()).note()).unwrap()
    }

    /// Cosigns as centres (by number) and perhaps the auditor would.
    pub fn cosign(&self, note: &mut SignedNote, centres: &[usize], with_auditor: bool) {
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
    pub fn receive(&self, note: &mut SignedNote, centre: usize) {
        let setup = &self.centres[centre];
        let name = mirror_name(&setup.origin);
        note.cosign(&name, &setup.signer(KeyUse::Mirror), at(centre))
            .unwrap();
    }

    /// Publishes the head with everybody's cosignature.
    pub fn publish(&mut self) {
        let mut note = self.head();
        self.cosign(&mut note, &[1, 2, 3], true);
        self.receive(&mut note, 1);
        self.publish_note(&note.to_bytes());
    }

    /// Publishes the head with cosignatures of centres (by number) that are all dated by `at`.
    pub fn publish_at(&mut self, centres: &[usize], at: Timestamp) {
        let mut note = self.head();
        for n in centres {
            let setup = &self.centres[*n];
            let name = witness_name(&setup.origin);
            note.cosign(&name, &setup.signer(KeyUse::Witness), at)
                .unwrap();
        }
        self.publish_note(&note.to_bytes());
    }

    /// Publishes a note, whoever signed it.
    pub fn publish_note(&mut self, note: &[u8]) {
        self.history.extend_from_slice(note);
        self.history.push(b'\n');
        self.checkpoint = Some(note.to_vec());
    }

    /// Audits it under its own pin.
    ///
    /// # Panics
    /// If no roster names the log.
    #[must_use]
    pub fn audit(&self) -> Audit {
        self.audit_at(NOW)
    }

    /// As [`Published::audit`], at another time.
    #[must_use]
    pub fn audit_at(&self, now: Timestamp) -> Audit {
        let mut findings = Vec::new();
        let pin = self.rosters[0].roster().network;
        let versions = self.roster_files.iter().cloned();
        let chain = Chain::open(&pin, versions, now, |finding| findings.push(finding));
        let mut audit = Audit {
            findings,
            notes: Vec::new(),
            deltas: Vec::new(),
            expected: Vec::new(),
            policies: Vec::new(),
            events: Vec::new(),
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
            refused: self.refused.iter().cloned().map(Ok).collect(),
            fork: self.fork.clone(),
            is_here: true,
            others: &|origin| {
                let old = self.earlier.as_deref()?;
                let is_it = old.centres[0].origin == *origin;
                let tiles = old.files.clone();
                is_it.then(|| OtherLog {
                    files: Box::new(move |path: &str| tiles.get(path).cloned()),
                    checkpoint: old.checkpoint.clone(),
                    fork: old.fork.clone(),
                })
            },
        };
        let mut emit = |event| match event {
            Event::Finding(finding) => audit.findings.push(finding),
            Event::Note(note) => audit.notes.push(note),
            Event::Classes(_) | Event::Sealed { .. } | Event::Manifest { .. } => {}
            Event::Delta {
                index, expected, ..
            } => {
                audit.deltas.push((index, expected.seq));
                audit.expected.push(expected);
            }
            Event::Policy(policy) => audit.policies.push(policy),
        };
        let mut events = Vec::new();
        let summary = verify_log(&chain, input, now, &mut |event: Event| {
            events.push(event.clone());
            emit(event);
        });
        audit.events = events;
        audit.summary = Some(summary);
        audit.read = read.into_inner();
        audit
    }
}

/// When centre number `n` cosigns here; 9 is the auditor.
pub fn at(n: usize) -> Timestamp {
    Timestamp::new(START.get() + 10 + u64::try_from(n).unwrap())
}
