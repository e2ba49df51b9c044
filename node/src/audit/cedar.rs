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
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use hashpact_keys::Origin;
use hashpact_protocol::audit::Decided;
use hashpact_protocol::lists::ClosedList as _;
use hashpact_protocol::log::{Leaf, read_leaves};
use hashpact_protocol::policy::{PolicyDocument, SCHEMA};

use super::folder::{Folder, LogFolder, log_name};
use crate::policy::script::{Layout, Script, create, policies};

/// Questions that are written; a script with more would run for hours.
const QUESTIONS: usize = 100_000;

/// Writes decisions into a folder that is made for it.
pub(super) struct CedarFolder<'a> {
    dir: PathBuf,
    logs: &'a Folder,
    /// Sizes of the logs, whose tiles tell where leaves are.
    size: &'a dyn Fn(&Origin) -> u64,
    documents: BTreeSet<(Origin, u64)>,
    script: Script,
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
            script: Script::new(Layout::Shared),
            failed: None,
        })
    }

    /// Takes one decision. The first failure is kept for [`CedarFolder::end`].
    pub(super) fn take(&mut self, decided: &Decided) {
        if self.failed.is_none() && self.script.asked() < QUESTIONS {
            self.failed = self.write(decided).err();
        }
    }

    /// Writes the script; how many questions it asks.
    pub(super) fn end(mut self) -> io::Result<usize> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let asked = self.script.asked();
        put(&self.dir.join("replay"), &self.script.end(), 0o700)?;
        Ok(asked)
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
        self.script
            .ask(&name, &of, decided.allowed, &decided.policies);
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
        Ok(policies(&document.files))
    }
}

fn place(origin: &Origin, leaf: u64) -> String {
    format!("{}-{leaf}", log_name(origin))
}

fn put(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let named = |error: io::Error| {
        let text = format!("{}: {error}", path.display());
        io::Error::new(error.kind(), text)
    };
    create(path, text, mode).map_err(named)
}
