//! Hexadecimal text of fixed length. Why: identifiers and keys are typed and read by people, and one spelling per value
//! keeps them comparable as text. In scope: lower case, exact length. Out of scope: anything of variable length.

use std::fmt;

/// Why a text is not the hexadecimal form of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HexError {
    /// The text has the wrong number of characters.
    #[error("expected {expected} hexadecimal digits, got {got} characters")]
    Length {
        /// Digits that the value has.
        expected: usize,
        /// Bytes that the text has.
        got: usize,
    },
    /// A character is none of `0-9a-f`.
    #[error("character {at} is not a lower-case hexadecimal digit")]
    Digit {
        /// Byte offset from 0.
        at: usize,
    },
}

/// The digits by value.
#[cfg(feature = "store")]
pub(crate) const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Shows bytes as lower-case hexadecimal.
pub(crate) struct Hex<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Reads `out.len() * 2` digits into `out`, which the caller owns so that it can wipe it when it is secret.
pub(crate) fn decode_into(text: &[u8], out: &mut [u8]) -> Result<(), HexError> {
    let expected = out.len() * 2;
    if text.len() != expected {
        return Err(HexError::Length {
            expected,
            got: text.len(),
        });
    }
    for (index, (pair, byte)) in text.chunks_exact(2).zip(out.iter_mut()).enumerate() {
        let high = digit(pair[0]).ok_or(HexError::Digit { at: index * 2 })?;
        let low = digit(pair[1]).ok_or(HexError::Digit { at: index * 2 + 1 })?;
        *byte = high << 4 | low;
    }
    Ok(())
}

/// Reads `2 * N` digits.
pub(crate) fn decode<const N: usize>(text: &str) -> Result<[u8; N], HexError> {
    let mut out = [0; N];
    decode_into(text.as_bytes(), &mut out)?;
    Ok(out)
}

fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let bytes: [u8; 6] = [0, 1, 0x7f, 0x80, 0xab, 0xff];
        assert_eq!(Hex(&bytes).to_string(), "00017f80abff");
        assert_eq!(decode::<6>("00017f80abff"), Ok(bytes));
    }

    #[test]
    fn a_second_spelling_of_the_same_value_is_refused() {
        assert_eq!(decode::<1>("AB"), Err(HexError::Digit { at: 0 }));
        assert_eq!(decode::<1>("a "), Err(HexError::Digit { at: 1 }));
        assert_eq!(
            decode::<1>("a"),
            Err(HexError::Length {
                expected: 2,
                got: 1
            })
        );
        assert_eq!(
            decode::<1>("0xab"),
            Err(HexError::Length {
                expected: 2,
                got: 4
            })
        );
    }
}
