//! A file that may be taken, and its new rows.
//!
//! In scope: reading them back from the staging folder, in the order of the file. Out of scope: what they become.

use std::fs::File;
use std::io::{self, BufReader};

use hashpact_protocol::delta::Retraction;
use hashpact_protocol::labels::Labels;
use hashpact_protocol::record::{EntryId, Revision};

use super::IngestError;
use super::admit::Judged;
use super::report::Summary;
use super::spool::{Spool, SpoolReader};
use super::stage::Staging;

/// What becomes of a spooled row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Nothing.
    Skip,
    /// An entry with an id of its own.
    New,
    /// A revision of this entry.
    Target(Target),
}

/// Which revision of which entry a row becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The entry.
    pub entry: EntryId,
    /// The revision, from 1.
    pub revision: Revision,
    /// The revision that ends by it, if one is in force.
    pub ends: Option<Revision>,
}

impl Act {
    /// One byte, and 24 more for a target.
    pub(super) fn to_bytes(self) -> Vec<u8> {
        match self {
            Self::Skip => vec![0],
            Self::New => vec![1],
            Self::Target(target) => {
                let mut bytes = vec![2];
                bytes.extend_from_slice(&target.entry.0);
                bytes.extend_from_slice(&target.revision.0.to_be_bytes());
                let ends = target.ends.map_or(0, |ends| ends.0);
                bytes.extend_from_slice(&ends.to_be_bytes());
                bytes
            }
        }
    }

    fn read(from: &mut impl io::Read) -> io::Result<Self> {
        let mut kind = [0];
        from.read_exact(&mut kind)?;
        match kind[0] {
            0 => Ok(Self::Skip),
            1 => Ok(Self::New),
            2 => {
                let (mut entry, mut revision, mut ends) = ([0; 16], [0; 4], [0; 4]);
                from.read_exact(&mut entry)?;
                from.read_exact(&mut revision)?;
                from.read_exact(&mut ends)?;
                let ends = Revision(u32::from_be_bytes(ends));
                Ok(Self::Target(Target {
                    entry: EntryId(entry),
                    revision: Revision(u32::from_be_bytes(revision)),
                    ends: (ends.0 > 0).then_some(ends),
                }))
            }
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

/// A file that may be taken: its new rows, in the order of the file.
pub struct Resolved {
    // Dropped before the folder that it lies in.
    spool: Spool,
    labels: Vec<Labels>,
    /// The number among `labels` of what the spool numbers otherwise.
    renumbered: Vec<u16>,
    summary: Summary,
    withdraw: Vec<Retraction>,
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
    /// Which revision of which entry it becomes; none for an entry with an id of its own.
    pub target: Option<Target>,
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
        judged: Judged,
        summary: Summary,
        used: &[bool],
        withdraw: Vec<Retraction>,
    ) -> Self {
        let mut renumbered = Vec::with_capacity(used.len());
        let mut next = 0;
        for used in used {
            renumbered.push(next);
            next += u16::from(*used);
        }
        let labels = judged.labels.into_iter().zip(used);
        let labels = labels.filter(|(_, used)| **used);
        let labels = labels.map(|(labels, _)| labels).collect();
        Self {
            spool: judged.spool,
            labels,
            renumbered,
            summary,
            withdraw,
            staging: judged.staging,
        }
    }

    /// What the file takes back, sorted by entry.
    #[must_use]
    pub fn withdrawn(&self) -> &[Retraction] {
        &self.withdraw
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
        let file = File::open(self.staging.path().join("acts")).map_err(IngestError::Disk)?;
        Ok(NewRows {
            rows,
            renumbered: &self.renumbered,
            acts: BufReader::new(file),
        })
    }
}

/// The iterator of [`Resolved::rows`]. After an error it yields no more.
pub struct NewRows<'a> {
    rows: SpoolReader<'a>,
    renumbered: &'a [u16],
    acts: BufReader<File>,
}

impl NewRows<'_> {
    fn step(&mut self) -> io::Result<Option<NewRow>> {
        while let Some((head, fields)) = self.rows.next_row()? {
            let target = match Act::read(&mut self.acts)? {
                Act::Skip => continue,
                Act::New => None,
                Act::Target(target) => Some(target),
            };
            let labels = self.renumbered.get(usize::from(head.labels));
            let labels = labels.ok_or(io::ErrorKind::InvalidData)?;
            return Ok(Some(NewRow {
                labels: *labels,
                check: head.check,
                fields: fields.to_vec(),
                target,
            }));
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
