//! Every hash of one file.

use std::io::{self, BufReader, Seek as _};
use std::path::Path;

use hashpact_protocol::fingerprint::Fingerprint;

use super::pdq::{Pdq, QUALITY_MIN};
use super::picture::{self, PictureError};
use super::{digest, folder};

/// What was computed of a file.
#[derive(Debug)]
pub struct Hashed {
    /// Its bytes.
    pub bytes: u64,
    /// MD5, SHA-1, SHA-256, and PDQ of a picture that says enough.
    pub fingerprints: Vec<Fingerprint>,
    /// Of its picture.
    pub picture: Picture,
}

/// What became of the picture in a file.
#[derive(Debug)]
pub enum Picture {
    /// It is none.
    None,
    /// It has a PDQ hash.
    Hashed,
    /// It is too flat for one: of this quality, where 50 is enough.
    Flat(u8),
    /// It is one that was not decoded.
    Fault(PictureError),
}

/// Hashes a plain file. `going_on` hears the bytes of each piece, and says false to give up.
///
/// # Errors
/// Those of opening and reading; [`io::ErrorKind::Interrupted`] if it was given up. A picture that does not decode is no
/// error: its digests stand.
pub fn hash(path: &Path, going_on: impl FnMut(u64) -> bool) -> io::Result<Hashed> {
    let (mut file, length) = folder::open(path)?;
    let digests = digest::digest(&file, going_on)?;
    file.rewind()?;
    let picture = picture::hash(BufReader::new(file), length);
    let (picture, pdq) = match picture {
        Ok(None) => (Picture::None, None),
        Ok(Some(pdq)) => judged(&pdq),
        Err(error) => (Picture::Fault(error), None),
    };
    let mut fingerprints = digests.fingerprints;
    fingerprints.extend(pdq);
    Ok(Hashed {
        bytes: digests.bytes,
        fingerprints,
        picture,
    })
}

fn judged(pdq: &Pdq) -> (Picture, Option<Fingerprint>) {
    match pdq.fingerprint() {
        Some(fingerprint) => (Picture::Hashed, Some(fingerprint)),
        // Enough quality and still almost all bits alike: as flat as can be told.
        None => (Picture::Flat(pdq.quality.min(QUALITY_MIN - 1)), None),
    }
}
