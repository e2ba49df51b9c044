//! The items of an answer, one after the other, out of bytes that may be compressed, cut, endless or a bomb.
//!
//! Why: a server decides how much it sends, and a client how much it believes. An item is held in memory one at a time, none
//! is larger than any honest one, and what is unpacked is counted by whoever reads. Spec: RFC 8742 (CBOR sequences),
//! RFC 8878 (Zstandard). In scope: bytes. Out of scope: what items mean (`item`), when it is enough (`pass`).

use std::io::{self, Read};

use super::item::{Item, ItemError, item_len};

/// Bytes that are asked for at a time.
const PIECE: usize = 64 * 1024;
/// A decoder keeps a window of 8 MiB at most, as RFC 8878 recommends; a frame that wants more is refused.
const WINDOW_LOG_MAX: u32 = 23;

/// Why a stream has no next item.
#[derive(Debug, thiserror::Error)]
pub enum StreamFault {
    /// The bytes.
    #[error(transparent)]
    Item(#[from] ItemError),
    /// It ends within an item, or before the item that says so.
    #[error("it ends before its end")]
    Truncated,
    /// The connection, or what is compressed is damaged.
    #[error("it cannot be read: {0}")]
    Read(#[source] io::Error),
}

/// A stream of items.
pub(super) struct Items {
    reader: Box<dyn Read>,
    buffer: Vec<u8>,
    /// What of the buffer was handed out.
    start: usize,
    taken: u64,
}

impl Items {
    /// The items of `reader`, which is compressed if `is_zstd`.
    pub(super) fn new(reader: impl Read + 'static, is_zstd: bool) -> io::Result<Self> {
        let reader: Box<dyn Read> = match is_zstd {
            true => {
                let mut decoder = zstd::stream::read::Decoder::new(reader)?;
                decoder.window_log_max(WINDOW_LOG_MAX)?;
                Box::new(decoder)
            }
            false => Box::new(reader),
        };
        Ok(Self {
            reader,
            buffer: Vec::new(),
            start: 0,
            taken: 0,
        })
    }

    /// Bytes of items that were handed out, after unpacking.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// The next item and its length in bytes. The stream never ends by itself: the item `end` is its end.
    pub(super) fn next(&mut self) -> Result<Item, StreamFault> {
        loop {
            let held = &self.buffer[self.start..];
            if let Some(len) = item_len(held)? {
                let item = Item::read(&held[..len])?;
                self.start += len;
                self.taken += len as u64;
                return Ok(item);
            }
            self.fill()?;
        }
    }

    /// Reads as much again as an unfinished item has, so that a long one is looked at a few times only.
    fn fill(&mut self) -> Result<(), StreamFault> {
        self.buffer.drain(..self.start);
        self.start = 0;
        let want = self.buffer.len().max(PIECE);
        let before = self.buffer.len();
        let mut piece = self.reader.by_ref().take(want as u64);
        let read = piece.read_to_end(&mut self.buffer);
        match read {
            Ok(_) if self.buffer.len() == before => Err(StreamFault::Truncated),
            Ok(_) => Ok(()),
            // What came before the fault may be whole items.
            Err(_) if self.buffer.len() > before => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(StreamFault::Truncated)
            }
            Err(error) => Err(StreamFault::Read(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::item::{Cursor, ITEM_BYTES_MAX};

    fn at(cursor: &str) -> Vec<u8> {
        let mut e = minicbor::Encoder::new(Vec::new());
        let e2 = e.map(2).unwrap().str("kind").unwrap().str("at").unwrap();
        e2.str("cursor").unwrap().str(cursor).unwrap();
        e.into_writer()
    }

    fn items(bytes: Vec<u8>, is_zstd: bool) -> Items {
        Items::new(io::Cursor::new(bytes), is_zstd).unwrap()
    }

    #[test]
    fn items_come_one_by_one_compressed_or_not() {
        let plain: Vec<u8> = ["a", "b", "c"].iter().flat_map(|c| at(c)).collect();
        let packed = zstd::encode_all(&plain[..], 3).unwrap();
        for mut items in [items(plain.clone(), false), items(packed, true)] {
            for name in ["a", "b", "c"] {
                let Item::At(cursor) = items.next().unwrap() else {
                    panic!("another item");
                };
                assert_eq!(Some(cursor), Cursor::parse(name));
            }
            assert!(matches!(items.next(), Err(StreamFault::Truncated)));
            assert_eq!(items.taken(), plain.len() as u64);
        }
    }

    #[test]
    fn truncated_zstd_gives_what_is_whole_and_then_the_fault() {
        let plain: Vec<u8> = (0..20_000).flat_map(|n| at(&format!("c{n}"))).collect();
        let packed = zstd::encode_all(&plain[..], 3).unwrap();
        let mut items = items(packed[..packed.len() / 2].to_vec(), true);
        let mut whole = 0;
        let fault = loop {
            match items.next() {
                Ok(_) => whole += 1,
                Err(fault) => break fault,
            }
        };
        assert!((1..20_000).contains(&whole), "{whole}");
        assert!(matches!(fault, StreamFault::Truncated), "{fault}");
    }

    #[test]
    fn zstd_bomb_ends_at_its_first_byte_or_at_the_bound_of_an_item() {
        // Much of nothing in a few kilobytes, were it read.
        let zeros = zstd::encode_all(io::repeat(0).take(1 << 27), 1).unwrap();
        assert!(zeros.len() < 1 << 16);
        let fault = items(zeros, true).next().err().unwrap();
        assert!(
            matches!(fault, StreamFault::Item(ItemError::Form)),
            "{fault}"
        );
        // The same behind the head of a byte string that claims it all.
        let mut claimed = vec![0x5b];
        claimed.extend_from_slice(&(1_u64 << 30).to_be_bytes());
        let packed = zstd::encode_all((&claimed[..]).chain(io::repeat(0).take(1 << 27)), 1);
        let mut items = items(packed.unwrap(), true);
        let fault = items.next().err().unwrap();
        assert!(
            matches!(fault, StreamFault::Item(ItemError::TooLarge)),
            "{fault}"
        );
        assert!(items.buffer.capacity() < 1 << 20);
    }

    #[test]
    fn frame_that_wants_a_window_of_a_gigabyte_is_refused() {
        let mut encoder = zstd::stream::read::Encoder::new(io::repeat(0xa0).take(1 << 28), 1);
        let encoder = encoder.as_mut().unwrap();
        encoder.window_log(27).unwrap();
        let mut packed = Vec::new();
        encoder.read_to_end(&mut packed).unwrap();
        let fault = items(packed, true).next().err().unwrap();
        assert!(matches!(fault, StreamFault::Read(_)), "{fault}");
    }

    #[test]
    fn item_that_never_ends_is_given_up_at_the_bound_of_an_item() {
        // An array of as many numbers as are allowed, and one more.
        let len = u32::try_from(ITEM_BYTES_MAX).unwrap();
        let head = [&[0x9a][..], &len.to_be_bytes()].concat();
        let endless = io::Cursor::new(head).chain(io::repeat(0));
        let mut items = Items::new(endless, false).unwrap();
        let fault = items.next().err().unwrap();
        assert!(
            matches!(fault, StreamFault::Item(ItemError::TooLarge)),
            "{fault}"
        );
        assert!(items.buffer.len() <= 4 * ITEM_BYTES_MAX);
    }
}
