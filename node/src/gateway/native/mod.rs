//! The native API, `/v1/*`: manifest, snapshot, changes, acknowledgements, feedback, look-ups.

pub(in crate::gateway) mod ack;
pub(in crate::gateway) mod ask;
mod feedback;
mod forms;
mod health;
mod labels;
pub(in crate::gateway) mod lookup;
mod manifest;
pub(in crate::gateway) mod stream;
mod tags;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::serve::GatewayState;

/// The routes that ask for a credential.
pub(super) fn routes() -> OpenApiRouter<GatewayState> {
    OpenApiRouter::new()
        .routes(routes!(manifest::manifest))
        .routes(routes!(stream::snapshot))
        .routes(routes!(stream::changes))
        .routes(routes!(ack::ack))
        .routes(routes!(lookup::lookup))
        .routes(routes!(feedback::feedback))
        .routes(routes!(feedback::fate))
}

/// Those that do not.
pub(super) fn open_routes() -> OpenApiRouter<GatewayState> {
    OpenApiRouter::new().routes(routes!(health::health))
}
