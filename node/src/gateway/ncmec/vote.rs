//! The body of a vote: what a member says of an entry.
//!
//! Source: formats section 1.1 (bodies as the stock client sends them). In scope: reading it, strictly. Out of scope: whose
//! vote it is and where it goes (`serve`).

use super::reasons;
use super::tree::{Bounds, Element, XmlError, read};

/// Bytes of a vote at most: the stock client's are below 250.
pub(super) const VOTE_BYTES_MAX: usize = 4 * 1024;

const VOTE: Bounds = Bounds {
    bytes: VOTE_BYTES_MAX,
    depth: 4,
    elements: 8,
    text: 256,
};

/// What is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vote {
    /// The entry is right.
    Affirmative,
    /// It is not, for the reason with this code.
    Negative(&'static str),
}

/// Why a vote is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum VoteError {
    /// Not XML that is read here.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// Neither of the two shapes.
    #[error(
        "expected feedbackSubmission with affirmative, or with negative, reasonIds and one guid"
    )]
    Shape,
    /// A reason that this service did not list.
    #[error("the guid is none of feedback/{{TYPE}}/reasons")]
    Reason,
}

/// Reads a vote.
///
/// # Errors
/// [`VoteError`].
pub(super) fn parse(body: &[u8]) -> Result<Vote, VoteError> {
    let root = read(body, VOTE)?;
    let vote = only(&root, "feedbackSubmission")?;
    if vote.name == "affirmative" {
        let is_empty = vote.children.is_empty() && vote.text.trim().is_empty();
        return is_empty
            .then_some(Vote::Affirmative)
            .ok_or(VoteError::Shape);
    }
    let reasons = only(vote, "negative")?;
    let guid = only(reasons, "reasonIds")?;
    if guid.name != "guid" || !guid.children.is_empty() {
        return Err(VoteError::Shape);
    }
    let code = reasons::code(guid.text.trim());
    code.map(Vote::Negative).ok_or(VoteError::Reason)
}

/// The only element in one of this name, which holds nothing else.
fn only<'a>(element: &'a Element, name: &str) -> Result<&'a Element, VoteError> {
    let bare = element.text.trim().is_empty() && element.attributes.is_empty();
    match (element.name == name && bare, element.children.as_slice()) {
        (true, [child]) => Ok(child),
        (true | false, _) => Err(VoteError::Shape),
    }
}
