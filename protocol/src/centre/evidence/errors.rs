//! Errors travel: an entry that was retracted because it is none flags those of others with the same file.
//!
//! The look-up is the store's, so it leaves as a job. It is made again when records come: an entry that comes later is
//! flagged too. What is flagged counts as disputed by the centre that retracted, up to the revision that was live then.

use std::collections::BTreeSet;

use hashpact_keys::{Origin, Timestamp};

use super::super::{Centre, Event, Job, JobId, JobResult, Output, later};
use crate::Hash;
use crate::evidence::rows::{self, Flag};
use crate::evidence::{Changed, Object, Reason};
use crate::limits;
use crate::record::{EntryId, Revision};
use crate::view::{Batch, View};

/// Errors that are looked at.
#[derive(Default)]
pub(super) struct Errors {
    /// New ones, and those that are looked at again: a new one waits behind none of these.
    queue: BTreeSet<Hash>,
    again: BTreeSet<Hash>,
    running: Option<(JobId, Hash)>,
    /// What was applied at the last look at all of them, and when the next one is due.
    mark: Option<u64>,
    due: Option<Timestamp>,
}

impl Errors {
    pub(super) fn look_at(&mut self, errors: impl IntoIterator<Item = Hash>) {
        self.queue.extend(errors);
    }

    fn pop(&mut self) -> Option<Hash> {
        self.queue.pop_first().or_else(|| self.again.pop_first())
    }

    fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.again.is_empty()
    }

    pub(super) fn next(&self) -> Option<Timestamp> {
        let is_busy = self.running.is_none() && !self.is_empty();
        is_busy.then(|| Timestamp::new(0)).or(self.due)
    }
}

impl Centre {
    /// Starts the next look-up, one at a time.
    pub(super) fn flag_sharers(&mut self, now: Timestamp, view: &impl View, out: &mut Vec<Output>) {
        let mark = self.records_mark();
        let errors = &mut self.evidence.errors;
        if errors.mark != Some(mark) {
            errors.mark = Some(mark);
            let soon = later(now, limits::EVIDENCE_SWEEP_S);
            errors.due = Some(errors.due.map_or(soon, |at| at.min(soon)));
        }
        // What is kept in this step is looked up in the next.
        let committed = out.iter().any(|output| matches!(output, Output::Commit(_)));
        if errors.running.is_some() || committed {
            return;
        }
        // Not before all were looked at once: many errors are looked at less often.
        if errors.due.is_some_and(|at| at <= now) && errors.is_empty() {
            errors.due = None;
            errors.again.extend(rows::errors(view));
        }
        for _ in 0..limits::EVIDENCE_SWEEP {
            let Some(hash) = self.evidence.errors.pop() else {
                return;
            };
            let Some(Object::Reason(Reason { entry, .. })) = rows::read(&hash, view) else {
                continue;
            };
            let (origin, entry, revision) = entry;
            // Of what is not here nobody shares anything, yet.
            if view.place_of(&origin, entry, Some(revision)).is_none() {
                continue;
            }
            let id = self.job();
            self.evidence.errors.running = Some((id, hash));
            let job = Job::FlagSharers {
                origin,
                entry,
                revision,
            };
            return out.push(Output::Spawn(id, job));
        }
    }

    /// The error whose sharers a job looked up.
    pub(in super::super) fn looked_up(&mut self, id: JobId) -> Option<Hash> {
        let running = &mut self.evidence.errors.running;
        let (_, hash) = running.take_if(|(job, _)| *job == id)?;
        Some(hash)
    }

    /// Flags what shares a fingerprint with an error.
    pub(in super::super) fn on_sharers(
        &mut self,
        error: Hash,
        result: JobResult,
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) {
        let JobResult::Sharers(sharers) = result else {
            // It is looked up again with all others.
            let soon = later(now, limits::EVIDENCE_SWEEP_S);
            self.evidence.errors.due = Some(soon);
            return;
        };
        let Some(Object::Reason(reason)) = rows::read(&error, view) else {
            return;
        };
        self.flag(&error, &reason, sharers.into_iter(), view, out);
    }

    fn flag(
        &self,
        error: &Hash,
        reason: &Reason,
        sharers: impl Iterator<Item = (Origin, EntryId, Revision)>,
        view: &impl View,
        out: &mut Vec<Output>,
    ) {
        let mut batch = Batch::default();
        let mut entries = Vec::new();
        for (origin, entry, revision) in sharers {
            let is_others = origin.centre() != &reason.by.centre;
            if !is_others || rows::is_flagged(&origin, entry, error, view) {
                continue;
            }
            if entries.len() >= limits::SHARERS {
                break;
            }
            let flag = Flag {
                revision,
                centre: reason.by.centre.clone(),
                country: reason.by.country.clone(),
                code: reason.code,
            };
            batch.push(rows::flag(&origin, entry, error, &flag));
            entries.push((origin, entry));
        }
        if batch.is_empty() {
            return;
        }
        out.push(Output::Commit(batch));
        out.push(Output::Emit(Event::SharersFlagged {
            origin: reason.entry.0.clone(),
            entry: reason.entry.1,
            flagged: entries.len() as u64,
        }));
        let changed = Changed {
            entries,
            ..Changed::default()
        };
        out.push(Output::EvidenceChanged(changed));
    }
}
