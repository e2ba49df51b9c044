//! The asking side of private matching.
//!
//! | file | answers |
//! |---|---|
//! | `list` | which fingerprints are asked about |

pub mod list;
