//! How a new key takes over the points of the old one: `P' = (k'/k)P`, and nothing is hashed again.
//!
//! The rows of the epoch before come merged, ascending by id, and go into runs of at most [`RUN_ROWS`]. What a crash leaves
//! is gone on with behind the last id that was written.

use hashpact_protocol::delta::Seq;
use hashpact_protocol::psi::Tagger;

use super::super::evaluator::JOB_ITEMS;
use super::super::points::{Change, RUN_ROWS, Row};
use super::super::state::{ArtifactState, run_file};
use super::{BuildError, Builder, Building, Place, Run, key_name, merged};

impl Builder {
    /// Turns every artifact that still waits for it.
    pub(super) fn turn(&mut self) -> Result<(), BuildError> {
        for at in self.places() {
            if self.artifact_mut(at)?.turning {
                self.turn_one(at)?;
            }
        }
        Ok(())
    }

    fn turn_one(&mut self, at: Place) -> Result<(), BuildError> {
        let [.., last, epoch] = self.state.epochs.as_slice() else {
            return self.begin_again(at);
        };
        let (group, artifact) = at.of(epoch)?;
        let (kind, mode) = (artifact.kind, artifact.mode);
        let old = last.groups.iter().find(|old| old.id == group.id);
        let source = old.and_then(|old| {
            let mut artifacts = old.artifacts.iter();
            artifacts.find(|it| (it.kind, it.mode) == (kind, mode))
        });
        let (Some(old), Some(source)) = (old, source) else {
            return self.begin_again(at);
        };
        let keys = [
            key_name(last, old, kind, mode),
            key_name(epoch, group, kind, mode),
        ];
        let mut tagger = Tagger::new(&self.space(epoch, group, kind, mode), None, epoch.bits);
        let from = self.tools.folder.artifact(last.epoch, old.id, source);
        let total: u64 = source.items();
        let done = self.last_turned(at)?;
        let rows = merged(&from, &source.runs)?;
        let mut rows = rows.filter(|row| {
            let is_wanted =
                |row: &Row| row.change == Change::Added && done.is_none_or(|done| row.id > done);
            row.as_ref().map_or(true, is_wanted)
        });
        let mut count = 0;
        loop {
            self.go_on()?;
            let piece: Vec<Row> = rows.by_ref().take(RUN_ROWS).collect::<Result<_, _>>()?;
            if piece.is_empty() {
                return self.turned(at);
            }
            count += piece.len() as u64;
            let jobs = piece.chunks(JOB_ITEMS).map(|rows| {
                let points = rows.iter().map(|row| row.point).collect();
                self.tools.evaluator.turn(keys[0], keys[1], points)
            });
            let items = self.spread(jobs)?;
            let turned = piece.iter().zip(items).map(|(row, item)| Row {
                point: item.point,
                doubled: item.doubled,
                tag: tagger.tag(&item.doubled),
                ..*row
            });
            let turned: Vec<Row> = turned.collect();
            self.add_run(at, &turned, false)?;
            self.write()?;
            self.tools.shared.building(Some(Building {
                done: count.min(total),
                total,
            }));
        }
    }

    /// The last id that was turned, if any was.
    fn last_turned(&self, at: Place) -> Result<Option<[u8; 16]>, BuildError> {
        let epoch = self.state.newest().ok_or(BuildError::Answer)?;
        let (_, artifact) = at.of(epoch)?;
        let Some(run) = artifact.runs.last() else {
            return Ok(None);
        };
        let run = Run::open(&run_file(&self.artifact_folder(at)?, run.file))?;
        Ok(run.last()?.map(|row| row.id))
    }

    /// The epoch before is lost, with its keys: the group is filled from the bodies.
    fn begin_again(&mut self, at: Place) -> Result<(), BuildError> {
        let ended = self.log().next_seq;
        let epoch = self.state.newest_mut().ok_or(BuildError::Answer)?;
        let group = epoch.groups.get_mut(at.group).ok_or(BuildError::Answer)?;
        (group.applied, group.ended) = (Seq(0), ended);
        for artifact in &mut group.artifacts {
            *artifact = ArtifactState {
                next_segment: artifact.next_segment,
                ..ArtifactState::new(artifact.kind, artifact.mode)
            };
        }
        self.write()
    }

    fn turned(&mut self, at: Place) -> Result<(), BuildError> {
        self.artifact_mut(at)?.turning = false;
        self.write()
    }
}
