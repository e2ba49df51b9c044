//! What operators and the holders of root keys do: publish, retract, sign and apply rosters, let time pass.

use std::collections::{BTreeMap, BTreeSet};

use hashpact_keys::Timestamp;
use hashpact_keys::roster::RosterDraft;

use super::{Sim, Violation, class_labels};
use crate::centre::{Command, CommandError, CommandId, Input, Outcome};
use crate::delta::{Draft, Retraction, Seq};
use crate::labels::Labels;
use crate::policy::PolicyDocument;
use crate::record::{EntryId, Record, Revision};
use crate::testing::documents;
use crate::testing::keys::{self, CentreSetup, START};
use crate::view::{Held, View as _};

impl Sim {
    /// A command and its answer; none if the centre is down or dies of it.
    ///
    /// # Errors
    /// [`Violation`].
    pub fn command(
        &mut self,
        n: usize,
        command: Command,
    ) -> Result<Option<Result<Outcome, CommandError>>, Violation> {
        self.nodes[n].reply = None;
        self.step(n, Input::Command(CommandId(7), command))?;
        Ok(self.nodes[n].reply.take())
    }

    /// A command that must work; none if the centre is down or dies of it.
    pub(super) fn must(
        &mut self,
        n: usize,
        command: Command,
    ) -> Result<Option<Outcome>, Violation> {
        let reply = self.command(n, command)?;
        // After a start nothing is signed before enough others were heard; whoever operates it tries again.
        if let Some(Err(CommandError::Unconfirmed { .. })) = reply {
            return Ok(None);
        }
        reply.transpose().map_err(|error| Violation::Refused {
            centre: n,
            error: Box::new(error),
        })
    }

    /// A centre appends new records, spread over its synthetic classes `classes`.
    ///
    /// # Errors
    /// [`Violation`].
    pub fn append(&mut self, n: usize, records: u64, classes: &[u8]) -> Result<(), Violation> {
        let first = self.records;
        self.records += records;
        let records = (first..self.records).map(crate::testing::record).collect();
        self.publish(n, records, Vec::new(), classes)
    }

    /// A centre publishes records, spread over classes, and retractions as one delta.
    ///
    /// # Errors
    /// [`Violation`].
    pub fn publish(
        &mut self,
        n: usize,
        records: Vec<Record>,
        retractions: Vec<Retraction>,
        classes: &[u8],
    ) -> Result<(), Violation> {
        let setup = &self.nodes[n].setup;
        let labels = classes.iter().map(|class| class_labels(setup, *class));
        let labels = labels.collect();
        self.publish_under(n, records, retractions, labels)
    }

    /// As [`Sim::publish`], spread over the classes with these labels.
    ///
    /// # Errors
    /// [`Violation`].
    pub fn publish_under(
        &mut self,
        n: usize,
        records: Vec<Record>,
        retractions: Vec<Retraction>,
        labels: Vec<Labels>,
    ) -> Result<(), Violation> {
        let defined = self.must(n, Command::Define(labels))?;
        let Some(Outcome::Classes(ids)) = defined else {
            return Ok(());
        };
        let bytes: Vec<_> = records.iter().map(Record::to_bytes).collect();
        let items = records.iter().zip(&bytes).zip(ids.iter().cycle());
        let items = items.map(|((record, bytes), class)| (*class, record.entry, bytes.as_slice()));
        let draft = Draft::new(items, retractions.clone(), &mut self.rng);
        let rule = "cannot draft what it may publish";
        let draft = draft.map_err(|_| Violation::Rule { centre: n, rule })?;
        let puts = records
            .iter()
            .map(|record| (record.entry, record.revision))
            .collect();
        self.attempt(n, Command::Append(draft), puts, retractions)
    }

    /// A centre retracts these entries, up to these revisions.
    ///
    /// # Errors
    /// [`Violation`].
    pub fn retract(&mut self, n: usize, list: &[(EntryId, Revision)]) -> Result<(), Violation> {
        let list = list.iter().map(|(entry, revision)| Retraction {
            entry: *entry,
            revision: *revision,
        });
        let mut list: Vec<_> = list.collect();
        list.sort_unstable();
        self.attempt(n, Command::Retract(list.clone()), Vec::new(), list)
    }

    /// A command that makes a delta. Whether it became durable is seen on the disk, as the centre may die before it answers.
    fn attempt(
        &mut self,
        n: usize,
        command: Command,
        puts: Vec<(EntryId, Revision)>,
        retractions: Vec<Retraction>,
    ) -> Result<(), Violation> {
        self.audit
            .attempt(&self.nodes[n].setup.origin, puts, retractions);
        self.must(n, command).map(drop)
    }

    /// A centre logs the next document of its policy, with these files.
    ///
    /// # Errors
    /// [`Violation`].
    pub fn apply_policy(
        &mut self,
        n: usize,
        files: Vec<(String, String)>,
    ) -> Result<(), Violation> {
        let setup = self.nodes[n].setup.clone();
        let version = self.nodes[n].memory.log(&setup.origin).next_policy;
        let document = PolicyDocument {
            network: self.roster().roster().network,
            origin: setup.origin.clone(),
            version,
            issued_at: self.now,
            files,
        };
        self.is_ruled = true;
        let [a, b] = documents::signers(&setup);
        let document = document.sign(&[&a, &b]);
        self.must(n, Command::Policy { document }).map(drop)
    }

    /// The roots sign the next roster; nobody has applied it yet.
    pub fn issue_roster(&mut self, change: impl FnOnce(&mut RosterDraft)) {
        let next = keys::next_roster(self.roster(), self.now, change);
        self.note(format!("roster {} is signed", next.roster().version));
        self.rosters.push(next);
    }

    /// A centre applies the roster that follows its own, if there is one.
    ///
    /// # Errors
    /// [`Violation`].
    pub fn apply_roster(&mut self, n: usize) -> Result<(), Violation> {
        let Some(centre) = &self.nodes[n].centre else {
            return Ok(());
        };
        let version = centre.roster().version;
        let next = self
            .rosters
            .iter()
            .find(|roster| roster.roster().version > version);
        let Some(bytes) = next.map(|roster| roster.bytes().to_vec()) else {
            return Ok(());
        };
        self.must(n, Command::ApplyRoster(bytes)).map(drop)
    }

    /// A new centre is signed into the next roster and starts with it; returns its number.
    ///
    /// # Errors
    /// [`Violation`].
    pub fn join(&mut self) -> Result<usize, Violation> {
        let setup = CentreSetup::numbered(self.nodes.len());
        let entry = setup.entry();
        self.issue_roster(|draft| draft.centres.push(entry));
        self.add(setup)?;
        Ok(self.nodes.len() - 1)
    }

    /// Time passes; who asked to be woken by then is woken once.
    ///
    /// # Errors
    /// [`Violation`].
    pub fn advance(&mut self, seconds: u64) -> Result<(), Violation> {
        self.now = Timestamp::new(self.now.get() + seconds);
        self.note(format!("time {}", self.now.get() - START.get()));
        for n in 0..self.nodes.len() {
            if self.nodes[n].wake.is_some_and(|at| at <= self.now) {
                self.nodes[n].wake = None;
                self.step(n, Input::Wake)?;
            }
        }
        Ok(())
    }

    /// Entries of a log that a centre holds, with their revisions.
    #[must_use]
    pub fn live(&self, holder: usize, log: usize) -> BTreeMap<EntryId, Revision> {
        self.nodes[holder]
            .memory
            .live(&self.nodes[log].setup.origin)
    }

    /// Classes of a log that a centre holds records of, by number.
    #[must_use]
    pub fn held(&self, holder: usize, log: usize) -> BTreeSet<u16> {
        let (memory, origin) = (&self.nodes[holder].memory, &self.nodes[log].setup.origin);
        let deltas = (0..memory.log(origin).applied.0).map(Seq);
        let rows = deltas.filter_map(|seq| memory.holdings(origin, seq));
        let rows = rows.flatten().filter(|row| row.held != Held::None);
        rows.map(|row| row.class.0).collect()
    }
}
