//! Logs over HTTP: what a node lets others read, and how it asks others.
//!
//! Why: an auditor and a public witness speak HTTP and no libp2p, and existing tools read C2SP tiles. Spec: C2SP
//! `tlog-tiles`; `docs/protocol.md`, logs. In scope: the log folder read-only, who may connect, a client that survives hostile
//! servers. Out of scope: what the bytes mean (`hashpact-protocol`), bodies (never served here), routes that write, which the
//! daemon hands in.
//!
//! | file | answers |
//! |---|---|
//! | `path` | which paths there are |
//! | `serve` | what is answered for each |
//! | `folder` | how a file of the log folder is opened and no other |
//! | `tls` | whose certificate opens a connection |
//! | `identity` | how a node key becomes a certificate |
//! | `listen` | where the server listens and how it ends |
//! | `bounds` | how much one connection and all of them may take |
//! | `client` | how a node asks others, and the faults of that (`fault`) |

mod bounds;
mod client;
mod fault;
mod folder;
mod identity;
mod listen;
mod path;
mod serve;
#[cfg(test)]
mod tests;
mod tls;

pub use bounds::Bounds;
pub use client::{ClientFilesError, HttpClient, HttpClientConfig, Question, Response, Streamed};
pub use fault::{HttpError, TlsFault, UrlFault};
pub use folder::LogFolder;
pub use identity::{Identity, IdentityError, self_signed};
pub use listen::{HttpConfig, HttpConfigError, Server, StartHttpError, TlsFiles};
pub use serve::router;
pub(crate) use tls::open_config;
pub use tls::{Admitted, TlsFilesError};
