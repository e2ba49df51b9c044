//! How many, and not which: a session with a key of its own.
//!
//! The asker's items are evaluated under the session's key and go back in another order; then come the tags of all groups'
//! items under the same key (`P' = (k_s/k)P`), made for this session alone. No value of it means anything in another one.
//! The tags are made once all items came, one count at a time and one of each principal, and are dropped with the stream that
//! they are made for: who opens counts and sends nothing costs nothing, and a session has them made a few times at most.

use std::collections::BTreeSet;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use hashpact_protocol::limits;
use hashpact_protocol::policy::{Asker, MatchMode};
use hashpact_protocol::psi::{
    Answer, Chunk, GroupId, OpenAsk, Points, RefusalCode, Segment, SegmentPlace, SessionId, Space,
    Tag, TagBits, Tagger, encode,
};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use zeroize::Zeroizing;

use super::super::evaluator::{Encoded, Evaluator, JOB_ITEMS, KeyName};
use super::super::points::{Change, Merged, Run, RunError};
use super::super::state::{ArtifactState, EpochState, RunState, run_file};
use super::session::{Session, TIMES, refuse};
use super::talk::refused;
use super::{Ended, Refused, Server, Write, frames};

/// Items that a count can be taken of: their tags are sorted in memory, 256 MiB of them.
const ITEMS_MAX: u64 = 1 << 24;

impl Server {
    /// Draws the session's key, once. Returns the public one.
    pub(super) async fn begin_count(&self, session: &mut Session) -> Result<Encoded, Refused> {
        let key = match session.key {
            Some(key) => key,
            None => *session
                .key
                .insert(self.evaluator.begin_session().map_err(refused)?),
        };
        self.evaluator.public(key).await.map_err(refused)
    }

    /// Refuses a count of more items than it can be made of, before anything is charged.
    pub(super) async fn check_count(&self, asker: &Asker, ask: &OpenAsk) -> Result<(), Refused> {
        let access = self.asks.match_access(asker.clone()).await;
        let access = access.map_err(|_| RefusalCode::Closed)?;
        let state = self.shared.state();
        let epoch = state.epochs.iter().find(|it| it.epoch == ask.epoch);
        let groups = epoch.into_iter().flat_map(|epoch| &epoch.groups);
        let counted = groups.filter(|group| {
            let modes = access.get(&group.id);
            modes.is_some_and(|modes| modes.contains(MatchMode::Count))
        });
        let artifacts = counted.flat_map(|group| &group.artifacts);
        let artifacts = artifacts.filter(|it| is_source(it, ask.kind));
        few_enough(
            artifacts
                .map(ArtifactState::items)
                .fold(0, u64::saturating_add),
        )
    }

    /// The published points of the groups that are counted.
    fn sources(&self, session: &Session) -> Result<Sources, Refused> {
        let state = self.shared.state();
        let ask = &session.ask;
        let mut epochs = state.epochs.iter();
        let epoch = epochs.find(|it| it.epoch == ask.epoch);
        let epoch = epoch.ok_or(RefusalCode::StaleEpoch)?;
        let wanted: BTreeSet<GroupId> = session.grant.groups.iter().copied().collect();
        let (mut runs, mut items) = (Vec::new(), 0_u64);
        for group in epoch
            .groups
            .iter()
            .filter(|group| wanted.contains(&group.id))
        {
            let mut artifacts = group.artifacts.iter();
            let is_counted = |it: &&ArtifactState| is_source(it, ask.kind);
            let Some(artifact) = artifacts.find(is_counted) else {
                continue;
            };
            let key = KeyName::Epoch(epoch.epoch, group.id, ask.kind, MatchMode::Items);
            let covered = artifact.runs.iter().take(artifact.covered);
            let covered: Vec<RunState> = covered.copied().collect();
            let folder = &self.folder;
            let open = covered.iter().map(|run| {
                let folder = folder.artifact(epoch.epoch, group.id, artifact);
                Run::open(&run_file(&folder, run.file))
            });
            let open = open.collect::<Result<Vec<Run>, RunError>>();
            runs.push((key, open.map_err(|_| RefusalCode::Failed)?));
            items = items.saturating_add(artifact.items());
        }
        few_enough(items)?;
        Ok(Sources {
            space: self.count_space(epoch, ask.kind),
            session: ask.session,
            to: session.key.ok_or(RefusalCode::Failed)?,
            bits: epoch.bits,
            runs,
        })
    }

    fn count_space(&self, epoch: &EpochState, kind: u8) -> Space {
        Space {
            origin: self.store.own_origin().clone(),
            epoch: epoch.epoch,
            group: GroupId::ALL,
            kind,
            mode: MatchMode::Count,
        }
    }

    /// Sends what was evaluated, shuffled, and the artifact.
    pub(super) async fn count(
        &self,
        session: &mut Session,
        write: &mut Write,
    ) -> Result<(), Ended> {
        session.counted_but(0).await.map_err(refused)?;
        let mut counted = session.counted.clone();
        counted.sort_unstable();
        if counted.windows(2).any(|pair| pair[0] == pair[1]) {
            let text = "an item is there twice: each is counted once".to_owned();
            let code = RefusalCode::Point;
            return Err(Refused { code, text }.into());
        }
        shuffle(&mut counted)?;
        let mut first = 0;
        for points in counted.chunks(limits::MATCH_BATCH) {
            let points = Points(points.to_vec());
            let count = points.0.len() as u64;
            frames::send(write, &Answer::Shuffled { first, points }).await?;
            first += count;
        }
        // One of each principal is made or sent at a time, so that others wait for one of it at most.
        let principal = self.principal(&session.asker);
        let _turn = principal.making.acquire().await;
        let artifact = self.make(session).await?;
        frames::send(write, &Answer::Artifact(artifact.row.clone())).await?;
        for (index, bytes) in (0..).zip(&artifact.chunks) {
            let bytes = bytes.clone();
            frames::send(write, &Answer::Chunk(Chunk { index, bytes })).await?;
        }
        Ok(frames::send(write, &Answer::End).await?)
    }

    /// Makes the session's artifact, once all points came; given up with the stream that it is made for.
    async fn make(&self, session: &mut Session) -> Result<Segment, Refused> {
        session.makings += 1;
        if session.makings > TIMES {
            return Err(refuse("the session was repeated too often"));
        }
        let _place = self.counts.acquire().await;
        self.sources(session)?.make(&self.evaluator).await
    }
}

fn is_source(artifact: &ArtifactState, kind: u8) -> bool {
    artifact.kind == kind && artifact.mode == MatchMode::Items
}

/// # Errors
/// That there are too many items to count.
fn few_enough(items: u64) -> Result<(), Refused> {
    if items <= ITEMS_MAX {
        return Ok(());
    }
    let text = format!("a count is taken of at most {ITEMS_MAX} items, and here are more");
    let code = RefusalCode::Failed;
    Err(Refused { code, text })
}

/// Points that a count is made from, and where its tags stand.
struct Sources {
    space: Space,
    session: SessionId,
    to: KeyName,
    bits: TagBits,
    runs: Vec<(KeyName, Vec<Run>)>,
}

impl Sources {
    async fn make(self, evaluator: &Evaluator) -> Result<Segment, Refused> {
        let mut tagger = Tagger::new(&self.space, Some(&self.session), self.bits);
        let mut tags: Vec<Tag> = Vec::new();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let to = self.to;
        for (from, runs) in self.runs {
            let pieces = read_ahead(runs);
            let pieces = stream::unfold(pieces, |mut pieces| async {
                let piece = pieces.recv().await?;
                Some((piece, pieces))
            });
            let turned = pieces.map(|piece| async move {
                let points = piece.map_err(|_| RefusalCode::Failed)?;
                evaluator.turn(from, to, points).await.map_err(refused)
            });
            let mut turned = Box::pin(turned.buffered(cores));
            while let Some(items) = turned.try_next().await? {
                tags.extend(items.iter().map(|item| tagger.tag(&item.doubled)));
            }
        }
        let (space, session, bits) = (self.space, self.session, self.bits);
        let made = spawn_blocking(move || {
            tags.sort_unstable();
            tags.dedup();
            encode(
                &SegmentPlace::new(&space, Some(&session), 0),
                bits,
                &tags,
                &[],
            )
        });
        let made = made.await.map_err(|_| RefusalCode::Failed)?;
        made.map_err(|_| RefusalCode::Failed.into())
    }
}

/// Points of the items that runs come to, a job's at a time, read on a blocking thread a little ahead.
fn read_ahead(runs: Vec<Run>) -> mpsc::Receiver<Result<Vec<Encoded>, RunError>> {
    let (pieces, told) = mpsc::channel(2);
    spawn_blocking(move || {
        let read = || {
            let mut piece = Vec::with_capacity(JOB_ITEMS);
            for row in Merged::new(runs)? {
                let row = row?;
                if row.change == Change::Added {
                    piece.push(row.point);
                }
                if piece.len() == JOB_ITEMS
                    && pieces
                        .blocking_send(Ok(std::mem::take(&mut piece)))
                        .is_err()
                {
                    return Ok(());
                }
            }
            if !piece.is_empty() {
                // Nobody hears it if the session is gone.
                let _ = pieces.blocking_send(Ok(piece));
            }
            Ok(())
        };
        if let Err(error) = read() {
            let _ = pieces.blocking_send(Err(error));
        }
    });
    told
}

/// Fisher and Yates, with numbers that nobody can know.
fn shuffle(points: &mut [Encoded]) -> Result<(), Refused> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed).map_err(|_| RefusalCode::Failed)?;
    let mut rng = ChaCha20Rng::from_seed(*seed);
    for last in (1..points.len()).rev() {
        // 64 bits of numerator: the bias is below 2^-44 for a million points.
        let at = (u128::from(rng.next_u64()) * (last as u128 + 1)) >> 64;
        points.swap(last, usize::try_from(at).unwrap_or(last));
    }
    Ok(())
}
