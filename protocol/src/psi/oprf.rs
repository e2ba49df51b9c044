//! The oblivious pseudorandom function of private matching: `k * X(x)` for a server's key `k` and a client's input `x`,
//! without showing either.
//!
//! Why: a client can compute tags of its own items, and of no others, and only with the server's help. Spec: RFC 9497 (modes
//! OPRF and VOPRF), ristretto255-SHA512, byte for byte towards a server. Three things are ours, and outside of the RFC's analysis:
//!
//! - The point of an input is `X(x) = 2 * HashToGroup(x)`. Doubling is a bijection of a group of prime order; and a point that is
//!   twice another is encoded in a batch, with one inversion for all.
//! - With a proof, a client blinds by adding: `B = X + r*G`, `U = E - r*pk` ([`Blinds`], ADR 0021). `B` is uniform, as it is
//!   when blinded by multiplying; the client must know that `pk` is the server's: the manifest is signed, and the proof checked.
//! - A tag is made of the encoding of `2U`, for the same reason as above, and not of the RFC's `Finalize`.
//!
//! In scope: keys, blinding, evaluation, proofs. Out of scope: who may ask (`policy`), tags, threads (a caller splits batches).
//! Points and scalars that are secret are handled in constant time and zeroized; fingerprints are the caller's.

mod dleq;
mod suite;

use std::fmt;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::group::{BLOCK, Encoded, Fault, FixedBase, Masks, Point, PointError, Points, Secret};
use dleq::Claim;
use suite::Expander;

pub use dleq::Proof;
pub use suite::Mode;

/// Items under one proof: its index has 16 bits (RFC 9497 section 2.2.1).
pub const PROOF_ITEMS: usize = 65_535;

/// A batch that cannot be evaluated with a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// No points, or more than a proof covers.
    #[error("{got} points, from 1 to {PROOF_ITEMS} go under one proof")]
    Size {
        /// Their number.
        got: usize,
    },
    /// A point that is refused.
    #[error(transparent)]
    Point(#[from] PointError),
}

/// An evaluation that a client does not take: no tag is made of any point of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FinishError {
    /// More or fewer points than were sent.
    #[error("{got} points came back, expected {expected}")]
    Count {
        /// As many as were blinded.
        expected: usize,
        /// As many as came.
        got: usize,
    },
    /// A point that is refused.
    #[error(transparent)]
    Point(#[from] PointError),
    /// The proof does not hold: another key, another order, or other points.
    #[error("the proof of the evaluation does not hold")]
    Proof,
}

/// A server's public key: a point that is not the neutral element.
#[derive(Clone, Copy)]
pub struct PublicKey {
    encoded: Encoded,
    point: Point,
}

impl PublicKey {
    /// Reads 32 bytes.
    ///
    /// # Errors
    /// [`Fault`] if they are not the encoding of a point, or the neutral element's.
    pub fn from_bytes(bytes: &Encoded) -> Result<Self, Fault> {
        let point = Point::decode(bytes)?;
        Ok(Self {
            encoded: *bytes,
            point,
        })
    }

    /// Its 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &Encoded {
        &self.encoded
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.encoded == other.encoded
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.encoded;
        write!(f, "PublicKey({a:02x}{b:02x}{c:02x}{d:02x}..)")
    }
}

/// What a server answers: `points[i]` is the key times the blinded point `i`, and the proof says so for all of them.
#[derive(Clone, PartialEq, Eq)]
pub struct Evaluation {
    /// In the order of the blinded points.
    pub points: Vec<Encoded>,
    /// Over all of them.
    pub proof: Proof,
}

impl fmt::Debug for Evaluation {
    /// Points are shown to nobody.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Evaluation({} points)", self.points.len())
    }
}

/// An item of an artifact: `P = k * X(x)`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// The encoding of `P`: kept, so that a new key needs no new hashing ([`Ratio`]).
    pub point: Encoded,
    /// The encoding of `2P`: what its tag is made of.
    pub doubled: Encoded,
}

/// `X(x)` of each input, halved: `HashToGroup(x)`. An input is at most 65,535 bytes long, as all ours are by far. No input is
/// known, or can be found, whose point is the neutral element.
fn halves<'a>(mode: Mode, inputs: impl Iterator<Item = &'a [u8]>) -> Points {
    let expander = Expander::to_group(mode);
    Points::from_uniform(inputs.map(|input| expander.expand(&[input])))
}

/// Points `P / 2` to items.
fn items(halves: Points) -> Vec<Item> {
    let points = halves.encode_doubled();
    let doubled = halves.doubled().encode_doubled();
    points
        .into_iter()
        .zip(doubled)
        .map(|(point, doubled)| Item { point, doubled })
        .collect()
}

/// A server's secret key: of one epoch, group, fingerprint type and mode. Zeroized when it is dropped.
pub struct ServerKey {
    secret: Secret,
    public: PublicKey,
    mode: Mode,
}

impl ServerKey {
    fn new(secret: Secret, mode: Mode) -> Self {
        let point = Point::mul_base(&secret);
        let encoded = point.encode();
        Self {
            secret,
            public: PublicKey { encoded, point },
            mode,
        }
    }

    /// A random key.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        loop {
            let secret = Secret::random(rng);
            if !secret.is_zero() {
                return Self::new(secret, Mode::Voprf);
            }
        }
    }

    /// The key of a 32-byte seed: `DeriveKeyPair` of RFC 9497 section 3.2.1, mode VOPRF.
    ///
    /// `info` names what the key is for; at most 65,535 bytes of it count.
    #[must_use]
    pub fn derive(seed: &[u8; 32], info: &[u8]) -> Self {
        Self::derive_in(Mode::Voprf, seed, info)
    }

    fn derive_in(mode: Mode, seed: &[u8; 32], info: &[u8]) -> Self {
        let info = &info[..info.len().min(usize::from(u16::MAX))];
        let length = u16::try_from(info.len()).unwrap_or(u16::MAX).to_be_bytes();
        let expander = Expander::to_key(mode);
        let mut counter = 0_u8;
        loop {
            let wide = Zeroizing::new(expander.expand(&[seed, &length, info, &[counter]]));
            let secret = Secret::from_wide(&wide);
            if !secret.is_zero() {
                return Self::new(secret, mode);
            }
            counter = counter.wrapping_add(1);
        }
    }

    /// A key that was kept: 32 bytes, little-endian. `None` if they are not reduced, or zero.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        Some(Self::new(Secret::from_bytes(bytes)?, Mode::Voprf))
    }

    /// The secret, to be sealed and kept.
    #[must_use]
    pub fn expose(&self) -> Zeroizing<[u8; 32]> {
        self.secret.to_bytes()
    }

    /// `k * G`.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// `k` times each blinded point, without a proof.
    ///
    /// # Errors
    /// [`PointError`] for the first point that is refused.
    pub fn evaluate(&self, blinded: &[Encoded]) -> Result<Vec<Encoded>, PointError> {
        Ok(Points::decode(blinded)?
            .times(&self.secret.half())
            .encode_doubled())
    }

    /// `k` times each blinded point, with a proof. From 1 to [`PROOF_ITEMS`] points.
    ///
    /// # Errors
    /// [`BatchError`].
    pub fn evaluate_proven(
        &self,
        blinded: &[Encoded],
        rng: &mut impl CryptoRng,
    ) -> Result<Evaluation, BatchError> {
        self.evaluate_with(blinded, &dleq::nonce(rng))
    }

    fn evaluate_with(&self, blinded: &[Encoded], nonce: &Secret) -> Result<Evaluation, BatchError> {
        let size = BatchError::Size { got: blinded.len() };
        if blinded.len() > PROOF_ITEMS {
            return Err(size);
        }
        let points = Points::decode(blinded)?;
        let evaluated = points.clone_times(&self.secret.half()).encode_doubled();
        let claim = Claim {
            mode: self.mode,
            public: &self.public.encoded,
            blinded,
            evaluated: &evaluated,
        };
        let sum = points.weigh(&claim.weights().ok_or(size)?);
        let proof = claim.prove(&sum, &self.secret, nonce);
        Ok(Evaluation {
            points: evaluated,
            proof,
        })
    }

    /// The items of an artifact, in the order of the inputs.
    pub fn items<'a>(&self, inputs: impl Iterator<Item = &'a [u8]>) -> Vec<Item> {
        let mut inputs = inputs.peekable();
        let mut made = Vec::with_capacity(inputs.size_hint().0);
        while inputs.peek().is_some() {
            let block = halves(self.mode, inputs.by_ref().take(BLOCK));
            made.extend(items(block.times(&self.secret)));
        }
        made
    }

    /// `k * X(x)` of inputs that are shown, with a proof, for who may see them. From 1 to [`PROOF_ITEMS`] inputs.
    ///
    /// # Errors
    /// [`BatchError::Size`].
    pub fn open<'a>(
        &self,
        inputs: impl Iterator<Item = &'a [u8]>,
        rng: &mut impl CryptoRng,
    ) -> Result<Evaluation, BatchError> {
        self.evaluate_proven(&halves(self.mode, inputs).encode_doubled(), rng)
    }

    /// What takes points of this key to points of the `next`.
    #[must_use]
    pub fn ratio_to(&self, next: &Self) -> Ratio {
        Ratio(self.secret.inverse().times(&next.secret))
    }
}

/// `k' / k`: takes the points of one key to those of another. Zeroized when it is dropped; with either key it tells the other.
pub struct Ratio(Secret);

impl Ratio {
    /// The items of the next key, from the `point` of each item of the last.
    ///
    /// # Errors
    /// [`PointError`] for the first point that is damaged.
    pub fn apply(&self, points: &[Encoded]) -> Result<Vec<Item>, PointError> {
        let half = self.0.half();
        let mut made = Vec::with_capacity(points.len());
        for (block, points) in points.chunks(BLOCK).enumerate() {
            let points = Points::decode(points).map_err(|error| error.after(block * BLOCK))?;
            made.extend(items(points.times(&half)));
        }
        Ok(made)
    }
}

/// A batch that a client has blinded: `B = X + r*G`, with a fresh `r` for each item. Zeroized when it is dropped.
pub struct Blinds {
    /// `r / 2` of each.
    secrets: Vec<Secret>,
    /// `B / 2` of each.
    halves: Points,
    encoded: Vec<Encoded>,
}

impl Blinds {
    /// Blinds inputs. The generator gives 64 bytes for each, in their order: who knows its seed can open the batch.
    pub fn draw<'a>(inputs: impl Iterator<Item = &'a [u8]>, rng: &mut impl CryptoRng) -> Self {
        let halves = halves(Mode::Voprf, inputs);
        let secrets: Vec<_> = (0..halves.len()).map(|_| Secret::random(rng)).collect();
        let halves = halves.plus(&FixedBase::generator().times(&secrets));
        let encoded = halves.encode_doubled();
        Self {
            secrets,
            halves,
            encoded,
        }
    }

    /// The blinded points, as they are sent.
    #[must_use]
    pub fn points(&self) -> &[Encoded] {
        &self.encoded
    }
}

/// A server's public key, prepared for checking and unblinding many batches.
pub struct Verifier {
    public: PublicKey,
    /// The table of twice the key: blinds are kept halved.
    twice_key: FixedBase,
}

impl Verifier {
    /// Prepares a key, which the caller knows to be the server's: blinding by adding is not safe otherwise (ADR 0021).
    #[must_use]
    pub fn new(public: &PublicKey) -> Self {
        Self {
            public: *public,
            twice_key: FixedBase::new(&public.point.doubled()),
        }
    }

    /// Checks an evaluation of a batch, and unblinds it: the encodings of `2U` for `U = k * X(x)`, in the order of the inputs.
    /// Several keys may evaluate one batch.
    ///
    /// # Errors
    /// [`FinishError`]; then no point is unblinded.
    pub fn finish(
        &self,
        blinds: &Blinds,
        evaluation: &Evaluation,
    ) -> Result<Vec<Encoded>, FinishError> {
        let evaluated = self.checked(&blinds.encoded, &blinds.halves, evaluation)?;
        let masks: Masks = self.twice_key.times(&blinds.secrets);
        Ok(evaluated.minus(&masks).encode_doubled())
    }

    /// Checks [`ServerKey::open`] of inputs that both know: the encodings of `2P`, in their order.
    ///
    /// # Errors
    /// [`FinishError`].
    pub fn check<'a>(
        &self,
        inputs: impl Iterator<Item = &'a [u8]>,
        evaluation: &Evaluation,
    ) -> Result<Vec<Encoded>, FinishError> {
        let halves = halves(Mode::Voprf, inputs);
        let evaluated = self.checked(&halves.encode_doubled(), &halves, evaluation)?;
        Ok(evaluated.encode_doubled())
    }

    /// The evaluated points, once the proof holds.
    fn checked(
        &self,
        blinded: &[Encoded],
        halves: &Points,
        evaluation: &Evaluation,
    ) -> Result<Points, FinishError> {
        let (expected, got) = (blinded.len(), evaluation.points.len());
        if expected != got {
            return Err(FinishError::Count { expected, got });
        }
        let evaluated = Points::decode(&evaluation.points)?;
        let claim = Claim {
            mode: Mode::Voprf,
            public: &self.public.encoded,
            blinded,
            evaluated: &evaluation.points,
        };
        let Some(weights) = claim.weights() else {
            return Err(FinishError::Proof);
        };
        let sum = halves.weigh(&weights).doubled();
        let product = evaluated.weigh(&weights);
        if !claim.holds(&self.public.point, &sum, &product, &evaluation.proof) {
            return Err(FinishError::Proof);
        }
        Ok(evaluated)
    }
}

/// The blind of a counting session: one fresh `r` for all items, `B = r * X`, so that the server may shuffle. Zeroized when it
/// is dropped.
pub struct CountBlind {
    secret: Secret,
    inverse: Secret,
    mode: Mode,
}

impl CountBlind {
    fn new(secret: Secret, mode: Mode) -> Self {
        let inverse = secret.inverse();
        Self {
            secret,
            inverse,
            mode,
        }
    }

    /// A fresh blind, from 64 bytes of the generator.
    pub fn draw(rng: &mut impl CryptoRng) -> Self {
        loop {
            let secret = Secret::random(rng);
            if !secret.is_zero() {
                return Self::new(secret, Mode::Voprf);
            }
        }
    }

    /// `r * X` of each input, in their order.
    pub fn blind<'a>(&self, inputs: impl Iterator<Item = &'a [u8]>) -> Vec<Encoded> {
        halves(self.mode, inputs)
            .times(&self.secret)
            .encode_doubled()
    }

    /// The encodings of `2U` for each evaluated point, in their order.
    ///
    /// # Errors
    /// [`PointError`] for the first point that is refused.
    pub fn unblind(&self, points: &[Encoded]) -> Result<Vec<Encoded>, PointError> {
        Ok(Points::decode(points)?
            .times(&self.inverse)
            .encode_doubled())
    }
}

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;
