//! Which items a session asks about, in which order, under which blinds: all of it follows from the list, what is known
//! already, and one seed, so that a session that was cut goes on with the same points.
//!
//! The order of a session is drawn from the seed: a list that is sorted, or that somebody else gave us, must not tell by its
//! order which point is which. Blinds take 64 bytes of the seed's ChaCha20 stream for each item, in the order of the session:
//! item `i` takes the `i`th block. Random items ("pads") stand among the others and are derived from the seed too, so whoever
//! is shown the seed and the list can make every point of the session again.

use std::ops::Range;
use std::sync::Arc;

use hashpact_protocol::Hash;
use hashpact_protocol::limits;
use hashpact_protocol::psi::oprf::Blinds;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};
use zeroize::Zeroizing;

use super::cache::Name;
use super::list::Items;

/// Words of 32 bits in the block of one item.
const BLOCK_WORDS: u128 = 16;

/// The items of one session.
pub(super) struct Question {
    items: Arc<Items>,
    /// Numbers of the list's items that are asked about, ascending.
    picks: Vec<u32>,
    pads: u64,
    /// What is asked in which place: a place in `picks`, or behind them the number of a random item.
    order: Vec<u32>,
    seed: Zeroizing<[u8; 32]>,
}

impl Question {
    pub(super) fn new(
        items: Arc<Items>,
        picks: Vec<u32>,
        pads: u64,
        seed: Zeroizing<[u8; 32]>,
    ) -> Self {
        let order = order(picks.len() as u64 + pads, &seed);
        Self {
            items,
            picks,
            pads,
            order,
            seed,
        }
    }

    /// Items that the session declares.
    pub(super) fn len(&self) -> u64 {
        self.picks.len() as u64 + self.pads
    }

    /// Random items among them.
    pub(super) fn pads(&self) -> u64 {
        self.pads
    }

    /// How many batches they make.
    pub(super) fn batches(&self) -> u64 {
        self.len().div_ceil(limits::MATCH_BATCH as u64)
    }

    /// First item and length of a batch.
    pub(super) fn range(&self, batch: u64) -> Range<u64> {
        let first = batch * limits::MATCH_BATCH as u64;
        first..(first + limits::MATCH_BATCH as u64).min(self.len())
    }

    /// The places of a batch.
    fn places(&self, batch: u64) -> &[u32] {
        let range = self.range(batch);
        let at = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        let places = self.order.get(at(range.start)..at(range.end));
        places.unwrap_or_default()
    }

    /// Numbers of the list's items in a batch; random ones have none.
    pub(super) fn asked(&self, batch: u64) -> impl Iterator<Item = Option<u32>> {
        let places = self.places(batch).iter();
        places.map(|place| self.picks.get(*place as usize).copied())
    }

    /// The inputs of a batch, each in a buffer of its own.
    fn inputs(&self, batch: u64) -> Vec<Zeroizing<Vec<u8>>> {
        let places = self.places(batch).iter();
        let inputs = places.map(|place| match self.picks.get(*place as usize) {
            Some(pick) => self
                .items
                .input(*pick as usize)
                .unwrap_or_default()
                .to_vec(),
            None => self.pad(u64::from(*place) - self.picks.len() as u64),
        });
        inputs.map(Zeroizing::new).collect()
    }

    /// A random item: the type's code, and as many bytes as its values have.
    fn pad(&self, number: u64) -> Vec<u8> {
        let mut hash = blake3::Hasher::new_derive_key("hashpact match pad v1");
        hash.update(&*self.seed).update(&number.to_be_bytes());
        let mut input = vec![0; self.items.width()];
        hash.finalize_xof().fill(&mut input);
        if let (Some(first), Some(code)) = (input.first_mut(), self.items.kind().code()) {
            *first = code;
        }
        input
    }

    /// Blinds a batch.
    pub(super) fn blind(&self, batch: u64) -> Blinds {
        let inputs = self.inputs(batch);
        let mut rng = ChaCha20Rng::from_seed(*self.seed);
        rng.set_word_pos(u128::from(self.range(batch).start) * BLOCK_WORDS);
        Blinds::draw(inputs.iter().map(|input| &input[..]), &mut rng)
    }

    /// Hands out the inputs of a batch, for who blinds them otherwise.
    pub(super) fn with_inputs<T>(
        &self,
        batch: u64,
        take: impl FnOnce(&mut dyn Iterator<Item = &[u8]>) -> T,
    ) -> T {
        let inputs = self.inputs(batch);
        take(&mut inputs.iter().map(|input| &input[..]))
    }

    /// A generator for what one session draws once: behind every block that an item may take.
    pub(super) fn rng(&self) -> ChaCha20Rng {
        let mut rng = ChaCha20Rng::from_seed(*self.seed);
        rng.set_word_pos(u128::from(limits::MATCH_ITEMS) * BLOCK_WORDS);
        rng
    }
}

/// The numbers below `count` in an order that follows from a seed (Fisher and Yates).
fn order(count: u64, seed: &[u8; 32]) -> Vec<u32> {
    let key = Zeroizing::new(blake3::derive_key("hashpact match order v1", seed));
    let mut rng = ChaCha20Rng::from_seed(*key);
    let mut order: Vec<u32> = (0..u32::try_from(count).unwrap_or(u32::MAX)).collect();
    for last in (1..order.len()).rev() {
        // 64 bits of numerator: the bias is below 2^-44 for a million items.
        let at = (u128::from(rng.next_u64()) * (last as u128 + 1)) >> 64;
        order.swap(last, usize::try_from(at).unwrap_or(last));
    }
    order
}

/// What stands for the items of a session, under the cache's names.
pub(super) fn digest(names: &[Name], picks: &[u32], pads: u64) -> Hash {
    let mut hash = blake3::Hasher::new_derive_key("hashpact match question v1");
    for pick in picks {
        hash.update(names.get(*pick as usize).map_or(&[][..], |name| &name[..]));
    }
    hash.update(&pads.to_be_bytes());
    *hash.finalize().as_bytes()
}
