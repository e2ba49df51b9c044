//! The marker of a witness's state: that there is one, whose it is, and which logs have a file.
//!
//! ```text
//! hashpact-witness-state-v1
//! <verifier key of the witness>
//! <SHA-256 of an origin line, in hexadecimal>, one line for each log that was begun
//! ```
//!
//! Why: see `state`. In scope: reading and writing it. Out of scope: what a missing one means.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::Path;

use hashpact_protocol::log::VerifierKey;

use super::state::{StateError, io_fault};
use crate::store::durable::{self, Steps};

const MARKER: &str = "witness-state";
const FORMAT: &str = "hashpact-witness-state-v1";
/// A marker names as many logs as fit: some 15,000.
const MARKER_BYTES: u64 = 1024 * 1024;

/// SHA-256 of an origin line.
pub(super) type OriginHash = [u8; 32];

/// Writes the marker of a folder: whose state it is, and the logs that were begun.
pub(super) fn write(
    folder: &Path,
    key: &VerifierKey,
    begun: &BTreeSet<OriginHash>,
    steps: &Steps,
) -> io::Result<()> {
    let mut text = format!("{FORMAT}\n{key}\n");
    for hash in begun {
        text.push_str(&hex::encode(hash));
        text.push('\n');
    }
    durable::write_new(&folder.join(MARKER), &[text.as_bytes()], steps)
}

/// The logs that the marker names, if it is of this key.
pub(super) fn of(folder: &Path, key: &VerifierKey) -> Result<BTreeSet<OriginHash>, StateError> {
    let (got, begun) = read(folder)?;
    match got == *key {
        true => Ok(begun),
        false => Err(StateError::OtherKey {
            path: folder.to_owned(),
            expected: key.to_string(),
            got: got.to_string(),
        }),
    }
}

/// Whose state a folder is, and the logs that its marker names.
pub(super) fn read(folder: &Path) -> Result<(VerifierKey, BTreeSet<OriginHash>), StateError> {
    let path = || folder.to_owned();
    let text = match read_bounded(&folder.join(MARKER), MARKER_BYTES) {
        Ok(Some(bytes)) => String::from_utf8(bytes),
        Ok(None) => return Err(StateError::Marker { path: path() }),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(StateError::Lost { path: path() });
        }
        Err(source) => return Err(io_fault(&folder.join(MARKER), source)),
    };
    let damaged = || StateError::Marker { path: path() };
    let text = text.map_err(|_| damaged())?;
    let mut lines = text.strip_suffix('\n').ok_or_else(damaged)?.split('\n');
    if lines.next() != Some(FORMAT) {
        return Err(damaged());
    }
    let key: VerifierKey = lines
        .next()
        .and_then(|line| line.parse().ok())
        .ok_or_else(damaged)?;
    let hashes = lines.map(|line| parse_hash(line).ok_or_else(damaged));
    Ok((key, hashes.collect::<Result<_, _>>()?))
}

/// An origin hash in its one spelling.
pub(super) fn parse_hash(text: &str) -> Option<OriginHash> {
    let mut hash = OriginHash::default();
    hex::decode_to_slice(text, &mut hash).ok()?;
    (hex::encode(hash) == text).then_some(hash)
}

/// A whole file, or nothing if it is longer than `max`.
pub(super) fn read_bounded(path: &Path, max: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(max + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= max).then_some(bytes))
}
