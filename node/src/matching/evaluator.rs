//! The one owner of match keys: everything that needs one is asked here, as a job of bounded size.
//!
//! Why one owner: no other code holds a key, so none can log, copy or forget one. Seeds come from
//! the sealed files (`keyring`); keys are derived when they are first used, kept until their epoch is
//! dropped, and wiped then. A count's key is drawn here, is never written anywhere, and ends with
//! its session. The jobs of builds and of sessions are taken in turn by as many threads as the
//! machine has cores. In scope: keys and arithmetic. Out of scope: who may ask (`serve`), what is
//! done with points (`build`).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread;

use hashpact_keys::Origin;
use hashpact_protocol::policy::MatchMode;
use hashpact_protocol::psi::oprf::{BatchError, Evaluation, Item, ServerKey};
use hashpact_protocol::psi::{Epoch, GroupId, PointError, Space};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use tokio::sync::{mpsc, oneshot};
use zeroize::Zeroizing;

use super::keyring::EpochSeed;

/// Jobs that wait: each holds at most [`JOB_ITEMS`] items.
const JOBS_WAITING: usize = 64;

/// Items of a job of a build: a tenth of a second, so that a session waits no longer for one.
pub(super) const JOB_ITEMS: usize = 2048;

pub(super) type Encoded = [u8; 32];

/// Which key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum KeyName {
    /// Of an epoch: group, code of the fingerprint type, `items` or `labels`.
    Epoch(Epoch, GroupId, u8, MatchMode),
    /// Of one count: a number that is never given twice, as two askers may name their sessions alike.
    Session(u64),
}

/// Why a job has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EvaluateError {
    /// The epoch is over, or the session.
    #[error("the key is destroyed")]
    NoKey,
    /// A point of the other side's.
    #[error(transparent)]
    Point(#[from] PointError),
    /// A batch that no proof covers.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// The machine gave no random numbers.
    #[error("no random numbers")]
    Random,
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopped,
}

type Reply<T> = oneshot::Sender<Result<T, EvaluateError>>;

/// A result that is told later; dropped, its job is left out if it has not begun.
pub(super) struct Told<T>(oneshot::Receiver<Result<T, EvaluateError>>);

impl<T> Told<T> {
    /// Waits for it, once; a wait that is given up loses nothing.
    pub(super) async fn wait(&mut self) -> Result<T, EvaluateError> {
        (&mut self.0).await.map_err(|_| EvaluateError::Stopped)?
    }
}

enum Job {
    Public(KeyName, Reply<Encoded>),
    Items(KeyName, Vec<Vec<u8>>, Reply<Vec<Item>>),
    Turn([KeyName; 2], Vec<Encoded>, Reply<Vec<Item>>),
    Prove(KeyName, Vec<Encoded>, Reply<Evaluation>),
    Evaluate(KeyName, Vec<Encoded>, Reply<Vec<Encoded>>),
    Open(KeyName, Vec<Vec<u8>>, Reply<Evaluation>),
}

/// Seeds of the epochs that are served, and the keys in use.
struct Keys {
    origin: Origin,
    seeds: BTreeMap<Epoch, EpochSeed>,
    derived: BTreeMap<KeyName, Arc<ServerKey>>,
    /// Number of the next count's key.
    next: u64,
}

/// A handle on the keys' owner; clones share it. The threads end with the last one.
#[derive(Clone)]
pub(super) struct Evaluator {
    jobs: mpsc::Sender<Job>,
    keys: Arc<RwLock<Keys>>,
}

impl Evaluator {
    /// Starts the threads.
    pub(super) fn start(origin: Origin) -> Self {
        let (jobs, waiting) = mpsc::channel::<Job>(JOBS_WAITING);
        let waiting = Arc::new(Mutex::new(waiting));
        let keys = Arc::new(RwLock::new(Keys {
            origin,
            seeds: BTreeMap::new(),
            derived: BTreeMap::new(),
            next: 0,
        }));
        let cores = thread::available_parallelism().map_or(1, usize::from);
        for number in 0..cores {
            let (waiting, keys) = (Arc::clone(&waiting), Arc::clone(&keys));
            let work = move || {
                loop {
                    // The lock is held while it waits, and not while it works.
                    let next = waiting
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .blocking_recv();
                    let Some(job) = next else { return };
                    job.run(&keys);
                }
            };
            let named = thread::Builder::new().name(format!("match-{number}"));
            if let Err(error) = named.spawn(work) {
                tracing::error!(kind = ?error.kind(), "a thread for matching did not start");
            }
        }
        Self { jobs, keys }
    }

    /// Takes the seed of an epoch.
    pub(super) fn add_epoch(&self, epoch: Epoch, seed: EpochSeed) {
        self.write().seeds.insert(epoch, seed);
    }

    /// Wipes every key of an epoch; jobs under way end with it.
    pub(super) fn drop_epoch(&self, epoch: Epoch) {
        let mut keys = self.write();
        keys.seeds.remove(&epoch);
        keys.derived.retain(|name, _| match name {
            KeyName::Epoch(of, ..) => *of != epoch,
            KeyName::Session(_) => true,
        });
    }

    /// Draws the key of a count.
    pub(super) fn begin_session(&self) -> Result<KeyName, EvaluateError> {
        let key = ServerKey::generate(&mut random()?);
        let mut keys = self.write();
        let name = KeyName::Session(keys.next);
        keys.next += 1;
        keys.derived.insert(name, Arc::new(key));
        Ok(name)
    }

    /// Wipes the key of a count.
    pub(super) fn end_session(&self, key: KeyName) {
        self.write().derived.remove(&key);
    }

    /// The public key, encoded.
    pub(super) async fn public(&self, key: KeyName) -> Result<Encoded, EvaluateError> {
        self.ask(|reply| Job::Public(key, reply)).await
    }

    /// The points of own items, from the bytes that stand for each ([`psi::input`](hashpact_protocol::psi::input)).
    pub(super) async fn items(
        &self,
        key: KeyName,
        inputs: Vec<Vec<u8>>,
    ) -> Result<Vec<Item>, EvaluateError> {
        self.ask(|reply| Job::Items(key, inputs, reply)).await
    }

    /// The points of the key `to`, from those of the key `from`.
    pub(super) async fn turn(
        &self,
        from: KeyName,
        to: KeyName,
        points: Vec<Encoded>,
    ) -> Result<Vec<Item>, EvaluateError> {
        self.ask(|reply| Job::Turn([from, to], points, reply)).await
    }

    /// Blinded points of somebody else's, evaluated with a proof. Waits for a place alone; the result is told later.
    pub(super) async fn prove(
        &self,
        key: KeyName,
        blinded: Vec<Encoded>,
    ) -> Result<Told<Evaluation>, EvaluateError> {
        self.begin(|reply| Job::Prove(key, blinded, reply)).await
    }

    /// Blinded points of somebody else's, evaluated without a proof: for a count. Else as [`Evaluator::prove`].
    pub(super) async fn evaluate(
        &self,
        key: KeyName,
        blinded: Vec<Encoded>,
    ) -> Result<Told<Vec<Encoded>>, EvaluateError> {
        self.begin(|reply| Job::Evaluate(key, blinded, reply)).await
    }

    /// Own items evaluated with a proof, for an auditor who may see them.
    pub(super) async fn open(
        &self,
        key: KeyName,
        inputs: Vec<Vec<u8>>,
    ) -> Result<Evaluation, EvaluateError> {
        self.ask(|reply| Job::Open(key, inputs, reply)).await
    }

    async fn ask<T>(&self, job: impl FnOnce(Reply<T>) -> Job) -> Result<T, EvaluateError> {
        self.begin(job).await?.wait().await
    }

    async fn begin<T>(&self, job: impl FnOnce(Reply<T>) -> Job) -> Result<Told<T>, EvaluateError> {
        let (reply, told) = oneshot::channel();
        let sent = self.jobs.send(job(reply)).await;
        sent.map_err(|_| EvaluateError::Stopped)?;
        Ok(Told(told))
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Keys> {
        self.keys.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keys {
    fn derive(&self, name: KeyName) -> Option<ServerKey> {
        let KeyName::Epoch(epoch, group, kind, mode) = name else {
            return None;
        };
        let seed = self.seeds.get(&epoch)?;
        let space = Space {
            origin: self.origin.clone(),
            epoch,
            group,
            kind,
            mode,
        };
        Some(ServerKey::derive(seed.expose(), &space.hash(None)))
    }
}

/// The key of a name; derived and kept if it is not there yet.
fn key(keys: &RwLock<Keys>, name: KeyName) -> Result<Arc<ServerKey>, EvaluateError> {
    let mut keys = keys.write().unwrap_or_else(PoisonError::into_inner);
    if let Some(key) = keys.derived.get(&name) {
        return Ok(Arc::clone(key));
    }
    let key = Arc::new(keys.derive(name).ok_or(EvaluateError::NoKey)?);
    keys.derived.insert(name, Arc::clone(&key));
    Ok(key)
}

/// A generator for one key or one proof, from a seed of its own that is wiped. What its state leaves on a stack, whoever reads
/// this process's memory reads; he reads the keys as well.
fn random() -> Result<ChaCha20Rng, EvaluateError> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed).map_err(|_| EvaluateError::Random)?;
    Ok(ChaCha20Rng::from_seed(*seed))
}

impl Job {
    /// Whoever asked may have gone: then nobody hears the answer.
    fn run(self, keys: &RwLock<Keys>) {
        match self {
            Self::Public(name, reply) => {
                let public = key(keys, name).map(|key| *key.public().as_bytes());
                let _ = reply.send(public);
            }
            Self::Items(name, inputs, reply) => {
                let inputs = inputs.iter().map(Vec::as_slice);
                let _ = reply.send(key(keys, name).map(|key| key.items(inputs)));
            }
            Self::Turn([from, to], points, reply) => {
                let turned = key(keys, from).and_then(|from| {
                    let ratio = from.ratio_to(&*key(keys, to)?);
                    Ok(ratio.apply(&points)?)
                });
                let _ = reply.send(turned);
            }
            Self::Prove(name, blinded, reply) => {
                if !reply.is_closed() {
                    let proven = key(keys, name)
                        .and_then(|key| Ok(key.evaluate_proven(&blinded, &mut random()?)?));
                    let _ = reply.send(proven);
                }
            }
            Self::Evaluate(name, blinded, reply) => {
                if !reply.is_closed() {
                    let points = key(keys, name).and_then(|key| Ok(key.evaluate(&blinded)?));
                    let _ = reply.send(points);
                }
            }
            Self::Open(name, inputs, reply) => {
                let inputs = inputs.iter().map(Vec::as_slice);
                let opened = key(keys, name).and_then(|key| Ok(key.open(inputs, &mut random()?)?));
                let _ = reply.send(opened);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: u8 = 3;

    fn name(epoch: u64, group: u32) -> KeyName {
        KeyName::Epoch(Epoch(epoch), GroupId(group), KIND, MatchMode::Items)
    }

    fn evaluator() -> Evaluator {
        let evaluator = Evaluator::start("eu.example/eu/1".parse().unwrap());
        evaluator.add_epoch(Epoch(0), EpochSeed::random().unwrap());
        evaluator
    }

    fn inputs() -> Vec<Vec<u8>> {
        (0..40_u8).map(|n| vec![KIND, n]).collect()
    }

    #[tokio::test]
    async fn keys_of_two_groups_types_modes_and_epochs_are_independent() {
        let evaluator = evaluator();
        evaluator.add_epoch(Epoch(1), EpochSeed::random().unwrap());
        let mut all = Vec::new();
        for epoch in [Epoch(0), Epoch(1)] {
            for (group, kind) in [(0, 3), (1, 3), (0, 4)] {
                for mode in [MatchMode::Items, MatchMode::Labels] {
                    let name = KeyName::Epoch(epoch, GroupId(group), kind, mode);
                    all.push(evaluator.public(name).await.unwrap());
                }
            }
        }
        // Two counts have two keys, whoever asks and however they are named.
        for _ in 0..2 {
            let session = evaluator.begin_session().unwrap();
            all.push(evaluator.public(session).await.unwrap());
        }
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[tokio::test]
    async fn points_turned_to_the_next_key_are_those_that_it_would_have_made() {
        let evaluator = evaluator();
        evaluator.add_epoch(Epoch(1), EpochSeed::random().unwrap());
        let old = evaluator.items(name(0, 0), inputs()).await.unwrap();
        let points = old.iter().map(|item| item.point).collect();
        let turned = evaluator
            .turn(name(0, 0), name(1, 0), points)
            .await
            .unwrap();
        let made = evaluator.items(name(1, 0), inputs()).await.unwrap();
        assert!(turned == made);
        assert!(turned != old);
    }

    #[tokio::test]
    async fn a_dropped_epoch_and_an_ended_session_evaluate_nothing_any_more() {
        let evaluator = evaluator();
        let session = evaluator.begin_session().unwrap();
        let items = evaluator.items(name(0, 0), inputs()).await.unwrap();
        let points: Vec<Encoded> = items.iter().map(|item| item.point).collect();
        let counted = evaluator.evaluate(session, points.clone());
        counted.await.unwrap().wait().await.unwrap();
        evaluator.drop_epoch(Epoch(0));
        evaluator.end_session(session);
        let gone = Some(EvaluateError::NoKey);
        let mut proven = evaluator.prove(name(0, 0), points.clone()).await.unwrap();
        assert_eq!(proven.wait().await.err(), gone);
        let counted = evaluator.evaluate(session, points).await;
        assert_eq!(counted.unwrap().wait().await.err(), gone);
    }
}
