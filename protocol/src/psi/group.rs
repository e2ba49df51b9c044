//! Points of ristretto255, many at a time: the one place where curve arithmetic is done.
//!
//! Why: the protocol is written in batches (read, multiply, add, write), so that the engine below can be replaced by one
//! that works on several points in a lane. Spec: RFC 9496. In scope: points and numbers modulo the group's order. Out of
//! scope: what they mean (`oprf`).
//!
//! Time: all that takes a [`Secret`] runs in a time that does not depend on it. [`Points::weigh`] and [`Point::pair`] do not,
//! and take public values only.

mod fixed;

use curve25519_dalek::constants::RISTRETTO_BASEPOINT_POINT;
use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::{IsIdentity as _, VartimeMultiscalarMul as _};
use rand_core::CryptoRng;
use zeroize::{Zeroize as _, Zeroizing};

pub(super) use fixed::FixedBase;

/// Points that are worked on at a time where a batch is longer: they stay in the processor's cache.
pub(super) const BLOCK: usize = 1_024;

/// A point as it travels: 32 bytes, RFC 9496 section 4.3.2.
pub type Encoded = [u8; 32];

/// What is wrong with the bytes of a point (RFC 9496 section 4.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The neutral element, which would tell the key's product with anything.
    #[error("the neutral element")]
    Identity,
    /// A number of the field that is not below 2^255 - 19.
    #[error("not reduced")]
    NotCanonical,
    /// An odd, hence negative, number of the field.
    #[error("negative")]
    Negative,
    /// No point of the group has this encoding.
    #[error("no point of the group")]
    NotOnCurve,
}

/// A point of a batch that is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("point {index}: {fault}")]
pub struct PointError {
    /// Its place in the batch, from 0.
    pub index: usize,
    /// Why.
    pub fault: Fault,
}

impl PointError {
    /// The same, where `before` points of the batch came before these.
    pub(super) fn after(self, before: usize) -> Self {
        Self {
            index: before + self.index,
            ..self
        }
    }
}

/// A number modulo the group's order that nobody else may know. Zeroized when it is dropped.
pub(super) struct Secret(Scalar);

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl Secret {
    /// Uniform, from 64 bytes of the generator.
    pub(super) fn random(rng: &mut impl CryptoRng) -> Self {
        let mut wide = Zeroizing::new([0; 64]);
        rng.fill_bytes(wide.as_mut());
        Self(Scalar::from_bytes_mod_order_wide(&wide))
    }

    /// 64 uniform bytes, reduced.
    pub(super) fn from_wide(wide: &[u8; 64]) -> Self {
        Self(Scalar::from_bytes_mod_order_wide(wide))
    }

    /// 32 bytes, little-endian; `None` if they are not reduced, or zero.
    pub(super) fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        let scalar = Option::<Scalar>::from(Scalar::from_canonical_bytes(*bytes)).map(Self)?;
        (!scalar.is_zero()).then_some(scalar)
    }

    pub(super) fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    pub(super) fn is_zero(&self) -> bool {
        self.0 == Scalar::ZERO
    }

    pub(super) fn half(&self) -> Self {
        Self(self.0.div_by_2())
    }

    pub(super) fn inverse(&self) -> Self {
        Self(self.0.invert())
    }

    pub(super) fn times(&self, other: &Self) -> Self {
        Self(self.0 * other.0)
    }

    /// `self - weight * key`: the answer of a proof, which is public.
    pub(super) fn answer(&self, weight: &Weight, key: &Self) -> Weight {
        Weight(self.0 - weight.0 * key.0)
    }
}

/// A number modulo the group's order that everybody may know.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Weight(Scalar);

impl Weight {
    /// 64 uniform bytes, reduced.
    pub(super) fn from_wide(wide: &[u8; 64]) -> Self {
        Self(Scalar::from_bytes_mod_order_wide(wide))
    }

    /// 32 bytes, little-endian; `None` if they are not reduced.
    pub(super) fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        Option::<Scalar>::from(Scalar::from_canonical_bytes(*bytes)).map(Self)
    }

    pub(super) fn to_bytes(self) -> [u8; 32] {
        self.0.to_bytes()
    }
}

/// One point.
#[derive(Clone, Copy)]
pub(super) struct Point(RistrettoPoint);

impl Point {
    /// The group's generator.
    pub(super) const GENERATOR: Self = Self(RISTRETTO_BASEPOINT_POINT);

    /// Reads a canonical encoding that is not the neutral element's.
    pub(super) fn decode(bytes: &Encoded) -> Result<Self, Fault> {
        let Some(point) = CompressedRistretto(*bytes).decompress() else {
            return Err(fault(bytes));
        };
        if point.is_identity() {
            return Err(Fault::Identity);
        }
        Ok(Self(point))
    }

    pub(super) fn encode(&self) -> Encoded {
        self.0.compress().to_bytes()
    }

    pub(super) fn times(&self, secret: &Secret) -> Self {
        Self(self.0 * secret.0)
    }

    pub(super) fn doubled(&self) -> Self {
        Self(self.0 + self.0)
    }

    /// The generator times a secret.
    pub(super) fn mul_base(secret: &Secret) -> Self {
        Self(RistrettoPoint::mul_base(&secret.0))
    }

    /// `a * self + b * other`, of public values.
    pub(super) fn pair(&self, a: &Weight, other: &Self, b: &Weight) -> Self {
        Self(RistrettoPoint::vartime_multiscalar_mul(
            [a.0, b.0],
            [self.0, other.0],
        ))
    }
}

/// Why `bytes` are no point: asked only once they were refused.
fn fault(bytes: &Encoded) -> Fault {
    let (first, last) = (bytes[0], bytes[31]);
    let middle = &bytes[1..31];
    if last > 0x7f || (last == 0x7f && middle.iter().all(|byte| *byte == 0xff) && first >= 0xed) {
        Fault::NotCanonical
    } else if first & 1 == 1 {
        Fault::Negative
    } else {
        Fault::NotOnCurve
    }
}

/// A batch of points. Not zeroized: [`Masks`] are.
pub(super) struct Points(Vec<RistrettoPoint>);

impl Points {
    /// Reads canonical encodings, none of which is the neutral element's.
    pub(super) fn decode(encoded: &[Encoded]) -> Result<Self, PointError> {
        let read = |(index, bytes)| match Point::decode(bytes) {
            Ok(point) => Ok(point.0),
            Err(fault) => Err(PointError { index, fault }),
        };
        Ok(Self(
            encoded
                .iter()
                .enumerate()
                .map(read)
                .collect::<Result<_, _>>()?,
        ))
    }

    /// Maps 64 uniform bytes each to a point (RFC 9496 section 4.3.4).
    pub(super) fn from_uniform(uniform: impl Iterator<Item = [u8; 64]>) -> Self {
        Self(
            uniform
                .map(|bytes| RistrettoPoint::from_uniform_bytes(&bytes))
                .collect(),
        )
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The secret times each of them, which stay.
    pub(super) fn clone_times(&self, secret: &Secret) -> Self {
        Self(self.0.iter().map(|point| point * secret.0).collect())
    }

    /// Multiplies each by the secret.
    pub(super) fn times(mut self, secret: &Secret) -> Self {
        for point in &mut self.0 {
            *point *= secret.0;
        }
        self
    }

    /// Doubles each.
    pub(super) fn doubled(mut self) -> Self {
        for point in &mut self.0 {
            *point += *point;
        }
        self
    }

    /// The encodings of twice each point. One inversion for a block of them: an eighth of what encoding one alone costs.
    pub(super) fn encode_doubled(&self) -> Vec<Encoded> {
        self.0
            .chunks(BLOCK)
            .flat_map(RistrettoPoint::double_and_compress_batch)
            .map(|point| point.to_bytes())
            .collect()
    }

    /// The sum of `weights[i]` times point `i`, of public values.
    pub(super) fn weigh(&self, weights: &[Weight]) -> Point {
        Point(RistrettoPoint::vartime_multiscalar_mul(
            weights.iter().map(|weight| weight.0),
            &self.0,
        ))
    }

    pub(super) fn plus(mut self, masks: &Masks) -> Self {
        for (point, mask) in self.0.iter_mut().zip(&masks.0) {
            *point += mask;
        }
        self
    }

    pub(super) fn minus(mut self, masks: &Masks) -> Self {
        for (point, mask) in self.0.iter_mut().zip(&masks.0) {
            *point -= mask;
        }
        self
    }
}

/// Secret multiples of a public point, one for each point of a batch. Zeroized when they are dropped.
pub(super) struct Masks(Vec<RistrettoPoint>);

impl Drop for Masks {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests;
