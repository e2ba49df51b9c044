//! `hashpact policy check`: is a profile safe to rely on, and what of it must counsel still confirm.

use hashpact_keys::Timestamp;
use hashpact_protocol::lists::ClosedList;
use hashpact_protocol::policy::{Grant, Mark, PolicyFault, Profile, With};
use serde::Serialize;

use super::files::Found;
use crate::audit::at::At;

const DAY_S: u64 = 86_400;
/// Days before its end from which a grant is told as one that ends soon: a new agreement takes about as long.
pub const SOON_DAYS: u64 = 60;

/// What the check of one profile found.
#[derive(Clone, Debug, Serialize)]
pub struct Checked {
    /// The folder or document.
    pub place: String,
    /// Whether it may be signed.
    pub ok: bool,
    /// What is wrong; empty if it may.
    pub faults: Vec<FaultLine>,
    /// What it is, if nothing is wrong.
    pub profile: Option<Summary>,
}

/// One fault.
#[derive(Clone, Debug, Serialize)]
pub struct FaultLine {
    /// The file; empty if it is about the whole.
    pub file: String,
    /// From 1; 0 if it is about the whole file.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// All of it, with the path that opens the file.
    #[serde(skip)]
    pub text: String,
}

/// What a profile is.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Its name.
    pub name: String,
    /// The law that it is written for.
    pub jurisdiction: String,
    /// What its centre asks others for.
    pub purpose: &'static str,
    /// Hours after which it may widen what was allowed.
    pub widen_after_hours: u64,
    /// Bytes of all files.
    pub bytes: usize,
    /// How many policies.
    pub policies: usize,
    /// The legal bases.
    pub grants: Vec<GrantLine>,
    /// Who signed it off, and when; without it it runs on a demonstration only.
    pub signed_off: Option<String>,
    /// The policies that counsel must confirm.
    pub confirm: Vec<PolicyLine>,
    /// Facts about the law that nobody verified.
    pub unverified: Vec<FactLine>,
}

/// One policy.
#[derive(Clone, Debug, Serialize)]
pub struct PolicyLine {
    /// Its `@id`.
    pub id: String,
    /// Where it stands: file and line.
    pub at: String,
    /// Its `@basis`.
    pub basis: String,
}

/// One fact.
#[derive(Clone, Debug, Serialize)]
pub struct FactLine {
    /// What it is about.
    pub topic: &'static str,
    /// What it says.
    pub says: String,
    /// Its source.
    pub source: String,
}

/// One grant.
#[derive(Clone, Debug, Serialize)]
pub struct GrantLine {
    /// Its id.
    pub id: String,
    /// With whom.
    pub with: String,
    /// For which actions.
    pub actions: Vec<&'static str>,
    /// For which purposes.
    pub purposes: Vec<&'static str>,
    /// The kind of basis.
    pub basis: &'static str,
    /// The document that it rests on.
    pub document: String,
    /// Whether it is open.
    pub state: GrantState,
    /// The first second in which it is open, skew included.
    pub opens: String,
    /// The first second in which it is closed again.
    pub closes: String,
    /// Whole days until it closes, if it is open.
    pub days_left: Option<u64>,
    /// On which terms lists are matched under it.
    #[serde(rename = "match")]
    pub matching: Option<MatchLine>,
}

/// The terms of matching of one grant.
#[derive(Clone, Debug, Serialize)]
pub struct MatchLine {
    /// In which modes.
    pub modes: Vec<&'static str>,
    /// Items of one fingerprint type in a UTC day.
    pub per_day: u64,
}

/// Whether a grant is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantState {
    /// Not yet.
    Ahead,
    /// It is.
    Open,
    /// It is, and ends within [`SOON_DAYS`].
    EndsSoon,
    /// It has ended.
    Ended,
}

/// Checks one profile as of a time.
#[must_use]
pub fn check(found: &Found, now: Timestamp) -> Checked {
    let (faults, profile) = match Profile::from_files(&found.files) {
        Ok(profile) => (Vec::new(), Some(Summary::of(&profile, found.bytes(), now))),
        Err(faults) => (faults, None),
    };
    Checked {
        place: found.place.display().to_string(),
        ok: profile.is_some(),
        faults: faults.iter().map(|fault| line(found, fault)).collect(),
        profile,
    }
}

fn line(found: &Found, fault: &PolicyFault) -> FaultLine {
    FaultLine {
        file: fault.file.clone(),
        line: fault.line,
        column: fault.column,
        message: fault.kind.to_string(),
        text: found.fault(fault),
    }
}

impl Summary {
    fn of(profile: &Profile, bytes: usize, now: Timestamp) -> Self {
        let unconfirmed = profile.policies().filter(|(_, basis)| !basis.confirmed);
        let unverified = profile.facts().iter();
        let unverified = unverified.filter(|fact| fact.mark == Mark::Unverified);
        let signed_off = profile.signed_off();
        Self {
            name: profile.name().to_owned(),
            jurisdiction: profile.jurisdiction().to_string(),
            purpose: profile.purpose().name(),
            widen_after_hours: profile.widen_after() / 3_600,
            bytes,
            policies: profile.policies().count(),
            grants: profile.grants().iter().map(|it| grant(it, now)).collect(),
            signed_off: signed_off.map(|counsel| format!("{} by {}", At(counsel.day), counsel.by)),
            confirm: unconfirmed
                .map(|(id, basis)| PolicyLine {
                    id: id.to_owned(),
                    at: format!("{}:{}", basis.file, basis.line),
                    basis: basis.source.clone(),
                })
                .collect(),
            unverified: unverified
                .map(|fact| FactLine {
                    topic: fact.topic.name(),
                    says: fact.says.clone(),
                    source: fact.source.clone(),
                })
                .collect(),
        }
    }
}

/// A grant as of a time.
#[must_use]
pub fn grant(grant: &Grant, now: Timestamp) -> GrantLine {
    let (opens, closes) = (grant.opens(), grant.closes());
    let days_left = grant
        .is_open(now)
        .then(|| (closes.get() - now.get()) / DAY_S);
    let state = match days_left {
        Some(days) if days < SOON_DAYS => GrantState::EndsSoon,
        Some(_) => GrantState::Open,
        None if now < opens => GrantState::Ahead,
        None => GrantState::Ended,
    };
    GrantLine {
        id: grant.id.clone(),
        with: match &grant.with {
            With::Centre(id) => format!("centre {id}"),
            With::Member(id) => format!("member {id}"),
            With::Jurisdiction(law) => format!("everyone under {law}"),
        },
        actions: grant.actions.names().collect(),
        purposes: grant.purposes.names().collect(),
        basis: grant.basis.name(),
        document: grant.document.clone(),
        state,
        opens: At(opens).to_string(),
        closes: At(closes).to_string(),
        days_left,
        matching: grant.matching.map(|terms| MatchLine {
            modes: terms.modes.names().collect(),
            per_day: terms.per_day,
        }),
    }
}
