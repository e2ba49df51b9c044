//! Look-ups: what is found, and what is wrong with what is found.

use hashpact_protocol::fingerprint::Algorithm;
use hashpact_protocol::record::{Fields, Print};

use super::*;
use crate::store::index::{Row, RowKind, Value};

#[test]
fn a_fingerprint_of_two_centres_is_found_at_both_with_their_labels() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_classes(dir.path());
    commit(
        &store,
        vec![body(&eu(), 0, &[(2, record(1, 1)), (0, record(5, 1))], &[])],
    );
    commit(&store, vec![body(&us(), 7, &[(3, record(1, 1))], &[])]);
    let found = store.lookup(&prints(1)[1]).unwrap();
    let places: Vec<_> = found
        .iter()
        .map(|e| (e.origin.clone(), e.seq, e.class))
        .collect();
    assert_eq!(
        places,
        [(eu(), Seq(0), ClassId(2)), (us(), Seq(7), ClassId(3))]
    );
    for entry in &found {
        assert_eq!(entry.labels, labels(entry.class.0));
        assert_eq!(entry.record, record(1, 1));
    }
    assert!(store.lookup(&prints(2)[0]).unwrap().is_empty());
}

#[test]
fn a_fingerprint_without_a_code_or_switched_off_is_not_found() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_classes(dir.path());
    let named = Fingerprint::new(Algorithm::Other("something".to_owned()), &[7; 20]).unwrap();
    let mut off = Print::plain(prints(2)[0].clone());
    off.disabled = Some(hashpact_protocol::record::DisabledReason::Wrong);
    let mut odd = record(1, 1);
    odd.fields.prints.push(Print::plain(named.clone()));
    odd.fields.prints.push(off);
    commit(&store, vec![body(&us(), 0, &[(0, odd)], &[])]);
    assert!(store.lookup(&named).unwrap().is_empty());
    assert!(store.lookup(&prints(2)[0]).unwrap().is_empty());
    assert_eq!(store.lookup(&prints(1)[0]).unwrap().len(), 1);
}

#[test]
fn records_that_cross_blocks_are_read_whole() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_classes(dir.path());
    // Sixteen opaque values of 1,024 bytes: a record longer than a block.
    let long = |n: u64| {
        let mut long = record(n, 1);
        for m in 1..15_u8 {
            let name = Algorithm::Other(format!("opaque-{m}"));
            let bytes = [n.to_be_bytes().as_slice(), &[m; 1000]].concat();
            long.fields
                .prints
                .push(Print::plain(Fingerprint::new(name, &bytes).unwrap()));
        }
        (0, long)
    };
    let records: Vec<_> = (0..9).map(long).collect();
    commit(&store, vec![body(&us(), 0, &records, &[])]);
    for (n, (_, record)) in (0..).zip(&records) {
        assert_eq!(store.lookup(&prints(n)[0]).unwrap()[0].record, *record);
    }
    let list = records.iter().map(|(_, record)| record.entry);
    let list = list
        .map(|entry| Retraction {
            entry,
            revision: Revision(1),
        })
        .collect();
    commit(
        &store,
        vec![Write::Retractions {
            origin: us(),
            seq: Seq(1),
            list,
        }],
    );
    assert_eq!(held_and_retracted(&store, &us()), (0, 9));
}

#[test]
fn a_row_that_leads_to_another_record_is_an_error_and_no_answer() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_classes(dir.path());
    commit(&store, vec![body(&us(), 0, &[(0, record(1, 1))], &[])]);
    let key = index::keys::fingerprint_key(store.index_key(), &prints(1)[0]).unwrap();
    let value = Value::decode(&store.index().find(&key).unwrap().values[0]).unwrap();
    let wrong = index::keys::fingerprint_key(store.index_key(), &prints(2)[0]).unwrap();
    let add = |key, value: Value| {
        let rows = vec![Row {
            key,
            value: value.encode().unwrap(),
        }];
        let (entry, segment) = store.write_segment(Family::Places, rows).unwrap().unwrap();
        let mut live = store.live_mut();
        let places = live.places.with(entry.id, segment).unwrap();
        live.places = places;
    };
    add(wrong, value);
    let error = store.lookup(&prints(2)[0]).unwrap_err();
    assert!(
        matches!(error, LookupError::OtherRecord { seq: Seq(0), .. }),
        "{error:?}"
    );
    // Between two records, and beyond all of them.
    for (n, offset) in [(3, value.offset + 1), (4, 1 << 30)] {
        let wrong = index::keys::fingerprint_key(store.index_key(), &prints(n)[0]).unwrap();
        add(wrong, Value { offset, ..value });
        let error = store.lookup(&prints(n)[0]).unwrap_err();
        assert!(matches!(error, LookupError::Body(_)), "{error:?}");
    }
    let wrong = index::keys::fingerprint_key(store.index_key(), &prints(5)[0]).unwrap();
    add(
        wrong,
        Value {
            origin: 77,
            ..value
        },
    );
    let error = store.lookup(&prints(5)[0]).unwrap_err();
    assert!(
        matches!(error, LookupError::Origin { number: 77 }),
        "{error:?}"
    );
    assert_eq!(value.kind, RowKind::Fingerprint);
}

#[test]
fn a_damaged_body_is_named_when_it_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_classes(dir.path());
    let records: Vec<_> = (0..30).map(|n| (0, record(n, 1))).collect();
    commit(&store, vec![body(&us(), 2, &records, &[])]);
    drop(store);
    let path = dir.path().join("bodies/us.example_us_1/0/2.body");
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let store = open(dir.path());
    let error = store.lookup(&prints(1)[0]).unwrap_err();
    assert!(
        error.to_string().contains("delta 2 of us.example/us/1"),
        "{error}"
    );
}

#[test]
fn neither_debug_nor_errors_show_a_fingerprint() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_classes(dir.path());
    commit(&store, vec![body(&us(), 0, &[(0, record(1, 1))], &[])]);
    let found = store.lookup(&prints(1)[0]).unwrap();
    let hex: String = prints(1)[0]
        .bytes()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    let shown = format!("{found:?}");
    assert!(
        !shown.contains(&hex) && !shown.contains("Fields"),
        "{shown}"
    );
    assert_ne!(found[0].record.fields, Fields::default());
}

#[test]
fn more_bodies_than_are_kept_open_are_all_found() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_classes(dir.path());
    let count = 300;
    let bodies = (0..count).map(|n| body(&us(), n, &[(0, record(n, 1))], &[]));
    commit(&store, bodies.collect());
    for _ in 0..2 {
        assert_eq!(answers(&store, count).len(), 300);
    }
}

#[test]
fn a_log_that_repeats_a_fingerprint_hides_no_other_logs_entry() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_classes(dir.path());
    // More places than a look-up reads at once, each of them ended, in the log with the lower number.
    let count = u64::try_from(crate::store::index::MAX_HITS).unwrap() + 8;
    let numbered = |n: u64| Record {
        entry: entry(1_000 + n),
        ..record(7, 1)
    };
    let records: Vec<_> = (0..count).map(|n| (0, numbered(n))).collect();
    let mut ended: Vec<_> = (0..count).map(|n| retraction(1_000 + n, 1)).collect();
    ended.sort_unstable();
    commit(&store, vec![body(&eu(), 0, &records, &[])]);
    commit(&store, vec![body(&eu(), 1, &[], &ended)]);
    commit(&store, vec![body(&us(), 0, &[(0, record(7, 1))], &[])]);
    let found = store.lookup(&prints(7)[0]).unwrap();
    let live: Vec<_> = found.iter().filter(|found| !found.retracted).collect();
    assert_eq!(live.len(), 1);
    assert_eq!((&live[0].origin, live[0].record.entry), (&us(), entry(7)));
    assert!(found.len() <= 65);
}
