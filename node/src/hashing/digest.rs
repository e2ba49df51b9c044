//! MD5, SHA-1 and SHA-256 of a file, in one pass and bounded memory.

use std::io::{self, Read};

use hashpact_protocol::fingerprint::{Algorithm, Fingerprint, FingerprintError};
use md5::{Digest as _, Md5};
use sha1::Sha1;
use sha2::Sha256;

/// Bytes read at once.
const PIECE_BYTES: usize = 256 * 1024;

/// The digests of one file. No derived Debug beyond that of [`Fingerprint`], which shows no byte.
#[derive(Debug)]
pub struct Digests {
    /// Bytes of the file.
    pub bytes: u64,
    /// MD5, SHA-1 and SHA-256, but for those of files that no list may hold, such as the empty one.
    pub fingerprints: Vec<Fingerprint>,
}

/// Reads to the end. `going_on` hears the bytes of each piece, and says false to give up.
///
/// # Errors
/// Those of reading; [`io::ErrorKind::Interrupted`] if it was given up.
pub fn digest(mut from: impl Read, mut going_on: impl FnMut(u64) -> bool) -> io::Result<Digests> {
    let (mut md5, mut sha1, mut sha256) = (Md5::new(), Sha1::new(), Sha256::new());
    let mut piece = vec![0; PIECE_BYTES];
    let mut bytes = 0;
    loop {
        let got = match from.read(&mut piece) {
            Ok(0) => break,
            Ok(got) => got,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let part = piece.get(..got).unwrap_or_default();
        md5.update(part);
        sha1.update(part);
        sha256.update(part);
        bytes += got as u64;
        if !going_on(got as u64) {
            return Err(io::ErrorKind::Interrupted.into());
        }
    }
    let values: [(Algorithm, &[u8]); 3] = [
        (Algorithm::Md5, &md5.finalize()),
        (Algorithm::Sha1, &sha1.finalize()),
        (Algorithm::Sha256, &sha256.finalize()),
    ];
    let mut fingerprints = Vec::with_capacity(values.len());
    for (algorithm, value) in values {
        match Fingerprint::new(algorithm, value) {
            Ok(fingerprint) => fingerprints.push(fingerprint),
            Err(FingerprintError::Guarded { .. } | FingerprintError::LowInformation { .. }) => {}
            Err(error) => return Err(io::Error::other(error)),
        }
    }
    Ok(Digests {
        bytes,
        fingerprints,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex_of(content: &[u8]) -> Vec<String> {
        let digests = digest(content, |_| true).unwrap();
        assert_eq!(digests.bytes, content.len() as u64);
        let values = digests.fingerprints.iter();
        values.map(|it| hex::encode(it.bytes())).collect()
    }

    /// RFC 1321 and FIPS 180, "abc" and a million of "a".
    #[test]
    fn digests_are_those_of_the_standards() {
        assert_eq!(
            hex_of(b"abc"),
            [
                "900150983cd24fb0d6963f7d28e17f72",
                "a9993e364706816aba3e25717850c26c9cd0d89d",
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            ]
        );
        assert_eq!(
            hex_of(&vec![b'a'; 1_000_000]),
            [
                "7707d6ae4e027c70eea2a935c2296f21",
                "34aa973cd4c4daa4f61eeb2bdbad27316534016f",
                "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
            ]
        );
    }

    #[test]
    fn the_empty_file_has_no_fingerprint() {
        assert!(hex_of(b"").is_empty());
    }

    #[test]
    fn a_file_without_end_is_given_up_when_nobody_waits() {
        let mut read = 0;
        let error = digest(io::repeat(7), |got| {
            read += got;
            read < 10_000_000
        });
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::Interrupted);
        assert!(read < 11_000_000);
    }
}
