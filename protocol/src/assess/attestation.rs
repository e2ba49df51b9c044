//! An attestation: what one assessor of one centre attests of one revision of one entry, signed by the centre.
//!
//! Why: the origin alone says what a record holds, and nobody else can change it; that others looked and agree is a signed
//! object of its own, which names the leaf hash that the origin signed, so that it speaks for these bytes and no others.
//! Spec: `docs/protocol.md`, "Attestations"; domain 2.3. In scope: the object, its bytes, who may sign it. Out of scope: what
//! is counted from it (`count`, `baseline`), and how it travels.

mod error;
mod wire;

use hashpact_keys::cose::{self, Sign1};
use hashpact_keys::roster::{CentreEntry, KeyLookupError};
use hashpact_keys::{
    CentreId, Context, Jurisdiction, KeyId, KeyUse, NetworkId, Origin, PublicKey, Roster, Signer,
    Timestamp,
};

pub use error::AttestationError;

use crate::b3::Hash;
use crate::delta::ProvenRecord;
use crate::labels::{ContentClass, Depiction};
use crate::limits;
use crate::lists::{Set, closed_list};
use crate::record::{AgeBand, EntryId, Flag, PubertalStage, Revision};

/// Seconds of a UTC day.
const DAY_S: u64 = 86_400;

closed_list! {
    /// What an attestation rests on.
    Basis {
        /// A person looked at the material.
        Viewed = "viewed",
        /// A person looked at what is known about it, and not at it.
        MetadataOnly = "metadata_only",
        /// A list from before: it counts as its centre and as no assessor.
        LegacyImport = "legacy_import",
    }
}

/// 16 random bytes under which a centre knows one of its assessors; it tells nobody else who that is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Assessor(pub [u8; 16]);

impl std::fmt::Debug for Assessor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [a, b, ..] = self.0;
        write!(f, "Assessor({a:02x}{b:02x})")
    }
}

/// What an attestation is about: one record of one log, by the hash that its origin signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The log that puts the entry.
    pub origin: Origin,
    /// The entry.
    pub entry: EntryId,
    /// Its revision.
    pub revision: Revision,
    /// The salted hash of the record: `B3["leaf"](salt || record)`.
    pub leaf: Hash,
}

impl From<&ProvenRecord> for Subject {
    fn from(proven: &ProvenRecord) -> Self {
        Self {
            origin: proven.origin.clone(),
            entry: proven.entry,
            revision: proven.revision,
            leaf: proven.leaf,
        }
    }
}

/// The values that an assessor attests. A full set, and unknown, attest nothing of that field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Values {
    /// Which kind of material.
    pub content_class: Set<ContentClass>,
    /// What is depicted.
    pub depiction: Set<Depiction>,
    /// Whether the youngest person depicted is certainly a minor.
    pub minor_certain: Option<bool>,
    /// The youngest child as depicted, then.
    pub age_depicted: Set<AgeBand>,
    /// Never derived from the age.
    pub pubertal_stage: Set<PubertalStage>,
    /// In the order of [`Feature`](super::Feature).
    pub features: [Flag; 7],
}

impl Default for Values {
    /// Nothing attested.
    fn default() -> Self {
        Self {
            content_class: Set::full(),
            depiction: Set::full(),
            minor_certain: None,
            age_depicted: Set::full(),
            pubertal_stage: Set::full(),
            features: [Flag::Unknown; 7],
        }
    }
}

/// What a centre signs for one of its assessors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attestation {
    /// The network.
    pub network: NetworkId,
    /// What it is about.
    pub subject: Subject,
    /// The centre that signs.
    pub centre: CentreId,
    /// Its jurisdiction.
    pub country: Jurisdiction,
    /// Who attests; nobody exactly if it is a legacy import.
    pub assessor: Option<Assessor>,
    /// What it rests on.
    pub basis: Basis,
    /// UTC day, in days since 1970-01-01; never finer.
    pub day: u32,
    /// What is attested: at least one field.
    pub values: Values,
}

/// An attestation that a centre of the roster signed: made by [`Attestation::open`], and from our own store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attested(Attestation);

impl Attested {
    /// What was signed.
    #[must_use]
    pub fn attestation(&self) -> &Attestation {
        &self.0
    }
}

impl Attestation {
    /// Signs with the centre's `attest` key. Deterministic; at most [`limits::ATTESTATION_BYTES`].
    ///
    /// # Errors
    /// [`AttestationError`] if receivers would refuse what it says.
    pub fn sign(&self, signer: &Signer) -> Result<Vec<u8>, AttestationError> {
        self.check()?;
        Ok(cose::sign1(signer, Context::Attestation, &self.payload()))
    }

    /// Opens what an `attest` key of the named centre signed, valid on the day that it names.
    ///
    /// `now` only bounds that day from above. A key that the roster revokes in any log counts for none of its attestations,
    /// because nothing shows which of them were made before.
    ///
    /// # Errors
    /// [`AttestationError`]; nothing of the payload is returned unless the signature verifies.
    pub fn open(
        signed: &[u8],
        roster: &Roster,
        now: Timestamp,
    ) -> Result<Attested, AttestationError> {
        let (envelope, claimed) = Self::claimed(signed)?;
        if claimed.network != roster.network {
            let (expected, got) = (roster.network, claimed.network);
            return Err(AttestationError::Network { expected, got });
        }
        let unknown = || AttestationError::Centre {
            centre: claimed.centre.clone(),
        };
        let centre = roster.centre(&claimed.centre).ok_or_else(unknown)?;
        let key = key_of_day(centre, envelope.kid(), claimed.day)?;
        envelope.verify(key)?;
        if claimed.country != centre.jurisdiction {
            let (expected, got) = (centre.jurisdiction.clone(), claimed.country);
            return Err(AttestationError::Country { expected, got });
        }
        let key = envelope.kid();
        if roster.revocations.iter().any(|entry| entry.key == key) {
            return Err(AttestationError::Revoked { key });
        }
        let last = (now.get().saturating_add(limits::CLOCK_SKEW_S)) / DAY_S;
        if u64::from(claimed.day) > last {
            return Err(AttestationError::Future { day: claimed.day });
        }
        Ok(Attested(claimed))
    }

    /// Reads an attestation of our own store, which was opened when it came.
    ///
    /// # Errors
    /// [`AttestationError`] if it is damaged.
    pub(crate) fn from_store(signed: &[u8]) -> Result<Attested, AttestationError> {
        Self::claimed(signed).map(|(_, attestation)| Attested(attestation))
    }

    /// What the bytes claim, before it is known who signed them.
    pub(crate) fn claimed(signed: &[u8]) -> Result<(Sign1<'_>, Self), AttestationError> {
        let got = signed.len();
        if got > limits::ATTESTATION_BYTES {
            return Err(AttestationError::TooLarge { got });
        }
        let envelope = Sign1::parse(signed, Context::Attestation)?;
        let claimed = Self::from_payload(envelope.peek())?;
        Ok((envelope, claimed))
    }

    /// What holds of every attestation, whoever signs it.
    fn check(&self) -> Result<(), AttestationError> {
        let Values {
            content_class,
            depiction,
            minor_certain,
            age_depicted,
            pubertal_stage,
            ..
        } = self.values;
        let is_legacy = self.basis == Basis::LegacyImport;
        if is_legacy != self.assessor.is_none() || self.assessor == Some(Assessor([0; 16])) {
            return Err(AttestationError::Assessor);
        }
        if self.subject.revision.0 == 0 || self.day >= limits::DAYS {
            return Err(AttestationError::Range);
        }
        if self.values == Values::default() {
            return Err(AttestationError::Nothing);
        }
        let empty = [
            (0, content_class.is_empty()),
            (1, depiction.is_empty()),
            (3, age_depicted.is_empty()),
            (4, pubertal_stage.is_empty()),
        ];
        if let Some((field, _)) = empty.into_iter().find(|(_, is_empty)| *is_empty) {
            return Err(AttestationError::Value { field });
        }
        // An adult that is possible and a certain minor are one statement in two fields.
        let adult_possible = age_depicted.contains(AgeBand::AdultPossible);
        let contradicts = match minor_certain {
            Some(true) => adult_possible && !age_depicted.is_full(),
            Some(false) => !adult_possible,
            None => false,
        };
        if contradicts {
            return Err(AttestationError::Contradiction);
        }
        Ok(())
    }
}

/// The key, if it may sign in some second of this day: no finer time is stated.
pub(crate) fn key_of_day(
    centre: &CentreEntry,
    kid: KeyId,
    day: u32,
) -> Result<&PublicKey, KeyLookupError> {
    let first = u64::from(day) * DAY_S;
    let held = centre.keys.iter().find(|held| held.key.key_id() == kid);
    let from = held.map_or(first, |held| held.from.get());
    let at = Timestamp::new(from.clamp(first, first + DAY_S - 1));
    centre.key(KeyUse::Attest, kid, at)
}
