//! Audits of logs that are written here: one that holds, and every way in which one can fail to.
#![cfg(feature = "testing")]
#![allow(
    clippy::unwrap_used,
    reason = "what a test builds on is right or the test is wrong"
)]

mod attacks;
mod disclosures;
mod entries;
mod flips;
mod laws;
mod machine;
mod resumption;
mod said;
mod sessions;
mod stale;
