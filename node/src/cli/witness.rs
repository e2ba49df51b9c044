//! `hashpact witness`: an auditor, or whoever else cosigns logs and keeps none.
//!
//! A witness's home is no node's: it has two keys, the rosters and what was cosigned last. In scope: making it, serving, and
//! saying what it holds. Out of scope: the rules (`crate::witness`).

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum_server::Handle;
use clap::{Args, Subcommand};
use hashpact_keys::{KeyUse, NetworkId, Roster, SignedRoster, Timestamp, WitnessName};
use hashpact_protocol::log::{VerifierKey, origin_hash};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::init::seed;
use super::roster::read as read_document;
use super::{Answer, Failure};
use crate::armor::Kind;
use crate::audit::at::At;
use crate::clock;
use crate::home::{Home, PassphraseSource};
use crate::http::self_signed;
use crate::page::text::counted;
use crate::store::durable::Steps;
use crate::witness::{
    LogReport, Logs, LogsError, MakeHomeError, OpenHomeError, StateError, WitnessConfig,
    WitnessHome, WitnessService, WitnessState,
};

/// How long requests under way may take when the witness stops.
const STOP: Duration = Duration::from_secs(5);

#[derive(Subcommand)]
pub(super) enum WitnessCommand {
    /// Make a witness's home with fresh keys and an empty state, and print its enrolment.
    Init(InitArgs),
    /// Take rosters: they say which logs are cosigned.
    #[command(subcommand)]
    Roster(WitnessRosterCommand),
    /// Cosign over HTTP until it is told to stop (ctrl-C). SIGHUP takes rosters that were applied meanwhile.
    Run(RunArgs),
    /// What was cosigned last, for each log.
    Status,
    /// The verifier key: who asks for cosignatures enters it among the witnesses.
    Vkey,
    /// Write the certificate with which logs are read over HTTPS, around this home's node key, and that key.
    #[command(
        after_help = "The files stay on this machine: the key is the one that the roster names. `audit mirror --identity FILE.pem+FILE.key`\nand any HTTP client take them.\n\nExample:\n  hashpact --home w1 witness certificate auditor"
    )]
    Certificate {
        /// Where: FILE.pem and FILE.key.
        file: PathBuf,
    },
}

#[derive(Args)]
#[command(
    after_help = "A witness that loses its state must not cosign again. Keep the home on a disk that lasts; a backup of it is older than\nwhat was cosigned, and is worth no more than none.\n\nExamples:\n  hashpact --home w1 witness init --name auditor.example/w1\n  hashpact --home w1 --passphrase-file w1.passphrase witness init --seal --name auditor.example/w1"
)]
pub(super) struct InitArgs {
    /// The name under which it cosigns: a domain and a path, without `https://`.
    #[arg(long)]
    name: String,
    /// The verifier key of a log outside the roster that is cosigned too; its name is the log's origin line.
    #[arg(long, value_name = "VKEY")]
    witnessed_log: Vec<String>,
    /// Seal the keys under a passphrase; a network that is not flagged demo needs it.
    #[arg(long)]
    seal: bool,
}

#[derive(Subcommand)]
pub(super) enum WitnessRosterCommand {
    /// Put rosters in force: the first of the network needs its pin, each other follows the one before.
    #[command(
        after_help = "Example:\n  hashpact --home w1 witness roster apply roster-1.txt --pin <the hash that `roster new` printed>"
    )]
    Apply {
        /// The rosters, oldest first.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// The hash of the first roster, compared out of band; needed once.
        #[arg(long, value_name = "HASH")]
        pin: Option<String>,
    },
}

#[derive(Args)]
#[command(
    after_help = "Serves POST /add-checkpoint and GET /<SHA-256 of the origin>/checkpoint (C2SP tlog-witness) as plain HTTP on a loopback\naddress; a proxy in front does TLS. The log goes to standard error and names no client.\n\nExample:\n  hashpact --home w1 witness run --listen 127.0.0.1:8081"
)]
pub(super) struct RunArgs {
    /// A loopback address and a port; port 0 is any.
    #[arg(long, value_name = "ADDRESS")]
    listen: SocketAddr,
    /// As at `witness init`, for this run.
    #[arg(long, value_name = "VKEY")]
    witnessed_log: Vec<String>,
    /// What to log: error, warn, info, debug, or a filter such as hashpact_node=debug.
    #[arg(
        long,
        default_value = "info",
        env = "HASHPACT_LOG",
        value_name = "FILTER"
    )]
    log: String,
}

/// Why a witness does not run.
#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error(
        "plain HTTP on {listen} would be open to others: listen on a loopback address, such as 127.0.0.1:8081, with a proxy in front that does TLS"
    )]
    BeyondLoopback { listen: SocketAddr },
    #[error(
        "this witness's keys are plain files, which serve a demo network only, and the roster is not flagged demo: make the home with `witness init --seal`"
    )]
    PlainKeys,
    #[error("HTTP cannot listen on {listen}: {source}")]
    Listen {
        listen: SocketAddr,
        source: io::Error,
    },
}

pub(super) fn witness(
    home: &Home,
    source: &PassphraseSource,
    command: WitnessCommand,
) -> Result<Answer, Failure> {
    let home = WitnessHome::new(home.path());
    match command {
        WitnessCommand::Init(args) => init(&home, source, &args),
        WitnessCommand::Roster(WitnessRosterCommand::Apply { files, pin }) => {
            apply(&home, &files, pin.as_deref())
        }
        WitnessCommand::Run(args) => run(&home, source, &args),
        WitnessCommand::Status => status(&home),
        WitnessCommand::Vkey => vkey(&home),
        WitnessCommand::Certificate { file } => certificate(&home, source, &file),
    }
}

fn init(home: &WitnessHome, source: &PassphraseSource, args: &InitArgs) -> Result<Answer, Failure> {
    let name: WitnessName = args.name.parse().map_err(Failure::input)?;
    let logs = vkeys(&args.witnessed_log)?;
    if !logs.is_empty() {
        Logs::of_witness(None, logs.clone()).map_err(Failure::input)?;
    }
    home.check_free().map_err(make_failure)?;
    let passphrase = match args.seal {
        true => Some(source.read_first(home.path()).map_err(Failure::input)?),
        false => None,
    };
    let config = WitnessConfig { name, logs };
    let made = home.make(&config, seed, passphrase.as_ref());
    let (key, text) = made.map_err(make_failure)?;
    eprintln!(
        "Made {}. Its enrolment goes to whoever makes the roster:",
        home.path().display()
    );
    let json = json!({
        "name": key.name(),
        "vkey": key.to_string(),
        "home": home.path(),
        "enrolment": home.enrolment(),
    });
    Ok(Answer::new(json, text))
}

fn apply(home: &WitnessHome, files: &[PathBuf], pin: Option<&str>) -> Result<Answer, Failure> {
    home.config().map_err(open_failure)?;
    let chain = files.iter().map(|file| read_document(file, Kind::Roster));
    let chain: Vec<Vec<u8>> = chain.collect::<Result<_, _>>()?;
    let pin: Option<NetworkId> = pin.map(str::parse).transpose().map_err(Failure::input)?;
    let roster = home.apply(&chain, pin.as_ref()).map_err(open_failure)?;
    let version = roster.roster().version.get();
    let text = format!("Roster {version} is in force. A running witness takes it on SIGHUP.");
    Ok(Answer::new(json!({ "roster_version": version }), text))
}

fn run(home: &WitnessHome, source: &PassphraseSource, args: &RunArgs) -> Result<Answer, Failure> {
    let filter = EnvFilter::try_new(&args.log).map_err(Failure::input)?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    // A second subscriber in one process is a test's; the first one stays.
    let _ = log.with_ansi(false).try_init();
    let listen = args.listen;
    if !listen.ip().to_canonical().is_loopback() {
        return Err(Failure::input(RunError::BeyondLoopback { listen }));
    }
    let mut stock = home.config().map_err(open_failure)?.logs;
    stock.extend(vkeys(&args.witnessed_log)?);
    let roster = home.roster().map_err(open_failure)?;
    // Asked before the passphrase is: without its state no key may cosign.
    let key = home.public_key().map_err(state_failure)?;
    let keys = home.keys(source).map_err(open_failure)?;
    let logs = logs(roster, &stock, keys.sealed, &key)?;
    let key = VerifierKey::new(key.name(), key.kind(), keys.witness.public());
    let state = WitnessState::open(&home.state(), key, Steps::default()).map_err(state_failure)?;
    let service = Arc::new(WitnessService::new(keys.witness, logs, state));
    let reload = |service: &WitnessService| {
        let logs = logs_again(home, &stock, keys.sealed, service.key());
        logs.map(|logs| service.set_logs(logs))
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(Failure::failed)?;
    let ended = runtime.block_on(serve(&service, listen, reload));
    runtime.shutdown_timeout(STOP);
    ended
}

fn logs_again(
    home: &WitnessHome,
    stock: &[VerifierKey],
    sealed: bool,
    key: &VerifierKey,
) -> Result<Logs, Failure> {
    logs(home.roster().map_err(open_failure)?, stock, sealed, key)
}

/// The logs that are cosigned under a roster, if these keys may serve its network.
fn logs(
    roster: Option<SignedRoster>,
    stock: &[VerifierKey],
    sealed: bool,
    key: &VerifierKey,
) -> Result<Logs, Failure> {
    let roster = roster.map(|roster| roster.roster().clone());
    if let Some(roster) = &roster {
        if !roster.demo && !sealed {
            return Err(Failure::no(RunError::PlainKeys));
        }
        if !is_listed(roster, key) {
            tracing::warn!(version = %roster.version, "the roster does not list this witness's key: its cosignatures do not count");
        }
    }
    Logs::of_witness(roster, stock.to_vec()).map_err(logs_failure)
}

/// Serves until a signal.
async fn serve(
    service: &Arc<WitnessService>,
    listen: SocketAddr,
    reload: impl Fn(&WitnessService) -> Result<(), Failure>,
) -> Result<Answer, Failure> {
    let fault = |source| Failure::failed(RunError::Listen { listen, source });
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::failed)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(Failure::failed)?;
    let listener = TcpListener::bind(listen).map_err(fault)?;
    listener.set_nonblocking(true).map_err(fault)?;
    let address = listener.local_addr().map_err(fault)?;
    let handle = Handle::new();
    let server = axum_server::from_tcp(listener).map_err(fault)?;
    let app = Arc::clone(service).router().into_make_service();
    let mut serving = tokio::spawn(server.handle(handle.clone()).http1_only().serve(app));
    tracing::info!(vkey = %service.key(), "cosigning at http://{address}; ctrl-C stops it");
    loop {
        tokio::select! {
            ended = &mut serving => {
                ended.map_err(Failure::failed)?.map_err(fault)?;
                break;
            }
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            _ = hangup.recv() => match reload(service) {
                Ok(()) => tracing::info!("the rosters were read again"),
                Err(failure) => tracing::error!("the rosters stay as they were: {}", failure.text),
            },
        }
    }
    tracing::info!("stopping");
    handle.graceful_shutdown(Some(STOP));
    // The server ends by itself within the bound; what it says then changes nothing.
    if !serving.is_finished() {
        let _ = tokio::time::timeout(STOP * 2, serving).await;
    }
    let json = json!({ "stopped": true, "name": service.key().name() });
    Ok(Answer::new(json, String::new()))
}

fn status(home: &WitnessHome) -> Result<Answer, Failure> {
    let config = home.config().map_err(open_failure)?;
    let key = home.public_key().map_err(state_failure)?;
    let roster = home.roster().map_err(open_failure)?;
    let roster = roster.as_ref().map(SignedRoster::roster);
    let reports = WitnessState::report(&home.state(), &key).map_err(state_failure)?;
    let logs = Logs::of_witness(roster.cloned(), config.logs);
    let origins = logs.map(|logs| logs.origins()).unwrap_or_default();
    let not_begun = origins.iter().filter(|origin| {
        let hash = hex::encode(origin_hash(origin));
        !reports.iter().any(|report| report.origin_hash == hash)
    });
    let mut logs: Vec<Value> = reports.iter().map(|r| reported(r, &origins)).collect();
    logs.extend(not_begun.map(|origin| json!({ "origin": origin, "state": "not begun" })));
    let listed = roster.map(|roster| is_listed(roster, &key));
    let mut text = format!("{key}\n");
    text.push_str(&match (roster, listed) {
        (Some(roster), Some(true)) => format!("Roster {} lists this witness.\n", roster.version),
        (Some(roster), _) => format!("Roster {} does not list this witness.\n", roster.version),
        (None, _) => "No roster.\n".to_owned(),
    });
    for log in &logs {
        let line = match log["state"].as_str() {
            Some("cosigned") => format!(
                "size {}, cosigned at {}, evidence kept: {}, {} refused",
                log["size"],
                At(Timestamp::new(log["cosigned_at"].as_u64().unwrap_or(0))),
                counted(log["forks"].as_u64().unwrap_or(0), "fork|forks"),
                log["refused"]
            ),
            Some(state) => state.to_owned(),
            None => String::new(),
        };
        let name = log["origin"].as_str().or(log["origin_hash"].as_str());
        text.push_str(&format!("  {}  {line}\n", name.unwrap_or_default()));
    }
    let json = json!({
        "name": key.name(),
        "vkey": key.to_string(),
        "roster_version": roster.map(|roster| roster.version.get()),
        "listed": listed,
        "logs": logs,
    });
    Ok(Answer::new(json, text))
}

fn reported(report: &LogReport, origins: &[String]) -> Value {
    let Some(cosigned) = &report.cosigned else {
        let mut known = origins.iter();
        let origin = known.find(|origin| hex::encode(origin_hash(origin)) == report.origin_hash);
        return json!({
            "origin": origin,
            "origin_hash": report.origin_hash,
            "state": "damaged: nothing is cosigned for this log",
        });
    };
    json!({
        "origin": cosigned.head.origin,
        "origin_hash": report.origin_hash,
        "state": "cosigned",
        "size": cosigned.head.size,
        "root": hex::encode(cosigned.head.root),
        "cosigned_at": cosigned.at.get(),
        "forks": report.forks,
        "refused": report.refused,
    })
}

fn vkey(home: &WitnessHome) -> Result<Answer, Failure> {
    home.config().map_err(open_failure)?;
    let key = home.public_key().map_err(state_failure)?;
    let key_id = key.key().key_id().to_string();
    let json = json!({ "name": key.name(), "vkey": key.to_string(), "key_id": key_id });
    Ok(Answer::new(json, key.to_string()))
}

fn certificate(
    home: &WitnessHome,
    source: &PassphraseSource,
    file: &Path,
) -> Result<Answer, Failure> {
    let config = home.config().map_err(open_failure)?;
    let keys = home.keys(source).map_err(open_failure)?;
    let identity = self_signed(&keys.node_seed, config.name.as_str()).map_err(Failure::failed)?;
    let (certificate, key) = (file.with_extension("pem"), file.with_extension("key"));
    // Made for its owner only, and never over another file.
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    for (path, text) in [
        (&key, identity.key_pem.as_bytes()),
        (&certificate, identity.certificate_pem.as_bytes()),
    ] {
        let named = |error| Failure::failed(format!("{}: {error}", path.display()));
        let mut out = options.open(path).map_err(named)?;
        out.write_all(text).map_err(named)?;
    }
    let text = format!("{} and {}", certificate.display(), key.display());
    let json = json!({ "certificate": certificate, "key": key });
    Ok(Answer::new(json, text))
}

/// Whether a roster has this key for this name, at this time.
fn is_listed(roster: &Roster, key: &VerifierKey) -> bool {
    let name: Option<WitnessName> = key.name().parse().ok();
    let entry = name.and_then(|name| roster.witness(&name));
    entry.is_some_and(|entry| {
        let id = key.key().key_id();
        entry.key(KeyUse::Witness, id, clock::now()) == Ok(key.key())
    })
}

fn vkeys(texts: &[String]) -> Result<Vec<VerifierKey>, Failure> {
    let keys = texts
        .iter()
        .map(|text| text.parse().map_err(Failure::input));
    keys.collect()
}

fn logs_failure(error: LogsError) -> Failure {
    Failure::input(error)
}

fn make_failure(error: MakeHomeError) -> Failure {
    match error {
        MakeHomeError::Exists { .. } => Failure::no(error),
        MakeHomeError::Seal(hashpact_keys::sealed::SealError::Short(_))
        | MakeHomeError::Enrolment(_)
        | MakeHomeError::Toml(_) => Failure::input(error),
        MakeHomeError::State(state) => state_failure(state),
        MakeHomeError::Key(_) | MakeHomeError::Seal(_) | MakeHomeError::Io { .. } => {
            Failure::failed(error)
        }
    }
}

fn open_failure(error: OpenHomeError) -> Failure {
    match error {
        OpenHomeError::Roster(_) => Failure::no(error),
        OpenHomeError::Missing { .. }
        | OpenHomeError::Toml { .. }
        | OpenHomeError::Name { .. }
        | OpenHomeError::Log { .. }
        | OpenHomeError::Passphrase(_)
        | OpenHomeError::Unseal(_)
        | OpenHomeError::NoPin
        | OpenHomeError::NoRoster => Failure::input(error),
        OpenHomeError::Key(_)
        | OpenHomeError::ReadSealed(_)
        | OpenHomeError::KeySet(_)
        | OpenHomeError::Io { .. } => Failure::failed(error),
    }
}

fn state_failure(error: StateError) -> Failure {
    match error {
        StateError::Lost { .. } | StateError::OtherKey { .. } | StateError::Exists { .. } => {
            Failure::no(error)
        }
        StateError::Marker { .. } | StateError::Locked { .. } | StateError::Io { .. } => {
            Failure::failed(error)
        }
    }
}
