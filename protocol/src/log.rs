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
//! | `leaf` | what a leaf says |

mod checkpoint;
mod cosignature;
mod leaf;
mod note;
mod tree;
mod witnesses;

pub use checkpoint::{Checkpoint, CheckpointError, SignedCheckpoint};
pub use cosignature::{SignatureKind, VerifierKey, VerifierKeyError};
pub use leaf::{Leaf, LeafError, LeafKind};
pub use note::{NoteError, SignedNote};
pub use tree::{
    AppendError, Appended, LogFile, LogFiles, TreeError, bundle_path, check_consistency,
    consistency_proof, decode_bundle, empty_root, encode_bundle, grow, read_leaves, root_at,
};
pub use witnesses::{Cosigner, Cosigners, Standing, log_key, mirror_name, quorum_of, witness_name};
