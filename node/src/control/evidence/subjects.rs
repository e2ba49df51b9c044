//! Which record a person means: an entry id, and the leaf hash that its origin signed for, out of what is stored.

use std::collections::{BTreeMap, BTreeSet};

use hashpact_keys::Origin;
use hashpact_keys::roster::CentreEntry;
use hashpact_protocol::assess::Subject;
use hashpact_protocol::delta::Seq;
use hashpact_protocol::labels::ClassId;
use hashpact_protocol::record::EntryId;

use super::super::server::{failed, input, no};
use super::super::{Fault, chain};
use crate::daemon::{Handle, roster_in_force};
use crate::store::{FoundEntry, LookupError};

/// The records of these entries as their origins signed for them, each once, in the order given.
///
/// Every class that one of them is of is unsealed and hashed: call it where blocking is allowed.
pub(super) fn named(
    handle: &Handle,
    origin: Option<&str>,
    entries: &[String],
) -> Result<Vec<Subject>, Fault> {
    if entries.is_empty() {
        return Err(input(
            "no entry: give entry ids, as `lookup` prints them".to_owned(),
        ));
    }
    let roster = roster_in_force(&handle.store).map_err(|error| failed(chain(&error)))?;
    let centres = among(&roster.roster().centres, origin)?;
    let mut order = Vec::new();
    let mut places: BTreeMap<(Origin, Seq, ClassId), Vec<EntryId>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for (number, text) in (1..).zip(entries) {
        let entry = parse(number, text)?;
        let found = find(handle, &centres, entry)?;
        if found.retracted {
            return Err(no(format!(
                "{entry}: retracted, so nothing more is said of it"
            )));
        }
        let place = (found.origin, entry);
        if !seen.insert(place.clone()) {
            continue;
        }
        let of_class = (place.0.clone(), found.seq, found.class);
        places.entry(of_class).or_default().push(entry);
        order.push(place);
    }
    let mut subjects = BTreeMap::new();
    for ((origin, seq, class), entries) in places {
        let centre = centres.iter().find(|centre| centre.origin == origin);
        let proofs = handle.store.record_proofs(&origin, seq, class, &entries);
        let (_, proofs) = proofs.map_err(|error| failed(chain(&error)))?;
        for proof in &proofs {
            let proven = centre.map(|centre| proof.verify(centre));
            let proven = proven.ok_or_else(|| gone(&origin))?;
            let proven = proven.map_err(|error| failed(chain(&error)))?;
            let subject = Subject::from(&proven);
            subjects.insert((subject.origin.clone(), subject.entry), subject);
        }
    }
    let subjects = order
        .into_iter()
        .filter_map(|place| subjects.remove(&place));
    Ok(subjects.collect())
}

/// The newest stored record of an entry that a person names.
pub(super) fn one(handle: &Handle, origin: Option<&str>, entry: &str) -> Result<FoundEntry, Fault> {
    let roster = roster_in_force(&handle.store).map_err(|error| failed(chain(&error)))?;
    let centres = among(&roster.roster().centres, origin)?;
    find(handle, &centres, parse(1, entry)?)
}

fn gone(origin: &Origin) -> Fault {
    no(format!(
        "{origin} is the log of no centre of the roster in force"
    ))
}

fn among<'a>(
    centres: &'a [CentreEntry],
    origin: Option<&str>,
) -> Result<Vec<&'a CentreEntry>, Fault> {
    let Some(text) = origin else {
        return Ok(centres.iter().collect());
    };
    let origin: Origin = text
        .parse()
        .map_err(|error| input(format!("{text}: {}", chain(&error))))?;
    let centre = centres.iter().find(|centre| centre.origin == origin);
    centre
        .map(|centre| vec![centre])
        .ok_or_else(|| gone(&origin))
}

fn parse(number: usize, text: &str) -> Result<EntryId, Fault> {
    // Not repeated: it may be a fingerprint, pasted by mistake.
    let refused = |_| {
        input(format!(
            "number {number} of the list is not an entry id: 32 hexadecimal digits, as `lookup` prints them"
        ))
    };
    text.parse().map_err(refused)
}

fn find(handle: &Handle, centres: &[&CentreEntry], entry: EntryId) -> Result<FoundEntry, Fault> {
    let found = centres
        .iter()
        .map(|centre| handle.store.lookup_entry(&centre.origin, entry))
        .filter_map(Result::transpose)
        .collect::<Result<Vec<_>, LookupError>>()
        .map_err(|error| failed(chain(&error)))?;
    let mut found = found.into_iter();
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (Some(_), Some(_)) => Err(input(format!(
            "{entry}: two logs have an entry of this id: say which one you mean with --origin"
        ))),
        (None, _) => Err(no(format!("{entry}: no record with this id is here"))),
    }
}
