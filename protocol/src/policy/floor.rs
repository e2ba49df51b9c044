//! What no profile can allow.
//!
//! Why: profiles are data that a centre writes, and one careless line must not carry a machine's opinion to a provider. Spec:
//! domain 2.2: only what is effectively assessed is ever released. In scope: releases to members. Out of scope: all that a
//! profile may decide.

use super::engine::Ask;
use super::query::{Action, Decision, Principal};
use crate::assess::EntryFacts;
use crate::labels::State;

/// Stands in the place of a policy's `@id` where the floor denies what the profile permits.
pub const FLOOR: &str = "hashpact-floor";

/// Denies what a profile permits below the floor.
pub(super) fn hold(decision: &mut Decision, principal: &Principal, ask: &Ask) {
    if decision.allowed && !passes(ask.action, principal, ask.entry) {
        decision.allowed = false;
        decision.policies = vec![FLOOR.to_owned()];
    }
}

/// Whether the floor lets this pass. `quorum` at a release is what [`ReleaseRule`](crate::assess::ReleaseRule) asks for.
fn passes(action: Action, principal: &Principal, entry: Option<EntryFacts>) -> bool {
    match principal {
        Principal::Member { .. } => {}
        Principal::Centre { .. } | Principal::Auditor { .. } => return true,
    }
    let is_assessed = |entry: EntryFacts| entry.state == State::Assessed;
    match action {
        Action::Share | Action::Reshare | Action::Admit => true,
        Action::Match => entry.is_none_or(is_assessed),
        Action::Reveal => entry.is_some_and(is_assessed),
        Action::Publish => entry.is_some_and(|entry| is_assessed(entry) && entry.quorum),
    }
}
