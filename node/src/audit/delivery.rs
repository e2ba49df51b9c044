//! What a centre tells an auditor of delivery: who has not applied its retractions, as a file.
//!
//! Why the centre's word: what others have applied stands in no log, so nothing else can show it, and the report says so. The
//! file names centres and members, and no entry. In scope: reading such files. Out of scope: making them (`cli`).

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use super::result::DeliveryResult;

/// Bytes of a file that are read: a hundred thousand members.
const FILE_LEN: u64 = 16 << 20;

/// Reads what `hashpact audit export-delivery` wrote, of this network.
///
/// # Errors
/// With the file's name: that it cannot be read, is none, or is of another network.
pub fn read(path: &Path, network: &str) -> io::Result<DeliveryResult> {
    let named = |kind, why: &dyn std::fmt::Display| {
        io::Error::new(kind, format!("{}: {why}", path.display()))
    };
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(FILE_LEN + 1).read_to_end(&mut bytes));
    read.map_err(|error| named(error.kind(), &error))?;
    let invalid = io::ErrorKind::InvalidData;
    if bytes.len() as u64 > FILE_LEN {
        return Err(named(invalid, &"longer than such a file is"));
    }
    let read: DeliveryResult =
        serde_json::from_slice(&bytes).map_err(|error| named(invalid, &error))?;
    match read.network == network {
        true => Ok(read),
        false => Err(named(invalid, &"of another network")),
    }
}
