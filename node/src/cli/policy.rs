//! `hashpact policy`: profiles, the documents that are made of them, and what they decide.
//!
//! In scope: what is typed and printed. Out of scope: what is found out (`crate::policy`) and decided
//! (`hashpact_protocol::policy`).

mod check;
mod explain;
mod matrix;

use clap::Subcommand;

use super::{Answer, Failure};
use crate::home::Home;

#[derive(Subcommand)]
pub(super) enum PolicyCommand {
    /// Check profiles: every fault with its file, line and column.
    Check(check::CheckArgs),
    /// Say whether a class may go from one to another, who denies it, and on what basis.
    Explain(explain::ExplainArgs),
    /// Show every class and everybody who could receive it: allowed or denied, by which policy, on what basis.
    Matrix(matrix::MatrixArgs),
}

pub(super) fn policy(home: &Home, command: &PolicyCommand) -> Result<Answer, Failure> {
    match command {
        PolicyCommand::Check(args) => check::run(args),
        PolicyCommand::Explain(args) => explain::run(home, args),
        PolicyCommand::Matrix(args) => matrix::run(home, args),
    }
}
