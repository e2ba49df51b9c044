//! The HTTP side: statuses and bodies of the specification, over a real socket, and many requests at once.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;

use hashpact_protocol::log::{cosignatures_from_answer, origin_hash};

use super::*;
use crate::witness::{Logs, WitnessService};

/// A witness that serves in a runtime of its own until it is dropped.
struct Serving {
    address: SocketAddr,
    service: Arc<WitnessService>,
    _runtime: tokio::runtime::Runtime,
}

impl Serving {
    fn start(folder: &Path) -> Self {
        let logs = Logs::of_witness(None, vec![log_vkey()]).unwrap();
        let service = Arc::new(WitnessService::new(signer(2), logs, made(folder)));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap();
        let app = Arc::clone(&service).router().into_make_service();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let inside = runtime.enter();
        let server = axum_server::from_tcp(listener).unwrap();
        runtime.spawn(server.serve(app));
        drop(inside);
        Self {
            address,
            service,
            _runtime: runtime,
        }
    }

    /// Status, head and body of one request.
    fn ask(&self, method: &str, path: &str, body: &[u8]) -> (u16, String, Vec<u8>) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: w\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        // A server that has answered may have closed already.
        let _ = stream.write_all(body);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let end = answer.windows(4).position(|at| at == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(answer[..end].to_vec()).unwrap();
        let status = head[9..12].parse().unwrap();
        (status, head.to_lowercase(), answer[end + 4..].to_vec())
    }

    fn add(&self, request: &AddCheckpoint) -> (u16, String, Vec<u8>) {
        self.ask("POST", "/add-checkpoint", &request.to_bytes())
    }

    /// The statuses of requests that are sent at once.
    fn all(&self, requests: &[AddCheckpoint]) -> Vec<u16> {
        thread::scope(|scope| {
            let asked = requests.iter().map(|r| scope.spawn(|| self.add(r).0));
            let asked: Vec<_> = asked.collect();
            asked
                .into_iter()
                .map(|asked| asked.join().unwrap())
                .collect()
        })
    }
}

#[test]
fn statuses_and_bodies_are_those_of_the_specification() {
    let (folder, log) = (tempfile::tempdir().unwrap(), Log::new(0));
    let witness = Serving::start(folder.path());
    let (status, head, body) = witness.add(&log.request(0, 5));
    assert_eq!(status, 200, "{head}");
    let note = SignedNote::parse(&log.note(5)).unwrap();
    let answer = cosignatures_from_answer(&note, &body).unwrap();
    assert!(answer.signed_by(&witness_key()).unwrap().is_some());
    // The size cosigned last, in its own type.
    let (status, head, body) = witness.add(&log.request(0, 9));
    assert_eq!((status, body), (409, b"5\n".to_vec()));
    assert!(
        head.contains("content-type: text/x.tlog.size\r\n"),
        "{head}"
    );
    let mut unsigned = log.request(5, 6);
    unsigned.note = SignedNote::sign(note.text(), ORIGIN, &signer(9)).to_bytes();
    assert_eq!(witness.add(&unsigned).0, 403);
    let mut unknown = log.request(5, 6);
    let text = note.text().replace(ORIGIN, "other.example");
    unknown.note = SignedNote::sign(&text, ORIGIN, &signer(1)).to_bytes();
    assert_eq!(witness.add(&unknown).0, 404);
    let mut wrong = log.request(5, 9);
    wrong.proof[0][0] ^= 1;
    assert_eq!(witness.add(&wrong).0, 422);
    assert_eq!(witness.ask("POST", "/add-checkpoint", b"old 5\n").0, 400);
    assert_eq!(witness.ask("GET", "/add-checkpoint", b"").0, 405);
    assert_eq!(witness.ask("POST", "/other", b"").0, 404);
    let huge = vec![b'a'; 64 * 1024 + 1];
    assert_eq!(witness.ask("POST", "/add-checkpoint", &huge).0, 413);
    assert_eq!(witness.add(&log.request(5, 9)).0, 200);
}

#[test]
fn monitors_are_given_the_checkpoint_with_both_signatures() {
    let (folder, log) = (tempfile::tempdir().unwrap(), Log::new(0));
    let witness = Serving::start(folder.path());
    let hash = hex::encode(origin_hash(ORIGIN));
    let path = format!("/{hash}/checkpoint");
    assert_eq!(witness.ask("GET", &path, b"").0, 404);
    let mut request = log.request(0, 5);
    // A stranger's line is not passed on.
    let stranger = SignedNote::sign("x\n", "stranger.example", &signer(8)).to_bytes();
    let line = String::from_utf8(stranger).unwrap();
    request
        .note
        .extend_from_slice(line.split_once("\n\n").unwrap().1.as_bytes());
    assert_eq!(witness.add(&request).0, 200);
    let (status, _, body) = witness.ask("GET", &path, b"");
    assert_eq!(status, 200);
    let note = SignedNote::parse(&body).unwrap();
    assert_eq!(note.signed_by(&log_vkey()), Ok(None));
    assert!(note.signed_by(&witness_key()).unwrap().is_some());
    assert_eq!(note.to_bytes().split(|byte| *byte == b'\n').count(), 7);
    for other in [
        format!("/{}/checkpoint", hash.to_uppercase()),
        format!("/{}/checkpoint", hex::encode(origin_hash("other"))),
        "/..%2Fwitness-state/checkpoint".to_owned(),
    ] {
        assert_eq!(witness.ask("GET", &other, b"").0, 404, "{other}");
    }
}

/// The race of the specification: of requests from one size, the first is cosigned and each other told where the log is.
#[test]
fn requests_at_once_never_roll_a_log_back() {
    let (folder, log) = (tempfile::tempdir().unwrap(), Log::new(0));
    let witness = Serving::start(folder.path());
    let hash = origin_hash(ORIGIN);
    let mut size = 0;
    while size + 2 <= LEAVES {
        let at_once = witness.all(&[1, 2, 1, 2, 2, 1, 2, 1].map(|n| log.request(size, size + n)));
        assert_eq!(at_once.iter().filter(|status| **status == 200).count(), 1);
        assert!(at_once.iter().all(|status| matches!(status, 200 | 409)));
        let cosigned = witness.service.cosigned(&hash).unwrap().unwrap();
        assert!((1..=2).contains(&(cosigned.head.size - size)));
        assert_eq!(cosigned.head.root, log.root(cosigned.head.size));
        size = cosigned.head.size;
    }
}

#[test]
fn of_two_histories_at_once_one_is_cosigned() {
    for _ in 0..8 {
        let folder = tempfile::tempdir().unwrap();
        let witness = Serving::start(folder.path());
        let (one, other) = (Log::new(0), Log::new(1));
        let mut at_once = witness.all(&[one.request(0, 5), other.request(0, 5)]);
        at_once.sort_unstable();
        assert_eq!(at_once, [200, 409]);
    }
}

#[test]
fn slow_sender_keeps_nobody_waiting() {
    let (folder, log) = (tempfile::tempdir().unwrap(), Log::new(0));
    let witness = Serving::start(folder.path());
    let slow: Vec<TcpStream> = (0..40)
        .map(|_| {
            let mut stream = TcpStream::connect(witness.address).unwrap();
            let head =
                "POST /add-checkpoint HTTP/1.1\r\nhost: w\r\ncontent-length: 1000\r\n\r\nold";
            stream.write_all(head.as_bytes()).unwrap();
            stream
        })
        .collect();
    assert_eq!(witness.add(&log.request(0, 5)).0, 200);
    drop(slow);
}
