//! `hashpact policy explain`.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use clap::Args;
use hashpact_keys::{CentreId, Jurisdiction};
use hashpact_protocol::assess::EntryFacts;
use hashpact_protocol::labels::{ClassId, Labels, Purpose, State};
use hashpact_protocol::lists::ClosedList;
use hashpact_protocol::policy::{Action, Principal};

use super::super::{Answer, Failure};
use super::check::line;
use crate::audit::at::At;
use crate::clock;
use crate::home::Home;
use crate::policy::class::ClassText;
use crate::policy::explain::{Explained, Question, Recipient, Step, explain, names};
use crate::policy::files::Found;
use crate::policy::scene::{Document, Law, Party, Scene};

#[derive(Args)]
#[command(
    after_help = "Between centres a class needs its origin's share, the giver's reshare where that is another centre, and the taker's\nadmit; --action asks for one of them. A release (publish, match, reveal) needs the giver's word, and mostly --facts.\nLabels that --class does not state are unknown: an uncertain one could be anything, and nothing is granted. Several values\nare joined with |, and * is all of them. Exit codes: 0 allowed, 1 denied, 2 the question cannot be put.\n\nExamples:\n  hashpact policy explain --policy ca=profiles/ca --policy us=profiles/us --from ca --to us \\\n    --class \"state=assessed, content_class=csam, legal_basis=statutory, tlp=AMBER, recipients=centre, purposes=*, residency=US\"\n  hashpact policy explain --policy ca=profiles/ca --from ca --to member:acme:CA:hosting --action publish --purpose remove \\\n    --class \"state=assessed, minor_certain=true\" --facts state=assessed,quorum"
)]
pub(in super::super) struct ExplainArgs {
    /// Who would give.
    #[arg(long, value_name = "CENTRE")]
    from: CentreId,
    /// Who would receive: a centre, member:NAME:LAW:SECTOR or auditor:NAME:LAW.
    #[arg(long, value_name = "WHO")]
    to: String,
    /// Who made the entries, if not the giver.
    #[arg(long, value_name = "CENTRE")]
    origin: Option<CentreId>,
    /// The labels of the class.
    #[arg(long, value_name = "LABELS")]
    class: ClassText,
    /// share, reshare, admit, publish, match or reveal; without it all that a transfer between centres needs.
    #[arg(long, value_name = "ACTION", value_parser = word::<Action>)]
    action: Option<Action>,
    /// What it would be used for; without it what the receiving centre's profile asks for.
    #[arg(long, value_name = "PURPOSE", value_parser = word::<Purpose>)]
    purpose: Option<Purpose>,
    /// As of this time, in place of the clock: a date such as 2027-01-31.
    #[arg(long, value_name = "TIME")]
    at: Option<At>,
    /// What is computed of the entry, for a release: state=assessed,quorum,baseline,hold, of which you name what holds.
    #[arg(long, value_name = "FACTS", value_parser = facts)]
    facts: Option<EntryFacts>,
    /// A centre's profile: a folder or a document.
    #[arg(long = "policy", value_name = "CENTRE=DIR")]
    policies: Vec<OfCentre<PathBuf>>,
    /// The law of a centre whose profile is not given.
    #[arg(long = "centre", value_name = "CENTRE=LAW")]
    centres: Vec<OfCentre<Jurisdiction>>,
}

/// `CENTRE=VALUE`.
#[derive(Clone, Debug)]
pub(super) struct OfCentre<T> {
    centre: CentreId,
    value: T,
}

impl<T: FromStr<Err: std::fmt::Display>> FromStr for OfCentre<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (centre, value) = text
            .split_once('=')
            .ok_or("expected CENTRE=VALUE, as in ca=profiles/ca")?;
        Ok(Self {
            centre: centre
                .parse()
                .map_err(|error| format!("{centre}: {error}"))?,
            value: value.parse().map_err(|error| format!("{value}: {error}"))?,
        })
    }
}

/// A word of a closed list.
pub(super) fn word<T: ClosedList>(text: &str) -> Result<T, String> {
    T::from_name(text).ok_or_else(|| format!("expected one of {}", names::<T>()))
}

/// Facts of an entry.
pub(super) fn facts(text: &str) -> Result<EntryFacts, String> {
    let mut facts = EntryFacts {
        state: State::Suspected,
        quorum: false,
        baseline: false,
        hold: false,
    };
    for part in text.split(',').map(str::trim) {
        match part.split_once('=').unwrap_or((part, "true")) {
            ("state", state) => facts.state = word(state)?,
            ("quorum", "true") => facts.quorum = true,
            ("baseline", "true") => facts.baseline = true,
            ("hold", "true") => facts.hold = true,
            _ => {
                return Err(format!(
                    "{part}: expected state=assessed, quorum, baseline or hold"
                ));
            }
        }
    }
    Ok(facts)
}

/// Who would receive.
fn recipient(text: &str) -> Result<Recipient, Failure> {
    let refused = |why: String| Failure::input(format!("--to {text}: {why}"));
    let law = |code: &str| {
        code.parse::<Jurisdiction>()
            .map_err(|error| refused(error.to_string()))
    };
    let parts: Vec<&str> = text.split(':').collect();
    match parts.as_slice() {
        ["member", id, code, sector] => Ok(Recipient::Other(Principal::Member {
            id: (*id).to_owned(),
            jurisdiction: law(code)?,
            sector: (*sector).to_owned(),
        })),
        ["auditor", id, code] => Ok(Recipient::Other(Principal::Auditor {
            id: (*id).to_owned(),
            jurisdiction: law(code)?,
        })),
        [centre] => {
            let centre = centre.parse().map_err(|_| {
                refused("expected a centre, member:NAME:LAW:SECTOR or auditor:NAME:LAW".to_owned())
            })?;
            Ok(Recipient::Centre(centre))
        }
        _ => Err(refused(
            "expected a centre, member:NAME:LAW:SECTOR or auditor:NAME:LAW".to_owned(),
        )),
    }
}

/// The profiles that were named.
pub(super) fn given(
    scene: &mut Scene,
    policies: &[OfCentre<PathBuf>],
    centres: &[OfCentre<Jurisdiction>],
) -> Result<(), Failure> {
    for OfCentre { centre, value } in centres {
        let party = Party {
            jurisdiction: value.clone(),
            law: None,
        };
        scene.0.insert(centre.clone(), party);
    }
    for OfCentre { centre, value } in policies {
        let found = Found::one(value).map_err(Failure::input)?;
        let profile = found.profile().map_err(Failure::input)?;
        let party = Party {
            jurisdiction: profile.jurisdiction().clone(),
            law: Some(Law::Given(Document {
                name: found.place.display().to_string(),
                index: None,
                profile: Some(Arc::new(profile)),
                files: found.files,
            })),
        };
        scene.0.insert(centre.clone(), party);
    }
    Ok(())
}

pub(super) fn run(_home: &Home, args: &ExplainArgs) -> Result<Answer, Failure> {
    let mut scene = Scene::default();
    given(&mut scene, &args.policies, &args.centres)?;
    let origin = args.origin.as_ref().unwrap_or(&args.from).clone();
    let labels = labels(&scene, &origin, args)?;
    let question = Question {
        from: args.from.clone(),
        to: recipient(&args.to)?,
        origin,
        class: ClassId(0),
        labels,
        action: args.action,
        purpose: args.purpose,
        now: args.at.map_or_else(clock::now, |at| at.0),
        entry: args.facts,
    };
    let explained = explain(&scene, &question).map_err(Failure::input)?;
    Ok(Answer {
        json: serde_json::to_value(&explained).map_err(Failure::failed)?,
        text: describe(&explained),
        code: u8::from(!explained.allowed),
    })
}

fn labels(scene: &Scene, origin: &CentreId, args: &ExplainArgs) -> Result<Labels, Failure> {
    let party = scene.party(origin).map_err(Failure::input)?;
    let labels = args.class.at(&party.jurisdiction);
    labels.check().map_err(Failure::input)?;
    Ok(labels)
}

fn describe(explained: &Explained) -> String {
    let Explained {
        from,
        to,
        origin,
        purpose,
        at,
        ..
    } = explained;
    let verdict = match &explained.denied_by {
        None => "ALLOWED".to_owned(),
        Some(denial) => format!("DENIED by {denial}"),
    };
    let mut text = format!("{verdict}\n  {from} -> {to}, for {purpose}, as of {at}\n");
    if origin != from {
        let _ = writeln!(text, "  made by {origin}");
    }
    let _ = writeln!(text, "  class {}", explained.class);
    if let Some(until) = &explained.valid_until {
        let _ = writeln!(
            text,
            "  holds until {until} at the longest: a grant opens or closes then"
        );
    }
    for step in &explained.steps {
        describe_step(&mut text, step);
    }
    text
}

fn describe_step(text: &mut String, step: &Step) {
    let Step {
        centre,
        action,
        principal,
        because,
        document,
        ..
    } = step;
    let (sign, verdict) = if step.allowed {
        ('+', "allows")
    } else {
        ('-', "denies")
    };
    let direction = if *action == "admit" { "from" } else { "to" };
    let _ = writeln!(
        text,
        "\n{sign} {centre} {verdict} {action} {direction} {principal}: {because} ({document})"
    );
    for policy in &step.policies {
        let counsel = if policy.confirmed {
            ""
        } else {
            "; counsel must confirm"
        };
        let _ = writeln!(
            text,
            "    {}  {} ({}{counsel})",
            policy.id, policy.basis, policy.at
        );
    }
    for error in &step.errors {
        let _ = writeln!(text, "    error: {error}");
    }
    if step.grants.is_empty() {
        let _ = writeln!(
            text,
            "    no grant is with {principal} for {action} and this purpose"
        );
    }
    for grant in &step.grants {
        let _ = writeln!(text, "    grant {}", line(grant));
    }
}
