//! What is built beside everything else: points of own items, segments, manifests, new epochs.
//!
//! One thread goes round: who may match what (asked of the core), which deltas are new, what is to be published. Every file
//! is durable before the state names it, and the state before the manifest is logged, so that a crash at any step loses at
//! most the run in the making, and the log never names a file that is not there. Evaluation is spread over all cores by the
//! `evaluator`. A round that fails is told of and tried again.
//!
//! | file | answers |
//! |---|---|
//! | `build` | when what is done |
//! | `epochs` | when epochs begin and end, and what becomes of their keys |
//! | `fill` | which items come and go, delta by delta |
//! | `turn` | how a new key takes the points of the old one over |
//! | `publish` | segments, the manifest, and which files are left over |
//!
//! In scope: making. Out of scope: answering (`serve`), arithmetic (`evaluator`).

mod epochs;
mod fill;
mod publish;
mod turn;

use std::collections::BTreeSet;
use std::fs;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use hashpact_keys::{NetworkId, Signer};
use hashpact_protocol::centre::{Command, MatchGroup, MatchGroups, Outcome};
use hashpact_protocol::delta::Seq;
use hashpact_protocol::limits;
use hashpact_protocol::policy::MatchMode;
use hashpact_protocol::psi::oprf::Item;
use hashpact_protocol::psi::{Epoch, Manifest, ManifestError, Space, TagBitsError};
use hashpact_protocol::view::{LogState, View as _};

use super::evaluator::{EvaluateError, Evaluator, KeyName};
use super::keyring::{Keyring, KeyringError};
use super::points::{Form, IdKey, Merged, Row, Run, RunError, write_run};
use super::shared::{Building, Shared};
use super::state::{
    ArtifactState, EpochState, Folder, GroupState, RunState, State, StateError, run_file,
};
use crate::clock;
use crate::daemon::{AskError, Handle};
use crate::store::durable::{Steps, create_dirs, sweep_temporary};
use crate::store::{LookupError, Store};

/// A round is made at the latest after this long: epochs begin and end by the clock.
const ROUND_EVERY: Duration = Duration::from_secs(30);
/// How long commits are gathered before a round: an ingest makes many.
const SETTLE: Duration = Duration::from_millis(500);
/// Policy is asked again when nothing has changed, in case it has all the same.
const ASK_EVERY: Duration = Duration::from_secs(60);

/// Why a round failed. Nothing that was in force is lost.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The disk.
    #[error("match data")]
    Io(#[from] io::Error),
    /// The store.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// Stored points.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The state.
    #[error(transparent)]
    State(#[from] StateError),
    /// A key file.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// Evaluating.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// A manifest that nobody would take.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// Tags.
    #[error(transparent)]
    Bits(#[from] TagBitsError),
    /// A segment that cannot be made.
    #[error(transparent)]
    Segment(#[from] hashpact_protocol::psi::EncodeError),
    /// The core.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The core gave another answer than was asked for.
    #[error("an unexpected answer")]
    Answer,
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopping,
}

/// What a build is made with.
pub(super) struct Tools {
    pub(super) store: Arc<Store>,
    pub(super) asks: Handle,
    pub(super) evaluator: Evaluator,
    pub(super) keyring: Keyring,
    pub(super) ids: IdKey,
    pub(super) folder: Folder,
    pub(super) steps: Steps,
    pub(super) network: NetworkId,
    pub(super) signer: Signer,
    pub(super) shared: Arc<Shared>,
}

/// The one that builds.
pub(super) struct Builder {
    tools: Tools,
    runtime: tokio::runtime::Handle,
    state: State,
    groups: Option<Asked>,
}

/// What the core said, and what it looked at.
struct Asked {
    groups: MatchGroups,
    log_size: u64,
    members: u64,
    at: Instant,
}

impl Builder {
    /// Opens what was built, or begins anew where it is lost or of another log: it is derived, and keys that are not known
    /// any more are of no use.
    ///
    /// # Errors
    /// Of the disk, with the tools back, so that it can be tried again.
    pub(super) fn open(
        tools: Tools,
        runtime: tokio::runtime::Handle,
    ) -> Result<Self, (BuildError, Box<Tools>)> {
        let state = State::new(tools.store.own_origin().clone());
        let mut builder = Self {
            state,
            tools,
            runtime,
            groups: None,
        };
        match builder.load() {
            Ok(()) => Ok(builder),
            Err(error) => Err((error, Box::new(builder.tools))),
        }
    }

    fn load(&mut self) -> Result<(), BuildError> {
        let Tools { folder, steps, .. } = &self.tools;
        create_dirs(folder.root(), steps)?;
        sweep_temporary(folder.root())?;
        match State::read(folder) {
            Ok(Some(state)) if state.origin == self.state.origin => self.state = state,
            Ok(_) => {}
            Err(StateError::Damaged) => {
                tracing::warn!("the match state is damaged: a new epoch begins");
            }
            Err(error @ StateError::Io(_)) => return Err(error.into()),
        }
        self.load_keys()?;
        self.sweep()?;
        self.show();
        Ok(())
    }

    /// Goes round until the node stops.
    pub(super) fn run(mut self, wakes: &Receiver<()>) {
        loop {
            match self.round() {
                Ok(()) => self.tools.shared.fault(None),
                Err(BuildError::Stopping | BuildError::Ask(AskError::Stopped(_))) => return,
                Err(error) => {
                    tracing::warn!(%error, "matching is not up to date, and is tried again");
                    self.tools.shared.fault(Some(error.to_string()));
                }
            }
            match wakes.recv_timeout(ROUND_EVERY) {
                Ok(()) => std::thread::sleep(SETTLE),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            while wakes.try_recv().is_ok() {}
        }
    }

    fn round(&mut self) -> Result<(), BuildError> {
        self.go_on()?;
        // Before anything that may fail: keys end when it is said that they do.
        self.expire()?;
        let log = self.log();
        let groups = self.groups(&log)?;
        if self.state.newest().is_none() && groups.groups.is_empty() {
            return Ok(());
        }
        if self.is_epoch_due(&groups) {
            self.begin_epoch()?;
        }
        self.regroup(&groups.groups, &log)?;
        self.turn()?;
        self.fill(log.witnessed_seq)?;
        self.end(log.next_seq)?;
        self.cover()?;
        self.publish(&log)?;
        self.tidy()?;
        self.tools.shared.building(None);
        self.show();
        Ok(())
    }

    /// # Errors
    /// [`BuildError::Stopping`], so that a long round ends with the node.
    fn go_on(&self) -> Result<(), BuildError> {
        match self.tools.shared.is_stopping() {
            true => Err(BuildError::Stopping),
            false => Ok(()),
        }
    }

    fn log(&self) -> LogState {
        self.tools.store.log(self.tools.store.own_origin())
    }

    fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// The groups as policy has them, each with its number.
    fn groups(&mut self, log: &LogState) -> Result<MatchGroups, BuildError> {
        let members = self.tools.shared.members_changed();
        let now = clock::now();
        if let Some(asked) = &self.groups {
            let is_same = asked.log_size == log.size && asked.members == members;
            let is_over = asked.groups.until.is_some_and(|until| until <= now);
            if is_same && !is_over && asked.at.elapsed() < ASK_EVERY {
                return Ok(asked.groups.clone());
            }
        }
        let asked = self.wait(self.tools.asks.command(Command::MatchGroups))?;
        let Outcome::MatchGroups(groups) = asked else {
            return Err(BuildError::Answer);
        };
        self.groups = Some(Asked {
            groups: groups.clone(),
            log_size: log.size,
            members,
            at: Instant::now(),
        });
        Ok(groups)
    }

    /// The newest manifest in the own log, witnessed or not.
    fn newest_manifest(&self) -> Option<(u64, Manifest)> {
        let store = &self.tools.store;
        let (index, bytes) = store.manifests(store.own_origin(), 1).pop()?;
        Some((index, Manifest::read_unverified(&bytes).ok()?))
    }

    /// Groups that policy has not any more rest; new ones begin empty.
    fn regroup(&mut self, wanted: &[MatchGroup], log: &LogState) -> Result<(), BuildError> {
        let ended = log.next_seq;
        let Some(epoch) = self.state.newest_mut() else {
            return Ok(());
        };
        let before = epoch.groups.clone();
        for group in &mut epoch.groups {
            group.active = false;
        }
        for group in wanted.iter().take(limits::MATCH_GROUPS) {
            match epoch.groups.binary_search_by_key(&group.id, |it| it.id) {
                Ok(at) => {
                    if let Some(known) = epoch.groups.get_mut(at) {
                        known.active = true;
                    }
                }
                Err(at) => {
                    let group = GroupState {
                        id: group.id,
                        active: true,
                        classes: group.classes.clone(),
                        modes: built_modes(group),
                        applied: Seq(0),
                        ended,
                        artifacts: Vec::new(),
                    };
                    epoch.groups.insert(at, group);
                }
            }
        }
        match epoch.groups == before {
            true => Ok(()),
            false => self.write(),
        }
    }

    fn write(&self) -> Result<(), BuildError> {
        Ok(self.state.write(&self.tools.folder, &self.tools.steps)?)
    }

    /// Shows what is in force to whoever answers.
    fn show(&self) {
        self.tools.shared.show(self.state.clone());
    }

    /// Destroys keys and folders of epochs that the state does not name: a crash left them.
    fn sweep(&self) -> Result<(), BuildError> {
        let named: BTreeSet<Epoch> = self.state.epochs.iter().map(|it| it.epoch).collect();
        for epoch in self.tools.keyring.epochs()? {
            if !named.contains(&epoch) {
                self.destroy(epoch)?;
            }
        }
        for item in fs::read_dir(self.tools.folder.root())? {
            let item = item?;
            let number = item.file_name().to_str().and_then(|name| name.parse().ok());
            let Some(number) = number else { continue };
            if item.file_type()?.is_dir() && !named.contains(&Epoch(number)) {
                remove_folder(&item.path())?;
            }
        }
        for epoch in &self.state.epochs {
            for group in &epoch.groups {
                for artifact in &group.artifacts {
                    let folder = self.tools.folder.artifact(epoch.epoch, group.id, artifact);
                    if folder.is_dir() {
                        sweep_temporary(&folder)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Where the tags of an artifact of the newest epoch stand.
    fn space(&self, epoch: &EpochState, group: &GroupState, kind: u8, mode: MatchMode) -> Space {
        Space {
            origin: self.state.origin.clone(),
            epoch: epoch.epoch,
            group: group.id,
            kind,
            mode,
        }
    }

    /// Runs jobs of the evaluator, as many at once as there are cores, and gives their results in order.
    fn spread<F>(&self, jobs: impl Iterator<Item = F>) -> Result<Vec<Item>, BuildError>
    where
        F: Future<Output = Result<Vec<Item>, EvaluateError>>,
    {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let all = stream::iter(jobs).buffered(cores).try_concat();
        Ok(self.wait(all)?)
    }

    /// Writes a run of an artifact of the newest epoch, and names it in the state, which is not written yet.
    fn add_run(&mut self, at: Place, rows: &[Row], removes: bool) -> Result<(), BuildError> {
        let file = self.state.name_file();
        let folder = self.artifact_folder(at)?;
        create_dirs(&folder, &self.tools.steps)?;
        let artifact = self.artifact_mut(at)?;
        artifact.runs.push(RunState { file, removes });
        let form = match artifact.mode {
            MatchMode::Labels => Form::Labelled,
            MatchMode::Items | MatchMode::Count => Form::Plain,
        };
        write_run(&run_file(&folder, file), form, rows, &self.tools.steps)?;
        Ok(())
    }

    fn artifact_folder(&self, at: Place) -> Result<PathBuf, BuildError> {
        let epoch = self.state.newest().ok_or(BuildError::Answer)?;
        let (group, artifact) = at.of(epoch)?;
        Ok(self.tools.folder.artifact(epoch.epoch, group.id, artifact))
    }

    fn artifact_mut(&mut self, at: Place) -> Result<&mut ArtifactState, BuildError> {
        let epoch = self.state.newest_mut().ok_or(BuildError::Answer)?;
        let group = epoch.groups.get_mut(at.group).ok_or(BuildError::Answer)?;
        group
            .artifacts
            .get_mut(at.artifact)
            .ok_or(BuildError::Answer)
    }

    /// Every artifact of the newest epoch whose group policy has.
    fn places(&self) -> Vec<Place> {
        let groups = self.state.newest().map_or(&[][..], |epoch| &epoch.groups);
        let active = groups.iter().enumerate().filter(|(_, it)| it.active);
        let places = active.flat_map(|(group, it)| {
            (0..it.artifacts.len()).map(move |artifact| Place { group, artifact })
        });
        places.collect()
    }
}

/// An artifact of the newest epoch, by its places in the state.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place {
    group: usize,
    artifact: usize,
}

impl Place {
    fn of(self, epoch: &EpochState) -> Result<(&GroupState, &ArtifactState), BuildError> {
        let group = epoch.groups.get(self.group).ok_or(BuildError::Answer)?;
        let artifact = group.artifacts.get(self.artifact);
        Ok((group, artifact.ok_or(BuildError::Answer)?))
    }
}

fn key_name(epoch: &EpochState, group: &GroupState, kind: u8, mode: MatchMode) -> KeyName {
    KeyName::Epoch(epoch.epoch, group.id, kind, mode)
}

/// The modes in which artifacts are made; a count is made for its session from the points of `items`.
fn built_modes(group: &MatchGroup) -> Vec<MatchMode> {
    let has = |mode| group.modes.contains(mode);
    let items = (has(MatchMode::Items) || has(MatchMode::Count)).then_some(MatchMode::Items);
    let labels = has(MatchMode::Labels).then_some(MatchMode::Labels);
    items.into_iter().chain(labels).collect()
}

fn remove_folder(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The runs of an artifact, open.
fn open_runs(folder: &Path, runs: &[RunState]) -> Result<Vec<Run>, RunError> {
    let open = |run: &RunState| Run::open(&run_file(folder, run.file));
    runs.iter().map(open).collect()
}

/// The rows of some runs, merged.
fn merged(folder: &Path, runs: &[RunState]) -> Result<Merged, RunError> {
    Merged::new(open_runs(folder, runs)?)
}
