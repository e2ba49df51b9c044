//! What happens when a profile narrows: an agreement ends, who lost access is told without a reason, destroys what it has and
//! says so; and when the agreement is back, what was withheld is offered again.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use hashpact_node::control::client::Client;

use super::stock::finds;
use super::{Governed, SETTLE};

/// Who ends the agreement, and with whom.
const GIVER: &str = "eu";
const HOLDER: &str = "ca";
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(250);

impl Governed<'_> {
    pub(super) fn recall(&mut self) {
        self.watch.say(
            "An agreement ends: eu logs a narrower profile, and ca, which loses access, is sent a recall",
        );
        let seen = self.narrows();
        self.check("recall_acknowledged", seen);
    }

    fn narrows(&mut self) -> Result<String> {
        let lost: Vec<usize> = self.held_from_giver();
        let entries: Vec<String> = lost
            .iter()
            .flat_map(|at| self.stock.items[*at].case.entries.clone())
            .collect();
        ensure!(!entries.is_empty(), "{HOLDER} holds nothing of {GIVER}");
        let giver = self.cluster.node(GIVER)?;
        let whole = giver.profile()?;
        let started = Instant::now();
        whole.without_giving_to(HOLDER)?.log(giver)?;
        self.laws.end_agreement(GIVER, HOLDER);
        self.stock.lose(GIVER, HOLDER);
        let seen = self.until_gone(&entries)?;
        let seconds = started.elapsed().as_secs_f64();
        self.outcome
            .figure("recall_acknowledged_after", seconds, "s");
        self.settle().context("after the recall")?;
        self.watch
            .say("The agreement is back: eu logs its wider profile again");
        whole.log(self.cluster.node(GIVER)?)?;
        self.laws.add(GIVER)?;
        self.settle().context("when the agreement was back")?;
        let entries = entries.len();
        Ok(format!(
            "{seen}; no look-up at {HOLDER} found one of {entries} entries then, and every one when the agreement was back"
        ))
    }

    /// Which items of the giver's own the holder should hold.
    fn held_from_giver(&self) -> Vec<usize> {
        let items = self.stock.items.iter().enumerate();
        let held =
            items.filter(|(_, item)| item.origin == GIVER && item.holders.contains_key(HOLDER));
        held.map(|(at, _)| at).collect()
    }

    /// Waits until the giver has heard that the holder destroyed what it was asked for, nobody waits for another such word,
    /// and no look-up at the holder finds anything. What the giver says of it.
    fn until_gone(&self, entries: &[String]) -> Result<String> {
        let deadline = Instant::now() + SETTLE;
        loop {
            let statuses = self.cluster.statuses()?;
            let giver = statuses.iter().find(|status| status.centre == GIVER);
            let mut seen = giver.iter().flat_map(|giver| &giver.events);
            let word = seen.find(|seen| seen.kind == "recall_acknowledged");
            let mut open = statuses.iter().flat_map(|status| &status.recalls);
            let waits = open.any(|recall| recall.to == HOLDER);
            let mut client = Client::connect(&self.cluster.node(HOLDER)?.home)?;
            let mut found = 0;
            for entry in entries {
                found += usize::from(finds(&mut client, entry)?);
            }
            if let Some(word) = word.filter(|_| !waits && found == 0) {
                return Ok(word.text.clone());
            }
            let said = if word.is_some() { "said" } else { "not said" };
            ensure!(
                Instant::now() < deadline,
                "not within {} s: {HOLDER} holds {found} entries, and that it destroyed them is {said}",
                SETTLE.as_secs()
            );
            std::thread::sleep(PAUSE);
        }
    }
}
