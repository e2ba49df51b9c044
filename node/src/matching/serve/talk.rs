//! The two halves of a session's stream: batches come and are put to the evaluator; results go back in the order in which
//! they came. Each half has one writer. A few batches are under way at once, so that neither side waits for the other; who
//! does not read fills them, and is then not read from either.

use std::sync::Arc;
use std::time::Duration;

use futures::AsyncRead;
use futures::future::{Either, select};
use hashpact_protocol::centre::{Command, CommandError, MatchGrant, MatchRequest, Outcome};
use hashpact_protocol::fingerprint::Algorithm;
use hashpact_protocol::policy::{Asker, MatchMode};
use hashpact_protocol::psi::oprf::Evaluation;
use hashpact_protocol::psi::{Answer, Ask, Batch, GroupId, OpenAsk, Opened, Points, RefusalCode};
use tokio::sync::{Mutex, MutexGuard, Notify, mpsc};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::super::evaluator::{EvaluateError, KeyName, Told};
use super::super::shared::CountError;
use super::frames::{self, FrameError};
use super::session::{Session, Slot, refuse};
use super::{Ended, Refused, Server, Write, failed};
use crate::clock;
use crate::daemon::AskError;

/// Batches of a session that are evaluated, or whose results wait to be sent.
pub(super) const UNDER_WAY: usize = 4;

/// How often a session under way is decided again: what policy takes away ends it within this time.
const DECIDE_EVERY: Duration = Duration::from_secs(10);

/// Time of one stream of a session: a floor, and what the slowest machine or line needs for each item of each group; more
/// for a count, whose tags are made and fetched meanwhile. A session that needs more goes on on another stream.
const STREAM_TIME: Duration = Duration::from_secs(600);
const ITEM_TIME: Duration = Duration::from_millis(1);
const COUNT_TIME: Duration = Duration::from_secs(1_800);

/// How long a stream that goes on with a session waits until the one before has let go of it.
const TAKEOVER: Duration = Duration::from_secs(10);

/// What the reading half hands to the writing half.
enum Step {
    Evaluated(u64, Vec<(GroupId, Told<Evaluation>)>),
    Counted,
    Finished,
    Ended(Ended),
}

impl Server {
    /// One session, from its opening on; ends without an answer where the stream breaks.
    pub(super) async fn session(
        &self,
        asker: Asker,
        ask: OpenAsk,
        read: &mut (impl AsyncRead + Unpin),
        write: &mut Write,
    ) -> Result<(), Ended> {
        self.principal(&asker).pace().await;
        let (slot, grant) = self.enter(asker, ask).await?;
        // Whoever has it lets go of it: its stream is dead if the same asker opens another.
        slot.takeover.notify_waiters();
        let session = timeout(TAKEOVER, slot.session.lock()).await;
        let mut session = session.map_err(|_| RefusalCode::Busy)?;
        let mut taken_over = Box::pin(slot.takeover.notified());
        taken_over.as_mut().enable();
        let time = stream_time(&session);
        let talk = Box::pin(self.talk(&mut session, &grant, ask.resume_at, read, write));
        let ended = match select(taken_over, Box::pin(timeout(time, talk))).await {
            Either::Left(_) => Err(Ended::TakenOver),
            Either::Right((ended, _)) => ended.unwrap_or(Err(Ended::Broken(FrameError::Stalled))),
        };
        if let Err(Ended::Refused(why)) = &ended
            && ends_session(why.code)
            && !session.is_closed
        {
            let (by, code) = (session.asker.id(), why.code);
            tracing::warn!(by, %code, "a match session was ended");
            // Its record says why. One that cannot be logged now is when nothing more is heard of it.
            let _ = self.close(&mut session, Some(code)).await;
        }
        ended
    }

    /// The session of this name, decided and charged; a new one unless it goes on.
    async fn enter(&self, asker: Asker, ask: OpenAsk) -> Result<(Slot, MatchGrant), Ended> {
        let name = (asker.clone(), ask.session);
        let known = self.sessions().get(&name).cloned();
        if let Some(slot) = known {
            let grant = self.open(&asker, &ask).await?;
            return Ok((slot, grant));
        }
        if ask.mode == MatchMode::Count {
            self.check_count(&asker, &ask).await?;
        }
        // Nothing is charged for what finds no place.
        let place = self.place(&asker)?;
        let grant = self.open(&asker, &ask).await?;
        if grant.resumed {
            let text = "the session is not known here any more: begin a new one".to_owned();
            let code = RefusalCode::NotFound;
            return Err(Refused { code, text }.into());
        }
        let session = Session::new(asker, ask, grant.clone(), clock::now(), place);
        let slot = Slot {
            session: Arc::new(Mutex::new(session)),
            takeover: Arc::new(Notify::new()),
        };
        self.sessions().insert(name, slot.clone());
        Ok((slot, grant))
    }

    /// Decides a session again. The core charges nothing for one that goes on.
    async fn decide(&self, session: &mut Session) -> Result<(), Refused> {
        let grant = self.open(&session.asker, &session.ask).await?;
        session.holds(&grant)
    }

    /// Asks the core, which charges.
    async fn open(&self, asker: &Asker, ask: &OpenAsk) -> Result<MatchGrant, Refused> {
        let kind = Algorithm::from_code(u64::from(ask.kind)).ok_or(RefusalCode::Malformed)?;
        let state = self.shared.state();
        // Its keys are gone: nothing is charged for what cannot be answered.
        if !state.epochs.iter().any(|it| it.epoch == ask.epoch) {
            return Err(RefusalCode::StaleEpoch.into());
        }
        let request = MatchRequest {
            session: ask.session,
            principal: asker.clone(),
            mode: ask.mode,
            kind,
            purpose: ask.purpose,
            items: ask.items,
            epoch: ask.epoch,
        };
        match self.asks.command(Command::MatchOpen(request)).await {
            Ok(Outcome::MatchOpened(grant)) => Ok(grant),
            Err(AskError::Refused(CommandError::Match(why))) => Err(Refused {
                code: why.code(),
                text: why.to_string(),
            }),
            Ok(_) | Err(AskError::Refused(_) | AskError::Stopped(_)) => {
                Err(RefusalCode::Failed.into())
            }
        }
    }

    async fn talk(
        &self,
        session: &mut MutexGuard<'_, Session>,
        grant: &MatchGrant,
        resume_at: u64,
        read: &mut (impl AsyncRead + Unpin),
        write: &mut Write,
    ) -> Result<(), Ended> {
        if session.is_closed {
            return Err(refuse("the session is over").into());
        }
        session.holds(grant)?;
        let session_key = match session.ask.mode {
            MatchMode::Count => Some(self.begin_count(session).await?),
            MatchMode::Items | MatchMode::Labels => None,
        };
        let opened = Opened {
            groups: session.grant.groups.clone(),
            used: session.grant.used,
            per_day: session.grant.per_day,
            session_key,
            next: session.next(resume_at),
        };
        frames::send(write, &Answer::Opened(opened)).await?;
        let (steps, next) = mpsc::channel(UNDER_WAY);
        let receive = Box::pin(self.receive(session, read, steps));
        let send = Box::pin(send(write, next));
        // The writing half ends last, or first where nobody reads.
        let sent = match select(send, receive).await {
            Either::Left((sent, _)) => sent,
            Either::Right(((), send)) => send.await,
        };
        sent?;
        session.last = clock::now();
        if session.ask.mode == MatchMode::Count {
            self.decide(session).await?;
            self.count(session, write).await?;
        }
        let record = self.close(session, None).await?;
        Ok(frames::send(write, &Answer::Closed { record }).await?)
    }

    /// Reads batches until the asker is done, and hands over what is to be sent back.
    async fn receive(
        &self,
        session: &mut Session,
        read: &mut (impl AsyncRead + Unpin),
        steps: mpsc::Sender<Step>,
    ) {
        loop {
            let step = self.next_step(session, read).await;
            let step = step.unwrap_or_else(Step::Ended);
            let is_last = matches!(step, Step::Finished | Step::Ended(_));
            // The writing half has gone if nobody reads.
            if steps.send(step).await.is_err() || is_last {
                return;
            }
        }
    }

    async fn next_step(
        &self,
        session: &mut Session,
        read: &mut (impl AsyncRead + Unpin),
    ) -> Result<Step, Ended> {
        match frames::receive(read).await? {
            Ask::Batch(batch) => {
                if session.decided.elapsed() >= DECIDE_EVERY {
                    self.decide(session).await?;
                }
                session.check(&batch)?;
                match session.ask.mode {
                    MatchMode::Count => self.evaluate_counted(session, batch).await,
                    MatchMode::Items | MatchMode::Labels => {
                        session.take(&batch, clock::now())?;
                        self.evaluate(session, batch).await
                    }
                }
            }
            Ask::Finish { query } => {
                let finished = session.query.finish(&query);
                finished.map_err(|error| refuse(&error.to_string()))?;
                Ok(Step::Finished)
            }
            Ask::Manifest | Ask::Segment(_) | Ask::Open(_) => Err(RefusalCode::Malformed.into()),
        }
    }

    /// Puts a batch of a count to the evaluator. It is taken once it stands there: a wait that is given up loses nothing.
    async fn evaluate_counted(&self, session: &mut Session, batch: Batch) -> Result<Step, Ended> {
        session.counted_but(UNDER_WAY).await.map_err(refused)?;
        let key = session.key.ok_or(RefusalCode::Failed)?;
        let told = self.evaluator.evaluate(key, batch.points.0.clone()).await;
        session.count(&batch, told.map_err(refused)?, clock::now())?;
        Ok(Step::Counted)
    }

    /// Puts a batch to the evaluator, once for each group.
    async fn evaluate(&self, session: &Session, batch: Batch) -> Result<Step, Ended> {
        let OpenAsk {
            epoch, kind, mode, ..
        } = session.ask;
        let (first, points) = (batch.first, batch.points.0);
        let groups = &session.grant.groups;
        let evaluations = points.len() as u64 * groups.len() as u64;
        let shared = Arc::clone(&self.shared);
        // It is written down now and then, which blocks.
        let counted = spawn_blocking(move || shared.count(epoch, evaluations)).await;
        match counted.map_err(|_| RefusalCode::Failed)? {
            Ok(()) => {}
            Err(CountError::Spent) => return Err(RefusalCode::StaleEpoch.into()),
            Err(CountError::Io(error)) => return Err(failed(&error).into()),
        }
        let mut told = Vec::with_capacity(groups.len());
        for group in groups {
            let key = KeyName::Epoch(epoch, *group, kind, mode);
            let evaluated = self.evaluator.prove(key, points.clone()).await;
            told.push((*group, evaluated.map_err(refused)?));
        }
        Ok(Step::Evaluated(first, told))
    }
}

/// What a stream of a session may last.
fn stream_time(session: &Session) -> Duration {
    let evaluations = session
        .ask
        .items
        .saturating_mul(session.grant.groups.len() as u64);
    let evaluations = u32::try_from(evaluations).unwrap_or(u32::MAX);
    let extra = match session.ask.mode {
        MatchMode::Count => COUNT_TIME,
        MatchMode::Items | MatchMode::Labels => Duration::ZERO,
    };
    STREAM_TIME + ITEM_TIME.saturating_mul(evaluations) + extra
}

/// Whether a refusal ends the session, and not its stream alone: what was asked, or what policy says now, is no accident.
fn ends_session(code: RefusalCode) -> bool {
    matches!(
        code,
        RefusalCode::Point | RefusalCode::NoGroup | RefusalCode::NotAPrincipal
    )
}

/// Sends results until the session is finished.
async fn send(write: &mut Write, mut steps: mpsc::Receiver<Step>) -> Result<(), Ended> {
    while let Some(step) = steps.recv().await {
        match step {
            Step::Evaluated(first, groups) => {
                for (group, mut told) in groups {
                    let Evaluation { points, proof } = told.wait().await.map_err(refused)?;
                    let answer = Answer::Evaluated {
                        first,
                        group,
                        points: Points(points),
                        proof: proof.0,
                    };
                    frames::send(write, &answer).await?;
                }
            }
            // Nothing of a count goes back before it is whole.
            Step::Counted => {}
            Step::Finished => return Ok(()),
            Step::Ended(ended) => return Err(ended),
        }
    }
    Err(RefusalCode::Failed.into())
}

/// Why a batch was not evaluated, for its sender.
pub(super) fn refused(error: EvaluateError) -> Refused {
    let code = match error {
        EvaluateError::Point(_) | EvaluateError::Batch(_) => RefusalCode::Point,
        EvaluateError::NoKey => RefusalCode::StaleEpoch,
        EvaluateError::Random | EvaluateError::Stopped => RefusalCode::Failed,
    };
    let text = error.to_string();
    Refused { code, text }
}
