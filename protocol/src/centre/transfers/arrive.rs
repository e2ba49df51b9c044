//! What of a body that came is stored: what its statement gives and our own reading of all policies still allows. What is
//! not is written down with whose decision that is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hashpact_keys::{CentreId, Origin, Timestamp};

use super::super::heads::drop_peer;
use super::super::{Centre, Event, Output, Pace, Reason};
use super::Stage;
use crate::Hash;
use crate::delta::Seq;
use crate::labels::ClassId;
use crate::policy::{Action, VerifiedBody};
use crate::transfer::{ChainError, Missing, Statement, StatementError, Withholder, shelf};
use crate::view::{AdmittedBody, View, Write};

/// Why what a giver offers or sends is refused. Nothing of it is stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TermsError {
    /// Its statement.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// The statements behind it.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// Between others, of another log or for another purpose than was asked.
    #[error("terms: not of the log, the two centres and the purpose of the proposal")]
    Parties,
    /// Signed at a time that is more than a day from ours.
    #[error("terms: signed more than a day from now")]
    Time,
    /// Under other policies than we know.
    #[error("terms: under other policies than those that stand in the logs here")]
    Policies,
    /// Of a delta that the log does not have so.
    #[error("terms: delta {seq} has another header in its log")]
    Header {
        /// The delta.
        seq: Seq,
    },
    /// A class that was not asked for.
    #[error("terms: class {class} of delta {seq} was not asked for")]
    Beyond {
        /// The delta.
        seq: Seq,
        /// The class.
        class: ClassId,
    },
    /// Another number of records than the origin signed for.
    #[error("terms: class {class} of delta {seq} has another number of records")]
    Count {
        /// The delta.
        seq: Seq,
        /// The class.
        class: ClassId,
    },
    /// A class that may not come here.
    #[error("terms: class {class} of delta {seq} may not come here")]
    NotAllowed {
        /// The delta.
        seq: Seq,
        /// The class.
        class: ClassId,
    },
    /// A body that discloses more than its statement gives.
    #[error("body: class {class} of delta {seq} is disclosed without a statement that gives it")]
    Body {
        /// The delta.
        seq: Seq,
        /// The class.
        class: ClassId,
    },
}

/// A verified body, and how it came.
#[derive(Debug)]
pub(in super::super) struct Arrived {
    pub(in super::super) body: VerifiedBody,
    /// The giver, the statement and its hash; none where bodies flow without, or where nothing is disclosed.
    under: Option<(CentreId, Arc<Statement>, Hash)>,
}

/// A body that may be stored, the rows that go with it, and what is still missing.
pub(in super::super) type Taken = (AdmittedBody, Vec<Write>, Vec<Missing>);

impl Arrived {
    /// Whether it came under a statement of this giver.
    pub(in super::super) fn is_from(&self, giver: &CentreId) -> bool {
        let under = self.under.as_ref();
        under.is_some_and(|(from, ..)| from == giver)
    }

    /// A body that came without a statement.
    pub(in super::super) fn without(body: VerifiedBody) -> Self {
        Self { body, under: None }
    }
}

impl Centre {
    /// A body came that was fetched under a statement: nothing in it may be beyond that.
    pub(in super::super) fn arrived(
        &mut self,
        origin: &Origin,
        body: VerifiedBody,
        (giver, hash): (CentreId, Hash),
        out: &mut Vec<Output>,
    ) -> Option<Arrived> {
        let statement = self.statement_of(origin, &giver, &hash)?;
        let seq = body.seq;
        let gives = |class: &ClassId| statement.gives(seq, *class).is_some();
        if let Some(class) = body.disclosed().find(|class| !gives(class)) {
            let error = TermsError::Body { seq, class };
            self.end_transfer(origin, &giver, out);
            out.push(Output::Emit(Event::TransferRefused {
                origin: origin.clone(),
                from: giver.clone(),
                error: error.clone(),
            }));
            drop_peer(&giver, Reason::Transfer(error), out);
            return None;
        }
        Some(Arrived {
            body,
            under: Some((giver, statement, hash)),
        })
    }

    fn statement_of(
        &self,
        origin: &Origin,
        giver: &CentreId,
        hash: &Hash,
    ) -> Option<Arc<Statement>> {
        let ask = self.transfers.asks.get(&(origin.clone(), giver.clone()))?;
        match &ask.stage {
            Stage::Open { agreed, .. } if agreed.hash == *hash => {
                Some(Arc::clone(&agreed.statement))
            }
            Stage::Idle | Stage::Proposed { .. } | Stage::Agreed { .. } | Stage::Open { .. } => {
                None
            }
        }
    }

    /// Decides what of a body is stored now, under policy. `None` if nothing says that any of it may be.
    pub(in super::super) fn take(
        &mut self,
        origin: &Origin,
        arrived: Arrived,
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) -> Option<Taken> {
        let Arrived { body, under } = arrived;
        let seq = body.seq;
        if under.is_none() && body.disclosed().next().is_some() {
            return None;
        }
        let giver = under.as_ref().map(|(giver, ..)| giver.clone());
        let giver = giver.unwrap_or_else(|| origin.centre().clone());
        let purpose = self.purpose_of(&self.id, now)?;
        let disclosed: BTreeSet<ClassId> = body.disclosed().collect();
        // Asked again: what was agreed may be older than a policy.
        let gone = disclosed.into_iter().filter(|class| {
            let flow = self.may_flow(origin, *class, &giver, &self.id, purpose, now, view);
            !flow.allowed
        });
        let gone: BTreeSet<ClassId> = gone.collect();
        let body = body.without(&gone);
        // Only its origin may leave records out of a class: of a relay's, what came short did not come.
        let relayed = giver != *origin.centre();
        let sections = body.sections().iter();
        let cut = sections.filter(|it| relayed && it.held() > 0 && it.held() < it.count);
        let cut: BTreeSet<ClassId> = cut.map(|section| section.class).collect();
        let body = body.without(&cut);
        let held = self.held_before(origin, seq);
        let mut by = match &held {
            Some(_) => shelf::received_by(origin, seq, view),
            None => BTreeMap::new(),
        };
        let mut missing = Vec::new();
        for section in body.sections() {
            let class = section.class;
            let had = held.as_ref().is_some_and(|rows| !rows.contains(&class));
            if section.held() > 0 && !had {
                by.extend(under.as_ref().map(|(.., hash)| (class, *hash)));
            } else if !had {
                missing.push(Missing {
                    class,
                    count: section.count,
                    by: self.withholder(origin, class, &giver, now, view),
                });
            }
        }
        let mut rows = vec![shelf::withheld(origin, seq, &missing)];
        if !by.is_empty() {
            rows.push(shelf::received(origin, seq, &by));
        }
        if let Some((giver, statement, _)) = &under {
            let short = missing.iter().filter(|row| {
                statement.gives(seq, row.class).is_some() && !gone.contains(&row.class)
            });
            let short: Vec<_> = short.map(|row| (seq, row.class, row.count)).collect();
            // It signed that it gives them: whoever gives away what it lacks is at fault too.
            self.note_short((origin, giver), &short, true, now, out);
        }
        Some((body.admitted(), rows, missing))
    }

    /// The classes that were missing of a delta that is applied; none if it is not.
    fn held_before(&self, origin: &Origin, seq: Seq) -> Option<BTreeSet<ClassId>> {
        let applied = self.mirrors.get(origin)?.state.applied;
        let rows = self.transfers.missing.get(origin);
        let rows = rows.and_then(|deltas| deltas.get(&seq));
        let rows = rows.into_iter().flatten().map(|row| row.class);
        (seq < applied).then(|| rows.collect())
    }

    /// Whose decision it is that a class is not here.
    pub(super) fn withholder(
        &mut self,
        origin: &Origin,
        class: ClassId,
        giver: &CentreId,
        now: Timestamp,
        view: &impl View,
    ) -> Withholder {
        let decided = self.flow_here(origin, class, giver, now, view);
        match decided.by {
            Some((_, Action::Share)) => Withholder::Origin,
            Some((id, Action::Reshare)) => Withholder::Giver(id),
            Some(_) => Withholder::Own,
            None if decided.allowed => Withholder::Surplus(giver.clone()),
            None => Withholder::Own,
        }
    }

    /// What is stored now is missing no more, and its transfer goes on.
    pub(in super::super) fn taken(
        &mut self,
        origin: &Origin,
        seq: Seq,
        missing: Vec<Missing>,
        rows: &mut Vec<Write>,
    ) {
        let deltas = self.transfers.missing.entry(origin.clone()).or_default();
        if missing.is_empty() {
            deltas.remove(&seq);
        } else {
            deltas.insert(seq, missing);
        }
        self.transfers.changes += 1;
        let asks = self.transfers.asks.iter_mut();
        for (_, ask) in asks.filter(|((log, _), _)| log == origin) {
            let is_done = match &mut ask.stage {
                Stage::Open { left, agreed, .. } => {
                    left.remove(&seq);
                    left.is_empty().then_some(agreed.hash)
                }
                Stage::Idle | Stage::Proposed { .. } | Stage::Agreed { .. } => None,
            };
            if let Some(hash) = is_done {
                (ask.stage, ask.pace) = (Stage::Idle, Pace::default());
                rows.push(shelf::under_way(&hash, false));
            }
        }
    }

    /// A transfer's body could not be had. After a few times it is agreed anew.
    pub(in super::super) fn not_arrived(
        &mut self,
        origin: &Origin,
        giver: &CentreId,
        now: Timestamp,
        out: &mut Vec<Output>,
    ) {
        let key = (origin.clone(), giver.clone());
        let Some(ask) = self.transfers.asks.get_mut(&key) else {
            return;
        };
        let is_over = match &mut ask.stage {
            Stage::Open { failures, .. } => {
                *failures += 1;
                *failures > 2
            }
            Stage::Idle | Stage::Proposed { .. } | Stage::Agreed { .. } => false,
        };
        if is_over {
            self.fail_transfer(origin, giver, now, out);
        }
    }
}
