//! Auditors, witnesses and revocations on their way to a roster: arguments of `roster new`.
//!
//! An auditor comes with an enrolment, which proves that it holds its keys. A stock witness signs no enrolment: its verifier
//! key is what its operator publishes, and whoever makes the roster compares it there. In scope: changing a draft. Out of
//! scope: what a roster may hold (`hashpact_keys::roster`).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use hashpact_keys::enrolment::WitnessEnrolment;
use hashpact_keys::roster::{KeyEntry, Revocation, RosterDraft, WitnessEntry};
use hashpact_keys::{KeyId, KeyUse, Origin, Roster, Timestamp, WitnessName};
use hashpact_protocol::log::{SignatureKind, VerifierKey, VerifierKeyError};
use serde_json::{Value, json};

use super::{Failure, read};
use crate::armor::Kind;

#[derive(Args)]
pub(in crate::cli) struct WitnessArgs {
    /// Enrolments of auditors to add, made by `witness init`; one of an auditor on the roster renews its keys.
    #[arg(long, value_name = "FILE")]
    auditor: Vec<PathBuf>,
    /// Verifier keys of stock witnesses to add, as <name>+<id>+<key>; for one on the roster they take the place of its keys.
    #[arg(long, value_name = "VKEY")]
    witness: Vec<String>,
    /// Auditors and witnesses to take off.
    #[arg(long, value_name = "NAME")]
    drop_witness: Vec<String>,
    /// Revoke a key in one log: what it signed from this size on is void.
    #[arg(long, value_name = "KEYID@ORIGIN:SIZE")]
    revoke: Vec<String>,
}

/// Why a draft is not changed so.
#[derive(Debug, thiserror::Error)]
enum ChangeError {
    #[error("the roster has no auditor or witness {name}")]
    NoWitness { name: WitnessName },
    #[error("{name}: {source}")]
    VerifierKey {
        name: String,
        source: VerifierKeyError,
    },
    #[error("{name}: this is the key of a log, and a witness cosigns with one of type 0x04")]
    NotACosigner { name: String },
    #[error("{text}: not <key id>@<origin>:<size>, such as 0123456789abcdef@eu.example/eu/1:4096")]
    Revocation { text: String },
    #[error("no key on the roster has the id {key}")]
    NoKey { key: KeyId },
    #[error("key {key} is revoked in {origin} from size {size} on: a cut-off only ever goes down")]
    Revoked {
        key: KeyId,
        origin: Origin,
        size: u64,
    },
}

/// Changes a draft as the arguments say: first who leaves, then who comes, then who is revoked. `last` is the roster before.
pub(super) fn change(
    draft: &mut RosterDraft,
    args: &WitnessArgs,
    last: Option<&Roster>,
    now: Timestamp,
) -> Result<(), Failure> {
    for name in &args.drop_witness {
        drop_witness(draft, name.parse().map_err(Failure::input)?).map_err(Failure::input)?;
    }
    for file in &args.auditor {
        let enrolment = WitnessEnrolment::open(&read(file, Kind::WitnessEnrolment)?)
            .map_err(|error| Failure::input(format!("{}: {error}", file.display())))?;
        put(&mut draft.auditors, enrolment.entry(now), now);
    }
    for entry in stock(&args.witness, now)? {
        put(&mut draft.witnesses, entry, now);
    }
    for text in &args.revoke {
        revoke(draft, last, text).map_err(Failure::input)?;
    }
    Ok(())
}

fn drop_witness(draft: &mut RosterDraft, name: WitnessName) -> Result<(), ChangeError> {
    let count = |draft: &RosterDraft| draft.auditors.len() + draft.witnesses.len();
    let before = count(draft);
    draft.auditors.retain(|entry| entry.name != name);
    draft.witnesses.retain(|entry| entry.name != name);
    match count(draft) == before {
        true => Err(ChangeError::NoWitness { name }),
        false => Ok(()),
    }
}

/// Adds an entry, or puts its keys in the place of those that the holder had: keys that stay keep their validity, and the
/// others end but stay listed, since what they cosigned stays valid.
fn put(entries: &mut Vec<WitnessEntry>, mut entry: WitnessEntry, at: Timestamp) {
    let Some(old) = entries.iter_mut().find(|old| old.name == entry.name) else {
        entries.push(entry);
        return;
    };
    for key in &old.keys {
        let mut new = entry.keys.iter_mut();
        match new.find(|new| new.key == key.key && new.use_ == key.use_) {
            Some(new) => (new.from, new.until) = (key.from, key.until),
            None => {
                let ends = key.until.map_or(at, |until| until.min(at));
                let until = Some(ends.max(Timestamp::new(key.from.get() + 1)));
                let ended = KeyEntry {
                    until,
                    ..key.clone()
                };
                entry.keys.push(ended);
            }
        }
    }
    *old = entry;
}

/// The entries of stock witnesses; keys of one name are one entry.
fn stock(texts: &[String], from: Timestamp) -> Result<Vec<WitnessEntry>, Failure> {
    let mut entries: BTreeMap<WitnessName, WitnessEntry> = BTreeMap::new();
    for text in texts {
        let key = VerifierKey::from_str(text).map_err(|source| {
            let name = text.clone();
            Failure::input(ChangeError::VerifierKey { name, source })
        })?;
        if key.kind() != SignatureKind::Cosigner {
            let name = key.name().to_owned();
            return Err(Failure::input(ChangeError::NotACosigner { name }));
        }
        let name: WitnessName = key.name().parse().map_err(Failure::input)?;
        let entry = entries.entry(name.clone()).or_insert(WitnessEntry {
            name,
            keys: Vec::new(),
        });
        entry.keys.push(KeyEntry {
            use_: KeyUse::Witness,
            key: *key.key(),
            from,
            until: None,
        });
    }
    Ok(entries.into_values().collect())
}

fn revoke(draft: &mut RosterDraft, last: Option<&Roster>, text: &str) -> Result<(), ChangeError> {
    let revocation = parse(text).ok_or_else(|| ChangeError::Revocation {
        text: text.to_owned(),
    })?;
    let key = revocation.key;
    // Who leaves with this version may be revoked with it.
    let before = last.map(|last| (&last.centres, [&last.auditors, &last.witnesses]));
    let now = (&draft.centres, [&draft.auditors, &draft.witnesses]);
    let lists = before.into_iter().chain([now]);
    let is_listed = lists.into_iter().any(|(centres, others)| {
        let of_centres = centres.iter().flat_map(|centre| &centre.keys);
        let of_others = others.into_iter().flatten().flat_map(|entry| &entry.keys);
        let mut keys = of_centres.chain(of_others);
        keys.any(|entry| entry.key.key_id() == key)
    });
    if !is_listed {
        return Err(ChangeError::NoKey { key });
    }
    let mut revocations = draft.revocations.iter_mut();
    match revocations.find(|old| old.key == key && old.origin == revocation.origin) {
        None => draft.revocations.push(revocation),
        Some(old) if revocation.size < old.size => old.size = revocation.size,
        Some(old) => {
            let (origin, size) = (old.origin.clone(), old.size);
            return Err(ChangeError::Revoked { key, origin, size });
        }
    }
    Ok(())
}

/// Auditors or witnesses for a program: names and witness keys, with the ids that a revocation names.
pub(super) fn described(entries: &[WitnessEntry]) -> Vec<Value> {
    let key = |entry: &KeyEntry| {
        json!({
            "use": entry.use_.to_string(),
            "key": entry.key.to_string(),
            "key_id": entry.key.key_id().to_string(),
            "from": entry.from.get(),
            "until": entry.until.map(Timestamp::get),
        })
    };
    let entry = |entry: &WitnessEntry| {
        let keys: Vec<Value> = entry.keys.iter().map(key).collect();
        json!({ "name": entry.name.to_string(), "keys": keys })
    };
    entries.iter().map(entry).collect()
}

/// Auditors or witnesses for a person.
pub(super) fn names(entries: &[WitnessEntry]) -> String {
    let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
    match names.is_empty() {
        true => "none".to_owned(),
        false => names.join(", "),
    }
}

/// Revocations for a program.
pub(super) fn revoked(revocations: &[Revocation]) -> Vec<Value> {
    let revoked = |entry: &Revocation| {
        json!({
            "key_id": entry.key.to_string(),
            "origin": entry.origin.to_string(),
            "size": entry.size,
        })
    };
    revocations.iter().map(revoked).collect()
}

/// `<key id>@<origin>:<size>`; an origin holds neither sign.
fn parse(text: &str) -> Option<Revocation> {
    let (key, rest) = text.split_once('@')?;
    let (origin, size) = rest.rsplit_once(':')?;
    let plain = !size.is_empty() && size.bytes().all(|byte| byte.is_ascii_digit());
    Some(Revocation {
        key: key.parse().ok()?,
        origin: origin.parse().ok()?,
        size: plain.then(|| size.parse().ok())??,
    })
}
