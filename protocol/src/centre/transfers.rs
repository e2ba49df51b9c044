//! Transfers under policy: who is asked for what, what is given, and what both sides write down before a byte of it flows.
//!
//! Taker and giver sign one statement and log its salted hash each. The taker asks for what its own reading of all policies
//! allows and takes nothing beyond; the giver gives what its reading allows and nothing beyond. The giver keeps nothing of an
//! offer: its own signature in what comes back says what it offered. Everything that must outlive a crash is a row
//! ([`shelf`](crate::transfer::shelf)), so a handshake goes on where it was. Spec: `docs/protocol.md`, "Transfers".
//!
//! | file | answers |
//! |---|---|
//! | `transfers` | which way bodies come, and what is known of transfers |
//! | `want` | what is missing and may come from whom |
//! | `take` | the taker's half of the handshake |
//! | `give` | the giver's half |
//! | `arrive` | what of a body that came is stored |
//! | `back` | what a recall changes |

mod arrive;
mod back;
mod give;
mod take;
mod want;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hashpact_keys::{CentreId, Origin, Timestamp};

use super::law::{LawMark, Way, earliest};
use super::{Centre, Output, Pace, later};
use crate::Hash;
use crate::delta::{ClassTable, Header, Seq};
use crate::labels::ClassId;
use crate::limits;
use crate::log::read_delta;
use crate::policy::{Action, Closed};
use crate::transfer::{Missing, Statement, shelf};
use crate::view::{Batch, View, Write};
use crate::wire::Proposal;

pub(super) use arrive::Arrived;
pub use arrive::TermsError;
pub(super) use want::Course;

/// How the bodies of a log come here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Regime {
    /// Whole, from their origin; also our own lost ones.
    Open,
    /// Not at all.
    Closed(Closed),
    /// Under transfer statements.
    Governed,
}

impl Regime {
    pub(super) fn is_open(self) -> bool {
        match self {
            Self::Open | Self::Governed => true,
            Self::Closed(_) => false,
        }
    }
}

/// Makes rows durable by themselves.
fn commit(writes: Vec<Write>, out: &mut Vec<Output>) {
    if !writes.is_empty() {
        let mut batch = Batch::default();
        batch.extend(writes);
        out.push(Output::Commit(batch));
    }
}

/// What is known of transfers, as far as memory goes.
#[derive(Default)]
pub(super) struct Transfers {
    /// What is missing of applied deltas.
    missing: BTreeMap<Origin, BTreeMap<Seq, Vec<Missing>>>,
    /// The tables of deltas that are next to be applied.
    tables: BTreeMap<Origin, BTreeMap<Seq, Arc<Table>>>,
    /// One for each log and each centre that it is asked of.
    asks: BTreeMap<(Origin, CentreId), Ask>,
    flows: Flows,
    /// Since when proposals of a peer are counted, and how many there were.
    proposals: BTreeMap<CentreId, (Timestamp, u32)>,
    /// Until when bodies are served under which statement.
    serving: BTreeMap<Hash, Timestamp>,
    /// Changes with everything that changes what is asked for.
    changes: u64,
    last_ask: u64,
}

/// What a log says of a delta.
pub(super) struct Table {
    header: Hash,
    classes: ClassTable,
}

/// What one centre is asked for of one log.
#[derive(Default)]
struct Ask {
    stage: Stage,
    pace: Pace,
    /// What was asked for and not given.
    declined: BTreeMap<(Seq, ClassId), Declined>,
    /// Nothing was to be asked for, when this was so.
    quiet: Option<Quiet>,
}

/// What must change before something else is wanted of a log.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Quiet {
    changes: u64,
    applied: Seq,
    read: Option<Seq>,
}

/// When a class that was not given is asked for again, and how often it was.
struct Declined {
    until: Timestamp,
    times: u32,
    /// How often of those by a giver that has it: its origin, or one that had just signed to give it.
    kept_back: u32,
}

#[derive(Default)]
enum Stage {
    #[default]
    Idle,
    /// Asked; no terms yet.
    Proposed { proposal: Proposal, sent: Sent },
    /// Signed by both and logged here; the giver has not said that it logged it.
    Agreed { agreed: Agreed, sent: Sent },
    /// Logged by both: bodies are fetched.
    Open {
        agreed: Agreed,
        /// Deltas that have not come yet.
        left: BTreeSet<Seq>,
        since: Timestamp,
        failures: u32,
    },
}

#[derive(Clone)]
struct Agreed {
    hash: Hash,
    statement: Arc<Statement>,
    signed: Vec<u8>,
}

/// When a message was sent last, and how often.
#[derive(Clone, Copy)]
struct Sent {
    at: Timestamp,
    tries: u32,
}

/// Decisions that hold until what they rest on changes.
#[derive(Default)]
struct Flows {
    mark: Option<LawMark>,
    until: Option<Timestamp>,
    known: BTreeMap<(Origin, ClassId, CentreId), Decided>,
}

#[derive(Clone)]
struct Decided {
    allowed: bool,
    by: Option<(CentreId, Action)>,
}

impl Stage {
    /// What of a log it will bring or asks for.
    fn covers(&self, seq: Seq, class: ClassId) -> bool {
        match self {
            Self::Idle => false,
            Self::Proposed { proposal, .. } => proposal
                .wanted
                .iter()
                .any(|(of, classes)| *of == seq && classes.contains(&class)),
            Self::Agreed { agreed, .. } => agreed.statement.gives(seq, class).is_some(),
            Self::Open { agreed, left, .. } => {
                left.contains(&seq) && agreed.statement.gives(seq, class).is_some()
            }
        }
    }

    fn concerns(&self, seq: Seq) -> bool {
        match self {
            Self::Idle => false,
            Self::Proposed { proposal, .. } => proposal.wanted.iter().any(|(of, _)| *of == seq),
            Self::Agreed { agreed, .. } => agreed.statement.delta(seq).is_some(),
            Self::Open { left, .. } => left.contains(&seq),
        }
    }

    fn is_idle(&self) -> bool {
        matches!(self, Self::Idle)
    }
}

impl Centre {
    /// How the bodies of a log come here.
    pub(super) fn regime(&self, origin: &Origin, now: Timestamp) -> Regime {
        if *origin == self.origin {
            return Regime::Open;
        }
        if self.roster().is_expired(now) {
            return Regime::Closed(Closed::RosterExpired);
        }
        if !self.governed(origin, origin.centre(), &self.id) {
            return Regime::Open;
        }
        // Without a document of ours nothing is admitted, and nobody knows what we would ask for it for.
        match self.purpose_of(&self.id, now) {
            Some(_) => Regime::Governed,
            None => Regime::Closed(Closed::NoPolicy),
        }
    }

    /// What is missing of the deltas that are applied here, and who withholds it.
    pub fn missing(&self) -> impl Iterator<Item = (&Origin, Seq, &Missing)> {
        let logs = self.transfers.missing.iter();
        logs.flat_map(|(origin, deltas)| {
            let rows = deltas
                .iter()
                .flat_map(|(seq, rows)| rows.iter().map(move |row| (*seq, row)));
            rows.map(move |(seq, row)| (origin, seq, row))
        })
    }

    /// Reads the rows of transfers that a crash or a stop left.
    pub(super) fn load_transfers(&mut self, view: &impl View) {
        self.transfers.missing = shelf::all_withheld(view);
        self.transfers.serving = shelf::all_serving(view).into_iter().collect();
        for hash in shelf::all_under_way(view) {
            self.resume_transfer(hash, view);
        }
    }

    /// What a log says of a delta, from the disk.
    fn read_table(&self, origin: &Origin, seq: Seq, view: &impl View) -> Option<Table> {
        let index = view.delta_index(origin, seq)?;
        let size = self.standing_of(origin)?.size;
        let files = |path: &str| view.log_file(origin, path);
        let (header, classes) = read_delta(&files, size, index)?;
        Some(Table {
            header: Header::chain_hash(&header),
            classes,
        })
    }

    /// Forgets decisions once what they rest on has changed; false while a policy document is named and not read.
    fn renew_flows(&mut self, now: Timestamp) -> bool {
        let Some(mark) = self.law_mark() else {
            return false;
        };
        let time = self.time(now);
        let flows = &mut self.transfers.flows;
        let is_over = flows.until.is_some_and(|until| until <= time);
        if flows.mark.as_ref() != Some(&mark) || is_over {
            *flows = Flows {
                mark: Some(mark),
                ..Flows::default()
            };
            self.transfers.changes += 1;
            for ask in self.transfers.asks.values_mut() {
                (ask.pace, ask.quiet) = (Pace::default(), None);
                ask.declined.clear();
            }
        }
        true
    }

    /// Whether a class may come from a giver, by our own reading of all policies; decided once.
    fn flow_here(
        &mut self,
        origin: &Origin,
        class: ClassId,
        giver: &CentreId,
        now: Timestamp,
        view: &impl View,
    ) -> Decided {
        let key = (origin.clone(), class, giver.clone());
        if let Some(known) = self.transfers.flows.known.get(&key) {
            return known.clone();
        }
        let closed = Decided {
            allowed: false,
            by: None,
        };
        let Some(purpose) = self.purpose_of(&self.id, now) else {
            self.transfers.flows.known.insert(key, closed.clone());
            return closed;
        };
        // What else this giver may be asked for is decided with it: together they cost little more than one.
        let classes = self.undecided(origin, class, giver);
        let way = Way {
            from: giver,
            to: &self.id,
            purpose,
        };
        let mut flows = Vec::new();
        self.may_flow_all(origin, &classes, &[way], now, view, |_, all| flows = all);
        let memory = &mut self.transfers.flows;
        for (class, flow) in classes.into_iter().zip(flows) {
            memory.until = earliest(memory.until, flow.valid_until);
            let (allowed, by) = (flow.allowed, flow.by);
            let key = (origin.clone(), class, giver.clone());
            memory.known.insert(key, Decided { allowed, by });
        }
        memory.known.get(&key).cloned().unwrap_or(closed)
    }

    /// This class, and those that are missing of a log or come next, as far as it is not decided yet whether this giver
    /// may give them.
    fn undecided(&self, origin: &Origin, class: ClassId, giver: &CentreId) -> Vec<ClassId> {
        let missing = self.transfers.missing.get(origin).into_iter().flatten();
        let missing = missing.flat_map(|(_, rows)| rows.iter().map(|row| row.class));
        let tables = self.transfers.tables.get(origin).into_iter().flatten();
        let next = tables.flat_map(|(_, table)| table.classes.classes.iter().map(|row| row.class));
        let all: BTreeSet<ClassId> = missing.chain(next).chain([class]).collect();
        let known = &self.transfers.flows.known;
        let is_known =
            |class: &ClassId| known.contains_key(&(origin.clone(), *class, giver.clone()));
        all.into_iter().filter(|class| !is_known(class)).collect()
    }

    /// When something of a transfer is due next.
    pub(super) fn transfer_wakes(&self) -> Vec<Timestamp> {
        let mut wakes: Vec<Timestamp> = Vec::new();
        for ask in self.transfers.asks.values() {
            wakes.extend(ask.pace.not_before);
            match &ask.stage {
                Stage::Idle => {
                    wakes.extend(ask.declined.values().map(|declined| declined.until).min());
                }
                Stage::Proposed { sent, .. } | Stage::Agreed { sent, .. } => {
                    wakes.push(later(sent.at, limits::HANDSHAKE_S));
                }
                Stage::Open { since, .. } => {
                    wakes.push(later(*since, limits::STATEMENT_SERVES_S));
                }
            }
        }
        wakes.extend(self.transfers.flows.until);
        wakes.extend(self.transfers.serving.values().min());
        wakes
    }
}
