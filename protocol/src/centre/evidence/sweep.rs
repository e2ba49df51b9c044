//! Who lacks an object since it may have it: after a class was given, a record came, a roster changed, or a start. And which
//! objects count no more, as a key that signed them was revoked.

use hashpact_keys::Timestamp;

use super::super::{Centre, Output, later};
use crate::evidence::rows;
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
}

impl Sweep {
    /// Looks at all of them at once.
    pub(super) fn begin(&mut self) {
        self.next = Some(0);
    }

    pub(super) fn next(&self) -> Option<Timestamp> {
        let at_once = self.next.map(|_| Timestamp::new(0));
        at_once.or(self.due)
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
        let mark = self.records_mark();
        let sweep = &mut self.evidence.sweep;
        let has_come = !self.evidence.unplaced.is_empty() && sweep.applied != mark;
        if sweep.is_stale || has_come {
            (sweep.is_stale, sweep.applied) = (false, mark);
            let soon = later(now, limits::EVIDENCE_SWEEP_S);
            sweep.due = Some(sweep.due.map_or(soon, |at| at.min(soon)));
        }
        if sweep.due.is_some_and(|at| at <= now) {
            (sweep.due, sweep.next) = (None, Some(0));
        }
        // What is kept in this step is looked at in the next.
        let committed = out.iter().any(|output| matches!(output, Output::Commit(_)));
        if committed {
            return;
        }
        let mut batch = Batch::default();
        let mut changed = Changed::default();
        let mut seen = 0;
        while let Some(first) = self.evidence.sweep.next
            && seen < limits::EVIDENCE_SWEEP
        {
            self.evidence.sweep.next = first.checked_add(1);
            for (hash, signed, is_ours) in rows::of_bucket(first, view) {
                seen += 1;
                let Ok(object) = Object::from_store(&signed) else {
                    continue;
                };
                if self.is_void(&signed) {
                    let marks = rows::marks(&hash, &object, false).into_iter();
                    let marks = marks.filter(|mark| is_kept(mark, view));
                    let marks: Vec<Write> = marks.collect();
                    // Of our own the bytes stay, and nothing leads to them once it was found void.
                    if is_ours && marks.is_empty() {
                        continue;
                    }
                    changed.extend(super::changed(&object, view));
                    batch.extend(marks);
                    if !is_ours {
                        batch.push(rows::forget(&hash));
                    }
                    for (to, owed) in &mut self.evidence.owed {
                        owed.remove(&hash);
                        batch.push(rows::owed(to, &hash, false));
                    }
                    continue;
                }
                let concerned = self.concerned(&object, view);
                match concerned.is_placed {
                    true => self.evidence.unplaced.remove(&hash),
                    false => self.evidence.unplaced.insert(hash),
                };
                for to in concerned.centres {
                    let owed = self.evidence.owed.get(&to);
                    let is_known = owed.is_some_and(|owed| owed.contains(&hash))
                        || rows::is_heard(&to, &hash, view);
                    if !is_known {
                        batch.push(rows::owed(&to, &hash, true));
                        self.evidence.owed.entry(to).or_default().insert(hash);
                    }
                }
            }
        }
        if !batch.is_empty() {
            out.push(Output::Commit(batch));
        }
        if !changed.is_empty() {
            out.push(Output::EvidenceChanged(changed));
        }
    }

    /// Whether a key that signed it is revoked.
    fn is_void(&self, signed: &[u8]) -> bool {
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
