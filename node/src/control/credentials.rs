//! Credentials of members, for whoever asks at the control socket.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;
use zeroize::Zeroizing;

use super::Fault;
use super::server::{failed, input, no};
use crate::clock;
use crate::daemon::Handle;
use crate::gateway::credentials::CredentialError;
use crate::gateway::desk::Desk;
use crate::gateway::token::CredentialId;
use crate::gateway::{Described, Terms};
use crate::subset::MemberId;

/// What may be asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum CredentialAsk {
    /// A new one; its token is shown once.
    Issue {
        /// The member.
        member: String,
        /// What it allows.
        terms: Terms,
    },
    /// Those of a member, or of all.
    List {
        /// The member.
        member: Option<String>,
    },
    /// New ones on the same terms; the old ones end within a day.
    Rotate {
        /// The member.
        member: String,
        /// Which; all without it.
        credential: Option<CredentialId>,
    },
    /// End them at once.
    Revoke {
        /// The member.
        member: String,
        /// Which; all without it.
        credential: Option<CredentialId>,
    },
}

pub(super) async fn answer(handle: &Handle, ask: CredentialAsk) -> Result<Value, Fault> {
    let desk = handle.gateway.clone();
    // The disk is slow: not on a thread that serves others.
    let done = spawn_blocking(move || run(&desk, ask)).await;
    done.map_err(|_| failed("the node could not answer".to_owned()))?
}

/// Ends every credential of a member that is about to be removed. A name that is none has none.
pub(super) async fn revoke_all(handle: &Handle, name: &str) -> Result<(), Fault> {
    let Ok(member) = name.parse::<MemberId>() else {
        return Ok(());
    };
    let credentials = handle.gateway.credentials.clone();
    let done = spawn_blocking(move || credentials.revoke(&member, None)).await;
    let done = done.map_err(|_| failed("the node could not answer".to_owned()))?;
    done.map(drop).map_err(fault)
}

fn run(desk: &Desk, ask: CredentialAsk) -> Result<Value, Fault> {
    let now = clock::now();
    match ask {
        CredentialAsk::Issue { member, terms } => {
            let member = known(desk, &member)?;
            let (issued, token) = desk
                .credentials
                .issue(&member, &terms, now)
                .map_err(fault)?;
            shown(&issued, &token)
        }
        CredentialAsk::List { member } => {
            let member = member.map(|name| known(desk, &name)).transpose()?;
            let all = desk.credentials.list(member.as_ref());
            Ok(json!({ "credentials": all }))
        }
        CredentialAsk::Rotate { member, credential } => {
            let member = known(desk, &member)?;
            let fresh = desk.credentials.rotate(&member, credential, now);
            let fresh = fresh.map_err(fault)?;
            let shown: Result<Vec<_>, _> = fresh
                .iter()
                .map(|(issued, token)| shown(issued, token))
                .collect();
            Ok(json!({ "credentials": shown? }))
        }
        CredentialAsk::Revoke { member, credential } => {
            let member = known(desk, &member)?;
            let count = desk.credentials.revoke(&member, credential);
            match count.map_err(fault)? {
                0 => Err(no(format!("{member} has no such credential"))),
                count => Ok(json!({ "member": member.as_str(), "revoked": count })),
            }
        }
    }
}

fn known(desk: &Desk, name: &str) -> Result<MemberId, Fault> {
    let member: MemberId = name.parse().map_err(|_| {
        input("a member's name has 1 to 64 characters of a-z, 0-9 and '-'".to_owned())
    })?;
    match desk.members.contains(&member) {
        true => Ok(member),
        false => Err(no(format!(
            "there is no member {member}: `hashpact member add` enters one"
        ))),
    }
}

/// With its token: the only place where it is ever shown.
fn shown(issued: &Described, token: &Zeroizing<String>) -> Result<Value, Fault> {
    let mut value = serde_json::to_value(issued).map_err(|error| failed(error.to_string()))?;
    if let Some(object) = value.as_object_mut() {
        object.insert("token".to_owned(), json!(token.as_str()));
    }
    Ok(value)
}

fn fault(error: CredentialError) -> Fault {
    let text = error.to_string();
    match error {
        CredentialError::Expires | CredentialError::Networks => input(text),
        CredentialError::Full | CredentialError::Unknown => no(text),
        CredentialError::Database(_) | CredentialError::Row(_) | CredentialError::Random(_) => {
            failed(text)
        }
    }
}
