//! What a log makes of a witness's answers: a hostile one costs two requests and no more.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use hashpact_protocol::log::{ANSWER_BYTES, AnswerError, NoteError, cosignature_line};

use super::*;
use crate::http::{HttpClient, HttpClientConfig, HttpError};
use crate::witness::{SubmitError, SubmitOutcome, over_http, submit};

const PREFIX: &str = "http://witness.example/prefix/";

#[derive(Debug, PartialEq, Eq)]
struct Broken;

type Answer = Result<(u16, Vec<u8>), Broken>;

/// Asks a witness that gives these answers, and says what it was asked.
fn asked(
    answers: Vec<Answer>,
    last_known: u64,
) -> (
    Result<SubmitOutcome, SubmitError<Broken>>,
    Vec<AddCheckpoint>,
) {
    let log = Log::new(0);
    let answers = RefCell::new(VecDeque::from(answers));
    let requests = RefCell::new(Vec::new());
    let post = |url: &str, body: &[u8]| {
        assert_eq!(url, "http://witness.example/prefix/add-checkpoint");
        requests
            .borrow_mut()
            .push(AddCheckpoint::from_bytes(body).unwrap());
        answers.borrow_mut().pop_front().expect("no third request")
    };
    let proof = |old| (old != 7).then(|| log.proof(old, 12));
    let outcome = submit(&post, PREFIX, &log.note(12), last_known, proof);
    assert!(
        answers.borrow().is_empty(),
        "not all answers were asked for"
    );
    (outcome, requests.into_inner())
}

fn ok() -> Answer {
    let note = SignedNote::parse(&Log::new(0).note(12)).unwrap();
    Ok((200, cosignature_line(&note, NAME, &signer(2), at(100))))
}

fn conflict(size: &str) -> Answer {
    Ok((409, size.as_bytes().to_vec()))
}

#[test]
fn answer_is_a_cosignature_to_take_over() {
    let (outcome, requests) = asked(vec![ok()], 5);
    let Ok(SubmitOutcome::Cosigned(answer)) = outcome else {
        panic!("{outcome:?}");
    };
    let log = Log::new(0);
    let mut own = SignedNote::parse(&log.note(12)).unwrap();
    assert_eq!(
        own.take_over(
            &answer,
            &witness_key(),
            hashpact_keys::Timestamp::new(u64::MAX)
        ),
        Ok(true)
    );
    assert_eq!(own.signed_by(&witness_key()), Ok(Some(at(100))));
    assert_eq!(requests, [log.request(5, 12)]);
}

#[test]
fn conflict_is_corrected_once() {
    let log = Log::new(0);
    for (known, says) in [(0, 3), (5, 3), (5, 0), (5, 12)] {
        let (outcome, requests) = asked(vec![conflict(&format!("{says}\n")), ok()], known);
        assert!(
            matches!(outcome, Ok(SubmitOutcome::Cosigned(_))),
            "{outcome:?}"
        );
        let empty = AddCheckpoint {
            proof: Vec::new(),
            ..log.request(says, 12)
        };
        let second = if matches!(says, 0 | 12) {
            empty
        } else {
            log.request(says, 12)
        };
        assert_eq!(requests[1], second);
    }
    let (outcome, requests) = asked(vec![conflict("3\n"), conflict("4\n")], 0);
    assert_eq!(outcome, Ok(SubmitOutcome::Conflict { size: 4 }));
    assert_eq!(requests.len(), 2);
}

#[test]
fn witness_that_saw_more_is_told_from_one_that_saw_less() {
    for answers in [
        vec![conflict("13\n")],
        vec![conflict("3\n"), conflict("13\n")],
    ] {
        let (outcome, _) = asked(answers, 0);
        assert_eq!(outcome, Ok(SubmitOutcome::Ahead { size: 13 }));
    }
    // A size that we should not have believed is asked about with our own.
    let (outcome, requests) = asked(vec![conflict("13\n")], 99);
    assert_eq!(outcome, Ok(SubmitOutcome::Ahead { size: 13 }));
    assert_eq!((requests[0].old, requests[0].proof.len()), (12, 0));
}

#[test]
fn hostile_conflicts_are_refused() {
    for bad in [
        "",
        "\n",
        "3",
        "03\n",
        "+3\n",
        "3\n\n",
        " 3\n",
        "x\n",
        "5\n",
        "9223372036854775808\n",
        "99999999999999999999999\n",
    ] {
        let (outcome, _) = asked(vec![conflict(bad)], 5);
        assert_eq!(outcome, Err(SubmitError::ConflictSize), "{bad:?}");
    }
    let (outcome, _) = asked(vec![conflict(&"3".repeat(1 << 20))], 5);
    assert_eq!(outcome, Err(SubmitError::ConflictSize));
    // The same size again after it was served.
    let (outcome, _) = asked(vec![conflict("3\n"), conflict("3\n")], 5);
    assert_eq!(outcome, Err(SubmitError::ConflictSize));
    // A size that the log cannot prove from.
    let (outcome, _) = asked(vec![conflict("7\n")], 5);
    assert_eq!(outcome, Err(SubmitError::NoProof { old: 7, size: 12 }));
}

#[test]
fn hostile_answers_are_refused() {
    for bad in [
        "",
        "ok\n",
        "\u{2014} w x\n",
        "<html>",
        "\n\n\u{2014} w AAAAAAAA\n",
    ] {
        let (outcome, _) = asked(vec![Ok((200, bad.into()))], 5);
        assert_eq!(
            outcome,
            Err(SubmitError::Answer(AnswerError::Shape)),
            "{bad:?}"
        );
    }
    let huge = vec![b'a'; ANSWER_BYTES + 1];
    let (outcome, _) = asked(vec![Ok((200, huge))], 5);
    let got = ANSWER_BYTES + 1;
    assert_eq!(
        outcome,
        Err(SubmitError::Answer(AnswerError::TooLarge { got }))
    );
    // A line under the witness's name that is not its own is not taken over.
    let note = SignedNote::parse(&Log::new(0).note(12)).unwrap();
    let forged = cosignature_line(&note, NAME, &signer(3), at(100));
    let (outcome, _) = asked(vec![Ok((200, forged))], 5);
    let Ok(SubmitOutcome::Cosigned(answer)) = outcome else {
        panic!("{outcome:?}");
    };
    let mut own = note.clone();
    assert_eq!(
        own.take_over(
            &answer,
            &witness_key(),
            hashpact_keys::Timestamp::new(u64::MAX)
        ),
        Ok(false)
    );
    assert_eq!(own.signed_by(&witness_key()), Err(NoteError::Unsigned));
}

#[test]
fn every_other_status_has_its_error() {
    for (status, expected) in [
        (400, SubmitError::Malformed),
        (403, SubmitError::UnknownKey),
        (404, SubmitError::UnknownLog),
        (422, SubmitError::Inconsistent),
        (429, SubmitError::Unavailable { status: 429 }),
        (503, SubmitError::Unavailable { status: 503 }),
        (204, SubmitError::Status { status: 204 }),
        (302, SubmitError::Status { status: 302 }),
        (413, SubmitError::Status { status: 413 }),
    ] {
        let body = ok().unwrap().1;
        let (outcome, _) = asked(vec![Ok((status, body))], 5);
        assert_eq!(outcome, Err(expected));
    }
    let (outcome, _) = asked(vec![Err(Broken)], 5);
    assert_eq!(outcome, Err(SubmitError::Http(Broken)));
}

/// What a log gets out of a server that reads one request and answers with these bytes, over a real socket.
fn served(answer: Vec<u8>, endless: bool) -> Result<SubmitOutcome, SubmitError<HttpError>> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let _ = stream.read(&mut request);
        let _ = stream.write_all(&answer);
        // Silent, or talking, until the client goes away.
        while endless && stream.write_all(&answer).is_ok() {}
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let client = HttpClient::new(&HttpClientConfig {
        timeout: Duration::from_millis(400),
        identity: None,
        roots: None,
    });
    let client = client.unwrap();
    let log = Log::new(0);
    let outcome = submit(&over_http(&client), &url, &log.note(12), 0, |_| None);
    drop(client);
    server.join().unwrap();
    outcome
}

#[test]
fn hostile_http_witness_costs_one_bounded_request() {
    let answer = |status: &str, body: &[u8]| {
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        [head.as_bytes(), body].concat()
    };
    let cosigned = served(answer("200 OK", &ok().unwrap().1), false);
    assert!(
        matches!(cosigned, Ok(SubmitOutcome::Cosigned(_))),
        "{cosigned:?}"
    );
    // Slow: nothing at all, then a head without its body.
    for slow in [&b""[..], b"HTTP/1.1 200 OK\r\ncontent-length: 200\r\n\r\n"] {
        let outcome = served(slow.to_vec(), false);
        assert_eq!(outcome, Err(SubmitError::Http(HttpError::Timeout)));
    }
    // Huge: with its length told, and without.
    let too_large = || {
        Err(SubmitError::Http(HttpError::TooLarge {
            max: ANSWER_BYTES as u64,
        }))
    };
    let huge = answer("200 OK", &vec![b'a'; 1 << 20]);
    assert_eq!(served(huge, false), too_large());
    let mut endless = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    endless.extend([b'a'; 8192]);
    assert_eq!(served(endless, true), too_large());
    // Wrong status.
    let unavailable = served(answer("503 x", b""), false);
    assert_eq!(unavailable, Err(SubmitError::Unavailable { status: 503 }));
    let elsewhere = b"HTTP/1.1 302 x\r\nlocation: /a\r\ncontent-length: 0\r\n\r\n";
    let elsewhere = served(elsewhere.to_vec(), false);
    assert_eq!(elsewhere, Err(SubmitError::Status { status: 302 }));
    let other = served(b"SSH-2.0-x\r\n".to_vec(), false);
    assert_eq!(other, Err(SubmitError::Http(HttpError::Protocol)));
}

#[test]
fn what_is_no_checkpoint_is_not_sent() {
    let sent = Cell::new(0);
    let post = |_: &str, _: &[u8]| {
        sent.set(sent.get() + 1);
        ok()
    };
    let other = SignedNote::sign("no checkpoint\n", ORIGIN, &signer(1)).to_bytes();
    assert!(submit(&post, PREFIX, &other, 0, |_| None).is_err());
    assert!(submit(&post, PREFIX, b"", 0, |_| None).is_err());
    assert_eq!(sent.get(), 0);
}
