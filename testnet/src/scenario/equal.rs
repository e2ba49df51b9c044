//! Whether centres hold the same.

use hashpact_node::daemon::Status;

use crate::outcome::logs;

pub(super) fn held_of(status: &Status, centre: &str) -> u64 {
    logs(status)
        .filter(|log| log.centre == centre)
        .map(|log| log.held)
        .sum()
}

/// Whether every centre mirrors every log to its end, has applied every delta, and holds as many entries of each origin as
/// the origin does.
pub(super) fn all_equal(statuses: &[Status]) -> bool {
    statuses.iter().all(|origin| {
        let own = &origin.own;
        let others = statuses
            .iter()
            .filter(|status| status.centre != origin.centre);
        own.size > 1
            && others.into_iter().all(|status| {
                status.mirrored.iter().any(|log| {
                    log.origin == own.origin
                        && (log.size, log.applied, log.held, log.retracted)
                            == (own.size, own.applied, own.held, own.retracted)
                })
            })
    })
}

pub(super) fn holdings(statuses: &[Status]) -> String {
    let one = |status: &Status| {
        let held: u64 = logs(status).map(|log| log.held).sum();
        format!("{} {held}", status.centre)
    };
    format!(
        "entries held: {}",
        statuses.iter().map(one).collect::<Vec<_>>().join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::tests::{log, status};

    /// Two centres that hold the same.
    fn equal() -> [Status; 2] {
        [
            status(log("eu", 4), vec![log("us", 6)]),
            status(log("us", 6), vec![log("eu", 4)]),
        ]
    }

    #[test]
    fn centres_that_hold_the_same_are_equal() {
        assert!(all_equal(&equal()));
        // What is on its way to be signed or seen does not count, nor what a mirror believes is still to come.
        let mut more = equal();
        more[0].mirrored[0].head += 1;
        assert!(all_equal(&more));
    }

    #[test]
    fn any_difference_is_noticed() {
        type Change = fn(&mut [Status; 2]);
        let changes: [(&str, Change); 10] = [
            ("a log mirrored in part", |all| all[0].mirrored[0].size -= 1),
            ("a delta not applied", |all| all[1].mirrored[0].applied -= 1),
            ("an entry not held", |all| all[1].mirrored[0].held -= 1),
            ("an entry too many", |all| all[1].mirrored[0].held += 1),
            ("a retraction not applied", |all| all[0].own.retracted += 1),
            ("a log not mirrored", |all| all[0].mirrored.clear()),
            ("another log of that centre", |all| {
                all[0].mirrored[0].origin.push('0')
            }),
            ("an origin that grew", |all| all[1].own.size += 1),
            ("an origin without a list", |all| {
                all[0].own = log("eu", 1);
                all[1].mirrored[0] = log("eu", 1);
            }),
            ("an origin that shrank", |all| all[0].own.size -= 1),
        ];
        for (what, change) in changes {
            let mut all = equal();
            change(&mut all);
            assert!(!all_equal(&all), "{what}");
        }
    }

    #[test]
    fn every_pair_counts() {
        let of =
            |own: &str, others: [&str; 2]| status(log(own, 3), others.map(|id| log(id, 3)).into());
        let mut all = [
            of("ca", ["eu", "us"]),
            of("eu", ["ca", "us"]),
            of("us", ["ca", "eu"]),
        ];
        assert!(all_equal(&all));
        all[2].mirrored[1].held -= 1;
        assert!(!all_equal(&all));
        assert_eq!(holdings(&all), "entries held: ca 6, eu 6, us 5");
    }

    #[test]
    fn holdings_are_counted_by_origin() {
        let [eu, us] = equal();
        assert_eq!(
            (held_of(&eu, "eu"), held_of(&eu, "us"), held_of(&us, "nz")),
            (3, 5, 0)
        );
    }
}
