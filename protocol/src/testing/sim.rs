//! A network in virtual time: real centres, each over a [`Memory`], with a seed for everything that chance decides.
//!
//! Why: faults of order, loss and crashes show only in combination, and a failure must replay. The shell here does what a
//! node does and no more: it makes a `Commit` durable and then obeys the rest in order, runs jobs against the peer's store
//! through [`serve`](crate::serve) and [`ReceivedBody`], and loses everything in memory when it crashes.
//!
//! | file | answers |
//! |---|---|
//! | `audit` | what must hold after every step |
//! | `schedule` | what happens next, by chance; and how a network heals |
//!
//! In scope: centres and messages. Out of scope: torn batches (the store's own tests), bytes on streams (the node's).

mod audit;
mod schedule;

use std::collections::{BTreeMap, BTreeSet};

use hashpact_keys::roster::RosterDraft;
use hashpact_keys::{CentreId, SignedRoster, Timestamp};

use super::keys::{self, CentreSetup, START};
use super::memory::{Memory, MemoryError};
use super::rng::Seeded;
use crate::centre::{
    Centre, Command, CommandError, CommandId, Event, Input, Job, JobId, JobResult, Outcome,
    Output, Reason,
};
use crate::delta::{Draft, Retraction};
use crate::labels::Labels;
use crate::lists::Set;
use crate::record::{EntryId, Record, Revision};
use crate::serve;
use crate::verify::ReceivedBody;
use crate::wire::{BulkRequest, Frame, Message};

use audit::Audit;
pub use schedule::Settled;

/// What must never happen, and happened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A centre asked its store for something wrong.
    #[error("centre {centre}: {source}")]
    Store {
        /// Which centre, by number.
        centre: usize,
        /// What was wrong.
        source: MemoryError,
    },
    /// A rule of the network was broken.
    #[error("centre {centre}: {rule}")]
    Rule {
        /// Which centre, by number.
        centre: usize,
        /// The rule.
        rule: &'static str,
    },
    /// A centre dropped another, although nobody did wrong.
    #[error("centre {centre} dropped {peer}: {reason}")]
    HonestDropped {
        /// Who dropped.
        centre: usize,
        /// Whom.
        peer: CentreId,
        /// Why, as it says.
        reason: Reason,
    },
    /// A centre accused another, although nobody did wrong.
    #[error("centre {centre}: {event:?}")]
    HonestAccused {
        /// Who accuses.
        centre: usize,
        /// Of what.
        event: Event,
    },
    /// A command that must work was refused.
    #[error("centre {centre}: {error}")]
    Refused {
        /// Which centre, by number.
        centre: usize,
        /// Why, as it says.
        error: CommandError,
    },
    /// Work that feeds itself without time passing.
    #[error("no end of work at one moment")]
    Livelock,
    /// Healed and left alone, the centres do not agree.
    #[error("not converged after {waited_s} s: centre {centre} of log {log}")]
    NotConverged {
        /// Seconds waited.
        waited_s: u64,
        /// A centre that lacks something, by number.
        centre: usize,
        /// The log, by the number of its centre.
        log: usize,
    },
}

/// When a centre dies on its own commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fuse {
    /// The batch is lost, and nothing behind it happens.
    BeforeCommit,
    /// The batch is durable, and nothing behind it happens.
    AfterCommit,
}

/// A centre with its disk. Without a core it is down, or a puppet whose disk the test writes.
struct Node {
    setup: CentreSetup,
    first: SignedRoster,
    memory: Memory,
    centre: Option<Centre>,
    is_puppet: bool,
    /// Whether it is honest, so that what it signed and what others hold of it is checked.
    is_honest: bool,
    fuse: Option<Fuse>,
    session: u64,
    wake: Option<Timestamp>,
    reply: Option<Result<Outcome, CommandError>>,
}

struct Mail {
    from: usize,
    to: usize,
    bytes: Vec<u8>,
}

struct Flight {
    node: usize,
    id: JobId,
    job: Job,
}

/// What a run did, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Control messages sent.
    pub messages: u64,
    /// Bytes of them.
    pub message_bytes: u64,
    /// Jobs started.
    pub jobs: u64,
    /// Bytes that jobs brought.
    pub job_bytes: u64,
}

/// Changes what a centre answers: (its number, the request, the honest answer); none is a transfer that fails.
type Tamper = Box<dyn Fn(usize, &BulkRequest, Vec<u8>) -> Option<Vec<u8>>>;

/// A network in virtual time.
pub struct Sim {
    rng: Seeded,
    now: Timestamp,
    rosters: Vec<SignedRoster>,
    nodes: Vec<Node>,
    up: BTreeSet<(usize, usize)>,
    mail: Vec<Mail>,
    jobs: Vec<Flight>,
    records: u64,
    tamper: Option<Tamper>,
    /// Whether somebody may be dropped or accused: a test that plays an evil part says so.
    faults_expected: bool,
    audit: Audit,
    journal: Vec<String>,
    counts: Counts,
    events: Vec<(usize, Event)>,
    drops: Vec<(usize, CentreId, Reason)>,
}

/// The labels of synthetic class number `n` of a centre: they differ in handling only.
#[must_use]
pub fn class_labels(setup: &CentreSetup, n: u8) -> Labels {
    use crate::labels::Purpose::{Detect, Remove, Statistics, Triage};
    let mut labels = super::labels();
    labels.residency.insert(setup.jurisdiction.clone());
    let purposes = [Statistics, Triage, Detect, Remove].into_iter().enumerate();
    let stated: Vec<_> = purposes.filter(|(bit, _)| n & (1 << bit) != 0).map(|(_, p)| p).collect();
    labels.purposes = Set::of(&stated);
    labels
}

impl Sim {
    /// A network of `n` centres, started and not connected; each has logged its first roster.
    ///
    /// # Errors
    /// [`Violation`].
    pub fn new(seed: u64, n: usize, demo: bool) -> Result<Self, Violation> {
        let (first, centres) = keys::network(n, demo);
        let mut sim = Self {
            rng: Seeded::new(seed),
            now: START,
            rosters: vec![first],
            nodes: Vec::new(),
            up: BTreeSet::new(),
            mail: Vec::new(),
            jobs: Vec::new(),
            records: 0,
            tamper: None,
            faults_expected: false,
            audit: Audit::default(),
            journal: Vec::new(),
            counts: Counts::default(),
            events: Vec::new(),
            drops: Vec::new(),
        };
        centres.into_iter().try_for_each(|setup| sim.add(setup))?;
        Ok(sim)
    }

    fn add(&mut self, setup: CentreSetup) -> Result<(), Violation> {
        let first = self.roster().clone();
        self.nodes.push(Node {
            setup,
            first,
            memory: Memory::default(),
            centre: None,
            is_puppet: false,
            is_honest: true,
            fuse: None,
            session: 0,
            wake: None,
            reply: None,
        });
        self.restart(self.nodes.len() - 1)
    }

    /// How many centres there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Never: a network has a centre.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The newest roster, whoever has applied it.
    ///
    /// # Panics
    /// Never: there is a first one.
    #[must_use]
    #[expect(clippy::unwrap_used, reason = "made with one, and none is taken away")]
    pub fn roster(&self) -> &SignedRoster {
        self.rosters.last().unwrap()
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The names of a centre.
    #[must_use]
    pub fn setup(&self, n: usize) -> &CentreSetup {
        &self.nodes[n].setup
    }

    /// The disk of a centre.
    #[must_use]
    pub fn memory(&self, n: usize) -> &Memory {
        &self.nodes[n].memory
    }

    /// The core of a centre; none while it is down, or a puppet.
    #[must_use]
    pub fn centre(&self, n: usize) -> Option<&Centre> {
        self.nodes[n].centre.as_ref()
    }

    /// Whether a connection is open.
    #[must_use]
    pub fn is_up(&self, a: usize, b: usize) -> bool {
        self.up.contains(&pair(a, b))
    }

    /// What the run did so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// What centres told of, in order.
    #[must_use]
    pub fn events(&self) -> &[(usize, Event)] {
        &self.events
    }

    /// Which centre dropped whom and why, in order.
    #[must_use]
    pub fn drops(&self) -> &[(usize, CentreId, Reason)] {
        &self.drops
    }

    /// What happened, a line each.
    #[must_use]
    pub fn journal(&self) -> &[String] {
        &self.journal
    }

    /// From here on somebody is evil: drops and accusations are no violation.
    pub fn expect_faults(&mut self) {
        self.faults_expected = true;
    }

    /// Changes what centres answer to bulk requests; the closure gets the server's number and its honest answer, and
    /// returns none where the transfer fails.
    pub fn tamper(
        &mut self,
        change: impl Fn(usize, &BulkRequest, Vec<u8>) -> Option<Vec<u8>> + 'static,
    ) {
        self.tamper = Some(Box::new(change));
    }

    /// Lets everybody answer honestly again.
    pub fn tamper_no_more(&mut self) {
        self.tamper = None;
    }

    /// Takes a centre's core away and gives it this disk: it answers bulk requests and says what [`Sim::inject`] says.
    ///
    /// # Errors
    /// [`Violation`] of its peers.
    pub fn puppet(&mut self, n: usize, memory: Memory) -> Result<(), Violation> {
        self.faults_expected = true;
        self.crash(n)?;
        let node = &mut self.nodes[n];
        (node.is_puppet, node.is_honest, node.memory) = (true, false, memory);
        Ok(())
    }

    /// Puts a message on its way as if `from` had sent it.
    pub fn inject(&mut self, from: usize, to: usize, message: &Message) {
        self.mail.push(Mail { from, to, bytes: message.to_bytes() });
    }

    /// A centre's disk is replaced by an older one, and the centre starts again.
    ///
    /// # Errors
    /// [`Violation`].
    pub fn restore(&mut self, n: usize, backup: Memory) -> Result<(), Violation> {
        self.faults_expected = true;
        self.crash(n)?;
        let node = &mut self.nodes[n];
        (node.is_honest, node.memory) = (false, backup);
        self.restart(n)
    }

    /// A centre dies of its next commit.
    pub fn arm(&mut self, n: usize, fuse: Fuse) {
        self.nodes[n].fuse = Some(fuse);
    }

    /// Bulk requests under way: who asks for what.
    pub fn under_way(&self) -> impl Iterator<Item = (usize, &BulkRequest)> {
        self.jobs.iter().map(|flight| match &flight.job {
            Job::FetchSuffix { request, .. }
            | Job::FetchBody { request, .. }
            | Job::FetchRetractions { request, .. } => (flight.node, request),
        })
    }

    fn number(&self, id: &CentreId) -> Option<usize> {
        self.nodes.iter().position(|node| node.setup.id == *id)
    }

    fn note(&mut self, line: String) {
        self.journal.push(line);
    }

    /// One input to one centre, and everything that it asks for.
    ///
    /// # Errors
    /// [`Violation`].
    fn step(&mut self, n: usize, input: Input) -> Result<(), Violation> {
        let node = &mut self.nodes[n];
        let Some(centre) = &mut node.centre else { return Ok(()) };
        let outputs = centre.handle(input, self.now, &mut self.rng, &node.memory);
        let mut ends = Vec::new();
        let mut has_crashed = false;
        for output in outputs {
            if !self.obey(n, output, &mut ends)? {
                has_crashed = true;
                break;
            }
        }
        if has_crashed {
            self.crash(n)?;
        }
        self.check_node(n)?;
        ends.into_iter().try_for_each(|peer| self.disconnect(n, peer))
    }

    /// Does what a centre asks; false if it dies of it. `ends` gathers the connections to close.
    fn obey(&mut self, n: usize, output: Output, ends: &mut Vec<usize>) -> Result<bool, Violation> {
        match output {
            Output::Commit(batch) => {
                let fuse = self.nodes[n].fuse.take();
                if fuse != Some(Fuse::BeforeCommit) {
                    let applied = self.nodes[n].memory.apply(batch);
                    applied.map_err(|source| Violation::Store { centre: n, source })?;
                }
                return Ok(fuse.is_none());
            }
            Output::Send(peer, message) => self.send(n, &peer, &message)?,
            Output::Spawn(id, job) => {
                self.counts.jobs += 1;
                self.note(format!("  {n} starts {id:?} {}", describe(&job)));
                self.jobs.push(Flight { node: n, id, job });
            }
            Output::Emit(event) => {
                self.note(format!("  {n} tells {event:?}"));
                self.check_event(n, &event)?;
                self.events.push((n, event));
            }
            Output::WakeAt(at) => self.nodes[n].wake = Some(at),
            Output::Drop(peer, reason) => {
                self.note(format!("  {n} drops {peer}: {reason}"));
                if !self.faults_expected {
                    return Err(Violation::HonestDropped { centre: n, peer, reason });
                }
                ends.extend(self.number(&peer));
                self.drops.push((n, peer, reason));
            }
            Output::Reply(_, reply) => self.nodes[n].reply = Some(reply),
            Output::RosterChanged => {
                let others = 0..self.nodes.len();
                ends.extend(others.filter(|peer| self.is_up(n, *peer) && !self.may_meet(n, *peer)));
            }
        }
        Ok(true)
    }

    fn send(&mut self, n: usize, peer: &CentreId, message: &Message) -> Result<(), Violation> {
        let bytes = message.to_bytes();
        self.check_message(n, message, &bytes)?;
        self.counts.messages += 1;
        self.counts.message_bytes += bytes.len() as u64;
        let Some(to) = self.number(peer).filter(|to| self.is_up(n, *to)) else { return Ok(()) };
        let hash = blake3::hash(&bytes);
        self.note(format!("  {n} sends {to} {} bytes {}", bytes.len(), &hash.to_hex()[..8]));
        self.mail.push(Mail { from: n, to, bytes });
        Ok(())
    }

    fn deliver(&mut self, mail: Mail) -> Result<(), Violation> {
        let Mail { from, to, bytes } = mail;
        self.note(format!("{to} receives from {from}"));
        let peer = self.nodes[from].setup.id.clone();
        self.step(to, Input::Received(peer, Frame(bytes)))
    }

    /// Runs a job as a node does: ask the peer, verify the answer, hand the result back.
    fn run(&mut self, flight: Flight) -> Result<(), Violation> {
        let Flight { node, id, job } = flight;
        let result = match job {
            Job::FetchSuffix { peer, request } => {
                self.ask(node, &peer, &request).map_or(JobResult::Failed, JobResult::Suffix)
            }
            Job::FetchBody { peer, request, expected } => {
                match self.ask(node, &peer, &request).map(|bytes| ReceivedBody(bytes).verify(&expected)) {
                    Some(Ok(body)) => JobResult::Body(body),
                    Some(Err(error)) => JobResult::Bad(error),
                    None => JobResult::Failed,
                }
            }
            Job::FetchRetractions { peer, request, expected } => {
                let answer = self.ask(node, &peer, &request);
                match answer.map(|bytes| ReceivedBody(bytes).verify_retractions(&expected)) {
                    Some(Ok(list)) => JobResult::Retractions(list),
                    Some(Err(error)) => JobResult::Bad(error),
                    None => JobResult::Failed,
                }
            }
        };
        let failed = matches!(result, JobResult::Failed);
        self.note(format!("{node} ends {id:?}{}", if failed { ", failed" } else { "" }));
        self.step(node, Input::JobDone(id, result))
    }

    fn ask(&mut self, asker: usize, peer: &CentreId, request: &BulkRequest) -> Option<Vec<u8>> {
        let server = self.number(peer).filter(|server| self.is_up(asker, *server))?;
        let request = BulkRequest::from_bytes(&request.to_bytes()).ok()?;
        let Node { setup, memory, centre, is_puppet, .. } = &self.nodes[server];
        if !is_puppet {
            let (asker, roster) = (&self.nodes[asker].setup.id, centre.as_ref()?.roster());
            serve::may_answer(&request, asker, &setup.origin, roster, self.now).ok()?;
        }
        let bytes = memory.read(&request).ok()?;
        let bytes = match &self.tamper {
            Some(tamper) => tamper(server, &request, bytes)?,
            None => bytes,
        };
        self.counts.job_bytes += bytes.len() as u64;
        Some(bytes)
    }

    /// Whether each has the other on its roster; a puppet has everybody.
    fn may_meet(&self, a: usize, b: usize) -> bool {
        let knows = |a: usize, b: usize| match &self.nodes[a] {
            Node { is_puppet: true, .. } => true,
            Node { centre, .. } => centre
                .as_ref()
                .is_some_and(|centre| centre.roster().centre(&self.nodes[b].setup.id).is_some()),
        };
        a != b && knows(a, b) && knows(b, a)
    }

    /// Opens a connection, if both are there and know each other.
    ///
    /// # Errors
    /// [`Violation`].
    pub fn connect(&mut self, a: usize, b: usize) -> Result<(), Violation> {
        if !self.may_meet(a, b) || !self.up.insert(pair(a, b)) {
            return Ok(());
        }
        self.note(format!("{a} and {b} connect"));
        let (id_a, id_b) = (self.nodes[a].setup.id.clone(), self.nodes[b].setup.id.clone());
        self.step(a, Input::PeerUp(id_b))?;
        self.step(b, Input::PeerUp(id_a))
    }

    /// Opens every connection that can be.
    ///
    /// # Errors
    /// [`Violation`].
    pub fn connect_all(&mut self) -> Result<(), Violation> {
        for a in 0..self.nodes.len() {
            (a + 1..self.nodes.len()).try_for_each(|b| self.connect(a, b))?;
        }
        Ok(())
    }

    /// Closes a connection; what is under way on it is lost.
    ///
    /// # Errors
    /// [`Violation`].
    pub fn disconnect(&mut self, a: usize, b: usize) -> Result<(), Violation> {
        if !self.up.remove(&pair(a, b)) {
            return Ok(());
        }
        self.note(format!("{a} and {b} part"));
        self.mail.retain(|mail| pair(mail.from, mail.to) != pair(a, b));
        let (id_a, id_b) = (self.nodes[a].setup.id.clone(), self.nodes[b].setup.id.clone());
        self.step(a, Input::PeerDown(id_b))?;
        self.step(b, Input::PeerDown(id_a))
    }

    /// A centre dies: its disk stays, its memory and its jobs are gone.
    ///
    /// # Errors
    /// [`Violation`] of its peers.
    pub fn crash(&mut self, n: usize) -> Result<(), Violation> {
        let node = &mut self.nodes[n];
        (node.centre, node.fuse, node.wake) = (None, None, None);
        self.note(format!("{n} crashes"));
        self.jobs.retain(|flight| flight.node != n);
        (0..self.nodes.len()).try_for_each(|peer| self.disconnect(n, peer))
    }

    /// A centre that is down starts from its disk, and logs its first roster if its log is empty.
    ///
    /// # Errors
    /// [`Violation`].
    pub fn restart(&mut self, n: usize) -> Result<(), Violation> {
        let node = &mut self.nodes[n];
        if node.centre.is_some() || node.is_puppet {
            return Ok(());
        }
        node.session += 1;
        let roster = node.memory.roster().unwrap_or(&node.first).clone();
        let (id, keys) = (node.setup.id.clone(), node.setup.keys());
        let version = roster.roster().version;
        let centre = Centre::new(id, keys, roster, node.session, &node.memory);
        let rule = "is not on the roster that it starts with";
        let centre = centre.map_err(|_| Violation::Rule { centre: n, rule })?;
        let is_new = centre.own_log().1.size == 0;
        node.centre = Some(centre);
        self.note(format!("{n} starts"));
        if is_new {
            let chain = self.rosters.iter().filter(|roster| roster.roster().version <= version);
            let chain = chain.map(|roster| roster.bytes().to_vec()).collect();
            self.must(n, Command::Begin(chain))?;
        }
        self.step(n, Input::Wake)
    }

    /// A command and its answer; none if the centre is down or dies of it.
    ///
    /// # Errors
    /// [`Violation`].
    pub fn command(
        &mut self,
        n: usize,
        command: Command,
    ) -> Result<Option<Result<Outcome, CommandError>>, Violation> {
        self.nodes[n].reply = None;
        self.step(n, Input::Command(CommandId(7), command))?;
        Ok(self.nodes[n].reply.take())
    }

    /// A command that must work; none if the centre is down or dies of it.
    fn must(&mut self, n: usize, command: Command) -> Result<Option<Outcome>, Violation> {
        let reply = self.command(n, command)?;
        reply.transpose().map_err(|error| Violation::Refused { centre: n, error })
    }

    /// A centre appends new records, spread over its synthetic classes `classes`.
    ///
    /// # Errors
    /// [`Violation`].
    pub fn append(&mut self, n: usize, records: u64, classes: &[u8]) -> Result<(), Violation> {
        let first = self.records;
        self.records += records;
        let records = (first..self.records).map(super::record).collect();
        self.publish(n, records, Vec::new(), classes)
    }

    /// A centre publishes records, spread over classes, and retractions as one delta.
    ///
    /// # Errors
    /// [`Violation`].
    pub fn publish(
        &mut self,
        n: usize,
        records: Vec<Record>,
        retractions: Vec<Retraction>,
        classes: &[u8],
    ) -> Result<(), Violation> {
        let labels = classes.iter().map(|class| class_labels(&self.nodes[n].setup, *class));
        let defined = self.must(n, Command::Define(labels.collect()))?;
        let Some(Outcome::Classes(ids)) = defined else { return Ok(()) };
        let bytes: Vec<_> = records.iter().map(Record::to_bytes).collect();
        let items = records.iter().zip(&bytes).zip(ids.iter().cycle());
        let items = items.map(|((record, bytes), class)| (*class, record.entry, bytes.as_slice()));
        let draft = Draft::new(items, retractions.clone(), &mut self.rng);
        let rule = "cannot draft what it may publish";
        let draft = draft.map_err(|_| Violation::Rule { centre: n, rule })?;
        let puts = records.iter().map(|record| (record.entry, record.revision)).collect();
        self.attempt(n, Command::Append(draft), puts, retractions)
    }

    /// A centre retracts these entries, up to these revisions.
    ///
    /// # Errors
    /// [`Violation`].
    pub fn retract(&mut self, n: usize, list: &[(EntryId, Revision)]) -> Result<(), Violation> {
        let list = list.iter().map(|(entry, revision)| Retraction { entry: *entry, revision: *revision });
        let mut list: Vec<_> = list.collect();
        list.sort_unstable();
        self.attempt(n, Command::Retract(list.clone()), Vec::new(), list)
    }

    /// A command that makes a delta. Whether it became durable is seen on the disk, as the centre may die before it answers.
    fn attempt(
        &mut self,
        n: usize,
        command: Command,
        puts: Vec<(EntryId, Revision)>,
        retractions: Vec<Retraction>,
    ) -> Result<(), Violation> {
        self.audit.attempt(&self.nodes[n].setup.origin, puts, retractions);
        self.must(n, command).map(drop)
    }

    /// The roots sign the next roster; nobody has applied it yet.
    pub fn issue_roster(&mut self, change: impl FnOnce(&mut RosterDraft)) {
        let next = keys::next_roster(self.roster(), self.now, change);
        self.note(format!("roster {} is signed", next.roster().version));
        self.rosters.push(next);
    }

    /// A centre applies the roster that follows its own, if there is one.
    ///
    /// # Errors
    /// [`Violation`].
    pub fn apply_roster(&mut self, n: usize) -> Result<(), Violation> {
        let Some(centre) = &self.nodes[n].centre else { return Ok(()) };
        let version = centre.roster().version;
        let next = self.rosters.iter().find(|roster| roster.roster().version > version);
        let Some(bytes) = next.map(|roster| roster.bytes().to_vec()) else { return Ok(()) };
        self.must(n, Command::ApplyRoster(bytes)).map(drop)
    }

    /// A new centre is signed into the next roster and starts with it; returns its number.
    ///
    /// # Errors
    /// [`Violation`].
    pub fn join(&mut self) -> Result<usize, Violation> {
        let setup = CentreSetup::numbered(self.nodes.len());
        let entry = setup.entry();
        self.issue_roster(|draft| draft.centres.push(entry));
        self.add(setup)?;
        Ok(self.nodes.len() - 1)
    }

    /// Time passes; who asked to be woken by then is woken once.
    ///
    /// # Errors
    /// [`Violation`].
    pub fn advance(&mut self, seconds: u64) -> Result<(), Violation> {
        self.now = Timestamp::new(self.now.get() + seconds);
        self.note(format!("time {}", self.now.get() - START.get()));
        for n in 0..self.nodes.len() {
            if self.nodes[n].wake.is_some_and(|at| at <= self.now) {
                self.nodes[n].wake = None;
                self.step(n, Input::Wake)?;
            }
        }
        Ok(())
    }

    /// Entries of a log that a centre holds, with their revisions.
    #[must_use]
    pub fn live(&self, holder: usize, log: usize) -> BTreeMap<EntryId, Revision> {
        self.nodes[holder].memory.live(&self.nodes[log].setup.origin)
    }
}

fn pair(a: usize, b: usize) -> (usize, usize) {
    (a.min(b), a.max(b))
}

fn describe(job: &Job) -> String {
    match job {
        Job::FetchSuffix { peer, request }
        | Job::FetchBody { peer, request, .. }
        | Job::FetchRetractions { peer, request, .. } => format!("{request:?} at {peer}"),
    }
}
