//! Long answers that end before their end: whoever lost access, whoever reads too slowly, a node that stops.

use super::*;

/// Asks for the answer without an end and reads its beginning.
fn begin(site: &Site, token: &str) -> TcpStream {
    let mut stream = site.connect();
    let head = format!("GET /long HTTP/1.1\r\nHost: x\r\n{}\r\n", bearer(token));
    stream.write_all(head.as_bytes()).unwrap();
    let mut first = [0; 1024];
    stream.read_exact(&mut first).unwrap();
    assert!(first.starts_with(b"HTTP/1.1 200"));
    stream
}

/// Reads to the end, which must come soon and must not look like an end of the answer.
fn is_cut(mut stream: TcpStream) {
    let began = Instant::now();
    let mut last = Vec::new();
    let mut chunk = vec![0; 64 * 1024];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => break,
            Ok(count) => {
                last.extend_from_slice(&chunk[..count]);
                last.drain(..last.len().saturating_sub(16));
            }
        }
        assert!(began.elapsed() < SOON, "it goes on");
    }
    // The last chunk of a whole answer has no bytes.
    assert!(!last.ends_with(b"\r\n0\r\n\r\n"));
}

#[test]
fn credential_revoked_in_mid_download_ends_the_stream() {
    let site = Site::new();
    let (described, token) = site.issue("acme", &terms());
    let other = begin(&site, &site.token());
    let stream = begin(&site, &token);
    let which = Some(described.credential);
    assert_eq!(site.desk.credentials.revoke(&id("acme"), which).unwrap(), 1);
    is_cut(stream);
    assert_eq!(site.bearer("GET /name", &token).status, 401);
    let line = site.recorded(&["/long", "\"cut\":true"]);
    assert_eq!(line["credential"], described.credential.to_string());
    // The member's other credential reads on.
    let mut other = other;
    other.read_exact(&mut vec![0; 1 << 20]).unwrap();
}

#[test]
fn member_removed_in_mid_download_ends_the_stream_and_coming_back_opens_nothing() {
    let site = Site::new();
    let token = site.token();
    let stream = begin(&site, &token);
    let bolt = [member("bolt")];
    site.desk.members.set(bolt.iter());
    is_cut(stream);
    assert_eq!(site.bearer("GET /name", &token).problem(), "credential");
    // As the shell does it: credentials first.
    site.desk.credentials.revoke(&id("acme"), None).unwrap();
    let both = [member("acme"), member("bolt")];
    site.desk.members.set(both.iter());
    assert_eq!(site.bearer("GET /name", &token).status, 401);
}

#[test]
fn credentials_of_a_member_that_is_gone_are_forgotten_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let both = [member("acme"), member("bolt")];
    let desk = Desk::open(folder.path(), both.iter()).unwrap();
    let issued = desk
        .credentials
        .issue(&id("acme"), &terms(), now())
        .unwrap();
    drop(desk);
    drop(Desk::open(folder.path(), both[1..].iter()).unwrap());
    let desk = Desk::open(folder.path(), both.iter()).unwrap();
    assert!(desk.credentials.find(issued.0.credential).is_none());
}

#[test]
fn reader_that_takes_a_little_now_and_then_is_cut() {
    let bounds = Bounds {
        stall: Duration::from_millis(700),
        ..Bounds::default()
    };
    let site = Site::with(Settings {
        bounds,
        ..Settings::default()
    });
    let mut stream = begin(&site, &site.token());
    stream.set_read_timeout(Some(SOON)).unwrap();
    let began = Instant::now();
    let mut few = [0; 512];
    // Far less than it must take, and never long enough apart to look like one who has stopped.
    while let Ok(1..) = stream.read(&mut few) {
        std::thread::sleep(Duration::from_millis(20));
        if !site.trail().is_empty() {
            break;
        }
        assert!(began.elapsed() < SOON, "it goes on");
    }
    let line = site.recorded(&["/long", "\"cut\":true"]);
    assert_eq!(line["status"], 200);
}

#[test]
fn node_that_stops_waits_no_longer_for_a_reader_than_its_bound() {
    let bounds = Bounds {
        stop: Duration::from_millis(300),
        ..Bounds::default()
    };
    let mut site = Site::with(Settings {
        bounds,
        ..Settings::default()
    });
    let stream = begin(&site, &site.token());
    let began = Instant::now();
    site.stop();
    assert!(began.elapsed() < SOON / 4, "{:?}", began.elapsed());
    is_cut(stream);
}
