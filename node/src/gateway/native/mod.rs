//! The native API, `/v1/*`: manifest, snapshot, changes, acknowledgements, feedback, look-ups.

mod health;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::serve::GatewayState;

/// The routes that ask for a credential.
pub(super) fn routes() -> OpenApiRouter<GatewayState> {
    OpenApiRouter::new()
}

/// Those that do not.
pub(super) fn open_routes() -> OpenApiRouter<GatewayState> {
    OpenApiRouter::new().routes(routes!(health::health))
}
