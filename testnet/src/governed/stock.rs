//! Who should hold what, by the independent filter, and who does, by looking up every entry at every centre.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use hashpact_node::control::Request;
use hashpact_node::control::client::Client;

use crate::cluster::Node;
use crate::filter::Laws;
use crate::mixed::{Case, Mixed};

/// Between two rounds of look-ups.
const PAUSE: Duration = Duration::from_millis(250);
/// How long what is equal must stay so: what goes where it may not could be on its way.
const STAYS: Duration = Duration::from_secs(2);

/// One case of one list.
pub(super) struct Item {
    /// Whose entries.
    pub(super) origin: String,
    /// The labels and the entries.
    pub(super) case: Case,
    /// Who should hold it, and after how many transfers before the one that brought it.
    pub(super) holders: BTreeMap<String, u8>,
}

/// Every list that was taken in.
#[derive(Default)]
pub(super) struct Stock {
    pub(super) items: Vec<Item>,
}

/// What look-ups found: for each item the centres that hold all its entries.
pub(super) type Held = Vec<BTreeSet<String>>;

impl Stock {
    /// A list that was taken in at its centre.
    pub(super) fn add(&mut self, list: Mixed) {
        let Mixed { centre, cases, .. } = list;
        self.items.extend(cases.into_iter().map(|case| Item {
            holders: BTreeMap::from([(centre.clone(), 0)]),
            origin: centre.clone(),
            case,
        }));
    }

    /// Lets everything spread by the filter among those that are up.
    pub(super) fn spread(&mut self, laws: &Laws, up: &[&str]) {
        for item in &mut self.items {
            laws.spread(&item.case, &item.origin, up, &mut item.holders);
        }
    }

    /// One centre loses all entries of an origin.
    pub(super) fn lose(&mut self, origin: &str, holder: &str) {
        let items = self.items.iter_mut();
        for item in items.filter(|item| item.origin == origin) {
            item.holders.remove(holder);
        }
    }

    /// Entries, and how many of them some of these centres may not hold.
    pub(super) fn count(&self, centres: &[&str]) -> (usize, usize) {
        let (mut all, mut restricted) = (0, 0);
        for item in &self.items {
            let entries = item.case.entries.len();
            let everywhere = centres.iter().all(|id| item.holders.contains_key(*id));
            all += entries;
            restricted += if everywhere { 0 } else { entries };
        }
        (all, restricted)
    }

    /// Looks everything up again and again until each of these centres holds what the filter says, and a while longer. In words.
    ///
    /// # Errors
    /// At once if a centre holds what it may not; after `limit` if one lacks something.
    pub(super) fn until_equal(&self, nodes: &[&Node], limit: Duration) -> Result<String> {
        let deadline = Instant::now() + limit;
        let mut equal_since: Option<Instant> = None;
        loop {
            let held = self.look_up(nodes)?;
            let centres: Vec<&str> = nodes.iter().map(|node| node.id.as_str()).collect();
            let difference = self.difference(&centres, &held);
            if let Some(surplus) = difference.surplus {
                bail!("{surplus}");
            }
            match difference.missing {
                None => {
                    let since = *equal_since.get_or_insert_with(Instant::now);
                    if since.elapsed() >= STAYS {
                        return Ok(self.describe(nodes));
                    }
                }
                Some(missing) => {
                    equal_since = None;
                    ensure!(
                        Instant::now() < deadline,
                        "not within {} s: {missing}",
                        limit.as_secs()
                    );
                }
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Looks every entry up at each of these centres.
    pub(super) fn look_up(&self, nodes: &[&Node]) -> Result<Held> {
        let mut held: Held = vec![BTreeSet::new(); self.items.len()];
        for node in nodes {
            let mut client = Client::connect(&node.home)?;
            for (item, held) in self.items.iter().zip(&mut held) {
                let mut found = 0;
                for entry in &item.case.entries {
                    found += usize::from(finds(&mut client, entry)?);
                }
                let all = item.case.entries.len();
                // A class goes as a whole: a part of it is on its way, or gone astray.
                if found == all {
                    held.insert(node.id.clone());
                } else if found > 0 && !item.holders.contains_key(&node.id) {
                    let (origin, name) = (&item.origin, &item.case.name);
                    bail!(
                        "{} holds {found} of {all} of {origin}'s {name:?}, none of which it may",
                        node.id
                    );
                }
            }
        }
        Ok(held)
    }

    fn difference(&self, centres: &[&str], held: &Held) -> Difference {
        let mut difference = Difference::default();
        let (mut surplus, mut missing) = (Vec::new(), Vec::new());
        for (item, held) in self.items.iter().zip(held) {
            for centre in centres {
                let what = || format!("{centre} of {}'s {:?}", item.origin, item.case.name);
                match (item.holders.contains_key(*centre), held.contains(*centre)) {
                    (true, false) => missing.push(what()),
                    (false, true) => surplus.push(what()),
                    (true, true) | (false, false) => {}
                }
            }
        }
        let say = |what: &str, all: &[String]| {
            let first: Vec<&str> = all.iter().take(5).map(String::as_str).collect();
            let say = format!("{} times {what}: {}", all.len(), first.join(", "));
            (!all.is_empty()).then_some(say)
        };
        difference.surplus = say("somebody holds what it may not", &surplus);
        difference.missing = say("somebody lacks what it may have", &missing);
        difference
    }

    fn describe(&self, nodes: &[&Node]) -> String {
        let held = |node: &&&Node| {
            let items = self.items.iter();
            let items = items.filter(|item| item.holders.contains_key(&node.id));
            let entries: usize = items.map(|item| item.case.entries.len()).sum();
            format!("{} {entries}", node.id)
        };
        let all: Vec<String> = nodes.iter().map(|node| held(&node)).collect();
        all.join(", ")
    }
}

/// What look-ups and filter do not agree on, in words.
#[derive(Default)]
struct Difference {
    surplus: Option<String>,
    missing: Option<String>,
}

/// Whether a centre finds an entry.
pub(super) fn finds(client: &mut Client, entry: &str) -> Result<bool> {
    let (algorithm, value) = entry.split_once(':').context("an algorithm and a value")?;
    let request = Request::Lookup {
        algorithm: algorithm.to_owned(),
        value: value.to_owned(),
    };
    let answer = client.ask(&request, |_| {})?;
    let entries = answer["entries"].as_array();
    Ok(entries.is_some_and(|entries| !entries.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One case that ca shares with eu and au, and not with us; as the filter says.
    fn stock() -> Stock {
        let mut stock = Stock::default();
        let mut case = Case::plain("for some");
        case.residency = ["EU", "AU"].into();
        stock.add(Mixed::new("ca", "test", vec![case], 2));
        let laws = Laws::of(["eu", "us", "ca", "au"]).unwrap();
        stock.spread(&laws, &["eu", "us", "ca", "au"]);
        stock
    }

    fn difference(held: &[&str]) -> [Option<String>; 2] {
        let held = held.iter().map(|id| (*id).to_owned()).collect();
        let found = stock().difference(&["eu", "us", "ca", "au"], &vec![held]);
        [found.surplus, found.missing]
    }

    #[test]
    fn what_is_held_must_be_what_the_filter_says_and_nothing_more() {
        assert_eq!(difference(&["eu", "ca", "au"]), [None, None]);
        let [surplus, missing] = difference(&["eu", "us", "ca", "au"]);
        assert!(surplus.unwrap().ends_with("us of ca's \"for some\"") && missing.is_none());
        let [surplus, missing] = difference(&["eu", "ca"]);
        assert!(missing.unwrap().ends_with("au of ca's \"for some\"") && surplus.is_none());
    }

    #[test]
    fn what_not_everybody_may_hold_is_restricted() {
        assert_eq!(stock().count(&["eu", "us", "ca", "au"]), (2, 2));
        assert_eq!(stock().count(&["eu", "ca", "au"]), (2, 0));
    }

    #[test]
    fn who_lost_access_is_no_holder_until_it_may_have_it_again() {
        let mut stock = stock();
        stock.lose("ca", "eu");
        assert!(!stock.items[0].holders.contains_key("eu"));
        let laws = Laws::of(["eu", "us", "ca", "au"]).unwrap();
        stock.spread(&laws, &["eu", "ca"]);
        assert!(stock.items[0].holders.contains_key("eu"));
    }
}
