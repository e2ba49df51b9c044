//! What a centre hands to an auditor: the openings of its own log's sealed leaves, out of what it keeps.
//!
//! In scope: finding the leaf of each opening. Out of scope: who may have them, and writing files (the node).

use std::collections::{BTreeMap, BTreeSet};

use hashpact_keys::{NetworkId, Origin};

use super::bundle::{Bundle, Opened};
use crate::b3::Hash;
use crate::limits;
use crate::log::{Leaf, TreeError, read_leaves};
use crate::transfer::{Opening, Salt, Statement};
use crate::view::{Shelf, View};

/// Leaves that are read at once.
const STEP: u64 = 256;
/// Bytes that an opening takes in a bundle beside the object itself, at most.
const HEAD_BYTES: usize = 64;

/// A bundle, and what is not in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// The bundle.
    pub bundle: Bundle,
    /// Sealed leaves whose opening is not here: an auditor will ask for them.
    pub missing: Vec<u64>,
    /// Leaves of the log; if the bundle ends before, the rest goes into a next one.
    pub size: u64,
}

/// The openings of a centre's own log from a leaf on, as far as a bundle goes and witnesses have seen it.
///
/// # Errors
/// [`TreeError`] if a leaf cannot be read.
pub fn export_openings(
    view: &impl View,
    network: NetworkId,
    origin: &Origin,
    from: u64,
) -> Result<Export, TreeError> {
    let state = view.log(origin);
    let seen = state.witnessed.as_ref().or(state.head.as_ref());
    let size = seen
        .map_or(0, |head| head.checkpoint().size)
        .min(state.size);
    let kept = Kept::read(view);
    let files = |path: &str| view.log_file(origin, path);
    let mut bundle = Bundle {
        network,
        origin: origin.clone(),
        leaves: from.min(size)..size,
        opened: Vec::new(),
        shown: Vec::new(),
    };
    let mut missing = Vec::new();
    let mut shown: BTreeSet<Hash> = BTreeSet::new();
    let mut room = limits::OPENINGS_BYTES / 2;
    let mut at = bundle.leaves.start;
    'leaves: while at < size {
        let end = (at + STEP).min(size);
        for (index, bytes) in (at..).zip(read_leaves(&files, size, at, end)?) {
            let Ok(
                Leaf::Disclosure { commitment }
                | Leaf::MatchSession { commitment }
                | Leaf::Commitment { commitment },
            ) = Leaf::from_bytes(&bytes)
            else {
                continue;
            };
            let Some((salt, signed)) = kept.sealed.get(&commitment) else {
                missing.push(index);
                continue;
            };
            let Some(left) = room.checked_sub(signed.len() + HEAD_BYTES) else {
                bundle.leaves.end = index;
                break 'leaves;
            };
            room = left;
            shown.extend(kept.behind(signed));
            bundle.opened.push(Opened {
                leaf: index,
                salt: *salt,
                signed: signed.clone(),
            });
        }
        at = end;
    }
    // The other half of a bundle is theirs; a chain is shorter than what rests on it many times.
    let mut room = limits::OPENINGS_BYTES / 2;
    for hash in shown {
        let Some(signed) = kept.shown.get(&hash) else {
            continue;
        };
        match room.checked_sub(signed.len() + HEAD_BYTES) {
            Some(left) => room = left,
            None => break,
        }
        bundle.shown.push(signed.clone());
    }
    Ok(Export {
        bundle,
        missing,
        size,
    })
}

/// What a centre keeps of sealed objects.
#[derive(Default)]
struct Kept {
    /// By commitment.
    sealed: BTreeMap<Hash, (Salt, Vec<u8>)>,
    /// Statements that relays showed, by hash.
    shown: BTreeMap<Hash, Vec<u8>>,
}

impl Kept {
    fn read(view: &impl View) -> Self {
        let mut kept = Self::default();
        for shelf in [
            Shelf::Statement,
            Shelf::Recall,
            Shelf::MatchSession,
            Shelf::Evidence,
        ] {
            for (_, value) in view.shelf(shelf, &[]) {
                let Ok(opening) = Opening::from_bytes(&value) else {
                    continue;
                };
                match (opening.commitment(), opening.salt) {
                    (Some(commitment), Some(salt)) => {
                        kept.sealed.insert(commitment, (salt, opening.signed));
                    }
                    // Another's, which stands in its log and is opened there.
                    _ if shelf == Shelf::Evidence => {}
                    _ => {
                        let hash = Statement::hash(&opening.signed);
                        kept.shown.insert(hash, opening.signed);
                    }
                }
            }
        }
        kept
    }

    /// The shown statements that a statement rests on, all the way.
    fn behind(&self, signed: &[u8]) -> Vec<Hash> {
        let parents = |signed: &[u8]| {
            let statement = Statement::read_unverified(signed);
            statement.map_or_else(|_| Vec::new(), |statement| statement.parents)
        };
        let mut open = parents(signed);
        let mut all = BTreeSet::new();
        while let Some(hash) = open.pop() {
            if let Some(shown) = self.shown.get(&hash)
                && all.insert(hash)
            {
                open.extend(parents(shown));
            }
        }
        all.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::disclosed::{Disclosed, after};
    use crate::testing::memory::Memory;
    use crate::view::{Batch, Write};

    /// A centre's store: its log, and the openings that it keeps.
    fn stored(network: &Disclosed, log: usize, shown: &[Vec<u8>]) -> Memory {
        let mut memory = network.logs[log].forge.memory().clone();
        let opened = network.bundles[log].opened.iter();
        let opened = opened.map(|it| (Some(it.salt), it.signed.clone()));
        let shown = shown.iter().map(|signed| (None, signed.clone()));
        let rows = opened.chain(shown).map(|(salt, signed)| Write::Keep {
            shelf: Shelf::Statement,
            key: Statement::hash(&signed).to_vec(),
            value: Some(Opening { salt, signed }.to_bytes()),
        });
        let mut batch = Batch::default();
        batch.extend(rows);
        memory.apply(batch).unwrap();
        memory
    }

    #[test]
    fn an_export_opens_every_sealed_leaf_and_shows_what_a_relay_rests_on() {
        let mut network = Disclosed::open();
        let first = network.give(&network.statement(0, 1, after(2_000)));
        let mut on = network.statement(1, 2, after(3_000));
        on.parents = vec![Statement::hash(&first)];
        network.give(&on);
        let origin = network.logs[2].centres[0].origin.clone();
        let pin = network.bundles[2].network;
        let memory = stored(&network, 2, std::slice::from_ref(&first));
        let export = export_openings(&memory, pin, &origin, 0).unwrap();
        assert_eq!(export.missing, <Vec<u64>>::new());
        assert_eq!(export.bundle.opened, network.bundles[2].opened);
        assert_eq!(export.bundle.shown, [first]);
        assert_eq!(export.bundle.leaves, 0..export.size);
        let bytes = export.bundle.to_bytes();
        assert_eq!(Bundle::from_bytes(&bytes), Ok(export.bundle));
        // From the next leaf on there is nothing left to open.
        let rest = export_openings(&memory, pin, &origin, export.size).unwrap();
        assert!(rest.bundle.opened.is_empty() && rest.bundle.shown.is_empty());
    }

    #[test]
    fn a_leaf_whose_opening_was_lost_is_named() {
        let mut network = Disclosed::open();
        network.give(&network.statement(0, 1, after(2_000)));
        let origin = network.logs[0].centres[0].origin.clone();
        network.bundles[0].opened.clear();
        let memory = stored(&network, 0, &[]);
        let pin = network.bundles[0].network;
        let export = export_openings(&memory, pin, &origin, 0).unwrap();
        assert_eq!(export.missing, [4]);
    }
}
