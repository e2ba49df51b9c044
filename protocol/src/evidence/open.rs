//! Who may have signed an object: an `attest` key of the centre that it names, valid on its day; of orders two different
//! `policy` keys, valid at its time.

use hashpact_keys::cose::{MultiSigned, Sign1, sign1};
use hashpact_keys::roster::CentreEntry;
use hashpact_keys::{KeyId, KeyUse, Roster, Signer, Timestamp};

use super::object::Maker;
use super::{By, DAY_S, EvidenceError, Kind, Object, OrderBy};
use crate::assess::{Attestation, key_of_day};
use crate::limits;

impl Object {
    /// Opens what a centre of the roster signed.
    ///
    /// `now` only bounds from above when it was made. What a revoked key signed counts for nothing, because nothing shows
    /// when it did.
    ///
    /// # Errors
    /// [`EvidenceError`].
    pub fn open(signed: &[u8], roster: &Roster, now: Timestamp) -> Result<Self, EvidenceError> {
        let got = signed.len();
        if got > limits::EVIDENCE_BYTES {
            return Err(EvidenceError::TooLarge { got });
        }
        let kind = Kind::claimed(signed).ok_or(EvidenceError::Kind)?;
        if kind == Kind::Attestation {
            return Ok(Self::Attestation(Attestation::open(signed, roster, now)?));
        }
        if kind.is_order() {
            let envelope = MultiSigned::parse(signed, kind.context())?;
            let object = Self::from_payload(kind, envelope.payload())?;
            if let Maker::Two(by) = object.maker() {
                by.check(&envelope, roster, now)?;
            }
            return Ok(object);
        }
        let envelope = Sign1::parse(signed, kind.context())?;
        let object = Self::from_payload(kind, envelope.peek())?;
        if let Maker::One(by) = object.maker() {
            by.check(&envelope, roster, now)?;
        }
        Ok(object)
    }

    /// Signs with the centre's `attest` key what is no attestation and no order. Deterministic.
    pub(crate) fn sign(&self, signer: &Signer) -> Result<Vec<u8>, EvidenceError> {
        self.check()?;
        Ok(sign1(signer, self.kind().context(), &self.payload()))
    }

    /// Reads an object of our own store, whose signatures were checked when it came.
    ///
    /// # Errors
    /// [`EvidenceError`] if it is damaged.
    pub(crate) fn from_store(signed: &[u8]) -> Result<Self, EvidenceError> {
        let kind = Kind::claimed(signed).ok_or(EvidenceError::Kind)?;
        if kind == Kind::Attestation {
            return Ok(Self::Attestation(Attestation::from_store(signed)?));
        }
        if kind.is_order() {
            return Ok(Self::draft(signed)?.0);
        }
        let envelope = Sign1::parse(signed, kind.context())?;
        Self::from_payload(kind, envelope.peek())
    }

    /// The keys that are said to have signed.
    pub(crate) fn signers(signed: &[u8]) -> Vec<KeyId> {
        let Some(kind) = Kind::claimed(signed) else {
            return Vec::new();
        };
        if kind.is_order() {
            let envelope = MultiSigned::parse_draft(signed, kind.context());
            return envelope.map_or_else(|_| Vec::new(), |it| it.signers().collect());
        }
        let envelope = Sign1::parse(signed, kind.context());
        envelope.map_or_else(|_| Vec::new(), |it| vec![it.kid()])
    }
}

impl By {
    fn check(
        &self,
        envelope: &Sign1<'_>,
        roster: &Roster,
        now: Timestamp,
    ) -> Result<(), EvidenceError> {
        let centre = network_and_centre(self.network, &self.centre, roster)?;
        let key = key_of_day(centre, envelope.kid(), self.day)?;
        envelope.verify(key)?;
        if self.country != centre.jurisdiction {
            let (expected, got) = (centre.jurisdiction.clone(), self.country.clone());
            return Err(EvidenceError::Country { expected, got });
        }
        is_revoked(roster, envelope.kid())?;
        let last = now.get().saturating_add(limits::CLOCK_SKEW_S) / DAY_S;
        match u64::from(self.day) > last {
            true => Err(EvidenceError::Future),
            false => Ok(()),
        }
    }
}

impl OrderBy {
    fn check(
        &self,
        envelope: &MultiSigned<'_>,
        roster: &Roster,
        now: Timestamp,
    ) -> Result<(), EvidenceError> {
        let got = envelope.signers().count();
        // Of three signatures any two would be another object that says the same, and no lift would name it.
        if got != limits::POLICY_SIGNATURES {
            return Err(EvidenceError::Signatures { got });
        }
        let centre = network_and_centre(self.network, &self.centre, roster)?;
        for kid in envelope.signers() {
            let key = centre.key(KeyUse::Policy, kid, self.time)?;
            envelope.verify_by(key)?;
            is_revoked(roster, kid)?;
        }
        match self.time.get() > now.get().saturating_add(limits::CLOCK_SKEW_S) {
            true => Err(EvidenceError::Future),
            false => Ok(()),
        }
    }
}

fn network_and_centre<'a>(
    got: hashpact_keys::NetworkId,
    centre: &hashpact_keys::CentreId,
    roster: &'a Roster,
) -> Result<&'a CentreEntry, EvidenceError> {
    let expected = roster.network;
    if got != expected {
        return Err(EvidenceError::Network { expected, got });
    }
    let unknown = || EvidenceError::Centre {
        centre: centre.clone(),
    };
    roster.centre(centre).ok_or_else(unknown)
}

fn is_revoked(roster: &Roster, key: KeyId) -> Result<(), EvidenceError> {
    match roster.revocations.iter().any(|entry| entry.key == key) {
        true => Err(EvidenceError::Revoked { key }),
        false => Ok(()),
    }
}
