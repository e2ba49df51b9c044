//! Who may match: rows and groups, members, what a session is charged, and what is refused.
#![cfg(feature = "testing")]

mod asking;
mod groups;
mod members;
mod network;
