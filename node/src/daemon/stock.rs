//! This node as the witness of logs outside its network, as far as the daemon has a say.
//!
//! What was cosigned for them lies in the data folder (`witness::node`), so it is as old as that: nothing is cosigned before
//! others have said that this node's disk is no old copy, nor with keys that are retired because it was one. In scope:
//! opening, opening and closing the door, new rosters. Out of scope: the rules (`witness`).

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use hashpact_keys::{KeyUse, Roster};
use hashpact_protocol::centre::Centre;
use hashpact_protocol::log::VerifierKey;

use super::{RunError, Seen};
use crate::config::Checked;
use crate::home::{Home, NodeKeys};
use crate::witness::{self, Logs, NodeWitnessError, StateError, WitnessService};

/// The service, its logs, and whether it cosigns.
pub(super) struct Stock {
    service: Arc<WitnessService>,
    logs: Vec<VerifierKey>,
    is_open: Arc<AtomicBool>,
}

/// Opens the service that the configuration asks for, closed at first. Where its memory is lost there is none: the node does
/// its other work, and says so.
pub(super) fn open(
    home: &Home,
    keys: &NodeKeys,
    checked: &Checked,
    roster: &Roster,
    seen: &mut VecDeque<Seen>,
) -> Result<(Option<Stock>, Router), RunError> {
    let logs = checked.witnessed_logs.clone();
    if logs.is_empty() {
        return Ok((None, Router::new()));
    }
    let (data, signer) = (home.data(), keys.signer(KeyUse::Witness)?);
    let roster = roster.clone();
    match witness::node_routes(&data, &checked.origin, signer, roster, logs.clone()) {
        Ok((service, routes)) => {
            let is_open = Arc::new(AtomicBool::new(false));
            let door = from_fn_with_state(Arc::clone(&is_open), door);
            let stock = Stock {
                service,
                logs,
                is_open,
            };
            Ok((Some(stock), routes.layer(door)))
        }
        Err(error @ NodeWitnessError::State(StateError::Lost { .. })) => {
            let text = format!(
                "logs outside the network are not cosigned: {error}: renew the keys (hashpact key renew witness mirror)"
            );
            tracing::error!("{text}");
            seen.push_back(Seen::new("witness_state_lost", None, text));
            Ok((None, Router::new()))
        }
        Err(error) => Err(error.into()),
    }
}

impl Stock {
    /// Opens or closes the door, as the core judges this node's disk.
    pub(super) fn follow(&self, centre: &Centre) {
        let is_sure = centre.behind().is_none() && centre.unconfirmed().is_none();
        self.is_open
            .store(is_sure && !centre.is_retired(), Ordering::Release);
    }

    /// Takes a new roster: its logs are not cosigned here.
    pub(super) fn set_roster(&self, roster: &Roster) {
        match Logs::of_node(roster.clone(), self.logs.clone()) {
            Ok(logs) => self.service.set_logs(logs),
            Err(error) => tracing::warn!(%error, "logs outside the network"),
        }
    }
}

/// What was cosigned may be read at any time.
async fn door(State(is_open): State<Arc<AtomicBool>>, request: Request, next: Next) -> Response {
    if request.method() == Method::POST && !is_open.load(Ordering::Acquire) {
        let text = "this witness does not know yet whether its memory is whole, or must not cosign with this key any more\n";
        return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
    }
    next.run(request).await
}
