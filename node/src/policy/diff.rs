//! `hashpact policy diff`: what a change of policy would give, take back and withhold, before anybody signs it.
//!
//! Every way that a class takes through this centre is asked twice, with the old profile and with the new one: its own
//! classes to each peer, each other origin's classes to itself, and those on to the rest. What others decide is asked too
//! where it is known, so that what they would refuse anyway is not told as a change; where it is not known it counts as yes.
//! In scope: counts. Out of scope: what was really given so far, which the running node knows: `recalled` counts all that
//! the old profile allowed.

use hashpact_keys::{CentreId, Jurisdiction, Timestamp};
use hashpact_protocol::labels::{ClassId, Purpose};
use hashpact_protocol::lists::ClosedList;
use hashpact_protocol::policy::Action;
use serde::Serialize;

use super::class::Shown;
use super::explain::{Question, QuestionError, Recipient};
use super::matrix::Class;
use super::scene::{Law, Scene};

/// What changes for one class and one peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What happens.
    pub change: Kind,
    /// Who made the entries.
    pub origin: String,
    /// The number of the class there.
    pub class: Option<u16>,
    /// What people call it.
    pub name: String,
    /// Its labels; what is unknown is left out.
    pub labels: String,
    /// The other centre.
    pub peer: String,
    /// How many entries.
    pub entries: u64,
    /// Who denied before, or denies after, and by which policies.
    pub by: String,
}

/// What happens to entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The peer may have them from now on.
    NewlyShared,
    /// The peer might have them, and must destroy them.
    Recalled,
    /// They may be taken from now on.
    NewlyAdmitted,
    /// They are taken no more, and what is held of them is destroyed.
    Withheld,
}

impl Kind {
    /// For a table.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::NewlyShared => "newly shared",
            Self::Recalled => "recalled",
            Self::NewlyAdmitted => "newly admitted",
            Self::Withheld => "withheld",
        }
    }
}

/// All changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// This centre.
    pub centre: String,
    /// Entries by what happens to them, summed over classes and peers.
    pub newly_shared: u64,
    /// As above.
    pub recalled: u64,
    /// As above.
    pub newly_admitted: u64,
    /// As above.
    pub withheld: u64,
    /// Entries that go before and after, summed alike.
    pub go_on: u64,
    /// Entries that go neither before nor after.
    pub stay: u64,
    /// What changes, by class and peer.
    pub changes: Vec<Change>,
    /// Centres whose own word is not known and counts as yes.
    pub unknown: Vec<String>,
}

/// What is compared.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// This centre.
    pub centre: CentreId,
    /// The law that it works under.
    pub jurisdiction: Jurisdiction,
    /// The profile before.
    pub old: Law,
    /// The profile after.
    pub new: Law,
    /// The purpose for peers whose profile is not known.
    pub purpose: Option<Purpose>,
    /// As of when.
    pub now: Timestamp,
}

impl Comparison {
    /// Compares. `others` are the other centres; a class without a number of entries counts as none.
    ///
    /// # Errors
    /// [`QuestionError`]: a centre or a purpose that is not known.
    pub fn run(&self, others: &Scene, classes: &[Class]) -> Result<Diff, QuestionError> {
        let scene = |law: &Law| {
            let mut scene = others.clone();
            let party = super::scene::Party {
                jurisdiction: self.jurisdiction.clone(),
                law: Some(law.clone()),
            };
            scene.0.insert(self.centre.clone(), party);
            scene
        };
        let (before, after) = (scene(&self.old), scene(&self.new));
        let peers = others.0.keys().filter(|id| **id != self.centre);
        let unknown = others.0.iter();
        let unknown = unknown.filter(|(id, it)| it.law.is_none() && **id != self.centre);
        let mut diff = Diff {
            centre: self.centre.to_string(),
            unknown: unknown.map(|(id, _)| id.to_string()).collect(),
            ..Diff::default()
        };
        for class in classes {
            for peer in peers.clone() {
                let Some((from, to)) = self.way(class, peer) else {
                    continue;
                };
                let question = self.question(class, from, to);
                let [old, new] = [&before, &after].map(|scene| denial(scene, &question));
                diff.count(class, peer, to != &self.centre, old?, new?);
            }
        }
        diff.changes.sort_by(|a, b| {
            let key = |it: &Change| (it.change, std::cmp::Reverse(it.entries), it.peer.clone());
            key(a).cmp(&key(b))
        });
        Ok(diff)
    }

    /// From whom to whom a class goes through this centre where this peer is the other one.
    fn way<'a>(
        &'a self,
        class: &Class,
        peer: &'a CentreId,
    ) -> Option<(&'a CentreId, &'a CentreId)> {
        if class.origin == *peer {
            return Some((peer, &self.centre));
        }
        // Without a hop left nobody passes it on, whatever policy says.
        let may_go_on = class.origin == self.centre || class.labels.hops > 0;
        may_go_on.then_some((&self.centre, peer))
    }

    fn question(&self, class: &Class, from: &CentreId, to: &CentreId) -> Question {
        Question {
            from: from.clone(),
            to: Recipient::Centre(to.clone()),
            origin: class.origin.clone(),
            class: class.id.unwrap_or(ClassId(0)),
            labels: class.labels.clone(),
            action: None,
            purpose: None,
            default_purpose: self.purpose,
            now: self.now,
            entry: None,
        }
    }
}

/// Who denies first, and by which policies; nothing if all who are known allow.
fn denial(scene: &Scene, question: &Question) -> Result<Option<String>, QuestionError> {
    let purpose = question.purpose(scene)?;
    let origin = scene.party(&question.origin)?;
    for asked in question.asked(scene)? {
        let Some(law) = &scene.party(&asked.centre)?.law else {
            continue;
        };
        let ruling = law.decide(&question.query(&asked, &origin.jurisdiction, purpose));
        if !ruling.allowed {
            return Ok(Some(said(&asked.centre, asked.action, &ruling.policies)));
        }
    }
    Ok(None)
}

fn said(centre: &CentreId, action: Action, policies: &[String]) -> String {
    let by = match policies {
        [] => "nothing permits it".to_owned(),
        policies => policies.join(", "),
    };
    format!("{centre} at {}: {by}", action.name())
}

impl Diff {
    fn count(
        &mut self,
        class: &Class,
        peer: &CentreId,
        gives: bool,
        old: Option<String>,
        new: Option<String>,
    ) {
        let entries = class.entries.unwrap_or(0);
        let (change, sum, by) = match (old, new, gives) {
            (None, None, _) => return self.go_on += entries,
            (Some(_), Some(_), _) => return self.stay += entries,
            (Some(by), None, true) => (Kind::NewlyShared, &mut self.newly_shared, by),
            (None, Some(by), true) => (Kind::Recalled, &mut self.recalled, by),
            (Some(by), None, false) => (Kind::NewlyAdmitted, &mut self.newly_admitted, by),
            (None, Some(by), false) => (Kind::Withheld, &mut self.withheld, by),
        };
        *sum += entries;
        self.changes.push(Change {
            change,
            origin: class.origin.to_string(),
            class: class.id.map(|class| class.0),
            name: class.name.clone(),
            labels: Shown(&class.labels).to_string(),
            peer: peer.to_string(),
            entries,
            by,
        });
    }
}
