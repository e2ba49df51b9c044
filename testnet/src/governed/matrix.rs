//! What went where and why: every entry of four mixed lists, looked up everywhere.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Result, ensure};
use comfy_table::{Table, presets};

use super::{Governed, each, take_in};
use crate::cluster::Node;
use crate::filter::Transfer;
use crate::mixed::Mixed;
use crate::outcome::Flow;

/// Names of cases in a line of the matrix; it says how many more there are.
const NAMES: usize = 3;

impl Governed<'_> {
    /// Takes the mixed lists in, waits until everybody holds what the filter says, and prints the matrix.
    pub(super) fn matrix(&mut self) -> Result<()> {
        self.watch.say(
            "Each centre ingests a list with mixed labels, and both ends of each transfer decide",
        );
        let lists: Vec<Mixed> = self
            .cluster
            .nodes
            .iter()
            .map(|node| Mixed::of(&node.id))
            .collect();
        let cluster = &self.cluster;
        each(&cluster.nodes, |node| {
            let mut own = lists.iter().filter(|list| list.centre == node.id);
            own.try_for_each(|list| take_in(cluster, list))
        })?;
        lists.into_iter().for_each(|list| self.stock.add(list));
        let started = Instant::now();
        let settled = self.settle();
        let seconds = started.elapsed().as_secs_f64();
        self.outcome.figure("policy_settled_after", seconds, "s");
        self.print()?;
        let seen = settled.and_then(|held| self.judge(&held));
        self.check("policy_matrix_matches_independent_filter", seen);
        Ok(())
    }

    /// Equal is worth something only if the laws part the lists: something goes and something stays, for many reasons.
    fn judge(&self, held: &str) -> Result<String> {
        let flows = &self.outcome.flows;
        let reasons: std::collections::BTreeSet<&str> = flows
            .iter()
            .flat_map(|flow| flow.withheld.keys())
            .filter_map(|why| why.split_once(": ").map(|(_, rule)| rule))
            .collect();
        let gone: usize = flows.iter().map(|flow| flow.held).sum();
        let of: usize = flows.iter().map(|flow| flow.entries).sum();
        ensure!(
            gone > 0 && gone < of && reasons.len() > 10,
            "{gone} of {of} transfers, for {} reasons not: too plain a test",
            reasons.len()
        );
        Ok(format!(
            "entries held: {held}; of {of} that could go from a centre to another {gone} did, the others did not for {} reasons: every look-up is as the filter says",
            reasons.len()
        ))
    }

    /// Prints who holds what, as look-ups say, and why not, as the filter says; sums of it become part of the outcome.
    fn print(&mut self) -> Result<()> {
        let nodes: Vec<&Node> = self.cluster.nodes.iter().collect();
        let held = self.stock.look_up(&nodes)?;
        let centres: Vec<&str> = nodes.iter().map(|node| node.id.as_str()).collect();
        let mut flows: BTreeMap<(&str, &str), Flow> = BTreeMap::new();
        for origin in &centres {
            // Cases that went to the same centres, for the same reasons not to the others, are one line.
            let mut lines: BTreeMap<Vec<String>, Vec<&str>> = BTreeMap::new();
            let items = self.stock.items.iter().zip(&held);
            for (item, held) in items.filter(|(item, _)| item.origin == *origin) {
                let entries = item.case.entries.len();
                let mut cells = Vec::new();
                for taker in centres.iter().filter(|taker| *taker != origin) {
                    let transfer = Transfer {
                        origin,
                        giver: origin,
                        taker,
                        hop: 0,
                    };
                    let denial = self.laws.may_flow(&item.case, transfer).err();
                    let has = held.contains(*taker);
                    let flow = flows.entry((origin, taker)).or_insert_with(|| Flow {
                        origin: (*origin).to_owned(),
                        to: (*taker).to_owned(),
                        ..Flow::default()
                    });
                    flow.entries += entries;
                    let why = denial.map_or("not yet".to_owned(), |denial| denial.to_string());
                    if has {
                        flow.held += entries;
                        cells.push("holds it".to_owned());
                    } else {
                        *flow.withheld.entry(why.clone()).or_default() += entries;
                        cells.push(why);
                    }
                }
                lines.entry(cells).or_default().push(&item.case.name);
            }
            let takers = centres.iter().filter(|taker| *taker != origin).copied();
            let table = table(origin, takers, &lines);
            self.watch
                .say(&format!("What became of {origin}'s list:\n{table}"));
        }
        self.outcome.flows = flows.into_values().collect();
        Ok(())
    }
}

fn table<'a>(
    origin: &str,
    takers: impl Iterator<Item = &'a str>,
    lines: &BTreeMap<Vec<String>, Vec<&str>>,
) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    let header = [format!("cases of {origin}"), "such as".to_owned()];
    table.set_header(
        header
            .into_iter()
            .chain(takers.map(|id| format!("at {id}"))),
    );
    let mut lines: Vec<_> = lines.iter().collect();
    lines.sort_by_key(|(_, names)| std::cmp::Reverse(names.len()));
    for (cells, names) in lines {
        let mut such = names[..names.len().min(NAMES)].join(", ");
        if names.len() > NAMES {
            such.push_str(", …");
        }
        let row = [names.len().to_string(), such];
        table.add_row(row.into_iter().chain(cells.iter().cloned()));
    }
    table
}
