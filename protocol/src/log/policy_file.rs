//! Which logs and which cosignatures make a checkpoint acceptable, as a file for tools that know no roster. Spec: C2SP
//! tlog-policy.
//!
//! ```text
//! log <vkey> [<url>]
//! witness <name> <vkey> [<url>]
//! group <name> <k>|any|all <name>...
//! quorum <name>|none
//! ```
//!
//! What a roster says and a policy cannot: when a key begins and ends, and up to which size one that was revoked still counts.
//! So [`WitnessPolicy::of_log`] leaves out every revoked key, and whoever has the roster asks
//! [`Cosigners::standing`] instead. In scope: reading, writing, evaluating. Out of scope: what the URLs are for.

use std::collections::{BTreeMap, BTreeSet};

use hashpact_keys::{KeyUse, Origin, Roster};

use super::{
    Cosigners, NoteError, SignatureKind, SignedNote, VerifierKey, VerifierKeyError, log_key,
};

/// Bytes of a policy file at most.
pub const POLICY_BYTES: usize = 64 * 1024;
/// Logs, witnesses and groups of a policy at most, each: twice what the specification asks every reader to take.
pub const POLICY_ITEMS: usize = 64;

/// A policy: logs, witnesses, groups of them, and the one that must have witnessed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessPolicy {
    logs: Vec<PolicyLog>,
    witnesses: Vec<PolicyWitness>,
    groups: Vec<Group>,
    quorum: Option<Member>,
}

/// A log whose checkpoints are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyLog {
    /// Its key; the name is the origin line.
    pub key: VerifierKey,
    /// Where it is reached: opaque bytes without white space.
    pub url: Option<Vec<u8>>,
}

/// A witness under its name in the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyWitness {
    /// Its name in this policy: opaque bytes without white space.
    pub name: Vec<u8>,
    /// Its key.
    pub key: VerifierKey,
    /// Where it is reached.
    pub url: Option<Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    name: Vec<u8>,
    threshold: usize,
    members: Vec<Member>,
}

/// A witness or a group, by its position. A group's members stand before it, so there is no circle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Member {
    Witness(usize),
    Group(usize),
}

/// Why a file is no policy. Lines count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PolicyFileError {
    /// Longer than [`POLICY_BYTES`].
    #[error("policy: {got} bytes, at most {POLICY_BYTES}")]
    TooLarge {
        /// Its length.
        got: usize,
    },
    /// A byte that no policy holds, or a last line without its newline.
    #[error("policy: a control character other than tab and newline, or no newline at the end")]
    Characters,
    /// Not a line of the format.
    #[error("policy: line {line} is not of the format")]
    Line {
        /// The line.
        line: usize,
    },
    /// A key that does not read.
    #[error("policy: line {line}: {source}")]
    Key {
        /// The line.
        line: usize,
        /// Why.
        source: VerifierKeyError,
    },
    /// A witness with a key that signs no cosignatures.
    #[error("policy: line {line}: the key is of a type that makes no cosignatures")]
    Kind {
        /// The line.
        line: usize,
    },
    /// A key that stands on another line of the same kind.
    #[error("policy: line {line}: the key occurs twice")]
    RepeatedKey {
        /// The line.
        line: usize,
    },
    /// A name that is defined above, or `none`.
    #[error("policy: line {line}: the name is taken")]
    RepeatedName {
        /// The line.
        line: usize,
    },
    /// A name that is not defined above.
    #[error("policy: line {line}: a name is not defined above")]
    UnknownName {
        /// The line.
        line: usize,
    },
    /// A member of two groups, or twice of one.
    #[error("policy: line {line}: a name is a member twice")]
    RepeatedMember {
        /// The line.
        line: usize,
    },
    /// A group that no number of its members can meet, or that none must.
    #[error("policy: line {line}: the threshold is not between 1 and the {members} members")]
    Threshold {
        /// The line.
        line: usize,
        /// Members of the group.
        members: usize,
    },
    /// More than [`POLICY_ITEMS`] of one kind.
    #[error("policy: line {line}: more than {POLICY_ITEMS} of one kind")]
    TooMany {
        /// The line.
        line: usize,
    },
    /// No quorum line, or two.
    #[error("policy: expected one quorum line, got {got}")]
    Quorum {
        /// Their number.
        got: usize,
    },
}

/// What reading has defined so far.
#[derive(Default)]
struct Reading {
    policy: Policy,
    line: usize,
    names: BTreeMap<Vec<u8>, Member>,
    members: BTreeSet<Member>,
    quorums: Vec<Option<Member>>,
}

/// A policy whose quorum is not known yet.
#[derive(Default)]
struct Policy {
    logs: Vec<PolicyLog>,
    witnesses: Vec<PolicyWitness>,
    groups: Vec<Group>,
}

impl WitnessPolicy {
    /// Reads a file.
    ///
    /// # Errors
    /// [`PolicyFileError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, PolicyFileError> {
        if bytes.len() > POLICY_BYTES {
            return Err(PolicyFileError::TooLarge { got: bytes.len() });
        }
        let allowed = |byte: &u8| matches!(byte, b'\t' | b'\n' | 0x20..=0x7e | 0x80..=0xff);
        if !bytes.iter().all(allowed) || bytes.last().is_some_and(|byte| *byte != b'\n') {
            return Err(PolicyFileError::Characters);
        }
        let mut reading = Reading::default();
        for (line, text) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
            reading.line = line;
            let items = text.split(|byte| matches!(byte, b' ' | b'\t'));
            let items: Vec<_> = items.filter(|item| !item.is_empty()).collect();
            reading.line(&items)?;
        }
        reading.finish()
    }

    /// The file, without comments: logs, witnesses, groups and the quorum.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut line = |items: &[&[u8]], url: Option<&Vec<u8>>| {
            out.extend(items.join(&b' '));
            if let Some(url) = url {
                out.push(b' ');
                out.extend(url);
            }
            out.push(b'\n');
        };
        for log in &self.logs {
            line(&[b"log", log.key.to_string().as_bytes()], log.url.as_ref());
        }
        for witness in &self.witnesses {
            let key = witness.key.to_string();
            let items = [b"witness", witness.name.as_slice(), key.as_bytes()];
            line(&items, witness.url.as_ref());
        }
        for group in &self.groups {
            let threshold = group.threshold.to_string();
            let mut items = vec![&b"group"[..], &group.name, threshold.as_bytes()];
            items.extend(group.members.iter().map(|member| self.name(*member)));
            line(&items, None);
        }
        let quorum = self.quorum.map_or(&b"none"[..], |member| self.name(member));
        line(&[b"quorum", quorum], None);
        out
    }

    /// The policy of one log: its keys, and a quorum of its witnesses. A witness with several keys is a group, any one of
    /// which will do. Keys that are revoked in this log are left out.
    ///
    /// # Errors
    /// [`PolicyFileError`] if there are more logs or witnesses than a policy holds, if a witness has the name of the quorum,
    /// or if too few witnesses have a key left. Its line numbers are those of the file that was made.
    pub fn of_log(roster: &Roster, origin: &Origin) -> Result<Self, PolicyFileError> {
        let counts = |key: &VerifierKey| {
            let id = key.key().key_id();
            roster.revoked_from(&id, origin).is_none()
        };
        let (mut logs, mut witnesses, mut groups) = (String::new(), String::new(), String::new());
        let centre = roster.by_origin(origin);
        let keys = centre.iter().flat_map(|centre| centre.keys_of(KeyUse::Log));
        for key in keys.map(|entry| log_key(origin, entry.key)).filter(counts) {
            logs.push_str(&format!("log {key}\n"));
        }
        let cosigners = Cosigners::witnesses(roster, origin);
        let mut members = String::new();
        for cosigner in cosigners.iter() {
            let keys: Vec<_> = cosigner.keys().filter(|key| counts(key)).collect();
            let Some(name) = keys.first().map(|key| key.name()) else {
                continue;
            };
            members.push_str(&format!(" {name}"));
            if let [key] = keys[..] {
                witnesses.push_str(&format!("witness {name} {key}\n"));
                continue;
            }
            groups.push_str(&format!("group {name} any"));
            for key in keys {
                // A name in a note holds no plus, so no witness has this one.
                let one = format!("{name}+{:08x}", u32::from_be_bytes(key.id()));
                witnesses.push_str(&format!("witness {one} {key}\n"));
                groups.push_str(&format!(" {one}"));
            }
            groups.push('\n');
        }
        let quorum = match cosigners.quorum() {
            0 => "quorum none\n".to_owned(),
            least => format!("group quorum {least}{members}\nquorum quorum\n"),
        };
        Self::parse(format!("{logs}{witnesses}{groups}{quorum}").as_bytes())
    }

    /// The logs. If there are none, the policy speaks of witnesses only.
    #[must_use]
    pub fn logs(&self) -> &[PolicyLog] {
        &self.logs
    }

    /// The witnesses.
    #[must_use]
    pub fn witnesses(&self) -> &[PolicyWitness] {
        &self.witnesses
    }

    /// Whether a note is acceptable: signed by one of the logs, if there are any, as that log's own checkpoint, and witnessed
    /// by the quorum. A policy without logs leaves it to the caller to verify the log's signature.
    ///
    /// # Errors
    /// [`NoteError::Signature`] if a line of a listed key does not verify: the specification has such a note refused whole.
    pub fn is_met(&self, note: &SignedNote) -> Result<bool, NoteError> {
        let origin = note.text().split('\n').next();
        let mut logged = self.logs.is_empty();
        for log in &self.logs {
            logged |= signed(note, &log.key)? && origin == Some(log.key.name());
        }
        let witnessed = |witness: &PolicyWitness| signed(note, &witness.key);
        let witnesses = self.witnesses.iter().map(witnessed);
        let witnesses = witnesses.collect::<Result<Vec<_>, _>>()?;
        let mut groups: Vec<bool> = Vec::with_capacity(self.groups.len());
        for group in &self.groups {
            let members = group.members.iter();
            let reached = members.filter(|member| reached(**member, &witnesses, &groups));
            groups.push(reached.count() >= group.threshold);
        }
        let quorum = |member| reached(member, &witnesses, &groups);
        Ok(logged && self.quorum.is_none_or(quorum))
    }

    fn name(&self, member: Member) -> &[u8] {
        let name = match member {
            Member::Witness(at) => self.witnesses.get(at).map(|witness| &witness.name),
            Member::Group(at) => self.groups.get(at).map(|group| &group.name),
        };
        name.map_or(&[], Vec::as_slice)
    }
}

fn signed(note: &SignedNote, key: &VerifierKey) -> Result<bool, NoteError> {
    match note.signed_by(key) {
        Ok(_) => Ok(true),
        Err(NoteError::Unsigned) => Ok(false),
        Err(error) => Err(error),
    }
}

fn reached(member: Member, witnesses: &[bool], groups: &[bool]) -> bool {
    let reached = match member {
        Member::Witness(at) => witnesses.get(at),
        Member::Group(at) => groups.get(at),
    };
    reached.is_some_and(|reached| *reached)
}

impl Reading {
    fn line(&mut self, items: &[&[u8]]) -> Result<(), PolicyFileError> {
        let line = self.line;
        match items {
            [] => Ok(()),
            [first, ..] if first.starts_with(b"#") => Ok(()),
            [b"log", key, url @ ..] if url.len() < 2 => self.log(key, url),
            [b"witness", name, key, url @ ..] if url.len() < 2 => self.witness(name, key, url),
            [b"group", name, threshold, members @ ..] => self.group(name, threshold, members),
            [b"quorum", b"none"] => {
                self.quorums.push(None);
                Ok(())
            }
            [b"quorum", name] => {
                let member = self.known(name)?;
                self.quorums.push(Some(member));
                Ok(())
            }
            _ => Err(PolicyFileError::Line { line }),
        }
    }

    fn log(&mut self, key: &[u8], url: &[&[u8]]) -> Result<(), PolicyFileError> {
        let line = self.line;
        let key = self.key(key)?;
        let url = url.first().map(|url| url.to_vec());
        if self
            .policy
            .logs
            .iter()
            .any(|log| log.key.key() == key.key())
        {
            return Err(PolicyFileError::RepeatedKey { line });
        }
        self.policy.logs.push(PolicyLog { key, url });
        self.bounded(self.policy.logs.len())
    }

    fn witness(&mut self, name: &[u8], key: &[u8], url: &[&[u8]]) -> Result<(), PolicyFileError> {
        let line = self.line;
        let key = self.key(key)?;
        if key.kind() != SignatureKind::Cosigner {
            return Err(PolicyFileError::Kind { line });
        }
        let held = &self.policy.witnesses;
        if held.iter().any(|held| held.key.key() == key.key()) {
            return Err(PolicyFileError::RepeatedKey { line });
        }
        self.define(name, Member::Witness(held.len()))?;
        self.policy.witnesses.push(PolicyWitness {
            name: name.to_vec(),
            key,
            url: url.first().map(|url| url.to_vec()),
        });
        self.bounded(self.policy.witnesses.len())
    }

    fn group(
        &mut self,
        name: &[u8],
        threshold: &[u8],
        names: &[&[u8]],
    ) -> Result<(), PolicyFileError> {
        let line = self.line;
        let threshold = match threshold {
            b"any" => Some(1),
            b"all" => Some(names.len()),
            number => decimal(number),
        };
        let threshold = threshold.ok_or(PolicyFileError::Line { line })?;
        let members = names.len();
        if threshold == 0 || threshold > members {
            return Err(PolicyFileError::Threshold { line, members });
        }
        let mut members = Vec::with_capacity(names.len());
        for name in names {
            let member = self.known(name)?;
            if !self.members.insert(member) {
                return Err(PolicyFileError::RepeatedMember { line });
            }
            members.push(member);
        }
        self.define(name, Member::Group(self.policy.groups.len()))?;
        self.policy.groups.push(Group {
            name: name.to_vec(),
            threshold,
            members,
        });
        self.bounded(self.policy.groups.len())
    }

    fn key(&self, text: &[u8]) -> Result<VerifierKey, PolicyFileError> {
        let line = self.line;
        let error = |source| PolicyFileError::Key { line, source };
        let text = std::str::from_utf8(text).map_err(|_| error(VerifierKeyError::Shape))?;
        text.parse().map_err(error)
    }

    fn define(&mut self, name: &[u8], member: Member) -> Result<(), PolicyFileError> {
        let line = self.line;
        if name == b"none" || self.names.contains_key(name) {
            return Err(PolicyFileError::RepeatedName { line });
        }
        self.names.insert(name.to_vec(), member);
        Ok(())
    }

    fn known(&self, name: &[u8]) -> Result<Member, PolicyFileError> {
        let line = self.line;
        let member = self.names.get(name).copied();
        member.ok_or(PolicyFileError::UnknownName { line })
    }

    fn bounded(&self, items: usize) -> Result<(), PolicyFileError> {
        let line = self.line;
        if items > POLICY_ITEMS {
            return Err(PolicyFileError::TooMany { line });
        }
        Ok(())
    }

    fn finish(self) -> Result<WitnessPolicy, PolicyFileError> {
        let [quorum] = self.quorums[..] else {
            let got = self.quorums.len();
            return Err(PolicyFileError::Quorum { got });
        };
        Ok(WitnessPolicy {
            logs: self.policy.logs,
            witnesses: self.policy.witnesses,
            groups: self.policy.groups,
            quorum,
        })
    }
}

/// A number in its one spelling.
fn decimal(text: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(text).ok()?;
    let number = text.parse::<usize>().ok()?;
    (number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests;
