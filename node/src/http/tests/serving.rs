//! What is there is served as it lies on the disk, and can be cached.

use std::fs;

use axum::Router;
use axum::routing::post;

use super::{ANY, Answer, LOG, Site};
use crate::http::{
    Admitted, Bounds, HttpConfig, HttpConfigError, LogFolder, Server, StartHttpError,
};

const FOR_EVER: &str = "max-age=31536000, immutable";

fn log(path: &str) -> String {
    format!("/{LOG}/{path}")
}

#[test]
fn files_are_those_on_the_disk_with_their_types_and_lifetimes() {
    let site = Site::plain();
    let bundle: Vec<u8> = (0..=255).cycle().take(200_000).collect();
    for (path, bytes) in [
        ("tile/0/000", vec![1; 8192]),
        ("tile/0/x001/x234/067.p/3", vec![2; 96]),
        ("tile/entries/000", bundle),
        ("tile/entries/x001/000.p/1", vec![3; 65_537]),
    ] {
        site.write(&format!("logs/{LOG}/{path}"), &bytes);
        let answer = site.get(&log(path));
        assert_eq!((answer.status, &answer.body), (200, &bytes), "{path}");
        assert_eq!(answer.header("content-type"), "application/octet-stream");
        assert_eq!(answer.header("content-length"), bytes.len().to_string());
        assert_eq!(answer.header("cache-control"), FOR_EVER);
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
    site.write(&format!("logs/{LOG}/fork"), b"a proof\n");
    for path in ["checkpoint", "history", "fork"] {
        let answer = site.get(&log(path));
        let disk = fs::read(site.data().join("logs").join(LOG).join(path)).unwrap();
        assert_eq!((answer.status, &answer.body), (200, &disk), "{path}");
        assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
        assert_eq!(answer.header("cache-control"), "max-age=5");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
}

#[test]
fn lists_name_what_is_there_in_order() {
    let site = Site::plain();
    assert_eq!(site.get("/rosters/").text(), "");
    site.write("logs/au.example_au_2/checkpoint", b"");
    for version in ["1", "2", "10", "03", "x"] {
        site.write(&format!("logs/rosters/{version}"), version.as_bytes());
    }
    assert_eq!(site.get("/").text(), format!("au.example_au_2\n{LOG}\n"));
    assert_eq!(site.get("/rosters/").text(), "1\n2\n10\n");
    let roster = site.get("/rosters/10");
    assert_eq!(roster.text(), "10");
    assert_eq!(roster.header("cache-control"), FOR_EVER);
    assert_eq!(roster.header("content-type"), "application/octet-stream");
}

/// A later width may come: nobody may remember that it is not there.
#[test]
fn partial_tile_of_another_width_is_not_here_and_not_remembered() {
    let site = Site::plain();
    assert_eq!(site.get(&log("tile/0/000.p/7")).status, 200);
    for path in ["tile/0/000.p/6", "tile/0/000.p/8", "tile/0/000"] {
        let answer = site.get(&log(path));
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.text(), "not here\n");
    }
}

#[test]
fn method_that_would_write_is_refused() {
    let site = Site::plain();
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "FROB"] {
        let answer = site.ask(method, &log("checkpoint"), "");
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.header("allow"), "GET, HEAD");
        assert_eq!(answer.text().lines().count(), 1);
        assert_eq!(site.ask(method, "/nowhere", "").status, 404);
    }
}

#[test]
fn head_says_what_get_would_without_the_body() {
    let site = Site::plain();
    for path in ["checkpoint", "history", "tile/0/000.p/7", "tile/0/001"] {
        let (head, get) = (site.ask("HEAD", &log(path), ""), site.get(&log(path)));
        assert_eq!(head.status, get.status, "{path}");
        assert!(head.body.is_empty() && !get.body.is_empty(), "{path}");
        for name in ["content-type", "cache-control", "etag"] {
            assert_eq!(head.header(name), get.header(name), "{path} {name}");
        }
    }
    let head = site.ask("HEAD", &log("tile/0/000.p/7"), "");
    assert_eq!(head.header("content-length"), "224");
}

#[test]
fn checkpoint_is_sent_again_only_when_it_changed() {
    let site = Site::plain();
    let conditional = |tag: &str| -> Answer {
        let header = format!("If-None-Match: {tag}\r\n");
        site.ask("GET", &log("checkpoint"), &header)
    };
    let tag = site.get(&log("checkpoint")).header("etag").to_owned();
    assert_eq!(tag.len(), 66, "{tag}");
    for held in [tag.clone(), format!("\"x\", W/{tag}"), "*".to_owned()] {
        let same = conditional(&held);
        assert_eq!((same.status, same.body.len()), (304, 0), "{held}");
        assert_eq!(same.header("etag"), tag);
    }
    assert_eq!(conditional("\"x\"").status, 200);
    site.write(&format!("logs/{LOG}/checkpoint"), b"eu.example/eu/1\n8\n");
    let changed = conditional(&tag);
    assert_eq!(
        (changed.status, changed.text()),
        (200, "eu.example/eu/1\n8\n")
    );
    assert_ne!(changed.header("etag"), tag);
}

#[test]
fn history_goes_on_from_a_byte() {
    let site = Site::plain();
    let range = |range: &str| -> Answer {
        site.ask("GET", &log("history"), &format!("Range: {range}\r\n"))
    };
    for (from, rest, sent) in [
        (0, "first\nsecond\n", "bytes 0-12/13"),
        (6, "second\n", "bytes 6-12/13"),
        (12, "\n", "bytes 12-12/13"),
    ] {
        let answer = range(&format!("bytes={from}-"));
        assert_eq!((answer.status, answer.text()), (206, rest));
        assert_eq!(answer.header("content-range"), sent);
        assert_eq!(answer.header("content-length"), rest.len().to_string());
    }
    for from in ["13", "14", "18446744073709551615"] {
        let answer = range(&format!("bytes={from}-"));
        assert_eq!(answer.status, 416, "{from}");
        assert_eq!(answer.header("content-range"), "bytes */13");
    }
    // Other forms may be ignored: the whole is always right.
    for other in [
        "bytes=-5",
        "bytes=1-3",
        "bytes=0-,6-",
        "bytes=+6-",
        "bytes=-",
        "lines=1-",
        "bytes=18446744073709551616-",
    ] {
        let answer = range(other);
        assert_eq!((answer.status, answer.body.len()), (200, 13), "{other}");
    }
    let tile = site.ask("GET", &log("tile/0/000.p/7"), "Range: bytes=6-\r\n");
    assert_eq!((tile.status, tile.body.len()), (200, 224));
}

#[test]
fn route_handed_in_is_served_beside_the_logs_and_bounded() {
    let echo = Router::new().route("/add-checkpoint", post(|body: String| async { body }));
    let site = Site::start(Bounds::default(), None, Admitted::default(), echo);
    let sized = |len: usize| format!("Content-Length: {len}\r\n\r\n{}", "x".repeat(len));
    assert_eq!(
        site.ask("POST", "/add-checkpoint", &sized(9)).text(),
        "xxxxxxxxx"
    );
    assert_eq!(site.ask("GET", "/add-checkpoint", "").status, 405);
    assert_eq!(site.get(&log("checkpoint")).status, 200);
    let huge = site.ask("POST", "/add-checkpoint", &sized(256 * 1024 + 1));
    assert_eq!(huge.status, 413);
}

#[tokio::test]
async fn plain_http_is_refused_where_others_could_connect() {
    for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.7:0", "[::ffff:192.0.2.7]:0"] {
        let listen = listen.parse().unwrap();
        let folder = LogFolder { root: "/".into() };
        let config = HttpConfig::plain(listen);
        let started = Server::start(&config, folder, Admitted::default(), Router::new());
        let error = started.err().unwrap();
        let expected = HttpConfigError::PlainBeyondLoopback { listen };
        assert!(
            matches!(error, StartHttpError::Config(got) if got == expected),
            "{listen}: {error}"
        );
    }
    for listen in [ANY, "[::1]:0", "127.8.9.10:0", "[::ffff:127.0.0.1]:0"] {
        assert_eq!(HttpConfig::plain(listen.parse().unwrap()).check(), Ok(()));
    }
}

#[test]
fn address_that_is_taken_is_said() {
    let site = Site::plain();
    let config = HttpConfig::plain(site.address());
    let root = site.data();
    let started = site.runtime.block_on(async {
        Server::start(
            &config,
            LogFolder { root },
            Admitted::default(),
            Router::new(),
        )
    });
    let error = started.err().unwrap();
    assert!(matches!(error, StartHttpError::Listen { listen, .. } if listen == site.address()));
}
