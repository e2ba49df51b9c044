//! Who lacks an object since it may have it: after a class was given, a record came, a roster changed, or a start. And which
//! objects count no more, as a key that signed them was revoked.

use std::collections::BTreeSet;

use hashpact_keys::Timestamp;

use super::super::{Centre, Output, later};
use crate::Hash;
use crate::evidence::rows;
use crate::evidence::tally::Tally;
use crate::evidence::{Changed, Object};
use crate::limits;
use crate::view::{Batch, View, Write};

/// A look at all objects, some at a time.
#[derive(Default)]
pub(super) struct Sweep {
    /// Something changed: another look is due.
    is_stale: bool,
    due: Option<Timestamp>,
    /// The first byte of the hashes that are looked at next.
    next: Option<u8>,
    /// Deltas that were applied when records were last looked for.
    applied: u64,
    /// Something came that objects wait for, when they are looked at, and which are still to be looked at.
    has_come: bool,
    look_at: Option<Timestamp>,
    waiting: BTreeSet<Hash>,
}

/// What one step of a look found.
#[derive(Default)]
struct Swept {
    batch: Batch,
    changed: Changed,
    tally: Tally,
    /// Errors that count no more.
    errors: BTreeSet<Hash>,
}

impl Sweep {
    /// Looks at all of them at once.
    pub(super) fn begin(&mut self) {
        self.next = Some(0);
    }

    /// Something came that objects may wait for.
    pub(super) fn look_for(&mut self) {
        self.has_come = true;
    }

    pub(super) fn next(&self) -> Option<Timestamp> {
        let is_busy = self.next.is_some() || !self.waiting.is_empty();
        let at_once = is_busy.then(|| Timestamp::new(0));
        at_once
            .into_iter()
            .chain(self.due)
            .chain(self.look_at)
            .min()
    }
}

impl Centre {
    /// Others may have what they had not.
    pub(in super::super) fn evidence_is_stale(&mut self) {
        self.evidence.sweep.is_stale = true;
    }

    /// How many deltas are applied and how many retractions of them: it changes when records come or go.
    pub(super) fn records_mark(&self) -> u64 {
        let mirrored = self.mirrors.values();
        let mirrored = mirrored.map(|it| it.state.applied.0 + it.state.retracted.0);
        mirrored.sum::<u64>() + self.own.next_seq.0
    }

    pub(super) fn sweep_evidence(
        &mut self,
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) {
        self.plan_sweep(now);
        // What is kept in this step is looked at in the next.
        let committed = out.iter().any(|output| matches!(output, Output::Commit(_)));
        if committed {
            return;
        }
        let mut swept = Swept::default();
        let mut seen = 0;
        while seen < limits::EVIDENCE_SWEEP
            && let Some(hash) = self.evidence.sweep.waiting.pop_first()
        {
            seen += 1;
            if let Some((signed, is_ours)) = rows::signed(&hash, view) {
                self.look_at(hash, &signed, is_ours, now, &mut swept, view);
                continue;
            }
            // It was forgotten since, and takes no room any more.
            for waiting in self.evidence.unplaced.values_mut() {
                waiting.remove(&hash);
            }
        }
        while let Some(first) = self.evidence.sweep.next
            && seen < limits::EVIDENCE_SWEEP
        {
            self.evidence.sweep.next = first.checked_add(1);
            for (hash, signed, is_ours) in rows::of_bucket(first, view) {
                seen += 1;
                self.look_at(hash, &signed, is_ours, now, &mut swept, view);
            }
        }
        let Swept {
            mut batch,
            mut changed,
            tally,
            errors,
        } = swept;
        if !errors.is_empty() {
            let (rows, entries) = rows::unflag(&errors, view);
            batch.extend(rows);
            changed.entries.extend(entries);
        }
        batch.extend(tally.into_rows());
        if !batch.is_empty() {
            out.push(Output::Commit(batch));
        }
        if !changed.is_empty() {
            out.push(Output::EvidenceChanged(changed));
        }
    }

    /// What is looked at, and when: all objects once others may have them, and those that wait once something has come.
    fn plan_sweep(&mut self, now: Timestamp) {
        let mark = self.records_mark();
        let known = &mut self.evidence;
        let sweep = &mut known.sweep;
        let soon = later(now, limits::EVIDENCE_SWEEP_S);
        if std::mem::take(&mut sweep.is_stale) {
            sweep.due = Some(sweep.due.map_or(soon, |at| at.min(soon)));
        }
        let has_come = std::mem::take(&mut sweep.has_come) || sweep.applied != mark;
        sweep.applied = mark;
        if has_come && !known.unplaced.is_empty() {
            sweep.look_at = Some(sweep.look_at.map_or(soon, |at| at.min(soon)));
        }
        if sweep.due.is_some_and(|at| at <= now) {
            (sweep.due, sweep.next) = (None, Some(0));
        }
        if sweep.look_at.is_some_and(|at| at <= now) {
            sweep.look_at = None;
            let waiting = known.unplaced.values().flatten().copied();
            sweep.waiting.extend(waiting);
        }
    }

    /// Forgets one object, or finds out who lacks it.
    fn look_at(
        &mut self,
        hash: Hash,
        signed: &[u8],
        is_ours: bool,
        now: Timestamp,
        swept: &mut Swept,
        view: &impl View,
    ) {
        let Ok(object) = Object::from_store(signed) else {
            return;
        };
        // Of our own the bytes stay, and nothing leads to them once they counted no more.
        let marks = rows::marks(&hash, &object, true);
        if is_ours && !marks.is_empty() && !marks.iter().any(|mark| is_kept(mark, view)) {
            return;
        }
        let is_void = self.is_void(&object, signed) || super::is_over(&object, now);
        let concerned = self.concerned(&object, view);
        self.wait_for(hash, &object, is_void || concerned.is_placed);
        if is_void {
            swept.changed.extend(super::changed(&object, view));
            if matches!(&object, Object::Reason(it) if it.code.travels()) {
                swept.errors.insert(hash);
            }
            let gone = (&hash, &object, is_ours);
            let owed = &mut self.evidence.owed;
            return super::drop_object(gone, owed, &mut swept.tally, &mut swept.batch, view);
        }
        for to in concerned.centres {
            let owed = self.evidence.owed.get(&to);
            let is_known =
                owed.is_some_and(|owed| owed.contains(&hash)) || rows::is_heard(&to, &hash, view);
            if !is_known {
                swept.batch.push(rows::owed(&to, &hash, true));
                self.evidence.owed.entry(to).or_default().insert(hash);
            }
        }
    }

    /// An object waits for what it is about, or does so no more.
    fn wait_for(&mut self, hash: Hash, object: &Object, is_placed: bool) {
        let unplaced = &mut self.evidence.unplaced;
        if !is_placed {
            let waiting = unplaced.entry(object.centre().clone()).or_default();
            waiting.insert(hash);
            return;
        }
        if let Some(waiting) = unplaced.get_mut(object.centre()) {
            waiting.remove(&hash);
            if waiting.is_empty() {
                unplaced.remove(object.centre());
            }
        }
    }

    /// Whether a key that signed it is revoked, or its centre is on the roster no more.
    fn is_void(&self, object: &Object, signed: &[u8]) -> bool {
        let maker = object.centre();
        if *maker != self.id && self.roster().centre(maker).is_none() {
            return true;
        }
        let revoked = &self.roster().revocations;
        if revoked.is_empty() {
            return false;
        }
        let keys = Object::signers(signed);
        revoked.iter().any(|entry| keys.contains(&entry.key))
    }
}

fn is_kept(write: &Write, view: &impl View) -> bool {
    match write {
        Write::Keep { shelf, key, .. } => view.kept(*shelf, key).is_some(),
        Write::Log { .. }
        | Write::Body(_)
        | Write::Widen(_)
        | Write::Narrow { .. }
        | Write::Purge { .. }
        | Write::Retractions { .. }
        | Write::State { .. }
        | Write::Roster(_)
        | Write::Fork { .. }
        | Write::Retire(_) => false,
    }
}
