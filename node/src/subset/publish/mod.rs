//! What publishes: one thread that follows the store, policy and evidence, and writes the ledger.
//!
//! It goes round: who may see what (asked of the core), what was taken back, which deltas are new and which have waited
//! long enough. What goes is written before what comes. Every write is one transaction and may be made again, so a crash loses
//! nothing but the time since the last one. A round that fails is told of and tried again.
//!
//! | file | answers |
//! |---|---|
//! | `access` | who may see what, from now on |
//! | `follow` | what the logs and bodies took back, and what is new |
//! | `facts` | what is computed of one entry |
//! | `judge` | what becomes of entries of which something is said anew |
//! | `release` | which entries of a delta are published, and as what |
//!
//! In scope: when something is published. Out of scope: what members are told (`reader`, `changes`, `window`).

mod access;
mod facts;
mod follow;
mod judge;
mod release;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use hashpact_keys::{Jurisdiction, Origin, Roster};
use hashpact_protocol::centre::PublishAccess;
use hashpact_protocol::delta::Seq;
use hashpact_protocol::policy::EngineError;
use hashpact_protocol::view::View as _;

use super::desk::{Capped, Progress, Signals, ToJudge};
use super::ledger::{Ledger, LedgerError};
use super::reader::Shared;
use crate::clock;
use crate::config::SubsetConfig;
use crate::daemon::{Handle, Stopped};
use crate::store::LookupError;

/// A round is made at the latest after this long: grants and holds end by the clock.
const ROUND_EVERY: Duration = Duration::from_secs(30);
/// How long commits are gathered before a round: an ingest makes many.
const SETTLE: Duration = Duration::from_millis(200);

/// Why a round failed. Nothing that was published is lost.
#[derive(Debug, thiserror::Error)]
pub(super) enum PublishError {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// Policy cannot be asked.
    #[error("policy: {0}")]
    Policy(#[from] EngineError),
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// A stored section that was good when it was stored.
    #[error("a stored section of delta {seq} of {origin} does not read")]
    Section { origin: Origin, seq: u64 },
}

/// What a publisher asks besides the store.
pub(super) struct Sources {
    pub(super) config: SubsetConfig,
    /// The law of this centre.
    pub(super) home: Jurisdiction,
    /// What the core says that members may have.
    pub(super) access: Box<dyn FnMut() -> AccessAnswer + Send>,
    pub(super) roster: Box<dyn Fn() -> Option<Arc<Roster>> + Send>,
    /// Seconds since 1970.
    pub(super) clock: Box<dyn Fn() -> u64 + Send>,
}

/// What the core says, unless the node stops or policy cannot be asked.
pub(super) type AccessAnswer = Result<Result<PublishAccess, EngineError>, Stopped>;

impl Sources {
    /// Of a running node. Call on a tokio runtime; asked from another thread.
    pub(super) fn of(asks: Handle, runtime: tokio::runtime::Handle) -> Self {
        let asked = asks.clone();
        Self {
            config: asks.checked.subset.clone(),
            home: asks.checked.jurisdiction.clone(),
            access: Box::new(move || runtime.block_on(asked.publish_access())),
            roster: Box::new(move || asks.roster()),
            clock: Box::new(|| clock::now().get()),
        }
    }
}

/// The one that publishes.
pub(super) struct Publisher {
    shared: Arc<Shared>,
    ledger: Arc<Ledger>,
    signals: Arc<Signals>,
    pub(super) sources: Sources,
    /// What the last answer about access rests on.
    asked: Option<access::Asked>,
    /// Rewrites of bodies that were looked after.
    rewrites: Option<u64>,
    /// Entries about which something is said anew.
    evidence: ToJudge,
    capped: BTreeMap<Origin, Capped>,
    /// Deltas that did not fit under the cap when they were judged last.
    left: BTreeSet<(Origin, Seq)>,
    /// The first fault of this round that is one log's only.
    fault: Option<PublishError>,
}

impl Publisher {
    pub(super) fn new(
        shared: Arc<Shared>,
        ledger: Arc<Ledger>,
        signals: Arc<Signals>,
        sources: Sources,
    ) -> Self {
        Self {
            shared,
            ledger,
            signals,
            sources,
            asked: None,
            rewrites: None,
            // What was said shortly before a stop, or while nothing ran, was told to nobody who still knows: all is judged
            // again, and what stays the same is not written.
            evidence: ToJudge {
                all: true,
                ..ToJudge::default()
            },
            capped: BTreeMap::new(),
            left: BTreeSet::new(),
            fault: None,
        }
    }

    /// Goes round until the node stops.
    pub(super) fn run(mut self, wakes: &Receiver<()>) {
        // Whoever stops the node wakes this, also where there is nothing to do.
        while !self.signals.is_stopping() {
            let wait = match self.round() {
                Ok(wait) => {
                    self.signals.fault(None);
                    wait
                }
                Err(PublishError::Stopped(_)) => return,
                Err(error) => {
                    tracing::warn!(%error, "what is published is not up to date, and is tried again");
                    self.signals.fault(Some(error.to_string()));
                    ROUND_EVERY
                }
            };
            match wakes.recv_timeout(wait) {
                Ok(()) => std::thread::sleep(SETTLE),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            while wakes.try_recv().is_ok() {}
        }
    }

    /// One round; says how long until the next one is due.
    pub(super) fn round(&mut self) -> Result<Duration, PublishError> {
        self.fault = None;
        self.evidence.extend(self.signals.take_evidence());
        self.follow_access()?;
        let origins: Vec<Origin> = self.shared.store.counts().into_keys().collect();
        self.take_all_back(&origins)?;
        self.follow_bodies()?;
        self.judge_again()?;
        for origin in &origins {
            let done = self.see(origin);
            self.pass(done)?;
        }
        let mut due = None;
        for origin in &origins {
            let next = self.release_due(origin);
            let next = self.pass(next)?.flatten();
            due = [due, next].into_iter().flatten().min();
        }
        self.show()?;
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        let now = self.now();
        let wait = due.map_or(ROUND_EVERY, |due: u64| {
            Duration::from_secs(due.saturating_sub(now).max(1))
        });
        Ok(wait.min(ROUND_EVERY))
    }

    /// Between two writes of a long round: what must not wait.
    fn go_on(&mut self) -> Result<(), PublishError> {
        if self.signals.is_stopping() {
            return Err(Stopped.into());
        }
        self.follow_access()
    }

    /// Between two deltas of a long round: what was taken back meanwhile does not wait for the rest.
    fn keep_up(&mut self) -> Result<(), PublishError> {
        self.go_on()?;
        let origins: Vec<Origin> = self.shared.store.counts().into_keys().collect();
        self.take_all_back(&origins)
    }

    fn take_all_back(&mut self, origins: &[Origin]) -> Result<(), PublishError> {
        for origin in origins {
            let done = self.take_back(origin);
            self.pass(done)?;
        }
        Ok(())
    }

    /// A fault of one log's bodies stops no other log: the round goes on, and ends with the first one. Any other ends it.
    fn pass<T>(&mut self, done: Result<T, PublishError>) -> Result<Option<T>, PublishError> {
        match done {
            Ok(done) => Ok(Some(done)),
            Err(fault @ (PublishError::Lookup(_) | PublishError::Section { .. })) => {
                self.fault.get_or_insert(fault);
                Ok(None)
            }
            Err(
                error @ (PublishError::Ledger(_)
                | PublishError::Policy(_)
                | PublishError::Stopped(_)),
            ) => Err(error),
        }
    }

    fn now(&self) -> u64 {
        (self.sources.clock)()
    }

    fn is_own(&self, origin: &Origin) -> bool {
        self.shared.store.own_origin() == origin
    }

    fn show(&self) -> Result<(), PublishError> {
        let reading = self.ledger.read()?;
        let mut waiting = 0;
        for origin in self.shared.store.counts().keys() {
            if let Some(number) = reading.names.number(origin) {
                waiting += reading.waiting(number)?.len() as u64;
            }
        }
        self.signals.show(Progress {
            entries: reading.counts()?.values().sum(),
            waiting,
            capped: self.capped.values().cloned().collect(),
        });
        Ok(())
    }

    /// The size of a log that a quorum has seen.
    fn witnessed(&self, origin: &Origin) -> u64 {
        let head = self.shared.store.log(origin).witnessed;
        head.map_or(0, |head| head.checkpoint().size)
    }
}
