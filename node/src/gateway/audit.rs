//! The audit lines of the gateway: one for each request, in the node's trail.
//!
//! Why: whoever answers for the list must be able to say who asked how much and when. A node that cannot write that down
//! answers no member. In scope: noticing that. Out of scope: the files (`audit_trail`), what a line says (`record`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hashpact_keys::Timestamp;
use serde::Serialize;

use crate::audit_trail::AuditTrail;

/// Where lines are written; clones share it.
#[derive(Clone)]
pub(crate) struct AuditLog {
    trail: AuditTrail,
    failed: Arc<AtomicBool>,
}

impl AuditLog {
    pub(crate) fn new(trail: AuditTrail) -> Self {
        Self {
            trail,
            failed: Arc::default(),
        }
    }

    /// Writes a line. `what` must hold no fingerprint and no secret. A fault is logged once, and then
    /// [`AuditLog::is_writable`] says so.
    pub(crate) fn write(&self, now: Timestamp, kind: &str, what: &impl Serialize) {
        let written = self.trail.write(now, kind, what);
        let before = self.failed.swap(written.is_err(), Ordering::AcqRel);
        if let (Err(error), false) = (written, before) {
            tracing::error!(kind = ?error.kind(), "the audit trail cannot be written: members get no answer");
        }
    }

    /// Whether a line can be written: if the last one could not, one is tried now.
    pub(crate) fn is_writable(&self, now: Timestamp) -> bool {
        #[derive(Serialize)]
        struct Gap {
            lost: &'static str,
        }
        if self.failed.load(Ordering::Acquire) {
            let lost = "lines before this one";
            self.write(now, "gap", &Gap { lost });
        }
        !self.failed.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_trail_that_cannot_be_written_says_so_until_it_can() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("audit");
        fs::write(&place, b"a file in its place").unwrap();
        let log = AuditLog::new(AuditTrail::new(place.clone()));
        let now = Timestamp::new(7);
        assert!(log.is_writable(now));
        log.write(now, "request", &());
        assert!(!log.is_writable(now));
        fs::remove_file(&place).unwrap();
        assert!(log.is_writable(now));
        let text = fs::read_to_string(place.join("1970-01-01.jsonl")).unwrap();
        assert!(text.contains("\"kind\":\"gap\""), "{text}");
    }
}
