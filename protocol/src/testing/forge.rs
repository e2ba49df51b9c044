//! A log written by hand under a centre's own keys: what an evil origin could sign.
//!
//! Why: the checks of a leaf stand behind a signed checkpoint, so only its origin can fail them. In scope: leaves as bytes.
//! Out of scope: telling whether they are acceptable; here everything is written that fits a log.

use hashpact_keys::{KeyUse, Origin, SignedRoster, Signer};

use super::batch;
use super::keys::{CentreSetup, START};
use super::memory::Memory;
use crate::delta::{ClassTable, Header, Seq};
use crate::labels::{ClassDefinitions, ClassId, Labels};
use crate::log::{Checkpoint, Leaf, SignedCheckpoint, grow};
use crate::view::{LogState, View, Write};

/// A log under a centre's keys, written leaf by leaf.
#[derive(Clone)]
pub struct Forge {
    setup: CentreSetup,
    roster: SignedRoster,
    memory: Memory,
    seq: Seq,
    prev: [u8; 32],
}

impl Forge {
    /// The empty log of a centre.
    #[must_use]
    pub fn new(setup: &CentreSetup, roster: &SignedRoster) -> Self {
        let (setup, roster) = (setup.clone(), roster.clone());
        Self {
            setup,
            roster,
            memory: Memory::default(),
            seq: Seq(0),
            prev: [0; 32],
        }
    }

    /// A log that goes on from what a store holds of it.
    #[must_use]
    pub fn of(setup: &CentreSetup, roster: &SignedRoster, memory: &Memory) -> Self {
        let state = memory.log(&setup.origin);
        Self {
            setup: setup.clone(),
            roster: roster.clone(),
            memory: memory.clone(),
            seq: state.next_seq,
            prev: state.prev,
        }
    }

    /// The store that holds it.
    #[must_use]
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Its key for a use.
    #[must_use]
    pub fn signer(&self, use_: KeyUse) -> Signer {
        self.setup.signer(use_)
    }

    /// The header that would be right for a table here; a test bends it.
    #[must_use]
    pub fn header(&self, table: &ClassTable) -> Header {
        Header {
            network: self.roster.roster().network,
            origin: self.setup.origin.clone(),
            roster_version: self.roster.roster().version,
            seq: self.seq,
            prev: self.prev,
            table: table.root(),
            total: table.records(),
            issued_at: START,
            policy_ref: None,
        }
    }

    /// The leaf of a header under the centre's delta key.
    #[must_use]
    pub fn delta(&self, header: &Header, table: &ClassTable) -> Vec<u8> {
        let header = header.sign(&self.signer(KeyUse::Delta));
        Leaf::Delta {
            header,
            table: table.clone(),
        }
        .to_bytes()
        .unwrap_or_default()
    }

    /// Definitions that would be right here but for their numbers, which begin at `first`; a test bends them.
    #[must_use]
    pub fn definitions(&self, first: u16, labels: &[Labels]) -> ClassDefinitions {
        let (network, origin) = (self.roster.roster().network, self.setup.origin.clone());
        let classes = (first..).map(ClassId).zip(labels.iter().cloned()).collect();
        ClassDefinitions {
            network,
            origin,
            classes,
        }
    }

    /// The leaf of class definitions under a key.
    #[must_use]
    pub fn define(&self, definitions: &ClassDefinitions, signer: &Signer) -> Vec<u8> {
        let definitions = definitions.sign(signer);
        Leaf::Classes { definitions }.to_bytes().unwrap_or_default()
    }

    /// Appends leaves and signs the head, whatever they say.
    ///
    /// # Panics
    /// If a leaf does not fit a log.
    #[expect(clippy::unwrap_used, reason = "a test whose leaf fits no log is wrong")]
    pub fn extend(&mut self, leaves: &[Vec<u8>]) -> SignedCheckpoint {
        let origin = self.setup.origin.clone();
        let from = self.memory.log(&origin).size;
        let mut deltas = Vec::new();
        for (index, leaf) in (from..).zip(leaves) {
            if let Ok(Leaf::Delta { header, .. }) = Leaf::from_bytes(leaf) {
                deltas.push((self.seq, index));
                (self.seq, self.prev) = (Seq(self.seq.0 + 1), Header::chain_hash(&header));
            }
        }
        let files = |path: &str| self.memory.log_file(&origin, path);
        let grown = grow(&files, from, leaves).unwrap();
        let head = self.sign(grown.size, grown.root);
        let (size, root) = (grown.size, grown.root);
        let state = LogState {
            size,
            root,
            head: Some(head.clone()),
            ..self.memory.log(&origin)
        };
        let writes = vec![
            Write::Log {
                origin: origin.clone(),
                from,
                files: grown.files,
                deltas,
                classes: Vec::new(),
                policies: Vec::new(),
                manifests: Vec::new(),
            },
            Write::State { origin, state },
        ];
        self.memory.apply(batch(writes)).unwrap();
        head
    }

    /// A head under the centre's log key, whatever it says.
    #[must_use]
    pub fn sign(&self, size: u64, root: [u8; 32]) -> SignedCheckpoint {
        let origin: Origin = self.setup.origin.clone();
        Checkpoint { origin, size, root }.sign(&self.signer(KeyUse::Log))
    }
}
