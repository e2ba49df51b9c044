//! One centre: its home, and its process while it runs.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use hashpact_node::control::Request;
use hashpact_node::control::client::Client;
use hashpact_node::daemon::Status;
use hashpact_node::home::Home;
use serde_json::Value;

use super::{Auditor, ProfileFiles, free_port, interrupt, node, node_ok};
use crate::lists::List;

/// How long a node may take to answer after it was started.
const START: Duration = Duration::from_secs(60);

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

    /// Writes into the configuration that this node serves its logs over HTTP on any port, and where the auditors' witnesses
    /// are. Without auditors nothing is written.
    ///
    /// # Errors
    /// Fails if the file cannot be written.
    pub fn configure(&self, auditors: &[Auditor]) -> Result<()> {
        if auditors.is_empty() {
            return Ok(());
        }
        let path = self.home.config();
        let mut text = std::fs::read_to_string(&path)?;
        text.push_str("\n[http]\nlisten = \"127.0.0.1:0\"\n");
        for auditor in auditors {
            let (name, url) = (&auditor.name, auditor.url());
            text.push_str(&format!(
                "\n[[witness]]\nname = \"{name}\"\nurl = \"{url}\"\n"
            ));
        }
        Ok(std::fs::write(path, text)?)
    }

    /// Lets one person look up as much as a run does, from the next start on.
    ///
    /// # Errors
    /// Fails if the file cannot be written.
    pub fn raise_lookup_quota(&self) -> Result<()> {
        let path = self.home.config();
        let mut text = std::fs::read_to_string(&path)?;
        text.push_str("\n[lookup]\nper_person_day = 1000000000\n");
        Ok(std::fs::write(path, text)?)
    }

    /// Writes into the configuration that this node serves members on any port, and what it publishes at once: a run does
    /// not last an hour.
    ///
    /// # Errors
    /// Fails if the file cannot be written.
    pub fn serve_members(&self) -> Result<()> {
        let path = self.home.config();
        let mut text = std::fs::read_to_string(&path)?;
        text.push_str("\n[gateway]\nlisten = \"127.0.0.1:0\"\n\n[subset]\nquarantine_s = 0\n");
        Ok(std::fs::write(path, text)?)
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
        self.start_with(&[], None)
    }

    /// As [`Node::start`], for a node whose witnesses are not there yet: it signs without hearing from them first.
    ///
    /// # Errors
    /// As [`Node::start`].
    pub fn start_alone(&mut self) -> Result<()> {
        self.start_with(&["--disk-is-current"], None)
    }

    /// As [`Node::start`], on one core only.
    ///
    /// # Errors
    /// As [`Node::start`]; or if there is no `taskset`.
    pub fn start_pinned(&mut self, core: &str) -> Result<()> {
        self.start_with(&[], Some(core))
    }

    fn start_with(&mut self, args: &[&str], core: Option<&str>) -> Result<()> {
        let log = self.log_file();
        let file = File::options().create(true).append(true).open(&log)?;
        let program = std::env::current_exe()?;
        let mut command = match core {
            None => Command::new(program),
            Some(core) => {
                // It becomes the program, under the same id.
                let mut pinned = Command::new("taskset");
                pinned.args(["-c", core]).arg(program);
                pinned
            }
        };
        let child = command
            .args(["node", "--home"])
            .arg(self.home.path())
            .args(["run", "--log", "info,libp2p=warn"])
            .args(args)
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

    /// Whether its process was started and not stopped.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.process.is_some()
    }

    /// The profile that comes with the program for a centre of this id.
    ///
    /// # Errors
    /// Fails if there is none.
    pub fn profile(&self) -> Result<ProfileFiles> {
        ProfileFiles::of(&self.id)
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

    /// Where it serves its logs over HTTP.
    ///
    /// # Errors
    /// Fails if it does not answer, or serves none.
    pub fn url(&self) -> Result<String> {
        let address = self.status()?.http;
        let address = address.with_context(|| format!("{} serves no HTTP", self.id))?;
        Ok(format!("http://{address}"))
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

    /// The entry of this centre's own with a fingerprint, as `lookup` says it.
    ///
    /// # Errors
    /// Fails if there is none, or the node does not answer.
    pub fn own_entry(&self, fingerprint: &str) -> Result<Value> {
        let found = self.lookup(fingerprint)?.into_iter();
        let mut own = found.filter(|entry| entry["centre"] == self.id.as_str());
        let own = own.next();
        own.with_context(|| format!("{} does not hold its own list", self.id))
    }

    /// Tells the process to stop, as ctrl-C does, and waits until it has.
    ///
    /// # Errors
    /// Fails if it does not stop in time or with another exit code than 0.
    pub fn stop(&mut self) -> Result<()> {
        match self.process.take() {
            Some(child) => interrupt(child, &self.id),
            None => Ok(()),
        }
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
