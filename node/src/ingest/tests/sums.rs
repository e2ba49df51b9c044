use super::*;

const MD5: &str = include_str!("../../../../testnet/lists/ca.toml");

fn prints(outcome: &Outcome) -> Vec<String> {
    let fields = |row: &NewRow| Fields::from_bytes(&row.fields).unwrap();
    let rows = outcome.taken().rows.iter();
    rows.map(|row| hex::encode(fields(row).matchable().next().unwrap().bytes()))
        .collect()
}

#[test]
fn every_form_of_a_line_gives_its_digest() {
    let digests: Vec<String> = (1..=8).map(|n| hash(n, 16)).collect();
    let [text, binary, escaped, bsd, bsd_escaped, upper, paren, crlf] = digests.as_slice() else {
        panic!();
    };
    let list = format!(
        "{text}  a file\n{binary} *b\n\\{escaped}  c\\nd\nMD5 (e) = {bsd}\n\\MD5 (f\\\\g) = {bsd_escaped}\n\
         {}  h\nMD5 (x) = y) = {paren}\n{crlf}  i\r\n",
        upper.to_uppercase()
    );
    let outcome = into_empty(list, MD5);
    assert_eq!(outcome.json, [""; 0]);
    assert_eq!(prints(&outcome), digests);
}

#[test]
fn names_in_any_encoding_are_read_past_and_not_kept() {
    let mut list = Vec::new();
    for (n, name) in [&b"caf\xe9.txt"[..], b"\xff\xfe\x80", "日本".as_bytes()]
        .iter()
        .enumerate()
    {
        list.extend_from_slice(hash(n as u64 + 1, 16).as_bytes());
        list.extend_from_slice(b"  ");
        list.extend_from_slice(name);
        list.push(b'\n');
    }
    let outcome = into_empty(&list, MD5);
    assert_eq!(outcome.accepted(), 3);
    for row in &outcome.taken().rows {
        assert!(
            !row.fields
                .windows(3)
                .any(|w| w == b"caf" || w == "日".as_bytes())
        );
    }
}

#[test]
fn faulty_lines_are_refused_by_line_number() {
    let good = hash(1, 16);
    let list = format!(
        "# made by hand\n{good}  a\n\n{}  b\n{good}\n{good} c\nSHA256 (d) = {}\nMD5 (e) {good}\nz{}  f\n\
         d41d8cd98f00b204e9800998ecf8427e  empty\n",
        hash(2, 32),
        hash(3, 32),
        &good[1..]
    );
    let outcome = into_empty(list, MD5);
    let expected = [
        (4, Code::BadLength),
        (5, Code::BadRow),
        (6, Code::BadRow),
        (7, Code::UnknownType),
        (8, Code::BadRow),
        (9, Code::BadAlphabet),
        (10, Code::Guarded),
    ];
    assert_eq!(outcome.codes(), expected);
    assert_eq!((outcome.accepted(), outcome.summary().rows), (1, 8));
    for line in &outcome.json {
        assert!(!line.contains(&good[1..9]), "{line}");
    }
}

#[test]
fn a_line_that_never_ends_and_a_name_that_is_content_refuse_the_file() {
    let start = format!("{}  ", hash(1, 16));
    for (name, code) in [
        ("x".repeat(70_000), Code::TooLarge),
        ("x".repeat(4097), Code::MediaContent),
        ("data:image/png;base64,QUJD".to_owned(), Code::MediaContent),
    ] {
        let outcome = into_empty(format!("{start}{name}\n"), MD5);
        assert!(
            matches!(outcome.result, Err(IngestError::File { fault, .. }) if fault.code == code)
        );
    }
    assert_eq!(
        into_empty(format!("{start}{}", "x".repeat(4000)), MD5).accepted(),
        1
    );
}

#[test]
fn a_byte_order_mark_before_checksums_is_dropped() {
    let list = format!("\u{feff}{}  a\n", hash(1, 16));
    assert_eq!(into_empty(list, MD5).accepted(), 1);
}
