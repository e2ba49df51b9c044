//! Which list the value of an attribute is from, so that a text that could never equal it is a typo.

use cedar_policy_core::ast::{Expr, ExprKind, Var};
use hashpact_keys::Jurisdiction;

use crate::labels::{
    AgeClaim, ContentClass, ContextFlag, Depiction, LegalBasis, MediaKind, Purpose, Recipient,
    SelfGenerated, State, Tlp,
};
use crate::lists::ClosedList;

/// The list of an attribute's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    MediaKind,
    ContentClass,
    State,
    Depiction,
    AgeClaim,
    SelfGenerated,
    ContextFlag,
    LegalBasis,
    Tlp,
    Recipient,
    Purpose,
    Countries,
    Grants,
}

impl List {
    /// Whether the list has this text. Of grants only the document knows.
    pub(super) fn holds(self, text: &str) -> bool {
        fn named<T: ClosedList>(text: &str) -> bool {
            T::from_name(text).is_some()
        }
        match self {
            Self::MediaKind => named::<MediaKind>(text),
            Self::ContentClass => named::<ContentClass>(text),
            Self::State => named::<State>(text),
            Self::Depiction => named::<Depiction>(text),
            Self::AgeClaim => named::<AgeClaim>(text),
            Self::SelfGenerated => named::<SelfGenerated>(text),
            Self::ContextFlag => named::<ContextFlag>(text),
            Self::LegalBasis => named::<LegalBasis>(text),
            Self::Tlp => named::<Tlp>(text),
            Self::Recipient => named::<Recipient>(text),
            Self::Purpose => named::<Purpose>(text),
            Self::Countries => text.parse::<Jurisdiction>().is_ok(),
            Self::Grants => true,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::MediaKind => "a kind of medium",
            Self::ContentClass => "a content class",
            Self::State => "a state",
            Self::Depiction => "a kind of depiction",
            Self::AgeClaim => "a claim about age",
            Self::SelfGenerated => "a self-generated context",
            Self::ContextFlag => "a context flag",
            Self::LegalBasis => "a legal basis",
            Self::Tlp => "a TLP label",
            Self::Recipient => "a kind of recipient",
            Self::Purpose => "a purpose",
            Self::Countries => "a jurisdiction of two letters A-Z",
            Self::Grants => "the id of a grant in profile.toml",
        }
    }
}

/// The list that the values of this expression are from; nothing for names, numbers and texts.
pub(super) fn list_of(expr: &Expr) -> Option<List> {
    let (var, path) = path(expr)?;
    match (var, path.as_slice()) {
        (Var::Principal | Var::Resource, ["jurisdiction"])
        | (Var::Resource, ["illegal_in" | "not_illegal_in" | "applicable_law"])
        | (Var::Resource, ["granted", "residency"]) => Some(List::Countries),
        (Var::Resource, ["state"]) | (Var::Context, ["entry", "state"]) => Some(List::State),
        (Var::Resource, ["legal_basis"]) => Some(List::LegalBasis),
        (Var::Resource, ["tlp"]) => Some(List::Tlp),
        (Var::Resource, ["context_flags"]) => Some(List::ContextFlag),
        (Var::Resource, ["maybe", "media_kind"]) => Some(List::MediaKind),
        (Var::Resource, ["maybe", "content_class"]) => Some(List::ContentClass),
        (Var::Resource, ["maybe", "depiction"]) => Some(List::Depiction),
        (Var::Resource, ["maybe", "age_claim"]) => Some(List::AgeClaim),
        (Var::Resource, ["maybe", "self_generated"]) => Some(List::SelfGenerated),
        (Var::Resource, ["granted", "recipients"]) => Some(List::Recipient),
        (Var::Resource, ["granted", "purposes"]) | (Var::Context, ["purpose"]) => {
            Some(List::Purpose)
        }
        (Var::Context, ["bases"]) => Some(List::Grants),
        (Var::Principal | Var::Action | Var::Resource | Var::Context, _) => None,
    }
}

/// The variable and the attributes read from it, outermost first.
fn path(expr: &Expr) -> Option<(Var, Vec<&str>)> {
    if let ExprKind::Var(var) = expr.expr_kind() {
        return Some((*var, Vec::new()));
    }
    let ExprKind::GetAttr { expr, attr } = expr.expr_kind() else {
        return None;
    };
    let (var, mut path) = path(expr)?;
    path.push(attr);
    Some((var, path))
}
