//! `hashpact policy matrix`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use hashpact_keys::{CentreId, Jurisdiction, Timestamp};
use hashpact_protocol::assess::EntryFacts;
use hashpact_protocol::labels::Purpose;
use serde_json::json;

use super::super::init::home_failure;
use super::super::{Answer, Failure};
use super::entry;
use super::explain::{AtHome, OfCentre, at_home, facts, given, word};
use crate::audit::at::At;
use crate::audit::report::Language;
use crate::clock;
use crate::home::Home;
use crate::page::file::replace;
use crate::policy::entry::Known;
use crate::policy::logs::Logs;
use crate::policy::matrix::{self, Class, Matrix, MemberKind, Plan, RELEASABLE, read_classes};
use crate::policy::scene::Scene;

#[derive(Args)]
#[command(
    after_help = "A cell between centres needs the origin's share (and the reshare of --via) and the recipient's admit; a member's cell is\nthe decision of the centre that made the class. A file of classes holds TOML tables such as\n  [[class]]\n  name = \"assessed, real\"\n  labels = \"state=assessed, content_class=csam, tlp=AMBER, recipients=centre|provider, purposes=*\"\n  origin = \"eu\"        # without it: every centre whose policy is given\nExit code 0 whatever the cells say: `policy explain` answers one of them.\n\nExamples:\n  hashpact policy matrix --policy eu=profiles/eu --policy us=profiles/us --policy ca=profiles/ca --classes profiles/classes.toml\n  hashpact policy matrix --policy eu=profiles/eu --policy us=profiles/us --classes profiles/classes.toml \\\n    --member hosting:US:remove --html matrix.html --language fr\n  hashpact --home ca policy matrix --html matrix.html"
)]
pub(in super::super) struct MatrixArgs {
    /// A centre's profile: a folder or a document.
    #[arg(long = "policy", value_name = "CENTRE=DIR")]
    policies: Vec<OfCentre<PathBuf>>,
    /// The law of a centre whose profile is not given.
    #[arg(long = "centre", value_name = "CENTRE=LAW")]
    centres: Vec<OfCentre<Jurisdiction>>,
    /// The classes to ask about; without it those of the logs in --home, under what is in force there.
    #[arg(long, value_name = "FILE")]
    classes: Option<PathBuf>,
    /// One entry of the centre in --from: its class, and what is computed of it. The running node of --home is asked.
    #[arg(long, value_name = "ID", conflicts_with = "classes")]
    entry: Option<String>,
    /// A signed attestation of the entry, from which quorum and baseline are computed.
    #[arg(long = "attestation", value_name = "FILE", requires = "entry")]
    attestations: Vec<PathBuf>,
    /// Show the classes of these centres only.
    #[arg(long = "from", value_name = "CENTRE")]
    from: Vec<CentreId>,
    /// A centre that gives on what the others made.
    #[arg(long, value_name = "CENTRE")]
    via: Option<CentreId>,
    /// A kind of member that entries could be released to: what it does, its law, and what it would use them for.
    #[arg(long = "member", value_name = "SECTOR:LAW:PURPOSE")]
    members: Vec<Kind>,
    /// What centres would use entries for; without it what each profile asks for.
    #[arg(long, value_name = "PURPOSE", value_parser = word::<Purpose>)]
    purpose: Option<Purpose>,
    /// What is computed of the entry, for releases: state=assessed,quorum,baseline,hold, of which you name what holds;
    /// without it an assessed one with a quorum.
    #[arg(long, value_name = "FACTS", value_parser = facts, conflicts_with = "entry")]
    facts: Option<EntryFacts>,
    /// As of this time, in place of the clock: a date such as 2027-01-31.
    #[arg(long, value_name = "TIME")]
    at: Option<At>,
    /// Write the matrix as one page, for a browser or a printer.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// The language in which the page opens; it holds both.
    #[arg(long, value_enum, default_value = "en")]
    language: Language,
}

/// `SECTOR:LAW:PURPOSE`.
#[derive(Clone, Debug)]
struct Kind(MemberKind);

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split(':').collect();
        let [sector, law, purpose] = parts.as_slice() else {
            return Err("expected SECTOR:LAW:PURPOSE, as in hosting:US:remove".to_owned());
        };
        if sector.is_empty() || sector.len() > 64 {
            return Err("a sector has 1 to 64 bytes".to_owned());
        }
        Ok(Self(MemberKind {
            sector: (*sector).to_owned(),
            jurisdiction: law.parse().map_err(|error| format!("{law}: {error}"))?,
            purpose: word(purpose)?,
        }))
    }
}

pub(super) fn run(home: &Home, args: &MatrixArgs) -> Result<Answer, Failure> {
    let mut scene = Scene::default();
    given(&mut scene, &args.policies, &args.centres)?;
    let now = args.at.map_or_else(clock::now, |at| at.0);
    let (mut classes, known) = match (&args.entry, args.from.as_slice()) {
        (None, _) => (classes(home, args, &mut scene, now)?, None),
        (Some(id), [origin]) => {
            let (class, known) = one(home, args, &mut scene, origin, id, now)?;
            (vec![class], Some(known))
        }
        (Some(_), _) => {
            return Err(Failure::input(
                "--entry needs one --from: whose entry it is",
            ));
        }
    };
    if !args.from.is_empty() {
        for origin in &args.from {
            scene.party(origin).map_err(Failure::input)?;
        }
        classes.retain(|class| args.from.contains(&class.origin));
    }
    let computed = known.as_ref().map(|known| known.facts);
    let plan = Plan {
        members: args.members.iter().map(|kind| kind.0.clone()).collect(),
        purpose: args.purpose,
        via: args.via.clone(),
        entry: args.facts.or(computed).unwrap_or(RELEASABLE),
        now,
    };
    let matrix = Matrix::ask(&scene, classes, plan).map_err(Failure::input)?;
    let mut text = matrix::text(&matrix);
    let mut json = matrix::json(&matrix);
    if let Some(known) = &known {
        text.push_str(&format!("\n{}\n", entry::line(known)));
        json["known"] = entry::object(known);
    }
    if let Some(path) = &args.html {
        replace(path, &matrix::page(&matrix, args.language)).map_err(Failure::failed)?;
        let file = path.display().to_string();
        text.push_str(&format!("\nWritten: {file}\n"));
        json["html"] = json!(file);
    }
    Ok(Answer::new(json, text))
}

/// The classes of a file, or of the logs of a home, which then also say what is in force at each centre.
fn classes(
    home: &Home,
    args: &MatrixArgs,
    scene: &mut Scene,
    now: Timestamp,
) -> Result<Vec<Class>, Failure> {
    if let Some(file) = &args.classes {
        return read_classes(file, scene).map_err(Failure::input);
    }
    if home.check_made().is_err() {
        return Err(Failure::input(
            "--classes FILE is needed, or a node's --home, whose logs define classes",
        ));
    }
    Ok(all_at_home(home, scene, now)?.classes())
}

/// What the logs of a home say of every centre of its roster.
fn all_at_home(home: &Home, scene: &mut Scene, now: Timestamp) -> Result<AtHome, Failure> {
    home.check_made().map_err(home_failure)?;
    let roster = Logs::open(home).map_err(Failure::input)?.roster().clone();
    let ids: Vec<&CentreId> = roster.centres.iter().map(|centre| &centre.id).collect();
    let found = at_home(home, scene, &ids, now, true)?;
    found.ok_or_else(|| Failure::input("the home says nothing of its roster's centres"))
}

/// The class of one entry, and what is computed of it.
fn one(
    home: &Home,
    args: &MatrixArgs,
    scene: &mut Scene,
    origin: &CentreId,
    id: &str,
    now: Timestamp,
) -> Result<(Class, Known), Failure> {
    let at_home = all_at_home(home, scene, now)?;
    let roster = at_home.logs.roster();
    let unknown = || Failure::input(format!("{origin} is not on the roster of this home"));
    let centre = roster.centre(origin).ok_or_else(unknown)?;
    let entry = entry::entry(home, centre, roster, id)?;
    let class = entry.0.class();
    let labels = at_home.class(origin, class)?;
    let known = entry::known(&entry, &labels, &args.attestations, roster, now)?;
    let class = Class {
        origin: origin.clone(),
        id: Some(class),
        name: format!("entry {id}"),
        labels,
        entries: None,
    };
    Ok((class, known))
}
