//! Openings for an auditor: what a centre's sealed leaves say, leaf by leaf, as one file.
//!
//! Why: a log is mirrored by everybody, and who gives what to whom is not everybody's business; so the log holds salted
//! hashes, and an auditor is given what opens them. A bundle needs no signature: each object in it is signed, and each
//! opening either equals what the log holds or not. It names deltas, classes and counts, and holds no fingerprint.
//! Spec: `docs/protocol.md`, "Openings". In scope: bytes. Out of scope: whether they open anything (`openings`).

use std::fmt;
use std::ops::Range;

use hashpact_keys::canonical::{Written, encode};
use hashpact_keys::reader::{ReadError, Reader, ShapeError};
use hashpact_keys::{NetworkId, Origin};

use crate::limits;
use crate::transfer::Salt;

/// What opens one sealed leaf.
#[derive(Clone, PartialEq, Eq)]
pub struct Opened {
    /// The leaf's index.
    pub leaf: u64,
    /// The salt of its commitment.
    pub salt: Salt,
    /// The statement, recall or acknowledgement.
    pub signed: Vec<u8>,
}

// A salt opens what a log keeps sealed: it is never shown.
impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opened(leaf {})", self.leaf)
    }
}

/// The openings of a piece of one log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// The network.
    pub network: NetworkId,
    /// The log.
    pub origin: Origin,
    /// The leaves that it speaks of: each sealed one among them is opened, or its centre does not open it.
    pub leaves: Range<u64>,
    /// Openings, by leaf, ascending.
    pub opened: Vec<Opened>,
    /// Statements of others that a relay showed: they stand in no leaf of this log, but statements that do rest on them.
    pub shown: Vec<Vec<u8>>,
}

/// Why bytes are no bundle of openings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// More bytes than a bundle has.
    #[error(
        "{got} bytes, a bundle of openings has at most {}",
        limits::OPENINGS_BYTES
    )]
    TooLarge {
        /// Their number.
        got: usize,
    },
    /// Not canonical or not of this format.
    #[error("no bundle of openings: {0}")]
    Read(#[from] ReadError),
    /// A value that the format does not allow.
    #[error("no bundle of openings: {expected}")]
    Value {
        /// What is allowed.
        expected: &'static str,
    },
}

impl Bundle {
    /// `[1, network, origin, from, to, [[leaf, salt, signed]...], [signed...]]`.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(|e| {
            e.array(7)?
                .u8(1)?
                .bytes(self.network.as_bytes())?
                .str(self.origin.as_str())?
                .u64(self.leaves.start)?
                .u64(self.leaves.end)?
                .array(self.opened.len() as u64)?;
            self.opened.iter().try_for_each(|opened| -> Written {
                e.array(3)?.u64(opened.leaf)?.bytes(&opened.salt)?;
                e.bytes(&opened.signed)?.ok()
            })?;
            e.array(self.shown.len() as u64)?;
            let mut shown = self.shown.iter();
            shown.try_for_each(|signed| -> Written { e.bytes(signed)?.ok() })
        })
    }

    /// Reads a bundle, strictly. Nothing in it is verified.
    ///
    /// # Errors
    /// [`BundleError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BundleError> {
        let got = bytes.len();
        if got > limits::OPENINGS_BYTES {
            return Err(BundleError::TooLarge { got });
        }
        let mut reader = Reader::new(bytes).map_err(ReadError::from)?;
        let bundle = read(&mut reader)?;
        let Range { start, end } = bundle.leaves;
        let inside = |opened: &Opened| (start..end).contains(&opened.leaf);
        let ascending = |pair: &[Opened]| pair[0].leaf < pair[1].leaf;
        if start > end || end > limits::LOG_LEAVES || !bundle.opened.iter().all(inside) {
            let expected = "leaves within the range that it names";
            return Err(BundleError::Value { expected });
        }
        if !bundle.opened.windows(2).all(ascending) {
            let expected = "leaves, ascending";
            return Err(BundleError::Value { expected });
        }
        Ok(bundle)
    }
}

fn read(reader: &mut Reader<'_>) -> Result<Bundle, BundleError> {
    let shape = |error: ShapeError| BundleError::Read(error.into());
    reader.array(7).map_err(shape)?;
    if reader.u8().map_err(shape)? != 1 {
        let expected = "the format is 1";
        return Err(BundleError::Value { expected });
    }
    let network = NetworkId::new(*reader.fixed().map_err(shape)?);
    let expected = "an origin line";
    let origin = reader.text().map_err(shape)?.parse();
    let origin = origin.map_err(|_| BundleError::Value { expected })?;
    let leaves = reader.u64().map_err(shape)?..reader.u64().map_err(shape)?;
    let mut opened = Vec::new();
    for _ in 0..reader.list(limits::OPENINGS_BYTES).map_err(shape)? {
        reader.array(3).map_err(shape)?;
        opened.push(Opened {
            leaf: reader.u64().map_err(shape)?,
            salt: *reader.fixed().map_err(shape)?,
            signed: signed(reader)?,
        });
    }
    let mut shown = Vec::new();
    for _ in 0..reader.list(limits::OPENINGS_BYTES).map_err(shape)? {
        shown.push(signed(reader)?);
    }
    Ok(Bundle {
        network,
        origin,
        leaves,
        opened,
        shown,
    })
}

fn signed(reader: &mut Reader<'_>) -> Result<Vec<u8>, BundleError> {
    let bytes = reader.bytes().map_err(ReadError::from)?;
    if bytes.len() > limits::STATEMENT_BYTES {
        let expected = "no object above the size of a statement";
        return Err(BundleError::Value { expected });
    }
    Ok(bytes.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle() -> Bundle {
        let opened = |leaf| Opened {
            leaf,
            salt: [3; 16],
            signed: vec![1, 2],
        };
        Bundle {
            network: NetworkId::new([9; 32]),
            origin: "eu.example/eu/1".parse().unwrap(),
            leaves: 3..9,
            opened: vec![opened(3), opened(8)],
            shown: vec![vec![4]],
        }
    }

    #[test]
    fn a_bundle_is_read_as_it_was_written_and_cut_nowhere() {
        let bytes = bundle().to_bytes();
        assert_eq!(Bundle::from_bytes(&bytes), Ok(bundle()));
        for end in 0..bytes.len() {
            assert!(Bundle::from_bytes(&bytes[..end]).is_err(), "{end}");
        }
        let long = [&bytes[..], &[0]].concat();
        assert!(Bundle::from_bytes(&long).is_err());
    }

    #[test]
    fn openings_out_of_order_repeated_or_out_of_range_are_refused() {
        let refused = |change: &dyn Fn(&mut Bundle)| {
            let mut bundle = bundle();
            change(&mut bundle);
            let read = Bundle::from_bytes(&bundle.to_bytes());
            assert!(matches!(read, Err(BundleError::Value { .. })), "{read:?}");
        };
        refused(&|it| it.opened.swap(0, 1));
        refused(&|it| it.opened[1].leaf = 3);
        refused(&|it| it.opened[1].leaf = 9);
        refused(&|it| it.opened[0].leaf = 2);
        refused(&|it| it.leaves.start = 20);
        refused(&|it| it.opened[0].signed = vec![0; limits::STATEMENT_BYTES + 1]);
    }

    #[test]
    fn a_bundle_above_its_bound_is_not_read() {
        let got = limits::OPENINGS_BYTES + 1;
        assert_eq!(
            Bundle::from_bytes(&vec![0; got]),
            Err(BundleError::TooLarge { got })
        );
    }

    #[test]
    fn no_salt_is_shown() {
        let text = format!("{:?}", bundle());
        assert!(!text.contains("3, 3"), "{text}");
    }
}
