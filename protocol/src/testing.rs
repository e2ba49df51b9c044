//! Samples, keys, one fake store and one simulator, for tests of this crate and of its dependants. Everything is synthetic.
//!
//! | module | gives |
//! |---|---|
//! | here | a record, the labels of a class |
//! | [`attestations`] | attestations of a synthetic record |
//! | [`keys`] | networks with keys from fixed seeds |
//! | [`memory`] | the store in memory |
//! | [`sim`] | centres in virtual time |
//! | [`forge`] | logs that an evil origin could sign |
//! | [`policies`] | the profiles that come with the program, and how fast they decide |
//! | [`disclosed`] | logs of centres that gave each other classes |
//! | [`documents`] | policy documents of a few lines |
//! | [`published`] | a log as an auditor finds it |
//! | [`proofs`] | a log and a delta of a given size, to prove out of |
//! | [`rng`] | randomness from a seed |
//! | [`fuzz`] | what holds of every reader of a log's formats, whatever the bytes |

pub mod attestations;
pub mod disclosed;
pub mod documents;
pub mod evidence;
pub mod forge;
pub mod fuzz;
pub mod keys;
pub mod memory;
pub mod policies;
pub mod proofs;
pub mod published;
pub mod rng;
pub mod sim;

use std::collections::BTreeSet;

use crate::fingerprint::{Algorithm, Fingerprint};
use crate::labels::{
    AgeClaim, Depiction, Labels, LegalBasis, LegalStatus, Purpose, Recipient, State, Tlp,
};
use crate::lists::Set;
use crate::record::{Classifier, EntryId, Fields, LocalLabel, Print, Record, Revision};

/// The labels of a synthetic class of a centre in the EU.
///
/// # Panics
/// Never: the constants parse.
#[must_use]
#[expect(clippy::unwrap_used, reason = "constants")]
pub fn labels() -> Labels {
    Labels {
        media_kind: Set::full(),
        content_class: Set::full(),
        state: State::Assessed,
        depiction: Set::of(&[Depiction::Real, Depiction::Manipulated]),
        minor_certain: false,
        age_claim: Set::of(&[AgeClaim::Actual]),
        self_generated: Set::full(),
        context_flags: Set::empty(),
        legal_basis: LegalBasis::Voluntary,
        legal_status: vec![LegalStatus {
            jurisdiction: "CA".parse().unwrap(),
            illegal: true,
            body: "synthetic".to_owned(),
        }],
        residency: BTreeSet::from(["EU".parse().unwrap(), "US".parse().unwrap()]),
        applicable_law: BTreeSet::new(),
        tlp: Tlp::Amber,
        hops: 1,
        recipients: Set::of(&[Recipient::Centre]),
        purposes: Set::of(&[Purpose::Statistics, Purpose::Triage]),
    }
}

/// A synthetic record: MD5 and SHA-256 are BLAKE3 of `n`, the entry id likewise.
///
/// # Panics
/// Never: synthetic values meet no guard.
#[must_use]
#[expect(clippy::unwrap_used, reason = "synthetic values of the right lengths")]
pub fn record(n: u64) -> Record {
    let bytes = |what: &str| *blake3::hash(format!("synthetic {what} {n}").as_bytes()).as_bytes();
    let md5 = Fingerprint::new(Algorithm::Md5, &bytes("md5")[..16]).unwrap();
    let sha256 = Fingerprint::new(Algorithm::Sha256, &bytes("sha256")).unwrap();
    let fields = Fields {
        prints: vec![Print::plain(md5), Print::plain(sha256)],
        local_labels: vec![LocalLabel {
            scheme: "synthetic".to_owned(),
            version: "1".to_owned(),
            issuer: "synthetic".to_owned(),
            value: "made".to_owned(),
        }],
        ..Fields::default()
    };
    let mut entry = EntryId([0; 16]);
    entry.0.copy_from_slice(&bytes("entry")[..16]);
    Record {
        entry,
        revision: Revision(1),
        fields,
    }
}

/// As [`record`], with a classifier's opinion: it may stand in a suspected class only.
#[must_use]
pub fn classified(n: u64) -> Record {
    let mut record = record(n);
    record.fields.classifier = Some(Classifier {
        id: "synthetic".to_owned(),
        version: "1".to_owned(),
        score: 9_999,
        threshold: 9_000,
    });
    record
}

/// A batch of these changes, for tests of a store. The core makes its own.
#[must_use]
pub fn batch(writes: Vec<crate::view::Write>) -> crate::view::Batch {
    let mut batch = crate::view::Batch::default();
    writes.into_iter().for_each(|write| batch.push(write));
    batch
}
