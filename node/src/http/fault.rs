//! How a request to another server can fail, without a word of what that server said.
//!
//! Why: what a hostile server sends must not reach logs and terminals; a reader needs to know whether to try again, to fix
//! the address or to look at the certificate. In scope: the classes and how the client library's faults fall into them.

use std::io::ErrorKind;

/// Why a request has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// The address cannot be asked.
    #[error(transparent)]
    Url(#[from] UrlFault),
    /// Nobody answers there.
    #[error("no connection could be made")]
    Connect,
    /// It took too long: to connect, to begin or to end.
    #[error("not answered in time")]
    Timeout,
    /// The body is larger than what was asked for can be.
    #[error("the answer has more than {max} bytes")]
    TooLarge {
        /// Bytes at most.
        max: u64,
    },
    /// The status is none that was asked for. Redirects are not followed.
    #[error("answered with status {got}")]
    Status {
        /// The status.
        got: u16,
    },
    /// TLS.
    #[error(transparent)]
    Tls(#[from] TlsFault),
    /// The answer is not HTTP, or its head is too large.
    #[error("the answer is not HTTP")]
    Protocol,
    /// Another part of the file was sent than the one asked for.
    #[error("another range was sent than the one asked for")]
    Range,
    /// The connection ended before the answer did.
    #[error("the connection broke")]
    Broken,
}

/// Why an address cannot be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlFault {
    /// Not an absolute URL with a host, or one with a name and password.
    #[error("not a URL such as https://eu.example/")]
    Malformed,
    /// Neither `https` nor `http`.
    #[error("a URL begins with https://")]
    Scheme,
    /// Plain HTTP to another machine.
    #[error("plain http:// goes to a loopback address only, such as http://127.0.0.1:8080/")]
    PlainBeyondLoopback,
}

/// What fails in TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsFault {
    /// This side does not trust the server's certificate.
    #[error("the server's certificate is not trusted")]
    Certificate,
    /// The server ended the handshake: mostly it does not know this side's key.
    #[error("the server refused the TLS handshake")]
    Refused,
    /// Anything else.
    #[error("the TLS handshake failed")]
    Other,
}

impl From<&rustls::Error> for TlsFault {
    fn from(error: &rustls::Error) -> Self {
        if matches!(error, rustls::Error::InvalidCertificate(_)) {
            Self::Certificate
        } else if matches!(error, rustls::Error::AlertReceived(_)) {
            Self::Refused
        } else {
            Self::Other
        }
    }
}

impl From<std::io::Error> for HttpError {
    fn from(error: std::io::Error) -> Self {
        // The library wraps its own faults; this takes them out again.
        ureq::Error::from(error).into()
    }
}

impl From<ureq::Error> for HttpError {
    fn from(error: ureq::Error) -> Self {
        if let ureq::Error::Io(error) = &error {
            return of_io(error);
        }
        if let ureq::Error::Rustls(error) = &error {
            return TlsFault::from(error).into();
        }
        if matches!(error, ureq::Error::Timeout(_)) {
            Self::Timeout
        } else if matches!(error, ureq::Error::Tls(_) | ureq::Error::TlsRequired) {
            TlsFault::Other.into()
        } else if matches!(
            error,
            ureq::Error::HostNotFound | ureq::Error::ConnectionFailed
        ) {
            Self::Connect
        } else if matches!(error, ureq::Error::BadUri(_) | ureq::Error::Http(_)) {
            UrlFault::Malformed.into()
        } else {
            Self::Protocol
        }
    }
}

fn of_io(error: &std::io::Error) -> HttpError {
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    if let Some(inner) = inner {
        return TlsFault::from(inner).into();
    }
    if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock) {
        HttpError::Timeout
    } else if matches!(
        error.kind(),
        ErrorKind::ConnectionRefused
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::AddrNotAvailable
    ) {
        HttpError::Connect
    } else {
        HttpError::Broken
    }
}
