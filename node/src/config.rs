//! A node's configuration: one TOML file, unknown keys refused with their line.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hashpact_keys::{CentreId, Jurisdiction, Origin, WitnessName};
use hashpact_protocol::log::VerifierKey;
use serde::Deserialize;

use crate::daemon::people::PER_PERSON_DAY;
use crate::gateway::config::{GatewayConfig, GatewaySection};
use crate::http::{Bounds, HttpConfig, HttpConfigError, StartHttpError, TlsFiles};
use crate::net::Multiaddr;

/// What `hashpact.toml` in a node's home must say. Tunables are constants with their reasons until an operator asks for one
/// twice.
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// The whole file: what it must say, and the sections that it may have.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    centre: String,
    jurisdiction: String,
    origin: String,
    listen: Vec<String>,
    addresses: Vec<String>,
    http: Option<HttpSection>,
    gateway: Option<GatewaySection>,
    lookup: Option<LookupSection>,
    #[serde(default)]
    witnessed_log: Vec<WitnessedLogSection>,
    #[serde(default)]
    witness: Vec<WitnessSection>,
    witness_roots: Option<PathBuf>,
    subset: Option<SubsetSection>,
}

/// `[[witness]]`: where a witness of the roster that is no centre is reached.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WitnessSection {
    name: String,
    url: String,
}

/// `[[witnessed_log]]`: a log outside the network that this node cosigns over HTTP.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WitnessedLogSection {
    vkey: String,
}

/// `[lookup]`: look-ups by people.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LookupSection {
    per_person_day: u64,
}

/// `[http]`: the logs for others to read.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HttpSection {
    listen: String,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

/// `[subset]`: what is published to members, and when.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct SubsetSection {
    quarantine_s: Option<u64>,
    cap_per_origin_day: Option<u64>,
}

/// When entries are published to members, and how many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubsetConfig {
    /// Seconds that a delta waits from when it may act here: time to take back what was a mistake.
    pub quarantine_s: u64,
    /// New entries of each other centre in a UTC day. Own entries have no cap.
    pub cap_per_origin_day: u64,
}

impl Default for SubsetConfig {
    fn default() -> Self {
        Self {
            quarantine_s: 3_600,
            cap_per_origin_day: 50_000,
        }
    }
}

/// Most seconds of quarantine: a week.
const QUARANTINE_MAX_S: u64 = 7 * 86_400;

impl SubsetSection {
    fn check(&self) -> Result<SubsetConfig, ConfigError> {
        let usual = SubsetConfig::default();
        let quarantine_s = self.quarantine_s.unwrap_or(usual.quarantine_s);
        if quarantine_s > QUARANTINE_MAX_S {
            return Err(ConfigError::Value {
                field: "subset.quarantine_s",
                fault: format!("at most {QUARANTINE_MAX_S}, a week"),
            });
        }
        Ok(SubsetConfig {
            quarantine_s,
            cap_per_origin_day: self.cap_per_origin_day.unwrap_or(usual.cap_per_origin_day),
        })
    }
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
    /// Where its logs are served over HTTP, with paths as the file says them; nothing if they are not.
    pub http: Option<HttpConfig>,
    /// Where members are served, with paths as the file says them; nothing if they are not.
    pub gateway: Option<GatewayConfig>,
    /// When entries are published to members, and how many.
    pub subset: SubsetConfig,
    /// Look-ups that one person may make at the control socket in a UTC day.
    pub lookups_per_person_day: u64,
    /// Keys of the logs outside the network that this node cosigns over HTTP.
    pub witnessed_logs: Vec<VerifierKey>,
    /// Where the roster's witnesses that are no centres are reached: submission prefixes (C2SP tlog-witness) by name.
    pub witnesses: BTreeMap<String, String>,
    /// A PEM file of the certificates that witnesses' servers are trusted by, with its path as the file says it.
    pub witness_roots: Option<PathBuf>,
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
    /// The HTTP that it asks for is not allowed.
    #[error("http: {0}")]
    Http(#[from] HttpConfigError),
    /// The HTTP that it asks for cannot be served.
    #[error("http: {0}")]
    StartHttp(#[from] StartHttpError),
    /// The gateway cannot be served so.
    #[error("gateway: {0}")]
    Gateway(#[source] StartHttpError),
}

impl File {
    fn check(self) -> Result<Checked, ConfigError> {
        let config = Config {
            centre: self.centre,
            jurisdiction: self.jurisdiction,
            origin: self.origin,
            listen: self.listen,
            addresses: self.addresses,
        };
        let mut checked = config.check()?;
        checked.subset = self.subset.unwrap_or_default().check()?;
        checked.http = self.http.map(HttpSection::check).transpose()?;
        checked.gateway = self.gateway.map(GatewaySection::check).transpose()?;
        if let Some(lookup) = self.lookup {
            checked.lookups_per_person_day = lookup.per_person_day;
        }
        let keys = self.witnessed_log.iter();
        let keys = keys.map(|log| parse("witnessed_log.vkey", &log.vkey));
        checked.witnessed_logs = keys.collect::<Result<_, _>>()?;
        for WitnessSection { name, url } in self.witness {
            let name: WitnessName = parse("witness.name", &name)?;
            let fault = |fault: &str| ConfigError::Value {
                field: "witness.url",
                fault: fault.to_owned(),
            };
            if !url.starts_with("https://") && !url.starts_with("http://") {
                return Err(fault(
                    "begins with https://, or on this machine with http://",
                ));
            }
            if checked.witnesses.insert(name.to_string(), url).is_some() {
                return Err(fault("a second one of the same name"));
            }
        }
        checked.witness_roots = self.witness_roots;
        if checked.http.is_none() && !checked.witnessed_logs.is_empty() {
            return Err(ConfigError::Value {
                field: "witnessed_log",
                fault: "a log asks over HTTP, so it needs a section `[http]`".to_owned(),
            });
        }
        Ok(checked)
    }
}

impl HttpSection {
    fn check(self) -> Result<HttpConfig, ConfigError> {
        let tls = tls_files(self.certificate, self.key, ["http.certificate", "http.key"])?;
        let config = HttpConfig {
            listen: parse("http.listen", &self.listen)?,
            tls,
            bounds: Bounds::default(),
        };
        config.check()?;
        Ok(config)
    }
}

/// A certificate and its key: both or neither. `fields` are their names in the file.
pub(crate) fn tls_files(
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    fields: [&'static str; 2],
) -> Result<Option<TlsFiles>, ConfigError> {
    let lacks = |field, other: &str| ConfigError::Value {
        field,
        fault: format!("needed beside `{other}`"),
    };
    match (certificate, key) {
        (Some(certificate), Some(key)) => Ok(Some(TlsFiles { certificate, key })),
        (Some(_), None) => Err(lacks(fields[1], "certificate")),
        (None, Some(_)) => Err(lacks(fields[0], "key")),
        (None, None) => Ok(None),
    }
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
        let file: File = toml::from_str(&text).map_err(|source| ConfigError::Toml {
            path: path.to_owned(),
            source,
        })?;
        file.check()
    }

    /// Checks every value. The sections that a file may have are absent.
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
            http: None,
            subset: SubsetConfig::default(),
            gateway: None,
            lookups_per_person_day: PER_PERSON_DAY,
            witnessed_logs: Vec::new(),
            witnesses: BTreeMap::new(),
            witness_roots: None,
        })
    }

    /// The file's text, with a line of explanation for each key, and the sections that it may have as comments.
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
             # Where others dial it. A change here needs a new enrolment and a new roster.\naddresses = {}\n\
             # The certificates (PEM) that servers of witnesses are trusted by; without them none is asked over https.\n\
             # witness_roots = \"http/witnesses.pem\"\n\
             \n# Serves its logs over HTTP, read-only: plain on a loopback address, for a proxy; elsewhere with a certificate,\n\
             # and then to the node keys of the roster only. The files are PEM; their paths begin at this folder.\n\
             # [http]\n# listen = \"127.0.0.1:8080\"\n# certificate = \"http/certificate.pem\"\n# key = \"http/key.pem\"\n\
             \n# Serves members over HTTP: plain on a loopback address, for a proxy; elsewhere with a certificate, which is read\n\
             # again when its files change. Behind a proxy, from where it speaks: only then is X-Forwarded-For believed.\n\
             # [gateway]\n# listen = \"127.0.0.1:8443\"\n# certificate = \"gateway/certificate.pem\"\n# key = \"gateway/key.pem\"\n\
             # trusted_proxies = [\"127.0.0.1/32\"]\n\
             \n# What members get: a delta waits so many seconds, and of each other centre so many new entries come a day.\n\
             # [subset]\n# quarantine_s = 3600\n# cap_per_origin_day = 50000\n\
             \n# Look-ups that one person may make at the control socket in a UTC day; each leaves a line in data/audit.\n\
             # [lookup]\n# per_person_day = 10000\n\
             \n# An auditor's witness, or another that is on the roster, over HTTP (C2SP tlog-witness).\n\
             # [[witness]]\n# name = \"auditor.example/w1\"\n# url = \"http://127.0.0.1:8090\"\n",
            self.centre,
            self.jurisdiction,
            self.origin,
            list(&self.listen),
            list(&self.addresses),
        )
    }
}

pub(crate) fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(
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

    fn read(text: &str) -> Result<Checked, ConfigError> {
        toml::from_str::<File>(text).unwrap().check()
    }

    #[test]
    fn written_text_reads_back() {
        let config = config();
        let file: File = toml::from_str(&config.to_text()).unwrap();
        let back = Config {
            centre: file.centre,
            jurisdiction: file.jurisdiction,
            origin: file.origin,
            listen: file.listen,
            addresses: file.addresses,
        };
        assert_eq!(back, config);
        assert!(file.http.is_none());
    }

    #[test]
    fn unknown_key_is_refused_with_its_line() {
        let text = format!("{}lisen = []\n", config().to_text());
        let line = format!("line {}", text.lines().count());
        let error = toml::from_str::<File>(&text).unwrap_err().to_string();
        assert!(error.contains("lisen") && error.contains(&line), "{error}");
        let text = format!("{}[http]\nlisten = \"\"\nkeys = 1\n", config().to_text());
        let error = toml::from_str::<File>(&text).unwrap_err().to_string();
        assert!(error.contains("keys"), "{error}");
    }

    /// As an operator takes the number signs away.
    #[test]
    fn sections_and_keys_in_the_written_comments_are_ones_that_read() {
        let text = config().to_text();
        let taken_away = |line: &str| {
            let bare = line.strip_prefix("# ").unwrap_or(line);
            let is_key = bare.starts_with('[') || bare.contains(" = ");
            format!("{}\n", if is_key { bare } else { line })
        };
        let checked = read(&text.lines().map(taken_away).collect::<String>()).unwrap();
        let url = &checked.witnesses["auditor.example/w1"];
        assert_eq!(url, "http://127.0.0.1:8090");
        let roots = checked.witness_roots.unwrap();
        assert_eq!(roots, Path::new("http/witnesses.pem"));
        assert_eq!(checked.lookups_per_person_day, PER_PERSON_DAY);
        let gateway = checked.gateway.unwrap();
        assert_eq!(gateway.http.listen, "127.0.0.1:8443".parse().unwrap());
        assert_eq!(gateway.trusted_proxies, ["127.0.0.1/32".parse().unwrap()]);
        let http = checked.http.unwrap();
        assert_eq!(http.listen, "127.0.0.1:8080".parse().unwrap());
        let files = http.in_home(Path::new("/home/eu")).tls.unwrap();
        assert_eq!(files.key, Path::new("/home/eu/http/key.pem"));
        assert_eq!(
            files.certificate,
            Path::new("/home/eu/http/certificate.pem")
        );
    }

    #[test]
    fn http_section_that_would_serve_in_the_open_or_by_half_a_certificate_is_refused() {
        let with = |lines: &str| {
            read(&format!("{}[http]\n{lines}", config().to_text()))
                .unwrap_err()
                .to_string()
        };
        let open = with("listen = \"0.0.0.0:80\"\n");
        assert!(open.contains("open to others"), "{open}");
        let half = with("listen = \"0.0.0.0:80\"\ncertificate = \"c\"\n");
        assert_eq!(half, "http.key: needed beside `certificate`");
        let half = with("listen = \"127.0.0.1:80\"\nkey = \"k\"\n");
        assert_eq!(half, "http.certificate: needed beside `key`");
        let name = with("listen = \"localhost\"\n");
        assert!(name.starts_with("http.listen: "), "{name}");
    }

    #[test]
    fn log_to_witness_needs_its_key_and_http() {
        let key = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
        let section = format!("[[witnessed_log]]\nvkey = \"{key}\"\n");
        let text = format!("{}{section}", config().to_text());
        let error = read(&text).unwrap_err().to_string();
        assert!(error.contains("[http]"), "{error}");
        let text = format!("{text}[http]\nlisten = \"127.0.0.1:0\"\n");
        let logs = read(&text).unwrap().witnessed_logs;
        assert_eq!(logs[0].to_string(), key);
        let error = read(&text.replace("foo", "bar")).unwrap_err().to_string();
        assert!(error.starts_with("witnessed_log.vkey: "), "{error}");
    }

    #[test]
    fn origin_of_another_centre_is_refused() {
        let mut config = config();
        config.origin = "us.example/us/1".to_owned();
        let error = config.check().unwrap_err().to_string();
        assert_eq!(error, "origin: names centre us, but `centre` is eu");
    }
}
