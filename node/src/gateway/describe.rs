//! What the generated description says of every route alike: how to show a credential, and how a refusal looks.

use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};

/// Routes that ask for no credential.
const OPEN: [&str; 1] = ["/v1/health"];

/// Adds the two ways to show a credential, to every path but the open ones.
pub(super) fn finish(document: &mut OpenApi) {
    let components = document.components.get_or_insert_default();
    let schemes = [
        ("basic", HttpAuthScheme::Basic),
        ("bearer", HttpAuthScheme::Bearer),
    ];
    for (name, scheme) in schemes {
        let scheme = SecurityScheme::Http(Http::new(scheme));
        components.add_security_scheme(name, scheme);
    }
    let none: [&str; 0] = [];
    let both = vec![
        SecurityRequirement::new("basic", none),
        SecurityRequirement::new("bearer", none),
    ];
    for (path, item) in &mut document.paths.paths {
        if OPEN.contains(&path.as_str()) {
            continue;
        }
        let operations = [&mut item.get, &mut item.post, &mut item.put];
        for operation in operations.into_iter().flatten() {
            operation.security = Some(both.clone());
        }
    }
}
