//! Segments, the manifest, and which files are left over.
//!
//! A segment is made of the runs since the last one: what they remove, and then what they add. Where an artifact would
//! have more than 32, or a manifest would not fit its leaf, a full one takes the place of all. The manifest is logged when
//! what it says differs from the newest one in the log. Files go once no manifest that is served names them.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use hashpact_keys::Timestamp;
use hashpact_protocol::centre::{Command, Outcome};
use hashpact_protocol::limits;
use hashpact_protocol::policy::MatchMode;
use hashpact_protocol::psi::{
    Artifact, Group, Manifest, ManifestError, SegmentPlace, SegmentRow, Tag, encode,
    encode_labelled,
};
use hashpact_protocol::view::LogState;

use super::super::chunks::write_chunks;
use super::super::points::{Change, RUN_ROWS, Row};
use super::super::state::{
    ArtifactState, EpochState, RunState, SegmentState, labels_file, run_file, tags_file,
};
use super::fill::unpack;
use super::{BuildError, Builder, Place, RunError, key_name, merged};
use crate::clock;

/// Tags of a segment at most: 128 MiB, sorted in memory. A longer artifact begins with several.
const SEGMENT_TAGS: usize = 1 << 23;

impl Builder {
    /// Makes segments of the runs that none covers.
    pub(super) fn cover(&mut self) -> Result<(), BuildError> {
        for at in self.places() {
            let artifact = self.artifact_mut(at)?;
            if artifact.runs.len() == artifact.covered {
                continue;
            }
            let runs = artifact.runs.get(artifact.covered..).unwrap_or_default();
            let more = stretches(runs).count();
            match artifact.segments.len() + more > limits::MATCH_SEGMENTS {
                true => self.rewrite(at)?,
                false => self.cover_one(at)?,
            }
        }
        Ok(())
    }

    fn cover_one(&mut self, at: Place) -> Result<(), BuildError> {
        let artifact = self.artifact_mut(at)?;
        let runs = artifact.runs.get(artifact.covered..).unwrap_or_default();
        let runs = runs.to_vec();
        let mut made = Vec::new();
        for stretch in stretches(&runs) {
            self.segments_of(at, stretch, &mut made)?;
        }
        let artifact = self.artifact_mut(at)?;
        artifact.segments.extend(made);
        artifact.covered += runs.len();
        self.write()
    }

    /// One segment of runs that remove and then add; more of them where it would be too long.
    fn segments_of(
        &mut self,
        at: Place,
        runs: &[RunState],
        made: &mut Vec<SegmentState>,
    ) -> Result<(), BuildError> {
        let folder = self.artifact_folder(at)?;
        let first = runs.iter().position(|run| !run.removes);
        let (removing, adding) = runs.split_at(first.unwrap_or(runs.len()));
        let removed = merged(&folder, removing)?;
        let mut removed: Vec<Tag> = removed
            .map(|row| Ok(row?.tag))
            .collect::<Result<_, BuildError>>()?;
        removed.sort_unstable();
        removed.dedup();
        let mut rows = merged(&folder, adding)?;
        loop {
            self.go_on()?;
            let piece: Vec<Row> = rows.by_ref().take(SEGMENT_TAGS).collect::<Result<_, _>>()?;
            if piece.is_empty() && removed.is_empty() {
                return Ok(());
            }
            made.push(self.segment(at, piece, &removed)?);
            removed.clear();
        }
    }

    fn segment(
        &mut self,
        at: Place,
        mut rows: Vec<Row>,
        removed: &[Tag],
    ) -> Result<SegmentState, BuildError> {
        let epoch = self.state.newest().ok_or(BuildError::Answer)?;
        let (group, artifact) = at.of(epoch)?;
        let (kind, mode, bits) = (artifact.kind, artifact.mode, epoch.bits);
        let space = self.space(epoch, group, kind, mode);
        let place = SegmentPlace::new(&space, None, artifact.next_segment);
        rows.sort_unstable_by_key(|row| row.tag);
        rows.dedup_by_key(|row| row.tag);
        let segment = match mode {
            MatchMode::Labels => {
                let labels = rows.iter().map(|row| {
                    let label = unpack(row.label).ok_or(RunError::Damaged)?;
                    Ok((row.tag, label.seal(&place, row.tag, &row.doubled)))
                });
                let labels: Vec<_> = labels.collect::<Result<_, RunError>>()?;
                encode_labelled(&place, bits, &labels, removed)?
            }
            MatchMode::Items | MatchMode::Count => {
                let tags: Vec<Tag> = rows.iter().map(|row| row.tag).collect();
                encode(&place, bits, &tags, removed)?
            }
        };
        let folder = self.artifact_folder(at)?;
        let file = self.state.name_file();
        let steps = &self.tools.steps;
        write_chunks(&tags_file(&folder, file), &segment.chunks, steps)?;
        if !segment.label_chunks.is_empty() {
            write_chunks(&labels_file(&folder, file), &segment.label_chunks, steps)?;
        }
        let row = segment.row;
        // Its number is never used again, even if this round fails.
        self.artifact_mut(at)?.next_segment += 1;
        Ok(SegmentState { file, row })
    }

    /// One full segment, or as few as there must be, in place of all; what was removed is left out of the points as well.
    fn rewrite(&mut self, at: Place) -> Result<(), BuildError> {
        let runs = self.artifact_mut(at)?.runs.clone();
        let mut rows = merged(&self.artifact_folder(at)?, &runs)?.filter(|row| {
            let is_held = |row: &Row| row.change == Change::Added;
            row.as_ref().map_or(true, is_held)
        });
        let mut before = self.artifact_mut(at)?.clone();
        let artifact = self.artifact_mut(at)?;
        artifact.runs.clear();
        artifact.covered = 0;
        artifact.retired.append(&mut before.segments.clone());
        artifact.segments.clear();
        let rewritten = self.rewrite_runs(at, &mut rows);
        let rewritten = rewritten.and_then(|()| self.cover_one(at));
        if rewritten.is_err() {
            // As it was, and the next round tries again; but a number that was used stands for the tags that it had.
            before.next_segment = self.artifact_mut(at)?.next_segment;
            std::mem::swap(self.artifact_mut(at)?, &mut before);
        }
        rewritten
    }

    fn rewrite_runs(
        &mut self,
        at: Place,
        rows: &mut dyn Iterator<Item = Result<Row, RunError>>,
    ) -> Result<(), BuildError> {
        loop {
            self.go_on()?;
            let piece: Vec<Row> = rows.take(RUN_ROWS).collect::<Result<_, _>>()?;
            if piece.is_empty() {
                return Ok(());
            }
            self.add_run(at, &piece, false)?;
        }
    }

    /// Logs what is in force, if the log does not say so yet.
    pub(super) fn publish(&mut self, log: &LogState) -> Result<(), BuildError> {
        let newest = self.newest_manifest().map(|(_, manifest)| manifest);
        let Some(mut manifest) = self.manifest(log, newest.as_ref())? else {
            return Ok(());
        };
        let is_same = |newest: &Manifest| {
            (newest.epoch, newest.bits) == (manifest.epoch, manifest.bits)
                && newest.groups == manifest.groups
        };
        // A log in which nothing was ever matched needs none that says so.
        let says_nothing = newest.is_none() && manifest.groups.is_empty();
        if says_nothing || newest.as_ref().is_some_and(is_same) {
            return Ok(());
        }
        let signed = loop {
            match manifest.sign(&self.tools.signer) {
                Ok(signed) => break signed,
                Err(ManifestError::TooLarge { got }) => {
                    let at = self.longest().ok_or(ManifestError::TooLarge { got })?;
                    self.rewrite(at)?;
                    let shorter = self.manifest(log, newest.as_ref())?;
                    manifest = shorter.ok_or(BuildError::Answer)?;
                }
                Err(error) => return Err(error.into()),
            }
        };
        self.show();
        let (number, epoch) = (manifest.number, manifest.epoch.0);
        let command = Command::MatchEpoch { manifest: signed };
        let logged = self.wait(self.tools.asks.command(command))?;
        let Outcome::MatchEpochLogged { .. } = logged else {
            return Err(BuildError::Answer);
        };
        tracing::info!(number, epoch, "a match manifest is logged");
        Ok(())
    }

    fn manifest(
        &self,
        log: &LogState,
        newest: Option<&Manifest>,
    ) -> Result<Option<Manifest>, BuildError> {
        let Some(epoch) = self.state.newest() else {
            return Ok(None);
        };
        let mut groups = Vec::new();
        for group in epoch.active() {
            let mut artifacts = Vec::with_capacity(group.artifacts.len());
            for artifact in &group.artifacts {
                let key = key_name(epoch, group, artifact.kind, artifact.mode);
                let rows = artifact.segments.iter().map(|segment| segment.row.clone());
                let segments: Vec<SegmentRow> = rows.collect();
                artifacts.push(Artifact {
                    kind: artifact.kind,
                    mode: artifact.mode,
                    key: self.wait(self.tools.evaluator.public(key))?,
                    items: artifact.items(),
                    segments,
                });
            }
            groups.push(Group {
                group: group.id,
                classes: group.classes.clone(),
                artifacts,
            });
        }
        let witnessed = log.witnessed.as_ref();
        let last = newest.map_or(Timestamp::new(0), |newest| newest.issued_at);
        Ok(Some(Manifest {
            network: self.tools.network,
            origin: self.state.origin.clone(),
            number: newest.map_or(0, |newest| newest.number + 1),
            epoch: epoch.epoch,
            log_size: witnessed.map_or(0, |head| head.checkpoint().size),
            issued_at: clock::now().max(last),
            from: epoch.from,
            until: epoch.until,
            bits: epoch.bits,
            groups,
        }))
    }

    /// The artifact with the most segments, if any has more than one.
    fn longest(&self) -> Option<Place> {
        let epoch = self.state.newest()?;
        let count = |at: &Place| {
            let artifact = at.of(epoch).ok();
            artifact.map_or(0, |(_, artifact)| artifact.segments.len())
        };
        let longest = self.places().into_iter().max_by_key(count);
        longest.filter(|at| count(at) > 1)
    }

    /// Removes files that nothing names any more, once the newest manifest is the one that is served.
    pub(super) fn tidy(&mut self) -> Result<(), BuildError> {
        let witnessed = self.log().witnessed;
        let witnessed = witnessed.map_or(0, |head| head.checkpoint().size);
        let newest = self.newest_manifest();
        if newest.is_none_or(|(index, _)| index >= witnessed) {
            return Ok(());
        }
        let retired = self.places().into_iter().filter(|at| {
            let artifact = self.state.newest().and_then(|epoch| at.of(epoch).ok());
            artifact.is_some_and(|(_, artifact)| !artifact.retired.is_empty())
        });
        let retired: Vec<Place> = retired.collect();
        if !retired.is_empty() {
            for at in retired {
                self.artifact_mut(at)?.retired.clear();
            }
            self.write()?;
            self.show();
        }
        for epoch in &self.state.epochs {
            self.tidy_epoch(epoch)?;
        }
        Ok(())
    }

    fn tidy_epoch(&self, epoch: &EpochState) -> Result<(), BuildError> {
        let folder = self.tools.folder.epoch(epoch.epoch);
        if !folder.is_dir() {
            return Ok(());
        }
        let mut named: BTreeSet<PathBuf> = BTreeSet::new();
        for group in &epoch.groups {
            for artifact in &group.artifacts {
                let folder = self.tools.folder.artifact(epoch.epoch, group.id, artifact);
                named.extend(files_of(&folder, artifact));
                named.insert(folder);
            }
        }
        for item in fs::read_dir(&folder)? {
            let path = item?.path();
            if !named.contains(&path) {
                super::remove_folder(&path)?;
                continue;
            }
            for item in fs::read_dir(&path)? {
                let path = item?.path();
                if !named.contains(&path) {
                    fs::remove_file(&path)?;
                }
            }
        }
        Ok(())
    }
}

/// Runs that become one segment: those that remove, and those that add after them.
fn stretches(runs: &[RunState]) -> impl Iterator<Item = &[RunState]> {
    runs.chunk_by(|before, next| before.removes || !next.removes)
}

fn files_of(folder: &std::path::Path, artifact: &ArtifactState) -> Vec<PathBuf> {
    let runs = artifact.runs.iter().map(|run| run_file(folder, run.file));
    let segments = artifact.segments.iter().chain(&artifact.retired);
    let segments = segments.flat_map(|segment| {
        [
            tags_file(folder, segment.file),
            labels_file(folder, segment.file),
        ]
    });
    runs.chain(segments).collect()
}
