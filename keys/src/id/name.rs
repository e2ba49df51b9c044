//! Names in text: centres, jurisdictions, log origins and witnesses. Each has one spelling, so that equal things compare
//! equal byte for byte, and none can break the lines of a C2SP signed note. Scope: see the parent module.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Characters of a centre id at most.
pub const CENTRE_ID_LEN_MAX: usize = 32;
/// Bytes of an origin line or a witness name at most.
pub const ORIGIN_LEN_MAX: usize = 120;

/// Display, Debug and `as_str` of a newtype over shared text.
macro_rules! text_name {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.as_str())
            }
        }
    };
}

/// The name of a centre: 1 to 32 characters of `[a-z0-9-]`, the first a letter.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CentreId(Arc<str>);

/// Why a text names no centre.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CentreIdError {
    /// Not 1 to 32 bytes.
    #[error("a centre id has 1 to 32 characters, got {got}")]
    Length {
        /// Bytes of the text.
        got: usize,
    },
    /// The first character is not a letter.
    #[error("a centre id starts with a letter a-z")]
    Start,
    /// A character is outside `[a-z0-9-]`.
    #[error("character {at} of the centre id is none of a-z, 0-9 and '-'")]
    Character {
        /// Byte offset from 0.
        at: usize,
    },
}

impl CentreId {
    /// The text of the id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

text_name!(CentreId);

impl FromStr for CentreId {
    type Err = CentreIdError;

    fn from_str(text: &str) -> Result<Self, CentreIdError> {
        if text.is_empty() || text.len() > CENTRE_ID_LEN_MAX {
            return Err(CentreIdError::Length { got: text.len() });
        }
        if let Some(at) = position_outside(text, |c| {
            c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-'
        }) {
            return Err(CentreIdError::Character { at });
        }
        if !text.starts_with(|c: char| c.is_ascii_lowercase()) {
            return Err(CentreIdError::Start);
        }
        Ok(Self(text.into()))
    }
}

/// A jurisdiction: two upper-case ASCII letters, such as `EU` or `AU`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Jurisdiction(Arc<str>);

/// A text is not two upper-case ASCII letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a jurisdiction is two upper-case letters A-Z")]
pub struct JurisdictionError;

impl Jurisdiction {
    /// The two letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

text_name!(Jurisdiction);

impl FromStr for Jurisdiction {
    type Err = JurisdictionError;

    fn from_str(text: &str) -> Result<Self, JurisdictionError> {
        if text.len() != 2 || position_outside(text, |c| c.is_ascii_uppercase()).is_some() {
            return Err(JurisdictionError);
        }
        Ok(Self(text.into()))
    }
}

/// The origin line of one centre's log: `<domain>/<centre>/<epoch>`, at most 120 bytes.
///
/// The domain is one or more of `[a-z0-9.-]`, the centre a [`CentreId`], the epoch a decimal `u32` without leading
/// zeros. A log that is begun again gets the next epoch, so that two histories never share a name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    line: Arc<str>,
    centre: CentreId,
    epoch: u32,
}

/// Why a text is no origin line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// Not 1 to 120 bytes.
    #[error("an origin has 1 to 120 bytes, got {got}")]
    Length {
        /// Bytes of the text.
        got: usize,
    },
    /// Not three parts between two slashes.
    #[error("an origin has 3 parts, <domain>/<centre>/<epoch>, got {got}")]
    Parts {
        /// Parts found.
        got: usize,
    },
    /// The domain is empty or has a character outside `[a-z0-9.-]`.
    #[error("the domain of an origin is one or more of a-z, 0-9, '.' and '-'")]
    Domain,
    /// The second part names no centre.
    #[error("the second part of an origin is a centre id")]
    Centre(#[source] CentreIdError),
    /// The epoch is no decimal `u32`, or has leading zeros.
    #[error("the epoch of an origin is a decimal number below 2^32 without leading zeros")]
    Epoch,
}

impl Origin {
    /// The whole line, without a line feed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.line
    }

    /// The centre that writes this log.
    #[must_use]
    pub fn centre(&self) -> &CentreId {
        &self.centre
    }

    /// Which of the centre's logs this is.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The line of the centre's log before this one; none before epoch 0.
    #[must_use]
    pub fn previous_epoch(&self) -> Option<Self> {
        let (stem, _) = self.line.rsplit_once('/')?;
        format!("{stem}/{}", self.epoch.checked_sub(1)?)
            .parse()
            .ok()
    }

    /// The line of the centre's next log; none after the last `u32`, or where the line would get too long.
    #[must_use]
    pub fn next_epoch(&self) -> Option<Self> {
        let (stem, _) = self.line.rsplit_once('/')?;
        format!("{stem}/{}", self.epoch.checked_add(1)?)
            .parse()
            .ok()
    }
}

text_name!(Origin);

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        if text.is_empty() || text.len() > ORIGIN_LEN_MAX {
            return Err(OriginError::Length { got: text.len() });
        }
        let mut parts = text.split('/');
        let (Some(domain), Some(centre), Some(epoch), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(OriginError::Parts {
                got: text.split('/').count(),
            });
        };
        if domain.is_empty() || position_outside(domain, is_domain_character).is_some() {
            return Err(OriginError::Domain);
        }
        let centre = centre.parse().map_err(OriginError::Centre)?;
        let epoch = decimal_u32(epoch).ok_or(OriginError::Epoch)?;
        Ok(Self {
            line: text.into(),
            centre,
            epoch,
        })
    }
}

/// The name under which a witness or an auditor cosigns: 1 to 120 bytes of `[a-z0-9./-]`.
///
/// It is the key name of a C2SP signed note, by custom a URL without its scheme.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WitnessName(Arc<str>);

/// Why a text names no witness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WitnessNameError {
    /// Not 1 to 120 bytes.
    #[error("a witness name has 1 to 120 bytes, got {got}")]
    Length {
        /// Bytes of the text.
        got: usize,
    },
    /// A character is outside `[a-z0-9./-]`.
    #[error("character {at} of the witness name is none of a-z, 0-9, '.', '/' and '-'")]
    Character {
        /// Byte offset from 0.
        at: usize,
    },
}

impl WitnessName {
    /// The text of the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

text_name!(WitnessName);

impl FromStr for WitnessName {
    type Err = WitnessNameError;

    fn from_str(text: &str) -> Result<Self, WitnessNameError> {
        if text.is_empty() || text.len() > ORIGIN_LEN_MAX {
            return Err(WitnessNameError::Length { got: text.len() });
        }
        if let Some(at) = position_outside(text, |c| is_domain_character(c) || c == b'/') {
            return Err(WitnessNameError::Character { at });
        }
        Ok(Self(text.into()))
    }
}

fn is_domain_character(c: u8) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'.' || c == b'-'
}

/// The offset of the first byte that is not allowed.
fn position_outside(text: &str, allowed: impl Fn(u8) -> bool) -> Option<usize> {
    text.bytes().position(|byte| !allowed(byte))
}

/// A decimal number in its one spelling: `from_str` alone would take `+7` and `007`.
fn decimal_u32(text: &str) -> Option<u32> {
    let number = text.parse::<u32>().ok()?;
    (number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn centre_ids_have_one_spelling() {
        let id: CentreId = "eu-1".parse().unwrap();
        assert_eq!(
            (id.as_str(), format!("{id} {id:?}")),
            ("eu-1", "eu-1 CentreId(eu-1)".to_owned())
        );
        let longest = "a".repeat(32);
        assert_eq!(longest.parse::<CentreId>().unwrap().as_str(), longest);
        for (text, error) in [
            ("", CentreIdError::Length { got: 0 }),
            (&"a".repeat(33), CentreIdError::Length { got: 33 }),
            ("1eu", CentreIdError::Start),
            ("-eu", CentreIdError::Start),
            ("eU", CentreIdError::Character { at: 1 }),
            ("eu/1", CentreIdError::Character { at: 2 }),
            ("eü", CentreIdError::Character { at: 1 }),
            ("eu\n", CentreIdError::Character { at: 2 }),
        ] {
            assert_eq!(text.parse::<CentreId>(), Err(error), "{text:?}");
        }
    }

    #[test]
    fn jurisdictions_are_two_capital_letters() {
        assert_eq!("EU".parse::<Jurisdiction>().unwrap().as_str(), "EU");
        for text in ["", "E", "EUR", "eu", "E1", "Ü", " E"] {
            assert_eq!(
                text.parse::<Jurisdiction>(),
                Err(JurisdictionError),
                "{text:?}"
            );
        }
    }

    #[test]
    fn origins_split_into_domain_centre_and_epoch() {
        let origin: Origin = "hashpact.example/eu/0".parse().unwrap();
        assert_eq!(
            (origin.as_str(), origin.centre().as_str(), origin.epoch()),
            ("hashpact.example/eu/0", "eu", 0)
        );
        assert_eq!(
            "x/eu/4294967295".parse::<Origin>().unwrap().epoch(),
            u32::MAX
        );
        let long = format!("{}/eu/0", "a".repeat(116));
        for (text, error) in [
            ("", OriginError::Length { got: 0 }),
            (long.as_str(), OriginError::Length { got: 121 }),
            ("x/eu", OriginError::Parts { got: 2 }),
            ("x/eu/0/", OriginError::Parts { got: 4 }),
            ("/eu/0", OriginError::Domain),
            ("x+y/eu/0", OriginError::Domain),
            ("x y/eu/0", OriginError::Domain),
            ("x/9/0", OriginError::Centre(CentreIdError::Start)),
            ("x/eu/", OriginError::Epoch),
            ("x/eu/00", OriginError::Epoch),
            ("x/eu/+1", OriginError::Epoch),
            ("x/eu/1\n", OriginError::Epoch),
            ("x/eu/4294967296", OriginError::Epoch),
        ] {
            assert_eq!(text.parse::<Origin>(), Err(error), "{text:?}");
        }
    }

    #[test]
    fn witness_names_cannot_break_a_signed_note() {
        assert_eq!(
            "audit.example/w1".parse::<WitnessName>().unwrap().as_str(),
            "audit.example/w1"
        );
        assert_eq!(
            "a b".parse::<WitnessName>(),
            Err(WitnessNameError::Character { at: 1 })
        );
        assert_eq!(
            "a+b".parse::<WitnessName>(),
            Err(WitnessNameError::Character { at: 1 })
        );
        assert_eq!(
            "".parse::<WitnessName>(),
            Err(WitnessNameError::Length { got: 0 })
        );
        assert_eq!(
            "a".repeat(121).parse::<WitnessName>(),
            Err(WitnessNameError::Length { got: 121 })
        );
    }
}
