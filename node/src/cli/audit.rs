//! `hashpact audit`: what whoever does not trust a centre can verify.

use clap::Subcommand;

use super::prove::{CheckArgs, ProveArgs, check, prove};
use super::{Answer, Failure};
use crate::home::Home;

#[derive(Subcommand)]
pub(super) enum AuditCommand {
    /// Write proofs of one entry, or of one leaf of a log, that verify offline.
    Prove(ProveArgs),
    /// Say what proofs show, offline.
    Check(CheckArgs),
}

pub(super) fn audit(home: &Home, command: &AuditCommand) -> Result<Answer, Failure> {
    match command {
        AuditCommand::Prove(args) => prove(home, args),
        AuditCommand::Check(args) => check(args),
    }
}
