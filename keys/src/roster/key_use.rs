//! What a key may be used for. Why: every key has one use, so that what leaks or is misused is bounded by it. Spec:
//! `docs/protocol.md`, the table of uses. In scope: codes and names. Out of scope: who holds which (`roster`).

use std::fmt;
use std::str::FromStr;

/// The one use of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyUse {
    /// Signs rosters. Kept offline.
    Root,
    /// Signs policies and grants. Held by two persons.
    Policy,
    /// Signs delta headers and class definitions.
    Delta,
    /// Signs the checkpoints of the centre's own log.
    Log,
    /// Cosigns the checkpoints of others' logs, having checked that they only grew.
    Witness,
    /// Cosigns what a mirror holds.
    Mirror,
    /// Signs the manifests of subsets and match epochs.
    Manifest,
    /// Signs attestations.
    Attest,
    /// The identity of the node on the network.
    Node,
}

/// A text or a number names no use of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected one of root, policy, delta, log, witness, mirror, manifest, attest, node")]
pub struct KeyUseError;

impl KeyUse {
    /// Every use, by ascending code.
    pub const ALL: [Self; 9] = [
        Self::Root,
        Self::Policy,
        Self::Delta,
        Self::Log,
        Self::Witness,
        Self::Mirror,
        Self::Manifest,
        Self::Attest,
        Self::Node,
    ];

    /// The number that stands in a roster, from 1.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Root => 1,
            Self::Policy => 2,
            Self::Delta => 3,
            Self::Log => 4,
            Self::Witness => 5,
            Self::Mirror => 6,
            Self::Manifest => 7,
            Self::Attest => 8,
            Self::Node => 9,
        }
    }

    /// The use with this code.
    ///
    /// # Errors
    /// [`KeyUseError`] if there is none.
    pub fn from_code(code: u8) -> Result<Self, KeyUseError> {
        Self::ALL
            .into_iter()
            .find(|use_| use_.code() == code)
            .ok_or(KeyUseError)
    }

    /// The name on the command line and in key files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Policy => "policy",
            Self::Delta => "delta",
            Self::Log => "log",
            Self::Witness => "witness",
            Self::Mirror => "mirror",
            Self::Manifest => "manifest",
            Self::Attest => "attest",
            Self::Node => "node",
        }
    }
}

impl fmt::Display for KeyUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for KeyUse {
    type Err = KeyUseError;

    fn from_str(text: &str) -> Result<Self, KeyUseError> {
        Self::ALL
            .into_iter()
            .find(|use_| use_.name() == text)
            .ok_or(KeyUseError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_names_lead_back_to_their_use() {
        for (index, use_) in KeyUse::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(use_.code()), index + 1);
            assert_eq!(KeyUse::from_code(use_.code()), Ok(use_));
            assert_eq!(use_.name().parse(), Ok(use_));
        }
    }

    #[test]
    fn what_is_no_use_is_refused() {
        assert_eq!(KeyUse::from_code(0), Err(KeyUseError));
        assert_eq!(KeyUse::from_code(10), Err(KeyUseError));
        assert_eq!("Root".parse::<KeyUse>(), Err(KeyUseError));
    }
}
