//! The rules between the parts of a roster. Why: a second key with the same id, a second log with the same name or an
//! unsorted list would let two readers of one roster see two networks. In scope: one version. Out of scope: shape (`wire`).

use std::collections::BTreeSet;

use crate::id::{KeyId, Origin, RosterVersion};
use crate::signer::PublicKey;

use super::{
    ADDRESS_LEN_MAX, CentreEntry, KeyEntry, KeyUse, MAX_ADDRESSES, MAX_CENTRES, MAX_KEYS,
    MAX_REVOCATIONS, MAX_ROOT_KEYS, MAX_WITNESSES,
};
use super::{Revocation, RosterDraft, RosterPayloadError as Error, WitnessEntry};

/// The order of one holder's keys.
pub(super) fn key_order(entry: &KeyEntry) -> (KeyUse, PublicKey) {
    (entry.use_, entry.key)
}

/// The order of revocations.
pub(super) fn revocation_order(entry: &Revocation) -> (KeyId, &Origin) {
    (entry.key, &entry.origin)
}

/// Checks every rule that holds within one version.
pub(super) fn check(draft: &RosterDraft) -> Result<(), Error> {
    check_frame(draft)?;
    check_sorted("root keys", &draft.root_keys, MAX_ROOT_KEYS, |key| key)?;
    check_sorted("centres", &draft.centres, MAX_CENTRES, |centre| &centre.id)?;
    check_sorted("auditors", &draft.auditors, MAX_WITNESSES, |auditor| {
        &auditor.name
    })?;
    check_sorted("witnesses", &draft.witnesses, MAX_WITNESSES, |witness| {
        &witness.name
    })?;
    check_sorted(
        "revocations",
        &draft.revocations,
        MAX_REVOCATIONS,
        revocation_order,
    )?;
    check_names(draft)?;
    draft
        .centres
        .iter()
        .try_for_each(|centre| check_addresses(&centre.addresses))?;
    check_keys(draft)
}

fn check_frame(draft: &RosterDraft) -> Result<(), Error> {
    let version = draft.version;
    if version.get() == 0 {
        return Err(Error::VersionZero);
    }
    if draft.network.is_none() != (version == RosterVersion::FIRST) {
        return Err(Error::NetworkField { version });
    }
    if draft.expires_at <= draft.issued_at {
        return Err(Error::Lifetime {
            issued_at: draft.issued_at,
            expires_at: draft.expires_at,
        });
    }
    if draft.root_keys.is_empty() {
        return Err(Error::Empty { list: "root keys" });
    }
    if draft.centres.is_empty() {
        return Err(Error::Empty { list: "centres" });
    }
    if draft.threshold == 0 || usize::from(draft.threshold) > draft.root_keys.len() {
        return Err(Error::Threshold {
            threshold: draft.threshold,
            root_keys: draft.root_keys.len(),
        });
    }
    Ok(())
}

/// Checks that a list is within its limit and strictly ascending.
pub(crate) fn check_sorted<'a, T, K: Ord>(
    list: &'static str,
    items: &'a [T],
    max: usize,
    key: impl Fn(&'a T) -> K,
) -> Result<(), Error> {
    if items.len() > max {
        return Err(Error::TooMany {
            list,
            max,
            got: items.len(),
        });
    }
    let unsorted = items
        .windows(2)
        .position(|pair| key(&pair[0]) >= key(&pair[1]));
    unsorted.map_or(Ok(()), |before| {
        Err(Error::Order {
            list,
            index: before + 1,
        })
    })
}

/// Checks the rules of one centre's addresses; what they mean is the network's to say.
pub(crate) fn check_addresses(addresses: &[String]) -> Result<(), Error> {
    if addresses.len() > MAX_ADDRESSES {
        return Err(Error::TooMany {
            list: "addresses",
            max: MAX_ADDRESSES,
            got: addresses.len(),
        });
    }
    let mut seen = BTreeSet::new();
    let is_good = |address: &String| {
        (1..=ADDRESS_LEN_MAX).contains(&address.len())
            && address.bytes().all(|byte| byte.is_ascii_graphic())
    };
    match addresses
        .iter()
        .position(|address| !is_good(address) || !seen.insert(address))
    {
        Some(index) => Err(Error::Address { index }),
        None => Ok(()),
    }
}

/// A checkpoint is found by its origin and a cosignature by its name, so no two parties share either.
fn check_names(draft: &RosterDraft) -> Result<(), Error> {
    let mut taken = BTreeSet::new();
    for CentreEntry { id, origin, .. } in &draft.centres {
        if origin.centre() != id {
            let (expected, got) = (id.clone(), origin.centre().clone());
            return Err(Error::OriginOfOther { expected, got });
        }
        // Ids are unique and each origin names its own: no two centres can share one. A centre cosigns under its line with a
        // role for the epoch, and is counted by its id.
        let line = origin.as_str();
        let stem = line.rsplit_once('/').map_or(line, |(stem, _)| stem);
        taken.extend([line.to_owned(), id.as_str().to_owned()]);
        taken.extend(["witness", "mirror"].map(|role| format!("{stem}/{role}")));
    }
    for (list, entries) in witness_lists(draft) {
        if let Some(index) = entries
            .iter()
            .position(|entry| !taken.insert(entry.name.as_str().to_owned()))
        {
            return Err(Error::RepeatedName { list, index });
        }
    }
    Ok(())
}

/// Every key has one holder and one use, and signatures name it by its id: so no id occurs twice.
fn check_keys(draft: &RosterDraft) -> Result<(), Error> {
    let mut seen = BTreeSet::new();
    for key in draft.root_keys.iter().map(PublicKey::key_id) {
        if !seen.insert(key) {
            return Err(Error::RepeatedKey { key });
        }
    }
    let of_centres = draft.centres.iter().map(|centre| &centre.keys);
    let of_witnesses = witness_lists(draft)
        .into_iter()
        .flat_map(|(_, list)| list.iter().map(|witness| &witness.keys));
    for keys in of_centres.chain(of_witnesses) {
        check_sorted("keys of a holder", keys, MAX_KEYS, key_order)?;
        for entry in keys {
            let key = entry.key.key_id();
            if entry.use_ == KeyUse::Root {
                return Err(Error::RootKeyOfHolder { key });
            }
            if entry.until.is_some_and(|until| until <= entry.from) {
                return Err(Error::KeyLifetime { key });
            }
            if !seen.insert(key) {
                return Err(Error::RepeatedKey { key });
            }
        }
    }
    Ok(())
}

fn witness_lists(draft: &RosterDraft) -> [(&'static str, &[WitnessEntry]); 2] {
    [
        ("auditors", &draft.auditors),
        ("witnesses", &draft.witnesses),
    ]
}
