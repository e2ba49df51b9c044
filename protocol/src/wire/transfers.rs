//! The messages by which two centres agree on a transfer before a byte of it flows.
//!
//! Propose (taker) → Terms (giver) → Agreed (taker) → Logged (giver), and Declined by either; later perhaps Recall (giver)
//! → Acknowledged (taker). Statements are carried as the
//! bytes that were signed and read by `transfer`.

use hashpact_keys::Origin;
use minicbor::data::Type;
use minicbor::{Decoder, Encoder};

use super::{Message, WireError, hash, origin, uint};
use crate::delta::Seq;
use crate::labels::{ClassId, Purpose};
use crate::limits;
use crate::lists::ClosedList;

/// What a taker asks for, and the policies that it asks under: giver and taker must go by the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// Chosen by the taker, not 0; what answers it repeats it.
    pub ask: u64,
    /// The log.
    pub origin: Origin,
    /// What for.
    pub purpose: Purpose,
    /// Log indices of the newest policy documents of giver, origin and taker, as the taker knows them.
    pub policies: [Option<u64>; 3],
    /// Deltas ascending, with their classes ascending.
    pub wanted: Vec<(Seq, Vec<ClassId>)>,
}

/// Why no transfer comes of a proposal or an agreement; the number is its code on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Decline {
    /// Nothing of what was asked for is given: policy does not allow it, or it is not held.
    #[error("nothing of it is given")]
    Nothing = 1,
    /// The giver cannot sign now, or was asked too often.
    #[error("not now")]
    Later = 2,
    /// The two do not know the same policies.
    #[error("the other side knows other policies")]
    Policies = 3,
    /// What was agreed is not what was offered, or may not be given any more.
    #[error("what was agreed may not be given")]
    Void = 4,
}

impl Decline {
    fn from_code(code: u64) -> Option<Self> {
        let all = [Self::Nothing, Self::Later, Self::Policies, Self::Void];
        all.into_iter().find(|why| *why as u64 == code)
    }
}

pub(super) type Encoded = Result<(), minicbor::encode::Error<std::convert::Infallible>>;

impl Message {
    pub(super) fn encode_transfer(&self, e: &mut Encoder<Vec<u8>>) -> Encoded {
        match self {
            Self::Heads { .. }
            | Self::Fork(_)
            | Self::Evidence(_)
            | Self::Heard(_)
            | Self::Applied { .. } => Ok(()),
            Self::Propose(proposal) => proposal.encode(e),
            Self::Terms { ask, offer, chain } => {
                e.array(4)?.u8(4)?.u64(*ask)?.bytes(offer)?;
                e.array(chain.len() as u64)?;
                chain.iter().try_for_each(|shown| e.bytes(shown).map(drop))
            }
            Self::Agreed(signed) => e.array(2)?.u8(5)?.bytes(signed).map(drop),
            Self::Recall(signed) => e.array(2)?.u8(8)?.bytes(signed).map(drop),
            Self::Acknowledged(signed) => e.array(2)?.u8(9)?.bytes(signed).map(drop),
            Self::Logged(statement) => e.array(2)?.u8(6)?.bytes(statement).map(drop),
            Self::Declined {
                ask,
                statement,
                why,
            } => {
                e.array(4)?.u8(7)?.u64(*ask)?;
                match statement {
                    Some(hash) => e.bytes(hash)?,
                    None => e.null()?,
                };
                e.u8(*why as u8).map(drop)
            }
        }
    }

    pub(super) fn transfer(d: &mut Decoder<'_>, kind: u64, parts: u64) -> Result<Self, WireError> {
        match (kind, parts) {
            (3, 8) => Ok(Self::Propose(Proposal::decode(d)?)),
            (4, 4) => {
                let (ask, offer) = (uint(d)?, statement(d)?);
                let shown = list(d, limits::CHAIN_STATEMENTS)?;
                let chain = (0..shown).map(|_| statement(d)).collect::<Result<_, _>>()?;
                Ok(Self::Terms { ask, offer, chain })
            }
            (5, 2) => Ok(Self::Agreed(statement(d)?)),
            (6, 2) => Ok(Self::Logged(hash(d)?)),
            (8, 2) => Ok(Self::Recall(statement(d)?)),
            (9, 2) => Ok(Self::Acknowledged(statement(d)?)),
            (7, 4) => Ok(Self::Declined {
                ask: uint(d)?,
                statement: optional(d, hash)?,
                why: Decline::from_code(uint(d)?).ok_or(WireError::Shape)?,
            }),
            _ => Err(WireError::Shape),
        }
    }
}

impl Proposal {
    fn encode(&self, e: &mut Encoder<Vec<u8>>) -> Encoded {
        e.array(8)?.u8(3)?.u64(self.ask)?;
        e.str(self.origin.as_str())?.u8(self.purpose.bit())?;
        for index in self.policies {
            match index {
                Some(index) => e.u64(index)?,
                None => e.null()?,
            };
        }
        e.array(self.wanted.len() as u64)?;
        self.wanted.iter().try_for_each(|(seq, classes)| {
            e.array(2)?.u64(seq.0)?.array(classes.len() as u64)?;
            classes
                .iter()
                .try_for_each(|class| e.u16(class.0).map(drop))
        })
    }

    fn decode(d: &mut Decoder<'_>) -> Result<Self, WireError> {
        let ask = Some(uint(d)?).filter(|ask| *ask > 0);
        let ask = ask.ok_or(WireError::Shape)?;
        let origin = origin(d)?;
        let purpose = Purpose::from_bit(uint(d)?).ok_or(WireError::Shape)?;
        let policies = [optional(d, uint)?, optional(d, uint)?, optional(d, uint)?];
        let mut wanted = Vec::new();
        for _ in 0..list(d, limits::STATEMENT_DELTAS)? {
            if d.array().ok().flatten() != Some(2) {
                return Err(WireError::Shape);
            }
            let seq = Seq(uint(d)?);
            let mut classes = Vec::new();
            for _ in 0..list(d, limits::CLASSES_PER_DELTA)? {
                classes.push(ClassId(d.u16().map_err(|_| WireError::Shape)?));
            }
            wanted.push((seq, classes));
        }
        let ascends = wanted.windows(2).all(|pair| pair[0].0 < pair[1].0)
            && wanted.iter().all(|(_, classes)| {
                !classes.is_empty() && classes.windows(2).all(|pair| pair[0] < pair[1])
            });
        if wanted.is_empty() || !ascends {
            return Err(WireError::Shape);
        }
        Ok(Self {
            ask,
            origin,
            purpose,
            policies,
            wanted,
        })
    }
}

fn statement(d: &mut Decoder<'_>) -> Result<Vec<u8>, WireError> {
    let bytes = d.bytes().map_err(|_| WireError::Shape)?;
    let (got, max) = (bytes.len(), limits::STATEMENT_BYTES);
    if got > max {
        return Err(WireError::TooLarge { got, max });
    }
    Ok(bytes.to_vec())
}

pub(super) fn list(d: &mut Decoder<'_>, max: usize) -> Result<usize, WireError> {
    let len = d.array().ok().flatten().ok_or(WireError::Shape)?;
    let len = usize::try_from(len).ok().filter(|len| *len <= max);
    len.ok_or(WireError::Shape)
}

fn optional<'a, T>(
    d: &mut Decoder<'a>,
    read: impl FnOnce(&mut Decoder<'a>) -> Result<T, WireError>,
) -> Result<Option<T>, WireError> {
    if d.datatype().map_err(|_| WireError::Shape)? == Type::Null {
        d.null().map_err(|_| WireError::Shape)?;
        return Ok(None);
    }
    read(d).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proposal() -> Proposal {
        Proposal {
            ask: 7,
            origin: "eu.example/eu/1".parse().unwrap(),
            purpose: Purpose::Detect,
            policies: [None, Some(3), Some(9)],
            wanted: vec![(Seq(2), vec![ClassId(0), ClassId(4)])],
        }
    }

    #[test]
    fn the_handshake_round_trips() {
        for message in [
            Message::Propose(proposal()),
            Message::Terms {
                ask: 7,
                offer: vec![1; 90],
                chain: vec![vec![2; 40], vec![3]],
            },
            Message::Agreed(vec![4; 300]),
            Message::Logged([5; 32]),
            Message::Recall(vec![7; 200]),
            Message::Acknowledged(vec![8; 120]),
            Message::Declined {
                ask: 0,
                statement: Some([6; 32]),
                why: Decline::Void,
            },
            Message::Declined {
                ask: 7,
                statement: None,
                why: Decline::Policies,
            },
        ] {
            assert_eq!(Message::from_bytes(&message.to_bytes()), Ok(message));
        }
    }

    #[test]
    fn a_proposal_of_nothing_or_of_something_twice_is_refused() {
        let wanted = [
            vec![],
            vec![(Seq(2), vec![])],
            vec![(Seq(2), vec![ClassId(1), ClassId(1)])],
            vec![(Seq(2), vec![ClassId(1)]), (Seq(2), vec![ClassId(2)])],
            vec![(Seq(2), vec![ClassId(1)]); limits::STATEMENT_DELTAS + 1],
        ];
        for wanted in wanted {
            let message = Message::Propose(Proposal {
                wanted,
                ..proposal()
            });
            let read = Message::from_bytes(&message.to_bytes());
            assert_eq!(read, Err(WireError::Shape));
        }
    }

    #[test]
    fn terms_with_one_byte_or_one_statement_too_many_are_refused() {
        let (got, max) = (limits::STATEMENT_BYTES + 1, limits::STATEMENT_BYTES);
        let long = Message::Agreed(vec![0; got]);
        let refused = Err(WireError::TooLarge { got, max });
        assert_eq!(Message::from_bytes(&long.to_bytes()), refused);
        let many = Message::Terms {
            ask: 1,
            offer: vec![1],
            chain: vec![vec![2]; limits::CHAIN_STATEMENTS + 1],
        };
        assert_eq!(Message::from_bytes(&many.to_bytes()), Err(WireError::Shape));
    }
}
