//! The credentials of members, in `data/gateway.redb`.
//!
//! Why beside the core: a credential opens this node's door and nothing else; no other centre and no log knows it. The file
//! holds hashes of secrets, so that whoever reads it can open nothing. What is revoked is gone from memory before it is gone
//! from the disk. In scope: issuing, rotating, revoking, finding. Out of scope: members themselves, which are in the core's
//! register.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use hashpact_keys::Timestamp;
use ipnet::IpNet;
use redb::{Database, ReadableTable as _, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::allowance::{Allowance, Charge, Today, is_far_ahead};
use super::pseudonym::Pseudonyms;
use super::token::{CredentialId, SecretHash, Token};
use crate::subset::MemberId;

const CREDENTIALS: TableDefinition<u32, &[u8]> = TableDefinition::new("credentials");
/// One row: what pseudonyms of members are made with.
const PSEUDONYMS: TableDefinition<(), &[u8; 32]> = TableDefinition::new("pseudonyms");
/// Day, and units written down as used on it.
const USED: TableDefinition<u32, (u64, u64)> = TableDefinition::new("used");

/// Credentials of one member at most: a few programs, each with one that follows it.
pub(crate) const PER_MEMBER: usize = 16;
/// Networks that one credential is bound to at most.
const NETWORKS: usize = 32;
/// Seconds that a credential goes on after it was rotated, so that a program can be told the next one.
pub(crate) const OVERLAP: u64 = 24 * 3600;
/// Days until a credential ends, if nothing is said, and at most.
const EXPIRES_DAYS: u64 = 365;
const EXPIRES_DAYS_MAX: u64 = 3 * 365;
/// Requests a second, if nothing is said.
const RATE: u32 = 50;
/// Units a day, if nothing is said.
const QUOTA: u64 = 1_000_000;

/// What a credential allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// Days until it ends.
    pub expires_days: Option<u64>,
    /// Networks that it is good from; from everywhere if there is none.
    #[serde(default)]
    pub networks: Vec<IpNet>,
    /// Whether it may look fingerprints up.
    #[serde(default)]
    pub lookup: bool,
    /// Requests a second.
    pub rate: Option<NonZeroU32>,
    /// Requests and fingerprints a day.
    pub quota: Option<u64>,
}

/// One credential, as it is kept.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    member: String,
    hash: String,
    issued: u64,
    expires: u64,
    networks: Vec<IpNet>,
    lookup: bool,
    rate: NonZeroU32,
    quota: u64,
}

/// One credential in force.
pub(crate) struct Credential {
    pub(crate) id: CredentialId,
    pub(crate) member: MemberId,
    pub(crate) hash: SecretHash,
    pub(crate) issued: Timestamp,
    pub(crate) expires: Timestamp,
    pub(crate) networks: Vec<IpNet>,
    pub(crate) lookup: bool,
    pub(crate) rate: NonZeroU32,
    pub(crate) quota: u64,
    pub(crate) allowance: Allowance,
}

/// A credential, for the operator. Without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Described {
    /// Its id.
    pub credential: CredentialId,
    /// Whose it is.
    pub member: String,
    /// When it was issued, in Unix seconds.
    pub issued: u64,
    /// When it ends, in Unix seconds.
    pub expires: u64,
    /// Networks that it is good from; from everywhere if there is none.
    pub networks: Vec<IpNet>,
    /// Whether it may look fingerprints up.
    pub lookup: bool,
    /// Requests a second.
    pub rate: u32,
    /// Requests and fingerprints a day.
    pub quota: u64,
    /// How many of them are used, on the day of the last one; after a crash up to a hundredth too many.
    pub used: u64,
}

/// Why a credential is not issued, rotated or revoked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CredentialError {
    #[error("credentials: {0}")]
    Database(#[source] Box<redb::Error>),
    #[error("credentials: the row of {0} is damaged")]
    Row(CredentialId),
    #[error("no random numbers: {0}")]
    Random(getrandom::Error),
    #[error("a credential ends within {EXPIRES_DAYS_MAX} days, and after at least one")]
    Expires,
    #[error("a credential is bound to at most {NETWORKS} networks")]
    Networks,
    #[error("a member has at most {PER_MEMBER} credentials: revoke one first")]
    Full,
    #[error("no such credential")]
    Unknown,
}

macro_rules! from_redb {
    ($($error:ident),+) => {
        $(impl From<redb::$error> for CredentialError {
            fn from(error: redb::$error) -> Self {
                Self::Database(Box::new(error.into()))
            }
        })+
    };
}

from_redb!(
    DatabaseError,
    TransactionError,
    TableError,
    StorageError,
    CommitError
);

/// All credentials; clones share them. Its writes block: not on a thread that serves.
#[derive(Clone)]
pub(crate) struct Credentials {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    /// Held while the file is changed, so that memory and disk change in one order.
    writing: Mutex<()>,
    live: RwLock<BTreeMap<CredentialId, Arc<Credential>>>,
    pseudonyms: Pseudonyms,
}

impl Credentials {
    /// Opens the file, and forgets the credentials of whoever is no member.
    pub(crate) fn open(
        path: &Path,
        is_member: impl Fn(&MemberId) -> bool,
    ) -> Result<Self, CredentialError> {
        let database = Database::create(path)?;
        let write = database.begin_write()?;
        let mut live = BTreeMap::new();
        {
            let mut table = write.open_table(CREDENTIALS)?;
            let used = write.open_table(USED)?;
            let mut gone = Vec::new();
            for row in table.iter()? {
                let (id, bytes) = row?;
                let id = CredentialId(id.value());
                let today = used.get(id.0)?.map(|used| used.value());
                let credential = load(id, bytes.value(), today.unwrap_or_default())?;
                match is_member(&credential.member) {
                    true => drop(live.insert(id, Arc::new(credential))),
                    false => gone.push(id.0),
                }
            }
            for id in gone {
                table.remove(id)?;
            }
        }
        let pseudonyms = Pseudonyms::new(pseudonym_key(&write)?);
        write.commit()?;
        Ok(Self {
            inner: Arc::new(Inner {
                database,
                writing: Mutex::default(),
                live: RwLock::new(live),
                pseudonyms,
            }),
        })
    }

    /// The name under which other centres learn of a member.
    pub(crate) fn pseudonym(&self, member: &MemberId) -> hashpact_protocol::evidence::Member {
        self.inner.pseudonyms.of(member)
    }

    /// Issues a credential. The token is shown here and never again.
    pub(crate) fn issue(
        &self,
        member: &MemberId,
        terms: &Terms,
        now: Timestamp,
    ) -> Result<(Described, Zeroizing<String>), CredentialError> {
        let days = terms.expires_days.unwrap_or(EXPIRES_DAYS);
        if !(1..=EXPIRES_DAYS_MAX).contains(&days) {
            return Err(CredentialError::Expires);
        }
        if terms.networks.len() > NETWORKS {
            return Err(CredentialError::Networks);
        }
        let rate = NonZeroU32::MIN.saturating_add(RATE - 1);
        let row = Row {
            member: member.to_string(),
            hash: String::new(),
            issued: now.get(),
            expires: now.get().saturating_add(days * super::allowance::DAY),
            networks: terms.networks.clone(),
            lookup: terms.lookup,
            rate: terms.rate.unwrap_or(rate),
            quota: terms.quota.unwrap_or(QUOTA),
        };
        let _writing = self.writing();
        self.add(member, row)
    }

    /// Issues a credential for each of a member's that is in force, on the same terms and as long-lived; the old ones end
    /// within a day.
    pub(crate) fn rotate(
        &self,
        member: &MemberId,
        which: Option<CredentialId>,
        now: Timestamp,
    ) -> Result<Vec<(Described, Zeroizing<String>)>, CredentialError> {
        let _writing = self.writing();
        let ends = now.get().saturating_add(OVERLAP);
        let old = self.of(member, which);
        // Those that end by themselves were rotated already.
        let old: Vec<_> = old
            .into_iter()
            .filter(|old| old.expires.get() > ends)
            .collect();
        if old.is_empty() {
            return Err(CredentialError::Unknown);
        }
        let mut fresh = Vec::with_capacity(old.len());
        for old in old {
            let life = old.expires.get().saturating_sub(old.issued.get());
            let mut row = row_of(&old);
            row.issued = now.get();
            row.expires = now.get().saturating_add(life);
            fresh.push(self.add(member, row)?);
            let mut row = row_of(&old);
            row.expires = ends;
            self.put(old.id, &row, old.allowance.today())?;
        }
        Ok(fresh)
    }

    /// Ends credentials of a member at once; all without `which`. How many there were.
    pub(crate) fn revoke(
        &self,
        member: &MemberId,
        which: Option<CredentialId>,
    ) -> Result<usize, CredentialError> {
        let _writing = self.writing();
        let gone = self.of(member, which);
        {
            let mut live = self.write();
            for credential in &gone {
                live.remove(&credential.id);
            }
        }
        let write = self.inner.database.begin_write()?;
        {
            let mut table = write.open_table(CREDENTIALS)?;
            let mut used = write.open_table(USED)?;
            for credential in &gone {
                table.remove(credential.id.0)?;
                used.remove(credential.id.0)?;
            }
        }
        write.commit()?;
        Ok(gone.len())
    }

    /// The credentials of a member, or of all.
    pub(crate) fn list(&self, member: Option<&MemberId>) -> Vec<Described> {
        let live = self.read();
        let of = |credential: &&Arc<Credential>| member.is_none_or(|id| *id == credential.member);
        live.values()
            .filter(of)
            .map(|credential| described(credential))
            .collect()
    }

    /// One by its id.
    pub(crate) fn find(&self, id: CredentialId) -> Option<Arc<Credential>> {
        self.read().get(&id).cloned()
    }

    /// Writes down what was used, before it is used.
    pub(crate) fn write_used(&self, id: CredentialId, today: Today) -> Result<(), CredentialError> {
        let _writing = self.writing();
        if self.find(id).is_none() {
            return Err(CredentialError::Unknown);
        }
        let write = self.inner.database.begin_write()?;
        {
            let mut used = write.open_table(USED)?;
            let before = used.get(id.0)?.map(|used| used.value());
            let before = before.filter(|(day, _)| !is_far_ahead(*day, today.day));
            // Two writes may come in another order than they were made.
            let next = (today.day, today.written).max(before.unwrap_or_default());
            used.insert(id.0, next)?;
        }
        write.commit()?;
        Ok(())
    }

    fn add(
        &self,
        member: &MemberId,
        mut row: Row,
    ) -> Result<(Described, Zeroizing<String>), CredentialError> {
        if self.of(member, None).len() >= PER_MEMBER {
            return Err(CredentialError::Full);
        }
        let id = loop {
            let id = CredentialId(getrandom::u32().map_err(CredentialError::Random)?);
            if self.find(id).is_none() {
                break id;
            }
        };
        let token = Token::new(id).map_err(CredentialError::Random)?;
        row.hash = token.hash().to_hex();
        let credential = self.put(id, &row, Today::default())?;
        Ok((described(&credential), token.text()))
    }

    /// On the disk, then in memory.
    fn put(
        &self,
        id: CredentialId,
        row: &Row,
        today: Today,
    ) -> Result<Arc<Credential>, CredentialError> {
        let bytes = serde_json::to_vec(row).map_err(|_| CredentialError::Row(id))?;
        let credential = Arc::new(load(id, &bytes, (today.day, today.written))?);
        let write = self.inner.database.begin_write()?;
        write
            .open_table(CREDENTIALS)?
            .insert(id.0, bytes.as_slice())?;
        write.commit()?;
        self.write().insert(id, Arc::clone(&credential));
        Ok(credential)
    }

    fn of(&self, member: &MemberId, which: Option<CredentialId>) -> Vec<Arc<Credential>> {
        let live = self.read();
        let is_it = |credential: &&Arc<Credential>| {
            credential.member == *member && which.is_none_or(|id| id == credential.id)
        };
        live.values().filter(is_it).cloned().collect()
    }

    fn writing(&self) -> std::sync::MutexGuard<'_, ()> {
        let writing = self.inner.writing.lock();
        writing.unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<CredentialId, Arc<Credential>>> {
        let live = self.inner.live.read();
        live.unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, BTreeMap<CredentialId, Arc<Credential>>> {
        let live = self.inner.live.write();
        live.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Credential {
    /// Takes units of the day, and writes them down where they must be. Blocks where it writes.
    pub(crate) fn charge(&self, units: u64, now: Timestamp) -> Charge {
        self.allowance.charge(units, now)
    }
}

/// The key of the pseudonyms, made with the file.
fn pseudonym_key(write: &WriteTransaction) -> Result<Zeroizing<[u8; 32]>, CredentialError> {
    let mut table = write.open_table(PSEUDONYMS)?;
    let kept = table.get(())?.map(|row| Zeroizing::new(*row.value()));
    if let Some(key) = kept {
        return Ok(key);
    }
    let mut key = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *key).map_err(CredentialError::Random)?;
    table.insert((), &*key)?;
    Ok(key)
}

fn load(
    id: CredentialId,
    bytes: &[u8],
    (day, written): (u64, u64),
) -> Result<Credential, CredentialError> {
    let damaged = || CredentialError::Row(id);
    let row: Row = serde_json::from_slice(bytes).map_err(|_| damaged())?;
    let today = Today {
        day,
        used: written,
        written,
    };
    Ok(Credential {
        id,
        member: row.member.parse().map_err(|_| damaged())?,
        hash: SecretHash::from_hex(&row.hash).ok_or_else(damaged)?,
        issued: Timestamp::new(row.issued),
        expires: Timestamp::new(row.expires),
        networks: row.networks,
        lookup: row.lookup,
        rate: row.rate,
        quota: row.quota,
        allowance: Allowance::new(row.rate, row.quota, today),
    })
}

fn row_of(credential: &Credential) -> Row {
    Row {
        member: credential.member.to_string(),
        hash: credential.hash.to_hex(),
        issued: credential.issued.get(),
        expires: credential.expires.get(),
        networks: credential.networks.clone(),
        lookup: credential.lookup,
        rate: credential.rate,
        quota: credential.quota,
    }
}

fn described(credential: &Credential) -> Described {
    Described {
        credential: credential.id,
        member: credential.member.to_string(),
        issued: credential.issued.get(),
        expires: credential.expires.get(),
        networks: credential.networks.clone(),
        lookup: credential.lookup,
        rate: credential.rate.get(),
        quota: credential.quota,
        used: credential.allowance.today().used,
    }
}
