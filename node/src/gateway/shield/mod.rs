//! `POST /v1/pdq/` as the clients of Arachnid Shield speak it.
//!
//! Why: a provider that scans uploads with a stock client changes one address. Spec: formats section 2.2. The clients take
//! any answer that is no JSON for a fault of their own, one of them stops the whole program, so every refusal here is
//! `{"detail": "..."}`. The routes that would carry content or addresses of it are answered 404 before their body is read:
//! nothing here accepts content. The stock clients have no route for other hashes; `POST /v1/lookup` looks those up.
//!
//! | file | answers |
//! |---|---|
//! | `pdq` | which hashes are asked, and what is answered |
//! | `refuse` | how a refusal looks here |

mod pdq;
mod refuse;
#[cfg(test)]
mod tests;

use axum::Router;
use axum::routing::any;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::serve::GatewayState;

pub(crate) use refuse::{detailed, is_unread};

/// The route that asks for a credential.
pub(crate) fn routes() -> OpenApiRouter<GatewayState> {
    OpenApiRouter::new().routes(routes!(pdq::scan))
}

/// Those that answer anybody, and always 404.
pub(crate) fn unread() -> Router {
    Router::new()
        .route("/v1/media/", any(refuse::no_content))
        .route("/v1/url/", any(refuse::no_content))
}
