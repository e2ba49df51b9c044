//! The batches of a session: that they go on where the last one ended, and what the session commits to.
//!
//! Why: quota is charged for what was declared, and an audit may later ask which list a session was about. The commitment is
//! `B3["match-query"](session || B_0 || B_1 || ...)` over all blinded items in order; both sides compute it. With the seed of
//! its blinds and its list, the asking side can show that the list is the one that it asked about.

use super::exchange::Batch;
use super::space::SessionId;
use crate::b3::{self, Hash, Running};
use crate::limits;

/// Why a batch is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// It does not go on where the last one ended.
    #[error("batch: begins with item {got}, expected {expected}")]
    First {
        /// The next item.
        expected: u64,
        /// Where it begins.
        got: u64,
    },
    /// No items, or more than one frame may have.
    #[error("batch: {got} items, expected 1 to {}", limits::MATCH_BATCH)]
    Size {
        /// Their number.
        got: usize,
    },
    /// It goes beyond the items that the session declared.
    #[error("batch: up to item {got}, but the session has {expected}")]
    Past {
        /// What was declared.
        expected: u64,
        /// Where it would end.
        got: u64,
    },
    /// The session ends with fewer items than it declared.
    #[error("the session ends after {got} of {expected} items")]
    Short {
        /// What was declared.
        expected: u64,
        /// What came.
        got: u64,
    },
    /// The other side commits to other items.
    #[error("the session ends with the commitment to another list")]
    Commitment,
}

/// The blinded items of one session, as they come.
#[derive(Clone)]
pub struct Query {
    items: u64,
    next: u64,
    hash: Running,
}

impl std::fmt::Debug for Query {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Query({} of {})", self.next, self.items)
    }
}

impl Query {
    /// A session that declares so many items.
    #[must_use]
    pub fn new(session: &SessionId, items: u64) -> Self {
        let mut hash = b3::MATCH_QUERY.running();
        hash.update(&session.0);
        Self {
            items,
            next: 0,
            hash,
        }
    }

    /// Number of the next item.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Takes the next batch.
    ///
    /// # Errors
    /// [`BatchError`]; nothing is taken then.
    pub fn take(&mut self, batch: &Batch) -> Result<(), BatchError> {
        let points = &batch.points.0;
        if points.is_empty() || points.len() > limits::MATCH_BATCH {
            return Err(BatchError::Size { got: points.len() });
        }
        if batch.first != self.next {
            return Err(BatchError::First {
                expected: self.next,
                got: batch.first,
            });
        }
        let got = self.next.saturating_add(points.len() as u64);
        if got > self.items {
            return Err(BatchError::Past {
                expected: self.items,
                got,
            });
        }
        self.hash.update(points.as_flattened());
        self.next = got;
        Ok(())
    }

    /// The commitment to what was taken so far.
    #[must_use]
    pub fn hash(&self) -> Hash {
        self.hash.finish()
    }

    /// Ends the session: every item came, and the other side commits to the same ones.
    ///
    /// # Errors
    /// [`BatchError::Short`] or [`BatchError::Commitment`].
    pub fn finish(&self, claimed: &Hash) -> Result<(), BatchError> {
        if self.next < self.items {
            return Err(BatchError::Short {
                expected: self.items,
                got: self.next,
            });
        }
        if self.hash() != *claimed {
            return Err(BatchError::Commitment);
        }
        Ok(())
    }
}

/// `B3["match-blinds"](seed)`: what a record says of the seed of its session's blinds.
#[must_use]
pub fn blinds_commitment(seed: &[u8; 32]) -> Hash {
    b3::MATCH_BLINDS.hash(&[seed])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::psi::Points;

    const SESSION: SessionId = SessionId([5; 16]);

    fn batch(first: u64, count: usize) -> Batch {
        let points = (0..count).map(|n| [u8::try_from(n).unwrap_or(0); 32]);
        Batch {
            first,
            points: Points(points.collect()),
        }
    }

    #[test]
    fn batch_that_goes_on_at_the_wrong_index_is_refused() {
        let mut query = Query::new(&SESSION, 10);
        assert_eq!(query.take(&batch(0, 4)), Ok(()));
        for got in [0, 3, 5] {
            let expected = BatchError::First { expected: 4, got };
            assert_eq!(query.take(&batch(got, 1)), Err(expected));
        }
        assert_eq!(query.next(), 4);
    }

    #[test]
    fn session_takes_exactly_what_it_declared() {
        let mut query = Query::new(&SESSION, 4);
        let past = BatchError::Past {
            expected: 4,
            got: 5,
        };
        assert_eq!(query.take(&batch(0, 5)), Err(past));
        assert_eq!(query.take(&batch(0, 0)), Err(BatchError::Size { got: 0 }));
        let got = limits::MATCH_BATCH + 1;
        assert_eq!(query.take(&batch(0, got)), Err(BatchError::Size { got }));
        assert_eq!(query.take(&batch(0, 3)), Ok(()));
        let short = BatchError::Short {
            expected: 4,
            got: 3,
        };
        assert_eq!(query.finish(&query.hash()), Err(short));
        assert_eq!(query.take(&batch(3, 1)), Ok(()));
        assert_eq!(query.finish(&[0; 32]), Err(BatchError::Commitment));
        assert_eq!(query.finish(&query.hash()), Ok(()));
    }

    #[test]
    fn commitment_is_over_the_items_in_order_however_they_are_cut() {
        let (mut whole, mut cut) = (Query::new(&SESSION, 5), Query::new(&SESSION, 5));
        whole.take(&batch(0, 5)).unwrap();
        cut.take(&batch(0, 2)).unwrap();
        let rest = batch(0, 5).points.0.split_off(2);
        let (first, points) = (2, Points(rest));
        cut.take(&Batch { first, points }).unwrap();
        assert_eq!(whole.hash(), cut.hash());
        let mut other = batch(0, 5);
        other.points.0.swap(0, 1);
        let mut swapped = Query::new(&SESSION, 5);
        swapped.take(&other).unwrap();
        assert_ne!(swapped.hash(), whole.hash());
        let mut elsewhere = Query::new(&SessionId([6; 16]), 5);
        elsewhere.take(&batch(0, 5)).unwrap();
        assert_ne!(elsewhere.hash(), whole.hash());
    }
}
