//! Evaluated items at rest: sorted runs of fixed rows.
//!
//! Why kept: a new epoch turns every point by one multiplication and hashes nothing, a removal is
//! known by its tag, and an item is evaluated once however often a build is begun again. A run is
//! written once, whole or not at all, and never changes; later runs win over earlier ones.
//!
//! Layout, integers big-endian:
//! ```text
//! "HPMP1\0\0"  form u8, rows u64
//! row*         id 16, point 32, tag 10, 1 if added or 0 if removed, label 4, 0; in form 1 also enc(2P) 32
//! hash         32: BLAKE3 of all the bytes above
//! ```
//! Rows ascend by id, each id once. The id is a keyed BLAKE3 of the fingerprint, so that the file is
//! no list; the point is `P = k*X(x)`, of no use without the epoch's key; of a removed item it is
//! zero. Form 1 is that of mode `labels`, whose labels are sealed under what follows from `enc(2P)`. In scope: files. Out of scope: which runs are in force (`state`), what is in them
//! (`build`).

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use hashpact_protocol::psi::Tag;
use zeroize::Zeroizing;

use crate::store::durable::{Steps, Writer};

/// Rows of a run at most: 64 MiB, sorted in memory.
pub(super) const RUN_ROWS: usize = 1 << 20;

const MAGIC: &[u8; 7] = b"HPMP1\0\0";
const HEAD: usize = 16;
const PLAIN: usize = 64;
const LABELLED: usize = 96;
const HASH: usize = 32;
/// Rows read at once when one is looked for: 4 KiB.
const BLOCK_ROWS: u64 = 64;
/// Rows written at once.
const BATCH_ROWS: usize = 1 << 14;
/// Bytes of a run read at once when it is read through.
const READ_BYTES: usize = 1 << 18;

/// A keyed hash of a fingerprint.
pub(super) type RowId = [u8; 16];

/// The secret under which ids are hashed. Zeroized on drop; no Debug, no Clone.
pub struct IdKey(Zeroizing<[u8; 32]>);

impl IdKey {
    /// Takes a copy of `bytes`, which must be uniform and secret; the caller wipes its own.
    #[must_use]
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(Zeroizing::new(*bytes))
    }

    /// The same key once more, for whoever finds items beside the build.
    pub(super) fn copy(&self) -> Self {
        Self::new(&self.0)
    }

    /// The id of an item: of the bytes that are hashed to the group for it.
    pub(super) fn id(&self, input: &[u8]) -> RowId {
        let hash = blake3::keyed_hash(&self.0, input);
        let mut id = [0; 16];
        id.copy_from_slice(&hash.as_bytes()[..16]);
        id
    }
}

/// What the rows of a run hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Plain = 0,
    /// With what labels are sealed under.
    Labelled = 1,
}

impl Form {
    /// Bytes of a row.
    fn width(self) -> usize {
        match self {
            Self::Plain => PLAIN,
            Self::Labelled => LABELLED,
        }
    }
}

/// What a run says of an item.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Added,
    Removed,
}

/// One item. No Debug: point and tag are pseudonyms of a fingerprint.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) id: RowId,
    pub(super) point: [u8; 32],
    /// `enc(2P)`; zero where the form has none.
    pub(super) doubled: [u8; 32],
    pub(super) tag: Tag,
    pub(super) change: Change,
    pub(super) label: [u8; 4],
}

impl Row {
    fn write(&self, form: Form, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.id);
        out.extend_from_slice(&self.point);
        out.extend_from_slice(&self.tag.0.to_be_bytes()[6..]);
        out.push(u8::from(self.change == Change::Added));
        out.extend_from_slice(&self.label);
        out.push(0);
        match form {
            Form::Plain => {}
            Form::Labelled => out.extend_from_slice(&self.doubled),
        }
    }

    /// `bytes` are those of one row.
    fn read(bytes: &[u8]) -> Option<Self> {
        let (plain, doubled) = bytes.split_first_chunk::<PLAIN>()?;
        let change = match (plain[58], plain[63]) {
            (0, 0) => Change::Removed,
            (1, 0) => Change::Added,
            (_, _) => return None,
        };
        let mut tag = [0; 16];
        tag[6..].copy_from_slice(&plain[48..58]);
        Some(Self {
            id: *plain.first_chunk()?,
            point: *plain[16..].first_chunk()?,
            doubled: doubled.first_chunk().copied().unwrap_or_default(),
            tag: Tag(u128::from_be_bytes(tag)),
            change,
            label: *plain[59..].first_chunk()?,
        })
    }
}

/// Why a run cannot be read. It was whole when it was written.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The disk.
    #[error("reading points")]
    Io(#[from] io::Error),
    /// Other bytes than were written.
    #[error("a file of points is damaged")]
    Damaged,
}

/// Writes `rows`, ascending by id and each id once, as the run `path`: durable when it returns.
pub(super) fn write_run(path: &Path, form: Form, rows: &[Row], steps: &Steps) -> io::Result<()> {
    let mut writer = Writer::create(path, steps)?;
    let mut hasher = blake3::Hasher::new();
    let mut batch = Vec::with_capacity(HEAD + rows.len().min(BATCH_ROWS) * form.width());
    batch.extend_from_slice(MAGIC);
    batch.push(form as u8);
    batch.extend_from_slice(&(rows.len() as u64).to_be_bytes());
    for rows in rows.chunks(BATCH_ROWS) {
        for row in rows {
            row.write(form, &mut batch);
        }
        hasher.update(&batch);
        writer.write_all(&batch)?;
        batch.clear();
    }
    hasher.update(&batch);
    batch.extend_from_slice(hasher.finalize().as_bytes());
    writer.write_all(&batch)?;
    writer.finish()
}

/// A run that is open for reading.
pub(super) struct Run {
    file: File,
    form: Form,
    rows: u64,
}

impl Run {
    /// Opens a run; its length is checked, its content when it is read through.
    pub(super) fn open(path: &Path) -> Result<Self, RunError> {
        let file = File::open(path)?;
        let mut head = [0; HEAD];
        file.read_exact_at(&mut head, 0)
            .map_err(|_| RunError::Damaged)?;
        let [magic @ .., _, _, _, _, _, _, _, _, _] = &head;
        let form = match head[MAGIC.len()] {
            0 => Form::Plain,
            1 => Form::Labelled,
            _ => return Err(RunError::Damaged),
        };
        let rows = head.last_chunk().copied().map_or(0, u64::from_be_bytes);
        let length = rows
            .checked_mul(form.width() as u64)
            .and_then(|len| len.checked_add((HEAD + HASH) as u64));
        if magic != MAGIC || length != Some(file.metadata()?.len()) {
            return Err(RunError::Damaged);
        }
        Ok(Self { file, form, rows })
    }

    /// The row of an item, if there is one. Ids are uniform, so that a guess is near: a few reads of
    /// 4 KiB.
    pub(super) fn find(&self, id: &RowId) -> Result<Option<Row>, RunError> {
        let (mut low, mut high) = (0, self.rows);
        let (mut guess, mut step) = (self.guess(id), BLOCK_ROWS);
        let (mut went_down, mut went_up) = (false, false);
        while low < high {
            let from = guess.saturating_sub(BLOCK_ROWS / 2).clamp(low, high - 1);
            let to = (from + BLOCK_ROWS).min(high);
            let rows = self.read(from, to)?;
            let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
                return Err(RunError::Damaged);
            };
            if *id < first.id {
                (high, went_down) = (from, true);
                guess = from.saturating_sub(step);
            } else if *id > last.id {
                (low, went_up) = (to, true);
                guess = to.saturating_add(step);
            } else {
                let at = rows.binary_search_by(|row| row.id.cmp(id));
                return Ok(at.ok().map(|at| rows[at]));
            }
            step = step.saturating_mul(2);
            if went_down && went_up {
                // Between two places: halving, so that no content makes it slow.
                guess = low + (high - low) / 2;
            }
        }
        Ok(None)
    }

    fn guess(&self, id: &RowId) -> u64 {
        let mut first = [0; 8];
        first.copy_from_slice(&id[..8]);
        let scaled = u128::from(u64::from_be_bytes(first)) * u128::from(self.rows);
        u64::try_from(scaled >> 64).unwrap_or(u64::MAX)
    }

    /// The last row, if there is one.
    pub(super) fn last(&self) -> Result<Option<Row>, RunError> {
        let from = self.rows.saturating_sub(1);
        Ok(self.read(from, self.rows)?.pop())
    }

    fn read(&self, from: u64, to: u64) -> Result<Vec<Row>, RunError> {
        let width = self.form.width();
        let count = usize::try_from(to - from).map_err(|_| RunError::Damaged)?;
        let mut bytes = vec![0; count * width];
        let at = HEAD as u64 + from * width as u64;
        self.file.read_exact_at(&mut bytes, at)?;
        let rows: Option<Vec<Row>> = bytes.chunks_exact(width).map(Row::read).collect();
        rows.ok_or(RunError::Damaged)
    }

    /// Every row in order. The last item is an error if the file is not what was written.
    pub(super) fn rows(self) -> Result<Rows, RunError> {
        let mut reader = BufReader::with_capacity(READ_BYTES, self.file);
        let mut head = [0; HEAD];
        reader.read_exact(&mut head)?;
        let mut hasher = blake3::Hasher::new();
        hasher.update(&head);
        Ok(Rows {
            reader,
            hasher,
            width: self.form.width(),
            left: self.rows,
            last: None,
            is_checked: false,
        })
    }
}

/// The rows of a run, read through once.
pub(super) struct Rows {
    reader: BufReader<File>,
    hasher: blake3::Hasher,
    width: usize,
    left: u64,
    last: Option<RowId>,
    is_checked: bool,
}

impl Rows {
    fn next_row(&mut self) -> Result<Option<Row>, RunError> {
        if self.left == 0 {
            if !self.is_checked {
                let mut hash = [0; HASH];
                self.reader.read_exact(&mut hash)?;
                self.is_checked = true;
                if self.hasher.finalize() != blake3::Hash::from_bytes(hash) {
                    return Err(RunError::Damaged);
                }
            }
            return Ok(None);
        }
        self.left -= 1;
        let mut bytes = [0; LABELLED];
        let bytes = &mut bytes[..self.width];
        self.reader.read_exact(bytes)?;
        self.hasher.update(bytes);
        let row = Row::read(bytes).ok_or(RunError::Damaged)?;
        if self.last.is_some_and(|last| last >= row.id) {
            return Err(RunError::Damaged);
        }
        self.last = Some(row.id);
        Ok(Some(row))
    }
}

/// The rows of several runs together, ascending by id: of an item that more than one names, the
/// row of the latest run.
pub(super) struct Merged {
    /// The latest run first, each with its next row.
    runs: Vec<(Option<Row>, Rows)>,
}

impl Merged {
    /// Of runs in the order in which they were written.
    pub(super) fn new(runs: Vec<Run>) -> Result<Self, RunError> {
        let runs = runs.into_iter().rev().map(|run| {
            let mut rows = run.rows()?;
            Ok((rows.next_row()?, rows))
        });
        Ok(Self {
            runs: runs.collect::<Result<_, RunError>>()?,
        })
    }

    fn next_row(&mut self) -> Result<Option<Row>, RunError> {
        let heads = self.runs.iter().filter_map(|(head, _)| *head);
        // Of equal ids `min_by_key` takes the first, which is of the latest run.
        let Some(least) = heads.min_by_key(|row| row.id) else {
            return Ok(None);
        };
        for (head, rows) in &mut self.runs {
            if head.is_some_and(|head| head.id == least.id) {
                *head = rows.next_row()?;
            }
        }
        Ok(Some(least))
    }
}

impl Iterator for Merged {
    type Item = Result<Row, RunError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_row().transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(n: u64, change: Change) -> Row {
        let [.., low] = n.to_be_bytes();
        Row {
            id: IdKey::new(&[1; 32]).id(&n.to_be_bytes()),
            point: [low; 32],
            doubled: [0; 32],
            tag: Tag(u128::from(n) << 40),
            change,
            label: [1, 2, 3, low],
        }
    }

    fn run(dir: &Path, name: &str, numbers: impl Iterator<Item = u64>, change: Change) -> Run {
        let mut rows: Vec<Row> = numbers.map(|n| row(n, change)).collect();
        rows.sort_unstable_by_key(|row| row.id);
        let path = dir.join(name);
        write_run(&path, Form::Plain, &rows, &Steps::default()).unwrap();
        Run::open(&path).unwrap()
    }

    #[test]
    fn every_row_of_a_run_is_found_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        for len in [0, 1, 2, 63, 64, 65, 5000] {
            let run = run(dir.path(), &len.to_string(), 0..len, Change::Added);
            assert_eq!(run.rows, len);
            for n in 0..len {
                let found = run.find(&row(n, Change::Added).id).unwrap();
                assert!(found == Some(row(n, Change::Added)), "{n} of {len}");
            }
            for n in len..len + 500 {
                assert!(run.find(&row(n, Change::Added).id).unwrap().is_none());
            }
            for id in [[0; 16], [255; 16]] {
                assert!(run.find(&id).unwrap().is_none());
            }
        }
    }

    #[test]
    fn rows_crowded_at_one_end_are_found_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let mut rows: Vec<Row> = (0..20_000).map(|n| row(n, Change::Added)).collect();
        rows.iter_mut().for_each(|row| row.id[..6].fill(0));
        rows.sort_unstable_by_key(|row| row.id);
        rows.dedup_by_key(|row| row.id);
        let path = dir.path().join("crowded");
        write_run(&path, Form::Plain, &rows, &Steps::default()).unwrap();
        let run = Run::open(&path).unwrap();
        for row in rows.iter().step_by(97) {
            assert!(run.find(&row.id).unwrap() == Some(*row));
        }
        assert!(run.find(&[9; 16]).unwrap().is_none());
    }

    #[test]
    fn of_several_runs_the_latest_row_of_an_item_counts() {
        let dir = tempfile::tempdir().unwrap();
        let runs = vec![
            run(dir.path(), "a", 0..1000, Change::Added),
            run(dir.path(), "b", 500..600, Change::Removed),
            run(dir.path(), "c", 550..560, Change::Added),
        ];
        let merged: Vec<Row> = Merged::new(runs).unwrap().map(Result::unwrap).collect();
        assert_eq!(merged.len(), 1000);
        assert!(merged.is_sorted_by_key(|row| row.id));
        let removed = merged.iter().filter(|row| row.change == Change::Removed);
        assert_eq!(removed.count(), 90);
    }

    #[test]
    fn labelled_rows_come_back_with_what_their_labels_are_sealed_under() {
        let dir = tempfile::tempdir().unwrap();
        let mut rows: Vec<Row> = (0..300).map(|n| row(n, Change::Added)).collect();
        rows.iter_mut().for_each(|row| row.doubled = row.point);
        rows.sort_unstable_by_key(|row| row.id);
        let path = dir.path().join("labelled");
        write_run(&path, Form::Labelled, &rows, &Steps::default()).unwrap();
        let run = Run::open(&path).unwrap();
        assert!(run.find(&rows[77].id).unwrap() == Some(rows[77]));
        assert!(run.last().unwrap() == rows.last().copied());
        let read: Vec<Row> = Merged::new(vec![run])
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert!(read == rows);
    }

    #[test]
    fn a_run_with_a_flipped_bit_or_a_cut_is_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run");
        drop(run(dir.path(), "run", 0..50, Change::Added));
        let good = std::fs::read(&path).unwrap();
        let read = || {
            let rows = Merged::new(vec![Run::open(&path)?])?;
            rows.collect::<Result<Vec<Row>, _>>()
        };
        assert_eq!(read().unwrap().len(), 50);
        for at in [0, 9, 20, 50, 200, good.len() - 1] {
            let mut bad = good.clone();
            bad[at] ^= 1;
            std::fs::write(&path, &bad).unwrap();
            assert!(matches!(read(), Err(RunError::Damaged)), "byte {at}");
        }
        std::fs::write(&path, &good[..good.len() - 1]).unwrap();
        assert!(matches!(read(), Err(RunError::Damaged)));
    }
}
