//! How a file becomes signed deltas: two passes over the file, then drafts in source order, each durable before the next.
//!
//! Runs on a thread that may block. Drafting the next delta overlaps with committing the one before. A file that was
//! interrupted is completed by ingesting it again: rows that are durable are found unchanged.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use hashpact_protocol::centre::{Command, Outcome};
use hashpact_protocol::delta::{Draft, DraftError, Retraction};
use hashpact_protocol::labels::ClassId;
use hashpact_protocol::limits;
use hashpact_protocol::record::{EntryId, Record, Revision};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};

use super::{AskError, Handle, Pending, Stopped};
use crate::clock;
use crate::ingest::{
    Crosswalk, CrosswalkError, Guards, Held, IngestError, NewRow, Phase, Profile, ProfileError,
    Progress, ReportLine, Resolved, Role, SourceError, SourceState, StageContext, Wishes, stage,
};
use crate::store::LookupError;

/// Retractions in one delta of those that a file takes back.
const RETRACTED_AT_ONCE: usize = 20_000;

/// What to ingest.
#[derive(Clone, Debug)]
pub struct IngestOrder {
    /// The file.
    pub file: PathBuf,
    /// The profile's text.
    pub profile: String,
    /// The profile's path, for messages.
    pub profile_path: String,
    /// Whether one bad row stops the file.
    pub strict: bool,
    /// How many bad rows are confirmed.
    pub accept_bad: Option<u64>,
    /// What is asked besides.
    pub more: IngestMore,
}

/// What may be asked of an ingest besides.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IngestMore {
    /// Path and text of a crosswalk, in place of the one that comes with the program.
    pub crosswalk: Option<(String, String)>,
    /// The name of the edition, of a file that is all that its source has.
    pub edition: Option<String>,
    /// How many missing entries may be retracted.
    pub confirm_missing: Option<u64>,
    /// Whether what was retracted is brought back under a higher revision.
    pub reissue: bool,
}

/// How far an ingest is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct IngestProgress {
    /// `read`, `look up`, `decide` or `sign`.
    pub phase: IngestPhase,
    /// Rows, fingerprints or entries through.
    pub done: u64,
    /// Of how many, where known.
    pub total: Option<u64>,
}

/// What an ingest is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IngestPhase {
    /// Reading and checking rows.
    Read,
    /// Looking fingerprints up.
    LookUp,
    /// Deciding what is new.
    Decide,
    /// Signing deltas and making them durable.
    Sign,
}

/// How an ingest ended.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct IngestRun {
    /// Counts over the file.
    pub summary: crate::ingest::Summary,
    /// Deltas signed.
    pub deltas: u64,
}

/// Why an ingest did not end well. What was acknowledged before stays.
#[derive(Debug, thiserror::Error)]
pub enum IngestRunError {
    /// The profile.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// The file.
    #[error(transparent)]
    Ingest(#[from] IngestError),
    /// The crosswalk.
    #[error(transparent)]
    Crosswalk(#[from] CrosswalkError),
    /// What came before it from the same source.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A warninglist cannot be used.
    #[error("guards: {0}")]
    Guards(#[source] io::Error),
    /// The list says what must never be an entry.
    #[error(
        "this profile says that the list is a guard list: its values must never become entries"
    )]
    Guard,
    /// The file cannot be opened.
    #[error("{path}: {source}", path = path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The fault.
        source: io::Error,
    },
    /// Another one is under way.
    #[error("another file is being ingested: wait for it, then repeat the command")]
    Busy,
    /// The core refused.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// A draft cannot be made.
    #[error(transparent)]
    Draft(#[from] DraftError),
    /// The index cannot be read.
    #[error(transparent)]
    LookUp(#[from] LookupError),
    /// The machine gave no random numbers.
    #[error("no random numbers: {0}")]
    Random(getrandom::Error),
    /// The operator went away.
    #[error("the operator's connection closed")]
    Abandoned,
}

impl From<Stopped> for IngestRunError {
    fn from(stopped: Stopped) -> Self {
        Self::Ask(stopped.into())
    }
}

/// Releases the one place for an ingest.
struct Place<'a>(&'a AtomicBool);

impl<'a> Place<'a> {
    fn take(busy: &'a AtomicBool) -> Result<Self, IngestRunError> {
        if busy.swap(true, Ordering::AcqRel) {
            Err(IngestRunError::Busy)
        } else {
            Ok(Self(busy))
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Handle {
    /// Ingests one file. Blocks; call on a thread of its own. `progress` says false when nobody listens any more.
    ///
    /// # Errors
    /// [`IngestRunError`].
    pub fn ingest(
        &self,
        order: &IngestOrder,
        progress: &mut dyn FnMut(IngestProgress) -> bool,
        report: &mut dyn FnMut(&ReportLine<'_>),
    ) -> Result<IngestRun, IngestRunError> {
        let _place = Place::take(&self.ingesting)?;
        let profile = self.profile(order)?;
        let folder = self.store.sources_dir();
        let mut state = SourceState::read(&folder, profile.name())?;
        let before = state.clone();
        if let Some(walk) = profile.crosswalk() {
            let (scheme, got) = (walk.scheme().to_owned(), walk.version());
            if let Some(used) = state.crosswalk.filter(|used| *used > got) {
                return Err(CrosswalkError::Older { scheme, used, got }.into());
            }
            state.crosswalk = Some(got);
        }
        state.advance(None, order.more.edition.as_deref())?;
        let resolved = self.resolve(order, &profile, &mut state, progress, report)?;
        let summary = resolved.summary().clone();
        let classes = self.define(&resolved)?;
        let total = summary.accepted + summary.updated + summary.reissued;
        let mut cutter = Cutter::new(self, classes, total)?;
        for row in resolved.rows()? {
            cutter.add(&row?, progress)?;
        }
        let mut deltas = cutter.finish(progress)?;
        for part in resolved.withdrawn().chunks(RETRACTED_AT_ONCE) {
            let command = Command::Retract(part.to_vec());
            self.command_later(command)?.wait()?;
            deltas += 1;
        }
        // Behind the last delta: a file that was half taken may come again.
        if state != before {
            state.write(&folder)?;
        }
        Ok(IngestRun { summary, deltas })
    }

    /// The profile with its crosswalk, which must be one that may be used today.
    fn profile(&self, order: &IngestOrder) -> Result<Profile, IngestRunError> {
        let given = order.more.crosswalk.as_ref();
        let given = given.map(|(path, text)| Crosswalk::from_toml(text, path));
        let given = given.transpose()?;
        let profile = Profile::with_crosswalk(&order.profile, &order.profile_path, given)?;
        if let Some(walk) = profile.crosswalk() {
            let today = u32::try_from(clock::now().get() / 86_400).unwrap_or(u32::MAX);
            walk.check_use(today, self.reach.is_demo())?;
        }
        match profile.role() {
            Role::List => Ok(profile),
            Role::Guard => Err(IngestRunError::Guard),
        }
    }

    fn resolve(
        &self,
        order: &IngestOrder,
        profile: &Profile,
        state: &mut SourceState,
        progress: &mut dyn FnMut(IngestProgress) -> bool,
        report: &mut dyn FnMut(&ReportLine<'_>),
    ) -> Result<Resolved, IngestRunError> {
        let open = |source| IngestRunError::Open {
            path: order.file.clone(),
            source,
        };
        // A pipe would keep the thread for as long as nobody writes to it.
        let regular = std::fs::metadata(&order.file).map_err(open)?.is_file();
        if !regular {
            return Err(open(io::Error::other("not a regular file")));
        }
        let file = File::open(&order.file).map_err(open)?;
        let name = order
            .file
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        let name = name.unwrap_or_default();
        let staging = self.store.ingest_dir();
        let jurisdiction = &self.checked.jurisdiction;
        let mut context = StageContext::new(self.store.index_key(), &staging, &name, jurisdiction);
        context.strict = order.strict;
        context.accept_bad = order.accept_bad;
        let guards = Guards::read(&self.store.guards_dir(), self.store.index_key());
        let guards = guards.map_err(IngestRunError::Guards)?;
        context.guards = Some(&guards);
        let whole = order.more.edition.is_some();
        context.wishes = Wishes {
            reissue: order.more.reissue,
            replace: whole,
            whole,
            confirm_missing: order.more.confirm_missing,
        };
        let mut told = |step: Progress| {
            // Nothing is lost by going on unheard: the file is committed only behind this point.
            progress(IngestProgress {
                phase: match step.phase {
                    Phase::Read => IngestPhase::Read,
                    Phase::LookUp => IngestPhase::LookUp,
                    Phase::Decide => IngestPhase::Decide,
                },
                done: step.done,
                total: step.total,
            });
        };
        let staged = stage(file, profile, &context, &mut told, report)?;
        state.advance(staged.cursor(), None)?;
        let own = self.store.own_lines();
        let judged = staged.judge(&self.store.index(), own, &mut told, report)?;
        let held = Held {
            store: &self.store,
            profile,
        };
        Ok(judged.settle(Some(held), report)?)
    }

    /// Class numbers for the label tuples of the file, logged before their first use.
    fn define(&self, resolved: &Resolved) -> Result<Vec<ClassId>, IngestRunError> {
        if resolved.labels().is_empty() {
            return Ok(Vec::new());
        }
        let labels = resolved.labels().to_vec();
        let Outcome::Classes(classes) = self.command_later(Command::Define(labels))?.wait()? else {
            return Err(Stopped.into());
        };
        Ok(classes)
    }
}

/// Cuts rows into deltas in source order, and keeps one delta on its way to the disk while it drafts the next.
struct Cutter<'a> {
    handle: &'a Handle,
    classes: Vec<ClassId>,
    rng: ChaCha20Rng,
    rows: Vec<(ClassId, EntryId, usize)>,
    records: Vec<u8>,
    /// Revisions that end by the records of this delta.
    ends: Vec<Retraction>,
    under_way: Option<(Pending, u64)>,
    done: u64,
    total: u64,
    deltas: u64,
}

impl<'a> Cutter<'a> {
    fn new(handle: &'a Handle, classes: Vec<ClassId>, total: u64) -> Result<Self, IngestRunError> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(IngestRunError::Random)?;
        Ok(Self {
            handle,
            classes,
            rng: ChaCha20Rng::from_seed(seed),
            rows: Vec::with_capacity(limits::RECORDS_PER_DELTA),
            records: Vec::new(),
            ends: Vec::new(),
            under_way: None,
            done: 0,
            total,
            deltas: 0,
        })
    }

    fn add(
        &mut self,
        row: &NewRow,
        progress: &mut dyn FnMut(IngestProgress) -> bool,
    ) -> Result<(), IngestRunError> {
        let full = self.rows.len() == limits::RECORDS_PER_DELTA
            || self.records.len() + row.fields.len() + 32 > limits::BODY_BYTES_CUT;
        if full {
            self.cut(progress)?;
        }
        let (mut entry, mut revision) = (EntryId([0; 16]), Revision(1));
        match row.target {
            None => self.rng.fill_bytes(&mut entry.0),
            Some(target) => {
                (entry, revision) = (target.entry, target.revision);
                let ends = target.ends.map(|revision| Retraction { entry, revision });
                self.ends.extend(ends);
            }
        }
        let class = self.classes.get(usize::from(row.labels)).ok_or(Stopped)?;
        self.rows.push((*class, entry, self.records.len()));
        Record::assemble_into(&mut self.records, entry, revision, &row.fields);
        Ok(())
    }

    fn cut(
        &mut self,
        progress: &mut dyn FnMut(IngestProgress) -> bool,
    ) -> Result<(), IngestRunError> {
        let ends = self
            .rows
            .iter()
            .skip(1)
            .map(|row| row.2)
            .chain([self.records.len()]);
        let records = self.rows.iter().zip(ends);
        let records =
            records.map(|((class, entry, at), end)| (*class, *entry, &self.records[*at..end]));
        let draft = Draft::new(records, std::mem::take(&mut self.ends), &mut self.rng)?;
        let count = self.rows.len() as u64;
        self.rows.clear();
        self.records.clear();
        self.settle(progress)?;
        self.under_way = Some((self.handle.command_later(Command::Append(draft))?, count));
        Ok(())
    }

    /// Waits until the delta under way is durable.
    fn settle(
        &mut self,
        progress: &mut dyn FnMut(IngestProgress) -> bool,
    ) -> Result<(), IngestRunError> {
        let Some((pending, count)) = self.under_way.take() else {
            return Ok(());
        };
        pending.wait()?;
        self.deltas += 1;
        self.done += count;
        let (done, total) = (self.done, Some(self.total));
        if progress(IngestProgress {
            phase: IngestPhase::Sign,
            done,
            total,
        }) {
            Ok(())
        } else {
            // Whoever asked cannot be told any more; what is durable stays, repeating completes it.
            Err(IngestRunError::Abandoned)
        }
    }

    fn finish(
        mut self,
        progress: &mut dyn FnMut(IngestProgress) -> bool,
    ) -> Result<u64, IngestRunError> {
        if !self.rows.is_empty() {
            self.cut(progress)?;
        }
        self.settle(progress)?;
        Ok(self.deltas)
    }
}
