//! Values that must never be shared: digests of trivial files, constants, perceptual hashes without information.
//!
//! Why: one empty-file digest in a list flags every empty file of the world. The same check stands at every door: ingest,
//! receipt from a peer, look-up. Spec: `docs/protocol.md`, "Guard"; the digests are those of the empty file, of one line
//! feed and of one zero byte. Out of scope: larger warning lists (a node's configuration).

use crate::fingerprint::{Algorithm, FingerprintError};

/// Digests of three trivial files, as hexadecimal: MD5, SHA-1, SHA-256.
const TRIVIAL: [(&str, [&str; 3]); 3] = [
    (
        "the empty file",
        [
            "d41d8cd98f00b204e9800998ecf8427e",
            "da39a3ee5e6b4b0d3255bfef95601890afd80709",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ],
    ),
    (
        "one line feed",
        [
            "68b329da9893e34099c7d8ad5cb9c940",
            "adc83b19e793491b1c6ea0fd8b46cd9f32e592fc",
            "01ba4719c80b6fe911b091a7c05124b64eeece964e09c058ef8f9805daca546b",
        ],
    ),
    (
        "one zero byte",
        [
            "93b885adfe0da089cdf634904fd59f71",
            "5ba93c9db0cff93f52b521d7420e43f6eda2784f",
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        ],
    ),
];

/// Bits set that a PDQ hash has at least and at most: 1,517 measured ones lay within 112 to 142, and a random string
/// falls outside 96 to 160 once in 22,500.
const PDQ_BITS: std::ops::RangeInclusive<u32> = 96..=160;

/// Refuses a value that must never be shared.
///
/// # Errors
/// [`FingerprintError::Guarded`] or [`FingerprintError::LowInformation`].
pub fn check(algorithm: &Algorithm, bytes: &[u8]) -> Result<(), FingerprintError> {
    if bytes.iter().all(|b| *b == 0) {
        return Err(FingerprintError::Guarded { what: "all zeros" });
    }
    if bytes.iter().all(|b| *b == 0xff) {
        return Err(FingerprintError::Guarded { what: "all ones" });
    }
    match algorithm {
        Algorithm::Md5 => trivial(0, bytes),
        Algorithm::Sha1 => trivial(1, bytes),
        Algorithm::Sha256 => trivial(2, bytes),
        Algorithm::Pdq => {
            let bits = bytes.iter().map(|b| b.count_ones()).sum();
            if PDQ_BITS.contains(&bits) {
                Ok(())
            } else {
                Err(FingerprintError::LowInformation { bits })
            }
        }
        Algorithm::Blake3 | Algorithm::PhotoDna | Algorithm::Other(_) => Ok(()),
    }
}

fn trivial(column: usize, bytes: &[u8]) -> Result<(), FingerprintError> {
    for (what, digests) in &TRIVIAL {
        if is_hex_of(digests[column], bytes) {
            return Err(FingerprintError::Guarded { what });
        }
    }
    Ok(())
}

fn is_hex_of(text: &str, bytes: &[u8]) -> bool {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let text = text.as_bytes();
    text.len() == bytes.len() * 2
        && bytes.iter().zip(text.chunks_exact(2)).all(|(byte, pair)| {
            DIGITS[usize::from(byte >> 4)] == pair[0] && DIGITS[usize::from(byte & 15)] == pair[1]
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::Digest as _;

    #[test]
    fn digests_are_those_of_the_named_files() {
        for (content, (_, digests)) in [&b""[..], b"\n", b"\0"].iter().zip(&TRIVIAL) {
            assert_eq!(hex::encode(sha2::Sha256::digest(content)), digests[2]);
        }
    }

    #[test]
    fn every_trivial_digest_is_refused_under_its_own_algorithm_only() {
        for (what, digests) in &TRIVIAL {
            for (column, algorithm) in [Algorithm::Md5, Algorithm::Sha1, Algorithm::Sha256]
                .iter()
                .enumerate()
            {
                let bytes = hex::decode(digests[column]).unwrap();
                assert_eq!(
                    check(algorithm, &bytes),
                    Err(FingerprintError::Guarded { what })
                );
            }
            let sha256 = hex::decode(digests[2]).unwrap();
            assert_eq!(check(&Algorithm::Blake3, &sha256), Ok(()));
        }
    }

    #[test]
    fn constant_values_are_refused_for_every_algorithm() {
        let other = Algorithm::Other("tmk".to_owned());
        for byte in [0, 0xff] {
            assert!(check(&other, &[byte; 7]).is_err());
            assert!(check(&Algorithm::PhotoDna, &[byte; 144]).is_err());
        }
    }

    #[test]
    fn flat_picture_has_too_little_information() {
        let mut pdq = [0_u8; 32];
        pdq[..8].fill(0b0111_1111);
        assert_eq!(
            check(&Algorithm::Pdq, &pdq),
            Err(FingerprintError::LowInformation { bits: 56 })
        );
        pdq.fill(0b0101_0101);
        assert_eq!(check(&Algorithm::Pdq, &pdq), Ok(()));
    }
}
