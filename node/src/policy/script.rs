//! `replay`: a shell script that has the stock `cedar` command line answer questions again.
//!
//! Why: nobody need take our word for what a policy decides. In scope: the script, and the files that it reads. Out of scope:
//! which questions there are (`replay` here, and `audit`).

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

const HEAD: &str = r#"#!/bin/sh
# Asks the cedar command line (cargo install cedar-policy-cli) the questions in this folder.
# Exit code 0: every answer is as expected. Set CEDAR to the program, if it is not on the path.
cd "$(dirname "$0")" || exit 2
wrong=0
ask() { # ask QUESTION DOCUMENT EXPECTED POLICIES
  said=$("${CEDAR:-cedar}" authorize --verbose --schema schema.cedarschema --policies "@DOCUMENT@.cedar" \
    --entities "@QUESTION@entities.json" --request-json "@QUESTION@request.json")
  case $? in 0) got=ALLOW ;; 2) got=DENY ;; *) got=FAILED ;; esac
  policies=$(printf '%s\n' "$said" | sed -n 's/^  //p' | LC_ALL=C sort | tr '\n' ' ')
  if [ "$got" = "$3" ] && [ "${policies% }" = "$4" ]; then
    echo "$1: $got by ${4:-no policy}"
  else
    echo "$1: expected $3 by ${4:-no policy}, got $got by ${policies:-no policy}"
    printf '%s\n' "$said"
    wrong=1
  fi
}
"#;

/// Where the files are that a script reads.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Layout {
    /// A folder for each question: `QUESTION/DOCUMENT.cedar`, `QUESTION/entities.json`, `QUESTION/request.json`.
    Apart,
    /// Documents that many questions are put to: `policies/DOCUMENT.cedar`, `QUESTION.entities.json`, `QUESTION.request.json`.
    Shared,
}

/// A script while it is written.
pub(crate) struct Script {
    text: String,
    asked: usize,
}

impl Script {
    /// A script that asks nothing.
    pub(crate) fn new(layout: Layout) -> Self {
        let (document, question) = match layout {
            Layout::Apart => ("$1/$2", "$1/"),
            Layout::Shared => ("policies/$2", "$1."),
        };
        let text = HEAD.replace("@DOCUMENT@", document);
        Self {
            text: text.replace("@QUESTION@", question),
            asked: 0,
        }
    }

    /// How many questions it asks.
    pub(crate) fn asked(&self) -> usize {
        self.asked
    }

    /// Adds a question; `policies` are the ids of those that determine the answer. Questions, documents and ids are of a-z, 0-9,
    /// '.', '-', '_' and '/': nothing that a shell reads.
    pub(crate) fn ask(
        &mut self,
        question: &str,
        document: &str,
        allowed: bool,
        policies: &[String],
    ) {
        let expected = if allowed { "ALLOW" } else { "DENY" };
        let policies = policies.join(" ");
        let _ = writeln!(
            self.text,
            "ask {question} {document} {expected} \"{policies}\""
        );
        self.asked += 1;
    }

    /// Its text, to be written as `replay` in the folder of the questions.
    pub(crate) fn end(mut self) -> String {
        self.text.push_str("exit $wrong\n");
        self.text
    }
}

/// The policies of a document in one text, each file under its name.
pub(crate) fn policies(files: &[(String, String)]) -> String {
    let cedar = files.iter();
    let cedar = cedar.filter(|(name, _)| name.ends_with(".cedar"));
    cedar
        .map(|(name, text)| format!("// {name}\n{text}\n"))
        .collect()
}

/// Writes a file that is not there yet.
pub(crate) fn create(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())
}
