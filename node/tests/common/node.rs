//! One centre's home, and its process while it runs.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result, bail, ensure};
use hashpact_node::control::Request;
use hashpact_node::control::client::Client;
use hashpact_node::daemon::{LogStatus, Status};
use hashpact_node::home::Home;
use serde_json::Value;

use super::said::program;
use super::{List, Said, hashpact, text, until};

/// What a node listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    Quic,
    Tcp,
    Both,
}

impl Over {
    fn addresses(self) -> Result<Vec<String>> {
        let port = free_port()?;
        let quic = format!("/ip4/127.0.0.1/udp/{port}/quic-v1");
        let tcp = format!("/ip4/127.0.0.1/tcp/{port}");
        Ok(match self {
            Self::Quic => vec![quic],
            Self::Tcp => vec![tcp],
            Self::Both => vec![quic, tcp],
        })
    }
}

/// A port that is free for both UDP and TCP, and given to nobody else in this process. Below those that the system gives to
/// outgoing connections: a node that is killed finds its own free again.
pub(super) fn free_port() -> Result<u16> {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    for _ in 0..64 {
        let port = 10_000 + u16::try_from(getrandom::u32()? % 22_000)?;
        let is_free = TcpListener::bind(("127.0.0.1", port)).is_ok()
            && UdpSocket::bind(("127.0.0.1", port)).is_ok();
        if is_free && given.insert(port) {
            return Ok(port);
        }
    }
    bail!("no port is free for both UDP and TCP")
}

/// One centre's home, and its process while it runs.
pub(crate) struct Node {
    pub(crate) id: String,
    pub(crate) home: Home,
    process: Option<Child>,
    /// Everything that its commands printed.
    said: RefCell<String>,
}

impl Node {
    /// Makes a home in `folder`.
    pub(crate) fn init(folder: &Path, id: &str, over: Over) -> Result<Self> {
        let home = folder.join(id);
        let node = Self {
            id: id.to_owned(),
            home: Home::new(home),
            process: None,
            said: RefCell::default(),
        };
        let domain = format!("{id}.example");
        let mut args = vec!["init", "--centre", id, "--domain", &domain];
        let jurisdiction = id.to_uppercase();
        args.extend(["--jurisdiction", &jurisdiction]);
        let addresses = over.addresses()?;
        args.extend(addresses.iter().flat_map(|address| ["--listen", address]));
        node.run(&args)?.ends(0)?;
        Ok(node)
    }

    /// The same centre with a copy of its home. Only one of the two may ever run.
    pub(crate) fn copy_to(&self, folder: &Path) -> Result<Self> {
        copy_folder(self.home.path(), folder)?;
        let (id, home) = (self.id.clone(), Home::new(folder));
        Ok(Self {
            id,
            home,
            process: None,
            said: RefCell::default(),
        })
    }

    /// Runs a command of this home's shell to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Result<Said> {
        let home = text(self.home.path());
        let said = hashpact(["--home", &home].into_iter().chain(args.iter().copied()))?;
        self.note(&said);
        Ok(said)
    }

    /// As [`Node::run`], in the words that a person reads.
    pub(crate) fn read(&self, args: &[&str]) -> Result<Said> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hashpact"));
        let said = program(command.arg("--home").arg(self.home.path()).args(args))?;
        self.note(&said);
        Ok(said)
    }

    /// As [`Node::run`], with something to read.
    pub(crate) fn feed(&self, args: &[&str], input: &str) -> Result<Said> {
        let mut child = self.begin(args)?;
        let mut stdin = child.stdin.take().context("no input")?;
        stdin.write_all(input.as_bytes())?;
        drop(stdin);
        Said::of(child.wait_with_output()?)
    }

    /// As [`Node::run`], without waiting for the end.
    pub(crate) fn begin(&self, args: &[&str]) -> Result<Child> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hashpact"));
        command
            .arg("--json")
            .arg("--home")
            .arg(self.home.path())
            .args(args);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        Ok(command.stderr(Stdio::piped()).spawn()?)
    }

    fn note(&self, said: &Said) {
        let mut all = self.said.borrow_mut();
        all.push_str(&said.out);
        all.push_str(&said.err);
    }

    /// Starts the node and waits until it answers.
    pub(crate) fn start(&mut self) -> Result<()> {
        self.spawn(&["--log", "info"])?;
        until("the node answers", || {
            if let Some(status) = self.ended()? {
                bail!("{} ended with {status}:\n{}", self.id, self.log()?);
            }
            Ok(self.status().ok())
        })?;
        Ok(())
    }

    /// Starts the node and waits for nothing.
    pub(crate) fn spawn(&mut self, args: &[&str]) -> Result<()> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_file())?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_hashpact"));
        command
            .arg("--json")
            .arg("--home")
            .arg(self.home.path())
            .arg("run")
            .args(args);
        let out = File::create(self.out_file())?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(log)
            .spawn()?;
        self.process = Some(child);
        Ok(())
    }

    /// How the process ended, if it has.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        let child = self.process.as_mut().context("not started")?;
        Ok(child.try_wait()?)
    }

    /// SIGKILL: nothing in the process runs after this.
    pub(crate) fn kill(&mut self) -> Result<()> {
        let mut child = self.process.take().context("not started")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Stops the node as ctrl-C does.
    pub(crate) fn stop(&mut self) -> Result<()> {
        let pid = self
            .process
            .as_ref()
            .context("not started")?
            .id()
            .to_string();
        ensure!(
            Command::new("kill")
                .args(["-INT", &pid])
                .status()?
                .success(),
            "no signal sent"
        );
        let status = until("the node stops", || self.ended())?;
        self.process = None;
        ensure!(
            status.code() == Some(0),
            "{} stopped with {status}",
            self.id
        );
        Ok(())
    }

    fn log_file(&self) -> PathBuf {
        self.home.path().join("node.log")
    }

    fn out_file(&self) -> PathBuf {
        self.home.path().join("node.out")
    }

    /// Standard output of the last start.
    pub(crate) fn out(&self) -> Result<String> {
        Ok(fs::read_to_string(self.out_file())?)
    }

    /// Standard error over every start.
    pub(crate) fn log(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(self.log_file())?).into_owned())
    }

    /// The end of its log, for whoever looks into a failure.
    pub(crate) fn last_words(&self) -> String {
        let log = self.log().unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let end = lines.len().saturating_sub(40);
        format!("{}:\n{}", self.id, lines[end..].join("\n"))
    }

    /// All that its commands printed.
    pub(crate) fn said(&self) -> String {
        self.said.borrow().clone()
    }

    /// What the node says of itself.
    pub(crate) fn status(&self) -> Result<Status> {
        let json = Client::connect(&self.home)?.ask(&Request::Status, |_| {})?;
        Ok(serde_json::from_value(json)?)
    }

    /// What the node says of another centre's log.
    pub(crate) fn mirrored(&self, centre: &str) -> Result<LogStatus> {
        let logs = self.status()?.mirrored;
        logs.into_iter()
            .find(|log| log.centre == centre)
            .context("no such log")
    }

    /// Adds lines to its configuration, for the next start.
    pub(crate) fn configure(&self, lines: &str) -> Result<()> {
        let config = self.home.config();
        let text = fs::read_to_string(&config)?;
        Ok(fs::write(config, format!("{text}\n{lines}"))?)
    }

    /// Waits until enough others have said that this node's disk is no old copy: from there on it signs.
    pub(crate) fn is_sure(&self) -> Result<()> {
        until(&format!("{} hears enough others", self.id), || {
            Ok(self.status()?.unconfirmed.is_none().then_some(()))
        })
    }

    /// Waits until a quorum stands under all that it has logged, and says how it stands then.
    pub(crate) fn is_witnessed(&self) -> Result<LogStatus> {
        until(&format!("{}'s log is witnessed", self.id), || {
            let own = self.status()?.own;
            Ok((own.witnessed == own.size).then_some(own))
        })
    }

    /// Waits until this node mirrors all that `origin` has, and acts on it.
    pub(crate) fn catches_up_with(&self, origin: &Self) -> Result<()> {
        let own = origin.status()?.own;
        let counts = |log: &LogStatus| (log.size, log.applied, log.held, log.retracted);
        let mut last = None;
        let done = until(
            &format!("{} holds what {} does", self.id, origin.id),
            || {
                let log = self.mirrored(&origin.id)?;
                let is_same = counts(&log) == counts(&own);
                last = Some(log);
                Ok(is_same.then_some(()))
            },
        );
        done.with_context(|| {
            let [here, there] = [self, origin].map(Self::last_words);
            format!(
                "{own:?} at {}, and here {last:?}\n{here}\n{there}",
                origin.id
            )
        })
    }

    /// The entries with a SHA-256.
    pub(crate) fn lookup(&self, sha256: &str) -> Result<Vec<Value>> {
        let (algorithm, value) = ("sha256".to_owned(), sha256.to_owned());
        let request = Request::Lookup { algorithm, value };
        let answer = Client::connect(&self.home)?.ask(&request, |_| {})?;
        answer["entries"]
            .as_array()
            .cloned()
            .context("no `entries`")
    }

    /// The id of the one entry with a SHA-256.
    pub(crate) fn entry(&self, sha256: &str) -> Result<String> {
        let entries = self.lookup(sha256)?;
        ensure!(entries.len() == 1, "{} entries", entries.len());
        Ok(entries[0]["entry"]
            .as_str()
            .context("no `entry`")?
            .to_owned())
    }

    /// Ingests a list through the shell.
    pub(crate) fn ingest(&self, list: &List, more: &[&str]) -> Result<Said> {
        let (file, profile) = (text(&list.file), text(&list.profile));
        let mut args = vec!["ingest", &file, "--profile", &profile];
        args.extend(more);
        self.run(&args)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut child) = self.process.take() {
            // Nothing more can be done about a process that will not die.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Copies a folder with all that is in it, but for sockets.
pub(crate) fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    fs::set_permissions(to, fs::metadata(from)?.permissions())?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
