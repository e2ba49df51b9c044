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

/// The log stands so.
fn stand(store: &Store, origin: &Origin, change: impl FnOnce(&mut LogState)) {
    let (origin, mut state) = (origin.clone(), store.log(origin));
    change(&mut state);
    commit(store, vec![Write::State { origin, state }]);
}

/// Whether records 0, 1 and 2, of the deltas of their numbers, count; by their fingerprints as by their ids.
fn standings(store: &Store, origin: &Origin) -> [Standing; 3] {
    [0, 1, 2].map(|n| {
        let by_id = store.lookup_entry(origin, entry(n)).unwrap().unwrap();
        for print in prints(n) {
            let found = store.lookup(&print).unwrap();
            let found = found.iter().find(|found| found.origin == *origin);
            assert_eq!(*found.unwrap(), by_id);
        }
        assert_eq!(by_id.seq, Seq(n));
        by_id.standing
    })
}

/// One record in each of three deltas of two logs, this node's own and another's.
fn with_deltas(dir: &Path) -> Store {
    let store = with_classes(dir);
    for origin in [eu(), us()] {
        let bodies = (0..3).map(|n| body(&origin, n, &[(0, record(n, 1))], &[]));
        commit(&store, bodies.collect());
        stand(&store, &origin, |state| state.witnessed_seq = Seq(2));
    }
    store
}

#[test]
fn an_own_entry_is_pending_until_its_delta_is_witnessed_and_anothers_never() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_deltas(dir.path());
    let in_force = Standing::InForce;
    let pending = [in_force, in_force, Standing::Pending];
    assert_eq!(standings(&store, &eu()), pending);
    assert_eq!(standings(&store, &us()), [in_force; 3]);
    // It is shown, and a match here.
    assert!(store.lookup(&prints(2)[0]).unwrap()[0].is_match());
    drop(store);
    let store = open(dir.path());
    assert_eq!(standings(&store, &eu()), pending);
    stand(&store, &eu(), |state| state.witnessed_seq = Seq(3));
    assert_eq!(standings(&store, &eu()), [in_force; 3]);
}

#[test]
fn entries_beyond_the_common_part_of_a_frozen_log_are_void_and_no_match() {
    for origin in [eu(), us()] {
        let dir = tempfile::tempdir().unwrap();
        let store = with_deltas(dir.path());
        stand(&store, &origin, |state| {
            (state.frozen, state.witnessed_seq) = (Some(7), Seq(1));
        });
        let void = Standing::Void { frozen: 7 };
        assert_eq!(standings(&store, &origin), [Standing::InForce, void, void]);
        let found = |n: u64| {
            let found = store.lookup(&prints(n)[0]).unwrap();
            let found = found.into_iter().map(|e| (e.origin.clone(), e.is_match()));
            found.collect::<BTreeMap<_, _>>()
        };
        for n in [1, 2] {
            // The other log states the same, and is not in dispute.
            let expected = [eu(), us()].map(|log| (log.clone(), log != origin));
            assert_eq!(found(n), BTreeMap::from(expected), "{origin}: {n}");
        }
        assert!(found(0)[&origin]);
        // A retraction acts beyond the common part as well, and below it.
        let list = vec![retraction(0, 1), retraction(1, 1)];
        let (line, seq) = (origin.clone(), Seq(9));
        commit(
            &store,
            vec![Write::Retractions {
                origin: line,
                seq,
                list,
            }],
        );
        let entry = |n| store.lookup_entry(&origin, entry(n)).unwrap().unwrap();
        assert!(entry(0).retracted && !entry(0).is_match());
        assert!(entry(1).retracted && entry(1).standing == void);
        drop(store);
        let store = open(dir.path());
        assert_eq!(standings(&store, &origin), [Standing::InForce, void, void]);
    }
}

#[test]
fn entries_of_a_log_that_was_closed_keep_their_answer() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_deltas(dir.path());
    for origin in [eu(), us()] {
        stand(&store, &origin, |state| state.frozen = Some(9));
    }
    drop(store);
    // This node goes on in its next line, and no roster names the two logs any more.
    let keys = StoreKeys {
        seal: SealKey::new(&[1; 32]),
        index: IndexKey::new(&[2; 32]),
    };
    let next = eu().next_epoch().unwrap();
    let store = Store::open(dir.path(), keys, next.clone(), Steps::default()).unwrap();
    commit(&store, grown(&store, &next, &leaves(2), &[0]));
    let void = Standing::Void { frozen: 9 };
    for origin in [eu(), us()] {
        assert_eq!(
            standings(&store, &origin),
            [Standing::InForce, Standing::InForce, void]
        );
    }
}

#[test]
fn many_look_ups_answer_what_each_alone_does_in_the_order_of_the_asking() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_classes(dir.path());
    let records =
        |from: u64, to: u64| -> Vec<_> { (from..to).map(|n| (0, record(n, 1))).collect() };
    commit(&store, vec![body(&us(), 0, &records(0, 60), &[])]);
    commit(
        &store,
        vec![body(&us(), 1, &records(50, 80), &[retraction(7, 1)])],
    );
    commit(&store, vec![body(&eu(), 0, &records(10, 20), &[])]);
    // Not in the order of the disk, some twice, some of nothing.
    let asked = (0..100_u64).map(|n| n * 63 % 101).chain([5, 5, 7]);
    let asked: Vec<Fingerprint> = asked.flat_map(prints).collect();
    let many = store.lookup_many(&asked).unwrap();
    assert_eq!(many.len(), asked.len());
    for (print, found) in asked.iter().zip(&many) {
        assert_eq!(*found, store.lookup(print).unwrap());
    }
    assert!(many.iter().any(|found| found.len() == 2));
    assert!(many.iter().flatten().any(|found| found.retracted));
    assert!(store.lookup_many(&[]).unwrap().is_empty());
}
