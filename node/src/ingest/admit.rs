//! The second pass: which of the staged rows are new.
//!
//! Why a verdict only at the end: a duplicate further down the file is a bad row too, and whether a file with bad rows is
//! taken at all is decided over all of them. So everything is looked up and judged before the first row is given out.
//!
//! How: one merge join of all fingerprints against the index gives hits in the order of keys; they go through a second
//! external sort, by row and by the place they hit, and meet the spooled rows in the order of the file. In scope: verdicts,
//! the refusal policy. Out of scope: what becomes of new rows.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::iter::Peekable;
use std::path::PathBuf;

use hashpact_protocol::labels::Labels;

use super::IngestError;
use super::evidence::{Evidence, Verdict, hit, repetition};
use super::profile::Identity;
use super::report::{Action, Code, ReportLine, Summary};
use super::resolved::Resolved;
use super::row::Asked;
use super::spool::{Head, Spool};
use super::stage::{PROGRESS_ROWS, PassedOver, Phase, Progress, Report, Staged, Staging, Wishes};
use crate::store::index::{Index, Probe, RowKind, SortedProbes, SpillRuns, Value};

impl Staged {
    /// Looks every row up and decides about it, as far as the index alone can say. `own` are the lines of the centre that
    /// takes the file in; what other centres have is no duplicate.
    ///
    /// # Errors
    /// [`IngestError::Disk`] if a disk or the index fails.
    pub fn judge(
        self,
        index: &Index,
        own: impl Into<OwnLines>,
        progress: &mut dyn FnMut(Progress),
        report: &mut dyn FnMut(&ReportLine<'_>),
    ) -> Result<Judged, IngestError> {
        let Self {
            spool,
            probes,
            identities,
            labels,
            hashes,
            summary,
            staging,
            ..
        } = self;
        let events = SpillRuns::new(staging.path(), self.buffer_bytes);
        let look_up = LookUp {
            own: own.into(),
            refused: summary.refused,
            progress,
        };
        let events = look_up
            .run(index, probes, events)
            .map_err(IngestError::Disk)?;
        let taken_over = SpillRuns::new(staging.path(), self.buffer_bytes);
        let taken_over = taken_over_rows(identities, taken_over).map_err(IngestError::Disk)?;
        let mut judge = Judge {
            file: &self.file_name,
            hashes: &hashes,
            wishes: self.wishes,
            identity: self.identity,
            summary,
            report,
            progress,
            events: events.peekable(),
            taken_over: taken_over.peekable(),
        };
        let verdicts = staging.path().join("verdicts");
        judge.run(&spool, &verdicts).map_err(IngestError::Disk)?;
        let Judge { summary, .. } = judge;
        Ok(Judged {
            spool,
            verdicts,
            labels,
            hashes,
            summary,
            file_name: self.file_name,
            wishes: self.wishes,
            passed_over: self.passed_over,
            strict: self.strict,
            accept_bad: self.accept_bad,
            buffer_bytes: self.buffer_bytes,
            staging,
        })
    }

    /// As [`Staged::judge`] and [`Judged::settle`], for a list of which the index alone can decide.
    ///
    /// # Errors
    /// [`IngestError::Strict`] and [`IngestError::TooManyBad`] by the refusal policy, [`IngestError::Disk`] if a disk or the
    /// index fails.
    pub fn resolve(
        self,
        index: &Index,
        own: impl Into<OwnLines>,
        progress: &mut dyn FnMut(Progress),
        report: &mut dyn FnMut(&ReportLine<'_>),
    ) -> Result<Resolved, IngestError> {
        self.judge(index, own, progress, report)?
            .settle(None, report)
    }
}

/// What the index alone says of each row of a file.
pub struct Judged {
    // Dropped before the folder that it lies in.
    pub(super) spool: Spool,
    /// A [`Ruling`] for each spooled row.
    pub(super) verdicts: PathBuf,
    pub(super) labels: Vec<Labels>,
    pub(super) hashes: Vec<String>,
    pub(super) summary: Summary,
    pub(super) file_name: String,
    pub(super) wishes: Wishes,
    pub(super) passed_over: Option<PassedOver>,
    pub(super) strict: bool,
    pub(super) accept_bad: Option<u64>,
    pub(super) buffer_bytes: usize,
    pub(super) staging: Staging,
}

impl std::fmt::Debug for Judged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Judged")
            .field("summary", &self.summary)
            .finish_non_exhaustive()
    }
}

/// What is to be done with a row: decided, or to be decided by what the store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Ruling {
    /// Nothing.
    Skip = 0,
    /// It becomes an entry.
    New = 1,
    /// It may be a new revision of the entry that has its hash.
    Update = 2,
    /// It may bring back what was retracted.
    Reissue = 3,
    /// What it names is retracted.
    Remove = 4,
    /// Its entry is known by the source's name for it.
    Named = 5,
    /// The same, and a hash of it was retracted, in force elsewhere or not.
    NamedEnded = 6,
}

impl Ruling {
    pub(super) fn of(byte: u8) -> io::Result<Self> {
        Ok(match byte {
            0 => Self::Skip,
            1 => Self::New,
            2 => Self::Update,
            3 => Self::Reissue,
            4 => Self::Remove,
            5 => Self::Named,
            6 => Self::NamedEnded,
            _ => return Err(io::ErrorKind::InvalidData.into()),
        })
    }
}

/// The rows whose place a later row of the file takes, by their numbers.
fn taken_over_rows(identities: SpillRuns, mut out: SpillRuns) -> io::Result<SortedProbes> {
    let mut last: Option<Probe> = None;
    for probe in identities.finish()? {
        let probe = probe?;
        // Sorted by row within one identity: whichever is followed by another is not the last.
        if let Some(earlier) = last.filter(|last| last.key == probe.key) {
            let mut key = [0; 16];
            key[8..].copy_from_slice(&earlier.tag.to_be_bytes());
            out.push(Probe { key, tag: 0 })?;
        }
        last = Some(probe);
    }
    out.finish()
}

/// The logs that one centre has written, by their numbers in index rows: of one that was forked only what stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnLines(Vec<OwnLine>);

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnLine {
    /// Its number.
    pub number: u16,
    /// The first delta that does not stand; none if all do.
    pub void_from: Option<u64>,
}

impl From<Vec<OwnLine>> for OwnLines {
    fn from(lines: Vec<OwnLine>) -> Self {
        Self(lines)
    }
}

impl From<u16> for OwnLines {
    fn from(number: u16) -> Self {
        let void_from = None;
        Self(vec![OwnLine { number, void_from }])
    }
}

impl OwnLines {
    /// Whether a row of the index is of an entry that the centre has put, and that stands or was ended.
    fn have(&self, value: &Value) -> bool {
        let of = |line: &&OwnLine| line.number == value.origin;
        let line = self.0.iter().find(of);
        line.is_some_and(|line| line.void_from.is_none_or(|seq| u64::from(value.seq) < seq))
    }
}

/// Why a row does not bring its entry back.
pub(super) const RETRACTED: &str =
    "its entry was retracted: bringing it back takes an explicit decision (--reissue)";
/// Why a row contradicts an entry.
pub(super) const OTHER_ENTRY: &str = "an entry of this centre has this hash with other content";

struct LookUp<'a> {
    own: OwnLines,
    refused: u64,
    progress: &'a mut dyn FnMut(Progress),
}

impl LookUp<'_> {
    /// Every fingerprint against the rows before it in the file, and against the index.
    fn run(self, index: &Index, probes: SpillRuns, events: SpillRuns) -> io::Result<SortedProbes> {
        let total = probes.len();
        // The join pulls probes while its hits are pushed: one at a time, but the compiler cannot see it.
        let events = RefCell::new(events);
        let mut first: Option<Probe> = None;
        let mut done = 0_u64;
        let probes = probes.finish()?.map(|probe| {
            let probe = probe?;
            match first {
                Some(first) if first.key == probe.key => {
                    events.borrow_mut().push(repetition(first.tag, probe.tag))?;
                }
                Some(_) | None => first = Some(probe),
            }
            done += 1;
            if done.is_multiple_of(PROGRESS_ROWS) || done == total {
                let (phase, refused) = (Phase::LookUp, self.refused);
                (self.progress)(Progress {
                    phase,
                    done,
                    total: Some(total),
                    bytes: 0,
                    refused,
                });
            }
            Ok(probe)
        });
        for found in index.join(probes, total) {
            let (tag, value) = found?;
            let value = Value::decode(&value)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            let ours = self.own.have(&value);
            match value.kind {
                RowKind::Fingerprint | RowKind::Ended if ours => {
                    events.borrow_mut().push(hit(tag, &value))?;
                }
                RowKind::Fingerprint | RowKind::Ended | RowKind::Entry | RowKind::Retracted => {}
            }
        }
        events.into_inner().finish()
    }
}

struct Judge<'a> {
    file: &'a str,
    hashes: &'a [String],
    wishes: Wishes,
    identity: Identity,
    summary: Summary,
    report: Report<'a>,
    progress: &'a mut dyn FnMut(Progress),
    events: Peekable<SortedProbes>,
    taken_over: Peekable<SortedProbes>,
}

impl Judge<'_> {
    /// Judges every spooled row and writes a byte for each.
    fn run(&mut self, spool: &Spool, verdicts: &std::path::Path) -> io::Result<()> {
        let mut out = BufWriter::new(File::create_new(verdicts)?);
        let mut rows = spool.read()?;
        let mut done = 0_u64;
        while let Some((head, _)) = rows.next_row()? {
            let evidence = Evidence::of(&head, &mut self.events)?;
            let ruling = if self.is_taken_over(head.row)? {
                self.summary.unchanged += 1;
                Ruling::Skip
            } else {
                self.rule(&head, &evidence)
            };
            out.write_all(&[ruling as u8])?;
            done += 1;
            if done.is_multiple_of(PROGRESS_ROWS) || done == spool.rows() {
                let (phase, total) = (Phase::Decide, Some(spool.rows()));
                let refused = self.summary.refused;
                (self.progress)(Progress {
                    phase,
                    done,
                    total,
                    bytes: 0,
                    refused,
                });
            }
        }
        out.flush()
    }

    fn is_taken_over(&mut self, row: u64) -> io::Result<bool> {
        let mut key = [0; 16];
        key[8..].copy_from_slice(&row.to_be_bytes());
        let is_it =
            |probe: &io::Result<Probe>| probe.as_ref().map_or(true, |probe| probe.key <= key);
        let mut found = false;
        while let Some(probe) = self.taken_over.next_if(is_it) {
            found |= probe?.key == key;
        }
        Ok(found)
    }

    fn rule(&mut self, head: &Head, evidence: &Evidence) -> Ruling {
        if head.asked == Asked::Remove {
            return Ruling::Remove;
        }
        let named = self.identity == Identity::Reference && head.identity != [0; 16];
        if named {
            return match evidence.has_ended() {
                true => Ruling::NamedEnded,
                false => Ruling::Named,
            };
        }
        // Where a hash tells rows apart, the last row with it stands, and those before it were passed over.
        let verdict = match self.identity {
            Identity::Hash if evidence.repeats_first(head.hashes) => evidence.verdict_in_index(),
            Identity::Hash | Identity::Reference | Identity::None => evidence.verdict(head.hashes),
        };
        self.follow(head, verdict)
    }

    fn follow(&mut self, head: &Head, verdict: Verdict) -> Ruling {
        match verdict {
            Verdict::New => {
                self.summary.accepted += 1;
                Ruling::New
            }
            Verdict::Unchanged => {
                self.summary.unchanged += 1;
                Ruling::Skip
            }
            Verdict::Retracted { .. } if self.wishes.reissue => Ruling::Reissue,
            Verdict::Retracted { hash } => {
                self.summary.retracted += 1;
                self.line(
                    head.row,
                    hash,
                    Code::Retracted,
                    RETRACTED,
                    Action::NotReAdded,
                );
                Ruling::Skip
            }
            Verdict::OtherRow { row, hash } => {
                self.summary.refused += 1;
                let detail = format!("row {row} has this hash with other content");
                let (code, action) = (Code::DuplicateConflict, Action::Refused);
                self.line(head.row, hash, code, &detail, action);
                Ruling::Skip
            }
            Verdict::OtherEntry { .. } if self.wishes.replace => Ruling::Update,
            Verdict::OtherEntry { hash } => {
                self.summary.refused += 1;
                let (code, action) = (Code::DuplicateConflict, Action::Refused);
                self.line(head.row, hash, code, OTHER_ENTRY, action);
                Ruling::Skip
            }
        }
    }

    fn line(&mut self, row: u64, hash: u8, code: Code, detail: &str, action: Action) {
        self.summary.count(code);
        let column = self.hashes.get(usize::from(hash)).map(String::as_str);
        (self.report)(&ReportLine {
            file: self.file,
            row: Some(row),
            column,
            code,
            detail,
            action,
        });
    }
}
