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

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use hashpact_protocol::policy::{Decision, EngineError, Query, SCHEMA};

use super::explain::{Asked, Question, QuestionError, law};
use super::scene::{Document, Scene};
use super::script::{Layout, Script, create, policies};

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
    let mut script = Script::new(Layout::Apart);
    for asked in &asked {
        let query = question.query(asked, &origin.jurisdiction, purpose);
        let documents = law(scene, asked)?.in_force();
        if documents.is_empty() {
            let centre = asked.centre.to_string();
            return Err(ReplayError::NoDocument { centre });
        }
        for document in documents {
            let name = name(script.asked() + 1, asked);
            let decision = decision(&folder.join(&name), document, &query)?;
            script.ask(&name, "policies", decision.allowed, &decision.policies);
        }
    }
    let count = script.asked();
    put(&folder.join("replay"), &script.end(), 0o755)?;
    Ok(count)
}

fn name(number: usize, asked: &Asked) -> String {
    use hashpact_protocol::lists::ClosedList as _;
    format!("{number}-{}-{}", asked.centre, asked.action.name())
}

/// Writes one decision; what it is.
fn decision(
    folder: &Path,
    document: &Document,
    query: &Query<'_>,
) -> Result<Decision, ReplayError> {
    let profile = document.profile.as_ref();
    let profile = profile.ok_or_else(|| ReplayError::Unreadable {
        name: document.name.clone(),
    })?;
    let replay = profile.replay(query)?;
    fs::create_dir(folder).map_err(io_error(folder))?;
    let policies = policies(&document.files);
    put(&folder.join("policies.cedar"), &policies, 0o644)?;
    put(&folder.join("entities.json"), &replay.entities, 0o644)?;
    put(&folder.join("request.json"), &replay.request, 0o644)?;
    Ok(profile.decide(query))
}

fn put(path: &Path, text: &str, mode: u32) -> Result<(), ReplayError> {
    create(path, text, mode).map_err(io_error(path))
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> ReplayError {
    let path = path.to_owned();
    |source| ReplayError::Io { path, source }
}
