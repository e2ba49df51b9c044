//! Auditing a network from its published logs: copying them, and verifying the copy offline.
//!
//! | module | answers |
//! |---|---|
//! | [`folder`] | where the files of a copy are, and how they are read |
//! | [`verify`] | does a copy hold |
//! | [`at`] | as of which time, if not the clock's |
//! | [`result`] | what an audit found, as data |
//! | [`delivery`] | who has not applied retractions, as a centre says |
//! | [`report`] | that, as a page for people and as JSON |
//! | `cedar` | decisions as files that the stock `cedar` command line makes again |
//! | `telling` | how the core's findings become that data |
//! | `strays` | which files of a copy no log calls for |
//! | [`mirror`] | how a copy is made and kept |
//! | [`source`] | where it is copied from |
//!
//! What is true is decided in `hashpact_protocol::audit`; here are the files, the threads and the words.

pub mod at;
mod cedar;
pub mod delivery;
pub mod folder;
pub mod mirror;
pub mod report;
pub mod result;
pub mod source;
mod strays;
mod telling;
pub mod verify;
