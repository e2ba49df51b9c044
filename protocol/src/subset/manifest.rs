//! What a centre says that a member has: how many entries of which class, under which policy, out of which logs.
//!
//! Why: a member that holds packs knows that each record is its origin's; only its centre can say that there are no more for
//! it. The manifest is signed, so that a centre which tells two members of one kind different things leaves the proof in
//! their hands. What it withholds it tells by count. Spec: `docs/protocol.md`, "Subsets".

use hashpact_keys::canonical::encode;
use hashpact_keys::cose::{self, CoseError, Sign1};
use hashpact_keys::reader::{ReadError, Reader, ShapeError};
use hashpact_keys::roster::{CentreEntry, KeyLookupError};
use hashpact_keys::{Context, KeyUse, NetworkId, Origin, Roster, Signer, Timestamp};

use crate::b3::Hash;
use crate::labels::{ClassId, is_token};
use crate::limits;

/// What tells it from other manifests under the same context.
const WHAT: &str = "subset";
/// Logs in one manifest: those of the roster, and some that came before.
const LOGS: usize = 256;
/// Class rows in one manifest; fewer fit its bytes.
const CLASSES: usize = 4096;

/// What a member has at one position of its centre's ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The network.
    pub network: NetworkId,
    /// The log of the centre that serves.
    pub serving: Origin,
    /// The member.
    pub member: String,
    /// The ledger that the positions are of.
    pub ledger: [u8; 8],
    /// The position: changes with lower numbers are in it.
    pub n: u64,
    /// When it was made.
    pub issued_at: Timestamp,
    /// Log index, in the serving centre's log, of the newest policy that decided; none before the first.
    pub policy: Option<u64>,
    /// The classes with entries that the member has, by log and number.
    pub classes: Vec<ManifestClass>,
    /// The logs as they stand, witnessed, by origin line.
    pub logs: Vec<ManifestLog>,
    /// Entries that are published here and not to this member, by origin line.
    pub withheld: Vec<ManifestWithheld>,
}

/// Entries of one class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestClass {
    /// The log.
    pub origin: Origin,
    /// The class.
    pub class: ClassId,
    /// How many of its entries the member has.
    pub entries: u64,
}

/// A log that entries are of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestLog {
    /// The log.
    pub origin: Origin,
    /// Leaves of its newest witnessed checkpoint.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
}

/// What of a log others have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestWithheld {
    /// The log.
    pub origin: Origin,
    /// How many entries.
    pub entries: u64,
}

/// Why a subset manifest is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// More bytes than a signed object may have.
    #[error("subset manifest: {got} bytes, at most {}", cose::MAX_SIGNED)]
    TooLarge {
        /// Their number.
        got: usize,
    },
    /// The envelope, or the signature.
    #[error("subset manifest: {0}")]
    Cose(#[from] CoseError),
    /// The payload is not canonical or not of this format.
    #[error("subset manifest: {0}")]
    Read(#[from] ReadError),
    /// A value that the format does not allow.
    #[error("subset manifest: expected {expected}")]
    Value {
        /// What is allowed.
        expected: &'static str,
    },
    /// It is for another network.
    #[error("subset manifest: for another network")]
    Network,
    /// It is for another member.
    #[error("subset manifest: for {got}, expected {expected}")]
    Member {
        /// Who opens it.
        expected: String,
        /// Whom it names.
        got: String,
    },
    /// No centre of the roster writes the log that it names.
    #[error("subset manifest: no centre of the roster writes the log {origin}")]
    Origin {
        /// The log.
        origin: Origin,
    },
    /// A signature by a key that may not sign it.
    #[error("subset manifest: {0}")]
    Key(#[from] KeyLookupError),
}

impl Manifest {
    /// Signs it with the serving centre's `manifest` key.
    ///
    /// # Errors
    /// [`ManifestError`] where members would refuse it.
    pub fn sign(&self, signer: &Signer) -> Result<Vec<u8>, ManifestError> {
        self.check()?;
        let signed = cose::sign1(signer, Context::Manifest, &self.payload());
        match signed.len() <= cose::MAX_SIGNED {
            true => Ok(signed),
            false => Err(ManifestError::TooLarge { got: signed.len() }),
        }
    }

    /// Opens what a member got: signed by a `manifest` key of the centre that serves it, valid when it was issued.
    ///
    /// # Errors
    /// [`ManifestError`].
    pub fn open(signed: &[u8], roster: &Roster, member: &str) -> Result<Self, ManifestError> {
        let envelope = Sign1::parse(signed, Context::Manifest)?;
        let mut reader = Reader::new(envelope.peek()).map_err(ReadError::from)?;
        let manifest = read(&mut reader)?;
        let centre = roster.centre(manifest.serving.centre());
        let is_its = |centre: &&CentreEntry| centre.origin == manifest.serving;
        let centre = centre.filter(is_its).ok_or_else(|| ManifestError::Origin {
            origin: manifest.serving.clone(),
        })?;
        let key = centre.key(KeyUse::Manifest, envelope.kid(), manifest.issued_at)?;
        envelope.verify(key)?;
        manifest.check()?;
        if manifest.network != roster.network {
            return Err(ManifestError::Network);
        }
        if manifest.member != member {
            let (expected, got) = (member.to_owned(), manifest.member);
            return Err(ManifestError::Member { expected, got });
        }
        Ok(manifest)
    }

    /// Entries that the member has, over all classes.
    #[must_use]
    pub fn entries(&self) -> u64 {
        let entries = self.classes.iter().map(|row| row.entries);
        entries.fold(0, u64::saturating_add)
    }

    fn payload(&self) -> Vec<u8> {
        encode(|e| {
            e.array(12)?
                .u8(1)?
                .str(WHAT)?
                .bytes(self.network.as_bytes())?
                .str(self.serving.as_str())?
                .str(&self.member)?
                .bytes(&self.ledger)?
                .u64(self.n)?
                .u64(self.issued_at.get())?;
            match self.policy {
                Some(index) => e.u64(index)?,
                None => e.null()?,
            };
            e.array(self.classes.len() as u64)?;
            for row in &self.classes {
                e.array(3)?.str(row.origin.as_str())?;
                e.u16(row.class.0)?.u64(row.entries)?;
            }
            e.array(self.logs.len() as u64)?;
            for row in &self.logs {
                e.array(3)?.str(row.origin.as_str())?;
                e.u64(row.size)?.bytes(&row.root)?;
            }
            e.array(self.withheld.len() as u64)?;
            for row in &self.withheld {
                e.array(2)?.str(row.origin.as_str())?.u64(row.entries)?;
            }
            Ok(())
        })
    }

    /// What canonical form alone cannot say.
    fn check(&self) -> Result<(), ManifestError> {
        let value = |expected| Err(ManifestError::Value { expected });
        if !is_token(&self.member, limits::MEMBER_BYTES) {
            return value("the name of a member");
        }
        let classes = self.classes.iter().map(|row| (&row.origin, row.class));
        if !ascends(classes) || self.classes.iter().any(|row| row.entries == 0) {
            return value("classes in order, each with entries");
        }
        if !ascends(self.logs.iter().map(|row| &row.origin)) {
            return value("logs in order");
        }
        if !ascends(self.withheld.iter().map(|row| &row.origin)) {
            return value("what is withheld in order of logs");
        }
        Ok(())
    }
}

fn ascends<T: Ord>(mut items: impl Iterator<Item = T>) -> bool {
    let Some(mut last) = items.next() else {
        return true;
    };
    items.all(|item| {
        let is_above = last < item;
        last = item;
        is_above
    })
}

fn read(r: &mut Reader<'_>) -> Result<Manifest, ManifestError> {
    let raw = read_parts(r).map_err(ReadError::from)?;
    raw.ok_or(ManifestError::Value {
        expected: "version 1 of a subset manifest, with origin lines",
    })
}

fn read_parts(r: &mut Reader<'_>) -> Result<Option<Manifest>, ShapeError> {
    r.array(12)?;
    let (format, what) = (r.u8()?, r.text()?);
    let network = NetworkId::new(*r.fixed()?);
    let serving: Option<Origin> = r.text()?.parse().ok();
    let (member, ledger) = (r.text()?.to_owned(), *r.fixed()?);
    let (n, issued_at) = (r.u64()?, Timestamp::new(r.u64()?));
    let policy = r.optional(Reader::u64)?;
    let mut lines = Vec::new();
    for _ in 0..r.list(CLASSES)? {
        r.array(3)?;
        lines.push((r.text()?, ClassId(r.u16()?), r.u64()?));
    }
    let classes = lines.into_iter().map(|(origin, class, entries)| {
        let origin = origin.parse().ok()?;
        Some(ManifestClass {
            origin,
            class,
            entries,
        })
    });
    let classes: Option<Vec<_>> = classes.collect();
    let mut logs = Vec::new();
    for _ in 0..r.list(LOGS)? {
        r.array(3)?;
        let (origin, size, root) = (r.text()?.parse().ok(), r.u64()?, *r.fixed()?);
        logs.push(origin.map(|origin| ManifestLog { origin, size, root }));
    }
    let mut withheld = Vec::new();
    for _ in 0..r.list(LOGS)? {
        r.array(2)?;
        let (origin, entries) = (r.text()?.parse().ok(), r.u64()?);
        withheld.push(origin.map(|origin| ManifestWithheld { origin, entries }));
    }
    let logs: Option<Vec<_>> = logs.into_iter().collect();
    let withheld: Option<Vec<_>> = withheld.into_iter().collect();
    let parts = (serving, classes, logs, withheld);
    let (Some(serving), Some(classes), Some(logs), Some(withheld)) = parts else {
        return Ok(None);
    };
    Ok((format == 1 && what == WHAT).then_some(Manifest {
        network,
        serving,
        member,
        ledger,
        n,
        issued_at,
        policy,
        classes,
        logs,
        withheld,
    }))
}
