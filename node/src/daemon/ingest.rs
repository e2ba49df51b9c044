//! How a file becomes signed deltas: two passes over the file, then drafts in source order, each durable before the next.
//!
//! Runs on a thread that may block. Drafting the next delta overlaps with committing the one before. A file that was
//! interrupted is completed by ingesting it again: rows that are durable are found unchanged.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use hashpact_protocol::centre::{Command, Outcome};
use hashpact_protocol::delta::{Draft, DraftError};
use hashpact_protocol::labels::ClassId;
use hashpact_protocol::limits;
use hashpact_protocol::record::{EntryId, Record, Revision};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};

use super::{AskError, Handle, Pending, Stopped};
use crate::ingest::{
    IngestError, NewRow, Phase, Profile, ProfileError, Progress, ReportLine, Resolved,
    StageContext, stage,
};
use crate::store::LookupError;

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
        let resolved = self.resolve(order, progress, report)?;
        let summary = resolved.summary().clone();
        let classes = self.define(&resolved)?;
        let mut cutter = Cutter::new(self, classes, summary.accepted)?;
        for row in resolved.rows()? {
            cutter.add(&row?, progress)?;
        }
        let deltas = cutter.finish(progress)?;
        Ok(IngestRun { summary, deltas })
    }

    fn resolve(
        &self,
        order: &IngestOrder,
        progress: &mut dyn FnMut(IngestProgress) -> bool,
        report: &mut dyn FnMut(&ReportLine<'_>),
    ) -> Result<Resolved, IngestRunError> {
        let profile = Profile::from_toml(&order.profile, &order.profile_path)?;
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
        let staged = stage(file, &profile, &context, &mut told, report)?;
        let own = self.store.own_lines();
        Ok(staged.resolve(&self.store.index(), own, &mut told, report)?)
    }

    /// Class numbers for the label tuples of the file, logged before their first use.
    fn define(&self, resolved: &Resolved) -> Result<Vec<ClassId>, IngestRunError> {
        if resolved.summary().accepted == 0 {
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
        let mut entry = EntryId([0; 16]);
        self.rng.fill_bytes(&mut entry.0);
        let class = self.classes.get(usize::from(row.labels)).ok_or(Stopped)?;
        self.rows.push((*class, entry, self.records.len()));
        Record::assemble_into(&mut self.records, entry, Revision(1), &row.fields);
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
        let draft = Draft::new(records, Vec::new(), &mut self.rng)?;
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
