//! The client against servers that are slow, huge, wrong or no servers.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::{LOG, SOON, Site};
use crate::http::{HttpClient, HttpClientConfig, HttpError, TlsFault, UrlFault};

const BRIEF: Duration = Duration::from_millis(300);
const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n";

fn client(timeout: Duration) -> HttpClient {
    let config = HttpClientConfig {
        timeout,
        identity: None,
        roots: None,
    };
    HttpClient::new(&config).unwrap()
}

/// Serves one connection by this script, after it has read something.
fn server(script: impl FnOnce(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        let mut request = [0; 4096];
        if stream.read(&mut request).is_ok() {
            script(stream);
        }
    });
    address
}

/// Says one thing and closes.
fn saying(text: impl Into<String>) -> SocketAddr {
    let text = text.into();
    server(move |mut stream| {
        let _ = stream.write_all(text.as_bytes());
    })
}

/// Says one thing and then another, again and again, with a pause between, until nobody listens.
fn repeating(first: String, then: Vec<u8>, pause: Duration) -> SocketAddr {
    server(move |mut stream| {
        let mut said = stream.write_all(first.as_bytes());
        while said.is_ok() {
            thread::park_timeout(pause);
            said = stream.write_all(&then);
        }
    })
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}/x")
}

/// The error, which must come within a small multiple of the time that was given.
fn error_of(address: SocketAddr, timeout: Duration) -> HttpError {
    let begin = Instant::now();
    let error = client(timeout).get(&url(address), 1000).unwrap_err();
    assert!(
        begin.elapsed() < timeout + Duration::from_secs(5),
        "{error}"
    );
    error
}

fn dripping(first: &str) -> SocketAddr {
    repeating(first.to_owned(), b"x".to_vec(), BRIEF / 20)
}

fn endless(first: String) -> SocketAddr {
    repeating(first, vec![b'x'; 64 * 1024], Duration::ZERO)
}

#[test]
fn server_that_drips_or_says_nothing_is_given_up_in_time() {
    for first in [
        "".to_owned(),
        "HTTP/1.1 200 OK\r\nX-Slow: ".to_owned(),
        format!("{HEAD}Content-Length: 900\r\n\r\n"),
        format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n300\r\n"),
        format!("{HEAD}\r\n"),
    ] {
        let error = error_of(dripping(&first), BRIEF);
        // Bytes that are no status line are known for what they are at once.
        let expected = if first.is_empty() {
            HttpError::Protocol
        } else {
            HttpError::Timeout
        };
        assert_eq!(error, expected, "{first:?}");
    }
    let silent = server(|mut stream| {
        let _ = stream.read(&mut [0; 64]);
    });
    assert_eq!(error_of(silent, BRIEF), HttpError::Timeout);
}

#[test]
fn endless_answers_are_cut_at_the_bound() {
    let too_large = HttpError::TooLarge { max: 1000 };
    let sized = endless(format!("{HEAD}Content-Length: 1099511627776\r\n\r\n"));
    assert_eq!(error_of(sized, SOON), too_large);
    assert_eq!(error_of(endless(format!("{HEAD}\r\n")), SOON), too_large);
    let chunk = [b"10000\r\n".to_vec(), vec![b'x'; 65_536], b"\r\n".to_vec()].concat();
    let chunked = format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n");
    let chunked = repeating(chunked, chunk, Duration::ZERO);
    assert_eq!(error_of(chunked, SOON), too_large);
    let head = endless("HTTP/1.1 200 OK\r\nX-Big: ".to_owned());
    assert_eq!(error_of(head, SOON), HttpError::Protocol);
}

#[test]
fn body_of_exactly_the_bound_is_read_and_one_byte_more_is_not() {
    let body = |len: usize| saying(format!("{HEAD}\r\n{}", "x".repeat(len)));
    let read = client(SOON).get(&url(body(1000)), 1000).unwrap();
    assert_eq!((read.status, read.body.len()), (200, 1000));
    assert_eq!(read.content_type.as_deref(), Some("text/plain"));
    assert_eq!(
        error_of(body(1001), SOON),
        HttpError::TooLarge { max: 1000 }
    );
}

#[test]
fn status_that_was_not_asked_for_is_said_and_nothing_of_the_answer() {
    for (status, got) in [
        ("404 hello", 404),
        ("500 hello", 500),
        ("204 hello", 204),
        ("206 hello", 206),
    ] {
        let error = error_of(
            saying(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n")),
            SOON,
        );
        assert_eq!(error, HttpError::Status { got });
        assert!(!error.to_string().contains("hello"));
    }
}

#[test]
fn redirect_is_not_followed() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let there = elsewhere.local_addr().unwrap();
    for got in [301, 302, 303, 307, 308] {
        let answer = format!(
            "HTTP/1.1 {got} Moved\r\nLocation: http://{there}/\r\nContent-Length: 0\r\n\r\n"
        );
        assert_eq!(
            error_of(saying(answer.clone()), SOON),
            HttpError::Status { got }
        );
        let posted = client(SOON).post(&url(saying(answer)), b"x", 1000);
        assert_eq!(posted.unwrap_err(), HttpError::Status { got });
    }
    let asked = elsewhere.accept().map(|_| ()).unwrap_err();
    assert_eq!(asked.kind(), ErrorKind::WouldBlock);
}

#[test]
fn what_is_not_http_or_not_whole_is_an_error() {
    for garbage in [
        "\0\0\0\0\0\0",
        "SSH-2.0-x\r\n",
        "HTTP/9.9 200 OK\r\n\r\n",
        "HTTP/1.1 abc\r\n\r\n",
    ] {
        assert_eq!(
            error_of(saying(garbage), SOON),
            HttpError::Protocol,
            "{garbage:?}"
        );
    }
    let chunk = format!("{HEAD}Transfer-Encoding: chunked\r\n\r\nzz\r\nxx");
    assert_eq!(error_of(saying(chunk), SOON), HttpError::Protocol);
    let short = format!("{HEAD}Content-Length: 9\r\n\r\nxxx");
    for broken in [short, "HTTP/1.1 200 OK\r\nX: ".to_owned()] {
        assert_eq!(
            error_of(saying(broken.clone()), SOON),
            HttpError::Broken,
            "{broken:?}"
        );
    }
}

#[test]
fn nobody_there_is_an_error_of_the_connection() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    assert_eq!(error_of(address, SOON), HttpError::Connect);
}

#[test]
fn tls_to_a_server_without_is_an_error_of_tls() {
    let plain = saying(format!("{HEAD}\r\n"));
    let error = client(SOON)
        .get(&format!("https://{plain}/"), 1000)
        .unwrap_err();
    assert_eq!(error, HttpError::Tls(TlsFault::Other));
}

#[test]
fn range_that_was_not_asked_for_is_refused() {
    let part = |range: &str| {
        let head = format!("HTTP/1.1 206 Partial\r\n{range}Content-Length: 3\r\n\r\nxyz");
        client(SOON).get_range(&url(saying(head)), 5, 1000)
    };
    assert_eq!(part("Content-Range: bytes 5-7/8\r\n").unwrap().body, b"xyz");
    for other in [
        "",
        "Content-Range: bytes 0-2/8\r\n",
        "Content-Range: bytes 50-52/80\r\n",
    ] {
        assert_eq!(part(other), Err(HttpError::Range), "{other:?}");
    }
    let whole = client(SOON).get_range(&url(saying(format!("{HEAD}\r\nxyz"))), 5, 1000);
    assert_eq!(whole, Err(HttpError::Status { got: 200 }));
}

#[test]
fn witness_that_refuses_says_in_its_answer_what_it_holds() {
    let conflict =
        "HTTP/1.1 409 Conflict\r\nContent-Type: text/x.tlog.size\r\nContent-Length: 3\r\n\r\n42\n";
    let answer = client(SOON)
        .post(&url(saying(conflict)), b"old 0\n", 1000)
        .unwrap();
    assert_eq!(
        (answer.status, answer.body.as_slice()),
        (409, b"42\n".as_slice())
    );
    assert_eq!(answer.content_type.as_deref(), Some("text/x.tlog.size"));
    let failed = saying("HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n");
    let failed = client(SOON).post(&url(failed), b"", 1000);
    assert_eq!(failed, Err(HttpError::Status { got: 500 }));
    let endless = endless("HTTP/1.1 409 Conflict\r\n\r\n".to_owned());
    let endless = client(SOON).post(&url(endless), b"", 1000);
    assert_eq!(endless, Err(HttpError::TooLarge { max: 1000 }));
}

#[test]
fn url_that_would_leave_the_machine_in_the_open_is_refused() {
    for (url, fault) in [
        ("", UrlFault::Malformed),
        ("/checkpoint", UrlFault::Malformed),
        ("https://", UrlFault::Malformed),
        ("https://name:word@eu.example/", UrlFault::Malformed),
        ("http://127.0.0.1@192.0.2.7/", UrlFault::Malformed),
        ("ftp://eu.example/", UrlFault::Scheme),
        ("http://eu.example/", UrlFault::PlainBeyondLoopback),
        ("http://localhost/", UrlFault::PlainBeyondLoopback),
        ("http://192.0.2.7/", UrlFault::PlainBeyondLoopback),
        (
            "http://127.0.0.1.eu.example/",
            UrlFault::PlainBeyondLoopback,
        ),
        ("http://[2001:db8::1]/", UrlFault::PlainBeyondLoopback),
    ] {
        let error = client(BRIEF).get(url, 1000).unwrap_err();
        assert_eq!(error, HttpError::Url(fault), "{url}");
        assert_eq!(client(BRIEF).post(url, b"", 1000).unwrap_err(), error);
    }
}

#[test]
fn client_reads_what_the_server_serves() {
    let site = Site::plain();
    let client = client(SOON);
    let url = |path: &str| site.url(&format!("/{LOG}/{path}"));
    let checkpoint = client.get(&url("checkpoint"), 1000).unwrap();
    let tag = checkpoint.etag.unwrap();
    assert_eq!(client.get_unless(&url("checkpoint"), &tag, 1000), Ok(None));
    let changed = client
        .get_unless(&url("checkpoint"), "\"x\"", 1000)
        .unwrap();
    assert_eq!(changed.unwrap().body, checkpoint.body);
    assert_eq!(
        client.get_range(&url("history"), 6, 1000).unwrap().body,
        b"second\n"
    );
    let nothing_new = client.get_range(&url("history"), 13, 1000);
    assert_eq!(nothing_new, Err(HttpError::Status { got: 416 }));
}

/// What a node does with a witness of its network that turned hostile: it knows why, and others notice nothing.
#[test]
fn hostile_witness_that_is_slow_huge_or_of_a_wrong_status_leaves_the_node_serving() {
    let site = Site::plain();
    let add = |address, timeout| {
        let added = client(timeout).post(&url(address), b"old 0\n", 1000);
        assert_eq!(site.get(&format!("/{LOG}/checkpoint")).status, 200);
        added
    };
    let slow = dripping(&format!("{HEAD}Content-Length: 900\r\n\r\n"));
    assert_eq!(add(slow, BRIEF), Err(HttpError::Timeout));
    let huge = endless(format!("{HEAD}\r\n"));
    assert_eq!(add(huge, SOON), Err(HttpError::TooLarge { max: 1000 }));
    let wrong = saying("HTTP/1.1 302 Moved\r\nLocation: /\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(add(wrong, SOON), Err(HttpError::Status { got: 302 }));
}
