use super::*;
use crate::matching::client::{CheckedGroup, CheckedSession, ListSummary};

fn report(mode: &str) -> CheckReport {
    let check = Checked {
        centre: "eu".to_owned(),
        origin: "eu.example/eu/1".to_owned(),
        kind: "pdq".to_owned(),
        mode: mode.to_owned(),
        epoch: 3,
        manifest: 12,
        leaf: 4_711,
        witnessed_at: Some(1_800_000_000),
        values: 10_000,
        matches: 137,
        groups: vec![CheckedGroup {
            unopened: 0,
            group: 5,
            classes: 2,
            held: 1_000_000,
            matches: (mode != "count").then_some(137),
        }],
        session: Some(CheckedSession {
            id: "0a".repeat(16),
            charged: 10_000,
            random: 0,
            used: 20_000,
            per_day: 1_000_000,
        }),
    };
    CheckReport {
        centre: "eu".to_owned(),
        mode: mode.to_owned(),
        purpose: "detect".to_owned(),
        list: ListSummary {
            lines: 10_009,
            blank: 8,
            guarded: 1,
            guarded_lines: vec![17],
            values: 10_000,
        },
        checks: vec![check],
    }
}

#[test]
fn the_answer_names_lines_group_epoch_and_cost_and_what_it_does_not_mean() {
    let found = Found {
        kind: "pdq".to_owned(),
        group: 5,
        label: None,
        lines: (1..=137).collect(),
    };
    let text = text(&report("items"), &[found], None);
    for told in [
        "137 of 10,000 values are held by eu",
        "epoch 3, manifest 12 (leaf 4711), witnessed 2027-01-15",
        "group 5 (2 classes, 1,000,000 held): 137 match",
        "lines 1, 2, 3,",
        "and 97 more (--out, --json)",
        "charged 10,000; 20,000 of 1,000,000 used today",
        "8 blank lines",
        "digest of the empty file, and were not asked about: 17",
        "No known match is not \"clean\"",
        "near matches are not found this way",
        "one in 2^40",
    ] {
        assert!(text.contains(told), "{told}: {text}");
    }
}

#[test]
fn a_count_says_whom_it_trusts_and_names_no_line() {
    let text = text(&report("count"), &[], None);
    assert!(text.contains("it is trusted to follow the protocol") && !text.contains("    lines "));
    assert!(!text.contains("2^40"), "{text}");
}
