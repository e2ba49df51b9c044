//! What a member of a centre is given, and how it checks that.
//!
//! Why: a provider trusts nobody on the way: each record that it matches was signed by its origin, and what it holds is what
//! its centre said that it gives. So a centre hands out *packs*, sections of deltas with the way to the signed header, and
//! signs a *manifest* of how much of what that is. Spec: `docs/protocol.md`, "Subsets". In scope: bytes and signatures.
//! Out of scope: who may have what (`centre`), and in which order it is told (the node's ledger).
//!
//! | file | answers |
//! |---|---|
//! | `manifest` | what a centre says that a member has |
//! | `pack` | are these records, or these retractions, what their origin signed |

mod manifest;
mod pack;
#[cfg(test)]
mod tests;

pub use manifest::{Manifest, ManifestClass, ManifestError, ManifestLog, ManifestWithheld};
pub use pack::{PackError, SignedDelta, VerifiedPack, VerifiedRecord};
