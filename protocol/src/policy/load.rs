//! Reading the policies of a document, strictly.
//!
//! Why: a policy that is misread decides about everything, so whatever is unclear is refused, with file, line and column.
//! In scope: files, syntax, annotations, the schema. Out of scope: how uncertain labels may be asked (`forms`).

mod complexity;

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use cedar_policy::{
    ActionConstraint, EntityUid, Policy, PolicyId, PolicySet, ValidationMode, Validator,
};
use miette::Diagnostic;

use super::engine::MODEL;
use super::facts::{self, is_prose};
use super::fault::{FaultKind, PolicyFault};
use super::forms;
use super::grant::Grant;
use super::hearing::Rules;
use super::profile::Basis;
use super::query::Action;
use crate::labels::is_token;
use crate::limits;
use crate::lists::ClosedList;

/// The policies of a document.
pub(super) struct Loaded {
    pub(super) policies: BTreeMap<String, Basis>,
    pub(super) by_action: Vec<Rules>,
}

/// Checks what is known before anything is read: length, number and names.
pub(super) fn check_files(files: &[(String, String)]) -> Result<(), Vec<PolicyFault>> {
    let document = |kind| Err(vec![PolicyFault::document(kind)]);
    let got = files.iter().map(|(name, text)| name.len() + text.len());
    let got = got.fold(0_usize, usize::saturating_add);
    if got > limits::POLICY_BYTES {
        let max = limits::POLICY_BYTES;
        return document(FaultKind::TooLong { max, got });
    }
    let (max, got) = (limits::POLICY_FILES, files.len());
    if got > max {
        return document(FaultKind::TooManyFiles { max, got });
    }
    let mut names = BTreeSet::new();
    let mut faults = Vec::new();
    for (name, _) in files {
        if !is_file_name(name) {
            faults.push(PolicyFault::file(name, FaultKind::FileName));
        }
        if !names.insert(name) {
            faults.push(PolicyFault::file(name, FaultKind::RepeatedFile));
        }
    }
    if names.iter().all(|name| name.as_str() == facts::FILE) {
        let expected = ".cedar file";
        faults.push(PolicyFault::document(FaultKind::Missing { expected }));
    }
    if faults.is_empty() {
        Ok(())
    } else {
        Err(faults)
    }
}

/// Whether a document may have a file of this name.
pub(super) fn is_file_name(name: &str) -> bool {
    let stem = name.strip_suffix(".cedar");
    name == facts::FILE || stem.is_some_and(|stem| is_token(stem, limits::POLICY_FILE_NAME_BYTES))
}

/// Reads the files of policies. `grants` are those that policies may name; nothing if they could not be read.
pub(super) fn read<'a>(
    files: impl Iterator<Item = (&'a str, &'a str)>,
    grants: Option<&[Grant]>,
) -> Result<Loaded, Vec<PolicyFault>> {
    let mut reading = Reading {
        grants,
        set: PolicySet::new(),
        texts: BTreeMap::new(),
        policies: BTreeMap::new(),
        faults: Vec::new(),
    };
    for (file, text) in files {
        reading.file(file, text);
    }
    reading.validate();
    if !reading.faults.is_empty() {
        // Cedar yields them in hash order.
        reading.faults.sort_by_cached_key(place);
        reading.faults.dedup();
        return Err(reading.faults);
    }
    let by_action = Action::VALUES.iter().map(|(action, _)| reading.of(*action));
    match by_action.collect::<Option<Vec<_>>>() {
        Some(by_action) => Ok(Loaded {
            by_action,
            policies: reading.policies,
        }),
        None => Err(reading.faults),
    }
}

fn place(fault: &PolicyFault) -> (String, u32, u32, String) {
    let PolicyFault {
        file,
        line,
        column,
        kind,
    } = fault;
    (file.clone(), *line, *column, kind.to_string())
}

struct Reading<'a> {
    grants: Option<&'a [Grant]>,
    set: PolicySet,
    /// The file and its text, by policy.
    texts: BTreeMap<String, (&'a str, &'a str)>,
    policies: BTreeMap<String, Basis>,
    faults: Vec<PolicyFault>,
}

impl<'a> Reading<'a> {
    fn fault(&mut self, (file, text): (&str, &str), at: usize, kind: FaultKind) {
        self.faults.push(PolicyFault::at(file, text, at, kind));
    }

    fn file(&mut self, file: &'a str, text: &'a str) {
        // Reading and evaluating recurse, so what is too deep is not even parsed.
        if let Err(at) = complexity::check(text) {
            return self.fault((file, text), at, FaultKind::TooComplex);
        }
        let set = match PolicySet::from_str(text) {
            Ok(set) => set,
            Err(errors) => {
                for error in errors.iter() {
                    let said = words(error);
                    self.fault((file, text), offset(error), FaultKind::Syntax { said });
                }
                return;
            }
        };
        for template in set.templates() {
            let at = template.as_ref().loc().map_or(0, |loc| loc.start());
            self.fault((file, text), at, FaultKind::Template);
        }
        for policy in set.policies() {
            self.policy((file, text), policy);
        }
    }

    fn policy(&mut self, source: (&'a str, &'a str), policy: &Policy) {
        let at = policy.as_ref().loc().map_or(0, |loc| loc.start());
        let ids = self.grants;
        for (at, kind) in forms::check(policy.as_ref(), ids) {
            self.fault(source, at, kind);
        }
        let Some((id, basis)) = self.annotations(source, at, policy) else {
            return;
        };
        if self.policies.len() == limits::POLICY_COUNT {
            let max = limits::POLICY_COUNT;
            return self.fault(source, at, FaultKind::TooManyPolicies { max });
        }
        if self.policies.contains_key(&id) {
            return self.fault(source, at, FaultKind::RepeatedId { id });
        }
        if let Err(error) = self.set.add(policy.new_id(PolicyId::new(&id))) {
            let said = error.to_string();
            return self.fault(source, at, FaultKind::Syntax { said });
        }
        self.texts.insert(id.clone(), source);
        self.policies.insert(id, basis);
    }

    /// The id and what the policy says of itself; nothing if an annotation is missing, malformed or unknown.
    fn annotations(
        &mut self,
        source: (&str, &str),
        at: usize,
        policy: &Policy,
    ) -> Option<(String, Basis)> {
        let before = self.faults.len();
        let mut unknown: Vec<_> = policy
            .annotations()
            .map(|(name, _)| name.to_owned())
            .collect();
        unknown.retain(|name| !["id", "basis", "counsel"].contains(&name.as_str()));
        unknown.sort_unstable();
        for name in unknown {
            self.fault(source, at, FaultKind::UnknownAnnotation { name });
        }
        let mut expect = |name, value: Option<&str>, expected| {
            if value.is_none() {
                self.fault(source, at, FaultKind::Annotation { name, expected });
            }
            value.unwrap_or_default().to_owned()
        };
        let id = policy.annotation("id");
        let id = id.filter(|id| is_token(id, limits::POLICY_ID_BYTES));
        let id = expect("id", id, "\"..\": 1 to 64 characters of a-z, 0-9 and '-'");
        let basis = policy.annotation("basis").filter(|basis| is_prose(basis));
        let basis = expect(
            "basis",
            basis,
            "\"..\": the source, 1 to 1000 bytes on one line",
        );
        let counsel = policy.annotation("counsel");
        let counsel = counsel.filter(|says| ["confirm", "confirmed"].contains(says));
        let counsel = expect("counsel", counsel, "\"confirm\") or (\"confirmed\"");
        if self.faults.len() > before {
            return None;
        }
        let place = PolicyFault::at(source.0, source.1, at, FaultKind::Template);
        Some((
            id,
            Basis {
                file: place.file,
                line: place.line,
                source: basis,
                confirmed: counsel == "confirmed",
            },
        ))
    }

    /// Strict validation against the schema. What Cedar only warns of, such as a policy that can never apply, is a typo
    /// here.
    fn validate(&mut self) {
        let validator = Validator::new(MODEL.schema.clone());
        let result = validator.validate(&self.set, ValidationMode::Strict);
        let errors = result.validation_errors();
        let mut found: Vec<_> = errors
            .map(|error| (error.policy_id().to_string(), offset(error), words(error)))
            .collect();
        let warnings = result.validation_warnings();
        found.extend(warnings.map(|it| (it.policy_id().to_string(), offset(it), words(it))));
        for (id, at, said) in found {
            let source = self.texts.get(&id).copied().unwrap_or_default();
            self.fault(source, at, FaultKind::Schema { said });
        }
    }

    /// The policies that could decide about this action.
    fn of(&self, action: Action) -> Option<Rules> {
        let uid = MODEL.action(action);
        let those = self.set.policies().filter(|policy| concerns(policy, uid));
        Rules::of(those.cloned())
    }
}

fn concerns(policy: &Policy, action: &EntityUid) -> bool {
    match policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::In(actions) => actions.contains(action),
        ActionConstraint::Eq(only) => only == *action,
    }
}

/// Where Cedar points, in bytes; 0 if it does not.
fn offset(error: &impl Diagnostic) -> usize {
    let mut labels = error.labels().into_iter().flatten();
    labels.next().map_or(0, |label| label.offset())
}

/// What Cedar says, with its advice.
fn words(error: &impl Diagnostic) -> String {
    match error.help() {
        Some(help) => format!("{error}: {help}"),
        None => error.to_string(),
    }
}
