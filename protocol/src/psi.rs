//! Private matching: two sides learn which fingerprints they share, and neither shows its list.
//!
//! Why: what policy does not let a centre share, it may still let others match. Spec: RFC 9497 (ristretto255-SHA512, mode
//! VOPRF), `docs/protocol.md`, "Private matching". In scope: arithmetic, proofs, formats. Out of scope: who may match
//! (`policy`), keys at rest, threads and streams (node).
//!
//! | file | answers |
//! |---|---|
//! | `group` | how are points read, multiplied and written, many at a time: the only file that names the curve's crate |
//! | `group/fixed` | how is a fixed point multiplied by a secret number |
//! | `oprf` | what does a server evaluate, and what does a client make of it |
//! | `oprf/suite` | the strings and hashes of the RFC |
//! | `oprf/dleq` | how is it proven that one key was used |
//! | `space` | what is matched: epoch, group, type, mode; which bytes stand for a fingerprint |
//! | `tag` | what of an evaluated item is published |
//! | `rice`, `artifact` | how are tags packed into segments and chunks, and is a chunk what its root says |
//! | `label` | what does a match tell in mode `labels` |
//! | `manifest` | what does a centre sign and log of an epoch |
//! | `exchange` | what do the two sides say to each other |
//! | `query` | do batches go on where the last one ended, and what does a session commit to |
//! | `sample` | is what is matched what was logged |
//! | `sample/draw` | which of it does an auditor look at |
//! | `record` | what does each side write down of a session |

mod artifact;
mod exchange;
mod group;
mod label;
mod manifest;
pub mod oprf;
mod query;
mod record;
mod rice;
mod sample;
mod space;
mod tag;

pub use artifact::{
    ChunkFault, EncodeError, Ended, Segment, SegmentError, SegmentPlace, SegmentTags,
    SegmentWriter, Side, encode, encode_labelled,
};
pub use exchange::{
    Answer, Ask, Batch, Chunk, ExchangeError, FRAME_PREFIX, OpenAsk, Opened, Points, RefusalCode,
    SegmentAsk, frame, frame_length,
};
pub use group::{Encoded, Fault, PointError};
pub use label::{LABELS_PER_CHUNK, Label, LabelError, SealedLabel, SegmentLabels};
pub use manifest::{Artifact, Group, Manifest, ManifestError, SegmentRow};
pub use query::{BatchError, Query, blinds_commitment};
pub use record::{RecordError, Role, SessionRecord};
pub use sample::{
    MatchSample, SampleError, manifest_hash, positions as sample_positions, strangers_below,
};
pub use space::{Epoch, GroupId, SessionId, Space, input};
pub use tag::{Tag, TagBits, TagBitsError, Tagger, tag};
