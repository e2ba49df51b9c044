//! What the tests of the gateway share: members with credentials, a gateway over a few routes on a real socket, and
//! requests as bytes.

mod admitted;
mod bodies;
mod cut;
mod shapes;
mod streams;
mod tls;

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hashpact_keys::Timestamp;
use hashpact_protocol::centre::Member;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

use super::caller::{Admission, Caller};
use super::config::GatewayConfig;
use super::credentials::{Described, Terms};
use super::desk::Desk;
use super::native::ask;
use super::problem::Problem;
use super::serve::Gateway;
use crate::http::{Bounds, HttpConfig, TlsFiles};
use crate::subset::MemberId;

/// How long anything may take before a test says that it does not happen.
const SOON: Duration = Duration::from_secs(20);
/// How long a wrong credential waits here.
const DELAY: Duration = Duration::from_millis(400);
const ISSUED: u64 = 1_795_000_000;

fn now() -> Timestamp {
    Timestamp::new(ISSUED)
}

/// A year later: every credential has ended.
fn later() -> Timestamp {
    Timestamp::new(ISSUED + 400 * 86_400)
}

/// A gateway with two members, `acme` and `bolt`.
struct Site {
    folder: TempDir,
    desk: Desk,
    gateway: Option<Gateway>,
    runtime: Runtime,
}

struct Settings {
    bounds: Bounds,
    tls: Option<TlsFiles>,
    proxies: Vec<&'static str>,
    delayed: usize,
    clock: fn() -> Timestamp,
    routes: Router,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            bounds: Bounds::default(),
            tls: None,
            proxies: Vec::new(),
            delayed: 8,
            clock: now,
            routes: routes(),
        }
    }
}

struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
    took: Duration,
}

fn member(id: &str) -> Member {
    Member {
        id: id.to_owned(),
        jurisdiction: "US".parse().unwrap(),
        sector: "hosting".to_owned(),
        node_key: None,
    }
}

fn id(name: &str) -> MemberId {
    name.parse().unwrap()
}

fn terms() -> Terms {
    Terms {
        expires_days: None,
        networks: Vec::new(),
        lookup: false,
        rate: Some(10_000.try_into().unwrap()),
        quota: None,
    }
}

/// Routes with the powers that the real ones have: who asks, a body that is read, and an answer without an end.
fn routes() -> Router {
    let name = |caller: Caller| async move { caller.member.to_string() };
    let long = |caller: Caller| async move {
        let chunks = futures::stream::unfold(caller, |caller| async move {
            tokio::time::sleep(Duration::from_millis(5)).await;
            let chunk = match caller.stands() {
                true => Ok(Bytes::from(vec![b'x'; 64 * 1024])),
                false => Err(std::io::Error::other("cut")),
            };
            Some((chunk, caller))
        });
        Body::from_stream(chunks)
    };
    let look = |caller: Caller| async move {
        caller.may_look_up()?;
        caller.charge(10).await?;
        Ok::<_, Problem>("looked up")
    };
    let read = |_: Caller, body: Bytes| async move {
        ask::json::<Value>(&body).map(|value| value.to_string())
    };
    Router::new()
        .route("/name", get(name))
        .route("/entries/{entry}", get(name))
        .route("/long", get(long))
        .route("/look", get(look))
        .route("/read", post(read))
        .route("/v1/pdq/", post(read))
}

impl Site {
    fn new() -> Self {
        Self::with(Settings::default())
    }

    fn with(settings: Settings) -> Self {
        let folder = TempDir::new().unwrap();
        let members = [member("acme"), member("bolt")];
        let desk = Desk::open(folder.path(), members.iter()).unwrap();
        let mut site = Self {
            folder,
            desk,
            gateway: None,
            runtime: Runtime::new().unwrap(),
        };
        site.start(settings);
        site
    }

    fn start(&mut self, settings: Settings) {
        let proxies = settings.proxies.iter().map(|net| net.parse().unwrap());
        let config = GatewayConfig {
            http: HttpConfig {
                listen: "127.0.0.1:0".parse().unwrap(),
                tls: settings.tls,
                bounds: settings.bounds,
            },
            trusted_proxies: proxies.collect(),
        };
        let admission = Admission {
            clock: settings.clock,
            delay: DELAY,
            delayed: Semaphore::new(settings.delayed).into(),
            ..self.desk.admission(&config.trusted_proxies)
        };
        let open = Router::new().route("/open", get(|| async { "open" }));
        let open = open.merge(super::shield::unread());
        let gateway = self.runtime.block_on(async {
            Gateway::open(&config, &self.desk, admission, settings.routes, open)
        });
        self.gateway = Some(gateway.unwrap());
    }

    fn stop(&mut self) {
        let gateway = self.gateway.take().unwrap();
        self.runtime.block_on(gateway.stop());
    }

    fn address(&self) -> SocketAddr {
        self.gateway.as_ref().unwrap().address()
    }

    fn issue(&self, name: &str, terms: &Terms) -> (Described, String) {
        let issued = self.desk.credentials.issue(&id(name), terms, now());
        let (described, token) = issued.unwrap();
        (described, token.to_string())
    }

    /// A token of `acme` on the usual terms.
    fn token(&self) -> String {
        self.issue("acme", &terms()).1
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream
    }

    /// One request with these header lines, each with its end.
    fn ask(&self, line: &str, headers: &str) -> Answer {
        self.say(&format!(
            "{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n"
        ))
        .expect("an answer")
    }

    fn bearer(&self, line: &str, token: &str) -> Answer {
        self.ask(line, &bearer(token))
    }

    /// Sends text and reads to the end; nothing if the server said nothing.
    fn say(&self, text: &str) -> Option<Answer> {
        let began = Instant::now();
        let mut stream = self.connect();
        // A server that has heard enough may close before it has read all.
        let _ = stream.write_all(text.as_bytes());
        let mut answer = Answer::read(&mut stream)?;
        answer.took = began.elapsed();
        Some(answer)
    }

    /// The audit trail, all days.
    fn trail(&self) -> String {
        let folder = self.folder.path().join("audit");
        let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        let texts = files
            .iter()
            .map(|file| std::fs::read_to_string(file).unwrap());
        texts.collect()
    }

    /// Waits until the trail has a line with each of these words.
    fn recorded(&self, words: &[&str]) -> Value {
        let began = Instant::now();
        loop {
            let trail = self.trail();
            let line = trail
                .lines()
                .find(|line| words.iter().all(|word| line.contains(word)));
            if let Some(line) = line {
                return serde_json::from_str(line).unwrap();
            }
            assert!(began.elapsed() < SOON, "no line with {words:?} in {trail}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

fn basic(user: &str, token: &str) -> String {
    let both = STANDARD.encode(format!("{user}:{token}"));
    format!("Authorization: Basic {both}\r\n")
}

impl Answer {
    fn read(stream: &mut TcpStream) -> Option<Self> {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().unwrap();
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        Some(Self {
            status,
            headers,
            body: bytes[end + 4..].to_vec(),
            took: Duration::ZERO,
        })
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The stable word of a problem, which must be one.
    fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json");
        let body: Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(body["status"], self.status);
        assert!(body["detail"].as_str().is_some_and(|text| !text.is_empty()));
        let kind = body["type"].as_str().unwrap();
        kind.strip_prefix("urn:hashpact:problem:")
            .unwrap()
            .to_owned()
    }
}
