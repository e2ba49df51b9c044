//! Why a body is not written, read or rewritten: one enum each. None holds a byte of a body or a
//! key.

use std::io;

use super::{SECTION_LEN_MAX, SECTIONS_MAX};

/// Why a body was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteBodyError {
    /// The disk or the random source failed.
    #[error("writing a body")]
    Io(#[from] io::Error),
    /// More sections than a body may have.
    #[error("sections: at most {SECTIONS_MAX}, got {got}")]
    Sections {
        /// Sections given.
        got: usize,
    },
    /// A class that is above [`RETRACTIONS`](super::RETRACTIONS) or not above the class before it.
    #[error("section {index}: class {class} is out of order or range")]
    Class {
        /// Which section, from 0.
        index: usize,
        /// Its class.
        class: u32,
    },
    /// A section longer than [`SECTION_LEN_MAX`](super::SECTION_LEN_MAX).
    #[error("class {class}: at most {SECTION_LEN_MAX} bytes, got {got}")]
    Length {
        /// Which section.
        class: u32,
        /// Its bytes.
        got: usize,
    },
    /// A section whose offset and length go beyond 32 bits, or into another section.
    #[error("class {class}: no room at its offset")]
    Offset {
        /// Which section.
        class: u32,
    },
}

/// Why a body, or a section of it, cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SealedError {
    /// The disk failed.
    #[error("reading a body")]
    Io(#[from] io::Error),
    /// The file does not begin with a table of this version, in order and within its bounds.
    #[error("body header is malformed")]
    BadHeader,
    /// The file is not as long as its header says.
    #[error("body length: expected {expected} bytes, got {got}")]
    Length {
        /// The header's sum; the shortest possible so far if the header itself is cut.
        expected: u64,
        /// Bytes in the file.
        got: u64,
    },
    /// The table was not sealed under this key for this identity, or was changed since.
    #[error("body table: wrong key, wrong identity, or tampered with")]
    Table,
    /// A data key was not wrapped under this key for this place, or was changed since.
    #[error("data key of class {class}: wrong key or tampered with")]
    DataKey {
        /// Which section.
        class: u32,
    },
    /// A block is not the one that was sealed in this place.
    #[error("class {class}, block {block}: tampered with")]
    Block {
        /// Which section.
        class: u32,
        /// Which block of it, from 0.
        block: u32,
    },
    /// The body has no such section.
    #[error("body has no section of class {class}")]
    NoSection {
        /// The class asked for.
        class: u32,
    },
    /// An offset behind every section.
    #[error("offset {offset} is behind every section")]
    Offset {
        /// The offset.
        offset: u32,
    },
    /// A range reaches beyond its section.
    #[error("class {class}: {len} bytes at {offset} are not in a section of {have}")]
    Range {
        /// Which section.
        class: u32,
        /// Where the range begins.
        offset: u64,
        /// How long it is.
        len: u64,
        /// How long the section is.
        have: u32,
    },
}

/// Why a body was not rewritten.
#[derive(Debug, thiserror::Error)]
pub enum RewriteBodyError {
    /// The old file could not be read.
    #[error(transparent)]
    Read(#[from] SealedError),
    /// The new file could not be written.
    #[error(transparent)]
    Write(#[from] WriteBodyError),
    /// The disk failed.
    #[error("rewriting a body")]
    Io(#[from] io::Error),
}
