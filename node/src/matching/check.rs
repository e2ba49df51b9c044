//! A list in a file against one centre, for whoever typed the command: a centre's node or a member's home.
//!
//! Values are checked type by type, one session each. What was found is told as soon as its type is through; the record of
//! each session is kept sealed beside the seed of its blinds, and a centre logs its commitment.
//! In scope: from a file to what is told. Out of scope: one session (`client`), words for people (`cli`).

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::sync::Arc;

use hashpact_keys::{CentreId, Roster};
use hashpact_protocol::centre::Command;
use hashpact_protocol::fingerprint::Algorithm;
use hashpact_protocol::labels::Purpose;
use hashpact_protocol::policy::MatchMode;
use hashpact_protocol::psi::SessionRecord;
use serde::{Deserialize, Serialize};

use super::client::list::{Items, List, ListError};
use super::client::{
    Cache, CacheError, CacheKey, Checked, Found, Hear, ListSummary, MatchError, Opener, Order,
    Outcome, Patience, Phase, Progress, run,
};
use crate::clock;
use crate::daemon::Handle;

/// What to check.
#[derive(Clone, Debug)]
pub struct CheckOrder {
    /// Against whom.
    pub centre: CentreId,
    /// The list.
    pub file: PathBuf,
    /// The type of values without a name.
    pub bare: Option<Algorithm>,
    /// What is to be learnt.
    pub mode: MatchMode,
    /// What for.
    pub purpose: Purpose,
    /// Whether a list that is too short is filled up.
    pub pad: bool,
}

/// The match caches of a home, one for each centre.
pub struct Caches {
    folder: PathBuf,
    key: CacheKey,
}

/// What came of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    /// Against whom.
    pub centre: String,
    /// What was learnt.
    pub mode: String,
    /// What for.
    pub purpose: String,
    /// What was read.
    pub list: ListSummary,
    /// Type by type.
    pub checks: Vec<Checked>,
}

/// Why a list was not checked.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The list.
    #[error("{path}: {source}", path = path.display())]
    List {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: ListError,
    },
    /// One of its types; what is told of the ones before stands.
    #[error("{kind}: {source}")]
    Match {
        /// The type.
        kind: String,
        /// What happened.
        source: Box<MatchError>,
        /// What came of the types before it.
        before: Box<CheckReport>,
    },
    /// The cache.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// This centre's own log.
    #[error("the record of the session was not logged: {0}")]
    Log(String),
}

impl Caches {
    /// In this folder, under this key.
    #[must_use]
    pub fn new(folder: PathBuf, key: CacheKey) -> Self {
        Self { folder, key }
    }

    /// The cache of one centre.
    ///
    /// # Errors
    /// [`CacheError`].
    pub fn of(&self, centre: &CentreId) -> Result<Cache, CacheError> {
        Cache::open(&self.folder.join(centre.as_str()), &self.key)
    }
}

/// Whoever checks lists.
pub struct Checker<'a, O> {
    /// How the centre is reached.
    pub opener: &'a O,
    /// The newest roster.
    pub roster: Arc<Roster>,
    /// Where things are kept.
    pub caches: &'a Caches,
    /// The node that logs records; none for a member.
    pub node: Option<&'a Handle>,
    /// Hears how far it is.
    pub hear: Hear,
}

impl<O: Opener> Checker<'_, O> {
    /// Checks a list. `found` is told of the lines that matched.
    ///
    /// # Errors
    /// [`CheckError`].
    pub async fn check(
        &self,
        order: &CheckOrder,
        found: &mut (dyn FnMut(Found) + Send),
    ) -> Result<CheckReport, CheckError> {
        let list = self.read(order).await?;
        self.check_list(order, list, found).await
    }

    /// As [`Checker::check`], with a list that is in memory already; the order's file is not looked at.
    ///
    /// # Errors
    /// [`CheckError`].
    pub async fn check_list(
        &self,
        order: &CheckOrder,
        list: List,
        found: &mut (dyn FnMut(Found) + Send),
    ) -> Result<CheckReport, CheckError> {
        let mut report = CheckReport {
            centre: order.centre.to_string(),
            mode: hashpact_protocol::lists::ClosedList::name(order.mode).to_owned(),
            purpose: hashpact_protocol::lists::ClosedList::name(order.purpose).to_owned(),
            list: ListSummary::of(&list),
            checks: Vec::new(),
        };
        let cache = Arc::new(self.caches.of(&order.centre)?);
        for items in list.into_types() {
            let items = Arc::new(items);
            let outcome = self.one(order, &cache, &items).await;
            let outcome = outcome?.map_err(|source| CheckError::Match {
                kind: items.kind().name().to_owned(),
                source: Box::new(source),
                before: Box::new(report.clone()),
            })?;
            Found::pieces(&outcome, &items)
                .into_iter()
                .for_each(&mut *found);
            report.checks.push(Checked::of(&outcome));
        }
        Ok(report)
    }

    /// Checks the values of one type, and writes down that it was done.
    ///
    /// # Errors
    /// [`CheckError`] for this side's disk and log, with [`MatchError`] inside for what the check came to.
    pub async fn one(
        &self,
        order: &CheckOrder,
        cache: &Arc<Cache>,
        items: &Arc<Items>,
    ) -> Result<Result<Outcome, MatchError>, CheckError> {
        let order = Order {
            roster: Arc::clone(&self.roster),
            centre: order.centre.clone(),
            asker: self.node.map(|node| node.checked.centre.clone()),
            mode: order.mode,
            purpose: order.purpose,
            items: Arc::clone(items),
            pad: order.pad,
            patience: Patience::default(),
            clock: clock::now,
            lanes: std::thread::available_parallelism().map_or(1, usize::from),
        };
        let outcome = match run(self.opener, cache, &order, &self.hear).await {
            Ok(outcome) => outcome,
            Err(error) => return Ok(Err(error)),
        };
        if let Some(session) = &outcome.session {
            cache.keep_record(session)?;
            self.log(&session.record).await?;
        }
        Ok(Ok(outcome))
    }

    /// A centre logs what it asked; nobody but the two sides can open it.
    async fn log(&self, record: &[u8]) -> Result<(), CheckError> {
        let Some(node) = self.node else {
            return Ok(());
        };
        let unlogged = |why: &dyn std::fmt::Display| CheckError::Log(why.to_string());
        let record = SessionRecord::from_bytes(record).map_err(|error| unlogged(&error))?;
        let logged = node.command(Command::MatchClose(record)).await;
        logged.map(drop).map_err(|error| unlogged(&error))
    }

    /// Reads the list on a thread that may block.
    async fn read(&self, order: &CheckOrder) -> Result<List, CheckError> {
        let (path, bare) = (order.file.clone(), order.bare.clone());
        let hear = Arc::clone(&self.hear);
        let read = tokio::task::spawn_blocking(move || {
            // A pipe would keep the thread for as long as nobody writes to it.
            if !std::fs::metadata(&path)?.is_file() {
                return Err(ListError::Io(std::io::Error::other("not a regular file")));
            }
            let file = BufReader::with_capacity(1 << 18, File::open(&path)?);
            List::read(file, bare.as_ref(), &mut |done| {
                hear(Progress {
                    phase: Phase::Read,
                    done,
                    total: None,
                });
                true
            })
        });
        let read = read.await.unwrap_or(Err(ListError::Abandoned));
        read.map_err(|source| CheckError::List {
            path: order.file.clone(),
            source,
        })
    }
}
