//! The first pass: every row read, checked, encoded and spooled, and its fingerprints spilled in sorted runs.
//!
//! Why nothing is decided here: whether a row is new depends on all rows and on the index. In scope: one pass over the
//! file. Out of scope: duplicates (`admit`).
//!
//! The tag of a probe holds the number of the row (36 bits), which hash of the profile it is (4), and the first 24 bits of
//! the row's content check, so that two rows of the file with one fingerprint can be compared where they meet.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use hashpact_keys::Jurisdiction;
use hashpact_protocol::labels::Labels;

use super::crosswalk::Fate;
use super::csv::CsvRows;
use super::guard::Guards;
use super::input::ReadFault;
use super::local_file::LocalRows;
use super::ncmec::NcmecRows;
use super::profile::{Format, Identity, Profile};
use super::report::{Action, Code, ReportLine, Summary};
use super::row::{Accepted, Asked, Container, Refusal, Row, RowFault, RowReader, refuse_media};
use super::spool::{Head, Spool, SpoolWriter};
use super::stopncii::StopNciiRows;
use super::sums::SumsRows;
use super::table::TableRows;
use super::vics::VicsRows;
use super::{FileFault, IngestError};
use crate::store::index::spill::BUFFER_BYTES;
use crate::store::index::{IndexKey, Probe, SpillRuns};

/// Most bytes of one file: some 600 million rows, and the rows fit the bits that a probe has for them.
pub const FILE_BYTES_MAX: u64 = 64 << 30;
/// Rows or fingerprints between two calls of the progress callback.
pub(super) const PROGRESS_ROWS: u64 = 1 << 16;

/// What staging needs to know besides the list and its profile.
#[derive(Clone)]
pub struct StageContext<'a> {
    /// The secret of the index that the rows will be joined with.
    pub index_key: &'a IndexKey,
    /// A folder that does not exist; it is made, and removed when all that refers to it is dropped.
    pub staging_dir: &'a Path,
    /// What the report calls the file.
    pub file_name: &'a str,
    /// The origin's own jurisdiction, which every entry may rest in.
    pub jurisdiction: &'a Jurisdiction,
    /// Whether one bad row stops the file.
    pub strict: bool,
    /// How many bad rows the operator has confirmed.
    pub accept_bad: Option<u64>,
    /// What the operator wishes besides.
    pub wishes: Wishes,
    /// Values that must never become entries, besides those of the protocol.
    pub guards: Option<&'a Guards>,
    /// Most bytes of the file.
    pub file_bytes_max: u64,
    /// Memory for each external sort, in bytes.
    pub buffer_bytes: usize,
}

impl<'a> StageContext<'a> {
    /// A context with the usual limits, neither strict nor confirmed.
    #[must_use]
    pub fn new(
        index_key: &'a IndexKey,
        staging_dir: &'a Path,
        file_name: &'a str,
        jurisdiction: &'a Jurisdiction,
    ) -> Self {
        Self {
            index_key,
            staging_dir,
            file_name,
            jurisdiction,
            strict: false,
            accept_bad: None,
            wishes: Wishes::default(),
            guards: None,
            file_bytes_max: FILE_BYTES_MAX,
            buffer_bytes: BUFFER_BYTES,
        }
    }
}

/// What the operator wishes of an ingest besides that good rows are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Whether a row may bring back what this centre retracted, under a higher revision.
    pub reissue: bool,
    /// Whether a row may take the place of an entry of the same source that has its hash.
    pub replace: bool,
    /// Whether the file is all that the source has: what is not in it is missing.
    pub whole: bool,
    /// How many missing entries may be retracted.
    pub confirm_missing: Option<u64>,
}

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Reading the file; counted in rows.
    Read,
    /// Looking up; counted in fingerprints.
    LookUp,
    /// Deciding; counted in rows.
    Decide,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub phase: Phase,
    /// How many rows or fingerprints are through.
    pub done: u64,
    /// Of how many; unknown while the file is read.
    pub total: Option<u64>,
    /// Bytes of the file read.
    pub bytes: u64,
    /// Rows refused so far.
    pub refused: u64,
}

/// Takes the lines of a report.
pub(super) type Report<'a> = &'a mut dyn FnMut(&ReportLine<'_>);

/// The folder of one ingest, removed when dropped.
#[derive(Debug)]
pub(super) struct Staging(PathBuf);

impl Staging {
    fn create(path: &Path) -> io::Result<Self> {
        fs::DirBuilder::new().mode(0o700).create(path)?;
        Ok(Self(path.to_owned()))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What stays is sealed under a key that is gone; the caller removes leftovers when it starts.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A file that was read; nothing of it counts before [`Staged::resolve`].
pub struct Staged {
    // Dropped before the folder that it lies in.
    pub(super) spool: Spool,
    pub(super) probes: SpillRuns,
    /// What tells rows apart, each with its row.
    pub(super) identities: SpillRuns,
    pub(super) identity: Identity,
    /// What of an edition is there although it was refused or left out.
    pub(super) passed_over: Option<PassedOver>,
    pub(super) cursor: Option<i64>,
    pub(super) labels: Vec<Labels>,
    /// The headers of the columns with hashes.
    pub(super) hashes: Vec<String>,
    pub(super) summary: Summary,
    pub(super) file_name: String,
    pub(super) strict: bool,
    pub(super) accept_bad: Option<u64>,
    pub(super) wishes: Wishes,
    pub(super) buffer_bytes: usize,
    pub(super) staging: Staging,
}

impl Staged {
    /// How far the source says this is, where it says so.
    #[must_use]
    pub fn cursor(&self) -> Option<i64> {
        self.cursor
    }

    /// Rows read and rows refused so far; duplicates are not known yet.
    #[must_use]
    pub fn summary(&self) -> &Summary {
        &self.summary
    }
}

impl std::fmt::Debug for Staged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Staged")
            .field("summary", &self.summary)
            .finish_non_exhaustive()
    }
}

/// Packs what a probe says of itself.
pub(super) fn tag(row: u64, hash: u8, check: u64) -> io::Result<u64> {
    if row >> 36 != 0 || hash >= 16 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok(row << 28 | u64::from(hash) << 24 | check >> 16)
}

/// The row, which hash of the profile, 24 bits of the content check.
pub(super) fn untag(tag: u64) -> (u64, u8, u64) {
    (tag >> 28, (tag >> 24 & 15) as u8, tag & 0xff_ffff)
}

/// Reads a file in one pass.
///
/// `progress` is called every 65,536 rows, `report` for each row refused, and once if the file is. The file's bytes are
/// gone afterwards: the second pass works on what is staged.
///
/// # Errors
/// [`IngestError::File`] if the file is refused, [`IngestError::Read`] and [`IngestError::Disk`] if a disk fails. Refused
/// rows are no error here.
pub fn stage(
    reader: impl Read,
    profile: &Profile,
    context: &StageContext<'_>,
    progress: &mut dyn FnMut(Progress),
    report: &mut dyn FnMut(&ReportLine<'_>),
) -> Result<Staged, IngestError> {
    let mut pass = Pass {
        profile,
        context,
        rows: RowReader::new(
            profile,
            context.index_key,
            context.jurisdiction,
            context.guards,
        ),
        summary: Summary::default(),
        report,
        progress,
        cursor: None,
    };
    let max = context.file_bytes_max;
    let staged = match &profile.format {
        Format::Csv { delimiter } => CsvRows::open(reader, *delimiter, &profile.columns, max)
            .map_err(Stop::from)
            .and_then(|rows| pass.run(rows)),
        Format::Sums { algorithm } => pass.run(SumsRows::open(reader, algorithm, max)),
        Format::LocalFile { only } => {
            pass.run(LocalRows::open(reader, *only, &profile.columns, max))
        }
        Format::Table(table) => TableRows::open(reader, table, &profile.columns, max)
            .map_err(Stop::from)
            .and_then(|rows| pass.run(rows)),
        Format::Vics { cases } => VicsRows::open(reader, &profile.columns, *cases, max)
            .map_err(Stop::from)
            .and_then(|rows| pass.run(rows)),
        Format::StopNcii => StopNciiRows::open(reader, &profile.columns, max)
            .map_err(Stop::from)
            .and_then(|rows| pass.run(rows)),
        Format::Ncmec => NcmecRows::open(reader, &profile.columns, max)
            .map_err(Stop::from)
            .and_then(|rows| pass.run(rows)),
    };
    let Sunk {
        spool,
        probes,
        identities,
        passed_over,
        staging,
    } = staged.map_err(|stop| pass.stopped(stop))?;
    Ok(Staged {
        spool,
        probes,
        identities,
        identity: profile.identity(),
        passed_over,
        cursor: pass.cursor,
        labels: pass.rows.into_labels(),
        hashes: profile
            .hashes
            .iter()
            .map(|(_, column)| profile.columns[*column].clone())
            .collect(),
        summary: pass.summary,
        file_name: context.file_name.to_owned(),
        strict: context.strict,
        accept_bad: context.accept_bad,
        wishes: Wishes {
            replace: context.wishes.replace || profile.replaces(),
            ..context.wishes
        },
        buffer_bytes: context.buffer_bytes,
        staging,
    })
}

/// Why the pass ended before the file did.
enum Stop {
    Read(ReadFault),
    Disk(io::Error),
}

impl From<ReadFault> for Stop {
    fn from(fault: ReadFault) -> Self {
        Self::Read(fault)
    }
}

impl From<FileFault> for Stop {
    fn from(fault: FileFault) -> Self {
        Self::Read(fault.into())
    }
}

struct Pass<'a> {
    profile: &'a Profile,
    context: &'a StageContext<'a>,
    rows: RowReader<'a>,
    summary: Summary,
    report: Report<'a>,
    progress: &'a mut dyn FnMut(Progress),
    cursor: Option<i64>,
}

impl Pass<'_> {
    fn run(&mut self, mut rows: impl Container) -> Result<Sunk, Stop> {
        let staging = Staging::create(self.context.staging_dir).map_err(Stop::Disk)?;
        let spool = SpoolWriter::create(staging.path().join("rows")).map_err(Stop::Disk)?;
        let probes = SpillRuns::new(staging.path(), self.context.buffer_bytes);
        let identities = SpillRuns::new(staging.path(), self.context.buffer_bytes);
        let mut sinks = Sinks {
            spool,
            probes,
            identities,
        };
        let mut passed_over = self.passed_over(&staging);
        let hashes: Vec<usize> = self
            .profile
            .hashes
            .iter()
            .map(|(_, column)| *column)
            .collect();
        let mut accepted = Accepted::default();
        while rows.next_row()? {
            refuse_media(&rows, &hashes)?;
            self.summary.rows += 1;
            let read = match rows.cells() {
                Ok(cells) => {
                    let row = Row {
                        cells,
                        asked: rows.asked(),
                        reference: rows.reference(),
                    };
                    self.rows.read(&row, &mut accepted)
                }
                Err(fault) => {
                    (accepted.identity, _) = (None, accepted.keys.clear());
                    Err(fault.into())
                }
            };
            if let (Err(refusal), Some(passed)) = (&read, &mut passed_over)
                && rows.asked() == Asked::Add
            {
                passed.push(refusal, &accepted).map_err(Stop::Disk)?;
            }
            match read {
                Ok(()) => {
                    let (row, asked) = (rows.row(), rows.asked());
                    sinks.push(row, asked, &accepted).map_err(Stop::Disk)?;
                    self.summary.unmapped += u64::from(accepted.fate == Some(Fate::Unmapped));
                }
                Err(Refusal::Row(fault)) => self.refuse(rows.row(), &fault),
                Err(Refusal::LeftOut(fault)) => self.leave_out(rows.row(), &fault),
                Err(Refusal::File(fault)) => {
                    return Err(FileFault {
                        row: Some(rows.row()),
                        ..fault
                    }
                    .into());
                }
            }
            if self.summary.rows.is_multiple_of(PROGRESS_ROWS) {
                self.tell(rows.bytes());
            }
        }
        self.tell(rows.bytes());
        let tail = rows.tail();
        self.summary.dropped = tail.dropped;
        self.summary.ignored_columns = tail.ignored;
        self.cursor = tail.cursor;
        let spool = sinks.spool.finish().map_err(Stop::Disk)?;
        let (probes, identities) = (sinks.probes, sinks.identities);
        Ok(Sunk {
            spool,
            probes,
            identities,
            passed_over,
            staging,
        })
    }

    fn passed_over(&self, staging: &Staging) -> Option<PassedOver> {
        let keys = || SpillRuns::new(staging.path(), self.context.buffer_bytes);
        self.context.wishes.whole.then(|| PassedOver {
            keys: keys(),
            named: self.profile.identity() == Identity::Reference,
            unreadable: 0,
        })
    }

    fn tell(&mut self, bytes: u64) {
        let Summary { rows, refused, .. } = self.summary;
        let phase = Phase::Read;
        (self.progress)(Progress {
            phase,
            done: rows,
            total: None,
            bytes,
            refused,
        });
    }

    fn refuse(&mut self, row: u64, fault: &RowFault) {
        self.summary.refused += 1;
        self.row_line(row, fault, Action::Refused);
    }

    fn leave_out(&mut self, row: u64, fault: &RowFault) {
        self.summary.left_out += 1;
        self.row_line(row, fault, Action::LeftOut);
    }

    fn row_line(&mut self, row: u64, fault: &RowFault, action: Action) {
        let column = fault
            .column
            .and_then(|column| self.profile.columns.get(column));
        self.line(
            Some(row),
            column.map(String::as_str),
            fault.code,
            &fault.detail,
            action,
        );
    }

    fn line(
        &mut self,
        row: Option<u64>,
        column: Option<&str>,
        code: Code,
        detail: &str,
        action: Action,
    ) {
        self.summary.count(code);
        let file = self.context.file_name;
        (self.report)(&ReportLine {
            file,
            row,
            column,
            code,
            detail,
            action,
        });
    }

    fn stopped(&mut self, stop: Stop) -> IngestError {
        match stop {
            Stop::Disk(error) => IngestError::Disk(error),
            Stop::Read(ReadFault::Io(error)) => IngestError::Read(error),
            Stop::Read(ReadFault::File(fault)) => {
                self.line(
                    fault.row,
                    None,
                    fault.code,
                    &fault.detail,
                    Action::FileRefused,
                );
                self.summary.stopped = Some(fault.code.name());
                let summary = Box::new(std::mem::take(&mut self.summary));
                IngestError::File { fault, summary }
            }
        }
    }
}

/// Where accepted rows go.
struct Sinks {
    spool: SpoolWriter,
    probes: SpillRuns,
    /// What tells rows apart, each with its row.
    identities: SpillRuns,
}

/// All that the first pass leaves.
struct Sunk {
    spool: Spool,
    probes: SpillRuns,
    identities: SpillRuns,
    passed_over: Option<PassedOver>,
    staging: Staging,
}

/// What the rows of an edition say that were refused or left out in the first pass: their entries are not missing.
pub(super) struct PassedOver {
    /// Of their hashes, and of their names.
    pub(super) keys: SpillRuns,
    named: bool,
    /// Rows of which neither could be read: any entry that seems missing may be one of them.
    pub(super) unreadable: u64,
}

impl PassedOver {
    fn push(&mut self, refusal: &Refusal, row: &Accepted) -> io::Result<()> {
        let name = row.identity.filter(|_| self.named);
        let keys = row.keys.iter().map(|(_, key)| *key);
        for key in keys.chain(name) {
            self.keys.push(Probe { key, tag: 0 })?;
        }
        // A row that states no hash which can be matched was never an entry.
        let is_none = |fault: &RowFault| matches!(fault.code, Code::NoHash | Code::UnknownType);
        let unread = row.keys.is_empty() && name.is_none();
        self.unreadable += u64::from(match refusal {
            Refusal::Row(fault) | Refusal::LeftOut(fault) => unread && !is_none(fault),
            Refusal::File(_) => false,
        });
        Ok(())
    }
}

impl Sinks {
    fn push(&mut self, row: u64, asked: Asked, accepted: &Accepted) -> io::Result<()> {
        let Accepted {
            labels,
            fields,
            keys,
            check,
            identity,
            fate: _,
        } = accepted;
        if let Some(key) = *identity {
            self.identities.push(Probe { key, tag: row })?;
        }
        let mut hashes = 0;
        for (hash, key) in keys {
            self.probes.push(Probe {
                key: *key,
                tag: tag(row, *hash, *check)?,
            })?;
            hashes |= 1 << hash;
        }
        self.spool.push(
            Head {
                labels: *labels,
                row,
                check: *check,
                hashes,
                asked,
                identity: identity.unwrap_or_default(),
            },
            fields,
        )
    }
}
