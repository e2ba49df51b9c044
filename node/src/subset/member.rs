//! The name of a member, as its centre's register has it.

use std::fmt;
use std::str::FromStr;

use hashpact_protocol::labels::is_token;
use hashpact_protocol::limits;

/// A member's name: 1 to 64 characters of a-z, 0-9 and '-'.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(String);

/// A text is no name of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a member's name has 1 to 64 characters of a-z, 0-9 and '-'")]
pub struct MemberIdError;

impl MemberId {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for MemberId {
    type Err = MemberIdError;

    fn from_str(text: &str) -> Result<Self, MemberIdError> {
        match is_token(text, limits::MEMBER_BYTES) {
            true => Ok(Self(text.to_owned())),
            false => Err(MemberIdError),
        }
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
