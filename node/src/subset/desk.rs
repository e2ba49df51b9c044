//! Publishing as the rest of the node sees it: started, woken, asked how it stands, stopped.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use hashpact_keys::{NetworkId, Origin, Signer};
use hashpact_protocol::evidence::Changed;
use hashpact_protocol::record::EntryId;
use tokio::task::spawn_blocking;

use super::cursor::CursorKey;
use super::ledger::Ledger;
use super::publish::{Publisher, Sources};
use super::reader::{Feed, Shared};
use crate::daemon::Handle;
use crate::store::Store;
use crate::store::durable::Steps;

/// How long until a ledger that could not be opened is tried again.
const OPEN_AGAIN: Duration = Duration::from_secs(10);

/// An origin of which more came on a day than is published on one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capped {
    /// The log.
    pub origin: Origin,
    /// The UTC day, in days since 1970.
    pub day: u64,
    /// Entries that wait, of the delta that did not fit.
    pub left_out: u64,
}

/// How publishing stands, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Entries that are published.
    pub entries: u64,
    /// Deltas that wait: for the end of their quarantine, or for room under the cap.
    pub waiting: u64,
    /// Origins above the cap today.
    pub capped: Vec<Capped>,
}

/// What is to be judged again.
#[derive(Default)]
pub(super) struct ToJudge {
    pub(super) entries: BTreeSet<(Origin, EntryId)>,
    /// Every entry of these logs.
    pub(super) logs: BTreeSet<Origin>,
    /// Every entry: which ones are of a series only records say.
    pub(super) all: bool,
}

impl ToJudge {
    pub(super) fn extend(&mut self, other: Self) {
        self.entries.extend(other.entries);
        self.logs.extend(other.logs);
        self.all |= other.all;
    }
}

/// What the rest of the node and the publisher tell each other.
#[derive(Default)]
pub(super) struct Signals {
    stopping: AtomicBool,
    /// Changes of roster and members.
    changes: AtomicU64,
    evidence: Mutex<ToJudge>,
    progress: Mutex<(Progress, Option<String>)>,
}

impl Signals {
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    pub(super) fn change(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    pub(super) fn take_evidence(&self) -> ToJudge {
        std::mem::take(&mut lock(&self.evidence))
    }

    pub(super) fn judge(&self, changed: Changed) {
        let Changed {
            entries,
            series,
            logs,
        } = changed;
        lock(&self.evidence).extend(ToJudge {
            entries: entries.into_iter().collect(),
            logs: logs.into_iter().collect(),
            all: !series.is_empty(),
        });
    }

    pub(super) fn show(&self, progress: Progress) {
        lock(&self.progress).0 = progress;
    }

    pub(super) fn fault(&self, fault: Option<String>) {
        lock(&self.progress).1 = fault;
    }
}

/// A handle on publishing; clones share it.
#[derive(Clone)]
pub struct Desk {
    signals: Arc<Signals>,
    wakes: SyncSender<()>,
    feed: Feed,
}

impl Desk {
    /// Looks after what has changed: soon, and once for many calls.
    pub(crate) fn wake(&self) {
        // A wake that waits already serves for this one.
        let _ = self.wakes.try_send(());
    }

    /// The roster or the members changed.
    pub(crate) fn change(&self) {
        self.signals.change();
        self.wake();
    }

    /// Something is said anew of entries.
    pub(crate) fn change_evidence(&self, changed: Changed) {
        self.signals.judge(changed);
        self.wake();
    }

    /// What members are given.
    #[must_use]
    pub fn feed(&self) -> Feed {
        self.feed.clone()
    }

    /// How publishing stands, and why the last round failed if it did.
    #[must_use]
    pub fn progress(&self) -> (Progress, Option<String>) {
        lock(&self.signals.progress).clone()
    }
}

/// What is made before the node listens, and started once it runs.
pub(crate) struct Idle {
    desk: Desk,
    woken: Receiver<()>,
    path: PathBuf,
    steps: Steps,
}

impl Idle {
    /// Of the data folder `data`.
    pub(crate) fn new(
        data: &Path,
        store: &Arc<Store>,
        (network, signer): (NetworkId, Signer),
        cursors: CursorKey,
        steps: &Steps,
    ) -> Self {
        let (wakes, woken) = sync_channel(1);
        let shared = Arc::new(Shared::new(Arc::clone(store), network, signer, cursors));
        let desk = Desk {
            signals: Arc::default(),
            wakes,
            feed: Feed::new(shared),
        };
        let path = data.join("subset.redb");
        Self {
            desk,
            woken,
            path,
            steps: steps.clone(),
        }
    }

    pub(crate) fn desk(&self) -> Desk {
        self.desk.clone()
    }

    /// Starts to publish. Call on a tokio runtime.
    pub(crate) fn start(self, asks: Handle) -> Running {
        let desk = self.desk.clone();
        let sources = Sources::of(asks, tokio::runtime::Handle::current());
        let named = std::thread::Builder::new().name("publish".to_owned());
        let thread = named.spawn(move || self.publish(sources));
        if let Err(error) = &thread {
            tracing::error!(kind = ?error.kind(), "nothing is published to members");
        }
        let thread = thread.ok();
        Running { desk, thread }
    }

    fn publish(self, sources: Sources) {
        let signals = Arc::clone(&self.desk.signals);
        let shared = Arc::clone(&self.desk.feed.shared);
        let Some(ledger) = self.open(&signals) else {
            return;
        };
        // Set once: a node has one ledger.
        let ledger = Arc::clone(shared.ledger.get_or_init(|| ledger));
        Publisher::new(shared, ledger, signals, sources).run(&self.woken);
    }

    /// Opens the ledger, however often it takes; nothing once the node stops.
    fn open(&self, signals: &Signals) -> Option<Arc<Ledger>> {
        while !signals.is_stopping() {
            let mut id = [0; 8];
            let drawn = getrandom::fill(&mut id).map_err(|error| error.to_string());
            let opened = drawn.and_then(|()| {
                let opened = Ledger::open(&self.path, id, &self.steps);
                opened.map_err(|error| error.to_string())
            });
            match opened {
                Ok(ledger) => return Some(Arc::new(ledger)),
                Err(error) => {
                    tracing::warn!(error, "what is published does not open, and is tried again");
                    signals.fault(Some(error));
                }
            }
            // Woken or not: it is tried again.
            let _ = self.woken.recv_timeout(OPEN_AGAIN);
        }
        None
    }
}

/// Publishing that runs.
pub(crate) struct Running {
    desk: Desk,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// Ends it; returns when nothing is written any more.
    pub(crate) async fn stop(mut self) {
        self.desk.signals.stopping.store(true, Ordering::Release);
        self.desk.wake();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was told when it happened.
            let _ = spawn_blocking(move || thread.join()).await;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whoever panicked left a value that is whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
