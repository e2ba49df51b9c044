//! A log in memory that no node writes: whoever signs it shows witnesses what it likes.

use std::collections::BTreeMap;

use anyhow::Result;
use hashpact_keys::Signer;
use hashpact_protocol::log::{
    AddCheckpoint, Checkpoint, VerifierKey, consistency_proof, grow, log_key, root_at,
};

/// Leaves that a log has.
pub(crate) const LEAVES: u64 = 20;

pub(crate) struct StockLog {
    files: BTreeMap<String, Vec<u8>>,
    origin: String,
    pub(crate) signer: Signer,
}

impl StockLog {
    pub(crate) const LEAVES: u64 = LEAVES;

    pub(crate) fn new(origin: &str, signer: Signer) -> Result<Self> {
        let mut log = Self {
            files: BTreeMap::new(),
            origin: origin.to_owned(),
            signer,
        };
        for n in 0..LEAVES {
            let grown = grow(&log.read(), n, &[n.to_be_bytes().to_vec()])?;
            let files = grown.files.into_iter().map(|file| (file.path, file.bytes));
            log.files.extend(files);
        }
        Ok(log)
    }

    fn read(&self) -> impl Fn(&str) -> Option<Vec<u8>> + '_ {
        |path| self.files.get(path).cloned()
    }

    pub(crate) fn vkey(&self) -> Result<VerifierKey> {
        Ok(log_key(&self.origin.parse()?, self.signer.public()))
    }

    /// Asks for a cosignature of `size`, on the word that the witness has cosigned `old`.
    pub(crate) fn request(&self, old: u64, size: u64) -> Result<AddCheckpoint> {
        let (origin, root) = (self.origin.parse()?, root_at(&self.read(), LEAVES, size)?);
        let checkpoint = Checkpoint { origin, size, root };
        Ok(AddCheckpoint {
            old,
            proof: consistency_proof(&self.read(), LEAVES, old, size).unwrap_or_default(),
            note: checkpoint.sign(&self.signer).note().to_vec(),
        })
    }
}
