//! Encoded rows on the disk between the two passes.
//!
//! Why sealed: everything else that a node keeps of a fingerprint is sealed or a keyed hash, and a stolen disk must be no
//! hash list. The key is random and stays in memory, so a file that a crash leaves behind is noise. In scope: rows in the
//! order in which they were written. Out of scope: what they mean.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use chacha20poly1305::{AeadInOut as _, ChaCha20Poly1305, KeyInit as _, Nonce};
use zeroize::Zeroizing;

use super::row::Asked;
use crate::store::index::Key;

/// Bytes of rows that are sealed together.
const BLOCK: usize = 128 << 10;
const TAG: usize = 16;
/// Length 4, labels 2, row 5, check 5, hashes 2, what is asked 1, identity 16.
const HEAD: usize = 35;

/// What stands before the fields of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) labels: u16,
    /// The number of the row in the file, below 2^40.
    pub(super) row: u64,
    /// Content check of 40 bits.
    pub(super) check: u64,
    /// Which hashes of the profile it has that can be matched, one bit each.
    pub(super) hashes: u16,
    pub(super) asked: Asked,
    /// What tells it apart from other rows of its source; none if all are zero.
    pub(super) identity: Key,
}

/// Seals blocks under a key that no file ever holds.
#[derive(Clone)]
struct Sealer(ChaCha20Poly1305);

impl Sealer {
    fn random() -> io::Result<Self> {
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *key).map_err(io::Error::other)?;
        Ok(Self(ChaCha20Poly1305::new((&*key).into())))
    }

    /// Blocks are counted, and a key seals one file, so no nonce comes twice.
    fn nonce(block: u64) -> Nonce {
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&block.to_be_bytes());
        nonce.into()
    }
}

/// Takes rows one by one.
pub(super) struct SpoolWriter {
    path: PathBuf,
    file: File,
    sealer: Sealer,
    block: Vec<u8>,
    blocks: u64,
    rows: u64,
}

impl SpoolWriter {
    pub(super) fn create(path: PathBuf) -> io::Result<Self> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        let block = Vec::with_capacity(BLOCK + TAG + HEAD);
        Ok(Self {
            path,
            file,
            sealer: Sealer::random()?,
            block,
            blocks: 0,
            rows: 0,
        })
    }

    pub(super) fn push(&mut self, head: Head, fields: &[u8]) -> io::Result<()> {
        let length = u32::try_from(fields.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.block.extend_from_slice(&length.to_be_bytes());
        self.block.extend_from_slice(&head.labels.to_be_bytes());
        self.block.extend_from_slice(&head.row.to_be_bytes()[3..]);
        self.block.extend_from_slice(&head.check.to_be_bytes()[3..]);
        self.block.extend_from_slice(&head.hashes.to_be_bytes());
        self.block.push(u8::from(head.asked == Asked::Remove));
        self.block.extend_from_slice(&head.identity);
        self.block.extend_from_slice(fields);
        self.rows += 1;
        if self.block.len() >= BLOCK {
            self.flush()
        } else {
            Ok(())
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        let nonce = Sealer::nonce(self.blocks);
        let sealed = self.sealer.0.encrypt_in_place(&nonce, b"", &mut self.block);
        sealed.map_err(|_| io::ErrorKind::InvalidInput)?;
        let length = u32::try_from(self.block.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.file.write_all(&length.to_be_bytes())?;
        self.file.write_all(&self.block)?;
        self.block.clear();
        self.blocks += 1;
        Ok(())
    }

    pub(super) fn finish(mut self) -> io::Result<Spool> {
        if !self.block.is_empty() {
            self.flush()?;
        }
        Ok(Spool {
            path: self.path,
            sealer: self.sealer,
            blocks: self.blocks,
            rows: self.rows,
        })
    }
}

/// A finished file of rows.
pub(super) struct Spool {
    path: PathBuf,
    sealer: Sealer,
    blocks: u64,
    rows: u64,
}

impl Spool {
    /// How many rows there are.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    pub(super) fn read(&self) -> io::Result<SpoolReader<'_>> {
        let file = File::open(&self.path)?;
        Ok(SpoolReader {
            spool: self,
            file,
            block: Vec::new(),
            at: 0,
            next: 0,
        })
    }
}

/// Gives the rows back in order.
pub(super) struct SpoolReader<'a> {
    spool: &'a Spool,
    file: File,
    block: Vec<u8>,
    at: usize,
    /// The block that is read next.
    next: u64,
}

impl SpoolReader<'_> {
    /// The next row, or `None` after the last.
    pub(super) fn next_row(&mut self) -> io::Result<Option<(Head, &[u8])>> {
        if self.at == self.block.len() && !self.refill()? {
            return Ok(None);
        }
        let corrupt = || io::Error::from(io::ErrorKind::InvalidData);
        let head = self
            .block
            .get(self.at..self.at + HEAD)
            .ok_or_else(corrupt)?;
        let number = |range: std::ops::Range<usize>| {
            head[range]
                .iter()
                .fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
        };
        let length = usize::try_from(number(0..4)).map_err(|_| corrupt())?;
        let read = Head {
            labels: u16::from_be_bytes([head[4], head[5]]),
            row: number(6..11),
            check: number(11..16),
            hashes: u16::from_be_bytes([head[16], head[17]]),
            asked: match head[18] {
                0 => Asked::Add,
                _ => Asked::Remove,
            },
            identity: head[19..HEAD].try_into().map_err(|_| corrupt())?,
        };
        let start = self.at + HEAD;
        self.at = start + length;
        let fields = self.block.get(start..self.at).ok_or_else(corrupt)?;
        Ok(Some((read, fields)))
    }

    /// Leaves the rest unread.
    pub(super) fn stop(&mut self) {
        self.block.clear();
        self.at = 0;
        self.next = self.spool.blocks;
    }

    fn refill(&mut self) -> io::Result<bool> {
        self.at = 0;
        self.block.clear();
        if self.next == self.spool.blocks {
            return Ok(false);
        }
        let mut length = [0; 4];
        self.file.read_exact(&mut length)?;
        let length = u64::from(u32::from_be_bytes(length));
        let read = (&self.file).take(length).read_to_end(&mut self.block)?;
        if read as u64 != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let nonce = Sealer::nonce(self.next);
        let opened = self
            .spool
            .sealer
            .0
            .decrypt_in_place(&nonce, b"", &mut self.block);
        opened.map_err(|_| io::ErrorKind::InvalidData)?;
        self.next += 1;
        Ok(true)
    }
}
