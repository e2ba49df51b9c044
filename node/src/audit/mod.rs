//! Auditing a network from its published logs: copying them, and verifying the copy offline.
//!
//! | module | answers |
//! |---|---|
//! | [`result`] | what an audit found, as data |
//! | [`verify`] | does a folder of logs hold, and how it is verified on several threads |
//!
//! What is true is decided in `hashpact_protocol::audit`; here are the files, the threads and the words.

pub mod result;
pub mod verify;
