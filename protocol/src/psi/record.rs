//! What each side of a match session writes down of it: who asked whom, how much, what for, and how it ended.
//!
//! Why: guessing through an oracle must be attributable. Both sides log a salted hash of their record (leaf kind 9) and keep what
//! opens it; no fingerprint, tag or point is in it. The two agree in all but what only one side can know. Spec:
//! `docs/protocol.md`, "Private matching". In scope: bytes and their form. Out of scope: salts (`transfer`), when it is
//! logged (`centre`).

use hashpact_keys::canonical::{Written, encode};
use hashpact_keys::reader::{ReadError, Reader, ShapeError};
use hashpact_keys::{NetworkId, Origin, Timestamp};

use super::exchange::RefusalCode;
use super::space::{Epoch, GroupId, SessionId};
use crate::b3::Hash;
use crate::fingerprint::Algorithm;
use crate::labels::{Purpose, is_token};
use crate::limits;
use crate::lists::{ClosedList as _, closed_list};
use crate::policy::{Asker, MatchMode};

closed_list! {
    /// Whose record it is.
    Role {
        /// Of the centre that answered.
        Server = "server",
        /// Of who asked.
        Client = "client",
    }
}

/// One side's record of one session, or of one that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRecord {
    /// The network.
    pub network: NetworkId,
    /// The session.
    pub session: SessionId,
    /// The log of the centre that answered.
    pub origin: Origin,
    /// Who asked.
    pub asker: Asker,
    /// Whose record it is.
    pub role: Role,
    /// What was to be learnt.
    pub mode: MatchMode,
    /// Code of the fingerprint type.
    pub kind: u8,
    /// The groups that were opened, ascending; none if it was refused.
    pub groups: Vec<GroupId>,
    /// The epoch.
    pub epoch: Epoch,
    /// What it was for.
    pub purpose: Purpose,
    /// Items that were declared, and charged if it was opened.
    pub items: u64,
    /// Items that came; not known where the node died meanwhile.
    pub received: Option<u64>,
    /// How many matched; only who asked knows.
    pub matches: Option<u64>,
    /// Items of this type that are charged for the day, with these if it was opened.
    pub used: u64,
    /// Items of a day.
    pub per_day: u64,
    /// When it was asked for.
    pub from: Timestamp,
    /// When it ended.
    pub until: Timestamp,
    /// Commitment to the blinded items: [`Query::hash`](super::Query::hash); none where none came.
    pub query: Option<Hash>,
    /// Commitment to the seed of the blinds, [`blinds_commitment`](super::blinds_commitment); only who asked knows it.
    pub blinds: Option<Hash>,
    /// Log index of the manifest that it went by; none if it was refused.
    pub manifest: Option<u64>,
    /// Why it was refused, or did not come to its end; none if it did.
    pub refusal: Option<RefusalCode>,
}

/// Why bytes are no session record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// More than a record takes.
    #[error("session record: {got} bytes, at most {}", limits::MATCH_RECORD_BYTES)]
    TooLarge {
        /// Their number.
        got: usize,
    },
    /// Not canonical, or not of this format.
    #[error("session record: {0}")]
    Read(#[from] ReadError),
    /// A value that the format does not allow.
    #[error("session record: expected {expected}")]
    Value {
        /// What is allowed.
        expected: &'static str,
    },
}

impl From<ShapeError> for RecordError {
    fn from(error: ShapeError) -> Self {
        Self::Read(error.into())
    }
}

impl SessionRecord {
    /// `[1, network, session, origin, [0 centre | 1 member, name], role, mode, kind, groups, epoch, purpose, items, received or
    /// null, matches or null, used, per_day, from, until, query or null, blinds or null, manifest or null, 0 or refusal]`.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(|e| {
            e.array(22)?
                .u8(1)?
                .bytes(self.network.as_bytes())?
                .bytes(&self.session.0)?
                .str(self.origin.as_str())?;
            let kind = match self.asker {
                Asker::Centre(_) => 0,
                Asker::Member(_) => 1,
            };
            e.array(2)?.u8(kind)?.str(self.asker.id())?;
            e.u8(self.role.bit())?.u8(self.mode.bit())?.u8(self.kind)?;
            e.array(self.groups.len() as u64)?;
            let mut groups = self.groups.iter();
            groups.try_for_each(|group| -> Written { e.u32(group.0)?.ok() })?;
            e.u64(self.epoch.0)?
                .u8(self.purpose.bit())?
                .u64(self.items)?;
            for count in [self.received, self.matches] {
                number(e, count)?;
            }
            e.u64(self.used)?
                .u64(self.per_day)?
                .u64(self.from.get())?
                .u64(self.until.get())?;
            for hash in [&self.query, &self.blinds] {
                match hash {
                    Some(hash) => e.bytes(hash)?,
                    None => e.null()?,
                };
            }
            number(e, self.manifest)?;
            e.u8(self.refusal.map_or(0, |code| code as u8))?.ok()
        })
    }

    /// Reads what [`SessionRecord::to_bytes`] wrote, strictly.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let got = bytes.len();
        if got > limits::MATCH_RECORD_BYTES {
            return Err(RecordError::TooLarge { got });
        }
        let mut reader = Reader::new(bytes).map_err(ReadError::from)?;
        let record = read(&mut reader)?;
        record.check()?;
        Ok(record)
    }

    /// What the other side's record of the same session must say as well: the first field that differs. Of a session that
    /// did not come to its end the two may have seen different parts.
    #[must_use]
    pub fn differs(&self, other: &Self) -> Option<&'static str> {
        let whole = self.refusal.is_none() && other.refusal.is_none();
        let of_all = [
            (self.network == other.network, "network"),
            (self.origin == other.origin, "log"),
            (self.asker == other.asker, "asker"),
            (self.mode == other.mode, "mode"),
            (self.kind == other.kind, "fingerprint type"),
            (self.purpose == other.purpose, "purpose"),
            (self.items == other.items, "items"),
            (self.epoch == other.epoch, "epoch"),
        ];
        let of_whole = [
            (self.groups == other.groups, "groups"),
            (self.received == other.received, "items received"),
            (self.query == other.query, "query"),
        ];
        let rows = of_all
            .into_iter()
            .chain(of_whole.into_iter().filter(|_| whole));
        rows.into_iter()
            .find_map(|(same, field)| (!same).then_some(field))
    }

    /// What no side's record may say.
    ///
    /// # Errors
    /// [`RecordError::Value`].
    pub fn check(&self) -> Result<(), RecordError> {
        let value = |holds: bool, expected| match holds {
            true => Ok(()),
            false => Err(RecordError::Value { expected }),
        };
        let ascend = self.groups.windows(2).all(|pair| pair[0] < pair[1]);
        let few = self.groups.len() <= limits::MATCH_GROUPS;
        value(ascend && few, "groups by number, each once")?;
        let known = Algorithm::from_code(u64::from(self.kind)).is_some();
        value(known, "a known fingerprint type")?;
        value(
            self.from <= self.until,
            "an end that is not before its beginning",
        )?;
        let received = self.received.is_none_or(|received| received <= self.items);
        value(received, "no more items than were declared")?;
        let matches = self.matches.unwrap_or(0);
        let matched = matches <= self.received.unwrap_or(self.items);
        value(matched, "no more matches than items")?;
        let knows = match self.role {
            Role::Server => self.matches.is_none() && self.blinds.is_none(),
            Role::Client => true,
        };
        value(knows, "matches and blinds in the record of who asked only")?;
        let was_opened = self.manifest.is_some();
        value(
            was_opened || (self.groups.is_empty() && self.refusal.is_some()),
            "a manifest, or a refusal without groups",
        )?;
        let is_whole = self.received == Some(self.items) && self.query.is_some();
        value(
            self.refusal.is_some() || is_whole,
            "every item and the commitment to them, in a session that came to its end",
        )
    }
}

fn number(e: &mut minicbor::Encoder<Vec<u8>>, value: Option<u64>) -> Written {
    match value {
        Some(value) => e.u64(value)?.ok(),
        None => e.null()?.ok(),
    }
}

fn read(reader: &mut Reader<'_>) -> Result<SessionRecord, RecordError> {
    let value = |expected| RecordError::Value { expected };
    reader.array(22)?;
    if reader.u8()? != 1 {
        return Err(value("the format 1"));
    }
    let network = NetworkId::new(*reader.fixed()?);
    let session = SessionId(*reader.fixed()?);
    let origin = reader.text()?.parse();
    let origin = origin.map_err(|_| value("an origin line"))?;
    let asker = asker(reader)?;
    let role = Role::from_bit(reader.u64()?).ok_or(value("a known role"))?;
    let mode = MatchMode::from_bit(reader.u64()?).ok_or(value("a known mode"))?;
    let kind = reader.u8()?;
    let count = reader.list(limits::MATCH_GROUPS)?;
    let groups = (0..count).map(|_| reader.u32().map(GroupId));
    let groups = groups.collect::<Result<_, _>>()?;
    let epoch = Epoch(reader.u64()?);
    let purpose = Purpose::from_bit(reader.u64()?).ok_or(value("a known purpose"))?;
    Ok(SessionRecord {
        network,
        session,
        origin,
        asker,
        role,
        mode,
        kind,
        groups,
        epoch,
        purpose,
        items: reader.u64()?,
        received: reader.optional(Reader::u64)?,
        matches: reader.optional(Reader::u64)?,
        used: reader.u64()?,
        per_day: reader.u64()?,
        from: Timestamp::new(reader.u64()?),
        until: Timestamp::new(reader.u64()?),
        query: reader.optional(hash)?,
        blinds: reader.optional(hash)?,
        manifest: reader.optional(Reader::u64)?,
        refusal: match reader.u64()? {
            0 => None,
            code => Some(RefusalCode::from_code(code).ok_or(value("a known refusal"))?),
        },
    })
}

fn hash(reader: &mut Reader<'_>) -> Result<Hash, ShapeError> {
    reader.fixed().copied()
}

fn asker(reader: &mut Reader<'_>) -> Result<Asker, RecordError> {
    let expected = "a centre, or a member by a name of a-z, 0-9 and '-'";
    reader.array(2)?;
    let (kind, name) = (reader.u8()?, reader.text()?);
    let asker = match kind {
        0 => name.parse().ok().map(Asker::Centre),
        1 => is_token(name, limits::MATCH_ASKER_BYTES).then(|| Asker::Member(name.to_owned())),
        _ => None,
    };
    asker.ok_or(RecordError::Value { expected })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> SessionRecord {
        SessionRecord {
            network: NetworkId::new([1; 32]),
            session: SessionId([2; 16]),
            origin: "eu.example/eu/1".parse().unwrap(),
            asker: Asker::Member("acme".to_owned()),
            role: Role::Client,
            mode: MatchMode::Items,
            kind: 3,
            groups: vec![GroupId(0), GroupId(4)],
            epoch: Epoch(2),
            purpose: Purpose::Detect,
            items: 10_000,
            received: Some(10_000),
            matches: Some(137),
            used: 30_000,
            per_day: 1_000_000,
            from: Timestamp::new(1_800_000_000),
            until: Timestamp::new(1_800_000_009),
            query: Some([3; 32]),
            blinds: Some([4; 32]),
            manifest: Some(77),
            refusal: None,
        }
    }

    fn refused() -> SessionRecord {
        SessionRecord {
            role: Role::Server,
            groups: Vec::new(),
            received: Some(0),
            matches: None,
            query: None,
            blinds: None,
            manifest: None,
            refusal: Some(RefusalCode::OverQuota),
            ..record()
        }
    }

    /// The bytes of this format; they change only with the format.
    #[test]
    fn a_record_has_these_bytes() {
        let bytes = record().to_bytes();
        let hash = blake3::hash(&bytes).to_hex();
        assert_eq!((bytes.len(), &hash[..16]), (181, "96035b92aa246a05"));
    }

    #[test]
    fn records_come_back_as_they_were_written() {
        let failed = SessionRecord {
            received: None,
            query: None,
            refusal: Some(RefusalCode::Failed),
            asker: Asker::Centre("us".parse().unwrap()),
            ..record()
        };
        for record in [record(), refused(), failed] {
            assert_eq!(SessionRecord::from_bytes(&record.to_bytes()), Ok(record));
        }
    }

    #[test]
    fn what_no_side_can_say_is_refused() {
        let wrong: [fn(&mut SessionRecord); 9] = [
            |it| it.groups = vec![GroupId(4), GroupId(0)],
            |it| it.groups = vec![GroupId(4), GroupId(4)],
            |it| it.kind = 9,
            |it| it.until = Timestamp::new(1),
            |it| it.received = Some(10_001),
            |it| it.role = Role::Server,
            |it| it.manifest = None,
            |it| it.received = Some(9_999),
            |it| it.query = None,
        ];
        for wrong in wrong {
            let mut record = record();
            wrong(&mut record);
            let read = SessionRecord::from_bytes(&record.to_bytes());
            assert!(matches!(read, Err(RecordError::Value { .. })), "{record:?}");
            assert_eq!(record.check(), read.map(drop));
        }
    }

    #[test]
    fn other_bytes_are_refused() {
        let bytes = record().to_bytes();
        for end in 0..bytes.len() {
            assert!(SessionRecord::from_bytes(&bytes[..end]).is_err(), "{end}");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert!(SessionRecord::from_bytes(&longer).is_err());
        let got = limits::MATCH_RECORD_BYTES + 1;
        let large = SessionRecord::from_bytes(&vec![0; got]);
        assert_eq!(large, Err(RecordError::TooLarge { got }));
        let unknown = SessionRecord {
            asker: Asker::Member("Acme".to_owned()),
            ..record()
        };
        assert!(SessionRecord::from_bytes(&unknown.to_bytes()).is_err());
    }

    #[test]
    fn both_sides_say_the_same_of_a_session_that_came_to_its_end() {
        let client = record();
        let server = SessionRecord {
            role: Role::Server,
            matches: None,
            blinds: None,
            ..record()
        };
        assert_eq!(client.differs(&server), None);
        let query = Some([9; 32]);
        let mut other = SessionRecord {
            query,
            ..server.clone()
        };
        assert_eq!(client.differs(&other), Some("query"));
        other.purpose = Purpose::Report;
        assert_eq!(client.differs(&other), Some("purpose"));
        let broken = SessionRecord {
            refusal: Some(RefusalCode::Failed),
            received: None,
            query,
            ..server
        };
        assert_eq!(client.differs(&broken), None);
    }

    #[test]
    fn more_matches_than_items_are_refused() {
        let mut bent = record();
        bent.matches = Some(10_001);
        let expected = "no more matches than items";
        let got = SessionRecord::from_bytes(&bent.to_bytes());
        assert_eq!(got, Err(RecordError::Value { expected }));
    }
}
