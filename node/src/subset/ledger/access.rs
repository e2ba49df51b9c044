//! Which member may see which kind, and since when.
//!
//! Each gain or loss is an event of the member's, counted from 1, with a place in the ledger: rows below its number were there
//! when it came, and are told as coming or going with it, by those who read by cursor when they meet the event, by those who
//! read windows in the seconds from the event's on. Those seconds follow from the row's number, a thousand numbers each, so
//! that a class of a million entries is no single second, and a window that was read stays as it was.

use std::collections::{BTreeMap, BTreeSet};

use redb::ReadableTable as _;

use super::row::KindId;
use super::tables::{ACCESS, ACKNOWLEDGED, AccessRow, EVENTS, SERVED};
use super::{LedgerError, ROWS_A_SECOND, Writing};

/// What a member may see of a kind, and how that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::subset) struct Granted {
    /// Whether it may now.
    pub(in crate::subset) allowed: bool,
    /// The event with which that began.
    pub(in crate::subset) event: u64,
    /// The second of that event.
    pub(in crate::subset) second: u64,
    /// The number that the next row had then.
    pub(in crate::subset) position: u64,
    /// The number that the next row had when it might for the first time.
    pub(in crate::subset) first: u64,
}

/// All that a member may see, or might once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::subset) struct Grants {
    /// Its events so far.
    pub(in crate::subset) event: u64,
    pub(in crate::subset) kinds: BTreeMap<KindId, Granted>,
}

impl Granted {
    /// The second in which a row is told with the event; the row's number is below the event's.
    pub(in crate::subset) fn second_of(&self, n: u64) -> u64 {
        self.second + n / ROWS_A_SECOND
    }

    /// The rows that are told with the event in `from <= second < to`: their numbers.
    pub(in crate::subset) fn numbers(&self, from: u64, to: u64) -> std::ops::Range<u64> {
        let number = |second: u64| {
            second
                .saturating_sub(self.second)
                .saturating_mul(ROWS_A_SECOND)
        };
        number(from).min(self.position)..number(to).min(self.position)
    }

    pub(super) fn from_row((allowed, event, second, position, first): AccessRow) -> Self {
        Self {
            allowed,
            event,
            second,
            position,
            first,
        }
    }
}

impl Grants {
    /// Whether the member may see a kind now.
    pub(in crate::subset) fn may(&self, kind: KindId) -> bool {
        self.kinds.get(&kind).is_some_and(|granted| granted.allowed)
    }

    /// Whether it might see it once, before the row with this number came.
    pub(in crate::subset) fn might(&self, kind: KindId, n: u64) -> bool {
        self.kinds
            .get(&kind)
            .is_some_and(|granted| granted.first <= n)
    }
}

impl Writing {
    /// Makes these kinds all that a member may see, with one event if that changes anything; says whether it does. Without
    /// `gains` nothing is added to what it may see.
    pub(in crate::subset) fn grant(
        &self,
        member: &str,
        allowed: &BTreeSet<KindId>,
        gains: bool,
    ) -> Result<bool, LedgerError> {
        let mut table = self.transaction.open_table(ACCESS)?;
        let mut known = BTreeMap::new();
        for row in table.range((member, 0)..=(member, KindId::MAX))? {
            let (key, value) = row?;
            known.insert(key.value().1, Granted::from_row(value.value()));
        }
        let is_new = |kind: &&KindId| !known.get(*kind).is_some_and(|granted| granted.allowed);
        let new = allowed.iter().filter(is_new).filter(|_| gains);
        let lost = known.iter().filter(|(_, granted)| granted.allowed);
        let lost = lost.filter(|(kind, _)| !allowed.contains(kind));
        let changed: Vec<(KindId, bool)> = new
            .map(|kind| (*kind, true))
            .chain(lost.map(|(kind, _)| (*kind, false)))
            .collect();
        if changed.is_empty() {
            return Ok(false);
        }
        let mut events = self.transaction.open_table(EVENTS)?;
        let event = events.get(member)?.map_or(0, |event| event.value()) + 1;
        events.insert(member, event)?;
        for (kind, allowed) in changed {
            let first = known.get(&kind).map_or(self.next, |granted| granted.first);
            let row = (allowed, event, self.floor, self.next, first);
            table.insert((member, kind), row)?;
        }
        Ok(true)
    }

    /// A member is given something that rests with it, for the first time perhaps.
    pub(in crate::subset) fn serve(&self, member: &str) -> Result<(), LedgerError> {
        let mut table = self.transaction.open_table(SERVED)?;
        if table.get(member)?.is_none() {
            table.insert(member, self.next)?;
        }
        Ok(())
    }

    /// A member has applied all below a number, and its events up to one; what it said before stays if it was more.
    pub(in crate::subset) fn acknowledge(
        &self,
        member: &str,
        (n, event, at): (u64, u64, u64),
    ) -> Result<(u64, u64, u64), LedgerError> {
        let mut table = self.transaction.open_table(ACKNOWLEDGED)?;
        let before = table.get(member)?.map(|row| row.value());
        let row = match before {
            Some(before) if (n, event) <= (before.0, before.1) => before,
            Some(_) | None => (n, event, at),
        };
        table.insert(member, row)?;
        Ok(row)
    }
}
