//! Any one flipped bit of anything that an audit reads is found.

use hashpact_protocol::audit::{Finding, Place};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use hashpact_protocol::testing::published::Published;

/// What of a published log can be damaged.
enum Part {
    Roster(usize),
    Checkpoint,
    History,
    File(String),
}

fn bytes<'a>(published: &'a mut Published, part: &Part) -> &'a mut Vec<u8> {
    match part {
        Part::Roster(at) => &mut published.roster_files[*at],
        Part::Checkpoint => published.checkpoint.as_mut().unwrap(),
        Part::History => &mut published.history,
        Part::File(path) => published.files.get_mut(path).unwrap(),
    }
}

/// A log over a change of roster, in a full and a partial tile, and every part of it that is read.
fn whole() -> (Published, Vec<Part>) {
    let mut published = Published::with_deltas(252);
    published.next_roster(|_| {});
    let leaf = published.roster_leaf(1);
    published.append(&[leaf]);
    for _ in 0..3 {
        let table = hashpact_protocol::testing::published::table(2, 0);
        let mut header = published.forge.header(&table);
        header.roster_version = published.rosters[1].roster().version;
        let leaf = published.forge.delta(&header, &table);
        published.append(&[leaf]);
    }
    published.publish();
    let audit = published.audit();
    assert_eq!(audit.found(), []);
    let rosters = (0..2).map(Part::Roster);
    let files = audit.read.into_iter().map(Part::File);
    let parts = rosters
        .chain([Part::Checkpoint, Part::History])
        .chain(files);
    (published, parts.collect())
}

fn names_something(finding: &Finding) -> bool {
    finding.log.is_some() || matches!(finding.place, Place::Roster(_))
}

#[test]
fn any_flipped_bit_is_found() {
    let (published, parts) = whole();
    assert_eq!(parts.len(), 9);
    for (number, part) in parts.iter().enumerate() {
        // A runner counts its cases over all runs.
        let mut runner = TestRunner::new(ProptestConfig {
            cases: 40,
            failure_persistence: None,
            ..ProptestConfig::default()
        });
        let len = bytes(&mut published.clone(), part).len();
        runner
            .run(&(0..len, 0_u8..8), |(at, bit)| {
                let mut damaged = published.clone();
                bytes(&mut damaged, part)[at] ^= 1 << bit;
                let findings = damaged.audit().findings;
                prop_assert!(
                    findings.iter().any(names_something),
                    "part {number}, byte {at}"
                );
                Ok(())
            })
            .unwrap();
    }
}

#[test]
fn every_flipped_bit_of_a_checkpoint_and_a_roster_is_found() {
    let published = Published::new();
    for part in [Part::Roster(0), Part::Checkpoint] {
        let len = bytes(&mut published.clone(), &part).len();
        for at in 0..len {
            // Every bit of every byte is a matter of minutes; each byte loses a bit that its place chooses.
            let mut damaged = published.clone();
            bytes(&mut damaged, &part)[at] ^= 1 << (at % 8);
            assert!(!damaged.audit().findings.is_empty(), "byte {at}");
        }
    }
}
