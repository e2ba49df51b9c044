//! How many, and not which: a session with a key of its own.
//!
//! The asker's items are evaluated under the session's key and go back in another order; then come the tags of all groups'
//! items under the same key (`P' = (k_s/k)P`), made for this session alone. No value of it means anything in another one.
//! The tags are made while the items come, one count at a time, and kept until the session ends: going on with it costs
//! nothing again.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use hashpact_protocol::limits;
use hashpact_protocol::policy::MatchMode;
use hashpact_protocol::psi::{
    Answer, Chunk, GroupId, Points, RefusalCode, Segment, SegmentPlace, SessionId, Space, Tag,
    TagBits, Tagger, encode,
};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinHandle, spawn_blocking};
use zeroize::Zeroizing;

use super::super::evaluator::{Encoded, Evaluator, JOB_ITEMS, KeyName};
use super::super::points::{Change, Merged, Run, RunError};
use super::super::state::{ArtifactState, EpochState, RunState, run_file};
use super::session::Session;
use super::talk::refused;
use super::{Ended, Refused, Server, Write, frames};

/// Items that a count can be taken of: their tags are sorted in memory, 256 MiB of them.
const ITEMS_MAX: u64 = 1 << 24;

/// The artifact of a session, in the making until it is asked for.
pub(super) enum Making {
    Begun(JoinHandle<Result<Segment, Refused>>),
    Made(Arc<Segment>),
}

impl Drop for Making {
    fn drop(&mut self) {
        match self {
            Self::Begun(task) => task.abort(),
            Self::Made(_) => {}
        }
    }
}

impl Server {
    /// Draws the session's key and begins its artifact, once. Returns the public key.
    pub(super) async fn begin_count(&self, session: &mut Session) -> Result<Encoded, Refused> {
        let id = session.ask.session;
        let key = KeyName::Session(id);
        if session.artifact.is_none() {
            self.evaluator.begin_session(id).map_err(refused)?;
            let sources = self.sources(session)?;
            let artifact = sources.make(self.evaluator.clone(), Arc::clone(&self.counts));
            session.artifact = Some(Making::Begun(tokio::spawn(artifact)));
        }
        self.evaluator.public(key).await.map_err(refused)
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
        if items > ITEMS_MAX {
            let text = format!("a count is taken of at most {ITEMS_MAX} items, and here are more");
            let code = RefusalCode::Failed;
            return Err(Refused { code, text });
        }
        Ok(Sources {
            space: self.count_space(epoch, ask.kind),
            session: ask.session,
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
        let artifact = artifact_of(session).await?;
        frames::send(write, &Answer::Artifact(artifact.row.clone())).await?;
        for (index, bytes) in (0..).zip(&artifact.chunks) {
            let bytes = bytes.clone();
            frames::send(write, &Answer::Chunk(Chunk { index, bytes })).await?;
        }
        Ok(frames::send(write, &Answer::End).await?)
    }
}

fn is_source(artifact: &ArtifactState, kind: u8) -> bool {
    artifact.kind == kind && artifact.mode == MatchMode::Items
}

async fn artifact_of(session: &mut Session) -> Result<Arc<Segment>, Refused> {
    let making = session.artifact.as_mut().ok_or(RefusalCode::Failed)?;
    let made = match making {
        Making::Made(made) => return Ok(Arc::clone(made)),
        // A wait that is given up leaves it in the making.
        Making::Begun(task) => task.await.map_err(|_| RefusalCode::Failed)?,
    };
    let made = Arc::new(made?);
    *making = Making::Made(Arc::clone(&made));
    Ok(made)
}

/// Points that a count is made from, and where its tags stand.
struct Sources {
    space: Space,
    session: SessionId,
    bits: TagBits,
    runs: Vec<(KeyName, Vec<Run>)>,
}

impl Sources {
    async fn make(self, evaluator: Evaluator, places: Arc<Semaphore>) -> Result<Segment, Refused> {
        let _place = places.acquire().await.map_err(|_| RefusalCode::Failed)?;
        let mut tagger = Tagger::new(&self.space, Some(&self.session), self.bits);
        let mut tags: Vec<Tag> = Vec::new();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let to = KeyName::Session(self.session);
        for (from, runs) in self.runs {
            let pieces = read_ahead(runs);
            let pieces = stream::unfold(pieces, |mut pieces| async {
                let piece = pieces.recv().await?;
                Some((piece, pieces))
            });
            let turned = pieces.map(|piece| {
                let evaluator = &evaluator;
                async move {
                    let points = piece.map_err(|_| RefusalCode::Failed)?;
                    evaluator.turn(from, to, points).await.map_err(refused)
                }
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
