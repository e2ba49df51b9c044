//! Matching as the rest of the node sees it: started, woken, asked how it stands, stopped.
//!
//! In scope: putting the parts together. Out of scope: what each does.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use hashpact_keys::{NetworkId, Origin, Signer};
use hashpact_protocol::policy::MatchMode;
use hashpact_protocol::psi::oprf::Evaluation;
use hashpact_protocol::psi::{Epoch, GroupId};
use serde::{Deserialize, Serialize};
use tokio::task::{JoinHandle as Task, spawn_blocking};

use super::build::{Builder, Tools};
use super::evaluator::{EvaluateError, Evaluator, KeyName};
use super::keyring::{EpochSeal, Keyring};
use super::points::IdKey;
use super::serve::{Server, Service};
use super::shared::{Building, Shared};
use super::state::{Folder, State};
use crate::daemon::{Directory, Handle};
use crate::net::MatchService;
use crate::store::durable::Steps;

/// How long until a build that could not be opened is tried again.
const OPEN_AGAIN: Duration = Duration::from_secs(10);
/// How often sessions that nobody goes on with are closed.
const UPKEEP: Duration = Duration::from_secs(60);

/// The secrets of matching, derived from the storage key.
pub struct MatchKeys {
    /// Seals the seeds of epochs.
    pub seal: EpochSeal,
    /// Hashes the ids of items.
    pub ids: IdKey,
}

/// What of this centre's own entries can be matched, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServedStatus {
    /// The newest epoch, if one has begun.
    pub epoch: Option<u64>,
    /// Its first second, and the first one after it.
    pub from: u64,
    /// See `from`.
    pub until: u64,
    /// The epoch before, and until when it is served.
    pub before: Option<(u64, u64)>,
    /// Match groups.
    pub groups: u64,
    /// Items that can be matched, over all groups and types.
    pub items: u64,
    /// Published segments.
    pub segments: u64,
    /// Evaluations under the keys of the epoch; after a crash up to 2^20 more than were made.
    pub evaluations: u64,
    /// How far a build is: deltas or items done, and in all.
    pub building: Option<(u64, u64)>,
    /// Why the last round failed, if it did; it is tried again.
    pub fault: Option<String>,
}

/// A handle on matching; clones share it.
#[derive(Clone)]
pub struct Desk {
    pub(super) shared: Arc<Shared>,
    evaluator: Evaluator,
    wakes: SyncSender<()>,
    pub(super) folder: Folder,
    /// Known once the home's keys are.
    pub(super) ids: Arc<OnceLock<IdKey>>,
}

impl Desk {
    /// Looks after what has changed: soon, and once for many calls.
    pub(crate) fn wake(&self) {
        // A wake that waits already serves for this one.
        let _ = self.wakes.try_send(());
    }

    /// Somebody became a member, or is none any more.
    pub(crate) fn change_members(&self) {
        self.shared.change_members();
        self.wake();
    }

    /// Begins a new epoch, as soon as the newest one is logged.
    pub fn renew(&self) {
        self.shared.wish();
        self.wake();
    }

    /// How matching stands.
    #[must_use]
    pub fn status(&self) -> ServedStatus {
        let state = self.shared.state();
        let building = self.shared.progress();
        let mut status = ServedStatus {
            building: building.map(|Building { done, total }| (done, total)),
            fault: self.shared.last_fault(),
            ..ServedStatus::default()
        };
        let [before @ .., newest] = state.epochs.as_slice() else {
            return status;
        };
        let before = before.last();
        status.before = before.and_then(|it| Some((it.epoch.0, it.served_until?.get())));
        status.epoch = Some(newest.epoch.0);
        (status.from, status.until) = (newest.from.get(), newest.until.get());
        status.groups = newest.active().count() as u64;
        status.items = newest.items();
        let artifacts = newest.active().flat_map(|group| &group.artifacts);
        status.segments = artifacts.map(|it| it.segments.len() as u64).sum();
        status.evaluations = self.shared.evaluations(newest.epoch);
        status
    }

    /// Own items evaluated with a proof, for an auditor who may see them: the bytes that stand for each, of one type.
    ///
    /// # Errors
    /// [`EvaluateError`].
    pub async fn open(
        &self,
        epoch: Epoch,
        group: GroupId,
        kind: u8,
        mode: MatchMode,
        inputs: Vec<Vec<u8>>,
    ) -> Result<Evaluation, EvaluateError> {
        let key = KeyName::Epoch(epoch, group, kind, mode);
        self.evaluator.open(key, inputs).await
    }
}

/// What is made before the node listens, and started once it runs.
pub(crate) struct Parts {
    desk: Desk,
    woken: Receiver<()>,
    folder: Folder,
}

impl Parts {
    /// Makes the desk and its parts, of the match data in the data folder `data`.
    pub(crate) fn new(data: &Path, origin: Origin, steps: Steps) -> Self {
        let folder = Folder::new(&data.join("matching"));
        let (wakes, woken) = sync_channel(1);
        let state = State::new(origin.clone());
        let desk = Desk {
            shared: Arc::new(Shared::new(folder.clone(), steps, state)),
            evaluator: Evaluator::start(origin),
            wakes,
            folder: folder.clone(),
            ids: Arc::default(),
        };
        Self {
            desk,
            woken,
            folder,
        }
    }

    pub(crate) fn desk(&self) -> Desk {
        self.desk.clone()
    }

    /// The side that answers.
    pub(crate) fn answering(
        &self,
        asks: Handle,
        directory: Directory,
        network: NetworkId,
    ) -> Answering {
        let (evaluator, shared) = (self.desk.evaluator.clone(), Arc::clone(&self.desk.shared));
        let folder = self.folder.clone();
        let server = Server::new(asks, directory, evaluator, shared, folder, network);
        Answering(Arc::new(server))
    }

    /// The side that builds: not started yet.
    pub(crate) fn building(
        self,
        asks: Handle,
        keys: MatchKeys,
        steps: Steps,
        network: NetworkId,
        signer: Signer,
    ) -> Idle {
        let store = Arc::clone(&asks.store);
        let origin = store.own_origin().clone();
        let keyring = Keyring::new(self.folder.root(), origin, keys.seal, steps.clone());
        // Set once: a node has one home.
        let _ = self.desk.ids.set(keys.ids.copy());
        let tools = Tools {
            store,
            asks,
            evaluator: self.desk.evaluator.clone(),
            keyring,
            ids: keys.ids,
            folder: self.folder,
            steps,
            network,
            signer,
            shared: Arc::clone(&self.desk.shared),
        };
        Idle {
            tools,
            woken: self.woken,
            desk: self.desk,
        }
    }
}

/// The side that answers match streams.
#[derive(Clone)]
pub(crate) struct Answering(Arc<Server>);

impl Answering {
    /// As the network calls it.
    pub(crate) fn service(&self) -> Arc<dyn MatchService> {
        Arc::new(Service(Arc::clone(&self.0)))
    }

    /// Closes sessions that nobody goes on with, until it is aborted.
    fn upkeep(&self) -> Task<()> {
        let server = Arc::clone(&self.0);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(UPKEEP).await;
                server.close_silent().await;
            }
        })
    }
}

/// A build that is not started.
pub(crate) struct Idle {
    tools: Tools,
    woken: Receiver<()>,
    desk: Desk,
}

impl Idle {
    /// Starts to build and to look after sessions. Call on a tokio runtime.
    pub(crate) fn start(self, answering: &Answering) -> Running {
        let Self { tools, woken, desk } = self;
        let runtime = tokio::runtime::Handle::current();
        let work = move || {
            let shared = Arc::clone(&tools.shared);
            let mut tools = tools;
            loop {
                match Builder::open(tools, runtime.clone()) {
                    Ok(builder) => return builder.run(&woken),
                    Err((error, back)) => {
                        tracing::warn!(%error, "the match data does not open, and is tried again");
                        shared.fault(Some(error.to_string()));
                        tools = *back;
                    }
                }
                if shared.is_stopping() {
                    return;
                }
                // Woken or not: it is tried again.
                let _ = woken.recv_timeout(OPEN_AGAIN);
            }
        };
        let named = std::thread::Builder::new().name("match-build".to_owned());
        let thread = named.spawn(work);
        if let Err(error) = &thread {
            tracing::error!(kind = ?error.kind(), "nothing is built for matching");
        }
        Running {
            desk,
            thread: thread.ok(),
            upkeep: answering.upkeep(),
        }
    }
}

/// A build that runs.
pub(crate) struct Running {
    desk: Desk,
    thread: Option<JoinHandle<()>>,
    upkeep: Task<()>,
}

impl Running {
    /// Ends it; returns when it holds nothing of the data folder any more.
    pub(crate) async fn stop(mut self) {
        self.upkeep.abort();
        self.desk.shared.stop();
        self.desk.wake();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was told when it happened.
            let _ = spawn_blocking(move || thread.join()).await;
        }
    }
}
