//! A file that may be taken, and its new rows.
//!
//! In scope: reading them back from the staging folder, in the order of the file. Out of scope: what they become.

use std::fs::File;
use std::io::{self, BufReader, Read as _};

use hashpact_protocol::labels::Labels;

use super::IngestError;
use super::report::Summary;
use super::spool::{Spool, SpoolReader};
use super::stage::Staging;

/// A file that may be taken: its new rows, in the order of the file.
pub struct Resolved {
    // Dropped before the folder that it lies in.
    spool: Spool,
    labels: Vec<Labels>,
    /// The number among `labels` of what the spool numbers otherwise.
    renumbered: Vec<u16>,
    summary: Summary,
    staging: Staging,
}

impl std::fmt::Debug for Resolved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolved")
            .field("summary", &self.summary)
            .finish_non_exhaustive()
    }
}

/// A row that becomes an entry.
#[derive(Clone, PartialEq, Eq)]
pub struct NewRow {
    /// Which of [`Resolved::labels`].
    pub labels: u16,
    /// [`content_check`](crate::store::index::keys::content_check) of it, 40 bits.
    pub check: u64,
    /// Its encoded fields, for [`hashpact_protocol::record::Record::assemble`].
    pub fields: Vec<u8>,
}

impl std::fmt::Debug for NewRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewRow")
            .field("labels", &self.labels)
            .finish_non_exhaustive()
    }
}

impl Resolved {
    /// Keeps only the labels that are `used`: a class, once defined, stays in the log for good.
    pub(super) fn new(
        spool: Spool,
        labels: Vec<Labels>,
        used: &[bool],
        summary: Summary,
        staging: Staging,
    ) -> Self {
        let mut renumbered = Vec::with_capacity(used.len());
        let mut next = 0;
        for used in used {
            renumbered.push(next);
            next += u16::from(*used);
        }
        let labels = labels.into_iter().zip(used).filter(|(_, used)| **used);
        let labels = labels.map(|(labels, _)| labels).collect();
        Self {
            spool,
            labels,
            renumbered,
            summary,
            staging,
        }
    }

    /// The label tuples of the new rows, each once.
    #[must_use]
    pub fn labels(&self) -> &[Labels] {
        &self.labels
    }

    /// The final counts.
    #[must_use]
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// The new rows, read from the staging folder as they are asked for. May be called again.
    ///
    /// # Errors
    /// [`IngestError::Disk`].
    pub fn rows(&self) -> Result<NewRows<'_>, IngestError> {
        let rows = self.spool.read().map_err(IngestError::Disk)?;
        let file = File::open(self.staging.path().join("verdicts")).map_err(IngestError::Disk)?;
        Ok(NewRows {
            rows,
            renumbered: &self.renumbered,
            verdicts: BufReader::new(file),
            byte: 0,
            done: 0,
        })
    }
}

/// The iterator of [`Resolved::rows`]. After an error it yields no more.
pub struct NewRows<'a> {
    rows: SpoolReader<'a>,
    renumbered: &'a [u16],
    verdicts: BufReader<File>,
    byte: u8,
    done: u64,
}

impl NewRows<'_> {
    fn step(&mut self) -> io::Result<Option<NewRow>> {
        while let Some((head, fields)) = self.rows.next_row()? {
            if self.done.is_multiple_of(8) {
                let mut byte = [0];
                self.verdicts.read_exact(&mut byte)?;
                self.byte = byte[0];
            }
            let new = self.byte >> (self.done % 8) & 1 == 1;
            self.done += 1;
            if new {
                let labels = self.renumbered.get(usize::from(head.labels));
                let labels = labels.ok_or(io::ErrorKind::InvalidData)?;
                return Ok(Some(NewRow {
                    labels: *labels,
                    check: head.check,
                    fields: fields.to_vec(),
                }));
            }
        }
        Ok(None)
    }
}

impl Iterator for NewRows<'_> {
    type Item = Result<NewRow, IngestError>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step().map_err(IngestError::Disk);
        if step.is_err() {
            self.rows.stop();
        }
        step.transpose()
    }
}
