//! Every key that a centre uses, read from its home as a thief with the plain key files would: so that they can be looked for.
//!
//! The files of match epochs are opened by a reading of their format that is written here again, not by the node's code: a
//! change of what is sealed, or how, must be noticed. In scope: keys that last. Out of scope: keys of one session, which are
//! never written anywhere.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use hashpact_keys::Origin;
use hashpact_protocol::fingerprint::Algorithm;
use hashpact_protocol::lists::ClosedList as _;
use hashpact_protocol::policy::MatchMode;
use hashpact_protocol::psi::oprf::ServerKey;
use hashpact_protocol::psi::{Epoch, GroupId, Space};

use crate::cluster::Node;

/// A name that may be printed, and the secret.
type Named = (String, Vec<u8>);

/// Match groups whose keys are derived: more than a run has.
const GROUPS: u32 = 64;

/// The keys of a centre's home: those that sign, that of the store, and those of its match epochs.
///
/// # Errors
/// Fails if a file is not there or not of its format.
pub(super) fn of(node: &Node, origin: &Origin) -> Result<Vec<Named>> {
    let home = node.home.path();
    let mut keys = Vec::new();
    let mut storage = None;
    let own = files(&home.join("keys"))?;
    ensure!(!own.is_empty(), "{} has no keys", node.id);
    for file in own {
        let text = std::fs::read_to_string(&file)?;
        // The seed stands last, whatever comes before it.
        let digits = text
            .split_whitespace()
            .last()
            .context("an empty key file")?;
        let secret = hex::decode(digits)?;
        let name = file
            .file_stem()
            .and_then(|name| name.to_str())
            .context("a name")?;
        if name == "storage" {
            storage = Some(secret.clone());
        }
        keys.push((format!("{}'s {name} key", node.id), secret));
    }
    let storage = storage.context("no storage key")?;
    let folder = node.home.data().join("matching");
    if folder.exists() {
        for file in files(&folder)? {
            keys.extend(of_epoch(node, &file, &storage, origin)?);
        }
    }
    Ok(keys)
}

fn files(folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "key") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The seed of an epoch, and every key that could follow from it.
fn of_epoch(node: &Node, file: &Path, storage: &[u8], origin: &Origin) -> Result<Vec<Named>> {
    let bytes = std::fs::read(file)?;
    let seed = open(&bytes, storage, origin).with_context(|| file.display().to_string())?;
    let epoch = Epoch(u64::from_be_bytes(bytes[6..14].try_into()?));
    let id = &node.id;
    let mut keys = vec![(format!("{id}'s seed of match epoch {epoch}"), seed.to_vec())];
    for kind in (0..=u8::MAX).filter(|kind| Algorithm::from_code((*kind).into()).is_some()) {
        for (mode, named) in MatchMode::VALUES {
            for group in (0..GROUPS).map(GroupId) {
                let (origin, mode) = (origin.clone(), *mode);
                let space = Space {
                    origin,
                    epoch,
                    group,
                    kind,
                    mode,
                };
                let key = ServerKey::derive(&seed, &space.hash(None));
                let name =
                    format!("{id}'s key of epoch {epoch}, group {group}, type {kind}, {named}");
                keys.push((name, key.expose().to_vec()));
            }
        }
    }
    Ok(keys)
}

/// `"HPMK1\0"  epoch u64  nonce 24  sealed seed 48`, XChaCha20-Poly1305; associated: magic, epoch, the log's origin.
fn open(bytes: &[u8], storage: &[u8], origin: &Origin) -> Result<[u8; 32]> {
    ensure!(
        bytes.len() == 86 && bytes.starts_with(b"HPMK1\0"),
        "not the form of an epoch key"
    );
    let key = blake3::derive_key("hashpact storage match v1", storage);
    let mut nonce = [0; 24];
    nonce.copy_from_slice(&bytes[14..38]);
    let associated = [&bytes[..14], origin.as_str().as_bytes()].concat();
    let payload = Payload {
        msg: &bytes[38..],
        aad: &associated,
    };
    let opened = XChaCha20Poly1305::new((&key).into()).decrypt(&XNonce::from(nonce), payload);
    let opened = opened.ok().context("it does not open")?;
    Ok(opened.as_slice().try_into()?)
}
