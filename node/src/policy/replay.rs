//! An answer written down so that the stock `cedar` command line gives it again.
//!
//! ```text
//! replay                      a shell script: asks every question, and fails if an answer is another one
//! schema.cedarschema          what a policy may look at
//! <n>-<centre>-<action>/      one decision of one document
//!   policies.cedar            the policies of the document, as they are
//!   entities.json             who asks, and the class
//!   request.json              the question; the grants that are open are in its context
//! ```
//!
//! Why: nobody need take our word for what a policy decides. In scope: the files. Out of scope: which documents are in
//! force, which `cedar` knows nothing of: all of a centre's that count must allow, so each is a question of its own.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use hashpact_protocol::policy::{EngineError, Query, SCHEMA};

use super::explain::{Asked, Question, QuestionError, law};
use super::scene::{Document, Scene};

const SCRIPT: &str = r#"#!/bin/sh
# Asks the cedar command line (cargo install cedar-policy-cli) the questions in this folder.
# Exit code 0: every answer is as expected. Set CEDAR to the program, if it is not on the path.
cd "$(dirname "$0")" || exit 2
wrong=0
ask() { # ask FOLDER EXPECTED POLICIES
  said=$("${CEDAR:-cedar}" authorize --verbose --schema schema.cedarschema --policies "$1/policies.cedar" \
    --entities "$1/entities.json" --request-json "$1/request.json")
  case $? in 0) got=ALLOW ;; 2) got=DENY ;; *) got=FAILED ;; esac
  policies=$(printf '%s\n' "$said" | sed -n 's/^  //p' | LC_ALL=C sort | tr '\n' ' ')
  if [ "$got" = "$2" ] && [ "${policies% }" = "$3" ]; then
    echo "$1: $got by ${3:-no policy}"
  else
    echo "$1: expected $2 by ${3:-no policy}, got $got by ${policies:-no policy}"
    printf '%s\n' "$said"
    wrong=1
  fi
}
"#;

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The question.
    #[error(transparent)]
    Question(#[from] QuestionError),
    /// It cannot be put to Cedar.
    #[error("{0}")]
    Engine(#[from] EngineError),
    /// A step that no document decides.
    #[error(
        "no document of {centre} decides this, so there is nothing for cedar to replay: give --policy {centre}=DIR"
    )]
    NoDocument {
        /// The centre.
        centre: String,
    },
    /// A document that could not be read.
    #[error("{name} could not be read, so it denies everything, and cedar has nothing to replay")]
    Unreadable {
        /// The document.
        name: String,
    },
    /// The system refused.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Its answer.
        source: io::Error,
    },
}

/// Writes every decision of a question into a folder that is made for it; how many there are.
///
/// # Errors
/// [`ReplayError`].
pub fn write(scene: &Scene, question: &Question, folder: &Path) -> Result<usize, ReplayError> {
    let (asked, purpose) = (question.asked(scene)?, question.purpose(scene)?);
    let origin = scene.party(&question.origin).map_err(QuestionError::from)?;
    let made = fs::create_dir(folder);
    made.map_err(io_error(folder))?;
    put(&folder.join("schema.cedarschema"), SCHEMA, 0o644)?;
    let mut script = SCRIPT.to_owned();
    let mut count = 0;
    for asked in &asked {
        let query = question.query(asked, &origin.jurisdiction, purpose);
        let documents = law(scene, asked)?.in_force();
        if documents.is_empty() {
            let centre = asked.centre.to_string();
            return Err(ReplayError::NoDocument { centre });
        }
        for document in documents {
            count += 1;
            let name = name(count, asked);
            let (expected, policies) = decision(&folder.join(&name), document, &query)?;
            // Ids are of a-z, 0-9 and '-': nothing that a shell reads.
            let _ = writeln!(script, "ask {name} {expected} \"{policies}\"");
        }
    }
    script.push_str("exit $wrong\n");
    put(&folder.join("replay"), &script, 0o755)?;
    Ok(count)
}

fn name(number: usize, asked: &Asked) -> String {
    use hashpact_protocol::lists::ClosedList as _;
    format!("{number}-{}-{}", asked.centre, asked.action.name())
}

/// Writes one decision; what it is, and by which policies.
fn decision(
    folder: &Path,
    document: &Document,
    query: &Query<'_>,
) -> Result<(&'static str, String), ReplayError> {
    let profile = document.profile.as_ref();
    let profile = profile.ok_or_else(|| ReplayError::Unreadable {
        name: document.name.clone(),
    })?;
    let replay = profile.replay(query)?;
    fs::create_dir(folder).map_err(io_error(folder))?;
    let cedar = document.files.iter();
    let cedar = cedar.filter(|(name, _)| name.ends_with(".cedar"));
    let policies: Vec<String> = cedar
        .map(|(name, text)| format!("// {name}\n{text}\n"))
        .collect();
    put(&folder.join("policies.cedar"), &policies.concat(), 0o644)?;
    put(&folder.join("entities.json"), &replay.entities, 0o644)?;
    put(&folder.join("request.json"), &replay.request, 0o644)?;
    let decision = profile.decide(query);
    let expected = if decision.allowed { "ALLOW" } else { "DENY" };
    Ok((expected, decision.policies.join(" ")))
}

fn put(path: &Path, text: &str, mode: u32) -> Result<(), ReplayError> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(mode).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(io_error(path))
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> ReplayError {
    let path = path.to_owned();
    |source| ReplayError::Io { path, source }
}
