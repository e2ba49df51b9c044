//! What a policy looks at of a class.
//!
//! Why: classes that are alike in all that a policy reads have one answer (`hearing`). In scope: the names of what is read,
//! and what a class has under each. Out of scope: what policies see (`engine`).

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{Policy, ResourceConstraint};
use cedar_policy_core::ast::{Expr, ExprKind, Var};
use hashpact_keys::Jurisdiction;

use super::query::ClassFacts;
use crate::lists::ClosedList;

/// The attributes of one class, by their names in the schema, as `tlp` or `maybe.depiction`.
pub(super) type Facets = BTreeMap<&'static str, String>;

/// What a policy reads of a class; nothing if the class stands in it otherwise.
pub(super) fn read_by(policy: &Policy) -> Option<BTreeSet<String>> {
    let (mut facets, mut variables, mut read) = (BTreeSet::new(), 0, 0);
    let condition = policy.as_ref().non_scope_constraints()?;
    for part in condition.subexpressions() {
        if is_class(part) {
            variables += 1;
        }
        let ExprKind::GetAttr { expr, attr } = part.expr_kind() else {
            continue;
        };
        if is_class(expr) {
            read += 1;
            facets.insert(attr.to_string());
        } else if let ExprKind::GetAttr { expr, attr: of } = expr.expr_kind()
            && is_class(expr)
        {
            facets.insert(format!("{of}.{attr}"));
        }
    }
    // The two records are never looked at as a whole: the accepted forms see to that.
    facets.retain(|facet| facet != "maybe" && facet != "granted");
    let scope = matches!(policy.resource_constraint(), ResourceConstraint::Any);
    (scope && variables == read).then_some(facets)
}

fn is_class(expr: &Expr) -> bool {
    matches!(expr.expr_kind(), ExprKind::Var(Var::Resource))
}

/// Every attribute of a class as text: two classes are alike in one exactly if its texts are equal.
pub(super) fn of(class: ClassFacts<'_>) -> Facets {
    let labels = class.labels;
    let bits = |bits: u16| bits.to_string();
    let status = |illegal| {
        let those = labels.legal_status.iter();
        let those = those.filter(move |status| status.illegal == illegal);
        joined(those.map(|status| &status.jurisdiction))
    };
    BTreeMap::from([
        ("origin", class.origin.to_string()),
        ("jurisdiction", class.jurisdiction.to_string()),
        ("state", labels.state.name().to_owned()),
        ("minor_certain", labels.minor_certain.to_string()),
        ("legal_basis", labels.legal_basis.name().to_owned()),
        ("tlp", labels.tlp.name().to_owned()),
        ("hops", labels.hops.to_string()),
        ("context_flags", bits(labels.context_flags.bits())),
        ("illegal_in", status(true)),
        ("not_illegal_in", status(false)),
        ("applicable_law", joined(labels.applicable_law.iter())),
        ("maybe.media_kind", bits(labels.media_kind.bits())),
        ("maybe.content_class", bits(labels.content_class.bits())),
        ("maybe.depiction", bits(labels.depiction.bits())),
        ("maybe.age_claim", bits(labels.age_claim.bits())),
        ("maybe.self_generated", bits(labels.self_generated.bits())),
        ("granted.purposes", bits(labels.purposes.bits())),
        ("granted.recipients", bits(labels.recipients.bits())),
        ("granted.residency", joined(labels.residency.iter())),
    ])
}

fn joined<'a>(list: impl Iterator<Item = &'a Jurisdiction>) -> String {
    list.map(Jurisdiction::as_str).collect()
}
