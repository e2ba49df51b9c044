//! What people say of an entry, and what is computed from it: labels of kind X, which nobody may state.
//!
//! Why: whether an entry is of the INTERPOL baseline, has a quorum or is disputed depends on other centres, so no class can
//! hold it; whoever publishes, matches or reveals computes it for each entry. Spec: `docs/protocol.md`, "Computed labels";
//! domain 2.2. In scope: facts of one entry. Out of scope: deciding on them (`policy`).

use crate::labels::State;

/// What is computed of one entry, for the decisions that are taken for each: publish, match, reveal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryFacts {
    /// The effective state: the strictest of the origin's and of what open disputes make it.
    pub state: State,
    /// Whether enough assessors of enough centres and countries attested.
    pub quorum: bool,
    /// Whether it is of the INTERPOL baseline.
    pub baseline: bool,
    /// Whether it is held back for an investigation.
    pub hold: bool,
}
