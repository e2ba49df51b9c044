//! Whether a checkpoint holds: who signed it, and whether as many cosigned it as must.
//!
//! A note is judged under the roster that the log itself had logged below its size, and under the later ones, since a note
//! is re-cosigned after a change. Each line must be of a key that one of these lists: lines of others could be ignored, as
//! C2SP says, but an auditor wants to hear of them. A cosigner that a later roster dropped gives none from then on, whether
//! or not the log heard of that roster. In scope: one note. Out of scope: its root (`tiles`), its order (`log`).

use hashpact_keys::roster::KeyEntry;
use hashpact_keys::{KeyUse, Origin, PublicKey, Roster, RosterVersion, Timestamp};

use super::chain::Chain;
use super::finding::{CheckpointFault, FindingKind};
use super::log::Out;
use super::place::Place;
use super::summary::NoteSummary;
use crate::limits;
use crate::log::{
    Checkpoint, CheckpointError, Cosigner, Cosigners, NoteError, SignedNote, Standing, VerifierKey,
    log_key,
};

/// Who may sign the notes of one log, by roster.
pub(super) struct Judge<'a> {
    chain: &'a Chain,
    origin: Origin,
    now: Timestamp,
    /// As many as rosters, oldest first.
    roles: Vec<Roles>,
    /// The last roster that names the log: no later one can make its notes good.
    last: Option<RosterVersion>,
}

/// Who may sign under one roster.
struct Roles {
    version: RosterVersion,
    issued_at: Timestamp,
    log: Vec<(VerifierKey, KeyEntry)>,
    witnesses: Cosigners,
    mirrors: Cosigners,
}

/// A note that reads as a checkpoint of the log.
pub(super) struct Parsed {
    pub(super) checkpoint: Checkpoint,
    note: SignedNote,
    bytes: Vec<u8>,
}

/// Where and when a note stands.
pub(super) struct Standpoint {
    /// The oldest roster that counts.
    pub(super) since: RosterVersion,
    /// The newest header below its size.
    pub(super) issued_at: Option<Timestamp>,
    /// For its findings.
    pub(super) place: Place,
}

/// Whose a line is.
enum Known<'a> {
    Log(&'a VerifierKey, &'a KeyEntry),
    Cosigner(&'a VerifierKey, &'a Cosigner),
}

/// What the lines of a note come to.
#[derive(Default)]
struct Tally {
    log_line: bool,
    cosigned: Vec<(PublicKey, Timestamp)>,
}

impl Roles {
    fn of(roster: &Roster, origin: &Origin) -> Self {
        let centre = roster.by_origin(origin);
        let keys = centre
            .into_iter()
            .flat_map(|centre| centre.keys_of(KeyUse::Log));
        let log = keys.map(|entry| (log_key(origin, entry.key), entry.clone()));
        Self {
            version: roster.version,
            issued_at: roster.issued_at,
            log: log.collect(),
            witnesses: Cosigners::witnesses(roster, origin),
            mirrors: Cosigners::mirrors(roster, origin),
        }
    }

    fn find(&self, name: &str, key_id: [u8; 4]) -> Option<Known<'_>> {
        let is = |key: &VerifierKey| key.name() == name && key.id() == key_id;
        if let Some((key, entry)) = self.log.iter().find(|(key, _)| is(key)) {
            return Some(Known::Log(key, entry));
        }
        let mut cosigners = self.witnesses.iter().chain(self.mirrors.iter());
        cosigners.find_map(|cosigner| {
            let key = cosigner.keys().find(|key| is(key))?;
            Some(Known::Cosigner(key, cosigner))
        })
    }

    /// Whether a holder has this key for this role.
    fn lists(&self, key: &VerifierKey) -> bool {
        let cosigners = self.witnesses.iter().chain(self.mirrors.iter());
        let mut keys = cosigners.flat_map(Cosigner::keys);
        keys.any(|own| own == key)
    }
}

impl<'a> Judge<'a> {
    pub(super) fn new(chain: &'a Chain, origin: &Origin, now: Timestamp) -> Self {
        let rosters = chain.rosters().iter();
        Self {
            chain,
            origin: origin.clone(),
            now,
            roles: rosters.map(|r| Roles::of(r.roster(), origin)).collect(),
            last: chain.last_with(origin),
        }
    }

    /// Reads a note of this log.
    pub(super) fn parse(&self, bytes: Vec<u8>) -> Result<Parsed, CheckpointError> {
        let note = SignedNote::parse(&bytes)?;
        let checkpoint = Checkpoint::from_text(note.text())?;
        if checkpoint.origin != self.origin {
            let (expected, got) = (self.origin.clone(), checkpoint.origin);
            return Err(CheckpointError::Origin { expected, got });
        }
        Ok(Parsed {
            checkpoint,
            note,
            bytes,
        })
    }

    /// Whether a log key of any roster signed it.
    pub(super) fn is_log_signed(&self, parsed: &Parsed) -> bool {
        let mut keys = self.roles.iter().flat_map(|roles| &roles.log);
        keys.any(|(key, _)| parsed.note.signed_by(key).is_ok())
    }

    /// Judges every line and the quorum.
    pub(super) fn judge(&self, parsed: &Parsed, at: &Standpoint, out: &mut Out<'_>) -> NoteSummary {
        let mut tally = Tally::default();
        let mut seen: Vec<(&str, [u8; 4])> = Vec::new();
        for (line, (name, key_id)) in lines(&parsed.bytes).enumerate() {
            if seen.contains(&(name, key_id)) {
                let kind = CheckpointFault::RepeatedKey { line, key_id }.into();
                out.found(at.place.clone(), kind);
                continue;
            }
            seen.push((name, key_id));
            let found = match self.find(name, key_id, at.since) {
                Some((known, left)) => self.line(parsed, &known, left, at.since, &mut tally),
                None => Some(CheckpointFault::UnknownKey { line, key_id }.into()),
            };
            if let Some(kind) = found {
                out.found(at.place.clone(), kind);
            }
        }
        if !tally.log_line {
            let origin = self.origin.clone();
            let kind = CheckpointFault::Note(CheckpointError::NoKey { origin }).into();
            out.found(at.place.clone(), kind);
        }
        let size = parsed.checkpoint.size;
        let (roster, standing) = self.standing(&tally, size, at.since);
        if !standing.is_witnessed() {
            let (expected, got) = (standing.quorum, standing.cosigned.len());
            out.found(
                at.place.clone(),
                CheckpointFault::Quorum { expected, got }.into(),
            );
        }
        NoteSummary {
            size,
            roster,
            issued_at: at.issued_at,
            standing,
        }
    }

    /// The rosters under which a note counts.
    fn counting(&self, since: RosterVersion) -> impl Iterator<Item = &Roles> {
        let last = self.last;
        let named = move |roles: &&Roles| last.is_none_or(|last| roles.version <= last);
        let all = self.roles.iter().filter(named);
        all.filter(move |roles| roles.version >= since)
    }

    /// The roster that had dropped a cosigner's key by this time: issued before it, with none since that lists the key again.
    /// Whether the log ever logged that roster does not matter: its centre could keep it out for as long as it likes.
    fn dropped_by(&self, key: &VerifierKey, at: Timestamp) -> Option<&Roles> {
        let (mut was_listed, mut dropped) = (false, None);
        for roles in &self.roles {
            if roles.lists(key) {
                was_listed = true;
                dropped = dropped.filter(|_| roles.issued_at > at);
            } else if was_listed && roles.issued_at < at {
                dropped = dropped.or(Some(roles));
            }
        }
        dropped
    }

    /// Whose a line is: by a roster that counts, or with the last one before these that lists the key.
    fn find(
        &self,
        name: &str,
        key_id: [u8; 4],
        since: RosterVersion,
    ) -> Option<(Known<'_>, Option<RosterVersion>)> {
        if let Some(known) = self
            .counting(since)
            .find_map(|roles| roles.find(name, key_id))
        {
            return Some((known, None));
        }
        let before = self.roles.iter().rev().filter(|r| r.version < since);
        let mut left = before.filter_map(|r| Some((r.find(name, key_id)?, Some(r.version))));
        left.next()
    }

    fn line(
        &self,
        parsed: &Parsed,
        known: &Known<'_>,
        left: Option<RosterVersion>,
        since: RosterVersion,
        tally: &mut Tally,
    ) -> Option<FindingKind> {
        match known {
            Known::Log(key, entry) => {
                tally.log_line = true;
                self.log_line(parsed, key, entry, left)
            }
            Known::Cosigner(key, cosigner) => {
                let holder = cosigner.holder.clone();
                let Ok(Some(at)) = parsed.note.signed_by(key) else {
                    return Some(CheckpointFault::Cosignature { holder }.into());
                };
                if let Some(last) = left {
                    return Some(CheckpointFault::CosignerLeft { holder, last }.into());
                }
                let now = self.now;
                if at.get() > now.get().saturating_add(limits::CLOCK_SKEW_S) {
                    return Some(CheckpointFault::CosignedAhead { holder, at, now }.into());
                }
                if let Some(dropped) = self.dropped_by(key, at) {
                    return Some(
                        CheckpointFault::CosignedAfterLeaving {
                            holder,
                            at,
                            roster: dropped.version,
                            issued_at: dropped.issued_at,
                        }
                        .into(),
                    );
                }
                if !self.may_cosign(key.key(), parsed.checkpoint.size, at, since) {
                    return Some(CheckpointFault::CosignatureVoid { holder, at }.into());
                }
                tally.cosigned.push((*key.key(), at));
                None
            }
        }
    }

    fn log_line(
        &self,
        parsed: &Parsed,
        key: &VerifierKey,
        entry: &KeyEntry,
        left: Option<RosterVersion>,
    ) -> Option<FindingKind> {
        if parsed.note.signed_by(key).is_err() {
            let error = CheckpointError::Note(NoteError::Signature);
            return Some(CheckpointFault::Note(error).into());
        }
        let id = entry.key.key_id();
        if let Some(last) = left {
            return Some(CheckpointFault::LogKeyLeft { key: id, last }.into());
        }
        if entry.from > self.now {
            let origin = self.origin.clone();
            return Some(CheckpointFault::Note(CheckpointError::NoKey { origin }).into());
        }
        let newest = self.chain.newest().roster();
        let cut = newest.revoked_from(&id, &self.origin)?;
        (parsed.checkpoint.size > cut)
            .then_some(CheckpointFault::LogKeyRevoked { key: id, cut }.into())
    }

    /// Whether a roster that counts lets a key cosign this size at this time. A cut-off of any later roster counts: the
    /// newest one has them all.
    fn may_cosign(&self, key: &PublicKey, size: u64, at: Timestamp, since: RosterVersion) -> bool {
        let newest = self.chain.newest().roster();
        let cut = newest.revoked_from(&key.key_id(), &self.origin);
        let counts = self.counting(since);
        let mut cosigners = counts.flat_map(|r| r.witnesses.iter().chain(r.mirrors.iter()));
        cut.is_none_or(|cut| size <= cut) && cosigners.any(|c| c.may_cosign(key, size, at))
    }

    /// How the note stands under the first roster that counts and has its quorum, else under the first that counts.
    fn standing(
        &self,
        tally: &Tally,
        size: u64,
        since: RosterVersion,
    ) -> (RosterVersion, Standing) {
        let counts = self.counting(since);
        let mut all = counts.map(|r| (r.version, stands(&r.witnesses, &tally.cosigned, size)));
        let first = all.next();
        let Some(first) = first else {
            // A log that names a newer roster than the chain has: nobody can say who its witnesses are.
            let (cosigned, missing, quorum) = (Vec::new(), Vec::new(), 1);
            let standing = Standing {
                cosigned,
                missing,
                quorum,
            };
            return (since, standing);
        };
        if first.1.is_witnessed() {
            return first;
        }
        all.find(|(_, standing)| standing.is_witnessed())
            .unwrap_or(first)
    }

    /// Mirrors' receipts on a note, under the newest roster.
    pub(super) fn receipts(&self, parsed: &Parsed) -> Option<Standing> {
        let mirrors = &self.roles.last()?.mirrors;
        Some(mirrors.standing(&parsed.note, parsed.checkpoint.size))
    }
}

/// How a note with these cosignatures, each verified, stands with its cosigners.
fn stands(cosigners: &Cosigners, verified: &[(PublicKey, Timestamp)], size: u64) -> Standing {
    let (mut cosigned, mut missing) = (Vec::new(), Vec::new());
    for cosigner in cosigners.iter() {
        let own = verified
            .iter()
            .filter(|(key, at)| cosigner.may_cosign(key, size, *at));
        match own.map(|(_, at)| *at).max() {
            Some(at) => cosigned.push((cosigner.holder.clone(), at)),
            None => missing.push(cosigner.holder.clone()),
        }
    }
    cosigned.sort();
    missing.sort();
    Standing {
        cosigned,
        missing,
        quorum: cosigners.quorum(),
    }
}

/// Name and key id of each signature line of a note that parses.
fn lines(note: &[u8]) -> impl Iterator<Item = (&str, [u8; 4])> {
    use base64::Engine as _;
    let text = std::str::from_utf8(note).unwrap_or_default();
    let lines = text
        .rsplit_once("\n\n")
        .map_or("", |(_, lines)| lines)
        .lines();
    lines.filter_map(|line| {
        let (name, blob) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
        let blob = base64::engine::general_purpose::STANDARD.decode(blob);
        Some((name, *blob.ok()?.first_chunk::<4>()?))
    })
}
