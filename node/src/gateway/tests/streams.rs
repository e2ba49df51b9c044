//! A subset as it goes over the wire: whole, in both forms, gone on with behind a cut, and nobody else's.

use std::collections::BTreeSet;

use minicbor::Decoder;

use super::*;
use crate::gateway::native::{ack, lookup, stream};
use crate::gateway::nearby::Nearby;
use crate::subset::tests::{World, ended, eu, record, records};

/// A gateway over a ledger with entries of three classes: `acme` may have two of them, `bolt` the third.
fn site(count: u64) -> (Site, World) {
    let mut world = World::new();
    world.admit_member("bolt");
    world.allow("acme", &[(eu(), 0), (eu(), 1)]);
    world.allow("bolt", &[(eu(), 2)]);
    let mut from = 0;
    while from < count {
        let to = count.min(from + 3000);
        world.delta(&eu(), &records(from..to, 3), &[]);
        from = to;
    }
    world.round();
    let routes = Router::new()
        .route("/v1/subset/snapshot", get(stream::snapshot))
        .route("/v1/subset/changes", get(stream::changes))
        .route("/v1/ack", post(ack::ack))
        .with_state(world.feed.clone())
        .merge(
            Router::new()
                .route("/v1/lookup", post(lookup::lookup))
                .with_state(lookup::Lists {
                    feed: world.feed.clone(),
                    nearby: Nearby::default(),
                    clock: crate::clock::now,
                }),
        );
    let site = Site::with(Settings {
        routes,
        ..Settings::default()
    });
    (site, world)
}

impl Answer {
    /// The body without the lengths of its chunks.
    fn dechunked(&self) -> Vec<u8> {
        let mut rest = &self.body[..];
        if self.header("transfer-encoding") != "chunked" {
            return rest.to_vec();
        }
        let mut whole = Vec::new();
        while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
            let length = std::str::from_utf8(&rest[..end]).unwrap();
            let length = usize::from_str_radix(length, 16).unwrap();
            let from = end + 2;
            if length == 0 || rest.len() < from + length + 2 {
                break;
            }
            whole.extend_from_slice(&rest[from..from + length]);
            rest = &rest[from + length + 2..];
        }
        whole
    }

    fn items(&self) -> Vec<Value> {
        let text = String::from_utf8(self.dechunked()).unwrap();
        text.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }
}

/// The entries of packs, each once.
fn entries(items: &[Value]) -> BTreeSet<String> {
    let packs = items.iter().filter(|item| item["kind"] == "pack");
    let all = packs.flat_map(|pack| pack["entries"].as_array().unwrap());
    let mut seen = BTreeSet::new();
    for entry in all {
        assert!(!entry["fingerprints"].as_array().unwrap().is_empty());
        let id = entry["entry"].as_str().unwrap().to_owned();
        assert!(seen.insert(id), "an entry twice");
    }
    seen
}

fn of_classes(range: std::ops::Range<u64>, classes: [u16; 2]) -> BTreeSet<String> {
    let all = records(range, 3).into_iter();
    let ours = all.filter(|(class, _)| classes.contains(class));
    ours.map(|(_, record)| record.entry.to_string()).collect()
}

fn last(items: &[Value]) -> &Value {
    let end = items.last().unwrap();
    assert_eq!(end["kind"], "end");
    end
}

#[test]
fn a_member_reads_its_classes_whole_and_then_what_is_new() {
    let (site, mut world) = site(300);
    let token = site.token();
    let answer = site.bearer("GET /v1/subset/snapshot", &token);
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, "application/x-ndjson")
    );
    let items = answer.items();
    assert_eq!(entries(&items), of_classes(0..300, [0, 1]));
    let end = last(&items);
    assert_eq!(end["more"], false);
    let cursor = end["cursor"].as_str().unwrap();
    assert_eq!(answer.header("etag"), format!("\"{cursor}\""));
    // Every header and every definition stands before what it is of, once.
    for kind in ["delta", "class"] {
        let told = items.iter().filter(|item| item["kind"] == kind).count();
        assert_eq!(told, if kind == "delta" { 1 } else { 2 });
    }
    let line = format!("GET /v1/subset/changes?after={cursor}");
    let held = format!("{}If-None-Match: \"{cursor}\"\r\n", bearer(&token));
    let answer = site.ask(&line, &held);
    assert_eq!((answer.status, answer.body.len()), (304, 0));
    let answer = site.bearer(&line, &token);
    assert_eq!(answer.items().len(), 1, "nothing but its end");
    let first = records(0..1, 3).remove(0).1;
    world.delta(&eu(), &records(300..330, 3), &[ended(&first)]);
    world.round();
    let answer = site.ask(&line, &held);
    assert_eq!(answer.status, 200);
    let items = answer.items();
    assert_eq!(entries(&items), of_classes(300..330, [0, 1]));
    let gone: Vec<_> = items
        .iter()
        .filter(|item| item["kind"] == "retraction")
        .collect();
    assert_eq!(gone.len(), 1);
    assert_eq!(gone[0]["gone"][0]["entry"], first.entry.to_string());
    // Applied and said so.
    let cursor = last(&items)["cursor"].as_str().unwrap();
    let body = format!("{{\"cursor\":\"{cursor}\"}}");
    let head = format!("{}Content-Length: {}\r\n", bearer(&token), body.len());
    let text = format!("POST /v1/ack HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{head}\r\n{body}");
    let answer = site.say(&text).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(world.feed.acknowledged(&id("acme")).unwrap().is_some());
}

#[test]
fn both_forms_say_the_same_and_compression_changes_nothing() {
    let (site, _world) = site(90);
    let token = bearer(&site.token());
    let ask = |more: &str| site.ask("GET /v1/subset/snapshot", &format!("{token}{more}"));
    let lines = ask("");
    let packed = ask("Accept-Encoding: zstd\r\n");
    assert_eq!(packed.header("content-encoding"), "zstd");
    let plain = zstd::decode_all(&packed.dechunked()[..]).unwrap();
    assert_eq!(plain, lines.dechunked());
    let sequence = ask("Accept: application/cbor-seq\r\n");
    assert_eq!(sequence.header("content-type"), "application/cbor-seq");
    let bytes = sequence.dechunked();
    let (mut decoder, mut sections, mut kinds) = (Decoder::new(&bytes), Vec::new(), Vec::new());
    while decoder.position() < bytes.len() {
        for _ in 0..decoder.map().unwrap().unwrap() {
            match decoder.str().unwrap() {
                "kind" => kinds.push(decoder.str().unwrap().to_owned()),
                "section" => sections.push(STANDARD.encode(decoder.bytes().unwrap())),
                _ => decoder.skip().unwrap(),
            }
        }
    }
    let items = lines.items();
    let told: Vec<_> = items
        .iter()
        .map(|item| item["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, told);
    let packs = items.iter().filter(|item| item["kind"] == "pack");
    let told: Vec<_> = packs
        .map(|pack| pack["section"].as_str().unwrap())
        .collect();
    assert_eq!(sections, told);
}

#[test]
fn snapshot_that_is_cut_again_and_again_goes_on_where_it_was() {
    let (site, _world) = site(300);
    let token = site.token();
    let mut line = "GET /v1/subset/snapshot?limit=40".to_owned();
    let (mut all, mut pieces) = (BTreeSet::new(), 0);
    loop {
        let items = site.bearer(&line, &token).items();
        for entry in entries(&items) {
            assert!(all.insert(entry), "told twice");
        }
        pieces += 1;
        let end = last(&items);
        if end["more"] == false {
            break;
        }
        let cursor = end["cursor"].as_str().unwrap();
        line = format!("GET /v1/subset/snapshot?limit=40&after={cursor}");
    }
    assert_eq!(all, of_classes(0..300, [0, 1]));
    // A class of a delta is one pack, however low the limit.
    assert_eq!(pieces, 2);
}

#[test]
fn cursor_of_another_member_or_of_nobody_is_refused_alike() {
    let (site, _world) = site(30);
    let (token, other) = (site.token(), site.issue("bolt", &terms()).1);
    let items = site.bearer("GET /v1/subset/snapshot", &other).items();
    assert_eq!(entries(&items), of_classes(0..30, [2, 2]));
    let theirs = last(&items)["cursor"].as_str().unwrap();
    let mut changed = theirs.to_owned().into_bytes();
    changed[5] = if changed[5] == b'A' { b'B' } else { b'A' };
    let changed = String::from_utf8(changed).unwrap();
    let mut bodies = BTreeSet::new();
    for cursor in [theirs, &changed, "AAAA", &"A".repeat(300), "%00"] {
        for path in ["changes", "snapshot"] {
            let answer = site.bearer(&format!("GET /v1/subset/{path}?after={cursor}"), &token);
            assert_eq!((answer.status, answer.problem().as_str()), (400, "cursor"));
            bodies.insert(answer.body);
        }
    }
    assert_eq!(bodies.len(), 1);
    let answer = site.bearer("GET /v1/subset/changes", &token);
    assert_eq!((answer.status, answer.problem().as_str()), (400, "query"));
}

#[test]
fn credential_revoked_amid_a_snapshot_gets_no_end() {
    let (site, _world) = site(24_000);
    let (described, token) = site.issue("acme", &terms());
    let mut stream = site.connect();
    let head = format!(
        "GET /v1/subset/snapshot HTTP/1.1\r\nHost: x\r\n{}\r\n",
        bearer(&token)
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.read_exact(&mut [0; 1024]).unwrap();
    let which = Some(described.credential);
    site.desk.credentials.revoke(&id("acme"), which).unwrap();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert!(!rest.ends_with(b"\r\n0\r\n\r\n"));
    let end = b"\"kind\":\"end\"";
    assert!(!rest.windows(end.len()).any(|bytes| bytes == end));
    let line = site.recorded(&["/v1/subset/snapshot", "\"cut\":true"]);
    assert_eq!(line["member"], "acme");
}

#[test]
fn one_credential_reads_few_streams_at_once() {
    let (site, _world) = site(24_000);
    let token = site.token();
    let head = format!(
        "GET /v1/subset/snapshot HTTP/1.1\r\nHost: x\r\n{}\r\n",
        bearer(&token)
    );
    let streams: Vec<_> = (0..4)
        .map(|_| {
            let mut stream = site.connect();
            stream.write_all(head.as_bytes()).unwrap();
            stream.read_exact(&mut [0; 16]).unwrap();
            stream
        })
        .collect();
    let answer = site.bearer("GET /v1/subset/snapshot", &token);
    assert_eq!((answer.status, answer.problem().as_str()), (429, "streams"));
    drop(streams);
    let began = Instant::now();
    while site
        .bearer("GET /v1/subset/snapshot?limit=1", &token)
        .status
        != 200
    {
        assert!(began.elapsed() < SOON, "no place came free");
    }
}

#[test]
fn look_up_finds_what_the_member_may_have_and_repeats_nothing() {
    let (site, _world) = site(30);
    let allowed = Terms {
        lookup: true,
        ..terms()
    };
    let tokens = ["acme", "bolt"].map(|name| site.issue(name, &allowed).1);
    let print = |n: u64| {
        let found = record(n, 1);
        let print = found.fields.matchable().next().unwrap().clone();
        let hex: String = print
            .bytes()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("{}:{hex}", print.algorithm().name())
    };
    let ask = |token: &str, prints: &[String]| {
        let body = serde_json::json!({ "fingerprints": prints }).to_string();
        let head = format!("{}Content-Length: {}\r\n", bearer(token), body.len());
        let text =
            format!("POST /v1/lookup HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{head}\r\n{body}");
        site.say(&text).unwrap()
    };
    // Of class 0, 1 and 2.
    let prints = [print(0), print(1), print(2)];
    let found = tokens.map(|token| {
        let answer = ask(&token, &prints);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        let answers = body["answers"].as_array().unwrap();
        let count = |answer: &Value| answer["matches"].as_array().unwrap().len();
        answers.iter().map(count).collect::<Vec<_>>()
    });
    assert_eq!(found, [vec![1, 1, 0], vec![0, 0, 1]]);
    let token = site.issue("acme", &allowed).1;
    let secret = "d41d8cd98f00b204e9800998ecf842";
    let answer = ask(&token, &[print(0), format!("md5:{secret}")]);
    assert_eq!(
        (answer.status, answer.problem().as_str()),
        (400, "fingerprint")
    );
    assert!(answer.text().contains("fingerprint 2") && !answer.text().contains(secret));
    assert_eq!(ask(&token, &vec![print(0); 1001]).status, 400);
    assert!(!site.trail().contains(&print(0)[8..20]));
}
