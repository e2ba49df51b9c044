//! What others are answered on match streams: the manifest, segments, sessions.
//!
//! Each stream is one request, and runs beside the others; whoever stalls, breaks off or sends what is no request loses its
//! own stream alone. Who may open a session, and what it costs, the core says before anything is evaluated. Memory is
//! bounded: places per peer and in all (`net`), a few batches of a session under way, one count made at a time.
//!
//! | file | answers |
//! |---|---|
//! | `serve` | which request it is, and what is read to answer it |
//! | `session` | what is known of a session, and how it goes on after a break |
//! | `talk` | the two halves of a session's stream |
//! | `count` | how many, and not which |
//! | `close` | the record of a session, and what is forgotten of it |
//! | `principal` | what one asker may take up of what all share |
//! | `frames` | one frame, in time |
//!
//! No point, fingerprint or key is in any log line. In scope: answering. Out of scope: policy and quota (the core), building.

mod close;
mod count;
mod frames;
mod principal;
mod session;
mod talk;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::BoxFuture;
use futures::io::WriteHalf;
use futures::{AsyncReadExt as _, FutureExt as _};
use hashpact_keys::NetworkId;
use hashpact_protocol::limits;
use hashpact_protocol::policy::Asker;
use hashpact_protocol::psi::{Answer, Ask, Chunk, RefusalCode, SegmentAsk, SessionId};
use hashpact_protocol::view::View as _;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::chunks::ChunkFile;
use super::evaluator::Evaluator;
use super::shared::Shared;
use super::state::{Folder, SegmentState, labels_file, tags_file};
use crate::daemon::{Directory, Handle};
use crate::net::{MatchService, MatchStream, PeerId};
use crate::store::Store;
use frames::FrameError;
use principal::Principal;
use session::Slot;

/// Counts that are made at a time: each holds its tags in memory.
const COUNTS_AT_ONCE: usize = 1;

/// Sessions that are remembered: each principal has a few, and each one an hour.
const SESSIONS_KEPT: usize = 4_096;

/// Why a request comes to nothing: what its asker is told.
#[derive(Debug)]
struct Refused {
    code: RefusalCode,
    text: String,
}

impl From<RefusalCode> for Refused {
    fn from(code: RefusalCode) -> Self {
        let text = code.to_string();
        Self { code, text }
    }
}

/// Why a stream ends.
#[derive(Debug)]
enum Ended {
    /// The asker is told why.
    Refused(Refused),
    /// There is nobody to tell, or nothing to say.
    Broken(FrameError),
    /// The same session goes on on another stream.
    TakenOver,
}

impl From<FrameError> for Ended {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Exchange(_) => Self::Refused(RefusalCode::Malformed.into()),
            FrameError::Io(_) | FrameError::Stalled => Self::Broken(error),
        }
    }
}

impl From<Refused> for Ended {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<RefusalCode> for Ended {
    fn from(code: RefusalCode) -> Self {
        Self::Refused(code.into())
    }
}

/// Answers match streams.
pub(super) struct Server {
    pub(super) store: Arc<Store>,
    pub(super) asks: Handle,
    pub(super) directory: Directory,
    pub(super) evaluator: Evaluator,
    pub(super) shared: Arc<Shared>,
    pub(super) folder: Folder,
    pub(super) network: NetworkId,
    sessions: Mutex<BTreeMap<(Asker, SessionId), Slot>>,
    principals: Mutex<BTreeMap<Asker, Arc<Principal>>>,
    places: Arc<Semaphore>,
    counts: Semaphore,
}

/// The server as the network calls it.
pub(super) struct Service(pub(super) Arc<Server>);

impl MatchService for Service {
    fn serve(&self, peer: PeerId, stream: MatchStream) -> BoxFuture<'static, ()> {
        let server = Arc::clone(&self.0);
        async move { server.answer(peer, stream).await }.boxed()
    }
}

type Write = WriteHalf<MatchStream>;

impl Server {
    pub(super) fn new(
        asks: Handle,
        directory: Directory,
        evaluator: Evaluator,
        shared: Arc<Shared>,
        folder: Folder,
        network: NetworkId,
    ) -> Self {
        Self {
            store: Arc::clone(&asks.store),
            asks,
            directory,
            evaluator,
            shared,
            folder,
            network,
            sessions: Mutex::default(),
            principals: Mutex::default(),
            places: principal::places(),
            counts: Semaphore::new(COUNTS_AT_ONCE),
        }
    }

    async fn answer(&self, peer: PeerId, stream: MatchStream) {
        let (mut read, mut write) = stream.split();
        let ended = match self.directory.asker(&peer) {
            Some(asker) => match frames::receive(&mut read).await {
                Ok(Ask::Manifest) => self.manifest(&mut write).await,
                Ok(Ask::Segment(ask)) => self.segment(&asker, ask, &mut write).await,
                Ok(Ask::Open(ask)) => self.session(asker, ask, &mut read, &mut write).await,
                Ok(Ask::Batch(_) | Ask::Finish { .. }) => Err(RefusalCode::Malformed.into()),
                Err(error) => Err(error.into()),
            },
            None => Err(RefusalCode::NotAPrincipal.into()),
        };
        let told = match ended {
            Ok(()) => Ok(()),
            Err(Ended::Refused(Refused { code, text })) => {
                tracing::debug!(%peer, %code, "a match request was refused");
                frames::send(&mut write, &Answer::Refused { code, text }).await
            }
            Err(Ended::Broken(error)) => Err(error),
            Err(Ended::TakenOver) => return,
        };
        if let Err(error) = told {
            tracing::debug!(%peer, %error, "a match stream broke off");
            return;
        }
        // Its end tells the asker that all of it has come.
        let _ = frames::close(&mut write).await;
    }

    /// The newest manifest that a quorum has cosigned, with its proof.
    async fn manifest(&self, write: &mut Write) -> Result<(), Ended> {
        let store = Arc::clone(&self.store);
        let read = spawn_blocking(move || {
            let origin = store.own_origin();
            let witnessed = store.log(origin).witnessed;
            let size = witnessed.map_or(0, |head| head.checkpoint().size);
            let manifests = store.manifests(origin, limits::MANIFESTS_KEPT);
            let mut witnessed = manifests.into_iter().rev();
            let (index, manifest) = witnessed.find(|(index, _)| *index < size)?;
            let proof = match store.leaf_proof(origin, index) {
                Ok(proven) => proven.proof.to_text().into_bytes(),
                Err(error) => {
                    tracing::warn!(%error, "the match manifest cannot be proven");
                    return None;
                }
            };
            Some(Answer::Manifest {
                manifest,
                proof,
                index,
            })
        });
        let answer = read.await.map_err(|_| RefusalCode::Failed)?;
        let nothing = || Refused {
            code: RefusalCode::NotFound,
            text: "this centre lets nothing be matched yet".to_owned(),
        };
        let answer = answer.ok_or_else(nothing)?;
        Ok(frames::send(write, &answer).await?)
    }

    /// The chunks of a segment, for whoever may match its group.
    async fn segment(
        &self,
        asker: &Asker,
        ask: SegmentAsk,
        write: &mut Write,
    ) -> Result<(), Ended> {
        self.principal(asker).pace().await;
        let access = self.asks.match_access(asker.clone()).await;
        let access = access.map_err(|_| RefusalCode::Closed)?;
        if !access
            .get(&ask.group)
            .is_some_and(|modes| modes.contains(ask.mode))
        {
            let (by, group) = (asker.id(), ask.group);
            tracing::warn!(by, %group, "a segment of a group was asked for that policy does not give");
            return Err(RefusalCode::NoGroup.into());
        }
        let path = self.segment_file(&ask).ok_or(RefusalCode::NotFound)?;
        let file = spawn_blocking(move || ChunkFile::open(&path)).await;
        let file = file.map_err(|_| RefusalCode::Failed)?;
        // It may have been removed for a newer one since.
        let file = Arc::new(file.map_err(|_| RefusalCode::NotFound)?);
        let from = usize::try_from(ask.from_chunk).unwrap_or(usize::MAX);
        if from > file.len() {
            return Err(RefusalCode::NotFound.into());
        }
        for at in from..file.len() {
            let reading = Arc::clone(&file);
            let bytes = spawn_blocking(move || reading.chunk(at)).await;
            let bytes = bytes.map_err(|_| RefusalCode::Failed)?;
            let bytes = bytes.ok().flatten().ok_or(RefusalCode::Failed)?;
            let index = u32::try_from(at).map_err(|_| RefusalCode::Failed)?;
            frames::send(write, &Answer::Chunk(Chunk { index, bytes })).await?;
        }
        Ok(frames::send(write, &Answer::End).await?)
    }

    fn segment_file(&self, ask: &SegmentAsk) -> Option<std::path::PathBuf> {
        let state = self.shared.state();
        let epoch = state.epochs.iter().find(|it| it.epoch == ask.epoch)?;
        let group = epoch.groups.iter().find(|it| it.id == ask.group)?;
        let mut artifacts = group.artifacts.iter();
        let artifact = artifacts.find(|it| (it.kind, it.mode) == (ask.kind, ask.mode))?;
        let mut segments = artifact.segments.iter().chain(&artifact.retired);
        let is_asked = |segment: &&SegmentState| segment.row.root == ask.segment;
        let file = segments.find(is_asked)?.file;
        let folder = self.folder.artifact(epoch.epoch, group.id, artifact);
        Some(match ask.labels {
            true => labels_file(&folder, file),
            false => tags_file(&folder, file),
        })
    }

    fn sessions(&self) -> MutexGuard<'_, BTreeMap<(Asker, SessionId), Slot>> {
        // Whoever panicked left a map that is whole.
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failed(error: &io::Error) -> Refused {
    tracing::warn!(kind = ?error.kind(), "match data cannot be read or written");
    RefusalCode::Failed.into()
}
