//! The record: one entry's bytes in a delta, and the closed schema of the fields that policy never sees (kind B).
//!
//! Why: the origin commits to these exact bytes, so there is one encoding for one meaning: canonical CBOR, defaults left
//! out, unknown keys refused. Spec: `docs/protocol.md`, "Record"; domain table 2.1. In scope: fields, bounds, bytes.
//! Out of scope: the labels that make the class (`labels`), salts and trees (`delta`).

mod decode;
mod encode;
#[cfg(test)]
mod tests;
mod walk;

use crate::fingerprint::{Algorithm, Fingerprint};
use crate::limits;
use crate::lists::{Set, closed_list};

pub(crate) use decode::Checked;
pub use decode::RecordError;

/// 16 random bytes that the origin gives an entry; never derived from a fingerprint.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(pub [u8; 16]);

impl std::fmt::Display for EntryId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for EntryId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EntryId({self})")
    }
}

/// An entry id is 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an entry id is 32 hexadecimal digits")]
pub struct EntryIdError;

impl std::str::FromStr for EntryId {
    type Err = EntryIdError;

    fn from_str(text: &str) -> Result<Self, EntryIdError> {
        if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(EntryIdError);
        }
        u128::from_str_radix(text, 16)
            .map(|n| Self(n.to_be_bytes()))
            .map_err(|_| EntryIdError)
    }
}

/// Revision of an entry, from 1; only the origin raises it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u32);

closed_list! {
    /// Yes, no or unknown.
    Flag {
        /// It does not hold.
        No = "no",
        /// It holds.
        Yes = "yes",
        /// Not stated.
        Unknown = "unknown",
    }
}
closed_list! {
    /// The form of the activity.
    ActivityForm {
        /// Of the child.
        Of = "of",
        /// With the child.
        With = "with",
        /// In the presence of the child.
        Presence = "in_presence_of",
        /// Between children.
        Between = "between",
    }
}
closed_list! {
    /// The youngest child as depicted, then.
    AgeBand {
        /// 0 to 6.
        To6 = "0-6",
        /// 7 to 10.
        To10 = "7-10",
        /// 11 to 13.
        To13 = "11-13",
        /// 14 to 17.
        To17 = "14-17",
        /// Possibly an adult.
        AdultPossible = "adult_possible",
    }
}
closed_list! {
    /// What the age band rests on.
    AgeBasis {
        /// A classifier; never enough to release.
        Classifier = "classifier",
        /// Context.
        Context = "context",
        /// An expert looked.
        ExpertVisual = "expert_visual",
        /// A document.
        Documented = "documented",
    }
}
closed_list! {
    /// Confidence in the age band.
    Confidence {
        /// Low.
        Low = "low",
        /// Medium.
        Medium = "medium",
        /// High.
        High = "high",
    }
}
closed_list! {
    /// Pubertal stage: its own human attestation, never derived from the age band.
    PubertalStage {
        /// Prepubertal.
        Prepubertal = "prepubertal",
        /// First signs.
        FirstSigns = "first_signs",
        /// Pubertal.
        Pubertal = "pubertal",
    }
}
closed_list! {
    /// The kind of place where it was found; never a host.
    SourceContext {
        /// The web.
        Web = "web",
        /// Messaging.
        Messaging = "messaging",
        /// Peer to peer.
        P2p = "p2p",
        /// Hosting.
        Hosting = "hosting",
        /// A content delivery network.
        Cdn = "cdn",
        /// A live service.
        LiveService = "live_service",
        /// A hidden service.
        HiddenService = "hidden_service",
        /// A ledger.
        Ledger = "ledger",
        /// An archive.
        Archive = "archive",
        /// A seized device.
        SeizedDevice = "seized_device",
    }
}
closed_list! {
    /// How an entry comes from another.
    Derivation {
        /// A crop.
        Crop = "crop",
        /// A screenshot.
        Screenshot = "screenshot",
        /// A frame.
        Frame = "frame",
        /// An edit.
        Edit = "edit",
    }
}
closed_list! {
    /// Whether the victim is identified.
    VictimStatus {
        /// Not identified.
        Unidentified = "unidentified",
        /// Identified.
        Identified = "identified",
    }
}
closed_list! {
    /// Order of work.
    Priority {
        /// Normal.
        Normal = "normal",
        /// High.
        High = "high",
        /// A survivor asked.
        SurvivorRequest = "survivor_request",
    }
}
closed_list! {
    /// How long the record may be kept.
    Retention {
        /// The shortest class: 90 days, for suspected entries.
        Suspected = "suspected_90_days",
        /// No end, but periodic review.
        Review = "periodic_review",
        /// Bound to an order.
        Order = "bound_to_order",
    }
}
closed_list! {
    /// Why a fingerprint is switched off.
    DisabledReason {
        /// It collides with harmless files.
        Collision = "collision",
        /// It says too little.
        LowInformation = "low_information",
        /// It was wrong.
        Wrong = "wrong",
    }
}

/// A fingerprint of a record with what is known about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Print {
    /// The value, or a reference to one that is fetched apart.
    pub value: PrintValue,
    /// Quality 0 to 100; PDQ only.
    pub quality: Option<u8>,
    /// Set if it must not be matched any more.
    pub disabled: Option<DisabledReason>,
}

impl Print {
    /// A fingerprint with nothing else known.
    #[must_use]
    pub fn plain(fingerprint: Fingerprint) -> Self {
        Self {
            value: PrintValue::Inline(fingerprint),
            quality: None,
            disabled: None,
        }
    }
}

/// Where a fingerprint's bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrintValue {
    /// Here.
    Inline(Fingerprint),
    /// Fetched apart, because it has more than 1,024 bytes.
    Apart {
        /// An algorithm that goes by name.
        algorithm: Algorithm,
        /// Its length in bytes.
        length: u32,
        /// SHA-256 of its bytes.
        sha256: [u8; 32],
    },
}

/// A label exactly as the source stated it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalLabel {
    /// Scheme, 1 to 64 bytes of `[a-z0-9-]`.
    pub scheme: String,
    /// Version of the scheme, 1 to 16 bytes of `[a-z0-9.-]`.
    pub version: String,
    /// Issuing instance, 1 to 64 bytes of `[a-z0-9-]`.
    pub issuer: String,
    /// The value, byte-exact, 1 to 128 bytes of UTF-8 without control characters.
    pub value: String,
}

/// A classifier's opinion; on suspected entries only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classifier {
    /// Id, 1 to 64 bytes of `[a-z0-9-]`.
    pub id: String,
    /// Version, 1 to 16 bytes of `[a-z0-9.-]`.
    pub version: String,
    /// Score in ten-thousandths, 0 to 10,000.
    pub score: u16,
    /// Threshold in ten-thousandths, 0 to 10,000.
    pub threshold: u16,
}

/// The fields of a record that policy never sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields {
    /// 1 to 16, at most one plain value an algorithm is usual; equal pairs are refused.
    pub prints: Vec<Print>,
    /// Size of the file in bytes, against deliberate MD5 and SHA-1 collisions.
    pub byte_length: Option<u64>,
    /// activity, penetrative, animal, violence, focus, pose, nudity.
    pub features: [Flag; 7],
    /// Uncertain.
    pub activity_form: Set<ActivityForm>,
    /// 1 to 8.
    pub local_labels: Vec<LocalLabel>,
    /// Uncertain; the full set is "undetermined".
    pub age_depicted: Set<AgeBand>,
    /// What the age rests on.
    pub age_basis: AgeBasis,
    /// Confidence in it.
    pub age_confidence: Confidence,
    /// Uncertain.
    pub pubertal_stage: Set<PubertalStage>,
    /// Uncertain.
    pub source_context: Set<SourceContext>,
    /// At most 8.
    pub derived_from: Vec<(EntryId, Derivation)>,
    /// Uncertain; the full set is "unknown".
    pub victim_status: Set<VictimStatus>,
    /// A series that this centre mapped locally.
    pub series_id: Option<[u8; 16]>,
    /// Order of work.
    pub priority: Priority,
    /// A classifier's opinion.
    pub classifier: Option<Classifier>,
    /// Day of entry, in days since 1970-01-01 UTC.
    pub entered_on: Option<u32>,
    /// Day of assessment.
    pub assessed_on: Option<u32>,
    /// Day of the next review.
    pub review_on: Option<u32>,
    /// How long it may be kept.
    pub retention: Retention,
}

impl Default for Fields {
    /// Nothing stated: each uncertain field holds all that it could be.
    fn default() -> Self {
        Self {
            prints: Vec::new(),
            byte_length: None,
            features: [Flag::Unknown; 7],
            activity_form: Set::full(),
            local_labels: Vec::new(),
            age_depicted: Set::full(),
            age_basis: AgeBasis::Classifier,
            age_confidence: Confidence::Low,
            pubertal_stage: Set::full(),
            source_context: Set::full(),
            derived_from: Vec::new(),
            victim_status: Set::full(),
            series_id: None,
            priority: Priority::Normal,
            classifier: None,
            entered_on: None,
            assessed_on: None,
            review_on: None,
            retention: Retention::Suspected,
        }
    }
}

impl Fields {
    /// The inline fingerprints that may be matched: known algorithm, not disabled.
    pub fn matchable(&self) -> impl Iterator<Item = &Fingerprint> {
        self.prints
            .iter()
            .filter(|print| print.disabled.is_none())
            .filter_map(|print| match &print.value {
                PrintValue::Inline(value) => value.algorithm().code().map(|_| value),
                PrintValue::Apart { .. } => None,
            })
    }
}

/// A record: the entry's id and revision, and its fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The entry.
    pub entry: EntryId,
    /// Its revision.
    pub revision: Revision,
    /// What policy never sees.
    pub fields: Fields,
}

impl Record {
    /// Canonical CBOR: `[entry_id, rev, {fields}]`.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        Self::assemble(self.entry, self.revision, &self.fields.to_bytes())
    }

    /// Puts a record together from fields that are encoded already, as ingest spills them.
    #[must_use]
    pub fn assemble(entry: EntryId, revision: Revision, fields: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(fields.len() + 23);
        Self::assemble_into(&mut bytes, entry, revision, fields);
        bytes
    }

    /// As [`Record::assemble`], at the end of a buffer.
    pub fn assemble_into(out: &mut Vec<u8>, entry: EntryId, revision: Revision, fields: &[u8]) {
        let mut e = minicbor::Encoder::new(&mut *out);
        // Writing to a Vec cannot fail.
        let _ = e
            .array(3)
            .and_then(|e| e.bytes(&entry.0))
            .and_then(|e| e.u32(revision.0));
        out.extend_from_slice(fields);
    }

    /// Most bytes of a record.
    pub const BYTES_MAX: usize = limits::RECORD_BYTES;
}
