//! Real `hashpact` processes on loopback, each with a home of its own: this executable, started as `node …`.

use std::ffi::OsStr;
use std::fs::File;
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use hashpact_node::control::Request;
use hashpact_node::control::client::Client;
use hashpact_node::daemon::Status;
use hashpact_node::home::Home;
use serde_json::Value;

use crate::lists::List;

/// How long a node may take to answer after it was started.
const START: Duration = Duration::from_secs(60);
/// How long a node may take to stop after it was told to.
const STOP: Duration = Duration::from_secs(60);

/// One centre: its home, and its process while it runs.
pub struct Node {
    /// The centre's id.
    pub id: String,
    /// Its jurisdiction.
    pub jurisdiction: String,
    /// Its home folder.
    pub home: Home,
    process: Option<Child>,
}

/// A network of centres with one root key.
pub struct Cluster {
    /// The folder that holds everything.
    pub folder: PathBuf,
    /// The centres.
    pub nodes: Vec<Node>,
    rosters: Vec<PathBuf>,
    pin: String,
}

/// Runs `node <args>` of this executable and returns its JSON answer and exit code.
///
/// # Errors
/// Fails if it cannot be started or prints no JSON.
pub fn node<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Result<(Value, i32)> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .arg("node")
        .arg("--json")
        .args(args)
        .stdin(Stdio::null());
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().unwrap_or_default();
    let code = output.status.code().unwrap_or(-1);
    let said = || String::from_utf8_lossy(&output.stderr).trim().to_owned();
    let json = serde_json::from_str(last).with_context(|| format!("exit {code}: {}", said()))?;
    Ok((json, code))
}

/// As [`node`], for what must succeed.
///
/// # Errors
/// Fails unless the exit code is 0.
pub fn node_ok<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Result<Value> {
    let (json, code) = node(args)?;
    ensure!(
        code == 0,
        "exit {code}: {}",
        json["error"].as_str().unwrap_or("no reason given")
    );
    Ok(json)
}

/// A port that is free for both UDP and TCP at this moment.
fn free_port() -> Result<u16> {
    for _ in 0..64 {
        let udp = UdpSocket::bind("127.0.0.1:0")?;
        let port = udp.local_addr()?.port();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no port is free for both UDP and TCP")
}

impl Node {
    /// Makes a home for a centre, listening on loopback over QUIC and TCP.
    ///
    /// # Errors
    /// Fails if `init` does.
    pub fn init(folder: &Path, id: &str, jurisdiction: &str) -> Result<Self> {
        let home = folder.join(id);
        let port = free_port()?;
        let (quic, tcp) = (
            format!("/ip4/127.0.0.1/udp/{port}/quic-v1"),
            format!("/ip4/127.0.0.1/tcp/{port}"),
        );
        let domain = format!("{id}.example");
        let home_text = home.display().to_string();
        node_ok([
            "--home",
            &home_text,
            "init",
            "--centre",
            id,
            "--jurisdiction",
            jurisdiction,
            "--domain",
            &domain,
            "--listen",
            &quic,
            "--listen",
            &tcp,
        ])
        .with_context(|| format!("init of {id}"))?;
        let (id, jurisdiction) = (id.to_owned(), jurisdiction.to_owned());
        Ok(Self {
            id,
            jurisdiction,
            home: Home::new(home),
            process: None,
        })
    }

    /// Runs a command of this node's shell.
    ///
    /// # Errors
    /// As [`node`].
    pub fn shell(&self, args: &[&str]) -> Result<(Value, i32)> {
        let home = self.home.path().display().to_string();
        let args: Vec<&str> = ["--home", &home]
            .into_iter()
            .chain(args.iter().copied())
            .collect();
        node(args)
    }

    /// As [`Node::shell`], for what must succeed.
    ///
    /// # Errors
    /// Fails unless the exit code is 0.
    pub fn shell_ok(&self, args: &[&str]) -> Result<Value> {
        let (json, code) = self.shell(args)?;
        let why = json["error"].as_str().unwrap_or("no reason given");
        ensure!(code == 0, "{}: {args:?}: exit {code}: {why}", self.id);
        Ok(json)
    }

    /// Starts the process and waits until it answers.
    ///
    /// # Errors
    /// Fails if it ends or does not answer in time; its log says why.
    pub fn start(&mut self) -> Result<()> {
        let log = self.log_file();
        let file = File::options().create(true).append(true).open(&log)?;
        let child = Command::new(std::env::current_exe()?)
            .args(["node", "--home"])
            .arg(self.home.path())
            .args(["run", "--log", "info,libp2p=warn"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()?;
        let child = self.process.insert(child);
        let deadline = Instant::now() + START;
        loop {
            if let Some(status) = child.try_wait()? {
                bail!("{} ended with {status}: see {}", self.id, log.display());
            }
            if Client::connect(&self.home).is_ok() {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "{} does not answer: see {}",
                self.id,
                log.display()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The process's log.
    #[must_use]
    pub fn log_file(&self) -> PathBuf {
        self.home.path().join("node.log")
    }

    /// The process's id, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Child::id)
    }

    /// What the node says of itself.
    ///
    /// # Errors
    /// Fails if it does not answer.
    pub fn status(&self) -> Result<Status> {
        let json = Client::connect(&self.home)?.ask(&Request::Status, |_| {})?;
        Ok(serde_json::from_value(json)?)
    }

    /// Ingests a list through the shell. Returns the answer; refused rows are the caller's to judge.
    ///
    /// # Errors
    /// Fails if the file is refused.
    pub fn ingest(&self, list: &List) -> Result<Value> {
        let (file, profile) = (
            list.file.display().to_string(),
            list.profile.display().to_string(),
        );
        let (json, code) = self.shell(&["ingest", &file, "--profile", &profile])?;
        ensure!(
            code <= 1,
            "{}: {}",
            self.id,
            json["error"].as_str().unwrap_or("ingest failed")
        );
        Ok(json)
    }

    /// What `lookup` says of a fingerprint.
    ///
    /// # Errors
    /// Fails if the node does not answer.
    pub fn lookup(&self, fingerprint: &str) -> Result<Vec<Value>> {
        let (json, _) = self.shell(&["lookup", fingerprint])?;
        Ok(json["entries"].as_array().cloned().unwrap_or_default())
    }

    /// Tells the process to stop, as ctrl-C does, and waits until it has.
    ///
    /// # Errors
    /// Fails if it does not stop in time or with another exit code than 0.
    pub fn stop(&mut self) -> Result<()> {
        let Some(mut child) = self.process.take() else {
            return Ok(());
        };
        let kill = format!("kill -INT {}", child.id());
        Command::new("sh").args(["-c", &kill]).status()?;
        let deadline = Instant::now() + STOP;
        while Instant::now() < deadline {
            if let Some(status) = child.try_wait()? {
                ensure!(status.success(), "{} stopped with {status}", self.id);
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        child.kill()?;
        bail!("{} did not stop within {} s", self.id, STOP.as_secs())
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

impl Cluster {
    /// Makes homes, a root key and the first roster, and applies it everywhere.
    ///
    /// # Errors
    /// Fails if a step does.
    pub fn create(folder: &Path, centres: &[(&str, &str)]) -> Result<Self> {
        let nodes: Vec<Node> = centres
            .iter()
            .map(|(id, jurisdiction)| Node::init(folder, id, jurisdiction))
            .collect::<Result<_>>()?;
        let root = folder.join("root.key").display().to_string();
        node_ok(["roster", "key", &root])?;
        let roster = folder.join("roster-1.txt");
        let out = roster.display().to_string();
        let mut args = vec!["roster", "new", "--demo", "--root", &root, "--out", &out];
        let enrolments: Vec<String> = nodes
            .iter()
            .map(|node| node.home.enrolment().display().to_string())
            .collect();
        args.extend(enrolments.iter().flat_map(|file| ["--enrol", file]));
        let made = node_ok(args)?;
        let pin = made["network"]
            .as_str()
            .context("no network hash")?
            .to_owned();
        for node in &nodes {
            node.shell_ok(&["roster", "apply", &out, "--pin", &pin])?;
        }
        Ok(Self {
            folder: folder.to_owned(),
            nodes,
            rosters: vec![roster],
            pin,
        })
    }

    /// Starts every node.
    ///
    /// # Errors
    /// Fails if one does not start.
    pub fn start(&mut self) -> Result<()> {
        self.nodes.iter_mut().try_for_each(Node::start)
    }

    /// The node of a centre.
    ///
    /// # Errors
    /// Fails if there is none.
    pub fn node(&self, id: &str) -> Result<&Node> {
        self.nodes
            .iter()
            .find(|node| node.id == id)
            .with_context(|| format!("no centre {id}"))
    }

    /// As [`Cluster::node`].
    ///
    /// # Errors
    /// Fails if there is none.
    pub fn node_mut(&mut self, id: &str) -> Result<&mut Node> {
        let node = self.nodes.iter_mut().find(|node| node.id == id);
        node.with_context(|| format!("no centre {id}"))
    }

    /// Adds a centre while the others run: a new roster, applied at each of them, then the newcomer catches up on rosters.
    ///
    /// # Errors
    /// Fails if a step does.
    pub fn join(&mut self, id: &str, jurisdiction: &str) -> Result<()> {
        let mut node = Node::init(&self.folder, id, jurisdiction)?;
        let root = self.folder.join("root.key").display().to_string();
        let last = self
            .rosters
            .last()
            .context("no roster")?
            .display()
            .to_string();
        let next = self
            .folder
            .join(format!("roster-{}.txt", self.rosters.len() + 1));
        let out = next.display().to_string();
        let enrolment = node.home.enrolment().display().to_string();
        node_ok([
            "roster", "new", "--from", &last, "--root", &root, "--enrol", &enrolment, "--out", &out,
        ])?;
        for running in &self.nodes {
            running.shell_ok(&["roster", "apply", &out])?;
        }
        // The newcomer is on the second roster only, and pins the first: it needs both.
        let first = self
            .rosters
            .first()
            .context("no roster")?
            .display()
            .to_string();
        node.shell_ok(&["roster", "apply", &first, &out, "--pin", &self.pin])?;
        self.rosters.push(next);
        node.start()?;
        self.nodes.push(node);
        Ok(())
    }

    /// What every node says of itself.
    ///
    /// # Errors
    /// Fails if one does not answer.
    pub fn statuses(&self) -> Result<Vec<Status>> {
        self.nodes.iter().map(Node::status).collect()
    }

    /// Stops every node.
    ///
    /// # Errors
    /// Fails if one does not stop cleanly.
    pub fn stop(&mut self) -> Result<()> {
        self.nodes.iter_mut().try_for_each(Node::stop)
    }
}
