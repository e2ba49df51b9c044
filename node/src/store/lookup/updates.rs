//! Whether a revision took the place of the one before at once, or came back after its entry had ended.
//!
//! An origin that changes an entry retracts a revision and puts the next one in one delta; one that takes an entry back as an
//! error retracts it in a delta that puts nothing in its place. The rows of retractions say which delta was the first to end a
//! revision. Of several retractions of an entry that were committed together only the last has a row: the one before the
//! newest revision is never lost. In scope: what the index knows. Out of scope: what becomes of the entry (`subset`).

use std::collections::BTreeSet;

use hashpact_keys::Origin;
use hashpact_protocol::record::{EntryId, Revision};

use super::{LookupError, continues, each_value, revision_of};
use crate::store::Store;
use crate::store::index::keys::entry_key;
use crate::store::index::{Index, Key, RowKind};

impl Store {
    /// Whether a revision took the place of the one before it in the very delta that first retracted that one, and each
    /// earlier one that is known to have ended ended likewise, in this log or an earlier line of its centre.
    ///
    /// # Errors
    /// [`LookupError`].
    pub(crate) fn is_update(
        &self,
        origin: &Origin,
        entry: EntryId,
        revision: Revision,
    ) -> Result<bool, LookupError> {
        let lines: Vec<u16> = {
            let live = self.live();
            let earlier = live.numbers.iter();
            let earlier = earlier.filter(|(earlier, _)| continues(origin, earlier));
            earlier.map(|(_, number)| *number).collect()
        };
        self.settled(|places, retracted| {
            let mut is_update = false;
            for line in &lines {
                let key = entry_key(&self.keys.index, *line, entry);
                let (puts, ends) = puts_and_ends(places, retracted, &key)?;
                for (ended, seq) in ends {
                    let next = ended.saturating_add(1);
                    if next > revision.0 || !puts.contains(&(next, seq)) {
                        return Ok(false);
                    }
                    is_update |= next == revision.0;
                }
            }
            Ok(is_update)
        })
    }
}

/// Revisions with the delta in which each stands.
type Placed = BTreeSet<(u32, u32)>;

/// The revisions of an entry of one log that were put, and those that were retracted, each with its delta.
fn puts_and_ends(
    places: &Index,
    retracted: &Index,
    key: &Key,
) -> Result<(Placed, Placed), LookupError> {
    let (mut puts, mut ends) = (Placed::new(), Placed::new());
    each_value(places, key, |value| {
        if let (RowKind::Entry, Ok(revision)) = (value.kind, u32::try_from(value.extra)) {
            puts.insert((revision, value.seq));
        }
    })?;
    each_value(retracted, key, |value| {
        if value.kind == RowKind::Retracted {
            ends.insert((revision_of(&value), value.seq));
        }
    })?;
    Ok((puts, ends))
}
