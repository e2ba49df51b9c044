//! What goes from a copy is cut out of its section, as centres purge, and its file written anew.

use std::collections::BTreeSet;

use hashpact_keys::Origin;
use hashpact_protocol::delta::{ClassSection, Seq};
use hashpact_protocol::record::EntryId;
use redb::ReadableTable;

use super::CopyError;
use super::group::Group;
use super::tables::{FILES, ORIGINS, PACKS, PackRow};

impl Group<'_> {
    /// Writes each file anew from which something goes; the files that are replaced.
    pub(super) fn rewrite(&mut self) -> Result<BTreeSet<u64>, CopyError> {
        let gone = std::mem::take(&mut self.gone);
        let mut replaced = BTreeSet::new();
        let first = self.next_file;
        for pack in gone.keys() {
            let file = match self.transaction.open_table(PACKS)?.get(pack)? {
                Some(row) => PackRow::read(row.value())?.file,
                None => continue,
            };
            // All that goes from a file went when the first of its packs was met.
            if file >= first {
                continue;
            }
            let packs = self.packs_of(*pack, file)?;
            for (number, row) in packs {
                self.rewrite_pack(number, row, gone.get(&number))?;
            }
            self.transaction.open_table(FILES)?.remove(file)?;
            self.close_file()?;
            replaced.insert(file);
        }
        Ok(replaced)
    }

    fn rewrite_pack(
        &mut self,
        number: u64,
        row: PackRow,
        gone: Option<&BTreeSet<EntryId>>,
    ) -> Result<(), CopyError> {
        let mut section = Some(self.copy.packs.read(&row)?);
        if let (Some(gone), Some(bytes)) = (gone, &section) {
            let origin = self.line(row.origin)?;
            section = cut(bytes, &origin, row.seq, gone)?;
        }
        let Some(section) = section else {
            self.transaction.open_table(PACKS)?.remove(number)?;
            return Ok(());
        };
        let place = self.append(&section)?;
        let row = PackRow {
            origin: row.origin,
            seq: row.seq,
            class: row.class,
            path: row.path,
            ..place
        };
        let mut packs = self.transaction.open_table(PACKS)?;
        packs.insert(number, row.to_bytes().as_slice())?;
        Ok(())
    }

    /// The packs of a file in order. They were numbered one after the other, and stay together.
    fn packs_of(&self, pack: u64, file: u64) -> Result<Vec<(u64, PackRow)>, CopyError> {
        let table = self.transaction.open_table(PACKS)?;
        let mut packs = Vec::new();
        for row in table.range(..pack)?.rev() {
            let (number, row) = row?;
            let row = PackRow::read(row.value())?;
            if row.file != file {
                break;
            }
            packs.push((number.value(), row));
        }
        packs.reverse();
        for row in table.range(pack..)? {
            let (number, row) = row?;
            let row = PackRow::read(row.value())?;
            if row.file != file {
                break;
            }
            packs.push((number.value(), row));
        }
        Ok(packs)
    }

    fn line(&self, number: u16) -> Result<Origin, CopyError> {
        let damaged = || CopyError::Row { table: "origins" };
        let origins = self.transaction.open_table(ORIGINS)?;
        for row in origins.iter()? {
            let (line, held) = row?;
            if held.value() == number {
                return line.value().parse().map_err(|_| damaged());
            }
        }
        Err(damaged())
    }
}

/// The section without the records of these entries; nothing if none is left.
pub(super) fn cut(
    section: &[u8],
    origin: &Origin,
    seq: Seq,
    gone: &BTreeSet<EntryId>,
) -> Result<Option<Vec<u8>>, CopyError> {
    let read = ClassSection::read(section)?;
    let Some(punctured) = read.punctured(origin, seq, gone)? else {
        return Ok(Some(section.to_vec()));
    };
    let is_withheld = ClassSection::read(&punctured)?.is_withheld();
    Ok((!is_withheld).then_some(punctured))
}
