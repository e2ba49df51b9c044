//! Private matching: how lists are checked against each other without revealing them.
//!
//! The core decides who may ask and what it costs; the network carries streams; here is what is evaluated, what is kept for
//! it, and what is published. A centre matches the entries of its own log, so that one answer follows one law.
//!
//! | file | answers |
//! |---|---|
//! | `desk` | how the rest of the node starts, wakes, asks and stops all this |
//! | `build` | what is built beside everything else: points, segments, manifests, new epochs |
//! | `serve` | what others are answered |
//! | `keyring` | how an epoch's key rests, sealed, and how it is destroyed |
//! | `evaluator` | who holds the keys: the one that evaluates |
//! | `points`, `chunks` | how evaluated items and published segments rest |
//! | `state`, `shared` | which of those files count; what builder and server know in common |
//! | `sample` | what an auditor is shown of the matched set: drawn tags, and the records that they are of |
//! | `client` | how a list of ours is checked against a centre's |
//! | `overlap` | how much centres hold in common, as a table and a page |
//! | `check`, `member` | a list in a file against one centre; the home of a provider that a centre admitted |

mod build;
pub mod check;
mod chunks;
pub mod client;
mod desk;
mod evaluator;
mod keyring;
pub mod member;
pub mod overlap;
mod points;
pub mod sample;
mod serve;
mod shared;
mod state;

pub use build::BuildError;
pub(crate) use desk::{Answering, Idle, Parts};
pub use desk::{Desk, MatchKeys, ServedStatus};
pub use evaluator::EvaluateError;
pub use keyring::{EpochSeal, KeyringError};
pub use points::{IdKey, RunError};
pub use shared::Building;
pub use state::StateError;
