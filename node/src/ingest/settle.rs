//! What of a file needs the store to decide: what a source replaces, takes back, names, or has no more.
//!
//! Why no list of sources besides the log: which entries came from a source is what their local labels say (scheme and
//! issuer), and what a source names is known by an id that follows from the name under this node's key. So nothing can
//! disagree with the log after a crash, and a file that was half taken in is completed by taking it in again. A source never
//! changes an entry of another source, and never brings back what was retracted but by the operator's word. In scope:
//! rulings. Out of scope: signing (`daemon`).

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read as _, Write as _};

use hashpact_protocol::delta::Retraction;
use hashpact_protocol::labels::Labels;
use hashpact_protocol::record::{EntryId, Fields, Revision};

use super::IngestError;
use super::admit::{Judged, OTHER_ENTRY, RETRACTED, Ruling};
use super::edition::Presence;
use super::profile::{Identity, Profile};
use super::report::{Action, Code, ReportLine, Summary};
use super::resolved::{Act, Resolved, Target};
use super::spool::Head;
use super::stage::Report;
use crate::store::{FoundEntry, LookupError, Store};

/// What a decision needs besides the file.
#[derive(Clone, Copy)]
pub struct Held<'a> {
    /// What this centre holds.
    pub store: &'a Store,
    /// Whose entries the source may change.
    pub profile: &'a Profile,
}

impl Judged {
    /// Decides what is left. Without `held` a row that needs the store is refused as a conflict.
    ///
    /// # Errors
    /// [`IngestError::Strict`], [`IngestError::TooManyBad`] and [`IngestError::TooManyMissing`] by the refusal policy,
    /// [`IngestError::Disk`] and [`IngestError::LookUp`] if a disk or the store fails.
    pub fn settle(
        mut self,
        held: Option<Held<'_>>,
        report: &mut dyn FnMut(&ReportLine<'_>),
    ) -> Result<Resolved, IngestError> {
        let mut settling = Settling {
            held,
            labels: &self.labels,
            hashes: &self.hashes,
            file: &self.file_name,
            reissue: self.wishes.reissue,
            summary: std::mem::take(&mut self.summary),
            report,
            used: vec![false; self.labels.len()],
            touched: BTreeSet::new(),
            withdraw: Vec::new(),
        };
        let wanted = held.zip(self.passed_over.take());
        let mut presence = wanted.map(|(held, passed)| {
            Presence::new(held, self.staging.path(), self.buffer_bytes, passed)
        });
        let acts = self.staging.path().join("acts");
        let mut out = BufWriter::new(File::create_new(&acts).map_err(IngestError::Disk)?);
        let mut rulings = BufReader::new(File::open(&self.verdicts).map_err(IngestError::Disk)?);
        let mut rows = self.spool.read().map_err(IngestError::Disk)?;
        while let Some((head, fields)) = rows.next_row().map_err(IngestError::Disk)? {
            let mut byte = [0];
            rulings.read_exact(&mut byte).map_err(IngestError::Disk)?;
            let ruling = Ruling::of(byte[0]).map_err(IngestError::Disk)?;
            if let Some(presence) = &mut presence {
                presence.row(&head, fields)?;
            }
            let act = settling.decide(ruling, &head, fields)?;
            out.write_all(&act.to_bytes()).map_err(IngestError::Disk)?;
        }
        out.flush().map_err(IngestError::Disk)?;
        drop(rows);
        let Settling {
            mut summary,
            used,
            touched,
            mut withdraw,
            ..
        } = settling;
        self.refuse_bad(&mut summary)?;
        if let Some(presence) = presence {
            let confirmed = self.wishes.confirm_missing;
            let file = self.file_name.as_str();
            let missing = presence.settle(&touched, confirmed, &mut summary, file, report)?;
            withdraw.extend(missing);
        }
        withdraw.sort_unstable();
        withdraw.dedup();
        summary.withdrawn = withdraw.len() as u64;
        Ok(Resolved::new(self, summary, &used, withdraw))
    }

    fn refuse_bad(&self, summary: &mut Summary) -> Result<(), IngestError> {
        if self.strict && summary.refused > 0 {
            summary.stopped = Some("strict");
            return Err(IngestError::Strict {
                summary: Box::new(summary.clone()),
            });
        }
        let confirmed = self.accept_bad.is_some_and(|n| n >= summary.refused);
        if summary.is_mostly_bad() && !confirmed {
            summary.stopped = Some("too_many_bad");
            return Err(IngestError::TooManyBad {
                summary: Box::new(summary.clone()),
            });
        }
        Ok(())
    }
}

struct Settling<'a> {
    held: Option<Held<'a>>,
    labels: &'a [Labels],
    hashes: &'a [String],
    file: &'a str,
    reissue: bool,
    summary: Summary,
    report: Report<'a>,
    used: Vec<bool>,
    /// Entries that this file says something about: one row each.
    touched: BTreeSet<EntryId>,
    withdraw: Vec<Retraction>,
}

impl Settling<'_> {
    fn decide(&mut self, ruling: Ruling, head: &Head, fields: &[u8]) -> Result<Act, IngestError> {
        let act = match (ruling, self.held) {
            (Ruling::Skip, _) => Act::Skip,
            (Ruling::New, _) => Act::New,
            (_, None) => {
                self.summary.refused += 1;
                self.line(head, Code::DuplicateConflict, OTHER_ENTRY, Action::Refused);
                Act::Skip
            }
            (Ruling::Update, Some(held)) => self.update(held, head, &decoded(fields)?)?,
            (Ruling::Reissue, Some(held)) => self.bring_back(held, head, &decoded(fields)?)?,
            (Ruling::Remove, Some(held)) => self.remove(held, head, fields)?,
            (Ruling::Named, Some(held)) => self.named(held, head, &decoded(fields)?, false)?,
            (Ruling::NamedEnded, Some(held)) => self.named(held, head, &decoded(fields)?, true)?,
        };
        if act != Act::Skip
            && let Some(used) = self.used.get_mut(usize::from(head.labels))
        {
            *used = true;
        }
        Ok(act)
    }

    /// The entry in force that has a hash of the row, if it is one, and of this source.
    fn update(&mut self, held: Held<'_>, head: &Head, fields: &Fields) -> Result<Act, IngestError> {
        let found = held.matches(fields)?;
        let live: Vec<&FoundEntry> = found.iter().filter(|entry| entry.is_match()).collect();
        let Some(entry) = live.iter().max_by_key(|entry| entry.record.revision) else {
            return Ok(self.conflict(head));
        };
        if live
            .iter()
            .any(|other| other.record.entry != entry.record.entry)
        {
            return Ok(self.conflict(head));
        }
        if !held.is_of_source(entry) {
            return Ok(self.conflict(head));
        }
        self.replace(held, head, fields, entry, &found)
    }

    fn replace(
        &mut self,
        held: Held<'_>,
        head: &Head,
        fields: &Fields,
        entry: &FoundEntry,
        found: &[FoundEntry],
    ) -> Result<Act, IngestError> {
        let id = entry.record.entry;
        if !self.reissue && held.brings_back(id, found)? {
            return Ok(self.retracted(head));
        }
        if self.labels.get(usize::from(head.labels)) == Some(&entry.labels)
            && entry.record.fields == *fields
        {
            self.touched.insert(id);
            self.summary.unchanged += 1;
            return Ok(Act::Skip);
        }
        if !self.touched.insert(id) {
            return Ok(self.conflict(head));
        }
        self.summary.updated += 1;
        let ends = entry.record.revision;
        Ok(Act::Target(Target {
            entry: id,
            revision: Revision(ends.0 + 1),
            ends: Some(ends),
        }))
    }

    /// By the operator's word the newest entry that had a hash of the row.
    fn bring_back(
        &mut self,
        held: Held<'_>,
        head: &Head,
        fields: &Fields,
    ) -> Result<Act, IngestError> {
        let mut found = held.matches(fields)?;
        found.sort_by_key(|entry| (held.is_of_source(entry), entry.seq, entry.record.revision));
        let Some(last) = found.last() else {
            return Ok(self.conflict(head));
        };
        let newest = held.store.lookup_own_entry(last.record.entry)?;
        match newest {
            Some(newest) if newest.retracted => Ok(self.again(head, &newest)),
            Some(_) | None => Ok(self.conflict(head)),
        }
    }

    fn again(&mut self, head: &Head, newest: &FoundEntry) -> Act {
        if !self.touched.insert(newest.record.entry) {
            return self.conflict(head);
        }
        self.summary.reissued += 1;
        Act::Target(Target {
            entry: newest.record.entry,
            revision: Revision(newest.record.revision.0 + 1),
            ends: None,
        })
    }

    fn remove(&mut self, held: Held<'_>, head: &Head, fields: &[u8]) -> Result<Act, IngestError> {
        let found = removable(held, head, fields)?;
        let live = found
            .iter()
            .filter(|e| e.is_match() && held.is_of_source(e));
        let before = self.withdraw.len();
        self.withdraw.extend(live.map(|entry| Retraction {
            entry: entry.record.entry,
            revision: entry.record.revision,
        }));
        match self.withdraw.len() > before {
            true => self.summary.removed += 1,
            false => self.summary.unchanged += 1,
        }
        Ok(Act::Skip)
    }

    /// A row whose entry follows from what the source calls it.
    fn named(
        &mut self,
        held: Held<'_>,
        head: &Head,
        fields: &Fields,
        ended: bool,
    ) -> Result<Act, IngestError> {
        let entry = EntryId(head.identity);
        match held.store.lookup_own_entry(entry)? {
            Some(newest) if newest.is_match() => {
                let found = held.matches(fields)?;
                self.replace(held, head, fields, &newest, &found)
            }
            Some(newest) if self.reissue => Ok(self.again(head, &newest)),
            Some(_) => Ok(self.retracted(head)),
            None if ended && !self.reissue && held.is_back(entry, fields)? => {
                Ok(self.retracted(head))
            }
            // New, so it is neither missing nor named by another row: of one name the last row alone is left.
            None => {
                self.summary.accepted += 1;
                let (revision, ends) = (Revision(1), None);
                Ok(Act::Target(Target {
                    entry,
                    revision,
                    ends,
                }))
            }
        }
    }

    fn conflict(&mut self, head: &Head) -> Act {
        self.summary.refused += 1;
        self.line(head, Code::DuplicateConflict, OTHER_ENTRY, Action::Refused);
        Act::Skip
    }

    fn retracted(&mut self, head: &Head) -> Act {
        self.summary.retracted += 1;
        self.line(head, Code::Retracted, RETRACTED, Action::NotReAdded);
        Act::Skip
    }

    fn line(&mut self, head: &Head, code: Code, detail: &str, action: Action) {
        self.summary.count(code);
        let first = usize::try_from(head.hashes.trailing_zeros()).ok();
        let column = first.and_then(|hash| self.hashes.get(hash));
        (self.report)(&ReportLine {
            file: self.file,
            row: Some(head.row),
            column: column.map(String::as_str),
            code,
            detail,
            action,
        });
    }
}

impl Held<'_> {
    /// Own entries that have a hash of the row, each revision once.
    fn matches(self, fields: &Fields) -> Result<Vec<FoundEntry>, IngestError> {
        let mut found: Vec<FoundEntry> = Vec::new();
        for print in fields.matchable() {
            for entry in self.store.own_matches(print)? {
                let known = |other: &FoundEntry| {
                    let (a, b) = (&other.record, &entry.record);
                    (a.entry, a.revision) == (b.entry, b.revision) && other.origin == entry.origin
                };
                if !found.iter().any(known) {
                    found.push(entry);
                }
            }
        }
        Ok(found)
    }

    /// Whether entries of the source are known by its names for them, and this is one of those.
    pub(super) fn is_named(self, identity: &[u8; 16]) -> bool {
        self.profile.identity() == Identity::Reference && *identity != [0; 16]
    }

    /// Whether an entry came from the source.
    pub(super) fn is_of_source(self, entry: &FoundEntry) -> bool {
        self.is_own_label(&entry.record.fields)
    }

    pub(super) fn is_own_label(self, fields: &Fields) -> bool {
        let (scheme, issuer) = self.profile.issue();
        let mut labels = fields.local_labels.iter();
        labels.any(|label| label.scheme == scheme && label.issuer == issuer)
    }

    /// Whether a new name would bring back a hash that was retracted: it is in force nowhere, or ended in another entry for
    /// good, whatever else is in force by another hash of the row.
    fn is_back(self, entry: EntryId, fields: &Fields) -> Result<bool, IngestError> {
        let found = self.matches(fields)?;
        Ok(!found.iter().any(FoundEntry::is_match) || self.brings_back(entry, &found)?)
    }

    /// Whether a row for `entry` has a hash of another entry that was retracted and not replaced.
    fn brings_back(self, entry: EntryId, found: &[FoundEntry]) -> Result<bool, LookupError> {
        for other in found {
            if !other.retracted || other.record.entry == entry {
                continue;
            }
            let newest = self.store.lookup_own_entry(other.record.entry)?;
            if newest.is_some_and(|newest| newest.retracted) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// What a row takes back: the entry of its name, or those of its hashes.
fn removable(held: Held<'_>, head: &Head, fields: &[u8]) -> Result<Vec<FoundEntry>, IngestError> {
    if held.profile.identity() == Identity::Reference && head.identity != [0; 16] {
        let entry = held.store.lookup_own_entry(EntryId(head.identity))?;
        return Ok(entry.into_iter().collect());
    }
    held.matches(&decoded(fields)?)
}

pub(super) fn decoded(fields: &[u8]) -> Result<Fields, IngestError> {
    Fields::from_bytes(fields)
        .map_err(|error| IngestError::Disk(io::Error::new(io::ErrorKind::InvalidData, error)))
}
