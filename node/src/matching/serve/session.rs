//! What is known of a session, and how it goes on after a break.
//!
//! A session that broke off is gone on with for an hour. What was evaluated and may not have arrived is evaluated again, but
//! only the same points as before, known by their hash, and only so often: a session gives no more than it was charged for.

use std::collections::VecDeque;
use std::sync::Arc;

use hashpact_keys::Timestamp;
use hashpact_protocol::centre::MatchGrant;
use hashpact_protocol::limits;
use hashpact_protocol::policy::{Asker, MatchMode};
use hashpact_protocol::psi::{Batch, OpenAsk, Query, RefusalCode};
use tokio::sync::{Mutex, Notify};

use super::super::evaluator::{Encoded, EvaluateError, Told};
use super::Refused;
use super::count::Making;
use super::talk::UNDER_WAY;

/// How often the items of a session may be evaluated in all.
const TIMES: u64 = 4;

/// A session among others: one stream has it at a time, and a newer one takes it over.
#[derive(Clone)]
pub(super) struct Slot {
    pub(super) session: Arc<Mutex<Session>>,
    pub(super) takeover: Arc<Notify>,
}

/// One session. No Debug: it holds points of a count.
pub(super) struct Session {
    pub(super) asker: Asker,
    pub(super) ask: OpenAsk,
    pub(super) grant: MatchGrant,
    pub(super) query: Query,
    batches: Vec<Received>,
    /// Items that may still be evaluated, repeats among them.
    left: u64,
    /// What a count evaluated, and what is being evaluated for it.
    pub(super) counted: Vec<Encoded>,
    counting: VecDeque<Told<Vec<Encoded>>>,
    /// The artifact of a count, in the making or made.
    pub(super) artifact: Option<Making>,
    pub(super) from: Timestamp,
    pub(super) last: Timestamp,
    pub(super) is_closed: bool,
}

/// A batch that came.
struct Received {
    first: u64,
    points: usize,
    hash: blake3::Hash,
}

impl Session {
    pub(super) fn new(asker: Asker, ask: OpenAsk, grant: MatchGrant, now: Timestamp) -> Self {
        Self {
            asker,
            query: Query::new(&ask.session, ask.items),
            left: ask.items.saturating_mul(TIMES),
            ask,
            grant,
            batches: Vec::new(),
            counted: Vec::new(),
            counting: VecDeque::new(),
            artifact: None,
            from: now,
            last: now,
            is_closed: false,
        }
    }

    /// The item to go on with: of a batch that came, or the next one.
    pub(super) fn next(&self, resume_at: u64) -> u64 {
        let next = self.query.next();
        match self.ask.mode {
            // Nothing of a count goes back before it is whole.
            MatchMode::Count => next,
            MatchMode::Items | MatchMode::Labels => {
                let mut firsts = self.batches.iter().rev().map(|batch| batch.first);
                let known = firsts.find(|first| *first <= resume_at);
                match resume_at >= next {
                    true => next,
                    false => known.unwrap_or(0),
                }
            }
        }
    }

    /// Takes a batch: the next one, or one that came before, unchanged.
    pub(super) fn take(&mut self, batch: &Batch, now: Timestamp) -> Result<Taken, Refused> {
        let hash = blake3::hash(batch.points.0.as_flattened());
        let count = batch.points.0.len() as u64;
        let left = self.left.checked_sub(count);
        let left = left.ok_or_else(|| refuse("the session was repeated too often"))?;
        let taken = match batch.first < self.query.next() {
            true => {
                let known = self
                    .batches
                    .binary_search_by_key(&batch.first, |it| it.first);
                let known = known.ok().and_then(|at| self.batches.get(at));
                let is_same = |it: &Received| it.hash == hash && it.points as u64 == count;
                if !known.is_some_and(is_same) {
                    return Err(refuse("another batch came in this place before"));
                }
                Taken::Again
            }
            false => {
                let taken = self.query.take(batch);
                taken.map_err(|error| refuse(&error.to_string()))?;
                self.batches.push(Received {
                    first: batch.first,
                    points: batch.points.0.len(),
                    hash,
                });
                Taken::New
            }
        };
        (self.left, self.last) = (left, now);
        Ok(taken)
    }

    /// Takes a batch of a count that is being evaluated; waits for earlier ones if there are many. A wait that is given up
    /// loses none of them.
    pub(super) async fn count(&mut self, told: Told<Vec<Encoded>>) -> Result<(), EvaluateError> {
        self.counting.push_back(told);
        self.counted_but(UNDER_WAY).await
    }

    /// Waits until at most so many batches of a count are still being evaluated.
    pub(super) async fn counted_but(&mut self, left: usize) -> Result<(), EvaluateError> {
        while self.counting.len() > left {
            if let Some(next) = self.counting.front_mut() {
                let points = next.wait().await?;
                self.counting.pop_front();
                self.counted.extend(points);
            }
        }
        Ok(())
    }

    /// Whether nothing was heard of it for so long that nobody goes on with it.
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        let silent = now.get().saturating_sub(self.last.get());
        self.is_closed || silent >= limits::MATCH_SESSION_S
    }
}

/// What a batch was.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    New,
    Again,
}

pub(super) fn refuse(text: &str) -> Refused {
    let code = RefusalCode::Malformed;
    let text = text.to_owned();
    Refused { code, text }
}
