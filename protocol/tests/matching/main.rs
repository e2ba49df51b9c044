//! Who may match: rows and groups, members, what a session is charged, and what is refused.
#![cfg(feature = "testing")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod asking;
mod groups;
mod members;
mod network;
mod records;
