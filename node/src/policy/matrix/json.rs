//! The matrix for programs.

use hashpact_protocol::lists::ClosedList;
use serde_json::{Value, json};

use super::table::assumed;
use super::{Cell, Column, Matrix, Reason, Step, Verdict};
use crate::audit::at::At;
use crate::policy::class::Shown;

/// The matrix as one JSON object: `rows[].cells[]` are in the order of `columns[]`.
#[must_use]
pub fn json(matrix: &Matrix) -> Value {
    let (allowed, asked) = matrix.allowed_of_asked();
    let rows = matrix.rows.iter().map(|row| {
        json!({
            "origin": row.class.origin.as_str(),
            "jurisdiction": row.jurisdiction.as_str(),
            "class": row.class.id.map(|id| id.0),
            "name": row.class.name,
            "labels": Shown(&row.class.labels).to_string(),
            "entries": row.class.entries,
            "cells": row.cells.iter().map(cell).collect::<Vec<_>>(),
        })
    });
    let policies = matrix.policies.iter().map(|((centre, id), policy)| {
        json!({
            "centre": centre.as_str(),
            "id": id,
            "basis": policy.said.basis,
            "at": policy.said.at,
            "confirmed": policy.said.confirmed,
            "allows": policy.allows,
            "denies": policy.denies,
        })
    });
    json!({
        "at": At(matrix.plan.now).to_string(),
        "via": matrix.plan.via.as_ref().map(|via| via.as_str()),
        "entry": assumed(matrix),
        "allowed": allowed,
        "asked": asked,
        "columns": matrix.columns.iter().map(|it| column(matrix, it)).collect::<Vec<_>>(),
        "rows": rows.collect::<Vec<_>>(),
        "policies": policies.collect::<Vec<_>>(),
    })
}

fn column(matrix: &Matrix, column: &Column) -> Value {
    match column {
        Column::Centre { id, jurisdiction } => {
            json!({ "centre": id.as_str(), "jurisdiction": jurisdiction.as_str() })
        }
        Column::Member { kind, action } => {
            let kind = matrix.plan.members.get(*kind);
            json!({
                "member": kind.map(|kind| &kind.sector),
                "jurisdiction": kind.map(|kind| kind.jurisdiction.as_str()),
                "purpose": kind.map(|kind| kind.purpose.name()),
                "action": action.name(),
            })
        }
    }
}

fn cell(cell: &Cell) -> Value {
    json!({
        "verdict": cell.verdict.name(),
        "purpose": cell.purpose.map(|purpose| purpose.name()),
        "valid_until": cell.valid_until().map(|until| At(until).to_string()),
        "steps": cell.steps.iter().map(step).collect::<Vec<_>>(),
    })
}

fn step(step: &Step) -> Value {
    json!({
        "centre": step.centre.as_str(),
        "action": step.action.name(),
        "allowed": step.allowed,
        "reason": step.reason.name(),
        "policies": step.policies,
        "index": step.index,
        "errors": step.errors,
    })
}

impl Verdict {
    /// Its name for programs, and in the page's style sheet.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}

impl Reason {
    /// Its name for programs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Permitted => "permitted",
            Self::Forbidden => "forbidden",
            Self::NoPermit => "no_permit",
            Self::Floor => "floor",
            Self::Open => "open_demonstration",
            Self::NoDocument => "no_document",
            Self::Unreadable => "unreadable",
            Self::Error => "error",
            Self::Unknown => "unknown",
        }
    }
}
