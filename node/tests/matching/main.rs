//! Private matching as others meet it: a real centre over real libp2p on loopback, and a client that may do anything.
//!
//! | file | answers |
//! |---|---|
//! | `served` | a centre under policy with a list, and a member that speaks frames |
//! | `sessions` | what a session gives, and how it goes on |
//! | `epochs` | deltas, retractions, new epochs, keys that are gone |
//! | `sampled` | what an auditor finds out of the matched set |
//! | `hostile` | what a client cannot do, and that others go on meanwhile |
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "any other answer is a failure"
)]

#[path = "../common/mod.rs"]
mod common;
mod epochs;
mod hostile;
mod sampled;
mod served;
mod sessions;
