use super::*;
use crate::lists::tests::summary;

#[test]
fn every_label_is_known_unknown_and_uncertain_somewhere_and_takes_every_value() {
    let list = Mixed::of("eu");
    type Field = fn(&Case) -> &Words;
    let fields: [(&[&str], Field); 5] = [
        (&MEDIA, |case| &case.media_kind),
        (&CLASS, |case| &case.content_class),
        (&DEPICTION, |case| &case.depiction),
        (&AGE, |case| &case.age_claim),
        (&SELF, |case| &case.self_generated),
    ];
    for (values, field) in fields {
        let sets: BTreeSet<&Words> = list.cases.iter().map(field).collect();
        for value in values {
            assert!(sets.contains(&words(&[value])), "{value} known");
        }
        assert!(sets.contains(&words(values)), "{values:?} unknown");
        let uncertain = |set: &&&Words| set.len() > 1 && set.len() < values.len();
        let some = sets.iter().find(uncertain);
        assert!(values.len() == 2 || some.is_some(), "{values:?} uncertain");
        assert!(sets.iter().all(|set| !set.is_empty()));
    }
    for recipient in RECIPIENTS {
        let only = words(&[recipient]);
        assert!(list.cases.iter().any(|case| case.recipients == only));
    }
    for purpose in PURPOSES {
        let only = words(&[purpose]);
        assert!(list.cases.iter().any(|case| case.purposes == only));
    }
    let any = |holds: &dyn Fn(&Case) -> bool| list.cases.iter().any(holds);
    assert!(any(&|case| case.recipients.is_empty()) && any(&|case| case.purposes.is_empty()));
    assert!(any(&|case| case.residency.is_empty()));
    for state in STATE {
        assert!(any(&|case| case.state == state), "{state}");
    }
    for basis in BASIS {
        assert!(any(&|case| case.legal_basis == basis), "{basis}");
    }
    for tlp in TLP {
        assert!(any(&|case| case.tlp == tlp), "{tlp}");
    }
    for hops in 0..=3 {
        assert!(any(&|case| case.hops == hops), "{hops}");
    }
    for place in PLACES {
        for illegal in [true, false] {
            assert!(any(&|case| case.says(place) == Some(illegal)) || place == "NZ" && illegal);
        }
    }
}

#[test]
fn every_row_is_taken_and_no_case_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let list = Mixed::of("au");
    let written = list.write(folder.path()).unwrap();
    assert_eq!(written.len(), STATUS.len());
    let rows: u64 = written
        .iter()
        .map(|file| {
            let summary = summary(file, "AU", folder.path());
            assert_eq!(summary.accepted, summary.rows, "{}", summary.to_json());
            summary.rows
        })
        .sum();
    assert_eq!(rows, list.entries() as u64);
    let distinct: BTreeSet<&String> = list.cases.iter().flat_map(|case| &case.entries).collect();
    assert_eq!(distinct.len(), list.entries());
}

#[test]
fn list_is_the_same_each_time_and_another_for_another_centre() {
    let cases = |centre| Mixed::of(centre).cases;
    assert_eq!(cases("eu"), cases("eu"));
    assert_ne!(cases("eu"), cases("us"));
}
