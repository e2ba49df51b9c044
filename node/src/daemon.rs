//! The daemon: one loop that obeys the core.
//!
//! It turns what happens (network, operator, time, finished jobs) into [`Input`]s and does what the core answers: first
//! every commit, then the rest in order. A failed commit ends the process, because what is in memory is then ahead of what
//! is on disk; starting again reads the disk.
//!
//! | file | answers |
//! |---|---|
//! | `start` | how a node comes up, and commands on a stopped one |
//! | `handle` | how the rest of the process asks |
//! | `waiting` | commands that came too early, and peers that missed something |
//! | `peers` | which libp2p identity is which centre |
//! | `reach` | how other centres are asked to match |
//! | `library` | what is read to answer other centres |
//! | `jobs` | how heavy work runs beside the loop |
//! | `ingest` | how a file becomes signed deltas |
//! | `docket` | what waits for an answer of this centre |
//! | `status` | what an operator is told |
//! | `submissions` | how witnesses outside the network are asked |
//! | `stock` | how logs outside the network are cosigned |

mod docket;
mod handle;
mod ingest;
mod jobs;
mod library;
mod peers;
pub mod people;
mod reach;
mod start;
mod status;
mod stock;
mod submissions;
mod waiting;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use hashpact_keys::{CentreId, Timestamp};
use hashpact_protocol::centre::{Centre, Command, CommandId, Event, Input, Output, Reason};
use hashpact_protocol::limits;
use hashpact_protocol::wire::Frame;
use rand_chacha::ChaCha20Rng;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::clock;
use crate::gateway::serve::Gateway;
use crate::http::{Admitted, Server};
use crate::matching::{Answering, Idle};
use crate::net::{Net, NetEvent, PeerId};
use crate::store::Store;
use crate::subset;

pub(crate) use docket::Case;
pub(crate) use handle::{Ask, Pending};
pub use handle::{AskError, Handle, Stopped};
pub use ingest::{IngestMore, IngestOrder, IngestPhase, IngestProgress, IngestRun, IngestRunError};
pub use library::Library;
pub use peers::Directory;
pub use start::{RunError, centre_keys, command_offline, mark_begun, open_store, roster_in_force};
pub use status::{
    CappedStatus, LaggingStatus, LogStatus, MatchStatus, MatchedStatus, OpenStatus, OrderStatus,
    OwingStatus, PeerStatus, PolicyStatus, RecallStatus, RefusedStatus, Seen, Status,
    WithheldStatus,
};

use handle::Answer;
use stock::Stock;
use submissions::Submissions;
use waiting::Waiting;

/// Upkeep of the index: none runs, one runs, and something was committed since it began.
const UPKEEP_IDLE: u8 = 0;
const UPKEEP_RUNS: u8 = 1;
const UPKEEP_AGAIN: u8 = 2;

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
    maintaining: Arc<AtomicU8>,
    /// Whose keys may read over HTTP.
    admitted: Admitted,
    http: Option<Server>,
    /// Serves members.
    gateway: Option<Gateway>,
    submissions: Arc<Submissions>,
    /// Cosigns logs outside the network.
    witness: Option<Stock>,
    waiting: Waiting,
    /// Private matching, until it is started.
    matching: Option<(Answering, Idle)>,
    /// Publishing to members, until it is started.
    subset: Option<subset::Idle>,
}

impl Daemon {
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
        let matching = self.matching.take();
        let matching = matching.map(|(answering, idle)| idle.start(&answering));
        let subset = self.subset.take();
        let subset = subset.map(|idle| idle.start(self.handle()));
        let ended = self.follow_inputs(&mut stop).await;
        // Whoever asks from now on, or has asked, is told that nobody answers: the parts that are waited for below ask too.
        self.asks.close();
        while self.asks.recv().await.is_some() {}
        if let Some(matching) = matching {
            matching.stop().await;
        }
        if let Some(subset) = subset {
            subset.stop().await;
        }
        ended?;
        if let Some(gateway) = self.gateway.take() {
            gateway.stop().await;
        }
        if let Some(http) = self.http.take() {
            http.stop().await;
        }
        self.net.shutdown().await;
        Ok(())
    }

    async fn follow_inputs(&mut self, stop: &mut watch::Receiver<bool>) -> Result<(), RunError> {
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
            while let Some(input) = self.due() {
                self.step(input).await?;
            }
            self.same_log()?;
        }
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
        let wait = self.wake_at.get().saturating_sub(clock::now().get());
        // A wall clock that jumps back must not put off the rounds: the core is asked at least this often.
        let wake = Instant::now() + Duration::from_secs(wait.min(2 * limits::ANTI_ENTROPY_S));
        self.waiting.until().map_or(wake, |until| until.min(wake))
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
                self.handle.matching.wake();
                self.handle.subset.wake();
            } else {
                rest.push(output);
            }
        }
        rest.into_iter().for_each(|output| self.follow(output));
        if let Some(witness) = &self.witness {
            witness.follow(&self.centre);
        }
        Ok(())
    }

    fn follow(&mut self, output: Output) {
        match output {
            // Made durable before.
            Output::Commit(_) => {}
            Output::Send(peer, message) => self.send(&peer, message.to_bytes()),
            Output::Spawn(id, job) => self.spawn(id, job),
            Output::Emit(event) => {
                if let Event::EvidenceTaken { hash, about, .. } = &event {
                    let origin = about.as_ref().map(|(origin, _)| origin);
                    self.handle.docket.take(*hash, origin, &self.store);
                }
                self.tell(&event);
            }
            Output::WakeAt(at) => self.wake_at = at,
            Output::Drop(peer, reason) => self.drop_peer(&peer, &reason),
            Output::Reply(id, done) => {
                // Whoever asked may have gone.
                let _ = self.replies.remove(&id).map(|answer| answer.send(done));
            }
            Output::MembersChanged => {
                self.handle.gateway.members.set(self.centre.members());
                self.directory.set_members(self.centre.members());
                self.net.set_peers(self.directory.peers(self.centre.id()));
                self.handle.matching.change_members();
                self.handle.subset.change();
            }
            Output::EvidenceChanged(changed) => self.handle.subset.change_evidence(changed),
            Output::RosterChanged => {
                self.handle.subset.change();
                self.admitted.set(self.centre.roster(), clock::now());
                self.directory.set(self.centre.roster(), clock::now());
                self.net.set_peers(self.directory.peers(self.centre.id()));
                if let Some(witness) = &self.witness {
                    witness.set_roster(self.centre.roster());
                }
            }
        }
    }

    fn on_ask(&mut self, ask: Ask) -> Option<Input> {
        match ask {
            Ask::Command(command, answer) => {
                let (command, answer) = self.waiting.hold(&self.centre, command, answer)?;
                Some(self.command(command, answer))
            }
            Ask::Status(answer) => {
                let _ = answer.send(self.status());
                None
            }
            Ask::MatchAccess(asker, answer) => {
                let (now, store) = (clock::now(), &*self.store);
                let access = self.centre.match_access(&asker, now, store);
                // Where policy cannot be asked, nothing may be matched.
                let _ = answer.send(access.unwrap_or_default());
                None
            }
            Ask::PublishAccess(answer) => {
                let access = self
                    .centre
                    .publish_access_of_all(clock::now(), &*self.store);
                let _ = answer.send(access);
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
            NetEvent::Undelivered { peer } => {
                let centre = self.up.get(&peer)?.clone();
                self.waiting.lost(centre);
                None
            }
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
        seen.join(&mut self.seen);
    }

    /// Tidies the index beside the loop, one task at a time, and once more if something was committed meanwhile.
    fn maintain(&self) {
        if self.maintaining.swap(UPKEEP_AGAIN, Ordering::AcqRel) != UPKEEP_IDLE {
            return;
        }
        let (store, maintaining) = (Arc::clone(&self.store), Arc::clone(&self.maintaining));
        tokio::task::spawn_blocking(move || {
            loop {
                maintaining.store(UPKEEP_RUNS, Ordering::Release);
                if let Err(error) = store.maintain() {
                    tracing::warn!(%error, "the index was not tidied: look-ups get slower, rows of what is gone stay");
                }
                let (runs, idle) = (UPKEEP_RUNS, UPKEEP_IDLE);
                let order = (Ordering::AcqRel, Ordering::Acquire);
                let ended = maintaining.compare_exchange(runs, idle, order.0, order.1);
                if ended.is_ok() {
                    return;
                }
            }
        });
    }
}
