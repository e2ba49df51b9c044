//! A serving centre on a real socket, which says what a test makes it say.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hashpact_protocol::subset::Manifest;
use serde_json::json;

use super::TOKEN;
use super::world::{Streams, World, end};

/// In place of a problem's type: something in between answers, and not the gateway.
pub(super) const A_PROXY: &str = "a proxy";

/// Writes the body of a stream.
type Raw = Arc<dyn Fn(&mut TcpStream) + Send + Sync>;

/// What a server says.
#[derive(Default)]
pub(super) struct Says {
    /// The manifest, signed.
    pub(super) signed: Vec<u8>,
    /// What its JSON names.
    pub(super) member: String,
    /// Streams of snapshots and of changes, by the cursor that they go on behind.
    pub(super) snapshots: Streams,
    pub(super) changes: Streams,
    /// A status for everything but acknowledgements, with a problem's type.
    pub(super) status: Option<(u16, &'static str)>,
    /// Whether streams are compressed.
    pub(super) zstd: bool,
    /// Bytes of a stream after which the connection breaks; counts once.
    pub(super) cut: Option<usize>,
    /// What was acknowledged.
    pub(super) acks: Vec<String>,
    /// Paths that were asked for.
    pub(super) asked: Vec<String>,
    /// Writes a stream itself, for ever if it wants.
    pub(super) raw: Option<Raw>,
}

/// The server.
#[derive(Clone)]
pub(super) struct Server {
    address: SocketAddr,
    says: Arc<Mutex<Says>>,
}

impl Server {
    /// A server that gives the member a list; its cursors are of letters.
    pub(super) fn start(world: &World, manifest: &Manifest, snapshot: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let says = Says {
            signed: world.signed(manifest),
            member: manifest.member.clone(),
            snapshots: Streams::from([(None, snapshot)]),
            ..Says::default()
        };
        let server = Self {
            address,
            says: Arc::new(Mutex::new(says)),
        };
        let serving = server.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serving = serving.clone();
                thread::spawn(move || serving.serve(stream));
            }
        });
        server
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn says(&self) -> MutexGuard<'_, Says> {
        self.says.lock().unwrap()
    }

    /// From now on the manifest is this, and behind a cursor come these items.
    pub(super) fn goes_on(&self, world: &World, manifest: &Manifest, after: &str, items: Vec<u8>) {
        let mut says = self.says();
        says.signed = world.signed(manifest);
        says.changes.insert(Some(after.to_owned()), items);
    }

    fn serve(&self, mut stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let mut words = line.split(' ');
        let (method, path) = (
            words.next().unwrap().to_owned(),
            words.next().unwrap().to_owned(),
        );
        let (mut length, mut is_known, mut etag) = (0, false, None);
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).unwrap();
            let Some((name, value)) = header.trim_end().split_once(": ") else {
                break;
            };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse().unwrap(),
                "authorization" => is_known = value == format!("Bearer {TOKEN}"),
                "if-none-match" => etag = Some(value.trim_matches('"').to_owned()),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        assert!(is_known, "the token is sent with every request");
        self.answer(&mut stream, (&method, &path), &body, etag);
    }

    fn answer(
        &self,
        stream: &mut TcpStream,
        (method, path): (&str, &str),
        body: &[u8],
        etag: Option<String>,
    ) {
        let mut says = self.says();
        says.asked.push(path.to_owned());
        if let Some((status, kind)) = says.status {
            let location = "Location: http://127.0.0.1:9/v1/subset\r\n";
            if kind == A_PROXY {
                return say(stream, status, location, b"<html>403 Forbidden</html>");
            }
            let problem = json!({ "type": format!("urn:hashpact:problem:{kind}"), "detail": "because\u{1b}[31m of it" });
            return say(stream, status, location, problem.to_string().as_bytes());
        }
        let (route, query) = path.split_once('?').unwrap_or((path, ""));
        let after = query.strip_prefix("after=").map(ToOwned::to_owned);
        match (method, route) {
            ("GET", "/v1/subset") => {
                let signed = STANDARD.encode(&says.signed);
                let told = json!({ "member": says.member, "signed": signed, "cursor": "x" });
                say(stream, 200, "", told.to_string().as_bytes());
            }
            ("GET", "/v1/subset/snapshot") => {
                let items = says.snapshots.get(&after).cloned();
                Self::stream(says, stream, items);
            }
            ("GET", "/v1/subset/changes") => {
                let items = says.changes.get(&after).cloned();
                if items.is_none() && etag == after && etag.is_some() {
                    return say(stream, 304, "", b"");
                }
                let items = items.unwrap_or_else(|| end(&after.unwrap(), false));
                Self::stream(says, stream, Some(items));
            }
            ("POST", "/v1/ack") => {
                let told: serde_json::Value = serde_json::from_slice(body).unwrap();
                says.acks.push(told["cursor"].as_str().unwrap().to_owned());
                say(stream, 200, "", b"{\"acknowledged\":1}");
            }
            _ => say(stream, 404, "", b""),
        }
    }

    fn stream(mut says: MutexGuard<'_, Says>, stream: &mut TcpStream, items: Option<Vec<u8>>) {
        let Some(items) = items else {
            return say(stream, 404, "", b"");
        };
        let cut = says.cut.take();
        let (zstd, raw) = (says.zstd, says.raw.clone());
        drop(says);
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/cbor-seq\r\nConnection: close\r\n";
        let packed = match zstd {
            true => zstd::encode_all(&items[..], 1).unwrap(),
            false => items,
        };
        let coding = if zstd {
            "Content-Encoding: zstd\r\n"
        } else {
            ""
        };
        if let Some(raw) = raw {
            let _ = write!(stream, "{head}{coding}\r\n");
            return raw(stream);
        }
        let len = packed.len();
        let _ = write!(stream, "{head}{coding}Content-Length: {len}\r\n\r\n");
        let _ = stream.write_all(&packed[..cut.unwrap_or(len).min(len)]);
    }
}

fn say(stream: &mut TcpStream, status: u16, headers: &str, body: &[u8]) {
    let len = body.len();
    let head = format!(
        "HTTP/1.1 {status} X\r\nConnection: close\r\n{headers}Content-Type: application/json\r\nContent-Length: {len}\r\n\r\n"
    );
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(body);
}
