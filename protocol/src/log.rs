//! One centre's provenance log: an RFC 6962 tree in the C2SP tlog formats, byte for byte.
//!
//! Why: existing tools then verify our logs with none of our code. Leaves hold commitments, never a fingerprint. The tree
//! itself is `tlog_tiles` (ADR 0006); what is ours is which leaves there are and how a log grows.
//!
//! | file | answers |
//! |---|---|
//! | `note` | signed notes (C2SP signed-note) |
//! | `checkpoint` | a log's signed head (C2SP tlog-checkpoint) |
//! | `tree` | how a log grows, its tiles and bundles (C2SP tlog-tiles), consistency |
//! | `leaf` | what a leaf says |

mod checkpoint;
mod leaf;
mod note;
mod tree;

pub use checkpoint::{Checkpoint, CheckpointError, SignedCheckpoint};
pub use leaf::{Leaf, LeafError, LeafKind};
pub use note::{NoteError, SignedNote};
pub use tree::{
    AppendError, Appended, LogFile, LogFiles, TreeError, bundle_path, check_consistency,
    consistency_proof, decode_bundle, empty_root, encode_bundle, grow, read_leaves, root_at,
};
