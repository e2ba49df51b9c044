//! The node's end of the control socket.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use hashpact_keys::roster::KeyLookupError;
use hashpact_protocol::centre::{Command, CommandError, Outcome};
use hashpact_protocol::policy::PolicyDocumentError;
use hashpact_protocol::verify::LeafFault;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio::task::spawn_blocking;

use super::proving::prove;
use super::retract::retract;
use super::{
    Fault, FaultKind, LINE_MAX, Line, Request, chain, credentials, evidence, lookups, matching,
    members, openings, overlap, sampling,
};
use crate::armor::Kind;
use crate::clock;
use crate::daemon::people::Person;
use crate::daemon::{AskError, Handle, IngestOrder, IngestRunError};
use crate::ingest::SourceError;
use crate::store::LookupError;

/// Connections served at once: operators and their scripts, not the world.
const CONNECTIONS: usize = 32;
/// Lines of an answer on their way to a slow reader.
const LINES_WAITING: usize = 256;

/// Listens on the socket until `stop` says so. A socket left by a process that died is replaced: the caller holds the
/// home's lock.
///
/// # Errors
/// Fails if the socket cannot be made.
pub async fn serve(path: &Path, handle: Handle, mut stop: watch::Receiver<bool>) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let listener = bind_private(path)?;
    let places = std::sync::Arc::new(tokio::sync::Semaphore::new(CONNECTIONS));
    loop {
        let accept = async {
            let place = std::sync::Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let accepted = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            accepted = accept => accepted,
        };
        let (Ok(place), Ok((stream, _))) = accepted else {
            continue;
        };
        let handle = handle.clone();
        tokio::spawn(async move {
            let _place = place;
            // A client that goes away is no event.
            let _ = converse(stream, handle).await;
        });
    }
    std::fs::remove_file(path)
}

/// Binds under a name that nobody knows, makes it private, then gives it its name: there is no moment at which another
/// user could connect.
fn bind_private(path: &Path) -> io::Result<UnixListener> {
    let hidden = path.with_extension("sock.new");
    match std::fs::remove_file(&hidden) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(&hidden)?;
    std::fs::set_permissions(&hidden, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&hidden, path)?;
    Ok(listener)
}

async fn converse(stream: UnixStream, handle: Handle) -> io::Result<()> {
    let person = Person::of(stream.peer_cred()?.uid());
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    let mut line = Vec::new();
    loop {
        line.clear();
        let bound = LINE_MAX as u64 + 1;
        if (&mut read).take(bound).read_until(b'\n', &mut line).await? == 0 {
            return Ok(());
        }
        let request = if line.len() > LINE_MAX {
            Err(input("the request is longer than a line may be".to_owned()))
        } else {
            serde_json::from_slice::<Request>(&line).map_err(|error| input(error.to_string()))
        };
        let answer = match request {
            Ok(Request::Ingest {
                file,
                profile,
                profile_path,
                strict,
                accept_bad,
                more,
            }) => {
                let order = IngestOrder {
                    file,
                    profile,
                    profile_path,
                    strict,
                    accept_bad,
                    more,
                };
                ingest(&handle, order, &mut write).await?
            }
            Ok(Request::ExportOpenings { from }) => {
                openings::answer(&handle, from, &mut write).await?
            }
            Ok(Request::Overlap { kind, purpose, pad }) => {
                overlap::answer(&handle, &kind, &purpose, pad).await
            }
            Ok(Request::Match(ask)) => matching::answer(&handle, &ask, &mut write).await?,
            Ok(Request::MatchSegments(ask)) => {
                sampling::segments(&handle, &ask, &mut write).await?
            }
            Ok(Request::MatchSample { of, tags }) => {
                sampling::sample(&handle, &of, &tags, &mut write).await?
            }
            Ok(Request::Lookup { algorithm, value }) => {
                lookups::one(&handle, &person, &algorithm, &value)
            }
            Ok(Request::LookupMany { fingerprints }) => {
                lookups::many(&handle, &person, &fingerprints, &mut write).await?
            }
            Ok(request) => answer(&handle, request).await,
            Err(fault) => Err(fault),
        };
        let line = answer.map_or_else(Line::Error, Line::Done);
        send(&mut write, &line).await?;
    }
}

pub(super) async fn send(
    write: &mut (impl tokio::io::AsyncWrite + Unpin),
    line: &Line,
) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    write.write_all(&bytes).await
}

async fn answer(handle: &Handle, request: Request) -> Result<Value, Fault> {
    match request {
        Request::Status => status(handle).await,
        Request::Retract { entries, reason } => retract(handle, &entries, reason.as_deref()).await,
        Request::Evidence(ask) => evidence::answer(handle, ask).await,
        Request::Prove {
            entry,
            origin,
            receipt,
        } => {
            // A class of perhaps thousands is hashed: other tasks of this thread move elsewhere meanwhile.
            tokio::task::block_in_place(|| prove(handle, &entry, origin.as_deref(), receipt))
        }
        Request::RosterApply { roster } => {
            let bytes = Kind::Roster
                .unwrap(&roster)
                .map_err(|error| input(error.to_string()))?;
            handle
                .command(Command::ApplyRoster(bytes))
                .await
                .map_err(refused)?;
            let status = handle
                .status()
                .await
                .map_err(|error| failed(error.to_string()))?;
            Ok(json!({ "roster_version": status.roster_version }))
        }
        Request::PolicyApply { document } => policy_apply(handle, &document).await,
        Request::MemberAdd {
            name,
            key,
            jurisdiction,
            sector,
        } => {
            let added = members::Added {
                name,
                key,
                jurisdiction,
                sector,
            };
            members::add(handle, added).await
        }
        Request::Members => Ok(members::list(handle)),
        Request::Credential(ask) => credentials::answer(handle, ask).await,
        Request::MatchRotate => {
            handle.matching.renew();
            Ok(json!({ "rotate": "asked for" }))
        }
        Request::MemberRemove { name } => members::remove(handle, name).await,
        // Answered where lines can be sent while it runs.
        Request::Ingest { .. }
        | Request::Lookup { .. }
        | Request::LookupMany { .. }
        | Request::ExportOpenings { .. }
        | Request::Match(_)
        | Request::MatchSegments(_)
        | Request::MatchSample { .. }
        | Request::Overlap { .. } => Err(failed("not answered here".to_owned())),
    }
}

/// The picture that the loop gives, and what is open beside it, which is read from the disk.
async fn status(handle: &Handle) -> Result<Value, Fault> {
    let status = handle.status().await;
    let mut status = status.map_err(|error| failed(error.to_string()))?;
    tokio::task::block_in_place(|| {
        status.open.fill(handle, clock::now());
    });
    serde_json::to_value(status).map_err(|error| failed(error.to_string()))
}

async fn policy_apply(handle: &Handle, document: &str) -> Result<Value, Fault> {
    let document = Kind::Policy
        .unwrap(document)
        .map_err(|error| input(error.to_string()))?;
    let outcome = handle
        .command(Command::Policy { document })
        .await
        .map_err(policy_refused)?;
    let Outcome::PolicyLogged { version, index } = outcome else {
        return Err(failed("the node answered something else".to_owned()));
    };
    Ok(json!({ "version": version, "index": index }))
}

pub(super) fn input(text: String) -> Fault {
    Fault {
        kind: FaultKind::Input,
        text,
        detail: None,
    }
}

pub(super) fn no(text: String) -> Fault {
    Fault {
        kind: FaultKind::No,
        text,
        detail: None,
    }
}

pub(super) fn failed(text: String) -> Fault {
    Fault {
        kind: FaultKind::Failed,
        text,
        detail: None,
    }
}

/// As [`refused`], with what to do where only the document's keys or its place in the log are wrong.
fn policy_refused(error: AskError) -> Fault {
    let advice = match &error {
        AskError::Refused(CommandError::PolicyLeaf(fault)) => policy_advice(fault),
        AskError::Refused(_) | AskError::Stopped(_) => None,
    };
    let mut fault = refused(error);
    if let Some(advice) = advice {
        fault.text = format!("{}: {advice}", fault.text);
    }
    fault
}

fn policy_advice(fault: &LeafFault) -> Option<String> {
    if let LeafFault::PolicyVersion { expected, got } = fault {
        let is_logged = got < expected;
        return is_logged.then(|| {
            format!("version {got} is logged already: `hashpact policy new` makes the next")
        });
    }
    let LeafFault::Policy(PolicyDocumentError::Key(error)) = fault else {
        return None;
    };
    let advice = match error {
        KeyLookupError::Unknown { .. } => {
            "have it enrolled (`hashpact enrol --policy-key`) and put on the next roster"
        }
        KeyLookupError::NotValidAt { .. } => {
            "if the document was made before the roster that lists the key, make it again with `hashpact policy new`"
        }
        KeyLookupError::WrongUse { .. } => return None,
    };
    Some(advice.to_owned())
}

pub(super) fn refused(error: AskError) -> Fault {
    match &error {
        AskError::Refused(CommandError::Store) | AskError::Stopped(_) => failed(chain(&error)),
        AskError::Refused(_) => no(chain(&error)),
    }
}

pub(super) fn store_failed(error: LookupError) -> Fault {
    failed(chain(&error))
}

async fn ingest(
    handle: &Handle,
    order: IngestOrder,
    write: &mut (impl tokio::io::AsyncWrite + Unpin),
) -> io::Result<Result<Value, Fault>> {
    let (lines_in, mut lines) = mpsc::channel::<Line>(LINES_WAITING);
    let handle = handle.clone();
    let run = spawn_blocking(move || {
        let reports = lines_in.clone();
        let mut progress = |step| lines_in.blocking_send(Line::Progress(step)).is_ok();
        let mut report = |line: &crate::ingest::ReportLine<'_>| {
            let value = serde_json::to_value(line).unwrap_or_default();
            // A reader that has gone is noticed at the next progress line.
            let _ = reports.blocking_send(Line::Report(value));
        };
        handle.ingest(&order, &mut progress, &mut report)
    });
    let mut gone = None;
    while let Some(line) = lines.recv().await {
        if let Err(error) = send(write, &line).await {
            gone = Some(error);
            // Closing the channel tells the ingest that nobody listens.
            break;
        }
    }
    drop(lines);
    let done = run.await.unwrap_or(Err(IngestRunError::Abandoned));
    if let Some(error) = gone {
        return Err(error);
    }
    Ok(match done {
        Ok(run) => serde_json::to_value(run).map_err(|error| failed(error.to_string())),
        Err(error) => Err(ingest_fault(error)),
    })
}

fn ingest_fault(error: IngestRunError) -> Fault {
    let detail = match &error {
        IngestRunError::Ingest(error) => error.summary().map(|summary| json!(summary)),
        IngestRunError::Profile(_)
        | IngestRunError::Open { .. }
        | IngestRunError::Crosswalk(_)
        | IngestRunError::Source(_)
        | IngestRunError::Guards(_)
        | IngestRunError::Guard
        | IngestRunError::Busy
        | IngestRunError::Ask(_)
        | IngestRunError::Draft(_)
        | IngestRunError::LookUp(_)
        | IngestRunError::Random(_)
        | IngestRunError::Abandoned => None,
    };
    let kind = match &error {
        IngestRunError::Source(SourceError::Disk(_)) => FaultKind::Failed,
        IngestRunError::Profile(_)
        | IngestRunError::Open { .. }
        | IngestRunError::Crosswalk(_)
        | IngestRunError::Source(_)
        | IngestRunError::Guards(_)
        | IngestRunError::Guard => FaultKind::Input,
        IngestRunError::Ingest(error) if error.summary().is_some() => FaultKind::Input,
        IngestRunError::Busy => FaultKind::No,
        IngestRunError::Ask(AskError::Refused(_)) => FaultKind::No,
        IngestRunError::Ingest(_)
        | IngestRunError::Ask(AskError::Stopped(_))
        | IngestRunError::Draft(_)
        | IngestRunError::LookUp(_)
        | IngestRunError::Random(_)
        | IngestRunError::Abandoned => FaultKind::Failed,
    };
    Fault {
        kind,
        text: chain(&error),
        detail,
    }
}
