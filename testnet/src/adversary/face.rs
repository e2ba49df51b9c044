//! One face of the fifth centre's log: a copy of its disk with deltas of the adversary's own, under the centre's own keys.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use hashpact_node::clock;
use hashpact_node::config::Checked;
use hashpact_node::daemon::{centre_keys, command_offline, open_store, roster_in_force};
use hashpact_node::home::{Home, NodeKeys};
use hashpact_node::store::Store;
use hashpact_node::store::durable::Steps;
use hashpact_protocol::centre::{Centre, Command};
use hashpact_protocol::delta::{Draft, Retraction};
use hashpact_protocol::labels::ClassId;
use hashpact_protocol::log::{SignedCheckpoint, root_at};
use hashpact_protocol::testing;
use hashpact_protocol::view::View as _;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

/// A copy of the disk with a log that goes on in its own way.
pub(super) struct Face {
    pub(super) store: Arc<Store>,
    /// Size of the log before the adversary went on with it.
    pub(super) honest_size: u64,
    checked: Checked,
}

impl Face {
    /// Copies a home to `folder` and signs a delta of one synthetic record for each number, and in the first of them these
    /// retractions.
    pub(super) fn new(
        victim: &Home,
        folder: &Path,
        (keys, checked): (&NodeKeys, &Checked),
        numbers: &[u64],
        mut retractions: Vec<Retraction>,
    ) -> Result<Self> {
        copy_folder(victim.path(), folder)?;
        let home = Home::new(folder);
        let store = open_store(&home, keys, checked, Steps::default())?;
        let honest_size = store.log(&checked.origin).size;
        let (roster, signers) = (roster_in_force(&store)?, centre_keys(keys)?);
        let session = clock::now_ms();
        let mut centre = Centre::new(checked.centre.clone(), signers, roster, session, &store)?;
        // It does not ask what others have seen of the log: it means to fork it.
        centre.trust_disk();
        let mut rng = ChaCha20Rng::from_seed([7; 32]);
        for number in numbers {
            let record = testing::record(*number);
            let records = [(ClassId(0), record.entry, &record.to_bytes()[..])];
            let draft = Draft::new(records, std::mem::take(&mut retractions), &mut rng)?;
            command_offline(&mut centre, &store, Command::Append(draft))??;
        }
        Ok(Self {
            store: Arc::new(store),
            honest_size,
            checked: checked.clone(),
        })
    }

    /// The newest checkpoint, under the log's own signature.
    pub(super) fn head(&self) -> Result<SignedCheckpoint> {
        let head = self.store.log(&self.checked.origin).head;
        head.context("a log that has begun")
    }

    /// The root of this face at a size.
    pub(super) fn root(&self, size: u64) -> Result<[u8; 32]> {
        let origin = &self.checked.origin;
        let files = |path: &str| self.store.log_file(origin, path);
        Ok(root_at(&files, self.store.log(origin).size, size)?)
    }
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let target = to.join(entry.file_name());
        if kind.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else if kind.is_file() {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
