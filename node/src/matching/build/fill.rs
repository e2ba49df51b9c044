//! Which items come and go, delta by delta of the own log.
//!
//! A group takes the records of witnessed deltas that no retraction has ended; what a later retraction ends goes, unless
//! another own record of the group's classes still holds it. An item is evaluated once: what is there already is looked up,
//! but not while nothing is published yet, when merging finds it. In scope: rows. Out of scope: segments (`publish`).

use std::collections::{BTreeMap, BTreeSet};

use hashpact_protocol::assess::severity;
use hashpact_protocol::delta::Seq;
use hashpact_protocol::fingerprint::Fingerprint;
use hashpact_protocol::labels::ClassId;
use hashpact_protocol::lists::Set;
use hashpact_protocol::policy::MatchMode;
use hashpact_protocol::psi::{Label, Tagger, input};

use super::super::evaluator::JOB_ITEMS;
use super::super::points::{Change, RUN_ROWS, Row, RowId, Run};
use super::{ArtifactState, BuildError, Builder, Building, Place, key_name, open_runs};

/// An item of a delta. No Debug: it is a fingerprint.
struct Found {
    id: RowId,
    fingerprint: Fingerprint,
}

impl Builder {
    /// Takes the records of deltas below `target`, a run at a time.
    pub(super) fn fill(&mut self, target: Seq) -> Result<(), BuildError> {
        while let Some(from) = self.least_applied().filter(|from| *from < target) {
            self.go_on()?;
            let found = self.gather(from, target)?;
            for ((group, kind), items) in found.items {
                self.add_items(group, kind, items)?;
            }
            let Some(epoch) = self.state.newest_mut() else {
                return Ok(());
            };
            let groups = epoch.groups.iter_mut();
            for group in groups.filter(|it| it.active && it.applied == from) {
                group.applied = found.upto;
            }
            self.write()?;
            self.tools.shared.building(Some(Building {
                done: found.upto.0,
                total: target.0,
            }));
        }
        Ok(())
    }

    fn least_applied(&self) -> Option<Seq> {
        let active = self.state.newest()?.active();
        active.map(|group| group.applied).min()
    }

    /// Items of deltas from `from` on for the groups that stand there: until a run is full, or other groups stand.
    fn gather(&self, from: Seq, target: Seq) -> Result<Gathered, BuildError> {
        let epoch = self.state.newest().ok_or(BuildError::Answer)?;
        let mut classes: BTreeMap<ClassId, usize> = BTreeMap::new();
        let mut end = target;
        let active = epoch.groups.iter().enumerate();
        for (at, group) in active.filter(|(_, group)| group.active) {
            match group.applied == from {
                true => classes.extend(group.classes.iter().map(|class| (*class, at))),
                false => end = end.min(group.applied),
            }
        }
        let (mut items, mut count) = (BTreeMap::<_, Vec<Found>>::new(), 0);
        let mut upto = from;
        while upto < end && count < RUN_ROWS {
            self.go_on()?;
            for record in self.tools.store.own_records(upto)? {
                let Some(group) = classes.get(&record.class).copied() else {
                    continue;
                };
                for fingerprint in record.fingerprints {
                    let (Some(kind), Some(bytes)) =
                        (fingerprint.algorithm().code(), input(&fingerprint))
                    else {
                        continue;
                    };
                    let id = self.tools.ids.id(&bytes);
                    let items = items.entry((group, kind)).or_default();
                    items.push(Found { id, fingerprint });
                    count += 1;
                }
            }
            upto = Seq(upto.0 + 1);
        }
        Ok(Gathered { items, upto })
    }

    fn add_items(
        &mut self,
        group: usize,
        kind: u8,
        mut items: Vec<Found>,
    ) -> Result<(), BuildError> {
        items.sort_unstable_by_key(|item| item.id);
        items.dedup_by_key(|item| item.id);
        let modes = {
            let epoch = self.state.newest().ok_or(BuildError::Answer)?;
            epoch.groups.get(group).map(|group| group.modes.clone())
        };
        for mode in modes.unwrap_or_default() {
            let at = self.artifact_of(group, kind, mode)?;
            let new = self.new_items(at, &items)?;
            for items in new.chunks(RUN_ROWS) {
                let rows = self.evaluate(at, items)?;
                self.add_run(at, &rows, false)?;
            }
        }
        Ok(())
    }

    /// The artifact of a group, type and mode; made if it is not there yet.
    fn artifact_of(
        &mut self,
        group: usize,
        kind: u8,
        mode: MatchMode,
    ) -> Result<Place, BuildError> {
        let epoch = self.state.newest_mut().ok_or(BuildError::Answer)?;
        let artifacts = &mut epoch
            .groups
            .get_mut(group)
            .ok_or(BuildError::Answer)?
            .artifacts;
        let order = |it: &ArtifactState| (it.kind, it.mode);
        let artifact = match artifacts.binary_search_by_key(&(kind, mode), order) {
            Ok(at) => at,
            Err(at) => {
                artifacts.insert(at, ArtifactState::new(kind, mode));
                at
            }
        };
        Ok(Place { group, artifact })
    }

    /// Those of the items that an artifact does not hold yet.
    fn new_items<'f>(&self, at: Place, items: &'f [Found]) -> Result<Vec<&'f Found>, BuildError> {
        let epoch = self.state.newest().ok_or(BuildError::Answer)?;
        let (_, artifact) = at.of(epoch)?;
        let is_first = artifact.covered == 0 && !artifact.runs.iter().any(|run| run.removes);
        if is_first {
            return Ok(items.iter().collect());
        }
        let runs = open_runs(&self.artifact_folder(at)?, &artifact.runs)?;
        let mut new = Vec::new();
        for item in items {
            if live(&runs, &item.id)?.is_none() {
                new.push(item);
            }
        }
        Ok(new)
    }

    /// What a match tells of an item in mode `labels`: of all own records of the group that hold it, together.
    fn label(&self, fingerprint: &Fingerprint, classes: &[ClassId]) -> Result<[u8; 4], BuildError> {
        let mut label = Label {
            severity: Set::empty(),
            depiction: Set::empty(),
            state: Set::empty(),
            minor_certain: false,
        };
        for found in self.tools.store.own_holders(fingerprint)? {
            if classes.binary_search(&found.class).is_ok() {
                let tiers = severity(&found.record.fields.features);
                label.severity = label.severity.union(tiers);
                label.depiction = label.depiction.union(found.labels.depiction);
                label.state = label.state.union(Set::of(&[found.labels.state]));
                label.minor_certain |= found.labels.minor_certain;
            }
        }
        Ok(pack(label))
    }

    fn evaluate(&self, at: Place, items: &[&Found]) -> Result<Vec<Row>, BuildError> {
        let epoch = self.state.newest().ok_or(BuildError::Answer)?;
        let (group, artifact) = at.of(epoch)?;
        let key = key_name(epoch, group, artifact.kind, artifact.mode);
        let space = self.space(epoch, group, artifact.kind, artifact.mode);
        let mut tagger = Tagger::new(&space, None, epoch.bits);
        let jobs = items.chunks(JOB_ITEMS).map(|items| {
            let inputs = items.iter().filter_map(|item| input(&item.fingerprint));
            self.tools.evaluator.items(key, inputs.collect())
        });
        let evaluated = self.spread(jobs)?;
        let mut rows = Vec::with_capacity(items.len());
        for (found, item) in items.iter().zip(evaluated) {
            let label = match artifact.mode {
                MatchMode::Labels => self.label(&found.fingerprint, &group.classes)?,
                MatchMode::Items | MatchMode::Count => [0; 4],
            };
            rows.push(Row {
                id: found.id,
                point: item.point,
                doubled: item.doubled,
                tag: tagger.tag(&item.doubled),
                change: Change::Added,
                label,
            });
        }
        Ok(rows)
    }

    /// Takes the retractions of deltas below `target` out of every group.
    pub(super) fn end(&mut self, target: Seq) -> Result<(), BuildError> {
        let groups = self.state.newest().map_or(0, |epoch| epoch.groups.len());
        for group in 0..groups {
            while let Some(from) = self.ended(group).filter(|from| *from < target) {
                self.go_on()?;
                self.end_of_delta(group, from)?;
                let epoch = self.state.newest_mut().ok_or(BuildError::Answer)?;
                if let Some(group) = epoch.groups.get_mut(group) {
                    group.ended = Seq(from.0 + 1);
                }
                // One write for many deltas that end nothing.
                if from.0.is_multiple_of(1024) || Seq(from.0 + 1) == target {
                    self.write()?;
                }
            }
        }
        Ok(())
    }

    /// Up to where the retractions are in a group; none for one that rests.
    fn ended(&self, group: usize) -> Option<Seq> {
        let group = self.state.newest()?.groups.get(group)?;
        group.active.then_some(group.ended)
    }

    fn end_of_delta(&mut self, group: usize, seq: Seq) -> Result<(), BuildError> {
        let epoch = self.state.newest().ok_or(BuildError::Answer)?;
        let classes = epoch.groups.get(group).ok_or(BuildError::Answer)?;
        let classes: BTreeSet<ClassId> = classes.classes.iter().copied().collect();
        let mut gone: BTreeMap<u8, Vec<RowId>> = BTreeMap::new();
        for fingerprint in self.tools.store.own_ended(seq)? {
            let held = self.tools.store.own_holders(&fingerprint)?;
            let held: BTreeSet<ClassId> = held.iter().map(|found| found.class).collect();
            let (Some(kind), Some(bytes)) = (fingerprint.algorithm().code(), input(&fingerprint))
            else {
                continue;
            };
            if held.is_disjoint(&classes) {
                gone.entry(kind)
                    .or_default()
                    .push(self.tools.ids.id(&bytes));
            }
        }
        for at in self.places().into_iter().filter(|at| at.group == group) {
            let kind = self.artifact_mut(at)?.kind;
            if let Some(ids) = gone.get(&kind) {
                self.remove(at, ids)?;
            }
        }
        Ok(())
    }

    fn remove(&mut self, at: Place, ids: &[RowId]) -> Result<(), BuildError> {
        let epoch = self.state.newest().ok_or(BuildError::Answer)?;
        let (_, artifact) = at.of(epoch)?;
        let runs = open_runs(&self.artifact_folder(at)?, &artifact.runs)?;
        let mut rows = Vec::new();
        for id in ids {
            if let Some(row) = live(&runs, id)? {
                rows.push(Row {
                    point: [0; 32],
                    doubled: [0; 32],
                    tag: row.tag,
                    change: Change::Removed,
                    label: [0; 4],
                    ..row
                });
            }
        }
        if rows.is_empty() {
            return Ok(());
        }
        rows.sort_unstable_by_key(|row| row.id);
        rows.dedup_by_key(|row| row.id);
        self.add_run(at, &rows, true)
    }
}

/// What was gathered, by group and type, and up to which delta.
struct Gathered {
    items: BTreeMap<(usize, u8), Vec<Found>>,
    upto: Seq,
}

/// The row of an item, if it is held: the latest run that names it says.
fn live(runs: &[Run], id: &RowId) -> Result<Option<Row>, BuildError> {
    for run in runs.iter().rev() {
        if let Some(row) = run.find(id)? {
            return Ok((row.change == Change::Added).then_some(row));
        }
    }
    Ok(None)
}

/// A label as points keep it: each list of it has fewer than eight values.
fn pack(label: Label) -> [u8; 4] {
    let low = |bits: u16| bits.to_be_bytes()[1];
    [
        low(label.severity.bits()),
        low(label.depiction.bits()),
        low(label.state.bits()),
        u8::from(label.minor_certain),
    ]
}

/// What [`pack`] packed.
pub(super) fn unpack([severity, depiction, state, minor]: [u8; 4]) -> Option<Label> {
    Some(Label {
        severity: Set::from_bits(severity.into())?,
        depiction: Set::from_bits(depiction.into())?,
        state: Set::from_bits(state.into())?,
        minor_certain: minor != 0,
    })
}
