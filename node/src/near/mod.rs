//! Matching at hand: an exact look-up and a near look-up over a list that lies on this machine.
//!
//! Why: a provider that holds its subset asks it for each upload, a centre's gateway for each request of a member; both ask
//! far more often than the list changes. Nothing here leaves the machine, and no answer repeats a fingerprint.
//!
//! | file | answers |
//! |---|---|
//! | [`mod@file`] | how the index of a list rests in one file, `subset.idx` |
//! | `table` | is this value in the list, exactly |
//! | [`slots`] | which PDQ hashes are at most so many bits away |
//! | [`known`] | in which tier a file matches a synced list |
//! | [`live`] | the same over entries that come and go |
//!
//! In scope: values and places. Out of scope: who may ask, and what a match means (`cli`, `gateway`).

pub mod file;
pub mod known;
pub mod live;
pub mod slots;
mod table;
