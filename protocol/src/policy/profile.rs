//! A profile: the facts and policies of one centre, checked, ready to decide.

use std::collections::BTreeMap;

use cedar_policy::Context;
use hashpact_keys::{Jurisdiction, Timestamp};

use super::engine::{self, Ask, EngineError, Replay, Said, Subjects};
use super::facts::{self, Counsel, Fact, Facts};
use super::fault::{FaultKind, PolicyFault};
use super::floor;
use super::grant::Grant;
use super::hearing::Rules;
use super::load;
use super::query::{Action, Decision, Principal, Query};
use super::terms::MatchTerms;
use crate::labels::Purpose;
use crate::lists::ClosedList;

/// A document that was read and passed every check.
#[derive(Debug)]
pub struct Profile {
    facts: Facts,
    policies: BTreeMap<String, Basis>,
    /// By number of the action: those that could decide it.
    by_action: Vec<Rules>,
}

/// What a policy says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Basis {
    /// The file that it stands in.
    pub file: String,
    /// The line on which it begins, from 1.
    pub line: u32,
    /// Its source, as `@basis` names it.
    pub source: String,
    /// Whether counsel confirmed it; else counsel must before real use.
    pub confirmed: bool,
}

impl Profile {
    /// Reads and checks the files of a document: name and text, in any order.
    ///
    /// # Errors
    /// Every fault that was found, each with file, line and column. A document with one fault is refused as a whole.
    pub fn from_files(files: &[(String, String)]) -> Result<Self, Vec<PolicyFault>> {
        load::check_files(files)?;
        let texts = || {
            files
                .iter()
                .map(|(name, text)| (name.as_str(), text.as_str()))
        };
        let (_, facts) = texts()
            .find(|(name, _)| *name == facts::FILE)
            .ok_or_else(|| {
                let expected = facts::FILE;
                vec![PolicyFault::document(FaultKind::Missing { expected })]
            })?;
        // The faults of both are shown together.
        let facts = facts::read(facts);
        let grants = facts.as_ref().map(|facts| &facts.grants[..]).ok();
        let cedar = texts().filter(|(name, _)| *name != facts::FILE);
        let loaded = load::read(cedar, grants);
        let (facts, loaded) = match (facts, loaded) {
            (Ok(facts), Ok(loaded)) => (facts, loaded),
            (Ok(_), Err(faults)) | (Err(faults), Ok(_)) => return Err(faults),
            (Err(mut faults), Err(more)) => {
                faults.extend(more);
                return Err(faults);
            }
        };
        if facts.counsel.is_some() {
            confirmed(&loaded.policies)?;
        }
        Ok(Self {
            facts,
            policies: loaded.policies,
            by_action: loaded.by_action,
        })
    }

    /// Whether a document may have a file of this name: `profile.toml`, or a token that ends in `.cedar`.
    #[must_use]
    pub fn is_file_name(name: &str) -> bool {
        load::is_file_name(name)
    }

    /// The name of the profile.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.facts.name
    }

    /// The law that it is written for.
    #[must_use]
    pub fn jurisdiction(&self) -> &Jurisdiction {
        &self.facts.jurisdiction
    }

    /// The purpose for which its centre asks others.
    #[must_use]
    pub fn purpose(&self) -> Purpose {
        self.facts.purpose
    }

    /// Seconds after which this document may widen what was allowed before.
    #[must_use]
    pub fn widen_after(&self) -> u64 {
        self.facts.widen_after
    }

    /// That counsel signed it off. Without it a profile runs only on a network that is flagged demo.
    #[must_use]
    pub fn signed_off(&self) -> Option<&Counsel> {
        self.facts.counsel.as_ref()
    }

    /// What it says about the law, with sources.
    #[must_use]
    pub fn facts(&self) -> &[Fact] {
        &self.facts.facts
    }

    /// The legal bases, with their dates.
    #[must_use]
    pub fn grants(&self) -> &[Grant] {
        &self.facts.grants
    }

    /// On which terms the grants that are open let a principal match for a purpose: every mode of any, and the largest quota.
    #[must_use]
    pub fn match_terms(
        &self,
        principal: &Principal,
        purpose: Purpose,
        now: Timestamp,
    ) -> MatchTerms {
        let open =
            self.facts.grants.iter().filter(|grant| {
                grant.covers(Action::Match, principal, purpose) && grant.is_open(now)
            });
        open.filter_map(|grant| grant.matching)
            .fold(MatchTerms::NONE, MatchTerms::or)
    }

    /// Every policy by its id.
    pub fn policies(&self) -> impl Iterator<Item = (&str, &Basis)> {
        self.policies.iter().map(|(id, basis)| (id.as_str(), basis))
    }

    /// What the policy with this id says of itself.
    #[must_use]
    pub fn basis(&self, id: &str) -> Option<&Basis> {
        self.policies.get(id)
    }

    /// Decides one question. The default is no. For many about the same subjects there is [`Profile::hear`].
    #[must_use]
    pub fn decide(&self, query: &Query<'_>) -> Decision {
        let decided = self.decide_alone(query);
        decided.unwrap_or_else(|error| failed(&error))
    }

    fn decide_alone(&self, query: &Query<'_>) -> Result<Decision, EngineError> {
        let subjects = Subjects::new([query.principal], [query.class])?;
        let ask = ask(query);
        let context = self.context(query.principal, &ask)?;
        engine::check(&subjects, 0, query.action, &context)?;
        let policies = &self.rules(query.action)?.all;
        let said = engine::ask(policies, &subjects, (0, query.action, 0), &context)?;
        let mut decision = Said::all(&[&said]);
        decision.valid_until = self.valid_until(query.principal, &ask);
        floor::hold(&mut decision, query.principal, &ask);
        Ok(decision)
    }

    /// Writes a question down for the `cedar` command line, which answers it from the same files with
    /// `cedar authorize --schema .. --policies .. --entities .. --request-json ..`.
    ///
    /// # Errors
    /// [`EngineError`] if the question cannot be asked.
    pub fn replay(&self, query: &Query<'_>) -> Result<Replay, EngineError> {
        let subjects = Subjects::new([query.principal], [query.class])?;
        let ask = ask(query);
        engine::replay(&subjects, &ask, self.context(query.principal, &ask)?)
    }

    /// The grants with this principal for this action and purpose, at any time.
    fn covering<'a>(
        &'a self,
        principal: &'a Principal,
        ask: &'a Ask,
    ) -> impl Iterator<Item = &'a Grant> {
        let grants = self.facts.grants.iter();
        grants.filter(|grant| grant.covers(ask.action, principal, ask.purpose))
    }

    /// The policies that could decide about an action.
    pub(super) fn rules(&self, action: Action) -> Result<&Rules, EngineError> {
        let rules = self.by_action.get(usize::from(action.bit()));
        rules.ok_or_else(EngineError::nobody)
    }

    /// When a grant that was looked at opens or ends next.
    pub(super) fn valid_until(&self, principal: &Principal, ask: &Ask) -> Option<Timestamp> {
        let covering = self.covering(principal, ask);
        covering.filter_map(|grant| grant.changes(ask.now)).min()
    }

    pub(super) fn context(&self, principal: &Principal, ask: &Ask) -> Result<Context, EngineError> {
        engine::context(ask, self.open_bases(principal, ask))
    }

    /// Ids of the grants that are open.
    pub(super) fn open_bases<'a>(
        &'a self,
        principal: &'a Principal,
        ask: &'a Ask,
    ) -> impl Iterator<Item = &'a str> {
        let covering = self.covering(principal, ask);
        let open = covering.filter(|grant| grant.is_open(ask.now));
        open.map(|grant| grant.id.as_str())
    }
}

fn ask(query: &Query<'_>) -> Ask {
    Ask {
        action: query.action,
        principal: 0,
        purpose: query.purpose,
        now: query.now,
        entry: query.entry,
    }
}

pub(super) fn failed(error: &EngineError) -> Decision {
    Decision {
        errors: vec![error.to_string()],
        ..Decision::default()
    }
}

/// With counsel's signature under the profile no policy may still wait for counsel.
fn confirmed(policies: &BTreeMap<String, Basis>) -> Result<(), Vec<PolicyFault>> {
    let waiting: Vec<_> = policies
        .values()
        .filter(|basis| !basis.confirmed)
        .map(|basis| PolicyFault {
            file: basis.file.clone(),
            line: basis.line,
            column: 1,
            kind: FaultKind::NotConfirmed,
        })
        .collect();
    if waiting.is_empty() {
        Ok(())
    } else {
        Err(waiting)
    }
}
