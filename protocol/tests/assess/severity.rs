//! All 2,187 feature tuples against the words of domain 2.2, and against what each unknown could be.

use hashpact_protocol::assess::{Severity, severity};
use hashpact_protocol::lists::Set;
use hashpact_protocol::record::Flag;

use Flag::{No, Unknown, Yes};

/// Every tuple of activity, penetrative, animal, violence, focus, pose, nudity.
fn all() -> impl Iterator<Item = [Flag; 7]> {
    (0..3_usize.pow(7)).map(|mut n| {
        [(); 7].map(|()| {
            let flag = [Yes, No, Unknown][n % 3];
            n /= 3;
            flag
        })
    })
}

/// The tier of a tuple in which nothing is unknown.
fn tier([activity, penetrative, animal, violence, focus, pose, _]: [Flag; 7]) -> Severity {
    match (activity, focus, pose) {
        _ if [penetrative, animal, violence].contains(&Yes) => Severity::S1,
        (Yes, ..) => Severity::S2,
        (No, No, No) => Severity::S0,
        _ => Severity::S3,
    }
}

#[test]
fn every_tuple_has_the_tiers_that_the_domain_says() {
    let mut seen = [0; 6];
    for tuple in all() {
        let [activity, penetrative, animal, violence, focus, pose, _] = tuple;
        let grave = [penetrative, animal, violence];
        let (row, expected) = if grave.contains(&Yes) {
            (0, "S1")
        } else if activity == Yes && grave == [No; 3] {
            (1, "S2")
        } else if activity == Yes && grave.contains(&Unknown) {
            (2, "S1 S2")
        } else if activity == No && (focus == Yes || pose == Yes) {
            (3, "S3")
        } else if activity == No && grave == [No; 3] && focus == No && pose == No {
            (4, "S0")
        } else {
            (5, "S0 S1 S2 S3")
        };
        seen[row] += 1;
        let names: Vec<_> = severity(&tuple).names().collect();
        assert_eq!(names.join(" "), expected, "{tuple:?}");
    }
    // 3 * (27 - 8) * 27 hold one of the grave three; what is left of 3^7 is counted by hand.
    assert_eq!(seen, [1_539, 27, 189, 120, 3, 309]);
}

#[test]
fn no_tier_that_an_unknown_could_mean_is_left_out() {
    for tuple in all() {
        let tiers = severity(&tuple);
        for world in all().filter(|world| !world.contains(&Unknown)) {
            let is_possible = tuple
                .iter()
                .zip(&world)
                .all(|(said, is)| said == is || *said == Unknown);
            // Without an activity there is none of its forms, unless somebody says so.
            let is_sane = world[0] == Yes
                || tuple[0] != No
                || world[1..4] == [No; 3]
                || tuple[1..4].contains(&Yes);
            let tier = tier(world);
            assert!(
                !is_possible || !is_sane || tiers.contains(tier),
                "{tuple:?} {tier:?}"
            );
        }
    }
    assert_eq!(severity(&[Unknown; 7]), Set::full());
}
