//! What may be asked of the testnet.
#![allow(clippy::print_stdout, reason = "printing is what a command line does")]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};

use crate::bench::{self, BenchArgs};
use crate::scenario::{self, Plan};

/// Four centres on this machine exchange signed deltas of real hash lists.
///
/// Real processes, real lists (checksums from Debian), a real adversary. Ends by itself: exit code 0 if every check holds.
/// `hashpact-testnet node ARGS` is the `hashpact` program itself.
#[derive(Parser)]
#[command(
    name = "hashpact-testnet",
    version,
    after_help = "Examples:\n  hashpact-testnet\n  hashpact-testnet --json > outcome.json\n  hashpact-testnet --list eu=my-list.csv --keep\n  hashpact-testnet --entries 100000\n  hashpact-testnet bench --entries 1000000"
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// One JSON object at the end, and nothing else, on standard output.
    #[arg(long)]
    json: bool,
    /// Ingest one's own list at a centre; its profile stands beside it as .toml.
    #[arg(long, value_name = "CENTRE=FILE")]
    list: Vec<String>,
    /// Generate this many synthetic entries a centre instead of the carried lists.
    #[arg(long, value_name = "N", conflicts_with = "list")]
    entries: Option<u64>,
    /// Keep the homes and say how to talk to them.
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
        lists: own_lists(&cli.list)?,
        entries: cli.entries,
        keep: cli.keep,
        quiet: cli.json,
    };
    let outcome = scenario::run(&plan)?;
    if cli.json {
        println!("{}", serde_json::to_string(&outcome)?);
    } else {
        println!("{}", outcome.describe());
    }
    Ok(outcome.is_ok())
}

fn own_lists(args: &[String]) -> Result<BTreeMap<String, PathBuf>> {
    let pair = |text: &String| {
        let (centre, file) = text.split_once('=').context("--list takes CENTRE=FILE")?;
        Ok((centre.to_owned(), PathBuf::from(file)))
    };
    args.iter().map(pair).collect()
}
