//! Many look-ups at once.
//!
//! One after the other each look-up opens a body and reads a block of it, and those of a batch lead into the same blocks in
//! turn. So the places of all are gathered first and read in the order of the disk: each block once. The answers are those of
//! [`Store::lookup`]. In scope: a batch in memory. Out of scope: how large it may be (`control`).

use std::collections::BTreeMap;

use hashpact_keys::Origin;
use hashpact_protocol::delta::Seq;
use hashpact_protocol::fingerprint::Fingerprint;
use hashpact_protocol::labels::{ClassId, Labels};
use hashpact_protocol::view::{LogState, View as _};

use super::{FoundEntry, LookupError, PLACES_PER_LOG, Standing, places_of};
use crate::store::Store;
use crate::store::bodies::{DamagedBody, RecordReader};
use crate::store::index::keys::fingerprint_key;
use crate::store::index::{Index, Value};

/// What several records have in common, read once.
#[derive(Default)]
struct Common {
    labels: BTreeMap<(Origin, ClassId), Labels>,
    logs: BTreeMap<Origin, LogState>,
}

impl Store {
    /// As [`Store::lookup`] for each of these, in their order.
    ///
    /// # Errors
    /// [`LookupError`]; then none is answered.
    pub fn lookup_many(
        &self,
        fingerprints: &[Fingerprint],
    ) -> Result<Vec<Vec<FoundEntry>>, LookupError> {
        self.settled(|places, retracted| self.many(fingerprints, places, retracted))
    }

    fn many(
        &self,
        fingerprints: &[Fingerprint],
        index: &Index,
        retracted: &Index,
    ) -> Result<Vec<Vec<FoundEntry>>, LookupError> {
        let mut places: Vec<(usize, usize, Value)> = Vec::new();
        for (number, fingerprint) in fingerprints.iter().enumerate() {
            let Some(key) = fingerprint_key(&self.keys.index, fingerprint) else {
                continue;
            };
            let values = places_of(index, &key)?.into_iter().enumerate();
            places.extend(values.map(|(rank, value)| (number, rank, value)));
        }
        places.sort_unstable_by_key(|(number, _, value)| {
            (value.origin, value.seq, value.offset, *number)
        });
        let mut common = Common::default();
        let mut found: Vec<Vec<(usize, FoundEntry)>> = Vec::new();
        found.resize_with(fingerprints.len(), Vec::new);
        for body in places.chunk_by(|(_, _, a), (_, _, b)| (a.origin, a.seq) == (b.origin, b.seq)) {
            self.of_body(body, fingerprints, retracted, &mut common, &mut found)?;
        }
        Ok(found.into_iter().map(in_order).collect())
    }

    /// Reads the records of one body, in its order.
    fn of_body(
        &self,
        body: &[(usize, usize, Value)],
        fingerprints: &[Fingerprint],
        retracted: &Index,
        common: &mut Common,
        found: &mut [Vec<(usize, FoundEntry)>],
    ) -> Result<(), LookupError> {
        let Some((_, _, first)) = body.first() else {
            return Ok(());
        };
        let number = first.origin;
        let origin = self.origin(number).ok_or(LookupError::Origin { number })?;
        let seq = Seq(u64::from(first.seq));
        let damaged = |fault| {
            let origin = origin.clone();
            DamagedBody { origin, seq, fault }
        };
        let file = self.open_body(&origin, seq);
        let mut reader = RecordReader::new(file.map_err(|error| damaged(error.into()))?);
        let state = common.logs.entry(origin.clone());
        let state = state.or_insert_with(|| self.log(&origin)).clone();
        for (number, rank, value) in body {
            let read = reader.record(value.offset).map_err(damaged)?;
            let Some((class, record)) = read else {
                continue;
            };
            let asked = fingerprints.get(*number);
            if !record.fields.matchable().any(|print| Some(print) == asked) {
                return Err(LookupError::OtherRecord { origin, seq });
            }
            let upto = self.retracted_upto(retracted, &origin, record.entry)?;
            let entry = FoundEntry {
                labels: self.labels(&origin, class, common)?,
                origin: origin.clone(),
                seq,
                class,
                retracted: upto >= record.revision.0,
                record,
                standing: Standing::of(seq, &state, origin == self.own),
            };
            if let Some(found) = found.get_mut(*number) {
                found.push((*rank, entry));
            }
        }
        Ok(())
    }

    fn labels(
        &self,
        origin: &Origin,
        class: ClassId,
        common: &mut Common,
    ) -> Result<Labels, LookupError> {
        let key = (origin.clone(), class);
        if let Some(labels) = common.labels.get(&key) {
            return Ok(labels.clone());
        }
        let labels = self.control.class(origin, class)?;
        let labels = labels.ok_or_else(|| LookupError::Class {
            origin: origin.clone(),
            class,
        })?;
        common.labels.insert(key, labels.clone());
        Ok(labels)
    }
}

/// The entries in the order of a single look-up, and as many of each log.
fn in_order(mut found: Vec<(usize, FoundEntry)>) -> Vec<FoundEntry> {
    found.sort_unstable_by_key(|(rank, _)| *rank);
    let mut of_log: BTreeMap<Origin, usize> = BTreeMap::new();
    let mut kept = Vec::with_capacity(found.len());
    for (_, entry) in found {
        let count = of_log.entry(entry.origin.clone()).or_insert(0);
        if *count < PLACES_PER_LOG {
            *count += 1;
            kept.push(entry);
        }
    }
    kept
}
