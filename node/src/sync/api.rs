//! The native API of a serving centre, as a member asks it.
//!
//! Why: the server may be slow, broken or lying, and the token must reach nobody else. So a redirect is a fault, every answer
//! has a bound, and what a server says in words is shown only in plain characters. Spec: `docs/providers.md`. In scope:
//! requests and the classes of answers. Out of scope: whether what it says is true (`verify`).

use std::io::Read as _;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use ureq::http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, IF_NONE_MATCH};
use zeroize::Zeroizing;

use super::item::Cursor;
use super::stream::Items;
use crate::http::{ClientFilesError, HttpClient, HttpClientConfig, HttpError, Question, Streamed};

/// A short answer must be there within this.
const SHORT: Duration = Duration::from_secs(60);
/// A stream may take this long; what came of it until then is kept, and the next request goes on behind it.
const LONG: Duration = Duration::from_secs(600);
/// Bytes of a manifest in JSON: 4,096 classes with their labels, some hundred logs with their notes.
const MANIFEST_BYTES_MAX: u64 = 16 << 20;
/// Bytes of a problem, or of the answer to an acknowledgement.
const ANSWER_BYTES_MAX: u64 = 16 << 10;
/// Characters of a server's words that are shown.
const WORDS_MAX: usize = 200;
/// Seconds that a server may make us wait.
const WAIT_MAX: u64 = 3_600;
/// The problem by which a gateway says that a member has nothing any more.
const UNPUBLISHED: &str = "urn:hashpact:problem:unpublished";
/// Bytes of a token at most.
const TOKEN_MAX: usize = 256;

/// Where to ask, and as whom. No Debug: it holds the token.
pub struct Api {
    short: HttpClient,
    long: HttpClient,
    base: String,
    authorization: Zeroizing<String>,
}

/// How an [`Api`] is reached.
pub struct ApiConfig {
    /// The address of the gateway, up to and not including `/v1`.
    pub from: String,
    /// The token that the centre gave out.
    pub token: Zeroizing<String>,
    /// A PEM file of the certificates that servers are trusted by; nothing if it is the system's.
    pub roots: Option<PathBuf>,
}

/// What a server says of a subset; nothing of it is verified.
pub(super) struct Told {
    pub(super) member: String,
    pub(super) signed: Vec<u8>,
    /// The policy document's version.
    pub(super) policy_version: Option<u64>,
    /// Origin lines with signed notes.
    pub(super) notes: Vec<(String, String)>,
}

/// Why a request brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// No client can be made.
    #[error(transparent)]
    Files(#[from] ClientFilesError),
    /// A token that no gateway gives out.
    #[error(
        "the token is not one: hp1_, 8 digits, _ and 43 characters, on the first line of its file"
    )]
    Token,
    /// Nothing came, or what came was no HTTP.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// It points elsewhere.
    #[error(
        "the server answered {status}, a redirect: give the address itself with --from; the token was sent nowhere else"
    )]
    Redirect {
        /// The status.
        status: u16,
    },
    /// The token is none, or not any more.
    #[error(
        "the server does not take this token (401): it expired, was revoked or replaced; ask the centre for a new one"
    )]
    Credential,
    /// This member may have nothing.
    #[error("the server gives this member nothing (403): {words}")]
    Lapsed {
        /// What it says.
        words: String,
    },
    /// The ledger was built again, or the server does not know the cursor any more.
    #[error("the server's ledger is another one: a new snapshot is needed")]
    Ledger,
    /// Later.
    #[error("the server asks to wait for {seconds} s")]
    Wait {
        /// How long.
        seconds: u64,
    },
    /// Any other status.
    #[error("the server answered {status}: {words}")]
    Refused {
        /// The status.
        status: u16,
        /// What it says.
        words: String,
    },
    /// An answer that is not what the interface says.
    #[error("the answer to {what} is not what the interface says")]
    Form {
        /// What was asked for.
        what: &'static str,
    },
}

#[derive(Deserialize)]
struct ToldJson {
    member: String,
    signed: String,
    #[serde(default)]
    policy: Option<PolicyJson>,
    #[serde(default)]
    logs: Vec<LogJson>,
}

#[derive(Deserialize)]
struct PolicyJson {
    #[serde(default)]
    version: Option<u64>,
}

#[derive(Deserialize)]
struct LogJson {
    origin: String,
    #[serde(default)]
    checkpoint: Option<String>,
}

#[derive(Deserialize, Default)]
struct ProblemJson {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    detail: String,
}

impl Api {
    /// A client for one server.
    ///
    /// # Errors
    /// [`ApiError::Files`], [`ApiError::Token`] or [`ApiError::Http`] if the address is none.
    pub fn new(config: &ApiConfig) -> Result<Self, ApiError> {
        let token = config.token.trim();
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if !token.starts_with("hp1_") || token.len() > TOKEN_MAX || !token.bytes().all(plain) {
            return Err(ApiError::Token);
        }
        // Plain HTTP goes to this machine only, and needs no list of hundreds of certificates.
        let roots = match config.from.starts_with("https:") {
            true => config.roots.clone().or_else(system_roots),
            false => config.roots.clone(),
        };
        let client = |timeout| {
            HttpClient::new(&HttpClientConfig {
                timeout,
                identity: None,
                roots: roots.clone(),
            })
        };
        Ok(Self {
            short: client(SHORT)?,
            long: client(LONG)?,
            base: config.from.trim_end_matches('/').to_owned(),
            authorization: Zeroizing::new(format!("Bearer {token}")),
        })
    }

    /// What the server says that this member has.
    pub(super) fn subset(&self) -> Result<Told, ApiError> {
        let what = "GET /v1/subset";
        let answer = self.get(&self.short, "/v1/subset", &[(ACCEPT, "application/json")])?;
        let body = read(answer, MANIFEST_BYTES_MAX)?;
        let form = || ApiError::Form { what };
        let told: ToldJson = serde_json::from_slice(&body).map_err(|_| form())?;
        let notes = told.logs.into_iter();
        Ok(Told {
            member: told.member,
            signed: STANDARD.decode(told.signed).map_err(|_| form())?,
            policy_version: told.policy.and_then(|policy| policy.version),
            notes: notes
                .filter_map(|log| Some((log.origin, log.checkpoint?)))
                .collect(),
        })
    }

    /// All that is live, from the beginning or behind a cursor of a snapshot that was cut.
    pub(super) fn snapshot(&self, after: Option<&Cursor>) -> Result<Items, ApiError> {
        let path = match after {
            None => "/v1/subset/snapshot".to_owned(),
            Some(cursor) => format!("/v1/subset/snapshot?after={}", cursor.as_str()),
        };
        self.items(&path, None)?.ok_or(ApiError::Form {
            what: "GET /v1/subset/snapshot",
        })
    }

    /// What changed behind a cursor; `None` if nothing did.
    pub(super) fn changes(&self, after: &Cursor) -> Result<Option<Items>, ApiError> {
        let path = format!("/v1/subset/changes?after={}", after.as_str());
        self.items(&path, Some(&format!("\"{}\"", after.as_str())))
    }

    /// Says that all up to this cursor is applied.
    pub(super) fn acknowledge(&self, cursor: &Cursor) -> Result<(), ApiError> {
        let body = serde_json::json!({ "cursor": cursor.as_str() }).to_string();
        let url = format!("{}/v1/ack", self.base);
        let headers = [
            (AUTHORIZATION, self.authorization.as_str()),
            (CONTENT_TYPE, "application/json"),
        ];
        let answer = self.short.stream(&Question {
            url: &url,
            headers: &headers,
            body: Some(body.as_bytes()),
        })?;
        read(sorted(answer)?, ANSWER_BYTES_MAX).map(drop)
    }

    fn items(&self, path: &str, etag: Option<&str>) -> Result<Option<Items>, ApiError> {
        let what = "GET /v1/subset/…";
        let mut headers = vec![(ACCEPT, "application/cbor-seq"), (ACCEPT_ENCODING, "zstd")];
        headers.extend(etag.map(|etag| (IF_NONE_MATCH, etag)));
        let answer = self.get(&self.long, path, &headers)?;
        if answer.status == 304 {
            return match etag {
                Some(_) => Ok(None),
                None => Err(ApiError::Form { what }),
            };
        }
        let content = answer.content_type.as_deref().unwrap_or_default();
        let content = content.split(';').next().unwrap_or_default().trim();
        let is_zstd = match answer.encoding.as_deref() {
            None | Some("identity") => Some(false),
            Some("zstd") => Some(true),
            Some(_) => None,
        };
        match is_zstd {
            Some(is_zstd) if content == "application/cbor-seq" => {
                let items = Items::new(answer.body, is_zstd);
                items.map(Some).map_err(|_| ApiError::Form { what })
            }
            Some(_) | None => Err(ApiError::Form { what }),
        }
    }

    fn get(
        &self,
        client: &HttpClient,
        path: &str,
        headers: &[(ureq::http::HeaderName, &str)],
    ) -> Result<Streamed, ApiError> {
        let url = format!("{}{path}", self.base);
        let mut headers = headers.to_vec();
        headers.push((AUTHORIZATION, self.authorization.as_str()));
        let answer = client.stream(&Question {
            url: &url,
            headers: &headers,
            body: None,
        })?;
        sorted(answer)
    }
}

/// Sorts answers by their status: 200 and 304 are handed on.
fn sorted(answer: Streamed) -> Result<Streamed, ApiError> {
    let status = answer.status;
    match status {
        200 | 304 => Ok(answer),
        300..=399 => Err(ApiError::Redirect { status }),
        400 => match problem(answer) {
            // One that this server never gave to this member: it was restored, or the member entered anew.
            (kind, _) if kind.rsplit(':').next() == Some("cursor") => Err(ApiError::Ledger),
            (_, words) => Err(ApiError::Refused { status, words }),
        },
        401 => Err(ApiError::Credential),
        403 => {
            let (kind, words) = problem(answer);
            // A proxy in between may answer 403 as well: only the gateway's own word stops the matching of a list.
            match kind == UNPUBLISHED {
                true => Err(ApiError::Lapsed { words }),
                false => Err(ApiError::Refused { status, words }),
            }
        }
        410 => Err(ApiError::Ledger),
        429 | 503 => Err(ApiError::Wait {
            seconds: answer.retry_after.unwrap_or(60).clamp(1, WAIT_MAX),
        }),
        _ => {
            let (_, words) = problem(answer);
            Err(ApiError::Refused { status, words })
        }
    }
}

fn read(answer: Streamed, max: u64) -> Result<Vec<u8>, ApiError> {
    let mut body = Vec::new();
    let mut reader = answer.body.take(max + 1);
    reader.read_to_end(&mut body).map_err(HttpError::from)?;
    match body.len() as u64 > max {
        true => Err(HttpError::TooLarge { max }.into()),
        false => Ok(body),
    }
}

/// The type of a problem, and its words.
fn problem(answer: Streamed) -> (String, String) {
    let body = read(answer, ANSWER_BYTES_MAX).unwrap_or_default();
    let problem: ProblemJson = serde_json::from_slice(&body).unwrap_or_default();
    let words = match plain(&problem.detail) {
        words if words.is_empty() => "no reason is given".to_owned(),
        words => words,
    };
    (problem.kind, words)
}

/// Words of another side as a terminal may show them.
fn plain(words: &str) -> String {
    let visible = words.chars().filter(|c| c.is_ascii_graphic() || *c == ' ');
    visible.take(WORDS_MAX).collect()
}

/// The certificates that the system trusts, where they are in one of the usual places.
fn system_roots() -> Option<PathBuf> {
    let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let usual = [
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/ca-bundle.pem",
        "/etc/ssl/cert.pem",
    ];
    let mut places = named.into_iter().chain(usual.map(PathBuf::from));
    places.find(|path| path.is_file())
}
