//! The rows of one segment in order, read ahead.
//!
//! Why apart from `segment`: a look-up, a merge, a join and the checksum all read rows in order,
//! and differ only in where they begin and how much they read at once. In scope: reading on,
//! skipping ahead. Out of scope: finding the beginning (`segment`).

use std::io;
use std::ops::Deref;

use super::row::{Key, ROW_LEN, Row, array_at};
use super::segment::{Located, Segment, WINDOW_ROWS, key_at};

/// Rows in order, read ahead. After an error it yields no more.
pub struct Rows<S> {
    segment: S,
    /// The row that the next read begins with.
    next: u64,
    buffer: Vec<u8>,
    at: usize,
    chunk: usize,
    hasher: Option<Box<blake3::Hasher>>,
}

impl<S: Deref<Target = Segment>> Rows<S> {
    /// From the first row on, `chunk` rows a read.
    pub(super) fn all(segment: S, chunk: usize) -> Self {
        Self {
            segment,
            next: 0,
            buffer: Vec::new(),
            at: 0,
            chunk,
            hasher: None,
        }
    }

    /// As [`Rows::all`]; the last item is an error if the bytes read were not those written.
    pub(super) fn checked(segment: S, chunk: usize) -> Self {
        Self {
            hasher: Some(Box::new(blake3::Hasher::new())),
            ..Self::all(segment, chunk)
        }
    }

    /// From the first row on whose key is not below `key`; the caller stops at another key.
    pub(super) fn of_key(segment: S, key: &Key) -> io::Result<Self> {
        let Located {
            next, window, at, ..
        } = segment.locate(key)?;
        Ok(Self {
            segment,
            next,
            buffer: window,
            at,
            chunk: WINDOW_ROWS,
            hasher: None,
        })
    }

    /// Skips rows whose key is below `key`.
    pub(super) fn skip_to(&mut self, key: &Key) -> io::Result<()> {
        loop {
            self.at = first_not_below(&self.buffer, self.at, key);
            if self.at < self.buffer.len() || !self.refill()? {
                return Ok(());
            }
        }
    }

    /// The next row if it has `key`; another one stays where it is.
    pub(super) fn next_of(&mut self, key: &Key) -> io::Result<Option<Row>> {
        if self.at == self.buffer.len() && !self.refill()? {
            return Ok(None);
        }
        let row = Row::from_bytes(&array_at(&self.buffer, self.at));
        if row.key != *key {
            return Ok(None);
        }
        self.at += ROW_LEN;
        Ok(Some(row))
    }

    /// Reads the next chunk; false at the end. An error puts the reader at its end.
    fn refill(&mut self) -> io::Result<bool> {
        let start = std::mem::replace(&mut self.next, self.segment.len());
        self.at = 0;
        self.buffer.clear();
        if start < self.segment.len() {
            let read = self.segment.read_rows(start, self.chunk, &mut self.buffer);
            if let Err(error) = read {
                self.buffer.clear();
                self.hasher = None;
                return Err(error);
            }
            self.next = start + (self.buffer.len() / ROW_LEN) as u64;
            if let Some(hasher) = &mut self.hasher {
                hasher.update(&self.buffer);
            }
            return Ok(true);
        }
        match self.hasher.take().map(|hasher| self.segment.check(*hasher)) {
            None | Some(Ok(())) => Ok(false),
            Some(Err(error)) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        }
    }
}

impl<S: Deref<Target = Segment>> Iterator for Rows<S> {
    type Item = io::Result<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at == self.buffer.len() {
            match self.refill() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
        let row = Row::from_bytes(&array_at(&self.buffer, self.at));
        self.at += ROW_LEN;
        Some(Ok(row))
    }
}

/// Byte offset of the first row from `at` on whose key is not below `key`: doubling strides, then
/// bisection, as targets are near.
pub(super) fn first_not_below(rows: &[u8], at: usize, key: &Key) -> usize {
    let count = (rows.len() - at) / ROW_LEN;
    let below = |index: usize| key_at(rows, at + index * ROW_LEN) < *key;
    let (mut low, mut stride) = (0, 1);
    while low + stride <= count && below(low + stride - 1) {
        low += stride;
        stride *= 2;
    }
    let mut high = count.min(low + stride);
    while low < high {
        let middle = low + (high - low) / 2;
        if below(middle) {
            low = middle + 1
        } else {
            high = middle
        }
    }
    at + low * ROW_LEN
}
