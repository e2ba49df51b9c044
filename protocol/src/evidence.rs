//! Objects that travel beside deltas: what others say of an entry, why one was retracted, and what two people order.
//!
//! Why: only its origin changes a record; everybody else adds signed objects that name it. Which of them count is computed by
//! whoever publishes or looks up, so that no label claims it. Spec: `docs/protocol.md`, "Objects beside deltas"; domain 2.3.
//! In scope: bytes, signatures, rows, what is known of an entry. Out of scope: how they travel (`centre::evidence`), what
//! follows from them (`assess`, `policy`).
//!
//! | file | answers |
//! |---|---|
//! | `object` | which objects there are, and what each says |
//! | `wire` | their bytes |
//! | `open` | who may have signed them |
//! | `order` | what takes two people: holds, opt-ins, surges |
//! | `draft` | what a centre is asked to say |
//! | `error` | why one is refused |
//! | `known` | what is known of an entry here |
//! | `list` | what was said of a log, and which orders are in force |
//! | `rows` | how they rest |
//! | `tally` | how many are kept of a centre |

mod draft;
mod error;
mod known;
mod list;
mod object;
mod open;
mod order;
pub(crate) mod rows;
pub(crate) mod tally;
mod wire;

#[cfg(test)]
mod tests;

pub use draft::Draft;
pub use error::EvidenceError;
pub use known::{About, Known, Told, Votes, is_heard, known, object, objects_of, opted_in, surge};
pub use list::{attestations_of, objects_of_log, orders};
pub use object::{
    Answer, By, Code, Dispute, Feedback, Field, Kind, Member, Object, Reason, Verdict, Vote,
    Withdrawal,
};
pub use order::{Hold, HoldCode, Lift, OptIn, Order, OrderBy, Series, Surge};

use hashpact_keys::Origin;
use sha2::{Digest as _, Sha256};

use crate::Hash;
use crate::fingerprint::{Algorithm, Fingerprint};
use crate::record::EntryId;

/// Seconds of a UTC day.
pub(crate) const DAY_S: u64 = 86_400;

/// What an object is known by: SHA-256 of its bytes.
#[must_use]
pub fn hash(signed: &[u8]) -> Hash {
    Sha256::digest(signed).into()
}

/// Whether two files with this fingerprint are one file: errors travel by such fingerprints and by no others.
#[must_use]
pub fn is_cryptographic(print: &Fingerprint) -> bool {
    matches!(
        print.algorithm(),
        Algorithm::Md5 | Algorithm::Sha1 | Algorithm::Sha256 | Algorithm::Blake3
    )
}

/// Of which entries something else is known than before: whoever keeps facts of them asks again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Entries.
    pub entries: Vec<(Origin, EntryId)>,
    /// Every entry of these series.
    pub series: Vec<Series>,
    /// Every entry of these logs: what this centre takes of them changed.
    pub logs: Vec<Origin>,
}

impl Changed {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.series.is_empty() && self.logs.is_empty()
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.entries.extend(other.entries);
        self.series.extend(other.series);
        self.logs.extend(other.logs);
    }
}
