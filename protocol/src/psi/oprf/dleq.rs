//! Proof that one key made every point of a batch: a discrete-logarithm equality of two sums.
//!
//! Spec: RFC 9497 section 2.2. In scope: making and checking. Out of scope: whose key it is (the manifest says).

use rand_core::CryptoRng;

use super::suite::{Expander, Mode, composite_seed};
use super::{Encoded, PROOF_ITEMS};
use crate::psi::group::{Point, Secret, Weight};

/// A proof: challenge and answer, 32 bytes each. What it says is checked with what it is about, not before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof(pub [u8; 64]);

/// What a proof is about: `evaluated[i] = k * blinded[i]` for the `k` of `public`.
pub(super) struct Claim<'a> {
    pub(super) mode: Mode,
    pub(super) public: &'a Encoded,
    pub(super) blinded: &'a [Encoded],
    pub(super) evaluated: &'a [Encoded],
}

impl Claim<'_> {
    /// The weight of each item (`di` of `ComputeComposites`). `None` if there are none, or more than an index can number.
    pub(super) fn weights(&self) -> Option<Vec<Weight>> {
        let items = self.blinded.len();
        if items == 0 || items > PROOF_ITEMS || items != self.evaluated.len() {
            return None;
        }
        let seed = composite_seed(self.mode, self.public);
        let expander = Expander::to_scalar(self.mode);
        let pairs = self.blinded.iter().zip(self.evaluated);
        let weights = (0..=u16::MAX)
            .zip(pairs)
            .map(|(index, (blinded, evaluated))| {
                Weight::from_wide(&expander.expand(&[
                    &64_u16.to_be_bytes(),
                    &seed,
                    &index.to_be_bytes(),
                    &32_u16.to_be_bytes(),
                    blinded,
                    &32_u16.to_be_bytes(),
                    evaluated,
                    b"Composite",
                ]))
            });
        Some(weights.collect())
    }

    fn challenge(&self, points: [&Point; 4]) -> Weight {
        let length = 32_u16.to_be_bytes();
        let encoded = points.map(Point::encode);
        let mut parts: Vec<&[u8]> = vec![&length, self.public];
        for point in &encoded {
            parts.push(&length);
            parts.push(point);
        }
        parts.push(b"Challenge");
        Weight::from_wide(&Expander::to_scalar(self.mode).expand(&parts))
    }

    /// `GenerateProof`: `sum` is the sum of the blinded points under the claim's weights, `nonce` fresh.
    pub(super) fn prove(&self, sum: &Point, key: &Secret, nonce: &Secret) -> Proof {
        let challenge = self.challenge([
            sum,
            &sum.times(key),
            &Point::mul_base(nonce),
            &sum.times(nonce),
        ]);
        let answer = nonce.answer(&challenge, key);
        let mut proof = [0; 64];
        proof[..32].copy_from_slice(&challenge.to_bytes());
        proof[32..].copy_from_slice(&answer.to_bytes());
        Proof(proof)
    }

    /// `VerifyProof`: `sum` of the blinded and `product` of the evaluated points under the claim's weights.
    pub(super) fn holds(&self, key: &Point, sum: &Point, product: &Point, proof: &Proof) -> bool {
        let Some((challenge, answer)) = proof.read() else {
            return false;
        };
        let commitments = (
            Point::GENERATOR.pair(&answer, key, &challenge),
            sum.pair(&answer, product, &challenge),
        );
        self.challenge([sum, product, &commitments.0, &commitments.1]) == challenge
    }
}

impl Proof {
    fn read(&self) -> Option<(Weight, Weight)> {
        let (challenge, answer) = self.0.split_first_chunk()?;
        Some((
            Weight::from_bytes(challenge)?,
            Weight::from_bytes(answer.first_chunk()?)?,
        ))
    }
}

/// A fresh nonce of a proof.
pub(super) fn nonce(rng: &mut impl CryptoRng) -> Secret {
    Secret::random(rng)
}
