//! A node's configuration: one TOML file, unknown keys refused with their line.

use std::path::{Path, PathBuf};

use hashpact_keys::{CentreId, Jurisdiction, Origin};
use serde::{Deserialize, Serialize};

use crate::net::Multiaddr;

/// `hashpact.toml` in a node's home. Tunables are constants with their reasons until an operator asks for one twice.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// This centre's id on the roster, such as "eu".
    pub centre: String,
    /// Its jurisdiction: two capital letters.
    pub jurisdiction: String,
    /// Its log's origin line: `<domain>/<centre>/<epoch>`.
    pub origin: String,
    /// Where it listens: QUIC and TCP.
    pub listen: Vec<String>,
    /// Where others dial it, as written in its enrolment.
    pub addresses: Vec<String>,
}

/// A configuration whose values are all well-formed.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The centre.
    pub centre: CentreId,
    /// Its jurisdiction.
    pub jurisdiction: Jurisdiction,
    /// Its log.
    pub origin: Origin,
    /// Where it listens.
    pub listen: Vec<Multiaddr>,
    /// Where others dial it.
    pub addresses: Vec<String>,
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("{path}: cannot be read: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The fault.
        source: std::io::Error,
    },
    /// It is not TOML of this form; the fault names the line.
    #[error("{path}: {source}", path = path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// The fault.
        source: toml::de::Error,
    },
    /// A value is not well-formed.
    #[error("{field}: {fault}")]
    Value {
        /// The key.
        field: &'static str,
        /// What is wrong with it.
        fault: String,
    },
}

impl Config {
    /// Reads and checks a configuration file.
    ///
    /// # Errors
    /// [`ConfigError`] naming file, line or key.
    pub fn read(path: &Path) -> Result<Checked, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        let config: Self = toml::from_str(&text).map_err(|source| ConfigError::Toml {
            path: path.to_owned(),
            source,
        })?;
        config.check()
    }

    /// Checks every value.
    ///
    /// # Errors
    /// [`ConfigError::Value`].
    pub fn check(&self) -> Result<Checked, ConfigError> {
        let value = |field, fault: String| ConfigError::Value { field, fault };
        let centre: CentreId = parse("centre", &self.centre)?;
        let origin: Origin = parse("origin", &self.origin)?;
        if *origin.centre() != centre {
            let fault = format!("names centre {}, but `centre` is {centre}", origin.centre());
            return Err(value("origin", fault));
        }
        if self.listen.is_empty() {
            return Err(value("listen", "at least one address".to_owned()));
        }
        let listen = self.listen.iter().map(|text| parse("listen", text));
        for address in &self.addresses {
            parse::<Multiaddr>("addresses", address)?;
        }
        Ok(Checked {
            centre,
            jurisdiction: parse("jurisdiction", &self.jurisdiction)?,
            origin,
            listen: listen.collect::<Result<_, _>>()?,
            addresses: self.addresses.clone(),
        })
    }

    /// The file's text, with a line of explanation for each key.
    #[must_use]
    pub fn to_text(&self) -> String {
        let list = |items: &[String]| {
            let quoted: Vec<String> = items.iter().map(|item| format!("\"{item}\"")).collect();
            format!("[{}]", quoted.join(", "))
        };
        format!(
            "# A Hashpact node. Unknown keys are refused.\n\
             \n# This centre's id on the roster.\ncentre = \"{}\"\n\
             # Two capital letters.\njurisdiction = \"{}\"\n\
             # The origin line of its log. It never changes while the log lives.\norigin = \"{}\"\n\
             # Where it listens: QUIC first, TCP where UDP is blocked.\nlisten = {}\n\
             # Where others dial it. A change here needs a new enrolment and a new roster.\naddresses = {}\n",
            self.centre,
            self.jurisdiction,
            self.origin,
            list(&self.listen),
            list(&self.addresses),
        )
    }
}

fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(
    field: &'static str,
    text: &str,
) -> Result<T, ConfigError> {
    text.parse().map_err(|error: T::Err| ConfigError::Value {
        field,
        fault: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config {
            centre: "eu".to_owned(),
            jurisdiction: "EU".to_owned(),
            origin: "eu.example/eu/1".to_owned(),
            listen: vec!["/ip4/127.0.0.1/udp/4010/quic-v1".to_owned()],
            addresses: vec![],
        }
    }

    #[test]
    fn written_text_reads_back() {
        let config = config();
        assert_eq!(toml::from_str::<Config>(&config.to_text()).unwrap(), config);
    }

    #[test]
    fn unknown_key_is_refused_with_its_line() {
        let text = format!("{}lisen = []\n", config().to_text());
        let error = toml::from_str::<Config>(&text).unwrap_err().to_string();
        assert!(
            error.contains("lisen") && error.contains("line 13"),
            "{error}"
        );
    }

    #[test]
    fn origin_of_another_centre_is_refused() {
        let mut config = config();
        config.origin = "us.example/us/1".to_owned();
        let error = config.check().unwrap_err().to_string();
        assert_eq!(error, "origin: names centre us, but `centre` is eu");
    }
}
