//! One session with its attempts, while segments are fetched and what comes in is compared.
//!
//! In scope: which of these run at the same time, and how they end together. Out of scope: what one attempt does (`session`).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use hashpact_protocol::Hash;
use hashpact_protocol::psi::oprf::{PublicKey, Verifier};
use hashpact_protocol::psi::{
    Artifact, GroupId, OpenAsk, Opened, RefusalCode, SealedLabel, SegmentRow, Space,
};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, spawn_blocking};

use super::cache::{Cache, Granted, Pending};
use super::compare::{CompareError, Comparing, Handed, Matched, Segments};
use super::download::{Wanted, fetch};
use super::known::Known;
use super::manifest::Logged;
use super::order::{GroupOutcome, MatchError, Order, Outcome, Phase, Progress, SessionDone};
use super::question::Question;
use super::record::{self, Happened};
use super::run::{Hear, Plan, Retries, about};
use super::session::{self, Group, Session, SessionError};
use super::talk::{self, Hearer, Opener, Speaker, TalkError};

/// Batches on their way to be compared.
const TO_COMPARE: usize = 4;

/// What a check has at hand.
pub(super) struct Desk<'a, O> {
    pub(super) opener: &'a O,
    pub(super) cache: &'a Arc<Cache>,
    pub(super) order: &'a Order,
    pub(super) hear: &'a Hear,
    pub(super) logged: &'a Logged,
}

/// A stream on which the session is open.
pub(super) struct Open<S> {
    pub(super) speaker: Speaker<S>,
    pub(super) hearer: Hearer<S>,
    pub(super) opened: Opened,
}

/// Whoever compares, and how its files reach it.
struct Bench {
    compared: JoinHandle<Result<Vec<Matched>, CompareError>>,
    ready: oneshot::Sender<Vec<Segments>>,
}

impl<O: Opener> Desk<'_, O> {
    /// An outcome of what is known already.
    pub(super) async fn compare(
        &self,
        known: &Known,
        groups: &[GroupId],
    ) -> Result<Outcome, MatchError> {
        let (to_compare, incoming) = mpsc::channel(TO_COMPARE);
        drop(to_compare);
        let bench = self.bench(known, groups, incoming, true);
        // If whoever compares has ended, its own error tells why.
        let _ = bench.ready.send(self.fetch(groups).await?);
        let matched = bench.compared.await.map_err(|_| SessionError::Task)??;
        Ok(self.outcome(groups, matched, None))
    }

    /// Asks about the items of a plan; an outcome of all items of the order.
    pub(super) async fn ask(
        &self,
        known: Known,
        mut plan: Plan,
        listed: Vec<GroupId>,
    ) -> Result<Outcome, MatchError> {
        let first = self.open_first(&mut plan, &known, &listed).await?;
        let groups = plan.pending.groups.clone();
        let charged = (first.opened.used, first.opened.per_day);
        let (to_compare, incoming) = mpsc::channel(TO_COMPARE);
        let bench = self.bench(&known, &groups, incoming, known.knows_any(&groups));
        let Plan { question, pending } = plan;
        let session = Arc::new(self.session(known, question, &pending, to_compare)?);
        let evaluations = session.question.len().saturating_mul(groups.len() as u64);
        let limit = self.order.patience.of_items(evaluations);
        let talk = talk::within(limit, self.talk(&session, first));
        let ready = bench.ready;
        let fetched = async {
            // If whoever compares has ended, its own error tells why.
            let _ = ready.send(self.fetch(&groups).await?);
            Ok::<_, MatchError>(())
        };
        let talked = tokio::try_join!(talk, fetched);
        let pads = session.question.pads();
        // With the last sender gone, whoever compares comes to its end.
        drop(session);
        let compared = bench.compared.await.map_err(|_| SessionError::Task)?;
        let ((theirs, query), matched) = match (talked, compared) {
            (Ok((ended, ())), Ok(matched)) => (ended, matched),
            // The part that is told to end is not the one that failed.
            (Err(MatchError::Session(SessionError::Comparing)) | Ok(_), Err(error)) => {
                return Err(error.into());
            }
            (Err(error), _) => return Err(error),
        };
        self.cache.keep_granted(
            pending.epoch,
            about(self.order),
            &Granted {
                listed,
                granted: groups.clone(),
            },
        )?;
        let matches = union(&matched);
        let happened = Happened {
            pending: &pending,
            groups: &groups,
            pads,
            query,
            matches,
            used: charged.0,
            per_day: charged.1,
        };
        let done = self.closed(&theirs, &happened)?;
        Ok(self.outcome(&groups, matched, Some(done)))
    }

    /// Opens the session, again and again if need be, and keeps what it was granted.
    async fn open_first(
        &self,
        plan: &mut Plan,
        known: &Known,
        listed: &[GroupId],
    ) -> Result<Open<O::Stream>, MatchError> {
        let mut retries = Retries::new(self.order, self.hear);
        let groups = &plan.pending.groups;
        let through = known.through(&plan.question, groups);
        let resume_at = session::resume_at(&plan.question, &through, groups.len());
        let open = loop {
            match self.open(&plan.pending, resume_at).await {
                Ok(open) => break open,
                Err(error) => retries.after(error.into(), 0).await?,
            }
        };
        let granted = &open.opened.groups;
        let is_other = !groups.is_empty() && groups != granted;
        if is_other || !granted.iter().all(|group| listed.contains(group)) {
            self.cache.drop_pending(about(self.order))?;
            return Err(MatchError::Changed);
        }
        plan.pending.groups = granted.clone();
        plan.pending.touched = (self.order.clock)();
        self.cache.keep_pending(about(self.order), &plan.pending)?;
        Ok(open)
    }

    /// Opens a stream, and the session on it.
    pub(super) async fn open(
        &self,
        pending: &Pending,
        resume_at: u64,
    ) -> Result<Open<O::Stream>, SessionError> {
        let order = self.order;
        let (mut speaker, mut hearer) = talk::open(self.opener, &order.patience).await?;
        let ask = OpenAsk {
            session: pending.session,
            mode: order.mode,
            kind: order.items.kind().code().unwrap_or_default(),
            purpose: order.purpose,
            items: pending.items,
            epoch: pending.epoch,
            resume_at,
        };
        let opened = session::open(&mut speaker, &mut hearer, ask).await;
        if let Err(SessionError::Talk(TalkError::Refused { code, .. })) = &opened
            && is_gone(*code)
        {
            // To ask for it again would be refused again, until its hour is over: the next command begins a new one.
            self.cache.drop_pending(about(order))?;
        }
        let opened = opened?;
        Ok(Open {
            speaker,
            hearer,
            opened,
        })
    }

    /// The record of the other side and the commitment to the query, after as many attempts as it takes.
    async fn talk(
        &self,
        session: &Arc<Session>,
        first: Open<O::Stream>,
    ) -> Result<(Vec<u8>, Hash), MatchError> {
        let mut retries = Retries::new(self.order, self.hear);
        let mut open = Some(first);
        loop {
            let talked = match open.take() {
                Some(open) => {
                    let next = open.opened.next;
                    session.attempt(open.speaker, open.hearer, next).await
                }
                None => match self.open(&session.pending, session.resume_at()).await {
                    Ok(again) if again.opened.groups == session.pending.groups => {
                        open = Some(again);
                        continue;
                    }
                    Ok(_) => {
                        self.cache.drop_pending(about(self.order))?;
                        return Err(MatchError::Changed);
                    }
                    Err(error) => Err(error),
                },
            };
            match talked {
                Ok(ended) => return Ok(ended),
                Err(error) => retries.after(error.into(), session.resume_at()).await?,
            }
        }
    }

    fn session(
        &self,
        mut known: Known,
        question: Question,
        pending: &Pending,
        compare: mpsc::Sender<Handed>,
    ) -> Result<Session, MatchError> {
        let through = known.through(&question, &pending.groups);
        let groups = pending.groups.iter().map(|id| {
            let artifact = self.artifact(*id).ok_or(MatchError::Changed)?;
            let key = PublicKey::from_bytes(&artifact.key).map_err(|_| SessionError::Key(*id))?;
            let kept = known.take_kept(*id).ok_or(MatchError::Changed)?;
            Ok(Group {
                id: *id,
                verifier: Verifier::new(&key),
                kept: Mutex::new(kept),
            })
        });
        let groups = groups.collect::<Result<Vec<Group>, MatchError>>()?;
        let (hear, total) = (Arc::clone(self.hear), question.len());
        let told = move |done| {
            hear(Progress {
                phase: Phase::Ask,
                done,
                total: Some(total),
            });
        };
        Ok(Session {
            pending: pending.clone(),
            question,
            names: Arc::clone(&known.names),
            groups,
            cache: Arc::clone(self.cache),
            through,
            compare,
            lanes: self.order.lanes.max(1),
            hear: Box::new(told),
        })
    }

    fn artifact(&self, group: GroupId) -> Option<&Artifact> {
        let kind = self.order.items.kind().code()?;
        self.logged.manifest.artifact(group, kind, self.order.mode)
    }

    fn space(&self, group: GroupId) -> Space {
        let kind = self.order.items.kind().code().unwrap_or_default();
        self.logged.manifest.space(group, kind, self.order.mode)
    }

    /// Starts whoever compares. With `from_cache` it also compares what is in the cache by the end.
    fn bench(
        &self,
        known: &Known,
        groups: &[GroupId],
        incoming: mpsc::Receiver<Handed>,
        from_cache: bool,
    ) -> Bench {
        let comparing = Comparing {
            cache: Arc::clone(self.cache),
            spaces: groups.iter().map(|group| self.space(*group)).collect(),
            numbers: Arc::clone(&known.numbers),
            hear: Arc::clone(self.hear),
        };
        let (ready, segments) = oneshot::channel();
        Bench {
            compared: spawn_blocking(move || comparing.run(incoming, segments, from_cache)),
            ready,
        }
    }

    /// Brings every segment of these groups here.
    async fn fetch(&self, groups: &[GroupId]) -> Result<Vec<Segments>, MatchError> {
        let (_, bytes) = size(groups.iter().filter_map(|group| self.artifact(*group)));
        let limit = self.order.patience.of_bytes(bytes);
        talk::within(limit, self.fetch_all(groups, bytes)).await
    }

    async fn fetch_all(&self, groups: &[GroupId], total: u64) -> Result<Vec<Segments>, MatchError> {
        let fetched = AtomicU64::new(0);
        let hear = |bytes| {
            let done = fetched.fetch_add(bytes, Ordering::Relaxed) + bytes;
            (self.hear)(Progress {
                phase: Phase::Fetch,
                done,
                total: Some(total),
            });
        };
        let mut all = Vec::with_capacity(groups.len());
        for group in groups {
            let space = self.space(*group);
            let rows = self
                .artifact(*group)
                .map_or(&[][..], |found| &found.segments);
            let mut files = Vec::with_capacity(rows.len());
            for row in rows {
                let tags = self.fetch_one(&space, row, false, &hear).await?;
                let tags = tags.ok_or(MatchError::Changed)?;
                let labels = self.fetch_one(&space, row, true, &hear).await?;
                files.push((row.clone(), tags, labels));
            }
            let bits = self.logged.manifest.bits;
            all.push(Segments {
                space,
                bits,
                rows: files,
            });
        }
        Ok(all)
    }

    async fn fetch_one(
        &self,
        space: &Space,
        row: &SegmentRow,
        labels: bool,
        hear: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<Option<std::path::PathBuf>, MatchError> {
        let mut retries = Retries::new(self.order, self.hear);
        let bits = self.logged.manifest.bits;
        let wanted = Wanted {
            space,
            bits,
            row,
            labels,
        };
        // What came is not asked for again: as long as something comes, it is worth another attempt.
        let came = AtomicU64::new(0);
        let hear = |bytes| {
            came.fetch_add(bytes, Ordering::Relaxed);
            hear(bytes);
        };
        loop {
            let fetched = fetch(
                self.opener,
                &self.order.patience,
                self.cache,
                &wanted,
                &hear,
            );
            match fetched.await {
                Ok(path) => return Ok(path),
                Err(error) => {
                    let came = came.load(Ordering::Relaxed);
                    retries.after(error.into(), came).await?;
                }
            }
        }
    }

    /// Compares the two records of a session that ended, and forgets that it was under way.
    pub(super) fn closed(
        &self,
        theirs: &[u8],
        happened: &Happened<'_>,
    ) -> Result<SessionDone, MatchError> {
        let record = record::own(self.order, self.logged, theirs, happened)?;
        self.cache.drop_pending(about(self.order))?;
        Ok(SessionDone {
            id: happened.pending.session,
            seed: happened.pending.seed.clone(),
            charged: happened.pending.items,
            pads: happened.pads,
            used: happened.used,
            per_day: happened.per_day,
            record,
        })
    }

    fn outcome(
        &self,
        groups: &[GroupId],
        matched: Vec<Matched>,
        session: Option<SessionDone>,
    ) -> Outcome {
        let matches = union(&matched);
        let groups = groups
            .iter()
            .zip(matched)
            .map(|(id, matched)| GroupOutcome {
                id: *id,
                classes: self.classes(*id),
                held: self.artifact(*id).map_or(0, |artifact| artifact.items),
                unopened: matched.unopened,
                matched: matched.sorted(),
            });
        let groups = groups.collect();
        self.outcome_of(groups, matches, session)
    }

    pub(super) fn classes(&self, group: GroupId) -> u64 {
        let group = self.logged.manifest.group(group);
        group.map_or(0, |group| group.classes.len() as u64)
    }

    pub(super) fn outcome_of(
        &self,
        groups: Vec<GroupOutcome>,
        matches: u64,
        session: Option<SessionDone>,
    ) -> Outcome {
        let (order, logged) = (self.order, self.logged);
        Outcome {
            centre: order.centre.clone(),
            origin: logged.manifest.origin.clone(),
            kind: order.items.kind().clone(),
            mode: order.mode,
            epoch: logged.manifest.epoch,
            manifest: logged.manifest.number,
            index: logged.index,
            witnessed_at: logged.witnessed_at,
            items: order.items.len() as u64,
            groups,
            matches,
            session,
        }
    }
}

/// Refusals of a session that will not go on: the centre has forgotten or ended it, or does not grant it any more.
fn is_gone(code: RefusalCode) -> bool {
    match code {
        RefusalCode::NotFound
        | RefusalCode::Malformed
        | RefusalCode::NoGroup
        | RefusalCode::StaleEpoch
        | RefusalCode::Closed => true,
        RefusalCode::TooFew
        | RefusalCode::TooMany
        | RefusalCode::OverQuota
        | RefusalCode::TooManySessions
        | RefusalCode::Stale
        | RefusalCode::NotAPrincipal
        | RefusalCode::Point
        | RefusalCode::Busy
        | RefusalCode::Failed => false,
    }
}

/// Tags and bytes of what is fetched of these artifacts, labels among them.
pub(super) fn size<'a>(artifacts: impl Iterator<Item = &'a Artifact>) -> (u64, u64) {
    let rows = artifacts.flat_map(|artifact| &artifact.segments);
    rows.fold((0, 0), |(tags, bytes): (u64, u64), row| {
        let labels = row.label_root.map_or(0, |_| row.added);
        let labels = labels.saturating_mul(SealedLabel::LEN as u64);
        let tags = tags.saturating_add(row.added).saturating_add(row.removed);
        (tags, bytes.saturating_add(row.bytes).saturating_add(labels))
    })
}

/// Items that matched in any group.
fn union(matched: &[Matched]) -> u64 {
    let mut items: Vec<u32> = matched
        .iter()
        .flat_map(|matched| matched.items.iter().map(|(item, _)| *item))
        .collect();
    items.sort_unstable();
    items.dedup();
    items.len() as u64
}
