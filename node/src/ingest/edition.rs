//! What a new edition of a source has no more.
//!
//! Why asked of the log: the entries of a source are those whose local label has its scheme and issuer, so what is missing
//! is what the log has and the file has not. Absence is no decision: it proposes a retraction, which the operator confirms
//! by number, and more than one in a hundred stops the import until then, as a torn download looks just like it.
//!
//! How: the hashes of the entries and those of the file are sorted on the disk and met in one pass; a bit for each entry says
//! whether it was seen. In scope: presence. Out of scope: which edition came when (`source`).

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};

use hashpact_protocol::delta::Retraction;
use hashpact_protocol::record::{EntryId, Revision};

use super::IngestError;
use super::report::{Action, Code, ReportLine, Summary};
use super::row::Asked;
use super::settle::{Held, decoded};
use super::spool::Head;
use super::stage::PassedOver;
use crate::store::LookupError;
use crate::store::index::keys::fingerprint_key;
use crate::store::index::{Probe, SpillRuns};

/// Bytes of an entry in the list of those held.
const HELD_LEN: usize = 20;

/// Collects what the file has.
pub(super) struct Presence<'a> {
    held: Held<'a>,
    staging: &'a Path,
    buffer_bytes: usize,
    file: SpillRuns,
    unreadable: u64,
}

impl<'a> Presence<'a> {
    /// Of a file of which `passed` was refused or left out before.
    pub(super) fn new(
        held: Held<'a>,
        staging: &'a Path,
        buffer_bytes: usize,
        passed: PassedOver,
    ) -> Self {
        Self {
            held,
            staging,
            buffer_bytes,
            file: passed.keys,
            unreadable: passed.unreadable,
        }
    }

    /// A row of the file. One that was refused for what it says is there all the same.
    pub(super) fn row(&mut self, head: &Head, fields: &[u8]) -> Result<(), IngestError> {
        if head.asked == Asked::Remove {
            return Ok(());
        }
        if self.held.is_named(&head.identity) {
            let (key, tag) = (head.identity, 0);
            self.file
                .push(Probe { key, tag })
                .map_err(IngestError::Disk)?;
        }
        for print in decoded(fields)?.matchable() {
            if let Some(key) = fingerprint_key(self.held.store.index_key(), print) {
                let pushed = self.file.push(Probe { key, tag: 0 });
                pushed.map_err(IngestError::Disk)?;
            }
        }
        Ok(())
    }

    /// What is missing and confirmed to go. Entries that were `touched` are there, whatever their hashes.
    pub(super) fn settle(
        self,
        touched: &BTreeSet<EntryId>,
        confirmed: Option<u64>,
        summary: &mut Summary,
        file: &str,
        report: &mut dyn FnMut(&ReportLine<'_>),
    ) -> Result<Vec<Retraction>, IngestError> {
        let path = self.staging.join("held");
        let (hashes, count) = self.spool_held(&path)?;
        let seen = seen(hashes, self.file, count).map_err(IngestError::Disk)?;
        let missing = missing(&path, &seen, touched).map_err(IngestError::Disk)?;
        summary.missing = missing.len() as u64;
        // What could not be read may be any of them: nothing goes before it is mended.
        let goes = self.unreadable == 0 && confirmed.is_some_and(|n| n >= summary.missing);
        let action = if goes {
            Action::Withdrawn
        } else {
            Action::Proposed
        };
        for retraction in &missing {
            summary.count(Code::Missing);
            report(&ReportLine {
                file,
                row: None,
                column: None,
                code: Code::Missing,
                detail: &format!("entry {}", retraction.entry),
                action,
            });
        }
        if goes {
            return Ok(missing);
        }
        let too_many = summary.missing.saturating_mul(100) > count;
        if summary.missing > 0 && (confirmed.is_some() || too_many) {
            summary.stopped = Some("too_many_missing");
            return Err(IngestError::TooManyMissing {
                held: count,
                summary: Box::new(summary.clone()),
            });
        }
        Ok(Vec::new())
    }

    /// Writes the entries of the source, and gives their hashes with their numbers.
    fn spool_held(&self, path: &Path) -> Result<(SpillRuns, u64), IngestError> {
        let held = self.held;
        let mut out = BufWriter::new(File::create_new(path).map_err(IngestError::Disk)?);
        let mut hashes = SpillRuns::new(self.staging, self.buffer_bytes);
        let mut count = 0;
        held.store.each_own_entry(|_, record| {
            if !held.is_own_label(&record.fields) {
                return Ok(());
            }
            if held.is_named(&record.entry.0) {
                let (key, tag) = (record.entry.0, count);
                hashes.push(Probe { key, tag }).map_err(EachError::Disk)?;
            }
            for print in record.fields.matchable() {
                if let Some(key) = fingerprint_key(held.store.index_key(), print) {
                    let pushed = hashes.push(Probe { key, tag: count });
                    pushed.map_err(EachError::Disk)?;
                }
            }
            let written = out.write_all(&record.entry.0);
            let written = written.and_then(|()| out.write_all(&record.revision.0.to_be_bytes()));
            count += 1;
            written.map_err(EachError::Disk)
        })?;
        out.flush().map_err(IngestError::Disk)?;
        Ok((hashes, count))
    }
}

/// Why the entries of a source could not be listed.
enum EachError {
    Disk(io::Error),
    LookUp(LookupError),
}

impl From<LookupError> for EachError {
    fn from(error: LookupError) -> Self {
        Self::LookUp(error)
    }
}

impl From<EachError> for IngestError {
    fn from(error: EachError) -> Self {
        match error {
            EachError::Disk(error) => Self::Disk(error),
            EachError::LookUp(error) => Self::LookUp(error),
        }
    }
}

/// A bit for each entry: whether the file has one of its hashes.
fn seen(held: SpillRuns, file: SpillRuns, count: u64) -> io::Result<Vec<u8>> {
    let bytes = usize::try_from(count.div_ceil(8)).map_err(io::Error::other)?;
    let mut seen = vec![0_u8; bytes];
    let mut file = file.finish()?.peekable();
    for probe in held.finish()? {
        let probe = probe?;
        let is_before =
            |other: &io::Result<Probe>| other.as_ref().map_or(true, |o| o.key < probe.key);
        while let Some(other) = file.next_if(is_before) {
            other?;
        }
        let is_there = file
            .peek()
            .is_some_and(|other| other.as_ref().is_ok_and(|o| o.key == probe.key));
        if is_there && let Ok(at) = usize::try_from(probe.tag / 8) {
            seen[at] |= 1 << (probe.tag % 8);
        }
    }
    Ok(seen)
}

fn missing(
    path: &PathBuf,
    seen: &[u8],
    touched: &BTreeSet<EntryId>,
) -> io::Result<Vec<Retraction>> {
    let mut held = BufReader::new(File::open(path)?);
    let mut missing = Vec::new();
    let mut row = [0; HELD_LEN];
    for bits in seen {
        for bit in 0..8 {
            match held.read_exact(&mut row) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(missing),
                read => read?,
            }
            let mut entry = EntryId([0; 16]);
            entry.0.copy_from_slice(&row[..16]);
            if bits >> bit & 1 == 0 && !touched.contains(&entry) {
                let revision = Revision(u32::from_be_bytes([row[16], row[17], row[18], row[19]]));
                missing.push(Retraction { entry, revision });
            }
        }
    }
    Ok(missing)
}
