//! What may be asked of the testnet.
#![allow(clippy::print_stdout, reason = "printing is what a command line does")]

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::bench::{self, BenchArgs};
use crate::scenario::{self, Plan};

/// Four centres on this machine exchange signed deltas of real hash lists, and an auditor verifies them.
///
/// Real processes, real lists (checksums from Debian), a real adversary. Ends by itself: exit code 0 if every check holds.
/// `hashpact-testnet node ARGS` is the `hashpact` program itself.
#[derive(Parser)]
#[command(
    name = "hashpact-testnet",
    version,
    after_help = "Examples:\n  hashpact-testnet\n  hashpact-testnet --json > outcome.json\n  hashpact-testnet --list eu=my-list.csv --keep\n  hashpact-testnet --entries 100000\n  hashpact-testnet --policy\n  hashpact-testnet bench --entries 1000000"
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// One JSON object at the end, and nothing else, on standard output.
    #[arg(long)]
    json: bool,
    /// Ingest one's own list at a centre; its profile stands beside it as .toml.
    #[arg(long, value_name = "CENTRE=FILE", value_parser = own_list)]
    list: Vec<(String, PathBuf)>,
    /// Generate this many synthetic entries a centre instead of the carried lists.
    #[arg(long, value_name = "N", conflicts_with = "list")]
    entries: Option<u64>,
    /// Chooses the bit that is flipped in the auditor's copy of the logs.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Only the centres under four laws, and what goes where between them.
    #[arg(long, conflicts_with_all = ["list", "entries"])]
    policy: bool,
    /// Only a provider that matches its list at one of these centres.
    #[arg(long, conflicts_with_all = ["list", "entries", "policy"])]
    matching: bool,
    /// Only a provider that keeps a copy of what one of these centres lets it have.
    #[arg(long, conflicts_with_all = ["list", "entries", "policy", "matching"])]
    subset: bool,
    /// Keep the homes and the auditor's copy of the logs, and say where they are and how to talk to them.
    #[arg(long)]
    keep: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Measure, beside a named reference in the same run.
    Bench(BenchArgs),
}

/// Runs one command line, the program's name first.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    match dispatch(cli) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("hashpact-testnet: {error:#}");
            ExitCode::from(3)
        }
    }
}

fn dispatch(cli: Cli) -> Result<bool> {
    if let Some(Command::Bench(args)) = cli.command {
        let outcome = bench::run(&args)?;
        println!("{}", serde_json::to_string(&outcome)?);
        return Ok(true);
    }
    let plan = Plan {
        lists: cli.list.into_iter().collect(),
        entries: cli.entries,
        seed: cli.seed,
        keep: cli.keep,
        policy: cli.policy,
        matching: cli.matching,
        subset: cli.subset,
    };
    let outcome = scenario::run(&plan)?;
    if cli.json {
        println!("{}", serde_json::to_string(&outcome)?);
    } else {
        println!("{}", outcome.describe());
    }
    Ok(outcome.is_ok())
}

fn own_list(text: &str) -> std::result::Result<(String, PathBuf), String> {
    let (centre, file) = text.split_once('=').ok_or("it takes CENTRE=FILE")?;
    if !scenario::has_list(centre) {
        return Err(format!("there is no centre {centre}"));
    }
    Ok((centre.to_owned(), PathBuf::from(file)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_without_a_centre_of_the_testnet_is_refused() {
        for bad in ["list.csv", "", "eu:list.csv", "xx=list.csv"] {
            let parsed = Cli::try_parse_from(["hashpact-testnet", "--list", bad]);
            let error = parsed.err().unwrap();
            assert_eq!(
                error.kind(),
                clap::error::ErrorKind::ValueValidation,
                "{bad:?}"
            );
        }
    }

    #[test]
    fn list_names_its_centre_before_the_first_sign() {
        assert_eq!(
            own_list("eu=a=b.csv"),
            Ok(("eu".to_owned(), PathBuf::from("a=b.csv")))
        );
    }

    #[test]
    fn own_lists_and_synthetic_entries_exclude_each_other() {
        let parse = |args: &[&str]| Cli::try_parse_from(["hashpact-testnet"].iter().chain(args));
        assert!(parse(&["--list", "eu=a.csv", "--keep"]).is_ok());
        let both = parse(&["--list", "eu=a.csv", "--entries", "5"])
            .err()
            .unwrap();
        assert_eq!(both.kind(), clap::error::ErrorKind::ArgumentConflict);
        let word = parse(&["--entries", "many"]).err().unwrap();
        assert_eq!(word.kind(), clap::error::ErrorKind::ValueValidation);
    }
}
