//! What becomes of entries of which something is said anew: some go, some come, some are marked.
//!
//! What is said of single entries is looked after one by one. What is said of a whole log, or of a series, has its deltas wait
//! again, for nothing but their turn: they are then judged as if they were new, and what stays the same is not written.

use std::collections::BTreeSet;
use std::sync::Arc;

use hashpact_keys::{Origin, Timestamp};
use hashpact_protocol::Hash;
use hashpact_protocol::delta::{ClassSection, Seq};
use hashpact_protocol::record::EntryId;

use super::super::ledger::{Reading, Row, State};
use super::super::reader::found;
use super::facts::{About, judge, rule};
use super::release::{Placed, Verdicts};
use super::{PublishError, Publisher};
use crate::store::FoundEntry;

/// Entries that are looked after in one go.
const ENTRIES_AT_ONCE: usize = 10_000;
/// Deltas that are noted to wait in one write.
const DELTAS_A_WRITE: usize = 4_096;

impl Publisher {
    pub(super) fn judge_again(&mut self) -> Result<(), PublishError> {
        let logs: BTreeSet<Origin> = match self.evidence.all {
            true => self.shared.store.counts().into_keys().collect(),
            false => self.evidence.logs.clone(),
        };
        for origin in &logs {
            self.judge_log(origin)?;
            self.evidence.logs.remove(origin);
        }
        self.evidence.all = false;
        let entries: Vec<(Origin, EntryId)> = self.evidence.entries.iter().cloned().collect();
        for some in entries.chunks(ENTRIES_AT_ONCE) {
            let origins: BTreeSet<&Origin> = some.iter().map(|(origin, _)| origin).collect();
            for origin in origins {
                let of = some.iter().filter(|(it, _)| it == origin);
                self.judge_entries(origin, of.map(|(_, entry)| *entry))?;
            }
            self.go_on()?;
        }
        Ok(())
    }

    /// Has the published deltas of a log wait for their turn.
    fn judge_log(&mut self, origin: &Origin) -> Result<(), PublishError> {
        self.left.retain(|(it, _)| it != origin);
        let reading = self.ledger.read()?;
        let Some(number) = reading.names.number(origin) else {
            return Ok(());
        };
        let waiting = waiting(&reading, origin)?;
        let seen = reading.reached(origin)?.seen;
        let again = (0..seen.0).map(Seq).filter(|seq| !waiting.contains(seq));
        let again: Vec<Seq> = again.collect();
        for some in again.chunks(DELTAS_A_WRITE) {
            self.ledger.write(self.now(), |writing| {
                let mut some = some.iter();
                // They have waited once.
                some.try_for_each(|seq| writing.wait(number, *seq, Some(0)))
            })?;
        }
        Ok(())
    }

    fn judge_entries(
        &mut self,
        origin: &Origin,
        entries: impl Iterator<Item = EntryId>,
    ) -> Result<(), PublishError> {
        let reading = self.ledger.read()?;
        let law = self.law_of(origin);
        let now = Timestamp::new(self.now());
        let store = Arc::clone(&self.shared.store);
        let store = &*store;
        let mut verdicts = Verdicts::default();
        let mut done = Vec::new();
        for entry in entries {
            let found = self.judged(&reading, origin, entry);
            // What cannot be read is judged again when it can.
            let Some(found) = self.pass(found)? else {
                continue;
            };
            let Some(found) = found else {
                done.push((origin.clone(), entry));
                continue;
            };
            let laws = (&self.sources.home, law.as_ref());
            let Some(rule) = rule(store, (origin, found.class), laws, now) else {
                done.push((origin.clone(), entry));
                continue;
            };
            let about = About {
                origin,
                class: found.class,
                labels: &found.labels,
                record: &found.record,
            };
            let judged = judge(store, &about, rule, now, || self.leaf(&found));
            let Some(judged) = self.pass(judged.map_err(Into::into))? else {
                continue;
            };
            done.push((origin.clone(), entry));
            verdicts.add(&about, found.seq, &judged);
        }
        drop(reading);
        self.end(origin, verdicts.ends)?;
        self.come(origin, &verdicts.puts)?;
        for entry in &done {
            self.evidence.entries.remove(entry);
        }
        Ok(())
    }

    /// Publishes entries; those that may not come now wait with their deltas.
    fn come(&mut self, origin: &Origin, puts: &[Placed]) -> Result<(), PublishError> {
        if puts.is_empty() {
            return Ok(());
        }
        let is_expired = self.is_expired();
        let left_out = match is_expired {
            true => 0,
            false => self.put(origin, puts)?,
        };
        self.tell_capped(origin, left_out);
        if !is_expired && left_out == 0 {
            return Ok(());
        }
        let waiting = waiting(&self.ledger.read()?, origin)?;
        let seqs: BTreeSet<Seq> = puts.iter().map(|(_, put)| put.seq).collect();
        self.ledger.write(self.now(), |writing| {
            let number = writing.origin(origin)?;
            let mut seqs = seqs.difference(&waiting);
            // They have waited once.
            seqs.try_for_each(|seq| writing.wait(number, *seq, Some(0)))?;
            Ok::<_, PublishError>(())
        })
    }

    /// The record of an entry that is to be judged: the one that is published, or else the newest if its delta is out.
    fn judged(
        &self,
        reading: &Reading,
        origin: &Origin,
        entry: EntryId,
    ) -> Result<Option<FoundEntry>, PublishError> {
        let row = reading.entry(origin, entry)?;
        if let Some(row) = row.filter(|row: &Row| row.state == State::Live) {
            return Ok(found(&self.shared, reading, &row)?);
        }
        let newest = self.shared.store.lookup_entry(origin, entry)?;
        let Some(newest) = newest.filter(FoundEntry::is_match) else {
            return Ok(None);
        };
        let is_out = newest.seq < reading.reached(origin)?.seen
            && !waiting(reading, origin)?.contains(&newest.seq);
        Ok(Some(newest).filter(|_| is_out))
    }

    fn leaf(&self, found: &FoundEntry) -> Option<Hash> {
        let sections = &self.shared.sections;
        let section = sections.section(&found.origin, found.seq, found.class.0.into());
        let section = section.ok()??;
        let leaves = ClassSection::read(&section.bytes).ok()?.leaves().ok()?;
        let mut leaves = leaves.into_iter();
        let leaf = leaves.find(|(entry, _)| *entry == found.record.entry);
        leaf.map(|(_, leaf)| leaf)
    }
}

fn waiting(reading: &Reading, origin: &Origin) -> Result<BTreeSet<Seq>, PublishError> {
    let Some(number) = reading.names.number(origin) else {
        return Ok(BTreeSet::new());
    };
    let waiting = reading.waiting(number)?.into_iter();
    Ok(waiting.map(|(seq, _)| seq).collect())
}
