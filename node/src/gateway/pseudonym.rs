//! The 16 bytes under which other centres know a member of ours: the same for each of its words, and no way back to its name.
//!
//! In scope: making them. Out of scope: who may learn whose they are; that is this centre alone, which can make them again.

use hashpact_protocol::evidence;
use zeroize::Zeroizing;

use crate::subset::MemberId;

/// What pseudonyms are made with; of this node alone.
#[derive(Clone)]
pub(crate) struct Pseudonyms(Zeroizing<[u8; 32]>);

impl Pseudonyms {
    pub(crate) fn new(key: Zeroizing<[u8; 32]>) -> Self {
        Self(key)
    }

    /// A member's.
    pub(crate) fn of(&self, member: &MemberId) -> evidence::Member {
        let hash = blake3::keyed_hash(&self.0, member.as_str().as_bytes());
        let (first, _) = hash.as_bytes().split_at(16);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(first);
        evidence::Member(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_has_one_and_another_node_gives_it_another() {
        let [ours, theirs] = [[1; 32], [2; 32]].map(|key| Pseudonyms::new(Zeroizing::new(key)));
        let [a, b] = ["shop-one", "shop-two"].map(|name| name.parse().unwrap());
        assert_eq!(ours.of(&a), ours.of(&a));
        assert_ne!(ours.of(&a), ours.of(&b));
        assert_ne!(ours.of(&a), theirs.of(&a));
    }
}
