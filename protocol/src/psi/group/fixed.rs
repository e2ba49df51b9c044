//! Multiples of a fixed point by secret numbers, in constant time.
//!
//! Why: blinding takes two such multiples an item, and a table of the point's multiples saves the doublings. In scope: the
//! table. Out of scope: which numbers.

use std::sync::LazyLock;

use curve25519_dalek::ristretto::RistrettoBasepointTable;

use super::{Masks, Point, Secret};

/// A point with its table.
pub(in crate::psi) struct FixedBase(Box<RistrettoBasepointTable>);

impl FixedBase {
    pub(in crate::psi) fn new(point: &Point) -> Self {
        Self(Box::new(RistrettoBasepointTable::create(&point.0)))
    }

    /// The generator with its table.
    pub(in crate::psi) fn generator() -> &'static Self {
        static TABLE: LazyLock<FixedBase> = LazyLock::new(|| FixedBase::new(&Point::GENERATOR));
        &TABLE
    }

    /// The point times each of the secrets.
    pub(in crate::psi) fn times(&self, secrets: &[Secret]) -> Masks {
        Masks(secrets.iter().map(|secret| &*self.0 * &secret.0).collect())
    }
}
