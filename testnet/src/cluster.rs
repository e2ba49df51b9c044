//! Real `hashpact` processes on loopback, each with a home of its own: this executable, started as `node …`.
//!
//! | file | answers |
//! |---|---|
//! | `node` | a centre's home and process |
//! | `auditor` | a witness's home and process |
//! | `profile` | a centre's policy profile |

mod auditor;
mod node;
mod profile;

use std::ffi::OsStr;
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use hashpact_keys::SignedRoster;
use hashpact_node::armor::Kind;
use hashpact_node::daemon::Status;
use serde_json::Value;

pub use auditor::Auditor;
pub use node::Node;
pub use profile::ProfileFiles;

/// Witnesses of every log besides the other centres, where there is an auditor.
pub const AUDITORS: usize = 1;
/// How long a process may take to stop after it was told to.
const STOP: Duration = Duration::from_secs(60);

/// A network of centres with one root key.
pub struct Cluster {
    /// The folder that holds everything.
    pub folder: PathBuf,
    /// The centres.
    pub nodes: Vec<Node>,
    /// Who witnesses and is no centre.
    pub auditors: Vec<Auditor>,
    /// The network's hash.
    pub pin: String,
    rosters: Vec<PathBuf>,
    policy: Policy,
}

/// Whether centres can log profiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Policy {
    None,
    /// Two keys sign each.
    TwoKeys,
}

impl Policy {
    fn init(self, folder: &Path, id: &str, jurisdiction: &str) -> Result<Node> {
        let node = Node::init(folder, id, jurisdiction)?;
        // A run looks every entry up again and again, as no person does.
        node.raise_lookup_quota()?;
        if self == Self::TwoKeys {
            profile::make_keys(&node)?;
        }
        Ok(node)
    }
}

/// What a command said and how it ended.
pub struct Said {
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
    /// The exit code; -1 if a signal ended it.
    pub code: i32,
}

/// Runs `node <args>` of this executable to its end.
///
/// # Errors
/// Fails if it cannot be started.
pub fn say<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Result<Said> {
    let mut command = Command::new(std::env::current_exe()?);
    let output = command
        .arg("node")
        .args(args)
        .stdin(Stdio::null())
        .output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    Ok(Said {
        out: text(&output.stdout),
        err: text(&output.stderr),
        code: output.status.code().unwrap_or(-1),
    })
}

/// Runs `node --json <args>` of this executable and returns its JSON answer and exit code.
///
/// # Errors
/// Fails if it cannot be started or prints no JSON.
pub fn node<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Result<(Value, i32)> {
    let args = args.into_iter().map(|arg| arg.as_ref().to_owned());
    let said = say(std::iter::once("--json".into()).chain(args))?;
    let last = said.out.lines().last().unwrap_or_default();
    let json = serde_json::from_str(last);
    let json = json.with_context(|| format!("exit {}: {}", said.code, said.err))?;
    Ok((json, said.code))
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

/// A port that is free for both UDP and TCP at this moment. Below those that the system gives to outgoing connections: a
/// process that is started again finds its own free.
fn free_port() -> Result<u16> {
    for _ in 0..64 {
        let random = getrandom::u32().map_err(|error| anyhow!("no random numbers: {error}"))?;
        let port = 10_000 + u16::try_from(random % 22_000)?;
        let is_free = TcpListener::bind(("127.0.0.1", port)).is_ok()
            && UdpSocket::bind(("127.0.0.1", port)).is_ok();
        if is_free {
            return Ok(port);
        }
    }
    bail!("no port is free for both UDP and TCP")
}

fn signal(child: &Child, signal: &str) -> Result<()> {
    let kill = format!("kill -{signal} {}", child.id());
    let sent = Command::new("sh").args(["-c", &kill]).status()?;
    ensure!(sent.success(), "no signal {signal} could be sent");
    Ok(())
}

/// Tells a process to stop, as ctrl-C does, and waits until it has.
fn interrupt(mut child: Child, name: &str) -> Result<()> {
    signal(&child, "INT")?;
    let deadline = Instant::now() + STOP;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait()? {
            ensure!(status.success(), "{name} stopped with {status}");
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill()?;
    child.wait()?;
    bail!("{name} did not stop within {} s", STOP.as_secs())
}

impl Cluster {
    /// Makes homes, a root key and the first roster, and applies it everywhere. With auditors, every centre serves its
    /// logs over HTTP and asks their witnesses.
    ///
    /// # Errors
    /// Fails if a step does.
    pub fn create(folder: &Path, centres: &[(&str, &str)], auditors: Vec<Auditor>) -> Result<Self> {
        Self::with(folder, centres, auditors, Policy::None)
    }

    /// As [`Cluster::create`], of centres that have two policy keys each.
    ///
    /// # Errors
    /// As [`Cluster::create`].
    pub fn governed(
        folder: &Path,
        centres: &[(&str, &str)],
        auditors: Vec<Auditor>,
    ) -> Result<Self> {
        Self::with(folder, centres, auditors, Policy::TwoKeys)
    }

    fn with(
        folder: &Path,
        centres: &[(&str, &str)],
        auditors: Vec<Auditor>,
        policy: Policy,
    ) -> Result<Self> {
        let nodes: Vec<Node> = centres
            .iter()
            .map(|(id, jurisdiction)| policy.init(folder, id, jurisdiction))
            .collect::<Result<_>>()?;
        let mut cluster = Self {
            folder: folder.to_owned(),
            nodes,
            auditors,
            pin: String::new(),
            rosters: Vec::new(),
            policy,
        };
        node_ok(["roster", "key", &cluster.root_key()])?;
        let mut args = vec!["--demo".to_owned()];
        for node in &cluster.nodes {
            args.extend(enrol(node));
        }
        for auditor in &cluster.auditors {
            let enrolment = auditor.enrolment().display().to_string();
            args.extend(["--auditor".to_owned(), enrolment]);
        }
        for node in &cluster.nodes {
            node.configure(&cluster.auditors)?;
        }
        cluster.pin = cluster.new_roster(args)?;
        let (roster, pin) = (cluster.newest_roster()?, cluster.pin.as_str());
        for node in &cluster.nodes {
            let roster = roster.display().to_string();
            node.shell_ok(&["roster", "apply", &roster, "--pin", pin])?;
        }
        for auditor in &cluster.auditors {
            auditor.apply(&roster, Some(pin))?;
        }
        Ok(cluster)
    }

    fn root_key(&self) -> String {
        self.folder.join("root.key").display().to_string()
    }

    /// The file of the newest roster.
    ///
    /// # Errors
    /// Fails if there is none.
    pub fn newest_roster(&self) -> Result<PathBuf> {
        self.rosters.last().cloned().context("no roster")
    }

    /// The files of all rosters, the first one first.
    #[must_use]
    pub fn rosters(&self) -> &[PathBuf] {
        &self.rosters
    }

    /// Makes the next roster; the network's hash.
    fn new_roster(&mut self, mut args: Vec<String>) -> Result<String> {
        let version = self.rosters.len() + 1;
        let file = self.folder.join(format!("roster-{version}.txt"));
        let (root, out) = (self.root_key(), file.display().to_string());
        args.extend(["--root".to_owned(), root, "--out".to_owned(), out]);
        let new = ["roster".to_owned(), "new".to_owned()].into_iter();
        let made = node_ok(new.chain(args))?;
        self.rosters.push(file);
        let network = made["network"].as_str();
        Ok(network.context("no network hash")?.to_owned())
    }

    /// The newest roster, read from the files and not from any node.
    ///
    /// # Errors
    /// Fails if the files do not read, or the first one is not the pinned one.
    pub fn roster(&self) -> Result<SignedRoster> {
        let mut newest: Option<SignedRoster> = None;
        for file in &self.rosters {
            let bytes = Kind::Roster.unwrap(&std::fs::read_to_string(file)?)?;
            newest = Some(match newest {
                Some(last) => last.succeed(&bytes)?,
                None => SignedRoster::open_first(&bytes, &self.pin.parse()?)?,
            });
        }
        newest.context("no roster")
    }

    /// Starts everybody.
    ///
    /// # Errors
    /// Fails if one does not start.
    pub fn start(&mut self) -> Result<()> {
        self.auditors.iter_mut().try_for_each(Auditor::start)?;
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

    /// The first auditor.
    ///
    /// # Errors
    /// Fails if there is none.
    pub fn auditor_mut(&mut self) -> Result<&mut Auditor> {
        self.auditors.first_mut().context("no auditor")
    }

    /// Adds a centre while the others run: a new roster, applied at each of them, then the newcomer catches up on rosters.
    ///
    /// # Errors
    /// Fails if a step does.
    pub fn join(&mut self, id: &str, jurisdiction: &str) -> Result<()> {
        let mut node = self.policy.init(&self.folder, id, jurisdiction)?;
        let text = |path: &Path| path.display().to_string();
        let before: Vec<String> = self.rosters.iter().map(|file| text(file)).collect();
        let mut args = vec!["--from".to_owned(), text(&self.newest_roster()?)];
        args.extend(enrol(&node));
        self.new_roster(args)?;
        let next = self.newest_roster()?;
        node.configure(&self.auditors)?;
        for auditor in &self.auditors {
            auditor.apply(&next, None)?;
        }
        let next = text(&next);
        for running in &self.nodes {
            running.shell_ok(&["roster", "apply", &next])?;
        }
        // The newcomer is on the last roster only, and pins the first: it needs all.
        let mut args = vec!["roster", "apply"];
        args.extend(before.iter().map(String::as_str));
        args.extend([&next, "--pin", &self.pin]);
        node.shell_ok(&args)?;
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

    /// Stops everybody.
    ///
    /// # Errors
    /// Fails if one does not stop cleanly.
    pub fn stop(&mut self) -> Result<()> {
        self.nodes.iter_mut().try_for_each(Node::stop)?;
        self.auditors.iter_mut().try_for_each(Auditor::stop)
    }
}

/// The arguments that put a centre on a roster.
fn enrol(node: &Node) -> [String; 2] {
    let enrolment = node.home.enrolment().display().to_string();
    ["--enrol".to_owned(), enrolment]
}
