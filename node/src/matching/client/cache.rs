//! What a client keeps of one centre between two checks: so that a segment is downloaded once, an item is evaluated once an
//! epoch, and a check that was cut goes on without being charged again.
//!
//! ```text
//! <cache>/<centre>/
//!   seen                              sealed: the newest manifest that was taken
//!   segments/<root>                   the chunks of a segment, each after its length; checked against the root when read
//!   <epoch>/<group>-<kind>-<mode>     sealed blocks: evaluated items of ours
//!   <epoch>/<kind>-<mode>.groups      sealed: which groups the last session was granted
//!   records/<session>                 sealed: the seed and the record of a session that ended
//!   sessions/<kind>-<mode>-<purpose>  sealed: a session under way
//! ```
//!
//! An evaluated item opens the artifact like the fingerprint itself, so all that depends on our list is sealed; a segment is
//! what everybody who may match is shown. In scope: files. Out of scope: segments' contents (`download`), sessions.

mod pending;
mod vault;

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use hashpact_protocol::Hash;
use hashpact_protocol::limits;
use hashpact_protocol::lists::ClosedList as _;
use hashpact_protocol::psi::{Manifest, SessionId, Space};
use zeroize::Zeroizing;

use super::download::PARTIAL;
use super::manifest::{Logged, ManifestFault};
use super::order::SessionDone;
pub(super) use pending::{About, Granted, Pending};
pub use vault::CacheKey;
use vault::Vault;

/// Bytes of an item's name in the cache.
const NAME: usize = 16;
/// An item in a block: its name, and the encoding of `2U`.
const ROW: usize = NAME + 32;
/// Bytes of the largest block: a session's name and one batch.
const BLOCK_BYTES: usize = 16 + limits::MATCH_BATCH * ROW;
/// Bytes of evaluated items of one space at most: some four million. Beyond, the file is begun again.
const ITEMS_BYTES: u64 = 200 << 20;

/// The name of an item in the cache: tells nothing without the key.
pub(super) type Name = [u8; NAME];

/// The seed of a session's blinds, and the session's record.
pub type KeptRecord = (Zeroizing<[u8; 32]>, Vec<u8>);

/// The cache of one centre.
pub struct Cache {
    folder: PathBuf,
    vault: Vault,
}

/// Evaluated items of one space, open for more.
pub(super) struct Kept {
    file: File,
    space: Hash,
    /// Where the next block goes: behind the last one that opens.
    end: u64,
}

/// The cache's disk.
#[derive(Debug, thiserror::Error)]
#[error("the match cache {}: {source}", path.display())]
pub struct CacheError {
    /// Which file or folder.
    pub path: PathBuf,
    /// The fault.
    #[source]
    pub source: io::Error,
}

/// Why a manifest was not remembered.
#[derive(Debug, thiserror::Error)]
pub(super) enum RememberError {
    /// It goes back behind what was seen.
    #[error(transparent)]
    Manifest(#[from] ManifestFault),
    /// The disk.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

impl Cache {
    /// Opens the cache of one centre, or makes it; only its owner may read it.
    ///
    /// # Errors
    /// [`CacheError`].
    pub fn open(folder: &Path, key: &CacheKey) -> Result<Self, CacheError> {
        let cache = Self {
            folder: folder.to_owned(),
            vault: Vault::new(key),
        };
        for name in ["records", "segments", "sessions"] {
            cache.make(&folder.join(name))?;
        }
        Ok(cache)
    }

    /// Takes note of a manifest, and forgets what it leaves behind: other epochs, and segments that it does not list.
    ///
    /// # Errors
    /// [`ManifestFault::Rollback`] or [`ManifestFault::Forked`] if a newer one, or another of its number, was seen before.
    pub(super) fn remember(&self, logged: &Logged) -> Result<(), RememberError> {
        let path = self.folder.join("seen");
        let number = logged.manifest.number;
        let seen = self.seen(&path)?;
        if let Some((origin, seen, seen_size, hash)) = seen
            && origin == logged.manifest.origin.as_str()
        {
            // A smaller checkpoint that still holds the newest manifest is only a slower proof of the same.
            if number < seen {
                let (got, got_size) = (number, logged.size);
                return Err(ManifestFault::Rollback {
                    got,
                    got_size,
                    seen,
                    seen_size,
                }
                .into());
            }
            if number == seen && hash != logged.hash {
                return Err(ManifestFault::Forked { number }.into());
            }
        }
        self.write_sealed(&path, b"seen", &pending::write_seen(logged))?;
        self.sweep(&logged.manifest)?;
        Ok(())
    }

    /// What was seen last. A file that does not open is a fault, and not none: whoever spoils it could show an older manifest.
    fn seen(&self, path: &Path) -> Result<Option<(String, u64, u64, Hash)>, CacheError> {
        let Some(sealed) = read_file(path)? else {
            return Ok(None);
        };
        let plain = self.vault.open(&self.bound(path, b"seen"), &sealed);
        let seen = plain.and_then(|plain| pending::read_seen(&plain));
        let fault = "was changed, or sealed in another place, so an older manifest cannot be told from the newest: see who \
                     did that before you remove it";
        let spoiled = || CacheError {
            path: path.to_owned(),
            source: io::Error::new(io::ErrorKind::InvalidData, fault),
        };
        seen.map(Some).ok_or_else(spoiled)
    }

    /// Keeps the record of a session that ended, sealed, with the seed that opens its query.
    ///
    /// # Errors
    /// [`CacheError`].
    pub fn keep_record(&self, session: &SessionDone) -> Result<(), CacheError> {
        let path = self.folder.join("records").join(session.id.to_string());
        let plain = Zeroizing::new([&session.seed[..], &session.record].concat());
        self.write_sealed(&path, b"record", &plain)
    }

    /// The seed and the record of a session, if they are here.
    ///
    /// # Errors
    /// [`CacheError`].
    pub fn record(&self, session: &SessionId) -> Result<Option<KeptRecord>, CacheError> {
        let path = self.folder.join("records").join(session.to_string());
        let plain = self.read_sealed(&path, b"record")?;
        Ok(plain.and_then(|plain| {
            let (seed, record) = plain.split_first_chunk::<32>()?;
            Some((Zeroizing::new(*seed), record.to_vec()))
        }))
    }

    /// The name of an item.
    pub(super) fn name(&self, input: &[u8]) -> Name {
        self.vault.name(input)
    }

    /// Where the chunks of a segment are, or will be.
    pub(super) fn segment(&self, root: &Hash) -> PathBuf {
        self.folder.join("segments").join(hex::encode(root))
    }

    /// Reads the evaluated items of a space that have a number in `wanted`: each with its number, the session that it was
    /// evaluated in, and `2U`. What does not open any more is cut off.
    pub(super) fn items(
        &self,
        space: &Space,
        wanted: &HashMap<Name, u32>,
        each: &mut dyn FnMut(u32, &SessionId, &[u8; 32]),
    ) -> Result<Kept, CacheError> {
        let folder = self.epoch(space.epoch.0);
        self.make(&folder)?;
        let name = format!("{}-{}-{}", space.group, space.kind, space.mode.name());
        let path = folder.join(name);
        self.read_items(&path, space.hash(None), wanted, each)
            .map_err(|source| CacheError { path, source })
    }

    fn read_items(
        &self,
        path: &Path,
        space: Hash,
        wanted: &HashMap<Name, u32>,
        each: &mut dyn FnMut(u32, &SessionId, &[u8; 32]),
    ) -> io::Result<Kept> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).mode(0o600);
        let file = options.truncate(false).open(path)?;
        let mut kept = Kept {
            file,
            space,
            end: 0,
        };
        if kept.file.metadata()?.len() > ITEMS_BYTES {
            kept.file.set_len(0)?;
        }
        let mut read = io::BufReader::with_capacity(1 << 18, &kept.file);
        while let Some((plain, bytes)) = self.block(&mut read, &kept.associated())? {
            kept.end += bytes;
            let Some((session, rows)) = plain.split_first_chunk::<16>() else {
                break;
            };
            for row in rows.chunks_exact(ROW) {
                let (name, doubled) = row.split_at(NAME);
                let name: Option<&Name> = name.first_chunk();
                let number = name.and_then(|name| wanted.get(name));
                if let (Some(number), Some(doubled)) = (number, doubled.first_chunk()) {
                    each(*number, &SessionId(*session), doubled);
                }
            }
        }
        Ok(kept)
    }

    /// The next block that opens, and its bytes on the disk.
    fn block(
        &self,
        read: &mut impl io::Read,
        associated: &[u8],
    ) -> io::Result<Option<(Zeroizing<Vec<u8>>, u64)>> {
        let mut length = [0; 4];
        if !filled(read, &mut length)? {
            return Ok(None);
        }
        let length = u32::from_be_bytes(length) as usize;
        if length > BLOCK_BYTES + vault::OVERHEAD {
            return Ok(None);
        }
        let mut sealed = vec![0; length];
        if !filled(read, &mut sealed)? {
            return Ok(None);
        }
        let plain = self.vault.open(associated, &sealed);
        Ok(plain.map(|plain| (plain, 4 + length as u64)))
    }

    /// Adds evaluated items of one session.
    pub(super) fn keep<'a>(
        &self,
        kept: &mut Kept,
        session: &SessionId,
        rows: impl Iterator<Item = (&'a Name, &'a [u8; 32])>,
    ) -> Result<(), CacheError> {
        let mut plain = Zeroizing::new(Vec::with_capacity(BLOCK_BYTES));
        plain.extend_from_slice(&session.0);
        for (name, doubled) in rows {
            plain.extend_from_slice(name);
            plain.extend_from_slice(doubled);
        }
        let written = (|| {
            let sealed = self.vault.seal(&kept.associated(), &plain)?;
            let length = u32::try_from(sealed.len()).map_err(io::Error::other)?;
            kept.file.seek(SeekFrom::Start(kept.end))?;
            // What is behind did not open: whatever it is, it must not follow this block.
            kept.file.set_len(kept.end)?;
            kept.file
                .write_all(&[&length.to_be_bytes()[..], &sealed].concat())?;
            kept.end += 4 + u64::from(length);
            Ok(())
        })();
        let path = self.folder.clone();
        written.map_err(|source| CacheError { path, source })
    }

    fn epoch(&self, epoch: u64) -> PathBuf {
        self.folder.join(epoch.to_string())
    }

    /// Removes what a manifest leaves behind. The epoch before is not kept: its segments are not listed any more.
    fn sweep(&self, manifest: &Manifest) -> Result<(), CacheError> {
        let listed = manifest.groups.iter().flat_map(|group| &group.artifacts);
        let rows = listed.flat_map(|artifact| &artifact.segments);
        let mut roots: Vec<String> = rows
            .flat_map(|row| [Some(row.root), row.label_root])
            .flatten()
            .map(hex::encode)
            .collect();
        roots.sort_unstable();
        let partial = format!(".{PARTIAL}");
        let stays = |name: &str| {
            // Chunks of a listed segment that came before a cut: it is gone on with.
            let name = name.strip_suffix(&partial).unwrap_or(name);
            roots
                .binary_search_by(|root| root.as_str().cmp(name))
                .is_ok()
        };
        self.clear(&self.folder.join("segments"), &stays)?;
        let epoch = manifest.epoch.to_string();
        let other = |name: &str| name == epoch || name.parse::<u64>().is_err();
        self.clear(&self.folder, &other)
    }

    /// Removes what is in a folder and does not stay.
    fn clear(&self, folder: &Path, stays: &dyn Fn(&str) -> bool) -> Result<(), CacheError> {
        let removed = (|| {
            for item in fs::read_dir(folder)? {
                let item = item?;
                if item.file_name().to_str().is_some_and(stays) {
                    continue;
                }
                match item.file_type()?.is_dir() {
                    true => fs::remove_dir_all(item.path())?,
                    false => fs::remove_file(item.path())?,
                }
            }
            Ok(())
        })();
        let path = folder.to_owned();
        removed.map_err(|source| CacheError { path, source })
    }

    fn make(&self, folder: &Path) -> Result<(), CacheError> {
        let mut builder = fs::DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(folder);
        let path = folder.to_owned();
        made.map_err(|source| CacheError { path, source })
    }

    /// A sealed file; `None` if there is none, or none that opens.
    fn read_sealed(
        &self,
        path: &Path,
        what: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, CacheError> {
        let sealed = read_file(path)?;
        Ok(sealed.and_then(|sealed| self.vault.open(&self.bound(path, what), &sealed)))
    }

    /// What a sealed file is bound to: the centre, by the name of its folder, and the file's own name, so that none stands for
    /// another.
    fn bound(&self, path: &Path, what: &[u8]) -> Vec<u8> {
        use std::os::unix::ffi::OsStrExt as _;
        let centre = self.folder.file_name().unwrap_or_default();
        let name = path.strip_prefix(&self.folder).unwrap_or(path);
        let parts = [what, centre.as_bytes(), name.as_os_str().as_bytes()];
        // No name holds a zero byte.
        parts.join(&0)
    }

    /// Writes a sealed file whole and durably, in place of one that may be there.
    fn write_sealed(&self, path: &Path, what: &[u8], plain: &[u8]) -> Result<(), CacheError> {
        use crate::store::durable::{Steps, write_new};
        let sealed = self.vault.seal(&self.bound(path, what), plain);
        let written = sealed.and_then(|sealed| write_new(path, &[&sealed], &Steps::default()));
        written.map_err(|source| CacheError {
            path: path.to_owned(),
            source,
        })
    }
}

impl Kept {
    /// What a block is bound to: its space and its place, so that none stands for another.
    fn associated(&self) -> Vec<u8> {
        [&b"items"[..], &self.space, &self.end.to_be_bytes()].concat()
    }
}

/// The bytes of a small file, if it is there.
fn read_file(path: &Path) -> Result<Option<Vec<u8>>, CacheError> {
    let bound = (vault::OVERHEAD + pending::PENDING_BYTES) as u64;
    let read = File::open(path).and_then(|file| {
        let mut bytes = Vec::new();
        file.take(bound).read_to_end(&mut bytes).map(|_| bytes)
    });
    match read {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(CacheError {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Fills a buffer; false if the file ends before.
fn filled(read: &mut impl io::Read, buffer: &mut [u8]) -> io::Result<bool> {
    match read.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}
