//! The only clock of a node. The core takes time as an argument.

use std::time::{SystemTime, UNIX_EPOCH};

use hashpact_keys::Timestamp;

/// Unix seconds. A clock before 1970 counts as 1970: everything dated then is expired or not yet valid.
#[must_use]
pub fn now() -> Timestamp {
    Timestamp::new(since_epoch().as_secs())
}

/// Unix milliseconds.
#[must_use]
pub fn now_ms() -> u64 {
    u64::try_from(since_epoch().as_millis()).unwrap_or(u64::MAX)
}

fn since_epoch() -> std::time::Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}
