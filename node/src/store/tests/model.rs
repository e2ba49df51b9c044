//! The store on a disk and the one in memory, which the core is tested with, under the same sequences of changes.

use hashpact_protocol::testing::memory::Memory;
use proptest::prelude::*;

use super::*;

const DELTAS: u64 = 3;
const PER_DELTA: u64 = 8;
const CLASSES: u16 = 3;

/// One step. Masks choose classes or records of a delta.
#[derive(Clone, Copy, Debug)]
enum Step {
    Widen { seq: u64, withheld: u8 },
    Narrow { seq: u64, classes: u8 },
    Purge { seq: u64, records: u8 },
    Maintain,
    Restart,
    Rebuild,
}

fn steps() -> impl Strategy<Value = Step> {
    let seq = 0..DELTAS;
    prop_oneof![
        3 => (seq.clone(), 0..8_u8).prop_map(|(seq, withheld)| Step::Widen { seq, withheld }),
        3 => (seq.clone(), 0..8_u8).prop_map(|(seq, classes)| Step::Narrow { seq, classes }),
        3 => (seq, any::<u8>()).prop_map(|(seq, records)| Step::Purge { seq, records }),
        1 => Just(Step::Maintain),
        1 => Just(Step::Restart),
        1 => Just(Step::Rebuild),
    ]
}

fn records_of(seq: u64) -> Vec<(u16, Record)> {
    (seq * PER_DELTA..(seq + 1) * PER_DELTA)
        .map(|n| (u16::try_from(n % u64::from(CLASSES)).unwrap(), record(n, 1)))
        .collect()
}

/// Each delta ends two records of the one before it, and one that nobody has.
fn retractions_of(seq: u64) -> Vec<Retraction> {
    match seq {
        0 => Vec::new(),
        seq => [(seq - 1) * PER_DELTA, seq * PER_DELTA - 1, 1000 + seq]
            .map(|n| retraction(n, 1))
            .into(),
    }
}

fn masked(mask: u8) -> impl Fn(&u64) -> bool {
    move |at| mask >> at & 1 == 1
}

fn classes_of(mask: u8) -> Vec<u16> {
    let classes = (0..u64::from(CLASSES)).filter(masked(mask));
    classes.map(|class| u16::try_from(class).unwrap()).collect()
}

fn change(step: Step) -> Option<Write> {
    Some(match step {
        Step::Widen { seq, withheld } => {
            let withheld = classes_of(withheld);
            let (records, retractions) = (records_of(seq), retractions_of(seq));
            Write::Widen(admitted(&us(), seq, &records, &retractions, &withheld))
        }
        Step::Narrow { seq, classes } => Write::Narrow {
            origin: us(),
            seq: Seq(seq),
            classes: classes_of(classes).into_iter().map(ClassId).collect(),
        },
        Step::Purge { seq, records } => Write::Purge {
            origin: us(),
            seq: Seq(seq),
            entries: (0..PER_DELTA)
                .filter(masked(records))
                .map(|at| entry(seq * PER_DELTA + at))
                .collect(),
        },
        Step::Maintain | Step::Restart | Step::Rebuild => return None,
    })
}

/// A log of three deltas whose bodies are stored, the classes of `withheld` (a mask for each delta) left out.
fn begin(withheld: [u8; 3]) -> Vec<Vec<Write>> {
    let tables = (0..DELTAS).map(|seq| {
        let sealed = sealed(&us(), seq, &records_of(seq), &retractions_of(seq));
        delta_leaf(&us(), seq, sealed.table)
    });
    let leaves: Vec<_> = tables.collect();
    let grown = grow(&|_: &str| None, 0, &leaves).unwrap();
    let state = |applied| Write::State {
        origin: us(),
        state: LogState {
            size: grown.size,
            root: grown.root,
            applied: Seq(applied),
            retracted: Seq(applied),
            ..LogState::default()
        },
    };
    let classes = (0..CLASSES).map(|class| (ClassId(class), labels(class)));
    let log = Write::Log {
        origin: us(),
        from: 0,
        files: grown.files.clone(),
        deltas: (0..DELTAS).map(|seq| (Seq(seq), seq)).collect(),
        classes: classes.collect(),
        policies: Vec::new(),
        manifests: Vec::new(),
    };
    let mut batches = vec![vec![log, state(0)]];
    for (seq, withheld) in (0..DELTAS).zip(withheld) {
        let withheld = classes_of(withheld);
        let body = admitted(
            &us(),
            seq,
            &records_of(seq),
            &retractions_of(seq),
            &withheld,
        );
        batches.push(vec![Write::Body(body), state(seq + 1)]);
    }
    batches
}

/// What both say of every delta and every record.
fn check(store: &Store, memory: &Memory) {
    for seq in 0..DELTAS {
        let (origin, seq) = (us(), Seq(seq));
        assert_eq!(store.holdings(&origin, seq), memory.holdings(&origin, seq));
        let served = store.served_body(&origin, seq).unwrap().unwrap();
        let sections = served.sections().into_iter();
        let bytes: Vec<_> = sections
            .flat_map(|class| served.section(class).unwrap())
            .collect();
        assert!(Some(bytes) == memory.body(&origin, seq), "body of {seq}");
    }
    let live = memory.live(&us());
    for n in 0..DELTAS * PER_DELTA {
        let is_live = live.contains_key(&entry(n));
        let stored = store.lookup_entry(&us(), entry(n)).unwrap();
        let is_match = stored.as_ref().is_some_and(FoundEntry::is_match);
        assert_eq!(is_match, is_live, "entry {n}");
        for print in prints(n) {
            let found = store.lookup(&print).unwrap();
            assert_eq!(found.len(), usize::from(stored.is_some()), "print of {n}");
            assert_eq!(found.iter().any(FoundEntry::is_match), is_live);
        }
    }
    assert_eq!(store.counts()[&us()].held, live.len() as u64);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn the_store_and_the_one_in_memory_agree_after_every_change(
        withheld in prop::array::uniform3(0..8_u8),
        steps in prop::collection::vec(steps(), 1..12),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut memory = Memory::default();
        let mut store = open(dir.path());
        for (batch, same) in begin(withheld).into_iter().zip(begin(withheld)) {
            memory.apply(testing::batch(batch)).unwrap();
            commit(&store, same);
        }
        check(&store, &memory);
        for step in steps {
            match step {
                Step::Maintain => drop(store.maintain().unwrap()),
                Step::Rebuild => store.rebuild_index(&mut |_| {}).unwrap(),
                Step::Restart => {
                    drop(store);
                    store = open(dir.path());
                }
                Step::Widen { .. } | Step::Narrow { .. } | Step::Purge { .. } => {
                    memory.apply(testing::batch(change(step).into_iter().collect())).unwrap();
                    commit(&store, change(step).into_iter().collect());
                }
            }
            check(&store, &memory);
        }
    }
}
