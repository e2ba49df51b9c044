//! Attestations of a synthetic record by the people of synthetic centres.
//!
//! In scope: objects that a centre of [`assessing_network`](super::keys::assessing_network) signs. Out of scope: records that
//! a log holds; the hash that is attested here is of none.

use hashpact_keys::{NetworkId, Timestamp};

use super::keys::{CentreSetup, START};
use crate::assess::{Assessor, Attestation, Basis, Subject, Values};
use crate::labels::{ContentClass, Depiction};
use crate::lists::Set;
use crate::record::{Flag, PubertalStage, Revision};

/// The UTC day on which tests begin.
#[expect(clippy::cast_possible_truncation, reason = "a constant below 2^32")]
pub const DAY: u32 = (START.get() / 86_400) as u32;

/// A time on [`DAY`].
pub const NOW: Timestamp = START;

/// The first revision of a synthetic record of a centre.
#[must_use]
pub fn subject(of: &CentreSetup) -> Subject {
    Subject {
        origin: of.origin.clone(),
        entry: super::record(1).entry,
        revision: Revision(1),
        leaf: *blake3::hash(b"synthetic leaf").as_bytes(),
    }
}

/// What makes an entry of the baseline, and nothing else: real, prepubertal, activity.
#[must_use]
pub fn values() -> Values {
    let mut features = [Flag::Unknown; 7];
    features[0] = Flag::Yes;
    Values {
        content_class: Set::of(&[ContentClass::Csam]),
        depiction: Set::of(&[Depiction::Real]),
        pubertal_stage: Set::of(&[PubertalStage::Prepubertal]),
        features,
        ..Values::default()
    }
}

/// Assessor number `n` of a centre attests [`values`] of [`subject`], having looked.
#[must_use]
pub fn attestation(network: NetworkId, of: &CentreSetup, by: &CentreSetup, n: u8) -> Attestation {
    Attestation {
        network,
        subject: subject(of),
        centre: by.id.clone(),
        country: by.jurisdiction.clone(),
        assessor: Some(assessor(by, n)),
        basis: Basis::Viewed,
        day: DAY,
        values: values(),
    }
}

/// Assessor number `n` of a centre.
#[must_use]
pub fn assessor(of: &CentreSetup, n: u8) -> Assessor {
    let hash = blake3::hash(format!("synthetic assessor {} {n}", of.id).as_bytes());
    let mut id = [0; 16];
    id.copy_from_slice(&hash.as_bytes()[..16]);
    Assessor(id)
}
