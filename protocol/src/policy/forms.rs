//! How a condition may ask about labels.
//!
//! Why: an uncertain label is a set of what could be true, and a condition on it must stay right whatever is true: what
//! permits must hold for every value, what forbids must fire for any. Cedar's set operators say so in two forms, which are
//! told apart by whether the place in the condition helps to allow or to deny. Everything else on such a label is refused,
//! and so is a text that its list does not have. Spec: `docs/policy.md`, "Uncertain labels".

use cedar_policy_core::ast::{BinaryOp, Effect, Expr, ExprKind, Literal, Policy, UnaryOp, Var};

use super::fault::{FaultKind, FormFault};
use super::grant::Grant;
use super::words::{List, list_of};

/// Walks the condition of a policy; each fault with its offset in bytes. Terms other than these cannot hide a label:
/// only `resource` leads to labels, and only by these names.
pub(super) fn check(policy: &Policy, grants: Option<&[Grant]>) -> Vec<(usize, FaultKind)> {
    let mut walk = Walk {
        grants,
        start: policy.loc().map_or(0, |loc| loc.start()),
        faults: Vec::new(),
    };
    let mode = match policy.effect() {
        Effect::Permit => Mode::All,
        Effect::Forbid => Mode::Any,
    };
    if let Some(condition) = policy.non_scope_constraints() {
        walk.formula(condition, mode);
    }
    walk.faults
}

/// What the truth of a part of a condition does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// It can only help to allow, so it must hold for all values.
    All,
    /// It can only help to deny, so any value counts.
    Any,
}

impl Mode {
    fn flipped(self) -> Self {
        match self {
            Self::All => Self::Any,
            Self::Any => Self::All,
        }
    }
}

/// What an expression asks of `resource`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Label {
    Maybe,
    Granted,
}

struct Walk<'a> {
    grants: Option<&'a [Grant]>,
    start: usize,
    faults: Vec<(usize, FaultKind)>,
}

impl Walk<'_> {
    fn fault(&mut self, expr: &Expr, kind: FaultKind) {
        let at = expr.source_loc().map_or(self.start, |loc| loc.start());
        self.faults.push((at, kind));
    }

    fn form(&mut self, expr: &Expr, fault: FormFault) {
        self.fault(expr, FaultKind::Form(fault));
    }

    /// A part whose truth value counts with this mode.
    fn formula(&mut self, expr: &Expr, mode: Mode) {
        let kind = expr.expr_kind();
        if let ExprKind::And { left, right } | ExprKind::Or { left, right } = kind {
            self.formula(left, mode);
            self.formula(right, mode);
        } else if let ExprKind::UnaryApp { op, arg } = kind
            && *op == UnaryOp::Not
        {
            self.formula(arg, mode.flipped());
        } else if let ExprKind::BinaryApp { op, arg1, arg2 } = kind {
            match (op, label(arg1), label(arg2)) {
                (BinaryOp::ContainsAll, None, Some(Label::Maybe)) if is_literal_set(arg1) => {
                    self.uncertain(expr, arg2, arg1, (mode, Mode::All));
                }
                (BinaryOp::ContainsAny, Some(Label::Maybe), None) if is_literal_set(arg2) => {
                    self.uncertain(expr, arg1, arg2, (mode, Mode::Any));
                }
                (BinaryOp::Contains, Some(Label::Granted), None) => {
                    if mode == Mode::Any {
                        self.form(expr, FormFault::Granted);
                    }
                    self.compare(expr, arg1, arg2);
                    self.plain(arg2);
                }
                (_, _, _) => self.plain(expr),
            }
        } else {
            self.plain(expr);
        }
    }

    /// An accepted form, if it stands where its mode is asked for.
    fn uncertain(&mut self, expr: &Expr, label: &Expr, set: &Expr, (asked, is): (Mode, Mode)) {
        match asked {
            Mode::All if is == Mode::Any => self.form(expr, FormFault::All),
            Mode::Any if is == Mode::All => self.form(expr, FormFault::Any),
            Mode::All | Mode::Any => {}
        }
        self.compare(expr, label, set);
    }

    /// A part in which no uncertain or granted label may occur.
    fn plain(&mut self, expr: &Expr) {
        match expr.expr_kind() {
            ExprKind::GetAttr { expr: of, attr } => match attr.as_str() {
                "maybe" | "granted" => self.form(expr, FormFault::Other),
                "now" => self.form(expr, FormFault::Now),
                _ => self.parts(of),
            },
            ExprKind::HasAttr { expr: of, attr } => match attr.as_str() {
                "maybe" | "granted" => self.form(expr, FormFault::Other),
                _ => self.parts(of),
            },
            ExprKind::ExtHasAttr { expr: of, attrs } => {
                if attrs
                    .iter()
                    .any(|attr| matches!(attr.as_str(), "maybe" | "granted"))
                {
                    self.form(expr, FormFault::Other);
                }
                self.parts(of);
            }
            // The context as a whole holds the time.
            ExprKind::Var(Var::Context) => self.form(expr, FormFault::Now),
            ExprKind::Like { expr: of, .. } => {
                if list_of(of).is_some() {
                    self.form(expr, FormFault::Like);
                }
                self.plain(of);
            }
            ExprKind::BinaryApp { op, arg1, arg2 } => {
                match op {
                    BinaryOp::Eq
                    | BinaryOp::Contains
                    | BinaryOp::ContainsAll
                    | BinaryOp::ContainsAny => self.compare(expr, arg1, arg2),
                    BinaryOp::Less
                    | BinaryOp::LessEq
                    | BinaryOp::Add
                    | BinaryOp::Sub
                    | BinaryOp::Mul
                    | BinaryOp::In
                    | BinaryOp::GetTag
                    | BinaryOp::HasTag => {}
                }
                self.plain(arg1);
                self.plain(arg2);
            }
            ExprKind::If {
                test_expr,
                then_expr,
                else_expr,
            } => [test_expr, then_expr, else_expr]
                .into_iter()
                .for_each(|part| self.plain(part)),
            ExprKind::And { left, right } | ExprKind::Or { left, right } => {
                self.plain(left);
                self.plain(right);
            }
            ExprKind::UnaryApp { arg, .. } => self.plain(arg),
            ExprKind::ExtensionFunctionApp { args, .. } => {
                args.iter().for_each(|part| self.plain(part));
            }
            ExprKind::Set(parts) => parts.iter().for_each(|part| self.plain(part)),
            ExprKind::Record(parts) => parts.values().for_each(|part| self.plain(part)),
            ExprKind::Is { expr: of, .. } => self.plain(of),
            ExprKind::Lit(_) | ExprKind::Var(_) | ExprKind::Slot(_) | ExprKind::Unknown(_) => {}
        }
    }

    /// What an attribute is read from: here `context` may stand, as only the attribute is looked at.
    fn parts(&mut self, of: &Expr) {
        if !matches!(of.expr_kind(), ExprKind::Var(_)) {
            self.plain(of);
        }
    }

    /// Checks the texts of a comparison against the list of its other side.
    fn compare(&mut self, expr: &Expr, one: &Expr, other: &Expr) {
        match (list_of(one), list_of(other)) {
            (Some(a), Some(b)) if a != b => self.form(expr, FormFault::Lists),
            (Some(list), None) => self.texts(other, list),
            (None, Some(list)) => self.texts(one, list),
            (Some(_), Some(_)) | (None, None) => {}
        }
    }

    fn texts(&mut self, expr: &Expr, list: List) {
        if let ExprKind::Set(parts) = expr.expr_kind() {
            parts.iter().for_each(|part| self.texts(part, list));
        }
        let ExprKind::Lit(Literal::String(text)) = expr.expr_kind() else {
            return;
        };
        let known = match self.grants {
            Some(grants) if list == List::Grants => {
                grants.iter().any(|grant| grant.id == text.as_str())
            }
            Some(_) | None => list.holds(text),
        };
        if !known {
            let got = text.to_string();
            let list = list.name();
            self.fault(expr, FaultKind::Word { got, list });
        }
    }
}

/// Whether the expression is `resource.maybe.x` or `resource.granted.x`.
fn label(expr: &Expr) -> Option<Label> {
    let ExprKind::GetAttr { expr: group, .. } = expr.expr_kind() else {
        return None;
    };
    let ExprKind::GetAttr { expr: of, attr } = group.expr_kind() else {
        return None;
    };
    let label = match attr.as_str() {
        "maybe" => Label::Maybe,
        "granted" => Label::Granted,
        _ => return None,
    };
    matches!(of.expr_kind(), ExprKind::Var(Var::Resource)).then_some(label)
}

fn is_literal_set(expr: &Expr) -> bool {
    let ExprKind::Set(parts) = expr.expr_kind() else {
        return false;
    };
    let text = |part: &Expr| matches!(part.expr_kind(), ExprKind::Lit(Literal::String(_)));
    !parts.is_empty() && parts.iter().all(text)
}
