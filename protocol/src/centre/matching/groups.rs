//! Which classes are matched together, under which number.
//!
//! A number stands for a set of classes and their row, for ever: keys and points are kept under it. So it is given before
//! anything is made under it, and durably.

use std::collections::{BTreeMap, BTreeSet};

use hashpact_keys::Timestamp;
use hashpact_keys::canonical::{Written, encode};
use hashpact_keys::reader::{Reader, ShapeError};

use super::super::commands::CommandError;
use super::super::{Centre, Event, Outcome, Output};
use super::{MatchGroup, MatchGroups};
use crate::Hash;
use crate::labels::ClassId;
use crate::limits;
use crate::lists::Set;
use crate::policy::EngineError;
use crate::psi::GroupId;
use crate::view::{Batch, Shelf, View, Write};

/// First byte of the keys of numbered groups on [`Shelf::Quota`].
const NUMBERED: u8 = b'G';

impl Centre {
    /// The match groups as policy has them now. One that was never numbered gets the number here that
    /// [`Command::MatchGroups`](super::super::Command::MatchGroups) would give it.
    ///
    /// # Errors
    /// [`EngineError`] if policy cannot be asked.
    pub fn match_groups(
        &self,
        now: Timestamp,
        view: &impl View,
    ) -> Result<MatchGroups, EngineError> {
        let (rows, until) = self.match_rows(now)?;
        let mut sets: BTreeMap<Hash, Vec<ClassId>> = BTreeMap::new();
        // Classes of one row have the same modes.
        let mut modes = BTreeMap::new();
        for row in rows {
            if let Some(hash) = row.row {
                sets.entry(hash).or_default().push(row.class);
                modes.insert(hash, row.modes);
            }
        }
        let known = numbered(view);
        let logged = self.newest_manifest(view);
        let logged = logged.iter().flat_map(|(_, newest)| &newest.groups);
        let used = used_ids(view).into_iter();
        let used = used.chain(logged.map(|group| group.group)).max();
        let mut next = used.map_or(0, |id| id.0.saturating_add(1));
        // New ones in the order of their classes.
        let mut sets: Vec<(Vec<ClassId>, Hash)> =
            sets.into_iter().map(|(hash, set)| (set, hash)).collect();
        sets.sort_unstable();
        // A client evaluates once for each group; what a policy divides further than that is left out.
        let left_out = sets.len().saturating_sub(limits::MATCH_GROUPS) as u64;
        sets.truncate(limits::MATCH_GROUPS);
        let mut groups = Vec::with_capacity(sets.len());
        for (classes, rows_hash) in sets {
            let mut same = known.iter().rev();
            let same = same.find(|it| it.classes == classes && it.rows_hash == rows_hash);
            let id = same.map_or_else(
                || {
                    next = next.saturating_add(1);
                    GroupId(next - 1)
                },
                |same| same.id,
            );
            groups.push(MatchGroup {
                id,
                classes,
                rows_hash,
                modes: modes.get(&rows_hash).copied().unwrap_or_else(Set::empty),
            });
        }
        groups.sort_unstable_by_key(|group| group.id);
        Ok(MatchGroups {
            groups,
            until,
            renew: self.asks_for_epoch(view),
            left_out,
        })
    }

    /// Gives every group its number, for ever.
    pub(in super::super) fn number_groups(
        &self,
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) -> Result<Outcome, CommandError> {
        let found = self.match_groups(now, view)?;
        let known: BTreeSet<GroupId> = numbered(view).iter().map(|group| group.id).collect();
        let new = found
            .groups
            .iter()
            .filter(|group| !known.contains(&group.id));
        let rows: Vec<Write> = new.map(keep).collect();
        if !rows.is_empty() {
            let mut batch = Batch::default();
            batch.extend(rows);
            out.push(Output::Commit(batch));
        }
        let sets = found.left_out;
        if sets > 0 {
            out.push(Output::Emit(Event::MatchGroupsLeftOut { sets }));
        }
        Ok(Outcome::MatchGroups(found))
    }
}

fn id_of(key: &[u8]) -> Option<GroupId> {
    let number = key.get(1..)?.try_into().ok()?;
    Some(GroupId(u32::from_be_bytes(number)))
}

/// Every number that was ever given, also where what it stands for is damaged: its keys may stand yet.
fn used_ids(view: &impl View) -> Vec<GroupId> {
    let rows = view.shelf(Shelf::Quota, &[NUMBERED]);
    rows.iter().filter_map(|(key, _)| id_of(key)).collect()
}

/// Every group that was ever numbered, by number.
pub(super) fn numbered(view: &impl View) -> Vec<MatchGroup> {
    let rows = view.shelf(Shelf::Quota, &[NUMBERED]);
    let groups = rows.iter().filter_map(|(key, value)| {
        let id = id_of(key)?;
        let (classes, rows_hash) = read(&mut Reader::new(value).ok()?).ok()?;
        Some(MatchGroup {
            id,
            classes,
            rows_hash,
            // Policy says, when it is asked.
            modes: Set::empty(),
        })
    });
    groups.collect()
}

/// `[classes, row]`.
fn keep(group: &MatchGroup) -> Write {
    let mut key = vec![NUMBERED];
    key.extend(group.id.0.to_be_bytes());
    let value = encode(|e| {
        e.array(2)?.array(group.classes.len() as u64)?;
        let mut classes = group.classes.iter();
        classes.try_for_each(|class| -> Written { e.u16(class.0)?.ok() })?;
        e.bytes(&group.rows_hash)?.ok()
    });
    Write::Keep {
        shelf: Shelf::Quota,
        key,
        value: Some(value),
    }
}

fn read(reader: &mut Reader<'_>) -> Result<(Vec<ClassId>, Hash), ShapeError> {
    reader.array(2)?;
    let count = reader.list(usize::from(u16::MAX))?;
    let classes = (0..count).map(|_| reader.u16().map(ClassId));
    let classes = classes.collect::<Result<_, _>>()?;
    Ok((classes, *reader.fixed()?))
}
