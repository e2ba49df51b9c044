//! What is typed at a shell.
//!
//! Exit codes: 0 done, 1 the answer is no, 2 wrong usage or input, 3 the other side or the machine failed. Every command
//! has `--json`: one JSON object on standard output (`ingest` and nothing else prints report lines before it). Messages for
//! people go to standard error when standard output is JSON.
#![allow(clippy::print_stdout, reason = "printing is what a command line does")]

mod ask;
mod attest;
mod audit;
mod credential;
mod dispute;
mod gateway;
mod ingest;
mod init;
mod key;
mod lookup;
mod matching;
mod member;
mod order;
mod overlap;
mod policy;
mod prove;
mod roster;
mod run;
mod witness;

use std::error::Error;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use serde_json::{Value, json};

use crate::control::client::ClientError;
use crate::control::{Fault, FaultKind, chain};
use crate::home::{Home, PassphraseSource};

/// Share signed hash lists between centres.
#[derive(Parser)]
#[command(name = "hashpact", version, about, long_about = None, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  hashpact init --home eu --centre eu --jurisdiction EU --domain eu.example --listen /ip4/0.0.0.0/udp/4010/quic-v1
  hashpact roster key root.key
  hashpact roster new --demo --root root.key --enrol eu/enrolment.txt --enrol us/enrolment.txt --out roster-1.txt
  hashpact --home eu roster apply roster-1.txt --pin <the hash that `roster new` printed>
  hashpact --home eu run
  hashpact --home eu ingest list.csv --profile list.toml
  hashpact --home eu status";

#[derive(Args)]
struct Global {
    /// The node's home folder.
    #[arg(
        long,
        global = true,
        env = "HASHPACT_HOME",
        default_value = "hashpact-home",
        value_name = "DIR"
    )]
    home: PathBuf,
    /// One JSON object on standard output.
    #[arg(long, global = true)]
    json: bool,
    /// Read the passphrase of sealed keys from the first line of this file, which only its owner may read.
    #[arg(
        long,
        global = true,
        env = "HASHPACT_PASSPHRASE_FILE",
        value_name = "FILE",
        hide_env_values = true
    )]
    passphrase_file: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Make a node's home with fresh keys, and print its enrolment.
    Init(init::InitArgs),
    /// Print the enrolment again, after a change of addresses in the configuration or with the policy keys of two people.
    Enrol(init::EnrolArgs),
    /// Run the node until it is told to stop (ctrl-C).
    Run(run::RunArgs),
    /// What the running node holds, mirrors and has seen.
    Status,
    /// Take a hash list in: check it, sign it, log it.
    Ingest(ingest::IngestArgs),
    /// Retract entries of this centre's own; every centre applies it.
    Retract(ask::RetractArgs),
    /// Attest entries: what an assessor of this centre says of them.
    Attest(Box<attest::AttestArgs>),
    /// Contest an entry of another centre, or stop doing so.
    Dispute(dispute::DisputeArgs),
    /// What is said of this centre's entries: list it, answer it.
    #[command(subcommand)]
    Feedback(dispute::FeedbackCommand),
    /// What takes two people: hold entries back, release more.
    #[command(subcommand)]
    Order(order::OrderCommand),
    /// Which entries have a fingerprint.
    Lookup(lookup::LookupArgs),
    /// Check a list against what a centre holds and may not share, without either list being shown.
    Match(matching::MatchArgs),
    /// How much of this centre's own list each other centre holds too, as a table and a page; nobody's list is shown.
    Overlap(overlap::OverlapArgs),
    /// List, seal and renew the node's own keys.
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Prove and verify what is logged.
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// What the gateway is: its OpenAPI description.
    #[command(subcommand)]
    Gateway(gateway::GatewayCommand),
    /// Who may check lists here: the register of this centre's members.
    #[command(subcommand)]
    Member(member::MemberCommand),
    /// Check profiles, say what they decide, and make, sign and apply the documents that are made of them.
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Make, sign, read and apply rosters.
    #[command(subcommand)]
    Roster(roster::RosterCommand),
    /// Cosign logs over HTTP, as an auditor does.
    #[command(subcommand)]
    Witness(witness::WitnessCommand),
}

/// Why a command failed, with its exit code.
#[derive(Debug)]
pub struct Failure {
    code: u8,
    text: String,
    detail: Option<Value>,
}

impl Failure {
    fn no(why: impl Into<Box<dyn Error>>) -> Self {
        Self::new(1, why)
    }

    fn input(why: impl Into<Box<dyn Error>>) -> Self {
        Self::new(2, why)
    }

    fn failed(why: impl Into<Box<dyn Error>>) -> Self {
        Self::new(3, why)
    }

    fn new(code: u8, why: impl Into<Box<dyn Error>>) -> Self {
        Self {
            code,
            text: chain(&*why.into()),
            detail: None,
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Fault(Fault { kind, text, detail }) => {
                let code = match kind {
                    FaultKind::No => 1,
                    FaultKind::Input => 2,
                    FaultKind::Failed => 3,
                };
                Self { code, text, detail }
            }
            ClientError::NotRunning { .. }
            | ClientError::Io(_)
            | ClientError::Form(_)
            | ClientError::Closed => Self::failed(error),
        }
    }
}

/// What a command prints, and its exit code.
struct Answer {
    json: Value,
    text: String,
    code: u8,
}

impl Answer {
    fn new(json: Value, text: String) -> Self {
        Self {
            json,
            text,
            code: 0,
        }
    }
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
    let json = cli.global.json;
    // Before any key is read: what follows may hold some in memory.
    let answer = crate::dumps::forbid().map_err(Failure::failed);
    match answer.and_then(|()| dispatch(cli)) {
        Ok(answer) => {
            let text = match json {
                true => answer.json.to_string(),
                false => answer.text.trim_end().to_owned(),
            };
            match print(&text) {
                Ok(()) => ExitCode::from(answer.code),
                Err(error) => {
                    eprintln!("hashpact: standard output: {error}");
                    ExitCode::from(3)
                }
            }
        }
        Err(failure) => {
            if json {
                let mut object = json!({ "error": failure.text });
                if let (Some(detail), Some(object)) = (failure.detail, object.as_object_mut()) {
                    object.insert("detail".to_owned(), detail);
                }
                println!("{object}");
            }
            eprintln!("hashpact: {}", failure.text);
            ExitCode::from(failure.code)
        }
    }
}

/// Prints an answer. Whoever reads only the beginning, as `head` does, has what it wants.
fn print(text: &str) -> io::Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn dispatch(cli: Cli) -> Result<Answer, Failure> {
    let home = Home::new(cli.global.home);
    let json = cli.global.json;
    let source = PassphraseSource::of_process(cli.global.passphrase_file);
    match cli.command {
        Command::Init(args) => init::init(&home, &source, &args),
        Command::Enrol(args) => init::enrol(&home, &source, &args),
        Command::Run(args) => run::run(home, &source, &args),
        Command::Status => ask::status(&home),
        Command::Ingest(args) => ingest::ingest(&home, &args, json),
        Command::Retract(args) => ask::retract(&home, &args),
        Command::Attest(args) => attest::run(&home, &args),
        Command::Dispute(args) => dispute::dispute(&home, args),
        Command::Feedback(command) => dispute::feedback(&home, command),
        Command::Order(command) => order::order(&home, &source, &command),
        Command::Lookup(args) => lookup::lookup(&home, &args),
        Command::Match(args) => matching::run(&home, &args),
        Command::Overlap(args) => overlap::run(&home, &args),
        Command::Key(command) => key::key(&home, &source, &command),
        Command::Audit(command) => audit::audit(&home, &source, &command),
        Command::Gateway(command) => gateway::gateway(&command),
        Command::Member(command) => member::member(&home, &command, json),
        Command::Policy(command) => policy::policy(&home, &source, &command),
        Command::Roster(command) => roster::roster(&home, &source, command),
        Command::Witness(command) => witness::witness(&home, &source, command),
    }
}
