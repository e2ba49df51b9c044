//! A delta's body, for an auditor who may see records. Why: `verify` shows that a body is what its origin signed; an audit
//! only counts. In scope: one body. Out of scope: where bodies come from, and whether they may be kept (`policy`).

use crate::delta::{BodyError, Expected, Section};
use crate::verify::ReceivedBody;

/// What a body that verifies holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BodySummary {
    /// Records disclosed.
    pub records: u64,
    /// Records withheld, as their origin counted them.
    pub withheld: u64,
    /// Retractions.
    pub retractions: u64,
}

/// Verifies one body as it travels. O(bytes) hashing.
///
/// # Errors
/// [`BodyError`].
pub fn verify_body(bytes: Vec<u8>, expected: &Expected) -> Result<BodySummary, BodyError> {
    let body = ReceivedBody(bytes).verify(expected)?.body;
    let count = |of: fn(&Section) -> u64| body.sections().iter().map(of).sum();
    Ok(BodySummary {
        records: count(Section::held),
        withheld: count(Section::withheld),
        retractions: body.retractions().len() as u64,
    })
}
