//! What of a list was evaluated before: what need not be asked again, and where a session that was cut goes on.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use hashpact_protocol::psi::{GroupId, SessionId};

use super::cache::{Cache, CacheError, Kept, Name};
use super::manifest::Logged;
use super::order::Order;
use super::question::Question;

/// What is known of the list before anything is asked.
pub(super) struct Known {
    pub(super) names: Arc<Vec<Name>>,
    pub(super) numbers: Arc<HashMap<Name, u32>>,
    groups: Vec<KnownGroup>,
}

struct KnownGroup {
    id: GroupId,
    kept: Kept,
    /// How each item is known.
    items: Vec<Knowing>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Knowing {
    /// Not evaluated in this epoch.
    Not,
    /// Evaluated, in a session that ended.
    Before,
    /// Evaluated in the session under way.
    UnderWay,
}

impl Known {
    /// Reads the cache for these groups. Blocks.
    pub(super) fn read(
        cache: &Cache,
        order: &Order,
        logged: &Logged,
        listed: &[GroupId],
        under_way: Option<SessionId>,
    ) -> Result<Self, CacheError> {
        let names: Vec<Name> = order
            .items
            .inputs()
            .map(|input| cache.name(input))
            .collect();
        let numbers = (0..).zip(&names).map(|(number, name)| (*name, number));
        let numbers: HashMap<Name, u32> = numbers.collect();
        let kind = order.items.kind().code().unwrap_or_default();
        let mut groups = Vec::with_capacity(listed.len());
        for id in listed.iter().copied() {
            let mut items = vec![Knowing::Not; names.len()];
            let space = logged.manifest.space(id, kind, order.mode);
            let mut each = |number: u32, session: &SessionId, _: &[u8; 32]| {
                if let Some(item) = items.get_mut(number as usize) {
                    *item = match under_way == Some(*session) {
                        true => Knowing::UnderWay,
                        false => Knowing::Before,
                    };
                }
            };
            let kept = cache.items(&space, &numbers, &mut each)?;
            groups.push(KnownGroup { id, kept, items });
        }
        Ok(Self {
            names: Arc::new(names),
            numbers: Arc::new(numbers),
            groups,
        })
    }

    /// Items that must be asked about for these groups; all, where it is not known which groups there will be. With a
    /// session under way, those that it asked about.
    pub(super) fn picks(&self, needed: Option<&[GroupId]>, is_under_way: bool) -> Vec<u32> {
        let count = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        let Some(needed) = needed else {
            return (0..count).collect();
        };
        let groups: Vec<_> = self
            .groups
            .iter()
            .filter(|group| needed.contains(&group.id))
            .collect();
        let asked = |item: &u32| {
            groups
                .iter()
                .any(|group| match group.items.get(*item as usize) {
                    Some(Knowing::Before) => false,
                    Some(Knowing::UnderWay) => is_under_way,
                    Some(Knowing::Not) | None => true,
                })
        };
        (0..count).filter(asked).collect()
    }

    /// Which groups each batch of a question has gone through.
    pub(super) fn through(&self, question: &Question, groups: &[GroupId]) -> Vec<AtomicU64> {
        let batches = 0..question.batches();
        let bits = batches.map(|batch| {
            let asked: Option<Vec<u32>> = question.asked(batch).collect();
            // A batch with random items is asked again: nothing is kept of those.
            let Some(picks) = asked else {
                return AtomicU64::new(0);
            };
            let places = groups.iter().enumerate();
            let bits = places.map(|(place, id)| {
                let group = self.groups.iter().find(|group| group.id == *id);
                let is_known = |item: &u32| {
                    let knowing = group.and_then(|group| group.items.get(*item as usize));
                    knowing.is_some_and(|knowing| *knowing != Knowing::Not)
                };
                u64::from(picks.iter().all(is_known)) << (place % 64)
            });
            AtomicU64::new(bits.sum())
        });
        bits.collect()
    }

    /// Whether an item is known in one of these groups.
    pub(super) fn knows_any(&self, groups: &[GroupId]) -> bool {
        let mut known = self
            .groups
            .iter()
            .filter(|group| groups.contains(&group.id));
        known.any(|group| group.items.iter().any(|item| *item != Knowing::Not))
    }

    /// Takes out where the evaluated items of a group are kept.
    pub(super) fn take_kept(&mut self, group: GroupId) -> Option<Kept> {
        let at = self.groups.iter().position(|known| known.id == group)?;
        Some(self.groups.swap_remove(at).kept)
    }
}
