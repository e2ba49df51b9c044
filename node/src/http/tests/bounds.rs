//! Clients that take places, time or memory do not keep them.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;

use super::{LOG, SOON, Site};
use crate::http::bounds::Gate;
use crate::http::{Admitted, Bounds};

/// Long enough for an answer on one machine, short enough for a test.
const BRIEF: Duration = Duration::from_millis(400);

fn checkpoint() -> String {
    format!("/{LOG}/checkpoint")
}

/// Reads until the server has closed; panics if it has not soon.
fn is_closed(stream: &mut TcpStream) {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
}

#[test]
fn clients_that_never_finish_their_request_do_not_block_others() {
    let site = Site::plain();
    let slow: Vec<TcpStream> = (0..40)
        .map(|_| {
            let mut stream = site.connect();
            stream.write_all(b"GET / HTTP/1.1\r\nX-Slow: ").unwrap();
            stream
        })
        .collect();
    let begin = Instant::now();
    assert_eq!(site.get(&checkpoint()).status, 200);
    // Before any of them was cut.
    assert!(begin.elapsed() < Bounds::default().stall);
    drop(slow);
}

#[test]
fn head_that_drips_is_cut_off_however_steadily_it_drips() {
    let bounds = Bounds {
        stall: BRIEF,
        ..Bounds::default()
    };
    let site = Site::bounded(bounds);
    let mut stream = site.connect();
    stream.write_all(b"GET / HTTP/1.1\r\nX-Slow: ").unwrap();
    // The pause between two bytes: reading waits for it, or for the end.
    stream.set_read_timeout(Some(BRIEF / 20)).unwrap();
    let begin = Instant::now();
    loop {
        let gone = stream.write_all(b"x").is_err();
        let pause = |kind| matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut);
        match stream.read(&mut [0; 64]) {
            Err(error) if pause(error.kind()) && !gone => {}
            Ok(0) | Err(_) => break,
            Ok(count) => panic!("{count} bytes of an answer to half a request"),
        }
        assert!(begin.elapsed() < SOON, "still open");
    }
}

#[test]
fn reader_that_stops_gives_its_place_back() {
    let bounds = Bounds {
        connections: 1,
        stall: BRIEF,
        ..Bounds::default()
    };
    let site = Site::bounded(bounds);
    // More than the buffers of the sockets on both sides.
    site.write(&format!("logs/{LOG}/history"), &vec![b'x'; 32 << 20]);
    let mut stopped = site.connect();
    let request = format!("GET /{LOG}/history HTTP/1.1\r\nHost: x\r\n\r\n");
    stopped.write_all(request.as_bytes()).unwrap();
    stopped.read_exact(&mut [0; 12]).unwrap();
    let begin = Instant::now();
    let good = format!(
        "GET {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        checkpoint()
    );
    let mut refused = 0;
    while site
        .say(good.as_bytes())
        .is_none_or(|answer| answer.status != 200)
    {
        refused += 1;
        assert!(begin.elapsed() < SOON, "its place is still taken");
    }
    assert!(refused > 0, "one place was not the bound");
}

#[test]
fn connection_beyond_the_places_is_closed_at_once_and_places_come_back() {
    let bounds = Bounds {
        connections: 3,
        stall: SOON,
        ..Bounds::default()
    };
    let site = Site::bounded(bounds);
    let request = format!("GET {} HTTP/1.1\r\nHost: x\r\n\r\n", checkpoint());
    let begin = Instant::now();
    // Which of them finds no place is chance; the others keep theirs after their answer.
    let mut held: Vec<TcpStream> = (0..5).map(|_| site.connect()).collect();
    let answered = held.iter_mut().filter_map(|stream| {
        let asked = stream.write_all(request.as_bytes()).is_ok();
        (asked && stream.read_exact(&mut [0; 12]).is_ok()).then_some(())
    });
    assert_eq!(answered.count(), 3);
    assert!(begin.elapsed() < SOON / 2);
    drop(held);
    let last = request.replace("Host: x", "Connection: close");
    while site.say(last.as_bytes()).is_none() {
        assert!(begin.elapsed() < SOON, "the places did not come back");
    }
}

/// One stranger with one machine, or one customer's network, must not take every place.
#[test]
fn one_address_has_its_share_of_the_places_and_no_more() {
    let bounds = Bounds {
        connections: 5,
        connections_per_address: 2,
        ..Bounds::default()
    };
    let gate = Gate::new(bounds);
    let take = |address: &str| gate.take(address.parse().unwrap());
    let first = take("192.0.2.7");
    let held = [
        take("::ffff:192.0.2.7"),
        take("2001:db8::1"),
        take("2001:db8::2"),
    ];
    assert!(first.is_some() && held.iter().all(Option::is_some));
    assert!(take("192.0.2.7").is_none() && take("2001:db8::3").is_none());
    let other = take("2001:db8:0:1::1");
    assert!(other.is_some());
    assert!(take("127.0.0.1").is_none(), "all five are taken");
    drop(first);
    assert!(take("192.0.2.7").is_some());
    drop((held, other));
    let proxied: Vec<_> = (0..5).filter_map(|_| take("127.0.0.1")).collect();
    assert_eq!(proxied.len(), 5);
}

#[test]
fn connection_ends_with_its_life_even_if_it_is_busy() {
    let bounds = Bounds {
        life: BRIEF,
        ..Bounds::default()
    };
    let site = Site::bounded(bounds);
    let mut stream = site.connect();
    let request = format!("GET {} HTTP/1.1\r\nHost: x\r\n\r\n", checkpoint());
    let begin = Instant::now();
    let mut answers = 0;
    while stream.write_all(request.as_bytes()).is_ok() {
        match stream.read(&mut [0; 1024]) {
            Ok(0) | Err(_) => break,
            Ok(_) => answers += 1,
        }
        assert!(begin.elapsed() < SOON, "still open");
    }
    assert!(answers > 0);
}

#[test]
fn head_that_is_too_large_is_refused_and_others_are_served() {
    let site = Site::plain();
    let head = |len: usize| {
        let long = "x".repeat(len);
        format!(
            "GET {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Big: {long}\r\n\r\n",
            checkpoint()
        )
    };
    let status = |len| site.say(head(len).as_bytes()).map(|answer| answer.status);
    assert_eq!(status(8 * 1024), Some(200));
    // Its answer may be lost when the server closes before it has read all.
    assert!(matches!(status(20 * 1024), Some(431) | None));
    assert!(matches!(status(4 << 20), Some(431) | None));
    assert_eq!(site.get(&checkpoint()).status, 200);
}

#[test]
fn route_that_takes_too_long_is_answered_for() {
    let never = get(std::future::pending::<&'static str>);
    let bounds = Bounds {
        request: BRIEF,
        ..Bounds::default()
    };
    let extra = Router::new().route("/never", never);
    let site = Site::start(bounds, None, Admitted::default(), extra);
    let answer = site.get("/never");
    assert_eq!((answer.status, answer.text()), (503, "took too long\n"));
}

#[test]
fn server_stops_within_its_bound_under_clients_that_hold_on() {
    let bounds = Bounds {
        stop: BRIEF,
        ..Bounds::default()
    };
    let mut site = Site::bounded(bounds);
    let mut slow = site.connect();
    slow.write_all(b"GET / HTTP/1.1\r\nX-Slow: ").unwrap();
    let mut idle = site.connect();
    // Whoever comes later is served, so both are accepted.
    assert_eq!(site.get(&checkpoint()).status, 200);
    let (address, begin) = (site.address(), Instant::now());
    site.stop();
    assert!(begin.elapsed() < SOON);
    is_closed(&mut slow);
    is_closed(&mut idle);
    assert!(TcpStream::connect(address).is_err());
}
