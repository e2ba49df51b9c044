//! Set-up that the tests of the program share: homes in a temporary folder, real processes on loopback, small lists.
//!
//! In scope: starting, asking, stopping. Out of scope: what must hold.
#![allow(dead_code, reason = "each test program uses its own part of it")]

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write as _;
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use hashpact_node::control::Request;
use hashpact_node::control::client::Client;
use hashpact_node::daemon::{LogStatus, Status};
use hashpact_node::home::Home;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// How long anything on one machine may take before a test says that it does not happen.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// Asks again and again until there is an answer.
pub(crate) fn until<T>(what: &str, mut ask: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + SOON;
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        ensure!(Instant::now() < deadline, "not within {} s: {what}", SOON.as_secs());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// What a command printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    /// Standard output as report lines and the one object behind them.
    pub(crate) fn lines(&self) -> Result<(Vec<Value>, Value)> {
        let lines: Vec<Value> = self.out.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        ensure!(lines.iter().all(Value::is_object), "not all objects: {}", self.out);
        let mut lines = lines;
        let last = lines.pop().context("nothing on standard output")?;
        Ok((lines, last))
    }

    /// Standard output as exactly one object.
    pub(crate) fn json(&self) -> Result<Value> {
        let (before, json) = self.lines()?;
        ensure!(before.is_empty(), "more than one line: {}", self.out);
        Ok(json)
    }

    /// Fails unless the command ended so, with exactly one object on standard output.
    pub(crate) fn ends(&self, code: i32) -> Result<Value> {
        ensure!(self.code == code, "exit code {} and not {code}: {self:?}", self.code);
        self.json()
    }

    /// Fails unless the command ended so and its `error`, which is also what a person reads, holds all of these.
    pub(crate) fn refuses(&self, code: i32, parts: &[&str]) -> Result<Value> {
        let json = self.ends(code)?;
        let error = json["error"].as_str().context("no `error`")?;
        for part in parts {
            ensure!(error.contains(part), "{error:?} does not say {part:?}");
        }
        ensure!(self.err.contains(error), "{:?} does not say {error:?}", self.err);
        Ok(json)
    }
}

/// Runs the program to its end, with `--json`.
pub(crate) fn hashpact<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Result<Said> {
    program(Command::new(env!("CARGO_BIN_EXE_hashpact")).arg("--json").args(args))
}

fn program(command: &mut Command) -> Result<Said> {
    let output = command.stdin(Stdio::null()).output()?;
    Ok(Said {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout)?,
        err: String::from_utf8(output.stderr)?,
    })
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> String {
    path.display().to_string()
}

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
fn free_port() -> Result<u16> {
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
        Ok(Self { id, home, process: None, said: RefCell::default() })
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
        let log = File::options().create(true).append(true).open(self.log_file())?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_hashpact"));
        command.arg("--json").arg("--home").arg(self.home.path()).arg("run").args(args);
        let out = File::create(self.out_file())?;
        let child = command.stdin(Stdio::null()).stdout(out).stderr(log).spawn()?;
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
        let pid = self.process.as_ref().context("not started")?.id().to_string();
        ensure!(Command::new("kill").args(["-INT", &pid]).status()?.success(), "no signal sent");
        let status = until("the node stops", || self.ended())?;
        self.process = None;
        ensure!(status.code() == Some(0), "{} stopped with {status}", self.id);
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
        logs.into_iter().find(|log| log.centre == centre).context("no such log")
    }

    /// Waits until this node mirrors all that `origin` has, and acts on it.
    pub(crate) fn catches_up_with(&self, origin: &Self) -> Result<()> {
        let own = origin.status()?.own;
        let counts = |log: &LogStatus| (log.size, log.applied, log.held, log.retracted);
        until(&format!("{} holds what {} does", self.id, origin.id), || {
            let log = self.mirrored(&origin.id)?;
            Ok((counts(&log) == counts(&own)).then_some(()))
        })
    }

    /// The entries with a SHA-256.
    pub(crate) fn lookup(&self, sha256: &str) -> Result<Vec<Value>> {
        let (algorithm, value) = ("sha256".to_owned(), sha256.to_owned());
        let request = Request::Lookup { algorithm, value };
        let answer = Client::connect(&self.home)?.ask(&request, |_| {})?;
        answer["entries"].as_array().cloned().context("no `entries`")
    }

    /// The id of the one entry with a SHA-256.
    pub(crate) fn entry(&self, sha256: &str) -> Result<String> {
        let entries = self.lookup(sha256)?;
        ensure!(entries.len() == 1, "{} entries", entries.len());
        Ok(entries[0]["entry"].as_str().context("no `entry`")?.to_owned())
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

/// The root key of a network and its rosters.
pub(crate) struct Network {
    pub(crate) root: PathBuf,
    pub(crate) rosters: Vec<PathBuf>,
    pub(crate) pin: String,
}

impl Network {
    /// Makes a demonstration's first roster of these centres, and applies it at each.
    pub(crate) fn found(folder: &Path, nodes: &[&Node]) -> Result<Self> {
        let network = Self::sign(folder, nodes, &["--demo"])?;
        let roster = text(&network.rosters[0]);
        for node in nodes {
            node.run(&["roster", "apply", &roster, "--pin", &network.pin])?.ends(0)?;
        }
        Ok(network)
    }

    /// Makes the first roster of these centres and applies it nowhere.
    pub(crate) fn sign(folder: &Path, nodes: &[&Node], more: &[&str]) -> Result<Self> {
        let (root, roster) = (folder.join("root.key"), folder.join("roster-1.txt"));
        hashpact(["roster", "key", &text(&root)])?.ends(0)?;
        let mut network = Self { root, rosters: Vec::new(), pin: String::new() };
        let made = network.make(roster, nodes, more)?;
        network.pin = made["network"].as_str().context("no hash")?.to_owned();
        Ok(network)
    }

    /// Makes the version that follows, with these centres added.
    pub(crate) fn next(&mut self, nodes: &[&Node]) -> Result<String> {
        let last = self.rosters.last().context("no roster")?.clone();
        let next = last.with_file_name(format!("roster-{}.txt", self.rosters.len() + 1));
        self.make(next.clone(), nodes, &["--from", &text(&last)])?;
        Ok(text(&next))
    }

    fn make(&mut self, out: PathBuf, nodes: &[&Node], more: &[&str]) -> Result<Value> {
        let mut args = vec!["roster".to_owned(), "new".to_owned()];
        args.extend(["--root".to_owned(), text(&self.root), "--out".to_owned(), text(&out)]);
        for node in nodes {
            args.extend(["--enrol".to_owned(), text(&node.home.enrolment())]);
        }
        args.extend(more.iter().copied().map(str::to_owned));
        let made = hashpact(args)?.ends(0)?;
        self.rosters.push(out);
        Ok(made)
    }
}

/// Two running nodes on one demonstration's roster, eu and us.
pub(crate) fn two(folder: &Path, over: Over) -> Result<(Node, Node, Network)> {
    let mut eu = Node::init(folder, "eu", over)?;
    let mut us = Node::init(folder, "us", over)?;
    let network = Network::found(folder, &[&eu, &us])?;
    eu.start()?;
    us.start()?;
    Ok((eu, us, network))
}

/// A list of made-up hashes in a folder.
pub(crate) struct List {
    pub(crate) file: PathBuf,
    pub(crate) profile: PathBuf,
    pub(crate) name: String,
    pub(crate) rows: u64,
}

/// Every label stated; the kind of medium varies, which makes four policy classes.
pub(crate) const PROFILE: &str = r#"[source]
name = "synthetic"
format = "csv"

[columns]
md5 = "md5"
sha256 = "sha256"

[label]
value = "made"
scheme = "synthetic"
version = "1"
issuer = "synthetic"

[labels]
media_kind = { column = "kind" }
content_class = "unknown"
state = "assessed"
depiction = "unknown"
minor_certain = "no"
age_claim = "unknown"
self_generated = "unknown"
context_flags = []
legal_basis = "voluntary"
legal_status = {}
residency = []
applicable_law = []
tlp = "AMBER"
hops = 1
recipients = ["centre"]
purposes = ["statistics"]
"#;

impl List {
    /// Writes a list with these rows, and its profile beside it.
    pub(crate) fn write(folder: &Path, name: &str, rows: u64) -> Result<Self> {
        let profile = folder.join("list.toml");
        fs::write(&profile, PROFILE)?;
        let list = Self { file: folder.join(format!("{name}.csv")), profile, name: name.to_owned(), rows };
        let mut text = b"md5,sha256,kind\n".to_vec();
        for row in 0..rows {
            writeln!(text, "{}", list.row(row))?;
        }
        fs::write(&list.file, text)?;
        Ok(list)
    }

    /// Writes these lines instead, below the header.
    pub(crate) fn rewrite(&self, lines: &[String]) -> Result<()> {
        Ok(fs::write(&self.file, format!("md5,sha256,kind\n{}\n", lines.join("\n")))?)
    }

    /// The row's line in the file.
    pub(crate) fn row(&self, row: u64) -> String {
        let kind = ["image", "video", "audio", "text"][usize::from(row.to_le_bytes()[0] % 4)];
        format!("{},{},{kind}", self.md5(row), self.sha256(row))
    }

    pub(crate) fn sha256(&self, row: u64) -> String {
        sha256_of(&self.name, row)
    }

    pub(crate) fn md5(&self, row: u64) -> String {
        hex::encode(&Sha256::digest(self.sha256(row))[..16])
    }
}

/// The SHA-256 of a row of a list.
pub(crate) fn sha256_of(name: &str, row: u64) -> String {
    hex::encode(Sha256::digest(format!("{name} {row}")))
}

/// Copies a folder with all that is in it, but for sockets.
fn copy_folder(from: &Path, to: &Path) -> Result<()> {
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
