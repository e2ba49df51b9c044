//! How a node comes up: its store, its roster, its core, and everything that listens.
//!
//! In scope: opening, and commands on a stopped node. Out of scope: running (`daemon`), keys and configuration themselves.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use axum::Router;
use hashpact_keys::{KeyUse, Origin, SignedRoster, Timestamp};
use hashpact_protocol::centre::{
    Centre, CentreKeys, Command, CommandError, CommandId, Input, Outcome, Output, StartError,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use tokio::sync::mpsc;

use super::docket::Docket;
use super::handle::ASKS_WAITING;
use super::people::People;
use super::reach::Reach;
use super::submissions::Submissions;
use super::waiting::Waiting;
use super::{Daemon, Directory, Handle, Library, stock};
use crate::clock;
use crate::config::{Checked, ConfigError};
use crate::gateway::credentials::CredentialError;
use crate::gateway::desk::Desk;
use crate::gateway::serve::Gateway;
use crate::home::{Home, HomeError, NodeKeys};
use crate::http::{Admitted, ClientFilesError, HttpClient, HttpClientConfig, LogFolder, Server};
use crate::matching::Parts;
use crate::matching::check::Caches;
use crate::net::{self, NetConfig, NetError};
use crate::store::durable::Steps;
use crate::store::{CommitError, OpenError, Store};
use crate::subset;
use crate::witness::NodeWitnessError;

/// How long a witness over HTTP may take to answer: it writes to a disk and signs.
const WITNESS_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

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
    /// The credentials of members.
    #[error(transparent)]
    Credentials(Box<dyn std::error::Error + Send + Sync>),
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

/// Marks a home as one whose log has begun: data that is missing beside the mark was lost.
///
/// # Errors
/// Of the disk.
pub fn mark_begun(home: &Home) -> std::io::Result<()> {
    match home.begun().exists() {
        true => Ok(()),
        false => std::fs::write(home.begun(), "this node's log has begun\n"),
    }
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
        attest: keys.signer(KeyUse::Attest)?,
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
            | Output::MembersChanged
            | Output::EvidenceChanged(_)
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

/// Serves members over HTTP if the configuration says so.
fn serve_members(home: &Home, handle: &Handle) -> Result<Option<Gateway>, ConfigError> {
    let Some(config) = &handle.checked.gateway else {
        return Ok(None);
    };
    let started = Gateway::start(config, home.path(), &handle.gateway, handle.clone());
    started.map(Some).map_err(ConfigError::Gateway)
}

impl From<CredentialError> for RunError {
    fn from(error: CredentialError) -> Self {
        Self::Credentials(Box::new(error))
    }
}

/// Asks witnesses over HTTP.
fn witness_client(home: &Home, checked: &Checked) -> Result<HttpClient, ClientFilesError> {
    HttpClient::new(&HttpClientConfig {
        timeout: WITNESS_TIMEOUT,
        identity: None,
        roots: checked
            .witness_roots
            .as_ref()
            .map(|path| home.path().join(path)),
    })
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
        let store = Arc::new(open_store(home, keys, &checked, steps.clone())?);
        let roster = roster_in_force(&store)?;
        // An earlier process may have ended between the log and the mark.
        mark_begun(home)?;
        if !roster.roster().demo && !keys.is_sealed() {
            return Err(RunError::PlainKeys);
        }
        let signers = centre_keys(keys)?;
        let session = clock::now_ms();
        let centre = Centre::new(checked.centre.clone(), signers, roster, session, &*store)?;
        let directory = Directory::default();
        directory.set(centre.roster(), clock::now());
        let origin = checked.origin.clone();
        let library = Library::new(Arc::clone(&store), directory.clone(), origin);
        directory.set_members(centre.members());
        let config = NetConfig {
            seed: keys.node_seed()?,
            listen: checked.listen.clone(),
            peers: directory.peers(&checked.centre),
        };
        let (asks_in, asks) = mpsc::channel(ASKS_WAITING);
        let parts = Parts::new(&home.data(), checked.origin.clone(), steps.clone());
        let checked = Arc::new(checked);
        let caches = Caches::new(home.match_cache(), keys.match_cache_key());
        let reach = Reach::new(directory.clone(), checked.centre.clone(), caches);
        let reach = Arc::new(reach);
        let network = centre.roster().network;
        let signer = keys.signer(KeyUse::Manifest)?;
        let cursors = keys.cursor_key();
        let subset = subset::Idle::new(&home.data(), &store, (network, signer), cursors, &steps);
        let handle = Handle {
            asks: asks_in,
            store: Arc::clone(&store),
            checked: Arc::clone(&checked),
            ingesting: Arc::default(),
            docket: Docket::begin(checked.origin.clone(), &store),
            people: People::new(&home.data(), &checked),
            matching: parts.desk(),
            gateway: Desk::open(&home.data(), centre.members())?,
            log_signer: Arc::new(keys.signer(KeyUse::Log)?),
            reach: Arc::clone(&reach),
            subset: subset.desk(),
            directory: directory.clone(),
        };
        let answering = parts.answering(handle.clone(), directory.clone(), network);
        let signer = keys.signer(KeyUse::Manifest)?;
        let building = parts.building(handle.clone(), keys.match_keys(), steps, network, signer);
        let (net, heard) = net::start(config, Arc::new(library), Some(answering.service()))?;
        reach.up(&net);
        let (admitted, mut seen) = (Admitted::default(), VecDeque::new());
        admitted.set(centre.roster(), clock::now());
        let (witness, routes) = stock::open(home, keys, &checked, centre.roster(), &mut seen)?;
        let http = serve_logs(home, &checked, admitted.clone(), routes)?;
        let gateway = serve_members(home, &handle)?;
        let client = witness_client(home, &checked)?;
        let urls = checked.witnesses.clone();
        let submissions = Arc::new(Submissions::new(Arc::clone(&store), client, urls));
        Ok(Self {
            centre,
            store,
            net,
            heard,
            asks,
            handle,
            directory,
            up: BTreeMap::new(),
            seen,
            wake_at: Timestamp::new(0),
            replies: BTreeMap::new(),
            next_command: 0,
            rng: random()?,
            maintaining: Arc::default(),
            admitted,
            http,
            gateway,
            submissions,
            witness,
            waiting: Waiting::default(),
            matching: Some((answering, building)),
            subset: Some(subset),
        })
    }
}
