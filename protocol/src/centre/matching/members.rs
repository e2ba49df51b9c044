//! The members of a centre: providers that check their lists with it, in its own register.
//!
//! A member is no party of the network: no other centre knows it, and this one admits its libp2p key for matching alone.

use hashpact_keys::canonical::encode;
use hashpact_keys::reader::{Reader, ShapeError};
use hashpact_keys::{CentreId, Jurisdiction, PublicKey};

use super::super::commands::CommandError;
use super::super::{Centre, Event, Outcome, Output};
use crate::labels::is_token;
use crate::limits;
use crate::policy::{Asker, Principal};
use crate::view::{Batch, Shelf, View, Write};

/// The row that says in which epoch a member was removed: no member has this name.
const REMOVED: &[u8] = b"!";

/// Rows of members with a libp2p key, and of those without.
const WITH_KEY: u8 = 1;
const WITHOUT_KEY: u8 = 2;

/// One member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name: 1 to 64 characters of a-z, 0-9 and '-'.
    pub id: String,
    /// The law that it works under.
    pub jurisdiction: Jurisdiction,
    /// What it does, in the same characters: policies may look at it.
    pub sector: String,
    /// Its libp2p key; none if it only reads over HTTP and so opens no match session.
    pub node_key: Option<PublicKey>,
}

/// The name of a member: well-formed, of one in the register or of none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(String);

impl MemberId {
    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for MemberId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for MemberId {
    type Err = MemberError;

    fn from_str(text: &str) -> Result<Self, MemberError> {
        let expected = "a name of 1 to 64 characters of a-z, 0-9 and '-'";
        is_token(text, limits::MEMBER_BYTES)
            .then(|| Self(text.to_owned()))
            .ok_or(MemberError::Value { expected })
    }
}

/// Why a member is not admitted or removed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MemberError {
    /// Its name or its sector.
    #[error("member: expected {expected}")]
    Value {
        /// What is allowed.
        expected: &'static str,
    },
    /// Its key is one of the network's: it would speak as somebody else.
    #[error("member: its key is on the roster, as one of {holder}")]
    RosterKey {
        /// Whose it is there.
        holder: String,
    },
    /// Its key is another member's.
    #[error("member: {member} has this key")]
    MemberKey {
        /// Whose it is.
        member: String,
    },
    /// The name is taken, with other facts.
    #[error("member: {id} is a member already, with another key, law or sector: remove it first")]
    Known {
        /// The name.
        id: String,
    },
    /// There is no such member.
    #[error("member: there is no {id}")]
    Unknown {
        /// The name.
        id: String,
    },
    /// As many as one centre may have.
    #[error("member: a centre has at most {} members", limits::MEMBERS)]
    Full,
}

impl Member {
    /// Every member in a centre's store, by name.
    #[must_use]
    pub fn all(view: &impl View) -> Vec<Self> {
        let rows = view.shelf(Shelf::Member, &[]);
        let members = rows.iter();
        members
            .filter_map(|(_, value)| Self::from_bytes(value))
            .collect()
    }

    /// Its name, as one.
    #[must_use]
    pub fn name(&self) -> MemberId {
        MemberId(self.id.clone())
    }

    /// The member as policies see it.
    #[must_use]
    pub fn principal(&self) -> Principal {
        Principal::Member {
            id: self.id.clone(),
            jurisdiction: self.jurisdiction.clone(),
            sector: self.sector.clone(),
        }
    }

    fn check(&self) -> Result<(), MemberError> {
        let expected = "a name and a sector of 1 to 64 characters of a-z, 0-9 and '-'";
        let fits = |text| is_token(text, limits::MEMBER_BYTES);
        (fits(&self.id) && fits(&self.sector))
            .then_some(())
            .ok_or(MemberError::Value { expected })
    }

    /// `[1, id, jurisdiction, sector, key]`, or `[2, id, jurisdiction, sector]` without a key.
    fn to_bytes(&self) -> Vec<u8> {
        let (items, format) = match self.node_key {
            Some(_) => (5, WITH_KEY),
            None => (4, WITHOUT_KEY),
        };
        encode(|e| {
            e.array(items)?
                .u8(format)?
                .str(&self.id)?
                .str(self.jurisdiction.as_str())?
                .str(&self.sector)?;
            match &self.node_key {
                Some(key) => e.bytes(key.as_bytes())?.ok(),
                None => e.ok(),
            }
        })
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes).ok()?;
        let member = read(&mut reader).ok()??;
        member.check().ok().map(|()| member)
    }
}

fn read(reader: &mut Reader<'_>) -> Result<Option<Member>, ShapeError> {
    let items = reader.list(5)?;
    let (format, id, law) = (reader.u8()?, reader.text()?, reader.text()?);
    let sector = reader.text()?;
    let node_key = match (format, items) {
        (WITH_KEY, 5) => match PublicKey::from_bytes(reader.fixed()?) {
            Ok(key) => Some(key),
            Err(_) => return Ok(None),
        },
        (WITHOUT_KEY, 4) => None,
        _ => return Ok(None),
    };
    let Ok(jurisdiction) = law.parse() else {
        return Ok(None);
    };
    let (id, sector) = (id.to_owned(), sector.to_owned());
    Ok(Some(Member {
        id,
        jurisdiction,
        sector,
        node_key,
    }))
}

impl Centre {
    /// The members, by name.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.matching.members.values()
    }

    /// Reads the register.
    pub(in super::super) fn load_members(&mut self, view: &impl View) {
        let members = Member::all(view).into_iter();
        let members = members.map(|member| (member.id.clone(), member));
        self.matching.members = members.collect();
    }

    pub(in super::super) fn admit_member(
        &mut self,
        member: Member,
        out: &mut Vec<Output>,
    ) -> Result<Outcome, CommandError> {
        member.check()?;
        let known = self.matching.members.get(&member.id);
        if known == Some(&member) {
            return Ok(Outcome::MembersChanged);
        }
        if known.is_some() {
            let id = member.id;
            return Err(MemberError::Known { id }.into());
        }
        self.is_foreign(&member)?;
        if self.matching.members.len() >= limits::MEMBERS {
            return Err(MemberError::Full.into());
        }
        let row = Write::Keep {
            shelf: Shelf::Member,
            key: member.id.clone().into_bytes(),
            value: Some(member.to_bytes()),
        };
        let id = member.id.clone();
        self.matching.members.insert(id.clone(), member);
        self.change_members(&id, vec![row], out);
        out.push(Output::Emit(Event::MemberAdmitted { id }));
        Ok(Outcome::MembersChanged)
    }

    /// Removes a member: it opens nothing from now on, and what it was evaluated under ends with the next epoch.
    pub(in super::super) fn remove_member(
        &mut self,
        id: String,
        view: &impl View,
        out: &mut Vec<Output>,
    ) -> Result<Outcome, CommandError> {
        if self.matching.members.remove(&id).is_none() {
            return Err(MemberError::Unknown { id }.into());
        }
        let mut rows = vec![Write::Keep {
            shelf: Shelf::Member,
            key: id.clone().into_bytes(),
            value: None,
        }];
        rows.extend(self.newest_manifest(view).map(|(_, newest)| Write::Keep {
            shelf: Shelf::Member,
            key: REMOVED.to_vec(),
            value: Some(newest.epoch.0.to_be_bytes().to_vec()),
        }));
        self.change_members(&id, rows, out);
        out.push(Output::Emit(Event::MemberRemoved { id }));
        Ok(Outcome::MembersChanged)
    }

    /// Whether a member was removed in the newest epoch, or later.
    pub(super) fn asks_for_epoch(&self, view: &impl View) -> bool {
        let row = view.kept(Shelf::Member, REMOVED);
        let removed = row.and_then(|row| row.try_into().ok().map(u64::from_be_bytes));
        let newest = self.newest_manifest(view);
        removed.is_some_and(|epoch| newest.is_some_and(|(_, newest)| newest.epoch.0 <= epoch))
    }

    fn change_members(&mut self, id: &str, rows: Vec<Write>, out: &mut Vec<Output>) {
        let asker = Asker::Member(id.to_owned());
        self.matching.access.forget(&asker);
        let mut batch = Batch::default();
        batch.extend(rows);
        out.push(Output::Commit(batch));
        out.push(Output::MembersChanged);
    }

    /// A key that stands for somebody already stands for nobody else.
    fn is_foreign(&self, member: &Member) -> Result<(), MemberError> {
        let roster = self.roster();
        let Some(key) = member.node_key else {
            return Ok(());
        };
        let mut centres = roster.centres.iter();
        let centre = centres.find(|centre| centre.keys.iter().any(|entry| entry.key == key));
        let mut witnesses = roster.witnesses.iter();
        let witness = witnesses.find(|witness| witness.keys.iter().any(|entry| entry.key == key));
        let holder = centre.map(|centre: &_| CentreId::to_string(&centre.id));
        let holder = holder.or_else(|| witness.map(|witness| witness.name.to_string()));
        if let Some(holder) = holder {
            return Err(MemberError::RosterKey { holder });
        }
        let mut members = self.matching.members.values();
        match members.find(|other| other.node_key == Some(key)) {
            Some(other) => Err(MemberError::MemberKey {
                member: other.id.clone(),
            }),
            None => Ok(()),
        }
    }
}
