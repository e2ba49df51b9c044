//! `POST /v1/lookup`: which entries of the member's subset have these fingerprints, for credentials that may ask.
//!
//! Why a right of its own: each answer tells what is detectable, so it is counted by the fingerprint and only given to whom
//! the centre gave it. Nothing of what was asked is written down.

use axum::body::Bytes;
use axum::extract::{FromRef, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use hashpact_keys::Timestamp;
use hashpact_protocol::fingerprint::{Algorithm, Fingerprint};
use hashpact_protocol::lists::ClosedList as _;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ask::{self, json};
use crate::gateway::caller::Caller;
use crate::gateway::nearby::{Near, Nearby, NearbyError, Turn};
use crate::gateway::problem::{Problem, ProblemBody};
use crate::gateway::serve::GatewayState;
use crate::near::slots::Threshold;
use crate::store::FoundEntry;
use crate::subset::{Feed, FeedError, MemberId};

/// Fingerprints of one request.
const FINGERPRINTS: usize = 1000;

/// What is looked up.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LookUp {
    /// At most 1,000, each `algorithm:value`: md5, sha1, sha256, blake3 and pdq in hexadecimal, photodna in base64.
    fingerprints: Vec<String>,
    /// Bits, 0 to 31, that a PDQ hash may differ by; exact matches alone without it.
    near: Option<u8>,
}

/// One answer for each fingerprint, in their order.
#[derive(Serialize, ToSchema)]
pub(super) struct Answers {
    answers: Vec<Answer>,
}

/// What is known of one fingerprint.
#[derive(Serialize, ToSchema)]
struct Answer {
    matches: Vec<Match>,
}

/// One entry of the member's subset that has it.
#[derive(Serialize, ToSchema)]
struct Match {
    /// The log.
    origin: String,
    /// The entry, hexadecimal.
    entry: String,
    /// Its revision.
    rev: u32,
    /// The class, at its origin.
    class: u16,
    /// T1 exact and cryptographic, T2 exact and perceptual, T3 near: a person looks before anything follows.
    tier: &'static str,
    /// MD5 and SHA-1 alone are weak: collisions can be made.
    weak: bool,
    /// The algorithm that matched.
    algorithm: String,
    /// Bits that differ.
    distance: u8,
    /// The origin's statement.
    state: &'static str,
    /// A dispute is open.
    disputed: bool,
    /// An entry that shares a fingerprint was retracted as an error.
    flagged: bool,
}

/// Which entries of the subset have these fingerprints.
#[utoipa::path(
    post,
    path = "/v1/lookup",
    tag = "lookup",
    request_body = LookUp,
    responses(
        (status = 200, description = "One answer for each fingerprint, in their order.", body = Answers, content_type = "application/json"),
        (status = 400, description = "A fingerprint is none: its number is told, not its value.", body = ProblemBody<'static>, content_type = "application/problem+json"),
        (status = 401, description = "No valid credential.", body = ProblemBody<'static>, content_type = "application/problem+json"),
        (status = 403, description = "This credential may not look up.", body = ProblemBody<'static>, content_type = "application/problem+json"),
        (status = 429, description = "Rate or quota: each fingerprint counts.", body = ProblemBody<'static>, content_type = "application/problem+json"),
    ),
)]
pub(in crate::gateway) async fn lookup(
    State(lists): State<Lists>,
    caller: Caller,
    body: Bytes,
) -> Result<Response, Problem> {
    caller.may_look_up()?;
    let LookUp { fingerprints, near } = json(&body)?;
    let within = near.map(Threshold::new).transpose();
    let within = within.map_err(|_| Problem::bad("near", "`near` is from 0 to 31 bits"))?;
    if fingerprints.len() > FINGERPRINTS {
        let detail = format!("at most {FINGERPRINTS} fingerprints a request");
        return Err(Problem::bad("fingerprints", detail));
    }
    let prints = (1..)
        .zip(&fingerprints)
        .map(|(number, text)| read(number, text));
    let prints = prints.collect::<Result<Vec<_>, _>>()?;
    caller.charge(prints.len() as u64).await?;
    let answers = match within {
        None => {
            ask::feed(&lists.feed.clone(), move |_| {
                lists.exactly(&caller.member, &prints)
            })
            .await?
        }
        Some(within) => {
            let nearby = lists.nearby.clone();
            let member = caller.member.clone();
            let search = nearby.in_turn(member, move |turn| {
                let mut answers = lists.exactly(&caller.member, &prints)?;
                lists.nearly(turn, &prints, within, &mut answers)?;
                Ok(answers)
            });
            search.await?
        }
    };
    let body = serde_json::to_vec(&Answers { answers }).map_err(|_| Problem::failed())?;
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, body).into_response())
}

fn read(number: usize, text: &str) -> Result<Fingerprint, Problem> {
    let bad = |why: &str| Problem::bad("fingerprint", format!("fingerprint {number}: {why}"));
    let (name, value) = text
        .split_once(':')
        .ok_or_else(|| bad("expected `algorithm:value`"))?;
    let known = Algorithm::from_name(name).filter(|algorithm| algorithm.code().is_some());
    let algorithm = known
        .ok_or_else(|| bad("unknown algorithm: use md5, sha1, sha256, blake3, pdq or photodna"))?;
    Fingerprint::from_text(algorithm, value).map_err(|error| bad(&error.to_string()))
}

/// What look-ups read.
#[derive(Clone)]
pub(in crate::gateway) struct Lists {
    pub(in crate::gateway) feed: Feed,
    pub(in crate::gateway) nearby: Nearby,
    pub(in crate::gateway) clock: fn() -> Timestamp,
}

impl FromRef<GatewayState> for Lists {
    fn from_ref(state: &GatewayState) -> Self {
        Self {
            feed: state.feed.clone(),
            nearby: state.nearby.clone(),
            clock: state.clock,
        }
    }
}

impl Lists {
    /// One answer for each fingerprint. Blocks.
    fn exactly(&self, member: &MemberId, prints: &[Fingerprint]) -> Result<Vec<Answer>, FeedError> {
        let exact = prints.iter().map(|print| self.exact(member, print));
        exact.collect()
    }

    /// Adds what is near to each answer. Blocks.
    fn nearly(
        &self,
        turn: &Turn,
        prints: &[Fingerprint],
        within: Threshold,
        answers: &mut [Answer],
    ) -> Result<(), NearbyError> {
        let now = (self.clock)();
        let near = self.nearby.find(&self.feed, turn, prints, within, now)?;
        for (answer, near) in answers.iter_mut().zip(near) {
            // What is equal stands there already.
            for Near { distance, found } in near.into_iter().filter(|near| near.distance > 0) {
                let tier = ("T3", false);
                let one = self.one(&found, &Algorithm::Pdq, tier, distance)?;
                answer.matches.push(one);
            }
        }
        Ok(())
    }

    fn exact(&self, member: &MemberId, print: &Fingerprint) -> Result<Answer, FeedError> {
        let tier = match print.algorithm() {
            Algorithm::Md5 | Algorithm::Sha1 => ("T1", true),
            Algorithm::Sha256 | Algorithm::Blake3 => ("T1", false),
            Algorithm::Pdq | Algorithm::PhotoDna | Algorithm::Other(_) => ("T2", false),
        };
        let found = self.feed.find(member, print)?;
        let matches = found
            .iter()
            .map(|found| self.one(found, print.algorithm(), tier, 0));
        Ok(Answer {
            matches: matches.collect::<Result<_, _>>()?,
        })
    }

    fn one(
        &self,
        found: &FoundEntry,
        algorithm: &Algorithm,
        (tier, weak): (&'static str, bool),
        distance: u8,
    ) -> Result<Match, FeedError> {
        let marks = self.feed.marks(&found.origin, found.record.entry)?;
        Ok(Match {
            origin: found.origin.to_string(),
            entry: found.record.entry.to_string(),
            rev: found.record.revision.0,
            class: found.class.0,
            tier,
            weak,
            algorithm: algorithm.name().to_owned(),
            distance,
            state: found.labels.state.name(),
            disputed: marks.disputed,
            flagged: marks.flagged,
        })
    }
}
