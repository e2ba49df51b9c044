//! One centre's provenance log: an RFC 6962 tree in the C2SP tlog formats, byte for byte.
//!
//! Why: existing tools then verify our logs with none of our code. Leaves hold commitments, never a fingerprint. The tree
//! itself is `tlog_tiles` (ADR 0006); what is ours is which leaves there are and how a log grows.
//!
//! | file | answers |
//! |---|---|
//! | `note` | signed notes (C2SP signed-note) |
//! | `cosignature` | named keys, and signatures with a time (C2SP tlog-cosignature) |
//! | `witnesses` | who may cosign a log, and how many must |
//! | `checkpoint` | a log's signed head (C2SP tlog-checkpoint) |
//! | `tree` | how a log grows, its tiles and bundles (C2SP tlog-tiles), consistency |
//! | `add_checkpoint` | how a log asks a witness, and what the witness says (C2SP tlog-witness) |
//! | `leaf` | what a leaf says |
//! | `inclusion` | that a leaf is in a tree, and which roots a consistency proof stands for |
//! | `proof_file` | a leaf's offline proof (C2SP tlog-proof) |
//! | `policy_file` | who must have signed, for tools without a roster (C2SP tlog-policy) |
//! | `receipt` | a leaf's offline proof for COSE tools (RFC 9942) |
//! | `fork` | that a centre told two stories |

mod add_checkpoint;
mod checkpoint;
mod cosignature;
mod fork;
mod inclusion;
mod leaf;
mod note;
mod policy_file;
mod proof_file;
mod receipt;
mod tree;
mod witnesses;

pub use add_checkpoint::{
    ANSWER_BYTES, Accepted, AddCheckpoint, AddCheckpointError, AnswerError, LogHead, PROOF_LINES,
    REQUEST_BYTES, Refusal, Submitted, Suspicion, WitnessedLog, cosignature_line,
    cosignatures_from_answer, origin_hash,
};
pub use checkpoint::{Checkpoint, CheckpointError, SignedCheckpoint};
pub use cosignature::{SignatureKind, VerifierKey, VerifierKeyError};
pub use fork::{Branches, Common, FORK_PROOF_BYTES, ForkError, ForkFact, ForkProof, Parts};
pub use inclusion::{
    InclusionError, check_inclusion, consistency_roots, inclusion_proof, inclusion_root, leaf_hash,
};
pub use leaf::{Leaf, LeafError, LeafKind, read_delta};
pub use note::{NoteError, SignedNote};
pub use policy_file::{
    POLICY_BYTES, POLICY_ITEMS, PolicyFileError, PolicyLog, PolicyWitness, WitnessPolicy,
};
pub use proof_file::{EXTRA_BYTES, LOG_PROOF_BYTES, LogProof, LogProofError};
#[cfg(any(test, feature = "testing"))]
pub(crate) use receipt::Envelope as ReceiptEnvelope;
pub use receipt::{RECEIPT_BYTES, Receipt, ReceiptError};
pub use tree::{
    AppendError, Appended, LogFile, LogFiles, TreeError, bundle_path, check_consistency,
    consistency_proof, decode_bundle, edge, empty_root, encode_bundle, grow, read_leaves, root_at,
};
pub use witnesses::{
    Cosigner, Cosigners, Standing, log_key, mirror_name, quorum_of, reports_of, witness_name,
};
