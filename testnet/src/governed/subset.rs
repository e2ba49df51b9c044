//! What a provider gets that keeps a local copy: exactly what a second filter says, then what is new, then what is taken back;
//! and what it finds with it in a folder of files.
//!
//! Why this centre: it shares nothing with other centres, so what its providers get is nobody else's doing; and another
//! centre's entries reach them only by an order that two people of it signed.
//!
//! | file | answers |
//! |---|---|
//! | `provider` | what the provider's own program says and holds |

mod provider;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use hashpact_node::control::Request;
use hashpact_node::control::client::Client;
use hashpact_node::daemon::Status;

use super::{Governed, SETTLE};
use crate::cluster::Node;
use crate::mixed::{Case, Mixed};
use provider::Provider;

/// Whose provider it is.
const CENTRE: &str = "us";
/// Whose assessments two people of that centre decide to rely on, and who retracts then.
const RELIED: &str = "ca";
/// The provider.
const MEMBER: &str = "shop-three";
/// Entries that are new in the second list.
const NEW: usize = 25;
/// How long a retraction may take to everybody who is online.
const RETRACTED: Duration = Duration::from_secs(60);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(250);
/// Files in the folder that nobody knows.
const STRANGERS: usize = 40;

impl Governed<'_> {
    pub(super) fn subset(&mut self) {
        self.watch.say(
            "A provider of us keeps a verified copy of what it may have, and checks a folder of files with it",
        );
        let provider = match self.first_sync() {
            Ok((provider, seen)) => {
                self.check("subset_synced", Ok(seen));
                provider
            }
            Err(error) => return self.check("subset_synced", Err(error)),
        };
        let seen = self.delta(&provider);
        self.check("member_delta_applied", seen);
        let seen = self.taken_back(&provider);
        self.check("retraction_acknowledged", seen);
        let seen = self.folder(&provider);
        self.check("folder_checked", seen);
    }

    /// Entries, as lists write them, that the provider may have.
    fn expected(&self, opted: bool) -> BTreeSet<String> {
        let held = self
            .stock
            .items
            .iter()
            .filter(|item| item.holders.contains_key(CENTRE));
        let given = held.filter(|item| {
            let relied = opted && item.origin == RELIED;
            self.laws
                .may_publish(&item.case, &item.origin, CENTRE, relied)
        });
        given.flat_map(|item| item.case.entries.clone()).collect()
    }

    fn first_sync(&mut self) -> Result<(Provider, String)> {
        // Only now: who publishes reads records, and has them in its memory, which was searched before.
        let centre = self.cluster.node_mut(CENTRE)?;
        centre.serve_members()?;
        centre.stop()?;
        centre.start()?;
        if self.stock.items.is_empty() {
            // Alone, without the other parts of the run: something to give, and something to withhold.
            for centre in [CENTRE, RELIED] {
                self.ingest(Mixed::of(centre))?;
            }
            self.settle()?;
        }
        let node = self.cluster.node(CENTRE)?;
        let address = self.gateway(node)?;
        let folder = self.cluster.folder.join(MEMBER);
        let provider = Provider::admit(MEMBER, node, &folder, &self.cluster)?;
        let expected = self.expected(false);
        ensure!(!expected.is_empty(), "nothing is for providers");
        let started = Instant::now();
        provider.sync_until(&address, &expected, SETTLE)?;
        let seconds = started.elapsed().as_secs_f64();
        self.outcome.figure("subset_synced_after", seconds, "s");
        let all: usize = self
            .stock
            .items
            .iter()
            .filter(|item| item.holders.contains_key(CENTRE))
            .map(|item| item.case.entries.len())
            .sum();
        ensure!(
            expected.len() < all,
            "nothing is withheld: too plain a test"
        );
        let told = format!(
            "{} of the {all} entries that {CENTRE} holds, each of them and no other as the independent filter says, verified to their origins' signatures",
            expected.len()
        );
        Ok((provider, told))
    }

    /// A new list of the centre, and another centre's entries once two people decide so: deltas, no second snapshot.
    fn delta(&mut self, provider: &Provider) -> Result<String> {
        let mut case = Case::plain("for providers, later");
        case.recipients = ["provider"].into();
        self.ingest(Mixed::new(CENTRE, "later", vec![case], NEW))?;
        let node = self.cluster.node(CENTRE)?;
        let address = self.gateway(node)?;
        let first = provider.sync_until(&address, &self.expected(false), SETTLE)?;
        ensure!(
            first["snapshot"] == false && first["change"]["added"] == NEW,
            "not one delta of {NEW}: {}",
            first["change"]
        );
        self.opt_in(node)?;
        let wider = self.expected(true);
        let added = wider.len() - self.expected(false).len();
        ensure!(added > 0, "{RELIED} has nothing for providers of {CENTRE}");
        provider.sync_until(&address, &wider, SETTLE)?;
        Ok(format!(
            "{NEW} new entries of {CENTRE} as one change; then {added} of {RELIED}, when two people of {CENTRE} ordered to rely on its assessment; each equal to the filter"
        ))
    }

    /// Two people sign that this centre relies on another's assessments.
    fn opt_in(&self, node: &Node) -> Result<()> {
        let origin = self.cluster.node(RELIED)?.status()?.own.origin;
        let path = |name: &str| node.home.path().join(name).display().to_string();
        let (order, key) = (path("opt-in.txt"), path("policy-2.key"));
        // For less than a year, which is as long as one may rely on another.
        let now = hashpact_node::clock::now().get();
        let until = (now + 300 * 86_400).to_string();
        let first = path("policy-1.key");
        let draft = ["order", "new", "opt-in", &origin, "--until", &until];
        node.shell_ok(&[&draft[..], &["--out", &order, "--key", &first]].concat())?;
        let (refused, code) = node.shell(&["order", "apply", &order])?;
        ensure!(
            code == 1 || code == 2,
            "one person's order was taken: {refused}"
        );
        node.shell_ok(&["order", "sign", &order, "--key", &key])?;
        node.shell_ok(&["order", "apply", &order])?;
        Ok(())
    }

    /// An entry is retracted by its origin: it is gone everywhere within a minute, and everybody says so.
    fn taken_back(&mut self, provider: &Provider) -> Result<String> {
        let (entry, holders) = self.widely_held()?;
        let id = self.cluster.node(RELIED)?.own_entry(&entry)?;
        let id = id["entry"].as_str().context("its id")?.to_owned();
        let started = Instant::now();
        self.cluster
            .node(RELIED)?
            .shell_ok(&["retract", &id, "--reason", "not_csam"])?;
        for holder in &holders {
            self.until(holder, started, |_, client| Ok(!matches(client, &entry)?))
                .with_context(|| format!("gone from {holder}"))?;
        }
        let everywhere = started.elapsed().as_secs_f64();
        self.until(RELIED, started, |status, _| {
            Ok(status.open.lagging.is_empty())
        })
        .context("every centre said that it applied it")?;
        self.until(CENTRE, started, |status, _| {
            Ok(status
                .open
                .members
                .iter()
                .any(|owing| owing.member == MEMBER))
        })
        .context("the member is listed as owing its acknowledgement")?;
        let address = self.gateway(self.cluster.node(CENTRE)?)?;
        let mut expected = self.expected(true);
        expected.remove(&entry);
        let report = provider.sync_until(&address, &expected, SETTLE)?;
        ensure!(
            report["change"]["retracted"] == 1 && report["acknowledged"] == true,
            "applied otherwise: {report}"
        );
        self.until(CENTRE, Instant::now(), |status, _| {
            Ok(status.open.members.is_empty())
        })
        .context("nobody owes an acknowledgement any more")?;
        self.outcome
            .figure("retraction_everywhere_after", everywhere, "s");
        Ok(format!(
            "{} centres had it no more after {everywhere:.1} s and said so; {MEMBER} was listed until it had applied it, verified to {RELIED}'s signature",
            holders.len()
        ))
    }

    /// An entry of the relied-on centre that the provider has, and the centres that hold it.
    fn widely_held(&self) -> Result<(String, Vec<String>)> {
        let items = self.stock.items.iter();
        let mut given = items.filter(|item| {
            item.origin == RELIED
                && item.holders.contains_key(CENTRE)
                && self.laws.may_publish(&item.case, RELIED, CENTRE, true)
        });
        let widest = given.by_ref().max_by_key(|item| item.holders.len());
        let item = widest.context("an entry that the provider has")?;
        let entry = item.case.entries.first().context("an entry")?;
        Ok((entry.clone(), item.holders.keys().cloned().collect()))
    }

    /// Asks a centre again and again, until a minute after `since`.
    fn until(
        &self,
        centre: &str,
        since: Instant,
        is_so: impl Fn(&Status, &mut Client) -> Result<bool>,
    ) -> Result<()> {
        let node = self.cluster.node(centre)?;
        let mut client = Client::connect(&node.home)?;
        while !is_so(&node.status()?, &mut client)? {
            if since.elapsed() > RETRACTED {
                bail!("not within {} s at {centre}", RETRACTED.as_secs());
            }
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// A folder in which some files are in the list: exactly these are found.
    fn folder(&self, provider: &Provider) -> Result<String> {
        let items = self.stock.items.iter();
        let later = items.filter(|item| item.origin == CENTRE && item.case.name.ends_with("later"));
        let known = later.map(|item| item.case.entries.len()).sum::<usize>();
        ensure!(known == NEW, "the list of later entries has {known}");
        let text = |row: usize| format!("hashpact {CENTRE} later for providers, later {row}");
        let files = (0..NEW).map(text);
        let strangers = (0..STRANGERS).map(|row| format!("a file of nobody {row}"));
        let seen = provider.check(files, strangers)?;
        Ok(format!(
            "{seen}: each of the {NEW} files of the list and none of {STRANGERS} others"
        ))
    }

    /// Where the centre serves its members.
    fn gateway(&self, node: &Node) -> Result<String> {
        let address = node.status()?.gateway.listening;
        let address = address.with_context(|| format!("{} serves no members", node.id))?;
        Ok(format!("http://{address}"))
    }
}

/// Whether a look-up says that it is a known match; of what is retracted it says that too.
fn matches(client: &mut Client, entry: &str) -> Result<bool> {
    let (algorithm, value) = entry.split_once(':').context("an algorithm and a value")?;
    let request = Request::Lookup {
        algorithm: algorithm.to_owned(),
        value: value.to_owned(),
    };
    let answer = client.ask(&request, |_| {})?;
    Ok(answer["match"] == true)
}
