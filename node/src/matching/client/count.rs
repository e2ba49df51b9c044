//! A session of mode `count`: how many of our values are in all groups together, and not which.
//!
//! One blind for all items (`B = r * X`), so that the centre can shuffle what it evaluates; a key and an artifact of this
//! session alone, so that what comes back is no lasting pseudonym. The artifact streams by and is not kept. There is no proof:
//! in this mode the centre is trusted to follow the protocol. In scope: one check. Out of scope: what two counts tell
//! together (`docs/matching.md`).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hashpact_protocol::policy::MatchMode;
use hashpact_protocol::psi::oprf::{CountBlind, PublicKey};
use hashpact_protocol::psi::{
    Answer, Ask, Batch, GroupId, Opened, Points, Query, SegmentRow, Space, Tag, Tagger,
};
use hashpact_protocol::{Hash, limits};
use tokio::sync::mpsc;
use tokio::task::{block_in_place, spawn_blocking};

use super::asking::{Desk, Open};
use super::cache::Pending;
use super::compare::Overlap;
use super::download::DownloadError;
use super::order::{GroupOutcome, MatchError, Outcome, Phase, Progress};
use super::question::{Question, digest};
use super::record::Happened;
use super::run::{Retries, about, fresh, pads, under_way};
use super::session::{Lane, SessionError, closed, joined};
use super::talk::{self, Hearer, Opener, Speaker, TalkError};

/// Bytes of a tag in the artifact of a count, at most: some 5.
const TAG_BYTES: u64 = 8;

/// What one attempt brings.
struct Counted {
    groups: Vec<GroupId>,
    matches: u64,
    used: u64,
    per_day: u64,
    record: Vec<u8>,
    query: Hash,
}

/// Where a lane's blinded batches come out.
type Blinded = mpsc::Receiver<Vec<[u8; 32]>>;

/// One session, across its attempts.
struct Session {
    question: Question,
    pending: Pending,
    blind: CountBlind,
    lanes: usize,
    /// Items that may have arrived at the centre: it goes on behind none that was not sent.
    sent: AtomicU64,
}

impl<O: Opener> Desk<'_, O> {
    /// Counts.
    pub(super) async fn count(&self) -> Result<Outcome, MatchError> {
        let session = Arc::new(self.count_session()?);
        let mut retries = Retries::new(self.order, self.hear);
        let patience = &self.order.patience;
        let pace = patience
            .of_items(session.question.len())
            .max(patience.of_bytes(self.held().saturating_mul(TAG_BYTES)));
        let limit = patience.artifact.saturating_add(pace);
        let counted = loop {
            let counted = talk::within(limit, self.count_once(&session));
            match counted.await {
                Ok(counted) => break counted,
                Err(error) => retries.after(error, session.sent()).await?,
            }
        };
        let happened = Happened {
            pending: &session.pending,
            groups: &counted.groups,
            pads: session.question.pads(),
            query: counted.query,
            matches: counted.matches,
            used: counted.used,
            per_day: counted.per_day,
        };
        let done = self.closed(&counted.record, &happened)?;
        let kind = self.order.items.kind().code().unwrap_or_default();
        let groups = counted.groups.iter().map(|id| {
            // A count is made from the points of `items`.
            let artifact = self.logged.manifest.artifact(*id, kind, MatchMode::Items);
            GroupOutcome {
                id: *id,
                classes: self.classes(*id),
                held: artifact.map_or(0, |artifact| artifact.items),
                matched: Vec::new(),
                unopened: 0,
            }
        });
        Ok(self.outcome_of(groups.collect(), counted.matches, Some(done)))
    }

    /// The session that was cut, if it was about the same list, or a new one.
    fn count_session(&self) -> Result<Session, MatchError> {
        let order = self.order;
        let count = u32::try_from(order.items.len()).unwrap_or(u32::MAX);
        let picks: Vec<u32> = (0..count).collect();
        let pads = pads(order, count.into(), limits::MATCH_ITEMS_MIN_COUNT)?;
        // Naming a million items takes a while: other tasks of this thread move elsewhere.
        let query = block_in_place(|| {
            let names: Vec<_> = order
                .items
                .inputs()
                .map(|input| self.cache.name(input))
                .collect();
            digest(&names, &picks, pads)
        });
        let before = under_way(self.cache, order, self.logged)?;
        let (pending, sent) = match before.filter(|pending| pending.query == query) {
            // How far the session came is not kept: all of it may have arrived.
            Some(pending) => {
                let sent = pending.items;
                (pending, sent)
            }
            None => {
                let (session, seed) = fresh()?;
                let now = (order.clock)();
                let pending = Pending {
                    session,
                    seed,
                    epoch: self.logged.manifest.epoch,
                    groups: Vec::new(),
                    items: u64::from(count) + pads,
                    query,
                    from: now,
                    touched: now,
                };
                self.cache.keep_pending(about(order), &pending)?;
                (pending, 0)
            }
        };
        let seed = pending.seed.clone();
        let question = Question::new(Arc::clone(&order.items), picks, pads, seed);
        let blind = CountBlind::draw(&mut question.rng());
        Ok(Session {
            question,
            pending,
            blind,
            lanes: order.lanes.max(1),
            sent: AtomicU64::new(sent),
        })
    }

    async fn count_once(&self, session: &Arc<Session>) -> Result<Counted, MatchError> {
        let Open {
            speaker,
            hearer,
            opened,
        } = self.open(&session.pending, session.sent()).await?;
        self.check_key(&opened)?;
        let (blinding, blinded) = session.blinding();
        let talked = {
            let reader = self.hear_count(session, hearer);
            let writer = self.say_count(session, speaker, blinded, opened.next);
            talk::both(reader, writer).await
        };
        joined(blinding).await?;
        let ((matches, record), query) = talked?;
        Ok(Counted {
            groups: opened.groups,
            matches,
            used: opened.used,
            per_day: opened.per_day,
            record,
            query,
        })
    }

    /// A key that any manifest lists would make what comes back comparable from session to session.
    fn check_key(&self, opened: &Opened) -> Result<(), SessionError> {
        let artifacts = self
            .logged
            .manifest
            .groups
            .iter()
            .flat_map(|group| &group.artifacts);
        let listed: BTreeSet<&[u8; 32]> = artifacts.map(|artifact| &artifact.key).collect();
        let key = opened.session_key.filter(|key| !listed.contains(key));
        let key = key.ok_or(SessionError::Opened(
            "under a key that is not of this session alone",
        ))?;
        PublicKey::from_bytes(&key)
            .map_err(|_| SessionError::Opened("under a key that is none"))?;
        let kind = self.order.items.kind().code().unwrap_or_default();
        let manifest = &self.logged.manifest;
        let has = |group: &GroupId| manifest.artifact(*group, kind, MatchMode::Items).is_some();
        match opened.groups.iter().all(has) {
            true => Ok(()),
            false => Err(SessionError::Opened(
                "for groups that its manifest does not have",
            )),
        }
    }

    /// Sends the batches from item `next` on: the centre has the ones before, and takes none of a count twice.
    async fn say_count(
        &self,
        session: &Session,
        mut speaker: Speaker<O::Stream>,
        mut blinded: Vec<Blinded>,
        next: u64,
    ) -> Result<Hash, MatchError> {
        let total = session.question.len();
        let mut query = Query::new(&session.pending.session, total);
        let lanes = blinded.len();
        for batch in 0..session.question.batches() {
            let lane = usize::try_from(batch).unwrap_or(0) % lanes.max(1);
            let lane = blinded.get_mut(lane).ok_or(SessionError::Task)?;
            let points = lane.recv().await.ok_or(SessionError::Task)?;
            let sent = Batch {
                first: query.next(),
                points: Points(points),
            };
            query.take(&sent).map_err(|_| SessionError::Task)?;
            if sent.first < next {
                continue;
            }
            // Before it is sent: it may arrive although this side never hears of it.
            session.sent.fetch_max(query.next(), Ordering::Relaxed);
            speaker.say(&Ask::Batch(sent)).await?;
            (self.hear)(Progress {
                phase: Phase::Ask,
                done: query.next(),
                total: Some(total),
            });
        }
        let query = query.hash();
        speaker.say(&Ask::Finish { query }).await?;
        speaker.close().await;
        Ok(query)
    }

    /// How many matched, and the record of the other side.
    async fn hear_count(
        &self,
        session: &Arc<Session>,
        mut hearer: Hearer<O::Stream>,
    ) -> Result<(u64, Vec<u8>), MatchError> {
        let tags = self.hear_items(session, &mut hearer).await?;
        let patience = self.order.patience.artifact;
        let Answer::Artifact(row) = hearer.hear_within(patience).await? else {
            return Err(turn("what the session's artifact is checked against"));
        };
        // No more than the groups hold together: the rest of the row is checked as it comes.
        if row.added > self.held() || row.removed > 0 {
            return Err(turn("an artifact of what the groups hold"));
        }
        let matches = self.hear_artifact(session, &mut hearer, &row, tags).await?;
        let record = closed(hearer.hear().await?)?;
        Ok((matches, record))
    }

    /// The tags of our items, sorted: all of them must come back, each evaluated once.
    async fn hear_items(
        &self,
        session: &Arc<Session>,
        hearer: &mut Hearer<O::Stream>,
    ) -> Result<Vec<Tag>, MatchError> {
        let total = session.question.len();
        let space = self.count_space();
        let mut tagger = Tagger::new(
            &space,
            Some(&session.pending.session),
            self.logged.manifest.bits,
        );
        let mut tags = Vec::new();
        // The first comes when the centre has them all.
        let mut patience = self.order.patience.artifact;
        while (tags.len() as u64) < total {
            let Answer::Shuffled { first, points } = hearer.hear_within(patience).await? else {
                return Err(turn("the evaluated items"));
            };
            patience = self.order.patience.answer;
            let points = points.0;
            let left = total - tags.len() as u64;
            if first != tags.len() as u64 || points.is_empty() || points.len() as u64 > left {
                return Err(turn("each evaluated item once"));
            }
            let unblinded = block_in_place(|| session.blind.unblind(&points));
            let doubled = unblinded.map_err(|_| turn("points of the group"))?;
            tags.extend(doubled.iter().map(|doubled| tagger.tag(doubled)));
        }
        tags.sort_unstable();
        tags.dedup();
        Ok(tags)
    }

    /// How many of our tags are in the session's artifact. Nothing is counted before its root is right.
    async fn hear_artifact(
        &self,
        session: &Session,
        hearer: &mut Hearer<O::Stream>,
        row: &SegmentRow,
        tags: Vec<Tag>,
    ) -> Result<u64, MatchError> {
        let (space, bits) = (self.count_space(), self.logged.manifest.bits);
        let session = Some(&session.pending.session);
        let mut overlap = Overlap::new(&space, session, bits, row, tags);
        for done in 1..=row.chunks {
            let Answer::Chunk(chunk) = hearer.hear().await? else {
                return Err(turn("the next chunk of the session's artifact"));
            };
            block_in_place(|| overlap.take(&chunk)).map_err(DownloadError::from)?;
            (self.hear)(Progress {
                phase: Phase::Compare,
                done: done.into(),
                total: Some(row.chunks.into()),
            });
        }
        if !matches!(hearer.hear().await?, Answer::End) {
            return Err(turn("the end of the session's artifact"));
        }
        Ok(overlap.finish().map_err(DownloadError::from)?)
    }

    /// Items of the type in all groups together.
    fn held(&self) -> u64 {
        let kind = self.order.items.kind().code().unwrap_or_default();
        let manifest = &self.logged.manifest;
        let groups = manifest.groups.iter();
        let artifacts = groups.filter_map(|group| {
            // A count is made from the points of `items`.
            manifest.artifact(group.group, kind, MatchMode::Items)
        });
        artifacts.fold(0, |held, artifact| held.saturating_add(artifact.items))
    }

    fn count_space(&self) -> Space {
        let kind = self.order.items.kind().code().unwrap_or_default();
        let manifest = &self.logged.manifest;
        manifest.space(GroupId::ALL, kind, MatchMode::Count)
    }
}

impl Session {
    fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Lanes that blind, and where their batches come out.
    fn blinding(self: &Arc<Self>) -> (Vec<Lane>, Vec<Blinded>) {
        let lanes = self.lanes as u64;
        let start = |lane: u64| {
            let (out, blinded) = mpsc::channel(1);
            let session = Arc::clone(self);
            let task = spawn_blocking(move || {
                let mut batch = lane;
                while batch < session.question.batches() {
                    let blind = &session.blind;
                    let points = session
                        .question
                        .with_inputs(batch, |inputs| blind.blind(inputs));
                    if out.blocking_send(points).is_err() {
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
}

fn turn(expected: &'static str) -> MatchError {
    TalkError::Turn { expected }.into()
}
