//! What this node's own log puts and ends, delta by delta: what private matching is built from.
//!
//! Why apart from look-ups: a build reads every record once, in the order of the log, and holds one
//! body in memory. What is void, pending or retracted is no part of it, by the same rules as a
//! look-up. Entries of earlier lines of the centre are not: a match is about one log. In scope:
//! fingerprints of own records. Out of scope: whom they may be matched with (policy), points
//! (`matching`).

use std::collections::BTreeSet;

use hashpact_keys::Origin;
use hashpact_protocol::delta::{RETRACTION_SECTION, Seq};
use hashpact_protocol::fingerprint::Fingerprint;
use hashpact_protocol::labels::ClassId;
use hashpact_protocol::record::{EntryId, Record, Revision};
use hashpact_protocol::view::View as _;

use super::bodies::{BodyFault, DamagedBody};
use super::index::keys::fingerprint_key;
use super::index::{Index, Key, RowKind, Value};
use super::lookup::{LookupError, Standing, each_value, places_of};
use super::sections::{cut, decode_retractions, records_within};
use super::{FoundEntry, Store};

/// What may be matched of one record. No Debug: it holds fingerprints.
pub struct OwnRecord {
    /// Its class.
    pub class: ClassId,
    /// Its matchable fingerprints, as the record has them.
    pub fingerprints: Vec<Fingerprint>,
}

impl Store {
    /// The log that this node writes.
    #[must_use]
    pub fn own_origin(&self) -> &Origin {
        &self.own
    }

    /// The records of an own delta that count: in force, and not ended by any retraction stored
    /// until now. None if its body is not here.
    ///
    /// # Errors
    /// [`LookupError`].
    pub fn own_records(&self, seq: Seq) -> Result<Vec<OwnRecord>, LookupError> {
        if self.standing_of(seq) != Standing::InForce {
            return Ok(Vec::new());
        }
        let mut records = Vec::new();
        self.each_own_record(seq, |class, record| {
            if !self.is_retracted(&self.own, record.entry, record.revision)? {
                let fingerprints = record.fields.matchable().cloned().collect();
                records.push(OwnRecord {
                    class,
                    fingerprints,
                });
            }
            Ok(())
        })?;
        Ok(records)
    }

    /// The fingerprints of the own records that the retractions of an own delta end, whether or not
    /// others hold them as well.
    ///
    /// # Errors
    /// [`LookupError`].
    pub fn own_ended(&self, seq: Seq) -> Result<BTreeSet<Fingerprint>, LookupError> {
        let class = RETRACTION_SECTION;
        let Some(body) = self.own_body(seq)? else {
            return Ok(BTreeSet::new());
        };
        let section = body.section(class);
        let section = section.map_err(|fault| self.own_damaged(seq, BodyFault::Sealed(fault)))?;
        let malformed = || self.own_damaged(seq, BodyFault::Section { class });
        let list = decode_retractions(&section).ok_or_else(malformed)?;
        let mut ended = BTreeSet::new();
        for retraction in list {
            for found in self.own_revisions(retraction.entry, retraction.revision)? {
                ended.extend(found.record.fields.matchable().cloned());
            }
        }
        Ok(ended)
    }

    /// The own records that hold a fingerprint and count.
    ///
    /// # Errors
    /// [`LookupError`].
    pub fn own_holders(&self, fingerprint: &Fingerprint) -> Result<Vec<FoundEntry>, LookupError> {
        let Some(key) = fingerprint_key(&self.keys.index, fingerprint) else {
            return Ok(Vec::new());
        };
        let found = self.settled(|places, retracted| {
            let values = places_of(places, &key)?;
            self.own_entries(&values, retracted, |_| true)
        })?;
        let counts = found
            .into_iter()
            .filter(|found| !found.retracted && found.standing == Standing::InForce)
            .filter(|found| found.record.fields.matchable().any(|p| p == fingerprint));
        Ok(counts.collect())
    }

    /// The stored revisions of an own entry up to one.
    fn own_revisions(
        &self,
        entry: EntryId,
        upto: Revision,
    ) -> Result<Vec<FoundEntry>, LookupError> {
        let Some(key) = self.entry_key(&self.own, entry) else {
            return Ok(Vec::new());
        };
        let found = self.settled(|places, retracted| {
            let values = entries_of(places, &key)?;
            let is_ended = |value: &Value| value.extra <= u64::from(upto.0);
            self.own_entries(&values, retracted, is_ended)
        })?;
        let own = found
            .into_iter()
            .filter(|found| found.record.entry == entry);
        Ok(own.collect())
    }

    /// The records of this log at these places.
    fn own_entries(
        &self,
        values: &[Value],
        retracted: &Index,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Vec<FoundEntry>, LookupError> {
        let number = self.live().numbers.get(&self.own).copied();
        let own = values.iter().filter(|value| Some(value.origin) == number);
        let mut found = Vec::new();
        for value in own.filter(|value| wanted(value)) {
            found.extend(self.read_entry(value, retracted)?);
        }
        Ok(found)
    }

    fn standing_of(&self, seq: Seq) -> Standing {
        Standing::of(seq, &self.log(&self.own), true)
    }

    fn own_body(&self, seq: Seq) -> Result<Option<super::ServedBody>, LookupError> {
        self.served_body(&self.own, seq)
    }

    fn each_own_record(
        &self,
        seq: Seq,
        mut take: impl FnMut(ClassId, Record) -> Result<(), LookupError>,
    ) -> Result<(), LookupError> {
        let Some(body) = self.own_body(seq)? else {
            return Ok(());
        };
        for number in body.sections() {
            let Ok(class) = u16::try_from(number).map(ClassId) else {
                break;
            };
            let section = body.section(number).map(zeroize::Zeroizing::new);
            let section =
                section.map_err(|fault| self.own_damaged(seq, BodyFault::Sealed(fault)))?;
            let malformed = || self.own_damaged(seq, BodyFault::Section { class: number });
            let within = records_within(&section).ok_or_else(malformed)?;
            for item in cut(&section[within]) {
                let (at, bytes) = item.ok_or_else(malformed)?;
                let record = Record::from_bytes(bytes).map_err(|source| {
                    let offset = u32::try_from(at).unwrap_or(u32::MAX);
                    self.own_damaged(seq, BodyFault::Record { offset, source })
                })?;
                take(class, record)?;
            }
        }
        Ok(())
    }

    fn own_damaged(&self, seq: Seq, fault: BodyFault) -> LookupError {
        let origin = self.own.clone();
        DamagedBody { origin, seq, fault }.into()
    }
}

/// The places of an entry.
fn entries_of(places: &Index, key: &Key) -> Result<Vec<Value>, LookupError> {
    let mut values = Vec::new();
    each_value(places, key, |value| {
        if value.kind == RowKind::Entry {
            values.push(value);
        }
    })?;
    Ok(values)
}
