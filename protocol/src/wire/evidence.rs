//! The messages by which objects beside deltas travel, and by which an origin hears that its retractions were applied.
//!
//! `[10, [object...]]`, `[11, [hash...]]`, `[12, origin, below]`. Objects are carried as the bytes that were signed and
//! read by `evidence`.

use minicbor::{Decoder, Encoder};

use super::transfers::{Encoded, list};
use super::{Message, WireError, hash, origin, uint};
use crate::delta::Seq;
use crate::limits;

impl Message {
    pub(super) fn encode_evidence(&self, e: &mut Encoder<Vec<u8>>) -> Encoded {
        match self {
            Self::Evidence(objects) => {
                e.array(2)?.u8(10)?.array(objects.len() as u64)?;
                let mut objects = objects.iter();
                objects.try_for_each(|object| e.bytes(object).map(drop))
            }
            Self::Heard(hashes) => {
                e.array(2)?.u8(11)?.array(hashes.len() as u64)?;
                hashes.iter().try_for_each(|hash| e.bytes(hash).map(drop))
            }
            Self::Applied { origin, below } => {
                e.array(3)?.u8(12)?.str(origin.as_str())?;
                e.u64(below.0).map(drop)
            }
            Self::Heads { .. }
            | Self::Fork(_)
            | Self::Propose(_)
            | Self::Terms { .. }
            | Self::Agreed(_)
            | Self::Logged(_)
            | Self::Recall(_)
            | Self::Acknowledged(_)
            | Self::Declined { .. } => Ok(()),
        }
    }

    pub(super) fn evidence(d: &mut Decoder<'_>, kind: u64, parts: u64) -> Result<Self, WireError> {
        match (kind, parts) {
            (10, 2) => {
                let count = some(list(d, limits::EVIDENCE_PER_MESSAGE)?)?;
                let objects = (0..count).map(|_| object(d));
                Ok(Self::Evidence(objects.collect::<Result<_, _>>()?))
            }
            (11, 2) => {
                let count = some(list(d, limits::EVIDENCE_PER_MESSAGE)?)?;
                let hashes = (0..count).map(|_| hash(d));
                Ok(Self::Heard(hashes.collect::<Result<_, _>>()?))
            }
            (12, 3) => Ok(Self::Applied {
                origin: origin(d)?,
                below: Seq(uint(d)?),
            }),
            _ => Err(WireError::Shape),
        }
    }
}

/// A message of nothing is none.
fn some(count: usize) -> Result<usize, WireError> {
    match count {
        0 => Err(WireError::Shape),
        count => Ok(count),
    }
}

fn object(d: &mut Decoder<'_>) -> Result<Vec<u8>, WireError> {
    let bytes = d.bytes().map_err(|_| WireError::Shape)?;
    let (got, max) = (bytes.len(), limits::EVIDENCE_BYTES);
    if got > max {
        return Err(WireError::TooLarge { got, max });
    }
    Ok(bytes.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_objects_round_trip() {
        for message in [
            Message::Evidence(vec![vec![1; 300], vec![2]]),
            Message::Heard(vec![[3; 32], [4; 32]]),
            Message::Applied {
                origin: "eu.example/eu/1".parse().unwrap(),
                below: Seq(9),
            },
        ] {
            assert_eq!(Message::from_bytes(&message.to_bytes()), Ok(message));
        }
    }

    #[test]
    fn one_object_too_many_or_one_byte_too_long_is_refused() {
        let most = limits::EVIDENCE_PER_MESSAGE;
        for (message, refused) in [
            (Message::Evidence(vec![vec![1]; most + 1]), WireError::Shape),
            (Message::Heard(vec![[1; 32]; most + 1]), WireError::Shape),
            (Message::Evidence(Vec::new()), WireError::Shape),
            (Message::Heard(Vec::new()), WireError::Shape),
        ] {
            assert_eq!(Message::from_bytes(&message.to_bytes()), Err(refused));
        }
        let (got, max) = (limits::EVIDENCE_BYTES + 1, limits::EVIDENCE_BYTES);
        let long = Message::Evidence(vec![vec![0; got]]);
        let refused = Err(WireError::TooLarge { got, max });
        assert_eq!(Message::from_bytes(&long.to_bytes()), refused);
    }
}
