//! One row of the ledger: an entry in the state that it came into at one place.

use hashpact_protocol::delta::Seq;
use hashpact_protocol::record::{EntryId, Revision};

use super::super::feed::Marks;

/// Number of a kind of entries, which are all released alike.
pub(in crate::subset) type KindId = u32;
/// Number of an origin, from 1.
pub(in crate::subset) type OriginNumber = u32;

/// Bytes before the earlier kinds.
const FIXED: usize = 8 + 4 + 16 + 4 + 8 + 4 + 1 + 1;
/// Earlier kinds that are remembered of one entry; one with more may have been of any.
const WAS_MAX: usize = 32;
const WAS_ANY: u8 = u8::MAX;

/// What a row says of its entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::subset) enum State {
    /// It is published.
    Live,
    /// Its origin took it back.
    Retracted,
    /// It is not published any more, for a reason that is not told.
    Withdrawn,
}

/// The kinds that an entry was of in earlier rows: whoever had one of them may have the entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::subset) struct Was {
    kinds: Vec<KindId>,
    any: bool,
}

/// A row. An entry has one: the latest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::subset) struct Row {
    /// The second under which windows show it.
    pub(in crate::subset) second: u64,
    pub(in crate::subset) origin: OriginNumber,
    pub(in crate::subset) entry: EntryId,
    pub(in crate::subset) revision: Revision,
    /// The delta that puts it, or of a retracted one the delta that takes it back.
    pub(in crate::subset) seq: Seq,
    /// The kind that it is of, or was of when it went.
    pub(in crate::subset) kind: KindId,
    pub(in crate::subset) state: State,
    pub(in crate::subset) marks: Marks,
    /// Whether it took the place of a live row of the same revision: what others say of it may have changed.
    pub(in crate::subset) again: bool,
    pub(in crate::subset) was: Was,
}

impl Was {
    pub(in crate::subset) fn is_empty(&self) -> bool {
        self.kinds.is_empty() && !self.any
    }

    /// Whether it was ever of a kind for which `had` says so.
    pub(in crate::subset) fn any_of(&self, had: impl Fn(KindId) -> bool) -> bool {
        self.any || self.kinds.iter().any(|kind| had(*kind))
    }

    pub(super) fn add(&mut self, kind: KindId) {
        if self.kinds.contains(&kind) {
            return;
        }
        match self.kinds.len() < WAS_MAX {
            true => self.kinds.push(kind),
            false => self.any = true,
        }
    }
}

impl Row {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(FIXED + 1 + self.was.kinds.len() * 4);
        bytes.extend(self.second.to_be_bytes());
        bytes.extend(self.origin.to_be_bytes());
        bytes.extend(self.entry.0);
        bytes.extend(self.revision.0.to_be_bytes());
        bytes.extend(self.seq.0.to_be_bytes());
        bytes.extend(self.kind.to_be_bytes());
        bytes.push(match self.state {
            State::Live => 0,
            State::Retracted => 1,
            State::Withdrawn => 2,
        });
        let Marks { disputed, flagged } = self.marks;
        bytes.push(u8::from(disputed) | u8::from(flagged) << 1 | u8::from(self.again) << 2);
        if self.was.any {
            bytes.push(WAS_ANY);
        }
        self.was
            .kinds
            .iter()
            .for_each(|kind| bytes.extend(kind.to_be_bytes()));
        bytes
    }

    /// Reads what [`Row::to_bytes`] wrote; nothing if it is damaged.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let mut take = |len: usize| {
            let (head, tail) = rest.split_at_checked(len)?;
            rest = tail;
            Some(head)
        };
        let second = u64::from_be_bytes(take(8)?.try_into().ok()?);
        let origin = u32::from_be_bytes(take(4)?.try_into().ok()?);
        let entry = EntryId(take(16)?.try_into().ok()?);
        let revision = Revision(u32::from_be_bytes(take(4)?.try_into().ok()?));
        let seq = Seq(u64::from_be_bytes(take(8)?.try_into().ok()?));
        let kind = u32::from_be_bytes(take(4)?.try_into().ok()?);
        let state = match take(1)? {
            [0] => State::Live,
            [1] => State::Retracted,
            [2] => State::Withdrawn,
            _ => return None,
        };
        let bits = *take(1)?.first().filter(|bits| **bits < 8)?;
        let any = rest.len() % 4 == 1;
        if any {
            let (mark, tail) = rest.split_first()?;
            (*mark == WAS_ANY).then_some(())?;
            rest = tail;
        }
        let kinds = rest.chunks(4);
        let kinds = kinds.map(|kind| Some(u32::from_be_bytes(kind.try_into().ok()?)));
        let kinds: Vec<KindId> = kinds.collect::<Option<_>>()?;
        Some(Self {
            second,
            origin,
            entry,
            revision,
            seq,
            kind,
            state,
            marks: Marks {
                disputed: bits & 1 != 0,
                flagged: bits & 2 != 0,
            },
            again: bits & 4 != 0,
            was: Was { kinds, any },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_round_trip(
            (second, seq, revision, kind) in any::<(u64, u64, u32, u32)>(),
            bits in 0_u8..24,
            was in prop::collection::vec(any::<u32>(), 0..40),
        ) {
            let mut row = Row {
                second,
                origin: 3,
                entry: EntryId([7; 16]),
                revision: Revision(revision),
                seq: Seq(seq),
                kind,
                state: [State::Live, State::Retracted, State::Withdrawn][usize::from(bits % 3)],
                marks: Marks { disputed: bits & 1 != 0, flagged: bits & 2 != 0 },
                again: bits & 4 != 0,
                was: Was::default(),
            };
            was.iter().for_each(|kind| row.was.add(*kind));
            // None that it was of is forgotten, however many there were.
            prop_assert!(was.iter().all(|was| row.was.any_of(|kind| kind == *was)));
            let bytes = row.to_bytes();
            prop_assert_eq!(Row::from_bytes(&bytes), Some(row));
            prop_assert_eq!(Row::from_bytes(&bytes[..FIXED - 1]), None);
        }
    }
}
