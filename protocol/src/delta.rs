//! The delta: one signed step of a centre's list, from which records can be withheld without breaking the signature.
//!
//! Why: a relay or the origin must be able to leave records out by policy, and the receiver must still verify the origin's
//! signature and learn how many of which class it did not get. Every record is committed to under its own salt, and the
//! salts of a class grow from one 32-byte seed, so disclosing a class costs one seed and withholding it one root.
//! Spec: `docs/protocol.md`, "Delta".
//!
//! | file | answers |
//! |---|---|
//! | `salts` | how a class seed becomes one salt a record |
//! | `table` | what a header commits to: classes with counts and roots, and the retractions |
//! | `header` | the signed header |
//! | `opening` | which records of a class are opened, and how single ones are punctured out |
//! | `section` | the bytes of one class, and how less of it is shown |
//! | `body` | the bytes beside the log: sections per class, how they are checked and redacted |
//! | `draft` | how an origin makes all of these |
//! | `record_proof` | how one record is shown without the others |
//! | `path` | how one row of the table is |

mod body;
mod draft;
mod header;
mod opening;
mod path;
mod record_proof;
mod salts;
mod section;
mod table;
#[cfg(test)]
mod tests;

pub use body::{
    Body, BodyError, Disclosure, Expected, RETRACTION_SECTION, Section, read_retraction_section,
    verify_retractions,
};
pub use draft::{Draft, DraftClass, DraftError, Sealed};
pub use header::{Header, HeaderError, Seq};
pub use opening::StreamError;
pub use path::{PATH_STEP, PathError, TablePath};
pub use record_proof::{
    MakeRecordProofError, ProvenRecord, RecordProof, RecordProofError, RecordProver,
};
pub use section::{ClassSection, SectionError, withheld_section};
pub use table::{ClassEntry, ClassTable, Retraction, RetractionEntry, TableError};

use crate::b3::{self, Hash};
use crate::labels::ClassId;
use hashpact_keys::Origin;

/// `B3["leaf"](salt || record)`.
fn record_leaf(salt: &[u8; 16], record: &[u8]) -> Hash {
    b3::LEAF.hash(&[salt, record])
}

/// `R_c`: binds the tree root of a class to its place, so that no root can be copied into another header.
fn class_root(origin: &Origin, seq: Seq, class: ClassId, count: u64, tree: &Hash) -> Hash {
    let mut e = minicbor::Encoder::new(Vec::with_capacity(96));
    // Writing to a Vec cannot fail.
    let _ = e
        .array(5)
        .and_then(|e| e.str(origin.as_str()))
        .and_then(|e| e.u64(seq.0))
        .and_then(|e| e.u16(class.0))
        .and_then(|e| e.u64(count))
        .and_then(|e| e.bytes(tree));
    b3::CLASS.hash(&[&e.into_writer()])
}

/// `R_r`: binds a retraction list to its place.
fn retraction_root(origin: &Origin, seq: Seq, list: &[Retraction]) -> Hash {
    let mut e = minicbor::Encoder::new(Vec::with_capacity(64 + list.len() * 22));
    let _ = e
        .array(3)
        .and_then(|e| e.str(origin.as_str()))
        .and_then(|e| e.u64(seq.0));
    let _ = table::encode_retractions(&mut e, list);
    b3::RETRACTIONS.hash(&[&e.into_writer()])
}
