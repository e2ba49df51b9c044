//! One state of the ledger, to read from: what is written meanwhile is not in it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use hashpact_keys::Origin;
use hashpact_protocol::delta::Seq;
use hashpact_protocol::record::EntryId;
use redb::{ReadOnlyTable, ReadTransaction};

use super::access::{Granted, Grants};
use super::row::{KindId, OriginNumber, Row};
use super::tables::{
    ACCESS, ACKNOWLEDGED, BODIES, COUNTS, DAYS, ENTRIES, EVENTS, GONE, LIVE, REACHED, ROWS,
    SECONDS, SERVED, WAITING, meta,
};
use super::{LedgerError, META_NEXT, Names};

/// How far an origin is taken over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::subset) struct Reached {
    /// Deltas below were seen: they wait, or are published.
    pub(in crate::subset) seen: Seq,
    /// The retractions of deltas below are taken over.
    pub(in crate::subset) ended: Seq,
    /// What the log's witnessed deltas were when void rows were last looked for.
    pub(in crate::subset) sound: Seq,
}

/// One state of the ledger.
pub(in crate::subset) struct Reading {
    transaction: ReadTransaction,
    rows: ReadOnlyTable<u64, &'static [u8]>,
    /// The numbers and kinds that were given when it was opened, or later.
    pub(in crate::subset) names: Arc<Names>,
    /// The number of the next row.
    pub(in crate::subset) next: u64,
}

/// A row of the order of seconds.
#[derive(Clone, Copy, Debug)]
pub(in crate::subset) struct Timed {
    pub(in crate::subset) second: u64,
    pub(in crate::subset) n: u64,
    pub(in crate::subset) kind: KindId,
    /// Whether the row says more: it went, or was of another kind before.
    pub(in crate::subset) is_more: bool,
}

impl Reading {
    pub(super) fn new(
        transaction: ReadTransaction,
        names: Arc<Names>,
    ) -> Result<Self, LedgerError> {
        Ok(Self {
            rows: transaction.open_table(ROWS)?,
            next: meta(&transaction, META_NEXT)?,
            transaction,
            names,
        })
    }

    /// A row by its number; nothing if its entry has another one by now.
    pub(in crate::subset) fn row(&self, n: u64) -> Result<Option<Row>, LedgerError> {
        let bytes = self.rows.get(n)?;
        let row = bytes.map(|bytes| Row::from_bytes(bytes.value()).ok_or(LedgerError::Row));
        row.transpose()
    }

    /// The rows from a number on, in order.
    pub(in crate::subset) fn rows(
        &self,
        from: u64,
    ) -> Result<impl Iterator<Item = Result<(u64, Row), LedgerError>>, LedgerError> {
        let range = self.rows.range(from..)?;
        Ok(range.map(|item| {
            let (n, bytes) = item?;
            let row = Row::from_bytes(bytes.value()).ok_or(LedgerError::Row)?;
            Ok((n.value(), row))
        }))
    }

    /// The numbers of the live rows of a kind, in order.
    pub(in crate::subset) fn live(
        &self,
        kind: KindId,
        numbers: Range<u64>,
    ) -> Result<impl Iterator<Item = Result<u64, LedgerError>>, LedgerError> {
        let table = self.transaction.open_table(LIVE)?;
        let end = numbers.end.max(numbers.start);
        let range = table.range((kind, numbers.start)..(kind, end))?;
        Ok(range.map(|item| Ok(item?.0.value().1)))
    }

    /// The numbers of rows that are not live, in order.
    pub(in crate::subset) fn gone(
        &self,
        from: u64,
    ) -> Result<impl Iterator<Item = Result<u64, LedgerError>>, LedgerError> {
        let table = self.transaction.open_table(GONE)?;
        let range = table.range(from..)?;
        Ok(range.map(|item| Ok(item?.0.value())))
    }

    /// Rows by second and number, from a place on and below a second.
    pub(in crate::subset) fn seconds(
        &self,
        from: (u64, u64),
        to: u64,
    ) -> Result<impl Iterator<Item = Result<Timed, LedgerError>>, LedgerError> {
        let table = self.transaction.open_table(SECONDS)?;
        let range = table.range(from..(to, 0).max(from))?;
        Ok(range.map(|item| {
            let (key, said) = item?;
            let ((second, n), said) = (key.value(), said.value());
            let kind = KindId::try_from(said >> 1).map_err(|_| LedgerError::Row)?;
            let is_more = said & 1 == 1;
            Ok(Timed {
                second,
                n,
                kind,
                is_more,
            })
        }))
    }

    /// The row of an entry.
    pub(in crate::subset) fn entry(
        &self,
        origin: &Origin,
        entry: EntryId,
    ) -> Result<Option<Row>, LedgerError> {
        let Some(number) = self.names.number(origin) else {
            return Ok(None);
        };
        let table = self.transaction.open_table(ENTRIES)?;
        let n = table.get((number, entry.0))?.map(|n| n.value());
        n.map_or(Ok(None), |n| self.row(n))
    }

    /// Live rows of each kind.
    pub(in crate::subset) fn counts(&self) -> Result<BTreeMap<KindId, u64>, LedgerError> {
        let table = self.transaction.open_table(COUNTS)?;
        let rows = table.range::<KindId>(..)?.map(|row| {
            let (kind, count) = row?;
            Ok((kind.value(), count.value()))
        });
        rows.collect()
    }

    /// What a member may see, or might once.
    pub(in crate::subset) fn grants(&self, member: &str) -> Result<Grants, LedgerError> {
        let events = self.transaction.open_table(EVENTS)?;
        let event = events.get(member)?.map_or(0, |event| event.value());
        let table = self.transaction.open_table(ACCESS)?;
        let rows = table.range((member, 0)..=(member, KindId::MAX))?;
        let kinds = rows.map(|row| {
            let (key, value) = row?;
            Ok::<_, LedgerError>((key.value().1, Granted::from_row(value.value())))
        });
        let kinds = kinds.collect::<Result<_, _>>()?;
        Ok(Grants { event, kinds })
    }

    /// Everybody who might ever see anything.
    pub(in crate::subset) fn members(&self) -> Result<Vec<String>, LedgerError> {
        let events = self.transaction.open_table(EVENTS)?;
        let rows = events.range::<&str>(..)?;
        rows.map(|row| Ok(row?.0.value().to_owned())).collect()
    }

    /// Up to which number and event a member has acknowledged, and when.
    pub(in crate::subset) fn acknowledged(
        &self,
        member: &str,
    ) -> Result<Option<(u64, u64, u64)>, LedgerError> {
        let table = self.transaction.open_table(ACKNOWLEDGED)?;
        Ok(table.get(member)?.map(|row| row.value()))
    }

    /// The next number when a member was first given something; none if it never was.
    pub(in crate::subset) fn served(&self, member: &str) -> Result<Option<u64>, LedgerError> {
        let table = self.transaction.open_table(SERVED)?;
        Ok(table.get(member)?.map(|row| row.value()))
    }

    /// How far an origin is taken over.
    pub(in crate::subset) fn reached(&self, origin: &Origin) -> Result<Reached, LedgerError> {
        let table = self.transaction.open_table(REACHED)?;
        let Some(number) = self.names.number(origin) else {
            return Ok(Reached::default());
        };
        let row = table.get(number)?.map_or((0, 0, 0), |row| row.value());
        Ok(Reached {
            seen: Seq(row.0),
            ended: Seq(row.1),
            sound: Seq(row.2),
        })
    }

    /// The deltas of an origin that wait, each with when it was first seen.
    pub(in crate::subset) fn waiting(
        &self,
        number: OriginNumber,
    ) -> Result<Vec<(Seq, u64)>, LedgerError> {
        let table = self.transaction.open_table(WAITING)?;
        let rows = table.range((number, 0)..=(number, u64::MAX))?;
        rows.map(|row| {
            let (key, seen) = row?;
            Ok((Seq(key.value().1), seen.value()))
        })
        .collect()
    }

    /// The version of a body that the ledger follows.
    pub(in crate::subset) fn followed(
        &self,
        number: OriginNumber,
        seq: Seq,
    ) -> Result<u32, LedgerError> {
        let table = self.transaction.open_table(BODIES)?;
        Ok(table.get((number, seq.0))?.map_or(0, |row| row.value()))
    }

    /// Entries of an origin that were published on a day.
    pub(in crate::subset) fn spent(
        &self,
        number: OriginNumber,
        day: u64,
    ) -> Result<u64, LedgerError> {
        let table = self.transaction.open_table(DAYS)?;
        Ok(table.get((number, day))?.map_or(0, |row| row.value()))
    }
}
