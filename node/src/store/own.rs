//! What this node's own log puts and ends, delta by delta: what private matching is built from.
//!
//! Why apart from look-ups: a build reads every record once, in the order of the log, and holds one
//! body in memory. What is void, pending or retracted is no part of it, by the same rules as a
//! look-up. Entries of earlier lines of the centre are not: a match is about one log. In scope:
//! fingerprints of own records. Out of scope: whom they may be matched with (policy), points
//! (`matching`).

use std::collections::{BTreeMap, BTreeSet};

use hashpact_keys::Origin;
use hashpact_protocol::delta::{RETRACTION_SECTION, Seq};
use hashpact_protocol::fingerprint::Fingerprint;
use hashpact_protocol::labels::{ClassId, Labels};
use hashpact_protocol::record::{EntryId, Record, Revision};
use hashpact_protocol::view::View as _;

use super::bodies::{BodyFault, DamagedBody};
use super::index::keys::fingerprint_key;
use super::index::{Index, Key, RowKind, Value};
use super::lines::continues;
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

    /// The stored records of this centre, of any of its lines, that hold a fingerprint, whatever became of them.
    ///
    /// # Errors
    /// [`LookupError`].
    pub fn own_matches(&self, fingerprint: &Fingerprint) -> Result<Vec<FoundEntry>, LookupError> {
        let mut found = self.lookup(fingerprint)?;
        found.retain(|entry| continues(&self.own, &entry.origin));
        Ok(found)
    }

    /// Every record of this centre, of any of its lines, that is neither retracted nor void, with its labels: one body in
    /// memory at a time.
    ///
    /// # Errors
    /// [`LookupError`]; whatever `take` fails with.
    pub fn each_own_entry<E: From<LookupError>>(
        &self,
        mut take: impl FnMut(Labels, Record) -> Result<(), E>,
    ) -> Result<(), E> {
        let lines: Vec<Origin> = {
            let live = self.live();
            let lines = live.origins.iter();
            lines
                .filter(|line| continues(&self.own, line))
                .cloned()
                .collect()
        };
        for line in lines {
            let state = self.log(&line);
            let mut classes: BTreeMap<ClassId, Labels> = BTreeMap::new();
            for seq in (0..state.next_seq.0).map(Seq) {
                if matches!(
                    Standing::of(seq, &state, line == self.own),
                    Standing::Void { .. }
                ) {
                    break;
                }
                for (class, record) in self.records_of(&line, seq)? {
                    if self.is_retracted(&line, record.entry, record.revision)? {
                        continue;
                    }
                    let labels = match classes.get(&class) {
                        Some(labels) => labels.clone(),
                        None => {
                            let labels = self.control.class(&line, class);
                            let labels = labels.map_err(LookupError::from)?;
                            let origin = line.clone();
                            let labels = labels.ok_or(LookupError::Class { origin, class })?;
                            classes.insert(class, labels.clone());
                            labels
                        }
                    };
                    take(labels, record)?;
                }
            }
        }
        Ok(())
    }

    /// The records of a delta whose body is here.
    fn records_of(&self, origin: &Origin, seq: Seq) -> Result<Vec<(ClassId, Record)>, LookupError> {
        let mut records = Vec::new();
        self.each_record(origin, seq, |class, record| {
            records.push((class, record));
            Ok(())
        })?;
        Ok(records)
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
        take: impl FnMut(ClassId, Record) -> Result<(), LookupError>,
    ) -> Result<(), LookupError> {
        self.each_record(&self.own, seq, take)
    }

    fn each_record(
        &self,
        origin: &Origin,
        seq: Seq,
        mut take: impl FnMut(ClassId, Record) -> Result<(), LookupError>,
    ) -> Result<(), LookupError> {
        let Some(body) = self.served_body(origin, seq)? else {
            return Ok(());
        };
        for number in body.sections() {
            let Ok(class) = u16::try_from(number).map(ClassId) else {
                break;
            };
            let section = body.section(number).map(zeroize::Zeroizing::new);
            let section =
                section.map_err(|fault| damaged(origin, seq, BodyFault::Sealed(fault)))?;
            let malformed = || damaged(origin, seq, BodyFault::Section { class: number });
            let within = records_within(&section).ok_or_else(malformed)?;
            for item in cut(&section[within]) {
                let (at, bytes) = item.ok_or_else(malformed)?;
                let record = Record::from_bytes(bytes).map_err(|source| {
                    let offset = u32::try_from(at).unwrap_or(u32::MAX);
                    damaged(origin, seq, BodyFault::Record { offset, source })
                })?;
                take(class, record)?;
            }
        }
        Ok(())
    }

    fn own_damaged(&self, seq: Seq, fault: BodyFault) -> LookupError {
        damaged(&self.own, seq, fault)
    }
}

fn damaged(origin: &Origin, seq: Seq, fault: BodyFault) -> LookupError {
    let origin = origin.clone();
    DamagedBody { origin, seq, fault }.into()
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
