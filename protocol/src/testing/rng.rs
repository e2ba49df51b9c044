//! Randomness from a seed, so that a simulation replays. Why: `rand_chacha` is not there for dependants of the feature
//! `testing`, and one stream of BLAKE3 output is enough. In scope: tests. Out of scope: anything that must stay secret.

use std::convert::Infallible;

use rand_core::{TryCryptoRng, TryRng};

/// The output of BLAKE3 over a seed, as an endless stream.
pub struct Seeded(blake3::OutputReader);

impl Seeded {
    /// The stream of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("hashpact testing rng v1");
        hasher.update(&seed.to_be_bytes());
        Self(hasher.finalize_xof())
    }

    /// A number from 0 to `n - 1`; 0 if `n` is 0. The bias is that of 64 bits.
    pub fn below(&mut self, n: usize) -> usize {
        let Ok(word) = self.try_next_u64();
        let n = n.max(1) as u64;
        usize::try_from(word % n).unwrap_or(0)
    }

    /// One of `items`; none if there are none.
    pub fn pick<T: Clone>(&mut self, items: &[T]) -> Option<T> {
        let at = self.below(items.len());
        items.get(at).cloned()
    }
}

impl TryRng for Seeded {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        Ok(u32::from_be_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        Ok(u64::from_be_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(dst);
        Ok(())
    }
}

impl TryCryptoRng for Seeded {}
