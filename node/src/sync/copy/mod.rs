//! One copy of a subset on the disk: verified packs, and what says which of their records are live.
//!
//! ```text
//! copy-<n>/
//!   control.redb   what is in force: ids, places, headers, the cursor; no fingerprint
//!   packs/<n>      sections as their origins signed them, one after the other; a file is never appended to once it has its name
//! ```
//!
//! Why: what was verified once is kept as it was signed, and one transaction says what counts. A file counts exactly if the
//! database names it, so a crash leaves files that nothing names: they are overwritten and removed when the copy is opened.
//! What is taken away is cut out of its section as centres do it (`delta::section`): the file is written anew without it,
//! named by the transaction, and the old one overwritten. In scope: one ledger's copy. Out of scope: which copy is in force
//! (`folder`), where packs come from (`pass`).

mod files;
mod group;
mod read;
mod rewrite;
mod tables;

use std::io;
use std::path::{Path, PathBuf};

use hashpact_keys::Origin;
use hashpact_protocol::delta::{SectionError, Seq};
use hashpact_protocol::labels::ClassId;
use hashpact_protocol::record::{EntryId, Revision};
use redb::{
    Builder, Database, Durability, ReadableDatabase, ReadableTable, ReadableTableMetadata as _,
    WriteTransaction,
};

use super::item::Cursor;
use crate::store::durable::{Steps, create_dirs};
use files::Packs;
pub(super) use files::overwrite;
pub(super) use group::{Group, Tally};
pub(super) use read::Live;
use tables::{
    COUNTS, ENTRIES, FILES, FORMAT, META, META_ACKNOWLEDGED, META_CURSOR, META_FORMAT,
    META_GENERATION, META_LEDGER, META_WHOLE, RETRACTED,
};

/// Memory for the pages of the database.
const CACHE_BYTES: usize = 64 << 20;

/// A copy of one ledger.
pub(super) struct Copy {
    database: Database,
    packs: Packs,
    steps: Steps,
}

/// Why a copy cannot be used or a change is not made.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The database.
    #[error("the copy's database")]
    Database(#[source] Box<redb::Error>),
    /// Written by another version.
    #[error("the copy was written by another version: remove it, and sync again")]
    Format,
    /// A row is not what was written.
    #[error("the copy's database: a row of table {table} is damaged")]
    Row {
        /// Which table.
        table: &'static str,
    },
    /// A section is not what was written.
    #[error("pack file {file} is damaged: remove the folder, and sync again")]
    Pack {
        /// The file's number.
        file: u64,
    },
    /// A section cannot be cut.
    #[error(transparent)]
    Section(#[from] SectionError),
    /// Two headers of one number: a fork.
    #[error(
        "{origin} signed two deltas of number {seq}: both are kept, they are the proof of a fork"
    )]
    Fork {
        /// The log.
        origin: Origin,
        /// The number.
        seq: Seq,
        /// The header that was held.
        held: Vec<u8>,
        /// The other one.
        other: Vec<u8>,
    },
    /// A class that changed its labels.
    #[error("{origin} defines class {class} a second time, and otherwise")]
    Redefined {
        /// The log.
        origin: Origin,
        /// The class.
        class: ClassId,
    },
    /// More than a copy may hold.
    #[error("more than {max} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The bound.
        max: u64,
    },
    /// The disk.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// The fault.
        source: io::Error,
    },
}

macro_rules! from_redb {
    ($($error:ident),+) => {
        $(impl From<redb::$error> for CopyError {
            fn from(error: redb::$error) -> Self {
                Self::Database(Box::new(error.into()))
            }
        })+
    };
}

from_redb!(
    DatabaseError,
    TransactionError,
    TableError,
    StorageError,
    CommitError,
    SetDurabilityError
);

/// Where a copy stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Position {
    /// The serving centre's ledger.
    pub(super) ledger: [u8; 8],
    /// Where the stream goes on; nothing before the first answer.
    pub(super) cursor: Option<Cursor>,
    /// Whether the snapshot is whole.
    pub(super) whole: bool,
    /// Counts the commits that changed what is live.
    pub(super) generation: u64,
    /// What the serving centre was told last.
    pub(super) acknowledged: Option<Cursor>,
}

impl Copy {
    /// Makes a copy of `ledger` in a folder that is not there yet; what was retracted before does not come back in it.
    pub(super) fn create(
        folder: &Path,
        ledger: [u8; 8],
        retracted: &[(Origin, EntryId, Revision)],
        steps: &Steps,
    ) -> Result<Self, CopyError> {
        let io = |source| CopyError::Io {
            path: folder.to_owned(),
            source,
        };
        create_dirs(folder, steps).map_err(io)?;
        let copy = Self::at(folder, steps)?;
        let group = copy.group(0)?;
        group.remember(retracted)?;
        group.begin(&ledger)?;
        Ok(copy)
    }

    /// Opens a copy, and removes what a crash left beside it.
    pub(super) fn open(folder: &Path, steps: &Steps) -> Result<Self, CopyError> {
        let copy = Self::at(folder, steps)?;
        let named = {
            let transaction = copy.database.begin_read()?;
            // Without tables it was never begun.
            let meta = transaction
                .open_table(META)
                .map_err(|_| CopyError::Format)?;
            let format = meta.get(META_FORMAT)?;
            if format.is_none_or(|format| format.value() != FORMAT) {
                return Err(CopyError::Format);
            }
            let files = transaction.open_table(FILES)?;
            let rows = files.iter()?.map(|row| Ok(row?.0.value()));
            rows.collect::<Result<_, CopyError>>()?
        };
        copy.packs.sweep(&named)?;
        Ok(copy)
    }

    fn at(folder: &Path, steps: &Steps) -> Result<Self, CopyError> {
        let packs = Packs::open(&folder.join("packs"), steps)?;
        let path = folder.join("control.redb");
        let database = Builder::new().set_cache_size(CACHE_BYTES).create(path)?;
        Ok(Self {
            database,
            packs,
            steps: steps.clone(),
        })
    }

    fn begin(&self) -> Result<WriteTransaction, CopyError> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_two_phase_commit(true);
        transaction.set_durability(Durability::Immediate)?;
        Ok(transaction)
    }

    fn commit(&self, transaction: WriteTransaction) -> Result<(), CopyError> {
        // Dropped instead, the transaction leaves nothing.
        let passed = self.steps.pass("commit");
        passed.map_err(|source| CopyError::Io {
            path: self.packs.folder().to_owned(),
            source,
        })?;
        Ok(transaction.commit()?)
    }

    /// Where it stands.
    pub(super) fn position(&self) -> Result<Position, CopyError> {
        let transaction = self.database.begin_read()?;
        let meta = transaction.open_table(META)?;
        let damaged = || CopyError::Row { table: "meta" };
        let bytes = |key| Ok::<_, CopyError>(meta.get(key)?.map(|row| row.value().to_vec()));
        let cursor = |key| match bytes(key)? {
            None => Ok(None),
            Some(text) => {
                let text = String::from_utf8(text).ok();
                let cursor = text.as_deref().and_then(Cursor::parse);
                cursor.map(Some).ok_or_else(damaged)
            }
        };
        let ledger = bytes(META_LEDGER)?.and_then(|ledger| ledger.try_into().ok());
        let generation = bytes(META_GENERATION)?.map_or(Ok([0; 8]), TryInto::try_into);
        Ok(Position {
            ledger: ledger.ok_or_else(damaged)?,
            cursor: cursor(META_CURSOR)?,
            whole: bytes(META_WHOLE)?.is_some(),
            generation: u64::from_be_bytes(generation.map_err(|_| damaged())?),
            acknowledged: cursor(META_ACKNOWLEDGED)?,
        })
    }

    /// Takes note that the serving centre was told.
    pub(super) fn acknowledged(&self, cursor: &Cursor) -> Result<(), CopyError> {
        let transaction = self.begin()?;
        {
            let mut meta = transaction.open_table(META)?;
            meta.insert(META_ACKNOWLEDGED, cursor.as_str().as_bytes())?;
        }
        self.commit(transaction)
    }

    /// Live entries by class, in order.
    pub(super) fn counts(&self) -> Result<Vec<(Origin, ClassId, u64)>, CopyError> {
        let transaction = self.database.begin_read()?;
        let origins = read::origins(&transaction)?;
        let mut counts = Vec::new();
        for row in transaction.open_table(COUNTS)?.iter()? {
            let (key, count) = row?;
            let (origin, class) = key.value();
            let origin = read::origin(&origins, origin)?;
            counts.push((origin.clone(), ClassId(class), count.value()));
        }
        counts.sort();
        Ok(counts)
    }

    /// Live entries.
    pub(super) fn entries(&self) -> Result<u64, CopyError> {
        Ok(self.database.begin_read()?.open_table(ENTRIES)?.len()?)
    }

    /// What origins retracted, so that another copy remembers it.
    pub(super) fn retracted(&self) -> Result<Vec<(Origin, EntryId, Revision)>, CopyError> {
        let transaction = self.database.begin_read()?;
        let origins = read::origins(&transaction)?;
        let mut all = Vec::new();
        for row in transaction.open_table(RETRACTED)?.iter()? {
            let (key, revision) = row?;
            let (origin, entry) = key.value();
            let origin = read::origin(&origins, origin)?.clone();
            all.push((origin, EntryId(entry), Revision(revision.value())));
        }
        Ok(all)
    }
}
