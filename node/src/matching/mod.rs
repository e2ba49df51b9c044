//! Private matching: how lists are checked against each other without revealing them.
//!
//! | file | answers |
//! |---|---|
//! | `client` | how a list of ours is checked against a centre's |

pub mod client;
