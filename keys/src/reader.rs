//! A strict reader of canonical CBOR with a fixed shape.
//!
//! Why: each format of this project is an array of known length with known types; this reads it field by field and says
//! where it departs from it. Spec: RFC 8949. In scope: shape. Out of scope: canonical form, which [`Reader::new`] has
//! checked by `canonical` before the first field is read.

use std::fmt;

use minicbor::Decoder;
use minicbor::data::Type;

use crate::canonical::{self, CanonicalError};

/// An item is not what the format says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("byte {at}: expected {expected}")]
pub struct ShapeError {
    /// Byte offset of the item from 0.
    pub at: usize,
    /// What the format says.
    pub expected: &'static str,
}

/// Why bytes could not be opened or read: their form or their shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Not canonical CBOR.
    #[error("not canonical CBOR")]
    Canonical(#[from] CanonicalError),
    /// Canonical, but not of this format.
    #[error("not of this format")]
    Shape(#[from] ShapeError),
}

/// Reads one canonical item from left to right.
#[derive(Clone)]
pub struct Reader<'a> {
    decoder: Decoder<'a>,
}

// What is read may be a fingerprint, so its bytes are never shown.
impl fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Reader({} of {} bytes)",
            self.position(),
            self.decoder.input().len()
        )
    }
}

impl<'a> Reader<'a> {
    /// Checks that `bytes` are exactly one canonical item.
    ///
    /// # Errors
    /// As [`canonical::check`].
    pub fn new(bytes: &'a [u8]) -> Result<Self, CanonicalError> {
        canonical::check(bytes)?;
        Ok(Self {
            decoder: Decoder::new(bytes),
        })
    }

    /// Offset of the next item from 0.
    #[must_use]
    pub fn position(&self) -> usize {
        self.decoder.position()
    }

    /// Enters an array of exactly `len` items.
    ///
    /// # Errors
    /// [`ShapeError`] if the next item is anything else.
    pub fn array(&mut self, len: u64) -> Result<(), ShapeError> {
        self.read("an array of fixed length", |d| {
            d.array().ok().flatten().filter(|&got| got == len).map(drop)
        })
    }

    /// Enters an array of at most `max` items and returns their number.
    ///
    /// # Errors
    /// [`ShapeError`] if the next item is no array, or a longer one.
    pub fn list(&mut self, max: usize) -> Result<usize, ShapeError> {
        let in_bounds = |got| usize::try_from(got).ok().filter(|&got| got <= max);
        self.read("an array within its limit", |d| {
            d.array().ok().flatten().and_then(in_bounds)
        })
    }

    /// Enters a map of exactly `len` pairs.
    ///
    /// # Errors
    /// [`ShapeError`] if the next item is anything else.
    pub fn map(&mut self, len: u64) -> Result<(), ShapeError> {
        self.read("a map of fixed length", |d| {
            d.map().ok().flatten().filter(|&got| got == len).map(drop)
        })
    }

    /// An unsigned integer.
    ///
    /// # Errors
    /// [`ShapeError`] if the next item is anything else.
    pub fn u64(&mut self) -> Result<u64, ShapeError> {
        self.read("an unsigned integer", |d| d.u64().ok())
    }

    /// An unsigned integer below 2^32.
    ///
    /// # Errors
    /// [`ShapeError`] if the next item is anything else.
    pub fn u32(&mut self) -> Result<u32, ShapeError> {
        self.read("an unsigned integer below 2^32", |d| d.u32().ok())
    }

    /// An unsigned integer below 2^16.
    ///
    /// # Errors
    /// [`ShapeError`] if the next item is anything else.
    pub fn u16(&mut self) -> Result<u16, ShapeError> {
        self.read("an unsigned integer below 2^16", |d| d.u16().ok())
    }

    /// An unsigned integer below 2^8.
    ///
    /// # Errors
    /// [`ShapeError`] if the next item is anything else.
    pub fn u8(&mut self) -> Result<u8, ShapeError> {
        self.read("an unsigned integer below 2^8", |d| d.u8().ok())
    }

    /// A signed integer.
    ///
    /// # Errors
    /// [`ShapeError`] if the next item is anything else.
    pub fn i64(&mut self) -> Result<i64, ShapeError> {
        self.read("a signed integer", |d| d.i64().ok())
    }

    /// A boolean.
    ///
    /// # Errors
    /// [`ShapeError`] if the next item is anything else.
    pub fn bool(&mut self) -> Result<bool, ShapeError> {
        self.read("a boolean", |d| d.bool().ok())
    }

    /// A byte string of any length.
    ///
    /// # Errors
    /// [`ShapeError`] if the next item is anything else.
    pub fn bytes(&mut self) -> Result<&'a [u8], ShapeError> {
        self.read("a byte string", |d| d.bytes().ok())
    }

    /// A byte string of exactly `N` bytes.
    ///
    /// # Errors
    /// [`ShapeError`] if the next item is anything else.
    pub fn fixed<const N: usize>(&mut self) -> Result<&'a [u8; N], ShapeError> {
        self.read("a byte string of fixed length", |d| {
            d.bytes().ok().and_then(|bytes| bytes.try_into().ok())
        })
    }

    /// A text.
    ///
    /// # Errors
    /// [`ShapeError`] if the next item is anything else.
    pub fn text(&mut self) -> Result<&'a str, ShapeError> {
        self.read("a text", |d| d.str().ok())
    }

    /// Nothing if the next item is null, which is then consumed; else what `read` makes of it.
    ///
    /// # Errors
    /// As `read`, and [`ShapeError`] at the end of the input.
    pub fn optional<T, E: From<ShapeError>>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<Option<T>, E> {
        let next = self.read("an item or null", |d| d.datatype().ok())?;
        if next == Type::Null {
            return Ok(self.read("null", |d| d.null().ok()).map(|()| None)?);
        }
        read(self).map(Some)
    }

    /// A refusal of the item that begins at `at`, for a caller whose own check failed.
    #[must_use]
    pub const fn refuse(at: usize, expected: &'static str) -> ShapeError {
        ShapeError { at, expected }
    }

    fn read<T>(
        &mut self,
        expected: &'static str,
        read: impl FnOnce(&mut Decoder<'a>) -> Option<T>,
    ) -> Result<T, ShapeError> {
        let at = self.decoder.position();
        read(&mut self.decoder).ok_or(ShapeError { at, expected })
    }
}
