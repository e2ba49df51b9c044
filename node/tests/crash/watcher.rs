//! What a stranger sees of a node's own log: the public files, at any moment.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use hashpact_keys::Timestamp;
use hashpact_keys::enrolment::Enrolment;
use hashpact_keys::roster::CentreEntry;
use hashpact_node::armor::Kind;
use hashpact_node::clock;
use hashpact_protocol::log::{Checkpoint, SignedCheckpoint, root_at};

use crate::common::Node;

/// The public folder of a node's own log, and every checkpoint that was ever seen in it.
pub(crate) struct Watcher {
    folder: PathBuf,
    centre: CentreEntry,
    seen: BTreeMap<u64, Checkpoint>,
    checked: u64,
}

impl Watcher {
    pub(crate) fn of(node: &Node) -> Result<Self> {
        let enrolment = fs::read_to_string(node.home.enrolment())?;
        let enrolment = Enrolment::open(&Kind::Enrolment.unwrap(&enrolment)?)?;
        let centre = enrolment.centre_entry(Timestamp::new(0), None);
        let folder = node
            .home
            .data()
            .join("logs")
            .join(centre.origin.as_str().replace('/', "_"));
        Ok(Self {
            folder,
            centre,
            seen: BTreeMap::new(),
            checked: 0,
        })
    }

    /// Reads the file as any stranger may, at any moment. It is whole, signed, and never another one of the same size.
    pub(crate) fn look(&mut self) -> Result<u64> {
        let note = fs::read(self.folder.join("checkpoint"))?;
        let (signed, _) = SignedCheckpoint::open(&note, &self.centre, clock::now())?;
        let shown = signed.checkpoint().clone();
        let size = shown.size;
        let newest = self.seen.last_key_value().map_or(0, |(size, _)| *size);
        ensure!(
            size >= newest,
            "the checkpoint went from {newest} back to {size} leaves"
        );
        let known = self.seen.entry(size).or_insert_with(|| shown.clone());
        ensure!(*known == shown, "two checkpoints of {size} leaves");
        Ok(size)
    }

    /// Every checkpoint seen since the last time is one of the log of `size` leaves that lies on the disk.
    pub(crate) fn check(&mut self, size: u64) -> Result<()> {
        ensure!(
            self.look()? == size,
            "the public checkpoint is not the log's head"
        );
        self.check_from(self.checked, size)?;
        self.checked = size;
        Ok(())
    }

    /// As [`Watcher::check`], for every checkpoint ever seen.
    pub(crate) fn check_all(&self, size: u64) -> Result<()> {
        self.check_from(0, size)
    }

    /// How many checkpoints were seen.
    pub(crate) fn seen(&self) -> usize {
        self.seen.len()
    }

    fn check_from(&self, from: u64, size: u64) -> Result<()> {
        let files = |path: &str| fs::read(self.folder.join(path)).ok();
        for (seen, checkpoint) in self.seen.range(from..) {
            let root = root_at(&files, size, *seen)?;
            ensure!(
                root == checkpoint.root,
                "size {seen} was shown, and is no prefix of {size}"
            );
        }
        Ok(())
    }
}
