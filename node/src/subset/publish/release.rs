//! Which entries of a delta are published, and as what; and how many on a day.
//!
//! Of each origin but this centre's own no more than a cap is let out on a UTC day, so that a centre that errs, or was broken
//! into, floods no provider overnight; the rest waits for the next day, or for two people who say how many more. Own entries
//! have no cap: their operators entered them here, and a large import is what they mean to do.

use std::collections::BTreeSet;

use hashpact_keys::{Jurisdiction, Origin};
use hashpact_protocol::centre::Released;
use hashpact_protocol::delta::{ClassSection, Seq};
use hashpact_protocol::labels::{ClassId, State as Assessment};
use hashpact_protocol::record::{EntryId, Record};
use hashpact_protocol::view::View as _;

use super::super::desk::Capped;
use super::super::ledger::{End, OriginNumber, Put, Row, State};
use super::super::reader::found;
use super::facts::{About, Judged, judge};
use super::{PublishError, Publisher};
use crate::store::ServedBody;

/// Entries that are published in one write.
const PUTS_A_WRITE: usize = 20_000;
/// Seconds of a UTC day.
const DAY_S: u64 = 86_400;

/// A delta that is published.
#[derive(Clone, Copy)]
struct Delta<'a> {
    origin: &'a Origin,
    number: OriginNumber,
    seq: Seq,
    /// The law of its origin.
    law: Option<&'a Jurisdiction>,
}

/// An entry, with the kind that it is of.
type Placed = (Released, Put);

impl Publisher {
    /// Publishes the deltas of an origin that have waited long enough; says when the next one will have.
    pub(super) fn release_due(&mut self, origin: &Origin) -> Result<Option<u64>, PublishError> {
        let reading = self.ledger.read()?;
        let Some(number) = reading.names.number(origin) else {
            return Ok(None);
        };
        let waiting = reading.waiting(number)?;
        drop(reading);
        let law = self.law_of(origin);
        let mut next = None;
        for (seq, seen) in waiting {
            let due = seen.saturating_add(self.sources.config.quarantine_s);
            if due > self.now() || self.is_expired() {
                next = [next, Some(due)].into_iter().flatten().min();
                continue;
            }
            let law = law.as_ref();
            let delta = Delta {
                origin,
                number,
                seq,
                law,
            };
            if !self.release(delta)? {
                let day = self.now() / DAY_S;
                return Ok(Some((day + 1) * DAY_S));
            }
            self.go_on()?;
        }
        Ok(next)
    }

    /// Publishes one delta; says whether all of it could be.
    fn release(&mut self, delta: Delta<'_>) -> Result<bool, PublishError> {
        let Delta {
            origin,
            number,
            seq,
            ..
        } = delta;
        // What comes after is looked after in the next round.
        let version = self.shared.store.body_version(origin, seq);
        let state = self.shared.store.log(origin);
        let body = match seq < state.witnessed_seq {
            true => self.shared.store.served_body(origin, seq)?,
            false => None,
        };
        let mut left_out = 0;
        if let Some(body) = body {
            for class in body.sections() {
                let Ok(class) = u16::try_from(class).map(ClassId) else {
                    break;
                };
                let puts = self.puts_of(delta, &body, class)?;
                for puts in puts.chunks(PUTS_A_WRITE) {
                    left_out += self.put(origin, puts)?;
                    self.go_on()?;
                }
            }
        }
        let is_all = left_out == 0;
        self.tell_capped(origin, left_out);
        self.ledger.write(self.now(), |writing| {
            writing.follow(number, seq, version)?;
            match is_all {
                true => writing.wait(number, seq, None),
                false => Ok(()),
            }
        })?;
        Ok(is_all)
    }

    /// The entries of one class of a delta that may be published.
    fn puts_of(
        &self,
        delta: Delta<'_>,
        body: &ServedBody,
        class: ClassId,
    ) -> Result<Vec<Placed>, PublishError> {
        let Delta { origin, seq, .. } = delta;
        let store = &self.shared.store;
        let labels = store.class(origin, class);
        let Some(labels) = labels.filter(|labels| labels.state == Assessment::Assessed) else {
            return Ok(Vec::new());
        };
        let bytes = store.section_of(origin, seq, body, class.0.into())?;
        let malformed = || self.malformed(origin, seq);
        let section = ClassSection::read(&bytes).map_err(|_| malformed())?;
        let entries = section.entries().map_err(|_| malformed())?;
        let mut puts = Vec::with_capacity(entries.len());
        for (entry, bytes) in entries {
            let record = Record::from_bytes(bytes).map_err(|_| malformed())?;
            if store.is_retracted(origin, entry, record.revision)? {
                continue;
            }
            let about = About {
                origin,
                class,
                labels: &labels,
                record: &record,
            };
            let judged = judge(&about, &self.sources.home, delta.law);
            if judged.released {
                puts.push(placed(&about, seq, &judged));
            }
        }
        Ok(puts)
    }

    /// Writes entries, as many new ones as the day still has room for, and says how many were left out.
    fn put(&self, origin: &Origin, puts: &[Placed]) -> Result<u64, PublishError> {
        let now = self.now();
        let day = now / DAY_S;
        let reading = self.ledger.read()?;
        let spent = match reading.names.number(origin) {
            Some(number) => reading.spent(number, day)?,
            None => 0,
        };
        drop(reading);
        let cap = self.cap(origin, day);
        self.ledger.write(now, |writing| {
            let number = writing.origin(origin)?;
            let mut budget = cap.saturating_sub(spent);
            let before = budget;
            let mut rows = Vec::with_capacity(puts.len());
            for (released, put) in puts {
                let kind = writing.kind(released)?;
                rows.push(Put { kind, ..*put });
            }
            let left_out = writing.put(number, rows.into_iter(), &mut budget)?;
            writing.spend(number, day, spent + (before - budget))?;
            Ok(left_out)
        })
    }

    /// New entries of an origin on one day.
    fn cap(&self, origin: &Origin, _day: u64) -> u64 {
        match self.is_own(origin) {
            true => u64::MAX,
            false => self.sources.config.cap_per_origin_day,
        }
    }

    /// An alarm, once for each origin and day.
    fn tell_capped(&mut self, origin: &Origin, left_out: u64) {
        let day = self.now() / DAY_S;
        self.capped.retain(|_, capped| capped.day == day);
        if left_out == 0 || self.capped.contains_key(origin) {
            return;
        }
        tracing::warn!(
            kind = "cap",
            %origin,
            left_out,
            "more new entries of an origin than are published on one day: the rest waits"
        );
        let capped = Capped {
            origin: origin.clone(),
            day,
            left_out,
        };
        self.capped.insert(origin.clone(), capped);
    }

    fn law_of(&self, origin: &Origin) -> Option<Jurisdiction> {
        let roster = (self.sources.roster)()?;
        let centre = roster.centre(origin.centre());
        let centre = centre.filter(|centre| centre.origin == *origin)?;
        Some(centre.jurisdiction.clone())
    }

    /// Judges entries again about which something is said anew: some go, some come, some are marked.
    pub(super) fn judge_again(&mut self) -> Result<(), PublishError> {
        let entries: Vec<(Origin, EntryId)> = self.evidence.iter().cloned().collect();
        for chunk in entries.chunks(PUTS_A_WRITE) {
            let origins: BTreeSet<&Origin> = chunk.iter().map(|(origin, _)| origin).collect();
            for origin in origins {
                let of = chunk.iter().filter(|(it, _)| it == origin);
                self.judge_entries(origin, of.map(|(_, entry)| *entry))?;
            }
            for entry in chunk {
                self.evidence.remove(entry);
            }
            self.go_on()?;
        }
        Ok(())
    }

    fn judge_entries(
        &mut self,
        origin: &Origin,
        entries: impl Iterator<Item = EntryId>,
    ) -> Result<(), PublishError> {
        let law = self.law_of(origin);
        let reading = self.ledger.read()?;
        let reached = reading.reached(origin)?;
        let waiting: BTreeSet<Seq> = match reading.names.number(origin) {
            Some(number) => reading
                .waiting(number)?
                .into_iter()
                .map(|it| it.0)
                .collect(),
            None => return Ok(()),
        };
        let (mut puts, mut ends) = (Vec::new(), Vec::new());
        for entry in entries {
            let row = reading.entry(origin, entry)?;
            let row = row.filter(|row: &Row| row.state == State::Live);
            let record = match &row {
                Some(row) => found(&self.shared, &reading, row)?,
                None => self.shared.store.lookup_entry(origin, entry)?,
            };
            let is_out = |seq: &Seq| *seq < reached.seen && !waiting.contains(seq);
            let record = record.filter(|it| it.is_match() && (row.is_some() || is_out(&it.seq)));
            let Some(found) = record else { continue };
            let about = About {
                origin,
                class: found.class,
                labels: &found.labels,
                record: &found.record,
            };
            let judged = judge(&about, &self.sources.home, law.as_ref());
            match (judged.released, row) {
                (true, _) => puts.push(placed(&about, found.seq, &judged)),
                (false, Some(row)) => ends.push(End {
                    entry,
                    upto: row.revision,
                    retracted: None,
                }),
                (false, None) => {}
            }
        }
        drop(reading);
        self.ledger.write(self.now(), |writing| {
            let number = writing.origin(origin)?;
            writing.end(number, ends.into_iter()).map(drop)
        })?;
        if self.is_expired() || puts.is_empty() {
            return Ok(());
        }
        let left_out = self.put(origin, &puts)?;
        self.tell_capped(origin, left_out);
        Ok(())
    }
}

fn placed(about: &About<'_>, seq: Seq, judged: &Judged) -> Placed {
    let released = Released {
        origin: about.origin.clone(),
        class: about.class,
        baseline: judged.baseline,
    };
    let put = Put {
        entry: about.record.entry,
        revision: about.record.revision,
        seq,
        // Known once it is written.
        kind: 0,
        marks: judged.marks,
    };
    (released, put)
}
