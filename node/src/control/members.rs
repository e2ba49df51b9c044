//! The register of members, for whoever asks at the control socket.

use hashpact_protocol::centre::{Command, Member};
use serde_json::{Value, json};

use super::Fault;
use super::server::{input, refused};
use crate::daemon::Handle;

/// What `member add` gives.
pub(super) struct Added {
    pub(super) name: String,
    pub(super) key: Option<String>,
    pub(super) jurisdiction: String,
    pub(super) sector: String,
}

pub(super) async fn add(handle: &Handle, added: Added) -> Result<Value, Fault> {
    let key = added.key.map(|key| key.parse()).transpose();
    let node_key = key.map_err(|_| input("a key has 64 hexadecimal digits".to_owned()))?;
    let law = added.jurisdiction.parse();
    let jurisdiction = law.map_err(|_| input("a jurisdiction has two letters A-Z".to_owned()))?;
    let member = Member {
        id: added.name,
        jurisdiction,
        sector: added.sector,
        node_key,
    };
    let answer = described(&member);
    let done = handle.command(Command::AdmitMember(member)).await;
    done.map(|_| answer).map_err(refused)
}

pub(super) async fn remove(handle: &Handle, name: String) -> Result<Value, Fault> {
    let answer = json!({ "removed": name });
    // Before the register: between the two nobody has credentials of a member that is gone.
    super::credentials::revoke_all(handle, &name).await?;
    let done = handle.command(Command::RemoveMember(name)).await;
    done.map(|_| answer).map_err(refused)
}

pub(super) fn list(handle: &Handle) -> Value {
    let members = Member::all(&*handle.store);
    let members: Vec<_> = members.iter().map(described).collect();
    json!({ "members": members })
}

fn described(member: &Member) -> Value {
    json!({
        "name": member.id,
        "jurisdiction": member.jurisdiction.as_str(),
        "sector": member.sector,
        "key": member.node_key.map(|key| key.to_string()),
    })
}
