//! A session of mode `items` or `labels`: blinding, sending, hearing, checking and comparing at the same time.
//!
//! ```text
//! lanes that blind -> writer -> (centre) -> reader -> lanes that check, keep and hand over -> compare
//! ```
//!
//! Every arrow is a channel of a few batches, so that the slowest part sets the pace and memory stays bounded. A batch counts
//! as done when every group's evaluation of it is checked and kept; a session that is cut goes on behind the last batch up to
//! which all are done. In scope: one attempt at one session. Out of scope: whether there is one (`run`), counting (`count`).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::{AsyncRead, AsyncWrite};
use hashpact_protocol::policy::MatchMode;
use hashpact_protocol::psi::oprf::{Blinds, Evaluation, FinishError, Proof, Verifier};
use hashpact_protocol::psi::{Answer, Ask, Batch, GroupId, OpenAsk, Opened, Points, Query};
use hashpact_protocol::{Hash, limits};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};

use super::cache::{Cache, CacheError, Kept, Name, Pending};
use super::compare::{Evaluated, Handed};
use super::question::Question;
use super::talk::{self, Hearer, Speaker, TalkError};

/// Batches in each channel: enough that no part waits for a part that is as fast as itself.
const WAITING: usize = 4;

/// Why a session ended early.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The exchange.
    #[error(transparent)]
    Talk(#[from] TalkError),
    /// An evaluation that does not hold: no tag was made of it.
    #[error("group {group}, items from {first} on: {fault}")]
    Evaluation {
        /// The group.
        group: GroupId,
        /// Number of the batch's first item.
        first: u64,
        /// What is wrong.
        fault: FinishError,
    },
    /// The cache.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// A key of the manifest that is none.
    #[error("the key of group {0} is none")]
    Key(GroupId),
    /// The session was opened otherwise than it can be.
    #[error("the centre opened the session {0}")]
    Opened(&'static str),
    /// The part that compares has ended; its own error says why.
    #[error("the comparison ended")]
    Comparing,
    /// A thread of this program's ended by a panic.
    #[error("a part of the match failed")]
    Task,
}

/// One group of a session.
pub(super) struct Group {
    pub(super) id: GroupId,
    pub(super) verifier: Verifier,
    /// Where its evaluated items are kept.
    pub(super) kept: Mutex<Kept>,
}

/// A session, across its attempts.
pub(super) struct Session {
    pub(super) pending: Pending,
    pub(super) question: Question,
    pub(super) names: Arc<Vec<Name>>,
    pub(super) groups: Vec<Group>,
    pub(super) cache: Arc<Cache>,
    /// Groups through, a bit each by their places, by batch.
    pub(super) through: Vec<AtomicU64>,
    pub(super) compare: mpsc::Sender<Handed>,
    /// How many threads blind, and how many check.
    pub(super) lanes: usize,
    /// Hears how many items are through.
    pub(super) hear: Box<dyn Fn(u64) + Send + Sync>,
}

/// One batch on its way to be checked.
struct Work {
    batch: u64,
    group: usize,
    blinds: Arc<Blinds>,
    evaluation: Evaluation,
}

impl Session {
    /// The item to go on with: the first one of the first batch that is not done in every group.
    pub(super) fn resume_at(&self) -> u64 {
        resume_at(&self.question, &self.through, self.groups.len())
    }

    /// Runs one attempt on a stream whose `Opened` was heard. Returns the record of the other side, and the commitment to
    /// the query.
    pub(super) async fn attempt<S>(
        self: &Arc<Self>,
        speaker: Speaker<S>,
        hearer: Hearer<S>,
        next: u64,
    ) -> Result<(Vec<u8>, Hash), SessionError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let (blinding, blinded) = self.blinding();
        let (checking, to_check) = self.checking();
        let (asked_in, asked) = mpsc::channel(WAITING);
        let talked = {
            let reader = self.read(hearer, asked, to_check);
            let writer = self.write(speaker, blinded, asked_in, next);
            talk::both(reader, writer).await
        };
        // The channels are closed: lanes end with what they have.
        let checked = joined(checking).await;
        joined(blinding).await?;
        // A lane that failed closed its channel: its error is the reason of the other one.
        checked?;
        talked
    }

    /// Lanes that blind, and where their batches come out: lane `i` has batches `i`, `i + lanes`, and so on.
    fn blinding(self: &Arc<Self>) -> (Vec<Lane>, Vec<mpsc::Receiver<Arc<Blinds>>>) {
        let lanes = self.lanes as u64;
        let start = |lane: u64| {
            let (out, blinded) = mpsc::channel(1);
            let session = Arc::clone(self);
            let task = spawn_blocking(move || {
                let mut batch = lane;
                while batch < session.question.batches() {
                    let blinds = Arc::new(session.question.blind(batch));
                    if out.blocking_send(blinds).is_err() {
                        break;
                    }
                    batch += lanes;
                }
                Ok(())
            });
            (task, blinded)
        };
        (0..lanes).map(start).unzip()
    }

    /// Lanes that check, and where their work goes in.
    fn checking(self: &Arc<Self>) -> (Vec<Lane>, Vec<mpsc::Sender<Work>>) {
        let start = |_| {
            let (to_check, mut work) = mpsc::channel(1);
            let session = Arc::clone(self);
            let task = spawn_blocking(move || {
                while let Some(work) = work.blocking_recv() {
                    session.check(&work)?;
                }
                Ok(())
            });
            (task, to_check)
        };
        (0..self.lanes).map(start).unzip()
    }

    /// Checks an evaluation, keeps what it gives, and hands it over.
    fn check(&self, work: &Work) -> Result<(), SessionError> {
        let group = self.groups.get(work.group).ok_or(SessionError::Task)?;
        let checked = group.verifier.finish(&work.blinds, &work.evaluation);
        let doubled = checked.map_err(|fault| SessionError::Evaluation {
            group: group.id,
            first: work.batch * limits::MATCH_BATCH as u64,
            fault,
        })?;
        // Random items are not kept.
        let asked = self.question.asked(work.batch).zip(doubled);
        let items: Vec<Evaluated> = asked
            .filter_map(|(item, doubled)| Some((item?, doubled)))
            .collect();
        let rows = items.iter().filter_map(|(item, doubled)| {
            let name = self.names.get(*item as usize)?;
            Some((name, doubled))
        });
        {
            let mut kept = group.kept.lock().unwrap_or_else(PoisonError::into_inner);
            self.cache.keep(&mut kept, &self.pending.session, rows)?;
        }
        let handed = self.compare.blocking_send((work.group, items));
        handed.map_err(|_| SessionError::Comparing)?;
        let place = usize::try_from(work.batch).unwrap_or(usize::MAX);
        if let Some(through) = self.through.get(place) {
            through.fetch_or(1 << (work.group % 64), Ordering::AcqRel);
        }
        (self.hear)(self.resume_at());
        Ok(())
    }

    /// Sends the batches from item `next` on; the ones before count for the commitment only.
    async fn write<S>(
        &self,
        mut speaker: Speaker<S>,
        mut blinded: Vec<mpsc::Receiver<Arc<Blinds>>>,
        asked: mpsc::Sender<(u64, Arc<Blinds>)>,
        next: u64,
    ) -> Result<Hash, SessionError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let mut query = Query::new(&self.pending.session, self.question.len());
        let lanes = blinded.len();
        for batch in 0..self.question.batches() {
            let lane = usize::try_from(batch).unwrap_or(0) % lanes.max(1);
            let lane = blinded.get_mut(lane).ok_or(SessionError::Task)?;
            let blinds = lane.recv().await.ok_or(SessionError::Task)?;
            let sent = Batch {
                first: query.next(),
                points: Points(blinds.points().to_vec()),
            };
            query.take(&sent).map_err(|_| SessionError::Task)?;
            if sent.first < next {
                continue;
            }
            // Known to the reader before the centre can answer.
            let told = asked.send((batch, blinds)).await;
            told.map_err(|_| SessionError::Comparing)?;
            speaker.say(&Ask::Batch(sent)).await?;
        }
        drop(asked);
        let query = query.hash();
        speaker.say(&Ask::Finish { query }).await?;
        speaker.close().await;
        Ok(query)
    }

    /// Hears one evaluation of each group for each batch that was asked, then the record.
    async fn read<S>(
        &self,
        mut hearer: Hearer<S>,
        mut asked: mpsc::Receiver<(u64, Arc<Blinds>)>,
        to_check: Vec<mpsc::Sender<Work>>,
    ) -> Result<Vec<u8>, SessionError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let mut lanes = to_check.iter().cycle();
        while let Some((batch, blinds)) = asked.recv().await {
            for (place, expected) in self.groups.iter().enumerate() {
                let evaluation = evaluated(hearer.hear().await?, expected.id, batch)?;
                let work = Work {
                    batch,
                    group: place,
                    blinds: Arc::clone(&blinds),
                    evaluation,
                };
                let lane = lanes.next().ok_or(SessionError::Task)?;
                lane.send(work).await.map_err(|_| SessionError::Comparing)?;
            }
        }
        closed(hearer.hear().await?)
    }
}

/// The item to go on with: the first one of the first batch that is not through in every one of `groups`.
pub(super) fn resume_at(question: &Question, through: &[AtomicU64], groups: usize) -> u64 {
    let all = u64::MAX >> (64 - groups.clamp(1, 64));
    let done = |through: &&AtomicU64| through.load(Ordering::Acquire) & all == all;
    let batches = through.iter().take_while(done).count() as u64;
    (batches * limits::MATCH_BATCH as u64).min(question.len())
}

pub(super) type Lane = JoinHandle<Result<(), SessionError>>;

/// Waits for lanes to end; the first error of them.
pub(super) async fn joined(lanes: Vec<Lane>) -> Result<(), SessionError> {
    let mut first = Ok(());
    for lane in lanes {
        let ended = lane.await.unwrap_or(Err(SessionError::Task));
        first = first.and(ended);
    }
    first
}

/// The answer to a batch, which must be of this group and this batch.
fn evaluated(answer: Answer, expected: GroupId, batch: u64) -> Result<Evaluation, SessionError> {
    let due = batch * limits::MATCH_BATCH as u64;
    if let Answer::Evaluated {
        first,
        group,
        points,
        proof,
    } = answer
        && first == due
        && group == expected
    {
        let (points, proof) = (points.0, Proof(proof));
        return Ok(Evaluation { points, proof });
    }
    let expected = "the evaluation of the next batch";
    Err(TalkError::Turn { expected }.into())
}

/// The last answer of a session.
pub(super) fn closed(answer: Answer) -> Result<Vec<u8>, SessionError> {
    if let Answer::Closed { record } = answer {
        return Ok(record);
    }
    let expected = "the record of the session";
    Err(TalkError::Turn { expected }.into())
}

/// Opens a session on a new stream.
pub(super) async fn open<S>(
    speaker: &mut Speaker<S>,
    hearer: &mut Hearer<S>,
    ask: OpenAsk,
) -> Result<Opened, SessionError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    speaker.say(&Ask::Open(ask)).await?;
    let Answer::Opened(opened) = hearer.hear().await? else {
        let expected = "that the session is open, or why not";
        return Err(TalkError::Turn { expected }.into());
    };
    check_opened(&ask, &opened)?;
    Ok(opened)
}

/// What an honest centre answers: groups in order, the key that the mode calls for, and no item skipped that is needed.
fn check_opened(ask: &OpenAsk, opened: &Opened) -> Result<(), SessionError> {
    let batch = limits::MATCH_BATCH as u64;
    if opened.groups.is_empty() || !opened.groups.is_sorted_by(|a, b| a < b) {
        return Err(SessionError::Opened("without groups, or not in order"));
    }
    if opened.session_key.is_some() != (ask.mode == MatchMode::Count) {
        return Err(SessionError::Opened("with the keys of another mode"));
    }
    if opened.next > ask.resume_at {
        return Err(SessionError::Opened(
            "behind items that it has not answered",
        ));
    }
    if !opened.next.is_multiple_of(batch) && opened.next != ask.items {
        return Err(SessionError::Opened("in the midst of a batch"));
    }
    Ok(())
}
