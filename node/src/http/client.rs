//! A small client that survives hostile servers.
//!
//! Why: a witness or another centre's mirror may be slow, endless or lying, and none of it may cost this node more than one
//! bounded request. Spec: RFC 9110. In scope: GET and POST with bounds on time and bytes, one status each. Out of scope:
//! redirects, proxies, cookies, compression: a log server needs none, and each is a way to be led elsewhere.

use std::io::Read as _;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use ureq::http::header::{
    CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_NONE_MATCH, RANGE, RETRY_AFTER,
};
use ureq::http::{self, HeaderName, Uri};
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};
use ureq::{Agent, Body, BodyReader};

use super::fault::{HttpError, UrlFault};
use super::identity::Identity;
use super::tls::{TlsFilesError, provider, read_pem};

/// Bytes of an answer's head at most.
const HEAD_LEN_MAX: usize = 16 * 1024;
/// Characters of a header that is handed on at most.
const HEADER_LEN_MAX: usize = 128;
/// Connections kept open, and for how long: shorter than any server keeps them.
const IDLE: (usize, Duration) = (4, Duration::from_secs(5));

/// How to ask.
#[derive(Clone)]
pub struct HttpClientConfig {
    /// One request must be done within this, from its beginning to the last byte of the answer.
    pub timeout: Duration,
    /// What to show to servers that ask for a key of the roster.
    pub identity: Option<Identity>,
    /// A PEM file of the certificates that servers are trusted by; without one no `https` server is.
    pub roots: Option<PathBuf>,
}

/// Why a client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientFilesError {
    /// The file of trusted certificates.
    #[error(transparent)]
    Roots(#[from] TlsFilesError),
    /// The certificate and key to show do not fit together, or are none.
    #[error("the client's certificate and key cannot be used")]
    Identity,
}

/// A request with headers that only some servers want. No Debug: one of them may be a secret.
pub struct Question<'a> {
    /// The address.
    pub url: &'a str,
    /// Headers beside those that every request has.
    pub headers: &'a [(HeaderName, &'a str)],
    /// What to send; a request without it is a GET.
    pub body: Option<&'a [u8]>,
}

/// The head of an answer of any status, and its body as it comes. Whoever reads it bounds it.
pub struct Streamed {
    /// The status.
    pub status: u16,
    /// Seconds after which to ask again, where the server says so.
    pub retry_after: Option<u64>,
    /// How the content is packed, if it is at most 128 visible characters.
    pub encoding: Option<String>,
    /// The type of the content, likewise.
    pub content_type: Option<String>,
    /// The body, within the time of the request.
    pub body: BodyReader<'static>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status, one of those that the method says.
    pub status: u16,
    /// The body, whole and bounded.
    pub body: Vec<u8>,
    /// The tag of this content, if it is at most 128 visible characters.
    pub etag: Option<String>,
    /// The type of the content, likewise.
    pub content_type: Option<String>,
}

/// A blocking client: call it on a thread that may wait.
#[derive(Clone)]
pub struct HttpClient {
    agent: Agent,
}

impl HttpClient {
    /// Reads the files and checks that they can be used.
    ///
    /// # Errors
    /// [`ClientFilesError`].
    pub fn new(config: &HttpClientConfig) -> Result<Self, ClientFilesError> {
        let roots = match &config.roots {
            Some(path) => trusted(path)?,
            None => Vec::new(),
        };
        let identity = config.identity.as_ref().map(shown).transpose()?;
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(provider())
            .root_certs(RootCerts::new_with_certs(&roots))
            .client_cert(identity)
            .build();
        let agent = Agent::config_builder()
            .tls_config(tls)
            .proxy(None)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(config.timeout))
            .max_response_header_size(HEAD_LEN_MAX)
            .max_idle_connections(IDLE.0)
            .max_idle_connections_per_host(1)
            .max_idle_age(IDLE.1)
            .user_agent("hashpact")
            .build();
        Ok(Self {
            agent: agent.into(),
        })
    }

    /// A file of at most `max` bytes: status 200.
    ///
    /// # Errors
    /// [`HttpError`], with any other status as [`HttpError::Status`].
    pub fn get(&self, url: &str, max: u64) -> Result<Response, HttpError> {
        let response = self.ask(url, None)?;
        only(&response, 200)?;
        whole(response, max)
    }

    /// As [`HttpClient::get`]; nothing if the server says that its content still has this tag.
    ///
    /// # Errors
    /// As [`HttpClient::get`].
    pub fn get_unless(
        &self,
        url: &str,
        etag: &str,
        max: u64,
    ) -> Result<Option<Response>, HttpError> {
        let response = self.ask(url, Some((IF_NONE_MATCH, etag)))?;
        if response.status().as_u16() == 304 {
            return Ok(None);
        }
        only(&response, 200)?;
        whole(response, max).map(Some)
    }

    /// The bytes of a file from `from` on: status 206. What it has beyond `max` of them is left with the server. A file that
    /// has no more is status 416.
    ///
    /// # Errors
    /// As [`HttpClient::get`]; [`HttpError::Range`] if the server sends other bytes than those.
    pub fn get_range(&self, url: &str, from: u64, max: u64) -> Result<Response, HttpError> {
        let range = format!("bytes={from}-");
        let response = self.ask(url, Some((RANGE, &range)))?;
        only(&response, 206)?;
        let sent = header(&response, &CONTENT_RANGE);
        let begins = sent.is_some_and(|sent| sent.starts_with(&format!("bytes {from}-")));
        if !begins {
            return Err(HttpError::Range);
        }
        // A range that ends somewhere is one that a server may ignore: this one ends where reading does.
        let mut response = response;
        let body = first(&mut response, max)?;
        Ok(answer(&response, body))
    }

    /// Sends `body` as text and reads an answer of at most `max` bytes: any status from 200 to 299 and from 400 to 499, since
    /// a witness says in those what it holds.
    ///
    /// # Errors
    /// As [`HttpClient::get`].
    pub fn post(&self, url: &str, body: &[u8], max: u64) -> Result<Response, HttpError> {
        let request = self.agent.post(checked(url)?);
        let response = request
            .content_type("text/plain; charset=utf-8")
            .send(body)?;
        let got = response.status().as_u16();
        match got {
            200..=299 | 400..=499 => whole(response, max),
            _ => Err(HttpError::Status { got }),
        }
    }

    /// Asks with headers of the caller's, and hands on whatever status comes, the body unread. Redirects are a status too: no
    /// header goes anywhere else.
    ///
    /// # Errors
    /// [`HttpError`]; a fault within the body is the reader's.
    pub fn stream(&self, question: &Question<'_>) -> Result<Streamed, HttpError> {
        let url = checked(question.url)?;
        let headers = question.headers.iter();
        let response = match question.body {
            None => headers
                .fold(self.agent.get(url), |request, (name, value)| {
                    request.header(name, *value)
                })
                .call()?,
            Some(body) => headers
                .fold(self.agent.post(url), |request, (name, value)| {
                    request.header(name, *value)
                })
                .send(body)?,
        };
        let retry_after = header(&response, &RETRY_AFTER);
        Ok(Streamed {
            status: response.status().as_u16(),
            retry_after: retry_after.and_then(|seconds| seconds.parse().ok()),
            encoding: header(&response, &CONTENT_ENCODING),
            content_type: header(&response, &CONTENT_TYPE),
            body: response.into_body().into_reader(),
        })
    }

    fn ask(
        &self,
        url: &str,
        header: Option<(HeaderName, &str)>,
    ) -> Result<http::Response<Body>, HttpError> {
        let mut request = self.agent.get(checked(url)?);
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        Ok(request.call()?)
    }
}

/// A URL that may be asked.
fn checked(url: &str) -> Result<Uri, UrlFault> {
    let uri: Uri = url.parse().map_err(|_| UrlFault::Malformed)?;
    let authority = uri.authority().ok_or(UrlFault::Malformed)?;
    let host = authority.host();
    if host.is_empty() || authority.as_str().contains('@') {
        return Err(UrlFault::Malformed);
    }
    match uri.scheme_str() {
        Some("https") => Ok(uri),
        Some("http") => {
            // Only an address: a name is whatever a resolver says today.
            let address = host.trim_start_matches('[').trim_end_matches(']');
            let is_loopback = address
                .parse()
                .is_ok_and(|address: IpAddr| address.to_canonical().is_loopback());
            match is_loopback {
                true => Ok(uri),
                false => Err(UrlFault::PlainBeyondLoopback),
            }
        }
        Some(_) | None => Err(UrlFault::Scheme),
    }
}

fn only(response: &http::Response<Body>, expected: u16) -> Result<(), HttpError> {
    let got = response.status().as_u16();
    match got == expected {
        true => Ok(()),
        false => Err(HttpError::Status { got }),
    }
}

/// Reads the body to its end or to the bound.
fn whole(mut response: http::Response<Body>, max: u64) -> Result<Response, HttpError> {
    let too_large = HttpError::TooLarge { max };
    if response
        .body()
        .content_length()
        .is_some_and(|len| len > max)
    {
        return Err(too_large);
    }
    let body = first(&mut response, max.saturating_add(1))?;
    if body.len() as u64 > max {
        return Err(too_large);
    }
    Ok(answer(&response, body))
}

/// The first bytes of the body.
fn first(response: &mut http::Response<Body>, max: u64) -> Result<Vec<u8>, HttpError> {
    let mut body = Vec::new();
    // What is announced is not believed: memory grows with what has come.
    let reader = response.body_mut().as_reader();
    reader.take(max).read_to_end(&mut body)?;
    Ok(body)
}

fn answer(response: &http::Response<Body>, body: Vec<u8>) -> Response {
    Response {
        status: response.status().as_u16(),
        body,
        etag: header(response, &ETAG),
        content_type: header(response, &CONTENT_TYPE),
    }
}

/// A header of visible ASCII that is short enough to be handed on.
fn header(response: &http::Response<Body>, name: &HeaderName) -> Option<String> {
    let value = response.headers().get(name)?.to_str().ok()?;
    (value.len() <= HEADER_LEN_MAX).then(|| value.to_owned())
}

/// The certificates of a file, each of which must be one that can be trusted.
fn trusted(path: &std::path::Path) -> Result<Vec<Certificate<'static>>, TlsFilesError> {
    let fault = || TlsFilesError::Pem {
        path: path.to_owned(),
        expected: "certificate",
    };
    let pem = read_pem(path)?;
    let mut store = RootCertStore::empty();
    let mut roots = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|_| fault())?;
        roots.push(Certificate::from_der(&certificate).to_owned());
        store.add(certificate).map_err(|_| fault())?;
    }
    match roots.is_empty() {
        true => Err(fault()),
        false => Ok(roots),
    }
}

/// What is shown to servers; checked here, because the library would panic at the first request.
fn shown(identity: &Identity) -> Result<ClientCert, ClientFilesError> {
    let fault = |_| ClientFilesError::Identity;
    let chain = CertificateDer::pem_slice_iter(identity.certificate_pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(fault)?;
    let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes()).map_err(fault)?;
    let shown: Vec<Certificate<'static>> = chain
        .iter()
        .map(|certificate| Certificate::from_der(certificate).to_owned())
        .collect();
    CertifiedKey::from_der(chain, key, &provider()).map_err(|_| ClientFilesError::Identity)?;
    let key = PrivateKey::from_pem(identity.key_pem.as_bytes())
        .map_err(|_| ClientFilesError::Identity)?;
    Ok(ClientCert::new_with_certs(&shown, key))
}
