//! Terms of matching: what a grant says, what several say together, and what is refused.

use std::sync::Arc;

use proptest::prelude::*;

use super::{FACTS, NOW, centre, list};
use crate::labels::Purpose;
use crate::lists::Set;
use crate::policy::*;

const CEDAR: &str = "";
const GRANT: &str = r#"
[[grant]]
id = "ID"
with = { jurisdiction = "CA" }
actions = ACTIONS
purposes = ["triage"]
basis = "agreement"
document = "synthetic agreement 2"
issuer = "synthetic issuer"
from = 2026-01-01
until = UNTIL
MATCH
"#;

fn grant(id: &str, actions: &str, until: &str, matching: &str) -> String {
    let text = GRANT.replace("ID", id).replace("ACTIONS", actions);
    text.replace("UNTIL", until).replace("MATCH", matching)
}

fn read(grants: &str) -> Result<Profile, Vec<PolicyFault>> {
    Profile::from_files(&[
        ("profile.toml".to_owned(), format!("{FACTS}{grants}")),
        ("release.cedar".to_owned(), CEDAR.to_owned()),
    ])
}

fn profile(grants: &str) -> Profile {
    read(grants).unwrap_or_else(|faults| panic!("{}", list(&faults)))
}

fn terms(profile: &Profile) -> MatchTerms {
    profile.match_terms(&centre("ca"), Purpose::Triage, NOW)
}

/// The one fault of a grant, as people read it.
fn fault(actions: &str, matching: &str) -> String {
    let faults = read(&grant("g", actions, "2027-01-01", matching)).expect_err("a fault");
    list(&faults)
}

const BOTH: &str = r#"["match", "reveal"]"#;

#[test]
fn a_grant_that_says_nothing_of_modes_gives_none() {
    let silent = profile(&grant("g", BOTH, "2027-01-01", ""));
    assert_eq!(terms(&silent), MatchTerms::NONE);
    let said = profile(&grant(
        "g",
        BOTH,
        "2027-01-01",
        r#"match = { modes = ["items", "count"], per_day = 1_000 }"#,
    ));
    let modes = Set::of(&[MatchMode::Items, MatchMode::Count]);
    assert_eq!(
        terms(&said),
        MatchTerms {
            modes,
            per_day: 1_000
        }
    );
    // For another purpose, or with somebody else, it says nothing.
    assert_eq!(
        said.match_terms(&centre("ca"), Purpose::Remove, NOW),
        MatchTerms::NONE
    );
    assert_eq!(
        said.match_terms(&centre("us"), Purpose::Triage, NOW),
        MatchTerms::NONE
    );
}

#[test]
fn terms_end_with_their_grant_and_open_ones_are_joined() {
    let ended = grant(
        "old",
        BOTH,
        "2026-03-01",
        r#"match = { modes = ["labels"], per_day = 9_000 }"#,
    );
    let small = grant(
        "a",
        BOTH,
        "2027-01-01",
        r#"match = { modes = ["count"], per_day = 10 }"#,
    );
    let large = grant(
        "b",
        BOTH,
        "2027-01-01",
        r#"match = { modes = ["items"], per_day = 500 }"#,
    );
    let modes = Set::of(&[MatchMode::Items, MatchMode::Count]);
    let all = terms(&profile(&[ended, small, large].concat()));
    assert_eq!(
        all,
        MatchTerms {
            modes,
            per_day: 500
        }
    );
}

#[test]
fn terms_that_a_grant_cannot_carry_are_refused_with_their_line() {
    for (actions, matching, line, said) in [
        (
            r#"["share"]"#,
            r#"match = { modes = ["count"], per_day = 1 }"#,
            29,
            "the actions match and reveal",
        ),
        (
            r#"["match"]"#,
            // A client that does not keep to the protocol learns from it which items match.
            r#"match = { modes = ["count"], per_day = 1 }"#,
            29,
            "the actions match and reveal",
        ),
        (
            BOTH,
            "match = { modes = [], per_day = 1 }",
            29,
            "one or more values",
        ),
        (
            BOTH,
            r#"match = { modes = ["items", "items"], per_day = 1 }"#,
            29,
            "each once",
        ),
        (
            BOTH,
            r#"match = { modes = ["item"], per_day = 1 }"#,
            29,
            "a mode of matching",
        ),
        (
            BOTH,
            r#"match = { modes = ["items"], per_day = 0 }"#,
            29,
            "1 to 16000000",
        ),
        (
            BOTH,
            r#"match = { modes = ["items"], per_day = 16_000_001 }"#,
            29,
            "1 to 16000000",
        ),
        (BOTH, r#"match = { modes = ["items"] }"#, 29, "per_day"),
        (
            BOTH,
            r#"match = { modes = ["items"], per_day = 1, per_hour = 1 }"#,
            29,
            "per_hour",
        ),
    ] {
        let fault = fault(actions, matching);
        assert!(
            fault.starts_with(&format!("profile.toml:{line}:")),
            "{fault}"
        );
        assert!(fault.contains(said), "{fault}");
        assert_eq!(fault.lines().count(), 1, "{fault}");
    }
}

fn logged(index: u64, profile: Option<Profile>) -> Logged {
    Logged {
        index,
        issued_at: NOW,
        profile: profile.map(Arc::new),
    }
}

#[test]
fn a_newer_document_narrows_terms_at_once_and_widens_none() {
    let with = |matching| profile(&grant("g", BOTH, "2027-01-01", matching));
    let wide = r#"match = { modes = ["items", "labels", "count"], per_day = 100 }"#;
    let narrow = r#"match = { modes = ["count"], per_day = 1_000 }"#;
    let later = Timestamp::new(NOW.get() + 24 * 3_600);
    let asked = |documents: &[Logged]| {
        let law = InForce::of(documents, 1, later, Fallback::Closed);
        law.match_terms(&centre("ca"), Purpose::Triage, later)
    };
    let count = Set::of(&[MatchMode::Count]);
    // The second one is witnessed by nobody: both count.
    let both = asked(&[logged(0, Some(with(wide))), logged(1, Some(with(narrow)))]);
    assert_eq!(
        both,
        MatchTerms {
            modes: count,
            per_day: 100
        }
    );
    // One that nobody can read gives nothing; and without a mature one there is nothing either.
    let unread = asked(&[logged(0, Some(with(wide))), logged(1, None)]);
    assert_eq!(unread, MatchTerms::NONE);
    assert_eq!(asked(&[logged(1, Some(with(wide)))]), MatchTerms::NONE);
    let open = InForce::of(&[], 0, later, Fallback::Open);
    assert_eq!(
        open.match_terms(&centre("ca"), Purpose::Triage, later),
        MatchTerms::NONE
    );
}

#[test]
fn every_profile_that_lets_somebody_match_says_how() {
    for name in crate::testing::policies::PROFILES {
        for grant in crate::testing::policies::profile(name).grants() {
            let may = grant.actions.contains(Action::Match);
            assert_eq!(grant.matching.is_some(), may, "{name}: {}", grant.id);
        }
    }
}

proptest! {
    /// Whatever terms meet: together two grants give no less than either, two documents no more.
    #[test]
    fn grants_add_and_documents_limit(a in 0..8_u64, b in 0..8_u64, x in 0..9_u64, y in 0..9_u64) {
        let terms = |bits, per_day| MatchTerms { modes: Set::from_bits(bits).unwrap(), per_day };
        let (one, two) = (terms(a, x), terms(b, y));
        prop_assert_eq!(one.or(two), terms(a | b, x.max(y)));
        prop_assert_eq!(one.and(two), terms(a & b, x.min(y)));
    }
}
