//! `hashpact policy diff`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use hashpact_keys::{CentreId, Jurisdiction};
use hashpact_protocol::labels::Purpose;

use super::super::init::home_failure;
use super::super::{Answer, Failure};
use super::explain::{OfCentre, at_home, given, word};
use super::table;
use crate::audit::at::At;
use crate::clock;
use crate::config::Config;
use crate::home::Home;
use crate::policy::diff::{Comparison, Diff};
use crate::policy::files::Found;
use crate::policy::logs::Logs;
use crate::policy::matrix::{Class, read_classes};
use crate::policy::scene::{Document, Law, Party, Scene};

#[derive(Args)]
#[command(
    after_help = "With --home: classes, their entries and the other centres' policies are those of its logs, and the node may run. With\n--classes: a TOML file of tables such as\n  [[class]]\n  labels = \"state=assessed, content_class=csam, tlp=AMBER, recipients=centre, purposes=*\"\n  entries = 12000\n  origin = \"eu\"        # if it is another centre's\nNewly shared, recalled: a peer may have entries from this centre that it might not have before, or no longer. Newly\nadmitted, withheld: this centre may take entries of a peer's, or no longer. Entries are those that were ever logged; what a\npeer's own policy refuses either way is no change; a peer whose policy is not known is taken to say yes.\n\nExamples:\n  hashpact --home ca policy diff policy-1.txt profiles/ca\n  hashpact policy diff old/ca new/ca --classes classes.toml --policy us=profiles/us --centre zz=ZZ --purpose triage"
)]
pub(in super::super) struct DiffArgs {
    /// The profile before: a folder or a document.
    old: PathBuf,
    /// The profile after.
    new: PathBuf,
    /// Classes with their numbers of entries, in place of a home's.
    #[arg(long, value_name = "FILE")]
    classes: Option<PathBuf>,
    /// Which centre this is, without a home; the profile's name if it is not given.
    #[arg(long = "as", value_name = "CENTRE")]
    centre: Option<CentreId>,
    /// Another centre's profile: a folder or a document.
    #[arg(long = "policy", value_name = "CENTRE=DIR")]
    policies: Vec<OfCentre<PathBuf>>,
    /// The law of another centre whose profile is not given.
    #[arg(long = "centre", value_name = "CENTRE=LAW")]
    centres: Vec<OfCentre<Jurisdiction>>,
    /// What peers would use entries for whose profile does not say it.
    #[arg(long, value_name = "PURPOSE", value_parser = word::<Purpose>)]
    purpose: Option<Purpose>,
    /// As of this time, in place of the clock: a date such as 2027-01-31.
    #[arg(long, value_name = "TIME")]
    at: Option<At>,
}

pub(super) fn run(home: &Home, args: &DiffArgs) -> Result<Answer, Failure> {
    let (old, new) = (document(&args.old)?, document(&args.new)?);
    let mut others = Scene::default();
    given(&mut others, &args.policies, &args.centres)?;
    let now = args.at.map_or_else(clock::now, |at| at.0);
    let profile = new.profile.as_ref();
    let jurisdiction = profile.map(|profile| profile.jurisdiction().clone());
    let jurisdiction = jurisdiction.ok_or_else(|| Failure::input("no profile"))?;
    let name = profile.map_or("", |profile| profile.name());
    let (centre, classes) = match &args.classes {
        Some(file) => {
            let centre = own(args, name)?;
            let classes = typed(file, &others, &centre, &jurisdiction, &new)?;
            (centre, classes)
        }
        None => from_home(home, &mut others, now)?,
    };
    others.0.remove(&centre);
    if others.0.is_empty() {
        return Err(Failure::input(
            "there is no other centre to compare for: give --policy CENTRE=DIR or --centre CENTRE=LAW, or a --home",
        ));
    }
    let comparison = Comparison {
        centre,
        jurisdiction,
        old: Law::Given(old),
        new: Law::Given(new),
        purpose: args.purpose,
        now,
    };
    let diff = comparison.run(&others, &classes).map_err(Failure::input)?;
    let json = serde_json::to_value(&diff).map_err(Failure::failed)?;
    Ok(Answer::new(json, describe(&diff)))
}

fn document(path: &Path) -> Result<Document, Failure> {
    let found = Found::one(path).map_err(Failure::input)?;
    let profile = found.profile().map_err(Failure::input)?;
    Ok(Document {
        name: found.place.display().to_string(),
        index: None,
        profile: Some(Arc::new(profile)),
        files: found.files,
    })
}

/// The classes of a file; those without an origin are this centre's.
fn typed(
    file: &Path,
    others: &Scene,
    centre: &CentreId,
    jurisdiction: &Jurisdiction,
    new: &Document,
) -> Result<Vec<Class>, Failure> {
    let mut scene = others.clone();
    for party in scene.0.values_mut() {
        party.law = None;
    }
    let own = Party {
        jurisdiction: jurisdiction.clone(),
        law: Some(Law::Given(new.clone())),
    };
    scene.0.insert(centre.clone(), own);
    let classes = read_classes(file, &scene).map_err(Failure::input)?;
    match classes.iter().find(|class| class.entries.is_none()) {
        None => Ok(classes),
        Some(class) => Err(Failure::input(format!(
            "{}: {}: how many entries? A change is counted, so each class states `entries`",
            file.display(),
            class.name
        ))),
    }
}

fn own(args: &DiffArgs, name: &str) -> Result<CentreId, Failure> {
    match &args.centre {
        Some(centre) => Ok(centre.clone()),
        None => name.parse().map_err(|_| {
            Failure::input(format!(
                "profile {name} is not named like a centre: give --as CENTRE"
            ))
        }),
    }
}

/// Every class of every log, and what is in force at the other centres.
fn from_home(
    home: &Home,
    others: &mut Scene,
    now: hashpact_keys::Timestamp,
) -> Result<(CentreId, Vec<Class>), Failure> {
    home.check_made().map_err(home_failure)?;
    let own = Config::read(&home.config()).map_err(Failure::input)?.centre;
    let roster = Logs::open(home).map_err(Failure::input)?.roster().clone();
    let ids: Vec<&CentreId> = roster.centres.iter().map(|centre| &centre.id).collect();
    let Some(found) = at_home(home, others, &ids, now, true)? else {
        return Ok((own, Vec::new()));
    };
    // A centre that has logged no document yet may soon: what it will say is not known.
    for (id, book) in &found.books {
        if let Some(party) = others.0.get_mut(id)
            && book.documents.is_empty()
            && matches!(party.law, Some(Law::Logged { .. }))
        {
            party.law = None;
        }
    }
    Ok((own, found.classes()))
}

fn describe(diff: &Diff) -> String {
    let Diff {
        newly_shared,
        recalled,
        newly_admitted,
        withheld,
        go_on,
        stay,
        ..
    } = diff;
    let mut text = String::new();
    if diff.changes.is_empty() {
        text.push_str("Nothing changes for any class and peer.\n");
    } else {
        let mut table = table(["change", "peer", "class", "entries", "who denies"]);
        for change in &diff.changes {
            table.add_row([
                change.change.words(),
                &change.peer,
                format!("{}, {}: {}", change.origin, change.name, change.labels).as_str(),
                &change.entries.to_string(),
                &change.by,
            ]);
        }
        let _ = writeln!(text, "{table}");
    }
    let _ = writeln!(
        text,
        "Entries, summed over peers: {newly_shared} newly shared, {recalled} recalled, {newly_admitted} newly admitted, \
         {withheld} withheld; {go_on} go before and after, {stay} neither."
    );
    if !diff.unknown.is_empty() {
        let unknown = diff.unknown.join(", ");
        let _ = writeln!(
            text,
            "Taken to say yes, as their policy is not known: {unknown}."
        );
    }
    text
}
