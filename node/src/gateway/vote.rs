//! What a member says of an entry that it matched: signed by this centre, for the origin.
//!
//! Only of what the member may have, and only of the revision that it has: whoever never got an entry cannot find out by a
//! vote whether there is one. Said twice it is one object, on whichever days. In scope: making it, and what became of it. Out of
//! scope: forms of requests (`native`, `ncmec`), how it travels (the core).

use axum::http::StatusCode;
use hashpact_keys::Origin;
use hashpact_protocol::Hash;
use hashpact_protocol::assess::Subject;
use hashpact_protocol::centre::{Command, Outcome};
use hashpact_protocol::evidence::{
    Code, Draft, Object, Verdict, Vote, is_heard, object, objects_of,
};
use hashpact_protocol::fingerprint::Algorithm;
use hashpact_protocol::record::{EntryId, Revision};
use tokio::task::spawn_blocking;

use super::caller::Caller;
use super::native::ask::problem;
use super::problem::Problem;
use super::serve::GatewayState;
use crate::daemon::AskError;

/// What a member says.
pub(crate) struct Said {
    pub(crate) origin: Origin,
    pub(crate) entry: EntryId,
    /// The revision that it matched; the newest that it has without one.
    pub(crate) revision: Option<Revision>,
    pub(crate) vote: Vote,
    pub(crate) code: Option<Code>,
    pub(crate) algorithm: Option<Algorithm>,
}

/// What became of what was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Signed and logged, on its way.
    Sent,
    /// At the origin.
    Received,
    /// The origin has answered.
    Answered(Verdict, Option<Code>),
}

/// Signs it and sends it to the origin. What it is known by, once it is durable.
pub(crate) async fn say(
    state: &GatewayState,
    caller: &Caller,
    said: Said,
) -> Result<Hash, Problem> {
    check(&said)?;
    let (member, vote, code) = (caller.pseudonym(), said.vote, said.code);
    let algorithm = said.algorithm.clone();
    let (state_of, caller_of) = (state.clone(), caller.clone());
    let prepared = spawn_blocking(move || {
        let subject = subject(&state_of, &caller_of, &said)?;
        let before = before(&state_of, &caller_of, &said, subject.revision);
        Ok::<_, Problem>((subject, before))
    });
    let (subject, before) = prepared.await.map_err(|_| Problem::failed())??;
    if let Some(hash) = before {
        return Ok(hash);
    }
    let draft = Draft::Feedback {
        subject,
        member,
        vote,
        code,
        algorithm,
    };
    match state.handle.command(Command::Issue(vec![draft])).await {
        Ok(Outcome::Issued { hashes }) => hashes.first().copied().ok_or_else(Problem::failed),
        Ok(_) => Err(Problem::failed()),
        Err(AskError::Stopped(_)) => Err(Problem::stopping()),
        Err(AskError::Refused(error)) => {
            tracing::warn!(%error, "feedback of a member was not taken");
            let detail = "the node cannot sign at this time: try again later";
            Err(Problem {
                retry_after: Some(60),
                ..Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-signed", detail)
            })
        }
    }
}

fn check(said: &Said) -> Result<(), Problem> {
    match (said.vote, said.code) {
        (Vote::Affirmative, Some(_)) => Err(Problem::bad(
            "feedback",
            "an affirmative vote has no reason",
        )),
        (Vote::Negative, None) => Err(Problem::bad("feedback", "a negative vote has a reason")),
        (Vote::Negative, Some(Code::Superseded)) => Err(Problem::bad(
            "feedback",
            "this reason is for retractions alone",
        )),
        (Vote::Affirmative, None) | (Vote::Negative, Some(_)) => Ok(()),
    }
}

/// The record that the member means, by the hash that its origin signed. Blocks.
fn subject(state: &GatewayState, caller: &Caller, said: &Said) -> Result<Subject, Problem> {
    let found = state
        .feed
        .visible(&caller.member, &said.origin, said.entry)
        .map_err(|error| problem(&error))?
        .ok_or_else(absent)?;
    if said
        .revision
        .is_some_and(|revision| revision != found.record.revision)
    {
        let detail = "this entry has another revision: read the changes first";
        return Err(Problem::new(StatusCode::CONFLICT, "revision", detail));
    }
    let unproven = |error: &dyn std::fmt::Display| {
        tracing::error!(%error, "an entry that is published cannot be proven");
        Problem::failed()
    };
    let proof = state.handle.store.record_proof(&said.origin, said.entry);
    let proof = proof
        .map_err(|error| unproven(&error))?
        .ok_or_else(absent)?;
    let roster = state
        .handle
        .directory
        .roster()
        .ok_or_else(Problem::failed)?;
    let centre = roster.centre(said.origin.centre()).ok_or_else(absent)?;
    let proven = proof
        .proof
        .verify(centre)
        .map_err(|error| unproven(&error))?;
    match proven.revision == found.record.revision {
        true => Ok(Subject::from(&proven)),
        // A newer one has come, which this member is not shown yet.
        false => Err(absent()),
    }
}

/// The object that says the same already, of an earlier day perhaps: a client that repeats itself counts once. Blocks.
fn before(state: &GatewayState, caller: &Caller, said: &Said, revision: Revision) -> Option<Hash> {
    let member = caller.pseudonym();
    let mut told = objects_of(&*state.handle.store, &said.origin, said.entry).into_iter();
    let same = told.find(|told| {
        let Object::Feedback(it) = &told.object else {
            return false;
        };
        told.ours
            && (it.member, it.subject.revision) == (member, revision)
            && (it.vote, it.code, &it.algorithm) == (said.vote, said.code, &said.algorithm)
    });
    same.map(|told| told.hash)
}

/// As of what does not exist.
fn absent() -> Problem {
    let detail = "no such entry in this member's subset";
    Problem::new(StatusCode::NOT_FOUND, "not-found", detail)
}

/// What became of what this member said; nothing of what others said. Blocks.
pub(crate) fn fate(state: &GatewayState, caller: &Caller, id: &Hash) -> Option<Fate> {
    let store = &*state.handle.store;
    let Object::Feedback(said) = object(store, id)? else {
        return None;
    };
    let own = &state.handle.checked.centre;
    if said.by.centre != *own || said.member != caller.pseudonym() {
        return None;
    }
    let origin = &said.subject.origin;
    let mut told = objects_of(store, origin, said.subject.entry).into_iter();
    let answer = told.find_map(|told| {
        let Object::Answer(answer) = told.object else {
            return None;
        };
        (answer.of == *id).then_some((answer.verdict, answer.code))
    });
    if let Some((verdict, code)) = answer {
        return Some(Fate::Answered(verdict, code));
    }
    let is_there = origin.centre() == own || is_heard(store, id, origin.centre());
    Some(if is_there { Fate::Received } else { Fate::Sent })
}
