//! The one write order.
//!
//! 1. bodies, 2. segments of the index, 3. tiles and bundles: durable files that nothing names yet;
//! 4. one transaction that compares the sizes of logs and names them all: that is the commit;
//! 5. what is published of it: `checkpoint`, `history`, `fork`, rosters (`published`).
//!
//! A crash before 4 leaves files that the next open removes; one after it leaves a `checkpoint`
//! that is behind, and the next open renames the right one into place. Tiles of a log that did not
//! grow stay: growing again writes over them. In scope: that order. Out of scope: what may be
//! stored.

mod change;
mod error;
mod plan;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use hashpact_keys::Origin;
use hashpact_protocol::delta::{RETRACTION_SECTION, Seq};
use hashpact_protocol::view::Batch;

use super::Store;
use super::bodies::{BodyFault, DamagedBody, RecordReader};
use super::control::{Family, SegmentEntry};
use super::durable::{create_dirs, write_many};
use super::index::segment::write_sorted;
use super::index::{Index, Row, Segment, Value, WriteSegmentError};
use super::layout::{BodyKind, FOLDER_WIDTH};
use super::lines::Lines;
use super::places::RowBuilder;
use super::sealed::{BodyIdentity, shred, write_body};
use super::sections::encode_retractions;

pub use error::CommitError;
pub(super) use plan::Plan;
use plan::PlannedBody;

/// What became durable before the transaction.
type NewSegments = Vec<(SegmentEntry, Arc<Segment>)>;

impl Store {
    /// Makes a batch durable as a whole, or not at all.
    ///
    /// One caller at a time: a second one waits, and its batch, built before, may then be refused
    /// for its sizes.
    ///
    /// # Errors
    /// [`CommitError`]. Those that say so wrote nothing; after any other the caller ends the
    /// process: whether the batch is in force is known once the store is opened again.
    pub fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        let _writer = Self::lock(&self.writer);
        if self.failed.load(Ordering::Relaxed) {
            return Err(CommitError::Failed);
        }
        let plan = self.plan(batch)?;
        let committed = self.write(plan);
        if committed.is_err() {
            self.failed.store(true, Ordering::Relaxed);
        }
        committed
    }

    fn write(&self, mut plan: Plan) -> Result<(), CommitError> {
        let (places, retracted, lines) = {
            let live = self.live();
            let numbers = live.numbers.iter().chain(&plan.numbers);
            let lines = Lines::new(numbers.map(|(origin, number)| (origin, *number)));
            (live.places.clone(), live.retracted.clone(), lines)
        };
        // Sealing waits for the disk while rows are made.
        let (sealed, made) = std::thread::scope(|scope| {
            let sealing = scope.spawn(|| self.seal(&plan));
            let rows = self.rows(&plan, &places, (&retracted, &lines));
            let sealed = sealing.join();
            (
                sealed.unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                rows,
            )
        });
        sealed?;
        let (rows, gone) = made?;
        self.tally(&mut plan, &rows, &gone);
        drop(gone);
        let mut segments = NewSegments::new();
        for (family, rows) in [
            (Family::Places, rows.places),
            (Family::Retracted, rows.ends),
        ] {
            segments.extend(self.write_segment(family, rows)?);
        }
        plan.change.segments = segments.iter().map(|(entry, _)| *entry).collect();
        let files: Vec<_> = plan
            .files
            .iter()
            .map(|(path, bytes)| (path.clone(), &bytes[..]))
            .collect();
        write_many(&self.layout.staging(), &files, &self.steps)?;
        if plan.is_nothing() {
            return Ok(());
        }
        self.control.apply(&plan.change)?;
        self.put_in_force(&mut plan, segments)?;
        self.publish(&plan)?;
        self.shred_rewritten(&plan)?;
        self.remove_superseded(&plan);
        Ok(())
    }

    /// Writes and seals the bodies of a plan.
    fn seal(&self, plan: &Plan) -> Result<(), CommitError> {
        for PlannedBody { body: admitted, .. } in &plan.bodies {
            let body = admitted.body();
            let classes = body.sections().iter();
            let mut sections: Vec<(u32, &[u8])> = classes
                .map(|section| {
                    (
                        u32::from(section.class.0),
                        &body.bytes()[section.range.clone()],
                    )
                })
                .collect();
            sections.push((RETRACTION_SECTION, &body.bytes()[body.retraction_range()]));
            let kind = BodyKind::Body(0);
            self.seal_one(admitted.origin(), admitted.seq(), kind, &sections)?;
        }
        for rewrite in &plan.rewrites {
            let kind = BodyKind::Body(rewrite.version);
            let path = self.layout.body(&rewrite.origin, rewrite.seq, kind);
            rewrite.file.rewrite(&path, &rewrite.new, &self.steps)?;
        }
        for (origin, seq, list) in &plan.ends {
            let section = encode_retractions(list);
            let sections = [(RETRACTION_SECTION, &section[..])];
            self.seal_one(origin, *seq, BodyKind::Ends, &sections)?;
        }
        Ok(())
    }

    fn seal_one(
        &self,
        origin: &Origin,
        seq: Seq,
        kind: BodyKind,
        sections: &[(u32, &[u8])],
    ) -> Result<(), CommitError> {
        create_dirs(
            &self.layout.body_folder(origin, seq.0 / FOLDER_WIDTH),
            &self.steps,
        )?;
        let path = self.layout.body(origin, seq, kind);
        let identity = BodyIdentity {
            origin: origin.as_str(),
            seq: seq.0,
        };
        Ok(write_body(
            &path,
            &self.keys.seal,
            &identity,
            sections,
            &self.steps,
        )?)
    }

    /// The index rows of a plan, and those of the records that go.
    fn rows<'a>(
        &'a self,
        plan: &Plan,
        places: &Index,
        (retracted, lines): (&'a Index, &'a Lines),
    ) -> Result<(RowBuilder<'a>, RowBuilder<'a>), CommitError> {
        let fault = |error| CommitError::from_rows(error, &self.own, Seq(0));
        let mut rows = RowBuilder::new(&self.keys.index, retracted, lines);
        rows.retract(plan.retractions.iter().copied())
            .map_err(fault)?;
        let ending = rows.ending(places).map_err(fault)?;
        for same_body in ending.chunk_by(|a, b| (a.origin, a.seq) == (b.origin, b.seq)) {
            self.end_in_body(&mut rows, same_body)?;
        }
        for PlannedBody {
            body,
            place,
            labels,
        } in &plan.bodies
        {
            let put = rows.put(*place, labels, body.body().records());
            put.map_err(|error| CommitError::from_rows(error, body.origin(), body.seq()))?;
        }
        let mut gone = RowBuilder::new(&self.keys.index, retracted, lines);
        if !plan.rewrites.is_empty() {
            gone.retract(plan.retractions.iter().copied())
                .map_err(fault)?;
        }
        for rewrite in &plan.rewrites {
            rewrite.rows(&mut rows, &mut gone)?;
        }
        Ok((rows, gone))
    }

    /// Ends records that stand in one stored body, under each of their fingerprints.
    fn end_in_body(&self, rows: &mut RowBuilder<'_>, at: &[Value]) -> Result<(), CommitError> {
        let Some(first) = at.first() else {
            return Ok(());
        };
        let number = first.origin;
        let origin = self.origin(number).ok_or(CommitError::Origin { number })?;
        let seq = Seq(u64::from(first.seq));
        let damaged = |fault| DamagedBody {
            origin: origin.clone(),
            seq,
            fault,
        };
        let file = self
            .open_body(&origin, seq)
            .map_err(|e| damaged(BodyFault::Sealed(e)))?;
        let mut reader = RecordReader::new(file);
        for at in at {
            // A row that leads into a hole ends nothing: the record is gone.
            let Some((_, record)) = reader.record(at.offset).map_err(damaged)? else {
                continue;
            };
            let ended = rows.end(at, &record);
            ended.map_err(|error| CommitError::from_rows(error, &origin, seq))?;
        }
        Ok(())
    }

    fn tally(&self, plan: &mut Plan, rows: &RowBuilder<'_>, gone: &RowBuilder<'_>) {
        let live = self.live();
        let numbers = live.numbers.iter().chain(&plan.numbers);
        for (origin, number) in numbers {
            let (added, taken) = (rows.tallies.get(number), gone.tallies.get(number));
            if added.is_none() && taken.is_none() {
                continue;
            }
            let added = added.copied().unwrap_or_default();
            let taken = taken.copied().unwrap_or_default();
            let mut tally = live.tallies.get(origin).copied().unwrap_or_default();
            tally.stored = (tally.stored + added.stored).saturating_sub(taken.stored);
            tally.retracted = (tally.retracted + added.retracted).saturating_sub(taken.retracted);
            plan.change.tallies.insert(origin.clone(), tally);
        }
    }

    /// Writes rows as a segment that is not in force yet; none, if there are no rows.
    pub(super) fn write_segment(
        &self,
        family: Family,
        mut rows: Vec<Row>,
    ) -> Result<Option<(SegmentEntry, Arc<Segment>)>, WriteSegmentError> {
        if rows.is_empty() {
            return Ok(None);
        }
        let id = self.new_segment();
        let segment = write_sorted(&self.layout.segment(id), &mut rows, &self.steps)?;
        Ok(Some((
            SegmentEntry {
                id,
                family,
                rows: segment.len(),
            },
            Arc::new(segment),
        )))
    }

    fn put_in_force(&self, plan: &mut Plan, segments: NewSegments) -> Result<(), CommitError> {
        let mut live = self.live_mut();
        for (entry, segment) in segments {
            let index = live.index_mut(entry.family);
            *index = index.with(entry.id, segment)?;
        }
        for (origin, number) in &plan.change.origins {
            live.origins.push(origin.clone());
            live.numbers.insert(origin.clone(), *number);
        }
        live.logs.append(&mut plan.change.logs);
        live.tallies.append(&mut plan.change.tallies);
        for rewrite in &plan.rewrites {
            let place = (rewrite.origin.clone(), rewrite.seq);
            live.versions.insert(place, rewrite.version);
        }
        live.rewrites += u64::from(!plan.rewrites.is_empty());
        Ok(())
    }

    /// Destroys what the rewritten bodies were. A failure is the commit's: whoever asked for a purge must not take it for
    /// done while the old file stands, and the next open destroys it.
    fn shred_rewritten(&self, plan: &Plan) -> Result<(), CommitError> {
        for rewrite in &plan.rewrites {
            self.open_bodies.forget(&rewrite.origin, rewrite.seq);
            let kind = BodyKind::Body(rewrite.version - 1);
            let path = self.layout.body(&rewrite.origin, rewrite.seq, kind);
            shred(&path, &self.steps)?;
        }
        Ok(())
    }

    /// Removes files that others have taken the place of. Whatever stays does no harm, and the next
    /// open removes most of it, so that a failure is none of the commit.
    fn remove_superseded(&self, plan: &Plan) {
        if self.steps.pass("remove superseded").is_err() {
            return;
        }
        for (origin, seq, _) in &plan.change.bodies {
            let _ = std::fs::remove_file(self.layout.body(origin, *seq, BodyKind::Ends));
        }
        let kept = self.folders_behind();
        for (path, _) in &plan.files {
            // Partial tiles are kept until the full one is there, and published.
            if !is_partial(path) && !kept.iter().any(|folder| path.starts_with(folder)) {
                let _ = std::fs::remove_dir_all(path.with_added_extension("p"));
            }
        }
    }

    pub(super) fn origin(&self, number: u16) -> Option<Origin> {
        self.live().origins.get(usize::from(number)).cloned()
    }
}

fn is_partial(path: &Path) -> bool {
    let folder = path.parent().and_then(Path::extension);
    folder.is_some_and(|extension| extension == "p")
}
