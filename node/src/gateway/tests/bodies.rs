//! Requests that are too large, too deep, too slow or no requests.

use super::*;

#[test]
fn ten_gigabytes_of_json_are_refused_by_their_length_and_by_their_bytes() {
    let site = Site::new();
    let token = bearer(&site.token());
    let said = format!("{token}Content-Length: 10737418240\r\n");
    let answer = site.ask("POST /read", &said);
    assert_eq!(
        (answer.status, answer.problem().as_str()),
        (413, "too-large")
    );
    assert!(answer.took < SOON / 4, "{:?}", answer.took);
    // Without a length: what is read ends at the bound.
    let mut stream = site.connect();
    let head =
        format!("POST /read HTTP/1.1\r\nHost: x\r\n{token}Transfer-Encoding: chunked\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let chunk = format!("10000\r\n{}\r\n", "[".repeat(0x10000));
    let taken = (0..4096).take_while(|_| stream.write_all(chunk.as_bytes()).is_ok());
    let taken = taken.count();
    assert!(taken < 1024, "{taken} chunks were taken");
    site.recorded(&["/read", "\"status\":413"]);
}

#[test]
fn json_that_is_deep_cut_or_none_is_refused_without_being_repeated() {
    let site = Site::new();
    let token = bearer(&site.token());
    let secret = "d41d8cd98f00b204e9800998ecf8427e";
    let deep = "[".repeat(100_000);
    for body in [
        deep.as_str(),
        "{\"a\":",
        "\u{feff}{}",
        &format!("[{secret}]"),
    ] {
        let text = format!(
            "POST /read HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{token}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = site.say(&text).unwrap();
        assert_eq!((answer.status, answer.problem().as_str()), (400, "body"));
        assert!(!answer.text().contains("d41d8"));
    }
}

#[test]
fn slow_writer_is_answered_and_let_go() {
    let bounds = Bounds {
        request: Duration::from_millis(500),
        ..Bounds::default()
    };
    let site = Site::with(Settings {
        bounds,
        ..Settings::default()
    });
    let token = bearer(&site.token());
    let text = format!("POST /read HTTP/1.1\r\nHost: x\r\n{token}Content-Length: 100\r\n\r\n[");
    let answer = site.say(&text).unwrap();
    assert_eq!(
        (answer.status, answer.problem().as_str()),
        (503, "too-long")
    );
    assert!(answer.took < SOON / 4, "{:?}", answer.took);
}

#[test]
fn head_without_an_end_is_cut_at_its_bound() {
    let bounds = Bounds {
        stall: Duration::from_millis(500),
        ..Bounds::default()
    };
    let site = Site::with(Settings {
        bounds,
        ..Settings::default()
    });
    let long = format!("GET /name HTTP/1.1\r\nX: {}", "y".repeat(64 * 1024));
    let status = site.say(&long).map(|answer| answer.status);
    assert!(status.is_none_or(|status| status == 431), "{status:?}");
    let began = Instant::now();
    assert!(site.say("GET /na").is_none());
    assert!(began.elapsed() < SOON / 4);
}
