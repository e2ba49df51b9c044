//! `hashpact member sync`: a verified local copy of what this member may have.

use std::io::{IsTerminal as _, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::super::matching::member_failure;
use super::super::{Answer, Failure};
use crate::clock;
use crate::home::Home;
use crate::matching::member::MemberHome;
use crate::page::text::counted;
use crate::store::durable::Steps;
use crate::sync::{
    Api, ApiConfig, ApiError, Bounds, CopyError, FolderError, Pass, Phase, Progress, Report,
    SyncError, Trust, address_of,
};

/// The variable that may hold the token.
const TOKEN: &str = "HASHPACT_TOKEN";
/// Bytes of a token's file at most.
const TOKEN_BYTES_MAX: u64 = 1_024;
/// Between two lines where there is no terminal.
const EVERY: Duration = Duration::from_secs(5);
/// Between two tries of a server that fails, at most.
const PATIENCE_S: u64 = 3_600;

#[derive(Args)]
#[command(
    after_help = "The folder then holds subset.idx, which `hashpact member check` matches with, state.json, and the packs as their\norigins signed them. Everything is verified to the rosters of the member's home before it counts. A pass that was cut or\nkilled goes on where it was. When all of it is applied, retractions too, and the index is written, the centre is told.\n\nIf the centre gives this member nothing any more (403), or was not heard for a week, the index is removed: nothing is\nmatched until a sync succeeds.\n\nExit codes: 0 synchronised, 1 refused: what was sent does not verify, or the centre refuses; 2 wrong usage; 3 the server\nor this machine failed: repeat it.\n\nExamples:\n  hashpact --home member member sync list --from https://node.us.example:8444 --token-file token\n  hashpact --home member member sync list --watch 600"
)]
pub(in super::super) struct SyncArgs {
    /// The folder of the copy; made if it is not there.
    dir: PathBuf,
    /// The address of the centre's gateway, up to and not including /v1; later it is remembered.
    #[arg(long, value_name = "URL")]
    from: Option<String>,
    /// The file with the token, which only its owner may read. Without it: the variable HASHPACT_TOKEN.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The certificates that the server is trusted by, PEM; without it the system's.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Go on for ever, a pass every so many seconds, a fifth more or less.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(5..=604_800))]
    watch: Option<u64>,
    /// Gibibytes that the packs may have.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=16_384))]
    max_gib: u64,
}

pub(in super::super) fn sync(home: &Home, args: &SyncArgs, json: bool) -> Result<Answer, Failure> {
    let from = args.from.clone().or_else(|| address_of(&args.dir));
    let from = from.ok_or_else(|| Failure::input("say where the gateway is: --from URL"))?;
    let api = Api::new(&ApiConfig {
        from: from.clone(),
        token: token(args.token_file.as_deref())?,
        roots: args.ca.clone(),
    });
    let api = api.map_err(Failure::input)?;
    let Some(every) = args.watch else {
        return Ok(answer(&args.dir, &once(home, args, &api, &from)?));
    };
    let mut failures = 0;
    loop {
        let wait = match once(home, args, &api, &from) {
            Ok(report) => {
                failures = 0;
                let answer = answer(&args.dir, &report);
                match json {
                    true => println!("{}", answer.json),
                    false => println!("{}", answer.text),
                }
                every
            }
            Err(error) => {
                failures = (failures + 1).min(8);
                let wait = told_to_wait(&error).unwrap_or(0);
                let failure = failure(error);
                // Without it the folder cannot be used at all, and waiting makes nothing better.
                if failure.code == 2 {
                    return Err(failure);
                }
                eprintln!("hashpact: {}", failure.text);
                wait.max((every << failures).min(PATIENCE_S.max(every)))
            }
        };
        std::thread::sleep(jittered(wait));
    }
}

/// One pass, with the home's rosters as they are then.
fn once(home: &Home, args: &SyncArgs, api: &Api, from: &str) -> Result<Report, Refused> {
    // Not held while the pass runs: other commands of the member may use the home.
    let member = MemberHome::new(home.path()).open();
    let member = member.map_err(|error| Refused::Home(member_failure(error)))?;
    let (roster, centre) = (member.roster.roster().clone(), member.centre.clone());
    drop(member);
    let pass = Pass {
        path: &args.dir,
        api,
        from,
        trust: Trust {
            roster: &roster,
            centre: &centre,
            now: clock::now(),
        },
        bounds: Bounds {
            packs: args.max_gib << 30,
            ..Bounds::default()
        },
        steps: Steps::default(),
    };
    let mut screen = Screen::new();
    let done = pass.run(&mut |progress| screen.show(progress));
    screen.finish();
    Ok(done?)
}

/// Why a pass did not succeed.
enum Refused {
    Home(Failure),
    Sync(Box<SyncError>),
}

impl From<SyncError> for Refused {
    fn from(error: SyncError) -> Self {
        Self::Sync(Box::new(error))
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        failure(refused)
    }
}

fn told_to_wait(refused: &Refused) -> Option<u64> {
    let Refused::Sync(error) = refused else {
        return None;
    };
    if let SyncError::Api(ApiError::Wait { seconds }) = **error {
        return Some(seconds);
    }
    None
}

fn failure(refused: Refused) -> Failure {
    let error = match refused {
        Refused::Home(failure) => return failure,
        Refused::Sync(error) => error,
    };
    match &*error {
        SyncError::Verify(_)
        | SyncError::Log(_)
        | SyncError::Stream(_)
        | SyncError::Untold { .. }
        | SyncError::CursorLoop
        | SyncError::Endless { .. }
        | SyncError::Counts { .. }
        | SyncError::RosterExpired { .. }
        | SyncError::Fork { .. }
        | SyncError::Lapsed { .. }
        | SyncError::Unheard { .. } => Failure::no(error),
        SyncError::Api(api) => match api {
            ApiError::Credential
            | ApiError::Lapsed { .. }
            | ApiError::Redirect { .. }
            | ApiError::Refused { .. }
            | ApiError::Form { .. } => Failure::no(error),
            ApiError::Files(_) | ApiError::Token => Failure::input(error),
            ApiError::Http(_) | ApiError::Ledger | ApiError::Wait { .. } => Failure::failed(error),
        },
        SyncError::Folder(folder) => match folder {
            FolderError::Missing(_) | FolderError::Foreign(_) | FolderError::Other { .. } => {
                Failure::input(error)
            }
            FolderError::NotInForce(_) => Failure::no(error),
            FolderError::Copy(CopyError::Redefined { .. } | CopyError::Fork { .. }) => {
                Failure::no(error)
            }
            FolderError::Locked(_)
            | FolderError::State(_)
            | FolderError::Copy(_)
            | FolderError::Index(_)
            | FolderError::Io { .. } => Failure::failed(error),
        },
    }
}

/// The token of the file, or of the environment.
fn token(file: Option<&Path>) -> Result<Zeroizing<String>, Failure> {
    let Some(path) = file else {
        let token = std::env::var(TOKEN).map(Zeroizing::new);
        return token.map_err(|_| {
            Failure::input(format!("no token: give --token-file FILE, or set {TOKEN}"))
        });
    };
    let named =
        |error: &dyn std::fmt::Display| Failure::input(format!("{}: {error}", path.display()));
    let file = std::fs::File::open(path).map_err(|error| named(&error))?;
    let mode = file
        .metadata()
        .map_err(|error| named(&error))?
        .permissions()
        .mode();
    if mode & 0o077 != 0 {
        return Err(named(&"others may read this file: chmod 600 it"));
    }
    let mut text = Zeroizing::new(String::new());
    let read = file.take(TOKEN_BYTES_MAX).read_to_string(&mut text);
    read.map_err(|error| named(&error))?;
    let first = text.lines().next().unwrap_or_default();
    Ok(Zeroizing::new(first.trim().to_owned()))
}

/// So many seconds, a fifth more or less: members do not all come at once.
fn jittered(seconds: u64) -> Duration {
    let millis = seconds.saturating_mul(1_000);
    let spread = (millis / 5).max(1);
    let random = getrandom::u64().unwrap_or_default() % (2 * spread);
    Duration::from_millis(millis - spread + random)
}

fn answer(dir: &Path, report: &Report) -> Answer {
    let mut json = serde_json::to_value(report).unwrap_or(Value::Null);
    json["index"] = json!(dir.join(crate::near::file::FILE_NAME));
    Answer::new(json, words(dir, report))
}

fn words(dir: &Path, report: &Report) -> String {
    let change = &report.change;
    let classes = counted(report.classes.len() as u64, "class|classes");
    let mut lines = vec![format!(
        "{}, in {classes}, from {}: {}",
        counted(report.entries, "entry|entries"),
        report.centre,
        dir.join(crate::near::file::FILE_NAME).display(),
    )];
    let changes = [
        (change.added, "new"),
        (change.revised, "revised"),
        (change.retracted, "retracted by their origin"),
        (change.withdrawn, "withdrawn"),
        (change.marked, "marked"),
        (change.refused, "not taken: retracted before"),
    ];
    let told = changes.iter().filter(|(count, _)| *count > 0);
    let told: Vec<String> = told
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    lines.push(match told.is_empty() {
        true => "Nothing has changed.".to_owned(),
        false => format!("Changed: {}.", told.join(", ")),
    });
    for row in report.withheld.iter().filter(|row| row.entries > 0) {
        lines.push(format!(
            "Withheld from this member by policy: {} of {}.",
            counted(row.entries, "entry|entries"),
            row.origin
        ));
    }
    lines.push(
        match (report.compared, report.acknowledged) {
            (true, true) => "Same as the signed manifest, class by class; acknowledged.",
            (true, false) => "Same as the signed manifest, class by class.",
            (false, true) => {
                "The centre publishes faster than it is read, so nothing was compared yet; acknowledged."
            }
            (false, false) => "Not compared with the manifest.",
        }
        .to_owned(),
    );
    lines.join("\n")
}

/// A bar on a terminal, a line now and then elsewhere.
struct Screen {
    bar: Option<ProgressBar>,
    phase: Option<Phase>,
    last: Instant,
}

impl Screen {
    fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = "{msg:9} {wide_bar} {human_pos} of {human_len}  {per_sec}  {eta}";
            let style = ProgressStyle::with_template(style);
            ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self {
            bar,
            phase: None,
            last: Instant::now(),
        }
    }

    fn show(&mut self, step: Progress) {
        let name = match step.phase {
            Phase::Receive => "receiving",
            Phase::Index => "indexing",
        };
        let is_new = self.phase.replace(step.phase) != Some(step.phase);
        let total = step.total.max(step.done);
        if let Some(bar) = &self.bar {
            bar.set_message(name);
            bar.set_length(total);
            bar.set_position(step.done);
        } else if self.last.elapsed() > EVERY || (is_new && step.done > 0) {
            self.last = Instant::now();
            eprintln!("{name}: {} of {total}", step.done);
        }
    }

    fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_differ_by_a_fifth_at_most() {
        let pauses: Vec<_> = (0..200).map(|_| jittered(100)).collect();
        let around = Duration::from_secs(80)..=Duration::from_secs(120);
        assert!(pauses.iter().all(|pause| around.contains(pause)));
        assert!(pauses.iter().any(|pause| *pause != pauses[0]));
    }

    #[test]
    fn token_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "hp1_x\nmore\n").unwrap();
        let mode =
            |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        mode(0o644);
        assert_eq!(token(Some(&path)).unwrap_err().code, 2);
        mode(0o600);
        assert_eq!(token(Some(&path)).unwrap().as_str(), "hp1_x");
    }
}
