//! Which entries of a delta are published, and as what; and how many on a day.
//!
//! Of each origin but this centre's own no more than a cap is let out on a UTC day, so that a centre that errs, or was broken
//! into, floods no provider overnight; the rest waits for the next day, or for two people who say how many more. Own entries
//! have no cap: their operators entered them here, and a large import is what they mean to do.

use std::cell::LazyCell;

use hashpact_keys::{Jurisdiction, Origin, Timestamp};
use hashpact_protocol::centre::Released;
use hashpact_protocol::delta::{ClassSection, Seq};
use hashpact_protocol::evidence;
use hashpact_protocol::labels::{ClassId, State as Assessment};
use hashpact_protocol::record::Record;
use hashpact_protocol::view::View as _;

use super::super::desk::Capped;
use super::super::ledger::{End, OriginNumber, Put, State};
use super::facts::{About, Judged, judge, rule};
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
pub(super) type Placed = (Released, Put);

/// What becomes of the entries of one class of a delta.
#[derive(Default)]
pub(super) struct Verdicts {
    pub(super) puts: Vec<Placed>,
    /// What may not be published, and ends if it was.
    pub(super) ends: Vec<End>,
}

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
        let tomorrow = (self.now() / DAY_S + 1) * DAY_S;
        if waiting.is_empty() || self.is_expired() {
            return Ok(None);
        }
        for (seq, seen) in waiting {
            let due = seen.saturating_add(self.sources.config.quarantine_s);
            if due > self.now() {
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
            // What is judged again may have to go, room or not.
            let is_new = seen > 0 || self.left.contains(&(origin.clone(), seq));
            if is_new && self.room(origin)? == 0 {
                next = [next, Some(tomorrow)].into_iter().flatten().min();
                continue;
            }
            let released = self.release(delta);
            match self.pass(released)? {
                Some(true) => drop(self.left.remove(&(origin.clone(), seq))),
                Some(false) => drop(self.left.insert((origin.clone(), seq))),
                // It waits until it can be read.
                None => {}
            }
            self.keep_up()?;
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
                let verdicts = self.verdicts(delta, &body, class)?;
                self.end(origin, verdicts.ends)?;
                for puts in verdicts.puts.chunks(PUTS_A_WRITE) {
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

    /// Which entries of one class of a delta may be published.
    fn verdicts(
        &self,
        delta: Delta<'_>,
        body: &ServedBody,
        class: ClassId,
    ) -> Result<Verdicts, PublishError> {
        let Delta { origin, seq, .. } = delta;
        let (store, now) = (&*self.shared.store, Timestamp::new(self.now()));
        let labels = store.class(origin, class);
        let laws = (&self.sources.home, delta.law);
        let (Some(labels), Some(rule)) = (labels, rule(store, (origin, class), laws, now)) else {
            return Ok(Verdicts::default());
        };
        // A new revision may be less than the one that is published: then that one ends.
        let is_assessed = labels.state == Assessment::Assessed;
        let bytes = store.section_of(origin, seq, body, class.0.into())?;
        let malformed = || self.malformed(origin, seq);
        let section = ClassSection::read(&bytes).map_err(|_| malformed())?;
        let entries = section.entries().map_err(|_| malformed())?;
        let leaves = LazyCell::new(|| section.leaves().unwrap_or_default());
        let mut verdicts = Verdicts::default();
        for (place, (entry, bytes)) in entries.into_iter().enumerate() {
            let record = Record::from_bytes(bytes).map_err(|_| malformed())?;
            let revision = record.revision;
            if store.is_retracted(origin, entry, revision)? {
                continue;
            }
            let about = About {
                origin,
                class,
                labels: &labels,
                record: &record,
            };
            if !is_assessed {
                verdicts.ends.push(ended(&record));
                continue;
            }
            let leaf = || leaves.get(place).map(|(_, leaf)| *leaf);
            let judged = judge(store, &about, rule, now, leaf)?;
            verdicts.add(&about, seq, &judged);
        }
        Ok(verdicts)
    }

    /// Withdraws entries, as far as they are published.
    pub(super) fn end(&self, origin: &Origin, ends: Vec<End>) -> Result<(), PublishError> {
        let reading = self.ledger.read()?;
        let mut live = Vec::new();
        for end in ends {
            let row = reading.entry(origin, end.entry)?;
            live.extend(row.filter(|row| row.state == State::Live).map(|_| end));
        }
        if live.is_empty() {
            return Ok(());
        }
        drop(reading);
        self.ledger.write(self.now(), |writing| {
            let number = writing.origin(origin)?;
            writing.end(number, live.into_iter()).map(drop)
        })?;
        Ok(())
    }

    /// How many new entries of an origin may still come today.
    fn room(&self, origin: &Origin) -> Result<u64, PublishError> {
        let day = self.now() / DAY_S;
        let reading = self.ledger.read()?;
        let spent = match reading.names.number(origin) {
            Some(number) => reading.spent(number, day)?,
            None => 0,
        };
        Ok(self.cap(origin, day).saturating_sub(spent))
    }

    /// Writes entries, as many new ones as the day still has room for, and says how many were left out.
    pub(super) fn put(&self, origin: &Origin, puts: &[Placed]) -> Result<u64, PublishError> {
        let now = self.now();
        let room = self.room(origin)?;
        self.ledger.write(now, |writing| {
            let number = writing.origin(origin)?;
            let mut rows = Vec::with_capacity(puts.len());
            for (released, put) in puts {
                let kind = writing.kind(released)?;
                rows.push(Put { kind, ..*put });
            }
            let mut left = room;
            let left_out = writing.put(number, rows.into_iter(), &mut left)?;
            writing.spend(number, now / DAY_S, room - left)?;
            Ok(left_out)
        })
    }

    /// New entries of an origin on one day: the cap, or what two people said for this day.
    fn cap(&self, origin: &Origin, day: u64) -> u64 {
        if self.is_own(origin) {
            return u64::MAX;
        }
        let surge = u32::try_from(day).ok();
        let surge = surge.and_then(|day| evidence::surge(&*self.shared.store, origin, day));
        let cap = self.sources.config.cap_per_origin_day;
        surge.map_or(cap, |up_to| cap.max(up_to))
    }

    /// An alarm, once for each origin and day.
    pub(super) fn tell_capped(&mut self, origin: &Origin, left_out: u64) {
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

    pub(super) fn law_of(&self, origin: &Origin) -> Option<Jurisdiction> {
        let roster = (self.sources.roster)()?;
        let centre = roster.centre(origin.centre());
        let centre = centre.filter(|centre| centre.origin == *origin)?;
        Some(centre.jurisdiction.clone())
    }
}

impl Verdicts {
    pub(super) fn add(&mut self, about: &About<'_>, seq: Seq, judged: &Judged) {
        match judged.released {
            true => self.puts.push(placed(about, seq, judged)),
            false => self.ends.push(ended(about.record)),
        }
    }
}

/// A record may not be published: it ends, and so does what was published of its entry before.
fn ended(record: &Record) -> End {
    End {
        entry: record.entry,
        upto: record.revision,
        retracted: None,
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
