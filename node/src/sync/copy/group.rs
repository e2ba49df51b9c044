//! A group of changes: what stands between two places at which a stream can be resumed. It counts whole or not at all.
//!
//! Order: the new file, fsynced under its name; files from which something is cut, written anew; then the transaction, which
//! is the commit and holds the cursor; then what was replaced is overwritten.

use std::collections::{BTreeMap, BTreeSet};

use hashpact_keys::Origin;
use hashpact_protocol::delta::{Retraction, Seq, TablePath};
use hashpact_protocol::labels::{ClassId, Labels};
use hashpact_protocol::record::{EntryId, Revision};
use redb::{ReadableTable, ReadableTableMetadata as _, WriteTransaction};

use super::files::PackWriter;
use super::rewrite::cut;
use super::tables::{
    CLASSES, COUNTS, DELTAS, DISPUTED, ENTRIES, FILES, FLAGGED, FORMAT, META, META_CURSOR,
    META_FORMAT, META_GENERATION, META_LEDGER, META_WHOLE, ORIGINS, PACKS, PackRow, RETRACTED,
    open_all,
};
use super::{Copy, CopyError};
use crate::sync::item::{Cursor, Mark};

/// Bytes of a file of packs, and what its last one has beyond: what is written anew when a single record goes.
const FILE_BYTES: u64 = 8 << 20;

/// What a group, or many of them, changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::sync) struct Tally {
    /// Entries that are new here.
    pub(in crate::sync) added: u64,
    /// Entries of which a later revision came.
    pub(in crate::sync) revised: u64,
    /// Entries that their origin retracted.
    pub(in crate::sync) retracted: u64,
    /// Entries that the serving centre withdrew.
    pub(in crate::sync) withdrawn: u64,
    /// Entries whose marks changed.
    pub(in crate::sync) marked: u64,
    /// Records that their origin had retracted before they came: they are not taken.
    pub(in crate::sync) refused: u64,
}

impl Tally {
    pub(in crate::sync) fn add(&mut self, other: &Self) {
        self.added += other.added;
        self.revised += other.revised;
        self.retracted += other.retracted;
        self.withdrawn += other.withdrawn;
        self.marked += other.marked;
        self.refused += other.refused;
    }

    /// Entries that no longer match, or match under another revision.
    pub(in crate::sync) fn gone(&self) -> u64 {
        self.revised + self.retracted + self.withdrawn
    }

    /// Entries that came or went.
    pub(in crate::sync) fn changes(&self) -> u64 {
        self.added + self.gone()
    }

    /// Whether an index of what was live before is of no use.
    pub(in crate::sync) fn is_change(&self) -> bool {
        self.added + self.gone() + self.marked > 0
    }
}

/// Changes in the making. Dropped, it leaves nothing.
pub(in crate::sync) struct Group<'a> {
    pub(super) copy: &'a Copy,
    pub(super) transaction: WriteTransaction,
    file: Option<PackWriter>,
    next_pack: u64,
    pub(super) next_file: u64,
    /// What is to be cut out, by pack.
    pub(super) gone: BTreeMap<u64, BTreeSet<EntryId>>,
    /// Live entries more or less, by class.
    counts: BTreeMap<(u16, u16), i64>,
    tally: Tally,
    /// Bytes of all packs, and how many there may be.
    bytes: u64,
    bytes_max: u64,
}

impl Copy {
    /// Begins a group; the packs of the copy may have `bytes_max` bytes.
    pub(in crate::sync) fn group(&self, bytes_max: u64) -> Result<Group<'_>, CopyError> {
        let transaction = self.begin()?;
        let mut bytes = 0;
        for row in transaction.open_table(FILES)?.iter()? {
            bytes += row?.1.value();
        }
        let next_pack = after(
            transaction
                .open_table(PACKS)?
                .last()?
                .map(|row| row.0.value()),
        );
        let next_file = after(
            transaction
                .open_table(FILES)?
                .last()?
                .map(|row| row.0.value()),
        );
        Ok(Group {
            copy: self,
            transaction,
            file: None,
            next_pack,
            next_file,
            gone: BTreeMap::new(),
            counts: BTreeMap::new(),
            tally: Tally::default(),
            bytes,
            bytes_max,
        })
    }
}

fn after(last: Option<u64>) -> u64 {
    last.map_or(0, |last| last + 1)
}

impl Group<'_> {
    /// What it changed so far.
    pub(in crate::sync) fn tally(&self) -> Tally {
        self.tally
    }

    /// Bytes of all packs, those of the group with them.
    pub(in crate::sync) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The header of a delta as it is held, with its leaf's index.
    pub(in crate::sync) fn header(
        &self,
        origin: &Origin,
        seq: Seq,
    ) -> Result<Option<(u64, Vec<u8>)>, CopyError> {
        let number = self.origin(origin)?;
        let deltas = self.transaction.open_table(DELTAS)?;
        let row = deltas.get((number, seq.0))?;
        Ok(row.map(|row| {
            let (index, header) = row.value();
            (index, header.to_vec())
        }))
    }

    /// The labels of a class.
    pub(in crate::sync) fn labels(
        &self,
        origin: &Origin,
        class: ClassId,
    ) -> Result<Option<Labels>, CopyError> {
        let number = self.origin(origin)?;
        let classes = self.transaction.open_table(CLASSES)?;
        let row = classes.get((number, class.0))?;
        let labels = row.map(|row| Labels::from_bytes(row.value())).transpose();
        labels.map_err(|_| CopyError::Row { table: "classes" })
    }

    /// Keeps a verified header. One of the same number that says something else is the proof of a fork.
    pub(in crate::sync) fn put_delta(
        &self,
        origin: &Origin,
        seq: Seq,
        (index, header): (u64, &[u8]),
    ) -> Result<(), CopyError> {
        if let Some((_, held)) = self.header(origin, seq)? {
            return match held == header {
                true => Ok(()),
                false => Err(CopyError::Fork {
                    origin: origin.clone(),
                    seq,
                    held,
                    other: header.to_vec(),
                }),
            };
        }
        let number = self.origin(origin)?;
        let mut deltas = self.transaction.open_table(DELTAS)?;
        deltas.insert((number, seq.0), (index, header))?;
        Ok(())
    }

    /// Keeps what a class is. It is written once.
    pub(in crate::sync) fn put_class(
        &self,
        origin: &Origin,
        class: ClassId,
        labels: &Labels,
    ) -> Result<(), CopyError> {
        match self.labels(origin, class)? {
            Some(held) if held == *labels => return Ok(()),
            Some(_) => {
                let origin = origin.clone();
                return Err(CopyError::Redefined { origin, class });
            }
            None => {}
        }
        let number = self.origin(origin)?;
        let mut classes = self.transaction.open_table(CLASSES)?;
        classes.insert((number, class.0), labels.to_bytes().as_slice())?;
        Ok(())
    }

    /// Takes the records of a verified section that are new here; of the others nothing is kept.
    pub(in crate::sync) fn put_pack(
        &mut self,
        (origin, seq, class): (&Origin, Seq, ClassId),
        path: &TablePath,
        section: &[u8],
        records: &[(EntryId, Revision)],
    ) -> Result<(), CopyError> {
        let number = self.origin(origin)?;
        let (fresh, surplus) = self.sorted_out(number, records)?;
        if fresh.is_empty() {
            return Ok(());
        }
        let section =
            cut(section, origin, seq, &surplus)?.ok_or(CopyError::Row { table: "packs" })?;
        let max = self.bytes_max;
        self.bytes += section.len() as u64;
        if self.bytes > max {
            let what = "bytes of packs; give a higher --max-gib, if the list is this large";
            return Err(CopyError::TooMany { what, max });
        }
        let row = self.append(&section)?;
        let row = PackRow {
            origin: number,
            seq,
            class,
            path: path.steps().flatten().collect(),
            ..row
        };
        let pack = self.next_pack;
        self.next_pack += 1;
        let mut packs = self.transaction.open_table(PACKS)?;
        packs.insert(pack, row.to_bytes().as_slice())?;
        drop(packs);
        for (entry, _, held) in &fresh {
            match held {
                Some(held) => {
                    self.leaves(*held, *entry)?;
                    self.tally.revised += 1;
                }
                None => self.tally.added += 1,
            }
        }
        let mut entries = self.transaction.open_table(ENTRIES)?;
        for (entry, revision, _) in &fresh {
            entries.insert((number, entry.0), (revision.0, pack, 0))?;
        }
        let live = self.counts.entry((number, class.0)).or_default();
        *live += i64::try_from(fresh.len()).unwrap_or(i64::MAX);
        Ok(())
    }

    /// The records that are new, each with the pack that holds an earlier revision; and the entries that are not taken.
    fn sorted_out(
        &mut self,
        origin: u16,
        records: &[(EntryId, Revision)],
    ) -> Result<SortedOut, CopyError> {
        let entries = self.transaction.open_table(ENTRIES)?;
        let retracted = self.transaction.open_table(RETRACTED)?;
        let (mut fresh, mut surplus) = (Vec::new(), BTreeSet::new());
        for (entry, revision) in records {
            let key = (origin, entry.0);
            let ended = retracted.get(key)?.map(|row| row.value());
            if ended.is_some_and(|ended| ended >= revision.0) {
                self.tally.refused += 1;
                surplus.insert(*entry);
                continue;
            }
            match entries.get(key)?.map(|row| row.value()) {
                Some((held, _, _)) if held >= revision.0 => {
                    surplus.insert(*entry);
                }
                Some((_, pack, _)) => fresh.push((*entry, *revision, Some(pack))),
                None => fresh.push((*entry, *revision, None)),
            }
        }
        Ok((fresh, surplus))
    }

    /// Applies what an origin retracted: verified, all of a delta's.
    pub(in crate::sync) fn retract(
        &mut self,
        origin: &Origin,
        list: &[Retraction],
    ) -> Result<(), CopyError> {
        let number = self.origin(origin)?;
        for Retraction { entry, revision } in list {
            {
                let mut retracted = self.transaction.open_table(RETRACTED)?;
                let key = (number, entry.0);
                let held = retracted.get(key)?.map(|row| row.value());
                if held.is_none_or(|held| held < revision.0) {
                    retracted.insert(key, revision.0)?;
                }
            }
            if self.end(number, *entry, *revision)? {
                self.tally.retracted += 1;
            }
        }
        Ok(())
    }

    /// Applies what the serving centre withdrew.
    pub(in crate::sync) fn withdraw(
        &mut self,
        entries: &[(Origin, EntryId, Revision)],
    ) -> Result<(), CopyError> {
        for (origin, entry, revision) in entries {
            let number = self.origin(origin)?;
            if self.end(number, *entry, *revision)? {
                self.tally.withdrawn += 1;
            }
        }
        Ok(())
    }

    /// Marks a live entry as the serving centre says.
    pub(in crate::sync) fn mark(&mut self, mark: &Mark) -> Result<(), CopyError> {
        let number = self.origin(&mark.origin)?;
        let mut entries = self.transaction.open_table(ENTRIES)?;
        let key = (number, mark.entry.0);
        let held = entries.get(key)?.map(|row| row.value());
        let flag = |set: bool, bit| if set { bit } else { 0 };
        let marks = flag(mark.disputed, DISPUTED) | flag(mark.flagged, FLAGGED);
        if let Some((revision, pack, before)) = held
            && revision == mark.revision.0
            && before != marks
        {
            entries.insert(key, (revision, pack, marks))?;
            self.tally.marked += 1;
        }
        Ok(())
    }

    /// Takes an entry away if it is live up to this revision.
    fn end(&mut self, origin: u16, entry: EntryId, revision: Revision) -> Result<bool, CopyError> {
        let pack = {
            let mut entries = self.transaction.open_table(ENTRIES)?;
            let key = (origin, entry.0);
            let held = entries.get(key)?.map(|row| row.value());
            let Some((_, pack, _)) = held.filter(|(held, _, _)| *held <= revision.0) else {
                return Ok(false);
            };
            entries.remove(key)?;
            pack
        };
        self.leaves(pack, entry)?;
        Ok(true)
    }

    /// Takes note that an entry is to be cut out of a pack.
    fn leaves(&mut self, pack: u64, entry: EntryId) -> Result<(), CopyError> {
        let row = self.pack(pack)?;
        *self.counts.entry((row.origin, row.class.0)).or_default() -= 1;
        self.gone.entry(pack).or_default().insert(entry);
        Ok(())
    }

    /// Remembers what was retracted before there was this copy.
    pub(super) fn remember(
        &self,
        retracted: &[(Origin, EntryId, Revision)],
    ) -> Result<(), CopyError> {
        for (origin, entry, revision) in retracted {
            let key = (self.origin(origin)?, entry.0);
            self.transaction
                .open_table(RETRACTED)?
                .insert(key, revision.0)?;
        }
        Ok(())
    }

    /// Makes an empty copy of a ledger durable.
    pub(super) fn begin(self, ledger: &[u8; 8]) -> Result<(), CopyError> {
        open_all(&self.transaction)?;
        {
            let mut meta = self.transaction.open_table(META)?;
            meta.insert(META_FORMAT, FORMAT)?;
            meta.insert(META_LEDGER, &ledger[..])?;
        }
        self.copy.commit(self.transaction)
    }

    /// Makes all of it durable, the cursor with it: what the stream says next follows this. Without a cursor the stream is
    /// read again from where it was.
    pub(in crate::sync) fn commit(
        mut self,
        cursor: Option<&Cursor>,
        is_whole: bool,
    ) -> Result<Tally, CopyError> {
        self.close_file()?;
        let replaced = self.rewrite()?;
        // The names of all files, before anything says that they count.
        self.copy.packs.settle()?;
        {
            let mut counts = self.transaction.open_table(COUNTS)?;
            for (key, change) in &self.counts {
                let held = counts.get(key)?.map_or(0, |row| row.value());
                let damaged = CopyError::Row { table: "counts" };
                match held.checked_add_signed(*change).ok_or(damaged)? {
                    0 => drop(counts.remove(key)?),
                    count => drop(counts.insert(key, count)?),
                }
            }
            let mut meta = self.transaction.open_table(META)?;
            if let Some(cursor) = cursor {
                meta.insert(META_CURSOR, cursor.as_str().as_bytes())?;
            }
            if is_whole {
                meta.insert(META_WHOLE, &[1][..])?;
            }
            if self.tally.is_change() {
                let held = meta.get(META_GENERATION)?.map(|row| row.value().try_into());
                let held = held.transpose();
                let held = held.map_err(|_| CopyError::Row { table: "meta" })?;
                let next = held.map_or(0, u64::from_be_bytes) + 1;
                meta.insert(META_GENERATION, &next.to_be_bytes()[..])?;
            }
        }
        let Self {
            copy,
            transaction,
            tally,
            ..
        } = self;
        copy.commit(transaction)?;
        for file in replaced {
            copy.packs.destroy(file)?;
        }
        copy.packs.settle()?;
        Ok(tally)
    }

    /// Appends a section to the file in the making: its place, with everything else empty.
    pub(super) fn append(&mut self, section: &[u8]) -> Result<PackRow, CopyError> {
        if self
            .file
            .as_ref()
            .is_some_and(|file| file.len() >= FILE_BYTES)
        {
            self.close_file()?;
        }
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let file = self.copy.packs.create(self.next_file)?;
                self.next_file += 1;
                self.file.insert(file)
            }
        };
        let offset = file.append(section)?;
        Ok(PackRow {
            origin: 0,
            seq: Seq(0),
            class: ClassId(0),
            file: file.number(),
            offset,
            len: section.len() as u64,
            hash: *blake3::hash(section).as_bytes(),
            path: Vec::new(),
        })
    }

    /// Gives the file in the making its name, and names it in the transaction.
    pub(super) fn close_file(&mut self) -> Result<(), CopyError> {
        if let Some(file) = self.file.take() {
            let (number, len) = self.copy.packs.finish(file)?;
            self.transaction.open_table(FILES)?.insert(number, len)?;
        }
        Ok(())
    }

    fn pack(&self, pack: u64) -> Result<PackRow, CopyError> {
        let packs = self.transaction.open_table(PACKS)?;
        let row = packs.get(pack)?;
        let row = row.ok_or(CopyError::Row { table: "entries" })?;
        PackRow::read(row.value())
    }

    /// The number that stands for an origin here.
    fn origin(&self, origin: &Origin) -> Result<u16, CopyError> {
        let mut origins = self.transaction.open_table(ORIGINS)?;
        if let Some(number) = origins.get(origin.as_str())? {
            return Ok(number.value());
        }
        let max = u64::from(u16::MAX);
        let what = "logs";
        let next = u16::try_from(origins.len()?);
        let next = next.map_err(|_| CopyError::TooMany { what, max })?;
        origins.insert(origin.as_str(), next)?;
        Ok(next)
    }
}

/// New records with the pack of an earlier revision, and entries that are not taken.
type SortedOut = (Vec<(EntryId, Revision, Option<u64>)>, BTreeSet<EntryId>);
