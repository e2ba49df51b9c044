//! The core: one pure machine that decides what a centre writes, sends and fetches.
//!
//! `handle(input, now, rng, view) -> outputs`: no clock, no socket, no disk. The node makes the `Commit` of a step durable
//! and then does the rest in order; a failed commit ends the process, and starting again takes the same path as starting.
//! Heavy work leaves as a [`Job`] and comes back as an [`Input`].
//!
//! | file | answers |
//! |---|---|
//! | `commands` | what the operator asks: define classes, append, retract, apply a roster, log a policy |
//! | `heads` | what peers say their logs are, and which of it is a fault |
//! | `law` | which policy documents are in force, and what may flow |
//! | `logs` | how a mirrored log grows |
//! | `bodies` | how bodies are fetched, admitted and applied in order |
//! | `mirror` | what is remembered of a mirrored log |
//! | `cosign` | witnessing others' logs, and gathering a quorum for our own |
//! | `transfers` | who gives what to whom under policy, and what both write down of it |
//! | `recalls` | what is asked back of whom, and given back |
//! | `evidence` | what is said of entries and ordered by two people, to whom it goes, who has applied our retractions |
//! | `matching` | who may check lists here, in private, and what is charged |
//! | `publishing` | which entries go into the subset of which member |
//! | `restore` | when our disk is an old copy, and how our log is had back |
//! | `forks` | what a log with two faces brings about |
//! | `say` | inputs, outputs, jobs and events |

mod bodies;
mod commands;
mod cosign;
mod evidence;
mod forks;
mod heads;
mod law;
mod logs;
mod matching;
mod mirror;
mod publishing;
mod recalls;
mod restore;
mod say;
mod transfers;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hashpact_keys::{CentreId, KeyId, Origin, Roster, SignedRoster, Signer, Timestamp};
use rand_core::CryptoRng;

use crate::labels::{ClassId, Labels, State};
use crate::limits;
use crate::policy::Closed;
use crate::view::{Damaged, LogState, View};
use crate::wire::Message;

pub use commands::CommandError;
use evidence::Carriage;
pub use evidence::RetractionLag;
pub use law::{Flow, PolicyStanding, documents as policy_documents};
use matching::Matching;
pub use matching::{
    ClassRow, MatchDay, MatchGrant, MatchGroup, MatchGroups, MatchRefusal, MatchRequest, Member,
    MemberError, MemberId,
};
pub use publishing::{PublishAccess, Released, Unpublished};
pub use recalls::RecallFault;
use recalls::Recalls;
pub use say::{Command, CommandId, Event, Input, Job, JobId, JobResult, Outcome, Output, Reason};

use cosign::Gathering;
pub use cosign::Roles;
use forks::Dispute;
use law::Books;
use mirror::{Mirror, Pace, later};
pub use transfers::TermsError;
use transfers::Transfers;

/// The keys that the core signs with.
pub struct CentreKeys {
    /// Signs headers and class definitions.
    pub delta: Signer,
    /// Signs checkpoints.
    pub log: Signer,
    /// Cosigns others' checkpoints.
    pub witness: Signer,
    /// Cosigns what is stored.
    pub mirror: Signer,
    /// Signs what this centre says of entries.
    pub attest: Signer,
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
    /// Since when it shows a smaller log: a centre with an old disk needs a moment to learn it.
    rolled_back: Option<Timestamp>,
}

/// One centre.
pub struct Centre {
    id: CentreId,
    keys: CentreKeys,
    roster: SignedRoster,
    origin: Origin,
    own: LogState,
    own_classes: BTreeMap<Labels, ClassId>,
    /// Set while others have seen more of our log than we hold: nothing is signed then.
    behind: Option<u64>,
    /// Whether enough others said in this run that they have seen no more of our log than we hold.
    confirmed: bool,
    /// How much of our log each witness has seen.
    reports: BTreeMap<String, u64>,
    /// Keys that this node must not cosign with.
    retired: BTreeSet<KeyId>,
    gathering: Gathering,
    roles: BTreeMap<Origin, Arc<Roles>>,
    /// Logs that show two faces, until it is known where they part.
    disputes: BTreeMap<Origin, Dispute>,
    /// Peers that get our heads at the end of the step.
    tell: BTreeSet<CentreId>,
    mirrors: BTreeMap<Origin, Mirror>,
    peers: BTreeMap<CentreId, Peer>,
    books: Books,
    transfers: Transfers,
    recalls: Recalls,
    evidence: Carriage,
    matching: Matching,
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
        let signers = [&keys.witness, &keys.mirror].map(|key| key.public().key_id());
        let retired = signers
            .into_iter()
            .filter(|key| view.is_retired(key))
            .collect();
        let mut centre = Self {
            id,
            keys,
            roster,
            origin,
            own,
            own_classes: BTreeMap::new(),
            behind: None,
            confirmed: false,
            reports: BTreeMap::new(),
            retired,
            gathering: Gathering::default(),
            roles: BTreeMap::new(),
            disputes: BTreeMap::new(),
            tell: BTreeSet::new(),
            mirrors: BTreeMap::new(),
            peers: BTreeMap::new(),
            books: Books::default(),
            transfers: Transfers::default(),
            recalls: Recalls::default(),
            evidence: Carriage::default(),
            matching: Matching::default(),
            session,
            counter: 0,
            next_job: 0,
            next_round: Timestamp::new(0),
            told_closed: None,
        };
        centre.load_classes(view);
        centre.load_mirrors(view);
        centre.read_law(view, &mut Vec::new());
        centre.load_transfers(view);
        centre.load_recalls(view);
        centre.load_evidence(view);
        centre.load_members(view);
        centre.load_sessions(view);
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
        self.read_law(view, &mut out);
        match input {
            Input::PeerUp(peer) => self.on_peer_up(peer, now, view, &mut out),
            Input::PeerDown(peer) => self.on_peer_down(&peer),
            Input::Undelivered(peer) => self.on_undelivered(&peer, view, &mut out),
            Input::Received(peer, frame) => {
                self.on_received(&peer, &frame, now, rng, view, &mut out)
            }
            Input::Command(id, command) => self.on_command(id, command, now, rng, view, &mut out),
            Input::JobDone(id, result) => self.on_job_done(id, result, now, view, &mut out),
            Input::Wake => self.log_rosters(now, view, &mut out),
        }
        self.cosign_what_is_due(now, view, &mut out);
        self.fetch_logs(now, &mut out);
        self.propose_transfers(now, view, &mut out);
        self.fetch_bodies(now, view, &mut out);
        self.end_serving(now, &mut out);
        self.recall_what_is_due(now, rng, view, &mut out);
        self.close_left(now, rng, view, &mut out);
        self.carry_evidence(now, view, &mut out);
        self.settle_disputes(now, view, &mut out);
        self.keep_time(now, rng, &mut out);
        self.tell_heads(&mut out);
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
        let others = self.mirrors.iter();
        // Our own is among them while it is fetched back.
        others
            .filter(|(origin, _)| **origin != self.origin)
            .map(|(origin, mirror)| (origin, &mirror.state))
    }

    /// Whether a connection to a centre is open.
    #[must_use]
    pub fn is_up(&self, peer: &CentreId) -> bool {
        self.peers.contains_key(peer)
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
        self.load_roles();
    }

    fn on_peer_up(
        &mut self,
        peer: CentreId,
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) {
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
        self.tell_forks(&peer, view, out);
        self.transfers_up(&peer, now, out);
        self.recalls_up(&peer);
        self.evidence_up(&peer);
        self.tell.insert(peer);
    }

    /// Tells a peer again what it may not have heard.
    fn on_undelivered(&mut self, peer: &CentreId, view: &impl View, out: &mut Vec<Output>) {
        if self.peers.contains_key(peer) {
            self.tell_forks(peer, view, out);
            self.evidence_up(peer);
            self.tell.insert(peer.clone());
        }
    }

    fn on_peer_down(&mut self, peer: &CentreId) {
        self.peers.remove(peer);
        self.transfers_down(peer);
        self.tell.remove(peer);
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
        if let Some(witness) = self.submitted(id) {
            return self.on_submitted(&witness, result, now, view, out);
        }
        if let Some(error) = self.looked_up(id) {
            return self.on_sharers(error, result, now, view, out);
        }
        if let Some(origin) = self.compared(id) {
            return self.on_compared(&origin, result, view, out);
        }
        let job = self.mirrors.iter().find_map(|(origin, mirror)| {
            let log = mirror.fetching.as_ref().is_some_and(|(job, ..)| *job == id);
            let seq = mirror
                .body_jobs
                .iter()
                .find(|(_, fetch)| fetch.job == id)
                .map(|(seq, _)| *seq);
            (log || seq.is_some()).then(|| (origin.clone(), seq))
        });
        match job {
            Some((origin, None)) => self.on_suffix(&origin, result, now, view, out),
            Some((origin, Some(seq))) => self.on_body(&origin, seq, result, now, view, out),
            // Its log left the roster meanwhile.
            None => {}
        }
    }

    /// The checkpoints that this node holds, as one message to a peer: of each log the newest witnessed one and the pending
    /// one. What is known of the peer's own log comes first, leaves or not: it may have lost it.
    fn heads(&mut self, peer: &CentreId) -> Message {
        self.counter += 1;
        let theirs = self.mirrors.iter().find(|(log, _)| log.centre() == peer);
        let theirs = theirs.into_iter().flat_map(|(_, mirror)| {
            let offers = mirror.offers.values();
            let known = offers.chain(&mirror.state.head);
            known.max_by_key(|head| head.checkpoint().size)
        });
        // What may be an old copy of our own log would look like a rollback, or a fork.
        let is_sure = self.behind.is_none() && self.unconfirmed().is_none();
        let own = self.own.witnessed.iter().filter(|_| is_sure);
        let pending = self.gathering.candidate.iter().filter(|_| is_sure);
        let pending = pending.map(|candidate| &candidate.head);
        // A head is passed on only when the leaves under it are here to be fetched.
        let mirrored = self.mirrors.iter().filter(|(log, _)| **log != self.origin);
        let mirrored = mirrored.flat_map(|(_, mirror)| {
            let state = &mirror.state;
            let whole = state
                .head
                .iter()
                .filter(|head| head.checkpoint().size == state.size);
            state.witnessed.iter().chain(whole)
        });
        let mut notes: Vec<Vec<u8>> = Vec::new();
        let mut room = limits::FRAME_BYTES - 64;
        for head in own.chain(pending).chain(theirs).chain(mirrored) {
            let note = head.note().to_vec();
            let Some(left) = room.checked_sub(note.len() + 5) else {
                continue;
            };
            if notes.len() < limits::HEADS_PER_MESSAGE && !notes.contains(&note) {
                room = left;
                notes.push(note);
            }
        }
        Message::Heads {
            session: self.session,
            counter: self.counter,
            notes,
        }
    }

    /// Has every peer told at the end of the step.
    fn announce(&mut self, except: Option<&CentreId>) {
        let others = self.peers.keys().filter(|peer| Some(*peer) != except);
        self.tell.extend(others.cloned());
    }

    fn tell_heads(&mut self, out: &mut Vec<Output>) {
        for peer in std::mem::take(&mut self.tell) {
            if self.peers.contains_key(&peer) {
                let heads = self.heads(&peer);
                out.push(Output::Send(peer, heads));
            }
        }
    }

    /// Anti-entropy, and the time of the next step.
    fn keep_time(&mut self, now: Timestamp, rng: &mut impl CryptoRng, out: &mut Vec<Output>) {
        // A round that is further off than any round was set by a clock that has jumped back since.
        let jumped = self.next_round > later(now, 2 * limits::ANTI_ENTROPY_S);
        if now >= self.next_round || jumped {
            if self.next_round.get() > 0 {
                self.announce(None);
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
            .chain(self.cosign_wakes(now))
            .chain(self.transfer_wakes().into_iter().filter(|at| *at > now))
            .chain(self.recall_wakes().filter(|at| *at > now))
            .chain(self.evidence_wakes().map(|at| at.max(later(now, 1))))
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
}

/// Whether our store defines the class as suspected.
fn is_suspected(origin: &Origin, class: ClassId, view: &impl View) -> bool {
    let labels = view.class(origin, class);
    labels.is_some_and(|labels| labels.state == State::Suspected)
}

impl From<Damaged> for CommandError {
    fn from(_: Damaged) -> Self {
        Self::Store
    }
}
