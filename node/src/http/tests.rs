//! What the tests of HTTP share: a log folder, a server over it, and requests as bytes on a socket.

mod bounds;
mod hostile;
mod paths;
mod serving;
mod tls;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::{Admitted, Bounds, HttpConfig, LogFolder, Server, TlsFiles};

/// How long anything may take before a test says that it does not happen.
const SOON: Duration = Duration::from_secs(20);
const LOG: &str = "eu.example_eu_1";
/// What must never come over the wire.
const SECRET: &str = "never-to-be-served";
const ANY: &str = "127.0.0.1:0";

/// A data folder as the store lays it out, and a server over its logs.
struct Site {
    folder: TempDir,
    server: Option<Server>,
    runtime: Runtime,
}

struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Site {
    fn plain() -> Self {
        Self::start(Bounds::default(), None, Admitted::default(), Router::new())
    }

    fn bounded(bounds: Bounds) -> Self {
        Self::start(bounds, None, Admitted::default(), Router::new())
    }

    fn start(bounds: Bounds, tls: Option<TlsFiles>, admitted: Admitted, extra: Router) -> Self {
        let folder = TempDir::new().unwrap();
        let runtime = Runtime::new().unwrap();
        let config = HttpConfig {
            listen: ANY.parse().unwrap(),
            tls,
            bounds,
        };
        let root = folder.path().join("data/logs");
        let server = runtime.block_on(async {
            Server::start(&config, LogFolder { root }, admitted, extra).unwrap()
        });
        let site = Self {
            folder,
            server: Some(server),
            runtime,
        };
        site.write(&format!("logs/{LOG}/checkpoint"), b"eu.example/eu/1\n7\n");
        site.write(&format!("logs/{LOG}/history"), b"first\nsecond\n");
        site.write(&format!("logs/{LOG}/tile/0/000.p/7"), &[7; 7 * 32]);
        site.write(&format!("bodies/{LOG}/0/0.body"), SECRET.as_bytes());
        site.write("control.redb", SECRET.as_bytes());
        site
    }

    /// Writes a file below the data folder.
    fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.data().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn address(&self) -> SocketAddr {
        self.server.as_ref().unwrap().address()
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "")
    }

    /// One request with more header lines, each with its end.
    fn ask(&self, method: &str, path: &str, headers: &str) -> Answer {
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
        self.say(head.as_bytes()).expect("an answer")
    }

    /// Sends bytes and reads to the end; nothing if the server said nothing.
    fn say(&self, bytes: &[u8]) -> Option<Answer> {
        let mut stream = self.connect();
        // A server that has heard enough may close before it has read all.
        let _ = stream.write_all(bytes);
        Answer::read(&mut stream)
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream
    }

    fn stop(&mut self) {
        let server = self.server.take().unwrap();
        self.runtime.block_on(server.stop());
    }
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
        let body = bytes[end + 4..].to_vec();
        Some(Self {
            status,
            headers,
            body,
        })
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}
