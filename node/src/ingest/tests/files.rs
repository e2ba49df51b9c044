use super::*;

/// The code with which a file is refused, and the row it names.
fn refused(text: impl AsRef<[u8]>, profile: &str, settings: Settings) -> (Code, Option<u64>) {
    let outcome = ingest(text, profile, &Index::default(), settings);
    let Err(IngestError::File { fault, summary }) = outcome.result else {
        panic!("{:?}", outcome.json);
    };
    assert_eq!(summary.stopped, Some(fault.code.name()));
    let last = outcome.lines.last().unwrap();
    assert_eq!((last.0, last.2), (fault.row, fault.code));
    assert!(
        outcome
            .json
            .last()
            .unwrap()
            .contains(r#""action":"file refused""#)
    );
    (fault.code, fault.row)
}

fn usual(text: impl AsRef<[u8]>) -> (Code, Option<u64>) {
    refused(text, PAIR, Settings::default())
}

#[test]
fn a_header_that_lacks_a_column_is_refused_by_name() {
    let text = format!("md5,Label\n{},A\n", hash(1, 16));
    assert_eq!(usual(&text), (Code::BadHeader, None));
    let outcome = into_empty(text, PAIR);
    assert!(
        outcome.json[0].contains("missing: sha1, label"),
        "{}",
        outcome.json[0]
    );
}

#[test]
fn a_file_without_header_or_rows_is_refused_and_shows_nothing() {
    assert_eq!(usual(""), (Code::BadHeader, None));
    assert_eq!(usual("\n\n"), (Code::BadHeader, None));
    let outcome = into_empty(pair(1, 2, "A"), PAIR);
    assert!(
        !outcome.json[0].contains(&hash(1, 16)[..8]),
        "{}",
        outcome.json[0]
    );
    assert_eq!(outcome.lines[0].2, Code::BadHeader);
}

#[test]
fn a_repeated_header_is_refused() {
    assert_eq!(usual("md5,sha1,label,x, x\n"), (Code::BadHeader, None));
    assert_eq!(usual("md5,sha1,label,,\n"), (Code::BadHeader, None));
}

#[test]
fn order_and_spare_columns_do_not_matter() {
    let text = format!("label, sha1 ,note,md5\r\nA,,x,{}\r\n", hash(1, 16));
    assert_eq!(into_empty(text, PAIR).accepted(), 1);
}

#[test]
fn other_encodings_are_refused() {
    let latin: Vec<u8> = [pairs(&[(1, 2, "A")]).as_bytes(), b"\xe9\n"].concat();
    assert_eq!(usual(latin).0, Code::BadEncoding);
    let utf16: Vec<u8> = "\u{feff}md5,sha1\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert_eq!(usual(utf16).0, Code::BadEncoding);
    // Two halves of a character in neighbouring cells are no character.
    let split = [
        pairs(&[]).as_bytes(),
        hash(1, 16).as_bytes(),
        b",\xc3,\xa9\n",
    ]
    .concat();
    assert_eq!(usual(split).0, Code::BadEncoding);
}

#[test]
fn a_byte_order_mark_is_not_part_of_the_first_header() {
    let text = format!("\u{feff}{}", pairs(&[(1, 2, "é")]));
    assert_eq!(into_empty(text, PAIR).accepted(), 1);
}

/// Gives one byte at a time.
struct Drip<'a>(&'a [u8]);

impl std::io::Read for Drip<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let n = self.0.len().min(out.len()).min(1);
        out[..n].copy_from_slice(&self.0[..n]);
        self.0 = &self.0[n..];
        Ok(n)
    }
}

#[test]
fn a_file_that_comes_byte_by_byte_is_the_same_file() {
    let text = format!(
        "\u{feff}{}",
        pairs(&[(1, 2, "é"), (3, 4, "日本"), (5, 0, "B")])
    );
    let profile = Profile::from_toml(PAIR, "").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let staging = folder.path().join("s");
    let (key, own) = (index_key(), "CA".parse().unwrap());
    let context = StageContext::new(&key, &staging, "f", &own);
    let whole = into_empty(&text, PAIR);
    let staged = stage(
        Drip(text.as_bytes()),
        &profile,
        &context,
        &mut |_| {},
        &mut |_| {},
    )
    .unwrap();
    let resolved = staged
        .resolve(&Index::default(), OWN, &mut |_| {}, &mut |_| {})
        .unwrap();
    let rows: Vec<_> = resolved.rows().unwrap().map(Result::unwrap).collect();
    assert_eq!(rows, whole.taken().rows);
    assert!(staging.exists());
    drop(resolved);
    assert!(!staging.exists());
}

#[test]
fn a_file_cut_within_quotes_or_a_character_is_refused() {
    let text = format!("{}{},,\"A", pairs(&[(1, 2, "A")]), hash(3, 16));
    assert_eq!(usual(&text).0, Code::Truncated);
    assert_eq!(usual(format!("{text}\n")).0, Code::Truncated);
    let cut = [pairs(&[(1, 2, "A")]).as_bytes(), b"\xe2\x82"].concat();
    assert_eq!(usual(cut).0, Code::Truncated);
    // The quote is closed: the file is whole, with or without a last line feed.
    for end in ["\"", "\"\n", "\"\r\n", "\"\n\n"] {
        assert_eq!(
            into_empty(format!("{text}{end}"), PAIR).accepted(),
            2,
            "{end:?}"
        );
    }
}

#[test]
fn quoted_cells_keep_their_delimiters_and_line_feeds() {
    let text = format!("md5,sha1,label,x\n{},,\"a,\"\"b\",\"1\n2\"\n", hash(1, 16));
    let outcome = into_empty(text, PAIR);
    let fields = Fields::from_bytes(&outcome.taken().rows[0].fields).unwrap();
    assert_eq!(fields.local_labels[0].value, "a,\"b");
}

#[test]
fn a_file_above_the_limit_is_refused() {
    let text = pairs(&[(1, 2, "A"), (3, 4, "A")]);
    let limit = |bytes_max| Settings {
        bytes_max: Some(bytes_max),
        ..Settings::default()
    };
    let length = text.len() as u64;
    assert_eq!(refused(&text, PAIR, limit(length - 1)).0, Code::TooLarge);
    assert_eq!(
        ingest(&text, PAIR, &Index::default(), limit(length)).accepted(),
        2
    );
}

#[test]
fn a_row_that_never_ends_is_refused_before_it_fills_the_memory() {
    // An endless quoted cell, and an endless line.
    let start = format!("{}{},,\"", pairs(&[]), hash(1, 16));
    for text in [start, pairs(&[])] {
        let endless = std::io::Read::chain(text.as_bytes(), std::io::repeat(b'a'));
        let profile = Profile::from_toml(PAIR, "").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let staging = folder.path().join("s");
        let (key, own) = (index_key(), "CA".parse().unwrap());
        let context = StageContext::new(&key, &staging, "f", &own);
        let error = stage(endless, &profile, &context, &mut |_| {}, &mut |_| {}).unwrap_err();
        assert!(matches!(error, IngestError::File { fault, .. } if fault.code == Code::TooLarge));
    }
}

#[test]
fn a_row_of_many_cells_is_bounded_too() {
    let names: String = (0..70).map(|n| format!(",c{n}")).collect();
    let list = |cells: usize| {
        let cells: String = (0..70)
            .map(|n| format!(",{}", "x".repeat(if n < cells { 1000 } else { 0 })))
            .collect();
        format!("md5,sha1,label{names}\n{},,A{cells}\n", hash(1, 16))
    };
    assert_eq!(usual(list(66)).0, Code::TooLarge);
    assert_eq!(into_empty(list(65), PAIR).accepted(), 1);
}

#[test]
fn content_in_a_cell_refuses_the_file() {
    let header = "md5,sha1,label,note\n";
    let good = format!("{},,A,x\n", hash(1, 16));
    for note in [
        "QUJD".repeat(257),
        "data:image/png;base64,QUJD".to_owned(),
        " DATA:;base64,QQ".to_owned(),
    ] {
        let text = format!("{header}{good}{},,A,{note}\n", hash(2, 16));
        assert_eq!(usual(text), (Code::MediaContent, Some(2)));
    }
    // Content is refused in a column of hashes too, and a long cell is not content because it is one.
    let text = format!("{header}data:image/png;base64,QUJD,,A,x\n");
    assert_eq!(usual(text), (Code::MediaContent, Some(1)));
    let text = format!("{header}{},,A,x\n", "ab".repeat(1100));
    assert_eq!(usual(text), (Code::MediaContent, Some(1)));
    let text = format!("{header}{},,A,x\n{good}", "ab".repeat(600));
    assert_eq!(into_empty(text, PAIR).codes(), [(1, Code::BadLength)]);
    let text = format!("{header}{},,A,{}\n", hash(1, 16), "x".repeat(1024));
    assert_eq!(into_empty(text, PAIR).accepted(), 1);
    let text = format!("{header}{},,A,data: see elsewhere\n", hash(1, 16));
    assert_eq!(into_empty(text, PAIR).accepted(), 1);
}

#[test]
fn more_label_tuples_than_classes_refuse_the_file() {
    let profile = PAIR
        .replace(
            "applicable_law = []",
            "applicable_law = { column = \"law\" }",
        )
        .replace("hops = 0", "hops = { column = \"hops\" }");
    let row = |n: u64| {
        let letter = |n: u64| char::from(b'A' + u8::try_from(n % 26).unwrap());
        let law: String = [letter(n), letter(n / 26)].iter().collect();
        format!("{},,x,{law},{}\n", hash(n + 1, 16), n / 676)
    };
    let list = |n: u64| {
        format!(
            "md5,sha1,label,law,hops\n{}",
            (0..n).map(row).collect::<String>()
        )
    };
    assert_eq!(into_empty(list(1024), &profile).taken().labels.len(), 1024);
    assert_eq!(
        refused(list(1025), &profile, Settings::default()),
        (Code::TooManyClasses, Some(1025))
    );
}

#[test]
fn a_local_label_that_differs_in_every_row_fills_no_memory_and_loses_none() {
    let case = |n: u64| format!("case {n}");
    let row = |n: u64| pair(n, 0, &case(n));
    // The first label comes back long after it was forgotten.
    let text: String = std::iter::once(pairs(&[]))
        .chain((1..=9000).map(row))
        .chain([row(9000), pair(9001, 0, &case(1)), pair(9002, 0, &case(2))])
        .collect();
    let outcome = into_empty(text, PAIR);
    assert_eq!((outcome.accepted(), outcome.summary().unchanged), (9002, 1));
    for (n, row) in (1..=9000).chain([1, 2]).zip(&outcome.taken().rows) {
        let fields = Fields::from_bytes(&row.fields).unwrap();
        assert_eq!(fields.local_labels[0].value, case(n));
    }
}

#[test]
fn staged_rows_are_no_hash_list() {
    let profile = Profile::from_toml(PAIR, "").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let staging = folder.path().join("s");
    let (key, own) = (index_key(), "CA".parse().unwrap());
    let context = StageContext::new(&key, &staging, "f", &own);
    let text = pairs(&[(1, 2, "A")]);
    let staged = stage(
        text.as_bytes(),
        &profile,
        &context,
        &mut |_| {},
        &mut |_| {},
    )
    .unwrap();
    let bytes = std::fs::read(staging.join("rows")).unwrap();
    let needle = hex::decode(hash(1, 16)).unwrap();
    assert!(bytes.len() > 100 && !bytes.windows(16).any(|window| window == needle));
    drop(staged);
    assert!(!staging.exists());
}

#[test]
fn progress_counts_every_phase_to_its_end() {
    let text: String = std::iter::once(pairs(&[]))
        .chain((1..=70_000).map(|n| pair(n, 0, "A")))
        .collect();
    let profile = Profile::from_toml(PAIR, "").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let staging = folder.path().join("s");
    let (key, own) = (index_key(), "CA".parse().unwrap());
    let context = StageContext::new(&key, &staging, "f", &own);
    let mut seen = Vec::new();
    let mut progress = |progress: Progress| seen.push(progress);
    let staged = stage(
        text.as_bytes(),
        &profile,
        &context,
        &mut progress,
        &mut |_| {},
    )
    .unwrap();
    staged
        .resolve(&Index::default(), OWN, &mut progress, &mut |_| {})
        .unwrap();
    let done: Vec<_> = seen.iter().map(|p| (p.phase, p.done)).collect();
    let expected = [Phase::Read, Phase::LookUp, Phase::Decide]
        .map(|phase| [(phase, 65_536), (phase, 70_000)])
        .concat();
    assert_eq!(done, expected);
    assert_eq!(seen[1].bytes, text.len() as u64);
}
