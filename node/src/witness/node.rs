//! A centre's node as the witness of logs outside its network: `[[witnessed_log]]` in its configuration.
//!
//! Why its own state: what centres cosign for each other is the core's, in the store; here a log is whatever its operator
//! named. The state lies in `<data>/witness/<id of the witness key>`: it is made with the key, and a renewed key begins with
//! an empty one, as it has cosigned nothing. In scope: making, opening, routes. Out of scope: when (the daemon).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use hashpact_keys::{Origin, PublicKey, Roster, Signer};
use hashpact_protocol::log::{SignatureKind, VerifierKey, witness_name};

use super::logs::{Logs, LogsError};
use super::service::WitnessService;
use super::state::{StateError, WitnessState};
use crate::store::durable::Steps;

/// Why a node does not witness stock logs.
#[derive(Debug, thiserror::Error)]
pub enum NodeWitnessError {
    /// The logs.
    #[error(transparent)]
    Logs(#[from] LogsError),
    /// The state.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Makes the state for a witness key that has cosigned nothing: when the home's log begins, and when the key is renewed. The
/// folder `data` is the store's.
///
/// # Errors
/// [`StateError`]; [`StateError::Exists`] if the key has a state.
pub fn begin_node_state(data: &Path, origin: &Origin, key: PublicKey) -> Result<(), StateError> {
    let folder = folder(data, &key);
    WitnessState::make(&folder, &verifier_key(origin, key), &Steps::default())
}

/// The service and its routes for stock logs, below `/witness`: its submission prefix ends in that. `signer` is the node's
/// witness key. After a change of the roster give the service [`Logs::of_node`] again.
///
/// # Errors
/// [`NodeWitnessError`]; [`StateError::Lost`] if the key has no state.
pub fn node_routes(
    data: &Path,
    origin: &Origin,
    signer: Signer,
    roster: Roster,
    logs: Vec<VerifierKey>,
) -> Result<(Arc<WitnessService>, Router), NodeWitnessError> {
    let logs = Logs::of_node(roster, logs)?;
    let key = verifier_key(origin, signer.public());
    let state = WitnessState::open(&folder(data, &signer.public()), key, Steps::default())?;
    let service = Arc::new(WitnessService::new(signer, logs, state));
    let routes = Router::new().nest("/witness", Arc::clone(&service).router());
    Ok((service, routes))
}

fn folder(data: &Path, key: &PublicKey) -> PathBuf {
    data.join("witness").join(key.key_id().to_string())
}

fn verifier_key(origin: &Origin, key: PublicKey) -> VerifierKey {
    VerifierKey::new(&witness_name(origin), SignatureKind::Cosigner, key)
}
