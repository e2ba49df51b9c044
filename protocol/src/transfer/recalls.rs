//! The rows that a centre keeps of recalls, on [`Shelf::Recall`] by first byte of the key:
//!
//! ```text
//! 'O' recall    opening of the recall             ours: logged here, and sent until it is acknowledged
//! 'A' recall    opening of the acknowledgement    the taker's answer, logged here
//! 'R' recall    the recall                        another's, and what it names is gone here
//! 'K' recall    opening of the acknowledgement    our answer, logged here
//! ```

use hashpact_keys::{CentreId, Origin};

use super::{Opening, Recall};
use crate::Hash;
use crate::labels::ClassId;
use crate::view::{Shelf, View, Write};

/// What a row is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Row {
    /// A recall of ours.
    Ours = b'O' as isize,
    /// Its acknowledgement.
    Answered = b'A' as isize,
    /// Another's recall.
    Theirs = b'R' as isize,
    /// Our acknowledgement of it.
    Acknowledged = b'K' as isize,
}

fn key(row: Row, recall: &Hash) -> Vec<u8> {
    [&[row as u8][..], recall].concat()
}

/// Keeps a row.
pub(crate) fn keep(row: Row, recall: &Hash, value: Vec<u8>) -> Write {
    Write::Keep {
        shelf: Shelf::Recall,
        key: key(row, recall),
        value: Some(value),
    }
}

/// A row's bytes.
pub(crate) fn kept(row: Row, recall: &Hash, view: &impl View) -> Option<Vec<u8>> {
    view.kept(Shelf::Recall, &key(row, recall))
}

/// What an opening that is kept has signed.
pub(crate) fn opened(row: Row, recall: &Hash, view: &impl View) -> Option<Vec<u8>> {
    let opening = Opening::from_bytes(&kept(row, recall, view)?).ok()?;
    Some(opening.signed)
}

/// Our recalls: hash, what was signed, and whether it is acknowledged.
pub(crate) fn ours(view: &impl View) -> Vec<(Hash, Recall, Vec<u8>, bool)> {
    let rows = view.shelf(Shelf::Recall, &[Row::Ours as u8]).into_iter();
    let read = |(key, value): (Vec<u8>, Vec<u8>)| {
        let hash: Hash = key.get(1..)?.try_into().ok()?;
        let signed = Opening::from_bytes(&value).ok()?.signed;
        let recall = Recall::read_unverified(&signed).ok()?;
        let is_answered = kept(Row::Answered, &hash, view).is_some();
        Some((hash, recall, signed, is_answered))
    };
    rows.filter_map(read).collect()
}

/// Others' recalls that were obeyed, and whether we have said so.
pub(crate) fn theirs(view: &impl View) -> Vec<(Hash, Recall, bool)> {
    let rows = view.shelf(Shelf::Recall, &[Row::Theirs as u8]).into_iter();
    let read = |(key, value): (Vec<u8>, Vec<u8>)| {
        let hash: Hash = key.get(1..)?.try_into().ok()?;
        let recall = Recall::read_unverified(&value).ok()?;
        let is_said = kept(Row::Acknowledged, &hash, view).is_some();
        Some((hash, recall, is_said))
    };
    rows.filter_map(read).collect()
}

/// Whether a giver has asked a class back at this time or later.
pub(crate) fn is_recalled(
    recalls: &[(Hash, Recall, bool)],
    (giver, origin, class): (&CentreId, &Origin, ClassId),
    since: hashpact_keys::Timestamp,
) -> bool {
    recalls.iter().any(|(_, recall, _)| {
        recall.from == *giver
            && recall.origin == *origin
            && recall.time >= since
            && recall.classes.contains(&class)
    })
}
