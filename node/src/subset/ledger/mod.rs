//! The ledger: what this node publishes, in the order in which it did, in one database for all members.
//!
//! A row says of one entry that it is published, or not any more; an entry has one row, its latest, and the number of a row
//! is never given again. Rows of entries that are released alike are of one *kind* (log, class, baseline), and a member may
//! see a kind or not. One transaction is one commit: a crash leaves the ledger before or after it, and whoever writes may
//! write the same again, which changes nothing.
//!
//! **Seconds.** Clients of windows ask for what became visible in `from <= t < to`, once. So no row gets a second below the end
//! of a window that was answered: whoever answers one promises it first (`promise`), and waits for a commit under way. The
//! promise is on the disk before the answer, a minute ahead, so that it also binds after a restart. At most
//! [`ROWS_A_SECOND`] rows share one; what is taken back has a lane of its own, so that no bulk is before it.
//!
//! | file | answers |
//! |---|---|
//! | `row`, `tables` | what is written |
//! | `write` | how it changes |
//! | `access` | which member may see which kind, and since when |
//! | `read` | one state of it, to read from |
//!
//! In scope: rows. Out of scope: why something is published (`publish`), records (the store has them).

mod access;
mod read;
mod row;
mod tables;
mod write;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use hashpact_keys::Origin;
use hashpact_protocol::centre::Released;
use hashpact_protocol::labels::ClassId;
use redb::{Builder, Database, Durability, ReadableDatabase as _, ReadableTable as _};

pub(super) use access::Grants;
pub(super) use read::Reading;
pub(super) use row::{KindId, OriginNumber, Row, State};
pub(super) use write::{End, Put, Writing};

use crate::store::durable::Steps;
use tables::{KINDS, META, ORIGINS, open_all};

/// Rows that share a second at most: a window of one minute then holds 60,000, which clients page through.
pub(super) const ROWS_A_SECOND: u64 = 1_000;
/// Of these, what is taken back.
const GONE_A_SECOND: u64 = 250;

/// How much further than asked a promise is written down: so a commit serves a minute of windows.
const LEASE_S: u64 = 60;

/// The version of the tables.
const FORMAT: u64 = 1;
/// Memory for pages: a publishing of a million entries touches their index at random.
const CACHE_BYTES: usize = 64 << 20;

const META_FORMAT: &str = "format";
const META_ID: &str = "id";
const META_NEXT: &str = "next";
const META_LEASE: &str = "promised";
const META_PUTS: [&str; 2] = ["puts second", "puts used"];
const META_ENDS: [&str; 2] = ["ends second", "ends used"];

/// Why the ledger fails: the disk's fault, or another version's.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The database.
    #[error("ledger of what is published")]
    Database(#[source] Box<redb::Error>),
    /// Written by another version.
    #[error("the ledger of what is published has format {got}, this version reads {FORMAT}")]
    Format {
        /// Its format.
        got: u64,
    },
    /// A row is not what was written.
    #[error(
        "ledger of what is published: a row is damaged; remove data/subset.redb, and members begin anew"
    )]
    Row,
    /// The disk, or a crash test stopped here.
    #[error("ledger of what is published")]
    Io(#[from] std::io::Error),
}

macro_rules! from_redb {
    ($($error:ident),+) => {
        $(impl From<redb::$error> for LedgerError {
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

/// The numbers that stand for origins and kinds.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    origins: BTreeMap<Origin, OriginNumber>,
    lines: BTreeMap<OriginNumber, Origin>,
    kinds: BTreeMap<Released, KindId>,
    released: BTreeMap<KindId, Released>,
}

impl Names {
    pub(super) fn number(&self, origin: &Origin) -> Option<OriginNumber> {
        self.origins.get(origin).copied()
    }

    pub(super) fn origin(&self, number: OriginNumber) -> Option<&Origin> {
        self.lines.get(&number)
    }

    pub(super) fn kind(&self, released: &Released) -> Option<KindId> {
        self.kinds.get(released).copied()
    }

    pub(super) fn released(&self, kind: KindId) -> Option<&Released> {
        self.released.get(&kind)
    }

    /// The kinds of one origin.
    pub(super) fn kinds_of(&self, origin: &Origin) -> Vec<KindId> {
        let kinds = self.kinds.iter().filter(|(it, _)| it.origin == *origin);
        kinds.map(|(_, kind)| *kind).collect()
    }

    fn add_origin(&mut self, origin: &Origin, number: OriginNumber) {
        self.origins.insert(origin.clone(), number);
        self.lines.insert(number, origin.clone());
    }

    fn add_kind(&mut self, released: Released, kind: KindId) {
        self.kinds.insert(released.clone(), kind);
        self.released.insert(kind, released);
    }
}

/// The ledger of a node.
pub(super) struct Ledger {
    database: Database,
    steps: Steps,
    id: [u8; 8],
    names: RwLock<Arc<Names>>,
    /// Held while rows are written: no row that is not committed yet gets a second below it.
    writer: Mutex<()>,
    promised: AtomicU64,
    /// What is on the disk of `promised`: never less than any window that was answered.
    leased: AtomicU64,
    /// Counts commits.
    generation: AtomicU64,
}

impl Ledger {
    /// Opens or makes the ledger at `path`. `fresh` becomes the id of one that is made.
    pub(super) fn open(path: &Path, fresh: [u8; 8], steps: &Steps) -> Result<Self, LedgerError> {
        let database = Builder::new().set_cache_size(CACHE_BYTES).create(path)?;
        let mut transaction = database.begin_write()?;
        transaction.set_two_phase_commit(true);
        transaction.set_durability(Durability::Immediate)?;
        let (id, promised, leased);
        {
            open_all(&transaction)?;
            let mut meta = transaction.open_table(META)?;
            let format = meta.get(META_FORMAT)?.map(|row| row.value());
            match format {
                None => {
                    meta.insert(META_FORMAT, FORMAT)?;
                    meta.insert(META_ID, u64::from_be_bytes(fresh))?;
                }
                Some(FORMAT) => {}
                Some(got) => return Err(LedgerError::Format { got }),
            }
            let known = meta.get(META_ID)?.map(|row| row.value());
            id = known.ok_or(LedgerError::Row)?.to_be_bytes();
            let read =
                |name: &str| Ok::<_, LedgerError>(meta.get(name)?.map_or(0, |it| it.value()));
            leased = read(META_LEASE)?;
            promised = leased.max(read(META_ENDS[0])?);
        }
        steps.pass("open ledger")?;
        transaction.commit()?;
        let names = Self::read_names(&database)?;
        Ok(Self {
            database,
            steps: steps.clone(),
            id,
            names: RwLock::new(Arc::new(names)),
            writer: Mutex::default(),
            promised: AtomicU64::new(promised),
            leased: AtomicU64::new(leased),
            generation: AtomicU64::new(0),
        })
    }

    fn read_names(database: &Database) -> Result<Names, LedgerError> {
        let transaction = database.begin_read()?;
        let mut names = Names::default();
        for row in transaction.open_table(ORIGINS)?.iter()? {
            let (line, number) = row?;
            let origin = line.value().parse().map_err(|_| LedgerError::Row)?;
            names.add_origin(&origin, number.value());
        }
        for row in transaction.open_table(KINDS)?.iter()? {
            let (key, kind) = row?;
            let (origin, class, baseline) = key.value();
            let origin = names.origin(origin).ok_or(LedgerError::Row)?.clone();
            let released = Released {
                origin,
                class: ClassId(class),
                baseline: baseline != 0,
            };
            names.add_kind(released, kind.value());
        }
        Ok(names)
    }

    /// Tells this ledger from one that is built in its place.
    pub(super) fn id(&self) -> [u8; 8] {
        self.id
    }

    /// Changes with every commit.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(super) fn names(&self) -> Arc<Names> {
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&names)
    }

    /// One state of the ledger, to read from.
    pub(super) fn read(&self) -> Result<Reading, LedgerError> {
        // Names that are newer than the rows do no harm; older ones would be missing some.
        let transaction = self.database.begin_read()?;
        Reading::new(transaction, self.names())
    }

    /// From now on, also after a restart, no row gets a second below `second`: what a window that ends there holds is final.
    pub(super) fn promise(&self, second: u64) -> Result<(), LedgerError> {
        let is_kept = || {
            let promised = self.promised.load(Ordering::Acquire);
            promised.min(self.leased.load(Ordering::Acquire)) >= second
        };
        if is_kept() {
            return Ok(());
        }
        let _writer = self.lock();
        if self.leased.load(Ordering::Acquire) < second {
            self.lease(second.saturating_add(LEASE_S))?;
        }
        self.promised.fetch_max(second, Ordering::AcqRel);
        Ok(())
    }

    /// Writes a promise down. Call as the one that writes.
    fn lease(&self, second: u64) -> Result<(), LedgerError> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_two_phase_commit(true);
        transaction.set_durability(Durability::Immediate)?;
        transaction.open_table(META)?.insert(META_LEASE, second)?;
        self.steps.pass("lease seconds")?;
        transaction.commit()?;
        self.leased.store(second, Ordering::Release);
        Ok(())
    }

    /// Changes the ledger: all that `work` does, or nothing. `now` is the clock, in seconds.
    pub(super) fn write<T, E: From<LedgerError>>(
        &self,
        now: u64,
        work: impl FnOnce(&mut Writing) -> Result<T, E>,
    ) -> Result<T, E> {
        let _writer = self.lock();
        let floor = self.promised.fetch_max(now, Ordering::AcqRel).max(now);
        let begun = || {
            let mut transaction = self.database.begin_write()?;
            transaction.set_two_phase_commit(true);
            transaction.set_durability(Durability::Immediate)?;
            Writing::new(transaction, (*self.names()).clone(), floor)
        };
        let mut writing = begun()?;
        let done = work(&mut writing)?;
        let names = self.finish(writing)?;
        *self.names.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(names);
        self.generation.fetch_add(1, Ordering::AcqRel);
        Ok(done)
    }

    fn finish(&self, writing: Writing) -> Result<Names, LedgerError> {
        let (transaction, names) = writing.finish()?;
        // Dropped instead, the transaction leaves nothing.
        self.steps.pass("commit ledger")?;
        transaction.commit()?;
        Ok(names)
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        // Whoever panicked committed nothing.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
