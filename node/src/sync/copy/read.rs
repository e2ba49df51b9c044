//! What of a copy is live, read back from its packs and checked against what was verified.

use std::collections::BTreeMap;

use hashpact_keys::Origin;
use hashpact_protocol::delta::{ClassSection, Seq};
use hashpact_protocol::labels::{ClassId, Labels};
use hashpact_protocol::record::Record;
use redb::{ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata as _};

use super::tables::{CLASSES, DISPUTED, ENTRIES, FLAGGED, ORIGINS, PACKS, PackRow};
use super::{Copy, CopyError};

/// One live record. No derived Debug: it holds fingerprints.
pub(in crate::sync) struct Live<'a> {
    pub(in crate::sync) origin: &'a Origin,
    /// The delta that it came in.
    pub(in crate::sync) seq: Seq,
    pub(in crate::sync) class: ClassId,
    pub(in crate::sync) labels: &'a Labels,
    pub(in crate::sync) record: &'a Record,
    pub(in crate::sync) disputed: bool,
    pub(in crate::sync) flagged: bool,
}

impl Copy {
    /// Calls `each` with every live record, pack by pack. Reads one pack at a time.
    pub(in crate::sync) fn each_live<E: From<CopyError>>(
        &self,
        each: &mut impl FnMut(&Live<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let transaction = self.database.begin_read().map_err(CopyError::from)?;
        let origins = origins(&transaction)?;
        let classes = classes(&transaction)?;
        let packs = transaction.open_table(PACKS).map_err(CopyError::from)?;
        let mut seen = 0;
        for row in packs.iter().map_err(CopyError::from)? {
            let (number, row) = row.map_err(CopyError::from)?;
            let row = PackRow::read(row.value())?;
            let read = PackOf {
                transaction: &transaction,
                number: number.value(),
                origin: origin(&origins, row.origin)?,
                labels: classes
                    .get(&(row.origin, row.class.0))
                    .ok_or(CopyError::Row { table: "classes" })?,
                row: &row,
            };
            seen += read.each(&self.packs.read(&row)?, each)?;
        }
        let entries = transaction.open_table(ENTRIES).map_err(CopyError::from)?;
        match entries.len().map_err(CopyError::from)? == seen {
            true => Ok(()),
            false => Err(CopyError::Row { table: "entries" }.into()),
        }
    }
}

/// A pack on the way out.
struct PackOf<'a> {
    transaction: &'a ReadTransaction,
    number: u64,
    origin: &'a Origin,
    labels: &'a Labels,
    row: &'a PackRow,
}

impl PackOf<'_> {
    /// How many of its records are live: all that are in it.
    fn each<E: From<CopyError>>(
        &self,
        section: &[u8],
        each: &mut impl FnMut(&Live<'_>) -> Result<(), E>,
    ) -> Result<u64, E> {
        let file = self.row.file;
        let damaged = || CopyError::Pack { file };
        let entries = self.transaction.open_table(ENTRIES);
        let entries = entries.map_err(CopyError::from)?;
        let section = ClassSection::read(section).map_err(CopyError::from)?;
        let mut seen = 0;
        for (entry, bytes) in section.entries().map_err(CopyError::from)? {
            let row = entries.get((self.row.origin, entry.0));
            let row = row.map_err(CopyError::from)?.map(|row| row.value());
            let (revision, pack, marks) = row.ok_or_else(damaged)?;
            let record = Record::from_bytes(bytes).map_err(|_| damaged())?;
            if pack != self.number || record.revision.0 != revision {
                return Err(damaged().into());
            }
            seen += 1;
            each(&Live {
                origin: self.origin,
                seq: self.row.seq,
                class: self.row.class,
                labels: self.labels,
                record: &record,
                disputed: marks & DISPUTED != 0,
                flagged: marks & FLAGGED != 0,
            })?;
        }
        Ok(seen)
    }
}

/// The origins by their numbers.
pub(super) fn origins(transaction: &ReadTransaction) -> Result<BTreeMap<u16, Origin>, CopyError> {
    let mut origins = BTreeMap::new();
    for row in transaction.open_table(ORIGINS)?.iter()? {
        let (line, number) = row?;
        let origin = line.value().parse();
        let origin = origin.map_err(|_| CopyError::Row { table: "origins" })?;
        origins.insert(number.value(), origin);
    }
    Ok(origins)
}

pub(super) fn origin(origins: &BTreeMap<u16, Origin>, number: u16) -> Result<&Origin, CopyError> {
    let origin = origins.get(&number);
    origin.ok_or(CopyError::Row { table: "origins" })
}

fn classes(transaction: &ReadTransaction) -> Result<BTreeMap<(u16, u16), Labels>, CopyError> {
    let mut classes = BTreeMap::new();
    for row in transaction.open_table(CLASSES)?.iter()? {
        let (key, labels) = row?;
        let labels = Labels::from_bytes(labels.value());
        let labels = labels.map_err(|_| CopyError::Row { table: "classes" })?;
        classes.insert(key.value(), labels);
    }
    Ok(classes)
}
