//! Who is admitted, and what whoever is not learns.

use std::time::Instant;

use super::*;

#[test]
fn both_ways_to_show_a_token_admit_its_member() {
    let site = Site::new();
    let token = site.token();
    assert_eq!(site.bearer("GET /name", &token).text(), "acme");
    assert_eq!(site.ask("GET /name", &basic("acme", &token)).text(), "acme");
    let lower = format!("authorization: bearer {token}\r\n");
    assert_eq!(site.ask("GET /name", &lower).text(), "acme");
}

/// Whatever is wrong, the answer has the same bytes and takes the same time: nothing is told of members or credentials.
#[test]
fn guessed_tokens_names_and_ids_get_one_answer_that_waits() {
    let site = Site::new();
    let (described, token) = site.issue("acme", &terms());
    let other = site.issue("bolt", &terms()).1;
    let id = described.credential.to_string();
    let secret = &token[token.len() - 43..];
    let wrong_secret = format!("hp1_{id}_{}", &other[other.len() - 43..]);
    let unknown_id = format!("hp1_{:08x}_{secret}", described.credential.0 ^ 1);
    let lines = [
        bearer(&wrong_secret),
        bearer(&unknown_id),
        bearer("nothing"),
        basic("acme", "nothing"),
        basic("nobody", &token),
        basic("bolt", &token),
        basic("acme", &wrong_secret),
        format!("Authorization: Digest {token}\r\n"),
        format!("Authorization: Bearer {}\r\n", "x".repeat(600)),
        // Two headers: a proxy and the node could read different ones.
        bearer(&token).repeat(2),
    ];
    let mut bodies = Vec::new();
    for line in &lines {
        let answer = site.ask("GET /name", line);
        assert_eq!(
            (answer.status, answer.problem().as_str()),
            (401, "credential")
        );
        assert!(answer.took >= DELAY, "{:?}", answer.took);
        assert!(answer.header("www-authenticate").starts_with("Basic "));
        bodies.push(answer.body);
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1);
    let began = Instant::now();
    assert_eq!(site.bearer("GET /name", &token).status, 200);
    assert!(began.elapsed() < DELAY);
    // Nobody is named who did not prove to be it.
    let trail = site.trail();
    assert!(!trail.contains("bolt") && trail.matches("\"member\":\"acme\"").count() == 1);
}

#[test]
fn crowd_of_wrong_credentials_keeps_nobody_out() {
    let site = Site::with(Settings {
        delayed: 2,
        ..Settings::default()
    });
    let token = site.token();
    let mut crowd: Vec<_> = (0..60).map(|_| site.connect()).collect();
    for stream in &mut crowd {
        let wrong = bearer("nothing");
        let text = format!("GET /name HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{wrong}\r\n");
        stream.write_all(text.as_bytes()).unwrap();
    }
    let answer = site.bearer("GET /name", &token);
    assert_eq!(answer.status, 200);
    assert!(answer.took < DELAY, "{:?}", answer.took);
    for mut stream in crowd {
        assert_eq!(Answer::read(&mut stream).unwrap().status, 401);
    }
}

#[test]
fn no_credential_is_refused_and_an_unknown_path_tells_nothing() {
    let site = Site::new();
    for path in ["/name", "/entries/1", "/look"] {
        let answer = site.ask(&format!("GET {path}"), "");
        assert_eq!(
            (answer.status, answer.problem().as_str()),
            (401, "credential")
        );
    }
    let answer = site.ask("GET /nowhere", "");
    assert_eq!(
        (answer.status, answer.problem().as_str()),
        (404, "not-found")
    );
    let answer = site.bearer("POST /name", &site.token());
    assert_eq!((answer.status, answer.problem().as_str()), (405, "method"));
    assert_eq!(site.ask("GET /open", "").text(), "open");
}

#[test]
fn credential_that_has_ended_opens_nothing() {
    let site = Site::with(Settings {
        clock: later,
        ..Settings::default()
    });
    let answer = site.bearer("GET /name", &site.token());
    assert_eq!((answer.status, answer.problem().as_str()), (401, "expired"));
}

#[test]
fn credential_of_another_network_opens_nothing_and_a_forged_header_does_not_help() {
    let bound = |net: &str| Terms {
        networks: vec![net.parse().unwrap()],
        ..terms()
    };
    let site = Site::new();
    let here = site.issue("acme", &bound("127.0.0.0/8")).1;
    assert_eq!(site.bearer("GET /name", &here).status, 200);
    let there = site.issue("acme", &bound("203.0.113.0/24")).1;
    let forged = format!("{}X-Forwarded-For: 203.0.113.9\r\n", bearer(&there));
    let answer = site.ask("GET /name", &forged);
    assert_eq!((answer.status, answer.problem().as_str()), (403, "network"));
    // Behind a proxy that is trusted, what it saw counts, and what stands before that does not.
    let mut site = site;
    site.stop();
    site.start(Settings {
        proxies: vec!["127.0.0.1/32"],
        ..Settings::default()
    });
    assert_eq!(site.ask("GET /name", &forged).status, 200);
    let lines = format!(
        "{}X-Forwarded-For: 203.0.113.9, 198.51.100.1\r\n",
        bearer(&there)
    );
    assert_eq!(site.ask("GET /name", &lines).status, 403);
}

#[test]
fn look_ups_need_a_right_of_their_own_and_use_the_day_up() {
    let site = Site::new();
    let answer = site.bearer("GET /look", &site.token());
    assert_eq!(
        (answer.status, answer.problem().as_str()),
        (403, "no-lookup")
    );
    let allowed = Terms {
        lookup: true,
        quota: Some(25),
        ..terms()
    };
    let token = site.issue("acme", &allowed).1;
    // Eleven units each: the request, and ten fingerprints.
    assert_eq!(site.bearer("GET /look", &token).status, 200);
    assert_eq!(site.bearer("GET /look", &token).status, 200);
    let answer = site.bearer("GET /look", &token);
    assert_eq!((answer.status, answer.problem().as_str()), (429, "quota"));
    let wait: u64 = answer.header("retry-after").parse().unwrap();
    assert_eq!(wait, 86_400 - ISSUED % 86_400);
}

#[test]
fn restart_gives_no_second_quota() {
    let mut site = Site::new();
    let few = Terms {
        quota: Some(3),
        ..terms()
    };
    let token = site.issue("acme", &few).1;
    for _ in 0..2 {
        assert_eq!(site.bearer("GET /name", &token).status, 200);
    }
    site.stop();
    let (members, path) = (
        [member("acme"), member("bolt")],
        site.folder.path().to_owned(),
    );
    let none = tempfile::tempdir().unwrap();
    // The file is one process's: the first desk is let go before the second opens it.
    site.desk = Desk::open(none.path(), members.iter()).unwrap();
    site.desk = Desk::open(&path, members.iter()).unwrap();
    site.start(Settings::default());
    let statuses: Vec<u16> = (0..3)
        .map(|_| site.bearer("GET /name", &token).status)
        .collect();
    assert!(
        statuses.iter().filter(|status| **status == 200).count() <= 1,
        "{statuses:?}"
    );
    assert_eq!(statuses[2], 429);
}

#[test]
fn burst_beyond_the_rate_is_told_to_wait() {
    let site = Site::new();
    let slow = Terms {
        rate: Some(2.try_into().unwrap()),
        ..terms()
    };
    let token = site.issue("acme", &slow).1;
    let answers: Vec<_> = (0..20).map(|_| site.bearer("GET /name", &token)).collect();
    let refused: Vec<_> = answers
        .iter()
        .filter(|answer| answer.status == 429)
        .collect();
    assert!(refused.len() >= 10, "{}", refused.len());
    assert_eq!(refused[0].problem(), "rate");
    assert_eq!(refused[0].header("retry-after"), "1");
    // Another member's is untouched.
    let other = site.issue("bolt", &terms()).1;
    assert_eq!(site.bearer("GET /name", &other).status, 200);
}

#[test]
fn rotated_credentials_overlap_by_a_day_and_keep_their_terms() {
    let site = Site::new();
    let bound = Terms {
        networks: vec!["127.0.0.0/8".parse().unwrap()],
        lookup: true,
        ..terms()
    };
    let (old, token) = site.issue("acme", &bound);
    let fresh = site
        .desk
        .credentials
        .rotate(&id("acme"), None, now())
        .unwrap();
    let [(described, next)] = &fresh[..] else {
        panic!("{} credentials", fresh.len());
    };
    assert_eq!(described.networks, old.networks);
    assert!(described.lookup && described.expires == old.expires);
    for token in [&token, next.as_str()] {
        assert_eq!(site.bearer("GET /name", token).status, 200);
    }
    let ends = site.desk.credentials.find(old.credential).unwrap().expires;
    assert_eq!(ends.get(), ISSUED + 86_400);
    // Once more: only what does not end by itself is rotated.
    let again = site
        .desk
        .credentials
        .rotate(&id("acme"), None, now())
        .unwrap();
    assert_eq!(again.len(), 1);
}

#[test]
fn stolen_file_of_credentials_holds_no_secret_and_the_trail_neither() {
    let site = Site::new();
    let token = site.token();
    let answer = site.bearer("GET /entries/0123abcd?md5=d41d8cd98f00b204", &token);
    assert_eq!(answer.status, 200);
    let file = std::fs::read(site.folder.path().join("gateway.redb")).unwrap();
    let secret = &token.as_bytes()[token.len() - 43..];
    assert!(!file.windows(43).any(|bytes| bytes == secret));
    let line = site.recorded(&["/entries/{entry}"]);
    assert_eq!(line["member"], "acme");
    assert_eq!(
        (line["status"].as_u64(), line["bytes"].as_u64()),
        (Some(200), Some(4))
    );
    let trail = site.trail();
    for told in ["d41d8cd9", "0123abcd", std::str::from_utf8(secret).unwrap()] {
        assert!(!trail.contains(told), "{trail}");
    }
}

/// The disk is the ledger's and the retractions': whoever is nobody must not fill it.
#[test]
fn flood_of_requests_without_a_credential_leaves_one_line() {
    let mut site = Site::with(Settings {
        delayed: 0,
        ..Settings::default()
    });
    let token = site.token();
    for _ in 0..50 {
        assert_eq!(site.ask("GET /name", "").status, 401);
        assert_eq!(site.bearer("GET /name", "nothing").status, 401);
        assert_eq!(site.ask("GET /nowhere", "").status, 404);
        assert_eq!(site.ask("GET /open", "").status, 200);
    }
    assert_eq!(site.bearer("GET /name", &token).status, 200);
    site.recorded(&["\"member\":\"acme\""]);
    site.stop();
    site.recorded(&["\"kind\":\"unnamed_requests\""]);
    let trail = site.trail();
    let lines: Vec<serde_json::Value> = trail
        .lines()
        .filter(|line| line.contains("\"kind\":\"unnamed_requests\""))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    // One, or two where a minute ends meanwhile.
    assert!(lines.len() <= 2, "{trail}");
    let sum = |of: &dyn Fn(&serde_json::Value) -> u64| lines.iter().map(of).sum::<u64>();
    assert_eq!(sum(&|line| line["requests"].as_u64().unwrap()), 200);
    for (status, count) in [("200", 50), ("401", 100), ("404", 50)] {
        assert_eq!(
            sum(&|line| line["by_status"][status].as_u64().unwrap_or(0)),
            count
        );
    }
    assert_eq!(trail.lines().count(), lines.len() + 1, "{trail}");
}

#[test]
fn node_that_cannot_write_its_trail_answers_no_member() {
    let site = Site::new();
    let token = site.token();
    let folder = site.folder.path().join("audit");
    // Nothing was asked yet, so the folder is not there.
    std::fs::write(&folder, b"in its place").unwrap();
    // The first that cannot be written down is noticed behind its answer.
    site.bearer("GET /name", &token);
    let answer = site.bearer("GET /name", &token);
    assert_eq!(
        (answer.status, answer.problem().as_str()),
        (503, "stopping")
    );
    std::fs::remove_file(&folder).unwrap();
    assert_eq!(site.bearer("GET /name", &token).status, 200);
}
