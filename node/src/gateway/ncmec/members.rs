//! The whole numbers under which centres and members stand in this shape.
//!
//! Why not counted: a client keeps `{memberId}-{entryId}` for ever, and a number that was counted anew after a data base was
//! lost would name another. So a number follows from the name: 31 bits of its hash, which every client's integer holds. Two of
//! a hundred names are equal once in half a million networks, or because somebody sought such a name. Then nothing is answered
//! in this shape: a client that takes two centres for one would delete the entries of the one at the word of the other.
//! Source: formats section 1.3, rule 7. In scope: numbers and names. Out of scope: who is a member.

use std::collections::BTreeMap;

use crate::subset::MemberId;
use hashpact_keys::{CentreId, Origin};

use super::page::{Member, document, member};

/// What is hashed: numbers of centres and of members are of one space, since `members` lists both.
const CONTEXT: &str = "hashpact 2026 ncmec member number";

fn number(kind: &str, name: &str) -> u64 {
    let hash = blake3::derive_key(CONTEXT, format!("{kind} {name}").as_bytes());
    let [a, b, c, d, ..] = hash;
    u64::from(u32::from_be_bytes([a & 0x7f, b, c, d])).max(1)
}

/// A centre, which the entries are of.
pub(super) fn centre(id: &CentreId) -> Member {
    Member {
        id: number("centre", id.as_str()),
        name: id.to_string(),
    }
}

/// A member of this centre, which asks.
pub(super) fn caller(id: &MemberId) -> Member {
    Member {
        id: number("member", id.as_str()),
        name: id.to_string(),
    }
}

/// The logs of the centre with this number.
pub(super) fn logs_of<'a>(
    number: u64,
    logs: impl Iterator<Item = &'a Origin>,
) -> impl Iterator<Item = &'a Origin> {
    logs.filter(move |log| centre(log.centre()).id == number)
}

/// Two names with one number.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} and {1} have one number in the shape of NCMEC: nothing is answered in it")]
pub(super) struct Twins(String, String);

/// Checks that the centres of these logs, and who asks, have a number each.
pub(super) fn distinct<'a>(
    id: &MemberId,
    logs: impl Iterator<Item = &'a Origin>,
) -> Result<(), Twins> {
    of_names(logs.map(|log| centre(log.centre())).chain([caller(id)]))
}

/// A member and a centre of one name are two, with two numbers.
fn of_names(all: impl Iterator<Item = Member>) -> Result<(), Twins> {
    let mut names: BTreeMap<u64, String> = BTreeMap::new();
    for one in all {
        let name = names.entry(one.id).or_insert_with(|| one.name.clone());
        if *name != one.name {
            return Err(Twins(name.clone(), one.name));
        }
    }
    Ok(())
}

/// The reply to `status`: who asks.
pub(super) fn status(id: &MemberId) -> String {
    document("status", |writer| member(writer, &caller(id)))
}

/// The reply to `members`: the centres of these logs, and who asks.
pub(super) fn list<'a>(id: &MemberId, logs: impl Iterator<Item = &'a Origin>) -> String {
    let mut all: Vec<_> = logs.map(|log| centre(log.centre())).collect();
    all.push(caller(id));
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all.dedup();
    document("members", |writer| {
        all.iter().try_for_each(|one| member(writer, one))
    })
}

#[cfg(test)]
mod tests {
    use super::super::tree::{Bounds, read};
    use super::*;

    const BOUNDS: Bounds = Bounds {
        bytes: 4_096,
        depth: 2,
        elements: 9,
        text: 64,
    };

    #[test]
    fn rule_7_numbers_are_fixed_by_the_name() {
        // As clients have stored it.
        const EU: u64 = 1_755_173_755;
        let eu: CentreId = "eu".parse().unwrap();
        let member: MemberId = "eu".parse().unwrap();
        assert_eq!(centre(&eu).id, EU);
        assert_ne!(caller(&member).id, EU);
        assert!(caller(&member).id < 1 << 31);
    }

    /// Whoever seeks a name with another's number takes that one's entries from nobody.
    #[test]
    fn centre_with_a_name_made_for_anothers_number_is_refused_and_told() {
        let one = |id: u64, name: &str| Member {
            id,
            name: name.to_owned(),
        };
        let honest = [one(7, "eu"), one(8, "us"), one(7, "eu")];
        assert_eq!(of_names(honest.into_iter()), Ok(()));
        let twins = of_names([one(7, "eu"), one(8, "us"), one(7, "eve")].into_iter());
        let twins = twins.unwrap_err().to_string();
        assert!(twins.starts_with("eu and eve have one number"), "{twins}");
    }

    #[test]
    fn members_lists_each_centre_once_and_who_asks() {
        let logs: Vec<Origin> = ["eu.example/eu/1", "eu.example/eu/2", "us.example/us/1"]
            .map(|log| log.parse().unwrap())
            .to_vec();
        let member: MemberId = "forum".parse().unwrap();
        let root = read(list(&member, logs.iter()).as_bytes(), BOUNDS).unwrap();
        let names: Vec<_> = root.children.iter().map(|child| &*child.text).collect();
        assert_eq!(names, ["eu", "forum", "us"]);
        let eu = root.children[0].attribute("id").unwrap().parse().unwrap();
        let found: Vec<_> = logs_of(eu, logs.iter()).map(Origin::as_str).collect();
        assert_eq!(found, ["eu.example/eu/1", "eu.example/eu/2"]);
        let alone = read(status(&member).as_bytes(), BOUNDS).unwrap();
        assert_eq!(alone.children.len(), 1);
        assert_eq!(alone.children[0].text, "forum");
    }
}
