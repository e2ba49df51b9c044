use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::evidence::{Evidence, Verdict, repetition};
use super::super::spool::Head;
use super::super::stage::tag;
use super::*;
use crate::store::index::SpillRuns;

/// MD5, SHA-1 and local label of a row, as `pairs` takes them.
type Pair<'a> = (u64, u64, &'a str);

/// Taken from an empty index: what these rows are as entries.
fn entries(rows: &[Pair<'_>]) -> Vec<NewRow> {
    into_empty(pairs(rows), PAIR).result.unwrap().rows
}

/// Verdicts of `rows` against an index: new, unchanged, retracted, and the rows in conflict.
fn against(rows: &[Pair<'_>], index: &Index) -> (u64, u64, u64, Vec<u64>) {
    let outcome = ingest(pairs(rows), PAIR, index, Settings::default());
    let conflicts = outcome.codes().into_iter();
    let conflicts = conflicts
        .filter(|(_, code)| *code == Code::DuplicateConflict)
        .map(|(row, _)| row);
    let summary = outcome.summary();
    (
        outcome.accepted(),
        summary.unchanged,
        summary.retracted,
        conflicts.collect(),
    )
}

#[test]
fn within_a_file_the_first_row_with_a_hash_stands() {
    let none = Index::default();
    let a = (1, 2, "A");
    let cases: [(&[Pair<'_>], _); 7] = [
        (&[a, a, a], (1, 2, 0, vec![])),
        // Other label, fewer hashes, more hashes, another hash beside it.
        (&[a, (1, 2, "B")], (1, 0, 0, vec![2])),
        (&[a, (1, 0, "A")], (1, 0, 0, vec![2])),
        (&[(1, 0, "A"), a], (1, 0, 0, vec![2])),
        (&[a, (1, 3, "A")], (1, 0, 0, vec![2])),
        // A row that joins two earlier ones is in conflict with both.
        (
            &[(1, 0, "A"), (0, 2, "A"), a, (5, 0, "A")],
            (3, 0, 0, vec![3]),
        ),
        // So is one that shares only with a row in conflict: which entry the hash belongs to is open.
        (&[(1, 0, "A"), a, (0, 2, "A")], (1, 0, 0, vec![2, 3])),
    ];
    for (rows, expected) in cases {
        assert_eq!(against(rows, &none), expected, "{rows:?}");
    }
}

#[test]
fn a_conflict_names_the_earlier_row_and_the_column() {
    let outcome = into_empty(pairs(&[(9, 9, "A"), (1, 2, "A"), (0, 2, "A")]), PAIR);
    let line = &outcome.json[0];
    assert!(
        line.contains(r#""row":3,"column":"sha1","code":"duplicate_conflict""#),
        "{line}"
    );
    assert!(
        line.contains("row 2 has this hash with other content"),
        "{line}"
    );
}

#[test]
fn against_the_index_every_verdict() {
    let [a, b] = <[NewRow; 2]>::try_from(entries(&[(1, 2, "A"), (3, 0, "A")])).unwrap();
    let live = |row, offset| index_rows(row, OWN, offset, RowKind::Fingerprint);
    let ended = |row, offset| index_rows(row, OWN, offset, RowKind::Ended);
    let both = index_of([live(&a, 0), live(&b, 64)].concat());
    // Repeated, changed label, hash missing, hash added, hash of one entry beside that of another.
    assert_eq!(
        against(&[(1, 2, "A"), (3, 0, "A"), (5, 6, "A")], &both),
        (1, 2, 0, vec![])
    );
    assert_eq!(against(&[(1, 2, "B")], &both), (0, 0, 0, vec![1]));
    assert_eq!(against(&[(1, 0, "A")], &both), (0, 0, 0, vec![1]));
    assert_eq!(against(&[(3, 7, "A")], &both), (0, 0, 0, vec![1]));
    assert_eq!(against(&[(3, 2, "A")], &both), (0, 0, 0, vec![1]));
    // Retracted: not even with another label, nor with one more hash.
    let gone = index_of([live(&a, 0), ended(&a, 0)].concat());
    for row in [(1, 2, "A"), (1, 2, "B"), (1, 7, "A")] {
        let outcome = ingest(pairs(&[row]), PAIR, &gone, Settings::default());
        assert_eq!(outcome.codes(), [(1, Code::Retracted)]);
        assert!(
            outcome.json[0].contains(r#""action":"not re-added""#),
            "{}",
            outcome.json[0]
        );
        assert_eq!((outcome.accepted(), outcome.summary().refused), (0, 0));
    }
    // Retracted and issued again elsewhere in the log.
    let again = index_of([live(&a, 0), ended(&a, 0), live(&a, 512)].concat());
    assert_eq!(against(&[(1, 2, "A")], &again), (0, 1, 0, vec![]));
    assert_eq!(against(&[(1, 2, "B")], &again), (0, 0, 0, vec![1]));
    // One hash of a retracted entry, another of one in force.
    let mixed = index_of([live(&a, 0), ended(&a, 0), live(&b, 64)].concat());
    assert_eq!(against(&[(3, 2, "A")], &mixed), (0, 0, 0, vec![1]));
}

#[test]
fn checks_that_agree_by_chance_do_not_hide_a_missing_hash() {
    let [a] = <[NewRow; 1]>::try_from(entries(&[(1, 2, "A")])).unwrap();
    let half = index_rows(&a, OWN, 0, RowKind::Fingerprint)
        .drain(..1)
        .collect();
    assert_eq!(against(&[(1, 2, "A")], &index_of(half)), (0, 0, 0, vec![1]));
    // In the file: row 2 has two hashes, and row 1 only the second of them, with one and the same check.
    let folder = tempfile::tempdir().unwrap();
    let mut events = SpillRuns::new(folder.path(), 1 << 10);
    events
        .push(repetition(
            tag(1, 0, 5 << 16).unwrap(),
            tag(2, 1, 5 << 16).unwrap(),
        ))
        .unwrap();
    let mut events = events.finish().unwrap().peekable();
    let head = Head {
        labels: 0,
        row: 2,
        check: 5 << 16,
        hashes: 0b11,
        asked: super::super::row::Asked::Add,
        identity: [0; 16],
    };
    let verdict = Evidence::of(&head, &mut events)
        .unwrap()
        .verdict(head.hashes);
    assert_eq!(verdict, Verdict::OtherRow { row: 1, hash: 1 });
}

#[test]
fn what_other_origins_have_is_no_duplicate() {
    let [a] = <[NewRow; 1]>::try_from(entries(&[(1, 2, "A")])).unwrap();
    let theirs =
        [RowKind::Fingerprint, RowKind::Ended].map(|kind| index_rows(&a, OWN + 1, 0, kind));
    assert_eq!(
        against(&[(1, 2, "A")], &index_of(theirs.concat())),
        (1, 0, 0, vec![])
    );
}

/// After a log was closed its centre goes on in the next line: what stands in the old one is known, what was retracted
/// there stays retracted, and what is void may be put again.
#[test]
fn a_closed_line_of_the_same_centre_is_ones_own_as_far_as_it_stands() {
    let [a] = <[NewRow; 1]>::try_from(entries(&[(1, 2, "A")])).unwrap();
    let closed = OWN + 1;
    // The rows stand in delta 3.
    for (void_from, stands) in [(4, true), (3, false)] {
        let lines = [(OWN, None), (closed, Some(void_from))];
        let lines = lines.map(|(number, void_from)| OwnLine { number, void_from });
        let settings = || Settings {
            lines: Some(lines),
            ..Settings::default()
        };
        let counts = |kind| {
            let index = index_of(index_rows(&a, closed, 0, kind));
            let outcome = ingest(pairs(&[(1, 2, "A")]), PAIR, &index, settings());
            let summary = outcome.summary();
            (summary.accepted, summary.unchanged, summary.retracted)
        };
        let new = (1, 0, 0);
        let known = if stands { (0, 1, 0) } else { new };
        let gone = if stands { (0, 0, 1) } else { new };
        assert_eq!(counts(RowKind::Fingerprint), known, "{void_from}");
        assert_eq!(counts(RowKind::Ended), gone, "{void_from}");
    }
}

#[test]
fn a_repeated_row_of_a_retracted_entry_is_retracted_too() {
    let [a] = <[NewRow; 1]>::try_from(entries(&[(1, 2, "A")])).unwrap();
    let gone = index_of(index_rows(&a, OWN, 0, RowKind::Ended));
    assert_eq!(
        against(&[(1, 2, "A"), (1, 2, "A")], &gone),
        (0, 0, 2, vec![])
    );
}

#[test]
fn new_rows_come_in_the_order_of_the_file_with_their_own_check() {
    let all: Vec<_> = (1..=30)
        .map(|n| (n, n + 100, if n % 2 == 0 { "A" } else { "B" }))
        .collect();
    let rows = entries(&all);
    let known = rows
        .iter()
        .step_by(3)
        .zip(0..)
        .flat_map(|(row, at)| index_rows(row, OWN, at * 64, RowKind::Fingerprint));
    let index = index_of(known.collect());
    let outcome = ingest(pairs(&all), PAIR, &index, Settings::default());
    let left: Vec<_> = rows
        .iter()
        .enumerate()
        .filter(|(n, _)| n % 3 != 0)
        .map(|(_, row)| row.clone())
        .collect();
    assert_eq!(outcome.taken().rows, left);
    for row in &outcome.taken().rows {
        let labels = &outcome.taken().labels[usize::from(row.labels)];
        assert_eq!(
            row.check,
            content_check(
                &index_key(),
                &labels_digest(&index_key(), labels),
                &row.fields
            )
        );
        assert!(row.check <= Value::EXTRA_MAX);
    }
}

#[test]
fn labels_that_no_new_row_has_are_not_listed() {
    let profile = PAIR.replace("hops = 0", "hops = { column = \"label\" }");
    let text = pairs(&[(1, 2, "0"), (3, 4, "1"), (5, 6, "2"), (7, 8, "1")]);
    let rows = into_empty(&text, &profile).result.unwrap().rows;
    let known = index_of(index_rows(&rows[0], OWN, 0, RowKind::Fingerprint));
    let text = format!("{text}{}{}", pair(5, 9, "3"), pair(10, 0, "0")).replacen(",0\n", ",3\n", 1);
    let outcome = ingest(text, &profile, &known, Settings::default());
    assert_eq!(
        outcome.codes(),
        [(1, Code::DuplicateConflict), (5, Code::DuplicateConflict)]
    );
    let taken = outcome.taken();
    let hops: Vec<_> = taken
        .rows
        .iter()
        .map(|row| taken.labels[usize::from(row.labels)].hops)
        .collect();
    assert_eq!((hops, taken.labels.len()), (vec![1, 2, 1, 0], 3));
}

#[test]
fn a_corrupt_index_row_is_an_error_and_not_a_new_entry() {
    let [a] = <[NewRow; 1]>::try_from(entries(&[(1, 2, "A")])).unwrap();
    let mut rows = index_rows(&a, OWN, 0, RowKind::Fingerprint);
    rows[0].value[0] = 9;
    let outcome = ingest(
        pairs(&[(1, 2, "A")]),
        PAIR,
        &index_of(rows),
        Settings::default(),
    );
    assert!(matches!(outcome.result, Err(IngestError::Disk(_))));
}

/// Verdicts by definition, row by row, over maps in memory.
fn by_definition(rows: &[(u64, u64, u8)], index: &[((u64, u64, u8), bool)]) -> Vec<&'static str> {
    let hashes = |(md5, sha1, _): (u64, u64, u8)| {
        [(0, md5), (1, sha1)]
            .into_iter()
            .filter(|(_, n)| *n != 0)
            .collect::<Vec<_>>()
    };
    let mut first: BTreeMap<(u8, u64), (u64, u64, u8)> = BTreeMap::new();
    let mut verdicts = Vec::new();
    for row in rows {
        let earlier: Vec<_> = hashes(*row)
            .iter()
            .filter_map(|hash| first.get(hash))
            .copied()
            .collect();
        let hit = |(entry, _): &&((u64, u64, u8), bool)| {
            hashes(*entry)
                .iter()
                .any(|hash| hashes(*row).contains(hash))
        };
        let hits: Vec<_> = index.iter().filter(hit).collect();
        let live: Vec<_> = hits
            .iter()
            .filter(|(_, ended)| !ended)
            .map(|(entry, _)| *entry)
            .collect();
        verdicts.push(match () {
            () if earlier.iter().any(|other| other != row) => "conflict",
            () if live.contains(row) => "unchanged",
            () if !live.is_empty() => "conflict",
            () if !hits.is_empty() => "retracted",
            () if !earlier.is_empty() => "unchanged",
            () => "new",
        });
        for hash in hashes(*row) {
            first.entry(hash).or_insert(*row);
        }
    }
    verdicts
}

fn some_row() -> impl Strategy<Value = (u64, u64, u8)> {
    (0_u64..8, 0_u64..8, 0_u8..2).prop_filter("a hash", |(md5, sha1, _)| md5 + sha1 > 0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn a_buffer_of_a_few_probes_gives_the_verdicts_of_a_large_one(
        rows in prop::collection::vec(some_row(), 1..60),
        stored in prop::collection::vec((some_row(), any::<bool>()), 0..6),
    ) {
        let label = |n: u8| if n == 0 { "A" } else { "B" };
        let named = |(md5, sha1, n): (u64, u64, u8)| (md5, sha1, label(n));
        let mut known = Vec::new();
        for (offset, (row, ended)) in (0..).zip(&stored) {
            let entry = &entries(&[named(*row)])[0];
            known.extend(index_rows(entry, OWN, offset, RowKind::Fingerprint));
            if *ended {
                known.extend(index_rows(entry, OWN, offset, RowKind::Ended));
            }
        }
        let index = index_of(known);
        let text = pairs(&rows.iter().map(|row| named(*row)).collect::<Vec<_>>());
        let run = |buffer_bytes| {
            let settings = Settings { buffer_bytes: Some(buffer_bytes), ..Settings::default() };
            ingest(&text, PAIR, &index, settings)
        };
        let (tiny, large) = (run(64), run(1 << 20));
        prop_assert_eq!(&tiny.json, &large.json);
        prop_assert_eq!(tiny.summary(), large.summary());
        prop_assert!(tiny.taken().rows == large.taken().rows);
        let verdicts = by_definition(&rows, &stored);
        let count = |verdict| verdicts.iter().filter(|v| **v == verdict).count() as u64;
        let got = large.summary();
        prop_assert_eq!(
            (got.accepted, got.unchanged, got.retracted, got.refused),
            (count("new"), count("unchanged"), count("retracted"), count("conflict"))
        );
        let lines: Vec<_> = (1_u64..).zip(&verdicts).filter_map(|(row, verdict)| match *verdict {
            "conflict" => Some((row, Code::DuplicateConflict)),
            "retracted" => Some((row, Code::Retracted)),
            _ => None,
        }).collect();
        prop_assert_eq!(large.codes(), lines);
    }
}
