//! The tables of the ledger. Spec: `docs/architecture.md`, storage.

use redb::{ReadTransaction, TableDefinition, TableError, WriteTransaction};

/// Format, ledger id, the next number, and the two lanes of seconds.
pub(super) const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
/// Origin line to number, from 1: a number is never given twice.
pub(super) const ORIGINS: TableDefinition<&str, u32> = TableDefinition::new("origins");
/// Origin, class and baseline to the number of the kind.
pub(super) const KINDS: TableDefinition<(u32, u16, u8), u32> = TableDefinition::new("kinds");
/// The rows by number: the latest of each entry.
pub(super) const ROWS: TableDefinition<u64, &[u8]> = TableDefinition::new("rows");
/// Origin and entry to the number of its row.
pub(super) const ENTRIES: TableDefinition<(u32, [u8; 16]), u64> = TableDefinition::new("entries");
/// Live rows by kind.
pub(super) const LIVE: TableDefinition<(u32, u64), ()> = TableDefinition::new("live");
/// Rows by second: the kind, and whether the row must be read to know more.
pub(super) const SECONDS: TableDefinition<(u64, u64), u64> = TableDefinition::new("seconds");
/// Rows that are not live.
pub(super) const GONE: TableDefinition<u64, ()> = TableDefinition::new("gone");
/// Live rows of each kind.
pub(super) const COUNTS: TableDefinition<u32, u64> = TableDefinition::new("counts");
/// Deltas that wait: origin and number to when they were first seen.
pub(super) const WAITING: TableDefinition<(u32, u64), u64> = TableDefinition::new("waiting");
/// Of bodies that were rewritten: the version that the ledger follows.
pub(super) const BODIES: TableDefinition<(u32, u64), u32> = TableDefinition::new("bodies");
/// Of each origin: deltas seen, deltas whose retractions are taken over, and deltas that are not void.
pub(super) const REACHED: TableDefinition<u32, (u64, u64, u64)> = TableDefinition::new("reached");
/// Entries published of an origin on a UTC day.
pub(super) const DAYS: TableDefinition<(u32, u64), u64> = TableDefinition::new("days");
/// Member and kind: may it have it, since which event, second and number, and since which number it ever might.
pub(super) const ACCESS: TableDefinition<(&str, u32), AccessRow> = TableDefinition::new("access");
/// Changes of access of each member, counted.
pub(super) const EVENTS: TableDefinition<&str, u64> = TableDefinition::new("events");
/// Up to which number and event a member has acknowledged, and when.
pub(super) const ACKNOWLEDGED: TableDefinition<&str, (u64, u64, u64)> =
    TableDefinition::new("acknowledged");
/// The next number when a member was first given something that rests with it.
pub(super) const SERVED: TableDefinition<&str, u64> = TableDefinition::new("served");

/// May it, event, second, number, first number.
pub(super) type AccessRow = (bool, u64, u64, u64, u64);

/// So that reading never meets a table that is not there.
pub(super) fn open_all(transaction: &WriteTransaction) -> Result<(), TableError> {
    transaction.open_table(META)?;
    transaction.open_table(ORIGINS)?;
    transaction.open_table(KINDS)?;
    transaction.open_table(ROWS)?;
    transaction.open_table(ENTRIES)?;
    transaction.open_table(LIVE)?;
    transaction.open_table(SECONDS)?;
    transaction.open_table(GONE)?;
    transaction.open_table(COUNTS)?;
    transaction.open_table(WAITING)?;
    transaction.open_table(BODIES)?;
    transaction.open_table(REACHED)?;
    transaction.open_table(DAYS)?;
    transaction.open_table(ACCESS)?;
    transaction.open_table(EVENTS)?;
    transaction.open_table(ACKNOWLEDGED)?;
    transaction.open_table(SERVED)?;
    Ok(())
}

/// A number of [`META`]; 0 if it was never set.
pub(super) fn meta(transaction: &ReadTransaction, name: &str) -> Result<u64, super::LedgerError> {
    let table = transaction.open_table(META)?;
    Ok(table.get(name)?.map_or(0, |value| value.value()))
}
