//! `hashpact audit check`: what a proof shows, offline.
//!
//! Why: whoever is given a proof needs the pin of the network and its rosters, and nothing else of ours. Every proof is
//! judged under the newest roster given, and fails closed: by an unknown or revoked key, or with too few witnesses, it shows
//! nothing. Proofs that are checked together are read together: a record proof shows what its origin signed, and the log
//! proof of the same delta that it was logged. In scope: single proofs. Out of scope: whole logs (`audit verify`).

use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use hashpact_keys::chain::{RosterError, SignedRoster};
use hashpact_keys::roster::CentreEntry;
use hashpact_keys::{KeyId, KeyUse, NetworkId, Origin, Roster, Timestamp};
use hashpact_protocol::delta::{Header, HeaderError, RecordProof, RecordProofError};
use hashpact_protocol::log::{
    Checkpoint, CheckpointError, Cosigners, Leaf, LeafError, LogProof, LogProofError, Receipt,
    ReceiptError, SignedCheckpoint, log_key,
};
use hashpact_protocol::psi::Manifest;
use serde_json::json;

use super::super::{Answer, Failure};
use super::{LEAVES, LOG_FILE_MAX, read_bounded};
use crate::armor::Kind;
use crate::clock;
use crate::control::chain;
use crate::page::text::counted;
use crate::store::LoggedLeaf;

const RECORDS: &str = "record|records";

/// Versions of a roster that are read: a century of monthly ones.
const ROSTERS_MAX: u64 = 1_200;

#[derive(Args)]
#[command(
    after_help = "Exit code 1: something is not proven.\n\nExample:\n  hashpact audit check proofs/* --pin HASH --roster roster-1.txt --roster roster-2.txt"
)]
pub(crate) struct CheckArgs {
    /// Proofs; the .leaf of a .tlog-proof or .receipt lies beside it.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The network: the hash of its first roster, compared out of band.
    #[arg(long, value_name = "HASH")]
    pin: NetworkId,
    /// The rosters of the network from the first on; the proofs are judged under the last.
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "mirror",
        conflicts_with = "mirror"
    )]
    roster: Vec<PathBuf>,
    /// A folder of mirrored logs, for its rosters.
    #[arg(long, value_name = "DIR")]
    mirror: Option<PathBuf>,
}

/// Why something is not proven.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error(transparent)]
    LogProof(#[from] LogProofError),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error(transparent)]
    Leaf(#[from] LeafError),
    #[error(transparent)]
    Header(#[from] HeaderError),
    #[error(transparent)]
    Record(#[from] RecordProofError),
    #[error(transparent)]
    Receipt(#[from] ReceiptError),
    #[error("no centre on the roster writes {origin}")]
    NoCentre { origin: Origin },
    #[error("no centre on the roster has the delta key {key}")]
    NoHolder { key: KeyId },
    #[error("no log key on the roster signed it")]
    NoLogKey,
    #[error("of network {got}, expected {expected}")]
    Network { expected: NetworkId, got: NetworkId },
    #[error("the leaf's header is for {got}")]
    HeaderOrigin { got: Origin },
    #[error("the leaf's table is not the one that its header signs")]
    Table,
    #[error("{got} of the {quorum} witnesses that must cosign did")]
    NotWitnessed { got: usize, quorum: usize },
    #[error(
        "key {key} was revoked in this log from leaf {from} on, and this is not shown to be before"
    )]
    Revoked { key: KeyId, from: u64 },
}

/// A leaf that a log proof has shown.
struct Logged {
    origin: Origin,
    index: u64,
    leaf: Vec<u8>,
    checkpoint: Checkpoint,
}

/// What a kind of file proves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Proof {
    Log,
    Record,
    Receipt,
}

impl Proof {
    fn name(self) -> &'static str {
        match self {
            Self::Log => "tlog-proof",
            Self::Record => "record-proof",
            Self::Receipt => "receipt",
        }
    }
}

/// A file, read.
struct Given {
    file: PathBuf,
    kind: Proof,
    bytes: Vec<u8>,
    /// What lies beside it, where its kind asks for that.
    leaf: Vec<u8>,
}

pub(crate) fn check(args: &CheckArgs) -> Result<Answer, Failure> {
    let source = RosterSource {
        pin: &args.pin,
        files: &args.roster,
        mirror: args.mirror.as_deref(),
    };
    let roster = source.load()?;
    let given: Vec<Given> = args
        .files
        .iter()
        .filter_map(|file| read(file).transpose())
        .collect::<Result<_, _>>()?;
    if given.is_empty() {
        return Err(Failure::input(
            "a leaf proves nothing by itself: give its .tlog-proof or .receipt",
        ));
    }
    let mut checker = Checker {
        roster: roster.roster(),
        now: clock::now(),
        logged: Vec::new(),
    };
    // Log proofs first: the others refer to what they have shown.
    let mut shown: Vec<Option<Result<String, Refusal>>> = given
        .iter()
        .map(|given| (given.kind == Proof::Log).then(|| checker.log_proof(given)))
        .collect();
    for (given, shown) in given.iter().zip(&mut shown) {
        match given.kind {
            Proof::Log => {}
            Proof::Record => *shown = Some(checker.record_proof(given)),
            Proof::Receipt => *shown = Some(checker.receipt(given)),
        }
    }
    Ok(answer(&roster, &given, shown.into_iter().flatten()))
}

fn answer(
    roster: &SignedRoster,
    given: &[Given],
    shown: impl Iterator<Item = Result<String, Refusal>>,
) -> Answer {
    let (mut lines, mut files, mut holds) = (Vec::new(), Vec::new(), true);
    for (given, shown) in given.iter().zip(shown) {
        let (proven, text) = match shown {
            Ok(text) => (true, text),
            Err(refusal) => (false, chain(&refusal)),
        };
        holds &= proven;
        let (file, verdict) = (
            given.file.display(),
            if proven { "" } else { "NOT PROVEN: " },
        );
        lines.push(format!("{file}: {verdict}{text}"));
        let kind = given.kind.name();
        files.push(json!({ "file": given.file, "kind": kind, "proven": proven, "text": text }));
    }
    let roster = roster.roster();
    let json = json!({
        "proven": holds,
        "network": roster.network.to_string(),
        "roster_version": roster.version.get(),
        "files": files,
    });
    Answer {
        json,
        text: lines.join("\n"),
        code: u8::from(!holds),
    }
}

/// A proof with its leaf; nothing for a leaf, which is read with its proof.
fn read(file: &Path) -> Result<Option<Given>, Failure> {
    let kind = match file.extension().and_then(|name| name.to_str()) {
        Some("tlog-proof") => Proof::Log,
        Some("record-proof") => Proof::Record,
        Some("receipt") => Proof::Receipt,
        Some("leaf") => return Ok(None),
        Some(_) | None => {
            return Err(Failure::input(format!(
                "{}: neither .tlog-proof nor .record-proof nor .receipt",
                file.display()
            )));
        }
    };
    let bytes = read_file(file)?;
    let leaf = match kind {
        Proof::Record => Vec::new(),
        Proof::Log | Proof::Receipt => read_file(&file.with_extension("leaf"))?,
    };
    Ok(Some(Given {
        file: file.to_owned(),
        kind,
        bytes,
        leaf,
    }))
}

fn read_file(file: &Path) -> Result<Vec<u8>, Failure> {
    let named = |error: io::Error| Failure::input(format!("{}: {error}", file.display()));
    read_bounded(file, LOG_FILE_MAX).map_err(named)
}

/// Where rosters come from.
pub(crate) struct RosterSource<'a> {
    /// The hash of the first.
    pub(crate) pin: &'a NetworkId,
    /// From the first on.
    pub(crate) files: &'a [PathBuf],
    /// A folder of mirrored logs, where no files are given.
    pub(crate) mirror: Option<&'a Path>,
}

impl RosterSource<'_> {
    /// The newest roster given, by way of every version before it.
    pub(crate) fn load(&self) -> Result<SignedRoster, Failure> {
        let files = match self.mirror {
            Some(mirror) if self.files.is_empty() => mirrored_rosters(&mirror.join("rosters")),
            Some(_) | None => self.files.to_vec(),
        };
        let mut newest: Option<SignedRoster> = None;
        for file in &files {
            let bytes = read_file(file)?;
            let bytes = match std::str::from_utf8(&bytes) {
                Ok(text) => Kind::Roster.unwrap(text).map_err(Failure::input)?,
                // As it is published: a COSE_Sign holds signatures, which are no text.
                Err(_) => bytes,
            };
            let opened: Result<_, RosterError> = match &newest {
                None => SignedRoster::open_first(&bytes, self.pin),
                Some(before) => before.succeed(&bytes),
            };
            let named = |error| Failure::no(format!("{}: {}", file.display(), chain(&error)));
            newest = Some(opened.map_err(named)?);
        }
        newest.ok_or_else(|| Failure::input("the mirror has no rosters/1: give --roster FILE"))
    }
}

/// Checks that a leaf stands in its log under a quorum, as `check` does with a log proof; by a revoked key no manifest and no
/// delta does.
pub(crate) fn check_leaf(roster: &Roster, logged: &LoggedLeaf) -> Result<(), Failure> {
    let mut checker = Checker {
        roster,
        now: clock::now(),
        logged: Vec::new(),
    };
    let given = Given {
        file: PathBuf::new(),
        kind: Proof::Log,
        bytes: logged.proof.to_text().into_bytes(),
        leaf: logged.leaf.clone(),
    };
    let index = logged.proof.index();
    let named = |refusal: Refusal| Failure::no(format!("leaf {index}: {}", chain(&refusal)));
    checker.log_proof(&given).map_err(named)?;
    if let Ok(Leaf::MatchEpoch { manifest }) = Leaf::from_bytes(&logged.leaf) {
        let key = Manifest::signer(&manifest).map_err(Failure::no)?;
        let origin = &logged.checkpoint.origin;
        let standing = checker.not_revoked(key, origin, Some(index));
        standing.map_err(named)?;
    }
    Ok(())
}

/// Versions from 1 on, as far as there are files.
fn mirrored_rosters(folder: &Path) -> Vec<PathBuf> {
    (1..=ROSTERS_MAX)
        .map(|version| folder.join(version.to_string()))
        .take_while(|file| file.is_file())
        .collect()
}

/// What proofs are checked against.
struct Checker<'a> {
    roster: &'a Roster,
    now: Timestamp,
    /// Leaves that are shown to be logged.
    logged: Vec<Logged>,
}

impl Checker<'_> {
    fn log_proof(&mut self, given: &Given) -> Result<String, Refusal> {
        let proof = LogProof::from_text(&given.bytes)?;
        let origin = SignedCheckpoint::claimed_origin(proof.checkpoint())?;
        let centre = self.roster.by_origin(&origin);
        let no_centre = || Refusal::NoCentre {
            origin: origin.clone(),
        };
        let centre = centre.ok_or_else(no_centre)?;
        let (_, kid) = SignedCheckpoint::open(proof.checkpoint(), centre, self.now)?;
        let mut keys = centre.keys_of(KeyUse::Log);
        let entry = keys.find(|entry| entry.key.key_id() == kid);
        let key = log_key(&origin, entry.ok_or(Refusal::NoLogKey)?.key);
        let checkpoint = proof.verify(&given.leaf, &key)?;
        let (index, size) = (proof.index(), checkpoint.size);
        // A checkpoint of n leaves speaks of those below n.
        self.not_revoked(kid, &origin, size.checked_sub(1))?;
        let standing = Cosigners::witnesses(self.roster, &origin).standing(proof.note(), size);
        if !standing.is_witnessed() {
            let (got, quorum) = (standing.cosigned.len(), standing.quorum);
            return Err(Refusal::NotWitnessed { got, quorum });
        }
        let delta = self.delta(&given.leaf, centre, index)?;
        let delta = delta.map_or_else(String::new, |header| {
            let records = counted(header.total, RECORDS);
            format!(" (delta {} of {records})", header.seq)
        });
        let witnesses = counted(standing.cosigned.len() as u64, "witness|witnesses");
        let text = format!(
            "leaf {index}{delta} of {origin} stands in its log of {}, cosigned by {witnesses} where {} must",
            counted(size, LEAVES),
            standing.quorum
        );
        self.logged.push(Logged {
            origin,
            index,
            leaf: given.leaf.clone(),
            checkpoint,
        });
        Ok(text)
    }

    /// The header of a leaf that is a delta, verified; `None` for another leaf.
    fn delta(
        &self,
        leaf: &[u8],
        centre: &CentreEntry,
        index: u64,
    ) -> Result<Option<Header>, Refusal> {
        let leaf = Leaf::from_bytes(leaf)?;
        let Leaf::Delta {
            header: signed,
            table,
        } = leaf
        else {
            return Ok(None);
        };
        let header = Header::open(&signed, centre)?;
        self.network(header.network)?;
        if header.origin != centre.origin {
            return Err(Refusal::HeaderOrigin { got: header.origin });
        }
        if header.table != table.root() {
            return Err(Refusal::Table);
        }
        self.not_revoked(Header::signer(&signed)?, &centre.origin, Some(index))?;
        Ok(Some(header))
    }

    fn record_proof(&self, given: &Given) -> Result<String, Refusal> {
        let proof = RecordProof::from_bytes(&given.bytes)?;
        let key = proof.signer()?;
        let holds = |centre: &&CentreEntry| {
            let mut keys = centre.keys_of(KeyUse::Delta);
            keys.any(|entry| entry.key.key_id() == key)
        };
        let centre = self.roster.centres.iter().find(holds);
        let proven = proof.verify(centre.ok_or(Refusal::NoHolder { key })?)?;
        self.network(proven.network)?;
        let logged = self.logged.iter().find(|logged| {
            logged.origin == proven.origin
                && header_of(&logged.leaf).as_deref() == Some(proof.header())
        });
        self.not_revoked(key, &proven.origin, logged.map(|logged| logged.index))?;
        let place = logged.map_or_else(
            || "that it was logged is what the .tlog-proof of the delta shows".to_owned(),
            |logged| format!("which is leaf {} of its log", logged.index),
        );
        Ok(format!(
            "{} signed for revision {} of {}, one of {} of class {} in delta {}, {place}",
            proven.origin,
            proven.revision.0,
            proven.entry,
            counted(proven.count, RECORDS),
            proven.class,
            proven.seq,
        ))
    }

    fn receipt(&self, given: &Given) -> Result<String, Refusal> {
        let (centre, key, shown) = self.signer_of(given)?;
        let origin = &centre.origin;
        // A receipt signs its root only; size and place are shown by a checkpoint with that root.
        let logged = self.logged.iter().find(|logged| {
            logged.origin == *origin
                && logged.leaf == given.leaf
                && logged.index == shown.index
                && (logged.checkpoint.root, logged.checkpoint.size) == (shown.root, shown.size)
        });
        let last = logged.and_then(|logged| logged.checkpoint.size.checked_sub(1));
        self.not_revoked(key, origin, last)?;
        let place = logged.map_or_else(
            || "where is what a .tlog-proof to the same root shows".to_owned(),
            |logged| {
                let (index, size) = (logged.index, logged.checkpoint.size);
                let size = counted(size, LEAVES);
                format!("as leaf {index}: its root is that of the checkpoint of {size}")
            },
        );
        Ok(format!(
            "{origin} signed that its log holds the leaf, {place}"
        ))
    }

    /// The centre whose log key signed a receipt.
    fn signer_of(&self, given: &Given) -> Result<(&CentreEntry, KeyId, Receipt), Refusal> {
        for centre in &self.roster.centres {
            let keys = centre.keys_of(KeyUse::Log);
            for entry in keys.filter(|entry| entry.from <= self.now) {
                match Receipt::verify(&given.bytes, &given.leaf, &entry.key) {
                    Ok(shown) => return Ok((centre, entry.key.key_id(), shown)),
                    Err(ReceiptError::KeyId { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Err(Refusal::NoLogKey)
    }

    fn network(&self, got: NetworkId) -> Result<(), Refusal> {
        let expected = self.roster.network;
        if got == expected {
            Ok(())
        } else {
            Err(Refusal::Network { expected, got })
        }
    }

    /// That a key was not revoked at a leaf of a log; one that was revoked at all counts only where the leaf is known.
    fn not_revoked(&self, key: KeyId, origin: &Origin, leaf: Option<u64>) -> Result<(), Refusal> {
        match (self.roster.revoked_from(&key, origin), leaf) {
            (None, _) => Ok(()),
            (Some(from), Some(leaf)) if leaf < from => Ok(()),
            (Some(from), _) => Err(Refusal::Revoked { key, from }),
        }
    }
}

/// The header of a leaf that is a delta.
fn header_of(leaf: &[u8]) -> Option<Vec<u8>> {
    if let Ok(Leaf::Delta { header, .. }) = Leaf::from_bytes(leaf) {
        Some(header)
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
