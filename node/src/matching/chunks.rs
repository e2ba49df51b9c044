//! The chunks of a published segment, as they are sent: one file for its tags, one for its labels.
//!
//! Layout, integers big-endian: `"HPMC1\0\0\0"`, the number of chunks `u32`, the length of each `u32`, the chunks. What is in
//! them is bound by the root in the manifest, so nothing is hashed here. In scope: reading one chunk. Out of scope: what a
//! chunk says (`hashpact_protocol::psi`).

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use hashpact_protocol::limits;

use crate::store::durable::{Steps, Writer};

const MAGIC: &[u8; 8] = b"HPMC1\0\0\0";
const HEAD: usize = 12;
/// Bytes written at once.
const BATCH: usize = 1 << 20;

/// Writes chunks as the file `path`: durable when it returns.
pub(super) fn write_chunks(path: &Path, chunks: &[Vec<u8>], steps: &Steps) -> io::Result<()> {
    let number = |len: usize| u32::try_from(len).map_err(|_| io::ErrorKind::InvalidInput);
    let mut batch = MAGIC.to_vec();
    batch.extend_from_slice(&number(chunks.len())?.to_be_bytes());
    for chunk in chunks {
        batch.extend_from_slice(&number(chunk.len())?.to_be_bytes());
    }
    let mut writer = Writer::create(path, steps)?;
    for chunk in chunks {
        batch.extend_from_slice(chunk);
        if batch.len() >= BATCH {
            writer.write_all(&batch)?;
            batch.clear();
        }
    }
    if !batch.is_empty() {
        writer.write_all(&batch)?;
    }
    writer.finish()
}

/// A file of chunks, open for reading.
pub(crate) struct ChunkFile {
    file: File,
    /// Where each chunk ends.
    ends: Vec<u64>,
    begin: u64,
}

impl ChunkFile {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let mut head = [0; HEAD];
        file.read_exact_at(&mut head, 0)?;
        let damaged = || io::Error::from(io::ErrorKind::InvalidData);
        let (magic, count) = head.split_at(MAGIC.len());
        let count: [u8; 4] = count.try_into().map_err(|_| damaged())?;
        let count = u64::from(u32::from_be_bytes(count));
        let begin = HEAD as u64 + 4 * count;
        let length = file.metadata()?.len();
        if magic != MAGIC || begin > length {
            return Err(damaged());
        }
        let mut lengths = vec![0; usize::try_from(4 * count).map_err(|_| damaged())?];
        file.read_exact_at(&mut lengths, HEAD as u64)?;
        let mut end = begin;
        let (lengths, _) = lengths.as_chunks::<4>();
        let mut ends = Vec::with_capacity(lengths.len());
        for len in lengths {
            let len = u32::from_be_bytes(*len);
            if usize::try_from(len).map_or(true, |len| len > limits::MATCH_CHUNK_BYTES) {
                return Err(damaged());
            }
            end += u64::from(len);
            ends.push(end);
        }
        if end != length {
            return Err(damaged());
        }
        Ok(Self { file, ends, begin })
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// One chunk; `None` beyond the last.
    pub(crate) fn chunk(&self, index: usize) -> io::Result<Option<Vec<u8>>> {
        let Some(end) = self.ends.get(index).copied() else {
            return Ok(None);
        };
        let before = index.checked_sub(1).and_then(|at| self.ends.get(at));
        let from = before.copied().unwrap_or(self.begin);
        let len = usize::try_from(end - from).map_err(|_| io::ErrorKind::InvalidData)?;
        let mut bytes = vec![0; len];
        self.file.read_exact_at(&mut bytes, from)?;
        Ok(Some(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_come_back_and_none_beyond_the_last() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("1.tags");
        let max = limits::MATCH_CHUNK_BYTES;
        let chunks: Vec<Vec<u8>> = (0..40).map(|n| vec![n; max - usize::from(n)]).collect();
        write_chunks(&path, &chunks, &Steps::default()).unwrap();
        let file = ChunkFile::open(&path).unwrap();
        assert_eq!(file.len(), 40);
        for (index, chunk) in chunks.iter().enumerate() {
            assert!(file.chunk(index).unwrap().as_ref() == Some(chunk));
        }
        for index in [40, usize::MAX] {
            assert!(file.chunk(index).unwrap().is_none());
        }
        write_chunks(&path, &[], &Steps::default()).unwrap();
        assert_eq!(ChunkFile::open(&path).unwrap().len(), 0);
    }

    #[test]
    fn a_cut_file_does_not_open() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("1.tags");
        write_chunks(&path, &[vec![1; 10], vec![2; 20]], &Steps::default()).unwrap();
        let good = std::fs::read(&path).unwrap();
        for len in 0..good.len() {
            std::fs::write(&path, &good[..len]).unwrap();
            assert!(ChunkFile::open(&path).is_err(), "{len} bytes");
        }
    }
}
