//! An auditor that runs a witness: no centre, no log, a home and a process of its own.

use std::fs::File;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::{free_port, interrupt, node_ok};

/// How long the witness may take to listen after it was started.
const START: Duration = Duration::from_secs(60);

/// An auditor's witness.
pub struct Auditor {
    /// The name under which it cosigns.
    pub name: String,
    home: PathBuf,
    port: u16,
    process: Option<Child>,
}

impl Auditor {
    /// Makes its home.
    ///
    /// # Errors
    /// Fails if `witness init` does.
    pub fn init(folder: &Path, name: &str) -> Result<Self> {
        let auditor = Self {
            name: name.to_owned(),
            home: folder.join(name.replace('/', "_")),
            port: free_port()?,
            process: None,
        };
        auditor.shell(&["init", "--name", name])?;
        Ok(auditor)
    }

    /// What goes to whoever makes the roster.
    #[must_use]
    pub fn enrolment(&self) -> PathBuf {
        self.home.join("enrolment.txt")
    }

    /// Where it is asked to cosign.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its log file.
    #[must_use]
    pub fn log_file(&self) -> PathBuf {
        self.home.join("witness.log")
    }

    fn shell(&self, args: &[&str]) -> Result<serde_json::Value> {
        let home = self.home.display().to_string();
        let base = ["--home", &home, "witness"];
        let all = base.iter().chain(args);
        node_ok(all).with_context(|| format!("the auditor: {args:?}"))
    }

    /// Puts a roster in force; the first one needs the pin. A witness that runs takes it at once.
    ///
    /// # Errors
    /// Fails if the roster is refused, or the process cannot be told.
    pub fn apply(&self, roster: &Path, pin: Option<&str>) -> Result<()> {
        let roster = roster.display().to_string();
        let mut args = vec!["roster", "apply", &roster];
        args.extend(pin.iter().flat_map(|pin| ["--pin", pin]));
        self.shell(&args)?;
        if let Some(child) = &self.process {
            super::signal(child, "HUP")?;
        }
        Ok(())
    }

    /// Starts it and waits until it listens.
    ///
    /// # Errors
    /// Fails if it ends or does not listen in time; its log says why.
    pub fn start(&mut self) -> Result<()> {
        let log = self.log_file();
        let file = File::options().create(true).append(true).open(&log)?;
        let address = format!("127.0.0.1:{}", self.port);
        let child = Command::new(std::env::current_exe()?)
            .args(["node", "--home"])
            .arg(&self.home)
            .args(["witness", "run", "--listen", &address])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()?;
        let child = self.process.insert(child);
        let deadline = Instant::now() + START;
        while TcpStream::connect(&address).is_err() {
            if let Some(status) = child.try_wait()? {
                bail!("the auditor ended with {status}: see {}", log.display());
            }
            let waits = Instant::now() < deadline;
            ensure!(waits, "the auditor does not listen: see {}", log.display());
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Tells it to stop, as ctrl-C does, and waits until it has.
    ///
    /// # Errors
    /// Fails if it does not stop in time or with another exit code than 0.
    pub fn stop(&mut self) -> Result<()> {
        match self.process.take() {
            Some(child) => interrupt(child, &self.name),
            None => Ok(()),
        }
    }
}

impl Drop for Auditor {
    fn drop(&mut self) {
        if let Some(mut child) = self.process.take() {
            // Nothing more can be done about a process that will not die.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
