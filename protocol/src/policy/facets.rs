//! What a policy looks at of a class, and of who asks.
//!
//! Why: classes that are alike in all that a policy reads have one answer (`hearing`), and so have principals. In scope: the
//! names of what is read, and what a class or a principal has under each. Out of scope: what policies see (`engine`).

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{Policy, PrincipalConstraint, ResourceConstraint};
use cedar_policy_core::ast::{Expr, ExprKind, Var};
use hashpact_keys::Jurisdiction;

use super::query::{ClassFacts, Principal};
use crate::lists::ClosedList;

/// The attributes of one class, by their names in the schema, as `tlp` or `maybe.depiction`.
pub(super) type Facets = BTreeMap<&'static str, String>;

/// What a policy reads of a class; nothing if the class stands in it otherwise.
pub(super) fn read_by(policy: &Policy) -> Option<BTreeSet<String>> {
    let scope = matches!(policy.resource_constraint(), ResourceConstraint::Any);
    let mut facets = read_of(policy, Var::Resource).filter(|_| scope)?;
    // The two records are never looked at as a whole: the accepted forms see to that.
    facets.retain(|facet| facet != "maybe" && facet != "granted");
    Some(facets)
}

/// What a policy reads of who asks, beside the type; nothing if who asks stands in it otherwise.
pub(super) fn read_of_asker(policy: &Policy) -> Option<BTreeSet<String>> {
    let scope = match policy.principal_constraint() {
        PrincipalConstraint::Any | PrincipalConstraint::Is(_) => true,
        PrincipalConstraint::In(_) | PrincipalConstraint::Eq(_) | PrincipalConstraint::IsIn(..) => {
            false
        }
    };
    read_of(policy, Var::Principal).filter(|_| scope)
}

/// The attributes of a variable that a policy reads; nothing if it uses it in another way.
fn read_of(policy: &Policy, variable: Var) -> Option<BTreeSet<String>> {
    let is_it = |expr: &Expr| matches!(expr.expr_kind(), ExprKind::Var(var) if *var == variable);
    let (mut facets, mut variables, mut read) = (BTreeSet::new(), 0, 0);
    // A policy without a condition reads nothing.
    let condition = policy.as_ref().non_scope_constraints();
    for part in condition.into_iter().flat_map(Expr::subexpressions) {
        if is_it(part) {
            variables += 1;
        }
        let ExprKind::GetAttr { expr, attr } = part.expr_kind() else {
            continue;
        };
        if is_it(expr) {
            read += 1;
            facets.insert(attr.to_string());
        } else if let ExprKind::GetAttr { expr, attr: of } = expr.expr_kind()
            && is_it(expr)
        {
            facets.insert(format!("{of}.{attr}"));
        }
    }
    (variables == read).then_some(facets)
}

/// An attribute of who asks, by its name in the schema; nothing for one that it does not have.
pub(super) fn of_asker<'a>(principal: &'a Principal, attribute: &str) -> Option<&'a str> {
    match (attribute, principal) {
        ("id", _) => Some(principal.id()),
        ("jurisdiction", _) => Some(principal.jurisdiction().as_str()),
        ("sector", Principal::Member { sector, .. }) => Some(sector),
        _ => None,
    }
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
