//! The labels of a class as a person types and reads them: `state=assessed, tlp=AMBER, purposes=triage|remove`.
//!
//! What is not stated is unknown, which means the same as everywhere: an uncertain label could be anything, and nothing is
//! granted. In scope: the text. Out of scope: what the labels mean (`hashpact_protocol::labels`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use hashpact_keys::Jurisdiction;
use hashpact_protocol::labels::{Labels, LabelsError, LegalBasis, LegalStatus, State, Tlp};
use hashpact_protocol::lists::{ClosedList, Set};

/// The names of the labels, in the order in which they are shown.
const LABELS: [&str; 17] = [
    "state",
    "content_class",
    "depiction",
    "media_kind",
    "age_claim",
    "minor_certain",
    "self_generated",
    "context_flags",
    "legal_basis",
    "illegal_in",
    "not_illegal_in",
    "applicable_law",
    "tlp",
    "hops",
    "recipients",
    "purposes",
    "residency",
];
/// Who states a legal status that was typed: policy does not look at it.
const TYPED: &str = "typed";

/// Labels that were typed, for any origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassText {
    labels: Labels,
}

/// Why a text is no class.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClassTextError {
    /// A part without `=`.
    #[error("{got:?}: expected label=value, as in \"state=assessed, purposes=triage|remove\"")]
    Shape {
        /// The part.
        got: String,
    },
    /// A label that there is not.
    #[error("{got:?} is no label: there are {}", LABELS.join(", "))]
    Label {
        /// The text.
        got: String,
    },
    /// A label that is stated twice.
    #[error("{label} is stated twice: join its values with |")]
    Repeated {
        /// The label.
        label: &'static str,
    },
    /// A value that the label does not have.
    #[error("{label}={got}: expected {expected}")]
    Value {
        /// The label.
        label: &'static str,
        /// The text.
        got: String,
        /// What would do.
        expected: String,
    },
    /// Together they are no class.
    #[error(transparent)]
    Labels(#[from] LabelsError),
}

impl ClassText {
    /// The labels of a class whose origin works under this law, where its entries may always rest.
    #[must_use]
    pub fn at(&self, origin: &Jurisdiction) -> Labels {
        let mut labels = self.labels.clone();
        labels.residency.insert(origin.clone());
        labels
    }
}

impl FromStr for ClassText {
    type Err = ClassTextError;

    fn from_str(text: &str) -> Result<Self, ClassTextError> {
        let mut parts = Parts(BTreeMap::new());
        for part in text.split(',').map(str::trim).filter(|it| !it.is_empty()) {
            let (label, value) = part.split_once('=').ok_or_else(|| ClassTextError::Shape {
                got: part.to_owned(),
            })?;
            let known = LABELS.into_iter().find(|known| *known == label.trim());
            let label = known.ok_or_else(|| ClassTextError::Label {
                got: label.trim().to_owned(),
            })?;
            if parts.0.insert(label, value.trim()).is_some() {
                return Err(ClassTextError::Repeated { label });
            }
        }
        let labels = Labels {
            media_kind: parts.set("media_kind", Set::full())?,
            content_class: parts.set("content_class", Set::full())?,
            state: parts.one("state", State::Suspected)?,
            depiction: parts.set("depiction", Set::full())?,
            minor_certain: parts.flag("minor_certain")?,
            age_claim: parts.set("age_claim", Set::full())?,
            self_generated: parts.set("self_generated", Set::full())?,
            context_flags: parts.set("context_flags", Set::empty())?,
            legal_basis: parts.one("legal_basis", LegalBasis::None)?,
            legal_status: parts.status()?,
            residency: parts.codes("residency")?,
            applicable_law: parts.codes("applicable_law")?,
            tlp: parts.one("tlp", Tlp::Red)?,
            hops: parts.hops()?,
            recipients: parts.set("recipients", Set::empty())?,
            purposes: parts.set("purposes", Set::empty())?,
        };
        labels.check()?;
        Ok(Self { labels })
    }
}

/// The stated values by label.
struct Parts<'a>(BTreeMap<&'static str, &'a str>);

impl Parts<'_> {
    fn values(&self, label: &str) -> Option<impl Iterator<Item = &str>> {
        let text = self.0.get(label)?;
        Some(text.split('|').map(str::trim))
    }

    fn set<T: ClosedList>(
        &self,
        label: &'static str,
        unknown: Set<T>,
    ) -> Result<Set<T>, ClassTextError> {
        match self.0.get(label) {
            None => return Ok(unknown),
            Some(&"*") => return Ok(Set::full()),
            Some(&"") => return Ok(Set::empty()),
            Some(_) => {}
        }
        let values = self.values(label).into_iter().flatten();
        let values: Result<Vec<T>, _> = values.map(|value| word(label, value)).collect();
        Ok(Set::of(&values?))
    }

    fn one<T: ClosedList>(&self, label: &'static str, unknown: T) -> Result<T, ClassTextError> {
        let value = self.0.get(label);
        value.map_or(Ok(unknown), |value| word(label, value))
    }

    fn flag(&self, label: &'static str) -> Result<bool, ClassTextError> {
        match self.0.get(label).copied() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(got) => Err(value(label, got, "true or false".to_owned())),
        }
    }

    fn hops(&self) -> Result<u8, ClassTextError> {
        let fault = |got| value("hops", got, "0, 1, 2 or 3".to_owned());
        let hops = self.0.get("hops").copied();
        hops.map_or(Ok(0), |got| got.parse().map_err(|_| fault(got)))
    }

    fn codes(&self, label: &'static str) -> Result<BTreeSet<Jurisdiction>, ClassTextError> {
        let stated = self.values(label).into_iter().flatten();
        stated
            .filter(|code| !code.is_empty())
            .map(|code| {
                let expected = || "jurisdictions such as EU|CA, two letters A-Z each".to_owned();
                code.parse().map_err(|_| value(label, code, expected()))
            })
            .collect()
    }

    fn status(&self) -> Result<Vec<LegalStatus>, ClassTextError> {
        let mut list = Vec::new();
        for (label, illegal) in [("illegal_in", true), ("not_illegal_in", false)] {
            list.extend(self.codes(label)?.into_iter().map(|jurisdiction| {
                let body = TYPED.to_owned();
                LegalStatus {
                    jurisdiction,
                    illegal,
                    body,
                }
            }));
        }
        list.sort();
        Ok(list)
    }
}

fn word<T: ClosedList>(label: &'static str, got: &str) -> Result<T, ClassTextError> {
    T::from_name(got).ok_or_else(|| {
        let names: Vec<&str> = T::VALUES.iter().map(|(_, name)| *name).collect();
        value(label, got, names.join(", "))
    })
}

fn value(label: &'static str, got: &str, expected: String) -> ClassTextError {
    ClassTextError::Value {
        label,
        got: got.to_owned(),
        expected,
    }
}

/// Shows labels in the form in which they are typed; what is unknown is left out.
pub struct Shown<'a>(pub &'a Labels);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let labels = self.0;
        let status = |illegal| {
            let those = labels.legal_status.iter();
            codes(
                those
                    .filter(move |status| status.illegal == illegal)
                    .map(|status| &status.jurisdiction),
            )
        };
        let texts = LABELS.map(|label| match label {
            "state" => Some(labels.state.name().to_owned()),
            "content_class" => uncertain(labels.content_class),
            "depiction" => uncertain(labels.depiction),
            "media_kind" => uncertain(labels.media_kind),
            "age_claim" => uncertain(labels.age_claim),
            "minor_certain" => labels.minor_certain.then(|| "true".to_owned()),
            "self_generated" => uncertain(labels.self_generated),
            "context_flags" => granted(labels.context_flags),
            "legal_basis" => Some(labels.legal_basis.name().to_owned()),
            "illegal_in" => status(true),
            "not_illegal_in" => status(false),
            "applicable_law" => codes(labels.applicable_law.iter()),
            "tlp" => Some(labels.tlp.name().to_owned()),
            "hops" => Some(labels.hops.to_string()),
            "recipients" => granted(labels.recipients),
            "purposes" => granted(labels.purposes),
            "residency" => codes(labels.residency.iter()),
            _ => None,
        });
        let stated = LABELS.iter().zip(texts);
        let stated = stated.filter_map(|(label, text)| Some(format!("{label}={}", text?)));
        f.write_str(&stated.collect::<Vec<_>>().join(", "))
    }
}

fn uncertain<T: ClosedList>(set: Set<T>) -> Option<String> {
    (!set.is_full()).then(|| names(set))
}

fn granted<T: ClosedList>(set: Set<T>) -> Option<String> {
    match set.is_full() {
        true => Some("*".to_owned()),
        false => (!set.is_empty()).then(|| names(set)),
    }
}

fn names<T: ClosedList>(set: Set<T>) -> String {
    set.names().collect::<Vec<_>>().join("|")
}

fn codes<'a>(list: impl Iterator<Item = &'a Jurisdiction>) -> Option<String> {
    let codes: Vec<&str> = list.map(Jurisdiction::as_str).collect();
    (!codes.is_empty()).then(|| codes.join("|"))
}

#[cfg(test)]
mod tests {
    use hashpact_protocol::labels::Purpose;

    use super::*;

    #[test]
    fn what_is_not_stated_is_unknown() {
        let class: ClassText = "".parse().unwrap();
        let labels = class.at(&"EU".parse().unwrap());
        assert!(labels.depiction.is_full() && labels.purposes.is_empty());
        assert_eq!(
            Shown(&labels).to_string(),
            "state=suspected, legal_basis=none, tlp=RED, hops=0, residency=EU"
        );
    }

    #[test]
    fn every_label_reads_back_as_it_is_shown() {
        let text = "state=assessed, content_class=csam, depiction=real|manipulated, media_kind=image, age_claim=actual, \
                    minor_certain=true, self_generated=not_indicated, context_flags=viral, legal_basis=statutory, \
                    illegal_in=CA, not_illegal_in=NZ, applicable_law=CA, tlp=AMBER+STRICT, hops=2, recipients=centre|le, \
                    purposes=remove|triage, residency=CA|EU";
        let labels = text
            .parse::<ClassText>()
            .unwrap()
            .at(&"EU".parse().unwrap());
        assert!(labels.purposes.contains(Purpose::Triage));
        assert_eq!(Shown(&labels).to_string(), text);
    }

    #[test]
    fn all_of_a_granted_label_is_shown_as_it_is_typed() {
        let class: ClassText = "purposes=*, context_flags=viral".parse().unwrap();
        let labels = class.at(&"EU".parse().unwrap());
        let shown = Shown(&labels).to_string();
        assert!(shown.contains("purposes=*") && shown.contains("context_flags=viral"));
        assert!(!shown.contains("recipients"), "{shown}");
    }

    #[test]
    fn a_typed_mistake_is_named_with_what_would_do() {
        let fault = |text: &str| text.parse::<ClassText>().unwrap_err().to_string();
        assert!(fault("state").starts_with("\"state\": expected label=value"));
        assert!(fault("status=assessed").starts_with("\"status\" is no label: there are state,"));
        assert_eq!(
            fault("tlp=GREEN"),
            "tlp=GREEN: expected RED, AMBER+STRICT, AMBER"
        );
        assert!(fault("purposes=triage, purposes=remove").contains("join its values with |"));
        assert!(fault("hops=many").contains("0, 1, 2 or 3"));
        assert!(fault("hops=4").contains("4 hops"));
        assert!(fault("residency=Europe").contains("two letters"));
        // Known to be nothing is not the same as unknown.
        assert!(fault("depiction=").contains("must not be empty"));
        assert!(fault("illegal_in=CA, not_illegal_in=CA").contains("repeats itself"));
    }
}
