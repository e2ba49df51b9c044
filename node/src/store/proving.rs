//! Proofs out of what is stored: one record out of its class, one leaf out of its log.
//!
//! Why: the salts that a record proof needs grow from the class's seed, which rests sealed in the body; only the node that
//! holds the body can unseal it. A log grows while it is read, and a partial tile goes once the full one is there, so a
//! read that missed is tried again if the log has grown meanwhile. In scope: making. Out of scope: who may ask (the control
//! socket), checking (`hashpact-protocol`).

use std::collections::BTreeSet;
use std::io;

use hashpact_keys::Origin;
use hashpact_protocol::Hash;
use hashpact_protocol::delta::{Expected, MakeRecordProofError, RecordProof, RecordProver, Seq};
use hashpact_protocol::labels::ClassId;
use hashpact_protocol::log::{
    Checkpoint, CheckpointError, Leaf, LogFiles, LogProof, LogProofError, SignedCheckpoint,
    TreeError, inclusion_proof, inclusion_root, leaf_hash, read_leaves,
};
use hashpact_protocol::record::EntryId;
use hashpact_protocol::view::View as _;
use zeroize::Zeroizing;

use super::bodies::{BodyFault, DamagedBody};
use super::{ControlError, LookupError, Store};

/// A record proof, and where the delta of the record stands.
#[derive(Debug)]
pub struct StoredProof {
    /// The delta.
    pub seq: Seq,
    /// Its leaf's index in the log.
    pub index: u64,
    /// Its leaf's bytes.
    pub leaf: Vec<u8>,
    /// The proof.
    pub proof: RecordProof,
    /// Whether a retraction has ended the record since.
    pub retracted: bool,
}

/// A leaf, and the proof that it stands in its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedLeaf {
    /// Its bytes, which a verifier hashes.
    pub leaf: Vec<u8>,
    /// The tree that the proof leads to.
    pub checkpoint: Checkpoint,
    /// The proof, with the signed checkpoint.
    pub proof: LogProof,
}

/// Why a leaf of a log is not proven.
#[derive(Debug, thiserror::Error)]
pub enum LeafProofError {
    /// The disk.
    #[error("reading the checkpoint of {origin}")]
    Io {
        /// The log.
        origin: Origin,
        /// Why.
        source: io::Error,
    },
    /// Nothing was published of the log.
    #[error("no checkpoint of {origin} has been published here")]
    Unpublished {
        /// The log.
        origin: Origin,
    },
    /// The published checkpoint is not one.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The published checkpoint does not count the leaf.
    #[error("leaf {index} is beyond the newest published checkpoint, which counts {size} leaves")]
    Beyond {
        /// The leaf, from 0.
        index: u64,
        /// Leaves of the checkpoint.
        size: u64,
    },
    /// The checkpoint counts leaves that are not here.
    #[error("the published checkpoint counts {expected} leaves, of which {got} are here")]
    Behind {
        /// Leaves of the checkpoint.
        expected: u64,
        /// Leaves that are here.
        got: u64,
    },
    /// The tiles.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The proof cannot be written.
    #[error(transparent)]
    Proof(#[from] LogProofError),
    /// Leaf and tiles do not lead to the root that the checkpoint states.
    #[error("leaf {index} and the tiles do not lead to the root of the published checkpoint")]
    Root {
        /// The leaf, from 0.
        index: u64,
    },
}

/// Proves a leaf out of the files of a log of `size` leaves, to the tree of `note`, a signed checkpoint. That the leaf leads
/// to the checkpoint's root is checked; who signed it is not.
///
/// # Errors
/// [`LeafProofError`].
pub fn prove_leaf<F: LogFiles>(
    files: &F,
    size: u64,
    note: &[u8],
    index: u64,
) -> Result<LoggedLeaf, LeafProofError> {
    let head = SignedCheckpoint::from_store(note)?;
    let checkpoint = head.checkpoint().clone();
    if index >= checkpoint.size {
        let size = checkpoint.size;
        return Err(LeafProofError::Beyond { index, size });
    }
    if checkpoint.size > size {
        let (expected, got) = (checkpoint.size, size);
        return Err(LeafProofError::Behind { expected, got });
    }
    let missing = TreeError::Bundle { index };
    let leaf = read_leaves(files, size, index, index + 1)?.pop();
    let leaf = leaf.ok_or(missing)?;
    let path = inclusion_proof(files, size, index, checkpoint.size)?;
    if inclusion_root(&path, index, checkpoint.size, &leaf_hash(&leaf)) != Some(checkpoint.root) {
        return Err(LeafProofError::Root { index });
    }
    let proof = LogProof::new(None, index, path, note)?;
    Ok(LoggedLeaf {
        leaf,
        checkpoint,
        proof,
    })
}

/// Why there is no proof. The store is damaged, the disk failed, or the class is withheld.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// Finding the entry.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// The control database.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// Reading the log.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The leaf of a delta whose body is stored is not in the log.
    #[error("the log of {origin} has no leaf for delta {seq}, whose body is stored")]
    NoLeaf {
        /// The log.
        origin: Origin,
        /// The delta.
        seq: Seq,
    },
    /// The body does not give the proof.
    #[error(transparent)]
    Make(#[from] MakeRecordProofError),
}

/// A class of a stored delta, unsealed.
struct ClassOfDelta {
    index: u64,
    leaf: Vec<u8>,
    header: Vec<u8>,
    expected: Expected,
    class: ClassId,
    section: Zeroizing<Vec<u8>>,
}

impl ClassOfDelta {
    fn prover(&self) -> Result<RecordProver<'_>, MakeRecordProofError> {
        RecordProver::new(&self.header, &self.expected, self.class, &self.section)
    }
}

impl Store {
    /// Proves the newest stored revision of an entry of a log; `None` if no record of it is stored. The whole class of its
    /// delta is unsealed and hashed.
    ///
    /// # Errors
    /// [`ProveError`].
    pub fn record_proof(
        &self,
        origin: &Origin,
        entry: EntryId,
    ) -> Result<Option<StoredProof>, ProveError> {
        let Some(found) = self.lookup_entry(origin, entry)? else {
            return Ok(None);
        };
        let seq = found.seq;
        let of_class = self.class_of_delta(origin, seq, found.class)?;
        let proof = of_class.prover()?.prove(entry)?;
        let ClassOfDelta { index, leaf, .. } = of_class;
        Ok(Some(StoredProof {
            seq,
            index,
            leaf,
            proof,
            retracted: found.retracted,
        }))
    }

    /// Proves records of one class of one delta of a log, in their order, and says which leaf the delta is. The class is
    /// unsealed and hashed once.
    ///
    /// # Errors
    /// [`ProveError`].
    pub fn record_proofs(
        &self,
        origin: &Origin,
        seq: Seq,
        class: ClassId,
        entries: &[EntryId],
    ) -> Result<(u64, Vec<RecordProof>), ProveError> {
        let of_class = self.class_of_delta(origin, seq, class)?;
        let prover = of_class.prover()?;
        let proofs = entries.iter().map(|entry| Ok(prover.prove(*entry)?));
        Ok((of_class.index, proofs.collect::<Result<_, ProveError>>()?))
    }

    /// The salted hash of the newest stored revision of an entry of a log; `None` if no record of it is stored. As dear as a
    /// proof.
    ///
    /// # Errors
    /// [`ProveError`].
    pub fn record_leaf(&self, origin: &Origin, entry: EntryId) -> Result<Option<Hash>, ProveError> {
        let stored = self.record_proof(origin, entry)?;
        Ok(stored.map(|stored| stored.proof.leaf()))
    }

    fn class_of_delta(
        &self,
        origin: &Origin,
        seq: Seq,
        class: ClassId,
    ) -> Result<ClassOfDelta, ProveError> {
        let no_leaf = || ProveError::NoLeaf {
            origin: origin.clone(),
            seq,
        };
        let index = self.control.delta(origin, seq)?.ok_or_else(no_leaf)?;
        let leaf = self.leaf(origin, index)?;
        let Ok(Leaf::Delta { header, table }) = Leaf::from_bytes(&leaf) else {
            return Err(no_leaf());
        };
        let section = self
            .open_body(origin, seq)
            .and_then(|body| body.read_section(class.0.into()))
            .map_err(|fault| {
                let (origin, fault) = (origin.clone(), BodyFault::Sealed(fault));
                LookupError::Body(DamagedBody { origin, seq, fault })
            })?;
        let expected = Expected {
            origin: origin.clone(),
            seq,
            table,
            // Records that the store holds were checked when they came.
            suspected: BTreeSet::new(),
        };
        Ok(ClassOfDelta {
            index,
            leaf,
            header,
            expected,
            class,
            section,
        })
    }

    /// A leaf of a log.
    ///
    /// # Errors
    /// [`TreeError::Bundle`] if the log has no such leaf or it cannot be read.
    pub fn leaf(&self, origin: &Origin, index: u64) -> Result<Vec<u8>, TreeError> {
        let missing = TreeError::Bundle { index };
        self.while_it_grows(origin, |size| {
            if index >= size {
                return Err(missing.clone());
            }
            let files = |path: &str| self.log_file(origin, path);
            let mut leaves = read_leaves(&files, size, index, index + 1)?;
            leaves.pop().ok_or_else(|| missing.clone())
        })
    }

    /// Proves a leaf of a log to the newest checkpoint that this node has published of it.
    ///
    /// # Errors
    /// [`LeafProofError`].
    pub fn leaf_proof(&self, origin: &Origin, index: u64) -> Result<LoggedLeaf, LeafProofError> {
        let note = std::fs::read(self.layout.checkpoint(origin)).map_err(|source| {
            let origin = origin.clone();
            if source.kind() == io::ErrorKind::NotFound {
                LeafProofError::Unpublished { origin }
            } else {
                LeafProofError::Io { origin, source }
            }
        })?;
        let files = |path: &str| self.log_file(origin, path);
        self.while_it_grows(origin, |size| prove_leaf(&files, size, &note, index))
    }

    /// Reads a log at its size; again if it failed while the log grew.
    fn while_it_grows<T, E>(
        &self,
        origin: &Origin,
        read: impl Fn(u64) -> Result<T, E>,
    ) -> Result<T, E> {
        loop {
            let size = self.log(origin).size;
            match read(size) {
                Err(_) if self.log(origin).size != size => {}
                done => return done,
            }
        }
    }
}
