//! The one strict walk over CBOR that precedes every decode.
//!
//! Why: a decoder that takes two encodings of one value lets a signature, a hash and a sort order mean two things.
//! Spec: RFC 8949 section 4.2.1, narrowed: no floats, no tags, no simple values but false, true and null. In scope: form.
//! Out of scope: what the items mean (`reader` and the modules that use it).
//!
//! The walk is one loop with a fixed stack of [`MAX_DEPTH`] frames. It allocates nothing, believes no length before the
//! bytes are there, and touches each byte a bounded number of times.
//!
//! A format that is read a million times reads and checks in one pass by [`Items`], which takes the same heads. What it
//! refuses goes through the walk, which names the fault.

use std::cmp::Ordering;
use std::convert::Infallible;
use std::fmt;

use minicbor::Encoder;

/// Arrays and maps inside one another at most. A lone integer has depth 0, `[]` has depth 1.
pub const MAX_DEPTH: usize = 8;

/// Why bytes are not canonical. `at` is the byte offset of the item at fault, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CanonicalError {
    /// The bytes end inside this item, or it claims more than is left.
    #[error("byte {at}: the item ends after the input")]
    Truncated {
        /// Offset of the item.
        at: usize,
    },
    /// An integer or a length has a shorter form.
    #[error("byte {at}: the integer or length is not in its shortest form")]
    NotShortest {
        /// Offset of the item.
        at: usize,
    },
    /// The item has no definite length, or is a break.
    #[error("byte {at}: the item has no definite length")]
    Indefinite {
        /// Offset of the item.
        at: usize,
    },
    /// The additional information is 28, 29 or 30.
    #[error("byte {at}: the initial byte is reserved")]
    Reserved {
        /// Offset of the item.
        at: usize,
    },
    /// More than [`MAX_DEPTH`] arrays and maps inside one another.
    #[error("byte {at}: nested deeper than 8")]
    Depth {
        /// Offset of the array or map that is one too deep.
        at: usize,
    },
    /// A map key sorts below the one before it.
    #[error("byte {at}: the map key is out of order")]
    KeyOrder {
        /// Offset of the key.
        at: usize,
    },
    /// A map key occurs twice.
    #[error("byte {at}: the map key occurs twice")]
    KeyRepeated {
        /// Offset of the second.
        at: usize,
    },
    /// A text is not UTF-8.
    #[error("byte {at}: the text is not UTF-8")]
    Utf8 {
        /// Offset of the text item.
        at: usize,
    },
    /// The item is tagged.
    #[error("byte {at}: tags are refused")]
    Tag {
        /// Offset of the tag.
        at: usize,
    },
    /// The item is a floating-point number.
    #[error("byte {at}: floating-point numbers are refused")]
    Float {
        /// Offset of the item.
        at: usize,
    },
    /// The item is a simple value other than false, true and null.
    #[error("byte {at}: simple values other than false, true and null are refused")]
    Simple {
        /// Offset of the item.
        at: usize,
    },
    /// Bytes follow the item.
    #[error("byte {at}: bytes follow the item")]
    Trailing {
        /// Offset of the first byte that follows.
        at: usize,
    },
}

/// Checks that `bytes` are exactly one item in canonical form. O(length), no allocation.
///
/// # Errors
/// The first fault from the left, as a [`CanonicalError`].
pub fn check(bytes: &[u8]) -> Result<(), CanonicalError> {
    match item_len(bytes)? {
        len if len == bytes.len() => Ok(()),
        len => Err(CanonicalError::Trailing { at: len }),
    }
}

/// The length in bytes of the first item, which is checked as [`check`] does. What follows is not looked at, so a CBOR
/// sequence (RFC 8742) is walked by calling this again at the end of each item.
///
/// # Errors
/// The first fault from the left; [`CanonicalError::Truncated`] at 0 if `bytes` are empty.
pub fn item_len(bytes: &[u8]) -> Result<usize, CanonicalError> {
    let mut open = [Frame::CLOSED; MAX_DEPTH];
    let mut depth = 0;
    let mut pos = 0;
    loop {
        let item = head(bytes, pos)?;
        let at = pos;
        pos = item.end;
        match item.major {
            UNSIGNED | NEGATIVE | SIMPLE => {}
            BYTES => pos = content_end(bytes, item, at)?,
            TEXT => {
                let end = content_end(bytes, item, at)?;
                if std::str::from_utf8(&bytes[pos..end]).is_err() {
                    return Err(CanonicalError::Utf8 { at });
                }
                pos = end;
            }
            ARRAY | MAP => {
                let frame = Frame::open(bytes, item, at)?;
                let slot = open.get_mut(depth).ok_or(CanonicalError::Depth { at })?;
                if frame.items_left > 0 {
                    *slot = frame;
                    depth += 1;
                    continue;
                }
            }
            _ => return Err(CanonicalError::Tag { at }),
        }
        // The item that ends here may be the last of its parent, and that of its own parent.
        while depth > 0 {
            let frame = &mut open[depth - 1];
            frame.close_item(bytes, pos)?;
            if frame.items_left > 0 {
                break;
            }
            depth -= 1;
        }
        if depth == 0 {
            return Ok(pos);
        }
    }
}

/// Reads canonical items from left to right, checking the form of each as it is read.
///
/// For a reader that knows the shape and reads every item of it. Such a reader that also compares the keys of each map has
/// checked all that [`item_len`] checks, if no read gave `None`. After a `None` it must ask [`item_len`] or [`check`],
/// which name the first fault of form, if there is one, before it says that the shape is wrong.
#[derive(Clone)]
pub struct Items<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Items<'a> {
    /// Begins with the first item. What follows the last item read is not looked at.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Offset of the next item from 0.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.at
    }

    /// The bytes from an earlier position to the next item; empty if `start` lies behind it.
    #[must_use]
    pub fn since(&self, start: usize) -> &'a [u8] {
        self.bytes.get(start..self.at).unwrap_or_default()
    }

    /// Whether the next item is a byte string, by its major type.
    #[must_use]
    pub fn at_bytes(&self) -> bool {
        self.at_major(BYTES)
    }

    /// Whether the next item is a text, by its major type.
    #[must_use]
    pub fn at_text(&self) -> bool {
        self.at_major(TEXT)
    }

    /// Reads a null; else false, and nothing is read.
    pub fn null(&mut self) -> bool {
        let null = self.bytes.get(self.at) == Some(&NULL);
        self.at += usize::from(null);
        null
    }

    /// Reads an unsigned integer.
    #[inline]
    pub fn unsigned(&mut self) -> Option<u64> {
        self.head(UNSIGNED).map(|head| head.argument)
    }

    /// Enters an array and gives the number of its items.
    #[inline]
    pub fn array(&mut self) -> Option<u64> {
        self.head(ARRAY).map(|head| head.argument)
    }

    /// Enters a map and gives the number of its pairs. That its keys ascend is for the caller to check.
    #[inline]
    pub fn map(&mut self) -> Option<u64> {
        self.head(MAP).map(|head| head.argument)
    }

    /// Reads a byte string.
    #[inline]
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        self.content(BYTES)
    }

    /// Reads a text.
    #[inline]
    pub fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.content(TEXT)?).ok()
    }

    #[inline]
    fn at_major(&self, major: u8) -> bool {
        self.bytes
            .get(self.at)
            .is_some_and(|initial| initial >> 5 == major)
    }

    #[inline]
    fn head(&mut self, major: u8) -> Option<Head> {
        let head = head(self.bytes, self.at).ok()?;
        if head.major != major {
            return None;
        }
        self.at = head.end;
        Some(head)
    }

    #[inline]
    fn content(&mut self, major: u8) -> Option<&'a [u8]> {
        let at = self.at;
        let head = self.head(major)?;
        self.at = content_end(self.bytes, head, at).ok()?;
        self.bytes.get(head.end..self.at)
    }
}

// What is read may be a fingerprint, so its bytes are never shown.
impl fmt::Debug for Items<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Items({} of {} bytes)", self.at, self.bytes.len())
    }
}

/// What an encoder hands back inside [`encode`].
pub type Written = Result<(), minicbor::encode::Error<Infallible>>;

/// Runs `write` on an empty buffer and returns what it wrote.
///
/// The encoder writes shortest forms and definite lengths. Counts and the order of map keys are the caller's.
#[must_use]
pub fn encode(write: impl FnOnce(&mut Encoder<Vec<u8>>) -> Written) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    #[expect(
        clippy::expect_used,
        reason = "writing to a Vec is Infallible, and no Encode impl of ours makes an error"
    )]
    write(&mut encoder).expect("a Vec takes every byte");
    encoder.into_writer()
}

const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const SIMPLE: u8 = 7;
/// The initial byte of null, which is all of it.
const NULL: u8 = 0xf6;

/// The initial byte of an item and its argument.
#[derive(Clone, Copy)]
struct Head {
    major: u8,
    argument: u64,
    end: usize,
}

/// Reads the head at `pos`; for major type 7 it also refuses all but false, true and null.
#[inline]
fn head(bytes: &[u8], pos: usize) -> Result<Head, CanonicalError> {
    let at = pos;
    let Some(&initial) = bytes.get(pos) else {
        return Err(CanonicalError::Truncated { at });
    };
    let (major, info) = (initial >> 5, initial & 0x1f);
    if major == SIMPLE {
        return match info {
            20..=22 => Ok(Head {
                major,
                argument: 0,
                end: pos + 1,
            }),
            25..=27 => Err(CanonicalError::Float { at }),
            28..=30 => Err(CanonicalError::Reserved { at }),
            31 => Err(CanonicalError::Indefinite { at }),
            _ => Err(CanonicalError::Simple { at }),
        };
    }
    if info < 24 {
        return Ok(Head {
            major,
            argument: u64::from(info),
            end: pos + 1,
        });
    }
    let (argument, len, least) = match info {
        24 => (
            fixed(bytes, pos).map(|b| u64::from(u8::from_be_bytes(b))),
            1,
            24,
        ),
        25 => (
            fixed(bytes, pos).map(|b| u64::from(u16::from_be_bytes(b))),
            2,
            1 << 8,
        ),
        26 => (
            fixed(bytes, pos).map(|b| u64::from(u32::from_be_bytes(b))),
            4,
            1 << 16,
        ),
        27 => (fixed(bytes, pos).map(u64::from_be_bytes), 8, 1 << 32),
        31 => return Err(CanonicalError::Indefinite { at }),
        _ => return Err(CanonicalError::Reserved { at }),
    };
    let argument = argument.ok_or(CanonicalError::Truncated { at })?;
    if argument < least {
        return Err(CanonicalError::NotShortest { at });
    }
    Ok(Head {
        major,
        argument,
        end: pos + 1 + len,
    })
}

/// The `N` bytes after the initial byte at `pos`.
#[inline]
fn fixed<const N: usize>(bytes: &[u8], pos: usize) -> Option<[u8; N]> {
    bytes[pos + 1..].first_chunk().copied()
}

/// Where the content of a byte or text string ends.
#[inline]
fn content_end(bytes: &[u8], head: Head, at: usize) -> Result<usize, CanonicalError> {
    let left = bytes.len() - head.end;
    match usize::try_from(head.argument) {
        Ok(len) if len <= left => Ok(head.end + len),
        _ => Err(CanonicalError::Truncated { at }),
    }
}

/// An array or a map whose items are being walked.
#[derive(Clone, Copy)]
struct Frame {
    /// Items still to come; a map counts its keys and its values.
    items_left: usize,
    is_map: bool,
    /// Where the item that is being walked begins.
    item_start: usize,
    /// The last key of a map, as a range of the input. Empty before the first: every key is longer.
    last_key: (usize, usize),
}

impl Frame {
    const CLOSED: Self = Self {
        items_left: 0,
        is_map: false,
        item_start: 0,
        last_key: (0, 0),
    };

    /// Every item takes a byte at least, so a count beyond the bytes that are left is refused before it is used.
    fn open(bytes: &[u8], head: Head, at: usize) -> Result<Self, CanonicalError> {
        let left = bytes.len() - head.end;
        let is_map = head.major == MAP;
        let items = usize::try_from(head.argument)
            .ok()
            .and_then(|count| count.checked_mul(if is_map { 2 } else { 1 }))
            .filter(|&items| items <= left)
            .ok_or(CanonicalError::Truncated { at })?;
        Ok(Self {
            items_left: items,
            is_map,
            item_start: head.end,
            last_key: (0, 0),
        })
    }

    /// Counts the item that ends at `end`, and compares it with the key before if it is one.
    #[inline]
    fn close_item(&mut self, bytes: &[u8], end: usize) -> Result<(), CanonicalError> {
        // A map begins with an even number of items, so an even number is left when a key ends.
        if self.is_map && self.items_left.is_multiple_of(2) {
            let at = self.item_start;
            match bytes[self.last_key.0..self.last_key.1].cmp(&bytes[at..end]) {
                Ordering::Less => self.last_key = (at, end),
                Ordering::Equal => return Err(CanonicalError::KeyRepeated { at }),
                Ordering::Greater => return Err(CanonicalError::KeyOrder { at }),
            }
        }
        self.items_left -= 1;
        self.item_start = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reads the first item, an array of integers or no container, by the method for its major type; gives where it ends.
    fn read_by_items(bytes: &[u8]) -> Option<usize> {
        let mut items = Items::new(bytes);
        match bytes.first()? >> 5 {
            UNSIGNED => items.unsigned().map(drop)?,
            BYTES => items.bytes().map(drop)?,
            TEXT => items.text().map(drop)?,
            ARRAY => (0..items.array()?).try_for_each(|_| items.unsigned().map(drop))?,
            _ => items.null().then_some(())?,
        }
        assert_eq!(items.since(0), &bytes[..items.position()]);
        Some(items.position())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_096))]
        #[test]
        fn what_items_read_the_walk_takes(initial in any::<u8>(), zeros in 0..8_usize, rest in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut bytes = vec![initial];
            bytes.resize(1 + zeros, 0);
            bytes.extend(rest);
            let walked = item_len(&bytes);
            match read_by_items(&bytes) {
                Some(end) => prop_assert_eq!(walked, Ok(end)),
                // Lone integers and strings have no shape that could be wrong.
                None if initial >> 5 == UNSIGNED || matches!(initial >> 5, BYTES | TEXT) => {
                    prop_assert!(walked.is_err());
                }
                None => {}
            }
        }
    }

    #[test]
    fn an_item_of_another_type_is_left_where_it_is() {
        let mut items = Items::new(b"\x41a\xf6");
        assert_eq!(
            (items.unsigned(), items.text(), items.map()),
            (None, None, None)
        );
        assert!(items.at_bytes() && !items.at_text() && !items.null());
        assert_eq!(items.bytes(), Some(&b"a"[..]));
        assert!(items.null() && !items.null());
        assert_eq!(items.position(), 3);
        assert_eq!(format!("{items:?}"), "Items(3 of 3 bytes)");
    }
}
