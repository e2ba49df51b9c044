//! Entries as tests of several shapes need them.

use hashpact_protocol::delta::Seq;
use hashpact_protocol::fingerprint::{Algorithm, Fingerprint};
use hashpact_protocol::labels::{ClassId, ContentClass};
use hashpact_protocol::lists::Set;
use hashpact_protocol::record::{EntryId, Fields, Print, Record, Revision};
use hashpact_protocol::testing::policies::varied;

use crate::store::{FoundEntry, Standing};

/// A PDQ hash with 128 bits set, of which `flips` are others than in the one of 0.
pub(super) fn pdq(flips: usize) -> [u8; 32] {
    let mut bytes = [0x0f; 32];
    for bit in 0..flips {
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    bytes
}

pub(super) fn print(algorithm: Algorithm, bytes: &[u8]) -> Print {
    Print::plain(Fingerprint::new(algorithm, bytes).unwrap())
}

/// An entry of `us.example/us/1` with this number and these fingerprints, of the classes that it may be of.
pub(super) fn found(number: u8, content: &[ContentClass], prints: Vec<Print>) -> FoundEntry {
    let mut labels = varied(0);
    labels.content_class = Set::of(content);
    FoundEntry {
        origin: "us.example/us/1".parse().unwrap(),
        seq: Seq(0),
        class: ClassId(0),
        labels,
        record: Record {
            entry: EntryId([number; 16]),
            revision: Revision(1),
            fields: Fields {
                prints,
                ..Fields::default()
            },
        },
        retracted: false,
        standing: Standing::InForce,
    }
}
