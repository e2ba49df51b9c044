//! One entry of a home: its proof from the running node, and what is computed of it.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hashpact_keys::Timestamp;
use hashpact_keys::roster::{CentreEntry, Roster};
use hashpact_protocol::assess::OpenDispute;
use hashpact_protocol::delta::RecordProof;
use hashpact_protocol::labels::Labels;
use hashpact_protocol::lists::ClosedList;
use serde_json::{Value, json};

use super::super::Failure;
use crate::control::Request;
use crate::control::client::Client;
use crate::control::evidence::Ask;
use crate::home::Home;
use crate::page::text::counted;
use crate::policy::entry::{Entry, Known, Said};

/// Asks the running node, which alone can unseal the body, and believes the origin's signature only.
pub(super) fn entry(
    home: &Home,
    centre: &CentreEntry,
    roster: &Roster,
    id: &str,
) -> Result<(Entry, Said), Failure> {
    let request = Request::Prove {
        entry: id.to_owned(),
        origin: Some(centre.origin.to_string()),
        receipt: false,
    };
    let told = Client::connect(home)?.ask(&request, |_| {});
    let told = told.map_err(|error| {
        let Failure { code, text, detail } = error.into();
        // 1 would say that policy denies, and it was not asked.
        let code = match code {
            1 => 2,
            code => code,
        };
        Failure { code, text, detail }
    })?;
    let form = || Failure::failed("the node answered in a form that this version does not know");
    let proof = told["record_proof"].as_str().ok_or_else(form)?;
    let proof = BASE64.decode(proof).map_err(|_| form())?;
    let proof = RecordProof::from_bytes(&proof).map_err(Failure::failed)?;
    let entry = Entry::prove(&proof, centre, roster).map_err(Failure::failed)?;
    let request = Request::Evidence(Ask::Of {
        entry: id.to_owned(),
        origin: Some(centre.origin.to_string()),
    });
    let told = Client::connect(home)?.ask(&request, |_| {})?;
    let said = said(&told).ok_or_else(form)?;
    Ok((entry, said))
}

/// What the node keeps that others say of it.
fn said(told: &Value) -> Option<Said> {
    let attestations = told["attestations"].as_array()?.iter();
    let attestations = attestations.map(|one| BASE64.decode(one.as_str()?).ok());
    let disputes = told["disputes"].as_array()?.iter().map(|one| {
        Some(OpenDispute {
            centre: one["centre"].as_str()?.parse().ok()?,
            country: one["country"].as_str()?.parse().ok()?,
        })
    });
    Some(Said {
        attestations: attestations.collect::<Option<_>>()?,
        disputes: disputes.collect::<Option<_>>()?,
        hold: told["hold"].as_bool()?,
    })
}

/// What is computed of an entry of a class with these labels, from what its node keeps and from files of attestations.
pub(super) fn known(
    (entry, said): &(Entry, Said),
    labels: &Labels,
    files: &[PathBuf],
    roster: &Roster,
    now: Timestamp,
) -> Result<Known, Failure> {
    let given = entry.attestations(files, roster, now);
    let mut attested = entry.kept(said, roster, now);
    attested.extend(given.map_err(Failure::input)?);
    Ok(entry.known(labels, &attested, said))
}

/// One line for a person.
pub(super) fn line(known: &Known) -> String {
    let Known {
        facts,
        count,
        severity,
    } = known;
    let holds = |is: bool| if is { "yes" } else { "no" };
    let severity: Vec<&str> = severity.names().collect();
    format!(
        "entry: {}; attested by {} of {} in {}; quorum {}; baseline {}; severity {}",
        facts.state.name(),
        counted(count.assessors as u64, "assessor|assessors"),
        counted(count.centres as u64, "centre|centres"),
        counted(count.countries as u64, "country|countries"),
        holds(facts.quorum),
        holds(facts.baseline),
        severity.join("|"),
    )
}

/// The same for programs.
pub(super) fn object(known: &Known) -> Value {
    let Known {
        facts,
        count,
        severity,
    } = known;
    json!({
        "state": facts.state.name(),
        "quorum": facts.quorum,
        "baseline": facts.baseline,
        "hold": facts.hold,
        "assessors": count.assessors,
        "centres": count.centres,
        "countries": count.countries,
        "severity": severity.names().collect::<Vec<_>>(),
    })
}
