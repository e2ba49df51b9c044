//! Transfer statements: who gives which classes of which deltas to whom, said by both before a byte of them flows.
//!
//! Why: a class may be limited in where it goes and how far, and each step of its way must be provable. Giver and taker sign
//! one statement, each logs its salted hash (a disclosure record), and a relay shows the statements by which it has what it
//! gives. Spec: `docs/protocol.md`, "Transfer statement". In scope: bytes, signatures, chains. Out of scope: what policy
//! allows (`policy`), when statements are made (`centre`).
//!
//! | file | answers |
//! |---|---|
//! | `transfer` | what a statement says, its bytes and its signatures |
//! | `chain` | did what a relay gives come to it the way that it says |
//! | `opening` | what each side keeps of a statement, to open its disclosure record |
//! | `shelf` | the small rows that a centre keeps of transfers |
//! | `recalls` | the rows that a centre keeps of recalls |
//! | `recall` | what a giver asks back, and what a taker says once it is gone |

mod chain;
mod opening;
mod recall;
pub(crate) mod recalls;
pub(crate) mod shelf;

use std::collections::BTreeMap;

use hashpact_keys::canonical::{Written, encode};
use hashpact_keys::cose::{CoseError, MultiSigned, sign_multi};
use hashpact_keys::reader::{ReadError, Reader, ShapeError};
use hashpact_keys::roster::KeyLookupError;
use hashpact_keys::{CentreId, Context, KeyUse, NetworkId, Origin, Roster, Signer, Timestamp};
use sha2::{Digest as _, Sha256};

use crate::Hash;
use crate::delta::Seq;
use crate::labels::{ClassId, Purpose};
use crate::limits;
use crate::lists::ClosedList;

pub use chain::{Chain, ChainError};
pub use opening::{Opening, Salt, commitment};
pub use recall::{Acknowledgement, Recall, RecallError};
pub use shelf::{Missing, Withholder};

/// The classes that are given of one delta.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// The delta.
    pub seq: Seq,
    /// SHA-256 of its header, as the next header commits to it.
    pub header: Hash,
    /// Classes with the records that the origin signed for, ascending.
    pub classes: Vec<(ClassId, u64)>,
}

/// What giver and taker sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The network.
    pub network: NetworkId,
    /// The log that the deltas stand in.
    pub origin: Origin,
    /// Who gives.
    pub from: CentreId,
    /// Who takes.
    pub to: CentreId,
    /// Transfers before this one: 0 from the origin.
    pub hop: u8,
    /// What the taker asks for it for.
    pub purpose: Purpose,
    /// Log index of the giver's newest policy document.
    pub from_policy: Option<u64>,
    /// Log index of the origin's newest policy document, as the giver knows it.
    pub origin_policy: Option<u64>,
    /// Log index of the taker's newest policy document, as the taker asked under it.
    pub to_policy: Option<u64>,
    /// What is given, by delta, ascending.
    pub deltas: Vec<Given>,
    /// When the giver signed.
    pub time: Timestamp,
    /// Random, so that no two statements are equal.
    pub nonce: [u8; 16],
    /// Hashes of the statements by which a relay has what it gives, ascending; none at hop 0.
    pub parents: Vec<Hash>,
}

/// Why bytes are no transfer statement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// More bytes than a statement may have.
    #[error("transfer statement: {got} bytes, at most {}", limits::STATEMENT_BYTES)]
    TooLarge {
        /// Their number.
        got: usize,
    },
    /// The envelope, or a signature in it.
    #[error("transfer statement: {0}")]
    Cose(#[from] CoseError),
    /// The payload is not canonical or not of this format.
    #[error("transfer statement: {0}")]
    Read(#[from] ReadError),
    /// A value that the format does not allow.
    #[error("transfer statement: {expected}")]
    Value {
        /// What is allowed.
        expected: &'static str,
    },
    /// It is for another network.
    #[error("transfer statement: of network {got}, expected {expected}")]
    Network {
        /// Ours.
        expected: NetworkId,
        /// Its network.
        got: NetworkId,
    },
    /// A centre that the roster does not name.
    #[error("transfer statement: {0} is not on the roster")]
    NotOnRoster(CentreId),
    /// A signature by a key that may not sign it.
    #[error("transfer statement: {0}")]
    Key(#[from] KeyLookupError),
    /// A key that was revoked.
    #[error("transfer statement: a key of {0} is revoked")]
    Revoked(CentreId),
    /// A side has not signed, or somebody else has.
    #[error("transfer statement: {0} has not signed, or not alone")]
    Signers(CentreId),
}

/// Whose signatures a statement must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signed {
    ByGiver,
    ByBoth,
}

impl Statement {
    /// What the giver offers: the statement under its `delta` key alone.
    #[must_use]
    pub fn offer(&self, giver: &Signer) -> Vec<u8> {
        sign_multi(&[giver], Context::TransferStatement, &self.payload())
    }

    /// The offer with the taker's signature.
    ///
    /// # Errors
    /// [`StatementError::Cose`] if it is no statement or signed by this key already.
    pub fn agree(offer: &[u8], taker: &Signer) -> Result<Vec<u8>, StatementError> {
        Ok(MultiSigned::parse(offer, Context::TransferStatement)?.add_signature(taker)?)
    }

    /// What a statement is known by: SHA-256 of its bytes under both signatures.
    #[must_use]
    pub fn hash(signed: &[u8]) -> Hash {
        Sha256::digest(signed).into()
    }

    /// Opens a statement that the giver alone has signed.
    ///
    /// # Errors
    /// [`StatementError`].
    pub fn open_offer(bytes: &[u8], roster: &Roster) -> Result<Self, StatementError> {
        Self::open_as(bytes, roster, Signed::ByGiver)
    }

    /// Opens a statement that both have signed, and nobody else, with `delta` keys that were valid at its time.
    ///
    /// # Errors
    /// [`StatementError`].
    pub fn open(bytes: &[u8], roster: &Roster) -> Result<Self, StatementError> {
        Self::open_as(bytes, roster, Signed::ByBoth)
    }

    /// Reads a statement of our own store, whose signatures were checked when it came.
    ///
    /// # Errors
    /// [`StatementError`] if it is damaged.
    pub fn read_unverified(bytes: &[u8]) -> Result<Self, StatementError> {
        Self::parse(bytes).map(|(statement, _)| statement)
    }

    /// The class of a delta that it gives: how many records.
    #[must_use]
    pub fn gives(&self, seq: Seq, class: ClassId) -> Option<u64> {
        let rows = &self.delta(seq)?.classes;
        let at = rows
            .binary_search_by_key(&class, |(class, _)| *class)
            .ok()?;
        rows.get(at).map(|(_, count)| *count)
    }

    /// What it gives of a delta.
    #[must_use]
    pub fn delta(&self, seq: Seq) -> Option<&Given> {
        let at = self.deltas.binary_search_by_key(&seq, |given| given.seq);
        self.deltas.get(at.ok()?)
    }

    /// Records that it gives, class by class over all deltas.
    #[must_use]
    pub fn by_class(&self) -> BTreeMap<ClassId, u64> {
        let mut sums = BTreeMap::new();
        for (class, count) in self.deltas.iter().flat_map(|given| &given.classes) {
            let sum: &mut u64 = sums.entry(*class).or_default();
            *sum = sum.saturating_add(*count);
        }
        sums
    }

    fn open_as(bytes: &[u8], roster: &Roster, by: Signed) -> Result<Self, StatementError> {
        let (statement, signed) = Self::parse(bytes)?;
        if statement.network != roster.network {
            return Err(StatementError::Network {
                expected: roster.network,
                got: statement.network,
            });
        }
        let sides = match by {
            Signed::ByGiver => vec![&statement.from],
            Signed::ByBoth => vec![&statement.from, &statement.to],
        };
        if signed.signers().count() != sides.len() {
            return Err(StatementError::Signers(statement.to));
        }
        for side in sides {
            statement.check_side(side, &signed, roster)?;
        }
        Ok(statement)
    }

    fn check_side(
        &self,
        side: &CentreId,
        signed: &MultiSigned<'_>,
        roster: &Roster,
    ) -> Result<(), StatementError> {
        let centre = roster.centre(side);
        let centre = centre.ok_or_else(|| StatementError::NotOnRoster(side.clone()))?;
        let is_theirs = |kid| {
            centre
                .keys_of(KeyUse::Delta)
                .any(|entry| entry.key.key_id() == kid)
        };
        let kid = signed.signers().find(|kid| is_theirs(*kid));
        let kid = kid.ok_or_else(|| StatementError::Signers(side.clone()))?;
        let key = centre.key(KeyUse::Delta, kid, self.time)?;
        // A cut-off counts in leaves, and a statement has none: a key that was revoked signs no transfer at all.
        if roster.revoked_from(&kid, &centre.origin).is_some() {
            return Err(StatementError::Revoked(side.clone()));
        }
        Ok(signed.verify_by(key)?)
    }

    fn parse(bytes: &[u8]) -> Result<(Self, MultiSigned<'_>), StatementError> {
        if bytes.len() > limits::STATEMENT_BYTES {
            return Err(StatementError::TooLarge { got: bytes.len() });
        }
        let signed = MultiSigned::parse(bytes, Context::TransferStatement)?;
        let mut reader = Reader::new(signed.payload()).map_err(ReadError::from)?;
        let statement = read(&mut reader)?;
        statement.check()?;
        Ok((statement, signed))
    }

    /// What canonical form alone cannot say.
    fn check(&self) -> Result<(), StatementError> {
        let value = |expected| Err(StatementError::Value { expected });
        let is_origin = *self.origin.centre() == self.from;
        if self.from == self.to || *self.origin.centre() == self.to {
            return value("a centre takes from another, and not its own");
        }
        if (self.hop == 0) != is_origin || (self.hop == 0) != self.parents.is_empty() {
            return value("the origin gives at hop 0 and without parents, a relay above and with");
        }
        if self.parents.windows(2).any(|pair| pair[0] >= pair[1]) {
            return value("parents ascend");
        }
        if self.deltas.is_empty()
            || self
                .deltas
                .windows(2)
                .any(|pair| pair[0].seq >= pair[1].seq)
        {
            return value("deltas, ascending");
        }
        for given in &self.deltas {
            let rows = &given.classes;
            let sorted = rows.windows(2).all(|pair| pair[0].0 < pair[1].0);
            if rows.is_empty() || !sorted || rows.iter().any(|(_, count)| *count == 0) {
                return value("classes with records, ascending");
            }
        }
        Ok(())
    }

    fn payload(&self) -> Vec<u8> {
        encode(|e| {
            e.array(14)?
                .u8(1)?
                .bytes(self.network.as_bytes())?
                .str(self.origin.as_str())?
                .str(self.from.as_str())?
                .str(self.to.as_str())?
                .u8(self.hop)?
                .u8(self.purpose.bit())?;
            for index in [self.from_policy, self.origin_policy, self.to_policy] {
                match index {
                    Some(index) => e.u64(index)?,
                    None => e.null()?,
                };
            }
            e.array(self.deltas.len() as u64)?;
            for given in &self.deltas {
                e.array(3)?.u64(given.seq.0)?.bytes(&given.header)?;
                e.array(given.classes.len() as u64)?;
                given
                    .classes
                    .iter()
                    .try_for_each(|(class, count)| -> Written {
                        e.array(2)?.u16(class.0)?.u64(*count)?.ok()
                    })?;
            }
            e.u64(self.time.get())?.bytes(&self.nonce)?;
            e.array(self.parents.len() as u64)?;
            self.parents
                .iter()
                .try_for_each(|hash| -> Written { e.bytes(hash)?.ok() })
        })
    }
}

fn read(reader: &mut Reader<'_>) -> Result<Statement, StatementError> {
    let value = |expected| StatementError::Value { expected };
    array(reader, 14)?;
    if number(reader)? != 1 {
        return Err(value("the format is 1"));
    }
    let network = NetworkId::new(*reader.fixed().map_err(ReadError::from)?);
    let origin = text(reader)?.parse().map_err(|_| value("an origin line"))?;
    let from = text(reader)?.parse().map_err(|_| value("a centre"))?;
    let to = text(reader)?.parse().map_err(|_| value("a centre"))?;
    let hop = u8::try_from(number(reader)?).ok().filter(|hop| *hop <= 3);
    let purpose = Purpose::from_bit(number(reader)?);
    let mut policy = || -> Result<Option<u64>, StatementError> {
        Ok(reader
            .optional(Reader::u64)
            .map_err(|error: ShapeError| ReadError::from(error))?)
    };
    let (from_policy, origin_policy, to_policy) = (policy()?, policy()?, policy()?);
    let mut deltas = Vec::new();
    for _ in 0..list(reader, limits::STATEMENT_DELTAS)? {
        deltas.push(given(reader)?);
    }
    let time = Timestamp::new(number(reader)?);
    let nonce = *reader.fixed().map_err(ReadError::from)?;
    let mut parents = Vec::new();
    for _ in 0..list(reader, limits::STATEMENT_PARENTS)? {
        parents.push(*reader.fixed().map_err(ReadError::from)?);
    }
    Ok(Statement {
        network,
        origin,
        from,
        to,
        hop: hop.ok_or(value("at most 3 hops"))?,
        purpose: purpose.ok_or(value("a purpose"))?,
        from_policy,
        origin_policy,
        to_policy,
        deltas,
        time,
        nonce,
        parents,
    })
}

fn given(reader: &mut Reader<'_>) -> Result<Given, StatementError> {
    array(reader, 3)?;
    let seq = Seq(number(reader)?);
    let header = *reader.fixed().map_err(ReadError::from)?;
    let mut classes = Vec::new();
    for _ in 0..list(reader, limits::CLASSES_PER_DELTA)? {
        array(reader, 2)?;
        let class = ClassId(reader.u16().map_err(ReadError::from)?);
        classes.push((class, number(reader)?));
    }
    Ok(Given {
        seq,
        header,
        classes,
    })
}

fn array(reader: &mut Reader<'_>, len: u64) -> Result<(), ReadError> {
    Ok(reader.array(len)?)
}

fn list(reader: &mut Reader<'_>, max: usize) -> Result<usize, ReadError> {
    Ok(reader.list(max)?)
}

fn number(reader: &mut Reader<'_>) -> Result<u64, ReadError> {
    Ok(reader.u64()?)
}

fn text<'a>(reader: &mut Reader<'a>) -> Result<&'a str, ReadError> {
    Ok(reader.text()?)
}

#[cfg(test)]
mod tests;
