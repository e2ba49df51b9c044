//! Who may speak in a Hashpact network, and how we know.
//!
//! Why: every later rung (deltas, logs, policies) rests on two questions that are answered here and nowhere else: which
//! key is this, and was it allowed to sign this at that time.
//!
//! | module | answers |
//! |---|---|
//! | [`id`] | what things are called: centres, origins, networks, keys, times |
//! | [`canonical`] | is this the one encoding of its value (RFC 8949 section 4.2.1) |
//! | [`reader`] | has it the shape that the format says |
//! | [`context`] | what a signature is about |
//! | [`signer`] | one Ed25519 key, and its public half |
//! | [`cose`] | signed bytes: COSE_Sign1 and COSE_Sign (RFC 9052) |
//! | [`roster`] | who holds which key for which use, and when |
//! | [`chain`] | how one roster follows another (the root rules of TUF) |
//! | [`enrolment`] | how a centre's keys reach the roster |
//! | `store`, `sealed` | key files, plain and sealed, behind the feature `store` |
//!
//! In scope: bytes in memory. There is no I/O, no clock and no source of randomness, except key files behind the feature
//! `store`: time and seeds are arguments. Out of scope: what is signed (`hashpact-protocol`).

#![deny(missing_docs)]

pub mod canonical;
pub mod chain;
pub mod context;
pub mod cose;
pub mod enrolment;
mod hex_text;
pub mod id;
pub mod reader;
pub mod roster;
#[cfg(feature = "store")]
pub mod sealed;
pub mod signer;
#[cfg(feature = "store")]
pub mod store;

pub use chain::SignedRoster;
pub use context::Context;
pub use id::{
    CentreId, Jurisdiction, KeyId, NetworkId, Origin, RosterVersion, Timestamp, WitnessName,
};
pub use roster::{KeyUse, Roster};
pub use signer::{PublicKey, Signer};
