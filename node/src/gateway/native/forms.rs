//! The two forms of a stream: lines of JSON (NDJSON) and a sequence of CBOR items (RFC 8742).
//!
//! Both say the same. In JSON bytes are standard base64, entry ids are hexadecimal, and a pack also shows its entries in
//! words; whoever verifies uses `section`. In CBOR bytes are bytes. In scope: bytes of items. Out of scope: order (`stream`).

mod cbor;
mod ndjson;

use crate::subset::{Change, Cursor};

/// How items are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Ndjson,
    Cbor,
}

/// What is stored cannot be read back: the stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a section that is stored cannot be read")]
pub(super) struct Damaged;

impl Form {
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Ndjson => "application/x-ndjson",
            Self::Cbor => "application/cbor-seq",
        }
    }

    /// Appends a change.
    pub(super) fn change(self, out: &mut Vec<u8>, change: &Change) -> Result<(), Damaged> {
        match self {
            Self::Ndjson => ndjson::change(out, change),
            Self::Cbor => {
                cbor::change(out, change);
                Ok(())
            }
        }
    }

    /// Appends where the stream can be gone on with.
    pub(super) fn at(self, out: &mut Vec<u8>, cursor: &Cursor) {
        match self {
            Self::Ndjson => ndjson::at(out, cursor),
            Self::Cbor => cbor::at(out, cursor),
        }
    }

    /// Appends the last item.
    pub(super) fn end(self, out: &mut Vec<u8>, cursor: &Cursor, more: bool) {
        match self {
            Self::Ndjson => ndjson::end(out, cursor, more),
            Self::Cbor => cbor::end(out, cursor, more),
        }
    }
}
