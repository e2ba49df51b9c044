//! `hashpact run`.

use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

use super::init::home_failure;
use super::{Answer, Failure};
use crate::config::{Checked, Config};
use crate::control;
use crate::daemon::{Daemon, RunError};
use crate::home::{Home, NodeKeys, PassphraseSource};
use crate::store::durable::Steps;

/// How long threads that are at work may take to notice that the node stops.
const STRAGGLERS: Duration = Duration::from_secs(5);

#[derive(Args)]
#[command(
    after_help = "The log goes to standard error and never holds a fingerprint or a key.\n\nExample:\n  hashpact --home eu run --log info"
)]
pub(super) struct RunArgs {
    /// What to log: error, warn, info, debug, or a filter such as hashpact_node=debug.
    #[arg(
        long,
        default_value = "info",
        env = "HASHPACT_LOG",
        value_name = "FILTER"
    )]
    log: String,
    /// This disk is the newest copy: sign without hearing first how much of this centre's log others have seen. If the
    /// disk is an old copy after all, this forks the log.
    #[arg(long)]
    disk_is_current: bool,
    /// Ends the process at this durable step, for tests of what survives.
    #[arg(long, hide = true, value_name = "N")]
    stop_at_step: Option<u64>,
}

pub(super) fn run(
    home: Home,
    source: &PassphraseSource,
    args: &RunArgs,
) -> Result<Answer, Failure> {
    let filter = EnvFilter::try_new(&args.log).map_err(Failure::input)?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // A second subscriber in one process is a test's; the first one stays.
    let _ = log.with_ansi(false).try_init();
    let _lock = home.lock().map_err(home_failure)?;
    let checked = Config::read(&home.config()).map_err(Failure::input)?;
    let began = Instant::now();
    let keys = home.unlock(source).map_err(home_failure)?;
    if keys.is_sealed() {
        tracing::info!(ms = began.elapsed().as_millis(), "keys unsealed");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(Failure::failed)?;
    let steps = args
        .stop_at_step
        .map_or_else(Steps::default, Steps::stop_at);
    let ended = runtime.block_on(serve(home, keys, checked, steps, args.disk_is_current));
    // A file that is being read must not keep a node from stopping: nothing of it counts before its last commit.
    runtime.shutdown_timeout(STRAGGLERS);
    ended
}

/// Runs until a signal, or until a commit fails.
async fn serve(
    home: Home,
    keys: NodeKeys,
    checked: Checked,
    steps: Steps,
    disk_is_current: bool,
) -> Result<Answer, Failure> {
    let socket = home.socket();
    let centre = checked.centre.to_string();
    let mut daemon = Daemon::start(&home, &keys, checked, steps).map_err(run_failure)?;
    if disk_is_current {
        daemon.trust_disk();
    }
    // Each part has the keys that it signs or seals with; the rest need not stay in memory.
    drop(keys);
    let (stop_in, stop) = watch::channel(false);
    let control = tokio::spawn({
        let (handle, stop, socket) = (daemon.handle(), stop.clone(), socket.clone());
        async move { control::serve(&socket, handle, stop).await }
    });
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::failed)?;
    tracing::info!(%centre, socket = %socket.display(), "running; ctrl-C stops it");
    let mut running = tokio::spawn(daemon.run(stop));
    let ended = tokio::select! {
        ended = &mut running => ended,
        _ = interrupt.recv() => stopped(&stop_in, &mut running).await,
        _ = terminate.recv() => stopped(&stop_in, &mut running).await,
    };
    let _ = stop_in.send(true);
    let ended = ended.map_err(|_| Failure::failed(RunError::Task))?;
    // The socket disappears with the control task; its fault matters less than the daemon's.
    let control = control.await;
    ended.map_err(run_failure)?;
    control
        .map_err(|_| Failure::failed(RunError::Task))?
        .map_err(Failure::failed)?;
    Ok(Answer::new(
        json!({ "stopped": true, "centre": centre }),
        String::new(),
    ))
}

type Running = tokio::task::JoinHandle<Result<(), RunError>>;

async fn stopped(
    stop: &watch::Sender<bool>,
    running: &mut Running,
) -> Result<Result<(), RunError>, tokio::task::JoinError> {
    tracing::info!("stopping");
    let _ = stop.send(true);
    running.await
}

pub(super) fn run_failure(error: RunError) -> Failure {
    match error {
        RunError::NoRoster
        | RunError::Start(_)
        | RunError::Config(_)
        | RunError::Client(_)
        | RunError::NewOrigin { .. } => Failure::input(error),
        RunError::PlainKeys => Failure::no(error),
        RunError::Home(_)
        | RunError::Open(_)
        | RunError::Witness(_)
        | RunError::Credentials(_)
        | RunError::Roster(_)
        | RunError::Net(_)
        | RunError::Commit(_)
        | RunError::Io(_)
        | RunError::Random(_)
        | RunError::Task => Failure::failed(error),
    }
}
