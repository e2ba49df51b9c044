//! The gateway as the rest of the node sees it: credentials, the register, the audit log and how it stands.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use hashpact_keys::Timestamp;
use hashpact_protocol::centre::Member;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::audit::AuditLog;
use super::caller::Admission;
use super::credentials::{CredentialError, Credentials};
use super::members::Members;
use super::record::{Counts, Recorder};
use super::unnamed::Unnamed;
use crate::audit_trail::AuditTrail;

/// How the gateway stands, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayStatus {
    /// Where it listens, if it does.
    pub listening: Option<String>,
    /// Members that hold a credential in force.
    pub members: u64,
    /// Credentials in force.
    pub credentials: u64,
    /// Requests answered since the node started.
    pub requests: u64,
    /// Those of them that were refused or failed.
    pub refused: u64,
}

/// Clones share everything.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) credentials: Credentials,
    pub(crate) members: Members,
    pub(crate) audit: AuditLog,
    counts: Counts,
    address: Arc<OnceLock<SocketAddr>>,
}

impl Desk {
    /// Opens the credentials of a node whose data lies in `data`; those of whoever is no member are forgotten.
    pub(crate) fn open<'m>(
        data: &Path,
        register: impl Iterator<Item = &'m Member>,
    ) -> Result<Self, CredentialError> {
        let members = Members::default();
        members.set(register);
        let path = data.join("gateway.redb");
        let credentials = Credentials::open(&path, |id| members.contains(id))?;
        Ok(Self {
            credentials,
            members,
            audit: AuditLog::new(AuditTrail::new(data.join("audit"))),
            counts: Counts::default(),
            address: Arc::default(),
        })
    }

    pub(crate) fn admission(&self, proxies: &[IpNet]) -> Admission {
        let (credentials, members) = (self.credentials.clone(), self.members.clone());
        Admission::new(credentials, members, self.audit.clone(), proxies)
    }

    pub(super) fn recorder(&self, clock: fn() -> Timestamp) -> Recorder {
        Recorder {
            audit: self.audit.clone(),
            counts: self.counts.clone(),
            unnamed: Unnamed::default(),
            clock,
        }
    }

    pub(super) fn listens(&self, address: SocketAddr) {
        let _ = self.address.set(address);
    }

    /// How it stands at `now`.
    pub(crate) fn status(&self, now: Timestamp) -> GatewayStatus {
        let mut all = self.credentials.list(None);
        all.retain(|credential| now.get() < credential.expires);
        let credentials = all.len() as u64;
        let mut members: Vec<String> = all.into_iter().map(|one| one.member).collect();
        members.sort_unstable();
        members.dedup();
        let (requests, refused) = self.counts.read();
        GatewayStatus {
            listening: self.address.get().map(ToString::to_string),
            members: members.len() as u64,
            credentials,
            requests,
            refused,
        }
    }
}
