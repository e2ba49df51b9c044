//! The core: one pure machine that decides what a centre writes, sends and fetches.
//!
//! `handle(input, now, rng, view) -> outputs`: no clock, no socket, no disk. The node makes the `Commit` of a step durable
//! and then does the rest in order; a failed commit ends the process, and starting again takes the same path as starting.
//! Heavy work leaves as a [`Job`] and comes back as an [`Input`].
//!
//! | file | answers |
//! |---|---|
//! | `commands` | what the operator asks: define classes, append, retract, apply a roster |
//! | `heads` | what peers say their logs are, and which of it is a fault |
//! | `logs` | how a mirrored log grows |
//! | `bodies` | how bodies are fetched, admitted and applied in order |
//! | `mirror` | what is remembered of a mirrored log |
//! | `say` | inputs, outputs, jobs and events |

mod bodies;
mod commands;
mod heads;
mod logs;
mod mirror;
mod say;

use std::collections::BTreeMap;

use hashpact_keys::{CentreId, Origin, Roster, SignedRoster, Signer, Timestamp};
use rand_core::CryptoRng;

use crate::labels::{ClassId, Labels};
use crate::limits;
use crate::policy::{Closed, Policy};
use crate::view::{Damaged, LogState, View};
use crate::wire::Message;

pub use commands::CommandError;
pub use say::{Command, CommandId, Event, Input, Job, JobId, JobResult, Outcome, Output, Reason};

use mirror::{Mirror, Pace, later};

/// The keys that the core signs with.
pub struct CentreKeys {
    /// Signs headers and class definitions.
    pub delta: Signer,
    /// Signs checkpoints.
    pub log: Signer,
}

/// Why a centre cannot start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// The roster does not name it.
    #[error("centre {0} is not on the roster")]
    NotOnRoster(CentreId),
}

#[derive(Default)]
struct Peer {
    /// Order of its newest heads: (session, counter).
    newest: (u64, u64),
    /// Leaves that its own log had, as it showed itself or as was known before it connected.
    reached: u64,
}

/// One centre.
pub struct Centre {
    id: CentreId,
    keys: CentreKeys,
    roster: SignedRoster,
    origin: Origin,
    own: LogState,
    own_classes: BTreeMap<Labels, ClassId>,
    /// Set when peers hold more of our log than we do: nothing is signed any more.
    behind: Option<u64>,
    mirrors: BTreeMap<Origin, Mirror>,
    peers: BTreeMap<CentreId, Peer>,
    session: u64,
    counter: u64,
    next_job: u64,
    next_round: Timestamp,
    /// Why nothing opens, as far as it was said.
    told_closed: Option<Closed>,
}

impl Centre {
    /// Starts from what is durable. `session` orders this run among others: the start time in milliseconds.
    ///
    /// # Errors
    /// [`StartError::NotOnRoster`].
    pub fn new(
        id: CentreId,
        keys: CentreKeys,
        roster: SignedRoster,
        session: u64,
        view: &impl View,
    ) -> Result<Self, StartError> {
        let entry = roster.roster().centre(&id);
        let origin = entry
            .ok_or_else(|| StartError::NotOnRoster(id.clone()))?
            .origin
            .clone();
        let own = view.log(&origin);
        let classes = (0..own.next_class)
            .filter_map(|n| u16::try_from(n).ok())
            .map(ClassId);
        let own_classes = classes
            .filter_map(|class| view.class(&origin, class).map(|labels| (labels, class)))
            .collect();
        let mut centre = Self {
            id,
            keys,
            roster,
            origin,
            own,
            own_classes,
            behind: None,
            mirrors: BTreeMap::new(),
            peers: BTreeMap::new(),
            session,
            counter: 0,
            next_job: 0,
            next_round: Timestamp::new(0),
            told_closed: None,
        };
        centre.load_mirrors(view);
        Ok(centre)
    }

    /// One step: what happened, and what to do about it.
    pub fn handle(
        &mut self,
        input: Input,
        now: Timestamp,
        rng: &mut impl CryptoRng,
        view: &impl View,
    ) -> Vec<Output> {
        let mut out = Vec::new();
        match input {
            Input::PeerUp(peer) => self.on_peer_up(peer, &mut out),
            Input::PeerDown(peer) => self.on_peer_down(&peer),
            Input::Received(peer, frame) => self.on_received(&peer, &frame, now, view, &mut out),
            Input::Command(id, command) => self.on_command(id, command, now, rng, view, &mut out),
            Input::JobDone(id, result) => self.on_job_done(id, result, now, view, &mut out),
            Input::Wake => {}
        }
        self.fetch_logs(now, &mut out);
        self.fetch_bodies(now, view, &mut out);
        self.keep_time(now, rng, &mut out);
        out
    }

    /// Who this is.
    #[must_use]
    pub fn id(&self) -> &CentreId {
        &self.id
    }

    /// The roster in force.
    #[must_use]
    pub fn roster(&self) -> &Roster {
        self.roster.roster()
    }

    /// The roster's signed bytes.
    #[must_use]
    pub fn signed_roster(&self) -> &SignedRoster {
        &self.roster
    }

    /// Where its own log stands.
    #[must_use]
    pub fn own_log(&self) -> (&Origin, &LogState) {
        (&self.origin, &self.own)
    }

    /// Where the logs that it mirrors stand.
    pub fn mirrored(&self) -> impl Iterator<Item = (&Origin, &LogState)> {
        self.mirrors
            .iter()
            .map(|(origin, mirror)| (origin, &mirror.state))
    }

    /// Whether a connection to a centre is open.
    #[must_use]
    pub fn is_up(&self, peer: &CentreId) -> bool {
        self.peers.contains_key(peer)
    }

    /// Size of our own log that peers have seen, if it is more than we hold.
    #[must_use]
    pub fn behind(&self) -> Option<u64> {
        self.behind
    }

    fn load_mirrors(&mut self, view: &impl View) {
        let origins: Vec<Origin> = self
            .roster()
            .centres
            .iter()
            .map(|centre| centre.origin.clone())
            .collect();
        for origin in origins.into_iter().filter(|origin| *origin != self.origin) {
            self.mirrors
                .entry(origin.clone())
                .or_insert_with(|| Mirror {
                    state: view.log(&origin),
                    ..Mirror::default()
                });
        }
    }

    fn on_peer_up(&mut self, peer: CentreId, out: &mut Vec<Output>) {
        if peer == self.id || self.roster().centre(&peer).is_none() {
            return;
        }
        let origin = self.roster().centre(&peer).map(|centre| &centre.origin);
        let mirror = origin.and_then(|origin| self.mirrors.get(origin));
        let reached = mirror.map_or(0, |mirror| mirror.state.head_size());
        self.peers.insert(
            peer.clone(),
            Peer {
                reached,
                ..Peer::default()
            },
        );
        let heads = self.heads();
        out.push(Output::Send(peer, heads));
    }

    fn on_peer_down(&mut self, peer: &CentreId) {
        self.peers.remove(peer);
        let origin = self
            .roster()
            .centre(peer)
            .map(|centre| centre.origin.clone());
        for (log, mirror) in &mut self.mirrors {
            mirror.offers.remove(peer);
            if origin.as_ref() == Some(log) {
                // What waits for a body that may not come would hold the place of another origin's.
                mirror.ready.clear();
            }
        }
    }

    fn on_job_done(
        &mut self,
        id: JobId,
        result: JobResult,
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) {
        let job = self.mirrors.iter().find_map(|(origin, mirror)| {
            let log = mirror.fetching.as_ref().is_some_and(|(job, ..)| *job == id);
            let seq = mirror
                .body_jobs
                .iter()
                .find(|(_, job)| **job == id)
                .map(|(seq, _)| *seq);
            (log || seq.is_some()).then(|| (origin.clone(), seq))
        });
        match job {
            Some((origin, None)) => self.on_suffix(&origin, result, now, view, out),
            Some((origin, Some(seq))) => self.on_body(&origin, seq, result, now, out),
            // Its log left the roster meanwhile.
            None => {}
        }
    }

    /// The checkpoints that this node holds, as one message.
    fn heads(&mut self) -> Message {
        self.counter += 1;
        let own = self.own.head.iter();
        // A head is passed on only when the leaves under it are here to be fetched.
        let mirrored = self.mirrors.values().filter_map(|mirror| {
            mirror
                .state
                .head
                .as_ref()
                .filter(|head| head.checkpoint().size == mirror.state.size)
        });
        let notes = own.chain(mirrored).map(|head| head.note().to_vec());
        let mut room = limits::FRAME_BYTES - 64;
        let fits = |note: &Vec<u8>| {
            let left = room.checked_sub(note.len() + 5);
            room = left.unwrap_or(room);
            left.is_some()
        };
        let notes = notes.filter(fits).take(limits::HEADS_PER_MESSAGE).collect();
        Message::Heads {
            session: self.session,
            counter: self.counter,
            notes,
        }
    }

    fn announce(&mut self, except: Option<&CentreId>, out: &mut Vec<Output>) {
        let peers: Vec<_> = self
            .peers
            .keys()
            .filter(|peer| Some(*peer) != except)
            .cloned()
            .collect();
        if peers.is_empty() {
            return;
        }
        let heads = self.heads();
        out.extend(
            peers
                .into_iter()
                .map(|peer| Output::Send(peer, heads.clone())),
        );
    }

    /// Anti-entropy, and the time of the next step.
    fn keep_time(&mut self, now: Timestamp, rng: &mut impl CryptoRng, out: &mut Vec<Output>) {
        // A round that is further off than any round was set by a clock that has jumped back since.
        let jumped = self.next_round > later(now, 2 * limits::ANTI_ENTROPY_S);
        if now >= self.next_round || jumped {
            if self.next_round.get() > 0 {
                self.announce(None, out);
            }
            // Jitter keeps the centres of a network from speaking at once.
            let jitter = u64::from(rng.next_u32()) % (limits::ANTI_ENTROPY_S / 2);
            self.next_round = later(now, limits::ANTI_ENTROPY_S + jitter);
        }
        let paces = self
            .mirrors
            .values()
            .flat_map(|mirror| [&mirror.log_pace, &mirror.body_pace]);
        let retry = paces
            .filter_map(|pace| pace.not_before)
            .filter(|at| *at > now)
            .min();
        let next = retry.map_or(self.next_round, |at| at.min(self.next_round));
        // What a log names can be fetched once it is durable, and so not in the step that commits it.
        let committed = out.iter().any(|output| matches!(output, Output::Commit(_)));
        out.push(Output::WakeAt(if committed { now } else { next }));
    }

    fn job(&mut self) -> JobId {
        self.next_job += 1;
        JobId(self.next_job)
    }

    fn policy(&self, now: Timestamp) -> Policy {
        Policy::in_force(self.roster(), now)
    }
}

impl From<Damaged> for CommandError {
    fn from(_: Damaged) -> Self {
        Self::Store
    }
}
