//! `hashpact policy`: profiles, the documents that are made of them, and what they decide.
//!
//! In scope: what is typed and printed. Out of scope: what is found out (`crate::policy`) and decided
//! (`hashpact_protocol::policy`).

mod check;
mod diff;
mod document;
mod entry;
mod explain;
pub(super) mod key;
mod matrix;

use clap::Subcommand;
use comfy_table::{ContentArrangement, Table, presets};

use super::{Answer, Failure};
use crate::home::{Home, PassphraseSource};

#[derive(Subcommand)]
pub(super) enum PolicyCommand {
    /// Check profiles: every fault with its file, line and column.
    Check(check::CheckArgs),
    /// Say whether a class may go from one to another, who denies it, and on what basis.
    Explain(explain::ExplainArgs),
    /// Say what a change of policy would newly share, recall and withhold, per class and peer.
    Diff(diff::DiffArgs),
    /// Make keys for the people who sign policy documents.
    #[command(subcommand)]
    Key(key::PolicyKeyCommand),
    /// Draft the next policy document of a node's log from a profile.
    New(document::NewArgs),
    /// Add a person's signature to a policy document.
    Sign(document::SignArgs),
    /// Say what a policy document is and who is said to have signed it.
    Show(document::ShowArgs),
    /// Hand a policy document to the running node, which logs it.
    Apply(document::ApplyArgs),
    /// Show every class and everybody who could receive it: allowed or denied, by which policy, on what basis.
    Matrix(matrix::MatrixArgs),
}

pub(super) fn policy(
    home: &Home,
    source: &PassphraseSource,
    command: &PolicyCommand,
) -> Result<Answer, Failure> {
    match command {
        PolicyCommand::Check(args) => check::run(args),
        PolicyCommand::Explain(args) => explain::run(home, args),
        PolicyCommand::Diff(args) => diff::run(home, args),
        PolicyCommand::Key(command) => key::run(source, command),
        PolicyCommand::New(args) => document::new(home, source, args),
        PolicyCommand::Sign(args) => document::sign(source, args),
        PolicyCommand::Show(args) => document::show(args),
        PolicyCommand::Apply(args) => document::apply(home, args),
        PolicyCommand::Matrix(args) => matrix::run(home, args),
    }
}

/// Columns of a table that goes to no terminal.
const WIDTH: u16 = 120;

/// A table that fits where it is read.
fn table(header: impl IntoIterator<Item = &'static str>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    if table.width().is_none() {
        table.set_width(WIDTH);
    }
    table.set_header(header.into_iter().collect::<Vec<_>>());
    table
}
