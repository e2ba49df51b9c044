//! A batch, checked against what is in force before anything of it is written.
//!
//! Why apart: what is refused here has changed nothing, and a batch that was built for another size
//! must not even touch a tile. In scope: sizes, numbers, classes, what is stored already. Out of
//! scope: writing.

use std::collections::BTreeMap;
use std::path::PathBuf;

use hashpact_keys::Origin;
use hashpact_protocol::delta::{Disclosure, Retraction, Section, Seq};
use hashpact_protocol::labels::ClassId;
use hashpact_protocol::log::LogFile;
use hashpact_protocol::view::{AdmittedBody, Batch, Held, LogState, Write};

use super::super::control::{BodyEntry, Change, ClassContents, Contents};
use super::super::index::Key;
use super::super::index::keys::labels_digest;
use super::super::places::DeltaPlace;
use super::super::published::publishable;
use super::super::{Live, Store};
use super::CommitError;
use super::change::{BodyChange, ChangedBody, Rewrite};

/// A batch, checked against what is in force; nothing of it is written yet.
#[derive(Default)]
pub(in crate::store) struct Plan {
    pub(in crate::store) change: Change,
    /// Numbers given to origins that the store has not met.
    pub(in crate::store) numbers: BTreeMap<Origin, u16>,
    pub(in crate::store) bodies: Vec<PlannedBody>,
    /// Retractions whose delta's body is not here: sealed on their own.
    pub(in crate::store) ends: Vec<(Origin, Seq, Vec<Retraction>)>,
    pub(in crate::store) retractions: Vec<(DeltaPlace, Retraction)>,
    pub(in crate::store) files: Vec<(PathBuf, Vec<u8>)>,
    /// Stored bodies while they are changed.
    pub(super) changed: BTreeMap<(Origin, Seq), ChangedBody>,
    pub(in crate::store) rewrites: Vec<Rewrite>,
    /// Logs whose `checkpoint` changes.
    pub(in crate::store) checkpoints: Vec<(Origin, Vec<u8>)>,
}

pub(in crate::store) struct PlannedBody {
    pub(in crate::store) body: AdmittedBody,
    pub(in crate::store) place: DeltaPlace,
    pub(in crate::store) labels: BTreeMap<ClassId, Key>,
}

impl Store {
    /// Checks a batch; nothing is written.
    pub(super) fn plan(&self, batch: Batch) -> Result<Plan, CommitError> {
        let mut plan = Plan::default();
        let (mut bodies, mut changes) = (Vec::new(), Vec::new());
        {
            let live = self.live();
            for write in batch.into_writes() {
                match write {
                    Write::Log {
                        origin,
                        from,
                        files,
                        deltas,
                        classes,
                        policies,
                        manifests,
                    } => {
                        plan.number(&live, &origin)?;
                        plan.grow(&live, &origin, from)?;
                        self.plan_files(&mut plan, &origin, files)?;
                        let deltas = deltas.into_iter();
                        plan.change
                            .deltas
                            .extend(deltas.map(|(seq, at)| (origin.clone(), seq, at)));
                        let classes = classes.into_iter();
                        let classes =
                            classes.map(|(class, labels)| ((origin.clone(), class), labels));
                        plan.change.classes.extend(classes);
                        let policies = policies.into_iter();
                        plan.change
                            .policies
                            .extend(policies.map(|(at, document)| (origin.clone(), at, document)));
                        let manifests = manifests.into_iter();
                        plan.change
                            .manifests
                            .extend(manifests.map(|(at, signed)| (origin.clone(), at, signed)));
                    }
                    Write::Body(body) => bodies.push((plan.number(&live, body.origin())?, body)),
                    Write::Widen(body) => changes.push(BodyChange::Widen(body)),
                    Write::Narrow {
                        origin,
                        seq,
                        classes,
                    } => changes.push(BodyChange::Narrow(origin, seq, classes)),
                    Write::Purge {
                        origin,
                        seq,
                        entries,
                    } => changes.push(BodyChange::Purge(origin, seq, entries)),
                    Write::Keep { shelf, key, value } => {
                        plan.change.kept.push((shelf, key, value));
                    }
                    Write::Retractions { origin, seq, list } => {
                        let place = delta_place(plan.number(&live, &origin)?, &origin, seq)?;
                        plan.retractions
                            .extend(list.iter().map(|retraction| (place, *retraction)));
                        plan.ends.push((origin, seq, list));
                    }
                    Write::State { origin, state } => {
                        plan.number(&live, &origin)?;
                        plan.stand(&live, origin, state)?;
                    }
                    Write::Roster(roster) => {
                        let version = roster.roster().version;
                        plan.change.rosters.push((version, roster.bytes().to_vec()));
                    }
                    Write::Fork { origin, proof } => plan.change.forks.push((origin, proof)),
                    Write::Retire(key) => plan.change.retired.push(key),
                }
            }
            plan.find_checkpoints(&live);
        }
        for (number, body) in bodies {
            self.plan_body(&mut plan, number, body)?;
        }
        for change in changes {
            self.plan_change(&mut plan, change)?;
        }
        self.plan_rewrites(&mut plan)?;
        self.plan_ends(&mut plan)?;
        Ok(plan)
    }

    fn plan_files(
        &self,
        plan: &mut Plan,
        origin: &Origin,
        files: Vec<LogFile>,
    ) -> Result<(), CommitError> {
        for LogFile { path, bytes } in files {
            let path = self.layout.tile(origin, &path);
            let path = path.ok_or_else(|| CommitError::Path {
                origin: origin.clone(),
            })?;
            plan.files.push((path, bytes));
        }
        Ok(())
    }

    fn plan_body(
        &self,
        plan: &mut Plan,
        number: u16,
        admitted: AdmittedBody,
    ) -> Result<(), CommitError> {
        let (origin, seq) = (admitted.origin().clone(), admitted.seq());
        let body = admitted.body();
        let records = body.sections().iter().map(Section::held).sum();
        let entry = BodyEntry {
            records,
            bytes: body.bytes().len() as u64,
        };
        let planned = plan
            .change
            .bodies
            .iter()
            .find(|(o, s, _)| (o, *s) == (&origin, seq));
        let stored = match planned {
            Some((_, _, entry)) => Some(*entry),
            None => self.control.body(&origin, seq)?,
        };
        match stored {
            // Asked for again after a restart: rows and counts are there.
            Some(stored) if stored == entry => return Ok(()),
            Some(_) => return Err(CommitError::BodyDiffers { origin, seq }),
            None => {}
        }
        let place = delta_place(number, &origin, seq)?;
        let mut labels = BTreeMap::new();
        for section in body.sections().iter().filter(|section| section.held() > 0) {
            let class = section.class;
            let digest = self.labels_of(plan, &origin, class)?;
            labels.insert(class, digest);
        }
        plan.retractions.extend(
            body.retractions()
                .iter()
                .map(|retraction| (place, *retraction)),
        );
        let sections = body.sections().iter();
        let classes = sections.map(|section| ClassContents {
            signed: section.signed(),
            held: match section.disclosure {
                Disclosure::Disclosed(_) => Held::All,
                Disclosure::Partial { .. } => Held::Some,
                Disclosure::Withheld => Held::None,
            },
        });
        let contents = Contents {
            version: 0,
            classes: classes.collect(),
        };
        plan.change.contents.push((origin.clone(), seq, contents));
        plan.change.bodies.push((origin, seq, entry));
        plan.bodies.push(PlannedBody {
            body: admitted,
            place,
            labels,
        });
        Ok(())
    }

    /// The digest of a class's labels, as this batch or an earlier one defines them.
    pub(super) fn labels_of(
        &self,
        plan: &Plan,
        origin: &Origin,
        class: ClassId,
    ) -> Result<Key, CommitError> {
        let defined = match plan.change.classes.get(&(origin.clone(), class)) {
            Some(labels) => Some(labels.clone()),
            None => self.control.class(origin, class)?,
        };
        let undefined = || CommitError::UndefinedClass {
            origin: origin.clone(),
            class,
        };
        let labels = defined.ok_or_else(undefined)?;
        Ok(labels_digest(&self.keys.index, &labels))
    }

    /// Leaves out the retractions that are stored, or come with their body.
    fn plan_ends(&self, plan: &mut Plan) -> Result<(), CommitError> {
        for (origin, seq, list) in std::mem::take(&mut plan.ends) {
            let with_body = plan
                .change
                .bodies
                .iter()
                .any(|(o, s, _)| (o, *s) == (&origin, seq));
            let twice = plan
                .change
                .ends
                .iter()
                .any(|(o, s, _)| (o, *s) == (&origin, seq));
            let stored = with_body
                || twice
                || self.control.body(&origin, seq)?.is_some()
                || self.control.has_ends(&origin, seq)?;
            if !stored && !list.is_empty() {
                plan.change
                    .ends
                    .push((origin.clone(), seq, list.len() as u64));
                plan.ends.push((origin, seq, list));
            }
        }
        Ok(())
    }
}

impl Plan {
    /// The number of an origin in index rows; the next free one if it is new.
    fn number(&mut self, live: &Live, origin: &Origin) -> Result<u16, CommitError> {
        if let Some(number) = live
            .numbers
            .get(origin)
            .or_else(|| self.numbers.get(origin))
        {
            return Ok(*number);
        }
        let next = live.origins.len() + self.change.origins.len();
        let bound = || CommitError::Bound {
            origin: origin.clone(),
            seq: Seq(0),
        };
        let number = u16::try_from(next).map_err(|_| bound())?;
        self.change.origins.push((origin.clone(), number));
        self.numbers.insert(origin.clone(), number);
        Ok(number)
    }

    /// Checks that a log which grows has the size that the batch was built for.
    fn grow(&mut self, live: &Live, origin: &Origin, from: u64) -> Result<(), CommitError> {
        let stored = live.logs.get(origin).map_or(0, |state| state.size);
        let got = self
            .change
            .logs
            .get(origin)
            .map_or(stored, |state| state.size);
        if got != from {
            return Err(CommitError::Size {
                origin: origin.clone(),
                expected: from,
                got,
            });
        }
        self.change.from.insert(origin.clone(), stored);
        Ok(())
    }

    fn stand(&mut self, live: &Live, origin: Origin, state: LogState) -> Result<(), CommitError> {
        let before = self
            .change
            .logs
            .get(&origin)
            .or_else(|| live.logs.get(&origin));
        let stored = before.map_or(0, |state| state.size);
        if state.size < stored {
            return Err(CommitError::Shrinks {
                origin,
                stored,
                got: state.size,
            });
        }
        self.change.logs.insert(origin, state);
        Ok(())
    }

    fn find_checkpoints(&mut self, live: &Live) {
        for (origin, state) in &self.change.logs {
            let before = live.logs.get(origin);
            let Some(note) = publishable(state) else {
                continue;
            };
            if before.and_then(publishable) != Some(note) {
                self.checkpoints.push((origin.clone(), note.to_vec()));
            }
        }
    }

    /// Whether no table would change.
    pub(super) fn is_nothing(&self) -> bool {
        let c = &self.change;
        let logs = c.logs.is_empty() && c.deltas.is_empty() && c.classes.is_empty();
        let alarms = c.forks.is_empty() && c.retired.is_empty();
        let bodies = alarms && c.bodies.is_empty() && c.ends.is_empty() && c.segments.is_empty();
        let signed = c.policies.is_empty() && c.manifests.is_empty();
        let kept = c.kept.is_empty() && signed && c.purged.is_empty();
        logs && bodies
            && kept
            && c.rosters.is_empty()
            && c.origins.is_empty()
            && c.tallies.is_empty()
    }
}

pub(super) fn delta_place(
    number: u16,
    origin: &Origin,
    seq: Seq,
) -> Result<DeltaPlace, CommitError> {
    let bound = || CommitError::Bound {
        origin: origin.clone(),
        seq,
    };
    Ok(DeltaPlace {
        origin: number,
        seq: u32::try_from(seq.0).map_err(|_| bound())?,
    })
}
