//! Private matching: two sides learn which fingerprints they share, and neither shows its list.
//!
//! Why: what policy does not let a centre share, it may still let others match. Spec: RFC 9497 (ristretto255-SHA512, mode
//! VOPRF), `docs/protocol.md`, "Private matching". In scope: arithmetic, proofs, formats. Out of scope: who may match
//! (`policy`), keys at rest, threads and streams (node).
//!
//! | file | answers |
//! |---|---|
//! | `group` | how are points read, multiplied and written, many at a time: the only file that names the curve's crate |
//! | `group/fixed` | how is a fixed point multiplied by a secret number |
//! | `oprf` | what does a server evaluate, and what does a client make of it |
//! | `oprf/suite` | the strings and hashes of the RFC |
//! | `oprf/dleq` | how is it proven that one key was used |

mod group;
pub mod oprf;

pub use group::{Encoded, Fault, PointError};
