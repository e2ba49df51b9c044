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
use tokio::time::Instant;

use super::super::evaluator::{Encoded, EvaluateError, KeyName, Told};
use super::Refused;
use super::principal::Place;

/// How often the items of a session may be evaluated in all.
pub(super) const TIMES: u64 = 4;

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
    /// Why a batch of a count was not evaluated: then nothing is counted any more.
    counting_failed: Option<EvaluateError>,
    /// The key of a count.
    pub(super) key: Option<KeyName>,
    /// How often the artifact of a count was begun.
    pub(super) makings: u64,
    pub(super) from: Timestamp,
    pub(super) last: Timestamp,
    /// When the core was last asked about it.
    pub(super) decided: Instant,
    pub(super) is_closed: bool,
    /// Its place among those that are remembered.
    _place: Place,
}

/// A batch that came.
struct Received {
    first: u64,
    points: usize,
    hash: blake3::Hash,
}

impl Session {
    pub(super) fn new(
        asker: Asker,
        ask: OpenAsk,
        grant: MatchGrant,
        now: Timestamp,
        place: Place,
    ) -> Self {
        Self {
            asker,
            query: Query::new(&ask.session, ask.items),
            left: ask.items.saturating_mul(TIMES),
            ask,
            grant,
            batches: Vec::new(),
            counted: Vec::new(),
            counting: VecDeque::new(),
            counting_failed: None,
            key: None,
            makings: 0,
            from: now,
            last: now,
            decided: Instant::now(),
            is_closed: false,
            _place: place,
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

    /// Goes on only if all of its groups are still allowed: what is decided now counts, not what was when it began.
    pub(super) fn holds(&mut self, now: &MatchGrant) -> Result<(), Refused> {
        let mut groups = self.grant.groups.iter();
        if groups.all(|group| now.groups.contains(group)) {
            self.decided = Instant::now();
            return Ok(());
        }
        let text = "policy took a group away since the session began: begin a new one".to_owned();
        let code = RefusalCode::NoGroup;
        Err(Refused { code, text })
    }

    /// Whether a batch may come now. All but the last are full, so that a session is no more work than its items are; and
    /// what a count has is not evaluated again.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn check(&self, batch: &Batch) -> Result<(), Refused> {
        let count = batch.points.0.len() as u64;
        let is_full = count == limits::MATCH_BATCH as u64;
        if !is_full && batch.first.checked_add(count) != Some(self.ask.items) {
            let text = format!(
                "a batch has {} items, but for the last",
                limits::MATCH_BATCH
            );
            return Err(refuse(&text));
        }
        if self.ask.mode == MatchMode::Count && batch.first < self.query.next() {
            return Err(refuse("what a count has is not sent again"));
        }
        Ok(())
    }

    /// Takes a batch: the next one, or one that came before, unchanged.
    pub(super) fn take(&mut self, batch: &Batch, now: Timestamp) -> Result<(), Refused> {
        self.check(batch)?;
        let hash = blake3::hash(batch.points.0.as_flattened());
        let count = batch.points.0.len() as u64;
        let left = self.left.checked_sub(count);
        let left = left.ok_or_else(|| refuse("the session was repeated too often"))?;
        match batch.first < self.query.next() {
            true => {
                let known = self
                    .batches
                    .binary_search_by_key(&batch.first, |it| it.first);
                let known = known.ok().and_then(|at| self.batches.get(at));
                let is_same = |it: &Received| it.hash == hash && it.points as u64 == count;
                if !known.is_some_and(is_same) {
                    return Err(refuse("another batch came in this place before"));
                }
            }
            false => {
                let taken = self.query.take(batch);
                taken.map_err(|error| refuse(&error.to_string()))?;
                self.batches.push(Received {
                    first: batch.first,
                    points: batch.points.0.len(),
                    hash,
                });
            }
        }
        (self.left, self.last) = (left, now);
        Ok(())
    }

    /// Takes a batch of a count together with its evaluation, which is under way.
    pub(super) fn count(
        &mut self,
        batch: &Batch,
        told: Told<Vec<Encoded>>,
        now: Timestamp,
    ) -> Result<(), Refused> {
        self.take(batch, now)?;
        self.counting.push_back(told);
        Ok(())
    }

    /// Waits until at most `left` batches of a count are still being evaluated. A wait that is given up loses none of them.
    pub(super) async fn counted_but(&mut self, left: usize) -> Result<(), EvaluateError> {
        while self.counting.len() > left {
            if let Some(next) = self.counting.front_mut() {
                let points = next.wait().await;
                self.counting.pop_front();
                match points {
                    Ok(points) => self.counted.extend(points),
                    Err(error) => self.counting_failed = Some(error),
                }
            }
        }
        self.counting_failed.map_or(Ok(()), Err)
    }

    /// Whether nothing was heard of it for so long that nobody goes on with it.
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        let silent = now.get().saturating_sub(self.last.get());
        self.is_closed || silent >= limits::MATCH_SESSION_S
    }
}

pub(super) fn refuse(text: &str) -> Refused {
    let code = RefusalCode::Malformed;
    let text = text.to_owned();
    Refused { code, text }
}
