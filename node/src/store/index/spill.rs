//! An external sort for probes: a batch of any size is sorted with a bounded buffer and plain
//! files.
//!
//! Why: deduplication at ingest joins a whole batch against the index in one pass, and a batch may
//! be larger than memory. A run's file loses its name as soon as it is open, so a crash leaves none
//! behind; nothing is fsynced. In scope: sorting probes. Out of scope: finding repetitions among
//! them (the caller sees them side by side).

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::io::{BufReader, Seek};
use std::path::{Path, PathBuf};

use super::join::Probe;
use super::merge::Merged;
use super::row::array_at;
use crate::store::durable::{TEMPORARY_PREFIX, random_u64};

/// A buffer for most purposes: 16 MiB, some 700,000 probes.
pub const BUFFER_BYTES: usize = 16 << 20;

/// Runs on the disk before they are merged into one: each is an open file and a read buffer.
const MAX_RUNS: usize = 64;
/// Bytes read or written at once on each run.
const RUN_BUFFER: usize = 128 << 10;
const PROBE_LEN: usize = 24;

/// Collects probes in any order and gives them back sorted.
#[derive(Debug)]
pub struct SpillRuns {
    staging: PathBuf,
    capacity: usize,
    buffer: Vec<Probe>,
    runs: Vec<File>,
    len: u64,
}

impl SpillRuns {
    /// Spills into the folder `staging` whenever `buffer_bytes` of memory are full;
    /// [`BUFFER_BYTES`] suits most callers.
    #[must_use]
    pub fn new(staging: &Path, buffer_bytes: usize) -> Self {
        let capacity = (buffer_bytes / size_of::<Probe>()).max(1);
        Self {
            staging: staging.to_owned(),
            capacity,
            buffer: Vec::with_capacity(capacity),
            runs: Vec::new(),
            len: 0,
        }
    }

    /// Adds `probe`.
    ///
    /// # Errors
    /// Those of writing a run.
    pub fn push(&mut self, probe: Probe) -> io::Result<()> {
        if self.buffer.len() == self.capacity {
            self.spill()?;
        }
        self.buffer.push(probe);
        self.len += 1;
        Ok(())
    }

    /// How many probes were pushed.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether none was.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All probes, ascending by key, then tag; equal ones are all there, side by side.
    ///
    /// # Errors
    /// Those of reading a run.
    pub fn finish(mut self) -> io::Result<SortedProbes> {
        self.buffer.sort_unstable();
        let mut sources = readers(std::mem::take(&mut self.runs))?;
        sources.push(Source::Memory(std::mem::take(&mut self.buffer).into_iter()));
        Ok(SortedProbes {
            merged: Merged::new(sources)?,
            left: self.len,
        })
    }

    fn spill(&mut self) -> io::Result<()> {
        self.buffer.sort_unstable();
        let sorted = self.buffer.drain(..).map(Ok);
        let run = write_run(&self.staging, sorted)?;
        self.runs.push(run);
        if self.runs.len() == MAX_RUNS {
            let merged = Merged::new(readers(std::mem::take(&mut self.runs))?)?;
            self.runs.push(write_run(&self.staging, merged)?);
        }
        Ok(())
    }
}

/// What a [`SpillRuns`] sorted. After an error it yields no more.
#[derive(Debug)]
pub struct SortedProbes {
    merged: Merged<Probe, Source>,
    left: u64,
}

impl SortedProbes {
    /// How many probes are still to come.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.left
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.left == 0
    }
}

impl Iterator for SortedProbes {
    type Item = io::Result<Probe>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.merged.next()?;
        self.left = self.left.saturating_sub(1);
        Some(item)
    }
}

#[derive(Debug)]
enum Source {
    Memory(std::vec::IntoIter<Probe>),
    Run(BufReader<File>, u64),
}

impl Iterator for Source {
    type Item = io::Result<Probe>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Source::Memory(probes) => probes.next().map(Ok),
            Source::Run(_, 0) => None,
            Source::Run(reader, left) => {
                *left -= 1;
                let mut bytes = [0; PROBE_LEN];
                let read = reader.read_exact(&mut bytes);
                Some(read.map(|()| Probe {
                    key: array_at(&bytes, 0),
                    tag: u64::from_be_bytes(array_at(&bytes, 16)),
                }))
            }
        }
    }
}

fn readers(runs: Vec<File>) -> io::Result<Vec<Source>> {
    runs.into_iter()
        .map(|mut run| {
            let probes = run.stream_position()? / PROBE_LEN as u64;
            run.rewind()?;
            Ok(Source::Run(
                BufReader::with_capacity(RUN_BUFFER, run),
                probes,
            ))
        })
        .collect()
}

/// Writes a run; its file stands at its end.
fn write_run(staging: &Path, sorted: impl Iterator<Item = io::Result<Probe>>) -> io::Result<File> {
    let path = staging.join(format!("{TEMPORARY_PREFIX}run-{:016x}", random_u64()?));
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)?;
    fs::remove_file(&path)?;
    let mut writer = BufWriter::with_capacity(RUN_BUFFER, file);
    for probe in sorted {
        let probe = probe?;
        writer.write_all(&probe.key)?;
        writer.write_all(&probe.tag.to_be_bytes())?;
    }
    writer.into_inner().map_err(io::IntoInnerError::into_error)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn probe(n: u64) -> Probe {
        Probe {
            key: *blake3::hash(&(n % 1000).to_be_bytes())
                .as_bytes()
                .first_chunk()
                .unwrap(),
            tag: n,
        }
    }

    fn sorted(mut probes: Vec<Probe>) -> Vec<Probe> {
        probes.sort_unstable_by_key(|probe| (probe.key, probe.tag));
        probes
    }

    fn through(probes: &[Probe], buffer_bytes: usize) -> Vec<Probe> {
        let staging = tempfile::tempdir().unwrap();
        let mut runs = SpillRuns::new(staging.path(), buffer_bytes);
        for probe in probes {
            runs.push(*probe).unwrap();
        }
        assert!(runs.runs.len() < MAX_RUNS);
        let out = runs.finish().unwrap();
        assert_eq!(out.len(), probes.len() as u64);
        // The files are open and yet no name is left to clean up after a crash.
        assert_eq!(fs::read_dir(staging.path()).unwrap().count(), 0);
        out.map(Result::unwrap).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn spilling_sorts_as_memory_does(numbers in prop::collection::vec(0_u64..500, 0..400), buffer in 0_usize..2000) {
            let probes: Vec<Probe> = numbers.into_iter().map(probe).collect();
            prop_assert!(through(&probes, buffer) == sorted(probes));
        }
    }

    #[test]
    fn more_runs_than_may_be_open_are_merged_on_the_way() {
        let probes: Vec<Probe> = (0..5000).map(probe).collect();
        // 10 probes a run: 500 runs if none were merged.
        assert!(through(&probes, 10 * size_of::<Probe>()) == sorted(probes));
    }
}
