//! One fingerprint: an algorithm and its bytes.
//!
//! Why: a value is only ever compared with values of its own algorithm, so the two never part, and an unknown algorithm is
//! kept and passed on but never matched. Spec: domain table 2.1; `docs/protocol.md`, "Record". In scope: lengths, the
//! never-share rule, reading hexadecimal and base64 text. Out of scope: computing fingerprints; nothing here sees content.
//!
//! Debug and Display never show the bytes: some perceptual hashes invert to a picture.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::labels::is_token;
use crate::limits;

/// A hash algorithm.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// MD5, 16 bytes.
    Md5,
    /// SHA-1, 20 bytes.
    Sha1,
    /// SHA-256, 32 bytes.
    Sha256,
    /// BLAKE3, 32 bytes; for synthetic sets.
    Blake3,
    /// PDQ, 32 bytes, perceptual.
    Pdq,
    /// PhotoDNA, 144 opaque bytes, never computed here.
    PhotoDna,
    /// Anything else, by name: 1 to 32 bytes of `[a-z0-9-]`; kept and passed on, never matched.
    Other(String),
}

/// The algorithms that we know, with code, name and length in bytes.
const KNOWN: [(Algorithm, u8, &str, usize); 6] = [
    (Algorithm::Md5, 1, "md5", 16),
    (Algorithm::Sha1, 2, "sha1", 20),
    (Algorithm::Sha256, 3, "sha256", 32),
    (Algorithm::Blake3, 4, "blake3", 32),
    (Algorithm::Pdq, 5, "pdq", 32),
    (Algorithm::PhotoDna, 6, "photodna", 144),
];

impl Algorithm {
    /// The code on the wire; `None` for an algorithm that goes by name.
    #[must_use]
    pub fn code(&self) -> Option<u8> {
        match self {
            Self::Md5 => Some(1),
            Self::Sha1 => Some(2),
            Self::Sha256 => Some(3),
            Self::Blake3 => Some(4),
            Self::Pdq => Some(5),
            Self::PhotoDna => Some(6),
            Self::Other(_) => None,
        }
    }

    /// The algorithm with this code on the wire.
    #[must_use]
    pub fn from_code(code: u64) -> Option<Self> {
        KNOWN
            .iter()
            .find(|known| u64::from(known.1) == code)
            .map(|known| known.0.clone())
    }

    /// The name, as in profiles and on the command line.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Other(name) => name,
            Self::Md5 | Self::Sha1 | Self::Sha256 | Self::Blake3 | Self::Pdq | Self::PhotoDna => {
                KNOWN
                    .iter()
                    .find(|known| known.0 == *self)
                    .map_or("", |known| known.2)
            }
        }
    }

    /// The algorithm with this name; an unknown name of the right form is [`Algorithm::Other`].
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let known = KNOWN
            .iter()
            .find(|known| known.2 == name)
            .map(|known| known.0.clone());
        known.or_else(|| is_token(name, 32).then(|| Self::Other(name.to_owned())))
    }

    /// The exact length in bytes, where we know one.
    #[must_use]
    pub fn length(&self) -> Option<usize> {
        KNOWN
            .iter()
            .find(|known| known.0 == *self)
            .map(|known| known.3)
    }
}

/// Why a fingerprint is refused. Nothing here shows a byte of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FingerprintError {
    /// Wrong number of bytes for its algorithm.
    #[error("{got} bytes, expected {expected}")]
    Length {
        /// Bytes of this algorithm, or the most that an unknown one may have.
        expected: usize,
        /// Bytes given.
        got: usize,
    },
    /// Wrong number of characters for its algorithm.
    #[error("{got} chars, expected {expected}")]
    TextLength {
        /// Characters of the hexadecimal form.
        expected: usize,
        /// Characters given.
        got: usize,
    },
    /// Characters outside the alphabet.
    #[error("{chars} chars, {bad} not {alphabet}")]
    Alphabet {
        /// Characters given.
        chars: usize,
        /// How many are outside.
        bad: usize,
        /// What they should be: "hex" or "base64".
        alphabet: &'static str,
    },
    /// A value that must never be shared, such as the digest of the empty file.
    #[error("guarded value: {what}")]
    Guarded {
        /// Which guard it met.
        what: &'static str,
    },
    /// A perceptual hash that says almost nothing: too few or too many bits set.
    #[error("low information: {bits} of 256 bits set, expected 96 to 160")]
    LowInformation {
        /// Bits set.
        bits: u32,
    },
}

/// A fingerprint that passed the length check and the guard of values that must never be shared.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint {
    algorithm: Algorithm,
    bytes: Box<[u8]>,
}

impl Fingerprint {
    /// Takes the bytes of a fingerprint.
    ///
    /// # Errors
    /// [`FingerprintError::Length`], [`FingerprintError::Guarded`] or [`FingerprintError::LowInformation`].
    pub fn new(algorithm: Algorithm, bytes: &[u8]) -> Result<Self, FingerprintError> {
        match algorithm.length() {
            Some(expected) if bytes.len() != expected => {
                return Err(FingerprintError::Length {
                    expected,
                    got: bytes.len(),
                });
            }
            None if bytes.is_empty() || bytes.len() > limits::OPAQUE_BYTES => {
                let expected = limits::OPAQUE_BYTES;
                return Err(FingerprintError::Length {
                    expected,
                    got: bytes.len(),
                });
            }
            Some(_) | None => {}
        }
        crate::guard::check(&algorithm, bytes)?;
        Ok(Self {
            algorithm,
            bytes: bytes.into(),
        })
    }

    /// Reads a value as lists carry it: hexadecimal in any case, or base64 for PhotoDNA; surrounding white space is
    /// dropped. The algorithm is the caller's knowledge and never guessed from the length.
    ///
    /// # Errors
    /// [`FingerprintError`], whose text gives lengths and counts, never a character.
    pub fn from_text(algorithm: Algorithm, text: &str) -> Result<Self, FingerprintError> {
        let text = text.trim();
        let length = algorithm.length().unwrap_or(text.len() / 2);
        let base64_length = length.div_ceil(3) * 4;
        if algorithm == Algorithm::PhotoDna && text.len() == base64_length {
            let bad = text.bytes().filter(|b| !is_base64(*b)).count();
            let error = FingerprintError::Alphabet {
                chars: text.len(),
                bad,
                alphabet: "base64",
            };
            let bytes = BASE64.decode(text).map_err(|_| error)?;
            return Self::new(algorithm, &bytes);
        }
        if text.len() != length * 2 || text.is_empty() {
            let expected = length.max(1) * 2;
            return Err(FingerprintError::TextLength {
                expected,
                got: text.chars().count(),
            });
        }
        let mut bytes = [0_u8; limits::OPAQUE_BYTES];
        if length > limits::OPAQUE_BYTES {
            let expected = limits::OPAQUE_BYTES;
            return Err(FingerprintError::Length {
                expected,
                got: length,
            });
        }
        if !unhex(text.as_bytes(), &mut bytes[..length]) {
            let bad = text.chars().filter(|c| !c.is_ascii_hexdigit()).count();
            let chars = text.chars().count();
            return Err(FingerprintError::Alphabet {
                chars,
                bad,
                alphabet: "hex",
            });
        }
        Self::new(algorithm, &bytes[..length])
    }

    /// The algorithm.
    #[must_use]
    pub fn algorithm(&self) -> &Algorithm {
        &self.algorithm
    }

    /// The bytes. Keep them out of logs, errors and metrics.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Fingerprint({}, {} bytes)",
            self.algorithm.name(),
            self.bytes.len()
        )
    }
}

fn is_base64(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=')
}

/// Decodes hexadecimal of either case; false if a character is none. `out` is half as long as `text`.
fn unhex(text: &[u8], out: &mut [u8]) -> bool {
    let mut good = true;
    for (pair, byte) in text.chunks_exact(2).zip(out) {
        let (high, low) = (nibble(pair[0]), nibble(pair[1]));
        good &= high < 16 && low < 16;
        *byte = high << 4 | (low & 15);
    }
    good
}

fn nibble(c: u8) -> u8 {
    match c {
        b'0'..=b'9' => c - b'0',
        b'a'..=b'f' => c - b'a' + 10,
        b'A'..=b'F' => c - b'A' + 10,
        _ => 16,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha256_is_not_taken_for_pdq() {
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let sha = Fingerprint::from_text(Algorithm::Sha256, text).unwrap();
        let pdq = Fingerprint::from_text(Algorithm::Pdq, text).unwrap();
        assert_ne!(sha, pdq);
        assert_eq!(sha.bytes(), pdq.bytes());
    }

    #[test]
    fn wrong_length_names_only_lengths() {
        let error = Fingerprint::from_text(Algorithm::Md5, "abcdef").unwrap_err();
        assert_eq!(
            error,
            FingerprintError::TextLength {
                expected: 32,
                got: 6
            }
        );
    }

    #[test]
    fn bad_character_is_counted_not_shown() {
        let text = format!("{}{}", "zg", "a1".repeat(15));
        let error = Fingerprint::from_text(Algorithm::Md5, &text).unwrap_err();
        assert_eq!(error.to_string(), "32 chars, 2 not hex");
    }

    #[test]
    fn multibyte_text_of_the_right_byte_length_is_refused() {
        let text = "é".repeat(16);
        assert!(matches!(
            Fingerprint::from_text(Algorithm::Md5, &text),
            Err(FingerprintError::Alphabet { bad: 16, .. })
        ));
    }

    #[test]
    fn photodna_reads_base64_and_hex() {
        let bytes: Vec<u8> = (0..144).collect();
        let a = Fingerprint::from_text(Algorithm::PhotoDna, &BASE64.encode(&bytes)).unwrap();
        let b = Fingerprint::from_text(Algorithm::PhotoDna, &hex::encode(&bytes)).unwrap();
        assert_eq!(a, b);
    }

    #[test]
    fn unknown_algorithm_is_kept() {
        let tmk = Algorithm::from_name("tmk-pdqf").unwrap();
        assert_eq!(tmk.code(), None);
        let fingerprint = Fingerprint::from_text(tmk.clone(), "0102ff").unwrap();
        assert_eq!(fingerprint.bytes(), [1, 2, 255]);
        assert_eq!(Algorithm::from_name("No Such"), None);
    }

    #[test]
    fn debug_shows_no_byte() {
        let text = "0123456789abcdef0123456789abcdef";
        let shown = format!(
            "{:?}",
            Fingerprint::from_text(Algorithm::Md5, text).unwrap()
        );
        assert!(
            !shown.contains("0123") && !shown.contains("01, 23"),
            "{shown}"
        );
    }
}
