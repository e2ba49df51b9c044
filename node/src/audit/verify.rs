//! Verifies a folder of logs on several threads. Why: an auditor's verdict must need nothing but the folder and the pin.
//! In scope: threads and limits. Out of scope: what is true (`hashpact_protocol::audit`).

/// Findings of one log that are kept; further ones are counted.
pub const FINDINGS_PER_LOG: usize = 10_000;
/// Notes of one log that are told one by one; the whole history is told in sums.
pub const NOTES_PER_LOG: usize = 1_000;
