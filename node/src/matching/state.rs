//! What of the match data counts: epochs, groups, artifacts, and the files of each.
//!
//! Why one file: it is renamed into place once everything that it names is durable, so whatever a crash leaves, this says
//! which files count; the rest is swept. It is derived, like the index: lost, a new epoch is begun and everything is built
//! again. Layout: `"HPMT1\0\0\0"`, canonical CBOR, 32 bytes BLAKE3 of both.
//!
//! ```text
//! matching/state                                   this
//! matching/epoch-<n>.key, epoch-<n>.count          the seed of its keys; evaluations under them
//! matching/<epoch>/<group>-<kind>-<mode>/<n>.run   points
//! matching/<epoch>/<group>-<kind>-<mode>/<n>.tags  the chunks of a segment, and `.labels` beside them
//! ```
//! In scope: bytes, names. Out of scope: what is built when (`build`).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use hashpact_keys::canonical::{Written, encode};
use hashpact_keys::reader::{Reader, ShapeError};
use hashpact_keys::{Origin, Timestamp};
use hashpact_protocol::delta::Seq;
use hashpact_protocol::labels::ClassId;
use hashpact_protocol::limits;
use hashpact_protocol::lists::ClosedList as _;
use hashpact_protocol::policy::MatchMode;
use hashpact_protocol::psi::{Epoch, GroupId, SegmentRow, TagBits};
use minicbor::Encoder;

use crate::store::durable::{Steps, write_new};

const MAGIC: &[u8; 8] = b"HPMT1\0\0\0";
const HASH: usize = 32;
/// Runs of an artifact: what a full segment is made of, and one for each delta since.
const RUNS: usize = 1 << 16;
/// Groups of an epoch, those that policy has no more among them.
const GROUPS: usize = 1 << 12;
/// Segments of an artifact, those that are retired and not removed yet among them.
const SEGMENTS: usize = 1 << 12;
/// Fields of a segment.
const SEGMENT_FIELDS: usize = 8;

/// All of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct State {
    pub(super) origin: Origin,
    /// Number of the next file.
    pub(super) next_file: u64,
    /// The newest epoch, and the one before it while it is served.
    pub(super) epochs: Vec<EpochState>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct EpochState {
    pub(super) epoch: Epoch,
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
    /// Until when it is served, once it is not the newest.
    pub(super) served_until: Option<Timestamp>,
    pub(super) bits: TagBits,
    pub(super) groups: Vec<GroupState>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct GroupState {
    pub(super) id: GroupId,
    pub(super) classes: Vec<ClassId>,
    /// Whether policy has the group now. One that it may have again is kept until the epoch ends: a segment's number must
    /// never stand for other tags.
    pub(super) active: bool,
    /// Those of `items` and `labels` that artifacts are made for.
    pub(super) modes: Vec<MatchMode>,
    /// Records of deltas below are in it.
    pub(super) applied: Seq,
    /// Retractions of deltas below are in it.
    pub(super) ended: Seq,
    pub(super) artifacts: Vec<ArtifactState>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct ArtifactState {
    pub(super) kind: u8,
    pub(super) mode: MatchMode,
    /// Whether the points of the epoch before are still being turned into its first runs.
    pub(super) turning: bool,
    /// In the order in which they were written.
    pub(super) runs: Vec<RunState>,
    /// How many of the runs the segments cover.
    pub(super) covered: usize,
    /// Number of the next segment.
    pub(super) next_segment: u32,
    pub(super) segments: Vec<SegmentState>,
    /// Segments that a full one took the place of, for as long as a manifest that is served names them.
    pub(super) retired: Vec<SegmentState>,
}

/// A run: all its rows add, or all remove.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct RunState {
    pub(super) file: u64,
    pub(super) removes: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct SegmentState {
    pub(super) file: u64,
    pub(super) row: SegmentRow,
}

/// The state cannot be read: damaged, or of another version.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The disk.
    #[error("reading the match state")]
    Io(#[from] io::Error),
    /// Other bytes than were written.
    #[error("the match state is damaged")]
    Damaged,
}

impl From<ShapeError> for StateError {
    fn from(_: ShapeError) -> Self {
        Self::Damaged
    }
}

/// Where the files are.
#[derive(Clone)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(root: &Path) -> Self {
        Self(root.to_owned())
    }

    pub(super) fn root(&self) -> &Path {
        &self.0
    }

    fn state(&self) -> PathBuf {
        self.0.join("state")
    }

    pub(super) fn epoch(&self, epoch: Epoch) -> PathBuf {
        self.0.join(epoch.to_string())
    }

    pub(super) fn artifact(&self, epoch: Epoch, group: GroupId, of: &ArtifactState) -> PathBuf {
        let mode = of.mode.name();
        self.epoch(epoch)
            .join(format!("{group}-{}-{mode}", of.kind))
    }
}

pub(super) fn run_file(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number}.run"))
}

pub(super) fn tags_file(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number}.tags"))
}

pub(super) fn labels_file(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number}.labels"))
}

impl ArtifactState {
    pub(super) fn new(kind: u8, mode: MatchMode) -> Self {
        Self {
            kind,
            mode,
            turning: false,
            runs: Vec::new(),
            covered: 0,
            next_segment: 0,
            segments: Vec::new(),
            retired: Vec::new(),
        }
    }

    /// Items that its segments come to.
    pub(super) fn items(&self) -> u64 {
        let rows = self.segments.iter().map(|segment| &segment.row);
        rows.fold(0, |sum: u64, row| {
            sum.saturating_add(row.added).saturating_sub(row.removed)
        })
    }
}

impl EpochState {
    /// The groups that policy has.
    pub(super) fn active(&self) -> impl Iterator<Item = &GroupState> {
        self.groups.iter().filter(|group| group.active)
    }

    /// Items of all artifacts of mode `items`: what a client that asks for everything searches.
    pub(super) fn items(&self) -> u64 {
        let groups = self.active().flat_map(|group| &group.artifacts);
        let items = groups.filter(|artifact| artifact.mode == MatchMode::Items);
        items.map(ArtifactState::items).fold(0, u64::saturating_add)
    }
}

impl State {
    pub(super) fn new(origin: Origin) -> Self {
        Self {
            origin,
            next_file: 0,
            epochs: Vec::new(),
        }
    }

    /// The newest epoch.
    pub(super) fn newest(&self) -> Option<&EpochState> {
        self.epochs.last()
    }

    pub(super) fn newest_mut(&mut self) -> Option<&mut EpochState> {
        self.epochs.last_mut()
    }

    /// A number for a file, never given before.
    pub(super) fn name_file(&mut self) -> u64 {
        self.next_file += 1;
        self.next_file - 1
    }

    /// What was written; `None` if nothing was.
    ///
    /// # Errors
    /// [`StateError`].
    pub(super) fn read(folder: &Folder) -> Result<Option<Self>, StateError> {
        let bytes = match fs::read(folder.state()) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let (body, hash) = bytes
            .split_last_chunk::<HASH>()
            .ok_or(StateError::Damaged)?;
        if blake3::hash(body) != blake3::Hash::from_bytes(*hash) {
            return Err(StateError::Damaged);
        }
        let body = body.strip_prefix(MAGIC).ok_or(StateError::Damaged)?;
        let mut reader = Reader::new(body).map_err(|_| StateError::Damaged)?;
        read_state(&mut reader).map(Some)
    }

    /// Puts it in force: durable when it returns.
    pub(super) fn write(&self, folder: &Folder, steps: &Steps) -> io::Result<()> {
        let body = encode(|e| {
            e.array(4)?
                .u8(1)?
                .str(self.origin.as_str())?
                .u64(self.next_file)?;
            each(e, &self.epochs, write_epoch)
        });
        let hash = blake3::Hasher::new().update(MAGIC).update(&body).finalize();
        write_new(&folder.state(), &[MAGIC, &body, hash.as_bytes()], steps)
    }
}

type Out = Encoder<Vec<u8>>;

fn each<T>(e: &mut Out, list: &[T], write: fn(&mut Out, &T) -> Written) -> Written {
    e.array(list.len() as u64)?;
    list.iter().try_for_each(|item| write(e, item))
}

fn optional(e: &mut Out, value: Option<u64>) -> Written {
    match value {
        Some(value) => e.u64(value)?.ok(),
        None => e.null()?.ok(),
    }
}

fn write_epoch(e: &mut Out, epoch: &EpochState) -> Written {
    e.array(6)?
        .u64(epoch.epoch.0)?
        .u64(epoch.from.get())?
        .u64(epoch.until.get())?;
    optional(e, epoch.served_until.map(Timestamp::get))?;
    e.u8(epoch.bits.get())?;
    each(e, &epoch.groups, write_group)
}

fn write_group(e: &mut Out, group: &GroupState) -> Written {
    e.array(7)?.u32(group.id.0)?.bool(group.active)?;
    each(e, &group.classes, |e, class| e.u16(class.0)?.ok())?;
    each(e, &group.modes, |e, mode| e.u8(mode.bit())?.ok())?;
    e.u64(group.applied.0)?.u64(group.ended.0)?;
    each(e, &group.artifacts, write_artifact)
}

fn write_artifact(e: &mut Out, artifact: &ArtifactState) -> Written {
    e.array(8)?
        .u8(artifact.kind)?
        .u8(artifact.mode.bit())?
        .bool(artifact.turning)?;
    // Flat, as canonical bytes nest no deeper than eight: twice the file, and one more if it removes.
    each(e, &artifact.runs, |e, run| {
        e.u64(run.file * 2 + u64::from(run.removes))?.ok()
    })?;
    e.u64(artifact.covered as u64)?.u32(artifact.next_segment)?;
    write_segments(e, &artifact.segments)?;
    write_segments(e, &artifact.retired)
}

fn write_segments(e: &mut Out, segments: &[SegmentState]) -> Written {
    e.array(segments.len() as u64 * SEGMENT_FIELDS as u64)?;
    segments.iter().try_for_each(|segment| {
        let row = &segment.row;
        e.u64(segment.file)?
            .u32(row.number)?
            .u64(row.added)?
            .u64(row.removed)?
            .u64(row.bytes)?
            .u32(row.chunks)?
            .bytes(&row.root)?;
        match &row.label_root {
            Some(root) => e.bytes(root)?.ok(),
            None => e.null()?.ok(),
        }
    })
}

fn list<T>(
    r: &mut Reader<'_>,
    max: usize,
    read: fn(&mut Reader<'_>) -> Result<T, StateError>,
) -> Result<Vec<T>, StateError> {
    let count = r.list(max)?;
    (0..count).map(|_| read(r)).collect()
}

fn read_state(r: &mut Reader<'_>) -> Result<State, StateError> {
    r.array(4)?;
    if r.u8()? != 1 {
        return Err(StateError::Damaged);
    }
    let origin = r.text()?.parse().map_err(|_| StateError::Damaged)?;
    let next_file = r.u64()?;
    let epochs = list(r, 2, read_epoch)?;
    Ok(State {
        origin,
        next_file,
        epochs,
    })
}

fn read_epoch(r: &mut Reader<'_>) -> Result<EpochState, StateError> {
    r.array(6)?;
    Ok(EpochState {
        epoch: Epoch(r.u64()?),
        from: Timestamp::new(r.u64()?),
        until: Timestamp::new(r.u64()?),
        served_until: r.optional(Reader::u64)?.map(Timestamp::new),
        bits: TagBits::new(r.u64()?).map_err(|_| StateError::Damaged)?,
        groups: list(r, GROUPS, read_group)?,
    })
}

fn read_group(r: &mut Reader<'_>) -> Result<GroupState, StateError> {
    r.array(7)?;
    Ok(GroupState {
        id: GroupId(r.u32()?),
        active: r.bool()?,
        classes: list(r, limits::MATCH_CLASSES, |r| Ok(ClassId(r.u16()?)))?,
        modes: list(r, 2, read_mode)?,
        applied: Seq(r.u64()?),
        ended: Seq(r.u64()?),
        artifacts: list(r, limits::MATCH_ARTIFACTS, read_artifact)?,
    })
}

fn read_mode(r: &mut Reader<'_>) -> Result<MatchMode, StateError> {
    MatchMode::from_bit(r.u64()?).ok_or(StateError::Damaged)
}

fn read_artifact(r: &mut Reader<'_>) -> Result<ArtifactState, StateError> {
    r.array(8)?;
    let kind = r.u8()?;
    let mode = read_mode(r)?;
    let turning = r.bool()?;
    let runs = list(r, RUNS, |r| {
        let run = r.u64()?;
        let (file, removes) = (run / 2, run % 2 == 1);
        Ok(RunState { file, removes })
    })?;
    let covered = usize::try_from(r.u64()?).map_err(|_| StateError::Damaged)?;
    if covered > runs.len() {
        return Err(StateError::Damaged);
    }
    Ok(ArtifactState {
        kind,
        mode,
        turning,
        runs,
        covered,
        next_segment: r.u32()?,
        segments: read_segments(r)?,
        retired: read_segments(r)?,
    })
}

fn read_segments(r: &mut Reader<'_>) -> Result<Vec<SegmentState>, StateError> {
    let fields = r.list(SEGMENTS * SEGMENT_FIELDS)?;
    (0..fields / SEGMENT_FIELDS)
        .map(|_| read_segment(r))
        .collect()
}

fn read_segment(r: &mut Reader<'_>) -> Result<SegmentState, StateError> {
    Ok(SegmentState {
        file: r.u64()?,
        row: SegmentRow {
            number: r.u32()?,
            added: r.u64()?,
            removed: r.u64()?,
            bytes: r.u64()?,
            chunks: r.u32()?,
            root: *r.fixed()?,
            label_root: r.optional(|r| r.fixed().copied())?,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        let segment = |number, label_root| SegmentState {
            file: u64::from(number) + 7,
            row: SegmentRow {
                number,
                added: 20,
                removed: u64::from(number),
                bytes: 140,
                chunks: 2,
                root: [6; 32],
                label_root,
            },
        };
        let artifact = ArtifactState {
            turning: true,
            runs: [1, 5, 9]
                .map(|file| RunState {
                    file,
                    removes: file == 5,
                })
                .to_vec(),
            covered: 2,
            next_segment: 2,
            segments: vec![segment(0, None), segment(1, Some([8; 32]))],
            retired: vec![segment(2, None)],
            ..ArtifactState::new(3, MatchMode::Labels)
        };
        let group = GroupState {
            id: GroupId(4),
            active: true,
            classes: vec![ClassId(1), ClassId(9)],
            modes: vec![MatchMode::Items, MatchMode::Labels],
            applied: Seq(12),
            ended: Seq(13),
            artifacts: vec![artifact],
        };
        let epoch = |number, served_until| EpochState {
            epoch: Epoch(number),
            from: Timestamp::new(100),
            until: Timestamp::new(200),
            served_until,
            bits: TagBits::of(5),
            groups: vec![group.clone()],
        };
        State {
            origin: "eu.example/eu/1".parse().unwrap(),
            next_file: 77,
            epochs: vec![epoch(3, Some(Timestamp::new(9))), epoch(4, None)],
        }
    }

    #[test]
    fn a_state_comes_back_and_a_damaged_one_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(dir.path());
        assert!(State::read(&folder).unwrap().is_none());
        let empty = State::new(state().origin);
        for state in [empty, state()] {
            state.write(&folder, &Steps::default()).unwrap();
            assert_eq!(State::read(&folder).unwrap(), Some(state));
        }
        let good = fs::read(folder.state()).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 4;
            fs::write(folder.state(), &bad).unwrap();
            assert!(State::read(&folder).is_err(), "byte {at}");
        }
        fs::write(folder.state(), &good[..20]).unwrap();
        assert!(State::read(&folder).is_err());
    }

    #[test]
    fn items_are_what_the_segments_add_without_what_they_remove() {
        let state = state();
        let artifact = &state.epochs[0].groups[0].artifacts[0];
        assert_eq!(artifact.items(), 39);
        // Labels are the same items once more.
        assert_eq!(state.epochs[0].items(), 0);
    }
}
