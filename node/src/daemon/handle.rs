//! How the rest of the process talks with the loop: commands, and the picture for `status`.
//!
//! In scope: asking and waiting for an answer. Out of scope: what becomes of it (`daemon`, the core).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use hashpact_keys::{Roster, Signer};
use hashpact_protocol::centre::{Command, CommandError, JobId, JobResult, Outcome, PublishAccess};
use hashpact_protocol::lists::Set;
use hashpact_protocol::policy::{Asker, EngineError, MatchMode};
use hashpact_protocol::psi::GroupId;
use tokio::sync::{mpsc, oneshot};

use super::docket::Docket;
use super::people::People;
use super::reach::Reach;
use super::{Directory, Status};
use crate::config::Checked;
use crate::matching;
use crate::store::Store;
use crate::subset::{Desk, Feed};

/// Commands waiting for the loop: an operator and an ingest never have more under way.
pub(super) const ASKS_WAITING: usize = 64;

/// Where the result of a command goes.
pub(super) type Answer = oneshot::Sender<Result<Outcome, CommandError>>;

/// What the loop is asked from inside the process.
pub(crate) enum Ask {
    Command(Command, Answer),
    Status(oneshot::Sender<Status>),
    /// What somebody may match now, by group of the manifest that is served.
    MatchAccess(Asker, oneshot::Sender<MatchAccess>),
    /// What every member may have now.
    PublishAccess(oneshot::Sender<Result<PublishAccess, EngineError>>),
    JobDone(JobId, JobResult),
}

/// The groups that somebody may match, and in which modes; empty where policy cannot be asked.
pub(crate) type MatchAccess = BTreeMap<GroupId, Set<MatchMode>>;

/// A handle to a running daemon, for the control socket.
#[derive(Clone)]
pub struct Handle {
    pub(super) asks: mpsc::Sender<Ask>,
    pub(crate) store: Arc<Store>,
    pub(crate) checked: Arc<Checked>,
    pub(crate) ingesting: Arc<AtomicBool>,
    /// What waits for an answer of this centre.
    pub(crate) docket: Docket,
    /// Counts and tells look-ups by people.
    pub(crate) people: People,
    /// Private matching: how it stands, and a new epoch.
    pub(crate) matching: matching::Desk,
    /// Members over HTTP: their credentials and how the gateway stands.
    pub(crate) gateway: crate::gateway::desk::Desk,
    /// Signs receipts of what it has signed as a checkpoint.
    pub(crate) log_signer: Arc<Signer>,
    /// How other centres are asked to match.
    pub(crate) reach: Arc<Reach>,
    /// What members are given: how it stands, and what they are told.
    pub(crate) subset: Desk,
    /// Who is on the roster now.
    pub(crate) directory: Directory,
}

/// The loop has ended.
#[derive(Debug, thiserror::Error)]
#[error("the node is stopping")]
pub struct Stopped;

/// Why a command did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The core refused it.
    #[error(transparent)]
    Refused(#[from] CommandError),
    /// The node is stopping.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

impl Handle {
    /// What members are given.
    #[must_use]
    pub fn feed(&self) -> Feed {
        self.subset.feed()
    }

    /// Runs a command in the core; the answer comes when its result is durable.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn command(&self, command: Command) -> Result<Outcome, AskError> {
        let (answer, answered) = oneshot::channel();
        self.asks
            .send(Ask::Command(command, answer))
            .await
            .map_err(|_| Stopped)?;
        Ok(answered.await.map_err(|_| Stopped)??)
    }

    /// What somebody may match now.
    ///
    /// # Errors
    /// [`Stopped`].
    pub(crate) async fn match_access(&self, asker: Asker) -> Result<MatchAccess, Stopped> {
        let (answer, answered) = oneshot::channel();
        let ask = Ask::MatchAccess(asker, answer);
        self.asks.send(ask).await.map_err(|_| Stopped)?;
        answered.await.map_err(|_| Stopped)
    }

    /// What every member may have now.
    ///
    /// # Errors
    /// [`Stopped`]; what policy cannot be asked about is the inner error.
    pub(crate) async fn publish_access(
        &self,
    ) -> Result<Result<PublishAccess, EngineError>, Stopped> {
        let (answer, answered) = oneshot::channel();
        let ask = Ask::PublishAccess(answer);
        self.asks.send(ask).await.map_err(|_| Stopped)?;
        answered.await.map_err(|_| Stopped)
    }

    /// The roster in force.
    pub(crate) fn roster(&self) -> Option<Arc<Roster>> {
        self.directory.roster()
    }

    /// As [`Handle::command`], from a thread that may block; the answer is waited for later.
    pub(crate) fn command_later(&self, command: Command) -> Result<Pending, Stopped> {
        let (answer, answered) = oneshot::channel();
        self.asks
            .blocking_send(Ask::Command(command, answer))
            .map_err(|_| Stopped)?;
        Ok(Pending(answered))
    }

    /// What an operator sees.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn status(&self) -> Result<Status, Stopped> {
        let (answer, answered) = oneshot::channel();
        self.asks
            .send(Ask::Status(answer))
            .await
            .map_err(|_| Stopped)?;
        answered.await.map_err(|_| Stopped)
    }
}

/// An answer that is still to come.
pub(crate) struct Pending(oneshot::Receiver<Result<Outcome, CommandError>>);

impl Pending {
    pub(crate) fn wait(self) -> Result<Outcome, AskError> {
        Ok(self.0.blocking_recv().map_err(|_| Stopped)??)
    }
}
