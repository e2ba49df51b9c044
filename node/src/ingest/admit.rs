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

use super::IngestError;
use super::evidence::{Evidence, Verdict, hit, repetition};
use super::report::{Action, Code, ReportLine, Summary};
use super::resolved::Resolved;
use super::spool::{Head, Spool};
use super::stage::{PROGRESS_ROWS, Phase, Progress, Report, Staged};
use crate::store::index::{Index, Probe, RowKind, SortedProbes, SpillRuns, Value};

impl Staged {
    /// Looks every row up and decides about it. `own` are the lines of the centre that takes the file in; what other centres
    /// have is no duplicate.
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
        let Self {
            spool,
            probes,
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
        let mut judge = Judge {
            file: &self.file_name,
            hashes: &hashes,
            summary,
            report,
            progress,
            events: events.peekable(),
            used: vec![false; labels.len()],
        };
        let verdicts = staging.path().join("verdicts");
        judge.run(&spool, &verdicts).map_err(IngestError::Disk)?;
        let Judge {
            mut summary, used, ..
        } = judge;
        if self.strict && summary.refused > 0 {
            summary.stopped = Some("strict");
            return Err(IngestError::Strict {
                summary: Box::new(summary),
            });
        }
        let confirmed = self.accept_bad.is_some_and(|n| n >= summary.refused);
        if summary.is_mostly_bad() && !confirmed {
            summary.stopped = Some("too_many_bad");
            return Err(IngestError::TooManyBad {
                summary: Box::new(summary),
            });
        }
        Ok(Resolved::new(spool, labels, &used, summary, staging))
    }
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
    summary: Summary,
    report: Report<'a>,
    progress: &'a mut dyn FnMut(Progress),
    events: Peekable<SortedProbes>,
    /// Which labels a new row has.
    used: Vec<bool>,
}

impl Judge<'_> {
    /// Judges every spooled row and writes a bit for each: whether it is new.
    fn run(&mut self, spool: &Spool, verdicts: &std::path::Path) -> io::Result<()> {
        let mut out = BufWriter::new(File::create_new(verdicts)?);
        let mut rows = spool.read()?;
        let (mut done, mut byte) = (0_u64, 0_u8);
        while let Some((head, _)) = rows.next_row()? {
            let verdict = Evidence::of(&head, &mut self.events)?.verdict(head.hashes);
            self.count(&head, verdict);
            byte |= u8::from(verdict == Verdict::New) << (done % 8);
            done += 1;
            if done.is_multiple_of(8) {
                out.write_all(&[std::mem::take(&mut byte)])?;
            }
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
        out.write_all(&[byte])?;
        out.flush()
    }

    fn count(&mut self, head: &Head, verdict: Verdict) {
        match verdict {
            Verdict::New => {
                self.summary.accepted += 1;
                if let Some(used) = self.used.get_mut(usize::from(head.labels)) {
                    *used = true;
                }
            }
            Verdict::Unchanged => self.summary.unchanged += 1,
            Verdict::Retracted { hash } => {
                self.summary.retracted += 1;
                let detail = "its entry was retracted: bringing it back takes an explicit decision";
                self.line(head.row, hash, Code::Retracted, detail, Action::NotReAdded);
            }
            Verdict::OtherRow { row, hash } => {
                self.summary.refused += 1;
                let detail = format!("row {row} has this hash with other content");
                self.line(
                    head.row,
                    hash,
                    Code::DuplicateConflict,
                    &detail,
                    Action::Refused,
                );
            }
            Verdict::OtherEntry { hash } => {
                self.summary.refused += 1;
                let detail = "an entry of this centre has this hash with other content";
                self.line(
                    head.row,
                    hash,
                    Code::DuplicateConflict,
                    detail,
                    Action::Refused,
                );
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
