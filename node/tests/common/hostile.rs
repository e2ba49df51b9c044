//! Servers in the place of a witness over HTTP that answer wrongly, each in its own way.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use hashpact_keys::Signer;
use hashpact_node::clock;
use hashpact_protocol::log::{
    AddCheckpoint, SignatureKind, SignedNote, VerifierKey, cosignature_line,
};

use super::section;

/// How it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Evil {
    /// A byte of its answer now and then, and no end.
    Drip,
    /// More than any answer is.
    Huge,
    /// A status that means nothing here, and another that sends us elsewhere.
    Status(&'static str),
    /// Lines that are no signatures.
    Garbage,
    /// A cosignature under its name, by a key that is not the roster's.
    OtherKey,
    /// It has seen more of the log, it says, and shows nothing of it.
    Ahead,
}

/// A server on a port of this machine, as long as the test runs.
pub(crate) struct Hostile {
    pub(crate) name: String,
    pub(crate) evil: Evil,
    key: VerifierKey,
    address: String,
    asked: Arc<AtomicU64>,
}

impl Hostile {
    pub(crate) fn start(number: u8, evil: Evil) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?.to_string();
        let name = format!("evil.example/w{number}");
        let signer = Signer::from_seed(&[number; 32]);
        let asked: Arc<AtomicU64> = Arc::default();
        let (count, shown) = (Arc::clone(&asked), name.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (name, count) = (shown.clone(), Arc::clone(&count));
                // A client that hangs up is no failure of the test's.
                thread::spawn(move || answer(stream, &name, evil, &count));
            }
        });
        let key = VerifierKey::new(&name, SignatureKind::Cosigner, signer.public());
        Ok(Self {
            name,
            evil,
            key,
            address,
            asked,
        })
    }

    /// As `roster new --witness` takes it.
    pub(crate) fn vkey(&self) -> String {
        self.key.to_string()
    }

    pub(crate) fn section(&self) -> String {
        section(&self.name, &self.address)
    }

    /// How often a checkpoint was submitted.
    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Acquire)
    }
}

fn answer(mut stream: TcpStream, name: &str, evil: Evil, asked: &AtomicU64) -> Result<()> {
    let (head, body) = read(&mut stream)?;
    if head.starts_with("GET ") {
        stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")?;
        return Ok(());
    }
    asked.fetch_add(1, Ordering::AcqRel);
    let mut whole = |status: &str, body: &[u8]| {
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n");
        stream.write_all(&[head.as_bytes(), body].concat())
    };
    match evil {
        Evil::Status(status) => whole(status, b"go away\n")?,
        Evil::Garbage => whole("200 OK", "\u{2014} x y\n\u{2014}\n\nmore".as_bytes())?,
        Evil::Ahead => whole("409 Conflict", b"9000\n")?,
        Evil::OtherKey => {
            let note = SignedNote::parse(&AddCheckpoint::from_bytes(&body)?.note)?;
            let signer = Signer::from_seed(&[99; 32]);
            whole(
                "200 OK",
                &cosignature_line(&note, name, &signer, clock::now()),
            )?;
        }
        Evil::Huge => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1099511627776\r\n\r\n")?;
            loop {
                stream.write_all(&[b'x'; 65_536])?;
            }
        }
        Evil::Drip => {
            // No more than an answer may be, and slower than anybody waits.
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 300\r\n\r\n")?;
            loop {
                stream.write_all(b"x")?;
                thread::sleep(Duration::from_millis(100));
            }
        }
    }
    Ok(())
}

/// Head and body of one request.
fn read(stream: &mut TcpStream) -> Result<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        let mut part = [0; 4096];
        let count = stream.read(&mut part)?;
        bytes.extend_from_slice(part.get(..count).context("no bytes")?);
        let end = bytes.windows(4).position(|at| at == b"\r\n\r\n");
        if let Some(end) = end {
            let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            let length = head.split("content-length: ").nth(1);
            let length = length.and_then(|rest| rest.lines().next()?.trim().parse().ok());
            let length: usize = length.unwrap_or(0);
            if bytes.len() >= end + 4 + length {
                let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
                return Ok((head, bytes[end + 4..].to_vec()));
            }
        }
        anyhow::ensure!(count > 0, "half a request");
    }
}
