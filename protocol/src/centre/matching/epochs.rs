//! Which match epochs are logged, and which are at hand.
//!
//! A manifest is logged like a policy document: only what receivers will take, and only of groups that were numbered here. On
//! [`Shelf::Quota`]:
//!
//! ```text
//! 'P'     [index, manifest]   the newest manifest of the epoch before, which is served for a while
//! ```

use hashpact_keys::Timestamp;
use hashpact_keys::canonical::encode;
use hashpact_keys::reader::{Reader, ShapeError};

use super::super::commands::CommandError;
use super::super::{Centre, Event, Outcome, Output};
use super::groups;
use crate::limits;
use crate::psi::Manifest;
use crate::verify::LeafFault;
use crate::view::{Shelf, View, Write};

/// A manifest in our own log.
#[derive(Clone, Debug)]
pub(super) struct Logged {
    /// The index of its leaf.
    pub(super) index: u64,
    pub(super) manifest: Manifest,
}

impl Centre {
    /// The manifests of our own log that are at hand, in its order: the newest ones, and the newest of the epoch before.
    pub(super) fn logged_manifests(&self, view: &impl View) -> Vec<Logged> {
        let mut logged = before(view);
        logged.extend(view.manifests(&self.origin, limits::MANIFESTS_KEPT));
        logged.sort_unstable();
        logged.dedup();
        let read = |(index, bytes): (u64, Vec<u8>)| {
            // Its signature was checked before it was logged.
            let manifest = Manifest::read_unverified(&bytes).ok()?;
            (manifest.origin == self.origin).then_some(Logged { index, manifest })
        };
        logged.into_iter().filter_map(read).collect()
    }

    /// Those that stand under a witnessed head.
    pub(super) fn witnessed_manifests(&self, view: &impl View) -> Vec<Logged> {
        let witnessed = self.own.witnessed.as_ref();
        let witnessed = witnessed.map_or(0, |head| head.checkpoint().size);
        let mut logged = self.logged_manifests(view);
        logged.retain(|logged| logged.index < witnessed);
        logged
    }

    /// The manifest that is served: the newest one of our own log under a witnessed head, with its log index.
    pub fn served_manifest(&self, view: &impl View) -> Option<(u64, Manifest)> {
        let newest = self.witnessed_manifests(view).pop()?;
        Some((newest.index, newest.manifest))
    }

    /// The newest manifest of our own log, witnessed or not, with its log index.
    pub fn newest_manifest(&self, view: &impl View) -> Option<(u64, Manifest)> {
        let rows = view.manifests(&self.origin, 1);
        let (index, bytes) = rows.last()?;
        Some((*index, Manifest::read_unverified(bytes).ok()?))
    }

    /// Logs a manifest that receivers will take, of groups as they are numbered here.
    pub(in super::super) fn log_manifest(
        &mut self,
        signed: Vec<u8>,
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) -> Result<Outcome, CommandError> {
        let manifest = Manifest::read_unverified(&signed);
        let refused = |error| CommandError::ManifestLeaf(Box::new(LeafFault::Manifest(error)));
        let manifest = manifest.map_err(refused)?;
        let numbered = groups::numbered(view);
        let known = |row: &crate::psi::Group| {
            let mut numbered = numbered.iter();
            numbered.any(|group| group.id == row.group && group.classes == row.classes)
        };
        if let Some(row) = manifest.groups.iter().find(|row| !known(row)) {
            return Err(CommandError::MatchGroup { group: row.group });
        }
        let newest = self.newest_manifest(view);
        let ended = newest.filter(|(_, newest)| newest.epoch < manifest.epoch);
        let ended = ended.and_then(|_| view.manifests(&self.origin, 1).pop());
        let rows = ended.as_ref().map(keep_before).into_iter().collect();
        let index = self.extend_by_manifest(signed, rows, now, view, out)?;
        out.push(Output::Emit(Event::MatchEpochLogged {
            number: manifest.number,
            epoch: manifest.epoch,
            groups: manifest.groups.len() as u64,
        }));
        Ok(Outcome::MatchEpochLogged { index })
    }
}

/// `[index, manifest]`, of the epoch before.
fn before(view: &impl View) -> Vec<(u64, Vec<u8>)> {
    let row = view.kept(Shelf::Quota, b"P");
    let read = |reader: &mut Reader<'_>| -> Result<_, ShapeError> {
        reader.array(2)?;
        Ok((reader.u64()?, reader.bytes()?.to_vec()))
    };
    let row = row.and_then(|row| read(&mut Reader::new(&row).ok()?).ok());
    row.into_iter().collect()
}

fn keep_before((index, signed): &(u64, Vec<u8>)) -> Write {
    Write::Keep {
        shelf: Shelf::Quota,
        key: b"P".to_vec(),
        value: Some(encode(|e| e.array(2)?.u64(*index)?.bytes(signed)?.ok())),
    }
}
