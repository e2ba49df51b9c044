//! What the core reads of the store.
//!
//! Why infallible: the core cannot decide on half a disk. Where reading fails it hears "not there",
//! and each later commit is refused, which ends the process. Log states are held in memory, so that
//! no failed read makes a log look empty and be begun again. In scope: reads of what is in force.

use std::io;
use std::sync::atomic::Ordering;

use hashpact_keys::{KeyId, Origin, RosterVersion};
use hashpact_protocol::delta::Seq;
use hashpact_protocol::labels::{ClassId, Labels};
use hashpact_protocol::record::{EntryId, Revision};
use hashpact_protocol::view::{Holding, LogState, Shelf, View};

use super::Store;

impl View for Store {
    fn log(&self, origin: &Origin) -> LogState {
        self.live().logs.get(origin).cloned().unwrap_or_default()
    }

    fn log_file(&self, origin: &Origin, path: &str) -> Option<Vec<u8>> {
        let path = self.layout.tile(origin, path)?;
        use io::ErrorKind::{IsADirectory, NotADirectory, NotFound};
        self.fail_closed(match std::fs::read(path) {
            Ok(bytes) => Ok(Some(bytes)),
            // Paths may come from outside: one that names no file is no fault of the disk.
            Err(e) if matches!(e.kind(), NotFound | IsADirectory | NotADirectory) => Ok(None),
            Err(error) => Err(error),
        })
    }

    fn delta_index(&self, origin: &Origin, seq: Seq) -> Option<u64> {
        self.fail_closed(self.control.delta(origin, seq))
    }

    fn roster(&self, version: RosterVersion) -> Option<Vec<u8>> {
        self.fail_closed(self.control.roster(version))
    }

    fn fork(&self, origin: &Origin) -> Option<Vec<u8>> {
        self.fail_closed(self.control.fork(origin))
    }

    fn is_retired(&self, key: &KeyId) -> bool {
        // A key that cannot be looked up is not used.
        let known = self.control.is_retired(key).map(Some);
        self.fail_closed(known).unwrap_or(true)
    }

    fn class(&self, origin: &Origin, class: ClassId) -> Option<Labels> {
        self.fail_closed(self.control.class(origin, class))
    }

    fn policies(&self, origin: &Origin, newest: usize) -> Vec<(u64, Vec<u8>)> {
        let known = self.control.policies(origin, newest).map(Some);
        self.fail_closed(known).unwrap_or_default()
    }

    fn manifests(&self, origin: &Origin, newest: usize) -> Vec<(u64, Vec<u8>)> {
        let known = self.control.manifests(origin, newest).map(Some);
        self.fail_closed(known).unwrap_or_default()
    }

    fn holdings(&self, origin: &Origin, seq: Seq) -> Option<Vec<Holding>> {
        self.fail_closed(self.read_holdings(origin, seq))
    }

    fn place_of(
        &self,
        origin: &Origin,
        entry: EntryId,
        revision: Option<Revision>,
    ) -> Option<(Seq, ClassId)> {
        // A body that is damaged is no reason to stop: what is said of its records goes to fewer centres until it is mended.
        self.lookup_place(origin, entry, revision)
            .unwrap_or_else(|error| {
                tracing::error!(%error, "where an entry stands cannot be read");
                None
            })
    }

    fn kept(&self, shelf: Shelf, key: &[u8]) -> Option<Vec<u8>> {
        self.fail_closed(self.control.kept(shelf, key))
    }

    fn shelf(&self, shelf: Shelf, prefix: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let kept = self.control.shelf(shelf, prefix).map(Some);
        self.fail_closed(kept).unwrap_or_default()
    }
}

impl Store {
    /// A read that the core cannot be told failed: it hears "not there", and nothing is committed
    /// any more.
    fn fail_closed<T, E: std::error::Error>(&self, read: Result<Option<T>, E>) -> Option<T> {
        read.unwrap_or_else(|error| {
            tracing::error!(%error, "the store cannot be read");
            self.failed.store(true, Ordering::Relaxed);
            None
        })
    }
}
