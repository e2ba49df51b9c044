//! Verifies a folder of logs on several threads.
//!
//! Why: an auditor's verdict must need nothing but the folder and what the auditor holds of the network: its pin, or a
//! roster. In scope: files, threads, limits. Out of scope: what is true (`hashpact_protocol::audit`), words (`cli`).
//!
//! Logs are verified side by side. With bodies, one more set of threads takes them delta by delta from the log that is being
//! read; the queue is as long as there are threads, so memory holds that many bodies and no more.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hashpact_keys::roster::CentreEntry;
use hashpact_keys::{NetworkId, Origin, Roster, RosterVersion, Timestamp};
use hashpact_protocol::audit::{
    Chain, Decided, Event, Finding, FindingKind, HistoryNotes, Ledger, LogInput, Openings,
    OtherLog, Place, replay, verify_body, verify_log, voices,
};
use hashpact_protocol::delta::Expected;
use hashpact_protocol::limits;

use super::cedar::CedarFolder;
use super::folder::{FORK_LEN, Folder, LogFolder, NOTE_LEN, log_name};
use super::result::{AuditResult, DisclosuresResult, VoicesResult};
use super::strays;
use super::telling::{self, LogAudit};

/// Findings of one log that are kept; further ones are counted.
pub const FINDINGS_PER_LOG: usize = 10_000;
/// Notes of one log that are told one by one; the whole history is told in sums.
pub const NOTES_PER_LOG: usize = 1_000;
/// Policy documents of one log that are told one by one, the newest.
pub const POLICIES_PER_LOG: usize = 100;
/// Rows of disclosures that are told; further ones are counted.
pub const GIFTS: usize = 10_000;
/// Refused notes of one log that are looked at.
const REFUSED_PER_LOG: usize = 64;

/// What the auditor holds of the network, out of band.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The network id.
    Pin(NetworkId),
    /// A roster of any version, whoever signed it: the chain must lead to it.
    Roster(Box<Roster>),
}

impl Trust {
    /// The network id that the first roster must have.
    #[must_use]
    pub fn network(&self) -> NetworkId {
        match self {
            Self::Pin(network) => *network,
            Self::Roster(roster) => roster.network,
        }
    }
}

/// How to verify.
#[derive(Clone, Debug)]
pub struct VerifyOptions {
    /// What is believed.
    pub trust: Trust,
    /// A folder `<origin with _ for />/<seq>` of bodies as they travel, if they are to be verified.
    pub bodies: Option<PathBuf>,
    /// Bundles of openings, if disclosures are to be judged.
    pub openings: Vec<PathBuf>,
    /// A folder to make, for the questions behind disclosures, if they are to be asked again by others' tools.
    pub cedar: Option<PathBuf>,
    /// Threads; with one everything happens one after the other.
    pub jobs: NonZero<usize>,
    /// The verifier's time: the newest roster must be in force then, and the cosignatures young.
    pub now: Timestamp,
}

/// Verifies a folder. `progress` is told of each delta and each body, by any thread.
///
/// # Errors
/// Those of opening the folder itself. A file in it that cannot be read is a finding.
pub fn verify(
    dir: &Path,
    options: &VerifyOptions,
    progress: &(dyn Fn() + Sync),
) -> io::Result<AuditResult> {
    let open = |dir: &Path| Folder::open(dir).map_err(|error| named(dir, &error));
    let folder = open(dir)?;
    let bodies = options.bodies.as_deref().map(open).transpose()?;
    let files = read_openings(&options.openings)?;
    let mut findings = Vec::new();
    let pin = options.trust.network();
    let chain = Chain::open(&pin, folder.rosters(), options.now, |finding| {
        findings.push(finding);
    });
    let Some(chain) = chain else {
        if findings.is_empty() {
            findings.push(missing_roster(RosterVersion::FIRST));
        }
        return Ok(telling::result(options, None, findings, Vec::new()));
    };
    findings.extend(untrusted(&chain, &options.trust));
    let mut of_logs = Vec::new();
    let files = files.iter().map(|(name, bytes)| (&name[..], &bytes[..]));
    let openings = Openings::open(files, &chain, &mut |finding| match finding.log {
        Some(_) => of_logs.push(finding),
        None => findings.push(finding),
    });
    let logs = chain.logs();
    let strays = strays::of_root(&folder, &chain, logs.keys());
    findings.extend(strays.map_err(|error| named(dir, &error))?);
    let run = Run {
        folder: &folder,
        bodies: bodies.as_ref(),
        chain: &chain,
        centres: logs.into_values().collect(),
        now: options.now,
        openings: &openings,
        of_logs: &of_logs,
        progress,
    };
    let mut audits = run.all(options.jobs);
    let (disclosures, voices) = match openings.is_empty() {
        true => (None, Vec::new()),
        false => {
            let cedar = options.cedar.as_deref();
            let (given, said) = run.disclosures(&mut audits, &mut findings, cedar)?;
            (Some(given), said)
        }
    };
    let mut result = telling::result(options, Some(&chain), findings, audits);
    result.disclosures = disclosures;
    result.voices = voices;
    Ok(result)
}

/// Which of the files and folders that were given an error is about.
fn named(path: &Path, error: &io::Error) -> io::Error {
    let path = path.display();
    let text = match error.kind() == io::ErrorKind::AlreadyExists {
        true => format!("{path}: there is a file already: choose another name"),
        false => format!("{path}: {error}"),
    };
    io::Error::new(error.kind(), text)
}

/// Reads bundles of openings: name and bytes. One that is too large is read one byte beyond its bound, and refused as such.
fn read_openings(files: &[PathBuf]) -> io::Result<Vec<(String, Vec<u8>)>> {
    let read = |path: &PathBuf| {
        let name = path.display().to_string();
        let named = |error: io::Error| self::named(path, &error);
        let mut bytes = Vec::new();
        let most = limits::OPENINGS_BYTES as u64 + 1;
        let file = File::open(path).map_err(named)?;
        file.take(most).read_to_end(&mut bytes).map_err(named)?;
        Ok((name, bytes))
    };
    files.iter().map(read).collect()
}

fn missing_roster(version: RosterVersion) -> Finding {
    Finding {
        log: None,
        place: Place::Roster(version),
        what: FindingKind::RosterMissing,
    }
}

/// Whether the chain leads to the roster that the auditor holds.
fn untrusted(chain: &Chain, trust: &Trust) -> Option<Finding> {
    let Trust::Roster(held) = trust else {
        return None;
    };
    match chain.get(held.version) {
        None => Some(missing_roster(held.version)),
        Some(roster) if *roster.roster() != **held => Some(Finding {
            log: None,
            place: Place::Roster(held.version),
            what: FindingKind::RosterDiffers,
        }),
        Some(_) => None,
    }
}

/// One verification while it runs.
struct Run<'a> {
    folder: &'a Folder,
    bodies: Option<&'a Folder>,
    chain: &'a Chain,
    centres: Vec<CentreEntry>,
    now: Timestamp,
    openings: &'a Openings,
    /// What is wrong with openings of a log, each for itself.
    of_logs: &'a [Finding],
    progress: &'a (dyn Fn() + Sync),
}

/// A body to verify: the log's place in the list, its leaf, and what it must agree with.
struct BodyTask {
    log: usize,
    index: u64,
    expected: Expected,
}

impl Run<'_> {
    /// Judges what was disclosed and sums up what was said, once every log was read.
    fn disclosures(
        &self,
        audits: &mut [LogAudit],
        findings: &mut Vec<Finding>,
        cedar: Option<&Path>,
    ) -> io::Result<(DisclosuresResult, Vec<VoicesResult>)> {
        let sizes: BTreeMap<Origin, u64> = audits.iter().filter_map(LogAudit::size).collect();
        let size = |origin: &Origin| sizes.get(origin).copied().unwrap_or(0);
        let mut cedar = cedar
            .map(|dir| {
                let made = CedarFolder::make(dir, self.folder, &size);
                made.map_err(|error| named(dir, &error))
            })
            .transpose()?;
        let ledgers = audits.iter_mut().filter_map(LogAudit::take_ledger);
        let ledgers: BTreeMap<Origin, Ledger> = ledgers.collect();
        let mut decide = cedar
            .as_mut()
            .map(|cedar| |decided: Decided| cedar.take(&decided));
        let decide = decide.as_mut().map(|it| it as &mut dyn FnMut(Decided));
        let sums = replay(
            self.chain,
            &ledgers,
            self.openings,
            decide,
            &mut |finding| {
                let of = |audit: &&mut LogAudit| audit.origin() == finding.log.as_ref();
                match audits.iter_mut().find(of) {
                    Some(audit) => audit.found(finding),
                    None => findings.push(finding),
                }
            },
        );
        let questions = cedar.map(CedarFolder::end).transpose()?;
        let said = telling::voices(&voices(self.openings, &ledgers));
        Ok((telling::disclosures(&sums, &ledgers, questions), said))
    }

    fn all(&self, jobs: NonZero<usize>) -> Vec<LogAudit> {
        let audits: Vec<Mutex<LogAudit>> = self
            .centres
            .iter()
            .map(|centre| Mutex::new(LogAudit::new(&centre.origin, self.bodies.is_some())))
            .collect();
        if jobs.get() == 1 {
            for log in 0..audits.len() {
                self.log(log, &audits, &|task| self.body(&task, &audits));
            }
        } else {
            self.side_by_side(jobs.get(), &audits);
        }
        let audits = audits.into_iter();
        audits
            .map(|audit| audit.into_inner().unwrap_or_else(PoisonError::into_inner))
            .collect()
    }

    fn side_by_side(&self, jobs: usize, audits: &[Mutex<LogAudit>]) {
        let next = AtomicUsize::new(0);
        let (send, receive) = sync_channel::<BodyTask>(jobs);
        let receive = Mutex::new(receive);
        let (receive, next) = (&receive, &next);
        std::thread::scope(|scope| {
            for _ in 0..if self.bodies.is_some() { jobs } else { 0 } {
                scope.spawn(move || {
                    while let Some(task) = take(receive) {
                        self.body(&task, audits);
                    }
                });
            }
            for _ in 0..jobs.min(audits.len()) {
                let send: SyncSender<BodyTask> = send.clone();
                scope.spawn(move || {
                    loop {
                        let log = next.fetch_add(1, Ordering::Relaxed);
                        if log >= audits.len() {
                            break;
                        }
                        // The other end is there as long as the scope is.
                        self.log(log, audits, &|task| drop(send.send(task)));
                    }
                });
            }
            // The threads of bodies end with the last sender.
            drop(send);
        });
    }

    fn log(&self, log: usize, audits: &[Mutex<LogAudit>], queue: &dyn Fn(BodyTask)) {
        let centre = &self.centres[log];
        let name = log_name(&centre.origin);
        let files = LogFolder::new(self.folder, &name);
        // What cannot be read must not pass for what is not there.
        let read = |file: &str, max| {
            let read = self.folder.read(&format!("{name}/{file}"), max);
            read.unwrap_or_else(|_| {
                held(&audits[log]).found(unreadable(centre, file));
                None
            })
        };
        for file in ["history", "refused"] {
            read(file, 0);
        }
        let notes = |file: &str| HistoryNotes::new(self.folder.pieces(&format!("{name}/{file}")));
        let input = LogInput {
            centre,
            files: &files,
            checkpoint: read("checkpoint", NOTE_LEN),
            history: notes("history"),
            refused: notes("refused").take(REFUSED_PER_LOG).collect(),
            fork: read("fork", FORK_LEN),
            is_here: self.folder.path(&name).symlink_metadata().is_ok(),
            others: &|origin| self.other(origin),
        };
        let mut emit = |event: Event| {
            held(&audits[log]).take(&event, self.openings);
            match event {
                Event::Finding(finding) => held(&audits[log]).found(finding),
                Event::Note(note) => held(&audits[log]).note(note),
                Event::Policy(_)
                | Event::Classes(_)
                | Event::Sealed { .. }
                | Event::Manifest { .. } => {}
                Event::Delta {
                    index, expected, ..
                } => {
                    (self.progress)();
                    if self.bodies.is_some() {
                        queue(BodyTask {
                            log,
                            index,
                            expected,
                        });
                    }
                }
            }
        };
        let summary = verify_log(self.chain, input, self.now, &mut emit);
        for finding in strays::of_log(self.folder, &centre.origin, summary.size) {
            held(&audits[log]).found(finding);
        }
        let mut audit = held(&audits[log]);
        for finding in self.of_logs {
            if finding.log.as_ref() == Some(&centre.origin) {
                audit.found(finding.clone());
            }
        }
        audit.end(summary, self.openings);
    }

    /// What the folder holds of another log; none if it has no folder there.
    fn other(&self, origin: &Origin) -> Option<OtherLog> {
        let name = log_name(origin);
        self.folder.path(&name).symlink_metadata().ok()?;
        let read = |file: &str, max| self.folder.read(&format!("{name}/{file}"), max);
        Some(OtherLog {
            files: Box::new(LogFolder::new(self.folder, &name)),
            checkpoint: read("checkpoint", NOTE_LEN).ok().flatten(),
            fork: read("fork", FORK_LEN).ok().flatten(),
        })
    }

    fn body(&self, task: &BodyTask, audits: &[Mutex<LogAudit>]) {
        let Some(folder) = self.bodies else {
            return;
        };
        (self.progress)();
        let (origin, seq) = (&task.expected.origin, task.expected.seq);
        let path = format!("{}/{seq}", log_name(origin));
        let max = limits::BODY_BYTES as u64;
        let place = Place::Leaf {
            index: task.index,
            seq: Some(seq),
        };
        let found = |what| Finding {
            log: Some(origin.clone()),
            place: place.clone(),
            what,
        };
        let bytes = match folder.read(&path, max) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return held(&audits[task.log]).bodies().absent += 1,
            Err(_) => {
                let mut audit = held(&audits[task.log]);
                audit.bodies().refused += 1;
                return audit.found(found(FindingKind::FileMissing));
            }
        };
        let len = bytes.len() as u64;
        match verify_body(bytes, &task.expected) {
            Ok(body) => {
                let mut audit = held(&audits[task.log]);
                let sums = audit.bodies();
                sums.verified += 1;
                sums.bytes += len;
                sums.records += body.records;
                sums.withheld += body.withheld;
            }
            Err(error) => {
                let mut audit = held(&audits[task.log]);
                audit.bodies().refused += 1;
                audit.found(found(FindingKind::Body(error)));
            }
        }
    }
}

/// A file beside the tiles that is there and cannot be read.
fn unreadable(centre: &CentreEntry, file: &str) -> Finding {
    Finding {
        log: Some(centre.origin.clone()),
        place: Place::File(file.to_owned()),
        what: FindingKind::FileMissing,
    }
}

fn take(receive: &Mutex<Receiver<BodyTask>>) -> Option<BodyTask> {
    held(receive).recv().ok()
}

/// A thread that panicked left counts that are whole.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
