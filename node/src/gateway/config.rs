//! `[gateway]` of the configuration: where members are served.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use serde::Deserialize;

use crate::config::{ConfigError, parse, tls_files};
use crate::http::{Bounds, HttpConfig};

/// Proxies that may be named.
const PROXIES: usize = 64;

/// The section, as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GatewaySection {
    listen: String,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    #[serde(default)]
    trusted_proxies: Vec<String>,
}

/// Where and how members are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayConfig {
    /// The address, the certificate and the bounds of connections.
    pub http: HttpConfig,
    /// From where a proxy speaks that is believed about its client's address.
    pub trusted_proxies: Vec<IpNet>,
}

/// What clients of the gateway may take: long answers to a few hundred programs.
fn bounds() -> Bounds {
    Bounds {
        connections: 1024,
        connections_per_address: 256,
        // A whole subset over a slow line; what is cut goes on at its last cursor.
        life: Duration::from_secs(1800),
        request: Duration::from_secs(20),
        ..Bounds::default()
    }
}

impl GatewaySection {
    pub(crate) fn check(self) -> Result<GatewayConfig, ConfigError> {
        let fields = ["gateway.certificate", "gateway.key"];
        let http = HttpConfig {
            listen: parse("gateway.listen", &self.listen)?,
            tls: tls_files(self.certificate, self.key, fields)?,
            bounds: bounds(),
        };
        http.check()
            .map_err(|error| ConfigError::Gateway(error.into()))?;
        let field = "gateway.trusted_proxies";
        if self.trusted_proxies.len() > PROXIES {
            let fault = format!("at most {PROXIES}");
            return Err(ConfigError::Value { field, fault });
        }
        let proxies = self.trusted_proxies.iter().map(|text| parse(field, text));
        Ok(GatewayConfig {
            http,
            trusted_proxies: proxies.collect::<Result<_, _>>()?,
        })
    }
}

impl GatewayConfig {
    /// The same with paths that are relative to `home`.
    #[must_use]
    pub fn in_home(mut self, home: &Path) -> Self {
        self.http = self.http.in_home(home);
        self
    }
}
