//! An auditor's witness: its home, and its process while it runs; and bare HTTP to ask it with.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use hashpact_protocol::log::VerifierKey;

use super::node::free_port;
use super::{Said, hashpact, text, until};

/// A witness's home, and its process while it runs. It listens at the same address at every start.
pub(crate) struct Witness {
    pub(crate) home: PathBuf,
    pub(crate) name: String,
    pub(crate) address: String,
    process: Option<Child>,
}

impl Witness {
    pub(crate) fn init(folder: &Path, name: &str, more: &[&str]) -> Result<Self> {
        let witness = Self {
            home: folder.join(name),
            name: format!("auditor.example/{name}"),
            address: format!("127.0.0.1:{}", free_port()?),
            process: None,
        };
        witness
            .run(&[&["init", "--name", &witness.name], more].concat())?
            .ends(0)?;
        Ok(witness)
    }

    pub(crate) fn run(&self, args: &[&str]) -> Result<Said> {
        let home = text(&self.home);
        hashpact(["--home", &home, "witness"].iter().chain(args))
    }

    pub(crate) fn enrolment(&self) -> String {
        text(&self.home.join("enrolment.txt"))
    }

    pub(crate) fn vkey(&self) -> Result<VerifierKey> {
        let said = self.run(&["vkey"])?.ends(0)?;
        Ok(said["vkey"].as_str().context("no vkey")?.parse()?)
    }

    /// What a node's configuration says of it.
    pub(crate) fn section(&self) -> String {
        section(&self.name, &self.address)
    }

    /// Starts it, and says where it listens once it does.
    pub(crate) fn start(&mut self) -> Result<String> {
        let log = self.home.with_extension("log");
        let mut command = Command::new(env!("CARGO_BIN_EXE_hashpact"));
        command.arg("--json").arg("--home").arg(&self.home);
        command.args(["witness", "run", "--listen", &self.address]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null());
        let mut child = child.stderr(File::create(&log)?).spawn()?;
        until("the witness listens", || {
            let said = fs::read_to_string(&log)?;
            if child.try_wait()?.is_some() {
                bail!("the witness ended: {said}");
            }
            Ok(said.contains("cosigning at http://").then_some(()))
        })?;
        self.process = Some(child);
        Ok(self.address.clone())
    }

    pub(crate) fn signal(&self, signal: &str) -> Result<()> {
        let pid = self.process.as_ref().context("not started")?.id();
        let mut kill = Command::new("kill");
        let sent = kill.args([signal, &pid.to_string()]).status()?;
        ensure!(sent.success(), "no signal sent");
        Ok(())
    }

    /// Stops it as a service manager does.
    pub(crate) fn stop(&mut self) -> Result<()> {
        self.signal("-TERM")?;
        let mut child = self.process.take().context("not started")?;
        let ended = until("the witness stops", || Ok(child.try_wait()?))?;
        ensure!(ended.code() == Some(0), "stopped with {ended}");
        Ok(())
    }

    pub(crate) fn log(&self) -> Result<String> {
        Ok(fs::read_to_string(self.home.with_extension("log"))?)
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        if let Some(mut child) = self.process.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Where a witness of the roster is, for a node's configuration.
pub(crate) fn section(name: &str, address: &str) -> String {
    format!("\n[[witness]]\nname = \"{name}\"\nurl = \"http://{address}\"\n")
}

/// Status and body of one request.
pub(crate) fn ask(address: &str, method: &str, path: &str, body: &[u8]) -> Result<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect(address)?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: w\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|at| at == b"\r\n\r\n");
    let end = end.context("no HTTP")?;
    let status = std::str::from_utf8(answer.get(9..12).context("no status")?)?;
    Ok((status.parse()?, answer[end + 4..].to_vec()))
}
