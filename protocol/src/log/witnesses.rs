//! Who may cosign a log, how many must, and how a note stands with that.
//!
//! Witnesses of a log are the other centres, the auditors and the further witnesses of the roster: whoever has a witness
//! key there. A log's own centre never counts. How many must cosign follows from how many there are ([`quorum_of`]), so
//! that no roster can ask for too few. Mirrors are the other centres' mirror keys; each line of theirs is a receipt.
//! In scope: the roster read this way. Out of scope: the lines themselves (`note`, `cosignature`).

use hashpact_keys::roster::{CentreEntry, KeyEntry};
use hashpact_keys::{CentreId, KeyUse, Origin, PublicKey, Roster, Timestamp};

use super::{SignatureKind, SignedNote, VerifierKey};

/// Cosignatures that make a checkpoint witnessed, of `witnesses` that may give one.
///
/// With f = (n - 1) / 3 witnesses that help a lying origin, two sets of t = (n + f) / 2 + 1 share an honest one, and
/// n - f can give t: Byzantine quorums (Malkhi and Reiter, 1998, masking not needed). 1 of 1, 2 of 2, 2 of 3, 3 of 4.
#[must_use]
pub fn quorum_of(witnesses: usize) -> usize {
    if witnesses == 0 {
        return 0;
    }
    let faulty = (witnesses - 1) / 3;
    (witnesses + faulty) / 2 + 1
}

/// Witnesses that must say how much of a log they have seen before its centre is sure that its disk is no old copy: as many
/// as leave one honest witness in common with any quorum, f liars and all. Never more than are honest, so that the network
/// does not stand still: 1 of 1, 1 of 2, 2 of 3, 3 of 4.
#[must_use]
pub fn reports_of(witnesses: usize) -> usize {
    if witnesses == 0 {
        return 0;
    }
    let faulty = (witnesses - 1) / 3;
    witnesses - quorum_of(witnesses) + faulty + 1
}

/// The name under which a centre's witness key cosigns: its log's origin line with `witness` for the epoch.
#[must_use]
pub fn witness_name(origin: &Origin) -> String {
    role_name(origin, "witness")
}

/// The name under which a centre's mirror key cosigns.
#[must_use]
pub fn mirror_name(origin: &Origin) -> String {
    role_name(origin, "mirror")
}

fn role_name(origin: &Origin, role: &str) -> String {
    let line = origin.as_str();
    let stem = line.rsplit_once('/').map_or(line, |(stem, _)| stem);
    format!("{stem}/{role}")
}

/// The verifier key of a log key: its name is the origin line.
#[must_use]
pub fn log_key(origin: &Origin, key: PublicKey) -> VerifierKey {
    VerifierKey::new(origin.as_str(), SignatureKind::Log, key)
}

/// Somebody who may cosign one log.
#[derive(Clone, Debug)]
pub struct Cosigner {
    /// A centre's id, or the name of an auditor or witness.
    pub holder: String,
    /// The centre, if it is one.
    pub centre: Option<CentreId>,
    keys: Vec<Key>,
}

#[derive(Clone, Debug)]
struct Key {
    key: VerifierKey,
    entry: KeyEntry,
    /// Size above which it is revoked in this log.
    cut: Option<u64>,
}

impl Cosigner {
    /// The verifier keys under which it cosigns: one, or several around a change of keys.
    pub fn keys(&self) -> impl Iterator<Item = &VerifierKey> {
        self.keys.iter().map(|key| &key.key)
    }

    /// When it cosigned a note of a log of `size` leaves. A line counts if it verifies, its key was valid at its time, and
    /// the key is not revoked at a smaller size.
    #[must_use]
    pub fn cosigned_at(&self, note: &SignedNote, size: u64) -> Option<Timestamp> {
        let counts = |key: &Key| {
            let at = note.signed_by(&key.key).ok().flatten()?;
            let within = key.cut.is_none_or(|cut| size <= cut);
            (within && key.entry.is_valid_at(at)).then_some(at)
        };
        self.keys.iter().filter_map(counts).max()
    }

    /// Its line in a note, if one counts: when it was made, and by which key. Of several the newest that is dated by
    /// `latest`.
    fn line(
        &self,
        note: &SignedNote,
        size: u64,
        latest: Timestamp,
    ) -> Option<(Timestamp, &VerifierKey)> {
        let mut newest = None;
        for key in &self.keys {
            let at = note.signed_by(&key.key).ok().flatten();
            let within = key.cut.is_none_or(|cut| size <= cut);
            let counts = |at: &Timestamp| within && *at <= latest && key.entry.is_valid_at(*at);
            if let Some(at) = at.filter(counts)
                && newest.is_none_or(|(before, _)| before < at)
            {
                newest = Some((at, &key.key));
            }
        }
        newest
    }

    /// Takes its line over from another note of the same text, if that counts and is newer than what counts of it here. It
    /// has one line in the end, whichever keys it has had. Says whether there was a newer one.
    pub fn take_over(
        &self,
        held: &mut SignedNote,
        shown: &SignedNote,
        size: u64,
        latest: Timestamp,
    ) -> bool {
        // Most notes that are shown say nothing new: no signature is looked at for that.
        let claims = |note: &SignedNote| self.keys().filter_map(|key| note.claimed_at(key)).max();
        if held.text() != shown.text() || claims(shown) <= claims(held) {
            return false;
        }
        let Some((at, key)) = self.line(shown, size, latest) else {
            return false;
        };
        // What is held may have stopped to count since: a key was revoked, or a clock is right again.
        let before = self.line(held, size, latest).map(|(at, _)| at);
        Some(at) > before && held.replace(self.keys(), shown, key).is_ok()
    }

    /// Whether a key of its is listed without having been cut off by `size`.
    #[must_use]
    pub fn may_cosign(&self, key: &PublicKey, size: u64, at: Timestamp) -> bool {
        self.keys.iter().any(|own| {
            own.key.key() == key
                && own.entry.is_valid_at(at)
                && own.cut.is_none_or(|cut| size <= cut)
        })
    }
}

/// Everybody who may cosign one log in one role.
#[derive(Clone, Debug)]
pub struct Cosigners {
    list: Vec<Cosigner>,
    quorum: usize,
}

/// How a note stands with its cosigners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Who cosigned, and when; sorted by holder.
    pub cosigned: Vec<(String, Timestamp)>,
    /// Who did not; sorted.
    pub missing: Vec<String>,
    /// How many must.
    pub quorum: usize,
}

impl Standing {
    /// Whether as many cosigned as must.
    #[must_use]
    pub fn is_witnessed(&self) -> bool {
        self.cosigned.len() >= self.quorum
    }

    /// The time of which the quorum speaks: the newest time that a whole quorum has reached. None without one.
    #[must_use]
    pub fn witnessed_at(&self) -> Option<Timestamp> {
        let mut times: Vec<_> = self.cosigned.iter().map(|(_, at)| *at).collect();
        times.sort_unstable_by(|a, b| b.cmp(a));
        times.get(self.quorum.checked_sub(1)?).copied()
    }
}

impl Cosigners {
    /// The witnesses of a log. A real network without a witness has no quorum; a demonstration needs none then.
    #[must_use]
    pub fn witnesses(roster: &Roster, origin: &Origin) -> Self {
        let mut list = Self::centres(roster, origin, KeyUse::Witness, witness_name);
        for witness in roster.auditors.iter().chain(&roster.witnesses) {
            let name = witness.name.as_str();
            let keys = witness.keys_of(KeyUse::Witness);
            list.push(Cosigner {
                holder: name.to_owned(),
                centre: None,
                keys: keys.map(|entry| key(roster, origin, name, entry)).collect(),
            });
        }
        list.retain(|cosigner| !cosigner.keys.is_empty());
        let least = usize::from(!roster.demo);
        let quorum = quorum_of(list.len()).max(least);
        Self { list, quorum }
    }

    /// The mirrors of a log; each is expected to give its receipt.
    #[must_use]
    pub fn mirrors(roster: &Roster, origin: &Origin) -> Self {
        let mut list = Self::centres(roster, origin, KeyUse::Mirror, mirror_name);
        list.retain(|cosigner| !cosigner.keys.is_empty());
        let quorum = list.len();
        Self { list, quorum }
    }

    fn centres(
        roster: &Roster,
        origin: &Origin,
        use_: KeyUse,
        name: fn(&Origin) -> String,
    ) -> Vec<Cosigner> {
        // An older line of the same centre is its own as well.
        let others = roster
            .centres
            .iter()
            .filter(|centre| centre.id != *origin.centre());
        let cosigner = |centre: &CentreEntry| {
            let name = name(&centre.origin);
            Cosigner {
                holder: centre.id.as_str().to_owned(),
                centre: Some(centre.id.clone()),
                keys: centre
                    .keys_of(use_)
                    .map(|entry| key(roster, origin, &name, entry))
                    .collect(),
            }
        };
        others.map(cosigner).collect()
    }

    /// Everybody, centres first.
    pub fn iter(&self) -> impl Iterator<Item = &Cosigner> {
        self.list.iter()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many must cosign.
    #[must_use]
    pub fn quorum(&self) -> usize {
        self.quorum
    }

    /// How a note of a log of `size` leaves stands.
    #[must_use]
    pub fn standing(&self, note: &SignedNote, size: u64) -> Standing {
        let (mut cosigned, mut missing) = (Vec::new(), Vec::new());
        for cosigner in &self.list {
            match cosigner.cosigned_at(note, size) {
                Some(at) => cosigned.push((cosigner.holder.clone(), at)),
                None => missing.push(cosigner.holder.clone()),
            }
        }
        cosigned.sort();
        missing.sort();
        Standing {
            cosigned,
            missing,
            quorum: self.quorum,
        }
    }

    /// All verifier keys.
    pub fn keys(&self) -> impl Iterator<Item = &VerifierKey> + Clone {
        self.list
            .iter()
            .flat_map(|cosigner| cosigner.keys.iter().map(|key| &key.key))
    }
}

fn key(roster: &Roster, origin: &Origin, name: &str, entry: &KeyEntry) -> Key {
    Key {
        key: VerifierKey::new(name, SignatureKind::Cosigner, entry.key),
        entry: entry.clone(),
        cut: roster.revoked_from(&entry.key.key_id(), origin),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_two_quorums_share_an_honest_witness_and_the_honest_can_give_one() {
        assert_eq!([0, 1, 2, 3, 4, 5, 7].map(quorum_of), [0, 1, 2, 2, 3, 4, 5]);
        for n in 1..200 {
            let (t, f) = (quorum_of(n), (n - 1) / 3);
            assert!(2 * t > n + f && t <= n - f, "{n}");
            // Whoever reports shares an honest witness with every quorum, and the honest can report.
            let r = reports_of(n);
            assert!(r + t > n + f && r <= n - f, "{n}");
        }
    }

    #[test]
    fn names_of_a_centre_are_those_of_its_log_without_the_epoch() {
        let origin: Origin = "eu.example/eu/7".parse().unwrap();
        assert_eq!(witness_name(&origin), "eu.example/eu/witness");
        assert_eq!(mirror_name(&origin), "eu.example/eu/mirror");
    }
}
