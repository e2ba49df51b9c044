//! Golomb-Rice coding: a number as its quotient by `2^k` in ones and a zero, then `k` bits of remainder, highest first.
//!
//! Why: gaps between sorted tags are geometric, for which this is within a few per cent of the entropy (Rice 1979; Kiely,
//! "Selecting the Golomb parameter in Rice coding", 2004, gives `k`). In scope: bits. Out of scope: heads, hashes and order
//! (`artifact`).

use super::tag::TagBits;

/// The `k` for `count` tags of so many bits: `1 + floor(log2(0.4812 * 2^bits / count))`, in integers, so that everybody
/// gets the same; 0 where tags are denser than that.
pub(super) fn parameter(count: u64, bits: TagBits) -> u8 {
    let mean = (1_u128 << bits.get()) / u128::from(count.max(1));
    // At most 80 bits and the 9 of the factor: it stays within 128.
    let scaled = mean * 481 / 1_000;
    scaled
        .checked_ilog2()
        .map_or(0, |log| u8::try_from(log + 1).unwrap_or(0))
        .min(TagBits::MAX - 1)
}

/// Bits of a number under `k`.
pub(super) fn cost(value: u128, k: u8) -> u128 {
    (value >> k) + 1 + u128::from(k)
}

/// Writes bits, highest first.
#[derive(Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
    /// The low `held` bits are not written yet; fewer than 64.
    window: u128,
    held: u32,
}

impl Writer {
    /// Goes on behind whole bytes.
    pub(super) fn behind(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            window: 0,
            held: 0,
        }
    }

    /// Bits written.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() * 8 + self.held as usize
    }

    pub(super) fn number(&mut self, value: u128, k: u8) {
        let mut ones = value >> k;
        while ones >= 32 {
            self.bits(u64::from(u32::MAX), 32);
            ones -= 32;
        }
        let ones = u32::try_from(ones).unwrap_or(0);
        self.bits((1 << ones) - 1, ones);
        self.bits(0, 1);
        let high = u32::from(k).saturating_sub(40);
        let low = u32::from(k) - high;
        let mask = |bits: u32| (1_u128 << bits) - 1;
        let of = |value: u128| u64::try_from(value).unwrap_or(0);
        self.bits(of(value >> low & mask(high)), high);
        self.bits(of(value & mask(low)), low);
    }

    /// Writes the low `count` bits, at most 63.
    fn bits(&mut self, value: u64, count: u32) {
        self.window = self.window << count | u128::from(value);
        self.held += count;
        if self.held >= 64 {
            self.held -= 64;
            let whole = (self.window >> self.held).to_be_bytes();
            self.bytes.extend_from_slice(&whole[8..]);
            self.window &= (1 << self.held) - 1;
        }
    }

    /// The bytes; the last one is filled with zeros.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let whole = (self.window << (64 - self.held)).to_be_bytes();
        let left = self.held.div_ceil(8) as usize;
        self.bytes.extend_from_slice(&whole[8..8 + left]);
        self.bytes
    }
}

/// Reads bits, highest first.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    /// In bits.
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next number, if the bits go so far and it is not above `max`.
    pub(super) fn number(&mut self, k: u8, max: u128) -> Result<u128, Fault> {
        let mut ones = 0_u128;
        loop {
            let (window, valid) = self.window();
            let run = window.leading_ones().min(valid);
            self.at += run as usize;
            ones += u128::from(run);
            if run < valid {
                break;
            }
            if valid == 0 {
                return Err(Fault::Truncated);
            }
        }
        // The zero behind them.
        self.at += 1;
        if ones > max >> k {
            return Err(Fault::TooLarge);
        }
        let high = u32::from(k).saturating_sub(40);
        let low = u32::from(k) - high;
        let rest = u128::from(self.bits(high)?) << low | u128::from(self.bits(low)?);
        let value = ones << k | rest;
        if value > max {
            return Err(Fault::TooLarge);
        }
        Ok(value)
    }

    /// Whether only the zeros that fill the last byte are left.
    pub(super) fn is_at_end(&self) -> bool {
        let left = (self.bytes.len() * 8).checked_sub(self.at);
        let (window, _) = self.window();
        left.is_some_and(|left| left < 8) && window == 0
    }

    /// The next bits at the top of a word, with zeros behind the end, and how many of them there are: at least 57, or all.
    fn window(&self) -> (u64, u32) {
        let (from, skip) = (self.at / 8, self.at % 8);
        let rest = self.bytes.get(from..).unwrap_or_default();
        let mut word = [0; 8];
        let len = rest.len().min(8);
        word[..len].copy_from_slice(&rest[..len]);
        let valid = u32::try_from((len * 8).saturating_sub(skip)).unwrap_or(0);
        (u64::from_be_bytes(word) << skip, valid)
    }

    /// At most 40 bits.
    fn bits(&mut self, count: u32) -> Result<u64, Fault> {
        let (window, valid) = self.window();
        if valid < count {
            return Err(Fault::Truncated);
        }
        self.at += count as usize;
        Ok(window.checked_shr(u64::BITS - count).unwrap_or(0))
    }
}

/// Why bits are no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Truncated,
    TooLarge,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parameter_is_the_cheapest_for_evenly_spread_tags() {
        let bits = TagBits::of(1);
        for (count, k) in [(1_000, 51), (1 << 20, 41), (1, 61), (u64::MAX, 0)] {
            assert_eq!(parameter(count, bits), k, "{count}");
        }
        // Expected cost of a geometric gap with mean m: k + 1 / (1 - (1 - 1/m)^(2^k)).
        let mean = 2_f64.powi(62) / 1e6;
        let cost = |k: u8| f64::from(k) + 1.0 / (1.0 - (-(2_f64.powi(i32::from(k))) / mean).exp());
        let best = (30..60).min_by(|a, b| cost(*a).total_cmp(&cost(*b)));
        assert_eq!(Some(parameter(1_000_000, bits)), best);
    }

    proptest! {
        #[test]
        fn numbers_round_trip(k in 0..80_u8, values in prop::collection::vec((0..300_u128, any::<u128>()), 0..20)) {
            let values: Vec<_> = values
                .into_iter()
                .map(|(quotient, rest)| quotient << k | rest & ((1 << k) - 1))
                .collect();
            let mut writer = Writer::behind(vec![7]);
            let costs: u128 = values.iter().map(|value| cost(*value, k)).sum();
            values.iter().for_each(|value| writer.number(*value, k));
            prop_assert_eq!(writer.len() as u128, 8 + costs);
            let bytes = writer.finish();
            prop_assert_eq!(bytes.len() as u128, 1 + costs.div_ceil(8));
            let mut reader = Reader::new(&bytes[1..]);
            for value in values {
                prop_assert_eq!(reader.number(k, u128::MAX >> 1), Ok(value));
            }
            prop_assert!(reader.is_at_end());
        }

        #[test]
        fn any_bytes_give_numbers_in_bounds_or_a_fault(k in 0..80_u8, max in any::<u64>(), bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut reader = Reader::new(&bytes);
            while let Ok(value) = reader.number(k, u128::from(max)) {
                prop_assert!(value <= u128::from(max));
                prop_assert!(reader.at <= bytes.len() * 8);
            }
        }
    }

    #[test]
    fn set_bit_behind_the_last_number_is_seen() {
        let mut writer = Writer::default();
        writer.number(5, 3);
        let mut bytes = writer.finish();
        let at_end = |bytes: &[u8]| {
            let mut reader = Reader::new(bytes);
            assert_eq!(reader.number(3, 9), Ok(5));
            reader.is_at_end()
        };
        assert!(at_end(&bytes));
        bytes[0] |= 1;
        assert!(!at_end(&bytes));
        bytes[0] &= !1;
        bytes.push(0);
        assert!(!at_end(&bytes), "a whole byte of zeros fills nothing");
    }
}
