//! A log and a delta of a given size, to prove a leaf and a record out of.
//!
//! Why: what a proof weighs and takes depends on how much it is proven out of. In scope: synthetic content, the functions to
//! measure. Out of scope: the clock, which is whoever's who measures.

use std::collections::BTreeMap;

use std::collections::BTreeSet;

use hashpact_keys::roster::CentreEntry;
use hashpact_keys::{KeyUse, RosterVersion, Timestamp};

use super::keys::{CentreSetup, START, network};
use super::{record, rng::Seeded};
use crate::delta::{
    Draft, Expected, Header, ProvenRecord, RecordProof, RecordProofError, RecordProver, Sealed, Seq,
};
use crate::labels::ClassId;
use crate::log::{
    Checkpoint, Leaf, LogFiles, LogProof, LogProofError, SignedNote, VerifierKey, grow,
    inclusion_proof, log_key, witness_name,
};
use crate::record::EntryId;

/// The class that all records of a sample are in.
const CLASS: ClassId = ClassId(0);

/// A log with a delta in its middle, and all that their proofs are made of.
pub struct Sample {
    centre: CentreEntry,
    log: VerifierKey,
    files: BTreeMap<String, Vec<u8>>,
    size: u64,
    index: u64,
    leaf: Vec<u8>,
    note: Vec<u8>,
    header: Vec<u8>,
    expected: Expected,
    section: Vec<u8>,
    entry: EntryId,
}

impl Sample {
    /// A log of `leaves` leaves, cosigned by `witnesses`, and a delta of `records` records in one class: the deepest tree
    /// that so many records can make.
    ///
    /// # Panics
    /// If one of the first two is 0, or more than a log, a delta or a note may hold.
    #[must_use]
    #[expect(clippy::unwrap_used, reason = "a sample within the limits is made")]
    pub fn new(leaves: u64, records: u64, witnesses: usize) -> Self {
        let setup = CentreSetup::numbered(0);
        let (origin, seq) = (setup.origin.clone(), Seq(0));
        let list: Vec<_> = (0..records)
            .map(record)
            .map(|record| (record.entry, record.to_bytes()))
            .collect();
        let items = list
            .iter()
            .map(|(entry, bytes)| (CLASS, *entry, &bytes[..]));
        let draft = Draft::new(items, Vec::new(), &mut Seeded::new(1)).unwrap();
        let Sealed { table, body } = draft.seal(&origin, seq).unwrap();
        let header = Header {
            network: network(1, true).0.roster().network,
            origin: origin.clone(),
            roster_version: RosterVersion::FIRST,
            seq,
            prev: [0; 32],
            table: table.root(),
            total: table.records(),
            issued_at: START,
            policy_ref: None,
        };
        let header = header.sign(&setup.signer(KeyUse::Delta));
        let section = body.sections()[0].range.clone();
        let leaf = Leaf::Delta {
            header: header.clone(),
            table: table.clone(),
        };
        let leaf = leaf.to_bytes().unwrap();
        let index = leaves / 2;
        let filler = |n: u64| n.to_be_bytes().to_vec();
        let mut all: Vec<_> = (0..leaves).map(filler).collect();
        all[usize::try_from(index).unwrap()].clone_from(&leaf);
        let empty = |_: &str| None;
        let grown = grow(&empty, 0, &all).unwrap();
        let root = grown.root;
        let checkpoint = Checkpoint {
            origin: origin.clone(),
            size: leaves,
            root,
        };
        let signed = checkpoint.sign(&setup.signer(KeyUse::Log));
        let mut note = SignedNote::parse(signed.note()).unwrap();
        for n in 1..=witnesses {
            let witness = CentreSetup::numbered(n);
            let (name, key) = (
                witness_name(&witness.origin),
                witness.signer(KeyUse::Witness),
            );
            note.cosign(&name, &key, Timestamp::new(START.get() + 1))
                .unwrap();
        }
        Self {
            log: log_key(&origin, setup.signer(KeyUse::Log).public()),
            centre: setup.entry(),
            files: grown.files.into_iter().map(|f| (f.path, f.bytes)).collect(),
            size: leaves,
            index,
            leaf,
            note: note.to_bytes(),
            header,
            expected: Expected {
                origin,
                seq,
                table,
                suspected: BTreeSet::new(),
            },
            section: body.bytes()[section].to_vec(),
            entry: list[list.len() / 2].0,
        }
    }

    /// The delta's leaf, which stands in the middle of the log.
    #[must_use]
    pub fn leaf(&self) -> &[u8] {
        &self.leaf
    }

    /// Proves the delta's leaf.
    ///
    /// # Panics
    /// Never: the sample is whole.
    #[must_use]
    #[expect(clippy::unwrap_used, reason = "the sample is whole")]
    pub fn prove_leaf(&self) -> LogProof {
        let path = inclusion_proof(self, self.size, self.index, self.size).unwrap();
        LogProof::new(None, self.index, path, &self.note).unwrap()
    }

    /// Verifies a proof of the delta's leaf.
    ///
    /// # Errors
    /// [`LogProofError`].
    pub fn verify_leaf(&self, proof: &LogProof) -> Result<Checkpoint, LogProofError> {
        proof.verify(&self.leaf, &self.log)
    }

    /// Hashes the class, for proofs of its records.
    ///
    /// # Panics
    /// Never: the sample is whole.
    #[must_use]
    #[expect(clippy::unwrap_used, reason = "the sample is whole")]
    pub fn prover(&self) -> RecordProver<'_> {
        RecordProver::new(&self.header, &self.expected, CLASS, &self.section).unwrap()
    }

    /// The entry in the middle of the list.
    #[must_use]
    pub fn entry(&self) -> EntryId {
        self.entry
    }

    /// Verifies a proof of one of its records.
    ///
    /// # Errors
    /// [`RecordProofError`].
    pub fn verify_record(&self, proof: &RecordProof) -> Result<ProvenRecord, RecordProofError> {
        proof.verify(&self.centre)
    }
}

impl LogFiles for Sample {
    fn log_file(&self, path: &str) -> Option<Vec<u8>> {
        self.files.get(path).cloned()
    }
}
