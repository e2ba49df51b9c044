//! A network in virtual time: real centres, each over a [`Memory`], with a seed for everything that chance decides.
//!
//! Why: faults of order, loss and crashes show only in combination, and a failure must replay. The shell here does what a
//! node does and no more: it makes a `Commit` durable and then obeys the rest in order, runs jobs against the peer's store
//! through [`serve`](crate::serve) and [`verify`](crate::verify), and loses everything in memory when it crashes.
//!
//! | file | answers |
//! |---|---|
//! | `audit` | what must hold after every step |
//! | `auditor` | a witness that is asked over HTTP |
//! | `shell` | how a centre is driven |
//! | `operate` | what people ask of it |
//! | `schedule` | what happens next, by chance; and how a network heals |
//!
//! In scope: centres and messages. Out of scope: torn batches (the store's own tests), bytes on streams (the node's).

mod audit;
mod auditor;
mod operate;
mod schedule;
mod shell;

use std::collections::{BTreeMap, BTreeSet};

use hashpact_keys::{CentreId, Origin, SignedRoster, Timestamp};

use super::keys::{self, CentreSetup, START};
use super::memory::{Memory, MemoryError};
use super::rng::Seeded;
use crate::centre::{Centre, CommandError, Event, Job, JobId, Outcome, Reason};
use crate::evidence::Changed;
use crate::labels::Labels;
use crate::lists::Set;
use crate::wire::{BulkRequest, Message};

use audit::Audit;
use auditor::Auditor;
pub use auditor::Lie;
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
        reason: Box<Reason>,
    },
    /// A centre accused another, although nobody did wrong.
    #[error("centre {centre}: {event:?}")]
    HonestAccused {
        /// Who accuses.
        centre: usize,
        /// Of what.
        event: Box<Event>,
    },
    /// A command that must work was refused.
    #[error("centre {centre}: {error}")]
    Refused {
        /// Which centre, by number.
        centre: usize,
        /// Why, as it says.
        error: Box<CommandError>,
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
    has_begun: bool,
    session: u64,
    wake: Option<Timestamp>,
    /// Seconds by which its clock is ahead; below 0 it is behind.
    skew_s: i64,
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
    /// Times that the auditor's witness was asked.
    pub submissions: u64,
}

/// Changes what a centre answers: (its number, the request, the honest answer); none is a transfer that fails.
type Tamper = Box<dyn Fn(usize, &BulkRequest, Vec<u8>) -> Option<Vec<u8>>>;

/// Chooses messages that are lost.
type Loss = Box<dyn FnMut(&Message) -> bool>;

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
    loses: Option<Loss>,
    /// What puppets were sent: by whom, to whom.
    heard: Vec<(usize, usize, Message)>,
    /// Whether somebody may be dropped or accused: a test that plays an evil part says so.
    faults_expected: bool,
    /// Whether a policy was logged, so that centres may hold less than there is.
    is_ruled: bool,
    audit: Audit,
    auditor: Auditor,
    /// Disks from which a centre answers for one log: another branch that it was shown.
    branches: BTreeMap<(usize, Origin), Memory>,
    journal: Vec<String>,
    counts: Counts,
    events: Vec<(usize, Event)>,
    changed: Vec<(usize, Changed)>,
    drops: Vec<(usize, CentreId, Reason)>,
}

/// The labels of synthetic class number `n` of a centre: they differ in handling only.
#[must_use]
pub fn class_labels(setup: &CentreSetup, n: u8) -> Labels {
    use crate::labels::Purpose::{Detect, Remove, Statistics, Triage};
    let mut labels = super::labels();
    labels.residency.insert(setup.jurisdiction.clone());
    let purposes = [Statistics, Triage, Detect, Remove].into_iter().enumerate();
    let stated: Vec<_> = purposes
        .filter(|(bit, _)| n & (1 << bit) != 0)
        .map(|(_, p)| p)
        .collect();
    labels.purposes = Set::of(&stated);
    labels
}

impl Sim {
    /// A network of `n` centres, started and not connected; each has logged its first roster.
    ///
    /// # Errors
    /// [`Violation`].
    pub fn new(seed: u64, n: usize, demo: bool) -> Result<Self, Violation> {
        Self::of(seed, keys::network(n, demo))
    }

    /// As [`Sim::new`], where the centres and one auditor witness the logs.
    ///
    /// # Errors
    /// [`Violation`].
    pub fn witnessed(seed: u64, n: usize) -> Result<Self, Violation> {
        Self::of(seed, keys::witnessed_network(n, true))
    }

    /// As [`Sim::witnessed`], where every centre may log policies.
    ///
    /// # Errors
    /// [`Violation`].
    pub fn governed(seed: u64, n: usize) -> Result<Self, Violation> {
        Self::of(seed, keys::governed_network(n, true))
    }

    /// As [`Sim::governed`], where people of every centre assess.
    ///
    /// # Errors
    /// [`Violation`].
    pub fn attesting(seed: u64, n: usize) -> Result<Self, Violation> {
        Self::of(seed, keys::attesting_network(n))
    }

    fn of(
        seed: u64,
        (first, centres): (SignedRoster, Vec<CentreSetup>),
    ) -> Result<Self, Violation> {
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
            loses: None,
            heard: Vec::new(),
            faults_expected: false,
            is_ruled: false,
            audit: Audit::default(),
            auditor: Auditor::default(),
            branches: BTreeMap::new(),
            journal: Vec::new(),
            counts: Counts::default(),
            events: Vec::new(),
            changed: Vec::new(),
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
            has_begun: false,
            session: 0,
            wake: None,
            skew_s: 0,
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

    /// The clock of a centre is ahead by so many seconds, or behind.
    pub fn skew(&mut self, n: usize, seconds: i64) {
        self.nodes[n].skew_s = seconds;
    }

    /// What the clock of a centre says.
    #[must_use]
    pub fn clock(&self, n: usize) -> Timestamp {
        let skew = self.nodes[n].skew_s;
        Timestamp::new(self.now.get().saturating_add_signed(skew))
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

    /// Loses the messages that the closure chooses.
    pub fn lose(&mut self, which: impl FnMut(&Message) -> bool + 'static) {
        self.loses = Some(Box::new(which));
    }

    /// What puppets were sent: by whom, to whom.
    #[must_use]
    pub fn heard(&self) -> &[(usize, usize, Message)] {
        &self.heard
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

    /// A centre answers for one log from this disk.
    pub fn answer_from(&mut self, n: usize, origin: &Origin, disk: Memory) {
        self.branches.insert((n, origin.clone()), disk);
    }

    /// A centre writes another log from here on, as the newest roster says.
    pub fn set_origin(&mut self, n: usize, origin: Origin) {
        self.nodes[n].setup.origin = origin;
        self.nodes[n].is_honest = false;
    }

    /// Puts a message on its way as if `from` had sent it.
    pub fn inject(&mut self, from: usize, to: usize, message: &Message) {
        self.mail.push(Mail {
            from,
            to,
            bytes: message.to_bytes(),
        });
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

    /// A centre that was restored is held to all rules again: it has its own log back.
    pub fn is_honest_again(&mut self, n: usize) {
        self.nodes[n].is_honest = true;
    }

    /// What centres said to have changed of what is known of entries: who, and of which.
    #[must_use]
    pub fn changed(&self) -> &[(usize, Changed)] {
        &self.changed
    }

    /// A centre dies of its next commit.
    pub fn arm(&mut self, n: usize, fuse: Fuse) {
        self.nodes[n].fuse = Some(fuse);
    }

    /// Bulk requests under way: who asks for what.
    pub fn under_way(&self) -> impl Iterator<Item = (usize, &BulkRequest)> {
        self.jobs.iter().filter_map(|flight| match &flight.job {
            Job::FetchSuffix { request, .. }
            | Job::CompareRoots { request, .. }
            | Job::FetchBody { request, .. }
            | Job::FetchRetractions { request, .. } => Some((flight.node, request)),
            Job::Submit { .. } | Job::FlagSharers { .. } => None,
        })
    }

    fn number(&self, id: &CentreId) -> Option<usize> {
        self.nodes.iter().position(|node| node.setup.id == *id)
    }

    fn note(&mut self, line: String) {
        self.journal.push(line);
    }
}

fn pair(a: usize, b: usize) -> (usize, usize) {
    (a.min(b), a.max(b))
}
