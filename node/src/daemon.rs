//! The daemon: one loop that obeys the core.
//!
//! It turns what happens (network, operator, time, finished jobs) into [`Input`]s and does what the core answers: first
//! every commit, then the rest in order. A failed commit ends the process, because what is in memory is then ahead of what
//! is on disk; starting again reads the disk.
//!
//! | file | answers |
//! |---|---|
//! | `peers` | which libp2p identity is which centre |
//! | `library` | what is read to answer other centres |
//! | `jobs` | how heavy work runs beside the loop |
//! | `ingest` | how a file becomes signed deltas |
//! | `status` | what an operator is told |
//! | `submissions` | how witnesses outside the network are asked |

mod ingest;
mod jobs;
mod library;
mod peers;
mod status;
mod submissions;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use hashpact_keys::{CentreId, KeyUse, Origin, SignedRoster, Signer, Timestamp};
use hashpact_protocol::centre::{
    Centre, CentreKeys, Command, CommandError, CommandId, Event, Input, JobId, JobResult, Outcome,
    Output, Reason, StartError,
};
use hashpact_protocol::limits;
use hashpact_protocol::log::VerifierKey;
use hashpact_protocol::wire::Frame;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use crate::clock;
use crate::config::{Checked, ConfigError};
use crate::home::{Home, HomeError, NodeKeys};
use crate::http::{Admitted, ClientFilesError, HttpClient, HttpClientConfig, LogFolder, Server};
use crate::net::{self, Net, NetConfig, NetError, NetEvent, PeerId};
use crate::store::durable::Steps;
use crate::store::{CommitError, OpenError, Store};

pub use ingest::{IngestOrder, IngestPhase, IngestProgress, IngestRun, IngestRunError};
pub use library::Library;
pub use peers::Directory;
use submissions::Submissions;

use crate::witness::{self, Logs, NodeWitnessError, WitnessService};

pub use status::{LogStatus, PeerStatus, Seen, Status};

/// Commands waiting for the loop: an operator and an ingest never have more under way.
const ASKS_WAITING: usize = 64;
/// How long a witness over HTTP may take to answer: it writes to a disk and signs.
const WITNESS_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a command waits after a start for others to be heard: connections come within seconds.
const UNCONFIRMED_WAIT: Duration = Duration::from_secs(20);
/// Events that `status` remembers.
const EVENTS_KEPT: usize = 64;

/// What the loop is asked from inside the process.
pub(crate) enum Ask {
    Command(Command, Answer),
    Status(oneshot::Sender<Status>),
    JobDone(JobId, JobResult),
}

/// A handle to a running daemon, for the control socket.
#[derive(Clone)]
pub struct Handle {
    asks: mpsc::Sender<Ask>,
    pub(crate) store: Arc<Store>,
    pub(crate) checked: Arc<Checked>,
    pub(crate) ingesting: Arc<AtomicBool>,
    /// Signs receipts of what it has signed as a checkpoint.
    pub(crate) log_signer: Arc<Signer>,
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

/// Why a node does not start, or ends.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Its home.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// Its configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Its store.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// No roster was applied yet.
    #[error("no roster yet: run `hashpact roster apply FILE --pin HASH` first")]
    NoRoster,
    /// The stored roster does not verify any more.
    #[error("the stored roster does not verify: {0}")]
    Roster(#[from] hashpact_keys::chain::RosterError),
    /// Keys that are not sealed serve demonstrations only.
    #[error(
        "this node's keys are plain files, which serve a demo network only, and the roster is not flagged demo: seal them with `hashpact key seal`"
    )]
    PlainKeys,
    /// The roster does not name this centre.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The network.
    #[error(transparent)]
    Net(#[from] NetError),
    /// A commit failed; what is in memory is ahead of the disk.
    #[error("a commit failed, so this process ends: {0}")]
    Commit(#[from] CommitError),
    /// The machine.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The machine gave no random numbers.
    #[error("no random numbers: {0}")]
    Random(getrandom::Error),
    /// Logs outside the network are not witnessed.
    #[error("witnessed_log: {0}")]
    Witness(#[from] NodeWitnessError),
    /// The files of the HTTP client.
    #[error("witness_roots: {0}")]
    Client(#[from] ClientFilesError),
    /// A roster gives this centre another log: it was forked, and is resumed.
    #[error(
        "the roster gives this centre the log {origin}: set `origin` to it in hashpact.toml and start the node again"
    )]
    NewOrigin {
        /// The new log.
        origin: Origin,
    },
    /// A task of the daemon's ended by a panic.
    #[error("a task of the node's failed")]
    Task,
}

/// A node that is ready to run.
pub struct Daemon {
    centre: Centre,
    store: Arc<Store>,
    net: Net,
    heard: mpsc::Receiver<NetEvent>,
    asks: mpsc::Receiver<Ask>,
    handle: Handle,
    directory: Directory,
    /// Whom the core was told is up: a roster change must not make it miss that they went down.
    up: BTreeMap<PeerId, CentreId>,
    seen: VecDeque<Seen>,
    wake_at: Timestamp,
    replies: BTreeMap<CommandId, Answer>,
    next_command: u64,
    rng: ChaCha20Rng,
    maintaining: Arc<AtomicBool>,
    /// Whose keys may read over HTTP.
    admitted: Admitted,
    http: Option<Server>,
    submissions: Arc<Submissions>,
    /// Cosigns logs outside the network.
    witness: Option<(Arc<WitnessService>, Vec<VerifierKey>)>,
    /// Commands that wait until others have said how much of our log they have seen, and until when.
    held: VecDeque<(Instant, Command, Answer)>,
}

/// Where the result of a command goes.
type Answer = oneshot::Sender<Result<Outcome, CommandError>>;

/// Opens a home's store and its core, without a network: for `run`, and for `roster apply` on a stopped node.
///
/// # Errors
/// [`RunError`].
pub fn open_store(
    home: &Home,
    keys: &NodeKeys,
    checked: &Checked,
    steps: Steps,
) -> Result<Store, RunError> {
    Ok(Store::open(
        &home.data(),
        keys.store_keys(),
        checked.origin.clone(),
        steps,
    )?)
}

/// The rosters that a store holds, verified again from the first to the last.
///
/// # Errors
/// [`RunError::NoRoster`] or [`RunError::Roster`].
pub fn roster_in_force(store: &Store) -> Result<SignedRoster, RunError> {
    let chain = store.rosters()?;
    let mut chain = chain.iter();
    let (_, first) = chain.next().ok_or(RunError::NoRoster)?;
    // The first roster was pinned when it was applied; the store is this node's own.
    let mut roster = SignedRoster::from_store(first)?;
    for (_, bytes) in chain {
        roster = roster.succeed(bytes)?;
    }
    Ok(roster)
}

/// The core's keys.
///
/// # Errors
/// [`HomeError`].
pub fn centre_keys(keys: &NodeKeys) -> Result<CentreKeys, HomeError> {
    Ok(CentreKeys {
        delta: keys.signer(KeyUse::Delta)?,
        log: keys.signer(KeyUse::Log)?,
        witness: keys.signer(KeyUse::Witness)?,
        mirror: keys.signer(KeyUse::Mirror)?,
    })
}

fn random() -> Result<ChaCha20Rng, RunError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(RunError::Random)?;
    Ok(ChaCha20Rng::from_seed(seed))
}

/// The core of a home, for a command on a stopped node: every commit is made at once, nothing is sent.
///
/// # Errors
/// [`RunError`]; a refused command is the inner error.
pub fn command_offline(
    centre: &mut Centre,
    store: &Store,
    command: Command,
) -> Result<Result<Outcome, CommandError>, RunError> {
    let input = Input::Command(CommandId(0), command);
    let outputs = centre.handle(input, clock::now(), &mut random()?, store);
    let mut answer = None;
    for output in outputs {
        match output {
            Output::Commit(batch) => store.commit(batch)?,
            Output::Reply(_, done) => answer = Some(done),
            Output::Send(..)
            | Output::Spawn(..)
            | Output::Emit(_)
            | Output::WakeAt(_)
            | Output::Drop(..)
            | Output::RosterChanged => {}
        }
    }
    answer.ok_or(RunError::Task)
}

/// Serves the logs over HTTP if the configuration says so.
fn serve_logs(
    home: &Home,
    checked: &Checked,
    admitted: Admitted,
    extra: Router,
) -> Result<Option<Server>, ConfigError> {
    let Some(config) = checked.http.clone() else {
        return Ok(None);
    };
    let folder = LogFolder {
        root: home.data().join("logs"),
    };
    let config = config.in_home(home.path());
    let server = Server::start(&config, folder, admitted, extra)?;
    tracing::info!(address = %server.address(), "serving the logs over HTTP");
    Ok(Some(server))
}

impl Daemon {
    /// Opens everything and starts to listen. Call on a tokio runtime.
    ///
    /// # Errors
    /// [`RunError`].
    pub fn start(
        home: &Home,
        keys: &NodeKeys,
        checked: Checked,
        steps: Steps,
    ) -> Result<Self, RunError> {
        let store = Arc::new(open_store(home, keys, &checked, steps)?);
        let roster = roster_in_force(&store)?;
        if !roster.roster().demo && !keys.is_sealed() {
            return Err(RunError::PlainKeys);
        }
        let signers = centre_keys(keys)?;
        let session = clock::now_ms();
        let centre = Centre::new(checked.centre.clone(), signers, roster, session, &*store)?;
        let directory = Directory::default();
        directory.set(centre.roster(), clock::now());
        let library = library::Library::new(
            Arc::clone(&store),
            directory.clone(),
            checked.origin.clone(),
        );
        let config = NetConfig {
            seed: *keys.node_seed()?,
            listen: checked.listen.clone(),
            peers: directory.peers(&checked.centre),
        };
        let (net, heard) = net::start(config, Arc::new(library))?;
        let admitted = Admitted::default();
        admitted.set(centre.roster(), clock::now());
        let (witness, routes) = match checked.witnessed_logs.clone() {
            logs if logs.is_empty() => (None, Router::new()),
            logs => {
                let (signer, roster) = (keys.signer(KeyUse::Witness)?, centre.roster().clone());
                let (data, origin) = (home.data(), &checked.origin);
                let (service, routes) =
                    witness::node_routes(&data, origin, signer, roster, logs.clone())?;
                (Some((service, logs)), routes)
            }
        };
        let http = serve_logs(home, &checked, admitted.clone(), routes)?;
        let client = HttpClient::new(&HttpClientConfig {
            timeout: WITNESS_TIMEOUT,
            identity: None,
            roots: checked
                .witness_roots
                .as_ref()
                .map(|path| home.path().join(path)),
        })?;
        let urls = checked.witnesses.clone();
        let submissions = Arc::new(Submissions::new(Arc::clone(&store), client, urls));
        let (asks_in, asks) = mpsc::channel(ASKS_WAITING);
        let handle = Handle {
            asks: asks_in,
            store: Arc::clone(&store),
            checked: Arc::new(checked),
            ingesting: Arc::default(),
            log_signer: Arc::new(keys.signer(KeyUse::Log)?),
        };
        Ok(Self {
            centre,
            store,
            net,
            heard,
            asks,
            handle,
            directory,
            up: BTreeMap::new(),
            seen: VecDeque::new(),
            wake_at: Timestamp::new(0),
            replies: BTreeMap::new(),
            next_command: 0,
            rng: random()?,
            maintaining: Arc::default(),
            admitted,
            http,
            submissions,
            witness,
            held: VecDeque::new(),
        })
    }

    /// The operator says that this disk is the newest there is: nobody is waited for.
    pub fn trust_disk(&mut self) {
        self.centre.trust_disk();
    }

    /// For the control socket.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Where the logs are served over HTTP, if they are.
    #[must_use]
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http.as_ref().map(Server::address)
    }

    /// Runs until `stop` says so, or a commit fails.
    ///
    /// # Errors
    /// [`RunError::Commit`].
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) -> Result<(), RunError> {
        self.step(Input::Wake).await?;
        loop {
            let deadline = self.deadline();
            let input = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                Some(ask) = self.asks.recv() => self.on_ask(ask),
                Some(event) = self.heard.recv() => self.on_network(event),
                () = sleep_until(deadline) => {
                    self.renew_peers();
                    Some(Input::Wake)
                }
            };
            if let Some(input) = input {
                self.step(input).await?;
            }
            while let Some(input) = self.released() {
                self.step(input).await?;
            }
            self.same_log()?;
        }
        if let Some(http) = self.http.take() {
            http.stop().await;
        }
        self.net.shutdown().await;
        Ok(())
    }

    /// Keys begin and end by the clock: whoever's node key has changed is admitted or let go.
    fn renew_peers(&self) {
        self.admitted.set(self.centre.roster(), clock::now());
        let before = self.directory.peers(self.centre.id());
        self.directory.set(self.centre.roster(), clock::now());
        let after = self.directory.peers(self.centre.id());
        if before != after {
            self.net.set_peers(after);
        }
    }

    /// The next command that was held back and need not wait any more.
    fn released(&mut self) -> Option<Input> {
        let (until, ..) = self.held.front()?;
        if self.centre.unconfirmed().is_some() && *until > Instant::now() {
            return None;
        }
        let (_, command, answer) = self.held.pop_front()?;
        Some(self.command(command, answer))
    }

    fn command(&mut self, command: Command, answer: Answer) -> Input {
        self.next_command += 1;
        let id = CommandId(self.next_command);
        self.replies.insert(id, answer);
        Input::Command(id, command)
    }

    /// A roster may give this centre another log than the one that this process serves.
    fn same_log(&self) -> Result<(), RunError> {
        let (origin, _) = self.centre.own_log();
        if *origin == self.handle.checked.origin {
            return Ok(());
        }
        Err(RunError::NewOrigin {
            origin: origin.clone(),
        })
    }

    /// When the core wants to be woken: at once if it says so, else in whole seconds.
    fn deadline(&self) -> Instant {
        let held = self.held.front().map(|(until, ..)| *until);
        let wait = self.wake_at.get().saturating_sub(clock::now().get());
        // A wall clock that jumps back must not put off the rounds: the core is asked at least this often.
        let wake = Instant::now() + Duration::from_secs(wait.min(2 * limits::ANTI_ENTROPY_S));
        held.map_or(wake, |held| held.min(wake))
    }

    /// One step of the core and everything that follows from it.
    async fn step(&mut self, input: Input) -> Result<(), RunError> {
        let outputs = self
            .centre
            .handle(input, clock::now(), &mut self.rng, &*self.store);
        let mut rest = Vec::with_capacity(outputs.len());
        for output in outputs {
            if let Output::Commit(batch) = output {
                let store = Arc::clone(&self.store);
                let committed = tokio::task::spawn_blocking(move || store.commit(batch)).await;
                committed.map_err(|_| RunError::Task)??;
                self.maintain();
            } else {
                rest.push(output);
            }
        }
        rest.into_iter().for_each(|output| self.follow(output));
        Ok(())
    }

    fn follow(&mut self, output: Output) {
        match output {
            // Made durable before.
            Output::Commit(_) => {}
            Output::Send(peer, message) => self.send(&peer, message.to_bytes()),
            Output::Spawn(id, job) => self.spawn(id, job),
            Output::Emit(event) => self.tell(&event),
            Output::WakeAt(at) => self.wake_at = at,
            Output::Drop(peer, reason) => self.drop_peer(&peer, &reason),
            Output::Reply(id, done) => {
                // Whoever asked may have gone.
                let _ = self.replies.remove(&id).map(|answer| answer.send(done));
            }
            Output::RosterChanged => {
                self.admitted.set(self.centre.roster(), clock::now());
                self.directory.set(self.centre.roster(), clock::now());
                self.net.set_peers(self.directory.peers(self.centre.id()));
                self.admitted.set(self.centre.roster(), clock::now());
                if let Some((service, logs)) = &self.witness {
                    match Logs::of_node(self.centre.roster().clone(), logs.clone()) {
                        Ok(logs) => service.set_logs(logs),
                        Err(error) => tracing::warn!(%error, "logs outside the network"),
                    }
                }
            }
        }
    }

    fn on_ask(&mut self, ask: Ask) -> Option<Input> {
        match ask {
            // Just after a start others are still on their way.
            Ask::Command(command, answer)
                if self.centre.unconfirmed().is_some() && self.held.len() < ASKS_WAITING =>
            {
                let until = Instant::now() + UNCONFIRMED_WAIT;
                self.held.push_back((until, command, answer));
                None
            }
            Ask::Command(command, answer) => Some(self.command(command, answer)),
            Ask::Status(answer) => {
                let _ = answer.send(self.status());
                None
            }
            Ask::JobDone(id, result) => Some(Input::JobDone(id, result)),
        }
    }

    fn on_network(&mut self, event: NetEvent) -> Option<Input> {
        match event {
            NetEvent::Up(peer) => {
                let centre = self.directory.centre(&peer)?;
                tracing::info!(%centre, "connected");
                self.up.insert(peer, centre.clone());
                Some(Input::PeerUp(centre))
            }
            NetEvent::Down(peer) => {
                let centre = self.up.remove(&peer)?;
                tracing::info!(%centre, "disconnected");
                Some(Input::PeerDown(centre))
            }
            NetEvent::Frame { peer, bytes } => {
                Some(Input::Received(self.directory.centre(&peer)?, Frame(bytes)))
            }
            NetEvent::Listening(address) => {
                tracing::info!(%address, "listening");
                None
            }
            NetEvent::Refused { peer, why } => {
                let centre = peer.and_then(|peer| self.directory.centre(&peer));
                self.remember(Seen::refused(centre.as_ref(), &why));
                None
            }
            // Anti-entropy says it again.
            NetEvent::Undelivered { .. } => None,
        }
    }

    fn send(&self, peer: &CentreId, frame: Vec<u8>) {
        let Some(peer_id) = self.directory.peer(peer) else {
            return;
        };
        if let Err(error) = self.net.send(peer_id, frame) {
            tracing::debug!(centre = %peer, %error, "not sent");
        }
    }

    fn drop_peer(&mut self, peer: &CentreId, reason: &Reason) {
        tracing::warn!(centre = %peer, %reason, "dropped");
        self.remember(Seen::dropped(peer, reason));
        if let Some(peer_id) = self.directory.peer(peer) {
            self.net.disconnect(peer_id);
        }
    }

    fn tell(&mut self, event: &Event) {
        let seen = Seen::event(event);
        match seen.is_alarm() {
            true => tracing::warn!(kind = seen.kind, "{}", seen.text),
            false => tracing::info!(kind = seen.kind, "{}", seen.text),
        }
        self.remember(seen);
    }

    fn remember(&mut self, seen: Seen) {
        // Alarms must not be washed away by the traffic of a catch-up.
        if self.seen.len() == EVENTS_KEPT {
            let at = self
                .seen
                .iter()
                .position(|seen| !seen.is_alarm())
                .unwrap_or(0);
            self.seen.remove(at);
        }
        self.seen.push_back(seen);
    }

    /// Merges index segments beside the loop, one merge at a time.
    fn maintain(&self) {
        if self.maintaining.swap(true, Ordering::AcqRel) {
            return;
        }
        let (store, maintaining) = (Arc::clone(&self.store), Arc::clone(&self.maintaining));
        tokio::task::spawn_blocking(move || {
            if let Err(error) = store.maintain() {
                tracing::warn!(%error, "index segments were not merged; look-ups get slower");
            }
            maintaining.store(false, Ordering::Release);
        });
    }
}
