//! How a member says up to where it has read.
//!
//! ```text
//! cursor = base64url(place || first 16 bytes of BLAKE3.keyed(K, "cursor" || member || place))
//! place  = 1 || ledger (8) || n (8) || event (8) || base (8) || target (8) || kind (4) || at (8), big-endian
//! ```
//!
//! A cursor says that all rows below `n` and all changes of access up to `event` were told; inside of a change of access up to
//! `target` also where in it, by kind and row. `base` is where the snapshot began: what was gone before that was never had.
//! It holds positions and no clock, and is of use to nobody but the member that it was made for. K is derived from the home's
//! storage key, so that it is told apart whether a cursor is forged or of a ledger that was built again.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hashpact_protocol::centre::MemberId;
use zeroize::Zeroizing;

use super::feed::{Cursor, FeedError};
use super::ledger::KindId;

const VERSION: u8 = 1;
const PLACE_LEN: usize = 1 + 8 + 8 + 8 + 8 + 8 + 4 + 8;
const TAG_LEN: usize = 16;

/// The key that authenticates cursors. No Debug, no Clone.
pub struct CursorKey(Zeroizing<[u8; 32]>);

/// Where a member is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// Rows with lower numbers were told.
    pub(super) n: u64,
    /// Changes of access up to this one were told.
    pub(super) event: u64,
    /// What was gone below this number was never had.
    pub(super) base: u64,
    /// A change of access that is being told.
    pub(super) inside: Option<Inside>,
}

/// Within a change of access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Inside {
    /// The event up to which it goes.
    pub(super) target: u64,
    /// Kinds below this one were told of.
    pub(super) kind: KindId,
    /// Of this kind, rows with lower numbers were.
    pub(super) at: u64,
}

impl CursorKey {
    /// Of 32 secret bytes.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        Self(Zeroizing::new(*key))
    }

    pub(super) fn seal(&self, ledger: [u8; 8], member: &MemberId, place: &Place) -> Cursor {
        let mut bytes = Vec::with_capacity(PLACE_LEN + TAG_LEN);
        bytes.push(VERSION);
        bytes.extend(ledger);
        for number in [place.n, place.event, place.base] {
            bytes.extend(number.to_be_bytes());
        }
        let inside = place.inside.unwrap_or(Inside {
            target: 0,
            kind: 0,
            at: 0,
        });
        bytes.extend(inside.target.to_be_bytes());
        bytes.extend(inside.kind.to_be_bytes());
        bytes.extend(inside.at.to_be_bytes());
        let tag = self.tag(member, &bytes);
        bytes.extend_from_slice(&tag.as_bytes()[..TAG_LEN]);
        Cursor(URL_SAFE_NO_PAD.encode(bytes))
    }

    pub(super) fn open(
        &self,
        ledger: [u8; 8],
        member: &MemberId,
        cursor: &Cursor,
    ) -> Result<Place, FeedError> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor.as_str());
        let bytes = bytes.map_err(|_| FeedError::Cursor)?;
        let (body, tag) = bytes.split_at_checked(PLACE_LEN).ok_or(FeedError::Cursor)?;
        let expected = self.tag(member, body);
        let mut padded = [0; 32];
        padded[..TAG_LEN].copy_from_slice(tag.get(..TAG_LEN).ok_or(FeedError::Cursor)?);
        padded[TAG_LEN..].copy_from_slice(&expected.as_bytes()[TAG_LEN..]);
        // Compared in constant time.
        if tag.len() != TAG_LEN || expected != blake3::Hash::from_bytes(padded) {
            return Err(FeedError::Cursor);
        }
        let place = read(body).ok_or(FeedError::Cursor)?;
        match body.get(1..9) == Some(&ledger[..]) {
            true => Ok(place),
            false => Err(FeedError::Ledger),
        }
    }

    fn tag(&self, member: &MemberId, body: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(b"cursor");
        // A member's name has no byte that a version has.
        hasher.update(member.as_str().as_bytes());
        hasher.update(body);
        hasher.finalize()
    }
}

fn read(body: &[u8]) -> Option<Place> {
    let number = |at: usize| {
        let bytes = body.get(at..at + 8)?;
        Some(u64::from_be_bytes(bytes.try_into().ok()?))
    };
    (*body.first()? == VERSION).then_some(())?;
    let target = number(33)?;
    let kind = u32::from_be_bytes(body.get(41..45)?.try_into().ok()?);
    let at = number(45)?;
    Some(Place {
        n: number(9)?,
        event: number(17)?,
        base: number(25)?,
        inside: (target > 0).then_some(Inside { target, kind, at }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str) -> MemberId {
        name.parse().unwrap()
    }

    #[test]
    fn a_cursor_is_of_use_to_its_member_and_its_ledger_alone_and_no_byte_of_it_can_be_changed() {
        let key = CursorKey::new(&[7; 32]);
        let acme = member("acme");
        let inside = Inside {
            target: 9,
            kind: 4,
            at: 77,
        };
        for inside in [None, Some(inside)] {
            let place = Place {
                n: 12_345,
                event: 8,
                base: 3,
                inside,
            };
            let cursor = key.seal([1; 8], &acme, &place);
            assert_eq!(key.open([1; 8], &acme, &cursor).unwrap(), place);
            let read: Cursor = cursor.as_str().parse().unwrap();
            assert_eq!(read, cursor);
            let foreign = key.open([1; 8], &member("bolt"), &cursor);
            assert!(matches!(foreign, Err(FeedError::Cursor)));
            let old = key.open([2; 8], &acme, &cursor);
            assert!(matches!(old, Err(FeedError::Ledger)));
            let other = CursorKey::new(&[8; 32]).open([1; 8], &acme, &cursor);
            assert!(matches!(other, Err(FeedError::Cursor)));
            for at in 0..cursor.as_str().len() {
                let mut text = cursor.as_str().as_bytes().to_vec();
                text[at] = if text[at] == b'A' { b'B' } else { b'A' };
                let Ok(forged) = String::from_utf8(text).unwrap().parse::<Cursor>() else {
                    continue;
                };
                let opened = key.open([1; 8], &acme, &forged);
                assert!(matches!(opened, Err(FeedError::Cursor)), "character {at}");
            }
            for cut in ["", "A", &cursor.as_str()[..60]] {
                let cut = Cursor(cut.to_owned());
                assert!(key.open([1; 8], &acme, &cut).is_err());
            }
        }
    }
}
