//! The decisions behind disclosures, written down so that the stock `cedar` command line makes them again.
//!
//! ```text
//! replay                                  a shell script: asks every question, fails if an answer is another one
//! schema.cedarschema                      what a policy may look at
//! policies/<log>-<leaf>.cedar             the policies of one document, word for word as its leaf has them
//! <log>-<leaf>/<class>-<log>-<leaf>-<action>.entities.json, .request.json
//!                                         of one statement's leaf: what one document is asked about one class
//! ```
//!
//! Why: nobody need take our word for what a policy decides. In scope: the files. Out of scope: which documents were in
//! force, and whether statements hold (`hashpact_protocol::audit`), of which `cedar` knows nothing.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use hashpact_keys::Origin;
use hashpact_protocol::audit::Decided;
use hashpact_protocol::lists::ClosedList as _;
use hashpact_protocol::log::{Leaf, read_leaves};
use hashpact_protocol::policy::{PolicyDocument, SCHEMA};

use super::folder::{Folder, LogFolder, log_name};

const SCRIPT: &str = r#"#!/bin/sh
# Asks the cedar command line (cargo install cedar-policy-cli) the questions in this folder.
# Exit code 0: every answer is as expected. Set CEDAR to the program, if it is not on the path.
cd "$(dirname "$0")" || exit 2
wrong=0
ask() { # ask QUESTION DOCUMENT EXPECTED POLICIES
  said=$("${CEDAR:-cedar}" authorize --verbose --schema schema.cedarschema --policies "policies/$2.cedar" \
    --entities "$1.entities.json" --request-json "$1.request.json")
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

/// Questions that are written; a script with more would run for hours.
const QUESTIONS: usize = 100_000;

/// Writes decisions into a folder that is made for it.
pub(super) struct CedarFolder<'a> {
    dir: PathBuf,
    logs: &'a Folder,
    /// Sizes of the logs, whose tiles tell where leaves are.
    size: &'a dyn Fn(&Origin) -> u64,
    documents: BTreeSet<(Origin, u64)>,
    script: String,
    asked: usize,
    failed: Option<io::Error>,
}

impl<'a> CedarFolder<'a> {
    /// Makes the folder, which must not be there.
    pub(super) fn make(
        dir: &Path,
        logs: &'a Folder,
        size: &'a dyn Fn(&Origin) -> u64,
    ) -> io::Result<Self> {
        fs::create_dir(dir)?;
        fs::create_dir(dir.join("policies"))?;
        put(&dir.join("schema.cedarschema"), SCHEMA, 0o600)?;
        Ok(Self {
            dir: dir.to_owned(),
            logs,
            size,
            documents: BTreeSet::new(),
            script: SCRIPT.to_owned(),
            asked: 0,
            failed: None,
        })
    }

    /// Takes one decision. The first failure is kept for [`CedarFolder::end`].
    pub(super) fn take(&mut self, decided: &Decided) {
        if self.failed.is_none() && self.asked < QUESTIONS {
            self.failed = self.write(decided).err();
        }
    }

    /// Writes the script; how many questions it asks.
    pub(super) fn end(mut self) -> io::Result<usize> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        self.script.push_str("exit $wrong\n");
        put(&self.dir.join("replay"), &self.script, 0o700)?;
        Ok(self.asked)
    }

    fn write(&mut self, decided: &Decided) -> io::Result<()> {
        let Some(question) = &decided.question else {
            return Ok(());
        };
        let of = place(&decided.of, decided.document);
        if self
            .documents
            .insert((decided.of.clone(), decided.document))
        {
            let text = self.policies(&decided.of, decided.document)?;
            let path = self.dir.join("policies").join(format!("{of}.cedar"));
            put(&path, &text, 0o600)?;
        }
        // A statement that was only shown has no leaf: it is told by its hash.
        let statement = match decided.leaf {
            Some(leaf) => place(&decided.log, leaf),
            None => format!("shown-{}", hex::encode(&decided.statement[..8])),
        };
        let folder = self.dir.join(&statement);
        if !folder.is_dir() {
            fs::create_dir(&folder)?;
        }
        let name = format!(
            "{statement}/{}-{of}-{}",
            decided.class,
            decided.action.name()
        );
        for (kind, text) in [
            ("entities", &question.entities),
            ("request", &question.request),
        ] {
            put(&self.dir.join(format!("{name}.{kind}.json")), text, 0o600)?;
        }
        let expected = if decided.allowed { "ALLOW" } else { "DENY" };
        // Names of logs and ids of policies are of a-z, 0-9, '.', '-' and '_': nothing that a shell reads.
        let policies = decided.policies.join(" ");
        let _ = writeln!(self.script, "ask {name} {of} {expected} \"{policies}\"");
        self.asked += 1;
        Ok(())
    }

    /// The policies of a document, out of its leaf.
    fn policies(&self, origin: &Origin, index: u64) -> io::Result<String> {
        let gone = || {
            let text = format!("the policy document at leaf {index} of {origin} cannot be read");
            io::Error::new(io::ErrorKind::InvalidData, text)
        };
        let files = LogFolder::new(self.logs, &log_name(origin));
        let leaves = read_leaves(&files, (self.size)(origin), index, index + 1);
        let leaf = leaves.map_err(|_| gone())?.pop().ok_or_else(gone)?;
        let Ok(Leaf::Policy { document }) = Leaf::from_bytes(&leaf) else {
            return Err(gone());
        };
        let document = PolicyDocument::read_unverified(&document).map_err(|_| gone())?;
        let cedar = document.files.iter();
        let cedar = cedar.filter(|(name, _)| name.ends_with(".cedar"));
        Ok(cedar
            .map(|(name, text)| format!("// {name}\n{text}\n"))
            .collect())
    }
}

fn place(origin: &Origin, leaf: u64) -> String {
    format!("{}-{leaf}", log_name(origin))
}

fn put(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(mode).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}
