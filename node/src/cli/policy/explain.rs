//! `hashpact policy explain`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use clap::Args;
use hashpact_keys::{CentreId, Jurisdiction, Timestamp};
use hashpact_protocol::assess::EntryFacts;
use hashpact_protocol::labels::{ClassId, Labels, Purpose, State};
use hashpact_protocol::lists::ClosedList;
use hashpact_protocol::policy::{Action, Fallback, Principal};
use serde_json::json;

use super::super::init::home_failure;
use super::super::{Answer, Failure};
use super::check::line;
use super::entry;
use crate::audit::at::At;
use crate::clock;
use crate::home::Home;
use crate::policy::class::ClassText;
use crate::policy::entry::{Entry, Known};
use crate::policy::explain::{Explained, Question, Recipient, Step, explain, names};
use crate::policy::files::Found;
use crate::policy::logs::{Book, Logs};
use crate::policy::matrix::Class;
use crate::policy::replay;
use crate::policy::scene::{Document, Law, Party, Scene};

#[derive(Args)]
#[command(
    after_help = "Between centres a class needs its origin's share, the giver's reshare where that is another centre, and the taker's\nadmit; --action asks for one of them. A release (publish, match, reveal) needs the giver's word, and mostly --facts.\nLabels that --class does not state are unknown: an uncertain one could be anything, and nothing is granted. Several values\nare joined with |, and * is all of them. Centres that no --policy is given for are taken from the logs in --home, with\nwhat is in force there. Exit codes: 0 allowed, 1 denied, 2 the question cannot be put.\n\nExamples:\n  hashpact policy explain --policy ca=profiles/ca --policy us=profiles/us --from ca --to us \\\n    --class \"state=assessed, content_class=csam, legal_basis=statutory, tlp=AMBER, recipients=centre, purposes=*, residency=US\"\n  hashpact policy explain --policy ca=profiles/ca --from ca --to member:acme:CA:hosting --action publish --purpose remove \\\n    --class \"state=assessed, minor_certain=true\" --facts state=assessed,quorum\n  hashpact --home ca policy explain --from eu --to ca --class-id 3\n  hashpact --home ca policy explain --from ca --to us --entry 0f5e2c9a77d14b0d8e2f6a1b3c4d5e6f --cedar replay-1"
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
    class: Option<ClassText>,
    /// The number of a class that the origin defined, as the log in --home says it.
    #[arg(long, value_name = "N", conflicts_with_all = ["class", "entry"])]
    class_id: Option<u16>,
    /// An entry, as `lookup` prints it: its class is meant, and what is computed of it. The running node of --home is asked.
    #[arg(long, value_name = "ID", conflicts_with = "class")]
    entry: Option<String>,
    /// A signed attestation of the entry, from which quorum and baseline are computed.
    #[arg(
        long = "attestation",
        value_name = "FILE",
        requires = "entry",
        conflicts_with = "facts"
    )]
    attestations: Vec<PathBuf>,
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
    /// Write the decisions into this folder, which is made, so that the stock `cedar` command line replays them.
    #[arg(long, value_name = "DIR")]
    cedar: Option<PathBuf>,
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

pub(super) fn run(home: &Home, args: &ExplainArgs) -> Result<Answer, Failure> {
    if args.class.is_none() && args.class_id.is_none() && args.entry.is_none() {
        return Err(Failure::input(
            "which class? Give --class LABELS, --class-id N or --entry ID",
        ));
    }
    let mut scene = Scene::default();
    given(&mut scene, &args.policies, &args.centres)?;
    let origin = args.origin.as_ref().unwrap_or(&args.from).clone();
    let to = recipient(&args.to)?;
    let now = args.at.map_or_else(clock::now, |at| at.0);
    let mut parties = vec![&origin, &args.from];
    if let Recipient::Centre(to) = &to {
        parties.push(to);
    }
    let books = at_home(home, &mut scene, &parties, now, args.class.is_none())?;
    let Meant {
        class,
        labels,
        known,
    } = meant(home, &scene, &origin, books.as_ref(), args, now)?;
    let question = Question {
        from: args.from.clone(),
        to,
        origin,
        class,
        labels,
        action: args.action,
        purpose: args.purpose,
        default_purpose: None,
        now,
        entry: args.facts.or(known.as_ref().map(|known| known.facts)),
    };
    let explained = explain(&scene, &question).map_err(Failure::input)?;
    let mut json = serde_json::to_value(&explained).map_err(Failure::failed)?;
    let mut text = describe(&explained);
    if let Some(known) = &known {
        let _ = writeln!(text, "\n{}", entry::line(known));
        json["entry"] = entry::object(known);
    }
    if let Some(folder) = &args.cedar {
        let count = replay::write(&scene, &question, folder).map_err(Failure::input)?;
        let script = folder.join("replay");
        let script = script.display();
        let _ = writeln!(
            text,
            "\n{count} decisions for the cedar command line: {script} asks it"
        );
        json["cedar"] = json!({ "folder": folder, "decisions": count });
    }
    Ok(Answer {
        json,
        text,
        code: u8::from(!explained.allowed),
    })
}

/// What a home says: its logs, and the books of the centres that are asked about.
pub(super) struct AtHome {
    pub(super) logs: Logs,
    pub(super) books: BTreeMap<CentreId, Book>,
}

impl AtHome {
    /// Every class that a delta put entries of, with their number.
    pub(super) fn classes(&self) -> Vec<Class> {
        let counted = |(origin, book): (&CentreId, &Book)| -> Vec<Class> {
            let entries = book.entries.iter().filter_map(|(class, entries)| {
                Some(Class {
                    origin: origin.clone(),
                    id: Some(*class),
                    name: format!("class {class}"),
                    labels: book.classes.get(class)?.clone(),
                    entries: Some(*entries),
                })
            });
            entries.collect()
        };
        self.books.iter().flat_map(counted).collect()
    }
}

/// Adds what the logs of a home say of these centres, but for those whose profile was given. Without need no home is
/// looked at.
pub(super) fn at_home(
    home: &Home,
    scene: &mut Scene,
    parties: &[&CentreId],
    now: Timestamp,
    needed: bool,
) -> Result<Option<AtHome>, Failure> {
    let is_given = |id: &&CentreId| scene.0.contains_key(*id);
    if !needed && (parties.iter().all(is_given) || home.check_made().is_err()) {
        return Ok(None);
    }
    home.check_made().map_err(home_failure)?;
    let logs = Logs::open(home).map_err(Failure::input)?;
    let mut books = BTreeMap::new();
    for id in parties {
        if let Some(centre) = logs.roster().centre(id) {
            let book = logs.book(centre).map_err(Failure::failed)?;
            books.insert(centre.id.clone(), book);
        }
    }
    // As at the node: on a demonstration everything is open only where none of them has a document.
    let is_ruled = books.values().any(|book| !book.documents.is_empty())
        || scene.0.values().any(|party| party.law.is_some());
    let fallback = match logs.roster().demo && !is_ruled {
        true => Fallback::Open,
        false => Fallback::Closed,
    };
    for (id, book) in &books {
        if scene.0.contains_key(id) {
            continue;
        }
        if let Some(centre) = logs.roster().centre(id) {
            let party = Party {
                jurisdiction: centre.jurisdiction.clone(),
                law: Some(logs.law(centre, book, now, fallback)),
            };
            scene.0.insert(id.clone(), party);
        }
    }
    Ok(Some(AtHome { logs, books }))
}

/// What is asked about.
struct Meant {
    class: ClassId,
    labels: Labels,
    /// What is computed of the entry, if one is meant.
    known: Option<Known>,
}

fn meant(
    home: &Home,
    scene: &Scene,
    origin: &CentreId,
    at_home: Option<&AtHome>,
    args: &ExplainArgs,
    now: Timestamp,
) -> Result<Meant, Failure> {
    let party = scene.party(origin).map_err(Failure::input)?;
    if let Some(class) = &args.class {
        let labels = class.at(&party.jurisdiction);
        labels.check().map_err(Failure::input)?;
        return Ok(Meant {
            class: ClassId(0),
            labels,
            known: None,
        });
    }
    let unknown = || Failure::input(format!("{origin} is not on the roster of this home"));
    let at_home = at_home.ok_or_else(unknown)?;
    let roster = at_home.logs.roster();
    let entry = match &args.entry {
        Some(id) => {
            let centre = roster.centre(origin).ok_or_else(unknown)?;
            Some(entry::entry(home, centre, roster, id)?)
        }
        None => None,
    };
    let class = entry.as_ref().map(|(entry, _)| Entry::class(entry));
    let class = class.or(args.class_id.map(ClassId));
    let class = class.ok_or_else(|| Failure::input("--class, --class-id or --entry is needed"))?;
    let labels = at_home.class(origin, class)?;
    let known = entry.map(|it| entry::known(&it, &labels, &args.attestations, roster, now));
    Ok(Meant {
        class,
        labels,
        known: known.transpose()?,
    })
}

impl AtHome {
    /// The labels of a class, as the log of its origin defines it.
    pub(super) fn class(&self, origin: &CentreId, class: ClassId) -> Result<Labels, Failure> {
        let unknown = || Failure::input(format!("{origin} is not on the roster of this home"));
        let book = self.books.get(origin).ok_or_else(unknown)?;
        book.classes.get(&class).cloned().ok_or_else(|| {
            let highest = book.classes.keys().next_back();
            Failure::input(match highest {
                Some(highest) => format!("{origin} has no class {class}: they go up to {highest}"),
                None => format!("{origin} has defined no class yet"),
            })
        })
    }
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
            "  holds until {until} at the longest: a grant or a policy document changes then"
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
