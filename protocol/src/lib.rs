//! What Hashpact centres say to each other, and what is allowed. No I/O, clock, thread or global randomness: time and random
//! numbers are arguments, and the disk is a [`view::View`].
//!
//! # The journey of a delta
//! 1. *ingest* (node): bytes to bounded fields; a bad row is named and loses nothing.
//! 2. *draft* [`delta::Draft`]: group by policy class, sort, salt, hash.
//! 3. *sign* [`delta::Header`]: number, predecessor and table under the origin's delta key.
//! 4. *log* [`log::grow`]: the header becomes a leaf, and the log gets a new signed [`log::Checkpoint`].
//! 5. *commit* [`view::Batch`]: body, leaf and checkpoint, durable as a whole before anything leaves.
//! 6. *announce* [`wire::Message`]: peers hear of the new head; [`serve`] decides what they may fetch.
//! 7. *verify* [`verify`]: frame, shape, key, number, predecessor, roots, consistency: `Received -> Verified`.
//! 8. *admit* [`policy::Policy::admit`]: `Verified -> Admitted`, or not, with a reason.
//! 9. *store* (node): takes [`view::AdmittedBody`] only.
//!
//! # Where is what
//! | module | answers |
//! |---|---|
//! | [`fingerprint`], [`guard`] | what is a fingerprint, and which may never be shared |
//! | [`record`], [`labels`], [`lists`] | what does an entry say |
//! | [`delta`] | how is a step of a list signed so that parts of it can be withheld |
//! | [`log`] | how is it made tamper-evident |
//! | [`wire`], [`serve`] | what travels, and what is answered |
//! | [`verify`], [`policy`] | what is true, and what is allowed |
//! | [`transfer`] | who gave what to whom, signed by both |
//! | [`assess`] | what people attest of an entry, and what is computed from it |
//! | [`evidence`] | what travels beside deltas: disputes, feedback, reasons, orders; what is known of an entry |
//! | [`psi`] | what two sides have in common, without showing the rest |
//! | [`audit`] | does a published copy of the logs hold |
//! | [`subset`] | what a member is given, and how it checks that
//! | [`centre`] | what to do next: the one pure machine |
//! | [`view`] | what is read from and written to the disk |
//! | [`limits`] | how much, at most |

#![deny(missing_docs)]

pub mod assess;
pub mod audit;
mod b3;
pub mod centre;
pub mod delta;
pub mod evidence;
pub mod fingerprint;
pub mod guard;
pub mod labels;
pub mod limits;
pub mod lists;
pub mod log;
pub mod policy;
pub mod psi;
pub mod record;
pub mod serve;
pub mod subset;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod transfer;
pub mod verify;
pub mod view;
pub mod wire;

pub use b3::Hash;
