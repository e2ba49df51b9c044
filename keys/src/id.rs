//! What things are called: centres, jurisdictions, log origins, witnesses, networks, keys, roster versions and times.
//!
//! Why: each has its own type, so that a network id is never taken for a hash nor seconds for a version, and each has one
//! spelling, so that equal things compare equal as text. Spec: `docs/protocol.md`; the origin line is the key name of
//! a C2SP signed note, hence no white space and no `+`. In scope: names and numbers. Out of scope: who holds them
//! (`roster`).

mod name;

use std::fmt;
use std::str::FromStr;

pub use crate::hex_text::HexError;
use crate::hex_text::{self, Hex};
pub use name::{
    CENTRE_ID_LEN_MAX, CentreId, CentreIdError, Jurisdiction, JurisdictionError, ORIGIN_LEN_MAX,
    Origin, OriginError, WitnessName, WitnessNameError,
};

/// Display and `FromStr` in hexadecimal, and a Debug of the first eight digits.
macro_rules! hex_name {
    ($name:ident, $len:literal) => {
        impl $name {
            /// Takes the bytes as they are.
            #[must_use]
            pub const fn new(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// The bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            /// The bytes, by value.
            #[must_use]
            pub const fn get(self) -> [u8; $len] {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                Hex(&self.0).fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), Hex(&self.0[..4]))
            }
        }

        impl FromStr for $name {
            type Err = HexError;

            fn from_str(text: &str) -> Result<Self, HexError> {
                hex_text::decode(text).map(Self)
            }
        }
    };
}

/// The name of a network: SHA-256 of the payload of its roster version 1, 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetworkId([u8; 32]);

hex_name!(NetworkId, 32);

/// The short name of a public key, as COSE carries it (`kid`): the first 8 bytes of SHA-256 of its 32 bytes.
///
/// It finds a key and proves nothing: two keys with one id can be made with 2^32 work, so a roster refuses the second.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; 8]);

hex_name!(KeyId, 8);

/// `new`, `get`, Display and a short Debug of a newtype over `u64`.
macro_rules! number_name {
    ($name:ident) => {
        impl $name {
            /// Takes the number as it is.
            #[must_use]
            pub const fn new(number: u64) -> Self {
                Self(number)
            }

            /// The number.
            #[must_use]
            pub const fn get(self) -> u64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }
    };
}

/// The version of a roster, from 1. Each follows the one before by exactly 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RosterVersion(u64);

number_name!(RosterVersion);

impl RosterVersion {
    /// The version that begins a network and names it.
    pub const FIRST: Self = Self(1);

    /// The version that follows, or nothing after the last `u64`.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }
}

/// A time in whole seconds since 1970-01-01T00:00:00Z, without leap seconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

number_name!(Timestamp);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_ids_print_whole_and_debug_short() {
        let id = KeyId::new([1, 2, 3, 4, 5, 6, 7, 0xff]);
        assert_eq!(format!("{id} {id:?}"), "01020304050607ff KeyId(01020304)");
        assert_eq!("01020304050607ff".parse(), Ok(id));
        let network = NetworkId::new([0xab; 32]);
        assert_eq!(network.to_string().parse(), Ok(network));
        assert_eq!(
            "ab".parse::<NetworkId>(),
            Err(HexError::Length {
                expected: 64,
                got: 2
            })
        );
    }

    #[test]
    fn versions_do_not_wrap() {
        assert_eq!(RosterVersion::FIRST.next(), Some(RosterVersion::new(2)));
        assert_eq!(RosterVersion::new(u64::MAX).next(), None);
    }
}
