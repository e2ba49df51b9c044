use super::*;

/// `rows` rows, of which the first `bad` have a hash that is too short.
fn list(rows: u64, bad: u64) -> String {
    let row = |n| {
        if n <= bad {
            format!("ab,{},A\n", hash(n, 20))
        } else {
            pair(n, n, "A")
        }
    };
    std::iter::once(pairs(&[]))
        .chain((1..=rows).map(row))
        .collect()
}

fn run(text: &str, settings: Settings) -> Outcome {
    ingest(text, PAIR, &Index::default(), settings)
}

fn accept(n: u64) -> Settings {
    Settings {
        accept_bad: Some(n),
        ..Settings::default()
    }
}

#[test]
fn three_bad_rows_of_two_hundred_stop_until_they_are_confirmed() {
    let text = list(200, 3);
    let stopped = run(&text, Settings::default());
    assert!(matches!(
        stopped.result,
        Err(IngestError::TooManyBad { .. })
    ));
    assert_eq!((stopped.lines.len(), stopped.summary().refused), (3, 3));
    assert!(
        stopped
            .summary()
            .to_json()
            .ends_with(r#""stopped":"too_many_bad"}}"#)
    );
    assert!(run(&text, accept(2)).result.is_err());
    assert_eq!(run(&text, accept(3)).accepted(), 197);
}

#[test]
fn one_bad_row_in_a_hundred_does_not_stop() {
    assert_eq!(run(&list(200, 2), Settings::default()).accepted(), 198);
    assert_eq!(run(&list(100, 1), Settings::default()).accepted(), 99);
    assert!(run(&list(100, 2), Settings::default()).result.is_err());
}

#[test]
fn a_short_list_goes_on_without_its_bad_rows() {
    assert_eq!(run(&list(99, 60), Settings::default()).accepted(), 39);
}

#[test]
fn duplicates_count_as_bad_rows() {
    let text = format!("{}{}", list(199, 2), pair(150, 3, "A"));
    let stopped = run(&text, Settings::default());
    assert_eq!(
        stopped.codes().last(),
        Some(&(200, Code::DuplicateConflict))
    );
    assert!(matches!(
        stopped.result,
        Err(IngestError::TooManyBad { .. })
    ));
    assert_eq!(run(&text, accept(3)).accepted(), 197);
}

#[test]
fn strict_stops_at_one_bad_row_even_if_confirmed() {
    let strict = Settings {
        strict: true,
        ..accept(5)
    };
    let stopped = run(&list(10, 1), strict);
    assert!(matches!(stopped.result, Err(IngestError::Strict { .. })));
    assert_eq!(stopped.summary().stopped, Some("strict"));
    assert_eq!(run(&list(10, 0), strict).accepted(), 10);
    let repeated = format!("{}{}", list(10, 0), pair(5, 0, "A"));
    assert!(matches!(
        run(&repeated, strict).result,
        Err(IngestError::Strict { .. })
    ));
}
