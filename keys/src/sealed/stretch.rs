//! From a passphrase to a key, by work that a guesser must do for each guess.
//!
//! Spec: RFC 9106, Argon2id version 1.3. In scope: how much work, bounded either way. Out of scope: how good a passphrase
//! is beyond its length.

use std::collections::TryReserveError;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use zeroize::Zeroizing;

/// Characters of a passphrase at least, when keys are sealed.
pub const PASSPHRASE_CHARS_MIN: usize = 12;

const MEMORY_KIB: (u32, u32) = (8 << 10, 1 << 20);
const PASSES: (u32, u32) = (1, 16);
const LANES: (u32, u32) = (1, 4);

/// A passphrase. Wiped when dropped; no Debug, no Clone, no comparison.
pub struct Passphrase(Zeroizing<Vec<u8>>);

impl Passphrase {
    /// The passphrase with exactly these bytes: no line feed, no other spelling of the same letters.
    #[must_use]
    pub fn new(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }

    /// Checks that it is long enough to seal with: [`PASSPHRASE_CHARS_MIN`] characters, or bytes if it is not UTF-8.
    ///
    /// # Errors
    /// [`ShortPassphrase`].
    pub fn check_length(&self) -> Result<(), ShortPassphrase> {
        let chars = std::str::from_utf8(&self.0).map_or(self.0.len(), |text| text.chars().count());
        match chars < PASSPHRASE_CHARS_MIN {
            true => Err(ShortPassphrase),
            false => Ok(()),
        }
    }
}

/// A passphrase has too few characters. How many it has is not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the passphrase is too short: at least {PASSPHRASE_CHARS_MIN} characters")]
pub struct ShortPassphrase;

/// How much work it is to derive the key: within bounds, so that a file can neither stop a machine nor protect nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// A number is outside its bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what}: expected {min} to {max}, got {got}")]
pub struct CostError {
    /// Which number, with its unit.
    pub what: &'static str,
    /// The least.
    pub min: u32,
    /// The most.
    pub max: u32,
    /// The number.
    pub got: u32,
}

impl Cost {
    /// What new files ask for: memory and passes of the second recommendation of RFC 9106 section 4, in one lane.
    ///
    /// The lanes are worked through one after the other here, so more of them would make no guess dearer, but would let a
    /// guesser with several cores finish one sooner.
    pub const STANDARD: Self = Self {
        memory_kib: 64 << 10,
        passes: 3,
        lanes: 1,
    };

    /// The least work that a file may ask for; for tests.
    pub const LEAST: Self = Self {
        memory_kib: MEMORY_KIB.0,
        passes: PASSES.0,
        lanes: LANES.0,
    };

    /// Memory from 8 MiB to 1 GiB, passes from 1 to 16, lanes from 1 to 4.
    ///
    /// # Errors
    /// [`CostError`] names the first number outside its bounds.
    pub fn new(memory_kib: u32, passes: u32, lanes: u32) -> Result<Self, CostError> {
        for (what, (min, max), got) in [
            ("memory in KiB", MEMORY_KIB, memory_kib),
            ("passes", PASSES, passes),
            ("lanes", LANES, lanes),
        ] {
            if !(min..=max).contains(&got) {
                return Err(CostError {
                    what,
                    min,
                    max,
                    got,
                });
            }
        }
        Ok(Self {
            memory_kib,
            passes,
            lanes,
        })
    }

    /// Memory in KiB, passes and lanes.
    #[must_use]
    pub const fn numbers(self) -> [u32; 3] {
        [self.memory_kib, self.passes, self.lanes]
    }

    /// Derives the key. `salt` has 16 bytes.
    pub(super) fn stretch(
        self,
        passphrase: &Passphrase,
        salt: &[u8],
    ) -> Result<Zeroizing<[u8; 32]>, TryReserveError> {
        let mut key = Zeroizing::new([0; 32]);
        // The library does not wipe memory that it takes itself, and whoever finds the first blocks may guess without work.
        let mut memory = Zeroizing::new(Vec::new());
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(key.len()));
        #[expect(
            clippy::expect_used,
            reason = "RFC 9106 allows 8 KiB a lane and more, 1 pass and more, 1 lane and more, and these bounds are narrower"
        )]
        let params = params.expect("every cost is within the bounds of Argon2");
        memory.try_reserve_exact(params.block_count())?;
        memory.resize(params.block_count(), Block::new());
        let derived = Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into_with_memory(&passphrase.0, salt, &mut key[..], &mut *memory);
        #[expect(
            clippy::expect_used,
            reason = "a salt of 16 bytes, a key of 32 and a passphrase below 4 GiB are what Argon2 takes"
        )]
        derived.expect("lengths that Argon2 takes");
        Ok(key)
    }
}
