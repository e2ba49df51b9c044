//! Which PDQ hashes are near known ones.
//!
//! Source: formats section 2.2. In scope: request and answer. Out of scope: the search (`nearby`).

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use hashpact_protocol::fingerprint::{Algorithm, Fingerprint};
use hashpact_protocol::labels::{ContentClass, Labels};
use hashpact_protocol::record::Record;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::refuse::Detail;
use crate::gateway::caller::Caller;
use crate::gateway::native::ask::json;
use crate::gateway::nearby::Near;
use crate::gateway::problem::Problem;
use crate::gateway::serve::GatewayState;
use crate::near::slots::Threshold;

/// Hashes of one request.
pub(super) const HASHES_MAX: usize = 1_000;
/// Base64 of 32 bytes.
const TEXT_LEN: usize = 44;

/// What is asked.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Scan {
    /// At most 1,000, each the base64 of 32 bytes.
    hashes: Vec<String>,
}

/// What is answered.
#[derive(Serialize, ToSchema)]
pub(super) struct Scanned {
    /// By the text that was asked.
    scanned_hashes: BTreeMap<String, Match>,
}

/// What is known of one hash.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct Match {
    /// `csam`, `harmful-abusive-material` or `no-known-match`.
    pub(super) classification: &'static str,
    /// `near` for any match, whatever its distance.
    pub(super) match_type: Option<&'static str>,
    /// The nearest entry, if it has both hashes.
    pub(super) near_match_details: Option<Details>,
    /// Bits that differ from the nearest entry, 0 to 31. Not of the stock shape, whose clients pass it over.
    pub(super) distance: Option<u8>,
}

/// The entry that is near.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct Details {
    /// Seconds into a video; 0.
    timestamp: f64,
    /// Its SHA-1, base32.
    sha1_base32: String,
    /// Its SHA-256, hexadecimal.
    sha256_hex: String,
    /// As in the match.
    classification: &'static str,
    /// As in the match.
    distance: u8,
}

/// Which of these hashes are at most 31 bits away from one that the member may have.
#[utoipa::path(
    post,
    path = "/v1/pdq/",
    tag = "shield",
    request_body = Scan,
    responses(
        (status = 200, description = "One match for each hash.", body = Scanned, content_type = "application/json"),
        (status = 400, description = "A value is not the base64 of 32 bytes.", body = Detail<'static>, content_type = "application/json"),
        (status = 401, description = "No valid credential.", body = Detail<'static>, content_type = "application/json"),
        (status = 403, description = "This credential may not look up.", body = Detail<'static>, content_type = "application/json"),
        (status = 429, description = "Rate or quota: each hash counts.", body = Detail<'static>, content_type = "application/json"),
    ),
)]
pub(super) async fn scan(
    State(state): State<GatewayState>,
    caller: Caller,
    body: Bytes,
) -> Result<Response, Problem> {
    caller.may_look_up()?;
    let Scan { hashes } = json(&body)?;
    let asked = read(&hashes)?;
    caller.charge(asked.len() as u64).await?;
    let now = (state.clock)();
    let nearby = state.nearby.clone();
    let found = nearby.in_turn(caller.member, move |turn| {
        let prints: Vec<_> = asked.iter().flatten().cloned().collect();
        let found = state
            .nearby
            .find(&state.feed, turn, &prints, Threshold::MAX, now)?;
        let mut found = found.into_iter();
        let each = asked.iter().map(|print| match print {
            Some(_) => best(&found.next().unwrap_or_default()),
            None => none(),
        });
        Ok(each.collect::<Vec<_>>())
    });
    let scanned_hashes = hashes.into_iter().zip(found.await?).collect();
    let body = serde_json::to_vec(&Scanned { scanned_hashes }).map_err(|_| Problem::failed())?;
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, body).into_response())
}

/// The hashes in order. A value that is none is told by its number, never repeated. One that a list may not hold, such as
/// that of a black picture, is asked like any other and matches nothing.
pub(super) fn read(hashes: &[String]) -> Result<Vec<Option<Fingerprint>>, Problem> {
    if hashes.len() > HASHES_MAX {
        let detail = format!("at most {HASHES_MAX} hashes a request");
        return Err(Problem::bad("hashes", detail));
    }
    let each = (1..).zip(hashes).map(|(number, text)| {
        let bytes = (text.len() == TEXT_LEN).then(|| data_encoding::BASE64.decode(text.as_bytes()));
        match bytes {
            Some(Ok(bytes)) if bytes.len() == 32 => {
                Ok(Fingerprint::new(Algorithm::Pdq, &bytes).ok())
            }
            Some(_) | None => {
                let detail = format!("hash {number} is not the base64 of 32 bytes");
                Err(Problem::bad("hash", detail))
            }
        }
    });
    each.collect()
}

/// The answer for what is near, nearest first: the graver class if some are of it, and the nearest entry of that class.
pub(super) fn best(near: &[Near]) -> Match {
    let is_csam = |near: &&Near| class(&near.found.labels) == CSAM;
    let Some(nearest) = near.iter().find(is_csam).or(near.first()) else {
        return none();
    };
    let classification = class(&nearest.found.labels);
    Match {
        classification,
        match_type: Some("near"),
        near_match_details: details(&nearest.found.record, classification, nearest.distance),
        distance: Some(nearest.distance),
    }
}

pub(super) fn none() -> Match {
    Match {
        classification: "no-known-match",
        match_type: None,
        near_match_details: None,
        distance: None,
    }
}

const CSAM: &str = "csam";

/// What the origin says of it. Where it could be either, only the weaker is certain.
pub(super) fn class(labels: &Labels) -> &'static str {
    match labels.content_class.contains(ContentClass::RelatedHarmful) {
        false => CSAM,
        true => "harmful-abusive-material",
    }
}

/// Nothing, if one of the hashes is not there: clients need both.
fn details(record: &Record, classification: &'static str, distance: u8) -> Option<Details> {
    let of = |algorithm: Algorithm| {
        let mut prints = record.fields.matchable();
        prints.find(|print| *print.algorithm() == algorithm)
    };
    let (sha1, sha256) = (of(Algorithm::Sha1)?, of(Algorithm::Sha256)?);
    Some(Details {
        timestamp: 0.0,
        sha1_base32: data_encoding::BASE32.encode(sha1.bytes()),
        sha256_hex: data_encoding::HEXUPPER.encode(sha256.bytes()),
        classification,
        distance,
    })
}
