//! What takes two people: each order is signed by two different `policy` keys of one centre.
//!
//! Why: a hold keeps an entry from those whom it would protect, and a surge lets more out than anybody looks at; no one
//! person decides either. In scope: what orders say, drafts that a second person signs. Out of scope: who may be held to
//! what (`centre::evidence`).

use std::collections::BTreeMap;

use hashpact_keys::cose::{MultiSigned, sign_multi};
use hashpact_keys::{CentreId, NetworkId, Origin, Signer, Timestamp};

use super::{DAY_S, EvidenceError, Kind, Object};
use crate::Hash;
use crate::labels::ClassId;
use crate::limits;
use crate::lists::closed_list;
use crate::record::EntryId;

/// The id of a series, as records hold it.
pub type Series = [u8; 16];

closed_list! {
    /// Why entries are held.
    HoldCode {
        /// An investigation would be disturbed.
        Investigation = "investigation",
        /// A victim is about to be identified.
        VictimIdentification = "victim_identification",
        /// A court or an authority says so.
        LegalOrder = "legal_order",
        /// They are looked at again.
        Review = "review",
    }
}

/// Who orders, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderBy {
    /// The network.
    pub network: NetworkId,
    /// The centre.
    pub centre: CentreId,
    /// When: both keys are valid then.
    pub time: Timestamp,
}

/// Entries that are released to nobody for a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Who, and when.
    pub by: OrderBy,
    /// Entries by log, ascending.
    pub entries: BTreeMap<Origin, Vec<EntryId>>,
    /// Series, ascending.
    pub series: Vec<Series>,
    /// Why.
    pub code: HoldCode,
    /// From when its length counts. It is in force wherever it is known.
    pub from: Timestamp,
    /// Until when: at most [`limits::HOLD_S`] later.
    pub until: Timestamp,
}

/// A hold, or an opt-in of this centre, that ends before its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lift {
    /// Who, and when: the centre of the hold.
    pub by: OrderBy,
    /// Hash of the hold; at home also of an opt-in.
    pub hold: Hash,
}

/// That the assessment of an origin abroad is enough for members here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptIn {
    /// Who, and when.
    pub by: OrderBy,
    /// The log.
    pub origin: Origin,
    /// Its classes, ascending; none are all, also those to come.
    pub classes: Option<Vec<ClassId>>,
    /// Until when.
    pub until: Timestamp,
}

/// That more entries of an origin than usual are released on a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surge {
    /// Who, and when.
    pub by: OrderBy,
    /// The log.
    pub origin: Origin,
    /// UTC day, in days since 1970-01-01.
    pub day: u32,
    /// How many in all.
    pub up_to: u64,
}

/// An order in the making.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Hold entries back.
    Hold(Hold),
    /// End a hold.
    Lift(Lift),
    /// Take an origin's assessment.
    OptIn(OptIn),
    /// Release more of an origin on a day.
    Surge(Surge),
}

impl Hold {
    /// How many entries and series it names.
    #[must_use]
    pub fn named(&self) -> usize {
        self.entries.values().map(Vec::len).sum::<usize>() + self.series.len()
    }

    /// Whether it is in force, unless it was lifted.
    #[must_use]
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        now < self.until
    }

    pub(super) fn check(&self) -> Result<(), EvidenceError> {
        let value = |expected| Err(EvidenceError::Value { expected });
        let ascend = |ids: &[[u8; 16]]| ids.windows(2).all(|pair| pair[0] < pair[1]);
        let entries = self.entries.values();
        let lists = entries.map(|list| list.iter().map(|id| id.0).collect::<Vec<_>>());
        let mut lists = lists.chain([self.series.clone()]);
        if !lists.all(|list| ascend(&list)) || self.entries.values().any(Vec::is_empty) {
            return value("entries and series, ascending");
        }
        let got = self.named();
        if got == 0 || got > limits::HOLD_NAMED {
            return Err(EvidenceError::HoldNamed { got });
        }
        if self.until <= self.from {
            return value("a hold that ends after it began");
        }
        // It holds from when it is known, which may be before its length is said to count.
        let begins = self.from.min(self.by.time).get();
        let seconds = self.until.get() - begins;
        if seconds > limits::HOLD_S {
            return Err(EvidenceError::HoldTooLong { seconds });
        }
        // Each renewal is decided in its time, and not years of them at once.
        if self.from.get() > self.by.time.get().saturating_add(DAY_S) {
            return value("a hold that begins within a day of being ordered");
        }
        Ok(())
    }
}

impl OptIn {
    pub(super) fn check(&self) -> Result<(), EvidenceError> {
        let classes = self.classes.as_deref().unwrap_or(&[]);
        let is_none = self.classes.as_ref().is_some_and(Vec::is_empty);
        if is_none || classes.windows(2).any(|pair| pair[0] >= pair[1]) {
            let expected = "classes, ascending";
            return Err(EvidenceError::Value { expected });
        }
        if self.until <= self.by.time {
            let expected = "an end that is still to come";
            return Err(EvidenceError::Value { expected });
        }
        if self.until.get() - self.by.time.get() > limits::OPT_IN_S {
            let expected = "an opt-in of a year at most";
            return Err(EvidenceError::Value { expected });
        }
        Ok(())
    }
}

impl Surge {
    pub(super) fn check(&self) -> Result<(), EvidenceError> {
        let expected = "a day of the week from when it is ordered on, and a number";
        let day = self.by.time.get() / DAY_S;
        let is_due = (day..=day + limits::SURGE_DAYS).contains(&u64::from(self.day))
            && self.day < limits::DAYS;
        match is_due && self.up_to > 0 {
            true => Ok(()),
            false => Err(EvidenceError::Value { expected }),
        }
    }
}

impl From<Order> for Object {
    fn from(order: Order) -> Self {
        match order {
            Order::Hold(it) => Self::Hold(it),
            Order::Lift(it) => Self::Lift(it),
            Order::OptIn(it) => Self::OptIn(it),
            Order::Surge(it) => Self::Surge(it),
        }
    }
}

impl Order {
    /// The order as COSE_Sign, signed by each of these `policy` keys; with fewer than two it is a draft.
    ///
    /// # Errors
    /// [`EvidenceError`] if it says what receivers refuse.
    pub fn sign(&self, signers: &[&Signer]) -> Result<Vec<u8>, EvidenceError> {
        let object = Object::from(self.clone());
        object.check()?;
        let payload = object.payload();
        Ok(sign_multi(signers, object.kind().context(), &payload))
    }

    /// The same draft with one more signature.
    ///
    /// # Errors
    /// [`EvidenceError`] if it is no order, or this key has signed it.
    pub fn add_signature(draft: &[u8], signer: &Signer) -> Result<Vec<u8>, EvidenceError> {
        let (_, signed) = Object::draft(draft)?;
        Ok(signed.add_signature(signer)?)
    }

    /// What a draft or an order says, its signatures not checked: what a second person is shown.
    ///
    /// # Errors
    /// [`EvidenceError`].
    pub fn read_unverified(draft: &[u8]) -> Result<Self, EvidenceError> {
        match Object::draft(draft)?.0 {
            Object::Hold(it) => Ok(Self::Hold(it)),
            Object::Lift(it) => Ok(Self::Lift(it)),
            Object::OptIn(it) => Ok(Self::OptIn(it)),
            Object::Surge(it) => Ok(Self::Surge(it)),
            Object::Attestation(_)
            | Object::Dispute(_)
            | Object::Withdrawal(_)
            | Object::Feedback(_)
            | Object::Answer(_)
            | Object::Reason(_) => Err(EvidenceError::Kind),
        }
    }
}

impl Object {
    /// An order and its envelope, no signature checked.
    pub(super) fn draft(bytes: &[u8]) -> Result<(Self, MultiSigned<'_>), EvidenceError> {
        let got = bytes.len();
        if got > limits::EVIDENCE_BYTES {
            return Err(EvidenceError::TooLarge { got });
        }
        let kind = Kind::claimed(bytes).filter(|kind| kind.is_order());
        let kind = kind.ok_or(EvidenceError::Kind)?;
        let signed = MultiSigned::parse_draft(bytes, kind.context())?;
        let object = Self::from_payload(kind, signed.payload())?;
        Ok((object, signed))
    }
}
