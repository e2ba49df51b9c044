//! How a command ended and what it printed.

use std::ffi::OsStr;
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// What a command printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    pub(crate) fn of(output: Output) -> Result<Self> {
        Ok(Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout)?,
            err: String::from_utf8(output.stderr)?,
        })
    }

    /// Standard output as report lines and the one object behind them.
    pub(crate) fn lines(&self) -> Result<(Vec<Value>, Value)> {
        let lines: Vec<Value> = self
            .out
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()?;
        ensure!(
            lines.iter().all(Value::is_object),
            "not all objects: {}",
            self.out
        );
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
        ensure!(
            self.code == code,
            "exit code {} and not {code}: {self:?}",
            self.code
        );
        self.json()
    }

    /// Fails unless the command ended so and its `error`, which is also what a person reads, holds all of these.
    pub(crate) fn refuses(&self, code: i32, parts: &[&str]) -> Result<Value> {
        let json = self.ends(code)?;
        let error = json["error"].as_str().context("no `error`")?;
        for part in parts {
            ensure!(error.contains(part), "{error:?} does not say {part:?}");
        }
        ensure!(
            self.err.contains(error),
            "{:?} does not say {error:?}",
            self.err
        );
        Ok(json)
    }
}

/// Runs the program to its end, with `--json`.
pub(crate) fn hashpact<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Result<Said> {
    program(
        Command::new(env!("CARGO_BIN_EXE_hashpact"))
            .arg("--json")
            .args(args),
    )
}

/// Runs a command to its end, without input.
pub(crate) fn program(command: &mut Command) -> Result<Said> {
    Said::of(command.stdin(Stdio::null()).output()?)
}
