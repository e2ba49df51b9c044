//! A session under way, and what was seen last: small sealed files of the cache.

use hashpact_keys::Timestamp;
use hashpact_keys::canonical::encode;
use hashpact_keys::reader::{ReadError, Reader};
use hashpact_protocol::Hash;
use hashpact_protocol::fingerprint::Algorithm;
use hashpact_protocol::labels::Purpose;
use hashpact_protocol::limits;
use hashpact_protocol::lists::ClosedList as _;
use hashpact_protocol::policy::MatchMode;
use hashpact_protocol::psi::{Epoch, GroupId, SessionId};
use zeroize::Zeroizing;

use super::super::manifest::Logged;
use super::{Cache, CacheError};
use std::path::PathBuf;

/// Bytes of one of these files at most.
pub(super) const PENDING_BYTES: usize = 64 * 1024;

/// A session that was opened and did not end yet.
#[derive(Clone)]
pub(in super::super) struct Pending {
    /// Its name.
    pub(in super::super) session: SessionId,
    /// Seed of its blinds and of its random items. Whoever knows it can open the session's query.
    pub(in super::super) seed: Zeroizing<[u8; 32]>,
    /// The epoch that it asks in.
    pub(in super::super) epoch: Epoch,
    /// Groups that it was granted, once it was opened.
    pub(in super::super) groups: Vec<GroupId>,
    /// Items that it declares, random ones among them.
    pub(in super::super) items: u64,
    /// Hash of the names of its items, in order.
    pub(in super::super) query: Hash,
    /// When it began.
    pub(in super::super) from: Timestamp,
    /// When it was last heard of.
    pub(in super::super) touched: Timestamp,
}

/// Groups of the last session: all that the manifest had of the type and mode, and those that were granted.
pub(in super::super) struct Granted {
    pub(in super::super) listed: Vec<GroupId>,
    pub(in super::super) granted: Vec<GroupId>,
}

/// What a session is about, beside the centre.
#[derive(Clone, Copy)]
pub(in super::super) struct About<'a> {
    pub(in super::super) kind: &'a Algorithm,
    pub(in super::super) mode: MatchMode,
    pub(in super::super) purpose: Purpose,
}

impl Cache {
    fn session_path(&self, about: About<'_>) -> PathBuf {
        let (kind, mode) = (about.kind.name(), about.mode.name());
        let name = format!("{kind}-{mode}-{}", about.purpose.name());
        self.folder.join("sessions").join(name)
    }

    /// The session under way, if there is one.
    pub(in super::super) fn pending(
        &self,
        about: About<'_>,
    ) -> Result<Option<Pending>, CacheError> {
        let plain = self.read_sealed(&self.session_path(about), b"session")?;
        Ok(plain.and_then(|plain| read_pending(&plain).ok()))
    }

    /// Keeps a session that goes on.
    pub(in super::super) fn keep_pending(
        &self,
        about: About<'_>,
        pending: &Pending,
    ) -> Result<(), CacheError> {
        let plain = Zeroizing::new(write_pending(pending));
        self.write_sealed(&self.session_path(about), b"session", &plain)
    }

    /// Forgets a session that is over.
    pub(in super::super) fn drop_pending(&self, about: About<'_>) -> Result<(), CacheError> {
        let path = self.session_path(about);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(CacheError {
                path,
                source: error,
            }),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn groups_path(&self, epoch: Epoch, about: About<'_>) -> PathBuf {
        let (kind, mode) = (about.kind.name(), about.mode.name());
        let name = format!("{kind}-{mode}-{}.groups", about.purpose.name());
        self.epoch(epoch.0).join(name)
    }

    /// What the last session of an epoch was granted.
    pub(in super::super) fn granted(
        &self,
        epoch: Epoch,
        about: About<'_>,
    ) -> Result<Option<Granted>, CacheError> {
        let plain = self.read_sealed(&self.groups_path(epoch, about), b"groups")?;
        Ok(plain.and_then(|plain| read_granted(&plain).ok()))
    }

    /// Keeps what a session was granted.
    pub(in super::super) fn keep_granted(
        &self,
        epoch: Epoch,
        about: About<'_>,
        granted: &Granted,
    ) -> Result<(), CacheError> {
        self.make(&self.epoch(epoch.0))?;
        let plain = encode(|e| {
            e.array(2)?;
            for list in [&granted.listed, &granted.granted] {
                e.array(list.len() as u64)?;
                for group in list {
                    e.u32(group.0)?;
                }
            }
            Ok(())
        });
        self.write_sealed(&self.groups_path(epoch, about), b"groups", &plain)
    }
}

fn write_pending(pending: &Pending) -> Vec<u8> {
    encode(|e| {
        e.array(8)?
            .bytes(&pending.session.0)?
            .bytes(&*pending.seed)?
            .u64(pending.epoch.0)?
            .array(pending.groups.len() as u64)?;
        for group in &pending.groups {
            e.u32(group.0)?;
        }
        e.u64(pending.items)?
            .bytes(&pending.query)?
            .u64(pending.from.get())?
            .u64(pending.touched.get())?;
        Ok(())
    })
}

fn read_pending(bytes: &[u8]) -> Result<Pending, ReadError> {
    let mut reader = Reader::new(bytes)?;
    reader.array(8)?;
    Ok(Pending {
        session: SessionId(*reader.fixed()?),
        seed: Zeroizing::new(*reader.fixed()?),
        epoch: Epoch(reader.u64()?),
        groups: groups(&mut reader)?,
        items: reader.u64()?,
        query: *reader.fixed()?,
        from: Timestamp::new(reader.u64()?),
        touched: Timestamp::new(reader.u64()?),
    })
}

fn read_granted(bytes: &[u8]) -> Result<Granted, ReadError> {
    let mut reader = Reader::new(bytes)?;
    reader.array(2)?;
    Ok(Granted {
        listed: groups(&mut reader)?,
        granted: groups(&mut reader)?,
    })
}

fn groups(reader: &mut Reader<'_>) -> Result<Vec<GroupId>, ReadError> {
    let count = reader.list(limits::MATCH_GROUPS)?;
    let mut groups = Vec::with_capacity(count);
    for _ in 0..count {
        groups.push(GroupId(reader.u32()?));
    }
    Ok(groups)
}

pub(super) fn write_seen(logged: &Logged) -> Vec<u8> {
    encode(|e| {
        e.array(4)?
            .str(logged.manifest.origin.as_str())?
            .u64(logged.manifest.number)?
            .u64(logged.size)?
            .bytes(&logged.hash)?;
        Ok(())
    })
}

/// Log, number, size of the log and hash of the newest manifest seen.
pub(super) fn read_seen(bytes: &[u8]) -> Option<(String, u64, u64, Hash)> {
    let mut reader = Reader::new(bytes).ok()?;
    reader.array(4).ok()?;
    let origin = reader.text().ok()?.to_owned();
    let (number, size) = (reader.u64().ok()?, reader.u64().ok()?);
    Some((origin, number, size, *reader.fixed().ok()?))
}
